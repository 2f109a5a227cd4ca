"""A slip in the inputs: file, line, what, why and fix, exit code 1, no traceback, and nothing written."""

from __future__ import annotations

import re

import pytest
from workshop import ANALYSIS, bib, catharsis, made, state, study


def table(old="", new="", **extra):
    """The made table with one text replaced; the change must change something."""

    def apply(folder):
        path = folder / extra.get("file", "studies.yaml")
        text = path.read_text(encoding="utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return apply


def plan(old, new):
    return table(old, new, file="analysis.yaml")


def effect(numbers):
    """The first effect gives something else."""
    return table(FIRST, numbers)


def gone(name):
    def apply(folder):
        path = folder / name
        for inner in sorted(path.rglob("*")) if path.is_dir() else ():
            inner.unlink()
        path.rmdir() if path.is_dir() else path.unlink()

    return apply


def bytes_in(name):
    def apply(folder):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b"Nap 2", b"N\xe4p 2"))

    return apply


FIRST = "numbers: {mean_change: 1.2, sd_change: 2.0}"

MISTAKES = {  # name -> change, file, text on the line that is named, what is said, why, how to mend it
    # those of the issue
    "mistyped key": (
        table("place: home", "plcae: home"), "studies.yaml", "plcae", '"plcae" is not a key of study Nap 0',
        "a misspelt key would be lost", 'did you mean "place"?',
    ),
    "missing SD": (
        effect("numbers: {mean_change: 1.2}"), "studies.yaml", "{mean_change: 1.2}", "mean_change without sd_change",
        "the row could not be weighted", "add one of them from the paper",
    ),
    "SD beyond the range": (
        effect("numbers: {mean_change: 1.2, sd_change: 20}"), "studies.yaml", "20}", "sd_change is 20",
        "all scores lie between -10 and 10", "correct the SD",
    ),
    "bad indent": (
        table("    label: Nap 0", "   label: Nap 0"), "studies.yaml", "label: Nap 0", "", "", "",
    ),
    # and more
    "unknown cite": (
        table("cite: nap3", "cite: npa3"), "studies.yaml", "npa3", 'no reference has the key "npa3"',
        "every row must name the paper it came from", 'did you mean "nap3" (naps/refs/all.bib:22)?',
    ),
    "duplicate id": (table("- id: e2", "- id: e1"), "studies.yaml", "SECOND - id: e1", '"e1"', "", ""),
    "unknown outcome": (
        table("outcome: alert", "outcome: alrt"), "studies.yaml", "alrt", '"alrt"', "", 'did you mean "alert"?',
    ),
    "unknown level": (
        table("place: home", "place: hmoe"), "studies.yaml", "hmoe", '"hmoe"', "", 'did you mean "home"?',
    ),
    "swapped interval": (
        effect("numbers: {d: 0.4, d_ci: [0.7, 0.1]}"), "studies.yaml", "0.7", "the interval runs from 0.7 to 0.1",
        "its limits are swapped", "swap them",
    ),
    "p above 1": (
        effect("reported: {sign: higher}\n            numbers: {p: 1.2, n: 40}"), "studies.yaml", "p: 1.2", "p is 1.2",
        "a probability lies between 0 and 1", "correct p",
    ),
    "groups larger than n": (
        effect("numbers: {m1: 1, sd1: 1, n1: 30, m2: 0, sd2: 1, n2: 30}"), "studies.yaml", "n: 40",
        "n is 40, but n1 + n2 is 60", "cannot hold more people", "correct n, n1 or n2",
    ),
    "more events than people": (
        effect("counts: {events1: 21, n1: 20, events2: 1, n2: 20}"), "studies.yaml", "events1",
        "events1 is 21, but n1 is 20", "events cannot outnumber people", "correct the counts",
    ),
    "wrong expression": (
        plan("rows: kind == 'direction'", "rows: knid == 'direction'"), "analysis.yaml", "knid", "knid",
        'there is no column "knid"', 'did you mean "kind"?',
    ),
    "unknown prior": (
        plan("    scale: auto\n", "    scale: auto\n    priors: {mu: 'norml(0, 1)'}\n"), "analysis.yaml", "norml",
        '"norml(0, 1)" is not a prior', "a prior is part of the model", "normal(0, 1)",
    ),
    "no bibliography": (
        gone("refs"), "analysis.yaml", "bibliography:", "there is no bibliography at naps/refs",
        "every row must name a paper", "copy the .bib files there",
    ),
    "no plan": (gone("analysis.yaml"), "analysis.yaml", "", "there is no such file", "needs it", "check the path"),
    "no table": (gone("studies.yaml"), "studies.yaml", "", "there is no such file", "needs it", "check the path"),
    "a list for a plan": (
        lambda folder: (folder / "analysis.yaml").write_text("- a\n- b\n"), "analysis.yaml", "- a", "list", "", "",
    ),
    "not UTF-8": (
        bytes_in("studies.yaml"), "studies.yaml", "N\ufffdp 2", "byte 0xe4 is not UTF-8", "one agreed encoding",
        "save the file as UTF-8",
    ),
}  # fmt: skip


def place(path, text):
    """file:line of the first line with a text, or of the second where it says so; the file alone when it is gone."""
    if not text:
        return f"naps/{path.name}"
    wanted = text.removeprefix("SECOND ")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [i for i, line in enumerate(lines, start=1) if wanted in line]
    return f"naps/{path.name}:{found[text != wanted]}"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_slip_is_told_and_nothing_is_written(tmp_path, name):
    change, file, text, what, why, fix = MISTAKES[name]
    folder = made(tmp_path / "naps", 6)
    change(folder)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    done = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    problems = [line for line in done.stderr.splitlines() if re.match(r"naps/", line)]
    assert problems, done.stderr
    assert any(line.startswith(f"{place(folder / file, text)}: ") for line in problems), done.stderr
    assert done.stderr.count("\n  why: ") == done.stderr.count("\n  fix: ") == len(problems)
    for part in (what, why, fix):
        assert part in done.stderr, done.stderr
    n = len(problems)
    assert done.stderr.endswith(f"{n} error{'s' * (n != 1)}; nothing was computed or written.\n")
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    assert not (tmp_path / "out").exists()


def test_every_slip_is_told_at_once_and_the_old_report_stays(tmp_path):
    folder = made(tmp_path / "naps", 6)
    good = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    before = state(tmp_path)
    for change in (table("cite: nap3", "cite: npa3"), table("place: home", "place: hmoe"), effect("numbers: {r: 1.4}")):
        change(folder)
    again = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert again.returncode == 1
    lines = [int(n) for n in re.findall(r"^naps/studies.yaml:(\d+)", again.stderr, re.M)]
    assert len(lines) >= 2
    assert lines == sorted(lines)
    assert {k: v for k, v in state(tmp_path).items() if "out" in k} == {k: v for k, v in before.items() if "out" in k}


def test_the_command_check_says_the_same(tmp_path):
    folder = made(tmp_path / "naps", 6)
    good = catharsis("check", "naps", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout == "naps: 6 effects from 6 works, no errors, 0 warnings\n"
    MISTAKES["mistyped key"][0](folder)
    bad = catharsis("check", "naps", cwd=tmp_path)
    assert bad.returncode == 1
    assert bad.stderr == (
        'naps/studies.yaml:8: "plcae" is not a key of study Nap 0\n'
        "  why: a misspelt key would be lost without a word\n"
        '  fix: did you mean "place"?\n'
        "1 error; nothing was computed or written.\n"
    )


def test_a_standard_error_typed_as_sd_is_a_warning_and_stands_in_the_report(tmp_path):
    folder = made(tmp_path / "naps", 6)
    effect("numbers: {mean_change: 1.2, sd_change: 0.32}")(folder)
    told = catharsis("check", "naps", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.match(r"warning: naps/studies\.yaml:\d+: sd_change is 0\.32, while 5 others", told.stdout), told.stdout
    assert "fix: write se_change: 0.32 if the paper prints a standard error" in told.stdout
    assert "rule: se-for-sd" in told.stdout
    done = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sd_change is 0.32" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_bad_bibliography_is_told(tmp_path):
    made(tmp_path / "naps", 2, bibs=bib(0) + bib(1) + bib(1))
    done = catharsis("check", "naps", cwd=tmp_path)
    assert done.returncode == 1
    assert re.match(r'naps/refs/all\.bib:\d+: .*"nap1"', done.stderr), done.stderr


def test_a_synthesis_that_cannot_be_fitted_is_told(tmp_path):
    """A moderator that is the same in every row explains nothing: that synthesis is withheld, the report is made."""
    analysis = ANALYSIS.replace("    scale: auto\n", "    scale: auto\n    moderators: ~ length\n")
    made(tmp_path / "naps", 0, analysis=analysis, studies=[study(i, length="10") for i in range(6)])
    done = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Not said: Any average of this synthesis: the moderator column length is 10 in every row" in page


def test_a_formula_that_names_nothing_is_told(tmp_path):
    analysis = ANALYSIS.replace("    scale: auto\n", "    scale: auto\n    moderators: ~ lenght\n")
    made(tmp_path / "naps", 0, analysis=analysis, studies=[study(i, length="10") for i in range(6)])
    done = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert re.search(r"^naps/analysis.yaml:\d+: this synthesis cannot be formed: .*did you mean", done.stderr, re.M)
    assert not (tmp_path / "out").exists()


def test_a_folder_for_a_table_is_told(tmp_path):
    folder = made(tmp_path / "naps", 2)
    (folder / "studies.yaml").unlink()
    (folder / "studies.yaml").mkdir()
    done = catharsis("report", "naps", "--no-sampling", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "naps/studies.yaml: this is not a file" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


USAGE = [["report"], ["nothing"], ["check", "naps", "--sideways"], ["report", "naps", "too", "many"], ["cite"]]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_exit_code_2(tmp_path, arguments):
    done = catharsis(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["nowhere", "analysis.yaml"])
def test_a_folder_that_is_none(tmp_path, folder):
    (tmp_path / "analysis.yaml").write_text("", encoding="utf-8")
    done = catharsis("check", folder, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert folder in done.stderr
    assert "Traceback" not in done.stderr


def test_cite(tmp_path):
    made(tmp_path / "naps", 2)
    found = catharsis("cite", "nap0", "-b", "naps/refs", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "Napper, N. (2000). Nap number 0." in found.stdout
    missing = catharsis("cite", "npa0", "-b", "naps/refs", cwd=tmp_path)
    assert missing.returncode == 1
    assert 'did you mean "nap0" (naps/refs/all.bib:1)?' in missing.stderr
    assert "Traceback" not in missing.stderr
    nowhere = catharsis("cite", "nap0", "-b", "none.bib", cwd=tmp_path)
    assert nowhere.returncode in (1, 2)
    assert "Traceback" not in nowhere.stderr
