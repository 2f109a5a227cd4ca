"""The layout changes blanks and nothing else: data, digits, comments and order stay, and twice is once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from catharsis.errors import InputErrors
from catharsis.studies.edit import BOM, TableText, signature
from catharsis.studies.layout import comments, formatted
from catharsis.studies.places import Places

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("analyses/*/studies.yaml"), *ROOT.glob("analyses/*/analysis.yaml")])

_spec = importlib.util.spec_from_file_location("edit_cases", Path(__file__).with_name("test_edit.py"))
assert _spec is not None
assert _spec.loader is not None
edit_cases: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(edit_cases)

CASES = [
    ("a:   1\n", "a: 1\n"),
    ("a: 1", "a: 1\n"),
    ("a: 1   \n\n\n\nb: 2\n\n", "a: 1\n\nb: 2\n"),
    ("a: {b:  1 , c: [ 1,2 ] }  # x\n", "a: {b: 1, c: [1, 2]}  # x\n"),
    ("a: {b: 0.50, # why\n    c: 1}\n", "a: {b: 0.50, # why\n    c: 1}\n"),
    ("a:\n    b: 1\n    # c\n    d:\n          - 1\n", "a:\n  b: 1\n  # c\n  d:\n    - 1\n"),
    ("a:\n- b: 1\n  c: 2\n-   d: 3\n    e: |\n         x\n          y\n",
     "a:\n  - b: 1\n    c: 2\n  - d: 3\n    e: |\n         x\n          y\n"),
    ("studies:\n- cite: a\n# about b\n- cite: b\n", "studies:\n\n  - cite: a\n\n  # about b\n  - cite: b\n"),
    ("a: |+\n  x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
    ("a:\n  - - 1\n    - 2\n", "a:\n  - - 1\n    - 2\n"),
    ("a: 1\r\nb:   2\r\n", "a: 1\r\nb: 2\r\n"),
    (BOM + "a:  1\n", BOM + "a: 1\n"),
    ("a:  'x  y'\nb: \"p\n   q\"\n", "a: 'x  y'\nb: \"p\n   q\"\n"),
    ("# only this\n", "# only this\n"),
    ("---\na:  1\n...\n", "---\na: 1\n...\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), CASES)
def test_a_layout(text: str, wanted: str) -> None:
    assert formatted(TableText(text, "t.yaml")).text == wanted


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_our_own_files_are_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(TableText(text, path.name)).text == text


def test_what_is_not_yaml_is_named() -> None:
    with pytest.raises(InputErrors, match=r"t\.yaml:2"):
        formatted(TableText("a: 1\n\tb: 2\n", "t.yaml"))


@edit_cases.SETTINGS
@given(text=edit_cases.tables())
def test_any_table_keeps_its_data_and_comments(text: str) -> None:
    table = TableText(text, "t.yaml")
    new = formatted(table)
    assert signature(new.source.data) == signature(table.source.data)
    body, laid = text.removeprefix(BOM), new.text.removeprefix(BOM)
    assert comments(laid, "t") == comments(body, "t")
    assert formatted(new).text == new.text
    assert new.text.startswith(BOM) == text.startswith(BOM)
    assert Places(laid, "t").mapping == 2
