"""The effects that a test of asymmetry looks at: those of a fitted model, or arrays, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.data import check_data, read_data
from catharsis.models.multilevel import MultilevelFit
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12  # relative difference of variances, or of precisions, that carries no information


@dataclass(frozen=True, slots=True)
class FunnelData:
    """Effects, variances, moderators, and how the model that they come from was fitted.

    Attributes
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators, intercept included.
    terms : tuple of str
        (p,) names of the columns.
    method, test : str
        Heterogeneity estimator and test of the coefficients.
    level : float
        Probability of the intervals.
    fit : Fit or None
        The model, when one was given.
    """

    yi: FloatArray
    vi: FloatArray
    X: FloatArray
    terms: tuple[str, ...]
    method: str
    test: str
    level: float
    fit: Fit | None = field(default=None, repr=False)

    @property
    def weights(self) -> FloatArray | None:
        """(k,) weights of the user's own, of the model; None without."""
        return None if self.fit is None else self.fit.weights

    @property
    def k(self) -> int:
        """Number of effects."""
        return len(self.yi)

    @property
    def multilevel(self) -> bool:
        """Whether the model ties effects together, by random factors or by V."""
        return isinstance(self.fit, MultilevelFit)

    @property
    def held_tau2(self) -> float | None:
        """The tau^2 at which a univariate model was held; None when it was estimated."""
        return self.fit.tau2 if self.fit is not None and not self.multilevel and self.fit.held else None


def read_funnel(
    given: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    X: FloatArray | None = None,
    *,
    method: str | None = None,
    test: str | None = None,
    level: float | None = None,
    alone: str = "",
) -> FunnelData:
    """Effects from a fitted model or from arrays.

    Parameters
    ----------
    given : Fit or (k,) array
        A model, or effects.
    vi : (k,) array, optional
        Sampling variances; only with arrays.
    X : (k, p) array, optional
        Moderators, intercept included; only with arrays.
    method, test, level : optional
        What the model used, unless said otherwise; REML, z and 0.95 for arrays.
    alone : str
        The name of a method for independent effects without moderators; with it, other models are refused.

    Returns
    -------
    FunnelData

    Raises
    ------
    ModelError
        Bad arrays, arrays beside a model, or a model that the method cannot use.
    """
    if isinstance(given, Fit):
        if vi is not None or X is not None:
            raise ModelError("give either a fitted model or arrays: a model brings its own variances and moderators")
        level = given.level if level is None else interval_level(level)
        found = FunnelData(
            given.blocks.y, given.vi, given.blocks.X, tuple(given.design.terms), method or given.method,
            test or given.test, level, given,
        )  # fmt: skip
        if alone and found.multilevel:
            raise ModelError(f"{alone} is for independent effects; aggregate the effects of each sample first")
        if alone and found.weights is not None:
            raise ModelError(f"{alone} uses inverse-variance weights; fit the model without weights=")
        if alone and found.held_tau2 is not None:
            raise ModelError(f"{alone} estimates tau^2; fit the model without tau2=")
    else:
        if vi is None:
            raise ModelError("effects need their sampling variances: give vi, or a fitted model")
        data = read_data(None, None, given, vi, X, None, None)
        level = 0.95 if level is None else interval_level(level)
        check_data(data, level)
        found = FunnelData(
            data.yi, data.vi, data.design.X, tuple(data.design.terms), method or "REML", test or "z", level
        )
    if alone and not (found.X.shape[1] == 1 and np.ptp(found.X) == 0):
        raise ModelError(f"{alone} is for models without moderators; fit the model without them")
    return found


def without_rounding(values: FloatArray) -> FloatArray:
    """The values, or the first of them throughout when they differ by rounding errors alone, as computed variances may.

    Examples
    --------
    >>> without_rounding(np.array([0.3, 0.1 + 0.2])).tolist()
    [0.3, 0.3]
    """
    constant = np.ptp(values) <= ROUNDING * np.max(np.abs(values))
    return np.full_like(values, values[0]) if constant else values


def fitted_model(given: object, what: str) -> Fit:
    """What was given, when it is a fitted model.

    Raises
    ------
    ModelError
        Anything else; `what` names the method, as the subject of a sentence.
    """
    if not isinstance(given, Fit):
        raise ModelError(
            f"{what} needs a fitted model, not {shown(given) if np.isscalar(given) else type(given).__name__}: "
            "call catharsis.fit first"
        )
    return given


def sample_sizes(values: Sequence[float] | FloatArray | pd.Series | None, k: int, name: str = "ni") -> FloatArray:
    """Sample sizes as an array, refused unless each of the k is positive and finite."""
    if values is None:
        raise ModelError(f"this predictor needs sample sizes: give {name}")
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if found.shape != (k,):
        raise ModelError(f"{name} has shape {found.shape}; it needs one value for each of the {k} effects")
    bad = ~np.isfinite(found) | (found <= 0)
    if bad.any():
        where = ", ".join(str(i + 1) for i in np.flatnonzero(bad)[:5])
        raise ModelError(f"{name} of {where} is {found[bad][0]}; a sample size must be positive and finite")
    return found
