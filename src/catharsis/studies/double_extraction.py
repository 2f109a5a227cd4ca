"""Two readers' files of the same studies, matched effect by effect and compared cell by cell.

A cell is compared with what it inherits, so that it does not matter whether a reader wrote the country on the study or
on each effect; and once, however many effects inherit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from catharsis.errors import At
from catharsis.references.library import Library
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row, read_studies
from catharsis.studies.yaml_source import Path_, YamlSource, read_yaml

Kind = Literal["number", "word", "wording", "effect"]

IDENTITY = frozenset({"cite", "id", "schema"})  # what effects are matched by
# who read and what was decided: the first reader's stays, and no reader is held against it
PROVENANCE = frozenset({"source.read_by", "source.checked", "source.checked_by", "source.resolved", "waive"})
WORDING = frozenset(
    {"label", "note", "source.where", "source.url", "source.imputed"}
)  # prose: differs, decides nothing
BLOCKS = ("numbers", "counts", "reported", "source")
CHILDREN = ("studies", "samples", "effects", "moderators")
EFFECT = "(effect)"  # the cell of a conflict about whether the effect is there at all
LIKENESS = ("outcome", "partition", "minutes", "test")  # cells that tell effects of one sample apart


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as one reader wrote it, with where it stands."""

    value: Any
    path: Path_


@dataclass(frozen=True, slots=True)
class Reading:
    """One effect as one reader extracted it.

    Attributes
    ----------
    row : Row
        The row that it makes.
    path : tuple
        Where the effect stands: ("studies", i, "samples", j, "effects", k).
    cells : dict
        Name of a cell ("country", "numbers.sd1") to its value, inherited ones included.
    """

    row: Row
    path: Path_
    cells: Mapping[str, Cell]

    @property
    def study(self) -> tuple[str, str]:
        """The work and the report in it."""
        return str(self.row.get("cite")), str(self.row.get("report"))

    @property
    def sample(self) -> str:
        """The sample's id."""
        return str(self.row.get("sample"))


@dataclass(frozen=True, slots=True)
class Extraction:
    """A file of one reader.

    Attributes
    ----------
    reader : str
        How the reader is called.
    source : YamlSource
        The file.
    readings : tuple of Reading
        Its effects, in file order.
    """

    reader: str
    source: YamlSource
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One cell that both readers could have filled.

    Attributes
    ----------
    cell : str
        Its name; `EFFECT` when one reader has no such effect.
    kind : str
        "number", "word", "wording" (prose, which is not held against anybody) or "effect".
    pairs : tuple of (Reading or None, Reading or None)
        The effects that it belongs to; several when both readers wrote it once for all of them.
    a, b : object
        What the readers wrote; None when nothing.
    at : tuple of At
        Where.
    """

    cell: str
    kind: Kind
    pairs: tuple[tuple[Reading | None, Reading | None], ...]
    a: Any
    b: Any
    at: tuple[At, At]

    @property
    def same(self) -> bool:
        """Whether the readers agree."""
        return same_value(self.a, self.b)

    @property
    def effect(self) -> str:
        """The id of the first effect that it belongs to, as the first reader who has it calls it."""
        one, other = self.pairs[0]
        found = one or other
        assert found is not None
        return found.row.id


@dataclass(frozen=True, slots=True)
class DoubleExtraction:
    """Two extractions side by side.

    Attributes
    ----------
    first, second : Extraction
        The readers' files.
    pairs : tuple of (Reading, Reading)
        Effects that both have.
    by_content : tuple of (Reading, Reading)
        Those of `pairs` that go by different ids and were matched by what they measure.
    compared : tuple of Compared
        Every cell of them, and every effect that only one reader has.
    """

    first: Extraction
    second: Extraction
    pairs: tuple[tuple[Reading, Reading], ...]
    by_content: tuple[tuple[Reading, Reading], ...]
    compared: tuple[Compared, ...]

    @property
    def conflicts(self) -> tuple[Compared, ...]:
        """What must be decided: other values, and effects of one reader alone."""
        return tuple(one for one in self.compared if not one.same and one.kind != "wording")

    @property
    def wordings(self) -> tuple[Compared, ...]:
        """Prose that differs."""
        return tuple(one for one in self.compared if not one.same and one.kind == "wording")


def same_value(a: Any, b: Any) -> bool:
    """Whether two cells say the same: numbers by value, text without regard to spacing.

    Examples
    --------
    >>> same_value(0.5, 0.50), same_value("two  words", "two words"), same_value(1, True), same_value(None, 0)
    (True, True, False, False)
    """
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, str) and isinstance(b, str):
        return a.split() == b.split()
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def read_extraction(
    path: str | Path, dictionary: Dictionary, reader: str | None = None, library: Library | None = None
) -> Extraction:
    """Read one reader's file, which is a table like any other.

    Parameters
    ----------
    path : str or Path
        The file.
    dictionary : Dictionary
        Outcomes and moderators of the analysis.
    reader : str, optional
        How the reader is called; by default the name of the file.
    library : Library, optional
        When given, every `cite` must be one of its keys.

    Returns
    -------
    Extraction

    Raises
    ------
    InputErrors
        Every problem of the file.
    """
    table = read_studies(path, dictionary, library)
    source = read_yaml(path)
    places = flattened(source.data)  # in the order of the table
    found = [Reading(row, here, cells) for row, (here, cells) in zip(table, places, strict=True)]
    return Extraction(reader or Path(path).stem, source, tuple(found))


def flattened(data: Any) -> Iterator[tuple[Path_, dict[str, Cell]]]:
    """Every effect of a table with its cells, the inherited ones included."""
    for i, study in enumerate(data.get("studies") or []):
        upper = _own(study, ("studies", i))
        for j, sample in enumerate(study.get("samples") or []):
            here: Path_ = ("studies", i, "samples", j)
            middle = upper | _own(sample, here)
            for k, effect in enumerate(sample.get("effects") or []):
                place: Path_ = (*here, "effects", k)
                yield place, middle | _own(effect, place)


def _own(entry: Mapping[str, Any], path: Path_) -> dict[str, Cell]:
    """The cells of one entry, blocks opened."""
    found: dict[str, Cell] = {}
    for key, value in entry.items():
        if key in CHILDREN or key in IDENTITY or value is None:
            continue
        inner = value.items() if key in BLOCKS and isinstance(value, dict) else ()
        found |= {f"{key}.{name}": Cell(cell, (*path, key, name)) for name, cell in inner if cell is not None}
        if key not in BLOCKS:
            found[key] = Cell(value, (*path, key))
    return found


def compare_extractions(first: Extraction, second: Extraction) -> DoubleExtraction:
    """Match the effects of two files and compare every cell.

    Effects are the same when work, report, sample and id are. What is left is matched by content: the only sample of a
    report that is left on both sides, and in a sample the only effect on both sides with the same outcome, partition,
    minutes and test.

    Parameters
    ----------
    first, second : Extraction
        The readers' files.

    Returns
    -------
    DoubleExtraction
    """
    pairs, by_content = match(first.readings, second.readings)
    lonely_a = [one for one in first.readings if id(one) not in {id(a) for a, _ in pairs}]
    lonely_b = [one for one in second.readings if id(one) not in {id(b) for _, b in pairs}]
    compared = [*_cells(pairs, first, second), *(_lonely(one, None, first, second) for one in lonely_a)]
    compared += [_lonely(None, one, first, second) for one in lonely_b]
    return DoubleExtraction(first, second, tuple(pairs), tuple(by_content), tuple(compared))


Pairs = list[tuple[Reading, Reading]]


def match(first: Sequence[Reading], second: Sequence[Reading]) -> tuple[Pairs, Pairs]:
    """Effects of two files that are one, and those of them that were matched by content."""
    pairs: Pairs = []
    content: Pairs = []
    for study in dict.fromkeys(one.study for one in first):
        left = [one for one in first if one.study == study]
        right = [one for one in second if one.study == study]
        names = _sample_names(left, right)
        for sample in dict.fromkeys(one.sample for one in left):
            ours = [one for one in left if one.sample == sample]
            theirs = [one for one in right if one.sample == names.get(sample)]
            found, rest = _by_id(ours, theirs)
            alike = _by_likeness([o for o in ours if id(o) not in rest], [t for t in theirs if id(t) not in rest])
            pairs += found + alike
            content += alike + [pair for pair in found if pair[0].sample != pair[1].sample]
    order = {id(one): i for i, one in enumerate(first)}
    return sorted(pairs, key=lambda pair: order[id(pair[0])]), content


def _sample_names(left: Iterable[Reading], right: Iterable[Reading]) -> dict[str, str]:
    """Samples of one report by their name in the other file."""
    ours, theirs = dict.fromkeys(one.sample for one in left), dict.fromkeys(one.sample for one in right)
    names = {name: name for name in ours if name in theirs}
    rest = [name for name in ours if name not in names], [name for name in theirs if name not in names]
    if len(rest[0]) == len(rest[1]) == 1:
        names[rest[0][0]] = rest[1][0]
    return names


def _by_id(ours: Sequence[Reading], theirs: Sequence[Reading]) -> tuple[Pairs, set[int]]:
    ids = {one.row.id: one for one in theirs}
    found = [(one, ids[one.row.id]) for one in ours if one.row.id in ids]
    return found, {id(one) for pair in found for one in pair}


def _by_likeness(ours: Sequence[Reading], theirs: Sequence[Reading]) -> Pairs:
    def key(one: Reading) -> tuple[Any, ...]:
        return tuple(one.row.get(column) for column in LIKENESS)

    found = []
    for one in ours:
        like = [other for other in theirs if key(other) == key(one)]
        if len(like) == 1 and sum(key(other) == key(one) for other in ours) == 1:
            found.append((one, like[0]))
    return found


def _cells(pairs: Pairs, first: Extraction, second: Extraction) -> list[Compared]:
    """Every cell that either reader filled, once for all the effects that inherit it on both sides."""
    groups: dict[tuple[Any, ...], list[tuple[Reading, Reading]]] = {}
    for a, b in pairs:
        for cell in dict.fromkeys([*a.cells, *b.cells]):
            if cell in PROVENANCE:
                continue
            one, other = a.cells.get(cell), b.cells.get(cell)
            where = (one.path if one else None, other.path if other else None)
            groups.setdefault((cell, *where), []).append((a, b))
    found = []
    for (cell, _, _), members in groups.items():
        a, b = members[0]
        one, other = a.cells.get(cell), b.cells.get(cell)
        at = (first.source.at(one.path if one else a.path), second.source.at(other.path if other else b.path))
        values = (one.value if one else None, other.value if other else None)
        found.append(Compared(cell, _kind(cell, *values), tuple(members), *values, at))
    return found


def _kind(cell: str, a: Any, b: Any) -> Kind:
    """A number when no reader wrote anything else; reasons for leaving out are prose when both give one."""
    if cell in WORDING or (cell == "exclude" and a is not None and b is not None):
        return "wording"
    filled = [value for value in (a, b) if value is not None]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in filled)
    return "number" if numbers else "word"


def _lonely(a: Reading | None, b: Reading | None, first: Extraction, second: Extraction) -> Compared:
    """An effect that only one reader has."""
    here = a or b
    assert here is not None
    at = (
        first.source.at(a.path) if a else At(first.source.file),
        second.source.at(b.path) if b else At(second.source.file),
    )
    return Compared(EFFECT, "effect", ((a, b),), a.row.id if a else None, b.row.id if b else None, at)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was kept of a conflict.

    Attributes
    ----------
    conflict : Compared
        What the readers wrote.
    kept : object
        The value; None leaves the cell (or the effect) out.
    """

    conflict: Compared
    kept: Any


@dataclass(frozen=True, slots=True)
class Agreed:
    """One effect after both readers were heard.

    Attributes
    ----------
    reading : Reading
        The first reader's, or the second's where the first has none; ids and places are taken from it.
    cells : dict
        Name to value of every cell that stays.
    depths : dict
        Name to the length of the path of the entry that a reader wrote it on: 2 study, 4 sample, 6 effect.
    resolved : tuple of dict
        A record of each decision, as it stands under `source: resolved:`.
    """

    reading: Reading
    cells: Mapping[str, Any]
    depths: Mapping[str, int]
    resolved: tuple[dict[str, Any], ...] = field(default=())


def agreed_effects(double: DoubleExtraction, decisions: Sequence[Decision], by: str, date: str) -> tuple[Agreed, ...]:
    """The effects that both readers stand behind, with what was decided and who decided it when.

    Parameters
    ----------
    double : DoubleExtraction
        The comparison.
    decisions : sequence of Decision
        One for each conflict; prose without one is taken from the first reader.
    by, date : str
        Who decided, and the day.

    Returns
    -------
    tuple of Agreed
        In the order of the first file, effects of the second reader alone at the end.
    """
    made = {id(decision.conflict): decision for decision in decisions}
    cells: dict[int, dict[str, Any]] = {}
    records: dict[int, list[dict[str, Any]]] = {}
    readings: dict[int, Reading] = {}
    for one in double.compared:
        decision = made.get(id(one))
        for a, b in one.pairs:
            base = a or b
            assert base is not None
            if one.kind == "effect" and (decision is None or decision.kept is None):
                continue
            readings[id(base)] = base
            records.setdefault(id(base), [])
            own = cells.setdefault(id(base), {})
            if one.kind == "effect":
                own |= {name: cell.value for name, cell in base.cells.items()}
            else:
                _put(own, one, decision)
            if decision is not None:
                records[id(base)].append(_record(double, decision, by, date))
    for a, b in double.pairs:  # who read it, as the files say
        own = cells[id(a)]
        own |= {name: a.cells[name].value for name in PROVENANCE if name in a.cells}
        own |= _second_reader(a, b)
    others = {id(a): b for a, b in double.pairs}
    order = {id(one): i for i, one in enumerate([*double.first.readings, *double.second.readings])}
    return tuple(
        Agreed(readings[key], cells[key], _depths(readings[key], others.get(key)), tuple(records[key]))
        for key in sorted(readings, key=lambda key: order[key])
    )


def _depths(first: Reading, second: Reading | None) -> dict[str, int]:
    """On which entry each cell stands, by the first reader where there is one."""
    found: dict[str, int] = {}
    for one in (second, first):
        for name, cell in (one.cells if one else {}).items():
            found[name] = len(cell.path) - 1 - (name.count("."))
    return found


def _put(own: dict[str, Any], one: Compared, decision: Decision | None) -> None:
    """The value of one cell: decided, agreed (with the digits that say more), or the first reader's prose."""
    if decision is not None:
        value = decision.kept
    elif one.same:
        value = max(one.a, one.b, key=lambda v: len(str(getattr(v, "text", "")))) if one.kind == "number" else one.a
    else:
        value = one.a if one.a is not None else one.b
    if value is not None:
        own[one.cell] = value


def _record(double: DoubleExtraction, decision: Decision, by: str, date: str) -> dict[str, Any]:
    one = decision.conflict
    pairs = ((double.first.reader, one.a), (double.second.reader, one.b))
    found: dict[str, Any] = {
        "cell": "effect" if one.kind == "effect" else one.cell,
        "readings": {reader: value for reader, value in pairs if value is not None},
    }
    if decision.kept is not None:
        found["kept"] = decision.kept
    return found | {"by": by, "date": date}


def _second_reader(a: Reading, b: Reading) -> dict[str, Any]:
    """The second reader has checked the row, when both files say who read it."""
    one, other = a.cells.get("source.read_by"), b.cells.get("source.read_by")
    if one is None or other is None or same_value(one.value, other.value):
        return {}
    return {"source.checked": True, "source.checked_by": other.value}
