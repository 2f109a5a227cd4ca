"""The NUTS engine: the same model in PyMC, non-centred, sampled by nutpie when it is there.

Nearly all of a first fit is compilation, so a compiled structure is kept and gets new data. nutpie's
numba backend needs no C compiler; PyTensor's is switched off so that both kinds of machine run the
same code.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from catharsis.bayes.exact import existing, moment_notes, rotate, tail_of
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Diagnostics, Marginal, Posterior, of_draws
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.numerics import FloatArray, IntArray

TARGET_ACCEPT = (0.99, 0.999)  # funnels of small k need short steps; the second is tried when the first diverges
TUNE = 2000
MIN_DRAWS = 4  # split R-hat needs two draws in each half of a chain

SAMPLED = ("half-normal", "half-cauchy", "half-t", "exponential", "uniform")

_COMPILED: dict[tuple[Any, ...], Any] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of the sampler is set up."""

    draws: int
    chains: int
    seed: int
    target: float


def _pymc() -> Any:
    """Import PyMC without its C compiler and without its announcements."""
    os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pymc

    return pymc


def _levels(blocks: Blocks) -> IntArray:
    """(s, k) level of each random factor for each effect, recovered from the blocks; numbered across factors."""
    level = np.empty((len(blocks.factors), blocks.k), dtype=np.int64)
    count = 0
    for s in range(len(blocks.factors)):
        for stack in blocks.stacks:
            for rows, shared in zip(stack.rows, stack.K[s], strict=True):
                first = shared.argmax(axis=1)
                for j in range(len(rows)):
                    own = first[j] == j
                    level[s, rows[j]] = count if own else level[s, rows[first[j]]]
                    count += int(own)
    return level


def _outermost(blocks: Blocks) -> Blocks:
    """The model with its first random factor alone: it has the fewest levels, so its tail decides on moments."""
    stacks = tuple(Stack(stack.rows, stack.V, stack.K[:1]) for stack in blocks.stacks)
    return Blocks(blocks.y, blocks.X, stacks, blocks.factors[:1])


def _tau(pm: Any, prior: Prior, size: Any, factors: int) -> Any:
    """(s,) standard deviations of the prior's family; its parameters are data, so a compiled model can change them."""
    if prior.family == "half-normal":
        return pm.HalfNormal("tau_unit", 1.0, shape=factors) * size[0]
    if prior.family == "half-cauchy":
        return pm.HalfCauchy("tau_unit", 1.0, shape=factors) * size[0]
    if prior.family == "half-t":
        return pm.HalfStudentT("tau_unit", nu=size[0], sigma=1.0, shape=factors) * size[1]
    if prior.family == "exponential":
        return pm.Exponential("tau_unit", 1.0, shape=factors) * size[0]
    return size[0] + pm.Uniform("tau_unit", 0.0, 1.0, shape=factors) * (size[1] - size[0])


def pymc_model(blocks: Blocks, terms: Sequence[str], priors: Priors) -> Any:
    """The model as a `pymc.Model`: b, tau, and z with u = tau z.

    Parameters
    ----------
    blocks : Blocks
        Effects, moderators and random factors; V diagonal. Each factor has a tau of its own, with one prior.
    terms : sequence of str
        Names of the coefficients.
    priors : Priors
        Priors.

    Returns
    -------
    pymc.Model
        Variables `b` (p,), `taus` (s,), `tau` (their root sum of squares), `z` (levels,), and `theta` (k,), the
        true effects.
    """
    if not blocks.factors or any(np.any(stack.V * (1 - np.eye(stack.V.shape[1]))) for stack in blocks.stacks):
        raise ModelError("the NUTS engine takes random factors and independent sampling errors so far")
    if priors.tau.family == "fixed":
        raise ModelError("with tau fixed nothing is left to sample; use engine='exact'")
    if priors.tau.family not in SAMPLED or not priors.tau.proper:
        raise ModelError(
            f"the NUTS engine does not know the prior {priors.tau} on tau; use {', '.join(SAMPLED)}, or engine='exact'"
        )
    pm = _pymc()
    data = _data(blocks, terms, priors)
    normal = priors.location(terms)[1] > 0
    count = len(blocks.factors)
    levels = np.arange(data["level"].max() + 1)
    coords = {"term": list(terms), "effect": np.arange(blocks.k), "level": levels, "factor": list(blocks.factors)}
    with pm.Model(coords=coords) as model:
        held = {name: pm.Data(name, value) for name, value in data.items()}
        units = []
        if normal.any():
            units.append(pm.Normal("b_unit", 0.0, 1.0, shape=int(normal.sum())))
        if not normal.all():
            units.append(pm.Flat("b_flat", shape=int((~normal).sum())))
        order = np.argsort(np.argsort(~normal, kind="stable"))  # back from normal ones first
        b = pm.Deterministic("b", held["b_mean"] + held["b_sd"] * pm.math.concatenate(units)[order], dims="term")
        taus = pm.Deterministic("taus", _tau(pm, priors.tau, held["tau_size"], count), dims="factor")
        pm.Deterministic("tau", pm.math.sqrt((taus**2).sum()))
        z = pm.Normal("z", 0.0, 1.0, dims="level")
        shared = sum(taus[s] * z[held["level"][s]] for s in range(count))
        theta = pm.Deterministic("theta", held["X"] @ b + shared, dims="effect")
        pm.Normal("y", theta, held["sei"], observed=held["yi"], dims="effect")
    return model


def _data(blocks: Blocks, terms: Sequence[str], priors: Priors) -> dict[str, Any]:
    """What a compiled structure is given; a flat coefficient is measured from least squares, in its units."""
    mean, precision = priors.location(terms)
    sei = np.sqrt(_variances(blocks))
    spread = np.ones(blocks.p)
    spread[precision > 0] = precision[precision > 0] ** -0.5
    flat = precision == 0
    if flat.any():
        X = blocks.X / sei[:, None]
        mean[flat] = np.linalg.lstsq(X, blocks.y / sei, rcond=None)[0][flat]
        rough = float(np.sqrt(np.mean(((blocks.y - blocks.X @ mean) / sei) ** 2)))
        spread[flat] = max(rough, 1.0) / np.linalg.norm(X, axis=0)[flat]
    return {
        "yi": blocks.y, "sei": sei, "X": blocks.X, "level": _levels(blocks), "b_mean": mean, "b_sd": spread,
        "tau_size": np.array([*priors.tau.parameters, 0.0])[:2],
    }  # fmt: skip


def _variances(blocks: Blocks) -> FloatArray:
    """(k,) sampling variances."""
    v = np.empty(blocks.k)
    for stack in blocks.stacks:
        v[stack.rows] = np.diagonal(stack.V, axis1=1, axis2=2)
    return v


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
) -> Posterior:
    """Fit by NUTS.

    Parameters
    ----------
    blocks, terms, labels, priors, level
        As for the exact engine.
    draws, chains, seed : int
        Draws per chain after warm-up, chains, and the seed of the generator.

    Returns
    -------
    Posterior
        With `inference_data` (posterior, sample statistics, observed data, log likelihood and
        posterior predictive) and `diagnostics`.

    References
    ----------
    [@hoffman2014; @abrilpla2023; @kumar2019]
    """
    if draws < MIN_DRAWS or chains < 1:
        raise ModelError(
            f"{chains} chains of {draws} draws tell nothing: use 1 chain or more of {MIN_DRAWS} draws or more"
        )
    outermost = rotate(_outermost(blocks))
    tail = tail_of(outermost, terms, priors.completed(outermost.sei))
    for target in TARGET_ACCEPT:
        idata, sampler = _sample(blocks, terms, priors, Run(draws, chains, seed, target))
        diagnostics = _diagnose(idata, sampler)
        if not diagnostics.divergences:
            break
    b = np.asarray(idata.posterior["b"])
    tau = np.asarray(idata.posterior["tau"])
    theta = np.asarray(idata.posterior["theta"])
    rng = np.random.default_rng(seed)
    new = b[..., 0] + tau * rng.standard_normal(tau.shape)
    _extend(idata, blocks, theta, terms, labels, rng)
    named = {**{term: b[..., i] for i, term in enumerate(terms)}, "tau": tau, "new study": new}

    def linear(x: Sequence[float] | FloatArray) -> Marginal:
        row = np.asarray(x, dtype=float)
        if row.shape != (len(terms),):
            raise ModelError(f"{row.size} numbers for {len(terms)} coefficients ({', '.join(terms)})")
        return existing(of_draws(b @ row, level), tail.moments if tail.touches(row) else 2)

    def chance(name: str, side: str, value: float) -> float:
        return float((named[name] < value).mean() if side == "<" else (named[name] > value).mean())

    coefficients = {term: linear(row) for term, row in zip(terms, np.eye(len(terms)), strict=True)}
    univariate = all(stack.rows.shape[1] == 1 for stack in blocks.stacks)
    return Posterior(
        engine="nuts", terms=terms, coefficients=coefficients,
        tau=existing(of_draws(tau, level), tail.moments), new=existing(of_draws(new, level), tail.moments),
        studies={label: of_draws(theta[..., i], level) for i, label in enumerate(labels)} if univariate else {},
        linear=linear, priors=priors, level=level, log_evidence=float("nan"), error=float("nan"), chance=chance,
        diagnostics=diagnostics, inference_data=idata, nodes=_nodes(idata, len(terms)), notes=moment_notes(tail, priors),
    )  # fmt: skip


def _nodes(idata: Any, p: int) -> Nodes:
    """The draws as a mixture of points, chain after chain."""
    b = np.asarray(idata.posterior["b"], dtype=float).reshape(-1, p)
    taus = np.asarray(idata.posterior["taus"], dtype=float).reshape(len(b), -1)
    return Nodes(np.full(len(b), 1 / len(b)), taus**2, b, np.zeros((len(b), p, p)))


def _sample(blocks: Blocks, terms: tuple[str, ...], priors: Priors, run: Run) -> tuple[Any, str]:
    if find_spec("nutpie") is None:
        return _sample_pymc(pymc_model(blocks, terms, priors), run), "PyMC"
    data = _data(blocks, terms, priors)
    levels = int(data["level"].max()) + 1
    normal = tuple((priors.location(terms)[1] > 0).tolist())
    structure = (blocks.k, terms, blocks.factors, levels, priors.tau.family, normal)
    _pymc()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nutpie

        if structure not in _COMPILED:
            _COMPILED[structure] = nutpie.compile_pymc_model(pymc_model(blocks, terms, priors), backend="numba")
        idata = nutpie.sample(
            _COMPILED[structure].with_data(**data), draws=run.draws, tune=TUNE, chains=run.chains, seed=run.seed,
            cores=min(run.chains, os.cpu_count() or 1), target_accept=run.target, progress_bar=False,
        )  # fmt: skip
    return idata, "nutpie"


def _sample_pymc(model: Any, run: Run) -> Any:
    pm = _pymc()
    log = logging.getLogger("pymc")
    before = log.level
    log.setLevel(logging.ERROR)  # it announces every run on stderr; divergences are counted in the diagnostics
    try:
        with model, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pm.sample(
                draws=run.draws,
                tune=TUNE,
                chains=run.chains,
                cores=1,
                random_seed=run.seed,
                target_accept=run.target,
                progressbar=False,
                compute_convergence_checks=False,
                compile_kwargs={"mode": "NUMBA"},
            )
    finally:
        log.setLevel(before)


def _extend(
    idata: Any,
    blocks: Blocks,
    theta: FloatArray,
    terms: Sequence[str],
    labels: Sequence[str],
    rng: np.random.Generator,
) -> None:
    """Add log likelihood, posterior predictive draws and the data, named by effect."""
    import xarray as xr

    v = _variances(blocks)
    chains, draws = theta.shape[:2]
    coords = {"chain": np.arange(chains), "draw": np.arange(draws), "effect": list(labels)}
    dims = ("chain", "draw", "effect")
    logp = -0.5 * (np.log(2 * np.pi * v) + (blocks.y - theta) ** 2 / v)
    again = theta + np.sqrt(v) * rng.standard_normal(theta.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for group in ("log_likelihood", "posterior_predictive", "observed_data"):
            if group in idata.groups():
                delattr(idata, group)
        idata.posterior = idata.posterior.assign_coords(effect=list(labels), term=list(terms))
        idata.add_groups(
            log_likelihood=xr.Dataset({"y": (dims, logp)}, coords=coords),
            posterior_predictive=xr.Dataset({"y": (dims, again)}, coords=coords),
            observed_data=xr.Dataset({"y": (("effect",), blocks.y)}, coords={"effect": list(labels)}),
        )


def _diagnose(idata: Any, sampler: str) -> Diagnostics:
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampled = idata.posterior[[name for name in ("b", "taus", "z") if name in idata.posterior]]
        rhat = float(az.rhat(sampled).to_array().max())
        bulk = float(az.ess(sampled, method="bulk").to_array().min())
        tail = float(az.ess(sampled, method="tail").to_array().min())
        ebfmi = float(np.min(az.bfmi(idata))) if "energy" in idata.sample_stats else float("inf")
    return Diagnostics(rhat, bulk, tail, int(np.asarray(idata.sample_stats["diverging"]).sum()), ebfmi, sampler)
