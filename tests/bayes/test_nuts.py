"""The NUTS engine against the quadrature, its two forms, its programs, its fallback, and what it hands to ArviZ."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from catharsis.bayes import nuts, nuts_sampling
from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.nuts_sampling import Drawn, compilations
from catharsis.bayes.posterior import Diagnostics, of_draws
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.plan.run import run

DISTANCE = 4.0  # Monte Carlo standard errors, of means, sds and quantiles
PROBABILITIES = (0.025, 0.5, 0.975)
PAIR = {"yi": [0.1, 0.9], "vi": [0.02, 0.03]}
OTHER_PAIR = {"yi": [-0.3, 0.2], "vi": [0.05, 0.01]}
CELLS = pd.DataFrame({"country": np.repeat(list("abcde"), 4), "x": np.tile([0.0, 1, 2, 3], 5)})
_RNG = np.random.default_rng(20)
CELLS["yi"] = (0.2 * CELLS["x"] + _RNG.normal(0, 0.3, 5).repeat(4) + _RNG.normal(0, 0.2, 20)).round(3)
CELLS["vi"] = _RNG.uniform(0.02, 0.08, 20).round(4)
CELLS["group"] = np.where(CELLS["x"] > 1, "late", "early")
CELLS.index = [f"{country}-{x:g}" for country, x in zip(CELLS["country"], CELLS["x"], strict=True)]
CELLS["effect"] = CELLS.index

MIXED = Priors.parse({"mu": "flat", "b": "normal(0, 1)", "tau": "exponential(0.3)"})  # flat and normal at once

sampling = pytest.mark.sampling


@pytest.fixture(scope="module", autouse=True)
def bare_process(tmp_path_factory):
    """A fresh process whose PATH is empty, with every warning an error; it compiles while the other tests run."""
    code = (
        "import json\n"
        "from catharsis.bayes.fit import fit_bayes\n"
        "post = fit_bayes(yi=[0.1, 0.9], vi=[0.02, 0.03], engine='nuts', draws=400, chains=2)\n"
        "import pytensor\n"
        "print(json.dumps([pytensor.config.cxx, post.mu.mean, post.mu.mcse]))\n"
    )
    home = tmp_path_factory.mktemp("bare")
    environment = {name: value for name, value in os.environ.items() if name != "PYTENSOR_FLAGS"}
    environment |= {"PATH": str(home), "PYTHONPATH": str(Path(nuts.__file__).parents[2]), "HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def pair():
    return fit_bayes(**PAIR, engine="nuts", draws=4000, chains=2, seed=1)


@pytest.fixture(scope="module")
def cells():
    return fit_bayes("yi ~ x", CELLS, random="country", priors=MIXED, engine="nuts", draws=2000, chains=2, seed=2)


def distances(sampled, exact):
    """How far means, sds and quantiles lie apart, in Monte Carlo standard errors."""
    pairs = [(sampled.coefficients[term], exact.coefficients[term]) for term in exact.terms]
    pairs += [(sampled.tau, exact.tau), (sampled.new, exact.new)]
    pairs += [(sampled.taus[factor], exact.taus[factor]) for factor in exact.taus]
    pairs += [(sampled.studies[label], exact.studies[label]) for label in exact.studies]
    far = [abs(s.mean - e.mean) / s.mcse for s, e in pairs]
    far += [abs(s.sd - e.sd) / s.mcse_sd for s, e in pairs]
    return max(far + [abs(s.quantile(p) - e.quantile(p)) / s.mcse_quantile(p) for s, e in pairs for p in PROBABILITIES])


@sampling
def test_two_studies_agree_with_the_quadrature(pair):
    assert distances(pair, fit_bayes(**PAIR)) < DISTANCE
    assert pair.diagnostics.ok, pair.diagnostics.problems
    assert (pair.diagnostics.sampler, pair.diagnostics.draws, pair.diagnostics.chains) == ("nutpie", 4000, 2)
    assert np.isnan(pair.log_evidence)


@pytest.mark.slow
@sampling
def test_a_regression_with_random_countries_agrees_with_the_quadrature(cells):
    exact = fit_bayes("yi ~ x", CELLS, random="country", priors=MIXED)
    assert distances(cells, exact) < DISTANCE
    contrast = cells.linear([1, 2])
    assert abs(contrast.mean - exact.linear([1, 2]).mean) < DISTANCE * contrast.mcse
    assert cells.probability("> 0.1", "x") == pytest.approx(exact.probability("> 0.1", "x"), abs=0.06)
    assert cells.probability("< 0.3", "tau") == pytest.approx(exact.probability("< 0.3", "tau"), abs=0.06)
    inside = [post.probability("in (0.1, 0.2)", "x") for post in (cells, exact)]
    assert inside[0] == pytest.approx(inside[1], abs=0.06)
    new = cells.predictive([1, 3])
    assert abs(new.mean - exact.predictive([1, 3]).mean) < DISTANCE * new.mcse
    with pytest.raises(ModelError, match="3 numbers for 2 coefficients"):
        cells.linear([1, 0, 0])
    with pytest.raises(KeyError, match='there is no effect "c-7": did you mean "c-'):
        cells.studies["c-7"]


@pytest.mark.slow
@sampling
def test_three_levels_under_a_sampling_covariance_agree_with_the_quadrature():
    V = sampling_covariance(CELLS["vi"], CELLS["country"], 0.5)
    uneven = [(rows, block * (1 + 0.3 * np.eye(len(rows)) * np.arange(len(rows)))) for rows, block in V]
    arguments = {"formula": "yi ~ 1", "data": CELLS, "random": "country/effect", "V": uneven}
    sampled = fit_bayes(**arguments, engine="nuts", draws=3000, seed=3)
    assert sampled.diagnostics.ok, sampled.diagnostics.problems
    exact = fit_bayes(**arguments)
    assert set(sampled.taus) == set(exact.taus) == {"country", "effect"}
    assert distances(sampled, exact) < DISTANCE


@pytest.mark.slow
@sampling
def test_groups_with_their_own_tau_agree_with_the_quadrature():
    """And three levels of independent errors, by the same kind of program with another tie."""
    arguments = {"formula": "yi ~ 1", "data": CELLS, "random": "group | effect", "struct": "DIAG"}
    sampled = fit_bayes(**arguments, engine="nuts", draws=3000, chains=2, seed=4)
    exact = fit_bayes(**arguments)
    assert distances(sampled, exact) < DISTANCE
    name = exact.model.blocks.factors[1]
    one = sampled.predictive(component=name)
    assert abs(one.sd - exact.predictive(component=name).sd) < DISTANCE * one.mcse_sd
    with pytest.raises(ModelError, match='there is no component "late"'):
        sampled.predictive(component="late")


@pytest.mark.slow
@sampling
def test_both_forms_are_the_same_posterior(pair):
    """Effects as non-centred parameters, which share no algebra with the closed form."""
    sampled = fit_bayes(**PAIR, engine="nuts", effects="sampled", draws=4000, chains=2, seed=6)
    assert sampled.diagnostics.ok, sampled.diagnostics.problems
    assert distances(sampled, fit_bayes(**PAIR)) < DISTANCE
    for group in ("log_likelihood", "log_likelihood_study", "posterior_predictive"):
        ours, theirs = (post.inference_data[group]["y"] for post in (sampled, pair))
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.mean(("chain", "draw")), theirs.mean(("chain", "draw")), atol=0.05)


@pytest.mark.slow
@sampling
@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_any_scale(c, cells):
    """One compiled structure; coefficients are sampled in units of their own errors."""
    before = compilations()
    frame = CELLS.assign(yi=c * (CELLS["yi"] + 5), vi=c**2 * CELLS["vi"])
    priors = Priors(Prior("flat"), Prior("normal", (0.0, c)), Prior("exponential", (0.3 * c,)))
    arguments = {"formula": "yi ~ x", "data": frame, "random": "country", "priors": priors}
    sampled = fit_bayes(**arguments, engine="nuts", draws=1000, chains=2, seed=4)
    assert distances(sampled, fit_bayes(**arguments)) < DISTANCE
    assert sampled.diagnostics.divergences == 0
    assert sampled.mu.mean == pytest.approx(c * (cells.mu.mean + 5), rel=0.02)
    assert compilations() == before


@pytest.mark.slow
@sampling
def test_a_moderator_far_from_zero_is_no_harder(cells):
    before = compilations()
    frame = CELLS.assign(x=2000 + CELLS["x"])
    sampled = fit_bayes("yi ~ x", frame, random="country", priors=MIXED, engine="nuts", draws=1000, chains=2, seed=4)
    assert compilations() == before
    assert sampled.diagnostics.ess_bulk > 600
    x = sampled.coefficients["x"]
    assert abs(x.mean - cells.coefficients["x"].mean) < DISTANCE * np.hypot(x.mcse, cells.coefficients["x"].mcse)


@sampling
def test_one_structure_is_compiled_once_and_gets_new_data_and_priors(pair):
    """Two studies or 40, other labels and priors, normal or Cauchy on the average: no compilation."""
    before = compilations()
    priors = Priors.parse({"mu": "normal(1, 3)", "tau": "half-normal(0.2)"})
    other = fit_bayes(**OTHER_PAIR, priors=priors, engine="nuts", draws=2000, chains=2, seed=1)
    assert distances(other, fit_bayes(**OTHER_PAIR, priors=priors)) < DISTANCE
    assert other.mu.mean < 0.3 < pair.mu.mean
    rng = np.random.default_rng(9)
    many = {"yi": rng.normal(0.2, 0.5, 40), "vi": rng.uniform(0.01, 0.2, 40)}
    priors = Priors.parse({"mu": "cauchy(0, 0.5)", "tau": "half-normal(1)"})
    large = fit_bayes(**many, priors=priors, engine="nuts", draws=2000, chains=2, seed=1)
    assert distances(large, fit_bayes(**many, priors=priors)) < DISTANCE
    assert large.inference_data.posterior["theta"].shape == (2, 2000, 40)
    assert compilations() == before


@sampling
def test_few_draws_of_many_effects_are_kept(monkeypatch, pair):
    monkeypatch.setattr(nuts, "MOST", 1000)
    few = fit_bayes(**PAIR, engine="nuts", draws=1000, chains=2, seed=1)
    assert few.inference_data.posterior["theta"].shape == (2, 250, 2)
    assert few.inference_data.sample_stats["diverging"].shape == (2, 250)
    assert "one draw in 4 is kept" in few.notes[-1]
    assert few.mu.law.values.shape == (2, 1000)
    assert abs(few.studies["2"].mean - pair.studies["2"].mean) < DISTANCE * few.studies["2"].mcse


@pytest.mark.slow
@sampling
def test_a_known_tau_leaves_the_average_to_sample():
    priors = Priors.parse({"tau": "fixed(0.3)"})
    post = fit_bayes(**PAIR, priors=priors, engine="nuts", draws=1000, chains=2, seed=1)
    exact = fit_bayes(**PAIR, priors=priors)
    assert (post.tau.mean, post.tau.sd) == (pytest.approx(0.3), pytest.approx(0, abs=1e-12))
    assert post.diagnostics.ok
    assert abs(post.mu.mean - exact.mu.mean) < DISTANCE * post.mu.mcse
    assert post.probability("> 0.2", "tau") == 1


@sampling
def test_the_seed_decides_the_draws(pair):
    again = [fit_bayes(**PAIR, engine="nuts", draws=200, chains=2, seed=seed) for seed in (5, 5, 6)]
    b = [np.asarray(post.inference_data.posterior["b"]) for post in again]
    np.testing.assert_array_equal(b[0], b[1])
    assert not np.array_equal(b[0], b[2])
    assert again[0].mu == again[1].mu
    assert again[0].new == again[1].new
    for group in ("posterior", "posterior_predictive", "prior_predictive"):
        assert again[0].inference_data[group].equals(again[1].inference_data[group])


@pytest.mark.slow
@sampling
def test_arviz_gets_named_groups(cells):
    import arviz as az

    idata = cells.to_inferencedata()
    groups = {"posterior", "sample_stats", "log_likelihood", "log_likelihood_study", "log_prior"}
    groups |= {"posterior_predictive", "observed_data", "constant_data"}
    assert groups == set(idata.groups())  # a flat prior has no draws: no prior groups
    labels = list(CELLS.index)
    for group, name in (
        ("posterior", "theta"),
        ("log_likelihood", "y"),
        ("posterior_predictive", "y"),
        ("observed_data", "y"),
        ("constant_data", "vi"),
    ):
        assert list(idata[group][name].coords["effect"].values) == labels
    assert list(idata.posterior["b"].coords["term"].values) == ["intercept", "x"]
    assert list(idata.posterior["taus"].coords["factor"].values) == ["country"]
    assert list(idata.log_likelihood_study.coords["study"].values) == list("abcde")
    assert idata.posterior["b"].shape == (2, 2000, 2)
    np.testing.assert_array_equal(idata.observed_data["y"], CELLS["yi"])
    theta = idata.posterior["theta"].sel(effect="c-2").values
    y, v = CELLS.loc["c-2", ["yi", "vi"]].astype(float)
    expected = -0.5 * (np.log(2 * np.pi * v) + (y - theta) ** 2 / v)
    np.testing.assert_allclose(idata.log_likelihood["y"].sel(effect="c-2").values, expected, rtol=1e-12)
    spread = idata.posterior_predictive["y"].sel(effect="c-2").values - theta
    assert spread.std() == pytest.approx(v**0.5, rel=0.1)
    assert list(az.summary(idata, var_names=["b", "tau"]).index) == ["b[intercept]", "b[x]", "tau"]
    np.testing.assert_allclose(idata.log_prior["b"].sel(term="intercept"), 0)
    np.testing.assert_allclose(idata.log_prior["taus"][..., 0], -np.log(0.3) - idata.posterior["tau"] / 0.3)


@pytest.mark.slow
@sampling
def test_the_likelihood_of_a_study_has_its_effects_integrated_out(cells):
    from scipy.stats import multivariate_normal

    idata = cells.to_inferencedata()
    at = {"chain": 1, "draw": 77}
    b, tau = idata.posterior["b"].isel(at).values, float(idata.posterior["tau"].isel(at))
    rows = CELLS["country"] == "c"
    mean = b[0] + b[1] * CELLS.loc[rows, "x"]
    expected = multivariate_normal.logpdf(CELLS.loc[rows, "yi"], mean, np.diag(CELLS.loc[rows, "vi"]) + tau**2)
    assert float(idata.log_likelihood_study["y"].sel(study="c").isel(at)) == pytest.approx(expected, rel=1e-10)


@sampling
def test_priors_are_drawn_as_they_are_written(pair):
    prior, predicted = pair.inference_data.prior, pair.inference_data.prior_predictive
    assert prior["b"].shape == (1, 1000, 1)
    assert float(prior["b"].std()) == pytest.approx(1, rel=0.1)
    assert float((prior["tau"] ** 2).mean()) == pytest.approx(0.25, rel=0.2)
    assert float(predicted["y"].sel(effect="1").var()) == pytest.approx(1 + 0.25 + 0.02, rel=0.2)


@sampling
def test_without_nutpie_pymc_samples_by_itself(monkeypatch, capfd):
    monkeypatch.setattr(nuts_sampling, "find_spec", lambda name: None)
    monkeypatch.setattr(nuts_sampling, "TUNE", 500)
    post = fit_bayes(**PAIR, engine="nuts", draws=600, chains=2, seed=3)
    before = compilations()
    other = fit_bayes(yi=[0.3, 0.1, 0.2], vi=[0.02, 0.03, 0.05], engine="nuts", draws=600, chains=2, seed=3)
    assert compilations() == before
    assert post.diagnostics.sampler == "PyMC"
    for found, exact in ((post, fit_bayes(**PAIR)), (other, fit_bayes(yi=[0.3, 0.1, 0.2], vi=[0.02, 0.03, 0.05]))):
        assert found.mu.mean == pytest.approx(exact.mu.mean, abs=5 * found.mu.mcse)
        assert found.tau.mean == pytest.approx(exact.tau.mean, abs=5 * found.tau.mcse)
    assert {"posterior", "log_likelihood", "posterior_predictive", "prior"} <= set(post.inference_data.groups())
    assert 0.3 < post.diagnostics.ebfmi < 2
    assert capfd.readouterr() == ("", "")


@sampling
def test_no_compiler_is_needed_and_no_warning_escapes(bare_process):
    out, err = bare_process.communicate(timeout=300)
    assert bare_process.returncode == 0, err
    assert err == ""
    cxx, mean, mcse = json.loads(out)
    assert cxx == ""
    assert mean == pytest.approx(fit_bayes(**PAIR).mu.mean, abs=5 * mcse)


def test_diverging_runs_are_tried_again_with_shorter_steps(monkeypatch):
    tried = []

    def stand_in(key, build, data, run):
        tried.append(run.target)
        rng = np.random.default_rng(1)
        values = {name: rng.normal(size=(2, 50, n)) for name, n in (("b_unit", 1), ("signed_tau", 1), ("z", 8))}
        if key[0] == "diagonal":
            del values["z"]
        return Drawn(values, {"diverging": np.arange(100).reshape(2, 50) < 2}, "nutpie")

    monkeypatch.setattr(nuts, "draw", stand_in)
    post = fit_bayes(**PAIR, engine="nuts")
    assert tried == [0.95, 0.995]
    fit_bayes(**PAIR, engine="nuts", effects="sampled")
    assert tried[2:] == [0.99, 0.999]
    assert post.diagnostics.divergences == 2
    assert "2 transitions diverged (must be none)" in post.diagnostics.problems
    assert np.isnan(post.diagnostics.ebfmi)  # a run without energies is not reportable either
    assert not post.diagnostics.ok


def test_a_parameter_that_does_not_mix_is_seen_among_those_that_do(monkeypatch):
    rng = np.random.default_rng(1)
    stuck = rng.normal(size=(2, 500, 1))
    stuck[1] = np.nan

    def stand_in(key, build, data, run):
        values = {"b_unit": rng.normal(size=(2, 500, 1)), "signed_tau": stuck}
        return Drawn(values, {"diverging": np.zeros((2, 500), bool), "energy": rng.normal(size=(2, 500))}, "nutpie")

    monkeypatch.setattr(nuts, "draw", stand_in)
    post = fit_bayes(**PAIR, engine="nuts")
    assert np.isnan(post.diagnostics.rhat)
    assert not post.diagnostics.ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"priors": Priors.parse({"mu": "flat", "tau": "uniform"})},
            "the posterior is improper: with the prior uniform on tau, 2 studies and 1 coefficient with a flat prior "
            "leave large values of tau without bound; use a proper prior on tau, such as half-normal(0.5), or more "
            "studies",
        ),
        ({"draws": 2.5}, "draws is a whole number, not 2.5"),
        ({"chains": True}, "chains is a whole number, not true"),
        ({"seed": -1}, "the seed is -1; it lies between 0 and 2^32 - 1"),
        ({"draws": 3}, "4 chains of 3 draws tell nothing: use 1 chain or more of 4 draws or more"),
        ({"chains": 0}, "0 chains of 4000 draws tell nothing: use 1 chain or more of 4 draws or more"),
        ({"effects": "marginal"}, 'effects is "marginal": use one of: integrated, sampled'),
        ({"distribution": "gamma"}, 'there is no distribution "gamma" of study effects: use one of: normal, t, '
                                    "outliers; t(4) is a t with known degrees of freedom"),
    ],
)  # fmt: skip
def test_what_cannot_be_sampled(arguments, message):
    with pytest.raises(ModelError) as error:
        fit_bayes(**PAIR, engine="nuts", **arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"distribution": "t"},
            'distribution="t" needs a sampler: quadrature knows normal effects only; use engine="nuts"',
        ),
        (
            {"effects": "sampled"},
            "effects= chooses how NUTS treats true effects; the exact engine integrates them out always",
        ),
    ],
)
def test_what_quadrature_cannot_do(arguments, message):
    with pytest.raises(ModelError) as error:
        fit_bayes(**PAIR, **arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, ()),
        ({"rhat": 1.0099}, ()),
        ({"rhat": 1.01}, ("R-hat is 1.010 (must be below 1.01)",)),
        ({"rhat": float("nan")}, ("R-hat is nan (must be below 1.01)",)),
        ({"ess_bulk": 400}, ()),
        ({"ess_bulk": 399.4}, ("the effective sample size is 399 (must be at least 400)",)),
        ({"ess_tail": 12}, ("the effective sample size is 12 (must be at least 400)",)),
        ({"ess_tail": float("nan")}, ("the effective sample size is nan (must be at least 400)",)),
        ({"divergences": 3}, ("3 transitions diverged (must be none)",)),
        ({"divergences": 1}, ("1 transition diverged (must be none)",)),
        ({"ebfmi": 0.3}, ()),
        ({"ebfmi": 0.29}, ("E-BFMI is 0.29 (must be at least 0.3)",)),
        ({"ebfmi": float("nan")}, ("E-BFMI is nan (must be at least 0.3)",)),
        (
            {"chains": 1, "rhat": float("nan")},
            ("one chain cannot show that it agrees with others: R-hat needs 2 or more (4 are usual)",),
        ),
        (
            {"rhat": 1.2, "ess_bulk": 9, "divergences": 2, "ebfmi": 0.1},
            (
                "R-hat is 1.200 (must be below 1.01)",
                "the effective sample size is 9 (must be at least 400)",
                "2 transitions diverged (must be none)",
                "E-BFMI is 0.10 (must be at least 0.3)",
            ),
        ),
    ],
)
def test_the_diagnostics_gate(changes, problems):
    sound = {"rhat": 1.001, "ess_bulk": 900, "ess_tail": 800, "divergences": 0, "ebfmi": 0.9, "sampler": "nutpie"}
    found = Diagnostics(**(sound | changes))
    assert found.problems == problems
    assert found.ok == (not problems)


def test_draws_know_their_monte_carlo_error():
    rng = np.random.default_rng(8)
    runs = [of_draws(rng.normal(2, 3, (4, 500)), 0.9) for _ in range(100)]
    assert np.mean([run.mcse for run in runs]) == pytest.approx(3 / 2000**0.5, rel=0.05)
    assert np.std([run.mean for run in runs]) == pytest.approx(3 / 2000**0.5, rel=0.3)
    assert np.mean([run.mcse_sd for run in runs]) == pytest.approx(3 / 4000**0.5, rel=0.1)
    assert np.std([run.sd for run in runs]) == pytest.approx(3 / 4000**0.5, rel=0.3)
    errors = [run.mcse_quantile(0.975) for run in runs]
    assert np.mean(errors) == pytest.approx(np.std([run.quantile(0.975) for run in runs]), rel=0.3)
    same = of_draws(np.ones((2, 10)), 0.9)
    assert (same.sd, same.mcse, same.mcse_sd, same.positive) == (0, 0, 0, 1)
    assert fit_bayes(**PAIR).mu.mcse_quantile(0.5) == 0


def test_the_engines_stay_unloaded_until_they_are_needed():
    code = (
        "import sys\n"
        "import catharsis.bayes.exact, catharsis.bayes.fit, catharsis.bayes.nuts\n"
        "catharsis.bayes.fit.fit_bayes(yi=[0.1, 0.4], vi=[0.1, 0.1])\n"
        "print(*(name for name in ('pymc', 'arviz', 'nutpie', 'pytensor', 'numba', 'xarray', 'pandas', 'scipy.stats',"
        " 'statsmodels', 'matplotlib') if name in sys.modules))\n"
    )
    source = Path(importlib.util.find_spec("catharsis").origin).parents[1]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == ""


@pytest.mark.sampling
def test_the_sampler_runs_and_agrees(tmp_path):
    """One small synthesis of bcg through NUTS, the page and the posterior on disk (here, where PyMC is warm)."""
    root = Path(__file__).parents[2]
    for name in ("analyses/bcg", "references"):
        shutil.copytree(root / name, tmp_path / name)
    folder = tmp_path / "analyses" / "bcg"
    path = folder / "analysis.yaml"
    text = path.read_text(encoding="utf-8")
    head = text.split("  - id: latitude", 1)[0]  # one synthesis is enough: each model is compiled, which takes 10 s
    path.write_text(head.replace("draws: 4000", "draws: 1500"), encoding="utf-8")
    results = run(folder)
    assert results.reportable, results.problems
    found = results.synthesis("risk-ratio")
    assert found.nuts.diagnostics.ok
    assert max(item.distance for item in found.agreement) < 4
    page = results.render(tmp_path / "out").read_text(encoding="utf-8")
    assert "Monte Carlo standard errors" in page
    assert (tmp_path / "out" / "posteriors" / "risk-ratio.nc").stat().st_size > 1000
