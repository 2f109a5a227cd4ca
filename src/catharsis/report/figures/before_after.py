"""What the priors expect and what the data leave of it: one pair of bars for each quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catharsis.report.figures.svg import Axis, Sheet, marks

WIDTH, LEFT, ROW, TOP, FOOT = 760.0, 190.0, 46.0, 12.0, 34.0
REACH = 1.5  # a prior may widen the axis to this many times what the posterior needs


@dataclass(frozen=True, slots=True)
class Pair:
    """Lower limit, quartile, median, quartile, upper limit of one quantity, before and after the data; two tooltips."""

    label: str
    before: Sequence[float]
    after: Sequence[float]
    tips: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Panel:
    """Quantities that share an axis: how the axis is labelled, and the point of no effect (nan: none)."""

    pairs: Sequence[Pair]
    back: str
    to_reader: Callable[[float], float]
    no_effect: float = math.nan


def draw_before_after(title: str, panels: Sequence[Panel]) -> Sheet:
    """Draw the interval as a line, the middle half as a bar, the median as a stroke; the prior dashed and hollow.

    A prior that reaches beyond the axis is cut there; its tooltip has the numbers.
    """
    sheet = Sheet(WIDTH, TOP + sum(ROW * len(panel.pairs) + FOOT for panel in panels), title)
    top = TOP
    for panel in panels:
        bottom = top + ROW * len(panel.pairs)
        axis = _axis(panel)
        axis.draw(sheet, top, bottom, marks(axis.low, axis.high, panel.back, panel.to_reader), panel.no_effect)
        for i, pair in enumerate(panel.pairs):
            y = top + ROW * i + 14
            sheet.text(0, y + 13, pair.label)
            _bar(sheet, axis, y, pair.before, ("void", "void"), pair.tips[0])
            _bar(sheet, axis, y + 18, pair.after, ("ci", "band"), pair.tips[1])
        top = bottom + FOOT
    return sheet


def _axis(panel: Panel) -> Axis:
    """Holds every posterior, the middle half of every prior, and more of the priors as long as that stays readable."""
    after = [v for pair in panel.pairs for v in (pair.after[0], pair.after[-1])]
    needed = [*after, *(v for pair in panel.pairs for v in (pair.before[1], pair.before[-2]))]
    needed += [] if math.isnan(panel.no_effect) else [panel.no_effect]
    reach, middle = REACH * (max(after) - min(after)), (max(after) + min(after)) / 2
    low, high = (f(pair.before[i] for pair in panel.pairs) for f, i in ((min, 0), (max, -1)))
    return Axis(min(*needed, max(low, middle - reach)), max(*needed, min(high, middle + reach)), LEFT, WIDTH - 16)


def _bar(sheet: Sheet, axis: Axis, y: float, at: Sequence[float], css: tuple[str, str], tip: str) -> None:
    middle = at[len(at) // 2]
    sheet.line(axis.x(at[0]), y, axis.x(at[-1]), y, css[0])
    sheet.rect(axis.x(at[1]), y - 5, max(axis.x(at[-2]) - axis.x(at[1]), 1.0), 10, css[1], tip)
    if axis.inside(middle):
        sheet.line(axis.x(middle), y - 7, axis.x(middle), y + 7, "neither" if css[1] == "void" else "pi")
