"""Multilevel models: how V may be given, degrees of freedom, random effects, weights, Cook's distance."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.likelihood.marginal import covariance
from catharsis.models.fit import fit
from catharsis.models.multilevel import containment_df

RNG = np.random.default_rng(20)
STUDY = np.repeat(np.arange(8), [1, 2, 3, 4, 2, 3, 1, 2])
K = len(STUDY)
DATA = pd.DataFrame(
    {
        "yi": RNG.normal(0.3, 0.4, 8)[STUDY] + RNG.normal(0, 0.3, K),
        "vi": RNG.uniform(0.02, 0.1, K),
        "study": STUDY,
        "effect": np.arange(K),
        "lab": STUDY % 3,
        "x": RNG.normal(0, 1, K),
        "w": RNG.normal(0, 1, 8)[STUDY],
    }
)
BLOCKS = sampling_covariance(DATA.vi, list(DATA.study), 0.5)
DENSE = np.zeros((K, K))
for _rows, _block in BLOCKS:
    DENSE[np.ix_(_rows, _rows)] = _block


def whole(model):
    """M and P of a fit as k x k matrices."""
    M = np.zeros((K, K))
    for stack in model.blocks.stacks:
        for rows, block in zip(stack.rows, covariance(stack, model.theta), strict=True):
            M[np.ix_(rows, rows)] = block
    W, X = np.linalg.inv(M), model.blocks.X
    return M, W, W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W


@pytest.mark.parametrize("V", [DENSE, sparse.csr_array(DENSE), sparse.coo_matrix(DENSE), pd.DataFrame(DENSE)])
def test_a_covariance_may_be_given_in_any_form(V):
    blocks = fit("yi ~ x", DATA, V=BLOCKS, random="study/effect")
    other = fit("yi ~ x", DATA, V=V, random="study/effect")
    assert other.theta == pytest.approx(blocks.theta, rel=1e-12)
    assert other.beta == pytest.approx(blocks.beta, rel=1e-12)


def test_variances_alone_may_be_given():
    assert fit("yi ~ 1", DATA, V=DATA.vi.to_numpy()).beta == pytest.approx(
        fit("yi ~ 1", DATA, method="EE", test="z").beta, rel=1e-12
    )


BAD_V = [
    (DENSE[:3, :3], "V has shape (3, 3); it needs one row and one column for each of the 18 effects"),
    (np.where(np.eye(K, k=1) > 0, 0.01, DENSE), "V is not symmetric: "),
    (
        DENSE + 9 * (np.eye(K, k=1) + np.eye(K, k=-1)),
        "V is not positive semi-definite (effects 0, 1, 2, 3, 4, 5, ...): ",
    ),
    ([(np.array([0, 99]), np.eye(2))], "a block of V names row 100, but there are 18 effects"),
    ([*BLOCKS, BLOCKS[0]], "V holds effect 0 twice"),
    ("V", "V cannot be read: give a (k, k) matrix of numbers, or blocks as sampling_covariance returns them"),
    (np.where(np.eye(K) > 0, np.nan, DENSE), "V holds a value that is not finite, for effect 0"),
]


@pytest.mark.parametrize(("V", "words"), BAD_V)
def test_a_covariance_that_is_none_is_refused(V, words):
    with pytest.raises(ModelError) as problem:
        fit("yi ~ 1", DATA, V=V, random="study")
    assert str(problem.value).startswith(words)


def test_one_effect_per_study_makes_three_levels_two():
    alone = DATA.drop_duplicates("study")
    two, three = fit("yi ~ x", alone, test="z"), fit("yi ~ x", alone, random="study/effect")
    assert three.tau2 == pytest.approx(two.tau2, rel=1e-8)
    assert three.beta == pytest.approx(two.beta, rel=1e-8)
    assert three.llf == pytest.approx(two.llf, rel=1e-12)


def test_containment():
    """X varies within studies: k - p; w between studies: 8 - p; with labs in the model the intercept has 3 - p."""
    model = fit("yi ~ x + w", DATA, random="study/effect", test="t", df="contain")
    assert model.dfs.tolist() == [5, 15, 5]
    assert model.QM.df2 == 5
    assert model.df == 5
    assert containment_df(model.blocks.X[:, :1], [DATA.lab.to_numpy(), STUDY]).tolist() == [2]
    assert model.predict([0, 1, 0]).high - model.predict([0, 1, 0]).estimate == pytest.approx(
        2.131449545559323 * model.se[1], rel=1e-9  # the upper 2.5 % of t with 15
    )  # fmt: skip


@pytest.mark.parametrize(
    "options", [{"random": "study/effect"}, {"random": "lab + study"}, {"random": "x | study", "struct": "GEN"}]
)
def test_random_effects_by_brute_force(options):
    """u^ = G Z' P y with prediction variance G - G Z' P Z G, from k x k matrices."""
    model = fit("yi ~ w", DATA, V=BLOCKS, **options)
    _, _, P = whole(model)
    found = model.ranef()
    if "struct" in options:
        Z = np.zeros((K, 16))
        for i in range(K):
            Z[i, 2 * STUDY[i] : 2 * STUDY[i] + 2] = [1, DATA.x[i]]
        G = np.kron(np.eye(8), model.random_covariance())
        u, spread = G @ Z.T @ P @ model.blocks.y, np.diag(G - G @ Z.T @ P @ Z @ G)
        for n, name in enumerate(("intercept | study", "x | study")):
            assert found[name]["estimate"].to_numpy() == pytest.approx(u[n::2], rel=1e-9, abs=1e-12)
            assert found[name]["se"].to_numpy() ** 2 == pytest.approx(spread[n::2], rel=1e-8, abs=1e-12)
        return
    for name, variance in model.sigma2.items():
        Z = pd.get_dummies(DATA[name]).to_numpy(dtype=float)[:, pd.unique(DATA[name]).argsort()[pd.unique(DATA[name])]]
        u = variance * Z.T @ P @ model.blocks.y
        spread = variance - variance**2 * np.diag(Z.T @ P @ Z)
        order = [str(level) for level in sorted(pd.unique(DATA[name]))]
        labels = found[name].index.str.split("/").str[-1]
        table = found[name].set_axis(labels).loc[order]
        assert table["estimate"].to_numpy() == pytest.approx(u, rel=1e-9, abs=1e-12)
        assert table["se"].to_numpy() ** 2 == pytest.approx(spread, rel=1e-8, abs=1e-12)


def test_residuals_and_weights_by_brute_force():
    model = fit("yi ~ w", DATA, V=BLOCKS, random="study/effect")
    M, W, _ = whole(model)
    X = model.blocks.X
    H = X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    rest = np.eye(K) - H
    residuals, weights = model.residuals(), model.weights_of_effects()
    assert residuals["residual"].to_numpy() == pytest.approx(rest @ model.blocks.y, rel=1e-10)
    assert residuals["se"].to_numpy() == pytest.approx(np.sqrt(np.diag(rest @ M @ rest.T)), rel=1e-10)
    assert weights["hat"].to_numpy() == pytest.approx(np.diag(H), rel=1e-10)
    assert weights["weight"].to_numpy() == pytest.approx(100 * np.diag(W) / np.trace(W), rel=1e-10)
    assert weights["share"].isna().all()
    alone = fit("yi ~ 1", DATA, random="study/effect").weights_of_effects()
    assert alone["share"].sum() == pytest.approx(100)


def test_cooks_distance_is_the_refit():
    model = fit("yi ~ x", DATA, random="study/effect")
    found = model.cooks_distance(list(DATA.study))
    without = fit("yi ~ x", DATA[DATA.study != 3], random="study/effect")
    moved = model.beta - without.beta
    assert found.loc[3] == pytest.approx(moved @ np.linalg.solve(model.cov, moved), rel=1e-6)


def test_shares_of_heterogeneity_add_up():
    model = fit("yi ~ 1", DATA, random="study/effect")
    assert model.I2_by_level.sum() == pytest.approx(model.I2, rel=1e-12)
    assert list(model.I2_by_level.index) == ["study", "effect"]


def test_profile_interval_contains_its_estimate_and_scales():
    model = fit("yi ~ 1", DATA, random="study/effect")
    frame = model.confint_components()
    assert (frame.low <= frame.estimate).all()
    assert (frame.estimate <= frame.high).all()
    c = 1e-6
    other = fit("yi ~ 1", DATA.assign(yi=c * DATA.yi, vi=c * c * DATA.vi), random="study/effect").confint_components()
    assert other["high"].to_numpy() / c**2 == pytest.approx(frame["high"].to_numpy(), rel=1e-7)
    with pytest.raises(ModelError, match=r'^"sigma2\[stdy\]" is not a parameter of this model: did you mean'):
        model.confint_components(["sigma2[stdy]"])


def test_a_known_correlation_of_levels():
    """R of ones between labs and none within is the lab's variance shared by all; the identity is the plain factor."""
    labels = [str(lab) for lab in sorted(DATA.lab.unique())]
    plain = fit("yi ~ x", DATA, random="lab")
    same = fit("yi ~ x", DATA, random="lab", R={"lab": pd.DataFrame(np.eye(3), index=labels, columns=labels)})
    assert same.theta == pytest.approx(plain.theta, rel=1e-9, abs=1e-14)
    C = pd.DataFrame([[1, 0.5, 0.2], [0.5, 1, 0.3], [0.2, 0.3, 1]], index=labels, columns=labels)
    model = fit("yi ~ x", DATA, random=["lab", "study"], R={"lab": C})
    M, _, _ = whole(model)
    assert M[0, 1] == pytest.approx(model.sigma2["lab"] * 0.5, abs=1e-15)
    with pytest.raises(ModelError, match=r"^R of lab has no row for 2$"):
        fit("yi ~ x", DATA, random="lab", R={"lab": C.iloc[:2, :2]})
