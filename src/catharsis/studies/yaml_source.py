"""Read YAML as plain data in which every cell knows its line and its printed digits.

The parser's events are turned into data here: so no tag can build an object, a repeated key is seen,
an alias cannot explode, and `0.5000` keeps its digits. Scalars follow the core schema of YAML 1.2
(`no` is the country code of Norway, `1:30` and `1_000` are text). A file that is built to be slow
(brackets in brackets, aliases of aliases, nothing but commas) is refused before it costs seconds.
"""

from __future__ import annotations

import math
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catharsis.errors import MANY, At, InputError, InputErrors, shown

Path_ = tuple[str | int, ...]

MAX_BYTES = 20_000_000  # a table of 50,000 effects is about 15 MB
MAX_DEPTH = 40  # a table needs 8
MAX_ALIASED = 20_000  # values that aliases may add to those that are written
DENSE_AFTER = 20_000  # values from which on the file must look like a table ...
DENSE = 8  # ... with this many characters a value; the flagship has 24

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile("\r\n|\r|\n")
_NULL = re.compile("~|null|Null|NULL|")
_BOOL = re.compile("true|True|TRUE|false|False|FALSE")
_INT = re.compile("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class PrintedInt(int):
    """A whole number that remembers its digits, so that text typed as a number stays as typed."""

    text: str


class PrintedFloat(float):
    """A number that remembers its digits."""

    text: str


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A YAML file as data, with the line of every path and the text of every number.

    Attributes
    ----------
    file : str
        The name the user gave.
    data : object
        Dictionaries, lists, strings, numbers, None.
    lines : dict
        Line (from 1) of each path, a tuple of keys and positions.
    printed : dict
        The digits of each number as they stand in the file.
    """

    file: str
    data: Any
    lines: dict[Path_, int] = field(repr=False)
    printed: dict[Path_, str] = field(repr=False)

    def at(self, path: Path_) -> At:
        """The place of a path, or of the nearest ancestor that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return At(self.file, self.lines.get(path, 1))


def read_text(path: str | Path) -> str:
    """A text file as UTF-8, or an `InputErrors` that names what is wrong with it."""
    name = Path(path).as_posix()

    def refuse(what: str, why: str, fix: str) -> InputErrors:
        return InputErrors([InputError(At(name), what, why, fix, "unreadable-file")])

    try:
        status = Path(path).stat()
        if stat.S_ISREG(status.st_mode) and status.st_size > MAX_BYTES:
            raise refuse(
                "the file is larger than 20 MB",
                "a table of effects is far smaller, so this is probably another file",
                "check the path, or split the table",
            )
        if not stat.S_ISREG(status.st_mode):
            raise refuse("this is not a file", "the analysis needs a file here", "check the path")
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise refuse("there is no such file", "the analysis needs it", "check the path") from None
    except (OSError, ValueError) as problem:  # ValueError: the path holds a NUL
        raise refuse(
            f"the file cannot be read ({getattr(problem, 'strerror', None) or problem})",
            "the analysis needs it",
            "check that it is a file and may be read",
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise InputErrors(
            [
                InputError(
                    At(name, line),
                    f"byte {raw[problem.start]:#04x} is not UTF-8",
                    "names and titles need one agreed encoding",
                    "save the file as UTF-8",
                    "unreadable-file",
                )
            ]
        ) from None
    return text


def read_yaml(path: str | Path) -> YamlSource:
    r"""Read one YAML document.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    YamlSource

    Raises
    ------
    InputErrors
        When the file cannot be read, is not YAML, repeats a key, uses a tag or a merge key, or is
        built to be larger than it looks (aliases, nesting).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.yaml")
    >>> _ = file.write_text("n: 12\nsd: 0.50\n")
    >>> source = read_yaml(file)
    >>> source.data, source.printed[("sd",)], source.lines[("sd",)]
    ({'n': 12, 'sd': 0.5}, '0.50', 2)
    """
    return parse_yaml(read_text(path), Path(path).as_posix())


def parse_yaml(text: str, name: str) -> YamlSource:
    """`read_yaml` for text at hand; `name` is the file name that messages show."""
    text = text.removeprefix("\ufeff")
    lines = _Lines(text)
    if found := _FORBIDDEN.search(text):
        what = f"the character U+{ord(found[0]):04X} may not stand in YAML"
        raise _one(name, lines.of(found.start()), what, "nobody can see it", "delete it")
    reader = _Reader(name, _events(text, name, lines), lines)
    data = reader.document()
    if reader.problems:
        raise InputErrors(reader.problems)
    return YamlSource(name, data, reader.lines, reader.printed)


class _Lines:
    """Lines of positions in a text, broken where editors break them."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(found.end() for found in _BREAK.finditer(text))]

    def of(self, position: int) -> int:
        return bisect_right(self.starts, position)


def _one(name: str, line: int, what: str, why: str, fix: str) -> InputErrors:
    return InputErrors([InputError(At(name, line), what, why, fix, "yaml")])


def _events(text: str, name: str, lines: _Lines) -> list[Any]:
    """The events of the one document in the text; syntax errors and monsters end here."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    events: list[Any] = []
    try:
        for event in _limited(YAML(typ="safe", pure=True).parse(text), name, lines):
            events.append(event)
    except InputErrors:
        raise
    except MarkedYAMLError as problem:
        opened = any(word in (problem.context or "") for word in ("quoted", "flow", "simple key"))
        mark = (problem.context_mark if opened else None) or problem.problem_mark or problem.context_mark
        line = lines.of(mark.index) if mark else 1  # where the bracket, quote or key begins, not where hope is lost
        said = problem.problem or problem.context or "it cannot be read"
        plain = next((words for jargon, words in _IN_WORDS.items() if jargon in said), said)
        raise _one(name, line, f"this is not YAML: {plain}", *_yaml_hint(text, lines, line)) from None
    except Exception as problem:  # whatever the parser trips over is the file's fault, and never a traceback
        last = lines.of(events[-1].start_mark.index) if events else 1
        raise _one(name, last, f"this is not YAML: {shown(str(problem))}", *_yaml_hint(text, lines, last)) from None
    return events


_IN_WORDS = {
    "expected <block end>": "the line fits no block above it",
    "mapping values are not allowed here": "a key stands where none can stand",
    "could not find expected ':'": "a line without a colon stands among keys",
    "found unexpected end of stream": "the file ends before the text does",
    "cannot start any token": "a value begins with a character that cannot begin one",
}


def _limited(events: Iterator[Any], name: str, lines: _Lines) -> Iterator[Any]:
    """The content events of one document, refused as soon as they are no table."""
    depth = count = documents = 0
    for event in events:
        kind = type(event).__name__
        at = event.start_mark.index if event.start_mark else 0
        if kind == "DocumentStartEvent":
            documents += 1
            if documents > 1:
                raise _one(
                    name, lines.of(at), "a second document begins here (---)",
                    "a file holds one document, so what follows would be lost", "delete the line, or split the file",
                )  # fmt: skip
            if event.version not in (None, (1, 2)):
                raise _one(
                    name, lines.of(at), "the file asks for YAML " + ".".join(map(str, event.version)),
                    "other versions read words and numbers differently (no is false, 010 is 8)",
                    "delete the %YAML line",
                )  # fmt: skip
            continue
        if kind not in ("ScalarEvent", "AliasEvent") and not kind.startswith(("Sequence", "Mapping")):
            continue
        count += 1
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if depth > MAX_DEPTH or (count > DENSE_AFTER and count * DENSE > 2 * at):  # a value has a key: two events
            raise _too_much(name, lines.of(at))
        yield event


def _too_much(name: str, line: int) -> InputErrors:
    return _one(
        name,
        line,
        "the file is nested or repeats itself beyond any table",
        "brackets and aliases (&, *) can make a small file huge",
        "write the rows out plainly",
    )


def _yaml_hint(text: str, lines: _Lines, line: int) -> tuple[str, str]:
    """Why and fix for the usual slips at or just above the line."""
    near = [text[start:end] for start, end in zip(lines.starts, [*lines.starts[1:], len(text)], strict=True)]
    near = [row[:1000] for row in near[max(0, line - 2) : line]]
    last = near[-1].strip() if near else ""
    if any("\t" in row[: len(row) - len(row.lstrip())] for row in near):
        return "YAML does not allow tabs for indentation", "replace the tab by spaces"
    if last.count("{") > last.count("}") or last.count("[") > last.count("]"):
        return "a bracket is opened here and not closed", "close it with } or ] on the same line"
    if re.match(r"[^:]+:\s[^\"'{\[]*:(\s|$)", last):
        return "a colon followed by a space starts a new key", "put the text between quotes"
    if re.match(r"(- )?[^\s:]+:[^\s]", last):
        return "a key ends with a colon and a space", "add a space after the colon"
    if last and ":" not in last and not last.startswith(("- ", "#")):
        return (
            "every line in a block of keys is a key, a colon, a space and a value",
            "add the colon, or quote the text above",
        )
    if re.search(r":\s+[@`%&*!|>]", last):
        return "a text may not begin with this character", "put the text between quotes"
    if re.search(r"(:|-)\s+[\"']", last):
        return (
            "a quote is opened and not closed, or text follows it",
            "quote the whole text, and double a quote inside it",
        )
    return (
        "a key that stands too far left or right belongs to another block, so the rest cannot be placed",
        "align this line, or the one above, with its neighbours (two spaces a level)",
    )


class _Reader:
    """Turns events into data and writes down lines and digits on the way."""

    def __init__(self, name: str, events: list[Any], lines: _Lines) -> None:
        self.name, self.events, self.line_of = name, events, lines.of
        self.next = 0
        self.anchors: dict[str, int | None] = {}  # position of the first event; None while it is being read
        self.aliased = 0  # how many aliases we are in
        self.copies = 0
        self.lines: dict[Path_, int] = {}
        self.printed: dict[Path_, str] = {}
        self.problems: list[InputError] = []

    def document(self) -> Any:
        """All the data; None when the file is empty."""
        return self.value(()) if self.events else None

    def refuse(self, line: int, what: str, why: str, fix: str) -> None:
        self.problems.append(InputError(At(self.name, line), what, why, fix, "yaml"))
        if len(self.problems) >= MANY:
            raise InputErrors(self.problems)

    def value(self, path: Path_) -> Any:
        event = self.events[self.next]
        self.next += 1
        line = self.line_of(event.start_mark.index)
        self.lines.setdefault(path, line)
        kind = type(event).__name__
        if self.aliased:
            self.copies += 1
            if self.copies > MAX_ALIASED or len(path) > MAX_DEPTH:
                raise _too_much(self.name, line)
        if kind == "AliasEvent":
            return self.alias(event.anchor, path, line)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refuse(
                line, f"the tag {shown(tag)} is not allowed", "a table holds plain text and numbers", "delete the tag"
            )
        if event.anchor and not self.aliased:
            self.anchors[event.anchor] = None
        start = self.next - 1
        data = (
            self.scalar(event, path, line)
            if kind == "ScalarEvent"
            else self.sequence(path)
            if kind == "SequenceStartEvent"
            else self.mapping(path)
        )
        if event.anchor and not self.aliased:
            self.anchors[event.anchor] = start
        return data

    def alias(self, anchor: str, path: Path_, line: int) -> Any:
        """Read the anchored value once more, at the place of the alias."""
        start = self.anchors.get(anchor)
        if start is None:
            why = "it would contain itself" if anchor in self.anchors else "an alias (*) repeats an anchor (&) above it"
            self.refuse(line, f"the alias *{shown(anchor)[1:-1]} points to nothing", why, "write the value out")
            return None
        here, self.next = self.next, start
        self.aliased += 1
        data = self.value(path)
        self.aliased -= 1
        self.next = here
        return data

    def sequence(self, path: Path_) -> list[Any]:
        data: list[Any] = []
        while type(self.events[self.next]).__name__ != "SequenceEndEvent":
            data.append(self.value((*path, len(data))))
        self.next += 1
        return data

    def mapping(self, path: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while type(event := self.events[self.next]).__name__ != "MappingEndEvent":
            line = self.line_of(event.start_mark.index)
            key = event.value if type(event).__name__ == "ScalarEvent" else ""
            wrong = self.wrong_key(event, key, data, path)
            if wrong:
                self.refuse(line, *wrong)
                self.skip()
                self.skip()
                continue
            self.next += 1
            self.lines[(*path, key)] = line
            data[key] = self.value((*path, key))
        self.next += 1
        return data

    def wrong_key(self, event: Any, key: str, data: dict[str, Any], path: Path_) -> tuple[str, str, str] | None:
        """What is wrong with a key, if anything."""
        if not key or event.tag is not None or (name := self.unprintable(key)):
            what = f"a key holds the character {name}" if key and event.tag is None else "a key is not plain text"
            return what, "keys are names", "write a plain name before the colon"
        if key == "<<" and event.style is None:
            why = "what is merged in cannot be seen where it counts"
            return "merge keys (<<) are not read", why, "write the lines out, or move them up to the study or sample"
        if key in data:
            what = f"the key {shown(key)} stands twice (first on line {self.lines[(*path, key)]})"
            return what, "only one of the two values could be used", "keep one of them"
        return None

    def skip(self) -> None:
        """Pass over one value."""
        depth = 0
        while True:
            kind = type(self.events[self.next]).__name__
            self.next += 1
            depth += kind.endswith("StartEvent") - kind.endswith("EndEvent") * (kind[:3] in ("Seq", "Map"))
            if depth == 0:
                return

    def unprintable(self, text: str) -> str | None:
        r"""The first character that cannot be shown (escapes like \0 bring them in)."""
        found = None if text.isprintable() else _FORBIDDEN.search(text)
        return f"U+{ord(found[0]):04X}" if found else None

    def scalar(self, event: Any, path: Path_, line: int) -> Any:
        text = event.value
        if character := self.unprintable(text):
            self.refuse(line, f"a text holds the character {character}", "it cannot be printed", "delete it")
            return None
        if event.style is not None or event.tag is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text) or _FLOAT.fullmatch(text):
            return self.number(text, path, line)
        if _NOT_FINITE.fullmatch(text):
            self.refuse(line, f"{text} is not a number one can report", "absent is absent", "leave the key out")
            return None
        return text

    def number(self, text: str, path: Path_, line: int) -> PrintedInt | PrintedFloat | None:
        """A number with its digits."""
        whole = _INT.fullmatch(text) is not None
        try:
            base = 16 if text.startswith("0x") else 8 if text.startswith("0o") else 10
            number: PrintedInt | PrintedFloat = PrintedInt(text, base) if whole else PrintedFloat(text)
            fits = math.isfinite(float(number)) and (number != 0 or not re.search("[1-9]", re.split("[eE]", text)[0]))
        except (ValueError, OverflowError):  # thousands of digits
            fits = False
        if not fits:
            self.refuse(
                line, f"{shown(text)[1:-1]} is not a number one can report",
                "it is too large or too close to 0 to compute with",
                "correct the digits",
            )  # fmt: skip
            return None
        number.text = text
        self.printed[path] = text
        return number
