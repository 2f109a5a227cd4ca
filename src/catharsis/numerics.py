"""Tails, quantiles and roots that the stages share. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def two_sided_p(statistic: FloatArray | float, df: FloatArray | float = np.inf) -> FloatArray:
    """P(|T| > |statistic|) under t with `df` degrees of freedom; normal when df is infinite.

    Examples
    --------
    >>> float(two_sided_p(1.959963984540054).round(6))
    0.05
    """
    size = -np.abs(np.asarray(statistic, dtype=float))
    df = np.asarray(df, dtype=float)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(2 * np.where(np.isinf(df), special.ndtr(size), special.stdtr(finite, size)))


def critical_value(level: float, df: FloatArray | float = np.inf) -> FloatArray:
    """The two-sided critical value of t (or normal when df is infinite) for an interval of `level`.

    Examples
    --------
    >>> float(critical_value(0.95, 4).round(4))
    2.7764
    """
    df = np.asarray(df, dtype=float)
    upper = (1 + level) / 2
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(finite, upper)))


def chi2_upper(statistic: float, df: float) -> float:
    """P(chi2_df > statistic); nan when df is 0."""
    return float(special.chdtrc(df, statistic)) if df > 0 else float("nan")


def chi2_quantile(probability: float, df: float) -> float:
    """The value that chi2_df stays below with the given probability."""
    return float(2 * special.gammaincinv(df / 2, probability))


def f_upper(statistic: float, df1: float, df2: float) -> float:
    """P(F > statistic); chi-square over df1 when df2 is infinite."""
    if np.isinf(df2):
        return chi2_upper(statistic * df1, df1)
    return float(special.fdtrc(df1, df2, statistic))


def log_normal_probability(low: FloatArray, high: FloatArray) -> FloatArray:
    """log(Phi(high) - Phi(low)) for low <= high, accurate in both tails; -inf for an empty interval.

    Examples
    --------
    >>> float(log_normal_probability(np.array([30.0]), np.array([np.inf]))[0].round(4))
    -454.3212
    """
    turn = low + high > 0  # measure from the nearer tail
    a, b = np.where(turn, -high, low), np.where(turn, -low, high)
    upper, lower = special.log_ndtr(b), special.log_ndtr(a)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isneginf(upper), 0.0, -np.expm1(lower - upper))
        return np.asarray(upper + np.log(share))


def root(
    function: Callable[[float], float], low: float, high: float, precision: float = 4 * float(np.finfo(float).eps)
) -> float:
    """The zero of a function that changes sign between `low` and `high`, to this relative precision."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-300, rtol=precision, maxiter=1000))


def symmetric(matrix: FloatArray) -> FloatArray:
    """The matrix with rounding asymmetry removed."""
    return np.asarray((matrix + np.swapaxes(matrix, -1, -2)) / 2)
