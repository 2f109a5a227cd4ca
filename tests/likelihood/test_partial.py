"""Region probabilities: closed forms, mpmath, scipy, brute force over theta, symmetry, and tables that cannot stand."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from catharsis.errors import ModelError
from catharsis.likelihood.partial import Row, chi_rule, log_region, partial_evidence, swift_rule

SETTLED = 1e-9  # of a log probability; worst seen 5e-10, at 10 degrees of freedom and alpha = .001


def critical(df, alpha):
    return float(-special.stdtrit(df, alpha / 2))


def row(df, *regions, m=None):
    return Row("x", "x", math.sqrt(df + 1) if m is None else m, float(df), regions, "")


def chance(theta=0.0, **cells):
    frame = pd.DataFrame([{"kind": "bounds", "design": "one-sample", "n": 12, "sign": 1, "verdict": "sig"} | cells])
    return float(np.exp(partial_evidence(frame).log_probability(np.array([theta]))[0, 0]))


# -- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "design",
    [{"design": "two-sample", "n1": 8, "n2": 8}, {"n": 3}, {"n": 500}, {"n": 16, "df": 9},
     {"design": "proportion", "n": 20}, {"design": "proportion", "n": 20, "rate": 0.2},
     {"design": "two-proportions", "n1": 12, "n2": 40, "rate": 0.1}, {"design": "normal", "sei": 0.3}],
)  # fmt: skip
@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.001])
def test_no_effect_is_significant_as_often_as_alpha_says(design, alpha):
    assert chance(**design, alpha=alpha) == pytest.approx(alpha / 2, rel=1e-9)
    assert chance(**design, alpha=alpha, sign=0) == pytest.approx(alpha, rel=1e-9)
    assert chance(**design, alpha=alpha, sided=1) == pytest.approx(alpha, rel=1e-9)
    assert chance(**design, alpha=alpha, verdict="ns") == pytest.approx(0.5 - alpha / 2, rel=1e-9)
    assert chance(**design, alpha=alpha, verdict="ns", sign=0) == pytest.approx(1 - alpha, rel=1e-9)
    assert chance(**design, kind="direction", verdict=None) == pytest.approx(0.5, rel=1e-12)


def test_a_gaussian_plug_in_is_not_what_we_do():
    """8 + 8 people: g beyond the critical t in units of its Gaussian standard error happens less often than .025."""
    ours = chance(design="two-sample", n1=8, n2=8)
    g = (1 - 3 / 55) * critical(14, 0.05) / 2
    assert ours == pytest.approx(0.025, rel=1e-12)
    assert special.ndtr(-g / 0.5) == pytest.approx(0.0213, abs=1e-4)  # with the variance at 0
    assert special.ndtr(-g / math.sqrt(0.25 + g**2 / 32)) < 0.03


def test_a_direction_is_a_normal_tail_however_small():
    frame = pd.DataFrame([{"kind": "direction", "design": "one-sample", "n": 100, "sign": -1}])
    theta = np.array([-3.0, 0.0, 2.0, 9.0])
    np.testing.assert_allclose(
        partial_evidence(frame).log_probability(theta)[0], special.log_ndtr(-10 * theta), rtol=1e-14
    )


def test_regions_of_a_verdict_share_out_the_certain_event():
    theta = np.linspace(-2, 2, 9)
    rows = [{"sign": 1}, {"sign": -1}, {"sign": 1, "verdict": "ns"}, {"sign": -1, "verdict": "ns"}]
    frame = pd.DataFrame([{"kind": "bounds", "design": "one-sample", "n": 9, "verdict": "sig"} | one for one in rows])
    np.testing.assert_allclose(np.exp(partial_evidence(frame).log_probability(theta)).sum(axis=0), 1.0, rtol=1e-10)


@pytest.mark.parametrize(("n", "theta"), [(4, 0.0), (20, 0.4), (300, -0.1)])
def test_a_correlation_is_normal_in_z_with_the_critical_r_of_t(n, theta):
    t = critical(n - 2, 0.05)
    z = math.atanh(t / math.sqrt(n - 2 + t**2))
    wanted = special.ndtr((theta - z) * math.sqrt(n - 3))
    assert chance(theta, design="correlation", n=n) == pytest.approx(wanted, rel=1e-12)


def test_a_partial_correlation_has_the_error_of_its_degrees_of_freedom():
    assert chance(0.3, design="correlation", n=40, df=30) == pytest.approx(chance(0.3, design="correlation", n=32))


# -- witnesses --------------------------------------------------------------------------------------------------------


def by_mpmath(low, high, df, m, mu, tau):
    """Integral over s of its density times a normal probability, split around its highest point."""
    spread = mp.sqrt(mp.mpf(1) / m**2 + mp.mpf(tau) ** 2)
    nu = mp.mpf(df)
    constant = mp.log(2) + nu / 2 * mp.log(nu / 2) - mp.loggamma(nu / 2)

    def inside(s):
        a, b = ((end * s / m - mu) / spread for end in (low, high))
        return mp.ncdf(-a) - mp.ncdf(-b) if a > 0 else mp.ncdf(b) - mp.ncdf(a)

    def integrand(u):
        return mp.exp(constant + nu * u - nu * mp.exp(2 * u) / 2) * inside(mp.exp(u))

    scan = np.linspace(-9, 4, 105)
    top = scan[int(np.argmax([float(mp.log(integrand(mp.mpf(float(u))))) for u in scan]))]
    width = 2 / math.sqrt(df)
    edges = [top + width * k for k in (-60, -30, -15, -8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8)]
    return float(mp.log(mp.quad(integrand, edges)))


@pytest.mark.parametrize(
    ("df", "alpha", "shape", "delta", "tau"),
    [
        (2, 0.05, "up", 0.0, 0.3), (2, 0.01, "between", 9.0, 0.0), (4, 0.05, "up", -6.0, 0.0),
        (7, 0.001, "half", 5.0, 0.2), (14, 0.05, "between", 7.0, 0.0), (14, 0.05, "up", -12.0, 0.0),
        (30, 0.01, "half", -3.0, 0.1), (60, 0.05, "between", 14.0, 0.0), (200, 0.05, "up", 2.5, 0.4),
        (498, 0.001, "up", -9.0, 0.0), (498, 0.05, "between", 12.0, 0.05),
    ],
)  # fmt: skip
def test_mpmath(df, alpha, shape, delta, tau):
    """From common probabilities to 1e-90."""
    with mp.workdps(25):
        c, m = critical(df, alpha), math.sqrt(df + 1)
        low, high = {"up": (c, math.inf), "between": (-c, c), "half": (0.0, c)}[shape]
        wanted = by_mpmath(low, mp.inf if math.isinf(high) else high, df, m, delta / m, tau)
    ours = log_region(row(df, (low, high)), np.array([delta / m]), np.array([tau**2]))[0]
    assert ours == pytest.approx(wanted, rel=1e-10, abs=SETTLED)


def test_scipy_where_it_holds():
    """scipy's noncentral t is good to 1e-9 in the middle and a difference of numbers near 1 in the tails."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        df = int(rng.integers(2, 500))
        c, m = critical(df, float(rng.choice([0.1, 0.05, 0.01]))), math.sqrt(df + 1)
        delta = rng.uniform(-2, 6, 20)
        law = stats.nct(df, delta)
        ours = np.exp(log_region(row(df, (-c, c)), delta / m, np.zeros(20)))
        np.testing.assert_allclose(ours, law.cdf(c) - law.cdf(-c), atol=2e-9)


def test_theta_is_integrated_out():
    """The closed form against a fine sum over theta ~ N(mu, tau^2)."""
    rng = np.random.default_rng(5)
    z = np.linspace(-9, 9, 4001)
    weight = np.exp(-0.5 * z**2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    for _ in range(20):
        df, alpha = int(rng.integers(2, 300)), float(rng.choice([0.1, 0.05, 0.01]))
        c = critical(df, alpha)
        one = row(df, *[[(c, math.inf)], [(-c, c)], [(0.0, c)], [(-math.inf, -c), (c, math.inf)]][rng.integers(4)])
        mu, tau = rng.normal(0, 0.7), rng.uniform(0.02, 1.0)
        theta = mu + tau * z
        summed = np.exp(log_region(one, theta, np.zeros_like(theta))) @ weight
        ours = np.exp(log_region(one, np.array([mu]), np.array([tau**2]))[0])
        assert ours == pytest.approx(summed, rel=1e-8)


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 14.0, 60.0, 498.0, 1e5])
def test_moments_of_the_rule(df):
    s, log_weight = chi_rule(df, 3.0)
    mean = math.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2)) * math.sqrt(2 / df)
    assert np.exp(log_weight) @ s == pytest.approx(mean, rel=1e-10)
    assert np.exp(log_weight) @ s**2 == pytest.approx(1.0, rel=1e-10)
    s, weight = swift_rule(df, 3.0)
    assert weight @ s**2 == pytest.approx(1.0, rel=1e-10)


def test_the_routes_meet():
    """One curve from common to rare: no step where a rule gives way to the next."""
    for df in (2, 9, 29, 30, 120):
        c, m = critical(df, 0.05), math.sqrt(df + 1)
        delta = np.linspace(-25, 10, 3501)
        curve = log_region(row(df, (c, math.inf)), delta / m, np.zeros_like(delta))
        assert np.all(np.diff(curve) > -1e-12)
        assert np.abs(np.diff(curve, 3)).max() < 1e-5  # of steps of 0.01 in delta


def test_many_points_are_those_of_one():
    theta = np.linspace(-3, 3, 7001)
    one = row(3, (-4.0, 4.0), m=6.0)
    whole = log_region(one, theta, np.full_like(theta, 0.1))
    some = log_region(one, theta[::1000], np.full(8, 0.1))
    np.testing.assert_allclose(whole[::1000], some, rtol=1e-12)


# -- symmetry and shapes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["sig", "ns", None])
def test_a_flip_of_sign_mirrors(verdict):
    theta = np.linspace(-1, 1, 11)
    cells = {
        "kind": "bounds" if verdict else "direction",
        "design": "two-sample",
        "n1": 9,
        "n2": 14,
        "verdict": verdict,
    }
    frame = pd.DataFrame([cells | {"sign": 1}, cells | {"sign": -1}])
    up, down = partial_evidence(frame).log_probability(theta)
    np.testing.assert_allclose(up, down[::-1], rtol=1e-12)


def test_rows_labels_and_parts():
    frame = pd.DataFrame(
        {"label": ["Lee", None], "kind": "direction", "design": "one-sample", "n": [20, 30], "sign": [1, -1]}
    )
    found = partial_evidence(frame)
    assert found.labels == ("Lee", "partial 2")
    assert [one.says for one in found.rows] == ["above 0", "below 0"]
    assert found.part([False, True]).labels == ("partial 2",)
    assert found.log_marginal(np.zeros((2, 3)), np.ones((2, 3))).shape == (2, 2, 3)
    assert partial_evidence(frame.iloc[:0]).log_probability(np.zeros(4)).shape == (0, 4)


# -- tables that cannot stand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"design": "two-proportions", "n1": 5, "n2": 6},
         "row 1: rate is missing; what share of all people had the event?"),
        ({"design": "proportion", "rate": 1}, "row 1: rate is 1; it lies between 0 and 1"),
        ({"design": "correlation", "df": 30},
         "row 1: df is 30; a correlation of 20 people has more than 1 and at most 18"),
        ({"design": "correlation", "n": 3}, "row 1: n is 3; this design needs a whole number of 4 or more"),
        ({"design": "two-sample", "n1": 1, "n2": 1}, "row 1: 1 and 1 people leave no degree of freedom"),
        ({"design": "two-sample", "n1": 5}, "row 1: n2 is missing; how many people were analysed?"),
        ({"design": "normal"}, "row 1: a normal design needs its standard error sei, a positive number"),
        ({"kind": "direction", "verdict": None, "sign": None},
         "row 1: a direction needs a sign of 1 or -1; a zero without a verdict is not n.s."),
        ({"verdit": "ns"}, 'partial evidence has no column "verdit": did you mean "verdict"?'),
    ],
)  # fmt: skip
def test_messages(change, message):
    cells = {"kind": "bounds", "design": "one-sample", "n": 20, "sign": 1, "verdict": "sig"} | change
    if "verdit" in change:
        del cells["verdict"]
    with pytest.raises(ModelError) as problem:
        partial_evidence(pd.DataFrame([cells]))
    assert str(problem.value) == message


def test_not_a_table():
    with pytest.raises(
        ModelError, match="partial evidence is a data frame with one row for each study; this is a list"
    ):
        partial_evidence([{"kind": "direction"}])
    with pytest.raises(ModelError, match="partial evidence needs the columns kind, design"):
        partial_evidence(pd.DataFrame({"n": [3]}))
