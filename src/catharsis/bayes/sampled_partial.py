"""Estimates and partial rows with moderators, sampled.

An estimate contributes N(y; x'b, v + tau^2), its study effect integrated out. A partial row contributes the probability
of what it reports given its true effect theta = x'b + tau z, with z standard normal and sampled: rows of one sample
share it. That probability (`likelihood.partial`) comes to the sampler as a table: quintic pieces in theta, given as
data, whose gradient is exact for what is sampled. Steps are halved until the pieces agree with the probability half-way
between their knots; beyond the table, where the probability is 0 or 1 to rounding, its logarithm goes on as a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from catharsis.bayes.nuts_sampling import Drawn, Run, pymc
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Priors
from catharsis.bayes.sampled import PRIOR_DRAWS, Draws, Parameters, padded, parameters, posterior_of, sampled
from catharsis.bayes.study_effects import distinct
from catharsis.errors import ModelError
from catharsis.likelihood.partial import PartialEvidence, Row, log_region
from catharsis.numerics import FloatArray, IntArray

LOG_2PI = math.log(2 * math.pi)
DEGREE = 5
STEP = 0.25  # first distance of knots, in standard errors of theta
IMPOSSIBLE, CERTAIN = 1e-16, 1e-13  # distance of a probability from 0, and from 1, at which a table ends
WITHIN = 1e-10  # error of a probability that a table may have
RELATIVE = 1e-5  # and of its logarithm
HALVINGS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Log P(region | theta) of one kind of row, in d = theta m, the effect in standard errors.

    Attributes
    ----------
    start, step : float
        First knot, and their distance.
    pieces : (q, 6) array
        Coefficients of each piece in (d - its first knot) / step, the highest power first.
    slopes : (2,) array
        Of the lines below and above.
    """

    start: float
    step: float
    pieces: FloatArray
    slopes: FloatArray

    @property
    def end(self) -> float:
        """The last knot."""
        return self.start + self.step * len(self.pieces)

    def __call__(self, d: FloatArray) -> FloatArray:
        """The logarithm at effects d."""
        at = np.clip(d, self.start, self.end)
        place = np.clip(((at - self.start) / self.step).astype(np.int64), 0, len(self.pieces) - 1)
        u = (at - self.start) / self.step - place
        value = self.pieces[place, 0]
        for power in range(1, DEGREE + 1):
            value = value * u + self.pieces[place, power]
        return np.asarray(value + np.where(d < at, self.slopes[0], self.slopes[1]) * (d - at))


def table_of(row: Row) -> Table:
    """The table of a row; rows of the same regions and degrees of freedom share one.

    Examples
    --------
    >>> row = Row("a", "a", 2.0, 14.0, ((2.144787, float("inf")),), "")
    >>> d = np.linspace(-6, 12, 1000)
    >>> exact = log_region(row, d / 2, np.zeros(1000))
    >>> bool(np.abs(np.exp(table_of(row)(d)) - np.exp(exact)).max() < 1e-10)
    True
    """
    return _table(row.df, row.regions)


@lru_cache(maxsize=512)
def _table(df: float, regions: tuple[tuple[float, float], ...]) -> Table:
    from scipy.interpolate import PPoly, make_interp_spline

    unit = Row("", "", 1.0, df, regions, "")

    def log_p(d: Any) -> FloatArray:
        return log_region(unit, d, np.zeros_like(d))

    low, high = (side * _reach(log_p, side) for side in (-1.0, 1.0))
    step = STEP
    for _ in range(HALVINGS):
        count = math.ceil((high - low) / step)
        knots = low + step * np.arange(count + 1)
        spline = make_interp_spline(knots, log_p(knots), k=DEGREE)
        between = knots[:-1] + step / 2
        true, found = log_p(between), spline(between)
        off = np.abs(np.expm1(found - true))
        if np.all(off * np.exp(true) < WITHIN) and np.all(off < RELATIVE):
            # the first and last pieces of a spline span three knots: cut them at every knot
            local = PPoly.from_spline(spline)
            powers = np.stack([local(knots[:-1], nu=nu) / math.factorial(nu) * step**nu for nu in range(DEGREE + 1)])
            return Table(low, step, powers[::-1].T.copy(), np.asarray(local(knots[[0, -1]], nu=1)))
        step /= 2
    raise ModelError("the probability of a partial row changes too fast in its effect to be tabulated")


def _reach(log_p: Any, side: float) -> float:
    """How far from 0, in standard errors, a probability is 0 or 1 to rounding."""
    reach = 8.0
    while reach < 1e5:
        p = float(np.exp(log_p(np.array([side * reach])))[0])
        if p < IMPOSSIBLE or 1 - p < CERTAIN:
            return reach
        reach *= 1.25
    return reach


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Estimates and partial rows ready to be sampled.

    Attributes
    ----------
    y, v, X : (k,), (k,), (k, p) arrays
        Estimates; k may be 0.
    partial : PartialEvidence
        r rows.
    X_partial : (r, p) array
        Their moderators.
    sample : (r,) array
        Which sample each row comes from, 0..m-1.
    parameters : Parameters
    """

    y: FloatArray
    v: FloatArray
    X: FloatArray
    partial: PartialEvidence
    X_partial: FloatArray
    sample: IntArray
    parameters: Parameters

    @property
    def size(self) -> int:
        """Length of z that the program is made for."""
        return padded(int(self.sample.max()) + 1)

    @property
    def key(self) -> tuple[Any, ...]:
        """What a program depends on."""
        return ("partial", self.parameters.shape, self.size)

    def data(self) -> dict[str, Any]:
        """What it is given: all tables in one."""
        tables = [table_of(row) for row in self.partial.rows]
        distinct = list({id(table): table for table in tables}.values())
        first = np.cumsum([0, *(len(table.pieces) for table in distinct)])
        place = {id(table): int(at) for table, at in zip(distinct, first[:-1], strict=True)}
        return {
            **self.parameters.data, "yi": self.y, "vi": self.v, "X": self.X, "X_partial": self.X_partial,
            "sample": self.sample, "precision": np.array([row.precision for row in self.partial.rows]),
            "pieces": np.concatenate([table.pieces for table in distinct]),
            "first": np.array([place[id(table)] for table in tables]),
            "count": np.array([len(table.pieces) for table in tables]),
            "start": np.array([table.start for table in tables]), "step": np.array([table.step for table in tables]),
            "slopes": np.array([table.slopes for table in tables]),
        }  # fmt: skip

    def build(self) -> Any:
        """The model as a `pymc.Model`."""
        pm = pymc()
        import pytensor.tensor

        pt: Any = pytensor.tensor
        with pm.Model() as built:
            held = {name: pm.Data(name, value) for name, value in self.data().items()}
            b, taus = self.parameters.symbols(pm, held)
            z = pm.Flat("z", shape=self.size)
            pm.Potential("effects", -0.5 * (z**2).sum())
            variance = held["vi"] + taus[0] ** 2
            residual = held["yi"] - held["X"] @ b
            pm.Potential("estimates", -0.5 * (pt.log(variance) + residual**2 / variance).sum())
            theta = held["X_partial"] @ b + taus[0] * z[held["sample"]]
            pm.Potential("partial", log_table(pt, held, theta * held["precision"]).sum())
        return built


def log_table(pt: Any, held: Any, d: Any) -> Any:
    """Symbols of (r,) log probabilities at effects d in standard errors; as `Table.__call__`."""
    start, step, count = held["start"], held["step"], held["count"]
    at = pt.clip(d, start, start + step * count)
    far = (at - start) / step
    place = pt.clip(pt.cast(far, "int64"), 0, count - 1)
    u = far - place
    piece = held["pieces"][held["first"] + place]
    value = piece[:, 0]
    for power in range(1, DEGREE + 1):
        value = value * u + piece[:, power]
    return value + pt.where(d < at, held["slopes"][:, 0], held["slopes"][:, 1]) * (d - at)


def posterior(
    yi: FloatArray,
    vi: FloatArray,
    X: FloatArray,
    labels: Sequence[str],
    partial: PartialEvidence,
    X_partial: FloatArray,
    terms: tuple[str, ...],
    priors: Priors,
    level: float,
    *,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
) -> Posterior:
    """Fit estimates and partial rows together by NUTS.

    Parameters
    ----------
    yi, vi, X, labels : (k,), (k,), (k, p) arrays, and (k,) sequence
        Estimates; k may be 0.
    partial : PartialEvidence
        r rows, on the scale of `yi`.
    X_partial : (r, p) array
        Moderators of the partial rows.
    terms : tuple of str
        (p,) coefficients.
    priors : Priors
        Proper ones.
    level : float
        Probability of the intervals.
    draws, chains, seed : int
        Draws of each chain after warm-up, chains, and the seed of the generator.

    Returns
    -------
    Posterior

    Raises
    ------
    ModelError
        For improper priors, or rows of one sample with different moderators.
    """
    if len(partial) == 0:
        raise ModelError("there are no partial rows; leave out partial=")
    for term in terms:
        if not priors.of(term).proper:
            raise ModelError(
                f"the prior on {term} is {priors.of(term)}, which is improper: partial evidence bounds an effect on "
                "one side only, so proper priors are needed, such as normal(0, 1)"
            )
    seen: dict[str, int] = {}
    sample = np.array([seen.setdefault(row.sample, len(seen)) for row in partial.rows], dtype=np.int64)
    for i, row in enumerate(partial.rows):
        if not np.array_equal(X_partial[i], X_partial[int(np.argmax(sample == sample[i]))]):
            raise ModelError(
                f"{row.label} differs in its moderators from another row of the sample {row.sample}: rows of one "
                "sample share their true effect; give them the same moderators, or samples of their own"
            )
    precision = np.array([row.precision for row in partial.rows])
    about = np.array([_about(row) for row in partial.rows]) / precision
    own = parameters(
        np.concatenate([yi, about]), np.concatenate([vi, precision**-2.0]), np.concatenate([X, X_partial]), terms,
        ("effect",), priors,
    )  # fmt: skip
    model = Model(yi, vi, X, partial, X_partial, sample, own)
    drawn, diagnostics = sampled(model.key, model.build, model.data(), Run(draws, chains, seed), len(seen))
    found = posterior_of(_assembled(model, drawn, tuple(labels), seed), drawn, diagnostics, level, seed)
    regions = tuple(np.array([row.precision, row.df, *np.ravel(row.regions)]) for row in partial.rows)
    return replace(found, observed=(yi, vi, *regions))


def _about(row: Row) -> float:
    """About where a row puts its effect, in standard errors: by it the sampler's coordinates are chosen."""
    ends = [end for region in row.regions for end in region if math.isfinite(end)]
    low, high = min(region[0] for region in row.regions), max(region[1] for region in row.regions)
    side = float(math.isinf(high)) - float(math.isinf(low))
    return float(np.mean(ends)) + side


def _assembled(model: Model, drawn: Drawn, labels: tuple[str, ...], seed: int) -> Draws:
    """True effects, pointwise likelihood with each effect integrated out, and predictions."""
    rng = np.random.default_rng([seed, 2])
    b, taus = model.parameters.of(drawn)
    tau2 = taus[..., 0] ** 2
    k, rows = len(model.y), model.partial.rows
    theta = np.empty((*tau2.shape, k + len(rows)))
    logp, again = {"y": np.empty((*tau2.shape, k))}, {"y": np.empty((*tau2.shape, k))}
    logp["partial"], again["partial"] = (np.empty((*tau2.shape, len(rows))) for _ in range(2))
    for i, (y, v, x) in enumerate(zip(model.y, model.v, model.X, strict=True)):
        mean, variance = b @ x, v + tau2
        logp["y"][..., i] = -0.5 * ((y - mean) ** 2 / variance + np.log(variance) + LOG_2PI)
        centre = mean + tau2 / variance * (y - mean)
        theta[..., i] = centre + np.sqrt(tau2 * v / variance) * rng.standard_normal(mean.shape)
        again["y"][..., i] = theta[..., i] + math.sqrt(v) * rng.standard_normal(mean.shape)
    for j, (row, x) in enumerate(zip(rows, model.X_partial, strict=True)):
        mean = b @ x
        own = mean + taus[..., 0] * drawn.values["z"][..., model.sample[j]]
        theta[..., k + j] = own
        logp["partial"][..., j] = log_region(row, mean.ravel(), tau2.ravel()).reshape(mean.shape)
        again["partial"][..., j] = rng.random(own.shape) < np.exp(table_of(row)(own * row.precision))
    if k == 0:
        logp.pop("y")
        again.pop("y")
    before, seen = _before(model, rng)
    named = (*labels, *model.partial.labels)
    observed = ({"y": model.y} if k else {}) | {"partial": np.ones(len(rows))}
    return Draws(
        parameters=model.parameters, b=b, taus=taus, theta=theta, labels=_apart(named), observed=observed,
        log_likelihood=logp, predicted=again, before=before, before_predicted=seen,
        constant={"X_partial": model.X_partial} | ({"vi": model.v, "X": model.X} if k else {}),
        names={"y": ("estimate", labels), "vi": ("estimate", labels), "X": ("term", model.parameters.terms),
               "X_partial": ("term", model.parameters.terms), "partial": ("row", model.partial.labels)},
    )  # fmt: skip


def _apart(labels: Sequence[str]) -> tuple[str, ...]:

    return distinct(labels)


def _before(model: Model, rng: np.random.Generator) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Draws from the priors, and what they predict."""
    first = model.parameters.before(rng, PRIOR_DRAWS)
    if first is None:
        return {}, {}
    b, taus = first
    tau, z = taus[..., 0], rng.standard_normal((1, PRIOR_DRAWS, int(model.sample.max()) + 1))
    seen = {
        "partial": np.stack([
            rng.random(tau.shape) < np.exp(table_of(row)((b @ x + tau * z[..., s]) * row.precision))
            for row, x, s in zip(model.partial.rows, model.X_partial, model.sample, strict=True)
        ], axis=-1).astype(float)
    }  # fmt: skip
    if len(model.y):
        spread = np.sqrt(model.v + tau[..., None] ** 2)
        seen["y"] = b @ model.X.T + spread * rng.standard_normal(spread.shape)
    return {"b": b, "taus": taus}, seen
