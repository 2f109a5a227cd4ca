"""One effect common to all studies by the Mantel-Haenszel method, which stays valid with many small studies.

Ratios are estimated as ratios of sums over the studies, differences as weighted averages, so that a study with a zero
cell needs no constant added. The effects that the studies show by themselves (for Cochran's Q) do need one; both may
be given as pairs, first for the effects, second for pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.counts import Counts, adjusted, hypergeometric_score, read_counts
from catharsis.likelihood.counts_families import expected_events
from catharsis.models.count_estimates import EqualEffects, heterogeneity_around, pair, shown_effects
from catharsis.models.wald import Wald
from catharsis.numerics import FloatArray, chi2_upper

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = Wald(float("nan"), float("nan"), float("inf"), float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MantelHaenszel(EqualEffects):
    """A Mantel-Haenszel estimate; attributes of `EqualEffects`, and three tests.

    Attributes
    ----------
    MH : Wald
        Is there an effect? Cochran-Mantel-Haenszel for OR, Mantel-Haenszel for IRR; nan for the other measures.
    BD, TA : Wald
        Do the odds ratios differ? Breslow-Day, and with Tarone's correction; nan unless the measure is OR.
    """

    MH: Wald = field(default=UNDEFINED)
    BD: Wald = field(default=UNDEFINED)
    TA: Wald = field(default=UNDEFINED)


def mantel_haenszel(
    measure: str = "OR",
    *,
    ai: Any = None,
    bi: Any = None,
    ci: Any = None,
    di: Any = None,
    n1i: Any = None,
    n2i: Any = None,
    x1i: Any = None,
    t1i: Any = None,
    x2i: Any = None,
    t2i: Any = None,
    data: pd.DataFrame | None = None,
    add: float | tuple[float, float] = 0.5,
    to: str | tuple[str, str] = "only0",
    drop00: bool | tuple[bool, bool] = True,
    correct: bool = True,
    level: float = 0.95,
) -> MantelHaenszel:
    """Pool 2 x 2 tables or rates by the Mantel-Haenszel method.

    Parameters
    ----------
    measure : str
        OR, RR (both as logarithms), RD, IRR (logarithm) or IRD.
    ai, bi, ci, di, n1i, n2i : (k,) arrays or column names
        Events and non-events in group 1 (ai, bi) and 2 (ci, di); group sizes may stand for the non-events.
    x1i, t1i, x2i, t2i : (k,) arrays or column names
        Events and time at risk in either group, for IRR and IRD.
    data : pandas.DataFrame, optional
        Where column names are looked up; its index names the studies.
    add, to, drop00 : value or pair of values
        What is added to which cells, and whether studies without information on a ratio are left out (see
        `likelihood.counts.adjusted`): for the effects that studies show by themselves and, when a pair, for pooling.
        A single value leaves the pooled tables alone.
    correct : bool
        Whether the test of no effect (MH) subtracts 1/2 for continuity.
    level : float
        Probability of the interval.

    Returns
    -------
    MantelHaenszel

    Raises
    ------
    ModelError
        When counts are missing or impossible, or when the events leave the estimate infinite or undefined.

    Notes
    -----
    Variances: Robins, Breslow and Greenland for the log odds ratio, Greenland and Robins for the other measures. The
    continuity correction is that of the original paper, (abs(sum) - 1/2)^2, also where the sum is below 1/2. The
    degrees of freedom of the Breslow-Day and Tarone tests count the tables with information.

    References
    ----------
    [@mantel1959; @robins1986; @greenland1985; @breslow1987; @cochran1954]

    Examples
    --------
    >>> found = mantel_haenszel("OR", ai=[4, 6, 3], n1i=[123, 306, 231], ci=[11, 29, 11], n2i=[139, 303, 220])
    >>> found.params.round(4).to_dict(), found.bse.round(4).to_dict()
    ({'intercept': -1.4135}, {'intercept': 0.3155})
    """
    if measure not in POOLED:
        raise ModelError(f'the Mantel-Haenszel method has no measure "{measure}": {did_you_mean(measure, [*POOLED])}')
    interval_level(level)
    columns = {
        "ai": ai, "bi": bi, "ci": ci, "di": di, "n1i": n1i, "n2i": n2i, "x1i": x1i, "t1i": t1i, "x2i": x2i, "t2i": t2i,
    }  # fmt: skip
    counts, _, notes = read_counts(measure, columns, data)
    (add1, add2), (to1, to2) = pair(add, 0.0, "add"), pair(to, "none", "to")
    drop1, drop2 = pair(drop00, False, "drop00")
    yi, vi, told = shown_effects(measure, counts, add1, to1, drop1)
    tables, used = adjusted(counts, add2, to2, drop2)
    tables = tables.rows(used)
    if not tables.k:
        raise ModelError("every study is without events (or without anything else), so there is no effect to pool")
    if not used.all():
        told = (*told, f"{int((~used).sum())} of {counts.k} studies left out of the pooled estimate")
    estimate, variance = POOLED[measure](tables)
    if variance == 0:
        told = (*told, "there are no events, so the standard error is zero")
    q, llf = heterogeneity_around(yi, vi, estimate)
    tests = {}
    if measure == "OR":
        breslow_day, tarone = homogeneity_of_odds_ratios(tables, estimate)
        tests = {"MH": cochran_mantel_haenszel(tables, correct), "BD": breslow_day, "TA": tarone}
    elif measure == "IRR":
        tests = {"MH": mantel_haenszel_rates(tables, correct)}
    return MantelHaenszel(
        measure=measure, beta=np.array([estimate]), cov=np.array([[variance]]), df=float("inf"), terms=("intercept",),
        nobs=tables.k, yi=yi, vi=vi, llf=llf, level=level, labels=counts.labels, notes=notes + told, QE=q, **tests,
    )  # fmt: skip


def _log_ratio(above: FloatArray, below: FloatArray, what: str) -> float:
    """Logarithm of a ratio of sums, unless one of them is zero."""
    if above.sum() <= 0 or below.sum() <= 0:
        raise ModelError(
            f"the {what} is {'infinite' if above.sum() > 0 else 'zero' if below.sum() > 0 else 'undefined'}: in every "
            "study one group is without events (or without non-events); use RD or IRD, or a Bayesian model"
        )
    return float(np.log(above.sum() / below.sum()))


def odds_ratio(tables: Counts) -> tuple[float, float]:
    """Log odds ratio and its variance by Robins, Breslow and Greenland [@robins1986]."""
    (a, c), (n1, n2) = tables.events.T, tables.totals.T
    b, d, size = n1 - a, n2 - c, n1 + n2
    R, S, P, Q = a * d / size, b * c / size, (a + d) / size, (b + c) / size
    estimate = _log_ratio(R, S, "odds ratio")
    r, s = R.sum(), S.sum()
    variance = (P @ R / r**2 + (P @ S + Q @ R) / (r * s) + Q @ S / s**2) / 2
    return estimate, float(variance)


def risk_ratio(tables: Counts) -> tuple[float, float]:
    """Log risk ratio and its variance [@greenland1985]."""
    (a, c), (n1, n2) = tables.events.T, tables.totals.T
    size = n1 + n2
    R, S = a * n2 / size, c * n1 / size
    estimate = _log_ratio(R, S, "risk ratio")
    variance = np.sum((n1 * n2 * (a + c) - a * c * size) / size**2) / (R.sum() * S.sum())
    return estimate, float(variance)


def risk_difference(tables: Counts) -> tuple[float, float]:
    """Risk difference and the variance of Sato (1989, Biometrics), consistent in few large and in many small studies.

    The estimate is the weighted average of Greenland and Robins [@greenland1985].
    """
    (a, c), (n1, n2) = tables.events.T, tables.totals.T
    size = n1 + n2
    weights = float(np.sum(n1 * n2 / size))
    estimate = float(np.sum((a * n2 - c * n1) / size)) / weights
    P = (n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / size**2
    Q = (a * (n2 - c) + c * (n1 - a)) / (2 * size)
    return estimate, float(estimate * P.sum() + Q.sum()) / weights**2


def rate_ratio(tables: Counts) -> tuple[float, float]:
    """Log rate ratio and its variance [@greenland1985]."""
    (x1, x2), (t1, t2) = tables.events.T, tables.totals.T
    time = t1 + t2
    R, S = x1 * t2 / time, x2 * t1 / time
    estimate = _log_ratio(R, S, "rate ratio")
    return estimate, float(np.sum((x1 + x2) * t1 * t2 / time**2) / (R.sum() * S.sum()))


def rate_difference(tables: Counts) -> tuple[float, float]:
    """Rate difference and its variance [@greenland1985]."""
    (x1, x2), (t1, t2) = tables.events.T, tables.totals.T
    weight = t1 * t2 / (t1 + t2)
    within = x1 / t1**2 + x2 / t2**2
    return float((x1 * t2 - x2 * t1) @ (1 / (t1 + t2)) / weight.sum()), float(weight**2 @ within / weight.sum() ** 2)


POOLED: dict[str, Callable[[Counts], tuple[float, float]]] = {
    "OR": odds_ratio, "RR": risk_ratio, "RD": risk_difference, "IRR": rate_ratio, "IRD": rate_difference,
}  # fmt: skip


def _score_test(score: float, variance: float, correct: bool) -> Wald:
    if variance == 0:
        return UNDEFINED
    statistic = (abs(score) - (0.5 if correct else 0.0)) ** 2 / variance
    return Wald(statistic, 1, float("inf"), chi2_upper(statistic, 1))


def cochran_mantel_haenszel(tables: Counts, correct: bool) -> Wald:
    """Is there an effect at all? Events of group 1 against their expectation given the margins [@mantel1959]."""
    score, variance = hypergeometric_score(tables)
    return _score_test(float(score.sum()), float(variance.sum()), correct)


def mantel_haenszel_rates(tables: Counts, correct: bool) -> Wald:
    """The same for rates: given all events of a study, each falls into group 1 by its share of the time."""
    (x1, _), (t1, t2) = tables.events.T, tables.totals.T
    events, time = tables.events.sum(axis=1), t1 + t2
    return _score_test(float(np.sum(x1 - events * t1 / time)), float(np.sum(events * t1 * t2 / time**2)), correct)


def homogeneity_of_odds_ratios(tables: Counts, log_odds_ratio: float) -> tuple[Wald, Wald]:
    """Breslow-Day test that the odds ratios are equal, without and with Tarone's correction.

    Parameters
    ----------
    tables : Counts
        2 x 2 tables.
    log_odds_ratio : float
        The Mantel-Haenszel estimate.

    Returns
    -------
    breslow_day, tarone : Wald
        Degrees of freedom: tables with information less one.

    References
    ----------
    [@breslow1987]
    """
    tables = tables.rows(~tables.uninformative & (tables.totals > 0).all(axis=1))
    (n1, n2), m = tables.totals.T, tables.events.sum(axis=1)
    a = expected_events(n1, n2, m, log_odds_ratio)
    variance = 1 / (1 / a + 1 / (n1 - a) + 1 / (m - a) + 1 / (n2 - m + a))
    distance = tables.events[:, 0] - a
    plain = float(np.sum(distance**2 / variance))
    tarone = max(plain - float(distance.sum() ** 2 / variance.sum()), 0.0)
    df = tables.k - 1
    return tuple(Wald(value, df, float("inf"), chi2_upper(value, df)) for value in (plain, tarone))  # type: ignore[return-value]
