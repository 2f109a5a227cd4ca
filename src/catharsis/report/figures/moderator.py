"""Effects by level of a moderator: a dot per effect, the model's mean, and the contrast with the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.effects.measures import Measure
from catharsis.report.figures.svg import Axis, Sheet, clipped, marks

ROW = 42.0
WIDTH = 760.0


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the moderator.

    Attributes
    ----------
    label, note : str
        Its name, and a line below it.
    effects : tuple of (float, float, str)
        Effect, people (for the area of the dot), tooltip.
    mean, low, high : float
        Model-based mean and interval, analysis scale.
    contrast, contrast_note : str
        Right-hand text.
    """

    label: str
    note: str
    effects: tuple[tuple[float, float, str], ...]
    mean: float
    low: float
    high: float
    contrast: str
    contrast_note: str


def draw_moderator(
    title: str, levels: tuple[Level, ...], measure: Measure, head: str, words: tuple[str, str, str]
) -> Sheet:
    """Draw the levels of a moderator.

    Parameters
    ----------
    title : str
        For the description.
    levels : tuple of Level
        Reference first.
    measure : Measure
        Scale of the effects.
    head : str
        Heading of the right-hand column.
    words : (str, str, str)
        Left end, right end and label of the axis.

    Returns
    -------
    Sheet
    """
    values = [value for level in levels for value, _, _ in level.effects] + [
        v for level in levels for v in (level.low, level.high)
    ]
    values += [measure.no_effect] if np.isfinite(measure.no_effect) else []
    pad = 0.06 * (max(values) - min(values) or 1.0)
    axis = Axis(min(values) - pad, max(values) + pad, 190, 600)
    bottom = 16 + ROW * len(levels)
    described = "; ".join(f"{level.label}: {level.contrast} {level.contrast_note}" for level in levels)
    sheet = Sheet(WIDTH, bottom + 46, f"{title}. {described}")
    points = marks(axis.low, axis.high, measure.back, lambda v: float(measure.to_reader(v)))
    axis.draw(sheet, 14, bottom, points, measure.no_effect)
    biggest = max((people for level in levels for _, people, _ in level.effects), default=1.0)
    sheet.text(620, 11, head, "sub")
    for i, level in enumerate(levels):
        y = 16 + ROW * i + ROW / 2
        sheet.text(0, y, clipped(level.label, 180), "lab", tip=level.label)
        sheet.text(0, y + 14, level.note, "sub")
        for value, people, tip in level.effects:
            sheet.circle(axis.x(value), y, 3 + 8 * float(np.sqrt(people / biggest)), "cell", tip)
        sheet.line(axis.x(level.low), y + 13, axis.x(level.high), y + 13, "pi")
        sheet.line(axis.x(level.mean), y - 13, axis.x(level.mean), y + 16, "mean")
        sheet.text(620, y, level.contrast, "lab num")
        sheet.text(620, y + 14, level.contrast_note, "sub num")
    left, right, middle = words
    sheet.text(axis.left, bottom + 38, f"◀ {left}", "axis")
    sheet.text(axis.right, bottom + 38, f"{right} ▶", "axis", "end")
    sheet.text((axis.left + axis.right) / 2, bottom + 38, middle, "axis", "middle")
    return sheet
