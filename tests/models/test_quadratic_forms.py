"""The exact distribution of a quadratic form: a published table, closed forms, and Imhof's integral by brute force."""

import numpy as np
import pytest
from scipy.stats import chi2

from catharsis.models.fit import fit
from catharsis.models.moment_estimators import generalised_q_tails
from catharsis.models.quadratic_forms import quadratic_form_tails

# Imhof (1961), Biometrika 48, table 1: P(Q > q) of sum d_i chi2_1, printed to four decimals (Q1, Q2 with a double term)
IMHOF = [
    ([0.6, 0.3, 0.1], 0.1, 0.9458), ([0.6, 0.3, 0.1], 0.7, 0.5064), ([0.6, 0.3, 0.1], 2.0, 0.1240),
    ([0.6, 0.6, 0.3, 0.3, 0.1, 0.1], 0.2, 0.9936), ([0.6, 0.6, 0.3, 0.3, 0.1, 0.1], 2.0, 0.3998),
    ([0.6, 0.6, 0.3, 0.3, 0.1, 0.1], 6.0, 0.0161),
]  # fmt: skip


def brute_force(q, values, piece=0.5):
    """P(Q > q) by Imhof's integral, piece by piece with 20 Gauss-Legendre points; for five terms and more."""
    end = 3.0
    while np.prod((1 + (values * end) ** 2) ** -0.25) / end > 1e-13:
        end *= 1.3
    nodes, weights = np.polynomial.legendre.leggauss(20)
    starts = np.arange(0, end, piece)
    u = (starts[:, None] + piece / 2 * (nodes + 1)).ravel()
    angle, damping = -0.5 * q * u, np.zeros_like(u)
    for value in values:
        angle += 0.5 * np.arctan(value * u)
        damping -= 0.25 * np.log1p((value * u) ** 2)
    wave = np.sin(angle) / u * np.exp(damping)
    return 0.5 + piece / 2 / np.pi * float(np.tile(weights, len(starts)) @ wave)


@pytest.mark.parametrize(("terms", "q", "printed"), IMHOF)
def test_imhofs_table(terms, q, printed):
    assert quadratic_form_tails(q, np.array(terms), np.zeros((len(terms), 0))).upper == pytest.approx(printed, abs=6e-5)


@pytest.mark.parametrize("df", [1, 2, 3, 10, 200])
@pytest.mark.parametrize("p", [1e-12, 1e-4, 0.025, 0.5, 0.975, 1 - 1e-4])
@pytest.mark.parametrize("unit", [1e-16, 1.0, 1e16])
def test_equal_terms_are_chi_square(df, p, unit):
    """Also in the tails, relative to their size."""
    q = chi2.ppf(p, df)
    found = quadratic_form_tails(q * unit, np.full(df + 1, unit), np.full((df + 1, 1), (df + 1) ** -0.5))
    assert found.lower == pytest.approx(chi2.cdf(q, df), rel=1e-11)
    assert found.upper == pytest.approx(chi2.sf(q, df), rel=1e-11)


@pytest.mark.parametrize("ratio", [1.0001, 3.0, 1e3, 1e8])
def test_two_pairs_of_terms_in_closed_form(ratio):
    """d chi2_2 + chi2_2: a difference of two exponentials."""
    d = np.array([ratio, ratio, 1.0, 1.0])
    for q in (0.1, 1.0, ratio, 10 * ratio):
        by_hand = (ratio * np.exp(-q / 2 / ratio) - np.exp(-q / 2)) / (ratio - 1)
        assert quadratic_form_tails(q, d, np.zeros((4, 0))).upper == pytest.approx(by_hand, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("k", "p"), [(6, 1), (9, 2), (30, 4), (80, 3)])
def test_against_brute_force(k, p):
    rng = np.random.default_rng(20261123 + k)
    X = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    a, m = rng.uniform(0.2, 4, k), rng.uniform(0.1, 3, k)
    H = np.linalg.qr(np.sqrt(a)[:, None] * X)[0]
    root = np.sqrt(a * m)
    values = np.linalg.eigvalsh(root[:, None] * (np.eye(k) - H @ H.T) * root)[p:]
    for q in values.sum() * np.array([0.4, 0.9, 1.3]):
        assert quadratic_form_tails(q, a * m, H).upper == pytest.approx(
            brute_force(q / values[-1], values / values[-1]), abs=1e-10
        )


def test_beyond_the_ends():
    d, H = np.array([1.0, 2.0]), np.zeros((2, 0))
    assert quadratic_form_tails(0.0, d, H).lower == 0
    assert quadratic_form_tails(-1.0, d, H).upper == 1
    assert quadratic_form_tails(float("inf"), d, H).upper == 0
    assert quadratic_form_tails(1e5, d, H).upper < 1e-300


# dat.bcg, log risk ratios (metadat); the limits are metafor 5.0-1's confint of GENQ with weights 1/(vi+mean(vi))
BCG = {
    "yi": [-0.8893113339202054, -1.5853886572014306, -1.348073148299693, -1.4415511900213054, -0.2175473222112957,
           -0.786115585818864, -1.6208982235983924, 0.011952333523841173, -0.4694176487381487, -1.3713448034727846,
           -0.33935882833839015, 0.4459134005713783, -0.017313948216879493],
    "vi": [0.3255847650039614, 0.19458112139814387, 0.41536796536796533, 0.020010031902247573, 0.05121017216963086,
           0.0069056184559087574, 0.22301724757231517, 0.00396157929781773, 0.056434210463248966, 0.07302479361302891,
           0.01241221397155972, 0.5325058452001528, 0.0714046596839863],
}  # fmt: skip
R_LIMITS = {0.025: 0.11703503118742392, 0.975: 1.059643448536234}


def test_rs_limits_miss_what_they_solve_for():
    """R's series for the same distribution stops early: its lower limit leaves 0.025009 above Q, not 0.025."""
    yi, vi = np.array(BCG["yi"]), np.array(BCG["vi"])
    ai, X = 1 / (vi + vi.mean()), np.ones((13, 1))
    model = fit(yi=yi, vi=vi, method="GENQ", weights=ai, test="z")
    P = np.diag(ai) - np.outer(ai, ai) / ai.sum()
    for (target, theirs), ours in zip(R_LIMITS.items(), model.confint_heterogeneity(), strict=True):
        for tau2, miss in ((theirs, None), (ours, 0.0)):
            root = np.sqrt(vi + tau2)
            values = np.linalg.eigvalsh(root[:, None] * P * root)[1:]
            independent = brute_force(yi @ P @ yi / values[-1], values / values[-1])
            assert generalised_q_tails(yi, vi, X, ai, tau2).upper == pytest.approx(independent, abs=2e-10)
            if miss == 0.0:
                assert independent == pytest.approx(target, abs=2e-10)
            else:
                assert abs(independent - target) > 3e-8


def test_cost_is_linear():
    """A hundred thousand effects, no k x k matrix (80 GB)."""
    k = 100_000
    d = np.linspace(0.5, 2, k)
    H = np.full((k, 1), k**-0.5)
    free, z = 1 - H[:, 0] ** 2, 1.959963984540054
    mean, spread = float(d @ free), float(np.sqrt(2 * d**2 @ free))
    skewness = 8 * float(d**3 @ free) / spread**3
    edgeworth = 0.025 + skewness / 6 * (z**2 - 1) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    assert quadratic_form_tails(mean + z * spread, d, H).upper == pytest.approx(edgeworth, abs=2e-6)
