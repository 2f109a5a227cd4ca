"""Generalised linear mixed models of counts: brute force, R's numbers and where R is wrong, properties, bad input.

Golden numbers: metafor 5.0-1 with lme4 1.1-31 (R 4.2.2), `rma.glmm(measure="OR", ...)` on the data named.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import catharsis as ca
from catharsis.errors import ModelError
from catharsis.likelihood.counts_marginal import log_likelihood_at_modes, study_log_likelihoods
from catharsis.likelihood.counts_maximum import look, maximise

BCG = {
    "ai": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    "n1i": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
    "ci": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    "n2i": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
}
LATITUDE = np.array([44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33.0])
# 6 small trials, two with a zero cell
SMALL = {
    "ai": [0, 3, 5, 2, 12, 7],
    "n1i": [10, 11, 25, 15, 42, 20],
    "ci": [3, 4, 4, 0, 15, 10],
    "n2i": [12, 12, 26, 16, 40, 19],
}
RATES = {"x1i": [0, 3, 5, 1, 12], "t1i": [10, 11.5, 25, 15, 42], "x2i": [2, 0, 4, 2, 15], "t2i": [12, 9, 26, 16, 40]}
GRID = np.linspace(-9, 9, 721)  # standard normal random effects; the trapezoid rule is exact to rounding here


def integrated(heights):
    """log of the integral over z of exp(height(z)) times the standard normal density, over the last axis."""
    return np.log(np.sum(np.exp(heights - GRID**2 / 2), axis=-1) * (GRID[1] - GRID[0]) / np.sqrt(2 * np.pi))


def brute(model, par):
    """The log-likelihood by the trapezoid rule over all random effects; SMALL, one random effect per study."""
    a, n, c, m = (np.array(SMALL[name], dtype=float)[:, None] for name in ("ai", "n1i", "ci", "n2i"))
    if model == "UM.FS":
        level, effect, tau = np.array(par[:6])[:, None], par[6], par[7]
        eta1, eta2 = level + effect + tau * GRID / 2, level - tau * GRID / 2
        heights = stats.binom.logpmf(a, n, 1 / (1 + np.exp(-eta1))) + stats.binom.logpmf(c, m, 1 / (1 + np.exp(-eta2)))
    elif model == "CM.EL":
        eta = par[0] + par[1] * GRID
        heights = np.stack([
            stats.nchypergeom_fisher.logpmf(a[i], n[i] + m[i], n[i], a[i] + c[i], np.exp(eta)) for i in range(6)
        ])  # fmt: skip
    elif model == "CM.AL":
        eta = np.log(n / m) + par[0] + par[1] * GRID
        heights = stats.binom.logpmf(a, a + c, 1 / (1 + np.exp(-eta)))
    else:
        eta = par[0] + par[1] * GRID
        heights = stats.binom.logpmf(a, n, 1 / (1 + np.exp(-eta)))
    return float(np.sum(integrated(heights)))


def second_derivatives(function, at, h=1e-3):
    """Hessian by central differences."""
    size = len(at)
    found = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            e, f = np.eye(size)[i] * h, np.eye(size)[j] * h
            found[i, j] = function(at + e + f) - function(at + e - f) - function(at - e + f) + function(at - e - f)
    return found / (4 * h * h)


@pytest.mark.parametrize("model", ["UM.FS", "CM.AL", "CM.EL", "PLO"])
def test_the_maximum_is_that_of_brute_force(model):
    if model == "PLO":
        found = ca.fit_counts("PLO", xi=SMALL["ai"], ni=SMALL["n1i"], nagq=61)
    else:
        found = ca.fit_counts("OR", **SMALL, model=model, nagq=61)
    ours = np.concatenate([found.maximum.own if model == "UM.FS" else [], found.beta, [found.tau2**0.5]])
    assert found.llf == pytest.approx(brute(model, ours), rel=1e-10)
    assert np.abs(found.maximum.slope).max() < 1e-9
    if model != "CM.EL":  # scipy's hypergeometric is slow
        again = optimize.minimize(lambda par: -brute(model, par), ours + 0.05, tol=1e-10)
        assert -again.fun <= found.llf + 1e-9
        assert again.x[-2] == pytest.approx(ours[-2], abs=1e-4)
        hessian = second_derivatives(lambda par: brute(model, par), ours)
        assert found.se[0] == pytest.approx(np.sqrt(np.linalg.inv(-hessian)[-2, -2]), rel=1e-5)


# ll is what R reports; see the next tests for what that is
@pytest.mark.parametrize(
    ("model", "method", "nagq", "beta", "se", "tau2", "ll"),
    [
        ("UM.FS", "EE", 7, -0.4772554, 0.0412319, 0, -157.6481684),
        ("UM.FS", "ML", 7, -0.7450135, 0.1755658, 0.2948936, None),
        ("UM.RS", "ML", 1, -0.7615840, None, 0.3198355, -126.2962883),
        ("CM.AL", "EE", 7, -0.4551195, 0.0402791, 0, -110.6621610),
        ("CM.AL", "ML", 7, -0.7221170, 0.1744019, 0.2887104, None),
        ("CM.EL", "ML", 7, -0.7538105, 0.1800758, 0.3116349, -48.3747910),
    ],
)
def test_the_bcg_trials(model, method, nagq, beta, se, tau2, ll):
    found = ca.fit_counts("OR", **BCG, model=model, method=method, nagq=nagq)
    assert found.beta[0] == pytest.approx(beta, rel=2e-4)
    assert found.tau2 == pytest.approx(tau2, rel=2e-4)
    if se is not None:
        assert found.se[0] == pytest.approx(se, rel=2e-4)
    if ll is not None:
        assert found.llf == pytest.approx(ll, rel=1e-6)


@pytest.mark.parametrize(("model", "ll"), [("UM.FS", -70.96768734), ("CM.AL", -31.50630660)])
def test_what_r_calls_the_log_likelihood_of_mixed_models(model, ll):
    """R's value is that of the counts given the random effects at their modes; the marginal one is far below."""
    found = ca.fit_counts("OR", **BCG, model=model)
    psi, theta = found.arrow.local(found.maximum.shared, found.maximum.own)
    assert log_likelihood_at_modes(found.arrow.model, psi, theta) == pytest.approx(ll, rel=1e-5)
    assert found.llf < ll - 10
    fine = ca.fit_counts("OR", **BCG, model=model, nagq=61)  # and ours is the integral (brute force above)
    assert found.llf == pytest.approx(fine.llf, abs=1e-4)


def test_what_r_calls_the_log_likelihood_with_random_levels():
    """With several nodes lme4 leaves out the saturated model's log-likelihood (here -69.17)."""
    found = ca.fit_counts("OR", **BCG, model="UM.RS", method="EE")
    x = np.array([BCG["ai"], BCG["ci"]]).ravel()
    n = np.array([BCG["n1i"], BCG["n2i"]]).ravel()
    assert found.llf - stats.binom.logpmf(x, n, x / n).sum() == pytest.approx(-127.1842806, rel=1e-7)


def laplace(par):
    """Laplace's approximation for UM.RS on BCG, modes by scipy to the last digit: (level, effect, sigma, tau)."""
    a, n, c, m = (np.array(BCG[name], dtype=float) for name in ("ai", "n1i", "ci", "n2i"))
    load = np.array([[par[2], par[3] / 2], [par[2], -par[3] / 2]])
    total = 0.0
    for i in range(13):
        y, size, base = np.array([a[i], c[i]]), np.array([n[i], m[i]]), np.array([par[0] + par[1], par[0]])

        def slope(z, y=y, size=size, base=base):
            return load.T @ (y - size / (1 + np.exp(-(base + load @ z)))) - z

        def bend(z, size=size, base=base):
            p = 1 / (1 + np.exp(-(base + load @ z)))
            return -(load.T @ ((size * p * (1 - p))[:, None] * load)) - np.eye(2)

        z = optimize.root(slope, np.zeros(2), jac=bend, tol=1e-14).x
        for _ in range(3):
            z = z - np.linalg.solve(bend(z), slope(z))
        p = 1 / (1 + np.exp(-(base + load @ z)))
        total += stats.binom.logpmf(y, size, p).sum() - z @ z / 2 - np.linalg.slogdet(-bend(z))[1] / 2
    return float(total)


def test_lme4_has_not_reached_the_modes():
    """At R's parameters the exact Laplace approximation is ours; R's value is lower, and its standard error wrong."""
    found = ca.fit_counts("OR", **BCG, model="UM.RS", nagq=1)
    par = np.concatenate([found.maximum.shared])
    assert found.llf == pytest.approx(laplace(par), abs=1e-9)
    theirs = np.array([par[0], -0.7615840378, np.sqrt(1.861618165), np.sqrt(0.3198355006)])
    reported = -126.29628834804171
    assert laplace(theirs) - reported > 1e-6  # lme4's inner iterations stop early
    se = np.sqrt(np.linalg.inv(-second_derivatives(laplace, par))[1, 1])
    assert found.se[0] == pytest.approx(se, rel=1e-5)
    assert abs(0.1814645307829382 / se - 1) > 3e-3  # R's, from finite differences of that unfinished function


def test_the_saturated_model_with_random_levels():
    """Its maximum and Wald test by brute force, on 6 tables of which one has a zero cell.

    So where R's likelihood ratio is the smaller one (dat.lau1992, UM.RS by EE: 48.27017, ours 48.27047, at the same
    likelihood of the equal-effects model), R's derivative-free search over k + 2 parameters stopped early.
    """
    events = np.array([[0, 6], [2, 3], [5, 9], [7, 5], [1, 4], [9, 12.0]])
    people = np.array([[29, 24], [30, 31], [44, 40], [50, 48], [22, 25], [80, 77.0]])
    data = {"ai": events[:, 0], "n1i": people[:, 0], "ci": events[:, 1], "n2i": people[:, 1]}
    found = ca.fit_counts("OR", **data, model="UM.RS", method="EE", nagq=15)

    def saturated(par):
        level, sigma, effects = par[0], par[1], np.concatenate([[-40.0], par[2:]])[:, None]
        eta1, eta2 = level + effects + sigma * GRID, level + sigma * GRID
        heights = stats.binom.logpmf(events[:, :1], people[:, :1], 1 / (1 + np.exp(-eta1)))
        return -np.sum(integrated(heights + stats.binom.logpmf(events[:, 1:], people[:, 1:], 1 / (1 + np.exp(-eta2)))))

    best = optimize.minimize(saturated, np.array([-2, 0.5, 0, 0, 0, 0, 0]), tol=1e-10)
    assert found.QE_LRT.statistic == pytest.approx(2 * (-best.fun - found.llf), abs=1e-5)
    # Wald's test from the whole information; the study without events in group 1 has no weight
    information = second_derivatives(saturated, best.x, 1e-3)
    precision = np.linalg.inv(np.linalg.inv(information)[2:, 2:])
    ones = np.ones(5)
    centre = (ones @ precision @ best.x[2:]) / (ones @ precision @ ones)
    away = best.x[2:] - centre
    assert found.QE_Wld.statistic == pytest.approx(away @ precision @ away, rel=1e-4)


def test_the_exact_conditional_hessian():
    """R's numerical second derivative (numDeriv, r = 16) gives se 0.0412232 and a Wald test of 268.6.

    With control=list(hessianCtrl=list(r=4)) R itself gives 0.04122901359 and 163.08996.
    """
    found = ca.fit_counts("OR", **BCG, model="CM.EL", method="EE")
    a, n, c, m = (np.array(BCG[name]) for name in ("ai", "n1i", "ci", "n2i"))

    def law(i, effect):
        return stats.nchypergeom_fisher(n[i] + m[i], n[i], a[i] + c[i], np.exp(effect))

    information = sum(law(i, found.beta[0]).var() for i in range(13))
    assert found.se[0] == pytest.approx(information**-0.5, rel=1e-7)
    assert found.se[0] == pytest.approx(0.04122901359, rel=1e-7)
    own = np.array([optimize.brentq(lambda e, i=i: law(i, e).mean() - a[i], -5, 5, xtol=1e-13) for i in range(13)])
    weight = np.array([law(i, own[i]).var() for i in range(13)])
    assert found.QE_Wld.statistic == pytest.approx(weight @ (own - weight @ own / weight.sum()) ** 2, rel=1e-8)
    assert found.QE_Wld.statistic == pytest.approx(163.08996, rel=5e-6)


def test_moderators():
    """metafor 3.8, mods = (ablat - mean) / 10, test = "t", model CM.AL by ML and UM.FS."""
    X = np.column_stack([np.ones(13), (LATITUDE - LATITUDE.mean()) / 10])
    found = ca.fit_counts("OR", **BCG, X=X, model="CM.AL", test="t")
    frame = pd.DataFrame({**BCG, "latitude": LATITUDE})
    named = ca.fit_counts(
        "OR", ai="ai", n1i="n1i", ci="ci", n2i="n2i", data=frame, formula="~ latitude", model="CM.AL", test="t"
    )
    assert named.params["latitude"] == pytest.approx(found.beta[1] / 10, rel=1e-9)
    assert named.llf == pytest.approx(found.llf, rel=1e-12)
    assert (found.df, found.QM.df2, found.QE_LRT.df1) == (11, 11, 11)
    assert found.QM.statistic == pytest.approx(found.statistic[1] ** 2)
    assert found.aicc == pytest.approx(found.aic + 2 * 3 * 4 / (13 - 3 - 1))


@pytest.mark.parametrize("model", ["UM.FS", "UM.RS", "CM.EL", "CM.AL"])
def test_order_and_groups(model):
    found = ca.fit_counts("OR", **SMALL, model=model, nagq=7)
    order = [3, 1, 5, 0, 2, 4]
    shuffled = ca.fit_counts("OR", **{name: np.array(v)[order] for name, v in SMALL.items()}, model=model, nagq=7)
    assert (shuffled.beta[0], shuffled.se[0], shuffled.llf) == pytest.approx((found.beta[0], found.se[0], found.llf))
    turned = ca.fit_counts(
        "OR", ai=SMALL["ci"], n1i=SMALL["n2i"], ci=SMALL["ai"], n2i=SMALL["n1i"], model=model, nagq=7
    )
    if model in ("UM.FS", "CM.EL"):
        assert (turned.beta[0], turned.tau2) == pytest.approx((-found.beta[0], found.tau2), rel=1e-7)
    else:  # levels of the second group; rare events of the other side
        assert turned.beta[0] < 0 < found.beta[0] or turned.beta[0] > 0 > found.beta[0]


@pytest.mark.parametrize("c", [1e-8, 1e8])
@pytest.mark.parametrize("model", ["UM.FS", "UM.RS", "CM.EL"])
def test_the_unit_of_time(model, c):
    scaled = {**RATES, "t1i": np.multiply(RATES["t1i"], c), "t2i": np.multiply(RATES["t2i"], c)}
    found, other = (ca.fit_counts("IRR", **data, model=model) for data in (RATES, scaled))
    assert (other.beta[0], other.se[0], other.llf) == pytest.approx((found.beta[0], found.se[0], found.llf), rel=1e-7)
    one = ca.fit_counts("IRLN", xi=[5, 9, 2, 30], ti=np.array([10, 11, 7, 21]) * c)
    base = ca.fit_counts("IRLN", xi=[5, 9, 2, 30], ti=[10, 11, 7, 21])
    assert one.beta[0] == pytest.approx(base.beta[0] - np.log(c), rel=1e-9)
    assert one.tau2 == pytest.approx(base.tau2, rel=1e-7)


def test_the_conditional_poisson_model_is_binomial():
    found = ca.fit_counts("IRR", **RATES, model="CM.EL", method="EE")
    x1, t1, x2, t2 = (np.array(RATES[name]) for name in ("x1i", "t1i", "x2i", "t2i"))
    p = 1 / (1 + np.exp(-(found.beta[0] + np.log(t1 / t2))))
    assert found.llf == pytest.approx(stats.binom.logpmf(x1, x1 + x2, p).sum(), rel=1e-12)
    assert np.sum(x1 - (x1 + x2) * p) == pytest.approx(0, abs=1e-10)
    levels = ca.fit_counts("IRR", **RATES, model="UM.FS", method="EE")  # the same estimate, as is well known
    assert (levels.beta[0], levels.se[0]) == pytest.approx((found.beta[0], found.se[0]), rel=1e-9)


def test_coding_and_correlation():
    """A free correlation makes the coding a matter of words; without it the codings are different models."""
    free = [ca.fit_counts("OR", **BCG, model="UM.RS", nagq=1, cor=True, coding=c) for c in (0.5, 1, 0)]
    assert [f.llf for f in free] == pytest.approx([free[0].llf] * 3, rel=1e-9)
    assert [f.tau2 for f in free] == pytest.approx([free[0].tau2] * 3, rel=1e-5)
    assert all(-1 <= f.rho <= 1 for f in free)
    bound = [ca.fit_counts("OR", **BCG, model="UM.RS", nagq=1, coding=c) for c in (0.5, 1, 0)]
    assert len({round(f.llf, 3) for f in bound}) == 3
    assert all(f.llf <= free[0].llf + 1e-9 for f in bound)
    assert free[0].parameters == bound[0].parameters + 1


def test_more_nodes_with_two_random_effects():
    rough, fine = (ca.fit_counts("OR", **SMALL, model="UM.RS", nagq=n) for n in (7, 15))
    assert fine.llf == pytest.approx(rough.llf, abs=1e-4)
    assert fine.beta[0] == pytest.approx(rough.beta[0], abs=1e-4)


def test_a_boundary_is_told_and_is_the_equal_effects_model():
    alike = {"ai": [5, 10, 15], "n1i": [20, 40, 60], "ci": [8, 16, 24], "n2i": [20, 40, 60]}
    for model in ("UM.FS", "CM.EL", "CM.AL"):
        found = ca.fit_counts("OR", **alike, model=model)
        equal = ca.fit_counts("OR", **alike, model=model, method="EE")
        assert found.tau2 == 0
        assert "tau^2 is estimated at its boundary, zero" in found.notes
        assert (found.beta[0], found.se[0], found.llf) == pytest.approx(
            (equal.beta[0], equal.se[0], equal.llf), rel=1e-9
        )
        assert (found.I2, found.H2) == (0, 1)
        if model == "UM.FS":  # the conditional estimates of equal odds ratios differ a little with the margins
            assert found.QE_LRT.statistic == pytest.approx(0, abs=1e-9)


def test_studies_without_events_say_nothing():
    more = {name: [*values, extra] for (name, values), extra in zip(SMALL.items(), (0, 9, 0, 8), strict=True)}
    for model in ("UM.FS", "CM.EL", "CM.AL"):
        kept, dropped = (ca.fit_counts("OR", **more, model=model, drop00=d) for d in (False, True))
        assert (kept.beta[0], kept.tau2, kept.llf) == pytest.approx(
            (dropped.beta[0], dropped.tau2, dropped.llf), rel=1e-8
        )
        assert (kept.nobs, dropped.nobs) == (7, 6)
        assert "1 studies without events, or with nothing but events, left out: 7" in dropped.notes


def test_many_studies_recover_the_truth():
    rng = np.random.default_rng(5)
    k, effect, tau = 400, -0.5, 0.6
    level, own = rng.normal(-1.5, 0.7, k), rng.normal(effect, tau, k)
    n = rng.integers(20, 90, k)
    a = rng.binomial(n, 1 / (1 + np.exp(-(level + own / 2))))
    c = rng.binomial(n, 1 / (1 + np.exp(-(level - own / 2))))
    for model in ("UM.FS", "UM.RS", "CM.EL"):
        found = ca.fit_counts("OR", ai=a, n1i=n, ci=c, n2i=n, model=model, nagq=5)
        assert abs(found.beta[0] - effect) < 3 * found.se[0] + (0.05 if model == "UM.FS" else 0)  # levels bias UM.FS
        assert found.tau == pytest.approx(tau, abs=0.15)


def test_every_local_derivative_meets_in_the_arrow():
    found = ca.fit_counts("OR", **SMALL, model="UM.FS")
    shared, own, h = found.maximum.shared + 0.1, found.maximum.own - 0.05, 1e-5
    here = look(found.arrow, shared, own)
    for j in range(len(shared)):
        e = np.eye(len(shared))[j] * h
        up, down = look(found.arrow, shared + e, own), look(found.arrow, shared - e, own)
        assert (up.value - down.value) / (2 * h) == pytest.approx(here.slope[j], abs=1e-7)
        assert (up.slope - down.slope) / (2 * h) == pytest.approx(here.hessian[j], abs=1e-6)
        assert (up.own_slope - down.own_slope) / (2 * h) == pytest.approx(here.cross[:, j], abs=1e-6)
    held = maximise(found.arrow, found.maximum.shared + np.array([0.1, 0.0]), own, np.array([True, False]))
    assert held.shared[0] == found.maximum.shared[0] + 0.1
    assert held.llf < found.llf
    psi, theta = found.arrow.local(found.maximum.shared, found.maximum.own)
    values = study_log_likelihoods(found.arrow.model, psi, theta).value
    assert values.sum() + found.arrow.model.log_base == pytest.approx(found.llf)


BAD = {
    "measure": (
        lambda: ca.fit_counts("RD", **SMALL),
        'there is no model of counts for "RD": use one of: OR, IRR, PLO, IRLN',
    ),
    "model": (lambda: ca.fit_counts("OR", **SMALL, model="CM.EM"), 'OR has no model "CM.EM": did you mean "CM.EL"?'),
    "rates": (lambda: ca.fit_counts("IRR", **RATES, model="CM.AL"), 'IRR has no model "CM.AL": did you mean "CM.EL"?'),
    "method": (
        lambda: ca.fit_counts("OR", **SMALL, method="REML"),
        'there is no method "REML" for counts: use EE or ML',
    ),
    "test": (lambda: ca.fit_counts("OR", **SMALL, test="knha"), 'there is no test "knha" for counts: use z or t'),
    "nagq": (
        lambda: ca.fit_counts("OR", **SMALL, nagq=0),
        "nagq is 0: the number of quadrature points is a whole number from 1 to 200",
    ),
    "coding": (lambda: ca.fit_counts("OR", **SMALL, coding=2), "coding is 2: use 1/2, 1 or 0"),
    "cor": (
        lambda: ca.fit_counts("OR", **SMALL, cor=True),
        "cor=True correlates random levels with random effects; it needs model='UM.RS'",
    ),
    "both": (
        lambda: ca.fit_counts("OR", **SMALL, X=np.ones((6, 1)), formula="~ a"),
        "give moderators as a formula or as X, not both",
    ),
    "rows": (
        lambda: ca.fit_counts("OR", **SMALL, X=np.ones((5, 1))),
        "X has shape (5, 1); it needs one row for each study",
    ),
    "btt": (lambda: ca.fit_counts("OR", **SMALL, btt=[3]), "btt is [3], but there are 1 coefficients (0 to 0)"),
    "silent": (
        lambda: ca.fit_counts("OR", ai=[0, 0], n1i=[5, 6], ci=[0, 0], n2i=[4, 5]),
        "every study is without events (or without anything else), so there is no effect to pool",
    ),
    "fractions": (
        lambda: ca.fit_counts("OR", ai=[1.5, 2], n1i=[5, 6], ci=[1, 2], n2i=[4, 5], model="CM.EL"),
        "the exact conditional likelihood needs whole numbers; use UM.FS, or mend the counts",
    ),
    "one sided": (
        lambda: ca.fit_counts("OR", ai=[0, 0, 0], n1i=[5, 6, 7], ci=[1, 2, 3], n2i=[4, 5, 6]),
        "the likelihood has no maximum: some coefficient grows without limit, because events occur in all or none of "
        "the studies (or groups) that it describes; drop or merge moderators",
    ),
    "no people": (
        lambda: ca.fit_counts("PLO", xi=[0, 0], ni=[5, 9]),
        "the likelihood has no maximum: some coefficient grows without limit, because events occur in all or none of "
        "the studies (or groups) that it describes; drop or merge moderators",
    ),
    "few": (
        lambda: ca.fit_counts("PLO", xi=[3], ni=[5], X=np.ones((1, 2))),
        "1 studies cannot carry 2 coefficients",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fitted(name):
    call, message = BAD[name]
    with pytest.raises(ModelError) as problem:
        call()
    assert str(problem.value) == message


def test_one_study_is_the_equal_effects_model():
    found = ca.fit_counts("PLO", xi=[3], ni=[10])
    assert found.beta[0] == pytest.approx(np.log(3 / 7))
    assert found.se[0] == pytest.approx(np.sqrt(1 / 3 + 1 / 7))
    assert (found.method, found.tau2, found.QE_LRT.df1) == ("EE", 0, 0)
    assert "k = 1: heterogeneity cannot be estimated, so the equal-effects model is used" in found.notes
