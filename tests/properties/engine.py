"""Every public function of effects, called the same way: effects and variances in, named numbers and notes out.

Two tests walk over this table: bad input (`test_bad_input`) and invariance (`test_engine_invariance`). A number says
how it behaves when the effects change sign (`even`, `odd`, or `interval`: limits that change sign and places) and with
which power of the unit it grows; `rows` marks numbers that come one for each effect, in the order of the effects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

import catharsis as ca
from catharsis.assess.dispersion import Regression
from catharsis.models.correlated_effects import fit_robust


@dataclass(frozen=True)
class Number:
    values: Any
    unit: int = 0
    parity: str = "even"
    rows: bool = False


@dataclass(frozen=True)
class Subject:
    """A public function under one setting. `call(yi, vi)` gives its result, `numbers(result)` what it says."""

    call: Callable[..., Any]
    numbers: Callable[[Any], dict[str, Number]]
    fewest: int = 1  # effects it can answer for
    moderators: bool = False  # whether `call` takes X
    ordered: bool = False  # whether its setting goes by the order of the rows


def odd(values: Any, unit: int = 1, rows: bool = False) -> Number:
    return Number(values, unit, "odd", rows)


def limits(low: Any, high: Any, unit: int = 1, rows: bool = False) -> Number:
    return Number(
        np.stack([np.asarray(low, dtype=float), np.asarray(high, dtype=float)], axis=-1), unit, "interval", rows
    )


def same(values: Any, unit: int = 0, rows: bool = False) -> Number:
    return Number(values, unit, "even", rows)


def notes_of(result: Any) -> tuple[str, ...]:
    """Every note on a result and on the results it holds."""
    if isinstance(result, pd.DataFrame):
        return tuple(result.attrs.get("notes", ()))
    found = tuple(getattr(result, "notes", ()))
    for name in getattr(type(result), "__dataclass_fields__", ()) if is_dataclass(result) else ():
        inner = getattr(result, name)
        if is_dataclass(inner) and hasattr(inner, "notes"):
            found += tuple(inner.notes)
    return found


def dependent_groups(k: int) -> list[str]:
    """Studies of two effects."""
    return [f"study {i // 2}" for i in range(k)]


# -- what the results say -----------------------------------------------------------------------------------------


def of_fit(found: Any) -> dict[str, Number]:
    low, high = found.interval()
    return {
        "estimate": odd(found.beta), "se": same(found.se, 1), "statistic": odd(found.statistic, 0),
        "p": same(found.pvalues.to_numpy()), "limits": limits(low, high), "tau2": same(found.tau2, 2),
        "I2": same(found.I2), "H2": same(found.H2),
        **({"QE": same([found.QE.statistic, found.QE.p])} if found.df_resid else {}),
        "QM": same([found.QM.statistic, found.QM.p]),
    }  # fmt: skip


def of_univariate(found: Any) -> dict[str, Number]:
    at = found.predict()
    return of_fit(found) | ({} if found.method == "EE" else {"prediction": limits(at.pi_low, at.pi_high)})


def of_regression(found: Regression, units: tuple[int, ...] = (1,)) -> dict[str, Number]:
    answer = {}
    low, high = found.interval()
    for j, unit in enumerate(units):
        answer |= {
            f"estimate {j}": odd(found.beta[j], unit), f"se {j}": same(found.se[j], unit),
            f"limits {j}": limits(low[j], high[j], unit),
        }  # fmt: skip
    return answer | {
        "statistic": odd(found.statistic, 0),
        "df": same(found.df),
        "p": same(found.p),
        "phi": same(found.scale),
    }


def of_egger(found: Any) -> dict[str, Number]:
    low, high = found.limit_interval
    return {
        "statistic": odd(found.statistic, 0), "p": same(found.pvalue), "df": same(1 / found.df),
        "limit": odd(found.limit),
        "limits": limits(low, high), "slope": odd(found.regression.beta[-1], 0), **(
            {} if found.model == "lm" or found.m else {"tau2": same(found.tau2, 2)}),
    }  # fmt: skip


def of_rank_test(found: Any) -> dict[str, Number]:
    return {
        "tau": odd(found.tau, 0), "p": same(found.pvalue), "score": odd(found.score, 0), "se": same(found.score_se),
        "normal p": same(found.normal_pvalue), "corrected": odd(found.corrected()[0], 0),
    }  # fmt: skip


def of_trim_and_fill(found: Any) -> dict[str, Number]:
    at = found.fit.predict()
    return {
        "k0": same(found.k0), "se_k0": same(found.se_k0), "filled": odd(np.sort(found.filled_yi) if found.k0 < 2 else
        np.median(found.filled_yi)), "estimate": odd(at.estimate), "limits": limits(at.low, at.high),
        "tau2": same(found.fit.tau2, 2), "observed": odd(found.observed.beta),
        "side": odd(np.sign(found.k0) * (1.0 if found.side == "left" else -1.0), 0),
    }  # fmt: skip


def of_failsafe_n(found: Any) -> dict[str, Number]:
    answer = {"n": same(found.n)}
    if found.kind != "Orwin":
        answer["p"] = same(found.pvalue)
    if found.kind != "Rosenthal":
        answer["estimate"] = odd(found.estimate)
    if found.kind == "General":
        answer |= {"tau2": same(found.tau2, 2), "with": odd(found.estimate_with), "p with": same(found.pvalue_with)}
    return answer


def of_excess(found: Any) -> dict[str, Number]:
    return {
        "observed": same(found.observed), "expected": same(found.expected), "p": same(found.pvalue),
        "theta": odd(found.theta), "tau2": same(found.tau2, 2), "power": same(found.power, rows=True),
        "significant": same(found.significant.astype(float), rows=True),
    }  # fmt: skip


def of_henmi_copas(found: Any) -> dict[str, Number]:
    return {
        "estimate": odd(found.estimate), "se": same(found.se, 1), "limits": limits(found.low, found.high),
        "critical": same(found.critical), "tau2": same(found.tau2, 2),
    }  # fmt: skip


def of_pet_peese(found: Any) -> dict[str, Number]:
    low, high = found.interval
    return {
        "estimate": odd(found.estimate), "limits": limits(low, high), "PET p": same(found.pet.p),
        "PEESE p": same(found.peese.p), "chosen": same(float(found.chosen == "PET")),
    }  # fmt: skip


def of_waap(found: Any) -> dict[str, Number]:
    low, high = found.interval
    return {
        "estimate": odd(found.estimate), "limits": limits(low, high),
        "powered": same(found.powered.astype(float), rows=True),
    }  # fmt: skip


def of_limit_meta(found: Any) -> dict[str, Number]:
    return {
        "estimate": odd(found.estimate), "se": same(found.se, 1), "limits": limits(found.low, found.high),
        "statistic": odd(found.statistic, 0), "p": same(found.pvalue), "alpha": odd(found.alpha, 0),
        "beta": odd(found.beta), "tau": same(found.tau, 1), "Q": same([found.Q, found.Q_small, found.Q_resid]),
        "G2": same(found.G2), "limit effects": odd(found.limit_yi, rows=True),
        "p of Q": same([found.p_small, found.p_resid]),
    }  # fmt: skip


def of_cumulative(frame: Any) -> dict[str, Number]:
    last = frame.iloc[-1]  # earlier steps depend on the order by design
    return of_summary(last)


def of_summary(frame: Any) -> dict[str, Number]:
    return {
        "estimate": odd(frame["estimate"]), "se": same(frame["se"], 1), "statistic": odd(frame["statistic"], 0),
        "p": same(frame["p"]), "limits": limits(frame["low"], frame["high"]), "QE": same(frame["QE"]),
        "QE_p": same(frame["QE_p"]), "tau2": same(frame["tau2"], 2), "I2": same(frame["I2"]), "H2": same(frame["H2"]),
    }  # fmt: skip


def by_row(numbers: dict[str, Number]) -> dict[str, Number]:
    return {name: Number(it.values, it.unit, it.parity, True) for name, it in numbers.items()}


def of_influence(frame: Any) -> dict[str, Number]:
    odds = {"rstudent": 0, "dffits": 0, "dfbetas[intercept]": 0}
    units = {"tau2_deleted": 2}
    return {
        name: odd(frame[name], odds[name], True)
        if name in odds
        else same(frame[name].astype(float), units.get(name, 0), True)
        for name in frame.columns
    }


def of_residuals(frame: Any) -> dict[str, Number]:
    return {
        "residual": odd(frame["residual"], rows=True),
        "se": same(frame["se"], 1, True),
        "z": odd(frame["z"], 0, True),
    }


def of_baujat(frame: Any) -> dict[str, Number]:
    return {name: same(frame[name], rows=True) for name in ("heterogeneity", "influence")}


def of_radial(frame: Any) -> dict[str, Number]:
    return {"precision": same(frame["precision"], -1, True), "z": odd(frame["z"], 0, True)}


def of_gosh(found: Any) -> dict[str, Number]:
    """The middle and the reach of the cloud, which do not depend on the order of the subsets."""
    frame = found.frame
    ends = {name: np.quantile(frame[name], [0.0, 0.5, 1.0]) for name in ("QE", "I2", "H2", "tau2")}
    return {
        "subsets": same(len(frame)), "reach": limits(frame["estimate"].min(), frame["estimate"].max()),
        **{name: same(values, 2 if name == "tau2" else 0) for name, values in ends.items()},
    }  # fmt: skip


def of_permutation(found: Any) -> dict[str, Number]:
    return {"p": same(found.pvalues), "QM_p": same(found.QM_p), "permutations": same(found.permutations)}


def of_location_scale(found: Any) -> dict[str, Number]:
    frame = found.summary().loc["average"]
    return {
        "estimate": odd(frame["estimate"]), "se": same(frame["se"], 1), "p": same(frame["p"]),
        "limits": limits(frame["low"], frame["high"]), "tau2": same(found.tau2, 2, rows=True),
        "scale p": same(found.scale_pvalues.iloc[1:]),
    }  # fmt: skip


def of_robust(found: Any) -> dict[str, Number]:
    frame = found.summary()
    return {
        "estimate": odd(frame["estimate"]), "se": same(frame["se"], 1), "df": same(frame["df"]),
        "limits": limits(frame["low"], frame["high"]),
    }  # fmt: skip


def of_working(found: Any) -> dict[str, Number]:
    return of_robust(found.robust) | {"tau2": same(found.working.tau2, 2)}


def of_comparison(found: Any) -> dict[str, Number]:
    return {"statistic": same(found.statistic), "p": same(found.p), "df": same(found.df)}


def of_combinations(frame: Any) -> dict[str, Number]:
    return {
        "estimate": odd(frame["estimate"]), "se": same(frame["se"], 1), "p": same(frame["p"]),
        "limits": limits(frame["low"], frame["high"]),
    }  # fmt: skip


def of_wald(found: Any) -> dict[str, Number]:
    return {"statistic": same(found.statistic), "p": same(found.p)}


def of_backtransform(frame: Any) -> dict[str, Number]:
    return {"estimate": odd(frame["estimate"]), "limits": limits(frame["low"], frame["high"])}


def of_blocks(found: Any) -> dict[str, Number]:
    return {"blocks": same(np.concatenate([block.ravel() for _, block in found]), 2)}


def of_aggregate(frame: Any) -> dict[str, Number]:
    return {"yi": odd(frame["yi"]), "vi": same(frame["vi"], 2)}


def of_posterior(found: Any) -> dict[str, Number]:
    at = found.mu
    return {"mean": odd(at.mean), "sd": same(at.sd, 1), "tau": same(found.tau.median, 1)}


def of_average(found: Any) -> dict[str, Number]:
    return {
        "mean": odd(found.mu.mean), "sd": same(found.mu.sd, 1), "tau": same(found.tau.mean, 1),
        "posterior": same(found.models["posterior"]),
    }  # fmt: skip


def of_loo(found: Any) -> dict[str, Number]:
    effects = found.effects
    return {
        "elpd": same(found.pointwise["elpd"], rows=True), "p_loo": same(found.pointwise["p_loo"], rows=True),
        "sums": same([found.elpd, found.se, found.p_loo]), "mean": odd(effects["mean"], rows=True),
        "sd": same(effects["sd"], 1, True), "limits": limits(effects["low"], effects["high"], rows=True),
        "pit": odd(effects["pit"] - 0.5, 0, True),
    }  # fmt: skip


def of_influence_bayes(frame: Any) -> dict[str, Number]:
    return {
        "mu": odd(frame.iloc[:, 0], 0, True), "tau": same(frame["shift[tau]"], rows=True),
        "apart": same(frame[["kl", "hellinger", "log_cpo"]], rows=True),
    }  # fmt: skip


def of_left_out(frame: Any) -> dict[str, Number]:
    return {
        "mean": odd(frame["mean"], rows=True), "median": odd(frame["median"], rows=True),
        "limits": limits(frame["low"], frame["high"], rows=True), "sd": same(frame["sd"], 1, True),
        "positive": odd(frame["positive"] - 0.5, 0, True), "tau": same(frame[["tau", "tau_low", "tau_high"]], 1, True),
    }  # fmt: skip


def of_check(found: Any) -> dict[str, Number]:
    return {"observed": same(found.observed), "p": same(found.p)}


def of_pooling(found: Any) -> dict[str, Number]:
    return {
        "effects": same(found.effects, rows=True), "factors": same(found.factors), "prior": same(found.prior),
    }  # fmt: skip


# -- the functions --------------------------------------------------------------------------------------------------


def model(yi: Any, vi: Any, X: Any = None, **options: Any) -> Any:
    return ca.fit(yi=yi, vi=vi, X=X, **({"test": "z"} | options))


def after(ask: Callable[..., Any], /, **options: Any) -> Callable[..., Any]:
    """Something asked of a univariate model."""
    return lambda yi, vi, X=None: ask(model(yi, vi, X, **options))


def scale_columns(yi: Any) -> Any:
    k = np.size(yi)
    return np.column_stack([np.ones(k), np.linspace(0, 1, k) ** 2])


def framed(yi: Any, vi: Any) -> pd.DataFrame:
    yi, vi = list(yi), list(vi)
    long = max(len(yi), len(vi))
    if len(yi) != len(vi):  # a frame cannot hold columns of unequal lengths: the shorter one ends in missing cells
        yi, vi = (list(column) + [None] * (long - len(column)) for column in (yi, vi))
    return pd.DataFrame({"yi": yi, "vi": vi, "study": dependent_groups(long)}, index=range(1, long + 1))


FITTED = [
    ("REML knha", {"method": "REML", "test": "knha"}),
    ("DL", {"method": "DL"}),
    ("PM", {"method": "PM"}),
    ("ML", {"method": "ML", "test": "t"}),
    ("EE", {"method": "EE"}),
    ("HE", {"method": "HE", "test": "adhoc"}),
    ("SJ", {"method": "SJ"}),
    ("kr", {"method": "REML", "test": "kr"}),
]

SUBJECTS: dict[str, Subject] = {
    **{f"fit {name}": Subject(lambda yi, vi, X=None, o=options: model(yi, vi, X, **o), of_univariate, moderators=True)
       for name, options in FITTED},
    "fit EE t": Subject(after(lambda m: m, method="EE", test="t"), of_fit, moderators=True),
    "fit V": Subject(lambda yi, vi: ca.fit(yi=yi, vi=vi, V=np.asarray(vi)), of_fit),
    "fit formula": Subject(lambda yi, vi: ca.fit("yi ~ 1", framed(yi, vi), test="z"), of_univariate),
    "fit_bayes": Subject(lambda yi, vi, X=None: ca.fit_bayes(yi=yi, vi=vi, X=X), of_posterior, moderators=True),
    **{name: Subject(lambda yi, vi, X=None, ask=ask: ask(ca.fit_bayes(yi=yi, vi=vi, X=X)), of, fewest, True)
       for name, ask, of, fewest in (
           ("loo", ca.loo, of_loo, 2), ("influence_bayes", ca.influence_bayes, of_influence_bayes, 2),
           ("predictive_check", lambda post: ca.predictive_check(post, draws=50), of_check, 2),
           ("pooling_factors", ca.pooling_factors, of_pooling, 2))},
    "model_average": Subject(
        lambda yi, vi: ca.model_average(yi=yi, vi=vi, models=["two-sided(0.05)"], bridge=False), of_average),
    "leave_one_out_bayes": Subject(
        lambda yi, vi: ca.leave_one_out_bayes(ca.fit_bayes(yi=yi, vi=vi)), of_left_out, fewest=2),
    "fit_location_scale log": Subject(
        lambda yi, vi, X=None: ca.fit_location_scale(yi=yi, vi=vi, X=X, scale=scale_columns(yi)), of_location_scale,
        fewest=3, moderators=True, ordered=True),
    "fit_location_scale ML": Subject(
        lambda yi, vi, X=None: ca.fit_location_scale(yi=yi, vi=vi, X=X, scale=scale_columns(yi), method="ML", test="t"),
        of_location_scale, fewest=4, moderators=True, ordered=True),
    "fit_robust CORR": Subject(
        lambda yi, vi, X=None: fit_robust(yi=yi, vi=vi, X=X, cluster=dependent_groups(np.size(yi))), of_working,
        fewest=3, moderators=True, ordered=True),
    "fit_robust HIER": Subject(
        lambda yi, vi, X=None: fit_robust(yi=yi, vi=vi, X=X, cluster=dependent_groups(np.size(yi)), dependence="HIER"),
        of_working, fewest=3, moderators=True, ordered=True),
    # Fit's own questions
    "fit.compare": Subject(after(lambda m: m.compare(model(m.blocks.y, m.vi, m.blocks.X, method="EE")), method="ML"),
                           of_comparison, fewest=2, moderators=True),
    "fit.combinations": Subject(after(lambda m: m.combinations(np.eye(m.blocks.p))), of_combinations, moderators=True),
    "fit.wald_test": Subject(after(lambda m: m.wald_test(np.eye(m.blocks.p))), of_wald, moderators=True),
    "fit.backtransform": Subject(after(lambda m: m.backtransform("MD")), of_backtransform, moderators=True),
    "fit.robust": Subject(after(lambda m: m.robust(range(m.nobs))), of_robust, fewest=2, moderators=True),
    "fit.robust CR1": Subject(after(lambda m: m.robust(dependent_groups(m.nobs), "CR1")), of_robust, fewest=3,
                              moderators=True, ordered=True),
    "fit.influence": Subject(after(lambda m: m.influence()), of_influence, fewest=1),
    "fit.influence knha": Subject(after(lambda m: m.influence(), test="knha"), of_influence, fewest=1),
    "fit.leave_one_out": Subject(after(lambda m: m.leave_one_out()), lambda f: by_row(of_summary(f)), fewest=2),
    "fit.leave_one_out EE": Subject(after(lambda m: m.leave_one_out(), method="EE"), lambda f: by_row(of_summary(f)),
                                    fewest=2),
    **{f"fit.residuals {kind}": Subject(after(lambda m, kind=kind: m.residuals(kind)), of_residuals)
       for kind in ("pearson", "standardized", "studentized", "conditional")},
    # assess
    "baujat": Subject(after(ca.baujat, method="EE"), of_baujat),
    "baujat REML": Subject(after(ca.baujat), of_baujat),
    "radial": Subject(after(ca.radial), of_radial),
    "radial centred": Subject(after(lambda m: ca.radial(m, center=True), method="EE"), of_radial),
    "cumulative": Subject(after(ca.cumulative), of_cumulative),
    "cumulative DL": Subject(after(ca.cumulative, method="DL", test="knha"), of_cumulative),
    "gosh": Subject(
        after(lambda m: ca.gosh(m), method="DL"),
                    of_gosh),
    "permutation_test": Subject(after(lambda m: ca.permutation_test(m) if m.nobs <= 9 else ca.permutation_test(
        m, iterations=64, rng=np.random.default_rng(1)), method="DL"), of_permutation, fewest=2),
    "egger": Subject(lambda yi, vi: ca.egger(yi, vi), of_egger, fewest=3),
    "egger lm": Subject(lambda yi, vi: ca.egger(yi, vi, model="lm"), of_egger, fewest=3),
    "egger EE": Subject(lambda yi, vi: ca.egger(yi, vi, method="EE"), of_egger, fewest=3),
    "egger clusters": Subject(lambda yi, vi: ca.egger(yi, vi, cluster=dependent_groups(np.size(yi))), of_egger,
        fewest=5, ordered=True),
    "rank_test": Subject(lambda yi, vi: ca.rank_test(yi, vi), of_rank_test, fewest=3),
    "trim_and_fill": Subject(lambda yi, vi: ca.trim_and_fill(yi, vi), of_trim_and_fill, fewest=3),
    "trim_and_fill R0": Subject(lambda yi, vi: ca.trim_and_fill(yi, vi, estimator="R0", method="EE"), of_trim_and_fill,
                                fewest=3),
    "failsafe_n Rosenthal": Subject(lambda yi, vi: ca.failsafe_n(yi, vi), of_failsafe_n),
    "failsafe_n Orwin": Subject(lambda yi, vi: ca.failsafe_n(yi, vi, kind="Orwin"), of_failsafe_n),
    "failsafe_n Rosenberg": Subject(lambda yi, vi: ca.failsafe_n(yi, vi, kind="Rosenberg"), of_failsafe_n),
    "failsafe_n General": Subject(lambda yi, vi: ca.failsafe_n(yi, vi, kind="General"), of_failsafe_n),
    "failsafe_n exact": Subject(lambda yi, vi: ca.failsafe_n(yi, vi, kind="General", method="DL", exact=True),
                                of_failsafe_n),
    "excess_significance": Subject(lambda yi, vi: ca.excess_significance(yi, vi), of_excess),
    "excess_significance chi2": Subject(lambda yi, vi: ca.excess_significance(yi, vi, test="chi2"), of_excess),
    "excess_significance model": Subject(after(lambda m: ca.excess_significance(m, test="binom")), of_excess),
    "henmi_copas": Subject(lambda yi, vi: ca.henmi_copas(yi, vi), of_henmi_copas, fewest=2),
    "pet_peese": Subject(lambda yi, vi: ca.pet_peese(yi, vi), of_pet_peese, fewest=3),
    "pet_peese clusters": Subject(lambda yi, vi: ca.pet_peese(yi, vi, cluster=dependent_groups(np.size(yi))),
                                  of_pet_peese, fewest=5, ordered=True),
    "uwls": Subject(lambda yi, vi: ca.uwls(yi, vi), of_regression, fewest=2),
    "waap": Subject(lambda yi, vi: ca.waap(yi, vi), of_waap, fewest=2),
    **{f"limit_meta {adjust}": Subject(
        lambda yi, vi, a=adjust: ca.limit_meta(yi, vi, adjust=a), of_limit_meta, fewest=3)
       for adjust in ("beta0", "betalim", "mulim")},
    "sampling_covariance": Subject(
        lambda yi, vi: ca.sampling_covariance(vi, dependent_groups(np.size(vi)), 0.5), of_blocks, ordered=True),
    "aggregate": Subject(lambda yi, vi: ca.aggregate(framed(yi, vi), cluster="study", rho=0.5), of_aggregate,
        ordered=True),
}  # fmt: skip


def healthy(numbers: dict[str, Number]) -> list[str]:
    """The names of the numbers that are not finite."""
    return [name for name, it in numbers.items() if not np.isfinite(np.asarray(it.values, dtype=float)).all()]
