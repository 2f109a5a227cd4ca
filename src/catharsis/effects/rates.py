"""Effect sizes from events over person-time, in two groups and in one.

`xi` are events, `ti` the person-time in which they happened; the variances are those of Poisson counts.
"""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Result
from catharsis.numerics import FloatArray


def rate(xi: FloatArray, ti: FloatArray) -> Result:
    """Events per person-time (IR) and x / t^2.

    Parameters
    ----------
    xi, ti : (k,) arrays
        Events, and person-time (any unit, the same in all studies).

    Returns
    -------
    yi, vi : (k,) arrays
        Per unit of time, and squared.

    References
    ----------
    [@breslow1987]

    Examples
    --------
    >>> yi, vi = rate(np.array([10.0]), np.array([200.0]))
    >>> float(yi[0]), float(vi[0])
    (0.05, 0.00025)
    """
    return xi / ti, xi / ti**2


def log_rate(xi: FloatArray, ti: FloatArray) -> Result:
    """Log of a rate (IRLN) and 1 / x. Parameters as in `rate`.

    References
    ----------
    [@breslow1987]

    Examples
    --------
    >>> float(log_rate(np.array([10.0]), np.array([200.0]))[1][0])
    0.1
    """
    return np.log(xi / ti), 1 / xi


def root_rate(xi: FloatArray, ti: FloatArray) -> Result:
    """Square root of a rate (IRS) and 1 / (4t). Parameters as in `rate`.

    References
    ----------
    [@freeman1950]

    Examples
    --------
    >>> float(root_rate(np.array([8.0]), np.array([200.0]))[0][0].round(4))
    0.2
    """
    return np.sqrt(xi / ti), 1 / (4 * ti)


def double_root_rate(xi: FloatArray, ti: FloatArray) -> Result:
    """Freeman-Tukey transformed rate (IRFT) and 1 / (4t). Parameters as in `rate`.

    References
    ----------
    [@freeman1950]

    Examples
    --------
    >>> float(double_root_rate(np.array([8.0]), np.array([200.0]))[0][0].round(4))
    0.2061
    """
    return (np.sqrt(xi / ti) + np.sqrt((xi + 1) / ti)) / 2, 1 / (4 * ti)


def log_rate_ratio(x1: FloatArray, x2: FloatArray, t1: FloatArray, t2: FloatArray) -> Result:
    """Log ratio of two rates (IRR) and 1/x1 + 1/x2.

    Parameters
    ----------
    x1, x2 : (k,) arrays
        Events in the groups.
    t1, t2 : (k,) arrays
        Person-time.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@breslow1987]

    Examples
    --------
    >>> yi, vi = log_rate_ratio(*(np.array([x]) for x in (10.0, 20.0, 100.0, 100.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.6931, 0.15)
    """
    (y1, v1), (y2, v2) = log_rate(x1, t1), log_rate(x2, t2)
    return y1 - y2, v1 + v2


def rate_difference(x1: FloatArray, x2: FloatArray, t1: FloatArray, t2: FloatArray) -> Result:
    """Difference of two rates (IRD). Parameters as in `log_rate_ratio`.

    References
    ----------
    [@breslow1987]

    Examples
    --------
    >>> yi, vi = rate_difference(*(np.array([x]) for x in (10.0, 20.0, 100.0, 100.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.1, 0.003)
    """
    (y1, v1), (y2, v2) = rate(x1, t1), rate(x2, t2)
    return y1 - y2, v1 + v2


def root_rate_difference(x1: FloatArray, x2: FloatArray, t1: FloatArray, t2: FloatArray) -> Result:
    """Difference of the square roots of two rates (IRSD). Parameters as in `log_rate_ratio`.

    References
    ----------
    [@freeman1950]

    Examples
    --------
    >>> yi, vi = root_rate_difference(*(np.array([x]) for x in (16.0, 25.0, 100.0, 100.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.1, 0.005)
    """
    (y1, v1), (y2, v2) = root_rate(x1, t1), root_rate(x2, t2)
    return y1 - y2, v1 + v2
