"""What a changed table does to each pooled result: the syntheses whose rows differ, fitted before and after."""

from __future__ import annotations

from dataclasses import dataclass

from catharsis.errors import InputErrors
from catharsis.plan.checking import select
from catharsis.plan.results import SynthesisResult
from catharsis.plan.spec import Plan, Synthesis
from catharsis.studies.table import Row, StudyTable


@dataclass(frozen=True, slots=True)
class PooledChange:
    """One synthesis that a change touches.

    Attributes
    ----------
    spec : Synthesis
        The question.
    before, after : SynthesisResult or None
        The result of the old and of the new rows; None when they cannot be combined.
    joined, left, changed : tuple of str
        Effects that came in, went out, and stand there with other cells.
    """

    spec: Synthesis
    before: SynthesisResult | None
    after: SynthesisResult | None
    joined: tuple[str, ...]
    left: tuple[str, ...]
    changed: tuple[str, ...]


def pooled_changes(plan: Plan, before: StudyTable, after: StudyTable) -> tuple[PooledChange, ...]:
    """Fit every synthesis whose rows differ between two tables, without sampling.

    Parameters
    ----------
    plan : Plan
        The analysis.
    before, after : StudyTable
        The table as it was and as it is.

    Returns
    -------
    tuple of PooledChange
        In the order of the plan; syntheses with the same rows are not in it.
    """
    found = []
    for i, spec in enumerate(plan.file.syntheses):
        old, new = ({row.id: row for row in select(plan, table, spec, ("syntheses", i))} for table in (before, after))
        changed = tuple(key for key in new if key in old and not _same(old[key], new[key]))
        if old.keys() == new.keys() and not changed:
            continue
        found.append(
            PooledChange(
                spec,
                _result(plan, before, spec, i),
                _result(plan, after, spec, i),
                tuple(key for key in new if key not in old),
                tuple(key for key in old if key not in new),
                changed,
            )
        )
    return tuple(found)


def _same(one: Row, other: Row) -> bool:
    return one.cells == other.cells and one.printed == other.printed


def _result(plan: Plan, table: StudyTable, spec: Synthesis, position: int) -> SynthesisResult | None:
    """A synthesis without its sampled part; None when its rows cannot be combined."""
    from catharsis.plan.run import synthesise

    try:
        return synthesise(plan, table, spec, position, sample=False)
    except InputErrors:  # `check` has said why, or will
        return None
