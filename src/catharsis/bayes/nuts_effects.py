"""From the sampler's coordinates to what a reader knows: parameters, true effects, and how likely each study was.

Where the effects of studies were integrated out they are drawn here, each from its exact distribution given the
parameters of the draw. In the diagonal form that is two Gaussian steps, the study and then the effect; in the dense
form a draw from the prior is corrected by its error, theta = X b + u + C M^-1 (y - X b - u - e), which needs no factor
of a conditional covariance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from catharsis.bayes.nuts_distribution import DF_PRIOR, DF_UNIT, INFLATION_MEAN, LEAST_DF, SHARE_PRIOR, t_rule
from catharsis.bayes.nuts_model import Model
from catharsis.bayes.nuts_parts import correlation_factor, product, shapes
from catharsis.bayes.nuts_sampling import Drawn
from catharsis.likelihood.structures import UNSTRUCTURED, pairs
from catharsis.numerics import FloatArray, IntArray

LOG_2PI = math.log(2 * math.pi)
CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Draws of the parameters, one row for each draw.

    Attributes
    ----------
    b : (d, p) array
        Coefficients.
    taus : (d, s) array
        Standard deviations.
    factors : tuple of (d, q, q) arrays
        L of each random term, L L' its correlations; (1, q, q) where there are none.
    df, share, inflation : (d,) arrays or None
        Degrees of freedom of a t; share of outliers, and their standard deviation over tau.
    """

    b: FloatArray
    taus: FloatArray
    factors: tuple[FloatArray, ...]
    df: FloatArray | None = None
    share: FloatArray | None = None
    inflation: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.b)

    def batch(self, at: slice | IntArray) -> Parameters:
        """Some of the draws."""

        def some(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[at]

        factors = tuple(L if len(L) == 1 and len(self) > 1 else L[at] for L in self.factors)
        return Parameters(self.b[at], self.taus[at], factors, some(self.df), some(self.share), some(self.inflation))

    def mixture(self) -> tuple[FloatArray, FloatArray]:
        """Log weights and scales lambda (d, j) of the normals that study effects are a mixture of; j = 1: normal."""
        if self.share is not None and self.inflation is not None:
            weight = np.stack([np.log1p(-self.share), np.log(self.share)], axis=1)
            return weight, np.stack([np.ones(len(self)), self.inflation**2], axis=1)
        if self.df is not None:
            return t_rule(self.df[:, None])
        return np.zeros((len(self), 1)), np.ones((len(self), 1))

    def scales(self, levels: int, rng: np.random.Generator) -> FloatArray:
        """(d, levels) draws of lambda for studies of which nothing is known."""
        shape = (len(self), levels)
        if self.share is not None and self.inflation is not None:
            return np.where(rng.random(shape) < self.share[:, None], self.inflation[:, None] ** 2, 1.0)
        if self.df is not None:
            return self.df[:, None] / rng.chisquare(np.broadcast_to(self.df[:, None], shape))
        return np.ones(shape)


def parameters_of(model: Model, drawn: Drawn) -> Parameters:
    """Parameters of every draw, chain after chain."""
    values = {name: value.reshape(-1, *value.shape[2:]) for name, value in drawn.values.items()}
    data, shape = model.data, model.shape
    b = data["b_centre"] + values["b_unit"] @ data["b_half"].T
    taus = np.tile(data["tau_numbers"][:, 0], (len(b), 1))
    logged = [i for i in shape.free if i not in shape.signed]
    for place, i in enumerate(shape.signed):
        taus[:, i] = data["tau_unit"][i] * np.abs(np.sinh(values["signed_tau"][:, place]))
    for place, i in enumerate(logged):
        x = values["log_tau"][:, place]
        if shape.families[i] == "interval":
            low, high = data["tau_numbers"][i, :2]
            taus[:, i] = low + (high - low) * special.expit(x)
        else:
            taus[:, i] = data["tau_unit"][i] * np.exp(x)
    unit = special.expit(values["correlation"]).T if shape.correlations else np.empty((0, len(b)))
    df = share = inflation = None
    if shape.distribution == "t":
        df = LEAST_DF + DF_UNIT * np.exp(values["log_df"])
    elif shape.distribution == "known t":
        df = np.full(len(b), model.distribution.df)
    elif shape.distribution == "outliers":
        share, inflation = special.expit(values["share"]), 1 + INFLATION_MEAN * np.exp(values["inflation"])
    return Parameters(b, taus, _factors(model, unit), df, share, inflation)


def _factors(model: Model, unit: FloatArray) -> tuple[FloatArray, ...]:
    """L of each random term from coordinates (r, d) in (0, 1)."""
    found, at = [], 0
    for kind in model.shape.kinds:
        L = correlation_factor(kind, list(unit[at : at + kind.correlations]))
        at += kind.correlations
        found.append(_stacked(L))
    return tuple(found)


def _stacked(elements: Sequence[Sequence[FloatArray | float]]) -> FloatArray:
    """(d, q, q) from lists of lists of (d,) arrays; (1, q, q) from numbers."""
    d = max((np.size(value) for row in elements for value in row), default=1)
    rows = [[np.broadcast_to(np.asarray(value, dtype=float), (d,)) for value in row] for row in elements]
    return np.moveaxis(np.array(rows), 2, 0)


def prior_parameters(model: Model, terms_draws: FloatArray, rng: np.random.Generator) -> Parameters:
    """Parameters drawn from their priors, given draws (d, p) of the coefficients."""
    d = len(terms_draws)
    taus = np.stack([prior.draw(rng, d) for prior in model.priors], axis=1)
    a = np.array([each for kind in model.shape.kinds for each in shapes(kind)])
    unit = rng.beta(a[:, None], a[:, None], (len(a), d)) if len(a) else np.empty((0, d))
    df = share = inflation = None
    if model.shape.distribution == "t":
        shape, rate = DF_PRIOR
        beyond = special.gammaincc(shape, rate * LEAST_DF)
        df = special.gammainccinv(shape, beyond * rng.random(d)) / rate
    elif model.shape.distribution == "known t":
        df = np.full(d, model.distribution.df)
    elif model.shape.distribution == "outliers":
        share, inflation = rng.beta(*SHARE_PRIOR, d), 1 + rng.exponential(INFLATION_MEAN, d)
    return Parameters(terms_draws, taus, _factors(model, unit), df, share, inflation)


def correlations(model: Model, parameters: Parameters) -> FloatArray:
    """(d, r) correlations in the order of `Model.pairs`."""
    found = []
    for kind, L in zip(model.shape.kinds, parameters.factors, strict=True):
        if kind.correlations:
            R = product([[L[:, i, j] for j in range(kind.q)] for i in range(kind.q)])
            places = pairs(kind.q) if kind.name in UNSTRUCTURED else [(1, 0)]
            found += [R[i][j] for i, j in places]
    return np.stack(found, axis=1) if found else np.empty((len(parameters), 0))


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What follows about effects and studies, one row for each draw.

    Attributes
    ----------
    theta : (d, k) array
        True effects.
    log_likelihood : (d, m) array or None
        Log density of all a study's effects, its own true effects integrated out; None where the form has none.
    outlier : (d, m) array or None
        Probability that a study is an outlier.
    """

    theta: FloatArray
    log_likelihood: FloatArray | None = None
    outlier: FloatArray | None = None


def effects_given(model: Model, parameters: Parameters, rng: np.random.Generator) -> Effects:
    """Draw true effects given the parameters, where they were integrated out."""
    form = {"diagonal": _diagonal, "dense": _dense}[model.shape.form]
    numbers = max(1, model.blocks.k * (1 if model.shape.form == "diagonal" else model.data["V"].shape[1]))
    return _joined([form(model, part, rng) for part in batches(parameters, numbers * parameters.mixture()[0].shape[1])])


def batches(parameters: Parameters, numbers: int) -> Iterator[Parameters]:
    """The draws, so many at a time that `numbers` for each of them stay small."""
    size = max(1, CHUNK // max(1, numbers))
    for i in range(0, len(parameters), size):
        yield parameters.batch(slice(i, i + size))


def _joined(parts: Sequence[Effects]) -> Effects:
    def whole(name: str) -> FloatArray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    theta = whole("theta")
    assert theta is not None
    return Effects(theta, whole("log_likelihood"), whole("outlier"))


def _diagonal(model: Model, given: Parameters, rng: np.random.Generator) -> Effects:
    data, shape = model.data, model.shape
    y, v, squares = data["effects"][0], data["effects"][1], data["effects"][2:]
    own = given.taus**2 @ squares  # variance that each effect has besides its study
    mean = given.b @ data["X"].T
    residual = y - mean
    D = own + v
    each = -0.5 * (LOG_2PI + np.log(D) + residual**2 / D)
    if shape.group < 0:
        return Effects(mean + _shrunken(residual, own, v, rng), each)
    study = data["study"]
    order = np.argsort(study, kind="stable")
    starts = np.searchsorted(study[order], np.arange(len(data["none"])))

    def sums(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values[:, order], starts, axis=1))

    log_weight, scale = given.mixture()
    spread = given.taus[:, shape.places[shape.group]] ** 2 * scale  # (d, j)
    information, pull = sums(1 / D)[..., None], sums(residual / D)[..., None]  # (d, m, 1)
    more = information * spread[:, None, :]
    height = log_weight[:, None, :] + 0.5 * spread[:, None, :] * pull**2 / (1 + more) - 0.5 * np.log1p(more)
    top = height.max(axis=2, keepdims=True)
    weight = np.exp(height - top)
    total = weight.sum(axis=2, keepdims=True)
    log_likelihood = sums(each) + (top + np.log(total))[..., 0]
    below = np.cumsum(weight / total, axis=2)
    chosen = np.minimum((below < rng.random((*below.shape[:2], 1))).sum(axis=2), below.shape[2] - 1)
    tau2 = np.take_along_axis(spread, chosen, axis=1)
    grown = 1 + information[..., 0] * tau2
    u = tau2 * pull[..., 0] / grown + np.sqrt(tau2 / grown) * rng.standard_normal(tau2.shape)
    u = u[:, study]
    theta = mean + u + _shrunken(residual - u, own, v, rng)
    outlier = (weight / total)[..., 1] if shape.distribution == "outliers" else None
    return Effects(theta, log_likelihood, outlier)


def _shrunken(residual: FloatArray, own: FloatArray, v: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draws of N(0, own) given that a draw plus an error N(0, v) is the residual."""
    keep = own / (own + v)
    return np.asarray(keep * residual + np.sqrt(keep * v) * rng.standard_normal(residual.shape))


def _dense(model: Model, given: Parameters, rng: np.random.Generator) -> Effects:
    data = model.data
    rows, inside, sizes = data["rows"], data["inside"], data["sizes"]
    C = np.zeros((len(given), *data["V"].shape))
    for t, place in enumerate(model.shape.places):
        scaled = data[f"design{t}"] * given.taus[:, None, None, place]
        lifted = scaled @ given.factors[t][:, None]
        C += data[f"together{t}"] * (lifted @ np.swapaxes(lifted, -1, -2))
    V = data["V"] + (1 - inside)[:, :, None] * np.eye(rows.shape[1])  # rows beyond a block's size stand alone
    M = C + V
    mean = given.b @ data["X"].T
    residual = (data["effects"][0] - mean)[:, rows] * inside
    half = np.linalg.cholesky(M)
    white = np.linalg.solve(half, residual[..., None])[..., 0]
    log_det = np.log(np.diagonal(half, axis1=2, axis2=3)).sum(axis=2)
    log_likelihood = -0.5 * (sizes * LOG_2PI + (white**2).sum(axis=2)) - log_det
    u = random_effects(model, given, rng)
    error = np.einsum("bij,dbj->dbi", np.linalg.cholesky(V), rng.standard_normal(residual.shape))
    apart = residual - (u[:, rows] + error) * inside
    solved = np.linalg.solve(M, apart[..., None])[..., 0]
    moved = np.einsum("dbij,dbj->dbi", C, solved)
    theta = mean + u
    at = inside > 0
    theta[:, rows[at]] += moved[:, at]
    return Effects(theta, log_likelihood)


def random_effects(model: Model, given: Parameters, rng: np.random.Generator) -> FloatArray:
    """(d, k) draws of what the random terms add to each effect, nothing else being known."""
    found = np.zeros((len(given), model.blocks.k))
    for t, (part, place) in enumerate(zip(model.parts, model.shape.places, strict=True)):
        z = rng.standard_normal((len(given), part.levels, part.kind.q))
        if t == 0:
            z *= np.sqrt(given.scales(part.levels, rng))[..., None]
        found += _added(z, part.outer, part.design, given.taus[:, place], given.factors[t])
    return found


def _added(z: FloatArray, outer: IntArray, design: FloatArray, sd: FloatArray, L: FloatArray) -> FloatArray:
    """A S L z for effects (d, k), from z (d, m, q)."""
    u = z @ np.swapaxes(L, 1, 2) * sd[:, None, :]
    return np.asarray((u[:, outer] * design).sum(axis=2))


def effects_sampled(model: Model, parameters: Parameters, z: FloatArray) -> Effects:
    """True effects, and who is an outlier, where z (d, size) was sampled."""
    theta = parameters.b @ model.data["X"].T
    start = 0
    for t, (part, place) in enumerate(zip(model.parts, model.shape.places, strict=True)):
        count = part.levels * part.kind.q
        own = z[:, start : start + count].reshape(len(z), part.levels, part.kind.q)
        theta += _added(own, part.outer, part.design, parameters.taus[:, place], parameters.factors[t])
        start += count
    outlier = None
    if model.shape.distribution == "outliers":
        log_weight, scale = parameters.mixture()
        own = z[:, : model.parts[0].levels, None]
        height = log_weight[:, None] - 0.5 * np.log(scale)[:, None] - 0.5 * own**2 / scale[:, None]
        outlier = special.softmax(height, axis=2)[..., 1]
    return Effects(theta, None, outlier)


def errors(model: Model, d: int, rng: np.random.Generator) -> FloatArray:
    """(d, k) draws of sampling errors."""
    if model.independent:
        return np.asarray(np.sqrt(model.blocks.variances) * rng.standard_normal((d, model.blocks.k)))
    found = np.empty((d, model.blocks.k))
    for stack in model.blocks.stacks:
        z = rng.standard_normal((d, *stack.rows.shape))
        found[:, stack.rows] = np.einsum("bij,dbj->dbi", np.linalg.cholesky(stack.V), z)
    return found


def summed(model: Model) -> list[int]:
    """Standard deviations by which a new effect in a new study varies: all intercepts; of a structure its first level.

    As in the exact engine.
    """
    return [place.start for place in model.shape.places]


def new_study(
    model: Model, parameters: Parameters, rng: np.random.Generator
) -> tuple[FloatArray, Mapping[str, FloatArray]]:
    """Deviations (d,) of a new effect in a new study, and those by each standard deviation alone."""
    scale = np.sqrt(parameters.scales(1, rng)[:, 0])
    z = rng.standard_normal(len(parameters))
    taus = parameters.taus.copy()
    taus[:, model.shape.places[0]] *= scale[:, None]
    total = np.sqrt((taus[:, summed(model)] ** 2).sum(axis=1))
    return total * z, {name: taus[:, i] * z for i, name in enumerate(model.components)}
