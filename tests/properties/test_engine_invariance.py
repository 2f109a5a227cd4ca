"""What no method may depend on: the order of rows, the direction of the scale, its unit, and the names of the rows.

Each number of each public function (table in `engine`) is compared to nine digits, the size of a standard error (of a
variance, of 1) counting as the size of an estimate (of a variance, of a statistic) that lies near zero.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from engine import SUBJECTS, Number, dependent_groups
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import catharsis as ca
from catharsis.models.correlated_effects import fit_robust

DIGITS = 1e-9
FEW = settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
UNITS = (1e-8, 1e-3, 1e5, 1e8)
BAYES = (
    "fit_bayes", "loo", "influence_bayes", "leave_one_out_bayes", "predictive_check", "pooling_factors",
    "model_average",
)  # fmt: skip
OWN_SCALE = dict.fromkeys(BAYES, "the default priors are made for standardised effects")

UNSTEADY = {  # not tried on any data: slow, or with few effects a quotient of rounding errors
    **dict.fromkeys(BAYES, "slow"),
    "gosh": "slow",
    "fit.influence knha": "slow",
    "egger clusters": "two or three clusters leave next to no degrees of freedom",
    "pet_peese clusters": "the same",
}

_RNG = np.random.default_rng(11)
_V = np.round(_RNG.uniform(0.01, 1, 9), 4)
DATA = {
    "heterogeneous": (np.round(_RNG.normal(0.3, np.sqrt(_V + 0.3)), 3), _V),
    "asymmetric": (np.round(0.1 + 2 * np.sqrt(_V) + _RNG.normal(0, 0.5 * np.sqrt(_V)), 3), _V),
    "tied": (np.array([0.1, 0.1, 0.3, 0.3, 0.3, -0.2, 0.5]), np.array([0.1, 0.2, 0.1, 0.1, 0.2, 0.3, 0.3])),
    "variances of many sizes": (np.array([0.9, 0.6, 0.5, 0.3, 0.2, 0.25]), 10.0 ** np.array([-5, -3, 0, 2, -1, -2])),
}


@st.composite
def studies(draw):
    k = draw(st.integers(3, 8))
    yi = draw(st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=k, max_size=k))
    vi = draw(st.lists(st.floats(0.005, 2).map(lambda x: round(x, 4)), min_size=k, max_size=k))
    return np.array(yi), np.array(vi)


def answer(subject, yi, vi) -> dict[str, Number] | str:
    """The numbers, or that it refuses."""
    it = SUBJECTS[subject]
    try:
        return it.numbers(it.call(yi, vi))
    except ca.ModelError:
        return "refused"


def compare(found, expected, vi, what):
    """`found` in the units, order and direction of `expected`."""
    if "refused" in (found, expected):
        assert found == expected, f"{what}: refused one way only"
        return
    root = float(np.sqrt(np.median(vi)))
    for name, it in expected.items():
        theirs, ours = np.asarray(it.values, dtype=float), np.asarray(found[name].values, dtype=float)
        assert ours.shape == theirs.shape, f"{what}: {name} has another shape"
        same = np.isclose(ours, theirs, rtol=DIGITS, atol=DIGITS * root**it.unit, equal_nan=True)
        assert same.all(), f"{what}: {name} is {ours[~same][:3]}, not {theirs[~same][:3]}"


def changed(numbers, change):
    if numbers == "refused":
        return numbers
    return {name: Number(change(it), it.unit, it.parity, it.rows) for name, it in numbers.items()}


def flipped(it):
    values = np.asarray(it.values, dtype=float)
    if it.parity == "interval":
        return -values[..., ::-1]
    return -values if it.parity == "odd" else values


def check(subject, yi, vi, units=UNITS):
    """Flip the signs, change the unit, turn the rows around."""
    plain = answer(subject, yi, vi)
    compare(answer(subject, -yi, vi), changed(plain, flipped), vi, "sign")
    if subject not in OWN_SCALE:
        for c in units:
            there = answer(subject, c * yi, c * c * vi)
            compare(
                changed(there, lambda it, c=c: np.asarray(it.values, dtype=float) / c**it.unit), plain, vi, f"unit {c}"
            )
    if not SUBJECTS[subject].ordered:
        order = np.argsort(np.cos(7.0 * np.arange(len(yi))))
        expected = changed(plain, lambda it: np.asarray(it.values, dtype=float)[order] if it.rows else it.values)
        compare(answer(subject, yi[order], vi[order]), expected, vi, "order")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_order_sign_and_unit_do_not_matter(subject):
    answered = 0
    for name, (yi, vi) in DATA.items():
        try:
            check(subject, yi, vi)
        except AssertionError as difference:
            raise AssertionError(f"{name}: {difference}") from None
        answered += answer(subject, yi, vi) != "refused"
    assert answered >= 3, "refused most data: nothing was compared"


@pytest.mark.parametrize("subject", [name for name in SUBJECTS if name not in UNSTEADY])
@FEW
@given(data=studies())
def test_order_sign_and_unit_do_not_matter_for_any_data(subject, data):
    check(subject, *data, units=(1e-8, 1e8))


# -- groups and moderators go along with their rows -----------------------------------------------------------------

YI, VI = DATA["heterogeneous"]
GROUPS = np.array(dependent_groups(len(YI)))
X = np.column_stack([np.ones(len(YI)), np.cos(np.arange(len(YI)))])
ORDER = np.argsort(np.cos(7.0 * np.arange(len(YI))))
GROUPED = {
    "egger": lambda y, v, g, x: ca.egger(y, v, cluster=g).summary(),
    "egger X": lambda y, v, g, x: ca.egger(y, v, X=x).summary(),
    "pet_peese": lambda y, v, g, x: ca.pet_peese(y, v, cluster=g).summary().drop(columns="chosen"),
    "fit_robust CORR": lambda y, v, g, x: fit_robust(yi=y, vi=v, X=x, cluster=g).summary(),
    "fit_robust HIER": lambda y, v, g, x: fit_robust(yi=y, vi=v, X=x, cluster=g, dependence="HIER").summary(),
    "fit.robust": lambda y, v, g, x: ca.fit(yi=y, vi=v, X=x).robust(g).summary(),
    "fit_location_scale": lambda y, v, g, x: ca.fit_location_scale(yi=y, vi=v, scale=x).summary(),
    "fit_location_scale identity": lambda y, v, g, x: ca.fit_location_scale(
        yi=y, vi=v, X=x, scale=np.ones((len(y), 1)), link="identity").summary(),
    "permutation_test": lambda y, v, g, x: ca.permutation_test(
        ca.fit(yi=y[:5], vi=v[:5], X=x[:5], method="DL")).pvalues.to_frame(),
    "compare": lambda y, v, g, x: ca.fit(yi=y, vi=v, X=x, method="ML").compare(ca.fit(yi=y, vi=v, method="ML")).frame,
    "vif": lambda y, v, g, x: ca.fit(yi=y, vi=v, X=np.column_stack([x, x[:, 1] ** 2])).vif(),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPED)
def test_groups_and_moderators_go_along_with_their_rows(name):
    call = GROUPED[name]
    plain = call(YI, VI, GROUPS, X)
    order = ORDER if name != "permutation_test" else np.r_[[3, 0, 4, 1, 2], 5 : len(YI)]
    turned = call(YI[order], VI[order], GROUPS[order], X[order])
    renamed = call(YI, VI, [f"z{99 - int(g.split()[1])}" for g in GROUPS], X)
    close = 1e-6 if name.endswith("identity") else DIGITS  # scipy's search for a bounded maximum ends where it likes
    for other in (turned, renamed):
        np.testing.assert_allclose(other.to_numpy(dtype=float), plain.to_numpy(dtype=float), rtol=close, atol=close)


# -- names ------------------------------------------------------------------------------------------------------------

INDEXES = {
    "text": [f"Study {i}" for i in range(len(YI))],
    "duplicates": ["Doe 2020"] * 4 + ["Roe 2021"] * 5,
    "numbers backwards": list(range(len(YI), 0, -1)),
    "unusual text": ["", " ", "é", "\n", "[x]", "a:b", "nan", "None", "0"],
    "dates": list(pd.date_range("2020-01-01", periods=len(YI))),
    "mixed": [1, "1", 1.0, True, None, ("a", 1), "b", 2, "c"],
}
FRAMES = {
    "influence": lambda fit: fit.influence(),
    "leave_one_out": lambda fit: fit.leave_one_out(),
    "residuals": lambda fit: fit.residuals(),
    "studentized": lambda fit: fit.residuals("studentized"),
    "ranef": lambda fit: fit.ranef(),
    "baujat": ca.baujat,
    "radial": ca.radial,
    "cumulative": ca.cumulative,
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("name", FRAMES)
def test_names_of_rows_survive(name, index):
    plain = ca.fit(yi=YI, vi=VI)
    named = ca.fit("yi ~ 1", pd.DataFrame({"yi": YI, "vi": VI}, index=pd.Index(INDEXES[index], dtype=object)))
    before, after = FRAMES[name](plain), FRAMES[name](named)
    assert list(after.index) == [str(label) for label in INDEXES[index]]
    np.testing.assert_array_equal(after.to_numpy(dtype=float), before.to_numpy(dtype=float))


@pytest.mark.parametrize("index", INDEXES)
def test_series_are_read_by_position(index):
    """Arrays, series and lists say the same, whatever a series' index; nothing is aligned behind the caller's back."""
    labels = pd.Index(INDEXES[index], dtype=object)
    yi, vi = pd.Series(YI, labels), pd.Series(VI, labels[::-1])
    n, groups = pd.Series(range(20, 29), labels), pd.Series(GROUPS, labels[::-1])
    for call in (
        lambda yi, vi, n, groups: ca.egger(yi, vi, predictor="ninv", ni=n).summary(),
        lambda yi, vi, n, groups: ca.pet_peese(yi, vi, n1i=n, n2i=n, cluster=groups).pet.summary(),
        lambda yi, vi, n, groups: ca.fit(yi=yi, vi=vi).robust(groups).summary(),
        lambda yi, vi, n, groups: ca.fit(yi=yi, vi=vi).leave_one_out(by=groups),
        lambda yi, vi, n, groups: ca.cumulative(ca.fit(yi=yi, vi=vi), order=n, collapse=True),
        lambda yi, vi, n, groups: ca.trim_and_fill(yi, vi).summary(),
        lambda yi, vi, n, groups: ca.albatross_data(n, [0.1] * 9, yi).points,
        lambda yi, vi, n, groups: ca.combine_pvalues(vi, "fisher", signs=yi).summary(),
    ):
        np.testing.assert_array_equal(
            call(yi, vi, n, groups).to_numpy(dtype=float),
            call(YI, VI, range(20, 29), list(GROUPS)).to_numpy(dtype=float),
        )
    assert list(ca.gosh(ca.fit(yi=yi, vi=vi, method="EE")).included.columns) == [str(i + 1) for i in range(len(YI))]


# -- p values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pearson", "stouffer", "logit", "edgington"])
def test_turning_all_signs_turns_a_combined_p_around(method):
    """Also for p values that 1 - p cannot hold."""
    p, signs = np.array([1e-20, 0.3, 1e-30, 0.04]), np.array([1, -1, -1, 1])
    one, other = (ca.combine_pvalues(p, method, signs=way) for way in (signs, -signs))
    if method == "pearson":  # Fisher's method of the complements
        other = ca.combine_pvalues(p, "fisher", signs=-signs)
    assert one.pvalue + other.pvalue == pytest.approx(1, rel=1e-12)
    assert ca.combine_pvalues([1e-20, 1e-20], "stouffer", signs=[1, -1]).pvalue == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("method", ["stouffer", "inverse-chi2"])
def test_the_order_and_stouffers_unit_of_weights_do_not_matter(method):
    p, weights = np.array([0.03, 0.2, 0.6, 0.01]), np.array([3.0, 1.0, 2.0, 5.0])
    plain = ca.combine_pvalues(p, method, weights=weights).pvalue
    assert ca.combine_pvalues(p[::-1], method, weights=weights[::-1]).pvalue == pytest.approx(plain, rel=1e-12)
    if method == "stouffer":
        for c in (1e-200, 1e-8, 1e8, 1e200):
            assert ca.combine_pvalues(p, method, weights=c * weights).pvalue == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("test", ["Harbord", "Peters", "Macaskill", "Deeks", "arcsine"])
def test_exchanging_groups_or_events_turns_asymmetry_around(test):
    a, n1 = np.array([4, 6, 3, 62, 33]), np.array([123, 306, 231, 13598, 5069])
    c, n2 = np.array([11, 29, 11, 248, 47]), np.array([139, 303, 220, 12867, 5808])
    plain = ca.asymmetry_of_counts(a, n1, c, n2, test)
    order = [3, 0, 4, 2, 1]
    for other, sign in (
        (ca.asymmetry_of_counts(c, n2, a, n1, test), -1),
        (ca.asymmetry_of_counts(n1 - a, n1, n2 - c, n2, test), -1),
        (ca.asymmetry_of_counts(a[order], n1[order], c[order], n2[order], test), 1),
    ):
        assert other.statistic == pytest.approx(sign * plain.statistic, rel=1e-8)
        assert other.pvalue == pytest.approx(plain.pvalue, rel=1e-8)


# -- what the search for such failures has found ----------------------------------------------------------------------


def test_rounding_errors_are_neither_ranked_nor_regressed_on():
    for c in (1, 3, 0.1, 1e8):
        with pytest.raises(ca.ModelError, match="all effects are equal"):
            ca.rank_test([c] * 3, [c * c, 2 * c * c, 0.5 * c * c])
    vi = [0.1 * (1 + 1e-14 * j) for j in range(6)]  # equal sample sizes, computed along different ways
    yi = [0.3, 0.5, 0.2, 0.9, 0.1, 0.4]
    for call in (ca.egger, ca.pet_peese, ca.limit_meta, ca.rank_test):
        with pytest.raises(ca.ModelError, match=r"in every row|all variances are equal"):
            call(yi, vi)
    with pytest.raises(ca.ModelError, match="give side="):
        ca.trim_and_fill(yi, vi)
    assert ca.trim_and_fill(yi, vi, side="left").k0 >= 0


def test_the_heterogeneity_due_to_small_studies_is_no_difference_of_large_numbers():
    found = ca.limit_meta([0.0, 2.0, 1.0], [1.0, 1.0, 0.5])
    assert 0 <= found.Q_small < 1e-25
    assert found.p_small == pytest.approx(1, abs=1e-12)
    assert pytest.approx(found.Q_small + found.Q_resid, rel=1e-12) == found.Q


def test_hierarchical_effects_with_one_effect_per_study_have_one_variance():
    found = fit_robust(yi=YI, vi=VI, cluster=range(len(YI)), dependence="HIER")
    assert found.working.omega2 == 0
    assert any("omega^2 is set to 0" in note for note in found.notes)
    assert found.working.tau2 == pytest.approx(ca.fit(yi=YI, vi=VI, method="DL").tau2, rel=1e-9)


def test_a_share_of_exactly_agree_is_agreement():
    data = pd.DataFrame({"study": "a", "domain": "mood", "sign": [1] * 55 + [-1] * 45})
    assert ca.effect_directions(data, agree=0.55).cells["direction"].tolist() == ["positive"]


def test_an_interval_of_any_probability_exists():
    for level in (1e-6, 0.5, 1 - 1e-12):
        found = ca.henmi_copas(YI, VI, level=level)
        assert found.low < found.estimate < found.high


def test_effects_on_a_line_leave_no_test_but_a_note():
    found = ca.egger([0.1 + 2 * v**0.5 for v in VI], VI, model="lm")
    assert np.isnan(found.statistic)
    assert "exactly on the fitted line" in found.notes[0]
