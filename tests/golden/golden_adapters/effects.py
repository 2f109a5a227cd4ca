"""escalc, the transformations and conversions, rcalc and aggregate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

import catharsis as ca
from catharsis.effects.association import tetrachoric_log_likelihood
from catharsis.effects.measures import ALIASES, MEASURES
from catharsis.effects.transformations import TRANSFORMS
from catharsis.effects.zero_cells import filled
from golden_adapters.case import Case, Family, NotSupported

OPTIONS = frozenset({"add", "to", "drop00", "vtype", "correct"})
ABOUT_CALL = frozenset({"fn", "measure"})
# R's own arguments of a transformation, by ours. The golden files do not record the control group's risk of lnortord
# and lnortorr; their values determine it: y = expit(logit(pc) + x) - pc holds at every x for 0.3 alone.
TARGS = {"ni": "n", "n1i": "n1", "n2i": "n2", "ti": "t", "pi": "share", "pc": "control_risk", "sd": "sd",
         "tau2": "tau2", "lower": "lower", "upper": "upper"}  # fmt: skip
UNRECORDED = {"lnortord": {"control_risk": 0.3}, "lnortorr": {"control_risk": 0.3}}


def columns(case: Case, wanted: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The input's columns as floats, nan for null; some files put them into `data`, others not."""
    data = case.inputs.get("data", case.inputs)
    names = set(data) if wanted is None else {name for name in data if name in wanted}
    return {name: np.array(data[name], dtype=float) for name in data if name in names and isinstance(data[name], list)}


def arguments_of(code: str) -> set[str]:
    """metafor's names of what a measure takes: ours, with a final i."""
    one = MEASURES[ALIASES.get(code, code)]
    ours = {name for way in one.ways for name in way.needs} | set(one.ignores)
    return ours | {f"{name}i".lower() for name in ours}


def answer_escalc(case: Case) -> dict[str, Any]:
    args, code = case.args, str(case.args["measure"])
    unknown = sorted(set(args) - OPTIONS - ABOUT_CALL)
    if unknown:
        raise NotSupported(f"escalc: {', '.join(unknown)}")
    if ALIASES.get(code, code) not in MEASURES:
        raise NotSupported(f"effects: measure {code}")
    options = {name: args[name] for name in OPTIONS & set(args)}
    found = ca.effect_size(code, **options, **columns(case, arguments_of(code)))
    gone = unrecorded_rows(case, len(found))
    return {name: np.insert(found[name].to_numpy(), gone, np.nan) for name in ("yi", "vi")}


def unrecorded_rows(case: Case, rows: int) -> list[int]:
    """Where to put back rows that R was given with missing cells and that the file's inputs do not hold.

    R answers every row, so these are the rows without an answer in every case of the same input.
    """
    entries = [
        entry["results"]["yi"]
        for entry in case.document["cases"]
        if entry["family"] == "escalc" and entry["input"] == case.entry["input"] and entry.get("results")
    ]
    longer = [values for values in entries if isinstance(values, list) and len(values) > rows]
    empty = [i for i in range(len(longer[0])) if all(values[i] is None for values in longer)] if longer else []
    return [i - j for j, i in enumerate(empty)] if longer and len(empty) == len(longer[0]) - rows else []


TETRACHORIC = (
    "RTET: R's optimiser stops about 1e-5 before the maximum (our likelihood is higher in every table), and with an "
    "empty cell, where r is 1 and has no variance, R's variance is what its last step gave, 5.8e5 and 5.7e6 "
    "(tests/effects/test_formulas.py)"
)
STOPS = 1e-4  # how far R's tetrachoric correlations lie from the maximum at most (worst seen 4e-5)
THEN = 1e-3  # and their variances, relative (worst seen 2e-4)


OVERFLOW = "NAs produced by integer overflow"  # R's own words: products of counts beyond 2^31 are missing to it


def theirs_escalc(case: Case) -> tuple[dict[str, Any], str] | None:
    """Without the rows where R says that its integers overflowed."""
    if OVERFLOW not in str(case.entry.get("message")):
        return None
    pairs = {name: zip(values, case.results[name], strict=True) for name, values in answer_escalc(case).items()}
    return {name: [... if r is None else own for own, r in pair] for name, pair in pairs.items()}, f"R: {OVERFLOW}"


def known_escalc(case: Case, reasons: list[str]) -> str | None:
    """Tetrachoric correlations, where each of ours has a likelihood at least as high as R's."""
    if case.args["measure"] not in ("RTET", "ZTET"):
        return None
    ours, theirs = answer_escalc(case), {name: np.array(case.results[name], dtype=float) for name in ("yi", "vi")}
    cells = tuple(columns(case)[name] for name in ("ai", "bi", "ci", "di"))
    tables = np.column_stack(filled(cells, case.args.get("add", 0.0), case.args.get("to", "only0"))[0])
    inside = np.all(tables > 0, axis=1)
    for i in np.flatnonzero(inside & np.isfinite(theirs["yi"])):
        pair = [float(found["yi"][i]) for found in (ours, theirs)]
        r = np.tanh(pair) if case.args["measure"] == "ZTET" else pair
        high, low = (tetrachoric_log_likelihood(tables[i], value) for value in r)
        if high < low - 1e-12 * tables[i].sum():  # rounding of a sum of n logs
            return None
    close = np.allclose(ours["yi"][inside], theirs["yi"][inside], rtol=0, atol=STOPS, equal_nan=True)
    then = np.allclose(ours["vi"][inside], theirs["vi"][inside], rtol=THEN, equal_nan=True)
    return TETRACHORIC if close and then else None


def answer_transf(case: Case) -> dict[str, Any]:
    name = str(case.args["fn"]).removeprefix("transf.")
    if name not in TRANSFORMS and case.status != "error":  # names that R does not know either are refused by ours
        raise NotSupported(f"effects: transformation {name}")
    given: dict[str, Any] = dict(case.args.get("targs") or {}) | {
        key: value for key, value in case.args.items() if key not in ("fn", "targs")
    }
    unknown = sorted(set(given) - set(TARGS))
    if unknown:
        raise NotSupported(f"transf: {', '.join(unknown)}")
    arguments = UNRECORDED.get(name, {}) | {TARGS[key]: value for key, value in given.items()}
    x = case.results.get("x", [])  # the points are part of the question: the inputs hold more than were used
    return {"y": ca.transform(x, name, **arguments)}


def answer_conv(case: Case) -> dict[str, Any]:
    args, data = dict(case.args), columns(case)
    fn = args.pop("fn")
    if fn == "conv.wald":
        renamed = {"out": "estimate", "ci.lb": "low", "ci.ub": "high", "zval": "z", "pval": "p"}
        level = np.asarray(args.pop("level", 95.0), dtype=float) / 100
        scale = {None: None, "log": np.log}[args.pop("transf", None)]
        if args:
            raise NotSupported(f"conv.wald: {', '.join(sorted(args))}")
        found = ca.from_wald(
            level=level, scale=scale, **{renamed[name]: values for name, values in data.items() if name in renamed}
        )
        return {"yi": found["yi"].to_numpy(), "vi": found["vi"].to_numpy()}
    if fn != "conv.fivenum":
        raise NotSupported(f"effects: {fn}")
    method, dist = args.pop("method", "default"), args.pop("dist", "norm")
    if method in ("qe", "bc", "mln", "blue"):
        raise NotSupported(f"conv.fivenum: method {method}")
    options = {"test": args.pop("test", True), "back": args.pop("transf", True)}
    if args:
        raise NotSupported(f"conv.fivenum: {', '.join(sorted(args))}")
    numbers = {name: data[name] for name in ("min", "q1", "median", "q3", "max", "n") if name in data}
    found = ca.from_five_numbers(method=method, dist=dist, **options, **numbers)
    ours: dict[str, Any] = {"means": found["mean"].to_numpy(), "sds": found["sd"].to_numpy()}
    # null as a whole: the script asked R's answer for names that it does not have, and nothing was recorded
    recorded = {name: case.results.get(name) is not None for name in ours}
    return {name: values if recorded[name] else ... for name, values in ours.items()}


def answer_rcalc(case: Case) -> dict[str, Any]:
    args = {key: value for key, value in case.args.items() if key != "fn"}
    to_z, rule = bool(args.pop("rtoz", False)), args.pop("nfun", "min")
    if args or not isinstance(rule, str):
        raise NotSupported(f"rcalc: {', '.join(sorted(args)) or 'nfun as a function'}")
    data = columns(case)
    pairs = [str(pair).split(".", 1) for pair in case.results["order_pair"]]
    frame = pd.DataFrame({
        "study": case.results["order_study"], "var1": [pair[0] for pair in pairs], "var2": [pair[1] for pair in pairs],
        "ri": data["ri"], "ni": data["ni"],
    })  # fmt: skip
    found, blocks = ca.correlation_covariance(frame, study="study", to_z=to_z, common_n=rule)
    V = np.zeros((len(frame), len(frame)))
    for rows, block in blocks:
        V[np.ix_(rows, rows)] = block
    return {
        "order_study": list(found["study"]), "order_pair": list(found["pair"]), "yi": found["yi"].to_numpy(), "V": V,
    }  # fmt: skip


def answer_aggregate(case: Case) -> dict[str, Any]:
    args = {key: value for key, value in case.args.items() if key != "fn"}
    known = ("struct", "rho", "phi", "weighted")
    options = {name: args.pop(name) for name in known if name in args}
    columns_of = {name: args.pop(name) for name in ("time", "obs") if name in args}
    if "na.rm" in args:
        options["skip_missing"] = args.pop("na.rm")
    args.pop("addk", None)
    if args:
        raise NotSupported(f"aggregate: {', '.join(sorted(args))}")
    frame = case.frame
    for name in ("time", "obs"):
        column = columns_of.get(name, name if name in frame and "CAR" in str(options.get("struct")) else None)
        if isinstance(column, str):
            options[name] = column
    found = ca.aggregate(frame, cluster="cluster", **options)
    return {
        "cluster": [str(label) for label in found["cluster"]], "yi": found["yi"].to_numpy(),
        "vi": found["vi"].to_numpy(), "ki": found["n_effects"].to_numpy(),
    }  # fmt: skip


def scale(case: Case, name: str) -> Any:
    """What counts as zero: an effect against its standard error, a covariance against its variances."""
    results: Mapping[str, Any] = case.results
    if name == "yi" and results.get("vi") is not None:
        return np.sqrt(np.nan_to_num(np.array(results["vi"], dtype=float)))
    if name == "V":
        return float(np.nanmax(np.diag(np.array(results["V"], dtype=float))))
    return 1.0 if name == "y" else 0.0


FAMILIES = {
    "escalc": Family(answer_escalc, scale=scale, theirs=theirs_escalc, known=known_escalc),
    "transf": Family(answer_transf, frozenset({"x"}), scale=scale),
    "conv": Family(answer_conv, scale=scale),
    "rcalc": Family(answer_rcalc, scale=scale),
    "aggregate": Family(answer_aggregate, scale=scale),
}
