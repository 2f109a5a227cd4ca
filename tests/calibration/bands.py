"""Is a histogram of ranks uniform? The simultaneous band around its ECDF, as one exact p-value.

Under uniform ranks each value of the ECDF is binomial. The band of [@saeilynoja2022] takes the same pointwise
probability gamma at every point, and chooses gamma so that the whole ECDF stays inside with probability 1 - alpha.
Here the question is asked the other way round: `uniformity` gives the smallest alpha at which the ECDF leaves its band.
The probability that an ECDF stays between two curves is exact: counts of n uniform ranks in the bins are independent
Poisson counts given their sum, so one convolution per bin follows every path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, bdtrc, gammaln

Array = np.ndarray

FAR = 12.0  # standard deviations of a count beyond which its probability, below 1e-30, is not followed


def counts_of(values: Sequence[float], bins: int) -> Array:
    """Histogram of probability integral transforms in [0, 1], or of ranks divided by the number of their values."""
    return np.bincount(np.minimum((np.asarray(values) * bins).astype(int), bins - 1), minlength=bins)


def uniformity(counts: Sequence[int] | Array) -> float:
    """Probability that an ECDF of as many uniform ranks leaves the band that this one just touches.

    Parameters
    ----------
    counts : (bins,) sequence of int
        Ranks in each of equally likely bins.

    Returns
    -------
    float
        Below alpha exactly when the ECDF leaves the simultaneous 1 - alpha band somewhere.
    """
    counts = np.asarray(counts)
    n, bins = int(counts.sum()), len(counts)
    inner = np.arange(1, bins) / bins
    reached = np.cumsum(counts)[:-1]
    return float(1 - staying(n, bins, float(pointwise(reached, n, inner).min()), strictly=True))


def pointwise(reached: Array, n: int, z: Array) -> Array:
    """Two-sided binomial p of each value of the ECDF."""
    upper = np.where(reached > 0, bdtrc(np.maximum(reached - 1, 0), n, z), 1.0)
    return np.minimum(2 * np.minimum(bdtr(reached, n, z), upper), 1.0)


def limits(n: int, bins: int, gamma: float, strictly: bool = False) -> tuple[Array, Array]:
    """Smallest and largest count at each inner point with a pointwise p of gamma or more (or more than that)."""
    low, high = np.empty(bins - 1, dtype=int), np.empty(bins - 1, dtype=int)
    for i in range(bins - 1):
        z = (i + 1) / bins
        reach = FAR * np.sqrt(n * z * (1 - z)) + FAR
        first = max(int(n * z - reach), 0)
        p = pointwise(np.arange(first, min(int(n * z + reach) + 1, n) + 1), n, np.array(z))
        # pointwise p of equal counts may differ in the last digit from one point to its mirror image
        inside = np.flatnonzero(p > gamma * (1 + 1e-9) if strictly else p >= gamma * (1 - 1e-9))
        low[i], high[i] = (first + inside[0], first + inside[-1]) if len(inside) else (1, 0)
    return low, high


def staying(n: int, bins: int, gamma: float, strictly: bool = False) -> float:
    """Probability that the ECDF of n uniform ranks stays inside the pointwise 1 - gamma limits at every point."""
    low, high = limits(n, bins, gamma, strictly)
    if np.any(low > high):
        return 0.0
    rate = n / bins
    step = np.arange(int(high.max()) + 1)
    kernel = np.exp(step * np.log(rate) - rate - gammaln(step + 1))
    first, path = 0, np.ones(1)
    for below, above in zip(low, high, strict=True):
        moved = np.convolve(path, kernel[: above - first + 1])
        path, first = moved[below - first : above - first + 1], int(below)
    rest = n - (first + np.arange(len(path)))
    last = np.exp(rest * np.log(rate) - rate - gammaln(rest + 1))
    whole = np.exp(n * np.log(n) - n - gammaln(n + 1))
    return float(np.clip(path @ last / whole, 0.0, 1.0))


def band(n: int, bins: int, alpha: float) -> tuple[Array, Array]:
    """Counts between which the ECDF of n uniform ranks stays at every inner point with probability 1 - alpha."""
    small, large = alpha / bins, alpha
    for _ in range(40):
        middle = np.sqrt(small * large)
        small, large = (middle, large) if staying(n, bins, float(middle)) >= 1 - alpha else (small, middle)
    return limits(n, bins, float(small))
