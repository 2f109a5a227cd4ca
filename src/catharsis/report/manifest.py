"""The manifest of a written report: what it was made from, so that a rerun can tell that nothing changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catharsis.errors import CatharsisError

MANIFEST = "manifest.json"
OURS = frozenset({MANIFEST, "index.html", "results.json"})
FOLDERS = frozenset({"tables", "figures", "posteriors"})


def unchanged(folder: str | Path, input_hash: str) -> dict[str, Any] | None:
    """The manifest of a report that was made from these very inputs and is whole; None otherwise."""
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["inputs"] != input_hash:
            return None
        for name, digest in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(manifest)


def made_by_us(folder: str | Path) -> Callable[[str], bool]:
    """A test of which files of a folder, by their paths inside it, an older report brought.

    What else lies there (a history of looks, a note by hand) belongs to others and is kept. Without a manifest that
    can be read, the names that every report uses are taken for ours.
    """
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
        names = frozenset({*manifest["files"], MANIFEST})
    except (OSError, ValueError, KeyError, TypeError):
        return lambda name: name in OURS or name.split("/")[0] in FOLDERS
    return lambda name: name in names


def refuse_foreign(folder: Path) -> None:
    """Refuse a target that holds anything but an older report: it would be replaced as a whole.

    Raises
    ------
    CatharsisError
        When the target is a file, or a folder with other things in it. A folder with results.json alone
        (as a repository keeps it) may be replaced.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    kept = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if folder.is_dir() and (MANIFEST in kept or kept <= {"results.json"}):
        return
    raise CatharsisError(
        f"{folder.as_posix()}: the report would replace what stands there ({', '.join(sorted(kept)[:3])})\n"
        "  why: a report is written as a whole folder, and this one holds other things\n"
        "  fix: choose an empty or new folder with --out"
    )
