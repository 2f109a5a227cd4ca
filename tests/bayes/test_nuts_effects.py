"""What only a sampler fits, recovered from simulated data: outliers, heavy tails, correlated outcomes, slopes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.nuts_distribution import parse_distribution
from catharsis.bayes.nuts_effects import effects_given, errors, parameters_of, prior_parameters, random_effects
from catharsis.bayes.nuts_model import make_model
from catharsis.bayes.nuts_sampling import Drawn
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import make_blocks, sampling_covariance
from catharsis.likelihood.random_effects import random_effects as read_random_effects

sampling = pytest.mark.sampling
APART = 3.5  # posterior standard deviations between an estimate and the truth that made the data


@pytest.mark.slow
@sampling
def test_outliers_are_found_and_the_others_left_alone():
    rng = np.random.default_rng(4)
    k, strange = 40, [3, 17, 30]
    vi = rng.uniform(0.005, 0.02, k)
    theta = 0.3 + rng.normal(0, 0.1, k)
    theta[strange] += [2.0, -1.8, 2.5]
    data = pd.DataFrame({"yi": theta + rng.normal(0, vi**0.5), "vi": vi}, index=[f"s{i}" for i in range(k)])
    post = fit_bayes("yi ~ 1", data, engine="nuts", distribution="outliers", draws=2000, chains=2, seed=1)
    assert post.diagnostics.ok, post.diagnostics.problems
    assert {name for name, p in post.outliers.items() if p > 0.9} == {f"s{i}" for i in strange}
    assert max(p for name, p in post.outliers.items() if name not in {f"s{i}" for i in strange}) < 0.3
    assert list(post.inference_data.posterior["outlier"].coords["study"].values) == list(data.index)
    plain = fit_bayes("yi ~ 1", data)
    assert post.tau.mean < 0.2 < 0.5 < plain.tau.mean
    assert post.mu.sd < 0.5 * plain.mu.sd
    assert abs(post.mu.mean - 0.3) < APART * post.mu.sd
    assert any("not outliers" in note for note in post.notes)
    assert post.nodes is None
    assert {"share", "inflation"} <= set(post.inference_data.log_prior)


@pytest.mark.slow
@sampling
def test_heavy_tails_are_recovered():
    rng = np.random.default_rng(7)
    k = 150
    vi = rng.uniform(0.005, 0.02, k)
    data = pd.DataFrame({"yi": 0.2 + 0.3 * rng.standard_t(3, k) + rng.normal(0, vi**0.5), "vi": vi})
    post = fit_bayes("yi ~ 1", data, engine="nuts", distribution="t", draws=1000, chains=2, seed=1)
    assert post.diagnostics.ok, post.diagnostics.problems
    df = post.inference_data.posterior["df"].values
    assert np.quantile(df, 0.01) < 3 < np.quantile(df, 0.99)
    assert np.median(df) < 10  # 17 a priori
    assert abs(post.tau.mean - 0.3) < APART * post.tau.sd
    assert abs(post.mu.mean - 0.2) < APART * post.mu.sd
    assert any("scale of a t distribution" in note for note in post.notes)


@pytest.mark.slow
@sampling
def test_correlated_outcomes_are_recovered_though_some_are_missing():
    rng = np.random.default_rng(2)
    m, names = 60, ["mood", "oxytocin", "autonomic"]
    R = np.array([[1.0, 0.7, -0.3], [0.7, 1.0, 0.0], [-0.3, 0.0, 1.0]])
    sd, mu = np.array([0.5, 0.4, 0.6]), np.array([0.3, 0.1, -0.2])
    u = rng.multivariate_normal(np.zeros(3), R * np.outer(sd, sd), m)
    data = pd.DataFrame({"study": np.repeat([f"s{i}" for i in range(m)], 3), "outcome": names * m})
    data["vi"] = rng.uniform(0.01, 0.05, len(data))
    V = sampling_covariance(data["vi"], data["study"], 0.4)
    noise = np.concatenate([rng.multivariate_normal(np.zeros(3), block) for _, block in V])
    data["yi"] = (mu + u).ravel() + noise
    data = data[rng.random(len(data)) > 0.25].reset_index(drop=True)
    V = sampling_covariance(data["vi"], data["study"], 0.4)
    arguments = {"random": "outcome | study", "struct": "UN", "V": V, "priors": Priors.parse({"tau": "half-normal(1)"})}
    post = fit_bayes("yi ~ 0 + outcome", data, engine="nuts", draws=1500, chains=2, seed=1, **arguments)
    assert post.diagnostics.ok, post.diagnostics.problems
    for name, value in zip(names, mu, strict=True):
        term = next(term for term in post.terms if name in term)
        assert abs(post.coefficients[term].mean - value) < APART * post.coefficients[term].sd
    for name, value in zip(names, sd, strict=True):
        found = next(tau for factor, tau in post.taus.items() if name in factor)
        assert abs(found.mean - value) < APART * found.sd
    rho = post.inference_data.posterior["rho"]
    assert rho.shape == (2, 1500, 3)
    truth = {("mood", "oxytocin"): 0.7, ("autonomic", "mood"): -0.3, ("autonomic", "oxytocin"): 0.0}
    for pair in rho.coords["pair"].values:
        value = next(value for both, value in truth.items() if all(name in pair for name in both))
        one = rho.sel(pair=pair)
        assert abs(float(one.mean()) - value) < APART * float(one.std())
        assert float(one.std()) < 0.25
    with pytest.raises(ModelError, match='correlations: struct UN has some; use struct="DIAG" or engine="nuts"'):
        fit_bayes("yi ~ 0 + outcome", data, **arguments)


RNG = np.random.default_rng(11)
DATA = pd.DataFrame({"study": [1, 1, 1, 2, 2, 3, 3, 3], "outcome": list("abcabcab"), "vi": RNG.uniform(0.02, 0.3, 8)})
DATA["yi"], DATA["effect"] = RNG.normal(0.3, 0.4, 8), np.arange(8)
DRAWS = 40_000


def model_of(random, struct=None, V=None, distribution="normal", effects=None):
    found = read_random_effects(random, struct, DATA, 8, {}, None)
    blocks = make_blocks(DATA["yi"], np.ones((8, 1)), DATA["vi"], found.factors, V, found.terms)
    law = parse_distribution(distribution)
    return make_model(blocks, ("intercept",), Priors(), np.sqrt(DATA["vi"].to_numpy()), law, effects)


def repeated(model, rng):
    """The parameters of one random point, many times."""
    name = "log_tau" if model.shape.correlations else "signed_tau"
    free = {"b_unit": rng.normal(size=1), name: rng.normal(0, 0.5, len(model.shape.free))}
    if model.shape.correlations:
        free["correlation"] = rng.normal(size=model.shape.correlations)
    tiled = {name: np.tile(value, (1, DRAWS, 1)) for name, value in free.items()}
    if model.shape.distribution == "t":
        tiled["log_df"] = np.full((1, DRAWS), -1.0)
    return parameters_of(model, Drawn(tiled, {}, ""))


@pytest.mark.parametrize(
    ("random", "struct", "tied"),
    [
        ("effect", None, False),
        ("study", None, False),
        ("study/effect", None, False),
        ("study/effect", None, True),
        ("outcome | study", "UN", True),
        ("outcome | study", "DIAG", False),
        ("study + outcome", None, False),
    ],
)
def test_true_effects_given_the_parameters_are_those_of_a_joint_normal(random, struct, tied):
    V = sampling_covariance(DATA["vi"], DATA["study"], 0.5) if tied else None
    model = model_of(random, struct, V)
    rng = np.random.default_rng(3)
    parameters = repeated(model, rng)
    found = effects_given(model, parameters, rng)
    prior = random_effects(model, parameters, rng)
    G = np.cov(prior.T)  # of theta - X b, from draws: the only approximation here
    E = np.diag(DATA["vi"]) if V is None else np.zeros((8, 8))
    for rows, block in V or []:
        E[np.ix_(rows, rows)] = block
    M = G + E
    mean = parameters.b[0, 0] + G @ np.linalg.solve(M, DATA["yi"] - parameters.b[0, 0])
    cov = G - G @ np.linalg.solve(M, G)
    sd = np.sqrt(np.diag(cov))
    np.testing.assert_allclose(
        found.theta.mean(axis=0), mean, atol=5 * sd.max() / DRAWS**0.5 + 0.02 * np.ptp(mean) + 0.002
    )
    np.testing.assert_allclose(np.cov(found.theta.T), cov, atol=0.05 * sd.max() ** 2)
    total = -0.5 * (8 * np.log(2 * np.pi) + np.linalg.slogdet(M)[1])
    total -= 0.5 * (DATA["yi"] - parameters.b[0, 0]) @ np.linalg.solve(M, DATA["yi"] - parameters.b[0, 0])
    assert found.log_likelihood.sum(axis=1)[0] == pytest.approx(total, abs=0.1)
    np.testing.assert_allclose(np.cov(errors(model, DRAWS, rng).T), E, atol=0.05 * E.max())


def test_true_effects_under_a_t_distribution_are_those_of_importance_sampling():
    """Effects drawn from their prior, weighted by the likelihood of their study."""
    model = model_of("study", distribution="t")
    rng = np.random.default_rng(3)
    parameters = repeated(model, rng)
    found = effects_given(model, parameters, rng)
    prior = parameters.b + random_effects(model, parameters, rng)
    each = -0.5 * (DATA["yi"].to_numpy() - prior) ** 2 / DATA["vi"].to_numpy() - 0.5 * np.log(
        2 * np.pi * DATA["vi"].to_numpy()
    )
    for place, study in enumerate((1, 2, 3)):
        rows = np.flatnonzero(DATA["study"] == study)
        weight = np.exp(each[:, rows].sum(axis=1))
        assert found.log_likelihood[0, place] == pytest.approx(np.log(weight.mean()), abs=0.05)
        weight /= weight.sum()
        error = 1 / np.sqrt(DRAWS) + np.sqrt((weight**2).sum())
        assert found.theta[:, rows[0]].mean() == pytest.approx(weight @ prior[:, rows[0]], abs=4 * error)


def test_priors_of_the_study_distribution():
    rng = np.random.default_rng(1)
    b = np.zeros((DRAWS, 1))
    df = prior_parameters(model_of("study", distribution="t"), b, rng).df
    assert df.min() > 2
    law = stats.gamma(2, scale=10)
    assert np.median(df) == pytest.approx(law.isf(law.sf(2) / 2), abs=0.5)
    outliers = prior_parameters(model_of("study", distribution="outliers"), b, rng)
    assert outliers.share.mean() == pytest.approx(0.1, abs=0.005)
    assert outliers.inflation.mean() == pytest.approx(5, abs=0.1)
    rho = prior_parameters(model_of("outcome | study", "UN"), b, rng).factors[0]
    R = rho @ np.swapaxes(rho, 1, 2)
    for i, j in ((1, 0), (2, 0), (2, 1)):  # LKJ(1) in 3 dimensions: (rho + 1) / 2 is beta(1.5, 1.5)
        assert R[:, i, j].var() == pytest.approx(4 * 1.5**2 / (3**2 * 4), rel=0.05)
