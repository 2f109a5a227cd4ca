"""Between-study variance tau^2 of the univariate random-effects model y_i ~ N(x_i b, v_i + tau^2): which estimator.

`ESTIMATORS` holds them by metafor's codes; the moments are in `moment_estimators`, the likelihoods in
`likelihood_estimators`, the intervals in `heterogeneity_intervals`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.models.likelihood_estimators import tau2_ml, tau2_reml
from catharsis.models.moment_estimators import (
    sidik_jonkman_start,
    tau2_dl,
    tau2_generalised_q,
    tau2_generalised_q_median,
    tau2_he,
    tau2_hs,
    tau2_hsk,
    tau2_pm,
    tau2_pmm,
    tau2_sj,
)
from catharsis.models.weighted_least_squares import Weighted, squared_trace, weighted
from catharsis.numerics import FloatArray

__all__ = [
    "ESTIMATORS",
    "NO_HETEROGENEITY",
    "WEIGHTS_NEEDED",
    "Weighted",
    "estimate_tau2",
    "tau2_dl",
    "tau2_he",
    "tau2_ml",
    "tau2_none",
    "tau2_pm",
    "tau2_reml",
    "tau2_se",
    "weighted",
]

Estimator = Callable[[FloatArray, FloatArray, FloatArray], float]


def tau2_none(yi: FloatArray, vi: FloatArray, X: FloatArray) -> float:
    """Zero: the equal-effects (fixed-effect) model."""
    return 0.0


ESTIMATORS: dict[str, Estimator] = {
    "EE": tau2_none,
    "FE": tau2_none,
    "DL": tau2_dl,
    "HE": tau2_he,
    "HS": tau2_hs,
    "HSk": tau2_hsk,
    "SJ": tau2_sj,
    "PM": tau2_pm,
    "EB": tau2_pm,  # the empirical Bayes equation has the same solution [@morris1983]
    "PMM": tau2_pmm,
    "ML": tau2_ml,
    "REML": tau2_reml,
}
WEIGHTS_NEEDED = {"GENQ": tau2_generalised_q, "GENQM": tau2_generalised_q_median}
NO_HETEROGENEITY = ("EE", "FE")


def estimate_tau2(
    yi: FloatArray, vi: FloatArray, X: FloatArray, method: str, weights: FloatArray | None = None
) -> float:
    """Between-study variance by any of the estimators.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators, intercept included.
    method : str
        EE, FE, DL, HE, HS, HSk, SJ, PM, EB, PMM, ML, REML, GENQ or GENQM.
    weights : (k,) array, optional
        For GENQ and GENQM, which cannot do without; the others have their own.

    Returns
    -------
    float
        tau^2 >= 0, squared units of `yi`.

    Raises
    ------
    ModelError
        Unknown method, k <= p, or no weights for GENQ.

    References
    ----------
    [@veroniki2016; @langan2019]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(estimate_tau2(yi, vi, np.ones((3, 1)), "PMM"), 4)
    0.1985
    """
    if method in ESTIMATORS:
        return ESTIMATORS[method](yi, vi, X)
    if method not in WEIGHTS_NEEDED:
        known = [*ESTIMATORS, *WEIGHTS_NEEDED]
        raise ModelError(f'there is no method "{method}": {did_you_mean(method, known)}')
    if weights is None:
        raise ModelError(f"{method} needs weights: give weights=, one positive number per effect, or use DL or PM")
    return WEIGHTS_NEEDED[method](yi, vi, X, weights)


def tau2_se(
    yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, method: str, weights: FloatArray | None = None
) -> float:
    """Standard error of an estimate of tau^2, from the expected information or the variance of its quadratic form.

    With P at the fixed weights of the estimator and M = V + tau^2 I, y'Py has the variance 2 tr(PMPM). DL, HE, GENQ
    and GENQM divide its root by tr(P), HS by sum(w), HSk by sum(w) (k - p) / k, and SJ multiplies it by
    tau0^2 / (k - p). REML and ML have 2 / tr(PP) and 2 / tr(WW) at weights 1 / (v + tau^2); PM, EB and PMM, whose
    weights depend on tau^2, have the large-sample 2 k^2 / ((k - p) (sum w)^2).

    Parameters
    ----------
    yi, vi, X : arrays
        As in `tau2_dl`.
    tau2 : float
        The estimate.
    method : str
        As in `estimate_tau2`.
    weights : (k,) array, optional
        Of GENQ and GENQM.

    Returns
    -------
    float
        Squared units of `yi`; nan for EE.

    References
    ----------
    [@morris1983; @sidik2005; @viechtbauer2005; @viechtbauer2007; @jackson2014]

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05])
    >>> round(tau2_se(yi, vi, np.ones((3, 1)), 0.1225, "REML"), 3)
    0.155
    """
    k, p = X.shape
    if method in NO_HETEROGENEITY or k <= p:
        return float("nan")
    if method == "REML":
        return float(np.sqrt(2 / weighted(yi, 1 / (vi + tau2), X).trace2))
    if method == "ML":
        return float(np.sqrt(2 / np.sum(1 / (vi + tau2) ** 2)))
    if method in ("PM", "EB", "PMM"):
        return float(np.sqrt(2 * k**2 / (k - p)) / np.sum(1 / (vi + tau2)))
    ai = form_weights(yi, vi, method, weights)
    if ai is None:
        raise ModelError(f"{method} needs weights: give weights=, one positive number per effect, or use DL or PM")
    form = weighted(yi, ai, X)
    deviation = float(np.sqrt(2 * squared_trace(ai * (vi + tau2), form.basis)))
    match method:
        case "HS":
            return deviation / float(ai.sum())
        case "HSk":
            return deviation / float(ai.sum()) * float(k / (k - p))
        case "SJ":
            return deviation * sidik_jonkman_start(yi) / float(k - p)
    return deviation / form.trace


def form_weights(yi: FloatArray, vi: FloatArray, method: str, weights: FloatArray | None = None) -> FloatArray | None:
    """The fixed weights of the quadratic form behind a moment estimator; None when it has none."""
    if method in ("DL", "HS", "HSk"):
        return 1 / vi
    if method == "HE":
        return np.ones_like(vi)
    if method == "SJ":
        return 1 / (vi + sidik_jonkman_start(yi))
    return weights if method in WEIGHTS_NEEDED else None
