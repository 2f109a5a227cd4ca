"""(Restricted) maximum likelihood of several variance components by Fisher scoring with an active set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.marginal import Moments, Slope, log_likelihood, moments, slope
from catharsis.numerics import FloatArray

BoolArray = NDArray[np.bool_]

MAX_STEPS = 200
RELATIVE_GAIN = 1e-14  # stop when a full step would raise the log-likelihood by less than this share
STRICT = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 2000}  # of the quasi-Newton search, in scaled units
FLAT = 1e-8  # log-likelihood units that a further step may still promise there


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components at the maximum.

    Attributes
    ----------
    theta : (s,) array
        Variances, squared analysis units.
    found : Moments
        The likelihood's moments there.
    llf : float
        The log-likelihood there.
    at_boundary : tuple of bool
        (s,) components that are zero.
    """

    theta: FloatArray
    found: Moments
    llf: float
    at_boundary: tuple[bool, ...]


def maximise(blocks: Blocks, reml: bool = True) -> Components:
    """Estimate the variance components of a blocked Gaussian model.

    Parameters
    ----------
    blocks : Blocks
        The model.
    reml : bool
        Restricted likelihood, or the full one.

    Returns
    -------
    Components

    Raises
    ------
    ModelError
        When no maximum is reached; says what to try.

    References
    ----------
    [@gilmour1995; @vandennoortgate2013]
    """
    diagonal = np.concatenate([np.diagonal(stack.V, axis1=1, axis2=2).ravel() for stack in blocks.stacks])
    unit = float(np.median(diagonal))
    scaled = _rescaled(blocks, unit)
    spread = max(float(np.var(scaled.y)), 1.0)
    starts = [np.full(len(blocks.factors), spread / (1 + len(blocks.factors))), np.full(len(blocks.factors), 0.01)]
    best = max((_climb(scaled, start, reml) for start in starts), key=lambda end: end[1])
    theta = best[0] * unit
    found = moments(blocks, theta)
    return Components(theta, found, log_likelihood(blocks, found, reml), tuple(bool(t == 0) for t in theta))


def _rescaled(blocks: Blocks, unit: float) -> Blocks:
    """The same model in units of the typical standard error, so that no tolerance depends on the unit."""
    stacks = tuple(Stack(stack.rows, stack.V / unit, stack.K) for stack in blocks.stacks)
    return Blocks(blocks.y / np.sqrt(unit), blocks.X, stacks, blocks.factors)


def _climb(blocks: Blocks, theta: FloatArray, reml: bool) -> tuple[FloatArray, float]:
    found = moments(blocks, theta)
    height = log_likelihood(blocks, found, reml)
    for _ in range(MAX_STEPS):
        here = slope(blocks, theta, found, reml)
        free = (theta > 0) | (here.score > 0)
        if not free.any():
            return theta, height
        direction, promised = _scoring(here, free)
        if promised <= RELATIVE_GAIN * (1 + abs(height)):
            return _polished(blocks, theta, direction, promised, reml), height
        theta, found, height, moved = _step(blocks, theta, direction, height, found, reml)
        if not moved:
            return theta, height
    return _bounded(blocks, theta, reml)


def _bounded(blocks: Blocks, theta: FloatArray, reml: bool) -> tuple[FloatArray, float]:
    """A quasi-Newton search, for the rare likelihoods on which the expected information misleads Fisher scoring."""
    from scipy.optimize import minimize

    def downhill(at: FloatArray) -> tuple[float, FloatArray]:
        found = moments(blocks, at)
        return -log_likelihood(blocks, found, reml), -slope(blocks, at, found, reml).score

    end = minimize(downhill, theta, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(theta), options=STRICT)
    here = slope(blocks, end.x, moments(blocks, end.x), reml)
    free = (end.x > 0) | (here.score > 0)
    if free.any() and _scoring(here, free)[1] > FLAT:
        raise ModelError(
            "the variance components did not settle; the likelihood is nearly flat: use fewer random factors"
        )
    return np.asarray(end.x), -float(end.fun)


def _scoring(here: Slope, free: BoolArray) -> tuple[FloatArray, float]:
    """The Fisher scoring step of the free components, and twice the gain that it promises."""
    direction = np.zeros_like(here.score)
    information = here.information[np.ix_(free, free)] + 1e-12 * np.eye(int(free.sum()))  # scaled units
    direction[free] = np.linalg.solve(information, here.score[free])
    return direction, float(here.score @ direction)


def _polished(blocks: Blocks, theta: FloatArray, direction: FloatArray, promised: float, reml: bool) -> FloatArray:
    """Further steps while the score shrinks: it is accurate where differences of the likelihood are rounding errors."""
    for _ in range(MAX_STEPS):
        trial = np.maximum(theta + direction, 0.0)
        try:
            here = slope(blocks, trial, moments(blocks, trial), reml)
        except ModelError:  # a singular V: the boundary is out of reach
            return theta
        free = (trial > 0) | (here.score > 0)
        if not free.any():
            return trial
        next_direction, next_promised = _scoring(here, free)
        if next_promised >= promised:
            return theta
        theta, direction, promised = trial, next_direction, next_promised
    return theta


def _step(
    blocks: Blocks, theta: FloatArray, direction: FloatArray, height: float, found: Moments, reml: bool
) -> tuple[FloatArray, Moments, float, bool]:
    """The longest of the halved steps that does not lower the likelihood."""
    length = 1.0
    while length > 1e-10:
        trial = np.maximum(theta + length * direction, 0.0)
        try:
            trial_found = moments(blocks, trial)
            trial_height = log_likelihood(blocks, trial_found, reml)
        except ModelError:  # a singular V needs some random variance: this step went too far
            trial_height = -np.inf
        if trial_height >= height:
            return trial, trial_found, trial_height, bool(np.any(trial != theta))
        length /= 2
    return theta, found, height, False
