"""Each measure against metafor, and against published examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from catharsis.effects.association import tetrachoric, tetrachoric_log_likelihood
from catharsis.effects.correlations import gauss_series
from catharsis.effects.mean_differences import small_sample_factor
from catharsis.effects.measures import MEASURES, effect_size, measure
from catharsis.numerics import FloatArray

HERE = Path(__file__).parent
GOLDEN = {case["source"].rsplit(" ", 1)[1]: case for case in json.loads((HERE / "golden.json").read_text())}
ESCALC = [key for key in GOLDEN if ".escalc." in key]
RTOL = 1e-10  # worst seen 1e-12: both sides evaluate the same closed forms
ATOL = 1e-12  # effects that are 0

# Not in metafor 5.0-1's golden files nor in metafor 3.8 here: each has a witness of its own below.
ELSEWHERE = {"CLES", "R2", "ZR2", "RTET", "ZTET"}


def numbers(values: list[Any]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def old_cases() -> list[tuple[str, dict[str, Any], dict[str, FloatArray], FloatArray, FloatArray]]:
    """Rows of metafor_3.8.csv (see the R script beside it)."""
    found = []
    for line in (HERE / "metafor_3.8.csv").read_text().splitlines()[1:]:
        code, options, cells, yi, vi = line.split("|")
        read = {"add": float, "to": str, "drop00": lambda text: bool(float(text)),
                "vtype": lambda text: text.split(";") if ";" in text else text}  # fmt: skip
        given = {name: read[name](value) for name, value in (part.split("=") for part in options.split("&") if part)}
        arrays = {name: vector(value) for name, value in (part.split("=") for part in cells.split("&"))}
        found.append((code, given, arrays, vector(yi), vector(vi)))
    return found


def vector(text: str) -> FloatArray:
    return np.array([np.nan if item.strip() in ("NA", "NaN") else float(item) for item in text.split(";")])


OLD = old_cases()


def test_every_measure_has_a_golden_case() -> None:
    known = {GOLDEN[key]["args"]["measure"] for key in ESCALC} | {code for code, *_ in OLD}
    assert known | ELSEWHERE == set(MEASURES)
    assert not known & ELSEWHERE


@pytest.mark.parametrize("key", ESCALC)
def test_measures_equal_metafor(key: str) -> None:
    case = GOLDEN[key]
    args = {name: value for name, value in case["args"].items() if name not in ("fn", "measure")}
    data = {name: numbers(values) for name, values in case["data"].items()}
    found = effect_size(case["args"]["measure"], **args, **data)
    assert_allclose(found["yi"], numbers(case["results"]["yi"]), rtol=RTOL, atol=ATOL)
    assert_allclose(found["vi"], numbers(case["results"]["vi"]), rtol=RTOL)


@pytest.mark.parametrize("row", range(len(OLD)), ids=[f"{code}-{options}" for code, options, *_ in OLD])
def test_other_measures_and_options_equal_metafor_3_8(row: int) -> None:
    code, options, cells, yi, vi = OLD[row]
    if code == "ROM":  # version 3.8 did not correct it
        options = options | {"correct": False}
    found = effect_size(code, **options, **cells)
    assert_allclose(found["yi"], yi, rtol=RTOL, atol=ATOL)
    assert_allclose(found["vi"], vi, rtol=RTOL)


def test_published_conversions() -> None:
    """Borenstein et al. (2009), Introduction to Meta-Analysis: ch. 4, d of two groups; ch. 6, Fisher's z."""
    cells: dict[str, Any] = {"m1": [103], "sd1": [5.5], "n1": [50], "m2": [100], "sd2": [4.5], "n2": [50]}
    g, of_g = effect_size("SMD", **cells, vtype="LS2").to_numpy()[0]
    d = effect_size("SMD", **cells, correct=False).to_numpy()[0]
    assert [round(float(x), 4) for x in (*d, g, of_g)] == [0.597, 0.0418, 0.5924, 0.0411]
    yi, vi = effect_size("ZCOR", r=[0.5], n=[100]).to_numpy()[0]
    assert (round(float(yi), 4), round(float(vi), 4)) == (0.5493, 0.0103)


def test_documented_conversions() -> None:
    """Examples in metafor's help page of escalc."""
    assert round(float(effect_size("SMD", p=[-0.018], n1=[20], n2=[20])["yi"][0]), 4) == -0.7664
    assert round(float(effect_size("COR", p=[-0.07], n=[30])["yi"][0]), 4) == -0.3354
    assert round(float(effect_size("PCOR", p=[-0.07], m=[5], n=[30])["yi"][0]), 4) == -0.3610
    assert round(float(effect_size("SMCC", p=[-0.018], n=[50])["yi"][0]), 4) == -0.3408


def test_superiority_from_ranks() -> None:
    """Without a difference the variance is the Mann-Whitney statistic's; the largest one is a share's of the fewer."""
    cells: dict[str, Any] = {"ai": [0.5], "n1": [51], "n2": [58]}
    assert_allclose(effect_size("CLES", **cells, vtype="H0")["vi"], (51 + 58 + 1) / (12 * 51 * 58))
    assert_allclose(effect_size("CLES", **cells, vtype="MAX")["vi"], 0.25 / 51)
    assert_allclose(effect_size("AUC", **cells)["vi"], effect_size("CLES", **cells, vtype="H0")["vi"], rtol=0.01)


def test_explained_variance() -> None:
    """R^2 = 0.3, n = 50, m = 2: the asymptotic variance and the one with degrees of freedom, by hand."""
    cells: dict[str, Any] = {"r2": [0.3], "n": [50], "m": [2]}
    assert_allclose(effect_size("R2", **cells)["vi"], 4 * 0.3 * 0.49 / 50)
    assert_allclose(effect_size("R2", **cells, vtype="LS2")["vi"], 4 * 0.3 * 0.49 * 47**2 / (2499 * 53))
    assert_allclose(effect_size("ZR2", **cells).to_numpy(), [[np.arctanh(np.sqrt(0.3)), 0.02]])
    from_f = effect_size("R2", F=[0.3 / 2 / (0.7 / 47)], n=[50], m=[2])
    assert_allclose(from_f["yi"], 0.3)
    p = mpmath.betainc(47 / 2, 1, 0, 0.7, regularized=True)  # upper tail of that F
    assert_allclose(effect_size("R2", p=[float(p)], n=[50], m=[2])["yi"], 0.3, rtol=1e-12)
    two: dict[str, Any] = {"r2": [0.2, 0.4], "n": [10, 30], "m": [1, 1]}
    assert_allclose(effect_size("R2", **two, vtype="AV")["vi"], 4 * 0.35 * 0.65**2 / np.array([10, 30]))


# ------------------------------------------------------------------------------------- where metafor is not the judge
TABLES = [(93, 17, 130, 760), (140, 91, 305, 697), (10, 2, 52, 170), (1, 40, 30, 2), (500, 3, 2, 480)]


@pytest.mark.parametrize("table", TABLES)
def test_the_tetrachoric_correlation_reproduces_the_table(table: tuple[int, ...]) -> None:
    """The maximum-likelihood estimate fits the table; the bivariate normal integrated by mpmath is the judge.

    metafor's optimiser stops 1e-5 short of it: for the first table (the first row of dat.bourassa1996) at
    0.8312569734843904, where the likelihood is lower.
    """
    cells = np.array(table, dtype=float)
    r, _ = (float(x[0]) for x in tetrachoric(*(np.array([cell]) for cell in cells)))
    n = cells.sum()
    cut1, cut2 = (
        mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * mpmath.mpf(float(share)))
        for share in ((cells[0] + cells[1]) / n, (cells[0] + cells[2]) / n)
    )

    def above(angle: Any) -> Any:
        inner = cut1**2 + cut2**2 - 2 * cut1 * cut2 * mpmath.sin(angle)
        return mpmath.exp(-inner / (2 * mpmath.cos(angle) ** 2)) / (2 * mpmath.pi)

    independent = mpmath.ncdf(-cut1) * mpmath.ncdf(-cut2)
    both = independent + mpmath.quad(above, [0, mpmath.asin(r)])
    assert_allclose(float(both), cells[0] / n, rtol=1e-11)
    if table == TABLES[0]:
        assert tetrachoric_log_likelihood(cells, r) > tetrachoric_log_likelihood(cells, 0.8312569734843904) + 1e-7


def test_tetrachoric_at_the_edges() -> None:
    tables = np.array([(0, 3, 4, 5), (3, 0, 4, 5), (3, 4, 0, 5), (3, 4, 5, 0), (0, 0, 4, 5), (0, 4, 0, 5)], dtype=float)
    found = effect_size("RTET", **dict(zip(("ai", "bi", "ci", "di"), tables.T, strict=True)))
    assert_allclose(found["yi"], [-1, 1, 1, -1, np.nan, np.nan])
    assert found["vi"].isna().all()
    assert found["yi_note"][0] == "the variance of RTET is not defined for these numbers"
    assert found["yi_note"][4] == "RTET is not defined for these numbers"


def test_a_symmetric_table_has_the_sine_of_its_quadrant() -> None:
    """With cuts at the medians P(both) = 1/4 + asin(r) / (2 pi) (Sheppard 1899)."""
    found = effect_size("RTET", ai=[30], bi=[20], ci=[20], di=[30])
    assert_allclose(found["yi"], np.sin(2 * np.pi * (0.3 - 0.25)), rtol=1e-13)


@pytest.mark.parametrize("a", [0.5, 1.0])
@pytest.mark.parametrize("c", [2.5, 10.0, 19.5, 20.0, 21.0, 100.0, 499.0, 1e4])
def test_gauss_function_equals_mpmath(a: float, c: float) -> None:
    for x in (0.0, 0.1, 0.5, 0.9, 0.91, 0.9999, 1.0):
        assert_allclose(
            float(gauss_series(a, np.asarray(c), np.asarray(x))), float(mpmath.hyp2f1(a, a, c, x)), rtol=1e-13
        )


def test_small_sample_factor_at_the_edges() -> None:
    factor = small_sample_factor(np.array([0.0, 1.0, 2.0, 1e6]))
    assert np.isnan(factor[:2]).all()
    assert_allclose(factor[2:], [np.sqrt(1 / np.pi), 1 - 3 / (4e6 - 1)], rtol=1e-9)


def test_the_way_back_to_the_readers_scale() -> None:
    assert float(measure("OR").to_reader(np.log(2.0))) == pytest.approx(2)
    assert float(measure("ZCOR").to_reader(np.arctanh(0.3))) == pytest.approx(0.3)
    assert float(measure("PLO").to_reader(0.0)) == 0.5
    assert float(measure("MD").to_reader(-1.5)) == -1.5
    assert float(measure("PAS").to_reader(np.pi / 4)) == pytest.approx(0.5)
    assert float(measure("ABT").to_reader(-np.log(0.2))) == pytest.approx(0.8)
    assert float(measure("PRZ").to_reader(0.0)) == 0.5
    for one in MEASURES.values():  # every way back is one that exists
        assert np.shape(one.to_reader(np.array([0.1, 0.2]))) == (2,)
