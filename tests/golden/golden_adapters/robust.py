"""robust.uni and robust.mv: metafor's robust() and clubSandwich."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from catharsis.models.correlated_effects import fit_robust
from catharsis.models.result import Fit
from catharsis.models.robust import Robust
from catharsis.models.saddlepoint import _saddlepoint, form_weights, tail
from catharsis.numerics import f_upper, two_sided_p
from golden_adapters import multilevel, univariate
from golden_adapters.case import STRUCTURES, Case, Family, NotSupported


@lru_cache(maxsize=8)
def _fit(dataset: str, name: str) -> Fit:
    return (
        multilevel.fitted(_SOURCES[dataset, name])
        if name.count(".mv.")
        else univariate.fitted(_SOURCES[dataset, name], "REML", "z")
    )


PROOF = "(tests/golden/test_disagreements.py)"
_SOURCES: dict[tuple[str, str], Case] = {}  # the case that describes each working model


def working_model(case: Case) -> tuple[Fit, Case]:
    """The fit whose errors are made robust, and the case that describes it."""
    name, source = case.args["model"], replace(case, entry={**case.entry, "args": {"method": "REML", "test": "z"}})
    if case.family == "robust.mv":
        found = case.other(name)
        if found is None or found.family not in ("rma.mv.sigma", "rma.mv.struct"):
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
    theirs = multilevel.at(model, multilevel.their_theta(source, model))
    why = univariate.better_likelihood(model, theirs, source.results["ll_REML"])
    return (answers(theirs, clusters(case, source), case), why) if why else None


def known_robust(case: Case, reasons: list[str]) -> str | None:
    if len(reasons) == 1 and "CR3 cannot leave out" in reasons[0]:
        return f"I - H of one cluster is singular: R inverts rounding noise, we refuse {PROOF}"
    if all("nan, R has" in reason for reason in reasons):
        return f"one cluster determines a coefficient: R divides rounding noise, we say nan {PROOF}"
    return multilevel.known_source(case, reasons) if case.family == "robust.mv" else None


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
        "p_satt": found.p, "ci_lb": low, "ci_ub": high,
        "p_saddle": saddlepoints(case, found) if "p_saddle" in case.results else ...,
    }  # fmt: skip


def _positions(found: Robust) -> list[int]:
    return [i for i, term in enumerate(found.terms) if term != "intercept"] or [0]


def _coefficients(found: Robust) -> dict[str, Any]:
    low, high = found.interval()
    return {
        "beta": found.beta, "se": found.se, "stat": found.statistic, "pval": found.p, "ci_lb": low, "ci_ub": high,
    }  # fmt: skip


def _metafor(found: Robust) -> dict[str, Any]:
    joint = found.wald(_positions(found))
    if np.isnan(joint.statistic):  # no degrees of freedom left: metafor writes zeros
        joint = replace(joint, statistic=0.0, df2=0.0)
    return {
        **_coefficients(found), "ddf": found.df, "QM": joint.statistic, "QMdf": [joint.df1, joint.df2],
        "QMp": joint.p, "vcov": found.cov,
    }  # fmt: skip


def _residual(model: Fit, cluster: list[object], adjust: bool) -> dict[str, Any]:
    """metafor's own robust(): CR0 or CR1p with m - p degrees of freedom throughout."""
    found = model.robust(cluster, "CR1p" if adjust else "CR0")
    df = float(found.m - len(found.beta))
    found = found.with_df(df)
    chosen = _positions(found)
    b, inner = found.beta[chosen], found.cov[np.ix_(chosen, chosen)]
    singular = np.linalg.cond(inner) > 1 / np.finfo(float).eps  # R cannot invert it either, and has no joint test
    statistic = np.nan if singular else float(b @ np.linalg.solve(inner, b)) / len(chosen)
    return {
        **_coefficients(found), "QM": statistic, "QMdf": [len(chosen), df],
        "QMp": f_upper(statistic, len(chosen), df), "df": df, "n_clusters": found.m,
    }  # fmt: skip


def _wald(found: Robust, tests: list[str]) -> dict[str, Any]:
    """clubSandwich's seven tests; it writes 0 where a Hotelling test has no degrees of freedom left."""
    chosen = list(range(1, len(found.beta)))
    rows = [found.wald(chosen, test) for test in tests]
    return {
        "test": tests, "Fstat": [0.0 if np.isnan(row.statistic) else row.statistic for row in rows],
        "df_num": [row.df1 for row in rows],
        "df_denom": [row.df2 for row in rows], "p_val": [row.p for row in rows],
    }  # fmt: skip


UNIROOT = float(np.finfo(float).eps ** 0.25)


def saddlepoints(case: Case, found: Robust) -> list[float]:
    """p_saddle, R's where its root search explains the gap.

    clubSandwich finds the saddlepoint by uniroot() at its documented default tolerance, .Machine$double.eps^0.25 =
    1.2e-4 in s, and the tail formula's 0/0 near s = 0 magnifies that. R's p is accepted when the formula gives it at an
    s that is no further from the exact zero of K'.
    """
    rows = []
    for i, (t, ours, theirs) in enumerate(
        zip(found.statistic, found.p_saddlepoint, case.results["p_saddle"], strict=True)
    ):
        rows.append(float(ours))
        if theirs is None or not np.isfinite(ours):
            continue
        terms = t**2 * form_weights(found.within[:, i, i], found.shared[:, :, i])
        s = _saddlepoint(terms)
        near = [tail(x, terms) for x in s + UNIROOT * np.linspace(-1, 1, 41)]
        if min(near) <= theirs <= max(near) or abs(theirs - ours) <= 2 * np.finfo(float).eps:  # or 1 - cdf, as below
            rows[-1] = theirs
    return rows


def scale(case: Case, name: str) -> Any:
    return 0.0 if name in ("vcov", "df_satt", "ddf", "df", "se") else univariate.scale(case, name)


ROBUST = Family(answer_robust, frozenset(), {}, scale, theirs_robust, known_robust)


def from_cdf(ours: np.ndarray, theirs: list[float | None]) -> list[float]:
    """R's p where it is ours to the rounding of 2 (1 - cdf), which loses the digits of small p."""
    near = [
        other is not None and abs(p - other) <= 2 * np.finfo(float).eps for p, other in zip(ours, theirs, strict=True)
    ]
    return [other if close else p for p, other, close in zip(ours, theirs, near, strict=True)]


def answer_robumeta(case: Case) -> dict[str, Any]:
    args = case.args
    found = fit_robust(
        yi=case.yi, vi=case.vi, X=case.X, cluster=list(case.frame[case.inputs["study"]]), rho=args["rho"],
        dependence=args["modelweights"], small=args["small"],
    )  # fmt: skip
    low, high = found.robust.interval()
    return {
        "beta": found.robust.beta, "se": found.robust.se, "stat": found.robust.statistic, "df": found.robust.df,
        "pval": from_cdf(found.robust.p, case.results.get("pval", found.robust.p)),
        "ci_lb": low, "ci_ub": high,
        "tau2": found.working.tau2, "I2": found.working.I2, "omega2": found.working.omega2,
    }  # fmt: skip


FAMILIES = {
    "robumeta": Family(answer_robumeta, scale=scale, known=known_robust),
    "robust.uni": ROBUST,
    "robust.mv": ROBUST,
}
