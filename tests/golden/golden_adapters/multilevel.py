"""rma.mv with random intercepts and structures, and what R computes from it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.likelihood.structures import SLOPES, SPATIAL, Structure
from catharsis.models.fit import fit
from catharsis.models.multilevel import MultilevelFit
from golden_adapters.case import OTHER_V, Case, Family, NotSupported
from golden_adapters.univariate import better_likelihood, coefficients, scale

ABOUT_R = frozenset({"ll_gap_between_optimizers", "dev_ML"})
WORD = re.compile(r"[A-Za-z_.][\w.]*")
PROOF = "(tests/models/test_structures.py)"
HELD = ("sigma2", "tau2", "rho", "gamma2", "phi")


def rows(case: Case) -> np.ndarray:
    """The rows that R uses: those with an effect, a variance, moderators and covariances with the others of them."""
    numbers = case.frame[["yi", "vi"]].apply(pd.to_numeric, errors="coerce")
    moderators = case.frame[[name for name in WORD.findall(_formula(case)) if name in case.frame]]
    present = np.isfinite(numbers.to_numpy(dtype=float)).all(axis=1) & moderators.notna().to_numpy().all(axis=1)
    chosen = np.flatnonzero(present)
    if case.inputs.get("V") is None or len(case.inputs["V"]) != len(case.frame):
        return chosen
    known = np.isfinite(np.array(case.inputs["V"], dtype=float)[np.ix_(chosen, chosen)]).all(axis=1)
    return chosen[known]


def _formula(case: Case) -> str:
    """R's moderators in formulaic's words: factor(x), x^2, names with dots."""
    written = re.sub(r"\bfactor\(", "C(", case.args.get("mods") or "~1").replace("^", "**")
    return WORD.sub(lambda word: f"`{word[0]}`" if "." in word[0] and word[0] in case.frame else word[0], written)


def frame_of(case: Case) -> pd.DataFrame:
    """The data of a case; text moderators are factors, as in R."""
    frame = case.frame.iloc[rows(case)].reset_index(drop=True)
    for column in frame.columns:
        if frame[column].dtype == object:
            as_numbers = pd.to_numeric(frame[column], errors="coerce")
            text = any(isinstance(value, str) for value in frame[column].dropna())
            frame[column] = frame[column].where(frame[column].isna(), frame[column].astype(str)) if text else as_numbers
    return frame


def random_of(case: Case) -> list[str]:
    """R's random formulas as `random=` takes them."""
    parts = [case.args["random"]] if isinstance(case.args["random"], str) else list(case.args["random"] or [])
    written = [re.sub(r"\bfactor\((.*?)\)", r"\1", part).strip().removeprefix("~").strip() for part in parts]
    return [re.sub(r"^1 *\|", "", part).strip() for part in written if part != "NULL"]


def structured(case: Case) -> list[str]:
    return [part for part in random_of(case) if "|" in part]


def fitted(case: Case) -> MultilevelFit:
    """Our fit of an rma.mv case."""
    args, frame, random = case.args, frame_of(case), random_of(case)
    for option in ("W", "R", "btt", "subset", "dist", "Rscale"):
        if args.get(option) is not None:
            raise NotSupported(f"models: option {option} of rma.mv")
    dfs = args.get("dfs")
    held: dict[str, Any] = {name: args[name] for name in HELD if args.get(name) is not None}
    held.setdefault("rho", _unrecorded_rho(case)) if structured(case) else None
    V = _sampling(case, frame)
    if V is None and not random:
        V = np.diag(frame["vi"].to_numpy(dtype=float))
    method = args["method"] if random else "REML"
    if method in ("EE", "FE", "CE"):  # R leaves the random effects out
        random, method, held = [], "REML", {}
        V = np.diag(frame["vi"].to_numpy(dtype=float)) if V is None else V
    struct = args.get("struct") if structured(case) and random else None
    model = fit(
        "yi " + _formula(case), frame, V=V, random=random or None, struct=struct, method=method,
        test="t" if dfs == "contain" else args.get("test", "z"), df="contain" if dfs == "contain" else "residual",
        level=args.get("level", 95) / 100, **held,
    )  # fmt: skip
    assert isinstance(model, MultilevelFit)
    if dfs is not None and not isinstance(dfs, str):  # R: degrees of freedom given by hand
        df = np.broadcast_to(np.array(dfs, dtype=float), (model.blocks.p,))
        return replace(model, coefficient_df=df, test="t", df=float(df.min()))
    return model


def _sampling(case: Case, frame: pd.DataFrame) -> Any:
    spec = case.inputs["Vspec"]
    if case.inputs.get("V") is not None:
        chosen = rows(case)
        V = np.array(case.inputs["V"], dtype=float)
        return V[np.ix_(chosen, chosen)] if len(V) == len(case.frame) else V
    if spec["type"].startswith("constant correlation"):
        return sampling_covariance(frame["vi"].to_numpy(dtype=float), list(frame[spec["cluster"]]), spec["rho"])
    if spec["type"] != "diagonal":
        raise NotSupported(OTHER_V)
    return None


def _unrecorded_rho(case: Case) -> float | None:
    """The correlation at which an arm-based network model was held, which `args` does not record.

    These cases are rma.mv(..., rho = 1/2): R's rho is 1/2 to the last digit, and its AIC counts one parameter less.
    """
    source = case if case.results.get("rho") is not None else case.other(case.args.get("model", ""))
    if source is None or source.args.get("rho") is not None or source.results.get("rho") != [0.5]:
        return None
    results = source.results
    counted = (results["AIC_ML"] + 2 * results["ll_ML"]) / 2
    return 0.5 if round(counted - results["p"]) == len(results["tau2"]) + len(results["sigma2"] or []) else None


def cluster(case: Case) -> list[object]:
    """The outermost grouping factor, by which robust.mv and cooks.distance cluster."""
    if not random_of(case):
        raise NotSupported("robust: the clusters of a model without random effects are not recorded")
    outer = random_of(case)[0].split("|")[-1].split("/")[0].strip()
    return list(frame_of(case)[outer])


# -- rma.mv ---------------------------------------------------------------------------------------


def answer_multilevel(case: Case) -> dict[str, Any]:
    return answers(fitted(case), case)


def sigma2_names(case: Case) -> list[str]:
    found = []
    for part in random_of(case):
        if "|" not in part:
            words = [word.strip() for word in part.split("/")]
            found += ["/".join(words[: n + 1]) for n in range(len(words))]
    return found


def answers(model: MultilevelFit, case: Case) -> dict[str, Any]:
    """All fields of an rma.mv object."""
    plain = model.blocks.intercepts
    sigma2 = model.theta[:plain]
    total = sigma2.sum() + model.typical_variance
    shared = coefficients(model, len(case.results.get("beta", model.beta)))
    shared["ddf"] = list(model.dfs) if np.isfinite(model.df) else None
    names = sigma2_names(case)
    first, second = ((*model.blocks.structures, None, None))[:2]
    return {
        **shared, "sigma2": sigma2 if plain else None,
        "sigma2_names": names or None,
        "tau2": None if first is None else np.ravel(model.tau2), "rho": None if first is None else np.ravel(model.rho),
        "gamma2": None if second is None else np.ravel(model.gamma2),
        "phi": None if second is None else np.ravel(model.phi),
        "g_levels": None if first is None else levels_of(first), "typical_v": model.typical_variance,
        "I2_total": 100 * sigma2.sum() / total, "I2_level": 100 * sigma2 / total,
        "predict": predictions(model, case),
    }  # fmt: skip


def levels_of(structure: Structure) -> Any:
    """R's inner levels: places are text to it, and slopes have no levels (R lists their values)."""
    if structure.kind in SLOPES:
        return ...
    return sorted(structure.levels) if structure.kind in SPATIAL else list(structure.levels)


def predictions(model: MultilevelFit, case: Case) -> dict[str, Any] | None:
    """predict(): the first rows of X, or one row for each combination of inner levels without moderators."""
    expected = case.results.get("predict")
    if expected is None:
        return None
    frame, X = frame_of(case), model.blocks.X
    inner = [part.split("|")[0].strip() for part in structured(case)]
    single = model.blocks.p == 1 and bool(np.all(X == 1))
    several = [s for s in model.blocks.structures if s.variances > 1]
    if single and several:
        levels = [s.levels if s.variances > 1 else (None,) for s in model.blocks.structures] + [(None,)]
        settings = [(X[0], a, b) for a in levels[0] for b in levels[1]]
    else:
        named = [list(frame[name]) if name in frame else [None] * len(frame) for name in inner]
        named += [[None] * len(frame)] * (2 - len(named))
        settings = [(X[i], named[0][i], named[1][i]) for i in range(1 if single else len(expected["pred"]))]
    found = [model.predict(x, inner=_label(a), inner2=_label(b)) for x, a, b in settings]
    fields = {"pred": "estimate", "se": "se", "ci_lb": "low", "ci_ub": "high", "pi_lb": "pi_low", "pi_ub": "pi_high"}
    out: dict[str, Any] = {theirs: [getattr(row, ours) for row in found] for theirs, ours in fields.items()}
    out["pi_se"] = [
        float(np.sqrt(model.between(_label(a), _label(b)) + row.se**2))
        for (_, a, b), row in zip(settings, found, strict=True)
    ]
    df = [model.df_at(x) for x, _, _ in settings]
    out["pi_dist"] = "t" if np.isfinite(df).all() else "norm"
    out["pi_ddf"] = df if np.isfinite(df).all() else None
    for name in ("pi_lb", "pi_ub", "pi_se"):  # EE and random slopes: no prediction interval
        if expected[name] is None and (np.isnan(out[name]).all() or model.method in ("EE", "FE")):
            out[name] = None
    return out


def _label(level: Any) -> str | None:
    return None if level is None else str(level)


def theirs_multilevel(case: Case) -> tuple[dict[str, Any], str] | None:
    """The answer at R's parameters, when our likelihood is at least as high."""
    found = at_theirs(fitted(case), case)
    return None if found is None else (answers(found[0], case), found[1])


def at_theirs(ours: MultilevelFit, case: Case) -> tuple[MultilevelFit, str] | None:
    """Our model at the parameters of R's case, and why ours are at least as good."""
    try:
        theirs = at(ours, their_theta(case, ours))
    except ModelError:  # not a covariance matrix
        return None
    why = better_likelihood(ours, theirs, case.results["ll_REML" if ours.method != "ML" else "ll_ML"])
    return (theirs, why) if why else None


def at(model: MultilevelFit, theta: np.ndarray) -> MultilevelFit:
    """The same model with other parameters."""
    return model.at(theta)


def their_theta(case: Case, model: MultilevelFit) -> np.ndarray:
    """R's parameters in our order."""
    found = [np.ravel(case.results["sigma2"] or [])[: model.blocks.intercepts]]
    for structure in model.blocks.structures:
        variance, correlation = (np.ravel(case.results[symbol]) for symbol in structure.symbols)
        found += [variance[: structure.variances], correlation[: structure.correlations]]
    return np.concatenate(found).astype(float)


UNBOUNDED = "the likelihood grows without bound"
OF_A_FLAT_RHO = ("rho", "phi", "AIC", "BIC", "AICc")


def known_model(case: Case, reasons: list[str]) -> str | None:
    """Three ways in which R's parameters are no estimates; each is shown by a test."""
    try:
        model = fitted(case)
    except ModelError as problem:
        return f"R stops on the way to an infinite likelihood {PROOF}" if UNBOUNDED in str(problem) else None
    first, theta = model.blocks.intercepts, their_theta(case, model)
    for structure in model.blocks.structures:
        own = theta[first : first + structure.parameters]
        first += structure.parameters
        if structure.kind in ("CS", "HCS") and own[-1] < structure.bounds()[0] - 1e-6:
            return f"no covariance matrix of {len(structure.levels)} levels has R's correlation {PROOF}"
    if "is held at 0: no level" in " ".join(model.notes) and all(why.startswith(OF_A_FLAT_RHO) for why in reasons):
        return f"the likelihood is flat in the correlation: R reports and counts its starting value {PROOF}"
    return None


def known_source(case: Case, reasons: list[str]) -> str | None:
    """The same for what follows from a model, except its correlation itself."""
    found = known_model(model_case(case), reasons)
    return found if found and "flat" not in found else None


# -- confint, ranef, diagnostics ------------------------------------------------------------------


def model_case(case: Case) -> Case:
    found = case.other(case.args["model"])
    if found is None:
        raise NotSupported("the case of the fitted model is not in this file")
    return found


def r_names(model: MultilevelFit) -> dict[str, str]:
    """Our names of parameters to R's: sigma^2.1, tau^2, rho.2, ..."""
    found, names = {}, list(model.components().index)
    spans = [("sigma^2", names[: model.blocks.intercepts])]
    first = model.blocks.intercepts
    for structure in model.blocks.structures:
        for symbol, count in zip(structure.symbols, (structure.variances, structure.correlations), strict=True):
            spans.append((symbol.replace("2", "^2"), names[first : first + count]))
            first += count
    for symbol, members in spans:
        for n, name in enumerate(members):
            found[name] = symbol if len(members) == 1 else f"{symbol}.{n + 1}"
    return found


def intervals(model: MultilevelFit, estimates: MultilevelFit) -> dict[str, Any]:
    frame, names = model.confint_components(), r_names(model)
    at = estimates.components()["estimate"]
    return {
        "components": [
            {"param": names[name], "est": at[name], "lb": row.low, "ub": row.high if np.isfinite(row.high) else None}
            for name, row in zip(frame.index, frame.itertuples(), strict=True)
        ]
    }


def answer_intervals(case: Case) -> dict[str, Any]:
    model = fitted(model_case(case))
    return intervals(model, model)


def theirs_intervals(case: Case) -> tuple[dict[str, Any], str] | None:
    """Our limits around R's estimates, when our likelihood is at least as high."""
    model = fitted(model_case(case))
    found = at_theirs(model, model_case(case))
    return None if found is None else (intervals(model, found[0]), found[1])


def known_intervals(case: Case, reasons: list[str]) -> str | None:
    """Unstructured matrices of three or more levels: R's profile goes on where there is no covariance matrix."""
    found = known_source(case, reasons)
    if found:
        return found
    model = fitted(model_case(case))
    wide = any(s.kind == "UN" and len(s.levels) > 2 for s in model.blocks.structures)
    if not wide or not all(".lb:" in reason or ".ub:" in reason for reason in reasons):
        return None
    ours = intervals(model, model)["components"]
    for mine, theirs in zip(ours, case.results["components"], strict=True):
        slack = 1e-3 * (1 + abs(mine["est"]))
        if mine["lb"] < (theirs["lb"] or -np.inf) - slack or mine["ub"] > (theirs["ub"] or np.inf) + slack:
            return None
    return "R's limit lies where no covariance matrix has that correlation (tests/models/test_structures.py)"


def answer_random_effects(case: Case) -> dict[str, Any]:
    source = model_case(case)
    return random_effects(fitted(source), source)


def random_effects(model: MultilevelFit, case: Case) -> dict[str, Any]:
    """ranef(): levels in the order of R's factors."""
    frame, found = frame_of(case), model.ranef()
    out: dict[str, Any] = {}
    for part, ours in zip(_written(case), found, strict=True):
        table = found[ours]
        if "|" in part:
            levels = [tuple(label.rsplit(" | ", 1)) for label in table.index]
            inner, outer = (word.strip() for word in part.removeprefix("~").split("|"))
            order = sorted(
                range(len(levels)), key=lambda i: (_key(levels[i][1], frame[outer]), _key(levels[i][0], frame[inner]))
            )
            width = max(len(a) for a, _ in levels)
            labels = [f"{levels[i][0]:>{width}} | {levels[i][1]}" for i in order]
        else:
            columns = [word.strip() for word in part.split("/")]
            order = sorted(
                range(len(table)),
                key=lambda i: [
                    _key(word, frame[column])
                    for word, column in zip(table.index[i].split("/", len(columns) - 1), columns, strict=True)
                ],
            )
            labels = [table.index[i] for i in order]
        table = table.iloc[order]
        out[part] = {
            "level": labels, "intrcpt": table["estimate"].to_numpy(), "se": table["se"].to_numpy(),
            "pi_lb": table["low"].to_numpy(), "pi_ub": table["high"].to_numpy(),
        }  # fmt: skip
    return {"components": out}


def _written(case: Case) -> list[str]:
    return sigma2_names(case) + [f"~{part}" for part in structured(case)]


def _key(label: str, column: pd.Series) -> Any:
    return float(label) if column.dtype.kind in "iuf" else label


def theirs_random_effects(case: Case) -> tuple[dict[str, Any], str] | None:
    source = model_case(case)
    found = at_theirs(fitted(source), source)
    return None if found is None else (random_effects(found[0], source), found[1])


def answer_diagnostics(case: Case) -> dict[str, Any]:
    source = model_case(case)
    return diagnostics(fitted(source), source, case)


def diagnostics(model: MultilevelFit, source: Case, case: Case) -> dict[str, Any]:
    if case.args["fn"] == "cooks.distance":
        by = cluster(source) if case.args["by"] == "cluster" else None
        found = model.cooks_distance(by)
        if by is not None:
            column = pd.Series(by)
            found = found.iloc[sorted(range(len(found)), key=lambda i: _key(str(found.index[i]), column))]
        names = [str(label) for label in found.index]
        return {"cook": found.to_numpy(), "names": names if by is not None else [str(i + 1) for i in rows(source)]}
    residuals, weights = model.residuals("standardized"), model.weights_of_effects()
    share = weights["share"].to_numpy()
    return {
        "resid": residuals["residual"].to_numpy(), "se": residuals["se"].to_numpy(), "z": residuals["z"].to_numpy(),
        "hat": weights["hat"].to_numpy(), "weights_diag": weights["weight"].to_numpy(),
        "weights_rowsum": None if np.isnan(share).all() else share,
    }  # fmt: skip


def theirs_diagnostics(case: Case) -> tuple[dict[str, Any], str] | None:
    source = model_case(case)
    found = at_theirs(fitted(source), source)
    return None if found is None else (diagnostics(found[0], source, case), found[1])


def scale_multilevel(case: Case, name: str) -> Any:
    """What counts as zero: variances against sampling variances, effects and residuals against their roots."""
    unit = float(np.nanmedian(np.array(case.inputs["data"]["vi"], dtype=float)))
    match name:
        case "predict" if (own := case.results["predict"]) and own["pi_se"] is None:
            return {key: np.max(own["se"]) for key in ("pred", "ci_lb", "ci_ub", "se")}
        case "sigma2" | "tau2" | "gamma2":
            return unit
        case "I2_total" | "I2_level" | "weights_rowsum":
            return 1.0
        case "components":
            return float(np.sqrt(unit)) if case.family == "ranef.mv" else unit
        case "resid" | "se" if case.family == "diagnostics.mv":
            return float(np.sqrt(unit))
        case "cook":
            return 1e-2
    return scale(case, name)


MULTILEVEL = Family(answer_multilevel, ABOUT_R, {}, scale_multilevel, theirs_multilevel, known_model)
FAMILIES = {
    "rma.mv.sigma": MULTILEVEL, "rma.mv.struct": MULTILEVEL,
    "confint.mv": Family(answer_intervals, ABOUT_R, {}, scale_multilevel, theirs_intervals, known_intervals),
    "ranef.mv": Family(answer_random_effects, ABOUT_R, {}, scale_multilevel, theirs_random_effects, known_source),
    "diagnostics.mv": Family(answer_diagnostics, ABOUT_R, {}, scale_multilevel, theirs_diagnostics, known_source),
}  # fmt: skip
