"""Which likelihood a model of counts has, how it is begun, and what its saturated version says about heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.counts import Counts
from catharsis.likelihood.counts_families import Binomial, Hypergeometric, Poisson, hypergeometric
from catharsis.likelihood.counts_marginal import Outcome, StudyModel
from catharsis.likelihood.counts_maximum import Arrow, Maximum, look, maximise
from catharsis.models.wald import Wald
from catharsis.numerics import FloatArray, chi2_upper

EXACT_POINTS = 61  # nodes that integrate the exact conditional likelihood to rounding
STARTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # standard deviations of effects (log odds, log rates) tried first
SINGULAR = 1e-12  # smallest eigenvalue of a correlation-scaled information that still determines its parameters


@dataclass(frozen=True, slots=True, eq=False)
class FittedCounts:
    """A maximum with what follows from it; attributes as in `GeneralisedLinear`.

    Attributes
    ----------
    coefficients : slice
        Where the coefficients stand among the shared parameters.
    wald, lrt : Wald
        Tests of heterogeneity.
    """

    arrow: Arrow
    maximum: Maximum
    coefficients: slice
    parameters: int
    points: int
    tau2: float
    sigma2: float
    rho: float
    wald: Wald
    lrt: Wald
    notes: tuple[str, ...]

    def cov(self) -> FloatArray:
        """Covariance of the coefficients; variances at their boundary, zero, are no parameters."""
        return coefficient_covariance(self.maximum, self.coefficients)


def coefficient_covariance(maximum: Maximum, coefficients: slice) -> FloatArray:
    """Inverse of the observed information, coefficients only.

    Square-root variances of zero are left out: the likelihood is even in them, so that nothing connects them with the
    coefficients.

    Raises
    ------
    ModelError
        When the information does not determine them.
    """
    chosen = np.arange(len(maximum.shared))
    after = chosen >= coefficients.stop
    kept = chosen[~(after & (maximum.shared == 0))]
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(maximum.information)[kept]), np.finfo(float).tiny))
    scaled = maximum.information[np.ix_(kept, kept)] * np.outer(unit, unit)
    if np.linalg.eigvalsh(scaled)[0] < SINGULAR:
        raise ModelError("the studies with events do not determine every coefficient; use fewer moderators")
    inverse = np.linalg.inv(scaled) * np.outer(unit, unit)
    return np.asarray((inverse + inverse.T)[coefficients, coefficients] / 2)


@dataclass(frozen=True, slots=True, eq=False)
class CountModel:
    """Counts, moderators and the model to be fitted to them; attributes as the arguments of `fit_counts`."""

    measure: str
    counts: Counts
    X: FloatArray
    model: str
    nagq: int
    coding: float
    cor: bool

    # -- parameters: [level] coefficients [sigma] [tau] [covariance]; levels are the studies' own in UM.FS ------------
    @property
    def coefficients(self) -> slice:
        """Where the coefficients stand among the shared parameters."""
        first = 1 if self.model == "UM.RS" else 0
        return slice(first, first + self.X.shape[1])

    @property
    def points(self) -> int:
        """Quadrature points."""
        return EXACT_POINTS if (self.measure, self.model) == ("OR", "CM.EL") else self.nagq

    def outcomes(self) -> tuple[Outcome, ...]:
        """What is counted in each study, and its distribution."""
        x, n = self.counts.events, self.counts.totals
        k, among = self.counts.k, self.counts.among
        if self.model in ("UM.FS", "UM.RS", ""):
            # with a level of its own, a study without events (or without anything else) is certain to look so
            used = np.ones(k) - (self.counts.uninformative if self.model == "UM.FS" else 0.0)
            if among == "people":
                return tuple(Outcome(x[:, g], np.zeros(k), Binomial(n[:, g]), used) for g in range(x.shape[1]))
            return tuple(Outcome(x[:, g], np.log(n[:, g]), Poisson(), used) for g in range(x.shape[1]))
        events = x.sum(axis=1)
        if (self.measure, self.model) == ("OR", "CM.EL"):
            if (self.counts.cells != np.round(self.counts.cells)).any():
                raise ModelError("the exact conditional likelihood needs whole numbers; use UM.FS, or mend the counts")
            family = hypergeometric(n[:, 0], n[:, 1], events)
            return (Outcome(x[:, 0], np.zeros(k), family, np.ones(k)),)
        with np.errstate(divide="ignore"):
            offset = np.log(n[:, 0] / n[:, 1])
        used = (events > 0) & np.isfinite(offset)  # an empty group leaves nothing to chance
        return (Outcome(x[:, 0], np.where(used, offset, 0.0), Binomial(events), used.astype(float)),)

    def arrow(self, method: str) -> Arrow:
        """The parameters, and how the counts depend on them."""
        k, p = self.X.shape
        loads = {
            "": ([[1.0]], np.ones((1, 1, 1))),
            "UM.FS": ([[1.0, 1.0], [1.0, 0.0]], np.array([[[self.coding]], [[self.coding - 1]]])),
            "UM.RS": ([[1.0, 1.0], [1.0, 0.0]], self._random_levels()),
        }
        fixed, random = loads.get(self.model, loads[""])
        if method == "EE":
            random = np.ones((2, 1, 1)) if self.model == "UM.RS" else np.zeros((len(fixed), 0, 0))
        a, b = len(fixed[0]), random.shape[2]
        first = self.coefficients.start
        maps = np.zeros((k, a + b, first + p + b))
        if first:
            maps[:, 0, 0] = 1
        maps[:, a - 1, self.coefficients] = self.X
        maps[:, a:, first + p :] = np.eye(b)
        own = 0 if self.model == "UM.FS" else None
        free = self.outcomes()[0].used > 0
        return Arrow(StudyModel(self.outcomes(), np.array(fixed), random, self.points), own, free, maps)

    def _random_levels(self) -> FloatArray:
        """Loadings of UM.RS: sigma, tau and, when levels and effects are correlated, their covariance over sigma."""
        code = (self.coding, self.coding - 1)
        found = np.zeros((2, 2, 3 if self.cor else 2))
        for g in range(2):
            found[g, 0, 0] = 1
            found[g, 1, 1] = code[g]
            if self.cor:
                found[g, 0, 2] = code[g]
        return found

    def start(self) -> tuple[FloatArray, FloatArray]:
        """Levels from the pooled groups, no effects; for one group the coefficients of the observed levels."""
        x, n = self.counts.events.sum(axis=1) + 0.5, self.counts.totals.sum(axis=1)
        level = np.log(x / n) if self.counts.among == "time" else np.log(x / (n + 1 - x))
        beta = np.zeros(self.X.shape[1])
        if self.model == "":
            beta = np.linalg.lstsq(self.X, level, rcond=None)[0]
        if self.model == "UM.RS":
            return np.concatenate([[level.mean()], beta, [max(float(level.std()), 0.1)]]), np.zeros(len(level))
        return beta, level

    def fit(self, method: str) -> FittedCounts:
        """The equal-effects model, the tests against the saturated one, and the random-effects model when asked."""
        arrow = self.arrow("EE")
        equal = _snap(arrow, maximise(arrow, *self.start()), self.coefficients.stop)
        wald, lrt = self.heterogeneity(equal)
        base = len(equal.shared) + (self.counts.k if arrow.own is not None else 0)
        notes: tuple[str, ...] = ()
        stop = self.coefficients.stop
        sigma2 = float(equal.shared[stop] ** 2) if self.model == "UM.RS" else float("nan")
        points = self.points if self.model == "UM.RS" else 0
        if method != "ML":
            notes = ("the variance of the levels is estimated at its boundary, zero",) if sigma2 == 0 else ()
            return FittedCounts(
                arrow, equal, self.coefficients, base, points, 0.0, sigma2, float("nan"), wald, lrt, notes
            )
        arrow = self.arrow("ML")
        extra = arrow.model.random.shape[2] - (1 if self.model == "UM.RS" else 0)
        best = self.climb(arrow, equal)
        theta = best.shared[stop:]
        tau2, rho = theta[-1] ** 2, float("nan")
        if self.model == "UM.RS":
            sigma2 = float(theta[0] ** 2)
            tau2 = theta[1] ** 2
            if self.cor:
                tau2 = theta[1] ** 2 + theta[2] ** 2
                rho = float(theta[2] * np.sign(theta[0]) / np.sqrt(tau2)) if tau2 > 0 and sigma2 > 0 else float("nan")
        if tau2 == 0:
            notes = ("tau^2 is estimated at its boundary, zero",)
        if sigma2 == 0:
            notes = (*notes, "the variance of the levels is estimated at its boundary, zero")
        return FittedCounts(
            arrow, best, self.coefficients, base + extra, self.points, float(tau2), sigma2, rho, wald, lrt, notes
        )

    def climb(self, arrow: Arrow, equal: Maximum) -> Maximum:
        """The highest maximum over the variances, begun at the best of several; zero unless others are higher."""
        stop = self.coefficients.stop
        sizes = arrow.model.random.shape[2]
        low = np.concatenate([equal.shared, np.zeros(stop + sizes - len(equal.shared))])
        place = stop + (1 if self.model == "UM.RS" else 0)
        if self.model == "UM.RS" and low[stop] == 0:
            low[stop] = 0.1

        def begin(tau: float) -> FloatArray:
            shared = low.copy()
            shared[place] = tau
            return shared

        values = [look(arrow, begin(tau), equal.own).value for tau in STARTS]
        best = maximise(arrow, begin(STARTS[int(np.argmax(values))]), equal.own)
        return _snap(arrow, best, stop)

    def heterogeneity(self, equal: Maximum) -> tuple[Wald, Wald]:
        """Saturated against equal-effects model: a Wald test and a likelihood ratio test.

        A study whose own effect would be infinite (a zero cell) has no weight in the former.
        """
        k, p = self.X.shape
        estimate, precision, border, llf = (
            self._saturated_random_levels(equal) if self.model == "UM.RS" else self._saturated()
        )
        # precision matrix of the studies' effects: diag(precision) - border border'
        W = precision[:, None] * self.X - border @ (border.T @ self.X)
        w = precision * estimate - border @ (border.T @ estimate)
        within = self.X.T @ W
        solution = np.linalg.lstsq(within, self.X.T @ w, rcond=None)[0]
        statistic = max(float(estimate @ w - solution @ (self.X.T @ w)), 0.0)
        ratio = max(2 * (llf - equal.llf), 0.0)
        df = k - p
        if df == 0:
            return Wald(0.0, 0, float("inf"), 1.0), Wald(0.0, 0, float("inf"), 1.0)
        return (
            Wald(statistic, df, float("inf"), chi2_upper(statistic, df)),
            Wald(ratio, df, float("inf"), chi2_upper(ratio, df)),
        )

    def _saturated(self) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Each study's own effect and its precision, and the log-likelihood; studies are independent."""
        outcomes, k = self.outcomes(), self.counts.k
        if self.model == "UM.FS":
            x, n = self.counts.events, self.counts.totals
            with np.errstate(divide="ignore", invalid="ignore"):
                odds = np.log(x / n) if self.counts.among == "time" else np.log(x / (n - x))
                variance = (1 / self.counts.cells).sum(axis=1)
                here = np.isfinite(variance)
                estimate = np.where(here, odds[:, 0] - odds[:, 1], 0.0)
            llf = 0.0
            for g, outcome in enumerate(outcomes):
                llf += _saturated_log_likelihood(outcome, outcome.offset + odds[:, g])
            return estimate, np.where(here, 1 / variance, 0.0), np.zeros((k, 1)), llf
        estimate, precision, llf = _saturated_one(outcomes[0])
        return estimate, precision, np.zeros((k, 1)), llf

    def _saturated_random_levels(self, equal: Maximum) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """The same when levels are random: the studies' effects share the level's mean and variance."""
        stop = self.coefficients.stop
        shared = np.array([equal.shared[0], equal.shared[stop] or 0.1])
        arrow = saturated_with_random_levels(self.outcomes(), self.points)
        found = _snap(arrow, maximise(arrow, shared, self.X @ equal.shared[self.coefficients]), 1)
        kept = [0] if found.shared[1] == 0 else [0, 1]
        cross, own = found.cross[:, kept], np.where(arrow.free, found.own_information, 1.0)
        profiled = found.information[np.ix_(kept, kept)]
        whole = profiled + cross.T @ (cross / own[:, None])  # the studies' effects held
        border = np.linalg.solve(np.linalg.cholesky(whole), cross.T).T
        return np.where(arrow.free, found.own, 0.0), found.own_information, border, found.llf


def saturated_with_random_levels(outcomes: Sequence[Outcome], points: int) -> Arrow:
    """An effect for each study, levels drawn from a normal distribution.

    Where group 1 has no event (or nothing but events) the effect is infinite and its count certain.
    """
    first, second = outcomes
    low, high = support(first)
    free = (first.y > low) & (first.y < high)
    maps = np.zeros((len(free), 3, 2))
    maps[:, 0, 0] = maps[:, 2, 1] = 1
    model = StudyModel(
        (replace(first, used=free.astype(float)), second),
        np.array([[1.0, 1.0], [1.0, 0.0]]),
        np.ones((2, 1, 1)),
        points,
    )
    return Arrow(model, 1, free, maps)


def _saturated_log_likelihood(outcome: Outcome, eta: FloatArray) -> float:
    """Log-likelihood of counts at their own best parameter; certain where that is infinite."""
    here = np.isfinite(eta) & (outcome.used > 0)
    rows = np.flatnonzero(here)
    if not len(rows):
        return 0.0
    family, y = outcome.family.subset(rows), outcome.y[rows]
    return float(np.sum(y * eta[rows] - family.cumulants(eta[rows], 2)[0] + family.log_base(y)))


def _saturated_one(outcome: Outcome) -> tuple[FloatArray, FloatArray, float]:
    """Each study's own parameter less its offset, its information, and the log-likelihood."""
    k = len(outcome.y)
    low, high = support(outcome)
    free = (outcome.y > low) & (outcome.y < high) & (outcome.used > 0)
    rows = np.flatnonzero(free)
    estimate, precision = np.zeros(k), np.zeros(k)
    if not len(rows):
        return estimate, precision, 0.0
    family, y = outcome.family.subset(rows), outcome.y[rows]
    alone = Outcome(y, outcome.offset[rows], family, np.ones(len(rows)))
    model = StudyModel((alone,), np.ones((1, 1)), np.zeros((1, 0, 0)), 1)
    found = maximise(
        Arrow(model, 0, np.ones(len(rows), dtype=bool), np.zeros((len(rows), 1, 0))), np.zeros(0), np.zeros(len(rows))
    )
    estimate[rows], precision[rows] = found.own, found.own_information
    return estimate, precision, found.llf


def support(outcome: Outcome) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest possible counts."""
    family, k = outcome.family, len(outcome.y)
    if isinstance(family, Binomial):
        return np.zeros(k), family.n
    if isinstance(family, Poisson):
        return np.zeros(k), np.full(k, np.inf)
    assert isinstance(family, Hypergeometric)
    return np.maximum(0, family.m - family.n2), np.minimum(family.n1, family.m)


def _snap(arrow: Arrow, found: Maximum, stop: int) -> Maximum:
    """Square-root variances that are zero but for rounding, set to zero when that costs no likelihood."""
    small = np.arange(len(found.shared)) >= stop
    small &= np.abs(found.shared) < 1e-3
    if not small.any():
        return found
    zero = np.where(small, 0.0, found.shared)
    again = maximise(arrow, zero, found.own, held=small)
    return again if again.llf >= found.llf - 1e-10 * (1 + abs(found.llf)) else found
