"""bayesmeta and bmr: one variance component, exactly.

bayesmeta mixes over a discrete set of tau, chosen so that neighbours diverge by at most `delta` (Roever and Friede
2017, Journal of Computational and Graphical Statistics 26(1)), and finds modes and shortest intervals with general
optimisers. Where a number of R's misses the case's tolerance, `theirs` lets it stand only when brute force over 4001
values of tau, which shares no code with the engine, gives our number; a mode or maximum only when R's is lower.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtr

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from golden_adapters.case import Case, Family, NotSupported

NUMBER = r"([-+]?\d*\.?\d+(?:e[-+]?\d+)?)"
WORDS = {
    "uniform": "uniform", "sqrt": "sqrt", "jeffreys": "jeffreys", "overalljeffreys": "overall-jeffreys",
    "bergerdeely": "berger-deely", "conventional": "conventional", "dumouchel": "dumouchel", "shrinkage": "shrinkage",
    "i2": "i2",
}  # fmt: skip
# family, and how many numbers its name carries in the golden files: halfnormal0.5, halft4_0.5
NUMBERED = {
    "halfnormal": ("half-normal", 1), "halfcauchy": ("half-cauchy", 1), "halft": ("half-t", 2),
    "halflogistic": ("half-logistic", 1), "rayleigh": ("rayleigh", 1), "exponential": ("exponential", 1),
    "exp": ("exponential", 1), "lomax": ("lomax", 2), "lognormal": ("log-normal", 2), "lnorm": ("log-normal", 2),
    "invchi": ("inverse-chi", 2), "inversechi": ("inverse-chi", 2), "invgamma": ("inverse-gamma", 2),
    "inversegamma": ("inverse-gamma", 2), "uniform": ("uniform", 2),
}  # fmt: skip
LEVEL = 0.95


def tau_prior(name: str) -> Prior:
    """Our prior for R's name of it."""
    plain = name.lower().replace("-", "").replace(" ", "")
    if plain in WORDS:
        return Prior(WORDS[plain])
    found = re.match(r"[a-z]+", plain)
    family, count = NUMBERED.get(found[0] if found else "", ("", 0))
    numbers = [float(text) for text in re.findall(NUMBER, name[len(found[0]) :])] if found else []
    if not family or len(numbers) not in (count, 1 if family == "uniform" else count):
        raise NotSupported(f"prior on tau: {name}")
    return Prior(family, tuple([0.0, *numbers] if family == "uniform" and len(numbers) == 1 else numbers))


def mu_prior(args: Mapping[str, Any]) -> Prior:
    sd = args.get("mu_prior_sd")
    return Prior("flat") if sd is None else Prior("normal", (float(args.get("mu_prior_mean") or 0.0), float(sd)))


def fitted(case: Case) -> Posterior:
    data = case.inputs["data"]
    sei = data["sei"] if "sei" in data else np.sqrt(np.array(data["vi"], dtype=float)).tolist()
    X = None if case.X is None else tuple(map(tuple, case.X.tolist()))
    mu, b = mu_prior(case.args), b_prior(case.args, 1 if X is None else len(X[0]))
    priors = Priors(mu if b is None else b[0], mu if b is None else b[1], tau_prior(case.args["tau_prior"]))
    return _fit(tuple(data["yi"]), tuple(sei), X, priors)


def b_prior(args: Mapping[str, Any], p: int) -> tuple[Prior, Prior] | None:
    """Priors of bmr on the first coefficient and on the others; None where there are no coefficients to speak of."""
    if args.get("beta_prior_sd") is None:
        if args.get("beta_prior", "improper uniform") != "improper uniform":
            raise NotSupported(f"prior on coefficients: {args['beta_prior']}")
        return None
    mean, sd = (np.broadcast_to(args.get(name) or 0.0, p) for name in ("beta_prior_mean", "beta_prior_sd"))
    priors = [Prior("normal", (float(m), float(s))) for m, s in zip(mean, sd, strict=True)]
    if len(set(priors[1:])) > 1:
        raise NotSupported("a different prior on each coefficient")
    return priors[0], priors[-1]


@lru_cache(maxsize=8)
def _fit(yi: Sequence[float], sei: Sequence[float], X: Any, priors: Priors) -> Posterior:
    return fit_bayes(yi=yi, vi=np.square(sei), X=None if X is None else np.array(X), priors=priors)


@lru_cache(maxsize=1024)
def shortest(one: Marginal) -> tuple[float, float]:
    return one.shortest(LEVEL)


@lru_cache(maxsize=1024)
def mode(one: Marginal) -> float:
    return one.mode


def interval(found: Marginal, kind: str) -> tuple[float, float]:
    return shortest(found) if kind == "shortest" else found.central(LEVEL)


def answer(case: Case) -> dict[str, Any]:
    post = fitted(case)
    results, kind = case.results, case.args.get("interval_type", "shortest")
    quantiles = results.get("quantile_p", [])
    named = {"tau": post.tau, "mu": post.mu, "prediction": post.new}
    found: dict[str, Any] = {
        name: {
            "median": one.median, "mean": one.mean, "sd": one.sd, "mode": mode(one),
            "shortest95": shortest(one), "central95": one.central(LEVEL),
        }
        for name, one in named.items()
    }  # fmt: skip
    found["quantile_p"] = quantiles
    for name, short in (("tau", "tau"), ("mu", "mu"), ("prediction", "pred")):
        one = named[name]
        found[f"{short}_q"] = [one.quantile(p) for p in quantiles]
        found[f"{short}_central95"], found[f"{short}_shortest95"] = one.central(LEVEL), shortest(one)
        x = results.get(f"{short}_density", {}).get("x", [])
        found[f"{short}_density"] = {"x": x, "f": one.density(x)}
    found["p_mu_gt0"] = post.probability("> 0")
    found["shrinkage"] = shrinkage(case, post, kind)
    proper = np.isfinite(post.log_evidence)  # where a prior is improper R reports neither evidence nor Bayes factors
    found["marginal_likelihood"] = np.exp(post.log_evidence) if proper else None
    found["bayesfactor"] = {
        "tau0": post.bayes_factor("tau = 0") if proper else None,
        "mu0": post.bayes_factor("mu = 0") if proper else None,
    }
    table = post.maxima()
    for ours in table.index:
        found[ours.replace(" ", "_")] = table.loc[ours].to_numpy()
    found["I2"] = post.I2 / 100
    return found


def shrinkage(case: Case, post: Posterior, kind: str) -> dict[str, Any]:
    """Rows as R names them, a column per study."""
    rows = case.results.get("shrinkage", {}).get("rows", [])
    studies = list(post.studies.values())
    make = {
        "y": lambda: case.inputs["data"]["yi"], "sigma": lambda: case.inputs["data"]["sei"],
        "mode": lambda: [mode(one) for one in studies], "median": lambda: [one.median for one in studies],
        "mean": lambda: [one.mean for one in studies], "sd": lambda: [one.sd for one in studies],
        "95% lower": lambda: [interval(one, kind)[0] for one in studies],
        "95% upper": lambda: [interval(one, kind)[1] for one in studies],
    }  # fmt: skip
    return {"rows": rows, "matrix": [make[row]() for row in rows]}


def answer_regression(case: Case) -> dict[str, Any]:
    post = fitted(case)
    rows = case.results.get("rows", [])
    kind = case.args.get("interval_type", "shortest")
    named = [post.tau, *post.coefficients.values()]
    make = {
        "mode": lambda one: mode(one), "median": lambda one: one.median, "mean": lambda one: one.mean,
        "sd": lambda one: one.sd, "95% lower": lambda one: interval(one, kind)[0],
        "95% upper": lambda one: interval(one, kind)[1],
    }  # fmt: skip
    names = case.inputs.get("Xnames") or [f"var{i + 1:03d}" for i in range(len(post.terms))]
    return {"columns": ["tau", *names], "rows": rows, "summary": [[make[row](one) for one in named] for row in rows]}


def scale(case: Case, name: str) -> Any:
    """What counts as zero: a location against its posterior sd, a density against the highest one."""
    results = case.results
    if case.family == "bmr":
        sd = dict(zip(results["rows"], results["summary"], strict=True))["sd"]
        return [sd] * len(results["rows"]) if name == "summary" else 0.0
    match name:
        case "mu" | "prediction" | "tau":
            return results[name]["sd"]
        case "mu_q" | "mu_central95":
            return results["mu"]["sd"]
        case "pred_q" | "pred_central95":
            return results["prediction"]["sd"]
        case "tau_q" | "tau_central95":
            return results["tau"]["sd"]
        case "ML_joint" | "ML_marginal" | "MAP_joint" | "MAP_marginal":
            return [results["tau"]["sd"], results["mu"]["sd"]]
        case "shrinkage":
            sd = dict(zip(results["shrinkage"]["rows"], results["shrinkage"]["matrix"], strict=True))["sd"]
            return {"matrix": [sd] * len(results["shrinkage"]["rows"])}
    return 0.0


ABOUT_R = frozenset({"quantile_p"})  # which quantiles were asked for

# -- where R is the less exact ----------------------------------------------------------------------

POINTS = 4001  # of the trapezoid rule in log tau, which converges exponentially
AGREE = 1e-7  # ours against brute force, relative to the posterior sd (a probability: to itself)
SEEN = 1e-12  # R's log height may be above ours by rounding only
BLUR = 1e-3  # the most that R's grid may shift a probability ("trust 3-4 digits", README of the golden files)
STOPPED = 1e-4  # the most that R's optimiser of a joint log density may stop below its top
GRID = "R's grid over tau (delta): brute force gives our number"
TOP = "R's optimiser stopped short: the height at ours is greater"


@dataclass(frozen=True)
class Brute:
    """A mixture of Gaussians over a fixed grid of tau."""

    weight: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def cdf(self, x: float) -> float:
        return float(ndtr((x - self.mean) / self.sd) @ self.weight)

    def density(self, x: float) -> float:
        z = (x - self.mean) / self.sd
        return float((np.exp(-0.5 * z**2) / self.sd) @ self.weight / np.sqrt(2 * np.pi))

    def moments(self) -> dict[str, float]:
        centre = float(self.weight @ self.mean)
        return {"mean": centre, "sd": float(np.sqrt(self.weight @ (self.sd**2 + (self.mean - centre) ** 2)))}


@dataclass(frozen=True)
class BruteForce:
    """The posteriors of b, of a new effect and of the studies' effects, from the formulas of Roever (2020)."""

    b: list[Brute]
    new: Brute
    studies: list[Brute]


@lru_cache(maxsize=4)
def brute_force(post: Posterior, yi: Sequence[float], sei: Sequence[float], X: Any) -> BruteForce:
    y, s = np.array(yi), np.array(sei)
    design = np.ones((len(y), 1)) if X is None else np.array(X)
    t = np.linspace(np.log(s.min()) - 30, np.log(max(s.max(), np.ptp(y))) + 25, POINTS)
    tau2 = np.exp(2 * t)
    w = 1 / (s**2 + tau2[:, None])
    mean, precision = post.priors.location(post.terms)
    cov = np.linalg.inv(np.einsum("gk,ki,kj->gij", w, design, design) + np.diag(precision))
    b = np.einsum("gij,gj->gi", cov, w * y @ design + precision * mean)
    residual = y - b @ design.T
    square = (w * residual**2).sum(axis=1) + ((b - mean) ** 2 * precision).sum(axis=1)
    log = (
        0.5 * (np.log(w).sum(axis=1) + np.linalg.slogdet(cov)[1] - square) + post.priors.tau.log_density(np.exp(t)) + t
    )
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    keep = 1 - s**2 * w
    lever = np.einsum("ki,gij,kj->gk", design, cov, design)
    centre, spread = y * keep + (1 - keep) * (b @ design.T), np.sqrt(keep * s**2 + (1 - keep) ** 2 * lever)
    sd = np.sqrt(np.einsum("gii->gi", cov))
    return BruteForce(
        [Brute(weight, b[:, i], sd[:, i]) for i in range(design.shape[1])],
        Brute(weight, b[:, 0], np.sqrt(cov[:, 0, 0] + tau2)),
        [Brute(weight, centre[:, i], spread[:, i]) for i in range(len(y))],
    )


class Referee:
    """Decides number by number where R's misses the tolerance; `why` collects the grounds on which R's stand."""

    def __init__(self, case: Case) -> None:
        self.rtol, self.why = case.rtol, set[str]()

    def near(self, ours: float, theirs: float, unit: float) -> bool:
        return abs(ours - theirs) <= self.rtol * (abs(theirs) + unit)

    def grid(self, ours: float, exact: float, theirs: float, unit: float, limit: float) -> float:
        """R's value of something that its grid blurs (by `limit` at most), when brute force confirms ours."""
        if self.near(ours, theirs, 0.0) or abs(ours - exact) > AGREE * unit or abs(ours - theirs) > limit:
            return ours
        self.why.add(GRID)
        return theirs

    def quantile(self, one: Marginal, p: float, law: Brute | None, theirs: float) -> float:
        ours = one.quantile(p)
        confirmed = law is not None and abs(law.cdf(ours) - p) <= AGREE * p and abs(law.cdf(theirs) - p) <= BLUR
        if self.near(ours, theirs, one.sd) or not confirmed:
            return ours
        self.why.add(GRID)
        return theirs

    def top(
        self, log_height: Callable[[float], float], ours: float, theirs: float, unit: float, short: float = STOPPED
    ) -> float:
        """R's mode, when it is lower than ours, by `short` at most."""
        if self.near(ours, theirs, unit) or not -short <= log_height(theirs) - log_height(ours) <= SEEN:
            return ours
        self.why.add(TOP)
        return theirs

    def shortest(self, one: Marginal, law: Brute | None, theirs: Sequence[float]) -> Sequence[float]:
        """R's shortest interval, when ours holds the level and R's misses it or is the longer one."""
        ours = shortest(one)
        if all(self.near(a, b, one.sd) for a, b in zip(ours, theirs, strict=True)):
            return ours
        cdf = one.cdf if law is None else law.cdf
        held, other = cdf(ours[1]) - cdf(ours[0]), cdf(theirs[1]) - cdf(theirs[0])
        longer = theirs[1] - theirs[0] >= ours[1] - ours[0]
        if abs(held - LEVEL) > AGREE or not (longer or other < LEVEL) or abs(other - LEVEL) > BLUR:
            return ours
        self.why.add("R's shortest interval is longer than ours or holds less than 95%")
        return theirs

    def marginal(
        self, one: Marginal, law: Brute | None, theirs: Mapping[str, Any], short: float = STOPPED
    ) -> dict[str, Any]:
        found: dict[str, Any] = {"median": one.median, "mean": one.mean, "sd": one.sd, "mode": mode(one)}
        if "mode" in theirs:
            found["mode"] = self.top(lambda x: float(np.log(one.density(x))), mode(one), theirs["mode"], one.sd, short)
        found["median"] = self.quantile(one, 0.5, law, theirs["median"])
        if law is not None:
            for name, exact in law.moments().items():
                found[name] = self.grid(found[name], exact, theirs[name], one.sd, 2 * BLUR * one.sd)
        if "shortest95" in theirs:
            found["shortest95"] = self.shortest(one, law, theirs["shortest95"])
        return found


def theirs(case: Case) -> tuple[dict[str, Any], str] | None:
    """Our answer with R's number wherever ours is shown to be the better one."""
    post, found, results = fitted(case), answer(case), case.results
    data = case.inputs["data"]
    exact = brute_force(post, tuple(data["yi"]), tuple(data["sei"]), None)
    referee = Referee(case)
    laws = {"tau": None, "mu": exact.b[0], "prediction": exact.new}
    named = {"tau": post.tau, "mu": post.mu, "prediction": post.new}
    for name, short in (("tau", "tau"), ("mu", "mu"), ("prediction", "pred")):
        if results.get(name):
            found[name] = referee.marginal(named[name], laws[name], results[name])
        for field, ps in ((f"{short}_q", found["quantile_p"]), (f"{short}_central95", (0.025, 0.975))):
            if results.get(field):
                rows = zip(ps, results[field], strict=True)
                found[field] = [referee.quantile(named[name], p, laws[name], other) for p, other in rows]
        density, law = results.get(f"{short}_density"), laws[name]
        if density and law:
            x = density["x"]
            unit = float(named[name].density(mode(named[name])))
            rows = zip(x, named[name].density(x), density["f"], strict=True)
            found[f"{short}_density"]["f"] = [
                referee.grid(f, law.density(at), other, unit, 2 * BLUR * unit) for at, f, other in rows
            ]
    p = results.get("p_mu_gt0")
    if p is not None:
        found["p_mu_gt0"] = referee.grid(post.mu.positive, exact_above(exact.b[0]), p, post.mu.positive, BLUR)
    _shrinkage(case, post, exact, found, referee)
    _maxima(case, post, found, referee)
    return found, "; ".join(sorted(referee.why))


def exact_above(law: Brute) -> float:
    return float(ndtr(law.mean / law.sd) @ law.weight)


def _shrinkage(case: Case, post: Posterior, exact: BruteForce, found: dict[str, Any], referee: Referee) -> None:
    theirs = case.results.get("shrinkage")
    if not theirs:
        return
    table = {row: list(values) for row, values in zip(theirs["rows"], theirs["matrix"], strict=True)}
    ours = dict(zip(found["shrinkage"]["rows"], found["shrinkage"]["matrix"], strict=True))
    for i, (one, law) in enumerate(zip(post.studies.values(), exact.studies, strict=True)):
        given = {row: values[i] for row, values in table.items()}
        ends = ("95% lower", "95% upper")
        if ends[0] in given and case.args.get("interval_type", "shortest") == "shortest":
            given["shortest95"] = [given[end] for end in ends]
        # R often ends a study's mode at an end of its search, where several studies share one number: any gap will do
        better = referee.marginal(one, law, given, np.inf)
        better.update(zip(ends, better.pop("shortest95", [ours[end][i] for end in ends]), strict=True))
        for row in ours:
            ours[row] = [*ours[row][:i], better.get(row, ours[row][i]), *ours[row][i + 1 :]]
    found["shrinkage"]["matrix"] = list(ours.values())


def _maxima(case: Case, post: Posterior, found: dict[str, Any], referee: Referee) -> None:
    """Joint maxima by the raw log density of (tau, mu); marginal ones by the likelihood with the others integrated."""
    y, s = np.array(case.inputs["data"]["yi"]), np.array(case.inputs["data"]["sei"])
    spread = (post.tau.sd, post.mu.sd)

    def likelihood(at: Sequence[float]) -> float:
        v = s**2 + at[0] ** 2
        return float(-0.5 * (np.log(2 * np.pi * v) + (y - at[1]) ** 2 / v).sum())

    def prior(at: Sequence[float]) -> float:
        return float(post.priors.mu.log_density(np.array(at[1])) + post.priors.tau.log_density(np.array(at[0])))

    for name, height in (("ML_joint", likelihood), ("MAP_joint", lambda at: likelihood(at) + prior(at))):
        ours, theirs = list(found[name]), case.results.get(name)
        close = theirs is None or all(map(referee.near, ours, theirs, spread))
        if not close and -STOPPED <= height(theirs) - height(ours) <= SEEN:
            referee.why.add(TOP)
            found[name] = theirs
    if case.results.get("ML_marginal"):
        pairs = zip(("tau", post.terms[0]), found["ML_marginal"], case.results["ML_marginal"], spread, strict=True)
        found["ML_marginal"] = [
            referee.top(lambda x, name=name: post.restricted(name, x), ours, theirs, unit)
            for name, ours, theirs, unit in pairs
        ]


def theirs_regression(case: Case) -> tuple[dict[str, Any], str] | None:
    post, found, results = fitted(case), answer_regression(case), case.results
    data = case.inputs["data"]
    exact = brute_force(post, tuple(data["yi"]), tuple(data["sei"]), tuple(map(tuple, case.X.tolist())))
    referee = Referee(case)
    table = dict(zip(found["rows"], map(list, found["summary"]), strict=True))
    given = dict(zip(results["rows"], results["summary"], strict=True))
    ends = ("95% lower", "95% upper")
    for i, (one, law) in enumerate(zip([post.tau, *post.coefficients.values()], [None, *exact.b], strict=True)):
        column = {row: values[i] for row, values in given.items()}
        if case.args.get("interval_type", "shortest") == "shortest":
            column["shortest95"] = [column[end] for end in ends]
        better = referee.marginal(one, law, column)
        better.update(zip(ends, better.pop("shortest95", [table[end][i] for end in ends]), strict=True))
        for row, values in table.items():
            values[i] = better.get(row, values[i])
    return {**found, "summary": list(table.values())}, "; ".join(sorted(referee.why))


NO_MOMENTS = "the posterior mean or variance does not exist under this prior and so few studies; R's grid has one"


def known(case: Case, reasons: list[str]) -> str | None:
    if fitted(case).tau.sd < np.inf:  # nan and inf say that a moment does not exist
        return None
    moments = re.compile(
        r"(tau|mu|prediction)\.(mean|sd): |(tau|mu|pred)_density|summary\[[23]\]|shrinkage\.matrix\[[45]\]"
    )
    return NO_MOMENTS if all(moments.match(reason) for reason in reasons) else None


BAYESMETA = Family(answer, ABOUT_R, scale=scale, theirs=theirs, known=known)
BMR = Family(answer_regression, scale=scale, theirs=theirs_regression, known=known)
FAMILIES = {"bayesmeta": BAYESMETA, "bmr": BMR}
