"""What an update changed, in words: cells of the table, results before and after, looks at the evidence.

The same rows are laid out as text for the terminal, as data for `--format json`, and as a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from catharsis.effects.measures import MEASURES
from catharsis.plan.before_after import COEFFICIENT, Moves, Quantity, SynthesisMove
from catharsis.plan.looks import Corrected
from catharsis.report.numbers import capital, count, listing, number
from catharsis.studies.changes import CellChange, RowChange, TableChanges, shown_cells
from catharsis.studies.table import Row

MOST_DIGITS = 8  # decimals until two numbers that differ are shown apart
MOST_IDS = 12  # ids named in one line of the terminal; the page and the data hold all
LONGEST = 80  # characters of a cell in one line of the terminal
LABELS = {
    "k": "samples (k)", "m": "reports", "effects": "effects", "people": "people", "verdict": "verdict",
    "standing": "standing", "school": "leading school", "measure": "measure",
}  # fmt: skip
WORDS = tuple(LABELS)
VERDICTS = {"positive": "above no effect", "negative": "below no effect", "unclear": "not settled"}
SCALED = ("estimate", "low", "high", "new low", "new high")  # quantities that have a scale of the reader's
LABEL = 12  # columns of the terminal for a label, at least
NEGLIGIBLE = 0.0005  # half-widths that read as nothing


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity before and after, in words."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Update:
    """Everything that an update page shows.

    Attributes
    ----------
    title : str
        Title of the analysis.
    before, after : str
        What the two versions are called.
    changes : TableChanges or None
        Cells; None when there is no table to compare.
    moves : Moves or None
        Results; None when there are none to compare.
    corrections : tuple of (str, Corrected)
        Averages with their looks, by id of the synthesis.
    notes : tuple of str
        What every reader must be told (a version that could not be run, looks before the first that are unknown).
    measures : dict
        Id of each synthesis in `corrections` to its measure's code.
    """

    title: str
    before: str
    after: str
    changes: TableChanges | None
    moves: Moves | None
    corrections: tuple[tuple[str, Corrected], ...] = ()
    notes: tuple[str, ...] = ()
    measures: dict[str, str] | None = None


# -- numbers ----------------------------------------------------------------------------------------------


def _reader(code: str, value: float) -> float:
    """A number on the reader's scale: a risk ratio for its log, a share for its logit."""
    measure = MEASURES.get(code)
    return float(measure.to_reader(value)) if measure is not None else value


def pair(
    before: Sequence[float | None], after: Sequence[float | None], sign: bool = False
) -> tuple[list[str], list[str]]:
    """Two sets of numbers with as many decimals as it takes to tell them apart, two at least.

    Examples
    --------
    >>> pair([0.651], [0.652]), pair([0.1342, 1.78], [0.1344, 1.63]), pair([0.5], [None])
    ((['0.651'], ['0.652']), (['0.13', '1.78'], ['0.13', '1.63']), (['0.50'], ['–']))
    """
    sides = [[math.nan if value is None else value for value in side] for side in (before, after)]
    for digits in range(2, MOST_DIGITS + 1):
        old, new = ([number(value, digits, sign) for value in side] for side in sides)
        if old != new or sides[0] == sides[1]:
            break
    return old, new


def _numbers(move: SynthesisMove, *names: str) -> tuple[list[float | None], list[float | None]]:
    """Quantities before and after, those with a scale on the reader's, each by the measure of its own version."""
    measure = move.quantities["measure"]
    found: tuple[list[float | None], list[float | None]] = ([], [])
    for name in names:
        one = move.quantities[name]
        for side, value, code in zip(found, (one.before, one.after), (measure.before, measure.after), strict=True):
            plain = float(value) if isinstance(value, int | float) else None
            side.append(_reader(str(code), plain) if plain is not None and name in SCALED else plain)
    return found


def _span(texts: Sequence[str]) -> str:
    return "–" if set(texts) == {"–"} else " to ".join(texts)


def _word(one: Quantity, value: Any) -> str:
    if value is None:
        return "–"
    return VERDICTS.get(str(value), str(value)) if one.name == "verdict" else str(value)


def move_table(move: SynthesisMove) -> list[Line]:
    """What moved in one synthesis (everything, for one that is new or gone), as lines of before and after."""
    if "estimate" not in move.quantities:  # a count of directions
        changed = [one for one in move.quantities.values() if one.moved]
        return [Line(one.name, _word(one, one.before), _word(one, one.after)) for one in changed]
    lines = []
    for label, names in _numeric(move):
        if any(move.quantities[name].moved for name in names):
            old, new = pair(*_numbers(move, *names))
            lines.append(Line(label, _span(old), _span(new)))
    words = [one for name in WORDS if (one := move.quantities[name]).moved]
    return lines + [Line(LABELS[one.name], _word(one, one.before), _word(one, one.after)) for one in words]


def _numeric(move: SynthesisMove) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Labels of the numbers of a synthesis, each with the one quantity or the two limits that it is."""
    yield "estimate", ("estimate",)
    yield "interval", ("low", "high")
    for name in move.quantities:
        if name.startswith(COEFFICIENT) and f"{name} low" in move.quantities:
            yield name.removeprefix(COEFFICIENT), (name,)
            yield f"{name.removeprefix(COEFFICIENT)}, interval", (f"{name} low", f"{name} high")
    yield "tau", ("tau",)
    yield "a new study", ("new low", "new high")


def shift_words(move: SynthesisMove) -> str:
    """How far the estimate moved, in margins of the older interval; empty when it did not or cannot be said."""
    if math.isnan(move.shift) or move.shift == 0:
        return ""
    if move.shift < NEGLIGIBLE:
        return "the estimate moved by less than a thousandth of its margin"
    return f"the estimate moved by {100 * move.shift:.2g} % of its margin"


# -- the terminal -----------------------------------------------------------------------------------------


def move_lines(moves: Moves) -> list[str]:
    """What moved between two results, as lines for the terminal."""
    lines: list[str] = []
    for move in (*moves.syntheses, *moves.directions):
        if move.state == "same":
            continue
        state = {"new": " (new)", "gone": " (gone)", "moved": ""}[move.state]
        lines.append(f"{move.id}: {move.title}{state}")
        table = move_table(move)
        wide = max([LABEL, *(len(line.label) + 1 for line in table)])
        lines += [f"  {line.label + ':':<{wide}} {line.before} -> {line.after}" for line in table]
        if words := shift_words(move):
            lines.append(f"  {words}")
        for what, ids in (("came in", move.joined), ("went out", move.left)):
            if ids:
                lines.append(f"  {what + ':':<{wide}} {_ids(ids)}")
    for family in moves.families:
        if family.moved:
            lines.append(f'answer to {family.key}: "{family.before or "–"}" -> "{family.after or "–"}"')
    still = sum(move.state == "same" for move in moves.syntheses)
    n = len(moves.syntheses)
    if not n:
        return lines
    if still == n:
        return [*lines, "no synthesis moved"]
    return [
        *lines,
        f"{still} of {count(n, 'synthesis', 'syntheses')} did not move" if still else "every synthesis moved",
    ]


def _ids(ids: Sequence[str]) -> str:
    more = len(ids) - MOST_IDS
    return ", ".join(ids[:MOST_IDS]) + (f" and {more} more" if more > 0 else "")


def change_lines(changes: TableChanges) -> list[str]:
    """What changed in the table, as lines for the terminal."""
    lines = [f"+ {row.id} ({row.get('study')}, {row.get('outcome')}; {row.at})" for row in changes.added]
    lines += [f"- {row.id} ({row.get('study')}, {row.get('outcome')})" for row in changes.removed]
    for group, cells in changes.grouped():
        first = group[0]
        name = (
            f"{first.before.id} -> {first.after.id} (renamed)" if first.renamed else _ids([c.after.id for c in group])
        )
        lines.append(f"~ {name}")
        lines += [f"    {one.column}: {_cell(one.before)} -> {_cell(one.after)}  ({one.at})" for one in cells]
    return [*lines, summary(changes)]


def _cell(text: str | None) -> str:
    if text is None:
        return "(empty)"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def summary(changes: TableChanges) -> str:
    """The changes of a table in one sentence."""
    renamed = sum(change.renamed for change in changes.changed)
    parts = [
        f"{count(n, one, many)} {what}"
        for n, one, many, what in (
            (len(changes.added), "effect", "effects", "added"),
            (len(changes.removed), "effect", "effects", "removed"),
            (renamed, "effect", "effects", "renamed"),
            (changes.cells, "cell", "cells", "changed"),
        )
        if n
    ]
    return f"{listing(parts) if parts else 'no cell changed'}; {count(changes.unchanged, 'effect')} unchanged"


def look_lines(update: Update) -> list[str]:
    """Looks and corrected intervals, as lines for the terminal."""
    lines = []
    for key, found in update.corrections:
        code = (update.measures or {}).get(key, "")
        plain, wide = (_limits(code, limits) for limits in (found.plain, found.interval))
        lines.append(
            f"{key}: {count(found.looks, 'look')}; {100 * found.level:g} % interval {plain}, over all looks {wide} "
            f"({found.cost:.2f} times as wide){_verdict_words(found)}"
        )
    return lines


def _limits(code: str, limits: tuple[float, float]) -> str:
    return _span([number(_reader(code, limit)) for limit in limits])


def _verdict_words(found: Corrected) -> str:
    if found.verdict == found.plain_verdict or found.verdict is None:
        return ""
    return f"; {VERDICTS[str(found.plain_verdict)]} at this look alone, {VERDICTS[found.verdict]} over all looks"


def text(update: Update) -> list[str]:
    """The whole update for the terminal."""
    lines = [f"{update.before} -> {update.after}"]
    if update.changes is not None:
        lines += ["", "Table", *change_lines(update.changes)]
    if update.moves is not None:
        lines += ["", "Results", *move_lines(update.moves)]
    if update.corrections:
        lines += ["", "Looks", *look_lines(update)]
    return [*lines, *(f"note: {note}" for note in update.notes)]


# -- data -------------------------------------------------------------------------------------------------


def data(update: Update) -> dict[str, Any]:
    """The whole update as JSON-ready data, keyed like results.json."""
    return {
        "schema": "catharsis/update@1",
        "title": update.title,
        "before": update.before,
        "after": update.after,
        "table": _table_data(update.changes) if update.changes is not None else None,
        "results": _moves_data(update.moves) if update.moves is not None else None,
        "looks": {key: _corrected_data(found) for key, found in update.corrections},
        "notes": list(update.notes),
    }


def _table_data(changes: TableChanges) -> dict[str, Any]:
    return {
        "added": {row.id: dict(shown_cells(row)) for row in changes.added},
        "removed": {row.id: dict(shown_cells(row)) for row in changes.removed},
        "changed": {
            change.after.id: {
                **({"was": change.before.id} if change.renamed else {}),
                "cells": {one.column: {"before": one.before, "after": one.after} for one in change.cells},
            }
            for change in changes.changed
        },
        "unchanged": changes.unchanged,
    }


def _moves_data(moves: Moves) -> dict[str, Any]:
    def part(move: SynthesisMove) -> dict[str, Any]:
        return {
            "title": move.title,
            "state": move.state,
            "moved": {
                name: {"before": one.before, "after": one.after} for name, one in move.quantities.items() if one.moved
            },
            "joined": list(move.joined),
            "left": list(move.left),
            "shift_in_margins": None if math.isnan(move.shift) else round(move.shift, 6),
        }

    return {
        "syntheses": {move.id: part(move) for move in moves.syntheses},
        "directions": {move.id: part(move) for move in moves.directions},
        "families": {one.key: {"before": one.before, "after": one.after} for one in moves.families if one.moved},
    }


def _corrected_data(found: Corrected) -> dict[str, Any]:
    return {
        "looks": found.looks,
        "level": found.level,
        "alpha_of_this_look": found.alpha,
        "estimate": found.answer.estimate,
        "plain": list(found.plain),
        "over_all_looks": list(found.interval),
        "times_as_wide": found.cost,
        "verdict": {"plain": found.plain_verdict, "over_all_looks": found.verdict},
    }


# -- the page ---------------------------------------------------------------------------------------------


def page(update: Update) -> str:
    """The update as one HTML page that needs nothing else."""
    from importlib import resources

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    templates = resources.files("catharsis.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((templates / "update.html").read_text(encoding="utf-8"))
    style = Markup((templates / "style.css").read_text(encoding="utf-8"))
    return template.render(style=style, **_content(update))


def _content(update: Update) -> dict[str, Any]:
    moves, changes = update.moves, update.changes
    moved = [move for move in (*moves.syntheses, *moves.directions) if move.state != "same"] if moves else []
    return {
        "title": update.title,
        "before": update.before,
        "after": update.after,
        "notes": update.notes,
        "compared": moves is not None,
        "moved": [
            {
                "title": move.title, "state": move.state, "lines": move_table(move),
                "shift": capital(shift_words(move)), "joined": listing(list(move.joined)),
                "left": listing(list(move.left)),
            }
            for move in moved
        ],
        "still": [move.title for move in moves.syntheses if move.state == "same"] if moves else [],
        "families": [family for family in moves.families if family.moved] if moves else [],
        "table": summary(changes) if changes is not None else "",
        "added": [_row_words(row) for row in changes.added] if changes else [],
        "removed": [_row_words(row) for row in changes.removed] if changes else [],
        "cells": list(_cell_rows(changes)) if changes else [],
        "looks": [_look_row(update, key, found) for key, found in update.corrections],
        "level": f"{100 * update.corrections[0][1].level:g}" if update.corrections else "",
        "error": f"{100 * (1 - update.corrections[0][1].level):g}" if update.corrections else "",
    }  # fmt: skip


def _row_words(row: Row) -> tuple[str, str, str]:
    """An effect's id, study, and the numbers it brings."""
    cells = shown_cells(row)
    told = [f"{column} {cells[column]}" for column in cells if column in row.printed and column != "year"]
    return row.id, f"{row.get('study')}, {row.get('outcome')}", ", ".join(told) or str(row.get("kind"))


def _cell_rows(changes: TableChanges) -> Iterator[tuple[str, str, str, str]]:
    """Who, column, before, after; effects that changed alike in one row."""

    def name(group: tuple[RowChange, ...]) -> str:
        first = group[0]
        return f"{first.before.id}, now {first.after.id}" if first.renamed else listing([c.after.id for c in group])

    for group, cells in changes.grouped():
        shown: Sequence[CellChange | None] = cells or (None,)
        for one in shown:
            if one is None:
                yield name(group), "id", group[0].before.id, group[0].after.id
            else:
                yield name(group), one.column, one.before or "(empty)", one.after or "(empty)"


def _look_row(update: Update, key: str, found: Corrected) -> dict[str, Any]:
    code = (update.measures or {}).get(key, "")
    titles = {move.id: move.title for move in update.moves.syntheses} if update.moves else {}
    return {
        "title": titles.get(key, key),
        "looks": found.looks,
        "estimate": number(_reader(code, found.answer.estimate)),
        "plain": _limits(code, found.plain),
        "wide": _limits(code, found.interval),
        "cost": f"{found.cost:.2f}",
        "verdict": VERDICTS[found.verdict] if found.verdict else "no value of no effect",
        "changed": found.verdict != found.plain_verdict,
    }
