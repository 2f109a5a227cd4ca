"""Between-study variance tau^2 of the univariate random-effects model y_i ~ N(x_i b, v_i + tau^2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, chi2_quantile, root

MAX_STEPS = 200
RELATIVE_STEP = 1e-13  # Fisher scoring stops when tau^2 moves by less than this share of its scale


@dataclass(frozen=True, slots=True)
class Weighted:
    """Weighted least squares with weights w.

    Attributes
    ----------
    beta : (p,) array
    cov : (p, p) array
        (X'WX)^-1.
    rss : float
        Sum of w r^2: Cochran's Q at these weights.
    trace, trace2 : float
        tr(P) and tr(PP), P = W - WX (X'WX)^-1 X'W.
    log_det_cov : float
        log|(X'WX)^-1|.
    """

    beta: FloatArray
    cov: FloatArray
    residual: FloatArray
    rss: float
    trace: float
    trace2: float
    log_det_cov: float


def weighted(yi: FloatArray, wi: FloatArray, X: FloatArray) -> Weighted:
    """Weighted least squares of yi on X, with what the heterogeneity estimators need."""
    half = np.sqrt(wi)
    # QR, not normal equations: a raw year among the moderators would cost half of the digits
    Q, R = np.linalg.qr(half[:, None] * X)
    beta = np.linalg.solve(R, Q.T @ (half * yi))
    inverse = np.linalg.inv(R)
    residual = yi - X @ beta
    free = 1 - np.einsum("ij,ij->i", Q, Q)
    inner = Q.T @ (wi[:, None] * Q)
    trace2 = float(wi**2 @ (2 * free - 1) + np.sum(inner**2))
    log_det_cov = -2 * float(np.log(np.abs(np.diag(R))).sum())
    return Weighted(beta, inverse @ inverse.T, residual, float(wi @ residual**2), float(wi @ free), trace2, log_det_cov)


def _room(yi: FloatArray, X: FloatArray, what: str) -> int:
    k, p = X.shape
    if k - p < 1:
        raise ModelError(f"{what} needs more effects than coefficients; here k = {k} and p = {p}")
    return int(k - p)


def tau2_none(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Zero: the equal-effects (fixed-effect) model."""
    return 0.0


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
    df = _room(yi, X, "the DerSimonian-Laird estimator")
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
    df = _room(yi, X, "the Hedges estimator")
    fit = weighted(yi, np.ones_like(vi), X)
    leverage = np.einsum("ij,jk,ik->i", X, fit.cov, X)
    return max((fit.rss - float(vi @ (1 - leverage))) / df, 0.0)


def tau2_pm(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by Paule-Mandel: the tau^2 at which the generalised Q equals k - p.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@paule1982; @viechtbauer2021]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_pm(yi, vi, np.ones((3, 1))), 4)
    0.1263
    """
    df = _room(yi, X, "the Paule-Mandel estimator")
    return tau2_at_q(yi, vi, X, df)


def tau2_at_q(yi: FloatArray, vi: FloatArray, X: FloatArray, target: float) -> float:
    """The tau^2 at which the generalised Q statistic equals `target`; 0 when it never reaches it."""

    def gap(tau2: float) -> float:
        return weighted(yi, 1 / (vi + tau2), X).rss - target

    if gap(0.0) <= 0:
        return 0.0
    high = max(float(np.var(yi)), float(vi.max()))
    while gap(high) > 0:
        high *= 4
    return root(gap, 0.0, high)


def _likelihood(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, reml: bool) -> float:
    wi = 1 / (vi + tau2)
    fit = weighted(yi, wi, X)
    value = 0.5 * (float(np.log(wi).sum()) - fit.rss)
    return value + 0.5 * fit.log_det_cov if reml else value


def _score(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, reml: bool) -> tuple[float, float]:
    """First derivative of the log-likelihood in tau^2, and its expected information."""
    wi = 1 / (vi + tau2)
    fit = weighted(yi, wi, X)
    quadratic = float((wi * fit.residual) @ (wi * fit.residual))
    if not reml:
        return (quadratic - float(wi.sum())) / 2, float(wi @ wi) / 2
    return (quadratic - fit.trace) / 2, fit.trace2 / 2


def _maximum(yi: FloatArray, vi: FloatArray, X: FloatArray, reml: bool) -> float:
    """Fisher scoring from the Hedges estimate; checked against the boundary, bracketed when it stalls.

    The data are put in units of the typical standard error first, so that the answer does not depend
    on the unit.
    """
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    tau2 = tau2_he(y, v, X)
    for _ in range(MAX_STEPS):
        score, information = _score(y, v, X, tau2, reml)
        step = max(tau2 + score / information, 0.0) - tau2
        tau2 += step
        if abs(step) <= RELATIVE_STEP * max(tau2, float(v.min())):
            break
    else:
        tau2 = _bracketed(y, v, X, reml)
    if tau2 > 0 and _likelihood(y, v, X, 0.0, reml) > _likelihood(y, v, X, tau2, reml):
        tau2 = _bracketed(y, v, X, reml)
    return tau2 * unit


def _bracketed(y: FloatArray, v: FloatArray, X: FloatArray, reml: bool) -> float:
    """The best stationary point found on a grid of tau^2, polished to a root of the score."""
    top = 10 * max(float(np.var(y)) * len(y), float(v.max()))
    grid = np.concatenate([[0.0], np.geomspace(float(v.min()) * 1e-6, top, 200)])
    height = np.array([_likelihood(y, v, X, t, reml) for t in grid])
    best = int(height.argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]

    def score(tau2: float) -> float:
        return _score(y, v, X, tau2, reml)[0]

    if score(low) <= 0:
        return float(low)
    if score(high) >= 0:
        raise ModelError("the likelihood of tau^2 has no maximum in reach; check the largest effect and its variance")
    return root(score, float(low), float(high))


def tau2_reml(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by restricted maximum likelihood.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@viechtbauer2005; @raudenbush2009]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_reml(yi, vi, np.ones((3, 1))), 4)
    0.1225
    """
    _room(yi, X, "restricted maximum likelihood")
    return _maximum(yi, vi, X, reml=True)


def tau2_ml(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Between-study variance by maximum likelihood; biased low in small samples.

    Parameters, errors and units as in `tau2_dl`.

    References
    ----------
    [@hardy1996; @viechtbauer2005]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_ml(yi, vi, np.ones((3, 1))), 4)
    0.0677
    """
    _room(yi, X, "maximum likelihood")
    return _maximum(yi, vi, X, reml=False)


ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, FloatArray], float]] = {
    "EE": tau2_none,
    "FE": tau2_none,
    "DL": tau2_dl,
    "HE": tau2_he,
    "PM": tau2_pm,
    "ML": tau2_ml,
    "REML": tau2_reml,
}


def tau2_se(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, method: str) -> float:
    """Standard error of an estimate of tau^2, from the expected information or the variance of its quadratic form.

    With P at the weights of the estimator and M = V + tau^2 I, the moment estimators DL and HE have the
    variance 2 tr(PMPM) / tr(P)^2; REML and ML have 2 / tr(PP) and 2 / tr(WW); PM, whose weights depend on
    tau^2, has the large-sample 2 k^2 / ((k - p) (sum w)^2).

    Parameters
    ----------
    yi, vi, X : arrays
        As in `tau2_dl`.
    tau2 : float
        The estimate.
    method : str
        A key of `ESTIMATORS`.

    Returns
    -------
    float
        Squared units of `yi`; nan for EE.

    References
    ----------
    [@morris1983; @viechtbauer2005; @viechtbauer2007]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_se(yi, vi, np.ones((3, 1)), 0.1225, "REML"), 3)
    0.155
    """
    k, p = X.shape
    if method in ("EE", "FE") or k <= p:
        return float("nan")
    at = weighted(yi, 1 / (vi + tau2), X)
    if method == "REML":
        return float(np.sqrt(2 / at.trace2))
    if method == "ML":
        return float(np.sqrt(2 / np.sum(1 / (vi + tau2) ** 2)))
    if method == "PM":
        return float(np.sqrt(2 * k**2 / (k - p)) / np.sum(1 / (vi + tau2)))
    if method == "DL":
        plain = weighted(yi, 1 / vi, X)
        return float(np.sqrt(2 * (k - p) + 4 * tau2 * plain.trace + 2 * tau2**2 * plain.trace2)) / plain.trace
    Q = np.linalg.qr(X)[0]
    free = 1 - np.einsum("ij,ij->i", Q, Q)
    PVPV = float(vi**2 @ (2 * free - 1) + np.sum((Q.T @ (vi[:, None] * Q)) ** 2))
    return float(np.sqrt(2 * PVPV + 4 * tau2 * float(vi @ free) + 2 * tau2**2 * (k - p)) / (k - p))


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
    df = _room(yi, X, "an interval for tau^2")
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    low = tau2_at_q(y, v, X, chi2_quantile((1 + level) / 2, df))
    high = tau2_at_q(y, v, X, chi2_quantile((1 - level) / 2, df))
    return low * unit, high * unit
