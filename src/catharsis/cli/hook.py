"""The pre-commit hook `catharsis-check`: check every analysis that the changed files belong to.

pre-commit hands over file names: tables, plans, claims and bibliographies. Called as
`python -m catharsis.cli.hook FILE...`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from catharsis.cli.output import complain
from catharsis.errors import CatharsisError, InputErrors

DEPTH = 4  # folders below the working directory that are searched for analyses


def analyses_of(files: Iterable[Path], top: Path) -> list[Path]:
    """The analyses that changed files belong to.

    Parameters
    ----------
    files : iterable of Path
        What changed.
    top : Path
        Where analyses that read a changed bibliography are looked for.

    Returns
    -------
    list of Path
        Folders with an analysis.yaml, each once.
    """
    from catharsis.plan.spec import read_plan

    found: dict[Path, None] = {}
    shared = []
    for file in files:
        if (file.parent / "analysis.yaml").is_file():
            found[file.parent] = None
        else:
            shared.append(file.resolve())
    if shared:
        for plan in sorted(file for depth in range(DEPTH) for file in top.glob("*/" * depth + "analysis.yaml")):
            try:
                inputs = {path.resolve() for path in read_plan(plan.parent).inputs()}
            except InputErrors:  # it is checked, and its problems are told there
                inputs = set(shared)
            if inputs & set(shared):
                found[plan.parent] = None
    return list(found)


def main(names: Sequence[str] | None = None) -> int:
    """Check the analyses of the files; 1 when one has errors."""
    from catharsis.cli.check import check_folder

    worst = 0
    for folder in analyses_of([Path(name) for name in (sys.argv[1:] if names is None else names)], Path()):
        try:
            worst = max(worst, check_folder(folder))
        except CatharsisError as problem:
            complain(problem)
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
