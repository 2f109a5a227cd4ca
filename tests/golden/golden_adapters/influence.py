"""Case diagnostics: residuals, influence, leave-one-out, cumulative fits, Baujat's plot and permutation tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from catharsis.assess.accumulation import cumulative
from catharsis.assess.contributions import baujat
from catharsis.assess.permutation import permutation_test
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from golden_adapters import univariate
from golden_adapters.case import Case, Family, NotSupported

LOWER = 1e-6  # log-likelihood units between two maxima, not within one (a step of 30 tolerances costs about 1e-8)
FISHER = 1e-11  # R stops when tau^2 moves by less than 1e-12, whatever its size (README)
INFLUENCE = {
    "rstudent": "rstudent", "dffits": "dffits", "cook_d": "cook_d", "cov_r": "cov_r", "tau2_del": "tau2_deleted",
    "QE_del": "QE_deleted", "hat": "hat", "weight": "weight",
}  # fmt: skip
SUMMARY = {
    "estimate": "estimate", "se": "se", "stat": "statistic", "pval": "p", "ci_lb": "low", "ci_ub": "high", "Q": "QE",
    "Qp": "QE_p", "tau2": "tau2", "I2": "I2", "H2": "H2",
}  # fmt: skip


OWN = frozenset(
    {
        "order",
        "order_note",
        "collapse",
        "cluster",
        "transf",
        "exact",
        "iter",
        "permci",
        "btt",
        "type",
        "digits",
        "progbar",
    }
)  # arguments of the diagnostics themselves; all others are those of the model
TRANSFORMATIONS = {"exp": np.exp, "transf.ztor": np.tanh, "transf.ilogit": lambda x: 1 / (1 + np.exp(-x))}


def fitted(case: Case) -> Fit:
    """The model that is examined."""
    args = {name: value for name, value in case.args.items() if name not in OWN}
    return univariate.fitted(replace(case, entry={**case.entry, "args": args}))


def at_theirs(case: Case) -> Fit:
    """The model at R's tau^2, which the case of the fit itself tells, when our likelihood is not lower; else ours."""
    model = fitted(case)
    wanted = {"fn": "rma", "method": model.method, "test": "z"}
    found = [
        entry["results"]
        for entry in case.document["cases"]
        if entry["input"] == case.entry["input"] and entry["args"] == wanted and entry.get("results")
    ]
    if model.method not in ("ML", "REML") or not found or found[0].get("tau2") is None:
        return model
    there = univariate.at(model, np.array([found[0]["tau2"]]))
    return there if univariate.better_likelihood(model, there) else model


def answer_diagnostics(case: Case, model: Fit | None = None) -> dict[str, Any]:
    model = fitted(case) if model is None else model
    found: dict[str, Any] = {}
    inner = "conditional" if case.args.get("type") == "conditional" else "standardized"
    for name, type in (("rstandard", inner), ("rstudent", "studentized")):
        frame = model.residuals(type)
        found |= {f"{name}_{theirs}": frame[ours] for theirs, ours in (("resid", "residual"), ("se", "se"), ("z", "z"))}
    frame = model.influence()
    return {
        **found, "hat": frame["hat"], "weights_pct": frame["weight"], "fitted": model.residuals("response")["fitted"],
    }  # fmt: skip


def answer_influence(case: Case, model: Fit | None = None) -> dict[str, Any]:
    frame = (fitted(case) if model is None else model).influence()
    dfbetas = frame[[name for name in frame if name.startswith("dfbetas[")]]
    return {
        **{theirs: frame[ours].to_numpy() for theirs, ours in INFLUENCE.items()},
        "is_infl": [None if flag is pd.NA else bool(flag) for flag in frame["influential"]],
        "dfbs": list(dfbetas.to_numpy()),
    }  # fmt: skip


def answer_leave_one_out(case: Case) -> dict[str, Any]:
    model = fitted(case)
    by = case.args.get("cluster")
    return _summary(case, model, model.leave_one_out(case.inputs["data"][by] if isinstance(by, str) else by))


def answer_cumulative(case: Case) -> dict[str, Any]:
    model = fitted(case)
    order = case.args.get("order")
    if isinstance(order, list):  # the rows in their order, not what they are sorted by
        rank = np.empty(model.nobs)
        rank[order] = np.arange(model.nobs)
        order = rank
    elif order is not None:
        order = case.inputs["data"][order]
    return _summary(case, model, cumulative(model, order, collapse=bool(case.args.get("collapse", False))))


def _summary(case: Case, model: Fit, frame: Any) -> dict[str, Any]:
    found = {theirs: frame[ours].to_numpy() for theirs, ours in SUMMARY.items()}
    if "transf" in case.args:
        if case.args["transf"] not in TRANSFORMATIONS:
            raise NotSupported(f"transformation {case.args['transf']}")
        for name in ("estimate", "ci_lb", "ci_ub"):
            found[name] = TRANSFORMATIONS[case.args["transf"]](found[name])
        found["se"] = np.full(len(frame), np.nan)  # R gives none on the transformed scale
    if case.results.get("tau2", ...) is None:  # R reports no tau^2 for equal-effects models
        found["tau2"] = None if model.method in ("EE", "FE") else found["tau2"]
    return found


def elsewhere(case: Case, sets: list[np.ndarray], theirs: Sequence[float | None] | None) -> tuple[list[int], float]:
    """Fits to the row sets `sets` whose tau^2 differs in R, at no higher likelihood; how much lower it is at most."""
    model = fitted(case)
    if model.method not in ("ML", "REML") or theirs is None or model.weights is not None or len(theirs) != len(sets):
        return [], 0.0
    found, most = [], 0.0
    for i, (rows, tau2) in enumerate(zip(sets, theirs, strict=True)):
        if tau2 is None or len(rows) <= model.blocks.p:
            continue
        ours = fit(yi=case.yi[rows], vi=case.vi[rows], X=model.blocks.X[rows], method=model.method, test="z")
        there = univariate.at(ours, np.array([tau2]))
        gain = ours.log_likelihood(model.method == "REML") - there.log_likelihood(model.method == "REML")
        if gain > LOWER or (gain >= -univariate.LIKELIHOOD_RTOL and case.rtol * tau2 < abs(ours.tau2 - tau2) < FISHER):
            found.append(i)
            most = max(most, gain)
    return found, most


def all_but_one(case: Case) -> list[np.ndarray]:
    everything = np.arange(len(case.yi))
    return [np.delete(everything, i) for i in everything]


def without(answer: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    """The answer with nothing at some rows."""
    found = {}
    for name, values in answer.items():
        found[name] = list(values) if np.ndim(values) else values
        for i in rows if np.ndim(values) else ():
            one = found[name][i]
            found[name][i] = [...] * len(one) if np.ndim(one) else ...
    return found


def theirs_rows(answer: Mapping[str, Any], rows: list[int], most: float) -> Any:
    reason = (
        f"R stopped where the log-likelihood is lower by up to {most:.1e}, in {len(rows)} of the fits without a row"
    )
    return without(answer, rows), reason


def theirs_leave_one_out(case: Case) -> tuple[dict[str, Any], str] | None:
    return theirs_rows(answer_leave_one_out(case), *elsewhere(case, all_but_one(case), case.results.get("tau2")))


def theirs_cumulative(case: Case) -> tuple[dict[str, Any], str] | None:
    order = case.args.get("order")
    if not isinstance(order, list) or case.args.get("collapse"):
        return None
    sets = [np.array(order[: i + 1]) for i in range(len(order))]
    return theirs_rows(answer_cumulative(case), *elsewhere(case, sets, case.results.get("tau2")))


def theirs_deleted(
    answer: Callable[[Case, Fit], dict[str, Any]],
) -> Callable[[Case], tuple[dict[str, Any], str] | None]:
    """For what rests on the fits without each effect; their tau^2 in R stand in the case of `influence`."""

    def again(case: Case) -> tuple[dict[str, Any], str] | None:
        theirs = next(
            (
                entry["results"]["tau2_del"]
                for entry in (case.entry, *case.document["cases"])
                if entry["family"] == "influence" and entry.get("results") and entry["input"] == case.entry["input"]
                and entry["args"]["method"] == case.args["method"]
            ),
            None,
        )  # fmt: skip
        return theirs_rows(answer(case, at_theirs(case)), *elsewhere(case, all_but_one(case), theirs))

    return again


def theirs_diagnostics(case: Case) -> tuple[dict[str, Any], str] | None:
    """As `theirs_deleted`, and without residual over standard error where an effect is fitted exactly: 0 / 0."""
    again = theirs_deleted(answer_diagnostics)(case)
    answer, reason = again if again is not None else (answer_diagnostics(case, at_theirs(case)), "")
    certain = [i for i, se in enumerate(answer["rstandard_se"]) if se is not ... and se == 0]
    if certain:
        answer = {**answer, **without({"rstandard_z": answer["rstandard_z"]}, certain)}
        reason += f"{len(certain)} effects are fitted exactly, and R divides rounding by rounding"
    return (answer, reason) if reason else None


def answer_baujat(case: Case, model: Fit | None = None) -> dict[str, Any]:
    frame = baujat(fitted(case) if model is None else model)
    return {"x": frame["heterogeneity"].to_numpy(), "y": frame["influence"].to_numpy()}


def answer_permutation(case: Case) -> dict[str, Any]:
    args = case.args
    model = fitted(case)
    btt = args.get("btt")
    found = permutation_test(
        model, exact=args.get("exact", False), iterations=args.get("iter", 1000),
        rng=np.random.default_rng(1), interval=args.get("permci", False),
        joint=None if btt is None else [model.design.terms[int(i) - 1] for i in np.atleast_1d(btt)],
    )  # fmt: skip
    return {
        "pval": found.pvalues.to_numpy(), "QMp": found.QM_p, "exact_iter": found.permutations if found.exact else None,
        "ci_lb": found.low.to_numpy(), "ci_ub": found.high.to_numpy(),
    }  # fmt: skip


UNITLESS = 1e-2  # of a standard error, for quantities in standard errors and for ratios of variances


def scale(case: Case, name: str) -> Any:
    """What counts as zero: tau^2 against the sampling variances, residuals against their standard errors."""
    unit = float(np.median(case.vi))
    match name:
        case "tau2" | "tau2_del":
            return unit
        case "I2" | "weight" | "weights_pct":
            return 100.0
        case "QE_del" | "Q":
            return 1.0
        case "hat" | "rstandard_z" | "rstudent_z" | "rstudent" | "dffits" | "cook_d" | "cov_r" | "dfbs" | "x" | "y":
            return UNITLESS
        case "estimate" | "ci_lb" | "ci_ub" | "fitted" | "rstandard_resid" | "rstandard_se" | "rstudent_resid":
            return UNITLESS * float(np.sqrt(unit))
    return 0.0


FAMILIES = {
    "diagnostics": Family(answer_diagnostics, scale=scale, theirs=theirs_diagnostics),
    "influence": Family(answer_influence, scale=scale, theirs=theirs_deleted(answer_influence)),
    "leave1out": Family(answer_leave_one_out, scale=scale, theirs=theirs_leave_one_out),
    "cumul": Family(answer_cumulative, scale=scale, theirs=theirs_cumulative),
    "baujat": Family(answer_baujat, scale=scale, theirs=theirs_deleted(answer_baujat)),
    "permutest": Family(answer_permutation, scale=scale),
}  # fmt: skip
