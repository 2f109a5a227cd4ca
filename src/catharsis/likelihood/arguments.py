"""Arguments beside the data, checked once for all methods: probabilities, numbers, and labels of groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.numerics import FloatArray

NAMED = 5  # rows that a message lists


def probability(value: Any, name: str, meaning: str = "it lies between 0 and 1") -> float:
    """A number strictly between 0 and 1.

    Parameters
    ----------
    value : float
        What the caller gave.
    name : str
        The argument, for the message.
    meaning : str
        Why it cannot be anything else.

    Returns
    -------
    float

    Raises
    ------
    ModelError
        Anything else, nan and text included.

    Examples
    --------
    >>> probability(0.05, "alpha")
    0.05
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        cure = f"; for {value:g}% give {value / 100:g}" if _percent(value) else ""
        raise ModelError(f"{name} is {shown(value)}; {meaning}{cure}")
    return float(value)


def interval_level(value: Any) -> float:
    """The probability of an interval; see `probability`.

    Examples
    --------
    >>> interval_level(0.95)
    0.95
    """
    return probability(value, "level", "an interval's probability lies between 0 and 1")


def _percent(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 1 < float(value) < 100


def finite_number(value: Any, name: str) -> float:
    """A finite number.

    Examples
    --------
    >>> finite_number(np.float64(2.0), "target")
    2.0
    """
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ModelError(f"{name} is {shown(value)}; it must be a finite number")
    return float(value)


def whole_number(value: Any, name: str, why: str, fewest: int = 1) -> int:
    """A whole number, at least `fewest`; `why` ends the message.

    Examples
    --------
    >>> whole_number(1000, "iterations", "at least one permutation must be visited")
    1000
    """
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or value < fewest:
        raise ModelError(f"{name} is {shown(value)}; {why}")
    return int(value)


def group_labels(
    values: Iterable[Any], k: int, name: str = "cluster", rows: Sequence[str] | None = None
) -> list[Hashable]:
    """Labels of the groups (studies, laboratories) that k effects belong to.

    Parameters
    ----------
    values : (k,) sequence
        One label for each effect.
    k : int
        Number of effects.
    name : str
        The argument, for messages.
    rows : (k,) sequence of str, optional
        Names of the effects, for messages; by default 1..k.

    Returns
    -------
    (k,) list

    Raises
    ------
    ModelError
        Another length, labels that are missing or are no single values, or a text in place of labels.

    Examples
    --------
    >>> group_labels(["a", "a", "b"], 3)
    ['a', 'a', 'b']
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ModelError(f"{name} is {shown(values)}; give one label for each of the {k} effects")
    labels = list(values)
    if len(labels) != k:
        raise ModelError(f"{name} has {len(labels)} labels for {k} effects")
    where = [str(i + 1) for i in range(k)] if rows is None else list(rows)
    for label, row in zip(labels, where, strict=True):
        try:
            hash(label)
        except TypeError:
            raise ModelError(f"{name} of effect {row} is {shown(label)}; a label is a text or a number") from None
    absent = [row for label, row in zip(labels, where, strict=True) if is_missing(label)]
    if absent:
        some = ", ".join(absent[:NAMED]) + (", ..." if len(absent) > NAMED else "")
        raise ModelError(f"{name} is missing for {len(absent)} of {k} effects ({some}): give each effect a label")
    return labels


def is_missing(label: Any) -> bool:
    """Whether a label is None, nan, NaT or pandas' NA.

    Examples
    --------
    >>> is_missing(float("nan")), is_missing(""), is_missing(0)
    (True, False, False)
    """
    if label is None:
        return True
    unequal = label != label  # only nan and NaT differ from themselves; NA answers with itself
    return type(unequal).__name__ == "NAType" or bool(unequal)


def vector(values: Any, name: str) -> FloatArray:
    """One real number per effect, as a copy; nan and infinity pass.

    Raises
    ------
    ModelError
        Text (names its row), complex numbers, more than one dimension.

    Examples
    --------
    >>> vector([1, 2], "yi").tolist()
    [1.0, 2.0]
    """
    try:
        given = np.asarray(values)
        if np.iscomplexobj(given):
            raise ModelError(f"{name} holds complex numbers; effects and variances are real")
        found = np.array(values, dtype=float)  # a copy: V may replace some of it
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number{_first_text(values)}") from None
    if found.ndim != 1:
        raise ModelError(f"{name} has {found.ndim} dimensions; it needs one value per effect")
    return found


def _first_text(values: Any) -> str:
    """Where the first value stands that is no number: its row's name in a Series, else its position from 1."""
    try:
        rows = list(values.items()) if hasattr(values, "items") else list(enumerate(values, start=1))
    except TypeError:
        return ""
    for row, value in rows:
        try:
            float(value)
        except (TypeError, ValueError):
            return f": {shown(value)} in row {row}; enter a number, or leave the row out"
    return ""
