"""The k fits without one effect each, at a cost linear in k.

All of them share the sums over k effects; a deletion takes one term away. What stands in the way is that each deletion
has its own tau^2, so that the sums are needed at k different values. They are smooth functions of tau^2 alone, so they
are computed at some dozens of nodes and interpolated between them: with s = log(tau^2 + min v) the nearest
singularities lie at a distance of pi from the real axis, and Chebyshev interpolation converges geometrically. What the
interpolation attains is measured at points between the nodes; when it falls short of ten digits, and for deletions in
which the difference of two large sums would lose as many, the caller fits one problem at a time.

The sums are taken of residuals from the fit to all effects, in a basis of X that is orthonormal under its weights, so
that little cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.models.batch import ILL, TOGETHER, BoolArray, Fits, Traces, deviances_one_by_one, tau2_grid
from catharsis.models.knapp_hartung import ROUNDING, Test
from catharsis.numerics import FloatArray, IntArray

SMALLEST = 128  # effects from which this is faster than whole fits
ACCURACY = 1e-11  # relative error of the interpolated sums that is accepted
REMAINS = 1e-5  # share of a sum that must remain without one effect, so that ten digits do
NODES = (16, 160)
ROWS = 2**13  # deletions at a time: bounds the memory of the interpolation


@dataclass(frozen=True, slots=True)
class Parts:
    """Sums with weights w^j, j fixed: total of w^j, and of w^j q q', w^j q r, w^j r^2, stacked over m values."""

    total: FloatArray  # (m,)
    A: FloatArray  # (m, p, p)
    b: FloatArray  # (m, p)
    c: FloatArray  # (m,)

    def less(self, w: FloatArray, q: FloatArray, r: FloatArray) -> Parts:
        """Without one effect each: its w^j (m,), its row of the basis (m, p) and its residual (m,)."""
        wq = w[:, None] * q
        return Parts(
            self.total - w, self.A - wq[:, :, None] * q[:, None, :], self.b - wq * r[:, None], self.c - w * r * r
        )


@dataclass(frozen=True, slots=True)
class Sums:
    """The interpolated sums over all effects.

    Attributes
    ----------
    low, high : float
        Range of s = log(tau^2 + smallest variance).
    coefficients : (n, f) array
        Chebyshev coefficients of log sum w, of sum log w, and of all entries of `Parts` for w, w^2, w^3 over powers of
        sum w.
    """

    low: float
    high: float
    coefficients: FloatArray

    def at(self, s: FloatArray) -> FloatArray:
        """(m, f) values."""
        x = np.clip((2 * s - self.low - self.high) / (self.high - self.low), -1, 1)
        return np.asarray(np.cos(np.arccos(x)[:, None] * np.arange(len(self.coefficients))) @ self.coefficients)


@dataclass(frozen=True, slots=True)
class OneLess:
    """A `batch.Source`: problem i is all effects but i."""

    y: FloatArray
    v: FloatArray
    Q: FloatArray
    r: FloatArray
    sums: Sums

    @property
    def k(self) -> IntArray:
        """(k,) effects that remain."""
        return np.full(len(self.v), len(self.v) - 1)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.Q.shape[1])

    @property
    def smallest(self) -> FloatArray:
        """(k,) smallest sampling variance that remains."""
        first, second = np.partition(self.v, 1)[:2]
        return np.asarray(np.where(self.v == first, second, first))

    @property
    def largest(self) -> float:
        """Largest sampling variance of all."""
        return float(self.v.max())

    def plain(self, w: FloatArray) -> Parts:
        """Sums of all effects but each, with fixed weights (k,)."""
        wq = w[:, None] * self.Q
        k, p = self.Q.shape
        whole = Parts(
            np.full(k, w.sum()), np.broadcast_to(wq.T @ self.Q, (k, p, p)), np.broadcast_to(wq.T @ self.r, (k, p)),
            np.full(k, w @ self.r**2),
        )  # fmt: skip
        return whole.less(w, self.Q, self.r)

    def hedges(self) -> FloatArray:
        """(k,) the Hedges estimate without each effect, not truncated."""
        ones = self.plain(np.ones_like(self.v))
        inverse = _inverse(ones.A)
        rss = ones.c - np.einsum("mi,mij,mj->m", ones.b, inverse, ones.b)
        by_v = self.plain(self.v)
        room = by_v.total - np.einsum("mij,mji->m", inverse, by_v.A)
        return np.asarray((rss - room) / (len(self.v) - 1 - self.p))

    def parts(self, tau2: FloatArray, rows: IntArray) -> tuple[list[Parts], FloatArray]:
        """Sums with w, w^2 and w^3 without each of `rows`, and sum log w."""
        p = self.p
        values = self.sums.at(np.log(tau2 + self.v.min()))
        scale = np.exp(values[:, 0])
        w = 1 / (self.v[rows] + tau2)
        found, start = [], 2
        for j in (1, 2, 3):
            block = values[:, start : start + 2 + p + p * p] * (scale**j)[:, None]
            start += 2 + p + p * p
            whole = Parts(block[:, 0], block[:, 2 + p :].reshape(-1, p, p), block[:, 2 : 2 + p], block[:, 1])
            found.append(whole.less(w**j, self.Q[rows], self.r[rows]))
        return found, values[:, 1] - np.log(w)

    def at(self, tau2: FloatArray, rows: IntArray, depth: int) -> Traces:
        """Sums of the problems `rows` at their `tau2`."""
        chunks = [
            self._at(tau2[start : start + ROWS], rows[start : start + ROWS]) for start in range(0, len(rows), ROWS)
        ]
        names = ("rss", "quadratic", "trace", "total", "trace2", "total2", "cubic")
        joined = {name: np.concatenate([getattr(part, name) for part in chunks]) for name in names}
        heights = [part.height for part in chunks if part.height is not None]
        return Traces(
            **joined, height=(np.concatenate([a for a, _ in heights]), np.concatenate([b for _, b in heights]))
        )

    def deviances(self, grid: FloatArray, reml: bool) -> FloatArray:
        """-2 log-likelihood of each problem but for constants at each tau^2 of a grid, (k, n)."""
        return deviances_one_by_one(self, grid, reml)

    def _at(self, tau2: FloatArray, rows: IntArray) -> Traces:
        (one, two, three), logs = self.parts(tau2, rows)
        inverse = np.asarray(np.linalg.inv(one.A), dtype=np.float64)
        g = np.einsum("mij,mj->mi", inverse, one.b)
        rss = one.c - np.einsum("mi,mi->m", one.b, g)
        lost = two.b - np.einsum("mij,mj->mi", two.A, g)
        quadratic = two.c - np.einsum("mi,mi->m", g, two.b + lost)
        cubes = three.c - np.einsum("mi,mi->m", g, 2 * three.b - np.einsum("mij,mj->mi", three.A, g))
        inner = inverse @ two.A
        trace2 = two.total - 2 * np.einsum("mij,mji->m", inverse, three.A) + np.einsum("mij,mji->m", inner, inner)
        return Traces(
            rss, quadratic, one.total - np.einsum("mii->m", inner), one.total,
            (rss - logs, np.asarray(np.linalg.slogdet(one.A)[1])), trace2, two.total,
            cubes - np.einsum("mi,mij,mj->m", lost, inverse, lost),
        )  # fmt: skip


def _values(v: FloatArray, Q: FloatArray, r: FloatArray, tau2: float) -> FloatArray:
    """(f,) the functions that are interpolated, at one tau^2."""
    w = 1 / (v + tau2)
    total = w.sum()
    found = [np.array([np.log(total), np.log(w).sum()])]
    for j in (1, 2, 3):
        power = (w / total) ** j
        pq = power[:, None] * Q
        found += [np.array([power.sum(), power @ r**2]), pq.T @ r, (pq.T @ Q).ravel()]
    return np.concatenate(found)


def interpolated(v: FloatArray, Q: FloatArray, r: FloatArray, top: float) -> Sums | None:
    """The sums for 0 <= tau^2 <= `top`; None when they are not accurate."""
    floor = float(v.min())
    low, high = float(np.log(floor)), float(np.log(floor + top))
    if not high > low:
        return None
    near = np.pi / (high - low)  # half the strip without singularities of log sum w, in half lengths of the interval
    n = int(np.clip(np.ceil(36 / np.log(near + np.hypot(near, 1.0))), *NODES))
    angles = (np.arange(n) + 0.5) * np.pi / n
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    values = np.array([_values(v, Q, r, float(np.exp(s)) - floor) for s in nodes])
    coefficients = (2 / n) * np.cos(np.arange(n)[:, None] * angles) @ values
    coefficients[0] /= 2
    sums = Sums(low, high, coefficients)
    between = np.linspace(low, high, 7)
    exact = np.array([_values(v, Q, r, max(float(np.exp(s)) - floor, 0.0)) for s in between])
    p = Q.shape[1]
    error = np.abs(sums.at(between) - exact)
    if error[:, 0].max() > ACCURACY or np.max(error[:, 1]) > ACCURACY * len(v):
        return None
    start = 2
    for _ in (1, 2, 3):  # each entry against the size that its matrix has, rows and columns of Q in like units
        trace = np.einsum("mii->m", exact[:, start + 2 + p : start + 2 + p + p * p].reshape(-1, p, p))
        c = exact[:, start + 1]
        sizes = np.column_stack([exact[:, start], c, *[np.sqrt(c * trace)] * p, *[trace] * (p * p)])
        if np.any(error[:, start : start + 2 + p + p * p] > ACCURACY * sizes):
            return None
        start += 2 + p + p * p
    return sums


def fits_without_one(
    y: FloatArray, v: FloatArray, X: FloatArray, tau2: float, method: str, test: Test, held: bool = False
) -> tuple[Fits, BoolArray, FloatArray] | None:
    """The fits without each effect, which of them can be relied on, and covariances from all effects at their tau^2.

    Parameters
    ----------
    y, v : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators.
    tau2 : float
        Estimate from all effects.
    method, test : str
        As for `batch.fit_problems`.
    held : bool
        Whether `tau2` is given, not estimated.

    Returns
    -------
    (Fits, (k,) array of bool, (k, p, p) array) or None
        None when whole fits are as fast, the estimator has no formula for many problems, or the sums cannot be
        interpolated.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y, v = rng.normal(0, 0.5, 150), rng.uniform(0.1, 0.3, 150)
    >>> found, sure, _ = fits_without_one(y, v, np.ones((150, 1)), 0.06, "DL", "z")
    >>> bool(sure.all()), float(np.round(found.beta[0, 0] - np.average(y[1:], weights=1 / (v[1:] + found.tau2[0])), 12))
    (True, 0.0)
    """
    k, p = X.shape
    if k < SMALLEST or k - 1 <= p or not (held or method in TOGETHER) or test not in ("z", "t", "knha", "adhoc"):
        return None
    half = 1 / np.sqrt(v + tau2)
    R = np.asarray(np.linalg.qr(half[:, None] * X, mode="r"))
    back = np.linalg.inv(R)
    Q = X @ back
    reference = Q.T @ (half**2 * y)
    again = Q.T @ (half**2 * (y - Q @ reference))  # for the digits that a large mean costs
    reference = reference + again
    r = y - Q @ reference
    if not np.any(np.abs(r) > ROUNDING * np.abs(y)):
        return None  # all effects are what the model says: nothing but rounding errors to sum
    empty = OneLess(y, v, Q, r, Sums(0.0, 1.0, np.zeros((1, 1))))
    sure = _sure(empty, tau2)
    if not sure.any():
        return None
    chosen = _Some(empty, np.flatnonzero(sure))
    top = 1.01 * max(float(tau2_grid(chosen)[-1]), tau2)
    sums = interpolated(v, Q, r, top)
    if sums is None:
        return None
    source = OneLess(y, v, Q, r, sums)
    rows = np.flatnonzero(sure)
    found = np.full(len(rows), tau2) if held else TOGETHER[method](_Some(source, rows))
    good = ~np.isnan(found) & (found < top * (1 - 1e-6))
    sure[rows[~good]] = False
    at = np.zeros(k)
    at[rows[good]] = found[good]
    fits, cov_all = _assembled(source, at, np.asarray(back), reference, test)
    return fits, sure, cov_all


@dataclass(frozen=True, slots=True)
class _Some:
    """Some of the deletions, as a `batch.Source`."""

    source: OneLess
    chosen: IntArray

    @property
    def k(self) -> IntArray:
        return self.source.k[self.chosen]

    @property
    def p(self) -> int:
        return self.source.p

    @property
    def smallest(self) -> FloatArray:
        return self.source.smallest[self.chosen]

    def hedges(self) -> FloatArray:
        with np.errstate(all="ignore"):  # those not chosen may have none
            return self.source.hedges()[self.chosen]

    @property
    def largest(self) -> float:
        return self.source.largest

    def at(self, tau2: FloatArray, rows: IntArray, depth: int) -> Traces:
        return self.source.at(tau2, self.chosen[rows], depth)

    def deviances(self, grid: FloatArray, reml: bool) -> FloatArray:
        return deviances_one_by_one(self, grid, reml)


def _sure(source: OneLess, tau2: float) -> BoolArray:
    """(k,) whether the sums without an effect keep their digits, at equal weights, at 1 / v and at 1 / (v + tau^2)."""
    sure = np.ones(len(source.v), dtype=bool)
    for w in (np.ones_like(source.v), 1 / source.v, 1 / (source.v + tau2)):
        left = source.plain(w)
        values = np.asarray(np.linalg.eigvalsh(left.A))
        sure &= values[:, 0] > ILL * values[:, -1]
        sure &= values[:, 0] > REMAINS * np.linalg.eigvalsh(source.Q.T @ (w[:, None] * source.Q))[0]
        sure &= left.total > REMAINS * w.sum()
        whole = float(w @ source.r**2)
        with np.errstate(all="ignore"):
            solved = np.linalg.solve(np.where(sure[:, None, None], left.A, np.eye(source.p)), left.b[:, :, None])
            rss = left.c - np.einsum("mi,mi->m", left.b, solved[:, :, 0])
        sure &= rss > REMAINS * whole
    return sure


def _assembled(
    source: OneLess, tau2: FloatArray, back: FloatArray, reference: FloatArray, test: Test
) -> tuple[Fits, FloatArray]:
    """Coefficients and the rest at the tau^2 of each deletion; only the sure rows mean anything."""
    k, p = source.Q.shape
    beta, cov, every, rss = np.empty((k, p)), np.empty((k, p, p)), np.empty((k, p, p)), np.empty(k)
    for start in range(0, k, ROWS):
        rows = np.arange(start, min(start + ROWS, k))
        (one, _, _), _ = source.parts(tau2[rows], rows)
        w = 1 / (source.v[rows] + tau2[rows])
        q = source.Q[rows]
        inverse = _inverse(one.A)
        g = np.einsum("mij,mj->mi", inverse, one.b)
        beta[rows] = (reference + g) @ back.T
        cov[rows] = back @ inverse @ back.T
        every[rows] = back @ _inverse(one.A + (w[:, None] * q)[:, :, None] * q[:, None, :]) @ back.T
        rss[rows] = one.c - np.einsum("mi,mi->m", one.b, g)
    plain, square = source.plain(1 / source.v), source.plain(1 / source.v**2)
    inverse = _inverse(plain.A)
    QE = plain.c - np.einsum("mi,mij,mj->m", plain.b, inverse, plain.b)
    room = k - 1 - p
    typical = room / (plain.total - np.einsum("mij,mji->m", inverse, square.A))
    scale = np.ones(k)
    if test in ("knha", "adhoc"):
        scale = np.maximum(rss / room, 1.0) if test == "adhoc" else rss / room
    df = np.full(k, np.inf if test == "z" else float(room))
    return Fits(source.k, beta, scale[:, None, None] * cov, df, tau2, scale, QE, typical), every


def _inverse(A: FloatArray) -> FloatArray:
    """Inverse of each matrix; of the identity where there is none, for rows that are not relied on."""
    singular = ~(np.abs(np.linalg.det(A)) > 0)
    return np.asarray(np.linalg.inv(np.where(singular[:, None, None], np.eye(A.shape[1]), A)), dtype=np.float64)
