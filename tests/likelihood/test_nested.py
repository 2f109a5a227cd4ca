"""Nested random intercepts in closed form give the numbers of one dense matrix, at linear cost."""

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack, make_blocks, sampling_covariance
from catharsis.likelihood.marginal import log_likelihood, moments, slope, typical_variance, weigh
from catharsis.likelihood.nested import Nested, whitener
from catharsis.models.deletion import subset_blocks
from catharsis.models.dependent_residuals import leverage
from catharsis.models.random_effects import predicted_effects
from catharsis.models.robust import CORRECTIONS, robust
from catharsis.models.variance_components import maximise

CLOSE = 1e-10  # share of the largest element; worst difference seen in 3,000 designs: 2e-12, in the information matrix


def design(seed, depth=2, rho=None, own=True, k=24, cluster=None):
    """A random nested design of some depth, in random order: y, X, v, factors and V as `make_blocks` takes them.

    `cluster` is the level of the clusters of V, counted from the outermost factor; finer or coarser than factors.
    """
    random = np.random.default_rng(seed)
    codes, within = [], np.zeros(k, dtype=np.int64)
    for level in range(depth + 2):
        pieces = random.integers(0, 2 + level, size=k)
        within = np.unique(np.column_stack([within, pieces]), axis=0, return_inverse=True)[1].reshape(-1)
        codes.append(within)
    cluster = random.integers(0, depth + 2) if cluster is None else cluster
    factors = [(f"level{n}", codes[n + 1]) for n in range(depth)]
    if own:
        factors.append(("effect", np.arange(k)))
    v = random.uniform(0.05, 2.0, k)
    X = np.column_stack([np.ones(k), 2000 + random.normal(size=k), random.normal(size=codes[0].max() + 1)[codes[0]]])
    y = random.normal(size=k)
    V = None if rho is None else sampling_covariance(v, codes[cluster].tolist(), rho)
    theta = random.uniform(0.0, 3.0, len(factors)) * (random.uniform(size=len(factors)) > 0.3)
    return y, X, v, factors, V, theta


def dense(y, X, v, factors, V):
    """The same model as one block."""
    k = len(y)
    full = np.diag(v)
    for rows, block in V if V is not None else ():
        full[np.ix_(rows, rows)] = block
    K = [(code[:, None] == code).astype(float) for _, code in factors]
    stack = Stack(np.arange(k)[None], full[None], np.array(K).reshape(len(factors), 1, k, k))
    return Blocks(y, X, (stack,), tuple(name for name, _ in factors))


def close(found, witness, tolerance=CLOSE):
    """Equal up to a share of the largest element."""
    witness = np.asarray(witness)
    assert_allclose(found, witness, rtol=tolerance, atol=tolerance * np.abs(witness).max(initial=0.0))


def same(here, there, theta):
    """Everything that the models ask of a likelihood."""
    found, witness = moments(here, theta), moments(there, theta)
    assert found.log_det == pytest.approx(witness.log_det, rel=CLOSE, abs=CLOSE)
    close(np.abs(found.triangle), np.abs(witness.triangle))
    for reml in (True, False):
        assert log_likelihood(here, found, reml) == pytest.approx(log_likelihood(there, witness, reml), rel=CLOSE)
        first, second = (slope(blocks, theta, at, reml) for blocks, at in ((here, found), (there, witness)))
        if len(theta):
            terms = np.diag(first.information)  # the score is a difference of terms of this size
            assert_allclose(first.score, second.score, rtol=0, atol=CLOSE * max(np.sqrt(terms.max()), 1) * here.k)
            close(first.information, second.information)
    close(found.beta(), witness.beta(), 1e-9)
    assert typical_variance(here) == pytest.approx(typical_variance(there), rel=CLOSE)
    Z = np.column_stack([here.X[:, 2], here.y])
    for part in ("product", "diagonal", "variance"):
        close(getattr(weigh(here, theta, Z), part), getattr(weigh(there, theta, Z), part))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), depth=st.integers(0, 3), own=st.booleans(),
    rho=st.sampled_from([None, 0.0, 0.3, 0.9, -0.03]),
)  # fmt: skip
def test_the_closed_form_is_the_dense_model(seed, depth, own, rho):
    *given_, theta = design(seed, depth, rho, own)
    here = make_blocks(*given_)
    assert isinstance(here.ties, Nested)
    same(here, dense(*given_), theta)


@pytest.mark.parametrize("rho", [None, 0.6])
@pytest.mark.parametrize("cluster", [0, 1, 2, 3])
def test_what_models_make_of_it(rho, cluster):
    *given_, theta = design(7, 2, rho, True, cluster=cluster)
    here, there = make_blocks(*given_), dense(*given_)
    for attribute in ("residual", "variance", "marginal", "hat", "diagonal", "row"):
        close(getattr(leverage(here, theta), attribute), getattr(leverage(there, theta), attribute), 1e-9)
    groups = dict(given_[3])
    names = {name: tuple(map(str, range(code.max() + 1))) for name, code in groups.items()}
    df = dict.fromkeys(groups, np.inf)
    first, second = (predicted_effects(blocks, theta, groups, names, 0.95, df) for blocks in (here, there))
    for name in groups:
        assert first[name].index.tolist() == second[name].index.tolist()
        close(first[name]["estimate"], second[name]["estimate"], 1e-9)
        close(first[name]["se"] ** 2, second[name]["se"] ** 2, 1e-9)
    whole = np.zeros(here.k, dtype=np.int64)
    stacks = replace(here, ties=here.stacks)
    for rows in here.rows:
        whole[rows] = rows[:, :1]
    code = np.unique(whole, return_inverse=True)[1]
    if code.max() > 3:
        for type in CORRECTIONS:
            answers = [robust(blocks, theta, "abc", code, type) for blocks in (here, stacks)]
            close(answers[0].cov, answers[1].cov, 1e-8)
    with pytest.raises(ModelError, match="lie in different clusters"):
        robust(here, theta, "abc", np.arange(here.k), "CR2")
    answers = [robust(blocks, theta, "abc", np.arange(here.k), "CR1") for blocks in (here, there)]
    close(answers[0].cov, answers[1].cov, 1e-8)


@pytest.mark.parametrize("type", CORRECTIONS)
def test_clusters_a_few_at_a_time(type, monkeypatch):
    *given_, theta = design(1, 1, 0.6, True, k=60, cluster=1)
    here, code = make_blocks(*given_), given_[3][0][1]
    assert code.max() > 3
    first = robust(here, theta, "abc", code, type)
    monkeypatch.setattr("catharsis.models.robust.CHUNK", 1)
    second = robust(here, theta, "abc", code, type)
    dense_first = robust(replace(here, ties=here.stacks), theta, "abc", code, type)
    for other in (second, dense_first):
        close(first.cov, other.cov, 1e-8)
        assert_allclose(first.df, other.df, rtol=1e-6)


@pytest.mark.parametrize("rho", [None, 0.6, -0.04])
def test_dense_blocks_are_there_for_who_needs_them(rho):
    y, X, v, factors, V, theta = design(3, 2, rho)
    here = make_blocks(y, X, v, factors, V)
    same(replace(here, ties=here.stacks), dense(y, X, v, factors, V), theta)
    sizes = [stack.rows.shape[1] for stack in here.stacks]
    assert sizes == sorted(set(sizes)) == [rows.shape[1] for rows in here.rows]
    assert sorted(np.concatenate([rows.ravel() for rows in here.rows])) == list(range(len(y)))
    assert np.array_equal(here.variances, v)


@pytest.mark.parametrize("rho", [None, 0.6])
def test_leaving_effects_out(rho):
    y, X, v, factors, V, theta = design(5, 3, rho)
    keep = np.random.default_rng(0).uniform(size=len(y)) > 0.4
    part = subset_blocks(make_blocks(y, X, v, factors, V), keep)
    whole = dense(y, X, v, factors, V).ties[0]
    at = np.flatnonzero(keep)
    stack = Stack(np.arange(len(at))[None], whole.V[:, at][:, :, at], whole.K[:, :, at][:, :, :, at])
    same(part, Blocks(y[keep], X[keep], (stack,), part.factors), theta)


@pytest.mark.parametrize("rho", [None, 0.5])
@pytest.mark.parametrize("c", [1e-8, 1e-3, 1e8])
def test_units_do_not_matter(c, rho):
    y, X, v, factors, _, _ = design(11, 1, None, k=60)
    study = factors[0][1].tolist()

    def estimated(unit):
        V = None if rho is None else sampling_covariance(unit**2 * v, study, rho)
        return maximise(make_blocks(unit * y, X, unit**2 * v, factors, V)).theta / unit**2

    assert_allclose(estimated(c), estimated(1.0), rtol=1e-9)
    theta, V = np.array([0.4, 0.1]), None if rho is None else sampling_covariance(c**2 * v, study, rho)
    here = make_blocks(c * y, X, c**2 * v, factors, V)
    plain = dense(y, X, v, factors, None if rho is None else sampling_covariance(v, study, rho))
    assert typical_variance(here) == pytest.approx(c**2 * typical_variance(plain), rel=1e-9)
    scaled = slope(here, c**2 * theta, moments(here, c**2 * theta), True)
    assert_allclose(scaled.information * c**4, slope(plain, theta, moments(plain, theta), True).information, rtol=1e-9)


@pytest.mark.parametrize("rho", [None, 0.5])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_maximum_as_the_dense_model_in_any_order(seed, reml, rho):
    y, X, v, factors, _, _ = design(seed, 2, None, k=60)
    study = factors[0][1]
    best = maximise(dense(y, X, v, factors, rho and sampling_covariance(v, study.tolist(), rho)), reml)
    for shuffled in (np.arange(60), np.random.default_rng(seed).permutation(60)):
        V = None if rho is None else sampling_covariance(v[shuffled], study[shuffled].tolist(), rho)
        turned = [(name, np.unique(code[shuffled], return_inverse=True)[1]) for name, code in factors]
        found = maximise(make_blocks(y[shuffled], X[shuffled], v[shuffled], turned, V), reml)
        assert found.llf == pytest.approx(best.llf, rel=1e-12)
        assert_allclose(found.theta, best.theta, rtol=1e-6, atol=1e-9)
        assert found.at_boundary == best.at_boundary


@pytest.mark.parametrize("ratio", [1e4, 1e8, 1e12])
def test_variances_far_above_those_of_sampling_keep_their_digits(ratio):
    """Blocks of one and two effects have inverses that one can write down; differences of large terms would be lost."""
    study, v, own = np.array([0, 0, 1, 2, 3, 3, 4, 5]), np.linspace(1, 2, 8), 0.5
    here = make_blocks(np.zeros(8), np.ones((8, 1)), v, [("study", study), ("effect", np.arange(8))])
    d = v + own
    diagonal, squares = 1 / (d + ratio), 0.0
    for a, b in ((0, 1), (4, 5)):
        determinant = d[a] * d[b] + ratio * (d[a] + d[b])
        diagonal[[a, b]] = (d[[b, a]] + ratio) / determinant
        squares += 2 * (ratio / determinant) ** 2
    half = whitener(here.ties, np.array([ratio, own]))
    assert_allclose(half.own(), diagonal, rtol=1e-13)
    single, double = half.traces()
    assert single[1] == pytest.approx(diagonal.sum(), rel=1e-14)
    assert double[1, 1] == pytest.approx(np.sum(diagonal**2) + squares, rel=1e-13)


def test_which_models_are_nested():
    y, X, v = np.zeros(6), np.ones((6, 1)), np.linspace(1, 2, 6)
    study, lab, effect = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1]), np.arange(6)
    crossed = np.array([0, 1, 0, 1, 0, 1])

    def nested(*codes, V=None, **options):
        factors = [(str(n), code) for n, code in enumerate(codes)]
        return isinstance(make_blocks(y, X, v, factors, V, **options).ties, Nested)

    assert nested()
    assert nested(study)
    assert nested(effect, study, lab)
    assert nested(study, study)
    assert not nested(study, crossed)
    assert not nested(study, related={"0": np.eye(3)})
    assert nested(lab, V=sampling_covariance(v, study.tolist(), 0.5))
    assert not nested(lab, V=sampling_covariance(v, crossed.tolist(), 0.5))
    given_ = [(np.array([0, 1]), np.array([[1.0, 0.3], [0.3, 4.0]])), (np.array([2, 3]), np.diag([1.0, 2.0]))]
    assert nested(study, V=given_)
    assert not nested(study, V=[(np.arange(3), np.array([[1, 0.2, 0.1], [0.2, 1, 0.2], [0.1, 0.2, 1]]))])
    assert not nested(study, V=[(np.arange(2), np.ones((2, 2)))])  # a correlation of one leaves no noise
    assert not nested(study, V=[(np.array([0]), np.zeros((1, 1)))])


def test_blocks_given_by_hand_are_recognised():
    *given_, theta = design(2, 2, 0.4)
    y, X, v, factors, V = given_
    by_hand = [(rows[::-1], block[::-1, ::-1]) for rows, block in V]
    here = make_blocks(y, X, np.full(len(v), 9.0), factors, by_hand)
    assert isinstance(here.ties, Nested)
    same(here, dense(*given_), theta)


def test_a_covariance_that_is_not_one_is_refused():
    here = make_blocks(np.zeros(3), np.ones((3, 1)), np.ones(3), [("study", np.array([0, 0, 1]))])
    with pytest.raises(ModelError, match="the covariance of the effects is not positive definite"):
        moments(here, np.array([-1.0]))
    single = make_blocks(np.zeros(3), np.ones((3, 1)), np.ones(3), [("effect", np.arange(3))])
    with pytest.raises(ModelError, match="the covariance of the effects is not positive definite"):
        moments(single, np.array([-1.0]))


def test_a_constant_correlation_is_a_sequence():
    found = sampling_covariance([1.0, 4.0, 9.0, 16.0], ["a", "b", "a", "c"], 0.5)
    assert len(found) == 3
    assert [rows.tolist() for rows, _ in found] == [[0, 2], [1], [3]]
    assert found[-1][1].tolist() == [[16.0]]
    assert [rows.tolist() for rows, _ in found[1:]] == [[1], [3]]
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(ModelError, match="cluster has 1 labels for 2 effects"):
        sampling_covariance([1.0, 2.0], ["a"], 0.5)


@pytest.mark.parametrize("rho", [None, 0.5])
def test_large_studies_and_many_of_them_cost_the_same(rho):
    """10,000 effects: as 5 studies the dense blocks alone would hold 160 MB, and take minutes."""
    for size in (2000, 2):
        k = 10_000
        random = np.random.default_rng(size)
        study = np.arange(k) // size
        v = random.uniform(0.1, 1.0, k)
        y = random.normal(size=k) + random.normal(size=k // size)[study]
        factors = [("study", study), ("effect", np.arange(k))]
        V = None if rho is None else sampling_covariance(v, study, rho)
        begun = process_time()
        found = maximise(make_blocks(y, np.column_stack([np.ones(k), random.normal(size=k)]), v, factors, V))
        assert np.all(found.theta > 0.1)
        assert process_time() - begun < 3
