"""What printed digits say: a number stands for every value that would be printed so.

0.50 is anything from 0.495 to 0.505, 0.5 anything from 0.45 to 0.55. Checks compare such intervals, so that a paper is
never accused of its rounding. Cutting off instead stays within one unit of the last digit, which `slack` allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?")


@dataclass(frozen=True, slots=True)
class Range:
    """All the values that a printed number may stand for."""

    low: float
    high: float

    def meets(self, other: Range) -> bool:
        """Whether both may stand for one value."""
        return self.low <= other.high and other.low <= self.high

    def scaled(self, factor: float) -> Range:
        """The range of the product with an exact number."""
        ends = (self.low * factor, self.high * factor)
        return Range(min(ends), max(ends))


def decimals(text: str) -> int:
    """Digits after the point of a printed number; negative when it is printed in thousands (12e3).

    Examples
    --------
    >>> decimals("0.50"), decimals(".5"), decimals("12"), decimals("1.5e-3")
    (2, 1, 0, 4)
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return 0
    return len(found[2] or "") - int(found[3] or 0)


def printed_range(value: float, text: str | None, slack: float = 0.5) -> Range:
    """The values that may have been printed as `text`.

    Parameters
    ----------
    value : float
        The number.
    text : str or None
        Its digits; None for a number that was computed and is exact.
    slack : float
        Units of the last digit on either side: 0.5 for rounding, 1 also for cutting off.

    Examples
    --------
    >>> printed_range(0.5, "0.50")
    Range(low=0.495, high=0.505)
    """
    if text is None:
        return Range(value, value)
    half = slack * 10.0 ** -decimals(text)
    return Range(value - half, value + half)
