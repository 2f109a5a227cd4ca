"""`catharsis reconcile`: two readers' files, how far they agree, and what is kept of where they do not."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date as calendar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catharsis.cli.output import tell
from catharsis.errors import At, InputError, InputErrors, did_you_mean, shown

if TYPE_CHECKING:
    from catharsis.checks.reading_agreement import CellAgreement
    from catharsis.references.library import Library
    from catharsis.studies.dictionary import Dictionary
    from catharsis.studies.double_extraction import Compared, Decision, DoubleExtraction

COLUMNS = ("sample", "effect", "cell", "first", "second", "take", "value")
TAKES = ("a", "b", "value")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was asked for.

    Attributes
    ----------
    first, second : Path
        The readers' files.
    into : Path or None
        The table to resolve them into; None reports only.
    by : str or None
        Who decides.
    take : str or None
        "a", "b" or a CSV file of decisions; None asks at the terminal.
    readers : tuple of str or None
        How the readers are called; by default by their files.
    conflicts : Path or None
        Where to write the conflicts as a CSV file to fill in.
    analysis : Path or None
        Folder of analysis.yaml; by default that of `into`, else that of `first`.
    day : str or None
        The day of the decisions; by default today.
    """

    first: Path
    second: Path
    into: Path | None = None
    by: str | None = None
    take: str | None = None
    readers: tuple[str, str] | None = None
    conflicts: Path | None = None
    analysis: Path | None = None
    day: str | None = None


def reconcile(wanted: Wanted, ask: Callable[[str], str] | None = None) -> int:
    """Compare two extractions, report agreement, and write what was agreed into the table.

    Parameters
    ----------
    wanted : Wanted
        What to do.
    ask : callable, optional
        Puts a question to the person at the terminal; None when there is nobody.

    Returns
    -------
    int
        0 when done; 1 when conflicts stay open, and nothing is written then.
    """
    from catharsis.checks.reading_agreement import cell_agreements
    from catharsis.studies.double_extraction import compare_extractions, read_extraction

    dictionary, library = _analysis(wanted)
    names = wanted.readers or _names(wanted.first, wanted.second)
    problems: list[InputError] = []
    found = []
    for path, name in zip((wanted.first, wanted.second), names, strict=True):
        try:
            found.append(read_extraction(path, dictionary, name, library))
        except InputErrors as wrong:
            problems += wrong.problems
    if problems:
        raise InputErrors(problems)
    double = compare_extractions(*found)
    _report(double, cell_agreements(double))
    if wanted.conflicts is not None:
        from catharsis.files import write_atomically

        write_atomically(wanted.conflicts, conflicts_csv(double))
        tell(f"the conflicts are in {wanted.conflicts}: fill take (a, b or value), then --take {wanted.conflicts}")
    if wanted.into is None:
        return 0
    decisions = _decisions(double, wanted, ask)
    if decisions is None:
        sys.stderr.write(
            "conflicts stay open, so nothing was written: run it in a terminal to be asked, or decide with --take "
            "a|b|FILE.csv (--conflicts FILE.csv writes the file to fill in)\n"
        )
        return 1
    return _write(double, decisions, wanted, dictionary, library)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The readers by their files, or by the folders when the files are called the same."""
    if first.stem != second.stem:
        return first.stem, second.stem
    folders = first.resolve().parent.name, second.resolve().parent.name
    return folders if folders[0] != folders[1] else ("first", "second")


def _analysis(wanted: Wanted) -> tuple[Dictionary, Library | None]:
    """Dictionary of the analysis, and its bibliography where there is one."""
    from catharsis.plan.spec import read_plan

    folder = wanted.analysis or (wanted.into or wanted.first).parent
    if wanted.analysis is None and not (folder / "analysis.yaml").is_file():
        what = f"no analysis.yaml stands beside {(wanted.into or wanted.first).name}"
        why, fix = "it declares the outcomes and moderators of both files", "name its folder: --analysis analyses/NAME"
        raise InputErrors([InputError(At((wanted.into or wanted.first).as_posix()), what, why, fix, "reconcile")])
    plan = read_plan(folder)
    return plan.dictionary, plan.library


def reader_names(text: str) -> tuple[str, str] | None:
    """Two names from "A,B"; None when these are not two."""
    names = [name.strip() for name in text.split(",")]
    return (names[0], names[1]) if len(names) == 2 and all(names) and names[0] != names[1] else None


def asking() -> Callable[[str], str] | None:
    """How to ask the person at the terminal; None when nobody sits there."""
    if not sys.stdin.isatty():
        return None

    def ask(question: str) -> str:
        import typer

        return str(typer.prompt(question, prompt_suffix=": ", default="", show_default=False))

    return ask


# -- what is said ---------------------------------------------------------------------------------------


def _report(double: DoubleExtraction, agreements: Sequence[CellAgreement]) -> None:
    first, second = double.first.reader, double.second.reader
    alone = [one for one in double.compared if one.kind == "effect"]
    lonely = [sum(one.b is None for one in alone), sum(one.a is None for one in alone)]
    content = f" ({len(double.by_content)} of them by what they measure)" if double.by_content else ""
    both = f"{len(double.pairs)} effect{'s' * (len(double.pairs) != 1)} in both files{content}"
    tell(f"{both}, {lonely[0]} only in {first}, {lonely[1]} only in {second}")
    for line in agreement_lines(agreements, (first, second)):
        tell(line)
    for one in double.wordings:
        tell(f"wording: {_where(one)}: {first} {shown(one.a)}, {second} {shown(one.b)} (kept: {first}'s, if any)")
    for one in double.conflicts:
        tell(f"conflict: {_where(one)}: {_both(double, one)}")
    n = len(double.conflicts)
    tell(f"{n} conflict{'s' * (n != 1)}")


def agreement_lines(agreements: Sequence[CellAgreement], readers: tuple[str, str]) -> list[str]:
    """One line per cell: how many pairs are the same, the coefficient with its interval, what only one reader wrote."""
    width = max((len(one.cell) for one in agreements), default=0)
    found = []
    for one in agreements:
        line = f"  {one.cell:<{width}}  {one.same} of {one.n} the same"
        if one.coefficient is not None and (one.same < one.n or not math.isnan(one.coefficient.estimate)):
            line += f", {_coefficient(one)}"
        missing = [f"{count} only by {reader}" for count, reader in
                   ((one.only_first, readers[0]), (one.only_second, readers[1])) if count]  # fmt: skip
        found.append(line + "".join(f", {text}" for text in missing))
    return found


def _coefficient(one: CellAgreement) -> str:
    found = one.coefficient
    assert found is not None
    if math.isnan(found.estimate):
        return f"{found.name} undefined ({found.note})"
    if math.isnan(found.low):
        return f"{found.name} {found.estimate:.2f}"
    return f"{found.name} {found.estimate:.2f} [{found.low:.2f} to {found.high:.2f}]"


def _where(one: Compared) -> str:
    a, b = one.pairs[0]
    found = a or b
    assert found is not None
    more = f" and {len(one.pairs) - 1} more" if len(one.pairs) > 1 else ""
    return f"{found.sample} / {found.row.id}{more}: {one.cell}"


def _both(double: DoubleExtraction, one: Compared) -> str:
    pairs = ((double.first.reader, one.a, one.at[0]), (double.second.reader, one.b, one.at[1]))
    return ", ".join(f"{reader} {_said(one, value)} ({at})" for reader, value, at in pairs)


def _said(one: Compared, value: Any) -> str:
    if one.kind == "effect":
        return "has it" if value is not None else "has no such effect"
    return as_text(value) if value is not None else "nothing"


def as_text(value: Any) -> str:
    """A cell with the digits of the file."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_text(part) for part in value) + "]"
    return str(getattr(value, "text", value))


def conflicts_csv(double: DoubleExtraction) -> str:
    """The conflicts as a sheet to fill in."""
    from catharsis.report.tables import to_csv

    rows = []
    for one in double.conflicts:
        a, b = one.pairs[0]
        found = a or b
        assert found is not None
        both = [None if value is None else as_text(value) for value in (one.a, one.b)]
        rows.append([found.sample, one.effect, one.cell, *both, None, None])
    return to_csv(list(COLUMNS), rows)


# -- what is decided ------------------------------------------------------------------------------------


def _decisions(
    double: DoubleExtraction, wanted: Wanted, ask: Callable[[str], str] | None
) -> tuple[Decision, ...] | None:
    """One decision for every conflict; None when some stay open."""
    from catharsis.studies.double_extraction import Decision

    if wanted.take in ("a", "b"):
        return tuple(Decision(one, one.a if wanted.take == "a" else one.b) for one in double.conflicts)
    if wanted.take is not None:
        return _from_sheet(double, Path(wanted.take))
    if double.conflicts and ask is None:
        return None
    found = []
    for one in double.conflicts:
        assert ask is not None
        decision = _asked(double, one, ask)
        if decision is None:
            return None
        found.append(decision)
    return tuple(found)


def _asked(double: DoubleExtraction, one: Compared, ask: Callable[[str], str]) -> Decision | None:
    """Ask until there is an answer; q stops."""
    from catharsis.studies.double_extraction import Decision

    first, second = double.first.reader, double.second.reader
    other = "" if one.kind == "effect" else ", =VALUE for another value"
    tell(f"{_where(one)}: a: {first} {_said(one, one.a)}; b: {second} {_said(one, one.b)}")
    while True:
        answer = ask(f"keep a or b{other}, q to stop").strip()
        if answer in ("a", "b"):
            return Decision(one, one.a if answer == "a" else one.b)
        if answer == "q":
            return None
        if answer.startswith("=") and one.kind != "effect" and answer[1:].strip():
            try:
                return Decision(one, typed(answer[1:], one, At("terminal")))
            except InputErrors as wrong:
                tell(str(wrong))
                continue
        tell(f"please answer a or b{other}, or q")


def typed(text: str, one: Compared, at: At) -> Any:
    """A value that somebody wrote instead of the readers', read as it would be in the table."""
    from catharsis.studies.yaml_source import parse_yaml

    text = text.strip()
    number = one.kind == "number" or isinstance(one.a, list) or isinstance(one.b, list)
    if not number:
        return text
    try:
        data = parse_yaml(f"v: {text}\n", at.file).data
    except InputErrors:
        data = None
    value = data["v"] if isinstance(data, dict) and list(data) == ["v"] else None
    good = value is not None and not isinstance(value, bool | str | dict)
    if good and isinstance(value, list) == (isinstance(one.a, list) or isinstance(one.b, list)):
        return value
    raise InputErrors(
        [
            InputError(
                at,
                f"{shown(text)} cannot be the value of {one.cell}",
                "both readers wrote numbers there",
                "write the digits only, with a decimal point",
                "reconcile",
            )
        ]
    )


def _from_sheet(double: DoubleExtraction, path: Path) -> tuple[Decision, ...]:
    """Decisions from a CSV file; each conflict needs exactly one."""
    from catharsis.studies.double_extraction import Decision

    rows, problems = _sheet(path)
    open_ = {(_sample(one), one.effect, one.cell): one for one in double.conflicts}
    found: dict[tuple[str, str, str], Decision] = {}
    for line, row in rows:
        at = At(path.as_posix(), line)
        sample, effect, cell = (unquoted(row.get(name) or "") for name in COLUMNS[:3])
        key, take = (sample, effect, cell), (row.get("take") or "").strip().lower()
        value = unquoted(row.get("value") or "")
        if key not in open_:
            problems.append(
                _slip(at, f"there is no conflict {' / '.join(key)}", "write the file anew with --conflicts")
            )
        elif key in found:
            problems.append(_slip(at, f"{' / '.join(key)} is decided twice", "keep one of the two lines"))
        elif take not in TAKES or (take == "value") != bool(value.strip()):
            fix = "write a, b, or value with the value beside it" if take else "fill take: a, b or value"
            problems.append(_slip(at, f"{' / '.join(key)} has take {shown(take)} and value {shown(value)}", fix))
        elif take == "value" and open_[key].kind == "effect":
            problems.append(_slip(at, "an effect is there or not", "write a or b"))
        else:
            one = open_[key]
            try:
                kept = typed(value, one, at) if take == "value" else one.a if take == "a" else one.b
                found[key] = Decision(one, kept)
            except InputErrors as wrong:
                problems += wrong.problems
    missing = [key for key in open_ if key not in found]
    if missing and not problems:
        at = At(path.as_posix())
        problems += [_slip(at, f"{' / '.join(key)} is not decided", "add a line for it") for key in missing]
    if problems:
        raise InputErrors(problems)
    return tuple(found[key] for key in open_)


def _sample(one: Compared) -> str:
    a, b = one.pairs[0]
    found = a or b
    assert found is not None
    return found.sample


def unquoted(text: str) -> str:
    """A cell without the quote that keeps spreadsheets from running it."""
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@", "\t", "\r") else text


def _sheet(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[InputError]]:
    from catharsis.studies.yaml_source import read_text

    text = read_text(path)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as wrong:
        raise InputErrors([_slip(At(path.as_posix()), f"this is no CSV file ({wrong})", "save it as CSV")]) from None
    lost = [name for name in ("sample", "effect", "cell", "take") if name not in header]
    if lost:
        what = f'there is no column "{lost[0]}"'
        raise InputErrors([_slip(At(path.as_posix(), 1), what, did_you_mean(lost[0], header))])
    problems = [
        _slip(At(path.as_posix(), line), "the line has more cells than the header", "quote cells that hold commas")
        for line, row in rows
        if None in row
    ]
    return [(line, row) for line, row in rows if any((cell or "").strip() for cell in _texts(row))], problems


def _separator(text: str) -> str:
    """What parts the cells: a comma, or what spreadsheets use where the comma is the decimal sign."""
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _texts(row: dict[Any, Any]) -> list[str]:
    return [cell for cell in row.values() if isinstance(cell, str)]


def _slip(at: At, what: str, fix: str) -> InputError:
    return InputError(at, what, "every conflict needs one decision that somebody took", fix, "reconcile")


# -- what is written ------------------------------------------------------------------------------------


def _write(
    double: DoubleExtraction, decisions: Sequence[Decision], wanted: Wanted, dictionary: Dictionary,
    library: Library | None,
) -> int:  # fmt: skip
    from catharsis.studies.double_extraction import agreed_effects
    from catharsis.studies.edit import save_table
    from catharsis.studies.reconciliation import with_agreed

    assert wanted.into is not None
    assert wanted.by is not None
    day = wanted.day or calendar.today().isoformat()
    agreed = agreed_effects(double, decisions, wanted.by, day)
    old, new = save_table(
        wanted.into,
        lambda table: with_agreed(table, agreed),
        lambda text: check_text(text, wanted.into, dictionary, library),
    )
    n = len(decisions)
    changed = "nothing changed" if old == new else f"{len(agreed)} effect{'s' * (len(agreed) != 1)} agreed"
    tell(f"{wanted.into}: {changed}, {n} conflict{'s' * (n != 1)} resolved by {wanted.by} on {day}")
    return 0


def check_text(text: str, path: Path | None, dictionary: Dictionary, library: Library | None) -> None:
    """Read a table before it is written; its problems are told as those of the file that it would become."""
    import tempfile

    from catharsis.checks.run import check_rows
    from catharsis.studies.table import read_studies

    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "studies.yaml"
        trial.write_text(text, encoding="utf-8", newline="")
        try:
            if errors := check_rows(read_studies(trial, dictionary, library)).errors:
                raise InputErrors(errors)
        except InputErrors as found:
            name = Path(path or "studies.yaml").as_posix()
            raise InputErrors(
                [
                    InputError(At(name, p.at.line), p.what.replace(trial.as_posix(), name), p.why, p.fix, p.rule)
                    for p in found.problems
                ]
            ) from None
