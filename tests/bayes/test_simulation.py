"""Draws from exact posteriors against the laws they are drawn from; true effects against dense matrices."""

import numpy as np
import pandas as pd
import pytest

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Priors
from catharsis.bayes.simulation import draw_boxes
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.likelihood.marginal import covariance

K, N = 18, 3000
RNG = np.random.default_rng(6)
STUDY = np.repeat(np.arange(6), 3)
FRAME = pd.DataFrame(
    {"yi": 0.2 + RNG.normal(0, 0.3, 6)[STUDY] + RNG.normal(0, 0.3, K), "vi": RNG.uniform(0.02, 0.08, K),
     "study": STUDY, "effect": np.arange(K), "lab": STUDY // 2, "item": np.arange(K) % 3, "x": RNG.normal(size=K),
     "group": np.where(STUDY % 2, "a", "b")}
).sample(frac=1, random_state=2).reset_index(drop=True)  # fmt: skip
MODELS = {
    "univariate": {},
    "two levels": {"random": "study"},
    "three levels": {"formula": "yi ~ x", "random": "study/effect"},
    "shared errors": {"random": "study/effect", "rho": 0.6},
    "shared errors, negative": {"random": "study/effect", "rho": -0.3},
    "crossed": {"random": "study + item"},
    "groups": {"random": "group | study", "struct": "DIAG"},
    "Cauchy": {"priors": Priors.parse({"mu": "cauchy(0, 0.5)", "tau": "half-cauchy(0.3)"})},
    "fixed": {"priors": Priors.parse({"tau": "fixed(0.2)"})},
}
Z = 4.5  # standard errors; seeds are fixed


def fitted(name):
    asked = dict(MODELS[name])
    formula, rho = asked.pop("formula", "yi ~ 1"), asked.pop("rho", None)
    V = None if rho is None else sampling_covariance(FRAME["vi"], FRAME["study"], rho)
    return fit_bayes(formula, FRAME, V=V, **asked)


def same(draws, marginal):
    assert draws.mean() == pytest.approx(marginal.mean, abs=Z * marginal.sd / N**0.5 + 1e-12)
    for p in (0.025, 0.5, 0.975):
        share = (draws <= marginal.quantile(p)).mean() if marginal.sd else p
        assert share == pytest.approx(p, abs=Z * (p * (1 - p) / N) ** 0.5)


@pytest.mark.parametrize("name", MODELS)
def test_draws_have_the_posterior_distribution(name):
    post = fitted(name)
    found = post.draw(N, seed=3)
    for i, term in enumerate(post.terms):
        same(found.b[:, i], post.coefficients[term])
    same(found.tau, post.tau)
    for j, factor in enumerate(found.factors):
        same(found.taus[:, j], post.taus[factor])
    for i in (0, 7):
        same(found.theta[:, i], post.studies[found.labels[i]])


@pytest.mark.parametrize("name", ["two levels", "three levels", "shared errors", "crossed", "groups"])
def test_draws_of_two_effects_covary_as_they_should(name):
    """Given spreads and coefficients the effects have covariance V - V W V; the draws' residuals must show it."""
    post, n = fitted(name), 1200
    found, blocks = post.draw(n, seed=4), post.model.blocks
    expected, spread = np.zeros((K, K)), np.zeros((K, K))
    for b, taus, theta in zip(found.b, found.taus, found.theta, strict=True):
        away = np.empty(K)
        for stack in blocks.stacks:
            for rows, M, V in zip(stack.rows, covariance(stack, taus**2), stack.V, strict=True):
                pull = np.linalg.solve(M, np.column_stack([V, blocks.y[rows] - blocks.X[rows] @ b]))
                expected[np.ix_(rows, rows)] += (V - V @ pull[:, :-1]) / n
                away[rows] = theta[rows] - blocks.y[rows] + V @ pull[:, -1]
        spread += np.outer(away, away) / n
    scale = np.sqrt(np.diag(expected))
    assert np.abs((spread - expected) / np.outer(scale, scale)).max() < 5 * (2 / n) ** 0.5


def test_draws_do_not_sit_on_nodes():
    post = fitted("three levels")
    assert len(np.unique(post.draw(500).taus[:, 0])) == 500
    one, two = post.draw(50, seed=1), post.draw(50, seed=1)
    assert (one.theta == two.theta).all()


def test_a_box_is_drawn_from_in_every_direction():
    z, w = np.polynomial.legendre.leggauss(8)
    mass = w[:, None] * w * (1 + z[:, None] * z) / 4  # positively correlated on the square
    x = draw_boxes(np.zeros((1, 2)) - 1, np.ones((1, 2)), mass[None], 20000, np.random.default_rng(2))
    assert np.mean(x[:, 0] * x[:, 1]) == pytest.approx(1 / 9, abs=4 / 3 / 20000**0.5)
    assert np.abs(x.mean(axis=0)).max() < 4 * (1 / 3 / 20000) ** 0.5


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "many"])
def test_bad_numbers_of_draws(n):
    with pytest.raises(ModelError, match="a positive number of draws"):
        fit_bayes(yi=[0.1, 0.2], vi=[0.1, 0.1]).draw(n)


def test_inference_data():
    post = fitted("three levels")
    found = post.to_inferencedata(400, seed=2)
    assert set(found.groups()) == {"posterior", "posterior_predictive", "log_likelihood", "prior", "observed_data"}
    assert dict(found.posterior.sizes) == {"chain": 4, "draw": 100, "term": 2, "factor": 2, "effect": K}
    assert list(found.posterior["factor"].values) == list(post.taus)
    y, v, theta = FRAME["yi"].to_numpy(), FRAME["vi"].to_numpy(), found.posterior["theta"].values
    expected = -0.5 * (np.log(2 * np.pi * v) + (y - theta) ** 2 / v)
    assert found.log_likelihood["y"].values == pytest.approx(expected)
    flat = fit_bayes("yi ~ 1", FRAME, priors=Priors.parse({"mu": "flat", "tau": "half-normal(1)"}))
    assert set(flat.to_inferencedata(8).prior.data_vars) == {"taus"}
    assert "log_likelihood" not in fitted("shared errors").to_inferencedata(8).groups()


def test_an_unknown_effect_is_named():
    with pytest.raises(KeyError, match='there is no effect "99"'):
        fitted("three levels").studies["99"]
