"""y ~ N(X b, V + sum_s theta_s K_s), held and evaluated block by block.

A block is a set of effects that V or a random intercept ties together; K_s has a one where two effects
share level of factor s. Blocks of one size are stacked, so that the cost is linear in the number of
effects for bounded block sizes, and no k x k matrix exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Stack:
    """All blocks of one size n.

    Attributes
    ----------
    rows : (b, n) array
        Positions of the effects.
    V : (b, n, n) array
        Sampling covariances.
    K : (s, b, n, n) array
        Shared levels of each random factor.
    """

    rows: IntArray
    V: FloatArray
    K: FloatArray


@dataclass(frozen=True, slots=True)
class Blocks:
    """A Gaussian model in blocks.

    Attributes
    ----------
    y : (k,) array
        Effects.
    X : (k, p) array
        Moderators.
    stacks : tuple of Stack
        Blocks by size.
    factors : tuple of str
        (s,) names of the random factors.
    """

    y: FloatArray
    X: FloatArray
    stacks: tuple[Stack, ...]
    factors: tuple[str, ...]

    @property
    def k(self) -> int:
        """Number of effects."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.X.shape[1])


def sampling_covariance(
    vi: Sequence[float] | FloatArray, cluster: Sequence[object], rho: float
) -> list[tuple[IntArray, FloatArray]]:
    """Sampling covariance of dependent effects under one constant correlation.

    Parameters
    ----------
    vi : (k,) array
        Sampling variances.
    cluster : (k,) sequence
        Which people each effect comes from.
    rho : float
        Correlation of sampling errors within a cluster, -1 < rho < 1.

    Returns
    -------
    list of (rows, block)
        Positions (n_j,) and covariance (n_j, n_j) of each cluster: rho * sqrt(v_a v_b) off the diagonal.

    Raises
    ------
    ModelError
        When rho lies outside (-1, 1) or makes a block indefinite.

    References
    ----------
    [@pustejovsky2022]

    Examples
    --------
    >>> rows, block = sampling_covariance([0.04, 0.09], ["a", "a"], 0.5)[0]
    >>> block.tolist()
    [[0.04, 0.03], [0.03, 0.09]]
    """
    if not -1 < rho < 1:
        raise ModelError(f"rho is {rho}; a correlation within studies lies between -1 and 1")
    vi = np.asarray(vi, dtype=float)
    sei = np.sqrt(vi)
    groups: dict[object, list[int]] = {}
    for i, label in enumerate(cluster):
        groups.setdefault(label, []).append(i)
    found = []
    for members in groups.values():
        rows = np.array(members, dtype=np.int64)
        block = rho * np.outer(sei[rows], sei[rows])
        np.fill_diagonal(block, vi[rows])
        if rho < -1 / max(len(rows) - 1, 1):
            raise ModelError(f"rho = {rho} cannot hold between {len(rows)} effects of one cluster")
        found.append((rows, block))
    return found


def split_covariance(V: FloatArray) -> list[tuple[IntArray, FloatArray]]:
    """Blocks of a dense sampling covariance: effects with a nonzero covariance, directly or in a chain.

    Parameters
    ----------
    V : (k, k) array
        Sampling covariance, squared analysis units.

    Returns
    -------
    list of (rows, block)

    Examples
    --------
    >>> V = np.array([[1.0, 0.0, 0.2], [0.0, 2.0, 0.0], [0.2, 0.0, 3.0]])
    >>> [(rows.tolist(), block.tolist()) for rows, block in split_covariance(V)]
    [([0, 2], [[1.0, 0.2], [0.2, 3.0]]), ([1], [[2.0]])]
    """
    V = np.asarray(V, dtype=float)
    tied = [np.array(pair, dtype=np.int64) for pair in zip(*np.nonzero(np.triu(V, 1)), strict=True)]
    return [(rows, V[np.ix_(rows, rows)]) for rows in _connected(len(V), (), tied)]


def make_blocks(
    y: FloatArray,
    X: FloatArray,
    vi: FloatArray,
    factors: Sequence[tuple[str, IntArray]],
    covariance: Sequence[tuple[IntArray, FloatArray]] | None = None,
) -> Blocks:
    """Split a model into the blocks that V and the random factors tie together.

    Parameters
    ----------
    y : (k,) array
        Effects.
    X : (k, p) array
        Moderators.
    vi : (k,) array
        Sampling variances; overridden by `covariance`.
    factors : sequence of (name, codes)
        Random intercepts: codes (k,) say which effects share a level.
    covariance : list of (rows, block), optional
        Sampling covariance as `sampling_covariance` returns it.

    Returns
    -------
    Blocks
    """
    members = _connected(len(y), [code for _, code in factors], [rows for rows, _ in covariance or ()])
    position = np.empty(len(y), dtype=np.int64)
    for group in members:
        position[group] = np.arange(len(group))
    home = np.empty(len(y), dtype=np.int64)
    for j, group in enumerate(members):
        home[group] = j
    V = [np.diag(vi[group]) for group in members]
    for rows, block in covariance or ():
        V[home[rows[0]]][np.ix_(position[rows], position[rows])] = block
    stacks = []
    for size in sorted({len(group) for group in members}):
        chosen = [j for j, group in enumerate(members) if len(group) == size]
        rows = np.array([members[j] for j in chosen], dtype=np.int64)
        shared = [(code[rows][:, :, None] == code[rows][:, None, :]).astype(float) for _, code in factors]
        K = np.array(shared).reshape(len(factors), len(chosen), size, size)
        stacks.append(Stack(rows, np.array([V[j] for j in chosen]), K))
    return Blocks(
        np.asarray(y, dtype=float), np.asarray(X, dtype=float), tuple(stacks), tuple(name for name, _ in factors)
    )


def _connected(k: int, factors: Sequence[IntArray], tied: Sequence[IntArray]) -> list[IntArray]:
    """The sets of effects connected through a shared level or a covariance, by first member."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left: list[IntArray] = []
    right: list[IntArray] = []
    for code in factors:
        first = np.full(int(code.max()) + 1, -1, dtype=np.int64)
        reverse = np.arange(k)[::-1]
        first[code[reverse]] = reverse
        left.append(np.arange(k))
        right.append(first[code])
    for rows in tied:
        left.append(rows)
        right.append(np.full(len(rows), rows[0]))
    i, j = (np.concatenate(side) if side else np.empty(0, dtype=np.int64) for side in (left, right))
    count, label = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(k, k)), directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    assert len(parts) == count
    return sorted(parts, key=lambda part: int(part[0]))
