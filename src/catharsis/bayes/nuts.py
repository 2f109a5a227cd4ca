"""The NUTS engine: the Gaussian model, and what quadrature cannot do, sampled.

Any crossing and nesting of random intercepts, correlated outcomes and slopes, sampling covariance, t-distributed study
effects and outliers. `nuts_model` writes the model, `nuts_sampling` compiles and draws, `nuts_effects` turns draws into
true effects, `nuts_draws` into ArviZ groups; here they become the `Posterior` that every Bayesian fit is.

Effects are integrated out by default. Measured on one core (effective draws of mu and tau per second, both forms at the
same target acceptance, integrated over sampled): 2 for two studies, 4 to 8 for 10 to 100 studies, 13 for three levels,
14 under a covariance V, 35 for 10 precise studies far apart, where a non-centred effect and tau pull at each other. One
program serves every number of studies. The sampled form remains as the independent witness, and for a t distribution or
outliers when studies share more than one random term.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from catharsis.bayes.convergence import diagnose
from catharsis.bayes.exact import existing
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.nuts_distribution import parse_distribution
from catharsis.bayes.nuts_draws import Named, inference_data
from catharsis.bayes.nuts_effects import (
    Effects,
    Parameters,
    effects_given,
    effects_sampled,
    new_study,
    parameters_of,
    summed,
)
from catharsis.bayes.nuts_existence import existence
from catharsis.bayes.nuts_model import Model, make_model
from catharsis.bayes.nuts_program import pymc_model
from catharsis.bayes.nuts_sampling import TARGET_ACCEPT, Run, draw
from catharsis.bayes.posterior import Marginal, Posterior, of_draws
from catharsis.bayes.priors import Priors
from catharsis.bayes.study_effects import StudyEffects, distinct
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks
from catharsis.numerics import FloatArray

MOST = 40_000_000  # draws of true effects that are kept (320 MB, in each of three groups of InferenceData)
TARGET_INTEGRATED = (0.95, 0.995)  # acceptance: a posterior without a funnel takes longer steps


def posterior(
    blocks: Blocks,
    terms: tuple[str, ...],
    labels: Sequence[str],
    priors: Priors,
    level: float,
    *,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
    distribution: str = "normal",
    effects: Literal["integrated", "sampled"] | None = None,
    members: Sequence[str] | None = None,
) -> Posterior:
    """Fit by NUTS.

    Parameters
    ----------
    blocks, terms, labels, priors, level
        As for the exact engine.
    draws, chains, seed : int
        Draws per chain after warm-up, chains, and the seed of the generator.
    distribution : str
        Of the study effects, the levels of the first random term: "normal"; "t" with estimated degrees of freedom,
        gamma(2, 0.1) above 2 a priori, or "t(4)"; "outliers", some of them, beta(1, 9), from a normal distribution
        1 + exponential(4) times as wide.
    effects : str, optional
        "integrated" out of the likelihood or "sampled" with the parameters; the same posterior by two routes.
    members : (k,) sequence of str, optional
        The study of each effect, for the coordinates of InferenceData; by default the first of its effects.

    Returns
    -------
    Posterior
        With `inference_data` and `diagnostics`.

    Raises
    ------
    ModelError
        When the posterior is improper or the sampler cannot draw it.

    References
    ----------
    [@hoffman2014; @abrilpla2023; @kumar2019]
    """
    run = Run(draws, chains, seed)
    if effects not in (None, "integrated", "sampled"):
        raise ModelError(f'effects is "{effects}": {did_you_mean(str(effects), ["integrated", "sampled"])}')
    law = parse_distribution(distribution)
    known = existence(blocks, terms, priors)
    priors = known.priors
    model = make_model(blocks, terms, priors, known.sei, law, effects)
    for target in TARGET_ACCEPT if model.shape.form == "sampled" else TARGET_INTEGRATED:
        drawn = draw(model.shape.key, lambda: pymc_model(model), model.data, replace(run, target=target))
        diagnostics = diagnose(drawn, {"z": sum(part.levels * part.kind.q for part in model.parts)})
        if not diagnostics.divergences:
            break
    parameters = parameters_of(model, drawn)
    deviation, alone = new_study(model, parameters, np.random.default_rng([seed, 2]))
    fold = drawn.stats["diverging"].shape
    step = max(1, math.ceil(blocks.k * len(parameters) / MOST))
    kept = replace(
        drawn,
        values={name: value[:, ::step] for name, value in drawn.values.items()},
        stats={name: value[:, ::step] for name, value in drawn.stats.items()},
    )
    some = parameters if step == 1 else parameters_of(model, kept)
    found = _effects(model, some, kept.values.get("z"), np.random.default_rng([seed, 1]))
    named = Named(terms, tuple(labels), _studies(model, members or labels))
    idata = inference_data(model, kept, some, found, named, priors, seed)
    thinned = (f"of true effects, and in inference_data, one draw in {step} is kept",) if step > 1 else ()

    tau = np.sqrt((parameters.taus[:, summed(model)] ** 2).sum(axis=1))
    least = min(known.taus[model.components[i]] for i in summed(model))

    def marginal(values: FloatArray, count: int = 2) -> Marginal:
        return existing(of_draws(values.reshape(fold), level), count)

    def linear(x: Sequence[float] | FloatArray, new: bool = False, component: str | None = None) -> Marginal:
        row = np.asarray(x, dtype=float)
        if row.shape != (len(terms),):
            raise ModelError(f"{row.size} numbers for {len(terms)} coefficients ({', '.join(terms)})")
        if not new:
            return marginal(parameters.b @ row, known.linear(row))
        if component is not None and component not in alone:
            raise ModelError(f'there is no component "{component}"; there are {", ".join(alone)}')
        away = deviation if component is None else alone[component]
        return marginal(parameters.b @ row + away, min(least, law.moments))

    values = {term: parameters.b[:, i] for i, term in enumerate(terms)}
    values |= {f"tau[{name}]": parameters.taus[:, i] for i, name in enumerate(model.components)}
    values |= {"tau": tau, "new study": parameters.b[:, 0] + deviation}

    def chance(name: str, side: str, value: float) -> float:
        return float((values[name] < value).mean() if side == "<" else (values[name] > value).mean())

    unit = np.eye(len(terms))
    taus = {name: marginal(parameters.taus[:, i], known.taus[name]) for i, name in enumerate(model.components)}
    simple = law.name == "normal" and not model.pairs
    return Posterior(
        engine="nuts", terms=terms, coefficients={term: linear(unit[i]) for i, term in enumerate(terms)},
        tau=marginal(tau, least), taus=taus, new=linear(unit[0], new=True),
        studies=SampledEffects(labels, found.theta.reshape(fold[0], -1, blocks.k), level), linear=linear, priors=priors,
        level=level, log_evidence=math.nan, error=math.nan, chance=chance, diagnostics=diagnostics,
        inference_data=idata, nodes=_nodes(blocks, parameters) if simple else None,
        outliers={} if found.outlier is None else dict(zip(named.studies, found.outlier.mean(axis=0), strict=True)),
        notes=(*priors.notes, *known.notes, *law.notes, *thinned),
    )  # fmt: skip


def _effects(model: Model, parameters: Parameters, z: FloatArray | None, rng: np.random.Generator) -> Effects:
    """True effects, with the studies' likelihood where it has a closed form."""
    if z is None:
        return effects_given(model, parameters, rng)
    found = effects_sampled(model, parameters, z.reshape(len(parameters), -1))
    if model.closed is None:
        return found
    return replace(found, log_likelihood=effects_given(model.closed, parameters, rng).log_likelihood)


def _nodes(blocks: Blocks, parameters: Parameters) -> Nodes:
    """The draws as a mixture of points, chain after chain."""
    d, p = parameters.b.shape
    return Nodes(np.full(d, 1 / d), parameters.taus**2, parameters.b, np.zeros((d, p, p)))


def _studies(model: Model, members: Sequence[str]) -> tuple[str, ...]:
    """Names of the studies, or of the blocks of studies that share something."""
    names: dict[int, dict[str, None]] = {}
    for place, member in zip(model.homes.tolist(), members, strict=True):
        names.setdefault(place, {})[member] = None
    return distinct([" + ".join(names[place]) for place in sorted(names)])


class SampledEffects(StudyEffects):
    """Labels to the posteriors of true effects, summarised when they are asked for.

    Parameters
    ----------
    labels : (k,) sequence of str
        All different.
    theta : (chains, draws, k) array
        Draws.
    level : float
        Probability of the intervals.
    """

    def __init__(self, labels: Sequence[str], theta: FloatArray, level: float) -> None:
        super().__init__(labels)
        self._theta, self._level = theta, level

    def _marginal(self, i: int) -> Marginal:
        return of_draws(self._theta[..., i], self._level)
