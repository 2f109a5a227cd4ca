"""`catharsis add`: one study more from a file, a sheet, BibTeX or the terminal, or nothing at all."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catharsis.cli.main import app
from catharsis.errors import InputErrors
from catharsis.studies.table import read_studies

ANALYSIS = """\
schema: catharsis/analysis@1
title: Naps
bibliography: bib
outcomes:
  sleep: {label: Sleep quality, unit: points, range: [0, 30]}
  mood: {label: Mood}
moderators:
  place: {label: Place, levels: {lab: laboratory, home: at home}}
  dose: {label: Length, unit: minutes}
syntheses:
  - {id: naps, title: Do naps help?, outcome: sleep, test: knha}
  - {id: moods, title: And mood?, outcome: mood}
"""
TABLE = """\
# naps: do they help?
schema: catharsis/studies@1
studies:

  - cite: ash2001   # read twice
    label: Ash 2001
    outcome: sleep
    place: lab
    source: {where: Table 2}
    samples:
      - id: ash
        effects:
          - id: ash-1
            numbers: {m1: 14.10, sd1: 4.20, n1: 31, m2: 12.00, sd2: 4.50, n2: 29}

  - cite: elm2010
    label: Elm 2010
    outcome: sleep
    place: home
    source: {where: p. 4}
    samples:
      - id: elm
        effects:
          - id: elm-1
            numbers: {m1: 13.00, sd1: 5.10, n1: 40, m2: 12.50, sd2: 4.90, n2: 41}

# the end
"""
NEW = """\
# from the appendix
cite: bay2005
label: Bay 2005
outcome: sleep
place: home
source: {where: p. 9}
samples:
  - id: bay
    effects:
      - id: bay-1
        numbers: {m1: 15.00, sd1: 4.00, n1: 22, m2: 12.20, sd2: 4.40, n2: 20}
"""
BLOCK = """\
  - cite: bay2005
    label: Bay 2005
    outcome: sleep
    place: home
    source: {where: p. 9}
    samples:
      - id: bay
        effects:
          - id: bay-1
            numbers: {m1: 15.00, sd1: 4.00, n1: 22, m2: 12.20, sd2: 4.40, n2: 20}

"""
BIB = "".join(
    f"@misc{{{key}, author = {{{name}, A.}}, title = {{{title}}}, year = {{{year}}}}}\n"
    for key, name, title, year in (
        ("ash2001", "Ash", "Sleep", 2001), ("elm2010", "Elm", "Rest", 2010), ("bay2005", "Bay", "Quiet", 2005)
    )
)  # fmt: skip
YEW = "@article{yew2020, author = {Yew, B.}, title = {Dreams}, journal = {J}, year = {2020}}\n"


@dataclass
class Answer:
    code: int
    out: str
    problems: InputErrors | None


@pytest.fixture
def naps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "naps"
    (folder / "bib").mkdir(parents=True)
    (folder / "bib" / "all.bib").write_text(BIB)
    (folder / "bib" / "aaa.bib").write_text("% nothing yet\n")
    (folder / "analysis.yaml").write_text(ANALYSIS)
    (folder / "studies.yaml").write_text(TABLE)
    (tmp_path / "new.yaml").write_text(NEW)
    monkeypatch.chdir(tmp_path)
    return folder


def call(*arguments: str, given: str = "") -> Answer:
    """The command in this process; what main() would say of input errors is in `problems`."""
    done = CliRunner().invoke(app, arguments, input=given)
    if isinstance(done.exception, InputErrors):
        return Answer(1, done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Answer(done.exit_code, done.output, None)


def test_a_study_from_a_file_goes_where_the_table_has_it(naps: Path) -> None:
    done = call("add", "naps", "--from", "new.yaml")
    assert done.code == 0
    assert (naps / "studies.yaml").read_text() == TABLE.replace("  - cite: elm2010", BLOCK + "  - cite: elm2010")
    lines = done.out.splitlines()
    assert lines[0] == "naps/studies.yaml:16: added Bay 2005 (1 effect)"
    assert lines[1] == "naps: Do naps help?"
    assert "(Bayesian, 2 samples, 2 effects)" in lines[2] or "(2 samples, 2 effects)" in lines[2]
    assert lines[2].startswith("  before  ")
    assert lines[3].startswith("  after   ")
    assert "3 samples, 3 effects" in lines[3]
    assert lines[4:] == ["the other 1 synthesis is as before", "next: catharsis report naps"]


def test_the_numbers_shown_are_those_of_a_run(naps: Path) -> None:
    from catharsis.plan.run import run
    from catharsis.report.prose import limits, value

    done = call("add", "naps", "--from", "new.yaml")
    result = run(naps, sample=False).syntheses[0]
    estimate, low, high = result.headline()
    measure = result.effects.measure
    assert f"after   {value(measure, estimate)} [{limits(measure, low, high)}]" in done.out


def test_a_dry_run_writes_nothing(naps: Path) -> None:
    done = call("add", "naps", "--from", "new.yaml", "--dry-run")
    assert "naps/studies.yaml:16: would add Bay 2005 (1 effect)" in done.out
    assert BLOCK.rstrip() in done.out
    assert (naps / "studies.yaml").read_text() == TABLE


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bay2005", "bya2005", r'new\.yaml:2: no reference has the key "bya2005"(.|\n)*did you mean "bay2005"'),
        ("home", "hmoe", r'new\.yaml:5: "hmoe" is not a level of place(.|\n)*did you mean "home"'),
        ("sd1: 4.00", "sd1: -4.00", r"new\.yaml:11: sd1 is -4"),
        ("m1: 15.00", "m1: 45.00", r"new\.yaml:11: m1 is 45"),
        ("bay-1", "ash-1", r'new\.yaml:10: the effect id "ash-1" stands twice \(first at naps/studies\.yaml:13\)'),
        ("id: bay\n", "id: ash\n", r"new\.yaml:8: sample ash is in the overlap group"),
        ("outcome: sleep", "outcome: slep", r"new\.yaml:4: no outcome is called"),
        ("label:", "labbel:", r'new\.yaml:3: "labbel" is not a key of study bay2005'),
        ("samples:", "samples: [", r"new\.yaml:\d+: this is not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_the_lines_of_the_file(naps: Path, old: str, new: str, message: str) -> None:
    Path("new.yaml").write_text(NEW.replace(old, new))
    done = call("add", "naps", "--from", "new.yaml")
    assert done.code == 1
    assert done.problems is not None
    assert done.problems.problems
    import re

    assert re.search(message, str(done.problems)), done.problems
    assert (naps / "studies.yaml").read_text() == TABLE


def test_a_warning_that_is_new_is_shown(naps: Path) -> None:
    Path("new.yaml").write_text(NEW.replace("m1: 15.00, sd1: 4.00", "m1: 29.00, sd1: 1.00"))
    done = call("add", "naps", "--from", "new.yaml", "--no-results")
    assert done.code == 0
    assert "warning: naps/studies.yaml:" in done.out
    assert "(bay-1)" in done.out


@pytest.mark.parametrize("wrap", ["- ", "studies:\n  - "])
def test_a_list_and_a_whole_table_are_taken_too(naps: Path, wrap: str) -> None:
    pad = " " * len(wrap.rsplit("\n", 1)[-1])
    body = ("\n" + pad).join(NEW.splitlines()[1:])
    Path("new.yaml").write_text(wrap + body + "\n")
    assert call("add", "naps", "--from", "new.yaml", "--no-results").code == 0
    assert len(read_studies(naps / "studies.yaml")) == 3


def test_the_first_study_of_a_table(naps: Path) -> None:
    (naps / "studies.yaml").write_text("# ours\nschema: catharsis/studies@1\nstudies: []  # soon\n")
    assert call("add", "naps", "--from", "new.yaml").code == 0
    text = (naps / "studies.yaml").read_text()
    assert text == "# ours\nschema: catharsis/studies@1\nstudies:  # soon\n\n" + BLOCK.rstrip("\n") + "\n"


@pytest.mark.parametrize("studies", ["{a: 1}", "oops", "\n  a: 1", "&x [*x]", "[", ""])
def test_a_table_that_is_none_is_not_overwritten(naps: Path, studies: str) -> None:
    text = f"schema: catharsis/studies@1\nstudies: {studies}\n"
    (naps / "studies.yaml").write_text(text)
    done = call("add", "naps", "--from", "new.yaml", "--no-results")
    assert (done.code, (naps / "studies.yaml").read_text() == text) == ((1, True) if studies else (0, False))


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_sheet_with_our_names_or_metafors(naps: Path, suffix: str) -> None:
    rows = [
        ["cite", "label", "outcome", "place", "m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"],
        ["bay2005", "Bay 2005", "sleep", "home", "15.00", "4.00", "22", "12.20", "4.40", "20"],
    ]
    if suffix == ".csv":
        Path("new.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    else:
        from openpyxl import Workbook

        book = Workbook()
        for row in rows:
            book.active.append([float(cell) if cell[0].isdigit() else cell for cell in row])
        book.save("new.xlsx")
    done = call("add", "naps", "--from", f"new{suffix}", "--no-results")
    assert done.problems is None, done.problems
    row = next(row for row in read_studies(naps / "studies.yaml") if row.get("cite") == "bay2005")
    assert (row.get("m1"), row.get("n2"), row.get("place")) == (15.0, 20, "home")


def test_a_wrong_row_of_a_sheet_is_named(naps: Path) -> None:
    Path("new.csv").write_text("cite,outcome,m1i,sd1i,n1i,m2i,sd2i,n2i\nbay2005,sleep,15,-4,22,12,4,20\n")
    done = call("add", "naps", "--from", "new.csv")
    assert done.problems is not None
    assert "new.csv:2: sd1 is -4" in str(done.problems)
    assert (naps / "studies.yaml").read_text() == TABLE


def test_one_sheet_of_several_is_named(naps: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["cite", "outcome", "m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"])
    book.active.append(["bay2005", "sleep", 15, 4, 22, 12, 4, 20])
    book.create_sheet("notes").append(["made in May"])
    book.save("new.xlsx")
    assert "name one with --sheet" in str(call("add", "naps", "--from", "new.xlsx").problems)
    assert call("add", "naps", "--from", "new.xlsx", "--sheet", "Sheet", "--dry-run").problems is None


def test_a_bibliography_is_no_study(naps: Path) -> None:
    Path("new.ris").write_text("TY  - JOUR\nER  - \n")
    assert "catharsis import naps new.ris" in str(call("add", "naps", "--from", "new.ris").problems)


# ---------------------------------------------------------------- BibTeX


def test_a_reference_comes_with_its_study(naps: Path) -> None:
    Path("new.yaml").write_text(NEW.replace("cite: bay2005\n", ""))
    done = call("add", "naps", "--from", "new.yaml", "--bibtex", given=YEW)
    assert done.problems is None, done.problems
    bib = (naps / "bib" / "all.bib").read_text()  # where the table's other works stand
    assert bib.startswith(BIB)
    assert "yew2020" in bib
    assert "cite: yew2020" in (naps / "studies.yaml").read_text()


def test_a_reference_that_is_there_is_used(naps: Path) -> None:
    Path("new.yaml").write_text(NEW.replace("cite: bay2005\n", ""))
    done = call("add", "naps", "--from", "new.yaml", "--bibtex", given=BIB.splitlines()[2].replace("bay2005", "other"))
    assert "the bibliography has it already: bay2005" in done.out
    assert (naps / "bib" / "all.bib").read_text() == BIB
    assert "cite: bay2005" in (naps / "studies.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "there is no BibTeX entry"),
        ("@article{a, title = {", "standard input:1"),
        (YEW + YEW.replace("2020", "2021"), "one study is added at a time"),
    ],
)
def test_bibtex_that_cannot_stand(naps: Path, given: str, message: str) -> None:
    done = call("add", "naps", "--from", "new.yaml", "--bibtex", given=given)
    assert done.code == 1
    assert message in str(done.problems)
    assert (naps / "studies.yaml").read_text() == TABLE


def test_a_wrong_study_leaves_the_bibliography_alone(naps: Path) -> None:
    Path("new.yaml").write_text(NEW.replace("cite: bay2005\n", "").replace("home", "hmoe"))
    assert call("add", "naps", "--from", "new.yaml", "--bibtex", given=YEW).code == 1
    assert (naps / "bib" / "all.bib").read_text() == BIB


# ---------------------------------------------------------------- the terminal


ANSWERS = [
    "by2005", "bay2005",  # cite: a slip, then the key
    "Bay 2005", "",  # label, year as the bibliography has it
    "?", "slep", "sleep", "hmoe", "home",  # outcome, place
    "p. 9", "", "AB",  # source
    "bay", "ash-1", "bay-1",  # sample; an id that is taken, then a free one
    "two groups", "15.00", "0", "4,00", "4.00", "22", "12.20", "4.40", "20", "",  # numbers and note
    "n", "n",  # another result, another group
    "y",
]  # fmt: skip


def test_the_terminal_asks_until_each_answer_can_stand(naps: Path) -> None:
    done = call("add", "naps", "--no-results", given="\n".join(ANSWERS) + "\n")
    assert done.code == 0, done.out
    assert (naps / "studies.yaml").read_text() == TABLE.replace(
        "  - cite: elm2010",
        BLOCK.replace("    outcome", "    year: 2005\n    outcome").replace(
            "{where: p. 9}", "{where: p. 9, read_by: AB}"
        )
        + "  - cite: elm2010",
    )
    for said in (
        'did you mean "bay2005"',
        'did you mean "sleep"',
        'did you mean "home"',
        'the effect id "ash-1" is taken',
        "sd1 is 0: sd1 is above 0",
        "it has a decimal comma",
        "sleep, mood",
    ):
        assert said in done.out


def test_a_result_that_cannot_be_is_asked_again(naps: Path) -> None:
    first = ["two groups", "45.00", "4.00", "22", "12.20", "4.40", "20", ""]
    start = ["bay2005", "Bay 2005", "", "sleep", "home", "p. 9", "", "", "bay", "bay-1"]
    again = ["two groups", "15.00", "4.00", "22", "12.20", "4.40", "20", ""]
    given = [*start, *first, "y", "bay-1", *again, "n", "n", "y"]
    done = call("add", "naps", "--no-results", given="\n".join(given) + "\n")
    assert done.code == 0, done.out
    assert "m1 is 45" in done.out
    assert "m1: 15.00" in (naps / "studies.yaml").read_text()


@pytest.mark.parametrize("given", ["", "bay2005\nBay 2005\n", "\n".join(ANSWERS[:-1]) + "\nn\n"])
def test_stopping_or_saying_no_adds_nothing(naps: Path, given: str) -> None:
    assert call("add", "naps", given=given).code == 1
    assert (naps / "studies.yaml").read_text() == TABLE


# ---------------------------------------------------------------- as a process


def test_adds_at_once_lose_nothing(naps: Path, tmp_path: Path) -> None:
    def one(i: int) -> subprocess.CompletedProcess[str]:
        text = NEW.replace("bay-1", f"bay-{i}").replace("id: bay\n", f"id: bay{i}\n").replace("15.00", f"15.{i}0")
        (tmp_path / f"new{i}.yaml").write_text(text)
        command = [sys.executable, "-m", "catharsis.cli", "add", "naps", "--from", f"new{i}.yaml", "--no-results"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment())

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(one, range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert len(read_studies(naps / "studies.yaml")) == 4


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "NO_COLOR": "1"}


def test_input_without_bytes_ends_in_words(naps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bytes:
        buffer = io.BytesIO(b"\xff\xfe@article{")

    monkeypatch.setattr(sys, "stdin", Bytes())
    from catharsis.cli.add import add

    with pytest.raises(InputErrors, match="not UTF-8"):
        add(Path("naps"), Path("new.yaml"), True)
