"""Numbers and sentences: what a reader is told for each number of studies, and what is withheld."""

from __future__ import annotations

import math
from typing import get_args

import pandas as pd
import pytest
from workshop import ANALYSIS, Outcome, bib, made, study, words

import catharsis as ca
from catharsis.effects.measures import MEASURES
from catharsis.models.heterogeneity import ESTIMATORS
from catharsis.models.knapp_hartung import TESTS
from catharsis.plan import spec
from catharsis.report import methods, prose
from catharsis.report.numbers import bracket, capital, count, interval, listing, number, p_value
from catharsis.report.tables import harmless, to_csv

NUMBERS = [
    (0.649385, 2, False, "0.65"),
    (0.649385, 2, True, "+0.65"),
    (-0.2087, 2, False, "−0.21"),
    (-0.004, 2, False, "0.00"),  # never "−0.00"
    (0.004, 2, True, "0.00"),  # nor "+0.00"
    (0.0, 2, True, "0.00"),
    (-0.005001, 2, False, "−0.01"),
    (12.3456, 1, False, "12.3"),
    (3.0, 0, True, "+3"),
    (-3.0, 0, False, "−3"),
    (1e6, 0, False, "1000000"),
    (math.nan, 2, False, "–"),
    (math.inf, 2, False, "∞"),
]


@pytest.mark.parametrize(("value", "digits", "sign", "text"), NUMBERS)
def test_number(value, digits, sign, text):
    assert number(value, digits, sign) == text


def test_minus_infinity_keeps_its_sign():
    assert number(-math.inf) != number(math.inf)


INTERVALS = [
    (-0.052, 0.307, "−0.05 to 0.31", "[−0.05, 0.31]"),
    (0.0, 0.004, "0.00 to 0.00", "[0.00, 0.00]"),
    (-0.0001, 1.0, "0.00 to 1.00", "[0.00, 1.00]"),
    (math.nan, math.nan, "– to –", "[–, –]"),
]


@pytest.mark.parametrize(("low", "high", "text", "apa"), INTERVALS)
def test_interval(low, high, text, apa):
    assert interval(low, high) == text
    assert bracket(low, high) == apa


P = [
    (0.18135, "p = .181"), (0.0049, "p = .005"), (0.0005, "p = .001"), (0.00049, "p < .001"), (0.0, "p < .001"),
    (0.05, "p = .050"), (0.0499999, "p = .050"), (0.9994, "p = .999"), (0.99951, "p = 1.000"), (1.0, "p = 1.000"),
    (math.nan, "p not defined"),
]  # fmt: skip


@pytest.mark.parametrize(("p", "text"), P)
def test_p_value(p, text):
    assert p_value(p) == text


def test_words_for_counts_and_lists():
    assert count(1, "study", "studies") == "1 study"
    assert count(0, "study", "studies") == "0 studies"
    assert count(12345, "person", "people") == "12,345 people"
    assert [listing(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listing(["a", "b"], "or") == "a or b"
    assert [capital(text) for text in ("", "a b", "ANOVA")] == ["", "A b", "ANOVA"]


VALUES = [
    ("SMD", -0.2, "−0.20"),
    ("RR", math.log(0.5), "0.50"),
    ("ZCOR", math.atanh(-0.3), "−0.30"),
    ("PLO", 0.0, "50%"),
]


@pytest.mark.parametrize(("code", "x", "text"), VALUES)
def test_values_on_the_reader_s_scale(code, x, text):
    assert prose.value(MEASURES[code], x) == text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_a_cell_is_never_a_formula(cell):
    assert harmless(cell) == f"'{cell}"
    assert harmless(-1.5) == -1.5
    assert harmless(f"x{cell}") == f"x{cell}"


def test_csv_quotes_what_it_must():
    assert to_csv(["a", "b"], [['x, "y"', None], ["line\nbreak", 0.5]]) == 'a,b\n"x, ""y""",\n"line\nbreak",0.5\n'


# -- sentences by number of studies -----------------------------------------------------------------

K = (0, 1, 2, 3, 5, 10)


@pytest.fixture(scope="module")
def naps(tmp_path_factory):
    """A made analysis for each k."""
    root = tmp_path_factory.mktemp("naps")
    return {k: Outcome(made(root / f"naps{k}", k)) for k in K}


STANDING = {
    0: "no direct evidence",
    1: "rests on one report",
    2: "rests on 2 reports",
    3: "rests on 3 reports",
    5: "rests on 5 reports",
    10: "rests on 10 reports",
}
STATUS = {0: "no estimates", 1: "exploratory", 2: "exploratory", 3: "exploratory", 5: "complete", 10: "complete"}
WITHHELD = {
    0: ["A pooled estimate: no row carries numbers for it."],
    1: ["Pooling and heterogeneity: there is one sample (k = 1)."],
    2: [
        "A statement about heterogeneity: 2 samples cannot tell it from chance.",
        "A funnel plot: it needs at least 5 samples; here k = 2.",
    ],
    3: [
        "A statement about heterogeneity: 3 samples cannot tell it from chance.",
        "A funnel plot: it needs at least 5 samples; here k = 3.",
    ],
    5: ["Tests of funnel asymmetry: they need at least 10 samples; here k = 5."],
    10: [],
}


@pytest.mark.parametrize("k", K)
def test_the_card(naps, k):
    card = naps[k].card("alertness")
    assert STANDING[k] in card
    assert STATUS[k] in words(naps[k].tree.find_class("strip")[0])
    assert ("Nobody has tried." in card) == (k == 0)
    assert ("Naps help." in card) == (k > 0)
    assert ("a new study" in card) == (k >= 5)
    assert "95% interval" in card or k == 0
    assert "certainty (GRADE): not yet rated by a person" in card


@pytest.mark.parametrize("k", K)
def test_what_is_withheld(naps, k):
    section = naps[k].tree.get_element_by_id("nap")
    said = [words(li) for li in section.iter("li")]
    assert [text.removeprefix("Not said: ") for text in said if text.startswith("Not said: ")] == WITHHELD[k]


@pytest.mark.parametrize("k", K)
def test_the_sections(naps, k):
    text = naps[k].words("nap")
    assert ("No row carries numbers for this synthesis." in text) == (k == 0)
    assert ("One sample, not pooled" in text) == (k == 1)
    assert ("Average M = " in text) == (k >= 2)
    assert ("Heterogeneity: τ" in text) == (k >= 5)
    assert ("I² = " in text) == (k >= 5)
    assert ("is predicted in" in text) == (k >= 5)
    assert ("No Bayesian statement is made." in text) == (k < 2)
    assert ("the Bayesian interval leads" in text) == (2 <= k < 5)
    assert ("the frequentist interval leads" in text) == (k >= 5)
    assert ("Priors: normal(0, 1) on the average and half-normal(0.5) on τ." in text) == (k >= 2)


@pytest.mark.parametrize("k", K)
def test_the_terminal_says_the_same(naps, k):
    from catharsis.report.write import outcome_lines

    (line,) = outcome_lines(naps[k].results)
    assert line.startswith(f"Alertness: k = {k}, ")
    assert ("no estimate" in line) == (k == 0)
    if k:
        estimate, low, high = naps[k].results.synthesis("nap").headline()
        assert f"+{estimate:.2f}" in line
        assert f"{low:.2f} to {high:.2f}" in line


def test_one_is_singular(naps):
    text = words(naps[1].tree.find("body"))
    assert "1 work, 1 effect" in text
    assert "1 works" not in text


def test_one_effect_behind_a_synthesis_is_singular(naps):
    assert "The 1 effects" not in naps[1].words("nap")


@pytest.mark.parametrize("k", [2, 3])
def test_the_bayesian_interval_is_the_headline_of_few(naps, k):
    found = naps[k].record["syntheses"]["nap"]
    assert found["headline"]["school"] == "bayes"
    assert found["headline"]["estimate"] == found["bayes"]["exact"]["coefficients"]["intercept"]["mean"]
    assert f"+{found['headline']['estimate']:.2f} points" in naps[k].card("alertness")


RISK = ANALYSIS.replace("scale: auto", "scale: RR").replace("    unit: points\n    range: [-10, 10]\n", "")
EVENTS = [(1, 9), (30, 20), (0, 12)]


def test_text_and_table_give_one_number(tmp_path):
    """With few studies and a ratio, the card and the table of averages must print the same estimate."""
    counts = "counts: {{events1: {}, n1: 40, events2: {}, n2: 42}}"
    pieces = [study(i, counts.format(*events), 82) for i, events in enumerate(EVENTS)]
    found = Outcome(made(tmp_path / "naps", 0, analysis=RISK, studies=pieces))
    rows = [[words(td) for td in tr.iter("td")] for tr in found.tree.get_element_by_id("nap").iter("tr")]
    (bayes,) = (row for row in rows if row[:1] == ["Bayes, quadrature"])
    assert f"Risk ratio {bayes[1]} (95% interval {bayes[2]})" in found.card("alertness")


def test_samples_of_one_report_are_one_report(tmp_path):
    found = Outcome(made(tmp_path / "naps", 0, studies=[study(i, report="one") for i in range(6)]))
    synthesis = found.record["syntheses"]["nap"]
    assert (synthesis["k"], synthesis["m"]) == (6, 1)
    assert "One report (Nap 0), 6 samples" in found.card("alertness")
    assert "rests on one report" in found.card("alertness")
    assert "a new study" not in found.card("alertness")
    assert "funnel plots and tests of reporting bias" in [held["what"] for held in synthesis["withheld"]]


EXCLUDED = "            exclude: retracted in 2031\n"


def test_an_excluded_row_is_shown_and_enters_nothing(tmp_path):
    pieces = [study(0), study(1), study(2).rstrip() + "\n" + EXCLUDED]
    found = Outcome(made(tmp_path / "naps", 0, studies=pieces))
    assert found.record["syntheses"]["nap"]["k"] == 2
    assert "e2" not in found.record["syntheses"]["nap"]["rows"]
    assert "excluded: retracted in 2031" in found.words("effect-e2")


def test_an_excluded_study_is_not_nobody(tmp_path):
    found = Outcome(made(tmp_path / "naps", 0, studies=[study(0).rstrip() + "\n" + EXCLUDED]))
    assert "Nobody has tried." not in found.card("alertness")


def test_another_level_is_called_by_its_name(tmp_path):
    found = Outcome(made(tmp_path / "naps", 6, analysis=ANALYSIS + "level: 0.9\n"))
    text = found.card("alertness") + found.words("nap")
    assert "90% interval" in text
    assert "90% CI" in text
    assert "95%" not in text


def test_analogue_and_direct_rows_are_never_pooled_silently(tmp_path):
    """A synthesis that selects both says so."""
    pieces = [study(0), study(1), study(2, evidence="indirect")]
    caveat = "caveats:\n  - {when: evidence == 'indirect', say: an analogue}\n"
    analysis = ANALYSIS.replace("caveats:\n", caveat)
    found = Outcome(made(tmp_path / "naps", 0, analysis=analysis, studies=pieces))
    assert "an analogue (1 of 3)" in found.card("alertness")


def test_a_second_work_by_the_same_author_in_one_year_gets_a_letter(tmp_path):
    again = bib(1, title="Another", author="Twin, T.").replace("year = {2001}", "year = {2000}")
    bibs = bib(0, author="Twin, T.") + again
    found = Outcome(made(tmp_path / "naps", 0, studies=[study(0), study(1)], bibs=bibs))
    text = words(found.tree.find("body"))
    assert "Twin, 2000a" in text
    assert "Twin, 2000b" in text


# -- samples that give several effects --------------------------------------------------------------


def twice(i):
    """A study whose one sample gives two effects."""
    second = f"          - id: e{i}b\n            numbers: {{mean_change: 0.{3 + i}, sd_change: 2.2}}\n"
    return study(i).rstrip() + "\n" + second


def test_k_counts_people_once(tmp_path):
    """DESIGN: k counts independent samples; three samples with five effects are three, and few."""
    found = Outcome(made(tmp_path / "naps", 0, studies=[twice(0), twice(1), study(2)]))
    synthesis = found.record["syntheses"]["nap"]
    assert (synthesis["k"], synthesis["effects"], synthesis["standing"]) == (3, 5, "few")
    assert "5 samples" not in found.card("alertness")
    assert "Heterogeneity" not in found.words("nap")


def test_people_are_counted_once(tmp_path):
    found = Outcome(made(tmp_path / "naps", 0, studies=[twice(0), twice(1), study(2)]))
    assert found.record["syntheses"]["nap"]["people"] == 40 + 41 + 42


def test_one_sample_with_two_effects_is_no_error(tmp_path):
    found = Outcome(made(tmp_path / "naps", 0, studies=[twice(0)]))
    assert found.record["syntheses"]["nap"]["k"] == 1


def test_few_samples_have_no_moderators(tmp_path):
    """DESIGN: k = 2 to 4, no moderators."""
    analysis = ANALYSIS.replace("    scale: auto\n", "    scale: auto\n    moderators: ~ length\n")
    analysis = analysis.replace("role: headline\n    outcome", "role: moderator\n    outcome")
    pieces = [study(i, length=str(10 * i + 5)) for i in range(4)]
    found = Outcome(made(tmp_path / "naps", 0, analysis=analysis, studies=pieces))
    assert 'id="moderator"' not in found.page
    assert "Length: b = " not in found.words("nap")


def test_repeated_samples_get_three_levels_and_containment(tmp_path):
    """A plan that asks for Knapp-Hartung still gives an answer when a sample brings a second effect."""
    analysis = ANALYSIS.replace("    scale: auto\n", "    scale: auto\n    test: knha\n")
    pieces = [twice(0), *(study(i) for i in range(1, 6))]
    found = Outcome(made(tmp_path / "naps", 0, analysis=analysis, studies=pieces))
    synthesis = found.record["syntheses"]["nap"]
    assert (synthesis["k"], synthesis["effects"]) == (6, 7)
    assert (synthesis["frequentist"]["test"], synthesis["frequentist"]["df"]) == ("t", 5.0)
    assert set(synthesis["frequentist"]["sigma2"]) == {"sample", "effect"}
    assert synthesis["robust"]["clusters"] == 6
    assert "t(5) = " in found.words("nap")
    assert "samples give several effects" in found.words("nap")


def test_other_correlations_of_one_sample_are_fitted_as_the_plan_asks(tmp_path):
    """The numbers are those of `fit` with that V; a rho of 0 gives the fit without one."""
    analysis = (
        ANALYSIS.replace("    scale: auto\n", "    scale: auto\n    test: t\n") + "sensitivity: {rho: [0, 0.6]}\n"
    )
    pieces = [twice(0), twice(1), *(study(i) for i in range(2, 6))]
    found = Outcome(made(tmp_path / "naps", 0, analysis=analysis, studies=pieces))
    result = found.results.synthesis("nap")
    assert [rho for rho, _ in result.by_rho] == [0, 0.6]
    assert result.by_rho[0][1].beta == pytest.approx(result.fit.beta, rel=1e-6)
    vi = [size.vi for size in result.effects.sizes]
    V = ca.sampling_covariance(vi, [row.get("sample") for row in result.effects.rows], 0.6)
    own = ca.fit(
        yi=[size.yi for size in result.effects.sizes], vi=vi, V=V, random="sample/effect",
        data=pd.DataFrame({"sample": [row.get("sample") for row in result.effects.rows], "effect": range(len(vi))}),
    )  # fmt: skip
    assert result.by_rho[1][1].llf == pytest.approx(own.llf, rel=1e-8)
    assert "correlated by 0.00: " in found.words("nap")
    assert set(found.record["syntheses"]["nap"]["by_rho"]) == {"0", "0.6"}


def test_every_method_and_test_has_words_and_sources():
    assert set(spec.METHODS) == set(ESTIMATORS) == set(prose.METHODS) == set(methods.METHOD_SOURCES)
    assert set(TESTS) == set(prose.TESTS) == set(methods.TEST_SOURCES) == set(methods.TEST_WORDS)
    assert set(get_args(spec.TestName)) == set(TESTS)


def test_prior_and_posterior_stand_side_by_side(naps):
    """The quantiles are those of the priors as written, and the drawing names both; tau has an axis of its own."""
    found = naps[5]
    record = found.record["syntheses"]["nap"]["bayes"]
    told = record["before_and_after"]
    assert told["average"]["prior"][-1] == pytest.approx(1.959964, rel=1e-6)  # normal(0, 1)
    assert told["tau"]["prior"][2] == pytest.approx(0.5 * 0.6744898, rel=1e-6)  # half-normal(0.5)
    assert told["new study"]["prior"][-1] > told["average"]["prior"][-1]
    mu = found.results.synthesis("nap").exact.mu
    assert mu.cdf(told["average"]["posterior"][0]) == pytest.approx(0.025)
    assert "average before the data: 0.00, 95% −1.96 to 1.96" in found.page
    assert "figures/nap-prior.svg" in found.files


def test_an_improper_prior_is_not_drawn(tmp_path):
    found = Outcome(made(tmp_path / "naps", 5, analysis=ANALYSIS + "priors: {mu: flat}\n"))
    assert "before_and_after" not in str(found.record)
    assert "Before and after the data" not in found.page
