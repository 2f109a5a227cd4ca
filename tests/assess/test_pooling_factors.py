"""Shrinkage, weights and pooling factors against grids, dense matrices and derivatives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from grid_witness import Dense, Grid

import catharsis as ca
from catharsis.bayes.fitted import Nodes

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, -0.25, 0.4])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.04, 0.05])
K = len(YI)
POST = ca.fit_bayes(yi=YI, vi=VI)


def test_shrinkage_and_pooling_against_a_grid():
    found = ca.pooling_factors(POST)
    grid = Grid(YI, VI)
    weight = grid.weight(np.arange(K))
    B = VI[:, None] / (VI[:, None] + grid.tau**2)
    np.testing.assert_allclose(found.effects["shrinkage"], B @ weight, atol=1e-8)
    u = (1 - B) * (YI[:, None] - grid.mu)  # given mu and tau: independent normals
    variance = (1 - B) * VI[:, None]
    within = ((u - u.mean(axis=0)) ** 2).sum(axis=0) / (K - 1) + variance.mean(axis=0)
    pooling = 1 - np.var(u @ weight, ddof=1) / (weight @ within)
    assert found.factors.loc["effect", "pooling"] == pytest.approx(pooling, abs=1e-8)
    assert found.factors.loc["effect", "levels"] == K
    assert found.notes == ()


@pytest.mark.parametrize("V", [False, True])
def test_two_components_against_one_big_gaussian(V):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"study": np.repeat(list("abcde"), [3, 1, 2, 1, 2]), "effect": range(9)})
    frame["vi"], frame["x"] = rng.uniform(0.02, 0.2, 9), rng.normal(0, 1, 9)
    frame["yi"] = rng.normal(0.3, 0.5, 9)
    blocks = ca.sampling_covariance(frame["vi"], frame["study"], 0.5) if V else None
    full = np.diag(frame["vi"])
    for rows, block in blocks or ():
        full[np.ix_(rows, rows)] = block
    found = ca.pooling_factors(ca.fit_bayes("yi ~ x", frame, V=blocks, random="study/effect"))
    X = np.column_stack([np.ones(9), frame["x"]])
    witness = Dense(frame["yi"].to_numpy(), full, X, frame["study"].to_numpy())
    weight, levels = witness.posterior()
    for factor, (u, cov) in zip(("study", "effect"), levels, strict=True):
        m = u.shape[1]
        centre = np.eye(m) - 1 / m
        varied = (np.einsum("gi,ij,gj->g", u, centre, u) + np.einsum("gij,ji->g", cov, centre)) / (m - 1)
        pooling = 1 - np.var(weight @ u, ddof=1) / (weight @ varied)
        assert found.factors.loc[factor, "pooling"] == pytest.approx(pooling, abs=1e-7)
        assert found.factors.loc[factor, "levels"] == m
    M = witness.covariance(np.arange(9)) - X @ X.T
    shrinkage = weight @ np.einsum("ij,gji->gi", full, np.linalg.inv(M))
    np.testing.assert_allclose(found.effects["shrinkage"], shrinkage, atol=1e-7)


def test_weights_are_derivatives_of_the_mean():
    """With tau known the posterior mean is linear in the effects and in the prior mean."""
    priors = ca.Priors.parse({"mu": "normal(0.5, 0.4)", "b": "normal(0, 0.3)", "tau": "fixed(0.2)"})
    X = np.column_stack([np.ones(K), np.linspace(-1, 1, K)])
    post = ca.fit_bayes(yi=YI, vi=VI, X=X, priors=priors)
    found = ca.pooling_factors(post)
    for i in range(K):
        moved = ca.fit_bayes(yi=YI + (np.arange(K) == i), vi=VI, X=X, priors=priors)
        for term in post.terms:
            change = moved.coefficients[term].mean - post.coefficients[term].mean
            assert found.effects[f"weight[{term}]"].iloc[i] == pytest.approx(change, abs=1e-10)
    other = ca.Priors.parse({"mu": "normal(1.5, 0.4)", "b": "normal(0, 0.3)", "tau": "fixed(0.2)"})
    change = ca.fit_bayes(yi=YI, vi=VI, X=X, priors=other).mu.mean - post.mu.mean
    assert found.prior["intercept"] == pytest.approx(change, abs=1e-10)


def test_weights_and_prior_sum_to_one():
    found = ca.pooling_factors(POST)
    assert found.effects["weight[intercept]"].sum() + found.prior["intercept"] == pytest.approx(1, abs=1e-12)
    flat = ca.pooling_factors(ca.fit_bayes(yi=YI, vi=VI, priors=ca.Priors.parse({"mu": "flat"})))
    assert flat.effects["weight[intercept]"].sum() == pytest.approx(1, abs=1e-12)
    assert flat.prior["intercept"] == 0


def test_draws_and_nodes_agree():
    rng = np.random.default_rng(4)
    n = 20_000
    chosen = rng.choice(len(POST.nodes.weight), n, p=POST.nodes.weight)
    b = POST.nodes.mean[chosen, 0] + np.sqrt(POST.nodes.cov[chosen, 0, 0]) * rng.standard_normal(n)
    nodes = Nodes(np.full(n, 1 / n), POST.nodes.theta[chosen], b[:, None], np.zeros((n, 1, 1)))
    found, exact = ca.pooling_factors(replace(POST, engine="nuts", nodes=nodes)), ca.pooling_factors(POST)
    np.testing.assert_allclose(found.effects, exact.effects, atol=0.01)
    np.testing.assert_allclose(found.factors, exact.factors, atol=0.02)
    assert found.prior["intercept"] == pytest.approx(exact.prior["intercept"], abs=0.01)


def test_order_and_unit():
    turned = ca.pooling_factors(ca.fit_bayes(yi=YI[::-1], vi=VI[::-1]))
    plain = ca.pooling_factors(POST)
    np.testing.assert_allclose(turned.effects.to_numpy()[::-1], plain.effects, rtol=1e-9)
    priors = ca.Priors.parse({"mu": "normal(0, 1000)", "tau": "half-normal(500)"})
    scaled = ca.pooling_factors(ca.fit_bayes(yi=1000 * YI, vi=1e6 * VI, priors=priors))
    np.testing.assert_allclose(scaled.effects, plain.effects, rtol=1e-9)
    np.testing.assert_allclose(scaled.factors, plain.factors, rtol=1e-9)


def test_ends_of_the_scale():
    none = ca.pooling_factors(ca.fit_bayes(yi=YI, vi=VI, priors=ca.Priors.parse({"tau": "fixed(0)"})))
    assert (none.effects["shrinkage"] == 1).all()
    assert none.factors["pooling"].tolist() == [1.0]
    assert none.notes == ("with tau fixed at 0 nothing varies: pooling is complete",)
    wide = ca.pooling_factors(ca.fit_bayes(yi=1000 * YI, vi=VI, priors=ca.Priors.parse({"tau": "fixed(1000)"})))
    assert (wide.effects["shrinkage"] < 1e-6).all()
    assert wide.factors["pooling"].iloc[0] < 1e-6


def test_what_has_no_answer():
    one = ca.pooling_factors(ca.fit_bayes(yi=[0.1], vi=[0.1]))
    assert np.isnan(one.factors["pooling"].iloc[0])
    assert "single level" in one.notes[0]
    heavy = ca.Priors.parse({"mu": "flat", "tau": "uniform"})
    three = ca.pooling_factors(ca.fit_bayes(yi=YI[:3], vi=VI[:3], priors=heavy))
    assert three.factors["pooling"].isna().all()
    assert "does not exist" in three.notes[0]
    with pytest.raises(ca.ModelError, match="takes a posterior from fit_bayes"):
        ca.pooling_factors(ca.fit(yi=YI, vi=VI))
    with pytest.raises(ca.ModelError, match="study effects are normal"):
        ca.pooling_factors(replace(POST, nodes=None))
