"""Averages at one setting of the moderators, and where the true effect of a new study would fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.marginal import moments
from catharsis.models.kenward_roger import kenward_roger
from catharsis.models.knapp_hartung import knapp_hartung_scale
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    from catharsis.models.result import Fit


@dataclass(frozen=True, slots=True)
class Prediction:
    """The average effect at one setting of the moderators, and where a new study would fall.

    Attributes
    ----------
    estimate, se, low, high : float
        The average and its confidence interval.
    pi_low, pi_high : float
        Prediction interval for the true effect of a new study; nan when heterogeneity is not modelled.
    """

    estimate: float
    se: float
    low: float
    high: float
    pi_low: float
    pi_high: float


def new_study_interval(
    model: Fit,
    kind: Literal["HTS", "HK", "KR"],
    x: Sequence[float] | FloatArray | None = None,
    level: float | None = None,
) -> Prediction:
    """A prediction interval with a standard error and degrees of freedom of its own, whatever the test.

    Parameters
    ----------
    kind : str
        HTS: plain standard error, t with k - p - 1 degrees of freedom [@higgins2009]. HK: Knapp-Hartung standard
        error, k - p. KR: Kenward-Roger standard error and degrees of freedom [@partlett2017].
    x : (p,) sequence, optional
        A row of X; the intercept alone by default.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    Prediction
        As from `predict`, but for the limits of the prediction interval.

    Raises
    ------
    ModelError
        For models with random factors, and for KR without REML.

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> model = fit(yi=[0.1, 0.4, 0.9, 0.3], vi=[0.02, 0.03, 0.05, 0.02])
    >>> found = model.prediction_interval("HTS")
    >>> round(found.pi_low, 3), round(found.pi_high, 3)
    (-0.905, 1.69)
    """
    row, level = model.setting(x), model.probability_of(level)
    found = model.predict(row, level)
    error, df = _new_study(model, row, kind)
    spread = model.prediction_reach(error, df, level)
    return replace(found, pi_low=found.estimate - spread, pi_high=found.estimate + spread)


def new_study_df(model: Fit, kind: Literal["HTS", "HK", "KR"], x: Sequence[float] | FloatArray | None = None) -> float:
    """Degrees of freedom of `prediction_interval`; none are left, and it is nan, unless they are positive."""
    return _new_study(model, model.setting(x), kind)[1]


def _new_study(model: Fit, row: FloatArray, kind: str) -> tuple[float, float]:
    """Standard error of the average and degrees of freedom of a prediction interval by name."""
    if kind not in ("HTS", "HK", "KR"):
        raise ModelError(f'there is no prediction interval "{kind}": {did_you_mean(kind, ["HTS", "HK", "KR"])}')
    if model.blocks.factors != ("effect",):
        raise ModelError(f"the prediction interval {kind} belongs to univariate models")
    y, X = model.blocks.y, model.blocks.X
    if kind == "KR":
        if model.method != "REML" or model.held or model.weights is not None:
            raise ModelError("the prediction interval KR rests on REML without weights; use HTS or HK")
        found = kenward_roger(model.vi, X, model.tau2)
        return float(np.sqrt(row @ found.cov @ row)), found.df(row)
    if model.weights is None:
        plain = moments(model.blocks, model.theta).cov()
    else:
        plain = model.cov / model.scale if model.scale > 0 else np.full_like(model.cov, np.nan)
    se = float(np.sqrt(row @ plain @ row))
    if kind == "HTS":
        return se, float(model.df_resid - 1)
    return se * float(np.sqrt(knapp_hartung_scale(y, model.vi, X, model.tau2, False))), float(model.df_resid)
