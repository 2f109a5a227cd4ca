"""The posteriors of an average: mixtures over models, with a point mass at 0 where a model says that there is nothing.

In one model, tau has the polynomial through the nodes of each panel as its density. mu is known on an even grid: its
density is written as a sum of Gaussians, one at each point and a little narrower than the grid's step, whose heights
are solved for so that the sum passes through every point. A new study's effect then is a mixture of Gaussians too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev

from catharsis.bayes.averaging_quadrature import FINE, NODES, Panels, Quadrature
from catharsis.bayes.marginals import GaussianMixture, Law, shortest_interval, summit
from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, root

WIDTH = 0.65  # of the Gaussians, in steps of the grid: their sum ripples by 2 exp(-2 pi^2 WIDTH^2) = 5e-4
TRACE = 1e-12  # probability below which a component is left out
GOLDEN = (math.sqrt(5) - 1) / 2
EPS = float(np.finfo(float).eps)
EDGE = 1e-12  # probability beside a point mass that is rounding
SCAN = 48  # lower tails tried for a shortest interval
INTEGRALS = np.array([0.0 if n % 2 else 2 / (1 - n**2) for n in range(NODES)])  # of Chebyshev polynomials on [-1, 1]
VALUES = np.linalg.inv(chebyshev.chebvander(FINE[0], NODES - 1))  # values at the nodes to a Chebyshev series


def mu_mixture(found: Quadrature) -> GaussianMixture:
    """The posterior of mu in one model."""
    weight = _heights(found).sum(axis=1)
    return _trimmed(weight, found.mu, np.full(len(weight), WIDTH * found.step))


def new_mixture(found: Quadrature) -> GaussianMixture:
    """The posterior of the true effect in a new study: N(mu, tau^2) over the cells; tau or mu may be known."""
    tau = found.panels.tau
    if found.step == 0:
        return _trimmed(found.mass[0], np.zeros(len(tau)), tau)
    weight = _heights(found)
    sd = np.sqrt((WIDTH * found.step) ** 2 + np.broadcast_to(tau, weight.shape) ** 2)
    return _trimmed(weight.ravel(), np.repeat(found.mu, len(tau)), sd.ravel())


def _heights(found: Quadrature) -> FloatArray:
    """Heights of Gaussians on the grid whose sum is the density at each point, row by row."""
    z = (found.mu[:, None] - found.mu) / (WIDTH * found.step)
    kernel = np.exp(-0.5 * z**2) / (WIDTH * math.sqrt(2 * math.pi))
    weight = np.maximum(np.linalg.solve(kernel, found.mass), 0.0)
    total = weight.sum(axis=0)
    return np.asarray(weight * np.divide(found.mass.sum(axis=0), total, out=np.zeros_like(total), where=total > 0))


def _trimmed(weight: FloatArray, mean: FloatArray, sd: FloatArray) -> GaussianMixture:
    keep = weight > TRACE
    return GaussianMixture(weight[keep] / weight[keep].sum(), mean[keep], sd[keep])


@dataclass(frozen=True, eq=False)
class PanelLaw:
    """The posterior of tau in one model.

    Attributes
    ----------
    panels : Panels
        Where.
    mass : (q * NODES,) array
        Probabilities of the nodes.
    """

    panels: Panels
    mass: FloatArray

    @cached_property
    def _series(self) -> FloatArray:
        """(q, NODES) Chebyshev series of the density in each panel, per unit of tau."""
        density = (self.mass / self.panels.weight).reshape(-1, NODES)
        series = density @ VALUES.T
        half = (self.panels.right - self.panels.left) / 2
        return np.asarray(series / (half @ (series @ INTEGRALS)))

    @cached_property
    def _inside(self) -> tuple[FloatArray, FloatArray]:
        """Series of the integral from the left end of each panel, and the mass before each panel."""
        half = (self.panels.right - self.panels.left) / 2
        integral = half[:, None] * np.stack([chebyshev.chebint(one, lbnd=-1) for one in self._series])
        return integral, np.concatenate([[0.0], np.cumsum(integral.sum(axis=1))])  # every T_n(1) is 1

    def _where(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Panel of each x (-1 for none) and place in it, -1 to 1."""
        panel = np.searchsorted(self.panels.left, x, side="right") - 1
        safe = np.maximum(panel, 0)
        left, right = self.panels.left[safe], self.panels.right[safe]
        z = 2 * (x - left) / (right - left) - 1
        return np.where((panel >= 0) & (z <= 1), panel, -1), z

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x; 0 where the posterior has next to nothing."""
        x = np.asarray(x, dtype=float)
        panel, z = self._where(np.ravel(x))
        value = (chebyshev.chebvander(np.clip(z, -1, 1), NODES - 1) * self._series[np.maximum(panel, 0)]).sum(axis=1)
        return np.asarray(np.where(panel >= 0, np.maximum(value, 0.0), 0.0).reshape(x.shape))

    def below(self, x: float) -> float:
        """P(tau < x)."""
        integral, before = self._inside
        panel = int(np.searchsorted(self.panels.left, x, side="right")) - 1
        if panel < 0:
            return 0.0
        left, right = float(self.panels.left[panel]), float(self.panels.right[panel])
        z = min(2 * (x - left) / (right - left) - 1, 1.0)
        return min(max(float(before[panel] + chebyshev.chebval(z, integral[panel])), 0.0), 1.0)

    def above(self, x: float) -> float:
        """P(tau > x), summed from above."""
        integral, _ = self._inside
        panel = int(np.searchsorted(self.panels.left, x, side="right")) - 1
        if panel < 0:
            return 1.0
        left, right = float(self.panels.left[panel]), float(self.panels.right[panel])
        z = min(2 * (x - left) / (right - left) - 1, 1.0)
        rest = float(integral[panel].sum() - chebyshev.chebval(z, integral[panel]))
        return min(max(rest + float(integral[panel + 1 :].sum()), 0.0), 1.0)

    def quantile(self, probability: float) -> float:
        """The value that tau stays below with this probability."""
        _, before = self._inside
        panel = int(np.clip(np.searchsorted(before, probability) - 1, 0, len(before) - 2))
        low, high = float(self.panels.left[panel]), float(self.panels.right[panel])
        if not self.below(low) < probability < self.below(high):  # rounding at an edge
            return low if probability <= self.below(low) else high
        return root(lambda x: self.below(x) - probability, low, high)

    def mode(self) -> float:
        """Where the density is highest."""

        def log_density(x: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(self.density(x)))

        return summit(log_density, np.concatenate([self.panels.left[:1], self.panels.tau]))

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, float(self.panels.left[0]), SCAN)


@dataclass(frozen=True, eq=False)
class MixedLaw:
    """A mixture of laws and a point mass at 0.

    Attributes
    ----------
    weight : tuple of float
        Probabilities of the parts.
    parts : tuple of Law
        Continuous distributions.
    zero : float
        Probability of exactly 0.
    """

    weight: tuple[float, ...]
    parts: tuple[Law, ...]
    zero: float

    def density(self, x: FloatArray) -> FloatArray:
        """Density of the continuous part at x, which integrates to 1 - zero.

        Raises
        ------
        ModelError
            When there is no continuous part.
        """
        if not self.parts:
            raise ModelError("no model of this average lets the quantity differ from 0, so it has no density")
        x = np.asarray(x, dtype=float)
        found = np.zeros_like(x)
        for w, part in zip(self.weight, self.parts, strict=True):
            found = found + w * part.density(x)
        return found

    def below(self, x: float) -> float:
        """P(quantity < x)."""
        inside = math.fsum(w * part.below(x) for w, part in zip(self.weight, self.parts, strict=True))
        return min(inside + (self.zero if x > 0 else 0.0), 1.0)

    def above(self, x: float) -> float:
        """P(quantity > x)."""
        inside = math.fsum(w * part.above(x) for w, part in zip(self.weight, self.parts, strict=True))
        return min(inside + (self.zero if x < 0 else 0.0), 1.0)

    def quantile(self, probability: float) -> float:
        """The least value that the quantity does not exceed with this probability; 0 where the point mass lies."""
        before = self.below(0.0)
        if not self.parts or (self.zero and before - EDGE < probability <= before + self.zero + EDGE):
            return 0.0
        # what is left when the point mass is taken out lies between the quantiles of the parts
        rest = (probability - (self.zero if probability > before else 0.0)) / math.fsum(self.weight)
        rest = min(max(rest, np.finfo(float).tiny), 1 - EPS)
        ends = [part.quantile(rest) for part in self.parts]
        low, high = min(ends), max(ends)

        def excess(x: float) -> float:  # the smaller tail keeps its digits
            return self.below(x) - probability if probability < 0.5 else (1 - probability) - self.above(x)

        if not excess(low) < 0 < excess(high):
            return low if excess(low) >= 0 else high
        return root(excess, low, high)

    def mode(self) -> float:
        """0 when that has a probability of its own, which no other point has; else where the density is highest."""
        if self.zero > 0 or not self.parts:
            return 0.0

        def log_density(x: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(self.density(x)))

        tails = np.linspace(0.001, 0.999, 200)
        points = np.unique([self.quantile(float(q)) for q in tails] + [part.mode() for part in self.parts])
        return summit(log_density, points)

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability or, across a point mass, more."""
        if not self.parts or self.zero >= level:
            return 0.0, 0.0
        rest = 1 - level

        def ends(p: float) -> tuple[float, float]:
            return self.quantile(p), self.quantile(p + level)

        tails = rest * np.clip(0.5 - 0.5 * np.cos(np.pi * np.arange(SCAN + 1) / SCAN), 1e-9, 1 - 1e-9)
        best = min(tails, key=lambda p: ends(float(p))[1] - ends(float(p))[0])
        i = int(np.flatnonzero(tails == best)[0])
        low, high = float(tails[max(i - 1, 0)]), float(tails[min(i + 1, SCAN)])
        for _ in range(60):  # golden section
            a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            if np.subtract(*ends(b)) > np.subtract(*ends(a)):  # low minus high: the larger is the shorter
                low = a
            else:
                high = b
        return ends((low + high) / 2)


def mixed(weight: Sequence[float], parts: Sequence[Law], zero: float) -> MixedLaw:
    """A mixture whose mixtures of Gaussians have become one, as have its panels; parts without weight are left out."""
    pairs = [(w, part) for w, part in zip(weight, parts, strict=True) if w > TRACE]
    gauss = [(w, part) for w, part in pairs if isinstance(part, GaussianMixture)]
    panels = [(w, part) for w, part in pairs if isinstance(part, PanelLaw)]
    found: list[tuple[float, Law]] = [
        (w, part) for w, part in pairs if not isinstance(part, GaussianMixture | PanelLaw)
    ]
    if gauss:
        total = math.fsum(w for w, _ in gauss)
        one = _trimmed(
            np.concatenate([w / total * part.weight for w, part in gauss]),
            np.concatenate([part.mean for _, part in gauss]),
            np.concatenate([part.sd for _, part in gauss]),
        )
        found.append((total, one))
    if panels:
        found.append((math.fsum(w for w, _ in panels), _on_common_panels(panels)))
    return MixedLaw(tuple(w for w, _ in found), tuple(part for _, part in found), zero if zero > TRACE else 0.0)


def _on_common_panels(pairs: Sequence[tuple[float, PanelLaw]]) -> PanelLaw:
    """The mixture on panels that refine those of every part, where it is a polynomial again."""
    edges = np.unique(np.concatenate([side for _, part in pairs for side in (part.panels.left, part.panels.right)]))
    panels = Panels.between(edges[:-1], edges[1:])
    density = np.zeros(len(panels.tau))
    for w, part in pairs:
        density += w * part.density(panels.tau)
    mass = density * panels.weight
    return PanelLaw(panels, mass / mass.sum())
