"""Agreement of two readers, cell by cell: what a methods section reports of a double extraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catharsis.checks.agreement import Agreement, cohen_kappa, intraclass_correlation
from catharsis.studies.double_extraction import Compared, DoubleExtraction, same_value

ORDERS: dict[str, tuple[Any, ...]] = {
    "source.confidence": ("low", "medium", "high"),
    "reported.sign": (-1, 0, 1),  # as the outcome's words say
}
KIND = "kind of evidence"


@dataclass(frozen=True, slots=True)
class CellAgreement:
    """How two readers agree on one cell.

    Attributes
    ----------
    cell : str
        Its name.
    n : int
        Places where both wrote something.
    same : int
        Places where both wrote the same.
    only_first, only_second : int
        Places where one reader wrote nothing.
    coefficient : Agreement or None
        Kappa for words (weighted where they have an order), ICC(A,1) for numbers; None for lists and prose.
    """

    cell: str
    n: int
    same: int
    only_first: int
    only_second: int
    coefficient: Agreement | None


def cell_agreements(double: DoubleExtraction, level: float = 0.95) -> tuple[CellAgreement, ...]:
    """Agreement on the kind of evidence and on every cell that a reader filled, in the order of the files.

    A cell that several effects inherit counts once.

    Parameters
    ----------
    double : DoubleExtraction
        The comparison.
    level : float
        Probability of the intervals.

    Returns
    -------
    tuple of CellAgreement
    """
    found = []
    kinds = [(a.row.get("kind"), b.row.get("kind")) for a, b in double.pairs]
    if kinds:
        found.append(_agreement(KIND, kinds, None, level))
    by_cell: dict[str, list[Compared]] = {}
    for one in double.compared:
        if one.kind != "effect":
            by_cell.setdefault(one.cell, []).append(one)
    for cell, members in by_cell.items():
        prose = any(one.kind == "wording" for one in members)
        pairs = [_values(one) for one in members]
        found.append(_agreement(cell, pairs, ORDERS.get(cell), level, prose))
    return tuple(found)


def _values(one: Compared) -> tuple[Any, Any]:
    """What the readers wrote; directions as -1, 0 and 1, whatever the words of the outcome are."""
    if one.cell != "reported.sign":
        return one.a, one.b
    a, b = one.pairs[0]
    assert a is not None
    assert b is not None
    return a.row.get("sign"), b.row.get("sign")


def _agreement(
    cell: str, pairs: Sequence[tuple[Any, Any]], order: Sequence[Any] | None, level: float, prose: bool = False
) -> CellAgreement:
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    same = sum(same_value(a, b) for a, b in both)
    only_first = sum(b is None for _, b in pairs)
    only_second = sum(a is None for a, _ in pairs)
    return CellAgreement(
        cell, len(both), same, only_first, only_second, None if prose or not both else _coefficient(both, order, level)
    )


def _coefficient(both: Sequence[tuple[Any, Any]], order: Sequence[Any] | None, level: float) -> Agreement | None:
    values = [value for pair in both for value in pair]
    if any(isinstance(value, list | tuple) for value in values):
        return None
    first, second = [a for a, _ in both], [b for _, b in both]
    if order is not None and all(value in order for value in values):
        return cohen_kappa(first, second, order=order, level=level)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return intraclass_correlation([[float(a), float(b)] for a, b in both], level)
    words = [[_word(value) for value in side] for side in (first, second)]
    return cohen_kappa(words[0], words[1], level=level)


def _word(value: Any) -> str:
    """A word as it is compared: without regard to spacing, and yes apart from the text "True"."""
    return " ".join(value.split()) if isinstance(value, str) else f"{type(value).__name__}: {value}"
