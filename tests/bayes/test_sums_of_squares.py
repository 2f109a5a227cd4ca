"""Products under M^-1 by sums within and between levels, against the dense covariance matrix."""

import numpy as np
import pandas as pd
import pytest

from catharsis.bayes.components import Components, regress
from catharsis.bayes.components import conditional as given
from catharsis.bayes.low_rank import LowRank
from catharsis.bayes.sums_of_squares import SumsOfSquares, tree
from catharsis.likelihood.blocks import make_blocks, sampling_covariance
from catharsis.likelihood.marginal import covariance
from catharsis.likelihood.random_effects import random_effects

RNG = np.random.default_rng(4)
K = 24
FRAME = pd.DataFrame(
    {"yi": RNG.normal(size=K), "vi": RNG.uniform(0.01, 0.3, K), "study": np.repeat(np.arange(8), 3),
     "effect": np.arange(K), "lab": np.repeat(np.arange(4), 6), "group": np.tile(["a", "b"], K // 2)}
).sample(frac=1, random_state=1).reset_index(drop=True)  # fmt: skip
X = np.column_stack([np.ones(K), RNG.normal(2000, 10, K)])
AGREES = 1e-9  # of a log determinant or a product; worst seen 3e-12
MODELS = {
    "one effect each": ("effect", None, None),
    "two levels": ("study", None, None),
    "three levels": ("study/effect", None, None),
    "four levels": ("lab/study/effect", None, None),
    "shared errors": ("study/effect", None, ("study", 0.6)),
    "shared errors, negative": ("lab/study/effect", None, ("study", -0.4)),
    "groups": ("group | effect", "DIAG", None),
    "groups within studies": ("group | study", "DIAG", None),
    "one spread within studies": ("group | study", "ID", None),
    "studies and groups": (["lab", "group | study"], "DIAG", None),
}


def built(name):
    random, struct, tied = MODELS[name]
    V = None if tied is None else sampling_covariance(FRAME["vi"], FRAME[tied[0]], tied[1])
    found = random_effects(random, struct, FRAME, K, {})
    return make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), found.factors, V, found.terms)


def dense(blocks, theta):
    M = np.zeros((K, K))
    for stack in blocks.stacks:
        for rows, block in zip(stack.rows, covariance(stack, theta), strict=True):
            M[np.ix_(rows, rows)] = block
    return M


@pytest.mark.parametrize("name", MODELS)
def test_against_the_dense_matrix(name):
    blocks = built(name)
    sums = SumsOfSquares(blocks, tree(blocks))
    theta = np.exp(RNG.normal(-2, 3, (12, len(blocks.factors))))
    theta[:3] = theta[0]  # repeated values share their sums
    theta[3] = 0.0
    products, log_det = sums(theta)
    T, b0 = sums.turned
    columns = np.column_stack([X @ np.linalg.inv(T), blocks.y - X @ b0])
    for i, variances in enumerate(theta):
        M = dense(blocks, variances)
        expected = columns.T @ np.linalg.solve(M, columns)
        assert log_det[i] == pytest.approx(np.linalg.slogdet(M)[1], abs=AGREES)
        assert products[i] == pytest.approx(expected, rel=AGREES, abs=AGREES * np.abs(expected).max())


@pytest.mark.parametrize(
    ("random", "struct"), [("study + group", None), ("lab + group", None), (["yi | lab"], "GDIAG")]
)
def test_low_rank_against_the_dense_matrix(random, struct):
    found = random_effects(random, struct, FRAME, K, {})
    V = [(np.arange(K), np.diag(FRAME["vi"]) + 0.01 * np.ones((K, K)))]
    blocks = make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), found.factors, V, found.terms)
    low_rank = LowRank(blocks)
    theta = np.exp(RNG.normal(-2, 2, (12, len(blocks.factors))))
    theta[0] = 0.0
    products, log_det = low_rank(theta)
    T, b0 = low_rank.turned
    columns = np.column_stack([X @ np.linalg.inv(T), blocks.y - X @ b0])
    for i, variances in enumerate(theta):
        M = dense(blocks, variances)
        expected = columns.T @ np.linalg.solve(M, columns)
        assert log_det[i] == pytest.approx(np.linalg.slogdet(M)[1], abs=AGREES)
        assert products[i] == pytest.approx(expected, abs=AGREES * np.abs(columns.T @ columns).max())


def test_lost_digits_are_found_again_by_rows():
    """A variance 10^9 times the sampling variances leaves nothing of the difference, which says so."""
    found = random_effects("study + group", None, FRAME, K, {})
    blocks = make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), found.factors)
    theta = np.array([[0.1, 0.1], [1e8, 1e8]])
    assert np.isnan(LowRank(blocks)(theta)[1]).tolist() == [False, True]
    flat = np.zeros(2)
    posterior = given(Components(blocks), theta, flat, flat)
    M = dense(blocks, theta[1])
    white = np.linalg.solve(np.linalg.cholesky(M), np.column_stack([X, blocks.y]))[None]
    known = regress(white, np.array([np.linalg.slogdet(M)[1]]), flat, flat)
    assert posterior.log_likelihood[1] == pytest.approx(known.log_likelihood[0], abs=1e-5)
    assert posterior.mean[1] == pytest.approx(known.mean[0], rel=1e-4)  # 9 digits are gone from the matrix itself


def test_a_large_variance_cancels_nothing():
    """Studies' means weigh 1 / (q^-1 + c), whatever c; a difference of products would lose what c has left."""
    blocks = built("two levels")
    products, _ = SumsOfSquares(blocks, tree(blocks))(np.array([[1e14]]))
    one = SumsOfSquares(make_blocks(blocks.y, np.ones((K, 1)), blocks.variances, [("study", blocks.ties.factors[0])]),
                        tree(blocks))  # fmt: skip
    found, _ = one(np.array([[1e14]]))
    T = one.turned[0]
    assert found[0, 0, 0] * T[0, 0] ** 2 == pytest.approx(8e-14, rel=1e-10)
    assert np.isfinite(products).all()


def test_what_has_no_levels():
    crossed = random_effects("study + group", None, FRAME, K, {})
    blocks = make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), crossed.factors)
    assert tree(blocks) is None
    assert isinstance(Components(blocks).sums, LowRank)
    slopes = random_effects(["yi | study"], "GDIAG", FRAME, K, {})
    assert tree(make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), [], None, slopes.terms)) is None
    coarse = sampling_covariance(FRAME["vi"], FRAME["lab"], 0.3)
    nested = random_effects("study/effect", None, FRAME, K, {})
    assert tree(make_blocks(FRAME["yi"].to_numpy(), X, FRAME["vi"].to_numpy(), nested.factors, coarse)) is None
