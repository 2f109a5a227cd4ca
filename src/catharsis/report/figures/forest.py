"""The forest plot: each effect, the average by both schools, and where a new study would fall."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from catharsis.effects.measures import Measure
from catharsis.report.figures.svg import CHAR, Axis, Sheet, clipped, marks
from catharsis.report.numbers import bracket, number

ROW = 22.0  # height of a row, px
WIDTH = 860.0


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a forest plot.

    Attributes
    ----------
    label : str
        Name of the effect.
    estimate, low, high : float
        Analysis scale.
    weight : float
        Share of the total weight, for the size of the dot.
    note : str
        Right-hand column (people, ...).
    """

    label: str
    estimate: float
    low: float
    high: float
    weight: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Forest:
    """What a forest plot shows.

    Attributes
    ----------
    lines : tuple of Line
        The effects.
    summaries : tuple of (Line, css)
        Averages, drawn as diamonds.
    prediction : (float, float) or None
        Prediction interval.
    new : str
        What it predicts, e.g. "a new study".
    """

    title: str
    lines: tuple[Line, ...]
    summaries: tuple[tuple[Line, str], ...]
    prediction: tuple[float, float] | None
    new: str
    measure: Measure
    axis_label: str
    left_words: str
    right_words: str


def limits(forest: Forest) -> tuple[float, float]:
    """Ends of the axis: all averages and estimates, intervals as far as they stay within reach."""
    inner = [line.estimate for line in forest.lines]
    inner += [value for line, _ in forest.summaries for value in (line.low, line.high)]
    inner += list(forest.prediction or ())
    if math.isfinite(forest.measure.no_effect):
        inner.append(forest.measure.no_effect)
    finite = [value for value in inner if math.isfinite(value)]
    low, high = min(finite), max(finite)
    reach = max(high - low, 1e-9)
    ends = [v for line in forest.lines for v in (line.low, line.high) if low - reach <= v <= high + reach]
    low, high = min([low, *ends]), max([high, *ends])
    pad = 0.04 * (high - low or 1.0)
    return low - pad, high + pad


def draw_forest(forest: Forest) -> Sheet:
    """Draw a forest plot.

    Parameters
    ----------
    forest : Forest
        Effects and averages on the analysis scale; labels appear on the reader's scale.

    Returns
    -------
    Sheet
    """
    names = max((len(line.label) for line in (*forest.lines, *(s for s, _ in forest.summaries))), default=10)
    names = max(names, len(forest.new) + 17 if forest.prediction else 0)
    left = min(max(names * CHAR, 90.0), 250.0) + 14
    right = WIDTH - 210.0
    low, high = limits(forest)
    axis = Axis(low, high, left, right)
    count = len(forest.lines) + len(forest.summaries) + (forest.prediction is not None)
    bottom = 14 + count * ROW + 8
    sheet = Sheet(WIDTH, bottom + 46, _alt(forest))
    points = marks(low, high, forest.measure.back, lambda v: float(forest.measure.to_reader(v)))
    axis.draw(sheet, 8, bottom, points, forest.measure.no_effect)
    y = 14 + ROW / 2
    for line in forest.lines:
        _effect(sheet, axis, line, y, left, forest.measure)
        y += ROW
    for line, css in forest.summaries:
        _label(sheet, line, y, left, "strong")
        sheet.diamond(axis.x(line.low), axis.x(line.estimate), axis.x(line.high), y, css)
        _figures(sheet, line, y, forest.measure, "strong")
        y += ROW
    if forest.prediction is not None:
        _prediction(sheet, axis, forest, y, left)
    sheet.text(left, bottom + 36, f"◀ {forest.left_words}" if forest.left_words else "", "axis")
    sheet.text(right, bottom + 36, f"{forest.right_words} ▶" if forest.right_words else "", "axis", "end")
    sheet.text((left + right) / 2, bottom + 36, forest.axis_label, "axis", "middle")
    return sheet


def _label(sheet: Sheet, line: Line, y: float, left: float, css: str = "") -> None:
    sheet.text(0, y + 4, clipped(line.label, left - 10), css, tip=line.label)


def _figures(sheet: Sheet, line: Line, y: float, measure: Measure, css: str = "") -> None:
    sheet.text(WIDTH - 150, y + 4, reader_text(line, measure), f"num {css}".strip())
    sheet.text(WIDTH - 200, y + 4, line.note, "sub num")


def reader_text(line: Line, measure: Measure) -> str:
    """Estimate and interval on the reader's scale."""
    values = [float(measure.to_reader(v)) for v in (line.estimate, line.low, line.high)]
    if measure.back == "expit":
        return f"{100 * values[0]:.0f}% [{100 * values[1]:.0f}, {100 * values[2]:.0f}]"
    return f"{number(values[0])} {bracket(values[1], values[2])}"


def _effect(sheet: Sheet, axis: Axis, line: Line, y: float, left: float, measure: Measure) -> None:
    _label(sheet, line, y, left)
    sheet.line(axis.x(line.low), y, axis.x(line.high), y, "ci")
    for value, sign in ((line.low, -1), (line.high, 1)):
        if not axis.inside(value):
            end = axis.left if sign < 0 else axis.right
            sheet.path([(end - 7 * sign, y - 4), (end, y), (end - 7 * sign, y + 4)], "dot")
    if axis.inside(line.estimate):
        tip = f"{line.label}: {reader_text(line, measure)}"
        sheet.circle(axis.x(line.estimate), y, 2.5 + 4.5 * float(np.sqrt(min(max(line.weight, 0), 1))), "dot", tip)
    _figures(sheet, line, y, measure)


def _prediction(sheet: Sheet, axis: Axis, forest: Forest, y: float, left: float) -> None:
    low, high = forest.prediction or (math.nan, math.nan)
    sheet.text(0, y + 4, f"where {forest.new} would fall", "sub")
    sheet.line(axis.x(low), y, axis.x(high), y, "pi")
    for value in (low, high):
        if axis.inside(value):
            sheet.line(axis.x(value), y - 4, axis.x(value), y + 4, "pi")
    values = [float(forest.measure.to_reader(v)) for v in (low, high)]
    text = (
        f"{100 * values[0]:.0f}% to {100 * values[1]:.0f}%"
        if forest.measure.back == "expit"
        else bracket(values[0], values[1])
    )
    sheet.text(WIDTH - 150, y + 4, text, "sub num")


def _alt(forest: Forest) -> str:
    parts = [f"Forest plot, {forest.title}: {len(forest.lines)} effects."]
    parts += [f"{line.label}: {reader_text(line, forest.measure)}." for line, _ in forest.summaries]
    return " ".join(parts)
