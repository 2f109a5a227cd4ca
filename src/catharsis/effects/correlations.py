"""Effect sizes from correlations."""

from __future__ import annotations

import numpy as np

from catharsis.numerics import FloatArray


def correlation(r: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Raw correlation (COR) and its large-sample variance (1 - r^2)^2 / (n - 1).

    Parameters
    ----------
    r, n : (k,) arrays
        Correlation and people.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@olkin1958]

    Examples
    --------
    >>> yi, vi = correlation(np.array(0.5), np.array(26))
    >>> float(yi), float(vi)
    (0.5, 0.0225)
    """
    return r, (1 - r**2) ** 2 / (n - 1)


def fisher_z(r: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fisher's z (ZCOR) and its variance 1 / (n - 3).

    Parameters
    ----------
    r, n : (k,) arrays
        Correlation and people, n > 3.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@fisher1921]

    Examples
    --------
    >>> yi, vi = fisher_z(np.array(0.5), np.array(28))
    >>> float(yi.round(4)), float(vi)
    (0.5493, 0.04)
    """
    return np.arctanh(r), 1 / (np.asarray(n, dtype=float) - 3)
