"""Findings for machines: JSON, SARIF for code scanning, and the annotations of GitHub Actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

from catharsis import __version__
from catharsis.checks.catalogue import rules
from catharsis.checks.rules import Severity
from catharsis.checks.run import Findings, Waived
from catharsis.errors import InputError

SCHEMA = "catharsis/findings@1"
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


class Told(NamedTuple):
    """A finding as it is told: how grave, and by whom it was waived."""

    severity: Severity
    problem: InputError
    waived: Waived | None = None


def told(found: Findings) -> Iterator[Told]:
    """Everything that was found, the gravest first; what is waived comes last."""
    for problem in found.errors:
        yield Told("error", problem)
    for problem in found.warnings:
        yield Told("warning", problem)
    for problem in found.notes:
        yield Told("note", problem)
    for one in found.waived:
        yield Told(rules()[one.problem.rule].severity, one.problem, one)


def as_json(found: Findings) -> str:
    """One object: how many of each severity, and every finding with its four parts.

    Examples
    --------
    >>> json.loads(as_json(Findings((), (), (), ())))["counts"]
    {'error': 0, 'warning': 0, 'note': 0, 'waived': 0}
    """
    counts = {"error": found.errors, "warning": found.warnings, "note": found.notes, "waived": found.waived}
    body = {
        "schema": SCHEMA,
        "catharsis": __version__,
        "counts": {name: len(some) for name, some in counts.items()},
        "findings": [_finding(one) for one in told(found)],
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def _finding(one: Told) -> dict[str, Any]:
    problem, rule = one.problem, rules().get(one.problem.rule)
    body: dict[str, Any] = {
        "rule": problem.rule, "grade": rule.grade if rule else None, "severity": one.severity,
        "file": problem.at.file, "line": problem.at.line or None,
        "what": problem.what, "why": problem.why, "fix": problem.fix,
    }  # fmt: skip
    if one.waived is not None:
        body["waived"] = {"effect": one.waived.row.id, **one.waived.waiver.model_dump()}
    return body


def as_sarif(found: Findings) -> str:
    """A log in SARIF 2.1.0, the format that code scanning reads; what is waived is marked as suppressed."""
    results = [_result(one) for one in told(found)]
    named = dict.fromkeys(one.problem.rule for one in told(found))
    driver = {
        "name": "catharsis", "version": __version__, "rules": [_rule(name) for name in named],
    }  # fmt: skip
    body = {
        "$schema": SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def _rule(name: str) -> dict[str, Any]:
    rule = rules().get(name)
    if rule is None:
        return {"id": name}
    return {
        "id": name,
        "shortDescription": {"text": rule.finds},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"grade": rule.grade},
    }


def _result(one: Told) -> dict[str, Any]:
    problem = one.problem
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.at.file)}}
    if problem.at.line:
        place["region"] = {"startLine": problem.at.line}
    body: dict[str, Any] = {
        "ruleId": problem.rule,
        "level": one.severity,
        "message": {"text": f"{problem.what}\nwhy: {problem.why}\nfix: {problem.fix}"},
        "locations": [{"physicalLocation": place}],
    }
    if one.waived is not None:
        waiver = one.waived.waiver
        said = f"{waiver.reason} ({waiver.by}, {waiver.date})"
        body["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": said}]
    return body


def _uri(file: str) -> str:
    """A path as a URI reference: relative as it is, absolute with its scheme."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def as_github(found: Findings) -> str:
    """One workflow command for each finding that is not waived; GitHub shows them beside the lines of a change."""
    lines = []
    for one in told(found):
        if one.waived is None:
            problem = one.problem
            place = f"file={_property(problem.at.file)}" + (f",line={problem.at.line}" if problem.at.line else "")
            text = f"{problem.what}\nwhy: {problem.why}\nfix: {problem.fix}"
            lines.append(f"::{_COMMANDS[one.severity]} {place},title={_property(problem.rule)}::{_data(text)}")
    return "\n".join(lines)


def _data(text: str) -> str:
    """Escape what would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape what would end a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Findings], str]] = {"json": as_json, "sarif": as_sarif, "github": as_github}
