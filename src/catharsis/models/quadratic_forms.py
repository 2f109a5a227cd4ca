"""The exact distribution of a quadratic form in normal variables, Q = z' D^1/2 (I - HH') D^1/2 z.

Cochran's Q with any fixed weights a is such a form: D holds a_i times the variance of y_i, and H is an orthonormal
basis of the weighted moderators. Its moment generating function is the determinant of I - 2s D^1/2 (I - HH') D^1/2,
and the matrix determinant lemma turns that into det(E) det(H' E^-1 H) with E = I - 2sD: O(k p^2), without eigenvalues
and without a k x k matrix. A tail is the inversion integral of that function (Imhof 1961, Biometrika 48), taken here
along a parabola that crosses the real axis at the saddle point, where the integrand falls off fastest; the
trapezoidal rule then converges geometrically, and a small tail keeps its relative accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray

ComplexArray = NDArray[np.complex128]

CHUNK = 1_000_000  # elements of a (nodes, k) array at a time: bounded memory for any number of effects
HALVINGS = 12  # of the step; three or four are usual
AGREEMENT = 1e-13  # relative difference of two steps that ends the refinement
NEGLIGIBLE = 1e-18  # share of the largest value below which the integrand has ended
LAST = 0.4999  # the saddle point is looked for up to here; the first pole is at 0.5, in units of 1 / max(D)
ASIDE = 0.45  # where to cross when the saddle point lies beyond that
ROUNDING = 1e-15  # absolute: a difference of two steps that no tail can show
MOST = 700.0  # exp() of more overflows


@dataclass(frozen=True, slots=True)
class Tails:
    """P(Q <= q) and P(Q > q); the smaller one is computed, so that neither suffers from cancellation."""

    lower: float
    upper: float


def quadratic_form_tails(q: float, diagonal: FloatArray, H: FloatArray) -> Tails:
    """Both tails of Q = z' D^1/2 (I - HH') D^1/2 z, z standard normal.

    Parameters
    ----------
    q : float
        The point.
    diagonal : (k,) array
        D, positive.
    H : (k, p) array
        Orthonormal columns, p < k; none at all (p = 0) gives the sum of D times chi-squares.

    Returns
    -------
    Tails
        Accurate to about 1e-12, relative to the smaller of the two.

    Raises
    ------
    ModelError
        When the integral does not settle (weights that differ by more than doubles can hold).

    References
    ----------
    [@jackson2013; @jackson2014]

    Examples
    --------
    >>> tails = quadratic_form_tails(3.0, np.ones(3), np.full((3, 1), 3**-0.5))
    >>> round(tails.upper, 12), round(float(np.exp(-1.5)), 12)
    (0.223130160148, 0.223130160148)

    Three equal terms, one direction taken out: chi-square with 2 degrees of freedom, P(Q > q) = exp(-q / 2).
    """
    unit = float(diagonal.max())
    form = _Form(diagonal / unit, H)
    at = q / unit
    if at <= 0:
        return Tails(0.0, 1.0)
    if not np.isfinite(at):
        return Tails(1.0, 0.0)
    above = at > form.mean
    tail = _inversion(form, at, above)
    return Tails(1 - tail, tail) if above else Tails(tail, 1 - tail)


@dataclass(frozen=True, slots=True)
class _Form:
    d: FloatArray
    H: FloatArray

    @property
    def mean(self) -> float:
        return float(self.d @ (1 - np.sum(self.H**2, axis=1)))

    def cumulants(self, s: ComplexArray) -> ComplexArray:
        """Log E exp(sQ) at each s, on the branch that is real on the real axis left of the poles."""
        k, p = self.H.shape
        pairs = (self.H[:, :, None] * self.H[:, None, :]).reshape(k, p * p)
        found = np.empty(len(s), dtype=np.complex128)
        size = max(CHUNK // k, 1)
        for start in range(0, len(s), size):
            part = s[start : start + size]
            e = 1 - 2 * part[:, None] * self.d
            C = ((1 / e) @ pairs).reshape(len(part), p, p)
            # each pivot is one rank-one step; the eigenvalues before and after it interlace, so its phase stays
            # within pi and the principal logarithm is the right one
            log_det = np.log(e).sum(axis=1)
            for j in range(p):
                pivot = C[:, j, j].copy()
                log_det += np.log(pivot)
                C -= C[:, :, j, None] * (C[:, j, None, :] / pivot[:, None, None])
            found[start : start + size] = -0.5 * log_det
        return found

    def slopes(self, s: float) -> tuple[float, float]:
        """First and second derivative of the cumulant function at a real s."""
        e = 1 - 2 * s * self.d
        ratio = 2 * self.d / e
        whole = self.H / np.sqrt(e)[:, None]
        C = whole.T @ whole
        first = np.linalg.solve(C, whole.T @ (ratio[:, None] * whole))
        second = np.linalg.solve(C, whole.T @ (2 * ratio[:, None] ** 2 * whole))
        one = 0.5 * (ratio.sum() - np.trace(first))
        two = 0.5 * (ratio @ ratio - np.trace(second) + np.sum(first * first.T))
        return float(one), float(two)


def _inversion(form: _Form, q: float, above: bool) -> float:
    """The upper (or lower) tail: 1 / (2 pi i) times the integral of exp(K(s) - s q) / s right (or left) of 0."""
    crossing = _crossing(form, q, above)
    curvature = form.slopes(crossing)[1] + 1 / crossing**2
    width = float(1 / np.sqrt(max(curvature, np.finfo(float).tiny)))
    ratio = form.d / (1 - 2 * crossing * form.d)
    # the path of steepest descent near the crossing, as far as D alone tells its third cumulant
    bend = 8 * float(np.sum(ratio**3)) / (6 * max(curvature, float(np.sum(2 * ratio**2)))) * width**2
    height = float(form.cumulants(np.array([crossing], dtype=np.complex128))[0].real)
    top = height - crossing * q
    agreement = max(AGREEMENT, 16 * float(np.finfo(float).eps) * (abs(height) + abs(crossing * q)))

    def integrand(x: FloatArray) -> FloatArray:
        t = np.sinh(x)
        s = crossing + bend * t**2 + 1j * width * t
        value = np.exp(form.cumulants(s) - s * q - top) / s * (2 * bend * t + 1j * width) * np.cosh(x)
        return np.asarray(value.imag)

    reach = 1.0
    while reach < 60 and np.abs(integrand(np.array([reach, 1.25 * reach]))).max() > NEGLIGIBLE * width / abs(crossing):
        reach *= 1.25
    step = reach / 16
    total = float(integrand(np.zeros(1))[0]) / 2 + float(integrand(step * np.arange(1.0, 17.0)).sum())
    value = total * step
    for _ in range(HALVINGS):
        middles = np.arange(round(reach / step), dtype=np.float64) + 0.5
        total += float(integrand(step * middles).sum())
        step /= 2
        before, value = value, total * step
        if abs(value - before) <= max(agreement * abs(value), ROUNDING * np.exp(min(-top, MOST))):
            return float(np.clip(abs(value) * np.exp(top) / np.pi, 0.0, 1.0))
    raise ModelError(
        "the distribution of the generalised Q statistic does not settle: the weights or variances differ too much; "
        "use the Q-profile interval or another estimator"
    )


def _crossing(form: _Form, q: float, above: bool) -> float:
    """Where K(s) - s q - log|s| has its minimum right (or left) of 0, to a few per cent: any crossing is exact."""

    def slope(s: float) -> float:
        return form.slopes(s)[0] - q - 1 / s

    if above:
        low, high = 0.0, LAST
        if slope(high) <= 0:
            return ASIDE
    else:
        high, low = 0.0, -1.0
        while slope(low) > 0:
            low, high = 2 * low, low
        if high == 0.0:
            high = low / 2
            while slope(high) < 0:
                low, high = high, high / 2
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2
