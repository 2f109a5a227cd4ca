"""`catharsis update`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catharsis.cli.output import tell

if TYPE_CHECKING:
    from catharsis.plan.looks import Look
    from catharsis.plan.spec import Plan
    from catharsis.report.update import Update

PAGE = "update.html"


def update_report(folder: Path, out: Path | None, *, sample: bool) -> int:
    """Check, run, report, compare with the results committed last, count the look, and write the update page.

    Returns
    -------
    int
        As `catharsis report`: 0 done, 3 finished but not reportable.
    """
    from catharsis.cli.report import make
    from catharsis.files import write_atomically
    from catharsis.plan.looks import FILE, add_look, look_at, looks_from_history
    from catharsis.plan.revisions import read_record
    from catharsis.plan.spec import read_plan
    from catharsis.report.update import page, text

    plan = read_plan(folder)
    target = out or Path("reports") / plan.name
    path = target / "results.json"
    label, revision, before = _last(path)
    earlier, unread = looks_from_history(path)
    code = make(folder, out, sample=sample, force=False, show="index.html")
    after = read_record(path)
    today = datetime.now(UTC).date().isoformat()
    looks = add_look(folder / FILE, look_at(after, today), earlier)
    update = _update(plan, label, revision, before, after, looks, unread)
    write_atomically(target / PAGE, page(update))
    for line in text(update):
        tell(line)
    tell(str(target / PAGE))
    return code


def _last(path: Path) -> tuple[str, str | None, dict[str, Any] | None]:
    """The results committed last, else those that lie there: what they are called, their commit, the record."""
    from catharsis.errors import InputErrors
    from catharsis.plan.revisions import at_revision, git, inside_repository, parse_record, read_record

    inside = inside_repository(path)
    near = next(parent for parent in path.resolve().parents if parent.is_dir())
    commit = git(near, "log", "-1", "--format=%H", "--", f":(top){inside}") if inside else None
    name = commit.decode().strip() if commit else ""
    kept = at_revision(near, name, inside or "") if name else None
    try:
        if kept is not None:
            return f"results of {name[:12]}", name, parse_record(kept, f"{name[:12]}:{inside}")
        if path.is_file():
            return f"{path.as_posix()} as it was", None, read_record(path)
    except InputErrors:  # written by something else, or long ago: there is nothing to compare with, and that is said
        return "results that cannot be read", None, None
    return "no results yet", None, None


def _update(
    plan: Plan,
    label: str,
    revision: str | None,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    looks: tuple[Look, ...],
    unread: int,
) -> Update:
    from catharsis.effects.measures import MEASURES
    from catharsis.errors import InputErrors
    from catharsis.plan.before_after import before_after
    from catharsis.plan.looks import corrected, count, look_at
    from catharsis.plan.revisions import versions
    from catharsis.report.update import Update
    from catharsis.studies.changes import table_changes

    notes = []
    changes = None
    if revision is not None:
        try:
            with versions(revision, str(plan.folder)) as (old, new):
                tables = [side.table() for side in (old, new)]
                changes = table_changes(tables[0], tables[1]) if tables[0] and tables[1] else None
        except InputErrors as found:
            first = found.problems[0]
            notes.append(f"the table of the committed results cannot be compared ({first.at}: {first.what})")
    if before is not None and before.get("code") != after.get("code"):
        notes.append("the package is another one than made the older results, which may have moved a number, too")
    if unread:
        notes.append(f"{unread} committed versions of the results could not be read and are not counted as looks")
    corrections, measures = [], {}
    for key, answer in look_at(after, "").answers.items():
        measures[key] = str(after["syntheses"][key]["measure"])
        measure = MEASURES.get(measures[key])
        no_effect = measure.no_effect if measure is not None else float("nan")
        corrections.append((key, corrected(answer, count(looks, key), plan.file.level, no_effect)))
    moves = before_after(before, after, changes.names if changes else None) if before is not None else None
    title = plan.file.title
    return Update(title, label, "the working tree", changes, moves, tuple(corrections), tuple(notes), measures)
