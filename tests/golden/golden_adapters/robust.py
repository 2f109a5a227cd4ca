"""robust.uni and robust.mv: metafor's robust() and clubSandwich."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from catharsis.models.result import Fit
from catharsis.models.robust import Robust
from catharsis.numerics import f_upper, two_sided_p
from golden_adapters import multilevel, univariate
from golden_adapters.case import SADDLEPOINT, STRUCTURES, Case, Family, NotSupported


@lru_cache(maxsize=8)
def _fit(dataset: str, name: str) -> Fit:
    return (
        multilevel.fitted(_SOURCES[dataset, name])
        if name.count(".mv.")
        else univariate.fitted(_SOURCES[dataset, name], "REML", "z")
    )


_SOURCES: dict[tuple[str, str], Case] = {}  # the case that describes each working model


def working_model(case: Case) -> tuple[Fit, Case]:
    """The fit whose errors are made robust, and the case that describes it."""
    name, source = case.args["model"], case
    if case.family == "robust.mv":
        found = case.other(name)
        if found is None or found.family != "rma.mv.sigma":
            raise NotSupported(STRUCTURES)
        # the degrees of freedom of the model do not enter the robust ones
        source = replace(found, entry={**found.entry, "args": {**found.args, "dfs": None}})
    _SOURCES.setdefault((case.dataset, name), source)
    return _fit(case.dataset, name), source


def clusters(case: Case, source: Case) -> list[object]:
    """The labels by which R clusters."""
    return list(case.inputs["data"]["cluster"]) if case.family == "robust.uni" else multilevel.cluster(source)


def answer_robust(case: Case) -> dict[str, Any]:
    model, source = working_model(case)
    return answers(model, clusters(case, source), case)


def theirs_robust(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's variance components, when our likelihood is at least as high."""
    model, source = working_model(case)
    if case.family == "robust.uni":
        return None
    theirs = univariate.at(model, multilevel.their_theta(source, model))
    why = univariate.better_likelihood(model, theirs, source.results["ll_REML"])
    return (answers(theirs, clusters(case, source), case), why) if why else None


def known_robust(case: Case, reasons: list[str]) -> str | None:
    if any("lie in different clusters" in reason for reason in reasons):
        return "R computes although the clusters cut through a crossed random effect; we refuse"
    if any("CR3 cannot leave out" in reason for reason in reasons):
        return "I - H is singular: R inverts rounding noise, we refuse"
    noise = any(se is None or se < 1e-6 for se in case.results.get("se", ()))
    if noise and all("nan, R has" in reason for reason in reasons):
        return "one cluster determines a coefficient: R divides rounding noise, we say nan"
    return None


def answers(model: Fit, cluster: list[object], case: Case) -> dict[str, Any]:
    """The fields of robust(), coef_test() or Wald_test()."""
    args = case.args
    if args["fn"] == "robust":
        return (
            _metafor(model.robust(cluster, "CR2"))
            if args["clubSandwich"]
            else _residual(model, cluster, args["adjust"])
        )
    if args["fn"] == "clubSandwich::Wald_test":
        return _wald(model.robust(cluster, args["vcov"]), case.results.get("test", []))
    found = model.robust(cluster, args["vcov"])
    low, high = found.interval()
    return {
        "se": found.se, "p_naive_t": two_sided_p(found.statistic, found.m - 1.0), "df_satt": found.df,
        "p_satt": found.pvalues, "ci_lb": low, "ci_ub": high,
    }  # fmt: skip


def _positions(found: Robust) -> list[int]:
    return [i for i, term in enumerate(found.terms) if term != "intercept"] or [0]


def _metafor(found: Robust) -> dict[str, Any]:
    low, high = found.interval()
    joint = found.wald(_positions(found))
    return {
        "beta": found.beta, "se": found.se, "stat": found.statistic, "pval": found.pvalues, "ci_lb": low, "ci_ub": high,
        "ddf": found.df, "QM": joint.statistic, "QMdf": [joint.df1, joint.df2], "QMp": joint.p, "vcov": found.cov,
    }  # fmt: skip


def _residual(model: Fit, cluster: list[object], adjust: bool) -> dict[str, Any]:
    """metafor's own robust(): CR0 or CR1p with m - p degrees of freedom throughout."""
    found = model.robust(cluster, "CR1p" if adjust else "CR0")
    df = float(found.m - len(found.beta))
    found = replace(found, df=np.full(len(found.beta), df))
    chosen = _positions(found)
    b, inner = found.beta[chosen], found.cov[np.ix_(chosen, chosen)]
    statistic = float(b @ np.linalg.solve(inner, b)) / len(chosen)
    return {
        **{name: value for name, value in _metafor(found).items() if name not in ("ddf", "vcov")},
        "QM": statistic, "QMdf": [len(chosen), df], "QMp": f_upper(statistic, len(chosen), df), "df": df,
        "n_clusters": found.m,
    }  # fmt: skip


def _wald(found: Robust, tests: list[str]) -> dict[str, Any]:
    """HTZ of clubSandwich's seven tests; the naive ones follow from the same quadratic form."""
    chosen = list(range(1, len(found.beta)))
    joint = found.wald(chosen)
    at = {"HTZ": (joint.statistic, joint.df1, joint.df2, joint.p)}
    rows = [at.get(test, (...,) * 4) for test in tests]
    return {
        "test": tests,
        **{name: [row[i] for row in rows] for i, name in enumerate(("Fstat", "df_num", "df_denom", "p_val"))},
    }


def scale(case: Case, name: str) -> Any:
    return 0.0 if name in ("vcov", "df_satt", "ddf", "df", "se") else univariate.scale(case, name)


ROBUST = Family(answer_robust, frozenset(), {"p_saddle": SADDLEPOINT}, scale, theirs_robust, known_robust)
FAMILIES = {"robust.uni": ROBUST, "robust.mv": ROBUST}
