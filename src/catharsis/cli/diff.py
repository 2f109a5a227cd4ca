"""`catharsis diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from catharsis.cli.output import tell

if TYPE_CHECKING:
    from catharsis.plan.revisions import Version
    from catharsis.report.update import Update


def diff_versions(before: str, after: str, folder: Path | None, form: str, out: Path | None, cells_only: bool) -> int:
    """Compare two versions of an analysis; exit code 0 whether or not they differ."""
    from catharsis.plan.revisions import versions

    with versions(before, after, folder) as (old, new):
        update = compare(old, new, results=not cells_only)
    put(render(update, form), out)
    return 0


def compare(old: Version, new: Version, *, results: bool) -> Update:
    """Table and results of two versions; a version with errors has no results, and that is said."""
    from catharsis.plan.before_after import before_after
    from catharsis.report.update import Update
    from catharsis.studies.changes import table_changes

    before, after = old.table(), new.table()
    changes = table_changes(before, after) if before is not None and after is not None else None
    notes: list[str] = []
    records = [record_of(side, notes) for side in (old, new)] if results else []
    moves = (
        before_after(records[0], records[1], changes.names if changes else None)
        if len(records) == 2 and all(records)
        else None
    )
    title = next((side.plan.file.title for side in (new, old) if side.plan is not None), "")
    title = title or next((str(found["title"]) for found in records if found), "")
    return Update(title, old.label, new.label, changes, moves, notes=tuple(notes))


def record_of(side: Version, notes: list[str]) -> dict[str, Any]:
    """The results of a version, by quadrature alone; empty, with a note, when its inputs have errors."""
    if side.record is not None:
        return side.record
    from catharsis.errors import InputErrors
    from catharsis.plan.record import record
    from catharsis.plan.run import run_plan

    found = side.unread
    if side.plan is not None:
        try:
            with side.named():
                return record(run_plan(side.plan, sample=False))
        except InputErrors as problems:
            found = problems
    assert found is not None
    n, first = len(found.problems), found.problems[0]
    notes.append(
        f"{side.label} has {n} error{'s' * (n != 1)}, so that nothing was computed from it; "
        f"{'the first' if n > 1 else 'it'} is at {first.at}: {first.what}"
    )
    return {}


def render(update: Update, form: str) -> str:
    """An update in one of the formats text, json and html."""
    from catharsis.report import update as words

    if form == "json":
        import json

        return json.dumps(words.data(update), indent=1, ensure_ascii=False, allow_nan=False)
    return words.page(update) if form == "html" else "\n".join(words.text(update))


def put(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file and say so."""
    if out is None:
        tell(text)
        return
    from catharsis.files import write_atomically

    write_atomically(out, text + "\n")
    tell(str(out))
