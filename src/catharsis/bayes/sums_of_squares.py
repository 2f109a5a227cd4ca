"""[X y]'M^-1[X y] and log|M| of nested random intercepts for many variances at once, by sums within and between levels.

A level of c groups is a weighted analysis of variance. When a unit u has weight q_u and mean z_u (of the columns of
[X y]), a group has weight q = sum q_u and mean z = sum q_u z_u / q; the part within, sum q_u (z_u - z)(z_u - z)', is
what the random intercept of the group cannot touch, and as a unit of the next level the group keeps its mean with the
weight q / (1 + c q), c the intercept's variance; log|M| grows by log(1 + c q). Nothing is subtracted that could cancel.
What happens at a level depends on the variances up to it alone, so that on a product grid the fine levels, which are
the long ones, are summed once for every value of their own variance.

Columns are first made orthonormal under the sampling variances, so that normal equations lose no digits to a moderator
far from its origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.nested import Nested, Shared, nest
from catharsis.numerics import FloatArray, IntArray

CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)
DEPENDENT = 1e-10  # share of a column's length, beyond the others, below which it repeats them


@dataclass(frozen=True, slots=True, eq=False)
class Tier:
    """Groups of units.

    Attributes
    ----------
    starts, sizes : (m,) arrays
        First unit and number of units of each group.
    component : (m,) array or None
        Which variance the groups' intercepts have; None for the shared part of sampling errors.
    """

    starts: IntArray
    sizes: IntArray
    component: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A covariance of nested levels, the effects in an order in which every group is one run.

    Attributes
    ----------
    order : (k,) array
        Effects.
    noise : (k,) array
        Sampling variance of each effect alone, in that order.
    single : tuple of (k,) arrays
        Variances that each effect has on its own: which one, effect by effect.
    root, sign : (k,) arrays or None
        The shared sampling errors, sign root root', within the groups of the first tier.
    tiers : tuple of Tier
        The finest first.
    """

    order: IntArray
    noise: FloatArray
    single: tuple[IntArray, ...]
    root: FloatArray | None
    sign: FloatArray | None
    tiers: tuple[Tier, ...]


def tree(blocks: Blocks) -> Tree | None:
    """The nested levels of a model; None when its covariance is of another kind."""
    if isinstance(blocks.ties, Nested):
        count = len(blocks.factors)
        return _grown(blocks.ties, [np.full(blocks.k, s) for s in range(count)])
    codes, components = [], []
    for s in range(blocks.intercepts):
        if any(not np.isin(stack.K[s], (0.0, 1.0)).all() for stack in blocks.ties):
            return None
        codes.append(_first([stack.K[s] for stack in blocks.ties], blocks.ties, blocks.k))
        components.append(np.full(blocks.k, s))
    for t, structure in enumerate(blocks.structures):
        if structure.kind not in ("DIAG", "ID"):
            return None
        same, which = [], np.empty(blocks.k, dtype=np.int64)
        for stack in blocks.ties:
            pattern = stack.patterns[t]
            same.append(pattern.together * (pattern.inner[:, :, None] == pattern.inner[:, None, :]))
            which[stack.rows] = pattern.first + (pattern.inner if structure.kind == "DIAG" else 0)
        codes.append(_first(same, blocks.ties, blocks.k))
        components.append(which)
    n = [stack.V.shape[1] for stack in blocks.ties]
    if any(np.any(stack.V * (1 - np.eye(size))) for stack, size in zip(blocks.ties, n, strict=True)):
        return None
    nested = nest(blocks.variances, blocks.variances, codes)
    return None if nested is None else _grown(nested, components)


def _first(same: Sequence[FloatArray], stacks: Sequence[Stack], k: int) -> IntArray:
    """(k,) level of each effect, numbered from 0, from matrices (b, n, n) with a one where two share it."""
    first = np.empty(k, dtype=np.int64)
    for one, stack in zip(same, stacks, strict=True):
        first[stack.rows] = np.take_along_axis(stack.rows, (one > 0).argmax(axis=2), axis=1)
    return np.asarray(np.unique(first, return_inverse=True)[1].ravel(), dtype=np.int64)


def _grown(nested: Nested, components: Sequence[IntArray]) -> Tree | None:
    order, shared = nested.order, nested.shared
    levels = list(nested.levels)
    tied = [level for level in levels if level.factor < 0]
    if tied:
        coarse = tied[0]
        finer = [level for level in levels if level.factor >= 0 and len(level.starts) > len(coarse.starts)]
        if finer:
            return None  # errors shared across the levels of a random factor
        levels = [coarse, *(level for level in levels if level.factor >= 0)]
    tiers: list[Tier] = []
    units = np.arange(len(order))  # where each unit starts
    for level in levels:
        starts = np.searchsorted(units, level.starts)
        component = None if level.factor < 0 else components[level.factor][order][level.starts]
        tiers.append(Tier(starts, np.diff(starts, append=len(units)), component))
        units = level.starts
    single = tuple(components[s][order] for s in nested.single)
    if isinstance(shared, Shared) and tied:
        return Tree(order, nested.noise[order], single, shared.root[order], shared.sign[order], tuple(tiers))
    return Tree(order, nested.noise[order], single, None, None, tuple(tiers))


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Weights and means of units at n values of the variances.

    Attributes
    ----------
    weight : (n, m) array
    mean : (n, q, m) array
    within : (n, q, q) array
        Sums of squares and products so far.
    log_det : (n,) array
    """

    weight: FloatArray
    mean: FloatArray
    within: FloatArray
    log_det: FloatArray

    def at(self, index: IntArray | slice) -> Units:
        """Some of the values."""
        return Units(self.weight[index], self.mean[index], self.within[index], self.log_det[index])


def _joined(parts: Sequence[Units]) -> Units:
    return Units(*(np.concatenate([getattr(part, name) for part in parts]) for name in Units.__slots__))


def orthonormal(blocks: Blocks) -> tuple[FloatArray, FloatArray]:
    """T (p, p) and b0 (p,): X T^-1 has orthonormal columns under the sampling variances, y - X b0 is small.

    When columns repeat each other T only scales them.
    """
    sei = np.sqrt(blocks.variances)
    X = blocks.X / sei[:, None]
    b0 = np.linalg.lstsq(X, blocks.y / sei, rcond=None)[0] if blocks.p else np.empty(0)
    T = np.asarray(np.linalg.qr(X, mode="r"))
    size = np.linalg.norm(X, axis=0)
    if len(T) < blocks.p or np.any(np.abs(np.diagonal(T)) <= DEPENDENT * size):
        T = np.diag(np.where(size > 0, size, 1.0))
    return T, np.asarray(b0)


@dataclass(frozen=True, eq=False)
class SumsOfSquares:
    """A nested model, its columns made orthonormal.

    Attributes
    ----------
    blocks : Blocks
        The model.
    tree : Tree
        Its levels.
    """

    blocks: Blocks
    tree: Tree

    @cached_property
    def turned(self) -> tuple[FloatArray, FloatArray]:
        """T (p, p) and b0 (p,): the columns are X T^-1, and y - X b0."""
        return orthonormal(self.blocks)

    @cached_property
    def columns(self) -> FloatArray:
        """(p + 1, k) columns in the order of the tree."""
        T, b0 = self.turned
        X = np.linalg.solve(T.T, self.blocks.X.T)
        return np.ascontiguousarray(np.vstack([X, self.blocks.y - self.blocks.X @ b0])[:, self.tree.order])

    def __call__(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(g, p + 1, p + 1) products of the columns under M^-1 and (g,) log|M| at variances (g, s)."""
        tiers = self.tree.tiers
        used = {int(c) for part in self.tree.single for c in np.unique(part)}
        units, before = None, np.zeros(len(theta), dtype=np.int64)
        for done, following in zip((None, *tiers), (*tiers, None), strict=True):
            if done is not None and done.component is not None:
                used |= set(np.unique(done.component).tolist())
            rows, place = _distinct(theta, sorted(used))
            m = len(self.tree.order) if units is None else units.weight.shape[1]
            size = max(1, CHUNK // (m * (len(self.columns) + 2)))
            parts = []
            for i in range(0, len(rows), size):
                chosen = rows[i : i + size]
                if units is None:
                    now = self._effects(theta[chosen])
                else:
                    assert done is not None
                    now = _shrunken(units.at(before[chosen]), done, theta[chosen])
                if following is None:
                    parts.append(_closed(now))
                else:
                    parts.append(_gathered(now, following) if following.component is not None else
                                 self._shared(now, following))  # fmt: skip
            units, before = _joined(parts), place
        assert units is not None
        return units.within[before], units.log_det[before]

    def _effects(self, theta: FloatArray) -> Units:
        """Single effects as units; `theta` (n, s)."""
        noise = self.tree.noise + sum(theta[:, part] for part in self.tree.single) + np.zeros((len(theta), 1))
        q, n = len(self.columns), len(theta)
        mean = np.broadcast_to(self.columns, (n, *self.columns.shape))
        return Units(1 / noise, mean, np.zeros((n, q, q)), np.log(noise).sum(axis=1))

    def _shared(self, units: Units, tier: Tier) -> Units:
        """Effects that share sampling errors gathered: generalised means, and what is within under their covariance."""
        assert self.tree.root is not None
        assert self.tree.sign is not None
        root, sign = self.tree.root, self.tree.sign[tier.starts]
        w = units.weight
        along = _sums(w * root**2, tier)
        grown = 1 + sign * along
        b = sign / grown
        ones = _sums(w * root, tier)
        weight = _sums(w, tier) - b * ones**2
        w = w[:, None]
        sums = _sums(w * units.mean, tier) - (b * ones)[:, None] * _sums(w * root * units.mean, tier)
        mean = sums / weight[:, None]
        away = units.mean - np.repeat(mean, tier.sizes, axis=-1)
        off = _sums(w * root * away, tier)
        within = units.within + _products(w * away, away) - _products(b[:, None] * off, off)
        return Units(weight, mean, within, units.log_det + np.log(grown).sum(axis=1))


def _distinct(theta: FloatArray, used: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Rows of theta that differ in some variances, and which of them each row equals."""
    if not used:
        return np.zeros(1, dtype=np.int64), np.zeros(len(theta), dtype=np.int64)
    values, axis = (theta[:, used[0]], None) if len(used) == 1 else (theta[:, used], 0)
    _, first, place = np.unique(values, axis=axis, return_index=True, return_inverse=True)
    return np.asarray(first, dtype=np.int64), np.asarray(np.ravel(place), dtype=np.int64)


def _sums(values: FloatArray, tier: Tier) -> FloatArray:
    return np.asarray(np.add.reduceat(values, tier.starts, axis=-1))


def _products(a: FloatArray, b: FloatArray) -> FloatArray:
    """(n, q, q) sums of products over units of (n, q, m) arrays."""
    return np.asarray(a @ np.swapaxes(b, 1, 2))


def _gathered(units: Units, tier: Tier) -> Units:
    """Units gathered into the groups of a tier."""
    weight = _sums(units.weight, tier)
    w = units.weight[:, None]
    mean = _sums(w * units.mean, tier) / weight[:, None]
    away = units.mean - np.repeat(mean, tier.sizes, axis=-1)
    return Units(weight, mean, units.within + _products(w * away, away), units.log_det)


def _shrunken(units: Units, tier: Tier, theta: FloatArray) -> Units:
    """Groups with their random intercept, as units of the next level."""
    if tier.component is None:
        return units
    grown = 1 + theta[:, tier.component] * units.weight
    return Units(units.weight / grown, units.mean, units.within, units.log_det + np.log(grown).sum(axis=1))


def _closed(units: Units) -> Units:
    """Everything that is left summed up."""
    whole = units.within + _products(units.weight[:, None] * units.mean, units.mean)
    none = np.empty((len(whole), 0))
    return Units(none, np.empty((len(whole), whole.shape[1], 0)), whole, units.log_det)
