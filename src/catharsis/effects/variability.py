"""Log ratios of means, of standard deviations and of coefficients of variation, and their one-group parts.

All of them are differences of three one-group quantities, ln M, ln SD and ln CV = ln SD - ln M, each with its
small-sample bias: E ln M is about ln mu - sd^2 / (2 n m^2), E ln SD about ln sigma - 1 / (2 (n - 1)).
"""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Result, pooled_sd, weighted_average
from catharsis.numerics import FloatArray


def relative_variance(m: FloatArray, sd: FloatArray, n: FloatArray) -> FloatArray:
    """Squared standard error of a mean relative to the mean, sd^2 / (n m^2): the variance of ln M."""
    return sd**2 / (n * m**2)


def _log_mean(m: FloatArray, sd: FloatArray, n: FloatArray, correct: bool) -> FloatArray:
    return np.log(m) + (relative_variance(m, sd, n) / 2 if correct else 0.0)


def _log_sd(sd: FloatArray, n: FloatArray, correct: bool) -> FloatArray:
    return np.log(sd) + (1 / (2 * (n - 1)) if correct else 0.0)


def log_mean(m: FloatArray, sd: FloatArray, n: FloatArray, correct: bool = False) -> Result:
    """Log of a mean (MNLN), variance sd^2 / (n m^2); nan when the mean is not positive.

    Parameters
    ----------
    m, sd, n : (k,) arrays
        Mean, standard deviation (points) and people.
    correct : bool
        Add sd^2 / (2 n m^2), the first-order bias of ln M; metafor does so for ratios of means but not here.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@nakagawa2015]

    Examples
    --------
    >>> yi, vi = log_mean(np.array(10.0), np.array(2.0), np.array(25.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (2.3026, 0.0016)
    """
    return _log_mean(m, sd, n, correct), relative_variance(m, sd, n) + 0 * np.log(m)


def log_sd(sd: FloatArray, n: FloatArray, correct: bool = True) -> Result:
    """Log of a standard deviation (SDLN), variance 1 / (2 (n - 1)).

    Parameters
    ----------
    sd, n : (k,) arrays
        Standard deviation (points) and people.
    correct : bool
        Add 1 / (2 (n - 1)) to the log.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@nakagawa2015]

    Examples
    --------
    >>> yi, vi = log_sd(np.array(2.0), np.array(26.0))
    >>> float(yi.round(4)), float(vi)
    (0.7131, 0.02)
    """
    return _log_sd(sd, n, correct), 1 / (2 * (n - 1)) + 0 * sd


def log_cv(m: FloatArray, sd: FloatArray, n: FloatArray, correct: bool = True) -> Result:
    """Log of a coefficient of variation (CVLN), variance 1 / (2 (n - 1)) + sd^2 / (n m^2); nan unless m > 0.

    Parameters as in `log_mean`; the correction is that of ln SD alone.

    References
    ----------
    [@nakagawa2015; @senior2020]

    Examples
    --------
    >>> yi, vi = log_cv(np.array(10.0), np.array(2.0), np.array(26.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (-1.5894, 0.0215)
    """
    log_m, v_m = log_mean(m, sd, n)
    log_s, v_s = log_sd(sd, n, correct)
    return log_s - log_m, v_s + v_m


def log_ratio_of_means(
    m1: FloatArray,
    sd1: FloatArray,
    n1: FloatArray,
    m2: FloatArray,
    sd2: FloatArray,
    n2: FloatArray,
    correct: bool = True,
    vtype: str = "LS",
) -> Result:
    """Log ratio of means (ROM), variance sd1^2/(n1 m1^2) + sd2^2/(n2 m2^2); nan when the means differ in sign.

    Parameters
    ----------
    m1, sd1, n1, m2, sd2, n2 : (k,) arrays
        Means, standard deviations (points) and people.
    correct : bool
        Add half the difference of the two terms of the variance (Lajeunesse 2015, Ecology).
    vtype : {"LS", "HO", "AV", "AVHO"}
        "HO" puts the pooled standard deviation in for both; "AV" the average coefficient of variation of each arm over
        the studies, "AVHO" that of both arms.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@hedges1999; @lajeunesse2011]

    Examples
    --------
    >>> yi, vi = log_ratio_of_means(*(np.array(x) for x in (12.0, 2.0, 25.0, 10.0, 2.0, 25.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.1821, 0.0027)
    """
    v1, v2 = relative_variance(m1, sd1, n1), relative_variance(m2, sd2, n2)
    yi = np.log(m1 / m2) + ((v1 - v2) / 2 if correct else 0.0)
    if vtype == "HO":
        sd = pooled_sd(sd1, n1, sd2, n2)
        v1, v2 = relative_variance(m1, sd, n1), relative_variance(m2, sd, n2)
    elif vtype in ("AV", "AVHO"):
        cv1, cv2 = weighted_average(sd1 / m1, n1), weighted_average(sd2 / m2, n2)
        if vtype == "AVHO":
            cv1 = cv2 = weighted_average(np.array([cv1, cv2]), np.array([np.sum(n1), np.sum(n2)]))
        v1, v2 = cv1**2 / n1, cv2**2 / n2
    return yi, v1 + v2 + 0 * np.log(m1 / m2)


def log_variability_ratio(
    sd1: FloatArray, n1: FloatArray, sd2: FloatArray, n2: FloatArray, correct: bool = True
) -> Result:
    """Log ratio of standard deviations (VR), variance 1/(2 (n1 - 1)) + 1/(2 (n2 - 1)).

    Parameters as in `log_sd`, for two groups.

    References
    ----------
    [@nakagawa2015]

    Examples
    --------
    >>> yi, vi = log_variability_ratio(*(np.array(x) for x in (3.0, 26.0, 2.0, 26.0)))
    >>> float(yi.round(4)), float(vi)
    (0.4055, 0.04)
    """
    (y1, v1), (y2, v2) = log_sd(sd1, n1, correct), log_sd(sd2, n2, correct)
    return y1 - y2, v1 + v2


def log_cv_ratio(
    m1: FloatArray,
    sd1: FloatArray,
    n1: FloatArray,
    m2: FloatArray,
    sd2: FloatArray,
    n2: FloatArray,
    correct: bool = True,
) -> Result:
    """Log ratio of coefficients of variation (CVR): VR - ROM, with the sum of their variances.

    Parameters as in `log_ratio_of_means`; nan unless both means are positive. For normal scores mean and standard
    deviation are independent, so that Nakagawa's term with their correlation is left out.

    References
    ----------
    [@nakagawa2015; @senior2020]

    Examples
    --------
    >>> yi, vi = log_cv_ratio(*(np.array(x) for x in (12.0, 2.0, 26.0, 10.0, 2.0, 26.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (-0.1821, 0.0426)
    """
    y_sd, v_sd = log_variability_ratio(sd1, n1, sd2, n2, correct)
    y_m, v_m = log_ratio_of_means(m1, sd1, n1, m2, sd2, n2, correct)
    undefined = 0 * (np.log(sd1 / m1) + np.log(sd2 / m2))
    return y_sd - y_m + undefined, v_sd + v_m + undefined


def paired_log_ratio_of_means(
    m1: FloatArray,
    sd1: FloatArray,
    m2: FloatArray,
    sd2: FloatArray,
    r: FloatArray,
    n: FloatArray,
    correct: bool = True,
) -> Result:
    """Log ratio of the means of two correlated occasions (ROMC).

    Parameters
    ----------
    m1, sd1, m2, sd2 : (k,) arrays
        Means and standard deviations (points) of the occasions.
    r, n : (k,) arrays
        Their correlation, and people.
    correct : bool
        As in `log_ratio_of_means`.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@lajeunesse2011]

    Examples
    --------
    >>> yi, vi = paired_log_ratio_of_means(*(np.array(x) for x in (12.0, 2.0, 10.0, 2.0, 0.5, 25.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.1821, 0.0014)
    """
    yi, vi = log_ratio_of_means(m1, sd1, n, m2, sd2, n, correct)
    return yi, vi - 2 * r * sd1 * sd2 / (m1 * m2 * n)


def paired_log_variability_ratio(sd1: FloatArray, sd2: FloatArray, r: FloatArray, n: FloatArray) -> Result:
    """Log ratio of the standard deviations of two correlated occasions (VRC), variance (1 - r^2) / (n - 1).

    Both biases are the same and cancel. Parameters as in `paired_log_ratio_of_means`.

    References
    ----------
    [@nakagawa2015]

    Examples
    --------
    >>> yi, vi = paired_log_variability_ratio(*(np.array(x) for x in (3.0, 2.0, 0.5, 26.0)))
    >>> float(yi.round(4)), float(vi)
    (0.4055, 0.03)
    """
    return np.log(sd1 / sd2), (1 - r**2) / (n - 1) + 0 * np.log(sd1 / sd2)


def paired_log_cv_ratio(
    m1: FloatArray,
    sd1: FloatArray,
    m2: FloatArray,
    sd2: FloatArray,
    r: FloatArray,
    n: FloatArray,
    correct: bool = True,
) -> Result:
    """Log ratio of the coefficients of variation of two correlated occasions (CVRC): VRC - ROMC.

    Parameters as in `paired_log_ratio_of_means`; nan unless both means are positive.

    References
    ----------
    [@nakagawa2015; @senior2020]

    Examples
    --------
    >>> yi, vi = paired_log_cv_ratio(*(np.array(x) for x in (12.0, 2.0, 10.0, 2.0, 0.5, 26.0)))
    >>> float(yi.round(4)), float(vi.round(4))
    (-0.1821, 0.0313)
    """
    y_sd, v_sd = paired_log_variability_ratio(sd1, sd2, r, n)
    y_m, v_m = paired_log_ratio_of_means(m1, sd1, m2, sd2, r, n, correct)
    undefined = 0 * (np.log(sd1 / m1) + np.log(sd2 / m2))
    return y_sd - y_m + undefined, v_sd + v_m + undefined
