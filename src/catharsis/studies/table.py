"""The effect-size table: one row per effect, every cell with its place in the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catharsis.errors import MANY, At, InputError, InputErrors, did_you_mean, shown
from catharsis.references.library import Library
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.migrations import STUDIES, refuse_other_versions
from catharsis.studies.schema import (
    Counts,
    Effect,
    Kind,
    Numbers,
    Reported,
    Sample,
    Shared,
    Source,
    Study,
    StudyFile,
    Waiver,
)
from catharsis.studies.validation import validate, with_keys_corrected
from catharsis.studies.yaml_source import Path_, YamlSource, read_yaml

if TYPE_CHECKING:
    import pandas as pd

SHARED_CELLS = (
    "country", "population", "design", "test", "evidence", "overlap_group", "partition", "outcome", "measured",
    "n", "n1", "n2", "minutes", "note",
)  # fmt: skip
NUMBER_CELLS = tuple(Numbers.model_fields)
COUNT_CELLS = tuple(Counts.model_fields)
SOURCE_CELLS = tuple(name for name in Source.model_fields if name != "resolved")  # a record, not a cell
STATISTIC_CELLS = ("t", "df", "F", "df1", "df2", "p")


@dataclass(frozen=True, slots=True)
class Row:
    """One effect with everything it inherits.

    Attributes
    ----------
    cells : dict
        Column to value; absent cells are not there.
    places : dict
        Column to the place in the file that the value comes from.
    at : At
        Where the effect begins.
    waived : tuple of Waiver
        Findings that a person lets stand, on the effect, its sample, its study or the file.
    printed : dict
        Column to the digits of a number as they stand in the file.
    waived_at : tuple of At
        Where each of `waived` stands.
    """

    cells: Mapping[str, Any]
    places: Mapping[str, At]
    at: At
    waived: tuple[Waiver, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    waived_at: tuple[At, ...] = ()

    @property
    def id(self) -> str:
        """The effect's id."""
        return str(self.cells["effect"])

    def get(self, column: str, default: Any = None) -> Any:
        """The value of a cell, or `default` when it is absent."""
        return self.cells.get(column, default)

    def has(self, *columns: str) -> bool:
        """Whether all these cells are filled."""
        return all(column in self.cells for column in columns)

    def place(self, column: str) -> At:
        """Where a cell stands; the effect's first line when it is absent."""
        return self.places.get(column, self.at)


@dataclass(frozen=True, slots=True)
class StudyTable:
    """All effects of an analysis.

    Attributes
    ----------
    file : str
        The file as the user named it.
    rows : tuple of Row
        In file order.
    dictionary : Dictionary
        Outcomes and moderators.
    library : Library or None
        The bibliography that the table was read with.
    """

    file: str
    rows: tuple[Row, ...]
    dictionary: Dictionary
    library: Library | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def frame(self) -> pd.DataFrame:
        """One row per effect, indexed by effect id; absent cells are missing values.

        Returns
        -------
        pandas.DataFrame
            Columns as in `COLUMNS`, then the moderators in dictionary order. Numbers are as printed;
            `sign` is +1, 0 or -1 in the direction of the family's positive word.
        """
        import pandas as pd

        columns = [*COLUMNS, *(name for name in self.dictionary.moderators if name not in COLUMNS)]
        data = {column: [row.get(column) for row in self.rows] for column in columns}
        frame = pd.DataFrame(data, index=pd.Index([row.id for row in self.rows], name="id"))
        numeric = {name for name, moderator in self.dictionary.moderators.items() if moderator.kind == "number"}
        for column in columns:
            if column in NUMERIC | numeric:
                frame[column] = pd.to_numeric(frame[column])
        return frame


COLUMNS: tuple[str, ...] = (
    "effect", "study", "cite", "report", "report_doi", "year", "sample", "overlap_group", "partition", "country",
    "population", "design", "test", "minutes", "evidence", "family", "outcome", "contrast", "measured", "kind",
    *(cell for cell in NUMBER_CELLS if cell != "d_ci"), "d_low", "d_high", "enrolled",
    "better", "same", "worse", "events1", "events2", "share_better", "share_same", "share_worse", "episodes",
    "sign", "significant", "alpha", "sided",
    *(f"source_{cell}" for cell in SOURCE_CELLS), "exclude", "note",
)  # fmt: skip
NUMERIC = {
    *NUMBER_CELLS, "d_low", "d_high", "enrolled", "better", "same", "worse", "events1", "events2",
    "share_better", "share_same", "share_worse", "episodes", "sign", "alpha", "sided", "year", "minutes",
}  # fmt: skip


def read_studies(path: str | Path, dictionary: Dictionary | None = None, library: Library | None = None) -> StudyTable:
    """Read studies.yaml.

    Parameters
    ----------
    path : str or Path
        The table.
    dictionary : Dictionary, optional
        Outcomes and moderators; by default those of the analysis.yaml beside the table.
    library : Library, optional
        When given, every `cite` must be one of its keys.

    Returns
    -------
    StudyTable

    Raises
    ------
    InputErrors
        Every problem of the file, each with line, reason and cure.
    """
    source = read_yaml(path)
    if dictionary is None:
        dictionary = read_dictionary(Path(path).parent / "analysis.yaml")
    return table_of(source, dictionary, library)


def table_of(source: YamlSource, dictionary: Dictionary, library: Library | None = None) -> StudyTable:
    """`read_studies` for a file that has been parsed, or that is not on the disk yet."""
    refuse_other_versions(source, STUDIES)
    problems: list[InputError] = []
    data = _set_moderators_apart(source, dictionary, problems)
    moderators = tuple(dictionary.moderators)
    try:
        file = validate(StudyFile, source, data, moderators)
    except InputErrors as found:
        problems += found.problems
        data = with_keys_corrected(StudyFile, data, moderators)
        if data is None:
            raise InputErrors(problems) from None
        file = StudyFile.model_validate(data)  # to tell in the same run what else is wrong
    rows: list[Row] = []
    for i, study in enumerate(file.studies):
        for j, sample in enumerate(study.samples):
            for k in range(len(sample.effects)):
                if len(problems) < MANY:
                    rows.append(_row(source, dictionary, file, (i, j, k), problems))
    problems += _repeated_ids(rows)
    problems += _one_group_each(rows)
    if library is not None:
        problems += _unknown_keys(rows, library)
        rows = [_under_one_key(row, library) for row in rows]
    if problems:
        raise InputErrors(problems)
    return StudyTable(source.file, tuple(rows), dictionary, library)


def read_dictionary(path: str | Path) -> Dictionary:
    """The outcomes, families and moderators that an analysis.yaml declares."""
    source = read_yaml(path)
    if not isinstance(source.data, dict):
        return validate(Dictionary, source)
    wanted = {
        key: source.data[key] for key in ("families", "outcomes", "moderators") if source.data.get(key) is not None
    }
    return validate(Dictionary, source, wanted)


def _set_moderators_apart(source: YamlSource, dictionary: Dictionary, problems: list[InputError]) -> Any:
    """Move declared moderators into `moderators` and check their cells against the dictionary.

    A moderator that is also a cell of the table (design, country, year) stays where it is.
    """
    own = {*Shared.model_fields, *Study.model_fields}

    def level(entry: Any, path: Path_) -> Any:
        if not isinstance(entry, dict):
            return entry
        plain, moderators = {}, {}
        for key, value in entry.items():
            if key in dictionary.moderators and path:
                if value is not None and len(problems) < MANY:
                    problems.extend(_moderator_problems(source.at((*path, key)), key, value, dictionary))
                if key not in own:
                    moderators[key] = value
                    continue
            if key == "moderators" and len(problems) < MANY:
                problems.append(
                    InputError(
                        source.at((*path, key)),
                        '"moderators" is not a key of the table',
                        "moderators are declared in analysis.yaml and stand beside the other cells",
                        "write each moderator on a line of its own, without this one",
                        "unknown-key",
                    )
                )
                continue
            plain[key] = value
        if moderators:
            plain["moderators"] = {key: value for key, value in moderators.items() if value is not None}
        for child in ("studies", "samples", "effects"):
            if isinstance(plain.get(child), list):
                plain[child] = [level(item, (*path, child, i)) for i, item in enumerate(plain[child])]
        return plain

    return level(source.data, ())


def _as_typed(value: Any) -> str:
    """A cell as it stands in the file, to be held against the levels of a factor."""
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "text", value))


def _moderator_problems(at: At, key: str, value: Any, dictionary: Dictionary) -> list[InputError]:
    moderator = dictionary.moderators[key]
    if moderator.kind == "number":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return []
        why = f"it is a number ({moderator.unit})"
        return [InputError(at, f"{key} is {shown(value)}", why, "write the digits, or leave it out", "number")]
    if isinstance(value, dict | list):
        why = "a moderator is one word or number"
        return [InputError(at, f"{key} is {shown(value)}", why, "write one value", "wrong-value")]
    if moderator.kind == "factor" and _as_typed(value) not in (moderator.levels or {}):
        return [
            InputError(
                at,
                f"{shown(value)} is not a level of {key}",
                "the levels are declared in analysis.yaml, so that a misspelling cannot become a new group",
                did_you_mean(_as_typed(value), list(moderator.levels or {})),
                "unknown-level",
            )
        ]
    return []


def _row(
    source: YamlSource,
    dictionary: Dictionary,
    file: StudyFile,
    where: tuple[int, int, int],
    problems: list[InputError],
) -> Row:
    """One effect with what it inherits from its sample and study."""
    i, j, k = where
    study, sample = file.studies[i], file.studies[i].samples[j]
    effect = sample.effects[k]
    here: Path_ = ("studies", i, "samples", j, "effects", k)
    levels: list[tuple[Shared, Path_]] = [(study, here[:2]), (sample, here[:4]), (effect, here)]
    cells: dict[str, Any] = {}
    places: dict[str, At] = {}
    printed: dict[str, str] = {}

    def put(column: str, value: Any, path: Path_) -> None:
        if value is not None:
            cells[column], places[column] = value, source.at(path)
            printed.pop(column, None)
            if path in source.printed:
                printed[column] = source.printed[path]

    _put_names(put, study, sample, effect, here)
    for entry, path in levels:
        for column in SHARED_CELLS:
            put(column, getattr(entry, column), (*path, column))
        for column, value in entry.moderators.items():
            numeric = dictionary.moderators[column].kind == "number" and isinstance(value, int | float)
            put(column, float(value) if numeric else _as_typed(value), (*path, column))
        for column in SOURCE_CELLS if entry.source else ():
            put(f"source_{column}", getattr(entry.source, column), (*path, "source", column))
    _put_outcome(cells, places, dictionary, problems, source.at(here))
    _put_numbers(put, effect, here)
    problems += _told_twice(effect, here, source)
    _put_report(put, effect, here, cells, dictionary, problems, source)
    cells.setdefault("overlap_group", cells["report"])
    cells["kind"] = _kind(effect, cells, source.at((*here, "kind")), problems)
    waived, waived_at = _waivers(source, file, levels)
    return Row(cells, places, source.at(here), waived, printed, waived_at)


def _waivers(
    source: YamlSource, file: StudyFile, levels: list[tuple[Shared, Path_]]
) -> tuple[tuple[Waiver, ...], tuple[At, ...]]:
    """The waivers that cover an effect with their places, those nearest to it first."""
    entries: list[tuple[Shared | StudyFile, Path_]] = [*reversed(levels), (file, ())]
    found = [
        (waiver, source.at((*path, "waive", i))) for entry, path in entries for i, waiver in enumerate(entry.waive)
    ]
    return tuple(waiver for waiver, _ in found), tuple(at for _, at in found)


def _put_names(put: Any, study: Study, sample: Sample, effect: Effect, here: Path_) -> None:
    put("effect", effect.id, (*here, "id"))
    put("study", study.label, (*here[:2], "label"))
    put("cite", study.cite, (*here[:2], "cite"))
    put("report", study.report or study.cite, (*here[:2], "report" if study.report else "cite"))
    put("report_doi", study.report_doi, (*here[:2], "report_doi"))
    put("year", study.year, (*here[:2], "year"))
    put("sample", sample.id, (*here[:4], "id"))
    put("enrolled", sample.enrolled, (*here[:4], "enrolled"))
    put("exclude", effect.exclude, (*here, "exclude"))


def _put_outcome(
    cells: dict[str, Any],
    places: dict[str, At],
    dictionary: Dictionary,
    problems: list[InputError],
    at: At,
) -> None:
    key = cells.get("outcome")
    if key is None:
        problems.append(
            InputError(
                at,
                f"effect {cells['effect']} has no outcome",
                "without one nobody knows what the numbers measure",
                "add a line outcome: and " + did_you_mean("", list(dictionary.outcomes)),
                "missing-outcome",
            )
        )
    elif key not in dictionary.outcomes:
        problems.append(
            InputError(
                places["outcome"],
                f"no outcome is called {shown(key)}",
                "outcomes are declared once, in analysis.yaml, with their unit and direction",
                did_you_mean(key, list(dictionary.outcomes)),
                "unknown-outcome",
            )
        )
    else:
        outcome = dictionary.outcomes[key]
        cells["family"] = outcome.family
        cells["contrast"] = outcome.contrast or key
        cells.setdefault("measured", outcome.measured or outcome.label)


def _put_numbers(put: Any, effect: Effect, here: Path_) -> None:
    for block, names in ((effect.numbers, NUMBER_CELLS), (effect.counts, COUNT_CELLS)):
        if block is None:
            continue
        key = "numbers" if isinstance(block, Numbers) else "counts"
        for name in names:
            if name == "d_ci" and (interval := getattr(block, name)) is not None:
                put("d_low", interval[0], (*here, key, name, 0))
                put("d_high", interval[1], (*here, key, name, 1))
            elif name != "d_ci":
                put(name, getattr(block, name), (*here, key, name))


def _told_twice(effect: Effect, here: Path_, source: YamlSource) -> list[InputError]:
    """Numbers that an effect states in two places with two values; what it inherits may differ."""
    blocks = [("", effect), ("numbers", effect.numbers), ("counts", effect.counts), ("reported", effect.reported)]
    first: dict[str, tuple[Any, Path_]] = {}
    problems = []
    for key, block in blocks:
        for name in ("n", "n1", "n2", *STATISTIC_CELLS):
            value = getattr(block, name, None)
            if value is None:
                continue
            path = (*here, key, name) if key else (*here, name)
            known, place = first.setdefault(name, (value, path))
            if known != value:
                problems.append(
                    InputError(
                        source.at(path),
                        f"{name} is {value:g} here and {known:g} on line {source.at(place).line} (effect {effect.id})",
                        "only one of the two could be used",
                        "keep the one that belongs to these numbers",
                        "told-twice",
                    )
                )
    return problems


def _put_report(
    put: Any,
    effect: Effect,
    here: Path_,
    cells: dict[str, Any],
    dictionary: Dictionary,
    problems: list[InputError],
    source: YamlSource,
) -> None:
    report: Reported | None = effect.reported
    if report is None:
        return
    for name in ("n", "n1", "n2", *STATISTIC_CELLS):
        put(name, getattr(report, name), (*here, "reported", name))
    put("significant", report.significant, (*here, "reported", "verdict"))
    put("alpha", report.level, (*here, "reported", "alpha" if report.alpha is not None else "verdict"))
    if report.verdict is not None or "sided" in report.model_fields_set:
        put("sided", report.sided, (*here, "reported", "sided"))
    if report.sign is None or cells.get("outcome") not in dictionary.outcomes:
        return
    words = dictionary.words_of(cells["outcome"])
    flip = dictionary.orientation(cells["outcome"])
    signs = {
        "higher": flip, "lower": -flip, "+": flip, "-": -flip, "1": flip, "+1": flip, "-1": -flip, "none": 0, "0": 0,
        words.positive: 1, words.negative: -1, words.none: 0,
    }  # fmt: skip
    sign = signs.get(report.sign)
    if sign is None:
        problems.append(
            InputError(
                source.at((*here, "reported", "sign")),
                f"{shown(report.sign)} is not a direction of {cells['outcome']}",
                "directions are counted, so each needs one agreed word",
                did_you_mean(report.sign, [words.positive, words.negative, words.none, "higher", "lower"]),
                "unknown-sign",
            )
        )
    else:
        put("sign", sign, (*here, "reported", "sign"))


def _kind(effect: Effect, cells: dict[str, Any], at: At, problems: list[InputError]) -> Kind:
    """The richest kind that the filled cells carry, or a lesser one that the row asks for."""
    can: list[Kind] = ["none"]
    if effect.reported is not None and "sign" in cells:
        can.append("direction")
    if (
        effect.reported is not None
        and "significant" in cells
        and (cells.get("n") or (cells.get("n1") and cells.get("n2")))
    ):
        can.append("bounds")
    if effect.counts is not None:
        can.append("counts")
    if effect.numbers is not None:
        can.append("estimate")
    if effect.kind is None:
        return can[-1]
    if effect.kind not in can:
        problems.append(
            InputError(
                at,
                f"effect {effect.id} is called {effect.kind}, but its cells carry only {can[-1]}",
                "no kind of evidence is turned into another",
                "fill " + NEEDS[effect.kind] + ", or delete the line kind:",
                "kind",
            )
        )
    return effect.kind


NEEDS: dict[Kind, str] = {
    "estimate": "numbers:",
    "counts": "counts:",
    "bounds": "reported: with sign, verdict and n",
    "direction": "reported: with a sign",
    "none": "nothing",
}


def _repeated_ids(rows: list[Row]) -> list[InputError]:
    seen: dict[str, Row] = {}
    problems = []
    for row in rows:
        if row.id in seen:
            problems.append(
                InputError(
                    row.place("effect"),
                    f"the effect id {shown(row.id)} stands twice (first at {seen[row.id].place('effect')})",
                    "results and claims refer to effects by their id",
                    "give this effect an id of its own",
                    "duplicate-id",
                )
            )
        seen.setdefault(row.id, row)
    return problems


def _one_group_each(rows: list[Row]) -> list[InputError]:
    """The same people in two overlap groups would count as two independent samples."""
    first: dict[str, Row] = {}
    problems: dict[tuple[str, str], InputError] = {}
    for row in rows:
        sample, group = row.get("sample"), row.get("overlap_group")
        other = first.setdefault(sample, row)
        if other.get("overlap_group") != group and (sample, group) not in problems:
            problems[sample, group] = InputError(
                row.place("sample"),
                f"sample {sample} is in the overlap group {group} here, in {other.get('overlap_group')} at {other.at}",
                "one id means the same people, and people of two groups count as independent",
                "give both the same overlap_group:, or this sample an id of its own",
                "sample-in-two-groups",
            )
    return list(problems.values())


def _unknown_keys(rows: list[Row], library: Library) -> list[InputError]:
    problems: dict[At, InputError] = {}
    for row in rows:
        at = row.place("cite")
        if row.get("cite") not in library and at not in problems and len(problems) < MANY:
            problems[at] = InputError(
                at,
                f"no reference has the key {shown(row.get('cite'))}",
                "every row must name the paper it came from",
                library.suggest(str(row.get("cite"))),
                "unknown-cite",
            )
    return list(problems.values())


def _under_one_key(row: Row, library: Library) -> Row:
    """The row with linked keys replaced by what they were linked to: one paper, one report, one group."""
    linked = {
        column: library.canonical(str(row.cells[column]))
        for column in ("cite", "report", "overlap_group")
        if row.cells.get(column) in library.links
    }
    return replace(row, cells={**row.cells, **linked}) if linked else row


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, float) and math.isnan(value))
