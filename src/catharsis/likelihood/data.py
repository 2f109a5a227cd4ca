"""The data of a model, from a formula and a frame or from plain arrays, checked once for both schools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import split_covariance
from catharsis.likelihood.design import Design, codes, design_matrix, intercept_only, refuse_collinear
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ModelData:
    """What a model is fitted to.

    Attributes
    ----------
    yi, vi : (k,) arrays
        Effects and sampling variances.
    design : Design
        Moderators.
    labels : tuple of str
        (k,) names of the effects.
    """

    yi: FloatArray
    vi: FloatArray
    design: Design
    labels: tuple[str, ...]


def read_data(
    formula: str | None,
    data: pd.DataFrame | None,
    yi: Any,
    vi: Any,
    X: Any,
    reference: Mapping[str, str] | None,
    levels: Mapping[str, Sequence[str]] | None,
) -> ModelData:
    """Read the data of a model; arguments as for `catharsis.fit`.

    Raises
    ------
    ModelError
        When columns are missing or lengths differ.
    """
    return ModelData(*_data(formula, data, yi, vi, X, reference, levels))


def check_data(given: ModelData, level: float) -> None:
    """Refuse data that cannot be fitted, naming the rows.

    Raises
    ------
    ModelError
        No effects, values that are not finite, variances that are not positive, too many coefficients.
    """
    _check(given.yi, given.vi, given.design, given.labels, level)


def _data(
    formula: str | None, data: Any, yi: Any, vi: Any, X: Any, reference: Any, levels: Any
) -> tuple[FloatArray, FloatArray, Design, tuple[str, ...]]:
    if formula is None:
        if yi is None or isinstance(vi, str):
            raise ModelError("give a formula with data, or yi and vi as arrays")
        effects, variances = _vector(yi, "yi"), _vector(vi, "vi")
        labels = tuple(str(i + 1) for i in range(len(effects)))
        if X is None:
            return effects, variances, intercept_only(len(effects)), labels
        matrix = np.asarray(X, dtype=float)
        if matrix.ndim != 2 or len(matrix) != len(effects):
            raise ModelError(f"X has shape {matrix.shape}; it needs one row for each of the {len(effects)} effects")
        terms = (
            "intercept" if np.all(matrix[:, 0] == 1) else "x1",
            *(f"x{i + 1}" for i in range(1, matrix.shape[1])),
        )
        if not np.isfinite(matrix).all():
            bad = int(np.argmin(np.isfinite(matrix).all(axis=1)))
            raise ModelError(f"X holds a value that is not finite in row {bad + 1}")
        refuse_collinear(matrix, terms)
        return effects, variances, Design(matrix, terms, {}, {}), labels
    if data is None:
        raise ModelError("a formula needs data")
    left = formula.split("~", 1)[0].strip() or "yi" if "~" in formula else "yi"
    for column in (left, vi if isinstance(vi, str) else left):
        if column not in data.columns:
            raise ModelError(
                f'the data have no column "{column}": {did_you_mean(column, [str(c) for c in data.columns])}'
            )
    if len(data) == 0:
        raise ModelError("there are no effects to combine")
    variances = _vector(data[vi] if isinstance(vi, str) else vi, "vi")
    return (
        _vector(data[left], left),
        variances,
        design_matrix(formula, data, reference, levels),
        tuple(map(str, data.index)),
    )


def _vector(values: Any, name: str) -> FloatArray:
    try:
        found = np.array(values, dtype=float)  # a copy: V may replace some of it
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if found.ndim != 1:
        raise ModelError(f"{name} has {found.ndim} dimensions; it needs one value per effect")
    return found


def _check(yi: FloatArray, vi: FloatArray, design: Design, labels: Sequence[str], level: float) -> None:
    """Every reason not to compute, with the rows that cause it."""
    if len(yi) == 0:
        raise ModelError("there are no effects to combine")
    if len(vi) != len(yi):
        raise ModelError(f"there are {len(yi)} effects but {len(vi)} variances")
    for values, name, bad in (
        (yi, "effect", ~np.isfinite(yi)),
        (vi, "variance", ~np.isfinite(vi) | (vi <= 0)),
    ):
        if bad.any():
            where = ", ".join(labels[i] for i in np.flatnonzero(bad)[:5])
            need = "a finite number" if name == "effect" else "positive and finite"
            raise ModelError(f"the {name} of {where} is {values[bad][0]}; it must be {need}")
    if len(yi) < design.X.shape[1]:
        raise ModelError(f"{len(yi)} effects cannot carry {design.X.shape[1]} coefficients")
    if not 0 < level < 1:
        raise ModelError(f"level is {level}; an interval's probability lies between 0 and 1")


def random_factors(random: str | None, data: pd.DataFrame | None, k: int) -> list[tuple[str, IntArray]]:
    """Random intercepts: "a/b" is one for a and one for b within a, "a + b" crosses them."""
    found: list[tuple[str, IntArray]] = []
    for part in random.split("+") if random is not None else ():
        inside: list[tuple[object, ...]] = [()] * k
        for name in (word.strip() for word in part.split("/")):
            if data is None or name not in data.columns:
                known = [] if data is None else [str(column) for column in data.columns]
                raise ModelError(f'the random factor "{name}" is not a column of the data: {did_you_mean(name, known)}')
            if data[name].isna().any():
                raise ModelError(f"the random factor {name} is missing in {int(data[name].isna().sum())} rows")
            if name in dict(found):
                raise ModelError(f'the random factor "{name}" is named twice in "{random}"')
            inside = [(*outer, value) for outer, value in zip(inside, data[name], strict=True)]
            found.append((name, codes(inside)))
    for name, code in found:
        if len(set(code.tolist())) < 2:
            raise ModelError(f"the random factor {name} has one level only, so its variance cannot be estimated")
    return found


def sampling_blocks(V: Any, k: int) -> list[tuple[IntArray, FloatArray]]:
    """Sampling covariance as blocks, from blocks or a dense matrix, each checked for shape and symmetry.

    Raises
    ------
    ModelError
        Wrong shape, values that are not finite, or not symmetric.
    """
    if isinstance(V, np.ndarray):
        if V.shape != (k, k):
            raise ModelError(f"V has shape {V.shape}; it needs one row and one column for each of the {k} effects")
        found = split_covariance(V)
    else:
        found = [(np.asarray(rows, dtype=np.int64), np.asarray(block, dtype=float)) for rows, block in V]
    for rows, block in found:
        if block.shape != (len(rows), len(rows)):
            raise ModelError(f"a block of V has shape {block.shape} for {len(rows)} effects")
        if not np.isfinite(block).all():
            raise ModelError(f"V holds a value that is not finite (block of effect {rows[0] + 1})")
        if not np.allclose(block, block.T, rtol=1e-8, atol=0):
            raise ModelError(f"V is not symmetric (block of effect {rows[0] + 1})")
    return found
