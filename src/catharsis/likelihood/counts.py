"""Counts of events in one or two groups per study: reading, checking, adjusting, and the effects they show.

Two kinds of data meet here. In a 2 x 2 table the events are counted among *people* and can be at most as many; in
rate data they are counted over *time* at risk. Both are kept as events and totals, one column per group, so that the
methods for counts (Mantel-Haenszel, Peto, generalised linear models) ask for one thing only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from catharsis.effects import proportions, rates
from catharsis.effects.zero_cells import TO, filled
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

BoolArray = NDArray[np.bool_]
SHOWN_ROWS = 5  # rows that a message names

# measure -> (events among people or over time, number of groups)
MEASURES: Mapping[str, tuple[Literal["people", "time"], int]] = {
    "OR": ("people", 2), "RR": ("people", 2), "RD": ("people", 2), "PETO": ("people", 2),
    "IRR": ("time", 2), "IRD": ("time", 2), "PLO": ("people", 1), "IRLN": ("time", 1),
}  # fmt: skip

# effect and variance of each study, from events and non-events group by group, or from events and times
OF_PEOPLE: Mapping[str, Callable[..., tuple[FloatArray, FloatArray]]] = {
    "OR": proportions.log_odds_ratio, "RR": proportions.log_risk_ratio, "RD": proportions.risk_difference,
    "PETO": proportions.peto_log_odds_ratio, "PLO": proportions.logit_proportion,
}  # fmt: skip
OF_TIME: Mapping[str, Callable[..., tuple[FloatArray, FloatArray]]] = {
    "IRR": rates.log_rate_ratio, "IRD": rates.rate_difference, "IRLN": rates.log_rate,
}  # fmt: skip

# events, then either the total or the other cell, for each group
COLUMNS: Mapping[tuple[str, int], tuple[tuple[str, str, str | None], ...]] = {
    ("people", 2): (("ai", "n1i", "bi"), ("ci", "n2i", "di")),
    ("time", 2): (("x1i", "t1i", None), ("x2i", "t2i", None)),
    ("people", 1): (("xi", "ni", "mi"),),
    ("time", 1): (("xi", "ti", None),),
}


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Events and totals of k studies.

    Attributes
    ----------
    events : (k, G) array
        Events in each group, G = 1 or 2.
    totals : (k, G) array
        People in the group, or its time at risk.
    among : str
        "people" or "time".
    labels : tuple of str
        (k,) names of the studies.
    """

    events: FloatArray
    totals: FloatArray
    among: Literal["people", "time"]
    labels: tuple[str, ...]

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.events)

    @property
    def cells(self) -> FloatArray:
        """(k, 2 G) all counted cells: events and, among people, those without; zero cells are sought here."""
        if self.among == "time":
            return self.events
        return np.hstack([self.events, self.totals - self.events])

    @property
    def uninformative(self) -> BoolArray:
        """(k,) whether no group has an event, or nobody is without one: such studies say nothing about a ratio."""
        none = np.all(self.events == 0, axis=1)
        every = np.all(self.events == self.totals, axis=1) if self.among == "people" else np.zeros(self.k, dtype=bool)
        return np.asarray(none | every)

    def rows(self, keep: BoolArray | IntArray) -> Counts:
        """The studies at `keep` (a mask or positions)."""
        chosen = np.arange(self.k)[keep]
        labels = tuple(self.labels[i] for i in chosen)
        return Counts(self.events[chosen], self.totals[chosen], self.among, labels)


def read_counts(
    measure: str, columns: Mapping[str, Any], data: pd.DataFrame | None
) -> tuple[Counts, IntArray, tuple[str, ...]]:
    """Counts from arrays or from the columns of a frame.

    Parameters
    ----------
    measure : str
        A key of `MEASURES`; decides which arguments are needed.
    columns : dict
        Argument name (ai, bi, n1i, x1i, ...) to an array, a column name or None; when all are None the columns of
        `data` with the arguments' own names.
    data : pandas.DataFrame, optional
        Where column names are looked up; its index names the studies.

    Returns
    -------
    counts : Counts
        The complete rows.
    kept : (k,) array
        Their positions among the rows given.
    notes : tuple of str
        Rows left out and counts that are not whole.

    Raises
    ------
    ModelError
        Arguments missing or of different lengths; negative counts; more events than people; values that are not
        finite numbers.
    """
    among, groups = MEASURES[measure]
    wanted = COLUMNS[among, groups]
    allowed = {name for group in wanted for name in group if name}
    given = {name: value for name, value in columns.items() if value is not None}
    for name in given:
        if name not in allowed:
            raise ModelError(f"{measure} has no use for {name}: it takes {_usage(wanted)}")
    if not given and data is not None:  # the arguments' own names, as for `effect_size`
        given = {name: name for name in sorted(allowed) if name in data.columns}
    if not given:
        raise ModelError(f"{measure} needs {_usage(wanted)}")
    values = {name: _column(name, value, data) for name, value in given.items()}
    lengths = {len(value) for value in values.values()}
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} has {len(value)}" for name, value in values.items())
        raise ModelError(f"the counts have different lengths ({sizes}): give one value per study for each")
    (size,) = lengths
    index = getattr(data, "index", None)
    named = index is not None and len(index) == size
    labels = tuple(str(label) for label in index) if named else tuple(str(i + 1) for i in range(size))  # type: ignore[union-attr]
    if size == 0:
        raise ModelError("there are no studies to combine")
    events, totals = [], []
    for name, total, other in wanted:
        if name not in values or (total not in values and (other is None or other not in values)):
            raise ModelError(f"{measure} needs {_usage(wanted)}")
        x = values[name]
        if other is not None and other in values:
            n = x + values[other]
            if total in values:
                _refuse(
                    np.abs(values[total] - n) > 1e-8 * n,
                    labels,
                    f"{total} differs from {name} + {other} in",
                    f"give either {total} or {other}, or mend the row",
                )
        else:
            n = values[total]
            if among == "people":
                _refuse(x > n, labels, f"{name} is larger than {total} in", "no group has more events than people")
        events.append(x)
        totals.append(n)
    for name, value in values.items():
        _refuse(np.isinf(value), labels, f"{name} is infinite in", "a count is a finite number")
        _refuse(value < 0, labels, f"{name} is negative in", "a count of events, people or time is zero or more")
    found = Counts(np.column_stack(events), np.column_stack(totals), among, labels)
    return _complete(found)


def _complete(found: Counts) -> tuple[Counts, IntArray, tuple[str, ...]]:
    """The rows that can be used, and what to tell about the others."""
    notes = []
    missing = np.any(~(np.isfinite(found.events) & np.isfinite(found.totals)), axis=1)
    if missing.any():
        notes.append(f"left out because a count is missing: {_named(missing, found.labels)}")
    empty = ~missing & np.any(found.totals == 0, axis=1)
    nobody = empty & (found.totals > 0).any(axis=1) & (found.among == "people")
    if nobody.any():
        notes.append(
            f"a group holds nobody, so only what is added to zero cells speaks: {_named(nobody, found.labels)}"
        )
    empty &= ~nobody
    if empty.any():
        what = "there is nobody" if found.among == "people" else "a group has no time at risk"
        notes.append(f"left out because {what}: {_named(empty, found.labels)}")
    kept = np.flatnonzero(~(missing | empty))
    if not len(kept):
        raise ModelError(f"no study has complete counts ({'; '.join(notes)})")
    counts = found.rows(kept)
    broken: BoolArray = (counts.cells != np.round(counts.cells)).any(axis=1)
    if broken.any():
        notes.append(f"counts that are not whole numbers, taken as they are: {_named(broken, counts.labels)}")
    return counts, kept, tuple(notes)


def _usage(wanted: Sequence[tuple[str, str, str | None]]) -> str:
    plain = ", ".join(f"{name}, {total}" for name, total, _ in wanted)
    if any(other is None for *_, other in wanted):
        return plain
    return f"{', '.join(f'{name}, {other}' for name, _, other in wanted)}, or {plain}"


def _column(name: str, value: Any, data: Any) -> FloatArray:
    if isinstance(value, str):
        if data is None:
            raise ModelError(f'{name} names the column "{value}", but there are no data')
        if value not in data.columns:
            raise ModelError(
                f'the data have no column "{value}" ({name}): {did_you_mean(value, [str(c) for c in data.columns])}'
            )
        value = data[value]
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if found.ndim > 1:
        raise ModelError(f"{name} has {found.ndim} dimensions; it needs one value per study")
    return np.atleast_1d(found)


def _named(which: BoolArray, labels: Sequence[str]) -> str:
    rows = np.flatnonzero(which)
    more = f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    return "study " + ", ".join(labels[i] for i in rows[:SHOWN_ROWS]) + more


def _refuse(bad: BoolArray, labels: Sequence[str], what: str, cure: str) -> None:
    if bad.any():
        raise ModelError(f"{what} {_named(bad, labels)}: {cure}")


def adjusted(counts: Counts, add: float, to: str, drop00: bool) -> tuple[Counts, BoolArray]:
    """Counts with a constant added to their cells, and which studies remain.

    Parameters
    ----------
    counts : Counts
        Two groups.
    add : float
        What is added to each cell.
    to : str
        "only0": to studies with a zero cell; "all": to every study; "if0all": to every study when any has a zero
        cell; "none".
    drop00 : bool
        Whether studies that say nothing about a ratio (no event in either group, or nothing but events) are left out;
        they then get no constant and do not count as having a zero cell.

    Returns
    -------
    counts : Counts
        All studies, adjusted.
    used : (k,) array
        False where left out.

    Raises
    ------
    ModelError
        Unknown `to`, negative `add`.

    Examples
    --------
    >>> tables = Counts(np.array([[0.0, 3.0]]), np.array([[10.0, 12.0]]), "people", ("1",))
    >>> adjusted(tables, 0.5, "only0", True)[0].events.tolist()
    [[0.5, 3.5]]
    """
    if to not in TO:
        raise ModelError(f'to is "{to}": {did_you_mean(to, TO)}')
    if not (np.isfinite(add) and add >= 0):
        raise ModelError(f"add is {add}; what is added to the cells is zero or more")
    used: BoolArray = ~counts.uninformative if drop00 else np.ones(counts.k, dtype=bool)
    _, touched = filled(tuple(np.where(used, cell, np.nan) for cell in counts.cells.T), add, to)
    extra = add * touched[:, None]
    wider = extra if counts.among == "time" else 2 * extra
    totals = counts.totals if counts.among == "time" else counts.totals + wider
    return Counts(counts.events + extra, totals, counts.among, counts.labels), used


def observed_effects(measure: str, counts: Counts) -> tuple[FloatArray, FloatArray]:
    """Effect of each study and its large-sample variance; nan where a zero cell leaves them undefined.

    Parameters
    ----------
    measure : str
        OR, RR, RD, PETO, IRR, IRD, PLO or IRLN; ratios, odds and rates as logarithms.
    counts : Counts
        With whatever was added to the cells.

    Returns
    -------
    yi, vi : (k,) arrays

    Examples
    --------
    >>> tables = Counts(np.array([[4.0, 11.0]]), np.array([[123.0, 139.0]]), "people", ("1",))
    >>> [float(value[0].round(4)) for value in observed_effects("OR", tables)]
    [-0.9387, 0.3571]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if counts.among == "time":
            yi, vi = OF_TIME[measure](*counts.events.T, *counts.totals.T)
        else:
            rest = counts.totals - counts.events
            yi, vi = OF_PEOPLE[measure](*np.stack([counts.events, rest], axis=2).reshape(counts.k, -1).T)
    bad = ~(np.isfinite(yi) & np.isfinite(vi))
    return np.where(bad, np.nan, yi), np.where(bad, np.nan, vi)


def hypergeometric_score(counts: Counts) -> tuple[FloatArray, FloatArray]:
    """Observed less expected events of group 1 given the margins, without an effect, and their variance.

    Parameters
    ----------
    counts : Counts
        2 x 2 tables.

    Returns
    -------
    score, variance : (k,) arrays
        a - n1 m / N, and n1 n2 m (N - m) / (N^2 (N - 1)); a table of one person has no variance.

    References
    ----------
    [@mantel1959; @yusuf1985]

    Examples
    --------
    >>> tables = Counts(np.array([[4.0, 11.0]]), np.array([[123.0, 139.0]]), "people", ("1",))
    >>> [float(value[0].round(4)) for value in hypergeometric_score(tables)]
    [-3.042, 3.5356]
    """
    (n1, n2), m, size = counts.totals.T, counts.events.sum(axis=1), counts.totals.sum(axis=1)
    variance = n1 * n2 * m * (size - m) / (size**2 * np.where(size > 1, size - 1, np.inf))
    return counts.events[:, 0] - n1 * m / size, variance


def cochran_q(yi: FloatArray, vi: FloatArray, centre: float) -> float:
    """Weighted squared distance of the observed effects from an estimate; nan values are left out."""
    here = np.isfinite(yi)
    return float(np.sum((yi[here] - centre) ** 2 / vi[here]))
