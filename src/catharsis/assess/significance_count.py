"""Test of excess significance: whether more studies are significant than their power allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, gammaln, ndtr, ndtri, xlog1py, xlogy

from catharsis.assess.funnel_data import read_funnel
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import finite_number, probability
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, chi2_upper, root

if TYPE_CHECKING:
    import pandas as pd

EXACT_UP_TO = 2000  # studies; the exact distribution costs k^2
SAME = 1e-7  # relative difference below which two binomial probabilities count as equal in a two-sided test
MOST_DOUBLINGS = 60  # of the search for a theta at which every study is significant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExcessSignificance:
    """Observed against expected significant studies.

    Attributes
    ----------
    observed : int
        Number of significant studies.
    expected : float
        Sum of their powers at `theta`.
    statistic : float
        Pearson's chi-square; nan for the other tests.
    pvalue : float
        p of the test of excess significance.
    test : str
        chi2, binom or exact.
    power : (k,) array
        Power of each study.
    significant : (k,) array of bool
        Whether each study is significant.
    theta, tau2 : float
        True effect and heterogeneity at which the power was computed.
    limits : tuple of float
        Values of theta at which p equals `limit_alpha`; for a two-sided test two, at which the one-sided p for an
        excess and for a lack equals half of it. On the side of the null value on which `theta` lies; nan where there
        is none.
    k : int
        Number of studies.
    notes : tuple of str
        What every reader must be told.
    """

    observed: int
    expected: float
    statistic: float
    pvalue: float
    test: str
    power: FloatArray = field(repr=False)
    significant: NDArray[np.bool_] = field(repr=False)
    theta: float
    tau2: float
    limits: tuple[float, ...]
    k: int
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Observed over expected."""
        return self.observed / self.expected if self.expected > 0 else float("nan")

    def summary(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        names = ("k", "observed", "expected", "ratio", "statistic", "pvalue", "theta", "tau2")
        row = {name: getattr(self, name) for name in names}
        row.update({f"limit{i + 1}" if i else "limit": value for i, value in enumerate(self.limits)})
        return pd.DataFrame([row], index=[self.test])


def excess_significance(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    null: float = 0.0,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    alpha: float = 0.05,
    theta: float | None = None,
    tau2: float | None = None,
    test: Literal["chi2", "binom", "exact"] | None = None,
    excess: Literal["greater", "two-sided", "less"] = "greater",
    limit_alpha: float = 0.10,
) -> ExcessSignificance:
    """Test whether more studies are significant than their power allows.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators, whose estimate and tau^2 are used; or effects, whose average is
        used with weights 1 / (vi + tau2), tau^2 being 0 unless given.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    null : float
        The null value of the studies' own tests.
    alternative : str
        Sidedness of the studies' tests.
    alpha : float
        Level of the studies' tests.
    theta, tau2 : float, optional
        True effect and heterogeneity, instead of the estimates (of arrays: of homogeneity).
    test : str, optional
        chi2 (Pearson), binom (all studies share the mean power) or exact (each its own power; the default up to
        2000 studies).
    excess : str
        "greater" tests for excess significance, "less" for a lack of it, "two-sided" for either.
    limit_alpha : float
        p at which the limit estimates of theta are taken.

    Returns
    -------
    ExcessSignificance

    Raises
    ------
    ModelError
        Unknown names, levels outside (0, 1), tau^2 below zero, or a chi-square test when no study can fail.

    References
    ----------
    [@ioannidis2007]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.7, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> found = excess_significance(yi, vi)
    >>> found.observed, round(found.expected, 3), round(found.pvalue, 4)
    (3, 2.275, 0.3959)
    """
    data = read_funnel(yi, vi, alone="the test of excess significance")
    _check(alternative, excess, test, alpha, limit_alpha)
    null = finite_number(null, "null")
    y, s = data.yi - null, np.sqrt(data.vi)
    if tau2 is None:
        tau2 = data.fit.tau2 if data.fit is not None else 0.0
    tau2 = finite_number(tau2, "tau2")
    if tau2 < 0:
        raise ModelError(f"tau2 = {tau2}: it must not be negative")
    if theta is None:
        wi = 1 / (data.vi + tau2)
        theta = float(data.fit.beta[0]) if data.fit is not None else float(wi @ data.yi / wi.sum())
    theta = finite_number(theta, "theta")
    k = data.k
    notes = ["not a test of publication bias: it compares the number of significant studies with their power"]
    if test is None:
        test = "exact" if k <= EXACT_UP_TO else "chi2"
        if test == "chi2":
            notes.append(f"more than {EXACT_UP_TO} studies: Pearson's test replaces the exact one")
    significant = _significant(y / s, alpha, alternative)
    observed = int(significant.sum())

    def power_at(shift: float) -> FloatArray:
        return _power(shift, s, float(tau2), alpha, alternative)

    def p_at(shift: float, towards: str) -> float:
        return _p(observed, power_at(shift), test, towards)[1]

    power = power_at(theta - null)
    expected = float(power.sum())
    if test == "chi2" and not 0 < expected < k:
        raise ModelError(
            f"every study has power {power[0]:.0f} at theta = {theta:g}, so Pearson's test is undefined; use 'exact'"
        )
    statistic, p = _p(observed, power, test, excess)
    direction = float(np.sign(theta - null))
    unit = float(np.sqrt(np.median(data.vi) + tau2))
    far = _farthest(power_at, direction, unit)
    if excess == "two-sided":
        sought = [("greater", limit_alpha / 2), ("less", limit_alpha / 2)]
    else:
        sought = [(excess, limit_alpha)]
    limits = tuple(null + direction * _crossing(p_at, direction, far, *each) for each in sought)
    return ExcessSignificance(
        observed=observed, expected=expected, statistic=statistic, pvalue=p, test=test, power=power,
        significant=significant, theta=theta, tau2=tau2, limits=limits, k=k,
        notes=tuple(notes),
    )  # fmt: skip


def _check(alternative: str, excess: str, test: str | None, alpha: float, limit_alpha: float) -> None:
    sides = ("two-sided", "greater", "less")
    for value, name in ((alternative, "alternative"), (excess, "excess")):
        if value not in sides:
            raise ModelError(f'{name} is "{value}": {did_you_mean(value, sides)}')
    if test not in (None, "chi2", "binom", "exact"):
        raise ModelError(f'there is no test "{test}": {did_you_mean(str(test), ["chi2", "binom", "exact"])}')
    for number, name in ((alpha, "alpha"), (limit_alpha, "limit_alpha")):
        probability(number, name)


def _significant(z: FloatArray, alpha: float, alternative: str) -> NDArray[np.bool_]:
    if alternative == "two-sided":
        return np.asarray(np.abs(z) >= -ndtri(alpha / 2))
    return np.asarray((z if alternative == "greater" else -z) >= -ndtri(alpha))


def _power(shift: float, s: FloatArray, tau2: float, alpha: float, alternative: str) -> FloatArray:
    """Probability of significance when y - null ~ N(shift, tau^2 + s^2)."""
    spread = np.sqrt(s**2 + tau2)
    if alternative == "two-sided":
        reach = -ndtri(alpha / 2) * s
        return np.asarray(ndtr((shift - reach) / spread) + ndtr((-shift - reach) / spread))
    shift = shift if alternative == "greater" else -shift
    return np.asarray(ndtr((shift + ndtri(alpha) * s) / spread))


def _p(observed: int, power: FloatArray, test: str, excess: str) -> tuple[float, float]:
    """Statistic (nan unless chi2) and p."""
    k, expected = len(power), float(power.sum())
    if test == "chi2":
        return _pearson(observed, expected, k, excess)
    nan = float("nan")
    if test == "binom":
        share = min(expected / k, 1.0)
        if excess == "greater":
            return nan, float(bdtrc(observed - 1, k, share)) if observed else 1.0
        if excess == "less":
            return nan, float(bdtr(observed, k, share))
        return nan, _as_rare(observed, _binomial(k, share))
    chances = poisson_binomial(power)
    if excess == "greater":
        return nan, min(1.0, float(chances[observed:].sum()))
    if excess == "less":
        return nan, min(1.0, float(chances[: observed + 1].sum()))
    return nan, _as_rare(observed, chances)


def _pearson(observed: int, expected: float, k: int, excess: str) -> tuple[float, float]:
    room = k - expected
    if expected <= 0 or room <= 0:
        return float("nan"), float("nan")
    gap = observed - expected
    statistic = gap**2 / expected + gap**2 / room
    if excess == "two-sided":
        return statistic, chi2_upper(statistic, 1)
    signed = float(np.sign(gap)) * float(np.sqrt(statistic))
    return statistic, float(ndtr(-signed if excess == "greater" else signed))


def _binomial(k: int, share: float) -> FloatArray:
    """(k + 1,) binomial probabilities."""
    x = np.arange(k + 1)
    return np.asarray(
        np.exp(gammaln(k + 1) - gammaln(x + 1) - gammaln(k - x + 1) + xlogy(x, share) + xlog1py(k - x, -share))
    )


def poisson_binomial(chance: FloatArray) -> FloatArray:
    """Distribution of the number of successes in independent trials of unequal chances.

    Parameters
    ----------
    chance : (k,) array
        Probability of success of each trial.

    Returns
    -------
    (k + 1,) array
        Probabilities of 0..k successes; every term is a sum of products of positive numbers, so none cancels.

    Examples
    --------
    >>> poisson_binomial(np.array([0.5, 0.2])).round(2).tolist()
    [0.4, 0.5, 0.1]
    """
    found = np.zeros(len(chance) + 1)
    found[0] = 1.0
    for i, p in enumerate(np.sort(chance)):
        found[1 : i + 2] = found[1 : i + 2] * (1 - p) + found[: i + 1] * p
        found[0] *= 1 - p
    return found


def _as_rare(observed: int, chances: FloatArray) -> float:
    """Two-sided p: all outcomes that are no more probable than the observed one."""
    return min(1.0, float(chances[chances <= chances[observed] * (1 + SAME)].sum()))


def _crossing(p_at: Callable[[float, str], float], direction: float, far: float, towards: str, level: float) -> float:
    """The distance from the null value at which a one-sided p, monotone in it, equals `level`, or nan."""

    def gap(size: float) -> float:
        return p_at(direction * size, towards) - level

    ends = gap(0.0), gap(far)
    return root(gap, 0.0, far) if np.isfinite(ends).all() and ends[0] * ends[1] <= 0 else float("nan")


def _farthest(power_at: Callable[[float], FloatArray], direction: float, unit: float) -> float:
    """A distance at which nearly every study is significant, but the expected number is still below k."""
    size = unit
    for _ in range(MOST_DOUBLINGS):
        power = power_at(direction * 2 * size)
        if power.sum() >= len(power) * (1 - 1e-15):
            break
        size *= 2
    return size
