"""What a table leaves out: notes, for no number is in doubt."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from catharsis.checks.repeated import implied_r
from catharsis.checks.rules import Finding, Rule
from catharsis.errors import At, InputError
from catharsis.studies.table import Row, StudyTable

EVIDENCE = ("estimate", "counts", "bounds")  # kinds with numbers that can be looked up
# a page, table, figure, or another place small enough to find a number in; a digit will do ("p. 12", "Tab 3", "row 4")
_PLACE = re.compile(r"\d|abstract|supplement|appendix|dataset|\.csv|\.xlsx?|\.sav|\.txt", re.IGNORECASE)
ALIKE = 3  # samples with one implied correlation from which on it was assumed rather than measured
NARROW = 0.01  # width of an implied correlation that can be told from its neighbours
STEP = 0.05  # correlations that people assume: 0.5, 0.7, 0.75


def without_page(table: StudyTable) -> Iterator[Finding]:
    """Numbers without the place where they stand, told once for each source."""
    for row in _by_source(table):
        if _PLACE.search(str(row.get("source_where", ""))) is None:
            said = f"only says {row.get('source_where')}" if row.has("source_where") else "does not say where"
            yield _note(
                row, "source_where", f"the source of {row.id} {said}",
                "nobody can check a number that cannot be found",
                "add source: {where: page, table or figure}", "no-page",
            )  # fmt: skip


def without_second_reader(table: StudyTable) -> Iterator[Finding]:
    """Numbers that one person read and nobody checked."""
    for row in _by_source(table):
        reader, checker = row.get("source_read_by"), row.get("source_checked_by")
        if (checker is None and not row.get("source_checked")) or (checker is not None and checker == reader):
            said = f"were read and checked by {reader}" if checker else "were not checked by a second reader"
            yield _note(
                row, "source_checked", f"the numbers of {row.id} {said}",
                "two readers catch slips that one does not see",
                "let another person compare them with the paper, then add checked: true and checked_by:",
                "no-second-reader",
            )  # fmt: skip


def imputed_correlations(table: StudyTable) -> Iterator[Finding]:
    """Correlations (or other numbers) that somebody filled in, as the table says or as its digits betray."""
    values: dict[int, list[Row]] = defaultdict(list)
    for row in table:
        if row.has("source_imputed"):
            yield _note(
                row, "source_imputed", f"{row.id} holds an imputed number: {row.get('source_imputed')}",
                "the result leans on what was filled in",
                "report the result for other values beside it", "imputed-r",
            )  # fmt: skip
            continue
        r = implied_r(row)
        if r is not None and r.high - r.low <= NARROW:
            step = round((r.low + r.high) / 2 / STEP)
            if r.low <= step * STEP <= r.high and 0 < step * STEP < 1:
                values[step].append(row)
    for step, rows in values.items():
        if len({row.get("sample") for row in rows}) >= ALIKE:
            for row in rows:
                yield _note(
                    row, "sd_change", f"the SDs of {row.id} imply a correlation of {step * STEP:.2f}, as in "
                    f"{len(rows) - 1} other effects",
                    "measured correlations differ: this one seems to be assumed, and the result leans on it",
                    'say so with source: {imputed: "r = ..."}, and report the result for other values', "imputed-r",
                )  # fmt: skip


def _by_source(table: StudyTable) -> Iterator[Row]:
    """The first row with numbers of each source block; what holds for it holds for the others."""
    seen: set[tuple[object, At, At]] = set()
    for row in table:
        if row.get("kind") not in EVIDENCE or row.has("exclude"):
            continue
        places = [row.places[name] for name in row.places if name.startswith("source_")]
        key = row.get("cite"), max(places, default=row.place("cite")), row.place("source_where")
        if key not in seen:
            seen.add(key)
            yield row


def _note(row: Row, column: str, what: str, why: str, fix: str, rule: str) -> Finding:
    return Finding((row,), InputError(row.place(column), what, why, fix, rule))


RULES: tuple[Rule, ...] = (
    Rule(
        "no-page", "incomplete",
        "numbers whose place in the paper is not given",
        "nobody can check a number that cannot be found",
        "add source: {where: page, table or figure}",
        (), without_page,
    ),
    Rule(
        "no-second-reader", "incomplete",
        "numbers that no second person has compared with the paper",
        "audits find wrong numbers in many published meta-analyses, and two readers catch slips that one does not see",
        "let another person compare them, then add checked: true and checked_by:",
        ("gotzsche2007",), without_second_reader,
    ),
    Rule(
        "imputed-r", "incomplete",
        "a correlation of before and after, or another number, that was assumed rather than read",
        "the result leans on what was filled in",
        'say what was assumed (source: {imputed: "r = 0.5"}) and report the result for other values',
        (), imputed_correlations,
    ),
)  # fmt: skip
