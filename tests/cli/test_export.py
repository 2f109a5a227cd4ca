"""`catharsis export`: sheets, RevMan data, bibliographies, and an R script that metafor agrees with (where R is)."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from workshop import ANALYSIS, ROOT, bib, catharsis, made, study

from catharsis.cli.export import FORMATS, export, exported
from catharsis.errors import InputErrors
from catharsis.plan.checking import check
from catharsis.plan.spec import read_plan
from catharsis.report.r_literals import r_comment, r_string

HEAD = ANALYSIS.split("syntheses:")[0].replace("caveats:\n  - {when: place == 'work', say: at work only}\n", "")
METHODS = ("EE", "FE", "DL", "HE", "HS", "HSk", "SJ", "PM", "PMM", "EB", "ML", "REML")
TESTS = ("z", "t", "knha", "adhoc")


def read(folder):
    plan = read_plan(folder)
    return plan, check(plan).table


def text_of(folder, kind):
    return exported(*read(folder), kind)


def sheet(folder, kind="csv"):
    return list(csv.DictReader(io.StringIO(text_of(folder, kind))))


def syntheses(*lines):
    return HEAD + "syntheses:\n" + "".join(f"  - {{title: T, outcome: alert, {line}}}\n" for line in lines)


@cache
def has_metafor():
    """Whether R and metafor are there, without loading them."""
    if shutil.which("Rscript") is None:
        return False
    code = 'cat(nzchar(system.file(package = "metafor")))'
    found = subprocess.run(["Rscript", "--vanilla", "-e", code], capture_output=True, text=True, check=False)
    return "TRUE" in found.stdout


def rscript(path):
    """The script as R runs it, in the C locale, where nothing but ASCII survives by itself."""
    if not has_metafor():
        pytest.skip("R with metafor is not installed")
    return subprocess.run(
        ["Rscript", "--vanilla", str(path)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip


def agrees(folder, tmp_path):
    """Run the script of an analysis; the numbers it compared."""
    path = tmp_path / "script.R"
    path.write_text(text_of(folder, "r"), encoding="ascii")
    done = rscript(path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("All "), last
    return int(last.split()[1])


# -- the R script ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "numbers"), [("crying", 100), ("bcg", 40)])
def test_metafor_agrees_on_the_real_analyses(name, numbers, tmp_path):
    assert agrees(ROOT / "analyses" / name, tmp_path) >= numbers


def pair(i, mean, place="home", second="work"):
    """One sample with two effects."""
    other = f"{mean + 0.1 * (i % 3):.2f}"
    return f"""\
  - cite: nap{i}
    label: Nap {i}
    outcome: alert
    evidence: direct
    samples:
      - id: s{i}
        n: {40 + 3 * i}
        country: C{i % 4}
        effects:
          - {{id: e{i}a, place: {place}, length: {10 + i % 5}, numbers: {{mean_change: {mean}, sd_change: 2.{i}}}}}
          - {{id: e{i}b, place: {second}, length: {15 + i % 7}, numbers: {{mean_change: {other}, sd_change: 1.9}}}}
"""


def test_metafor_agrees_on_dependent_effects(tmp_path):
    means = (1.2, 0.3, 2.6, 0.9, 1.9, -0.4, 0.8, 1.3, 2.0, 1.5, 0.1, 1.7)
    analysis = syntheses(
        "id: three-level",
        "id: three-level-z, test: z, also: [{method: ML, test: z}]",
        "id: by-place, moderators: ~ place, reference: work",
        "id: by-both, moderators: ~ place + length",
        "id: crossed, moderators: '~ place * length'",
        "id: by-country, random: country, test: z",
        "id: nested, random: country/sample/effect, test: t",
        "id: raw, scale: raw, random: sample/effect",
    )
    folder = made(tmp_path / "naps", 0, analysis=analysis, studies=[pair(i, mean) for i, mean in enumerate(means)])
    (folder / "refs" / "all.bib").write_text("".join(bib(i) for i in range(12)), encoding="utf-8")
    text = text_of(folder, "r")
    assert 'dfs = "contain"' in text
    assert "random = ~ 1 | country/sample/effect" in text
    assert agrees(folder, tmp_path) > 60


def test_metafor_agrees_on_every_method_and_test(tmp_path):
    lines = [f"id: {method}-{test}, method: {method}, test: {test}" for method in METHODS for test in TESTS]
    lines += [f"id: mods-{method}, method: {method}, test: knha, moderators: ~ length" for method in METHODS]
    lines += ["id: kr, method: REML, test: kr"]
    studies = [study(i, length=str(10 + i * i % 7), place=("home", "work")[i % 2]) for i in range(12)]
    folder = made(tmp_path / "naps", 0, analysis=syntheses(*lines) + "level: 0.9\n", studies=studies)
    text = text_of(folder, "r")
    assert "level = 90" in text
    assert "the Kenward-Roger interval, which metafor does not have" in text
    assert agrees(folder, tmp_path) > 300


def test_metafor_agrees_on_formulas(tmp_path):
    formulas = ("place", "length", "place + length", "length + place", "0 + place", "place:length", "np.log(length)",
                "poly(length, 2)", "1 + length", "I(length * 2)")  # fmt: skip
    lines = [f"id: f{i}, test: knha, moderators: '~ {formula}'" for i, formula in enumerate(formulas)]
    studies = [study(i, length=str(10 + i * i % 7), place=("home", "work")[i * i % 3 % 2]) for i in range(30)]
    folder = made(tmp_path / "naps", 0, analysis=syntheses(*lines), studies=studies)
    text = text_of(folder, "r")
    assert text.count("mods = X_") == 5
    assert agrees(folder, tmp_path) > 80


def test_metafor_agrees_where_variances_cannot_be_told_apart(tmp_path):
    """One effect a sample: only the sum of the variances of samples and effects is known, and only it is compared."""
    numbers = [f"numbers: {{mean_change: {m / 1000}, sd_change: 0.002}}" for m in (1, 4, 2, 7, 3, 5)]
    studies = [study(i, text, country=f"C{i % 3}") for i, text in enumerate(numbers)]
    lines = (
        "id: nested, scale: raw, random: country/sample/effect",
        "id: tiny, scale: raw",
        "id: pm, method: PM, scale: raw",
    )
    folder = made(tmp_path / "naps", 0, analysis=syntheses(*lines), studies=studies)
    assert "together = c(1, 2, 2)" in text_of(folder, "r")
    assert agrees(folder, tmp_path) == 19


def test_metafor_agrees_whatever_the_moderators_are_called(tmp_path):
    names = ("größe", "repeat", "next", "T", "c", "NULL", "function")
    declared = "".join(f"  {name}: {{label: L, unit: u}}\n" for name in names)
    analysis = syntheses(*(f"id: m{i}, moderators: ~ {name}" for i, name in enumerate(names)))
    analysis = analysis.replace("moderators:\n", "moderators:\n" + declared, 1)
    studies = [study(i, **{name: str(i * i % (5 + j)) for j, name in enumerate(names)}) for i in range(12)]
    folder = made(tmp_path / "naps", 0, analysis=analysis, studies=studies)
    text = text_of(folder, "r")
    assert "# Renamed for R: column_1 is gr\\u00f6\\u00dfe" in text
    assert agrees(folder, tmp_path) == 10 * len(names)


def test_metafor_agrees_on_few_studies(tmp_path):
    """No study, one, two, three; and a moderator that leaves no degrees of freedom."""
    few = [f'id: {test}{k}, test: {test}, rows: "year < {2000 + k}"' for k in range(4) for test in ("z", "knha")]
    few += ["id: dl, rows: year < 2002, method: DL", "id: full, rows: year < 2005, moderators: ~ length"]
    studies = [study(i, length=str(10 + i)) for i in range(6)]
    folder = made(tmp_path / "naps", 0, analysis=syntheses(*few), studies=studies)
    text = text_of(folder, "r")
    assert text.count("leads with a posterior") == 5
    assert text.count("no row carries numbers") == 2
    assert text.count("One effect: nothing is pooled") == 2
    assert agrees(folder, tmp_path) == 2 * 2 + 5 * 6 + 10


def test_metafor_agrees_where_nothing_varies(tmp_path):
    """Identical effects: tau^2 = 0, and a Knapp-Hartung standard error of zero."""
    studies = [study(i, "numbers: {mean_change: 1.2, sd_change: 2.0}", n=40) for i in range(6)]
    lines = [f"id: {test}, test: {test}" for test in TESTS]
    folder = made(tmp_path / "naps", 0, analysis=syntheses(*lines), studies=studies)
    assert agrees(folder, tmp_path) == 24


HOSTILE = [
    'say "hi"', "back\\slash", "two\nlines", "it's", "Zürich – 東京 😀", '"); stop("x', "'); q(status=3); ('",
    "%s %d {x} `id` $(id)", "# not a comment", "\u202eright to left", "a\\", "\\u0041", "=1+1", "a|b/c",
]  # fmt: skip


def test_no_label_leaves_its_quotes(tmp_path):
    """Titles, labels and factor levels of any kind are data to R, and come back as they were."""
    quoted = [json.dumps(text, ensure_ascii=False) for text in HOSTILE]
    studies = [study(i, label=quoted[i], country=quoted[i]) for i in range(len(HOSTILE))]
    analysis = syntheses("id: nap, label: country, random: country, test: z").replace(
        "title: Do naps help?", 'title: "Naps\\nstop(\'title\')\\u2028quit(status = 4) ü \\"x"'
    )
    folder = made(tmp_path / "naps", 0, analysis=analysis, studies=studies)
    path = tmp_path / "script.R"
    text = text_of(folder, "r") + '\nfor (x in data_1$label) cat(utf8ToInt(x), "\\n")\n'
    path.write_text(text, encoding="ascii")
    done = rscript(path)
    assert done.returncode == 0, done.stderr
    back = ["".join(map(chr, map(int, line.split()))) for line in done.stdout.strip().splitlines()[-len(HOSTILE) :]]
    assert back == HOSTILE


def test_a_number_that_differs_stops_the_script(tmp_path):
    """The comparison is not for show: change one number of ours and R says which."""
    folder = made(tmp_path / "naps", 6, analysis=syntheses("id: nap"))
    text = text_of(folder, "r")
    line = next(line for line in text.splitlines() if line.startswith("  estimate = "))
    value = float(line.split("=")[1].strip(" ,"))
    path = tmp_path / "script.R"
    path.write_text(text.replace(line, f"  estimate = {value + 0.001},"), encoding="ascii")
    done = rscript(path)
    assert done.returncode == 1
    assert (
        "1 of 6 numbers differ from those of catharsis by more than the tolerance: nap: average estimate"
        in " ".join(done.stderr.split())
    )


def test_what_metafor_cannot_repeat_is_said():
    text = text_of(ROOT / "analyses" / "crying", "r")
    assert "Not repeated here: counts of directions" in text
    assert "Not repeated: the synthesis of all evidence" in text.replace("\n#  ", "")
    assert "Not repeated: cluster-robust (CR2) intervals" in text
    assert text.isascii()


def test_strings_and_comments_of_r():
    assert r_string('a"b\\c\n\t\r\u00fc\U0001f600') == '"a\\"b\\\\c\\n\\t\\r\\u00fc\\U0001f600"'
    for text in ("x\ny", "x\ry", "x\u2028y", "x\x0by", "x\x85y"):
        lines = r_comment(text).splitlines()
        assert all(line.startswith("#") for line in lines)
    assert all(line.startswith("#") for line in r_comment("word " * 200).splitlines())


# -- sheets -----------------------------------------------------------------------------------------------


def test_the_sheet_has_every_row_with_its_digits(tmp_path):
    numbers = "numbers: {mean_change: -0.50, sd_change: 2.10}"
    studies = [study(0, numbers, label="'=HYPERLINK(\"x\")'"), study(1), study(2, "reported: {sign: higher}")]
    folder = made(tmp_path / "naps", 0, studies=studies)
    first, second, third = sheet(folder)
    assert (first["mean_change"], first["sd_change"]) == ("-0.50", "2.10")
    assert first["study"] == '\'=HYPERLINK("x")'
    assert float(first["raw yi"]) == -0.5
    assert float(first["raw vi"]) == pytest.approx(2.1**2 / 40)
    assert (first["enters nap"], second["enters nap"]) == ("yes", "yes")
    assert third["enters nap"] == "no: reports only direction"
    assert third["raw yi"] == ""
    assert first["place"].endswith("studies.yaml:11") or ":" in first["place"]


def test_no_cell_is_a_formula(tmp_path):
    bad = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "=1\\n=2"]
    studies = [study(i, label=json.dumps(text), note=json.dumps(text)) for i, text in enumerate(bad)]
    folder = made(tmp_path / "naps", 0, studies=studies)
    for kind in ("csv", "revman"):
        for row in csv.reader(io.StringIO(text_of(folder, kind))):
            for cell in row:
                if cell[:1] in "=+-@\t\r" and cell:
                    float(cell)  # a number


def test_revman_knows_its_three_kinds_of_data(tmp_path):
    two = "numbers: {m1: 5.0, sd1: 2.0, n1: 30, m2: 4.0, se2: 0.5, n2: 16}"
    events = "counts: {events1: 4, n1: 20, events2: 6, n2: 25}"
    analysis = syntheses(
        "id: means, rows: \"partition == 'a'\", scale: raw", "id: events, rows: \"partition == 'b'\", scale: OR",
        "id: changes, rows: \"partition == 'c'\"",
    )  # fmt: skip
    studies = [study(0, two, partition="a"), study(1, events, partition="b"), study(2, partition="c")]
    studies = [text.replace("        n: 40\n", "").replace("        n: 41\n", "") for text in studies]
    folder = made(tmp_path / "naps", 0, analysis=analysis, studies=studies)
    means, counts, change = sheet(folder, "revman")
    assert means["Data type"] == "Continuous"
    assert (means["Experimental Mean"], means["Experimental SD"], means["Control Total"]) == ("5.0", "2.0", "16")
    assert float(means["Control SD"]) == 2.0
    assert counts["Data type"] == "Dichotomous"
    assert [counts[f"{g} {w}"] for g in ("Experimental", "Control") for w in ("Events", "Total")] == [
        "4",
        "20",
        "6",
        "25",
    ]
    assert change["Data type"] == "Generic inverse variance"
    assert float(change["Standard error"]) > 0
    assert change["Experimental Mean"] == ""


def test_revman_of_the_real_analysis():
    rows = sheet(ROOT / "analyses" / "bcg", "revman")
    assert len(rows) == 39
    assert {row["Data type"] for row in rows} == {"Dichotomous"}


# -- bibliographies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "suffix"), [("bibtex", ".bib"), ("ris", ".ris"), ("csl-json", ".json")])
def test_the_bibliography_of_the_included_studies(kind, suffix, tmp_path):
    """Written, and read again by our own readers."""
    from catharsis.references.formats import read_bibliography

    studies = [
        study(0),
        study(1),
        study(2, "exclude: wrong people\n            numbers: {mean_change: 1, sd_change: 2}"),
    ]
    folder = made(tmp_path / "naps", 0, studies=studies)
    path = tmp_path / f"included{suffix}"
    assert export(folder, kind, path) == 0
    found = read_bibliography(path)
    assert sorted(reference.title for reference in found.references) == ["Nap number 0", "Nap number 1"]


# -- the command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_written_to_a_file_and_to_the_terminal(kind, tmp_path, capsys):
    folder = made(tmp_path / "naps", 3)
    assert export(folder, kind, None) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "out file"
    assert export(folder, kind, out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text(encoding="utf-8") == printed
    assert len(printed) > 100


def test_errors_of_the_inputs_write_nothing(tmp_path):
    folder = made(tmp_path / "naps", 3)
    path = folder / "studies.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("cite: nap1", "cite: npa1"), encoding="utf-8")
    with pytest.raises(InputErrors, match="npa1"):
        export(folder, "csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_the_command_line(tmp_path):
    made(tmp_path / "naps", 3)
    done = catharsis("export", "naps", "--format", "csv", "--out", "naps.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "naps.csv\n"), done.stderr
    wrong = catharsis("export", "naps", "--format", "docx", cwd=tmp_path)
    assert wrong.returncode == 2
    assert '"docx" is not one of csv, r, revman' in " ".join(wrong.stderr.split()).replace("│ ", "")
    nowhere = catharsis("export", "naps", "--out", "no/such/folder.csv", cwd=tmp_path)
    assert nowhere.returncode == 1
    assert "the file cannot be written" in nowhere.stderr


def test_the_page_says_what_runs(tmp_path, monkeypatch):
    """Every command of docs/export.md, on the analysis that it names."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    catharsis export (\S+) --format (\S+) --out (\S+)$", page, re.MULTILINE)
    assert [kind for _, kind, _ in commands] == list(FORMATS)
    monkeypatch.chdir(tmp_path)
    for folder, kind, out in commands:
        assert export(ROOT / folder, kind, Path(out)) == 0
        assert Path(out).stat().st_size > 100
