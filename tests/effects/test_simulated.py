"""The sampling variance of each measure is that of repeated studies: the second witness; and it is never negative."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from catharsis.effects import mean_differences
from catharsis.effects.measures import MEASURES, effect_size
from catharsis.numerics import FloatArray

RUNS = 8_000
MC_ERROR = 5 * np.sqrt(2 / RUNS)  # five standard errors of a simulated variance, relative
SMALL_SAMPLE = 0.05  # the large-sample formulas are this close at the sizes below
Cells = dict[str, FloatArray]


def full(n: float, k: int = RUNS) -> FloatArray:
    return np.full(k, float(n))


def summary(seed: int, n: int, mean: float, sd: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, SD and n of RUNS normal samples, from the distributions of the two."""
    random = np.random.default_rng(seed)
    return random.normal(mean, sd / np.sqrt(n), RUNS), sd * np.sqrt(random.chisquare(n - 1, RUNS) / (n - 1)), full(n)


@cache
def groups(m1: float = 10.0, m2: float = 9.0, sd1: float = 2.0, sd2: float = 2.0, n1: int = 70, n2: int = 50) -> Cells:
    names = ("m1", "sd1", "n1", "m2", "sd2", "n2")
    return dict(zip(names, (*summary(1, n1, m1, sd1), *summary(2, n2, m2, sd2)), strict=True))


@cache
def occasions(sd2: float = 2.0) -> Cells:
    random = np.random.default_rng(3)
    n, r = 80, 0.6
    x = random.normal(size=(RUNS, n))
    y = r * x + np.sqrt(1 - r**2) * random.normal(size=(RUNS, n))
    mx, my, sx, sy = x.mean(axis=1), y.mean(axis=1), x.std(axis=1, ddof=1), y.std(axis=1, ddof=1)
    cross = ((x - mx[:, None]) * (y - my[:, None])).sum(axis=1) / (n - 1) / (sx * sy)
    return {"m1": 10 + 2 * mx, "sd1": 2 * sx, "m2": 9 + sd2 * my, "sd2": sd2 * sy, "r": cross, "n": full(n)}


def one_group() -> Cells:
    m, sd, n = summary(4, 60, 10.0, 4.0)
    return {"m": m, "sd": sd, "n": n}


@cache
def correlated(n: int = 100, rho: float = 0.4) -> Cells:
    random = np.random.default_rng(5)
    x, e = random.normal(size=(2, RUNS, n))
    y = rho * x + np.sqrt(1 - rho**2) * e
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return {"r": (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)), "n": full(n)}


@cache
def regressions() -> Cells:
    """t of the first of two predictors (r 0.3 between them; betas 0.4 and 0.3; residual variance 0.678)."""
    random = np.random.default_rng(6)
    n = 120
    x1, z, e = random.normal(size=(3, RUNS, n))
    x2 = 0.3 * x1 + np.sqrt(0.91) * z
    y = 0.4 * x1 + 0.3 * x2 + np.sqrt(0.678) * e
    x1, x2, y = (v - v.mean(axis=1, keepdims=True) for v in (x1, x2, y))
    r1, r2, r12 = ((a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
                   for a, b in ((y, x1), (y, x2), (x1, x2)))  # fmt: skip
    R2 = (r1**2 + r2**2 - 2 * r1 * r2 * r12) / (1 - r12**2)
    sr = (r1 - r2 * r12) / np.sqrt(1 - r12**2)
    return {"t": sr * np.sqrt((n - 3) / (1 - R2)), "n": full(n), "m": full(2), "r2": R2}


@cache
def cut(runs: int = 8_000, n: int = 150) -> Cells:
    """Two normal scores with r = 0.4; the first is cut at its upper 40%."""
    random = np.random.default_rng(7)
    x, e = random.normal(size=(2, runs, n))
    y = 0.4 * x + np.sqrt(0.84) * e
    upper = x > 0.2533471031357997  # 60% quantile
    n1 = upper.sum(axis=1).astype(float)
    found = {}
    for number, mask, size in ((1, upper, n1), (2, ~upper, n - n1)):
        mean = (y * mask).sum(axis=1) / size
        found |= {
            f"m{number}": mean,
            f"sd{number}": np.sqrt((((y - mean[:, None]) ** 2) * mask).sum(axis=1) / (size - 1)),
            f"n{number}": size,
        }
    return found


def table(n1: int = 200, n2: int = 150) -> Cells:
    random = np.random.default_rng(8)
    a, c = random.binomial(n1, 0.3, RUNS).astype(float), random.binomial(n2, 0.2, RUNS).astype(float)
    return {"ai": a, "bi": n1 - a, "ci": c, "di": n2 - c}


@cache
def multinomial(n: int, *shares: float, runs: int = RUNS) -> Cells:
    counts = np.random.default_rng(9).multinomial(n, shares, runs).astype(float)
    return dict(zip(("ai", "bi", "ci", "di"), counts.T, strict=False))


def pairs() -> Cells:
    return multinomial(300, 0.3, 0.25, 0.15, 0.3)


def margins() -> Cells:
    a, b, c, d = pairs().values()
    phi = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    return {"ai": a + b, "bi": c + d, "ci": a + c, "di": b + d, "r": phi}


def dichotomised() -> Cells:
    """Two normal scores with r = 0.5 (asin = pi/6), cut at their medians; few runs: each table is a root."""
    both = 0.25 + 1 / 12
    return multinomial(400, both, 0.5 - both, 0.5 - both, both, runs=1_000)


def people(n: int = 150, p: float = 0.3) -> Cells:
    return {"xi": np.random.default_rng(10).binomial(n, p, RUNS).astype(float), "ni": full(n)}


def events(rate: float = 0.4, t: float = 200.0, seed: int = 11) -> Cells:
    return {"xi": np.random.default_rng(seed).poisson(rate * t, RUNS).astype(float), "ti": full(t)}


def two_rates() -> Cells:
    one, two = events(0.4, 200.0, 12), events(0.25, 300.0, 13)
    return {"x1": one["xi"], "x2": two["xi"], "t1": one["ti"], "t2": two["ti"]}


@cache
def alphas(runs: int = 6_000, n: int = 120, items: int = 5) -> Cells:
    random = np.random.default_rng(14)
    scores = random.normal(size=(runs, n, 1)) + random.normal(size=(runs, n, items))  # correlation 1/2: alpha 5/6
    total = scores.sum(axis=2).var(axis=1, ddof=1)
    alpha = items / (items - 1) * (1 - scores.var(axis=1, ddof=1).sum(axis=1) / total)
    return {"ai": alpha, "mi": full(items, runs), "ni": full(n, runs)}


def ranks(runs: int = 4_000, n1: int = 40, n2: int = 30) -> Cells:
    """Exponential scores, for which Hanley and McNeil's variance is exact: P(above) = 3 / (3 + 1)."""
    random = np.random.default_rng(15)
    x, y = random.exponential(3.0, (runs, n1)), random.exponential(1.0, (runs, n2))
    return {"ai": (x[:, :, None] > y[:, None, :]).mean(axis=(1, 2)), "n1": full(n1, runs), "n2": full(n2, runs)}


def alleles() -> Cells:
    cells = multinomial(400, 0.36, 0.48, 0.16)
    return {name: cells[name] for name in ("ai", "bi", "ci")}


UNEQUAL = {"sd1": 2.0, "sd2": 3.0, "n1": 90, "n2": 70}
PARTIAL = 0.4 * np.sqrt(0.91) / np.sqrt(0.16 * 0.91 + 0.678)
SEMI = 0.4 * np.sqrt(0.91)
RPB = 0.4 * 0.38634253 / np.sqrt(0.24)  # r times the density at the cut over sqrt(p q)
ODDS = np.log((0.3 / 0.7) / (0.2 / 0.8))
PHI = (0.3 * 0.3 - 0.25 * 0.15) / np.sqrt(0.55 * 0.45 * 0.45 * 0.55)
OR = 0.3 * 0.3 / (0.25 * 0.15)

# simulation, true effect (None: the measure's own limit, not a parameter), options
Witness = tuple[Callable[[], Cells], float | None, dict[str, Any]]
WITNESS: dict[str, Witness] = {
    "MD": (groups, 1.0, {}), "SMD": (groups, 0.5, {}),
    "SMDH": (lambda: groups(**UNEQUAL), 1 / np.sqrt(6.5), {}), "SMD1": (groups, 0.5, {}),
    "SMD1H": (lambda: groups(**UNEQUAL), 1 / 3, {}), "ROM": (groups, np.log(10 / 9), {}),
    "CVR": (groups, np.log(0.9), {}), "VR": (groups, 0.0, {}), "CLESN": (groups, 0.6381632, {}),
    "CLES": (ranks, 0.75, {}), "D2ORN": (groups, 0.825, {}), "D2ORL": (groups, np.pi / np.sqrt(12), {}),
    "MC": (occasions, 1.0, {}), "SMCC": (occasions, 1 / np.sqrt(3.2), {}), "SMCR": (occasions, 0.5, {}),
    "SMCRH": (lambda: occasions(3.0), 0.5, {}), "SMCRP": (occasions, 0.5, {}),
    "SMCRPH": (lambda: occasions(3.0), 1 / np.sqrt(6.5), {}), "ROMC": (occasions, np.log(10 / 9), {}),
    "CVRC": (occasions, np.log(0.9), {}), "VRC": (occasions, 0.0, {}),
    "MN": (one_group, 10.0, {}), "SMN": (one_group, 2.5, {}), "MNLN": (one_group, np.log(10), {}),
    "CVLN": (one_group, np.log(0.4), {}), "SDLN": (one_group, np.log(4), {}),
    "COR": (correlated, 0.4, {}), "UCOR": (correlated, 0.4, {"vtype": "UB"}), "ZCOR": (correlated, np.arctanh(0.4), {}),
    "PCOR": (regressions, PARTIAL, {}), "ZPCOR": (regressions, np.arctanh(PARTIAL), {}),
    "SPCOR": (regressions, SEMI, {}), "ZSPCOR": (regressions, np.arctanh(SEMI), {}),
    "R2": (regressions, None, {}), "ZR2": (regressions, None, {}),
    "RPB": (cut, RPB, {"vtype": "CS"}), "ZPB": (cut, np.arctanh(RPB), {"vtype": "CS"}), "RBIS": (cut, 0.4, {}),
    "ZBIS": (cut, np.arctanh(0.4), {}),
    "RR": (table, np.log(1.5), {}), "OR": (table, ODDS, {}), "RD": (table, 0.1, {}),
    "AS": (table, np.arcsin(np.sqrt(0.3)) - np.arcsin(np.sqrt(0.2)), {}), "PETO": (table, None, {}),
    "PBIT": (table, 0.3172207, {}), "OR2DN": (table, ODDS / 1.65, {}), "OR2DL": (table, ODDS * np.sqrt(3) / np.pi, {}),
    "PHI": (pairs, PHI, {}), "ZPHI": (pairs, np.arctanh(PHI), {}), "YUQ": (pairs, (OR - 1) / (OR + 1), {}),
    "YUY": (pairs, (np.sqrt(OR) - 1) / (np.sqrt(OR) + 1), {}), "RTET": (dichotomised, 0.5, {}),
    "ZTET": (dichotomised, np.arctanh(0.5), {}),
    "MPRR": (pairs, np.log(0.55 / 0.45), {}), "MPOR": (pairs, 2 * np.log(0.55 / 0.45), {}), "MPRD": (pairs, 0.1, {}),
    "MPORC": (pairs, np.log(0.25 / 0.15), {}), "MPPETO": (pairs, None, {}),
    "MPORM": (margins, 2 * np.log(0.55 / 0.45), {}),
    "PR": (people, 0.3, {}), "PLN": (people, np.log(0.3), {}), "PLO": (people, np.log(0.3 / 0.7), {}),
    "PRZ": (people, -0.5244005, {}), "PAS": (people, np.arcsin(np.sqrt(0.3)), {}),
    "PFT": (people, np.arcsin(np.sqrt(0.3)), {}),
    "IR": (events, 0.4, {}), "IRLN": (events, np.log(0.4), {}), "IRS": (events, np.sqrt(0.4), {}),
    "IRFT": (events, np.sqrt(0.4), {}), "IRR": (two_rates, np.log(1.6), {}), "IRD": (two_rates, 0.15, {}),
    "IRSD": (two_rates, np.sqrt(0.4) - 0.5, {}),
    "ARAW": (alphas, 5 / 6, {}), "AHW": (alphas, 1 - (1 / 6) ** (1 / 3), {}), "ABT": (alphas, np.log(6), {}),
    "REH": (alleles, 0.0, {}),
}  # fmt: skip
# Peto's variance is that under no effect; the tests of the sampling scheme: rows fixed for these two
OTHER: list[tuple[str, Callable[[], Cells], dict[str, Any]]] = [
    ("MD", groups, {"vtype": "HO"}), ("SMD", groups, {"vtype": "UB"}), ("SMD", groups, {"vtype": "LS2"}),
    ("SMD1", groups, {"vtype": "UB"}), ("ROM", groups, {"vtype": "HO"}), ("ROM", groups, {"vtype": "AV"}),
    ("SMDH", lambda: groups(**UNEQUAL), {"vtype": "LS2"}), ("COR", correlated, {"vtype": "AV"}),
    ("UCOR", correlated, {}), ("RPB", groups, {}), ("PHI", table, {"vtype": "ST"}),
    ("R2", regressions, {"vtype": "LS2"}),
    ("CLES", lambda: ranks() | {"ai": 0.5 + 0 * ranks()["ai"]}, {"vtype": "H0"}),
]  # fmt: skip


def of(code: str, cells: Cells) -> Cells:
    """The cells that a measure takes in one of its ways."""
    ways = (way.needs for way in MEASURES[code].ways)
    return next({name: cells[name] for name in needs} for needs in ways if set(needs) <= set(cells))


def test_every_measure_is_simulated() -> None:
    assert set(WITNESS) == set(MEASURES)


@pytest.mark.parametrize("code", WITNESS)
def test_variances_are_those_of_repeated_studies(code: str) -> None:
    simulate, truth, options = WITNESS[code]
    found = effect_size(code, **of(code, simulate()), **options)
    yi, vi = found["yi"].to_numpy(), found["vi"].to_numpy()
    assert np.isfinite(yi).all()
    error = np.sqrt(vi.mean())
    if truth is not None:
        assert abs(yi.mean() - truth) < 0.15 * error  # bias is small beside the standard error
    assert abs(vi.mean() / yi.var(ddof=1) - 1) < MC_ERROR * np.sqrt(RUNS / len(yi)) + SMALL_SAMPLE


@pytest.mark.parametrize(("code", "simulate", "options"), OTHER)
def test_other_variances_too(code: str, simulate: Callable[[], Cells], options: dict[str, Any]) -> None:
    found = effect_size(code, **of(code, simulate()), **options)
    yi, vi = found["yi"].to_numpy(), found["vi"].to_numpy()
    if options.get("vtype") == "H0":
        return assert_allclose(vi, (40 + 30 + 1) / (12 * 40 * 30))
    assert abs(vi.mean() / yi.var(ddof=1) - 1) < MC_ERROR + SMALL_SAMPLE


@pytest.mark.parametrize(
    ("code", "cells", "truth"),
    [
        ("SMD", lambda: groups(n1=6, n2=5), 0.5), ("SMD1", lambda: groups(n1=6, n2=7), 0.5),
        ("ROM", lambda: groups(10.0, 6.0, 5.0, 2.0, 5, 9), np.log(10 / 6)), ("VR", lambda: groups(n1=6, n2=30), 0.0),
        ("SDLN", lambda: dict(zip(("m", "sd", "n"), summary(16, 6, 10.0, 4.0), strict=True)), np.log(4)),
        ("UCOR", lambda: correlated(10, 0.6), 0.6),
    ],
)  # fmt: skip
def test_corrections_remove_the_bias_of_small_samples(code: str, cells: Callable[[], Cells], truth: float) -> None:
    given = cells()
    corrected = effect_size(code, **given)["yi"]
    plain = effect_size("COR", **given)["yi"] if code == "UCOR" else effect_size(code, **given, correct=False)["yi"]
    mc = corrected.std() / np.sqrt(RUNS)
    assert abs(corrected.mean() - truth) < max(4 * mc, 0.25 * abs(plain.mean() - truth))
    assert abs(plain.mean() - truth) > 4 * mc


def test_unbiased_variances_are_unbiased_in_small_samples() -> None:
    """UB of SMD and UCOR, where the usual formulas are far off."""
    for code, cells in (("SMD", groups(n1=6, n2=5)), ("UCOR", correlated(10, 0.6))):
        found = effect_size(code, **cells, vtype="UB")
        usual = effect_size(code, **cells)
        spread = found["yi"].var()
        assert abs(found["vi"].mean() / spread - 1) < 0.05
        assert abs(found["vi"].mean() - spread) < abs(usual["vi"].mean() - spread)


# ------------------------------------------------------------------------------- positivity and invariance, any data
REACH: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("m", "m1", "m2", "mean_change"), (0.5, 50)),
    **dict.fromkeys(("sd", "sd1", "sd2", "sd_change"), (0.1, 20)),
    **dict.fromkeys(("ti", "t1", "t2"), (0.5, 500)), "r": (-0.95, 0.95), "r2": (0.01, 0.95), "t": (-6, 6), "d": (-3, 3),
}  # fmt: skip
COUNTS = {"n": (7, 500), "n1": (4, 300), "n2": (4, 300), "ni": (7, 300), "ai": (0, 60), "bi": (0, 60), "ci": (0, 60),
          "di": (0, 60), "xi": (0, 7), "x1": (0, 50), "x2": (0, 50), "mi": (2, 9)}  # fmt: skip
K = 40  # rows at once; the ends of each range among them


def columns(code: str, random: np.random.Generator) -> Cells:
    """Cells of K rows anywhere in their ranges, one in five at an end."""

    def values(name: str) -> FloatArray:
        low, high = (0.05, 0.95) if name == "ai" and code in ("ARAW", "AHW", "ABT", "CLES") else (
            (1, 3) if name == "m" and "sd" not in MEASURES[code].needs else (COUNTS | REACH)[name]
        )  # fmt: skip
        found = random.uniform(low, high, K)
        found = np.where(random.random(K) < 0.2, random.choice([low, high], K), found)
        whole = (name in COUNTS and high > 1) or (low, high) == (1, 3)
        return np.round(found) if whole else found

    return {name: values(name) for name in MEASURES[code].needs}


@pytest.mark.parametrize("code", MEASURES)
def test_variances_are_positive_whatever_the_data(code: str) -> None:
    @settings(max_examples=5, deadline=None, derandomize=True)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        cells = columns(code, np.random.default_rng(seed))
        for vtype in MEASURES[code].vtypes or (None,):
            found = effect_size(code, **cells, vtype=vtype)
            if vtype != "UB":  # an unbiased estimate of a variance may be negative
                assert (found["vi"].dropna() >= 0).all()
            undefined = found["yi"].isna() | found["vi"].isna()
            assert not undefined.any() or (found["yi_note"][undefined] != "").all()

    holds()


@pytest.mark.parametrize("code", MEASURES)
def test_the_order_of_rows_is_free(code: str) -> None:
    cells = {name: values[:6] for name, values in of(code, WITNESS[code][0]()).items()}
    for vtype in MEASURES[code].vtypes or (None,):
        found = effect_size(code, **cells, vtype=vtype)
        turned = effect_size(code, **{name: values[::-1] for name, values in cells.items()}, vtype=vtype)
        assert_allclose(turned[::-1].to_numpy(), found.to_numpy(), rtol=1e-12)


IN_POINTS = {"MD": 1, "MC": 1, "MN": 1, "IR": -1, "IRD": -1}  # power of the unit; all others know no unit
SHIFTS = {"MNLN": 1.0, "SDLN": 1.0, "IRLN": -1.0}  # logs move by the unit's log
ROOTS = {"IRS", "IRFT", "IRSD"}
UNITS = {"m1", "m2", "sd", "sd1", "sd2", "mean_change", "sd_change", "ti", "t1", "t2"}


@pytest.mark.parametrize("unit", [1e-8, 1e-3, 1e5, 1e8])
@pytest.mark.parametrize("code", [c for c in MEASURES if set(MEASURES[c].needs) & (UNITS | {"sd"})])
def test_the_unit_of_the_instrument_is_free(code: str, unit: float) -> None:
    simulate, _, options = WITNESS[code]
    cells = {name: values[:5] for name, values in of(code, simulate()).items()}
    units = UNITS | ({"m"} if "sd" in cells else set())  # elsewhere m counts predictors
    scaled = {name: values * unit if name in units else values for name, values in cells.items()}
    before, after = effect_size(code, **cells, **options), effect_size(code, **scaled, **options)
    power = IN_POINTS.get(code, -0.5 if code in ROOTS else 0)
    shift = SHIFTS.get(code, 0.0) * np.log(unit)
    assert_allclose(after["yi"], before["yi"] * unit**power + shift, rtol=1e-9)
    assert_allclose(after["vi"], before["vi"] * unit ** (2 * power), rtol=1e-9)


def test_the_small_sample_factor_is_what_the_simulation_needs() -> None:
    cells = groups(n1=6, n2=5)
    d = (cells["m1"] - cells["m2"]) / mean_differences.pooled_sd(cells["sd1"], cells["n1"], cells["sd2"], cells["n2"])
    factor = mean_differences.small_sample_factor(np.array(9.0))
    assert abs(d.mean() * factor - 0.5) < 0.02 < abs(d.mean() - 0.5)
