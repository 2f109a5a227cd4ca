"""What a rule of the checks is, and what it finds. The rules themselves stand in files by grade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

Grade = Literal["unreadable", "impossible", "unusual", "discordant", "dependence", "incomplete", "loose"]
Severity = Literal["error", "warning", "note"]
SEVERITIES: dict[Grade, Severity] = {
    "unreadable": "error",  # does not say what it means: a key, a file, a word that nothing can be made of
    "impossible": "error",  # cannot be right whatever the study; nobody can waive it
    "unusual": "warning",
    "discordant": "warning",
    "dependence": "warning",
    "incomplete": "note",  # says what is missing; no number is in doubt
    "loose": "warning",  # an end that leads nowhere, such as a waiver without a finding
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes
    ----------
    rows : tuple of Row
        The rows it is about, the one to mend first; a waiver on any of them counts.
    problem : InputError
        Where, what, why, how to mend it; `problem.rule` names the rule.
    """

    rows: tuple[Row, ...]
    problem: InputError


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a table.

    Attributes
    ----------
    name : str
        Short stable name: the handle for waivers and for `catharsis check --explain`.
    grade : str
        "unreadable", "impossible", "unusual", "discordant", "dependence", "incomplete" or
        "loose".
    finds : str
        What it looks for, in one sentence.
    why : str
        Why it matters.
    fix : str
        What to do about it.
    sources : tuple of str
        Keys of methods.bib.
    find : callable or None
        Runs it over a table; None when the problem is met on the way: while a file is read, in the sweep over
        impossible cells, or where a plan selects rows.
    """

    name: str
    grade: Grade
    finds: str
    why: str
    fix: str
    sources: tuple[str, ...] = ()
    find: Callable[[StudyTable], Iterator[Finding]] | None = None

    @property
    def severity(self) -> Severity:
        """Whether a finding stops a run ("error"), is printed ("warning"), or only counted unless asked ("note")."""
        return SEVERITIES[self.grade]

    @property
    def can_be_waived(self) -> bool:
        """Whether a person may let a finding stand."""
        return self.severity != "error" and self.grade != "loose"


def let_stand(rule: str) -> str:
    """The end of a `fix:` that says how a finding is waived."""
    return f"if it is right, waive with waive: [{{rule: {rule}, reason: ..., by: ..., date: ...}}]"
