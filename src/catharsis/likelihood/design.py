"""Formulas and grouping factors become matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import FormulaError, ModelError, did_you_mean
from catharsis.likelihood.formulas import named_columns
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Design:
    """A model matrix and what its columns are.

    Attributes
    ----------
    X : (k, p) array
        Moderators, intercept first when there is one.
    terms : tuple of str
        (p,) column names; the intercept is "intercept", a factor's columns are "factor[level]".
    factors : dict
        Factor name to its levels, the reference level first.
    columns : dict
        Moderator name to the positions of its main-effect columns in X.
    """

    X: FloatArray
    terms: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, tuple[int, ...]]


def intercept_only(k: int) -> Design:
    """The design of a model without moderators."""
    return Design(np.ones((k, 1)), ("intercept",), {}, {})


def design_matrix(
    formula: str,
    frame: pd.DataFrame,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> Design:
    """Build the model matrix of a formula with treatment contrasts.

    Parameters
    ----------
    formula : str
        Right-hand side in formulaic's (Wilkinson's) notation, with or without "~".
    frame : pandas.DataFrame
        One row per effect.
    reference : dict, optional
        Factor to reference level; by default the first level.
    levels : dict, optional
        Factor to the order of its levels; by default alphabetical. Levels without rows are left out.

    Returns
    -------
    Design

    Raises
    ------
    ModelError
        When the formula cannot be read, names an unknown column, meets missing cells, or gives
        columns that repeat each other.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"setting": ["alone", "with", "alone"]})
    >>> design_matrix("~ setting", frame).terms
    ('intercept', 'setting[with]')
    """
    right = formula.split("~", 1)[-1].strip()
    if right in ("", "1"):
        return intercept_only(len(frame))
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        parsed = Formula(right)
    except (FormulaicError, SyntaxError, ValueError) as problem:
        raise FormulaError(f'the formula "{formula}" cannot be read: {problem}') from None
    wanted = named_columns(parsed, formula)
    for name in wanted:
        if name not in frame.columns:
            raise FormulaError(
                f'the formula "{formula}" names "{name}": {did_you_mean(name, [str(c) for c in frame.columns])}'
            )
        empty = frame.index[frame[name].isna()]
        if len(empty):
            rows = ", ".join(str(row) for row in empty[:5])
            raise ModelError(
                f"{name} is missing in {len(empty)} of {len(frame)} rows ({rows}): fill the cells or narrow the rows"
            )
    data = frame[wanted].copy()
    factors = {
        name: _levels(data[name], name, reference or {}, levels or {}) for name in wanted if _is_factor(data[name])
    }
    import pandas as pd

    for name, order in factors.items():
        if len(order) < 2:
            raise ModelError(f'the moderator {name} has one level only ("{order[0]}"), so it explains nothing')
        data[name] = pd.Categorical(data[name].astype(str), categories=list(order))
    try:
        matrix = parsed.get_model_matrix(data, output="pandas")
    except (FormulaicError, ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as problem:
        raise FormulaError(f'the formula "{formula}" cannot be computed: {problem}') from None
    X = np.ascontiguousarray(np.asarray(matrix, dtype=float))
    terms = tuple(_term(str(column)) for column in matrix.columns)
    if not np.isfinite(X).all():
        bad = int(np.argmin(np.isfinite(X).all(axis=0)))
        raise ModelError(f"the moderator column {terms[bad]} holds a value that is not finite")
    refuse_collinear(X, terms)
    columns = {name: tuple(i for i, term in enumerate(terms) if _belongs(term, name)) for name in wanted}
    return Design(X, terms, factors, columns)


def _belongs(term: str, name: str) -> bool:
    """Whether a column is a main effect of a moderator."""
    return term == name or (term.startswith(f"{name}[") and ":" not in term)


def _is_factor(column: pd.Series) -> bool:
    return column.dtype.kind not in "iuf"


def _levels(
    column: pd.Series, name: str, reference: Mapping[str, str], levels: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    found = {str(value) for value in column}
    order = [str(level) for level in levels.get(name, sorted(found)) if str(level) in found]
    order += sorted(found - set(order))
    first = reference.get(name)
    if first is not None:
        if first not in found:
            raise ModelError(f'the reference level "{first}" of {name} has no rows; {did_you_mean(first, order)}')
        order.remove(first)
        order.insert(0, first)
    return tuple(order)


def _term(column: str) -> str:
    return "intercept" if column == "Intercept" else column.replace("[T.", "[")


def refuse_collinear(X: FloatArray, terms: Sequence[str]) -> None:
    """Stop when columns of X are zero or repeat each other.

    Raises
    ------
    ModelError
        Names the columns.
    """
    scale = np.linalg.norm(X, axis=0)
    if np.any(scale == 0):
        raise ModelError(f"the moderator column {terms[int(np.argmin(scale))]} is zero in every row")
    k, p = X.shape
    if k < p or np.linalg.matrix_rank(X / scale) == p:  # too few rows is another error, with its own words
        return
    for j in range(1, p):
        if np.linalg.matrix_rank(X[:, : j + 1] / scale[: j + 1]) <= j:
            if np.all(X[:, j] == X[0, j]):
                raise ModelError(f"the moderator column {terms[j]} is {X[0, j]:g} in every row, so it explains nothing")
            others = ", ".join(terms[:j])
            raise ModelError(f"the moderator column {terms[j]} repeats what {others} already say; drop one of them")


def codes(labels: Sequence[object]) -> IntArray:
    """Labels as integers 0..m-1 in order of first appearance, so that names do not matter.

    Examples
    --------
    >>> codes(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)
