"""Generalised linear (mixed) models of counts: meta-analysis without normal approximation within the studies.

Two groups (odds ratio OR, rate ratio IRR) may be modelled with a level of its own for each study (UM.FS), with levels
drawn from a normal distribution (UM.RS), or given each study's total of events, which removes the levels (CM.EL with
the exact likelihood, CM.AL with its binomial approximation for rare events). One group (logit of a proportion PLO, log
rate IRLN) needs no such choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.counts import read_counts
from catharsis.likelihood.counts_maximum import Arrow, Maximum
from catharsis.likelihood.counts_options import check_count_model, count_design
from catharsis.models.count_estimates import CountEstimates, shown_effects
from catharsis.models.count_model import CountModel
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneralisedLinear(CountEstimates):
    """A fitted generalised linear (mixed) model; attributes of `CountEstimates`, and these.

    Attributes
    ----------
    model : str
        UM.FS, UM.RS, CM.EL or CM.AL; "" for one group.
    method : str
        EE or ML.
    X : (k, p) array
        Moderators.
    tau2 : float
        Variance of the effects between studies.
    sigma2 : float
        Variance of the studies' levels (UM.RS), else nan.
    rho : float
        Correlation of levels and effects (UM.RS with `cor`), else nan.
    typical_variance : float
        Sampling variance that I^2 and H^2 compare tau^2 with.
    parameters : int
        Number of parameters that the likelihood was maximised over.
    counts : int
        Number of counts that AIC and BIC call observations: one per group in the unconditional models.
    QE_Wld, QE_LRT : Wald
        Tests of (residual) heterogeneity: saturated against equal-effects model, by Wald's and by the likelihood ratio.
    QM : Wald
        Joint test of the moderators (of the intercept when it stands alone).
    points : int
        Quadrature points per random effect; 0 when there are none.
    arrow : Arrow
        The likelihood.
    maximum : Maximum
        Where it was found largest, its slope and information there.
    """

    model: str
    method: str
    X: FloatArray
    tau2: float
    sigma2: float
    rho: float
    typical_variance: float
    parameters: int
    counts: int
    QE_Wld: Wald
    QE_LRT: Wald
    QM: Wald
    points: int
    arrow: Arrow
    maximum: Maximum

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return -2 * self.llf + 2 * self.parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return -2 * self.llf + self.parameters * float(np.log(self.counts))

    @property
    def aicc(self) -> float:
        """Akaike's criterion for small samples."""
        enough = max(self.counts, self.parameters + 2)
        return -2 * self.llf + 2 * self.parameters * enough / (enough - self.parameters - 1)

    @property
    def tau(self) -> float:
        """Standard deviation of the effects between studies."""
        return float(np.sqrt(self.tau2))

    @property
    def I2(self) -> float:
        """Share of the total variance that is not sampling error, in percent [@higgins2002]."""
        return 100 * self.tau2 / (self.tau2 + self.typical_variance) if self.tau2 > 0 else 0.0

    @property
    def H2(self) -> float:
        """Total over sampling variance."""
        return self.tau2 / self.typical_variance + 1 if self.tau2 > 0 else 1.0

    @property
    def df_resid(self) -> int:
        """K - p."""
        return self.nobs - len(self.beta)


def fit_counts(
    measure: str = "OR",
    *,
    ai: Any = None,
    bi: Any = None,
    ci: Any = None,
    di: Any = None,
    n1i: Any = None,
    n2i: Any = None,
    x1i: Any = None,
    t1i: Any = None,
    x2i: Any = None,
    t2i: Any = None,
    xi: Any = None,
    mi: Any = None,
    ni: Any = None,
    ti: Any = None,
    data: pd.DataFrame | None = None,
    formula: str | None = None,
    X: Any = None,
    model: str = "UM.FS",
    method: str = "ML",
    test: str = "z",
    nagq: int = 7,
    coding: float = 0.5,
    cor: bool = False,
    add: float = 0.5,
    to: str = "only0",
    drop00: bool = True,
    btt: Sequence[int] | None = None,
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> GeneralisedLinear:
    """Fit a generalised linear (mixed) model to counts.

    Parameters
    ----------
    measure : str
        OR (2 x 2 tables), IRR (events over time in two groups), PLO (proportions) or IRLN (rates).
    ai, bi, ci, di, n1i, n2i : (k,) arrays or column names
        Events and non-events in group 1 (ai, bi) and 2 (ci, di); group sizes may stand for the non-events.
    x1i, t1i, x2i, t2i : (k,) arrays or column names
        Events and time at risk in either group.
    xi, mi, ni, ti : (k,) arrays or column names
        One group: events, and non-events or people or time at risk.
    data : pandas.DataFrame, optional
        Where column names and moderators are looked up.
    formula : str, optional
        Moderators, "~ year + country".
    X : (k, p) array, optional
        Moderators, intercept included, instead of a formula.
    model : str
        UM.FS, UM.RS, CM.EL or CM.AL (OR only); without meaning for one group.
    method : str
        EE (no heterogeneity) or ML.
    test : str
        z, or t with k - p degrees of freedom.
    nagq : int
        Quadrature points per random effect; 1 is Laplace's approximation. The exact conditional likelihood of odds
        ratios (CM.EL) is integrated to rounding whatever `nagq`.
    coding : float
        What the random effect of group 1 is multiplied by in the unconditional models, that of group 2 being one less:
        1/2 treats the groups alike, 1 puts all heterogeneity on group 1, 0 on group 2.
    cor : bool
        UM.RS: whether levels and effects of the studies may be correlated.
    add, to : float, str
        What is added to which cells for the effects that studies show by themselves (I^2 needs their variances).
    drop00 : bool
        Leave out studies without an event in either group, or with nothing but events.
    btt : sequence of int, optional
        Positions of the coefficients in the joint test QM.
    level : float
        Probability of the intervals.
    reference, levels : dict, optional
        Reference level and order of the levels of factors.

    Returns
    -------
    GeneralisedLinear

    Raises
    ------
    ModelError
        When counts are missing or impossible, options contradict each other, or the likelihood has no maximum.

    Notes
    -----
    Standard errors come from the observed information of all parameters, heterogeneity included. The constants of the
    likelihood are kept, so that it can be compared between models of the same counts.

    References
    ----------
    [@stijnen2010; @jackson2018]

    Examples
    --------
    >>> found = fit_counts("PLO", xi=[3, 9, 12, 2], ni=[20, 30, 31, 15])
    >>> found.params.round(3).to_dict(), round(found.tau2, 4)
    ({'intercept': -1.037}, 0.067)
    """
    _check_options(measure, model, method, test, nagq, coding, cor)
    interval_level(level)
    columns = {
        "ai": ai, "bi": bi, "ci": ci, "di": di, "n1i": n1i, "n2i": n2i, "x1i": x1i, "t1i": t1i, "x2i": x2i, "t2i": t2i,
        "xi": xi, "mi": mi, "ni": ni, "ti": ti,
    }  # fmt: skip
    counts, kept, notes = read_counts(measure, columns, data)
    two = counts.events.shape[1] == 2
    model = model if two else ""
    if two and drop00 and counts.uninformative.any():
        silent = counts.uninformative
        if silent.all():
            raise ModelError("every study is without events (or without anything else), so there is no effect to pool")
        names = ", ".join(np.array(counts.labels)[silent][:5])
        notes = (*notes, f"{int(silent.sum())} studies without events, or with nothing but events, left out: {names}")
        counts, kept = counts.rows(~silent), kept[~silent]
    design = count_design(formula, X, data, kept, reference, levels)
    k, p = design.X.shape
    if k < p:
        raise ModelError(f"{k} studies cannot carry {p} coefficients")
    if test == "t" and k == p:
        raise ModelError(f"{k} studies leave no degrees of freedom for {p} coefficients; use test='z'")
    yi, vi, told = shown_effects(measure, counts, add, to, two and drop00)
    if model == "UM.RS" and k == 1:
        raise ModelError("one study says nothing about the spread of levels; use UM.FS or a conditional model")
    if k == p and method == "ML":
        method, notes = (
            "EE",
            (*notes, f"k = {k}: heterogeneity cannot be estimated, so the equal-effects model is used"),
        )
    task = CountModel(measure, counts, design.X, model, nagq, coding, cor)
    found = task.fit(method)
    df = float(k - p) if test == "t" else float("inf")
    cov = found.cov()
    beta = found.maximum.shared[task.coefficients]
    tested = list(btt) if btt is not None else _moderators(design.terms)
    if not set(tested) <= set(range(-p, p)):
        raise ModelError(f"btt is {tested}, but there are {p} coefficients (0 to {p - 1})")
    return GeneralisedLinear(
        measure=measure, beta=beta, cov=cov, df=df, terms=design.terms, nobs=k, yi=yi, vi=vi, llf=found.maximum.llf,
        level=level, labels=counts.labels, notes=notes + told + found.notes, model=model, method=method, X=design.X,
        tau2=found.tau2, sigma2=found.sigma2, rho=found.rho, typical_variance=_typical_variance(vi, design.X),
        parameters=found.parameters, counts=2 * k if model.startswith("UM") else k, QE_Wld=found.wald, QE_LRT=found.lrt,
        QM=wald_test(beta[tested], cov[np.ix_(tested, tested)], df), points=found.points, arrow=found.arrow,
        maximum=found.maximum,
    )  # fmt: skip


def _check_options(measure: str, model: str, method: str, test: str, nagq: int, coding: float, cor: bool) -> None:
    """Every option that does not exist, or not together with the others."""
    check_count_model(measure, model, coding, cor)
    if method not in ("EE", "FE", "ML"):
        raise ModelError(f'there is no method "{method}" for counts: use EE or ML')
    if test not in ("z", "t"):
        raise ModelError(f'there is no test "{test}" for counts: use z or t')
    if not (isinstance(nagq, int | np.integer) and 1 <= nagq <= 200):
        raise ModelError(f"nagq is {nagq}: the number of quadrature points is a whole number from 1 to 200")


def _moderators(terms: Sequence[str]) -> list[int]:
    return [i for i, term in enumerate(terms) if term != "intercept"] or [0]


def _typical_variance(vi: FloatArray, X: FloatArray) -> float:
    """(k - p) / tr(P) with weights 1 / v over the studies that show an effect [@higgins2002]."""
    here = np.isfinite(vi) & (vi > 0)
    X, w = X[here], 1 / vi[here]
    k, p = X.shape
    if k <= p:
        return float("nan")
    within = X.T @ (w[:, None] * X)
    if np.linalg.matrix_rank(within) < p:
        return float("nan")
    return float(k - p) / float(w.sum() - np.trace(np.linalg.solve(within, X.T @ (w[:, None] ** 2 * X))))
