"""Draws as ArviZ InferenceData with named coordinates, and whether they can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from catharsis.bayes.nuts_distribution import DF_PRIOR, INFLATION_MEAN, LEAST_DF, SHARE_PRIOR
from catharsis.bayes.nuts_effects import (
    Effects,
    Parameters,
    correlations,
    errors,
    prior_parameters,
    random_effects,
    summed,
)
from catharsis.bayes.nuts_model import Model
from catharsis.bayes.nuts_sampling import Drawn, quietly
from catharsis.bayes.priors import Priors
from catharsis.numerics import FloatArray

Values = tuple[tuple[str, ...], FloatArray]  # dimensions besides chain and draw, and the array
LOG_2PI = math.log(2 * math.pi)
PRIOR_DRAWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Names of what is drawn.

    Attributes
    ----------
    terms, effects, studies : tuples of str
        Coefficients, effects, and the studies (or blocks of studies that share something) of the marginal likelihood.
    """

    terms: tuple[str, ...]
    effects: tuple[str, ...]
    studies: tuple[str, ...]


def inference_data(
    model: Model, drawn: Drawn, parameters: Parameters, effects: Effects, named: Named, priors: Priors, seed: int
) -> Any:
    """All groups.

    Returns
    -------
    arviz.InferenceData
        posterior (b, taus, tau, theta; where the model has them rho, df, share, inflation, outlier), sample_stats,
        log_likelihood (y: each effect given its true effect and, under a covariance V, the other errors),
        log_likelihood_study (y: all effects of a study, its true effects integrated out, where that has a closed form),
        log_prior (each coefficient and standard deviation), posterior_predictive, observed_data, constant_data; prior
        and prior_predictive where every prior is proper.
    """
    shape = drawn.stats["diverging"].shape
    rng = np.random.default_rng([seed, 3])

    def folded(values: FloatArray) -> FloatArray:
        return values.reshape(*shape, *values.shape[1:])

    coords = {
        "term": list(named.terms), "factor": list(model.components), "effect": list(named.effects),
        "pair": list(model.pairs), "study": list(named.studies),
    }  # fmt: skip
    posterior: dict[str, Values] = {
        name: (dims, folded(values)) for name, (dims, values) in _own(model, parameters).items()
    }
    posterior["theta"] = (("effect",), folded(effects.theta))
    if effects.outlier is not None:
        posterior["outlier"] = (("study",), folded(effects.outlier))
    again = effects.theta + errors(model, len(parameters), rng)
    groups: dict[str, dict[str, Values]] = {
        "posterior": posterior,
        "sample_stats": {name: ((), value) for name, value in drawn.stats.items()},
        "log_likelihood": {"y": (("effect",), folded(_pointwise(model, effects.theta)))},
        "posterior_predictive": {"y": (("effect",), folded(again))},
        "log_prior": {
            name: (dims, folded(values))
            for name, (dims, values) in _log_prior(model, parameters, named, priors).items()
        },
    }
    if effects.log_likelihood is not None:
        groups["log_likelihood_study"] = {"y": (("study",), folded(effects.log_likelihood))}
    groups |= _before(model, named, priors, rng)
    blocks = model.blocks
    fixed: dict[str, dict[str, Values]] = {
        "observed_data": {"y": (("effect",), blocks.y)},
        "constant_data": {"vi": (("effect",), blocks.variances), "X": (("effect", "term"), blocks.X)},
    }
    with quietly():
        import arviz as az

        sets = {name: _dataset(values, coords, True) for name, values in groups.items()}
        sets |= {name: _dataset(values, coords, False) for name, values in fixed.items()}
        return az.InferenceData(**sets)


def _dataset(values: Mapping[str, Values], coords: Mapping[str, Sequence[str]], drawn: bool) -> Any:
    import xarray as xr

    lead = ("chain", "draw") if drawn else ()
    used = {name: ((*lead, *dims), array) for name, (dims, array) in values.items()}
    own: dict[str, Any] = {dim: coords[dim] for dims, _ in values.values() for dim in dims}
    if drawn:
        first = next(iter(values.values()))[1]
        own |= {"chain": np.arange(first.shape[0]), "draw": np.arange(first.shape[1])}
    return xr.Dataset(used, coords=own)


def _own(model: Model, parameters: Parameters) -> dict[str, Values]:
    tau = np.sqrt((parameters.taus[:, summed(model)] ** 2).sum(axis=1))
    found: dict[str, Values] = {
        "b": (("term",), parameters.b), "taus": (("factor",), parameters.taus), "tau": ((), tau),
    }  # fmt: skip
    if model.pairs:
        found["rho"] = (("pair",), correlations(model, parameters))
    if parameters.df is not None and model.shape.distribution == "t":
        found["df"] = ((), parameters.df)
    if parameters.share is not None and parameters.inflation is not None:
        found |= {"share": ((), parameters.share), "inflation": ((), parameters.inflation)}
    return found


def _pointwise(model: Model, theta: FloatArray) -> FloatArray:
    """Log density (d, k) of each effect given its true effect and the errors of the others."""
    y = model.blocks.y
    if model.independent:
        v = model.blocks.variances
        return np.asarray(-0.5 * (LOG_2PI + np.log(v) + (y - theta) ** 2 / v))
    found = np.empty_like(theta)
    for stack in model.blocks.stacks:
        precision = np.linalg.inv(stack.V)
        own = np.diagonal(precision, axis1=1, axis2=2)
        pull = np.einsum("bij,dbj->dbi", precision, y[stack.rows] - theta[:, stack.rows])
        found[:, stack.rows] = -0.5 * (LOG_2PI - np.log(own) + pull**2 / own)
    return found


def _log_prior(model: Model, parameters: Parameters, named: Named, priors: Priors) -> dict[str, Values]:
    """Log prior density of each parameter; of correlations it is constant, and left out."""
    b = [priors.of(term).log_density(parameters.b[:, i]) for i, term in enumerate(named.terms)]
    taus = [prior.log_density(parameters.taus[:, i]) for i, prior in enumerate(model.priors)]
    found: dict[str, Values] = {
        "b": (("term",), np.stack(b, axis=1)), "taus": (("factor",), np.stack(taus, axis=1)),
    }  # fmt: skip
    if model.shape.distribution == "t" and parameters.df is not None:
        a, rate = DF_PRIOR
        beyond = float(special.gammaincc(a, rate * LEAST_DF))
        constant = a * math.log(rate) - float(special.gammaln(a)) - math.log(beyond)
        found["df"] = ((), constant + (a - 1) * np.log(parameters.df) - rate * parameters.df)
    if parameters.share is not None and parameters.inflation is not None:
        first, second = SHARE_PRIOR
        constant = -float(special.betaln(first, second))
        share = constant + (first - 1) * np.log(parameters.share) + (second - 1) * np.log1p(-parameters.share)
        found["share"] = ((), share)
        found["inflation"] = ((), -math.log(INFLATION_MEAN) - (parameters.inflation - 1) / INFLATION_MEAN)
    return found


def _before(model: Model, named: Named, priors: Priors, rng: np.random.Generator) -> dict[str, dict[str, Values]]:
    """Draws from priors and of what they predict; nothing where one is improper."""
    own = [priors.of(term) for term in named.terms]
    if not all(prior.proper for prior in (*own, *model.priors)):
        return {}
    b = np.stack([prior.draw(rng, PRIOR_DRAWS) for prior in own], axis=1)
    parameters = prior_parameters(model, b, rng)
    theta = b @ model.data["X"].T + random_effects(model, parameters, rng)
    y = theta + errors(model, PRIOR_DRAWS, rng)
    prior = {name: (dims, values[None]) for name, (dims, values) in _own(model, parameters).items()}
    return {
        "prior": {**prior, "theta": (("effect",), theta[None])},
        "prior_predictive": {"y": (("effect",), y[None])},
    }
