"""By which route a row of the table reaches a scale: which printed numbers, which formula.

A route is chosen by what the row holds, the most direct first, and stays on the row: the report shows
it and counts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from catharsis.effects.conversions import (
    d_from_paired_t,
    d_from_t,
    r_from_t,
    se_from_interval,
    t_from_f,
    t_from_p,
)
from catharsis.effects.correlations import fisher_z
from catharsis.effects.mean_differences import (
    mean_change,
    mean_difference,
    pooled_sd,
    standardised_mean_change,
    standardised_mean_difference,
)
from catharsis.effects.proportions import log_odds_ratio, log_risk_ratio, logit_proportion, risk_difference
from catharsis.effects.zero_cells import filled
from catharsis.studies.table import Row

Scale = Literal["raw", "standardised", "correlation", "RR", "OR", "RD", "PLO"]
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """One way from printed numbers to an effect size.

    Attributes
    ----------
    name : str
        Short name, as counted in the report.
    formula : str
        What is computed, for the reader.
    measure : str
        Code of the measure it arrives at.
    source : str
        Key of the reference for the formula.
    fits : callable
        Whether a row carries what it needs.
    compute : callable
        Row and "apply the small-sample correction" to (yi, vi).
    by_sign : bool
        Whether the result is already turned the family's way, because it takes its direction from the
        row's sign or from counts of better and worse; the dictionary turns all others.
    """

    name: str
    formula: str
    measure: str
    source: str
    fits: Callable[[Row], bool]
    compute: Callable[[Row, bool], Pair]
    by_sign: bool = False


def number(row: Row, column: str) -> float:
    """A numeric cell; nan when absent."""
    return float(row.get(column, math.nan))


def spread(row: Row, sd: str, se: str, n: str) -> float:
    """A standard deviation, as printed or from the standard error of the mean."""
    return number(row, sd) if row.has(sd) else number(row, se) * math.sqrt(number(row, n))


def _has_spread(row: Row, sd: str, se: str) -> bool:
    return row.has(sd) or row.has(se)


def _groups(row: Row) -> bool:
    return row.has("n1", "n2")


def _one_group(row: Row) -> bool:
    return row.has("n") and not _groups(row)


def _means(row: Row) -> bool:
    return row.has("m1", "m2", "n1", "n2") and _has_spread(row, "sd1", "se1") and _has_spread(row, "sd2", "se2")


def _change(row: Row) -> bool:
    return row.has("mean_change", "n") and _has_spread(row, "sd_change", "se_change")


def _test_df(row: Row) -> float:
    """Degrees of freedom of a t test, as printed or from the number of people."""
    for column in ("df", "df2"):
        if row.has(column):
            return number(row, column)
    if _groups(row):
        return number(row, "n1") + number(row, "n2") - 2
    return number(row, "n") - (2 if row.get("test") == "correlation" else 1)


def _t(row: Row) -> np.ndarray:
    """The row's t: printed, or from F(1, df) or an exact p with the stated sign."""
    if row.has("t"):
        return np.asarray(number(row, "t"))
    sign = np.asarray(number(row, "sign"))
    if row.has("F"):
        return t_from_f(np.asarray(number(row, "F")), sign)
    p, df = _arrays(number(row, "p"), _test_df(row))
    return t_from_p(p, df, sign, int(row.get("sided", 2)))


def _has_t(row: Row) -> bool:
    return row.has("t")


def _has_f(row: Row) -> bool:
    return row.has("F", "sign") and not row.has("t") and number(row, "sign") != 0 and row.get("df1", 1) == 1


def _has_p(row: Row) -> bool:
    alone = not row.has("t") and not row.has("F")
    return alone and row.has("p", "sign") and number(row, "sign") != 0 and 0 < number(row, "p") < 1


def _pair(found: tuple[np.ndarray, np.ndarray]) -> Pair:
    return float(found[0]), float(found[1])


def _arrays(*values: float) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(value, dtype=float) for value in values)


def _given(row: Row, correct: bool) -> Pair:
    return number(row, "yi"), number(row, "vi") if row.has("vi") else number(row, "sei") ** 2


def _mc(row: Row, correct: bool) -> Pair:
    sd = spread(row, "sd_change", "se_change", "n")
    return _pair(mean_change(*_arrays(number(row, "mean_change"), sd, number(row, "n"))))


def _md(row: Row, correct: bool) -> Pair:
    m1, sd1, n1, m2, sd2, n2 = _group_cells(row)
    return _pair(mean_difference(m1, sd1, n1, m2, sd2, n2))


def _group_cells(row: Row) -> tuple[np.ndarray, ...]:
    return _arrays(
        number(row, "m1"), spread(row, "sd1", "se1", "n1"), number(row, "n1"),
        number(row, "m2"), spread(row, "sd2", "se2", "n2"), number(row, "n2"),
    )  # fmt: skip


def _smcc(row: Row, correct: bool) -> Pair:
    d = number(row, "mean_change") / spread(row, "sd_change", "se_change", "n")
    return _pair(standardised_mean_change(np.asarray(d), np.asarray(number(row, "n")), correct))


def _smd(row: Row, correct: bool) -> Pair:
    m1, sd1, n1, m2, sd2, n2 = _group_cells(row)
    return _pair(standardised_mean_difference((m1 - m2) / pooled_sd(sd1, n1, sd2, n2), n1, n2, correct))


def _smd_from_t(row: Row, correct: bool) -> Pair:
    n1, n2 = _arrays(number(row, "n1"), number(row, "n2"))
    return _pair(standardised_mean_difference(d_from_t(_t(row), n1, n2), n1, n2, correct))


def _smcc_from_t(row: Row, correct: bool) -> Pair:
    n = np.asarray(number(row, "n"))
    return _pair(standardised_mean_change(d_from_paired_t(_t(row), n), n, correct))


def _d_se(row: Row, correct: bool) -> Pair:
    return number(row, "d"), number(row, "d_se") ** 2


def _d_ci(row: Row, correct: bool) -> Pair:
    low, high = _arrays(number(row, "d_low"), number(row, "d_high"))
    return number(row, "d"), float(se_from_interval(low, high)) ** 2


def _d_groups(row: Row, correct: bool) -> Pair:
    d, n1, n2 = _arrays(number(row, "d"), number(row, "n1"), number(row, "n2"))
    return _pair(standardised_mean_difference(d, n1, n2, correct=False))


def _zcor(row: Row, correct: bool) -> Pair:
    return _pair(fisher_z(*_arrays(number(row, "r"), number(row, "n"))))


def _zcor_from_t(row: Row, correct: bool) -> Pair:
    n = np.asarray(number(row, "n"))
    return _pair(fisher_z(r_from_t(_t(row), n - 2), n))


def _two_by_two(row: Row) -> tuple[np.ndarray, ...]:
    a, n1, c, n2 = (number(row, column) for column in ("events1", "n1", "events2", "n2"))
    return _arrays(a, n1 - a, c, n2 - c)


def _filled_two_by_two(row: Row) -> tuple[np.ndarray, ...]:
    return filled(_two_by_two(row))[0]


def _counts(row: Row, correct: bool) -> Pair:
    better, same, worse = (number(row, column) for column in ("better", "same", "worse"))
    return _pair(logit_proportion(*filled(_arrays(better, same + worse))[0]))


def _events(row: Row, correct: bool) -> Pair:
    events, people = number(row, "events1"), number(row, "n1")
    return _pair(logit_proportion(*filled(_arrays(events, people - events))[0]))


def _one_sample(row: Row) -> bool:
    """One group, and nothing says that its test was another than a one-sample test."""
    return _one_group(row) and row.get("test") in (None, "unstated", "one-sample")


def _has_r(row: Row) -> bool:
    return row.has("r", "n") and number(row, "n") > 3


def _correlation(row: Row) -> bool:
    return row.get("test") == "correlation" and number(row, "n") > 3


def _has_counts(row: Row) -> bool:
    return row.has("better", "same", "worse")


def _has_events(row: Row) -> bool:
    return row.has("events1", "n1") and not row.has("events2")


def _has_two_by_two(row: Row) -> bool:
    return row.has("events1", "n1", "events2", "n2")


def _d_routes() -> tuple[Route, ...]:
    """A printed d stays as printed; its standardiser is the change's when one group was tested."""
    ways: tuple[tuple[str, str, tuple[str, ...], Callable[[Row, bool], Pair]], ...] = (
        ("d and SE", "d, SE²", ("d", "d_se"), _d_se),
        ("d and 95% CI", "d, ((upper − lower)/2z)²", ("d", "d_low", "d_high"), _d_ci),
    )
    found = []
    for name, formula, cells, compute in ways:
        for code, one in (("SMCC", True), ("SMD", False)):

            def fits(row: Row, cells: tuple[str, ...] = cells, one: bool = one) -> bool:
                return row.has(*cells) and (row.get("test") == "one-sample") is one

            found.append(Route(name, formula, code, "hedges1985", fits, compute))
    return (
        *found,
        Route(
            "d and group sizes",
            "d, 1/n₁ + 1/n₂ + d²/2(n₁ + n₂)",
            "SMD",
            "hedges1985",
            lambda r: r.has("d", "n1", "n2"),
            _d_groups,
        ),
    )


Fits = Callable[[Row], bool]
TESTS: tuple[tuple[str, str, Fits, bool], ...] = (  # t has a sign of its own, F and p take the row's
    ("t", "t", _has_t, False),
    ("F(1, df)", "±√F", _has_f, True),
    ("exact p", "t(p)", _has_p, True),
)


def _by_test(people: str, formula: str, code: str, source: str, fits: Fits, compute: Any) -> tuple[Route, ...]:
    """Routes from each test statistic, for one kind of comparison."""

    def both(has: Fits) -> Fits:
        return lambda row: has(row) and fits(row)

    return tuple(
        Route(f"{name} of {people}", formula.replace("t", symbol, 1), code, source, both(has), compute, by_sign)
        for name, symbol, has, by_sign in TESTS
    )


GIVEN = Route(
    "yi and vi",
    "as given",
    "",
    "viechtbauer2010a",
    lambda r: r.has("yi") and (r.has("vi") or r.has("sei")),
    _given,
)

ROUTES: dict[str, tuple[Route, ...]] = {
    "raw": (
        GIVEN,
        Route("mean change and SD", "M, SD²/n", "MC", "morris2002", _change, _mc),
        Route("two means and SDs", "M₁ − M₂, SD₁²/n₁ + SD₂²/n₂", "MD", "hedges1985", _means, _md),
    ),
    "standardised": (
        GIVEN,
        Route("mean change and SD", "J·M/SD, 1/n + g²/2n", "SMCC", "gleser2009", _change, _smcc),
        Route("two means and SDs", "J·(M₁ − M₂)/SDₚ, 1/n₁ + 1/n₂ + g²/2(n₁ + n₂)", "SMD", "hedges1981", _means, _smd),
        *_d_routes(),
        *_by_test("two groups", "t·J·√(1/n₁ + 1/n₂)", "SMD", "hedges1985", _groups, _smd_from_t),
        *_by_test("one group", "t·J/√n", "SMCC", "morris2002", _one_sample, _smcc_from_t),
    ),
    "correlation": (
        GIVEN,
        Route("r and n", "atanh r, 1/(n − 3)", "ZCOR", "fisher1921", _has_r, _zcor),
        *_by_test("a correlation", "t/√(t² + n − 2), then atanh", "ZCOR", "fisher1921", _correlation, _zcor_from_t),
    ),
    "RR": (GIVEN, Route("2 x 2 counts", "log((a/n₁)/(c/n₂))", "RR", "greenland1985", _has_two_by_two,
                        lambda r, _: _pair(log_risk_ratio(*_filled_two_by_two(r)))),),
    "OR": (GIVEN, Route("2 x 2 counts", "log(ad/bc)", "OR", "robins1986", _has_two_by_two,
                        lambda r, _: _pair(log_odds_ratio(*_filled_two_by_two(r)))),),
    "RD": (GIVEN, Route("2 x 2 counts", "a/n₁ − c/n₂", "RD", "greenland1985", _has_two_by_two,
                        lambda r, _: _pair(risk_difference(*_filled_two_by_two(r)))),),
    "PLO": (GIVEN,
            Route("counts", "log(x/(n − x))", "PLO", "schwarzer2019", _has_counts, _counts, by_sign=True),
            Route("events in one group", "log(x/(n − x))", "PLO", "schwarzer2019", _has_events, _events)),
}  # fmt: skip

GIVEN_MEASURE: dict[str, str] = {
    "raw": "MD", "standardised": "SMD", "correlation": "ZCOR", "RR": "RR", "OR": "OR", "RD": "RD", "PLO": "PLO",
}  # fmt: skip


def empty_cell(row: Row, scale: str) -> bool:
    """Whether 1/2 is added to the row's counts on this scale, because one of them is 0."""
    if scale in ("RR", "OR", "RD") and _has_two_by_two(row):
        return 0.0 in (float(cell) for cell in _two_by_two(row))
    if scale == "PLO" and _has_counts(row):
        return number(row, "better") == 0 or number(row, "same") + number(row, "worse") == 0
    if scale == "PLO" and _has_events(row):
        return number(row, "events1") in (0, number(row, "n1"))
    return False
