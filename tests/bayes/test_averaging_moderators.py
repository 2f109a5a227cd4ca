"""Inclusion of moderators: all subsets by the exact engine, and the mixtures over them."""

import numpy as np
import pandas as pd
import pytest

import catharsis as ca
from catharsis import Priors, moderator_inclusion

RNG = np.random.default_rng(5)
K = 14
TRIALS = pd.DataFrame({
    "dose": np.round(RNG.normal(0, 1, K), 2), "year": np.round(RNG.normal(0, 1, K), 2),
    "setting": np.resize(["alone", "group", "clinic"], K), "vi": np.round(RNG.uniform(0.02, 0.08, K), 3),
    "study": np.repeat(np.arange(K // 2), 2),
})  # fmt: skip
TRIALS["yi"] = np.round(0.2 + 0.4 * TRIALS["dose"] + RNG.normal(0, np.sqrt(TRIALS["vi"] + 0.01)), 3)


def test_one_moderator_is_a_bayes_factor_of_the_exact_engine():
    found = moderator_inclusion("yi ~ dose", TRIALS)
    post = ca.fit_bayes("yi ~ dose", TRIALS)
    assert found.bayes_factor("dose") == pytest.approx(1 / post.bayes_factor("dose = 0"), rel=1e-6)
    share = found.inclusion.loc["dose", "posterior"]
    assert share == pytest.approx(1 / (1 + post.bayes_factor("dose = 0")), rel=1e-6)
    assert found.given["dose"].mean == pytest.approx(post.coefficients["dose"].mean)
    assert found.coefficients["dose"].mean == pytest.approx(share * post.coefficients["dose"].mean)
    assert found.coefficients["dose"].sf(0.2) == pytest.approx(share * post.coefficients["dose"].sf(0.2))
    assert found.summary().loc["dose", "zero"] == pytest.approx(1 - share)


def test_all_subsets_and_a_factor_as_a_whole():
    found = moderator_inclusion("yi ~ dose + year + setting", TRIALS)
    assert len(found.models) == 8
    assert found.models["prior"].tolist() == pytest.approx([1 / 8] * 8)
    assert found.models["posterior"].sum() == pytest.approx(1)
    assert found.inclusion["models"].tolist() == [4, 4, 4]
    assert found.bayes_factor("dose") > 10 > 1 > found.bayes_factor("year")
    assert {"setting[clinic]", "setting[group]"} <= set(found.coefficients)
    both = found.models.loc[["none", "dose"], "log_marginal"]
    plain = [ca.fit_bayes(f"yi ~ {right}", TRIALS, priors=found.priors).log_marginal for right in ("1", "dose")]
    assert both.tolist() == pytest.approx(plain, abs=1e-9)
    intercept, tau = found.coefficients["intercept"], found.tau
    for one in (intercept, tau):
        assert one.cdf(one.quantile(0.3)) == pytest.approx(0.3, abs=1e-6)
    assert tau.mean > 0


def test_model_average_hands_over():
    found = ca.model_average("yi ~ dose + year", TRIALS, moderators=True)
    assert found.inclusion.equals(moderator_inclusion("yi ~ dose + year", TRIALS).inclusion)


def test_the_order_of_moderators_and_rows_does_not_matter():
    one = moderator_inclusion("yi ~ dose + year", TRIALS).inclusion
    other = moderator_inclusion("yi ~ year + dose", TRIALS.iloc[::-1]).inclusion
    assert other.loc[["dose", "year"]].to_numpy() == pytest.approx(one.to_numpy(), rel=1e-8)


def test_an_interaction_stands_beside_its_moderators():
    found = moderator_inclusion("yi ~ dose * year", TRIALS)
    assert found.models.index.tolist() == ["none", "year", "dose", "dose + year", "dose + year + dose:year"]
    assert found.models["prior"].tolist() == pytest.approx([1 / 5] * 5)
    table = found.inclusion
    odds = table["posterior"] / (1 - table["posterior"]) / (table["prior"] / (1 - table["prior"]))
    assert table["bayes_factor"].to_numpy() == pytest.approx(odds.to_numpy())


def test_prior_odds_and_random_factors():
    half = moderator_inclusion("yi ~ dose", TRIALS, random="study")
    rare = moderator_inclusion("yi ~ dose", TRIALS, random="study", odds={"dose": 0.1})
    assert rare.inclusion.loc["dose", "prior"] == pytest.approx(1 / 11)
    assert rare.bayes_factor("dose") == pytest.approx(half.bayes_factor("dose"))


def test_the_unit_of_the_effects_scales_the_priors():
    one = moderator_inclusion("yi ~ dose", TRIALS)
    scaled = TRIALS.assign(yi=100 * TRIALS["yi"], vi=1e4 * TRIALS["vi"])
    other = moderator_inclusion("yi ~ dose", scaled, unit=100)
    assert other.bayes_factor("dose") == pytest.approx(one.bayes_factor("dose"), rel=1e-8)
    assert any("normal(0, 100)" in note for note in other.notes)


MANY = pd.DataFrame(RNG.normal(size=(30, 13)), columns=[f"x{i}" for i in range(13)]).assign(yi=0.1, vi=0.1)
DOSE, EVERY = "yi ~ dose", "yi ~ " + " + ".join(MANY.columns[:13])
BAD = {
    "no formula": (lambda: moderator_inclusion(data=TRIALS), r"give a formula"),
    "effects twice": (lambda: moderator_inclusion(DOSE, TRIALS, yi=[1]), r"the formula names the effects"),
    "no moderators": (lambda: moderator_inclusion("yi ~ 1", TRIALS), r"names no moderators"),
    "no intercept": (lambda: moderator_inclusion("yi ~ 0 + dose", TRIALS), r"has no intercept"),
    "unknown column": (lambda: moderator_inclusion("yi ~ dos", TRIALS), r'names "dos": did you mean "dose"'),
    "too many": (lambda: moderator_inclusion(EVERY, MANY), r"13 moderators make 8192"),
    "improper": (
        lambda: moderator_inclusion(DOSE, TRIALS, priors=Priors.parse({"b": "flat"})),
        r"prior on dose is flat, which is improper.*normal\(0, 1\)",
    ),
    "odds name": (lambda: moderator_inclusion(DOSE, TRIALS, odds={"dos": 1}), r'no prior odds for "dos"'),
    "odds value": (lambda: moderator_inclusion(DOSE, TRIALS, odds=0), r"prior odds of dose are 0"),
    "argument": (lambda: moderator_inclusion(DOSE, TRIALS, engine="nuts"), r'no argument "engine"'),
    "measure": (lambda: moderator_inclusion(DOSE, TRIALS, measure="MD"), r"no standard unit"),
    "another moderator": (lambda: moderator_inclusion(DOSE, TRIALS).bayes_factor("year"), r'"year" is no moderator'),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_meant_is_refused_in_words(case):
    call, words = BAD[case]
    with pytest.raises(ca.ModelError, match=words):
        call()
