"""Selection by steps in p: against the normal distribution, simulation, and the selection model fitted by ML."""

import numpy as np
import pytest
from scipy import stats

import catharsis as ca
from catharsis.likelihood.publication_bias import (
    StepSelection,
    normal_log_likelihood,
    small_study_regressor,
    weights_of,
)

YI = np.array([0.6, 0.35, 0.3, 0.02, -0.5])
VI = np.array([0.04, 0.02, 0.05, 0.01, 0.06])


def by_hand(steps, sides, mu, tau, weights):
    """The density of a seen effect, study by study, with the normal distribution's own cdf."""
    total = 0.0
    for y, v in zip(YI, VI, strict=True):
        se, sd = np.sqrt(v), np.sqrt(v + tau**2)
        p = stats.norm.sf(y / se) if sides == 1 else 2 * stats.norm.sf(abs(y) / se)
        weight = weights[int((p > np.array(steps)).sum())]
        law = stats.norm(mu, sd)
        edges = [0.0, *steps, 1.0]
        chance = 0.0
        for low, high, w in zip(edges, edges[1:], weights, strict=False):
            if sides == 1:
                chance += w * (law.cdf(stats.norm.isf(low) * se) - law.cdf(stats.norm.isf(high) * se))
            else:
                a, b = stats.norm.isf(high / 2) * se, stats.norm.isf(low / 2) * se
                chance += w * (law.cdf(b) - law.cdf(a) + law.cdf(-a) - law.cdf(-b))
        total += np.log(weight) - np.log(chance)
    return total


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(("steps", "shares"), [([0.05], [0.3, 0.7]), ([0.025, 0.05, 0.5], [0.1, 0.2, 0.4, 0.3])])
@pytest.mark.parametrize(("mu", "tau"), [(0.0, 0.0), (0.4, 0.2), (-0.8, 1.0)])
def test_a_seen_effect_has_the_density_of_the_definition(sides, steps, shares, mu, tau):
    selection = StepSelection(YI, np.sqrt(VI), np.array(steps), sides)
    found = selection.log_seen(np.array([mu]), VI[None] + tau**2, np.array([shares]))
    weights = weights_of(np.array(shares))
    assert weights[0] == pytest.approx(1)
    assert found[0] == pytest.approx(by_hand(steps, sides, mu, tau, weights), abs=1e-12)


def test_the_selection_model_fitted_by_maximum_likelihood_has_this_likelihood():
    steps, delta = [0.025, 0.5], [1.0, 0.6, 0.2]
    fit = ca.selection_model(yi=YI, vi=VI, type="stepfun", steps=steps, delta=delta)
    selection = StepSelection(YI, np.sqrt(VI), np.array(steps), 1)
    shares = np.array([[0.4, 0.4, 0.2]])
    variance = VI[None] + fit.tau2
    found = normal_log_likelihood(YI, fit.beta[:1, None], variance) + selection.log_seen(fit.beta[:1], variance, shares)
    assert found[0] == pytest.approx(fit.llf, abs=1e-9)


def test_the_chance_to_be_seen_is_the_share_of_simulated_studies():
    rng = np.random.default_rng(3)
    selection = StepSelection(YI[:1], np.sqrt(VI[:1]), np.array([0.05, 0.1]), 2)
    draws = rng.normal(0.2, np.sqrt(VI[0] + 0.09), 200_000)
    p = 2 * stats.norm.sf(np.abs(draws) / np.sqrt(VI[0]))
    below = selection.below(np.array([0.2]), np.array([[VI[0] + 0.09]]))[0, 0]
    assert below == pytest.approx([(p < 0.05).mean(), (p < 0.1).mean()], abs=4 * 0.5 / np.sqrt(len(p)))


def test_a_weight_of_zero_forbids_only_what_it_hides():
    selection = StepSelection(YI[:3], np.sqrt(VI[:3]), np.array([0.5]), 1)
    nothing = np.array([[1.0, 0.0]])
    assert np.isfinite(selection.log_seen(np.zeros(1), VI[None, :3], nothing)[0])
    assert StepSelection(YI, np.sqrt(VI), np.array([0.5]), 1).log_seen(np.zeros(1), VI[None], nothing)[0] == -np.inf


def test_what_bias_is_proportional_to():
    assert small_study_regressor("pet", VI).tolist() == np.sqrt(VI).tolist()
    assert small_study_regressor("peese", VI).tolist() == VI.tolist()
