"""p-uniform and p-uniform*: against brute force, and what must hold for any data."""

import numpy as np
import pytest
from scipy import special, stats
from scipy.optimize import minimize

import catharsis as ca
from catharsis.assess.p_uniform_estimates import irwin_hall, irwin_hall_quantile
from catharsis.errors import ModelError

YI = np.array([0.9, 0.6, 0.5, 0.45, 0.3, 0.35, 0.2, 0.12, 0.1, -0.05, 0.42, -0.2])
VI = np.array([0.10, 0.08, 0.05, 0.04, 0.01, 0.02, 0.015, 0.02, 0.01, 0.02, 0.03, 0.06])


def q(d):
    """Conditional p-values of the significant effects as the paper prints them."""
    s = np.sqrt(VI)
    cut = stats.norm.isf(0.025) * s
    return (stats.norm.sf(YI, d, s) / stats.norm.sf(cut, d, s))[cut <= YI]


def test_irwin_hall_is_the_distribution_of_a_sum():
    assert irwin_hall(1, 0.3) == 0.3
    assert irwin_hall(3, 1.5) == 0.5
    assert irwin_hall(4, 4.0) == 1.0
    draws = np.random.default_rng(1).random((200_000, 5)).sum(axis=1)
    assert irwin_hall(5, 1.7) == pytest.approx(np.mean(draws <= 1.7), abs=0.004)
    for k in (1, 7, 40):
        x = irwin_hall_quantile(k, 0.025)
        assert irwin_hall(k, x) == pytest.approx(0.025, rel=1e-12)
        assert irwin_hall_quantile(k, 0.975) == pytest.approx(k - x, rel=1e-12)


def test_p_solves_its_equation():
    m = ca.p_uniform(YI, VI)
    k = len(q(0))
    assert m.significant == k
    assert q(m.estimate).sum() == pytest.approx(k / 2, rel=1e-10)
    assert q(m.low).sum() == pytest.approx(irwin_hall_quantile(k, 0.025), rel=1e-9)
    assert q(m.high).sum() == pytest.approx(irwin_hall_quantile(k, 0.975), rel=1e-9)
    assert m.p == pytest.approx(stats.norm.cdf((q(0).sum() - k / 2) / np.sqrt(k / 12)), rel=1e-10)
    fixed = np.sum(YI / VI) / np.sum(1 / VI)
    assert m.bias_p == pytest.approx(stats.norm.sf((q(fixed).sum() - k / 2) / np.sqrt(k / 12)), rel=1e-9)


def test_gamma_methods_solve_their_equations():
    k = len(q(0))
    fisher, other = ca.p_uniform(YI, VI, method="LNP"), ca.p_uniform(YI, VI, method="LN1MINP")
    assert -np.log(q(fisher.estimate)).sum() == pytest.approx(k, rel=1e-10)
    assert -np.log1p(-q(other.estimate)).sum() == pytest.approx(k, rel=1e-10)
    assert fisher.p == pytest.approx(stats.gamma.sf(-np.log(q(0)).sum(), k), rel=1e-9)
    assert other.p == pytest.approx(stats.gamma.cdf(-np.log1p(-q(0)).sum(), k), rel=1e-9)
    assert fisher.low < fisher.estimate < fisher.high
    assert other.low < other.estimate < other.high


@pytest.mark.parametrize("method", ["KS", "AD"])
def test_distances_are_smallest(method):
    m = ca.p_uniform(YI, VI, method=method)

    def distance(d):
        if method == "KS":
            return stats.kstest(q(d), "uniform").statistic
        z, k = np.sort(q(d)), len(q(d))
        return -k - np.mean((2 * np.arange(1, k + 1) - 1) * (np.log(z) + np.log1p(-z[::-1])))

    assert all(distance(d) >= distance(m.estimate) - 1e-9 for d in np.linspace(m.estimate - 0.5, m.estimate + 0.5, 301))
    assert np.isnan(m.p)


def truncated(d, tau2, only):
    s, sigma = np.sqrt(VI + tau2), np.sqrt(VI)
    cut = stats.norm.isf(0.025) * sigma
    found = stats.norm.logpdf(YI, d, s) - np.where(cut <= YI, stats.norm.logsf(cut, d, s), stats.norm.logcdf(cut, d, s))
    return found[cut <= YI].sum() if only else found.sum()


def test_maximum_likelihood():
    m = ca.p_uniform(YI, VI, method="ML")
    best = minimize(
        lambda x: -truncated(x[0], 0, True), [0.1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    assert m.estimate == pytest.approx(best.x[0], abs=1e-6)
    drop = special.chdtri(1, 0.05)
    for bound in (m.low, m.high):
        assert 2 * (-best.fun - truncated(bound, 0, True)) == pytest.approx(drop, rel=1e-6)
    assert m.statistic == pytest.approx(2 * (-best.fun - truncated(0, 0, True)), rel=1e-6)


def test_star_is_the_maximum_of_the_conditional_likelihood():
    m = ca.p_uniform_star(YI * 1.5, VI * 0.5)
    assert m.at_maximum
    m = ca.p_uniform_star(YI, VI)
    assert m.llf == pytest.approx(truncated(m.estimate, m.tau2, False), rel=1e-12)
    best = minimize(lambda x: -truncated(x[0], x[1] ** 2, False), [0.1, 0.1], method="Nelder-Mead",
                    options={"xatol": 1e-9, "fatol": 1e-13})  # fmt: skip
    assert m.llf >= -best.fun - 1e-10
    profile = [max(truncated(d, t, False) for t in np.linspace(0, 0.1, 2001)) for d in (m.low, m.high)]
    assert 2 * (m.llf - np.array(profile)) == pytest.approx(special.chdtri(1, 0.05), abs=1e-3)
    assert m.tau2_low <= m.tau2 <= m.tau2_high


@pytest.mark.parametrize("c", [1e-8, 1e8])
@pytest.mark.parametrize("method", ["P", "LNP", "LN1MINP", "AD", "ML", "star"])
def test_unit_order_and_side_are_no_matter(method, c):
    def run(y, v, side="right"):
        if method == "star":
            m = ca.p_uniform_star(y, v, side=side)
            return np.array([m.estimate, m.low, m.high]), np.array([m.tau2, m.tau2_high]), np.array([m.p, m.tau2_p])
        m = ca.p_uniform(y, v, method=method, side=side)
        return np.array([m.estimate, m.low, m.high]), np.zeros(2), np.array([m.p, m.bias_p])

    tight = 1e-9 if method != "AD" else 1e-6  # a minimum is flat: its place is good to half of the digits
    plain, order = run(YI, VI), np.arange(12)[::-1]
    for other, unit in ((run(c * YI[order], c**2 * VI[order]), c), (run(-YI, VI, "left"), -1)):
        effect = unit * plain[0] if unit > 0 else unit * plain[0][[0, 2, 1]]
        assert other[0] == pytest.approx(effect, rel=tight, nan_ok=True)
        assert other[1] == pytest.approx(unit**2 * plain[1], rel=tight)
        assert other[2] == pytest.approx(plain[2], rel=tight, nan_ok=True)


def test_notes():
    m = ca.p_uniform([0.2, 0.21, 0.3], [0.01, 0.01, 0.09])
    assert m.notes[0] == "2 significant effects of 3 used"
    assert "zero is the better estimate" in m.notes[1]
    assert "every effect is significant to the right" in ca.p_uniform_star([0.5, 0.6], [0.01, 0.02]).notes
    assert list(m.summary().columns) == ["estimate", "low", "high", "statistic", "p"]
    assert list(ca.p_uniform_star(YI, VI).summary().index) == ["effect", "tau2"]


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "p"}, 'there is no method "p"'),
    ({"side": "up"}, 'there is no side "up"'),
    ({"alpha": 2.0}, "alpha is 2.0; the significance level lies between 0 and 1"),
    ({"side": "left"}, "none of the 12 effects is significant to the left at 0.05; p-uniform uses only such"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ModelError) as problem:
        ca.p_uniform(YI, VI, **options)
    assert message in str(problem.value)


def test_bad_data_are_refused():
    with pytest.raises(ModelError, match=r"the variance of 1 is 0\.0"):
        ca.p_uniform([0.5, 0.6], [0, 1])
    with pytest.raises(ModelError, match="at least 2 effects"):
        ca.p_uniform_star([0.5], [0.01])


def test_a_bound_that_is_never_reached_is_infinite():
    m = ca.p_uniform_star(
        [0.3] * 5, [0.01] * 5
    )  # every effect significant: the likelihood falls too slowly to the left
    assert m.low == -np.inf
    assert np.isfinite([m.estimate, m.high]).all()
