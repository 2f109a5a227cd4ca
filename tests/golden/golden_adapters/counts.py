"""rma.mh, rma.peto and rma.glmm: pooled counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.counts_marginal import find_modes, log_likelihood_at_modes
from catharsis.likelihood.counts_maximum import Arrow, Maximum, maximise
from catharsis.models.count_model import coefficient_covariance, saturated_with_random_levels, support
from catharsis.models.generalised_linear import GeneralisedLinear, fit_counts
from catharsis.models.mantel_haenszel_estimate import mantel_haenszel
from catharsis.models.peto_estimate import peto
from catharsis.models.wald import wald_test
from catharsis.numerics import chi2_upper
from golden_adapters.case import Case, Family, NotSupported
from golden_adapters.comparison import judge

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
        name: value[0]
        if np.ndim(value) == 1 and len(value) == 1 and not isinstance(case.results.get(name), list)
        else value
        for name, value in answer.items()
    }


def scale(case: Case, name: str) -> float:
    """What counts as zero: estimates against their standard errors, tests against 1."""
    if name in ("beta", "ci_lb", "ci_ub"):
        return float(np.max(np.nan_to_num(np.array(case.results["se"], dtype=float))))
    return {"I2": 100.0, "QE": 1.0, "MH": 1.0, "BD": 1.0, "TA": 1.0, "H2": 1.0}.get(name, 0.0)


# -- rma.glmm --------------------------------------------------------------------------------------------------------
GLMM_OPTIONS = ("test", "add", "to", "drop00", "cor", "btt")


def points(case: Case) -> int:
    """R's number of quadrature points; always 1 for UM.RS with ML.

    The golden script recorded nAGQ = 1 for UM.RS as a whole, though its own warning in the ML case shows that it asked
    for more, which the EE case then had.
    """
    asked = int(case.args.get("nAGQ", 7))
    if case.args.get("model") == "UM.RS":
        if case.args["method"] == "ML":
            return 1
        sibling = case.other(case.entry["id"].removesuffix("EE") + "ML")
        told = "" if sibling is None else str(sibling.entry.get("message"))
        if "nAGQ automatically set to 1" in told or (sibling is not None and sibling.status == "error"):
            return 7
    return asked


def fitted(case: Case) -> GeneralisedLinear:
    """Our fit of a case."""
    args = case.args
    chosen = options(case, *GLMM_OPTIONS, "model", "method", "nAGQ", "coding")
    chosen.pop("nAGQ", None)
    chosen.setdefault("method", "ML")
    if "btt" in chosen:
        chosen["btt"] = [int(i) - 1 for i in np.atleast_1d(chosen["btt"])]
    if isinstance(chosen.get("coding"), str):
        chosen["coding"] = {"1/2": 0.5}.get(chosen["coding"], chosen["coding"])
    return fit_counts(args["measure"], **columns(case), X=case.X, nagq=points(case), **chosen)


def answer_glmm(case: Case) -> dict[str, Any]:
    return glmm(fitted(case))


def glmm(model: GeneralisedLinear) -> dict[str, Any]:
    """The fields of an rma.glmm object."""
    low, high = model.interval()
    finite = np.isfinite(model.df)
    return {
        "beta": model.beta, "se": model.se, "stat": model.statistic, "pval": model.pvalues.to_numpy(),
        "ci_lb": low, "ci_ub": high, "vcov": model.cov, "tau2": model.tau2, "I2": model.I2, "H2": model.H2,
        "sigma2": model.sigma2, "rho": model.rho, "vt": model.typical_variance,
        "QE_Wld": model.QE_Wld.statistic, "QEp_Wld": model.QE_Wld.p, "QE_LRT": model.QE_LRT.statistic,
        "QEp_LRT": model.QE_LRT.p, "QE_df": model.QE_Wld.df1, "QM": model.QM.statistic, "QMp": model.QM.p,
        "QMdf": [model.QM.df1, model.QM.df2], "ll": model.llf, "AIC": model.aic, "BIC": model.bic, "AICc": model.aicc,
        "k": model.nobs, "p": len(model.beta), "ddf": model.df if finite else None,
    }  # fmt: skip


def scale_glmm(case: Case, name: str) -> float:
    """What counts as zero: effects against their standard errors, tests against 1, variances against se^2."""
    se = float(np.max(np.array(case.results["se"], dtype=float)))
    if name == "tau2":
        return se**2
    return {"QE_Wld": 1.0, "QE_LRT": 1.0, "QM": 1.0, "sigma2": 1.0}.get(name, scale(case, name))


LAPLACE = (
    "lme4 evaluates Laplace's approximation at modes that its iterations have not reached (tests/models/"
    "test_counts_glmm.py), so its finite differences, hence these standard errors, are off by up to 2%; the estimates "
    "agree"
)
EARLY = (
    "R's search for the saturated model stopped early (tests/models/test_counts_glmm.py): our log-likelihood is higher "
    "by {:.1e}"
)
NUMDERIV = (
    "R differentiates the conditional likelihood numerically (numDeriv, r = 16), which fails here; the exact Hessian "
    "(tests/models/test_counts_glmm.py) is ours; the estimates agree"
)
AT_MODES = "R's ll is that of the counts given the random effects at their modes, not the marginal one"
FALLBACK = "falling back to var-cov estimated from RX"
CURVATURE = frozenset({"se", "stat", "pval", "ci_lb", "ci_ub", "vcov", "QE_Wld", "QEp_Wld", "QM", "QMp"})
LARGEST_ERROR = 0.02  # of a standard error or Wald statistic; the worst seen is 0.014
EXACT_RTOL, LME4_RTOL = 1e-8, 1e-5  # DESIGN section 8; lme4 stops its inner iterations short of the modes


def by_lme4(model: GeneralisedLinear) -> bool:
    """Whether R fits this model with lme4 (else with glm, or for CM.EL of odds ratios with its own code)."""
    return model.model == "UM.RS" or (model.method == "ML" and (model.measure, model.model) != ("OR", "CM.EL"))


def r_log_likelihood(model: GeneralisedLinear) -> tuple[float, str]:
    """What R calls the log-likelihood of a model, and why it is not ours."""
    psi, theta = model.arrow.local(model.maximum.shared, model.maximum.own)
    if model.model == "UM.RS":
        if model.points == 1:
            return model.llf, ""
        best = 0.0
        for outcome in model.arrow.model.outcomes:
            low, high = support(outcome)
            y = outcome.y
            with np.errstate(divide="ignore", invalid="ignore"):
                eta = np.log(y) if np.isinf(high).any() else np.log(y / (high - y))
            rows = np.flatnonzero((y > low) & (y < high))
            family = outcome.family.subset(rows)
            best += np.sum(y[rows] * eta[rows] - family.cumulants(eta[rows], 2)[0] + family.log_base(y[rows]))
        return model.llf - float(best), "lme4 leaves the saturated model's log-likelihood out with several nodes"
    if by_lme4(model):
        return log_likelihood_at_modes(model.arrow.model, psi, theta), AT_MODES
    return model.llf, ""


def held_at(model: GeneralisedLinear, case: Case) -> GeneralisedLinear:
    """The same model with R's coefficients and variances, everything else at its best."""
    results = case.results
    first = 1 if model.model == "UM.RS" else 0
    p = len(model.beta)
    shared, held = model.maximum.shared.copy(), np.ones(len(model.maximum.shared), dtype=bool)
    held[:first] = False
    shared[first : first + p] = results["beta"]
    tau2, sigma2 = float(results["tau2"] or 0.0), results.get("sigma2")
    if model.model == "UM.RS":
        shared[first + p] = np.sqrt(sigma2)
    if model.method == "ML":
        shared[-1] = np.sqrt(tau2)
    found = maximise(model.arrow, shared, model.maximum.own, held)
    cov = coefficient_covariance(found, slice(first, first + p))
    beta = shared[first : first + p]
    tested = [i for i, term in enumerate(model.terms) if term != "intercept"] or [0]
    return replace(
        model, beta=beta, cov=cov, tau2=tau2, sigma2=float("nan") if sigma2 is None else sigma2, llf=found.llf,
        maximum=found, QM=wald_test(beta[tested], cov[np.ix_(tested, tested)], model.df),
    )  # fmt: skip


def working_precision(arrow: Arrow, found: Maximum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Information of shared, own and both parameters with the variances held: lme4's covariance "from RX"."""
    psi, theta = arrow.local(found.shared, found.own)
    model = arrow.model
    loading = model.random @ theta
    eta = np.stack([o.offset for o in model.outcomes], 1) + psi.T @ model.fixed.T
    eta += find_modes(model, psi, loading) @ loading.T
    parts = [o.used * o.family.cumulants(eta[:, g], 2)[2] for g, o in enumerate(model.outcomes)]
    weight = np.sqrt(np.stack(parts, 1))
    inner = np.eye(len(parts)) + weight[:, :, None] * (loading @ loading.T) * weight[:, None, :]
    V = weight[:, :, None] * np.linalg.inv(inner) * weight[:, None, :]
    D = np.einsum("ga,kap->kgp", model.fixed, arrow.maps[:, : len(psi)])
    shared = np.einsum("kgp,kgh,khq->pq", D, V, D)
    if arrow.own is None:
        return shared, np.zeros(len(weight)), np.zeros((len(weight), shared.shape[1]))
    f = model.fixed[:, arrow.own]
    return shared, np.einsum("g,kgh,h->k", f, V, f), np.einsum("kgp,kgh,h->kp", D, V, f)


def from_rx(model: GeneralisedLinear) -> tuple[np.ndarray, float]:
    """Covariance of the coefficients and Wald statistic of heterogeneity of UM.RS, as lme4's fallback gives them."""
    p = len(model.beta)
    cov = np.linalg.inv(working_precision(model.arrow, model.maximum)[0][: 1 + p, : 1 + p])[1:, 1:]
    arrow = saturated_with_random_levels(model.arrow.model.outcomes, model.points)
    start = np.array([model.maximum.shared[0], max(abs(model.maximum.shared[1 + p]), 0.1)])
    found = maximise(arrow, start, model.X @ model.beta)
    whole, own, cross = working_precision(arrow, found)
    precision = np.diag(own) - np.outer(cross[:, 0], cross[:, 0]) / whole[0, 0]
    effect = np.where(arrow.free, found.own, 0.0)
    within = model.X.T @ precision @ model.X
    score = model.X.T @ precision @ effect
    return cov, float(effect @ precision @ effect - score @ np.linalg.solve(within, score))


def nearer(value: float, first: float, second: float) -> float:
    return first if abs(first - value) <= abs(second - value) else second


def theirs_glmm(case: Case) -> tuple[dict[str, Any], str] | None:
    """Our answer in R's terms: its log-likelihood, its fallback and, where it stopped early, its parameters."""
    ours, results = fitted(case), case.results
    needed = [results.get(name) for name in ("beta", "se", "tau2", "ll", "QE_Wld", "QE_LRT")]
    needed += [results.get("sigma2")] if ours.model == "UM.RS" else []
    if None in needed or None in needed[0]:
        return None  # R has no estimate
    model, reasons = ours, []
    correlated = len(ours.maximum.shared) == len(ours.beta) + 4
    try:  # R keeps its correlation of levels and effects to itself
        there = ours if correlated else held_at(ours, case)
    except ModelError:
        return None  # the likelihood at R's parameters is out of reach
    if ours.llf < there.llf - EXACT_RTOL * (1 + abs(there.llf)):
        return None
    ll, why = r_log_likelihood(there)
    tolerance = EXACT_RTOL
    if by_lme4(ours):  # given the modes it is not at its own maximum, so that errors of R's unreported levels enter it
        tolerance = case.rtol if why == AT_MODES else LME4_RTOL
    if abs(ll - results["ll"]) > tolerance * (1 + abs(results["ll"])):
        return None
    gap = np.max(np.abs(ours.beta - np.array(results["beta"])) / np.array(results["se"]))
    if gap > case.rtol or abs(ours.tau2 - results["tau2"]) > case.rtol * (results["tau2"] or np.inf):
        model = there
        reasons.append(f"our log-likelihood is higher by {ours.llf - there.llf:.1e}")
    ll, why = r_log_likelihood(model)
    reasons += [why] if why else []
    if correlated:
        model = replace(model, parameters=model.parameters - 1)
        reasons.append("R does not count the correlation of levels and effects as a parameter")
    answer = glmm(replace(model, llf=ll))
    if FALLBACK in str(case.entry.get("message")) and ours.model == "UM.RS":
        cov, statistic = from_rx(model)
        if abs(np.sqrt(cov[0, 0]) - results["se"][0]) < abs(model.se[0] - results["se"][0]):
            answer = glmm(replace(model, llf=ll, cov=cov))
        found = nearer(results["QE_Wld"], model.QE_Wld.statistic, statistic)
        answer |= {"QE_Wld": found, "QEp_Wld": chi2_upper(found, model.QE_Wld.df1)}
        reasons.append("R says that it fell back to the covariance with the variances held")
    return answer, "; ".join(reasons) or "R's parameters"


def known_glmm(case: Case, reasons: list[str]) -> str | None:
    """Standard errors and Wald tests that R gets from a bad numerical Hessian, everything else in agreement."""
    again = theirs_glmm(case)
    if again is None:
        return None
    verdict = judge(case, Family(lambda _: again[0], scale=scale_glmm))
    fields = {reason.split(":")[0].split("[")[0] for reason in verdict.reasons}
    if not fields <= CURVATURE:
        return None
    results, ours = case.results, again[0]
    if case.args.get("model") == "CM.EL" and case.args["measure"] == "OR":
        return NUMDERIV
    gaps = [
        np.max(np.abs(np.array(ours[name]) - results[name]) - LARGEST_ERROR * np.abs(results[name]))
        for name in ("se", "QE_Wld")
    ]
    if case.args.get("model") != "UM.RS" or max(gaps) > 0:
        return None
    if points(case) == 1:
        return LAPLACE
    gain = (ours["QE_LRT"] - results["QE_LRT"]) / 2 + fitted(case).llf - held_at(fitted(case), case).llf
    return EARLY.format(gain) if gain > 0 and fields <= {"QE_Wld", "QEp_Wld"} else None


FAMILIES = {
    "rma.mh": Family(answer_mantel_haenszel, scale=scale),
    "rma.peto": Family(answer_peto, scale=scale),
    "rma.glmm": Family(answer_glmm, scale=scale_glmm, theirs=theirs_glmm, known=known_glmm),
}
