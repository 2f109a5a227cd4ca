"""Rows of the table become the effects of a synthesis: one scale, one contrast, no person twice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.effects.measures import MEASURES, Measure
from catharsis.effects.routes import GIVEN, GIVEN_MEASURE, ROUTES, Route, Scale, empty_cell
from catharsis.errors import InputError, InputErrors
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class EffectSize:
    """One row on one scale.

    Attributes
    ----------
    yi, vi : float
        Effect and sampling variance, turned so that positive is the family's positive word.
    measure : str
        Code of the measure.
    route : Route
        How it was computed.
    """

    yi: float
    vi: float
    measure: str
    route: Route


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of one synthesis.

    Attributes
    ----------
    rows : tuple of Row
        The rows that entered, in table order.
    sizes : tuple of EffectSize
        Their effect sizes.
    scale : str
        Scale they share.
    measure : Measure
        Measure they share.
    unit : str
        Unit of the scale in words.
    left_out : dict
        Effect id to the reason why a selected row could not enter.
    notes : tuple of str
        What every reader must be told.
    """

    rows: tuple[Row, ...]
    sizes: tuple[EffectSize, ...]
    scale: Scale
    measure: Measure
    unit: str
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def samples(self) -> int:
        """Number of independent samples (k)."""
        return len({row.get("sample") for row in self.rows})

    @property
    def reports(self) -> int:
        """Number of reports (m)."""
        return len({row.get("report") for row in self.rows})

    @property
    def people(self) -> int | None:
        """Number of people, counting each sample once; None when a sample does not say."""
        sizes: dict[object, int] = {}
        for row in self.rows:
            sizes[row.get("sample")] = max(sizes.get(row.get("sample"), 0), people_in(row))
        return None if 0 in sizes.values() else sum(sizes.values())

    def routes(self) -> dict[str, int]:
        """How many effects came by which route."""
        return dict(Counter(size.route.name for size in self.sizes))

    def frame(self) -> pd.DataFrame:
        """One row per effect with `yi`, `vi`, `route` and every cell of the table that any row fills."""
        import pandas as pd

        columns = sorted({column for row in self.rows for column in row.cells} - {"yi", "vi"})
        data: dict[str, list[object]] = {
            "yi": [size.yi for size in self.sizes],
            "vi": [size.vi for size in self.sizes],
            "route": [size.route.name for size in self.sizes],
        }
        data |= {column: [row.get(column) for row in self.rows] for column in columns}
        return pd.DataFrame(data, index=pd.Index([row.id for row in self.rows], name="id"))


def effect_size_of(row: Row, scale: Scale, dictionary: Dictionary, correct: bool = True) -> EffectSize | None:
    """The effect size of one row on a scale; None when its numbers do not lead there.

    Only rows of kind `estimate` and `counts` have one: no other kind of evidence is turned into a number.
    """
    if row.get("kind") not in ("estimate", "counts"):
        return None
    route = next((route for route in ROUTES[scale] if route.fits(row)), None)
    if route is None:
        return None
    try:
        with np.errstate(all="ignore"):
            yi, vi = route.compute(row, correct)
    except (OverflowError, ZeroDivisionError):  # an SD of 1e200, an SD of 0
        return None
    if not (math.isfinite(yi) and math.isfinite(vi) and vi > 0):
        return None
    turn = 1 if route.by_sign else dictionary.orientation(str(row.get("outcome")))
    return EffectSize(turn * yi, vi, route.measure or GIVEN_MEASURE[scale], route)


def shared_scale(rows: Sequence[Row], dictionary: Dictionary) -> Scale:
    """Raw points when one instrument with a unit is shared, standardised otherwise.

    Rows that lead to neither scale have no say: they are left out on both.
    """
    on_raw = {row.id for row in rows if effect_size_of(row, "raw", dictionary)}
    able = [row for row in rows if row.id in on_raw or effect_size_of(row, "standardised", dictionary)]
    outcomes = {str(row.get("outcome")) for row in able}
    one = len(outcomes) == 1 and all(dictionary.outcomes[key].unit for key in outcomes)
    return "raw" if one and len(on_raw) == len(able) else "standardised"


def prepare(
    rows: Sequence[Row], scale: Scale | Literal["auto"], dictionary: Dictionary, correct: bool = True
) -> Effects:
    """Compute the effects of a synthesis from its selected rows.

    Parameters
    ----------
    rows : sequence of Row
        The rows that the synthesis selects.
    scale : str
        "auto" (`shared_scale`), "raw", "standardised", "correlation", or the code of a count measure.
    dictionary : Dictionary
        Outcomes, for units and directions.
    correct : bool
        Apply the small-sample correction on the standardised scale.

    Returns
    -------
    Effects
        Excluded rows and rows without a usable number are listed in `left_out`.

    Raises
    ------
    InputErrors
        When the rows would count the same people twice, or mix contrasts or measures.
    """
    left_out = {row.id: f"excluded: {row.get('exclude')}" for row in rows if row.has("exclude")}
    kept = [row for row in rows if row.id not in left_out]
    with_numbers = [row for row in kept if row.get("kind") in ("estimate", "counts")]
    chosen: Scale = shared_scale(with_numbers, dictionary) if scale == "auto" else scale
    found = [(row, effect_size_of(row, chosen, dictionary, correct)) for row in kept]
    left_out |= {row.id: _reason(row, chosen) for row, size in found if size is None}
    entered = [(row, size) for row, size in found if size is not None]
    rows_in, sizes = tuple(row for row, _ in entered), tuple(size for _, size in entered)
    problems = [*_people_twice(rows_in), *_mixed(rows_in, sizes)]
    if problems:
        raise InputErrors(problems)
    code = next((size.measure for size in sizes if size.route is not GIVEN), GIVEN_MEASURE[chosen])
    return Effects(
        rows_in,
        sizes,
        chosen,
        MEASURES[code],
        _unit(rows_in, chosen, dictionary),
        left_out,
        _notes(rows_in, sizes, chosen),
    )


def _reason(row: Row, scale: str) -> str:
    if row.get("kind") not in ("estimate", "counts"):
        return f"reports only {row.get('kind')}" if row.get("kind") != "none" else "reports nothing usable"
    return f"its numbers do not lead to the {scale} scale"


def _unit(rows: Sequence[Row], scale: Scale, dictionary: Dictionary) -> str:
    if scale == "raw" and rows:
        return dictionary.outcomes[str(rows[0].get("outcome"))].unit or "points"
    return {"standardised": "standard deviations", "correlation": "Fisher's z"}.get(
        scale, MEASURES[GIVEN_MEASURE[scale]].label
    )


def _notes(rows: Sequence[Row], sizes: Sequence[EffectSize], scale: Scale) -> tuple[str, ...]:
    pairs = zip(rows, sizes, strict=True)
    zero = [row.id for row, size in pairs if size.route is not GIVEN and empty_cell(row, scale)]
    return (f"1/2 was added to the cells of {', '.join(zero)} (a cell is zero)",) if zero else ()


def people_in(row: Row) -> int:
    """People behind a row; 0 when it does not say."""
    if row.has("n"):
        return int(row.get("n"))
    if row.has("n1", "n2"):
        return int(row.get("n1") + row.get("n2"))
    if row.has("better", "same", "worse"):
        return int(row.get("better") + row.get("same") + row.get("worse"))
    return int(row.get("n1", 0)) if row.has("events1") and not row.has("events2") else 0


def _people_twice(rows: Sequence[Row]) -> list[InputError]:
    """Two cuts of one group of people in one synthesis, told once for each pair of cuts."""
    first: dict[object, Row] = {}
    problems: dict[tuple[object, object], InputError] = {}
    for row in rows:
        group, cut = row.get("overlap_group"), row.get("partition")
        other = first.setdefault(group, row)
        if other.get("partition") != cut and (group, cut) not in problems:
            problems[group, cut] = InputError(
                row.at,
                f"{row.id} and {other.id} ({other.at}) hold the same people ({group}) cut in two ways",
                "pooling both would count these people twice and make the interval too narrow",
                "narrow rows: in analysis.yaml to one partition, or correct overlap_group: or partition:",
                "people-twice",
            )
    return list(problems.values())


def _mixed(rows: Sequence[Row], sizes: Sequence[EffectSize]) -> list[InputError]:
    """The first row with another contrast, and the first with another measure; a given yi takes the others' measure."""
    computed = [(row, size) for row, size in zip(rows, sizes, strict=True) if size.route is not GIVEN]
    contrasts = [(row, row.get("contrast")) for row in rows]
    measures = [(row, size.measure) for row, size in computed]
    problems = []
    for name, pairs in (("contrast", contrasts), ("measure", measures)):
        for row, value in pairs:
            first, expected = pairs[0]
            if value != expected:
                problems.append(
                    InputError(
                        row.at,
                        f"{row.id} has the {name} {value}, while {first.id} ({first.at}) has {expected}",
                        f"effects of different {name}s do not estimate one quantity",
                        "narrow rows: in analysis.yaml" + (", or choose another scale:" if name == "measure" else ""),
                        f"mixed-{name}",
                    )
                )
                break
    return problems
