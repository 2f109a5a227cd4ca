"""Bayesian model averaging: whether there are an effect, heterogeneity and publication bias, and how large they are.

No single model is right. Each combination of "an effect or none", "heterogeneity or none" and a kind of publication
bias (or none) has a prior probability, and the data move it by its marginal likelihood. A quantity that a model fixes
at 0 has a point mass there, so that its averaged posterior says both whether and how much. Marginal likelihoods are
computed twice, by quadrature and by bridge sampling; where the two differ, nothing may be reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from catharsis.bayes.averaging_kernel import Kernel
from catharsis.bayes.averaging_laws import MixedLaw, PanelLaw, mixed, mu_mixture, new_mixture
from catharsis.bayes.averaging_models import (
    NONE,
    PEESE,
    PET,
    SIDED,
    BiasModel,
    Model,
    all_models,
    priors_for,
    read_bias_models,
    read_odds,
    slope_prior,
    unit_of,
)
from catharsis.bayes.averaging_nuisance import Nothing, Nuisance, Slope, StepWeights
from catharsis.bayes.averaging_quadrature import Problem, Quadrature, integrate
from catharsis.bayes.bridge import Bridge
from catharsis.bayes.marginals import GaussianMixture, Law, PointMass
from catharsis.bayes.posterior import NUMBER, Marginal
from catharsis.bayes.priors import SHIFTED, Prior, Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import vector, whole_number
from catharsis.likelihood.data import check_data, read_data
from catharsis.likelihood.publication_bias import StepSelection, small_study_regressor
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.bayes.averaging_moderators import ModeratorInclusion

AGREE = 0.05  # log units by which the two marginal likelihoods of a model may differ
COARSE = 0.01  # estimated error of a quadrature, log units, beyond which it is not reported
IRRELEVANT = 1e-6  # posterior probability of a model below which its marginal likelihood may be off
FEW = 10  # effects below which publication bias can hardly be told from chance [@sterne2011]
NOISE = 1e-4  # rounding of a log marginal likelihood that can be borne
EPS = float(np.finfo(float).eps)
ALTERNATIVES = ("greater", "less")
BY_P = "weights by p-value"
BY_SE = "PET-PEESE"


@dataclass(frozen=True, slots=True)
class Fitted:
    """One model and its posterior.

    Attributes
    ----------
    model : Model
    found : Quadrature
        In the direction that one-sided selection favours.
    check : Bridge or None
        The second marginal likelihood.
    probability : float
        Posterior probability.
    """

    model: Model
    found: Quadrature
    check: Bridge | None
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelAverage:
    """An average over models.

    Attributes
    ----------
    mu, tau, new : Marginal
        Average effect, between-study standard deviation and the true effect in a new study, averaged over all models.
        A model without the effect (or heterogeneity) puts its probability on exactly 0; `density` is that of the rest,
        and `positive`, `cdf` and `quantile` count it where it lies.
    mu_given, tau_given : Marginal or None
        The same within the models that have the effect (or heterogeneity).
    new_given : Marginal or None
        The true effect in a new study within the models that have the effect.
    fitted : tuple of Fitted
        The models.
    alternative : str
        The direction that one-sided selection and small studies favour.
    priors : Priors
        On mu and tau, analysis scale.
    level : float
        Probability of the intervals.
    notes : tuple of str
        What every reader must be told.
    reportable : bool
        Whether both ways to compute each marginal likelihood agree (within 0.05) and the quadrature settled; False
        also where bridge=False left them unchecked.
    """

    mu: Marginal
    tau: Marginal
    new: Marginal
    mu_given: Marginal | None
    tau_given: Marginal | None
    new_given: Marginal | None
    fitted: tuple[Fitted, ...] = field(repr=False)
    alternative: str
    priors: Priors
    level: float
    notes: tuple[str, ...] = ()
    reportable: bool = True

    @property
    def models(self) -> pd.DataFrame:
        """One row per model.

        Columns: effect, heterogeneity, bias; prior, posterior (probabilities); bayes_factor (of the model against all
        others); log_marginal (by quadrature), error (its estimate), bridge (the second computation), bridge_error
        (Monte Carlo standard error), difference (bridge minus quadrature); log units, of the density of the effects in
        their own unit.
        """
        import pandas as pd

        rows: dict[str, dict[str, Any]] = {}
        for n, one in enumerate(self.fitted):
            check = one.check or Bridge(math.nan, math.nan, 0, math.nan)
            alone = self._log_factor([n == other for other in range(len(self.fitted))])
            rows[str(one.model)] = {
                "effect": one.model.effect, "heterogeneity": one.model.heterogeneity, "bias": str(one.model.bias),
                "prior": one.model.probability, "posterior": one.probability, "bayes_factor": _exp(alone),
                "log_marginal": one.found.log_evidence, "error": one.found.error, "bridge": check.log_evidence,
                "bridge_error": check.error, "difference": check.log_evidence - one.found.log_evidence,
            }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def inclusion(self) -> pd.DataFrame:
        """Evidence for each component: effect, heterogeneity, bias, and the kinds of bias.

        Columns: models (how many have it), prior, posterior (probabilities), bayes_factor and log_bayes_factor
        (posterior over prior odds). A component that all models or none have is left out.
        """
        import pandas as pd

        rows: dict[str, dict[str, float]] = {}
        for name, has in self._components().items():
            inside = [one for one, here in zip(self.fitted, has, strict=True) if here]
            if 0 < len(inside) < len(self.fitted):
                log_factor = self._log_factor(has)
                rows[name] = {
                    "models": len(inside), "prior": math.fsum(one.model.probability for one in inside),
                    "posterior": min(math.fsum(one.probability for one in inside), 1.0),
                    "bayes_factor": _exp(log_factor), "log_bayes_factor": log_factor,
                }  # fmt: skip
        columns = ["models", "prior", "posterior", "bayes_factor", "log_bayes_factor"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"models": int})

    def _components(self) -> dict[str, list[bool]]:
        """Names of components, and which of the models have them."""
        models = [one.model for one in self.fitted]
        found = {
            "effect": [m.effect for m in models],
            "heterogeneity": [m.heterogeneity for m in models],
            "bias": [m.bias.kind != NONE for m in models],
        }
        kinds = list(dict.fromkeys(m.bias for m in models if m.bias.kind != NONE))
        if {bool(kind.sides) for kind in kinds} == {True, False}:
            found[BY_P] = [bool(m.bias.sides) for m in models]
            found[BY_SE] = [m.bias.kind in (PET, PEESE) for m in models]
        if len(kinds) > 1:
            found |= {str(kind): [m.bias == kind for m in models] for kind in kinds}
        return found

    def _log_factor(self, has: Sequence[bool]) -> float:
        """Log of posterior over prior odds; nan when all models or none have it."""
        sides: list[list[Fitted]] = [[], []]
        for one, here in zip(self.fitted, has, strict=True):
            sides[here].append(one)
        if not all(sides):
            return math.nan
        against, favour = (
            float(special.logsumexp([one.found.log_evidence + math.log(one.model.probability) for one in side]))
            - math.log(math.fsum(one.model.probability for one in side))
            for side in sides
        )
        return favour - against

    def bayes_factor(self, component: str) -> float:
        """The inclusion Bayes factor of a row of `inclusion`.

        Raises
        ------
        ModelError
            For a component that these models cannot tell about.

        Examples
        --------
        >>> found = model_average(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], models="bma", bridge=False)
        >>> 0.5 < found.bayes_factor("effect") < 5
        True
        """
        table = self.inclusion
        if component not in table.index:
            raise ModelError(
                f'these models hold no evidence for or against "{component}": '
                f"{did_you_mean(str(component), list(table.index))}"
            )
        return float(table.loc[component, "bayes_factor"])

    def summary(self) -> pd.DataFrame:
        """Mean, sd, median, interval, P(> 0), P(= 0) of mu, tau and a new study's effect, averaged and conditional."""
        import pandas as pd

        rows = {
            "mu": self.mu, "mu, given an effect": self.mu_given, "tau": self.tau,
            "tau, given heterogeneity": self.tau_given, "new study": self.new,
            "new study, given an effect": self.new_given,
        }  # fmt: skip
        kept = {name: row for name, row in rows.items() if row is not None}
        names = ("mean", "sd", "median", "low", "high", "positive")
        table = pd.DataFrame({name: [getattr(row, name) for row in kept.values()] for name in names}, index=list(kept))
        table["zero"] = [_zero(row) for row in kept.values()]
        return table

    def probability(self, statement: str, term: str = "mu") -> float:
        """Averaged posterior probability of "> x", "< x", "in (a, b)" or "= 0" for "mu", "tau" or "new study".

        Raises
        ------
        ModelError
            For another statement or quantity.

        Examples
        --------
        >>> found = model_average(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], models="bma", bridge=False)
        >>> parts = [found.probability(text) for text in ("< 0", "= 0", "> 0")]
        >>> round(sum(parts), 9)
        1.0
        """
        rows = {"mu": self.mu, "tau": self.tau, "new study": self.new}
        if term not in rows:
            raise ModelError(f'there is no "{term}": {did_you_mean(str(term), list(rows))}')
        row = rows[term]
        text = str(statement)
        if re.fullmatch(r"\s*=\s*0\s*", text):
            return _zero(row)
        side = re.fullmatch(rf"\s*([<>])\s*({NUMBER})\s*", text)
        if side is not None:
            return row.cdf(float(side[2])) if side[1] == "<" else row.sf(float(side[2]))
        between = re.fullmatch(rf"\s*in\s*\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)\s*", text)
        if between is None or not float(between[1]) < float(between[2]):
            raise ModelError(f'"{statement}" is not a statement; write "> 0", "< 0.2", "in (-0.1, 0.1)" or "= 0"')
        low, high = float(between[1]), float(between[2])
        inside = (
            1 - row.sf(high) if row.sf(high) < 0.5 else row.cdf(high)
        )  # the point mass at 0 lies inside or not at all
        return max(inside - row.cdf(low) - (_zero(row) if low == 0 else 0.0), 0.0)

    def predictive(self) -> Marginal:
        """The true effect in a new study, averaged over all models."""
        return self.new

    @property
    def weights(self) -> pd.DataFrame:
        """Relative probability that a result is seen, by one-sided p-value in the direction of `alternative`.

        Columns: averaged (over all models; 1 in those without weights), given (within the models with weights).
        Posterior means; the most significant interval has weight 1 in a one-sided model. Empty without weights.
        """
        import pandas as pd

        shown = [one for one in self.fitted if one.model.bias.sides]
        if not shown:
            return pd.DataFrame({"averaged": [], "given": []})
        cuts = sorted({p for one in shown for p in _one_sided(one.model.bias)[0]})
        middle = (np.array([0.0, *cuts]) + np.array([*cuts, 1.0])) / 2
        mass = math.fsum(one.probability for one in shown)
        total = np.zeros(len(middle))
        for one in shown:
            own, level = _one_sided(one.model.bias)
            total += one.probability * one.found.bias[level[np.searchsorted(own, middle)]]
        edges = [0.0, *cuts, 1.0]
        names = [f"({a:g}, {b:g})" for a, b in pairwise(edges)]
        given = total / mass if mass > 0 else np.full(len(middle), math.nan)
        return pd.DataFrame({"averaged": total + (1 - mass), "given": given}, index=names)

    @property
    def slopes(self) -> pd.DataFrame:
        """Posterior means of the coefficients of PET and PEESE: averaged (0 in other models), and given the model.

        Those of PEESE are per unit of the effects. Positive in the direction of `alternative`.
        """
        import pandas as pd

        rows: dict[str, list[float]] = {}
        for kind in (PET, PEESE):
            own = [one for one in self.fitted if one.model.bias.kind == kind]
            mass = math.fsum(one.probability for one in own)
            if own and mass > 0:
                total = math.fsum(one.probability * float(one.found.bias[0]) for one in own)
                rows[kind] = [total, total / mass]
        return pd.DataFrame.from_dict(rows, orient="index", columns=["averaged", "given"])


def _exp(log_factor: float) -> float:
    """A Bayes factor from its logarithm, at most 1e304."""
    return math.exp(min(log_factor, 700.0))


def _zero(row: Marginal) -> float:
    """Probability of exactly 0."""
    return row.law.zero if isinstance(row.law, MixedLaw) else 0.0


def _one_sided(bias: BiasModel) -> tuple[list[float], IntArray]:
    """Cut points in one-sided p, and the interval of the model's own p that each piece between them belongs to."""
    steps = list(bias.steps)
    if bias.sides == 1:
        return steps, np.arange(len(steps) + 1)
    low = [step / 2 for step in steps]
    inner = np.arange(len(steps) + 1)
    return [*low, *(1 - step for step in reversed(low))], np.concatenate([inner, inner[::-1][1:]])


def model_average(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    models: str | Sequence[str | BiasModel] | Mapping[str | BiasModel, float] = "default",
    priors: Priors | None = None,
    odds: Mapping[str, float] | None = None,
    alternative: str = "greater",
    measure: str | None = None,
    ni: str | Sequence[float] | FloatArray | None = None,
    unit: float | None = None,
    moderators: bool = False,
    level: float = 0.95,
    bridge: bool = True,
    seed: int = 1,
    **more: Any,
) -> ModelAverage | ModeratorInclusion:
    """Average over models with and without an effect, heterogeneity and kinds of publication bias.

    Parameters
    ----------
    formula, data, yi, vi
        As for `catharsis.fit_bayes`; without moderators, such as "yi ~ 1".
    models : str, sequence or mapping
        "default": the 36 models of RoBMA-PSMA with our prior on tau. "psma": the same with theirs. "two-sided":
        theirs before PET-PEESE (12 models). "pet-peese" (12). "bma": no bias at all (4). Or kinds of bias, such as
        ["two-sided(0.05)", "one-sided(0.025, 0.5)", "pet", "peese half-normal(2)"], of equal weight, or a mapping of
        them to their weights among the models with bias. A model without bias always stands beside them (see `odds`).
    priors : Priors, optional
        On mu and tau, in units of the effects. By default normal(0, 1) on mu and half-normal(0.5) on tau, or, for
        "psma" and "two-sided", inverse-gamma(1, 0.15) on tau: in standard deviations, times `unit`. Half-Cauchy(1) on
        the coefficient of PET and half-Cauchy(5 / unit) on that of PEESE.
    odds : mapping, optional
        Prior odds of "effect", "heterogeneity", "bias"; 1 each by default. 0 and inf leave models out.
    alternative : str
        The direction that one-sided selection and small studies favour: "greater" (positive effects) or "less".
        p-values are those of y / sqrt(v).
    measure : str, optional
        Measure of the effects (SMD, ZCOR, OR, ...), which gives their unit; by default what `effect_size` left in the
        data. Where a measure has no unit of its own, give `ni`.
    ni : (k,) array or column, optional
        Sample sizes: the unit of the effects is then half their unit-information standard deviation.
    unit : float, optional
        One standard deviation in units of the effects, instead.
    moderators : bool
        Average over the moderators of the formula instead of over publication bias: see `moderator_inclusion`, to which
        all arguments are handed.
    level : float
        Probability of the intervals.
    bridge : bool
        Whether to compute each marginal likelihood a second time by bridge sampling.
    seed : int
        Of the bridge sampler; the answers themselves are quadrature and do not depend on it.
    more
        Arguments of `moderator_inclusion`.

    Returns
    -------
    ModelAverage or ModeratorInclusion

    Raises
    ------
    ModelError
        For data that cannot be fitted, models or odds that are none, improper priors.

    References
    ----------
    [@maier2023; @bartos2023; @bartos2022; @gronau2017]

    Examples
    --------
    >>> found = model_average(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], models="bma", bridge=False)
    >>> found.models["posterior"].round(3).tolist()
    [0.002, 0.401, 0.108, 0.489]
    """
    if moderators:
        from catharsis.bayes.averaging_moderators import moderator_inclusion

        return moderator_inclusion(
            formula, data, yi=yi, vi=vi, priors=priors, measure=measure, ni=ni, unit=unit, level=level, **more
        )
    if more:
        raise ModelError(f"{', '.join(more)}: only averages over moderators take this; set moderators=True")
    given = read_data(formula, data, yi, vi, None, None, None)
    check_data(given, level)
    if given.design.terms != ("intercept",):
        raise ModelError(
            'models of publication bias have no moderators here: use a formula such as "yi ~ 1", or moderators=True to '
            "average over the moderators"
        )
    if alternative not in ALTERNATIVES:
        raise ModelError(f'there is no alternative "{alternative}": {did_you_mean(str(alternative), ALTERNATIVES)}')
    seed = whole_number(seed, "seed", "it must be a whole number, 0 or more", fewest=0)
    kinds = read_bias_models(models)
    candidates = all_models(kinds, read_odds(odds))
    code = measure if measure is not None else None if data is None else data.attrs.get("measure")
    sizes = vector(_column(data, ni), "ni") if ni is not None else None
    size, words = unit_of(unit, code, sizes, given.vi)
    chosen = priors_for(models, size) if priors is None else priors
    sign = -1.0 if alternative == "less" else 1.0
    order = np.lexsort((given.vi, given.yi))  # so that the order of rows cannot matter, to the last digit
    y, v = sign * given.yi[order], given.vi[order]
    tau = _proper(chosen.tau, "tau").completed(np.sqrt(v))
    mu = _turned(_proper(chosen.mu, "mu"), sign)
    streams = np.random.SeedSequence(seed).spawn(len(candidates))
    found: list[tuple[Quadrature, Bridge | None]] = []
    for model, stream in zip(candidates, streams, strict=True):
        problem, kernel = _prepared(model, y, v, mu, tau, size)
        check = kernel.log_evidence(np.random.default_rng(stream)) if bridge else None
        found.append((integrate(problem), check))
    log_joint = np.array(
        [q.log_evidence + math.log(m.probability) for m, (q, _) in zip(candidates, found, strict=True)]
    )
    best = float(log_joint.max())
    if not abs(best) * EPS < NOISE:
        raise ModelError(
            f"the log marginal likelihood is {best:.2g} at best, too far from 0 for differences to have any digits: "
            "are the effects, their variances and the priors on one scale?"
        )
    posterior = np.exp(log_joint - special.logsumexp(log_joint))
    fitted = tuple(
        Fitted(m, q, b, p)
        for m, (q, b), p in zip(candidates, found, (posterior / posterior.sum()).tolist(), strict=True)
    )
    return _result(fitted, alternative, chosen, level, len(y), words, priors is None)


def _column(data: pd.DataFrame | None, values: Any) -> Any:
    if not isinstance(values, str):
        return values
    if data is None or values not in data.columns:
        known = [] if data is None else [str(column) for column in data.columns]
        raise ModelError(f'the data have no column "{values}": {did_you_mean(values, known)}')
    return data[values]


def _proper(prior: Prior, name: str) -> Prior:
    if prior.family == "fixed":
        raise ModelError(
            f"{prior} fixes {name}, so there is nothing to average over: give a prior with a spread, or leave "
            "heterogeneity out with odds={'heterogeneity': 0}"
        )
    if not prior.proper:
        instead = "normal(0, 1)" if name == "mu" else "half-normal(0.5)"
        raise ModelError(
            f"the prior on {name} is {prior}, which is improper: Bayes factors would be arbitrary; give it a proper "
            f"prior such as {instead}"
        )
    return prior


def _turned(prior: Prior, sign: float) -> Prior:
    """The prior of minus the parameter, when sign is -1."""
    if sign > 0:
        return prior
    i = SHIFTED[prior.family]
    return replace(prior, parameters=(*prior.parameters[:i], -prior.parameters[i], *prior.parameters[i + 1 :]))


def _prepared(model: Model, y: FloatArray, v: FloatArray, mu: Prior, tau: Prior, unit: float) -> tuple[Problem, Kernel]:
    """A model as the quadrature and as the bridge sampler see it."""
    bias = model.bias
    on_mu, on_tau = mu if model.effect else None, tau if model.heterogeneity else None
    nuisance: Nuisance = Nothing()
    kernel = Kernel(y, v, on_mu, on_tau)
    if bias.kind in SIDED:
        selection = StepSelection(y, np.sqrt(v), np.array(bias.steps), bias.sides)
        alpha = np.array(bias.alpha)
        nuisance, kernel = StepWeights(selection, alpha), replace(kernel, selection=selection, alpha=alpha)
    elif bias.kind in (PET, PEESE):
        regressor = small_study_regressor(bias.kind, v)
        slope = slope_prior(bias, unit).completed(np.sqrt(v))
        nuisance, kernel = Slope(y, v, regressor, slope), replace(kernel, regressor=regressor, slope=slope)
    return Problem(y, v, on_mu, on_tau, nuisance), kernel


def _result(
    fitted: tuple[Fitted, ...], alternative: str, priors: Priors, level: float, k: int, words: str, default: bool
) -> ModelAverage:
    sign = -1.0 if alternative == "less" else 1.0
    moments = k + priors.tau.tail - 1  # how the posterior of tau falls: tau^-(moments + 1)
    with_effect = [one for one in fitted if one.model.effect]
    with_tau = [one for one in fitted if one.model.heterogeneity]

    def average(part: Callable[[Quadrature], Law | None], models: Sequence[Fitted], tailed: bool) -> Marginal:
        total = math.fsum(one.probability for one in models)
        share = [one.probability / total for one in models] if total > 0 else [1 / len(models)] * len(models)
        pairs = [(p, part(one.found)) for p, one in zip(share, models, strict=True)]
        zero = math.fsum(p for p, law in pairs if law is None)
        law = mixed([p for p, own in pairs if own is not None], [own for _, own in pairs if own is not None], zero)
        return _marginal(law, level, moments if tailed else math.inf)

    def mu(found: Quadrature) -> Law | None:
        return _signed(mu_mixture(found), sign) if found.step > 0 else None

    def tau(found: Quadrature) -> Law | None:
        if found.panels.fixed:
            return None
        return PanelLaw(found.panels, found.mass.sum(axis=0))

    def new(found: Quadrature) -> Law | None:
        return None if found.step == 0 and found.panels.fixed else _signed(new_mixture(found), sign)

    notes = [*priors.notes]
    if default:
        notes.append(f"priors {priors.mu} on mu and {priors.tau} on tau: {words}")
    if moments <= 2 and with_tau:
        notes.append(
            f"so few studies leave the tail of {priors.tau} on tau so heavy that the posterior variance of tau and of "
            "a new study's effect do not exist; the medians and intervals do"
        )
    if k < FEW and any(one.model.bias.kind != NONE for one in fitted):
        notes.append(
            f"{k} effect{'s' * (k != 1)} can hardly tell publication bias from chance: the answers lean on the prior "
            "probabilities of the models"
        )
    problems = _disagreements(fitted)
    unchecked = any(one.check is None for one in fitted)
    if unchecked:
        notes.append("the marginal likelihoods were not checked by bridge sampling (bridge=False)")
    return ModelAverage(
        mu=average(mu, fitted, False), tau=average(tau, fitted, True), new=average(new, fitted, True),
        mu_given=average(mu, with_effect, False) if with_effect else None,
        tau_given=average(tau, with_tau, True) if with_tau else None,
        new_given=average(new, with_effect, True) if with_effect else None,
        fitted=fitted, alternative=alternative, priors=priors, level=level, notes=(*notes, *problems),
        reportable=not problems and not unchecked,
    )  # fmt: skip


def _disagreements(fitted: Sequence[Fitted]) -> list[str]:
    """Models whose marginal likelihood cannot be trusted, and that have a share in the answer if it is wrong."""
    found = []
    for one in fitted:
        gap = 0.0 if one.check is None else one.check.log_evidence - one.found.log_evidence
        with np.errstate(divide="ignore"):
            share = float(np.log(one.probability)) + max(abs(gap), one.found.error)
        if share < math.log(IRRELEVANT):
            continue
        if one.found.error > COARSE:
            found.append(f"the quadrature of the model {one.model} has an error of {one.found.error:.2g} log units")
        if not abs(gap) <= AGREE:
            found.append(
                f"two ways to compute the marginal likelihood of the model {one.model} differ by {gap:.3f} log units "
                f"(more than {AGREE}): its probability may not be reported"
            )
    return found


def _signed(law: GaussianMixture, sign: float) -> GaussianMixture:
    return GaussianMixture(law.weight, sign * law.mean, law.sd)


def _marginal(law: MixedLaw, level: float, moments: float) -> Marginal:
    """Summary of a mixed law; moments that do not exist are infinite or nan."""
    first = second = 0.0
    for weight, part in zip(law.weight, law.parts, strict=True):
        mean, square = _moments(part)
        first += weight * mean
        second += weight * square
    sd = math.sqrt(max(second - first**2, 0.0))
    if law.parts and moments <= 2:
        first, sd = (first, math.inf) if moments > 1 else (math.nan, math.nan)
    low, median, high = (law.quantile(q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Marginal(first, sd, median, low, high, law.above(0.0), law=law if law.parts else MixedLaw((), (), 1.0))


def _moments(part: Law) -> tuple[float, float]:
    """First and second moment."""
    if isinstance(part, GaussianMixture):
        return float(part.weight @ part.mean), float(part.weight @ (part.mean**2 + part.sd**2))
    if isinstance(part, PanelLaw):
        p = part.mass / part.mass.sum()
        return float(p @ part.panels.tau), float(p @ part.panels.tau**2)
    assert isinstance(part, PointMass)
    return part.value, part.value**2
