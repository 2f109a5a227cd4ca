"""Effect sizes from means of independent groups and of one group: in points and standardised.

Where several variances are in use, `vtype` names them by metafor's codes: "LS" the usual large-sample formula,
"LS2" another one, "UB" unbiased, "HO" equal variances in both groups, "AV" with the average effect of all studies put
in, so that variances do not depend on the study's own effect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from catharsis.numerics import FloatArray

Result = tuple[FloatArray, FloatArray]  # yi and vi
Flags = NDArray[np.bool_]  # one yes or no per row


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
    factor = np.exp(special.gammaln(safe / 2) - 0.5 * np.log(safe / 2) - special.gammaln((safe - 1) / 2))
    return np.where(df > 1, factor, np.nan)


def weighted_average(values: FloatArray, n: FloatArray) -> float:
    """Average over the studies that have a value, weighted by their people; nan when none has.

    Examples
    --------
    >>> weighted_average(np.array([0.0, 3.0, np.nan]), np.array([10.0, 20.0, 5.0]))
    2.0
    """
    values, n = np.broadcast_arrays(np.asarray(values, dtype=float), np.asarray(n, dtype=float))
    there = np.isfinite(values) & np.isfinite(n)
    return float(np.sum(n[there] * values[there]) / np.sum(n[there])) if there.any() else float("nan")


def pooled_sd(sd1: FloatArray, n1: FloatArray, sd2: FloatArray, n2: FloatArray) -> FloatArray:
    """Pooled standard deviation of two groups, in points."""
    return np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


def mean_difference(
    m1: FloatArray,
    sd1: FloatArray,
    n1: FloatArray,
    m2: FloatArray,
    sd2: FloatArray,
    n2: FloatArray,
    vtype: str = "LS",
) -> Result:
    """Difference of two independent means (MD) and its variance sd1^2/n1 + sd2^2/n2.

    Parameters
    ----------
    m1, sd1, n1, m2, sd2, n2 : (k,) arrays
        Means, standard deviations (in points of the instrument) and people of the two groups.
    vtype : {"LS", "HO"}
        "HO" puts the pooled standard deviation in for both (Borenstein 2009, equation 12.3).

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
    if vtype == "HO":
        sd1 = sd2 = pooled_sd(sd1, n1, sd2, n2)
    return m1 - m2, sd1**2 / n1 + sd2**2 / n2


def standardised_mean_difference(
    d: FloatArray, n1: FloatArray, n2: FloatArray, correct: bool = True, vtype: str = "LS"
) -> Result:
    """Hedges' g (SMD) from Cohen's d, with variance 1/n1 + 1/n2 + g^2 / (2 (n1 + n2)).

    Parameters
    ----------
    d : (k,) array
        Mean difference over the pooled standard deviation.
    n1, n2 : (k,) arrays
        People in each group.
    correct : bool
        Apply the small-sample factor J(n1 + n2 - 2).
    vtype : {"LS", "LS2", "UB", "AV"}
        "LS2" is J^2 times the variance of d (Borenstein 2009, equation 12.17); "UB" is unbiased.

    Returns
    -------
    yi, vi : (k,) arrays
        Standard deviations, and squared.

    References
    ----------
    [@hedges1981; @hedges1983; @hedges1985]

    Examples
    --------
    >>> yi, vi = standardised_mean_difference(np.array(0.5), np.array(20), np.array(20))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4901, 0.103)
    """
    return _standardised(d, n1, n2, n1 + n2 - 2, n1 + n2, correct, vtype)


def glass_difference(d: FloatArray, n1: FloatArray, n2: FloatArray, correct: bool = True, vtype: str = "LS") -> Result:
    """Difference over the second group's standard deviation (SMD1), variance 1/n1 + 1/n2 + g^2 / (2 n2).

    Parameters and returns as in `standardised_mean_difference`; the standard deviation has n2 - 1 degrees of freedom.

    References
    ----------
    [@hedges1981]

    Examples
    --------
    >>> yi, vi = glass_difference(np.array(0.5), np.array(20), np.array(20))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.48, 0.1058)
    """
    return _standardised(d, n1, n2, n2 - 1, n2, correct, vtype)


def _standardised(
    d: FloatArray, n1: FloatArray, n2: FloatArray, df: FloatArray, n_sd: FloatArray, correct: bool, vtype: str
) -> Result:
    """G and its variance when the standardiser rests on `n_sd` people with `df` degrees of freedom."""
    factor = small_sample_factor(df)
    g = factor * d if correct else np.asarray(d, dtype=float)
    sizes = 1 / n1 + 1 / n2
    match vtype:
        case "LS2":
            return g, factor**2 * (sizes + d**2 / (2 * n_sd))
        case "UB":
            return g, sizes + (1 - (df - 2) / (df * factor**2)) * g**2
        case "AV":
            return g, sizes + weighted_average(g, n1 + n2) ** 2 / (2 * n_sd)
    return g, sizes + g**2 / (2 * n_sd)


def average_sd(sd1: FloatArray, sd2: FloatArray) -> FloatArray:
    """Root of the average of two variances: the standardiser when variances may differ [@bonett2008]."""
    return np.sqrt((sd1**2 + sd2**2) / 2)


def heteroscedastic_mean_difference(
    d: FloatArray,
    sd1: FloatArray,
    n1: FloatArray,
    sd2: FloatArray,
    n2: FloatArray,
    correct: bool = True,
    vtype: str = "LS",
) -> Result:
    """Difference over the root of the average variance (SMDH), with a variance that allows unequal variances.

    Parameters
    ----------
    d : (k,) array
        Mean difference over `average_sd`.
    sd1, n1, sd2, n2 : (k,) arrays
        Standard deviations and people.
    correct : bool
        Apply J(n1 + n2 - 2).
    vtype : {"LS", "LS2"}
        "LS" divides by n - 1, as Bonett does; "LS2" by n, the large-sample limit.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@bonett2008; @bonett2009]

    Examples
    --------
    >>> yi, vi = heteroscedastic_mean_difference(*(np.array(x) for x in (0.5, 2.0, 21.0, 2.0, 21.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.4906, 0.103)
    """
    g = small_sample_factor(n1 + n2 - 2) * d if correct else np.asarray(d, dtype=float)
    v1, v2, v = sd1**2, sd2**2, (sd1**2 + sd2**2) / 2
    m1, m2 = (n1, n2) if vtype == "LS2" else (n1 - 1, n2 - 1)
    return g, g**2 * (v1**2 / m1 + v2**2 / m2) / (8 * v**2) + (v1 / m1 + v2 / m2) / v


def heteroscedastic_glass_difference(
    d: FloatArray, sd1: FloatArray, n1: FloatArray, sd2: FloatArray, n2: FloatArray, correct: bool = True
) -> Result:
    """Difference over the second group's standard deviation when variances differ (SMD1H).

    Parameters and returns as in `heteroscedastic_mean_difference`, with `d` over `sd2`.

    References
    ----------
    [@bonett2008; @hedges1981]

    Examples
    --------
    >>> yi, vi = heteroscedastic_glass_difference(*(np.array(x) for x in (0.5, 2.0, 21.0, 2.0, 21.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.481, 0.1058)
    """
    g = small_sample_factor(n2 - 1) * d if correct else np.asarray(d, dtype=float)
    return g, sd1**2 / (sd2**2 * (n1 - 1)) + 1 / (n2 - 1) + g**2 / (2 * (n2 - 1))


def probability_of_superiority(
    m1: FloatArray, sd1: FloatArray, n1: FloatArray, m2: FloatArray, sd2: FloatArray, n2: FloatArray
) -> Result:
    """P(someone of group 1 is above someone of group 2) for normal distributions (CLESN, McGraw and Wong 1992).

    The variance is that of Phi(D / sqrt(sd1^2 + sd2^2)) by the delta method, with Bonett's n - 1.

    Parameters
    ----------
    m1, sd1, n1, m2, sd2, n2 : (k,) arrays
        Means, standard deviations and people.

    Returns
    -------
    yi, vi : (k,) arrays
        Probabilities.

    References
    ----------
    [@bonett2008]

    Examples
    --------
    >>> yi, vi = probability_of_superiority(*(np.array(x) for x in (1.0, 1.0, 50.0, 0.0, 1.0, 50.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.7602, 0.0022)
    """
    total = sd1**2 + sd2**2
    delta = (m1 - m2) / np.sqrt(total)
    of_means = (sd1**2 / (n1 - 1) + sd2**2 / (n2 - 1)) / total
    of_sds = delta**2 * (sd1**4 / (n1 - 1) + sd2**4 / (n2 - 1)) / (2 * total**2)
    density = np.exp(-(delta**2) / 2) / np.sqrt(2 * np.pi)
    return special.ndtr(delta), density**2 * (of_means + of_sds)


def superiority_from_ranks(share: FloatArray, n1: FloatArray, n2: FloatArray, vtype: str = "LS") -> Result:
    """P(group 1 above group 2), also the area under the ROC curve, from the Mann-Whitney statistic (CLES, AUC).

    Parameters
    ----------
    share : (k,) array
        U / (n1 n2): the share of pairs in which the person of group 1 is above, ties counting half.
    n1, n2 : (k,) arrays
        People.
    vtype : {"LS", "H0", "MAX"}
        "LS" is Hanley and McNeil's (1982) variance for exponential distributions; "H0" holds when the groups do not
        differ; "MAX" is the largest that any pair of distributions can have (Bamber 1975).

    Returns
    -------
    yi, vi : (k,) arrays
        Probabilities.

    Examples
    --------
    >>> yi, vi = superiority_from_ranks(np.array(0.9), np.array(40.0), np.array(60.0))
    >>> float(vi.round(6))
    0.001218
    """
    share = np.asarray(share, dtype=float)
    if vtype == "H0":
        return share, (n1 + n2 + 1) / (12 * n1 * n2) + 0 * share
    if vtype == "MAX":
        return share, share * (1 - share) / np.minimum(n1, n2)
    q1, q2 = share / (2 - share), 2 * share**2 / (1 + share)
    spread = share * (1 - share) + (n1 - 1) * (q1 - share**2) + (n2 - 1) * (q2 - share**2)
    return share, spread / (n1 * n2)


def log_odds_ratio_from_d(d: FloatArray, n1: FloatArray, n2: FloatArray, factor: float) -> Result:
    """Log odds ratio behind a standardised difference (D2ORN, D2ORL): `factor` times Cohen's d.

    Parameters
    ----------
    d, n1, n2 : (k,) arrays
        Cohen's d and people.
    factor : float
        `transformations.LOG_ODDS_PER_SD_NORMAL` or `LOG_ODDS_PER_SD_LOGISTIC`.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@hasselblad1995; @chinn2000]

    Examples
    --------
    >>> yi, vi = log_odds_ratio_from_d(np.array(0.5), np.array(20.0), np.array(20.0), 1.65)
    >>> float(yi.round(4)), float(vi.round(4))
    (0.825, 0.2808)
    """
    yi, vi = standardised_mean_difference(d, n1, n2, correct=False)
    return factor * yi, factor**2 * vi


def mean_change(mean: FloatArray, sd: FloatArray, n: FloatArray) -> Result:
    """Mean change of one group (MC) from the change scores' mean and SD; variance sd^2/n. Also the mean itself (MN).

    Parameters
    ----------
    mean, sd : (k,) arrays
        Mean and standard deviation of the (change) scores, in points.
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


def standardised_mean_change(d: FloatArray, n: FloatArray, correct: bool = True) -> Result:
    """Standardised mean change with change-score standardisation (SMCC). Also a standardised mean (SMN).

    Parameters
    ----------
    d : (k,) array
        Mean (change) over the SD of the (change) scores.
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
