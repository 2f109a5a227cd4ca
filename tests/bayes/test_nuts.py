"""The NUTS engine against the quadrature, its fallback, its cache, and what it hands to ArviZ."""

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

from catharsis.bayes import nuts
from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.posterior import Diagnostics, of_draws
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.plan.run import run

DISTANCE = 4.0  # Monte Carlo standard errors; worst seen 2.6 over 42 comparisons
PAIR = {"yi": [0.1, 0.9], "vi": [0.02, 0.03]}
OTHER_PAIR = {"yi": [-0.3, 0.2], "vi": [0.05, 0.01]}
CELLS = pd.DataFrame({"country": np.repeat(list("abcde"), 4), "x": np.tile([0.0, 1, 2, 3], 5)})
_RNG = np.random.default_rng(20)
CELLS["yi"] = (0.2 * CELLS["x"] + _RNG.normal(0, 0.3, 5).repeat(4) + _RNG.normal(0, 0.2, 20)).round(3)
CELLS["vi"] = _RNG.uniform(0.02, 0.08, 20).round(4)
CELLS.index = [f"{country}-{x:g}" for country, x in zip(CELLS["country"], CELLS["x"], strict=True)]

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
    """How far means and sds lie apart, in Monte Carlo standard errors."""
    pairs = [(sampled.coefficients[term], exact.coefficients[term]) for term in exact.terms]
    pairs += [(sampled.tau, exact.tau), (sampled.new, exact.new)]
    pairs += [(sampled.studies[label], exact.studies[label]) for label in exact.studies]
    far = [abs(s.mean - e.mean) / s.mcse for s, e in pairs]
    return max(far + [abs(s.sd - e.sd) / s.mcse_sd for s, e in pairs])


@sampling
def test_two_studies_agree_with_the_quadrature(pair):
    assert distances(pair, fit_bayes(**PAIR)) < DISTANCE
    assert pair.diagnostics.ok, pair.diagnostics.problems
    assert pair.diagnostics.sampler == "nutpie"
    assert np.isnan(pair.log_evidence)


@sampling
def test_a_regression_with_random_countries_agrees_with_the_quadrature(cells):
    exact = fit_bayes("yi ~ x", CELLS, random="country", priors=MIXED)
    assert distances(cells, exact) < DISTANCE
    contrast = cells.linear([1, 2])
    assert abs(contrast.mean - exact.linear([1, 2]).mean) < DISTANCE * contrast.mcse
    assert cells.probability("> 0.1", "x") == pytest.approx(exact.probability("> 0.1", "x"), abs=0.06)
    assert cells.probability("< 0.3", "tau") == pytest.approx(exact.probability("< 0.3", "tau"), abs=0.06)
    assert cells.studies == {} == exact.studies
    with pytest.raises(ModelError, match="3 numbers for 2 coefficients"):
        cells.linear([1, 0, 0])


@sampling
@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_any_scale(c, cells):
    """One compiled structure; a flat coefficient is sampled in units of its own least-squares error."""
    before = len(nuts._COMPILED)
    frame = CELLS.assign(yi=c * (CELLS["yi"] + 5), vi=c**2 * CELLS["vi"])
    priors = Priors(Prior("flat"), Prior("normal", (0.0, c)), Prior("exponential", (0.3 * c,)))
    arguments = {"formula": "yi ~ x", "data": frame, "random": "country", "priors": priors}
    sampled = fit_bayes(**arguments, engine="nuts", draws=1000, chains=2, seed=4)
    assert distances(sampled, fit_bayes(**arguments)) < DISTANCE
    assert sampled.diagnostics.divergences == 0
    assert sampled.mu.mean == pytest.approx(c * (cells.mu.mean + 5), rel=0.02)
    assert len(nuts._COMPILED) == before


@sampling
def test_one_structure_is_compiled_once_and_gets_new_data_and_priors(pair):
    before = len(nuts._COMPILED)
    priors = Priors.parse({"mu": "normal(1, 3)", "tau": "half-normal(0.2)"})
    other = fit_bayes(**OTHER_PAIR, priors=priors, engine="nuts", draws=2000, chains=2, seed=1)
    assert len(nuts._COMPILED) == before
    assert distances(other, fit_bayes(**OTHER_PAIR, priors=priors)) < DISTANCE
    assert other.mu.mean < 0.3 < pair.mu.mean


@sampling
def test_the_seed_decides_the_draws(pair):
    again = [fit_bayes(**PAIR, engine="nuts", draws=200, chains=2, seed=seed) for seed in (5, 5, 6)]
    b = [np.asarray(post.inference_data.posterior["b"]) for post in again]
    np.testing.assert_array_equal(b[0], b[1])
    assert not np.array_equal(b[0], b[2])
    assert again[0].mu == again[1].mu
    assert again[0].new == again[1].new
    y = [np.asarray(post.inference_data.posterior_predictive["y"]) for post in again]
    np.testing.assert_array_equal(y[0], y[1])


@sampling
def test_arviz_gets_named_groups(cells):
    import arviz as az

    idata = cells.to_inferencedata()
    groups = {"posterior", "log_likelihood", "posterior_predictive", "observed_data", "sample_stats"}
    assert groups <= set(idata.groups())
    labels = list(CELLS.index)
    for group, name in (
        ("posterior", "theta"),
        ("log_likelihood", "y"),
        ("posterior_predictive", "y"),
        ("observed_data", "y"),
    ):
        assert list(idata[group][name].coords["effect"].values) == labels
    assert list(idata.posterior["b"].coords["term"].values) == ["intercept", "x"]
    assert idata.posterior["b"].shape == (2, 2000, 2)
    assert idata.posterior["z"].shape == (2, 2000, 5)
    np.testing.assert_array_equal(idata.observed_data["y"], CELLS["yi"])
    theta = idata.posterior["theta"].sel(effect="c-2").values
    b, z = idata.posterior["b"].values, idata.posterior["z"].values
    np.testing.assert_allclose(theta, b @ [1, 2] + idata.posterior["tau"].values * z[..., 2], rtol=1e-12)
    y, v = CELLS.loc["c-2", ["yi", "vi"]].astype(float)
    expected = -0.5 * (np.log(2 * np.pi * v) + (y - theta) ** 2 / v)
    np.testing.assert_allclose(idata.log_likelihood["y"].sel(effect="c-2").values, expected, rtol=1e-12)
    spread = idata.posterior_predictive["y"].sel(effect="c-2").values - theta
    assert spread.std() == pytest.approx(v**0.5, rel=0.1)
    assert list(az.summary(idata, var_names=["b", "tau"]).index) == ["b[intercept]", "b[x]", "tau"]


@sampling
def test_without_nutpie_pymc_samples_by_itself(monkeypatch, pair, capfd):
    monkeypatch.setattr(nuts, "find_spec", lambda name: None)
    monkeypatch.setattr(nuts, "TUNE", 1000)
    post = fit_bayes(**PAIR, engine="nuts", draws=600, chains=2, seed=3)
    assert post.diagnostics.sampler == "PyMC"
    exact = fit_bayes(**PAIR)
    assert post.mu.mean == pytest.approx(exact.mu.mean, abs=5 * post.mu.mcse)
    assert post.tau.mean == pytest.approx(exact.tau.mean, abs=5 * post.tau.mcse)
    assert {"posterior", "log_likelihood", "posterior_predictive", "observed_data", "sample_stats"} <= set(
        post.inference_data.groups()
    )
    assert post.diagnostics.ebfmi < 2
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

    def sample(blocks, terms, priors, run):
        tried.append(run.target)
        return None, "nutpie"

    def diagnose(idata, sampler):
        return Diagnostics(1.0, 1000, 1000, 1, 1.0, sampler)

    monkeypatch.setattr(nuts, "_sample", sample)
    monkeypatch.setattr(nuts, "_diagnose", diagnose)
    with pytest.raises(AttributeError):  # the stand-in has no posterior
        fit_bayes(**PAIR, engine="nuts")
    assert tried == [0.99, 0.999]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"priors": Priors.parse({"tau": "fixed(0.2)"})},
            "with tau fixed nothing is left to sample; use engine='exact'",
        ),
        (
            {"priors": Priors.parse({"tau": "jeffreys"})},
            "the NUTS engine does not know the prior jeffreys on tau; use half-normal, half-cauchy, half-t, "
            "exponential, uniform, or engine='exact'",
        ),
        ({"draws": 3}, "4 chains of 3 draws tell nothing: use 1 chain or more of 4 draws or more"),
        ({"chains": 0}, "0 chains of 4000 draws tell nothing: use 1 chain or more of 4 draws or more"),
    ],
)
def test_what_cannot_be_sampled(arguments, message):
    with pytest.raises(ModelError) as error:
        fit_bayes(**PAIR, engine="nuts", **arguments)
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
    same = of_draws(np.ones((2, 10)), 0.9)
    assert (same.sd, same.mcse, same.mcse_sd, same.positive) == (0, 0, 0, 1)


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
def test_three_levels_agree_with_a_grid():
    """Effects within samples: NUTS against a product grid over both standard deviations, written independently."""
    yi = np.array([0.1, 0.3, 0.7, 0.4, -0.2, 0.1, 0.9, 0.6, 0.2, 0.5])
    vi = np.array([0.04, 0.05, 0.06, 0.04, 0.05, 0.07, 0.05, 0.04, 0.06, 0.05])
    sample = np.repeat(np.arange(5), 2)
    data = pd.DataFrame({"yi": yi, "vi": vi, "sample": sample, "effect": np.arange(10)})
    post = fit_bayes("yi ~ 1", data, random="sample/effect", priors=Priors(), engine="nuts", seed=5)
    assert post.diagnostics is not None
    assert post.diagnostics.ok, post.diagnostics.problems
    grid = np.linspace(0.0005, 2.5, 500)
    shared = (sample[:, None] == sample[None, :]).astype(float)
    total, weight = np.empty((2, 500, 500)), np.empty((500, 500))
    for i, outer in enumerate(grid):
        M = np.diag(vi) + outer**2 * shared + (grid**2)[:, None, None] * np.eye(10)
        inverse = np.linalg.inv(M)
        a = inverse.sum(axis=(1, 2)) + 1.0  # prior on the average: normal(0, 1)
        b = (inverse @ yi).sum(axis=1)
        log = -0.5 * (np.linalg.slogdet(M)[1] + np.log(a) + np.einsum("i,gij,j->g", yi, inverse, yi) - b**2 / a)
        weight[i] = log - 0.5 * (outer**2 + grid**2) / 0.25  # half-normal(0.5) on both
        total[0, i], total[1, i] = b / a, np.sqrt(outer**2 + grid**2)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    assert abs(post.mu.mean - (weight * total[0]).sum()) < 4 * post.mu.mcse
    assert abs(post.tau.mean - (weight * total[1]).sum()) < 4 * post.tau.mcse


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
