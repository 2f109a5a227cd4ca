"""What is read and written without a change is the same to the byte; an edit touches only its own bytes."""

from __future__ import annotations

import pytest
from targets import ROOT, tables

from catharsis.studies.edit import TableText, save_table
from catharsis.studies.yaml_source import YamlSource

TEXTS = {
    "a study of the flagship": tables()[3].decode(),
    "the other analysis": (ROOT / "analyses/bcg/studies.yaml").read_text(encoding="utf-8"),
}
ENDS = {"unix": "\n", "windows": "\r\n"}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_no_change_is_no_byte(tmp_path, name, end, mark):
    path = tmp_path / "studies.yaml"
    data = (mark + TEXTS[name].replace("\n", ENDS[end])).encode()
    path.write_bytes(data)
    old, new = save_table(path, lambda table: table)
    assert path.read_bytes() == data
    assert old == new


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("end", ENDS)
def test_one_cell_is_one_line(tmp_path, name, end):
    """Every comment, quote, line end and digit but those of the cell stays."""
    path = tmp_path / "studies.yaml"
    data = TEXTS[name].replace("\n", ENDS[end]).encode()
    path.write_bytes(data)
    save_table(path, lambda table: table.with_cell(("studies", 0, "year"), 1999))
    before, after = data.splitlines(keepends=True), path.read_bytes().splitlines(keepends=True)
    assert len(after) - len(before) in (0, 1)
    changed = [line for line in after if line not in before]
    assert changed == [f"    year: 1999{ENDS[end]}".encode()]


def test_a_change_and_its_opposite_cancel():
    text = TEXTS["the other analysis"]
    table = TableText(text, "studies.yaml")
    source: YamlSource = table.source
    for path, printed in list(source.printed.items())[:8]:
        changed = table.with_cell(path, 77)
        assert changed.text != text or printed == "77"
        assert changed.with_cell(path, source_value(source, path)).text == text


def source_value(source, path):
    value = source.data
    for part in path:
        value = value[part]
    return value
