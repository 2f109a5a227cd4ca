"""Design matrices, blocks and the likelihood against dense definitions."""

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import make_blocks, sampling_covariance, split_covariance
from catharsis.likelihood.data import sampling_blocks
from catharsis.likelihood.design import codes, design_matrix, intercept_only
from catharsis.likelihood.marginal import inverse, log_likelihood, moments, slope, triangle, typical_variance

FRAME = pd.DataFrame(
    {
        "setting": ["alone", "with", "pair", "with", "alone", "pair"],
        "year": [1990, 1995, 2000, 2005, 2010, 2020],
        "study": ["a", "a", "b", "b", "b", "c"],
    }
)


@pytest.fixture
def crossed():
    """Six effects, two random factors that cross, correlated errors, a raw year: one block and one singleton."""
    rng = np.random.default_rng(11)
    y, vi = rng.normal(0, 1, 6), rng.uniform(0.1, 0.4, 6)
    X = np.column_stack([np.ones(6), FRAME["year"]])
    factors = [("study", codes(FRAME["study"])), ("lab", codes(["p", "q", "q", "p", "p", "r"]))]
    return make_blocks(y, X, vi, factors, sampling_covariance(vi, FRAME["study"], 0.4))


def dense(blocks, theta):
    """M and P as k x k matrices."""
    k = blocks.k
    M, K = np.zeros((k, k)), np.zeros((len(theta), k, k))
    for stack in blocks.stacks:
        for j, rows in enumerate(stack.rows):
            M[np.ix_(rows, rows)] = stack.V[j]
            for s in range(len(theta)):
                K[s][np.ix_(rows, rows)] = stack.K[s, j]
    M = M + np.tensordot(theta, K, 1)
    W = np.linalg.inv(M)
    X = blocks.X - np.array([0, 2000])  # the same space, better conditioned
    P = W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    return M, K, P, W, X


@pytest.mark.parametrize("theta", [[0.3, 0.2], [0.0, 0.5], [2.0, 0.0]])
@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_and_slope_against_dense_matrices(crossed, theta, reml):
    theta = np.array(theta)
    M, K, P, W, X = dense(crossed, theta)
    y, k, p = crossed.y, 6, 2
    found = moments(crossed, theta)
    quadratic = y @ P @ y
    value = -0.5 * (np.linalg.slogdet(M)[1] + quadratic + k * np.log(2 * np.pi))
    if reml:
        value += 0.5 * (p * np.log(2 * np.pi) + np.linalg.slogdet(X.T @ X)[1] - np.linalg.slogdet(X.T @ W @ X)[1])
    assert found.rss() == pytest.approx(quadratic, rel=1e-9)
    assert log_likelihood(crossed, found, reml) == pytest.approx(value, rel=1e-10)
    here = slope(crossed, theta, found, reml)
    R = P if reml else W
    assert here.score == pytest.approx([0.5 * (y @ P @ K[s] @ P @ y - np.trace(R @ K[s])) for s in (0, 1)], rel=1e-8)
    second = [[0.5 * np.trace(R @ K[s] @ R @ K[t]) for t in (0, 1)] for s in (0, 1)]
    assert here.information == pytest.approx(np.array(second), rel=1e-8)


def test_moments_keep_their_normal_equations(crossed):
    found = moments(crossed, np.array([0.3, 0.2]))
    _, _, _, W, _ = dense(crossed, np.array([0.3, 0.2]))
    X, y = crossed.X, crossed.y
    assert found.XtWX == pytest.approx(X.T @ W @ X, rel=1e-10)
    assert found.XtWy == pytest.approx(X.T @ W @ y, rel=1e-10)
    assert found.ytWy == pytest.approx(y @ W @ y, rel=1e-10)
    assert found.cov() @ found.XtWX == pytest.approx(np.eye(2), abs=1e-6)
    assert found.beta() == pytest.approx(found.cov() @ found.XtWy, rel=1e-6)


def test_typical_variance_of_one_value_is_that_value():
    blocks = make_blocks(np.zeros(4), np.ones((4, 1)), np.full(4, 0.3), [("effect", np.arange(4))])
    assert typical_variance(blocks) == pytest.approx(0.3)
    assert np.isnan(typical_variance(make_blocks(np.zeros(1), np.ones((1, 1)), np.ones(1), [])))


def test_triangle_of_a_wide_array_is_square():
    assert triangle(np.ones((1, 3))).shape == (3, 3)


def test_blocks_follow_factors_and_covariance(crossed):
    assert sorted(stack.rows.shape for stack in crossed.stacks) == [(1, 1), (1, 5)]
    assert sorted(np.concatenate([stack.rows.ravel() for stack in crossed.stacks])) == list(range(6))
    K = crossed.stacks[-1].K
    assert K.shape == (2, 1, 5, 5)
    assert K[0, 0].tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]


def test_a_dense_covariance_falls_into_its_blocks():
    V = np.diag(np.arange(1.0, 6))
    V[0, 3] = V[3, 0] = V[3, 4] = V[4, 3] = 0.5
    found = split_covariance(V)
    assert [rows.tolist() for rows, _ in found] == [[0, 3, 4], [1], [2]]
    assert found[0][1].tolist() == [[1, 0.5, 0], [0.5, 4, 0.5], [0, 0.5, 5]]


def test_sampling_covariance_keeps_the_variances():
    found = sampling_covariance([0.04, 0.09, 0.16], ["a", "b", "a"], 0.5)
    assert [(rows.tolist(), block.round(12).tolist()) for rows, block in found] == [
        ([0, 2], [[0.04, 0.04], [0.04, 0.16]]),
        ([1], [[0.09]]),
    ]


BAD_COVARIANCE = [
    (
        lambda: sampling_covariance([0.1, 0.1], ["a", "a"], 1.2),
        "rho is 1.2; a correlation within studies lies between -1 and 1",
    ),
    (
        lambda: sampling_covariance([0.1] * 3, ["a"] * 3, -0.6),
        "rho = -0.6 cannot hold between 3 effects of one cluster",
    ),
    (lambda: sampling_blocks([([0, 1], np.eye(3))], 2), "a block of V has shape (3, 3) for 2 effects"),
    (
        lambda: moments(
            make_blocks(np.zeros(2), np.ones((2, 1)), np.ones(2), [], [(np.arange(2), np.array([[1, 2], [2, 1.0]]))]),
            np.zeros(0),
        ),
        "the covariance of the effects is not positive definite: check V (a correlation above 1, a zero?)",
    ),
]


@pytest.mark.parametrize(("call", "words"), BAD_COVARIANCE)
def test_bad_covariances_are_refused_in_words(call, words):
    with pytest.raises(ModelError) as caught:
        call()
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("formula", "options", "terms"),
    [
        ("~ 1", {}, ("intercept",)),
        ("", {}, ("intercept",)),
        ("yi ~ setting", {}, ("intercept", "setting[pair]", "setting[with]")),
        ("~ setting", {"reference": {"setting": "with"}}, ("intercept", "setting[alone]", "setting[pair]")),
        (
            "~ setting",
            {"levels": {"setting": ["with", "alone", "nobody"]}},
            ("intercept", "setting[alone]", "setting[pair]"),
        ),
        ("~ setting - 1", {}, ("setting[alone]", "setting[pair]", "setting[with]")),
        ("~ year + setting", {}, ("intercept", "year", "setting[pair]", "setting[with]")),
    ],
)
def test_terms_of_a_design(formula, options, terms):
    design = design_matrix(formula, FRAME, **options)
    assert design.terms == terms
    assert design.X.shape == (6, len(terms))


def test_columns_are_main_effects():
    design = design_matrix("~ setting * year", FRAME)
    assert design.columns == {"setting": (1, 2), "year": (3,)}
    assert design.terms[4:] == ("setting[pair]:year", "setting[with]:year")


def test_intercept_only_has_no_columns():
    design = intercept_only(3)
    assert design.X.tolist() == [[1], [1], [1]]
    assert design.columns == {}


def test_a_singular_block_is_refused_in_words():
    with pytest.raises(ModelError, match="not positive definite"):
        inverse(np.ones((1, 2, 2)))
