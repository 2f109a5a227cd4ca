"""Estimators of tau^2 against their defining equations."""

import numpy as np
import pytest

from catharsis.errors import ModelError
from catharsis.models import heterogeneity as het
from catharsis.models.knapp_hartung import knapp_hartung_scale

YI = np.array([-1.0, 0.3, 2.0, 0.8, 0.1, 1.2])
VI = np.array([0.01, 0.02, 0.03, 0.2, 0.05, 0.1])
X1 = np.ones((6, 1))
X2 = np.column_stack([np.ones(6), [1948, 1961, 1977, 1980, 1999, 2011]])


@pytest.mark.parametrize("X", [X1, X2])
@pytest.mark.parametrize("name", ["DL", "HE", "PM", "ML", "REML"])
def test_nothing_is_left_to_vary(name, X):
    p = X.shape[1]
    with pytest.raises(ModelError, match=f"needs more effects than coefficients; here k = {p} and p = {p}$"):
        het.ESTIMATORS[name](YI[:p], VI[:p], X[:p])


@pytest.mark.parametrize("X", [X1, X2])
def test_weighted_least_squares_against_dense_matrices(X):
    w = 1 / VI
    W = np.diag(w)
    P = W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    found = het.weighted(YI, w, X)
    assert found.rss == pytest.approx(YI @ P @ YI, rel=1e-8)
    assert found.trace == pytest.approx(np.trace(P), rel=1e-8)
    assert found.trace2 == pytest.approx(np.trace(P @ P), rel=1e-8)
    assert found.log_det_cov == pytest.approx(-np.linalg.slogdet(X.T @ W @ X)[1], rel=1e-8)


@pytest.mark.parametrize("X", [X1, X2])
def test_paule_mandel_solves_its_equation(X):
    tau2 = het.tau2_pm(YI, VI, X)
    assert het.weighted(YI, 1 / (VI + tau2), X).rss == pytest.approx(6 - X.shape[1], rel=1e-12)


@pytest.mark.parametrize("X", [X1, X2])
@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_is_highest_at_the_estimate(X, reml):
    tau2 = (het.tau2_reml if reml else het.tau2_ml)(YI, VI, X)
    top = het._likelihood(YI, VI, X, tau2, reml)
    for factor in (0.9, 0.999, 1.001, 1.1):
        assert het._likelihood(YI, VI, X, tau2 * factor, reml) < top
    step = 1e-5 * tau2
    slope = (het._likelihood(YI, VI, X, tau2 + step, reml) - het._likelihood(YI, VI, X, tau2 - step, reml)) / (2 * step)
    assert slope == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("method", "unbiased"), [("DL", True), ("HE", True)])
def test_moment_estimators_are_unbiased_and_their_error_is_right(method, unbiased):
    """Simulation, tau^2 far from 0 so that truncation does not bite; 4 Monte Carlo standard errors."""
    rng, tau2, n = np.random.default_rng(20251123), 1.0, 4000
    k = 30
    vi = rng.uniform(0.05, 0.5, k)
    X = np.ones((k, 1))
    found = np.array([het.ESTIMATORS[method](rng.normal(0, np.sqrt(tau2 + vi)), vi, X) for _ in range(n)])
    error = het.tau2_se(np.zeros(k), vi, X, tau2, method)
    assert unbiased
    assert found.mean() == pytest.approx(tau2, abs=4 * found.std() / np.sqrt(n))
    assert found.std() == pytest.approx(error, rel=0.06)


def test_equal_variances_make_the_estimators_agree():
    """With equal v, HE, DL, PM and REML are the same number: var(y) - v."""
    vi = np.full(6, 0.05)
    by_hand = np.var(YI, ddof=1) - 0.05
    for name in ("HE", "DL", "PM", "REML"):
        assert het.ESTIMATORS[name](YI, vi, X1) == pytest.approx(by_hand, rel=1e-10)
    assert het.tau2_ml(YI, vi, X1) == pytest.approx(np.var(YI) - 0.05, rel=1e-10)


def test_knapp_hartung_scale():
    assert knapp_hartung_scale(YI, VI, X1, het.tau2_pm(YI, VI, X1), False) == pytest.approx(1)  # PM makes Q = k - 1
    assert knapp_hartung_scale(YI, VI, X1, 100.0, True) == 1
    assert knapp_hartung_scale(np.full(3, 0.3), VI[:3], X1[:3], 0.0, False) == 0
    with pytest.raises(
        ModelError, match=r"^the Knapp-Hartung test needs more effects than coefficients; here k = 1 and p = 1$"
    ):
        knapp_hartung_scale(YI[:1], VI[:1], X1[:1], 0.0, False)


def test_a_hopeless_likelihood_is_still_maximised():
    """One study with a tiny variance far away: Fisher scoring must not end in a local trap."""
    yi, vi = np.array([0.1, 0.4, 0.35, 0.8, 0.22]), np.array([1e-6, 0.05, 10.0, 0.1, 100.0])
    tau2 = het.tau2_reml(yi, vi, np.ones((5, 1)))
    grid = [het._likelihood(yi, vi, np.ones((5, 1)), t, True) for t in np.geomspace(1e-9, 10, 400)]
    assert het._likelihood(yi, vi, np.ones((5, 1)), tau2, True) >= max(grid) - 1e-12
