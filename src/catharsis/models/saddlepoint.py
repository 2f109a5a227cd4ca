"""The saddlepoint approximation to the tail of a cluster-robust t statistic.

t = b / sqrt(d) with d a quadratic form in the scores, distributed as sum_j lambda_j chi2_j, so that P(|t| > t0) =
P(z^2 - t0^2 sum_j lambda_j chi2_j > 0). Its cumulant generating function is K(s) = -log(1 - 2s) / 2 - sum_j log(1 + 2 s
t0^2 lambda_j) / 2, and the tail follows by the formula of Lugannani and Rice, whose
relative error is a few percent (9 % in the far tail of t).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from catharsis.numerics import FloatArray, root

MANY = 2000  # clusters beyond which t and normal tails agree anyway, and the eigenvalues would be costly
NEAR_MEAN = 1e-4  # standardised saddlepoint below which 1/u - 1/r is taken from its series: both err by 1e-8 there


def form_weights(within: FloatArray, shared: FloatArray) -> FloatArray:
    """The weights lambda of d / E(d): eigenvalues of diag(within) - shared shared', scaled to sum to one.

    Parameters
    ----------
    within : (m,) array
        F_j'F_j of the coefficient for each cluster (`models.robust`).
    shared : (m, p) array
        U_j'F_j of the coefficient for each cluster.

    Returns
    -------
    (m,) array
        Empty when the working model gives the coefficient no variance.
    """
    size = float(within.sum() - np.sum(shared**2))
    if not size > 1e-11 * float(within.sum()):
        return np.empty(0)
    return np.asarray(np.maximum(np.linalg.eigvalsh(np.diag(within) - shared @ shared.T) / size, 0.0))


def saddlepoint_p(statistic: float, weights: FloatArray) -> float:
    """Two-sided p of a cluster-robust t statistic.

    Parameters
    ----------
    statistic : float
        Estimate over robust standard error.
    weights : (m,) array
        Weights of the chi-square variables in the squared standard error, from `form_weights`.

    Returns
    -------
    float
        nan when there are no weights or no statistic.

    References
    ----------
    [@tipton2015a; @pustejovsky2018]

    Examples
    --------
    Twenty equal weights are t with 20 degrees of freedom, so that the exact answer is 0.05.

    >>> round(saddlepoint_p(2.086, np.full(20, 0.05)), 3)
    0.051
    """
    if len(weights) == 0 or not np.isfinite(statistic):
        return float("nan")
    terms = statistic**2 * weights
    if statistic == 0:
        return 1.0
    return tail(_saddlepoint(terms), terms)


def _saddlepoint(terms: FloatArray) -> float:
    """The zero of K' between the walls where K ends."""
    wall = -0.5 / float(terms.max())
    return root(lambda s: _cumulant(s, terms)[1], wall * (1 - 1e-14), 0.5 * (1 - 1e-14))


def tail(s: float, terms: FloatArray) -> float:
    """P(z^2 > sum_j terms_j chi2_j) by the tail formula at the saddlepoint `s`."""
    value, _, curve = _cumulant(s, terms)
    r = np.sign(s) * np.sqrt(max(-2 * value, 0.0))
    u = s * np.sqrt(curve)
    if abs(u) < NEAR_MEAN:
        ratio = terms / (1 + 2 * s * terms)
        third = 8 * (1 / (1 - 2 * s) ** 3 - float(np.sum(ratio**3))) / curve**1.5
        fourth = 48 * (1 / (1 - 2 * s) ** 4 + float(np.sum(ratio**4))) / curve**2
        gap = -third / 6 + u * (fourth - third**2) / 24
    else:
        gap = 1 / u - 1 / r
    return float(special.ndtr(-r) + np.exp(-r * r / 2) / np.sqrt(2 * np.pi) * gap)


def _cumulant(s: float, terms: FloatArray) -> tuple[float, float, float]:
    """K of z^2 - sum_j terms_j chi2_j, and its first two derivatives."""
    ratio = terms / (1 + 2 * s * terms)
    value = -0.5 * (float(np.log1p(-2 * s)) + float(np.log1p(2 * s * terms).sum()))
    return value, 1 / (1 - 2 * s) - float(ratio.sum()), 2 / (1 - 2 * s) ** 2 + 2 * float(ratio @ ratio)
