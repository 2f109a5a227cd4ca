"""The manifest of a written report: what it was made from, so that a rerun can tell that nothing changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from catharsis.errors import CatharsisError

MANIFEST = "manifest.json"


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
