"""Means and SDs from five numbers: published examples, simulated samples, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import catharsis as ca
from catharsis.effects.five_numbers import FiveNumbers, lognormal_moments, optimal_mean, optimal_sd, skewness
from catharsis.errors import ModelError

RUNS, CENTRE, SD = 4_000, 50.0, 10.0
FIVE: dict[str, Any] = {
    "min": [2, np.nan, np.nan, 1], "q1": [np.nan, 5, 4, 3], "median": [8, 8, 7, 6], "q3": [np.nan, 12, 9, 10],
    "max": [20, np.nan, np.nan, 18], "n": [30, 50, 80, 40],
}  # fmt: skip


def samples(n: int, case: str) -> FiveNumbers:
    x = np.random.default_rng(n).normal(CENTRE, SD, (RUNS, n))
    low, q1, median, q3, high = np.quantile(x, [0, 0.25, 0.5, 0.75, 1], axis=1)
    none = np.full(RUNS, np.nan)
    low, high = (none, none) if case == "quartiles" else (low, high)
    q1, q3 = (none, none) if case == "range" else (q1, q3)
    return FiveNumbers(low, q1, median, q3, high, np.full(RUNS, float(n)))


@pytest.mark.parametrize("n", [21, 81, 201])
@pytest.mark.parametrize("case", ["range", "quartiles", "all"])
def test_normal_samples_are_met_without_bias(case: str, n: int) -> None:
    five = samples(n, case)
    mean, sd = optimal_mean(five), optimal_sd(five)
    assert abs(mean.mean() - CENTRE) < 4 * mean.std() / np.sqrt(RUNS)
    assert abs(sd.mean() / SD - 1) < 4 * sd.std() / SD / np.sqrt(RUNS) + 0.005  # the papers' own approximation error


@pytest.mark.parametrize("n", [21, 81, 201])
@pytest.mark.parametrize("case", ["range", "quartiles", "all"])
def test_the_test_of_skewness_keeps_its_level(case: str, n: int) -> None:
    """Shi and others (2023): 5% of normal samples are called skewed, more of log-normal ones."""
    five = samples(n, case)
    statistic, critical = skewness(five)
    assert abs(np.mean(statistic > critical) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / RUNS) + 0.005
    numbers = (five.low, five.q1, five.median, five.q3, five.high)
    skewed = FiveNumbers(*(np.exp((x - CENTRE) / SD * 1.5) for x in numbers), five.n)
    statistic, critical = skewness(skewed)
    assert np.mean(statistic > critical) > (0.25 if n < 50 else 0.75)


@pytest.mark.parametrize("case", ["range", "quartiles", "all"])
def test_lognormal_samples_are_met_nearly_without_bias(case: str) -> None:
    five, variance = samples(81, case), 0.25
    scores = FiveNumbers(*(np.exp((x - CENTRE) / SD * np.sqrt(variance))
                           for x in (five.low, five.q1, five.median, five.q3, five.high)), five.n)  # fmt: skip
    mean, sd = lognormal_moments(scores)
    assert abs(mean.mean() / np.exp(variance / 2) - 1) < 0.01
    assert abs((sd**2).mean() / (np.exp(2 * variance) - np.exp(variance)) - 1) < 0.05
    log_mean, log_sd = lognormal_moments(scores, back=False)
    assert abs(log_mean.mean()) < 0.01
    assert abs((log_sd**2).mean() / variance - 1) < 0.02


def test_formulas_by_hand() -> None:
    """n = 16 makes n^0.75 = 8; Blom's quantiles from tables of the normal distribution."""
    found = ca.from_five_numbers(min=[0], median=[4], max=[12], n=[16], test=False)
    assert_allclose(found["mean"], 4 / 12 * 6 + 8 / 12 * 4)
    assert_allclose(found["sd"], 12 / (2 * 1.768820), rtol=1e-5)  # z(15.625 / 16.25)
    found = ca.from_five_numbers(q1=[3], median=[4], q3=[7], n=[39], test=False)
    assert_allclose(found["mean"], 0.71 * 5 + 0.29 * 4)
    all_five = ca.from_five_numbers(min=[0], q1=[3], median=[4], q3=[7], max=[12], n=[16], test=False)
    w1, w2 = 2.2 / 10.2, 0.7 - 0.72 / 16**0.55
    assert_allclose(all_five["mean"], w1 * 6 + w2 * 5 + (1 - w1 - w2) * 4)


def test_older_methods() -> None:
    """Hozo's rules for n, Wan's averages, Bland's sums; by hand."""
    hozo = ca.from_five_numbers(
        min=[0] * 3, median=[4] * 3, max=[12] * 3, n=[10, 40, 100], method="hozo2005", test=False
    )
    assert_allclose(hozo["mean"], [5, 4, 4])
    assert_allclose(hozo["sd"], [np.sqrt((4**2 / 4 + 144) / 12), 3, 2])
    wan = ca.from_five_numbers(**FIVE, method="wan2014", test=False)
    assert_allclose(wan["mean"], [9.5, 25 / 3, 20 / 3, (1 + 6 + 12 + 20 + 18) / 8])
    assert_allclose(wan["sd"][:3], ca.from_five_numbers(**FIVE, test=False)["sd"][:3])
    bland = ca.from_five_numbers(min=[0], q1=[1], median=[2], q3=[3], max=[4], n=[30], method="bland2015")
    assert_allclose(bland["mean"], 2)
    assert_allclose(bland["sd"] ** 2, (0 + 2 + 8 + 18 + 16) / 16 + (0 + 2 + 6 + 12) / 8 - 4)


def test_units_are_free() -> None:
    for unit in (1e-8, 1e8):
        scaled = {name: np.array(values) * (1 if name == "n" else unit) for name, values in FIVE.items()}
        for dist in ("norm", "lnorm"):
            before, after = (ca.from_five_numbers(**cells, dist=dist, test=False) for cells in (FIVE, scaled))
            assert_allclose(after.to_numpy(), before.to_numpy() * unit, rtol=1e-12)


def test_notes_say_why_a_row_is_empty() -> None:
    found = ca.from_five_numbers(min=[2, 1, 2, np.nan, 0], q1=[np.nan] * 4 + [1], median=[8, 2, 8, 5, np.nan],
                                 q3=[np.nan] * 4 + [2], max=[20, 40, 20, np.nan, 3], n=[30, 30, 4, 30, 30])  # fmt: skip
    assert found["five_note"].tolist() == [
        "", "left empty: the numbers are skewed (test of Shi and others at 5%)",
        "fewer than 5 people, or their number is not given",
        "neither both extremes nor both quartiles are given, or the method does not use them",
        "no mean: the median is not given",
    ]  # fmt: skip
    assert found["mean"].isna().tolist() == [False, True, True, True, True]
    assert found["sd"].isna().tolist() == [False, True, True, True, False]


def test_each_row_may_have_its_distribution() -> None:
    data = pd.DataFrame(FIVE)
    found = ca.from_five_numbers(data=data, dist=["norm", "lnorm", "norm", "lnorm"], test=False)
    normal, logs = (ca.from_five_numbers(data=data, dist=dist, test=False) for dist in ("norm", "lnorm"))
    assert_allclose(found["mean"], np.where([True, False, True, False], normal["mean"], logs["mean"]))
    assert list(found.columns) == [*data.columns, "mean", "sd"]
    zero = ca.from_five_numbers(min=[0], median=[8], max=[20], n=[30], dist="lnorm")
    assert zero["five_note"][0] == "a log-normal score is above 0, and one of the numbers is not"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"q1": [5], "median": [4], "q3": [6], "n": [9]},
         "row 0: q1 is 5 and median is 4; min, q1, median, q3 and max do not fall"),
        ({"q1": [5], "median": [6], "q3": [7]},
         "n is missing: what quartiles and extremes say depends on the number of people"),
        ({**FIVE, "method": "wan"}, 'method is "wan": did you mean "wan2014"?'),
        ({**FIVE, "dist": "gamma"}, 'dist is "gamma": use one of: norm, lnorm'),
        ({**FIVE, "dist": ["norm"]}, "dist has 1 values for 4 rows: give one, or one per row"),
        ({**FIVE, "method": "wan2014", "dist": "lnorm"},
         'method "wan2014" is for normal scores: for dist="lnorm" use "luo/wan/shi"'),
        ({**FIVE, "q2": [1]}, "from_five_numbers does not take q2; it takes min, q1, median, q3, max and n"),
        ({"median": [1, 2], "n": [9]}, "the arguments have unequal lengths"),
        ({"min": [-np.inf], "median": [2], "max": [3], "n": [9]}, "row 0 holds an infinite number"),
    ],
)  # fmt: skip
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        ca.from_five_numbers(**arguments)
    assert str(caught.value) == message
