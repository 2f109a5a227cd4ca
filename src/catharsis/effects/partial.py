"""Rows that report a sign or a verdict, made ready for the model: `likelihood.partial` does the rest.

A row enters when its test fixes what the statistic estimates (one sample, two samples, a correlation), it has the
people for it, and a sign or a verdict. What cannot enter is listed with its reason; nothing is turned into a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from catharsis.effects.prepare import Effects
from catharsis.effects.routes import Scale
from catharsis.errors import InputError, InputErrors
from catharsis.studies.table import Row

Reading = Literal["reported", "sign"]
DESIGNS: dict[str, tuple[str, ...]] = {"standardised": ("one-sample", "two-sample"), "correlation": ("correlation",)}


@dataclass(frozen=True, slots=True)
class PartialRows:
    """Partial rows of a synthesis.

    Attributes
    ----------
    rows : tuple of Row
        Those that enter.
    left_out : dict
        Effect id to the reason.
    """

    rows: tuple[Row, ...]
    left_out: dict[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    def records(self, reading: Reading = "reported") -> list[dict[str, Any]]:
        """The rows for `catharsis.partial_evidence`, one dictionary each.

        Parameters
        ----------
        reading : str
            "reported": a verdict counts as what it says. "sign": a significant result counts by its sign alone, a half
            line, as if the verdict had been printed for no other reason than that it was significant.
        """
        return [_record(row, reading) for row in self.rows]


def partial_rows(rows: Sequence[Row], scale: Scale, effects: Effects | None = None) -> PartialRows:
    """Choose the partial rows that can enter a synthesis.

    Parameters
    ----------
    rows : sequence of Row
        Candidates.
    scale : str
        "standardised" or "correlation".
    effects : Effects, optional
        The estimates of the same synthesis: the same people are not counted twice, and contrast and phase must agree.

    Returns
    -------
    PartialRows

    Raises
    ------
    InputErrors
        When rows mix contrasts or phases, which estimate different things.
    """
    people = {row.get("overlap_group") for row in effects.rows} if effects is not None else set()
    left_out = {row.id: why for row in rows if (why := _obstacle(row, scale, people))}
    kept = tuple(row for row in rows if row.id not in left_out)
    problems = _mixed((*(effects.rows if effects is not None else ()), *kept))
    if problems:
        raise InputErrors(problems)
    return PartialRows(kept, left_out)


def _obstacle(row: Row, scale: Scale, people: set[Any]) -> str:
    """Why a row cannot enter; "" when it can."""
    designs = DESIGNS.get(scale, ())
    if row.has("exclude"):
        return f"excluded: {row.get('exclude')}"
    if row.get("kind") not in ("bounds", "direction"):
        return "it reports numbers" if row.get("kind") in ("estimate", "counts") else "it reports nothing usable"
    if row.get("overlap_group") in people:
        return "its people already give an estimate"
    if row.get("kind") == "direction" and not row.get("sign"):
        return "no difference without a verdict is not n.s.; it enters sign tests only"
    test = str(row.get("test", "unstated"))
    if test not in designs:
        said = "its test is not stated" if test == "unstated" else f"its test is of the kind {test}"
        return f"{said}, and only {' and '.join(designs) or 'no'} tests fix a {scale} effect"
    if test == "two-sample" and not row.has("n1", "n2"):
        return "the sizes of its two groups are not stated"
    if test != "two-sample" and not row.has("n"):
        return "the number of people is not stated"
    return ""


def _mixed(rows: Sequence[Row]) -> list[InputError]:
    """The first row of another contrast, and the first of another phase."""
    problems = []
    for column in ("contrast", "phase"):
        first = rows[0] if rows else None
        odd = next((row for row in rows if first is not None and row.get(column) != first.get(column)), None)
        if odd is not None and first is not None:
            problems.append(
                InputError(
                    odd.place(column),
                    f"{odd.id} has the {column} {odd.get(column, 'none')}, while {first.id} ({first.at}) has "
                    f"{first.get(column, 'none')}",
                    f"partial evidence of different {column}s does not bound one effect",
                    "narrow partial: of the synthesis in analysis.yaml",
                    f"mixed-{column}",
                )
            )
    return problems


def _record(row: Row, reading: Reading) -> dict[str, Any]:
    sign = int(row.get("sign", 0))
    bounds = row.get("kind") == "bounds"
    significant = bool(row.get("significant"))
    record: dict[str, Any] = {
        "label": row.id, "sample": str(row.get("overlap_group", row.get("sample"))), "design": row.get("test"),
        "sign": sign,
    }  # fmt: skip
    record |= {name: row.get(name) for name in ("n", "n1", "n2", "df") if row.has(name)}
    if bounds and not (reading == "sign" and significant and sign):
        record |= {"kind": "bounds", "verdict": "sig" if significant else "ns"}
        record |= {name: row.get(name) for name in ("alpha", "sided") if row.has(name)}
        return record
    return record | {"kind": "direction"}
