"""Limit meta-analysis: the average effect that remains when every study becomes infinitely precise.

The model x_i = beta + sqrt(v_i + tau^2) (alpha + e_i) lets the effect depend on precision; beta and alpha are the
slope and intercept of a regression in the generalised radial plot. With v_i -> 0 each study keeps only its
heterogeneity: its limit effect is beta + tau / sqrt(v_i + tau^2) (x_i - beta).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.funnel_data import read_funnel, without_rounding
from catharsis.errors import ModelError, did_you_mean
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import Weighted, weighted
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, chi2_upper, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

ADJUSTMENTS = ("beta0", "betalim", "mulim")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LimitMeta:
    """An average adjusted for small-study effects.

    Attributes
    ----------
    estimate, se, low, high, statistic, pvalue : float
        The adjusted average, its normal interval and test.
    adjust : str
        beta0: the expected effect at v = 0, beta + tau alpha. betalim: the slope of the radial plot of the limit
        effects. mulim: their average, the line through the origin.
    alpha, beta : float
        Intercept (small-study effect) and slope of the generalised radial plot.
    tau : float
        Between-study standard deviation.
    Q, Q_small, Q_resid : float
        Heterogeneity: all, due to small-study effects (1 df), and the rest (k - 2 df).
    G2 : float
        Share of the variation of the limit radial plot that precision leaves unexplained.
    limit_yi : (k,) array
        Limit effects of the studies.
    k : int
        Number of studies.
    level : float
        Probability of the interval.
    notes : tuple of str
        What every reader must be told.
    """

    estimate: float
    se: float
    low: float
    high: float
    statistic: float
    pvalue: float
    adjust: str
    alpha: float
    beta: float
    tau: float
    Q: float
    Q_small: float
    Q_resid: float
    G2: float
    limit_yi: FloatArray = field(repr=False)
    k: int
    level: float
    notes: tuple[str, ...] = ()

    @property
    def p_small(self) -> float:
        """The p value of the test for small-study effects, chi-square with 1 df."""
        return chi2_upper(self.Q_small, 1)

    @property
    def p_resid(self) -> float:
        """The p value of the test for heterogeneity beyond small-study effects, chi-square with k - 2 df."""
        return chi2_upper(self.Q_resid, self.k - 2)

    def summary(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        names = ("estimate", "se", "statistic", "pvalue", "low", "high", "tau", "Q_small", "p_small", "Q_resid", "G2")
        return pd.DataFrame([{name: getattr(self, name) for name in names}], index=[self.adjust])


def limit_meta(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    adjust: Literal["beta0", "betalim", "mulim"] = "beta0",
    method: str | None = None,
    level: float | None = None,
) -> LimitMeta:
    """Limit meta-analysis.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators, or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    adjust : str
        beta0, betalim or mulim; see `LimitMeta`.
    method : str, optional
        Estimator of tau^2; by default that of the model, or REML.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LimitMeta

    Raises
    ------
    ModelError
        Moderators, dependent effects, fewer than three effects, or equal variances.

    References
    ----------
    [@ruecker2011]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> found = limit_meta(yi, vi, adjust="mulim", method="PM")
    >>> round(found.estimate, 3), round(found.Q_small, 3)
    (0.049, 3.215)
    """
    data = read_funnel(yi, vi, method=method, level=level, alone="limit meta-analysis")
    if adjust not in ADJUSTMENTS:
        raise ModelError(f'there is no adjustment "{adjust}": {did_you_mean(adjust, ADJUSTMENTS)}')
    k, y, v = data.k, data.yi, data.vi
    if k < 3:
        raise ModelError(f"limit meta-analysis needs at least three effects; here k = {k}")
    s = np.sqrt(v)
    if np.ptp(without_rounding(s)) == 0:
        raise ModelError("all variances are equal, so effects cannot be related to precision")
    tau2 = fit(yi=y, vi=v, method=data.method, test="z").tau2
    tau = float(np.sqrt(tau2))
    radial = _line(y, v + tau2)
    beta, alpha = map(float, radial.beta)
    limit = beta + tau / np.sqrt(v + tau2) * (y - beta)
    plain, ordinary = _mean(y, v), _line(y, v)
    through, bent = _mean(limit, v), _line(limit, v)
    notes: list[str] = []
    if adjust == "beta0":
        row = np.array([1.0, tau])
        estimate, variance = float(row @ radial.beta), float(row @ radial.cov @ row)
    else:
        chosen = bent if adjust == "betalim" else through
        estimate, variance = float(chosen.beta[0]), float(chosen.cov[0, 0])
    if tau2 == 0:
        notes.append("tau^2 is estimated at its boundary, zero: every study has the same limit effect")
    ratio = limit / s
    spread = float(np.sum((ratio - ratio.mean()) ** 2))
    se = float(np.sqrt(variance))
    reach = float(critical_value(data.level)) * se
    return LimitMeta(
        estimate=estimate, se=se, low=estimate - reach, high=estimate + reach, statistic=estimate / se,
        pvalue=float(two_sided_p(estimate / se)), adjust=adjust, alpha=alpha, beta=beta, tau=tau, Q=plain.rss,
        Q_small=float(ordinary.beta[1] ** 2 / ordinary.cov[1, 1]), Q_resid=ordinary.rss,
        G2=bent.rss / spread if tau2 > 0 else 0.0, limit_yi=limit, k=k, level=data.level,
        notes=tuple(notes),
    )  # fmt: skip


def _line(y: FloatArray, v: FloatArray) -> Weighted:
    """Slope (first) and intercept of the radial plot: y on 1 and the standard error, weights 1/v."""
    return weighted(y, 1 / v, np.column_stack([np.ones_like(y), np.sqrt(v)]))


def _mean(y: FloatArray, v: FloatArray) -> Weighted:
    return weighted(y, 1 / v, np.ones((len(y), 1)))
