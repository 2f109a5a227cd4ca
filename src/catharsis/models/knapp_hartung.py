"""Tests of coefficients: normal, t, and the Knapp-Hartung scale in its plain and modified form."""

from __future__ import annotations

from typing import Literal

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.weighted_least_squares import weighted
from catharsis.numerics import FloatArray

Test = Literal["z", "t", "knha", "adhoc", "kr"]

TESTS = {
    "z": "normal",
    "t": "t with k - p degrees of freedom",
    "knha": "Knapp-Hartung",
    "adhoc": "modified Knapp-Hartung",
    "kr": "Kenward-Roger",
}

ROUNDING = 8 * float(np.finfo(float).eps)  # residuals below this share of the effects are rounding errors


def knapp_hartung_scale(yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, modified: bool) -> float:
    """The factor s^2 by which Knapp-Hartung multiplies the covariance of the coefficients.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators.
    tau2 : float
        Between-study variance.
    modified : bool
        Truncate at 1, so that the interval is never narrower than without the factor.

    Returns
    -------
    float
        Weighted residual sum of squares over k - p; exactly 0 when all residuals are rounding errors.

    Raises
    ------
    ModelError
        If k <= p.

    References
    ----------
    [@hartung2001a; @sidik2002; @knapp2003; @roever2015]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(knapp_hartung_scale(yi, vi, np.ones((3, 1)), 0.1258, False), 3)
    1.003
    """
    k, p = X.shape
    if k <= p:
        raise ModelError(f"the Knapp-Hartung test needs more effects than coefficients; here k = {k} and p = {p}")
    wi = 1 / (vi + tau2)
    rss = weighted(yi, wi, X).rss
    scale = rss / (k - p) if rss > ROUNDING**2 * float(wi @ yi**2) else 0.0
    return max(scale, 1.0) if modified else scale
