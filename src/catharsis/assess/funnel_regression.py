"""Regression tests of funnel plot asymmetry: whether effects are related to the precision of their studies.

The test of Egger and its relatives differ in two choices that combine freely: the `predictor` that stands for
(im)precision, and the `model`, a mixed-effects meta-regression ("rma") or weighted least squares with a
multiplicative dispersion ("lm", the classical test). For standardised mean differences the standard error holds
the effect itself, so that the two are related without any bias; when the sizes of the two groups are given the
default predictor is sqrt(1/n1 + 1/n2) instead [@pustejovsky2019]. Dependent effects keep the structure of the
model they come from, or are handled by cluster-robust (CR2) standard errors [@rodgers2021].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.dispersion import Regression, weighted_regression
from catharsis.assess.funnel_data import FunnelData, read_funnel, sample_sizes, without_rounding
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import group_labels
from catharsis.likelihood.design import codes, refuse_collinear
from catharsis.models.fit import fit
from catharsis.models.multilevel import MultilevelFit
from catharsis.models.result import Fit
from catharsis.models.robust import FEW_DF, Robust, robust
from catharsis.models.variance_components import maximise
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

PREDICTORS = {
    "sei": "standard error",
    "vi": "sampling variance",
    "ni": "sample size",
    "ninv": "inverse of the sample size",
    "sqrtni": "root of the sample size",
    "sqrtninv": "inverse root of the sample size",
    "groups": "sqrt(1/n1 + 1/n2)",
}
VANISHING = frozenset({"sei", "vi", "ninv", "sqrtninv", "groups"})  # zero for an infinitely large study


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EggerTest:
    """A regression test of funnel plot asymmetry.

    Attributes
    ----------
    regression : Regression
        All coefficients; the predictor is the last.
    predictor, model, method, test : str
        How it was done. `method` is the heterogeneity estimator, "" for the multiplicative model.
    tau2 : float
        Between-study variance left beside the predictor (of several random factors the sum); nan for the
        multiplicative model and for structured random effects.
    k, m : int
        Effects, and clusters when the standard errors are cluster-robust (0 otherwise).
    notes : tuple of str
        What every reader must be told.
    """

    regression: Regression
    predictor: str
    model: str
    method: str
    test: str
    tau2: float
    k: int
    m: int
    level: float
    notes: tuple[str, ...] = ()

    @property
    def statistic(self) -> float:
        """Slope of the predictor over its standard error."""
        return float(self.regression.statistic[-1])

    @property
    def df(self) -> float:
        """Degrees of freedom of the slope; inf means normal."""
        return float(self.regression.df[-1])

    @property
    def pvalue(self) -> float:
        """Two-sided p of the slope."""
        return float(self.regression.p[-1])

    @property
    def has_limit(self) -> bool:
        """Whether the intercept is the effect of an infinitely large study: a vanishing predictor, no moderators."""
        return len(self.regression.terms) == 2 and self.predictor in VANISHING

    @property
    def limit(self) -> float:
        """Effect expected of an infinitely large study; nan when the model has no such reading."""
        return float(self.regression.beta[0]) if self.has_limit else float("nan")

    @property
    def limit_interval(self) -> tuple[float, float]:
        """Confidence interval of the limit estimate."""
        low, high = self.regression.interval()
        return (float(low[0]), float(high[0])) if self.has_limit else (float("nan"), float("nan"))

    def summary(self) -> pd.DataFrame:
        """Coefficients, standard errors, tests and intervals in one frame."""
        return self.regression.summary()


def egger(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    predictor: str | None = None,
    model: Literal["rma", "lm"] = "rma",
    ni: Sequence[float] | FloatArray | pd.Series | None = None,
    n1i: Sequence[float] | FloatArray | pd.Series | None = None,
    n2i: Sequence[float] | FloatArray | pd.Series | None = None,
    X: FloatArray | None = None,
    method: str | None = None,
    test: str | None = None,
    cluster: Sequence[object] | None = None,
    level: float | None = None,
) -> EggerTest:
    """Test whether effects depend on the precision of their studies (Egger's test and its relatives).

    Parameters
    ----------
    yi : Fit or (k,) array
        A fitted model, whose moderators, estimator, test and random factors are kept; or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    predictor : str, optional
        sei, vi, ni, ninv (1/n), sqrtni, sqrtninv (1/sqrt(n)), or groups (sqrt(1/n1 + 1/n2)). By default sei, or
        groups when `n1i` and `n2i` are given, as they should be for standardised mean differences.
    model : str
        "rma": mixed-effects meta-regression. "lm": weighted least squares with a multiplicative dispersion, the
        classical test of Egger.
    ni, n1i, n2i : (k,) arrays, optional
        Total and group sample sizes.
    X : (k, p) array, optional
        Moderators to adjust for, intercept included; with arrays.
    method, test : str, optional
        Estimator of tau^2 and test of the coefficients for model="rma"; by default those of the model, or REML and z.
    cluster : (k,) sequence, optional
        Which effects depend on each other: CR2 standard errors with Satterthwaite degrees of freedom.
    level : float, optional
        Probability of the intervals; by default 0.95 or that of the model.

    Returns
    -------
    EggerTest

    Raises
    ------
    ModelError
        Unknown names, missing sample sizes, a predictor that does not vary or repeats a moderator, or too few effects.

    References
    ----------
    [@egger1997; @sterne2005; @pustejovsky2019; @rodgers2021]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> found = egger(yi, vi, model="lm")
    >>> round(found.statistic, 3), found.df, round(found.pvalue, 4), round(found.limit, 3)
    (4.767, 4.0, 0.0089, 0.049)
    """
    data = read_funnel(yi, vi, X, method=method, test=test, level=level)
    if model not in ("rma", "lm"):
        raise ModelError(f'there is no model "{model}": {did_you_mean(model, ["rma", "lm"])}')
    if predictor is None:
        predictor = "groups" if n1i is not None and n2i is not None else "sei"
    column = predictor_values(predictor, data.vi, ni, n1i, n2i)
    terms = (*data.terms, predictor)
    matrix = np.column_stack([data.X, column])
    if data.k <= matrix.shape[1]:
        raise ModelError(
            f"a test of asymmetry with {matrix.shape[1]} coefficients needs at least {matrix.shape[1] + 1} effects; "
            f"here k = {data.k}"
        )
    refuse_collinear(matrix, terms)
    notes: list[str] = []
    cluster = None if cluster is None else group_labels(cluster, data.k)
    if model == "lm" and cluster is None:
        if data.multilevel:
            raise ModelError('model="lm" treats effects as independent; give cluster=, or use model="rma"')
        found = weighted_regression(data.yi, data.vi, matrix, terms, data.level)
        return EggerTest(
            regression=found, predictor=predictor, model=model, method="", test="t", tau2=float("nan"), k=data.k, m=0,
            level=data.level, notes=found.notes,
        )  # fmt: skip
    if data.multilevel and model == "rma":
        regression, tau2, m = _dependent(data, matrix, terms, cluster, notes)
    else:
        regression, tau2, m = _independent(data, matrix, terms, model, cluster, notes)
    return EggerTest(
        regression=regression, predictor=predictor, model=model, method=data.method if model == "rma" else "",
        test="CR2" if m else data.test, tau2=tau2 if model == "rma" else float("nan"), k=data.k, m=m, level=data.level,
        notes=tuple(notes),
    )  # fmt: skip


def predictor_values(
    predictor: str,
    vi: FloatArray,
    ni: Sequence[float] | FloatArray | pd.Series | None = None,
    n1i: Sequence[float] | FloatArray | pd.Series | None = None,
    n2i: Sequence[float] | FloatArray | pd.Series | None = None,
) -> FloatArray:
    """The (k,) values of a predictor of `egger`.

    Raises
    ------
    ModelError
        An unknown predictor, or sample sizes that are missing, not positive or of the wrong length.
    """
    if predictor not in PREDICTORS:
        raise ModelError(f'there is no predictor "{predictor}": {did_you_mean(predictor, list(PREDICTORS))}')
    if predictor in ("sei", "vi"):
        return without_rounding(np.sqrt(vi) if predictor == "sei" else vi)
    first = None if n1i is None else sample_sizes(n1i, len(vi), "n1i")
    second = None if n2i is None else sample_sizes(n2i, len(vi), "n2i")
    if predictor == "groups":
        if first is None or second is None:
            raise ModelError('the predictor "groups" needs the sizes of both groups: give n1i and n2i')
        return np.asarray(np.sqrt(1 / first + 1 / second))
    total = first + second if ni is None and first is not None and second is not None else sample_sizes(ni, len(vi))
    powers = {"ni": 1.0, "ninv": -1.0, "sqrtni": 0.5, "sqrtninv": -0.5}
    return np.asarray(total ** powers[predictor])


def as_regression(model: Fit | Robust, k: int, level: float) -> Regression:
    """The coefficients of a fitted model, or of its cluster-robust version, as a `Regression`."""
    terms = tuple(model.terms if isinstance(model, Robust) else model.design.terms)
    df = np.broadcast_to(np.asarray(model.df, dtype=float), model.beta.shape)
    return Regression(
        beta=model.beta, cov=model.cov, df=df, scale=1.0, terms=terms, k=k, level=level, notes=tuple(model.notes)
    )


def _independent(
    data: FunnelData,
    X: FloatArray,
    terms: tuple[str, ...],
    model: str,
    cluster: Sequence[object] | None,
    notes: list[str],
) -> tuple[Regression, float, int]:
    found = fit(
        yi=data.yi, vi=data.vi, X=X, method="EE" if model == "lm" else data.method,
        test=data.test if cluster is None else "z", level=data.level, weights=data.weights if model == "rma" else None,
        tau2=data.held_tau2 if model == "rma" else None,
    )  # fmt: skip
    notes.extend(found.notes)
    if cluster is None:
        answer, m = as_regression(found, data.k, data.level), 0
    else:
        sandwich = found.robust(cluster)
        answer, m = _told(sandwich, data, notes), sandwich.m
    return replace(answer, terms=terms), found.tau2, m


def _dependent(
    data: FunnelData, X: FloatArray, terms: tuple[str, ...], cluster: Sequence[object] | None, notes: list[str]
) -> tuple[Regression, float, int]:
    """The predictor added to a model with random factors or known covariances, everything else kept."""
    assert isinstance(data.fit, MultilevelFit)
    blocks = replace(data.fit.blocks, X=X)
    components = maximise(blocks, reml=data.method != "ML", given=data.fit.held_at)
    tau2 = float("nan") if blocks.structures else float(components.theta.sum())
    if cluster is not None:
        sandwich = robust(blocks, components.theta, terms, codes(cluster), "CR2", data.level)
        return _told(sandwich, data, notes), tau2, sandwich.m
    notes.append("effects are dependent: give cluster= for standard errors that survive a wrong working model")
    df = float(data.k - X.shape[1]) if data.test == "t" else np.inf
    answer = Regression(
        beta=components.found.beta(), cov=components.found.cov(), df=np.full(X.shape[1], df), scale=1.0, terms=terms,
        k=data.k, level=data.level,
    )  # fmt: skip
    return answer, tau2, 0


def _told(found: Robust, data: FunnelData, notes: list[str]) -> Regression:
    notes.extend(found.notes)
    if not found.df[-1] >= FEW_DF:
        notes.append(
            f"{found.m} clusters leave {found.df[-1]:.1f} degrees of freedom for the slope: do not rely on its p value"
        )
    return as_regression(found, data.k, data.level)
