"""Measurements before and after: the correlation that their SDs imply."""

from __future__ import annotations

import math
from collections.abc import Iterator

from catharsis.checks.rounding import Range, printed_range
from catharsis.checks.rules import Finding, let_stand
from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

R_LOW, R_HIGH = 0.0, 0.99  # correlations of before and after that repeated measures of people have


def implied_r(row: Row) -> Range | None:
    """The correlation of before and after that the SDs before, after and of the change imply, by their digits."""
    if not row.has("sd1", "sd2", "n") or min(row.get("sd1"), row.get("sd2")) <= 0 or row.get("n") < 2:
        return None
    change, root = None, math.sqrt(row.get("n"))
    if row.has("sd_change"):
        change = _range(row, "sd_change")
    elif row.has("se_change"):
        change = _range(row, "se_change").scaled(root)
    if change is None:
        return None
    found = [
        (a * a + b * b - c * c) / (2 * a * b)
        for a in _ends(_range(row, "sd1"))
        for b in _ends(_range(row, "sd2"))
        for c in _ends(change)
        if a > 0 and b > 0
    ]
    return Range(min(found), max(found)) if found else None


def _range(row: Row, column: str) -> Range:
    return printed_range(float(row.get(column)), row.printed.get(column))


def _ends(range_: Range) -> tuple[float, float]:
    return range_.low, range_.high


def odd_correlations(table: StudyTable) -> Iterator[Finding]:
    """Correlations of before and after that repeated measures of people do not have."""
    for row in table:
        r = implied_r(row)
        column = "sd_change" if row.has("sd_change") else "se_change"
        if r is None and row.has("r", "n") and (row.has("mean_change") or row.has("sd1", "sd2")):
            r, column = _range(row, "r"), "r"  # beside means of one group, r is the correlation of its two measurements
        if r is None or row.has("exclude") or row.get("n") < 2:
            continue
        slack = 2 / math.sqrt(row.get("n"))  # two standard errors of a correlation of 0
        if r.high + slack < R_LOW or r.low > R_HIGH:
            said = f"{(r.low + r.high) / 2:.2f}" if r.high - r.low < 0.2 else f"{r.low:.2f} to {r.high:.2f}"
            beyond = abs(r.low) > 1 and abs(r.high) > 1 and r.low * r.high > 0
            yield Finding((row,), InputError(
                row.place(column), f"before and after would correlate {said} ({row.id})",
                "no correlation lies there: the SD of the change does not belong to these SDs" if beyond
                else "people keep part of their rank between two measurements, and never all of it",
                f"compare the SDs before, after and of the change with the paper; {let_stand('implausible-r')}",
                "implausible-r",
            ))  # fmt: skip
