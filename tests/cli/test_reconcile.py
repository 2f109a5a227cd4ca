"""`catharsis reconcile`: agreement, conflicts decided by letter, sheet or at the terminal, kept with who and when."""

from __future__ import annotations

import csv
import io
import re
import shlex

import pytest
from workshop import ROOT, bib, catharsis, copy_of, entries, made, study

from catharsis.cli.reconcile import Wanted, _names, reader_names, reconcile
from catharsis.errors import InputErrors
from catharsis.studies.table import read_studies
from catharsis.studies.yaml_source import parse_yaml, read_yaml

HEAD = "schema: catharsis/studies@1\nstudies:\n"
DAY = "2030-05-01"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An analysis with one study, and two readers who both read two more; they differ in three cells."""
    folder = made(tmp_path / "naps", 1)
    (folder / "refs" / "all.bib").write_text("".join(bib(i) for i in range(6)), encoding="utf-8")
    (folder / "studies.yaml").write_text(HEAD + "# a comment that stays\n" + study(0), encoding="utf-8")
    write(tmp_path / "alice.yaml", study(1), study(2))
    write(
        tmp_path / "bob.yaml",
        study(1, "numbers: {mean_change: 0.70, sd_change: 3.1}", place="work"),
        study(2, n=44),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, *studies):
    path.write_text(HEAD + "\n".join(studies), encoding="utf-8")


def wanted(root, **more):
    usual = {"into": root / "naps" / "studies.yaml", "by": "Carol", "day": DAY}
    return Wanted(root / "alice.yaml", root / "bob.yaml", **{**usual, **more})


def table(root):
    return {row.id: row for row in read_studies(root / "naps" / "studies.yaml")}


def resolved(root, position=1):
    studies = read_yaml(root / "naps" / "studies.yaml").data["studies"]
    return studies[position]["samples"][0]["effects"][0]["source"].get("resolved", [])


def test_it_reports_and_writes_nothing_without_into(desk, capsys):
    before = (desk / "naps" / "studies.yaml").read_bytes()
    assert reconcile(wanted(desk, into=None, analysis=desk / "naps", by=None)) == 0
    out = capsys.readouterr().out
    assert "2 effects in both files, 0 only in alice, 0 only in bob" in out
    assert "conflict: s1 / e1: numbers.sd_change: alice 2.1 (" in out
    assert re.search(r"alice 2\.1 \(\S+/alice\.yaml:\d+\), bob 3\.1 \(\S+/bob\.yaml:\d+\)", out)
    assert "conflict: s1 / e1: place: alice home (" in out
    assert "conflict: s2 / e2: n: alice 42 (" in out
    assert "3 conflicts" in out
    assert " numbers.mean_change" in out
    assert "2 of 2 the same, ICC(A,1) 1.00" in out
    assert (desk / "naps" / "studies.yaml").read_bytes() == before


@pytest.mark.parametrize(("take", "sd", "place", "n"), [("a", 2.1, "home", 42), ("b", 3.1, "work", 44)])
def test_one_reader_is_kept(desk, take, sd, place, n):
    assert reconcile(wanted(desk, take=take)) == 0
    rows = table(desk)
    assert list(rows) == ["e0", "e1", "e2"]
    assert (rows["e1"].get("sd_change"), rows["e1"].get("place"), rows["e2"].get("n")) == (sd, place, n)
    assert rows["e1"].printed["mean_change"] == "0.70", "the digits that say more"
    text = (desk / "naps" / "studies.yaml").read_text(encoding="utf-8")
    assert text.startswith(HEAD + "# a comment that stays\n" + study(0).rstrip("\n"))
    found = {record["cell"]: record for record in resolved(desk)}
    assert found["numbers.sd_change"] == {
        "cell": "numbers.sd_change", "readings": {"alice": 2.1, "bob": 3.1}, "kept": sd, "by": "Carol", "date": DAY,
    }  # fmt: skip
    assert set(found) == {"numbers.sd_change", "place"}
    assert [record["cell"] for record in resolved(desk, 2)] == ["n"]


def test_a_sheet_decides(desk, capsys):
    sheet = desk / "conflicts.csv"
    assert reconcile(wanted(desk, conflicts=sheet, into=None, analysis=desk / "naps")) == 0
    rows = list(csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8"))))
    assert [(row["effect"], row["cell"], row["first"], row["second"]) for row in rows] == [
        ("e1", "place", "home", "work"), ("e1", "numbers.sd_change", "2.1", "3.1"), ("e2", "n", "42", "44"),
    ]  # fmt: skip
    answers = {"place": ("b", ""), "numbers.sd_change": ("value", "2.60"), "n": ("a", "")}
    for row in rows:
        row["take"], row["value"] = answers[row["cell"]]
    with sheet.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert reconcile(wanted(desk, take=str(sheet))) == 0
    found = table(desk)
    assert (found["e1"].get("place"), found["e1"].get("sd_change"), found["e2"].get("n")) == ("work", 2.6, 42)
    assert found["e1"].printed["sd_change"] == "2.60"
    record = next(one for one in resolved(desk) if one["cell"] == "numbers.sd_change")
    assert (record["readings"], record["kept"]) == ({"alice": 2.1, "bob": 3.1}, 2.6)


SHEET = "sample,effect,cell,first,second,take,value\n"
GOOD = "s1,e1,place,home,work,a,\ns1,e1,numbers.sd_change,2.1,3.1,a,\ns2,e2,n,42,44,a,\n"
SLIPS = {
    "nothing decided": (SHEET, "is not decided"),
    "an unknown cell": (SHEET + GOOD + "s1,e1,plaec,,,a,\n", "there is no conflict s1 / e1 / plaec"),
    "decided twice": (SHEET + GOOD + "s2,e2,n,42,44,b,\n", "s2 / e2 / n is decided twice"),
    "no letter": (SHEET + GOOD.replace("44,a", "44,"), "has take"),
    "a value without value": (SHEET + GOOD.replace("44,a,", "44,value,"), "has take"),
    "a letter with a value": (SHEET + GOOD.replace("44,a,", "44,a,43"), "has take"),
    "text for a number": (SHEET + GOOD.replace("44,a,", "44,value,many"), '"many" cannot be the value of n'),
    "two values": (SHEET + GOOD.replace("44,a,", '44,value,"4\nid: x"'), "cannot be the value of n"),
    "no column": ("effect,cell,take\n", 'there is no column "sample"'),
    "more cells": (SHEET + GOOD + "a,b,c,d,e,f,g,h\n", "more cells than the header"),
    "nothing": ("", 'there is no column "sample"'),
    "NUL": ("\0", 'there is no column "sample"'),
    "an open quote": (SHEET + 's1,"e1', "this is no CSV file"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_in_the_sheet_is_told_and_nothing_is_written(desk, name):
    text, said = SLIPS[name]
    (desk / "d.csv").write_text(text, encoding="utf-8")
    before = (desk / "naps" / "studies.yaml").read_bytes()
    with pytest.raises(InputErrors) as found:
        reconcile(wanted(desk, take="d.csv"))
    assert said in str(found.value)
    assert "d.csv" in str(found.value)
    assert (desk / "naps" / "studies.yaml").read_bytes() == before


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_sheet_as_other_countries_save_it(desk, separator):
    (desk / "d.csv").write_text("\ufeff" + (SHEET + GOOD).replace(",", separator), encoding="utf-8", newline="\r\n")
    assert reconcile(wanted(desk, take="d.csv")) == 0
    assert table(desk)["e1"].get("sd_change") == 2.1


def test_a_person_is_asked(desk, capsys):
    answers = iter(["perhaps", "b", "=", "=many", "=2.60", "a"])
    questions = []

    def ask(question):
        questions.append(question)
        return next(answers)

    assert reconcile(wanted(desk), ask) == 0
    out = capsys.readouterr().out
    assert len(questions) == 6
    assert "please answer a or b, =VALUE for another value, or q" in out
    assert '"many" cannot be the value of' in out
    found = table(desk)
    assert (found["e1"].get("place"), found["e1"].get("sd_change"), found["e2"].get("n")) == ("work", 2.6, 42)
    assert len(resolved(desk)) + len(resolved(desk, 2)) == 3


def test_nobody_to_ask_leaves_the_conflicts_open(desk, capsys):
    before = (desk / "naps" / "studies.yaml").read_bytes()
    assert reconcile(wanted(desk)) == 1
    assert "conflicts stay open, so nothing was written" in capsys.readouterr().err
    assert reconcile(wanted(desk), lambda _: "q") == 1
    assert (desk / "naps" / "studies.yaml").read_bytes() == before


def test_an_effect_of_one_reader_alone_is_a_conflict(desk, capsys):
    write(desk / "bob.yaml", study(2), study(3))
    assert reconcile(wanted(desk, take="b")) == 0
    assert "1 only in alice, 1 only in bob" in capsys.readouterr().out
    found = table(desk)
    assert list(found) == ["e0", "e2", "e3"]
    assert resolved(desk, 2) == [
        {"cell": "effect", "readings": {"bob": "e3"}, "kept": "e3", "by": "Carol", "date": DAY}
    ]


def test_an_effect_that_is_in_the_table_is_brought_to_the_agreed_cells(desk):
    """What neither reader spoke of stays, and so do the other lines."""
    path = desk / "naps" / "studies.yaml"
    note = study(1, note="kept as it is")
    path.write_text(HEAD + study(0) + "\n" + note + "\n# the end\n", encoding="utf-8")
    assert reconcile(wanted(desk, take="b")) == 0
    found = table(desk)
    assert (found["e1"].get("sd_change"), found["e1"].get("note")) == (3.1, "kept as it is")
    assert (found["e1"].get("place"), found["e0"].get("place")) == ("work", "home")
    text = path.read_text(encoding="utf-8")
    assert "# the end" in text
    assert text.startswith(HEAD + study(0))
    again = path.read_bytes()
    write(desk / "alice.yaml", study(1, "numbers: {mean_change: 0.70, sd_change: 3.1}", place="work"))
    write(desk / "bob.yaml", study(1, "numbers: {mean_change: 0.70, sd_change: 3.1}", place="work"))
    assert reconcile(wanted(desk)) == 0
    assert path.read_bytes() == again, "readers who agree with the table change nothing"


def test_readers_who_name_things_differently_are_matched_by_content(desk, capsys):
    other = study(1).replace("id: s1", "id: norway").replace("id: e1", "id: first")
    write(desk / "alice.yaml", study(1))
    write(desk / "bob.yaml", other)
    assert reconcile(wanted(desk)) == 0
    assert "1 effect in both files (1 of them by what they measure)" in capsys.readouterr().out
    assert list(table(desk)) == ["e0", "e1"]


def test_the_second_reader_is_named_when_both_say_who_they_are(desk):
    source = "{{where: table 1, kind: primary-fulltext, read_by: {}}}"
    write(desk / "alice.yaml", study(1, source=source.format("Alice A")))
    write(desk / "bob.yaml", study(1, source=source.format("Bob B")))
    assert reconcile(wanted(desk, readers=("AA", "BB"))) == 0
    row = table(desk)["e1"]
    assert (row.get("source_read_by"), row.get("source_checked_by"), row.get("source_checked")) == (
        "Alice A", "Bob B", True,
    )  # fmt: skip


def test_what_is_agreed_is_checked_before_it_is_written(desk):
    """An impossible number that both readers typed does not get in."""
    for name in ("alice", "bob"):
        write(desk / f"{name}.yaml", study(1, "numbers: {mean_change: 0.7, sd_change: -2.0}"))
    before = (desk / "naps" / "studies.yaml").read_bytes()
    with pytest.raises(InputErrors, match="sd_change"):
        reconcile(wanted(desk))
    assert (desk / "naps" / "studies.yaml").read_bytes() == before


def test_errors_of_both_files_are_told_together(desk):
    write(desk / "alice.yaml", study(1, plcae="home"))
    write(desk / "bob.yaml", study(1, cite="npa1"))
    with pytest.raises(InputErrors) as found:
        reconcile(wanted(desk))
    assert {problem.at.file.rsplit("/", 1)[-1] for problem in found.value.problems} == {"alice.yaml", "bob.yaml"}


def test_without_an_analysis_the_option_that_names_it_is_told(desk):
    with pytest.raises(InputErrors, match="--analysis"):
        reconcile(wanted(desk, into=None))


def test_the_command_line(desk):
    done = catharsis("reconcile", "alice.yaml", "bob.yaml", "--into", "naps/studies.yaml", "--take", "a", "--by", "CD",
                     "--readers", "AB,XY", cwd=desk)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "naps/studies.yaml: 2 effects agreed, 3 conflicts resolved by CD on " in done.stdout
    assert resolved(desk)[0]["readings"].keys() == {"AB", "XY"}
    nobody = catharsis("reconcile", "alice.yaml", "bob.yaml", "--into", "naps/studies.yaml", cwd=desk)
    assert nobody.returncode == 2
    assert "--by NAME" in nobody.stderr


def test_names_of_readers(tmp_path):
    for folder in ("anna", "ben"):
        (tmp_path / folder).mkdir()
    assert _names(tmp_path / "anna" / "x.yaml", tmp_path / "ben" / "x.yaml") == ("anna", "ben")
    assert _names(tmp_path / "anna" / "x.yaml", tmp_path / "anna" / "x.yml") == ("first", "second")
    assert reader_names("AB, CD") == ("AB", "CD")
    for bad in ("AB", "AB,", "AB,AB", "A,B,C"):
        assert reader_names(bad) is None


def test_the_page_says_what_runs(tmp_path):
    """The commands, the program and the record of docs/two_readers.md."""
    page = (ROOT / "docs" / "two_readers.md").read_text(encoding="utf-8")
    exec(compile(page.split("```python", 1)[1].split("```", 1)[0], "docs/two_readers.md", "exec"), {})
    record = page.split("```yaml", 1)[1].split("```", 1)[0]
    assert "resolved" in parse_yaml(record, "docs/two_readers.md").data["source"]
    folder = copy_of("bcg", tmp_path)
    head, (first, *_) = entries((folder / "studies.yaml").read_text(encoding="utf-8"))
    for name, events in (("alice", "events1: 4"), ("bob", "events1: 5")):
        (tmp_path / f"{name}.yaml").write_text(head + first.replace("events1: 4", events), encoding="utf-8")
    commands = re.findall(r"^    catharsis (reconcile .+)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = catharsis(*shlex.split(command), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "1 conflict resolved by Carol C on " in done.stdout
    (record,) = read_yaml(folder / "studies.yaml").data["studies"][0]["samples"][0]["effects"][0]["source"]["resolved"]
    assert (record["readings"], record["kept"], record["by"]) == ({"alice": 4, "bob": 5}, 4, "Carol C")
