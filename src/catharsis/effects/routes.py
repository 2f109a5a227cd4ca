"""By which route a row of the table reaches a scale: which printed numbers, which formula.

A route is chosen by what the row holds, the most direct first, and stays on the row: the report shows
it and counts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

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
    """

    name: str
    formula: str
    measure: str
    source: str
    fits: Callable[[Row], bool]
    compute: Callable[[Row, bool], Pair]


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
    return (
        row.has("m1", "m2", "n1", "n2") and _has_spread(row, "sd1", "se1") and _has_spread(row, "sd2", "se2")
    )


def _change(row: Row) -> bool:
    return row.has("mean_change", "n") and _has_spread(row, "sd_change", "se_change")


def _test_df(row: Row) -> float:
    """Degrees of freedom of a t test, as printed or from the group sizes."""
    for column in ("df", "df2"):
        if row.has(column):
            return number(row, column)
    return number(row, "n1") + number(row, "n2") - 2 if _groups(row) else number(row, "n") - 1


def _t(row: Row) -> float:
    """The row's t: printed, or from F(1, df) or an exact p with the stated sign."""
    if row.has("t"):
        return number(row, "t")
    sign = np.asarray(number(row, "sign"))
    if row.has("F"):
        return float(t_from_f(np.asarray(number(row, "F")), sign))
    return float(
        t_from_p(np.asarray(number(row, "p")), np.asarray(_test_df(row)), sign, int(row.get("sided", 2)))
    )


def _has_t(row: Row) -> bool:
    return row.has("t")


def _has_f(row: Row) -> bool:
    return row.has("F", "sign") and number(row, "sign") != 0 and row.get("df1", 1) == 1


def _has_p(row: Row) -> bool:
    return row.has("p", "sign") and number(row, "sign") != 0 and 0 < number(row, "p") < 1


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
    return _pair(mean_difference(*_group_cells(row)))


def _group_cells(row: Row) -> tuple[np.ndarray, ...]:
    return _arrays(
        number(row, "m1"), spread(row, "sd1", "se1", "n1"), number(row, "n1"),
        number(row, "m2"), spread(row, "sd2", "se2", "n2"), number(row, "n2"),
    )  # fmt: skip


def _smcc(row: Row, correct: bool) -> Pair:
    d = number(row, "mean_change") / spread(row, "sd_change", "se_change", "n")
    return _pair(standardised_mean_change(*_arrays(d, number(row, "n")), correct=correct))


def _smd(row: Row, correct: bool) -> Pair:
    m1, sd1, n1, m2, sd2, n2 = _group_cells(row)
    return _pair(standardised_mean_difference((m1 - m2) / pooled_sd(sd1, n1, sd2, n2), n1, n2, correct))


def _smd_from_t(row: Row, correct: bool) -> Pair:
    n1, n2 = _arrays(number(row, "n1"), number(row, "n2"))
    return _pair(standardised_mean_difference(d_from_t(np.asarray(_t(row)), n1, n2), n1, n2, correct))


def _smcc_from_t(row: Row, correct: bool) -> Pair:
    n = np.asarray(number(row, "n"))
    return _pair(standardised_mean_change(d_from_paired_t(np.asarray(_t(row)), n), n, correct))


def _d_se(row: Row, correct: bool) -> Pair:
    return number(row, "d"), number(row, "d_se") ** 2


def _d_ci(row: Row, correct: bool) -> Pair:
    return number(row, "d"), float(
        se_from_interval(*_arrays(number(row, "d_low"), number(row, "d_high")))
    ) ** 2


def _zcor(row: Row, correct: bool) -> Pair:
    return _pair(fisher_z(*_arrays(number(row, "r"), number(row, "n"))))


def _zcor_from_t(row: Row, correct: bool) -> Pair:
    df = number(row, "n") - 2
    r = r_from_t(*_arrays(_t(row), df))
    return _pair(fisher_z(r, np.asarray(number(row, "n"))))


def _two_by_two(row: Row) -> tuple[np.ndarray, ...]:
    a, n1, c, n2 = (number(row, column) for column in ("events1", "n1", "events2", "n2"))
    return _arrays(a, n1 - a, c, n2 - c)


def _share(row: Row, correct: bool) -> Pair:
    if row.has("better", "same", "worse"):
        x, n = number(row, "better"), sum(number(row, column) for column in ("better", "same", "worse"))
    else:
        x, n = number(row, "events1"), number(row, "n1")
    return _pair(logit_proportion(*_arrays(x, n)))


def _is_test(kind: str) -> Callable[[Row], bool]:
    return lambda row: row.get("test") in (None, "unstated", kind)


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
        Route("d and SE", "d, SE²", "SMD", "hedges1985", lambda r: r.has("d", "d_se"), _d_se),
        Route("d and 95% CI", "d, ((upper − lower)/2z)²", "SMD", "hedges1985", lambda r: r.has("d", "d_low", "d_high"), _d_ci),
        Route("t of two groups", "J·t√(1/n₁ + 1/n₂)", "SMD", "hedges1985", lambda r: _has_t(r) and _groups(r), _smd_from_t),
        Route("F(1, df) of two groups", "J·±√F·√(1/n₁ + 1/n₂)", "SMD", "hedges1985", lambda r: _has_f(r) and _groups(r), _smd_from_t),
        Route("exact p of two groups", "t from p, then J·t√(1/n₁ + 1/n₂)", "SMD", "hedges1985", lambda r: _has_p(r) and _groups(r), _smd_from_t),
        Route("t of one group", "J·t/√n", "SMCC", "morris2002", lambda r: _has_t(r) and _one_group(r) and _is_test("one-sample")(r), _smcc_from_t),
        Route("F(1, df) of one group", "J·±√F/√n", "SMCC", "morris2002", lambda r: _has_f(r) and _one_group(r) and _is_test("one-sample")(r), _smcc_from_t),
        Route("exact p of one group", "t from p, then J·t/√n", "SMCC", "morris2002", lambda r: _has_p(r) and _one_group(r) and _is_test("one-sample")(r), _smcc_from_t),
    ),
    "correlation": (
        GIVEN,
        Route("r and n", "atanh r, 1/(n − 3)", "ZCOR", "fisher1921", lambda r: r.has("r", "n") and number(r, "n") > 3, _zcor),
        Route("t of a correlation", "r = t/√(t² + df), then atanh r", "ZCOR", "fisher1921",
              lambda r: (_has_t(r) or _has_f(r) or _has_p(r)) and r.get("test") == "correlation" and number(r, "n") > 3, _zcor_from_t),
    ),
    "RR": (GIVEN, Route("2 x 2 counts", "log((a/n₁)/(c/n₂))", "RR", "greenland1985", lambda r: r.has("events1", "n1", "events2", "n2"),
                        lambda r, _: _pair(log_risk_ratio(*_two_by_two(r)))),),
    "OR": (GIVEN, Route("2 x 2 counts", "log(ad/bc)", "OR", "robins1986", lambda r: r.has("events1", "n1", "events2", "n2"),
                        lambda r, _: _pair(log_odds_ratio(*_two_by_two(r)))),),
    "RD": (GIVEN, Route("2 x 2 counts", "a/n₁ − c/n₂", "RD", "greenland1985", lambda r: r.has("events1", "n1", "events2", "n2"),
                        lambda r, _: _pair(risk_difference(*_two_by_two(r)))),),
    "PLO": (GIVEN, Route("counts", "log(x/(n − x))", "PLO", "schwarzer2019",
                         lambda r: r.has("better", "same", "worse") or (r.has("events1", "n1") and not r.has("events2")), _share),),
}  # fmt: skip

GIVEN_MEASURE: dict[str, str] = {
    "raw": "MD", "standardised": "SMD", "correlation": "ZCOR", "RR": "RR", "OR": "OR", "RD": "RD", "PLO": "PLO",
}  # fmt: skip
