"""`catharsis import`: references from other programs, and effects from somebody's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from catharsis.cli.output import tell
from catharsis.errors import At, InputError, InputErrors, shown

if TYPE_CHECKING:
    from catharsis.plan.spec import Plan
    from catharsis.references.additions import Added, Addition
    from catharsis.references.bibliographies import Bibliography
    from catharsis.studies.edit import TableText
    from catharsis.studies.imported import Choices, Imported
    from catharsis.studies.spreadsheets import Sheet

TABLES = (".csv", ".tsv", ".xlsx", ".xlsm", ".xls", ".ods")
SHOWN = 20  # references told one by one; of the others the number


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for; the fields are its options."""

    into: str | None = None
    keep_keys: bool = False
    columns: tuple[str, ...] = ()
    outcome: str | None = None
    cite: str | None = None
    cells: tuple[str, ...] = ()
    sheet: str | None = None
    dry_run: bool = False


def import_files(folder: Path, files: Sequence[Path], wishes: Wishes) -> int:
    """Import bibliographies and tables into an analysis, bibliographies first.

    Parameters
    ----------
    folder : Path
        The analysis.
    files : sequence of Path
        Bibliographies (.bib, .ris, .nbib, .json, .txt) and tables (.csv, .tsv, .xlsx).
    wishes : Wishes
        Options.

    Returns
    -------
    int
        0 done.

    Raises
    ------
    InputErrors
        What is wrong with the files; the bibliography and the table are as they were then.
    """
    tables = [file for file in files if file.suffix.lower() in TABLES]
    bibliographies = [file for file in files if file not in tables]
    if bibliographies:
        _import_references(folder, bibliographies, wishes)
    for file in tables:
        _import_table(folder, file, wishes)
    return 0


# -- references ---------------------------------------------------------------------------------------------


def _import_references(folder: Path, files: Sequence[Path], wishes: Wishes) -> None:
    from catharsis.plan.spec import bibliography_of
    from catharsis.references.additions import add_references
    from catharsis.references.formats import read_bibliography

    bibliography = bibliography_of(folder)
    found = [read_bibliography(file) for file in files]
    problems = [problem for one in found for problem in one.problems]
    if problems:
        raise InputErrors(problems)
    for one in found:
        added = add_references(
            bibliography,
            one.references,
            into=wishes.into,
            keep_keys=wishes.keep_keys,
            link_keys=one.format == "BibTeX",
            write=not wishes.dry_run,
            date=date.today().isoformat(),
        )
        _tell_references(one, added, folder, wishes.dry_run)


def _tell_references(read: Bibliography, added: Added, folder: Path, dry_run: bool) -> None:
    there = [one for one in added.additions if one.same is not None]
    doubtful = [one for one in added.new if one.perhaps]
    for title, additions, words in (
        ("would add" if dry_run else "added", added.new, _new_words),
        ("there already", there, _there_words),
    ):
        for one in additions[:SHOWN]:
            tell(f"{title}: {words(one)}")
        if len(additions) > SHOWN:
            tell(f"{title}: and {len(additions) - SHOWN} more")
    for one in doubtful:
        for like in one.perhaps:
            tell(f"look: {one.reference.key} may be {like.first.key} ({like.first.at}): {like.why}")
            tell(f"  the same: catharsis duplicates {folder.as_posix()} --link {one.reference.key}={like.first.key}")
            tell(
                f"  two works: catharsis duplicates {folder.as_posix()} --distinct {one.reference.key}={like.first.key}"
            )
    for link in added.links[:SHOWN]:
        tell(f"link: {link.key} now finds {link.same_as} ({link.why})")
    for note in read.notes[:SHOWN]:
        tell(f"note: {note}")
    if len(read.notes) > SHOWN:
        tell(f"note: and {len(read.notes) - SHOWN} more of this kind")
    if read.left:
        listed = ", ".join(f"{tag} ({count})" for tag, count in read.left)
        tell(f"not kept, since no field of a .bib file holds it: {listed}")
    verb = "would be added to" if dry_run else "added to"
    tell(
        f"{read.file}: {len(added.additions)} reference{'s' * (len(added.additions) != 1)}, "
        f"{len(added.new)} {verb} {added.file.as_posix()}, "
        f"{len(there)} there already, {len(doubtful)} to look at"
    )


def _new_words(one: Addition) -> str:
    renamed = f" (its key was {one.given.key})" if one.given.key and one.given.key != one.reference.key else ""
    return f"{one.reference.key}, {one.reference.label}: {one.reference.title[:70]}{renamed}"


def _there_words(one: Addition) -> str:
    if one.same is None:
        return ""
    first = one.same.first
    return f"{one.given.at} is {first.key} ({first.at if first.at != one.given.at else 'earlier'}): {one.same.why}"


# -- tables -------------------------------------------------------------------------------------------------


def _import_table(folder: Path, file: Path, wishes: Wishes) -> None:
    from catharsis.plan.checking import check
    from catharsis.plan.spec import read_plan
    from catharsis.studies.edit import read_exactly, save_table
    from catharsis.studies.spreadsheets import read_sheet

    plan = read_plan(folder)
    sheet = read_sheet(file, wishes.sheet)
    choices = _choices(wishes)
    known = {(problem.rule, problem.what) for problem in check(plan).warnings}
    done: list[Imported] = []

    def change(old: TableText) -> TableText:
        new, imported = _with_rows(plan, old, sheet, choices)
        done.append(imported)
        return new

    if wishes.dry_run:
        change(read_exactly(plan.table_path))
    else:
        save_table(plan.table_path, change)
    imported = done[-1]
    verb = "would be added to" if wishes.dry_run else "added to"
    n, m = len(imported.places), len(imported.studies)
    for study in imported.studies[:SHOWN]:
        effects = sum(len(sample["effects"]) for sample in study["samples"])
        tell(f"{study['label']}: {effects} effect{'s' * (effects != 1)} ({study['cite']})")
    if m > SHOWN:
        tell(f"and {m - SHOWN} more stud{'ies' if m - SHOWN > 1 else 'y'}")
    for what, places in (("there already", imported.there), ("without numbers", imported.bare)):
        if places:
            rows = ", ".join(str(at.line) for at in places[:SHOWN]) + (" ..." if len(places) > SHOWN else "")
            tell(f"{what}: {len(places)} row{'s' * (len(places) != 1)} ({rows})")
    if imported.left:
        tell(f"columns not used: {', '.join(imported.left)}")
    if not wishes.dry_run:
        new_warnings = [problem for problem in check(plan).warnings if (problem.rule, problem.what) not in known]
        for problem in new_warnings[:SHOWN]:
            tell(f"warning: {problem}")
        if len(new_warnings) > SHOWN:
            tell(f"warning: and {len(new_warnings) - SHOWN} more; see catharsis check {folder.as_posix()}")
    tell(
        f"{sheet.file}: {n} effect{'s' * (n != 1)} of {m} stud{'ies' if m != 1 else 'y'} "
        f"{verb} {plan.table_path.as_posix()}"
    )


def _with_rows(plan: Plan, old: TableText, sheet: Sheet, choices: Choices) -> tuple[TableText, Imported]:
    """The table with the new studies, checked; problems of new rows are told at their row of the sheet."""
    from catharsis.plan.checking import check
    from catharsis.studies.entries import place_of
    from catharsis.studies.imported import import_sheet, in_the_sheet
    from catharsis.studies.table import table_of

    table = table_of(old.source, plan.dictionary, plan.library)
    imported = import_sheet(sheet, plan.dictionary, plan.library, choices, table)
    data = old.source.data
    there = [entry for entry in data.get("studies") or () if isinstance(entry, dict)]
    new = old.with_entries(("studies",), [(study, place_of(there, study)) for study in imported.studies])
    try:
        check(plan, new.text)
    except InputErrors as found:
        place = in_the_sheet(new.source, imported)
        raise InputErrors(map(place, found.problems)) from None
    return new, imported


def _choices(wishes: Wishes) -> Choices:
    from catharsis.studies.imported import Choices

    columns: dict[str, str] = {}
    for text in wishes.columns:
        columns |= _map_file(Path(text)) if "=" not in text else _pairs(text, "--map")
    cells: dict[str, str] = {}
    for text in wishes.cells:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InputErrors([_usage("--set", text, "write --set design=experiment")])
        cells[name.strip()] = value.strip()
    return Choices(wishes.outcome, wishes.cite, cells, columns)


def _pairs(text: str, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split(","):
        column, equals, name = pair.rpartition("=")
        if not equals or not column.strip():
            raise InputErrors([_usage(option, pair, "write --map COLUMN=m1,COLUMN=sd1")])
        if found.get(column.strip(), name.strip()) != name.strip():
            what = f"{option} calls the column {shown(column.strip())} {found[column.strip()]} and {name.strip()}"
            why, fix = "a column is one cell of the table", "name it once"
            raise InputErrors([InputError(At("catharsis import"), what, why, fix, "usage")])
        found[column.strip()] = name.strip()
    return found


def _usage(option: str, text: str, fix: str) -> InputError:
    what = f"{option} is {shown(text)}, which has no name, equals sign and value"
    why = "it gives a cell that all rows share" if option == "--set" else "it says what a column is called here"
    return InputError(At("catharsis import"), what, why, fix, "usage")


def _map_file(path: Path) -> dict[str, str]:
    """A YAML file with one line for each column: `column: our name`; empty leaves the column out."""
    from catharsis.studies.yaml_source import read_yaml

    source = read_yaml(path)
    problems = []
    if not isinstance(source.data, dict):
        problems.append(_map_problem(At(source.file, 1), "the file is no map of columns"))
    else:
        for column, name in source.data.items():
            if not isinstance(name, str | None):
                problems.append(_map_problem(source.at((column,)), f"{column} is {shown(name)}"))
    if problems:
        raise InputErrors(problems)
    return {column: name or "" for column, name in source.data.items()}


def _map_problem(at: At, what: str) -> InputError:
    why = "each line names a column of the table and what it is called here"
    return InputError(at, what, why, "write COLUMN: m1, one line for each column", "import-column")
