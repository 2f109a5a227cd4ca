"""selmodel, weightr, puniform and puni_star."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special
from scipy.integrate import quad

import catharsis as ca
from catharsis.assess.selection import SelectionModel
from catharsis.assess.selection_functions import SmoothWeights
from golden_adapters.case import Case, Family, NotSupported

LIKELIHOOD_RTOL = 1e-8  # DESIGN section 8: our log-likelihood at R's parameters against R's
HIGHER = 1e-8  # DESIGN section 8: ours is at least R's minus this
INTEGRATE = 1.2e-4  # relative tolerance of R's integrate(), .Machine$double.eps^0.25
# that tolerance bounds an error estimate, not the error: up to 2e-3 per normaliser was seen (dat.furukawa2003, power,
# against mpmath in tests/assess/test_selection_models.py); a larger gap would be a difference of the models
FAR_OFF = 5e-3


# -- selmodel -------------------------------------------------------------------------------------
def fitted(case: Case) -> SelectionModel:
    """Our selection model; every argument of selmodel is translated or refused."""
    args = dict(case.args)
    control = dict(args.pop("control", None) or {})
    known = {
        "fn", "type", "method", "steps", "alternative", "delta", "prec", "decreasing", "scaleprec", "subset", "test",
    }  # fmt: skip
    settings = {"delta.min", "delta.max", "pval.min", "tau2tol", "deltatol"}
    unknown = [name for name in args if name not in known] + [name for name in control if name not in settings]
    if unknown:
        raise NotSupported(f"selection models: option {unknown[0]}")
    subset = args.get("subset")
    if subset is not None and not isinstance(subset[0], bool):  # positions, counted from 1
        subset = [i + 1 in subset for i in range(len(case.yi))]
    return ca.selection_model(
        case.yi, case.vi, case.X, type=args["type"], steps=args.get("steps"),
        alternative=args.get("alternative", "greater"), delta=args.get("delta"), prec=args.get("prec"),
        ni=case.inputs["data"].get("ni") if args.get("prec") in ("ninv", "sqrtninv") else None,
        decreasing=bool(args.get("decreasing", False)), subset=subset,
        # selmodel maximises the likelihood whichever estimator of tau^2 the model had, and tests by z
        method="EE" if args.get("method") in ("EE", "FE", "CE") else "ML",
        scale_prec=bool(args.get("scaleprec", True)), p_min=control.get("pval.min"),
        delta_min=control.get("delta.min"), delta_max=control.get("delta.max"),
        # help(selmodel): tau^2 below 1e-4 or a tenth of the smallest v is treated as zero for the standard errors
        tau2_zero=control.get("tau2tol", min(1e-4, float(case.vi.min()) / 10)),
        delta_zero=control.get("deltatol", 1e-4),
    )  # fmt: skip


def answers(model: SelectionModel) -> dict[str, Any]:
    """All fields of a selmodel object."""
    interval = model.conf_int()
    lrt, heterogeneity = model.lrt, model.tau2_lrt
    return {
        "beta": model.beta, "se": model.se, "stat": model.tvalues.to_numpy(), "pval": model.pvalues.to_numpy(),
        "ci_lb": interval["low"].to_numpy(), "ci_ub": interval["high"].to_numpy(), "tau2": model.tau2,
        "se_tau2": model.tau2_se, "delta": model.delta, "se_delta": model.delta_se, "ll": model.llf,
        "ll0": model.llf_null, "LRT": lrt.statistic, "LRTdf": lrt.df, "LRTp": lrt.p, "QM": model.QM.statistic,
        "LRT_tau2": heterogeneity.statistic,
    }  # fmt: skip


def answer_selmodel(case: Case) -> dict[str, Any]:
    return answers(fitted(case))


def theirs_selmodel(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's parameters, when the likelihoods agree there and ours is a maximum that is not lower.

    The test of tau^2 = 0 rests on a second maximisation, whose parameters R does not report. Its log-likelihood
    follows from the statistic; where it is lower than ours, R's search had not arrived (or had failed: no statistic).
    """
    r = case.results
    ours = fitted(case)
    there = at_theirs(ours, r)
    if there is None or abs(there.llf - r["ll"]) > LIKELIHOOD_RTOL * max(1.0, abs(r["ll"])):
        return None
    if ours.llf < r["ll"] - HIGHER or not ours.at_maximum:
        return None
    found = answers(there)
    why = f"our log-likelihood is higher by {ours.llf - there.llf:.1e}, at a maximum"
    if ours.method == "ML":
        statistic = r["LRT_tau2"]
        if statistic is None:
            found["LRT_tau2"] = None
            why += f"; R's search with tau^2 = 0 failed, ours found {ours.llf_equal:.6f}"
        elif r["ll"] - statistic / 2 <= ours.llf_equal + HIGHER:
            found["LRT_tau2"] = statistic
            why += f"; with tau^2 = 0 it is higher by {ours.llf_equal - r['ll'] + statistic / 2:.1e}"
    return found, why


def at_theirs(ours: SelectionModel, r: Mapping[str, Any]) -> SelectionModel | None:
    """Our model at R's parameters; None when R's lie outside the parameter space."""
    if any(value is None for value in [*r["beta"], r["tau2"], *r["delta"]]):
        return None
    with np.errstate(all="ignore"):
        there = ours.at(r["beta"], r["tau2"], r["delta"])
    return there if np.isfinite(there.llf) else None


def by_quadrature(model: SelectionModel, beta: np.ndarray, tau2: float, delta: np.ndarray) -> float:
    """The log-likelihood with the normalisers from QUADPACK, between the kinks, a witness for our own quadrature."""
    data, setup = model.setup.data, model.setup
    weights = data.weights
    assert isinstance(weights, SmoothWeights)
    y, X = setup.sign * model.baseline.blocks.y, model.baseline.blocks.X
    mu, S = setup.sign * (X @ beta), model.baseline.vi + tau2
    total = float(np.sum(-((y - mu) ** 2) / S - np.log(2 * np.pi * S)) / 2)
    kinks = [
        -special.ndtri(p / 2 if weights.two_sided else p)
        for p in (weights.p_min, 1 - weights.p_min, weights.threshold)
        if 0 < p < 1
    ]
    for i, row in enumerate(np.flatnonzero(data.selected)):
        sigma, s = float(np.sqrt(model.baseline.vi[row])), float(np.sqrt(S[row]))

        def log_w(z: float, prec: float = weights.prec[i]) -> float:
            p, q = special.ndtr(-z), special.ndtr(z)
            if weights.two_sided:
                p, q = min(2 * special.ndtr(-abs(z)), 1.0), special.erf(abs(z) / np.sqrt(2))
            p, q = (min(max(x, weights.p_min), 1 - weights.p_min) for x in (p, q))
            if p <= weights.threshold:
                return 0.0
            with np.errstate(divide="ignore"):  # 1 - p = 0 where p_min = 0; the power model has a p_min
                found = float(weights.shape(np.log(p), np.log(q), np.asarray(prec), delta)[0])
                if weights.threshold > 0:
                    a = weights.threshold
                    found -= float(weights.shape(np.log(a), np.log1p(-a), np.asarray(prec), delta)[0])
            return found

        def integrand(x: float, m: float = mu[row], sigma: float = sigma, s: float = s, log_w: Any = log_w) -> float:
            return float(np.exp(log_w(x / sigma) - ((x - m) / s) ** 2 / 2) / (s * np.sqrt(2 * np.pi)))

        ends = {mu[row] + s * step for step in range(-14, 15)} | {sigma * z for z in range(-8, 9)}
        ends |= {sign * sigma * z for z in kinks for sign in ((1, -1) if weights.two_sided else (1,))}
        places = sorted(x for x in ends if abs(x - mu[row]) <= 14 * s)
        pieces = [quad(integrand, a, b, epsabs=0, epsrel=1e-12, limit=200)[0] for a, b in pairwise(places)]
        total += log_w(y[row] / sigma) - float(np.log(sum(pieces)))
    return total


STANDARD_ERRORS = frozenset({"se", "stat", "pval", "ci_lb", "ci_ub", "se_tau2", "se_delta", "QM"})


def known_selmodel(case: Case, reasons: list[str]) -> str | None:
    """Where R's own arithmetic falls short, shown by a third computation."""
    r, ours = case.results, fitted(case)
    there = at_theirs(ours, r)
    fields = {reason.split(":")[0].split("[")[0] for reason in reasons}
    if there is None or not ours.at_maximum:
        return None
    if isinstance(ours.setup.data.weights, SmoothWeights):
        return integrals(case, ours, there)
    # a flat likelihood: an empty interval has no information on its weight, and R stays where it started
    empty = [j for j, count in enumerate(ours.setup.counts) if count == 0]
    if empty and ours.llf >= r["ll"] - HIGHER and abs(there.llf - r["ll"]) <= LIKELIHOOD_RTOL * max(1.0, abs(r["ll"])):
        gain = ours.llf - r["ll"]
        if gain < 1e-4 and fields <= STANDARD_ERRORS | {"delta"}:
            return (
                "an interval without effects: its weight runs to its bound and has no standard error; R stopped "
                f"{gain:.0e} lower on the flat likelihood and inverts a Hessian that is rounding noise in that weight "
                "(tests/assess/test_selection_models.py)"
            )
    return None


def integrals(case: Case, ours: SelectionModel, there: SelectionModel) -> str | None:
    """R differentiates integrals good to 1.2e-4 numerically; QUADPACK at 1e-12 says who is right."""
    r = case.results
    truth = by_quadrature(ours, np.array(r["beta"]), r["tau2"], np.array(r["delta"]))
    if abs(there.llf - truth) > 1e-10 * max(1.0, abs(truth)):
        return None  # ours is wrong
    if abs(r["ll"] - truth) > FAR_OFF * len(case.yi) or ours.llf < truth - HIGHER:
        return None
    return (
        f"R's integrate() works to {INTEGRATE:.1e}: its log-likelihood is off by {r['ll'] - truth:.1e} at its own "
        f"parameters, and its Hessian is differenced from it; with tight integrals R has ours for halfnorm and negexp "
        f"(tests/assess/test_selection_models.py); ours is {ours.llf - truth:.1e} above R's true value"
    )


# -- weightr --------------------------------------------------------------------------------------
def favoured(yi: np.ndarray, vi: np.ndarray) -> float:
    """Direction in which the golden run turned the effects: that of their inverse-variance mean."""
    return -1.0 if float(np.sum(yi / vi)) < 0 else 1.0


def answer_weightr(case: Case) -> dict[str, Any]:
    return weightr_answers(case, *weightr_fit(case))


def weightr_fit(case: Case) -> tuple[SelectionModel, float]:
    """Vevea and Hedges' model; effects are turned so that selection favours positive ones."""
    args = case.args
    unknown = [name for name in args if name not in {"fn", "steps", "fe", "weights", "table", "pval", "mods"}]
    if unknown or args.get("pval") is not None:
        raise NotSupported(f"weightr: option {(unknown or ['pval'])[0]}")
    if args.get("mods") is not None and case.X is None:
        raise NotSupported("weightr: moderators without their model matrix")
    vi = np.square(case.inputs["data"]["sei"]) if "sei" in case.inputs["data"] else case.vi
    sign = favoured(case.yi, vi)
    weights = args.get("weights")
    model = ca.selection_model(
        sign * case.yi, vi, case.X, steps=numbers(args.get("steps", [0.025, 1])), delta_max=1e8,
        delta=None if weights is None else numbers(weights), method="EE" if args.get("fe") else "ML",
    )  # fmt: skip
    return model, sign


def numbers(text: Any) -> list[float]:
    """The numbers of an R vector, given as text or list."""
    found = re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text) if isinstance(text, str) else np.ravel(text)
    return [float(value) for value in found]


def weightr_answers(case: Case, model: SelectionModel, sign: float) -> dict[str, Any]:
    """weightr leaves out the constant k log(2 pi) / 2."""
    constant = model.nobs / 2 * np.log(2 * np.pi)
    fixed = [] if model.method == "EE" else [model.baseline.tau2]
    adjusted = [] if model.method == "EE" else [model.tau2]
    free = model.delta[1:][np.isnan(model.setup.fixed)]
    return {
        "sign_flipped": sign < 0, "par_unadj": [*fixed, *model.baseline.beta],
        "par_adj": [*adjusted, *model.beta, *free],
        "nll_unadj": -model.llf_null - constant, "nll_adj": -model.llf - constant,
        "LRT": 2 * (model.llf - model.llf_null),
    }  # fmt: skip


def theirs_weightr(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's parameters, of both models, when the likelihoods agree there and ours are not lower."""
    model, sign = weightr_fit(case)
    r, p, q = case.results, len(model.beta), 0 if model.method == "EE" else 1
    tau2, tau2_null = (r["par_adj"][0], r["par_unadj"][0]) if q else (0.0, 0.0)
    delta = model.setup.fixed.copy()
    delta[np.isnan(delta)] = r["par_adj"][p + q :]
    there = model.at(r["par_adj"][q : p + q], tau2, [1.0, *delta])
    beta_null = np.array(r["par_unadj"][q:])
    null = model.at(beta_null, tau2_null, np.ones(len(delta) + 1)).llf
    constant = model.nobs / 2 * np.log(2 * np.pi)
    for ours, same, theirs in ((model.llf, there.llf, r["nll_adj"]), (model.llf_null, null, r["nll_unadj"])):
        stated = -theirs - constant
        if abs(same - stated) > LIKELIHOOD_RTOL * max(1.0, abs(stated)) or ours < stated - HIGHER:
            return None
    if not model.at_maximum:
        return None
    baseline = replace(model.baseline, beta=beta_null, tau2=tau2_null)
    there = replace(there, baseline=baseline, llf_null=null)
    return weightr_answers(case, there, sign), (
        f"our log-likelihoods are higher by {model.llf - there.llf:.1e} (adjusted) and {model.llf_null - null:.1e}"
    )


# -- p-uniform ------------------------------------------------------------------------------------
def p_uniform_data(case: Case, methods: tuple[str, ...]) -> dict[str, Any]:
    """Arguments that both functions share."""
    args = case.args
    unknown = [name for name in args if name not in {"fn", "side", "method", "alpha", "plot", "boot"}]
    if unknown or args.get("boot"):
        raise NotSupported(f"p-uniform: option {(unknown or ['boot'])[0]}")
    if args.get("method", methods[0]) not in methods:
        raise NotSupported(f"p-uniform*: method {args['method']}")
    data = case.inputs["data"]
    vi = np.square(data["sei"]) if "sei" in data else data["vi"]
    return {"yi": data["yi"], "vi": vi, "side": args["side"], "alpha": args.get("alpha", 0.05)}


def answer_puniform(case: Case) -> dict[str, Any]:
    methods = ("P", "LNP", "LN1MINP", "KS", "AD", "ML")
    found = ca.p_uniform(method=case.args.get("method", "P"), **p_uniform_data(case, methods))
    return {
        "est": found.estimate, "ci_lb": found.low, "ci_ub": found.high, "ksig": found.significant,
        "L0": found.statistic, "pval0": found.p, "Lpb": found.bias_statistic, "pval_pb": found.bias_p,
    }  # fmt: skip


def answer_puni_star(case: Case) -> dict[str, Any]:
    found = ca.p_uniform_star(**p_uniform_data(case, ("ML",)))
    return {
        "est": found.estimate, "ci_lb": found.low, "ci_ub": found.high, "pval0": found.p, "tau2": found.tau2,
        "tau2_lb": found.tau2_low, "tau2_ub": found.tau2_high, "L_het": found.tau2_statistic, "pval_het": found.tau2_p,
        "L0": found.statistic,
    }  # fmt: skip


def scale(case: Case, name: str) -> Any:
    """What counts as zero: estimates against their standard errors, tau^2 against the sampling variances."""
    data = case.inputs["data"]
    unit = float(np.median(np.square(data["sei"]) if "sei" in data else data["vi"]))
    match name:
        case "tau2" | "se_tau2" | "tau2_lb" | "tau2_ub":
            return unit
        case "beta" | "ci_lb" | "ci_ub" if "se" in case.results:
            return np.nan_to_num(np.array(case.results["se"], dtype=float))
    return 1.0


ABOUT_R = frozenset({"ll_gap_between_optimizers", "order"})
FAMILIES = {
    "selmodel": Family(answer_selmodel, ABOUT_R, {}, scale, theirs_selmodel, known_selmodel),
    "weightr": Family(answer_weightr, ABOUT_R, {}, scale, theirs_weightr),
    "puniform": Family(answer_puniform, ABOUT_R, {}, scale),
    "puni_star": Family(answer_puni_star, ABOUT_R, {}, scale),
}
