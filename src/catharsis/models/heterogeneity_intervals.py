"""Intervals for tau^2 of univariate models: Q-profile, generalised Q and profile likelihood.

The first two invert the exact distribution of a Q statistic, with weights 1 / (v + tau^2) or with fixed ones; the
third cuts the likelihood of ML or REML at its chi-square quantile. I^2 and H^2 follow tau^2 one to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.models.heterogeneity import NO_HETEROGENEITY, form_weights
from catharsis.models.likelihood_estimators import likelihood_grid, likelihood_peaks, tau2_likelihood
from catharsis.models.moment_estimators import residual_df, tau2_at_q, tau2_at_tail
from catharsis.numerics import FloatArray, chi2_quantile, root

if TYPE_CHECKING:
    import pandas as pd

IntervalType = Literal["QP", "GENQ", "PL"]

INTERVALS = {"QP": "Q-profile", "GENQ": "generalised Q", "PL": "profile likelihood"}
CONTAINED = 1e-9  # relative: limits are roots, so an estimate on a limit may differ from it by rounding


@dataclass(frozen=True, slots=True)
class Limits:
    """An estimate with its limits."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeterogeneityInterval:
    """How much heterogeneity the data allow.

    Iterating gives the two limits of tau^2.

    Attributes
    ----------
    tau2, tau, I2, H2 : Limits
        Between-study variance (squared units), its root, I^2 in percent and H^2.
    method : str
        "Q-profile", "generalised Q" or "profile likelihood".
    level : float
        Probability of the interval.
    notes : tuple of str
        When the interval is empty or leaves the estimate out.
    """

    tau2: Limits
    tau: Limits
    I2: Limits
    H2: Limits
    method: str
    level: float
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[float]:
        """The limits of tau^2."""
        return iter((self.tau2.low, self.tau2.high))

    def frame(self) -> pd.DataFrame:
        """Rows tau2, tau, I2 and H2; columns estimate, low and high."""
        import pandas as pd

        rows = {name: getattr(self, name) for name in ("tau2", "tau", "I2", "H2")}
        return pd.DataFrame(
            {column: [getattr(row, column) for row in rows.values()] for column in ("estimate", "low", "high")},
            index=list(rows),
        )


def heterogeneity_interval(
    yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, method: str, typical: float, level: float = 0.95,
    type: IntervalType | None = None, weights: FloatArray | None = None,
) -> HeterogeneityInterval:  # fmt: skip
    """An interval for tau^2, and the I^2 and H^2 that go with it.

    Parameters
    ----------
    yi, vi, X : arrays
        As in `tau2_dl`.
    tau2 : float
        The estimate.
    method : str
        Its estimator, as in `estimate_tau2`.
    typical : float
        Typical sampling variance, against which I^2 and H^2 set tau^2.
    level : float
        Probability of the interval.
    type : str, optional
        "QP" (Q-profile), "GENQ" (generalised Q with the fixed weights of DL, HE, HS, HSk, GENQ or GENQM) or "PL"
        (profile likelihood, ML and REML); by default GENQ for GENQ and GENQM, and QP for all others.
    weights : (k,) array, optional
        Of GENQ and GENQM.

    Returns
    -------
    HeterogeneityInterval

    Raises
    ------
    ModelError
        k <= p, or a type that the estimator does not have.

    References
    ----------
    [@viechtbauer2007; @jackson2013; @jackson2014; @hardy1996; @higgins2002]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> found = heterogeneity_interval(yi, vi, np.ones((3, 1)), 0.1225, "REML", 0.03)
    >>> [round(limit, 4) for limit in found]
    [0.0085, 6.414]
    """
    if type is None:
        type = "GENQ" if method in ("GENQ", "GENQM") else "QP"
    if type not in INTERVALS:
        raise ModelError(f'there is no interval of type "{type}": {did_you_mean(type, list(INTERVALS))}')
    residual_df(yi, X, "an interval for tau^2")
    notes: list[str] = []
    if type == "PL":
        low, high, empty = *_profile_likelihood(yi, vi, X, method, level, notes), False
    else:
        ai = form_weights(yi, vi, method, weights) if type == "GENQ" else None
        if type == "GENQ" and (ai is None or method == "SJ"):
            raise ModelError(f"{method} has no fixed weights for a generalised Q interval; use type='QP'")
        low, high = tau2_interval(yi, vi, X, level) if ai is None else _generalised_q(yi, vi, X, ai, level)
        empty = high == 0
    if empty:
        notes.append(
            f"the {INTERVALS[type]} interval of tau^2 is empty: the effects differ less than their sampling variances "
            "let expect, even without heterogeneity; it is shown as 0 to 0"
        )
    elif method not in NO_HETEROGENEITY and not low * (1 - CONTAINED) <= tau2 <= high * (1 + CONTAINED):
        notes.append(
            f"the {INTERVALS[type]} interval of tau^2 does not contain the {method} estimate: they rest on different "
            "equations; PM goes with QP, GENQ with GENQ, ML and REML with PL"
        )
    limits = [tau2, low, high]
    return HeterogeneityInterval(
        Limits(*limits), Limits(*map(_sqrt, limits)), Limits(*(100 * t / (t + typical) for t in limits)),
        Limits(*(1 + t / typical for t in limits)), INTERVALS[type], level, tuple(notes),
    )  # fmt: skip


def _sqrt(value: float) -> float:
    return float(np.sqrt(value))


def tau2_interval(yi: FloatArray, vi: FloatArray, X: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Q-profile interval for tau^2, moderators respected.

    Parameters
    ----------
    yi, vi, X : arrays
        As in `tau2_dl`.
    level : float
        Probability of the interval.

    Returns
    -------
    (float, float)
        Bounds in squared units of `yi`; both are 0 when even tau^2 = 0 leaves Q below the lower
        critical value (the interval is then empty, and the caller says so).

    References
    ----------
    [@viechtbauer2007; @jackson2014]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> low, high = tau2_interval(yi, vi, np.ones((3, 1)))
    >>> round(low, 4), round(high, 2)
    (0.0085, 6.41)
    """
    df = residual_df(yi, X, "an interval for tau^2")
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    low = tau2_at_q(y, v, X, chi2_quantile((1 + level) / 2, df))
    high = tau2_at_q(y, v, X, chi2_quantile((1 - level) / 2, df))
    return low * unit, high * unit


def _generalised_q(yi: FloatArray, vi: FloatArray, X: FloatArray, ai: FloatArray, level: float) -> tuple[float, float]:
    """The tau^2 under which the observed Q lies at the upper, and at the lower, quantile of its distribution."""
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    tail = (1 - level) / 2
    return tau2_at_tail(y, v, X, ai, tail) * unit, tau2_at_tail(y, v, X, ai, 1 - tail) * unit


def _profile_likelihood(
    yi: FloatArray, vi: FloatArray, X: FloatArray, method: str, level: float, notes: list[str]
) -> tuple[float, float]:
    """The outermost tau^2 whose log-likelihood is within half a chi-square quantile of the maximum."""
    if method not in ("ML", "REML"):
        raise ModelError(f"the profile likelihood interval goes with ML and REML, not with {method}; use type='QP'")
    reml = method == "REML"
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    best = likelihood_peaks(y, v, X, reml)[0]
    cut = best.height - 0.5 * chi2_quantile(level, 1)

    def above(tau2: float) -> float:
        return tau2_likelihood(y, v, X, tau2, reml) - cut

    points = np.union1d(likelihood_grid(y, v, X), best.tau2)
    heights = [above(float(t)) for t in points]
    while heights[-1] > 0:
        points = np.append(points, 4 * points[-1])
        if not np.isfinite(points[-1]):
            raise ModelError("the likelihood of tau^2 is flat, so it has no upper limit; use type='QP'")
        heights.append(above(float(points[-1])))
    inside = np.array(heights) >= 0
    inside[np.searchsorted(points, best.tau2)] = True
    first, last = int(inside.argmax()), len(inside) - 1 - int(inside[::-1].argmax())
    low = root(above, float(points[first - 1]), float(points[first])) if first else 0.0
    high = root(above, float(points[last]), float(points[last + 1]))
    if not inside[first : last + 1].all():
        notes.append("the likelihood of tau^2 has several peaks: the interval reaches from the first to the last")
    return low * unit, high * unit
