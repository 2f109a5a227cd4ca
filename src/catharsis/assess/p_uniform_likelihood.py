"""p-uniform*: effect and heterogeneity from all results, whatever the share of nonsignificant ones that is published.

Each effect counts by its density given that it is significant, or given that it is not: how often either is published
then cancels out. It is the step-function selection model with an unknown weight that is left out of the likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from catharsis.assess.p_uniform_estimates import significant_effects
from catharsis.assess.selection_functions import LOG_2PI, Terms
from catharsis.assess.selection_likelihood import (
    Coordinates,
    Point,
    SelectionData,
    climb,
    highest,
    log_likelihood,
    profile_bounds,
)
from catharsis.errors import ModelError
from catharsis.models import heterogeneity
from catharsis.numerics import FloatArray, chi2_quantile, chi2_upper

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class PUniformStar:
    """Result of p-uniform*.

    Attributes
    ----------
    estimate, low, high : float
        The average effect and its profile-likelihood interval.
    statistic, p : float
        Likelihood-ratio test of no effect, two-sided.
    tau2, tau2_low, tau2_high : float
        Between-study variance and its profile-likelihood interval.
    tau2_statistic, tau2_p : float
        Likelihood-ratio test of no heterogeneity; p is halved because tau^2 cannot be negative.
    significant : int
        Number of significant effects.
    llf : float
        Log-likelihood.
    at_maximum : bool
        Whether the gradient vanishes or tau^2 is held at 0.
    notes : tuple of str
        What every reader must be told.
    """

    estimate: float
    low: float
    high: float
    statistic: float
    p: float
    tau2: float
    tau2_low: float
    tau2_high: float
    tau2_statistic: float
    tau2_p: float
    significant: int
    llf: float
    at_maximum: bool
    level: float
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """Estimates, intervals and tests in one frame."""
        import pandas as pd

        return pd.DataFrame(
            {"estimate": [self.estimate, self.tau2], "low": [self.low, self.tau2_low],
             "high": [self.high, self.tau2_high], "statistic": [self.statistic, self.tau2_statistic],
             "p": [self.p, self.tau2_p]}, index=["effect", "tau2"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConditionalWeights:
    """Weight 1 on the side of the critical value where the effect was seen, 0 on the other.

    Attributes
    ----------
    cut : (k,) array
        Critical values.
    side : (k,) array
        1 where the effect is significant, -1 where it is not.
    """

    cut: FloatArray
    side: FloatArray

    def observed(self, delta: FloatArray) -> Terms:
        """Nothing: the weight at an observed effect is 1."""
        k = len(self.cut)
        return Terms(np.zeros(k), np.zeros((k, 0)), np.zeros((k, 0, 0)))

    def normaliser(self, mu: FloatArray, S: FloatArray, delta: FloatArray) -> Terms:
        """Log probability of the side on which the effect was seen."""
        s = np.sqrt(S)
        t = self.side * (mu - self.cut) / s
        log_p = special.log_ndtr(t)
        h = np.exp(-(t**2) / 2 - LOG_2PI / 2 - log_p)  # the derivatives in mu, from which those in S follow
        a1, a2, a3, a4 = self.side * h / s, -t * h / S, self.side * (t**2 - 1) * h / (S * s), (3 * t - t**3) * h / S**2
        first = np.stack([a1, a2 / 2], axis=1)
        second = np.empty((len(mu), 2, 2))
        second[:, 0, 0], second[:, 1, 1] = a2, a4 / 4
        second[:, 0, 1] = second[:, 1, 0] = a3 / 2
        return Terms(log_p, first, second - first[:, :, None] * first[:, None, :])


def p_uniform_star(
    yi: Sequence[float] | FloatArray,
    vi: Sequence[float] | FloatArray,
    *,
    side: Literal["right", "left"] = "right",
    alpha: float = 0.05,
    level: float = 0.95,
) -> PUniformStar:
    """Estimate average effect and heterogeneity by p-uniform*, maximum likelihood.

    Studies are taken to have tested two-sidedly at `alpha` by z tests.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    side : {"right", "left"}
        Whether the hypothesis is a positive or a negative effect.
    alpha : float
        Two-sided significance level of the studies.
    level : float
        Probability of the intervals.

    Returns
    -------
    PUniformStar

    Raises
    ------
    ModelError
        Data that cannot be fitted, or fewer than 2 effects.

    References
    ----------
    [@vanaert2026]

    Examples
    --------
    >>> import catharsis as ca
    >>> yi, vi = [0.5, 0.6, 0.9, 0.1, 0.3, 0.2], [0.04, 0.04, 0.09, 0.04, 0.05, 0.01]
    >>> found = ca.p_uniform_star(yi, vi)
    >>> round(found.estimate, 3), found.tau2
    (0.186, 0.0)
    """
    y, s, cut, chosen, sign, unit = significant_effects(yi, vi, alpha, side, level)
    if len(y) < 2:
        raise ModelError("p-uniform* needs at least 2 effects: it estimates heterogeneity as well")
    k = int(chosen.sum())
    data = SelectionData(
        y, s**2, np.ones((len(y), 1)), ConditionalWeights(cut, np.where(chosen, 1.0, -1.0)), np.ones(len(y), bool)
    )
    plain = Coordinates(np.eye(2), np.zeros(2), np.zeros(2, bool))

    def f(x: FloatArray) -> Point:
        return log_likelihood(data, x)

    X = np.ones((len(y), 1))
    tau2 = heterogeneity.tau2_dl(y, s**2, X)
    mean = float(heterogeneity.weighted(y, 1 / (s**2 + tau2), X).beta[0])
    starts = [np.array(start) for start in (
        [mean, tau2], [mean, 0.0], [0.0, tau2 + 0.1], [mean / 2, tau2 / 2], [2 * mean, 2 * tau2 + 1],
    )]  # fmt: skip
    low, high = np.array([-np.inf, 0.0]), np.array([np.inf, np.inf])
    best, _, done = highest(data, plain, starts, low, high)

    def held(q: int, value: float) -> float:
        """The highest log-likelihood with parameter q fixed."""
        lo, hi = low.copy(), high.copy()
        lo[q] = hi[q] = value
        return max(climb(f, start, lo, hi)[0].value for start in (best.at, *starts))

    drop = chi2_quantile(level, 1) / 2
    reach = 1.0 / np.sqrt(len(y))
    lower, upper = profile_bounds(f, best, 0, low, high, drop, reach)
    tau2_low, tau2_high = profile_bounds(f, best, 1, low, high, drop, max(float(best.at[1]) / 2, reach))
    effect, spread = (max(2 * (best.value - held(q, 0.0)), 0.0) for q in (0, 1))
    notes = []
    if k in (0, len(y)):
        notes.append(f"{'no' if k == 0 else 'every'} effect is significant to the {side}")
    if best.at[1] == 0:
        notes.append("tau^2 is estimated at its boundary, zero")
    if not done:
        notes.append("the search for the maximum did not settle: the likelihood is nearly flat or has no maximum")
    lower, upper = sorted((sign * unit * lower, sign * unit * upper))
    return PUniformStar(
        estimate=sign * unit * float(best.at[0]), low=lower, high=upper, statistic=effect, p=chi2_upper(effect, 1),
        tau2=unit**2 * float(best.at[1]), tau2_low=unit**2 * tau2_low, tau2_high=unit**2 * tau2_high,
        tau2_statistic=spread, tau2_p=chi2_upper(spread, 1) / 2, significant=k,
        llf=best.value - float(len(y) * np.log(unit)), at_maximum=done, level=level, notes=tuple(notes),
    )  # fmt: skip
