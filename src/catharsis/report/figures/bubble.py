"""The bubble plot: effects against a numeric moderator, the model's line and its band."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from catharsis.effects.measures import Measure
from catharsis.report.figures.svg import Axis, Sheet, marks, ticks

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760.0, 320.0, 60.0, 14.0, 270.0


@dataclass(frozen=True, slots=True)
class Bubble:
    """One effect: position, weight relative to the largest, tooltip."""

    x: float
    y: float
    weight: float
    tip: str


def draw_bubbles(
    title: str,
    bubbles: tuple[Bubble, ...],
    line: tuple[tuple[float, float, float, float], ...],
    measure: Measure,
    labels: tuple[str, str],
) -> Sheet:
    """Draw effects against a moderator.

    Parameters
    ----------
    title : str
        For the description.
    bubbles : tuple of Bubble
        Effects, analysis scale.
    line : tuple of (x, estimate, low, high)
        The model's mean and interval along the moderator.
    measure : Measure
        Scale of the effects.
    labels : (str, str)
        Of the horizontal and the vertical axis.

    Returns
    -------
    Sheet
    """
    xs, ys = [b.x for b in bubbles], [b.y for b in bubbles] + [v for _, _, low, high in line for v in (low, high)]
    ys += [measure.no_effect] if np.isfinite(measure.no_effect) else []
    pad_x, pad_y = 0.05 * (max(xs) - min(xs) or 1.0), 0.05 * (max(ys) - min(ys) or 1.0)
    across = Axis(min(xs) - pad_x, max(xs) + pad_x, LEFT, WIDTH - 20)
    up = Axis(min(ys) - pad_y, max(ys) + pad_y, BOTTOM, TOP)
    sheet = Sheet(WIDTH, HEIGHT, f"{title}: {len(bubbles)} effects against {labels[0]}")
    for value, label in marks(up.low, up.high, measure.back, lambda v: float(measure.to_reader(v))):
        sheet.line(LEFT, up.x(value), WIDTH - 20, up.x(value), "grid")
        sheet.text(LEFT - 8, up.x(value) + 4, label, "sub", "end")
    if up.inside(measure.no_effect):
        sheet.line(LEFT, up.x(measure.no_effect), WIDTH - 20, up.x(measure.no_effect), "zero")
    for value in ticks(across.low, across.high):
        sheet.text(across.x(value), BOTTOM + 16, f"{value:g}", "tick", "middle")
    band = [(across.x(x), up.x(low)) for x, _, low, _ in line] + [
        (across.x(x), up.x(high)) for x, _, _, high in line[::-1]
    ]
    sheet.path(band, "band")
    for (x1, y1, *_), (x2, y2, *_) in pairwise(line):
        sheet.line(across.x(x1), up.x(y1), across.x(x2), up.x(y2), "mean")
    for bubble in bubbles:
        sheet.circle(across.x(bubble.x), up.x(bubble.y), 3 + 9 * float(np.sqrt(bubble.weight)), "cell", bubble.tip)
    sheet.text((LEFT + WIDTH) / 2, HEIGHT - 14, labels[0], "axis", "middle")
    sheet.text(0, TOP - 3, labels[1], "axis")
    return sheet
