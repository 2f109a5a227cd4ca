"""What changed between two versions of a table: effects added, removed, renamed, and every cell that moved.

Effects are matched by their id. An id that is gone and an id that is new are one effect under another name when most
of their other cells agree, so that a renamed study does not read as one study lost and another found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catharsis.errors import At
from catharsis.studies.table import COUNT_CELLS, NUMBER_CELLS, Row, StudyTable

ALIKE = 0.75  # share of agreeing cells from which on two ids are one effect; copies of a study share fewer
NAMES = ("effect", "study", "sample", "cite", "report", "overlap_group")  # what a renaming may touch
SIZES = {"n", "n1", "n2", "df", "df1", "df2", "enrolled", "episodes"}  # alike in other results of the same people
RESULTS = tuple(column for column in (*NUMBER_CELLS, "d_low", "d_high", *COUNT_CELLS) if column not in SIZES)
WAIVED = "waive"  # the waivers of a row, compared like a cell


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell before and after, as printed in the file; None where it is empty.

    Attributes
    ----------
    column : str
        Column of the table.
    before, after : str or None
        What stands in the file.
    at : At
        Its place in the newer version (in the older one when the cell is gone).
    """

    column: str
    before: str | None
    after: str | None
    at: At


@dataclass(frozen=True, slots=True)
class RowChange:
    """An effect that both versions have.

    Attributes
    ----------
    before, after : Row
        The effect in both versions.
    cells : tuple of CellChange
        What moved, in column order; empty when only the id changed.
    """

    before: Row
    after: Row
    cells: tuple[CellChange, ...]

    @property
    def renamed(self) -> bool:
        """Whether the id is another one."""
        return self.before.id != self.after.id


@dataclass(frozen=True, slots=True)
class TableChanges:
    """The difference of two tables.

    Attributes
    ----------
    added, removed : tuple of Row
        Effects that only the newer, or only the older version has, in file order.
    changed : tuple of RowChange
        Effects of both versions with another id or another cell, in the order of the newer file.
    unchanged : int
        Effects that are the same.
    """

    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    changed: tuple[RowChange, ...]
    unchanged: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def cells(self) -> int:
        """Number of cells that moved in effects that both versions have."""
        return sum(len(change.cells) for change in self.changed)

    @property
    def names(self) -> dict[str, str]:
        """Older to newer id of the effects that were renamed."""
        return {change.before.id: change.after.id for change in self.changed if change.renamed}

    def grouped(self) -> tuple[tuple[tuple[RowChange, ...], tuple[CellChange, ...]], ...]:
        """Effects that changed in the same way together: what stands on a study is inherited by all its effects.

        Returns
        -------
        tuple of (tuple of RowChange, tuple of CellChange)
            Each group with its common changes, in file order.
        """
        groups: dict[Any, list[RowChange]] = {}
        for change in self.changed:
            own = change.after.id if change.renamed else ""
            groups.setdefault((own, *((c.column, c.before, c.after) for c in change.cells)), []).append(change)
        return tuple((tuple(group), group[0].cells) for group in groups.values())


def table_changes(before: StudyTable, after: StudyTable) -> TableChanges:
    """Compare two versions of a table.

    Parameters
    ----------
    before, after : StudyTable
        The older and the newer version.

    Returns
    -------
    TableChanges

    Examples
    --------
    >>> from catharsis.studies.dictionary import Dictionary
    >>> def table(*rows):
    ...     return StudyTable("t", tuple(Row(cells, {}, At("t")) for cells in rows), Dictionary(outcomes={}))
    >>> old = table({"effect": "a", "n": 12}, {"effect": "b", "n": 20})
    >>> new = table({"effect": "a", "n": 13}, {"effect": "c", "n": 7})
    >>> found = table_changes(old, new)
    >>> [row.id for row in found.added], [row.id for row in found.removed]
    (['c'], ['b'])
    >>> [(c.column, c.before, c.after) for change in found.changed for c in change.cells]
    [('n', '12', '13')]
    """
    old, new = ({row.id: row for row in table} for table in (before, after))
    lost = [row for row in before if row.id not in new]
    fresh = [row for row in after if row.id not in old]
    names = dict(_renamed(lost, fresh))
    pairs = [(old[names.get(row.id, row.id)], row) for row in after if row.id in old or row.id in names]
    compared = [RowChange(a, b, tuple(_cells(a, b))) for a, b in pairs]
    changed = tuple(change for change in compared if change.cells or change.renamed)
    return TableChanges(
        added=tuple(row for row in fresh if row.id not in names),
        removed=tuple(row for row in lost if row.id not in names.values()),
        changed=changed,
        unchanged=len(compared) - len(changed),
    )


def _cells(before: Row, after: Row) -> Iterator[CellChange]:
    """Cells that differ, in the newer row's order, then what is gone."""
    old, new = shown_cells(before), shown_cells(after)
    for column in [*new, *(column for column in old if column not in new)]:
        if column != "effect" and old.get(column) != new.get(column):
            at = after.place(column) if column in new else before.place(column)
            yield CellChange(column, old.get(column), new.get(column), at)


def shown_cells(row: Row) -> Mapping[str, str]:
    """Every cell of a row as it is printed: digits as typed, yes and no for booleans."""
    found = {
        column: row.printed.get(column) or (str(value).lower() if isinstance(value, bool) else str(value))
        for column, value in row.cells.items()
    }
    if row.waived:
        found[WAIVED] = "; ".join(f"{one.rule}: {one.reason} ({one.by}, {one.date})" for one in row.waived)
    return found


def _renamed(lost: Sequence[Row], fresh: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """New id to old id, best pairs first, for effects whose other cells agree."""
    contents = {row.id: _content(row) for row in (*lost, *fresh)}
    scores = sorted(
        (-_likeness(contents[a.id], contents[b.id]), i, j)
        for i, a in enumerate(lost)
        for j, b in enumerate(fresh)
        if _same_result(a, b)
    )
    taken: set[tuple[str, str]] = set()
    for score, i, j in scores:
        a, b = lost[i].id, fresh[j].id
        if -score >= ALIKE and ("old", a) not in taken and ("new", b) not in taken:
            taken |= {("old", a), ("new", b)}
            yield b, a


def _content(row: Row) -> set[tuple[str, str]]:
    return {(column, text) for column, text in shown_cells(row).items() if column not in NAMES}


def _likeness(a: set[tuple[str, str]], b: set[tuple[str, str]]) -> float:
    """Agreeing cells as a share of the fuller row's."""
    return len(a & b) / max(len(a), len(b), 1)


def _same_result(a: Row, b: Row) -> bool:
    """Whether two rows can be one result: half of their numbers agree, or what a row without numbers reports."""
    old, new = ({(c, row.printed.get(c, str(row.get(c)))) for c in RESULTS if row.has(c)} for row in (a, b))
    if old or new:
        return 2 * len(old & new) >= max(len(old), len(new))
    return all(a.get(column) == b.get(column) for column in ("outcome", "sign", "minutes"))
