"""Change a cell or add an entry by splicing the text, so that everything else stays byte for byte.

A YAML file that is loaded and dumped again comes back with other quotes, other line widths and moved
comments, and the reviewer's history fills with lines that nobody changed. So the parser only says where
a value stands; the text is cut there, and the result is read again to prove that just the wanted data
changed. What cannot be cut safely (an alias, a block that the reading does not bear out) is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from catharsis.errors import InputErrors
from catharsis.files import locked, write_atomically
from catharsis.studies.places import Node, Places, path_words, refusal
from catharsis.studies.yaml_source import _FORBIDDEN, Path_, YamlSource, parse_yaml, read_text
from catharsis.studies.yaml_writing import Bare, Digits, number_digits

__all__ = ["BOM", "Digits", "TableText", "read_exactly", "save_table", "signature"]

BOM = "\ufeff"
YES_NO = ("checked",)  # cells whose yes and no are truth and not text


@dataclass(frozen=True)
class TableText:
    r"""A YAML file as text that can be edited in place; every change is a new `TableText`.

    Attributes
    ----------
    text : str
        The whole file, with its line ends and byte order mark.
    name : str
        The file name that messages show.

    Examples
    --------
    >>> table = TableText("studies:\n  - cite: a2020  # read twice\n    n: 12\n", "studies.yaml")
    >>> print(table.with_cell(("studies", 0, "n"), 13).with_entry(("studies",), {"cite": "b2021", "n": 40}).text)
    studies:
      - cite: a2020  # read twice
        n: 13
      - cite: b2021
        n: 40
    <BLANKLINE>
    """

    text: str
    name: str

    @cached_property
    def source(self) -> YamlSource:
        """The data, with the line of every cell."""
        return parse_yaml(self.text, self.name)

    def with_cell(self, path: Path_, value: Any) -> TableText:
        """The text with one cell set.

        Parameters
        ----------
        path : tuple of str and int
            Keys and positions, as in `YamlSource`; a key that is absent is created.
        value : object
            Plain data, `Digits` where zeros count; None deletes the cell.

        Returns
        -------
        TableText

        Raises
        ------
        InputErrors
            When there is no such place, or it cannot be changed alone (an alias).
        """
        return self.with_cells({path: value})

    def with_cells(self, cells: Mapping[Path_, Any]) -> TableText:
        """`with_cell` for many cells, in the order given; quicker, since the result is proved once."""
        body, expected = self._body, self.source.data
        for path, value in cells.items():
            plain = _plain(value, self.name)
            text = Places(body, self.name)
            if plain is None:
                if text.find(path) is None:
                    continue
                body = text.applied(text.delete(path))
            else:
                body = _set(text, path, plain)
            expected = _changed(expected, path, plain)
        return self._proved(body, expected)

    def with_entry(self, path_of_list: Path_, data: Any, position: int | None = None) -> TableText:
        """The text with one more entry in a list.

        Parameters
        ----------
        path_of_list : tuple of str and int
            The list; it is created when it is absent or empty.
        data : dict
            As in studies.yaml.
        position : int, optional
            Where it goes, counting from 0; by default at the end.

        Returns
        -------
        TableText

        Raises
        ------
        InputErrors
            When there is no such list, or it cannot be changed alone (an alias).
        """
        return self.with_entries(path_of_list, [(data, position)])

    def with_entries(self, path_of_list: Path_, entries: Iterable[tuple[Any, int | None]]) -> TableText:
        """`with_entry` for many entries, read and proved once.

        Parameters
        ----------
        path_of_list : tuple of str and int
            The list; it is created when it is absent or empty.
        entries : iterable of (dict, int or None)
            Each with its place in the list as it is now; entries of one place keep their order.

        Returns
        -------
        TableText

        Raises
        ------
        InputErrors
            When there is no such list, or it cannot be changed alone (an alias).
        """
        plain = [(_plain(data, self.name), position) for data, position in entries]
        if not plain:
            return self
        text = Places(self._body, self.name)
        node = text.find(path_of_list)
        old = _at(self.source.data, path_of_list)
        if node is None or old is None or old == []:
            return self.with_cells({path_of_list: [data for data, _ in plain]})
        if not isinstance(old, list):
            raise text.refuse(
                node.start,
                f"{path_words(path_of_list)} is not a list",
                "an entry can only be added to a list",
                "write it as a list",
            )
        joined: dict[int, list[Any]] = {}
        for data, position in plain:
            joined.setdefault(len(old) if position is None else max(0, min(position, len(old))), []).append(data)
        edits = []
        for place, several in joined.items():
            cuts = [text.insert_item(path_of_list, node, place, data)[0] for data in several]
            edits.append((cuts[0][0], cuts[0][1], "".join(piece for _, _, piece in cuts)))
        expected = [item for place in range(len(old) + 1) for item in (*joined.get(place, ()), *old[place : place + 1])]
        return self._proved(text.applied(edits), _changed(self.source.data, path_of_list, expected))

    def without(self, path: Path_) -> TableText:
        """The text without a cell or entry.

        Raises
        ------
        InputErrors
            When it is not there, or an alias elsewhere repeats it.
        """
        text = Places(self._body, self.name)
        if not path or text.find(path) is None:
            raise text.refuse(
                0, f"there is no {path_words(path)}", "what is not there cannot be removed", "check the place"
            )
        return self._proved(text.applied(text.delete(path)), _changed(self.source.data, path, None))

    @property
    def _body(self) -> str:
        return self.text.removeprefix(BOM)

    def _proved(self, body: str, expected: Any) -> TableText:
        """The new text, after reading it has shown that it holds what it should and nothing else."""
        new = TableText((BOM if self.text.startswith(BOM) else "") + body, self.name)
        try:
            same = signature(new.source.data) == signature(expected)
        except InputErrors as found:
            slips = [p for p in found.problems if "this is not YAML" not in p.what]
            if slips:  # a value that no table may hold, such as a number too large to compute with
                raise InputErrors(slips) from None
            same = False
        if not same:
            raise refusal(
                self.name,
                0,
                "the change cannot be made without touching something else",
                "the file is written in a way that the editing does not know",
                "make this change by hand, then run catharsis check",
            )
        return new


def save_table(
    path: str | Path, change: Callable[[TableText], TableText], check: Callable[[str], None] | None = None
) -> tuple[str, str]:
    r"""Change a file under its lock: read, change, check, write in one step.

    Parameters
    ----------
    path : str or Path
        The YAML file.
    change : callable
        Takes the `TableText` as it is on the disk and returns the new one.
    check : callable, optional
        Gets the new text before it is written; raises `InputErrors` when it cannot stand.

    Returns
    -------
    tuple of str
        The old and the new text. Nothing is written when they are the same.

    Raises
    ------
    InputErrors
        When the file cannot be read, changed or written; the old file is untouched then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.yaml")
    >>> _ = file.write_text("n: 12  # enrolled: 14\n")
    >>> save_table(file, lambda table: table.with_cell(("n",), 13))
    ('n: 12  # enrolled: 14\n', 'n: 13  # enrolled: 14\n')
    """
    with locked(path):
        old = read_exactly(path)
        new = change(old)
        if new.text != old.text:
            _ = new.source  # a change that left no YAML is not written
            if check is not None:
                check(new.text)
            write_atomically(path, new.text)
    return old.text, new.text


def read_exactly(path: str | Path) -> TableText:
    """A file as text of which nothing is lost, not even the byte order mark."""
    text = read_text(path)
    with Path(path).open("rb") as file:
        mark = BOM if file.read(3) == b"\xef\xbb\xbf" else ""
    return TableText(mark + text, Path(path).as_posix())


def _plain(value: Any, name: str) -> Any:
    """The data as it will be read: lists for tuples, no empty cells, nothing that cannot be printed."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refusal(name, 0, f"{value} is not a number one can report", "absent is absent", "leave the cell out")
        return value
    if isinstance(value, str):
        if found := _FORBIDDEN.search(value):
            raise refusal(
                name,
                0,
                f"a text holds the character U+{ord(found[0]):04X}",
                "it cannot be printed",
                "delete it",
            )
        return value
    if isinstance(value, Mapping):
        cells = {str(key): _plain(cell, name) for key, cell in value.items()}
        for key in cells:
            if not key or _FORBIDDEN.search(key):
                raise refusal(name, 0, "a key is not plain text", "keys are names", "write a plain name")
        return {
            key: Bare(cell) if key in YES_NO and cell in ("yes", "no") else cell
            for key, cell in cells.items()
            if cell is not None
        }
    if isinstance(value, Sequence):
        return [_plain(item, name) for item in value if item is not None]
    raise TypeError(f"{type(value).__name__} cannot stand in a table")


def signature(value: Any) -> Any:
    """Data that is equal only when types and digits are; the order of keys does not count."""
    if isinstance(value, dict):
        return {key: signature(cell) for key, cell in value.items()}
    if isinstance(value, list):
        return [signature(item) for item in value]
    if isinstance(value, Digits):
        return ("number", str(value))
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return ("text" if isinstance(value, str) else type(value).__name__, str(value))
    return ("number", getattr(value, "text", None) or number_digits(value))


def _at(data: Any, path: Path_) -> Any:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _changed(data: Any, path: Path_, value: Any) -> Any:
    """The data with one cell set, created or (None) removed."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        items = list(data)
        if not rest and value is None:
            del items[key]
        else:
            items[key] = _changed(items[key], rest, value)
        return items
    cells = dict(data or {})
    if not rest and value is None:
        cells.pop(key, None)
    else:
        cells[key] = _changed(cells.get(key), rest, value)
    return cells


def _set(text: Places, path: Path_, value: Any) -> str:
    """Set one cell, down to the keys that differ, so that the comments around the others stay."""
    if not path:
        raise text.refuse(0, "the whole file cannot be replaced", "it would not be an edit", "write a new file")
    above = 0
    while above < len(path) and text.find(path[: above + 1]) is not None:
        above += 1
    if above < len(path):
        for key in reversed(path[above + 1 :]):
            if isinstance(key, int):
                raise text.refuse(0, f"there is no {path_words(path)}", "the list is not there", "add the list first")
            value = {key: value}
        key, parent = path[above], text.find(path[:above])
        assert isinstance(key, str)
        assert parent is not None
        text.refuse_ancestors(path[:above])
        return text.applied(text.insert_key(path[:above], parent, key, value))
    node = text.find(path)
    assert node is not None
    text.refuse_ancestors(path)
    kind = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "scalar"
    if node.block and node.kind == kind and value and node.items:
        text.refuse_anchors(node, path)
        return _set_block(text, path, node, value)
    return text.applied(text.replace(path, node, value))


def _set_block(text: Places, path: Path_, node: Node, value: Any) -> str:
    """Bring a block to new data key by key, or entry by entry."""
    name = text.name
    old = _at(parse_yaml(text.body, name).data, path)
    if node.kind == "map":
        gone: list[str | int] = [key for key in old if key not in value]
        wanted: list[tuple[str | int, Any]] = list(value.items())
    else:
        gone = list(range(len(old) - 1, len(value) - 1, -1))
        wanted = list(enumerate(value))
    kept = len(old) - len(gone)
    if not kept:  # nothing in common: a new key first, so that the block is never empty in between
        for key, cell in wanted:
            text = Places(text.applied(text.insert_key(path, _must(text, path), str(key), cell)), name)
        wanted = []
    for key in gone:
        text = Places(text.applied(text.delete((*path, key))), name)
    for key, cell in wanted:
        if isinstance(key, int) and key >= len(old):
            text = Places(text.applied(text.insert_item(path, _must(text, path), key, cell)), name)
        elif isinstance(key, int) or key in old:
            before = old[key]
            if signature(before) != signature(cell):
                text = Places(_set(text, (*path, key), cell), name)
        else:
            text = Places(text.applied(text.insert_key(path, _must(text, path), key, cell)), name)
    return text.body


def _must(text: Places, path: Path_) -> Node:
    node = text.find(path)
    assert node is not None
    return node
