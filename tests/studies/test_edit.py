"""Editing changes what was asked and not one byte else: any layout, any line ends, comments where they were."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catharsis.errors import InputErrors
from catharsis.studies.edit import BOM, Digits, TableText, save_table
from catharsis.studies.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
TABLES = sorted(ROOT.glob("analyses/*/studies.yaml"))

TABLE = """\
# a table
schema: catharsis/studies@1   # keep
studies:

  # read twice
  - cite: a2020
    label: 'A: 2020'
    samples:
      - id: a
        country: NO  # Norway
        effects:
          - id: a1
            outcome: mood
            numbers: {n: 12, mean_change: 0.50, sd_change: 1.10}   # Table 2
            note: >
              Long
              text.

            # a2 is in the appendix
  # this one is a preprint
  - cite: b2021
    label: B 2021
    samples: []

# the end
"""


def edited(path: tuple[str | int, ...], value: Any, text: str = TABLE) -> str:
    return TableText(text, "t.yaml").with_cell(path, value).text


EFFECT = ("studies", 0, "samples", 0, "effects", 0)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ((*EFFECT, "numbers", "n"), 13, "{n: 12,", "{n: 13,"),
        ((*EFFECT, "numbers", "mean_change"), Digits("0.60"), "0.50", "0.60"),
        ((*EFFECT, "numbers", "mean_change"), None, " mean_change: 0.50,", ""),
        ((*EFFECT, "numbers", "sd_change"), None, ", sd_change: 1.10", ""),
        ((*EFFECT, "numbers", "n"), None, "n: 12, ", ""),
        ((*EFFECT, "numbers", "p"), Digits(".050"), "1.10}", "1.10, p: .050}"),
        ((*EFFECT, "numbers", "se_change"), 2, "1.10}", "1.10, se_change: 2}"),
        (("studies", 0, "label"), "It's B", "'A: 2020'", "'It''s B'"),
        (("studies", 0, "cite"), "no", "cite: a2020", 'cite: "no"'),
        (("studies", 0, "year"), 2020, "'A: 2020'\n", "'A: 2020'\n    year: 2020\n"),
        (("studies", 0, "country"), "a: b # c", "'A: 2020'\n", "'A: 2020'\n    country: \"a: b # c\"\n"),
        ((*EFFECT[:4], "country"), None, "        country: NO  # Norway\n", ""),
        ((*EFFECT, "note"), "Short.", ">\n              Long\n              text.\n", "Short.\n"),
        ((*EFFECT, "outcome"), None, "            outcome: mood\n", ""),
        ((*EFFECT, "id"), None, "- id: a1\n            outcome", "- outcome"),
        ((*EFFECT, "source", "where"), "p. 3", "text.\n", "text.\n            source: {where: p. 3}\n"),
    ],
)  # fmt: skip
def test_a_cell_changes_alone(path: Any, value: Any, old: str, new: str) -> None:
    assert TABLE.count(old) == 1
    assert edited(path, value) == TABLE.replace(old, new)


def test_a_study_goes_behind_the_last_one_with_a_blank_line() -> None:
    study = {
        "cite": "c2022",
        "label": "C 2022",
        "samples": [{"id": "c", "effects": [{"id": "c1", "numbers": {"n": 9}}]}],
    }
    new = TableText(TABLE, "t.yaml").with_entry(("studies",), study).text
    block = """\

  - cite: c2022
    label: C 2022
    samples:
      - id: c
        effects:
          - id: c1
            numbers: {n: 9}
"""
    assert new == TABLE.replace("    samples: []\n", "    samples: []\n" + block)


def test_an_entry_goes_into_an_empty_list() -> None:
    new = TableText(TABLE, "t.yaml").with_entry(("studies", 1, "samples"), {"id": "b", "effects": []}).text
    assert new == TABLE.replace("samples: []\n", "samples:\n      - id: b\n        effects: []\n")


def test_the_only_entry_leaves_an_empty_list() -> None:
    new = TableText(TABLE, "t.yaml").without(EFFECT[:-1]).text
    assert "effects" not in new
    new = TableText(TABLE, "t.yaml").without(EFFECT).text
    assert "        effects: []\n" in new
    assert parse_yaml(new, "t").data["studies"][0]["samples"][0]["effects"] == []


@pytest.mark.parametrize(
    "empty",
    [
        "studies: []\n",
        "studies:\n",
        "studies: # none yet\n",
        "studies: ~",
        "studies: null\r\n",
        "{}",
        "",
        "# nothing\n",
    ],
)
def test_the_first_study_of_a_table(empty: str) -> None:
    new = TableText(empty, "t.yaml").with_entry(("studies",), {"cite": "a", "samples": [{"id": "b"}]})
    assert new.source.data["studies"] == [{"cite": "a", "samples": [{"id": "b"}]}]
    assert ("# none yet" in new.text) == ("# none yet" in empty)
    assert "\n\n  - cite: a" in new.text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x {n: 1}\nb: *x\n", ("a", "n")),
        ("a: &x {n: 1}\nb: *x\n", ("b", "n")),
        ("a: &x {n: 1}\nb: *x\n", ("a",)),
        ("a: {c: &x 3}\nb: *x\n", ("a",)),
        ("a: {c: &x 3}\nb: *x\n", ("a", "c")),
        ("a:\n  - &x\n    n: 1\n    m: 2\nb: *x\n", ("a", 0, "m")),
    ],
)
def test_what_an_alias_repeats_is_not_changed_alone(text: str, path: Any) -> None:
    for value in (5, None):
        with pytest.raises(InputErrors, match="alias"):
            edited(path, value, text)


def test_an_alias_itself_may_go() -> None:
    text = "a: &x {n: 1}\nb: *x\nc: 3\n"
    assert edited(("b",), None, text) == "a: &x {n: 1}\nc: 3\n"
    assert edited(("b",), 4, text) == "a: &x {n: 1}\nb: 4\nc: 3\n"


@pytest.mark.parametrize("path", [("studies", 7, "n"), ("schema", "n"), ("studies", "n"), ("studies", 0, 3), (0,)])
def test_a_place_that_is_not_there_is_named(path: Any) -> None:
    with pytest.raises(InputErrors, match=r"t\.yaml:\d+: "):
        edited(path, 3)


@pytest.mark.parametrize("value", ["a\0b", "\ufeff", float("nan"), float("inf"), {"": 1}])
def test_what_no_table_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(InputErrors):
        edited(("studies", 0, "note"), value)


def test_a_list_in_a_list_stands_deeper_than_its_dash() -> None:
    text = "n:\n- {}\n- []\n- - a\n  - b\n"
    table = TableText(text, "t.yaml")
    assert table.with_entry(("n", 1), {"id": "x"}).source.data["n"][1] == [{"id": "x"}]
    assert table.with_cell(("n", 0), [{}]).source.data["n"][0] == [{}]
    assert table.without(("n", 2, 0)).text == "n:\n- {}\n- []\n- - b\n"


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("a: >+\n\n  y\n\n\nc: 1", ("c",), "a: >+\n\n  y\n\n\n"),  # the blank lines are part of the text
        ("a: 1\nb: 2", ("b",), "a: 1\n"),
        ("- {a: 1}\n", (0,), "[]\n"),
        ("a: {b: 1,}\n", ("a", "b"), "a: {}\n"),
        ("a:\n  b: 1  # x\n  # y\n", ("a", "b"), "a: {}  # x\n  # y\n"),
        ("a: {b: 1, # x\n  c: 2}\n", ("a", "b"), "a: { # x\n  c: 2}\n"),
    ],
)
def test_a_place_that_is_hard_to_cut(text: str, path: Any, wanted: str) -> None:
    assert TableText(text, "t.yaml").without(path).text == wanted


@pytest.mark.parametrize(("text", "path"), [("? a\n: 1\n? ?[x]\n: 2\n", ("?[x]",)), ("- - a\n", (0, 0, "b"))])
def test_what_cannot_be_cut_is_refused_in_words(text: str, path: Any) -> None:
    table = TableText(text, "t.yaml")
    with pytest.raises(InputErrors) as caught:
        table.without(path)
    assert [problem.rule for problem in caught.value.problems] == ["cannot-edit"]


def test_yes_and_no_are_typed_bare_where_they_are_truth() -> None:
    text = TableText("a: {}\n", "t.yaml").with_cell(("a",), {"source": {"checked": "no"}, "country": "no"}).text
    assert "checked: no}" in text
    assert 'country: "no"' in text


def test_digits_are_digits() -> None:
    with pytest.raises(ValueError, match="is not a number"):
        Digits("12 people")


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.parent.name)
def test_a_real_table_keeps_every_other_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    table = TableText(text, path.name)
    there = table.with_cell(("studies", 1, "label"), "Somebody 1999")
    assert sum(a != b for a, b in zip(text.splitlines(), there.text.splitlines(), strict=True)) == 1
    study = table.source.data["studies"][2]
    added = table.with_entry(("studies",), study, 1)
    assert added.source.data["studies"][1] == study
    assert added.without(("studies", 1)).text == text


# ---------------------------------------------------------------- any table


WORDS = st.one_of(
    st.sampled_from([
        "no", "12", "0.50", "a: b", "x #y", "", " lead", "it's", 'say "so"', "[x]", "1:30", "~", "a,b", "é…", "-",
        "- a", "two\nlines", "tab\there", "back\\slash", "*x", "&x", "!t", "%", "@a", "null", "true", "p < .05",
        "2020-01-01",
    ]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\ufffe\uffff"), max_size=12),
)  # fmt: skip
NUMBERS = st.sampled_from([Digits(text) for text in ("12", "0.50", "-1.10", ".5", "1e3", "0", "007")])
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans(), st.integers(-99, 99), st.floats(-9, 9))
KEYS = st.sampled_from(["id", "n", "note", "numbers", "samples", "effects", "country", "x-y", "a b", "Ä", "waive"])


def _trees(leaves: Any) -> Any:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=4), st.lists(inner, max_size=3)),
        max_leaves=12,
    )


def _scalar(draw: Any, value: Any, flow: bool) -> str:
    """A scalar in one of the styles that people type."""
    if value is None:
        return draw(st.sampled_from(["~", "null"]))
    if isinstance(value, Digits) or not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    from catharsis.studies.yaml_writing import is_plain, quoted

    if is_plain(value, flow) and draw(st.booleans()):
        return value
    if value.isprintable() and draw(st.booleans()):
        return "'" + value.replace("'", "''") + "'"
    return quoted(value)


def _flow(draw: Any, value: Any) -> str:
    space = draw(st.sampled_from(["", " "]))
    if isinstance(value, dict):
        cells = [f"{_scalar(draw, key, True)}: {_flow(draw, cell)}" for key, cell in value.items()]
        return (
            "{"
            + space
            + (", " if space else " , ").join(cells)
            + draw(st.sampled_from(["", ","] if cells else [""]))
            + space
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_flow(draw, item) for item in value) + space + "]"
    return _scalar(draw, value, True)


def _remark(draw: Any, count: list[int]) -> str:
    if draw(st.integers(0, 3)):
        return ""
    count[0] += 1
    return f"{draw(st.sampled_from([' ', '   ']))}# remark {count[0]}."


def _block(draw: Any, value: Any, column: int, count: list[int]) -> list[str]:
    """A block of keys or entries with odd indents, comments and blank lines."""
    lines: list[str] = []
    pad = " " * column
    for key, cell in value.items() if isinstance(value, dict) else enumerate(value):
        if not draw(st.integers(0, 4)):
            lines.append(draw(st.sampled_from(["", "  "])))
        if not draw(st.integers(0, 4)):
            count[0] += 1
            lines.append(f"{pad}# remark {count[0]}.")
        head = f"{pad}{_scalar(draw, key, True)}:" if isinstance(value, dict) else f"{pad}-"
        block = isinstance(cell, dict | list) and bool(cell) and draw(st.booleans())
        if not block:
            if (
                isinstance(cell, str)
                and not isinstance(cell, Digits)
                and re.fullmatch(r"[a-z]+( [a-z]+)*", cell)
                and draw(st.booleans())
            ):
                lines += [
                    f"{head} {draw(st.sampled_from(['|-', '>-']))}",
                    f"{pad}   {cell}",
                    *draw(st.sampled_from([[], [""]])),
                ]
            else:
                lines.append(f"{head} {_flow(draw, cell)}{_remark(draw, count)}")
        elif isinstance(value, list) and draw(st.booleans()):
            inner = _block(draw, cell, column + 2, count)
            while inner and (not inner[0].strip() or inner[0].lstrip().startswith("#")):
                inner.pop(0)
            lines += [head + " " + inner[0][column + 2 :], *inner[1:]]
        else:
            least = 0 if isinstance(cell, list) and isinstance(value, dict) else 1
            lines.append(head + _remark(draw, count))
            lines += _block(draw, cell, column + draw(st.integers(least, 4)), count)
    return lines


@st.composite
def tables(draw: Any) -> str:
    """A YAML text as somebody may have typed it."""
    data = draw(st.dictionaries(KEYS, _trees(SCALARS), min_size=1, max_size=4))
    lines = _block(draw, data, 0, [0])
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    if draw(st.booleans()):
        lines = ["---", *lines]
    if draw(st.booleans()):
        lines = [*lines, "# the end"]
    last = draw(st.sampled_from([ending, "", ending * 2]))
    return draw(st.sampled_from(["", BOM])) + ending.join(lines) + last


def _paths(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    cells = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    return [(*path, key) for key, _ in cells] + [p for key, cell in cells for p in _paths(cell, (*path, key))]


def _remarks(text: str) -> list[str]:
    return re.findall(r"# remark \d+\.", text)


def _only_there(old: str, new: str) -> tuple[str, str]:
    """What differs between two texts: all between their common beginning and end."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


EXAMPLES = int(os.environ.get("CATHARSIS_EXAMPLES", "40"))  # `make torture` asks for more
SETTINGS = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(text=tables(), data=st.data())
def test_any_scalar_of_any_table_changes_alone(text: str, data: st.DataObject) -> None:
    table = TableText(text, "t.yaml")
    leaves = [p for p in _paths(table.source.data) if not isinstance(_get(table.source.data, p), dict | list)]
    if not leaves:
        return
    path = data.draw(st.sampled_from(leaves))
    value = data.draw(SCALARS)
    new = table.with_cell(path, value)
    assert _remarks(new.text) == _remarks(text)
    old_part, new_part = _only_there(text, new.text)
    assert "# remark" not in old_part
    assert not re.search("[\r\n]", new_part)
    assert new.text.startswith(BOM) == text.startswith(BOM)


@SETTINGS
@given(text=tables(), data=st.data())
def test_any_block_takes_any_cell_and_gives_it_back(text: str, data: st.DataObject) -> None:
    table = TableText(text, "t.yaml")
    blocks = [p for p in [(), *_paths(table.source.data)] if isinstance(_get(table.source.data, p), dict)]
    path = data.draw(st.sampled_from(blocks))
    value = data.draw(_trees(SCALARS))
    new = table.with_cell((*path, "fresh"), value)
    assert _remarks(new.text) == _remarks(text)
    _same_line_ends(text, new.text)
    back = new.without((*path, "fresh"))
    assert _remarks(back.text) == _remarks(text)
    assert _strip(back.text) == _strip(text)


@SETTINGS
@given(text=tables(), data=st.data())
def test_any_list_takes_any_entry_and_gives_it_back(text: str, data: st.DataObject) -> None:
    table = TableText(text, "t.yaml")
    lists = [p for p in _paths(table.source.data) if isinstance(_get(table.source.data, p), list)]
    if not lists:
        return
    path = data.draw(st.sampled_from(lists))
    position = data.draw(st.one_of(st.none(), st.integers(1, 4)))
    value = data.draw(st.dictionaries(KEYS, _trees(SCALARS), min_size=1, max_size=3))
    new = table.with_entry(path, value, position)
    assert _remarks(new.text) == _remarks(text)
    _same_line_ends(text, new.text)
    size = len(_get(table.source.data, path))
    at = size if position is None else min(position, size)
    back = new.without((*path, at))
    assert _remarks(back.text) == _remarks(text)
    assert _strip(back.text) == _strip(text)


@SETTINGS
@given(text=tables(), data=st.data())
def test_anything_can_be_removed_or_replaced(text: str, data: st.DataObject) -> None:
    table = TableText(text, "t.yaml")
    path = data.draw(st.sampled_from(_paths(table.source.data)))
    if len(path) > 1 or len(table.source.data) > 1:
        table.without(path)
    table.with_cell(path, data.draw(_trees(SCALARS)))


def _strip(text: str) -> str:
    """The text without blank lines, and without what spaces and commas empty brackets held."""
    text = re.sub(r" *,", ",", re.sub(r"([\[{]) *,? *([\]}])", r"\1\2", text))
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def _same_line_ends(old: str, new: str) -> None:
    kinds = set(re.findall("\r\n|\r|\n", old))
    if kinds:
        assert set(re.findall("\r\n|\r|\n", new)) <= kinds


def _get(data: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


# ---------------------------------------------------------------- files


def test_save_keeps_the_mark_and_the_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2 # x\r\n")
    save_table(path, lambda table: table.with_cell(("b",), 3))
    assert path.read_bytes() == b"\xef\xbb\xbfa: 1\r\nb: 3 # x\r\n"


def test_save_writes_nothing_when_the_check_refuses(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("a: 1\n")

    def refuse(text: str) -> None:
        raise InputErrors([])

    with pytest.raises(InputErrors):
        save_table(path, lambda table: table.with_cell(("a",), 2), refuse)
    assert path.read_text() == "a: 1\n"


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("a: []\n")
    threads = [
        threading.Thread(target=save_table, args=(path, lambda table, i=i: table.with_entry(("a",), i)))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(parse_yaml(path.read_text(), "t").data["a"]) == list(range(8))
