"""Association of two yes-no variables in a 2 x 2 table, and deviation from the Hardy-Weinberg equilibrium.

Of a table, `ai` people have both, `bi` the first only, `ci` the second only, `di` neither.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from catharsis.effects.mean_differences import Result
from catharsis.numerics import FloatArray, root


def phi_coefficient(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray, vtype: str = "CS") -> Result:
    """Phi coefficient (PHI), the correlation of two yes-no variables.

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        Counts.
    vtype : {"CS", "ST"}
        How people were sampled: "CS" all together, "ST" with the rows' totals fixed. Both variances are the delta
        method, on one multinomial and on two binomials.

    Returns
    -------
    yi, vi : (k,) arrays
        nan when a row or a column is empty.

    Examples
    --------
    >>> yi, vi = phi_coefficient(*(np.array([x]) for x in (30.0, 20.0, 15.0, 35.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.3015, 0.0091)
    """
    n1, n2 = ai + bi, ci + di
    n = n1 + n2
    p1, p2 = ai / n1, ci / n2
    w1, w2 = n1 / n, n2 / n
    p = (ai + ci) / n
    q = 1 - p
    phi = np.sqrt(w1 * w2) * (p1 - p2) / np.sqrt(p * q)
    if vtype == "CS":
        skew = phi * (1 + phi**2 / 2) * (w1 - w2) * (p - q) / np.sqrt(w1 * w2 * p * q)
        spread = 0.75 * phi**2 * ((w1 - w2) ** 2 / (w1 * w2) + (p - q) ** 2 / (p * q))
        return phi, (1 - phi**2 + skew - spread) / n
    bend = (p1 - p2) * (1 - 2 * p) / (2 * p * q)
    slope1, slope2 = 1 - bend * w1, -1 - bend * w2
    return phi, w1 * w2 / (p * q) * (slope1**2 * p1 * (1 - p1) / n1 + slope2**2 * p2 * (1 - p2) / n2)


def yule_q(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Yule's Q (YUQ), (ad - bc) / (ad + bc), variance (1 - Q^2)^2 / 4 times the sum of the reciprocal cells.

    Parameters and returns as in `phi_coefficient` (Yule 1912); nan with an empty cell, where Q is -1 or 1 whatever
    the other cells are and has no variance.

    Examples
    --------
    >>> yi, vi = yule_q(*(np.array([x]) for x in (30.0, 20.0, 15.0, 35.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.5556, 0.0213)
    """
    q = (ai * di - bi * ci) / (ai * di + bi * ci)
    reciprocal = _reciprocals(ai, bi, ci, di)
    return q + 0 * reciprocal, (1 - q**2) ** 2 / 4 * reciprocal


def yule_y(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Yule's Y (YUY), Q with the roots of the products, variance (1 - Y^2)^2 / 16 times the reciprocal cells.

    Parameters and returns as in `yule_q`.

    Examples
    --------
    >>> yi, vi = yule_y(*(np.array([x]) for x in (30.0, 20.0, 15.0, 35.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.3033, 0.0092)
    """
    one, other = np.sqrt(ai * di), np.sqrt(bi * ci)
    y = (one - other) / (one + other)
    reciprocal = _reciprocals(ai, bi, ci, di)
    return y + 0 * reciprocal, (1 - y**2) ** 2 / 16 * reciprocal


def _reciprocals(*cells: FloatArray) -> FloatArray:
    """Sum of the reciprocal cells; nan when one is empty."""
    return np.where(np.all([cell > 0 for cell in cells], axis=0), sum(1 / cell for cell in cells), np.nan)


def tetrachoric(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Result:
    """Tetrachoric correlation (RTET): the correlation of the two normal variables that were cut into yes and no.

    The maximum-likelihood estimate reproduces the table, so that it is the root of P(both above their cuts) = a/n; its
    variance is the delta method on the multinomial (Pearson 1900).

    Parameters
    ----------
    ai, bi, ci, di : (k,) arrays
        Counts.

    Returns
    -------
    yi, vi : (k,) arrays
        With one empty cell the estimate is -1 or 1 and its variance nan; with an empty row or column both are nan.

    Examples
    --------
    >>> yi, vi = tetrachoric(*(np.array([x]) for x in (30.0, 20.0, 15.0, 35.0)))
    >>> float(yi[0].round(4)), float(vi[0].round(4))
    (0.4576, 0.0178)
    """
    tables = [np.array(table, dtype=float) for table in zip(ai, bi, ci, di, strict=True)]
    found = np.array([_tetrachoric_of(table) for table in tables]).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _tetrachoric_of(cells: FloatArray) -> tuple[float, float]:
    nothing = (np.nan, np.nan)
    n = cells.sum()
    if not np.isfinite(n) or n <= 0:
        return nothing
    a, b, c, d = cells / n
    if min(a + b, c + d, a + c, b + d) <= 0:
        return nothing
    if min(cells) <= 0:
        return (1.0 if min(b, c) <= 0 else -1.0), np.nan
    h, k = _cuts(cells)
    edge = np.pi / 2 * (1 - 1e-12)  # the root is sought in the angle, inside of r = -1 and r = 1
    try:
        r = float(np.sin(root(lambda angle: _both_above(h, k, angle) - a, -edge, edge)))
    except ValueError:  # a cell so small beside the others that r is 1 or -1 to all digits
        return nothing
    return r, tetrachoric_variance(cells, r)


def _cuts(cells: FloatArray) -> tuple[float, float]:
    """The cuts of the first and the second variable, from the table's margins."""
    a, b, c, _ = cells / cells.sum()
    return float(-special.ndtri(a + b)), float(-special.ndtri(a + c))


def tetrachoric_variance(cells: FloatArray, r: float) -> float:
    """Variance of a tetrachoric correlation r of one table, by the delta method.

    Examples
    --------
    >>> round(tetrachoric_variance(np.array([25.0, 25.0, 25.0, 25.0]), 0.0), 6)  # (pi / 2)^2 / n
    0.024674
    """
    h, k = _cuts(cells)
    shares = cells / cells.sum()
    across = np.sqrt(1 - r**2)
    density = np.exp(-(h**2 + k**2 - 2 * r * h * k) / (2 * across**2)) / (2 * np.pi * across)
    # what a, and the cuts h (by a + b) and k (by a + c), do to r; the shares of P(both above) per cut
    above1, above2 = special.ndtr((r * h - k) / across), special.ndtr((r * k - h) / across)
    slope = np.array([1 - above1 - above2, -above1, -above2, 0.0]) / density
    return float((shares @ slope**2 - (shares @ slope) ** 2) / cells.sum())


def tetrachoric_log_likelihood(cells: FloatArray, r: float) -> float:
    """Multinomial log-likelihood of one table at r, the cuts at its margins; the constant left out.

    Examples
    --------
    >>> round(tetrachoric_log_likelihood(np.array([1.0, 1.0, 1.0, 1.0]), 0.0), 4)  # 4 log(1/4)
    -5.5452
    """
    h, k = _cuts(cells)
    a = _both_above(h, k, float(np.arcsin(r)))
    p1, p2 = special.ndtr(-h), special.ndtr(-k)
    return float(np.sum(special.xlogy(cells, np.array([a, p1 - a, p2 - a, 1 - p1 - p2 + a]))))


_NODES, _WEIGHTS = special.roots_legendre(64)


def _both_above(h: float, k: float, angle: float) -> float:
    """P(both above their cuts) of two standard normals with correlation sin(angle).

    Its derivative in the angle is exp(-(h^2 + k^2 - 2 h k sin) / (2 cos^2)) / (2 pi), integrated from 0.
    """
    at = angle * (_NODES + 1) / 2
    inner = np.exp(-(h**2 + k**2 - 2 * h * k * np.sin(at)) / (2 * np.cos(at) ** 2))
    return float(special.ndtr(-h) * special.ndtr(-k) + angle / 2 * (_WEIGHTS @ inner) / (2 * np.pi))


def log_relative_excess_heterozygosity(ai: FloatArray, bi: FloatArray, ci: FloatArray) -> Result:
    """Log relative excess heterozygosity (REH): log(b) - log(2 sqrt(a c)) (Ziegler, van Steen and Wellek 2011).

    Parameters
    ----------
    ai, bi, ci : (k,) arrays
        People with two dominant, one and no dominant allele; 0 under the Hardy-Weinberg equilibrium.

    Returns
    -------
    yi, vi : (k,) arrays
        Variance 1/(4a) + 1/b + 1/(4c).

    Examples
    --------
    >>> yi, vi = log_relative_excess_heterozygosity(*(np.array([x]) for x in (25.0, 50.0, 25.0)))
    >>> float(yi[0]), float(vi[0])
    (0.0, 0.04)
    """
    return np.log(bi) - np.log(2 * np.sqrt(ai * ci)), 1 / (4 * ai) + 1 / bi + 1 / (4 * ci)
