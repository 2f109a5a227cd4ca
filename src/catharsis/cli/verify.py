"""`catharsis run --verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catharsis.cli.output import tell

if TYPE_CHECKING:
    from catharsis.plan.verification import Difference, Verification

MOST = 20  # differences shown; the rest is counted


def verify_results(folder: Path, out: Path | None, *, sample: bool) -> int:
    """Hold results.json against a fresh run and write nothing.

    Returns
    -------
    int
        0 when it holds, 3 when it does not.
    """
    from catharsis.plan.record import record
    from catharsis.plan.revisions import read_record
    from catharsis.plan.run import run_plan
    from catharsis.plan.spec import read_plan
    from catharsis.plan.verification import verify

    plan = read_plan(folder)
    path = (out or Path("reports") / plan.name) / "results.json"
    committed = read_record(path)
    found = verify(committed, record(run_plan(plan, sample=sample and bool(committed.get("sampled")))))
    for line in lines(found):
        tell(line)
    if found.holds:
        tell(f"{path.as_posix()} holds" + ("; made by other code, which gives the same" if found.code else ""))
        return 0
    tell(f"{path.as_posix()} does not hold: look at what moved, then write it again: catharsis run {folder.as_posix()}")
    return 3


def lines(found: Verification) -> list[str]:
    """What was compared and what differs."""
    from catharsis.plan.verification import SIGMAS

    told = [f"inputs changed: {name}" for name in found.inputs]
    told += ["code changed"] if found.code and found.differences else []
    told += [line(one) for one in found.differences[:MOST]]
    more = len(found.differences) - MOST
    told += [f"and {more} more"] if more > 0 else []
    counted = f"compared {found.exact} deterministic numbers (exact), {found.sampled} sampled ones "
    rest = f"({SIGMAS:g} Monte Carlo standard errors) and {found.words} words; {found.unchecked} sampled not checked"
    return [*told, counted + rest]


def line(one: Difference) -> str:
    """One difference."""
    far = f" ({one.distance:.1f} Monte Carlo standard errors apart)" if one.kind == "sampled" else ""
    what = {"exact": "number", "sampled": "sampled number", "words": "entry"}[one.kind]
    return f"{what} changed: {one.place}: {_told(one.committed)} -> {_told(one.fresh)}{far}"


def _told(value: object) -> str:
    return "nothing" if value is None else str(value)
