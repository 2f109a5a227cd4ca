"""Old files are brought up to date with their comments; newer ones are refused; nothing is guessed."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from catharsis.errors import InputErrors
from catharsis.plan.spec import AnalysisFile, ClaimsFile
from catharsis.studies.edit import TableText
from catharsis.studies.migrations import (
    ANALYSIS,
    CLAIMS,
    HISTORIES,
    STUDIES,
    Step,
    history,
    migrate,
    refuse_other_versions,
)
from catharsis.studies.schema import StudyFile

OLD = """\
# ours
schema: catharsis/studies@1   # first
people: 12  # as printed
studies: []  # none
"""


def _renamed(table: TableText) -> TableText:
    return table.with_cell(("n",), table.source.data["people"]).without(("people",))


def _dropped(table: TableText) -> TableText:
    return table.with_cell(("studies",), [{"cite": "a"}])


HISTORY = {STUDIES: history(Step(1, "people: is n:", _renamed), Step(2, "studies: has one", _dropped))}


def test_every_step_is_taken_in_turn() -> None:
    table, said = migrate(TableText(OLD, "t.yaml"), STUDIES, HISTORY)
    assert table.text == ("# ours\nschema: catharsis/studies@3   # first\nn: 12\nstudies:  # none\n\n  - cite: a\n")
    assert said == ("catharsis/studies@2: people: is n:", "catharsis/studies@3: studies: has one")
    assert migrate(table, STUDIES, HISTORY) == (table, ())


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("catharsis/studies@4", "newer than this catharsis"),
        ("catharsis/analysis@1", "schema: is 'catharsis/analysis@1'"),
        ("catharsis/studies", "write schema: catharsis/studies@3"),
        ("catharsis/studies@0", "schema: is"),
        ("12", "schema: is 12"),
        ("[a]", "schema: is"),
    ],
)
def test_what_cannot_be_brought_up_to_date_is_named(named: str, message: str) -> None:
    text = TableText(OLD.replace("catharsis/studies@1", named), "t.yaml")
    with pytest.raises(InputErrors, match=r"t\.yaml:2: ") as caught:
        migrate(text, STUDIES, HISTORY)
    assert message in str(caught.value)
    assert caught.value.problems[0].rule == "schema-version"


def test_a_reader_takes_only_its_own_version() -> None:
    with pytest.raises(InputErrors, match="run catharsis format"):
        refuse_other_versions(TableText(OLD, "t.yaml").source, STUDIES, HISTORY)
    refuse_other_versions(TableText(OLD.replace("@1", "@3"), "t.yaml").source, STUDIES, HISTORY)
    refuse_other_versions(TableText("studies: []\n", "t.yaml").source, STUDIES, HISTORY)


def test_a_step_cannot_be_missing() -> None:
    with pytest.raises(ValueError, match="from version 1 is missing"):
        history(Step(2, "", _renamed))


@pytest.mark.parametrize(("model", "kind"), [(StudyFile, STUDIES), (AnalysisFile, ANALYSIS), (ClaimsFile, CLAIMS)])
def test_models_and_histories_name_the_same_version(model: Any, kind: str) -> None:
    assert get_args(model.model_fields["schema_"].annotation) == (f"{kind}@{HISTORIES[kind].newest}",)
