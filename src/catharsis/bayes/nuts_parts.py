"""The random part of a model as a sampler sees it: standard deviations, correlations, and who shares what.

Every term, a random intercept as much as an `inner | outer` structure or random slopes, is one statement: effect i of
outer level o gains A_i' S L z_o, with z_o standard normal (q,), S the standard deviations, L L' = R the correlations,
and A_i the row of a design: 1 for an intercept, an indicator of the inner level, or the covariates of slopes. Formulas
for R and L are written element by element, so that they serve numbers and symbols alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.nested import Nested
from catharsis.likelihood.structures import SLOPES, UNCORRELATED, UNSTRUCTURED, Structure, pairs
from catharsis.numerics import FloatArray, IntArray

SAMPLED_KINDS = ("ID", "DIAG", "CS", "HCS", "UN", "AR", "HAR", "GEN", "GDIAG")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a part looks like, whatever the data.

    Attributes
    ----------
    name : str
        "intercept", or a kind of `structures.KINDS`.
    q : int
        Inner levels or slopes; 1 for an intercept.
    sds, correlations : int
        Number of parameters.
    low : float
        Smallest value of a single correlation.
    """

    name: str
    q: int
    sds: int = 1
    correlations: int = 0
    low: float = -1.0


INTERCEPT = Kind("intercept", 1)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One random term and how the effects enter it.

    Attributes
    ----------
    kind : Kind
        What it looks like.
    names : tuple of str
        Names of its parameters, standard deviations before correlations.
    outer : (k,) array
        Level of each effect, 0..m-1 by first appearance.
    design : (k, q) array
        A.
    """

    kind: Kind
    names: tuple[str, ...]
    outer: IntArray
    design: FloatArray

    @property
    def levels(self) -> int:
        """Number of levels m."""
        return int(self.outer.max()) + 1

    @property
    def diagonal(self) -> bool:
        """Whether it ties no two effects together."""
        if self.kind.name in UNCORRELATED - SLOPES:
            cell = self.outer * self.kind.q + self.design.argmax(axis=1)
            return len(np.unique(cell)) == len(cell)
        return self.levels == len(self.outer) and self.kind.name != "GEN"

    @property
    def squares(self) -> FloatArray:
        """(k, sds): what each squared standard deviation adds to the variance of an effect, when `diagonal`."""
        squares = self.design**2
        return squares if self.kind.sds == self.kind.q else squares.sum(axis=1, keepdims=True)


def parts_of(blocks: Blocks) -> tuple[Part, ...]:
    """The random terms of a model, in the order of its parameters.

    Raises
    ------
    ModelError
        For a structure that goes by distance, or levels with a known correlation, which no sampler here knows.

    Examples
    --------
    >>> from catharsis.likelihood.blocks import make_blocks
    >>> study = np.array([4, 4, 2])
    >>> blocks = make_blocks(np.zeros(3), np.ones((3, 1)), np.ones(3), [("study", study), ("effect", np.arange(3))])
    >>> [(part.names, part.outer.tolist(), part.diagonal) for part in parts_of(blocks)]
    [(('study',), [0, 0, 1], False), (('effect',), [0, 1, 2], True)]
    """
    one = np.ones((blocks.k, 1))
    if isinstance(blocks.ties, Nested):
        codes = [_in_order(code) for code in blocks.ties.factors]
        return tuple(Part(INTERCEPT, (name,), code, one) for name, code in zip(blocks.factors, codes, strict=True))
    stacks = blocks.stacks
    found = []
    for s in range(blocks.intercepts):
        if any(not np.isin(stack.K[s], (0.0, 1.0)).all() for stack in stacks):
            raise ModelError(
                f"the NUTS engine does not take a known correlation between the levels of {blocks.factors[s]}"
            )
        code = _codes([stack.K[s] for stack in stacks], stacks, blocks.k)
        found.append(Part(INTERCEPT, (blocks.factors[s],), code, one))
    for t, structure in enumerate(blocks.structures):
        patterns = [stack.patterns[t] for stack in stacks]
        design = np.empty((blocks.k, len(structure.levels)))
        for stack, pattern in zip(stacks, patterns, strict=True):
            rows = np.eye(design.shape[1])[pattern.inner] if pattern.slopes is None else pattern.slopes
            design[stack.rows] = rows
        outer = _codes([pattern.together for pattern in patterns], stacks, blocks.k)
        first = patterns[0].first
        names = blocks.factors[first : first + structure.parameters]
        found.append(Part(_kind(structure), names, outer, design))
    return tuple(found)


def _kind(structure: Structure) -> Kind:
    if structure.kind not in SAMPLED_KINDS:
        raise ModelError(
            f"the NUTS engine does not sample the structure {structure.kind} of {structure.name}; use one of "
            f"{', '.join(SAMPLED_KINDS)}, or catharsis.fit, which knows it"
        )
    low = structure.bounds()[0] if structure.kind in ("CS", "HCS") else -1.0
    count = 0 if len(structure.levels) < 2 else structure.correlations
    return Kind(structure.kind, len(structure.levels), structure.variances, count, low)


def _in_order(code: IntArray) -> IntArray:
    """Codes renumbered by first appearance."""
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[np.ravel(inverse)], dtype=np.int64)


def _codes(together: Sequence[FloatArray], stacks: Sequence[Stack], k: int) -> IntArray:
    """(k,) level of each effect, from matrices (b, n, n) with a one where two effects share a level."""
    first = np.empty(k, dtype=np.int64)
    for shared, stack in zip(together, stacks, strict=True):
        first[stack.rows] = np.take_along_axis(stack.rows, (shared > 0).argmax(axis=2), axis=1)
    return _in_order(first)


# -- correlations, element by element ----------------------------------------------------------------


def vine(c: Sequence[Any], q: int) -> list[list[Any]]:
    """L with L L' a correlation matrix, from partial correlations in the order of `pairs`.

    Row i, column j of L is the correlation of i and j with the variables before j held fixed, times what those have
    left: every point of the cube (-1, 1)^n is a correlation matrix.

    References
    ----------
    [@lewandowski2009]

    Examples
    --------
    >>> vine([0.6], 2)
    [[1.0, 0.0], [0.6, 0.8]]
    """
    partial = dict(zip(pairs(q), c, strict=True))
    L: list[list[Any]] = [[1.0, *[0.0] * (q - 1)]]
    for i in range(1, q):
        left: Any = 1.0
        row = []
        for j in range(i):
            row.append(partial[i, j] * left)
            left = left * (1 - partial[i, j] ** 2) ** 0.5
        L.append([*row, left, *[0.0] * (q - 1 - i)])
    return L


def product(L: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """L L'."""
    q = len(L)
    return [[sum(L[i][m] * L[j][m] for m in range(min(i, j) + 1)) for j in range(q)] for i in range(q)]


def patterned(kind: Kind, rho: Any) -> list[list[Any]]:
    """R of a kind with a single correlation."""
    decays = kind.name in ("AR", "HAR")
    return [[1.0 if i == j else rho ** abs(i - j) if decays else rho for j in range(kind.q)] for i in range(kind.q)]


def cholesky(R: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The lower triangular factor of R.

    Examples
    --------
    >>> cholesky([[1.0, 0.6], [0.6, 1.0]])
    [[1.0, 0.0], [0.6, 0.8]]
    """
    q = len(R)
    L: list[list[Any]] = [[0.0] * q for _ in range(q)]
    for j in range(q):
        for i in range(j, q):
            rest = R[i][j] - sum(L[i][m] * L[j][m] for m in range(j))
            L[i][j] = rest**0.5 if i == j else rest / L[j][j]
    return L


def correlation_factor(kind: Kind, unit: Sequence[Any]) -> list[list[Any]]:
    """L of a part from its coordinates in (0, 1): partial correlations, or where a single correlation lies."""
    if kind.correlations == 0:
        return [[float(i == j) for j in range(kind.q)] for i in range(kind.q)]
    if kind.name in UNSTRUCTURED:
        return vine([2 * u - 1 for u in unit], kind.q)
    return cholesky(patterned(kind, kind.low + (1 - kind.low) * unit[0]))


def shapes(kind: Kind) -> list[float]:
    """Shape a of the beta(a, a) law of each coordinate in (0, 1) that makes the prior flat.

    Flat over all correlation matrices (LKJ with shape 1) for an unstructured one, over its interval for a single one.

    References
    ----------
    [@lewandowski2009]
    """
    if kind.correlations and kind.name in UNSTRUCTURED:
        return [1 + (kind.q - 2 - j) / 2 for _, j in pairs(kind.q)]
    return [1.0] * kind.correlations
