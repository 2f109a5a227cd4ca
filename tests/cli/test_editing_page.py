"""docs/editing.md says what runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catharsis.cli.main import app
from catharsis.studies.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "editing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def test_the_program_runs() -> None:
    for language, code in BLOCKS:
        if language == "python":
            exec(compile(code, "docs/editing.md", "exec"), {})


def test_the_study_of_the_page_can_be_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "analyses" / "bcg", tmp_path / "analyses" / "bcg")
    shutil.copytree(ROOT / "references", tmp_path / "references")
    monkeypatch.chdir(tmp_path)
    study = next(code for language, code in BLOCKS if language == "yaml" and "new.yaml" in code)
    Path("new.yaml").write_text(study, encoding="utf-8")
    command = next(code for language, code in BLOCKS if language == "console").removeprefix("$ catharsis ").split()
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    shown = [line.strip() for line in PAGE.split("the average before and after")[1].split("\n\n")[1].splitlines()]
    for line in shown[:3]:
        assert line in done.output
    assert CliRunner().invoke(app, ["add", *command[1:]]).exit_code == 1  # its ids are taken now


def test_the_hooks_of_the_page_exist() -> None:
    config = next(code for language, code in BLOCKS if language == "yaml" and "pre-commit" in code)
    named = {hook["id"] for hook in parse_yaml(config, "t").data["repos"][0]["hooks"]}
    published = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert named == {hook["id"] for hook in parse_yaml(published, "t").data}


def test_the_words_of_the_terminal_are_its_own() -> None:
    said = PAGE.split("asked again:")[1].split("\n\n")[1]
    from catharsis.cli.questions import known_word
    from catharsis.errors import InputErrors

    with pytest.raises(InputErrors) as caught:
        known_word("level of allocation", "randm", ["random", "alternate", "systematic"])
    problem = caught.value.problems[0]
    assert f"{problem.what}: {problem.why}" in said
    assert problem.fix in said
