"""Regression and rank tests of asymmetry, trim and fill."""

import re

import numpy as np
import pytest

import catharsis as ca

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, 0.25])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.01])
RNG = np.random.default_rng(20240607)
MANY_V = RNG.uniform(0.01, 0.3, 24)
MANY = 0.2 + 0.8 * np.sqrt(MANY_V) + RNG.normal(size=24) * np.sqrt(MANY_V + 0.02)
SCALES = (1e-8, 1e-3, 1e8)
TIGHT = 1e-9  # relative; the worst seen is 3e-12, rounding


# -- witnesses: metafor 3.8 on YI, VI (regtest, ranktest, trimfill) and R's lm for the tests of counts --------
def test_egger_as_metafor():
    found = ca.egger(YI, VI, model="lm")
    expected = (4.76662341834948, 0.00886199988522, 4.0, 0.04940956251559, -0.10846711581111, 0.20728624084228)
    assert (found.statistic, found.pvalue, found.df, found.limit, *found.limit_interval) == pytest.approx(expected)
    mixed = ca.egger(YI, VI)
    expected = (1.7930119411640, 0.0729710147183, 0.0494095625156, -0.2468720097759, 0.3456911348070)
    assert (mixed.statistic, mixed.pvalue, mixed.limit, *mixed.limit_interval) == pytest.approx(expected)
    assert np.isinf(mixed.df)
    assert np.isnan(found.tau2)


def test_rank_test_as_metafor():
    found = ca.rank_test(YI, VI)
    assert (found.tau, found.pvalue, found.exact) == (pytest.approx(13 / 15), pytest.approx(1 / 60), True)


def test_trim_and_fill_as_metafor():
    found = ca.trim_and_fill(YI, VI, method="EE")
    assert (found.k0, found.side, found.se_k0) == (2, "left", pytest.approx(1.69422403838))
    assert found.fit.params["intercept"] == pytest.approx(0.26170212766)
    bounded = ca.trim_and_fill(YI, VI, method="EE", limits=(-0.2, 1.0))
    np.testing.assert_allclose(bounded.filled_yi, [-0.0765957446809, -0.2])
    assert bounded.notes == ("1 imputed effects were moved to the limits (-0.2, 1.0)",)
    assert ca.trim_and_fill(YI, VI, method="EE", estimator="R0", side="left").p_k0 == 2.0 ** -(
        ca.trim_and_fill(YI, VI, method="EE", estimator="R0", side="left").k0 + 1
    )


COUNTS = (
    [4, 6, 3, 62, 33, 0],
    [123, 306, 231, 13598, 5069, 50],
    [11, 29, 11, 248, 47, 3],
    [139, 303, 220, 12867, 5808, 49],
)


@pytest.mark.parametrize(
    ("test", "statistic", "p"),
    [
        ("Peters", -0.240496622227, 0.82176847483566),
        ("Harbord", 0.203871182164, 0.8484063257375),  # the intercept of Z / sqrt(V) on sqrt(V)
        ("Macaskill", -1.13337157674, 0.320383006543),
        ("Deeks", 0.111122045672, 0.9168721710817),
        ("arcsine", -0.766885670723, 0.485908460939),
    ],
)
def test_tests_of_counts_as_lm(test, statistic, p):
    found = ca.asymmetry_of_counts(*COUNTS, test=test)
    assert (found.statistic, found.pvalue, found.df) == (pytest.approx(statistic), pytest.approx(p), 4)


def test_empty_tables_are_left_out_and_told():
    more = [[*values, new] for values, new in zip(COUNTS, (0, 20, 0, 20), strict=True)]
    found = ca.asymmetry_of_counts(*more)
    assert found.statistic == pytest.approx(ca.asymmetry_of_counts(*COUNTS).statistic)
    assert found.notes[0] == "1 studies without events, or with nothing but events, say nothing and were left out"
    assert found.notes[1] == "0.5 was added to every cell of 1 tables with an empty cell"


# -- the choices combine --------------------------------------------------------------------------------------
@pytest.mark.parametrize("predictor", ["sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv", "groups"])
@pytest.mark.parametrize("model", ["rma", "lm"])
def test_every_predictor(predictor, model):
    n1, n2 = np.arange(10, 34), np.arange(40, 64)[::-1] + np.arange(24) % 3
    found = ca.egger(MANY, MANY_V, predictor=predictor, model=model, n1i=n1, n2i=n2)
    column = {
        "sei": np.sqrt(MANY_V), "vi": MANY_V, "ni": n1 + n2, "ninv": 1 / (n1 + n2), "sqrtni": np.sqrt(n1 + n2),
        "sqrtninv": 1 / np.sqrt(n1 + n2), "groups": np.sqrt(1 / n1 + 1 / n2),
    }[predictor]  # fmt: skip
    method = "REML" if model == "rma" else "EE"
    same = ca.fit(yi=MANY, vi=MANY_V, X=np.column_stack([np.ones(24), column]), method=method, test="z")
    np.testing.assert_allclose(found.regression.beta, same.beta, rtol=TIGHT)
    assert np.isnan(found.limit) == (predictor in ("ni", "sqrtni"))


def test_sample_sizes_of_groups_are_the_default():
    n = np.arange(10, 34)
    assert ca.egger(MANY, MANY_V).predictor == "sei"
    assert ca.egger(MANY, MANY_V, n1i=n, n2i=n).predictor == "groups"


def test_a_model_keeps_its_moderators_estimator_and_test():
    X = np.column_stack([np.ones(24), np.arange(24) % 2])
    model = ca.fit(yi=MANY, vi=MANY_V, X=X, method="DL", test="knha")
    found = ca.egger(model)
    again = ca.fit(yi=MANY, vi=MANY_V, X=np.column_stack([X, np.sqrt(MANY_V)]), method="DL", test="knha")
    np.testing.assert_allclose(found.regression.p, again.pvalues, rtol=TIGHT)
    assert (found.df, found.method, found.test) == (21, "DL", "knha")
    assert np.isnan(found.limit)


def test_dependent_effects():
    cluster = np.repeat(np.arange(12), 2)
    plain = ca.egger(MANY, MANY_V, cluster=cluster, model="lm")
    same = ca.fit(yi=MANY, vi=MANY_V, X=np.column_stack([np.ones(24), np.sqrt(MANY_V)]), method="EE", test="z").robust(
        cluster
    )
    np.testing.assert_allclose(plain.regression.se, same.se, rtol=TIGHT)
    assert (plain.df, plain.m, plain.test) == (pytest.approx(same.df[-1]), 12, "CR2")
    import pandas as pd

    data = pd.DataFrame({"yi": MANY, "vi": MANY_V, "sei": np.sqrt(MANY_V), "study": cluster, "effect": range(24)})
    model = ca.fit("yi ~ 1", data, random="study/effect")
    both = ca.fit("yi ~ sei", data, random="study/effect")
    found = ca.egger(model)
    np.testing.assert_allclose(found.regression.beta, both.beta, rtol=1e-7)  # two searches for the variance components
    assert "give cluster=" in found.notes[0]
    np.testing.assert_allclose(ca.egger(model, cluster=cluster).regression.se, both.robust(cluster).se, rtol=1e-6)


def test_few_clusters_are_told():
    found = ca.egger(MANY, MANY_V, cluster=np.arange(24) % 3)
    assert re.fullmatch(
        r"3 clusters leave \d\.\d degrees of freedom for the slope: do not rely on its p value", found.notes[-1]
    )


# -- properties -----------------------------------------------------------------------------------------------
def answers(y, v, n):
    lm, rma = ca.egger(y, v, model="lm"), ca.egger(y, v, predictor="sqrtninv", ni=n)
    filled = ca.trim_and_fill(y, v, method="REML", side="left")
    filled_auto = ca.trim_and_fill(y, v, method="DL", estimator="R0")
    rank = ca.rank_test(y, v)
    return {
        "free": [
            lm.statistic,
            lm.pvalue,
            rma.statistic,
            rank.tau,
            rank.pvalue,
            filled.k0,
            filled.se_k0,
            filled_auto.k0,
        ],
        "unit": [lm.limit, rma.limit, *filled.fit.beta, *filled_auto.fit.beta, *np.sort(filled.filled_yi)],
    }


N = np.arange(24) + 20


@pytest.mark.parametrize("c", SCALES)
def test_units_do_not_matter(c):
    one, other = answers(MANY, MANY_V, N), answers(c * MANY, c**2 * MANY_V, N)
    np.testing.assert_allclose(other["free"], one["free"], rtol=TIGHT)
    np.testing.assert_allclose(other["unit"], c * np.array(one["unit"]), rtol=TIGHT)


def test_order_of_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(24)
    rounded = np.round(MANY, 1)  # with ties
    for y in (MANY, rounded):
        one, other = answers(y, MANY_V, N), answers(y[order], MANY_V[order], N[order])
        np.testing.assert_allclose(other["free"], one["free"], rtol=TIGHT)
        np.testing.assert_allclose(other["unit"], one["unit"], rtol=TIGHT)


def test_flipped_signs_flip_the_answer():
    one, other = ca.egger(MANY, MANY_V), ca.egger(-MANY, MANY_V)
    assert (other.statistic, other.limit) == (pytest.approx(-one.statistic), pytest.approx(-one.limit))
    one, other = ca.trim_and_fill(MANY, MANY_V), ca.trim_and_fill(-MANY, MANY_V)
    assert (one.side, other.side, other.k0) == ("left", "right", one.k0)
    np.testing.assert_allclose(other.filled_yi, -one.filled_yi, rtol=TIGHT)


def test_ties_at_the_border_are_told():
    y = np.array([0.0, 0.1, 0.1, 0.2, 0.3, 0.9, 0.9, 0.9, 1.0])
    v = np.array([0.02, 0.02, 0.03, 0.02, 0.02, 0.1, 0.2, 0.3, 0.2])
    found = {ties: ca.trim_and_fill(y, v, method="EE", side="left", ties=ties) for ties in ("variance", "rows")}
    border = [f.k0 for f in found.values()]
    told = {ties: [note for note in f.notes if "border" in note] for ties, f in found.items()}
    assert border[0] > 0
    assert sorted(found["variance"].filled_vi)[-1] == 0.3
    for ties, first in (("variance", "the less precise"), ("rows", "the later rows")):
        edge = len(y) - found[ties].k0
        tied = np.sort(y)[edge] == np.sort(y)[edge - 1]
        assert bool(told[ties]) == tied
        assert not tied or first in told[ties][0]


def test_rank_test_with_ties_is_normal():
    found = ca.rank_test(YI, [0.2, 0.2, 0.08, 0.03, 0.02, 0.01])
    assert not found.exact
    assert found.pvalue == pytest.approx(found.normal_pvalue)
    assert found.notes == ("ties among effects or variances: p is from the normal approximation",)
    smaller = found.corrected()
    assert abs(smaller[0]) < abs(found.statistic)
    assert smaller[1] > found.pvalue


def test_summaries_name_their_rows():
    assert list(ca.egger(YI, VI).summary().index) == ["intercept", "sei"]
    assert list(ca.trim_and_fill(YI, VI).summary().index) == ["observed", "filled"]
    assert list(ca.rank_test(YI, VI).summary().columns) == ["tau", "statistic", "p", "exact", "k"]


# -- bad input ------------------------------------------------------------------------------------------------
X2 = np.column_stack([np.ones(6), np.arange(6)])
MODEL = ca.fit(yi=YI, vi=VI, X=X2, method="DL", test="z")
BAD = [
    (lambda: ca.egger(YI), "effects need their sampling variances: give vi, or a fitted model"),
    (lambda: ca.egger(YI, VI[:5]), "there are 6 effects but 5 variances"),
    (lambda: ca.egger(YI, -VI), "the variance of 1, 2, 3, 4, 5 is -0.2; it must be positive and finite"),
    (lambda: ca.egger([0.1, np.nan, 0.2], [0.1] * 3), "the effect of 2 is nan; it must be a finite number"),
    (lambda: ca.egger(YI, VI, model="glm"), 'there is no model "glm": did you mean "lm"?'),
    (lambda: ca.egger(YI, VI, predictor="sie"), 'there is no predictor "sie": did you mean "sei"?'),
    (lambda: ca.egger(YI, VI, predictor="ni"), "this predictor needs sample sizes: give ni"),
    (
        lambda: ca.egger(YI, VI, predictor="ni", ni=[10, 20]),
        "ni has shape (2,); it needs one value for each of the 6 effects",
    ),
    (
        lambda: ca.egger(YI, VI, predictor="ni", ni=[10, 20, 0, 5, 5, 5]),
        "ni of 3 is 0.0; a sample size must be positive and finite",
    ),
    (lambda: ca.egger(YI, VI, predictor="ni", ni=["a"] * 6), "ni holds something that is not a number"),
    (
        lambda: ca.egger(YI, VI, predictor="groups"),
        'the predictor "groups" needs the sizes of both groups: give n1i and n2i',
    ),
    (lambda: ca.egger(YI, [0.1] * 6), "the moderator column sei is 0.316228 in every row, so it explains nothing"),
    (
        lambda: ca.egger(YI[:2], VI[:2]),
        "a test of asymmetry with 2 coefficients needs at least 3 effects; here k = 2",
    ),
    (
        lambda: ca.egger(MODEL, VI),
        "give either a fitted model or arrays: a model brings its own variances and moderators",
    ),
    (
        lambda: ca.egger(YI, VI, level=95),
        "level is 95; an interval's probability lies between 0 and 1; for 95% give 0.95",
    ),
    (lambda: ca.rank_test(YI[:2], VI[:2]), "a rank correlation needs at least three effects; here k = 2"),
    (lambda: ca.rank_test(YI, [0.1] * 6), "all variances are equal, so there is nothing to rank"),
    (lambda: ca.rank_test([0.3] * 6, VI), "all effects are equal, so there is nothing to rank"),
    (
        lambda: ca.rank_test(YI, [0.2, 0.2, 0.08, 0.03, 0.02, 0.01], exact=True),
        "no exact p exists with tied effects or variances; leave `exact` out",
    ),
    (lambda: ca.trim_and_fill(MODEL), "trim and fill is for models without moderators; fit the model without them"),
    (lambda: ca.trim_and_fill(YI, VI, estimator="LO"), 'there is no estimator "LO": use one of: L0, R0, Q0'),
    (lambda: ca.trim_and_fill(YI, VI, side="top"), 'side is "top"; studies are missing on the "left" or the "right"'),
    (lambda: ca.trim_and_fill(YI, VI, limits=(1, -1)), "limits are (1, -1); the lower must be below the upper"),
    (lambda: ca.trim_and_fill(YI, VI, max_steps=0), "max_steps is 0; the search needs at least one step"),
    (
        lambda: ca.trim_and_fill(YI, VI, max_steps=1, side="left"),
        "trim and fill did not settle within 1 steps; try another estimator",
    ),
    (lambda: ca.trim_and_fill(YI[:2], VI[:2]), "trim and fill needs at least three effects; here k = 2"),
    (
        lambda: ca.trim_and_fill(ca.fit(yi=YI, vi=VI, weights=[1.0] * 6)),
        "trim and fill uses inverse-variance weights; fit the model without weights=",
    ),
    (
        lambda: ca.asymmetry_of_counts(*COUNTS, test="Petres"),
        'there is no test "Petres": did you mean "Peters"?',
    ),
    (
        lambda: ca.asymmetry_of_counts([5], [4], [1], [2]),
        "study 1 has more events than people, or an empty group",
    ),
    (
        lambda: ca.asymmetry_of_counts([1, 1], [4, 4], [1, 1], [5, 5]),
        "a test of asymmetry needs at least three informative tables; here k = 2",
    ),
    (
        lambda: ca.asymmetry_of_counts([-1], [4], [1], [2]),
        "ai must hold one count for each study, none negative or missing; study 1 has -1",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ca.ModelError) as caught:
        call()
    assert str(caught.value) == message


def test_q0_without_a_root_is_an_error():
    y, v = np.array([0.5, 0.5, 0.5, 0.5, -3.0]), np.array([0.1, 0.2, 0.3, 0.15, 0.0001])
    with pytest.raises(ca.ModelError, match="Q0 is undefined here"):
        ca.trim_and_fill(y, v, method="EE", estimator="Q0", side="left")


def test_a_multilevel_model_is_refused_where_effects_must_be_independent():
    import pandas as pd

    data = pd.DataFrame({"yi": MANY, "vi": MANY_V, "study": np.repeat(np.arange(12), 2)})
    model = ca.fit("yi ~ 1", data, random="study")
    for call in (
        ca.trim_and_fill,
        ca.henmi_copas,
        ca.limit_meta,
        ca.uwls,
        ca.waap,
        ca.failsafe_n,
        ca.excess_significance,
    ):
        with pytest.raises(
            ca.ModelError, match="is for independent effects; aggregate the effects of each sample first"
        ):
            call(model)
    with pytest.raises(ca.ModelError, match='model="lm" treats effects as independent'):
        ca.egger(model, model="lm")
    with pytest.raises(ca.ModelError, match="the effects are dependent: give cluster="):
        ca.pet_peese(model)


def test_excess_significance_averages_at_the_heterogeneity_that_it_is_told():
    yi, vi, tau2 = np.array(YI), np.array(VI), 0.2
    found = ca.excess_significance(yi, vi, tau2=tau2)
    assert found.theta == pytest.approx(np.average(yi, weights=1 / (vi + tau2)), rel=1e-14)
    model = ca.fit(yi=yi, vi=vi)  # a model keeps its own estimate, as in metafor
    assert ca.excess_significance(model, tau2=tau2).theta == model.beta[0]


def test_trimming_down_to_one_effect_as_metafor():
    found = ca.trim_and_fill([-0.3, 0.4, 1.9], [0.02, 0.2, 0.1], method="EE")
    assert (found.k0, found.side) == (2, "left")
    assert found.se_k0 == pytest.approx(1.4881, abs=5e-5)
    assert found.fit.beta[0] == pytest.approx(-0.3, rel=1e-14)
    assert found.fit.se[0] == pytest.approx(0.1118, abs=5e-5)
    assert "a single effect" in found.notes[-1]
