"""Univariate models: one effect per sample, one between-study variance."""

from __future__ import annotations

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import make_blocks
from catharsis.likelihood.design import Design
from catharsis.likelihood.marginal import log_likelihood, moments, typical_variance
from catharsis.models import heterogeneity
from catharsis.models.knapp_hartung import Test, knapp_hartung_scale
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray


def fit_univariate(
    yi: FloatArray,
    vi: FloatArray,
    design: Design,
    labels: tuple[str, ...],
    method: str,
    test: Test,
    level: float,
    notes: list[str],
) -> Fit:
    """A model with one variance, that of the true effects, or none; arguments as for `fit`."""
    if method not in heterogeneity.ESTIMATORS:
        raise ModelError(f'there is no method "{method}": {did_you_mean(method, list(heterogeneity.ESTIMATORS))}')
    X = design.X
    k, p = X.shape
    if k == p and method not in ("EE", "FE"):
        notes.append(f"k = {k}: heterogeneity cannot be estimated, so the equal-effects model is used")
        method = "EE"
    if k == p and test != "z":
        test = "z"
    tau2 = heterogeneity.ESTIMATORS[method](yi, vi, X)
    scale = knapp_hartung_scale(yi, vi, X, tau2, test == "adhoc") if test in ("knha", "adhoc") else 1.0
    if test == "knha" and scale < 1:
        notes.append(
            "the Knapp-Hartung factor is below 1, so this interval is narrower than the normal one; adhoc prevents that"
        )
    if scale == 0:
        notes.append("all effects are identical: the Knapp-Hartung standard error is zero")
    if tau2 == 0 and method not in ("EE", "FE"):
        notes.append("tau^2 is estimated at its boundary, zero")
    blocks = make_blocks(yi, X, vi, [("effect", np.arange(k, dtype=np.int64))])
    found = moments(blocks, np.array([tau2]))
    return Fit(
        beta=found.beta(), cov=scale * found.cov(), df=float(k - p) if test != "z" else float("inf"), tau2=tau2,
        sigma2={"effect": tau2}, scale=scale, method=method, test=test, level=level, design=design, blocks=blocks,
        vi=vi, labels=labels, llf=log_likelihood(blocks, found, method != "ML") if k > p else float("nan"),
        typical_variance=typical_variance(blocks), notes=tuple(notes),
    )  # fmt: skip
