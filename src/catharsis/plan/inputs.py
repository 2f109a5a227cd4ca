"""What results depend on, as hashes: same inputs and same code, same results.

Inputs and code are hashed apart, so that one can say which of the two moved. Line ends do not count: a checkout
that turns them into another system's has changed nothing.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import resources
from pathlib import Path

from catharsis.plan.spec import Plan

PARTS = (".py", ".html", ".css", ".js", ".bib")


def file_hashes(plan: Plan) -> dict[str, str]:
    """sha256 of every input file, by its path from the folder of the analysis, in the order of `Plan.inputs`.

    Parameters
    ----------
    plan : Plan
        The analysis.

    Returns
    -------
    dict
        A file that is missing has the hash "missing"; the checks say so.
    """
    found = {}
    for path in plan.inputs():
        name = Path(os.path.relpath(path, plan.folder)).as_posix()
        found[name] = _digest(path.read_bytes()) if path.is_file() else "missing"
    return found


def inputs_hash(plan: Plan) -> str:
    """sha256 over the input files alone: plan, table, claims, bibliography."""
    return _joined(file_hashes(plan))


@cache
def code_hash() -> str:
    """sha256 over every file of the package that can change a number or a word."""
    package = Path(str(resources.files("catharsis")))
    found = {
        path.relative_to(package).as_posix(): _digest(path.read_bytes())
        for path in sorted(package.rglob("*"))
        if path.suffix in PARTS
    }
    return _joined(found)


def input_hash(plan: Plan, sample: bool) -> str:
    """sha256 over inputs, code, and whether the sampler runs: what a finished report is held against."""
    parts = {"inputs": inputs_hash(plan), "code": code_hash(), "engine": "sampled" if sample else "exact"}
    return _joined(parts)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _joined(parts: dict[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{name}\0{digest}" for name, digest in parts.items()).encode()).hexdigest()
