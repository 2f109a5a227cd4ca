"""Weighted least squares whose error variance is known up to one factor, estimated from the residuals.

The multiplicative model y ~ N(X b, phi v) of Egger's classical test, PET, PEESE and the unrestricted weighted
average: the estimates are those of the equal-effects model, the standard errors are multiplied by the root
of phi, and the reference is t with k - p degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.design import refuse_collinear
from catharsis.models.coefficients import Coefficients
from catharsis.models.heterogeneity import weighted
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    pass

EXACT = 4 * float(np.finfo(float).eps)  # relative size of a residual, per effect, that is rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression(Coefficients):
    """Coefficients with their tests, whatever the standard errors rest on.

    Attributes
    ----------
    beta, cov : (p,), (p, p) arrays
        Coefficients and their covariance.
    df : (p,) array
        Degrees of freedom of the t tests; inf means normal.
    scale : float
        The dispersion phi by which the variances were multiplied; 1 for additive and robust models.
    terms : tuple of str
        (p,) names.
    k : int
        Number of effects.
    level : float
        Probability of the intervals.
    notes : tuple of str
        What every reader must be told.
    """

    beta: FloatArray
    cov: FloatArray
    df: FloatArray
    scale: float
    terms: tuple[str, ...]
    k: int
    level: float
    notes: tuple[str, ...] = ()

    @property
    def statistic(self) -> FloatArray:
        """(p,) estimate over standard error; nan where the standard error is zero."""
        se = self.se
        return np.divide(self.beta, se, out=np.full_like(se, np.nan), where=se > 0)


def weighted_regression(
    yi: FloatArray, vi: FloatArray, X: FloatArray, terms: tuple[str, ...], level: float = 0.95
) -> Regression:
    """Weighted least squares with weights 1/vi and an estimated dispersion.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators.
    terms : tuple of str
        (p,) names.
    level : float
        Probability of the intervals.

    Returns
    -------
    Regression

    Raises
    ------
    ModelError
        When k <= p, or columns of X are zero or repeat each other.

    References
    ----------
    [@sterne2005; @stanley2014]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> found = weighted_regression(yi, vi, np.ones((3, 1)), ("intercept",))
    >>> found.summary().round(3).loc["intercept", ["estimate", "se", "df"]].tolist()
    [0.352, 0.212, 2.0]
    """
    k, p = X.shape
    if k <= p:
        raise ModelError(f"a dispersion needs more effects than coefficients; here k = {k} and p = {p}")
    refuse_collinear(X, terms)
    fit = weighted(yi, 1 / vi, X)
    phi = fit.rss / (k - p)
    notes: tuple[str, ...] = ()
    if fit.rss <= (k * EXACT) ** 2 * float(yi @ (yi / vi)):
        phi, notes = 0.0, ("the effects lie exactly on the fitted line: standard errors are 0, and there is no test",)
    return Regression(
        beta=fit.beta, cov=phi * fit.cov, df=np.full(p, float(k - p)), scale=phi, terms=terms, k=k, level=level,
        notes=notes,
    )  # fmt: skip
