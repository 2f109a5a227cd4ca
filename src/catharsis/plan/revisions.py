"""A version of an analysis: a folder, a table, a results.json, or one of these as a git revision has it.

Files of a revision are copied into a temporary folder blob by blob; nothing of the working tree is touched.
"""

from __future__ import annotations

import math
import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catharsis.errors import At, InputError, InputErrors, shown
from catharsis.plan.spec import Plan, read_plan
from catharsis.studies.table import Row, StudyTable, read_dictionary, read_studies
from catharsis.studies.yaml_source import parse_yaml, read_text

PATIENCE = 60  # seconds for one git command
LINK = "120000"  # git's mode of a symbolic link


@dataclass(frozen=True, slots=True)
class Version:
    """One side of a comparison.

    Attributes
    ----------
    label : str
        What the user called it.
    plan : Plan or None
        The analysis, its table being the one that is meant; None when only results were given.
    record : dict or None
        results.json as data, when that was given.
    copied : (Path, str) or None
        Where the files of a git revision lie for now, and the revision.
    unread : InputErrors or None
        Why the plan of a revision cannot be read by this package, which nobody can mend any more; its table may be.
    file : Path or None
        The table of such a revision.
    """

    label: str
    plan: Plan | None
    record: dict[str, Any] | None
    copied: tuple[Path, str] | None = None
    unread: InputErrors | None = None
    file: Path | None = None

    def table(self) -> StudyTable | None:
        """The table; None when only results were given.

        Raises
        ------
        InputErrors
            When it cannot be read.
        """
        with self.named():
            if self.plan is not None:
                found = read_studies(self.plan.table_path, self.plan.dictionary)
            elif self.file is not None:
                found = read_studies(self.file, read_dictionary(self.file.parent / "analysis.yaml"))
            else:
                return None
        return found if self.copied is None else replace(found, rows=tuple(_placed(row, *self.copied) for row in found))

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let problems of the files name the revision in place of the folder that they were copied to."""
        try:
            yield
        except InputErrors as found:
            if self.copied is None:
                raise
            raise InputErrors([renamed(problem, *self.copied) for problem in found.problems]) from None


@contextmanager
def versions(before: str, after: str, folder: Path | None = None) -> Iterator[tuple[Version, Version]]:
    """Both sides of a comparison; copies of revisions are gone afterwards.

    Parameters
    ----------
    before, after : str
        Each a folder with analysis.yaml, a table (studies.yaml), a results.json, a git revision, or REVISION:PATH.
    folder : Path, optional
        The analysis that a bare revision or a table alone belongs to; by default that of the other side.

    Yields
    ------
    (Version, Version)

    Raises
    ------
    InputErrors
        When a side is none of these, or its plan cannot be read. Problems of a revision are named REVISION:file.
    """
    home = folder or next((found for found in (_folder(after), _folder(before)) if found is not None), None)
    if home is None:
        absent = [side for side in (before, after) if "/" in side and ":" not in side and not Path(side).exists()]
        for side in absent[:1]:  # a path more likely than a revision, and what the other side was to get its plan from
            raise _refused(side, "there is no such file or folder", "check the path, or add --in analyses/NAME")
    with tempfile.TemporaryDirectory(prefix="catharsis-") as temporary:
        yield (
            _version(before, home, Path(temporary) / "before"),
            _version(after, home, Path(temporary) / "after"),
        )


def _folder(text: str) -> Path | None:
    """The analysis that a path names, if it names one."""
    path = Path(text)
    if text.strip() and path.is_dir():
        return path
    return path.parent if path.suffix in (".yaml", ".yml") and (path.parent / "analysis.yaml").is_file() else None


def _version(text: str, home: Path | None, copy: Path) -> Version:
    path = Path(text)
    if not text.strip():
        raise _refused(text, "it names nothing", "name a folder, a file or a git revision")
    if path.is_dir():
        return Version(text, read_plan(path), None)
    if path.is_file() and path.suffix == ".json":
        return Version(text, None, read_record(path))
    if path.is_file():
        if home is None:
            raise _refused(text, "a table says nothing without its plan", "name the analysis with --in FOLDER")
        plan = read_plan(home)
        return Version(text, replace(plan, file=plan.file.model_copy(update={"table": str(path.resolve())})), None)
    revision, _, inside = text.partition(":")
    return _of_revision(text, revision, Path(inside) if inside else home, copy)


def read_record(path: Path) -> dict[str, Any]:
    """results.json as data.

    Raises
    ------
    InputErrors
        When the file cannot be read or is not a record of results.
    """
    return parse_record(read_text(path), path.as_posix())


def parse_record(text: str, name: str) -> dict[str, Any]:
    """`read_record` for text at hand; `name` is what messages call it."""
    import json

    try:
        data = json.loads(text, parse_float=finite_number, parse_constant=finite_number)
    except (ValueError, RecursionError) as problem:
        data, why = None, f"it is not JSON ({problem})"
    else:
        why = "it lacks the line schema: catharsis/results@1"
    if not isinstance(data, dict) or data.get("schema") != "catharsis/results@1":
        what = "this is not a results.json of catharsis"
        fix = "name the file that catharsis run writes, or write it again: catharsis run FOLDER"
        raise InputErrors([InputError(At(name), what, why, fix, "results-file")])
    for part in ("families", "syntheses", "directions", "effects", "inputs"):
        if not isinstance(data.get(part), dict):
            what, why = f"results.json has no {part}:", "results are compared part by part"
            raise InputErrors([InputError(At(name), what, why, "write it again: catharsis run FOLDER", "results-file")])
    return data


def finite_number(text: str) -> float:
    """A number of a record; NaN and what is too large for a float never come from us."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number one can report")
    return number


# -- git ------------------------------------------------------------------------------------------------


def git(where: Path, *arguments: str) -> bytes | None:
    """What a git command prints, or None when it fails or there is no git."""
    if shutil.which("git") is None:
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *arguments], capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def at_revision(where: Path, revision: str, path: str) -> str | None:
    """The text of a file as a revision has it; None without git, revision or file.

    Parameters
    ----------
    where : Path
        A folder of the working tree.
    revision : str
        The revision.
    path : str
        The file, from the top of the repository.
    """
    found = git(where, "cat-file", "blob", f"{revision}:{path}") if not revision.startswith("-") else None
    return found.decode("utf-8", errors="replace") if found is not None else None


def inside_repository(path: Path) -> str | None:
    """A path from the top of its repository, with slashes; None outside of one."""
    near = path.resolve()
    while not near.is_dir():
        near = near.parent
    top = git(near, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    root = Path(top.decode().rstrip("\n")).resolve()
    return path.resolve().relative_to(root).as_posix() if path.resolve().is_relative_to(root) else None


def _of_revision(text: str, revision: str, home: Path | None, copy: Path) -> Version:
    if home is None:
        why = "there is no such file or folder, and a git revision needs an analysis"
        raise _refused(text, why, "write REVISION:analyses/NAME, or add --in analyses/NAME")
    near = home.resolve()
    while not near.is_dir():
        near = near.parent
    path = inside_repository(home)
    if path is None:
        raise _refused(text, f"{home.as_posix()} is not inside a git repository", "name a folder or a file instead")
    found = None
    if revision and not revision.startswith("-"):
        found = git(near, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        why = "it is neither a file or folder nor a git revision of this repository"
        raise _refused(text, why, "check the spelling (git log names revisions), and that git is installed")
    commit = found.decode().strip()
    if path.endswith(".json"):
        record = at_revision(near, commit, path)
        if record is None:
            raise _missing(revision, path)
        return Version(text, None, parse_record(record, f"{revision}:{path}"))
    table = posixpath.basename(path) if path.endswith((".yaml", ".yml")) else None
    path = posixpath.dirname(path) if table else path
    version = Version(text, None, None, (copy, revision))
    with version.named():
        _copy(near, commit, path, copy, revision)
    try:
        with version.named():
            plan = read_plan(copy / path)
    except InputErrors as problems:
        return replace(version, unread=problems, file=copy / path / (table or "studies.yaml"))
    if table is not None:
        plan = replace(plan, file=plan.file.model_copy(update={"table": table}))
    return replace(version, plan=plan)


def _copy(where: Path, commit: str, path: str, copy: Path, revision: str) -> None:
    """Copy the folder of an analysis and what its plan points to outside of it."""
    plan = at_revision(where, commit, posixpath.join(path, "analysis.yaml"))
    if plan is None:
        raise _missing(revision, posixpath.join(path, "analysis.yaml"))
    data = parse_yaml(plan, str(copy / path / "analysis.yaml")).data
    named = [data.get(key) for key in ("bibliography", "table", "claims")] if isinstance(data, dict) else []
    pointed = [posixpath.normpath(posixpath.join(path, name)) for name in named if isinstance(name, str)]
    for part in dict.fromkeys([path, *(one for one in pointed if not one.startswith((path + "/", "../", "/")))]):
        listed = git(where, "ls-tree", "-r", "-z", "--full-tree", commit, "--", part) or b""
        for line in listed.decode("utf-8", errors="replace").split("\0"):
            if not line or line.startswith(LINK):
                continue
            about, _, name = line.partition("\t")
            blob = git(where, "cat-file", "blob", about.split()[2])
            target = (copy / name).resolve()
            if blob is not None and target.is_relative_to(copy.resolve()):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(blob)


def renamed(problem: InputError, copy: Path, revision: str) -> InputError:
    """A problem of a copy in terms of the revision it was made from."""

    def name(text: str) -> str:
        return text.replace(f"{copy.as_posix()}/", f"{revision}:")

    at = At(name(problem.at.file), problem.at.line)
    return InputError(at, name(problem.what), name(problem.why), name(problem.fix), problem.rule)


def _placed(row: Row, copy: Path, revision: str) -> Row:
    """A row whose places name the revision."""

    def name(at: At) -> At:
        return At(at.file.replace(f"{copy.as_posix()}/", f"{revision}:"), at.line)

    return replace(row, at=name(row.at), places={column: name(at) for column, at in row.places.items()})


def _missing(revision: str, path: str) -> InputErrors:
    what, why = "there is no such file", "the revision does not hold it"
    fix = "choose a revision in which the analysis exists: git log -- " + path
    return InputErrors([InputError(At(f"{revision}:{path}"), what, why, fix, "revision")])


def _refused(text: str, why: str, fix: str) -> InputErrors:
    return InputErrors([InputError(At(text or "(nothing)"), f"{shown(text)} cannot be compared", why, fix, "version")])
