"""Spreads and means that look like a slip: a standard error for an SD, an SD for a standard error, a slipped point."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from catharsis.checks.arms import LARGE, grow_with_means, large_effect, sd_ratio, usual_effects
from catharsis.checks.impossible import GROUPS, largest_sd
from catharsis.checks.peers import (
    ARMS,
    DEVIATIONS,
    FLOOR,
    MIN_PEERS,
    NEAR,
    Company,
    Logs,
    Peers,
    Spread,
    is_change,
    spreads_of,
)
from catharsis.checks.printed_tests import borne_out
from catharsis.checks.rules import Finding, let_stand
from catharsis.checks.standardised import effect_of
from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

AGREE = 0.5  # log units: means that vary by more are not of one instrument
MIN_SIZES = 5  # other samples whose arms show how people were divided
HOLDS_N = ("t", "F", "p", "df", "df2", "d_se", "d_low", "vi", "sei")
UNEVEN = 5.0  # times that the arms of a sample must be more unlike than those of others
FAR_MEAN = 2.0  # SDs that a slipped point must have moved a mean; people differ by less without any slip
CLOSER = 0.55  # of the distance to its peers (in log units): what the other reading of a spread may leave of it
SCALE_SHARE = (0.15, 0.95)  # of the largest SD that the scale allows: where SDs lie
SCALE_SMALL = 0.1  # ... and where they do not


def odd_spreads(table: StudyTable) -> Iterator[Finding]:
    """Spreads and effects that look like a slip: se-for-sd, sd-for-se, decimal-shift, sd-ratio and large-effect.

    A row whose spread is explained is not accused once more of what follows from it.
    """
    company = Company(table)
    explained: set[str] = set()
    for spread in company.all:
        problem = _odd(spread, company)
        if problem is not None:
            explained.add(spread.row.id)
            yield Finding((spread.row,), problem)
    for finding in _odd_effects(company, explained):
        explained.add(finding.rows[0].id)
        yield finding
    for finding in _odd_means(company):
        explained.add(finding.rows[0].id)
        yield finding
    yield from _odd_sizes(table)
    usual = usual_effects(table)
    for row in table:
        if row.id not in explained and not row.has("exclude"):
            yield from (Finding((row,), problem) for problem in (*sd_ratio(row), *large_effect(row, usual)))


def _odd(spread: Spread, company: Company) -> InputError | None:
    """The best explanation of a spread that stands out, if there is one."""
    held = company.peers(spread)
    for peers, value, otherwise in held:
        if not peers.away(value, spread.error):
            continue
        small = value < peers.typical
        if company.other_scale(spread) or borne_out(spread.row) or (peers.few and grow_with_means(spread.row)):
            return None
        off, other = abs(math.log(value / peers.typical)), abs(math.log(otherwise / peers.typical))
        swapped = small == spread.printed_as_sd and other <= CLOSER * off and _passes(otherwise, peers)
        shifts = [power for power in (-2, -1, 1, 2) if peers.near(value * 10.0**power, 1.5)]
        best = min((abs(math.log(value * 10.0**power / peers.typical)), power) for power in shifts) if shifts else None
        if swapped and (best is None or other <= best[0] + math.log(1.3)):  # the commoner slip when both would do
            return _swapped(spread, peers, value)
        if best is not None and not _both_spread(spread, peers, value):
            return _shifted(spread.row, spread.column, best[1], peers.typical * _scale(spread, value), peers.words)
    return _against_scale(spread, company.table) if not held else None


def _passes(value: float, peers: Peers) -> bool:
    """Whether a value would pass among its peers, who may themselves lie far apart."""
    return peers.near(value, 1.6 if peers.few else max(NEAR, math.exp(peers.width)))


def _both_spread(spread: Spread, peers: Peers, value: float) -> bool:
    """Whether the other arm lies nearer to this spread than to the peers: a point slips in one cell, not in two."""
    others = [other for other in spreads_of(spread.row) if other.column != spread.column and not is_change(other)]
    return any(
        abs(math.log(other.sd / spread.sd)) < abs(math.log(other.sd * value / spread.sd / peers.typical))
        for other in others
    )


def _scale(spread: Spread, value: float) -> float:
    """From the scale that peers are compared on back to that of the cell."""
    return float(spread.row.get(spread.column)) / value


def _swapped(spread: Spread, peers: Peers, value: float) -> InputError:
    """A standard error under the name of an SD, or the other way round."""
    row, column, printed = spread.row, spread.column, float(spread.row.get(spread.column))
    typical = peers.typical * spread.sd / value
    factor = max(peers.typical / value, value / peers.typical)
    root = "the root of " + _count_of(spread)
    have = "have" if "other arm" not in peers.words else "has"
    what = f"{column} is {printed:g}, while {peers.words} {have} about {typical:.3g} ({row.id})"
    if spread.printed_as_sd:
        return InputError(
            row.place(column), what,
            f"it is {factor:.1f} times too small, and times {root} it would be {spread.otherwise:.3g}: "
            "it looks like a standard error",
            f"write {column.replace('sd', 'se')}: {printed:g} if the paper prints a standard error; "
            f"{let_stand('se-for-sd')}",
            "se-for-sd",
        )  # fmt: skip
    return InputError(
        row.place(column),
        f"{column} is {printed:g}, an SD of {spread.sd:.3g}, while {peers.words} {have} about {typical:.3g} ({row.id})",
        f"that is {factor:.1f} times too large, and as an SD it would fit: it looks like a standard deviation",
        f"write {column.replace('se', 'sd')}: {printed:g} if the paper prints an SD; {let_stand('sd-for-se')}",
        "sd-for-se",
    )


def _count_of(spread: Spread) -> str:
    return next(n for _, sd, se, n in ARMS if spread.column in (sd, se))


def _shifted(row: Row, column: str, power: int, typical: float, words: str) -> InputError:
    value, times = float(row.get(column)), 10 ** abs(power)
    have = "has" if "other arm" in words else "have"
    return InputError(
        row.place(column), f"{column} is {value:g}, while {words} {have} about {typical:.3g} ({row.id})",
        f"it is about {times} times too {'small' if power > 0 else 'large'}: the decimal point may have slipped",
        f"write {column}: {value * 10.0**power:g} if the paper prints that; {let_stand('decimal-shift')}",
        "decimal-shift",
    )  # fmt: skip


def _against_scale(spread: Spread, table: StudyTable) -> InputError | None:
    """An SD without peers against the largest that its scale allows."""
    outcome, row = table.dictionary.outcomes.get(str(spread.row.get("outcome"))), spread.row
    if outcome is None or outcome.range is None or not spread.printed_as_sd or not row.has(spread.mean):
        return None
    low, high = outcome.range
    mean = float(row.get(spread.mean))
    if not low < mean < high:
        return None
    top = largest_sd(mean, low, high, spread.size)
    if spread.sd / top > SCALE_SMALL or not SCALE_SHARE[0] <= spread.otherwise / top <= SCALE_SHARE[1]:
        return None
    return InputError(
        row.place(spread.column),
        f"{spread.column} is {spread.sd:g}, though scores lie between {low:g} and {high:g} ({row.id})",
        f"everybody would have scored within a small part of the scale; times the root of {_count_of(spread)} it would "
        f"be {spread.otherwise:.3g}: it looks like a standard error",
        f"write {spread.column.replace('sd', 'se')}: {spread.sd:g} if the paper prints a standard error; "
        f"{let_stand('se-for-sd')}",
        "se-for-sd",
    )


def _odd_effects(company: Company, explained: set[str]) -> Iterator[Finding]:
    """Effects that stand out from other samples, and would not if their SDs were standard errors.

    This is what is left when every study has an instrument of its own.
    """
    by_outcome: dict[object, list[tuple[Row, float, float]]] = defaultdict(list)
    for row in company.table:
        if not row.has("exclude") and row.get("kind") == "estimate" and (found := effect_of(row)) is not None:
            by_outcome[row.get("outcome")].append((row, found.d, found.variance))
    for some in by_outcome.values():
        if len({row.get("overlap_group") for row, _, _ in some}) <= MIN_PEERS + 1:
            continue
        values = sorted(d for _, d, _ in some)
        middle = median(values)
        width = max(0.2, 1.4826 * median(abs(d - middle) for d in values))  # 0.2: effects differ by so much anywhere
        for row, d, v in some:
            other = effect_of(row, as_errors=True)
            if row.id in explained or other is None or abs(d) < 1 or not any(row.has(sd) for _, sd, _, _ in ARMS):
                continue
            if borne_out(row):
                continue
            far = abs(d - middle) / math.hypot(width, math.sqrt(v))
            if far > 4 and abs(other[0] - middle) / math.hypot(width, math.sqrt(other[1])) < 2:
                yield Finding((row,), _effect_of_errors(row, d, middle, len(some) - 1, other[0]))


def _effect_of_errors(row: Row, d: float, middle: float, others: int, otherwise: float) -> InputError:
    column = next(sd for _, sd, _, _ in ARMS if row.has(sd))
    n = next(n for _, sd, _, n in ARMS if sd == column)
    return InputError(
        row.place(column),
        f"the difference is {d:.3g} of its SDs, while {others} others of this outcome have about {middle:.3g} "
        f"({row.id})",
        f"read as standard errors of {n} people the SDs would make it {otherwise:.3g}: they look like standard errors",
        f"write {column.replace('sd', 'se')}: if the paper prints standard errors; {let_stand('se-for-sd')}",
        "se-for-sd",
    )


def _odd_means(company: Company) -> Iterator[Finding]:
    """Means a factor of 10 or 100 from their peers."""
    logs: dict[tuple[object, ...], Logs] = defaultdict(Logs)
    cells = [(row, m, sd) for row in company.table if not row.has("exclude") for m, sd, _, _ in GROUPS if row.get(m)]
    for row, m, _ in cells:
        logs[row.get("outcome"), row.get("measured"), row.get(m) > 0].add(row.get("overlap_group"), abs(row.get(m)))
    for row, m, _ in cells:
        value = abs(float(row.get(m)))
        key = row.get("outcome"), row.get("measured"), row.get(m) > 0
        found = logs[key].without(row.get("overlap_group"), value)
        if found is None:
            peers = _other_mean(row, m)
        else:
            peers = Peers(found[0], found[1], f"{found[2]} others on this instrument")
        if (
            peers is None
            or peers.width > AGREE
            or not peers.away(value, 0.0)
            or (found is not None and _both_far(row, m, peers))
        ):
            continue
        shifts = [power for power in (-2, -1, 1, 2) if peers.near(value * 10.0**power, 1.5)]
        if len(shifts) == 1 and abs(value - value * 10.0 ** shifts[0]) >= FAR_MEAN * _spread_of(row, m):
            typical = peers.typical if row.get(m) > 0 else -peers.typical
            yield Finding((row,), _shifted(row, m, shifts[0], typical, peers.words))


def _spread_of(row: Row, m: str) -> float:
    """The SD around a mean; 0 when the row has none."""
    return next((spread.sd for spread in spreads_of(row) if spread.mean == m), 0.0)


def _both_far(row: Row, m: str, peers: Peers) -> bool:
    """Whether the other arm lies nearer to this mean than to the peers: then the study has another scale or event."""
    other = abs(float(row.get("m2" if m == "m1" else "m1", 0)))
    return other > 0 and abs(math.log(other / abs(row.get(m)))) < abs(math.log(other / peers.typical))


def _odd_sizes(table: StudyTable) -> Iterator[Finding]:
    """Two arms of which one is 10 or 100 times too large or small, where other samples have arms of like sizes."""
    by_outcome: dict[object, list[tuple[Row, float]]] = defaultdict(list)
    for row in table:
        if row.has("n1", "n2") and not row.has("exclude") and min(row.get("n1"), row.get("n2")) > 0:
            by_outcome[row.get("outcome")].append((row, math.log(row.get("n1") / row.get("n2"))))
    for some in by_outcome.values():
        if len({row.get("overlap_group") for row, _ in some}) <= MIN_SIZES:
            continue
        middle = median(value for _, value in some)
        width = max(FLOOR, 1.4826 * median(abs(value - middle) for _, value in some))
        for row, value in some:
            if any(map(row.has, HOLDS_N)):
                continue  # n is held against these, by rules that need no peers
            off = abs(value - middle)
            left = min(abs(off - power * math.log(10)) for power in (1, 2))
            if off >= math.log(UNEVEN) and off >= DEVIATIONS * width and left <= math.log(NEAR):
                yield Finding((row,), _uneven(row, middle, len(some) - 1))


def _uneven(row: Row, middle: float, others: int) -> InputError:
    ratio = math.exp(abs(middle))
    have = "arms of like sizes" if ratio < 1.2 else f"arms of about {ratio:.1f} to 1"
    return InputError(
        row.place("n1"), f"n1 is {row.get('n1')} and n2 {row.get('n2')}, while {others} others have {have} ({row.id})",
        "a digit too many or too few in one of them would explain it",
        f"compare both with the paper; {let_stand('decimal-shift')}",
        "decimal-shift",
    )  # fmt: skip


def _other_mean(row: Row, m: str) -> Peers | None:
    """The other arm as the only peer of a mean: it speaks when nothing but a slip brings the two so far apart."""
    other = "m2" if m == "m1" else "m1"
    found = effect_of(row)
    if found is None or abs(found[0]) <= LARGE or not row.has(m, other) or row.get(m) * row.get(other) <= 0:
        return None
    return Peers(abs(float(row.get(other))), FLOOR, "the other arm", few=True)
