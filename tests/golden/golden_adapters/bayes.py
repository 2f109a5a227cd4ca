"""bayesmeta and bmr: one variance component, exactly.

bayesmeta integrates over a discrete set of tau (its arguments delta and epsilon) and finds modes and shortest intervals
with general optimisers; where a number of R's misses the case's tolerance, `theirs` accepts it only when our own
density shows it to be the worse answer to the same question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

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
    mu = mu_prior(case.args)
    return _fit(tuple(data["yi"]), tuple(sei), X, Priors(mu, _b_prior(case.args, mu), tau_prior(case.args["tau_prior"])))


def _b_prior(args: Mapping[str, Any], mu: Prior) -> Prior:
    if args.get("beta_prior", "improper uniform") != "improper uniform":
        raise NotSupported(f"prior on coefficients: {args['beta_prior']}")
    return mu


@lru_cache(maxsize=8)
def _fit(yi: Sequence[float], sei: Sequence[float], X: Any, priors: Priors) -> Posterior:
    return fit_bayes(yi=yi, vi=np.square(sei), X=None if X is None else np.array(X), priors=priors)


def interval(found: Marginal, kind: str) -> tuple[float, float]:
    return found.shortest(LEVEL) if kind == "shortest" else found.central(LEVEL)


def answer(case: Case) -> dict[str, Any]:
    post = fitted(case)
    results, kind = case.results, case.args.get("interval_type", "shortest")
    quantiles = results.get("quantile_p", [])
    named = {"tau": post.tau, "mu": post.mu, "prediction": post.new}
    found: dict[str, Any] = {
        name: {
            "median": one.median, "mean": one.mean, "sd": one.sd, "mode": one.mode,
            "shortest95": one.shortest(LEVEL), "central95": one.central(LEVEL),
        }
        for name, one in named.items()
    }  # fmt: skip
    found["quantile_p"] = quantiles
    for name, short in (("tau", "tau"), ("mu", "mu"), ("prediction", "pred")):
        one = named[name]
        found[f"{short}_q"] = [one.quantile(p) for p in quantiles]
        found[f"{short}_central95"], found[f"{short}_shortest95"] = one.central(LEVEL), one.shortest(LEVEL)
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
        "mode": lambda: [one.mode for one in studies], "median": lambda: [one.median for one in studies],
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
        "mode": lambda one: one.mode, "median": lambda one: one.median, "mean": lambda one: one.mean,
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


BAYESMETA = Family(answer, scale=scale)
BMR = Family(answer_regression, scale=scale)
FAMILIES = {"bayesmeta": BAYESMETA, "bmr": BMR}
