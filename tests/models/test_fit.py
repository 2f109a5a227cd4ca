"""`fit` and `Fit`: closed forms, an independent witness, and exact words for bad input."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.models.fit import fit
from catharsis.numerics import critical_value

YI, VI = [0.1, 0.4, 0.9, 0.3, 0.6], [0.02, 0.03, 0.05, 0.01, 0.04]
NAN, INF = float("nan"), float("inf")


def frame(**columns):
    given = {
        "yi": YI,
        "vi": VI,
        "study": ["a", "a", "b", "b", "c"],
        "effect": [1, 2, 1, 2, 1],
        "setting": ["alone", "with", "alone", "with", "with"],
        "year": [1948.0, 1961.0, 1977.0, 1980.0, 1999.0],
        "one": ["x"] * 5,
        "same": [3.0] * 5,
        "twice": [2 * 1948.0, 2 * 1961.0, 2 * 1977.0, 2 * 1980.0, 2 * 1999.0],
        "gap": [1.0, NAN, 2.0, 3.0, 5.0],
        "wild": [1.0, INF, 2.0, 3.0, 5.0],
        "hole": ["a", None, "b", "b", "c"],
    }
    return pd.DataFrame({**given, **columns})


FRAME = frame()

BAD_ARRAYS = [
    ({"yi": [], "vi": []}, "there are no effects to combine"),
    ({"yi": [0.1], "vi": [0.1, 0.2]}, "there are 1 effects but 2 variances"),
    ({"yi": [0.1, 0.2], "vi": [0.1, 0]}, "the variance of 2 is 0.0; it must be positive and finite"),
    ({"yi": [0.1, 0.2], "vi": [-0.1, 0.2]}, "the variance of 1 is -0.1; it must be positive and finite"),
    ({"yi": [0.1, 0.2], "vi": [0.1, NAN]}, "the variance of 2 is nan; it must be positive and finite"),
    ({"yi": [0.1, 0.2], "vi": [0.1, INF]}, "the variance of 2 is inf; it must be positive and finite"),
    ({"yi": [0.1, NAN], "vi": [0.1, 0.1]}, "the effect of 2 is nan; it must be a finite number"),
    ({"yi": [0.1, -INF], "vi": [0.1, 0.1]}, "the effect of 2 is -inf; it must be a finite number"),
    (
        {"yi": [0.1, 0.2], "vi": [0.1, "small"]},
        'vi holds something that is not a number: "small" in row 2; enter a number, or leave the row out',
    ),
    (
        {"yi": ["high", 0.2], "vi": [0.1, 0.1]},
        'yi holds something that is not a number: "high" in row 1; enter a number, or leave the row out',
    ),
    ({"yi": [[0.1, 0.2]], "vi": [0.1, 0.1]}, "yi has 2 dimensions; it needs one value per effect"),
    ({"yi": None, "vi": [0.1]}, "give a formula with data, or yi and vi as arrays"),
    ({"yi": YI, "vi": VI, "X": np.ones((4, 1))}, "X has shape (4, 1); it needs one row for each of the 5 effects"),
    ({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "X": np.ones((2, 3))}, "2 effects cannot carry 3 coefficients"),
    (
        {"yi": YI, "vi": VI, "X": np.column_stack([np.ones(5), [1, 2, 3, 4, 5], [2, 4, 6, 8, 10]])},
        "the moderator column x3 repeats what intercept, x2 already say; drop one of them",
    ),
    (
        {"yi": YI, "vi": VI, "X": np.column_stack([np.ones(5), np.full(5, 7)])},
        "the moderator column x2 is 7 in every row, so it explains nothing",
    ),
    (
        {"yi": YI, "vi": VI, "X": np.column_stack([np.ones(5), np.zeros(5)])},
        "the moderator column x2 is zero in every row",
    ),
    (
        {"yi": YI, "vi": VI, "X": np.column_stack([np.ones(5), [1, 2, NAN, 4, 5]])},
        "X holds a value that is not finite in row 3",
    ),
    ({"yi": YI, "vi": VI, "method": "REMLL"}, 'there is no method "REMLL": did you mean "REML"?'),
    ({"yi": YI, "vi": VI, "test": "knah"}, 'there is no test "knah": did you mean "knha"?'),
    (
        {"yi": YI, "vi": VI, "method": "GENQ"},
        "GENQ needs weights: give weights=, one positive number per effect, or use DL or PM",
    ),
    (
        {"yi": YI, "vi": VI, "weights": [1, 2, 3]},
        "weights has shape (3,); it needs one number for each of the 5 effects",
    ),
    ({"yi": YI, "vi": VI, "weights": [1, 2, -1, 1, 1]}, "the weight of 3 is -1.0; it must be finite and not negative"),
    ({"yi": YI, "vi": VI, "weights": [1, 2, NAN, 1, 1]}, "the weight of 3 is nan; it must be finite and not negative"),
    (
        {"yi": YI, "vi": VI, "weights": [0] * 5},
        "all weights are zero: give at least one effect for each coefficient a weight",
    ),
    ({"yi": YI, "vi": VI, "weights": ["much"] * 5}, "weights holds something that is not a number"),
    (
        {"yi": YI, "vi": VI, "weights": "n"},
        'the data have no column "n" for the weights: there is nothing to choose from',
    ),
    (
        {"yi": YI, "vi": VI, "weights": [0, 0, 0, 0, 1], "X": np.column_stack([np.ones(5), [1, 2, 3, 4, 9]])},
        "effects of weight zero leave a coefficient without data: give them a weight, or drop it",
    ),
    (
        {"yi": YI, "vi": VI, "V": np.eye(5), "weights": VI},
        "weights= belongs to univariate models; with random= or V= leave it out",
    ),
    ({"yi": YI, "vi": VI, "tau2": -0.1}, "tau2 is -0.1; a variance is a finite number that is not negative"),
    ({"yi": YI, "vi": VI, "tau2": INF}, "tau2 is inf; a variance is a finite number that is not negative"),
    (
        {"yi": YI, "vi": VI, "tau2": [0.1, 0.2]},
        "tau2 holds 2 values; a univariate model has one between-study variance",
    ),
    (
        {"yi": YI, "vi": VI, "tau2": "big"},
        "tau2 is 'big'; a univariate model needs one number, its between-study variance",
    ),
    (
        {"yi": YI, "vi": VI, "tau2": 0.1, "method": "EE"},
        "EE has no tau^2 to hold at a value: leave out tau2=, or use method='REML'",
    ),
    (
        {"yi": YI, "vi": VI, "test": "kr", "method": "DL"},
        "Kenward-Roger rests on REML; with DL use test='knha' or test='t'",
    ),
    (
        {"yi": YI, "vi": VI, "test": "kr", "tau2": 0.1},
        "Kenward-Roger rests on tau^2 and weights estimated by REML: leave out weights= and tau2=",
    ),
    (
        {"yi": YI, "vi": VI, "level": 95},
        "level is 95; an interval's probability lies between 0 and 1; for 95% give 0.95",
    ),
    (
        {"yi": YI, "vi": VI, "V": np.eye(4)},
        "V has shape (4, 4); it needs one row and one column for each of the 5 effects",
    ),
    ({"yi": YI, "vi": VI, "V": np.full((5, 5), NAN)}, "V holds a value that is not finite, for effect 1"),
    (
        {"yi": YI, "vi": VI, "V": np.eye(5) + np.triu(np.full((5, 5), 0.1), 1)},
        "V is not symmetric: 0.1 and 0 between effects 1 and 2",
    ),
    (
        {"yi": YI, "vi": VI, "V": np.eye(5) + 1.5 * (np.eye(5, k=1) + np.eye(5, k=-1))},
        "V is not positive semi-definite (effects 1, 2, 3, 4, 5): the correlation between 1 and 2 is 1.5",
    ),
    (
        {"yi": YI, "vi": VI, "random": "study"},
        'the random factor "study" is not a column of the data: there is nothing to choose from',
    ),
]

UNIVARIATE_TEST = " belongs to univariate models; with random factors use test='z' and robust(cluster, 'CR2')"

BAD_FRAMES = [
    ("yi ~ seting", {}, 'the formula "yi ~ seting" names "seting": did you mean "setting"?'),
    ("yii ~ setting", {}, 'the data have no column "yii": did you mean "yi"?'),
    ("yi ~ setting", {"vi": "variance"}, 'the data have no column "variance": use one of: '),
    ("yi ~ gap", {}, "gap is missing in 1 of 5 rows (1): fill the cells or narrow the rows"),
    ("yi ~ hole", {}, "hole is missing in 1 of 5 rows (1): fill the cells or narrow the rows"),
    ("yi ~ wild", {}, "the moderator column wild holds a value that is not finite"),
    ("yi ~ one", {}, 'the moderator one has one level only ("x"), so it explains nothing'),
    ("yi ~ same", {}, "the moderator column same is 3 in every row, so it explains nothing"),
    ("yi ~ year + twice", {}, "the moderator column twice repeats what intercept, year already say; drop one of them"),
    ("yi ~ setting +", {}, 'the formula "yi ~ setting +" cannot be read: '),
    (
        "yi ~ setting",
        {"reference": {"setting": "allone"}},
        'the reference level "allone" of setting has no rows; did you mean "alone"?',
    ),
    ("yi ~ 1", {"random": "stud"}, 'the random factor "stud" is not a column of the data: did you mean "study"?'),
    (
        "yi ~ 1",
        {"random": "one/effect"},
        "the random factor one has one level only, so its variance cannot be estimated",
    ),
    ("yi ~ 1", {"random": "hole"}, "the random factor hole is missing in 1 rows"),
    ("yi ~ 1", {"random": "study + study"}, 'the random factor "study" is named twice in "study + study"'),
    ("yi ~ 1", {"random": "study", "test": "knha"}, "knha" + UNIVARIATE_TEST),
    ("yi ~ 1", {"random": "study", "test": "adhoc"}, "adhoc" + UNIVARIATE_TEST),
    (
        "yi ~ 1",
        {"random": "study", "method": "DL"},
        "DL belongs to univariate models; with random factors use REML or ML",
    ),
]


@pytest.mark.parametrize(("given", "words"), BAD_ARRAYS, ids=[words[:40] for _, words in BAD_ARRAYS])
def test_bad_arrays_are_refused_in_words(given, words):
    with pytest.raises(ModelError) as caught:
        fit(**given)
    assert str(caught.value) == words


@pytest.mark.parametrize(("formula", "options", "words"), BAD_FRAMES, ids=[words[:40] for *_, words in BAD_FRAMES])
def test_bad_frames_are_refused_in_words(formula, options, words):
    with pytest.raises(ModelError) as caught:
        fit(formula, FRAME, **options)
    assert str(caught.value) == words or (words.endswith(": ") and str(caught.value).startswith(words))


def test_a_formula_needs_data_with_rows():
    with pytest.raises(ModelError, match=r"^a formula needs data$"):
        fit("yi ~ setting")
    with pytest.raises(ModelError, match=r"^there are no effects to combine$"):
        fit("yi ~ setting", FRAME.iloc[:0])


def test_one_study_is_reported_as_it_is():
    model = fit(yi=[0.3], vi=[0.04])
    assert (model.method, model.test, model.tau2) == ("REML", "z", 0)
    assert model.params["intercept"] == pytest.approx(0.3)
    assert model.bse["intercept"] == pytest.approx(0.2)
    assert model.notes == (
        "k = 1: heterogeneity cannot be estimated, so tau^2 is set to 0 and a prediction interval is no wider than the "
        "confidence interval",
        "k = p leaves no degrees of freedom, so the tests and intervals are normal (test='z')",
    )
    assert (model.I2, model.H2) == (0, 1)
    assert model.predict().pi_low == model.predict().low
    assert np.isnan([model.tau2_se, model.QE.p]).all()
    with pytest.raises(
        ModelError, match=r"an interval for tau.2 needs more effects than coefficients; here k = 1 and p = 1"
    ):
        model.confint_heterogeneity()


def test_identical_effects_are_noted():
    model = fit(yi=[0.3, 0.3, 0.3], vi=[0.04, 0.02, 0.05])
    assert model.scale == 0
    assert "all effects are identical: the Knapp-Hartung standard error is zero" in model.notes
    assert np.isinf(model.tvalues["intercept"])
    assert np.isnan(model.QM.p)
    model.summary()


def test_zero_tau2_is_noted():
    model = fit(yi=[0.30, 0.31, 0.29], vi=[0.04, 0.05, 0.06], test="z")
    assert model.tau2 == 0
    assert model.notes == ("tau^2 is estimated at its boundary, zero",)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_q_profile_with_two_studies_in_closed_form(level):
    """With k = 2, Q(tau2) = (y1 - y2)^2 / (v1 + v2 + 2 tau2), which inverts by hand."""
    from scipy.stats import chi2

    low, high = fit(yi=[0.1, 0.9], vi=[0.04, 0.02]).confint_heterogeneity(level)  # iterates over the limits of tau^2
    by_hand = [max((0.64 / chi2.ppf(q, 1) - 0.06) / 2, 0) for q in ((1 + level) / 2, (1 - level) / 2)]
    assert [low, high] == pytest.approx(by_hand, rel=1e-12)


def test_q_profile_interval_can_be_empty():
    found = fit(yi=[0.30, 0.30001, 0.3], vi=[0.4, 0.5, 0.6]).confint_heterogeneity()
    assert list(found) == [0, 0]
    assert found.notes == (
        "the Q-profile interval of tau^2 is empty: the effects differ less than their sampling variances let expect, "
        "even without heterogeneity; it is shown as 0 to 0",
    )


def test_q_profile_belongs_to_univariate_models():
    with pytest.raises(ModelError, match=r"^the Q-profile interval belongs to univariate models$"):
        fit("yi ~ 1", FRAME, random="study").confint_heterogeneity()
    with pytest.raises(ModelError, match=r"^shrunken effects are offered for univariate models$"):
        fit("yi ~ 1", FRAME, random="study").blup()


@pytest.mark.parametrize("formula", ["yi ~ year", "yi ~ setting", "yi ~ year + setting", "yi ~ setting - 1"])
def test_equal_effects_meta_regression_against_statsmodels(formula):
    """WLS with the scale fixed at one is a fixed-effect meta-regression."""
    model = fit(formula, FRAME, method="EE", test="z")
    witness = sm.WLS(model.blocks.y, model.blocks.X, weights=1 / np.array(VI)).fit(cov_type="fixed scale")
    assert model.params.to_numpy() == pytest.approx(witness.params, rel=1e-9)
    assert model.bse.to_numpy() == pytest.approx(witness.bse, rel=1e-9)
    assert model.pvalues.to_numpy() == pytest.approx(witness.pvalues, rel=1e-8)
    assert model.conf_int().to_numpy() == pytest.approx(witness.conf_int(), rel=1e-8)
    plain = sm.WLS(model.blocks.y, model.blocks.X, weights=1 / np.array(VI)).fit()
    assert fit(formula, FRAME, method="EE", test="knha").bse.to_numpy() == pytest.approx(plain.bse, rel=1e-9)
    assert model.log_likelihood(reml=False) == pytest.approx(
        -0.5 * (np.log(2 * np.pi * np.array(VI)).sum() + model.QE.statistic), rel=1e-12
    )


def test_a_far_origin_of_a_moderator_costs_no_digits():
    """A raw year and a centred one are the same model; normal equations would differ at 1e-8 here."""
    raw = fit("yi ~ year", FRAME, test="z")
    centred = fit("yi ~ year", frame(year=FRAME["year"] - 1973), test="z")
    assert raw.tau2 == pytest.approx(centred.tau2, rel=1e-11)
    assert raw.params["year"] == pytest.approx(centred.params["year"], rel=1e-11)
    assert raw.llf == pytest.approx(centred.llf, rel=1e-11)


@pytest.mark.parametrize("random", [None, "study", "study/effect"])
def test_level_means_and_contrasts_do_not_depend_on_the_coding(random):
    wide = pd.concat([frame(), frame(yi=[0.2, 0.5, 0.4, 0.8, 0.1], study=["d", "d", "e", "f", "f"])], ignore_index=True)
    wide["setting"] = ["alone", "with", "alone", "pair", "with", "pair", "with", "alone", "pair", "alone"]
    options = {"random": random, "test": "z"}
    first = fit("yi ~ setting + year", wide, **options)
    other = fit("yi ~ setting + year", wide, reference={"setting": "with"}, **options)
    cells = fit("yi ~ setting + year - 1", wide, **options)
    means = first.level_means("setting")
    for again in (other, cells):
        assert again.level_means("setting").loc[means.index].to_numpy() == pytest.approx(means.to_numpy(), rel=1e-6)
    contrasts = first.contrasts("setting")
    assert list(contrasts.index) == ["pair", "with"]
    assert contrasts["estimate"].to_numpy() == pytest.approx(
        first.params[["setting[pair]", "setting[with]"]].to_numpy()
    )
    assert contrasts["se"].to_numpy() == pytest.approx(first.bse[["setting[pair]", "setting[with]"]].to_numpy())
    assert contrasts["p"].to_numpy() == pytest.approx(first.pvalues[["setting[pair]", "setting[with]"]].to_numpy())
    assert cells.contrasts("setting").to_numpy() == pytest.approx(contrasts.to_numpy(), rel=1e-6)
    assert means.loc["with", "estimate"] - means.loc["alone", "estimate"] == pytest.approx(
        contrasts.loc["with", "estimate"]
    )


def test_level_means_at_the_mean_of_the_other_moderators():
    model = fit("yi ~ setting + year", FRAME, method="EE", test="z")
    b = model.params
    means = model.level_means("setting")["estimate"]
    assert means["alone"] == pytest.approx(b["intercept"] + b["year"] * FRAME["year"].mean())
    assert means["with"] == pytest.approx(means["alone"] + b["setting[with]"])


def test_level_means_need_a_factor_without_interactions():
    model = fit("yi ~ setting", FRAME, test="z")
    with pytest.raises(ModelError, match=r'^"seting" is not a factor of this model: did you mean "setting"\?$'):
        model.level_means("seting")
    crossed = fit("yi ~ setting * year", FRAME, method="EE", test="z")
    with pytest.raises(ModelError, match=r"^setting interacts with another moderator: its levels have no single mean"):
        crossed.contrasts("setting")


def test_blup_is_a_weighted_mean_of_own_and_average():
    """Intercept only: the standard error follows from the variance of a linear combination, by hand."""
    model = fit(yi=YI, vi=VI, test="z", method="DL")
    yi, vi = np.array(YI), np.array(VI)
    pred, se = model.blup()
    keep = model.tau2 / (model.tau2 + vi)
    assert pred == pytest.approx(keep * yi + (1 - keep) * model.params["intercept"])
    wi = 1 / (vi + model.tau2)
    # Var(blup_i - theta_i) with blup = A y: A (V + tau2 I) A' - 2 tau2 A + tau2 I, diagonal
    A = np.diag(keep) + np.outer(1 - keep, wi / wi.sum())
    by_hand = np.sqrt(np.diag(A @ np.diag(vi + model.tau2) @ A.T - 2 * model.tau2 * A + model.tau2 * np.eye(5)))
    assert se == pytest.approx(by_hand, rel=1e-10)


def test_blup_without_heterogeneity_is_the_average():
    pred, _ = fit(yi=YI, vi=VI, method="EE", test="z").blup()
    assert np.ptp(pred) == pytest.approx(0, abs=1e-15)


def test_prediction_interval_uses_the_degrees_of_freedom_asked_for():
    model = fit(yi=YI, vi=VI, test="z", method="DL")
    found = model.predict(pi_df=3)
    assert found.pi_high - found.estimate == pytest.approx(
        float(critical_value(0.95, 3)) * np.sqrt(model.tau2 + found.se**2)
    )
    assert found.high - found.estimate == pytest.approx(float(critical_value(0.95)) * found.se)
    assert np.isnan(model.predict(pi_df=0).pi_low)
    assert np.isnan(fit(yi=YI, vi=VI, method="EE").predict().pi_high)


def test_sampling_covariance_in_blocks_and_in_full_is_the_same_model():
    blocks = sampling_covariance(VI, FRAME["study"], 0.6)
    full = np.zeros((5, 5))
    for rows, block in blocks:
        full[np.ix_(rows, rows)] = block
    first = fit("yi ~ 1", FRAME, V=blocks, random="study/effect")
    second = fit("yi ~ 1", FRAME, V=full, random="study/effect")
    assert first.llf == pytest.approx(second.llf, rel=1e-12)
    assert list(first.sigma2) == ["study", "effect"]


def test_sampling_covariance_alone_is_generalised_least_squares():
    full = np.zeros((5, 5))
    for rows, block in sampling_covariance(VI, FRAME["study"], 0.6):
        full[np.ix_(rows, rows)] = block
    model = fit("yi ~ year", FRAME, V=full)
    witness = sm.GLS(model.blocks.y, model.blocks.X, sigma=full).fit(cov_type="fixed scale")
    assert model.method == "EE"
    assert model.params.to_numpy() == pytest.approx(witness.params, rel=1e-9)
    assert model.bse.to_numpy() == pytest.approx(witness.bse, rel=1e-9)


def test_the_caller_keeps_their_arrays():
    vi = np.array(VI)
    fit(yi=np.array(YI), vi=vi, V=np.diag(2 * vi), method="REML")
    assert vi.tolist() == VI


def test_crossed_random_effects_have_one_block():
    wide = frame(lab=["p", "q", "p", "q", "p"])
    model = fit("yi ~ 1", wide, random="study + lab")
    assert list(model.sigma2) == ["study", "lab"]
    assert len(model.blocks.stacks) == 1


def test_a_boundary_component_is_noted():
    model = fit("yi ~ 1", frame(yi=[0.3, 0.31, 0.29, 0.3, 0.3]), random="study/effect")
    assert model.notes == (
        "the variance of study is estimated at its boundary, zero",
        "the variance of effect is estimated at its boundary, zero",
    )


def test_summary_has_one_row_per_term():
    table = fit("yi ~ setting", FRAME).summary()
    assert list(table.index) == ["intercept", "setting[with]"]
    assert list(table.columns) == ["estimate", "se", "statistic", "df", "p", "low", "high"]
    assert (table["df"] == 3).all()


@pytest.mark.parametrize("method", ["EE", "DL", "HE", "HS", "HSk", "SJ", "EB", "PM", "PMM", "ML", "REML"])
def test_information_criteria_follow_from_the_likelihood(method):
    model = fit("yi ~ year", FRAME, method=method, test="z")
    count = 2 + (method != "EE")
    n = 5 if method == "ML" else 3
    assert model.aic == pytest.approx(2 * count - 2 * model.llf)
    assert model.bic == pytest.approx(np.log(n) * count - 2 * model.llf)
    assert model.aicc >= model.aic
    assert np.isfinite(model.tau2_se) == (method != "EE")


def test_text_table_and_attributes_say_the_same():
    frame = pd.DataFrame({"yi": YI, "vi": VI, "study": list("aabbc"), "x": [1.0, 2, 4, 3, 5]})
    for model in (fit("yi ~ x", frame), fit("yi ~ x", frame, random="study"), fit("yi ~ x", frame, method="EE")):
        table, text = model.summary(), str(model)
        for term in model.design.terms:
            assert table.loc[term, "estimate"] == model.params[term]
            assert table.loc[term, "se"] == model.bse[term]
            assert table.loc[term, "p"] == model.pvalues[term]
            assert (table.loc[term, "low"], table.loc[term, "high"]) == tuple(model.conf_int().loc[term])
            line = next(line for line in text.splitlines() if line.startswith(term))
            for column in ("estimate", "se", "statistic", "p", "low", "high"):
                assert f"{table.loc[term, column]:.4f}" in line
        assert f"Q({model.df_resid}) = {model.QE.statistic:.4g}, p = {model.QE.p:.4g}" in text
        assert all(f"note: {note}" in text for note in model.notes)
