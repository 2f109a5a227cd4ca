"""What is done to counts of 0: a constant added to the cells of a table, or the table left out.

`to` says where the constant goes, in metafor's words: "only0" to the tables that have a zero, "all" to every table,
"if0all" to every table when any has a zero, "none" nowhere.
"""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Flags
from catharsis.numerics import FloatArray

ZERO_CELL = 0.5  # events added to each cell of a table that has an empty one (Haldane 1956, Gart and Zweifel 1967)
TO = ("only0", "all", "if0all", "none")


def filled(
    cells: tuple[FloatArray, ...], add: float = ZERO_CELL, to: str = "only0", watched: int | None = None
) -> tuple[tuple[FloatArray, ...], Flags]:
    """The cells with `add` put in as `to` says, and which tables that changed.

    Parameters
    ----------
    cells : tuple of (k,) arrays
        Counts, cell by cell; nan where a table is left out.
    add : float
        What is added to each cell.
    to : {"only0", "all", "if0all", "none"}
        To which tables.
    watched : int, optional
        Only the first so many cells are looked at and added to; all by default.

    Examples
    --------
    >>> cells, touched = filled((np.array([0.0, 3.0]), np.array([5.0, 4.0])))
    >>> cells[0].tolist(), touched.tolist()
    ([0.5, 3.0], [True, False])
    """
    counts = cells[:watched]
    zero = np.any([cell == 0 for cell in counts], axis=0)
    everywhere = np.ones_like(zero)
    touched = {"only0": zero, "all": everywhere, "if0all": everywhere & np.any(zero), "none": ~everywhere}[to]
    touched = touched & np.all([np.isfinite(cell) for cell in counts], axis=0) & (add != 0)
    changed = tuple(cell + add * touched for cell in counts)
    return changed + tuple(cells[len(counts) :]), touched


def uninformative(ai: FloatArray, bi: FloatArray, ci: FloatArray, di: FloatArray) -> Flags:
    """Tables in which nobody, or everybody, had the event in both groups.

    Examples
    --------
    >>> uninformative(*(np.array([x, y]) for x, y in ((0.0, 1.0), (9.0, 9.0), (0.0, 0.0), (8.0, 8.0)))).tolist()
    [True, False]
    """
    return np.asarray(((ai == 0) & (ci == 0)) | ((bi == 0) & (di == 0)))
