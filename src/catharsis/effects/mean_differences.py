"""Effect sizes from means: differences and changes, in points and standardised."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from catharsis.numerics import FloatArray


def small_sample_factor(df: FloatArray) -> FloatArray:
    """Hedges' correction J(df) = G(df/2) / (sqrt(df/2) G((df-1)/2)), exact; nan when df <= 1.

    References
    ----------
    [@hedges1981]

    Examples
    --------
    >>> float(small_sample_factor(np.array(18.0)).round(5))
    0.95765
    """
    df = np.asarray(df, dtype=float)
    safe = np.where(df > 1, df, 2.0)
    factor = np.exp(gammaln(safe / 2) - 0.5 * np.log(safe / 2) - gammaln((safe - 1) / 2))
    return np.where(df > 1, factor, np.nan)


def mean_difference(
    m1: FloatArray, sd1: FloatArray, n1: FloatArray, m2: FloatArray, sd2: FloatArray, n2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Difference of two independent means (MD) and its variance sd1^2/n1 + sd2^2/n2.

    Parameters
    ----------
    m1, sd1, n1, m2, sd2, n2 : (k,) arrays
        Means, standard deviations (in points of the instrument) and people of the two groups.

    Returns
    -------
    yi, vi : (k,) arrays
        Points, points squared.

    References
    ----------
    [@hedges1985]

    Examples
    --------
    >>> yi, vi = mean_difference(*(np.array(x) for x in (5.0, 2.0, 20, 4.0, 2.0, 20)))
    >>> float(yi), float(vi)
    (1.0, 0.4)
    """
    return m1 - m2, sd1**2 / n1 + sd2**2 / n2


def pooled_sd(sd1: FloatArray, n1: FloatArray, sd2: FloatArray, n2: FloatArray) -> FloatArray:
    """Pooled standard deviation of two groups, in points."""
    return np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


def standardised_mean_difference(
    d: FloatArray, n1: FloatArray, n2: FloatArray, correct: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Hedges' g (SMD) from Cohen's d, with variance 1/n1 + 1/n2 + g^2 / (2 (n1 + n2)).

    Parameters
    ----------
    d : (k,) array
        Mean difference over the pooled standard deviation.
    n1, n2 : (k,) arrays
        People in each group.
    correct : bool
        Apply the small-sample factor J(n1 + n2 - 2).

    Returns
    -------
    yi, vi : (k,) arrays
        Standard deviations, and squared.

    References
    ----------
    [@hedges1981; @hedges1985]

    Examples
    --------
    >>> yi, vi = standardised_mean_difference(np.array(0.5), np.array(20), np.array(20))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4901, 0.103)
    """
    g = d * small_sample_factor(n1 + n2 - 2) if correct else d
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))


def mean_change(mean: FloatArray, sd: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean change of one group (MC) from the change scores' mean and SD; variance sd^2/n.

    Parameters
    ----------
    mean, sd : (k,) arrays
        Mean and standard deviation of the change scores, in points.
    n : (k,) array
        People.

    Returns
    -------
    yi, vi : (k,) arrays
        Points, points squared.

    References
    ----------
    [@morris2002]

    Examples
    --------
    >>> yi, vi = mean_change(np.array(0.5), np.array(2.0), np.array(100))
    >>> float(yi), float(vi)
    (0.5, 0.04)
    """
    return mean, sd**2 / n


def standardised_mean_change(d: FloatArray, n: FloatArray, correct: bool = True) -> tuple[FloatArray, FloatArray]:
    """Standardised mean change with change-score standardisation (SMCC).

    Parameters
    ----------
    d : (k,) array
        Mean change over the SD of the change scores.
    n : (k,) array
        People.
    correct : bool
        Apply the small-sample factor J(n - 1).

    Returns
    -------
    yi, vi : (k,) arrays
        g and 1/n + g^2 / (2n).

    References
    ----------
    [@gleser2009; @morris2002]

    Examples
    --------
    >>> yi, vi = standardised_mean_change(np.array(0.5), np.array(30))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4869, 0.0373)
    """
    g = d * small_sample_factor(n - 1) if correct else d
    return g, 1 / n + g**2 / (2 * n)
