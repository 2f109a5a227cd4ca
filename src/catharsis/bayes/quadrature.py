"""Adaptive integration over a few dimensions by boxes of Gauss-Legendre nodes.

A density over d coordinates (standard deviations, a mean) is integrated box by box. In a box the nodes carry a
polynomial in each direction; the size of its last coefficients says in which direction the box is too coarse. It is
halved there, and settled when the halves give what the whole gave. What the rule integrates is also what marginals ask:
the mass of a box below some point of one axis is the integral of its polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.polynomial import legendre

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, IntArray, root

TOLERANCE = {1: 1e-10, 2: 1e-9, 3: 1e-7, 4: 1e-6}  # share of the whole by which halving may change all boxes
NEGLIGIBLE = 1e-16  # share of the whole below which a box is dropped
MOST_BOXES = 40_000  # beyond, the density is not what this rule is for
NODES = {1: 20, 2: 12, 3: 10, 4: 8}  # per direction of a box
LAST = 2  # coefficients that measure how coarse a direction is
EPS = float(np.finfo(float).eps)


@cache
def rule(n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Nodes, weights, and the matrix from values at the nodes to Legendre coefficients (n, n)."""
    z, w = legendre.leggauss(n)
    to_series = (legendre.legvander(z, n - 1) * w[:, None]).T * (2 * np.arange(n)[:, None] + 1) / 2
    return z, w, to_series


@dataclass(frozen=True, slots=True)
class Boxes:
    """A settled rule.

    Attributes
    ----------
    low, high : (q, d) arrays
        Boxes.
    log_mass : (q, n, ..., n) array
        Log of weight times density at the nodes, relative to `peak`.
    peak : float
        Highest log mass met.
    error : float
        Summed changes of mass, first and second moments at the last halving, relative to each, and what the directions
        that were not halved may hide.
    """

    low: FloatArray
    high: FloatArray
    log_mass: FloatArray
    peak: float
    error: float

    @property
    def d(self) -> int:
        """Dimensions."""
        return int(self.low.shape[1])

    @property
    def total(self) -> float:
        """Log of the integral."""
        return self.peak + math.log(float(np.exp(self.log_mass).sum()))

    @property
    def weights(self) -> FloatArray:
        """(g,) probabilities of the nodes, box by box."""
        mass = np.exp(self.log_mass).ravel()
        return np.asarray(mass / mass.sum())

    @property
    def points(self) -> FloatArray:
        """(g, d) nodes."""
        return grid(self.low, self.high).reshape(-1, self.d)

    def axis(self, j: int) -> Axis:
        """The marginal along one coordinate."""
        mass = np.exp(self.log_mass)
        others = tuple(i for i in range(1, self.d + 1) if i != j + 1)
        along = mass.sum(axis=others) / mass.sum()
        edges = np.stack([self.low[:, j], self.high[:, j]], axis=1)
        unique, index = np.unique(edges, axis=0, return_inverse=True)
        merged = np.zeros((len(unique), along.shape[1]))
        np.add.at(merged, np.ravel(index), along)
        return Axis(unique[:, 0], unique[:, 1], merged)


@dataclass(frozen=True, eq=False)
class Axis:
    """A marginal: panels, which may overlap, with the masses at their nodes.

    Attributes
    ----------
    left, right : (q,) arrays
        Panels.
    mass : (q, n) array
        Probabilities of the nodes; they sum to 1 over all panels.
    """

    left: FloatArray
    right: FloatArray
    mass: FloatArray

    @cached_property
    def _whole(self) -> FloatArray:
        return np.asarray(self.mass.sum(axis=1))

    @cached_property
    def _series(self) -> FloatArray:
        """(n, q) Legendre series of each panel's density on [-1, 1]."""
        _, w, to_series = rule(self.mass.shape[1])
        return np.asarray((self.mass / w @ to_series.T).T)

    @cached_property
    def _integrals(self) -> FloatArray:
        """(n + 1, q) series of the mass below a point of each panel."""
        return np.asarray(legendre.legint(self._series, lbnd=-1, axis=0))

    @cached_property
    def _edges(self) -> tuple[FloatArray, FloatArray]:
        """Ends of panels, and what lies below them."""
        edges = np.unique(np.concatenate([self.left, self.right]))
        return edges, np.array([self.below(float(edge)) for edge in edges])

    def below(self, x: float) -> float:
        """P(coordinate < x)."""
        return float(np.sum(self._parts(x)))

    def above(self, x: float) -> float:
        """P(coordinate > x), summed from above."""
        return max(float(np.sum(self._whole - self._parts(x))), 0.0)

    def _parts(self, x: float) -> FloatArray:
        """Mass of each panel below x."""
        z = np.clip(2 * (x - self.left) / (self.right - self.left) - 1, -1.0, 1.0)
        found = np.where(z >= 1, self._whole, 0.0)
        cut = np.flatnonzero((z > -1) & (z < 1))
        if len(cut):
            inside = legendre.legval(z[cut], self._integrals[:, cut], tensor=False)
            found[cut] = np.clip(inside, 0.0, self._whole[cut])
        return found

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x (...), from the polynomials."""
        flat = np.ravel(np.asarray(x, dtype=float))
        found = np.zeros(len(flat))
        size = max(1, 1_000_000 // len(self.left))
        for i in range(0, len(flat), size):
            at = flat[i : i + size]
            where, panel = np.nonzero((at[:, None] >= self.left) & (at[:, None] < self.right))
            left, right = self.left[panel], self.right[panel]
            height = legendre.legval(2 * (at[where] - left) / (right - left) - 1, self._series[:, panel], tensor=False)
            found[i : i + size] = np.bincount(where, height * 2 / (right - left), len(at))
        return np.asarray(np.maximum(found, 0.0).reshape(np.shape(x)))

    def quantile(self, probability: float) -> float:
        """The value that the coordinate stays below with this probability."""
        edges, below = self._edges
        i = int(np.clip(np.searchsorted(below, probability), 1, len(edges) - 1))
        low, high = float(edges[i - 1]), float(edges[i])
        if not below[i - 1] < probability < below[i]:
            return low if probability <= below[i - 1] else high
        return root(lambda x: self.below(x) - probability, low, high)


def grid(low: FloatArray, high: FloatArray) -> FloatArray:
    """Nodes of boxes (q, d), (q, n, ..., n, d)."""
    d = low.shape[1]
    z = rule(NODES[d])[0]
    mesh = np.stack(np.meshgrid(*[z] * d, indexing="ij"), axis=-1)
    shape = (len(low), *(1,) * d, d)
    return np.asarray(low.reshape(shape) + (high - low).reshape(shape) / 2 * (1 + mesh))


def _log_weights(low: FloatArray, high: FloatArray) -> FloatArray:
    """(q, n, ..., n) log weights."""
    d = low.shape[1]
    w = np.log(rule(NODES[d])[1])
    mesh = sum(np.meshgrid(*[w] * d, indexing="ij"))
    volume = np.log((high - low) / 2).sum(axis=1)
    return np.asarray(volume.reshape(-1, *(1,) * d) + mesh)


def integrate(
    log_density: Callable[[FloatArray], FloatArray], edges: list[FloatArray], scout: int = 0, faded: float = 60.0
) -> Boxes:
    """Integrate exp(log_density) over the product of first panels.

    Parameters
    ----------
    log_density : callable
        Points (g, d) to log densities (g,); -inf where there is nothing.
    edges : list of d arrays
        First panels of each coordinate.
    scout : int
        Points in each direction, ends included, at which first boxes are judged before any is integrated: those that
        lie more than `faded` log units below the highest point are left out. 0 keeps all.
    faded : float
        See `scout`.

    Returns
    -------
    Boxes

    Raises
    ------
    ModelError
        When the rule does not settle.

    Examples
    --------
    >>> found = integrate(lambda x: -0.5 * (x**2).sum(axis=1), [np.linspace(-9, 9, 4), np.linspace(-9, 9, 4)])
    >>> bool(abs(found.total - np.log(2 * np.pi)) < 1e-10), round(found.axis(0).quantile(0.975), 6)
    (True, 1.959964)
    """
    d = len(edges)
    corners = np.stack(np.meshgrid(*[edge[:-1] for edge in edges], indexing="ij"), axis=-1).reshape(-1, d)
    tops = np.stack(np.meshgrid(*[edge[1:] for edge in edges], indexing="ij"), axis=-1).reshape(-1, d)

    def heights(low: FloatArray, high: FloatArray) -> FloatArray:
        points = grid(low, high)
        return np.asarray(log_density(points.reshape(-1, d)).reshape(points.shape[:-1]) + _log_weights(low, high))

    if scout:
        corners, tops = _promising(log_density, corners, tops, scout, faded)
    low, high, height = corners, tops, heights(corners, tops)
    done: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    settled, change = np.zeros(1 + 2 * d), np.zeros(1 + 2 * d)  # relative to exp(peak)
    loose = 0.0  # what directions that were not halved may hide: a rule errs by the square of what its polynomial lacks
    tolerance = TOLERANCE[d]
    peak = float(height.max())
    if not math.isfinite(peak):
        raise ModelError("the posterior has no mass where the quadrature looks; check the priors against the data")
    met = len(low)
    while len(low):
        way = _coarsest(height - peak)
        middle = low[np.arange(len(low)), way] / 2 + high[np.arange(len(low)), way] / 2
        left_high, right_low = high.copy(), low.copy()
        left_high[np.arange(len(low)), way] = middle
        right_low[np.arange(len(low)), way] = middle
        new_low, new_high = np.concatenate([low, right_low]), np.concatenate([left_high, high])
        finer = heights(new_low, new_high)
        above = max(peak, float(finer.max()))
        fall = math.exp(peak - above)
        settled, change, loose = settled * fall, change * fall, loose * fall
        peak = above
        coarse = _sums(low, high, height - peak)
        fine = _sums(new_low, new_high, finer - peak)
        pair = fine[: len(low)] + fine[len(low) :]
        total = settled + pair.sum(axis=0)
        met += 2 * len(low)
        # a box may keep its share of the tolerance: that of its mass, or an even one
        share = tolerance * np.maximum(pair / total, 1.0 / max(met, 64))
        wrong = np.abs(pair - coarse) > share * total
        tails = np.concatenate([_tails(finer[: len(low)] - peak), _tails(finer[len(low) :] - peak)], axis=1)
        rough = (tails > np.sqrt(tolerance)).any(axis=1) & (pair[:, 0] > 1e-7 * total[0])
        good = ~(wrong.any(axis=1) | rough)
        both = np.concatenate([good, good])
        settled = settled + pair[good].sum(axis=0)
        change = change + np.abs(pair - coarse)[good].sum(axis=0)
        loose = loose + float((pair[good, 0] * tails[good].max(axis=1, initial=0.0) ** 2).sum())
        done.append((new_low[both], new_high[both], finer[both]))
        low, high, height = new_low[~both], new_high[~both], finer[~both]
        if met > MOST_BOXES:
            raise ModelError("the quadrature did not settle; the priors may be far from the data")
    lows, highs, tall = (np.concatenate([part[i] for part in done]) for i in range(3))
    mass = np.exp(tall - peak).sum(axis=tuple(range(1, d + 1)))
    keep = mass > NEGLIGIBLE * mass.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        error = float(np.nanmax(np.where(settled > 0, change / settled, 0.0)))
    return Boxes(
        lows[keep], highs[keep], tall[keep] - peak, peak, error + loose / settled[0] + 8 * EPS * (1 + abs(peak))
    )


def _promising(
    log_density: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray, scout: int, faded: float
) -> tuple[FloatArray, FloatArray]:
    """First boxes without those where there is nothing to find."""
    d = low.shape[1]
    inside = np.linspace(0.0, 1.0, scout)
    mesh = np.stack(np.meshgrid(*[inside] * d, indexing="ij"), axis=-1).reshape(-1, d)
    points = low[:, None] + (high - low)[:, None] * mesh
    heights = log_density(points.reshape(-1, d)).reshape(len(low), -1).max(axis=1)
    top = heights[np.isfinite(heights)].max(initial=-np.inf)
    keep = heights > top - faded
    return (low[keep], high[keep]) if keep.any() else (low, high)


def _sums(low: FloatArray, high: FloatArray, log_mass: FloatArray) -> FloatArray:
    """(q, 1 + 2 d): mass, and first and second absolute moments along each coordinate."""
    q, d = low.shape
    mass = np.exp(log_mass).reshape(q, -1)
    points = grid(low, high).reshape(q, -1, d)
    return np.column_stack(
        [mass.sum(axis=1), np.einsum("qn,qnd->qd", mass, np.abs(points)), np.einsum("qn,qnd->qd", mass, points**2)]
    )


def _tails(log_mass: FloatArray) -> FloatArray:
    """(q, d): size of the last coefficients in each direction, against the largest density of the box."""
    d = log_mass.ndim - 1
    n = log_mass.shape[1]
    _, w, to_series = rule(n)
    mesh = sum(np.meshgrid(*[np.log(w)] * d, indexing="ij"))
    density = log_mass - mesh
    density = np.exp(density - density.reshape(len(density), -1).max(axis=1).reshape(-1, *(1,) * d))
    found = []
    for j in range(d):
        series = np.moveaxis(np.tensordot(density, to_series[-LAST:], axes=([j + 1], [1])), -1, 1)
        found.append(np.abs(series).reshape(len(density), -1).max(axis=1))
    return np.asarray(np.nan_to_num(np.stack(found, axis=1)))


def _coarsest(log_mass: FloatArray) -> IntArray:
    """(q,) direction in which each box is the coarsest."""
    return np.asarray(np.argmax(_tails(log_mass), axis=1), dtype=np.int64)
