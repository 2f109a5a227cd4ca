"""Small-study effects: regtest, ranktest, trimfill, fsn, tes, hc, PET-PEESE, limitmeta, metabias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from catharsis.assess.copas_interval import henmi_copas, pivot_tail
from catharsis.assess.dispersion import Regression
from catharsis.assess.file_drawer import failsafe_n, with_null_studies
from catharsis.assess.funnel_rank import rank_test
from catharsis.assess.funnel_regression import EggerTest, egger, predictor_values
from catharsis.assess.limit_effect import limit_meta
from catharsis.assess.precision_effect import pet_peese
from catharsis.assess.significance_count import excess_significance
from catharsis.assess.trimming import TrimAndFill, trim_and_fill
from catharsis.assess.unrestricted_weights import uwls, waap
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from catharsis.numerics import root
from golden_adapters.case import Case, Family, NotSupported
from golden_adapters.comparison import TINY_P
from golden_adapters.univariate import at, better_likelihood

SIDES = {"two.sided": "two-sided", "greater": "greater", "less": "less"}
# R's root finder and its integrate() are asked for eps^0.25 = 1.2e-4 (their manual pages); in tes the former misses by
# up to 0.27 of that (worst seen: dat.hannum2020, proportions)
INTEGRATE = float(np.finfo(float).eps) ** 0.25
UNIROOT_HC = 1.5 * INTEGRATE  # a quantile of a tail that is itself an integral
UNIROOT = 0.28 * INTEGRATE


def option(case: Case, name: str, default: Any) -> Any:
    """An argument of R, its default when it is missing or null."""
    value = case.args.get(name)
    return default if value is None else value


def refuse_unknown(case: Case, *known: str) -> None:
    """Every argument must be one that the adapter passes on."""
    unknown = sorted(set(case.args) - {"fn", "note", "digits", "verbose", "progbar", "ret.fit", *known})
    if unknown:
        raise NotSupported(f"assess: options {', '.join(unknown)} of {case.args.get('fn')}")


def level(case: Case) -> float:
    """R writes 95 or 0.95."""
    value = float(option(case, "level", 95))
    return value / 100 if value >= 1 else value


def variances(case: Case) -> np.ndarray:
    data = case.inputs["data"]
    return np.square(np.array(data["sei"], dtype=float)) if "vi" not in data else case.vi


# -- regtest -----------------------------------------------------------------------------------------------------------
def tested(case: Case) -> EggerTest:
    refuse_unknown(case, "method", "model", "predictor", "test", "level")
    ni = case.inputs["data"].get("ni")
    return egger(
        case.yi, variances(case), predictor=option(case, "predictor", "sei"), model=option(case, "model", "rma"),
        ni=None if ni is None else np.array(ni, dtype=float), X=case.X, method=option(case, "method", "REML"),
        test=option(case, "test", "z"), level=level(case),
    )  # fmt: skip


def regtest_fields(found: EggerTest) -> dict[str, Any]:
    low, high = found.limit_interval
    return {
        "stat": found.statistic, "pval": found.pvalue, "df": found.df if np.isfinite(found.df) else None,
        "limit_est": found.limit, "limit_ci_lb": low, "limit_ci_ub": high, "fit_beta": found.regression.beta,
        "tau2": found.tau2,
    }  # fmt: skip


def answer_regtest(case: Case) -> dict[str, Any]:
    return regtest_fields(tested(case))


def theirs_regtest(case: Case) -> tuple[Mapping[str, Any], str] | None:
    """The test at R's tau^2, when ours has the higher likelihood."""
    found = tested(case)
    if found.model != "rma":
        return None
    v = variances(case)
    ni = case.inputs["data"].get("ni")
    column = predictor_values(found.predictor, v, None if ni is None else np.array(ni, dtype=float))
    X = np.ones((len(v), 1)) if case.X is None else case.X
    X = np.column_stack([X, column])
    model = fit(yi=case.yi, vi=v, X=X, method=found.method, test=found.test, level=found.level)
    other = theirs_at_tau2(model, case.results.get("tau2"))
    if other is None:
        return None
    there, why = other
    dfs = np.broadcast_to(there.df, there.beta.shape)
    regression = replace(found.regression, beta=there.beta, cov=there.cov, df=dfs)
    return regtest_fields(replace(found, regression=regression, tau2=there.tau2)), why


# -- the others --------------------------------------------------------------------------------------------------------
def answer_ranktest(case: Case) -> dict[str, Any]:
    refuse_unknown(case, "method")
    found = rank_test(case.yi, variances(case))
    return {"tau": found.tau, "pval": found.pvalue}


def trimmed(case: Case) -> TrimAndFill:
    refuse_unknown(case, "method", "test", "estimator", "side", "ilim", "maxiter", "level")
    side = option(case, "side", "auto")
    return trim_and_fill(
        case.yi, variances(case), side=None if side == "auto" else side, estimator=option(case, "estimator", "L0"),
        method=option(case, "method", "REML"), test=option(case, "test", "z"), limits=option(case, "ilim", None),
        ties="rows", max_steps=option(case, "maxiter", 100), level=level(case),
    )  # fmt: skip


def trimfill_fields(found: TrimAndFill, model: Fit) -> dict[str, Any]:
    low, high = model.interval()
    return {
        "k0": found.k0, "se_k0": found.se_k0, "p_k0": found.p_k0, "side": found.side, "beta": model.beta,
        "se": model.se, "pval": model.pvalues.to_numpy(), "ci_lb": low, "ci_ub": high, "tau2": model.tau2,
        "I2": model.I2, "QE": model.QE.statistic, "yi_filled": found.filled_yi, "vi_filled": found.filled_vi,
    }  # fmt: skip


def answer_trimfill(case: Case) -> dict[str, Any]:
    found = trimmed(case)
    return trimfill_fields(found, found.fit)


def theirs_at_tau2(model: Fit, tau2: float | None) -> tuple[Fit, str] | None:
    """The model at R's tau^2, when ours has the higher likelihood."""
    if tau2 is None or model.method not in ("REML", "ML"):
        return None
    theirs = at(model, np.array([tau2]))
    why = better_likelihood(model, theirs)
    return (theirs, why) if why else None


def tau2_from_se(model: Fit, se: float) -> float | None:
    """The tau^2 at which the average has the standard error that R reports, for cases that leave tau^2 out."""

    def gap(tau2: float) -> float:
        return float(np.sum(1 / (model.vi + tau2))) - se**-2

    high = 4 * model.tau2 + float(np.median(model.vi))
    return root(gap, 0.0, high) if model.test == "z" and gap(0.0) > 0 > gap(high) else None


def theirs_trimfill(case: Case) -> tuple[Mapping[str, Any], str] | None:
    found = trimmed(case)
    other = theirs_at_tau2(found.fit, case.results.get("tau2") or tau2_from_se(found.fit, case.results["se"][0]))
    return None if other is None else (trimfill_fields(found, other[0]), other[1])


def answer_fsn(case: Case) -> dict[str, Any]:
    refuse_unknown(case, "type", "method", "alpha", "target", "exact", "weighted")
    kind = option(case, "type", "Rosenthal")
    weighted = option(case, "weighted", True)
    found = failsafe_n(
        case.yi, variances(case) if weighted or kind != "Orwin" else None, kind=kind, alpha=option(case, "alpha", 0.05),
        target=option(case, "target", None), method=option(case, "method", "REML"), exact=option(case, "exact", False),
    )  # fmt: skip
    return {
        "fsnum": found.n, "pval": found.pvalue, "meanes": found.estimate, "target": found.target,
        "est": found.estimate, "tau2": found.tau2, "est_fsn": found.estimate_with, "tau2_fsn": found.tau2_with,
        "pval_fsn": found.pvalue_with,
    }  # fmt: skip


def theirs_fsn(case: Case) -> tuple[Mapping[str, Any], str] | None:
    """The answer at R's N and tau^2.

    R documents the minimum number of studies but reports, in half of the cases, one more than that: at ours p is
    above alpha, at one less it is not.
    """
    ours, results = answer_fsn(case), case.results
    if case.args.get("type") != "General" or case.args.get("target") is not None or case.args.get("exact"):
        return None
    model = fit(yi=case.yi, vi=variances(case), method=option(case, "method", "REML"), test="z")
    alpha, n, why = option(case, "alpha", 0.05), ours["fsnum"], ""
    if abs(results["tau2"] - model.tau2) > case.rtol * results["tau2"]:
        other = theirs_at_tau2(model, results["tau2"])
        if other is None:
            return None
        model, why = other[0], f"{other[1]}; "

    def added(count: float) -> tuple[float, float, float]:
        return with_null_studies(case.yi, variances(case), int(count), method=model.method, tau2=model.tau2)

    theirs = results["fsnum"]
    counts = [c for c in (theirs - 1, theirs) if c >= 0]
    smallest = next((c for c in counts if added(c)[2] >= alpha and (c == 0 or added(c - 1)[2] < alpha)), None)
    if smallest is None or (not why and smallest != n):
        return None
    estimate, tau2, p = added(theirs)
    if smallest != theirs:
        why += f"p exceeds alpha with {smallest:.0f} studies, not with {smallest - 1:.0f}; R says {theirs:.0f}"
    return {
        **ours, "fsnum": theirs, "est": float(model.beta[0]), "tau2": model.tau2, "est_fsn": estimate,
        "tau2_fsn": tau2, "pval_fsn": p,
    }, why  # fmt: skip


def answer_tes(case: Case) -> dict[str, Any]:
    refuse_unknown(
        case, "method", "H0", "alternative", "alpha", "theta", "tau2", "test", "tes.alternative", "tes.alpha"
    )
    test = option(case, "test", None)
    found = excess_significance(
        case.yi, variances(case), null=option(case, "H0", 0.0),
        alternative=SIDES[option(case, "alternative", "two.sided")],
        alpha=option(case, "alpha", 0.05), theta=option(case, "theta", None), tau2=option(case, "tau2", None),
        test={"binomial": "binom"}.get(test, test), excess=SIDES[option(case, "tes.alternative", "greater")],
        limit_alpha=option(case, "tes.alpha", 0.10),
    )  # fmt: skip
    limits = found.limits
    return {
        "k": found.k, "O": found.observed, "E": found.expected, "OEratio": found.ratio, "X2": found.statistic,
        "pval": found.pvalue, "theta": found.theta, "tau2": found.tau2 if case.args.get("tau2") is not None else None,
        "power": found.power, "sig": [bool(s) for s in found.significant],
        "theta_lim": limits[0] if len(limits) == 1 else list(limits),
    }  # fmt: skip


def theirs_tes(case: Case) -> tuple[Mapping[str, Any], str] | None:
    """R's limit estimates, when they lie within the tolerance of its root finder of ours, whose p is closer."""
    ours, theirs = answer_tes(case), case.results.get("theta_lim")
    pairs = list(zip(np.atleast_1d(ours["theta_lim"]), theirs if isinstance(theirs, list) else [theirs], strict=True))
    excess = option(case, "tes.alternative", "greater")
    for i, (mine, other) in enumerate(pairs):
        if other is None:
            continue
        if not abs(mine - other) <= UNIROOT:
            return None
        towards = excess if excess != "two.sided" else ("greater", "less")[i]
        goal = option(case, "tes.alpha", 0.10) / (2 if excess == "two.sided" else 1)
        options = {**case.args, "tes.alternative": towards}
        gaps = []
        for theta in (mine, other):
            entry = {**case.entry, "args": {**options, "theta": float(theta)}}
            gaps.append(abs(answer_tes(replace(case, entry=entry))["pval"] - goal))
        if not gaps[0] <= gaps[1]:
            return None
    return {**ours, "theta_lim": theirs}, "p at our limit estimate is closer to tes.alpha than at R's"


def answer_hc(case: Case) -> dict[str, Any]:
    refuse_unknown(case, "method", "level")
    found = henmi_copas(case.yi, variances(case), level=level(case))
    return {"beta": found.estimate, "se": found.se, "ci_lb": found.low, "ci_ub": found.high, "tau2": found.tau2}


def theirs_hc(case: Case) -> tuple[Mapping[str, Any], str] | None:
    """R's interval, when its critical value lies within the tolerance of R's root finder of ours, which is closer."""
    ours, results = answer_hc(case), case.results
    tail = (1 - level(case)) / 2
    mine, other = ((each["ci_ub"] - each["beta"]) / each["se"] for each in (ours, results))
    gaps = [abs(pivot_tail(1 / variances(case), ours["tau2"], u) - tail) for u in (mine, other)]
    if not ((abs(mine - other) <= UNIROOT_HC or gaps[1] <= INTEGRATE) and gaps[0] <= gaps[1]):
        return None
    reach = other * ours["se"]
    return {**ours, "ci_lb": ours["beta"] - reach, "ci_ub": ours["beta"] + reach}, (
        f"our critical value misses its probability by {gaps[0]:.0e}, R's by {gaps[1]:.0e}"
    )


def regression_fields(found: Regression) -> dict[str, Any]:
    low, high = found.interval()
    return {
        "beta": found.beta, "se": found.se, "stat": found.statistic, "pval": found.p, "ci_lb": low, "ci_ub": high,
        "df": float(found.df[0]), "sigma": np.sqrt(found.scale),
    }  # fmt: skip


def answer_pet_peese(case: Case) -> dict[str, Any]:
    refuse_unknown(case)
    fn = case.args["fn"]
    if fn.startswith("UWLS over"):
        found = waap(case.yi, variances(case))
        return {"n_powered": found.n_powered, **({} if found.waap is None else regression_fields(found.waap))}
    if "~ 1" in fn:
        return regression_fields(uwls(case.yi, variances(case)))
    both = pet_peese(case.yi, variances(case))
    return regression_fields(both.pet if "sei" in fn else both.peese)


def answer_limitmeta(case: Case) -> dict[str, Any]:
    refuse_unknown(case, "method.adjust", "tau", "level.ma")
    found = limit_meta(
        case.yi, variances(case), adjust=option(case, "method.adjust", "beta0"), method=option(case, "tau", "REML"),
        level=option(case, "level.ma", 0.95),
    )  # fmt: skip
    return {
        "TE_adjust": found.estimate, "seTE_adjust": found.se, "lower": found.low, "upper": found.high,
        "pval": found.pvalue, "alpha_r": found.alpha, "beta_r": found.beta, "Q": found.Q, "Q_small": found.Q_small,
        "Q_resid": found.Q_resid, "G2": found.G2, "tau": found.tau, "TE_limit": found.limit_yi,
    }  # fmt: skip


def answer_metabias(case: Case) -> dict[str, Any]:
    refuse_unknown(case, "method.bias", "correct", "k.min")
    kind = option(case, "method.bias", "Egger")
    v = variances(case)
    if kind == "Begg":
        found = rank_test(case.yi, v)
        corrected = option(case, "correct", False)
        statistic, p = found.corrected() if corrected else (found.statistic, found.normal_pvalue)
        return {
            "statistic": statistic, "pval": p, "df": None, **shown(case, found.score, found.score_se), "tau2": [],
        }  # fmt: skip
    if kind == "Egger":
        test = egger(case.yi, v, model="lm")
        tau2 = test.regression.scale
    elif kind == "Thompson":
        test = egger(case.yi, v, method="REML", test="t")
        tau2 = test.tau2
    else:
        raise NotSupported(f"assess: metabias method {kind}")
    slope, se = float(test.regression.beta[-1]), float(test.regression.se[-1])
    return {"statistic": test.statistic, "pval": test.pvalue, "df": test.df, **shown(case, slope, se), "tau2": tau2}


def theirs_metabias(case: Case) -> tuple[Mapping[str, Any], str] | None:
    """The test of Thompson at R's tau^2, when ours has the higher likelihood."""
    if case.args.get("method.bias") != "Thompson":
        return None
    v = variances(case)
    model = fit(yi=case.yi, vi=v, X=np.column_stack([np.ones(len(v)), np.sqrt(v)]), method="REML", test="t")
    other = theirs_at_tau2(model, case.results.get("tau2"))
    if other is None:
        return None
    found, why = other
    fields = {
        "statistic": found.statistic[-1], "pval": found.pvalues.iloc[-1], "df": found.df, "tau2": found.tau2,
        **shown(case, float(found.beta[-1]), float(found.se[-1])),
    }  # fmt: skip
    return fields, why


def shown(case: Case, bias: float, se: float) -> dict[str, float | None]:
    """R names bias and its standard error differently by version: null where the file has none."""
    fields = {"bias": bias, "se_bias": se}
    return {name: value if case.results.get(name) is not None else None for name, value in fields.items()}


def scale(case: Case, name: str) -> Any:
    unit = float(np.median(variances(case)))
    match name:
        case "fit_beta":  # the slope against its standard error
            beta, stat = np.array(case.results["fit_beta"], dtype=float), case.results["stat"]
            return [float(np.sqrt(unit))] * (len(beta) - 1) + [abs(beta[-1] / stat) if stat else np.inf]
        case "power":  # R's tails end at 1e-308
            return TINY_P / case.rtol
        case "tau2" | "tau2_fsn":
            return unit
        case (
            "tau" | "se" | "beta" | "limit_est" | "limit_ci_lb" | "limit_ci_ub" | "ci_lb" | "ci_ub" | "lower" | "upper"
        ):
            return float(np.sqrt(unit))
        case "stat" | "statistic" | "X2":
            return 1.0
        case "I2":
            return 100.0
    return 0.0


FAMILIES = {
    "regtest": Family(answer_regtest, scale=scale, theirs=theirs_regtest),
    "ranktest": Family(answer_ranktest, scale=scale),
    "trimfill": Family(answer_trimfill, scale=scale, theirs=theirs_trimfill),
    "fsn": Family(answer_fsn, scale=scale, theirs=theirs_fsn),
    "tes": Family(answer_tes, scale=scale, theirs=theirs_tes),
    "hc": Family(answer_hc, scale=scale, theirs=theirs_hc),
    "pet_peese": Family(answer_pet_peese, scale=scale),
    "limitmeta": Family(answer_limitmeta, scale=scale),
    "metabias": Family(answer_metabias, scale=scale, theirs=theirs_metabias),
}  # fmt: skip
