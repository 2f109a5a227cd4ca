"""`catharsis format`: bring tables to the layout of the house and to the newest version of their schema."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from catharsis.cli.output import complain, tell
from catharsis.errors import At, InputError, InputErrors

if TYPE_CHECKING:
    from catharsis.studies.edit import TableText


def format_files(paths: Iterable[Path], check: bool = False) -> int:
    """Lay out the files of analyses.

    Parameters
    ----------
    paths : iterable of Path
        YAML files, or folders with an analysis.yaml.
    check : bool
        Only say which files would change.

    Returns
    -------
    int
        0 done; 1 when a file cannot be read, or with `check` when one would change.
    """
    problems: list[InputError] = []
    changed = 0
    for path in _files(paths, problems):
        try:
            changed += _format(path, check)
        except InputErrors as found:
            problems += found.problems
    if problems:
        complain(InputErrors(problems))
    return 1 if problems or (check and changed) else 0


def _files(paths: Iterable[Path], problems: list[InputError]) -> list[Path]:
    """The files that are meant; a folder means its plan, its table and its claims."""
    from catharsis.studies.yaml_source import read_yaml

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        plan = path / "analysis.yaml"
        found.append(plan)
        try:
            data = read_yaml(plan).data
        except InputErrors:  # said again, and only once, when the file's turn comes
            continue
        named = data if isinstance(data, dict) else {}
        for key, usual in (("table", "studies.yaml"), ("claims", "claims.yaml")):
            name = named.get(key)
            file = path / (name if isinstance(name, str) else usual)
            if isinstance(name, str) or file.exists():
                found.append(file)
    for path in found:
        if not path.exists():
            what, why, fix = "there is no such file or folder", "there is nothing to lay out", "check the path"
            problems.append(InputError(At(path.as_posix()), what, why, fix, "unreadable-file"))
        elif path.suffix.lower() not in (".yaml", ".yml"):
            what, why = "this is not a YAML file", "only tables and plans have a layout"
            problems.append(
                InputError(At(path.as_posix()), what, why, "name .yaml files or a folder", "unreadable-file")
            )
    return [path for path in dict.fromkeys(found) if path.exists() and path.suffix.lower() in (".yaml", ".yml")]


def _format(path: Path, check: bool) -> bool:
    """Lay out one file; True when it changed or would."""
    from catharsis.studies.edit import read_exactly, save_table

    said: list[str] = []

    def change(table: TableText) -> TableText:
        said.clear()
        return _laid_out(table, said)

    if check:
        table = read_exactly(path)
        old, new = table.text, change(table).text
    else:
        old, new = save_table(path, change)
    for line in said:
        tell(f"{path.as_posix()}: {'would become' if check else 'is now'} {line}")
    if old == new:
        return False
    first = next(
        (i for i, (a, b) in enumerate(zip(old.splitlines(), new.splitlines(), strict=False), 1) if a != b),
        min(len(old.splitlines()), len(new.splitlines())) + 1,
    )
    tell(f"{path.as_posix()}:{first}: {'would be laid out anew' if check else 'laid out anew'}")
    return True


def _laid_out(table: TableText, said: list[str]) -> TableText:
    from catharsis.studies.layout import formatted
    from catharsis.studies.migrations import HISTORIES, migrate

    data = table.source.data
    named = data.get("schema") if isinstance(data, dict) else None
    kind = re.sub("@.*", "", named) if isinstance(named, str) else ""
    if kind in HISTORIES:
        table, steps = migrate(table, kind)
        said += steps
    return formatted(table)
