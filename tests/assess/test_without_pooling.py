"""Votes, the exact sign test and Holm's correction against scipy and by hand."""

import math

import pytest
from scipy.stats import binomtest

from catharsis.assess.without_pooling import holm, sign_test, votes

SCIPY = 1e-10  # relative; worst seen 1e-13
PAIRS = [
    (0, 1),
    (1, 0),
    (1, 1),
    (2, 0),
    (0, 5),
    (6, 0),
    (3, 4),
    (7, 7),
    (9, 2),
    (1, 19),
    (40, 60),
    (499, 501),
    (900, 100),
]


@pytest.mark.parametrize(("positive", "negative"), PAIRS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_the_sign_test_is_the_binomial_test(positive, negative, level):
    found = sign_test(positive, negative, 3, 2, level)
    known = binomtest(positive, positive + negative, 0.5)
    low, high = known.proportion_ci(level, method="exact")
    assert found.p == pytest.approx(known.pvalue, rel=SCIPY)
    assert (found.low, found.high) == pytest.approx((low, high), rel=SCIPY)
    assert found.share == positive / (positive + negative)
    assert (found.positive, found.negative, found.none, found.mixed) == (positive, negative, 3, 2)
    assert found.decided == positive + negative
    assert found.smallest_p == pytest.approx(binomtest(0, found.decided, 0.5).pvalue, rel=SCIPY)
    assert found.smallest_p <= found.p * (1 + SCIPY)


def test_votes_that_are_not_decided_change_nothing():
    assert sign_test(5, 2).p == sign_test(5, 2, none=50, mixed=9).p


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (0, 0, 4, 1)])
def test_without_a_decided_vote_there_is_no_p(counts):
    found = sign_test(*counts)
    assert all(math.isnan(value) for value in (found.p, found.share, found.low, found.high, found.smallest_p))
    assert found.decided == 0


def test_sides_mirror():
    one, other = sign_test(3, 8), sign_test(8, 3)
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), rel=1e-12)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([1], "positive"),
        ([-1], "negative"),
        ([0], "none"),
        ([0, 0, 0], "none"),
        ([1, -1], "mixed"),
        ([1, -1, 0], "mixed"),
        ([1, 1, -1], "positive"),
        ([-1, 0, 0, 0], "negative"),
    ],
)
def test_one_group_has_one_vote(signs, expected):
    assert votes(["a"] * len(signs), signs) == {"a": expected}


def test_groups_keep_their_order_and_their_rows():
    assert votes(["b", "a", "b", "c"], [1, -1, 1, 0]) == {"b": "positive", "a": "negative", "c": "none"}
    assert votes([], []) == {}
    assert votes([None, 2, None], [1, 1, -1]) == {None: "mixed", 2: "positive"}
    with pytest.raises(ValueError, match="shorter"):
        votes(["a", "b"], [1])


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, math.nan, 0.01], [0.02, math.nan, 0.02]),
        ([math.nan], [math.nan]),
    ],
)
def test_holm(p, expected):
    assert holm(p) == pytest.approx(expected, nan_ok=True)
