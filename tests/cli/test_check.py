"""`catharsis check`: what it prints, in which format, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catharsis.checks.run import Findings, Waived
from catharsis.cli.formats import FORMATS
from catharsis.cli.main import app
from catharsis.errors import At, InputError
from catharsis.studies.schema import Waiver
from catharsis.studies.table import Row

ANALYSIS = """\
schema: catharsis/analysis@1
title: Naps
bibliography: all.bib
outcomes:
  sleep: {label: Sleep quality, unit: points, range: [0, 30]}
syntheses:
  - {id: naps, title: Do naps help?, outcome: sleep}
"""
TABLE = """\
schema: catharsis/studies@1
studies:
  - cite: tan2011
    label: Tan 2011
    outcome: sleep
    source: {where: Table 2, checked: true}
    samples:
      - id: tan
        effects:
          - id: tan-1
            numbers: {m1: 12.41, sd1: 0.74, n1: 31, m2: 10.20, sd2: 4.53, n2: 29}
"""
WAIVE = "            waive: [{rule: se-for-sd, reason: a narrow group, by: A. Reader, date: 2026-11-23}]\n"


@pytest.fixture
def naps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "naps"
    folder.mkdir()
    (folder / "all.bib").write_text("@misc{tan2011, author = {Tan, Mei}, title = {Naps}, year = {2011}}\n")
    (folder / "analysis.yaml").write_text(ANALYSIS)
    (folder / "studies.yaml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    return folder


def check(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["check", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_warning_is_printed_with_its_rule_and_does_not_stop(naps: Path) -> None:
    code, out, err = check("naps")
    assert (code, err) == (0, "")
    first, *_, last = out.splitlines()
    assert first.startswith("warning: naps/studies.yaml:11: sd1 is 0.74, while the other arm has about 4.53")
    assert "  rule: se-for-sd" in out
    assert last == "naps: 1 effect from 1 work, no errors, 1 warning"


def test_a_waived_finding_is_printed_with_who_and_why(naps: Path) -> None:
    (naps / "studies.yaml").write_text(TABLE + WAIVE)
    code, out, _ = check("naps")
    assert code == 0
    assert out.startswith("waived: naps/studies.yaml:11: sd1 is 0.74")
    assert "  se-for-sd: a narrow group (A. Reader, 2026-11-23)" in out
    assert out.endswith("no errors, 0 warnings, 1 waived\n")


def test_notes_are_counted_and_printed_when_asked_for(naps: Path) -> None:
    (naps / "studies.yaml").write_text(TABLE.replace("{where: Table 2, checked: true}", "{where: Table 2}"))
    _, out, _ = check("naps")
    assert out.endswith("1 warning, 1 note (--notes lists them)\n")
    assert "note: " not in out
    _, out, _ = check("naps", "--notes")
    assert "note: naps/studies.yaml:10: the numbers of tan-1 were not checked by a second reader" in out
    assert out.endswith("1 warning, 1 note\n")


def test_errors_go_with_the_warnings_and_exit_code_1(naps: Path) -> None:
    (naps / "studies.yaml").write_text(TABLE.replace("sd2: 4.53", "sd2: 0"))
    code, out, err = check("naps")
    assert code == 1
    assert "sd2 is 0 (tan-1)" in err
    assert err.endswith("1 error; nothing was computed or written.\n")
    assert "no errors" not in out


@pytest.mark.parametrize("broken", ["", "- not: a table\n", "schema: catharsis/studies@1\nstudies: [{cite: x}]\n"])
@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_every_format_tells_errors_of_reading(naps: Path, broken: str, form: str) -> None:
    (naps / "studies.yaml").write_text(broken)
    code, out, err = check("naps", "--format", form)
    assert (code, err) == (1, "")
    assert "naps/studies.yaml" in out
    assert "error" in out


def test_json(naps: Path) -> None:
    (naps / "studies.yaml").write_text(TABLE + WAIVE)
    code, out, _ = check("naps", "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told["counts"] == {"error": 0, "warning": 0, "note": 0, "waived": 1}
    (finding,) = told["findings"]
    assert (finding["rule"], finding["grade"], finding["severity"]) == ("se-for-sd", "unusual", "warning")
    assert (finding["file"], finding["line"]) == ("naps/studies.yaml", 11)
    assert finding["waived"] == {
        "effect": "tan-1", "rule": "se-for-sd", "reason": "a narrow group", "by": "A. Reader", "date": "2026-11-23",
    }  # fmt: skip


def test_sarif(naps: Path) -> None:
    (naps / "studies.yaml").write_text(TABLE + WAIVE)
    (run,) = json.loads(check("naps", "--format", "sarif")[1])["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("se-for-sd", "warning")
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "naps/studies.yaml"}, "region": {"startLine": 11}}
    assert result["suppressions"][0]["justification"] == "a narrow group (A. Reader, 2026-11-23)"
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["id"] == "se-for-sd"
    assert rule["defaultConfiguration"] == {"level": "warning"}


def test_github(naps: Path) -> None:
    code, out, _ = check("naps", "--format", "github")
    assert code == 0
    assert out.startswith("::warning file=naps/studies.yaml,line=11,title=se-for-sd::sd1 is 0.74, while")
    assert out.count("\n") == 1
    assert "%0Awhy: " in out


def hostile() -> Findings:
    """Findings whose texts try to leave their place."""
    problem = InputError(
        At("a,b::c\n/st%udies.yaml", 3), 'x"\n::error::gotcha', "100%\r\nsure", "</script>", "told-twice"
    )
    row = Row({"effect": "e"}, {}, At("s.yaml", 1))
    waiver = Waiver(rule="sd-ratio", reason="a\n::set-output", by="b", date="c")
    return Findings((problem,), (problem,), (problem,), (Waived(row, waiver, problem),))


def test_no_text_breaks_out_of_its_format() -> None:
    lines = FORMATS["github"](hostile()).splitlines()
    assert len(lines) == 3  # what is waived is not annotated
    assert all(line.startswith(("::error file=", "::warning file=", "::notice file=")) for line in lines)
    assert all("file=a%2Cb%3A%3Ac%0A/st%25udies.yaml,line=3,title=told-twice::" in line for line in lines)
    for form in ("json", "sarif"):
        assert json.loads(FORMATS[form](hostile()))
    (run,) = json.loads(FORMATS["sarif"](hostile()))["runs"]
    uris = {at["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"] for at in one["locations"]}
    assert uris == {"a%2Cb%3A%3Ac%0A/st%25udies.yaml"}


def test_explain() -> None:
    code, out, _ = check("--explain", "se-for-sd")
    assert code == 0
    assert out.startswith("se-for-sd (unusual, warning)\n  finds: ")
    assert "Gøtzsche" in out
    code, out, _ = check("--explain", "all")
    assert code == 0
    assert "  se-for-sd: " in out


def test_wrong_usage_is_exit_code_2() -> None:
    code, out, err = check("--explain", "se-for-ds")
    assert (code, out) == (2, "")
    assert 'did you mean "se-for-sd"?' in err
    assert check()[0] == 2
    assert check("naps", "--format", "xml")[0] == 2


def test_several_effects_of_one_sample(naps: Path) -> None:
    second = (
        "          - id: tan-2\n            minutes: 60\n"
        "            numbers: {m1: 12.61, sd1: 4.61, n1: 31, m2: 10.31, sd2: 4.53, n2: 29}\n"
    )
    (naps / "studies.yaml").write_text(TABLE.replace("sd1: 0.74", "sd1: 4.12") + second)
    _, out, _ = check("naps")
    assert "the synthesis naps holds 2 effects of 1 sample, such as tan-1 and tan-2, and no rho" in out
    plan = ANALYSIS.replace("outcome: sleep}", "outcome: sleep, cluster: sample}")
    (naps / "analysis.yaml").write_text(plan)
    _, out, _ = check("naps")
    assert "no rho" not in out
    (naps / "analysis.yaml").write_text(ANALYSIS + "sensitivity: {rho: [0.5]}\n")
    _, out, _ = check("naps")
    assert "no rho" not in out
