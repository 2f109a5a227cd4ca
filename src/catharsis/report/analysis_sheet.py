"""The analysis as sheets: every effect with its cells and sizes, and the data of each synthesis in RevMan's terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from catharsis.effects.prepare import Effects, effect_size_of, prepare
from catharsis.effects.routes import Scale, spread
from catharsis.plan.checking import select
from catharsis.plan.spec import Plan
from catharsis.report.tables import harmless, to_csv
from catharsis.studies.table import COLUMNS, Row, StudyTable

SCALES: tuple[Scale, ...] = get_args(Scale)
DataType = Literal["Dichotomous", "Continuous", "Generic inverse variance"]
GROUPS = ("Events", "Total", "Mean", "SD")


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as it stands in the table, so that 0.50 keeps its zero and -0.50 is not taken for a formula."""

    digits: str

    def __str__(self) -> str:
        return self.digits


def cell(row: Row, column: str) -> Any:
    """A cell for a sheet: numbers with the digits of the file."""
    value = row.get(column)
    if column in row.printed and isinstance(value, int | float) and not isinstance(value, bool):
        return Printed(row.printed[column])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def analysis_csv(plan: Plan, table: StudyTable) -> str:
    """Every effect: its cells as printed, its size on every scale it reaches, and the syntheses it enters.

    Parameters
    ----------
    plan, table : Plan, StudyTable
        A checked analysis.

    Returns
    -------
    str
        CSV; no cell of it is a formula to a spreadsheet.

    Raises
    ------
    InputErrors
        When rows of a synthesis cannot be combined.
    """
    columns = [*COLUMNS, *(name for name in plan.dictionary.moderators if name not in COLUMNS)]
    used = [prepare(select(plan, table, s, ("syntheses", i)), s.scale, plan.dictionary, s.correct)
            for i, s in enumerate(plan.file.syntheses)]  # fmt: skip
    header = [*columns, *(f"{scale} {part}" for scale in SCALES for part in ("yi", "vi"))]
    header += [f"enters {spec.id}" for spec in plan.file.syntheses] + ["place"]
    rows = []
    for row in table:
        sizes = [None if row.has("yi") else effect_size_of(row, scale, plan.dictionary) for scale in SCALES]
        rows.append([
            *(cell(row, column) for column in columns),
            *(number for size in sizes for number in ((size.yi, size.vi) if size else (None, None))),
            *(_enters(row, effects) for effects in used),
            str(row.at),
        ])  # fmt: skip
    return to_csv([harmless(name) for name in header], rows)


def _enters(row: Row, effects: Effects) -> str | None:
    """Whether a row enters a synthesis: yes, no with the reason, or nothing when it is not selected."""
    if any(other.id == row.id for other in effects.rows):
        return "yes"
    return f"no: {effects.left_out[row.id]}" if row.id in effects.left_out else None


def revman_csv(plan: Plan, table: StudyTable) -> str:
    """The data of every synthesis in RevMan's terms: one analysis after the other, one line per effect.

    An analysis is dichotomous or continuous when every effect comes from the events or the means of two groups,
    and generic inverse variance otherwise: effect and standard error on the scale on which RevMan pools (logarithms
    for ratios). Where a higher score is the negative word, the effect is turned and the means are as printed.

    Parameters
    ----------
    plan, table : Plan, StudyTable
        A checked analysis.

    Returns
    -------
    str
        CSV.

    Raises
    ------
    InputErrors
        When rows of a synthesis cannot be combined.
    """
    header = [
        "Analysis number", "Analysis", "Data type", "Effect measure", "Study", "Year", "Sample", "Effect",
        *(f"Experimental {name}" for name in GROUPS), *(f"Control {name}" for name in GROUPS),
        "Effect estimate", "Standard error", "Sign turned",
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for i, spec in enumerate(plan.file.syntheses):
        effects = prepare(select(plan, table, spec, ("syntheses", i)), spec.scale, plan.dictionary, spec.correct)
        kind = data_type(effects)
        for row, size in zip(effects.rows, effects.sizes, strict=True):
            turned = not size.route.by_sign and plan.dictionary.orientation(str(row.get("outcome"))) < 0
            rows.append([
                i + 1, spec.title, kind, size.measure, row.get("study"), row.get("year"), row.get("sample"), row.id,
                *_group(row, kind, 1), *_group(row, kind, 2), size.yi, size.vi**0.5, "yes" if turned else "no",
            ])  # fmt: skip
    return to_csv(header, rows)


def data_type(effects: Effects) -> DataType:
    """How RevMan would hold the data of a synthesis."""
    if all(row.has("events1", "n1", "events2", "n2") for row in effects.rows) and effects.measure.code in _COUNTED:
        return "Dichotomous"
    if all(_has_means(row) for row in effects.rows) and effects.measure.code in ("MD", "SMD"):
        return "Continuous"
    return "Generic inverse variance"


_COUNTED = ("RR", "OR", "RD")


def _has_means(row: Row) -> bool:
    sds: Sequence[bool] = [row.has(f"sd{i}") or row.has(f"se{i}") for i in (1, 2)]
    return row.has("m1", "m2", "n1", "n2") and all(sds) and not row.has("yi")


def _group(row: Row, kind: DataType, group: int) -> list[Any]:
    """Events, people, mean and SD of one group; an SD that follows from the standard error is computed."""
    events = cell(row, f"events{group}") if kind == "Dichotomous" else None
    if kind != "Continuous":
        return [events, cell(row, f"n{group}") if events is not None else None, None, None]
    sd = cell(row, f"sd{group}")
    sd = sd if sd is not None else spread(row, f"sd{group}", f"se{group}", f"n{group}")
    return [None, cell(row, f"n{group}"), cell(row, f"m{group}"), sd]
