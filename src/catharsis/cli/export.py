"""`catharsis export`: the analysis for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from catharsis.cli.output import tell

if TYPE_CHECKING:
    from catharsis.plan.spec import Plan
    from catharsis.references.library import Reference
    from catharsis.studies.table import StudyTable

FORMATS: dict[str, str] = {
    "csv": "every effect with its cells, sizes and the syntheses it enters",
    "r": "a script that repeats the results with metafor, data inline",
    "revman": "the data of each synthesis in RevMan's terms",
    "bibtex": "the included studies as .bib",
    "csl-json": "the included studies as CSL-JSON",
    "ris": "the included studies as RIS",
}


def export(folder: Path, kind: str, out: Path | None) -> int:
    """Write an analysis in another format, to a file or to standard output.

    Parameters
    ----------
    folder : Path
        The analysis.
    kind : str
        A key of `FORMATS`.
    out : Path or None
        The file; standard output when None.

    Returns
    -------
    int
        0; inputs with errors are raised and nothing is written.
    """
    from catharsis.files import write_atomically
    from catharsis.plan.checking import check
    from catharsis.plan.spec import read_plan

    plan = read_plan(folder)
    table = check(plan).table
    text = exported(plan, table, kind)
    if out is None:
        import sys

        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    write_atomically(out, text)
    tell(str(out))
    return 0


def exported(plan: Plan, table: StudyTable, kind: str) -> str:
    """The text of an export; arguments as for `export`, already read and checked."""
    if kind == "r":
        from catharsis.report.r_script import r_script

        return r_script(plan, table)
    if kind in ("csv", "revman"):
        from catharsis.report.analysis_sheet import analysis_csv, revman_csv

        return (analysis_csv if kind == "csv" else revman_csv)(plan, table)
    return bibliography(included_references(plan, table), kind)


def included_references(plan: Plan, table: StudyTable) -> list[Reference]:
    """The works behind the rows that are not excluded, by key."""
    keys = sorted({str(row.get("cite")) for row in table if not row.has("exclude")})
    return [plan.library[key] for key in keys]


def bibliography(references: list[Reference], kind: str) -> str:
    """References as text of a bibliography."""
    from catharsis.references.formats import to_bibtex, to_csl_json, to_ris

    return {"bibtex": to_bibtex, "csl-json": to_csl_json, "ris": to_ris}[kind](references)
