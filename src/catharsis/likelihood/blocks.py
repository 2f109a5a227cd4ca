"""y ~ N(X b, V + sum_s theta_s K_s + sum_t Z_t G_t(theta) Z_t'), held and evaluated block by block.

A block is a set of effects that V or a random effect ties together; K_s has a one where two effects
share level of factor s, G_t is the covariance of an `inner | outer` term (see `structures`). Blocks of one
size are stacked, so that the cost is linear in the number of effects for bounded block sizes, and no k x k
matrix exists. Nested random intercepts need no blocks: their likelihood has a closed form, whatever the size of a
study (see `nested`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.arguments import finite_number, group_labels, vector
from catharsis.likelihood.nested import Nested, Shared, nest, together
from catharsis.likelihood.structures import Pattern, Structure
from catharsis.numerics import FloatArray, IntArray

EQUAL = 16 * float(np.finfo(float).eps)  # difference of two correlations that is rounding


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
    patterns : tuple of Pattern
        Where each `inner | outer` term acts.
    """

    rows: IntArray
    V: FloatArray
    K: FloatArray
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocks:
    """A Gaussian model in blocks.

    Attributes
    ----------
    y : (k,) array
        Effects.
    X : (k, p) array
        Moderators.
    ties : Nested or tuple of Stack
        Their covariance: nested random intercepts in closed form, anything else in dense blocks by size.
    factors : tuple of str
        (s,) names of the parameters theta: the random factors (a variance each), then the parameters of
        the structures.
    structures : tuple of Structure
        The `inner | outer` terms.
    """

    y: FloatArray
    X: FloatArray
    ties: Nested | tuple[Stack, ...]
    factors: tuple[str, ...]
    structures: tuple[Structure, ...] = ()

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """Dense blocks by size; of nested random intercepts made at each call, at a cost of sum n_j^2."""
        if not isinstance(self.ties, Nested):
            return self.ties
        found = []
        for rows in self.ties.blocks():
            K = [together(code[rows]) for code in self.ties.factors]
            n = rows.shape[1]
            found.append(Stack(rows, self.ties.V(rows), np.array(K).reshape(len(K), len(rows), n, n)))
        return tuple(found)

    @property
    def rows(self) -> list[IntArray]:
        """Effects that are tied together, (b, n) for every size n."""
        if isinstance(self.ties, Nested):
            return self.ties.blocks()
        return [stack.rows for stack in self.ties]

    @property
    def independent(self) -> bool:
        """Whether nothing ties two effects together."""
        return all(rows.shape[1] == 1 for rows in self.rows)

    @property
    def variances(self) -> FloatArray:
        """(k,) diagonal of V."""
        if isinstance(self.ties, Nested):
            return self.ties.variances
        found = np.empty(self.k)
        for stack in self.ties:
            found[stack.rows] = np.diagonal(stack.V, axis1=1, axis2=2)
        return found

    @property
    def k(self) -> int:
        """Number of effects."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.X.shape[1])

    @property
    def intercepts(self) -> int:
        """Number of random factors, whose variances are the first elements of theta."""
        return len(self.factors) - sum(structure.parameters for structure in self.structures)


@dataclass(frozen=True, slots=True)
class Term:
    """An `inner | outer` term and the effects' levels in it.

    Attributes
    ----------
    structure : Structure
        Kind and parameters.
    outer, inner : (k,) arrays
        Codes of the levels.
    place : (k, c) array or None
        Times or coordinates, for kinds that go by distance.
    slopes : (k, q) array or None
        Covariates of random slopes.
    """

    structure: Structure
    outer: IntArray
    inner: IntArray
    place: FloatArray | None = None
    slopes: FloatArray | None = None

    def pattern(self, rows: IntArray, first: int) -> Pattern:
        """The term within blocks of effects `rows` (b, n); `first` is its place in theta."""
        outer, inner = self.outer[rows], self.inner[rows]
        distance = None
        if self.place is not None:
            place = self.place[rows]
            distance = np.sqrt(np.sum((place[:, :, None] - place[:, None, :]) ** 2, axis=3))
        slopes = None if self.slopes is None else self.slopes[rows]
        return Pattern(self.structure, first, together(outer), inner, distance, slopes)


@dataclass(frozen=True, slots=True, eq=False)
class ConstantCorrelation(Sequence[tuple[IntArray, FloatArray]]):
    """Sampling covariance under one correlation within clusters: a sequence of (rows, block), made when asked for.

    Attributes
    ----------
    vi : (k,) array
        Sampling variances.
    cluster : (k,) array
        Codes.
    rho : float
        Correlation within a cluster.
    order : (k,) array
        Effects, cluster by cluster.
    edges : (m + 1,) array
        Where each cluster begins in `order`, and its end.
    """

    vi: FloatArray
    cluster: IntArray
    rho: float
    order: IntArray
    edges: IntArray

    def __len__(self) -> int:
        return len(self.edges) - 1

    @overload
    def __getitem__(self, at: int) -> tuple[IntArray, FloatArray]: ...
    @overload
    def __getitem__(self, at: slice) -> list[tuple[IntArray, FloatArray]]: ...
    def __getitem__(self, at: int | slice) -> tuple[IntArray, FloatArray] | list[tuple[IntArray, FloatArray]]:
        if isinstance(at, slice):
            return [self[j] for j in range(*at.indices(len(self)))]
        j = range(len(self))[at]
        rows = self.order[self.edges[j] : self.edges[j + 1]]
        root = np.sqrt(self.vi[rows])
        block = self.rho * np.outer(root, root)
        np.fill_diagonal(block, self.vi[rows])
        return rows, block

    def noise(self) -> FloatArray:
        """(k,) part of the variances that each effect has alone."""
        return np.where(self._alone(), self.vi, (1 - self.rho) * self.vi)

    def shared(self) -> Shared:
        """The rest."""
        root = np.where(self._alone(), 0.0, np.sqrt(abs(self.rho) * self.vi))
        return Shared(self.cluster, root, np.full(len(self.vi), 1.0 if self.rho >= 0 else -1.0))

    def _alone(self) -> FloatArray:
        return np.asarray(np.diff(self.edges)[self.cluster] == 1)


def sampling_covariance(
    vi: Sequence[float] | FloatArray, cluster: Sequence[object], rho: float
) -> Sequence[tuple[IntArray, FloatArray]]:
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
    sequence of (rows, block)
        Positions (n_j,) and covariance (n_j, n_j) of each cluster: rho * sqrt(v_a v_b) off the diagonal. Blocks are
        made when they are asked for: `fit` needs none of them for nested random intercepts.

    Raises
    ------
    ModelError
        When rho lies outside (-1, 1) or makes a block indefinite, a variance is not positive, or a label is missing.

    References
    ----------
    [@pustejovsky2022]

    Examples
    --------
    >>> rows, block = sampling_covariance([0.04, 0.09], ["a", "a"], 0.5)[0]
    >>> block.tolist()
    [[0.04, 0.03], [0.03, 0.09]]
    """
    if not -1 < finite_number(rho, "rho") < 1:
        raise ModelError(f"rho is {rho}; a correlation within studies lies between -1 and 1")
    vi = vector(vi, "vi")
    if len(vi) == 0:
        raise ModelError("there are no effects to combine")
    bad = ~(np.isfinite(vi) & (vi > 0))
    if bad.any():
        where = ", ".join(str(i + 1) for i in np.flatnonzero(bad)[:5])
        raise ModelError(f"the variance of {where} is {vi[bad][0]}; it must be positive and finite")
    seen: dict[object, int] = {}
    labels = group_labels(cluster, len(vi))
    code = np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)
    size = np.bincount(code, minlength=len(seen))
    beyond = size[rho < -1 / np.maximum(size - 1, 1)]
    if len(beyond):
        raise ModelError(f"rho = {rho} cannot hold between {beyond[0]} effects of one cluster")
    edges = np.concatenate([[0], np.cumsum(size)])
    return ConstantCorrelation(vi, code, rho, np.argsort(code, kind="stable"), edges)


def sampling_variances(covariance: Sequence[tuple[IntArray, FloatArray]], vi: FloatArray) -> FloatArray:
    """The diagonal of a sampling covariance, (k,); `vi` (k,) where it has no block."""
    if isinstance(covariance, ConstantCorrelation):
        return covariance.vi.copy()
    found = vi.copy()
    for rows, block in covariance:
        found[rows] = np.diag(block)
    return found


def split_covariance(V: Any) -> list[tuple[IntArray, FloatArray]]:
    """Blocks of a sampling covariance: effects with a nonzero covariance, directly or in a chain.

    Parameters
    ----------
    V : (k, k) array or scipy.sparse matrix
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
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    entries = coo_array(V if hasattr(V, "tocoo") else np.asarray(V, dtype=float))
    entries.sum_duplicates()
    k = entries.shape[0]
    i, j, value = entries.row, entries.col, entries.data.astype(float)
    pattern = coo_array((np.ones(len(i)), (i, j)), shape=(k, k))
    count, label = connected_components(pattern, directed=False)
    order = np.argsort(label, kind="stable")
    size = np.bincount(label, minlength=count)
    start = np.concatenate([[0], np.cumsum(size)])
    position = np.empty(k, dtype=np.int64)
    position[order] = np.arange(k) - np.repeat(start[:-1], size)
    first = np.concatenate([[0], np.cumsum(size**2)])
    flat = np.zeros(int(first[-1]))
    flat[first[label[i]] + position[i] * size[label[i]] + position[j]] = value
    found = [
        (order[start[b] : start[b + 1]].astype(np.int64), flat[first[b] : first[b + 1]].reshape(size[b], size[b]))
        for b in range(count)
    ]
    return sorted(found, key=lambda part: int(part[0][0]))


def make_blocks(
    y: FloatArray,
    X: FloatArray,
    vi: FloatArray,
    factors: Sequence[tuple[str, IntArray]],
    covariance: Sequence[tuple[IntArray, FloatArray]] | None = None,
    terms: Sequence[Term] = (),
    related: Mapping[str, FloatArray] | None = None,
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
    covariance : sequence of (rows, block), optional
        Sampling covariance as `sampling_covariance` returns it.
    terms : sequence of Term
        Random effects of `inner | outer` form.
    related : dict
        Factor name to the known correlation (m, m) of its levels, in the order of its codes.

    Returns
    -------
    Blocks
    """
    y, X = np.asarray(y, dtype=float), np.asarray(X, dtype=float)
    related = related or {}
    names = [name for name, _ in factors] + [name for term in terms for name in term.structure.names]
    ties: Nested | tuple[Stack, ...] | None = None
    if not terms and not related:
        ties = _nested(np.asarray(vi, dtype=float), [code for _, code in factors], covariance)
    if ties is None:
        ties = _stacks(len(y), vi, factors, covariance or (), terms, related)
    return Blocks(y, X, ties, tuple(names), tuple(term.structure for term in terms))


def _nested(
    vi: FloatArray, codes: Sequence[IntArray], covariance: Sequence[tuple[IntArray, FloatArray]] | None
) -> Nested | None:
    """The closed form; None when the groupings are not nested, or V has more than one correlation in a block."""
    if covariance is None:
        return nest(vi, vi, codes)
    if isinstance(covariance, ConstantCorrelation):
        if len(covariance) == len(vi):
            return nest(covariance.vi, covariance.vi, codes)
        return nest(covariance.vi, covariance.noise(), codes, covariance.shared())
    variances, noise = vi.copy(), vi.copy()
    cluster, root, sign = np.arange(len(vi)), np.zeros(len(vi)), np.ones(len(vi))
    for rows, block in covariance:
        variances[rows] = noise[rows] = v = np.diagonal(block)
        if len(rows) < 2:
            continue
        rho = _one_correlation(block)
        if rho is None:
            return None
        cluster[rows], noise[rows], root[rows] = rows.min(), (1 - rho) * v, np.sqrt(abs(rho) * v)
        sign[rows] = 1.0 if rho >= 0 else -1.0
    tied = bool(np.any(cluster != np.arange(len(vi))))
    return nest(variances, noise, codes, Shared(cluster, root, sign) if tied else None)


def _one_correlation(block: FloatArray) -> float | None:
    """The correlation between all effects of a block (n, n), if there is one."""
    variances = np.diagonal(block)
    if not np.all(variances > 0):
        return None
    root = np.sqrt(variances)
    rho = float(block[1, 0] / (root[1] * root[0]))
    expected = rho * root[:, None] * root
    np.fill_diagonal(expected, variances)
    size = root[:, None] * root
    return rho if abs(rho) < 1 and np.all(np.abs(block - expected) <= EQUAL * size) else None


def _stacks(
    k: int,
    vi: FloatArray,
    factors: Sequence[tuple[str, IntArray]],
    covariance: Sequence[tuple[IntArray, FloatArray]],
    terms: Sequence[Term],
    related: Mapping[str, FloatArray],
) -> tuple[Stack, ...]:
    """Dense blocks by size."""
    tying = [_families(code, related[name]) if name in related else code for name, code in factors]
    tying += [term.outer for term in terms]
    members = _connected(k, tying, [rows for rows, _ in covariance])
    position = np.empty(k, dtype=np.int64)
    for group in members:
        position[group] = np.arange(len(group))
    home = np.empty(k, dtype=np.int64)
    for j, group in enumerate(members):
        home[group] = j
    V = [np.diag(vi[group]) for group in members]
    for rows, block in covariance:
        V[home[rows[0]]][np.ix_(position[rows], position[rows])] = block
    stacks = []
    for size in sorted({len(group) for group in members}):
        chosen = [j for j, group in enumerate(members) if len(group) == size]
        rows = np.array([members[j] for j in chosen], dtype=np.int64)
        shared = [_shared(code[rows], related.get(name)) for name, code in factors]
        K = np.array(shared).reshape(len(factors), len(chosen), size, size)
        patterns, first = [], len(factors)
        for term in terms:
            patterns.append(term.pattern(rows, first))
            first += term.structure.parameters
        stacks.append(Stack(rows, np.array([V[j] for j in chosen]), K, tuple(patterns)))
    return tuple(stacks)


def _shared(code: IntArray, related: FloatArray | None) -> FloatArray:
    """(b, n, n): one where two effects share a level, or the known correlation of their levels."""
    if related is None:
        return together(code)
    return np.asarray(related[code[:, :, None], code[:, None, :]])


def _families(code: IntArray, related: FloatArray) -> IntArray:
    """Codes under which correlated levels are one."""
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(related != 0, directed=False)[1][code], dtype=np.int64)


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
