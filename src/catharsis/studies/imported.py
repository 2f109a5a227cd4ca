"""Rows of somebody's table become studies of ours: every number as printed, every row with its reference.

Columns are known by our own names and by metafor's (m1i, sd1i, n1i, ai, ri, yi, vi, ...); any other by a map.
Nothing is guessed: a name that means something else in another table (minutes, country) is taken only when the
map says so, an author whose work is not the only one of that year is a problem that lists the candidates, and a
column that is not used is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catharsis.errors import MANY, At, InputError, InputErrors, did_you_mean, shown
from catharsis.references.keys import folded, letters
from catharsis.references.library import Library, Reference
from catharsis.studies.authorship import matching, surnames, unmatched
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.edit import Digits
from catharsis.studies.schema import Counts, Numbers
from catharsis.studies.spreadsheets import Sheet, SheetRow, number_problem
from catharsis.studies.table import SHARED_CELLS, Row, StudyTable
from catharsis.studies.yaml_source import YamlSource

_COUNTED = ("events1", "nonevents1", "events2", "nonevents2", "better", "same", "worse", "share_better", "share_same",
            "share_worse", "episodes")  # fmt: skip
_NUMBERS = tuple(name for name in Numbers.model_fields if name not in {"n", "n1", "n2", "d_ci"})
_SIZES = ("n", "n1", "n2")
_INTERVAL = ("d_low", "d_high")
_NUMERIC = frozenset({*_COUNTED, *_NUMBERS, *_SIZES, *_INTERVAL, "minutes", "enrolled"})
_NAMING = ("cite", "author", "year", "label", "sample", "outcome", "where")
METAFOR = {  # names of metafor's arguments and data sets, and what they are here
    "m1i": "m1", "sd1i": "sd1", "n1i": "n1", "m2i": "m2", "sd2i": "sd2", "n2i": "n2",
    "ai": "events1", "bi": "nonevents1", "ci": "events2", "di": "nonevents2",
    "xi": "events1", "mi": "nonevents1", "ri": "r", "ni": "n", "ti": "t", "pi": "p", "Fi": "F",
    "yi": "yi", "vi": "vi", "sei": "sei",
}  # fmt: skip
COMPUTED = frozenset({"yi", "vi", "sei"})
_SHARED = tuple(name for name in SHARED_CELLS if name not in {*_SIZES, "outcome"})


@dataclass(frozen=True, slots=True)
class Choices:
    """What the table itself does not say.

    Attributes
    ----------
    outcome : str or None
        Outcome of every row without a column for it.
    cite : str or None
        The work in which all the numbers were read, when the rows name studies that the library does not hold.
    cells : mapping of str to str
        Cells that are the same in every row (design, evidence, a moderator).
    columns : mapping of str to str
        Column of the file to our name or metafor's; "" leaves a column out.
    """

    outcome: str | None = None
    cite: str | None = None
    cells: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """Studies that are ready to be inserted.

    Attributes
    ----------
    studies : tuple of dict
        As they stand in studies.yaml.
    places : mapping of str to At
        Effect id to the row it comes from.
    there : tuple of At
        Rows whose effect the table holds already.
    left : tuple of str
        Columns that were not used.
    bare : tuple of At
        Rows that hold no number.
    """

    studies: tuple[dict[str, Any], ...]
    places: Mapping[str, At]
    there: tuple[At, ...] = ()
    left: tuple[str, ...] = ()
    bare: tuple[At, ...] = ()


def import_sheet(
    sheet: Sheet, dictionary: Dictionary, library: Library, choices: Choices, table: StudyTable | None = None
) -> Imported:
    """Turn the rows of a sheet into studies.

    Parameters
    ----------
    sheet : Sheet
        The table.
    dictionary : Dictionary
        Outcomes and moderators of the analysis.
    library : Library
        Its references.
    choices : Choices
        Outcome, map of columns, and cells that all the rows share.
    table : StudyTable, optional
        What the analysis holds already: ids stay unique, and the same row does not come in twice.

    Returns
    -------
    Imported

    Raises
    ------
    InputErrors
        Every column and cell that cannot be taken without guessing, and every row without its one reference.
    """
    columns = _columns(sheet, dictionary, choices)
    problems = _choice_problems(sheet, columns, dictionary, library, choices)
    if problems:
        raise InputErrors(problems)
    rows = []
    for row in sheet.rows:
        if len(problems) >= MANY:
            break
        rows.append(_read(row, columns, dictionary, library, choices, problems))
    if problems:
        raise InputErrors(problems)
    known = {_same(row): row for row in table} if table is not None else {}
    there = tuple(row.at for row in rows if row.fingerprint() in known)
    fresh = [row for row in rows if row.fingerprint() not in known]
    taken = {str(row.get(name)) for row in table or () for name in ("sample", "effect")}
    places: dict[str, At] = {}
    studies = tuple(_study(group, dictionary, taken, places) for group in _grouped(fresh, table or ()))
    filled = {column for row in sheet.rows for column in row.cells}
    unused = filled - {column for row in sheet.rows for column in _held(row, columns, choices)}
    left = tuple(column for column in sheet.columns if not columns.get(column) or column in unused)
    return Imported(studies, places, there, left, tuple(row.at for row in fresh if not row.blocks))


# -- columns ------------------------------------------------------------------------------------------------


def _columns(sheet: Sheet, dictionary: Dictionary, choices: Choices) -> dict[str, str]:
    """Our name for each column that is used; those of the map first."""
    found: dict[str, str] = {}
    for column, name in choices.columns.items():
        found[column] = METAFOR.get(name, name)
    told = set(found.values())
    own = {*_COUNTED, *_NUMBERS, *_SIZES, *_INTERVAL, *_NAMING, *dictionary.moderators}
    for column in sheet.columns:
        name = column if column in own else METAFOR.get(column, "")
        if column not in found and name and name not in told:
            found[column] = name
    return found


def _has_raw(names: set[str]) -> bool:
    means = {"m1", "m2"} <= names and ({"sd1", "sd2"} <= names or {"se1", "se2"} <= names) and {"n1", "n2"} <= names
    change = {"mean_change", "n"} <= names and bool({"sd_change", "se_change"} & names)
    counts = "events1" in names and bool({"n1", "nonevents1", "n"} & names)
    return means or change or counts or {"r", "n"} <= names


def _choice_problems(
    sheet: Sheet, columns: Mapping[str, str], dictionary: Dictionary, library: Library, choices: Choices
) -> list[InputError]:
    problems = []
    targets = [*_NUMERIC, *_NAMING, *_SHARED, *dictionary.moderators, *METAFOR]
    for column, name in choices.columns.items():
        if column not in sheet.columns:
            hint = did_you_mean(column, list(sheet.columns))
            turned = name in sheet.columns and (column in targets)
            problems.append(
                _wrong(
                    sheet.at,
                    f"the map names the column {shown(column)}, which the table does not have",
                    "the column stands first, our name behind the equals sign",
                    f"write {name}={column}" if turned else hint,
                )
            )
        elif name and name not in targets:
            what = f"the map calls the column {shown(column)} {shown(name)}, which is no cell of a table"
            problems.append(
                _wrong(sheet.at, what, "only what the table knows can be kept", did_you_mean(name, targets))
            )
    names = [name for name in columns.values() if name]
    for name in sorted({name for name in names if names.count(name) > 1}):
        both = [shown(column) for column, target in columns.items() if target == name]
        what = f"{' and '.join(both)} are both taken for {name}"
        problems.append(_wrong(sheet.at, what, "only one could be used", f"leave one out with --map {both[0][1:-1]}="))
    problems += _outcome_problems(sheet, names, dictionary, choices)
    if choices.cite is not None and choices.cite not in library:
        what = f"no reference has the key {shown(choices.cite)}"
        problems.append(_wrong(sheet.at, what, "every row must name its source", library.suggest(choices.cite)))
    if choices.cite is None and "cite" not in names and "author" not in names:
        problems.append(
            _wrong(
                sheet.at,
                "no column says whose numbers these are",
                "every row must name the paper it came from",
                "map a column: --map COLUMN=author,COLUMN=year or COLUMN=cite, or name one source: --cite KEY",
            )
        )
    if not {name for name in names if name in _NUMERIC}:
        problems.append(
            _wrong(
                sheet.at,
                "no column holds a number that the table knows",
                "an effect needs numbers",
                "map the columns, such as --map mean_treated=m1,sd_treated=sd1,n_treated=n1",
            )
        )
    for name in choices.cells:
        if name not in {*_SHARED, *dictionary.moderators}:
            known = [*_SHARED, *dictionary.moderators]
            what = f"{shown(name)} is no cell that all the rows could share"
            problems.append(_wrong(sheet.at, what, "it would be lost", did_you_mean(name, known)))
    return problems


def _outcome_problems(sheet: Sheet, names: Sequence[str], dictionary: Dictionary, choices: Choices) -> list[InputError]:
    outcomes = list(dictionary.outcomes)
    if choices.outcome is not None and choices.outcome not in outcomes:
        what = f"no outcome is called {shown(choices.outcome)}"
        return [
            _wrong(sheet.at, what, "outcomes are declared in analysis.yaml", did_you_mean(choices.outcome, outcomes))
        ]
    if choices.outcome is None and "outcome" not in names and len(outcomes) != 1:
        what = "nothing says which outcome the numbers measure"
        hint = did_you_mean("", outcomes)
        return [_wrong(sheet.at, what, f"the analysis has {len(outcomes)} outcomes", f"add --outcome KEY; {hint}")]
    return []


def _wrong(at: At, what: str, why: str, fix: str) -> InputError:
    return InputError(at, what, why, fix, "import-column")


# -- rows ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """One row of the sheet under our names."""

    at: At
    cite: str
    label: str
    base: str  # what ids begin with
    outcome: str
    report: str | None = None
    year: str | None = None
    sample: str | None = None
    where: str | None = None
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, Digits] = field(default_factory=dict)  # numbers of people that stand in no block
    cells: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> tuple[Any, ...]:
        """What makes it the same effect as one of the table: source, outcome and printed numbers."""
        numbers = []
        for block in (*self.blocks.values(), self.sizes):
            for name, value in block.items():
                pairs = zip(_INTERVAL, value, strict=True) if name == "d_ci" else [(name, value)]
                numbers += [(key, float(number)) for key, number in pairs]
        return (self.cite, self.label if self.report else "", self.outcome, tuple(sorted(numbers)))


def _same(row: Row) -> tuple[Any, ...]:
    """The fingerprint of a row that the table holds."""
    numbers = sorted(
        (name, float(row.get(name)))
        for name in (*_COUNTED, *_NUMBERS, *_SIZES, *_INTERVAL)
        if isinstance(row.get(name), int | float)
    )
    second_hand = row.get("report") != row.get("cite")
    return (row.get("cite"), row.get("study") if second_hand else "", row.get("outcome"), tuple(numbers))


def _read(
    row: SheetRow,
    columns: Mapping[str, str],
    dictionary: Dictionary,
    library: Library,
    choices: Choices,
    problems: list[InputError],
) -> _Row:
    values: dict[str, str] = {}
    for column, name in _held(row, columns, choices).items():
        text = row.cells[column]
        moderator = dictionary.moderators.get(name)
        if name in _NUMERIC or (moderator is not None and moderator.kind == "number"):
            if wrong := number_problem(text):
                problems.append(InputError(row.at, f"{column} is {shown(text)}: {wrong[0]}",
                                           "a number is kept as it is printed, so it must be read without guessing",
                                           wrong[1], "import-number"))  # fmt: skip
                continue
            text = _counted(text) if name in {*_COUNTED[:7], *_SIZES, "df1", "enrolled", "episodes"} else text
        values[name] = text
    outcome = values.get("outcome") or choices.outcome or next(iter(dictionary.outcomes))
    if outcome not in dictionary.outcomes:
        what = f"no outcome is called {shown(outcome)}"
        hint = did_you_mean(outcome, list(dictionary.outcomes))
        problems.append(InputError(row.at, what, "outcomes are declared in analysis.yaml", hint, "unknown-outcome"))
    found = _sourced(row, values, library, choices, problems)
    found.outcome, found.sample, found.where = outcome, values.get("sample"), values.get("where")
    found.blocks, found.sizes = _blocks(row, values, problems)
    for name in (*_SHARED, *dictionary.moderators):
        shared = values.get(name, choices.cells.get(name))
        if shared is not None:
            found.cells[name] = _cell(row, name, shared, dictionary, problems)
    return found


def _held(row: SheetRow, columns: Mapping[str, str], choices: Choices) -> dict[str, str]:
    """The columns of a row that hold something, without an effect that a program computed from the same row."""
    held = {column: name for column, name in columns.items() if name and column in row.cells}
    if not _has_raw(set(held.values())):
        return held
    return {column: name for column, name in held.items() if name not in COMPUTED or column in choices.columns}


def _counted(text: str) -> str:
    """A count that the spreadsheet shows with decimals that are all zero."""
    return re.sub(r"(?<=\d)\.0*$", "", text)


def _cell(row: SheetRow, name: str, text: str, dictionary: Dictionary, problems: list[InputError]) -> Any:
    moderator = dictionary.moderators.get(name)
    numeric = name in _NUMERIC or (moderator is not None and moderator.kind == "number")
    if numeric and number_problem(text) is None:
        return Digits(text)
    if numeric:
        what = f"{name} is {shown(text)}, which is not a number"
        problems.append(InputError(row.at, what, "its cells are numbers", "write the digits", "import-number"))
    if moderator is not None and moderator.kind == "factor" and text not in (moderator.levels or {}):
        levels = list(moderator.levels or {})
        what = f"{shown(text)} is not a level of {name}"
        why = "the levels are declared in analysis.yaml, so that a misspelling cannot become a new group"
        problems.append(InputError(row.at, what, why, did_you_mean(text, levels), "unknown-level"))
    return text


def _blocks(
    row: SheetRow, values: Mapping[str, str], problems: list[InputError]
) -> tuple[dict[str, dict[str, Any]], dict[str, Digits]]:
    """`numbers` and `counts`; sample sizes go where the rest of them is, and those of no block stand alone."""
    counts = {name: values[name] for name in _COUNTED if name in values and not name.startswith("non")}
    numbers = {name: Digits(values[name]) for name in _NUMBERS if name in values}
    sizes = {name: Digits(values[name]) for name in _SIZES if name in values}
    for group in ("1", "2"):
        size = "n" + group
        events, others = values.get("events" + group), values.get("nonevents" + group)
        if others is not None and events is None:
            what = f"{others} without the event stand in group {group}, but not how many with it"
            problems.append(InputError(row.at, what, "half a table says nothing", "fill the cell", "import-number"))
        if others is None or events is None:
            continue
        if not all(re.fullmatch(r"[0-9]{1,15}", count) for count in (events, others)):
            what = f"the counts {shown(events)} and {shown(others)} are not whole numbers"
            problems.append(InputError(row.at, what, "people are counted", "write whole numbers", "import-number"))
            continue
        total = str(int(events) + int(others))
        if size in sizes and str(sizes[size]) != total:
            what = f"{size} is {sizes[size]}, but {events} with and {others} without the event make {total}"
            problems.append(InputError(row.at, what, "only one can be right", "correct the row", "import-number"))
        sizes[size] = Digits(total)
    if "events1" in counts and "n" in sizes and "n1" not in sizes and "events2" not in counts:
        sizes["n1"] = sizes.pop("n")  # metafor's xi of ni
    both = [values.get(name) for name in _INTERVAL]
    if all(both):
        numbers["d_ci"] = [Digits(str(end)) for end in both]  # type: ignore[assignment]
    elif any(both):
        what = f"{_INTERVAL[0] if both[0] else _INTERVAL[1]} stands without the other limit"
        problems.append(InputError(row.at, what, "an interval has two", "fill both cells or none", "import-number"))
    blocks: dict[str, dict[str, Any]] = {}
    if counts:
        filled: dict[str, Any] = {name: Digits(text) for name, text in counts.items()}
        groups = [name for name in ("n1", "n2") if name in sizes and "events" + name[1] in counts]
        filled |= {name: sizes[name] for name in groups}
        blocks["counts"] = {name: filled[name] for name in Counts.model_fields if name in filled}
        sizes = {name: text for name, text in sizes.items() if name not in groups or numbers}
    if numbers or (sizes and not counts):
        filled = {**sizes, **numbers}
        blocks["numbers"] = {name: filled[name] for name in Numbers.model_fields if name in filled}
        sizes = {}
    return {name: blocks[name] for name in ("numbers", "counts") if name in blocks}, sizes


# -- whose numbers ------------------------------------------------------------------------------------------


def _sourced(
    row: SheetRow, values: Mapping[str, str], library: Library, choices: Choices, problems: list[InputError]
) -> _Row:
    """The row with its reference: a key, one source for all, or the only work of that author and year."""
    author, year = _author_and_year(values)
    label = values.get("label") or " ".join(part for part in (author, year) if part)
    digits = year if re.fullmatch(r"\d{4}", year) else None
    if key := values.get("cite") or choices.cite:
        if key not in library:
            what = f"no reference has the key {shown(key)}"
            problems.append(
                InputError(row.at, what, "every row must name its source", library.suggest(key), "unknown-cite")
            )
        elif "cite" not in values and label:  # read in another work, which names the study
            named = "".join(letters(name) for name in surnames(author)[:2])
            report = f"{named}{year}" if named else re.sub(r"[^a-z0-9]+", "-", folded(label)).strip("-") or "study"
            return _Row(row.at, library.canonical(key), label, report, "", report, digits)
        key = library.canonical(key)
        label = label or _label(library.get(key), key)
        return _Row(row.at, key, label, _base(library.get(key), key), "", year=digits)
    matches = matching(library, author, year)
    if len(matches) != 1:
        problems.append(unmatched(row.at, author, year, matches, library))
        return _Row(row.at, "", label, "", "")
    return _Row(row.at, matches[0].key, label, _base(matches[0], matches[0].key), "", year=digits)


def _author_and_year(values: Mapping[str, str]) -> tuple[str, str]:
    """Author and year; a year that stands behind the author (Orr, 1999) is taken from there."""
    author, year = values.get("author", ""), _counted(values.get("year", ""))
    found = re.fullmatch(r"(.*?)[\s,]*\(?(\d{4}[a-z]?)\)?", author)
    if found and found[1] and year in ("", found[2], found[2][:4]):
        author, year = found[1], found[2]
    return author, year


def _label(reference: Reference | None, key: str) -> str:
    if reference is None or not reference.creators:
        return key
    return f"{reference.creators[0].surname} {reference.date_text}"


def _base(reference: Reference | None, key: str) -> str:
    if reference is None or not reference.creators:
        return key
    return f"{letters(reference.creators[0].surname) or key}{reference.year or 'nd'}"


# -- studies ------------------------------------------------------------------------------------------------


def _grouped(rows: Iterable[_Row], table: Iterable[Row] = ()) -> list[list[_Row]]:
    """Rows of one report together, in the order in which reports appear; two labels are two reports."""
    known = {(str(row.get("cite")), str(row.get("study"))): str(row.get("report")) for row in table}
    reports = set(known.values())
    groups: dict[tuple[str, str, str], list[_Row]] = {}
    for row in rows:
        source = (row.cite, row.label)
        if row.report:
            known[source] = row.report = row.base = known.get(source) or _unused(row.report, reports)
        groups.setdefault((*source, row.year or ""), []).append(row)
    return list(groups.values())


def _study(rows: list[_Row], dictionary: Dictionary, taken: set[str], places: dict[str, At]) -> dict[str, Any]:
    """One entry of studies.yaml: what all its rows share stands on the study, the rest on the effect."""
    first = rows[0]
    study: dict[str, Any] = {"cite": first.cite, "label": first.label}
    if first.report:
        study["report"] = first.report
    if first.year:
        study["year"] = Digits(first.year)
    everywhere = {
        name: first.cells[name] for name in first.cells if all(row.cells.get(name) == first.cells[name] for row in rows)
    }
    if all(row.outcome == first.outcome for row in rows):
        everywhere["outcome"] = first.outcome
    study |= {name: everywhere[name] for name in ("outcome", *everywhere) if name in everywhere}
    if len(rows) == 1:
        study["source"] = _source(first)
    samples: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows, 1):
        wanted = row.sample if row.sample is not None else str(number) if len(rows) > 1 else ""
        slug = re.sub(r"[^a-z0-9]+", "-", folded(wanted)).strip("-")
        if slug not in samples:
            samples[slug] = {"id": _unused("-".join(filter(None, (row.base, slug))), taken), "effects": []}
        sample = samples[slug]
        effect: dict[str, Any] = {"id": _unused(f"{sample['id']}-{row.outcome}", taken)}
        places[effect["id"]] = row.at
        effect |= {name: value for name, value in row.cells.items() if name not in everywhere}
        effect |= {} if "outcome" in everywhere else {"outcome": row.outcome}
        effect |= row.sizes
        effect |= row.blocks
        effect |= {"source": _source(row)} if len(rows) > 1 else {}
        sample["effects"].append(effect)
    study["samples"] = list(samples.values())
    return study


def _source(row: _Row) -> dict[str, str]:
    """Where the numbers stand: what the table says, and the row they were imported from."""
    file = row.at.file.rsplit("/", 1)[-1]
    place = f"{file}, row {row.at.line}"
    return {"where": f"{row.where} ({place})" if row.where else place}


def _unused(wanted: str, taken: set[str]) -> str:
    number, found = 1, wanted
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    taken.add(found)
    return found


# -- places of problems -------------------------------------------------------------------------------------


def in_the_sheet(source: YamlSource, imported: Imported) -> Callable[[InputError], InputError]:
    """Problems of imported rows at the row of the sheet they come from, since nothing has been written yet.

    Parameters
    ----------
    source : YamlSource
        The table with the imported studies in it.
    imported : Imported
        What was added.

    Returns
    -------
    callable
        The problem with the place that a person can mend; others stay as they are.
    """
    lines = sorted(
        (line, path) for path, line in source.lines.items() if len(path) in (2, 6) and isinstance(path[-1], int)
    )

    def effects_of(path: tuple[Any, ...]) -> Iterable[str]:
        study = source.data["studies"][path[1]]
        chosen = [study["samples"][path[3]]["effects"][path[5]]] if len(path) == 6 else [
            effect for sample in study.get("samples") or () for effect in sample.get("effects") or ()
        ]  # fmt: skip
        return (str(effect.get("id")) for effect in chosen)

    def moved(problem: InputError) -> InputError:
        if problem.at.file != source.file:
            return problem
        above = [path for line, path in lines if line <= problem.at.line and path[0] == "studies"]
        place = (
            next((imported.places[key] for key in effects_of(above[-1]) if key in imported.places), None)
            if above
            else None
        )
        return InputError(place, problem.what, problem.why, problem.fix, problem.rule) if place else problem

    return moved
