"""Titles and labels that are programs somewhere: every format that is written keeps them as text, and as they were."""

from __future__ import annotations

import csv
import io
import json
import re

import lxml.html
import pytest
from test_hostile_inputs import command
from workshop import ANALYSIS, made, study

from catharsis.references.bibtex import parse_bib
from catharsis.references.bibtex_writing import to_bibtex
from catharsis.references.csl_json import parse_csl_json, to_csl_json
from catharsis.references.library import Name, Reference
from catharsis.references.ris import parse_ris, to_ris

ATTACKS = {
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "JavaScript": "javascript:alert(1)//';alert(2)</script>",
    "jinja": "{{ 7*7 }}{% raw %}",
    "LaTeX": r"\input{/etc/passwd}\write18{id} $x^2$ 50% & #1 _a ~b \textbf",
    "typst": '#read("/etc/passwd") @ref *bold* $x$ #eval("1+1")',
    "R": 'x"); system("touch owned"); cat("',
    "R raw": 'x)-"; system("touch owned") # \\" \\\\" \' ` %in%',
    "a formula": '=HYPERLINK("http://x","y")',
    "a command": "+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "quotes": "a \"b\" 'c' `d` “e”",
    "commas": "a,b;c\td",
    "RIS": "x ER  - y TY  - JOUR",
    "BibTeX": "a}, note = {b} @misc{x, y # z} \\",
    "YAML": "a: b # c [d] {e} !f &g *h",
    "GitHub": "::error file=x::owned %0A::warning",
}  # fmt: skip


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_title_survives_every_bibliography(kind):
    """Written and read again it is the same title, and no other entry has come of it."""
    title = " ".join(ATTACKS[kind].split())
    paper = Reference("orr1999", "article", {"title": title, "year": "1999", "journal": title}, (Name("Orr", "Ann"),))
    again, problems = parse_bib(to_bibtex([paper]), "a.bib")
    assert problems == []
    assert [(one.key, one.fields["title"], one.fields["journal"]) for one in again] == [("orr1999", title, title)]
    for parse, write in ((parse_ris, to_ris), (parse_csl_json, to_csl_json)):
        found = parse(write([paper]), "a").references
        assert [one.fields["title"] for one in found] == [title], write.__name__


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An analysis with one attack per study, and the same with another number."""
    root = tmp_path_factory.mktemp("outputs")
    texts = [json.dumps(text, ensure_ascii=False) for text in ATTACKS.values()]
    pieces = [study(i, label=text, population=text, note=text) for i, text in enumerate(texts)]
    analysis = ANALYSIS.replace("title: Do naps help?", f"title: {texts[0]}").replace(
        "label: Alertness\n", f"label: {texts[5]}\n"
    )
    for name, changed in (
        ("before", pieces),
        ("after", [pieces[0].replace("mean_change: 1.2", "mean_change: 1.9"), *pieces[1:]]),
    ):
        made(root / name, 0, analysis=analysis, studies=changed)
        from workshop import bib

        (root / name / "refs" / "all.bib").write_text("".join(bib(i) for i in range(len(texts))), encoding="utf-8")
    return root


def written(root, *arguments):
    out = root / "out.txt"
    code, said = command(*arguments, "--out", str(out))
    assert code == 0, said
    return out.read_text(encoding="utf-8")


def test_sheets_hold_text_and_no_formulas(hostile):
    for form in ("csv", "revman"):
        rows = list(csv.reader(io.StringIO(written(hostile, "export", str(hostile / "before"), "--format", form))))
        for cell in (cell for row in rows for cell in row):
            assert not re.match(r"[=+@\t\r]", cell), (form, cell)
            assert not cell.startswith("-") or re.fullmatch(r"-[\d.e+-]+", cell), (form, cell)


def test_the_r_script_is_one_script(hostile):
    """No text of the table stands outside a string: without strings and comments nothing of an attack is left."""
    script = written(hostile, "export", str(hostile / "before"), "--format", "r")
    code = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|#[^\n]*', "", script)
    for word in ("system", "touch", "owned", "passwd", "alert", "cmd"):
        assert word not in code, word


@pytest.mark.parametrize("form", ["bibtex", "csl-json", "ris"])
def test_the_references_are_all_there(hostile, form):
    assert written(hostile, "export", str(hostile / "before"), "--format", form).count("Nap number") >= len(ATTACKS)


def test_the_page_of_a_comparison_runs_nothing(hostile):
    page = written(hostile, "diff", str(hostile / "before"), str(hostile / "after"), "--format", "html")
    tree = lxml.html.document_fromstring(page)
    assert not [e.tag for e in tree.iter("script", "img", "iframe", "object", "embed")]
    assert not [name for e in tree.iter() for name in e.attrib if name.startswith("on")]
    assert all(re.match(r"#|https?://", a.get("href")) for a in tree.iter("a"))


def test_json_of_a_comparison_is_json(hostile):
    data = json.loads(written(hostile, "diff", str(hostile / "before"), str(hostile / "after"), "--format", "json"))
    assert data


@pytest.mark.parametrize("form", ["json", "sarif", "github", "text"])
def test_findings_stay_findings(hostile, form, tmp_path):
    """A label cannot end a line of GitHub's log or a string of JSON."""
    folder = tmp_path / "bad"
    label = "a\\n::error file=x::owned%0A\\r::set-output"
    made(folder, 0, studies=[study(0, label=f'"{label}"', numbers="numbers: {mean_change: 1, sd_change: -2}")])
    code, said = command("check", str(folder), "--format", form)
    assert code == 1
    if form in ("json", "sarif"):
        json.loads(said[said.index("{") if "{" in said else said.index("[") :].rsplit("}", 1)[0] + "}")
    if form == "github":
        assert not [line for line in said.splitlines() if "owned" in line and line.startswith("::error file=x")]
    assert "\r" not in said
