"""Every reader against every kind of hostile file: a clear error or the plain data, soon, and never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from targets import CORPUS, ROOT, SECONDS, TARGETS, Hang, fire, prepared, within
from workshop import catharsis, made

from catharsis.errors import CatharsisError, InputErrors
from catharsis.references.bibtex import read_references
from catharsis.studies.yaml_source import parse_yaml, read_yaml

# -- files that no program of ours wrote: fired at every reader --------------------------------------

MANY = 100_000 if "TORTURE" in os.environ else 8_000  # `make torture` sets it; what is quadratic shows at either
LATIN = "Gračanin — š".encode("cp1250")
ALIASES = b"a0: &a0 [x,x]\n" + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40))
MACROS = b"".join(b"@string{a%d = a%d # a%d}\n" % (i, i - 1, i - 1) for i in range(1, 40))
MACROS = b"@string{a0 = {xxxxxxxxxx}}\n" + MACROS + b"@misc{x, title = a39}"
FILES = {
    "nothing": b"",
    "blanks": b" \n\n  \n",
    "a NUL": b"schema: catharsis/studies@1\nstudies: \0\n",
    "only NULs": b"\0" * 5000,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
    "a zip (an xlsx by another name)": b"PK\x03\x04" + bytes(range(256)) * 20,
    "UTF-16": "schema: catharsis/studies@1\n".encode("utf-16"),
    "UTF-16 without a mark": "schema: catharsis/studies@1\n".encode("utf-16-le"),
    "UTF-32": "a: 1\n".encode("utf-32"),
    "cp1250": b"title: " + LATIN,
    "a surrogate": b"title: \xed\xa0\x80",
    "overlong UTF-8": b"title: \xc0\xaf",
    "half a character": "title: č".encode()[:-1],
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbftitle: x\n",
    "escapes of a terminal": b"title: \x1b[2J\x1b]0;x\x07\n",
    "a right-to-left override": "title: \u202egnp.exe\n".encode(),
    "tabs": b"\tstudies:\n\t\t- cite: x\n",
    "a long line": b"title: " + b"x" * 3 * MANY,
    "many lines": b"x\n" * MANY,
    "brackets": b"[" * MANY,
    "braces": b"{" * MANY,
    "at signs": b"@" * (MANY // 5),
    "at and brace": b"@a{" * (MANY // 5),
    "quotes": b'"' * (MANY + 1),
    "backslashes": b"\\" * (MANY + 1),
    "hashes": b"# " * MANY,
    "commas": b"," * MANY,
    "colons": b":" * MANY,
    "dashes": b"- " * MANY,
    "questions": b"? " * MANY,
    "a bomb of aliases": ALIASES,
    "a bomb of macros": MACROS,
    "an alias of itself": b"a: &a [*a]\n",
    "a tag that runs a program": b"a: !!python/object/apply:os.system ['touch owned']\n",
    "a tag that reads a file": b"a: !include /etc/passwd\n",
    "an entity of XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a number of a million digits": b"n: " + b"9" * 10 * MANY,
    "a float of a million digits": b"n: 0." + b"9" * 10 * MANY + b"e-9",
    "a conflict of git": b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> theirs\n",
    "JSON": b'{"schema": "catharsis/studies@1", "studies": []}',
    "deep JSON": b'{"a":' * (MANY // 5),
    "crossref in a circle": b"@misc{a, crossref = {b}}\n@misc{b, crossref = {a}}\n",
    "a thousand authors": b"@misc{a, author = {" + b" and ".join([b"A, B"] * (MANY // 5)) + b"}}",
    "nested braces": b"@misc{a, title = {" + b"{" * (MANY // 2) + b"}" * (MANY // 2) + b"}}",
    "accents on accents": b"@misc{a, title = {" + b"\\'{" * (MANY // 5) + b"a" + b"}" * (MANY // 5) + b"}}",
    "maths": b"@misc{a, title = {" + b"$a" * (MANY // 2) + b"}}",
    "names and ands": b"@misc{a, author = {" + b"and " * (MANY // 2) + b"}}",
    "entries without end": b"@misc{a, title = {x}\n" * (MANY // 30),
    "one key ten thousand times": b"@misc{a, title = {x}}\n" * (MANY // 10),
    "fields ten thousand times": b"@misc{a,\n" + b"title = {x},\n" * (MANY // 10) + b"}",
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: prepared(tmp_path_factory.mktemp(name), target) for name, target in TARGETS.items()}


SAME = {"table": "yaml", "check": "table", "claims": "plan", "results": "looks"}  # readers that begin like another


@pytest.mark.parametrize("kind", FILES)
def test_a_hostile_file_is_read_or_refused(folders, kind):
    for name in TARGETS:
        if name not in SAME:
            fire(TARGETS[name], folders[name], FILES[kind])
            assert not list(folders[name].rglob("owned"))


REFUSED = [kind for kind in FILES if not kind.startswith(("nothing", "blanks", "JSON", "hashes", "two marks"))]


@pytest.mark.parametrize("kind", REFUSED)
def test_no_table_comes_of_it(folders, kind):
    assert fire(TARGETS["table"], folders["table"], FILES[kind]) == "refused"


@pytest.mark.parametrize("name", ["yaml", "plan", "bib", "bib-import", "ris", "nbib", "csl-json", "add", "links"])
@pytest.mark.parametrize("change", ["CRLF", "BOM", "CR", "no last line end"])
def test_what_editors_do_to_a_file_harms_nothing(folders, name, change):
    """Windows line ends and byte order marks are read like the file without them."""
    done = {
        "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
        "CR": lambda data: data.replace(b"\n", b"\r"),
        "BOM": lambda data: b"\xef\xbb\xbf" + data,
        "no last line end": lambda data: data.rstrip(b"\n"),
    }[change]
    for seed in TARGETS[name].seeds()[:2]:
        assert fire(TARGETS[name], folders[name], done(seed)) == fire(TARGETS[name], folders[name], seed)


# -- what is no file at all ---------------------------------------------------------------------------


NO_FILES = {
    "a pipe that nobody writes to": "pipe", "a link to itself": "loop", "a link to nothing": "dangling",
    "100 MB": "100 MB", "/dev/zero": "/dev/zero", "a folder": "", "nothing": "none/below", "memory": "/proc/self/mem",
    "a name with a NUL": "a\0b", "a name of 5000 letters": "a" * 5000,
}  # fmt: skip


@pytest.mark.parametrize("reader", [read_yaml, read_references], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused(tmp_path, reader, kind):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with (tmp_path / "100 MB").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(InputErrors), within(SECONDS):
        reader(tmp_path / NO_FILES[kind])


def command(*arguments: str) -> tuple[int, str]:
    """The command in this process: exit code and all it said; a traceback fails the test."""
    from catharsis.cli.main import main

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(sys, "argv", ["catharsis", *arguments])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


# -- paths in files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["/dev/zero", "/etc/passwd", "../../../../../../etc/passwd", "/proc/self/environ", ".", "a\\0b"]
)
@pytest.mark.parametrize("key", ["bibliography", "table", "claims"])
def test_a_plan_that_points_elsewhere(tmp_path, key, where):
    """It may name any file of the user's (it is the user's plan), but what is no table is refused and not shown."""
    folder = made(tmp_path / "naps", 2)
    plan = folder / "analysis.yaml"
    lines = [line for line in plan.read_text(encoding="utf-8").splitlines() if not line.startswith(f"{key}:")]
    plan.write_text("\n".join([*lines[:2], f'{key}: "{where}"', *lines[2:]]), encoding="utf-8")
    code, said = command("check", str(folder))
    assert code == 1
    assert "root:" not in said
    assert len(said) < 20_000


@pytest.mark.parametrize(
    "name", ["../../up", "/tmp/up", "..", "a/b", "con", "a\0b".replace("\0", "%00"), "x" * 300, "~", "$(x)"]
)
def test_an_id_never_chooses_where_a_file_goes(tmp_path, name):
    from catharsis.report.names import unique_names

    for file in unique_names([name, name]).values():
        assert "/" not in file
        assert "\\" not in file
        assert not file.startswith(".")
        assert len(file) < 100


# -- words that are numbers elsewhere ----------------------------------------------------------------------


def test_yes_and_no_are_words_and_norway_is_a_country():
    text = "country: no\nother: NO\nyes: yes\non: off\ny: n\ntime: 1:30\nday: 2001-01-01\noctal: 010\ngrouped: 1_000"
    data = parse_yaml(text, "t.yaml").data
    assert data == {"country": "no", "other": "NO", "yes": "yes", "on": "off", "y": "n", "time": "1:30",
                    "day": "2001-01-01", "octal": 10, "grouped": "1_000"}  # fmt: skip
    assert data["octal"].text == "010"


def test_every_key_twice_is_told_with_both_lines():
    with pytest.raises(InputErrors) as caught:
        parse_yaml("a: 1\nb: 2\na: 3\n", "t.yaml")
    assert str(caught.value).startswith('t.yaml:3: the key "a" stands twice (first on line 1)')


# -- what the terminal gets ---------------------------------------------------------------------------------


def test_no_message_moves_the_cursor(tmp_path):
    folder = made(tmp_path / "n\x1b[31maps\u202e", 2)
    table = folder / "studies.yaml"
    table.write_text(table.read_text(encoding="utf-8").replace("nap1", '"n\\u202e\\e[2J"'), encoding="utf-8")
    done = catharsis("check", folder, cwd=tmp_path)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr + done.stdout
    assert "\u202e" not in done.stderr + done.stdout


def test_a_folder_whose_name_is_no_text(tmp_path):
    folder = os.fsencode(tmp_path) + b"/n\xff"
    made(Path(os.fsdecode(folder)), 2)
    for command in (("check",), ("report", "--no-sampling", "--out", "out")):
        arguments = [sys.executable, "-m", "catharsis", *command, folder]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").read_bytes().decode()


def test_a_terminal_that_knows_ascii_only(tmp_path):
    """A letter it cannot show comes as its number."""
    folder = made(tmp_path / "nápš", 2)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "catharsis", "check", folder], env=environment, capture_output=True,
                          check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"n\\xe1p\\u0161" in done.stdout


def test_nobody_listens(tmp_path):
    """`catharsis check | head -0`: the exit code stays the one of the inputs, and nothing complains."""
    folder = made(tmp_path / "naps", 2)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ear, mouth = os.pipe()
    os.close(ear)
    done = subprocess.run([sys.executable, "-m", "catharsis", "check", folder], env=environment, stdout=mouth,
                          stderr=subprocess.PIPE, check=False, timeout=120)  # fmt: skip
    os.close(mouth)
    assert (done.returncode, done.stderr) == (0, b"")


# -- a disk that is full, a folder that may not be written to ---------------------------------------------------

FULL = """import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.argv = ["catharsis", *sys.argv[1:]]
from catharsis.cli.main import main
main()
"""


def test_a_full_disk_leaves_the_old_report(tmp_path):
    from workshop import state

    folder = made(tmp_path / "naps", 2)
    assert command("report", str(folder), "--no-sampling", "--out", str(tmp_path / "out"))[0] == 0
    table = folder / "studies.yaml"
    table.write_text(table.read_text(encoding="utf-8").replace("mean_change: 1.2", "mean_change: 1.3"))
    before = state(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    arguments = [sys.executable, "-c", FULL, "report", folder, "--no-sampling", "--out", "out"]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False,
                          timeout=120)  # fmt: skip
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "out", ["/proc/report", "/dev/null", "/dev/null/report", "naps/studies.yaml/report", "x" * 300]
)
def test_where_nothing_can_be_written(tmp_path, monkeypatch, out):
    folder = made(tmp_path / "naps", 2)
    monkeypatch.chdir(tmp_path)
    code, said = command("report", str(folder), "--no-sampling", "--out", out)
    assert code == 1
    assert "why:" in said


# -- the size of things -----------------------------------------------------------------------------------------


def test_a_large_table_is_read_or_refused_in_time(tmp_path):
    """The flagship two or five times over, and the same with one bracket too many in the middle or at the end."""
    text = (ROOT / "analyses/crying/studies.yaml").read_text(encoding="utf-8")
    head, body = text.split("studies:\n", 1)
    whole = head + "studies:\n" + body * (5 if MANY > 50_000 else 2)
    assert len(whole) > 5 * MANY
    half = whole.index("\n", len(whole) // 2)
    for sample in (whole, whole[:half] + "\n  ]" + whole[half:], whole + "\n  ]", whole + "\n\t- x"):
        start = time.process_time()
        with contextlib.nullcontext() if sample is whole else pytest.raises(CatharsisError, match="this is not YAML"):
            parse_yaml(sample, "t.yaml")
        assert time.process_time() - start < SECONDS


def test_the_corpus_is_small():
    """Found cases are kept for good, so each is kept small."""
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1_000_000
    assert issubclass(Hang, BaseException)
