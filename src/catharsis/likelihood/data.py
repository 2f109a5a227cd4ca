"""The data of a model, from a formula and a frame or from plain arrays, checked once for both schools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import interval_level, vector
from catharsis.likelihood.blocks import ConstantCorrelation, split_covariance
from catharsis.likelihood.design import Design, codes, design_matrix, intercept_only, refuse_collinear
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

SYMMETRIC = 1e-8  # relative difference of two mirrored covariances that is rounding
SEMIDEFINITE = 1e-8  # eigenvalue of a correlation matrix below zero that is rounding


FAR = 1e70  # effects beyond this, or whose variance is beyond its square, overflow in weights and their squares


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
        effects, variances = vector(yi, "yi"), vector(vi, "vi")
        labels = tuple(str(i + 1) for i in range(len(effects)))
        if X is None:
            return effects, variances, intercept_only(len(effects)), labels
        matrix = _matrix(X, len(effects))
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
    variances = vector(data[vi] if isinstance(vi, str) else vi, "vi")
    return (
        vector(data[left], left),
        variances,
        design_matrix(formula, data, reference, levels),
        tuple(map(str, data.index)),
    )


def _matrix(X: Any, k: int) -> FloatArray:
    """Moderators as a matrix of numbers with one row per effect."""
    try:
        matrix = np.asarray(X)
        matrix = matrix if np.iscomplexobj(matrix) else np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("X holds something that is not a number, or rows of different lengths") from None
    if np.iscomplexobj(matrix):
        raise ModelError("X holds complex numbers; moderators are real")
    if matrix.ndim != 2 or len(matrix) != k or matrix.shape[1] == 0:
        raise ModelError(f"X has shape {matrix.shape}; it needs one row for each of the {k} effects")
    return matrix


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
    far = (np.abs(yi) > FAR) | (vi > FAR**2) | (vi < 1 / FAR**2)
    if far.any():
        i = int(np.argmax(far))
        raise ModelError(
            f"effect {labels[i]} is {yi[i]:g} with variance {vi[i]:g}: squares of such numbers leave the range of "
            "double precision; choose another unit"
        )
    if len(yi) < design.X.shape[1]:
        raise ModelError(f"{len(yi)} effects cannot carry {design.X.shape[1]} coefficients")
    interval_level(level)


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


def sampling_blocks(V: Any, k: int, labels: Sequence[str] | None = None) -> Sequence[tuple[IntArray, FloatArray]]:
    """Sampling covariance as blocks, each checked.

    Parameters
    ----------
    V : list of (rows, block), (k, k) array, data frame or scipy.sparse matrix, or (k,) variances
        Sampling covariance, squared analysis units.
    k : int
        Number of effects.
    labels : (k,) sequence of str, optional
        Names of the effects, for errors; by default 1..k.

    Returns
    -------
    sequence of (rows, block)

    Raises
    ------
    ModelError
        Wrong shape, rows twice, values that are not finite, not symmetric, or not positive semi-definite; names rows.
    """
    if isinstance(V, ConstantCorrelation) and len(V.vi) == k and bool(np.all(np.isfinite(V.vi) & (V.vi > 0))):
        return V  # positive definite by construction
    names = [str(i + 1) for i in range(k)] if labels is None else list(labels)
    found = _read_blocks(V, k)
    seen = np.zeros(k, dtype=bool)
    by_size: dict[int, list[int]] = {}
    for n, (rows, block) in enumerate(found):
        if rows.ndim != 1 or block.shape != (len(rows), len(rows)):
            raise ModelError(f"a block of V has shape {block.shape} for {rows.size} effects")
        if len(rows) == 0:
            continue
        if rows.min() < 0 or rows.max() >= k:
            raise ModelError(f"a block of V names row {int(rows.max()) + 1}, but there are {k} effects")
        if seen[rows].any() or len(set(rows.tolist())) < len(rows):
            raise ModelError(
                f"V holds effect {names[int(rows[seen[rows]][0]) if seen[rows].any() else int(rows[0])]} twice"
            )
        seen[rows] = True
        by_size.setdefault(len(rows), []).append(n)
    for members in by_size.values():
        _check_blocks(np.array([found[n][0] for n in members]), np.array([found[n][1] for n in members]), names)
    return found


def _read_blocks(V: Any, k: int) -> list[tuple[IntArray, FloatArray]]:
    try:
        if hasattr(V, "tocoo") or hasattr(V, "iloc") or (isinstance(V, np.ndarray) and V.dtype != object):
            matrix = V if hasattr(V, "tocoo") else np.asarray(V, dtype=float)
            if matrix.shape == (k,):
                return [(np.array([i]), np.array([[value]])) for i, value in enumerate(np.asarray(matrix).tolist())]
            if matrix.shape != (k, k):
                raise ModelError(
                    f"V has shape {matrix.shape}; it needs one row and one column for each of the {k} effects"
                )
            return split_covariance(matrix)
        return [(np.asarray(rows, dtype=np.int64), np.asarray(block, dtype=float)) for rows, block in V]
    except (TypeError, ValueError):
        raise ModelError(
            "V cannot be read: give a (k, k) matrix of numbers, or blocks as sampling_covariance returns them"
        ) from None


def _check_blocks(rows: IntArray, blocks: FloatArray, names: Sequence[str]) -> None:
    """Every reason why blocks (b, n, n) of one size are no covariances."""

    def named(block: int, *which: int) -> str:
        return " and ".join(names[int(rows[block, i])] for i in which)

    strange = np.argwhere(~np.isfinite(blocks))
    if len(strange):
        b, i, j = (int(n) for n in strange[0])
        where = f"for effect {named(b, i)}" if i == j else f"between effects {named(b, i, j)}"
        raise ModelError(f"V holds a value that is not finite, {where}")
    size = np.abs(blocks)
    uneven = np.argwhere(
        np.abs(blocks - np.swapaxes(blocks, 1, 2)) > SYMMETRIC * np.maximum(size, np.swapaxes(size, 1, 2))
    )
    if len(uneven):
        b, i, j = (int(n) for n in uneven[0])
        raise ModelError(
            f"V is not symmetric: {blocks[b, i, j]:g} and {blocks[b, j, i]:g} between effects {named(b, i, j)}"
        )
    variances = np.diagonal(blocks, axis1=1, axis2=2)
    if blocks.shape[1] > 1 and (variances > 0).all():
        root = np.sqrt(variances)
        correlation = blocks / (root[:, :, None] * root[:, None, :])
        worst = np.linalg.eigvalsh(correlation)[:, 0]
        if worst.min() < -SEMIDEFINITE:
            b = int(np.argmin(worst))
            beyond = np.abs(np.triu(correlation[b], 1))
            i, j = divmod(int(np.argmax(beyond)), len(beyond))
            cause = (
                f"the correlation between {named(b, i, j)} is {correlation[b, i, j]:.4g}"
                if beyond[i, j] > 1
                else "their correlations cannot hold together"
            )
            shown = ", ".join(names[int(row)] for row in rows[b][:6]) + (", ..." if rows.shape[1] > 6 else "")
            raise ModelError(f"V is not positive semi-definite (effects {shown}): {cause}")
