"""Every rule that a message can name is explained, and cites what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from catharsis.checks.catalogue import explain, listed, rules
from catharsis.errors import InputError
from catharsis.references.bibtex import methods_library

SOURCE = Path(__file__).parents[2] / "src" / "catharsis"
# Helpers that hand their caller's rule on: their calls are looked at instead.
HANDED_ON = {"rule", "name", "str(kind).replace('_', '-')", "problem.rule", "p.rule", "self.rule"}


def named(tree: ast.AST) -> list[str]:
    """The rules that calls in a module give to errors, as source text."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        keyword = next((word.value for word in node.keywords if word.arg == "rule"), None)
        if called in ("InputError", "_error") and len(node.args) > 4:
            keyword = node.args[4 if called == "InputError" else 5] if len(node.args) > 4 else keyword
        if called == "PydanticCustomError":
            keyword = node.args[0]
        if keyword is not None:
            found += [ast.unparse(part) for part in _parts(keyword)]
    return found


def _parts(node: ast.expr) -> list[ast.expr]:
    """Both sides of a choice."""
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def test_every_rule_that_the_code_names_is_explained() -> None:
    unknown: dict[str, list[str]] = {}
    seen = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for text in named(ast.parse(path.read_text(encoding="utf-8"))):
            if text in HANDED_ON:
                continue
            if text.startswith("f'"):  # mixed-{column}: the part that is written out must begin a rule
                head = text[2:].split("{")[0]
                known = bool(head) and any(rule.startswith(head) for rule in rules())
            else:
                known = text[:1] in "'\"" and ast.literal_eval(text).replace("_", "-") in rules()
            seen.add(text)
            if not known:
                unknown.setdefault(text, []).append(path.relative_to(SOURCE).as_posix())
    assert unknown == {}
    assert len(seen) > 60


def test_every_rule_says_what_why_and_how() -> None:
    library = methods_library()
    for rule in rules().values():
        assert re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", rule.name)
        assert rule.finds
        assert rule.why
        assert rule.fix
        assert set(rule.sources) <= set(library)
        text = explain(rule.name)
        assert text.startswith(f"{rule.name} ({rule.grade}, {rule.severity})\n")
        assert ("waive:" in text) is rule.can_be_waived
        assert rule.name in listed()


def test_grades_and_severities() -> None:
    severities = {rule.grade: rule.severity for rule in rules().values()}
    assert severities == {
        "unreadable": "error", "impossible": "error", "unusual": "warning", "discordant": "warning",
        "dependence": "warning", "incomplete": "note", "loose": "warning",
    }  # fmt: skip


def test_a_rule_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="no rule is called") as caught:
        explain("se-for-ds")
    assert caught.value.fix == 'did you mean "se-for-sd"?'
