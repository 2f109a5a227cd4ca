"""Effect sizes from counts of events, in two groups and in one.

A table with a zero cell gets 1/2 added to each of its cells, as is the custom where a logarithm is
taken and keeps the variance of a risk difference above 0; `prepare` notes which tables these were.
"""

from __future__ import annotations

import numpy as np

from catharsis.numerics import FloatArray

ZERO_CELL = 0.5  # events added to each cell of a table that has an empty one


def filled(cells: tuple[FloatArray, ...]) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """The cells with 1/2 added where any cell of the same table is zero, and which tables those are.

    Examples
    --------
    >>> cells, touched = filled((np.array([0.0, 3.0]), np.array([5.0, 4.0])))
    >>> cells[0].tolist(), touched.tolist()
    ([0.5, 3.0], [True, False])
    """
    touched = np.any([cell == 0 for cell in cells], axis=0)
    return tuple(cell + ZERO_CELL * touched for cell in cells), touched


def log_risk_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log risk ratio (RR) of a 2 x 2 table: events and non-events in group 1 (ai, bi) and 2 (ci, di).

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        Counts.

    Returns
    -------
    yi, vi : (k,) arrays
        Log risk ratio and 1/a - 1/(a+b) + 1/c - 1/(c+d).

    References
    ----------
    [@greenland1985]

    Examples
    --------
    >>> yi, vi = log_risk_ratio(*(np.array([float(x)]) for x in (4, 119, 11, 128)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.8893, 0.3256)
    """
    (a, b, c, d), _ = filled((ai, bi, ci, di))
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log odds ratio (OR) of a 2 x 2 table and the sum of the reciprocal cells.

    Parameters, returns and cells as in `log_risk_ratio`.

    References
    ----------
    [@robins1986]

    Examples
    --------
    >>> yi, vi = log_odds_ratio(*(np.array([float(x)]) for x in (4, 119, 11, 128)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.9387, 0.3571)
    """
    (a, b, c, d), _ = filled((ai, bi, ci, di))
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def risk_difference(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Risk difference (RD) of a 2 x 2 table; a table with a zero cell gets 1/2 in each, as metafor does by default.

    Parameters and returns as in `log_risk_ratio`, on the probability scale.

    References
    ----------
    [@greenland1985]

    Examples
    --------
    >>> yi, vi = risk_difference(*(np.array([float(x)]) for x in (10, 90, 20, 80)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.1, 0.0025)
    """
    (a, b, c, d), _ = filled((ai, bi, ci, di))
    p1, p2 = a / (a + b), c / (c + d)
    return p1 - p2, p1 * (1 - p1) / (a + b) + p2 * (1 - p2) / (c + d)


def logit_proportion(xi: FloatArray, ni: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logit of a proportion (PLO) and 1/x + 1/(n - x).

    Parameters
    ----------
    xi, ni : (k,) arrays
        Events and people.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@miller1978; @schwarzer2019]

    Examples
    --------
    >>> yi, vi = logit_proportion(np.array([30.0]), np.array([40.0]))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (1.0986, 0.1333)
    """
    (x, rest), _ = filled((xi, ni - xi))
    return np.log(x / rest), 1 / x + 1 / rest
