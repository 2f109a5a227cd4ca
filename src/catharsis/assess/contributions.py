"""Baujat's plot: which effects make the heterogeneity, and which of them move the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.funnel_data import fitted_model
from catharsis.models.deletion import deletion_notes, deletions
from catharsis.models.result import Fit

if TYPE_CHECKING:
    import pandas as pd


def baujat(fit: Fit) -> pd.DataFrame:
    """Contribution of each effect to heterogeneity and its influence on the fitted value.

    Parameters
    ----------
    fit : Fit
        A univariate fit; an equal-effects model without moderators gives the plot as published, other models its
        generalisation.

    Returns
    -------
    pandas.DataFrame
        Indexed by effect. `heterogeneity`: squared Pearson residual, for an equal-effects model the term of Q.
        `influence`: squared change of the effect's fitted value when it is left out, over the variance of that fitted
        value; nan where the model cannot be fitted without the effect (`attrs["notes"]`).

    Raises
    ------
    ModelError
        When the effects are dependent.

    References
    ----------
    [@baujat2002; @viechtbauer2010b]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> baujat(fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="EE", test="z")).round(3).to_numpy().tolist()
    [[3.165, 2.968], [0.078, 0.037], [6.015, 1.443]]
    """
    import pandas as pd

    fit = fitted_model(fit, "a Baujat plot")
    X, y = fit.blocks.X, fit.blocks.y
    found = deletions(fit, "Baujat plots")
    pearson = (y - X @ fit.beta) ** 2 / (fit.vi + fit.tau2)
    moved = np.einsum("kp,kp->k", X, fit.beta - found.beta)
    spread = np.einsum("ki,kij,kj->k", X, found.cov, X)
    with np.errstate(divide="ignore", invalid="ignore"):
        frame = pd.DataFrame(
            {"heterogeneity": pearson, "influence": moved**2 / spread}, index=pd.Index(fit.labels, name="effect")
        )
    frame.attrs["notes"] = deletion_notes([fit.labels[i] for i in np.flatnonzero(~found.identified)])
    return frame
