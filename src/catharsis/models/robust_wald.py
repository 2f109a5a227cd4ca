"""Joint tests of coefficients under a cluster-robust covariance.

With D the robust covariance of the q combinations, standardised so that the working model expects the identity,
T = b' cov^-1 b is compared with a Hotelling variable of eta degrees of freedom: (eta - q + 1) / (eta q) T ~ F(q, eta -
q + 1). The variants differ in how eta is chosen so that a Wishart matrix resembles D [@tipton2015b]:

HTZ  the total variance of the entries agrees (recommended);
HTA  least squares over the covariances of all pairs of entries;
HTB  least squares over the lower triangle of the entries' covariance matrix; depends on the coordinates.

EDF and EDT split T into squared t statistics along the eigenvectors of D: EDF matches two moments
of their sum to a multiple of F, EDT turns each into a normal deviate (Hill 1970, Communications of the ACM) and refers
the sum of squares to chi-square.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.models.wald import Wald
from catharsis.numerics import FloatArray, IntArray, chi2_upper, f_upper

if TYPE_CHECKING:
    from catharsis.models.robust import Robust

TESTS = ("chi-sq", "Naive-F", "HTA", "HTB", "HTZ", "EDF", "EDT")
SINGULAR = 1e-11  # eigenvalues below this share count as zero: rounding
FEWEST = 4.1  # smallest df that EDF allows a component: the variance of F is infinite from 4 downwards


def robust_wald(fitted: Robust, positions: Sequence[int], test: str = "HTZ") -> Wald:
    """Test that several coefficients are zero.

    Parameters
    ----------
    fitted : Robust
        Coefficients with their robust covariance.
    positions : sequence of int
        Positions of the q coefficients.
    test : str
        "HTZ" (recommended), "HTA", "HTB", "EDF", "EDT", "Naive-F" (q and m - 1 degrees of freedom) or "chi-sq"; the
        last two reject too often with few clusters.

    Returns
    -------
    Wald
        The statistic on the scale of F (chi-sq and EDT: of chi-square over q); nan when no degrees of freedom are left.

    Raises
    ------
    ModelError
        Unknown test, or a robust covariance that is singular (fewer clusters than coefficients).

    References
    ----------
    [@tipton2015b; @pustejovsky2018]
    """
    if test not in TESTS:
        raise ModelError(f'there is no robust joint test "{test}": {did_you_mean(test, list(TESTS))}')
    chosen = np.asarray(positions, dtype=np.int64)
    q, m = len(chosen), fitted.m
    beta, inner = fitted.beta[chosen], fitted.cov[np.ix_(chosen, chosen)]
    if np.isnan(inner).any():
        raise ModelError("no joint test: " + "; ".join(fitted.notes))
    if q >= m or np.linalg.cond(inner / np.sqrt(np.outer(np.diag(inner), np.diag(inner)))) > 1 / SINGULAR:
        raise ModelError(f"{m} clusters cannot carry a joint test of {q} coefficients")
    total = float(beta @ np.linalg.solve(inner, beta))
    if test == "chi-sq":
        return Wald(total / q, q, float("inf"), chi2_upper(total, q))
    if test == "Naive-F":
        return Wald(total / q, q, m - 1.0, f_upper(total / q, q, m - 1.0))
    if test in ("EDF", "EDT"):
        return _eigen_test(fitted, chosen, test)
    eta = wishart_df(fitted.within, fitted.shared, chosen, test)
    df2 = eta - q + 1
    if not df2 > 0:
        return Wald(float("nan"), q, df2, float("nan"))
    statistic = total / q * df2 / eta
    return Wald(statistic, q, df2, f_upper(statistic, q, df2))


def wishart_df(within: FloatArray, shared: FloatArray, chosen: IntArray, test: str = "HTZ") -> float:
    """Degrees of freedom eta of the Wishart that matches the robust covariance of some coefficients.

    With P_ij = [i = j] F_i'F_i - (U_i'F_i)'(U_j'F_j) for the chosen q coefficients, standardised so that
    sum_j P_jj = I, Cov(d_st, d_uv) = sum_ij (P_ij,su P_ij,tv + P_ij,sv P_ij,tu), and HTZ has
    eta = q (q + 1) / sum_st Var(d_st). For one coefficient every variant is Satterthwaite's approximation.

    Parameters
    ----------
    within, shared : (m, p, p) arrays
        F_j'F_j and U_j'F_j of each cluster (`models.robust`).
    chosen : (q,) array of int
        Positions of the coefficients.
    test : str
        HTZ, HTA or HTB.

    Returns
    -------
    float
        eta; nan when the working model gives these coefficients no variance.

    References
    ----------
    [@tipton2015b; @pustejovsky2018]
    """
    standard = _standardised(within, shared, chosen)
    if standard is None:
        return float("nan")
    cov = _entry_covariances(*standard[:2])
    q = len(chosen)
    if test == "HTZ":
        return q * (q + 1) / float(np.einsum("stst->", cov))
    if test == "HTA":
        return 2 * float(np.einsum("stst->", cov)) / float(np.sum(cov**2))
    s, t = np.triu_indices(q)
    half = cov[s[:, None], t[:, None], s, t]
    return 2 * float(np.trace(half)) / float(np.sum(np.triu(half) ** 2))


def _standardised(
    within: FloatArray, shared: FloatArray, chosen: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """F_j'F_j and U_j'F_j of coefficients whose working covariance is the identity, and the way there."""
    A, Z = within[:, chosen[:, None], chosen], shared[:, :, chosen]
    size = np.sqrt(np.einsum("jss->s", A))
    if not (size > 0).all():
        return None
    omega = (A - np.swapaxes(Z, -1, -2) @ Z).sum(axis=0)
    values = np.linalg.eigvalsh(omega / np.outer(size, size))
    if values[0] <= SINGULAR:
        return None
    values, vectors = np.linalg.eigh(omega)
    unit = (vectors / np.sqrt(values)) @ vectors.T
    return unit @ A @ unit, Z @ unit, unit


def _entry_covariances(A: FloatArray, Z: FloatArray) -> FloatArray:
    """Cov(d_st, d_uv), (q, q, q, q), without the m x m array of P_ij."""
    own = np.swapaxes(Z, -1, -2) @ Z
    pairs = np.einsum("jas,jbt->asbt", Z, Z, optimize=True)
    once = np.einsum("jsu,jtv->sutv", A, A - own, optimize=True) - np.einsum("jsu,jtv->sutv", own, A, optimize=True)
    once += np.einsum("asbt,aubv->sutv", pairs, pairs, optimize=True)
    return np.asarray(np.einsum("sutv->stuv", once) + np.einsum("svtu->stuv", once))


def _eigen_test(fitted: Robust, chosen: IntArray, test: str) -> Wald:
    """EDF and EDT: squared t along the eigenvectors of the standardised robust covariance, each with its df."""
    standard = _standardised(fitted.within, fitted.shared, chosen)
    q = len(chosen)
    if standard is None:
        return Wald(float("nan"), q, float("nan"), float("nan"))
    A, Z, unit = standard
    values, vectors = np.linalg.eigh(unit @ fitted.cov[np.ix_(chosen, chosen)] @ unit)
    t = vectors.T @ (unit @ fitted.beta[chosen]) / np.sqrt(values)
    A, Z = vectors.T @ A @ vectors, Z @ vectors
    df = np.array([wishart_df(A, Z, np.array([i])) for i in range(len(chosen))])
    if test == "EDT":
        total = float(np.sum(normal_deviate(t, df) ** 2))
        return Wald(total / q, q, float("inf"), chi2_upper(total, q))
    df = np.maximum(df, FEWEST)
    mean = float(np.sum(df / (df - 2)))
    spread = float(np.sum(2 * df**2 * (df - 1) / ((df - 2) ** 2 * (df - 4))))
    df2 = 4 + (q + 2) / (q * spread / (2 * mean**2) - 1)
    statistic = float(t @ t) * df2 / ((df2 - 2) * mean)
    return Wald(statistic, q, df2, f_upper(statistic, q, df2))


def normal_deviate(t: FloatArray, df: FloatArray) -> FloatArray:
    """The standard normal deviate with the two-sided p of a t statistic, by Hill's expansion (unsigned).

    Examples
    --------
    >>> normal_deviate(np.array([2.0]), np.array([10.0])).round(4).tolist()
    [1.7904]
    """
    a = df - 0.5
    b = 48 * a**2
    c = np.sqrt(a * np.log1p(t**2 / df))
    return np.asarray(
        c + (c**3 + 3 * c) / b - (4 * c**7 + 33 * c**5 + 240 * c**3 + 855 * c) / (10 * b**2 + 8 * b * c**4 + 1000 * b)
    )
