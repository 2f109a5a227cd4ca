"""Fitted averages on the scale that readers know: risk ratios, shares, correlations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.effects.measures import MEASURES
from catharsis.effects.transformations import transform
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit

FACTORS = ("exp",)  # scales on which a coefficient itself means something: it multiplies
LONG = {"tanh": "ztor", "expit": "ilogit"}  # the measures' words for two transformations
OF_SIZE = {"PFT": "ipft", "IRFT": "iirft"}  # measures whose way back needs a sample size or time


def readers_scale(
    model: Fit, measure: str | None = None, transformation: str | None = None, x: FloatArray | None = None, **given: Any
) -> pd.DataFrame:
    """Averages of a fit, their confidence and prediction intervals, on the reader's scale.

    Parameters
    ----------
    model : Fit
        The fitted model.
    measure : str, optional
        metafor's code of the effects ("RR", "ZCOR", "PLO", ...), which names the transformation; known without being
        told when the data came from `catharsis.effect_size`.
    transformation : str, optional
        A name of `catharsis.transform` instead, e.g. "ilogit.int".
    x : (r, p) array, optional
        Settings of the moderators, one per row; by default each coefficient on its own.
    **given
        What the transformation needs: n for "ipft", t for "iirft"; tau2 of the ".int" ones is the model's.

    Returns
    -------
    pandas.DataFrame
        Columns estimate, low, high, pi_low, pi_high; index the coefficients, or the rows of `x`. On a multiplicative
        scale every coefficient is a factor. Elsewhere a difference has no place on the reader's scale: coefficients
        other than the intercept (or than the means of a model without one) are nan; ask for settings `x` instead.

    Raises
    ------
    ModelError
        Unknown measure, or neither measure nor transformation.

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> model = fit(yi=[-0.9, -0.4, -0.1], vi=[0.02, 0.03, 0.05], test="z")
    >>> readers_scale(model, "RR").round(3).loc["intercept", ["estimate", "low", "high"]].tolist()
    [0.613, 0.387, 0.97]
    """
    import pandas as pd

    name = transformation or _named(measure or model.measure)
    if name.endswith((".int", ".mode")):
        given = {"tau2": model.tau2} | given
    p = model.blocks.p
    try:
        rows = np.eye(p) if x is None else np.atleast_2d(np.asarray(x, dtype=float))
    except (TypeError, ValueError):
        raise ModelError("x holds something that is not a number; give one row of X for each setting") from None
    found = [model.predict(row) for row in rows]
    columns = {
        column: np.array([getattr(one, column) for one in found])
        for column in ("estimate", "low", "high", "pi_low", "pi_high")
    }
    if name != "none":
        columns = {column: transform(values, name, **given) for column, values in columns.items()}
    index = list(model.design.terms) if x is None else list(range(len(rows)))
    frame = pd.DataFrame(columns, index=index)
    if x is None:
        differences = [term != "intercept" for term in model.design.terms] if "intercept" in index else [False] * p
        if name not in (*FACTORS, "none"):
            frame.loc[differences] = np.nan
        frame.loc[differences, ["pi_low", "pi_high"]] = np.nan  # a new study has no coefficient
    return frame


def _named(measure: str | None) -> str:
    if measure is None:
        raise ModelError('say which measure the effects are, e.g. "RR", or which transformation to use, e.g. "exp"')
    if measure not in MEASURES:
        raise ModelError(f'there is no measure "{measure}": {did_you_mean(measure, list(MEASURES))}')
    back = OF_SIZE.get(measure, MEASURES[measure].back)
    return LONG.get(back, back)
