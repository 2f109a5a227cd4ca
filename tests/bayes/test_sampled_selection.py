"""Bayesian selection models: likelihood against an integral and another hand's, posterior against a grid."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import catharsis as ca
from catharsis.bayes.nuts_sampling import compilations
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.sampled import parameters
from catharsis.bayes.sampled_selection import (
    NUMBERS,
    Model,
    fit_bayes_selection,
    free,
    log_mean_falling,
    log_mean_free,
    parse_weights,
    steps_on,
    stick,
)
from catharsis.errors import ModelError
from catharsis.likelihood.publication_bias import StepSelection

DISTANCE = 4.0  # Monte Carlo standard errors; worst seen 1.5 over 9 comparisons
Y = np.array([0.9, 0.6, 0.5, 0.45, 0.3, 0.35, 0.2, 0.12, 0.1, -0.05])
V = np.array([0.10, 0.08, 0.05, 0.04, 0.01, 0.02, 0.015, 0.02, 0.01, 0.02])
STEPS = np.array([0.025, 0.1, 0.5])
sampling = pytest.mark.sampling


def weight_at(y, se, steps, weights, two_sided):
    p = 2 * stats.norm.sf(abs(y) / se) if two_sided else stats.norm.sf(y / se)
    return weights[np.searchsorted(steps, p, side="left")]


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("mean", [-1.5, 0.1, 0.8])
def test_the_mean_weight_is_an_integral(two_sided, mean):
    weights, se, sd = np.array([1.0, 0.6, 0.25, 0.05]), 0.2, 0.35
    where = steps_on(np.array([0.3]), np.array([se]), STEPS, two_sided)
    edges = np.unique(np.concatenate([where.cuts[0], -where.cuts[0] if two_sided else []]))

    def integrand(y):
        return weight_at(y, se, STEPS, weights, two_sided) * stats.norm.pdf(y, mean, sd)

    ends = [mean - 12 * sd, *edges[(edges > mean - 12 * sd) & (edges < mean + 12 * sd)], mean + 12 * sd]
    whole = sum(integrate.quad(integrand, a, b, epsabs=1e-13)[0] for a, b in pairwise(ends))
    mu, spread = np.array(mean), np.array(sd)
    found = log_mean_free(NUMBERS, mu, spread, where.cuts[0], two_sided, np.log(weights))
    assert np.exp(found) == pytest.approx(whole, rel=1e-9)
    shares = np.append(-np.diff(weights), weights[-1])
    falling = log_mean_falling(NUMBERS, mu, spread, where.cuts[0], two_sided, np.log(shares))
    assert np.exp(falling) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("two_sided", [False, True])
def test_the_likelihood_is_that_of_model_averaging(two_sided):
    """`likelihood.publication_bias` was written by another hand."""
    sides = 2 if two_sided else 1
    other = StepSelection(Y, np.sqrt(V), STEPS, sides)
    where = steps_on(Y, np.sqrt(V), STEPS, two_sided)
    np.testing.assert_allclose(where.cuts, other.cuts)
    np.testing.assert_array_equal(where.seen, other.interval)
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([1, 2, 1, 1], 5)
    mu, tau = rng.normal(0, 1, 5), rng.uniform(0, 1, 5)
    weights = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]
    expected = other.log_seen(mu, V + tau[:, None] ** 2, shares)
    mean, sd = np.broadcast_to(mu[:, None], (5, 10)), np.sqrt(V + tau[:, None] ** 2)
    for found in (
        log_mean_falling(NUMBERS, mean, sd, where.cuts, two_sided, np.log(shares)[:, None]),
        log_mean_free(NUMBERS, mean, sd, where.cuts, two_sided, np.log(weights)[:, None]),
    ):
        np.testing.assert_allclose(np.log(weights)[:, where.seen].sum(axis=1) - found.sum(axis=1), expected, rtol=1e-9)


def test_broken_sticks_are_dirichlet_shares():
    """The density of the sampler's coordinates against Dirichlet's, with the Jacobian by differences."""
    a = np.array([1.0, 2.5, 0.7])
    rest = np.cumsum(a[::-1])[::-1][1:]

    def shares(x):
        return np.exp(stick(NUMBERS, x)[1])[:-1]

    apart = []
    for x in (np.array([0.3, -1.0]), np.array([-2.0, 1.5])):
        slopes = np.array([(shares(x + 1e-5 * e) - shares(x - 1e-5 * e)) / 2e-5 for e in np.eye(2)])
        law = stats.dirichlet(a).logpdf(np.append(shares(x), 1 - shares(x).sum())) + np.linalg.slogdet(slopes)[1]
        apart.append(law + (a[:-1] * np.logaddexp(0, -x) + rest * np.logaddexp(0, x)).sum())
        weights, whole = np.exp(stick(NUMBERS, x)[0]), np.exp(stick(NUMBERS, x)[1])
        np.testing.assert_allclose(weights, np.cumsum(whole[::-1])[::-1], rtol=1e-12)
        assert weights[0] == 1
    assert apart[0] == pytest.approx(apart[1], abs=1e-7)
    inside = np.exp(free(NUMBERS, "interval", np.array([-50.0, 0.0, 50.0]), np.array([0.2, 0.8, 0.0])))
    np.testing.assert_allclose(inside, [1, 0.2, 0.5, 0.8])


@pytest.mark.parametrize("two_sided", [False, True])
def test_predicted_results_are_selected_ones(two_sided):
    own = parameters(Y, V, np.ones((10, 1)), ("intercept",), ("effect",), Priors())
    where = steps_on(Y, np.sqrt(V), STEPS, two_sided)
    model = Model(Y, V, np.ones((10, 1)), where, parse_weights("dirichlet", 4), own)
    weights, mean, sd, se = np.array([1.0, 0.6, 0.25, 0.05]), 0.1, 0.4, float(np.sqrt(V[4]))
    n = 40_000
    drawn = model.predict(
        np.full((1, n), mean), np.full((1, n), sd), np.broadcast_to(np.log(weights), (1, n, 4)), 4,
        np.random.default_rng(0),
    )[0]  # fmt: skip
    p = 2 * stats.norm.sf(abs(drawn) / se) if two_sided else stats.norm.sf(drawn / se)
    share = np.bincount(np.searchsorted(STEPS, p, side="left"), minlength=4) / n
    below = np.concatenate([[0.0], special.ndtr((mean - where.cuts[4]) / sd), [1.0]])
    if two_sided:
        below[1:-1] += special.ndtr((-mean - where.cuts[4]) / sd)
    expected = np.diff(below) * weights
    expected /= expected.sum()
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / np.sqrt(n))
    inside = drawn[drawn > where.cuts[4, 0]]
    law = stats.truncnorm((where.cuts[4, 0] - mean) / sd, np.inf, mean, sd)
    assert stats.kstest(inside, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alternative": "grater"}, 'there is no alternative "grater": did you mean "greater"'),
        ({"steps": []}, "a step function needs a step"),
        ({"steps": [0.025, 1.5]}, "steps are p-values between 0 and 1"),
        ({"steps": ["a"]}, "steps holds something that is not a number"),
        ({"steps": [np.nan]}, "steps are p-values between 0 and 1"),
        ({"weights": "dirichlet(1)"}, "one positive number for each of the 2 intervals"),
        ({"weights": "dirichlet(1, -1)"}, "one positive number for each of the 2 intervals"),
        ({"weights": "dirichlet(1, a)"}, "one positive number for each of the 2 intervals"),
        ({"weights": "uniform"}, "the prior on the weights is uniform"),
        ({"weights": "jeffreys"}, "the prior on the weights is jeffreys"),
        ({"weights": "normal(0, 1)"}, "is not a prior that fits here"),
        ({"priors": Priors.parse({"tau": "uniform"})}, "uniform, which is improper"),
        ({"vi": [0.1, 0.0, 0.1]}, "the variance of 2 is 0.0"),
        ({"level": 95}, "level is 95"),
        ({"draws": 1}, "4 chains of 1 draws tell nothing"),
    ],
)
def test_what_cannot_be_fitted(arguments, message):
    with pytest.raises(ModelError, match=message.replace("(", r"\(").replace("?", r"\?")):
        fit_bayes_selection(**({"yi": [0.1, 0.4, 0.9], "vi": [0.02, 0.03, 0.05]} | arguments))


def by_grid(y, v, priors, two_sided=False, step=0.025):
    """Means of mu, tau and the one weight, uniform(0, 1): a grid over all three, written independently."""
    mu, tau = np.linspace(-2.5, 2.5, 301)[:, None, None], ((np.arange(150) + 0.5) / 100)[None, :, None]
    w = ((np.arange(100) + 0.5) / 100)[None, None]
    log = stats.norm.logpdf(mu, *priors.mu.parameters) + stats.norm.logpdf(tau, 0, priors.tau.parameters[0])
    for each, variance in zip(y, v, strict=True):
        sd, cut = np.sqrt(variance + tau**2), np.sqrt(variance) * stats.norm.isf(step / (2 if two_sided else 1))
        seen = stats.norm.sf(cut, mu, sd) + (stats.norm.cdf(-cut, mu, sd) if two_sided else 0)
        size = abs(each) if two_sided else each
        log = (
            log + stats.norm.logpdf(each, mu, sd) + (0.0 if size >= cut else np.log(w)) - np.log(seen + w * (1 - seen))
        )
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    return [float((weight * at).sum()) for at in (mu, tau, w)]


@pytest.fixture(scope="module")
def selected():
    return ca.fit_bayes_selection(yi=Y, vi=V, draws=4000, chains=2)


@pytest.mark.slow
@sampling
def test_one_step_agrees_with_a_grid_whatever_the_data(selected):
    """One program for any effects, priors and number of effects; negative effects favoured is the mirror image."""
    before = compilations()
    priors = Priors.parse({"mu": "normal(0.2, 0.5)", "tau": "half-normal(0.3)"})
    fewer = ca.fit_bayes_selection(yi=Y[:6], vi=V[:6], priors=priors, draws=4000, chains=2, seed=2)
    less = ca.fit_bayes_selection(yi=-Y, vi=V, alternative="less", draws=4000, chains=2, seed=3)
    assert compilations() == before
    for post, y, v, known, sign in ((selected, Y, V, Priors(), 1), (fewer, Y[:6], V[:6], priors, 1),
                                    (less, Y, V, Priors(), -1)):  # fmt: skip
        assert post.diagnostics.ok, post.diagnostics.problems
        mu, tau, w = by_grid(y, v, known)
        weight = post.weights["0.025 < p <= 1"]
        assert abs(sign * post.mu.mean - mu) < DISTANCE * post.mu.mcse
        assert abs(post.tau.mean - tau) < DISTANCE * post.tau.mcse
        assert abs(weight.mean - w) < DISTANCE * weight.mcse
        assert (post.weights["0 < p <= 0.025"].mean, post.weights["0 < p <= 0.025"].sd) == (1, 0)
    assert less.studies["1"].mean == pytest.approx(-selected.studies["1"].mean, abs=0.05)


@pytest.mark.slow
@sampling
def test_what_a_selection_posterior_answers(selected):
    idata = selected.to_inferencedata()
    groups = {
        "posterior", "prior", "prior_predictive", "posterior_predictive", "log_likelihood", "log_prior",
        "observed_data", "constant_data", "sample_stats",
    }  # fmt: skip
    assert groups <= set(idata.groups())
    assert list(idata.posterior["weights"].coords["interval"].values) == list(selected.weights)
    b, tau = (idata.posterior[name].values for name in ("b", "tau"))
    w = idata.posterior["weights"].values[..., 1]
    sd, cut = np.sqrt(V[9] + tau**2), np.sqrt(V[9]) * stats.norm.isf(0.025)
    seen = stats.norm.sf(cut, b[..., 0], sd)
    expected = stats.norm.logpdf(Y[9], b[..., 0], sd) + np.log(w) - np.log(seen + w * (1 - seen))
    np.testing.assert_allclose(idata.log_likelihood["y"].values[..., 9], expected, rtol=1e-8)
    # exact shrinkage given (b, tau): the selection tells nothing more about an effect that was seen
    exact = b[..., 0] + tau**2 / sd**2 * (Y[9] - b[..., 0])
    assert selected.studies["10"].mean == pytest.approx(float(exact.mean()), abs=0.01)
    prior = idata.prior["weights"].values[..., 1]
    assert stats.kstest(prior.ravel(), "uniform").pvalue > 1e-3
    assert selected.new.mean == pytest.approx(selected.mu.mean, abs=0.02)
    assert "new study" in selected.summary().index


@sampling
@pytest.mark.parametrize(
    ("weights", "two_sided", "prior"),
    [
        ("dirichlet(1, 2, 1, 1)", True, None),
        ("log-normal(0, 1)", False, Prior("log-normal", (0.0, 1.0))),
        ("uniform(0.1, 0.9)", True, None),
    ],
)
def test_symbols_say_what_numbers_say(weights, two_sided, prior):
    """The program's density, in Python mode, against the formulas in numbers, up to a constant."""
    X = np.column_stack([np.ones(10), np.linspace(-1, 1, 10)])
    own = parameters(Y, V, X, ("intercept", "x"), ("effect",), Priors.parse({"mu": "cauchy(0, 1)", "b": "flat"}))
    law = parse_weights(weights, 4)
    model = Model(Y, V, X, steps_on(Y, np.sqrt(V), STEPS, two_sided), law, own)
    log_p = model.build().compile_logp(mode="FAST_COMPILE")
    apart = []
    for b, tau, x in (([0.3, 0.1], 0.2, [0.2, -1, 0.5]), ([-0.8, 0.4], 0.9, [-2.0, 1.0, 0.1])):
        b, x = np.array(b), np.array(x)
        log_weights = model.log_weights(x)
        sd = np.sqrt(V + tau**2)
        total = stats.norm.logpdf(Y, X @ b, sd).sum() + log_weights[model.steps.seen].sum()
        total -= sum(float(model.log_mean(np.array(X[i] @ b), sd[i], log_weights, i)) for i in range(10))
        total += stats.cauchy.logpdf(b[0]) + stats.norm.logpdf(tau, 0, 0.5) + np.log(tau)
        if law.shares:
            a = np.array(law.shares)
            total -= (a[:-1] * np.logaddexp(0, -x) + np.cumsum(a[::-1])[::-1][1:] * np.logaddexp(0, x)).sum()
        elif prior:
            total += (prior.log_density(np.exp(x)) + x).sum()
        else:
            total += (special.log_expit(x) + special.log_expit(-x)).sum()
        data = own.data
        point = {"b_unit": np.linalg.solve(data["b_half"], b - data["b_centre"]), "weight": x}
        point["log_tau"] = np.log(np.array([tau]) / data["tau_unit"])
        apart.append(float(log_p(point)) - total)
    assert apart[0] == pytest.approx(apart[1], abs=1e-8)
