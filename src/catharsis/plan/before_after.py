"""What a change of the inputs did to the results: each synthesis before and after, from two records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Read = TypeVar("Read")
Part = Callable[[Mapping[str, Any]], Read]
State = Literal["new", "gone", "same", "moved"]
COUNTS = ("k", "m", "effects", "people")
COEFFICIENT = "coefficient "  # before the name of a term
ROUNDING = 1e-9  # relative difference that is no movement: records hold ten digits


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number or word of a synthesis before and after; None where there is none.

    Attributes
    ----------
    name : str
        "estimate", "low", "high" (the interval), "tau", "new low", "new high" (prediction for a new study), "k"
        (samples), "m" (reports), "effects", "people", "verdict", "standing", "school" (which leads). With moderators
        "coefficient TERM", "coefficient TERM low" and "... high" in place of estimate and interval.
    before, after : float, str or None
        Its values, on the analysis scale.
    """

    name: str
    before: float | str | None
    after: float | str | None

    @property
    def moved(self) -> bool:
        """Whether it is another one, beyond rounding."""
        a, b = self.before, self.after
        if isinstance(a, int | float) and isinstance(b, int | float):
            return not math.isclose(a, b, rel_tol=ROUNDING, abs_tol=1e-12)
        return a != b


@dataclass(frozen=True, slots=True)
class SynthesisMove:
    """One synthesis in both versions.

    Attributes
    ----------
    id, title, measure, unit : str
        Which one; the measure is the newer version's code.
    state : str
        "new", "gone", "same" or "moved".
    quantities : dict
        Name to Quantity, all of them.
    joined, left : tuple of str
        Effects that came in and went out.
    shift : float
        Movement of the estimate in half-widths of the older interval; nan when there is none.
    """

    id: str
    title: str
    measure: str
    unit: str
    state: State
    quantities: Mapping[str, Quantity]
    joined: tuple[str, ...]
    left: tuple[str, ...]
    shift: float


@dataclass(frozen=True, slots=True)
class FamilyMove:
    """The answer to one question of the analysis before and after."""

    key: str
    before: str | None
    after: str | None

    @property
    def moved(self) -> bool:
        """Whether the sentence is another one."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Moves:
    """What moved between two records.

    Attributes
    ----------
    syntheses : tuple of SynthesisMove
        In the order of the newer plan, then what is gone.
    families : tuple of FamilyMove
        The sentences that answer the questions.
    directions : tuple of SynthesisMove
        Counts of directions, with the votes as quantities.
    """

    syntheses: tuple[SynthesisMove, ...]
    families: tuple[FamilyMove, ...]
    directions: tuple[SynthesisMove, ...]

    def __bool__(self) -> bool:
        parts = (*self.syntheses, *self.directions)
        return any(part.state != "same" for part in parts) or any(family.moved for family in self.families)


def before_after(
    before: Mapping[str, Any], after: Mapping[str, Any], renamed: Mapping[str, str] | None = None
) -> Moves:
    """Compare two records (`results.json` as data).

    Parameters
    ----------
    before, after : mapping
        The older and the newer record, as `plan.record.record` gives or results.json holds them.
    renamed : mapping, optional
        Older to newer id of effects that are called otherwise now: they neither came in nor went out.

    Returns
    -------
    Moves

    Examples
    --------
    >>> def at(estimate):
    ...     headline = {"school": "frequentist", "estimate": estimate, "low": estimate - 0.2, "high": estimate + 0.2}
    ...     return {"syntheses": {"a": {"title": "A", "measure": "MD", "headline": headline, "k": 5, "rows": {}}}}
    >>> move = before_after(at(0.5), at(0.6)).syntheses[0]
    >>> move.state, round(move.shift, 3), [name for name, one in move.quantities.items() if one.moved]
    ('moved', 0.5, ['estimate', 'low', 'high'])
    """
    old, new = before.get("families", {}), after.get("families", {})
    names = renamed or {}
    return Moves(
        tuple(_moves(before.get("syntheses", {}), after.get("syntheses", {}), _quantities, _rows, names)),
        tuple(FamilyMove(key, _sentence(old, key), _sentence(new, key)) for key in _keys(old, new)),
        tuple(_moves(before.get("directions", {}), after.get("directions", {}), _votes, _voters, names)),
    )


def _keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [*new, *(key for key in old if key not in new)]


def _sentence(families: Mapping[str, Any], key: str) -> str | None:
    return str(families[key]["sentence"]) if key in families else None


def _moves(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    values: Part[dict[str, Any]],
    rows: Part[list[str]],
    names: Mapping[str, str],
) -> list[SynthesisMove]:
    """Each synthesis (or count) of either record; `values` and `rows` read one of them."""
    found = []
    for key in _keys(old, new):
        a, b = old.get(key), new.get(key)
        first, last = (values(item or {}) for item in (a, b))
        quantities = {name: Quantity(name, first.get(name), last.get(name)) for name in _keys(first, last)}
        came, went = rows(b or {}), [names.get(row, row) for row in rows(a or {})]
        moved = any(one.moved for one in quantities.values()) or sorted(came) != sorted(went)
        state: State = "new" if a is None else "gone" if b is None else "moved" if moved else "same"
        item = b or a or {}
        found.append(
            SynthesisMove(
                id=key,
                title=str(item.get("title", key)),
                measure=str(item.get("measure", "")),
                unit=str(item.get("unit") or ""),
                state=state,
                quantities=quantities,
                joined=tuple(row for row in came if row not in went),
                left=tuple(row for row in went if row not in came),
                shift=_shift(quantities),
            )
        )
    return found


def _quantities(item: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a synthesis that is followed; the school that leads gives spread and prediction too."""
    headline = item.get("headline", {})
    tau, low, high = _spread(item, headline.get("school"))
    terms = _coefficients(item, headline.get("school"))
    average = headline if len(terms) <= 1 else {}
    return {
        "estimate": average.get("estimate"),
        "low": average.get("low"),
        "high": average.get("high"),
        **({name: value for term in terms.values() for name, value in term.items()} if len(terms) > 1 else {}),
        "tau": tau,
        "new low": low,
        "new high": high,
        **{name: item.get(name) for name in COUNTS},
        "verdict": item.get("verdict"),
        "standing": item.get("standing"),
        "school": headline.get("school"),
        "measure": item.get("measure"),
    }


def _leading(item: Mapping[str, Any], school: str | None) -> Mapping[str, Any] | None:
    """The posterior, where it leads."""
    bayes = item.get("bayes") or {}
    return (bayes.get("exact") or bayes.get("nuts")) if school == "bayes" else None


def _coefficients(item: Mapping[str, Any], school: str | None) -> dict[str, dict[str, float | None]]:
    """Coefficients of the school that leads, each with its interval."""
    found = (_leading(item, school) or item.get("frequentist") or {}).get("coefficients", {})
    return {
        term: {
            COEFFICIENT + term: one.get("estimate", one.get("mean")),
            f"{COEFFICIENT}{term} low": one.get("low"),
            f"{COEFFICIENT}{term} high": one.get("high"),
        }
        for term, one in found.items()
    }


def _spread(item: Mapping[str, Any], school: str | None) -> tuple[float | None, float | None, float | None]:
    """Spread and prediction interval of the school that leads."""
    leading, fit = _leading(item, school), item.get("frequentist") or {}
    if leading:
        return leading["tau"]["median"], leading["new"]["low"], leading["new"]["high"]
    parts = [value for value in fit.get("sigma2", {}).values() if value is not None]
    total = fit.get("tau2") if fit.get("tau2") is not None else sum(parts) if parts else None
    wide = fit.get("prediction") or {}
    return math.sqrt(total) if total is not None else None, wide.get("low"), wide.get("high")


def _rows(item: Mapping[str, Any]) -> list[str]:
    return list(item.get("rows", {}))


def _votes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Votes of each cell of a count of directions."""
    found: dict[str, Any] = {"groups": item.get("groups", 0)}
    for cell in item.get("cells", []):
        key = ", ".join(cell["key"])
        found |= {f"{key}: {word}": cell[word] for word in ("positive", "none", "negative", "mixed")}
    return found


def _voters(item: Mapping[str, Any]) -> list[str]:
    return [row for cell in item.get("cells", []) for row in cell["rows"]]


def _shift(quantities: Mapping[str, Quantity]) -> float:
    """Movement of the estimate in half-widths of the older interval."""
    if "measure" not in quantities or quantities["measure"].moved:
        return math.nan
    estimate, low, high = (quantities.get(name) for name in ("estimate", "low", "high"))
    numbers = [
        value
        for one in (estimate, low, high)
        for value in ((one.before, one.after) if one is not None else (None, None))
    ]
    if any(not isinstance(value, int | float) for value in numbers):
        return math.nan
    a, b, bottom, _, top, _ = (float(value) for value in numbers if isinstance(value, int | float))
    return abs(b - a) / ((top - bottom) / 2) if top > bottom else math.nan
