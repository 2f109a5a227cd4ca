"""Cells that are possible but look like a slip: they stop a run unless a person waives them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from catharsis.errors import InputError
from catharsis.studies.table import Row

SPREADS = (("sd_change", "n"), ("sd1", "n1"), ("sd2", "n2"))
MIN_PEERS = 3
TOO_SMALL = 3.0  # the SD lies at least this factor below its peers ...
NEAR = 2.0  # ... and times sqrt(n) it comes within this factor of them
RULES = ("se-for-sd",)  # what a waiver may name


def standard_error_for_sd(rows: Sequence[Row]) -> Iterator[tuple[Row, InputError]]:
    """SDs that fit their peers on the same instrument better as standard errors [@gotzsche2007]."""
    spreads: dict[object, list[float]] = {}
    for row in rows:
        for sd, _ in SPREADS:
            if row.get(sd, 0) > 0:
                spreads.setdefault(row.get("outcome"), []).append(row.get(sd))
    for values in spreads.values():
        values.sort()
    for row in rows:
        for sd, n in SPREADS:
            if not row.has(sd, n) or not row.get(sd) > 0:
                continue
            value, all_values = row.get(sd), spreads[row.get("outcome")]
            peers = len(all_values) - 1
            if peers < MIN_PEERS:
                continue
            typical, as_se = median_without(all_values, value), value * row.get(n) ** 0.5
            if typical / value >= TOO_SMALL and max(as_se / typical, typical / as_se) <= NEAR:
                yield row, _finding(row, sd, n, typical, peers)


def median_without(values: Sequence[float], value: float) -> float:
    """The median of ascending values, leaving out one that equals `value`.

    Examples
    --------
    >>> median_without([0.1, 1.0, 1.2, 1.4], 0.1)
    1.2
    """
    gap, middle = bisect_left(values, value), (len(values) - 1) // 2

    def other(position: int) -> float:
        return values[position if position < gap else position + 1]

    return other(middle) if len(values) % 2 == 0 else (other(middle - 1) + other(middle)) / 2


def _finding(row: Row, sd: str, n: str, typical: float, peers: int) -> InputError:
    value = row.get(sd)
    return InputError(
        row.place(sd),
        f"{sd} is {value:g}, while {peers} others on this instrument have about {typical:.3g} ({row.id})",
        f"it is {typical / value:.1f} times too small, and times the root of {n} it would be "
        f"{value * row.get(n) ** 0.5:.3g}: it looks like a standard error",
        f"write {sd.replace('sd', 'se')}: {value:g} if the paper prints a standard error; if it is an SD, waive "
        "with waive: [{rule: se-for-sd, reason: ..., by: ..., date: ...}]",
        "se-for-sd",
    )
