"""What results depend on, as one hash: same hash, same results."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from catharsis.plan.spec import Plan

PARTS = (".py", ".html", ".css", ".js", ".bib")


def input_hash(plan: Plan, sample: bool) -> str:
    """sha256 over every input file, every file of the package, and whether the sampler runs."""
    digest = hashlib.sha256(b"sampled" if sample else b"exact")
    for path in plan.inputs():
        content = path.read_bytes() if path.is_file() else b"missing"  # the checks will say so
        digest.update(path.name.encode() + b"\0" + content + b"\0")
    package = resources.files("catharsis")
    for path in sorted(Path(str(package)).rglob("*")):
        if path.suffix in PARTS:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
