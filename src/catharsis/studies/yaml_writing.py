"""How values are typed into YAML: quotes only where a text would be read as something else, digits as printed."""

from __future__ import annotations

import re
from typing import Any

from catharsis.studies.yaml_source import _BOOL, _FLOAT, _INT, _NOT_FINITE, _NULL

# Plain text in the words of YAML 1.2, and in those of 1.1, which other programs read (no is false, 1:30 is 90).
_YAML_1_1 = re.compile(r"(?i:y|yes|n|no|on|off)|[-+.]?[0-9][-+0-9_.:,eExXoOTZ ]*|=|<<")
_NOT_FIRST = "-?:,[]{}#&*!|>'\"%@`= \t"


class Digits(str):
    """A number as it shall stand in the file, so that 0.50 keeps its zero.

    Examples
    --------
    >>> print(inline({"sd": Digits("0.50"), "country": "no", "note": "a, b"}, flow=False))
    {sd: 0.50, country: "no", note: "a, b"}
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Digits:
        """Digits that YAML reads as a number; anything else is a `ValueError`."""
        if not (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            raise ValueError(f"{text!r} is not a number")
        return super().__new__(cls, text)


class Bare(str):
    """A word that is typed without quotes although other programs read it as true or false, since it means that."""

    __slots__ = ()


def number_digits(value: float) -> str:
    """The shortest digits that read as the same number."""
    return repr(float(value)) if isinstance(value, float) else str(int(value))


def is_simple(value: Any) -> bool:
    """Whether a value is short by nature: a scalar, or a list or block of scalars."""
    if isinstance(value, dict):
        return all(not isinstance(cell, dict) and is_simple(cell) for cell in value.values())
    if isinstance(value, list):
        return all(not isinstance(item, dict | list) for item in value)
    return True


def key_text(key: str) -> str:
    """A key, between quotes when it is no plain word."""
    plain = re.fullmatch(r"[^\W\d][\w.-]*", key) and not (_NULL.fullmatch(key) or _BOOL.fullmatch(key))
    return key if plain else quoted(key)


def inline(value: Any, *, flow: bool) -> str:
    """A value on one line; `flow` when it stands between brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {inline(cell, flow=True)}" for key, cell in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item, flow=True) for item in value) + "]"
    if isinstance(value, Digits | Bare):
        return str(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(getattr(value, "text", None) or number_digits(value))
    return str(value) if is_plain(value, flow) else quoted(value)


def is_plain(text: str, flow: bool) -> bool:
    """Whether a text reads as itself without quotes."""
    if (
        not text
        or not text.isprintable()
        or text[0] in _NOT_FIRST
        or text[-1] in " :"
        or text.startswith(("...", "<<"))
    ):
        return False
    if ": " in text or " #" in text or (flow and re.search(r"[,\[\]{}]", text)):
        return False
    return not any(pattern.fullmatch(text) for pattern in (_NULL, _BOOL, _INT, _FLOAT, _NOT_FINITE, _YAML_1_1))


def quoted(text: str) -> str:
    """A text between quotes: double ones, or single ones when it holds double ones."""
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    out = []
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character.isprintable():
            out.append(character)
        else:
            code = ord(character)
            short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
            out.append(
                short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
            )
    return '"' + "".join(out) + '"'
