"""Robust variance estimation with simple working weights, for correlated or for hierarchical effects.

Hedges, Tipton and Johnson (2010) weight every effect by the inverse of a rough variance and leave the rest to the
cluster-robust covariance: correlated effects share the mean sampling variance of their study, w_ij = 1 / (k_j (mean v_j
+ tau^2)); hierarchical effects have two variances, w_ij = 1 / (v_ij + tau^2 + omega^2).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import finite_number, group_labels, interval_level
from catharsis.likelihood.blocks import make_blocks
from catharsis.likelihood.data import check_data, read_data
from catharsis.likelihood.design import codes
from catharsis.models.heterogeneity import weighted
from catharsis.models.robust import Robust, robust
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

Dependence = Literal["CORR", "HIER"]
DEPENDENCE: tuple[Dependence, ...] = ("CORR", "HIER")

SINGULAR = 1e-10  # share of its terms below which a difference is rounding
APART = (
    "the sampling variances differ so much that the moments say nothing about heterogeneity: "
    "fit(..., random=...) and robust() can use them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingVariances:
    """Moment estimates of the working model.

    Attributes
    ----------
    tau2, omega2 : float
        Between-study and (hierarchical effects) within-study variance, squared analysis units; omega2 is nan for
        correlated effects.
    I2 : float
        Share of Q beyond its expectation without heterogeneity, in percent, for correlated effects; nan otherwise.
    weights : (k,) array
        The working weights.
    notes : tuple of str
        What every reader must be told.
    """

    tau2: float
    omega2: float
    I2: float
    weights: FloatArray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustFit:
    """Coefficients with cluster-robust errors, and the working model behind their weights."""

    robust: Robust
    working: WorkingVariances
    notes: tuple[str, ...] = ()

    @property
    def params(self) -> pd.Series:
        """Coefficients by term."""
        return self.summary()["estimate"]

    @property
    def bse(self) -> pd.Series:
        """Robust standard errors by term."""
        return self.summary()["se"]

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p by term."""
        return self.summary()["p"]

    def conf_int(self, level: float | None = None) -> pd.DataFrame:
        """Confidence intervals, columns low and high."""
        import pandas as pd

        low, high = self.robust.interval(level)
        return pd.DataFrame({"low": low, "high": high}, index=list(self.robust.terms))

    def summary(self) -> pd.DataFrame:
        """Coefficients, robust standard errors, tests and intervals in one frame."""
        return self.robust.summary()


def fit_robust(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    cluster: str | Sequence[object],
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    dependence: str = "CORR",
    rho: float = 0.8,
    small: bool = True,
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> RobustFit:
    """Meta-regression with dependent effects by robust variance estimation.

    Parameters
    ----------
    formula, data, yi, vi, X, level, reference, levels
        As for `catharsis.fit`.
    cluster : str or (k,) sequence
        Study of each effect, or its column.
    dependence : str
        "CORR" (several effects from the same people) or "HIER" (several samples from one laboratory).
    rho : float
        Assumed correlation of sampling errors within a study, for CORR; matters little.
    small : bool
        CR2 with Satterthwaite degrees of freedom; otherwise CR0 times m / (m - p), with m - p.

    Returns
    -------
    RobustFit

    Raises
    ------
    ModelError
        Data that cannot carry the model, an unknown `dependence`, rho outside [0, 1], fewer than two clusters.

    References
    ----------
    [@hedges2010; @tipton2015a]

    Examples
    --------
    >>> model = fit_robust(yi=[0.1, 0.3, 0.2, 0.7, 0.5, 0.9], vi=[0.04] * 6, cluster=list("aabbcc"))
    >>> model.summary().round(3).loc["intercept", ["estimate", "se", "df"]].tolist()
    [0.45, 0.144, 2.0]
    """
    level = interval_level(level)
    given = read_data(formula, data, yi, vi, X, reference, levels)
    check_data(given, level)
    if dependence not in DEPENDENCE:
        raise ModelError(f'there is no kind of dependence "{dependence}": {did_you_mean(dependence, list(DEPENDENCE))}')
    if not 0 <= finite_number(rho, "rho") <= 1:
        raise ModelError(f"rho is {rho}; a correlation of sampling errors within studies lies between 0 and 1 here")
    labels = _labels(cluster, data, len(given.yi), given.labels)
    code = codes(labels)
    m, p = int(code.max()) + 1, given.design.X.shape[1]
    if m <= p:
        raise ModelError(f"{m} clusters cannot carry {p} coefficients; use fewer moderators")
    unit = float(np.median(given.vi))
    y, v = given.yi / np.sqrt(unit), given.vi / unit
    found = (correlated if dependence == "CORR" else hierarchical)(y, v, given.design.X, code, rho)
    blocks = make_blocks(given.yi, given.design.X, unit / found.weights, [])
    answer = robust(blocks, np.empty(0), given.design.terms, code, "CR2" if small else "CR1p", level)
    if not small:
        answer = answer.with_df(m - p)
    notes = [*answer.notes, *found.notes]
    if found.tau2 == 0:
        notes.append("tau^2 is estimated at its boundary, zero")
    working = WorkingVariances(
        tau2=found.tau2 * unit,
        omega2=found.omega2 * unit,
        I2=found.I2,
        weights=found.weights / unit,
        notes=found.notes,
    )
    return RobustFit(robust=answer, working=working, notes=tuple(notes))


def _labels(cluster: str | Sequence[object], data: pd.DataFrame | None, k: int, rows: Sequence[str]) -> list[Hashable]:
    if isinstance(cluster, str):
        if data is None or cluster not in data.columns:
            known = [] if data is None else [str(column) for column in data.columns]
            raise ModelError(f'the cluster "{cluster}" is not a column of the data: {did_you_mean(cluster, known)}')
        cluster = list(data[cluster])
    return group_labels(cluster, k, rows=rows)


def _sums(values: FloatArray, code: IntArray) -> FloatArray:
    """Sums of the rows (k, ...) within each cluster, (m, ...)."""
    found = np.zeros((int(code.max()) + 1, *values.shape[1:]))
    np.add.at(found, code, values)
    return found


def correlated(yi: FloatArray, vi: FloatArray, X: FloatArray, code: IntArray, rho: float) -> WorkingVariances:
    """Working weights of correlated effects; arguments as arrays, `code` (k,) the study of each effect.

    References
    ----------
    [@hedges2010]
    """
    size = np.bincount(code).astype(float)
    mean = np.bincount(code, weights=vi) / size
    w = 1 / (size * mean)  # of each effect of a study
    start = weighted(yi, w[code], X)
    V = start.cov
    each = np.einsum("ij,ik->ijk", X, X)
    own = _sums(each, code)
    total = _sums(X, code)
    crossed = np.einsum("ja,jb->jab", total, total)
    between = float(np.einsum("ab,jba->", V, (w / size)[:, None, None] * own))
    within = float(np.einsum("ab,jba->", V, (w / size)[:, None, None] * (crossed - own)))
    spread = float(size @ w - np.einsum("ab,jba->", V, (w**2)[:, None, None] * crossed))
    expected = len(size) - between - rho * within  # of the residual sum of squares when tau^2 = 0
    if spread <= SINGULAR * float(size @ w):
        raise ModelError(APART)
    tau2 = max((start.rss - expected) / spread, 0.0)
    weights = (1 / (size * (mean + tau2)))[code]
    I2 = 100 * max(1 - expected / start.rss, 0.0) if start.rss > 0 else 0.0
    return WorkingVariances(tau2=tau2, omega2=float("nan"), I2=I2, weights=weights)


def hierarchical(yi: FloatArray, vi: FloatArray, X: FloatArray, code: IntArray, rho: float = 0.0) -> WorkingVariances:
    """Working weights of hierarchical effects: two moment equations, in e'We and in the squared sums of residuals.

    References
    ----------
    [@hedges2010]
    """
    start = weighted(yi, 1 / vi, X)
    w, V = 1 / vi, start.cov
    e = start.residual
    size = np.bincount(code).astype(float)
    x_sum, wx_sum = _sums(X, code), _sums(w[:, None] * X, code)
    # e'We: tr(P blockdiag(J)) and tr(P)
    a2 = float(w.sum()) - float(np.einsum("ja,ab,jb->", wx_sum, V, wx_sum))
    b2 = float(w.sum()) - float(np.einsum("ia,ab,ib,i->", X, V, X, w**2))
    c2 = float(len(yi) - X.shape[1])
    # sum_j (sum_i e_ij)^2 = y'R'JRy, R = I - XVX'W
    XJX = x_sum.T @ x_sum
    XJWX = np.einsum("ja,jb->ab", size[:, None] * x_sum, wx_sum)  # X'J (J W X)
    WXJWX = wx_sum.T @ wx_sum
    a1 = float(size @ size) - 2 * float(np.trace(V @ XJWX)) + float(np.trace(V @ XJX @ V @ WXJWX))
    XJWX1 = np.einsum("ja,jb->ab", x_sum, wx_sum)
    WWXX = np.einsum("ia,ib,i->ab", X, X, w**2)
    b1 = float(len(yi)) - 2 * float(np.trace(V @ XJWX1)) + float(np.trace(V @ XJX @ V @ WWXX))
    c1 = float(vi.sum()) - float(np.trace(V @ XJX))
    q1 = float(np.sum(_sums(e, code) ** 2))
    if a2 <= SINGULAR * float(w.sum()):
        raise ModelError(APART)
    apart = b1 * a2 - b2 * a1
    notes: tuple[str, ...] = ()
    if abs(apart) <= SINGULAR * (abs(b1 * a2) + abs(b2 * a1)):  # always so when every study has a single effect
        omega2, notes = 0.0, (
            "the studies do not tell apart heterogeneity within and between them (has each a single effect?): "
            "omega^2 is set to 0",
        )  # fmt: skip
    else:
        omega2 = max((a2 * (q1 - c1) - a1 * (start.rss - c2)) / apart, 0.0)
    tau2 = max((start.rss - c2) / a2 - omega2 * b2 / a2, 0.0)
    return WorkingVariances(tau2=tau2, omega2=omega2, I2=float("nan"), weights=1 / (vi + tau2 + omega2), notes=notes)
