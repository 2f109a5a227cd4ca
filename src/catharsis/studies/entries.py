"""Studies that are not in the table yet: read from a file of their own, with its lines, and given their place.

A file holds one study, a list of them, or a table of its own (`studies:`). What is wrong with it is said with
its own line numbers, before it is held against the table it shall join.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from catharsis.errors import At, InputError, InputErrors
from catharsis.studies.edit import TableText
from catharsis.studies.migrations import HISTORIES, STUDIES
from catharsis.studies.yaml_source import Path_, YamlSource, read_yaml


@dataclass(frozen=True, slots=True)
class Entries:
    """New studies and where they come from.

    Attributes
    ----------
    source : YamlSource
        The studies as a table of their own; its lines are those of the file they stand in.
    """

    source: YamlSource

    @property
    def studies(self) -> list[dict[str, Any]]:
        """The studies as plain data."""
        return list(self.source.data["studies"])

    def at(self, position: int) -> At:
        """Where a study begins."""
        return self.source.at(("studies", position))

    def citing(self, key: str) -> Entries:
        """The same studies; those that name no `cite` cite this key."""
        studies = [study if "cite" in study else {"cite": key, **study} for study in self.studies]
        data = {**self.source.data, "studies": studies}
        return Entries(YamlSource(self.source.file, data, self.source.lines, self.source.printed))


def read_entries(path: str | Path) -> Entries:
    r"""Read the studies of a YAML file.

    Parameters
    ----------
    path : str or Path
        One study, a list of studies, or a whole table.

    Returns
    -------
    Entries

    Raises
    ------
    InputErrors
        When the file cannot be read, or holds no study.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "new.yaml")
    >>> _ = file.write_text("cite: doe2030\nlabel: Doe 2030\nsamples: []\n")
    >>> read_entries(file).studies[0]["label"]
    'Doe 2030'
    """
    return entries_of(read_yaml(path))


def entries_of(source: YamlSource) -> Entries:
    """`read_entries` for a file that has been parsed."""
    data = source.data
    if isinstance(data, dict) and "studies" in data:
        studies, depth = data["studies"], 1
        whole = {"schema": f"{STUDIES}@{HISTORIES[STUDIES].newest}", **data}
    else:
        studies, depth = ([data], -1) if isinstance(data, dict) else (data, 0)
        whole = {"schema": f"{STUDIES}@{HISTORIES[STUDIES].newest}"}
    if not isinstance(studies, list) or not studies or not all(isinstance(study, dict) for study in studies):
        raise InputErrors(
            [
                InputError(
                    At(source.file, 1),
                    "the file holds no study",
                    "a study is a block of keys: cite, label, samples",
                    "write one study, a list of them, or a table with studies:",
                    "no-study",
                )
            ]
        )

    def moved(path: Path_) -> Path_:
        if depth == 1:
            return path
        return ("studies", *path) if depth == 0 else ("studies", 0, *path)

    return Entries(
        YamlSource(
            source.file,
            {**whole, "studies": studies},
            {moved(path): line for path, line in source.lines.items()},
            {moved(path): text for path, text in source.printed.items()},
        )
    )


def entries_of_rows(studies: Sequence[Mapping[str, Any]], places: Mapping[str, At], name: str) -> Entries:
    """Studies that were made from the rows of another file; problems name the rows.

    Parameters
    ----------
    studies : sequence of dict
        As they stand in studies.yaml.
    places : mapping of str to At
        Effect id to the row it comes from.
    name : str
        The file.
    """
    text = TableText("studies: []\n", name)
    written = entries_of(text.with_cell(("studies",), list(studies)).source)
    lines: dict[Path_, int] = {}
    for i, study in enumerate(written.studies):
        for j, sample in enumerate(study.get("samples") or ()):
            for k, effect in enumerate(sample.get("effects") or ()):
                row = places[str(effect["id"])].line
                path: Path_ = ("studies", i, "samples", j, "effects", k)
                for depth in range(0, len(path) + 1, 2):
                    lines.setdefault(path[:depth], row)
    at = next(iter(places.values())).file if places else name
    return Entries(YamlSource(at, written.source.data, lines, written.source.printed))


def place_of(studies: Sequence[Mapping[str, Any]], new: Mapping[str, Any]) -> int:
    """Where a new study belongs in a list.

    Parameters
    ----------
    studies : sequence of dict
        The table as it is.
    new : dict
        The study.

    Returns
    -------
    int
        Behind the last study that cites the same work; else in order when the table is ordered by year,
        label or citation key; else at the end.

    Examples
    --------
    >>> table = [{"label": "Ash 2001"}, {"label": "Oak 1999"}]
    >>> place_of(table, {"label": "Elm 2010"}), place_of(table, {"label": "Zelkova 1990"})
    (1, 2)
    """
    same = [i for i, study in enumerate(studies) if study.get("cite") is not None and study["cite"] == new.get("cite")]
    if same:
        return same[-1] + 1
    for key in ("year", "label", "cite"):
        values = [_sortable(study.get(key)) for study in studies]
        own = _sortable(new.get(key))
        if own is None or None in values or len(values) < 2 or len(set(values)) < 2:
            continue
        if all(a <= b for a, b in pairwise(values)):  # type: ignore[operator]
            return sum(value <= own for value in values)  # type: ignore[operator]
    return len(studies)


def _sortable(value: Any) -> tuple[int, str] | None:
    if value is None or isinstance(value, dict | list):
        return None
    text = str(getattr(value, "text", value)).casefold()
    return (int(text), "") if text.isdigit() and len(text) == 4 else (0, text)
