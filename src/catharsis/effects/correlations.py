"""Effect sizes from correlations: plain, partial and semi-partial, and the share of variance explained."""

from __future__ import annotations

import numpy as np
from scipy import special

from catharsis.effects.mean_differences import Result, weighted_average
from catharsis.numerics import FloatArray

LARGE, TERMS = 20.0, 100  # from c = 20 on, 100 terms of Gauss' series give all digits: 100^-20 is left


def correlation(r: FloatArray, n: FloatArray, vtype: str = "LS") -> Result:
    """Raw correlation (COR) and its large-sample variance (1 - r^2)^2 / (n - 1).

    Parameters
    ----------
    r, n : (k,) arrays
        Correlation and people, n > 3.
    vtype : {"LS", "AV"}
        "AV" puts the average of all correlations, weighted by n, into the variance.

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
    centre = weighted_average(r, n) if vtype == "AV" else r
    return r, np.where(np.asarray(n) > 3, (1 - centre**2) ** 2 / (np.asarray(n, dtype=float) - 1), np.nan)


def unbiased_correlation(r: FloatArray, n: FloatArray, vtype: str = "LS") -> Result:
    """Correlation without its small-sample bias (UCOR): r 2F1(1/2, 1/2; (n - 2)/2; 1 - r^2); nan when n <= 4.

    Parameters
    ----------
    r, n : (k,) arrays
        Correlation and people.
    vtype : {"LS", "UB", "AV"}
        "LS" and "AV" as in `correlation`, at the corrected values; "UB" is the unbiased estimate of the variance,
        the square of the corrected r less the unbiased estimate of rho^2 (which Hedges 1989 approximates).

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@olkin1958]

    Examples
    --------
    >>> yi, vi = unbiased_correlation(np.array(0.5), np.array(26.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.5084, 0.022)
    """
    r, n = np.asarray(r, dtype=float), np.asarray(n, dtype=float)
    enough = n > 4
    size = np.where(enough, n, 5.0)
    yi = np.where(enough, r * gauss_series(0.5, (size - 2) / 2, 1 - r**2), np.nan)
    if vtype == "UB":
        left = (size - 3) / (size - 2) * (1 - r**2) * gauss_series(1.0, size / 2, 1 - r**2)
        return yi, yi**2 - 1 + left
    centre = weighted_average(yi, n) if vtype == "AV" else yi
    return yi, np.where(n > 3, (1 - centre**2) ** 2 / (n - 1), np.nan)


def gauss_series(a: float, c: FloatArray, x: FloatArray) -> FloatArray:
    """Gauss' function 2F1(a, a; c; x) for 0 <= x <= 1 and c > 2a.

    scipy overflows for c of a hundred and more; there the series itself converges within a few terms, which fall like
    k^(2a - 1 - c).

    Examples
    --------
    >>> gauss_series(0.5, np.array([1.5, 499.0]), np.array([0.75, 0.91])).round(6).tolist()
    [1.2092, 1.000457]
    """
    term = total = np.ones(np.broadcast_shapes(np.shape(c), np.shape(x)))
    for k in range(TERMS):
        term = term * (a + k) ** 2 / ((c + k) * (1 + k)) * x
        total = total + term
    return np.where(np.asarray(c) >= LARGE, total, special.hyp2f1(a, a, np.minimum(c, LARGE), x))


def fisher_z(r: FloatArray, n: FloatArray) -> Result:
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
    room = np.asarray(n, dtype=float) - 3
    return np.arctanh(r), np.where(room > 0, 1 / room, np.nan)


def fisher_z_of(found: Result) -> Result:
    """Fisher's z of any coefficient between -1 and 1, its variance by the delta method: v / (1 - r^2)^2.

    For point-biserial, tetrachoric, phi and semi-partial coefficients it puts them on the scale of ZCOR; it does not
    stabilise their variance.

    Examples
    --------
    >>> yi, vi = fisher_z_of((np.array([0.5, 1.1]), np.array([0.01, 0.01])))
    >>> yi.round(4).tolist(), vi.round(4).tolist()
    ([0.5493, nan], [0.0178, nan])
    """
    r, v = found
    inside = np.abs(r) < 1
    safe = np.where(inside, r, 0.0)
    return np.where(inside, np.arctanh(safe), np.nan), np.where(inside, v / (1 - safe**2) ** 2, np.nan)


def partial_correlation(r: FloatArray, n: FloatArray, m: FloatArray) -> Result:
    """Partial correlation of a focal predictor with the outcome (PCOR).

    Parameters
    ----------
    r : (k,) array
        Partial correlation, t / sqrt(t^2 + n - m - 1).
    n, m : (k,) arrays
        People, and predictors in the regression, the focal one counted.

    Returns
    -------
    yi, vi : (k,) arrays
        Variance (1 - r^2)^2 / (n - m): that of a correlation, less the m - 1 predictors held constant (Aloe 2014).

    References
    ----------
    [@olkin1958]

    Examples
    --------
    >>> yi, vi = partial_correlation(np.array(0.5), np.array(28.0), np.array(3.0))
    >>> float(vi)
    0.0225
    """
    return r, np.where(n - m > 0, (1 - r**2) ** 2 / (n - m), np.nan)


def partial_fisher_z(r: FloatArray, n: FloatArray, m: FloatArray) -> Result:
    """Fisher's z of a partial correlation (ZPCOR), variance 1 / (n - m - 2).

    Parameters as in `partial_correlation`.

    References
    ----------
    [@fisher1921]

    Examples
    --------
    >>> float(partial_fisher_z(np.array(0.5), np.array(30.0), np.array(3.0))[1])
    0.04
    """
    return np.arctanh(r), np.where(n - m > 2, 1 / (n - m - 2), np.nan)


def semipartial_correlation(r: FloatArray, n: FloatArray, r2: FloatArray) -> Result:
    """Semi-partial correlation of a focal predictor (SPCOR), variance of Aloe and Becker (2012).

    Parameters
    ----------
    r : (k,) array
        Semi-partial correlation, t sqrt(1 - R^2) / sqrt(n - m - 1).
    n : (k,) array
        People.
    r2 : (k,) array
        R^2 of the regression; without the focal predictor it is R^2 - r^2, and the variance is nan where that is
        negative, which no regression gives.

    Returns
    -------
    yi, vi : (k,) arrays

    Examples
    --------
    >>> yi, vi = semipartial_correlation(np.array(0.3), np.array(50.0), np.array(0.25))
    >>> float(vi.round(4))
    0.0139
    """
    without = r2 - r**2
    return r, np.where(without >= 0, (r2**2 - 2 * r2 + without + 1 - without**2) / n, np.nan)


def explained_share(r2: FloatArray, n: FloatArray, m: FloatArray, vtype: str = "LS") -> Result:
    """R^2 of a regression (R2).

    Parameters
    ----------
    r2, n, m : (k,) arrays
        R^2, people, predictors.
    vtype : {"LS", "LS2", "AV", "AV2"}
        "LS" is 4 R^2 (1 - R^2)^2 / n, "LS2" 4 R^2 (1 - R^2)^2 (n - m - 1)^2 / ((n^2 - 1)(n + 3)) (Kendall and Stuart
        1979, equations 27.88 and 27.87); "AV" and "AV2" put the average R^2, weighted by n, into them.

    Returns
    -------
    yi, vi : (k,) arrays

    Examples
    --------
    >>> float(explained_share(np.array(0.5), np.array(50.0), np.array(3.0))[1])
    0.01
    """
    centre = weighted_average(r2, n) if vtype in ("AV", "AV2") else np.asarray(r2, dtype=float)
    spread = 4 * centre * (1 - centre) ** 2
    if vtype in ("LS2", "AV2"):
        return r2, spread * (n - m - 1) ** 2 / ((n**2 - 1) * (n + 3))
    return r2, spread / n


def explained_share_z(r2: FloatArray, n: FloatArray) -> Result:
    """Fisher's z of the multiple correlation (ZR2), variance 1 / n (Olkin and Finn 1995).

    Parameters
    ----------
    r2, n : (k,) arrays
        R^2 and people.

    Returns
    -------
    yi, vi : (k,) arrays

    Examples
    --------
    >>> float(explained_share_z(np.array(0.25), np.array(50.0))[0].round(4))
    0.5493
    """
    return np.arctanh(np.sqrt(r2)), 1 / n + 0 * r2


def point_biserial(d: FloatArray, n1: FloatArray, n2: FloatArray, vtype: str = "ST") -> Result:
    """Correlation of a score with membership of one of two groups (RPB), from Cohen's d.

    Parameters
    ----------
    d : (k,) array
        Mean difference over the pooled standard deviation, uncorrected.
    n1, n2 : (k,) arrays
        People in the groups.
    vtype : {"ST", "CS"}
        How people were sampled: "ST" group by group (delta method on d), "CS" all together (Tate 1954).

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@jacobs2017]

    Examples
    --------
    >>> yi, vi = point_biserial(np.array(0.5), np.array(20.0), np.array(20.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.2485, 0.0224)
    """
    n = n1 + n2
    h = (n - 2) / n1 + (n - 2) / n2
    r = d / np.sqrt(d**2 + h)
    if vtype == "CS":
        p = n1 / n
        return r, (1 - r**2) ** 2 / n * (1 - 1.5 * r**2 + r**2 / (4 * p * (1 - p)))
    return r, h**2 / (h + d**2) ** 3 * (1 / n1 + 1 / n2 + d**2 / (2 * n))


def biserial(d: FloatArray, n1: FloatArray, n2: FloatArray) -> Result:
    """Correlation of two normal scores of which one was cut into two groups (RBIS), from Cohen's d.

    Parameters as in `point_biserial`. The estimate can lie beyond 1; the variance, Soper's (1914), then takes it for 1.

    References
    ----------
    [@jacobs2017]

    Examples
    --------
    >>> yi, vi = biserial(np.array(0.5), np.array(20.0), np.array(20.0))
    >>> float(yi.round(4)), float(vi.round(4))
    (0.3114, 0.0343)
    """
    n = n1 + n2
    p = n1 / n
    q = 1 - p
    z = -special.ndtri(p)  # the cut: P(Z > z) = p
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    r = point_biserial(d, n1, n2)[0] * np.sqrt(p * q) / density
    middle = 1.5 + (1 - p * z / density) * (1 + q * z / density)
    inside = np.clip(r, -1, 1)
    return r, (p * q / density**2 - middle * inside**2 + inside**4) / (n - 1)
