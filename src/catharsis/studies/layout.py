"""One layout for all tables: two spaces a level, one blank line between studies, brackets without loose blanks.

Order, quotes, digits, comments and line ends stay as they were typed; what is laid out is read again, and must
hold the same data and the same comments. Lines inside a text over several lines move as a whole.
"""

from __future__ import annotations

import re

from catharsis.errors import At, InputError, InputErrors
from catharsis.studies.edit import BOM, TableText, signature
from catharsis.studies.places import SPACED, Edit, Node, Places

STEP = 2  # spaces a level


def formatted(table: TableText) -> TableText:
    r"""A file in the layout of the house.

    Parameters
    ----------
    table : TableText
        The file.

    Returns
    -------
    TableText
        The same data and comments.

    Raises
    ------
    InputErrors
        When the file is not YAML, or cannot be laid out without changing what it says.

    Examples
    --------
    >>> text = "studies:\n- cite:   a2020   # read twice\n  numbers: { n: 12 ,sd: 0.50}\n- cite: b2021\n"
    >>> print(formatted(TableText(text, "studies.yaml")).text)
    studies:
    <BLANKLINE>
      - cite: a2020   # read twice
        numbers: {n: 12, sd: 0.50}
    <BLANKLINE>
      - cite: b2021
    <BLANKLINE>
    """
    data = table.source.data  # bounds what follows: no file that is built to be slow gets past it
    body = table.text.removeprefix(BOM)
    if not isinstance(data, dict | list) or not data:
        return table
    before = comments(body, table.name)
    body = _one_kind_of_line_end(body)
    for step in (_within_lines, _indented, _blank_lines):
        body = step(Places(body, table.name))
    new = TableText((BOM if table.text.startswith(BOM) else "") + body, table.name)
    try:
        same = signature(new.source.data) == signature(data) and comments(body, table.name) == before
    except InputErrors:
        same = False
    if not same:
        raise InputErrors(
            [
                InputError(
                    At(table.name),
                    "the file cannot be laid out without changing what it says",
                    "it is written in a way that the layout does not know",
                    "lay it out by hand, two spaces a level",
                    "cannot-edit",
                )
            ]
        )
    return new


def comments(body: str, name: str) -> list[str]:
    r"""The comments of a file in their order, without the blanks behind them.

    Examples
    --------
    >>> comments("a: '#1'  # one \n# two\n", "t.yaml")
    ['# one', '# two']
    """
    spans: list[tuple[int, int]] = []

    def look(node: Node) -> None:
        if node.kind in ("scalar", "alias"):
            spans.append((node.start, node.end))
        for inner in (*node.keys, *node.items):
            look(inner)

    look(Places(body, name).root)
    found: list[str] = []
    at = 0
    for start, end in [*sorted(spans), (len(body), len(body))]:
        found += [mark.rstrip() for mark in re.findall("#[^\r\n]*", body[at:start])]
        at = max(at, end)
    return found


def _one_kind_of_line_end(body: str) -> str:
    """The line end that most lines have."""
    ends = re.findall("\r\n|\r|\n", body)
    most = max(("\n", "\r\n", "\r"), key=ends.count)
    return re.sub("\r\n|\r|\n", most, body) if len(set(ends)) > 1 else body


# -- within a line ----------------------------------------------------------------------------------------


def _within_lines(places: Places) -> str:
    """One blank behind a colon, and brackets in one spelling."""
    edits: list[Edit] = []

    def look(node: Node) -> None:
        if node.flow and node.kind in ("map", "list"):
            if (text := _brackets(places, node)) is not None:
                edits.append((node.start, node.end, text))
            return
        for key, value in zip(node.keys, node.items, strict=False):
            colon = places.after_colon(key)
            gap = places.body[colon : value.start]
            if not value.block and gap and not gap.strip(" \t") and value.start < value.end:
                edits.append((colon, value.start, " "))
        for item in node.items:
            look(item)

    look(places.root)
    return places.applied(edits)


def _brackets(places: Places, node: Node) -> str | None:
    """A bracket on one line; None when it holds comments, line ends or a key without a value."""
    body = places.body
    if node.kind in ("scalar", "alias"):
        text = body[node.start : node.end]
        return text if text and not re.search("[\r\n]", text) else None
    if re.search("[\r\n]", body[node.start : node.end]):
        return None
    parts = []
    for i, item in enumerate(node.items):
        inner = _brackets(places, item)
        if inner is None:
            return None
        parts.append(f"{body[node.keys[i].start : node.keys[i].end]}: {inner}" if node.kind == "map" else inner)
    opening, closing = ("{", "}") if node.kind == "map" else ("[", "]")
    before = body[node.start : body.index(opening, node.start)]  # an anchor
    return f"{before}{opening}{', '.join(parts)}{closing}"


# -- indentation ------------------------------------------------------------------------------------------


def _indented(places: Places) -> str:
    """Every key and dash at two spaces a level; what follows on later lines moves with them."""
    marks: list[tuple[int, int]] = []  # position of a key or dash, column where it belongs
    moves: list[tuple[int, int, int]] = []  # first and last position of a value over several lines, and its shift

    def block(node: Node, column: int) -> None:
        for i, item in enumerate(node.items):
            at = node.keys[i].start if node.kind == "map" else places.dash_of(node, i)
            marks.append((at, column))
            if item.block and item.items:
                block(item, column + STEP)
            elif places.line_start(item.end) > places.line_start(item.start):
                moves.append((item.start, item.end, column - places.column(at)))

    if not places.root.block:
        return places.body
    block(places.root, 0)
    return _moved(places, marks, moves)


def _moved(places: Places, marks: list[tuple[int, int]], moves: list[tuple[int, int, int]]) -> str:
    body = places.body
    by_line: dict[int, list[tuple[int, int]]] = {}
    for at, column in sorted(marks):
        by_line.setdefault(places.line_start(at), []).append((at, column))
    shifts: dict[int, int] = {}
    for first, last, shift in moves:
        line = places.next_line(first)
        while line <= last and line < len(body):
            shifts[line] = shift
            line = places.next_line(line)
    columns = {line: (places.column(found[0][0]), found[0][1]) for line, found in by_line.items()}
    lines: list[str] = []
    start = 0
    while start < len(body):
        stop = places.line_end(start)
        text, ending = body[start:stop], body[stop : places.next_line(start)]
        if start in by_line:
            lines.append(_placed(body, by_line[start], stop).rstrip(" \t") + ending)
        elif start in shifts:
            lines.append(_shifted(text, shifts[start]) + ending)
        elif text.lstrip().startswith("#"):
            behind_text = places.line_start(max(0, start - 1)) in shifts  # deeper, it would become part of the text
            column = _comment_column(places, columns, start, text, 0 if behind_text else STEP)
            lines.append(" " * column + text.strip(" \t") + ending)
            if behind_text:
                shifts[start] = 0  # for the comment below this one
        else:
            lines.append(text.rstrip(" \t") + ending)
        start = places.next_line(start)
    return "".join(lines)


def _placed(body: str, found: list[tuple[int, int]], stop: int) -> str:
    """A line with its dashes and its key at their columns."""
    text = ""
    for i, (at, column) in enumerate(found):
        end = found[i + 1][0] if i + 1 < len(found) else stop
        text = text.ljust(column) + body[at:end].rstrip(" \t")
    return text


def _shifted(text: str, shift: int) -> str:
    if not text.strip():
        return text
    blanks = len(text) - len(text.lstrip(" "))
    return " " * max(0, blanks + shift) + text[blanks:]


def _comment_column(places: Places, columns: dict[int, tuple[int, int]], start: int, text: str, step: int) -> int:
    """Where a comment line belongs: with the line below that it stood level with, else with the one above."""
    own = len(text) - len(text.lstrip(" "))
    below = places.next_line(start)
    while below < len(places.body) and below not in columns:
        below = places.next_line(below)
    if below in columns and columns[below][0] == own:
        return columns[below][1]
    for line in sorted((line for line in columns if line < start), reverse=True):
        there, wanted = columns[line]
        if there == own:
            return wanted
        if there < own:
            return wanted + step
    return columns[below][1] if below in columns else 0


# -- blank lines ------------------------------------------------------------------------------------------


def _blank_lines(places: Places) -> str:
    """At most one blank line in a row, one before each study, none at the ends of the file."""
    body = places.body
    inside: set[int] = set()  # lines of values over several lines: their blank lines are theirs
    needed: set[int] = set()

    def look(node: Node, key: str) -> None:
        if not node.block and places.line_start(node.end) > places.line_start(node.start):
            line = places.next_line(node.start)
            while line <= node.end and line < len(body):
                inside.add(line)
                line = places.next_line(line)
        for i, item in enumerate(node.items):
            if node.kind == "list" and node.block and key in SPACED:
                needed.add(places.comments_above(places.line_start(places.dash_of(node, i))))
            look(item, node.names[i] if node.kind == "map" else "")

    look(places.root, "")
    lines: list[str] = []
    blank = True  # so that the file begins with something
    start = 0
    while start < len(body):
        stop = places.next_line(start)
        text = body[start:stop]
        if start in inside:
            lines.append(text)
            blank = False
        elif text.strip():
            if start in needed and not blank:
                lines.append(places.line_break)
            lines.append(text)
            blank = False
        elif not blank:
            lines.append(places.line_break)
            blank = True
        start = stop
    if not _ends_with_kept_lines(places):
        while lines and not lines[-1].strip():
            lines.pop()
    text = "".join(lines)
    return text if text.endswith(("\n", "\r")) or not text else text + places.line_break


def _ends_with_kept_lines(places: Places) -> bool:
    """Whether the file ends in a text that keeps its last blank lines (|+)."""
    node = places.root
    while node.items:
        node = node.items[-1]
    head = places.body[node.start : places.line_end(node.start)]
    return node.style in ("|", ">") and "+" in head.split("#")[0]
