"""All rules by name, and what each of them is about in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from types import MappingProxyType

from catharsis.checks import completeness, dependence, discordant, granularity, impossible, reading, unusual
from catharsis.checks.rules import Finding, Rule
from catharsis.errors import At, InputError, did_you_mean, shown
from catharsis.studies.table import StudyTable

# Each of these modules names its rules in RULES.
MODULES = (reading, impossible, unusual, discordant, granularity, dependence, completeness)


@cache
def rules() -> MappingProxyType[str, Rule]:
    """Every rule by its name.

    Examples
    --------
    >>> rules()["se-for-sd"].severity
    'warning'
    """
    found: dict[str, Rule] = {}
    for module in MODULES:
        for rule in module.RULES:
            if rule.name in found:
                raise ValueError(f"two rules are called {rule.name}")
            found[rule.name] = rule
    return MappingProxyType(found)


def findings(table: StudyTable) -> Iterator[Finding]:
    """What every rule that looks at a table finds in it, rule by rule."""
    for rule in rules().values():
        if rule.find is not None:
            yield from rule.find(table)


def explain(name: str) -> str:
    """What a rule finds, why it matters and what to do, with its sources.

    Parameters
    ----------
    name : str
        The rule, as messages show it.

    Raises
    ------
    InputError
        When no rule is called so.

    Examples
    --------
    >>> print(explain("n-too-small"))
    n-too-small (impossible, error)
      finds: fewer than two people in a group whose spread is used
      why: a standard deviation needs at least 2 people per group
      fix: enter the group size from the paper, or give the row an exclude: reason
    """
    rule = rules().get(name)
    if rule is None:
        raise InputError(
            At("--explain"), f"no rule is called {shown(name)}",
            "`catharsis check` names the rule of each finding, and --explain all lists them",
            did_you_mean(name, list(rules())), "unknown-rule",
        )  # fmt: skip
    lines = [
        f"{rule.name} ({rule.grade}, {rule.severity})",
        f"  finds: {rule.finds}",
        f"  why: {rule.why}",
        f"  fix: {rule.fix}",
    ]
    if rule.can_be_waived:
        lines.append(
            f"  let it stand: waive: [{{rule: {rule.name}, reason: ..., by: ..., date: ...}}] on the effect, "
            "its sample, its study or the file"
        )
    lines += [f"  source: {_cited(key)}" for key in rule.sources]
    return "\n".join(lines)


def listed(some: Iterable[Rule] | None = None) -> str:
    """One line for each rule, by grade."""
    lines, grade = [], None
    for rule in sorted(rules().values() if some is None else some, key=lambda rule: _ORDER.index(rule.grade)):
        if rule.grade != grade:
            grade = rule.grade
            lines.append(f"{grade} ({rule.severity})")
        lines.append(f"  {rule.name}: {rule.finds}")
    return "\n".join(lines)


_ORDER = ("impossible", "unusual", "discordant", "dependence", "incomplete", "loose", "unreadable")


def _cited(key: str) -> str:
    """A source as the bibliography gives it."""
    from catharsis.references.bibtex import methods_library
    from catharsis.references.citation import cite_key

    return cite_key(methods_library(), key).splitlines()[0]
