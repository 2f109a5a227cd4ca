"""What two readers agreed on, written into the table: cells where the effect is there, entries where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catharsis.errors import At, InputError, InputErrors, shown
from catharsis.studies.double_extraction import BLOCKS, PROVENANCE, WORDING, Agreed, flattened, same_value
from catharsis.studies.edit import TableText
from catharsis.studies.yaml_source import Path_

Entry = dict[str, Any]
OF_STUDY = ("label", "report", "report_doi", "year")  # cells that only a study has
OF_SAMPLE = ("enrolled",)
KEPT = ("waive", "source.resolved")  # what the table holds of earlier decisions


def with_agreed(table: TableText, agreed: Sequence[Agreed]) -> TableText:
    """The table with the agreed effects.

    An effect of the same work, report, sample and id is brought to the agreed cells, and keeps what neither reader
    spoke of; the others are inserted below their study and sample where these are there, or at the end.

    Parameters
    ----------
    table : TableText
        The table as it is.
    agreed : sequence of Agreed
        What stands after both readers were heard.

    Returns
    -------
    TableText

    Raises
    ------
    InputErrors
        When a cell that shall go, or that a new effect lacks, stands on a study or sample for other effects too.
    """
    known = _known(table)
    problems: list[InputError] = []
    changes: dict[Path_, Any] = {}
    for one in agreed:
        if (path := known.get(_key(one))) is not None:
            problems += _bring(table, path, one, changes)
    new = [one for one in agreed if _key(one) not in known]
    for one in new:
        problems += _inherits(table, one)
    if problems:
        raise InputErrors(problems)
    return _inserted(table.with_cells(changes) if changes else table, new)


Key = tuple[str, str, str, str]


def _key(one: Agreed) -> Key:
    return (*one.reading.study, one.reading.sample, one.reading.row.id)


def _known(table: TableText) -> dict[Key, Path_]:
    """The effects of a table by work, report, sample and id."""
    found: dict[Key, Path_] = {}
    for i, study in enumerate((table.source.data or {}).get("studies") or []):
        for j, sample in enumerate(study.get("samples") or []):
            for k, effect in enumerate(sample.get("effects") or []):
                cite = str(study.get("cite"))
                key = (cite, str(study.get("report") or cite), str(sample.get("id")), str(effect.get("id")))
                found[key] = ("studies", i, "samples", j, "effects", k)
    return found


def _bring(table: TableText, path: Path_, one: Agreed, changes: dict[Path_, Any]) -> list[InputError]:
    """Bring an effect that is there to the agreed cells."""
    old = dict(flattened(table.source.data))[path]
    problems = []
    for name, value in one.cells.items():
        if name in old and (name in KEPT or same_value(old[name].value, value)):
            continue
        level = path[:2] if name in OF_STUDY else path[:4] if name in OF_SAMPLE else path
        changes[(*level, *name.split(".", 1))] = value
    for record in one.resolved:
        name = record["cell"]
        if "kept" in record or name not in old:
            continue
        if old[name].path[: len(path)] != path:
            problems.append(_shared(table, old[name].path, name, one, "shall go from"))
        else:
            changes[old[name].path] = None
    before = _at(table.source.data, (*path, "source", "resolved")) or []
    fresh = [record for record in one.resolved if not any(_same_decision(record, told) for told in before)]
    if fresh:
        changes[(*path, "source", "resolved")] = [*before, *fresh]
    return problems


def _same_decision(record: Mapping[str, Any], told: Any) -> bool:
    """Whether the table tells of it already: the command was run twice, or was killed after it had written."""
    if not isinstance(told, dict):
        return False
    return all(_as_text(told.get(key)) == _as_text(value) for key, value in record.items() if key != "date")


def _as_text(value: Any) -> Any:
    """A value as typed, whether it was read from a file or is about to be written."""
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    return getattr(value, "text", str(value))


def _inherits(table: TableText, one: Agreed) -> list[InputError]:
    """Cells that a new effect would take over from the study or sample it comes under, though no reader wrote them."""
    problems = []
    study = _study_of(table, one)
    if study is None:
        return []
    sample = _sample_of(table, study, one)
    above = [study] + ([sample] if sample else [])
    for path in above:
        for name, where in _cells_at(table, path).items():
            if name not in one.cells and name not in WORDING | PROVENANCE:
                problems.append(_shared(table, where, name, one, "would be taken over by"))
    return problems


def _cells_at(table: TableText, path: Path_) -> dict[str, Path_]:
    """The cells of one study or sample that effects inherit."""
    entry = _at(table.source.data, path)
    own = (*OF_STUDY, *OF_SAMPLE, "cite", "id", "samples", "effects", "waive", "source")
    return {key: (*path, key) for key, value in entry.items() if key not in own and value is not None}


def _shared(table: TableText, path: Path_, name: str, one: Agreed, what: str) -> InputError:
    at = table.source.at(path) if path in table.source.lines else At(table.name)
    value = shown(_at(table.source.data, path))
    return InputError(
        at,
        f"{name}: {value} {what} the effect {one.reading.row.id}, and stands on its study or sample",
        "what stands there holds for all effects below",
        f"move the line {name}: down to the effects that it belongs to, or write {name}: in the readers' files",
        "reconcile",
    )


def _at(data: Any, path: Path_) -> Any:
    """What stands at a path; None when nothing does."""
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _study_of(table: TableText, one: Agreed) -> Path_ | None:
    """The entry of an effect's study: the one that has its sample, or else the one with its label."""
    cite, report = one.reading.study
    entries = [
        (("studies", i), study)
        for i, study in enumerate((table.source.data or {}).get("studies") or [])
        if str(study.get("cite")) == cite and str(study.get("report") or cite) == report
    ]
    for path, _ in entries:
        if _sample_of(table, path, one) is not None:
            return path
    return next((path for path, study in entries if same_value(study.get("label"), one.cells.get("label"))), None)


def _sample_of(table: TableText, study: Path_, one: Agreed) -> Path_ | None:
    for j, sample in enumerate(_at(table.source.data, (*study, "samples")) or []):
        if str(sample.get("id")) == one.reading.sample:
            return (*study, "samples", j)
    return None


# -- new entries ----------------------------------------------------------------------------------------


def _inserted(table: TableText, new: Sequence[Agreed]) -> TableText:
    """Insert effects: below their study where it is, in entries of their own where it is not."""
    samples: dict[tuple[str, ...], list[Agreed]] = {}
    fresh: dict[tuple[Any, ...], list[Agreed]] = {}
    for one in new:
        if _study_of(table, one) is not None:
            samples.setdefault((*one.reading.study, one.reading.sample), []).append(one)
        else:  # a paper may hold several studies, which their labels tell apart
            fresh.setdefault((*one.reading.study, one.cells.get("label")), []).append(one)
    for members in samples.values():
        table = _below(table, members)
    entries = [study_entry(members) for members in fresh.values()]
    if entries and not _at(table.source.data, ("studies",)):
        return table.with_cells({("studies",): entries})
    for entry in entries:
        table = table.with_entry(("studies",), entry)
    return table


def _below(table: TableText, members: Sequence[Agreed]) -> TableText:
    """Insert effects of one sample below their study."""
    study = _study_of(table, members[0])
    assert study is not None
    there = _sample_of(table, study, members[0])
    if there is None:
        return table.with_entry((*study, "samples"), sample_entry(members, _inherited(table, [study])))
    given = _inherited(table, [study, there])
    for one in members:
        table = table.with_entry((*there, "effects"), effect_entry(one, given))
    return table


def _inherited(table: TableText, above: Sequence[Path_]) -> dict[str, Any]:
    """What a new effect takes over, by the name of the cell."""
    found: dict[str, Any] = {}
    for path in above:
        entry = _at(table.source.data, path)
        found |= {key: value for key, value in entry.items() if key not in BLOCKS}
        found |= {f"source.{key}": value for key, value in (entry.get("source") or {}).items()}
    return found


def study_entry(members: Sequence[Agreed]) -> Entry:
    """A study with its samples; a cell stands as high as a reader put it and all effects below agree."""
    own = _common(members, 2, {}) | {name: members[0].cells[name] for name in OF_STUDY if name in members[0].cells}
    samples = [
        sample_entry([one for one in members if one.reading.sample == sample], own)
        for sample in dict.fromkeys(one.reading.sample for one in members)
    ]
    return {"cite": members[0].reading.study[0], **_nested(own), "samples": samples}


def sample_entry(members: Sequence[Agreed], given: Mapping[str, Any]) -> Entry:
    """A sample with its effects; `given` is what stands on the study already."""
    own = _common(members, 4, given)
    own |= {name: members[0].cells[name] for name in OF_SAMPLE if name in members[0].cells}
    effects = [effect_entry(one, {**given, **own}) for one in members]
    return {"id": members[0].reading.sample, **_nested(own), "effects": effects}


def effect_entry(one: Agreed, given: Mapping[str, Any]) -> Entry:
    """An effect with what does not stand above it."""
    own = {
        name: value
        for name, value in one.cells.items()
        if name not in (*OF_STUDY, *OF_SAMPLE) and not (name in given and same_value(given[name], value))
    }
    if one.resolved:
        own["source.resolved"] = [*own.get("source.resolved", []), *one.resolved]
    return {"id": one.reading.row.id, **_nested(own)}


def _common(members: Sequence[Agreed], depth: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Cells that a reader wrote at this depth or above, and that all members share."""
    first = members[0]
    return {
        name: value
        for name, value in first.cells.items()
        if first.depths.get(name, 6) <= depth
        and name not in (*OF_STUDY, *OF_SAMPLE)
        and not (name in given and same_value(given[name], value))
        and all(name in one.cells and same_value(one.cells[name], value) for one in members)
    }


def _nested(cells: Mapping[str, Any]) -> Entry:
    """Cells by name as they stand in the file: plain ones, then the blocks, the source last."""
    found: Entry = {name: cells[name] for name in OF_STUDY if name in cells}
    found |= {name: value for name, value in cells.items() if "." not in name}
    for block in BLOCKS:
        inner = dict(_inside(block, cells))
        if inner:
            found[block] = inner
    return found


def _inside(block: str, cells: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in cells.items():
        if name.startswith(f"{block}."):
            yield name.removeprefix(f"{block}."), value
