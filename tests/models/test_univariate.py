"""Univariate models: user weights, tests, intervals of tau^2, predictions; witnesses are R and closed forms."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, kstest

from catharsis.errors import ModelError
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import weighted
from catharsis.models.kenward_roger import kenward_roger
from catharsis.models.moment_estimators import generalised_q_tails
from catharsis.numerics import critical_value

YI, VI = np.array([0.1, 0.4, 0.9, 0.3, 0.6]), np.array([0.02, 0.03, 0.05, 0.01, 0.04])
X2 = np.column_stack([np.ones(5), [1.0, 2.0, 4.0, 3.0, 7.0]])
WEIGHTS = np.array([1.0, 2.0, 3.0, 1.0, 0.5])

# metafor 3.8 (Debian), rma(yi, vi, mods, weights, method, test, tau2) at threshold 1e-13:
# options -> beta, se, tau2, se of tau2, R2, s2w, QM
R_WEIGHTS = [
    ({"test": "z"}, [0.56], [0.1573789715618], 0.0513578959871, 0.0555512993867, None, 1, 12.6614267872227),
    ({"test": "knha"}, [0.56], [0.1632195428411], 0.0513578959871, 0.0555512993867, None, 1.0756002842068,
     11.7714981793258),
    ({"test": "z", "method": "EE"}, [0.56], [0.1041366623454], 0, None, None, 1, 28.9180327868852),
    ({"test": "adhoc", "X": X2}, [0.1252964426877, 0.1387351778656], [0.2221785194118, 0.0697700637008],
     0.0152962061270, 0.0314832360982, 70.2164470856430, 1.3291453599516, 3.9539844006292),
    ({"test": "t", "method": "EE", "X": X2}, [0.1252964426877, 0.1387351778656], [0.1543269484293, 0.0507547435597],
     0, None, 30.5094033835858, 1, 7.4717084116684),
    ({"test": "z", "method": "GENQ", "X": X2}, [0.1252964426877, 0.1387351778656], [0.2613890844067, 0.0787741203398],
     0.0511018518519, 0.0732946456751, 44.0540473718043, 1, 3.1017448245345),
    ({"test": "z", "method": "DL", "X": X2}, [0.1252964426877, 0.1387351778656], [0.2033391812226, 0.0632891199260],
     0.0201273344652, 0.0358978586577, 53.1922454297786, 1, 4.8052399315980),
]  # fmt: skip


@pytest.mark.parametrize(("options", "beta", "se", "tau2", "tau2_se", "R2", "scale", "QM"), R_WEIGHTS)
def test_user_weights_against_metafor(options, beta, se, tau2, tau2_se, R2, scale, QM):
    model = fit(yi=YI, vi=VI, weights=WEIGHTS, **options)
    rel = 1e-9
    assert model.beta == pytest.approx(beta, rel=rel)
    assert model.se == pytest.approx(se, rel=rel)
    assert model.tau2 == pytest.approx(tau2, rel=rel)
    assert np.isnan(model.tau2_se) if tau2_se is None else model.tau2_se == pytest.approx(tau2_se, rel=rel)
    assert np.isnan(model.R2) if R2 is None else pytest.approx(R2, rel=rel) == model.R2
    assert model.scale == pytest.approx(scale, rel=rel)
    assert model.QM.statistic == pytest.approx(QM, rel=rel)


def test_user_weights_do_not_count_absolutely_and_may_be_a_column():
    frame = pd.DataFrame({"yi": YI, "vi": VI, "n": 1e9 * WEIGHTS})
    model = fit("yi ~ 1", frame, weights="n", test="z")
    assert model.se == pytest.approx(fit(yi=YI, vi=VI, weights=WEIGHTS, test="z").se, rel=1e-12)
    with pytest.raises(ModelError, match=r'^the data have no column "m" for the weights: '):
        fit("yi ~ 1", frame, weights="m")


def test_optimal_weights_are_the_ordinary_model():
    plain = fit(yi=YI, vi=VI, X=X2, method="PM", test="knha")
    own = fit(yi=YI, vi=VI, X=X2, method="PM", test="knha", weights=1 / (VI + plain.tau2))
    assert own.beta == pytest.approx(plain.beta, rel=1e-12)
    assert own.cov == pytest.approx(plain.cov, rel=1e-12)
    assert own.llf == pytest.approx(plain.llf, rel=1e-12)
    other = fit(yi=YI, vi=VI, X=X2, method="PM", test="z", weights=WEIGHTS)
    assert (other.se > fit(yi=YI, vi=VI, X=X2, method="PM", test="z").se).all()


@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_with_user_weights_is_that_of_the_residuals(reml):
    model = fit(yi=YI, vi=VI, X=X2, weights=WEIGHTS, test="z")
    wi = 1 / (VI + model.tau2)
    residual = YI - X2 @ model.beta
    by_hand = -0.5 * (np.log(2 * np.pi / wi).sum() + wi @ residual**2)
    if reml:
        information = np.linalg.slogdet(X2.T @ (wi[:, None] * X2))[1] - np.linalg.slogdet(X2.T @ X2)[1]
        by_hand += 0.5 * (2 * np.log(2 * np.pi) - information)
    assert model.log_likelihood(reml) == pytest.approx(by_hand, rel=1e-12)


def test_an_effect_of_weight_zero_does_not_pull():
    model = fit(yi=YI, vi=VI, weights=[1, 1, 1, 1, 0], method="EE", test="z")
    assert model.beta[0] == pytest.approx(YI[:4].mean())
    assert model.se[0] == pytest.approx(np.sqrt(VI[:4].sum()) / 4)
    for call in (model.blup, model.ranef, lambda: model.robust(range(5)), lambda: model.compare(model)):
        with pytest.raises(ModelError, match=r": fit without weights=$"):
            call()


# metafor 3.8, rma(yi, vi, mods, tau2=.03, method, test): beta, se, se of tau2, R2, log-likelihood, QM
R_HELD = [
    ({"test": "z"}, [0.4068640646030], [0.1063274102458], 0.0397199858568, None, -0.8768941496412, 14.6422627058899),
    ({"test": "knha", "X": X2}, [0.1296162709147, 0.0881074040677], [0.2064651074016, 0.0557840254134],
     0.0445629673463, 41.5863920758481, -0.0357370927476, 2.4946240864779),
    ({"test": "z", "X": X2, "method": "ML"}, [0.1296162709147, 0.0881074040677], [0.2019641058458, 0.0545679168500],
     0.0346780435253, 5.2835543396087, 0.9442076356398, 2.6070542105370),
]  # fmt: skip


@pytest.mark.parametrize(("options", "beta", "se", "tau2_se", "R2", "llf", "QM"), R_HELD)
def test_a_given_tau2_against_metafor(options, beta, se, tau2_se, R2, llf, QM):
    model = fit(yi=YI, vi=VI, tau2=0.03, **options)
    assert (model.tau2, model.held, model.parameters) == (0.03, True, len(beta))
    assert model.beta == pytest.approx(beta, rel=1e-9)
    assert model.se == pytest.approx(se, rel=1e-9)
    assert model.tau2_se == pytest.approx(tau2_se, rel=1e-9)
    assert np.isnan(model.R2) if R2 is None else pytest.approx(R2, rel=1e-9) == model.R2
    assert model.llf == pytest.approx(llf, rel=1e-9)
    assert model.QM.statistic == pytest.approx(QM, rel=1e-9)
    with pytest.raises(ModelError, match=r"^tau\^2 was given, not estimated: fit without tau2= to see"):
        model.confint_heterogeneity()


# -- Kenward-Roger ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, 3])
def test_kenward_roger_is_exact_for_equal_variances(p):
    """With equal v (and an estimate off the boundary) this is a linear model with one variance: t and F, k - p."""
    rng = np.random.default_rng(11)
    X = np.column_stack([np.ones(12), rng.normal(size=(12, p - 1))])
    y = rng.normal(size=12)
    found, plain = (fit(yi=y, vi=np.full(12, 0.04), X=X, test=test) for test in ("kr", "t"))
    assert found.cov == pytest.approx(plain.cov, rel=1e-9)
    assert found.dfs == pytest.approx(np.full(p, 12 - p), rel=1e-9)
    assert found.pvalues.to_numpy() == pytest.approx(plain.pvalues.to_numpy(), rel=1e-8)
    assert found.QM.p == pytest.approx(plain.QM.p, rel=1e-8)
    assert found.QM.df2 == pytest.approx(12 - p, rel=1e-8)


def test_kenward_roger_against_dense_matrices():
    """The expansion written out with k x k matrices, for an unbalanced meta-regression."""
    model = fit(yi=YI, vi=VI, X=X2, test="kr")
    W = np.diag(1 / (VI + model.tau2))
    Phi = np.linalg.inv(X2.T @ W @ X2)
    P = W - W @ X2 @ Phi @ X2.T @ W
    variance = 2 / np.trace(P @ P)
    first, second = -X2.T @ W @ W @ X2, X2.T @ W @ W @ W @ X2
    cov = Phi + 2 * variance * Phi @ (second - first @ Phi @ first) @ Phi
    assert model.cov == pytest.approx(cov, rel=1e-10)
    for row in np.array([[1, 0], [0, 1], [1, 3.5]]):
        by_hand = 2 * (row @ cov @ row) ** 2 / variance / (row @ cov @ first @ cov @ row) ** 2
        assert model.predict(row).high - model.predict(row).low == pytest.approx(
            2 * float(critical_value(0.95, by_hand)) * np.sqrt(row @ cov @ row), rel=1e-9
        )
    table = model.combinations([[1, 3.5]])
    assert table["df"][0] == pytest.approx(by_hand, rel=1e-10)
    assert model.wald_test([[1, 3.5]]).statistic == pytest.approx(table["statistic"][0] ** 2, rel=1e-10)
    assert model.wald_test([[1, 3.5]]).p == pytest.approx(table["p"][0], rel=1e-8)


@pytest.mark.parametrize("tau2", [0.0, 0.3])
def test_kenward_roger_never_narrows(tau2):
    rng = np.random.default_rng(5)
    for _ in range(20):
        vi = rng.uniform(0.01, 1, 8)
        X = np.column_stack([np.ones(8), rng.normal(size=8)])
        extra = kenward_roger(vi, X, tau2).cov - weighted(np.zeros(8), 1 / (vi + tau2), X).cov
        assert np.linalg.eigvalsh(extra).min() > 0


# -- intervals of tau^2 -------------------------------------------------------------------------------------

# dat.normand1999 (metadat), mean differences of the length of stay, in days: metafor's search for the upper limit
# stops at ten times the estimate (2054 after DL) and says ">"
STAY = (
    [-20, -2, -55, -71, -4, 1, 11, -10, 7],
    [40.50802315963606, 2.0806451612903225, 15.698403755868545, 150.22222222222223, 17.307692307692307,
     1.1673414304993253, 94.5891265597148, 6.3108792846497765, 19.842307692307692],
)  # fmt: skip


@pytest.mark.parametrize("method", ["DL", "HS", "HSk", "REML"])
def test_q_profile_limits_beyond_rs_search(method):
    """At our limits Cochran's Q is at its chi-square quantiles; at R's upper limit it is far above the lower one."""
    yi, vi = map(np.array, STAY)
    found = fit(yi=yi, vi=vi, method=method, test="z").confint_heterogeneity()
    for limit, probability in zip(found, (0.975, 0.025), strict=True):
        Q = weighted(yi, 1 / (vi + limit), np.ones((9, 1))).rss
        assert pytest.approx(chi2.ppf(probability, 8), rel=1e-12) == Q
    assert found.tau2.high == pytest.approx(2889.4513, abs=1e-4)
    assert weighted(yi, 1 / (vi + 2054.093754679108), np.ones((9, 1))).rss > 1.3 * chi2.ppf(0.025, 8)
    contained = found.tau2.low <= found.tau2.estimate
    assert found.notes == (
        () if contained else (
            f"the Q-profile interval of tau^2 does not contain the {method} estimate: they rest on different "
            "equations; PM goes with QP, GENQ with GENQ, ML and REML with PL",
        )
    )  # fmt: skip


# metafor 3.8, confint(rma(c(.1,.4,.9), c(.02,.03,.05)), type="PL", control=list(tol=1e-12))
def test_profile_likelihood_against_metafor():
    found = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], test="z").confint_heterogeneity(type="PL")
    expected = {
        "tau2": [0.122539, 0.001028, 2.756213], "tau": [0.350056, 0.032056, 1.660185],
        "I2": [79.809707, 3.208466, 98.887778], "H2": [4.952875, 1.033148, 89.910112],
    }  # fmt: skip
    assert found.method == "profile likelihood"
    for name, row in found.frame().iterrows():
        assert row.tolist() == pytest.approx(expected[name], abs=1e-6 * max(1, expected[name][2]))


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("power", [-8, 0, 8])
def test_profile_likelihood_solves_its_equation(method, level, power):
    c = 10.0**power
    model = fit(yi=c * YI, vi=c * c * VI, X=X2, method=method, test="z")
    found = model.confint_heterogeneity(level, "PL")
    assert found.tau2.low <= model.tau2 <= found.tau2.high
    top = model.profile([model.tau2])["llf"][0]
    for limit in found:
        if limit > 0:
            drop = 2 * (top - model.profile([limit])["llf"][0])
            assert drop == pytest.approx(chi2.ppf(level, 1), rel=1e-8)
    assert found.tau2.high / c**2 == pytest.approx(
        fit(yi=YI, vi=VI, X=X2, method=method, test="z").confint_heterogeneity(level, "PL").tau2.high, rel=1e-9
    )


def test_profile_likelihood_across_several_peaks():
    model = fit(yi=[0.04, 1.63, 1.96, 0.11], vi=[0.0005, 9.0069, 0.4292, 0.0009], test="z")
    assert "the likelihood of tau^2 has other, lower peaks at 0.663" in model.notes[0]
    found = model.confint_heterogeneity(0.05, "PL")  # narrow: two pieces around two peaks
    assert found.tau2.low < 0.002 < found.tau2.high
    assert found.tau2.high > 0.66 or found.tau2.high < 0.01
    wide = model.confint_heterogeneity(type="PL")
    assert wide.tau2.high > 0.663


@pytest.mark.parametrize("method", ["DL", "HE", "GENQ", "GENQM"])
@pytest.mark.parametrize("X", [np.ones((5, 1)), X2])
def test_generalised_q_with_equal_variances_is_chi_square(method, X):
    """All weights are equal then, so the generalised Q is the Q-profile."""
    model = fit(yi=YI, vi=np.full(5, 0.02), X=X, method=method, weights=np.ones(5), test="z")
    generalised, profile = (model.confint_heterogeneity(type=type) for type in ("GENQ", "QP"))
    assert list(generalised) == pytest.approx(list(profile), rel=1e-10)
    assert generalised.method == "generalised Q"


def test_generalised_q_covers():
    """Simulation with very unequal variances: tail probabilities at the true tau^2 are uniform (Kolmogorov-Smirnov)."""
    rng = np.random.default_rng(3)
    vi, X = np.array([0.01, 0.02, 0.05, 0.3, 1.0, 0.1, 0.02]), np.ones((7, 1))
    draws = rng.normal(0, np.sqrt(0.1 + vi), (1000, 7))
    assert kstest([generalised_q_tails(y, vi, X, 1 / vi, 0.1).upper for y in draws], "uniform").pvalue > 0.01


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("X", [np.ones((5, 1)), X2])
def test_median_unbiased_estimates_lie_inside_their_intervals(level, X):
    """GENQM in the generalised Q interval, PMM in the Q-profile, at any level."""
    for method in ("GENQM", "PMM"):
        model = fit(yi=YI, vi=VI, X=X, method=method, weights=WEIGHTS, test="z")
        low, high = model.confint_heterogeneity(level)
        assert low <= model.tau2 <= high


BAD_INTERVALS = [
    ({"method": "DL"}, {"type": "PL"},
     "the profile likelihood interval goes with ML and REML, not with DL; use type='QP'"),
    ({"method": "PM"}, {"type": "GENQ"}, "PM has no fixed weights for a generalised Q interval; use type='QP'"),
    ({"method": "SJ"}, {"type": "GENQ"}, "SJ has no fixed weights for a generalised Q interval; use type='QP'"),
    ({}, {"type": "QPP"}, 'there is no interval of type "QPP": did you mean "QP"?'),
    ({}, {"level": 95}, "level is 95; an interval's probability lies between 0 and 1; for 95% give 0.95"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "asked", "words"), BAD_INTERVALS)
def test_bad_intervals_are_refused_in_words(options, asked, words):
    with pytest.raises(ModelError) as caught:
        fit(yi=YI, vi=VI, **options).confint_heterogeneity(**asked)
    assert str(caught.value) == words


# -- profile, predictions, random effects -------------------------------------------------------------------


def test_profile_peaks_at_the_estimate():
    model = fit(yi=YI, vi=VI, X=X2)
    grid = model.profile()
    assert (grid["llf"] <= model.llf + 1e-12).all()
    assert grid["tau2"].iloc[0] == 0
    assert grid["tau2"].iloc[-1] > model.confint_heterogeneity().tau2.high
    assert model.profile([model.tau2])["llf"][0] == pytest.approx(model.llf, rel=1e-13)
    with pytest.raises(ModelError, match=r"^profile\(\) needs values of tau\^2: finite numbers that are not negative$"):
        model.profile([-0.1])


def test_prediction_intervals_by_name():
    """HTS: plain error, k - p - 1; HK: Knapp-Hartung error, k - p; KR: its own; the test of the fit does not matter."""
    models = [fit(yi=YI, vi=VI, X=X2, test=test) for test in ("z", "t", "knha", "kr")]
    plain, hartung, kenward = models[0], models[2], models[3]
    row = np.array([1, 2.5])
    for kind, source, df in (
        ("HTS", plain, 2.0),
        ("HK", hartung, 3.0),
        ("KR", kenward, kenward.combinations([row])["df"][0]),
    ):
        reach = float(critical_value(0.9, df)) * np.sqrt(plain.tau2 + source.predict(row).se ** 2)
        for model in models:
            found = model.prediction_interval(kind, row, 0.9)
            assert found.pi_high - found.estimate == pytest.approx(reach, rel=1e-9)
            assert (found.low, found.high) == (model.predict(row, 0.9).low, model.predict(row, 0.9).high)
            assert model.prediction_df(kind, row) == pytest.approx(df)
    assert np.isnan(fit(yi=YI[:2], vi=VI[:2]).prediction_interval("HTS").pi_low)


def test_predictions_refuse_what_they_cannot_do():
    model = fit(yi=YI, vi=VI, X=X2)
    for wrong in ([1.0], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(
            ModelError, match=r"^x has shape .*; it needs one finite number for each of the 2 coefficients"
        ):
            model.predict(wrong)
    with pytest.raises(ModelError, match=r'^there is no prediction interval "HTZ": did you mean "HTS"\?$'):
        model.prediction_interval("HTZ")
    with pytest.raises(ModelError, match=r"^the prediction interval KR rests on REML without weights; use HTS or HK$"):
        fit(yi=YI, vi=VI, method="DL").prediction_interval("KR")
    with pytest.raises(ModelError, match=r"^level is 0; an interval's probability lies between 0 and 1$"):
        model.predict(level=0)


# metafor 3.8, ranef(rma(yi, vi, test="knha")) at its default threshold 1e-5
def test_random_effects_against_metafor():
    found = fit(yi=YI, vi=VI, test="knha").ranef()
    expected = {
        "estimate": [-0.23053964008, -0.01282434753, 0.24305814085, -0.10070692804, 0.10101277481],
        "se": [0.1522518278, 0.1603025370, 0.1723078592, 0.1423148495, 0.1668741688],
        "low": [-0.6532584822, -0.4578955417, -0.2353451715, -0.4958362954, -0.3623041944],
        "high": [0.1921792021, 0.4322468466, 0.7214614532, 0.2944224393, 0.5643297440],
    }
    for name, values in expected.items():
        assert found[name].to_numpy() == pytest.approx(values, abs=1e-5)


def test_random_effects_and_shrunken_effects_are_one_story():
    model = fit(yi=YI, vi=VI, X=X2, method="SJ", test="z")
    assert model.ranef()["estimate"].to_numpy() + X2 @ model.beta == pytest.approx(model.blup()[0])
    # Var(u_hat - u) = tau2 I - tau2^2 P, its diagonal written out densely
    W = np.diag(1 / (VI + model.tau2))
    P = W - W @ X2 @ model.cov @ X2.T @ W
    by_hand = np.sqrt(np.diag(model.tau2 * np.eye(5) - model.tau2**2 * P))
    assert model.ranef()["se"].to_numpy() == pytest.approx(by_hand)


# -- edges --------------------------------------------------------------------------------------------------


def test_two_identical_studies():
    model = fit(yi=[0.3, 0.3], vi=[0.04, 0.04])
    assert (model.tau2, model.scale) == (0, 0)
    assert model.notes[0] == "tau^2 is estimated at its boundary, zero"
    assert "all effects are identical: the Knapp-Hartung standard error is zero" in model.notes
    assert model.confint_heterogeneity().notes


@pytest.mark.parametrize("method", ["DL", "REML", "SJ", "PMM"])
def test_as_many_effects_as_coefficients(method):
    model = fit(yi=YI[:2], vi=VI[:2], X=X2[:2], method=method, test="knha")
    assert (model.method, model.test, model.tau2, model.I2, model.H2) == (method, "z", 0, 0, 1)
    assert len(model.notes) == 2
    assert model.residuals("response")["residual"].to_numpy() == pytest.approx([0, 0], abs=1e-12)


def test_a_wide_spread_of_variances_is_noted():
    vi = VI.copy()
    vi[3] = 1e-12
    model = fit(yi=YI, vi=vi, test="z")
    assert model.notes == (
        "the sampling variances differ by a factor of 5e+10 (from 4 to 3): check their units; the most precise effects "
        "decide the answer",
    )


def test_duplicate_labels_do_not_matter():
    frame = pd.DataFrame({"yi": YI, "vi": VI}, index=["a"] * 5)
    assert fit("yi ~ 1", frame).tau2 == fit(yi=YI, vi=VI).tau2
    assert list(fit("yi ~ 1", frame).ranef().index) == ["a"] * 5


def test_text_table_and_attribute_agree():
    for test in ("z", "t", "knha", "adhoc", "kr"):
        model = fit(yi=YI, vi=VI, X=X2, test=test)
        table = model.summary()
        assert table["estimate"].tolist() == model.params.tolist()
        assert table["se"].tolist() == model.bse.tolist()
        assert table["p"].tolist() == model.pvalues.tolist()
        assert table[["low", "high"]].to_numpy().tolist() == model.conf_int().to_numpy().tolist()
        assert table["df"].tolist() == model.dfs.tolist()
        for j, row in enumerate(np.eye(2)):
            found = model.predict(row)
            assert [found.low, found.high] == pytest.approx(model.conf_int().iloc[j].tolist(), rel=1e-12)
            assert found.pi_low <= found.low <= found.high <= found.pi_high


def test_cost_is_linear_in_the_number_of_effects():
    """Ten times the effects take about ten times as long (a k x k matrix would take 100 times, and 80 GB)."""
    rng = np.random.default_rng(1)

    def seconds(k):
        vi = rng.uniform(0.01, 0.5, k)
        X = np.column_stack([np.ones(k), rng.normal(size=(k, 3))])
        yi = X @ [0.1, 0.2, 0.3, 0.4] + rng.normal(size=k) * np.sqrt(vi + 0.05)
        start = time.perf_counter()
        model = fit(yi=yi, vi=vi, X=X)
        model.summary()
        taken = time.perf_counter() - start
        assert model.tau2 == pytest.approx(0.05, abs=0.012)
        return taken

    small = min(seconds(10_000) for _ in range(3))
    assert seconds(100_000) < 40 * small
