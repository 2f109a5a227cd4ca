"""Selection models: the average effect if results were seen more often when they are significant, or large.

A selection model has two parts: the effects as they would be without selection, y_i ~ N(x_i b, v_i + tau^2), and a
weight function, the relative chance that a result with its p-value (or size) is seen at all. Both are estimated
together by maximum likelihood; the estimates of the first part are then "corrected" for the second. They are only as
good as the assumed weight function, and with few effects they say little: use them as a sensitivity analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.selection_functions import SmoothWeights, StepWeights
from catharsis.assess.selection_likelihood import (
    Coordinates,
    Point,
    highest,
    log_likelihood,
    profile_bounds,
    standard_errors,
)
from catharsis.assess.selection_setup import Setup, lowest_deltas, read_options, search, set_up, with_cut
from catharsis.errors import ModelError, did_you_mean
from catharsis.models.coefficients import Coefficients
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray, chi2_quantile, chi2_upper, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

QUADRATURE = 1e-10  # largest difference of the log-likelihood that halving the panels may make, relative


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test: 2 (ll - ll0), its degrees of freedom and chi-square p; p is nan without df."""

    statistic: float
    df: int
    p: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionModel(Coefficients):
    """A fitted selection model.

    Attributes
    ----------
    beta, cov : (p,), (p, p) arrays
        Coefficients corrected for selection, and their covariance; nan when the information is singular.
    tau2, tau2_se : float
        Between-study variance before selection and its standard error; the latter nan at 0.
    delta, delta_se : arrays
        Parameters of the weight function as `names` lists them; the error of a fixed one, or one at 0, is nan.
    llf, llf_null, llf_equal : float
        Log-likelihood of this model, of the model without selection, and of this one with tau^2 = 0 (nan when
        there is no tau^2).
    at_maximum : bool
        Whether the gradient vanishes, or points out of the box where a parameter is at its bound.
    terms, names : tuples of str
        Coefficients; parameters of the weight function.
    notes : tuple of str
        What every reader must be told.
    """

    beta: FloatArray
    cov: FloatArray
    tau2: float
    tau2_se: float
    delta: FloatArray
    delta_se: FloatArray
    llf: float
    llf_null: float
    llf_equal: float
    at_maximum: bool
    terms: tuple[str, ...]
    names: tuple[str, ...]
    type: str
    method: str
    level: float
    notes: tuple[str, ...] = ()
    setup: Setup = field(repr=False)
    baseline: Fit = field(repr=False)
    tau2_zero: float = field(default=0.0, repr=False)
    delta_zero: float = field(default=1e-4, repr=False)

    @property
    def df(self) -> float:
        """Tests of the coefficients are normal: inf."""
        return float("inf")

    @property
    def nobs(self) -> int:
        """Number of effects."""
        return len(self.setup.data.yi)

    # -- tests ------------------------------------------------------------------------------------
    @property
    def lrt(self) -> LikelihoodRatio:
        """Is there selection? Against the same model without; the statistic is not below 0."""
        df = int(np.isnan(self.setup.fixed).sum())
        statistic = max(2 * (self.llf - self.llf_null), 0.0) if df else 0.0
        return LikelihoodRatio(statistic, df, chi2_upper(statistic, df))

    @property
    def tau2_lrt(self) -> LikelihoodRatio:
        """Is there heterogeneity? Against the same selection model with tau^2 = 0.

        Zero is the boundary, so that p of chi-square with one degree of freedom is conservative.
        """
        statistic = max(2 * (self.llf - self.llf_equal), 0.0) if self.method == "ML" else float("nan")
        return LikelihoodRatio(statistic, 1, chi2_upper(statistic, 1) if statistic == statistic else float("nan"))

    @property
    def QM(self) -> Wald:
        """Joint test of all coefficients but the intercept; of the intercept when it stands alone."""
        chosen = [i for i, term in enumerate(self.terms) if term != "intercept"] or [0]
        return wald_test(self.beta[chosen], self.cov[np.ix_(chosen, chosen)])

    # -- the weight function ----------------------------------------------------------------------
    def weights(self, p: Sequence[float] | FloatArray, prec: float = 1.0) -> FloatArray:
        """Relative chance that a result with these p-values is seen.

        Parameters
        ----------
        p : array
            p-values, one- or two-sided as the model's alternative.
        prec : float
            Value of the precision measure, for models that have one.

        Raises
        ------
        ModelError
            For truncation, whose weights depend on the effect and not on p.
        """
        values = np.asarray(p, dtype=float)
        if ((values < 0) | (values > 1) | np.isnan(values)).any():
            raise ModelError("p-values lie between 0 and 1")
        weights = self.setup.data.weights
        if self.type == "stepfun":
            return np.asarray(self.delta[np.searchsorted(self.setup.options.steps, values, side="left")])
        if isinstance(weights, StepWeights):
            raise ModelError("truncation depends on the effect, not on its p-value")
        assert isinstance(weights, SmoothWeights)
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(values), np.log1p(-values)
        return np.asarray(np.exp(weights.weight(log_p, log_q, np.full_like(values, prec), self.delta)[0]))

    # -- elsewhere in the parameter space ---------------------------------------------------------
    def at(
        self, beta: Sequence[float] | FloatArray, tau2: float, delta: Sequence[float] | FloatArray
    ) -> SelectionModel:
        """The same model at other parameter values: likelihood and standard errors there.

        For comparison with another program's estimates.
        """
        given = np.asarray(delta, dtype=float)
        given = given[1:] if self.setup.reference else given
        scaled = np.linalg.solve(self.setup.rotation, np.asarray(beta, dtype=float) * self.setup.sign / self.setup.unit)
        setup = self.setup
        if self.type == "truncest":
            setup, given = with_cut(setup, setup.sign * given[1] / setup.unit, True), given[:1]
        point = log_likelihood(setup.data, np.concatenate([scaled, [tau2 / setup.unit**2], given]))
        found = _report(self.setup, point, self, self.delta[1] if self.type == "truncest" else None)
        return replace(found, delta=np.asarray(delta, dtype=float), notes=("evaluated at given values",))

    def profile_interval(self, name: str, level: float | None = None) -> tuple[float, float]:
        """Profile-likelihood interval of a coefficient, of "tau2" or of a parameter of the weight function.

        Parameters
        ----------
        name : str
            A term, "tau2", or one of `names`.
        level : float, optional
            Probability of the interval.

        Returns
        -------
        (float, float)
            A bound that the likelihood does not reach is that of the parameter space (infinite for a coefficient).
        """
        return profile_interval(self, name, self.probability_of(level))

    def summary(self) -> pd.DataFrame:
        """Coefficients, tau^2 and weights with standard errors, tests and intervals in one frame.

        Weights are tested against no selection, and their intervals end at 0; tau^2 is tested by likelihood ratio.
        """
        import pandas as pd

        reach = float(critical_value(self.level))
        estimate = np.concatenate([self.beta, [self.tau2], self.delta])
        se = np.concatenate([self.se, [self.tau2_se], self.delta_se])
        null = np.concatenate([np.zeros(len(self.beta)), [np.nan], np.full(len(self.delta), self.setup.null)])
        statistic = (estimate - null) / se
        p = two_sided_p(statistic)
        p[len(self.beta)] = self.tau2_lrt.p
        low = estimate - reach * se
        low[len(self.beta) :] = np.where(low[len(self.beta) :] < 0, 0.0, low[len(self.beta) :])
        return pd.DataFrame(
            {"estimate": estimate, "se": se, "statistic": statistic, "p": p, "low": low, "high": estimate + reach * se},
            index=[*self.terms, "tau2", *self.names],
        )


def selection_model(
    yi: Fit | Sequence[float] | FloatArray,
    vi: Sequence[float] | FloatArray | None = None,
    X: FloatArray | None = None,
    *,
    type: str = "stepfun",
    steps: Sequence[float] | float | None = None,
    alternative: str = "greater",
    delta: Sequence[float | None] | None = None,
    prec: str | None = None,
    ni: Sequence[float] | None = None,
    decreasing: bool = False,
    subset: Sequence[bool] | None = None,
    method: str | None = None,
    scale_prec: bool = True,
    p_min: float | None = None,
    delta_min: Sequence[float] | float | None = None,
    delta_max: Sequence[float] | float | None = None,
    tau2_zero: float = 0.0,
    delta_zero: float = 1e-4,
    level: float = 0.95,
) -> SelectionModel:
    """Fit a selection model by maximum likelihood.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate fit, whose data and moderators are taken, or the effects.
    vi : (k,) array
        Sampling variances, when `yi` holds effects.
    X : (k, p) array, optional
        Moderators, intercept included, when `yi` holds effects.
    type : str
        Weight function of the p-value: "stepfun" [@hedges1992; @vevea1995], "beta" [@citkowicz2017], "halfnorm",
        "negexp", "logistic" [@preston2004], "power", "negexppow" (p to a power); or of the effect: "trunc" (a cut
        point given by `steps`, 0 by default), "truncest" (a cut point estimated as well).
    steps : sequence of float
        Cut points of p for a step function, 0.025 by default: with one, the three-parameter selection model. For the
        smooth weight functions one threshold, up to which w = 1; above it they fall relative to their value there.
    alternative : {"greater", "less", "two.sided"}
        Which results are favoured: significant positive ones, negative ones, or both.
    delta : sequence, optional
        Fixed parameters of the weight function, None or nan for those to be estimated; for step functions one per
        interval, the first 1, as Vevea and Woods fix them [@vevea2005].
    prec : {"sei", "vi", "ninv", "sqrtninv"}, optional
        Measure of imprecision that delta is multiplied by, scaled to a maximum of 1 unless `scale_prec` is false.
    ni : (k,) sequence, optional
        Sample sizes, for the last two.
    decreasing : bool
        Whether the weights of a step function may only fall as p rises.
    subset : (k,) sequence of bool, optional
        Effects that selection applies to; all by default.
    method : {"ML", "EE"}, optional
        With a between-study variance or without; by default as the fit given, or ML.
    scale_prec : bool
        See `prec`.
    p_min : float, optional
        p is kept within [p_min, 1 - p_min]: 1e-5 for the beta and power models, whose weights are infinite or zero
        at the ends, 0 for the others.
    delta_min, delta_max : float or sequence, optional
        Bounds of the estimated deltas: 0 (beta 1e-5, negexppow 1e-3) and 100 (decreasing 1).
    tau2_zero, delta_zero : float
        A tau^2 or delta (of step, truncation and beta models) at or below these counts as zero in the standard errors:
        it has none, and the others are conditional on it.
    level : float
        Probability of the intervals.

    Returns
    -------
    SelectionModel

    Raises
    ------
    ModelError
        Data that cannot be fitted, options that do not fit together, k not above the number of coefficients,
        correlated sampling errors or several random factors.

    References
    ----------
    [@hedges1992; @vevea1995; @preston2004; @vevea2005; @citkowicz2017; @carter2019]

    Examples
    --------
    >>> import catharsis as ca
    >>> yi = [0.9, 0.6, 0.5, 0.45, 0.3, 0.35, 0.2, 0.12, 0.1, -0.05]
    >>> vi = [0.10, 0.08, 0.05, 0.04, 0.01, 0.02, 0.015, 0.02, 0.01, 0.02]
    >>> found = ca.selection_model(yi, vi, steps=[0.025])
    >>> float(found.params["intercept"].round(3)), found.delta.round(3).tolist()
    (0.091, [1.0, 0.061])
    """
    baseline, method = _baseline(yi, vi, X, method, level)
    options = read_options(
        baseline.nobs, type, steps, alternative, delta, prec, ni, decreasing, scale_prec, p_min, delta_min, delta_max,
        subset,
    )  # fmt: skip
    setup = set_up(baseline.blocks.y, baseline.vi, baseline.blocks.X, options)
    if type == "truncest":
        return _cut_estimated(setup, baseline, method, tau2_zero, delta_zero)
    return _maximised(setup, baseline, method, tau2_zero, delta_zero)


def _baseline(
    yi: Fit | Sequence[float] | FloatArray, vi: Sequence[float] | FloatArray | None, X: FloatArray | None,
    method: str | None, level: float,
) -> tuple[Fit, str]:  # fmt: skip
    """The same model without selection, by maximum likelihood."""
    terms = None
    if isinstance(yi, Fit):
        if vi is not None or X is not None:
            raise ModelError("a fit brings its own variances and moderators: leave vi and X out")
        if len(yi.blocks.factors) != 1 or not yi.blocks.independent:
            raise ModelError("selection models here need independent effects; this fit has dependent ones")
        method = method or ("EE" if yi.method in ("EE", "FE") else "ML")
        terms, level = yi.design, yi.level
        source = yi
        yi, vi, X = source.blocks.y, source.vi, source.blocks.X
    if vi is None:
        raise ModelError("give the sampling variances, vi")
    method = method or "ML"
    if method not in ("ML", "EE", "FE"):
        raise ModelError(f'the method is "{method}"; selection models are fitted by ML, or EE for no heterogeneity')
    method = "EE" if method == "FE" else method
    k, p = len(np.atleast_1d(np.asarray(yi))), 1 if X is None else np.asarray(X).shape[-1]
    if k <= p:
        fit(yi=yi, vi=vi, X=X, method="EE")  # for its checks
        raise ModelError(f"a selection model needs more effects than coefficients; here k = {k} and p = {p}")
    found = fit(yi=yi, vi=vi, X=X, method=method, test="z", level=level)
    return (found if terms is None else replace(found, design=terms)), method


def _maximised(setup: Setup, baseline: Fit, method: str, tau2_zero: float, delta_zero: float) -> SelectionModel:
    scaled, tau2 = _scaled(setup, baseline)
    plan = search(setup, scaled, tau2, method == "ML")
    point, inner, done = highest(setup.data, plan.coordinates, plan.starts, plan.low, plan.high)
    equal = float("nan")
    if method == "ML":
        p = len(scaled)
        still = search(setup, scaled, 0.0, False)
        own = np.delete(inner.at, p)
        base = fit(yi=baseline.blocks.y, vi=baseline.vi, X=baseline.blocks.X, method="EE")
        starts = (own, *(np.concatenate([_scaled(setup, base)[0], start[p:]]) for start in still.starts[:3]))
        flat, flat_inner, _ = highest(setup.data, still.coordinates, starts, still.low, still.high)
        equal = flat.value
        if equal >= point.value:  # tau^2 = 0 is the boundary of the larger model
            again = np.insert(flat_inner.at, p, 0.0)
            point, inner, done = highest(setup.data, plan.coordinates, (again,), plan.low, plan.high)
    notes = list(setup.notes)
    weights = setup.data.weights
    if isinstance(weights, SmoothWeights):
        finer = log_likelihood(replace(setup.data, weights=weights.finer()), point.at).value
        if abs(finer - point.value) > QUADRATURE * max(1.0, abs(finer)):
            notes.append(f"the normalising integrals are good to {abs(finer - point.value):.0e} only")
    if not done:
        notes.append("the search for the maximum did not settle: the likelihood is nearly flat or has no maximum")
    frame = SelectionModel(
        beta=scaled, cov=np.zeros((0, 0)), tau2=0.0, tau2_se=0.0, delta=np.zeros(0), delta_se=np.zeros(0), llf=0.0,
        llf_null=baseline.log_likelihood(reml=False), llf_equal=equal - setup_shift(setup), at_maximum=done,
        terms=baseline.design.terms, names=setup.names, type=setup.options.type, method=method, level=baseline.level,
        notes=(), setup=setup, baseline=baseline, tau2_zero=tau2_zero, delta_zero=delta_zero,
    )  # fmt: skip
    found = _report(setup, point, frame, None)
    return replace(found, at_maximum=done, notes=(*notes, *_bounds_met(found)))


def setup_shift(setup: Setup) -> float:
    """What the log-likelihood of the scaled data has too much."""
    return float(len(setup.data.yi) * np.log(setup.unit))


def _scaled(setup: Setup, baseline: Fit) -> tuple[FloatArray, float]:
    beta = np.asarray(np.linalg.solve(setup.rotation, setup.sign * baseline.beta / setup.unit))
    return beta, baseline.tau2 / setup.unit**2


def _report(setup: Setup, point: Point, frame: SelectionModel, cut: float | None) -> SelectionModel:
    """Estimates and standard errors in the units of the data."""
    p, unit = len(setup.rotation), setup.unit
    beta, tau2, delta = point.at[:p], float(point.at[p]), point.at[p + 1 :]
    fixed = setup.fixed[: len(delta)]
    counted = np.concatenate([np.ones(p, bool), [frame.method == "ML" and tau2 * unit**2 > frame.tau2_zero],
                              np.isnan(fixed)])  # fmt: skip
    if setup.options.type in ("stepfun", "trunc", "truncest", "beta"):
        counted[p + 1 :] &= delta >= frame.delta_zero
    cov, good = standard_errors(point.hessian, counted)
    turn = setup.sign * unit * setup.rotation
    se = np.sqrt(np.diag(cov))
    lead = [np.ones(1), np.full(1, np.nan)] if setup.reference else [np.zeros(0), np.zeros(0)]
    tail = [np.zeros(0), np.zeros(0)] if cut is None else [np.array([cut]), np.full(1, np.nan)]
    return replace(
        frame,
        beta=turn @ beta, cov=turn @ cov[:p, :p] @ turn.T, tau2=tau2 * unit**2, tau2_se=float(se[p]) * unit**2,
        delta=np.concatenate([lead[0], delta, tail[0]]), delta_se=np.concatenate([lead[1], se[p + 1 :], tail[1]]),
        llf=point.value - setup_shift(setup),
        notes=() if good else ("the information is singular: there are no standard errors",),
    )  # fmt: skip


def _bounds_met(found: SelectionModel) -> list[str]:
    """Parameters at the edge of their space."""
    notes = list(found.notes)
    if found.method == "ML" and found.tau2 == 0:
        notes.append("tau^2 is estimated at its boundary, zero")
    setup = found.setup
    values = found.delta[1:] if setup.reference else found.delta
    names = found.names[1:] if setup.reference else found.names
    bounds = zip(lowest_deltas(setup.options), setup.options.delta_max, strict=True)
    for name, value, fixed, (least, top) in zip(names, values, setup.fixed, bounds, strict=False):
        if not np.isnan(fixed) or (found.type == "truncest" and name != "delta1"):
            continue
        label = f"the weight of {name}" if found.type == "stepfun" else name
        if value >= top * (1 - 1e-9):
            notes.append(f"{label} is estimated at its upper bound, {top:g}")
        elif value <= least:
            notes.append(f"{label} is estimated at its lower bound, {least:g}")
    return notes


def _cut_estimated(setup: Setup, baseline: Fit, method: str, tau2_zero: float, delta_zero: float) -> SelectionModel:
    """The truncation model at its best cut point.

    The likelihood rises towards an observed effect from one side and jumps there, so that its highest value is at an
    observed effect, which counts as below the cut or as above it; every one is tried.
    """
    if not np.isnan(setup.fixed[1]):
        cuts = [(setup.sign * setup.fixed[1] / setup.unit, True)]
    else:
        own = np.unique(setup.data.yi[setup.data.selected])
        cuts = [(float(cut), inclusive) for cut in own for inclusive in (True, False)]
    best: SelectionModel | None = None
    for cut, inclusive in cuts:
        trial = _maximised(with_cut(setup, cut, inclusive), baseline, method, tau2_zero, delta_zero)
        if best is None or trial.llf > best.llf:
            best, place = trial, cut
    assert best is not None
    extra = (
        ()
        if not np.isnan(setup.fixed[1])
        else ("the cut point is estimated at an observed effect and has no standard error",)
    )
    return replace(
        best, type="truncest", names=setup.names, setup=replace(setup, data=best.setup.data, counts=best.setup.counts),
        delta=np.append(best.delta, setup.sign * place * setup.unit), delta_se=np.append(best.delta_se, np.nan),
        notes=(*best.notes, *extra),
    )  # fmt: skip


def profile_interval(found: SelectionModel, name: str, level: float) -> tuple[float, float]:
    """See `SelectionModel.profile_interval`."""
    setup = found.setup
    known = [*found.terms, "tau2", *(found.names[1:] if setup.reference else found.names)]
    if name not in known:
        raise ModelError(f'there is no parameter "{name}": {did_you_mean(name, known)}')
    if found.type == "truncest":
        raise ModelError("profile intervals are not available when the cut point is estimated")
    q = known.index(name)
    p = len(found.terms)
    if q > p and not np.isnan(setup.fixed[q - p - 1]):
        raise ModelError(f"{name} is fixed, so it has no interval")
    if q == p and found.method != "ML":
        raise ModelError("the equal-effects model has no tau^2")
    delta = found.delta[1:] if setup.reference else found.delta
    best = np.concatenate([np.linalg.solve(setup.rotation, setup.sign * found.beta / setup.unit),
                           [found.tau2 / setup.unit**2], delta])  # fmt: skip
    # natural coordinates, beta in its own basis: x = (beta, tau^2, delta) / scale
    basis = np.linalg.inv(setup.rotation)
    size = len(best)
    slope = np.eye(size)
    slope[:p, :p] = basis
    natural = Coordinates(slope, np.zeros(size), np.zeros(size, bool))
    at = best.copy()
    at[:p] = setup.sign * found.beta / setup.unit
    options = setup.options
    low = np.concatenate([np.full(p, -np.inf), [0.0], lowest_deltas(options)])
    high = np.concatenate([np.full(p + 1, np.inf), options.delta_max])
    if setup.counts:  # a weight of effects that were seen is above 0
        seen = p + 1 + np.flatnonzero(np.array(setup.counts[1:]) > 0)
        low[seen] = np.maximum(low[seen], 1e-12)
    held = np.concatenate([np.zeros(p, bool), [found.method != "ML"], ~np.isnan(setup.fixed)])
    low[held], high[held] = at[held], at[held]
    se = [*found.se / setup.unit, found.tau2_se / setup.unit**2, *found.delta_se[int(setup.reference) :]][q]

    def f(x: FloatArray) -> Point:
        return natural.pull_back(log_likelihood(setup.data, natural.theta(x)), x)

    step = float(se) if np.isfinite(se) and se > 0 else max(abs(float(at[q])), 0.1)
    lower, upper = profile_bounds(f, f(at), q, low, high, chi2_quantile(level, 1) / 2, step)
    if q < p:
        lower, upper = sorted((setup.sign * setup.unit * lower, setup.sign * setup.unit * upper))
    if q == p:
        lower, upper = setup.unit**2 * lower, setup.unit**2 * upper
    return lower, upper
