"""rma.mv with random intercepts."""

from __future__ import annotations

from typing import Any

import numpy as np

from catharsis.likelihood.blocks import sampling_covariance
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from golden_adapters.case import CONTAINMENT, OTHER_V, STRUCTURES, Case, Family, NotSupported
from golden_adapters.univariate import at, better_likelihood, coefficients, predictions, scale

NOT_HERE = frozenset({"tau2", "rho", "gamma2", "phi", "g_levels", "ll_gap_between_optimizers", "dev_ML"})


def fitted(case: Case) -> Fit:
    """Our fit of an rma.mv case with random intercepts."""
    args = case.args
    if args.get("dfs"):
        raise NotSupported(CONTAINMENT)
    frame = case.frame.copy()
    for column in frame.columns:  # grouping columns of R are compared by value; text moderators are factors
        if frame[column].dtype == object:
            frame[column] = frame[column].astype(str)
    random = [part.removeprefix("~1 | ") for part in args["random"] if part != "NULL"]
    if any(part.startswith("~") for part in random):
        raise NotSupported(STRUCTURES)
    spec = case.inputs["Vspec"]
    V: Any = None
    if case.inputs.get("V") is not None:
        V = np.array(case.inputs["V"], dtype=float)
    elif spec["type"].startswith("constant correlation"):
        V = sampling_covariance(case.vi, list(frame[spec["cluster"]]), spec["rho"])
    elif spec["type"] != "diagonal":
        raise NotSupported(OTHER_V)
    elif not random:
        V = np.diag(case.vi)
    method = args["method"] if random else "REML"
    return fit(
        "yi " + args["mods"], frame, V=V, random=" + ".join(random) or None, method=method, test=args["test"],
    )  # fmt: skip


def cluster(case: Case) -> list[object]:
    """The outermost grouping factor, by which robust.mv clusters."""
    outer = case.args["random"][0].removeprefix("~1 | ").split("/")[0].strip()
    return list(case.frame[outer])


def answer_multilevel(case: Case) -> dict[str, Any]:
    return answers(fitted(case), case)


def answers(model: Fit, case: Case) -> dict[str, Any]:
    """All fields of an rma.mv object with random intercepts."""
    sigma2 = model.theta
    total = sigma2.sum() + model.typical_variance
    return {
        **coefficients(model, len(case.results["beta"])), "sigma2": sigma2 if len(sigma2) else None,
        "sigma2_names": case.results["sigma2_names"], "typical_v": model.typical_variance,
        "I2_total": 100 * sigma2.sum() / total, "I2_level": 100 * sigma2 / total,
        "predict": predictions(model, case.results.get("predict")),
    }  # fmt: skip


def theirs_multilevel(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's variance components, when our likelihood is at least as high."""
    ours = fitted(case)
    theirs = at(ours, their_theta(case, ours))
    why = better_likelihood(ours, theirs, case.results["ll_REML" if ours.method != "ML" else "ll_ML"])
    return (answers(theirs, case), why) if why else None


def their_theta(case: Case, model: Fit) -> np.ndarray:
    """R's variance components in our order."""
    return np.array(case.results["sigma2"], dtype=float).reshape(-1)[: len(model.theta)]


MULTILEVEL = Family(answer_multilevel, NOT_HERE, {}, scale, theirs_multilevel)
FAMILIES = {"rma.mv.sigma": MULTILEVEL}
