"""Shrunken true effects and random effects of univariate models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, critical_value

if TYPE_CHECKING:
    from catharsis.models.result import Fit


def shrunken_effects(model: Fit) -> tuple[FloatArray, FloatArray]:
    """Shrunken true effects of the studies and their standard errors, (k,) each [@raudenbush2009]."""
    keep, lever = _shrinkage(model, "shrunken effects are")
    centre = model.blocks.X @ model.beta
    return keep * model.blocks.y + (1 - keep) * centre, np.sqrt(keep * model.vi + (1 - keep) ** 2 * lever)


def random_effects_of(model: Fit, level: float | None = None) -> Any:
    """How far each study's true effect lies from its average: the random effects (univariate models).

    The standard errors are those of the difference between the predicted and the true random effect; tau^2 counts
    as known.

    Parameters
    ----------
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by effect; columns estimate, se, low, high.

    Raises
    ------
    ModelError
        With weights of the user's own.

    References
    ----------
    [@raudenbush2009]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="DL", test="z")
    >>> model.ranef()["estimate"].round(3).to_dict()
    {'1': -0.288, '2': -0.031, '3': 0.319}
    """
    import pandas as pd

    keep, lever = _shrinkage(model, "random effects are")
    estimate = keep * (model.blocks.y - model.blocks.X @ model.beta)
    se = np.sqrt(keep * model.vi + keep**2 * lever)
    reach = critical_value(model.probability_of(level), model.df) * se
    return pd.DataFrame(
        {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach}, index=list(model.labels)
    )


def _shrinkage(model: Fit, what: str) -> tuple[FloatArray, FloatArray]:
    """tau^2 / (tau^2 + v) and the variance of the fitted average, (k,) each."""
    if model.blocks.factors != ("effect",):
        raise ModelError(f"{what} offered for univariate models")
    if model.weights is not None:
        raise ModelError(f"{what} offered for inverse-variance weights: fit without weights=")
    lever = np.einsum("ij,jk,ik->i", model.blocks.X, model.cov, model.blocks.X)
    return model.tau2 / (model.tau2 + model.vi), lever
