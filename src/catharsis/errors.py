"""What catharsis says when an input cannot stand: where, what, why, and how to mend it.

Every message about an input is an `InputError` with four parts. Readers collect all the problems of
a file and raise them together as `InputErrors`, so that one run shows one list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

MANY = 100  # problems of one kind after which a reader stops: nobody mends more in one sitting


class CatharsisError(Exception):
    """Base of every error that catharsis raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class At:
    """A place in a file; lines count from 1, and line 0 means the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class InputError(CatharsisError):
    """One problem in an input.

    Parameters
    ----------
    at : At
        File and line.
    what : str
        What was found.
    why : str
        Why it cannot stand.
    fix : str
        How to mend it.
    rule : str
        Short stable name of the rule, the handle for waivers.
    """

    def __init__(self, at: At, what: str, why: str, fix: str, rule: str = "input") -> None:
        what, why, fix = (_part(part) for part in (what, why, fix))
        super().__init__(at, what, why, fix, rule)
        self.at, self.what, self.why, self.fix, self.rule = at, what, why, fix, rule

    def __str__(self) -> str:
        return f"{self.at}: {self.what}\n  why: {self.why}\n  fix: {self.fix}"


LONGEST = 800  # characters of one part of a message; a file can hold a name of megabytes
# what would move a terminal's cursor, recolour it or turn the line around, and halves of characters that cannot be sent
_UNSAYABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def sayable(text: str) -> str:
    r"""Text as any terminal can show it: characters that would move its cursor or cannot be sent, by their numbers.

    Examples
    --------
    >>> sayable("two\x1b[2Jlines")
    'twoU+001B[2Jlines'
    """
    return _UNSAYABLE.sub(lambda found: f"U+{ord(found[0]):04X}", text)


def _part(text: str) -> str:
    """A part of a message: sayable, and not too long."""
    text = sayable(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 60]} ... {text[-50:]}"


class InputErrors(CatharsisError):
    """All the problems of one reading, in file and line order."""

    def __init__(self, problems: Iterable[InputError]) -> None:
        self.problems: tuple[InputError, ...] = tuple(sorted(problems, key=lambda p: (p.at.file, p.at.line)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ModelError(CatharsisError):
    """The numbers handed to a model cannot give an answer (k too small, singular, not converged)."""


class FormulaError(ModelError):
    """A formula that cannot be read or names what is not there: a slip of the plan, not a want of data."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The closest known word as a question, or the known words when nothing is close.

    Examples
    --------
    >>> did_you_mean("cuontry", ["country", "population"])
    'did you mean "country"?'
    >>> did_you_mean("x", [])
    'there is nothing to choose from'
    """
    if not known:
        return "there is nothing to choose from"
    word = str(word)  # a caller may have passed a number or None
    close = get_close_matches(word, known, n=1, cutoff=0.6) if len(word) <= 80 else []
    if close:
        return f'did you mean "{close[0]}"?'
    rest = len(known) - 25
    return "use one of: " + ", ".join(known[:25]) + (f" and {rest} more" if rest > 0 else "")


def shown(value: Any) -> str:
    r"""A value of an input as a message shows it: text between quotes, on one line, never long.

    Examples
    --------
    >>> print(shown("two\nlines"), shown(True), shown(None), shown([1, 2]), shown(0.5))
    "two lines" true nothing a list 0.5
    """
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a block"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(str(value).split())
    text = text if len(text) <= 80 else text[:77] + "..."
    return f'"{text}"' if isinstance(value, str) else text
