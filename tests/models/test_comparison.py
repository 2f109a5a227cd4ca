"""Likelihood-ratio and Wald comparisons, combinations of coefficients, variance inflation."""

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.models.collinearity import inflation
from catharsis.models.fit import fit

RNG = np.random.default_rng(12)
K = 40
DATA = pd.DataFrame(
    {"yi": RNG.normal(0.2, 0.4, K), "vi": RNG.uniform(0.02, 0.1, K), "x": RNG.normal(size=K),
     "z": RNG.normal(size=K), "g": list("abcd") * 10, "study": [f"s{i // 4}" for i in range(K)]}
)  # fmt: skip


def model(formula, method="ML", **more):
    return fit(formula, DATA, method=method, test="z", **more)


def test_the_ratio_is_twice_the_difference_and_symmetric():
    large, small = model("yi ~ x + z"), model("yi ~ x")
    one, other = large.compare(small), small.compare(large)
    assert one.statistic == other.statistic == pytest.approx(2 * (large.llf - small.llf))
    assert one.df == 1
    assert one.frame.loc["larger", "AIC"] == pytest.approx(large.aic)


def test_the_ratio_holds_its_level():
    """One useless moderator, 400 replications: the mean of chi-square with one degree of freedom is 1."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=30)
    found = []
    for _ in range(400):
        yi, vi = rng.normal(0, np.sqrt(0.15), 30), np.full(30, 0.05)
        large = fit(yi=yi, vi=vi, X=np.column_stack([np.ones(30), x]), method="ML", test="z")
        found.append(large.compare(fit(yi=yi, vi=vi, method="ML", test="z")).statistic)
    assert np.mean(found) == pytest.approx(1, abs=4 * np.sqrt(2 / 400) + 0.1)  # 0.1: chi-square holds for large k only


def test_a_variance_at_its_boundary_is_noted():
    two, three = model("yi ~ 1", "REML", random="study"), model("yi ~ 1", "REML", random="study/x")
    test = three.compare(two)
    assert test.df == 1
    assert "conservative" in test.notes[0]


REFUSED = [
    (lambda: (model("yi ~ x", "REML"), model("yi ~ 1", "REML")), "fit both with method"),
    (lambda: (model("yi ~ x", "DL"), model("yi ~ 1", "DL")), "needs ML for both"),
    (lambda: (model("yi ~ x"), model("yi ~ z")), "neither is a special case|not a part of those"),
    (lambda: (model("yi ~ x + g"), model("yi ~ z")), "not a part of those"),
    (lambda: (model("yi ~ x"), fit("yi ~ 1", DATA[:30], method="ML", test="z")), "40 effects|30 and 40"),
    (lambda: (model("yi ~ x"), fit("yi ~ 1", DATA.assign(yi=DATA.yi + 1), method="ML", test="z")), "40 rows differ"),
]


@pytest.mark.parametrize(("pair", "message"), REFUSED)
def test_what_cannot_be_compared(pair, message):
    one, other = pair()
    with pytest.raises(ModelError, match=message):
        one.compare(other)


def test_combinations_meet_the_coefficients():
    found = model("yi ~ x + z")
    rows = found.combinations(np.eye(3))
    np.testing.assert_allclose(rows["estimate"], found.beta)
    np.testing.assert_allclose(rows["p"], found.pvalues)
    np.testing.assert_allclose(rows["low"], found.conf_int()["low"])
    assert found.wald_test(np.eye(3)[1:]) == found.QM
    shifted = found.combinations([[0, 1, 0]], rhs=found.beta[1])
    assert shifted["statistic"].iloc[0] == 0
    with pytest.raises(ModelError, match="one column for each of the 3 coefficients: intercept, x, z"):
        found.combinations([[1, 0]])
    with pytest.raises(ModelError, match="repeat each other"):
        found.wald_test([[0, 1, 0], [0, 2, 0]])


def test_inflation_is_one_over_one_minus_r_squared():
    """With equal variances the factor of x is 1 / (1 - R^2) of x on the other moderators."""
    equal = DATA.assign(vi=0.05, z=DATA.z + 2 * DATA.x)
    frame = fit("yi ~ x + z", equal, method="EE", test="z").vif()
    r = np.corrcoef(equal.x, equal.z)[0, 1]
    assert frame.loc["x", "vif"] == pytest.approx(1 / (1 - r**2))
    assert frame.loc["x", "sif"] == pytest.approx(np.sqrt(1 / (1 - r**2)))


def test_a_factor_has_one_factor_of_inflation_whatever_its_reference():
    frames = [model("yi ~ g + x", reference={"g": level}).vif() for level in "abc"]
    assert frames[0].loc["g", "coefficients"] == 3
    for frame in frames[1:]:
        np.testing.assert_allclose(frame["vif"], frames[0]["vif"], rtol=1e-8)


def test_inflation_refuses():
    with pytest.raises(ModelError, match="fewer than two"):
        model("yi ~ x").vif()
    with pytest.raises(ModelError, match="not among the 2 coefficients"):
        inflation(np.eye(2), [[5]])


def test_combinations_of_a_perfect_fit_have_no_joint_test():
    X = np.array([[1.0, 0], [1, 0], [1, 1]])
    model = fit(yi=[0.5, 0.5, 0.6], vi=[0.1, 0.1, 0.1], X=X, method="DL", test="knha")
    assert np.isnan(model.wald_test(np.eye(2)).p)
    assert np.isnan(model.wald([0, 1]).p)
