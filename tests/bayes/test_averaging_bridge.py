"""Bridge sampling against integrals that are known."""

import numpy as np
import pytest
from scipy import special, stats

from catharsis.bayes.bridge import bridge_sampling


def normal(d):
    half = np.tril(np.ones((d, d)))
    return lambda x: -0.5 * (np.linalg.solve(half, (x - 3).T) ** 2).sum(axis=0), d / 2 * np.log(2 * np.pi)


def gamma(x):
    """Gamma(0.8) in its logarithm: a slow tail on one side."""
    return 0.8 * x[:, 0] - np.exp(np.minimum(x[:, 0], 700))


def banana(x):
    return -0.5 * (x[:, 0] / 2) ** 2 - 0.5 * ((x[:, 1] - 0.3 * x[:, 0] ** 2) / 0.5) ** 2


CASES = {
    "normal 1": (*normal(1), 1), "normal 3": (*normal(3), 3), "normal 6": (*normal(6), 6),
    "log gamma": (gamma, special.gammaln(0.8), 1), "banana": (banana, np.log(2 * np.pi), 2),
    "heavy tails": (lambda x: stats.t(3).logpdf(x).sum(axis=1), 0.0, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_known_integral(name):
    kernel, truth, d = CASES[name]
    found = bridge_sampling(kernel, np.zeros(d), np.ones(d), np.random.default_rng(7))
    assert found.log_evidence == pytest.approx(truth, abs=0.04)
    assert abs(found.log_evidence - truth) < 4.5 * found.error + 1e-3


def test_its_error_is_the_spread_of_repetitions():
    kernel, truth, d = CASES["banana"]
    runs = [bridge_sampling(kernel, np.zeros(d), np.ones(d), np.random.default_rng(seed), 0.05) for seed in range(24)]
    spread = np.std([run.log_evidence for run in runs])
    assert 0.5 < spread / np.mean([run.error for run in runs]) < 2
    assert np.mean([run.log_evidence for run in runs]) == pytest.approx(truth, abs=4 * spread / np.sqrt(24))


def test_the_same_seed_the_same_number():
    kernel, _, d = CASES["normal 3"]
    first, second = (bridge_sampling(kernel, np.zeros(d), np.ones(d), np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_a_posterior_that_the_start_misses_by_far():
    found = bridge_sampling(lambda x: -0.5 * ((x[:, 0] - 400) / 1e-3) ** 2, np.zeros(1), np.ones(1),
                            np.random.default_rng(1))  # fmt: skip
    assert found.log_evidence == pytest.approx(0.5 * np.log(2 * np.pi * 1e-6), abs=0.04)
