"""Simulation-based calibration: draw from the prior, simulate data, fit, and ask where the truth lies [@talts2018].

If an engine computes the posterior of the model that made the data, the rank of the truth among posterior draws is
uniform; for the exact engine the posterior cdf at the truth takes the place of the rank, without Monte Carlo error.
Uniform ranks of parameters alone would also come from an engine that returns the prior, so each model is also asked
quantities that depend on the data [@modrak2023]: mu, turned over when the average effect is below its prior mean, tau,
turned over when Q is below its degrees of freedom, and (NUTS) the log likelihood.

    python tests/calibration/simulate.py               renew every record: exact, partial, nuts (.json)
    python tests/calibration/simulate.py exact         one of them
    python tests/calibration/simulate.py --missing     the models that a record lacks
    python tests/calibration/simulate.py --short       a fiftieth of the replications, printed only
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import catharsis as ca
from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Prior, Priors

HERE = Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("bands", HERE / "bands.py")
assert _SPEC is not None
assert _SPEC.loader is not None
bands = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bands)

Array = np.ndarray
SEED = 20241
BINS = 100
DRAWS, THINNED = 1485, 99  # of one chain, and what is kept of it: every 15th
FIRST = 12  # replications whose values are recorded one by one, so that a test can meet them again
FAULTY = 2500  # replications of an engine that is wrong on purpose
FALSE_ALARM = 0.05  # chance that a record of a right engine has any histogram outside its band (Bonferroni)

DRAW: dict[str, Callable[..., float]] = {  # written apart from the engine's own densities
    "normal": lambda rng, mean, sd: rng.normal(mean, sd),
    "t": lambda rng, df, mean, scale: mean + scale * rng.standard_t(df),
    "cauchy": lambda rng, mean, scale: mean + scale * rng.standard_cauchy(),
    "half-normal": lambda rng, scale: abs(rng.normal(0, scale)),
    "half-cauchy": lambda rng, scale: scale * abs(rng.standard_cauchy()),
    "half-t": lambda rng, df, scale: scale * abs(rng.standard_t(df)),
    "exponential": lambda rng, scale: rng.exponential(scale),
    "uniform": lambda rng, low, high: rng.uniform(low, high),
    "log-normal": lambda rng, mean, sd: rng.lognormal(mean, sd),
}


def drawn(rng: np.random.Generator, prior: Prior) -> float:
    """One value from a prior."""
    return float(DRAW[prior.family](rng, *prior.parameters))


@dataclass(frozen=True, slots=True)
class World:
    """One draw from prior and model.

    Attributes
    ----------
    arguments : mapping
        What `fit_bayes` gets, data and priors.
    truth : mapping
        Quantity to its true value.
    turned : mapping
        Quantity that depends on the data to the name it turns over, and whether it does.
    likelihood : callable, optional
        log p(y | mu, tau), of draws or of the truth; for the sampler.
    """

    arguments: Mapping[str, Any]
    truth: Mapping[str, float]
    turned: Mapping[str, tuple[str, bool]]
    likelihood: Callable[[Array, Array], Array] | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose engine is calibrated: its words, how to draw a world, and how many."""

    name: str
    says: str
    world: Callable[[np.random.Generator], World]
    replications: int


def turned(y: Array, v: Array, prior_mean: float, names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Quantities that depend on the data."""
    w = 1 / v
    centre = float(w @ y / w.sum())
    low_q = float(w @ (y - centre) ** 2) < len(y) - 1
    found = {"mu, turned by the data": (names[0], centre < prior_mean)}
    return found | {f"{name}, turned by Q": (name, low_q) for name in names[1:]}


# -- worlds ---------------------------------------------------------------------------------------------------------


def two_level(priors: Priors, sizes: Sequence[int]) -> Callable[[np.random.Generator], World]:
    """k effects, one per study."""

    def world(rng: np.random.Generator) -> World:
        k = int(rng.choice(sizes))
        mu, tau = drawn(rng, priors.mu), drawn(rng, priors.tau)
        v = np.exp(rng.uniform(np.log(0.005), np.log(0.2), k))
        theta = mu + tau * rng.standard_normal(k)
        y = theta + np.sqrt(v) * rng.standard_normal(k)
        new = mu + tau * rng.standard_normal()
        truth = {"mu": mu, "tau": tau, "new study": new, "first study": theta[0]}

        def likelihood(mu: Array, tau: Array) -> Array:
            total = v + np.asarray(tau)[..., None] ** 2
            return -0.5 * (np.log(total) + (y - np.asarray(mu)[..., None]) ** 2 / total).sum(axis=-1)

        over = turned(y, v, drawn_centre(priors), ["mu", "tau"])
        return World({"yi": y, "vi": v, "priors": priors}, truth, over, likelihood)

    return world


def drawn_centre(priors: Priors) -> float:
    """Where the prior on mu is centred."""
    return priors.mu.parameters[-2]


def regression(priors: Priors, k: int | None = None) -> Callable[[np.random.Generator], World]:
    """Two moderators; one effect per study."""

    def world(rng: np.random.Generator) -> World:
        size = int(rng.integers(3, 15)) if k is None else k
        x, g = rng.standard_normal(size), np.arange(size) % 2
        mu, b, c, tau = (drawn(rng, prior) for prior in (priors.mu, priors.of("x"), priors.of("g"), priors.tau))
        v = np.exp(rng.uniform(np.log(0.005), np.log(0.2), size))
        theta = mu + b * x + c * g + tau * rng.standard_normal(size)
        y = theta + np.sqrt(v) * rng.standard_normal(size)
        truth = {"mu": mu, "x": b, "g": c, "tau": tau, "new study": mu + tau * rng.standard_normal()}
        frame = pd.DataFrame({"yi": y, "vi": v, "x": x, "g": g.astype(float)})
        arguments = {"formula": "yi ~ x + g", "data": frame, "priors": priors}
        return World(arguments, truth, turned(y, v, drawn_centre(priors), ["mu", "tau"]))

    return world


def nested(
    priors: Priors, factors: tuple[str, ...], correlated: bool, shape: tuple[int, int] | None = None
) -> Callable[[np.random.Generator], World]:
    """Effects in studies; tau of the study alone, or of study and effect; sampling errors may be correlated."""

    def world(rng: np.random.Generator) -> World:
        studies, each = (int(rng.integers(2, 8)), int(rng.integers(2, 4))) if shape is None else shape
        study = np.repeat(np.arange(studies), each)
        k = len(study)
        mu = drawn(rng, priors.mu)
        taus = [drawn(rng, priors.tau_of(name)) if len(factors) > 1 else drawn(rng, priors.tau) for name in factors]
        v = np.exp(rng.uniform(np.log(0.01), np.log(0.2), k))
        rho = 0.5 if correlated else 0.0
        shared = np.sqrt(rho) * rng.standard_normal(studies)[study] + np.sqrt(1 - rho) * rng.standard_normal(k)
        theta = mu + taus[0] * rng.standard_normal(studies)[study]
        if len(factors) > 1:
            theta = theta + taus[1] * rng.standard_normal(k)
        y = theta + np.sqrt(v) * shared
        frame = pd.DataFrame({"yi": y, "vi": v, "study": study, "effect": np.arange(k)})
        total = float(np.hypot(*taus)) if len(taus) > 1 else taus[0]
        truth = {"mu": mu, "tau": total, "new study": mu + total * rng.standard_normal()}
        if len(factors) > 1:
            truth |= {f"tau of {name}": value for name, value in zip(factors, taus, strict=True)}
        arguments: dict[str, Any] = {"formula": "yi ~ 1", "data": frame, "priors": priors}
        arguments["random"] = "/".join(factors)
        if correlated:
            same = study[:, None] == study[None, :]
            s = np.sqrt(v)
            arguments["V"] = np.where(same, rho * np.outer(s, s), 0.0) + (1 - rho) * np.diag(v)
        return World(arguments, truth, turned(y, v, drawn_centre(priors), ["mu", "tau"]))

    return world


def grouped(priors: Priors) -> Callable[[np.random.Generator], World]:
    """Two kinds of studies with a tau each."""

    def world(rng: np.random.Generator) -> World:
        k = int(rng.integers(4, 13))
        kind = np.append([0, 0, 1, 1], rng.integers(0, 2, k - 4))
        mu, b = drawn(rng, priors.mu), drawn(rng, priors.of("kind"))
        taus = np.array([drawn(rng, priors.tau), drawn(rng, priors.tau)])
        v = np.exp(rng.uniform(np.log(0.005), np.log(0.2), k))
        y = mu + b * kind + taus[kind] * rng.standard_normal(k) + np.sqrt(v) * rng.standard_normal(k)
        frame = pd.DataFrame(
            {"yi": y, "vi": v, "kind": kind.astype(float), "group": np.array(["a", "b"])[kind], "study": np.arange(k)}
        )
        truth = {"mu": mu, "kind": b, "tau of a": taus[0], "tau of b": taus[1]}
        arguments = {
            "formula": "yi ~ kind", "data": frame, "random": "~ group | study", "struct": "DIAG", "priors": priors,
        }  # fmt: skip
        return World(arguments, truth, turned(y, v, drawn_centre(priors), ["mu"]))

    return world


def partial(priors: Priors) -> Callable[[np.random.Generator], World]:
    """A few studies with numbers, and a few that report a sign or a verdict; the t statistics are simulated."""

    def world(rng: np.random.Generator) -> World:
        mu, tau = drawn(rng, priors.mu), drawn(rng, priors.tau)
        k, r = int(rng.integers(1, 5)), int(rng.integers(2, 6))
        v = np.exp(rng.uniform(np.log(0.01), np.log(0.2), k))
        y = mu + tau * rng.standard_normal(k) + np.sqrt(v) * rng.standard_normal(k)
        frame = pd.DataFrame([reported(rng, mu + tau * rng.standard_normal()) for _ in range(r)])
        truth = {"mu": mu, "tau": tau, "new study": mu + tau * rng.standard_normal()}
        return World(
            {"yi": y, "vi": v, "partial": ca.partial_evidence(frame), "priors": priors}, truth,
            turned(y, v, drawn_centre(priors), ["mu", "tau"]),
        )  # fmt: skip

    return world


def reported(rng: np.random.Generator, theta: float) -> dict[str, Any]:
    """What one study tells that gives no numbers: people are drawn, the t test is done, sign or verdict is kept."""
    from scipy.special import stdtrit

    n = np.exp(rng.uniform(np.log(6), np.log(60), 2)).astype(int)
    if rng.random() < 0.5:
        one, two = rng.normal(theta, 1, n[0]), rng.normal(0, 1, n[1])
        pooled = ((n[0] - 1) * one.var(ddof=1) + (n[1] - 1) * two.var(ddof=1)) / (n.sum() - 2)
        t, df = (one.mean() - two.mean()) / np.sqrt(pooled * (1 / n[0] + 1 / n[1])), n.sum() - 2
        row: dict[str, Any] = {"design": "two-sample", "n1": n[0], "n2": n[1]}
    else:
        one = rng.normal(theta, 1, n[0])
        t, df = one.mean() / (one.std(ddof=1) / np.sqrt(n[0])), n[0] - 1
        row = {"design": "one-sample", "n": n[0]}
    alpha = float(rng.choice([0.05, 0.01]))
    kind = rng.choice(["direction", "verdict and sign", "verdict"])
    sign = int(np.sign(t))
    if kind == "direction":
        return row | {"kind": "direction", "sign": sign}
    verdict = "sig" if abs(t) > stdtrit(df, 1 - alpha / 2) else "ns"
    told = {"kind": "bounds", "verdict": verdict, "alpha": alpha, "sided": 2}
    return row | told | ({"sign": sign} if kind == "verdict and sign" else {"sign": 0})


# -- engines --------------------------------------------------------------------------------------------------------


def asked(post: Posterior, name: str) -> Any:
    """The marginal of a quantity by its name here."""
    if name == "mu":
        return post.mu
    if name == "tau":
        return post.tau
    if name == "new study":
        return post.new
    if name == "first study":
        return next(iter(post.studies.values()))
    if name.startswith("tau of "):
        of = name.removeprefix("tau of ")  # a factor, or a group in "tau2[group]"
        return next(value for key, value in post.taus.items() if key == of or key.endswith((f"/{of}", f"[{of}]")))
    return post.coefficients[name]


def transforms(world: World, wrong: Callable[[Any, float], float] | None = None, **changes: Any) -> dict[str, float]:
    """Posterior cdf of each truth by the exact engine; `wrong` and `changes` make a faulty engine of it."""
    post = fit_bayes(**{**world.arguments, **changes})
    found = {}
    for name, value in world.truth.items():
        law = asked(post, name)
        found[name] = law.cdf(value) if wrong is None else wrong(law, value)
    for name, (of, over) in world.turned.items():
        found[name] = 1 - found[of] if over else found[of]
    return found


def ranks(world: World, seed: int) -> dict[str, float]:
    """Rank of each truth among thinned draws of NUTS, over the number of possible ranks."""
    post = fit_bayes(**world.arguments, engine="nuts", draws=DRAWS, chains=1, seed=seed)
    found = {name: rank(thinned(post, name), value) for name, value in world.truth.items()}
    for name, (of, over) in world.turned.items():
        found[name] = 1 - found[of] if over else found[of]
    if world.likelihood is not None:
        among = world.likelihood(thinned(post, "mu"), thinned(post, "tau"))
        truth = world.likelihood(np.array(world.truth["mu"]), np.array(world.truth["tau"]))
        found["log likelihood"] = rank(among, float(truth))
    return found


def thinned(post: Posterior, name: str) -> Array:
    """(`THINNED`,) draws of a quantity, nearly independent."""
    return np.asarray(asked(post, name).law.values).reshape(-1)[:: DRAWS // THINNED]


def rank(draws: Array, value: float) -> float:
    """Share of ranks below that of the truth; the middle of its bin, so that rounding cannot move it to another."""
    return (float((draws < value).sum()) + 0.5) / (len(draws) + 1)


EXACT = (
    Model(
        "two-level", "yi ~ 1; mu normal(0, 1), tau half-normal(0.5); k of 2, 3, 5, 10, 20",
        two_level(Priors(), (2, 3, 5, 10, 20)), 10_000,
    ),
    Model(
        "two-level, heavy tails", "yi ~ 1; mu normal(0, 2), tau half-cauchy(0.3); k of 2, 3, 4",
        two_level(Priors.parse({"mu": "normal(0, 2)", "tau": "half-cauchy(0.3)"}), (2, 3, 4)), 4000,
    ),
    Model(
        "two-level, log-normal", "yi ~ 1; mu normal(0.2, 0.5), tau log-normal(-1.5, 0.8); k of 2, 5, 40",
        two_level(Priors.parse({"mu": "normal(0.2, 0.5)", "tau": "log-normal(-1.5, 0.8)"}), (2, 5, 40)), 4000,
    ),
    Model(
        "regression", "yi ~ x + g; mu normal(0, 1), b normal(0, 0.5), tau half-t(4, 0.3); k of 3 to 14",
        regression(Priors.parse({"mu": "normal(0, 1)", "b": "normal(0, 0.5)", "tau": "half-t(4, 0.3)"})), 4000,
    ),
    Model(
        "shared studies", "yi ~ 1, random study, V with correlation .5; tau exponential(0.3); 2 to 7 studies",
        nested(Priors.parse({"mu": "normal(0, 1)", "tau": "exponential(0.3)"}), ("study",), True), 4000,
    ),
    Model(
        "t on mu", "yi ~ 1; mu t(3, 0.2, 0.4), tau half-normal(0.3); k of 2, 3, 6",
        two_level(Priors.parse({"mu": "t(3, 0.2, 0.4)", "tau": "half-normal(0.3)"}), (2, 3, 6)), 2000,
    ),
    Model(
        "Cauchy on a moderator", "yi ~ x + g; normal(0, 1) but x cauchy(0, 0.3), tau half-normal(0.3); k of 3 to 14",
        regression(Priors(tau=Prior("half-normal", (0.3,)), terms={"x": Prior("cauchy", (0.0, 0.3))})), 2000,
    ),
    Model(
        "three levels", "yi ~ 1, random study/effect, V with correlation .5; both half-normal(0.5); 2 to 7 studies",
        nested(Priors(), ("study", "effect"), True), 2000,
    ),
    Model(
        "a tau for each group", "yi ~ kind, random ~ group | study, DIAG; both half-normal(0.5); k of 4 to 12",
        grouped(Priors()), 2000,
    ),
)  # fmt: skip


PARTIAL = (
    Model(
        "signs and verdicts", "yi ~ 1; mu normal(0, 1), tau half-normal(0.5); 1 to 4 studies with numbers, 2 to 5 with "
        "a sign, a verdict or both, by the t test of 6 to 60 people per group drawn one by one",
        partial(Priors()), 1200,
    ),
)  # fmt: skip


NUTS = (
    Model(
        "two-level", "yi ~ 1; mu normal(0, 1), tau half-normal(0.5); k of 3, 8", two_level(Priors(), (3, 8)), 400,
    ),
    Model(
        "regression", "yi ~ x + g; mu normal(0, 1), b normal(0, 0.5), tau half-t(4, 0.3); k = 9",
        regression(Priors.parse({"mu": "normal(0, 1)", "b": "normal(0, 0.5)", "tau": "half-t(4, 0.3)"}), 9), 200,
    ),
    Model(
        "three levels", "yi ~ 1, random study/effect, V with correlation .5; both half-normal(0.5); 5 studies of 2",
        nested(Priors(), ("study", "effect"), True, (5, 2)), 200,
    ),
)  # fmt: skip


# -- running and recording ------------------------------------------------------------------------------------------


def values(model: Model, one: Callable[[World, int], Mapping[str, float]], n: int, seed: int = SEED) -> pd.DataFrame:
    """(n, quantities) ranks or transforms; each replication has a generator of its own."""
    rows = []
    for i in range(n):
        world = model.world(np.random.default_rng([seed, *model.name.encode(), i]))
        rows.append(one(world, seed + i))
    return pd.DataFrame(rows)


def exactly(world: World, _: int) -> Mapping[str, float]:
    """Transforms by the engine as it is."""
    return transforms(world)


def twice_the_prior(world: World, _: int) -> Mapping[str, float]:
    """A faulty engine: both prior scales doubled."""
    priors = world.arguments["priors"]
    mean, sd = priors.mu.parameters
    wide = Prior(priors.tau.family, (*priors.tau.parameters[:-1], 2 * priors.tau.parameters[-1]))
    return transforms(world, priors=Priors(Prior("normal", (mean, 2 * sd)), priors.b, wide))


def too_wide(world: World, _: int) -> Mapping[str, float]:
    """A faulty engine: every posterior 15 % too wide."""
    return transforms(world, wrong=lambda law, value: law.cdf(law.median + (value - law.median) / 1.15))


def only_the_prior(world: World, _: int) -> Mapping[str, float]:
    """A faulty engine: it ignores the data."""
    vague = np.full(len(world.arguments["vi"]), 1e8)
    return transforms(world, vi=vague)


WRONG = {"both prior scales doubled": twice_the_prior, "15 % too wide": too_wide, "the prior alone": only_the_prior}


def counted(found: pd.DataFrame) -> dict[str, str]:
    """Histograms as text, `BINS` counts each."""
    return {name: " ".join(map(str, bands.counts_of(found[name], BINS))) for name in found}


def verdicts(counts: Mapping[str, str]) -> dict[str, float]:
    """p of uniformity of each histogram."""
    return {name: _p_of(text) for name, text in counts.items()}


@lru_cache(maxsize=512)
def _p_of(text: str) -> float:
    return float(bands.uniformity([int(x) for x in text.split()]))


def record(model: Model, one: Callable[[World, int], Mapping[str, float]], n: int) -> dict[str, Any]:
    """Simulate one model and say how it went."""
    started = time.monotonic()
    found = values(model, one, n)
    counts = counted(found)
    for name, p in verdicts(counts).items():
        print(f"  {name}: p = {p:.4f}", flush=True)
    print(f"  {n} replications, {time.monotonic() - started:.0f} s", flush=True)
    first = {name: [round(float(x), 6) for x in found[name][:FIRST]] for name in found}
    return {"name": model.name, "says": model.says, "replications": n, "first": first, "counts": counts}


def head(engine: str) -> dict[str, Any]:
    """How a record came about."""
    packages = ("numpy", "scipy") + (("pymc", "nutpie", "arviz") if engine == "nuts" else ())
    return {
        "what": "simulation-based calibration: histograms of ranks", "program": "tests/calibration/simulate.py",
        "engine": engine, "seed": SEED, "bins": BINS, "date": date.today().isoformat(),
        "python": platform.python_version(), "versions": {name: version(name) for name in packages},
    }  # fmt: skip


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of every model on record."""
    lines = [
        "| engine | model | replications | quantities | smallest p | p must stay above |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for found in records:
        least = threshold(found)
        for model in found["models"]:
            if model["name"].startswith("faulty"):
                continue
            p, says = verdicts(model["counts"]), model["says"].replace("|", "\\|")
            lines.append(
                f"| {found['engine']} | {model['name']}: {says} | {model['replications']} | {len(p)} | "
                f"{min(p.values()):.3f} | {least:.5f} |"
            )
    return "\n".join(lines)


def threshold(found: Mapping[str, Any]) -> float:
    """The p below which a histogram of this record lies outside its band: one false alarm in twenty records."""
    return FALSE_ALARM / sum(
        len(model["counts"]) for model in found["models"] if not model["name"].startswith("faulty")
    )


def faults(found: Mapping[str, Any]) -> str:
    """Markdown table of the engines that are wrong on purpose."""
    lines = ["| fault | replications | smallest p | quantities outside the band |", "|---|---:|---:|---|"]
    least = threshold(found)
    for model in found["models"]:
        if model["name"].startswith("faulty"):
            p = verdicts(model["counts"])
            outside = "; ".join(name for name, value in p.items() if value < least) or "none"
            smallest = "below 1e-6" if min(p.values()) < 1e-6 else f"{min(p.values()):.6f}"
            lines.append(
                f"| {model['name'].removeprefix('faulty: ')} | {model['replications']} | {smallest} | {outside} |"
            )
    return "\n".join(lines)


def recorded() -> list[dict[str, Any]]:
    """The records there are, in the order of the engines."""
    paths = [HERE / f"{engine}.json" for engine in ENGINES]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def page() -> None:
    """Renew the tables of docs/calibration.md."""
    path, records = HERE.parents[1] / "docs" / "calibration.md", recorded()
    text = path.read_text(encoding="utf-8")
    for name, part in (("ranks", table(records)), ("faults", faults(records[0]))):
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(start)
        text = before + start + part + "\n" + end + rest.split(end, 1)[1]
    path.write_text(text, encoding="utf-8")


def calibrate(engine: str, short: bool, missing: bool) -> None:
    """Renew one record, or only what it lacks, or show a fiftieth of it; each model is written when it is done."""
    print(engine, flush=True)
    path = HERE / f"{engine}.json"
    models, one = ENGINES[engine]
    jobs = [(model.name, model, one) for model in models]
    if engine == "exact":
        jobs += [(f"faulty: {fault}", replace(models[0], replications=FAULTY), how) for fault, how in WRONG.items()]
    before = json.loads(path.read_text(encoding="utf-8"))["models"] if missing and path.exists() else []
    done = {found["name"]: found for found in before}
    for name, model, how in jobs:
        if name in done:
            continue
        print(f" {name}: {model.says}", flush=True)
        done[name] = record(model, how, max(model.replications // (50 if short else 1), 4)) | {"name": name}
        if not short:
            ordered = [done[other] for other, *_ in jobs if other in done]
            path.write_text(json.dumps(head(engine) | {"models": ordered}, indent=1) + "\n", encoding="utf-8")


ENGINES: dict[str, tuple[Sequence[Model], Callable[[World, int], Mapping[str, float]]]] = {
    "exact": (EXACT, exactly),
    "partial": (PARTIAL, exactly),
    "nuts": (NUTS, ranks),
}


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")] or list(ENGINES)
    for engine in chosen:
        calibrate(engine, "--short" in sys.argv, "--missing" in sys.argv)
    if "--short" not in sys.argv:
        page()
