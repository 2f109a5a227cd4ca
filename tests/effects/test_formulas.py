"""Each formula against metafor, against a simulation, and for its sign."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from catharsis.effects import correlations, mean_differences, proportions
from catharsis.effects.conversions import d_from_t, r_from_t, se_from_interval, t_from_f, t_from_p
from catharsis.effects.measures import MEASURES, effect_size, measure
from catharsis.errors import ModelError
from catharsis.numerics import FloatArray

GOLDEN = {
    case["source"].rsplit(" ", 1)[1]: case for case in json.loads(Path(__file__).with_name("golden.json").read_text())
}
RTOL = 1e-10  # worst seen 1e-14: both sides evaluate the same closed forms
ATOL = 1e-12  # effects that are 0
COLUMNS = {
    "MD": {"m1": "m1i", "sd1": "sd1i", "n1": "n1i", "m2": "m2i", "sd2": "sd2i", "n2": "n2i"},
    "COR": {"r": "ri", "n": "ni"},
    "PLO": {"xi": "xi", "ni": "ni"},
    "RR": {"ai": "ai", "bi": "bi", "ci": "ci", "di": "di"},
    "MC": {"mean_change": "mean", "sd_change": "sd", "n": "ni"},
}
COLUMNS |= {
    "SMD": COLUMNS["MD"],
    "ZCOR": COLUMNS["COR"],
    "OR": COLUMNS["RR"],
    "RD": COLUMNS["RR"],
    "SMCC": COLUMNS["MC"],
}


def frame_of(case: dict[str, Any]) -> pd.DataFrame:
    data = pd.DataFrame(case["data"]).astype(float)
    if "ri" in data and "m1i" in data:  # metafor starts from both occasions and their correlation
        variance = data["sd1i"] ** 2 + data["sd2i"] ** 2 - 2 * data["ri"] * data["sd1i"] * data["sd2i"]
        data = data.assign(mean=data["m1i"] - data["m2i"], sd=np.sqrt(variance))
    return data


def numbers(values: list[Any]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def test_every_measure_has_a_golden_case() -> None:
    assert {case["args"].get("measure") for case in GOLDEN.values()} - {None} == set(MEASURES) == set(COLUMNS)


@pytest.mark.parametrize("key", [key for key in GOLDEN if not key.startswith(("conv", "tti", "pti", "dti"))])
def test_measures_equal_metafor(key: str) -> None:
    case = GOLDEN[key]
    code = case["args"]["measure"]
    found = effect_size(code, data=frame_of(case), correct=case["args"].get("correct", True), **COLUMNS[code])
    assert_allclose(found["yi"], numbers(case["results"]["yi"]), rtol=RTOL, atol=ATOL)
    assert_allclose(found["vi"], numbers(case["results"]["vi"]), rtol=RTOL)


@pytest.mark.parametrize("key", ["tti.escalc.SMD", "pti.escalc.SMD", "dti.escalc.SMD"])
def test_conversions_equal_metafor(key: str) -> None:
    case = GOLDEN[key]
    data = {name: numbers(values) for name, values in case["data"].items()}
    n1, n2 = data["n1i"], data["n2i"]
    if "ti" in data:
        d = d_from_t(data["ti"], n1, n2)
    elif "pi" in data:  # metafor writes the direction as the sign of p
        d = d_from_t(t_from_p(np.abs(data["pi"]), n1 + n2 - 2, np.sign(data["pi"])), n1, n2)
    else:
        d = data["di"]
    yi, vi = mean_differences.standardised_mean_difference(d, n1, n2)
    assert_allclose(yi, numbers(case["results"]["yi"]), rtol=RTOL, atol=ATOL)
    assert_allclose(vi, numbers(case["results"]["vi"]), rtol=RTOL)


def test_intervals_equal_metafor() -> None:
    case = GOLDEN["conv.wald"]
    low, high = (numbers(case["data"][name])[:2] for name in ("ci.lb", "ci.ub"))
    assert_allclose(se_from_interval(low, high) ** 2, numbers(case["results"]["vi"])[:2], rtol=RTOL)


def test_published_conversions() -> None:
    """Borenstein et al. (2009), Introduction to Meta-Analysis: ch. 4, d of two groups; ch. 6, Fisher's z."""
    yi, vi = effect_size("SMD", m1=[103], sd1=[5.5], n1=[50], m2=[100], sd2=[4.5], n2=[50]).to_numpy()[0]
    assert (round(float(yi), 4), round(float(vi), 4)) == (0.5924, 0.0418)  # g 0.5924; their V_g is J^2 V_d = 0.0411
    yi, vi = effect_size("ZCOR", r=[0.5], n=[100]).to_numpy()[0]
    assert (round(float(yi), 4), round(float(vi), 4)) == (0.5493, 0.0103)


def test_t_and_f_and_r_are_one_statistic() -> None:
    t, df = np.array([-2.5, 0.3, 4.0]), np.array([10.0, 28.0, 100.0])
    assert_allclose(t_from_f(t**2, np.sign(t)), t, rtol=RTOL)
    r = r_from_t(t, df)
    assert_allclose(r * np.sqrt(df / (1 - r**2)), t, rtol=RTOL)


# ------------------------------------------------------------------ simulation: the second witness
RUNS = 40_000
MC_ERROR = 5 * np.sqrt(2 / RUNS)  # five standard errors of a simulated variance, relative
SMALL_SAMPLE = 0.06  # the large-sample formulas are this close at the sizes below


def normals(seed: int, n: int, mean: float, sd: float) -> tuple[FloatArray, FloatArray]:
    sample = np.random.default_rng(seed).normal(mean, sd, (RUNS, n))
    return sample.mean(axis=1), sample.std(axis=1, ddof=1)


def two_groups() -> tuple[FloatArray, ...]:
    (m1, sd1), (m2, sd2) = normals(1, 60, 1.0, 2.0), normals(2, 40, 0.0, 2.0)
    return m1, sd1, np.full(RUNS, 60.0), m2, sd2, np.full(RUNS, 40.0)


def md() -> tuple[FloatArray, FloatArray]:
    return mean_differences.mean_difference(*two_groups())


def smd() -> tuple[FloatArray, FloatArray]:
    m1, sd1, n1, m2, sd2, n2 = two_groups()
    d = (m1 - m2) / mean_differences.pooled_sd(sd1, n1, sd2, n2)
    return mean_differences.standardised_mean_difference(d, n1, n2)


def mc() -> tuple[FloatArray, FloatArray]:
    return mean_differences.mean_change(*normals(3, 50, 0.5, 2.0), np.full(RUNS, 50.0))


def smcc() -> tuple[FloatArray, FloatArray]:
    mean, sd = normals(4, 80, 0.8, 2.0)
    return mean_differences.standardised_mean_change(mean / sd, np.full(RUNS, 80.0))


def correlated() -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(5)
    x, e = random.normal(size=(2, RUNS, 100))
    y = 0.4 * x + np.sqrt(1 - 0.4**2) * e
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return r, np.full(RUNS, 100.0)


def table() -> tuple[FloatArray, ...]:
    random = np.random.default_rng(6)
    a, c = random.binomial(200, 0.3, RUNS).astype(float), random.binomial(150, 0.2, RUNS).astype(float)
    return a, 200 - a, c, 150 - c


def plo() -> tuple[FloatArray, FloatArray]:
    x = np.random.default_rng(7).binomial(150, 0.3, RUNS).astype(float)
    return proportions.logit_proportion(x, np.full(RUNS, 150.0))


WITNESS: dict[str, tuple[Callable[[], tuple[FloatArray, FloatArray]], float]] = {  # simulation, true effect
    "MD": (md, 1.0), "SMD": (smd, 0.5), "MC": (mc, 0.5), "SMCC": (smcc, 0.4),
    "COR": (lambda: correlations.correlation(*correlated()), 0.4),
    "ZCOR": (lambda: correlations.fisher_z(*correlated()), np.arctanh(0.4)),
    "RR": (lambda: proportions.log_risk_ratio(*table()), np.log(1.5)),
    "OR": (lambda: proportions.log_odds_ratio(*table()), np.log((0.3 / 0.7) / (0.2 / 0.8))),
    "RD": (lambda: proportions.risk_difference(*table()), 0.1),
    "PLO": (plo, np.log(0.3 / 0.7)),
}  # fmt: skip


def test_every_measure_is_simulated() -> None:
    assert set(WITNESS) == set(MEASURES)


@pytest.mark.parametrize("code", WITNESS)
def test_variances_are_those_of_repeated_studies(code: str) -> None:
    simulate, truth = WITNESS[code]
    yi, vi = simulate()
    assert abs(yi.mean() - truth) < 0.02
    assert abs(vi.mean() / yi.var(ddof=1) - 1) < MC_ERROR + SMALL_SAMPLE


def test_the_small_sample_factor_removes_the_bias_of_d() -> None:
    (m1, sd1), (m2, sd2) = normals(8, 6, 1.0, 1.0), normals(9, 5, 0.0, 1.0)
    n1, n2 = np.full(RUNS, 6.0), np.full(RUNS, 5.0)
    d = (m1 - m2) / mean_differences.pooled_sd(sd1, n1, sd2, n2)
    plain = mean_differences.standardised_mean_difference(d, n1, n2, correct=False)[0].mean()
    corrected = mean_differences.standardised_mean_difference(d, n1, n2)[0].mean()
    assert abs(corrected - 1) < 0.02 < 0.07 < plain - 1


def test_small_sample_factor_at_the_edges() -> None:
    factor = mean_differences.small_sample_factor(np.array([0.0, 1.0, 2.0, 1e6]))
    assert np.isnan(factor[:2]).all()
    assert_allclose(factor[2:], [np.sqrt(1 / np.pi), 1 - 3 / (4e6 - 1)], rtol=1e-9)


# ------------------------------------------------------------------------- the frame at the edge
def test_zero_cells() -> None:
    found = effect_size("OR", ai=[0, 1], bi=[10, 9], ci=[5, 2], di=[5, 8])
    assert_allclose(found["yi"], [np.log(0.5 * 5.5 / (10.5 * 5.5)), np.log(8 / 18)])
    assert np.isfinite(effect_size("RR", ai=[0], bi=[10], ci=[0], di=[10]).to_numpy()).all()
    assert effect_size("RD", ai=[0], bi=[10], ci=[0], di=[10])["vi"][0] > 0
    assert effect_size("PLO", xi=[0, 7], ni=[7, 7])["yi"].tolist() == [-np.log(15), np.log(15)]


def test_the_frame_is_kept_and_columns_are_found_by_name() -> None:
    data = pd.DataFrame({"r": [0.1, 0.2], "people": [20, 30], "who": ["a", "b"]}, index=["x", "y"])
    found = effect_size("ZCOR", data=data, n="people")
    assert list(found.columns) == ["r", "people", "who", "yi", "vi"]
    assert list(found.index) == ["x", "y"]
    assert_allclose(found["vi"], [1 / 17, 1 / 27])


def test_missing_and_degenerate_cells_are_missing_effects() -> None:
    found = effect_size("SMD", m1=[1, np.nan], sd1=[1, 1], n1=[1, 9], m2=[0, 0], sd2=[1, 1], n2=[1, 9])
    assert found.isna().all().all()


@pytest.mark.parametrize(
    ("code", "cells", "message"),
    [
        ("SDM", {}, 'there is no measure "SDM": did you mean "SMD"?'),
        ("ZCOR", {"r": [0.1], "k": [3]}, "ZCOR does not take k; it needs r, n"),
        ("ZCOR", {"r": [0.1]}, 'n is to come from column "n": there is nothing to choose from'),
        ("ZCOR", {"r": [0.1, 0.2], "n": [10]}, "the arguments have unequal lengths"),
    ],
)
def test_wrong_use(code: str, cells: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        effect_size(code, **cells)
    assert str(caught.value) == message


def test_the_way_back_to_the_readers_scale() -> None:
    assert float(measure("OR").to_reader(np.log(2.0))) == pytest.approx(2)
    assert float(measure("ZCOR").to_reader(np.arctanh(0.3))) == pytest.approx(0.3)
    assert float(measure("PLO").to_reader(0.0)) == 0.5
    assert float(measure("MD").to_reader(-1.5)) == -1.5
