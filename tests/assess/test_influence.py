"""Residuals, influence, Baujat's and Galbraith's plots: against fits without each effect, one by one."""

import numpy as np
import pandas as pd
import pytest

import catharsis as ca
from catharsis.errors import ModelError
from catharsis.models.heterogeneity import ESTIMATORS

K = 9
Y = np.array([-0.89, -1.59, -1.35, -1.44, -0.22, -0.79, -1.62, 0.01, -0.47])
V = np.array([0.326, 0.195, 0.415, 0.020, 0.051, 0.007, 0.223, 0.004, 0.056])
X = np.column_stack([np.ones(K), [44, 55, 42, 52, 13, 44, 19, 13, 27]])
FRAME = pd.DataFrame({"yi": Y, "vi": V, "where": list("aabbabaac")}, index=[f"study {i}" for i in range(K)])


def fitted(keep=slice(None), method="REML", test="knha", p=2):
    return ca.fit(yi=Y[keep], vi=V[keep], X=X[keep, :p], method=method, test=test)


CASES = [(method, "knha", 1 + i % 2) for i, method in enumerate(sorted(ESTIMATORS))]


@pytest.mark.parametrize(("method", "test", "p"), [*CASES, ("REML", "z", 1), ("REML", "t", 2), ("DL", "adhoc", 1)])
def test_influence_compares_with_the_fit_without_the_effect(method, test, p):
    model = fitted(method=method, test=test, p=p)
    frame, residuals = model.influence(), model.residuals("studentized")
    for i in range(K):
        without = fitted(np.arange(K) != i, method, test, p)
        row, x, shift = frame.iloc[i], X[i, :p], model.beta - without.beta
        away = Y[i] - x @ without.beta
        se = np.sqrt(without.scale * (V[i] + without.tau2) + x @ without.cov @ x)
        np.testing.assert_allclose(residuals.iloc[i], [away, se, away / se], rtol=1e-8)
        w = 1 / (V + without.tau2)
        every = without.scale * np.linalg.inv(X[:, :p].T @ (w[:, None] * X[:, :p]))
        hat = x @ np.linalg.inv(X[:, :p].T @ (X[:, :p] / (V + model.tau2)[:, None])) @ x / (V[i] + model.tau2)
        expected = {
            "rstudent": away / se,
            "dffits": x @ shift / np.sqrt(without.scale * hat * (V[i] + without.tau2)),
            "cook_d": shift @ np.linalg.solve(model.cov, shift),
            "cov_r": np.linalg.det(without.cov) / np.linalg.det(model.cov),
            "tau2_deleted": without.tau2,
            "QE_deleted": without.QE.statistic,
            "hat": hat,
            "weight": 100 / (V[i] + model.tau2) / np.sum(1 / (V + model.tau2)),
            **{f"dfbetas[{t}]": shift[j] / np.sqrt(every[j, j]) for j, t in enumerate(model.design.terms)},
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-7, abs=1e-10), name


def test_influential_follows_the_four_conventions():
    frame = fitted().influence()
    from scipy.stats import chi2

    flags = (
        (frame["dffits"].abs() > 3 * np.sqrt(2 / (K - 2)))
        | (chi2.cdf(frame["cook_d"], 2) > 0.5)
        | (frame["hat"] > 3 * 2 / K)
        | (frame.filter(like="dfbetas").abs() > 1).any(axis=1)
    )
    assert frame["influential"].tolist() == flags.tolist()
    assert flags.any()
    assert not flags.all()


@pytest.mark.parametrize("unit", [1e-8, 1e8])
@pytest.mark.parametrize("method", ["REML", "PM", "DL"])
def test_influence_has_no_unit(unit, method):
    here = fitted(method=method).influence()
    there = ca.fit(yi=unit * Y, vi=unit**2 * V, X=X, method=method).influence()
    for name in here.columns.drop(["tau2_deleted", "influential"]):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-8, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(there["tau2_deleted"], unit**2 * here["tau2_deleted"], rtol=1e-9)


def test_order_and_sign_do_not_matter():
    here = fitted().influence()
    order = np.random.default_rng(2).permutation(K)
    there = fitted(order).influence().set_index(here.index[order]).reindex(here.index)
    flipped = ca.fit(yi=-Y, vi=V, X=X).influence()
    signed = [name for name in here if name.startswith(("rstudent", "dffits", "dfbetas"))]
    for name in here.columns.drop("influential"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(flipped[name], here[name] * (-1 if name in signed else 1), rtol=1e-8, atol=1e-10)


def test_an_effect_that_alone_has_a_level():
    model = ca.fit("yi ~ where", data=FRAME)
    frame = model.influence()
    alone = frame.loc["study 8"]
    assert frame.index.tolist() == list(FRAME.index)
    assert alone["hat"] == pytest.approx(1)
    assert alone.drop(["hat", "weight", "influential"]).isna().all()
    assert alone["influential"] is pd.NA  # 3 p / k = 1: the hat value does not decide it either
    assert frame["rstudent"].drop("study 8").notna().all()
    note = "without study 8 the remaining effects do not determine every coefficient"
    assert frame.attrs["notes"][0].startswith(note)
    plain = model.residuals()
    assert plain.loc["study 8"].tolist() == [0, 0, 0]
    assert plain.attrs["notes"] == (
        "study 8 alone determines its fitted value, so its residual is 0 whatever its effect",
    )
    assert ca.baujat(model)["influence"].isna().sum() == 1


def test_kinds_of_residuals():
    model = fitted(test="z")
    plain = Y - X @ model.beta
    response, pearson = model.residuals("response"), model.residuals("pearson")
    np.testing.assert_allclose(response["residual"], plain)
    np.testing.assert_allclose(response["fitted"], X @ model.beta)
    np.testing.assert_allclose(pearson["z"], plain / np.sqrt(V + model.tau2))
    standardized, conditional = model.residuals(), model.residuals("conditional")
    np.testing.assert_allclose(conditional["residual"], Y - model.blup()[0])
    np.testing.assert_allclose(conditional["z"], standardized["z"])
    hat = model.influence()["hat"]
    np.testing.assert_allclose(standardized["se"], np.sqrt((V + model.tau2) * (1 - hat)))
    assert hat.sum() == pytest.approx(2)


def test_baujat_of_an_equal_effects_model_splits_q():
    model = fitted(method="EE", test="z", p=1)
    frame = ca.baujat(model)
    assert frame["heterogeneity"].sum() == pytest.approx(model.QE.statistic)
    for i in range(K):
        without = fitted(np.arange(K) != i, "EE", "z", 1)
        assert frame["influence"].iloc[i] == pytest.approx((model.beta[0] - without.beta[0]) ** 2 / without.cov[0, 0])


def test_radial_points_lie_on_the_regression_through_the_origin():
    model = fitted(p=1, test="z")
    frame = ca.radial(model)
    slope = frame["precision"] @ frame["z"] / (frame["precision"] @ frame["precision"])
    assert slope == pytest.approx(model.beta[0])
    centred = ca.radial(model, center=True)
    assert centred["precision"] @ centred["z"] == pytest.approx(0, abs=1e-10)


def test_two_effects_leave_one():
    model = ca.fit(yi=[0.1, 0.6], vi=[0.01, 0.04])
    frame = model.influence()
    assert frame["tau2_deleted"].tolist() == [0, 0]
    assert frame["QE_deleted"].tolist() == [0, 0]
    np.testing.assert_allclose(model.residuals("studentized")["residual"], [-0.5, 0.5])


def test_identical_effects_have_no_influence():
    for test in ("z", "knha"):  # with knha there is no error at all
        frame = ca.fit(yi=[0.3] * 5, vi=[0.1, 0.2, 0.1, 0.3, 0.2], test=test).influence()
        assert not frame["influential"].any()


# dat.bcg (log risk ratios), ablat as moderator, weights 1, 2, 3, ...: metafor 3.8,
# influence(rma(yi, vi, mods = ~ ablat, weights = a, method = "DL", test = "knha"))
BCG = [
    -0.889311333920205, -1.58538865720143, -1.34807314829969, -1.44155119002131, -0.217547322211296, -0.786115585818864,
    -1.62089822359839, 0.0119523335238405, -0.469417648738149, -1.37134480347278, -0.339358828338391, 0.445913400571379,
    -0.0173139482168798,
]  # fmt: skip
BCG_V = [
    0.325584765003961, 0.194581121398144, 0.415367965367965, 0.0200100319022476, 0.0512101721696309,
    0.00690561845590876, 0.223017247572315, 0.00396157929781773, 0.056434210463249, 0.0730247936130289,
    0.0124122139715597, 0.532505845200153, 0.0714046596839863,
]  # fmt: skip
ABLAT, OWN = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33], [1.0, 2, 3, 1, 2, 1, 5, 2, 2, 3, 1, 1, 4]
METAFOR = {  # of the first, second and seventh trial
    "rstudent": [0.250373426474975, -0.583567618841631, -2.77156718933275],
    "dffits": [0.0563881946836423, -0.372159349314647, -2.54790197808884],
    "cook_d": [0.00349394832385967, 0.149355724850036, 4.44010574791955],
    "cov_r": [1.30567716392128, 1.67935554291558, 0.225201180101138],
    "tau2_deleted": [0.0673831581309072, 0.066660272319134, 0.0384594569165859],
    "QE_deleted": [30.7241786526718, 30.1829656589402, 21.7497929810601],
    "hat": [0.0669894958597886, 0.294905930889194, 0.34226234017029],
    "weight": [3.57142857142857, 7.14285714285714, 17.8571428571429],
    "dfbetas[intercept]": [-0.01919263, 0.21778257, -2.42924434],
}


def test_weights_of_ones_own():
    X = np.column_stack([np.ones(13), ABLAT])
    model = ca.fit(yi=BCG, vi=BCG_V, X=X, weights=OWN, method="DL", test="knha")
    frame = model.influence().iloc[[0, 1, 6]]
    for name, values in METAFOR.items():
        np.testing.assert_allclose(frame[name], values, rtol=1e-6, err_msg=name)


def test_a_variance_that_is_held_stays():
    model = ca.fit(yi=Y, vi=V, tau2=0.2, test="z")
    assert model.influence()["tau2_deleted"].tolist() == [0.2] * K
    without = ca.fit(yi=Y[1:], vi=V[1:], tau2=0.2, test="z")
    row = model.leave_one_out().iloc[0]
    assert row["estimate"] == pytest.approx(without.beta[0])
    assert row["se"] == pytest.approx(without.se[0])


MULTILEVEL = pd.DataFrame({"yi": Y, "vi": V, "study": list("aabbccdde")})
WRONG = [
    (lambda m, u: m.influence(), "influence diagnostics are offered for univariate models, whose effects are "
     "independent; for this model use leave_one_out(by=...)"),
    (lambda m, u: ca.baujat(m), "Baujat plots are offered for univariate models, whose effects are independent; for "
     "this model use leave_one_out(by=...)"),
    (lambda m, u: ca.radial(m), "a radial plot shows independent effects; this model ties some of them together"),
    (lambda m, u: ca.radial(u), "a radial plot has one slope, so it belongs to models without moderators; use "
     "residuals()"),
    (lambda m, u: u.residuals("studentised"), 'there are no residuals of type "studentised": did you mean '
     '"studentized"?'),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_what_is_refused(call, words):
    multilevel = ca.fit("yi ~ 1", data=MULTILEVEL, random="study")
    with pytest.raises(ModelError) as problem:
        call(multilevel, fitted())
    assert str(problem.value) == words


def test_a_thousand_effects_take_no_matrix_of_them():
    import tracemalloc

    rng = np.random.default_rng(1)
    v = rng.uniform(0.01, 0.2, 1000)
    model = ca.fit(yi=rng.normal(0.2, np.sqrt(v + 0.05)), vi=v, method="DL")
    tracemalloc.start()
    model.leave_one_out()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2e7  # a 1000 x 1000 matrix has 8e6 bytes, and several would be needed; chunks of rows do not grow


@pytest.mark.parametrize(("method", "known"), [("EE", True), ("DL", False), ("REML", False)])
def test_as_many_effects_as_coefficients_left_is_no_estimate_of_heterogeneity(method, known):
    """k - 1 = p: without an effect tau^2 cannot be estimated, and is not silently taken as zero (metafor: NA)."""
    X = np.array([[1.0, 1], [1, 2], [1, 4]])
    model = ca.fit(yi=[-0.3, 0.4, 1.9], vi=[0.02, 0.2, 0.1], X=X, method=method)
    frame = model.influence()
    assert np.isfinite(frame["rstudent"]).all() == known
    assert np.isfinite(model.residuals("studentized")["z"]).all() == known
    assert ("no fit is given" in "".join(frame.attrs["notes"])) != known
    assert np.isfinite(frame["hat"]).all()
