"""`catharsis schema`: JSON Schemas for editors, printed or kept beside the files of an analysis."""

from __future__ import annotations

from pathlib import Path

from catharsis.cli.output import tell


def write_schemas(folder: Path, check: bool = False) -> int:
    """Keep the schemas of an analysis beside its files, and a line in each file that names its schema.

    Parameters
    ----------
    folder : Path
        The analysis.
    check : bool
        Only say what is not current.

    Returns
    -------
    int
        0 done; 1 with `check` when something is not current.
    """
    from catharsis.files import locked, write_atomically
    from catharsis.plan.json_schema import schema_files, with_modeline
    from catharsis.plan.spec import read_plan
    from catharsis.studies.edit import TableText, read_exactly, save_table

    changed = 0
    for file, (schema, text) in schema_files(read_plan(folder)).items():
        if not schema.exists() or schema.read_text(encoding="utf-8", errors="replace") != text:
            changed += 1
            if not check:
                with locked(schema):
                    write_atomically(schema, text)
            tell(f"{schema.as_posix()}: {'not current' if check else 'written'}")

        def named(table: TableText, schema: Path = schema) -> TableText:
            return TableText(with_modeline(table.text, schema.name), table.name)

        if named(read_exactly(file)).text != read_exactly(file).text:
            changed += 1
            if not check:
                save_table(file, named)
            tell(f"{file.as_posix()}:1: {'does not name' if check else 'names'} {schema.name}")
    if not changed:
        tell(f"{folder.as_posix()}: the schemas are current")
    return 1 if check and changed else 0


def print_schema(kind: str) -> int:
    """Print the schema of one kind of file, for any analysis."""
    from catharsis.plan.json_schema import general_schema, schema_text

    tell(schema_text(general_schema(kind)).rstrip("\n"))
    return 0
