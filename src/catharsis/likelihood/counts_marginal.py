"""Likelihood of each study's counts with its random effects integrated out, by adaptive Gauss-Hermite quadrature.

    y_g ~ family(eta_g),   eta_g = offset_g + D_g psi + sum_d (E_gd theta) z_d,   z ~ N(0, I)

g counts the outcomes of a study (one, or one per group), psi its linear predictors (the study's level, the effect) and
theta the square roots of the random effects' variances. The nodes sit at the mode of the integrand and are scaled by
its curvature there; one node is Laplace's approximation. Values come with exact gradient and Hessian by psi and theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from catharsis.errors import ModelError
from catharsis.likelihood.counts_derivatives import Jet, log, log_sum_exp, power, variables
from catharsis.likelihood.counts_families import Family
from catharsis.numerics import FloatArray

MODE_STEPS = 200
MODE_GAIN = 1e-14  # a study's mode is found when a step gains less than this share of its log-integrand


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One count per study.

    Attributes
    ----------
    y : (k,) array
        Counts.
    offset : (k,) array
        Known part of the canonical parameter.
    family : Family
    used : (k,) array
        0 where the count says nothing (its probability is 1), else 1.
    """

    y: FloatArray
    offset: FloatArray
    family: Family
    used: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class StudyModel:
    """How the counts of a study depend on its parameters.

    Attributes
    ----------
    outcomes : (G,) tuple of Outcome
    fixed : (G, a) array
        D: linear predictors psi in each outcome.
    random : (G, d, b) array
        E: square-root variances theta in the loading of each outcome on each random effect.
    points : int
        Quadrature points for each random effect.
    """

    outcomes: tuple[Outcome, ...]
    fixed: FloatArray
    random: FloatArray
    points: int

    @property
    def log_base(self) -> float:
        """The part of the log-likelihood that is free of parameters."""
        return float(sum(np.sum(o.used * o.family.log_base(o.y)) for o in self.outcomes))


@cache
def _hermite(points: int, dimensions: int) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Nodes of each dimension and the logarithm of weight times exp(|x|^2), over the grid."""
    x, _ = special.roots_hermite(points)
    # w exp(x^2) = sqrt(pi) 2^(n-1) (n-1)! / (n h^2), h = H_(n-1)(x) exp(-x^2/2): weights themselves underflow
    psi = [np.pi**-0.25 * np.exp(-(x**2) / 2), np.pi**-0.25 * np.exp(-(x**2) / 2) * np.sqrt(2) * x]
    for n in range(2, points):
        psi.append(np.sqrt(2 / n) * x * psi[-1] - np.sqrt((n - 1) / n) * psi[-2])
    logw = -np.log(points * psi[points - 1] ** 2)
    grid = np.meshgrid(*[x] * dimensions, indexing="ij")
    total = np.sum(np.meshgrid(*[logw] * dimensions, indexing="ij"), axis=0)
    return tuple(g.ravel() for g in grid), np.asarray(np.ravel(total), dtype=float)


def study_log_likelihoods(model: StudyModel, psi: FloatArray, theta: FloatArray) -> Jet:
    """Log-likelihood of each study, without `log_base`, and its derivatives.

    Parameters
    ----------
    model : StudyModel
    psi : (a, k) array
        Linear predictors.
    theta : (b,) array
        Square roots of variances, in the order of `model.random`.

    Returns
    -------
    Jet
        Values (k,), derivatives by (psi, theta).
    """
    k, a, d = psi.shape[1], len(psi), model.random.shape[1]
    loading = model.random @ theta
    mode = find_modes(model, psi, loading)
    everything = variables(np.vstack([psi, np.broadcast_to(theta[:, None], (len(theta), k))]))
    base = [
        _combine(everything[:a], row) + outcome.offset for row, outcome in zip(model.fixed, model.outcomes, strict=True)
    ]
    loads = [[_combine(everything[a:], row) for row in rows] for rows in model.random]
    if d == 0:
        return _full(_log_terms(model, base), k, a + len(theta))
    z = _moving_modes(model, base, loads, mode, loading)
    height = _curvature(model, base, loads, z)
    if d == 1:
        scale = power(height[0][0], -0.5)
        log_volume = log(scale)
        lower = [[scale]]
    else:
        l11 = power(height[0][0], 0.5)
        l21 = height[0][1] * power(height[0][0], -0.5)
        l22 = power(height[1][1] - l21 * l21, 0.5)
        log_volume = -log(l11) - log(l22)
        second = power(l22, -1.0)
        first = power(l11, -1.0)
        lower = [[first, -(first * l21 * second)], [second]]  # rows of the inverse transposed factor
    nodes, logw = _hermite(model.points, d)
    root2 = np.sqrt(2.0)
    if d == 1:
        points = [z[0].spread() + lower[0][0].spread() * (root2 * nodes[0])]
    else:
        points = [
            z[0].spread() + lower[0][0].spread() * (root2 * nodes[0]) + lower[0][1].spread() * (root2 * nodes[1]),
            z[1].spread() + lower[1][0].spread() * (root2 * nodes[1]),
        ]
    eta = [
        _total([b.spread(), *(load.spread() * point for load, point in zip(row, points, strict=True))])
        for b, row in zip(base, loads, strict=True)
    ]
    inside = _total([_log_terms(model, eta), *(point * point * -0.5 for point in points)])
    value = log_sum_exp(inside, logw) + log_volume + (-d / 2 * np.log(np.pi))
    return _full(value, k, a + len(theta))


def _combine(numbers: Sequence[Jet], weights: FloatArray) -> Jet:
    """A fixed linear combination."""
    return _total([number * float(weight) for number, weight in zip(numbers, weights, strict=True)])


def _total(numbers: Sequence[Jet]) -> Jet:
    found = numbers[0]
    for number in numbers[1:]:
        found = found + number
    return found


def _full(number: Jet, k: int, r: int) -> Jet:
    """With derivatives of full shape."""
    return Jet(
        np.broadcast_to(number.value, (k,)),
        np.broadcast_to(number.gradient, (k, r)),
        np.broadcast_to(number.hessian, (k, r, r)),
    )


def _spread_used(outcome: Outcome, like: FloatArray) -> FloatArray:
    return outcome.used if like.ndim == 1 else outcome.used[:, None]


def _log_terms(model: StudyModel, eta: Sequence[Jet]) -> Jet:
    """sum_g y eta - K(eta)."""
    parts = []
    for outcome, number in zip(model.outcomes, eta, strict=True):
        used = _spread_used(outcome, number.value)
        y = outcome.y if number.value.ndim == 1 else outcome.y[:, None]
        k0, k1, k2 = outcome.family.cumulants(number.value, 2)
        parts.append(number.through(used * (y * number.value - k0), used * (y - k1), -used * k2))
    return _total(parts)


def _moving_modes(
    model: StudyModel, base: Sequence[Jet], loads: Sequence[Sequence[Jet]], mode: FloatArray, loading: FloatArray
) -> list[Jet]:
    """The modes with their derivatives: two steps of Newton's method with the curvature held fixed.

    Starting at the mode, each step makes one more order of derivatives exact.
    """
    k, d = mode.shape
    eta = np.stack([b.value for b in base], axis=1) + mode @ loading.T
    curve = np.stack([o.used * o.family.cumulants(eta[:, g], 2)[2] for g, o in enumerate(model.outcomes)], axis=1)
    inverse = np.linalg.inv(np.eye(d) + np.einsum("gd,kg,ge->kde", loading, curve, loading))
    r = base[0].gradient.shape[-1]
    z = [Jet(mode[:, i], np.zeros((k, r)), np.zeros((k, r, r))) for i in range(d)]
    for _ in range(2):
        residual = []
        for g, outcome in enumerate(model.outcomes):
            number = _total([base[g], *(load * point for load, point in zip(loads[g], z, strict=True))])
            _, k1, k2, k3 = outcome.family.cumulants(number.value, 3)
            used = outcome.used
            residual.append(number.through(used * (outcome.y - k1), -used * k2, -used * k3))
        slope = [_total([-z[i], *(row[i] * part for row, part in zip(loads, residual, strict=True))]) for i in range(d)]
        z = [_total([z[i], *(slope[j] * inverse[:, i, j] for j in range(d))]) for i in range(d)]
    return z


def _curvature(
    model: StudyModel, base: Sequence[Jet], loads: Sequence[Sequence[Jet]], z: Sequence[Jet]
) -> list[list[Jet]]:
    """Minus the second derivative of the log-integrand by z, at z."""
    d = len(z)
    bend = []
    for g, outcome in enumerate(model.outcomes):
        number = _total([base[g], *(load * point for load, point in zip(loads[g], z, strict=True))])
        *_, k2, k3, k4 = outcome.family.cumulants(number.value, 4)
        bend.append(number.through(outcome.used * k2, outcome.used * k3, outcome.used * k4))
    return [
        [
            _total([row[i] * row[j] * part for row, part in zip(loads, bend, strict=True)]) + float(i == j)
            for j in range(d)
        ]
        for i in range(d)
    ]


def find_modes(model: StudyModel, psi: FloatArray, loading: FloatArray) -> FloatArray:
    """(k, d) the random effects at which each study's integrand is largest.

    The log-integrand is strictly concave, so that Newton's method with halved steps always arrives.

    Raises
    ------
    ModelError
        When it does not, because parameters are far out of range.
    """
    k, d = psi.shape[1], loading.shape[1]
    offset = np.stack([o.offset for o in model.outcomes], axis=1) + psi.T @ model.fixed.T
    used, y = np.stack([o.used for o in model.outcomes], axis=1), np.stack([o.y for o in model.outcomes], axis=1)
    z = np.zeros((k, d))

    def look(z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Height, slope and curvature of the log-integrands."""
        eta = offset + z @ loading.T
        parts = [o.family.cumulants(eta[:, g], 2) for g, o in enumerate(model.outcomes)]
        k0, k1, k2 = (np.stack([part[order] for part in parts], axis=1) for order in range(3))
        return (
            np.sum(used * (y * eta - k0), axis=1) - np.sum(z**2, axis=1) / 2,
            (used * (y - k1)) @ loading - z,
            np.eye(d) + np.einsum("gd,kg,ge->kde", loading, used * k2, loading),
        )

    if d == 0:
        return z
    height, slope, curve = look(z)
    for _ in range(MODE_STEPS):
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        gain = np.sum(step * slope, axis=1)
        if not np.isfinite(gain).all():
            break
        if np.all(gain <= MODE_GAIN * (1 + np.abs(height)) * 1e-6):
            return z + step
        size = np.ones(k)
        for _ in range(60):
            tried = look(z + size[:, None] * step)
            worse = ~(tried[0] >= height - 1e-12 * (1 + np.abs(height)))
            if not worse.any():
                break
            size = np.where(worse, size / 2, size)
        z, (height, slope, curve) = z + size[:, None] * step, tried
    raise ModelError("the random effects of the studies cannot be located; rescale the moderators")


def log_likelihood_at_modes(model: StudyModel, psi: FloatArray, theta: FloatArray) -> float:
    """Log-likelihood of the counts given the random effects, these at their modes; constants included.

    Not a likelihood of the parameters: it knows nothing of how probable those random effects are. Some software
    reports it for mixed models.
    """
    loading = model.random @ theta
    z = find_modes(model, psi, loading)
    total = model.log_base
    for g, outcome in enumerate(model.outcomes):
        eta = outcome.offset + model.fixed[g] @ psi + z @ loading[g]
        total += float(np.sum(outcome.used * (outcome.y * eta - outcome.family.cumulants(eta, 2)[0])))
    return total
