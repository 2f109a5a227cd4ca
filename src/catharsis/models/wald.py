"""Wald tests of several coefficients, or several combinations of them, at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.numerics import FloatArray, chi2_upper, f_upper


@dataclass(frozen=True, slots=True)
class Wald:
    """A joint test of several coefficients."""

    statistic: float
    df1: float
    df2: float
    p: float


def wald_test(beta: FloatArray, cov: FloatArray, df: float = float("inf")) -> Wald:
    """Test that all values of `beta` are zero.

    Parameters
    ----------
    beta : (q,) array
        Coefficients, or combinations of them, that the hypothesis sets to zero.
    cov : (q, q) array
        Their covariance.
    df : float
        Denominator degrees of freedom; inf gives chi-square, otherwise the statistic is divided by q.

    Returns
    -------
    Wald

    Examples
    --------
    >>> wald_test(np.array([2.0]), np.array([[1.0]])).statistic
    4.0
    """
    count = len(beta)
    q = float(beta @ np.linalg.solve(cov, beta))
    if np.isinf(df):
        return Wald(q, count, float("inf"), chi2_upper(q, count))
    return Wald(q / count, count, df, f_upper(q / count, count, df))
