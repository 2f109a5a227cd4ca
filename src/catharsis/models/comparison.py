"""Two fits of the same effects, compared by the likelihood-ratio test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.numerics import chi2_upper

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit

SPAN = 1e-8  # share of a moderator that may lie outside the larger model's columns and still count as inside: rounding
WORSE = 1e-8  # log-likelihood units by which the larger model may fall behind through rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A likelihood-ratio test of a smaller against a larger model.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Difference of the numbers of parameters.
    p : float
        Upper tail of chi-square; conservative when the smaller model sets a variance to zero.
    R2 : float
        Share of the smaller model's heterogeneity that the larger one accounts for, in percent; nan when neither
        models it or the smaller one finds none.
    frame : pandas.DataFrame
        One row per model: parameters, df, AIC, BIC, AICc, log-likelihood, QE and tau^2.
    notes : tuple of str
        What every reader must be told.
    """

    statistic: float
    df: int
    p: float
    R2: float
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def likelihood_ratio(one: Fit, other: Fit) -> Comparison:
    """Compare two nested models of the same effects.

    Parameters
    ----------
    one, other : Fit
        In either order; the one with more parameters is the larger model. Models with different moderators must
        both be fitted by ML (or both without heterogeneity), since restricted likelihoods of different moderators
        are not comparable.

    Returns
    -------
    Comparison

    Raises
    ------
    ModelError
        When the effects differ, the methods differ, or neither model is a special case of the other.

    References
    ----------
    [@hardy1996; @viechtbauer2010a]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> data = {"yi": [0.1, 0.4, 0.9, 0.6], "vi": [0.02, 0.03, 0.05, 0.04]}
    >>> small = fit(**data, method="ML")
    >>> large = fit(**data, X=np.array([[1, 0], [1, 1], [1, 2], [1, 3]]), method="ML")
    >>> test = likelihood_ratio(large, small)
    >>> test.df, round(test.p, 3)
    (1, 0.031)
    """
    from catharsis.models.result import Fit

    for model in (one, other):
        if not isinstance(model, Fit):
            raise ModelError(f"a comparison needs two fitted models, not {shown(model)}: call catharsis.fit for both")
    small, large = sorted((one, other), key=lambda model: (model.parameters, model.blocks.p))
    _same_effects(small, large)
    notes: list[str] = []
    reml = _common_likelihood(small, large)
    df = large.parameters - small.parameters
    if df == 0:
        raise ModelError(f"both models have {large.parameters} parameters, so neither is a special case of the other")
    statistic = 2 * (large.log_likelihood(reml) - small.log_likelihood(reml))
    if statistic < -WORSE:
        raise ModelError(
            "the model with more parameters fits worse, so the smaller one is not a special case of it; "
            "compare their AIC instead"
        )
    if small.parameters - small.blocks.p < large.parameters - large.blocks.p:
        notes.append("the smaller model sets a variance to zero, its boundary: p is conservative")
    frame = _frame({"larger": large, "smaller": small}, reml)
    return Comparison(
        statistic=max(statistic, 0.0), df=df, p=chi2_upper(max(statistic, 0.0), df), R2=_explained(small, large),
        frame=frame, notes=tuple(notes),
    )  # fmt: skip


def _same_effects(small: Fit, large: Fit) -> None:
    if small.nobs != large.nobs:
        raise ModelError(f"the models have {small.nobs} and {large.nobs} effects; a comparison needs the same ones")
    differ = (small.blocks.y != large.blocks.y) | (small.vi != large.vi)
    if differ.any():
        first = small.labels[int(differ.argmax())]
        raise ModelError(
            f"the effects or variances of {int(differ.sum())} rows differ (first: {first}); "
            "fit both models to the same rows in the same order"
        )
    if large.blocks.factors and not set(small.blocks.factors) <= set(large.blocks.factors):
        raise ModelError(
            f"the random factors {small.blocks.factors} are not among {large.blocks.factors}: the models are not nested"
        )
    outside = small.blocks.X - large.blocks.X @ np.linalg.lstsq(large.blocks.X, small.blocks.X, rcond=None)[0]
    if np.any(np.linalg.norm(outside, axis=0) > SPAN * np.linalg.norm(small.blocks.X, axis=0)):
        raise ModelError("the moderators of the smaller model are not a part of those of the larger one")


def _common_likelihood(small: Fit, large: Fit) -> bool:
    """Whether the restricted likelihood serves; refuses pairs that share none."""
    methods = {model.method for model in (small, large)} - {"EE", "FE"}
    if not methods:
        return False
    if len(methods) > 1 or not methods <= {"ML", "REML"}:
        raise ModelError(
            f"the methods are {small.method} and {large.method}; a likelihood-ratio test needs ML for both"
        )
    if methods == {"REML"} and small.blocks.p != large.blocks.p:
        raise ModelError(
            "the models differ in their moderators and were fitted by REML, whose likelihoods are then not comparable: "
            'fit both with method="ML"'
        )
    return methods == {"REML"}


def _explained(small: Fit, large: Fit) -> float:
    if small.method in ("EE", "FE") or large.method in ("EE", "FE") or not small.tau2 > 0:
        return float("nan")
    return 100 * max(1 - large.tau2 / small.tau2, 0.0)


def _frame(models: dict[str, Fit], reml: bool) -> pd.DataFrame:
    import pandas as pd

    rows = {}
    for name, model in models.items():
        aic, bic, aicc = model.information_criteria(reml)
        rows[name] = {
            "parameters": model.parameters, "AIC": aic, "BIC": bic, "AICc": aicc,
            "log_likelihood": model.log_likelihood(reml), "QE": model.QE.statistic, "tau2": model.tau2,
        }  # fmt: skip
    return pd.DataFrame(rows).T
