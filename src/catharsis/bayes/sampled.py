"""What the models that only a sampler can fit have in common: coefficients, standard deviations, draws, answers.

A model here is a `pymc.Model` whose free variables lie on the whole line, compiled once by `nuts_sampling`; the
coefficients and the standard deviations, with their priors as data, are those of `nuts_model`. What remains is to turn
draws into the same `Posterior` that every other fit gives.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from catharsis.bayes import nuts_model, nuts_priors, nuts_program
from catharsis.bayes.convergence import diagnose
from catharsis.bayes.nuts_sampling import TARGET_ACCEPT, Drawn, Run, draw, quietly
from catharsis.bayes.posterior import Diagnostics, Marginal, Posterior, of_draws
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import make_blocks
from catharsis.numerics import FloatArray

PRIOR_DRAWS = 1000  # in the prior groups of InferenceData
FEWEST = 16  # study effects that a program is made for


def padded(count: int) -> int:
    """How many study effects a program has that takes this many: 16, 64, 256, ..., so that few programs serve all.

    Examples
    --------
    >>> padded(3), padded(17)
    (16, 64)
    """
    size = FEWEST
    while size < count:
        size *= 4
    return size


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Coefficients and standard deviations of a model, with their priors.

    Attributes
    ----------
    terms : tuple of str
        (p,) coefficients.
    components : tuple of str
        (s,) standard deviations; the first is that of the studies' effects.
    priors : Priors
        All of them.
    shape : nuts_model.Shape
        What a program depends on.
    data : dict
        What it is given.
    """

    terms: tuple[str, ...]
    components: tuple[str, ...]
    priors: Priors
    shape: nuts_model.Shape
    data: Mapping[str, Any]

    def symbols(self, pm: Any, held: Mapping[str, Any]) -> tuple[Any, Any]:
        """Coefficients (p,) and standard deviations (s,), inside a `pymc.Model`."""
        import pytensor.tensor as pt

        return nuts_program.coefficient_symbols(pm, pt, self.shape, held), nuts_program.tau_symbols(
            pm, pt, self.shape, held
        )

    def of(self, drawn: Drawn) -> tuple[FloatArray, FloatArray]:
        """The same from draws: (chains, n, p) and (chains, n, s)."""
        b = self.data["b_centre"] + drawn.values["b_unit"] @ self.data["b_half"].T
        number = self.data["tau_numbers"]
        taus = np.broadcast_to(number[:, 0], (*b.shape[:2], len(number))).copy()
        for place, i in enumerate(self.shape.free):
            at = drawn.values["log_tau"][..., place]
            if self.shape.families[i] == "interval":
                taus[..., i] = number[i, 0] + (number[i, 1] - number[i, 0]) * special.expit(at)
            else:
                taus[..., i] = self.data["tau_unit"][i] * np.exp(at)
        return b, taus

    def before(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray] | None:
        """Draws from the priors, (1, n, p) and (1, n, s); None when one is improper."""
        own = [self.priors.of(term) for term in self.terms]
        spread = [self.priors.tau_of(name) for name in self.components]
        if not all(prior.proper for prior in (*own, *spread)):
            return None
        b, taus = (np.stack([prior.draw(rng, n) for prior in each], axis=-1)[None] for each in (own, spread))
        return b, taus


def parameters(
    yi: FloatArray, vi: FloatArray, X: FloatArray, terms: tuple[str, ...], components: tuple[str, ...], priors: Priors
) -> Parameters:
    """Lay out coefficients and standard deviations.

    Parameters
    ----------
    yi, vi, X : (k,), (k,), (k, p) arrays
        Effects (here: about where the studies lie), their variances, and moderators, by which the sampler's
        coordinates are chosen. They do not enter the posterior, but through a prior made from standard errors.
    terms, components : tuples of str
        (p,) coefficients; (s,) standard deviations.
    priors : Priors
        Proper on the standard deviations.

    Raises
    ------
    ModelError
        For an improper prior on a standard deviation.
    """
    priors.check(terms, components)
    sei = np.sqrt(vi)
    priors = priors.completed(sei)
    chosen = [priors.tau_of(name) for name in components]
    for name, prior in zip(components, chosen, strict=True):
        if not prior.proper:
            raise ModelError(
                f"the prior on tau ({name}) is {prior}, which is improper, and this likelihood need not make the "
                "posterior proper; use a proper one such as half-normal(0.5) or half-cauchy(1)"
            )
    blocks = make_blocks(yi, X, vi, [("effect", np.arange(len(yi), dtype=np.int64))])
    shape = nuts_model.Shape("sampled", len(terms), tuple(nuts_priors.family_of(prior) for prior in chosen), kinds=())
    data: dict[str, Any] = dict(nuts_model.coefficient_data(blocks, terms, priors))
    if shape.free:
        data["tau_unit"] = np.array([nuts_priors.unit(prior, sei) for prior in chosen])
    data["tau_numbers"] = np.array([nuts_priors.numbers(prior) for prior in chosen])
    if set(shape.families) & set(nuts_priors.OF_EACH_ERROR):
        data["sei"] = sei
    return Parameters(terms, components, priors, shape, data)


def sampled(
    key: Hashable, build: Callable[[], Any], data: Mapping[str, Any], run: Run, levels: int = 0
) -> tuple[Drawn, Diagnostics]:
    """Draw, once more with shorter steps when transitions diverge, and judge; `levels`: z and w of the model."""
    for target in TARGET_ACCEPT:
        drawn = draw(key, build, data, Run(run.draws, run.chains, run.seed, target))
        diagnostics = diagnose(drawn, {"z": levels, "w": levels})
        if not diagnostics.divergences:
            break
    return drawn, diagnostics


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Draws on their way into a `Posterior`.

    Attributes
    ----------
    parameters : Parameters
    b, taus, theta : (chains, n, p), (chains, n, s), (chains, n, k) arrays
        Coefficients, standard deviations, and true effects of the studies.
    labels : tuple of str
        (k,) names of the studies.
    observed : dict
        What was seen, (k,) each.
    log_likelihood, predicted : dict
        (chains, n, k) arrays by the names of `observed`.
    constant : dict
        What the likelihood takes as known, (k, ...) arrays.
    others : dict
        Other parameters, (chains, n) or (chains, n, m) arrays.
    before, before_predicted : dict
        Draws from the priors, (1, n, ...) arrays: of b, taus and others, and of what is observed; empty where a
        prior is improper.
    names : dict
        Coordinates of last dimensions: variable to (dimension, names).
    """

    parameters: Parameters
    b: FloatArray
    taus: FloatArray
    theta: FloatArray
    labels: tuple[str, ...]
    observed: Mapping[str, FloatArray]
    log_likelihood: Mapping[str, FloatArray]
    predicted: Mapping[str, FloatArray]
    constant: Mapping[str, FloatArray] = field(default_factory=dict)
    others: Mapping[str, FloatArray] = field(default_factory=dict)
    before: Mapping[str, FloatArray] = field(default_factory=dict)
    before_predicted: Mapping[str, FloatArray] = field(default_factory=dict)
    names: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)


def inference_data(found: Draws, drawn: Drawn) -> Any:
    """ArviZ InferenceData with named coordinates."""
    terms, components = found.parameters.terms, found.parameters.components
    names = {
        "b": ("term", terms), "taus": ("factor", components), "theta": ("effect", found.labels),
        **dict.fromkeys((*found.observed, *found.constant), ("effect", found.labels)), **found.names,
    }  # fmt: skip
    inside = {"b": found.b, "taus": found.taus, "tau": found.taus[..., 0], "theta": found.theta, **found.others}
    own = found.parameters.priors
    log_prior = {
        "b": np.stack([own.of(term).log_density(found.b[..., i]) for i, term in enumerate(terms)], axis=-1),
        "taus": np.stack(
            [own.tau_of(name).log_density(found.taus[..., i]) for i, name in enumerate(components)], axis=-1
        ),
    }
    before = dict(found.before)
    if "taus" in before:
        before["tau"] = before["taus"][..., 0]
    groups = {
        "posterior": inside, "sample_stats": drawn.stats, "log_likelihood": found.log_likelihood,
        "posterior_predictive": found.predicted, "log_prior": log_prior, "prior": before,
        "prior_predictive": found.before_predicted,
    }  # fmt: skip
    with quietly():
        import arviz as az

        sets = {name: _dataset(values, names, True) for name, values in groups.items() if values}
        sets |= {
            name: _dataset(values, names, False)
            for name, values in (("observed_data", found.observed), ("constant_data", found.constant))
            if values
        }
        return az.InferenceData(**sets)


def _dataset(values: Mapping[str, FloatArray], names: Mapping[str, tuple[str, Sequence[str]]], drawn: bool) -> Any:
    """Arrays with named dimensions; one that has no name gets the variable's."""
    import xarray as xr

    lead = ("chain", "draw") if drawn else ()
    variables, coords = {}, {}
    for name, value in values.items():
        array = np.asarray(value)
        dims = list(lead)
        for axis in range(len(lead), array.ndim):
            known = axis == array.ndim - 1 and name in names and len(names[name][1]) == array.shape[axis]
            dims.append(names[name][0] if known else f"{name}_{axis - len(lead)}")
            coords[dims[-1]] = list(names[name][1]) if known else np.arange(array.shape[axis])
        variables[name] = (dims, array)
        coords |= {dim: np.arange(size) for dim, size in zip(lead, array.shape, strict=False)}
    return xr.Dataset(variables, coords=coords)


def answers(
    found: Draws, drawn: Drawn, diagnostics: Diagnostics, level: float, seed: int, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """The fields of a `Posterior`."""
    own = found.parameters
    b, tau = found.b, found.taus[..., 0]
    several = len(own.components) > 1
    rng = np.random.default_rng([seed, 1])
    z = rng.standard_normal(tau.shape)
    first = np.eye(len(own.terms))[0]

    def of_row(x: Sequence[float] | FloatArray, new: bool = False) -> FloatArray:
        row = np.asarray(x, dtype=float)
        if row.shape != (len(own.terms),):
            raise ModelError(f"{row.size} numbers for {len(own.terms)} coefficients ({', '.join(own.terms)})")
        return np.asarray(b @ row + tau * z if new else b @ row)

    def linear(x: Sequence[float] | FloatArray, new: bool = False) -> Marginal:
        return of_draws(of_row(x, new), level)

    named = {term: b[..., i] for i, term in enumerate(own.terms)}
    named |= {f"tau[{name}]": found.taus[..., i] for i, name in enumerate(own.components)} if several else {}
    named |= {"tau": tau, "new study": of_row(first, new=True)}

    def chance(name: str, side: str, value: float) -> float:
        return float((named[name] < value).mean() if side == "<" else (named[name] > value).mean())

    return {
        "engine": "nuts", "terms": own.terms,
        "coefficients": {term: of_draws(named[term], level) for term in own.terms},
        "tau": of_draws(tau, level), "new": of_draws(named["new study"], level),
        "taus": {name: of_draws(found.taus[..., i], level) for i, name in enumerate(own.components)} if several else {},
        "studies": {label: of_draws(found.theta[..., i], level) for i, label in enumerate(found.labels)},
        "linear": linear, "priors": own.priors, "level": level, "log_evidence": float("nan"), "error": float("nan"),
        "chance": chance, "diagnostics": diagnostics, "inference_data": inference_data(found, drawn),
        "observed": tuple(found.observed.values()), "notes": (*own.priors.notes, *notes),
    }  # fmt: skip


def posterior_of(
    found: Draws, drawn: Drawn, diagnostics: Diagnostics, level: float, seed: int, notes: Sequence[str] = ()
) -> Posterior:
    """Draws as every Bayesian fit answers."""
    return Posterior(**answers(found, drawn, diagnostics, level, seed, notes))
