"""Estimators of tau^2 against their defining equations."""

from fractions import Fraction

import numpy as np
import pytest

from catharsis.errors import ModelError
from catharsis.models import heterogeneity as het
from catharsis.models import likelihood_estimators as likelihood
from catharsis.models.knapp_hartung import knapp_hartung_scale
from catharsis.numerics import chi2_quantile

YI = np.array([-1.0, 0.3, 2.0, 0.8, 0.1, 1.2])
VI = np.array([0.01, 0.02, 0.03, 0.2, 0.05, 0.1])
X1 = np.ones((6, 1))
X2 = np.column_stack([np.ones(6), [1948, 1961, 1977, 1980, 1999, 2011]])


@pytest.mark.parametrize("X", [X1, X2])
@pytest.mark.parametrize("name", sorted(set(het.ESTIMATORS) - {"EE", "FE"}))
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
    top = likelihood.tau2_likelihood(YI, VI, X, tau2, reml)
    for factor in (0.9, 0.999, 1.001, 1.1):
        assert likelihood.tau2_likelihood(YI, VI, X, tau2 * factor, reml) < top
    step = 1e-5 * tau2
    slope = (
        likelihood.tau2_likelihood(YI, VI, X, tau2 + step, reml)
        - likelihood.tau2_likelihood(YI, VI, X, tau2 - step, reml)
    ) / (2 * step)
    assert slope == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("method", ["DL", "HE", "GENQ", "HS", "HSk", "PM"])
def test_moment_estimators_are_unbiased_and_their_error_is_right(method):
    """Simulation, tau^2 far from 0 so that truncation does not bite; 4 Monte Carlo standard errors."""
    rng, tau2, n = np.random.default_rng(20251123), 1.0, 4000
    k = 30
    vi = rng.uniform(0.05, 0.5, k)
    X = np.ones((k, 1))
    ai = rng.uniform(1, 2, k)
    if method == "PM":
        n //= 4
    draws = rng.normal(0, np.sqrt(tau2 + vi), (n, k))
    found = np.array([het.estimate_tau2(y, vi, X, method, ai) for y in draws])
    error = het.tau2_se(draws[0], vi, X, tau2, method, ai)
    if method != "HS":  # it gives up no degree of freedom
        assert found.mean() == pytest.approx(tau2, abs=4 * found.std() / np.sqrt(n))
    assert found.std() == pytest.approx(error, rel=0.06)


def test_equal_variances_make_the_estimators_agree():
    """With equal v, HE, DL, PM and REML are the same number: var(y) - v."""
    vi = np.full(6, 0.05)
    by_hand = np.var(YI, ddof=1) - 0.05
    for name in ("HE", "DL", "PM", "EB", "REML", "GENQ"):
        assert het.estimate_tau2(YI, vi, X1, name, np.ones(6)) == pytest.approx(by_hand, rel=1e-10)
    for name in ("PMM", "GENQM"):
        median = 5 * np.var(YI, ddof=1) / chi2_quantile(0.5, 5) - 0.05
        assert het.estimate_tau2(YI, vi, X1, name, np.ones(6)) == pytest.approx(median, rel=1e-10)
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
    grid = [likelihood.tau2_likelihood(yi, vi, np.ones((5, 1)), t, True) for t in np.geomspace(1e-9, 10, 400)]
    assert likelihood.tau2_likelihood(yi, vi, np.ones((5, 1)), tau2, True) >= max(grid) - 1e-12


# metafor 3.8 (Debian), rma(c(.1,.4,.9), c(.02,.03,.05)), threshold 1e-12; GENQ with weights 1/(vi+mean(vi))
R_THREE = {
    "DL": (0.112500, 0.146554), "HE": (0.130000, 0.163571), "HS": (0.060562, 0.058035), "HSk": (0.105359, 0.130345),
    "SJ": (0.121962, 0.118938), "PM": (0.126347, 0.158732), "EB": (0.126347, 0.158732), "PMM": (0.198529, 0.231204),
    "ML": (0.067718, 0.080733), "REML": (0.122539, 0.155125), "GENQ": (0.121250, 0.153857),
}  # fmt: skip


@pytest.mark.parametrize("method", R_THREE)
def test_estimates_and_errors_against_metafor(method):
    y, v, X = np.array([0.1, 0.4, 0.9]), np.array([0.02, 0.03, 0.05]), np.ones((3, 1))
    ai = 1 / (v + v.mean())
    tau2 = het.estimate_tau2(y, v, X, method, ai)
    assert [tau2, het.tau2_se(y, v, X, tau2, method, ai)] == pytest.approx(R_THREE[method], abs=6e-7)


@pytest.mark.parametrize(("method", "ai"), [("DL", 1 / VI), ("HE", np.ones(6))])
@pytest.mark.parametrize("X", [X1, X2])
def test_two_moment_estimators_are_cases_of_the_generalised_q(method, ai, X):
    tau2 = het.ESTIMATORS[method](YI, VI, X)
    assert het.estimate_tau2(YI, VI, X, "GENQ", 1e6 * ai) == pytest.approx(tau2, rel=1e-12)
    assert het.tau2_se(YI, VI, X, tau2, "GENQ", 1e6 * ai) == pytest.approx(
        het.tau2_se(YI, VI, X, tau2, method), rel=1e-12
    )


def test_hunter_schmidt_on_its_definition():
    Q, k = het.weighted(YI, 1 / VI, X2).rss, 6
    assert het.ESTIMATORS["HS"](YI, VI, X2) == pytest.approx((Q - k) / np.sum(1 / VI))
    assert het.ESTIMATORS["HSk"](YI, VI, X2) == pytest.approx((1.5 * Q - k) / np.sum(1 / VI))


# (yi, vi, reml): found by search among random data with variances from 1e-4 to 10
SEVERAL_PEAKS = [
    ([0.04, 1.63, 1.96, 0.11], [0.0005, 9.0069, 0.4292, 0.0009], True),
    ([0.06, -0.05, -0.1, -1.34], [0.004, 0.0001, 0.0021, 0.6538], True),
    ([0.06, -0.73, -0.06, 0.01, 4.5, -0.45, -0.71], [0.0164, 2.2331, 0.0001, 0.001, 6.1298, 0.1852, 1.3754], False),
]


@pytest.mark.parametrize(("yi", "vi", "reml"), SEVERAL_PEAKS)
@pytest.mark.parametrize("power", [-8, 0, 8])
def test_the_highest_of_several_peaks_is_found(yi, vi, reml, power):
    y, v, X = np.array(yi), np.array(vi), np.ones((len(yi), 1))
    c = 10.0**power
    peaks = likelihood.likelihood_peaks(c * y, c * c * v, X, reml)
    grid = np.concatenate([[0], np.geomspace(1e-8, 50, 4000)])
    heights = np.array([likelihood.tau2_likelihood(y, v, X, t, reml) for t in grid])
    inner = np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])) + 1
    expected = sorted([*grid[inner], *([0.0] if heights[0] > heights[1] else [])])
    assert len(peaks) == 2
    assert sorted(peak.tau2 / c**2 for peak in peaks) == pytest.approx(expected, rel=5e-3)
    assert peaks[0].tau2 / c**2 == pytest.approx(grid[heights.argmax()], rel=5e-3)
    for peak in peaks:
        score = likelihood.tau2_score(y, v, X, peak.tau2 / c**2, reml)
        assert score <= 0 if peak.tau2 == 0 else score == pytest.approx(0, abs=1e-9 / peak.tau2 * c**2)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("X", [X1, X2])
def test_the_quick_scan_is_the_score(reml, X):
    grid = likelihood.likelihood_grid(YI, VI, X)
    slow = [likelihood.tau2_score(YI, VI, X, t, reml) for t in grid]
    assert likelihood._scan(YI, VI, X, grid, reml) == pytest.approx(slow, rel=1e-6)
    assert slow[-1] < 0


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [1, 4, 2, 3, 5, 0], [3, 1, 5, 0, 4, 2]])
def test_a_huge_spread_of_variances_costs_no_digits(order):
    """Exact fractions as the witness, variances from 1e-12 to 1e12."""
    y = np.array([0.1, 0.4, 0.9, -0.3, 1.7, 0.25])[order]
    v = np.array([1e-12, 1e12, 1.0, 1e-6, 1e6, 1e-9])[order]
    wi = [1 / Fraction(x) for x in v]
    mean = sum(w * Fraction(x) for w, x in zip(wi, y, strict=True)) / sum(wi)
    rss = sum(w * (Fraction(x) - mean) ** 2 for w, x in zip(wi, y, strict=True))
    found = het.weighted(y, 1 / v, X1)
    assert found.beta[0] == pytest.approx(float(mean), rel=1e-15)
    assert found.rss == pytest.approx(float(rss), rel=1e-13)
    for method in sorted(het.ESTIMATORS):
        here = het.ESTIMATORS[method](y, v, X1)
        assert here == pytest.approx(het.ESTIMATORS[method](np.sort(y), v[np.argsort(y)], X1), rel=1e-10)
