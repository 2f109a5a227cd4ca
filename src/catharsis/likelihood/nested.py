"""Nested random intercepts in closed form: M = D + sum of rank-one terms on nested groups, at linear cost.

D is diagonal. On every group g of a grouping, M gains c_g u_g u_g': a random intercept with u = 1 and c its variance,
or the constant correlation of sampling errors within a cluster (`sampling_covariance`), v_i v_j -> rho sqrt(v_i v_j),
with u = sqrt(|rho| v) and c = 1 or -1. The groupings are nested, so they can be taken in from the finest to the
coarsest. When B whitens what has been taken in so far and w_g = B u_g, q_g = w_g'w_g, then

    (I - a_g w_g w_g') B,   a_g = c_g / (r_g (1 + r_g)),   r_g = sqrt(1 + c_g q_g),

whitens M with g taken in, and log|M| grows by log(1 + c_g q_g). W = M^-1 loses b_g f_g f_g' with f_g = B'w_g and
b_g = c_g / (1 + c_g q_g), from which all traces follow. Effects are kept in an order in which every group is one run,
so that a sum over groups is `np.add.reduceat`; nothing is larger than (k, p). Groups of one effect belong to D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, IntArray

ROUNDING = 64 * float(np.finfo(float).eps)  # a share of a quadratic form that is rounding
INDEFINITE = "the covariance of the effects is not positive definite: check V (a correlation above 1, a zero?)"


@dataclass(frozen=True, slots=True)
class Shared:
    """Sampling errors with a constant correlation within clusters.

    Attributes
    ----------
    cluster : (k,) array
        Codes.
    root : (k,) array
        sqrt(|rho| v); 0 for effects on their own.
    sign : (k,) array
        1 or -1, that of rho.
    """

    cluster: IntArray
    root: FloatArray
    sign: FloatArray


@dataclass(frozen=True, slots=True)
class Level:
    """One grouping, the effects in their nested order.

    Attributes
    ----------
    starts, sizes : (m,) arrays
        First effect and number of effects of each group.
    factor : int
        The random factor, or -1 for the correlated sampling errors.
    """

    starts: IntArray
    sizes: IntArray
    factor: int

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums over groups of values (..., k), (..., m)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=-1))

    def spread(self, values: FloatArray) -> FloatArray:
        """The value of its group for each effect, (..., k)."""
        return np.repeat(values, self.sizes, axis=-1)

    def group(self, starts: IntArray) -> IntArray:
        """The groups that hold the effects at some places."""
        return np.asarray(np.searchsorted(self.starts, starts, side="right") - 1)


@dataclass(frozen=True, slots=True)
class Nested:
    """The covariance of a model with nested random intercepts; made by `nest`.

    Attributes
    ----------
    variances : (k,) array
        Diagonal of V.
    noise : (k,) array
        What of it belongs to each effect alone.
    factors : tuple of (k,) arrays
        Codes of the random factors.
    shared : Shared or None
        The rest of V.
    order : (k,) array
        Effects, group by group.
    levels : tuple of Level
        The groupings, the finest first; without those that have one effect in each group.
    single : tuple of int
        Factors with one effect in each group.
    in_order : bool
        Whether the data are in that order.
    """

    variances: FloatArray
    noise: FloatArray
    factors: tuple[IntArray, ...]
    shared: Shared | None
    order: IntArray
    levels: tuple[Level, ...]
    single: tuple[int, ...]
    in_order: bool

    def sorted(self, columns: FloatArray) -> FloatArray:
        """Columns (k, q) as rows (q, k) in the nested order."""
        return np.ascontiguousarray(columns.T if self.in_order else np.take(columns.T, self.order, axis=1))

    def unsorted(self, rows: FloatArray) -> FloatArray:
        """Rows (q, k) in the nested order as columns (k, q)."""
        if self.in_order:
            return rows.T
        found = np.empty((rows.shape[1], rows.shape[0]))
        found[self.order] = rows.T
        return found

    def blocks(self) -> list[IntArray]:
        """Effects that are tied together, (b, n) for every size n; blocks by their first effect."""
        if not self.levels:
            return [np.arange(len(self.order))[:, None]]
        top, found = self.levels[-1], []
        for n in np.unique(top.sizes):
            rows = np.sort(self.order[top.starts[top.sizes == n][:, None] + np.arange(n)], axis=1)
            found.append(rows[np.argsort(rows[:, 0])])
        return found

    def V(self, rows: IntArray) -> FloatArray:
        """Sampling covariance among effects `rows` (b, n), (b, n, n)."""
        b, n = rows.shape
        found = np.zeros((b, n, n))
        if self.shared is not None:
            root, sign = self.shared.root[rows], self.shared.sign[rows]
            found = sign[:, :, None] * root[:, :, None] * root[:, None, :] * together(self.shared.cluster[rows])
        found[:, np.arange(n), np.arange(n)] = self.variances[rows]
        return found

    def covariance(self, rows: IntArray, theta: FloatArray) -> FloatArray:
        """M among effects `rows` (b, n), (b, n, n)."""
        found = self.V(rows)
        for code, variance in zip(self.factors, theta, strict=True):
            found += variance * together(code[rows])
        return found

    def scaled(self, unit: float) -> Nested:
        """V in other units, that of its variances `unit`."""
        shared = None if self.shared is None else replace(self.shared, root=self.shared.root / np.sqrt(unit))
        return replace(self, variances=self.variances / unit, noise=self.noise / unit, shared=shared)

    def part(self, keep: NDArray[np.bool_]) -> Nested:
        """The same for the effects that `keep` (k,) marks."""
        shared = self.shared and Shared(self.shared.cluster[keep], self.shared.root[keep], self.shared.sign[keep])
        found = nest(self.variances[keep], self.noise[keep], [code[keep] for code in self.factors], shared)
        assert found is not None  # groups stay nested when effects leave
        return found


def together(code: IntArray) -> FloatArray:
    """(b, n, n): one where two effects have the same code (b, n)."""
    return np.asarray((code[:, :, None] == code[:, None, :]).astype(float))


def nest(
    variances: FloatArray, noise: FloatArray, factors: Sequence[IntArray], shared: Shared | None = None
) -> Nested | None:
    """Arrange groupings from the finest to the coarsest; None when they are not nested, or an effect has no noise.

    Parameters
    ----------
    variances, noise : (k,) arrays
        Diagonal of V, and the part of it that each effect has alone.
    factors : sequence of (k,) arrays
        Codes of the random factors.
    shared : Shared, optional
        Correlated sampling errors.

    Examples
    --------
    >>> study, effect = np.array([0, 0, 1]), np.arange(3)
    >>> found = nest(np.ones(3), np.ones(3), [study, effect])
    >>> [level.sizes.tolist() for level in found.levels], found.single
    ([[2, 1]], (1,))
    >>> nest(np.ones(3), np.ones(3), [study, np.array([0, 1, 0])]) is None
    True
    """
    k = len(variances)
    if not np.all(noise > 0):
        return None
    codes = [*factors] if shared is None else [*factors, shared.cluster]
    counts = [int(np.count_nonzero(np.bincount(code))) for code in codes]
    single = tuple(s for s in range(len(factors)) if counts[s] == k)
    chain = sorted((s for s in range(len(codes)) if s not in single), key=lambda s: -counts[s])
    for finer, coarser in pairwise(chain):
        outer = np.empty(int(codes[finer].max()) + 1, dtype=np.int64)
        outer[codes[finer]] = codes[coarser]
        if not np.array_equal(outer[codes[finer]], codes[coarser]):
            return None
    order = np.lexsort([codes[s] for s in chain]) if chain else np.arange(k)
    levels = []
    for s in chain:
        code = codes[s][order]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(code)) + 1])
        levels.append(Level(starts, np.diff(starts, append=k), s if s < len(factors) else -1))
    in_order = np.array_equal(order, np.arange(k))
    return Nested(variances, noise, tuple(factors), shared, order, tuple(levels), single, in_order)


@dataclass(frozen=True, slots=True)
class Whitener:
    """M^-1/2 and W = M^-1 at one theta. All arrays (..., k) are in the nested order.

    Attributes
    ----------
    nested : Nested
        The model's covariance.
    log_det : float
        log|M|.
    root : (k,) array
        D^-1/2.
    w : tuple of (k,) arrays
        w_g of each level, end to end.
    c, q : tuples of (m,) arrays
        c_g and q_g of each level.
    """

    nested: Nested
    log_det: float
    root: FloatArray
    w: tuple[FloatArray, ...]
    c: tuple[FloatArray, ...]
    q: tuple[FloatArray, ...]

    def whiten(self, rows: FloatArray) -> FloatArray:
        """M^-1/2 z for rows z of (n, k)."""
        found = rows * self.root
        for number in range(len(self.w)):
            self._shrink(found, number)
        return found

    def unwhiten(self, rows: FloatArray, levels: int | None = None) -> FloatArray:
        """M^-T/2 z for rows z of (n, k), so that `unwhiten` of `whiten` is W z; of the first levels alone if told."""
        found = rows.copy()
        for number in reversed(range(len(self.w) if levels is None else levels)):
            self._shrink(found, number)
        found *= self.root
        return found

    def _shrink(self, rows: FloatArray, number: int) -> None:
        """Rows z become (I - a w w') z."""
        c, q, w, level = self.c[number], self.q[number], self.w[number], self.nested.levels[number]
        if np.any(c != 0):
            r = np.sqrt(1 + c * q)
            a = c / (r * (1 + r))
            for row in rows:  # one at a time stays in the cache
                row -= level.spread(a * level.sums(row * w)) * w

    def weigh(self, columns: FloatArray) -> FloatArray:
        """W Z for columns Z (k, q) in the order of the data."""
        return self.nested.unsorted(self.unwhiten(self.whiten(self.nested.sorted(columns))))

    # -- sums over the levels of a random factor --------------------------------------------------------------
    def _place(self, factor: int | None) -> int:
        """Where a factor stands among the levels; -1 for single effects (None)."""
        return next((n for n, level in enumerate(self.nested.levels) if level.factor == factor), -1)

    def sums(self, factor: int, rows: FloatArray) -> FloatArray:
        """Z' rows for the indicators Z of a factor's levels, (n, m)."""
        place = self._place(factor)
        return rows if place < 0 else self.nested.levels[place].sums(rows)

    def spread(self, factor: int, values: FloatArray) -> FloatArray:
        """Z values, (n, k)."""
        place = self._place(factor)
        return values if place < 0 else self.nested.levels[place].spread(values)

    def own(self, factor: int | None = None) -> FloatArray:
        """Diagonal of Z'WZ for a factor, (m,), or of W, (k,)."""
        return self._own(self._place(factor), self._downdates())

    def traces(self) -> tuple[FloatArray, FloatArray]:
        """tr(W K_s) for each random factor, K = Z Z', and tr(W K_s W K_t) for each pair."""
        count = len(self.nested.factors)
        places, f = [self._place(s) for s in range(count)], self._downdates()
        single, double = np.zeros(count), np.zeros((count, count))
        for s in range(count):
            single[s] = self._own(places[s], f).sum()
            for t in range(count):
                if places[s] < places[t] or (places[s] == places[t] and s <= t):
                    double[s, t] = double[t, s] = self._crossed(places[s], places[t], f)
        return single, double

    def _downdates(self) -> list[FloatArray]:
        """f_g of each level, end to end: the part of W taken away with its level is b_g f_g f_g'."""
        return [self.unwhiten(w[None, :], number)[0] for number, w in enumerate(self.w)]

    def _starts(self, place: int) -> IntArray:
        return np.arange(len(self.root)) if place < 0 else self.nested.levels[place].starts

    def _above(self, place: int, number: int, f: FloatArray) -> tuple[FloatArray, IntArray]:
        """1_g'f for each group g at `place`, and its group at a coarser level."""
        sums = f if place < 0 else self.nested.levels[place].sums(f)
        level = self.nested.levels[number]
        parent = np.arange(len(level.starts))
        return sums, np.repeat(parent, level.sizes) if place < 0 else level.group(self._starts(place))

    def _own(self, place: int, f: Sequence[FloatArray]) -> FloatArray:
        """1_g'W 1_g for each group at `place`.

        Only the part along f shrinks when a level is taken in. What is left over is kept apart, since its difference
        to a large whole would be lost; a left-over of the size of rounding is none (a group that is its parent).
        """
        whole = self.root**2 if place < 0 else self.q[place] / (1 + self.c[place] * self.q[place])
        for number in range(place + 1, len(self.w)):
            sums, parent = self._above(place, number, f[number])
            c, q = self.c[number], self.q[number]
            along = np.divide(sums**2, q[parent], out=np.zeros_like(sums), where=q[parent] > 0)
            rest = whole - along
            whole = np.where(rest > ROUNDING * whole, rest, 0.0) + along / (1 + c * q)[parent]
        return whole

    def _crossed(self, s: int, t: int, f: Sequence[FloatArray]) -> float:
        """Sum of (1_g'W 1_h)^2 over the groups g at place `s` and h at `t`, s not coarser than t."""
        if s == t:
            first = self.root**2 if s < 0 else self.q[s] / (1 + self.c[s] * self.q[s])
        else:
            sums, parent = self._above(s, t, f[t])
            first = sums / (1 + self.c[t] * self.q[t])[parent]
        total = float(first @ first)
        ends = np.arange(len(first)) if s == t else parent
        above = range(t + 1, len(self.w))
        b = {n: self.c[n] / (1 + self.c[n] * self.q[n]) for n in above}
        of_s = {n: self._above(s, n, f[n]) for n in above}
        of_t = of_s if s == t else {n: self._above(t, n, f[n]) for n in above}
        for n in above:
            total -= 2 * float(np.sum(first * (b[n][of_s[n][1]] * of_s[n][0] * of_t[n][0][ends])))
            level = self.nested.levels[n]
            for m in range(n, len(self.w)):
                inside = self._within(s, level, of_s[n][0] * of_s[m][0])
                other = inside if s == t else self._within(t, level, of_t[n][0] * of_t[m][0])
                outer = b[m][self.nested.levels[m].group(level.starts)]
                total += (1 if n == m else 2) * float(np.sum(b[n] * outer * inside * other))
        return total

    def _within(self, place: int, level: Level, values: FloatArray) -> FloatArray:
        """Sums over the groups at `place` that a coarser level's groups hold."""
        return np.asarray(np.add.reduceat(values, np.searchsorted(self._starts(place), level.starts)))


def whitener(nested: Nested, theta: FloatArray) -> Whitener:
    """The closed form at variances `theta` (s,).

    Raises
    ------
    ModelError
        When M is not positive definite.
    """
    order, shared = nested.order, nested.shared
    D = nested.noise[order] + float(sum(theta[s] for s in nested.single))
    if not np.all(D > 0):
        raise ModelError(INDEFINITE)
    root = 1 / np.sqrt(D)
    log_det = float(np.log(D).sum())
    now = {True: root.copy()}  # what has become of u: of ones (a random factor's), of the roots of V's clusters
    if shared is not None:
        now[False] = root * shared.root[order]
    found: tuple[list[FloatArray], ...] = ([], [], [])
    for level in nested.levels:
        plain = level.factor >= 0
        if plain:
            c = np.full(len(level.starts), float(theta[level.factor]))
        else:
            assert shared is not None
            c = shared.sign[order][level.starts]
        w = now[plain]
        q = level.sums(w**2)
        grown = 1 + c * q
        if not np.all(grown > 0):
            raise ModelError(INDEFINITE)
        log_det += float(np.log1p(c * q).sum())
        r = np.sqrt(grown)
        for kind, u in now.items():
            if kind == plain:
                now[kind] = w / level.spread(r)  # exact, where I - a w w' would cancel
            else:
                now[kind] = u - level.spread(c / (r * (1 + r)) * level.sums(u * w)) * w
        for part, values in zip(found, (w, c, q), strict=True):
            part.append(values)
    return Whitener(nested, log_det, root, *(tuple(part) for part in found))
