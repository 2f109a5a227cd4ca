"""The distribution of one quantity a posteriori: density, tails, quantiles, mode, and the shortest interval.

Coefficients, predictions and shrunken effects are mixtures of Gaussians over the nodes of tau; tau itself has the
density that the quadrature integrates; a sampler gives draws. All answer the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr, ndtri

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, root

EPS = float(np.finfo(float).eps)
ROOT_STEPS = 200  # bisection alone needs 60
SCAN = 8  # lower tails that are tried before the shortest interval of a mixture of Gaussians is solved for
DEGREE = 16  # of the polynomial through a log density near its top
DROP = 0.5  # the top is sought where the log density is within about this of its highest point
CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)


class Law(Protocol):
    """What a marginal is asked."""

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x."""

    def below(self, x: float) -> float:
        """P(quantity < x)."""

    def above(self, x: float) -> float:
        """P(quantity > x)."""

    def quantile(self, probability: float) -> float:
        """The value that the quantity stays below with this probability."""

    def mode(self) -> float:
        """Where the density is highest."""

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""


def summit(log_height: Callable[[FloatArray], FloatArray], points: FloatArray) -> float:
    """Where a smooth function is highest, to full precision of its derivative's root.

    Parameters
    ----------
    log_height : callable
        Vectorised log density.
    points : (n,) array
        Increasing; dense enough that the highest lies beside the top. The ends are bounds.

    Returns
    -------
    float
    """
    heights = log_height(points)
    best = int(np.argmax(heights))
    if np.isposinf(heights[best]) or len(points) == 1:
        return float(points[best])
    far = heights < heights[best] - DROP
    left = np.flatnonzero(far[:best])
    right = np.flatnonzero(far[best + 1 :])
    low = float(points[left[-1]] if len(left) else points[0])
    high = float(points[best + 1 + right[0]] if len(right) else points[-1])
    x = float(points[best])
    for _ in range(4):  # each window a third of the one before: the polynomial's error falls by 3^17 each time
        nodes = chebyshev.chebpts1(DEGREE + 1)
        values = log_height((low + high) / 2 + (high - low) / 2 * nodes)
        if not np.isfinite(values).all():
            values = np.where(np.isfinite(values), values, values[np.isfinite(values)].min() - DROP)
        series = chebyshev.chebfit(nodes, values, DEGREE)
        slope = chebyshev.chebder(series)
        zeros = chebyshev.chebroots(slope) if np.any(slope) else np.empty(0)
        inside = zeros[(np.abs(zeros.imag) < 1e-8) & (np.abs(zeros.real) <= 1)].real if len(zeros) else np.empty(0)
        candidates = np.concatenate([inside, [-1.0, 1.0]])
        top = float(candidates[int(np.argmax(chebyshev.chebval(candidates, series)))])
        x = low if top == -1 else high if top == 1 else (low + high) / 2 + (high - low) / 2 * top
        sixth = (high - low) / 6
        low, high = max(low, x - sixth), min(high, x + sixth)
    return x


def shortest_interval(law: Law, level: float, start: float, scan: int) -> tuple[float, float]:
    """The shortest single interval of probability `level`: equal densities at both ends, or one end at `start`.

    Parameters
    ----------
    law : Law
        With a continuous density.
    level : float
        Probability.
    start : float
        Lower end of the support.
    scan : int
        Lower tails that are tried before equal densities are solved for: more where there may be several peaks.
    """
    rest = 1 - level

    def ends(p: float) -> tuple[float, float]:
        return (law.quantile(p) if p > 0 else start), law.quantile(p + level)

    def steeper(p: float) -> float:
        """Log ratio of the densities at both ends: below 0 the interval should move up."""
        low, high = law.density(np.array(ends(p)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.clip(np.nan_to_num(np.log(low) - np.log(high), nan=0.0), -1e3, 1e3))

    lower = rest * (0.5 - 0.5 * np.cos(np.pi * np.arange(scan + 1) / scan))
    lower[0] = 0.0 if math.isfinite(start) else 1e-12 * rest
    lower[-1] = rest * (1 - 1e-12)
    slopes = np.array([steeper(p) for p in lower])
    found = [ends(float(lower[0]))] if slopes[0] >= 0 else []
    found += [
        ends(root(steeper, float(lower[i]), float(lower[i + 1])))
        for i in np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
    ]
    return min(found or map(ends, lower), key=lambda pair: pair[1] - pair[0])


@dataclass(frozen=True, slots=True, eq=False)
class GaussianMixture:
    """A mixture of Gaussians.

    Attributes
    ----------
    weight, mean, sd : (g,) arrays
        Components.
    """

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x, in the tails too."""
        with np.errstate(divide="ignore"):  # a component without weight
            log_weight = np.log(self.weight) - np.log(self.sd)
        flat, size = np.ravel(x), max(1, CHUNK // len(self.weight))
        parts = []
        for i in range(0, len(flat), size):
            z = (flat[i : i + size, None] - self.mean) / self.sd
            each = log_weight - 0.5 * z**2
            top = each.max(axis=1)
            parts.append(top + np.log(np.exp(each - top[:, None]).sum(axis=1)))
        found = np.concatenate(parts) if parts else flat
        return np.asarray(found.reshape(np.shape(x)) - 0.5 * math.log(2 * math.pi))

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x."""
        return np.asarray(np.exp(self.log_density(x)))

    def below(self, x: float) -> float:
        """P(quantity < x)."""
        return min(float(ndtr((x - self.mean) / self.sd) @ self.weight), 1.0)

    def above(self, x: float) -> float:
        """P(quantity > x), a tail of its own."""
        return min(float(ndtr((self.mean - x) / self.sd) @ self.weight), 1.0)

    def quantile(self, probability: float) -> float:
        """The value that the quantity stays below with this probability."""
        if probability > 0.5:
            return -float(mixture_quantiles(self.weight, -self.mean[None], self.sd[None], 1 - probability)[0])
        return float(mixture_quantiles(self.weight, self.mean[None], self.sd[None], probability)[0])

    def mode(self) -> float:
        """Where the density is highest: between the smallest and the largest mean."""
        order = np.argsort(self.mean)
        means, reach = self.mean[order], float(self.sd.min())
        points = np.concatenate([[means[0] - reach], means, [means[-1] + reach]])
        return summit(self.log_density, np.unique(points))

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, -math.inf, SCAN)


def mixture_quantiles(weight: FloatArray, mean: FloatArray, spread: FloatArray, probability: float) -> FloatArray:
    """(n,) quantiles of mixtures of Gaussians by Newton steps inside a shrinking bracket.

    Parameters
    ----------
    weight : (g,) array
        Probabilities of the components.
    mean, spread : (n, g) arrays
        Components of each mixture.
    probability : float
        Between 0 and 1.
    """
    inside = weight > 0
    each = mean[:, inside] + ndtri(probability) * spread[:, inside]  # the mixture's lies between its components'
    low, high = each.min(axis=1), each.max(axis=1)
    x, least = each @ weight[inside], spread.min(axis=1)
    for _ in range(ROOT_STEPS):
        z = (x[:, None] - mean) / spread
        excess = ndtr(z) @ weight - probability
        low, high = np.where(excess < 0, x, low), np.where(excess >= 0, x, high)
        density = (np.exp(-0.5 * z**2) / spread) @ weight / math.sqrt(2 * math.pi)
        step = np.divide(excess, density, out=np.full_like(x, np.inf), where=density > 0)
        done = np.abs(step) <= 4 * EPS * np.maximum(np.abs(x), least)  # as far as rounding lets it
        inside = (x - step > low) & (x - step < high)
        x = np.where(done | inside, x - step, (low + high) / 2)
        if np.all(done | (high - low <= 4 * EPS * np.abs(x))):
            break
    return np.asarray(x)


@dataclass(frozen=True, slots=True)
class PointMass:
    """A quantity that is known."""

    value: float

    def density(self, x: FloatArray) -> FloatArray:
        """There is none."""
        raise ModelError(f"a quantity fixed at {self.value:g} has no density")

    def below(self, x: float) -> float:
        """1 or 0."""
        return float(self.value < x)

    def above(self, x: float) -> float:
        """0 or 1."""
        return float(self.value > x)

    def quantile(self, probability: float) -> float:
        """The value."""
        return self.value

    def mode(self) -> float:
        """The value."""
        return self.value

    def shortest(self, level: float) -> tuple[float, float]:
        """The value, twice."""
        return self.value, self.value


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """A sampled quantity: counts and order statistics; a density would be a smoothing choice, so there is none."""

    values: FloatArray

    def density(self, x: FloatArray) -> FloatArray:
        """Not from draws."""
        raise ModelError('draws have no density; smooth inference_data, or use engine="exact"')

    def below(self, x: float) -> float:
        """Share of draws below x."""
        return float((self.values < x).mean())

    def above(self, x: float) -> float:
        """Share of draws above x."""
        return float((self.values > x).mean())

    def quantile(self, probability: float) -> float:
        """Sample quantile."""
        return float(np.quantile(self.values, probability))

    def mcse_quantile(self, probability: float) -> float:
        """Its Monte Carlo standard error, from draws (chains, n) [@vehtari2021]."""
        import arviz as az

        return float(az.mcse(self.values, method="quantile", prob=probability))

    def mode(self) -> float:
        """Not from draws."""
        raise ModelError('draws have no density and hence no mode; use engine="exact"')

    def shortest(self, level: float) -> tuple[float, float]:
        """The narrowest run of draws that holds this share."""
        ordered = np.sort(self.values, axis=None)
        n = math.ceil(level * len(ordered))
        i = int(np.argmin(ordered[n - 1 :] - ordered[: len(ordered) - n + 1]))
        return float(ordered[i]), float(ordered[i + n - 1])
