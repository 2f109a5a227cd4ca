"""YAML as plain data: values, digits, lines, and a clear refusal of everything else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from catharsis.errors import InputErrors
from catharsis.studies.yaml_source import MAX_BYTES, parse_yaml, read_text, read_yaml

SECONDS = 2.0  # what a file of half a megabyte may cost, whatever stands in it


def problem(text: str) -> tuple[int, str, str]:
    with pytest.raises(InputErrors) as caught:
        parse_yaml(text, "a.yaml")
    first = caught.value.problems[0]
    assert first.at.file == "a.yaml"
    assert first.why
    return first.at.line, first.what, first.fix


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("# nothing\n", None), ("a:", {"a": None}), ("a: ~", {"a": None}), ("a: null", {"a": None}),
        ("a: no", {"a": "no"}), ("a: yes", {"a": "yes"}), ("a: true", {"a": True}), ("a: 'true'", {"a": "true"}),
        ("a: 12", {"a": 12}), ("a: +12", {"a": 12}), ("a: '12'", {"a": "12"}), ("a: 0x1F", {"a": 31}),
        ("a: 010", {"a": 10}),
        ("a: -.5", {"a": -0.5}), ("a: 1.", {"a": 1.0}), ("a: 1e-3", {"a": 0.001}), ("a: 1_000", {"a": "1_000"}),
        ("a: 1:30", {"a": "1:30"}), ("a: 2019-01-01", {"a": "2019-01-01"}), ("a: 1,27", {"a": "1,27"}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}), ("\ufeffa: 1", {"a": 1}), ("ключ: знач", {"ключ": "знач"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}), ("12: a", {"12": "a"}),
        ("a: >\n  b\n  c\n", {"a": "b c\n"}),
        ("a: 123456789012345678901", {"a": 123456789012345678901}), ("a: 0.0", {"a": 0.0}), ("a: 0e0", {"a": 0.0}),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    found = parse_yaml(text, "a.yaml").data
    assert found == value
    assert repr(found).replace("Printed", "") == repr(value)


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        ("a: 1\nb: 2\na: 3", 3, 'the key "a" stands twice (first on line 1)', "keep one of them"),
        ("a: 1\n\tb: 2", 2, "this is not YAML: a value begins with a character that cannot begin one",
         "replace the tab by spaces"),
        ("a:\n  b: 1\n c: 2", 3, "this is not YAML: the line fits no block above it",
         "align this line, or the one above, with its neighbours (two spaces a level)"),
        ("a: b: c", 1, "this is not YAML: a key stands where none can stand", "put the text between quotes"),
        ("a: {b: 1\nc: 2", 1, "this is not YAML: expected ',' or '}', but got ':'",
         "close it with } or ] on the same line"),
        ("a: 'b\nc: 2\n", 1, "this is not YAML: the file ends before the text does",
         "quote the whole text, and double a quote inside it"),
        ("a: 1\nb\n", 2, "this is not YAML: a line without a colon stands among keys",
         "add the colon, or quote the text above"),
        ("a: 1\nb:2\n", 2, "this is not YAML: a line without a colon stands among keys", "add a space after the colon"),
        ("a: @b", 1, "this is not YAML: a value begins with a character that cannot begin one",
         "put the text between quotes"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here (---)", "delete the line, or split the file"),
        ("%YAML 1.1\n---\na: no", 2, "the file asks for YAML 1.1", "delete the %YAML line"),
        ("a: !!python/object:os.system x", 1, 'the tag "!!python/object:os.system" is not allowed', "delete the tag"),
        ("a: !!str 12", 1, 'the tag "!!str" is not allowed', "delete the tag"),
        ("a: *b", 1, "the alias *b points to nothing", "write the value out"),
        ("a: &a [*a]", 1, "the alias *a points to nothing", "write the value out"),
        ("<<: {a: 1}", 1, "merge keys (<<) are not read",
         "write the lines out, or move them up to the study or sample"),
        ("[a, b]: c", 1, "a key is not plain text", "write a plain name before the colon"),
        (": c", 1, "a key is not plain text", "write a plain name before the colon"),
        ("a: .nan", 1, ".nan is not a number one can report", "leave the key out"),
        ("a: -.inf", 1, "-.inf is not a number one can report", "leave the key out"),
        ("a: 1e400", 1, "1e400 is not a number one can report", "correct the digits"),
        ("a: 1e-400", 1, "1e-400 is not a number one can report", "correct the digits"),
        ("a: 1\nb: \0", 2, "the character U+0000 may not stand in YAML", "delete it"),
        ("a: 1\rb: \x1b", 2, "the character U+001B may not stand in YAML", "delete it"),
        ('a: "\\0"', 1, "a text holds the character U+0000", "delete it"),
        ('a: "\\ud800"', 1, "a text holds the character U+D800", "delete it"),
        ('"\\ud800": a', 1, "a key holds the character U+D800", "write a plain name before the colon"),
    ],
)  # fmt: skip
def test_refusals(text: str, line: int, what: str, fix: str) -> None:
    assert problem(text) == (line, what, fix)


def test_lines_and_digits() -> None:
    source = parse_yaml("a:\n  - b: 0.50\n    c: [1, 2.0]\n  - b: 1\n", "a.yaml")
    assert source.printed == {
        ("a", 0, "b"): "0.50", ("a", 0, "c", 0): "1", ("a", 0, "c", 1): "2.0", ("a", 1, "b"): "1",
    }  # fmt: skip
    assert [source.lines[path] for path in (("a",), ("a", 0), ("a", 0, "c"), ("a", 1))] == [1, 2, 3, 4]
    assert source.at(("a", 1, "nowhere", 7)).line == 4
    assert source.at(("nowhere",)).line == 1


def test_an_alias_stands_where_its_anchor_stands() -> None:
    source = parse_yaml("a: &x\n  n: 1\nb: *x\n", "a.yaml")
    assert source.lines[("b",)] == 3
    assert source.lines[("b", "n")] == 2
    assert source.printed[("b", "n")] == "1"


def test_lines_are_those_of_an_editor() -> None:
    """NEL and the line separator break no line in an editor, so they break none here."""
    assert parse_yaml("a: 'x\u2028y'\nb: 1", "a.yaml").lines[("b",)] == 2


def test_all_problems_at_once_but_not_without_end() -> None:
    with pytest.raises(InputErrors) as caught:
        parse_yaml("a: .nan\nb: .inf\nc: !x y", "a.yaml")
    assert [found.at.line for found in caught.value.problems] == [1, 2, 3]
    with pytest.raises(InputErrors) as caught:
        parse_yaml("[" + ".nan, " * 5000 + "]", "a.yaml")
    assert len(caught.value.problems) == 100


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000, "{a: " * 125_000, "- " * 250_000, "? " * 250_000, ": " * 250_000, "[" + "a," * 250_000 + "]",
        "- a\n" * 125_000, "a: 1\n" * 100_000, "a: " + "9" * 500_000, "a: 0x" + "f" * 500_000, "'" + "a\n" * 250_000,
        "a\n" * 250_000, "\n" * 500_000, "&a " * 160_000, "*" * 500_000, "a: &a [1]\nb: [" + "*a," * 160_000 + "]",
        "a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]\n" for i in range(1, 40)),
        "".join(" " * i + "a:\n" for i in range(900)), "{a: &a {b: *a}}", "--- " * 100_000, "'" * 499_999,
        '"\\' * 249_999,
    ],
    ids=range(22),
)  # fmt: skip
def test_monsters_cost_little(text: str) -> None:
    start = time.process_time()
    said: list[str] = []
    try:
        parse_yaml(text, "a.yaml")
    except InputErrors as found:
        said = [str(problem) for problem in found.problems]
    assert all(len(message) < 600 for message in said)
    assert time.process_time() - start < SECONDS


def test_unreadable_files(tmp_path: Path) -> None:
    def first(path: Path | str) -> str:
        with pytest.raises(InputErrors) as caught:
            read_text(path)
        return str(caught.value.problems[0])

    name = tmp_path.as_posix()
    assert first(tmp_path / "none.yaml") == (
        f"{name}/none.yaml: there is no such file\n  why: the analysis needs it\n  fix: check the path"
    )
    assert f"{name}: this is not a file" in first(tmp_path)
    assert "/dev/zero: this is not a file" in first("/dev/zero")
    assert "cannot be read (embedded null byte)" in first("a\0b")
    assert "cannot be read (File name too long)" in first("a" * 5000)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nb: Gračanin\n".encode("iso8859-2"))
    assert f"{name}/latin.yaml:2: byte 0xe8 is not UTF-8" in first(latin)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert f"{name}/huge.yaml: the file is larger than 20 MB" in first(huge)


def test_a_file_with_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 0.10\r\n")
    source = read_yaml(file)
    assert source.data == {"a": 1, "b": 0.1}
    assert (source.lines[("b",)], source.printed[("b",)]) == (2, "0.10")
