"""`catharsis check`."""

from __future__ import annotations

from pathlib import Path

from catharsis.cli.output import complain, tell
from catharsis.errors import InputErrors


def check_folder(folder: Path) -> int:
    """Check an analysis; exit code 0 without errors, 1 with."""
    from catharsis.plan.checking import check
    from catharsis.plan.spec import read_plan

    try:
        plan = read_plan(folder)
        found = check(plan)
    except InputErrors as problems:
        complain(problems)
        return 1
    for warning in found.warnings:
        tell(f"warning: {warning}")
    for row, waiver in found.waived:
        tell(f"waived: {row.id}: {waiver.rule} ({waiver.reason}; {waiver.by}, {waiver.date})")
    works = len({row.get("cite") for row in found.table})
    n = len(found.warnings)
    tell(f"{folder}: {len(found.table)} effects from {works} works, no errors, {n} warning{'s' * (n != 1)}")
    return 0
