"""Counts by NUTS: every likelihood against scipy's or an integral, the posterior against brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import catharsis as ca
from catharsis.bayes.nuts_sampling import compilations
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.sampled import parameters
from catharsis.bayes.sampled_counts import CountModel, fit_bayes_counts, proper, study_effects
from catharsis.errors import ModelError
from catharsis.likelihood.counts import Counts

DISTANCE = 4.0  # Monte Carlo standard errors; worst seen 1.8 over 14 comparisons
TABLES = Counts(np.array([[0.0, 3], [2, 2], [5, 9], [12, 30]]), np.array([[20.0, 20], [30, 30], [25, 26], [90, 80]]),
                "people", tuple("abcd"))  # fmt: skip
RATES = Counts(np.array([[0.0, 3], [2, 2], [5, 9]]), np.array([[2.0, 2.5], [3, 3], [2.5, 2.6]]), "time", tuple("abc"))
ONE = Counts(np.array([[0.0], [9], [12]]), np.array([[20.0], [30], [31]]), "people", tuple("abc"))
sampling = pytest.mark.sampling


def task(measure, model, counts, cor=False, coding=0.5, baseline=None, priors=None):
    X = np.column_stack([np.ones(counts.k), np.arange(counts.k) - 1.0])
    terms, names = ("intercept", "x"), ("effect", "level") if model == "UM.RS" else ("effect",)
    own = parameters(*study_effects(measure, counts), X, terms, names, priors or Priors())
    return CountModel(measure, model, counts, X, coding, cor, baseline or Prior("flat"), own)


EVERY = [
    ("PLO", "", ONE, {}),
    ("OR", "UM.FS", TABLES, {}),
    ("OR", "UM.FS", TABLES, {"coding": 1.0, "baseline": Prior("t", (4.0, -2.0, 3.0))}),
    ("OR", "UM.RS", TABLES, {"baseline": Prior("normal", (-1.0, 2.0))}),
    ("IRR", "UM.RS", RATES, {"cor": True}),
    ("OR", "CM.EL", TABLES, {}),
    ("OR", "CM.AL", TABLES, {}),
    ("IRR", "CM.EL", RATES, {}),
    ("IRR", "UM.FS", RATES, {"coding": 0.0}),
]


def coordinates(model, seed):
    rng = np.random.default_rng(seed)
    free = {name: rng.normal(0, 0.7, shape) for name, shape in model.free().items()}
    return np.array([-0.3, 0.2]), np.array([0.4, 1.3])[: len(model.parameters.components)], free


def surplus(built, b, taus, free):
    """What `latent` calls the log law of its coordinates, less that law of effects and levels and the log Jacobian."""
    held, k = built.data(), built.counts.k
    names = [name for name in ("z", "w") if name in free]

    def physical(x):
        """Standardised effects and, in the unconditional models, levels."""
        parts = zip(names, x.reshape(-1, k), strict=True)
        moved = free | {name: np.concatenate([part, free[name][k:]]) for name, part in parts}
        found = built.latent(np, held, b, taus, moved)
        z = (found["theta"] - built.X @ b) / taus[0]
        return np.concatenate([z, found["base"]] if "base" in found else [z]), found

    x, step = np.concatenate([free[name][:k] for name in names]), 1e-5
    slopes = np.array([(physical(x + step * e)[0] - physical(x - step * e)[0]) / (2 * step) for e in np.eye(len(x))])
    at, found = physical(x)
    z, law = at[:k], built.baseline
    expected = np.linalg.slogdet(slopes)[1]
    if built.model == "UM.RS":
        rho, level = found.get("rho", 0.0), found["level"]
        pair = np.stack([(at[k:] - level) / taus[1], z], axis=1)
        expected += stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).logpdf(pair).sum()
        expected += float(law.log_density(level)) + (np.log1p(-(rho**2)) if built.cor else 0)  # the slope of tanh
    else:
        expected += stats.norm.logpdf(z).sum() + (law.log_density(at[k:]).sum() if "base" in found else 0)
    return found["log_prior"] - expected


@pytest.mark.parametrize(("measure", "model", "counts", "options"), EVERY)
def test_coordinates_change_the_law_of_effects_and_levels_by_their_jacobian(measure, model, counts, options):
    built = task(measure, model, counts, **options)
    constants = [surplus(built, *coordinates(built, seed)) for seed in (1, 2)]
    assert constants[0] == pytest.approx(constants[1], abs=1e-6)
    b, taus, free = coordinates(built, 1)
    found, held = built.latent(np, built.data(), b, taus, free), built.data()
    effect = found["theta"] - built.X @ b
    if "base" in found:
        first, second = (found["eta"][g] - held[f"offset{g}"] for g in (0, 1))
        np.testing.assert_allclose(first, found["base"] + built.X @ b + built.coding * effect, atol=1e-12)
        np.testing.assert_allclose(second, found["base"] + (built.coding - 1) * effect, atol=1e-12)


def test_probabilities_are_those_of_scipy():
    eta = np.array([-1.0, 0.3, 0.8, -2.0])
    built, held = task("OR", "UM.FS", TABLES), task("OR", "UM.FS", TABLES).data()
    found = built.log_probability(np, held, 1, eta) + built.log_base(1)
    np.testing.assert_allclose(found, stats.binom.logpmf(TABLES.events[:, 1], TABLES.totals[:, 1], special.expit(eta)))
    built, held = task("OR", "CM.EL", TABLES), task("OR", "CM.EL", TABLES).data()
    found = built.log_probability(np, held, 0, eta) + built.log_base(0)
    n, m = TABLES.totals, TABLES.events.sum(axis=1)
    exact = stats.nchypergeom_fisher.logpmf(TABLES.events[:, 0], n.sum(axis=1), n[:, 0], m, np.exp(eta))
    np.testing.assert_allclose(found, exact, rtol=1e-9)
    built, held = task("IRR", "UM.FS", RATES), task("IRR", "UM.FS", RATES).data()
    found = built.log_probability(np, held, 0, eta[:3] + held["offset0"]) + built.log_base(0)
    np.testing.assert_allclose(found, stats.poisson.logpmf(RATES.events[:, 0], RATES.totals[:, 0] * np.exp(eta[:3])))
    built, held = task("IRR", "CM.EL", RATES), task("IRR", "CM.EL", RATES).data()
    found = built.log_probability(np, held, 0, eta[:3] + held["offset0"]) + built.log_base(0)
    share = RATES.totals[:, 0] * np.exp(eta[:3])
    exact = stats.binom.logpmf(RATES.events[:, 0], RATES.events.sum(axis=1), share / (share + RATES.totals[:, 1]))
    np.testing.assert_allclose(found, exact)


def test_flat_levels_of_rates_leave_the_conditional_likelihood():
    """The integral over a flat log rate of two Poisson counts is the binomial given their sum, but for a constant."""
    free, given = task("IRR", "UM.FS", RATES), task("IRR", "CM.EL", RATES)
    held, known = free.data(), given.data()
    level = np.linspace(-40, 12, 40_001)[:, None]
    apart = []
    for theta in (-2.0, 0.0, 1.5):
        each = [free.log_probability(np, held, g, held[f"offset{g}"] + level + theta * (g == 0)) for g in (0, 1)]
        conditional = given.log_probability(np, known, 0, known["offset0"] + theta)
        apart.append(special.logsumexp(sum(each), axis=0) - conditional)
    np.testing.assert_allclose(apart[1:], [apart[0]] * 2, atol=1e-8)


@pytest.mark.parametrize(("measure", "model", "counts", "options"), EVERY[:1] + EVERY[5:7])
def test_predicted_counts_have_their_distribution(measure, model, counts, options):
    built = task(measure, model, counts, **options)
    held = built.data()
    eta = held["offset0"][1] + np.full(40_000, 0.4)
    drawn = built.predict(0, 1, eta, np.random.default_rng(0))
    top = {"PLO": counts.totals[1, 0], "OR": counts.events[1].sum()}[measure]
    if model == "CM.EL":
        law = stats.nchypergeom_fisher(int(counts.totals[1].sum()), int(counts.totals[1, 0]), int(top), np.exp(0.4))
    else:
        law = stats.binom(int(top), special.expit(eta[0]))
    assert abs(drawn.mean() - law.mean()) < 4 * law.std() / 200
    assert drawn.std() == pytest.approx(law.std(), rel=0.02)


@pytest.mark.parametrize(
    ("X", "down", "up", "expected"),
    [
        ([[1], [1]], [0, 0], [0, 0], True),
        ([[1], [1]], [1, 1], [0, 0], False),
        ([[1], [1]], [1, 0], [0, 1], True),  # no events here, nothing but events there
        ([[1], [1]], [1, 1], [1, 1], False),
        ([[1, 0], [1, 1]], [0, 1], [0, 0], False),  # the second study alone informs the slope
        ([[1, 0], [1, 1], [1, 2]], [0, 1, 0], [0, 0, 0], True),
        ([[1, -1], [1, 0], [1, 1]], [1, 0, 0], [0, 0, 1], False),  # separated by the slope
        ([[1, -1], [1, 1], [1, 1]], [1, 0, 1], [0, 1, 0], False),
        ([[1, 0], [1, 0], [1, 1], [1, 1]], [1, 0, 1, 0], [0, 1, 0, 1], True),
    ],
)
def test_flat_priors_need_counts_on_both_sides(X, down, up, expected):
    X = np.array(X, dtype=float)
    flat = np.ones(X.shape[1], dtype=bool)
    assert proper(X, flat, np.array(down, dtype=bool), np.array(up, dtype=bool)) is expected
    assert proper(X, ~flat, np.array(down, dtype=bool), np.array(up, dtype=bool))


@pytest.mark.parametrize(
    ("measure", "arguments", "message"),
    [
        ("RR", {}, 'there is no model of counts for "RR"'),
        ("OR", {"model": "UM.XX"}, 'OR has no model "UM.XX"'),
        ("OR", {"coding": 2}, "coding is 2: use 1/2, 1 or 0"),
        ("OR", {"cor": True}, "it needs model='UM.RS'"),
        ("PLO", {"xi": [0, 0], "ni": [9, 8]}, "the counts agree with an effect that is infinite"),
        ("PLO", {"xi": [1, 2], "ni": [9, 8], "priors": Priors.parse({"tau": "uniform"})}, "uniform, which is improper"),
        ("PLO", {"xi": [1], "ni": [9], "X": [[1, 2]]}, "1 studies cannot carry 2 coefficients"),
        ("PLO", {"xi": [1, 2], "ni": [9, 8], "level": 95}, "level is 95"),
        ("PLO", {"xi": [1, 2], "ni": [9, 8], "draws": 2}, "4 chains of 2 draws tell nothing"),
        ("PLO", {"xi": [1, 2], "ni": [9, 8], "baseline": "half-normal(1)"}, "is not a prior that fits here"),
        ("PLO", {"xi": [10, 2], "ni": [9, 8]}, "xi is larger than ni"),
        ("OR", {"ai": [0], "n1i": [5], "ci": [0], "n2i": [5]}, "every study is without events"),
        (
            "OR",
            {"ai": [0, 1], "n1i": [5, 6], "ci": [0, 2], "n2i": [5, 6], "drop00": False},
            "the prior on its level is flat; use drop00=True",
        ),
        ("OR", {"ai": [0.5, 1], "n1i": [5, 6], "ci": [1, 2], "n2i": [5, 6], "model": "CM.EL"}, "needs whole numbers"),
    ],
)
def test_what_cannot_be_fitted(measure, arguments, message):
    with pytest.raises(ModelError, match=message.replace("(", r"\(").replace("?", r"\?")):
        fit_bayes_counts(measure, **arguments)


def by_brute_force(x, n, priors_mu_sd, tau_scale):
    """Mean and sd of mu and tau of one proportion: a grid over (mu, tau), Gauss-Hermite over each study."""
    z, w = np.polynomial.hermite_e.hermegauss(60)
    mu, tau = np.linspace(-12, 6, 1201), (np.arange(400) + 0.5) / 400 * 3
    eta = mu[:, None, None] + tau[:, None] * z
    log = -0.5 * (tau / tau_scale) ** 2 + np.zeros((len(mu), 1))
    if priors_mu_sd:
        log = log - 0.5 * (mu[:, None] / priors_mu_sd) ** 2
    for a, b in zip(x, n, strict=True):
        log = log + np.log((special.expit(eta) ** a * special.expit(-eta) ** (b - a)) @ (w / w.sum()))
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    found = []
    for law, at in ((weight.sum(axis=1), mu), (weight.sum(axis=0), tau)):
        mean = law @ at
        found += [mean, np.sqrt(law @ (at - mean) ** 2)]
    return found


@pytest.fixture(scope="module")
def proportions():
    return fit_bayes_counts("PLO", xi=[3, 9, 12, 2], ni=[20, 30, 31, 15], draws=2500, chains=2)


@pytest.mark.slow
@sampling
def test_one_proportion_agrees_with_brute_force_whatever_the_data(proportions):
    """Also with zero cells, which need no correction; and no program is compiled again."""
    before = compilations()
    priors = Priors.parse({"mu": "normal(0, 2)", "tau": "half-normal(0.4)"})
    zeros = fit_bayes_counts("PLO", xi=[0, 1, 0, 3, 2], ni=[10, 20, 15, 30, 30], priors=priors, draws=2500, chains=2)
    none = fit_bayes_counts("PLO", xi=[0, 0], ni=[10, 20], priors=priors, draws=2500, chains=2)
    assert compilations() == before
    for post, x, n, sd, scale in (
        (proportions, [3, 9, 12, 2], [20, 30, 31, 15], None, 0.5),
        (zeros, [0, 1, 0, 3, 2], [10, 20, 15, 30, 30], 2.0, 0.4),
        (none, [0, 0], [10, 20], 2.0, 0.4),
    ):
        assert post.diagnostics.ok, post.diagnostics.problems
        mean, spread, tau, tau_sd = by_brute_force(x, n, sd, scale)
        assert abs(post.mu.mean - mean) < DISTANCE * post.mu.mcse
        assert abs(post.mu.sd - spread) < DISTANCE * post.mu.mcse_sd
        assert abs(post.tau.mean - tau) < DISTANCE * post.tau.mcse
        assert abs(post.tau.sd - tau_sd) < DISTANCE * post.tau.mcse_sd


@pytest.mark.slow
@sampling
def test_what_a_posterior_of_counts_answers(proportions):
    idata = proportions.to_inferencedata()
    groups = {"posterior", "log_likelihood", "posterior_predictive", "observed_data", "sample_stats", "log_prior"}
    assert groups <= set(idata.groups())
    assert idata.log_likelihood["events"].dims == ("chain", "draw", "effect")
    theta = idata.posterior["theta"].values
    exact = stats.binom.logpmf([3, 9, 12, 2], [20, 30, 31, 15], special.expit(theta))
    np.testing.assert_allclose(idata.log_likelihood["events"].values, exact, rtol=1e-9)
    assert list(proportions.studies) == ["1", "2", "3", "4"]
    assert proportions.probability("< 0") == pytest.approx(1, abs=0.02)
    assert proportions.linear([2.0]).mean == pytest.approx(2 * proportions.mu.mean)
    with pytest.raises(ModelError, match="2 numbers for 1 coefficients"):
        proportions.linear([1, 0])
    again = fit_bayes_counts("PLO", xi=[3, 9, 12, 2], ni=[20, 30, 31, 15], draws=2500, chains=2)
    assert again.mu == proportions.mu


@pytest.mark.slow
@sampling
def test_odds_ratios_with_levels_of_their_own_agree_with_brute_force():
    """Both levels flat: each study's likelihood of its odds ratio by a sum over the level."""
    data = pd.DataFrame(TABLES.events, columns=["ai", "ci"]).assign(n1i=TABLES.totals[:, 0], n2i=TABLES.totals[:, 1])
    post = ca.fit_bayes_counts("OR", data=data, draws=2500, chains=2)
    assert post.diagnostics.ok, post.diagnostics.problems
    z, w = np.polynomial.hermite_e.hermegauss(40)
    mu, tau = np.linspace(-5, 5, 301), (np.arange(100) + 0.5) / 100 * 2.5
    theta = (mu[:, None, None] + tau[:, None] * z).ravel()
    grid = np.linspace(theta.min(), theta.max(), 1500)
    level = np.linspace(-25, 15, 2001)[:, None]
    log = -0.5 * mu[:, None] ** 2 - 0.5 * (tau / 0.5) ** 2
    for (a, c), (n, m) in zip(TABLES.events, TABLES.totals, strict=True):
        one, two = level + grid, level
        each = a * one - n * np.logaddexp(0, one) + c * two - m * np.logaddexp(0, two)
        likelihood = np.interp(theta, grid, special.logsumexp(each, axis=0)).reshape(len(mu), len(tau), -1)
        log = log + special.logsumexp(likelihood + np.log(w / w.sum()), axis=2)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    assert abs(post.mu.mean - weight.sum(axis=1) @ mu) < DISTANCE * post.mu.mcse
    assert abs(post.tau.mean - weight.sum(axis=0) @ tau) < DISTANCE * post.tau.mcse
    assert list(post.baselines) == ["0", "1", "2", "3"]


@sampling
@pytest.mark.parametrize(("measure", "model", "counts", "options"), EVERY)
def test_symbols_say_what_numbers_say(measure, model, counts, options):
    """The program's density, in Python mode, is likelihood plus the laws of effects, coefficients and tau."""
    built = task(measure, model, counts, **options)
    program = built.build()
    log_p = program.compile_logp(mode="FAST_COMPILE")
    found = []
    for seed in (1, 2):
        b, taus, free = coordinates(built, seed)
        data = built.parameters.data
        point = {name: np.asarray(value) for name, value in free.items()}
        point["b_unit"] = np.linalg.solve(data["b_half"], b - data["b_centre"])
        point["log_tau"] = np.log(taus / data["tau_unit"])
        held = built.data()
        latent = built.latent(np, held, b, taus, free)
        total = latent["log_prior"] + sum(
            built.log_probability(np, held, g, eta).sum() for g, eta in enumerate(latent["eta"])
        )
        total += sum(float(Prior("normal", (0.0, 1.0)).log_density(each)) for each in b)
        total += sum(float(Prior("half-normal", (0.5,)).log_density(each) + np.log(each)) for each in taus)
        total -= 0.5 * sum((free[name][counts.k :] ** 2).sum() for name in ("z", "w") if name in free)
        found.append(float(log_p(point)) - total)
    assert found[0] == pytest.approx(found[1], abs=1e-8)  # up to constants of the priors
