"""(Restricted) maximum likelihood of the parameters of structured random effects.

Damped Fisher scoring from several starts along smooth coordinates (`likelihood.structures`), then Newton's method on
the analytic score, whose differences give the curvature. Newton is needed where the expected information misleads: at
a correlation of one or a variance of zero it vanishes, the curvature does not. A stationary point with a direction
that rises (a saddle) is left along that direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.marginal import Moments, covariance, log_likelihood, moments, slope
from catharsis.likelihood.structures import SPATIAL, Coordinates, coordinates, free_coordinates
from catharsis.numerics import FloatArray, symmetric

BoolArray = NDArray[np.bool_]

SCORING_STEPS = 200
NEWTON_STEPS = 40
NEAR = 1e-4  # log-likelihood units still promised: from here on Newton's method is better than scoring
DONE = 1e-15  # of the log-likelihood's size
SETTLED = 1e-7  # of the log-likelihood's size: more than this promised at the end is no maximum
LONGEST = 0.7  # largest change of an angle, radians, or of a log range, in one step
APART = 2e-5  # coordinates' step for differences of the score, in standard errors or radians
FLAT = 1e-7  # log-likelihood units per squared radian: a correlation about which the data say nothing
SADDLE = 1e-6  # curvature upwards that is more than rounding
LIFT = 1e-2  # squared typical standard errors
RIVAL = 0.5  # log-likelihood units: a start that has come this close to the best is followed to its end
ELSEWHERE = 0.05  # relative difference of parameters beyond which two ends are different places
SINGULAR = 1e-9  # eigenvalue, sampling variances = 1, that counts as zero
SNAP = 1e-6  # standard deviation (typical standard error = 1) or distance of a correlation from its bound


@dataclass(frozen=True, slots=True)
class Space:
    """All coordinates of a model: the variances of its random factors, then those of each structure."""

    blocks: Blocks
    given: FloatArray
    parts: tuple[Coordinates, ...]
    reml: bool

    def split(self, at: FloatArray) -> list[FloatArray]:
        """The coordinates of each structure."""
        edges = np.cumsum([self.blocks.intercepts, *(part.structure.parameters for part in self.parts)])
        return [at[a:b] for a, b in pairwise(edges)]

    def natural(self, at: FloatArray) -> FloatArray:
        """Theta of a point."""
        own = self.split(at)
        return np.concatenate(
            [at[: self.blocks.intercepts], *(c.natural(x) for c, x in zip(self.parts, own, strict=True))]
        )

    def point(self, theta: FloatArray) -> FloatArray:
        """A point with parameters theta; held values take the place of those given."""
        theta = np.where(np.isnan(self.given), theta, self.given)
        own = self.split(theta)
        return np.concatenate(
            [theta[: self.blocks.intercepts], *(c.point(x) for c, x in zip(self.parts, own, strict=True))]
        )

    def lower(self) -> FloatArray:
        """Bounds."""
        return np.concatenate([np.zeros(self.blocks.intercepts), *(part.lower() for part in self.parts)])

    def free(self) -> BoolArray:
        """Coordinates that may move."""
        first = np.isnan(self.given[: self.blocks.intercepts])
        return np.concatenate([first, *(free_coordinates(part) for part in self.parts)])

    def angles(self) -> BoolArray:
        """Coordinates that are angles or log ranges."""
        found = [np.zeros(self.blocks.intercepts, dtype=bool)]
        for part in self.parts:
            found.append(np.arange(part.structure.parameters) >= part.structure.variances)
        return np.concatenate(found)

    def along(self, at: FloatArray) -> list[FloatArray]:
        """Derivatives of M along each coordinate, for each stack."""
        own = self.split(at)
        within = [c.level_slopes(x) for c, x in zip(self.parts, own, strict=True)]
        found = []
        for stack in self.blocks.stacks:
            parts = [c.slopes(p, x, dG) for c, p, x, dG in zip(self.parts, stack.patterns, own, within, strict=True)]
            found.append(np.concatenate([stack.K, *parts]))
        return found


@dataclass(frozen=True, slots=True)
class Peak:
    """Where a climb ended: theta, its log-likelihood, and the parameters about which the likelihood is flat."""

    theta: FloatArray
    height: float
    flat: tuple[int, ...]
    promised: float


@dataclass(frozen=True, slots=True)
class _Here:
    at: FloatArray
    theta: FloatArray
    found: Moments
    height: float


def climb_structures(blocks: Blocks, given: FloatArray, reml: bool, start: FloatArray | None = None) -> Peak:
    """The highest point of the likelihood of a model with structures, in units of the typical standard error.

    Parameters
    ----------
    blocks : Blocks
        The model, rescaled.
    given : (s,) array
        Parameters held at a value, nan where estimated.
    reml : bool
        Restricted likelihood, or the full one.
    start : (s,) array, optional
        A start known to be near; otherwise several.

    Raises
    ------
    ModelError
        When no start reaches a stationary point, or the likelihood grows without bound because V is singular.
    """
    first = blocks.intercepts
    parts = []
    for structure in blocks.structures:
        parts.append(coordinates(structure, given[first : first + structure.parameters]))
        first += structure.parameters
    space = Space(blocks, given, tuple(parts), reml)
    places = starts(blocks) if start is None else [_lifted(blocks, start)]
    begun = [_approach(space, theta) for theta in places]
    tied = [stack for stack in blocks.stacks if _singular(stack, stack.V).any()]
    near = [here for here in begun if here is not None and not _runs_away(tied, here.theta)]
    near.sort(key=lambda here: -here.height)
    if not near and tied:
        raise _without_bound(tied)
    if not near:
        raise ModelError("the parameters given for the random effects leave no positive definite covariance")
    ended = [peak for here in _different(near) if (peak := _finish(space, here)) and not _runs_away(tied, peak.theta)]
    if not ended:
        raise _without_bound(tied)
    best = max(ended, key=lambda peak: peak.height)
    if best.promised > SETTLED * (1 + abs(best.height)):
        if start is not None:  # the near start was not near enough
            return climb_structures(blocks, given, reml)
        raise ModelError(
            "the parameters of the random effects did not settle; the likelihood is nearly flat: "
            'use a simpler structure (struct="CS" or "ID") or fewer random effects'
        )
    return best


def _singular(stack: Stack, M: FloatArray) -> BoolArray:
    """Which blocks (b,) of a covariance are singular, on the scale of the sampling variances."""
    variances = np.diagonal(stack.V, axis1=1, axis2=2)
    root = np.sqrt(np.where(variances > 0, variances, 1.0))
    return np.asarray(np.linalg.eigvalsh(M / root[:, :, None] / root[:, None, :])[:, 0] < SINGULAR)


def _runs_away(tied: list[Stack], theta: FloatArray) -> bool:
    """Whether a climb ended where M has become singular with V: the likelihood has no maximum there."""
    return any(bool(_singular(stack, covariance(stack, theta)).any()) for stack in tied)


def _without_bound(tied: list[Stack]) -> ModelError:
    """The error that names the effects whose V is singular."""
    rows = tied[0].rows[int(np.argmax(_singular(tied[0], tied[0].V)))]
    return ModelError(
        "the likelihood grows without bound as the random effects vanish: V of effects "
        f"{', '.join(str(row + 1) for row in rows)} is singular (effects correlated perfectly); leave one of them out, "
        "or hold the variances (tau2=, sigma2=)"
    )


def starts(blocks: Blocks) -> list[FloatArray]:
    """Four places to start from: large and small variances, correlations high, none and negative."""
    count = blocks.intercepts + len(blocks.structures)
    spread = max(float(np.var(blocks.y)), 1.0) / (1 + count)
    found = []
    for share, near in ((1.0, 0.5), (0.1, 0.5), (1.0, 0.0), (0.3, -0.4)):
        theta = [np.full(blocks.intercepts, share * spread)]
        for structure in blocks.structures:
            low, high = structure.bounds()
            q = len(structure.levels)
            if structure.kind in SPATIAL:
                rho = structure.reach * (0.3 if near <= 0 else 1.0)
            else:
                rho = max(near, low / 2 if structure.correlations == 1 else -0.5 / max(q - 1, 1))
                rho = max(rho, 0.1) if low == 0 and high == 1 else rho
            v = structure.variances
            theta.append(share * spread / structure.size[:v] ** 2)
            theta.append(np.full(structure.correlations, rho))
        found.append(np.concatenate(theta))
    return found


def _lifted(blocks: Blocks, theta: FloatArray) -> FloatArray:
    """A near start with no variance of a structure at zero, where nothing shows the way up."""
    found, first = theta.copy(), blocks.intercepts
    for structure in blocks.structures:
        v = structure.variances
        found[first : first + v] = np.maximum(found[first : first + v], LIFT / structure.size[:v] ** 2)
        first += structure.parameters
    return found


def _evaluate(space: Space, at: FloatArray) -> _Here | None:
    """The likelihood at a point; None where there is none."""
    try:
        theta = space.natural(at)
        found = moments(space.blocks, theta)
    except ModelError:  # a matrix that is not positive definite: this step went too far
        return None
    height = log_likelihood(space.blocks, found, space.reml)
    return _Here(at, theta, found, height) if np.isfinite(height) else None


def _score(space: Space, here: _Here) -> tuple[FloatArray, FloatArray]:
    found = slope(space.blocks, here.theta, here.found, space.reml, space.along(here.at))
    return found.score, found.information


def _approach(space: Space, theta: FloatArray) -> _Here | None:
    """Near a maximum, by scoring; None when nothing can be evaluated at the start, or M turns singular on the way."""
    here = _evaluate(space, space.point(theta))
    try:
        return here and _scoring(space, here, space.lower(), space.free(), space.angles())
    except np.linalg.LinAlgError:  # V is singular, and its random effects vanish
        return None


def _different(near: list[_Here]) -> list[_Here]:
    """The highest, and others that are about as high and lie elsewhere: other maxima, it may be."""
    found = [near[0]]
    for here in near[1:]:
        if here.height < near[0].height - RIVAL:
            break
        if all(np.abs(here.theta - other.theta).max() > ELSEWHERE * (1 + np.abs(other.theta).max()) for other in found):
            found.append(here)
    return found


def _finish(space: Space, here: _Here) -> Peak | None:
    """The top of a hill, by Newton's method; None when M turns singular on the way."""
    try:
        return _topped(space, here)
    except np.linalg.LinAlgError:  # as in _approach
        return None


def _topped(space: Space, here: _Here) -> Peak:
    lower, may, angle = space.lower(), space.free(), space.angles()
    for _ in range(6):
        here, promised, curvature, moving = _newton(space, here, lower, may, angle)
        over = _off_the_saddle(space, here, curvature, moving, lower)
        if over is None:
            break
        here = _scoring(space, over, lower, may, angle)
    here = _snapped(space, here)
    flat = [int(j) for j in np.flatnonzero(moving & angle) if np.abs(curvature[j]).max() < FLAT]
    return Peak(here.theta, here.height, tuple(flat), promised)


def _moving(at: FloatArray, score: FloatArray, lower: FloatArray, may: BoolArray) -> BoolArray:
    return may & ~((at <= lower) & (score <= 0))


def _capped(step: FloatArray, angle: BoolArray) -> FloatArray:
    return np.where(angle, np.clip(step, -LONGEST, LONGEST), step)


def _scoring(space: Space, here: _Here, lower: FloatArray, may: BoolArray, angle: BoolArray) -> _Here:
    """Damped Fisher scoring until little is promised."""
    damping = 1e-3
    for _ in range(SCORING_STEPS):
        score, information = _score(space, here)
        moving = _moving(here.at, score, lower, may)
        if not moving.any():
            return here
        inner, g = information[np.ix_(moving, moving)], score[moving]
        size = np.diag(inner) + 1e-8
        if float(g @ np.linalg.solve(inner + np.diag(1e-8 * size), g)) <= NEAR:
            return here
        while damping < 1e12:
            step = np.zeros_like(score)
            step[moving] = np.linalg.solve(inner + damping * np.diag(size), g)
            trial = _evaluate(space, np.maximum(here.at + _capped(step, angle), lower))
            if trial is not None and trial.height > here.height:
                break
            damping *= 4
        else:
            return here
        gain, here, damping = trial.height - here.height, trial, max(damping / 5, 1e-6)
        if gain <= 1e-9 * (1 + abs(here.height)):
            return here
    return here


def _curvature(space: Space, here: _Here, moving: BoolArray, lower: FloatArray) -> FloatArray:
    """Minus the second derivatives (s, s), from differences of the score; zero where nothing moves."""
    s = len(moving)
    found = np.zeros((s, s))
    for j in np.flatnonzero(moving):
        ends = []
        for side in (1.0, -1.0):
            step = np.zeros(s)
            step[j] = side * APART
            if here.at[j] + step[j] < lower[j]:
                step[j] = 0.0
            there = _evaluate(space, here.at + step)
            if there is None:
                step[j], there = 0.0, here
            ends.append((step[j], _score(space, there)[0]))
        (up, high), (down, low) = ends
        if up != down:
            found[:, j] = (low - high) / (up - down)
    found[~moving] = 0.0
    return symmetric(found)


def _newton(
    space: Space, here: _Here, lower: FloatArray, may: BoolArray, angle: BoolArray
) -> tuple[_Here, float, FloatArray, BoolArray]:
    """Newton's method; returns the end, what it still promises, the curvature there and what could move."""
    score = _score(space, here)[0]
    moving = _moving(here.at, score, lower, may)
    curvature = _curvature(space, here, moving, lower)
    step, promised = _newton_step(score, curvature, moving)
    for _ in range(NEWTON_STEPS):
        if not moving.any() or promised <= DONE * (1 + abs(here.height)):
            break
        length, accepted = 1.0, False
        while length > 1e-6:
            trial = _evaluate(space, np.maximum(here.at + length * _capped(step, angle), lower))
            if trial is not None and trial.height >= here.height - 1e-13 * (1 + abs(here.height)):
                trial_score = _score(space, trial)[0]
                trial_moving = _moving(trial.at, trial_score, lower, may)
                trial_curvature = _curvature(space, trial, trial_moving, lower)
                trial_step, trial_promised = _newton_step(trial_score, trial_curvature, trial_moving)
                gain = trial.height - here.height
                if gain > 1e-10 * (1 + abs(here.height)) or trial_promised < promised:
                    accepted = True
                    break
            length /= 4
        if not accepted or trial is None:
            break
        here, score, moving, curvature = trial, trial_score, trial_moving, trial_curvature
        step, promised = trial_step, trial_promised
    return here, promised, curvature, moving


def _newton_step(score: FloatArray, curvature: FloatArray, moving: BoolArray) -> tuple[FloatArray, float]:
    """An ascent step (curvature made positive) and the gain it promises."""
    step = np.zeros_like(score)
    if not moving.any():
        return step, 0.0
    values, vectors = np.linalg.eigh(curvature[np.ix_(moving, moving)])
    size = np.maximum(np.abs(values), 1e-9 * max(float(np.abs(values).max()), 1e-6))
    turned = vectors.T @ score[moving]
    step[moving] = vectors @ (turned / size)
    return step, float(np.sum(turned**2 / size)) / 2


def _off_the_saddle(
    space: Space, here: _Here, curvature: FloatArray, moving: BoolArray, lower: FloatArray
) -> _Here | None:
    """A higher point along a direction in which the likelihood curves upwards, if there is one."""
    if not moving.any():
        return None
    values, vectors = np.linalg.eigh(curvature[np.ix_(moving, moving)])
    if values[0] > -SADDLE:
        return None
    for length in (0.3, 0.03, -0.3, -0.03):
        step = np.zeros_like(here.at)
        step[moving] = length * vectors[:, 0]
        trial = _evaluate(space, np.maximum(here.at + step, lower))
        if trial is not None and trial.height > here.height + 1e-9 * (1 + abs(here.height)):
            return trial
    return None


def _snapped(space: Space, here: _Here) -> _Here:
    """The same with variances next to zero at zero, and correlations next to a bound at it, if that costs nothing."""
    theta, first = here.theta.copy(), space.blocks.intercepts
    trials: list[tuple[int, float]] = [
        (j, 0.0) for j in range(first) if 0 < theta[j] < SNAP**2 and np.isnan(space.given[j])
    ]
    for structure in space.blocks.structures:
        low, high = structure.bounds()
        for j in range(structure.parameters):
            value = theta[first + j]
            if not np.isnan(space.given[first + j]):
                continue
            if j < structure.variances:
                if 0 < value * structure.size[j] ** 2 < SNAP**2:
                    trials.append((first + j, 0.0))
            elif structure.kind not in SPATIAL:
                trials += [(first + j, bound) for bound in (low, high) if 0 < abs(value - bound) < SNAP]
        first += structure.parameters
    for j, value in trials:
        trial = here.theta.copy()
        trial[j] = value
        try:
            found = moments(space.blocks, trial)
        except ModelError:
            continue
        height = log_likelihood(space.blocks, found, space.reml)
        if height >= here.height - 1e-10 * (1 + abs(here.height)):
            here = _Here(here.at, trial, found, max(height, here.height))
    return here
