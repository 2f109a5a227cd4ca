r"""Values as R writes them: ASCII only, so that no label can leave its quotes, its comment or its encoding."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Any

WIDTH = 110
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_RESERVED = frozenset({
    "if", "else", "repeat", "while", "function", "for", "next", "break", "TRUE", "FALSE", "NULL", "Inf", "NaN", "NA",
    "NA_integer_", "NA_real_", "NA_complex_", "NA_character_", "in", "yi", "vi", "label", "effect",
})  # fmt: skip


def r_string(text: str) -> str:
    r"""A text between quotes.

    Parameters
    ----------
    text : str
        Any text without NUL, which R cannot hold.

    Examples
    --------
    >>> print(r_string('the "best" \\ ß\n'))
    "the \"best\" \\ \u00df\n"
    """
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    """One character inside quotes; what is not plain ASCII by its number."""
    plain = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": ""}
    if character in plain:
        return plain[character]
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:  # half a character: no text at all
        return "?"
    if 32 <= code < 127:
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def r_number(value: float | None) -> str:
    """A number with all its digits.

    Examples
    --------
    >>> r_number(0.1), r_number(3), r_number(float("-inf")), r_number(None)
    ('0.1', '3', '-Inf', 'NA')
    """
    if value is None:
        return "NA"
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def r_vector(values: Iterable[Any], indent: int = 2) -> str:
    """Numbers or texts as one vector, broken over lines; None is NA, and one value stands alone.

    Examples
    --------
    >>> r_vector([1, 2.5]), r_vector(["a", None]), r_vector([3])
    ('c(1, 2.5)', 'c("a", NA)', '3')
    """
    cells = [
        "NA" if value is None else r_string(value) if isinstance(value, str) else r_number(value) for value in values
    ]
    if len(cells) == 1:
        return cells[0]
    lines, line = [], "c("
    for i, cell in enumerate(cells):
        piece = cell + (", " if i + 1 < len(cells) else ")")
        if len(line) + len(piece) > WIDTH and line.strip() not in ("", "c("):
            lines.append(line.rstrip())
            line = " " * (indent + 2)
        line += piece
    return "\n".join([*lines, line if cells else "c()"])


def r_comment(text: str, first: str = "# ", rest: str = "#   ") -> str:
    r"""A text as comment lines; nothing in it can begin a line of its own.

    Examples
    --------
    >>> print(r_comment("a title\nstop('gotcha') ü"))
    # a title stop('gotcha') \u00fc
    """
    spaced = " ".join(text.split())
    plain = "".join(c if 32 <= ord(c) < 127 else _character(c) for c in spaced)
    lines = wrap(plain, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return "\n".join(lines) or first.rstrip()


def r_names(names: Sequence[str]) -> dict[str, str]:
    """Names of columns in R: as they are when R can hold them anywhere, numbered otherwise.

    Examples
    --------
    >>> r_names(["latitude", "größe", "next"])
    {'latitude': 'latitude', 'größe': 'column_2', 'next': 'column_3'}
    """
    found: dict[str, str] = {}
    for i, name in enumerate(names, start=1):
        good = _NAME.fullmatch(name) is not None and name not in _RESERVED
        found[name] = name if good else f"column_{i}"
    return found
