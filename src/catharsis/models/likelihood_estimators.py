"""Between-study variance by (restricted) maximum likelihood: every local maximum is found, the highest is the estimate.

The score changes only over ratios of tau^2 + v, so a grid that is even in log(tau^2 + min v) sees all of its sign
changes; each change from rising to falling is polished to a root. Nothing depends on a start value, a step length or
the unit of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.moment_estimators import residual_df
from catharsis.models.weighted_least_squares import weighted
from catharsis.numerics import FloatArray, root

PER_UNIT = 6  # grid points per unit of log(tau^2 + min v)
CHUNK = 2_000_000  # elements of a (grid, k) array at a time: bounded memory for any number of effects
SPREAD = 1e6  # ratio of variances beyond which the quick scan loses too many digits


@dataclass(frozen=True, slots=True)
class Peak:
    """A local maximum of the likelihood of tau^2; `height` leaves out what does not depend on tau^2."""

    tau2: float
    height: float


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
    residual_df(yi, X, "restricted maximum likelihood")
    return likelihood_peaks(yi, vi, X, reml=True)[0].tau2


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
    residual_df(yi, X, "maximum likelihood")
    return likelihood_peaks(yi, vi, X, reml=False)[0].tau2


def tau2_likelihood(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, reml: bool) -> float:
    """The (restricted) log-likelihood of tau^2, b profiled out, without the terms that do not depend on tau^2."""
    wi = 1 / (vi + tau2)
    fit = weighted(yi, wi, X)
    value = 0.5 * (float(np.log(wi).sum()) - fit.rss)
    return value + 0.5 * fit.log_det_cov if reml else value


def tau2_score(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, reml: bool) -> float:
    """First derivative of the log-likelihood in tau^2."""
    wi = 1 / (vi + tau2)
    fit = weighted(yi, wi, X)
    quadratic = float((wi * fit.residual) @ (wi * fit.residual))
    return (quadratic - (fit.trace if reml else float(wi.sum()))) / 2


def likelihood_peaks(yi: FloatArray, vi: FloatArray, X: FloatArray, reml: bool) -> list[Peak]:
    """All local maxima of the likelihood of tau^2 >= 0, the highest first.

    Parameters
    ----------
    yi, vi, X : arrays
        As in `tau2_dl`.
    reml : bool
        Restricted likelihood, or the full one.

    Returns
    -------
    list of Peak
        At least one: beyond a bound that follows from the data the likelihood always falls.

    Raises
    ------
    ModelError
        When rounding hides every peak.

    References
    ----------
    [@viechtbauer2005]
    """
    # units of the typical standard error: squares of squares must neither overflow nor vanish
    unit = float(np.median(vi))
    y, v = yi / np.sqrt(unit), vi / unit
    grid = likelihood_grid(y, v, X)
    slope = np.array([tau2_score(y, v, X, t, reml) for t in grid]) if _wide(v) else _scan(y, v, X, grid, reml)
    found = [0.0] if tau2_score(y, v, X, 0.0, reml) <= 0 else []

    def score(tau2: float) -> float:
        return tau2_score(y, v, X, tau2, reml)

    slope[0] = score(0.0)
    for i in np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0)):
        low, high = float(grid[i]), float(grid[i + 1])
        if score(low) > 0 >= score(high):
            found.append(root(score, low, high))
    if not found:  # rounding in the quick scan hid a change of sign: look closely
        slope = np.array([score(float(t)) for t in grid])
        for i in np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0)):
            found.append(root(score, float(grid[i]), float(grid[i + 1])))
    if not found:
        raise ModelError(
            "no maximum of the likelihood of tau^2 was found, as the variances differ beyond what doubles can hold: "
            "check their units, or use method='PM'"
        )
    peaks = [Peak(t * unit, tau2_likelihood(y, v, X, t, reml)) for t in found]
    return sorted(peaks, key=lambda peak: -peak.height)


def likelihood_grid(y: FloatArray, v: FloatArray, X: FloatArray) -> FloatArray:
    """Values of tau^2, 0 first, that see every feature of the likelihood and end where it can only fall.

    With S the unweighted residual sum of squares, y'PPy <= S / tau^4 and tr(P) >= (k - p) / (max v + tau^2), so the
    score is negative once tau^4 > s2 (max v + tau^2), s2 = S / (k - p).
    """
    k, p = X.shape
    s2 = weighted(y, np.ones_like(v), X).rss / (k - p)
    lowest = float(v.min())
    top = 2 * (s2 + np.sqrt(s2 * float(v.max()))) + lowest
    count = int(np.ceil(PER_UNIT * np.log1p(top / lowest))) + 2
    grid = lowest * np.expm1(np.linspace(0, np.log1p(top / lowest), count))
    grid[0] = 0.0
    return np.asarray(grid)


def _wide(v: FloatArray) -> bool:
    return float(v.max()) > SPREAD * float(v.min())


def _scan(y: FloatArray, v: FloatArray, X: FloatArray, grid: FloatArray, reml: bool) -> FloatArray:
    """The score at all points of a grid, by normal equations in an orthonormal basis: good enough for its signs."""
    k, p = X.shape
    basis = np.linalg.qr(X)[0]
    y = y - basis @ (basis.T @ y)
    joint = np.column_stack([basis, y])
    products = (joint[:, :, None] * joint[:, None, :]).reshape(k, -1)
    scores = np.empty(len(grid))
    size = max(CHUNK // k, 1)
    for start in range(0, len(grid), size):
        W = 1 / (v + grid[start : start + size, None])
        one, two = ((power @ products).reshape(-1, p + 1, p + 1) for power in (W, W**2))
        beta = np.linalg.solve(one[:, :p, :p], one[:, :p, p:])
        cross = np.einsum("tpi,tpi->t", two[:, :p, p:], beta)
        quadratic = two[:, p, p] - 2 * cross + np.einsum("tpi,tpq,tqi->t", beta, two[:, :p, :p], beta)
        trace = W.sum(axis=1)
        if reml:
            trace = trace - np.einsum("tpp->t", np.linalg.solve(one[:, :p, :p], two[:, :p, :p]))
        scores[start : start + size] = (quadratic - trace) / 2
    return scores
