"""Kappa and ICC(A,1) against published examples, against other formulas for the same quantity, and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catharsis.checks.agreement import agreement_weights, cohen_kappa, intraclass_correlation, kappa_of_table
from catharsis.errors import ModelError

# Shrout and Fleiss 1979 (Psychological Bulletin), table 2: six targets, four judges
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Cohen 1968 (Psychological Bulletin), table 1: three diagnoses of 200 people; he reports .492, and .348 with weights
COHEN = np.array([[0.44, 0.07, 0.09], [0.05, 0.20, 0.05], [0.01, 0.03, 0.06]]) * 200
COHEN_WEIGHTS = 1 - np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]]) / 6
# the agreement study of the SAS manual (PROC FREQ, getting started): two dermatologists, 88 patients
SKIN = [[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]]
# Fleiss 1981 (Statistical Methods for Rates and Proportions), p. 213
FLEISS = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]


def test_icc_of_shrout_and_fleiss():
    """They print .29 for ICC(2,1); the limits .019 and .76 are those of the R package psych for their table."""
    found = intraclass_correlation(JUDGES)
    assert (found.name, found.n) == ("ICC(A,1)", 6)
    assert round(found.estimate, 2) == 0.29
    assert (round(found.low, 3), round(found.high, 2)) == (0.019, 0.76)


def test_icc_of_the_exams():
    """Six exams and four judges, as pingouin is shown on the web: 0.503054 [0.1, 0.89]."""
    ratings = np.array(
        [[1, 1, 3, 6, 6, 7], [2, 3, 8, 4, 5, 5], [0, 4, 1, 5, 5, 6], [1, 2, 3, 3, 6, 4]], dtype=float
    ).T  # fmt: skip
    found = intraclass_correlation(ratings)
    assert found.estimate == pytest.approx(0.503054, abs=5e-7)
    assert (round(found.low, 2), round(found.high, 2)) == (0.10, 0.89)


def test_icc_of_two_readers_by_its_components():
    """The variance between things over the variance of one reading, from the components of a two-way model."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 1)) * 2 + rng.normal(size=(30, 2)) + np.array([0.0, 0.7])
    n, r = x.shape
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    ms_rows = r * np.var(rows, ddof=1)
    ms_columns = n * np.var(columns, ddof=1)
    ms_error = ((x - rows[:, None] - columns + x.mean()) ** 2).sum() / ((n - 1) * (r - 1))
    between, judges, error = (ms_rows - ms_error) / r, (ms_columns - ms_error) / n, ms_error
    found = intraclass_correlation(x)
    assert found.estimate == pytest.approx(between / (between + judges + error), rel=1e-12)
    assert found.low < found.estimate < found.high


def test_the_interval_of_the_icc_holds_its_level():
    """2,000 data sets from the model with ICC = 0.6: 95 % intervals hold it in 93 to 97 %."""
    rng = np.random.default_rng(20261123)
    hits = 0
    for _ in range(2000):
        things, bias, noise = rng.normal(size=(20, 1)), rng.normal(size=(1, 2)), rng.normal(size=(20, 2))
        found = intraclass_correlation(np.sqrt(0.6) * things + np.sqrt(0.02) * bias + np.sqrt(0.38) * noise)
        hits += found.low <= 0.6 <= found.high
    assert 0.93 <= hits / 2000 <= 0.975


def test_a_constant_bias_lowers_the_icc():
    x = np.arange(10.0)
    assert intraclass_correlation(np.column_stack([x, x])).estimate == 1
    biased = intraclass_correlation(np.column_stack([x, x + 3]))
    assert biased.estimate == pytest.approx(9.1666666666666667 / (9.1666666666666667 + 4.5), rel=1e-12)


def test_where_no_icc_exists():
    same = intraclass_correlation([[0.1, 0.1], [0.3, 0.3], [0.7, 0.7]])
    assert same.estimate == 1
    assert math.isnan(same.low)
    assert "no disagreement" in same.note
    flat = intraclass_correlation([[2, 2], [2, 2]])
    assert math.isnan(flat.estimate)
    assert "all numbers are the same" in flat.note
    assert math.isnan(intraclass_correlation([[1, 2]]).estimate)
    for bad in ([[1.0], [2.0]], [1.0, 2.0], [[1, math.nan], [2, 3]], [["a", "b"]], [[1, 2], [3]], None):
        with pytest.raises(ModelError):
            intraclass_correlation(bad)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=12))
def test_an_icc_is_at_most_one_and_within_its_interval(pairs):
    found = intraclass_correlation(pairs)
    if not math.isnan(found.estimate):
        assert found.estimate <= 1 + 1e-9
    if not math.isnan(found.low):
        assert found.low <= found.high + 1e-9


# -- kappa ------------------------------------------------------------------------------------------------


def test_kappa_of_cohen():
    assert round(kappa_of_table(COHEN).estimate, 3) == 0.492
    weighted = kappa_of_table(COHEN, COHEN_WEIGHTS)
    assert (weighted.name, round(weighted.estimate, 3)) == ("weighted kappa", 0.348)


def test_kappa_of_the_dermatologists():
    """The manual prints 0.3449 (ASE 0.0724, 0.2030 to 0.4868), linear weights 0.5082 (0.0655, 0.3798 to 0.6366)."""
    plain = kappa_of_table(SKIN)
    weighted = kappa_of_table(SKIN, agreement_weights(4, "linear"))
    for found, printed in ((plain, (0.3449, 0.0724, 0.2030, 0.4868)), (weighted, (0.5082, 0.0655, 0.3798, 0.6366))):
        assert tuple(round(x, 4) for x in (found.estimate, found.se, found.low, found.high)) == printed
    assert plain.n == 88


def test_kappa_of_fleiss():
    """0.676 in his book; SAS gives an ASE of 0.0877."""
    found = kappa_of_table(FLEISS)
    assert (round(found.estimate, 3), round(found.se, 4)) == (0.676, 0.0877)


def test_kappa_of_answers_is_that_of_their_table():
    words = ["terrible", "poor", "marginal", "clear"]
    pairs = [(a, b) for i, a in enumerate(words) for j, b in enumerate(words) for _ in range(SKIN[i][j])]
    first, second = zip(*pairs, strict=True)
    assert cohen_kappa(first, second).estimate == pytest.approx(kappa_of_table(SKIN).estimate, rel=1e-12)
    ordered = cohen_kappa(first, second, order=words)
    assert ordered.estimate == pytest.approx(kappa_of_table(SKIN, agreement_weights(4, "linear")).estimate, rel=1e-12)
    assert ordered.name == "weighted kappa"


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(4))
def test_kappa_and_its_error_are_those_of_statsmodels(weights, seed):
    """Another program's numbers for any table; its standard error is that of Fleiss, Cohen and Everitt, too."""
    from statsmodels.stats.inter_rater import cohens_kappa

    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 60)
    second = np.where(rng.random(60) < 0.6, first, rng.integers(0, 4, 60))
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    theirs = cohens_kappa(table, wt=None if weights == "none" else weights)
    found = cohen_kappa(first.tolist(), second.tolist(), order=[0, 1, 2, 3], weights=weights)
    assert found.estimate == pytest.approx(theirs.kappa, rel=1e-12)
    assert (found.high - found.low) / (2 * 1.959963984540054) == pytest.approx(theirs.std_kappa, rel=1e-6)


def test_quadratic_kappa_is_nearly_the_icc():
    """Fleiss and Cohen 1973: kappa with quadratic weights is ICC(2,1) up to terms of 1/n; here n = 8,800."""
    pairs = [(i, j) for i in range(4) for j in range(4) for _ in range(100 * SKIN[i][j])]
    quadratic = kappa_of_table(SKIN, agreement_weights(4, "quadratic")).estimate
    assert intraclass_correlation(pairs).estimate == pytest.approx(quadratic, abs=1e-4)


def test_the_standard_error_of_kappa_by_the_bootstrap():
    """The spread of kappa over 2,000 tables drawn from the skin table, within 8 %."""
    rng = np.random.default_rng(3)
    p = np.ravel(SKIN) / np.sum(SKIN)
    for weights in (None, agreement_weights(4, "linear")):
        drawn = [kappa_of_table(rng.multinomial(880, p).reshape(4, 4), weights).estimate for _ in range(2000)]
        expected = kappa_of_table(10 * np.array(SKIN), weights).se
        assert np.std(drawn) == pytest.approx(expected, rel=0.08)


def test_where_no_kappa_exists():
    one = cohen_kappa(["yes", "yes"], ["yes", "yes"])
    assert math.isnan(one.estimate)
    assert "one answer throughout" in one.note
    perfect = cohen_kappa(["yes", "no"], ["yes", "no"])
    assert perfect.estimate == 1
    assert math.isnan(perfect.se)
    assert "no disagreement" in perfect.note
    assert cohen_kappa(["a", "b"], ["b", "a"]).estimate == -1
    calls = [
        lambda: cohen_kappa([], []),
        lambda: cohen_kappa(["a"], ["a", "b"]),
        lambda: cohen_kappa(["a"], ["c"], order=["a", "b"]),
        lambda: cohen_kappa(["a"], ["b"], weights="linear"),
        lambda: kappa_of_table([[1, 2]]),
        lambda: kappa_of_table([[0, 0], [0, 0]]),
        lambda: kappa_of_table([[1, -1], [0, 2]]),
        lambda: kappa_of_table([[1, 0], [0, 2]], np.eye(3)),
        lambda: agreement_weights(3, "cubic"),
        lambda: cohen_kappa("abc", "abd"),
        lambda: cohen_kappa(["a"], ["b"], level=95),
        lambda: kappa_of_table([["a", "b"], ["c", "d"]]),
        lambda: kappa_of_table([[1, 2], [3]]),
    ]
    for call in calls:
        with pytest.raises(ModelError):
            call()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_lies_between_its_limits(pairs):
    first, second = zip(*pairs, strict=True)
    found, turned = cohen_kappa(first, second), cohen_kappa(second, first)
    if math.isnan(found.estimate):
        return
    assert -1 <= found.estimate <= 1
    assert turned.estimate == pytest.approx(found.estimate, abs=1e-12)
    if not math.isnan(found.low):
        assert -1 <= found.low <= found.estimate <= found.high <= 1
