"""Where the values of a YAML file stand in its text, and the cuts that change them.

Nothing here proves that a cut does what it should; that is `edit`'s task.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from catharsis.errors import At, InputError, InputErrors
from catharsis.studies.yaml_source import _NULL, Path_
from catharsis.studies.yaml_writing import Digits, inline, is_simple, key_text

WIDTH = 120  # characters: a block of plain cells that fits goes on one line
SPACED = ("studies",)  # lists with a blank line before every entry
BLOCKS = ("studies", "samples", "effects", "syntheses", "directions", "caveats")  # never on one line

# The order in which a reader wants the cells; a new cell goes behind the last one that comes before it.
NAMES = ("schema", "id", "cite", "label", "report", "report_doi", "year")
PEOPLE = ("country", "population", "evidence", "overlap_group", "partition", "phase", "design", "test", "outcome",
          "measured")  # fmt: skip
CELLS = ("minutes", "enrolled", "n", "n1", "n2", "mean_change", "sd_change", "se_change", "m1", "sd1", "se1", "m2",
         "sd2", "se2", "t", "df", "F", "df1", "df2", "p", "r", "d", "d_se", "d_ci", "yi", "vi", "sei", "better",
         "same", "worse", "events1", "events2", "kind", "numbers", "counts", "reported", "exclude", "note", "source",
         "waive")  # fmt: skip
LISTS = ("samples", "effects", "studies")
_RANK = {name: (0, i) for i, name in enumerate(NAMES)}
_RANK |= {name: (1, i) for i, name in enumerate(PEOPLE)}
_RANK |= {name: (3, i) for i, name in enumerate(CELLS)}
_RANK |= {name: (4, i) for i, name in enumerate(LISTS)}
_LINE_END = re.compile("\r\n|\r|\n|\\Z")


def path_words(path: Path_) -> str:
    """A path as a message says it; positions count from 1."""
    return " > ".join(str(key + 1) if isinstance(key, int) else key for key in path) or "place"


def refusal(name: str, line: int, what: str, why: str, fix: str) -> InputErrors:
    """The error that something cannot be edited."""
    return InputErrors([InputError(At(name, line), what, why, fix, "cannot-edit")])


@dataclass(slots=True)
class Node:
    """Where a value stands: text[start:end], without what follows on its line."""

    kind: Literal["scalar", "map", "list", "alias"]
    start: int
    end: int
    flow: bool = False  # in brackets, or a scalar
    style: str | None = None  # of a scalar: None, ', ", |, >
    anchor: str | None = None
    keys: list[Node] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)  # values of a map, entries of a list

    @property
    def block(self) -> bool:
        """Whether it stands on lines of its own, by indentation."""
        return self.kind in ("map", "list") and not self.flow


Edit = tuple[int, int, str]


class Places:
    """A text with the places of its values, and the cuts that change them."""

    def __init__(self, body: str, name: str) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        self.body, self.name = body, name
        try:
            self._events = [event for event in YAML(typ="safe", pure=True).parse(body) if _holds_value(event)]
        except MarkedYAMLError as problem:  # a cut that left no YAML; what comes from the disk has been read before
            raise refusal(
                name,
                0,
                "the change cannot be made without touching something else",
                f"it would leave no YAML ({problem.problem or problem.context})",
                "make this change by hand, then run catharsis check",
            ) from None
        self._next = 0
        self.aliased = {event.anchor for event in self._events if type(event).__name__ == "AliasEvent"}
        self.root = self._node() if self._events else Node("scalar", len(body), len(body), flow=True)
        found = re.search("\r\n|\r|\n", body)
        self.line_break = found[0] if found else "\n"
        self.mapping, self.listing, self.dash = self._indents()

    # ---- reading

    def _node(self) -> Node:
        event = self._events[self._next]
        self._next += 1
        kind = type(event).__name__
        start, end = event.start_mark.index, event.end_mark.index
        if kind == "AliasEvent":
            return Node("alias", start, end, flow=True, anchor=event.anchor)
        if kind == "ScalarEvent":
            if event.style in ("|", ">"):
                end = self._end_of_block_scalar(start, end)
            return Node("scalar", start, end, flow=True, style=event.style, anchor=event.anchor)
        node = Node("map" if kind.startswith("Map") else "list", start, end, bool(event.flow_style))
        node.anchor = event.anchor
        while not type(self._events[self._next]).__name__.endswith("EndEvent"):
            if node.kind == "map":
                name = str(getattr(self._events[self._next], "value", ""))
                key = self._node()
                value = self._node()
                if value.kind == "scalar" and value.start == value.end:
                    value.start = value.end = self.after_colon(key)
                node.keys.append(key)
                node.names.append(name)
                node.items.append(value)
            else:
                node.items.append(self._node())
        close = self._events[self._next]
        self._next += 1
        if node.flow:
            node.end = close.end_mark.index
        elif node.items:
            node.end = max(node.items[-1].end, start)
        return node

    def _end_of_block_scalar(self, start: int, end: int) -> int:
        """Behind its last line, so that blank lines below stay with what follows; `+` keeps them."""
        header = self.body[start : _LINE_END.search(self.body, start).start()]  # type: ignore[union-attr]
        if "+" in header.split("#")[0]:
            stripped = self.body[start:end]
            return start + len(stripped) - (len(stripped) - len(stripped.rstrip(" "))) - _last_break(stripped)
        return start + len(self.body[start:end].rstrip())

    def after_colon(self, key: Node) -> int:
        """Where the value of a key may begin."""
        found = re.compile(r"[ \t]*:").match(self.body, key.end)
        return found.end() if found else key.end

    def _indents(self) -> tuple[int, int, int]:
        """How far this file indents a block under its key, a list under its key, and a value behind its dash."""
        mapping: list[int] = []
        listing: list[int] = []
        dash: list[int] = []

        def look(node: Node) -> None:
            if node.kind == "map" and node.block:
                for key, value in zip(node.keys, node.items, strict=True):
                    if value.block and value.items and self.line_start(value.start) > key.start:
                        step = self.column(value.start) - self.column(key.start)
                        (mapping if value.kind == "map" else listing).append(step)
            if node.kind == "list" and node.block:
                dash.extend(
                    self.column(item.start) - self.column(node.start)
                    for item in node.items
                    if item.block and self.column(item.start) > self.column(node.start)
                )
            for item in node.items:
                look(item)

        look(self.root)
        return (
            _first_or(mapping, 2),
            _first_or([n for n in listing if n >= 0], 2),
            max(2, _first_or(dash, 2)),
        )

    def line_start(self, position: int) -> int:
        """The first position of a line."""
        return max(self.body.rfind("\n", 0, position), self.body.rfind("\r", 0, position)) + 1

    def line_end(self, position: int) -> int:
        """The position of a line's break, or the end of the file."""
        return _LINE_END.search(self.body, position).start()  # type: ignore[union-attr]

    def next_line(self, position: int) -> int:
        """The first position of the line below."""
        return _LINE_END.search(self.body, position).end()  # type: ignore[union-attr]

    def column(self, position: int) -> int:
        """How far from the left a position stands."""
        return position - self.line_start(position)

    def refuse(self, position: int, what: str, why: str, fix: str) -> InputErrors:
        """The error that a place cannot be edited."""
        line = len(re.findall("\r\n|\r|\n", self.body[:position])) + 1
        return refusal(self.name, line, what, why, fix)

    # ---- finding

    def find(self, path: Path_) -> Node | None:
        """The node of a path; None when a key of it is absent. An alias on the way is refused."""
        node = self.root
        for i, key in enumerate(path):
            self._refuse_alias(node, path)
            if node.kind == "map" and isinstance(key, str):
                if key not in node.names:
                    return None
                node = node.items[node.names.index(key)]
            elif node.kind == "list" and isinstance(key, int):
                if not 0 <= key < len(node.items):
                    raise self.refuse(
                        node.start,
                        f"there is no {path_words(path[: i + 1])}",
                        f"the list has {len(node.items)} entries",
                        "check the place",
                    )
                node = node.items[key]
            elif isinstance(key, str) and self._is_nothing(node):
                return None
            else:
                raise self.refuse(
                    node.start,
                    f"{path_words(path[:i]) if i else 'the file'} holds no place {path_words((key,))}",
                    "keys belong to a block and positions to a list",
                    "check the place",
                )
        return node

    def _refuse_alias(self, node: Node, path: Path_) -> None:
        if node.kind == "alias":
            raise self.refuse(
                node.start,
                f"{path_words(path)} lies in the alias *{node.anchor}",
                "a change here would also change the place that the alias repeats",
                "write the values out in place of the alias, then try again",
            )
        if node.anchor is not None and node.anchor in self.aliased:
            raise self.refuse(
                node.start,
                f"{path_words(path)} lies in &{node.anchor}, which an alias repeats elsewhere",
                "a change here would also change the other place",
                "write the values out in place of the alias, then try again",
            )

    def refuse_anchors(self, node: Node, path: Path_) -> None:
        """Refuse to remove what an alias points to."""
        if node.kind != "alias":
            self._refuse_alias(node, path)
        for item in node.items:
            self.refuse_anchors(item, path)

    def _is_nothing(self, node: Node) -> bool:
        return (
            node.kind == "scalar"
            and node.style is None
            and _NULL.fullmatch(self.body[node.start : node.end]) is not None
        )

    # ---- changing

    def applied(self, edits: Iterable[Edit]) -> str:
        """The text with the cuts made, last first."""
        body = self.body
        for start, end, new in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
            body = body[:start] + new + body[end:]
        return body

    def in_flow(self, path: Path_) -> bool:
        """Whether a path lies inside brackets."""
        node = self.root
        for key in path:
            if node.flow and node.kind in ("map", "list"):
                return True
            node = node.items[node.names.index(key) if isinstance(key, str) else key]
        return False

    def parent(self, path: Path_) -> Node:
        """The block or list that a path lies in."""
        node = self.find(path[:-1])
        assert node is not None
        return node

    def replace(self, path: Path_, node: Node, value: Any) -> list[Edit]:
        """Put a value in the place of another."""
        self.refuse_anchors(node, path)
        flow = self.in_flow(path)
        key = path[-1] if path else ""
        column = self.column(self._owner(path)) if path else 0
        lines = None if flow else self._block_lines(key, value, column)
        if node.block:
            return self._replace_block(path, node, value, lines)
        if lines is None:
            new = self._scalar_like(node, value, flow)
            before = self.body[: node.start][-1:]
            if node.start == node.end and isinstance(key, str) and path and before != ":":
                new = ": " + new  # {a} names a key without a colon
            elif before in (":", "-"):
                new = " " + new
            return [(node.start, node.end, new)]
        cut = node.start
        while cut > 0 and self.body[cut - 1] in " \t":
            cut -= 1
        end = self.line_end(node.end)
        return [(cut, node.end, ""), (end, end, self._joined(lines))]

    def _owner(self, path: Path_) -> int:
        """Where the key, or the dash, of a path stands."""
        parent = self.parent(path)
        key = path[-1]
        return parent.keys[parent.names.index(key)].start if isinstance(key, str) else self.dash_of(parent, key)

    def _replace_block(self, path: Path_, node: Node, value: Any, lines: list[str] | None) -> list[Edit]:
        if not path:
            raise self.refuse(0, "the whole file cannot be replaced", "it would not be an edit", "write a new file")
        owner = self._owner(path)
        parent = self.parent(path)
        colon = self.after_colon(parent.keys[parent.names.index(path[-1])]) if isinstance(path[-1], str) else owner + 1
        top = self.line_start(node.start)
        if top <= owner:  # a block that begins behind its dash
            if lines is not None and isinstance(path[-1], int):
                lines = [
                    " " * self.column(owner) + "- " + line.lstrip() if i == 0 else line for i, line in enumerate(lines)
                ]
                return [(self.line_start(owner), node.end, self.line_break.join(lines))]
            return [(node.start, node.end, inline(value, flow=False))]
        above = max(0, top - (2 if self.body[max(0, top - 2) : top] == "\r\n" else 1))
        end = max(node.end, above)
        if lines is not None:
            return [(above, end, self._joined(lines))]
        return [(colon, colon, " " + inline(value, flow=False)), (above, end, "")]

    def _scalar_like(self, node: Node, value: Any, flow: bool) -> str:
        """The value as text, between the quotes that the old one had when it had any."""
        if (
            isinstance(value, str)
            and not isinstance(value, Digits)
            and node.style in ("'", '"')
            and value.isprintable()
        ):
            if node.style == "'":
                return "'" + value.replace("'", "''") + "'"
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return inline(value, flow=flow)

    def insert_key(self, path: Path_, node: Node, key: str, value: Any) -> list[Edit]:
        """Add a key to a block of keys."""
        self._refuse_alias(node, path)
        if self._is_nothing(node) or (node.kind == "map" and not node.items and not node.flow):
            return self.replace(path, node, {key: value}) if path else [(0, 0, self._top({key: value}))]
        if node.kind != "map":
            raise self.refuse(
                node.start, f"{path_words(path)} is not a block of keys", "a cell needs a key", "check the place"
            )
        if node.flow and not node.items and path and not self.in_flow(path):
            column = self.column(self._owner(path))
            if self._block_lines(path[-1], {key: value}, column) is not None:
                return self.replace(path, node, {key: value})
        if not path and node.flow and not node.items:
            return [(node.start, node.end, self._top({key: value}))]
        before = _predecessor(node.names, key)
        if node.flow:
            cell = f"{key_text(key)}: {inline(value, flow=True)}"
            if before is None:
                at = node.keys[0].start if node.items else node.start + self._opening(node)
                return [(at, at, cell + (", " if node.items else ""))]
            behind = self._behind(node.keys[before], node.items[before])
            return [(behind, behind, ", " + cell)]
        before = 0 if before is None else before  # the first line of an entry shares it with the dash
        column = self.column(node.keys[0].start)
        place = self._below(node.items[before], column)
        return [(place, place, self._joined(self._cell_lines(key, value, column)))]

    def insert_item(self, path: Path_, node: Node, place: int, value: Any) -> list[Edit]:
        """Add an entry to a list that has some."""
        self._refuse_alias(node, path)
        if node.flow:
            item = inline(value, flow=True)
            if place == 0:
                return [(node.items[0].start, node.items[0].start, item + ", ")]
            behind = node.items[place - 1].end
            return [(behind, behind, ", " + item)]
        column = self.column(node.start)
        lines = self._item_lines(value, column, path[-1] in BLOCKS)
        gap = [""] if self._spaced(node) else []
        if place > 0:
            behind = self._below(node.items[place - 1], column)
            return [(behind, behind, self._joined([*gap, *lines]))]
        if self.body[self.line_start(node.start) : node.start].strip():
            raise self.refuse(
                node.start,
                f"the first entry of {path_words(path)} shares its line",
                "nothing can be put before it",
                "begin it on a line of its own",
            )
        top = self.comments_above(self.line_start(node.start))
        return [(top, top, self.line_break.join([*lines, *gap, ""]))]

    def delete(self, path: Path_) -> list[Edit]:
        """Take out a cell or an entry, with the comments inside it."""
        parent, key = self.parent(path), path[-1]
        at = parent.names.index(key) if isinstance(key, str) else key
        node = parent.items[at]
        self.refuse_anchors(node, path)
        self.refuse_ancestors(path)
        if parent.flow:
            return self._delete_in_flow(parent, at)
        if len(parent.items) == 1:
            empty: Any = {} if parent.kind == "map" else []
            if len(path) == 1:
                return [(parent.start, parent.end, "{}" if parent.kind == "map" else "[]")]
            return self._replace_block(path[:-1], parent, empty, None)
        first = parent.keys[at].start if parent.kind == "map" else self.dash_of(parent, at)
        column = self.column(first)
        end = self._below(node, column)
        if not self.body[self.line_start(first) : first].strip():
            return [self._whole_lines(self.line_start(first), end, parent.items[at - 1].end if at else -1)]
        if at + 1 == len(parent.items):
            raise self.refuse(
                first, f"{path_words(path)} shares its line with something else", "it cannot be cut out alone",
                "begin it on a line of its own",
            )  # fmt: skip
        follower = parent.keys[at + 1].start if parent.kind == "map" else self.dash_of(parent, at + 1)
        if not self.body[end:follower].strip():
            return [(first, follower, "")]
        cut = first
        while self.body[cut - 1] in " \t":
            cut -= 1
        return [(cut, end, "")]  # comments between: the dash keeps its line, and the next key stays below them

    def refuse_ancestors(self, path: Path_) -> None:
        """Refuse when a block around the path is repeated by an alias."""
        node = self.root
        for key in path:
            self._refuse_alias(node, path)
            node = node.items[node.names.index(key) if isinstance(key, str) else key]

    def _delete_in_flow(self, parent: Node, at: int) -> list[Edit]:
        start = parent.keys[at].start if parent.kind == "map" else parent.items[at].start
        end = self._behind(parent.keys[at], parent.items[at]) if parent.kind == "map" else parent.items[at].end
        if at + 1 < len(parent.items):
            follower = parent.keys[at + 1].start if parent.kind == "map" else parent.items[at + 1].start
            gap = self.body[end:follower]
            if "#" not in gap:
                return [(start, follower, "")]
            comma = end + gap.index(",")
            return [(start, end, ""), (comma, comma + 1, "")]
        if at == 0:  # nothing is left, so that a comma behind it must go, too
            tail = re.compile(r"\s*,").match(self.body, end)
            return [(start, tail.end() if tail else end, "")]
        behind = (
            parent.items[at - 1].end
            if parent.kind == "list"
            else self._behind(parent.keys[at - 1], parent.items[at - 1])
        )
        return [(start if "#" in self.body[behind:start] else behind, end, "")]

    def _whole_lines(self, start: int, end: int, before: int) -> Edit:
        """Cut lines, with one blank line when blank lines stand on both sides that are no part of what is `before`."""
        stop = self.next_line(end)
        below = self.body[stop : self.line_end(stop)]
        above = self.line_start(max(0, start - 1)) if start else 0
        blank_above = start > 0 and above > before and not self.body[above:start].strip()
        if blank_above and not below.strip():
            start = above
        return (start, stop, "")

    # ---- places

    def _behind(self, key: Node, value: Node) -> int:
        return max(key.end, value.end)

    def _opening(self, node: Node) -> int:
        """Length of the bracket and of the anchor before it."""
        bracket = "{" if node.kind == "map" else "["
        return self.body.index(bracket, node.start) - node.start + 1

    def _below(self, node: Node, column: int) -> int:
        """The end of the last line of a value, and of the comments below that stand deeper than the column."""
        end = self.line_end(node.end)
        look = self.next_line(end)
        while look < len(self.body):
            stop = self.line_end(look)
            line = self.body[look:stop]
            if line.strip():
                if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
                    break
                end = stop
            nxt = self.next_line(stop)
            if nxt == look:
                break
            look = nxt
        return end

    def comments_above(self, top: int) -> int:
        """The first of the comment lines that stand right above a line."""
        while top > 0:
            above = self.line_start(top - 1 if self.body[top - 2 : top] != "\r\n" else top - 2)
            if not self.body[above:top].lstrip().startswith("#"):
                break
            top = above
        return top

    def dash_of(self, parent: Node, at: int) -> int:
        """Where the dash of an entry stands."""
        if at == 0:
            return self.body.index("-", parent.start) if parent.anchor else parent.start
        column = self.column(self.dash_of(parent, 0))
        top = self.line_start(parent.items[at].start)
        while top > 0 and (self.body[top : top + column].strip() or self.body[top + column : top + column + 1] != "-"):
            top = self.line_start(top - 2 if self.body[max(0, top - 2) : top] == "\r\n" else top - 1)
        return top + column

    def _spaced(self, node: Node) -> bool:
        """Whether blank lines part the entries of a list."""
        top = self.comments_above(self.line_start(self.dash_of(node, min(1, len(node.items) - 1))))
        above = self.body[self.line_start(max(0, top - 1)) : top] if top else "x"
        if self.body[max(0, top - 2) : top] == "\r\n":
            above = self.body[self.line_start(top - 2) : top]
        return not above.strip()

    # ---- writing

    def _joined(self, lines: list[str]) -> str:
        return "".join(self.line_break + line for line in lines)

    def _top(self, value: dict[str, Any]) -> str:
        lines = [line for key, cell in value.items() for line in self._cell_lines(key, cell, 0)]
        return self.line_break.join([*lines, ""])

    def _cell_lines(self, key: str, value: Any, column: int) -> list[str]:
        """A key and its value as lines at a column."""
        lines = self._block_lines(key, value, column)
        pad = " " * column
        if lines is None:
            return [f"{pad}{key_text(key)}: {inline(value, flow=False)}"]
        return [f"{pad}{key_text(key)}:", *lines]

    def _block_lines(self, key: str | int, value: Any, column: int) -> list[str] | None:
        """What stands below a key, or below a dash; None when the value belongs on the line itself."""
        if not isinstance(value, dict | list) or not value:
            return None
        name = key if isinstance(key, str) else ""
        if name not in BLOCKS and is_simple(value) and column + len(name) + 2 + len(inline(value, flow=False)) <= WIDTH:
            return None
        if isinstance(value, dict):
            deeper = column + (self.mapping if name else self.dash)
            return [line for inner, cell in value.items() for line in self._cell_lines(inner, cell, deeper)]
        deeper = column + (self.listing if name else self.dash)
        gap = [""] if name in SPACED else []
        return [line for item in value for line in (*gap, *self._item_lines(item, deeper, name in BLOCKS))]

    def _item_lines(self, value: Any, column: int, block: bool) -> list[str]:
        """An entry with its dash."""
        pad = " " * column
        fits = is_simple(value) and column + 2 + len(inline(value, flow=False)) <= WIDTH
        if not isinstance(value, dict) or not value or (fits and not block):
            return [f"{pad}- {inline(value, flow=False)}"]
        inner = column + self.dash
        lines = [line for name, cell in value.items() for line in self._cell_lines(name, cell, inner)]
        return [pad + "-" + lines[0][column + 1 :], *lines[1:]]


def _holds_value(event: Any) -> bool:
    kind = type(event).__name__
    return kind in ("ScalarEvent", "AliasEvent") or kind.startswith(("Sequence", "Mapping"))


def _last_break(text: str) -> int:
    return 2 if text.endswith("\r\n") else 1 if text.endswith(("\n", "\r")) else 0


def _first_or(found: list[int], default: int) -> int:
    return found[0] if found else default


def _predecessor(names: list[str], key: str) -> int | None:
    """The position of the last key that a new one should stand behind; None when it should come first."""
    middle = (2, 0)  # moderators and whatever else an analysis declares
    rank = _RANK.get(key, middle)
    before = [i for i, name in enumerate(names) if _RANK.get(name, middle) <= rank]
    return before[-1] if before else None
