"""p-uniform: the effect at which the significant p-values are uniform, given that they are significant.

At the true effect d the conditional p-value of a significant study, q = P(Y >= y | d) / P(Y >= critical value | d), is
uniform. The methods differ in how they compare the q with uniform numbers: their sum (P, Irwin-Hall distribution),
minus the sum of their logarithms (LNP, Fisher) or of log(1 - q) (LN1MINP), both gamma distributed, the distance of
their distribution from the uniform one (KS, AD), or the likelihood of the truncated normal distribution (ML).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.data import check_data, read_data
from catharsis.numerics import FloatArray, chi2_quantile, chi2_upper, root

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("P", "LNP", "LN1MINP", "KS", "AD", "ML")
SIDES = ("right", "left")
MANY = 60  # significant effects above which the normal approximation of their sum is good to 1e-5 of a p-value


@dataclass(frozen=True, slots=True, kw_only=True)
class PUniform:
    """Result of p-uniform.

    Attributes
    ----------
    estimate, low, high : float
        The effect and its interval; no interval (nan) for KS and AD.
    significant : int
        Number of significant effects, the only ones used.
    statistic, p : float
        Test of no effect; one-sided, apart from ML.
    bias_statistic, bias_p : float
        Test of publication bias: are the q too large at the fixed-effect estimate of all effects?
    fixed_effect : float
        That estimate.
    notes : tuple of str
        What every reader must be told.
    """

    estimate: float
    low: float
    high: float
    significant: int
    statistic: float
    p: float
    bias_statistic: float
    bias_p: float
    fixed_effect: float
    method: str
    level: float
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """Estimate and tests in one frame."""
        import pandas as pd

        return pd.DataFrame(
            {"estimate": [self.estimate, self.fixed_effect], "low": [self.low, np.nan], "high": [self.high, np.nan],
             "statistic": [self.statistic, self.bias_statistic], "p": [self.p, self.bias_p]},
            index=["effect", "publication bias, at the fixed effect"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Significant:
    """The significant effects, in the direction of the hypothesis and in units of a typical standard error."""

    yi: FloatArray
    sei: FloatArray
    cut: FloatArray

    def log_q(self, d: float) -> FloatArray:
        """Log of the conditional p-values at effect d."""
        found = special.log_ndtr((d - self.yi) / self.sei) - special.log_ndtr((d - self.cut) / self.sei)
        return np.asarray(np.minimum(found, 0.0))

    def log_likelihood(self, d: float) -> float:
        """Log-likelihood of the truncated normal distributions."""
        z = (self.yi - d) / self.sei
        return float(np.sum(-(z**2) / 2 - np.log(self.sei) - special.log_ndtr((d - self.cut) / self.sei)))

    def score(self, d: float) -> float:
        """Its derivative."""
        t = (d - self.cut) / self.sei
        ratio = np.exp(-(t**2) / 2 - np.log(2 * np.pi) / 2 - special.log_ndtr(t))
        return float(np.sum(((self.yi - d) / self.sei - ratio) / self.sei))


def significant_effects(
    yi: Sequence[float] | FloatArray, vi: Sequence[float] | FloatArray, alpha: float, side: str, level: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float, float]:
    """Checked data turned and scaled: effects, standard errors, critical values, which are significant, sign, unit.

    Raises
    ------
    ModelError
        Data that cannot be fitted, an alpha that is no probability, an unknown side.
    """
    given = read_data(None, None, yi, vi, None, None, None)
    check_data(given, level)
    if not 0 < alpha < 1:
        raise ModelError(f"alpha is {alpha}; the significance level lies between 0 and 1")
    if side not in SIDES:
        raise ModelError(f'there is no side "{side}": {did_you_mean(side, SIDES)}')
    sign = -1.0 if side == "left" else 1.0
    unit = float(np.sqrt(np.median(given.vi)))
    y, s = sign * given.yi / unit, np.sqrt(given.vi) / unit
    cut = -special.ndtri(alpha / 2) * s
    return y, s, cut, y >= cut, sign, unit


def irwin_hall(k: int, x: float) -> float:
    """P(sum of k uniform numbers <= x), exact up to the last rounding.

    Examples
    --------
    >>> irwin_hall(2, 0.5)
    0.125
    """
    if x <= 0 or x >= k:
        return float(x >= k)
    if 2 * x > k:
        return 1 - irwin_hall(k, k - x)
    at = Fraction(x)
    total = sum((-1) ** j * comb(k, j) * (at - j) ** k for j in range(int(x) + 1))
    return float(total / factorial(k))


def irwin_hall_quantile(k: int, probability: float) -> float:
    """The sum of k uniform numbers that is not exceeded with the given probability; normal for many."""
    if k > MANY:
        return float(k / 2 + np.sqrt(k / 12) * special.ndtri(probability))
    if probability > 0.5:
        return k - irwin_hall_quantile(k, 1 - probability)
    return root(lambda x: irwin_hall(k, x) - probability, 0.0, k / 2) if probability < 0.5 else k / 2


def p_uniform(
    yi: Sequence[float] | FloatArray,
    vi: Sequence[float] | FloatArray,
    *,
    side: Literal["right", "left"] = "right",
    method: str = "P",
    alpha: float = 0.05,
    level: float = 0.95,
) -> PUniform:
    """Estimate an effect from significant results alone.

    Studies are taken to have tested two-sidedly at `alpha` by z tests, and to share one effect: with heterogeneity
    p-uniform overestimates, and `p_uniform_star` is meant.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    side : {"right", "left"}
        Whether the hypothesis is a positive or a negative effect.
    method : str
        P (Irwin-Hall), LNP (Fisher), LN1MINP, KS, AD or ML.
    alpha : float
        Two-sided significance level of the studies.
    level : float
        Probability of the interval.

    Returns
    -------
    PUniform

    Raises
    ------
    ModelError
        Data that cannot be fitted, or no significant effect on the chosen side.

    References
    ----------
    [@vanassen2015]

    Examples
    --------
    >>> import catharsis as ca
    >>> found = ca.p_uniform([0.5, 0.6, 0.9, 0.1], [0.04, 0.04, 0.09, 0.04])
    >>> found.significant, round(found.estimate, 4), round(found.p, 4)
    (3, 0.5364, 0.0111)
    """
    if method not in METHODS:
        raise ModelError(f'there is no method "{method}": {did_you_mean(method, METHODS)}')
    y, s, cut, chosen, sign, unit = significant_effects(yi, vi, alpha, side, level)
    k = int(chosen.sum())
    if k == 0:
        raise ModelError(
            f"none of the {len(y)} effects is significant to the {side} at {alpha:g}; p-uniform uses only such"
        )
    data = Significant(y[chosen], s[chosen], cut[chosen])
    fixed = float(np.sum(y / s**2) / np.sum(1 / s**2))
    notes = [f"{k} significant effect{'s' * (k > 1)} of {len(y)} used"]
    if np.mean(special.ndtr(-data.yi / data.sei)) > alpha / 4:
        # the mean one-sided p of a flat distribution below alpha / 2
        notes.append(
            "the significant p-values are on average larger than without any effect: zero is the better estimate"
        )
    if method == "ML":
        found = _likelihood(data, fixed, level)
    elif method in ("KS", "AD"):
        nothing = float("nan")
        found = (_distance(data, method), nothing, nothing, nothing, nothing, nothing, nothing)
    else:
        found = _sums(data, fixed, level, method)
    estimate, low, high, statistic, p, bias, bias_p = found
    low, high = sorted((sign * unit * low, sign * unit * high))
    return PUniform(
        estimate=sign * unit * estimate, low=low, high=high, significant=k, statistic=statistic, p=p,
        bias_statistic=bias, bias_p=bias_p, fixed_effect=sign * unit * fixed, method=method, level=level,
        notes=tuple(notes),
    )  # fmt: skip


Found = tuple[float, float, float, float, float, float, float]


def _sums(data: Significant, fixed: float, level: float, method: str) -> Found:
    """P, LNP and LN1MINP: a sum with a known distribution, monotone in the effect."""
    k = len(data.yi)

    def total(d: float) -> float:
        log_q = data.log_q(d)
        if method == "P":
            return float(np.exp(log_q).sum())
        if method == "LNP":
            return float(-log_q.sum())
        with np.errstate(divide="ignore"):
            return float(-np.log(-np.expm1(log_q)).sum())

    def quantile(probability: float) -> float:
        if method == "P":
            return irwin_hall_quantile(k, probability)
        return float(special.gammaincinv(k, probability))

    centre = k / 2 if method == "P" else float(k)
    tail = (1 - level) / 2
    low, estimate, high = (_crossing(total, target, data) for target in (quantile(tail), centre, quantile(1 - tail)))
    at_zero, at_fixed = total(0.0), total(fixed)
    if method == "P":
        scale = np.sqrt(k / 12)
        statistic, bias = (at_zero - k / 2) / scale, (at_fixed - k / 2) / scale
        return estimate, low, high, statistic, float(special.ndtr(statistic)), bias, float(special.ndtr(-bias))
    lower, upper = special.gammainc, special.gammaincc
    effect, selection = (upper, lower) if method == "LNP" else (lower, upper)
    return estimate, low, high, at_zero, float(effect(k, at_zero)), at_fixed, float(selection(k, at_fixed))


def _crossing(total: Callable[[float], float], target: float, data: Significant) -> float:
    """The effect at which the sum meets its target."""
    reach = float(data.sei.max())
    low, high = float(data.yi.min()), float(data.yi.max())
    rising = total(high + reach) > total(low - reach)

    def gap(d: float) -> float:
        return (total(d) - target) if rising else (target - total(d))

    for _ in range(60):
        if gap(low) < 0:
            break
        low -= reach
        reach *= 2
    reach = float(data.sei.max())
    for _ in range(60):
        if gap(high) > 0:
            break
        high += reach
        reach *= 2
    if not gap(low) <= 0 <= gap(high):
        return float("nan")
    return root(gap, low, high)


def _likelihood(data: Significant, fixed: float, level: float) -> Found:
    """Maximum likelihood, its interval and tests by likelihood ratio; the log-likelihood is concave."""
    reach = float(data.sei.max())
    low, high = float(data.yi.min()) - reach, float(data.yi.max()) + reach
    for _ in range(60):
        if data.score(low) > 0:
            break
        low -= reach
        reach *= 2
    else:
        raise ModelError("the likelihood has no maximum: every significant effect is too close to its critical value")
    estimate = root(data.score, low, high)
    peak, drop = data.log_likelihood(estimate), chi2_quantile(level, 1) / 2

    def shortfall(d: float) -> float:
        return peak - data.log_likelihood(d) - drop

    bounds = []
    for direction in (-1, 1):
        reach, outside = float(data.sei.max()), estimate
        for _ in range(200):
            outside += direction * reach
            reach *= 1.5
            if shortfall(outside) > 0:
                break
        bounds.append(root(shortfall, *sorted((estimate, outside))) if shortfall(outside) > 0 else direction * np.inf)
    zero, bias = 2 * (peak - data.log_likelihood(0.0)), 2 * (peak - data.log_likelihood(fixed))
    return estimate, float(bounds[0]), float(bounds[1]), zero, chi2_upper(zero, 1), bias, chi2_upper(bias, 1)


def _distance(data: Significant, method: str) -> float:
    """The effect at which the q are closest to uniform numbers, by Kolmogorov-Smirnov or Anderson-Darling."""
    from scipy.optimize import minimize_scalar

    k = len(data.yi)
    order = np.arange(1, k + 1)

    def distance(d: float) -> float:
        log_q = np.sort(data.log_q(d))
        q = np.exp(log_q)
        if method == "KS":
            return float(max((order / k - q).max(), (q - (order - 1) / k).max()))
        with np.errstate(divide="ignore"):
            log_rest = np.log(-np.expm1(log_q))[::-1]
        return float(-k - np.sum((2 * order - 1) * (log_q + log_rest)) / k)

    middle = _crossing(lambda d: float(np.exp(data.log_q(d)).sum()), k / 2, data)
    reach = float(data.sei.max())
    grid = middle + reach * np.linspace(-6, 6, 1201)
    values = np.array([distance(float(d)) for d in grid])
    best = int(values.argmin())
    inside = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))
    found = minimize_scalar(distance, bounds=inside, method="bounded", options={"xatol": 1e-12 * reach})
    return float(found.x)
