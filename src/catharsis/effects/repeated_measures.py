"""Standardised changes of one group, or differences of matched pairs, over the spread of the raw scores."""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Result, small_sample_factor
from catharsis.numerics import FloatArray


def change_sd(sd1: FloatArray, sd2: FloatArray, r: FloatArray) -> FloatArray:
    """Standard deviation of the changes from both occasions' and their correlation.

    Examples
    --------
    >>> float(change_sd(np.array(2.0), np.array(2.0), np.array(0.5)))
    2.0
    """
    return np.sqrt(sd1**2 + sd2**2 - 2 * r * sd1 * sd2)


def change_by_first_sd(d: FloatArray, r: FloatArray, n: FloatArray, correct: bool = True) -> Result:
    """Change over the first occasion's standard deviation (SMCR), variance 2 (1 - r) / n + g^2 / (2n).

    Parameters
    ----------
    d : (k,) array
        Mean change over `sd1`.
    r : (k,) array
        Correlation of the two occasions.
    n : (k,) array
        People (pairs).
    correct : bool
        Apply J(n - 1).

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@becker1988; @morris2000; @morris2002]

    Examples
    --------
    >>> yi, vi = change_by_first_sd(np.array(0.5), np.array(0.7), np.array(30.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4869, 0.024)
    """
    g = small_sample_factor(n - 1) * d if correct else np.asarray(d, dtype=float)
    return g, 2 * (1 - r) / n + g**2 / (2 * n)


def heteroscedastic_change_by_first_sd(
    d: FloatArray, sd1: FloatArray, sd2: FloatArray, r: FloatArray, n: FloatArray, correct: bool = True
) -> Result:
    """Change over the first standard deviation when the two occasions' variances differ (SMCRH).

    Parameters as in `change_by_first_sd`, with both standard deviations.

    References
    ----------
    [@bonett2008]

    Examples
    --------
    >>> yi, vi = heteroscedastic_change_by_first_sd(*(np.array(x) for x in (0.5, 2.0, 2.0, 0.7, 31.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4874, 0.024)
    """
    g = small_sample_factor(n - 1) * d if correct else np.asarray(d, dtype=float)
    return g, change_sd(sd1, sd2, r) ** 2 / (sd1**2 * (n - 1)) + g**2 / (2 * (n - 1))


def pooled_df(r: FloatArray, n: FloatArray) -> FloatArray:
    """Degrees of freedom of the average of two correlated variances: 2 (n - 1) / (1 + r^2) (Cousineau 2020)."""
    return 2 * (n - 1) / (1 + r**2)


def change_by_average_sd(d: FloatArray, r: FloatArray, n: FloatArray, correct: bool = True) -> Result:
    """Change over the root of the average variance (SMCRP).

    Its variance is 2 (1 - r) / n + g^2 (1 + r^2) / (4n).

    Parameters
    ----------
    d : (k,) array
        Mean change over `mean_differences.average_sd`.
    r, n, correct
        As in `change_by_first_sd`, with J(2 (n - 1) / (1 + r^2)).

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@bonett2008; @becker1988]

    Examples
    --------
    >>> yi, vi = change_by_average_sd(np.array(0.5), np.array(0.7), np.array(30.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4903, 0.023)
    """
    g = small_sample_factor(pooled_df(r, n)) * d if correct else np.asarray(d, dtype=float)
    return g, 2 * (1 - r) / n + g**2 * (1 + r**2) / (4 * n)


def heteroscedastic_change_by_average_sd(
    d: FloatArray, sd1: FloatArray, sd2: FloatArray, r: FloatArray, n: FloatArray, correct: bool = True
) -> Result:
    """Change over the root of the average variance when the variances differ (SMCRPH).

    Parameters as in `change_by_average_sd`, with both standard deviations.

    References
    ----------
    [@bonett2008]

    Examples
    --------
    >>> yi, vi = heteroscedastic_change_by_average_sd(*(np.array(x) for x in (0.5, 2.0, 2.0, 0.7, 31.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4906, 0.023)
    """
    g = small_sample_factor(pooled_df(r, n)) * d if correct else np.asarray(d, dtype=float)
    v1, v2, v = sd1**2, sd2**2, (sd1**2 + sd2**2) / 2
    of_sd = (v1**2 + v2**2 + 2 * r**2 * v1 * v2) / (8 * v**2 * (n - 1))
    return g, change_sd(sd1, sd2, r) ** 2 / (v * (n - 1)) + g**2 * of_sd
