"""Test statistics, p-values and intervals to effects, with the sign kept."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from catharsis.effects.conversions import (
    d_from_t,
    f_from_p,
    from_wald,
    r2_from_f,
    r_from_t,
    se_from_interval,
    se_from_p,
    semipartial_from_t,
    t_from_d,
    t_from_f,
    t_from_p,
    t_from_r,
)
from catharsis.errors import ModelError


def test_t_and_f_and_r_and_d_are_one_statistic() -> None:
    t, df = np.array([-2.5, 0.3, 4.0]), np.array([10.0, 28.0, 100.0])
    assert_allclose(t_from_f(t**2, np.sign(t)), t)
    assert_allclose(t_from_r(r_from_t(t, df), df), t)
    assert_allclose(t_from_d(d_from_t(t, df, df + 3), df, df + 3), t)
    assert_allclose(semipartial_from_t(t, df, r_from_t(t, df) ** 2), r_from_t(t, df))  # the only predictor
    assert_allclose(r2_from_f(t**2, np.array(1.0), df), r_from_t(t, df) ** 2)


@pytest.mark.parametrize("p", [0.9, 0.05, 1e-10, 1e-200])
def test_p_values_lead_back_to_their_statistics(p: float) -> None:
    """The tails are mpmath's; 1 - p would have lost them all."""
    t = float(t_from_p(np.array(p), np.array(20.0), np.array(1.0)))
    tail = mpmath.betainc(10, 0.5, 0, 20 / (20 + mpmath.mpf(t) ** 2), regularized=True)
    assert_allclose(float(tail), p, rtol=1e-10)
    F = float(f_from_p(np.array(p), np.array(3.0), np.array(20.0)))
    tail = mpmath.betainc(10, 1.5, 0, 20 / (20 + 3 * mpmath.mpf(F)), regularized=True)
    assert_allclose(float(tail), p, rtol=1e-10)
    assert t_from_p(np.array(p), np.array(20.0), np.array(-1.0)) == -t


def test_an_f_of_several_means_has_no_sign() -> None:
    with pytest.raises(ModelError, match=r"F has 2 numerator degrees of freedom: only F\(1, df\) is the square of a t"):
        t_from_f(np.array(4.0), np.array(1), df1=2)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5])
def test_a_p_that_is_not_exact(p: float) -> None:
    with pytest.raises(ModelError, match=f"p is {p:g}: a test statistic follows only from an exact p between 0 and 1"):
        t_from_p(np.array([0.5, p]), np.array(20.0), np.array(1.0))


def test_intervals_and_p_values_give_standard_errors() -> None:
    assert_allclose(se_from_interval(np.array(-1.96), np.array(1.96)), 1, rtol=1e-4)
    assert_allclose(se_from_interval(np.array(-1.645), np.array(1.645), 0.9), 1, rtol=1e-3)
    assert_allclose(se_from_p(np.array(-1.959963984540054), np.array(0.05)), 1, rtol=1e-12)


# -------------------------------------------------------------------------------------------------------- from_wald
def test_wald_equals_metafor() -> None:
    """The golden case conv.wald of metafor 5.0-1."""
    data = pd.DataFrame({"out": [0.5, np.nan, 0.2], "low": [0.1, -0.2, np.nan], "high": [0.9, 0.6, np.nan],
                         "z": [np.nan, np.nan, 1.5], "p": [np.nan, np.nan, 0.13]})  # fmt: skip
    found = from_wald(data=data, estimate="out", low="low", high="high", z="z", p="p")
    assert_allclose(found["yi"], [0.5, np.nan, 0.2])
    assert_allclose(found["vi"], [0.041650843460320934, 0.041650843460320934, 0.017777777777777778], rtol=1e-12)
    assert list(found.columns) == [*data.columns, "yi", "vi"]


def test_documented_example() -> None:
    """conv.wald's help page: an odds ratio of 0.64 with 95% CI 0.33 to 1.22, or with p = .17."""
    by_interval = from_wald(estimate=[0.64], low=[0.33], high=[1.22], scale=np.log).round(4)
    by_p = from_wald(estimate=[0.64], p=[0.17], scale=np.log).round(4)
    assert by_interval.to_numpy().tolist() == [[-0.4463, 0.1113]]
    assert by_p.to_numpy().tolist() == [[-0.4463, 0.1058]]


def test_levels_may_differ() -> None:
    found = from_wald(estimate=[0, 0], low=[-1, -1], high=[1, 1], level=[0.95, 0.5])
    assert found["vi"][1] > found["vi"][0]


def test_an_estimate_beside_the_middle_is_told() -> None:
    found = from_wald(estimate=[0.64, 0.0], low=[0.33, -1.0], high=[1.22, 1.0])
    assert found["yi_note"].tolist() == [
        "the estimate is not in the middle of its interval: is it a Wald interval of this scale?", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to convert: give estimates with intervals, z statistics or p-values"),
        ({"estimate": [1], "low": [2], "high": [1]}, "row 0: the interval's lower end is above its upper end"),
        ({"estimate": [1, 1], "p": [0.5, 0]},
         "row 1: p is not between 0 and 1: a standard error follows only from an exact p"),
        ({"estimate": [1], "low": [1, 2]}, "the arguments have unequal lengths"),
        ({"estimate": [1], "level": 95}, "level is 95: it lies between 0 and 1, such as 0.95"),
        ({"estimate": ["x"]}, "estimate holds something that is not a number"),
        ({"estimate": "or"}, 'estimate is to come from column "or": there is nothing to choose from'),
    ],
)  # fmt: skip
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        from_wald(**arguments)
    assert str(caught.value) == message
