"""Adjusted averages, fail-safe numbers, excess significance."""

from itertools import product

import numpy as np
import pytest

import catharsis as ca
from catharsis.assess.copas_interval import pivot_tail
from catharsis.assess.file_drawer import with_null_studies
from catharsis.assess.significance_count import poisson_binomial

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, 0.25])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.01])
Y2 = np.array([0.9, 0.6, 0.7, 0.3, 0.2, 0.25])
RNG = np.random.default_rng(11)
MANY_V = RNG.uniform(0.01, 0.3, 20)
MANY = 0.5 + RNG.normal(size=20) * np.sqrt(MANY_V + 0.1)
TIGHT = 1e-9  # relative; the worst seen is 2e-11, the root finders'


# -- witnesses: metafor 3.8 (hc with tol = 1e-12, fsn, tes) ---------------------------------------------------
@pytest.mark.parametrize(
    ("level", "low", "high"), [(0.95, -0.09467056802, 0.77778745114), (0.90, -0.00446171404, 0.68757859716)]
)
def test_henmi_copas_as_metafor(level, low, high):
    found = ca.henmi_copas([0.1, 0.4, 0.9, 0.3], [0.02, 0.03, 0.05, 0.04], level=level)
    expected = (0.34155844156, 0.16450205219, low, high)
    assert (found.estimate, found.se, found.low, found.high) == pytest.approx(expected, rel=1e-8)


def test_failsafe_n_as_metafor():
    assert [ca.failsafe_n(YI, VI, kind=kind).n for kind in ("Rosenthal", "Rosenberg")] == [41, 22]
    assert ca.failsafe_n(YI, kind="Orwin", target=0.1).n == 22
    assert ca.failsafe_n(YI, VI, kind="Orwin").n == 6  # half the average: N = k, whatever the rounding


TES = [  # R's root finder is good to 1.2e-4, its integration over theta to 1e-6
    ("chi2", "greater", 0.0395529368179, [0.463824616409]),
    ("chi2", "less", 0.960447063182, [0.915580185754]),
    ("chi2", "two-sided", 0.0791058736358, [0.376102603749, 1.0190016441]),
    ("binom", "greater", 0.0879342980141, [0.37843359472]),
    ("binom", "two-sided", 0.108790126074, [0.310529613812, 1.27389844224]),
    ("exact", "greater", 0.0699551729481, [0.396811760975]),
    ("exact", "less", 0.992909526003, [1.11401371997]),
    ("exact", "two-sided", 0.0832895463349, [0.328694327753, 1.27962001247]),
]


@pytest.mark.parametrize(("test", "excess", "p", "limits"), TES)
def test_excess_significance_as_metafor(test, excess, p, limits):
    found = ca.excess_significance(
        Y2,
        VI,
        test=test,
        null=0.05,
        alternative="greater",
        alpha=0.1,
        theta=0.3,
        tau2=0.02,
        excess=excess,
        limit_alpha=0.2,
    )
    assert (found.observed, found.expected) == (5, pytest.approx(2.85208867504, rel=1e-6))
    assert found.pvalue == pytest.approx(p, rel=1e-5)
    assert found.limits == pytest.approx(limits, abs=1.2e-4)


def test_limits_have_the_p_that_they_promise():
    for test, excess in product(("chi2", "binom", "exact"), ("greater", "two-sided")):
        found = ca.excess_significance(MANY, MANY_V, test=test, excess=excess)
        for limit, side in zip(found.limits, ("greater", "less"), strict=False):
            if np.isfinite(limit):
                p = ca.excess_significance(MANY, MANY_V, test=test, excess=side, theta=limit).pvalue
                assert p == pytest.approx(0.10 if excess == "greater" else 0.05, rel=TIGHT)


def test_limits_lie_on_the_side_of_theta():
    assert np.isnan(ca.excess_significance(Y2, VI, alternative="greater", theta=-0.1).limits[0])
    assert np.isnan(ca.excess_significance(Y2, VI, theta=0.0).limits[0])
    assert ca.excess_significance(-Y2, VI).limits[0] == pytest.approx(-ca.excess_significance(Y2, VI).limits[0])


def test_power_under_heterogeneity_is_the_integral():
    from scipy.stats import norm

    found = ca.excess_significance(Y2, VI, theta=0.3, tau2=0.04)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    shift = 0.3 + 0.2 * nodes[:, None]
    reach = norm.isf(0.025) * np.sqrt(VI)
    power = norm.sf((reach - shift) / np.sqrt(VI)) + norm.cdf((-reach - shift) / np.sqrt(VI))
    np.testing.assert_allclose(found.power, weights @ power / weights.sum(), rtol=1e-6)


def test_poisson_binomial_by_enumeration():
    p = np.array([0.1, 0.5, 0.7, 0.95])
    expected = np.zeros(5)
    for pattern in product((0, 1), repeat=4):
        expected[sum(pattern)] += np.prod(np.where(pattern, p, 1 - p))
    np.testing.assert_allclose(poisson_binomial(p), expected, rtol=1e-14)


def test_a_model_brings_its_heterogeneity():
    model = ca.fit(yi=MANY, vi=MANY_V, method="DL", test="z")
    found = ca.excess_significance(model)
    assert (found.theta, found.tau2) == (model.beta[0], model.tau2)


# -- Henmi and Copas ------------------------------------------------------------------------------------------
def test_pivot_without_heterogeneity_by_simulation():
    """At tau^2 = 0 the gamma distribution of Q is exact (chi-square), so simulation must agree."""
    wi = 1 / VI
    rng, draws = np.random.default_rng(5), 400_000
    y = rng.normal(size=(draws, 6)) * np.sqrt(VI)
    mean = y @ wi / wi.sum()
    Q = ((y - mean[:, None]) ** 2) @ wi
    tau2 = np.maximum(0, (Q - 5) / (wi.sum() - wi @ wi / wi.sum()))
    U = mean * np.sqrt(wi.sum()) / np.sqrt(1 + tau2 * (wi @ wi) / wi.sum())
    for u in (0.5, 1.5, 2.2):
        expected = pivot_tail(wi, 0.0, u)
        assert np.mean(u < U) == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


def test_the_interval_uses_the_quantile_of_the_pivot():
    found = ca.henmi_copas([0.3, 0.31, 0.29, 0.3], [0.02, 0.03, 0.05, 0.04])
    assert found.tau2 == 0
    assert pivot_tail(1 / np.array([0.02, 0.03, 0.05, 0.04]), 0.0, found.critical) == pytest.approx(0.025, rel=1e-12)
    assert (found.high - found.low) / 2 == pytest.approx(found.critical * found.se)


# -- fail-safe N ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("target", [None, 0.15])
def test_general_failsafe_n_by_counting_up(exact, target):
    """The documented minimum, found by trying 0, 1, 2, ... (metafor 5.0-1 reports one more in half of the cases)."""
    found = ca.failsafe_n(MANY, MANY_V, kind="General", exact=exact, target=target)
    model = ca.fit(yi=MANY, vi=MANY_V, test="z")
    n = 0
    while True:
        average, _, p = with_null_studies(MANY, MANY_V, n, method="REML", tau2=model.tau2, exact=exact)
        if (p >= 0.05) if target is None else (abs(average) <= target):
            break
        n += 1
    assert found.n == n > 0


def test_general_with_equal_effects_is_rosenberg_and_orwin():
    general = ca.failsafe_n(MANY, MANY_V, kind="General", method="EE").n
    assert general == ca.failsafe_n(MANY, MANY_V, kind="Rosenberg").n
    general = ca.failsafe_n(MANY, MANY_V, kind="General", method="EE", target=0.1).n
    assert general == ca.failsafe_n(MANY, MANY_V, kind="Orwin", target=0.1).n


def test_exact_null_studies_have_the_heterogeneity_of_the_observed():
    """Refitting with actual numbers of mean 0 and the variance promised gives the same answer."""
    model = ca.fit(yi=MANY, vi=MANY_V, test="z")
    n, v = 31, 20 / np.sum(1 / MANY_V)
    null = np.random.default_rng(2).normal(size=n)
    null = (null - null.mean()) / null.std(ddof=1) * np.sqrt(model.tau2 + v)
    again = ca.fit(yi=np.concatenate([MANY, null]), vi=np.concatenate([MANY_V, np.full(n, v)]), test="z")
    found = with_null_studies(MANY, MANY_V, n, method="REML", tau2=model.tau2, exact=True)
    assert found == pytest.approx((again.beta[0], again.tau2, again.pvalues.iloc[0]), rel=1e-8)


def test_a_conclusion_that_does_not_hold_needs_no_null_studies():
    y = np.array([0.1, -0.2, 0.05, 0.0])
    for kind in ("Rosenthal", "Rosenberg", "General"):
        found = ca.failsafe_n(y, [0.1] * 4, kind=kind)
        assert found.n == 0
        assert found.notes
    assert ca.failsafe_n([0.05, 0.04], kind="Orwin", target=0.1).n == 0


def test_an_endless_file_drawer():
    found = ca.failsafe_n([50.0, 50.1, 50.2], [1e-6] * 3, kind="General", method="EE")
    assert found.n == np.inf
    assert found.notes == ("more than 10,000,000 null studies would be needed",)


# -- precision effects ----------------------------------------------------------------------------------------
def test_pet_peese_is_weighted_least_squares():
    import statsmodels.api as sm

    found = ca.pet_peese(MANY, MANY_V)
    for ours, column in ((found.pet, np.sqrt(MANY_V)), (found.peese, MANY_V)):
        theirs = sm.WLS(MANY, sm.add_constant(column), weights=1 / MANY_V).fit()
        np.testing.assert_allclose(ours.params, theirs.params, rtol=TIGHT)
        np.testing.assert_allclose(ours.bse, theirs.bse, rtol=TIGHT)
        np.testing.assert_allclose(ours.pvalues, theirs.pvalues, rtol=TIGHT)
        np.testing.assert_allclose(ours.conf_int(), theirs.conf_int(), rtol=TIGHT)
    chosen = "PEESE" if found.pet.p[0] < 0.10 else "PET"
    assert (found.chosen, found.estimate) == (chosen, (found.peese if chosen == "PEESE" else found.pet).beta[0])


def test_pet_is_the_limit_of_the_classical_test():
    assert ca.pet_peese(YI, VI).pet.beta[0] == pytest.approx(ca.egger(YI, VI, model="lm").limit, rel=TIGHT)


def test_waap():
    found = ca.waap([0.5, 0.6, 0.9, 0.3], [0.02, 0.03, 0.09, 0.04])
    assert found.powered.tolist() == [True, True, False, False]
    assert found.estimate == pytest.approx((0.5 / 0.02 + 0.6 / 0.03) / (1 / 0.02 + 1 / 0.03))
    weak = ca.waap(0.1 * YI, VI)
    assert weak.waap is None
    assert weak.notes == ("0 of 6 studies are adequately powered, so WAAP is replaced by UWLS",)
    assert weak.estimate == ca.uwls(0.1 * YI, VI).beta[0]
    assert list(found.summary().index) == ["UWLS", "WAAP"]


def test_limit_meta_as_metasens():
    """BCG log risk ratios of the golden file: metasens 1.5-2, method.adjust beta0."""
    ai = np.array([4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27.0])
    n1 = np.array([123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913.0])
    ci = np.array([11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29.0])
    n2 = np.array([139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854.0])
    y, v = np.log(ai / n1 / (ci / n2)), 1 / ai - 1 / n1 + 1 / ci - 1 / n2
    found = ca.limit_meta(y, v)
    expected = (-0.6299879091624843, 0.23438725416677014, 0.0071922763940529925, 23.05868774009494, 0.9092764948012536)
    assert (found.estimate, found.se, found.pvalue, found.Q_small, found.G2) == pytest.approx(expected, rel=1e-7)


def test_limit_meta_without_heterogeneity_says_so():
    found = ca.limit_meta(YI, VI, adjust="mulim")
    assert found.tau == 0
    assert found.estimate == pytest.approx(found.beta)
    assert found.notes == ("tau^2 is estimated at its boundary, zero: every study has the same limit effect",)


# -- properties -----------------------------------------------------------------------------------------------
def answers(y, v, c=1.0):
    hc, pp, limit = ca.henmi_copas(y, v), ca.pet_peese(y, v), ca.limit_meta(y, v)
    tes, drawer = ca.excess_significance(y, v, tau2=0.01 * c**2), ca.failsafe_n(y, v, kind="General")
    powered = ca.waap(y, v)
    return {
        "free": [hc.critical, *pp.pet.statistic, limit.alpha, limit.G2, limit.pvalue, tes.pvalue, drawer.n,
                 drawer.pvalue,
                 ca.failsafe_n(y, v).n, ca.failsafe_n(y, v, kind="Orwin", target=0.1 * c).n, powered.n_powered],
        "unit": [hc.low, hc.high, *pp.interval, limit.estimate, limit.se, tes.limits[0], drawer.estimate_with,
                 powered.estimate],
    }  # fmt: skip


@pytest.mark.parametrize("c", [1e-8, 1e-3, 1e8])
def test_units_do_not_matter(c):
    one, other = answers(MANY, MANY_V), answers(c * MANY, c**2 * MANY_V, c)
    np.testing.assert_allclose(other["free"], one["free"], rtol=TIGHT)
    np.testing.assert_allclose(other["unit"], c * np.array(one["unit"]), rtol=TIGHT)


def test_order_of_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(20)
    one, other = answers(MANY, MANY_V), answers(MANY[order], MANY_V[order])
    np.testing.assert_allclose(other["free"], one["free"], rtol=TIGHT)
    np.testing.assert_allclose(other["unit"], one["unit"], rtol=TIGHT)


def test_flipped_signs_flip_the_answer():
    one, other = answers(MANY, MANY_V)["unit"], answers(-MANY, MANY_V)["unit"]
    swap = [1, 0, 3, 2, 4, 5, 6, 7, 8]
    signs = np.array([-1, -1, -1, -1, -1, 1, -1, -1, -1])
    np.testing.assert_allclose(np.array(other)[swap] * signs, one, rtol=TIGHT)


# -- bad input ------------------------------------------------------------------------------------------------
MODERATED = ca.fit(yi=YI, vi=VI, X=np.column_stack([np.ones(6), np.arange(6)]), method="DL", test="z")
BAD = [
    (lambda: ca.henmi_copas([0.1], [0.1]), "the method of Henmi and Copas needs at least two effects; here k = 1"),
    (
        lambda: ca.henmi_copas(MODERATED),
        "the method of Henmi and Copas is for models without moderators; fit the model without them",
    ),
    (lambda: ca.pet_peese(YI[:2], VI[:2]), "PET and PEESE need at least three effects; here k = 2"),
    (lambda: ca.pet_peese(MODERATED), "PET and PEESE are for models without moderators; fit the model without them"),
    (lambda: ca.pet_peese(YI, VI, n1i=[5] * 6), "give the sizes of both groups, n1i and n2i, or neither"),
    (lambda: ca.pet_peese(YI, VI, alpha=2), "alpha is 2; it lies between 0 and 1"),
    (lambda: ca.pet_peese(YI, [0.1] * 6), "the moderator column sei is 0.316228 in every row, so it explains nothing"),
    (lambda: ca.uwls([0.1], [0.1]), "a dispersion needs more effects than coefficients; here k = 1 and p = 1"),
    (lambda: ca.limit_meta(YI, VI, adjust="beta"), 'there is no adjustment "beta": did you mean "beta0"?'),
    (lambda: ca.limit_meta(YI[:2], VI[:2]), "limit meta-analysis needs at least three effects; here k = 2"),
    (
        lambda: ca.limit_meta(YI, [0.1] * 6),
        "all variances are equal, so effects cannot be related to precision",
    ),
    (lambda: ca.failsafe_n(YI, VI, kind="Rosenthel"), 'there is no fail-safe N "Rosenthel": did you mean "Rosenthal"?'),
    (lambda: ca.failsafe_n(YI, VI, alpha=0), "alpha is 0; it lies between 0 and 1"),
    (
        lambda: ca.failsafe_n(YI, VI, kind="Orwin", target=0),
        "the target is 0; null studies bring an average near zero but never to it",
    ),
    (
        lambda: ca.failsafe_n(YI, VI, target=0.1),
        "a target average belongs to Orwin and General; Rosenthal works towards alpha",
    ),
    (lambda: ca.failsafe_n(YI), "effects need their sampling variances: give vi, or a fitted model"),
    (lambda: ca.excess_significance(YI, VI, alternative="both"), "alternative is"),
    (lambda: ca.excess_significance(YI, VI, test="chi"), 'there is no test "chi": did you mean "chi2"?'),
    (lambda: ca.excess_significance(YI, VI, alpha=5), "alpha is 5; it lies between 0 and 1"),
    (lambda: ca.excess_significance(YI, VI, null=np.inf), "null is inf; it must be a finite number"),
    (
        lambda: ca.excess_significance(YI, VI, tau2=-1),
        "tau2 = -1.0: it must not be negative",
    ),
    (
        lambda: ca.excess_significance(YI, VI, theta=100, test="chi2"),
        "every study has power 1 at theta = 100, so Pearson's test is undefined; use 'exact'",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ca.ModelError) as caught:
        call()
    assert message in str(caught.value)


def test_the_pivot_has_a_probability_where_one_study_outweighs_the_rest():
    rng = np.random.default_rng(0)
    for _ in range(300):
        wi, tau2 = 10.0 ** rng.uniform(-13, 13, rng.integers(2, 9)), 10.0 ** rng.uniform(-12, 3)
        for u in (1e-3, 0.1, 2.0):
            assert 0 <= pivot_tail(wi, tau2, u) <= 1
