"""`catharsis check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catharsis.cli.output import complain, tell
from catharsis.errors import InputError, InputErrors

if TYPE_CHECKING:
    from catharsis.plan.checking import Inspected


def check_folder(folder: Path, form: str = "text", notes: bool = False) -> int:
    """Check an analysis; exit code 0 without errors, 1 with.

    Parameters
    ----------
    folder : Path
        The analysis.
    form : str
        "text" for people; "json", "sarif" or "github" for machines, with everything that was found.
    notes : bool
        Whether the text lists what the table leaves out, too.
    """
    from catharsis.checks.run import Findings
    from catharsis.plan.checking import Inspected, inspect
    from catharsis.plan.spec import read_plan

    try:
        inspected = inspect(read_plan(folder))
    except InputErrors as unreadable:
        inspected = Inspected(None, Findings(unreadable.problems, (), (), ()))
    if form == "text":
        _print(folder, inspected, notes)
    else:
        from catharsis.cli.formats import FORMATS

        if text := FORMATS[form](inspected.found):
            tell(text)
    return 1 if inspected.found.errors else 0


def _print(folder: Path, inspected: Inspected, notes: bool) -> None:
    """Findings for people: errors on standard error, the rest on standard output, and one closing line."""
    table, found = inspected.table, inspected.found
    for word, some in (("warning", found.warnings), ("note", found.notes if notes else ())):
        for problem in some:
            tell(f"{word}: {problem}\n  rule: {problem.rule}")
    for one in found.waived:
        tell(f"waived: {one.problem.at}: {one.problem.what}\n  {one.waiver.rule}: {one.waiver.reason} "
             f"({one.waiver.by}, {one.waiver.date})")  # fmt: skip
    if found.errors:
        complain(InputErrors(found.errors))
        return
    works = len({row.get("cite") for row in table or ()})
    counts = [_count(len(found.warnings), "warning")]
    if found.notes:
        counts.append(_count(len(found.notes), "note"))
    if found.waived:
        counts.append(f"{len(found.waived)} waived")
    unseen = " (--notes lists them)" if found.notes and not notes else ""
    rests = f"{_count(len(table or ()), 'effect')} from {_count(works, 'work')}"
    tell(f"{folder}: {rests}, no errors, {', '.join(counts)}{unseen}")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def explain_rule(name: str) -> int:
    """Print what a rule is about, or all rules for "all"; exit code 2 when there is no such rule."""
    from catharsis.checks.catalogue import explain, listed

    if name == "all":
        tell(listed())
        return 0
    try:
        tell(explain(name))
    except InputError as unknown:
        complain(InputErrors([unknown]))
        return 2
    return 0
