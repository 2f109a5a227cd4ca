"""JSON Schema of the files that people type, for editors that complete and underline while one types.

It is made from the same models that read the files, so that the two cannot drift apart, and says a little less
than they do: what depends on two cells at once, or on the bibliography, only `catharsis check` can say. The
dialect is draft 7, the newest that editors read in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from catharsis.studies.dictionary import Dictionary, Moderator
from catharsis.studies.schema import StudyFile

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
LEVELS = ("Study", "Sample", "Effect")
SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
TEXT: Schema = {"type": ["string", "number"]}  # a year typed as a label is a label
YES_NO: Schema = {"enum": [True, False, "yes", "no"]}
LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
SIGNS = ("higher", "lower", "+", "-", "+1", "-1", "1", "0", "none")

# What an editor shows beside a cell.
SAYS: Mapping[str, str] = {
    "cite": "Key in the bibliography of the work in which the numbers were read.",
    "label": "How figures and tables call the study: Doe 2030.",
    "report": "Name of the study, when its numbers were read in another work.",
    "report_doi": "DOI of the study, when its numbers were read in another work.",
    "year": "Year of publication, four digits.",
    "id": "A name that nothing else of its kind has; the same sample id always means the same people.",
    "samples": "Groups of people; what stands on the study holds for all of them.",
    "effects": "Results of these people; what stands on the sample holds for all of them.",
    "outcome": "A key under outcomes: in analysis.yaml.",
    "measured": "What exactly was measured, when the outcome's own words do not say it.",
    "evidence": "direct: the people that the question is about; indirect: an analogue. Never pooled together.",
    "overlap_group": "Studies with people in common share a word here and count once.",
    "partition": "Which cut of the same people this is; other cuts are never pooled with it.",
    "minutes": "Time of the measurement since the event, in minutes.",
    "enrolled": "People who were enrolled, when fewer were analysed.",
    "numbers": "Numbers exactly as printed, from which an effect and its variance follow.",
    "counts": "People or episodes counted.",
    "reported": "A direction or a verdict, when the paper prints no usable number.",
    "kind": "A lesser kind of evidence than the cells carry; usually left out.",
    "exclude": "Why this row enters nothing.",
    "n": "People in the analysis.",
    "n1": "People in the first group.",
    "n2": "People in the second group.",
    "m1": "Mean of the first group.",
    "m2": "Mean of the second group.",
    "sd1": "Standard deviation of the first group (a standard error is se1).",
    "sd2": "Standard deviation of the second group (a standard error is se2).",
    "se1": "Standard error of the first mean.",
    "se2": "Standard error of the second mean.",
    "mean_change": "Mean change, after minus before.",
    "sd_change": "Standard deviation of the changes (a standard error is se_change).",
    "se_change": "Standard error of the mean change.",
    "t": "The t statistic, with its sign.",
    "F": "An F statistic with df1 = 1.",
    "p": "The exact two-sided p value; a bound belongs under reported: verdict.",
    "r": "A correlation.",
    "d": "A printed standardised difference, with d_se or d_ci.",
    "yi": "An effect that is already on the scale of its synthesis, with vi or sei.",
    "vi": "Its sampling variance.",
    "sei": "Its standard error.",
    "verdict": "p < .05, p > .05 or n.s.",
    "sign": "The direction, in a word of the outcome or its family.",
    "alpha": "The level that n.s. was held against.",
    "source": "Where the numbers stand, and who read them.",
    "where": "Page and table, or file.",
    "checked": "Whether a second person read the numbers.",
    "imputed": "What the paper does not print and somebody filled in, in words.",
    "waive": "Findings that a person looked at and lets stand; the report prints them.",
}


def studies_schema(dictionary: Dictionary | None = None) -> Schema:
    """The schema of studies.yaml.

    Parameters
    ----------
    dictionary : Dictionary, optional
        Outcomes and moderators of one analysis, so that the editor completes them; without it any outcome is
        allowed, and any further cell of a study, sample or effect may be a moderator.

    Returns
    -------
    dict
        JSON-ready.

    Examples
    --------
    >>> schema = studies_schema()
    >>> schema["properties"]["studies"]["items"], schema["$defs"]["Effect"]["required"]
    ({'$ref': '#/$defs/Study'}, ['id'])
    """
    schema = schema_of(StudyFile, "A table of effects (studies.yaml)")
    schema["properties"]["studies"]["type"] = ["array", "null"]
    for name in LEVELS:
        level = schema["$defs"][name]
        level["properties"].pop("moderators")
        if dictionary is None:
            level["additionalProperties"] = SCALAR
            continue
        level["properties"]["outcome"] = {
            "description": SAYS["outcome"],
            "anyOf": [
                {"const": key, "description": outcome.means or outcome.label}
                for key, outcome in dictionary.outcomes.items()
            ],
        }
        for key, moderator in dictionary.moderators.items():
            level["properties"][key] = _moderator(moderator)
    if dictionary is not None:
        words = [dictionary.words_of(key) for key in dictionary.outcomes]
        known = [word for one in words for word in (one.positive, one.negative, one.none)]
        schema["$defs"]["Reported"]["properties"]["sign"] = {
            "description": SAYS["sign"],
            "enum": [*dict.fromkeys([*known, *SIGNS]), 1, 0, -1, None],
        }
    return schema


def _moderator(moderator: Moderator) -> Schema:
    if moderator.kind == "number":
        return {"description": f"{moderator.label} ({moderator.unit})", "type": ["number", "null"]}
    if moderator.kind == "factor":
        levels = [{"const": _typed(level), "description": label} for level, label in (moderator.levels or {}).items()]
        return {"description": moderator.label, "anyOf": [*levels, {"type": "null"}]}
    return {"description": moderator.label, **SCALAR}


def _typed(level: str) -> Any:
    """A level as YAML reads it without quotes: a number or true and false are typed bare."""
    if level in ("true", "false"):
        return level == "true"
    try:
        return int(level) if level.lstrip("+-").isdigit() else float(level)
    except ValueError:
        return level


def schema_of(model: type[BaseModel], title: str) -> Schema:
    """The JSON Schema of a file's model, as a YAML editor needs it.

    Parameters
    ----------
    model : type
        A pydantic model.
    title : str
        What the file is.
    """
    schema = model.model_json_schema(by_alias=True)
    body = _adapted(schema)
    return {"$schema": DIALECT, **body, "title": title}


def _adapted(node: Any, name: str = "") -> Any:
    """What the readers of these files take in addition, in draft 7, without titles that repeat names."""
    if isinstance(node, list):
        return [_adapted(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "string" and "enum" not in node and "const" not in node:
        return {**({"description": SAYS[name]} if name in SAYS else {}), **TEXT}
    if node.get("type") == "boolean":
        return dict(YES_NO)
    found: Schema = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs"):
            found[key] = {inner: _described(_adapted(item, inner), inner) for inner, item in value.items()}
        elif key == "prefixItems":
            found["items"] = _adapted(value[0])
        else:
            found[LIMITS.get(key) or key] = _adapted(value)
    if found.get("default", ...) is None:
        del found["default"]
    return _or_null(found)


def _or_null(node: Schema) -> Schema:
    """A simple type that may be absent, as one type."""
    either: list[Schema] = node.get("anyOf", [])
    if (
        len(either) != 2
        or either[1] != {"type": "null"}
        or "type" not in either[0]
        or {"enum", "const"} & set(either[0])
    ):
        return node
    kinds = either[0]["type"] if isinstance(either[0]["type"], list) else [either[0]["type"]]
    return {**{key: value for key, value in node.items() if key != "anyOf"}, **either[0], "type": [*kinds, "null"]}


def _described(node: Any, name: str) -> Any:
    if isinstance(node, dict) and name == "year":
        node = {"anyOf": [{"type": "integer", "minimum": 1000, "maximum": 2999},
                          {"type": "string", "pattern": "^[12][0-9]{3}$"}, {"type": "null"}]}  # fmt: skip
    if isinstance(node, dict) and name in SAYS and "description" not in node:
        return {"description": SAYS[name], **node}
    return node
