"""(Restricted) maximum likelihood of several variance components by Fisher scoring with an active set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import Moments, Slope, log_likelihood, moments, slope
from catharsis.likelihood.nested import Nested
from catharsis.models.structured_components import climb_structures
from catharsis.numerics import FloatArray

BoolArray = NDArray[np.bool_]

MAX_STEPS = 200
RELATIVE_GAIN = 1e-14  # stop when a full step would raise the log-likelihood by less than this share
STRICT = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 2000}  # of the quasi-Newton search, in scaled units
FEW = 3  # components that are also tried each alone
MOST_DOUBLINGS = 30
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
        (s,) estimated components that are zero, or correlations as large as can be.
    flat : tuple of int
        Correlations about which the likelihood says nothing.
    """

    theta: FloatArray
    found: Moments
    llf: float
    at_boundary: tuple[bool, ...]
    flat: tuple[int, ...] = ()


def maximise(
    blocks: Blocks, reml: bool = True, given: FloatArray | None = None, start: FloatArray | None = None
) -> Components:
    """Estimate the variance components of a blocked Gaussian model.

    Parameters
    ----------
    blocks : Blocks
        The model.
    reml : bool
        Restricted likelihood, or the full one.
    given : (s,) array, optional
        Parameters held at a value; nan is estimated.
    start : (s,) array, optional
        Parameters near the maximum, as of a model that differs little.

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
    unit = typical_unit(blocks)
    scaled, units = _rescaled(blocks, unit), _units(blocks, unit)
    held = np.full(len(blocks.factors), np.nan) if given is None else given / units
    flat: tuple[int, ...] = ()
    if blocks.structures:
        peak = climb_structures(scaled, held, reml, None if start is None else start / units)
        theta, flat = peak.theta * units, peak.flat
    else:
        places = _starts(scaled, held, reml) if start is None else [np.where(np.isnan(held), start / units, held)]
        ends = [_climb(scaled, at, held, reml) for at in places]
        theta = _polished(scaled, max(ends, key=lambda end: end.height), held, reml) * units
    theta = theta if given is None else np.where(np.isnan(given), theta, given)
    found = moments(blocks, theta)
    return Components(theta, found, log_likelihood(blocks, found, reml), _boundary(blocks, theta, held), flat)


def typical_unit(blocks: Blocks) -> float:
    """The median sampling variance, by which problems are scaled; the largest when most are zero, 1 when all are."""
    typical = float(np.median(blocks.variances))
    return typical if typical > 0 else float(np.max(blocks.variances, initial=0.0)) or 1.0


def _units(blocks: Blocks, unit: float) -> FloatArray:
    """(s,) unit of each parameter: squared for variances, none for correlations."""
    found = [np.full(blocks.intercepts, unit)]
    for structure in blocks.structures:
        found.append(np.where(np.arange(structure.parameters) < structure.variances, unit, 1.0))
    return np.concatenate(found)


def _boundary(blocks: Blocks, theta: FloatArray, held: FloatArray) -> tuple[bool, ...]:
    """Which estimated parameters lie at a bound: a variance of zero, a correlation as large as can be."""
    at = [bool(t == 0) for t in theta[: blocks.intercepts]]
    for structure in blocks.structures:
        low, high = structure.bounds()
        part = theta[len(at) : len(at) + structure.parameters]
        at += [bool(t == 0 if j < structure.variances else t in (low, high)) for j, t in enumerate(part)]
    return tuple(edge and bool(np.isnan(value)) for edge, value in zip(at, held, strict=True))


def _starts(blocks: Blocks, held: FloatArray, reml: bool) -> list[FloatArray]:
    """Every hill that shows from zero along a few straight lines, and a place near zero.

    Sampling variances that differ widely can give the likelihood two peaks, and a climb sees only its own. The lines
    are equal shares of all components and, when they are few, each component alone; the steps double the variance.
    """
    count = len(blocks.factors)
    if not np.isnan(held).any():
        return [held]
    lines = [np.full(count, 1 / count), *(np.eye(count) if 1 < count <= FEW else ())]
    sizes = _sizes(blocks)
    found = [np.full(count, 0.01)]
    for line in lines:
        heights = [_height(blocks, np.where(np.isnan(held), size * line, held), reml) for size in sizes]
        inside = np.concatenate([[-np.inf], heights, [-np.inf]])
        peaks = np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:]))
        found += [sizes[i] * line for i in peaks]
    return [np.where(np.isnan(held), at, held) for at in found]


def _sizes(blocks: Blocks) -> FloatArray:
    """Total random variances, doubling, from below the smallest sampling variance to above all that the data show."""
    v = blocks.variances[blocks.variances > 0]
    top = 2 * max(float(np.var(blocks.y)), 1.0)
    lowest = min(max(float(v.min(initial=1.0)), top / 2**MOST_DOUBLINGS), top / 4)
    return np.asarray(np.geomspace(lowest / 2, top, int(np.ceil(np.log2(2 * top / lowest))) + 1))


def _height(blocks: Blocks, theta: FloatArray, reml: bool) -> float:
    try:
        return log_likelihood(blocks, moments(blocks, theta), reml)
    except ModelError:  # a singular V: no place to start from
        return -np.inf


def _rescaled(blocks: Blocks, unit: float) -> Blocks:
    """The same model in units of the typical standard error, so that no tolerance depends on the unit."""
    ties = blocks.ties
    scaled = ties.scaled(unit) if isinstance(ties, Nested) else tuple(replace(s, V=s.V / unit) for s in ties)
    return replace(blocks, y=blocks.y / np.sqrt(unit), ties=scaled)


@dataclass(frozen=True, slots=True)
class _End:
    """Where a climb ended, its log-likelihood, and the next step with what it promises, if there is one."""

    theta: FloatArray
    height: float
    direction: FloatArray | None = None
    promised: float = 0.0


def _climb(blocks: Blocks, theta: FloatArray, held: FloatArray, reml: bool) -> _End:
    """Fisher scoring from a start until the likelihood hardly rises."""
    found = moments(blocks, theta)
    height = log_likelihood(blocks, found, reml)
    for _ in range(MAX_STEPS):
        here = slope(blocks, theta, found, reml)
        free = _free(theta, here, held)
        if not free.any():
            return _End(theta, height)
        direction, promised = _scoring(here, free)
        if promised <= RELATIVE_GAIN * (1 + abs(height)):
            return _End(theta, height, direction, promised)
        theta, found, height, moved = _step(blocks, theta, direction, height, found, reml)
        if not moved:
            return _End(theta, height)
    return _bounded(blocks, theta, held, reml)


def _free(theta: FloatArray, here: Slope, held: FloatArray) -> BoolArray:
    """Components that may move: not held, and not at zero with the likelihood falling."""
    return np.isnan(held) & ((theta > 0) | (here.score > 0))


def _bounded(blocks: Blocks, theta: FloatArray, held: FloatArray, reml: bool) -> _End:
    """A quasi-Newton search, for the rare likelihoods on which the expected information misleads Fisher scoring."""
    from scipy.optimize import minimize

    def downhill(at: FloatArray) -> tuple[float, FloatArray]:
        found = moments(blocks, at)
        return -log_likelihood(blocks, found, reml), -slope(blocks, at, found, reml).score

    bounds = [(0, None) if np.isnan(value) else (value, value) for value in held]
    end = minimize(downhill, theta, jac=True, method="L-BFGS-B", bounds=bounds, options=STRICT)
    here = slope(blocks, end.x, moments(blocks, end.x), reml)
    free = _free(end.x, here, held)
    if free.any() and _scoring(here, free)[1] > FLAT:
        raise ModelError(
            "the variance components did not settle; the likelihood is nearly flat: use fewer random factors"
        )
    return _End(np.asarray(end.x), -float(end.fun))


def _scoring(here: Slope, free: BoolArray) -> tuple[FloatArray, float]:
    """The Fisher scoring step of the free components, and twice the gain that it promises."""
    direction = np.zeros_like(here.score)
    information = here.information[np.ix_(free, free)] + 1e-12 * np.eye(int(free.sum()))  # scaled units
    direction[free] = np.linalg.solve(information, here.score[free])
    return direction, float(here.score @ direction)


def _polished(blocks: Blocks, end: _End, held: FloatArray, reml: bool) -> FloatArray:
    """Further steps while the score shrinks: it is accurate where differences of the likelihood are rounding errors."""
    if end.direction is None:
        return end.theta
    theta, direction, promised = end.theta, end.direction, end.promised
    for _ in range(MAX_STEPS):
        trial = np.maximum(theta + direction, 0.0)
        try:
            here = slope(blocks, trial, moments(blocks, trial), reml)
        except ModelError:  # a singular V: the boundary is out of reach
            return theta
        free = _free(trial, here, held)
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
