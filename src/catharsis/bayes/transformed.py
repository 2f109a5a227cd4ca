"""Marginals along an axis of a quadrature, in the quantity's own coordinate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catharsis.bayes.marginals import Law, shortest_interval, summit
from catharsis.bayes.posterior import Marginal
from catharsis.bayes.quadrature import Axis
from catharsis.numerics import FloatArray

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
        points = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in zip(ends[:-1], ends[1:], strict=True)]))
        x = self.forward(points)[0]
        x = x[np.isfinite(x)]

        def height(at: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(self.density(at)))

        return summit(height, x)

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, self.start, SCAN)


def marginal_of(
    law: Law, weight: FloatArray, mean: FloatArray, variance: FloatArray, level: float
) -> Marginal:
    """A marginal: moments from components (g,) with these weights, means and variances, the rest from the law."""
    centre = float(weight @ mean)
    sd = math.sqrt(float(weight @ (variance + (mean - centre) ** 2)))
    low, median, high = (law.quantile(q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Marginal(centre, sd, median, low, high, min(law.above(0.0), 1.0), law=law)
