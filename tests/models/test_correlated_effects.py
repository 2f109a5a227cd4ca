"""Working weights of robust variance estimation: moments by simulation, simple special cases, mistakes."""

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.models.correlated_effects import correlated, fit_robust, hierarchical
from catharsis.models.fit import fit


def simulated(rng, m=60, tau2=0.1, omega2=0.05, rho=0.8):
    size = rng.integers(1, 6, m)
    study = np.repeat(np.arange(m), size)
    vi = rng.uniform(0.02, 0.1, m)[study]
    shared, own = rng.normal(size=m)[study], rng.normal(size=len(study))
    error = np.sqrt(vi) * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)
    effect = rng.normal(0, np.sqrt(tau2), m)[study] + rng.normal(0, np.sqrt(omega2), len(study))
    return 0.3 + effect + error, vi, study


def untruncated_mean(estimate, **truth):
    rng = np.random.default_rng(3)
    runs = []
    for _ in range(300):
        yi, vi, study = simulated(rng, **truth)
        runs.append(estimate(yi, vi, np.ones((len(yi), 1)), study))
    return runs


def test_correlated_effects_are_unbiased_when_rho_is_right():
    runs = np.array([found.tau2 for found in untruncated_mean(
        lambda *a: correlated(*a, rho=0.8), tau2=0.2, omega2=0.0, rho=0.8)])  # fmt: skip
    assert runs.mean() == pytest.approx(0.2, abs=4 * runs.std() / np.sqrt(len(runs)))


def test_hierarchical_effects_are_unbiased():
    runs = untruncated_mean(hierarchical, tau2=0.3, omega2=0.2, rho=0.0)
    for name, truth in (("tau2", 0.3), ("omega2", 0.2)):
        values = np.array([getattr(found, name) for found in runs])
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(len(values)))


def test_one_effect_per_study_is_the_moment_estimator_with_cr2():
    rng = np.random.default_rng(1)
    yi, vi = rng.normal(0.2, 0.5, 20), rng.uniform(0.02, 0.1, 20)
    found = fit_robust(yi=yi, vi=vi, cluster=list(range(20)), rho=0.5)
    plain = fit(yi=yi, vi=vi, method="DL", test="z")
    assert found.working.tau2 == pytest.approx(plain.tau2, rel=1e-10)
    assert found.robust.se == pytest.approx(plain.robust(list(range(20))).se, rel=1e-10)


@pytest.mark.parametrize("c", [1e-8, 1e8])
@pytest.mark.parametrize("dependence", ["CORR", "HIER"])
def test_units_and_order_do_not_matter(c, dependence):
    yi, vi, study = simulated(np.random.default_rng(4))
    one = fit_robust(yi=yi, vi=vi, cluster=list(study), dependence=dependence)
    other = fit_robust(yi=c * yi, vi=c**2 * vi, cluster=list(study), dependence=dependence)
    assert other.robust.beta == pytest.approx(c * one.robust.beta, rel=1e-9)
    assert other.robust.se == pytest.approx(c * one.robust.se, rel=1e-9)
    assert other.working.tau2 == pytest.approx(c**2 * one.working.tau2, rel=1e-9)
    turn = np.random.default_rng(5).permutation(len(yi))
    moved = fit_robust(yi=yi[turn], vi=vi[turn], cluster=[f"s{s}" for s in study[turn]], dependence=dependence)
    assert moved.robust.se == pytest.approx(one.robust.se, rel=1e-9)
    assert moved.robust.df == pytest.approx(one.robust.df, rel=1e-9)


def test_frame_and_summary():
    yi, vi, study = simulated(np.random.default_rng(4))
    frame = pd.DataFrame({"yi": yi, "vi": vi, "study": study, "x": np.arange(len(yi)) % 3})
    found = fit_robust("yi ~ x", frame, cluster="study")
    assert found.params["x"] == found.summary().loc["x", "estimate"]
    assert found.conf_int().loc["x", "low"] == found.summary().loc["x", "low"]
    large = fit_robust("yi ~ x", frame, cluster="study", small=False)
    assert set(large.robust.df) == {58.0}


def test_no_heterogeneity_is_noted():
    found = fit_robust(yi=[0.1, 0.1, 0.11, 0.1], vi=[0.1] * 4, cluster=list("aabc"))
    assert found.working.tau2 == 0
    assert "tau^2 is estimated at its boundary, zero" in found.notes


MISTAKES = [
    ({"dependence": "CHE"}, 'no kind of dependence "CHE"'),
    ({"rho": 1.2}, "rho is 1.2"),
    ({"cluster": list("aaaaaa")}, "1 clusters cannot carry"),
    ({"cluster": list("aab")}, "3 labels for 6 effects"),
    ({"cluster": ["a", "b", None, "c", "d", "e"]}, "missing for 1 of 6"),
    ({"cluster": "study"}, 'the cluster "study" is not a column'),
    ({"vi": [0.1, 0.1, -1, 0.1, 0.1, 0.1]}, "positive"),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES)
def test_mistakes(change, words):
    given = {"yi": [0.1, 0.3, 0.2, 0.7, 0.5, 0.9], "vi": [0.04] * 6, "cluster": list("aabbcc")} | change
    with pytest.raises(ModelError, match=words):
        fit_robust(**given)
