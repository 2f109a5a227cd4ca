"""Between-study variance by equating a quadratic form of the effects with its mean, or with its median.

With any fixed weights a and P = A - AX (X'AX)^-1 X'A, the form Q = y'Py has the mean tr(PV) + tau^2 tr(P). One
equation gives the generalised Q estimator [@dersimonian2007; @jackson2014]; DerSimonian-Laird (a = 1 / v) and Hedges
(a = 1) are two of its cases. Weights that depend on tau^2 itself give Paule-Mandel, whose estimates equal those of
empirical Bayes [@morris1983].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.quadratic_forms import Tails, quadratic_form_tails
from catharsis.models.weighted_least_squares import weighted
from catharsis.numerics import FloatArray, chi2_quantile, root


def residual_df(yi: FloatArray, X: FloatArray, what: str) -> int:
    """Degrees of freedom k - p.

    Raises
    ------
    ModelError
        When none are left; `what` begins the sentence.
    """
    k, p = X.shape
    if k - p < 1:
        raise ModelError(f"{what} needs more effects than coefficients; here k = {k} and p = {p}")
    return int(k - p)


def tau2_generalised_q(yi: FloatArray, vi: FloatArray, X: FloatArray, ai: FloatArray) -> float:
    """Between-study variance by the generalised Q (method of moments) estimator.

    Parameters
    ----------
    yi : (k,) array
        Effect sizes on the analysis scale.
    vi : (k,) array
        Sampling variances, squared units of `yi`, all positive.
    X : (k, p) array
        Moderators, intercept included.
    ai : (k,) array
        Weights, any unit.

    Returns
    -------
    float
        (Q - tr(PV)) / tr(P), truncated at 0, squared units of `yi`.

    Raises
    ------
    ModelError
        If k <= p: nothing is left to vary.

    References
    ----------
    [@dersimonian2007; @jackson2014]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_generalised_q(yi, vi, np.ones((3, 1)), 1 / (vi + vi.mean())), 4)
    0.1212
    """
    residual_df(yi, X, "the generalised Q estimator")
    ai = ai / ai.max()
    fit = weighted(yi, ai, X)
    free = 1 - np.einsum("ij,ij->i", fit.basis, fit.basis)
    return max((fit.rss - float((ai * vi) @ free)) / fit.trace, 0.0)


def tau2_dl(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by the DerSimonian-Laird moment estimator.

    Parameters
    ----------
    yi : (k,) array
        Effect sizes on the analysis scale.
    vi : (k,) array
        Sampling variances, squared units of `yi`, all positive.
    X : (k, p) array
        Moderators, intercept included.

    Returns
    -------
    float
        (Q - (k - p)) / tr(P) truncated at 0, squared units of `yi`.

    Raises
    ------
    ModelError
        If k <= p: nothing is left to vary.

    References
    ----------
    [@dersimonian1986; @raudenbush2009]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_dl(yi, vi, np.ones((3, 1))), 4)
    0.1125
    """
    df = residual_df(yi, X, "the DerSimonian-Laird estimator")
    fit = weighted(yi, 1 / vi, X)
    return max((fit.rss - df) / fit.trace, 0.0)


def tau2_he(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by the Hedges (unweighted moment) estimator, truncated at 0.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@hedges1983; @raudenbush2009]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_he(yi, vi, np.ones((3, 1))), 4)
    0.13
    """
    df = residual_df(yi, X, "the Hedges estimator")
    fit = weighted(yi, np.ones_like(vi), X)
    leverage = np.einsum("ij,ij->i", fit.basis, fit.basis)
    return max((fit.rss - float(vi @ (1 - leverage))) / df, 0.0)


def tau2_hs(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by Hunter-Schmidt: (Q - k) / sum(1 / v), truncated at 0.

    Negatively biased in small samples, as no degree of freedom is given up for the coefficients.
    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@hunter1990; @viechtbauer2005]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_hs(yi, vi, np.ones((3, 1))), 4)
    0.0606
    """
    residual_df(yi, X, "the Hunter-Schmidt estimator")
    return max((weighted(yi, 1 / vi, X).rss - len(yi)) / float(np.sum(1 / vi)), 0.0)


def tau2_hsk(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Hunter-Schmidt with Q enlarged by k / (k - p), which removes most of its bias (Brannick and others 2019).

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@hunter1990; @viechtbauer2005]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_hsk(yi, vi, np.ones((3, 1))), 4)
    0.1054
    """
    df = residual_df(yi, X, "the Hunter-Schmidt estimator")
    k = len(yi)
    return max((k / df * weighted(yi, 1 / vi, X).rss - k) / float(np.sum(1 / vi)), 0.0)


def tau2_sj(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by Sidik-Jonkman, never negative.

    A crude tau0^2, the plain variance of the effects, fixes the weights 1 / (v / tau0^2 + 1); their residual mean
    square is the estimate. It is 0 only when all effects are equal.
    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@sidik2005; @viechtbauer2005]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_sj(yi, vi, np.ones((3, 1))), 4)
    0.122
    """
    df = residual_df(yi, X, "the Sidik-Jonkman estimator")
    crude = sidik_jonkman_start(yi)
    return crude * weighted(yi, 1 / (vi + crude), X).rss / df if crude > 0 else 0.0


def sidik_jonkman_start(yi: FloatArray) -> float:
    """The crude between-study variance from which Sidik-Jonkman starts: the mean squared deviation of the effects."""
    return float(np.var(yi)) if np.ptp(yi) > 0 else 0.0


def tau2_pm(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by Paule-Mandel: the tau^2 at which the generalised Q equals k - p.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@paule1982; @morris1983; @viechtbauer2021]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_pm(yi, vi, np.ones((3, 1))), 4)
    0.1263
    """
    df = residual_df(yi, X, "the Paule-Mandel estimator")
    return tau2_at_q(yi, vi, X, df)


def tau2_pmm(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Median-unbiased Paule-Mandel: the tau^2 at which the generalised Q equals the median of chi-square, k - p.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@viechtbauer2021]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_pmm(yi, vi, np.ones((3, 1))), 4)
    0.1985
    """
    df = residual_df(yi, X, "the median-unbiased Paule-Mandel estimator")
    return tau2_at_q(yi, vi, X, chi2_quantile(0.5, df))


def tau2_generalised_q_median(yi: FloatArray, vi: FloatArray, X: FloatArray, ai: FloatArray) -> float:
    """Median-unbiased generalised Q: the tau^2 under which the observed Q is the median of its exact distribution.

    Parameters, errors and units as in `tau2_generalised_q`.

    References
    ----------
    [@jackson2014; @viechtbauer2021]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_generalised_q_median(yi, vi, np.ones((3, 1)), 1 / (vi + vi.mean())), 4)
    0.1898
    """
    residual_df(yi, X, "the median-unbiased generalised Q estimator")
    return tau2_at_tail(yi, vi, X, ai, 0.5)


def tau2_at_q(yi: FloatArray, vi: FloatArray, X: FloatArray, target: float) -> float:
    """The tau^2 at which the generalised Q statistic, weights 1 / (v + tau^2), equals `target`; 0 if it never does."""

    def gap(tau2: float) -> float:
        return weighted(yi, 1 / (vi + tau2), X).rss - target

    if gap(0.0) <= 0:
        return 0.0
    return root(gap, *_bracket(gap, max(float(np.var(yi)), float(vi.max()))))


def generalised_q_tails(yi: FloatArray, vi: FloatArray, X: FloatArray, ai: FloatArray, tau2: float) -> Tails:
    """Exact probabilities of a generalised Q (weights ai) below and above the observed one, given tau^2.

    References
    ----------
    [@jackson2013; @jackson2014]
    """
    at = weighted(yi, ai, X)
    return quadratic_form_tails(at.rss, ai * (vi + tau2), at.basis)


def tau2_at_tail(yi: FloatArray, vi: FloatArray, X: FloatArray, ai: FloatArray, upper: float) -> float:
    """The tau^2 at which P(Q > observed) is `upper`; 0 when it is larger already without heterogeneity."""
    ai = ai / ai.max()
    at = weighted(yi, ai, X)

    def gap(tau2: float) -> float:
        tails = quadratic_form_tails(at.rss, ai * (vi + tau2), at.basis)
        return upper - tails.upper if upper <= 0.5 else tails.lower - (1 - upper)

    if gap(0.0) <= 0:
        return 0.0
    return root(gap, *_bracket(gap, max(float(np.var(yi)), float(vi.max()))))


def _bracket(gap: Callable[[float], float], start: float) -> tuple[float, float]:
    """Two points between which a falling function that is positive at 0 changes its sign."""
    low, high = 0.0, start
    while gap(high) > 0:
        low, high = high, 4 * high
        if not np.isfinite(high):
            raise ModelError(
                "tau^2 has no finite solution: the effects differ beyond what doubles can hold; check their unit"
            )
    return low, high
