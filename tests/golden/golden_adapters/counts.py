"""rma.mh, rma.peto and rma.glmm: pooled counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from catharsis.models.mantel_haenszel import mantel_haenszel
from catharsis.models.peto import peto
from golden_adapters.case import Case, Family, NotSupported

CELLS = ("ai", "bi", "ci", "di", "n1i", "n2i", "x1i", "t1i", "x2i", "t2i", "xi", "mi", "ni", "ti")


def columns(case: Case) -> dict[str, Any]:
    """The counts of a case, by R's argument names."""
    return {
        name: np.array(values, dtype=float)  # R's NA is null
        for name, values in case.inputs["data"].items()
        if name in CELLS
    }


def options(case: Case, *names: str) -> dict[str, Any]:
    """R's arguments under our names."""
    found = {name: case.args[name] for name in names if name in case.args}
    known = {"fn", "measure", "level", "digits", "verbose", "slab", "control", "mods", "intercept", *names}
    unknown = set(case.args) - known
    if unknown:
        raise NotSupported(f"counts: the option {', '.join(sorted(unknown))}")
    for name in ("add", "to", "drop00"):
        if isinstance(found.get(name), list):
            found[name] = tuple(found[name]) if len(found[name]) > 1 else found[name][0]
    if "level" in case.args:
        found["level"] = case.args["level"] / 100 if case.args["level"] > 1 else case.args["level"]
    return found


def pooled(model: Any) -> dict[str, Any]:
    """The fields that rma.mh and rma.peto share."""
    low, high = model.interval()
    return {
        "beta": model.beta, "se": model.se, "stat": model.statistic, "pval": model.pvalues.to_numpy(),
        "ci_lb": low, "ci_ub": high, "QE": model.QE.statistic, "QEp": model.QE.p, "k": model.nobs, "I2": model.I2,
        "H2": model.H2, "vcov": model.cov, "ll": model.llf, "AIC": model.aic, "BIC": model.bic, "yi": model.yi,
        "vi": model.vi, "k_yi": int(np.isfinite(model.yi).sum()), "p": 1,
    }  # fmt: skip


def answer_mantel_haenszel(case: Case) -> dict[str, Any]:
    chosen = options(case, "add", "to", "drop00", "correct")
    model = mantel_haenszel(case.args["measure"], **columns(case), **chosen)
    return scalars(case, {
        **pooled(model), "MH": model.MH.statistic, "MHp": model.MH.p, "BD": model.BD.statistic, "BDp": model.BD.p,
        "TA": model.TA.statistic, "TAp": model.TA.p, "BDdf": model.BD.df1, "TAdf": model.TA.df1,
    })  # fmt: skip


def answer_peto(case: Case) -> dict[str, Any]:
    return scalars(case, pooled(peto(**columns(case), **options(case, "add", "to", "drop00"))))


def scalars(case: Case, answer: dict[str, Any]) -> dict[str, Any]:
    """One coefficient as a number where R's is one."""
    return {
        name: value[0] if np.ndim(value) == 1 and len(value) == 1 and not isinstance(case.results.get(name), list) else value
        for name, value in answer.items()
    }


def scale(case: Case, name: str) -> float:
    """What counts as zero: estimates against their standard errors, tests against 1."""
    if name in ("beta", "ci_lb", "ci_ub"):
        return float(np.max(np.nan_to_num(np.array(case.results["se"], dtype=float))))
    return {"I2": 100.0, "QE": 1.0, "MH": 1.0, "BD": 1.0, "TA": 1.0, "H2": 1.0}.get(name, 0.0)


FAMILIES = {
    "rma.mh": Family(answer_mantel_haenszel, scale=scale),
    "rma.peto": Family(answer_peto, scale=scale),
}
