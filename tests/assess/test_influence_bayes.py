"""The posterior without each study, against grids and fits by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from grid_witness import Grid

import catharsis as ca
from catharsis.bayes.fitted import Nodes

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, -0.25, 0.4])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.04, 0.05])
K = len(YI)


def test_distances_and_shifts_against_a_grid():
    found = ca.influence_bayes(ca.fit_bayes(yi=YI, vi=VI))
    grid = Grid(YI, VI)
    whole = grid.weight(np.arange(K))
    for i in range(K):
        weight = grid.weight(np.delete(np.arange(K), i))
        row = found.iloc[i]
        for name, values in (("intercept", grid.mu), ("tau", grid.tau)):
            mean = whole @ values
            shift = (mean - weight @ values) / np.sqrt(whole @ (values - mean) ** 2)
            assert row[f"shift[{name}]"] == pytest.approx(shift, abs=1e-7)
        inside = (whole > 0) & (weight > 0)
        assert row["kl"] == pytest.approx(whole[inside] @ np.log(whole[inside] / weight[inside]), abs=1e-7)
        assert row["hellinger"] == pytest.approx(np.sqrt(0.5 * np.sum((whole**0.5 - weight**0.5) ** 2)), abs=1e-7)
        assert row["log_cpo"] == pytest.approx(np.log(weight @ np.exp(grid.each[i])), abs=1e-9)
    assert found.attrs["notes"] == ()


def test_a_refit_is_measured_like_the_rest():
    yi, vi = np.append(YI, 1.3), np.append(VI, 0.05)
    post = ca.fit_bayes(yi=yi, vi=vi)
    closed = ca.influence_bayes(post)
    from catharsis.assess import deletion

    before, deletion.APART = deletion.APART, 0.0
    try:
        again = ca.influence_bayes(post)
    finally:
        deletion.APART = before
    assert set(closed["source"]) == {"exact"}
    assert set(again["source"]) == {"refit"}
    columns = ["shift[intercept]", "shift[tau]", "kl", "hellinger", "log_cpo"]
    np.testing.assert_allclose(again[columns], closed[columns], atol=1e-7)


def three_level():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"study": np.repeat(list("abcdef"), 2), "effect": range(12)})
    frame["vi"], frame["x"] = rng.uniform(0.02, 0.2, 12), rng.normal(0, 1, 12)
    frame["yi"] = 0.3 + 0.4 * np.repeat(rng.normal(0, 1, 6), 2) + rng.normal(0, 0.3, 12)
    return frame


def test_groups_moderators_and_two_components():
    frame = three_level()
    post = ca.fit_bayes("yi ~ x", frame, random="study/effect")
    moved, left = ca.influence_bayes(post, "study"), ca.leave_one_out_bayes(post, "study")
    assert left.index.names == ["study", "term"]
    assert moved.index.tolist() == list("abcdef")
    assert [name for name in moved.columns if name.startswith("shift")] == [
        "shift[intercept]", "shift[x]", "shift[tau, study]", "shift[tau, effect]",
    ]  # fmt: skip
    for study in "ad":
        alone = ca.fit_bayes("yi ~ x", frame[frame["study"] != study], random="study/effect")
        for term in ("intercept", "x"):
            at, with_ = alone.coefficients[term], post.coefficients[term]
            names = ["mean", "sd", "low", "median", "high", "positive"]
            np.testing.assert_allclose(
                left.loc[(study, term), names].astype(float), [getattr(at, name) for name in names], rtol=1e-9
            )
            shift = (with_.mean - at.mean) / with_.sd
            assert moved.loc[study, f"shift[{term}]"] == pytest.approx(shift, abs=1e-8)
        np.testing.assert_allclose(
            left.loc[(study, "x"), ["tau", "tau_low", "tau_high"]].astype(float),
            [alone.tau.median, alone.tau.low, alone.tau.high], rtol=1e-9,
        )  # fmt: skip


def test_order_and_unit():
    frame = three_level()
    here = ca.influence_bayes(ca.fit_bayes("yi ~ x", frame, random="study"), "study")
    there = ca.influence_bayes(ca.fit_bayes("yi ~ x", frame.sample(frac=1, random_state=1), random="study"), "study")
    pd.testing.assert_frame_equal(there.loc[here.index], here, rtol=1e-7, atol=1e-9)
    c = 1e-3
    priors = ca.Priors.parse({"mu": "normal(0, 0.001)", "tau": "half-normal(0.0005)"})
    scaled = ca.influence_bayes(ca.fit_bayes(yi=c * YI, vi=c**2 * VI, priors=priors))
    plain = ca.influence_bayes(ca.fit_bayes(yi=YI, vi=VI))
    columns = ["shift[intercept]", "shift[tau]", "kl", "hellinger"]
    np.testing.assert_allclose(scaled[columns], plain[columns], rtol=1e-7, atol=1e-10)


def test_gaps_are_explained():
    X = np.column_stack([np.ones(K), np.arange(K) == 2]).astype(float)
    post = ca.fit_bayes(yi=YI, vi=VI, X=X, priors=ca.Priors.parse({"mu": "flat", "b": "flat"}))
    moved, left = ca.influence_bayes(post), ca.leave_one_out_bayes(post)
    assert moved.iloc[2, :-1].isna().all()
    assert moved["source"].iloc[2] == "none"
    assert "no influence for 3: the other effects do not determine" in moved.attrs["notes"][0]
    assert left.loc["3"].iloc[:, :-1].isna().all(axis=None)
    assert "no posterior without 3" in left.attrs["notes"][0]
    fixed = ca.influence_bayes(ca.fit_bayes(yi=YI, vi=VI, priors=ca.Priors.parse({"tau": "fixed(0.2)"})))
    assert fixed["shift[tau]"].isna().all()
    assert "tau is fixed" in fixed.attrs["notes"][0]
    heavy = ca.Priors.parse({"mu": "flat", "tau": "uniform"})
    four = ca.influence_bayes(ca.fit_bayes(yi=YI[:4], vi=VI[:4], priors=heavy))
    assert four["shift[tau]"].isna().all()
    assert "does not exist" in " ".join(four.attrs["notes"])


def test_a_prior_made_from_all_studies_cannot_lose_one():
    post = ca.fit_bayes(yi=YI[:4], vi=VI[:4], priors=ca.Priors.parse({"tau": "dumouchel"}))
    left = ca.leave_one_out_bayes(post)
    assert set(left["source"]) == {"none"}
    assert "is made from all studies" in left.attrs["notes"][0]


def test_draws_of_a_model_that_the_exact_engine_cannot_fit():
    """Draws, and an exact engine that refuses: weights, weighted quantiles."""
    post = ca.fit_bayes(yi=YI, vi=VI)
    rng = np.random.default_rng(4)
    n = 20_000
    chosen = rng.choice(len(post.nodes.weight), n, p=post.nodes.weight)
    b = post.nodes.mean[chosen, 0] + np.sqrt(post.nodes.cov[chosen, 0, 0]) * rng.standard_normal(n)
    nodes = Nodes(np.full(n, 1 / n), post.nodes.theta[chosen], b[:, None], np.zeros((n, 1, 1)))

    def refuse(*_):
        raise ca.ModelError("not this model")

    sampled = replace(post, engine="nuts", nodes=nodes, model=replace(post.model, fit=refuse))
    found, exact = ca.leave_one_out_bayes(sampled), ca.leave_one_out_bayes(post)
    assert set(found["source"]) == {"psis"}
    names = ["mean", "sd", "low", "median", "high", "positive", "tau", "tau_low", "tau_high"]
    np.testing.assert_allclose(found[names], exact[names], atol=0.03)


BAD = {
    "a fit": (lambda f: f(ca.fit(yi=YI, vi=VI)), "takes a posterior from fit_bayes"),
    "one effect": (lambda f: f(ca.fit_bayes(yi=[0.1], vi=[0.1])), "leaving out the only effect"),
    "no factor": (lambda f: f(ca.fit_bayes(yi=YI, vi=VI), "study"), "is not a random factor of this model"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("asked", ["influence_bayes", "leave_one_out_bayes"])
def test_bad_input(case, asked):
    call, words = BAD[case]
    with pytest.raises(ca.ModelError, match=words):
        call(getattr(ca, asked))
