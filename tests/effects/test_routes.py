"""Which numbers lead where, that the ways agree, and that direction is settled once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtr

from catharsis.effects.measures import MEASURES
from catharsis.effects.prepare import EffectSize, effect_size_of
from catharsis.effects.routes import GIVEN_MEASURE, ROUTES, Scale
from catharsis.studies.dictionary import Dictionary

M1, SD1, N1, M2, SD2, N2 = 5.2, 2.1, 24, 4.0, 1.9, 20
POOLED = math.sqrt(((N1 - 1) * SD1**2 + (N2 - 1) * SD2**2) / (N1 + N2 - 2))
T = (M1 - M2) / (POOLED * math.sqrt(1 / N1 + 1 / N2))
P = 2 * float(stdtr(N1 + N2 - 2, -T))
PEOPLE = {"n1": N1, "n2": N2}
ONE_T = 0.5 / (2.0 / math.sqrt(30))
ONE_P = 2 * float(stdtr(29, -ONE_T))
R_T = 0.4 * math.sqrt(28 / (1 - 0.4**2))
COR = {"n": 30, "test": "correlation"}
J_42 = math.exp(math.lgamma(21) - math.lgamma(20.5)) / math.sqrt(21)
J_29 = math.exp(math.lgamma(14.5) - math.lgamma(14)) / math.sqrt(14.5)
G = J_42 * (M1 - M2) / POOLED
H = J_29 * 0.25
GV, HV = 1 / N1 + 1 / N2 + G**2 / (2 * (N1 + N2)), 1 / 30 + H**2 / 60

CASES: list[tuple[Scale, str, str, dict[str, Any], float, float]] = [
    ("raw", "yi and vi", "MD", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    ("raw", "yi and vi", "MD", {"yi": 0.3, "sei": 0.2}, 0.3, 0.04),
    ("raw", "mean change and SD", "MC", {"mean_change": 0.5, "sd_change": 2.0, "n": 100}, 0.5, 0.04),
    ("raw", "mean change and SD", "MC", {"mean_change": 0.5, "se_change": 0.2, "n": 100}, 0.5, 0.04),
    ("raw", "two means and SDs", "MD", {"m1": 5, "sd1": 2, "n1": 20, "m2": 4, "sd2": 2, "n2": 20}, 1, 0.4),
    ("raw", "two means and SDs", "MD", {"m1": 5, "se1": 0.5, "n1": 20, "m2": 4, "sd2": 2, "n2": 20}, 1, 0.45),
    ("standardised", "yi and vi", "SMD", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    ("standardised", "mean change and SD", "SMCC", {"mean_change": 0.5, "sd_change": 2.0, "n": 30}, H, HV),
    ("standardised", "two means and SDs", "SMD", {"m1": M1, "sd1": SD1, "m2": M2, "sd2": SD2, **PEOPLE}, G, GV),
    ("standardised", "d and SE", "SMD", {"d": 0.45, "d_se": 0.15}, 0.45, 0.0225),
    ("standardised", "d and SE", "SMCC", {"d": 0.45, "d_se": 0.15, "test": "one-sample"}, 0.45, 0.0225),
    ("standardised", "d and 95% CI", "SMD", {"d": 0.5, "d_low": 0.1, "d_high": 0.9}, 0.5, 0.041650843460320934),
    (
        "standardised",
        "d and 95% CI",
        "SMCC",
        {"d": 0.5, "d_low": 0.1, "d_high": 0.9, "test": "one-sample"},
        0.5,
        0.0416508434603,
    ),
    ("standardised", "d and group sizes", "SMD", {"d": G, **PEOPLE}, G, GV),
    ("standardised", "t of two groups", "SMD", {"t": T, **PEOPLE}, G, GV),
    ("standardised", "F(1, df) of two groups", "SMD", {"F": T**2, "sign": 1, **PEOPLE}, G, GV),
    ("standardised", "exact p of two groups", "SMD", {"p": P, "sign": 1, **PEOPLE}, G, GV),
    ("standardised", "exact p of two groups", "SMD", {"p": P / 2, "sided": 1, "sign": 1, **PEOPLE}, G, GV),
    ("standardised", "t of one group", "SMCC", {"t": ONE_T, "n": 30}, H, HV),
    ("standardised", "F(1, df) of one group", "SMCC", {"F": ONE_T**2, "df1": 1, "sign": 1, "n": 30}, H, HV),
    ("standardised", "exact p of one group", "SMCC", {"p": ONE_P, "sign": 1, "n": 30}, H, HV),
    ("correlation", "yi and vi", "ZCOR", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    ("correlation", "r and n", "ZCOR", {"r": 0.4, "n": 30}, math.atanh(0.4), 1 / 27),
    ("correlation", "t of a correlation", "ZCOR", {"t": R_T, **COR}, math.atanh(0.4), 1 / 27),
    ("correlation", "F(1, df) of a correlation", "ZCOR", {"F": R_T**2, "sign": 1, **COR}, math.atanh(0.4), 1 / 27),
    (
        "correlation",
        "exact p of a correlation",
        "ZCOR",
        {"p": 2 * float(stdtr(28, -R_T)), "sign": 1, **COR},
        math.atanh(0.4),
        1 / 27,
    ),
    ("RR", "yi and vi", "RR", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    (
        "RR",
        "2 x 2 counts",
        "RR",
        {"events1": 4, "n1": 123, "events2": 11, "n2": 139},
        -0.889311333920205,
        0.325584765007944,
    ),
    ("OR", "yi and vi", "OR", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    (
        "OR",
        "2 x 2 counts",
        "OR",
        {"events1": 4, "n1": 123, "events2": 11, "n2": 139},
        -0.938694140870192,
        0.357124952253733,
    ),
    ("RD", "yi and vi", "RD", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    ("RD", "2 x 2 counts", "RD", {"events1": 10, "n1": 100, "events2": 20, "n2": 100}, -0.1, 0.0025),
    ("PLO", "yi and vi", "PLO", {"yi": 0.3, "vi": 0.04}, 0.3, 0.04),
    ("PLO", "counts", "PLO", {"better": 30, "same": 6, "worse": 4}, math.log(3), 1 / 30 + 1 / 10),
    ("PLO", "events in one group", "PLO", {"events1": 30, "n1": 40}, math.log(3), 1 / 30 + 1 / 10),
]
# The 2 x 2 rows are trial 1 of the BCG data (Colditz 1994) with metafor's escalc; all others follow from the
# definition of the statistic, so that means and SDs, t, F and p must meet in one number.


def size_of(
    make_row: Any, dictionary: Dictionary, scale: Scale, outcome: str = "mood", /, **cells: Any
) -> EffectSize | None:
    return effect_size_of(make_row(outcome=outcome, **cells), scale, dictionary)


def test_every_route_has_a_case() -> None:
    routes = {(scale, route.name, route.measure or GIVEN_MEASURE[scale]) for scale in ROUTES for route in ROUTES[scale]}
    assert {case[:3] for case in CASES} == routes


def test_every_route_names_a_known_measure() -> None:
    reached = {route.measure for group in ROUTES.values() for route in group if route.measure}
    assert reached == {"MC", "MD", "SMCC", "SMD", "ZCOR", "RR", "OR", "RD", "PLO"} <= set(MEASURES)


@pytest.mark.parametrize(("scale", "route", "code", "cells", "yi", "vi"), CASES)
def test_routes(
    scale: Scale,
    route: str,
    code: str,
    cells: dict[str, Any],
    yi: float,
    vi: float,
    make_row: Any,
    dictionary: Dictionary,
) -> None:
    size = size_of(make_row, dictionary, scale, **cells)
    assert size is not None
    assert (size.route.name, size.measure) == (route, code)
    assert size.yi == pytest.approx(yi, rel=1e-9)
    assert size.vi == pytest.approx(vi, rel=1e-9)
    assert size.vi > 0


@pytest.mark.parametrize(("scale", "route", "code", "cells", "yi", "vi"), CASES)
def test_higher_is_turns_scores_and_never_words(
    scale: Scale,
    route: str,
    code: str,
    cells: dict[str, Any],
    yi: float,
    vi: float,
    make_row: Any,
    dictionary: Dictionary,
) -> None:
    plain, turned = (size_of(make_row, dictionary, scale, outcome, **cells) for outcome in ("mood", "gloom"))
    assert plain is not None
    assert turned is not None
    by_word = route.startswith(("F(", "exact p")) or route == "counts"
    assert turned.yi == (plain.yi if by_word else -plain.yi)
    assert turned.vi == plain.vi


def test_printed_and_rounded_numbers_meet_within_rounding(make_row: Any, dictionary: Dictionary) -> None:
    """Sharman 2019, supported against unsupported: M, SD; t = 1.8305; p = 0.068."""
    groups = {"n1": 315, "n2": 49}
    ways = [
        size_of(make_row, dictionary, "standardised", m1=0.7175, sd1=1.2892, m2=0.3469, sd2=1.4938, **groups),
        size_of(make_row, dictionary, "standardised", t=1.8305, **groups),
        size_of(make_row, dictionary, "standardised", F=round(1.8305**2, 4), df1=1, df2=362, sign=1, **groups),
        size_of(make_row, dictionary, "standardised", p=0.068, sign=1, **groups),
    ]
    values = [size.yi for size in ways if size]
    assert len(values) == 4
    assert np.ptp(values) < 0.001


def test_the_small_sample_factor_can_be_left_off(make_row: Any, dictionary: Dictionary) -> None:
    size = effect_size_of(make_row(mean_change=0.5, sd_change=2.0, n=30), "standardised", dictionary, correct=False)
    assert size is not None
    assert size.yi == 0.25
    assert size.vi == pytest.approx(1 / 30 + 0.25**2 / 60)


@pytest.mark.parametrize(
    ("scale", "cells"),
    [
        ("raw", {"m1": 1, "sd1": 1, "n1": 9, "m2": 1, "n2": 9}),
        ("raw", {"mean_change": 1, "sd_change": 1}),
        ("standardised", {"t": 2.0}),
        ("standardised", {"p": 0.04, "n1": 9, "n2": 9}),
        ("standardised", {"p": 0.04, "n1": 9, "n2": 9, "sign": 0}),
        ("standardised", {"p": 0.0, "n1": 9, "n2": 9, "sign": 1}),
        ("standardised", {"F": 4.0, "df1": 2, "n1": 9, "n2": 9, "sign": 1}),
        ("standardised", {"t": 2.0, "n": 30, "test": "regression"}),
        ("standardised", {"d": 0.5}),
        ("standardised", {"mean_change": 1.0, "sd_change": 1.0, "n": 2, "kind": "bounds"}),
        ("standardised", {"m1": 1, "sd1": 1, "n1": 1, "m2": 1, "sd2": 1, "n2": 1}),
        ("raw", {"yi": 1, "sei": 1e200}),
        ("raw", {"yi": 1, "vi": 0}),
        ("raw", {"mean_change": 1, "sd_change": 1e200, "n": 9}),
        ("standardised", {"mean_change": 1, "sd_change": 0, "n": 9}),
        ("correlation", {"r": 1.0, "n": 30}),
        ("correlation", {"r": 0.4, "n": 3}),
        ("correlation", {"t": 2.0, "n": 30}),
        ("RR", {"events1": 4, "n1": 9}),
        ("PLO", {"events1": 4, "n1": 9, "events2": 4, "n2": 9}),
        ("PLO", {"better": 4, "same": 1}),
        ("PLO", {"events1": 9, "n1": 4}),
    ],
)  # fmt: skip
def test_what_leads_nowhere(scale: Scale, cells: dict[str, Any], make_row: Any, dictionary: Dictionary) -> None:
    assert size_of(make_row, dictionary, scale, **cells) is None
