"""`catharsis format`, `catharsis schema` and the pre-commit hooks."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from catharsis.cli import hook
from catharsis.cli.main import app
from catharsis.studies.yaml_source import read_yaml

ROOT = Path(__file__).parents[2]
UGLY = """\
schema:   catharsis/studies@1
studies:
- cite: ash2001   # read twice
  label: Ash 2001
  samples:
  - id: ash
    effects:
    - id: ash-1
      numbers: { n: 12 ,mean_change: 0.50, sd_change: 1.10}
"""
NEAT = """\
schema: catharsis/studies@1
studies:

  - cite: ash2001   # read twice
    label: Ash 2001
    samples:
      - id: ash
        effects:
          - id: ash-1
            numbers: {n: 12, mean_change: 0.50, sd_change: 1.10}
"""
PLAN = """\
schema: catharsis/analysis@1
title: Naps
bibliography: all.bib
outcomes:
  sleep: {label: Sleep}
"""


@pytest.fixture
def naps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "naps"
    folder.mkdir()
    (folder / "all.bib").write_text("@misc{ash2001, author = {Ash, A.}, title = {Sleep}, year = {2001}}\n")
    (folder / "analysis.yaml").write_text(PLAN)
    (folder / "studies.yaml").write_text(UGLY)
    monkeypatch.chdir(tmp_path)
    return folder


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_check_says_what_would_change_and_changes_nothing(naps: Path) -> None:
    assert call("format", "naps", "--check") == (1, "naps/studies.yaml:1: would be laid out anew\n")
    assert (naps / "studies.yaml").read_text() == UGLY


def test_format_lays_out_once(naps: Path) -> None:
    assert call("format", "naps") == (0, "naps/studies.yaml:1: laid out anew\n")
    assert (naps / "studies.yaml").read_text() == NEAT
    assert call("format", "naps/studies.yaml") == (0, "")
    assert call("format", "naps", "--check") == (0, "")


@pytest.mark.parametrize("text", ["a: [1\n", "a: 1\n\tb: 2\n", "\0", "a: &x [*x]\n"])
def test_what_cannot_be_read_stays_as_it_is(naps: Path, text: str) -> None:
    (naps / "studies.yaml").write_text(text)
    code, said = call("format", "naps")
    assert code == 1
    assert "studies.yaml" in said
    assert (naps / "studies.yaml").read_text() == text


def test_a_file_that_is_no_yaml_or_not_there(naps: Path) -> None:
    for name in ("naps/all.bib", "naps/other.yaml", "nowhere"):
        code, said = call("format", name)
        assert code == 1
        assert name in said


def test_what_is_not_there_is_said_to_be_not_there(naps: Path) -> None:
    assert "there is no such file or folder" in call("format", "nowhere")[1]


def test_a_newer_file_is_left_alone(naps: Path) -> None:
    text = UGLY.replace("studies@1", "studies@7")
    (naps / "studies.yaml").write_text(text)
    code, said = call("format", "naps")
    assert code == 1
    assert "newer than this catharsis" in said
    assert (naps / "studies.yaml").read_text() == text


# ---------------------------------------------------------------- schemas


def test_schemas_are_kept_beside_the_files(naps: Path) -> None:
    code, said = call("schema", "naps", "--check")
    assert code == 1
    assert "not current" in said
    assert call("schema", "naps")[0] == 0
    assert (naps / "studies.yaml").read_text() == ("# yaml-language-server: $schema=studies.schema.json\n" + UGLY)
    assert '"sleep"' in (naps / "studies.schema.json").read_text()
    assert call("schema", "naps", "--check") == (0, "naps: the schemas are current\n")
    (naps / "analysis.yaml").write_text((naps / "analysis.yaml").read_text() + "  mood: {label: Mood}\n")
    assert call("schema", "naps", "--check")[0] == 1


@pytest.mark.parametrize("kind", ["studies", "analysis", "claims"])
def test_a_schema_is_printed(kind: str) -> None:
    code, said = call("schema", kind)
    assert code == 0
    assert f"catharsis/{kind}@1" in said


# ---------------------------------------------------------------- hooks


def test_the_hook_checks_what_the_files_belong_to(naps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (naps / "studies.yaml").write_text(NEAT.replace("label: Ash 2001", "label: Ash 2001\n    outcome: sleep"))
    other = naps.parent / "other"
    other.mkdir()
    (other / "analysis.yaml").write_text(PLAN)
    (other / "all.bib").write_text("")
    (other / "studies.yaml").write_text("schema: catharsis/studies@1\nstudies: []\n")
    assert hook.analyses_of([Path("naps/studies.yaml"), Path("naps/analysis.yaml")], Path()) == [Path("naps")]
    (naps / "shared").mkdir()
    (naps / "all.bib").rename(naps / "shared" / "all.bib")
    (naps / "analysis.yaml").write_text(PLAN.replace("all.bib", "shared"))
    assert hook.analyses_of([Path("naps/shared/all.bib")], Path()) == [Path("naps")]
    assert hook.main(["naps/shared/all.bib"]) == 0
    (naps / "studies.yaml").write_text(NEAT)
    assert hook.main(["naps/studies.yaml"]) == 1
    assert "has no outcome" in capsys.readouterr().err


def test_the_hooks_name_commands_that_exist() -> None:
    hooks = {entry["id"]: entry for entry in read_yaml(ROOT / ".pre-commit-hooks.yaml").data}
    assert set(hooks) == {"catharsis-check", "catharsis-format"}
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert hooks["catharsis-format"]["entry"].split()[1] in names
    assert hooks["catharsis-check"]["entry"] == f"python -m {hook.__name__}"
