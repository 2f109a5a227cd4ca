"""Power-scaling against a grid over (mu, tau) on which likelihood and priors are raised to powers as they are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import catharsis as ca
from catharsis.assess.power_scaled import powered
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.priors import Prior, Priors, parse_prior
from catharsis.errors import ModelError

Y, V = np.array([0.7, 0.8, 0.9, 0.6, 0.2]), np.array([0.02, 0.03, 0.02, 0.02, 0.05])
GRID = 0.004  # absolute; worst seen 0.0015: both sides integrate tau's distribution function by simple rules
DRAWN = 0.25  # relative, of 4000 draws; worst seen 0.23 over 6 seeds: the x axis ends where the outermost draws lie


def by_hand(P, Q):
    """Distance of two distribution functions on one axis, as published: each divergence whole, then root and bound."""

    def one(P, Q):
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(P > 0, P * np.log2(2 * P / (P + Q)), 0.0)
        return logs.sum() + (Q - P).sum() / (2 * np.log(2))

    return max(np.sqrt((one(p, q) + one(q, p)) / (p + q).sum()) for p, q in ((P, Q), (1 - P, 1 - Q)))


def by_grid(mu, tau, alphas=(0.8, 1.25)):
    """Sensitivities of mu and tau, prior and likelihood, on a grid."""
    m = np.linspace(-3, 4, 1401)
    u = np.linspace(np.log(1e-4), np.log(8), 1200)
    t = np.exp(u)
    M = V + t[:, None] ** 2
    log_likelihood = sum(stats.norm.logpdf(y, m[:, None], np.sqrt(M[:, i])) for i, y in enumerate(Y))
    log_prior = mu.log_density(m)[:, None] + tau.log_density(t)

    def functions(a, b):
        height = a * log_likelihood + b * log_prior + u  # d tau = tau du
        mass = np.exp(height - height.max())
        mass /= mass.sum()
        found = []
        for x, w in ((m, mass.sum(axis=1)), (t, mass.sum(axis=0))):
            found.append((x, np.cumsum(w) - w / 2))
        return found

    base = functions(1, 1)
    answer = np.zeros((2, 2))
    for j, powers in enumerate(([(1, a) for a in alphas], [(a, 1) for a in alphas])):
        for pair in powers:
            for i, ((x, P), (_, Q)) in enumerate(zip(base, functions(*pair), strict=True)):
                axis = np.linspace(*np.interp([1 / 4000, 1 - 1 / 4000], P, x), 600)
                answer[i, j] += by_hand(np.interp(axis, x, P), np.interp(axis, x, Q))
    return answer / np.log2(alphas[1] / alphas[0])


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"mu": "normal(0, 0.1)"},
        {"mu": "normal(0.5, 2)", "tau": "half-cauchy(0.5)"},
        {"mu": "cauchy(0, 0.3)", "tau": "half-normal(0.2)"},
        {"mu": "normal(0, 1)", "tau": "turner"},
        {"mu": "normal(0, 1)", "tau": "half-normal(0.05)"},
    ],
)
def test_against_a_grid(texts):
    priors = Priors.parse(texts)
    found = ca.power_scaling(ca.fit_bayes(yi=Y, vi=V, priors=priors)).frame
    known = by_grid(priors.mu, priors.tau)
    np.testing.assert_allclose(found[["prior", "likelihood"]].to_numpy(), known, atol=GRID)


def test_known_tau_is_a_normal_posterior():
    """Precisions add: alpha times the data's, or alpha times the prior's."""
    priors = Priors.parse({"mu": "normal(0, 0.5)", "tau": "fixed(0.1)"})
    found = ca.power_scaling(ca.fit_bayes(yi=Y, vi=V, priors=priors)).frame
    w = 1 / (V + 0.01)

    def law(a, b):
        precision = a * w.sum() + b * 4
        return stats.norm(a * (w * Y).sum() / precision, precision**-0.5)

    axis = np.linspace(*law(1, 1).ppf([1 / 4000, 1 - 1 / 4000]), 600)
    for column, pairs in {"prior": [(1, 0.8), (1, 1.25)], "likelihood": [(0.8, 1), (1.25, 1)]}.items():
        known = sum(by_hand(law(1, 1).cdf(axis), law(*pair).cdf(axis)) for pair in pairs) / np.log2(1.25 / 0.8)
        assert found.loc["intercept", column] == pytest.approx(known, rel=1e-6)
        assert found.loc["tau", column] == 0


def test_verdicts():
    clear = ca.power_scaling(
        ca.fit_bayes(yi=Y, vi=V / 50, priors=Priors.parse({"mu": "normal(0, 10)", "tau": "half-cauchy(5)"}))
    )
    assert set(clear.frame["verdict"]) == {"fine"}
    assert clear.verdict == "fine: no posterior moves with its prior (every sensitivity is below 0.05)"
    conflict = ca.power_scaling(ca.fit_bayes(yi=Y + 2, vi=V, priors=Priors.parse({"mu": "normal(0, 0.3)"})))
    assert conflict.frame.loc["intercept", "verdict"] == "prior-data conflict"
    strong = ca.power_scaling(ca.fit_bayes(yi=Y, vi=V, priors=Priors.parse({"tau": "half-normal(0.02)"})))
    assert strong.frame.loc["tau", "verdict"] == "prior-dominated"
    assert strong.verdict.startswith("tau: prior-dominated (strong prior or weak likelihood")
    loose = ca.power_scaling(ca.fit_bayes(yi=Y, vi=V, priors=Priors.parse({"tau": "half-normal(0.02)"})), threshold=0.3)
    assert loose.frame.loc["tau", "verdict"] == "neither"


def test_units_signs_and_order():
    fit = ca.fit_bayes(yi=Y, vi=V, priors=Priors.parse({"mu": "normal(0.2, 0.4)"}))
    first = ca.power_scaling(fit).frame.drop(columns="verdict")
    other = Priors(Prior("normal", (-200.0, 400.0)), Prior("flat"), Prior("half-normal", (500.0,)))
    turned = ca.fit_bayes(yi=-1000 * Y[::-1], vi=1e6 * V[::-1], priors=other)
    again = ca.power_scaling(turned).frame.drop(columns="verdict")
    np.testing.assert_allclose(again, first, rtol=1e-6, atol=1e-9)


def test_a_flat_prior_has_no_power():
    post = ca.fit_bayes(yi=Y, vi=V, priors=Priors.parse({"mu": "flat"}))
    found = ca.power_scaling(post)
    assert found.frame.loc["intercept", "prior on b"] == 0
    assert found.notes == ("the prior on intercept is flat: raised to any power it stays what it is",)


def test_moderators_and_nested_effects():
    x = np.column_stack([np.ones(8), np.arange(8.0)])
    data = ca.fit_bayes(
        yi=np.arange(8) * 0.1, vi=[0.02] * 8, X=x, priors=Priors.parse({"terms": {"x2": "normal(0, 0.01)"}})
    )
    found = ca.power_scaling(data).frame
    assert list(found.index) == ["intercept", "x2", "tau"]
    assert found.loc["x2", "prior on b"] > 5 * found.loc["x2", "prior on tau"]


def test_a_location_prior_to_a_power():
    for text in ("normal(0.2, 1.5)", "t(4, 0.1, 0.5)", "cauchy(0, 2)"):
        prior, x = parse_prior(text), np.array([-3.0, 0.0, 0.4, 9.0])
        for alpha in (0.8, 1.25):
            new = powered(prior, alpha)
            rest = new.log_density(x) - alpha * prior.log_density(x)
            np.testing.assert_allclose(rest, rest[0], atol=1e-12)  # a constant
    with pytest.raises(ModelError, match=r"cauchy\(0, 1\) to the power 0.5 is improper"):
        powered(parse_prior("cauchy(0, 1)"), 0.5)


def drawn(post, n, seed=3):
    """The posterior as a sampler would leave it: draws of b and of tau^2."""
    nodes, rng = post.nodes, np.random.default_rng(seed)
    i = rng.choice(len(nodes.weight), n, p=nodes.weight / nodes.weight.sum())
    b = np.array([rng.multivariate_normal(nodes.mean[j], nodes.cov[j]) for j in i])
    p = b.shape[1]
    return replace(post, engine="nuts", nodes=Nodes(np.full(n, 1 / n), nodes.theta[i], b, np.zeros((n, p, p))))


def test_draws_give_what_the_nodes_give():
    post = ca.fit_bayes(yi=Y, vi=V, priors=Priors.parse({"mu": "normal(0, 0.3)"}))
    exact, sampled = ca.power_scaling(post), ca.power_scaling(drawn(post, 4000))
    columns = ["prior", "likelihood", "prior on b", "prior on tau"]
    np.testing.assert_allclose(sampled.frame[columns], exact.frame[columns], rtol=DRAWN)
    assert sampled.notes == ()


def test_weights_that_are_not_to_be_believed():
    post = ca.fit_bayes(yi=Y, vi=V)
    (note,) = ca.power_scaling(drawn(post, 400), alphas=(0.01, 20.0)).notes
    assert note.startswith("the importance weights of the draws are unreliable (Pareto k-hat ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alphas": (0.8, 0.9)}, "one power below 1 and one above, not 0.8 and 0.9"),
        ({"alphas": (0, 2)}, "one power below 1 and one above"),
        ({"alphas": 2}, "alphas are two numbers"),
        ({"alphas": ("a", "b")}, "alphas are two numbers"),
        ({"threshold": 0}, "the threshold of a sensitivity is a positive number"),
    ],
)
def test_what_cannot_be_answered(arguments, message):
    with pytest.raises(ModelError, match=message):
        ca.power_scaling(ca.fit_bayes(yi=Y, vi=V), **arguments)


def test_a_posterior_without_its_model():
    post = ca.fit_bayes(yi=Y, vi=V)
    with pytest.raises(ModelError, match="needs a posterior that fit_bayes made from effects"):
        ca.power_scaling(replace(post, model=None))
