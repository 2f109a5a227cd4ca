"""The likelihood of a selection model and its maximum: Newton steps with exact derivatives inside a box.

Given the weight function w, the log-likelihood of the effects that were seen is

    sum_i log w(y_i) + log N(y_i; x_i b, v_i + tau^2) - log integral w(y) N(y; x_i b, v_i + tau^2) dy

[@hedges1992; @vevea1995]. It is not concave: several starts are followed to their maxima, and the highest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from catharsis.assess.selection_functions import LOG_2PI, SmoothWeights, WeightFunction
from catharsis.numerics import FloatArray, root

BoolArray = NDArray[np.bool_]

MAX_STEPS = 400
DECREMENT = 1e-22  # squared Newton step, in standard errors, at which a maximum counts as reached
MANY_STARTS = 600  # starts times effects that are affordable when the normaliser is an integral
FAR = 20  # doublings of the first step after which a bound counts as infinite
STALLED = 1e-8  # largest squared Newton step that rounding may leave behind


@dataclass(frozen=True, slots=True)
class Point:
    """The log-likelihood at one place, with gradient and Hessian."""

    at: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray


@dataclass(frozen=True, slots=True)
class SelectionData:
    """Effects in the direction of selection, and which of them the weight function applies to.

    Attributes
    ----------
    yi, vi : (k,) arrays
    X : (k, p) array
    weights : WeightFunction
        For the effects in `selected`, in their order.
    selected : (k,) array of bool
        Effects subject to selection; the others count in full.
    """

    yi: FloatArray
    vi: FloatArray
    X: FloatArray
    weights: WeightFunction
    selected: BoolArray


def log_likelihood(data: SelectionData, theta: FloatArray) -> Point:
    """Log-likelihood, gradient and Hessian in theta = (beta, tau^2, delta)."""
    p = data.X.shape[1]
    beta, tau2, delta = theta[:p], theta[p], theta[p + 1 :]
    J = len(delta)
    mu, S = data.X @ beta, data.vi + tau2
    r = data.yi - mu
    k = len(r)
    value = -(LOG_2PI + np.log(S) + r**2 / S) / 2
    first, second = np.zeros((k, 2 + J)), np.zeros((k, 2 + J, 2 + J))
    first[:, 0], first[:, 1] = r / S, (r**2 / S - 1) / (2 * S)
    second[:, 0, 0], second[:, 1, 1] = -1 / S, (0.5 - r**2 / S) / S**2
    second[:, 0, 1] = second[:, 1, 0] = -r / S**2
    rows = data.selected
    seen, all_ = data.weights.observed(delta), data.weights.normaliser(mu[rows], S[rows], delta)
    value[rows] += seen.value - all_.value
    first[rows] -= all_.first
    first[rows, 2:] += seen.first
    second[rows] -= all_.second
    second[rows, 2:, 2:] += seen.second
    # from mu to beta
    gradient = np.concatenate([data.X.T @ first[:, 0], first[:, 1:].sum(axis=0)])
    hessian = np.empty((p + 1 + J, p + 1 + J))
    hessian[:p, :p] = data.X.T @ (second[:, 0, 0][:, None] * data.X)
    hessian[:p, p:] = data.X.T @ second[:, 0, 1:]
    hessian[p:, :p] = hessian[:p, p:].T
    hessian[p:, p:] = second[:, 1:, 1:].sum(axis=0)
    return Point(theta, float(value.sum()), gradient, hessian)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """How the parameters that are searched, x, give theta = (beta, tau^2, delta).

    delta = exp(slope x_delta + constant) where `logarithmic`, else slope x_delta + constant; beta and tau^2 are
    themselves. Rows of zeros in `slope` are fixed parameters.

    Attributes
    ----------
    slope : (q, n) array
    constant : (q,) array
    logarithmic : (q,) array of bool
    """

    slope: FloatArray
    constant: FloatArray
    logarithmic: BoolArray

    def theta(self, x: FloatArray) -> FloatArray:
        """The natural parameters."""
        linear = self.slope @ x + self.constant
        return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, linear, 0.0)), linear)

    def pull_back(self, point: Point, x: FloatArray) -> Point:
        """Gradient and Hessian in x."""
        change = np.where(self.logarithmic, point.at, 1.0)
        J = change[:, None] * self.slope
        bend = np.where(self.logarithmic, point.gradient * point.at, 0.0)
        hessian = J.T @ point.hessian @ J + self.slope.T @ (bend[:, None] * self.slope)
        return Point(x, point.value, J.T @ point.gradient, hessian)


def climb(f: Callable[[FloatArray], Point], start: FloatArray, low: FloatArray, high: FloatArray) -> tuple[Point, bool]:
    """Maximise within a box by damped Newton steps; returns the last point and whether it is a maximum.

    Curvatures of the wrong sign are turned round, so that every step goes uphill; a parameter is held at its bound
    while the gradient points outwards. Steps are measured in units of the curvature: the data's scale is no matter.
    """
    here = f(np.clip(start, low, high))
    damping = 1e-2
    for _ in range(MAX_STEPS):
        free = _free(here, low, high)
        if not free.any():
            return here, True
        size = np.abs(np.diag(here.hessian))[free]
        unit = 1 / np.sqrt(np.maximum(size, 1e-12 * max(float(size.max()), 1e-290)))
        H = -unit[:, None] * here.hessian[np.ix_(free, free)] * unit
        g = unit * here.gradient[free]
        values, vectors = np.linalg.eigh((H + H.T) / 2)
        along = vectors.T @ g
        upward = np.maximum(np.abs(values), 1e-14)
        if float(np.sum(along**2 / upward)) < DECREMENT:
            return here, True
        # a pure Newton step first, once the surface is a bowl and the damping has faded
        step = np.zeros_like(here.at)
        step[free] = unit * (vectors @ (along / (upward + damping)))
        target = np.clip(here.at + step, low, high)
        moved = target - here.at
        there = f(target)
        promised = float(here.gradient @ moved) + 0.5 * float(moved @ here.hessian @ moved)
        gained = there.value - here.value
        rounding = 4e-15 * max(1.0, abs(here.value))
        if not np.isfinite(there.value) or not np.isfinite(there.gradient).all() or gained < -rounding:
            damping = max(damping * 4, 1e-8)
            if damping > 1e12:
                break
            continue
        if gained <= rounding and np.max(np.abs(moved)) == 0:
            break
        ratio = gained / promised if promised > 0 else 0.25
        if gained <= rounding:  # the value no longer tells: trust the gradient
            if decrement(there, low, high) >= decrement(here, low, high):
                break
            ratio = 1.0
        here = there
        damping = damping / 10 if ratio > 0.75 else damping * 3 if ratio < 0.25 else damping
        damping = damping if damping > 1e-12 else 0.0
        if damping == 0.0 and ratio < 0.25:
            damping = 1e-6
    return here, decrement(here, low, high) < STALLED


def _free(here: Point, low: FloatArray, high: FloatArray) -> BoolArray:
    stuck = ((here.at <= low) & (here.gradient <= 0)) | ((here.at >= high) & (here.gradient >= 0))
    return np.asarray(~stuck)


def decrement(here: Point, low: FloatArray, high: FloatArray) -> float:
    """The squared length of the Newton step from here, in standard errors; 0 at a maximum."""
    free = _free(here, low, high)
    if not free.any():
        return 0.0
    size = np.abs(np.diag(here.hessian))[free]
    unit = 1 / np.sqrt(np.maximum(size, 1e-12 * max(float(size.max()), 1e-290)))
    H = -unit[:, None] * here.hessian[np.ix_(free, free)] * unit
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    along = vectors.T @ (unit * here.gradient[free])
    return float(np.sum(along**2 / np.maximum(np.abs(values), 1e-14)))


def highest(
    data: SelectionData, coordinates: Coordinates, starts: Iterable[FloatArray], low: FloatArray, high: FloatArray
) -> tuple[Point, Point, bool]:
    """The best of the maxima that the starts lead to.

    Returns it in the natural parameters and in the searched ones, and whether the search ended at a maximum.
    """

    def f(x: FloatArray, data: SelectionData = data) -> Point:
        return coordinates.pull_back(log_likelihood(data, coordinates.theta(x)), x)

    found: list[tuple[Point, bool]] = []
    if isinstance(data.weights, SmoothWeights):  # find the neighbourhoods with fewer nodes first
        coarse = replace(data, weights=data.weights.coarser())
        # integrals cost time in proportion to k, and with many effects the surface is simple
        ranked = sorted(starts, key=lambda start: f(np.clip(start, low, high), coarse).value)
        starts = ranked[-max(3, MANY_STARTS // len(data.yi)) :]
        near = sorted((climb(partial(f, data=coarse), start, low, high) for start in starts), key=_height)
        starts = [point.at for point, _ in near if point.value > near[-1][0].value - 0.1][-2:]
    found = [climb(f, start, low, high) for start in starts]
    best, done = max(found, key=_height)
    settled = [pair for pair in found if pair[1] and pair[0].value >= best.value - 1e-12 * max(1.0, abs(best.value))]
    best, done = max(settled, key=_height) if settled else (best, done)
    return log_likelihood(data, coordinates.theta(best.at)), best, done


def _height(found: tuple[Point, bool]) -> float:
    return found[0].value


def profile_bounds(
    f: Callable[[FloatArray], Point], best: Point, q: int, low: FloatArray, high: FloatArray, drop: float, step: float
) -> tuple[float, float]:
    """Where the profile likelihood of parameter q falls by `drop` below the maximum, on either side.

    `step` is a first guess of the distance. A side on which it never falls so far ends at the edge of the box.
    """
    memory = [best.at]

    def shortfall(value: float) -> float:
        lo, hi = low.copy(), high.copy()
        lo[q] = hi[q] = value
        starts = [memory[-1], best.at]
        reached = max((climb(f, start, lo, hi)[0] for start in starts), key=lambda point: point.value)
        memory.append(reached.at)
        return best.value - reached.value - drop

    def bound(direction: float, limit: float) -> float:
        memory.append(best.at)
        inside, reach = float(best.at[q]), step
        for _ in range(FAR):
            if inside == limit:
                return limit
            outside = inside + direction * reach
            outside = max(outside, limit) if direction < 0 else min(outside, limit)
            if shortfall(outside) > 0:
                return root(shortfall, *sorted((inside, outside)))
            inside, reach = outside, 2 * reach
        return direction * np.inf

    return bound(-1.0, float(low[q])), bound(1.0, float(high[q]))


def standard_errors(hessian: FloatArray, counted: BoolArray) -> tuple[FloatArray, bool]:
    """Covariance of the counted parameters from the observed information; nan elsewhere, and whether it could be had.

    Returns all nan when the information is singular to working precision or not positive definite.
    """
    n = len(hessian)
    cov = np.full((n, n), np.nan)
    information = -hessian[np.ix_(counted, counted)]
    size = np.diag(information)
    if (size <= 0).any() or not np.isfinite(information).all():
        return cov, False
    unit = 1 / np.sqrt(size)
    values, vectors = np.linalg.eigh(unit[:, None] * information * unit)
    if values[0] < 1e-11 * values[-1]:
        return cov, False
    cov[np.ix_(counted, counted)] = unit[:, None] * ((vectors / values) @ vectors.T) * unit
    return cov, True
