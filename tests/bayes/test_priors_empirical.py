"""Empirical priors: the published laws of tau^2, carried over to tau, and where they may be used."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import catharsis as ca
from catharsis.bayes.empirical_priors import EMPIRICAL
from catharsis.bayes.priors import Priors, parse_prior
from catharsis.errors import ModelError

PUBLISHED = [  # text, law of log tau^2 as published
    ("turner(general)", stats.norm(-2.56, 1.74)),
    ("turner(all-cause mortality, non-pharmacological)", stats.norm(-3.93, 1.51)),
    ("turner(pain, pharmacological vs placebo)", stats.norm(-1.83, 1.52)),
    ("rhodes(general)", stats.t(5, -3.44, 2.59)),
    ("rhodes(pain, pharmacological vs placebo, cancer)", stats.t(5, -0.60, 2.61)),
]


@pytest.mark.parametrize(("text", "law"), PUBLISHED)
def test_the_law_of_tau_squared_is_the_published_one(text, law):
    """Density of tau against the density of log tau^2, with the Jacobian written out: d log tau^2 / d tau = 2 / tau."""
    prior = parse_prior(text)
    assert str(prior) == text
    assert parse_prior(str(prior)) == prior
    for tau in (1e-3, 0.05, 0.3, 2.0):
        found = float(prior.log_density(np.array(tau)))
        assert found == pytest.approx(law.logpdf(np.log(tau**2)) + np.log(2 / tau), rel=1e-12)
        assert float(prior.below(tau)) == pytest.approx(law.cdf(np.log(tau**2)), rel=1e-10)


def test_every_setting_is_tested():
    settings = {f"{name}({', '.join(each)})" for name, table in EMPIRICAL.items() for each in table.values}
    assert settings == {text for text, _ in PUBLISHED}


def test_what_the_vignette_of_multinma_prints():
    """Its summary of log-normal(-3.93, 1.51) on tau^2: half of it between 0.01 and 0.05, 95% up to 0.38."""
    prior = parse_prior("turner(all-cause mortality, non-pharmacological)")
    assert [round(prior.quantile(p) ** 2, 2) for p in (0.25, 0.75, 0.975)] == [0.01, 0.05, 0.38]


def test_an_empirical_prior_tames_few_trials():
    """The three trials that the vignette prints: all six have a median tau^2 of 0.19 there, and 2.64 without it."""
    counts = [(5, 13, 4, 11), (1, 13, 3, 14), (2, 17, 14, 19)]
    yi = [np.log(a / (n - a)) - np.log(c / (m - c)) for a, n, c, m in counts]
    vi = [1 / a + 1 / (n - a) + 1 / c + 1 / (m - c) for a, n, c, m in counts]
    informed = ca.fit_bayes(yi=yi, vi=vi, priors=Priors.parse({"mu": "normal(0, 100)", "tau": PUBLISHED[1][0]}))
    vague = ca.fit_bayes(yi=yi, vi=vi, priors=Priors.parse({"mu": "normal(0, 100)", "tau": "half-normal(5)"}))
    assert informed.tau.median < 0.5 < vague.tau.median
    assert str(informed.priors.tau) == PUBLISHED[1][0]


def test_spaces_and_nothing_at_all():
    assert parse_prior("turner( pain ,  pharmacological vs placebo )") == parse_prior(PUBLISHED[2][0])
    assert parse_prior("rhodes") == parse_prior("rhodes(general)")


def test_a_setting_that_we_have_not_seen():
    with pytest.raises(ModelError) as error:
        parse_prior("turner(biological markers, pharmacological vs placebo)")
    said = str(error.value)
    assert said.startswith('"turner(biological markers, pharmacological vs placebo)" is not in our table')
    assert "there are turner(general), turner(all-cause mortality, non-pharmacological)" in said
    assert said.endswith("with its m and s of log tau^2, is written log-normal(m/2, s/2)")
    with pytest.raises(ModelError, match=r"is written log-t\(5, m/2, s/2\)"):
        parse_prior("rhodes(obstetric)")


def test_they_are_no_priors_for_coefficients():
    with pytest.raises(ModelError, match=r'"turner\(general\)" is not a prior that fits here'):
        Priors.parse({"mu": "turner(general)"})


def test_each_belongs_to_its_measure():
    turner, rhodes = Priors.parse({"tau": "turner"}), Priors.parse({"taus": {"study": "rhodes"}})
    turner.check(measure="OR")
    rhodes.check(measure="SMD")
    turner.check()
    with pytest.raises(ModelError) as error:
        turner.check(measure="SMD")
    assert str(error.value) == (
        "turner(general) was estimated from log odds ratios, and these effects are SMD: its tau means something else; "
        "use OR, PETO, or a prior such as half-normal(0.5)"
    )
    with pytest.raises(ModelError, match=r"rhodes\(general\) was estimated from standardised mean differences"):
        rhodes.check(measure="RR")


def test_a_fit_knows_the_measure_of_its_data():
    data = pd.DataFrame({"ai": [4, 6, 3], "n1i": [20, 30, 23], "ci": [11, 9, 8], "n2i": [19, 30, 22]})
    effects = ca.effect_size("RR", data=data)
    with pytest.raises(ModelError, match="was estimated from log odds ratios, and these effects are RR"):
        ca.fit_bayes("yi ~ 1", effects, priors=Priors.parse({"tau": "turner"}))
    odds = ca.effect_size("OR", data=data)
    assert ca.fit_bayes("yi ~ 1", odds, priors=Priors.parse({"tau": "turner"})).tau.median > 0


@pytest.mark.parametrize(("text", "tolerance"), [("rhodes", 1e-9), ("log-t(3, -1, 0.5)", 1e-8), ("turner", 1e-11)])
def test_the_exact_engine_reaches_the_mass_near_zero(text, tolerance):
    """Log marginal likelihood against quadrature in log tau: a log-t prior has mass at every order of magnitude.

    With 3 degrees of freedom 1e-9 of it lies below e^-600, where the witness ends.
    """
    from scipy import integrate

    y, v = np.array([0.7, 0.8, 0.9, 0.6, 0.2]), np.array([0.02, 0.03, 0.02, 0.02, 0.05])
    prior = parse_prior(text)

    def joint(u):
        tau = np.exp(u)
        M = v + tau**2
        a, h = 1 + (1 / M).sum(), (y / M).sum()
        log_likelihood = -0.5 * (np.log(2 * np.pi * M).sum() + (y**2 / M).sum() + np.log(a) - h * h / a)
        return np.exp(log_likelihood + float(prior.log_density(np.array(tau))) + u)

    ends = [-600, -300, -100, -40, -20, -8, -3, 0, 3, 30]
    parts = [integrate.quad(joint, *pair, limit=400, epsabs=0, epsrel=1e-11)[0] for pair in pairwise(ends)]
    post = ca.fit_bayes(yi=y, vi=v, priors=Priors.parse({"tau": text}))
    assert post.log_evidence == pytest.approx(np.log(sum(parts)), abs=tolerance)
    assert post.error < 1e-6
