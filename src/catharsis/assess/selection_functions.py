"""How likely a result is to be seen, given its p-value or its size: the weight functions of selection models.

A weight function w enters the likelihood twice: at the observed effects, and in the normaliser, the integral of w
against the density N(mu_i, S_i) of an effect before selection. Both are needed with first and second derivatives
in (mu, S, delta). Two kinds of weight function cover all models:

- piecewise constant ones (steps in p, truncation in y), whose normaliser is a sum of normal probabilities;
- smooth ones (beta, half-normal, ...), whose normaliser is an integral. The derivatives of its logarithm are moments
  under the selected density: with l = log(w f), the gradient is E[l'], the Hessian E[l''] + Cov[l'].

Throughout, effects point in the direction that selection favours (the caller turns the signs), rows are studies, and
a derivative array has the columns mu, S, delta_1, ..., delta_J.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import special

from catharsis.numerics import FloatArray, IntArray, log_normal_probability

LOG_2PI = float(np.log(2 * np.pi))
NODES, FEWER_NODES = 16, 8  # Gauss-Legendre nodes per panel; the error at the maximum is checked by halving panels
REACH = 40.0  # standard deviations on either side of the mean beyond which the normal density is 0 in doubles
NEGLIGIBLE = 42.0  # panels whose integrand stays below exp(-42) ~ 6e-19 of the highest are left out


@dataclass(frozen=True, slots=True)
class Terms:
    """A log term of every study with its derivatives.

    Attributes
    ----------
    value : (k,) array
    first : (k, q) array
    second : (k, q, q) array
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray


class WeightFunction(Protocol):
    """What the likelihood asks of a weight function."""

    def observed(self, delta: FloatArray) -> Terms:
        """Log w at the observed effects, derivatives in delta."""
        ...

    def normaliser(self, mu: FloatArray, S: FloatArray, delta: FloatArray) -> Terms:
        """Log of the integral of w against N(mu, S), derivatives in (mu, S, delta)."""
        ...


# -- piecewise constant ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepWeights:
    """Weights constant between cut points, delta relative to the reference level, whose weight is 1.

    Attributes
    ----------
    cuts : (k, m) array
        Cut points of each study on the scale of the effects, rising.
    level : (m + 1,) array of int
        Level of each piece between the cuts; level 0 is the reference, level j has weight delta_j.
    seen : (k,) array of int
        Level in which each observed effect falls.
    levels : int
        Number of levels besides the reference.
    """

    cuts: FloatArray
    level: IntArray
    seen: IntArray
    levels: int

    def observed(self, delta: FloatArray) -> Terms:
        """Log delta of the level in which each effect falls."""
        weight = np.concatenate([[1.0], delta])[self.seen]
        inside = self.seen[:, None] == np.arange(1, self.levels + 1)
        with np.errstate(divide="ignore"):  # a weight of 0 where effects were seen: log w = -inf
            first = np.where(inside, 1 / np.maximum(delta, 1e-150), 0.0)
            second = np.zeros((len(weight), self.levels, self.levels))
            second[:, range(self.levels), range(self.levels)] = -(first**2)
            return Terms(np.log(weight), first, second)

    def normaliser(self, mu: FloatArray, S: FloatArray, delta: FloatArray) -> Terms:
        """Sum of the probabilities of the pieces times their weights.

        The integral A is a heat kernel: dA/dS = A_mumu / 2, which gives every derivative in S from those in mu.
        """
        s = np.sqrt(S)
        u = (self.cuts - mu[:, None]) / s[:, None]
        edge = np.full((len(mu), 1), np.inf)
        log_p = log_normal_probability(np.hstack([-edge, u]), np.hstack([u, edge]))
        weight = np.concatenate([[1.0], delta])[self.level]
        with np.errstate(divide="ignore"):
            pieces = log_p + np.log(weight)
        top = pieces.max(axis=1)
        log_a = top + np.log(np.exp(pieces - top[:, None]).sum(axis=1))
        density = np.exp(-(u**2) / 2 - LOG_2PI / 2 - log_a[:, None])  # relative to A

        def slopes(jump: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
            """First to fourth derivative in mu of sum(jump Phi(-u)), relative to A."""
            weighted = jump * density
            return (
                weighted.sum(axis=1) / s,
                (u * weighted).sum(axis=1) / S,
                ((u**2 - 1) * weighted).sum(axis=1) / (S * s),
                ((u**3 - 3 * u) * weighted).sum(axis=1) / S**2,
            )

        q = 2 + self.levels
        first, second = np.empty((len(mu), q)), np.zeros((len(mu), q, q))
        a1, a2, a3, a4 = slopes(np.diff(weight))
        first[:, 0], first[:, 1] = a1, a2 / 2
        second[:, 0, 0], second[:, 1, 1] = a2, a4 / 4
        second[:, 0, 1] = second[:, 1, 0] = a3 / 2
        share = np.exp(log_p - log_a[:, None])
        for j in range(1, self.levels + 1):
            own = (self.level == j).astype(float)
            first[:, 1 + j] = share @ own
            b1, b2, _, _ = slopes(np.diff(own))
            second[:, 0, 1 + j] = second[:, 1 + j, 0] = b1
            second[:, 1, 1 + j] = second[:, 1 + j, 1] = b2 / 2
        return Terms(log_a, first, second - first[:, :, None] * first[:, None, :])


# -- smooth ---------------------------------------------------------------------------------------

# log w, its gradient (J arrays) and its Hessian (upper triangle by rows, or None where w is log-linear in delta), from
# log p, log(1 - p), the precision measure and delta
Shape = Callable[
    [FloatArray, FloatArray, FloatArray, FloatArray], tuple[FloatArray, list[FloatArray], list[FloatArray] | None]
]


def beta_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = p^(delta_1 - 1) (1 - p)^(delta_2 - 1) [@citkowicz2017]."""
    return (delta[0] - 1) * log_p + (delta[1] - 1) * log_q, [log_p, log_q], None


def half_normal_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = exp(-delta prec p^2) [@preston2004]."""
    size = prec * np.exp(2 * log_p)
    return -delta[0] * size, [-size], None


def exponential_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = exp(-delta prec p) [@preston2004]."""
    size = prec * np.exp(log_p)
    return -delta[0] * size, [-size], None


def logistic_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = 2 exp(-delta prec p) / (1 + exp(-delta prec p)) [@preston2004]."""
    size = prec * np.exp(log_p)
    x = delta[0] * size
    share = special.expit(x)
    return float(np.log(2)) - np.logaddexp(0, x), [-size * share], [-(size**2) * share * (1 - share)]


def power_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = (1 - p)^(delta prec), of the kind of Preston et al. [@preston2004]."""
    size = prec * log_q
    return delta[0] * size, [size], None


def exponential_power_shape(log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray) -> tuple[
    FloatArray, list[FloatArray], list[FloatArray] | None
]:  # fmt: skip
    """Weights w = exp(-delta_1 prec p^(1 / delta_2)), after Begg and Mazumdar (1994, Biometrics)."""
    d1, d2 = delta
    g = prec * np.exp(log_p / d2)
    slope = -g * log_p / d2**2  # dg / d delta_2
    curve = g * log_p**2 / d2**4 + 2 * g * log_p / d2**3
    return -d1 * g, [-g, -d1 * slope], [np.zeros_like(g), -slope, -d1 * curve]


SHAPES: dict[str, Shape] = {
    "beta": beta_shape, "halfnorm": half_normal_shape, "negexp": exponential_shape, "logistic": logistic_shape,
    "power": power_shape, "negexppow": exponential_power_shape,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SmoothWeights:
    """A weight function of the p-value that is smooth apart from given points.

    Attributes
    ----------
    shape : callable
        One of `SHAPES`.
    z, sigma, prec : (k,) arrays
        Observed effect over its standard error, the standard error, and the measure of (im)precision.
    two_sided : bool
        Whether p is two-sided.
    threshold : float
        p up to which w = 1; 0 for none.
    p_min : float
        p is kept within [p_min, 1 - p_min].
    halved : bool
        Integrate with panels of half the width, to check the error.
    nodes : int
        Nodes per panel.
    """

    shape: Shape
    z: FloatArray
    sigma: FloatArray
    prec: FloatArray
    two_sided: bool
    threshold: float
    p_min: float
    halved: bool = False
    nodes: int = NODES

    def finer(self) -> SmoothWeights:
        """The same with panels of half the width."""
        return replace(self, halved=True)

    def coarser(self) -> SmoothWeights:
        """The same with fewer nodes, to find the neighbourhood of a maximum."""
        return replace(self, nodes=FEWER_NODES)

    def observed(self, delta: FloatArray) -> Terms:
        """Log w at the observed p-values."""
        value, first, second = self._weight(self.z, self.prec, delta)
        J = len(delta)
        found = np.zeros((len(self.z), J, J))
        if second is not None:
            for (i, j), part in zip(_triangle(J), second, strict=True):
                found[:, i, j] = found[:, j, i] = part
        return Terms(value, np.stack(first, axis=1), found)

    def _weight(
        self, z: FloatArray, prec: FloatArray, delta: FloatArray
    ) -> tuple[FloatArray, list[FloatArray], list[FloatArray] | None]:
        """Log w and its derivatives at test statistics z."""
        if self.two_sided:
            size = np.abs(z)
            log_p = np.minimum(np.log(2) + special.log_ndtr(-size), 0.0)
            with np.errstate(divide="ignore"):
                log_q = np.log(special.erf(size / np.sqrt(2)))
        else:
            log_p, log_q = special.log_ndtr(-z), special.log_ndtr(z)
        return self.weight(log_p, log_q, prec, delta)

    def weight(
        self, log_p: FloatArray, log_q: FloatArray, prec: FloatArray, delta: FloatArray
    ) -> tuple[FloatArray, list[FloatArray], list[FloatArray] | None]:
        """Log w and its derivatives at log p and log(1 - p).

        With a threshold, w is 1 up to it and falls from there as the weight function does, relative to its value at
        the threshold: a kink and no jump, as metafor has it.
        """
        if self.p_min > 0:
            low, high = float(np.log(self.p_min)), float(np.log1p(-self.p_min))
            log_p, log_q = np.clip(log_p, low, high), np.clip(log_q, low, high)
        value, first, second = self.shape(log_p, log_q, prec, delta)
        if self.threshold > 0:
            below = log_p <= np.log(self.threshold)
            ends = np.log(self.threshold), np.log1p(-self.threshold)
            start, start_first, start_second = self.shape(np.asarray(ends[0]), np.asarray(ends[1]), prec, delta)
            value = np.where(below, 0.0, value - start)
            first = [np.where(below, 0.0, part - less) for part, less in zip(first, start_first, strict=True)]
            if second is not None and start_second is not None:
                second = [np.where(below, 0.0, part - less) for part, less in zip(second, start_second, strict=True)]
        return value, first, second

    def _breaks(self) -> FloatArray:
        """Where w has a kink or a jump, and a grid fine enough for its bends, on the z scale."""
        tails = 10 * 1.3 ** np.arange(1, 40)  # far out, log p is close to -z^2 / 2 and bends ever more slowly
        grid = [np.arange(-20, 21) / 2, -tails, tails]
        for p in (self.threshold, self.p_min, 1 - self.p_min):
            if 0 < p < 1:
                cut = -special.ndtri(p / 2 if self.two_sided else p)
                grid.append(np.array([cut, -cut] if self.two_sided else [cut]))
        if self.two_sided:
            grid.append(np.zeros(1))
        if self.two_sided and self.shape in (beta_shape, power_shape):
            # (1 - p)^delta behaves as |z|^delta near 0: panels that halve towards it
            start = float(-special.ndtri((1 - self.p_min) / 2)) if self.p_min > 0 else 2.0**-50
            graded = start * 2.0 ** np.arange(0, 52)
            graded = graded[graded < 0.5]
            grid += [graded, -graded]
        return np.unique(np.concatenate(grid))

    def normaliser(self, mu: FloatArray, S: FloatArray, delta: FloatArray) -> Terms:
        """Composite Gauss-Legendre integrals of w against N(mu, S), and moments under the selected density."""
        centre, spread = mu / self.sigma, np.sqrt(S) / self.sigma
        study, low, high = self._panels(centre, spread, delta)
        nodes, weights = np.polynomial.legendre.leggauss(self.nodes)
        half = (high - low) / 2
        z = (low + half)[:, None] + half[:, None] * nodes
        value, first, second = self._weight(z, self.prec[study][:, None], delta)
        r = (z - centre[study][:, None]) / spread[study][:, None]
        log_f = value - r**2 / 2 + np.log(half[:, None] * weights)
        start = np.flatnonzero(np.diff(study, prepend=-1))

        def total(panels: FloatArray) -> FloatArray:
            return np.asarray(np.add.reduceat(panels.sum(axis=1), start))

        top = np.maximum.reduceat(log_f.max(axis=1), start)
        raw = np.exp(log_f - top[study][:, None])
        mass = total(raw)
        pi = raw / mass[study][:, None]  # weights of the selected density
        s = np.sqrt(S)
        scores = [r / s[study][:, None], (r**2 - 1) / (2 * S[study][:, None]), *first]
        q = len(scores)
        mean = np.stack([total(pi * score) for score in scores], axis=1)
        centred = [score - mean[study, i][:, None] for i, score in enumerate(scores)]
        spreads = np.empty((len(mu), q, q))
        for i in range(q):
            for j in range(i, q):
                spreads[:, i, j] = spreads[:, j, i] = total(pi * centred[i] * centred[j])
        # E[l'']: that of the normal density in (mu, S), that of log w in delta
        spreads[:, 0, 0] -= 1 / S
        cross = mean[:, 0] / S
        spreads[:, 0, 1] -= cross
        spreads[:, 1, 0] -= cross
        spreads[:, 1, 1] -= (2 * mean[:, 1] + 1 / (2 * S)) / S
        if second is not None:
            for (i, j), part in zip(_triangle(q - 2), second, strict=True):
                average = total(pi * part)
                spreads[:, 2 + i, 2 + j] += average
                if i != j:
                    spreads[:, 2 + j, 2 + i] += average
        log_a = top + np.log(mass) - LOG_2PI / 2 - np.log(spread)
        return Terms(log_a, mean, spreads)

    def _panels(
        self, centre: FloatArray, spread: FloatArray, delta: FloatArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Study, lower and upper end of every panel in which the integrand matters, sorted by study."""
        low, high = centre - REACH * spread, centre + REACH * spread
        own = centre[:, None] + spread[:, None] * np.arange(-REACH, REACH + 1)
        fixed = np.clip(self._breaks(), low[:, None], high[:, None])
        edges = np.sort(np.hstack([own, fixed]), axis=1)
        if self.halved:
            middle = (edges[:, :-1] + edges[:, 1:]) / 2
            edges = np.sort(np.hstack([edges, middle]), axis=1)
        # just inside the ends: w may jump at one
        width = np.diff(edges, axis=1)
        height = np.full_like(width, -np.inf)
        for place in (1e-9, 0.5, 1 - 1e-9):
            z = edges[:, :-1] + place * width
            value = self._weight(z, self.prec[:, None], delta)[0] - ((z - centre[:, None]) / spread[:, None]) ** 2 / 2
            height = np.maximum(height, value)
        height[width <= 0] = -np.inf
        active = height > height.max(axis=1, keepdims=True) - NEGLIGIBLE
        study, panel = np.nonzero(active)
        return study, edges[study, panel], edges[study, panel + 1]


def _triangle(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i, n)]
