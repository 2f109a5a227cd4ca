"""Univariate models: one effect per sample, one between-study variance."""

from __future__ import annotations

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import make_blocks
from catharsis.likelihood.design import Design
from catharsis.likelihood.marginal import log_likelihood, moments, typical_variance
from catharsis.models.heterogeneity import ESTIMATORS, NO_HETEROGENEITY, WEIGHTS_NEEDED, estimate_tau2
from catharsis.models.kenward_roger import kenward_roger
from catharsis.models.knapp_hartung import Test, knapp_hartung_scale
from catharsis.models.likelihood_estimators import likelihood_peaks
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray

WIDE = 1e7  # ratio of the variances at which an answer rests on a few effects, and digits are lost


def fit_univariate(
    yi: FloatArray, vi: FloatArray, design: Design, labels: tuple[str, ...], method: str, test: Test, level: float,
    notes: list[str], weights: FloatArray | None = None, tau2: float | None = None,
) -> Fit:  # fmt: skip
    """A model with one variance, that of the true effects, or none; arguments as for `fit`."""
    _check_options(method, test, weights, tau2)
    X = design.X
    k, p = X.shape
    if tau2 is None:
        tau2 = _estimate(yi, vi, X, method, weights, notes)
        held = False
    else:
        held = True
    if k == p and test != "z":
        test = "z"
        notes.append("k = p leaves no degrees of freedom, so the tests and intervals are normal (test='z')")
    notes += _of_spread(vi, labels)
    blocks = make_blocks(yi, X, vi, [("effect", np.arange(k, dtype=np.int64))])
    found = moments(blocks, np.array([tau2]))
    beta, cov = found.beta(), found.cov()
    llf = log_likelihood(blocks, found, method != "ML") if k > p else float("nan")
    if weights is not None:
        gap = -beta
        beta, cov = weighted_estimate(yi, vi, X, tau2, weights)
        gap += beta
        llf -= 0.5 * float(gap @ found.XtWX @ gap)
    adjusted = kenward_roger(vi, X, tau2) if test == "kr" else None
    scale = knapp_hartung_scale(yi, vi, X, tau2, test == "adhoc") if test in ("knha", "adhoc") else 1.0
    if test == "knha" and scale < 1:
        notes.append(
            "the Knapp-Hartung factor is below 1, so this interval is narrower than the normal one; adhoc prevents that"
        )
    if scale == 0:
        notes.append("all effects are identical: the Knapp-Hartung standard error is zero")
    df = float("inf") if test == "z" else float(k - p)
    if adjusted is not None:
        cov, df = adjusted.cov, min(adjusted.df(row) for row in np.eye(p))
    return Fit(
        beta=beta, cov=scale * cov, df=df, tau2=tau2, sigma2={"effect": tau2}, scale=scale, method=method, test=test,
        level=level, design=design, blocks=blocks, vi=vi, labels=labels, llf=llf,
        typical_variance=typical_variance(blocks), notes=tuple(notes), weights=weights, held=held, adjusted=adjusted,
    )  # fmt: skip


def _of_spread(vi: FloatArray, labels: tuple[str, ...]) -> list[str]:
    """A note when a few effects decide the answer."""
    if vi.max() <= WIDE * vi.min():
        return []
    few, many = labels[int(vi.argmin())], labels[int(vi.argmax())]
    return [
        f"the sampling variances differ by a factor of {vi.max() / vi.min():.0e} (from {few} to {many}): "
        "check their units; the most precise effects decide the answer"
    ]


def _check_options(method: str, test: Test, weights: FloatArray | None, tau2: float | None) -> None:
    """Refuse what does not go together."""
    known = [*ESTIMATORS, *WEIGHTS_NEEDED]
    if method not in known:
        raise ModelError(f'there is no method "{method}": {did_you_mean(method, known)}')
    ordinary = method not in NO_HETEROGENEITY
    if test == "kr" and method != "REML":
        raise ModelError(f"Kenward-Roger rests on REML; with {method} use test='knha' or test='t'")
    if test == "kr" and (weights is not None or tau2 is not None):
        raise ModelError("Kenward-Roger rests on tau^2 and weights estimated by REML: leave out weights= and tau2=")
    if tau2 is not None and not (ordinary and np.isfinite(tau2) and tau2 >= 0):
        raise ModelError(
            f"tau2 is {tau2}; a variance is a finite number that is not negative"
            if ordinary
            else f"{method} has no tau^2 to hold at a value: leave out tau2=, or use method='REML'"
        )


def _estimate(
    yi: FloatArray, vi: FloatArray, X: FloatArray, method: str, weights: FloatArray | None, notes: list[str]
) -> float:
    """tau^2, and what a reader must know about the way it was found."""
    k, p = X.shape
    if method in NO_HETEROGENEITY:
        return 0.0
    if k == p:
        notes.append(
            f"k = {k}: heterogeneity cannot be estimated, so tau^2 is set to 0 and a prediction interval is no wider "
            "than the confidence interval"
        )
        return 0.0
    if method in ("ML", "REML"):
        best, *others = likelihood_peaks(yi, vi, X, reml=method == "REML")
        tau2 = best.tau2
        if others:
            at = ", ".join(f"{peak.tau2:.3g}" for peak in others)
            notes.append(
                f"the likelihood of tau^2 has other, lower peaks at {at} (the highest of them lower by "
                f"{best.height - others[0].height:.2g}): see profile() and compare with another estimator"
            )
    else:
        tau2 = estimate_tau2(yi, vi, X, method, weights)
    if tau2 == 0:
        notes.append("tau^2 is estimated at its boundary, zero")
    return tau2


def weighted_estimate(
    yi: FloatArray, vi: FloatArray, X: FloatArray, tau2: float, ai: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients under weights of the user's own, and their covariance given tau^2.

    With A = diag(a) and M = V + tau^2 I, b = (X'AX)^-1 X'Ay has the covariance (X'AX)^-1 X'AMAX (X'AX)^-1; only
    weights 1 / (v + tau^2) make it the smallest possible.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    X : (k, p) array
        Moderators, intercept included.
    tau2 : float
        Between-study variance.
    ai : (k,) array
        Weights, any unit.

    Returns
    -------
    beta, cov : (p,) and (p, p) arrays

    Raises
    ------
    ModelError
        When effects of weight zero leave a coefficient without data.

    References
    ----------
    [@viechtbauer2010a]

    Examples
    --------
    >>> beta, cov = weighted_estimate(np.array([0.1, 0.5]), np.array([0.02, 0.06]), np.ones((2, 1)), 0.0, np.ones(2))
    >>> round(float(beta[0]), 6), round(float(cov[0, 0]), 6)
    (0.3, 0.02)
    """
    half = np.sqrt(ai / ai.max())
    Q, R = np.linalg.qr(half[:, None] * X)
    if np.linalg.matrix_rank(R / np.linalg.norm(X, axis=0)) < X.shape[1]:
        raise ModelError("effects of weight zero leave a coefficient without data: give them a weight, or drop it")
    reach = np.linalg.solve(R, (half[:, None] * Q).T)  # (X'AX)^-1 X'A
    return reach @ yi, (reach * (vi + tau2)) @ reach.T
