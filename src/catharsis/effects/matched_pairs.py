"""Effect sizes from pairs of yes-no outcomes: two treatments of the same people, or before and after.

Of a paired table, `ai` pairs have the outcome under both treatments, `bi` under the first only, `ci` under the second
only, `di` under neither.
"""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Result
from catharsis.effects.proportions import log_odds_ratio
from catharsis.numerics import FloatArray


def marginal_log_risk_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Log ratio of the two treatments' shares (MPRR), variance (b + c) / ((a + b)(a + c)).

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        Pairs.

    Returns
    -------
    yi, vi : (k,) arrays

    Notes
    -----
    Zou (2007, Clinical Trials) and Fagerland, Lydersen and Laake (2014, Statistics in Medicine).

    Examples
    --------
    >>> yi, vi = marginal_log_risk_ratio(*(np.array([x]) for x in (10.0, 20.0, 7.0, 33.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.568, 0.0529)
    """
    return np.log((ai + bi) / (ai + ci)), (bi + ci) / ((ai + bi) * (ai + ci))


def marginal_log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Log ratio of the two treatments' odds (MPOR), its variance by the delta method on the multinomial.

    Parameters as in `marginal_log_risk_ratio`.

    Notes
    -----
    Becker and Balagtas (1993, Biometrics).

    Examples
    --------
    >>> yi, vi = marginal_log_odds_ratio(*(np.array([x]) for x in (10.0, 20.0, 7.0, 33.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.8494, 0.1114)
    """
    yes1, no1, yes2, no2 = ai + bi, ci + di, ai + ci, bi + di
    shared = 2 * (ai * di - bi * ci) * (yes1 + no1) / (yes1 * no1 * yes2 * no2)
    return np.log(yes1 / no1) - np.log(yes2 / no2), 1 / yes1 + 1 / no1 + 1 / yes2 + 1 / no2 - shared


def marginal_risk_difference(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Difference of the two treatments' shares (MPRD), variance ((b + c) - (b - c)^2 / n) / n^2.

    Parameters as in `marginal_log_risk_ratio`.

    Notes
    -----
    May and Johnson (1997, Statistics in Medicine).

    Examples
    --------
    >>> yi, vi = marginal_risk_difference(*(np.array([x]) for x in (10.0, 20.0, 7.0, 33.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.1857, 0.005)
    """
    n = ai + bi + ci + di
    return (bi - ci) / n, ((bi + ci) - (bi - ci) ** 2 / n) / n**2


def conditional_log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Log odds ratio within pairs (MPORC), from the discordant pairs alone: log(b / c), 1/b + 1/c.

    Parameters as in `marginal_log_risk_ratio`.

    References
    ----------
    [@breslow1987]

    Examples
    --------
    >>> yi, vi = conditional_log_odds_ratio(*(np.array([x]) for x in (10.0, 20.0, 5.0, 33.0)))
    >>> float(yi[0].round(4)), float(vi[0])
    (1.3863, 0.25)
    """
    return np.log(bi / ci) + 0 * (ai + di), 1 / bi + 1 / ci


def conditional_peto_log_odds_ratio(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Peto's one-step log odds ratio within pairs (MPPETO): 2 (b - c) / (b + c), 4 / (b + c).

    Parameters as in `marginal_log_risk_ratio`.

    References
    ----------
    [@yusuf1985]

    Examples
    --------
    >>> yi, vi = conditional_peto_log_odds_ratio(*(np.array([x]) for x in (10.0, 20.0, 5.0, 33.0)))
    >>> float(yi[0]), float(vi[0])
    (1.2, 0.16)
    """
    return 2 * (bi - ci) / (bi + ci) + 0 * (ai + di), 4 / (bi + ci)


def marginal_log_odds_ratio_from_margins(
    ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray, r: FloatArray
) -> Result:
    """Marginal log odds ratio when only the two treatments' totals and the correlation in the pairs are known (MPORM).

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        People with and without the outcome under the first (ai, bi) and the second treatment (ci, di); both rows count
        the same people.
    r : (k,) array
        Phi coefficient of the paired table.

    Returns
    -------
    yi, vi : (k,) arrays
        The variance is nan where the margins do not allow that correlation.

    Examples
    --------
    >>> yi, vi = marginal_log_odds_ratio_from_margins(*(np.array([x]) for x in (30.0, 40.0, 17.0, 53.0, 0.1827)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.8494, 0.1114)
    """
    yi, vi = log_odds_ratio(ai, bi, ci, di)
    n = ((ai + bi) + (ci + di)) / 2
    p1, p2 = ai / (ai + bi), ci / (ci + di)
    root = np.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    both = p1 * p2 + r * root  # share of pairs with the outcome under both treatments
    allowed = (both >= np.maximum(0, p1 + p2 - 1)) & (both <= np.minimum(p1, p2))
    return yi, np.where(allowed, vi - 2 * r / (n * root), np.nan)


def paired_phi(both: FloatArray, ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> FloatArray:
    """The phi coefficient of a paired table from its margins and the share of pairs with the outcome twice.

    Examples
    --------
    >>> float(paired_phi(np.array(10 / 70), *(np.array(x) for x in (30.0, 40.0, 17.0, 53.0))).round(4))
    0.1827
    """
    p1, p2 = ai / (ai + bi), ci / (ci + di)
    return (both - p1 * p2) / np.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
