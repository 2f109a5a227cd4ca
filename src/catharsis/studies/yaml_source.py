"""Read YAML as plain data in which every cell knows its line and its printed digits.

The file is composed into nodes and converted here, not constructed by the parser: so no tag can
build an object, a repeated key is seen, an alias cannot explode, and `0.5000` stays four digits.
YAML 1.2 is read (`no` is the country code of Norway, not false).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catharsis.errors import At, InputError, InputErrors

Path_ = tuple[str | int, ...]

MAX_BYTES = 20_000_000  # a table of 50,000 effects is about 15 MB
MAX_NODES = 2_000_000
MAX_DEPTH = 40


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
        if Path(path).stat().st_size > MAX_BYTES:
            raise refuse(
                "the file is larger than 20 MB",
                "a table of effects is far smaller, so this is probably another file",
                "check the path, or split the table",
            )
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise refuse("there is no such file", "the analysis needs it", "check the path") from None
    except OSError as problem:
        raise refuse(
            f"the file cannot be read ({problem.strerror})",
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
    """Read one YAML document.

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
        When the file cannot be read, is not YAML, repeats a key, uses a tag, or is built to be
        larger than it looks (aliases, nesting).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.yaml")
    >>> _ = file.write_text("n: 12\\nsd: 0.50\\n")
    >>> source = read_yaml(file)
    >>> source.data, source.printed[("sd",)], source.lines[("sd",)]
    ({'n': 12, 'sd': 0.5}, '0.50', 2)
    """
    return parse_yaml(read_text(path), Path(path).as_posix())


def parse_yaml(text: str, name: str) -> YamlSource:
    """`read_yaml` for text at hand; `name` is the file name that messages show."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except ReaderError as problem:
        line = text[: problem.position].count("\n") + 1
        what = f"the character U+{ord(problem.character):04X} may not stand in YAML"
        raise _one(name, line, what, "it is a control character", "delete it") from None
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else 1
        raise _one(
            name, line, f"this is not YAML: {problem.problem or problem.context}", *_yaml_hint(text, line)
        ) from None
    except (YAMLError, RecursionError, ValueError) as problem:
        first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise _one(name, 1, f"this is not YAML: {first}", *_yaml_hint(text, 1)) from None
    reader = _Reader(name)
    data = None if root is None else reader.value(root, (), 0)
    if reader.problems:
        raise InputErrors(reader.problems)
    return YamlSource(name, data, reader.lines, reader.printed)


def _one(name: str, line: int, what: str, why: str, fix: str) -> InputErrors:
    return InputErrors([InputError(At(name, line), what, why, fix, "yaml")])


def _yaml_hint(text: str, line: int) -> tuple[str, str]:
    """Why and fix for the usual slips at or just above the line."""
    lines = text.splitlines()
    near = lines[max(0, line - 2) : line]
    if any("\t" in row[: len(row) - len(row.lstrip())] for row in near):
        return "YAML does not allow tabs for indentation", "replace the tab by spaces"
    if near and near[-1].count(":") > 1 and "{" not in near[-1]:
        return "a colon followed by a space starts a new key", "put the text between quotes"
    return (
        "a key that stands too far left or right belongs to another block, so the rest cannot be placed",
        "align this line, or the one above, with its neighbours (two spaces a level)",
    )


class _Reader:
    """Turns nodes into data and writes down lines and digits on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path_, int] = {}
        self.printed: dict[Path_, str] = {}
        self.problems: list[InputError] = []
        self.count = 0

    def refuse(self, line: int, what: str, why: str, fix: str) -> None:
        self.problems.append(InputError(At(self.name, line), what, why, fix, "yaml"))

    def value(self, node: Any, path: Path_, depth: int) -> Any:
        self.count += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise _one(
                self.name,
                line,
                "the file is nested or repeats itself beyond any table",
                "aliases (&, *) or brackets can make a small file huge",
                "write the rows out plainly",
            )
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.endswith(
            (":binary", ":set", ":omap", ":pairs")
        ):
            self.refuse(
                line,
                f"the tag {node.tag} is not allowed",
                "a table holds plain text and numbers",
                "delete the tag",
            )
            return None
        if hasattr(node, "value") and isinstance(node.value, str):
            return self.scalar(node, path, line)
        if node.tag.endswith(":seq"):
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self.mapping(node, path, depth)

    def mapping(self, node: Any, path: Path_, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node.value, str):
                self.refuse(
                    line, "a key is not plain text", "keys are names", "write a plain name before the colon"
                )
                continue
            key = key_node.value
            if key in data:
                first = self.lines[(*path, key)]
                self.refuse(
                    line,
                    f'the key "{key}" stands twice (first on line {first})',
                    "only one of the two values could be used",
                    "keep one of them",
                )
                continue
            self.lines[(*path, key)] = line
            data[key] = self.value(value_node, (*path, key), depth + 1)
        return data

    def scalar(self, node: Any, path: Path_, line: int) -> Any:
        text, kind = node.value, node.tag.rsplit(":", 1)[-1]
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            try:
                number = int(text, 0) if kind == "int" and text[:2] in ("0x", "0o") else float(text)
            except ValueError:
                return text
            if not math.isfinite(number):
                self.refuse(
                    line, f"{text} is not a number one can report", "absent is absent", "leave the key out"
                )
                return None
            self.printed[path] = text
            return int(number) if kind == "int" and number == int(number) else number
        return text
