"""Independent draws from an exact posterior: for ArviZ, and for any function of several quantities at once.

The spreads are drawn from the polynomials that the quadrature integrates, direction by direction inside a box, the
coefficients from their Gaussian there, and the true effects by correcting a draw from their prior: with u, e and b
drawn, theta = X b + u + r - V W r, r = y - X b - u - e, has the distribution of the effects given the data, whatever
ties them together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from catharsis.bayes.priors import Priors
from catharsis.bayes.quadrature import rule
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import LOG_2PI
from catharsis.likelihood.nested import Nested, whitener
from catharsis.likelihood.structures import term_covariance
from catharsis.numerics import FloatArray

GRID = 257  # points at which the distribution along one direction of a box is inverted: to about 1e-5 of its width
CHUNK = 2_000_000  # numbers that one batch may hold (16 MB)


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """Independent draws from a posterior.

    Attributes
    ----------
    terms, factors, labels : tuples of str
        Names of coefficients, variance components and effects.
    b : (n, p) array
        Coefficients.
    taus : (n, s) array
        Standard deviations.
    tau : (n,) array
        The root of the summed variances, by which a new effect in a new study varies.
    theta : (n, k) array
        True effects.
    blocks : Blocks
        The model.
    """

    terms: tuple[str, ...]
    factors: tuple[str, ...]
    labels: tuple[str, ...]
    b: FloatArray
    taus: FloatArray
    tau: FloatArray
    theta: FloatArray
    blocks: Blocks = field(repr=False)


def draw_boxes(low: FloatArray, high: FloatArray, mass: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Draws (n, d) from piecewise polynomials on boxes (q, d), given the masses (q, m, ..., m) of their nodes.

    Examples
    --------
    >>> z, w, _ = rule(6)
    >>> mass = (w * (1 + z) / 2)[None]  # a density that rises from 0
    >>> x = draw_boxes(np.array([[0.0]]), np.array([[1.0]]), mass, 20000, np.random.default_rng(1))
    >>> bool(abs(x.mean() - 2 / 3) < 0.005)
    True
    """
    q, d = low.shape
    _, w, to_series = rule(mass.shape[1])
    share = mass.reshape(q, -1).sum(axis=1)
    box = rng.choice(q, size=n, p=share / share.sum())
    found = np.empty((n, d))
    z = np.linspace(-1.0, 1.0, GRID)
    for one in np.unique(box):
        rows = np.flatnonzero(box == one)
        series = mass[one]
        for _ in range(d):  # each step turns the first direction and puts it last
            series = np.moveaxis(np.tensordot(to_series / w, series, axes=([1], [0])), 0, -1)
        series = np.broadcast_to(series, (len(rows), *series.shape))
        for j in range(d):
            along = series[(..., *(0,) * (d - 1 - j))]  # the directions that follow are integrated
            integral = legendre.legvander(z, mass.shape[1]) @ legendre.legint(along, lbnd=-1, axis=1).T  # (GRID, rows)
            below = np.maximum.accumulate(np.maximum(integral, 0.0), axis=0)
            wanted = rng.random(len(rows)) * below[-1]
            upper = np.clip((below < wanted).sum(axis=0), 1, GRID - 1)
            left, right = (np.take_along_axis(below, (upper - i)[None], axis=0)[0] for i in (1, 0))
            part = np.divide(wanted - left, right - left, out=np.full(len(rows), 0.5), where=right > left)
            at = z[upper - 1] + part * (z[1] - z[0])
            found[rows, j] = low[one, j] + (high[one, j] - low[one, j]) * (1 + at) / 2
            here = legendre.legvander(at, mass.shape[1] - 1)
            series = np.einsum("rm,rm...->r...", here, series)
    return found


def draw_coefficients(mean: FloatArray, cov: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(n, p) draws, one from each Gaussian."""
    values, vectors = np.linalg.eigh(cov)
    z = rng.standard_normal(mean.shape) * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(mean + np.einsum("nij,nj->ni", vectors, z))


def draw_effects(blocks: Blocks, b: FloatArray, theta: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(n, k) draws of the true effects given coefficients (n, p) and variances (n, s)."""
    if isinstance(blocks.ties, Nested):
        return _nested_effects(blocks, blocks.ties, b, theta, rng)
    found = np.empty((len(b), blocks.k))
    for stack in blocks.ties:
        parts = [*stack.K]
        for pattern in stack.patterns:
            parts += [term_covariance(pattern, unit) for unit in np.eye(pattern.structure.parameters)]
        roots = [_root(part) for part in parts]
        noise = _root(stack.V)
        size = max(1, CHUNK // stack.V.size)
        for i in range(0, len(b), size):
            at = slice(i, i + size)
            variances = theta[at]
            draws = (len(variances), *stack.rows.shape)
            u = sum(
                np.sqrt(variances[:, j])[:, None, None] * _along(roots[j], rng.standard_normal(draws))
                for j in range(len(parts))
            )
            prior = b[at] @ blocks.X.T
            prior = prior[:, stack.rows] + u
            r = blocks.y[stack.rows] - prior - _along(noise, rng.standard_normal(draws))
            M = stack.V + np.einsum("ns,sbij->nbij", variances, np.array(parts))
            solved = np.linalg.solve(M, r[..., None])[..., 0]
            found[at, stack.rows] = prior + r - np.einsum("bij,nbj->nbi", stack.V, solved)
    return found


def _nested_effects(
    blocks: Blocks, nested: Nested, b: FloatArray, theta: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """The same for nested random intercepts, at a cost of k for each draw."""
    k = blocks.k
    shared = nested.shared
    found = np.empty((len(b), k))
    for i, variances in enumerate(theta):
        prior = blocks.X @ b[i]
        for code, variance in zip(nested.factors, variances, strict=True):
            prior = prior + np.sqrt(variance) * rng.standard_normal(int(code.max()) + 1)[code]
        e = np.sqrt(nested.noise) * rng.standard_normal(k)
        if shared is not None:  # (D + c u u')^1/2 with D^1/2 taken out
            w, c = shared.root / np.sqrt(nested.noise), shared.sign
            m = int(shared.cluster.max()) + 1
            q = np.bincount(shared.cluster, w**2, m)[shared.cluster]
            a = np.divide(np.sqrt(1 + c * q) - 1, q, out=np.zeros(k), where=q > 0)
            e = e + np.sqrt(nested.noise) * a * w * np.bincount(
                shared.cluster, w * e / np.sqrt(nested.noise), m
            )[shared.cluster]  # fmt: skip
        r = blocks.y - prior - e
        weighed = whitener(nested, variances).weigh(r[:, None])[:, 0]
        pulled = nested.noise * weighed
        if shared is not None:
            m = int(shared.cluster.max()) + 1
            pulled = pulled + shared.sign * shared.root * np.bincount(shared.cluster, shared.root * weighed, m)[
                shared.cluster
            ]  # fmt: skip
        found[i] = prior + r - pulled
    return found


def _root(matrices: FloatArray) -> FloatArray:
    """R with R R' = each of the positive semi-definite matrices (b, n, n)."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def _along(roots: FloatArray, z: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("bij,nbj->nbi", roots, z))


def inference_data(found: Simulated, priors: Priors, level: float, seed: int, chains: int = 4) -> Any:
    """Draws as ArviZ InferenceData: posterior, posterior predictive, log likelihood, observed data, proper priors.

    Independent draws have no chains; they are dealt out to `chains` so that ArviZ's diagnostics, which want several,
    say what is true of them.

    Parameters
    ----------
    found : Simulated
        A multiple of `chains` draws.
    priors : Priors
        Completed.
    level : float
        Probability of the intervals that ArviZ draws by default.
    seed : int
        For draws from the priors and of new data.
    chains : int
        How many chains the draws are dealt out to.
    """
    rng = np.random.default_rng([seed, 1])  # not the stream that the draws came from
    blocks = found.blocks
    n = len(found.b) // chains * chains

    def dealt(values: FloatArray) -> FloatArray:
        return values[:n].reshape(chains, n // chains, *values.shape[1:])

    again, log_likelihood = found.theta + _errors(blocks, len(found.theta), rng), None
    if _alone(blocks):
        v = blocks.variances
        log_likelihood = -0.5 * (LOG_2PI + np.log(v) + (blocks.y - found.theta) ** 2 / v)
    coords = {"term": list(found.terms), "factor": list(found.factors), "effect": list(found.labels)}
    dims = {"b": ["term"], "taus": ["factor"], "theta": ["effect"], "y": ["effect"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ 0.x announces its successor
        import arviz as az

        groups: dict[str, Any] = {
            "posterior": {name: dealt(getattr(found, name)) for name in ("b", "taus", "tau", "theta")},
            "posterior_predictive": {"y": dealt(again)},
            "observed_data": {"y": blocks.y},
        }
        if log_likelihood is not None:
            groups["log_likelihood"] = {"y": dealt(log_likelihood)}
        before = draw_priors(priors, found.terms, found.factors, len(found.b), rng)
        if before:
            groups["prior"] = {name: dealt(values) for name, values in before.items()}
        made = az.from_dict(**groups, coords=coords, dims=dims)
    made.posterior.attrs.update(inference_library="catharsis", sampling="independent draws", level=level)
    return made


def draw_priors(
    priors: Priors, terms: Sequence[str], factors: Sequence[str], n: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Draws of coefficients and standard deviations from their priors; of improper ones none."""
    found = {}
    on_b, on_tau = [priors.of(term) for term in terms], [priors.tau_of(factor) for factor in factors]
    if all(prior.proper for prior in on_b):
        found["b"] = np.column_stack([prior.draw(rng, n) for prior in on_b])
    if all(prior.proper for prior in on_tau):
        found["taus"] = np.column_stack([prior.draw(rng, n) for prior in on_tau])
    return found


def _alone(blocks: Blocks) -> bool:
    """Whether sampling errors are independent."""
    if isinstance(blocks.ties, Nested):
        return blocks.ties.shared is None
    return not any(np.any(stack.V * (1 - np.eye(stack.V.shape[1]))) for stack in blocks.ties)


def _errors(blocks: Blocks, n: int, rng: np.random.Generator) -> FloatArray:
    """(n, k) draws of sampling errors."""
    if _alone(blocks):
        return np.asarray(np.sqrt(blocks.variances) * rng.standard_normal((n, blocks.k)))
    found = np.empty((n, blocks.k))
    for stack in blocks.stacks:
        found[:, stack.rows] = _along(_root(stack.V), rng.standard_normal((n, *stack.rows.shape)))
    return found
