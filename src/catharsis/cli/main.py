"""The `catharsis` command. Importing this file loads typer and nothing of the science."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from catharsis.errors import CatharsisError, InputErrors

DONE, INPUTS_WRONG, USAGE_WRONG, NOT_REPORTABLE = 0, 1, 2, 3

app = typer.Typer(
    name="catharsis",
    help="Living meta-analysis: check a table, fit both schools, write a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Argument(help="The analysis: a folder with analysis.yaml and studies.yaml.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; by default reports/NAME.")]
Exact = Annotated[
    bool, typer.Option("--no-sampling", help="Skip the NUTS check; quadrature still gives the posterior.")
]
Force = Annotated[bool, typer.Option("--force", help="Compute even when nothing changed.")]


class Form(StrEnum):
    """How findings are told."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


@app.command()
def add(
    folder: Folder,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A study in a YAML, CSV or Excel file; without it you are asked.", metavar="FILE"),
    ] = None,
    bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Take its reference, as BibTeX, from standard input.")
    ] = False,
    sheet: Annotated[str | None, typer.Option("--sheet", help="The sheet of a workbook.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen and write nothing.")] = False,
    no_results: Annotated[bool, typer.Option("--no-results", help="Do not show what it does to the results.")] = False,
) -> None:
    """Add a study: checked before it is written, with the pooled results before and after."""
    from catharsis.cli.add import add as add_study

    raise typer.Exit(add_study(folder, source, bibtex, sheet=sheet, dry_run=dry_run, results=not no_results))


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="The analysis: a folder with analysis.yaml.")] = None,
    form: Annotated[Form, typer.Option("--format", help="For people, or for machines.")] = Form.text,
    notes: Annotated[bool, typer.Option("--notes", help="List what the table leaves out, too.")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="RULE", help="Say what a rule is about (all: list them).")
    ] = None,
) -> None:
    """Check the inputs of an analysis and print every problem."""
    from catharsis.cli.check import check_folder, explain_rule

    if explain is not None:
        raise typer.Exit(explain_rule(explain))
    if folder is None:
        raise typer.BadParameter("name the folder of an analysis, or a rule with --explain", param_hint="FOLDER")
    raise typer.Exit(check_folder(folder, form.value, notes))


@app.command()
def cite(
    key: Annotated[str, typer.Argument(help="Citation key.")],
    bibliography: Annotated[Path, typer.Option("--bibliography", "-b", help="A .bib file or a folder of them.")] = Path(
        "references"
    ),
) -> None:
    """Print the APA reference of a key, how it is cited in text, and where it stands."""
    from catharsis.cli.cite import cite_one

    raise typer.Exit(cite_one(key, bibliography))


class DiffForm(StrEnum):
    """How a comparison is told."""

    text = "text"
    json = "json"
    html = "html"


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A folder, a table, a results.json, a git revision, or REVISION:PATH.")],
    after: Annotated[str, typer.Argument(help="The newer version, likewise.")],
    folder: Annotated[
        Path | None, typer.Option("--in", help="The analysis that a revision or a table alone belongs to.")
    ] = None,
    form: Annotated[DiffForm, typer.Option("--format", help="For people, or for machines.")] = DiffForm.text,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; by default the terminal.")] = None,
    cells_only: Annotated[bool, typer.Option("--cells-only", help="Compare the tables and compute nothing.")] = False,
) -> None:
    """Show what changed between two versions of a table, and what that did to the results."""
    from catharsis.cli.diff import diff_versions

    raise typer.Exit(diff_versions(before, after, folder, form.value, out, cells_only))


@app.command()
def duplicates(
    folder: Folder,
    link: Annotated[str | None, typer.Option("--link", metavar="KEY=KEY", help="The first key is the second.")] = None,
    undo: Annotated[str | None, typer.Option("--undo", metavar="KEY", help="Undo the link of a key.")] = None,
    distinct: Annotated[
        str | None, typer.Option("--distinct", metavar="KEY=KEY", help="These are two works; do not ask again.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who decided.")] = None,
    why: Annotated[str | None, typer.Option("--why", help="Why.")] = None,
) -> None:
    """List references that look alike, link two keys of one work, or undo a link."""
    from catharsis.cli.duplicates import duplicates as settle

    raise typer.Exit(settle(folder, link, undo, distinct, by, why))


@app.command()
def export(
    folder: Folder,
    kind: Annotated[
        str, typer.Option("--format", "-f", help="csv, r, revman, bibtex, csl-json or ris.", metavar="FORMAT")
    ] = "csv",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; by default the terminal.")] = None,
) -> None:
    """Write the analysis for other programs: a table, a metafor script, RevMan data, or the included studies."""
    from catharsis.cli.export import FORMATS
    from catharsis.cli.export import export as write_export

    if kind not in FORMATS:
        raise typer.BadParameter(f'"{kind}" is not one of {", ".join(FORMATS)}', param_hint="--format")
    raise typer.Exit(write_export(folder, kind, out))


@app.command("format")
def format_(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders with an analysis.yaml.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what would change (exit code 1).")] = False,
) -> None:
    """Lay out tables and plans: indentation, blank lines, brackets; order, digits and comments stay."""
    from catharsis.cli.format import format_files

    raise typer.Exit(format_files(paths, check))


@app.command("import")
def import_(
    folder: Folder,
    files: Annotated[
        list[Path], typer.Argument(help="Bibliographies (.bib .ris .nbib .json) and tables (.csv .tsv .xlsx).")
    ],
    into: Annotated[
        str | None, typer.Option("--into", metavar="NAME.bib", help="The .bib file that takes new references.")
    ] = None,
    keep_keys: Annotated[bool, typer.Option("--keep-keys", help="Keep the citation keys that are free.")] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=NAME,...", help="What columns are called here; or a YAML file."),
    ] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="The outcome of all rows.")] = None,
    cite: Annotated[str | None, typer.Option("--cite", metavar="KEY", help="The work that lists all rows.")] = None,
    cells: Annotated[
        list[str] | None, typer.Option("--set", metavar="CELL=VALUE", help="A cell that all rows share.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="The sheet of a workbook.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and write nothing.")] = False,
) -> None:
    """Import references, or a table of effects, into an analysis."""
    from catharsis.cli.import_ import Wishes, import_files

    wishes = Wishes(into, keep_keys, tuple(columns or ()), outcome, cite, tuple(cells or ()), sheet, dry_run)
    raise typer.Exit(import_files(folder, files, wishes))


@app.command()
def reconcile(
    first: Annotated[Path, typer.Argument(metavar="A", help="The first reader's file, laid out like studies.yaml.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The second reader's file.")],
    into: Annotated[
        Path | None, typer.Option("--into", help="The studies.yaml to write to; without it, only report.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who decides where the readers differ.")] = None,
    take: Annotated[
        str | None, typer.Option("--take", metavar="a|b|FILE.csv", help="Keep A's or B's, or as a sheet says.")
    ] = None,
    conflicts: Annotated[
        Path | None, typer.Option("--conflicts", metavar="FILE.csv", help="Write the conflicts as a sheet to fill in.")
    ] = None,
    readers: Annotated[
        str | None, typer.Option("--readers", metavar="A,B", help="Names of the readers; by default of the files.")
    ] = None,
    analysis: Annotated[
        Path | None, typer.Option("--analysis", help="Folder of analysis.yaml; by default that of the table.")
    ] = None,
) -> None:
    """Compare two readers' extractions: how far they agree, what differs, and what is kept."""
    from catharsis.cli.reconcile import Wanted, asking, reader_names
    from catharsis.cli.reconcile import reconcile as reconcile_files

    if into is not None and not (by or "").strip():
        raise typer.BadParameter("say who decides: --by NAME", param_hint="--by")
    names = None if readers is None else reader_names(readers)
    if readers is not None and names is None:
        raise typer.BadParameter("write two different names with a comma between", param_hint="--readers")
    wanted = Wanted(first, second, into, by, take, names, conflicts, analysis)
    raise typer.Exit(reconcile_files(wanted, asking()))


@app.command()
def report(folder: Folder, out: Out = None, no_sampling: Exact = False, force: Force = False) -> None:
    """Run an analysis and write the whole report."""
    from catharsis.cli.report import make

    raise typer.Exit(make(folder, out, sample=not no_sampling, force=force, show="index.html"))


@app.command()
def run(
    folder: Folder,
    out: Out = None,
    no_sampling: Exact = False,
    force: Force = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing; hold results.json as it stands against a fresh run.")
    ] = False,
) -> None:
    """Run an analysis and write results.json and tables."""
    from catharsis.cli.report import make

    if verify:
        from catharsis.cli.verify import verify_results

        raise typer.Exit(verify_results(folder, out, sample=not no_sampling))
    raise typer.Exit(make(folder, out, sample=not no_sampling, force=force, show="results.json"))


@app.command()
def schema(
    what: Annotated[str, typer.Argument(help="An analysis, or studies, analysis or claims to print a schema.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what is not current (exit code 1).")] = False,
) -> None:
    """Keep JSON Schemas beside the files of an analysis, for editors that complete and underline."""
    from catharsis.cli.schema import print_schema, write_schemas

    if what in ("studies", "analysis", "claims") and not Path(what).is_dir():
        raise typer.Exit(print_schema(what))
    raise typer.Exit(write_schemas(Path(what), check))


@app.command()
def update(folder: Folder, out: Out = None, no_sampling: Exact = False) -> None:
    """Check, run, report, and show what moved since the results that were committed last, with the looks so far."""
    from catharsis.cli.update import update_report

    raise typer.Exit(update_report(folder, out, sample=not no_sampling))


def main() -> None:
    """Run the command line: input errors are a list and exit code 1, never a traceback."""
    import os

    from catharsis.cli.output import complain

    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a letter shows its number
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputErrors as found:
        complain(found)
        sys.exit(INPUTS_WRONG)
    except CatharsisError as problem:
        complain(problem)
        sys.exit(INPUTS_WRONG)
    except BrokenPipeError:  # whoever read has heard enough; the last flush would complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except OSError as problem:  # a full disk, a folder that may not be read
        from catharsis.files import refused

        complain(refused(problem.filename or "the disk", problem))
        sys.exit(INPUTS_WRONG)


if __name__ == "__main__":
    main()
