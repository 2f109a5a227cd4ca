"""The JSON Schemas of an analysis' own files, and the line in each file that tells an editor where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from catharsis.plan.spec import METHODS, AnalysisFile, ClaimsFile, Plan
from catharsis.studies.edit import BOM
from catharsis.studies.json_schema import Schema, schema_of, studies_schema

KINDS = ("studies", "analysis", "claims")
MODELINE = re.compile(r"^#[ \t]*yaml-language-server:[ \t]*\$schema=[^\r\n]*", re.MULTILINE)
TOP = 10  # lines in which a modeline is looked for


def analysis_schema() -> Schema:
    """The schema of analysis.yaml.

    Examples
    --------
    >>> analysis_schema()["required"]
    ['schema', 'title', 'outcomes']
    """
    schema = schema_of(AnalysisFile, "The plan of an analysis (analysis.yaml)")
    schema["properties"]["evidence_to"] = {"type": ["string", "number", "null"]}
    for name in ("Synthesis", "Alternative"):
        schema["$defs"][name]["properties"]["method"] = {"enum": list(METHODS), "default": "REML"}
    return schema


def claims_schema() -> Schema:
    """The schema of claims.yaml."""
    return schema_of(ClaimsFile, "What the source of an analysis claims (claims.yaml)")


def general_schema(kind: str) -> Schema:
    """The schema of one kind of file for any analysis: "studies", "analysis" or "claims"."""
    return {"studies": studies_schema, "analysis": analysis_schema, "claims": claims_schema}[kind]()


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as it stands on the disk."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def schema_files(plan: Plan) -> dict[Path, tuple[Path, str]]:
    """Each file of an analysis with the schema that belongs beside it.

    Parameters
    ----------
    plan : Plan
        The analysis.

    Returns
    -------
    dict
        YAML file -> (schema file, its text). Outcomes, moderators and their levels are those of this analysis.
    """
    files = {
        plan.table_path: ("studies", studies_schema(plan.dictionary)),
        plan.folder / "analysis.yaml": ("analysis", analysis_schema()),
    }
    if plan.claims_source is not None:
        files[Path(plan.claims_source.file)] = ("claims", claims_schema())
    return {
        file: (file.with_name(f"{kind}.schema.json"), schema_text(schema)) for file, (kind, schema) in files.items()
    }


def with_modeline(text: str, schema: str) -> str:
    r"""A YAML text whose first lines name the schema for the editor.

    Parameters
    ----------
    text : str
        The file.
    schema : str
        The schema's name, relative to the file.

    Returns
    -------
    str
        The text; unchanged when it names that schema already.

    Examples
    --------
    >>> print(with_modeline("# ours\nstudies: []\n", "studies.schema.json"))
    # yaml-language-server: $schema=studies.schema.json
    # ours
    studies: []
    <BLANKLINE>
    """
    line = f"# yaml-language-server: $schema={schema}"
    mark = BOM if text.startswith(BOM) else ""
    body = text.removeprefix(BOM)
    found = MODELINE.search(body)
    if found is not None and len(re.findall("\r\n|\r|\n", body[: found.start()])) < TOP:
        return mark + body[: found.start()] + line + body[found.end() :]
    ending = re.search("\r\n|\r|\n", body)
    return mark + line + (ending[0] if ending else "\n") + body


def renew() -> None:
    """Write the schemas that ship with the package: `python -m catharsis.plan.json_schema`."""
    from catharsis.files import write_atomically

    home = Path(__file__).parents[1]
    for kind in KINDS:
        folder = home / ("studies" if kind == "studies" else "plan")
        write_atomically(folder / f"{kind}.schema.json", schema_text(general_schema(kind)))


if __name__ == "__main__":
    renew()
