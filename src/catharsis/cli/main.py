"""The `catharsis` command. Importing this file loads typer and nothing of the science."""

from __future__ import annotations

import sys
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


@app.command()
def check(folder: Folder) -> None:
    """Check the inputs of an analysis and print every problem."""
    from catharsis.cli.check import check_folder

    raise typer.Exit(check_folder(folder))


@app.command()
def run(folder: Folder, out: Out = None, no_sampling: Exact = False, force: Force = False) -> None:
    """Run an analysis and write results.json and tables."""
    from catharsis.cli.report import make

    raise typer.Exit(make(folder, out, sample=not no_sampling, force=force, show="results.json"))


@app.command()
def report(folder: Folder, out: Out = None, no_sampling: Exact = False, force: Force = False) -> None:
    """Run an analysis and write the whole report."""
    from catharsis.cli.report import make

    raise typer.Exit(make(folder, out, sample=not no_sampling, force=force, show="index.html"))


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


def main() -> None:
    """Run the command line: input errors are a list and exit code 1, never a traceback."""
    from catharsis.cli.output import complain

    try:
        app()
    except InputErrors as found:
        complain(found)
        sys.exit(INPUTS_WRONG)
    except CatharsisError as problem:
        complain(problem)
        sys.exit(INPUTS_WRONG)
    except BrokenPipeError:
        sys.exit(DONE)


if __name__ == "__main__":
    main()
