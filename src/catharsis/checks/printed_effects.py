"""Printed effect sizes and variances against the numbers that they come from.

d against means, t, r and counts; its standard error and interval against the number of people; yi and vi against every
measure that the row's own numbers lead to. What measure a yi is on is not asked: it is told only when it fits none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from catharsis.checks.printed_tests import finding, one_degree, within_people
from catharsis.checks.recomputation import (
    CHANGE,
    CUT_OFF,
    Candidate,
    cell,
    d_of_groups,
    d_variances,
    fits,
    one_group_variances,
    over,
    rows_of,
    sd_of,
    sign_of,
    sizes,
    told,
    two_groups,
    ways,
    widened,
    with_g,
)
from catharsis.checks.rounding import Range
from catharsis.checks.rules import Finding
from catharsis.studies.table import Row, StudyTable

Z95 = 1.959963984540054
FORMULAS = 0.02  # relative: how far published variances of one measure differ beyond those tried
HALFWAY = 0.1  # of the width: how far d may stand from the middle of its interval (noncentral intervals lean)


# -- d ------------------------------------------------------------------------------------------------


def expected_d(row: Row) -> list[tuple[str, list[Candidate]]]:
    """The d that each other part of the row leads to, under the name of that part."""
    found: list[tuple[str, list[Candidate]]] = []
    groups = two_groups(row)
    if groups is not None and not within_people(row):  # of paired means d may be over the SD of the differences
        found.append(("the means and SDs", d_of_groups(groups)))
    sd = sd_of(row, CHANGE) if row.has("mean_change", "n") and row.get("n") > 1 else None
    if sd is not None and not row.has("n1", "n2"):
        d = over(lambda mean, spread: mean / spread, cell(row, "mean_change"), sd)
        found.append(("the mean change and its SD", with_g("over its SD", d, row.get("n") - 1)))
    found += [(name, candidates) for name, candidates in (_d_of_t(row), _d_of_counts(row)) if candidates]
    return found


def _d_of_t(row: Row) -> tuple[str, list[Candidate]]:
    statistic = next((name for name in ("t", "F") if row.has(name)), None)
    if statistic is None or not one_degree(row) or row.get(statistic) == 0:
        return "", []
    t = cell(row, statistic)
    if statistic == "F":
        t = Range(math.sqrt(max(t.low, 0.0)), math.sqrt(max(t.high, 0.0)))
    if row.has("n1", "n2") and min(row.get("n1"), row.get("n2")) > 0:
        n1, n2 = row.get("n1"), row.get("n2")
        if within_people(row):
            return "", []  # d of a paired t needs the correlation, or the SD of the differences
        return statistic, with_g("two groups", t.scaled(math.sqrt(1 / n1 + 1 / n2)), n1 + n2 - 2)
    if row.has("n") and row.get("n") > 2 and row.get("test") in (None, "unstated", "one-sample"):
        n = row.get("n")
        found = with_g("one group", t.scaled(1 / math.sqrt(n)), n - 1)
        if row.get("test") != "one-sample":  # nothing says that it is one group
            equal = t.scaled(2 / math.sqrt(n))
            upper = Range(min(equal.low, t.scaled(2).low), max(equal.high, t.scaled(2).high))
            found += [Candidate("two groups", upper)]
        return statistic, found
    return "", []


def _d_of_counts(row: Row) -> tuple[str, list[Candidate]]:
    table = _two_by_two(row)
    if table is None or 0 in table:
        return "", []
    a, b, c, d = table
    log_odds = math.log(a * d / (b * c))
    factors = (math.sqrt(3) / math.pi, 1 / 1.65, 1 / 1.81)
    return "the counts", [Candidate("from the odds ratio", Range(log_odds * f, log_odds * f)) for f in factors]


def d_against_numbers(table: StudyTable) -> Iterator[Finding]:
    """A d that means, t or counts do not give."""
    for row in rows_of(table):
        if row.has("d"):
            yield from _effect_misfit(row, "d", expected_d(row), "d-against-numbers")


def _effect_misfit(
    row: Row, column: str, sources: Sequence[tuple[str, list[Candidate]]], rule: str
) -> Iterator[Finding]:
    """The first source that the printed effect does not fit; a fit with the other sign is told as such."""
    target = cell(row, column, CUT_OFF)
    for source, candidates in sources:
        if not candidates or fits(target, candidates):
            continue
        sized = [Candidate(item.way, sizes(item.range)) for item in candidates]
        if fits(sizes(target), sized):
            if source == "F" or sign_of(target) == 0 or source == "the counts":
                continue
            yield finding(
                row, column, f"{told(row, column)}, but {source} give{_s(source)} {ways(candidates)}: the other sign",
                "the two groups changed places in one of them",
                f"turn the sign of {column}, or swap the two groups; which way is up is said once, by higher_is: in "
                "analysis.yaml", "sign-contradiction",
            )  # fmt: skip
        else:
            yield finding(
                row, column, f"{told(row, column)}, but {source} give{_s(source)} {ways(candidates)}",
                "both are the same difference, so one of the numbers is wrong",
                f"check {source} and {column} against the paper; if {column} comes from a model with covariates, keep "
                "only what belongs to it", rule,
            )  # fmt: skip
        return


def _s(source: str) -> str:
    return "" if " and " in source or source.endswith(("counts", "numbers")) else "s"


# -- the error of d -----------------------------------------------------------------------------------


def expected_d_se(row: Row) -> tuple[str, list[Candidate]] | None:
    """The standard error that d and the number of people allow, over the formulas in use."""
    d = cell(row, "d")
    if row.has("n1", "n2") and min(row.get("n1"), row.get("n2")) > 1 and not within_people(row):
        n1, n2 = row.get("n1"), row.get("n2")
        found = [Candidate("pooled SD", _root(d_variances(d, n1, n2)))]
        size = sizes(d)
        for people in (n2, n1):  # one group's SD as the standardiser
            squares = [1 / n1 + 1 / n2 + end**2 / (2 * (people - 1)) for end in (size.low, size.high)]
            found.append(Candidate("one group's SD", _root(widened(Range(*squares), FORMULAS / 2))))
        return f"n1 {n1} and n2 {n2}", found
    if row.has("n") and row.get("n") > 2 and row.get("test") == "one-sample":
        return f"n {row.get('n')}", [Candidate("one group", _root(one_group_variances(d, row.get("n"))))]
    return None


def _root(values: Range) -> Range:
    return Range(math.sqrt(max(values.low, 0.0)), math.sqrt(max(values.high, 0.0)))


def d_error(table: StudyTable) -> Iterator[Finding]:
    """A standard error or interval of d that the number of people, or the other one, does not give."""
    for row in rows_of(table):
        if not row.has("d"):
            continue
        expected = expected_d_se(row)
        if row.has("d_se") and expected is not None:
            people, candidates = expected
            if not fits(cell(row, "d_se", CUT_OFF), candidates):
                yield finding(
                    row, "d_se", f"{told(row, 'd_se')}, but d and {people} give {ways(candidates, 1)}",
                    "the error of d follows from d and the number of people; is it the variance, or the SD?",
                    "check d_se and the group sizes against the paper; for a model with covariates or repeated "
                    "measures, waive with that reason", "d-error",
                )  # fmt: skip
        if row.has("d_low", "d_high") and row.get("d_low") < row.get("d_high"):
            yield from _interval(row, expected)


def _interval(row: Row, expected: tuple[str, list[Candidate]] | None) -> Iterator[Finding]:
    low, high, d = cell(row, "d_low", CUT_OFF), cell(row, "d_high", CUT_OFF), cell(row, "d", CUT_OFF)
    width = Range(max(high.low - low.high, 0.0), high.high - low.low)
    printed = f"the interval is {row.get('d_low'):g} to {row.get('d_high'):g}"
    if row.has("d_se"):
        implied = [Candidate("2 x 1.96 SE", cell(row, "d_se", CUT_OFF).scaled(2 * Z95 * 1.0))]
        if not fits(widened(width, FORMULAS), [Candidate(c.way, widened(c.range, FORMULAS)) for c in implied]):
            yield finding(
                row, "d_low", f"{printed}, a width of {row.get('d_high') - row.get('d_low'):.4g}, but d_se gives "
                f"{ways(implied)}", "a 95% interval is the estimate plus and minus 1.96 standard errors",
                "check d_ci and d_se; an interval of 90% or 99% has to be turned into one of 95% first", "d-error",
            )  # fmt: skip
            return
    elif expected is not None:
        # from the normal quantile to Student's
        upper = 2 * _widest(row)
        implied = [Candidate(c.way, Range(c.range.low * 2 * Z95, c.range.high * upper)) for c in expected[1]]
        if not fits(width, implied):
            yield finding(
                row, "d_low", f"{printed}, a width of {row.get('d_high') - row.get('d_low'):.4g}, but d and "
                f"{expected[0]} give {ways(implied, 1)}",
                "the width of an interval follows from d and the number of people",
                "check d_ci and the group sizes; an interval of 90% or 99% has to be turned into one of 95% first",
                "d-error",
            )  # fmt: skip
            return
    middle = Range((low.low + high.low) / 2, (low.high + high.high) / 2)
    room = HALFWAY * (row.get("d_high") - row.get("d_low"))
    if not d.meets(Range(middle.low - room, middle.high + room)):
        yield finding(
            row, "d", f"{told(row, 'd')}, but {printed} with its middle at {(middle.low + middle.high) / 2:.4g}",
            "an interval of a standardised difference lies about evenly around it",
            "check d and both limits for a slip of the decimal point or of a sign", "d-error",
        )  # fmt: skip


def _widest(row: Row) -> float:
    from scipy import special

    people = row.get("n1") + row.get("n2") - 2 if row.has("n1", "n2") else row.get("n") - 1
    return float(special.stdtrit(people, 0.975))


# -- yi and vi ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Size:
    """One measure that a row leads to: its yi, and its vi over the formulas in use."""

    measure: str
    yi: Range
    vi: Range


def expected_sizes(row: Row) -> list[Size]:
    """Every effect size that the row's own numbers lead to."""
    return [*_of_means(row), *_of_change(row), *_of_counts(row), *_of_r(row), *_of_d(row)]


def _corner_size(measure: str, formulas: Sequence[Callable[..., Any]], box: Sequence[Range]) -> Size | None:
    """A measure over a box of ranges; several formulas differ in their variance only."""
    import numpy as np

    corners = np.array(list(product(*((item.low, item.high) for item in box)))).T
    y, v = [], []
    with np.errstate(all="ignore"):
        for formula in formulas:
            yi, vi = formula(*corners)
            y += [float(np.min(yi)), float(np.max(yi))]
            v += [float(np.min(vi)), float(np.max(vi))]
    if not all(math.isfinite(value) for value in (*y, *v)):
        return None
    return Size(measure, Range(min(y), max(y)), widened(Range(min(v), max(v)), FORMULAS))


def _of_means(row: Row) -> list[Size]:
    import numpy as np

    from catharsis.effects import mean_differences as means
    from catharsis.effects import variability as vary

    groups = two_groups(row)
    if groups is None or groups.n1 + groups.n2 <= 4:
        return []
    n1, n2 = np.asarray(float(groups.n1)), np.asarray(float(groups.n2))

    def md(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return means.mean_difference(m1, a, n1, m2, b, n2)

    def md_pooled(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return means.mean_difference(m1, a, n1, m2, b, n2, "HO")

    def vr(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return vary.log_variability_ratio(a, n1, b, n2)

    def cvr(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return vary.log_cv_ratio(m1, a, n1, m2, b, n2)

    def rom(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return vary.log_ratio_of_means(m1, a, n1, m2, b, n2, correct=True)

    def rom_plain(m1: Any, m2: Any, a: Any, b: Any) -> Any:
        return vary.log_ratio_of_means(m1, a, n1, m2, b, n2, correct=False)

    box = groups.box()
    found = [
        _corner_size("MD", (md,), box),
        _corner_size("MD, pooled SD", (md_pooled,), box),
        _corner_size("ROM", (rom,), box), _corner_size("ROM", (rom_plain,), box),
        _corner_size("VR", (vr,), box), _corner_size("CVR", (cvr,), box),
    ]  # fmt: skip
    sizes_found = [item for item in found if item is not None]
    if within_people(row):  # the correlation of the two measurements, which the variance needs, is not in the row
        sizes_found = [Size(item.measure, item.yi, Range(0.0, math.inf)) for item in sizes_found]
    else:
        for item in d_of_groups(groups):
            people = {"SD of group 1": groups.n1, "SD of group 2": groups.n2}.get(item.way.split(",")[0])
            variance = d_variances(item.range, groups.n1, groups.n2, people)
            sizes_found.append(Size(f"SMD, {item.way}", item.range, _with_unequal(variance, item.range, groups)))
    return sizes_found


def _with_unequal(variance: Range, d: Range, groups: Any) -> Range:
    """The variance of d also when the two groups' variances differ (SMDH and SMD1H, Bonett)."""
    import numpy as np

    from catharsis.effects import mean_differences as means

    ends = [variance.low, variance.high]
    n1, n2 = np.asarray(float(groups.n1)), np.asarray(float(groups.n2))
    if min(groups.n1, groups.n2) > 2:
        for size in (d.low, d.high):
            for a, b in product((groups.sd1.low, groups.sd1.high), (groups.sd2.low, groups.sd2.high)):
                a_, b_ = np.asarray(a), np.asarray(b)
                for vtype in ("LS", "LS2"):
                    ends.append(float(means.heteroscedastic_mean_difference(
                        np.asarray(size), a_, n1, b_, n2, correct=False, vtype=vtype)[1]))  # fmt: skip
    return Range(min(ends), max(ends))


def _of_change(row: Row) -> list[Size]:
    if not row.has("mean_change", "n") or row.has("n1", "n2") or row.get("n") < 3:
        return []
    sd, n, mean = sd_of(row, CHANGE), row.get("n"), cell(row, "mean_change")
    if sd is None:
        return []
    found = [Size("MC", mean, widened(Range(sd.low**2 / n, sd.high**2 / n), FORMULAS))]
    d = over(lambda m, s: m / s, mean, sd)
    return found + [Size(f"SMCC, {c.way}", c.range, one_group_variances(c.range, n)) for c in with_g("d", d, n - 1)]


def _two_by_two(row: Row) -> tuple[float, float, float, float] | None:
    if not row.has("events1", "n1", "events2", "n2"):
        return None
    a, n1, c, n2 = (float(row.get(name)) for name in ("events1", "n1", "events2", "n2"))
    return (a, n1 - a, c, n2 - c) if a <= n1 and c <= n2 and n1 > 0 and n2 > 0 else None


def _of_counts(row: Row) -> list[Size]:
    import numpy as np

    from catharsis.effects import proportions as prop
    from catharsis.effects.zero_cells import filled

    two = _two_by_two(row)
    if two is not None:
        cells = tuple(np.asarray(value) for value in two)
        formulas: dict[str, Callable[..., Any]] = {
            "log RR": prop.log_risk_ratio, "log OR": prop.log_odds_ratio, "RD": prop.risk_difference,
            "arcsine difference": prop.arcsine_difference, "Peto's log OR": prop.peto_log_odds_ratio,
        }  # fmt: skip
    else:
        single = _one_share(row)
        if single is None:
            return []
        cells = tuple(np.asarray(value) for value in single)
        formulas = {
            "logit": prop.logit_proportion, "share": prop.proportion, "log share": prop.log_proportion,
            "arcsine": prop.arcsine_proportion, "double arcsine": prop.double_arcsine_proportion,
        }  # fmt: skip
    found = []
    with np.errstate(all="ignore"):
        for name, formula in formulas.items():
            for tables, how in ((cells, ""), (filled(cells, to="all")[0], " + 1/2")):
                yi, vi = (float(value) for value in formula(*tables))
                if math.isfinite(yi) and math.isfinite(vi):
                    found.append(Size(name + how, Range(yi, yi), widened(Range(vi, vi), FORMULAS)))
    return found


def _one_share(row: Row) -> tuple[float, float] | None:
    """Events and the others of one group."""
    if row.has("better", "same", "worse"):
        return float(row.get("better")), float(row.get("same") + row.get("worse"))
    if row.has("events1", "n1") and not row.has("events2") and row.get("events1") <= row.get("n1"):
        return float(row.get("events1")), float(row.get("n1") - row.get("events1"))
    return None


def _of_r(row: Row) -> list[Size]:
    if not row.has("r", "n") or not abs(row.get("r")) < 1 or row.get("n") <= 3:
        return []
    import numpy as np

    from catharsis.effects import correlations as cor

    n, r = np.asarray(float(row.get("n"))), cell(row, "r")
    r = Range(max(r.low, -1 + 1e-9), min(r.high, 1 - 1e-9))
    formulas: dict[str, tuple[Callable[..., Any], ...]] = {
        "Fisher's z": (lambda x: cor.fisher_z(x, n),), "r": (lambda x: cor.correlation(x, n),),
    }  # fmt: skip
    if row.get("n") > 4:
        formulas["r, unbiased"] = (lambda x: cor.unbiased_correlation(x, n),)
    found = [_corner_size(name, items, (r,)) for name, items in formulas.items()]
    return [item for item in found if item is not None]


def _of_d(row: Row) -> list[Size]:
    if not row.has("d"):
        return []
    d = cell(row, "d")
    people = row.get("n1") + row.get("n2") - 2 if row.has("n1", "n2") else row.get("n", 3) - 1
    candidates = with_g("d", d, people)
    if row.has("d_se"):
        se = cell(row, "d_se", CUT_OFF)
        vi = widened(Range(max(se.low, 0.0) ** 2, se.high**2), FORMULAS)
    elif row.has("n1", "n2") and min(row.get("n1"), row.get("n2")) > 1 and not within_people(row):
        vi = d_variances(d, row.get("n1"), row.get("n2"))
    else:
        vi = Range(0.0, math.inf)
    return [Size(item.way, item.range, vi) for item in candidates]


MAJORITY = 0.8  # of the rows of an outcome that fit one measure: then it is the measure of that outcome
MIN_FITTING = 4  # rows


def yi_against_numbers(table: StudyTable) -> Iterator[Finding]:
    """A yi, vi or sei that the row's own numbers do not lead to, or vi that is not sei squared.

    One outcome has one measure: when most of its rows fit one, the others are held against that one.
    """
    held: dict[object, list[tuple[Row, list[Size]]]] = {}
    for row in rows_of(table):
        yield from _vi_against_sei(row)
        expected = expected_sizes(row) if row.has("yi") else []
        if within_people(row) and row.has("m1"):  # a paired effect may be over the SD of the differences: no say
            expected = []
        if expected:
            held.setdefault(row.get("outcome"), []).append((row, expected))
    for rows in held.values():
        measure = _shared_measure(rows)
        for row, expected in rows:
            ours = [item for item in expected if item.measure == measure]
            yield from _size_misfit(row, ours or expected)


def _shared_measure(rows: Sequence[tuple[Row, list[Size]]]) -> str | None:
    """The measure that most rows fit; None when no one stands out."""
    for fitting in (_fitting_both, _fitting):
        votes = Counter(item.measure for row, expected in rows for item in fitting(row, expected))
        best = max(votes.values(), default=0)
        if best >= MIN_FITTING and best >= MAJORITY * len(rows):
            # rounding lets a row fit several; the first in the order of `expected_sizes` is the commonest
            return next(item.measure for _, expected in rows for item in expected if votes[item.measure] == best)
    return None


def _fitting_both(row: Row, expected: Sequence[Size]) -> list[Size]:
    """The measures that yi fits, and its variance."""
    return [item for item in _fitting(row, expected) if all(_fits_variance(row, c, [item]) for c in ("vi", "sei"))]


def _fits_variance(row: Row, column: str, sizes_: Sequence[Size]) -> bool:
    variances = [Candidate("", item.vi if column == "vi" else _root(item.vi)) for item in sizes_]
    return not row.get(column, 0) > 0 or fits(cell(row, column, CUT_OFF), variances)


def _fitting(row: Row, expected: Sequence[Size]) -> list[Size]:
    target = cell(row, "yi", CUT_OFF)
    return [item for item in expected if fits(target, [Candidate("", item.yi)])]


def _size_misfit(row: Row, expected: Sequence[Size]) -> Iterator[Finding]:
    """What of yi, vi and sei does not fit the measures that it may be."""
    matched = _fitting(row, expected)
    if not matched:
        candidates = [Candidate(item.measure, item.yi) for item in expected]
        nearest = _nearest(row.get("yi"), candidates)
        yield from _effect_misfit(row, "yi", [("its numbers", nearest)], "yi-against-numbers")
        return
    for column in ("vi", "sei"):
        if row.get(column, 0) > 0:
            variance = [Candidate(item.measure, item.vi if column == "vi" else _root(item.vi)) for item in matched]
            if not fits(cell(row, column, CUT_OFF), variance):
                yield finding(
                    row, column, f"{told(row, column)}, but the row's numbers give {ways(variance)}",
                    "the variance of an effect follows from the same numbers as the effect; is one a standard error, "
                    "or are the group sizes wrong?",
                    f"check {column}, the SDs and the numbers of people, or leave yi and {column} out: catharsis "
                    "computes them itself", "vi-against-numbers",
                )  # fmt: skip
                return


def _nearest(value: float, candidates: list[Candidate]) -> list[Candidate]:
    """Candidates by distance, so that the sentence names the likeliest first."""

    def distance(item: Candidate) -> float:
        middle = (item.range.low + item.range.high) / 2
        return min(abs(middle - value), abs(middle + value))

    return sorted(candidates, key=distance)


def _vi_against_sei(row: Row) -> Iterator[Finding]:
    if row.get("vi", 0) > 0 and row.get("sei", 0) > 0:
        se = cell(row, "sei", CUT_OFF)
        square = [Candidate("sei squared", Range(max(se.low, 0.0) ** 2, se.high**2))]
        if not fits(cell(row, "vi", CUT_OFF), square):
            yield finding(
                row, "vi", f"{told(row, 'vi')}, but sei gives {ways(square)}", "a variance is a squared standard error",
                "keep the one that the paper prints", "vi-against-numbers",
            )  # fmt: skip


# -- vi against the number of people, by its peers ----------------------------------------------------

MIN_PEERS = 5
SWAPPED = (2.5, 3.0)  # a factor off its peers, and robust SDs of them, when the other reading fits ...
CLOSER = 0.55  # ... which is when it leaves at most this share of the distance (on the log scale)
FAR = (8.0, 6.0)  # the same when no other reading fits: a slipped point or a wrong n
FLOOR = 0.1  # log units: variances of one measure differ at least so much for the same n


def _people(row: Row) -> float:
    """The people behind a variance: half the harmonic mean of two groups, so that uneven groups do not stand out."""
    if row.has("n1", "n2") and min(row.get("n1"), row.get("n2")) > 0:
        return float(1 / (1 / row.get("n1") + 1 / row.get("n2")))
    return float(row.get("n", 0)) / 4


OWN = (("mean_change", "n"), ("events1", "n1"), ("better", "worse"), ("r", "n"), ("d",))  # what yi is computed from


@dataclass(frozen=True, slots=True)
class _Variance:
    """A printed variance times its people, as it is called and as the other of variance and standard error (logs)."""

    row: Row
    column: str
    value: float
    otherwise: float


def _variances(table: StudyTable) -> dict[object, list[_Variance]]:
    """Variances whose row has nothing else to hold them against, by outcome."""
    found: dict[object, list[_Variance]] = {}
    for row in rows_of(table):
        column = next((name for name in ("vi", "sei", "d_se") if row.has(name)), None)
        if column is None or not row.get(column) > 0 or not _people(row) > 0:
            continue
        if row.has("yi") and (two_groups(row) is not None or any(row.has(*names) for names in OWN)):
            continue
        if column == "d_se" and row.has("d") and expected_d_se(row) is not None:
            continue
        printed, people = math.log(row.get(column)), math.log(_people(row))
        as_variance, as_error = printed + people, 2 * printed + people
        readings = (as_variance, as_error) if column == "vi" else (as_error, as_variance)
        found.setdefault((row.get("outcome"), column), []).append(_Variance(row, column, *readings))
    return found


def variance_against_peers(table: StudyTable) -> Iterator[Finding]:
    """A variance that, times the number of people, is far from what its peers on the same outcome have."""
    for held in _variances(table).values():
        if len(held) - 1 < MIN_PEERS:
            continue
        middle = median(item.value for item in held)
        spread = max(FLOOR, 1.4826 * median(abs(item.value - middle) for item in held))
        for item in held:
            off, other = abs(item.value - middle), abs(item.otherwise - middle)
            swapped = off > math.log(SWAPPED[0]) and off > SWAPPED[1] * spread and other < CLOSER * off
            if swapped or (off > math.log(FAR[0]) and off > FAR[1] * spread):
                yield _off_peers(item, middle, len(held) - 1, swapped)


def _off_peers(item: _Variance, middle: float, others: int, swapped: bool) -> Finding:
    times = math.exp(abs(item.value - middle))
    row, column = item.row, item.column
    size = "large" if item.value > middle else "small"
    reading = "a standard error" if column == "vi" else "a variance"
    guess = f"read as {reading} it fits them" if swapped else "a slipped decimal point or a wrong n shows so"
    return finding(
        row, column,
        f"{column} is {row.get(column):g}, as a variance {times:.3g} times too {size} by {others} others with their n",
        f"a sampling variance of one measure falls with the number of people; {guess}",
        f"check {column} and n against the paper", "vi-against-peers",
    )  # fmt: skip
