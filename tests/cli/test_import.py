"""`catharsis import` and `catharsis duplicates` as a user runs them: files in, files changed, words, exit codes."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from catharsis.cli.import_ import Wishes, import_files
from catharsis.errors import InputErrors
from catharsis.references import read_references
from catharsis.references.links import all_links
from catharsis.studies.table import read_studies

ROOT = Path(__file__).parents[2]
EXPORTS = ROOT / "tests" / "references" / "data"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
ANALYSIS = """schema: catharsis/analysis@1
title: Does it help?
bibliography: references
outcomes:
  mood: {label: Mood}
moderators:
  latitude: {label: Latitude, unit: degrees}
syntheses: []
"""
EMPTY = "# the table\nschema: catharsis/studies@1\nstudies: []\n"
OWN = "% mine, with a comment\r\n@article{gross1994crying,\r\n  author = {Gross, James J. and others},\r\n  title = {The Psychophysiology of Crying},\r\n  year = 1994,\r\n}\r\n% the end"  # noqa: E501


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "help"
    (folder / "references").mkdir(parents=True)
    (folder / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
    (folder / "studies.yaml").write_text(EMPTY, encoding="utf-8")
    (folder / "references" / "own.bib").write_bytes(OWN.encode())
    monkeypatch.chdir(tmp_path)
    return Path("help")


def run(folder: Path, *files: Path | str, **wishes: object) -> int:
    return import_files(folder, [Path(file) for file in files], Wishes(**wishes))


# -- references -----------------------------------------------------------------------------------------------


def test_a_ris_file(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = analysis / "references" / "own.bib"
    assert run(analysis, EXPORTS / "endnote.ris") == 0
    said = capsys.readouterr().out
    assert "added: snowdon2007reproductive, Snowdon & Ziegler, 2007: Reproductive hormones (its key was 18)" in said
    assert "is gross1994crying (help/references/own.bib:2): same title, first author and year" in said
    assert "not kept, since no field of a .bib file holds it: C1 (1), M1 (1)" in said
    assert said.endswith("3 references, 2 added to help/references/own.bib, 1 there already, 0 to look at\n")
    data = file.read_bytes().decode()
    assert data.startswith(OWN + "\r\n\r\n@incollection{snowdon2007reproductive,\r\n")  # every byte that was there
    assert "\n" not in data.replace("\r\n", "")
    assert len(read_references(analysis / "references")) == 3
    assert run(analysis, EXPORTS / "endnote.ris") == 0  # a second time adds nothing
    assert file.read_bytes().decode() == data


@pytest.mark.parametrize("name", ["zotero.ris", "pubmed.nbib", "zotero.json"])
def test_other_formats_into_an_empty_bibliography(analysis: Path, name: str) -> None:
    (analysis / "references" / "own.bib").unlink()
    assert run(analysis, EXPORTS / name) == 0
    library = read_references(analysis / "references")
    assert [file.name for file in (analysis / "references").glob("*.bib")] == ["imported.bib"]
    assert len(library) == 2
    assert all(paper.label for paper in library.values())


def test_a_real_bibliography_of_246(analysis: Path) -> None:
    """Every reference of this repository, exported and imported again, and then once more under its own keys."""
    from catharsis.references.formats import to_ris

    ours = read_references(ROOT / "references")
    Path("all.ris").write_text(to_ris(ours.values()), encoding="utf-8")
    (analysis / "references" / "own.bib").unlink()
    run(analysis, "all.ris")
    assert set(read_references(analysis / "references")) == set(ours)  # keys of the house's form stay
    library = read_references(analysis / "references")
    assert len(library) == len(ours)
    titles = {paper.title: paper for paper in library.values()}
    assert all(titles[paper.title].authors == paper.authors for paper in ours.values())
    before = (analysis / "references" / "imported.bib").read_bytes()
    run(analysis, ROOT / "references" / "studies.bib", ROOT / "references" / "seed.bib")
    assert (analysis / "references" / "imported.bib").read_bytes() == before
    links = all_links(analysis / "references" / "duplicates.yaml")
    again = read_references(analysis / "references")
    for key, paper in read_references(ROOT / "references" / "studies.bib").items():
        assert again[key].title == paper.title
    assert links == {}


def test_a_key_that_changes_still_finds_its_work(analysis: Path) -> None:
    """A table that was written with another program's keys goes on working."""
    Path("theirs.bib").write_text(
        "@misc{Doe_etal, author={Doe, Jane}, title={Tears at night}, year=2030}\n"
        "@misc{gross94, author={Gross, J.}, title={The psychophysiology of crying}, year=1994}\n",
        encoding="utf-8",
    )
    run(analysis, "theirs.bib")
    library = read_references(analysis / "references")
    assert library["Doe_etal"].key == "doe2030tears"
    assert library["gross94"].key == "gross1994crying"
    assert len(library) == 2
    entry = "@misc{Own_key, author={Poe, J.}, title={Tears at noon}, year=2031}\n"
    Path("theirs.bib").write_text(entry, encoding="utf-8")
    run(analysis, "theirs.bib", keep_keys=True)
    assert "Own_key" in list(read_references(analysis / "references"))


def test_doubt_is_told_and_settled(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from catharsis.cli.duplicates import duplicates

    theirs = "@article{x, author={Gross, J. J.}, title={The psychophysiology of crying}, year=1995, volume=9}"
    Path("theirs.bib").write_text(theirs, encoding="utf-8")
    with (analysis / "references" / "own.bib").open("a", encoding="utf-8", newline="") as file:
        file.write("\n@article{gross1999, author={Gross, James}, title={Psychophysiology}, year=1994, volume=31}\n")
    own = (analysis / "references" / "own.bib").read_text(encoding="utf-8")
    own = own.replace("year = 1994,", "year = 1994, volume = 31,")
    (analysis / "references" / "own.bib").write_text(own, encoding="utf-8")
    run(analysis, "theirs.bib")
    said = capsys.readouterr().out
    assert "may be gross1994crying" in said
    key = next(iter(set(read_references(analysis / "references")) - {"gross1994crying", "gross1999"}))
    assert f"catharsis duplicates help --link {key}=gross1994crying" in said
    assert duplicates(analysis, f"{key}=gross1994crying", None, None, "JR", "read both") == 0
    assert read_references(analysis / "references")[key].key == "gross1994crying"
    assert duplicates(analysis, None, key, None, None, None) == 0
    assert duplicates(analysis, None, None, f"{key}=gross1994crying", None, None) == 0
    capsys.readouterr()
    assert duplicates(analysis, None, None, None, None, None) == 0
    assert "0 pairs to look at" in capsys.readouterr().out
    with pytest.raises(InputErrors, match='did you mean "gross1994crying"'):
        duplicates(analysis, "gross1999=gross1994cryin", None, None, None, None)
    with pytest.raises(InputErrors, match="not linked to anything"):
        duplicates(analysis, None, "gross1999", None, None, None)


def test_a_dry_run_writes_nothing(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in analysis.rglob("*") if path.is_file()}
    run(analysis, EXPORTS / "endnote.ris", dry_run=True)
    assert "2 would be added to" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in analysis.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("into", ["../evil.bib", "a/b.bib", "x.txt", ".hidden.bib", ""])
def test_only_a_bib_file_of_the_folder(analysis: Path, into: str) -> None:
    with pytest.raises(InputErrors, match="references cannot be written into"):
        run(analysis, EXPORTS / "endnote.ris", into=into)
    assert sorted(path.name for path in Path().rglob("*.bib")) == ["own.bib"]


def test_hostile_records_stay_text(analysis: Path) -> None:
    items = [
        {"id": "../../x} @comment{", "type": "article-journal", "title": "<script>alert(1)</script> } , note = {x",
         "author": [{"family": "=HYPERLINK(\"x\")", "given": "and and"}], "issued": {"date-parts": [[2030]]}},
        {"id": "b", "type": "book", "title": "100% of \\input{x} $_^~#&", "author": [{"literal": "A and B, Inc."}]},
    ]  # fmt: skip
    Path("h.json").write_text(json.dumps(items), encoding="utf-8")
    run(analysis, "h.json")
    library = read_references(analysis / "references")
    titles = {paper.title for paper in library.values()}
    assert {"<script>alert(1)</script> } , note = {x", "100% of \\input{x} $_^~#&"} <= titles
    assert all(key.isalnum() for key in library)


def test_two_imports_at_once_lose_nothing(analysis: Path) -> None:
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            run(analysis, EXPORTS / name)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("endnote.ris", "zotero.ris", "pubmed.nbib")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(read_references(analysis / "references")) == 7


# -- tables ---------------------------------------------------------------------------------------------------


def test_bcg_is_the_table_that_we_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metafor-style data frame gives the counts, latitudes and allocations of analyses/bcg."""
    ours = read_studies(ROOT / "analyses" / "bcg" / "studies.yaml")
    shutil.copytree(ROOT / "analyses" / "bcg", tmp_path / "bcg")
    (tmp_path / "bcg" / "studies.yaml").write_text(EMPTY, encoding="utf-8")
    text = (tmp_path / "bcg" / "analysis.yaml").read_text(encoding="utf-8")
    text = text.replace("../../references", (ROOT / "references").as_posix())
    (tmp_path / "bcg" / "analysis.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with Path("bcg.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", "author", "year", "tpos", "tneg", "cpos", "cneg", "ablat", "alloc"])
        for i, row in enumerate(ours, 1):
            author, year = row.get("study").rsplit(" ", 1)
            cells = [row.get(name) for name in ("events1", "n1", "events2", "n2")]
            rows.writerow([i, author, year, cells[0], cells[1] - cells[0], cells[2], cells[3] - cells[2],
                           row.printed["latitude"], row.get("allocation")])  # fmt: skip
    columns = "tpos=ai,tneg=bi,cpos=ci,cneg=di,ablat=latitude,alloc=allocation"
    assert run(Path("bcg"), "bcg.csv", columns=(columns,), cite="colditz1994efficacy") == 0
    theirs = read_studies("bcg/studies.yaml")
    wanted = ("study", "year", "cite", "outcome", "events1", "n1", "events2", "n2", "latitude", "allocation")
    assert [tuple(row.get(name) for name in wanted) for row in theirs] == (
        [tuple(row.get(name) for name in wanted) for row in ours]
    )


BANGERT = "@article{bangert2004, author = {Bangert-Drowns, R. L. and others}, title = {Writing}, year = {2004}}\n"
WRITING = '"id","author","year","length","minutes","ni","yi","vi"\n1,"Ashworth",1992,15,NA,60,0.65,0.07\n2,"Ayers",1993,10,NA,34,-0.75,0.126\n'  # noqa: E501


def test_a_map_file_and_what_is_not_used(analysis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (analysis / "references" / "own.bib").write_text(BANGERT, encoding="utf-8")
    Path("writing.csv").write_text(WRITING, encoding="utf-8")
    Path("map.yaml").write_text("length: latitude\nni: n\n", encoding="utf-8")
    assert run(analysis, "writing.csv", columns=("map.yaml",), cite="bangert2004") == 0
    said = capsys.readouterr().out
    assert "columns not used: id, minutes" in said
    assert "2 effects of 2 studies added to help/studies.yaml" in said
    text = (analysis / "studies.yaml").read_text(encoding="utf-8")
    assert text.startswith("# the table\n")
    assert "numbers: {n: 34, yi: -0.75, vi: 0.126}" in text
    assert run(analysis, "writing.csv", columns=("map.yaml",), cite="bangert2004") == 0
    assert "there already: 2 rows (2, 3)" in capsys.readouterr().out
    assert (analysis / "studies.yaml").read_text(encoding="utf-8") == text


def test_what_the_checks_refuse_is_told_at_its_row(analysis: Path) -> None:
    (analysis / "references" / "own.bib").write_text(BANGERT, encoding="utf-8")
    Path("t.csv").write_text("author,year,m1i,sd1i,n1i,m2i,sd2i,n2i\nDoe,2030,1,-2,20,1,1,20\n", encoding="utf-8")
    with pytest.raises(InputErrors) as caught:
        run(analysis, "t.csv", cite="bangert2004")
    assert [(problem.at.file, problem.at.line) for problem in caught.value.problems] == [("t.csv", 2)]
    assert (analysis / "studies.yaml").read_text(encoding="utf-8") == EMPTY


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"columns": ("tpos",)}, "there is no such file"),
        ({"columns": ("=m1",)}, "--map is"),
        ({"cells": ("latitude",)}, "--set is"),
        ({"outcome": "moood"}, 'did you mean "mood"'),
    ],
)
def test_wrong_wishes(analysis: Path, wishes: dict, message: str) -> None:
    Path("t.csv").write_text(WRITING, encoding="utf-8")
    with pytest.raises(InputErrors, match=message):
        run(analysis, "t.csv", **wishes)


def test_as_a_command(analysis: Path) -> None:
    def catharsis(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "catharsis.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)

    done = catharsis("import", "help", str(EXPORTS / "zotero.json"))
    assert (done.returncode, done.stderr) == (0, "")
    done = catharsis("duplicates", "help")
    assert (done.returncode, done.stdout) == (0, "help/references: 3 works, 0 links, 0 pairs to look at\n")
    Path("bad.ris").write_text("TY  - JOUR\nTI  - Tears\n", encoding="utf-8")
    done = catharsis("import", "help", "bad.ris")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "bad.ris:1: the record has no end")
    assert catharsis("import", "help").returncode == 2


def test_the_page_says_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/references.md are understood, and its numbers are those of the tests."""
    from catharsis.references.csl_json import NOT_IN_CSL
    from catharsis.references.ris import NOT_IN_RIS
    from catharsis.studies.imported import METAFOR

    page = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    commands = [line for line in page.replace("\\\n", " ").splitlines() if line.startswith("catharsis ")]
    assert len(commands) == 6
    for folder in ("references", "analyses/bcg"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    for source, name in (("zotero.ris", "export.ris"), ("pubmed.nbib", "pubmed.nbib"), ("zotero.json", "zotero.json")):
        shutil.copy(EXPORTS / source, name)
    Path("colleague.bib").write_text(
        "@misc{smith2020, author={Smith, A.}, title={Tears at noon}, year=2020}\n"
        "@misc{smith2020b, author={Smith, A.}, title={A very different story}, year=2020}\n"
        "@misc{smith2021, author={Smith, A.}, title={Another one}, year=2021}\n",
        encoding="utf-8",
    )
    Path("bcg.csv").write_text(
        "author,year,tpos,tneg,cpos,cneg,ablat,alloc\nAronson,1948,4,119,11,128,44,random\n", encoding="utf-8"
    )
    app = pytest.importorskip("typer.testing").CliRunner()
    from catharsis.cli.main import app as commands_of

    for command in commands:
        done = app.invoke(commands_of, shlex.split(command)[1:])
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert read_references("references")["smith2020b"].key == "smith2020b"  # linked, and undone
    assert all(f"`{name}`" in page for name in {"howpublished", "subtitle", "file"} & NOT_IN_CSL & NOT_IN_RIS)
    assert all(name in page for name in METAFOR if name != "Fi")
