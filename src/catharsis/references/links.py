r"""Keys that name one work: `duplicates.yaml` beside the .bib files, one line for each link.

A linked key keeps its entry and finds the reference that it was linked to, so that no table that uses it breaks
and no paper counts twice. Taking out the line undoes the link. The file lies below `studies`, whose reader of
YAML it cannot use; it needs far less: texts in lists of mappings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from catharsis.errors import At, InputError, InputErrors, did_you_mean
from catharsis.files import locked, write_atomically
from catharsis.references.bibtex import file_bytes, plain_text

FILE = "duplicates.yaml"
SCHEMA = "catharsis/duplicates@1"
_HEAD = f"""# Keys that name one work. Nothing is deleted: take out a line, and its link is undone.
schema: {SCHEMA}
links:
"""
_LINK = ("key", "same_as", "why", "by", "date")
MAX_BYTES = 2_000_000  # a link has about 100 characters, so 20,000 of them


@dataclass(frozen=True, slots=True)
class Link:
    """A line of duplicates.yaml: `key` names the same work as `same_as`."""

    key: str
    same_as: str
    why: str = ""
    by: str = ""
    date: str = ""
    at: At = field(default=At(""))


@dataclass(frozen=True, slots=True)
class Links:
    """What duplicates.yaml says.

    Attributes
    ----------
    links : tuple of Link
        In file order.
    distinct : frozenset of frozenset of str
        Pairs of keys that a person looked at and found to be two works.
    spans : tuple of (int, int)
        First and last line of each link, for undoing it.
    """

    links: tuple[Link, ...] = ()
    distinct: frozenset[frozenset[str]] = frozenset()
    spans: tuple[tuple[int, int], ...] = ()

    def resolved(self) -> dict[str, str]:
        """Linked key to the key at the end of its chain; InputErrors when a chain bites its tail."""
        targets = {link.key: link.same_as for link in self.links}
        found: dict[str, str] = {}
        for link in self.links:
            seen, key = {link.key}, link.same_as
            while key in targets and key not in seen:
                seen.add(key)
                key = targets[key]
            if key in targets:
                raise InputErrors([_circle(link)])
            found[link.key] = key
        return found


def links_path(bibliography: str | Path) -> Path:
    """Where the links of a bibliography (a folder or one .bib file) stand."""
    bibliography = Path(bibliography)
    return bibliography / FILE if os.path.isdir(bibliography) else bibliography.with_name(FILE)


def read_links(path: str | Path) -> Links:
    """Read duplicates.yaml; a file that is not there holds no link.

    Raises
    ------
    InputErrors
        When it cannot be read.

    Examples
    --------
    >>> read_links("nowhere/duplicates.yaml").links
    ()
    """
    path = Path(path)
    if not os.path.exists(path):  # unlike Path.exists, no error when a name is too long
        return Links()
    data = file_bytes(path)
    text = data if isinstance(data, InputError) else plain_text(data, path.as_posix())
    if isinstance(text, InputError):
        raise InputErrors([text])
    return parse_links(text, path.as_posix())


def parse_links(text: str, name: str) -> Links:
    """`read_links` for text at hand."""
    if len(text) > MAX_BYTES:
        raise InputErrors([_wrong(At(name), "the file is larger than 2 MB")])
    data = _read_yaml(text.removeprefix("\ufeff"), name)
    problems: list[InputError] = []
    if not isinstance(data.value, dict):
        raise InputErrors([_wrong(At(name, data.line), "the file is no list of links")])
    for key, node in data.value.items():
        if key not in {"schema", "links", "distinct"}:
            hint = did_you_mean(key, ["schema", "links", "distinct"])
            problems.append(_wrong(At(name, node.line), f'"{key}" is not a key of this file', hint))
    schema = data.value.get("schema")
    if schema is None or schema.value != SCHEMA:
        line = schema.line if schema is not None else 1
        problems.append(_wrong(At(name, line), "the schema is not named", f"write schema: {SCHEMA}"))
    links, spans = [], []
    for node in _list(data.value.get("links"), name, problems):
        link = _link(node, name, problems)
        if link is not None:
            links.append(link)
            spans.append((node.line, node.last))
    distinct = set()
    for node in _list(data.value.get("distinct"), name, problems):
        keys = [part.value for part in node.value] if isinstance(node.value, list) else []
        if len(keys) != 2 or not all(isinstance(key, str) and key for key in keys):
            problems.append(_wrong(At(name, node.line), "this is not a pair of keys", "write [one2020, other2020]"))
        else:
            distinct.add(frozenset(keys))
    seen: dict[str, Link] = {}
    for link in links:
        if link.key in seen:
            problems.append(
                _wrong(link.at, f"{link.key} is linked twice (first at {seen[link.key].at})", "keep one of the lines")
            )
        seen.setdefault(link.key, link)
    if problems:
        raise InputErrors(problems)
    found = Links(tuple(links), frozenset(distinct), tuple(spans))
    found.resolved()
    return found


@dataclass(slots=True)
class _Node:
    """A value with the lines it takes."""

    value: object
    line: int
    last: int


def _read_yaml(text: str, name: str) -> _Node:
    """Plain lists, mappings and texts: no tags, no anchors, four levels deep."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    stack: list[tuple[_Node, list[str]]] = []
    root = _Node({}, 1, 1)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            kind = type(event).__name__
            if kind in {"AliasEvent"} or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise InputErrors([_wrong(At(name, event.start_mark.line + 1), "tags and anchors are not read here")])
            if kind in {"MappingStartEvent", "SequenceStartEvent", "ScalarEvent"}:
                if len(stack) > 4:
                    raise InputErrors([_wrong(At(name, event.start_mark.line + 1), "the file is nested too deeply")])
                line = event.start_mark.line + 1
                if stack and isinstance(stack[-1][0].value, dict) and not stack[-1][1]:
                    key = event.value if kind == "ScalarEvent" else ""
                    if not key or key in stack[-1][0].value:
                        raise InputErrors([_wrong(At(name, line), f'the key "{key}" is empty or stands twice')])
                    stack[-1][1].append(key)
                    continue
                empty: object = {} if kind[0] == "M" else [] if kind[:2] == "Se" else event.value
                node = _Node(empty, line, event.end_mark.line + 1)
                if not stack:
                    root = node
                elif isinstance(stack[-1][0].value, dict):
                    stack[-1][0].value[stack[-1][1].pop()] = node
                elif isinstance(stack[-1][0].value, list):
                    stack[-1][0].value.append(node)
                _stretch(stack, node.last)
                if kind != "ScalarEvent":
                    stack.append((node, []))
            elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
                node = stack.pop()[0]
                if event.end_mark.index > event.start_mark.index:  # a bracket, which may stand on a line of its own
                    node.last = event.end_mark.line + 1
                    _stretch(stack, node.last)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "it cannot be read"
        raise InputErrors([_wrong(At(name, mark.line + 1 if mark else 1), f"this is not YAML: {said}")]) from None
    except (ValueError, RecursionError) as error:
        raise InputErrors([_wrong(At(name), f"this is not YAML: {str(error)[:80]}")]) from None
    return root


def _stretch(stack: list[tuple[_Node, list[str]]], last: int) -> None:
    for node, _ in stack:
        node.last = max(node.last, last)


def _list(node: _Node | None, name: str, problems: list[InputError]) -> list[_Node]:
    if node is None or node.value in ("", "~", "null"):
        return []
    if isinstance(node.value, list):
        return node.value
    problems.append(_wrong(At(name, node.line), "this is not a list", "begin every line with a hyphen"))
    return []


def _link(node: _Node, name: str, problems: list[InputError]) -> Link | None:
    at = At(name, node.line)
    parts = {key: part.value for key, part in node.value.items()} if isinstance(node.value, dict) else {}
    wrong = [key for key, value in parts.items() if key not in _LINK or not isinstance(value, str)]
    if wrong or not parts.get("key") or not parts.get("same_as"):
        what = f'"{wrong[0]}" is no part of a link' if wrong else "a link names two keys"
        problems.append(_wrong(at, what, "write - {key: other2020, same_as: one2020, why: same DOI}"))
        return None
    return Link(**{key: str(value) for key, value in parts.items()}, at=at)


def _wrong(at: At, what: str, fix: str = "mend the line, or restore the file from its last version") -> InputError:
    return InputError(at, what, "it says which keys name one work, so that no paper counts twice", fix, "links-file")


def _circle(link: Link) -> InputError:
    return _wrong(link.at, f"the links of {link.key} lead back to it", "keep the key that shall stand, undo the others")


def linked_problems(links: Links, keys: Iterable[str]) -> list[InputError]:
    """Links whose end no entry has as its key."""
    known = list(keys)
    have = set(known)
    resolved = links.resolved()
    return [
        InputError(
            link.at,
            f'{link.key} is linked to "{resolved[link.key]}", which no entry has as its key',
            "what cites it would find no reference",
            did_you_mean(resolved[link.key], known) if known else "add the entry, or undo the link",
            "link-target",
        )
        for link in links.links
        if resolved[link.key] not in have
    ]


def with_link(text: str, link: Link) -> str:
    """The file's text with one link more, everything else as it was.

    Examples
    --------
    >>> print(with_link("", Link("orr1999b", "orr1999", "same DOI")))
    # Keys that name one work. Nothing is deleted: take out a line, and its link is undone.
    schema: catharsis/duplicates@1
    links:
      - {key: "orr1999b", same_as: "orr1999", why: "same DOI"}
    <BLANKLINE>
    """
    parts = [(name, getattr(link, name)) for name in _LINK]
    line = "  - {" + ", ".join(f"{name}: {_quoted(value)}" for name, value in parts if value) + "}"
    return _inserted(text, "links", line)


def with_distinct(text: str, first: str, second: str) -> str:
    """The file's text with one more pair of different works."""
    return _inserted(text, "distinct", f"  - [{_quoted(first)}, {_quoted(second)}]")


def without_link(text: str, key: str, name: str) -> str:
    """The file's text without the link of a key; InputErrors when there is none."""
    found = parse_links(text, name)
    for link, (first, last) in zip(found.links, found.spans, strict=True):
        if link.key == key:
            lines = text.splitlines(keepends=True)
            return "".join([*lines[: first - 1], *lines[last:]])
    known = [link.key for link in found.links]
    raise InputErrors([_wrong(At(name), f"{key} is not linked to anything", did_you_mean(key, known))])


def _quoted(text: str) -> str:
    """A text between double quotes, on one line."""
    plain = " ".join(text.split())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _inserted(text: str, block: str, line: str) -> str:
    """The line at the end of a top-level list, which is begun when it is not there."""
    text = text or _HEAD
    end = "\r\n" if "\r\n" in text else "\n"
    text = text if text.endswith("\n") else text + end
    lines = text.splitlines(keepends=True)
    start = next((i for i, row in enumerate(lines) if re.match(rf"{block}\s*:", row)), None)
    if start is None:
        return "".join([*lines, f"{block}:{end}{line}{end}"])
    lines[start] = re.sub(rf"^({block}\s*:)\s*(\[\s*\]|~|null)", r"\1", lines[start])
    stop = start + 1
    for i in range(start + 1, len(lines)):
        if re.match(r"\S", lines[i]) and not lines[i].startswith(("#", "- ")):
            break
        if lines[i].strip() and not lines[i].startswith("#"):
            stop = i + 1
    first = next((row for row in lines[start + 1 : stop] if row.lstrip().startswith("- ")), None)
    indent = first[: len(first) - len(first.lstrip())] if first else "  "
    return "".join([*lines[:stop], indent + line.lstrip() + end, *lines[stop:]])


def add_links(path: Path, links: Iterable[Link], hold: bool = True) -> None:
    """Add links to the file at `path`, which is read again before it is written.

    Parameters
    ----------
    path : Path
        duplicates.yaml.
    links : iterable of Link
        What to add, behind the others.
    hold : bool
        False when the caller holds the file's lock already.

    Raises
    ------
    InputErrors
        When the file cannot be read, a key is linked already, or a chain of links bites its tail.
    """
    with locked(path) if hold else nullcontext():
        text = _current(path)
        for link in links:
            text = with_link(text, link)
        parse_links(text, path.as_posix())
        write_atomically(path, text)


def undo_link(path: Path, key: str) -> None:
    """Take the link of a key out of the file at `path`."""
    with locked(path):
        old = _current(path)
        new = without_link(old, key, path.as_posix())
        before, after = (parse_links(text, path.as_posix()) for text in (old, new))
        gone = {link.key for link in before.links} - {link.key for link in after.links}
        if gone != {key} or before.distinct != after.distinct:
            raise InputErrors(
                [_wrong(At(path.as_posix()), f"the link of {key} cannot be cut out", "delete it by hand")]
            )
        write_atomically(path, new)


def tell_apart(path: Path, first: str, second: str) -> None:
    """Write down that two keys are two works."""
    with locked(path):
        text = with_distinct(_current(path), first, second)
        parse_links(text, path.as_posix())
        write_atomically(path, text)


def _current(path: Path) -> str:
    """The file's text with its own line ends; InputErrors when it cannot be read."""
    read_links(path)
    return path.read_bytes().decode("utf-8") if path.exists() else ""


def all_links(path: Path) -> dict[str, str]:
    """Linked key to the key that stands, of the file at `path`."""
    return read_links(path).resolved()
