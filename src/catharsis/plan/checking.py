"""Check the inputs of an analysis as a whole: rows, expressions, citations, priors, people counted twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from catharsis.bayes.priors import Priors
from catharsis.checks.dependence import several_effects
from catharsis.checks.impossible import impossible
from catharsis.checks.rules import Finding
from catharsis.checks.run import Findings, Waived, check_rows
from catharsis.effects.partial import PartialRows, partial_rows
from catharsis.effects.prepare import prepare
from catharsis.errors import InputError, InputErrors, ModelError, did_you_mean
from catharsis.plan.claims import judge_claims
from catharsis.plan.spec import Directions, Plan, Statement, Synthesis
from catharsis.studies.selection import compile_rows
from catharsis.studies.table import COLUMNS, Row, StudyTable, table_of
from catharsis.studies.yaml_source import Path_, parse_yaml, read_yaml


@dataclass(frozen=True, slots=True)
class Checked:
    """An analysis without errors.

    Attributes
    ----------
    table : StudyTable
        Its rows.
    warnings : tuple of InputError
        Findings that do not stop a run.
    waived : tuple of Waived
        Findings that a person lets stand.
    notes : tuple of InputError
        What the table leaves out.
    """

    table: StudyTable
    warnings: tuple[InputError, ...]
    waived: tuple[Waived, ...]
    notes: tuple[InputError, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspected:
    """An analysis with everything that was found in it.

    Attributes
    ----------
    table : StudyTable or None
        Its rows; None when the table cannot be read.
    found : Findings
        Errors, warnings, notes, and what is waived.
    """

    table: StudyTable | None
    found: Findings


def check(plan: Plan, text: str | None = None) -> Checked:
    """Read the table and check every row, every row expression and every synthesis' rows.

    Parameters
    ----------
    plan : Plan
        The analysis.
    text : str, optional
        The table as it would be, when it is not on the disk yet.

    Returns
    -------
    Checked

    Raises
    ------
    InputErrors
        All errors of the inputs.
    """
    table, found = (inspected := inspect(plan, text)).table, inspected.found
    if found.errors or table is None:
        raise InputErrors(found.errors)
    return Checked(table, found.warnings, found.waived, found.notes)


def inspect(plan: Plan, text: str | None = None) -> Inspected:
    """Check an analysis to the end, whatever is found on the way."""
    try:
        source = read_yaml(plan.table_path) if text is None else parse_yaml(text, plan.table_path.as_posix())
        table = table_of(source, plan.dictionary, plan.library)
    except InputErrors as unreadable:
        return Inspected(None, Findings(unreadable.problems, (), (), ()))
    problems = _plan_problems(plan)
    more: list[Finding] = []
    if not problems and not any(True for row in table for _ in impossible(row, table.dictionary)):
        for i, spec in enumerate(plan.file.syntheses):
            problems += _collect(lambda spec=spec, i=i: more.extend(_synthesis_findings(plan, table, spec, i)))  # type: ignore[misc]
    found = check_rows(table, more)
    errors = tuple(sorted((*found.errors, *problems), key=lambda problem: (problem.at.file, problem.at.line)))
    warnings = found.warnings if errors else (*found.warnings, *judge_claims(plan, table)[1])
    return Inspected(table, Findings(errors, warnings, found.notes, found.waived))


def _plan_problems(plan: Plan) -> list[InputError]:
    """Whatever in the plan, the claims and the priors cannot be used."""
    problems: list[InputError] = []
    for i, spec in enumerate(plan.file.syntheses):
        problems += _expression_problems(plan, ("syntheses", i), spec)
    for i, directions in enumerate(plan.file.directions):
        problems += _expression_problems(plan, ("directions", i), directions)
    for i, caveat in enumerate(plan.file.caveats):
        at = plan.source.at(("caveats", i, "when"))
        problems += _collect(lambda at=at, caveat=caveat: compile_rows(caveat.when, columns(plan), at))  # type: ignore[misc]
    problems += _unknown_citations(plan)
    problems += _statement_problems(plan)
    problems += _claim_problems(plan)
    problems += _sensitivity_problems(plan)
    return problems


def _synthesis_findings(plan: Plan, table: StudyTable, spec: Synthesis, position: int) -> list[Finding]:
    """Form a synthesis as a run would, and see whether its samples stand in it several times."""
    rows = select(plan, table, spec, ("syntheses", position))
    effects = prepare(rows, spec.scale, plan.dictionary, spec.correct)
    select_partial(plan, table, spec, position, rows)
    if spec.cluster is not None or plan.file.sensitivity.rho:
        return []
    return list(several_effects(f"the synthesis {spec.id}", effects.rows, table))


def select_partial(
    plan: Plan, table: StudyTable, spec: Synthesis, position: int, rows: Sequence[Row]
) -> PartialRows | None:
    """Rows without numbers that the synthesis asks for beside its own `rows`; None when it asks for none."""
    if spec.partial is None:
        return None
    test = compile_rows(spec.partial, columns(plan), plan.source.at(("syntheses", position, "partial")))
    effects = prepare(rows, spec.scale, plan.dictionary, spec.correct)
    return partial_rows([row for row in table if test(row)], effects.scale, effects)


def _claim_problems(plan: Plan) -> list[InputError]:
    """Row expressions and citations of the claims."""
    if plan.claims is None or plan.claims_source is None:
        return []
    problems: list[InputError] = []
    for i, claim in enumerate(plan.claims.claims):
        if claim.speaks is not None:
            at = plan.claims_source.at(("claims", i, "speaks"))
            problems += _collect(lambda at=at, claim=claim: compile_rows(claim.speaks or "", columns(plan), at))  # type: ignore[misc]
        for j, cite in enumerate(claim.cites):
            if cite.key is not None and cite.key not in plan.library:
                problems.append(
                    InputError(
                        plan.claims_source.at(("claims", i, "cites", j, "key")),
                        f'no reference has the key "{cite.key}"',
                        "what is cited must be in the bibliography",
                        plan.library.suggest(cite.key),
                        "unknown-cite",
                    )
                )
    return problems


def columns(plan: Plan) -> list[str]:
    """Columns that row expressions may name."""
    return [*COLUMNS, *plan.dictionary.moderators]


def _collect(step: Callable[[], Any]) -> tuple[InputError, ...]:
    try:
        step()
    except InputErrors as found:
        return found.problems
    return ()


def _expression_problems(plan: Plan, path: tuple[str | int, ...], spec: Synthesis | Directions) -> list[InputError]:
    problems: list[InputError] = []
    if spec.rows is not None:
        problems += _collect(lambda: compile_rows(spec.rows or "", columns(plan), plan.source.at((*path, "rows"))))
    if isinstance(spec, Synthesis) and spec.partial is not None:
        text = spec.partial
        problems += _collect(lambda: compile_rows(text, columns(plan), plan.source.at((*path, "partial"))))
    if isinstance(spec, Synthesis):
        if spec.outcome is not None and spec.outcome not in plan.dictionary.outcomes:
            problems.append(_unknown(plan, (*path, "outcome"), "outcome", spec.outcome, list(plan.dictionary.outcomes)))
        for column in [*(spec.random or "").split("/"), spec.cluster or "", spec.label]:
            if column.strip() and column.strip() not in columns(plan):
                problems.append(_unknown(plan, path, "column", column.strip(), columns(plan)))
        for texts, where in ((spec.priors, (*path, "priors")), (plan.file.priors, ("priors",))):
            if texts is not None:
                problems += _prior_problems(plan, texts.model_dump(exclude_none=True), where)
    else:
        for column in (*spec.by, spec.vote):
            if column not in columns(plan):
                problems.append(_unknown(plan, (*path, "by"), "column", column, columns(plan)))
    return problems


def _sensitivity_problems(plan: Plan) -> list[InputError]:
    found = []
    for i, text in enumerate(plan.file.sensitivity.tau_priors):
        found += _prior_problems(plan, {"tau": text}, ("sensitivity", "tau_priors", i))
    return found


def _prior_problems(plan: Plan, texts: dict[str, Any], path: tuple[str | int, ...]) -> list[InputError]:
    texts.pop("why", None)
    try:
        Priors.parse(texts)
    except ModelError as problem:
        return [
            InputError(
                plan.source.at(path),
                str(problem),
                "a prior is part of the model",
                "write for example normal(0, 1) or half-normal(0.5)",
                "prior",
            )
        ]
    return []


def _unknown(plan: Plan, path: tuple[str | int, ...], what: str, name: str, known: list[str]) -> InputError:
    return InputError(
        plan.source.at(path),
        f'there is no {what} "{name}"',
        "the synthesis could not be formed",
        did_you_mean(name, known),
        "unknown",
    )


def statements(plan: Plan) -> list[tuple[Path_, Statement]]:
    """Every sentence that a person wrote into the plan, with its place."""
    lists: tuple[tuple[Path_, tuple[Statement, ...]], ...] = (
        (("origin",), plan.file.origin),
        (("data",), plan.file.data),
        (("human", "limits"), plan.file.human.limits),
    )
    return [((*path, i), statement) for path, found in lists for i, statement in enumerate(found)]


def _statement_problems(plan: Plan) -> list[InputError]:
    problems: list[InputError] = []
    for path, statement in statements(plan):
        if statement.when is not None:
            at = plan.source.at((*path, "when"))
            problems += _collect(lambda at=at, when=statement.when: compile_rows(when, columns(plan), at))  # type: ignore[misc]
    return problems


def _unknown_citations(plan: Plan) -> list[InputError]:
    wanted: list[tuple[Path_, str]] = [
        ((*path, "cites", i), key) for path, statement in statements(plan) for i, key in enumerate(statement.cites)
    ]
    wanted += [
        (("syntheses", i, "published", j, "cite"), published.cite)
        for i, spec in enumerate(plan.file.syntheses)
        for j, published in enumerate(spec.published)
    ]
    return [
        InputError(
            plan.source.at(path),
            f'no reference has the key "{key}"',
            "what is cited must be in the bibliography",
            plan.library.suggest(key),
            "unknown-cite",
        )
        for path, key in wanted
        if key not in plan.library
    ]


def select(plan: Plan, table: StudyTable, spec: Synthesis | Directions, path: tuple[str | int, ...]) -> tuple[Row, ...]:
    """The rows of a synthesis, in table order."""
    rows = tuple(table)
    if isinstance(spec, Synthesis) and spec.outcome is not None:
        rows = tuple(row for row in rows if row.get("outcome") == spec.outcome)
    if spec.rows is not None:
        test = compile_rows(spec.rows, columns(plan), plan.source.at((*path, "rows")))
        rows = tuple(row for row in rows if test(row))
    return rows
