"""rma.uni, its edge cases, confint of tau^2 and blup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from catharsis.likelihood.marginal import moments
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS, weighted
from catharsis.models.knapp_hartung import knapp_hartung_scale
from catharsis.models.result import Fit
from golden_adapters.case import ESTIMATORS_LATER, PROFILE, RANDOM_EFFECTS, Case, Family, NotSupported

ABOUT_R = frozenset({"converged_step", "order", "lb_at_boundary", "ub_sign"})
LIKELIHOOD_RTOL = 1e-8  # DESIGN section 8: our log-likelihood at R's parameters against R's


def fitted(case: Case, method: str | None = None, test: str | None = None) -> Fit:
    """Our fit of a univariate case."""
    args = case.args
    method = method or args["method"]
    if method not in ESTIMATORS or "weights" in args:
        raise NotSupported(ESTIMATORS_LATER)
    return fit(yi=case.yi, vi=case.vi, X=case.X, method=method, test=test or args.get("test", "z"))


def coefficients(model: Fit, ddf: int = 1) -> dict[str, Any]:
    """The fields that every rma object has; R repeats the degrees of freedom `ddf` times."""
    low, high = model.interval()
    qm = model.QM
    finite_df = np.isfinite(model.df)
    return {
        "beta": model.beta, "se": model.se, "stat": model.statistic, "pval": model.pvalues.to_numpy(),
        "ci_lb": low, "ci_ub": high, "ddf": [model.df] * ddf if finite_df else None, "QM": qm.statistic,
        "QMdf": [qm.df1, qm.df2], "QMp": qm.p, "vcov": model.cov, "QE": model.QE.statistic, "QEp": model.QE.p,
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
    scale = 1.0
    if model.test in ("knha", "adhoc"):
        scale = knapp_hartung_scale(model.blocks.y, model.vi, model.blocks.X, float(theta[0]), model.test == "adhoc")
    return replace(
        model, beta=found.beta(), cov=scale * found.cov(), scale=scale, tau2=float(theta.sum()),
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
    elif ours.method == "PM":
        gaps = [abs(weighted(case.yi, 1 / (case.vi + t), ours.blocks.X).rss - ours.df_resid) for t in (ours.tau2, tau2)]
        why = f"our Q misses k - p by {gaps[0]:.1e}, R's by {gaps[1]:.1e}" if gaps[0] <= gaps[1] else None
    else:
        why = None
    return (answers(theirs, case), why) if why else None


SATURATED = "k = p: R writes 0 or 1 for undefined fields and counts tau^2, which cannot be estimated, as a parameter"
SATURATED_FIELDS = frozenset(
    {"vt", "QEp", "R2", "predict", "AIC_ML", "AIC_REML", "AICc_ML", "AICc_REML", "BIC_ML", "BIC_REML"}
)


def known_univariate(case: Case, reasons: list[str]) -> str | None:
    fields = {reason.split(":")[0].split(".")[0].split("[")[0] for reason in reasons}
    saturated = len(case.yi) == (1 if case.X is None else case.X.shape[1])
    return SATURATED if saturated and fields <= SATURATED_FIELDS else None


def known_interval(case: Case, reasons: list[str]) -> str | None:
    if case.results.get("ub_sign") == ">" and all("[2]:" in reason for reason in reasons):
        return "R stopped its search below the upper limit of tau^2"
    return None


def answer_univariate(case: Case) -> dict[str, Any]:
    return answers(fitted(case), case)


def answers(model: Fit, case: Case) -> dict[str, Any]:
    """All fields of an rma object."""
    riley = case.results.get("predict_riley")
    return {
        **coefficients(model), "s2w": model.scale, "tau2": model.tau2, "se_tau2": model.tau2_se, "I2": model.I2,
        "H2": model.H2, "R2": model.R2, "vt": model.typical_variance,
        "predict": predictions(model, case.results.get("predict")),
        "predict_riley": predictions(model, riley, model.df_resid - 1.0),
    }  # fmt: skip


def answer_interval(case: Case) -> dict[str, Any]:
    if case.args["type"] == "PL":
        raise NotSupported(PROFILE)
    model = fitted(case, test="z")
    return intervals(model)


def intervals(model: Fit) -> dict[str, Any]:
    """Estimate and limits of tau^2, I^2 and H^2."""
    tau2 = np.array([model.tau2, *model.confint_heterogeneity()])
    return {
        "tau2": tau2,
        "I2": 100 * tau2 / (tau2 + model.typical_variance),
        "H2": 1 + tau2 / model.typical_variance,
    }


def answer_blup(case: Case) -> dict[str, Any]:
    model = fitted(case)
    pred, se = model.blup()
    reach = 1.959963984540054 * se
    return {
        "pred": pred,
        "se": se,
        "pi_lb": pred - reach,
        "pi_ub": pred + reach,
        "ranef": pred - model.blocks.X @ model.beta,
    }


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
        case "pred" | "pi_lb" | "pi_ub" | "ranef" | "se":
            return float(np.sqrt(unit))
    return 1.0


UNIVARIATE = Family(answer_univariate, ABOUT_R | {"dev_ML"}, {}, scale, theirs_univariate, known_univariate)
HETEROGENEITY_INTERVAL = Family(answer_interval, ABOUT_R, {}, scale, known=known_interval)
BLUP = Family(answer_blup, ABOUT_R, dict.fromkeys(("ranef_se", "ranef_lb", "ranef_ub"), RANDOM_EFFECTS), scale)
FAMILIES = {
    "rma.uni": UNIVARIATE, "rma.uni.mods": UNIVARIATE, "rma.uni.edge": UNIVARIATE,
    "confint.tau2": HETEROGENEITY_INTERVAL, "blup": BLUP,
}  # fmt: skip
