"""The review lives: a study deleted from the table, or added to it, changes the report with nothing else edited."""

from __future__ import annotations

import re
from functools import cache

import pytest
from workshop import DOE, FLAGSHIP, add, cite_of, copy_of, entries, outcome, readme_study, without, words

HEAD, PIECES = entries((FLAGSHIP / "studies.yaml").read_text(encoding="utf-8"))
BK2013 = "bakermanskranenburg2013sniffing"


# -- deleting ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_survey(tmp_path_factory):
    """The flagship without Sharman 2019, which carries every direct number."""
    folder = copy_of("crying", tmp_path_factory.mktemp("no-survey"))
    without(folder, "sharman2019gender")
    return outcome(folder)


def test_without_the_survey_mood_has_no_estimate(no_survey):
    """The card shows directions and no estimate."""
    found = no_survey
    mood = found.record["families"]["mood"]
    assert (mood["state"], mood["headline"]) == ("directions", None)
    text = found.card("mood")
    assert "People remember" not in text
    assert not re.search(r"\d\.\d+ to|interval|points", text)
    assert "no size was readable" in text
    assert all(found.record["syntheses"][key]["k"] == 0 for key in ("mood", "mood-by-response", "shame"))
    assert found.record["syntheses"]["mood"]["headline"]["estimate"] is None
    assert "no direct study gives numbers" in found.page
    assert "People remember feeling better" not in found.page
    assert not any("survey" in words(p) for p in found.tree.find_class("strip"))
    assert 'id="ref-sharman2019gender"' not in found.page
    assert any("sharman2019-au" in warning for warning in found.record["warnings"])
    assert "no longer in the table: " in found.page
    assert 'id="moderator"' not in found.page or "Sharman" not in words(found.tree.get_element_by_id("moderator"))


def test_what_people_wrote_about_the_survey_goes_with_it(no_survey):
    """Limits, data and caveats that speak of deleted rows must not stay."""
    text = words(no_survey.tree.find("body"))
    for sentence in ("The unsupported cells hold", "The survey chose episodes", "Recalled mood change was computed"):
        assert sentence not in text, sentence
    assert "no comparison with dry-eyed" not in text


def test_without_the_trials_the_analogue_goes(tmp_path):
    folder = copy_of("crying", tmp_path)
    without(folder, BK2013)
    found = outcome(folder)
    assert found.record["syntheses"]["oxytocin-given"]["k"] == 0
    assert found.record["syntheses"]["oxytocin-given"]["published"] == []
    text = found.card("oxytocin")
    assert "No study found has measured it." in text
    assert "Analogue" not in text
    assert "None of the 26 rows" in text
    assert "figures/oxytocin-given-forest.svg" not in found.files
    assert f'id="ref-{BK2013}"' not in found.page or "*" not in words(found.tree.get_element_by_id(f"ref-{BK2013}"))[:1]


def test_fewer_trials_are_said_more_carefully(tmp_path):
    """With four trials left the Bayesian interval leads, and nothing is said of heterogeneity."""
    folder = copy_of("crying", tmp_path)
    trials = [i for i, piece in enumerate(PIECES) if cite_of(piece) == BK2013]
    kept = [piece for i, piece in enumerate(PIECES) if i not in trials[4:] and "sharman2019gender" not in piece]
    (folder / "studies.yaml").write_text(HEAD + "".join(kept), encoding="utf-8")
    found = outcome(folder).record["syntheses"]["oxytocin-given"]
    assert (found["k"], found["standing"], found["headline"]["school"]) == (4, "few", "bayes")
    assert [held["what"] for held in found["withheld"]] == ["a statement about heterogeneity", "a funnel plot"]


@pytest.mark.parametrize("key", ["hendriks2007reconciled", "gross1994crying"])
def test_without_a_direction_the_count_changes(crying, tmp_path, key):
    folder = copy_of("crying", tmp_path)
    without(folder, key)
    found = outcome(folder)
    assert len(found.record["effects"]) < len(crying.record["effects"])
    assert f'href="#ref-{key}"' in crying.page
    assert f'href="#ref-{key}"' not in found.page
    assert found.record["syntheses"]["mood"]["headline"] == crying.record["syntheses"]["mood"]["headline"]
    if key == "hendriks2007reconciled":
        assert "25 reported directions from 11 independent groups" in found.card("autonomic")
        assert "29 reported directions from 12 independent groups" in crying.card("autonomic")


@pytest.mark.parametrize("text", ["studies: []\n", "studies:\n"])
def test_an_empty_table_gives_gaps(tmp_path, text):
    folder = copy_of("crying", tmp_path)
    path = folder / "studies.yaml"
    path.write_text(HEAD.replace("studies:\n", text), encoding="utf-8")
    found = outcome(folder)
    assert {item["state"] for item in found.record["families"].values()} == {"gap"}
    assert all(item["k"] == 0 for item in found.record["syntheses"].values())
    assert all(item["cells"] == [] for item in found.record["directions"].values())
    for key in ("mood", "oxytocin", "autonomic"):
        assert "No study found has measured it." in found.card(key)
    assert "0 works, 0 effects" in words(found.tree.find_class("strip")[0])
    assert "No study bears on it: a gap." in found.page
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", words(found.tree.find("body")))


# -- adding -----------------------------------------------------------------------------------------


def test_the_worked_example_of_the_readme(crying, tmp_path):
    """k from 5 to 6, one survey to two reports; the estimate, the forest plot and the sentences follow."""
    folder = copy_of("crying", tmp_path)
    add(folder, readme_study(), DOE)
    found = outcome(folder)
    before, after = (run.record["syntheses"]["mood"] for run in (crying, found))
    assert (before["k"], before["m"], after["k"], after["m"]) == (5, 1, 6, 2)
    assert after["people"] == before["people"] + 120
    assert after["rows"]["doe2030-norway-recall"] == {
        **after["rows"]["doe2030-norway-recall"], "yi": 0.5, "vi": pytest.approx(1.2**2 / 120)
    }  # fmt: skip
    assert after["headline"]["estimate"] < before["headline"]["estimate"]
    assert after["headline"]["estimate"] == pytest.approx(0.6257, abs=5e-5)
    forest = "figures/mood-forest.svg"
    assert "Norway" in found.files[forest]
    assert "Norway" not in crying.files[forest]
    assert "rests on one survey" in crying.card("mood")
    assert "rests on 2 reports" in found.card("mood")
    assert "2 reports, 6 samples, 1,011 people" in found.card("mood")
    assert "a new study" in found.card("mood")
    assert "+0.63 points" in found.card("mood")
    assert 'id="effect-doe2030-norway-recall"' in found.page
    reference = words(found.tree.get_element_by_id("ref-doe2030recall"))
    assert reference.startswith("*Doe, J. (2030).")
    assert after["withheld"] != before["withheld"]


OXYTOCIN = """  - cite: doe2030recall
    label: Doe 2030
    year: 2030
    evidence: direct
    outcome: oxytocin-over-time
    design: pre-post
    source: {{where: "table 2", kind: primary-fulltext, checked: no}}
    samples:
      - id: doe2030-criers
        n: 40
        effects:
          - id: doe2030-oxytocin
            {result}
"""
DIRECTION = "reported: {sign: higher, verdict: p < .05}"
NUMBERS = ["numbers: {mean_change: 1.0, sd_change: 2.0}", "kind: none"]


@pytest.fixture(scope="module")
def oxytocin(tmp_path_factory):
    """The flagship with one direct row on oxytocin, run once per way of reporting it."""

    @cache
    def run(result):
        folder = copy_of("crying", tmp_path_factory.mktemp("oxytocin"))
        add(folder, OXYTOCIN.format(result=result), DOE)
        return outcome(folder)

    return run


def test_a_direct_direction_fills_the_gap(oxytocin):
    found = oxytocin(DIRECTION)
    assert found.record["families"]["oxytocin"]["state"] == "directions"
    assert "No study found has measured it." not in found.card("oxytocin")
    assert "None of the" not in found.card("oxytocin")
    assert "no direct evidence" not in found.card("oxytocin")


def test_the_figure_of_a_direct_direction_is_no_gap(oxytocin):
    assert "no study" not in oxytocin(DIRECTION).card("oxytocin")


@pytest.mark.parametrize("result", NUMBERS)
def test_a_direct_number_fills_the_gap(oxytocin, result):
    found = oxytocin(result)
    text = found.card("oxytocin")
    assert "No study found has measured it." not in text
    assert "None of the" not in text
    assert "no study" not in text
    assert found.record["families"]["oxytocin"]["state"] != "gap"


def test_touching_one_number_moves_the_estimate(crying, tmp_path):
    folder = copy_of("crying", tmp_path)
    path = folder / "studies.yaml"
    text = path.read_text(encoding="utf-8")
    row = next(row for row in crying.results.table if row.id == "sharman2019-au")
    old = f"mean_change: {row.get('mean_change')}"
    place = text.index(old, text.index("id: sharman2019-au\n"))
    path.write_text(text[:place] + text[place:].replace(old, "mean_change: 0.9", 1), encoding="utf-8")
    found = outcome(folder)
    assert found.record["effects"]["sharman2019-au"]["sizes"]["raw"]["yi"] == 0.9
    before, after = (run.record["syntheses"]["mood"]["headline"]["estimate"] for run in (crying, found))
    assert after > before
    assert found.results.input_hash != crying.results.input_hash
