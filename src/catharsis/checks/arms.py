"""Two arms of one effect: SDs that differ too much or too little, and means that differ too much."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from catharsis.checks.peers import DEVIATIONS, spreads_of
from catharsis.checks.rounding import decimals
from catharsis.checks.rules import Finding, let_stand
from catharsis.checks.standardised import effect_of
from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

MANY_EFFECTS = 10  # other samples from which on a table knows what is usual for its outcome
LARGE = 3.0  # |g|: three standard deviations, far beyond what interventions do
RATIO = 4.0  # of the SDs of two arms
SHARE = 1.5  # how far the SDs may differ as shares of their means, when they differ because the means do
MOST = 2.0  # times RATIO: beyond it no means explain it
SURE = 3.0  # standard errors that the logarithm of the ratio must lie from 0
CHANCE = 0.05  # that so many pairs of SDs would print alike


def sd_ratio(row: Row) -> Iterator[InputError]:
    """SDs of two arms that differ beyond what chance and treatment do."""
    arms = {spread.mean: spread for spread in spreads_of(row)}
    if "m1" not in arms or "m2" not in arms:
        return
    large, small = sorted((arms["m1"], arms["m2"]), key=lambda spread: -spread.sd)
    ratio = large.sd / small.sd
    if ratio >= RATIO and not grow_with_means(row) and math.log(ratio) >= SURE * math.hypot(large.error, small.error):
        yield InputError(
            row.place(large.column),
            f"the SDs of the two arms are {arms['m1'].sd:.3g} and {arms['m2'].sd:.3g}, {ratio:.1f} to 1 ({row.id})",
            "arms of one trial rarely differ so much, and the pooled SD would suit neither",
            f"compare both with the paper; {let_stand('sd-ratio')}",
            "sd-ratio",
        )


def grow_with_means(row: Row) -> bool:
    """Whether the SDs of two arms are about the same share of their means, as times, counts and amounts have them."""
    arms = {spread.mean: spread.sd for spread in spreads_of(row)}
    if "m1" not in arms or "m2" not in arms or not row.has("m1", "m2") or row.get("m1") * row.get("m2") <= 0:
        return False
    sds, means = abs(math.log(arms["m1"] / arms["m2"])), abs(math.log(row.get("m1") / row.get("m2")))
    alike = (arms["m1"] > arms["m2"]) == (abs(row.get("m1")) > abs(row.get("m2")))
    return alike and abs(sds - means) <= math.log(SHARE) and sds < math.log(MOST * RATIO)


def usual_effects(table: StudyTable) -> dict[object, tuple[float, float]]:
    """Middle and width of the standardised effects of each outcome that enough samples measured."""
    by_outcome: dict[object, list[tuple[object, float]]] = defaultdict(list)
    for row in table:
        if row.get("kind") == "estimate" and not row.has("exclude") and (found := effect_of(row)) is not None:
            by_outcome[row.get("outcome")].append((row.get("overlap_group"), found.d))
    usual = {}
    for outcome, some in by_outcome.items():
        if len({group for group, _ in some}) >= MANY_EFFECTS:
            middle = median(d for _, d in some)
            usual[outcome] = middle, 1.4826 * median(abs(d - middle) for _, d in some)
    return usual


def _is_usual(d: float, variance: float, usual: tuple[float, float] | None) -> bool:
    return usual is not None and abs(d - usual[0]) <= DEVIATIONS * math.hypot(usual[1], math.sqrt(variance))


def large_effect(row: Row, usual: dict[object, tuple[float, float]]) -> Iterator[InputError]:
    """Standardised effects beyond three standard deviations, unless such effects are usual for the outcome."""
    if row.get("kind") != "estimate" or (found := effect_of(row)) is None:
        return
    g = found.g
    if abs(g) > LARGE and not _is_usual(found.d, found.variance, usual.get(row.get("outcome"))):
        column = next((name for name in ("mean_change", "m1", "t", "d") if row.has(name)), "effect")
        yield InputError(
            row.place(column), f"the standardised difference is {g:.3g} ({row.id})",
            "the two distributions would hardly overlap; a slip in a mean or SD is likelier, or a standard error as SD",
            f"compare means and SDs with the paper; {let_stand('large-effect')}",
            "large-effect",
        )  # fmt: skip


def equal_spreads(table: StudyTable) -> Iterator[Finding]:
    """SDs of two arms that print alike more often than chance lets them."""
    seen: set[tuple[object, ...]] = set()
    expected, alike = 0.0, []
    for row in table:
        if row.has("exclude") or not row.has("sd1", "sd2", "n1", "n2") or min(row.get("n1"), row.get("n2")) < 2:
            continue
        key = row.get("overlap_group"), *(row.get(name) for name in ("m1", "sd1", "n1", "m2", "sd2", "n2"))
        if key in seen or min(row.get("sd1"), row.get("sd2")) <= 0:
            continue
        seen.add(key)
        expected += chance_alike(row)
        if row.get("sd1") == row.get("sd2"):
            alike.append(row)
    if not alike or _at_least(len(alike), expected) > CHANCE:
        return
    for row in alike:
        yield Finding((row,), InputError(
            row.place("sd2"), f"both arms have the SD {_shown(row, 'sd1')} ({row.id})",
            f"{len(alike)} of {len(seen)} pairs of SDs in the table print alike, where chance gives {expected:.2g}: "
            "one may have been copied, or be an SD of all arms",
            f"compare both with the paper; {let_stand('equal-sds')}",
            "equal-sds",
        ))  # fmt: skip


def chance_alike(row: Row) -> float:
    """The chance that two arms of one true SD print the same digits: one unit times the density of the difference."""
    unit = 10.0 ** -min(decimals(_shown(row, name)) for name in ("sd1", "sd2"))
    error = math.hypot(*(1 / math.sqrt(2 * (row.get(n) - 1)) for n in ("n1", "n2")))
    return min(1.0, unit / (float(row.get("sd1")) * error * math.sqrt(2 * math.pi)))


def _shown(row: Row, column: str) -> str:
    return row.printed.get(column, repr(row.get(column)))


def _at_least(count: int, expected: float) -> float:
    """The chance of at least `count` rare events where `expected` are expected (Poisson)."""
    term = below = math.exp(-expected)
    for i in range(1, count):
        term *= expected / i
        below += term
    return max(0.0, 1 - below)
