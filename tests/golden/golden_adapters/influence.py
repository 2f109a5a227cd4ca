"""Case diagnostics: residuals, influence, leave-one-out, cumulative fits, Baujat's plot and permutation tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from catharsis.assess.accumulation import cumulative
from catharsis.assess.contributions import baujat
from catharsis.models.result import Fit
from golden_adapters import univariate
from golden_adapters.case import Case, Family

INFLUENCE = {
    "rstudent": "rstudent", "dffits": "dffits", "cook_d": "cook_d", "cov_r": "cov_r", "tau2_del": "tau2_deleted",
    "QE_del": "QE_deleted", "hat": "hat", "weight": "weight",
}  # fmt: skip
SUMMARY = {
    "estimate": "estimate", "se": "se", "stat": "statistic", "pval": "p", "ci_lb": "low", "ci_ub": "high", "Q": "QE",
    "Qp": "QE_p", "tau2": "tau2", "I2": "I2", "H2": "H2",
}  # fmt: skip


def answer_diagnostics(case: Case) -> dict[str, Any]:
    model = univariate.fitted(case)
    found: dict[str, Any] = {}
    for name, type in (("rstandard", "standardized"), ("rstudent", "studentized")):
        frame = model.residuals(type)
        found |= {f"{name}_{theirs}": frame[ours] for theirs, ours in (("resid", "residual"), ("se", "se"), ("z", "z"))}
    frame = model.influence()
    return {
        **found, "hat": frame["hat"], "weights_pct": frame["weight"], "fitted": model.blocks.X @ model.beta,
    }  # fmt: skip


def answer_influence(case: Case) -> dict[str, Any]:
    frame = univariate.fitted(case).influence()
    dfbetas = frame[[name for name in frame if name.startswith("dfbetas[")]]
    return {
        **{theirs: frame[ours].to_numpy() for theirs, ours in INFLUENCE.items()},
        "is_infl": frame["influential"].to_numpy(), "dfbs": list(dfbetas.to_numpy()),
    }  # fmt: skip


def answer_leave_one_out(case: Case) -> dict[str, Any]:
    model = univariate.fitted(case)
    return _summary(case, model, model.leave_one_out(case.args.get("cluster")))


def answer_cumulative(case: Case) -> dict[str, Any]:
    model = univariate.fitted(case)
    rank = np.empty(model.nobs)
    rank[case.args["order"]] = np.arange(model.nobs)
    return _summary(case, model, cumulative(model, order=rank))


def _summary(case: Case, model: Fit, frame: Any) -> dict[str, Any]:
    found = {theirs: frame[ours].to_numpy() for theirs, ours in SUMMARY.items()}
    if case.results.get("tau2", ...) is None:  # R reports no tau^2 for equal-effects models
        found["tau2"] = None if model.method in ("EE", "FE") else found["tau2"]
    return found


def answer_baujat(case: Case) -> dict[str, Any]:
    frame = baujat(univariate.fitted(case))
    return {"x": frame["heterogeneity"].to_numpy(), "y": frame["influence"].to_numpy()}


FAMILIES = {
    "diagnostics": Family(answer_diagnostics), "influence": Family(answer_influence),
    "leave1out": Family(answer_leave_one_out), "cumul": Family(answer_cumulative), "baujat": Family(answer_baujat),
}  # fmt: skip
