"""The schemas that editors read: current, and of one mind with the readers on real and on wrong tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catharsis.errors import InputErrors
from catharsis.plan.json_schema import MODELINE, general_schema, schema_files, schema_text, with_modeline
from catharsis.plan.spec import read_plan
from catharsis.studies.json_schema import studies_schema
from catharsis.studies.table import read_dictionary, table_of
from catharsis.studies.yaml_source import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "catharsis"
ANALYSES = sorted(path.parent for path in ROOT.glob("analyses/*/analysis.yaml"))
SHIPPED = {
    "studies": SOURCE / "studies" / "studies.schema.json",
    "analysis": SOURCE / "plan" / "analysis.schema.json",
    "claims": SOURCE / "plan" / "claims.schema.json",
}


def validator(schema: dict[str, Any]) -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the test extra")
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def problems(schema: dict[str, Any], data: Any) -> list[str]:
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator(schema).iter_errors(data)]


@pytest.mark.parametrize("kind", SHIPPED)
def test_the_shipped_schema_is_current(kind: str) -> None:
    """Renew with: python -m catharsis.plan.json_schema."""
    assert SHIPPED[kind].read_text(encoding="utf-8") == schema_text(general_schema(kind))


@pytest.mark.parametrize("folder", ANALYSES, ids=lambda path: path.name)
def test_the_schemas_of_an_analysis_are_current_named_and_met(folder: Path) -> None:
    for file, (schema, text) in schema_files(read_plan(folder)).items():
        assert schema.read_text(encoding="utf-8") == text, f"run catharsis schema {folder}"
        body = file.read_text(encoding="utf-8")
        assert with_modeline(body, schema.name) == body
        assert problems(json.loads(text), read_yaml(file).data) == []


@pytest.mark.parametrize("folder", ANALYSES, ids=lambda path: path.name)
def test_the_general_schemas_take_real_files(folder: Path) -> None:
    for kind in SHIPPED:
        if (file := folder / f"{kind}.yaml").exists():
            assert problems(general_schema(kind), read_yaml(file).data) == []


PLAN = """\
outcomes:
  mood: {label: Mood, range: [0, 10]}
moderators:
  setting: {label: Setting, levels: {alone: alone, 2: two people, true: 'yes'}}
  dose: {label: Dose, unit: IU}
  remark: {label: Remark}
"""
STUDY = """\
schema: catharsis/studies@1
studies:
  - cite: a2020
    label: 2020
    year: 2020
    setting: alone
    dose: 24
    remark: 7
    samples:
      - id: a
        country: no
        effects:
          - id: a1
            outcome: mood
            numbers: {n: 12, m1: 1.5, d_ci: [0.1, 0.5]}
            reported: {sign: better, verdict: p < .05}
            source: {checked: yes, where: 12}
"""


@pytest.mark.parametrize(
    ("old", "new", "fine"),
    [
        ("", "", True),
        ("year: 2020", "year: '2020'", True),
        ("year: 2020", "year: 20", False),
        ("setting: alone", "setting: 2", True),
        ("setting: alone", "setting: true", True),
        ("setting: alone", "setting: aloone", False),
        ("dose: 24", "dose: many", False),
        ("dose: 24", "dose:", True),
        ("outcome: mood", "outcome: moood", False),
        ("sign: better", "sign: bettre", False),
        ("sign: better", "sign: -1", True),
        ("n: 12", "n: 12.5", False),
        ("n: 12", "n: -1", False),
        ("n: 12", "nn: 12", False),
        ("[0.1, 0.5]", "[0.1]", False),
        ("country: no", "cuontry: no", False),
        ("checked: yes", "checked: maybe", False),
        ("            outcome", "            evidence: both\n            outcome", False),
        ("- id: a1", "- label: a1", False),
        ("  - cite: a2020\n", "  - report: x\n", False),
        ("studies@1", "studies@9", False),
    ],
)
def test_reader_and_schema_agree(tmp_path: Path, old: str, new: str, fine: bool) -> None:
    (tmp_path / "analysis.yaml").write_text(PLAN, encoding="utf-8")
    dictionary = read_dictionary(tmp_path / "analysis.yaml")
    source = parse_yaml(STUDY.replace(old, new) if old else STUDY, "studies.yaml")
    found = problems(studies_schema(dictionary), source.data)
    assert (found == []) == fine, found
    if fine:
        table_of(source, dictionary)
    else:
        with pytest.raises(InputErrors):
            table_of(source, dictionary)


def test_every_cell_that_an_editor_explains_exists() -> None:
    from catharsis.studies.json_schema import SAYS

    schema = studies_schema()
    known = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert set(SAYS) <= known


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1\r\n", "{line}\r\na: 1\r\n"),
        ("\ufeffa: 1\n", "\ufeff{line}\na: 1\n"),
        ("# x\n# yaml-language-server: $schema=https://old\na: 1\n", "# x\n{line}\na: 1\n"),
        ("", "{line}\n"),
    ],
)
def test_a_modeline(text: str, wanted: str) -> None:
    line = "# yaml-language-server: $schema=s.json"
    assert with_modeline(text, "s.json") == wanted.format(line=line)
    assert MODELINE.search(line)
    assert with_modeline(with_modeline(text, "s.json"), "s.json") == with_modeline(text, "s.json")
