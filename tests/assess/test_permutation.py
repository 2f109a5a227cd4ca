"""Permutation tests against loops over itertools, and GOSH against a fit to each subset."""

from itertools import permutations, product

import numpy as np
import pytest

import catharsis as ca
from catharsis.assess.permutation import arrangements
from catharsis.errors import ModelError

Y = np.array([0.8, 0.1, 0.55, -0.1, 0.4, 0.62])
V = np.array([0.05, 0.02, 0.09, 0.04, 0.03, 0.06])
X = np.column_stack([np.ones(6), [0, 0, 1, 1, 2, 2]])
TIE = 1.5e-8


def share(observed, drawn):
    return np.mean(np.array(drawn) >= observed - TIE, axis=0)


@pytest.mark.parametrize(("method", "test"), [("REML", "knha"), ("EE", "z"), ("DL", "t"), ("PM", "adhoc")])
def test_signs(method, test):
    model = ca.fit(yi=Y, vi=V, method=method, test=test)
    drawn = [
        abs(ca.fit(yi=np.array(signs) * Y, vi=V, method=method, test=test).statistic[0])
        for signs in product([1, -1], repeat=6)
    ]
    found = ca.permutation_test(model)
    assert found.exact
    assert found.permutations == 64
    assert found.pvalues["intercept"] == found.QM_p == share(abs(model.statistic[0]), drawn)


@pytest.mark.parametrize(("method", "test"), [("REML", "knha"), ("EE", "z")])
def test_rows_of_the_moderators(method, test):
    model = ca.fit(yi=Y, vi=V, X=X, method=method, test=test)
    drawn = [
        np.abs(ca.fit(yi=Y, vi=V, X=X[list(order)], method=method, test=test).statistic)
        for order in {tuple(rows) for rows in permutations(range(6)) if list(rows) == _sorted_pairs(rows)}
    ]
    assert len(drawn) == 90  # 6! / (2! 2! 2!): X repeats its rows
    found = ca.permutation_test(model, exact=True)
    assert found.permutations == 90
    np.testing.assert_allclose(found.pvalues, share(np.abs(model.statistic), drawn))
    assert found.QM_p == pytest.approx(found.pvalues.iloc[1])


def _sorted_pairs(rows):
    """The order in which equal rows of X (0 and 1, 2 and 3, 4 and 5) keep their order."""
    rows = list(rows)
    for a in (0, 2, 4):
        i, j = sorted((rows.index(a), rows.index(a + 1)))
        rows[i], rows[j] = a, a + 1
    return rows


def test_the_joint_test_takes_the_terms_it_is_given():
    wide = np.column_stack([X, [0, 1, 0, 1, 1, 0]])
    model = ca.fit(yi=Y, vi=V, X=wide, test="z", weights=[1.0, 2, 1, 3, 1, 2])
    found = ca.permutation_test(model, joint=["x3"])
    assert found.permutations == 720
    assert found.QM_p == found.pvalues["x3"]
    assert ca.permutation_test(model).QM_p != found.QM_p
    with pytest.raises(ModelError, match=r'"x9" is not a term of this model'):
        ca.permutation_test(model, joint=["x9"])


def test_arrangements_are_all_and_different():
    counts = np.array([2, 1, 3])
    found = arrangements(np.arange(60), counts)
    assert len({tuple(row) for row in found.tolist()}) == 60
    assert all(np.bincount(row).tolist() == [2, 1, 3] for row in found)


def test_random_permutations_approach_the_exact_test():
    model = ca.fit(yi=Y, vi=V, X=X, test="z")
    exact = ca.permutation_test(model).pvalues
    drawn = ca.permutation_test(model, exact=False, iterations=80, rng=np.random.default_rng(4))
    assert not drawn.exact
    long = np.random.default_rng(5)
    y = long.normal(0.2, 0.4, 20)
    sampled = ca.permutation_test(ca.fit(yi=y, vi=np.full(20, 0.1), method="EE", test="z"), iterations=20000, rng=long)
    # with equal weights the sum of 20 signed effects is nearly normal around 0 with variance sum y^2
    normal = ca.fit(yi=y, vi=np.full(20, np.mean(y**2)), method="EE", test="z").pvalues["intercept"]
    assert sampled.pvalues["intercept"] == pytest.approx(normal, abs=0.02)
    np.testing.assert_allclose(drawn.pvalues, exact, atol=0.2)
    again = ca.permutation_test(model, exact=False, iterations=80, rng=np.random.default_rng(4))
    np.testing.assert_array_equal(again.pvalues, drawn.pvalues)


def test_the_interval_holds_what_the_test_does_not_reject():
    model = ca.fit(yi=Y, vi=V, method="DL", test="z")
    found = ca.permutation_test(model, interval=True)
    low, high = found.low["intercept"], found.high["intercept"]
    assert low < model.beta[0] < high
    for value, rejected in ((low - 1e-4, True), (low + 1e-4, False), (high - 1e-4, False), (high + 1e-4, True)):
        p = ca.permutation_test(ca.fit(yi=Y - value, vi=V, method="DL", test="z")).pvalues["intercept"]
        assert (p < 0.05) == rejected


def test_few_effects_cannot_reject():
    found = ca.permutation_test(ca.fit(yi=[3.0, 3.1, 2.9], vi=[0.01] * 3, test="z"), interval=True)
    assert found.pvalues["intercept"] == 0.25
    assert found.low.isna().all()
    assert found.notes == (
        "with 8 permutations p cannot be below 0.25, whatever the effects",
        "some limits were not found: the test rejects no value on that side",
    )


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_and_order_do_not_matter(unit):
    here = ca.permutation_test(ca.fit(yi=Y, vi=V, X=X))
    there = ca.permutation_test(ca.fit(yi=unit * Y, vi=unit**2 * V, X=X))
    order = [3, 1, 5, 0, 4, 2]
    turned = ca.permutation_test(ca.fit(yi=Y[order], vi=V[order], X=X[order]))
    np.testing.assert_array_equal(here.pvalues, there.pvalues)
    np.testing.assert_array_equal(here.pvalues, turned.pvalues)


LONG = ca.fit(yi=np.linspace(0, 1, 25), vi=np.full(25, 0.1), method="EE", test="z")
WRONG = [
    (lambda: ca.permutation_test(LONG), "1000 of 3.36e+07 permutations would be drawn at random; "
     "give rng=numpy.random.default_rng(seed), or exact=True"),
    (lambda: ca.permutation_test(LONG, exact=True), "an exact test would take 3.36e+07 fits; use exact=False with "
     "iterations= and rng=, which approximates it as closely as wanted"),
    (lambda: ca.permutation_test(LONG, iterations=0), "iterations is 0; at least one permutation must be visited"),
    (lambda: ca.permutation_test(ca.fit(yi=[0.1], vi=[0.1])), "a permutation test needs more effects than "
     "coefficients; here k = 1 and p = 1"),
    (lambda: ca.gosh(LONG), "25 effects have 2^25 - 1 subsets, of which 32768 would be drawn at random; give "
     "rng=numpy.random.default_rng(seed), or subsets= to have more of them"),
    (lambda: ca.gosh(LONG, subsets=0), "subsets is 0; at least one subset must be fitted"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_what_is_refused(call, words):
    with pytest.raises(ModelError) as problem:
        call()
    assert str(problem.value) == words


def test_a_perfect_fit_is_as_extreme_as_it_gets():
    """Without residual scatter the Knapp-Hartung statistic is infinite; no permutation but such another reaches it."""
    X = np.array([[1.0, 0], [1, 0], [1, 1]])
    model = ca.fit(yi=[0.5, 0.5, 0.6], vi=[0.1, 0.1, 0.1], X=X, method="DL", test="knha")
    found = ca.permutation_test(model, exact=True)
    assert found.permutations == 3
    np.testing.assert_allclose(found.pvalues, 1 / 3)
