"""Marginals along an axis of a quadrature, in the quantity's own coordinate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre

from catharsis.bayes.marginals import Law, PointMass, shortest_interval, summit
from catharsis.bayes.posterior import Marginal
from catharsis.bayes.quadrature import Axis, Boxes, rule
from catharsis.numerics import FloatArray, IntArray, root

FINE = 32  # nodes across a box that a surface cuts
FEW = 8  # lower tails tried for the shortest interval of a total
NEARBY = 1e-4  # relative step of a difference quotient: the distribution is exact to 1e-9 or so
SETTLED = 1e-10  # relative precision of a total's quantile
SCAN = 48  # lower tails tried for the shortest interval: a density may rise twice
EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Line:
    """A coordinate of a quantity on the whole line.

    Attributes
    ----------
    centre : float
        Where the coordinate is 0.
    turn : float
        Beyond this distance from the centre the quantity is centre +- turn / (2 - |s| / turn), so that 2 turn is
        infinity and a power tail becomes a polynomial; inf when there is no need.
    """

    centre: float = 0.0
    turn: float = math.inf

    def forward(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The quantity and log of its slope in s."""
        if math.isinf(self.turn):
            return self.centre + s, np.zeros_like(s)
        size = np.abs(s)
        beyond = size > self.turn
        r = np.where(beyond, np.maximum(2 - size / self.turn, EPS), 1.0)
        return self.centre + np.sign(s) * np.where(beyond, self.turn / r, size), np.where(beyond, -2 * np.log(r), 0.0)

    def inverse(self, x: float) -> float:
        """Where the quantity lies."""
        off = x - self.centre
        if abs(off) <= self.turn:
            return off
        return math.copysign(self.turn * (2 - self.turn / abs(off)), off)


@dataclass(frozen=True, slots=True, eq=False)
class AxisLaw:
    """The law of a quantity that is a coordinate of a quadrature.

    Attributes
    ----------
    axis : Axis
        Its marginal in the coordinate.
    forward : callable
        Coordinates to quantities and log slopes.
    inverse : callable
        A quantity to its coordinate.
    start : float
        Lower end of the support.
    """

    axis: Axis
    forward: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    inverse: Callable[[float], float]
    start: float

    def _s(self, x: FloatArray) -> FloatArray:
        return np.array([self.inverse(float(value)) for value in np.ravel(x)]).reshape(np.shape(x))

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x."""
        x = np.asarray(x, dtype=float)
        inside = x >= self.start
        s = self._s(np.where(inside, x, self.start if math.isfinite(self.start) else 0.0))
        return np.asarray(np.where(inside, self.axis.density(s) * np.exp(-self.forward(s)[1]), 0.0))

    def below(self, x: float) -> float:
        """P(quantity < x)."""
        return 0.0 if x <= self.start else self.axis.below(self.inverse(x))

    def above(self, x: float) -> float:
        """P(quantity > x)."""
        return 1.0 if x <= self.start else self.axis.above(self.inverse(x))

    def quantile(self, probability: float) -> float:
        """The value that the quantity stays below with this probability."""
        return float(self.forward(np.array([self.axis.quantile(probability)]))[0][0])

    def mode(self) -> float:
        """Where the density is highest."""
        ends = np.unique(np.concatenate([self.axis.left, self.axis.right]))
        points = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in pairwise(ends)]))
        x = self.forward(points)[0]
        x = x[np.isfinite(x)]

        def height(at: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(self.density(at)))

        return summit(height, x)

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, self.start, SCAN)


def marginal_of(law: Law, weight: FloatArray, mean: FloatArray, variance: FloatArray, level: float) -> Marginal:
    """A marginal: moments from components (g,) with these weights, means and variances, the rest from the law."""
    if isinstance(law, PointMass):
        return Marginal(law.value, 0.0, law.value, law.value, law.value, float(law.value > 0), law=law)
    centre = float(weight @ mean)
    sd = math.sqrt(float(weight @ (variance + (mean - centre) ** 2)))
    low, median, high = (law.quantile(q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Marginal(centre, sd, median, low, high, min(law.above(0.0), 1.0), law=law)


@dataclass(frozen=True, eq=False)
class TotalLaw:
    """The law of the root of a sum of variances, each the square of a coordinate of a quadrature.

    Boxes on one side of the surface total = x count whole. In a box that it cuts, the part below is an integral over
    two standard deviations of the box's polynomials, the second up to the surface; a third goes by its nodes.

    Attributes
    ----------
    boxes : Boxes
        The rule.
    axes : tuple of int
        Its coordinates that are standard deviations of the sum, two or three.
    forward, inverse : tuples of callables
        Coordinates to standard deviations (with log slopes), and back.
    known : float
        Variances of the sum that are known.
    """

    boxes: Boxes
    axes: tuple[int, ...]
    forward: tuple[Callable[[FloatArray], tuple[FloatArray, FloatArray]], ...]
    inverse: tuple[Callable[[float], float], ...]
    known: float

    @cached_property
    def _mass(self) -> FloatArray:
        """(q, n, n) or (q, n, n, n): masses of the nodes, summed over what is not in the sum."""
        mass = np.exp(self.boxes.log_mass)
        others = tuple(j + 1 for j in range(self.boxes.d) if j not in self.axes)
        return np.asarray(mass.sum(axis=others) / mass.sum())

    @cached_property
    def _ends(self) -> tuple[FloatArray, FloatArray]:
        """(q, axes) smallest and largest standard deviations of each box."""
        low, high = (
            np.stack([f(side[:, j])[0] for j, f in zip(self.axes, self.forward, strict=True)], axis=1)
            for side in (self.boxes.low, self.boxes.high)
        )
        return low, high

    def _parts(self, x: float) -> tuple[FloatArray, FloatArray]:
        """Mass of each box, and what of it lies below x."""
        whole = self._mass.reshape(len(self._mass), -1).sum(axis=1)
        room = x**2 - self.known
        if x <= 0 or room <= 0:
            return whole, np.zeros_like(whole)
        low, high = ((ends**2).sum(axis=1) for ends in self._ends)
        below = np.where(high <= room, whole, 0.0)
        cut = np.flatnonzero((low < room) & (high > room))
        if len(cut):
            if len(self.axes) == 2:
                found = self._two(cut, self._mass[cut], np.full(len(cut), room))
            else:
                n = self._mass.shape[1]
                j = self.axes[2]
                z = rule(n)[0]
                s = self.boxes.low[cut, j, None] + (self.boxes.high - self.boxes.low)[cut, j, None] / 2 * (1 + z)
                third = self.forward[2](s)[0] ** 2
                each = [self._two(cut, self._mass[cut][..., i], room - third[:, i]) for i in range(n)]
                found = np.sum(each, axis=0)
            below[cut] = np.clip(found, 0.0, whole[cut])
        return whole, below

    def _two(self, cut: IntArray, mass: FloatArray, room: FloatArray) -> FloatArray:
        """(b,) mass of boxes below t1^2 + t2^2 = room, from masses (b, n, n)."""
        n = mass.shape[1]
        _, w, to_series = rule(n)
        series = np.einsum("li,bij,mj->blm", to_series, mass / (w[:, None] * w), to_series)
        low, high = (ends[cut] for ends in self._ends)
        first, second = self.axes[:2]
        left, width = self.boxes.low[cut, first], (self.boxes.high - self.boxes.low)[cut, first]
        start, end = (
            np.clip(np.sqrt(np.maximum(room - side[:, 1] ** 2, 0.0)), low[:, 0], high[:, 0]) for side in (high, low)
        )
        s_start, s_end = (np.vectorize(self.inverse[0], otypes=[float])(t) for t in (start, end))
        whole = _to(series[:, :, 0] * 2, 2 * (s_start - left) / width - 1)  # t2 anywhere
        # between, t2 goes up to the surface; squares take the root's edge at t2 = 0 out of the integrand
        u, v = legendre.leggauss(FINE)
        u, v = (1 + u) / 2, v / 2
        s = s_end[:, None] - (s_end - s_start)[:, None] * u**2
        weight = 2 * u * v * (s_end - s_start)[:, None] * 2 / width[:, None]
        t2 = np.sqrt(np.maximum(room[:, None] - self.forward[0](s)[0] ** 2, 0.0))
        s2 = np.vectorize(self.inverse[1], otypes=[float])(t2)
        bottom, height = self.boxes.low[cut, second], (self.boxes.high - self.boxes.low)[cut, second]
        z1 = 2 * (s - left[:, None]) / width[:, None] - 1
        z2 = np.clip(2 * (s2 - bottom[:, None]) / height[:, None] - 1, -1.0, 1.0)
        outer = legendre.legvander(z1, n - 1)
        inner = legendre.legvander(z2, n) @ legendre.legint(np.eye(n), lbnd=-1)
        return np.asarray(whole + np.einsum("blm,bfl,bfm,bf->b", series, outer, inner, weight, optimize=True))

    def below(self, x: float) -> float:
        """P(total < x)."""
        return float(self._parts(x)[1].sum())

    def above(self, x: float) -> float:
        """P(total > x)."""
        whole, below = self._parts(x)
        return max(float((whole - below).sum()), 0.0)

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x: a central difference of the distribution."""
        found = [
            (self.below(t * (1 + NEARBY)) - self.below(t * (1 - NEARBY))) / (2 * NEARBY * t) if t > 0 else 0.0
            for t in np.ravel(x)
        ]
        return np.asarray(np.maximum(np.array(found).reshape(np.shape(x)), 0.0))

    def quantile(self, probability: float) -> float:
        """The value that the total stays below with this probability."""
        low, high = (np.sqrt((ends**2).sum(axis=1) + self.known) for ends in self._ends)
        edges = np.unique(np.concatenate([low, high[np.isfinite(high)]]))
        first, last = 0, len(edges) - 1
        while last - first > 1:
            middle = (first + last) // 2
            first, last = (middle, last) if self.below(edges[middle]) < probability else (first, middle)
        return root(lambda x: self.below(x) - probability, float(edges[first]), float(edges[last]), SETTLED)

    def mode(self) -> float:
        """Where the density is highest."""
        points = np.array([self.quantile(p) for p in np.linspace(0.01, 0.99, 15)])

        def height(at: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(self.density(at)))

        return summit(height, points)

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, math.sqrt(self.known), FEW)


def _to(series: FloatArray, z: FloatArray) -> FloatArray:
    """(b,) integrals of Legendre series (b, n) from -1 to z (b,)."""
    n = series.shape[1]
    matrix = legendre.legint(np.eye(n), lbnd=-1)
    return np.asarray(np.einsum("bl,bl->b", legendre.legvander(z, n) @ matrix, series))
