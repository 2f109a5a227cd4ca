"""Effect sizes from counts of events, in two groups and in one.

The formulas take the cells as they are: what is done to zeros is `zero_cells`, and which tables it changed is noted.
Of a table, `ai` and `bi` are events and others in group 1, `ci` and `di` in group 2.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from catharsis.effects.mean_differences import Result
from catharsis.numerics import FloatArray


def log_risk_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
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
    yi = np.log(ai / (ai + bi)) - np.log(ci / (ci + di))
    return yi, 1 / ai - 1 / (ai + bi) + 1 / ci - 1 / (ci + di)


def log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
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
    return np.log(ai / bi) - np.log(ci / di), 1 / ai + 1 / bi + 1 / ci + 1 / di


def difference_from_odds(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray, factor: float) -> Result:
    """Standardised difference behind an odds ratio (OR2DN, OR2DL): the log odds ratio over `factor`.

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        Counts.
    factor : float
        `transformations.LOG_ODDS_PER_SD_NORMAL` or `LOG_ODDS_PER_SD_LOGISTIC`.

    References
    ----------
    [@chinn2000; @hasselblad1995]

    Examples
    --------
    >>> yi, vi = difference_from_odds(*(np.array([float(x)]) for x in (4, 119, 11, 128)), 1.65)
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.5689, 0.1312)
    """
    yi, vi = log_odds_ratio(ai, bi, ci, di)
    return yi / factor, vi / factor**2


def risk_difference(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Risk difference (RD) of a 2 x 2 table.

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
    p1, p2 = ai / (ai + bi), ci / (ci + di)
    return p1 - p2, p1 * (1 - p1) / (ai + bi) + p2 * (1 - p2) / (ci + di)


def arcsine_difference(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Difference of arcsine square roots of two risks (AS), variance 1/(4 n1) + 1/(4 n2); half of Cohen's h.

    Parameters as in `log_risk_ratio`. Rücker and others (2009, Statistics in Medicine) use it because zero cells need
    nothing added.

    Examples
    --------
    >>> yi, vi = arcsine_difference(*(np.array([float(x)]) for x in (0, 50, 5, 45)))
    >>> float(yi[0].round(4)), float(vi[0])
    (-0.3218, 0.01)
    """
    n1, n2 = ai + bi, ci + di
    return np.arcsin(np.sqrt(ai / n1)) - np.arcsin(np.sqrt(ci / n2)), 1 / (4 * n1) + 1 / (4 * n2)


def peto_log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Peto's one-step log odds ratio (PETO): (O - E) / V and 1 / V, V hypergeometric.

    Parameters as in `log_risk_ratio`.

    References
    ----------
    [@yusuf1985]

    Examples
    --------
    >>> yi, vi = peto_log_odds_ratio(*(np.array([float(x)]) for x in (4, 119, 11, 128)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (-0.8604, 0.2828)
    """
    n1, n2 = ai + bi, ci + di
    n = n1 + n2
    variance = n1 * n2 * (ai + ci) * (bi + di) / (n**2 * (n - 1))
    return (ai - (ai + ci) * n1 / n) / variance, 1 / variance


def probit_difference(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Difference of the normal quantiles of two risks (PBIT): a standardised difference behind the table.

    Parameters as in `log_risk_ratio`.

    References
    ----------
    [@hasselblad1995]

    Examples
    --------
    >>> yi, vi = probit_difference(*(np.array([float(x)]) for x in (25, 25, 15, 35)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.5244, 0.0662)
    """
    (z1, v1), (z2, v2) = probit_proportion(ai, bi), probit_proportion(ci, di)
    return z1 - z2, v1 + v2


def proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Raw share (PR) of `xi` events beside `mi` others, and p (1 - p) / n.

    Parameters
    ----------
    xi, mi : (k,) arrays
        Events, and people without.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@schwarzer2019]

    Examples
    --------
    >>> yi, vi = proportion(np.array([30.0]), np.array([10.0]))
    >>> float(yi[0]), float(vi[0])
    (0.75, 0.0046875)
    """
    p = xi / (xi + mi)
    return p, p * (1 - p) / (xi + mi)


def log_proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Log of a share (PLN) and 1/x - 1/n. Parameters as in `proportion`.

    References
    ----------
    [@schwarzer2019]

    Examples
    --------
    >>> float(log_proportion(np.array([30.0]), np.array([10.0]))[0][0].round(4))
    -0.2877
    """
    return np.log(xi / (xi + mi)), 1 / xi - 1 / (xi + mi)


def logit_proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Logit of a share (PLO) and 1/x + 1/(n - x). Parameters as in `proportion`.

    References
    ----------
    [@miller1978; @schwarzer2019]

    Examples
    --------
    >>> yi, vi = logit_proportion(np.array([30.0]), np.array([10.0]))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (1.0986, 0.1333)
    """
    return np.log(xi / mi), 1 / xi + 1 / mi


def probit_proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Normal quantile of a share (PRZ), variance 2 pi p (1 - p) exp(z^2) / n. Parameters as in `proportion`.

    References
    ----------
    [@hasselblad1995]

    Examples
    --------
    >>> yi, vi = probit_proportion(np.array([30.0]), np.array([10.0]))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.6745, 0.0464)
    """
    n = xi + mi
    p = xi / n
    z = special.ndtri(p)
    return z, 2 * np.pi * p * (1 - p) * np.exp(z**2) / n


def arcsine_proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Arcsine square root of a share (PAS), variance 1 / (4n). Parameters as in `proportion`.

    References
    ----------
    [@miller1978; @schwarzer2019]

    Examples
    --------
    >>> float(arcsine_proportion(np.array([30.0]), np.array([10.0]))[0][0].round(4))
    1.0472
    """
    return np.arcsin(np.sqrt(xi / (xi + mi))), 1 / (4 * (xi + mi))


def double_arcsine_proportion(xi: FloatArray, mi: FloatArray) -> Result:
    """Freeman-Tukey double arcsine of a share (PFT), variance 1 / (4n + 2). Parameters as in `proportion`.

    References
    ----------
    [@freeman1950; @miller1978]

    Examples
    --------
    >>> float(double_arcsine_proportion(np.array([30.0]), np.array([10.0]))[0][0].round(4))
    1.0403
    """
    n = xi + mi
    yi = (np.arcsin(np.sqrt(xi / (n + 1))) + np.arcsin(np.sqrt((xi + 1) / (n + 1)))) / 2
    return yi, 1 / (4 * n + 2)
