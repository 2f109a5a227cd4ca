"""anova (Wald and likelihood ratio), vif, and location-scale models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from catharsis.models.collinearity import inflation
from catharsis.models.fit import fit
from catharsis.models.location_scale import fit_location_scale
from catharsis.models.result import Fit
from catharsis.numerics import chi2_upper, f_upper
from golden_adapters import univariate
from golden_adapters.case import Case, Family, NotSupported
from golden_adapters.univariate import level_of

OF_THE_TEST = frozenset({"X", "rhs", "btt", "note", "digits"})  # arguments of anova and vif; the others are the model's


def fitted(case: Case) -> Fit:
    """The model that is tested."""
    args = {name: value for name, value in case.args.items() if name not in OF_THE_TEST}
    return univariate.fitted(replace(case, entry={**case.entry, "args": args}))


def answer_wald(case: Case) -> dict[str, Any]:
    args = case.args
    model = fitted(case)
    if "X" in args:
        rows = model.combinations(args["X"], args.get("rhs", 0.0))
        joint = model.wald_test(args["X"], args.get("rhs", 0.0))
        each = {"Xb": "estimate", "se": "se", "stat": "statistic", "pval": "p"}
        found = {theirs: rows[ours].to_numpy() for theirs, ours in each.items()}
    else:
        joint, found = model.wald([position - 1 for position in args["btt"]]), {}
    return {**found, "QM": joint.statistic, "QMdf": [joint.df1, joint.df2], "QMp": joint.p}


def theirs_wald(case: Case) -> tuple[dict[str, Any], str] | None:
    """R's joint statistic, when it lies within the rounding of the covariance that it shares with ours.

    To first order z' S^-1 z moves by x' E x, x = S^-1 z, when S = L cov L' has the error E; a unit in the last
    place of cov is |E| <= eps |L| |cov| |L|'. Beside an uncentred year that is many digits.
    """
    if "X" not in case.args:
        return None
    model, own, theirs = fitted(case), answer_wald(case), case.results["QM"]
    L = np.atleast_2d(np.array(case.args["X"], dtype=float))
    x = np.linalg.solve(L @ model.cov @ L.T, L @ model.beta - case.args.get("rhs", 0.0))
    error = np.finfo(float).eps * (abs(x) @ (abs(L) @ abs(model.cov) @ abs(L).T) @ abs(x))
    df1, df2 = own["QMdf"]
    exact = own["QM"] * (1.0 if np.isinf(df2) else df1)
    given = theirs * (1.0 if np.isinf(df2) else df1)
    if not abs(given - exact) <= error:
        return None
    p = chi2_upper(given, df1) if np.isinf(df2) else f_upper(theirs, df1, df2)
    return {**own, "QM": theirs, "QMp": p}, f"rounding moves the joint statistic by up to {error:.1e}"


def answer_ratio(case: Case) -> dict[str, Any]:
    full = fit(yi=case.yi, vi=case.vi, X=case.X, method="ML", test="z")
    reduced = fit(yi=case.yi, vi=case.vi, method="ML", test="z")
    test = full.compare(reduced)
    r2 = 0.0 if np.isnan(test.R2) else test.R2
    return {
        "LRT": test.statistic, "pval": test.p, "df": test.df, "R2": r2,
        "ll_f": test.frame.loc["larger", "log_likelihood"], "ll_r": test.frame.loc["smaller", "log_likelihood"],
    }  # fmt: skip


def answer_vif(case: Case) -> dict[str, Any]:
    """One coefficient at a time, or the generalised factor of the coefficients at R's positions `btt`."""
    model = fitted(case)
    btt = case.args.get("btt")
    if btt is None:
        return {"vif": model.vif()["vif"].to_numpy()}
    keep = [i for i, term in enumerate(model.design.terms) if term != "intercept"]
    groups = btt if isinstance(btt, list) and isinstance(btt[0], list) else [np.atleast_1d(btt)]
    places = [[keep.index(int(position) - 1) for position in group] for group in groups]
    values = inflation(model.cov[np.ix_(keep, keep)], places)
    sizes = np.array([len(group) for group in groups])
    return {"vif": values, "sif": values ** (0.5 / sizes), "gvif": values, "gsif": values ** (0.5 / sizes), "m": sizes}


def answer_scale(case: Case) -> dict[str, Any]:
    args = case.args
    others = set(args) - {"fn", "method", "test", "link", "level", "digits"}
    if others:
        raise NotSupported(f"location_scale: arguments {', '.join(sorted(others))}")
    model = fit_location_scale(
        yi=case.yi, vi=case.vi, X=case.X, scale=np.array(case.inputs["Z"], dtype=float), link=args.get("link", "log"),
        method=args.get("method", "REML"), test=args.get("test", "z"), level=level_of(args),
    )  # fmt: skip
    limits = model.scale_conf_int()
    return {
        "beta": model.beta, "se": model.bse.to_numpy(), "pval": model.pvalues.to_numpy(),
        "alpha": model.alpha, "se_alpha": model.scale_bse.to_numpy(), "pval_alpha": model.scale_pvalues.to_numpy(),
        "ci_lb_alpha": limits["low"].to_numpy(), "ci_ub_alpha": limits["high"].to_numpy(), "tau2": model.tau2,
        "QM": model.QM.statistic, "QMp": model.QM.p, "QS": model.QS.statistic, "QSp": model.QS.p, "ll": model.llf,
    }  # fmt: skip


OF_ALPHA = ("alpha", "se_alpha", "pval_alpha", "ci_lb_alpha", "ci_ub_alpha", "QS", "QSp")
SECOND_DERIVATIVES = 5e-4  # R's are numerical; worst seen 3.4e-4 (dat.bcg), where ours equal those of 50 digits
LEVEL = 1e-8  # log-likelihood units: R's alpha is the same maximum as ours when not further below


def theirs_scale(case: Case) -> tuple[dict[str, Any], str] | None:
    """The location part at R's alpha, when our likelihood is at least as high (tests/models/test_location_scale.py).

    Where R stopped short of the maximum, or none exists, its alpha and everything about it are not compared; at the
    same maximum they agree to the precision of R's numerical second derivatives (the test named above holds ours
    against derivatives of 50 digits).
    """
    args, results = case.args, case.results
    Z, alpha = np.array(case.inputs["Z"], dtype=float), np.array(results["alpha"], dtype=float)
    tau2 = np.exp(Z @ alpha) if args["link"] == "log" else Z @ alpha
    theirs = fit(yi=case.yi, vi=case.vi + tau2, X=case.X, method="EE", test="z")
    at_theirs = theirs.log_likelihood(args["method"] == "REML")
    own = answer_scale(case)
    ours = own["ll"]
    if abs(at_theirs - results["ll"]) > 1e-8 * max(1.0, abs(at_theirs)) or ours < at_theirs - 1e-8:
        return None
    finite = args["test"] != "z"
    factor = theirs.QE.statistic / theirs.df_resid if args["test"] in ("knha", "adhoc") else 1.0
    there = replace(
        theirs, cov=theirs.cov * factor, df=float(theirs.df_resid) if finite else float("inf"), test=args["test"]
    )
    answer = {
        "beta": there.beta, "se": there.se, "pval": there.pvalues.to_numpy(), "tau2": tau2,
        "QM": there.QM.statistic, "QMp": there.QM.p, "ll": at_theirs,
    }  # fmt: skip
    elsewhere = ours > at_theirs + LEVEL or not np.isfinite(own["se_alpha"]).all()
    for name in OF_ALPHA:
        near = np.allclose(own[name], np.array(results[name], dtype=float), rtol=SECOND_DERIVATIVES, atol=LEVEL)
        answer[name] = ... if elsewhere or near else own[name]
    return answer, f"our log-likelihood is higher by {ours - at_theirs:.1e}"


def scale(case: Case, name: str) -> Any:
    match name:
        case "tau2":
            return float(np.median(case.vi))
        case "R2":
            return 100.0
        case "beta":
            return np.nan_to_num(np.array(case.results["se"], dtype=float))
        case "alpha" | "ci_lb_alpha" | "ci_ub_alpha":
            return np.nan_to_num(np.array(case.results["se_alpha"], dtype=float))
    return 0.0 if name == "vif" or name.startswith("se") else 1.0


FAMILIES = {
    "anova.wald": Family(answer_wald, scale=scale, theirs=theirs_wald),
    "anova.lrt": Family(answer_ratio, scale=scale),
    "vif": Family(answer_vif, scale=scale),
    "location_scale": Family(answer_scale, frozenset({"ll_gap"}), scale=scale, theirs=theirs_scale),
}
