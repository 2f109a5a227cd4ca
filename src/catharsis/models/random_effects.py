"""Best linear unbiased predictions of random effects.

For a random effect u of one level, with covariances c = cov(u, y): u^ = c' W (y - X b), and its prediction error has
variance var(u) - c' P c. Within a block, c is a row of that term's part of M at any effect of the level, so all
predictions of a term follow from one product and cost no more than the likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.marginal import covariance, inverse, moments
from catharsis.likelihood.nested import Nested, whitener
from catharsis.likelihood.structures import SLOPES, SPATIAL, Pattern, level_covariance, term_covariance
from catharsis.numerics import FloatArray, IntArray, critical_value

if TYPE_CHECKING:
    import pandas as pd


def predicted_effects(
    blocks: Blocks,
    theta: FloatArray,
    groups: Mapping[str, IntArray],
    names: Mapping[str, tuple[str, ...]],
    level: float,
    df: Mapping[str, float],
) -> dict[str, pd.DataFrame]:
    """Predictions of every random effect.

    Parameters
    ----------
    blocks : Blocks
        The model.
    theta : (s,) array
        Its parameters.
    groups : dict
        Grouping factor to codes (k,).
    names : dict
        Grouping factor to the names of its levels.
    level : float
        Probability of the intervals.
    df : dict
        Grouping factor to the degrees of freedom of its intervals; inf means normal.

    Returns
    -------
    dict
        Term to a frame: index the levels ("inner | outer" for structured terms), in the order in which the levels of
        the grouping factors first appear; columns estimate, se, low, high.

    References
    ----------
    [@raudenbush2009]
    """
    import pandas as pd

    found = {}
    for name, labels, estimate, variance in _terms(blocks, theta, groups, names):
        se = np.sqrt(np.maximum(variance, 0.0))
        own = df[name.split("|")[-1].strip()]
        reach = float(critical_value(level, own)) if own > 0 else np.nan
        found[name] = pd.DataFrame(
            {"estimate": estimate, "se": se, "low": estimate - reach * se, "high": estimate + reach * se},
            index=pd.Index(labels, name="level"),
        )
    return found


def _terms(
    blocks: Blocks, theta: FloatArray, groups: Mapping[str, IntArray], names: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, list[str], FloatArray, FloatArray]]:
    """Name, labels, predictions and error variances of each term."""
    if isinstance(blocks.ties, Nested):
        predictions = _nested_predictions(blocks, blocks.ties, theta)
        firsts = [_first(groups[name]) for name in blocks.factors]
        return [
            (name, list(names[name]), estimate[at], variance[at])
            for name, at, (estimate, variance) in zip(blocks.factors, firsts, predictions, strict=True)
        ]
    ties: list[tuple[str, list[str], IntArray, list[FloatArray], list[FloatArray]]] = []
    for s, name in enumerate(blocks.factors[: blocks.intercepts]):
        shares = [theta[s] * stack.K[s] for stack in blocks.stacks]
        at = _first(groups[name])
        ties.append((name, list(names[name]), at, shares, [_diagonal(share) for share in shares]))
    for number, structure in enumerate(blocks.structures):
        outer = structure.name.split("|")[1].strip()
        code, labels = groups[outer], names[outer]
        patterns = [stack.patterns[number] for stack in blocks.stacks]
        if structure.kind in SLOPES:
            at = _first(code)
            for level, label in enumerate(structure.levels):
                both = [_slope_share(pattern, theta, level) for pattern in patterns]
                ties.append(
                    (
                        f"{label} | {outer}",
                        [labels[c] for c in code[at]],
                        at,
                        [t for t, _ in both],
                        [v for _, v in both],
                    )
                )
            continue
        shares = [term_covariance(pattern, pattern.part(theta)) for pattern in patterns]
        inner = np.empty(blocks.k, dtype=np.int64)
        for stack, pattern in zip(blocks.stacks, patterns, strict=True):
            inner[stack.rows] = pattern.inner
        at = _first(_cells(code, inner))
        at = at[np.lexsort((inner[at], code[at]))]
        inner_names = structure.levels
        if structure.kind in SPATIAL or structure.kind == "CAR":
            inner_names = tuple(structure.levels)
        ties.append(
            (structure.name, [f"{inner_names[inner[i]]} | {labels[code[i]]}" for i in at], at, shares,
             [_diagonal(share) for share in shares])
        )  # fmt: skip
    predicted = _predict(blocks, theta, [tie[3] for tie in ties], [tie[4] for tie in ties])
    return [(tie[0], tie[1], u[tie[2]], v[tie[2]]) for tie, (u, v) in zip(ties, predicted, strict=True)]


def _first(code: IntArray) -> IntArray:
    """Row of the first effect of each level."""
    first = np.full(int(code.max()) + 1, -1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    return first


def _cells(outer: IntArray, inner: IntArray) -> IntArray:
    return np.asarray(np.unique(outer * (int(inner.max()) + 1) + inner, return_inverse=True)[1], dtype=np.int64)


def _diagonal(share: FloatArray) -> FloatArray:
    return np.asarray(np.diagonal(share, axis1=1, axis2=2))


def _slope_share(pattern: Pattern, theta: FloatArray, level: int) -> tuple[FloatArray, FloatArray]:
    """Covariances of one random slope with the effects, (b, n, n), and its variance, (b, n)."""
    G = level_covariance(pattern.structure, pattern.part(theta))
    assert pattern.slopes is not None
    row = pattern.slopes @ G[level]
    return pattern.together * row[:, None, :], np.full(row.shape, G[level, level])


def _predict(
    blocks: Blocks, theta: FloatArray, shares: list[list[FloatArray]], own: list[list[FloatArray]]
) -> list[tuple[FloatArray, FloatArray]]:
    """For each term, the prediction and error variance of the random effect of each effect's level, (k,) each."""
    at = moments(blocks, theta)
    residual, X = blocks.y - blocks.X @ at.beta(), blocks.X @ at.inverse_root
    found = [(np.empty(blocks.k), np.empty(blocks.k)) for _ in shares]
    for n, stack in enumerate(blocks.stacks):
        W, WX, Wr = _weighted(stack, theta, X, residual)
        for (estimate, variance), share, prior in zip(found, shares, own, strict=True):
            T = share[n]
            estimate[stack.rows] = np.einsum("bij,bj->bi", T, Wr)
            known = np.einsum("bij,bij->bi", T @ W, T) - np.sum((T @ WX) ** 2, axis=2)
            variance[stack.rows] = prior[n] - known
    return found


def _nested_predictions(blocks: Blocks, nested: Nested, theta: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """The same for nested random intercepts, from sums over their levels."""
    at, half = moments(blocks, theta), whitener(nested, theta)
    columns = np.column_stack([blocks.X @ at.inverse_root, blocks.y - blocks.X @ at.beta()])
    weighed = half.unwhiten(half.whiten(nested.sorted(columns)))
    found = []
    for factor, variance in enumerate(theta):
        sums = half.sums(factor, weighed)
        known = half.own(factor) - np.sum(sums[:-1] ** 2, axis=0)
        both = half.spread(factor, np.stack([variance * sums[-1], variance - variance**2 * known]))
        estimate, error = nested.unsorted(both).T
        found.append((estimate, error))
    return found


def _weighted(
    stack: Stack, theta: FloatArray, X: FloatArray, residual: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    W = inverse(covariance(stack, theta))
    return W, W @ X[stack.rows], np.einsum("bij,bj->bi", W, residual[stack.rows])
