"""Two readers' files: matched, compared with what they inherit, and agreed on."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))
from workshop import ANALYSIS, ROOT, made

from catharsis.checks.reading_agreement import KIND, cell_agreements
from catharsis.errors import InputErrors
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.double_extraction import (
    EFFECT,
    Decision,
    agreed_effects,
    compare_extractions,
    read_extraction,
    same_value,
)
from catharsis.studies.edit import TableText
from catharsis.studies.reconciliation import with_agreed
from catharsis.studies.table import read_dictionary, read_studies

HEAD = "schema: catharsis/studies@1\nstudies:\n"


@pytest.fixture
def dictionary(tmp_path) -> Dictionary:
    return read_dictionary(made(tmp_path / "naps", 1, analysis=ANALYSIS) / "analysis.yaml")


def effect(key, sd="2.0", **cells):
    extra = "".join(f", {name}: {value}" for name, value in cells.items())
    return f"          - {{id: {key}, numbers: {{mean_change: 1.5, sd_change: {sd}}}{extra}}}\n"


def table(*effects, study="country: NO", sample="s1", cite="nap1", more="n: 40"):
    top = f"    {study}\n" if study else ""
    return (
        f"  - cite: {cite}\n    label: Nap\n    outcome: alert\n{top}    samples:\n      - id: {sample}\n"
        f"        {more}\n        effects:\n" + "".join(effects)
    )


def compared(tmp_path, dictionary, first, second):
    found = []
    for name, text in (("a", first), ("b", second)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        found.append(read_extraction(path, dictionary))
    return compare_extractions(*found)


def test_equal_files_have_no_conflict(tmp_path, dictionary):
    text = table(effect("e1"), effect("e2", partition="x"))
    double = compared(tmp_path, dictionary, text, text)
    assert len(double.pairs) == 2
    assert double.conflicts == double.wordings == double.by_content == ()


def test_where_a_cell_stands_does_not_matter(tmp_path, dictionary):
    first = table(effect("e1"), effect("e2", partition="x"))
    second = table(effect("e1", country="NO"), effect("e2", partition="x", country="NO"), study="")
    assert compared(tmp_path, dictionary, first, second).conflicts == ()


def test_an_inherited_cell_is_compared_once(tmp_path, dictionary):
    first = table(effect("e1"), effect("e2", partition="x"), effect("e3", partition="y"))
    double = compared(tmp_path, dictionary, first, first.replace("country: NO", "country: SE"))
    (conflict,) = double.conflicts
    assert (conflict.cell, conflict.a, conflict.b, len(conflict.pairs)) == ("country", "NO", "SE", 3)
    third = first.replace("country: NO", "country: SE").replace("id: e2, ", "id: e2, country: NO, ")
    assert [len(one.pairs) for one in compared(tmp_path, dictionary, first, third).conflicts] == [2]


def test_numbers_are_compared_by_value_and_keep_the_longer_digits(tmp_path, dictionary):
    double = compared(tmp_path, dictionary, table(effect("e1", "2.1")), table(effect("e1", "2.10")))
    assert double.conflicts == ()
    (agreed,) = agreed_effects(double, [], "C", "2030-05-01")
    assert agreed.cells["numbers.sd_change"].text == "2.10"


def test_prose_is_no_conflict(tmp_path, dictionary):
    first = table(effect("e1", note="seen", source="{where: p. 3}"))
    second = table(effect("e1", note="read", source="{where: table 2, confidence: low}"))
    double = compared(tmp_path, dictionary, first, second)
    assert {one.cell for one in double.wordings} == {"note", "source.where"}
    assert [one.cell for one in double.conflicts] == ["source.confidence"]
    (agreed,) = agreed_effects(double, [Decision(double.conflicts[0], None)], "C", "2030-05-01")
    assert agreed.cells["note"] == "seen"
    assert "source.confidence" not in agreed.cells
    assert agreed.resolved == (
        {"cell": "source.confidence", "readings": {"b": "low"}, "by": "C", "date": "2030-05-01"},
    )


def test_matching(tmp_path, dictionary):
    """By id first, then by the only sample left, then by what is measured; two alike are not guessed at."""
    first = table(effect("e1", partition="x"), effect("e2", partition="y"), effect("e3"))
    second = table(effect("one", partition="x"), effect("e2", partition="y"), effect("three"), sample="other")
    double = compared(tmp_path, dictionary, first, second)
    assert [(a.row.id, b.row.id) for a, b in double.pairs] == [("e1", "one"), ("e2", "e2"), ("e3", "three")]
    assert len(double.by_content) == 3
    alike = compared(tmp_path, dictionary, table(effect("e1"), effect("e2")), table(effect("f1"), effect("f2")))
    assert alike.pairs == ()
    assert [one.cell for one in alike.conflicts] == [EFFECT] * 4


def test_agreement_by_cell(tmp_path, dictionary):
    first = "".join(
        table(effect(f"e{i}", f"2.{i}", place="home" if i % 2 else "work"), sample=f"s{i}", cite=f"nap{i}")
        for i in range(6)
    )
    second = first.replace("sd_change: 2.4", "sd_change: 4.2").replace("place: home", "place: work", 1)
    second = second.replace("country: NO", "country: SE", 1)
    found = {one.cell: one for one in cell_agreements(compared(tmp_path, dictionary, first, second))}
    assert found["numbers.sd_change"].coefficient.name == "ICC(A,1)"
    assert (found["numbers.sd_change"].n, found["numbers.sd_change"].same) == (6, 5)
    assert found["place"].coefficient.estimate == pytest.approx(2 / 3)
    assert (found["country"].same, found["country"].n) == (5, 6)
    assert found[KIND].same == 6
    assert found["label"].coefficient is None


def test_directions_are_ordered_words(tmp_path, dictionary):
    words = ["higher", "lower", "no different", "higher", "lower"]
    text = "".join(
        table(f"          - {{id: e{i}, reported: {{sign: {word}}}}}\n", sample=f"s{i}", cite=f"nap{i}")
        for i, word in enumerate(words)
    )
    other = text.replace("sign: no different", "sign: higher")
    found = {one.cell: one for one in cell_agreements(compared(tmp_path, dictionary, text, other))}
    assert found["reported.sign"].coefficient.name == "weighted kappa"
    assert (found["reported.sign"].same, found["reported.sign"].n) == (4, 5)


def agree(tmp_path, dictionary, target, first, second, take="a"):
    """The target with what the readers agreed on, read again."""
    double = compared(tmp_path, dictionary, first, second)
    decisions = [Decision(one, one.a if take == "a" else one.b) for one in double.conflicts]
    text = with_agreed(TableText(target, "t.yaml"), agreed_effects(double, decisions, "C", "2030-05-01")).text
    path = tmp_path / "t.yaml"
    path.write_text(text, encoding="utf-8")
    return text, {row.id: row for row in read_studies(path, dictionary)}


def test_new_entries_keep_cells_as_high_as_they_hold(tmp_path, dictionary):
    first = table(effect("e1"), effect("e2", partition="x"))
    text, rows = agree(tmp_path, dictionary, HEAD.rstrip() + " []\n", first, first)
    assert text.count("country:") == 1
    assert rows["e2"].get("country") == "NO"
    second = first.replace("id: e2, ", "id: e2, country: SE, ")
    text, rows = agree(tmp_path, dictionary, HEAD.rstrip() + " []\n", first, second, "b")
    assert (rows["e1"].get("country"), rows["e2"].get("country")) == ("NO", "SE")


def test_new_effects_go_below_their_study_and_sample(tmp_path, dictionary):
    target = HEAD + table(effect("e1")) + "# end\n"
    first = table(effect("e1"), effect("e2", partition="x"))
    text, rows = agree(tmp_path, dictionary, target, first, first)
    assert list(rows) == ["e1", "e2"]
    assert text.count("cite: nap1") == 1
    assert text.count("id: s1") == 1
    other = table(effect("e9"), sample="s9")
    text, rows = agree(tmp_path, dictionary, target, first + other, first + other)
    assert list(rows) == ["e1", "e2", "e9"]
    assert text.count("cite: nap1") == 1


def test_a_new_effect_does_not_inherit_what_no_reader_wrote(tmp_path, dictionary):
    target = HEAD + table(effect("e1"))
    first = table(effect("e2", partition="x"), study="")
    with pytest.raises(InputErrors, match='country: "NO" would be taken over by the effect e2'):
        agree(tmp_path, dictionary, target, first, first)


def test_a_cell_that_goes_from_one_effect_does_not_go_from_others(tmp_path, dictionary):
    target = HEAD + table(effect("e1"), effect("e2", partition="x"))
    first = table(effect("e1"))
    second = table(effect("e1"), study="")
    with pytest.raises(InputErrors, match="shall go from the effect e1"):
        agree(tmp_path, dictionary, target, first, second, "b")
    inner = HEAD + table(effect("e1", country="NO"), study="")
    text, _ = agree(tmp_path, dictionary, inner, first, second, "b")
    assert "country: NO" not in text
    assert 'country: "NO"' not in text


@pytest.mark.parametrize("name", ["bcg", "crying"])
def test_a_real_table_comes_through_unchanged(name, tmp_path):
    """Both readers hand in the real table: every cell, every digit and the order of it stand in the empty one."""
    folder = ROOT / "analyses" / name
    words = read_dictionary(folder / "analysis.yaml")
    before = read_studies(folder / "studies.yaml", words)
    one = read_extraction(folder / "studies.yaml", words, "a")
    double = compare_extractions(one, one)
    assert len(double.pairs) == len(before)
    assert double.conflicts == double.by_content == ()
    new = with_agreed(TableText(HEAD.rstrip() + " []\n", "t.yaml"), agreed_effects(double, [], "C", "2030-05-01"))
    (tmp_path / "t.yaml").write_text(new.text, encoding="utf-8")
    after = read_studies(tmp_path / "t.yaml", words)
    assert [dict(row.cells) for row in after] == [dict(row.cells) for row in before]
    assert [dict(row.printed) for row in after] == [dict(row.printed) for row in before]
    assert [row.waived for row in after] == [row.waived for row in before]


@pytest.mark.parametrize("take", ["a", "b"])
def test_a_real_table_is_brought_to_the_reader_who_is_kept(take, tmp_path):
    """The second reader mistypes every third number; the table holds what was kept, and all else as it was."""
    folder = ROOT / "analyses" / "bcg"
    text = (folder / "studies.yaml").read_text(encoding="utf-8")
    count = itertools.count()
    wrong = re.sub(r"(?<=: )\d+(?=[,}])", lambda m: m[0] + "1" if next(count) % 3 == 0 else m[0], text)
    words = read_dictionary(folder / "analysis.yaml")
    double = compared(tmp_path, words, text.split("studies:\n", 1)[1], wrong.split("studies:\n", 1)[1])
    assert len(double.conflicts) > 15
    decisions = [Decision(one, one.a if take == "a" else one.b) for one in double.conflicts]
    new = with_agreed(TableText(text, "t.yaml"), agreed_effects(double, decisions, "C", "2030-05-01"))
    (tmp_path / "t.yaml").write_text(new.text, encoding="utf-8")
    after = read_studies(tmp_path / "t.yaml", words)
    kept = read_studies(tmp_path / f"{take}.yaml", words)
    assert [dict(row.cells) for row in after] == [dict(row.cells) for row in kept]
    assert new.text.count("by: C") == len(double.conflicts)


def test_waivers_of_the_table_and_of_a_new_effect_stay(tmp_path, dictionary):
    waiver = "[{rule: large-effect, reason: seen, by: %s, date: 2030-01-01}]"
    first = table(effect("e1", waive=waiver % "A"), effect("e2", partition="x", waive=waiver % "A"))
    target = HEAD + table(effect("e1", waive=waiver % "T"))
    _, rows = agree(tmp_path, dictionary, target, first, first)
    assert {key: [one.by for one in row.waived] for key, row in rows.items()} == {"e1": ["T"], "e2": ["A"]}


def test_two_studies_of_one_paper_stay_two(tmp_path, dictionary):
    first = table(effect("e1"), study="year: 2001") + table(effect("e2"), sample="s2", study="year: 2002").replace(
        "label: Nap", "label: Second"
    )
    _, rows = agree(tmp_path, dictionary, HEAD.rstrip() + " []\n", first, first)
    assert [(row.get("study"), row.get("year")) for row in rows.values()] == [("Nap", 2001), ("Second", 2002)]
    target = HEAD + table(effect("e0"), sample="s2", study="year: 2002").replace("label: Nap", "label: Other words")
    _, rows = agree(tmp_path, dictionary, target, first, first)
    assert [(key, row.get("study")) for key, row in rows.items()] == [
        ("e0", "Other words"), ("e2", "Other words"), ("e1", "Nap"),
    ]  # fmt: skip


def test_values():
    assert same_value([0.1, 0.5], (0.10, 0.50))
    assert not same_value([0.1], [0.1, 0.2])
    assert not same_value("1", 1)
    assert not same_value(True, 1)
