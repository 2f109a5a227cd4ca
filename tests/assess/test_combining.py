"""Combined p values, effect directions, albatross data."""

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import catharsis as ca
from catharsis.assess.combining import METHODS, uniform_sum

P = np.array([0.04, 0.2, 0.01, 0.6])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("fisher", "fisher"), ("pearson", "pearson"), ("tippett", "tippett"), ("logit", "mudholkar_george")],
)
def test_as_scipy(ours, theirs):
    assert ca.combine_pvalues(P, ours).pvalue == pytest.approx(stats.combine_pvalues(P, theirs).pvalue, rel=1e-12)


def test_stouffer_as_scipy():
    w = np.sqrt([20, 40, 80, 10])
    theirs = stats.combine_pvalues(P, "stouffer", weights=w)
    found = ca.combine_pvalues(P, weights=w)
    assert (found.statistic, found.pvalue) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-12)


def test_inverse_chi2_with_two_degrees_each_is_fisher():
    found = ca.combine_pvalues(P, "inverse-chi2", weights=[2.0] * 4)
    assert found.pvalue == pytest.approx(ca.combine_pvalues(P, "fisher").pvalue, rel=1e-12)


def test_wilkinson_and_binomial_are_order_statistics():
    assert ca.combine_pvalues(P, "wilkinson", r=1).pvalue == pytest.approx(
        ca.combine_pvalues(P, "tippett").pvalue, rel=1e-12
    )
    assert ca.combine_pvalues(P, "wilkinson", r=2).pvalue == pytest.approx(stats.binom.sf(1, 4, 0.04), rel=1e-12)
    found = ca.combine_pvalues(P, "binomial", alpha=0.05)
    assert (found.statistic, found.pvalue) == (2, pytest.approx(stats.binom.sf(1, 4, 0.05), rel=1e-12))


def exact_sum(total: float, k: int) -> Fraction:
    """The alternating formula in rational numbers, where it loses nothing."""
    x = Fraction(total)
    return sum((-1) ** j * comb(k, j) * (x - j) ** k for j in range(int(x) + 1)) / factorial(k)


@pytest.mark.parametrize(("total", "k"), [(0.3, 1), (0.7, 3), (2.5, 5), (4.0, 10), (9.75, 30), (1.5, 30), (29.0, 60)])
def test_edgington_against_rational_arithmetic(total, k):
    assert uniform_sum(total, k) == pytest.approx(float(exact_sum(total, k)), rel=1e-12)


def test_edgington_of_a_large_literature_is_nearly_normal():
    total, k = 480.0, 1000
    assert uniform_sum(total, k) == pytest.approx(stats.norm.cdf((total - k / 2) / np.sqrt(k / 12)), rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_one_p_is_itself_and_order_does_not_matter(method):
    if method not in ("binomial", "logit"):  # a count; an approximation by t
        assert ca.combine_pvalues([0.03], method).pvalue == pytest.approx(0.03, rel=1e-10)
    one, other = ca.combine_pvalues(P, method), ca.combine_pvalues(P[::-1], method)
    assert other.pvalue == pytest.approx(one.pvalue, rel=1e-12)


def test_tiny_p_values_keep_their_digits():
    assert ca.combine_pvalues([1e-150, 1e-120], "fisher").pvalue > 0
    assert ca.combine_pvalues([1e-100, 1e-100], "edgington").pvalue == pytest.approx(2e-200, rel=1e-9)
    assert ca.combine_pvalues([1e-100] * 3, "tippett").pvalue == pytest.approx(3e-100, rel=1e-12)


def test_signs_halve_two_sided_p_values():
    found = ca.combine_pvalues([0.08, 0.4], "fisher", signs=[1, -1])
    assert found.pvalue == ca.combine_pvalues([0.04, 0.8], "fisher").pvalue


def test_a_p_of_one_is_told():
    found = ca.combine_pvalues([0.001, 1.0])
    assert (found.pvalue, found.notes) == (1.0, ("a p of 1 outweighs all others here",))


DIRECTIONS = pd.DataFrame(
    {
        "study": ["a", "a", "a", "a", "b", "b", "c", "d", "d"],
        "domain": ["mood"] * 4 + ["mood", "calm"] + ["mood"] + ["calm"] * 2,
        "sign": [1, 1, 1, -1, -2.5, 0, 1, 0, 0],
        "n": [40, 40, 44, 40, 20, 20, 300, 10, 10],
    }
)


def test_effect_directions():
    found = ca.effect_directions(DIRECTIONS, size="n")
    table = found.table()
    assert table["mood"].to_dict() == {"a": "positive", "b": "negative", "c": "positive", "d": ""}
    assert table["calm"].to_dict() == {"a": "", "b": "none", "c": "", "d": "none"}
    assert found.cells["size"].tolist() == [44, 20, 20, 300, 10]
    assert (found.tests["mood"].positive, found.tests["mood"].negative, found.tests["calm"].none) == (2, 1, 2)
    assert found.summary().loc["mood", "p"] == 1.0
    strict = ca.effect_directions(DIRECTIONS, agree=0.8)
    assert strict.table().loc["a", "mood"] == "mixed"


def test_effect_directions_do_not_depend_on_row_order():
    one = ca.effect_directions(DIRECTIONS).table()
    other = ca.effect_directions(DIRECTIONS.sample(frac=1, random_state=3)).table()
    pd.testing.assert_frame_equal(one, other.loc[one.index, one.columns])


@pytest.mark.parametrize("measure", ["smd", "correlation"])
def test_contours_pass_through_the_effects_they_name(measure):
    found = ca.albatross_data([50, 200], [0.2, 0.001], [1, -1], measure=measure)
    assert found.points["x"].tolist() == pytest.approx([-np.log10(0.2), np.log10(0.001)])
    line = found.contours.query("side == 1 and effect == 0.5")
    again = ca.albatross_data(line["n"], line["p"], np.ones(len(line)), measure=measure)
    np.testing.assert_allclose(again.points["implied"], 0.5, rtol=1e-9)


def test_implied_smd_is_that_of_the_t_test_in_large_samples():
    n = 4000
    z = 0.3 / np.sqrt(4 / n)
    found = ca.albatross_data([n], [2 * stats.norm.sf(z)], [1])
    assert found.points["implied"].iloc[0] == pytest.approx(0.3, rel=1e-9)


BAD = [
    (lambda: ca.combine_pvalues([]), "there are no p values to combine"),
    (
        lambda: ca.combine_pvalues([0.1, 0.0]),
        "p of 2 is 0.0; it must lie in (0, 1]: for a p printed as 0 enter its upper bound",
    ),
    (
        lambda: ca.combine_pvalues([0.1, np.nan]),
        "p of 2 is nan; it must lie in (0, 1]: for a p printed as 0 enter its upper bound",
    ),
    (lambda: ca.combine_pvalues(["x"]), "p holds something that is not a number"),
    (lambda: ca.combine_pvalues([[0.1]]), "p has 2 dimensions; it needs one value for each study"),
    (lambda: ca.combine_pvalues(P, "stoufer"), 'there is no method "stoufer": did you mean "stouffer"?'),
    (lambda: ca.combine_pvalues(P, "fisher", weights=P), "fisher has no weights; stouffer and inverse-chi2 have"),
    (lambda: ca.combine_pvalues(P, weights=[1, 2]), "weights must be 4 positive numbers, one for each p"),
    (lambda: ca.combine_pvalues(P, signs=[1]), "there are 4 p values but 1 signs"),
    (
        lambda: ca.combine_pvalues(P, signs=[1, 0, 1, 1]),
        "the sign of p value 2 is not known; leave it out, or give a one-sided p",
    ),
    (lambda: ca.combine_pvalues(P, "wilkinson", r=5), "r is 5; it counts p values, of which there are 4"),
    (lambda: ca.combine_pvalues(P, "binomial", alpha=1), "alpha is 1; it lies between 0 and 1"),
    (
        lambda: ca.effect_directions(DIRECTIONS, sign="sing"),
        'the data have no column "sing": did you mean "sign"?',
    ),
    (
        lambda: ca.effect_directions(DIRECTIONS, agree=0.4),
        "agree is 0.4; a direction needs more than half of the effects, and at most all",
    ),
    (lambda: ca.effect_directions(DIRECTIONS.iloc[:0]), "there are no effects whose direction could be shown"),
    (
        lambda: ca.effect_directions(DIRECTIONS.assign(sign=np.nan)),
        "the sign of row 0 is missing; enter 0 when the paper reports no direction",
    ),
    (
        lambda: ca.effect_directions(DIRECTIONS.assign(sign="up")),
        "the column sign holds something that is not a number",
    ),
    (lambda: ca.albatross_data([2], [0.5], [1]), "n of a study must be a number above 3; study 1 has 2.0"),
    (lambda: ca.albatross_data([20], [0], [1]), "p must lie in (0, 1]; study 1 has 0.0"),
    (lambda: ca.albatross_data([20, 30], [0.5], [1]), "n, p and signs need one value for each study"),
    (lambda: ca.albatross_data([], [], []), "there are no studies to draw"),
    (
        lambda: ca.albatross_data([20], [0.5], [1], measure="correlation", effects=[1.5]),
        "effects are [1.5]; they must be positive, and correlations below 1",
    ),
    (lambda: ca.albatross_data([20], [0.5], [1], measure="OR"), "use one of: smd, correlation"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ca.ModelError) as caught:
        call()
    assert message in str(caught.value)
