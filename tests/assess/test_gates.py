"""What may be said, as one table over k and m."""

import math

import pytest

from catharsis.assess.gates import (
    MIN_SATTERTHWAITE,
    Withheld,
    allowed_coefficients,
    direction_state,
    gate,
    show_p,
    standing,
    verdict,
)

FEW = "a statement about heterogeneity"
# k: standing, pool, headline, heterogeneity, coefficients, funnel with m = k
TABLE = {
    0: ("none", False, "frequentist", False, 0, "none"),
    1: ("single", False, "frequentist", False, 0, "none"),
    2: ("few", True, "bayes", False, 0, "none"),
    3: ("few", True, "bayes", False, 0, "none"),
    4: ("few", True, "bayes", False, 0, "none"),
    5: ("some", True, "frequentist", True, 1, "drawn"),
    9: ("some", True, "frequentist", True, 1, "drawn"),
    10: ("full", True, "frequentist", True, 1, "tested"),
    20: ("full", True, "frequentist", True, 2, "tested"),
    40: ("full", True, "frequentist", True, 4, "tested"),
    200: ("full", True, "frequentist", True, 20, "tested"),
}
WITHHELD = {
    0: [("a pooled estimate", "no row carries numbers for it")],
    1: [("pooling and heterogeneity", "there is one sample (k = 1)")],
    2: [
        (FEW, "2 samples cannot tell it from chance"),
        ("a funnel plot", "it needs at least 5 samples; here k = 2"),
    ],
    3: [
        (FEW, "3 samples cannot tell it from chance"),
        ("a funnel plot", "it needs at least 5 samples; here k = 3"),
    ],
    4: [
        (FEW, "4 samples cannot tell it from chance"),
        ("a funnel plot", "it needs at least 5 samples; here k = 4"),
    ],
    5: [("tests of funnel asymmetry", "they need at least 10 samples; here k = 5")],
    9: [("tests of funnel asymmetry", "they need at least 10 samples; here k = 9")],
}
ONE_REPORT = ("funnel plots and tests of reporting bias", "all samples come from one report (m = 1)")


def said(found):
    return [(held.what, held.why) for held in found.withheld]


@pytest.mark.parametrize("k", TABLE)
def test_one_report_per_sample(k):
    found = gate(k, k)
    row = (found.standing, found.pool, found.headline, found.heterogeneity, found.coefficients, found.funnel)
    assert row == TABLE[k]
    assert (found.k, found.m, found.new, found.one_study) == (k, k, "study", False)
    assert found.bayes == (k >= 2)
    assert said(found) == WITHHELD.get(k, [])


@pytest.mark.parametrize("k", [k for k in TABLE if k > 1])
def test_one_report_with_k_sites(k):
    found = gate(k, 1)
    row = (found.standing, found.pool, found.headline, found.heterogeneity, found.coefficients)
    assert row == TABLE[k][:5]
    assert (found.funnel, found.new, found.one_study) == ("none", "site", True)
    few = [(FEW, f"{k} samples cannot tell it from chance")] if k < 5 else []
    assert said(found) == [*few, ONE_REPORT]


def test_the_levels_meet_without_gaps():
    assert [standing(k) for k in range(12)] == ["none", "single", *["few"] * 3, *["some"] * 5, "full", "full"]
    assert [allowed_coefficients(k) for k in (0, 4, 5, 9, 10, 19, 20, 99)] == [0, 0, 1, 1, 1, 1, 2, 9]


@pytest.mark.parametrize(
    ("k", "coefficients", "why"),
    [
        (2, 1, "1 coefficient needs 5 samples; here k = 2"),
        (5, 1, None),
        (5, 2, "2 coefficients need 20 samples by the rule of ten; here k = 5"),
        (10, 1, None),
        (19, 2, "2 coefficients need 20 samples by the rule of ten; here k = 19"),
        (20, 2, None),
        (20, 3, "3 coefficients need 30 samples by the rule of ten; here k = 20"),
        (200, 20, None),
    ],
)
def test_moderators_need_samples(k, coefficients, why):
    found = [held for held in gate(k, k, coefficients).withheld if "moderators" in held.what]
    assert found == ([] if why is None else [Withheld("a confirmatory reading of the moderators", why)])


@pytest.mark.parametrize("k", [2, 7, 30])
def test_a_sampler_that_failed_withholds_bayes(k):
    found = gate(
        k, k, sampler_problems=("R-hat is 1.100 (must be below 1.01)", "3 transitions diverged (must be none)")
    )
    assert not found.bayes
    assert found.headline == "frequentist"
    assert said(found)[-2:] == [
        ("Bayesian statements", "R-hat is 1.100 (must be below 1.01)"),
        ("Bayesian statements", "3 transitions diverged (must be none)"),
    ]


@pytest.mark.parametrize(
    ("low", "high", "no_effect", "expected"),
    [
        (0.1, 0.5, 0, "positive"),
        (-0.5, -0.1, 0, "negative"),
        (-0.1, 0.5, 0, "unclear"),
        (0.0, 0.5, 0, "unclear"),
        (-0.5, 0.0, 0, "unclear"),
        (1.1, 2.0, 1, "positive"),
        (0.5, 0.9, 1, "negative"),
        (math.nan, math.nan, 0, "unclear"),
        (-math.inf, math.inf, 0, "unclear"),
    ],
)
def test_verdicts(low, high, no_effect, expected):
    assert verdict(low, high, no_effect) == expected


@pytest.mark.parametrize(
    ("df", "shown"), [(0.9, False), (3.99, False), (4.0, True), (12.5, True), (math.inf, True), (math.nan, False)]
)
def test_few_degrees_of_freedom_hide_p(df, shown):
    assert show_p(df) is shown
    assert MIN_SATTERTHWAITE == 4


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ((0, 0, 0), "none"),
        ((0, 0, 1), "undecided"),
        ((1, 0, 0), "one way"),
        ((0, 2, 5), "one way"),
        ((1, 1, 0), "both ways"),
        ((9, 1, 3), "both ways"),
    ],
)
def test_directions_before_any_test(counts, state):
    assert direction_state(*counts) == state
