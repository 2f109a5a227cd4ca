"""Mantel-Haenszel and Peto: published examples, R's options, properties, bad input."""

import numpy as np
import pandas as pd
import pytest

import catharsis as ca
from catharsis.errors import ModelError
from catharsis.likelihood.counts_families import expected_events

BCG = {
    "ai": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    "n1i": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
    "ci": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    "n2i": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
}
CELLS = {
    "ai": [0, 3, 5, 0, 12, 7],
    "bi": [10, 8, 20, 15, 30, 3],
    "ci": [0, 0, 4, 2, 15, 10],
    "di": [12, 9, 22, 14, 25, 0],
}
RATES = {"x1i": [0, 3, 5, 0, 12], "t1i": [10, 11.5, 25, 15, 42], "x2i": [0, 0, 4, 2, 15], "t2i": [12, 9, 26, 16, 40]}


# metafor 3.8 (R 4.2.2), rma.mh on CELLS and RATES: estimate, se, Q, k of the observed effects, and the MH, BD, TA tests
@pytest.mark.parametrize(
    ("measure", "options", "expected"),
    [
        ("OR", {}, (-0.284569432647, 0.348469049571, 5.26977447256, 5, 0.416867805981, 8.72603663254, 8.72565519487)),
        (
            "OR", {"correct": False, "add": (0.5, 0.5), "to": ("only0", "only0")},
            (-0.256807248519, 0.332422229003, 5.26701536752, 5, 0.597692695941, 6.58564306413, 6.58537685983),
        ),
        (
            "OR", {"add": (0.5, 0.5), "to": ("all", "if0all")},
            (-0.247997288265, 0.326759350872, 5.25817416556, 5, 0.356010297901, 6.5726184846, 6.57238043739),
        ),
        (
            "OR", {"add": (0.5, 0.25), "to": ("none", "all"), "drop00": (False, True)},
            (-0.271120042387, 0.339360792827, 0.718076208427, 2, 0.398731129638, 7.4512501867, 7.45094384188),
        ),
        (
            "OR", {"drop00": False},
            (-0.284569432647, 0.348469049571, 5.32021714187, 6, 0.416867805981, 8.72603663254, 8.72565519487),
        ),
        ("RR", {}, (-0.163805160465, 0.201493717759, 3.85085880982, 5, None, None, None)),
        ("RR", {"add": 0.25}, (-0.163805160465, 0.201493717759, 3.8081440114, 5, None, None, None)),
        ("RD", {}, (-0.0418375436682, 0.0510634050157, 7.39057202052, 5, None, None, None)),
        ("RD", {"drop00": (False, True)}, (-0.0463187514798, 0.0565512838535, 7.80294391543, 6, None, None, None)),
        ("IRR", {}, (-0.0877738636373, 0.314989390859, 2.7827506624, 4, 0.0149930223561, None, None)),
        (
            "IRR", {"add": (0.5, 0.5), "to": ("none", "only0"), "drop00": (False, True)},
            (-0.0878666578463, 0.307413319737, 0.498452764592, 2, 0.0177617820961, None, None),
        ),
        ("IRD", {}, (-0.0173219417337, 0.0617290302895, 3.70953206811, 4, None, None, None)),
    ],
)  # fmt: skip
def test_every_option_of_the_method(measure, options, expected):
    found = ca.mantel_haenszel(measure, **(RATES if measure.startswith("I") else CELLS), **options)
    estimate, se, q, shown, *tests = expected
    assert found.params["intercept"] == pytest.approx(estimate, rel=1e-10)
    assert found.bse["intercept"] == pytest.approx(se, rel=1e-10)
    assert found.QE.statistic == pytest.approx(q, rel=1e-10)
    assert (found.QE.df1, np.isfinite(found.yi).sum()) == (shown - 1, shown)
    for ours, theirs in zip((found.MH, found.BD, found.TA), tests, strict=True):
        assert np.isnan(ours.statistic) if theirs is None else ours.statistic == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (-0.284597608268, 0.347354053245, 8.2782798159, 4)),
        ({"drop00": False}, (-0.284597608268, 0.347354053245, 8.2782798159, 5)),
        ({"add": (0.5, 0.5), "to": ("only0", "only0")}, (-0.25589117923, 0.330991119173, 6.28912602047, 4)),
        (
            {"add": (0.5, 0.25), "to": ("none", "all"), "drop00": (False, True)},
            (-0.270660851352, 0.338111612157, 7.09320662083, 4),
        ),
    ],
)  # fmt: skip
def test_peto_with_every_option(options, expected):
    found = ca.peto(**CELLS, **options)
    assert (found.beta[0], found.se[0], found.QE.statistic, found.QE.df1) == pytest.approx(expected, rel=1e-10)


def test_the_bcg_trials():
    """Published: pooled odds ratio 0.62 (Colditz and others 1994; metafor's documentation gives -0.4734 and 0.0410)."""
    found = ca.mantel_haenszel("OR", **BCG)
    assert found.summary().loc["intercept", ["estimate", "se"]].round(4).tolist() == [-0.4734, 0.0410]
    assert found.QE.statistic == pytest.approx(163.9426, abs=5e-5)


def test_expected_events_solve_the_margins():
    n1, n2, m = np.array([10.0, 50, 5]), np.array([12.0, 3, 80]), np.array([9.0, 48, 80])
    for effect in (-9.0, -1.0, 0.0, 1e-9, 2.0, 12.0):
        a = expected_events(n1, n2, m, effect)
        assert np.log(a * (n2 - m + a) / ((n1 - a) * (m - a))) == pytest.approx(np.full(3, effect), abs=1e-6)


def test_statsmodels_agrees():
    from statsmodels.stats.contingency_tables import StratifiedTable

    x, n, c, m = (np.array(BCG[name]) for name in ("ai", "n1i", "ci", "n2i"))
    tables = StratifiedTable(np.array([[x, n - x], [c, m - c]], dtype=float))
    ours = ca.mantel_haenszel("OR", **BCG, correct=False)
    assert ours.beta[0] == pytest.approx(tables.logodds_pooled)
    assert ours.se[0] == pytest.approx(tables.logodds_pooled_se)
    assert ours.MH.statistic == pytest.approx(tables.test_null_odds().statistic)
    assert ours.BD.statistic == pytest.approx(tables.test_equal_odds().statistic)
    assert ours.TA.statistic == pytest.approx(tables.test_equal_odds(adjust=True).statistic)


@pytest.mark.parametrize("measure", ["OR", "RR", "RD", "IRR", "IRD", "PETO"])
def test_variances_are_those_of_simulated_estimates(measure):
    """The spread of 500 simulated estimates is the mean reported variance, within 3 Monte Carlo errors of 6%."""
    rng = np.random.default_rng(11)
    n1, n2 = np.array([30, 50, 80, 20, 60]), np.array([40, 45, 70, 25, 66])
    base = np.array([0.2, 0.3, 0.25, 0.4, 0.35])
    found = []
    for _ in range(500):
        if measure.startswith("I"):
            data = {"x1i": rng.poisson(base * n1), "x2i": rng.poisson(base * n2), "t1i": n1, "t2i": n2}
        else:
            data = {"ai": rng.binomial(n1, base), "ci": rng.binomial(n2, base), "n1i": n1, "n2i": n2}
        model = ca.peto(**data) if measure == "PETO" else ca.mantel_haenszel(measure, **data)
        found.append((model.beta[0], model.cov[0, 0]))
    estimates, variances = np.array(found).T
    assert estimates.var() / variances.mean() == pytest.approx(1, abs=0.19)
    assert estimates.mean() == pytest.approx(0, abs=4 * estimates.std() / np.sqrt(500))


def test_groups_may_change_places_and_rows_their_order():
    order = [3, 1, 5, 0, 2, 4]
    for call in (lambda **d: ca.mantel_haenszel("OR", **d), lambda **d: ca.mantel_haenszel("RD", **d), ca.peto):
        found = call(**CELLS)
        turned = call(ai=CELLS["ci"], bi=CELLS["di"], ci=CELLS["ai"], di=CELLS["bi"])
        shuffled = call(**{name: [values[i] for i in order] for name, values in CELLS.items()})
        assert turned.beta == pytest.approx(-found.beta, rel=1e-12)
        assert turned.se == pytest.approx(found.se, rel=1e-12)
        assert (shuffled.beta[0], shuffled.se[0]) == pytest.approx((found.beta[0], found.se[0]), rel=1e-13)


@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_the_unit_of_time_does_not_matter(c):
    scaled = {**RATES, "t1i": np.multiply(RATES["t1i"], c), "t2i": np.multiply(RATES["t2i"], c)}
    for measure, power in (("IRR", 0), ("IRD", -1)):
        found, other = ca.mantel_haenszel(measure, **RATES), ca.mantel_haenszel(measure, **scaled)
        assert (other.beta[0], other.se[0]) == pytest.approx(
            (found.beta[0] * c**power, found.se[0] * c**power), rel=1e-9
        )
        assert other.QE.statistic == pytest.approx(found.QE.statistic, rel=1e-9)


def test_columns_names_and_notes():
    frame = pd.DataFrame(CELLS, index=list("uvwxyz")).astype(float)
    frame.loc["w", "ai"] = np.nan
    found = ca.mantel_haenszel("OR", ai="ai", bi="bi", ci="ci", di="di", data=frame)
    assert found.nobs == 5
    assert found.notes == (
        "left out because a count is missing: study w",
        "0.5 added to each cell of 3 of 5 studies for the effects they show",
        "1 of 5 studies show no effect by themselves (no event, or nothing but events)",
    )
    assert list(found.conf_int(0.9).columns) == ["low", "high"]
    assert found.cov_params().loc["intercept", "intercept"] == pytest.approx(found.bse["intercept"] ** 2)
    assert found.tvalues["intercept"] == pytest.approx(found.params["intercept"] / found.bse["intercept"])


BAD = {
    "measure": (
        lambda: ca.mantel_haenszel("ORX", **CELLS),
        'the Mantel-Haenszel method has no measure "ORX": did you mean "OR"?',
    ),
    "to": (lambda: ca.peto(**CELLS, to="zero"), 'to is "zero": use one of: only0, all, if0all, none'),
    "add": (lambda: ca.peto(**CELLS, add=-1), "add is -1; what is added to the cells is zero or more"),
    "three": (
        lambda: ca.peto(**CELLS, add=(1, 2, 3)),
        "add takes one value, or two: for the effects of the studies and for pooling them",
    ),
    "level": (
        lambda: ca.peto(**CELLS, level=95),
        "level is 95; an interval's probability lies between 0 and 1; for 95% give 0.95",
    ),
    "one sided": (
        lambda: ca.mantel_haenszel("OR", ai=[0, 0], bi=[5, 4], ci=[1, 2], di=[5, 4]),
        "the odds ratio is zero: in every study one group is without events (or without non-events); use RD or IRD, or "
        "a Bayesian model",
    ),
    "silent": (
        lambda: ca.mantel_haenszel("RR", ai=[0, 0], bi=[5, 4], ci=[0, 0], di=[5, 4]),
        "the risk ratio is undefined: in every study one group is without events (or without non-events); use RD or "
        "IRD, or a Bayesian model",
    ),
    "peto silent": (
        lambda: ca.peto(ai=[0, 0], bi=[5, 4], ci=[0, 0], di=[5, 4]),
        "no study has both events and non-events, so there is no odds ratio to pool",
    ),
    "all dropped": (
        lambda: ca.mantel_haenszel("RD", ai=[0], bi=[5], ci=[0], di=[5], drop00=(True, True)),
        "every study is without events (or without anything else), so there is no effect to pool",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_pooled(name):
    call, message = BAD[name]
    with pytest.raises(ModelError) as problem:
        call()
    assert str(problem.value) == message


def test_differences_without_events_and_single_studies():
    none = ca.mantel_haenszel("RD", ai=[0, 0], bi=[5, 4], ci=[0, 0], di=[5, 4])
    assert (none.beta[0], none.se[0], none.QE.df1) == (0, 0, 0)
    assert "there are no events, so the standard error is zero" in none.notes
    one = ca.mantel_haenszel("OR", ai=3, bi=5, ci=4, di=7)
    assert (one.beta[0], one.se[0]) == pytest.approx((0.0487901641694, 0.962387903182), rel=1e-10)
    assert (one.QE.statistic, one.QE.p, one.I2, one.H2, one.nobs) == (pytest.approx(0, abs=1e-20), 1, 0, 1, 1)


def test_undefined_weights_are_not_numbers():
    found = ca.mantel_haenszel("RD", **CELLS, to="none", drop00=False)
    assert np.isnan(found.QE.statistic)
    assert np.isnan(found.llf)
    assert found.beta[0] == pytest.approx(-0.0418375436682, rel=1e-10)
