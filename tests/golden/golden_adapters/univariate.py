"""rma.uni, its edge cases, confint and profile of tau^2, blup, and metagen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from catharsis.likelihood.marginal import moments
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS, WEIGHTS_NEEDED, weighted
from catharsis.models.knapp_hartung import knapp_hartung_scale
from catharsis.models.moment_estimators import generalised_q_tails
from catharsis.models.result import Fit
from catharsis.models.univariate import weighted_estimate
from catharsis.numerics import chi2_quantile, critical_value
from golden_adapters.case import Case, Family, NotSupported

ABOUT_R = frozenset({"converged_step", "order", "lb_at_boundary", "ub_sign"})
SOLVED = 1e-10  # of a tail probability: ours solve their equation
SAME_EQUATION = 1e-3  # of a tail probability: R solves the same equation, with a less accurate series
LIKELIHOOD_RTOL = 1e-8  # DESIGN section 8: our log-likelihood at R's parameters against R's


GENQ_WEIGHTS = "1/(vi+mean(vi))"  # README: what GENQ and GENQM are given when the case does not say
TRANSLATED = frozenset({"fn", "method", "test", "weights", "weighted", "tau2", "level", "btt", "type"})


def fitted(case: Case, method: str | None = None, test: str | None = None) -> Fit:
    """Our fit of a univariate case, every argument of rma() translated."""
    args = case.args
    others = set(args) - TRANSLATED
    if others:
        raise NotSupported(f"rma: arguments {', '.join(sorted(others))}")
    method = method or args["method"]
    method = "EE" if method == "CE" else method
    if method not in ESTIMATORS and method not in WEIGHTS_NEEDED:
        raise NotSupported(f"rma: method {method}")
    return fit(
        yi=case.yi, vi=case.vi, X=case.X, method=method, test=test or args.get("test", "z"), level=level_of(args),
        weights=weights_of(case, method), tau2=None if method in ("EE", "FE") else args.get("tau2"),
    )  # fmt: skip


def level_of(args: Mapping[str, Any]) -> float:
    """R writes levels in percent; 0 to 1 is read as a probability, as R does."""
    level = float(args.get("level", 95))
    return level / 100 if level >= 1 else level


def weights_of(case: Case, method: str) -> np.ndarray | None:
    """Weights as numbers, or as an expression in the columns of the case."""
    given = case.args.get("weights", GENQ_WEIGHTS if method in WEIGHTS_NEEDED else None)
    if given is None:
        return np.ones(len(case.yi)) if case.args.get("weighted") in (False, "FALSE") else None
    if isinstance(given, str):
        names = {"mean": np.mean, "sum": np.sum, "sqrt": np.sqrt, "rep": np.full, "length": len}
        columns = {name: np.array(values) for name, values in case.inputs["data"].items()}
        given = eval(given.replace("^", "**"), {"__builtins__": {}}, {**columns, **names})
    return np.broadcast_to(np.asarray(given, dtype=float), case.yi.shape)


def coefficients(model: Fit, ddf: int = 1, btt: Any = None) -> dict[str, Any]:
    """The fields that every rma object has; R repeats the degrees of freedom `ddf` times."""
    low, high = model.interval()
    qm = model.QM if btt is None else model.wald([int(i) - 1 for i in np.atleast_1d(btt)])
    finite_df = np.isfinite(model.df)
    return {
        "beta": model.beta, "se": model.se, "stat": model.statistic, "pval": model.pvalues.to_numpy(),
        "ci_lb": low, "ci_ub": high, "ddf": [model.df] * ddf if finite_df else None, "QM": qm.statistic,
        "QMdf": [qm.df1, qm.df2], "QMp": qm.p, "vcov": model.cov, "QE": model.QE.statistic,
        "QEp": model.QE.p if model.df_resid else 1.0,  # chi-square without degrees of freedom is the constant 0
        "k": model.nobs, "p": model.blocks.p,
        **criteria(model),
    }  # fmt: skip


def criteria(model: Fit) -> dict[str, float]:
    """Log-likelihoods and information criteria; R's deviance is relative to the saturated model."""
    found: dict[str, float] = {}
    for name, reml in (("ML", False), ("REML", True)):
        found[f"ll_{name}"] = model.log_likelihood(reml)
        values = model.information_criteria(reml)
        found.update(
            {f"{criterion}_{name}": value for criterion, value in zip(("AIC", "BIC", "AICc"), values, strict=True)}
        )
    return found


def predictions(model: Fit, expected: Mapping[str, Any] | None, df: float | None = None) -> dict[str, Any] | None:
    """predict() at the first rows of X, as many as R reports."""
    if expected is None:
        return None
    rows = [model.predict(x, pi_df=df) for x in model.blocks.X[: len(expected["pred"])]]
    fields = {"pred": "estimate", "se": "se", "ci_lb": "low", "ci_ub": "high", "pi_lb": "pi_low", "pi_ub": "pi_high"}
    found: dict[str, Any] = {theirs: [getattr(row, ours) for row in rows] for theirs, ours in fields.items()}
    if expected["pi_lb"] is None:  # EE: no prediction interval
        found["pi_lb"] = found["pi_ub"] = np.nan if np.isnan(found["pi_lb"]).all() else found["pi_lb"]
    found["pi_se"] = np.sqrt(model.tau2 + np.square(found["se"]))
    reach = df if df is not None else model.df
    found["pi_dist"] = "t" if np.isfinite(reach) else "norm"
    found["pi_ddf"] = [reach] * len(rows) if np.isfinite(reach) else None
    return found


def at(model: Fit, theta: np.ndarray) -> Fit:
    """The same model with other variance components."""
    found = moments(model.blocks, theta)
    beta, cov, scale = found.beta(), found.cov(), 1.0
    if model.weights is not None:
        beta, cov = weighted_estimate(model.blocks.y, model.vi, model.blocks.X, float(theta[0]), model.weights)
    if model.test in ("knha", "adhoc"):
        scale = knapp_hartung_scale(model.blocks.y, model.vi, model.blocks.X, float(theta[0]), model.test == "adhoc")
    return replace(
        model, beta=beta, cov=scale * cov, scale=scale, tau2=float(theta.sum()),
        sigma2=dict(zip(model.blocks.factors, theta.tolist(), strict=True)),
    )  # fmt: skip


def better_likelihood(ours: Fit, theirs: Fit, reported: float | None = None) -> str | None:
    """Why our maximum is at least as good as R's: the likelihoods agree at R's parameters, and ours is not lower."""
    reml = ours.method != "ML"
    high, low = ours.log_likelihood(reml), theirs.log_likelihood(reml)
    if reported is not None and abs(low - reported) > LIKELIHOOD_RTOL * max(1.0, abs(reported)):
        return None
    return f"our log-likelihood is higher by {high - low:.1e}" if high >= low - LIKELIHOOD_RTOL else None


def theirs_univariate(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's tau^2, when ours solves the estimator's equation at least as well."""
    source = case if case.results.get("tau2") is not None else case.other(f"{case.entry['id'].rpartition('.')[0]}.z")
    tau2 = None if source is None else source.results.get("tau2")
    if tau2 is None:
        return None
    ours = fitted(case)
    theirs = at(ours, np.array([tau2]))
    if ours.method in ("ML", "REML"):
        why = better_likelihood(ours, theirs, source.results["ll_ML" if ours.method == "ML" else "ll_REML"])
    elif ours.method in ("PM", "EB", "PMM"):
        target = chi2_quantile(0.5, ours.df_resid) if ours.method == "PMM" else float(ours.df_resid)
        gaps = [abs(weighted(case.yi, 1 / (case.vi + t), ours.blocks.X).rss - target) for t in (ours.tau2, tau2)]
        why = f"our Q misses its target by {gaps[0]:.1e}, R's by {gaps[1]:.1e}" if gaps[0] <= gaps[1] else None
    elif ours.method == "GENQM":
        gaps = [abs(upper_tail(ours, t) - 0.5) for t in (ours.tau2, tau2)]
        why = median_missed(gaps)
    else:
        why = None
    return (answers(theirs, case), why) if why else None


def median_missed(gaps: list[float]) -> str | None:
    if gaps[0] > SOLVED or gaps[0] >= gaps[1]:
        return None
    return f"P(Q > observed) misses 1/2 by {gaps[1]:.1e} at R's tau^2, by {gaps[0]:.1e} at ours"


def upper_tail(model: Fit, tau2: float) -> float:
    """P(Q > observed) given tau^2; tests/models/test_quadratic_forms.py checks it against Imhof's integral."""
    return generalised_q_tails(model.blocks.y, model.vi, model.blocks.X, model.weights, tau2).upper


def theirs_interval(case: Case) -> tuple[dict[str, Any], str] | None:
    """At R's limits of the generalised Q interval, when ours solve its equation better."""
    model = fitted(case, test="z")
    limits = case.results["tau2"]
    moved = at(model, np.array(limits[:1])) if limits[0] is not None and model.method in ("ML", "REML") else model
    why = better_likelihood(model, moved) if abs(moved.tau2 - model.tau2) > case.rtol * model.tau2 else None
    if why:  # at R's estimate; the limits do not depend on it
        own = answer_interval(case)["tau2"]
        return at_limits(moved, own[1:]), why
    found = model.confint_heterogeneity()
    if case.results.get("ub_sign") == ">":  # R states a bound, where its search stopped, and ours lies beyond it
        beyond = found.tau2.high >= limits[2]
        why = f"R says that the upper limit lies above {limits[2]:g}; ours is {found.tau2.high:.6g}"
        return (at_limits(model, [found.tau2.low, limits[2]]), why) if beyond else None
    if found.method != "generalised Q" or any(limit is None for limit in limits):
        return None
    misses = []
    for ours, r, target in ((found.tau2.low, limits[1], 0.025), (found.tau2.high, limits[2], 0.975)):
        if ours == 0 or r == 0:  # a limit at the boundary solves no equation
            if ours != r:
                return None
            continue
        own, other = (abs(upper_tail(model, t) - target) for t in (ours, r))
        if own > SOLVED or other > SAME_EQUATION:
            return None
        misses.append((own, other))
    worst = max(misses, key=lambda pair: pair[1], default=(0.0, 0.0))
    why = f"the tail of Q misses its target by {worst[1]:.1e} at R's limit, by {worst[0]:.1e} at ours"
    return at_limits(model, limits[1:]), why


def at_limits(model: Fit, limits: list[float]) -> dict[str, Any]:
    """Our estimate, I^2 and H^2 with the limits of tau^2 that R found."""
    tau2, vt = np.array([model.tau2, *limits]), model.typical_variance
    return {"tau2": tau2, "I2": 100 * tau2 / (tau2 + vt), "H2": 1 + tau2 / vt}


def theirs_blup(case: Case) -> tuple[dict[str, Any], str] | None:
    """At R's tau^2, when its Fisher scoring stopped just above the boundary."""
    source = case.other(str(case.entry["id"]).replace(".blup.", ".rma."))
    tau2 = None if source is None else source.results.get("tau2")
    ours = fitted(case)
    if tau2 is None or ours.method not in ("ML", "REML"):
        return None
    theirs = at(ours, np.array([tau2]))
    why = better_likelihood(ours, theirs, source.results["ll_ML" if ours.method == "ML" else "ll_REML"])
    return (shrunken(theirs), why) if why else None


def answer_univariate(case: Case) -> dict[str, Any]:
    return answers(fitted(case), case)


def answers(model: Fit, case: Case) -> dict[str, Any]:
    """All fields of an rma object."""
    riley = case.results.get("predict_riley")
    vt = model.typical_variance if model.df_resid else 0.0  # R writes 0 for the undefined 0 / 0
    return {
        **coefficients(model, btt=case.args.get("btt")), "s2w": model.scale, "tau2": model.tau2,
        "se_tau2": model.tau2_se, "I2": model.I2, "H2": model.H2, "R2": model.R2, "vt": vt,
        "predict": predictions(model, case.results.get("predict")),
        "predict_riley": predictions(model, riley, model.df_resid - 1.0),
    }  # fmt: skip


def answer_interval(case: Case) -> dict[str, Any]:
    kind = case.args.get("type", "default")
    model = fitted(case, test="z")
    found = model.confint_heterogeneity(type=None if kind == "default" else kind)
    return {
        name: [limits.estimate, limits.low, limits.high]
        for name, limits in (("tau2", found.tau2), ("tau", found.tau), ("I2", found.I2), ("H2", found.H2))
    }


def answer_profile(case: Case) -> dict[str, Any]:
    grid = case.results.get("tau2") or case.args.get("tau2") or [0.0]
    chosen = ("xlim", "steps", "parm")  # they make the grid, which is known
    args = {name: value for name, value in case.args.items() if name not in chosen}
    found = fitted(replace(case, entry={**case.entry, "args": args}), test="z").profile(grid)
    return {"tau2": found["tau2"], "ll": found["llf"]}


def answer_blup(case: Case) -> dict[str, Any]:
    return shrunken(fitted(case))


def shrunken(model: Fit) -> dict[str, Any]:
    """Shrunken effects and random effects."""
    pred, se = model.blup()
    reach = float(critical_value(model.level, model.df)) * se
    random = model.ranef()
    return {
        "pred": pred,
        "se": se,
        "pi_lb": pred - reach,
        "pi_ub": pred + reach,
        "ranef": random["estimate"],
        "ranef_se": random["se"],
        "ranef_lb": random["low"],
        "ranef_ub": random["high"],
    }


METAGEN = frozenset({"fn", "method.tau", "method.random.ci", "method.predict", "level", "level.ma", "level.predict"})


def scale_metagen(case: Case, name: str) -> Any:
    """Estimates and limits against their standard error, tau against the typical one of a study."""
    if name == "tau":
        return float(np.median(case.inputs["data"]["sei"]))
    return float(case.results["seTE"]) if name in ("TE", "lower", "upper", "pi_lb", "pi_ub") else 0.0


def answer_metagen(case: Case) -> dict[str, Any]:
    """meta::metagen: the random-effects estimate, its interval and a prediction interval, each by name."""
    args = case.args
    others = set(args) - METAGEN
    if others:
        raise NotSupported(f"metagen: arguments {', '.join(sorted(others))}")
    tests = {"HK": "knha", "KR": "kr", "classic": "z"}
    if args["method.random.ci"] not in tests or args["method.predict"] not in ("HTS", "HK", "KR"):
        raise NotSupported(f"metagen: {args['method.random.ci']}, {args['method.predict']}")
    model = fit(
        yi=case.yi, vi=np.square(case.inputs["data"]["sei"]), method=args["method.tau"],
        test=tests[args["method.random.ci"]], level=args.get("level.ma", args.get("level", 0.95)),
    )  # fmt: skip
    low, high = model.interval()
    new = model.prediction_interval(args["method.predict"], level=args.get("level.predict", 0.95))
    return {
        "TE": model.beta[0], "seTE": model.se[0], "lower": low[0], "upper": high[0],
        "pval": float(model.pvalues.iloc[0]), "df": model.df if np.isfinite(model.df) else None, "pi_lb": new.pi_low,
        "pi_ub": new.pi_high, "df_predict": model.prediction_df(args["method.predict"]), "tau": model.tau,
    }  # fmt: skip


def scale(case: Case, name: str) -> Any:
    """What counts as zero: tau^2 against the sampling variances, estimates against their standard errors."""
    results = case.results
    se = results.get("se")
    unit = float(np.median(case.vi))
    match name:
        case "tau2" | "se_tau2":
            return unit
        case "I2" | "R2":
            return 100.0
        case "beta" | "ci_lb" | "ci_ub":
            return np.nan_to_num(np.array(se, dtype=float))
        case "vcov":
            return np.sqrt(np.outer(np.diag(results["vcov"]), np.diag(results["vcov"])))
        case "predict" | "predict_riley":
            own = results[name]
            return (
                {}
                if own is None
                else {key: np.max(own["pi_se"]) for key in ("pred", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "se", "pi_se")}
            )
        case "pred" | "pi_lb" | "pi_ub" | "ranef" | "se" | "ranef_se" | "ranef_lb" | "ranef_ub":
            return float(np.sqrt(unit))
    return 1.0


UNIVARIATE = Family(answer_univariate, ABOUT_R | {"dev_ML"}, {}, scale, theirs_univariate)
HETEROGENEITY_INTERVAL = Family(answer_interval, ABOUT_R, {}, scale, theirs_interval)
BLUP = Family(answer_blup, ABOUT_R, {}, scale, theirs_blup)
FAMILIES = {
    "rma.uni": UNIVARIATE, "rma.uni.mods": UNIVARIATE, "rma.uni.edge": UNIVARIATE,
    "confint.tau2": HETEROGENEITY_INTERVAL, "blup": BLUP,
    "profile.tau2": Family(answer_profile, ABOUT_R), "metagen": Family(answer_metagen, ABOUT_R, {}, scale_metagen),
}  # fmt: skip
