"""`catharsis add`: one study more, checked before it is written, and what it did to the pooled results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catharsis.cli.output import complain, tell
from catharsis.errors import At, InputError, InputErrors

if TYPE_CHECKING:
    from catharsis.checks.run import Findings
    from catharsis.plan.checking import Checked
    from catharsis.plan.pooled_change import PooledChange
    from catharsis.plan.results import SynthesisResult
    from catharsis.plan.spec import Plan
    from catharsis.references.library import Reference
    from catharsis.studies.edit import TableText
    from catharsis.studies.entries import Entries

TABLES = (".csv", ".tsv", ".xlsx")
BIBLIOGRAPHIES = (".bib", ".ris", ".nbib")
STDIN = "standard input"


@dataclass(frozen=True, slots=True)
class NewReference:
    """A reference that comes with the study.

    Attributes
    ----------
    reference : Reference
        As the bibliography has it, or will.
    given : Reference
        As it came in.
    bibliography : Path
        A .bib file, or a folder of them.
    into : str or None
        The .bib file of the folder that it goes into.
    known : bool
        Whether the bibliography has it already.
    """

    reference: Reference
    given: Reference
    bibliography: Path
    into: str | None
    known: bool

    def write(self) -> None:
        """Append it to the bibliography, unless it is there."""
        from catharsis.references.additions import add_references

        if not self.known:
            done = add_references(self.bibliography, [self.given], into=self.into, keep_keys=True)
            for one in done.new:
                tell(f"{done.file.as_posix()}: added {one.reference.key}, {one.reference.label}")


def add(
    folder: Path,
    source: Path | None,
    bibtex: bool,
    *,
    sheet: str | None = None,
    dry_run: bool = False,
    results: bool = True,
) -> int:
    """Add studies to an analysis.

    Parameters
    ----------
    folder : Path
        The analysis.
    source : Path or None
        A YAML, CSV or Excel file with the studies; None asks at the terminal.
    bibtex : bool
        Take the reference, as BibTeX, from standard input.
    sheet : str or None
        The sheet of a workbook; None when only one holds something.
    dry_run : bool
        Show what would happen, and write nothing.
    results : bool
        Show the pooled results before and after.

    Returns
    -------
    int
        0 done.

    Raises
    ------
    InputErrors
        What is wrong with the study, the reference or the table; nothing is written then.
    """
    from catharsis.plan.checking import check
    from catharsis.plan.spec import read_plan

    plan = read_plan(folder)
    new = _reference(plan) if bibtex else None
    if new is not None:
        plan = replace(plan, library=plan.library.merged({new.reference.key: new.reference}))
    if source is None:
        if bibtex and not _terminal():
            return _reference_alone(new, folder, dry_run)
        entries = _ask(plan, new)
    else:
        entries = _read(source, plan, new.reference.key if new is not None else None, sheet)
    check_entries(plan, entries)
    old, text = _insert(plan, entries, new, dry_run=dry_run)
    before, after = check(plan, old), check(plan, text)  # of what was on the disk then, whoever else adds meanwhile
    _show(plan, entries, old, text, dry_run=dry_run)
    _show_findings(before, after)
    if results:
        _show_results(plan, before, after)
    if not dry_run:
        tell(f"next: catharsis report {folder.as_posix()}")
    return 0


# -- what comes in ----------------------------------------------------------------------------------------


def _reference(plan: Plan) -> NewReference:
    """The one reference on standard input."""
    from catharsis.references.bibtex import parse_bib
    from catharsis.studies.yaml_source import MAX_BYTES

    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _one(
            At(STDIN), "there are more than 20 MB", "a reference is a few lines", "pipe in one entry", "bib-file"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as found:
        line = data[: found.start].count(b"\n") + 1
        raise _one(
            At(STDIN, line), f"byte {data[found.start]:#04x} is not UTF-8", "names need one agreed encoding",
            "save the entry as UTF-8", "bib-file",
        ) from None  # fmt: skip
    references, problems = parse_bib(text, STDIN)
    if not references and not problems:
        raise _one(
            At(STDIN, 1), "there is no BibTeX entry", "a reference begins with @article{key, or another type",
            "pipe one in: catharsis add FOLDER --bibtex < entry.bib", "bib-file",
        )  # fmt: skip
    if problems:
        raise InputErrors(problems)
    if len(references) > 1:
        raise _one(
            references[1].at, f"there are {len(references)} entries", "one study is added at a time",
            "pipe in one entry, or bring them all in with catharsis import", "bib-file",
        )  # fmt: skip
    return _held_against(plan, references[0])


def _held_against(plan: Plan, given: Reference) -> NewReference:
    """A reference as the bibliography has it, or will."""
    from catharsis.plan.spec import bibliography_of
    from catharsis.references.additions import add_references

    bibliography = bibliography_of(plan.folder)
    into = _home(plan, bibliography)
    one = add_references(bibliography, [given], into=into, keep_keys=True, write=False).additions[0]
    if one.same is not None:
        there = one.same.first
        tell(f"the bibliography has it already: {there.key} ({there.at}; {one.same.why})")
        return NewReference(there, given, bibliography, into, True)
    for like in one.perhaps:
        tell(f"compare it with {like.first.key} ({like.first.at}): {like.why}")
    if one.reference.key != given.key:
        tell(f"its key is {one.reference.key} (the key {given.key} is taken)")
    return NewReference(one.reference, given, bibliography, into, False)


def _home(plan: Plan, bibliography: Path) -> str | None:
    """The .bib file of a folder that holds most of the works that the table cites."""
    from collections import Counter

    from catharsis.studies.yaml_source import read_yaml

    if not bibliography.is_dir():
        return None
    data = read_yaml(plan.table_path).data
    studies = data.get("studies") if isinstance(data, dict) else None
    cited = [str(study.get("cite")) for study in studies or () if isinstance(study, dict)]
    files = [Path(plan.library[key].at.file) for key in cited if key in plan.library]
    most = Counter(file.name for file in files if file.parent.resolve() == bibliography.resolve()).most_common(1)
    return most[0][0] if most else None


def _reference_alone(new: NewReference | None, folder: Path, dry_run: bool) -> int:
    """Without a terminal and without a file only the reference can be kept."""
    if new is not None:
        if not dry_run:
            new.write()
        tell(f"its numbers: catharsis add {folder.as_posix()} --from FILE, with cite: {new.reference.key}")
    return 0


def _read(source: Path, plan: Plan, cite: str | None, sheet: str | None) -> Entries:
    from catharsis.studies.entries import read_entries

    if source.suffix.lower() in TABLES:
        return _read_table(source, plan, cite, sheet)
    if source.suffix.lower() in BIBLIOGRAPHIES:
        raise _one(
            At(source.as_posix()), "this is a bibliography", "a study holds numbers",
            f"bring it in with catharsis import {plan.folder.as_posix()} {source.as_posix()}", "no-study",
        )  # fmt: skip
    entries = read_entries(source)
    return entries.citing(cite) if cite is not None else entries


def _read_table(source: Path, plan: Plan, cite: str | None, wanted: str | None) -> Entries:
    """Rows of a CSV or Excel file whose columns bear the names of the table's cells, or metafor's."""
    from catharsis.plan.checking import check
    from catharsis.studies.entries import entries_of_rows
    from catharsis.studies.imported import Choices, import_sheet
    from catharsis.studies.spreadsheets import read_sheet
    from catharsis.studies.table import SHARED_CELLS

    sheet = read_sheet(source, wanted)
    own = {column: column for column in sheet.columns if column in SHARED_CELLS}
    choices = Choices(cite=cite if "cite" not in sheet.columns else None, columns=own)
    found = import_sheet(sheet, plan.dictionary, plan.library, choices, check(plan).table)
    for at in found.there:
        tell(f"{at}: the table holds this effect already")
    if found.left:
        tell(f"{sheet.file}: columns not used: {', '.join(found.left)}")
    if not found.studies:
        raise _one(
            sheet.at, "no row is new", "there is nothing to add", "check that it is the file you meant", "no-study"
        )
    return entries_of_rows(found.studies, found.places, sheet.file)


def _terminal() -> bool:
    """Whether a person sits there; when standard input was read for BibTeX, at the terminal itself."""
    if sys.stdin.isatty():
        return True
    try:
        sys.stdin = Path("/dev/tty").open(encoding="utf-8")  # noqa: SIM115  (it stays open for the questions)
    except OSError:
        return False
    return True


def _ask(plan: Plan, new: NewReference | None) -> Entries:
    """Ask for a study until it can stand."""
    from catharsis.cli.questions import Asking, Terminal
    from catharsis.studies.edit import read_exactly
    from catharsis.studies.entries import entries_of
    from catharsis.studies.yaml_source import parse_yaml

    terminal = Terminal()
    table = read_exactly(plan.table_path)

    def verify(study: dict[str, Any]) -> Sequence[InputError]:
        try:
            found = check_entries(plan, entries_of(parse_yaml(_block(study), "your answers")))
        except InputErrors as problems:
            return problems.problems
        return found.warnings

    study = Asking(plan, table.source, terminal, verify).study(new.reference.key if new is not None else None)
    text = _block(study)
    while True:
        terminal.say("\n" + text.rstrip() + "\n")
        try:
            entries = entries_of(parse_yaml(text, "your answers"))
            check_entries(plan, entries)
            _candidate(plan, table, entries)
        except InputErrors as found:
            complain(found)
            if not terminal.yes("Mend it in the editor?", True):
                raise
            text = _edited(text)
            continue
        answer = terminal.ask("Add it? y = yes, e = edit the text, n = no", "y").lower()
        if answer in ("y", "yes"):
            return entries
        if answer in ("e", "edit"):
            text = _edited(text)
        elif answer in ("n", "no"):
            raise _one(At(plan.table_path.as_posix()), "nothing was added", "you said no", "start again", "answer")


def _block(study: dict[str, Any]) -> str:
    """A study as it will stand in the table."""
    from catharsis.studies.edit import TableText

    return TableText("studies: []\n", "your answers").with_entry(("studies",), study).text


def _edited(text: str) -> str:
    import click

    return click.edit(text, extension=".yaml") or text


# -- checking ---------------------------------------------------------------------------------------------


def check_entries(plan: Plan, entries: Entries) -> Findings:
    """Hold the new studies alone against the same rules as the table, with the lines of their own file.

    Raises
    ------
    InputErrors
        All that is wrong with them.
    """
    from catharsis.checks.run import check_rows
    from catharsis.studies.table import table_of

    found = check_rows(table_of(entries.source, plan.dictionary, plan.library))
    if found.errors:
        raise InputErrors(found.errors)
    return found


def _inserted(table: TableText, entries: Entries) -> TableText:
    """The table with the new studies in their places."""
    from catharsis.studies.entries import place_of

    data = table.source.data
    known = data.get("studies") if isinstance(data, dict) else None
    there = [study if isinstance(study, dict) else {} for study in (known if isinstance(known, list) else ())]
    return table.with_entries(("studies",), [(study, place_of(there, study)) for study in entries.studies])


def _candidate(plan: Plan, table: TableText, entries: Entries) -> Checked:
    """Check the table as it would be; problems say where they stand now."""
    from catharsis.plan.checking import check

    new = _inserted(table, entries)
    try:
        return check(plan, new.text)
    except InputErrors as found:
        name = plan.table_path.as_posix()
        places = _places(table, new, entries)
        raise InputErrors([_where_it_stands(problem, name, places) for problem in found.problems]) from None


def _places(table: TableText, new: TableText, entries: Entries) -> dict[int, At]:
    """Line of the table as it would be -> where that line stands now: in the table, or in the file of the studies."""
    found = {line: At(table.name, there) for line, there in _lines(table.text, new.text).items()}
    own = {repr(study): i for i, study in enumerate(entries.studies)}
    for path, line in new.source.lines.items():
        if line not in found and len(path) >= 2 and path[0] == "studies":
            i = own.get(repr(new.source.data["studies"][path[1]]))
            if i is not None:
                found[line] = entries.source.at(("studies", i, *path[2:]))
    return found


def _lines(old: str, new: str) -> dict[int, int]:
    """Line in the new text -> line in the old one, for those that were there before."""
    from difflib import SequenceMatcher

    first, second = old.splitlines(), new.splitlines()
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    found = {i + 1: i + 1 for i in range(start)}
    matcher = SequenceMatcher(None, first[start:], second[start:], autojunk=False) if len(second) < 5000 else None
    if matcher is None:  # one block went in: the rest moved down by its length
        shift = len(second) - len(first)
        return found | {i + 1: i + 1 - shift for i in range(start + shift, len(second))}
    for a, b, size in matcher.get_matching_blocks():
        found |= {start + b + i + 1: start + a + i + 1 for i in range(size)}
    return found


def _where_it_stands(problem: InputError, name: str, places: dict[int, At]) -> InputError:
    if problem.at.file != name or problem.at.line not in places:
        return problem
    return InputError(places[problem.at.line], problem.what, problem.why, problem.fix, problem.rule)


# -- writing ----------------------------------------------------------------------------------------------


def _insert(plan: Plan, entries: Entries, new: NewReference | None, *, dry_run: bool) -> tuple[str, str]:
    """Write reference and study, in this order, so that no moment has a study that cites nothing."""
    from catharsis.studies.edit import read_exactly, save_table

    if dry_run:
        table = read_exactly(plan.table_path)
        _candidate(plan, table, entries)
        return table.text, _inserted(table, entries).text

    def change(table: TableText) -> TableText:
        _candidate(plan, table, entries)
        return _inserted(table, entries)

    def write_reference(_: str) -> None:
        if new is not None:
            new.write()

    return save_table(plan.table_path, change, write_reference)


# -- showing ----------------------------------------------------------------------------------------------


def _show(plan: Plan, entries: Entries, old: str, text: str, *, dry_run: bool) -> None:
    studies = entries.studies
    effects = sum(len(sample.get("effects") or ()) for study in studies for sample in study.get("samples") or ())
    names = ", ".join(str(study.get("label")) for study in studies[:5]) + (" ..." if len(studies) > 5 else "")
    line = next((i for i, (a, b) in enumerate(zip(old.splitlines(), text.splitlines(), strict=False), 1) if a != b),
                len(old.splitlines()) + 1)  # fmt: skip
    verb = "would add" if dry_run else "added"
    tell(f"{plan.table_path.as_posix()}:{line}: {verb} {names} ({effects} effect{'s' * (effects != 1)})")
    if dry_run:
        had = _lines(old, text)
        tell("\n".join(row for i, row in enumerate(text.splitlines(), 1) if i not in had).strip("\n"))


def _show_findings(before: Checked, after: Checked) -> None:
    """Warnings that were not there before."""
    known = {(problem.rule, problem.what) for problem in before.warnings}
    for problem in after.warnings:
        if (problem.rule, problem.what) not in known:
            tell(f"warning: {problem}\n  rule: {problem.rule}")


def _show_results(plan: Plan, before: Checked, after: Checked) -> None:
    from catharsis.plan.pooled_change import pooled_changes

    changes = pooled_changes(plan, before.table, after.table)
    for line in change_lines(changes, plan):
        tell(line)
    rest = len(plan.file.syntheses) - len(changes)
    if not changes:
        tell("no synthesis takes it in: see rows: of the syntheses in analysis.yaml")
    elif rest:
        tell(f"the other {rest} synthes{'es are' if rest > 1 else 'is is'} as before")


def change_lines(changes: Sequence[PooledChange], plan: Plan) -> list[str]:
    """What moved: for each synthesis what was pooled before and after, and its coefficients when it has some."""
    labels = {name: moderator.label for name, moderator in plan.dictionary.moderators.items()}
    labels |= {
        f"{name}={level}": label
        for name, moderator in plan.dictionary.moderators.items()
        for level, label in (moderator.levels or {}).items()
    }
    lines = []
    for one in changes:
        lines.append(f"{one.spec.id}: {one.spec.title}")
        left = dict(one.after.effects.left_out) if one.after is not None else {}
        out = [row for row in one.joined if row in left]
        lines += [f"  leaves out {row}: {left[row]}" for row in out]
        if out and len(out) == len(one.joined) and not one.left and not one.changed:
            continue  # nothing that is pooled has changed
        for word, result in (("before", one.before), ("after ", one.after)):
            lines += [f"  {word}  {text}" for text in _results(result, labels)]
    return lines


def _results(result: SynthesisResult | None, labels: dict[str, str]) -> list[str]:
    """An average as the report words it with what it rests on, or one line for each coefficient."""
    from catharsis.report.numbers import count
    from catharsis.report.prose import difference, differences, limits, term_label, unit_phrase, value

    if result is None:
        return ["cannot be combined"]
    measure = result.effects.measure
    basis = f"{count(result.effects.samples, 'sample')}, {count(len(result.effects), 'effect')}"
    estimate, low, high = result.headline()
    if estimate != estimate:  # nan: nothing to pool
        return [f"no estimate ({basis})"]
    if result.fit is not None and result.fit.blocks.p > 1:
        bounds = list(zip(*result.fit.interval(), strict=True))
        return [
            f"{term_label(term, labels)} {difference(measure, float(result.fit.beta[i]))} "
            f"[{differences(measure, *map(float, bounds[i]))}] ({basis})"
            for i, term in enumerate(result.fit.terms)
            if i > 0
        ]
    school = "Bayesian, " if result.fit is not None and result.gate.headline == "bayes" else ""
    text = f"{value(measure, estimate)} [{limits(measure, low, high)}] {unit_phrase(result)}".rstrip()
    return [f"{text} ({school}{basis}){f'; {result.verdict}' if result.verdict else ''}"]


def _one(at: At, what: str, why: str, fix: str, rule: str) -> InputErrors:
    return InputErrors([InputError(at, what, why, fix, rule)])
