"""Step-function selection models, sampled: which results were seen depends on their p-value.

Before selection y_i ~ N(x_i'b, v_i + tau^2), the study effects integrated out. A result is seen with probability
proportional to a weight that is constant between steps of p, so that what is seen has density
N(y_i; x_i'b, v_i + tau^2) w(p_i) / A_i, with A_i the mean weight of a study of that mean and variance. The most
significant results have weight 1. Either the weights fall, and the steps by which they fall are Dirichlet shares
(cumulative Dirichlet weights), or each weight is free with a prior of its own.

Given y_i, the true effect of a study does not depend on the selection, so that study effects are shrunken as ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from catharsis.bayes import nuts_priors
from catharsis.bayes.nuts_sampling import Drawn, Run, pymc
from catharsis.bayes.posterior import Marginal, Posterior, of_draws
from catharsis.bayes.prior_families import FAMILIES, SCALE
from catharsis.bayes.priors import Prior, Priors, parse_prior
from catharsis.bayes.sampled import PRIOR_DRAWS, Draws, Parameters, answers, parameters, sampled
from catharsis.bayes.study_effects import distinct
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.data import check_data, read_data
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

ALTERNATIVES = ("greater", "less", "two.sided")
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionPosterior(Posterior):
    """A Bayesian selection model: a `Posterior` of the effects before selection, and these.

    Attributes
    ----------
    weights : mapping
        Interval of p ("0.025 < p <= 1") to the relative probability that a result there is seen; the first is 1.
    steps : (J,) array
        p-values at which the weight changes.
    alternative : str
        Which results are favoured.
    """

    weights: Mapping[str, Marginal] = field(default_factory=dict)
    steps: FloatArray = field(default_factory=lambda: np.empty(0))
    alternative: str = "greater"


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps in p on given effects, which point in the direction that selection favours.

    Attributes
    ----------
    steps : (J,) array
        p-values, rising.
    two_sided : bool
    cuts : (k, J) array
        Effects on the steps, falling: p <= step_j is y >= cut_j (|y| >= cut_j when two-sided).
    seen : (k,) array
        Interval that each effect falls into, 0 the most significant; an interval holds its upper end.
    """

    steps: FloatArray
    two_sided: bool
    cuts: FloatArray
    seen: IntArray


def steps_on(y: FloatArray, sei: FloatArray, steps: FloatArray, two_sided: bool) -> Steps:
    """Place effects (k,) among the steps."""
    z = y / sei
    p = 2 * special.ndtr(-np.abs(z)) if two_sided else special.ndtr(-z)
    cuts = sei[:, None] * -special.ndtri(steps / (2 if two_sided else 1))
    return Steps(steps, two_sided, cuts, np.searchsorted(steps, p, side="left"))


# -- one set of formulas for numbers and symbols ----------------------------------------------------------------------

NUMBERS = SimpleNamespace(
    log=np.log, exp=np.exp, logaddexp=np.logaddexp, logsumexp=special.logsumexp, log_ndtr=special.log_ndtr,
    ndtr=special.ndtr, softplus=lambda x: np.logaddexp(0.0, x), cumsum=np.cumsum, zeros_like=np.zeros_like,
    concatenate=np.concatenate,
)  # fmt: skip


def _symbols() -> SimpleNamespace:
    import pytensor.tensor

    pt: Any = pytensor.tensor

    def log_ndtr(x: Any) -> Any:
        left, right = pt.minimum(x, -1.0), pt.maximum(x, -1.0)  # each branch on its own side: no nan in gradients
        lower = pt.log(pt.erfcx(-left / math.sqrt(2)) / 2) - left**2 / 2
        return pt.where(x < -1, lower, pt.log1p(-pt.erfc(right / math.sqrt(2)) / 2))

    return SimpleNamespace(
        log=pt.log, exp=pt.exp, logaddexp=pt.logaddexp, logsumexp=pt.logsumexp, log_ndtr=log_ndtr,
        ndtr=lambda x: pt.erfc(-x / math.sqrt(2)) / 2, softplus=pt.softplus, cumsum=pt.cumsum,
        zeros_like=pt.zeros_like, concatenate=pt.concatenate,
    )  # fmt: skip


def log_mean_falling(xp: Any, mean: Any, sd: Any, cuts: Any, two_sided: bool, log_shares: Any) -> Any:
    """Log of A for falling weights: with share_j only results below step j are seen, with the last everything.

    Parameters
    ----------
    xp : namespace
        `NUMBERS`, or its counterpart for symbols.
    mean, sd : (...) arrays
        Of the effects before selection.
    cuts : (..., J) array
        Effects on the steps.
    two_sided : bool
    log_shares : (..., J + 1) array
        Logs of Dirichlet shares.
    """
    mean, sd = mean[..., None], sd[..., None]
    below = xp.log_ndtr((mean - cuts) / sd)
    if two_sided:
        below = xp.logaddexp(below, xp.log_ndtr((-mean - cuts) / sd))
    return xp.logaddexp(xp.logsumexp(log_shares[..., :-1] + below, axis=-1), log_shares[..., -1])


def log_mean_free(xp: Any, mean: Any, sd: Any, cuts: Any, two_sided: bool, log_weights: Any) -> Any:
    """Log of A for any weights, (..., J + 1) logs: the weighted sum of the probabilities of the intervals."""
    mean, sd, weight = mean[..., None], sd[..., None], xp.exp(log_weights)
    below, rest = xp.ndtr((mean - cuts) / sd), xp.ndtr((cuts[..., -1:] - mean) / sd)
    if two_sided:
        below = below + xp.ndtr((-mean - cuts) / sd)
        rest = rest - xp.ndtr((-cuts[..., -1:] - mean) / sd)
    inner = (weight[..., 1:-1] * (below[..., 1:] - below[..., :-1])).sum(-1)
    return xp.log(weight[..., 0] * below[..., 0] + inner + weight[..., -1] * rest[..., 0])


def stick(xp: Any, x: Any) -> tuple[Any, Any]:
    """Logs of weights and of shares, (..., J + 1) each, from logits (..., J) of the fractions broken off a stick."""
    left = -xp.cumsum(xp.softplus(x), axis=-1)
    log_weights = xp.concatenate([xp.zeros_like(x[..., :1]), left], axis=-1)
    return log_weights, xp.concatenate([log_weights[..., :-1] - xp.softplus(-x), left[..., -1:]], axis=-1)


def free(xp: Any, family: str, x: Any, number: Any) -> Any:
    """Logs of free weights (..., J + 1) from coordinates: themselves, or logits of where they lie in an interval."""
    own = x if family != "interval" else xp.log(number[0] + (number[1] - number[0]) * xp.exp(-xp.softplus(-x)))
    return xp.concatenate([xp.zeros_like(x[..., :1]), own], axis=-1)


@dataclass(frozen=True, slots=True)
class Weights:
    """The prior on the weights.

    Attributes
    ----------
    shares : tuple of float
        Concentrations of the Dirichlet shares, the most significant interval first; () for free weights.
    prior : Prior or None
        Of each free weight.
    """

    shares: tuple[float, ...] = ()
    prior: Prior | None = None

    @property
    def code(self) -> str:
        """What a program depends on."""
        return "falling" if self.prior is None else nuts_priors.family_of(self.prior)

    def __str__(self) -> str:
        inside = ", ".join(f"{value:g}" for value in self.shares)
        return f"dirichlet({inside})" if self.prior is None else str(self.prior)


def parse_weights(text: str | Prior, intervals: int) -> Weights:
    """Read "dirichlet", "dirichlet(1, 1, 2)" or the prior of every free weight, such as "log-normal(0, 1)".

    Raises
    ------
    ModelError
        When it is neither, or its numbers do not fit the intervals.

    Examples
    --------
    >>> str(parse_weights("dirichlet", 3)), str(parse_weights("uniform(0, 1)", 3))
    ('dirichlet(1, 1, 1)', 'uniform(0, 1)')
    """
    word = str(text).strip()
    if word.startswith("dirichlet"):
        inside = word.removeprefix("dirichlet").strip()
        try:
            closed = inside.startswith("(") and inside.endswith(")")
            shares = tuple(float(part) for part in inside[1:-1].split(",")) if closed else ()
        except ValueError:
            shares = (math.nan,)
        if not inside:
            shares = (1.0,) * intervals
        if len(shares) != intervals or not all(0 < value < math.inf for value in shares):
            raise ModelError(
                f'weights is "{word}": a Dirichlet prior takes one positive number for each of the {intervals} '
                "intervals of p, or none"
            )
        return Weights(shares)
    prior = text if isinstance(text, Prior) else parse_prior(word, SCALE)
    if not prior.proper or prior.family == "fixed" or FAMILIES[prior.family].of_data:
        raise ModelError(
            f"the prior on the weights is {prior}; use dirichlet, or a proper one such as log-normal(0, 1)"
        )
    return Weights((), prior)


# -- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A selection model ready to be sampled; effects and moderators turned to the favoured direction.

    Attributes
    ----------
    y, v, X : (k,), (k,), (k, p) arrays
    steps : Steps
    weights : Weights
    parameters : Parameters
    """

    y: FloatArray
    v: FloatArray
    X: FloatArray
    steps: Steps
    weights: Weights
    parameters: Parameters

    @property
    def key(self) -> tuple[Any, ...]:
        """What a program depends on; the number of effects is not part of it."""
        return ("selection", self.parameters.shape, self.weights.code, len(self.steps.steps), self.steps.two_sided)

    def data(self) -> dict[str, Any]:
        """What it is given."""
        data = {
            **self.parameters.data, "yi": self.y, "vi": self.v, "X": self.X, "cuts": self.steps.cuts,
            "counts": np.bincount(self.steps.seen, minlength=len(self.steps.steps) + 1).astype(float),
        }  # fmt: skip
        if self.weights.prior is None:
            data["shares"] = np.array(self.weights.shares)
        else:
            data["weight_numbers"] = nuts_priors.numbers(self.weights.prior)
        return data

    def build(self) -> Any:
        """The model as a `pymc.Model`."""
        pm = pymc()
        import pytensor.tensor

        pt: Any = pytensor.tensor

        count = len(self.steps.steps)
        xp = _symbols()
        with pm.Model() as built:
            held = {name: pm.Data(name, value) for name, value in self.data().items()}
            b, taus = self.parameters.symbols(pm, held)
            x = pm.Flat("weight", shape=count)
            mean, variance = held["X"] @ b, held["vi"] + taus[0] ** 2
            cuts, sd, two_sided = held["cuts"], pt.sqrt(variance), self.steps.two_sided
            if self.weights.prior is None:
                # stick-breaking: v_j ~ beta(a_j, a_(j+1) + ...), so that weight j is the product of 1 - v before it
                a = held["shares"]
                rest = pt.cumsum(a[::-1])[::-1][1:]
                pm.Potential("weight_prior", -(a[:-1] * pt.softplus(-x) + rest * pt.softplus(x)).sum())
                log_weights, log_shares = stick(xp, x)
                log_mean = log_mean_falling(xp, mean, sd, cuts, two_sided, log_shares)
            else:
                number = held["weight_numbers"]
                log_weights = free(xp, self.weights.code, x, number)
                if self.weights.code == "interval":
                    density = -pt.softplus(x) - pt.softplus(-x)
                else:
                    density = nuts_priors.log_density(self.weights.code, pt.exp(x), number, None) + x
                pm.Potential("weight_prior", density.sum())
                log_mean = log_mean_free(xp, mean, sd, cuts, two_sided, log_weights)
            pm.Potential("effects", -0.5 * (pt.log(variance) + (held["yi"] - mean) ** 2 / variance).sum())
            pm.Potential("selection", (held["counts"] * log_weights).sum() - log_mean.sum())
        return built

    def log_weights(self, x: FloatArray) -> FloatArray:
        """(..., J + 1) logs of the weights from the sampler's coordinates (..., J)."""
        if self.weights.prior is None:
            return np.asarray(stick(NUMBERS, x)[0])
        return np.asarray(free(NUMBERS, self.weights.code, x, nuts_priors.numbers(self.weights.prior)))

    def log_mean(self, mean: FloatArray, sd: FloatArray, log_weights: FloatArray, i: int) -> FloatArray:
        """Log of A for study i at draws of its mean, sd (n,) and of the weights (n, J + 1)."""
        return np.asarray(
            log_mean_free(NUMBERS, mean, sd, self.steps.cuts[i], self.steps.two_sided, log_weights), dtype=float
        )

    def predict(self, mean: FloatArray, sd: FloatArray, log_weights: FloatArray, i: int, rng: Any) -> FloatArray:
        """Results of study i that would be seen: a step of p by its weighted probability, then a truncated normal."""
        cuts = self.steps.cuts[i]
        if self.steps.two_sided:
            edges = np.concatenate([[-np.inf], -cuts, cuts[::-1], [np.inf]])
            order = np.concatenate([np.arange(len(cuts) + 1), np.arange(len(cuts))[::-1]])
        else:
            edges = np.concatenate([[-np.inf], cuts[::-1], [np.inf]])
            order = np.arange(len(cuts), -1, -1)
        at = (edges - mean[..., None]) / sd[..., None]
        lower, upper = special.ndtr(at[..., :-1]), special.ndtr(at[..., 1:])
        share = np.maximum(upper - lower, 0.0) * np.exp(log_weights[..., order])
        total = share.cumsum(axis=-1)
        pick = (rng.random(mean.shape)[..., None] * total[..., -1:] > total).sum(axis=-1).clip(0, len(order) - 1)
        low, high = (np.take_along_axis(part, pick[..., None], -1)[..., 0] for part in (at[..., :-1], at[..., 1:]))
        turn = np.where(low + high > 0, -1.0, 1.0)  # from the nearer tail
        a, c = np.where(turn < 0, -high, low), np.where(turn < 0, -low, high)
        inside = special.ndtr(a) + rng.random(mean.shape) * (special.ndtr(c) - special.ndtr(a))
        return np.asarray(mean + sd * turn * np.clip(special.ndtri(inside), a, c))


# -- what is answered -------------------------------------------------------------------------------------------------


def fit_bayes_selection(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    steps: Sequence[float] | float = 0.025,
    alternative: str = "greater",
    weights: str | Prior = "dirichlet",
    priors: Priors | None = None,
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
) -> SelectionPosterior:
    """Fit a Bayesian step-function selection model by NUTS.

    Parameters
    ----------
    formula, data, yi, vi, X, reference, levels
        As for `catharsis.fit_bayes`.
    steps : sequence of float
        p-values at which the weight changes.
    alternative : {"greater", "less", "two.sided"}
        Which results are favoured: significant positive ones, negative ones, or both. p is one-sided in the first two.
    weights : str
        "dirichlet": weights fall from 1 by Dirichlet shares, with concentrations 1 or as given, "dirichlet(1, 2)".
        Otherwise the prior of every weight but the first, which is 1: "log-normal(0, 1)" is free in both directions,
        "uniform(0, 1)" below 1.
    priors : Priors, optional
        As for `catharsis.fit_bayes`; proper on tau.
    level : float
        Probability of the central intervals.
    draws, chains, seed : int
        Draws of each chain after warm-up, chains, and the seed of the generator.

    Returns
    -------
    SelectionPosterior
        Average, tau and study effects before selection, and the weights.

    Raises
    ------
    ModelError
        When the data cannot carry the model, or options do not exist.

    References
    ----------
    [@hedges1992; @vevea1995; @maier2023]

    Examples
    --------
    >>> fit_bayes_selection(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], alternative="grater")
    Traceback (most recent call last):
    ...
    catharsis.errors.ModelError: there is no alternative "grater": did you mean "greater"?
    """
    if alternative not in ALTERNATIVES:
        raise ModelError(f'there is no alternative "{alternative}": {did_you_mean(alternative, ALTERNATIVES)}')
    given = read_data(formula, data, yi, vi, X, reference, levels)
    check_data(given, level)
    cuts = _rising(steps)
    sign = -1.0 if alternative == "less" else 1.0
    y, design = sign * given.yi, sign * given.design.X
    own = parameters(y, given.vi, design, given.design.terms, ("effect",), priors or Priors())
    _refuse_improper(own, design)
    where = steps_on(y, np.sqrt(given.vi), cuts, alternative == "two.sided")
    model = Model(y, given.vi, design, where, parse_weights(weights, len(cuts) + 1), own)
    drawn, diagnostics = sampled(model.key, model.build, model.data(), Run(draws, chains, seed))
    names = _interval_names(cuts)
    found, weight = _assembled(model, drawn, sign, distinct(given.labels), names, seed)
    counts = np.bincount(where.seen, minlength=len(cuts) + 1)
    empty = ", ".join(name for name, count in zip(names, counts, strict=True) if count == 0)
    notes = (f"no effect has {empty}: the weight there is known from its prior and the other effects only",)
    return SelectionPosterior(
        **answers(found, drawn, diagnostics, level, seed, notes if empty else ()),
        weights={name: of_draws(weight[..., j], level) for j, name in enumerate(names)}, steps=cuts,
        alternative=alternative,
    )  # fmt: skip


def _rising(steps: Sequence[float] | float) -> FloatArray:
    """The steps in rising order, 1 left out."""
    try:
        cuts = np.unique(np.atleast_1d(np.asarray(steps, dtype=float)))
    except (TypeError, ValueError):
        raise ModelError("steps holds something that is not a number") from None
    if cuts.ndim != 1 or not ((cuts > 0) & (cuts <= 1)).all():
        raise ModelError("steps are p-values between 0 and 1")
    cuts = cuts[cuts < 1]
    if len(cuts) == 0:
        raise ModelError("a step function needs a step between 0 and 1, such as 0.025")
    return cuts


def _interval_names(cuts: FloatArray) -> tuple[str, ...]:
    edges = [0.0, *cuts.tolist(), 1.0]
    return tuple(f"{low:g} < p <= {high:g}" for low, high in pairwise(edges))


def _refuse_improper(own: Parameters, X: FloatArray) -> None:
    """A flat prior needs moderators that the effects tell apart."""
    precision = own.priors.location(own.terms)[1]
    rows = np.concatenate([X, np.diag(np.sqrt(precision))])
    norm = np.linalg.norm(rows, axis=0)
    if np.linalg.matrix_rank(rows / np.where(norm > 0, norm, 1.0)) < len(own.terms):
        raise ModelError(
            "the posterior is improper: the moderators repeat each other and their priors are flat; drop a moderator "
            "or give them normal priors"
        )


def _assembled(
    model: Model, drawn: Drawn, sign: float, labels: tuple[str, ...], names: tuple[str, ...], seed: int
) -> tuple[Draws, FloatArray]:
    """Study effects, pointwise likelihood and predictions, in the direction of the data; and the weights."""
    rng = np.random.default_rng([seed, 2])
    b, taus = model.parameters.of(drawn)
    log_weights = model.log_weights(drawn.values["weight"])
    tau2 = taus[..., 0] ** 2
    theta, logp, again = (np.empty((*tau2.shape, len(model.y))) for _ in range(3))
    for i, (y, v, x) in enumerate(zip(model.y, model.v, model.X, strict=True)):
        mean, variance = b @ x, v + tau2
        sd = np.sqrt(variance)
        own = log_weights[..., model.steps.seen[i]] - model.log_mean(mean, sd, log_weights, i)
        logp[..., i] = -0.5 * ((y - mean) ** 2 / variance + np.log(variance) + LOG_2PI) + own
        again[..., i] = sign * model.predict(mean, sd, log_weights, i, rng)
        centre = mean + tau2 / variance * (y - mean)
        theta[..., i] = sign * (centre + np.sqrt(tau2 * v / variance) * rng.standard_normal(mean.shape))
    before: dict[str, FloatArray] = {}
    seen: dict[str, FloatArray] = {}
    first = model.parameters.before(rng, PRIOR_DRAWS)
    if first is not None:
        log_before = _weights_before(model, rng)
        seen["y"] = np.stack([
            sign * model.predict(first[0] @ x, np.sqrt(v + first[1][..., 0] ** 2), log_before, i, rng)
            for i, (v, x) in enumerate(zip(model.v, model.X, strict=True))
        ], axis=-1)  # fmt: skip
        before = {"b": first[0], "taus": first[1], "weights": np.exp(log_before)}
    weight = np.exp(log_weights)
    found = Draws(
        parameters=model.parameters, b=b, taus=taus, theta=theta, labels=labels, observed={"y": sign * model.y},
        log_likelihood={"y": logp}, predicted={"y": again}, constant={"vi": model.v, "X": sign * model.X},
        others={"weights": weight}, before=before, before_predicted=seen, names={"weights": ("interval", names)},
    )  # fmt: skip
    return found, weight


def _weights_before(model: Model, rng: np.random.Generator) -> FloatArray:
    """(1, n, J + 1) logs of weights from their prior."""
    if model.weights.prior is None:
        shares = rng.dirichlet(model.weights.shares, PRIOR_DRAWS)
        return np.asarray(np.log(np.cumsum(shares[:, ::-1], axis=1)[:, ::-1].clip(np.finfo(float).tiny, 1.0)))[None]
    own = np.stack([model.weights.prior.draw(rng, PRIOR_DRAWS) for _ in model.steps.steps], axis=-1)
    return np.log(np.column_stack([np.ones(PRIOR_DRAWS), own]))[None]
