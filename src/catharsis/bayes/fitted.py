"""What a posterior rests on: the model that was fitted, and the Gaussians that the posterior is a mixture of.

Criticism asks a fit what it would have been without a study. It needs the model as blocks, a way to fit it again, and
the joint posterior of the coefficients and the variances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.nested import Nested
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    from catharsis.bayes.posterior import Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """The joint posterior of coefficients and variances: a mixture of Gaussians in b, one for each value of theta.

    Attributes
    ----------
    weight : (g,) array
        Probabilities; 1 / g for draws.
    theta : (g, s) array
        Variances, in the order of `Blocks.factors`.
    mean : (g, p) array
        Mean of b given theta; the draws of b themselves.
    cov : (g, p, p) array
        Its covariance; 0 for draws.
    """

    weight: FloatArray
    theta: FloatArray
    mean: FloatArray
    cov: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The model behind a posterior.

    Attributes
    ----------
    blocks : Blocks
        Effects, moderators, and their covariance.
    labels : (k,) tuple of str
        Names of the effects.
    groups : mapping
        Random factor to the codes (k,) of its levels.
    levels : mapping
        Random factor to the names of its levels, in the order of the codes.
    fit : callable
        `fit(blocks, labels)`: the same model, priors and engine with other effects; `fit(blocks, labels, "exact")`
        by another engine.
    """

    blocks: Blocks
    labels: tuple[str, ...]
    groups: Mapping[str, IntArray]
    levels: Mapping[str, tuple[str, ...]]
    fit: Callable[..., Posterior] = field(repr=False)


def observed(blocks: Blocks) -> tuple[FloatArray, ...]:
    """What a model was fitted to, whatever ties its effects: y, variances, and correlated errors in order of the rows.

    Returns
    -------
    tuple of arrays
        y (k,), the diagonal of V (k,), and where V has other entries their rows, columns (above the diagonal) and
        values.
    """
    if isinstance(blocks.ties, Nested) and blocks.ties.shared is None:
        return blocks.y, blocks.variances, np.empty(0), np.empty(0), np.empty(0)
    rows, columns, values = [], [], []
    for stack in blocks.stacks:
        b, i, j = np.nonzero(stack.V)
        first, second = stack.rows[b, i], stack.rows[b, j]
        above = first < second
        rows.append(first[above])
        columns.append(second[above])
        values.append(stack.V[b, i, j][above])
    row, column, value = (np.concatenate(part) for part in (rows, columns, values))
    order = np.lexsort([column, row])
    return blocks.y, blocks.variances, *(np.asarray(part[order], dtype=float) for part in (row, column, value))
