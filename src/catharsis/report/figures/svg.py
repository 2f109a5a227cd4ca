"""A small SVG sheet. All text is escaped; colours are classes, so that dark mode needs no second drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

from catharsis.report.numbers import MINUS

STYLE = """
svg{--ink:#1d2430;--soft:#5b6675;--line:#e3e7ec;--paper:#fff;--blue:#1f6f8b;--blue2:#9cc7d4;--warm:#c8663b;--grey:#c9d0d8}
@media(prefers-color-scheme:dark){svg{--ink:#e8ecf1;--soft:#9aa6b4;--line:#2b333e;--paper:#12161c;--blue:#6fc2d8;--blue2:#2d5a69;--warm:#e59a73;--grey:#4a5563}}
svg{background:var(--paper)}
"""

CHAR = 6.7  # width of an average character at 12 px, px
SMALL = 6.0  # the same at 11 px


@dataclass
class Sheet:
    """Collects shapes; `svg()` gives the drawing.

    Attributes
    ----------
    width, height : float
        Size of the view box, px.
    title : str
        What the figure shows, for readers who cannot see it.
    """

    width: float
    height: float
    title: str
    parts: list[Markup] = field(default_factory=list)

    def _add(self, tag: str, css: str, tip: str | None = None, **attributes: float | str) -> None:
        given = "".join(f' {name.replace("_", "-")}="{escape(_short(value))}"' for name, value in attributes.items())
        inner = Markup("<title>{}</title>").format(tip) if tip else Markup("")
        self.parts.append(Markup(f'<{tag} class="{escape(css)}"{given}>{inner}</{tag}>'))

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._add("line", css, x1=x1, y1=y1, x2=x2, y2=y2)

    def circle(self, x: float, y: float, r: float, css: str, tip: str | None = None) -> None:
        """A circle."""
        self._add("circle", css, tip, cx=x, cy=y, r=r)

    def rect(self, x: float, y: float, width: float, height: float, css: str, tip: str | None = None) -> None:
        """A rectangle with rounded corners."""
        self._add("rect", css, tip, x=x, y=y, width=width, height=height, rx=3)

    def path(self, points: Sequence[tuple[float, float]], css: str, tip: str | None = None) -> None:
        """A closed shape."""
        self._add("path", css, tip, d="M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in points) + " Z")

    def text(
        self, x: float, y: float, words: str, css: str = "", anchor: str = "start", tip: str | None = None
    ) -> None:
        """A line of text."""
        inner = Markup("<title>{}</title>").format(tip) if tip else Markup("")
        self.parts.append(
            Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}{}</text>').format(
                css, _short(x), _short(y), anchor, inner, words
            )
        )

    def diamond(self, low: float, mid: float, high: float, y: float, css: str, half: float = 7) -> None:
        """The summary diamond."""
        self.path([(low, y), (mid, y - half), (high, y), (mid, y + half)], css)

    def svg(self, style: str = "") -> Markup:
        """The drawing; `style` is put inside for a file that stands alone."""
        head = Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _short(self.width), _short(self.height), self.title
        )
        inside = Markup("<style>{}</style>").format(Markup(style)) if style else Markup("")
        return head + inside + Markup("").join(self.parts) + Markup("</svg>")


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def clipped(words: str, width: float, char: float = CHAR) -> str:
    """The words, cut with an ellipsis where they would not fit into `width` px.

    Examples
    --------
    >>> clipped("United Kingdom of Great Britain", 80)
    'United King…'
    """
    room = int(width / char)
    return words if len(words) <= room + 1 else words[: max(room, 1)] + "…"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that span an axis.

    Examples
    --------
    >>> ticks(-0.1, 2.2)
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    span = high - low
    if not span > 0:
        return [low]
    raw = span / most
    magnitude = 10.0 ** np.floor(np.log10(raw))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= raw)
    first = np.ceil(low / step - 1e-9)
    last = np.floor(high / step + 1e-9)
    return [float(np.round(i * step, 10)) + 0.0 for i in np.arange(first, last + 1)]


def ratio_ticks(low: float, high: float) -> list[float]:
    """Ratios in ascending order that span a log axis; arguments are logs.

    Examples
    --------
    >>> ratio_ticks(-2.4, 0.8)
    [0.1, 0.2, 0.5, 1.0, 2.0]
    """
    steps = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5)]
    found = [float(f"{step:.6g}") for step in steps if low <= np.log(step) <= high]
    return found if len(found) <= 8 else [step for step in found if f"{step:e}"[0] == "1"]


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from data to px.

    Attributes
    ----------
    low, high : float
        Ends, analysis scale.
    left, right : float
        Ends, px.
    """

    low: float
    high: float
    left: float
    right: float

    def x(self, value: float) -> float:
        """Position of a value; beyond the ends it stays at the end."""
        share = (value - self.low) / (self.high - self.low)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def inside(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= value <= self.high

    def draw(self, sheet: Sheet, top: float, bottom: float, marks: list[tuple[float, str]], no_effect: float) -> None:
        """Grid lines with their labels, and the line of no effect."""
        for value, label in marks:
            sheet.line(self.x(value), top, self.x(value), bottom, "grid")
            sheet.text(self.x(value), bottom + 16, label, "tick", "middle")
        if self.inside(no_effect):
            sheet.line(self.x(no_effect), top, self.x(no_effect), bottom, "zero")


def marks(low: float, high: float, back: str, to_reader: Callable[[float], float]) -> list[tuple[float, str]]:
    """Tick positions on the analysis scale with labels on the reader's scale.

    Examples
    --------
    >>> marks(-1.1, 2.2, "none", float)
    [(-1.0, '−1'), (0.0, '0'), (1.0, '1'), (2.0, '2')]
    """
    if back == "exp":
        return [(float(np.log(value)), f"{value:g}") for value in ratio_ticks(low, high)]
    if back == "none":
        return [(value, _mark(value)) for value in ticks(low, high)]
    readers = ticks(float(to_reader(low)), float(to_reader(high)))
    if back == "tanh":
        return [(float(np.arctanh(value)), _mark(value)) for value in readers if abs(value) < 1]
    return [(float(np.log(value / (1 - value))), f"{100 * value:g}%") for value in readers if 0 < value < 1]


def _mark(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)
