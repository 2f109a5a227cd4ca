"""Maximum likelihood where each study may have a parameter of its own beside those that all studies share.

The Hessian is then an arrow: diagonal in the studies' own parameters, dense only in the few shared ones. Eliminating
the diagonal first makes a Newton step linear in the number of studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.counts import BoolArray
from catharsis.likelihood.counts_marginal import StudyModel, study_log_likelihoods
from catharsis.numerics import FloatArray

STEPS = 200
ENOUGH = 1e-10  # twice the log-likelihood that a step promises when the next one would be rounding
RUNAWAY = 0.05  # a linear predictor still moving by this much when nothing is gained has its maximum at infinity


@dataclass(frozen=True, slots=True, eq=False)
class Arrow:
    """Which parameters are shared and which are the studies' own.

    Attributes
    ----------
    model : StudyModel
    own : int or None
        The linear predictor that each study has for itself.
    free : (k,) array
        Whether the study's own predictor has a finite maximum; where not, its outcome is not `used`.
    maps : (k, a + b, P) array
        Linear predictors and square-root variances as combinations of the P shared parameters; zero for `own`.
    """

    model: StudyModel
    own: int | None
    free: BoolArray
    maps: FloatArray

    @property
    def predictors(self) -> int:
        """Number of linear predictors."""
        return int(self.model.fixed.shape[1])

    def local(self, shared: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Linear predictors (a, k) and square-root variances (b,)."""
        values = (self.maps @ shared).T
        psi = values[: self.predictors].copy()
        if self.own is not None:
            psi[self.own] = own
        return psi, values[self.predictors :, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """A maximum of the log-likelihood.

    Attributes
    ----------
    shared, own : (P,), (k,) arrays
        Parameters.
    llf : float
        Log-likelihood with all constants.
    slope : (P,) array
        Its gradient by the shared parameters, own ones profiled out.
    information : (P, P) array
        Minus the Hessian, own parameters profiled out.
    own_information, cross : (k,), (k, P) arrays
        The rest of the arrow: minus the second derivatives by the own and by own and shared parameters.
    """

    shared: FloatArray
    own: FloatArray
    llf: float
    slope: FloatArray
    information: FloatArray
    own_information: FloatArray
    cross: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Value and derivatives of the log-likelihood at one place, in the pieces of the arrow."""

    value: float
    noise: float
    slope: FloatArray
    hessian: FloatArray
    own_slope: FloatArray
    own_hessian: FloatArray
    cross: FloatArray

    def profiled(self) -> tuple[FloatArray, FloatArray]:
        """Slope and Hessian by the shared parameters with the own ones at their best."""
        part = self.cross / self.own_hessian[:, None]
        return self.slope - part.T @ self.own_slope, self.hessian - self.cross.T @ part


def look(arrow: Arrow, shared: FloatArray, own: FloatArray) -> _Look:
    """The log-likelihood (without constants) and its derivatives."""
    psi, theta = arrow.local(shared, own)
    jet = study_log_likelihoods(arrow.model, psi, theta)
    slope = np.einsum("krp,kr->p", arrow.maps, jet.gradient)
    bent = np.einsum("krs,ksp->krp", jet.hessian, arrow.maps)
    hessian = np.einsum("krp,krq->pq", arrow.maps, bent)
    k = len(own)
    if arrow.own is None:
        own_slope, own_hessian, cross = np.zeros(k), np.full(k, -1.0), np.zeros((k, len(shared)))
    else:
        own_slope = np.where(arrow.free, jet.gradient[:, arrow.own], 0.0)
        own_hessian = np.where(arrow.free, jet.hessian[:, arrow.own, arrow.own], -1.0)
        cross = np.where(arrow.free[:, None], bent[:, arrow.own], 0.0)
    noise = 1e-14 * float(np.abs(jet.value).sum()) + 1e-13
    return _Look(float(jet.value.sum()), noise, slope, hessian, own_slope, own_hessian, cross)


def maximise(arrow: Arrow, shared: FloatArray, own: FloatArray, held: BoolArray | None = None) -> Maximum:
    """Newton's method with halved steps, made to climb where the likelihood is not concave.

    Parameters
    ----------
    arrow : Arrow
    shared, own : (P,), (k,) arrays
        Where to begin.
    held : (P,) array, optional
        Which shared parameters keep their values (a profile of the likelihood).

    Returns
    -------
    Maximum

    Raises
    ------
    ModelError
        When the maximum lies at infinity, or is not reached.
    """
    moving = np.ones(len(shared), dtype=bool) if held is None else ~np.asarray(held, dtype=bool)
    here = look(arrow, shared, own)
    for _ in range(STEPS):
        steps = _climb(here, moving)
        gain = float(here.slope @ steps[0] + here.own_slope @ steps[1])
        moved = np.abs((arrow.maps @ steps[0])[:, : arrow.predictors]).max(initial=0.0)
        if gain < ENOUGH:
            if moved > RUNAWAY:
                raise ModelError(
                    "the likelihood has no maximum: some coefficient grows without limit, because events occur in all "
                    "or none of the studies (or groups) that it describes; drop or merge moderators"
                )
            shared, own = shared + steps[0], own + steps[1]
            return _settle(arrow, shared, own)
        size = 1.0
        for _ in range(50):
            with np.errstate(over="ignore", invalid="ignore"):
                try:
                    there = look(arrow, shared + size * steps[0], own + size * steps[1])
                except ModelError:
                    there = None
            if there is not None and there.value >= here.value - here.noise:
                break
            size /= 2
        else:
            break
        shared, own, here = shared + size * steps[0], own + size * steps[1], there
    raise ModelError("the likelihood's maximum is not reached; rescale the moderators or use fewer of them")


def _climb(here: _Look, moving: BoolArray) -> tuple[FloatArray, FloatArray]:
    """A Newton step; directions in which the likelihood is convex are turned round."""
    shared = np.zeros(len(moving))
    own_hessian = -np.abs(here.own_hessian)
    part = here.cross / own_hessian[:, None]
    slope = (here.slope - part.T @ here.own_slope)[moving]
    hessian = (here.hessian - here.cross.T @ part)[np.ix_(moving, moving)]
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(-hessian * np.outer(unit, unit))
    bend = np.maximum(np.abs(values), 1e-12)
    shared[moving] = unit * (vectors @ ((vectors.T @ (unit * slope)) / bend))
    return shared, -(here.own_slope + here.cross @ shared) / own_hessian


def _settle(arrow: Arrow, shared: FloatArray, own: FloatArray) -> Maximum:
    here = look(arrow, shared, own)
    slope, hessian = here.profiled()
    return Maximum(
        shared, own, here.value + arrow.model.log_base, slope, -hessian, np.where(arrow.free, -here.own_hessian, 0.0),
        -here.cross,
    )  # fmt: skip
