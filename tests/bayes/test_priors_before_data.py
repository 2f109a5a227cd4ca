"""What priors expect before data, against simulation and closed forms."""

import numpy as np
import pytest
from scipy import stats

import catharsis as ca
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError

CASES = [
    {},
    {"mu": "normal(0.3, 0.2)", "tau": "half-cauchy(0.3)"},
    {"mu": "cauchy(0, 0.5)", "tau": "rhodes"},
    {"mu": "t(4, 1, 0.5)", "tau": "fixed(0.4)"},
    {"mu": "normal(0, 1)", "tau": "dumouchel"},
]


@pytest.mark.parametrize("texts", CASES)
def test_against_simulation(texts):
    """Shares of 400,000 draws below each quantile, within 4.5 binomial standard errors."""
    vi, n = [0.04, 0.3], 400_000
    priors = Priors.parse(texts)
    frame = ca.prior_predictive(priors, vi=vi)
    rng = np.random.default_rng(11)
    whole = priors.completed(np.sqrt(vi))
    mu, tau = whole.mu.draw(rng, n), whole.tau.draw(rng, n)
    new = mu + tau * rng.standard_normal(n)
    drawn = {"intercept": mu, "tau": tau, "new study": new, "effect 2": new + np.sqrt(0.3) * rng.standard_normal(n)}
    for name, values in drawn.items():
        for p in frame.columns:
            if name == "tau" and priors.tau.family == "fixed":
                assert frame.loc[name, p] == 0.4
                continue
            share = (values < frame.loc[name, p]).mean()
            assert abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / n), (name, p)


def test_normal_with_known_tau_is_normal():
    frame = ca.prior_predictive(Priors.parse({"mu": "normal(0.2, 0.6)", "tau": "fixed(0.8)"}), vi=[0.25])
    expected = stats.norm(0.2, np.sqrt(0.36 + 0.64)).ppf(frame.columns)
    np.testing.assert_allclose(frame.loc["new study"], expected, rtol=1e-12)
    np.testing.assert_allclose(frame.loc["effect 1"], stats.norm(0.2, np.sqrt(1.25)).ppf(frame.columns), rtol=1e-12)


def test_a_setting_with_moderators_and_two_components():
    priors = Priors.parse(
        {"terms": {"dose": "normal(0.1, 0.3)"}, "taus": {"study": "fixed(0.3)", "effect": "fixed(0.4)"}}
    )
    frame = ca.prior_predictive(priors, x=[1, 2], terms=["intercept", "dose"], factors=["study", "effect"])
    expected = stats.norm(0.2, np.sqrt(1 + 0.36 + 0.25)).ppf(frame.columns)
    np.testing.assert_allclose(frame.loc["new study"], expected, rtol=1e-12)
    assert list(frame.index) == ["intercept", "dose", "tau of study", "tau of effect", "new study"]


def test_a_flat_prior_expects_nothing():
    frame = ca.prior_predictive(Priors.parse({"mu": "flat"}), vi=[0.1])
    assert frame.loc[["intercept", "new study", "effect 1"]].isna().all(axis=None)
    assert frame.loc["tau"].notna().all()
    assert frame.attrs["notes"] == ("the prior flat on intercept is improper: it expects nothing in particular",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probabilities": [0, 0.5]}, "probabilities lie between 0 and 1"),
        ({"probabilities": []}, "probabilities lie between 0 and 1"),
        ({"vi": [0.1, -1]}, "the variances vi must be positive and finite"),
        ({"x": [1, 2]}, "x has 2 numbers for 1 coefficients"),
        ({"x": [np.inf]}, "x holds a number that is not finite"),
        ({"priors": Priors.parse({"tau": "dumouchel"})}, "made from the standard errors of the studies"),
        ({"priors": Priors.parse({"terms": {"dose": "flat"}})}, "which this model lacks"),
    ],
)
def test_what_cannot_be_answered(arguments, message):
    with pytest.raises(ModelError, match=message):
        ca.prior_predictive(**arguments)
