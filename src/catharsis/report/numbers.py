"""Numbers as readers see them: rounding, minus signs, intervals, p values."""

from __future__ import annotations

import math

MINUS = "−"


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A rounded number with a true minus sign; a dash when there is none.

    Examples
    --------
    >>> number(-0.2087), number(0.6494, sign=True), number(float("nan"))
    ('−0.21', '+0.65', '–')
    """
    if not math.isfinite(value):
        return "∞" if value == math.inf else "–"
    text = f"{abs(value):.{digits}f}"
    zero = float(text) == 0
    lead = "" if zero else MINUS if value < 0 else "+" if sign else ""
    return lead + text


def interval(low: float, high: float, digits: int = 2) -> str:
    """Limits in words.

    Examples
    --------
    >>> interval(-0.052, 0.307)
    '−0.05 to 0.31'
    """
    return f"{number(low, digits)} to {number(high, digits)}"


def bracket(low: float, high: float, digits: int = 2) -> str:
    """Limits as APA prints them.

    Examples
    --------
    >>> bracket(-0.052, 0.307)
    '[−0.05, 0.31]'
    """
    return f"[{number(low, digits)}, {number(high, digits)}]"


def p_value(p: float) -> str:
    """The p value as APA prints it.

    Examples
    --------
    >>> p_value(0.18135), p_value(0.0000004), p_value(0.00274)
    ('p = .181', 'p < .001', 'p = .003')
    """
    if not math.isfinite(p):
        return "p not defined"
    if p < 0.0005:
        return "p < .001"
    return "p = 1.000" if p > 0.9995 else f"p = {f'{p:.3f}'.lstrip('0')}"


def count(n: int | float, one: str, many: str | None = None) -> str:
    """A counted noun with thousands separated.

    Examples
    --------
    >>> count(1, "country", "countries"), count(1042, "person", "people")
    ('1 country', '1,042 people')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listing(items: list[str], last: str = "and") -> str:
    """Items as a sentence lists them.

    Examples
    --------
    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""


def capital(text: str) -> str:
    """The first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]
