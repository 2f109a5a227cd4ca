"""The arguments of an effect size: found in a frame or given as arrays, and refused where no study can have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.effects.mean_differences import Flags
from catharsis.effects.ways import Arrays, Way
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def arrays_of(
    code: str, ways: Sequence[Way], ignores: Sequence[str], cells: Mapping[str, Any], data: pd.DataFrame | None
) -> dict[str, FloatArray]:
    """The arguments of a measure as arrays of one length, by the measure's own names.

    Parameters
    ----------
    code : str
        The measure, for messages.
    ways : sequence of Way
        Its ways to its statistics.
    ignores : sequence of str
        Arguments that may be given and are not used.
    cells : mapping
        Arguments as the caller gave them: arrays, or names of columns.
    data : pandas.DataFrame or None
        Where columns are found.

    Raises
    ------
    ModelError
        An argument that is not taken, is missing, is no number, or has another length.
    """
    names = list(dict.fromkeys(name for way in ways for name in way.needs))
    asked: dict[str, Any] = {}
    for name, value in cells.items():
        own = _own_name(name, names)
        if own is None and _own_name(name, ignores) is not None:
            continue
        if own is None:
            unknown = _unknown(cells, (*names, *ignores))
            raise ModelError(f"{code} does not take {unknown}; it needs {_needs(ways)}")
        if own in asked:
            raise ModelError(f"{name} is given twice: {own} and {own}i are the same")
        asked[own] = value
    arrays = {name: _cell(name, value, data) for name, value in asked.items() if value is not None}
    explicit = set(arrays)
    for name in names:
        column = None if data is None or name in arrays else _column_of(name, data)
        if column is not None:
            arrays[name] = _cell(name, column, data)
    taken = _taken(ways, explicit, set(arrays))
    if not taken:
        _missing(ways, arrays, data)
    wanted = {name for way in taken for name in way.needs}
    arrays = {name: array for name, array in arrays.items() if name in wanted}
    if len({len(array) for array in arrays.values()}) != 1:
        raise ModelError("the arguments have unequal lengths")
    return arrays


def _taken(ways: Sequence[Way], explicit: set[str], present: set[str]) -> list[Way]:
    """The ways that may be taken: those that the caller named, else the most direct one that the frame's columns allow.

    A column that merely happens to be called p or t must not fill in for missing means.
    """
    open_ways = [way for way in ways if set(way.needs) <= present]
    shared = set.intersection(*(set(way.needs) for way in ways))
    named = [way for way in open_ways if (set(way.needs) - shared) & explicit]
    return named or open_ways[:1]


def _unknown(cells: Iterable[str], names: Sequence[str]) -> str:
    return ", ".join(sorted(name for name in cells if _own_name(name, names) is None))


def _needs(ways: Sequence[Way]) -> str:
    return ", or ".join(", ".join(way.needs) for way in ways)


def _own_name(name: str, names: Sequence[str]) -> str | None:
    """The measure's name of an argument: a final i is free, and F is also f."""
    stem = name.removesuffix("i")
    return next((own for own in names if name == own or stem.lower() == own.removesuffix("i").lower()), None)


def _column_of(name: str, data: pd.DataFrame) -> str | None:
    for candidate in (name, f"{name}i", name.removesuffix("i")):
        if candidate in data.columns:
            return candidate
    return None


def _missing(ways: Sequence[Way], arrays: Mapping[str, FloatArray], data: pd.DataFrame | None) -> None:
    """Complain about the first argument that the nearest way still lacks."""
    nearest = min(ways, key=lambda way: len(set(way.needs) - set(arrays)))
    lacking = next(name for name in nearest.needs if name not in arrays)
    _cell(lacking, lacking, data)


def statistics_of(ways: Sequence[Way], given: Mapping[str, FloatArray]) -> tuple[Arrays, Flags]:
    """The formula's arrays: for each row by the first way whose cells it has; and the rows that have none."""
    usable = [way for way in ways if set(way.needs) <= set(given)]
    filled_in: list[FloatArray] | None = None
    done = np.zeros(len(next(iter(given.values()))), dtype=bool)
    for way in usable:
        cells = [given[name] for name in way.needs]
        has = np.all([~np.isnan(cell) for cell in cells], axis=0) & ~done
        with np.errstate(all="ignore"):
            arrays = [np.broadcast_to(np.asarray(array, dtype=float), done.shape) for array in way.derive(*cells)]
        if filled_in is None:
            filled_in = [np.array(array) for array in arrays]
        for target, array in zip(filled_in, arrays, strict=True):
            target[has] = array[has]
        done |= has
    assert filled_in is not None
    return tuple(filled_in), ~done


def _cell(name: str, value: Any, data: pd.DataFrame | None) -> FloatArray:
    if isinstance(value, str):
        if data is None or value not in data.columns:
            known = [] if data is None else [str(column) for column in data.columns]
            raise ModelError(f'{name} is to come from column "{value}": {did_you_mean(value, known)}')
        value = data[value]
    try:
        return np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        text = next((item for item in np.ravel(np.asarray(value, dtype=object)) if not _is_number(item)), value)
        raise ModelError(f'{name} holds "{text}", which is not a number: leave missing cells empty (nan)') from None


def _is_number(item: Any) -> bool:
    try:
        float(item)
    except (TypeError, ValueError):
        return False
    return True


# ---------------------------------------------------------------------------- values that no study can have had
Test = Callable[[FloatArray], Flags]
_NEGATIVE: tuple[Test, str] = (lambda x: x < 0, "cannot be negative")
_BEYOND_ONE: tuple[Test, str] = (lambda x: np.abs(x) > 1, "lies between -1 and 1")
NO_SHARE: tuple[Test, str] = (lambda x: (x < 0) | (x > 1), "lies between 0 and 1")
_NOT_POSITIVE: tuple[Test, str] = (lambda x: x <= 0, "is above 0")
_NO_P: tuple[Test, str] = (
    lambda x: (np.abs(x) >= 1) | (x == 0),
    "is to be exact, between 0 and 1, with the effect's sign",
)

OF_ALPHA: dict[str, tuple[Test, str]] = {
    "ai": (lambda x: x > 1, "is at most 1"),
    "mi": (lambda x: x < 2, "needs 2 items or more"),
}
IMPOSSIBLE: dict[str, tuple[Test, str]] = {
    **dict.fromkeys(("sd", "sd1", "sd2", "sd_change", "ai", "bi", "ci", "di", "xi", "mi", "x1", "x2", "F"), _NEGATIVE),
    **dict.fromkeys(("n", "n1", "n2", "ni", "ti", "t1", "t2"), _NOT_POSITIVE),
    "sign": (lambda x: ~np.isin(x, (-1, 1)) & ~np.isnan(x), "is -1 or 1"),
    "r": _BEYOND_ONE, "r2": NO_SHARE, "p": _NO_P,
}  # fmt: skip


def check_values(
    given: Mapping[str, FloatArray], special: Mapping[str, tuple[Test, str]], counts: bool, data: pd.DataFrame | None
) -> None:
    """Refuse values that no study can have had, by name and row.

    Parameters
    ----------
    given : mapping
        Arrays by name.
    special : mapping
        Rules of this measure that stand before the general ones.
    counts : bool
        Whether the cells are counts: events are not more than people.
    data : pandas.DataFrame or None
        Whose index names the rows.

    Raises
    ------
    ModelError
        Names the argument, its value, the rows and the rule.
    """
    rules = {**IMPOSSIBLE, **special}
    for name, values in given.items():
        _refuse(name, values, np.isinf(values), "is finite", data)
        if name in rules:
            impossible, rule = rules[name]
            _refuse(name, values, impossible(values), rule, data)
    for events, people in (("ai", "n1"), ("ci", "n2"), ("xi", "ni")):
        if counts and events in given and people in given:
            _refuse(events, given[events], given[events] > given[people], f"is at most {people}", data)


def _refuse(name: str, values: FloatArray, bad: Flags, rule: str, data: pd.DataFrame | None) -> None:
    if not np.any(bad):
        return
    rows = np.flatnonzero(bad)
    labels = [str(row) if data is None else str(data.index[row]) for row in rows[:5]]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    raise ModelError(f"{name} is {values[rows[0]]:g} in row {', '.join(labels)}{more}: it {rule}")
