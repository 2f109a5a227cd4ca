"""Densities, modes and shortest intervals of posteriors, and where likelihood and posterior are highest."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.marginals import Draws, GaussianMixture, PointMass, summit
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.models.fit import fit

YI, VI = np.array([0.1, 0.4, 0.9, -0.2, 0.5]), np.array([0.02, 0.03, 0.05, 0.04, 0.1])
SHARP = 1e-9  # of the sd, by which modes and ends may move: roots of a derivative, not of a maximum


def posterior(mu="normal(0, 1)", tau="half-normal(0.5)", c=1.0, order=slice(None)):
    priors = Priors.parse({"mu": mu, "tau": tau})
    scaled = Priors(*(Prior(p.family, tuple(c * v for v in p.parameters)) for p in (priors.mu, priors.b, priors.tau)))
    return fit_bayes(yi=c * YI[order], vi=c**2 * VI[order], priors=scaled)


# -- one component is a Gaussian --------------------------------------------------------------------


def test_one_component_is_a_gaussian():
    law, known = GaussianMixture(np.ones(1), np.array([0.3]), np.array([2.0])), stats.norm(0.3, 2)
    x = np.array([-60.0, -1, 0.3, 9])
    np.testing.assert_allclose(law.log_density(x), known.logpdf(x), rtol=1e-13)
    assert law.mode() == pytest.approx(0.3, abs=1e-9)
    assert law.shortest(0.9) == pytest.approx(known.interval(0.9), rel=1e-9)
    assert [law.quantile(p) for p in (1e-12, 0.2, 0.7)] == pytest.approx(known.ppf([1e-12, 0.2, 0.7]), rel=1e-12)
    assert (law.below(-30), law.above(40)) == pytest.approx((known.cdf(-30), known.sf(40)), rel=1e-12)
    assert law.density([]).shape == (0,)


def test_two_peaks_and_a_lopsided_mixture():
    law = GaussianMixture(np.array([0.4, 0.6]), np.array([-2.0, 3.0]), np.array([0.3, 0.5]))
    dense = np.linspace(-4, 6, 100_001)
    assert law.mode() == pytest.approx(dense[np.argmax(law.density(dense))], abs=1e-4)
    lopsided = GaussianMixture(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([0.5, 2.0]))
    low, high = lopsided.shortest(0.8)
    assert lopsided.below(high) - lopsided.below(low) == pytest.approx(0.8, abs=1e-12)
    assert lopsided.density(low) == pytest.approx(float(lopsided.density(high)), rel=1e-9)
    best = optimize.minimize_scalar(
        lambda p: lopsided.quantile(p + 0.8) - lopsided.quantile(p), bounds=(0, 0.2), method="bounded"
    )
    assert high - low <= best.fun * (1 + 1e-12)


def test_the_top_of_what_only_falls_is_its_beginning():
    assert summit(lambda x: -x, np.array([0.0, 1.0, 2.0])) == 0
    assert summit(lambda x: -((x - 0.7) ** 2), np.array([0.0, 0.5, 1.0, 2.0])) == pytest.approx(0.7, rel=1e-12)


# -- the posterior ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", ["half-normal(0.5)", "half-cauchy(0.5)", "exponential(0.05)", "uniform", "sqrt", "i2"])
def test_densities_integrate_and_intervals_are_shortest(tau):
    post = posterior(tau=tau)
    for one, low in ((post.tau, 0.0), (post.mu, -np.inf), (post.new, -np.inf), (post.studies["3"], -np.inf)):
        a, b = one.quantile(1e-3) if np.isinf(low) else 0.0, one.quantile(0.999)
        mass = integrate.quad(lambda x: float(one.density(x)), a, b, limit=200, points=[one.median])[0]  # noqa: B023
        assert mass == pytest.approx(0.998 if np.isinf(low) else 0.999, abs=1e-6)
        left, right = one.shortest(0.9)
        assert one.cdf(right) - one.cdf(left) == pytest.approx(0.9, abs=1e-10)
        tried = np.linspace(0.001, 0.099, 25)
        assert right - left <= min(one.quantile(p + 0.9) - one.quantile(p) for p in tried) * (1 + 1e-9)
        assert one.central(0.5) == (one.quantile(0.25), one.quantile(0.75))
        assert one.central(0.95) == pytest.approx((one.low, one.high), rel=1e-12)
        assert one.cdf(one.mode) + one.sf(one.mode) == pytest.approx(1, abs=1e-14)
        around = one.mode + one.sd * np.array([-1e-3, 1e-3])
        if one.mode > 0 or np.isinf(low):
            assert np.all(one.density(around) < one.density(one.mode))
        else:
            assert one.density(1e-6) <= one.density(0.0)


def test_a_density_that_rises_at_zero_has_its_mode_there():
    post = fit_bayes(yi=[0.1, 0.12, 0.11], vi=[0.1, 0.2, 0.1], priors=Priors.parse({"tau": "dumouchel"}))
    assert post.tau.mode == 0
    assert post.tau.shortest(0.8) == (0.0, pytest.approx(post.tau.quantile(0.8)))
    assert posterior(tau="sqrt").tau.density(0.0) == np.inf


@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_modes_and_ends_scale_with_the_unit(c):
    one, two = posterior(), posterior(c=c)
    for a, b in ((one.tau, two.tau), (one.mu, two.mu), (one.new, two.new), (one.studies["3"], two.studies["3"])):
        unit = SHARP * c * a.sd
        assert b.mode == pytest.approx(c * a.mode, abs=unit)
        assert b.shortest() == pytest.approx(np.multiply(c, a.shortest()), abs=unit)
        assert b.density(c * a.median) == pytest.approx(a.density(a.median) / c, rel=1e-9)
    assert two.maxima().to_numpy() == pytest.approx(c * one.maxima().to_numpy(), abs=SHARP * c)
    relative = two.I2
    assert relative == pytest.approx(one.I2, rel=1e-9)
    assert two.bayes_factor("tau = 0") == pytest.approx(one.bayes_factor("tau = 0"), rel=1e-9)


@pytest.mark.parametrize("tau", ["uniform", "dumouchel", "shrinkage", "i2", "jeffreys", "conventional"])
@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_priors_without_a_scale_take_that_of_the_data(tau, c):
    one, two = posterior("flat", tau), posterior("flat", tau, c)
    for a, b in ((one.tau, two.tau), (one.mu, two.mu)):
        assert (b.median, b.low, b.high) == pytest.approx((c * a.median, c * a.low, c * a.high), rel=1e-9)


def test_the_order_of_rows_does_not_matter():
    one, two = posterior(tau="conventional"), posterior(tau="conventional", order=[3, 0, 4, 2, 1])
    assert two.summary().to_numpy() == pytest.approx(one.summary().to_numpy(), rel=1e-9)
    assert two.maxima().to_numpy() == pytest.approx(one.maxima().to_numpy(), rel=1e-9)
    assert two.studies["1"].shortest() == pytest.approx(one.studies["4"].shortest(), rel=1e-9)


def test_a_flipped_sign_flips_the_answer():
    one = posterior("flat")
    two = fit_bayes(yi=-YI, vi=VI, priors=one.priors)
    assert two.mu.mode == pytest.approx(-one.mu.mode, rel=1e-9)
    assert two.mu.shortest() == pytest.approx([-x for x in one.mu.shortest()[::-1]], rel=1e-8)


# -- maxima -----------------------------------------------------------------------------------------


def test_maxima_are_the_frequentist_ones_where_they_must_be():
    """Joint ML is the ML fit; with a flat b, the marginal likelihood of tau is the restricted one."""
    table = posterior("flat", "uniform").maxima()
    ml, reml = (fit(yi=YI, vi=VI, method=method) for method in ("ML", "REML"))
    assert table.loc["ML joint"].tolist() == pytest.approx([ml.tau, ml.beta[0]], rel=1e-7)
    assert table.loc["ML marginal", "tau"] == pytest.approx(reml.tau, rel=1e-7)
    assert table.loc["MAP joint"].tolist() == pytest.approx(table.loc["ML joint"].tolist(), rel=1e-9)
    assert table.loc["MAP marginal"].tolist() == pytest.approx(table.loc["ML marginal"].tolist(), rel=1e-9)


def test_maxima_by_brute_force():
    post = posterior("normal(0.2, 0.3)", "exponential(0.4)")

    def likelihood(x):
        return -stats.norm.logpdf(YI, x[1], np.sqrt(VI + x[0] ** 2)).sum()

    def joint(x):
        return likelihood(x) - stats.norm.logpdf(x[1], 0.2, 0.3) + x[0] / 0.4

    table = post.maxima()
    for name, height in (("ML joint", likelihood), ("MAP joint", joint)):
        found = optimize.minimize(height, [0.3, 0.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
        assert table.loc[name].tolist() == pytest.approx(found.x, abs=1e-6)
    # the prior divided out: the likelihood of mu with tau integrated over its own prior
    mu = np.linspace(-0.2, 1, 601)
    t, w = np.polynomial.legendre.leggauss(150)
    tau = 4 * (1 + t)
    each = np.exp(stats.norm.logpdf(YI, mu[:, None, None], np.sqrt(VI + tau[:, None] ** 2)).sum(axis=2))
    marginal = each @ (w * np.exp(-tau / 0.4))
    assert table.loc["ML marginal", "intercept"] == pytest.approx(mu[np.argmax(marginal)], abs=2e-3)
    assert table.loc["MAP marginal", "intercept"] == post.mu.mode
    assert table.loc["MAP marginal", "tau"] == post.tau.mode


def test_repeating_moderators_have_no_likelihood_maximum():
    frame = pd.DataFrame({"a": [0, 1, 0, 1.0], "b": [1, 0, 1, 0.0], "yi": YI[:4], "vi": VI[:4]})
    from catharsis.bayes import exact
    from catharsis.likelihood.blocks import make_blocks

    X = np.column_stack([np.ones(4), frame["a"], frame["b"]])
    blocks = make_blocks(YI[:4], X, VI[:4], [("effect", np.arange(4))])
    post = exact.posterior(blocks, ("intercept", "a", "b"), tuple("1234"), Priors(), 0.95)
    assert post.maxima().loc["ML joint"].isna().all()
    assert np.isnan(post.I2)


# -- I2, prediction, refusals -----------------------------------------------------------------------


def test_i2_is_that_of_the_median_tau():
    post = posterior()
    model = fit(yi=YI, vi=VI)
    tau2 = post.tau.median**2
    relative = post.I2
    assert relative == pytest.approx(100 * tau2 / (tau2 + model.typical_variance), rel=1e-12)


def test_prediction_at_a_setting():
    X = np.column_stack([np.ones(5), [0, 1, 2, 3, 4.0]])
    post = fit_bayes(yi=YI, vi=VI, X=X)
    there = post.predictive([1, 2])
    assert there.mean == pytest.approx(post.linear([1, 2]).mean, rel=1e-12)
    assert there.sd**2 == pytest.approx(post.linear([1, 2]).sd ** 2 + post.tau.sd**2 + post.tau.mean**2, rel=1e-9)
    assert post.predictive([1, 0]).mean == pytest.approx(post.new.mean)


def test_a_fixed_tau_is_a_point():
    post = posterior(tau="fixed(0.2)")
    assert (post.tau.mode, post.tau.shortest(), post.tau.quantile(0.3)) == (0.2, (0.2, 0.2), 0.2)
    assert (post.tau.cdf(0.3), post.tau.sf(0.3)) == (1, 0)
    assert post.maxima()["tau"].tolist() == [0.2] * 4
    with pytest.raises(ModelError, match=r"a quantity fixed at 0\.2 has no density"):
        post.tau.density(0.1)


def test_draws_count():
    law = Draws(np.random.default_rng(1).normal(size=(2, 5000)))
    assert law.below(0) + law.above(0) == 1
    assert law.shortest(0.9) == pytest.approx((-1.645, 1.645), abs=0.15)
    assert law.quantile(0.5) == pytest.approx(0, abs=0.03)
    for ask in (law.mode, lambda: law.density(np.zeros(1))):
        with pytest.raises(ModelError, match="draws have no density"):
            ask()
    assert PointMass(1.0).above(0.5) == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.mu.quantile(0), "a quantile's probability lies between 0 and 1; this one is 0"),
        (lambda p: p.mu.shortest(95), "an interval's probability lies between 0 and 1; this one is 95"),
        (lambda p: p.tau.central(1), "an interval's probability lies between 0 and 1; this one is 1"),
    ],
)
def test_what_is_no_probability(ask, message):
    with pytest.raises(ModelError) as error:
        ask(posterior())
    assert str(error.value) == message


def test_an_inverse_gamma_prior_is_remarked_on():
    assert posterior(tau="inverse-gamma(1, 0.15)").notes == (
        "inverse-gamma(1, 0.15) on tau has no mass near 0 and decides the answer when studies are few: compare it with "
        "a half-normal or half-Cauchy prior",
    )


@pytest.mark.parametrize(
    ("k", "mu", "tau", "message"),
    [
        (
            2, "flat", "uniform",
            "the posterior is improper: with the prior uniform on tau, 2 studies and 1 coefficient with a flat prior "
            "leave large values of tau without bound; use a proper prior on tau, such as half-normal(0.5), or more "
            "studies",
        ),
        (
            1, "normal(0, 1)", "uniform",
            "the posterior is improper: with the prior uniform on tau, 1 study and 0 coefficients with a flat prior "
            "leave large values of tau without bound; use a proper prior on tau, such as half-normal(0.5), or more "
            "studies",
        ),
        (
            1, "flat", "jeffreys",
            "the posterior is improper: with the prior jeffreys on tau, 1 study and 1 coefficient with a flat prior "
            "leave large values of tau without bound; use a proper prior on tau, such as half-normal(0.5), or more "
            "studies",
        ),
    ],
)  # fmt: skip
def test_improper_posteriors(k, mu, tau, message):
    with pytest.raises(ModelError) as error:
        fit_bayes(yi=YI[:k], vi=VI[:k], priors=Priors.parse({"mu": mu, "tau": tau}))
    assert str(error.value) == message


def test_three_studies_and_a_flat_prior_are_enough():
    post = fit_bayes(yi=YI[:3], vi=VI[:3], priors=Priors.parse({"mu": "flat", "tau": "uniform"}))
    assert np.isnan(post.tau.mean)
    assert "mean and variance" in post.notes[0]
    assert 0 < post.tau.median < 2


# -- Bayes factors ----------------------------------------------------------------------------------


def test_bayes_factors_are_ratios_of_densities():
    """Savage and Dickey: posterior over prior density at the tested value, where the prior has one."""
    post = posterior("normal(0.1, 0.8)")
    at = float(post.mu.density(0.3) / stats.norm.pdf(0.3, 0.1, 0.8))
    assert post.bayes_factor("mu = 0.3") == pytest.approx(at, rel=1e-9)
    assert post.bayes_factor("intercept=0.3") == post.bayes_factor(" mu = 3e-1 ")
    at = float(post.tau.density(0.0) / (2 * stats.norm.pdf(0, 0, 0.5)))
    assert post.bayes_factor("tau = 0") == pytest.approx(at, rel=1e-12)


def test_a_value_far_in_the_tail_is_integrated_afresh():
    post = fit_bayes(yi=[5.0, 5.1, 4.9], vi=[1e-3] * 3)
    brute = integrate.quad(
        lambda t: np.exp(stats.norm.logpdf([5.0, 5.1, 4.9], 0, np.sqrt(1e-3 + t**2)).sum() + 80)
        * stats.halfnorm.pdf(t, scale=0.5),
        0, 20, epsabs=0, epsrel=1e-11, points=[1, 2, 3, 4], limit=500,
    )[0]  # fmt: skip
    assert post.bayes_factor("mu = 0") == pytest.approx(brute * np.exp(-80 - post.log_evidence), rel=1e-8)


def test_models_are_compared():
    X = np.column_stack([np.ones(5), [0, 1, 0, 1, 1.0]])
    wide, plain = fit_bayes(yi=YI, vi=VI, X=X), fit_bayes(yi=YI, vi=VI)
    assert plain.bayes_factor(against=wide) == pytest.approx(wide.bayes_factor("x2 = 0"), rel=1e-10)
    assert wide.bayes_factor(against=plain) * plain.bayes_factor(against=wide) == pytest.approx(1, rel=1e-12)
    common = fit_bayes(yi=YI, vi=VI, priors=Priors.parse({"mu": "flat", "tau": "fixed(0)"}))
    flat = posterior("flat")  # a flat mu that both share cancels
    assert common.bayes_factor(against=flat) == pytest.approx(flat.bayes_factor("tau = 0"), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "ask", "message"),
    [
        (
            lambda: posterior("flat"), lambda p: p.bayes_factor("mu = 0"),
            "the prior on intercept is flat, which is improper: a Bayes factor for it would be arbitrary; give it a "
            "proper prior such as normal(0, 1)",
        ),
        (
            lambda: posterior(tau="jeffreys"), lambda p: p.bayes_factor("tau = 0"),
            "the prior on tau is jeffreys, which is improper: a Bayes factor for it would be arbitrary; give it a "
            "proper prior such as half-normal(0.5)",
        ),
        (
            posterior, lambda p: p.bayes_factor(against=posterior("flat")),
            "the models do not share an improper prior on intercept: a Bayes factor between them would be arbitrary; "
            "give proper priors to what they differ in",
        ),
        (
            posterior, lambda p: p.bayes_factor(against=posterior(c=2.0)),
            "a Bayes factor compares models of the same effects; these rest on different ones",
        ),
        (posterior, lambda p: p.bayes_factor("mu > 0"), '"mu > 0" is not an equation; write "mu = 0" or "tau = 0"'),
        (posterior, lambda p: p.bayes_factor("ta = 0"), 'there is no "ta": did you mean "tau"?'),
        (
            posterior, lambda p: p.bayes_factor("tau = -1"),
            '"tau = -1" cannot be tested: a standard deviation is not negative',
        ),
        (
            lambda: posterior(tau="fixed(0.2)"), lambda p: p.bayes_factor("tau = 0"),
            '"tau = 0" cannot be tested: tau is fixed(0.2) already',
        ),
        (
            posterior, lambda p: p.bayes_factor(),
            'a Bayes factor compares a statement ("mu = 0") or another posterior (against=): give one',
        ),
    ],
)  # fmt: skip
def test_what_has_no_bayes_factor(make, ask, message):
    with pytest.raises(ModelError) as error:
        ask(make())
    assert str(error.value) == message
