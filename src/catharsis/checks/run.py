"""Run every rule over a table; waivers turn a finding into a line of the report."""

from __future__ import annotations

from dataclasses import dataclass

from catharsis.checks.impossible import impossible
from catharsis.checks.unusual import RULES, standard_error_for_sd
from catharsis.errors import InputError, did_you_mean, shown
from catharsis.studies.schema import Waiver
from catharsis.studies.table import Row, StudyTable


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found.

    Attributes
    ----------
    errors, warnings : tuple of InputError
        In file order.
    waived : tuple of (Row, Waiver)
        Findings that a person lets stand.
    """

    errors: tuple[InputError, ...]
    warnings: tuple[InputError, ...]
    waived: tuple[tuple[Row, Waiver], ...]


def check_rows(table: StudyTable) -> Findings:
    """Check every row of a table.

    Parameters
    ----------
    table : StudyTable
        The table.

    Returns
    -------
    Findings
    """
    errors = [problem for row in table for problem in impossible(row, table.dictionary)]
    waivers = {(row.id, waiver.rule): (row, waiver) for row in table for waiver in row.waived}
    used = set()
    for row, problem in standard_error_for_sd(table.rows):
        key = (row.id, problem.rule)
        if key in waivers:
            used.add(key)
        else:
            errors.append(problem)
    warnings = [_idle(row, waiver) for key, (row, waiver) in waivers.items() if key not in used]
    return Findings(tuple(errors), tuple(warnings), tuple(waivers[key] for key in waivers if key in used))


def _idle(row: Row, waiver: Waiver) -> InputError:
    if waiver.rule in RULES:
        why, fix = "no finding of that rule is left on the row", "delete the waiver"
    else:
        why = "only findings that may be right after all can be waived"
        fix = f"correct the cell, or {did_you_mean(waiver.rule, RULES)}"
    return InputError(
        row.place("waive"), f"the waiver of {shown(waiver.rule)} on {row.id} waives nothing", why, fix, "idle-waiver"
    )
