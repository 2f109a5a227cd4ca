"""Counts, sampled: binomial, Poisson and hypergeometric likelihoods, which need no correction of zero cells.

The models are those of `fit_counts`. The effect of study i is theta_i = x_i'b + tau z_i with z_i standard normal: a
logit, a log rate, or a log odds or rate ratio. Two groups have levels as well: one of its own for each study (UM.FS),
levels from a normal distribution (UM.RS), or none, given each study's total of events (CM.EL exactly, CM.AL for rare
events).

The sampler does not walk in z. A normal approximation to the counts of each study (1/2 added to its cells) says where z
lies and how closely, whatever b and tau are; z is that mean and that spread times a coordinate that is about standard
normal a posteriori. There is no funnel then between tau and the effects, be the studies large or small. The
approximation moves coordinates only: the likelihood is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from catharsis.bayes.nuts_sampling import Drawn, Run, pymc
from catharsis.bayes.posterior import Marginal, Posterior, of_draws
from catharsis.bayes.prior_families import LOCATION
from catharsis.bayes.priors import Prior, Priors, parse_prior
from catharsis.bayes.sampled import PRIOR_DRAWS, Draws, Parameters, answers, padded, parameters, sampled
from catharsis.bayes.study_effects import distinct
from catharsis.errors import ModelError
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.counts import Counts, read_counts
from catharsis.likelihood.counts_families import hypergeometric, log_choose
from catharsis.likelihood.counts_options import check_count_model, count_design
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

NOWHERE = -1e30  # log of no ways at all: exp of it is 0, and its slope too
FAR = 1e6  # variance of what a study says nothing about, in squared units of a logit
LARGEST_TABLE = 5_000_000  # possible tables of all studies together, beyond which the exact likelihood takes hours

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountPosterior(Posterior):
    """A Bayesian model of counts: a `Posterior`, and these.

    Attributes
    ----------
    measure, likelihood : str
        OR, IRR, PLO or IRLN; UM.FS, UM.RS, CM.EL or CM.AL, "" for one group.
    baselines : mapping
        Study to its level, the linear predictor at an effect of 0 (UM.FS, UM.RS).
    others : mapping
        UM.RS: "level", the average level, and with `cor` "rho", the correlation of levels and effects.
    """

    measure: str = ""
    likelihood: str = ""
    baselines: Mapping[str, Marginal] = field(default_factory=dict)
    others: Mapping[str, Marginal] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CountModel:
    """Counts ready to be sampled.

    Attributes
    ----------
    measure, model : str
        As for `fit_bayes_counts`; "" for one group.
    counts : Counts
    X : (k, p) array
    coding : float
        What the random effect of group 1 is multiplied by; that of group 2 is one less.
    cor : bool
        UM.RS: whether levels and effects are correlated.
    baseline : Prior
        Of the levels (UM.FS), or of their average (UM.RS).
    parameters : Parameters
    """

    measure: str
    model: str
    counts: Counts
    X: FloatArray
    coding: float
    cor: bool
    baseline: Prior
    parameters: Parameters

    @property
    def size(self) -> int:
        """Studies that the program is made for."""
        return padded(self.counts.k)

    @property
    def family(self) -> str:
        """Distribution of the counts."""
        if (self.measure, self.model) == ("OR", "CM.EL"):
            return "hypergeometric"
        return "poisson" if self.counts.among == "time" and not self.model.startswith("CM") else "binomial"

    @property
    def key(self) -> tuple[Any, ...]:
        """What a program depends on."""
        return ("counts", self.family, self.model, self.cor, self.parameters.shape, self.size, *self._signature)

    @property
    def _signature(self) -> tuple[Any, ...]:
        return (self.coding,) if self.model.startswith("UM") else ()

    def outcomes(self) -> tuple[tuple[FloatArray, FloatArray, FloatArray], ...]:
        """Events, totals and offsets (k,) of each group that is modelled; a total of 0 says nothing."""
        x, n = self.counts.events, self.counts.totals
        none = np.zeros(self.counts.k)
        if self.model.startswith("CM") and self.family == "binomial":
            events = x.sum(axis=1)
            used = (events > 0) & np.all(n > 0, axis=1)
            offset = np.log(np.where(used, n[:, 0], 1.0) / np.where(used, n[:, 1], 1.0))
            return ((np.where(used, x[:, 0], 0.0), np.where(used, events, 0.0), offset),)
        if self.family == "hypergeometric":
            return ((x[:, 0], n[:, 0], none),)
        if self.family == "poisson":
            return tuple((x[:, g], np.ones(self.counts.k), np.log(n[:, g])) for g in range(x.shape[1]))
        return tuple((x[:, g], n[:, g], none) for g in range(x.shape[1]))

    @cached_property
    def tables(self) -> tuple[FloatArray, FloatArray]:
        """Possible events of group 1, and the log of the ways to have them, (k, t) each."""
        n, m = self.counts.totals, self.counts.events.sum(axis=1)
        family = hypergeometric(n[:, 0], n[:, 1], m)
        sizes = np.diff(np.append(family.start, len(family.y)))
        study = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(family.y)) - family.start[study]
        y, ways = np.zeros((len(sizes), sizes.max())), np.full((len(sizes), sizes.max()), NOWHERE)
        y[study, place], ways[study, place] = family.y, family.log_ways
        return y, ways

    def data(self) -> dict[str, Any]:
        """What a program is given."""
        k, extra = self.counts.k, np.arange(self.size) >= self.counts.k
        data: dict[str, Any] = {**self.parameters.data, "X": self.X, "spare": extra.astype(float)}
        for g, (x, n, offset) in enumerate(self.outcomes()):
            data |= {f"x{g}": x, f"n{g}": n, f"offset{g}": offset}
        if self.family == "hypergeometric":
            data["tables"], data["ways"] = self.tables
        centre, variance = group_levels(self.counts)
        if self.model.startswith("UM"):
            data |= {"e0": centre[:, 0], "e1": centre[:, 1], "v0": variance[:, 0], "v1": variance[:, 1]}
            scale = self.baseline.scale if self.baseline.parameters else math.inf
            df = self.baseline.df if math.isfinite(self.baseline.df) else 0.0
            data["baseline"] = np.array([self.baseline.centre, 1 / scale, df])
        else:
            data["e0"], data["v0"] = study_effects(self.measure, self.counts)
        if self.model == "UM.RS":
            data["level_start"] = np.array([centre[:, 1].mean(), math.sqrt(float(variance.mean() + centre.var()) / k)])
        return data

    def build(self) -> Any:
        """The model as a `pymc.Model`."""
        pm = pymc()
        import pytensor.tensor as pt

        with pm.Model() as built:
            held = {name: pm.Data(name, value) for name, value in self.data().items()}
            b, taus = self.parameters.symbols(pm, held)
            free = {name: pm.Flat(name, shape=shape) for name, shape in self.free().items()}
            found = self.latent(pt, held, b, taus, free)
            spare = held["spare"]
            for name in ("z", "w"):
                if name in free:
                    pm.Potential(f"spare_{name}", -0.5 * (spare * free[name] ** 2).sum())
            pm.Potential("effects", found["log_prior"])
            total = 0.0
            for g, eta in enumerate(found["eta"]):
                total = total + self.log_probability(pt, held, g, eta).sum()
            pm.Potential("likelihood", total)
        return built

    def free(self) -> dict[str, tuple[int, ...]]:
        """Free variables beside coefficients and standard deviations, and their shapes."""
        names: dict[str, tuple[int, ...]] = {"z": (self.size,)}
        if self.model.startswith("UM"):
            names["w"] = (self.size,)
        if self.model == "UM.RS":
            names["level"] = ()
            if self.cor:
                names["rho"] = ()
        return names

    def latent(self, xp: Any, held: Mapping[str, Any], b: Any, taus: Any, free: Mapping[str, Any]) -> dict[str, Any]:
        """Linear predictors, effects and levels from the sampler's coordinates, and the log prior of the latter.

        Parameters
        ----------
        xp : module
            pytensor.tensor, or numpy; arrays of draws then have their draws in front of the last axis.
        held, b, taus, free : mappings and arrays
            Data, (..., p), (..., s), and coordinates (..., size).

        Returns
        -------
        dict
            "eta": one (..., k) array for each outcome; "theta" and "base": effects and levels; "log_prior": scalar,
            of z and w with the logarithm of the change of coordinates; "level", "rho" where the model has them.
        """
        k = held["X"].shape[0]
        mean, tau = b @ held["X"].T, taus[..., 0][..., None]
        x = free["z"][..., :k]
        if not self.model.startswith("UM"):
            precision = 1 + tau**2 / held["v0"]
            z = tau * (held["e0"] - mean) / held["v0"] / precision + x / xp.sqrt(precision)
            theta = mean + tau * z
            prior = -0.5 * (z**2 + xp.log(precision))
            return {"eta": [held["offset0"] + theta], "theta": theta, "log_prior": prior.sum()}
        w = free["w"][..., :k]
        v0, v1 = held["v0"], held["v1"]
        if self.model == "UM.FS":
            v = v0 + v1
            precision = 1 + tau**2 / v
            z = tau * (held["e0"] - held["e1"] - mean) / v / precision + x / xp.sqrt(precision)
            theta = mean + tau * z
            second = held["e1"] - v1 / v * (theta - held["e0"] + held["e1"]) + xp.sqrt(v0 * v1 / v) * w
            base = second - (self.coding - 1) * tau * z
            prior = -0.5 * (z**2 + xp.log(precision)) + self._law(xp, held, base)
            eta = [held["offset0"] + second + theta, held["offset1"] + second]
            return {"eta": eta, "theta": theta, "base": base, "log_prior": prior.sum()}
        return self._random_levels(xp, held, mean, taus, free, x, w)

    def _random_levels(
        self, xp: Any, held: Mapping[str, Any], mean: Any, taus: Any, free: Mapping[str, Any], x: Any, w: Any
    ) -> dict[str, Any]:
        """UM.RS: levels a + sigma u, effects tau (rho u + sqrt(1 - rho^2) z), u and z standard normal.

        Their Gaussian approximation a posteriori has precision I + A'D A, A the loadings of both groups on (u, z).
        """
        tau, sigma = taus[..., 0][..., None], taus[..., 1][..., None]
        level = held["level_start"][0] + held["level_start"][1] * free["level"]
        rho: Any = 0.0
        left, log_rho = 1.0, 0.0
        if self.cor:
            t = free["rho"]
            rho, log_rho = xp.tanh(t), -2 * xp.log(xp.cosh(t))  # flat on (-1, 1): d rho / d t = cosh(t)^-2
            left = (1 / xp.cosh(t))[..., None]
            rho = rho[..., None]
        a = level[..., None]
        c = self.coding
        load = [(sigma + c * tau * rho, c * tau * left), (sigma + (c - 1) * tau * rho, (c - 1) * tau * left)]
        start, v = (a + mean, a), (held["v0"], held["v1"])
        e = (held["e0"], held["e1"])
        q11 = 1 + sum(load[g][0] ** 2 / v[g] for g in (0, 1))
        q12 = sum(load[g][0] * load[g][1] / v[g] for g in (0, 1))
        q22 = 1 + sum(load[g][1] ** 2 / v[g] for g in (0, 1))
        r1, r2 = (sum(load[g][i] * (e[g] - start[g]) / v[g] for g in (0, 1)) for i in (0, 1))
        h11 = xp.sqrt(q11)
        h21 = q12 / h11
        h22 = xp.sqrt(q22 - h21**2)
        s1 = r1 / h11
        s2 = (r2 - h21 * s1) / h22
        z = (s2 + x) / h22  # the mean and a draw of the approximation: both from one triangular factor
        u = (s1 + w - h21 * z) / h11
        prior = -0.5 * (z**2 + u**2) - xp.log(h11) - xp.log(h22)
        eta = [held[f"offset{g}"] + start[g] + load[g][0] * u + load[g][1] * z for g in (0, 1)]
        theta = mean + tau * (rho * u + left * z)
        total = prior.sum() + self._law(xp, held, level) + log_rho
        found = {"eta": eta, "theta": theta, "base": a + sigma * u, "log_prior": total.sum(), "level": level}
        return found | ({"rho": rho[..., 0]} if self.cor else {})

    def _law(self, xp: Any, held: Mapping[str, Any], base: Any) -> Any:
        """Log prior of levels, up to a constant; 0 under a flat one."""
        centre, inverse, df = held["baseline"][0], held["baseline"][1], held["baseline"][2]
        square = ((base - centre) * inverse) ** 2
        own = xp.where(df > 0, df, 1.0)
        return xp.where(df > 0, -(own + 1) / 2 * xp.log1p(square / own), -0.5 * square)

    def log_probability(self, xp: Any, held: Mapping[str, Any], g: int, eta: Any) -> Any:
        """Log probability of the counts of group g, without what is free of eta."""
        x, n = held[f"x{g}"], held[f"n{g}"]
        if self.family == "poisson":
            return x * eta - xp.exp(eta)
        if self.family == "binomial":
            return x * eta - n * xp.logaddexp(0.0, eta)
        return x * eta - self._log_ways(xp, held, eta)

    def _log_ways(self, xp: Any, held: Mapping[str, Any], eta: Any) -> Any:
        each = held["ways"] + held["tables"] * eta[..., None]
        return xp.logsumexp(each, axis=-1) if xp is not np else special.logsumexp(each, axis=-1)

    def log_base(self, g: int) -> FloatArray:
        """(k,) the part of the log probability that is free of eta."""
        x, n, _ = self.outcomes()[g]
        if self.family == "poisson":
            return np.asarray(-special.gammaln(x + 1))
        if self.family == "binomial":
            return log_choose(n, x)
        y, ways = self.tables
        return np.asarray(ways[np.arange(len(x)), np.round(x - y[:, 0]).astype(np.int64)])

    def predict(self, g: int, i: int, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Counts of group g of study i."""
        _, n, _ = self.outcomes()[g]
        if self.family == "poisson":
            return np.asarray(rng.poisson(np.exp(np.minimum(eta, 40.0))), dtype=float)  # e^40 is far beyond any count
        if self.family == "binomial":
            return np.asarray(rng.binomial(round(n[i]), special.expit(eta)), dtype=float)
        inside = self.tables[1][i] > NOWHERE
        y, ways = (part[i][inside] for part in self.tables)
        height = ways + y * eta[..., None]
        share = np.exp(height - height.max(axis=-1, keepdims=True)).cumsum(axis=-1)
        place = (rng.random(eta.shape)[..., None] * share[..., -1:] > share).sum(axis=-1)
        return np.asarray(y[place])


def group_levels(counts: Counts) -> tuple[FloatArray, FloatArray]:
    """Logit or log rate of each group with 1/2 added to its cells, and its variance, (k, G) each: coordinates only."""
    x, n = counts.events + 0.5, counts.totals
    if counts.among == "time":
        return np.log(x / n), 1 / x
    rest = n - counts.events + 0.5
    return np.log(x / rest), 1 / x + 1 / rest


def study_effects(measure: str, counts: Counts) -> tuple[FloatArray, FloatArray]:
    """The effect that each study shows with 1/2 added to its cells, and its variance, (k,) each: coordinates only."""
    centre, variance = group_levels(counts)
    if counts.events.shape[1] == 1:
        return centre[:, 0], variance[:, 0]
    silent = counts.uninformative
    return (
        np.where(silent, 0.0, centre[:, 0] - centre[:, 1]), np.where(silent, FAR, variance.sum(axis=1)),
    )  # fmt: skip


# -- whether there is a posterior -------------------------------------------------------------------------------------


def directions(counts: Counts) -> tuple[BoolArray, BoolArray]:
    """Studies whose counts stay possible as their effect falls, and as it grows, without end; (k,) each.

    A study without events agrees with any low logit; with one group free of events it agrees with any log ratio on one
    side.
    """
    x, n = counts.events, counts.totals
    none = x == 0
    every = (x == n) if counts.among == "people" else np.zeros_like(none)
    if x.shape[1] == 1:
        return none[:, 0], every[:, 0]
    return none[:, 0] | every[:, 1], every[:, 0] | none[:, 1]


def proper(X: FloatArray, flat: BoolArray, down: BoolArray, up: BoolArray) -> bool:
    """Whether flat priors on these coefficients leave a proper posterior.

    It is improper when b can go to infinity in some direction along which no study's counts become impossible.

    Parameters
    ----------
    X : (k, p) array
        Moderators.
    flat : (p,) array
        Coefficients with a flat prior.
    down, up : (k,) arrays
        `directions`.

    Examples
    --------
    >>> no, yes = np.array([False, False]), np.array([True, True])
    >>> proper(np.ones((2, 1)), yes[:1], yes, no), proper(np.ones((2, 1)), yes[:1], yes & [True, False], no)
    (False, True)
    """
    from scipy.linalg import null_space
    from scipy.optimize import linprog

    X = X[:, flat]
    if X.shape[1] == 0:
        return True
    X = X / np.maximum(np.linalg.norm(X, axis=0), np.finfo(float).tiny)
    fixed = X[~down & ~up]
    N = null_space(fixed) if len(fixed) else np.eye(X.shape[1])
    if N.shape[1] == 0:
        return True
    rows = np.concatenate([X[down & ~up], -X[up & ~down]]) @ N  # must not grow along a way to infinity
    if len(rows) == 0 or np.linalg.matrix_rank(rows) < N.shape[1]:
        return False
    bounds = [(None, None)] * N.shape[1]
    ends = np.concatenate([np.zeros(len(rows)), np.ones(len(rows))])
    found = linprog(rows.sum(axis=0), A_ub=np.concatenate([rows, -rows]), b_ub=ends, bounds=bounds)
    return bool(found.fun > -1e-8)


# -- what is answered -------------------------------------------------------------------------------------------------


def fit_bayes_counts(
    measure: str = "OR",
    *,
    ai: Any = None,
    bi: Any = None,
    ci: Any = None,
    di: Any = None,
    n1i: Any = None,
    n2i: Any = None,
    x1i: Any = None,
    t1i: Any = None,
    x2i: Any = None,
    t2i: Any = None,
    xi: Any = None,
    mi: Any = None,
    ni: Any = None,
    ti: Any = None,
    data: pd.DataFrame | None = None,
    formula: str | None = None,
    X: Any = None,
    model: str = "UM.FS",
    coding: float = 0.5,
    cor: bool = False,
    drop00: bool = True,
    baseline: str | Prior = "flat",
    priors: Priors | None = None,
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
) -> CountPosterior:
    """Fit a Bayesian hierarchical model to counts by NUTS; no cell is corrected.

    Parameters
    ----------
    measure, ai, bi, ci, di, n1i, n2i, x1i, t1i, x2i, t2i, xi, mi, ni, ti, data, formula, X, reference, levels
        As for `catharsis.fit_counts`.
    model : str
        UM.FS, UM.RS, CM.EL or CM.AL (OR only); without meaning for one group.
    coding, cor, drop00
        As for `catharsis.fit_counts`; rho has a flat prior on (-1, 1).
    baseline : str
        Prior of the levels of the studies (UM.FS) or of their average (UM.RS): flat, or such as normal(-2, 3) in logits
        or log rates of one unit of time. A flat one needs `drop00`.
    priors : Priors, optional
        `mu`, `b` and `terms` on the coefficients, `tau` on the effects' standard deviation, `taus={"level": ...}` on
        that of the levels (UM.RS). By default as for `catharsis.fit_bayes` with two groups; with one, whose average
        may lie anywhere, mu is flat and the others are the same.
    level : float
        Probability of the central intervals.
    draws, chains, seed : int
        Draws of each chain after warm-up, chains, and the seed of the generator.

    Returns
    -------
    CountPosterior
        On the scale of logits, log rates and log ratios; `studies` are true effects.

    Raises
    ------
    ModelError
        When counts are missing or impossible, options contradict each other, or the posterior is improper.

    References
    ----------
    [@stijnen2010; @jackson2018]

    Examples
    --------
    >>> fit_bayes_counts("PLO", xi=[0, 0], ni=[20, 30])
    Traceback (most recent call last):
    ...
    catharsis.errors.ModelError: the posterior is improper: the counts agree with an effect that is infinite, and the \
prior on intercept is flat; give it a proper one such as normal(0, 2)
    """
    interval_level(level)
    check_count_model(measure, model, coding, cor)
    base = baseline if isinstance(baseline, Prior) else parse_prior(baseline, LOCATION)
    if base.family not in LOCATION:
        raise ModelError(f"the prior on the levels is {base}; use one of {', '.join(LOCATION)}")
    columns = {
        "ai": ai, "bi": bi, "ci": ci, "di": di, "n1i": n1i, "n2i": n2i, "x1i": x1i, "t1i": t1i, "x2i": x2i, "t2i": t2i,
        "xi": xi, "mi": mi, "ni": ni, "ti": ti,
    }  # fmt: skip
    counts, kept, notes = read_counts(measure, columns, data)
    two = counts.events.shape[1] == 2
    model = model if two else ""
    silent = counts.uninformative
    if two and drop00 and silent.any():
        if silent.all():
            raise ModelError("every study is without events (or without anything else), so there is no effect to pool")
        names = ", ".join(np.array(counts.labels)[silent][:5])
        notes = (*notes, f"{int(silent.sum())} studies without events, or with nothing but events, left out: {names}")
        counts, kept = counts.rows(~silent), kept[~silent]
    elif model == "UM.FS" and base.family == "flat" and silent.any():
        name = counts.labels[int(np.argmax(silent))]
        raise ModelError(
            f"the posterior is improper: study {name} has no events, or nothing but events, and the prior on its level "
            "is flat; use drop00=True, or a proper baseline such as normal(0, 5)"
        )
    if model == "CM.EL" and measure == "OR" and (counts.cells != np.round(counts.cells)).any():
        raise ModelError("the exact conditional likelihood needs whole numbers; use UM.FS, or mend the counts")
    design = count_design(formula, X, data, kept, reference, levels)
    if len(design.X) < len(design.terms):
        raise ModelError(f"{len(design.X)} studies cannot carry {len(design.terms)} coefficients")
    chosen = priors or (Priors() if two else Priors(mu=Prior("flat")))
    components = ("effect", "level") if model == "UM.RS" else ("effect",)
    own = parameters(*study_effects(measure, counts), design.X, design.terms, components, chosen)
    flat = own.priors.location(design.terms)[1] == 0
    if not proper(design.X, flat, *directions(counts)):
        names = ", ".join(term for term, is_flat in zip(design.terms, flat, strict=True) if is_flat)
        raise ModelError(
            "the posterior is improper: the counts agree with an effect that is infinite, and the prior on "
            f"{names} is flat; give it a proper one such as normal(0, 2)"
        )
    task = CountModel(measure, model, counts, design.X, coding, cor, base, own)
    if task.family == "hypergeometric" and counts.totals.sum() > 0:
        margins = np.minimum(counts.totals.min(axis=1), counts.events.sum(axis=1)) + 1
        if margins.max() * counts.k > LARGEST_TABLE:
            raise ModelError(
                f"the exact conditional likelihood would visit {margins.max() * counts.k:.0f} tables at each step; use "
                "UM.FS, whose answer is the same for such large studies"
            )
    drawn, diagnostics = sampled(task.key, task.build, task.data(), Run(draws, chains, seed), counts.k)
    labels = distinct(counts.labels)
    found = _assembled(task, drawn, labels, seed)
    bases = found.others.get("base")
    return CountPosterior(
        **answers(found, drawn, diagnostics, level, seed, notes), measure=measure, likelihood=model,
        baselines={} if bases is None else {label: of_draws(bases[..., i], level) for i, label in enumerate(labels)},
        others={name: of_draws(found.others[name], level) for name in ("level", "rho") if name in found.others},
    )  # fmt: skip


def _assembled(task: CountModel, drawn: Drawn, labels: tuple[str, ...], seed: int) -> Draws:
    """Effects, levels, pointwise likelihood and predictions from the sampler's coordinates."""
    rng = np.random.default_rng([seed, 2])
    b, taus = task.parameters.of(drawn)
    held = task.data()
    latent = task.latent(np, held, b, taus, drawn.values)
    names = ("group 1", "group 2")[: len(latent["eta"])]
    logp, again, observed, constant = {}, {}, {}, {"X": task.X}
    for g, eta in enumerate(latent["eta"]):
        name = names[g].replace(" ", "") if len(names) > 1 else "events"
        own = task.log_probability(np, held, g, eta) + task.log_base(g)
        logp[name], observed[name] = own, task.outcomes()[g][0]
        again[name] = np.stack([task.predict(g, i, eta[..., i], rng) for i in range(len(labels))], axis=-1)
        constant[f"{name}_total"] = task.counts.totals[:, g]
    before, seen = _before(task, rng, list(logp))
    others: dict[str, FloatArray] = {name: latent[name] for name in ("base", "level", "rho") if name in latent}
    return Draws(
        parameters=task.parameters, b=b, taus=taus, theta=latent["theta"], labels=labels, observed=observed,
        log_likelihood=logp, predicted=again, constant=constant, others=others, before=before, before_predicted=seen,
        names={"base": ("effect", labels)},
    )  # fmt: skip


def _before(
    task: CountModel, rng: np.random.Generator, names: Sequence[str]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Draws from the priors, and counts from those; nothing where a prior is improper."""
    first = task.parameters.before(rng, PRIOR_DRAWS)
    if first is None:
        return {}, {}
    b, taus = first
    mean, tau = b @ task.X.T, taus[..., :1]
    if not task.model.startswith("UM"):
        eta = [task.outcomes()[0][2] + mean + tau * rng.standard_normal(mean.shape)]
    elif task.baseline.proper:
        u, z = rng.standard_normal((2, *mean.shape))
        rho = rng.uniform(-1, 1, (*mean.shape[:2], 1)) if task.cor else 0.0
        if task.model == "UM.FS":
            level, effect = task.baseline.draw(rng, mean.size).reshape(mean.shape), tau * z
        else:
            level = task.baseline.draw(rng, PRIOR_DRAWS)[None, :, None] + taus[..., 1:2] * u
            effect = tau * (rho * u + np.sqrt(1 - rho**2) * z)
        offsets = [outcome[2] for outcome in task.outcomes()]
        eta = [
            offsets[0] + level + mean + task.coding * effect,
            offsets[1] + level + (task.coding - 1) * effect,
        ]
    else:
        return {"b": b, "taus": taus}, {}
    seen = {
        name: np.stack([task.predict(g, i, eta[g][..., i], rng) for i in range(task.counts.k)], axis=-1)
        for g, name in enumerate(names)
    }
    return {"b": b, "taus": taus}, seen
