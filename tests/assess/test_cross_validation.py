"""Leave-one-out against grids, against fits by hand, and against draws that are reweighted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from grid_witness import Dense, Grid
from scipy import stats

import catharsis as ca
from catharsis.assess.deletion import trusted
from catharsis.bayes.fitted import Nodes

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, -0.25, 0.4])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.04, 0.05])
K = len(YI)


def three_level(k=9, V=False):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"study": np.repeat(list("abcde"), [3, 2, 1, 2, 1]), "effect": range(k)})
    frame["vi"], frame["x"] = rng.uniform(0.02, 0.2, k), rng.normal(0, 1, k)
    frame["yi"] = np.round(0.3 + 0.4 * rng.normal(0, 1, 5)[[0, 0, 0, 1, 1, 2, 3, 3, 4]] + rng.normal(0, 0.3, k), 2)
    blocks = ca.sampling_covariance(frame["vi"], frame["study"], 0.5) if V else None
    return frame, blocks


def from_draws(post, n=4000, seed=3):
    """The same posterior as independent draws, in the form of a sampled one."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(post.nodes.weight), n, p=post.nodes.weight)
    b = post.nodes.mean[chosen, 0] + np.sqrt(post.nodes.cov[chosen, 0, 0]) * rng.standard_normal(n)
    nodes = Nodes(np.full(n, 1 / n), post.nodes.theta[chosen], b[:, None], np.zeros((n, 1, 1)))
    return replace(post, engine="nuts", nodes=nodes, log_marginal=float("nan"))


# -- the exact engine -----------------------------------------------------------------------------------------------


def test_each_effect_against_a_grid():
    found = ca.loo(ca.fit_bayes(yi=YI, vi=VI))
    grid = Grid(YI, VI)
    whole = grid.weight(np.arange(K))
    for i in range(K):
        weight = grid.weight(np.delete(np.arange(K), i))
        elpd = np.log(weight @ np.exp(grid.each[i]))
        np.testing.assert_allclose(found.pointwise["elpd"].iloc[i], elpd, rtol=0, atol=1e-9)
        lpd = np.log(whole @ np.exp(grid.each[i]))
        np.testing.assert_allclose(found.pointwise["p_loo"].iloc[i], lpd - elpd, rtol=0, atol=1e-9)
        mean = weight @ grid.mu
        sd = np.sqrt(weight @ (grid.spread[i] ** 2 + (grid.mu - mean) ** 2))
        row = found.effects.iloc[i]
        np.testing.assert_allclose(row[["mean", "sd"]].astype(float), [mean, sd], atol=1e-8)
        for x, p in ((row["y"], row["pit"]), (row["low"], 0.025), (row["high"], 0.975)):
            np.testing.assert_allclose(weight @ stats.norm.cdf(x, grid.mu, grid.spread[i]), p, atol=1e-8)
    elpd = found.pointwise["elpd"]
    assert found.elpd == pytest.approx(elpd.sum())
    assert found.se == pytest.approx(elpd.std(ddof=1) * K**0.5)
    assert set(found.pointwise["source"]) == {"exact"}
    assert found.refitted == 0


@pytest.mark.parametrize("V", [False, True])
@pytest.mark.parametrize("by", [None, "study", "halves"])
def test_three_levels_moderators_and_V_against_one_big_gaussian(V, by):
    frame, blocks = three_level(V=V)
    post = ca.fit_bayes("yi ~ x", frame, V=blocks, random="study/effect")
    halves = frame["study"].isin(["a", "d"]).map({True: "one", False: "other"}).rename("half")
    found = ca.loo(post, by=halves if by == "halves" else by)
    full = np.diag(frame["vi"])
    for rows, block in blocks or ():
        full[np.ix_(rows, rows)] = block
    witness = Dense(frame["yi"].to_numpy(), full, np.column_stack([np.ones(9), frame["x"]]), frame["study"].to_numpy())
    everything = np.arange(9)
    whole = witness.log_evidence(everything)[1]
    label = {None: everything, "study": frame["study"].to_numpy(), "halves": halves.to_numpy()}[by]
    assert found.pointwise.index.name == {None: "effect", "study": "study", "halves": "half"}[by]
    for name, elpd in found.pointwise["elpd"].items():
        rest = everything[label != (int(name) if by is None else name)]
        assert elpd == pytest.approx(whole - witness.log_evidence(rest)[1], abs=1e-8), name


def test_a_study_far_from_the_rest_is_fitted_without():
    yi, vi = np.append(YI, 9.0), np.append(VI, 0.01)
    post = ca.fit_bayes(yi=yi, vi=vi)
    found = ca.loo(post)
    assert found.pointwise["source"].iloc[-1] == "refit"
    assert found.refitted == 1
    alone = ca.fit_bayes(yi=YI, vi=VI)
    assert found.pointwise["elpd"].iloc[-1] == pytest.approx(post.log_marginal - alone.log_marginal, abs=1e-9)
    assert found.effects["pit"].iloc[-1] > 1 - 1e-9


@pytest.mark.parametrize("far", [0.0, 1.5, 4.0, 10.0])
@pytest.mark.parametrize("tau", ["half-normal(0.5)", "half-cauchy(0.5)", "uniform"])
def test_taking_out_is_fitting_without(far, tau):
    yi = YI + far * (np.arange(K) == 2)
    priors = ca.Priors.parse({"mu": "flat", "tau": tau})
    post = ca.fit_bayes(yi=yi, vi=VI, priors=priors)
    found = ca.loo(post).pointwise["elpd"]
    for i in range(K):
        rest = ca.fit_bayes(yi=np.delete(yi, i), vi=np.delete(VI, i), priors=priors)
        assert found.iloc[i] == pytest.approx(post.log_marginal - rest.log_marginal, abs=1e-8)


def test_group_specific_tau_and_a_cauchy_prior():
    frame = pd.DataFrame({"kind": list("abababa"), "effect": range(K), "yi": YI, "vi": VI})
    priors = ca.Priors.parse({"mu": "cauchy(0, 0.7)"})
    for given in ({"random": "kind | effect", "struct": "DIAG"}, {"priors": priors}):
        post = ca.fit_bayes("yi ~ 1", frame, **given)
        found = ca.loo(post)
        for i in (0, 3):
            rest = ca.fit_bayes("yi ~ 1", frame.drop(index=i), **given)
            assert found.pointwise["elpd"].iloc[i] == pytest.approx(post.log_marginal - rest.log_marginal, abs=1e-8)
        assert ca.influence_bayes(post)["kl"].gt(0).all()
        assert ca.pooling_factors(post).factors["pooling"].between(0, 1).all()


def test_a_hundred_studies_take_a_moment():
    import time

    rng = np.random.default_rng(2)
    vi = rng.uniform(0.01, 0.2, 100)
    post = ca.fit_bayes(yi=rng.normal(0.3, np.sqrt(vi + 0.1)), vi=vi)
    start = time.perf_counter()
    found = ca.loo(post)
    assert time.perf_counter() - start < 1.0  # 0.03 s alone on a core
    assert not found.notes


def test_what_the_rest_cannot_predict_is_said():
    X = np.column_stack([np.ones(K), np.arange(K) == 2]).astype(float)
    flat = ca.Priors.parse({"mu": "flat", "b": "flat"})
    found = ca.loo(ca.fit_bayes(yi=YI, vi=VI, X=X, priors=flat))
    assert found.pointwise["source"].tolist() == ["exact", "exact", "none", *["exact"] * 4]
    assert np.isnan(found.elpd)
    assert "no predictive density for 3: the other effects do not determine" in found.notes[0]
    improper = ca.Priors.parse({"mu": "flat", "tau": "uniform"})
    found = ca.loo(ca.fit_bayes(yi=YI[:3], vi=VI[:3], priors=improper))
    assert set(found.pointwise["source"]) == {"none"}
    assert "improper" in found.notes[0]


def test_order_and_unit():
    frame, _ = three_level()
    post = ca.fit_bayes("yi ~ x", frame, random="study")
    found = ca.loo(post, "study")
    turned = ca.loo(ca.fit_bayes("yi ~ x", frame.iloc[::-1], random="study"), "study")
    pd.testing.assert_frame_equal(
        turned.pointwise.loc[found.pointwise.index], found.pointwise, rtol=1e-8, check_like=True
    )
    pd.testing.assert_frame_equal(turned.effects.loc[found.effects.index], found.effects, rtol=1e-7)
    c = 1000.0
    priors = ca.Priors.parse({"mu": "normal(0, 1000)", "tau": "half-normal(500)"})
    scaled = ca.loo(ca.fit_bayes(yi=c * YI, vi=c**2 * VI, priors=priors))
    plain = ca.loo(ca.fit_bayes(yi=YI, vi=VI))
    np.testing.assert_allclose(scaled.pointwise["elpd"], plain.pointwise["elpd"] - np.log(c), rtol=1e-9)
    np.testing.assert_allclose(scaled.effects["pit"], plain.effects["pit"], rtol=1e-9)


# -- draws ----------------------------------------------------------------------------------------------------------


def test_reweighted_draws_against_the_exact_answer():
    post = ca.fit_bayes(yi=YI, vi=VI)
    exact, psis = ca.loo(post), ca.loo(from_draws(post, 40_000))
    assert set(psis.pointwise["source"]) == {"psis"}
    assert (psis.pointwise["k"] < 0.7).all()
    np.testing.assert_allclose(psis.pointwise["elpd"], exact.pointwise["elpd"], atol=0.03)  # worst seen 0.01
    np.testing.assert_allclose(psis.effects["pit"], exact.effects["pit"], atol=0.01)
    assert psis.elpd == pytest.approx(exact.elpd, abs=0.1)


def test_draws_that_cannot_be_reweighted_are_fitted_again_exactly():
    yi = np.append(YI, 4.0)
    vi = np.append(VI, 0.01)
    post = ca.fit_bayes(yi=yi, vi=vi)
    exact, psis = ca.loo(post), ca.loo(from_draws(post))
    row = psis.pointwise.iloc[-1]
    assert row["source"] == "refit"
    assert row["k"] > 0.7
    assert psis.refitted == 1
    assert row["elpd"] == pytest.approx(exact.pointwise["elpd"].iloc[-1], abs=1e-8)
    assert "fitted again without 8: Pareto k was too large" in psis.notes[0]


def test_the_limit_of_k():
    assert trusted(100) == pytest.approx(0.5)
    assert trusted(10**6) == 0.7
    assert trusted(1) < 0


@pytest.mark.sampling
def test_a_sampled_fit_against_the_exact_one():
    yi, vi = YI[:5], VI[:5]
    exact = ca.loo(ca.fit_bayes(yi=yi, vi=vi))
    sampled = ca.fit_bayes(yi=yi, vi=vi, engine="nuts", draws=1000, chains=2)
    found = ca.loo(sampled)
    np.testing.assert_allclose(found.pointwise["elpd"], exact.pointwise["elpd"], atol=0.1)
    assert set(found.pointwise["source"]) <= {"psis", "refit"}
    moved = ca.influence_bayes(sampled)
    np.testing.assert_allclose(moved["kl"], ca.influence_bayes(ca.fit_bayes(yi=yi, vi=vi))["kl"], atol=0.1)
    np.testing.assert_allclose(
        ca.leave_one_out_bayes(sampled)["mean"], ca.leave_one_out_bayes(ca.fit_bayes(yi=yi, vi=vi))["mean"], atol=1e-9
    )
    check = ca.predictive_check(sampled)
    assert check.p == pytest.approx(ca.predictive_check(ca.fit_bayes(yi=yi, vi=vi)).p, abs=5 * check.mcse)
    pooled = ca.pooling_factors(sampled)
    np.testing.assert_allclose(pooled.effects, ca.pooling_factors(ca.fit_bayes(yi=yi, vi=vi)).effects, atol=0.05)


# -- comparison -----------------------------------------------------------------------------------------------------


def test_models_are_compared_pair_by_pair():
    slope = np.column_stack([np.ones(K), VI])
    posts = {"mean": ca.fit_bayes(yi=YI, vi=VI), "slope": ca.fit_bayes(yi=YI, vi=VI, X=slope)}
    frame = ca.compare_loo(posts)
    each = {name: ca.loo(post) for name, post in posts.items()}
    first, second = frame.index
    pairs = each[second].pointwise["elpd"] - each[first].pointwise["elpd"]
    assert each[first].elpd > each[second].elpd
    assert frame.loc[first, ["difference", "difference_se"]].tolist() == [0, 0]
    assert frame.loc[second, "difference"] == pytest.approx(pairs.sum())
    assert frame.loc[second, "difference_se"] == pytest.approx(pairs.std(ddof=1) * K**0.5)
    notes = " ".join(frame.attrs["notes"])
    assert "below 4 is small: no telling" in notes
    assert "rest on 7 groups" in notes


# -- bad input ------------------------------------------------------------------------------------------------------

POST = ca.fit_bayes(yi=YI, vi=VI)
FEW = ca.fit_bayes(yi=YI[:3], vi=VI[:3])
BAD = {
    "a fit": (lambda: ca.loo(ca.fit(yi=YI, vi=VI)), "takes a posterior from fit_bayes"),
    "nothing": (lambda: ca.loo(None), "takes a posterior from fit_bayes"),
    "one effect": (lambda: ca.loo(ca.fit_bayes(yi=[0.1], vi=[0.1])), "leaving out the only effect"),
    "one group": (lambda: ca.loo(POST, ["a"] * K), "leaving out the only group"),
    "no factor": (lambda: ca.loo(POST, "study"), '"study" is not a random factor of this model: it has none'),
    "short labels": (lambda: ca.loo(POST, ["a", "b"]), r"2 .*7"),
    "missing label": (lambda: ca.loo(POST, ["a", None, *"bcdef"]), "missing"),
    "no model": (lambda: ca.loo(replace(POST, model=None)), "does not carry"),
    "no nodes": (lambda: ca.loo(replace(POST, nodes=None)), "study effects are normal"),
    "one model": (lambda: ca.compare_loo({"a": POST}), "two posteriors or more"),
    "a list": (lambda: ca.compare_loo([POST, POST]), "two posteriors or more"),
    "other effects": (lambda: ca.compare_loo({"a": POST, "b": FEW}), '"b" and "a" rest on different effects'),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, words = BAD[case]
    with pytest.raises(ca.ModelError, match=words):
        call()
