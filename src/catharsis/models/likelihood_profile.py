"""The log-likelihood along tau^2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.marginal import log_likelihood, moments
from catharsis.models.heterogeneity_intervals import heterogeneity_interval
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit


def likelihood_profile(model: Fit, tau2: Sequence[float] | FloatArray | None = None) -> pd.DataFrame:
    """The (restricted) log-likelihood along tau^2, coefficients at their best (univariate models).

    Parameters
    ----------
    tau2 : sequence of float, optional
        Values, squared units; by default 0 and 40 steps that reach beyond the estimate and the Q-profile interval.

    Returns
    -------
    pandas.DataFrame
        Columns tau2 and llf; the full likelihood for ML, the restricted one for every other method.

    Raises
    ------
    ModelError
        For models with random factors, and for values that are not variances.

    References
    ----------
    [@hardy1996]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]).profile([0.0, 0.1225, 1.0])["llf"].round(3).tolist()
    [-3.029, -1.001, -2.028]
    """
    import pandas as pd

    if model.blocks.factors != ("effect",):
        raise ModelError("profile() along tau^2 belongs to univariate models")
    if tau2 is None:
        _, high = heterogeneity_interval(
            model.blocks.y, model.vi, model.blocks.X, model.tau2, "PM", model.typical_variance, model.level
        )
        values = np.linspace(0, 1.2 * max(high, 2 * model.tau2, float(np.median(model.vi))), 41)
    else:
        values = np.atleast_1d(np.asarray(tau2, dtype=float))
    if values.ndim != 1 or not (np.isfinite(values).all() and (values >= 0).all()):
        raise ModelError("profile() needs values of tau^2: finite numbers that are not negative")
    reml = model.method != "ML"
    heights = [log_likelihood(model.blocks, moments(model.blocks, np.array([t])), reml) for t in values]
    return pd.DataFrame({"tau2": values, "llf": heights})
