"""The manifest of a written report: what it was made from, so that a rerun can tell that nothing changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

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
