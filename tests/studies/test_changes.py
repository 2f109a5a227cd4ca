"""Two versions of a table: what was added, removed, renamed, and which cells moved."""

from __future__ import annotations

import pytest

from catharsis.studies.changes import table_changes
from catharsis.studies.table import read_studies

ANALYSIS = """\
schema: catharsis/analysis@1
title: Naps
outcomes:
  alert: {label: alertness, higher_is: better, unit: points}
moderators:
  place: {label: Place, levels: {home: at home, work: at work}}
"""
HEAD = "schema: catharsis/studies@1\nstudies:\n"


def study(i, effects, **cells):
    lines = {"cite": f"nap{i}", "label": f"Nap {i}", "year": 2000 + i, "outcome": "alert", "place": "home", **cells}
    head = "\n".join(f"    {name}: {value}" for name, value in lines.items())
    rows = "\n".join(f"          - {{id: {key}, numbers: {{{numbers}}}}}" for key, numbers in effects.items())
    return f"  - {head.strip()}\n    samples:\n      - id: s{i}\n        n: {40 + i}\n        effects:\n{rows}\n"


@pytest.fixture
def read(tmp_path):
    """A table of these studies."""

    def made(*studies, name="studies.yaml"):
        (tmp_path / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
        (tmp_path / name).write_text(HEAD + "".join(studies), encoding="utf-8")
        return read_studies(tmp_path / name)

    return made


ONE, TWO = study(1, {"a": "mean_change: 1.2, sd_change: 2.0"}), study(2, {"b": "mean_change: 0.5, sd_change: 1.9"})


def cells(changes):
    return [(change.after.id, one.column, one.before, one.after) for change in changes.changed for one in change.cells]


def test_the_same_table_has_no_changes(read):
    found = table_changes(read(ONE, TWO), read(ONE, TWO))
    assert not found
    assert (found.unchanged, found.cells, found.grouped()) == (2, 0, ())


def test_layout_and_order_are_no_changes(read):
    spread = TWO.replace(
        "{id: b, numbers: {mean_change: 0.5, sd_change: 1.9}}",
        "id: b\n            numbers: {mean_change: 0.5,\n              sd_change: 1.9}  # table 2",
    )
    assert not table_changes(read(ONE, TWO), read(spread, ONE))


def test_added_and_removed(read):
    found = table_changes(read(ONE), read(TWO))
    assert [row.id for row in found.added] == ["b"]
    assert [row.id for row in found.removed] == ["a"]
    assert found.changed == ()


def test_a_cell_that_moved_has_its_digits_and_its_line(read):
    found = table_changes(read(ONE, TWO), read(ONE, TWO.replace("0.5,", "0.50,").replace("1.9", "0.19")))
    assert cells(found) == [("b", "mean_change", "0.5", "0.50"), ("b", "sd_change", "1.9", "0.19")]
    assert {one.at.line for one in found.changed[0].cells} == {22}
    assert found.unchanged == 1


def test_cells_that_come_and_go(read):
    found = table_changes(read(ONE), read(ONE.replace("place: home", "country: no").replace("n: 41", "n: 41")))
    assert cells(found) == [("a", "country", None, "no"), ("a", "place", "home", None)]


def test_what_stands_on_a_study_is_told_once(read):
    many = study(3, {f"e{i}": f"mean_change: 1.{i}, sd_change: 2.{i}" for i in range(5)})
    found = table_changes(read(many), read(many.replace("year: 2003", "year: 2004")))
    assert len(found.changed) == 5
    ((group, common),) = found.grouped()
    assert [change.after.id for change in group] == [f"e{i}" for i in range(5)]
    assert [(one.column, one.before, one.after) for one in common] == [("year", "2003", "2004")]


def test_a_renamed_effect_is_not_one_lost_and_one_found(read):
    found = table_changes(read(ONE, TWO), read(ONE.replace("id: a", "id: nap1-alert"), TWO))
    assert (found.added, found.removed) == ((), ())
    (change,) = found.changed
    assert change.renamed
    assert change.cells == ()
    assert found.names == {"a": "nap1-alert"}


def test_a_renamed_effect_with_one_number_mended(read):
    found = table_changes(read(ONE, TWO), read(ONE.replace("id: a", "id: x").replace("2.0", "2.1"), TWO))
    assert found.names == {"a": "x"}
    assert cells(found) == [("x", "sd_change", "2.0", "2.1")]


def test_another_effect_of_the_same_study_is_not_a_renaming(read):
    """All but the numbers is inherited from the study, so likeness alone would call it the same."""
    other = study(1, {"c": "mean_change: 0.7, sd_change: 1.4"})
    found = table_changes(read(ONE), read(other))
    assert ([row.id for row in found.added], [row.id for row in found.removed]) == (["c"], ["a"])


def test_each_id_is_renamed_once(read):
    twins = study(1, {"a": "mean_change: 1.2, sd_change: 2.0", "b": "mean_change: 1.2, sd_change: 2.0"})
    found = table_changes(read(twins), read(twins.replace("id: a", "id: x").replace("id: b", "id: y")))
    assert found.names == {"a": "x", "b": "y"}
    found = table_changes(read(twins), read(ONE.replace("id: a", "id: x")))
    assert found.names == {"a": "x"}
    assert [row.id for row in found.removed] == ["b"]


def test_a_waiver_is_a_change(read):
    waiver = "waive: [{rule: large-effect, reason: the paper says so, by: me, date: 2026-01-02}], numbers:"
    found = table_changes(read(ONE), read(ONE.replace("numbers:", waiver)))
    assert cells(found) == [("a", "waive", None, "large-effect: the paper says so (me, 2026-01-02)")]
