"""Run every rule over a table; waivers turn a finding into a line of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from catharsis.checks.catalogue import findings, rules
from catharsis.checks.impossible import impossible
from catharsis.checks.rules import Finding
from catharsis.errors import At, InputError, did_you_mean, shown
from catharsis.studies.schema import Waiver
from catharsis.studies.table import Row, StudyTable


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that a person lets stand.

    Attributes
    ----------
    row : Row
        The row whose waiver it is.
    waiver : Waiver
        Reason, person and date.
    problem : InputError
        What was found.
    """

    row: Row
    waiver: Waiver
    problem: InputError


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found, each in file order.

    Attributes
    ----------
    errors : tuple of InputError
        What cannot be right; it stops a run.
    warnings : tuple of InputError
        What looks wrong; printed, and shown in the report.
    notes : tuple of InputError
        What is missing, though no number is in doubt; counted, and printed when asked for.
    waived : tuple of Waived
        Findings that a person lets stand.
    """

    errors: tuple[InputError, ...]
    warnings: tuple[InputError, ...]
    notes: tuple[InputError, ...]
    waived: tuple[Waived, ...]


def check_rows(table: StudyTable, more: Iterable[Finding] = ()) -> Findings:
    """Check every row of a table.

    Parameters
    ----------
    table : StudyTable
        The table.
    more : iterable of Finding
        What was found outside the table, where a plan selects its rows.

    Returns
    -------
    Findings
    """
    wrong = {row.id: list(impossible(row, table.dictionary)) for row in table}
    errors = [problem for problems in wrong.values() for problem in problems]
    possible = StudyTable(
        table.file, tuple(row for row in table if not wrong[row.id]), table.dictionary, table.library
    )  # a row that cannot be right is no peer of others, and is judged again when it is mended
    said: dict[str, list[InputError]] = {"error": errors, "warning": [], "note": []}
    waived: list[Waived] = []
    used: set[tuple[At, str]] = set()
    for finding in (*findings(possible), *more):
        rule = rules()[finding.problem.rule]
        covers = _waivers(finding) if rule.can_be_waived else []
        if covers:
            used |= {(at, waiver.rule) for _, waiver, at in covers}
            row, waiver, _ = covers[0]
            waived.append(Waived(row, waiver, finding.problem))
        else:
            said[rule.severity].append(finding.problem)
    said["warning"] += _idle(table, wrong, used)
    waived.sort(key=lambda one: _place(one.problem))
    error, warning, note = (tuple(sorted(said[grade], key=_place)) for grade in ("error", "warning", "note"))
    return Findings(error, warning, note, tuple(waived))


def _place(problem: InputError) -> tuple[str, int]:
    return problem.at.file, problem.at.line


def _places(row: Row) -> tuple[At, ...]:
    """Where the waivers of a row stand."""
    return row.waived_at or tuple(row.at for _ in row.waived)


def _waivers(finding: Finding) -> list[tuple[Row, Waiver, At]]:
    """The waivers that cover a finding: on any row it is about, the innermost first."""
    return [
        (row, waiver, at)
        for row in finding.rows
        for waiver, at in zip(row.waived, _places(row), strict=True)
        if waiver.rule == finding.problem.rule
    ]


def _idle(table: StudyTable, wrong: Mapping[str, object], used: set[tuple[At, str]]) -> list[InputError]:
    """Waivers that cover no finding, each told once however many rows lie below it; not those of rows with errors."""
    idle: dict[tuple[At, str], InputError] = {}
    for row in table:
        for waiver, at in zip(row.waived, _places(row), strict=True):
            key = at, waiver.rule
            loose = not wrong[row.id] or rules().get(waiver.rule) is None or not rules()[waiver.rule].can_be_waived
            if loose and key not in used and key not in idle:
                idle[key] = _idle_waiver(waiver, at)
    return list(idle.values())


def _idle_waiver(waiver: Waiver, at: At) -> InputError:
    known = [rule.name for rule in rules().values() if rule.can_be_waived]
    if waiver.rule in known:
        why, fix = "no finding of that rule is left below it", "delete the waiver"
    elif waiver.rule in rules():
        why, fix = "what cannot be right cannot be waived", "correct the cell, and delete the waiver"
    else:
        why, fix = "no rule is called so", did_you_mean(waiver.rule, known)
    return InputError(at, f"the waiver of {shown(waiver.rule)} waives nothing", why, fix, "idle-waiver")
