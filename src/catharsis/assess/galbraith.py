"""Galbraith's radial plot: effects in standard errors against their precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.funnel_data import fitted_model
from catharsis.errors import ModelError
from catharsis.models.deletion import is_univariate
from catharsis.models.result import Fit

if TYPE_CHECKING:
    import pandas as pd


def radial(fit: Fit, center: bool = False) -> pd.DataFrame:
    """The points of a radial plot; the line through the origin with the slope of the estimate is the model.

    Parameters
    ----------
    fit : Fit
        A univariate fit without moderators. The standard errors are sqrt(v), for a random-effects model
        sqrt(v + tau^2).
    center : bool
        Subtract the estimate from the effects, so that the line is horizontal.

    Returns
    -------
    pandas.DataFrame
        Indexed by effect: `precision` 1 / se (x axis), `z` effect / se (y axis). About 95% of the points lie within
        2 of the line when the model holds.

    Raises
    ------
    ModelError
        With moderators, or with dependent effects.

    References
    ----------
    [@galbraith1988a; @galbraith1988b]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> radial(fit(yi=[0.1, 0.6], vi=[0.01, 0.04], method="EE", test="z")).round(3).to_numpy().tolist()
    [[10.0, 1.0], [5.0, 3.0]]
    """
    import pandas as pd

    fit = fitted_model(fit, "a radial plot")
    if not is_univariate(fit):
        raise ModelError("a radial plot shows independent effects; this model ties some of them together")
    if fit.design.terms != ("intercept",):
        raise ModelError("a radial plot has one slope, so it belongs to models without moderators; use residuals()")
    precision = 1 / np.sqrt(fit.vi + fit.tau2)
    effects = fit.blocks.y - fit.beta[0] if center else fit.blocks.y
    return pd.DataFrame({"precision": precision, "z": effects * precision}, index=pd.Index(fit.labels, name="effect"))
