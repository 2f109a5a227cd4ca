"""Whether committed results still say what the inputs give: results.json held against a fresh run.

Three things can move and are told apart: the inputs (their hash must be exact), the numbers (deterministic ones must be
exact as recorded, sampled ones within four Monte Carlo standard errors of the difference), and the code, whose hash
moves with every line of the package and matters only if a number moved with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from catharsis.plan.record import DIGITS

SIGMAS = 4.0  # Monte Carlo standard errors of a difference that sampled numbers may differ by
UNITS = 1.001  # of the last digit recorded: what lies on the edge between two digits may round either way elsewhere
SAMPLER = "diagnostics"  # of the sampler: counts of its own, not results
ERRORS = {"mcse", "quadrature_error"}
OWN = {"schema", "catharsis", "inputs", "code", "sampled"}  # what is compared apart, or says who wrote the file
Value = float | int | str | bool | None
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the fresh run says something else.

    Attributes
    ----------
    place : str
        Keys down to the number, joined by " > ".
    committed, fresh : number, text or None
        What stands there; None also where nothing does.
    kind : str
        "exact" (a deterministic number), "sampled", or "words" (text, a verdict, a row that is there or not).
    distance : float
        For sampled numbers in Monte Carlo standard errors of the difference; else nan.
    """

    place: str
    committed: Value
    fresh: Value
    kind: Literal["exact", "sampled", "words"]
    distance: float = math.nan


@dataclass(frozen=True, slots=True)
class Verification:
    """What the comparison found.

    Attributes
    ----------
    inputs : tuple of str
        Input files that are others than those that the results were made from.
    code : bool
        Whether the package is another one than the results were made by.
    differences : tuple of Difference
        Everything that differs, in the order of the record.
    exact, sampled, words : int
        How many of each kind were compared.
    unchecked : int
        Sampled numbers that were not compared: the fresh run did without the sampler, or no error was recorded.
    """

    inputs: tuple[str, ...]
    code: bool
    differences: tuple[Difference, ...]
    exact: int
    sampled: int
    words: int
    unchecked: int

    @property
    def holds(self) -> bool:
        """Whether the committed results stand: same inputs, same numbers, same words."""
        return not self.inputs and not self.differences


def verify(committed: Mapping[str, Any], fresh: Mapping[str, Any]) -> Verification:
    """Compare committed results with those of a fresh run.

    Parameters
    ----------
    committed, fresh : mapping
        Records (results.json as data). When `fresh` was run without the sampler, sampled numbers are counted as
        unchecked.

    Returns
    -------
    Verification

    Examples
    --------
    >>> old = {"inputs": {"files": {"studies.yaml": "a"}}, "syntheses": {"s": {"k": 5, "tau2": 0.31}}}
    >>> new = {"inputs": {"files": {"studies.yaml": "b"}}, "syntheses": {"s": {"k": 6, "tau2": 0.31}}}
    >>> found = verify(old, new)
    >>> found.inputs, [(one.place, one.committed, one.fresh) for one in found.differences], found.holds
    (('studies.yaml',), [('syntheses > s > k', 5, 6)], False)
    """
    without = bool(committed.get("sampled")) and not fresh.get("sampled")
    a, b = dict(_leaves(committed)), dict(_leaves(fresh))
    held = _resting_on_samples(committed) if without else set()
    parts = [{place[:n] for place in side for n in range(len(place) + 1)} for side in (a, b)]
    differences: dict[str, Difference] = {}
    counts = {"exact": 0, "sampled": 0, "words": 0}
    unchecked = 0
    for place in [*a, *(place for place in b if place not in a)]:
        if SAMPLER in place:
            continue
        error = _error(a, place), _error(b, place)
        sampled = "nuts" in place or any(error)
        if place[-1] in ERRORS or "mcse_of" in place or "engines" in place:
            continue  # errors are estimates themselves; the engines' numbers stand in both posteriors
        if (without and (sampled or place[:2] in held)) or (sampled and _number(a.get(place)) and not any(error)):
            unchecked += 1
            continue
        found = _absent(place, *parts) or _difference(a, b, place, error, sampled)
        kind = "sampled" if sampled and _number(a.get(place)) else "exact" if _number(a.get(place)) else "words"
        counts[kind] += 1
        if found is not None:
            differences.setdefault(found.place, found)
    return Verification(
        inputs=_moved_files(committed, fresh),
        code=committed.get("code") != fresh.get("code"),
        differences=tuple(differences.values()),
        unchecked=unchecked,
        **counts,
    )


def _leaves(record: Mapping[str, Any]) -> Iterator[tuple[Place, Value]]:
    """Every number and word with its place; an empty part stands for itself."""

    def below(value: Any, place: Place) -> Iterator[tuple[Place, Value]]:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                yield from below(item, (*place, str(key)))
        elif isinstance(value, list) and value:
            for i, item in enumerate(value):
                yield from below(item, (*place, _name(item, i)))
        else:
            yield place, None if isinstance(value, Mapping | list) else value

    for key, value in record.items():
        if key not in OWN:
            yield from below(value, (key,))


def _name(item: Any, position: int) -> str:
    """An entry of a list by what it is about, else by its position from 1."""
    return str(item["quantity"]) if isinstance(item, Mapping) and "quantity" in item else str(position + 1)


def _number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error(leaves: Mapping[Place, Value], place: Place) -> float:
    """The Monte Carlo error that stands beside a number; 0 without one."""
    beside = (*place[:-1], "mcse") if place[-1] == "mean" else (*place[:-1], "mcse_of", place[-1])
    found = leaves.get(beside)
    return float(found) if isinstance(found, int | float) else 0.0


def _absent(place: Place, old: set[Place], new: set[Place]) -> Difference | None:
    """The largest part around a place that only one of the two records has."""
    for n in range(1, len(place) + 1):
        here = place[:n] in old, place[:n] in new
        if not all(here):
            told = ["there" if one else None for one in here]
            return Difference(" > ".join(place[:n]), told[0], told[1], "words")
    return None


def _difference(
    a: Mapping[Place, Value], b: Mapping[Place, Value], place: Place, error: tuple[float, float], sampled: bool
) -> Difference | None:
    old, new = a.get(place), b.get(place)
    words = " > ".join(place)
    if not (_number(old) and _number(new)):
        return None if old == new and type(old) is type(new) else Difference(words, old, new, "words")
    x, y = float(old or 0), float(new or 0)
    if sampled:
        distance = abs(x - y) / math.hypot(*error)
        return Difference(words, old, new, "sampled", distance) if distance > SIGMAS else None
    size = max(abs(x), abs(y), _spread(a, place))
    unit = 10.0 ** (math.floor(math.log10(size)) - DIGITS + 1) if size > 0 else 0.0
    return None if abs(x - y) <= UNITS * unit else Difference(words, old, new, "exact")


def _spread(leaves: Mapping[Place, Value], place: Place) -> float:
    """What a number near zero was rounded by: the standard error, deviation or width beside it; 0 without one."""
    if place[-1] not in ("estimate", "low", "high", "mean", "median"):
        return 0.0
    beside = {name: leaves.get((*place[:-1], name)) for name in ("se", "sd", "low", "high")}
    known = {name: float(value) for name, value in beside.items() if isinstance(value, int | float)}
    width = known["high"] - known["low"] if {"low", "high"} <= set(known) else 0.0
    return known.get("se", known.get("sd", width))


def _resting_on_samples(committed: Mapping[str, Any]) -> set[Place]:
    """Syntheses whose only posterior is the sampled one: without the sampler their headline has nothing to rest on."""
    found: set[Place] = set()
    for key, item in committed.get("syntheses", {}).items():
        bayes = item.get("bayes") or {}
        if bayes.get("nuts") and not bayes.get("exact"):
            found.add(("syntheses", str(key)))
    return found


def _moved_files(committed: Mapping[str, Any], fresh: Mapping[str, Any]) -> tuple[str, ...]:
    """Input files whose hashes differ, or that only one of the two had."""
    old, new = (record.get("inputs", {}).get("files") or {} for record in (committed, fresh))
    if not old:  # written before files were hashed one by one
        same = committed.get("inputs", {}).get("sha256") == fresh.get("inputs", {}).get("sha256")
        return () if same else ("the inputs as a whole",)
    return tuple(name for name in [*new, *(name for name in old if name not in new)] if old.get(name) != new.get(name))
