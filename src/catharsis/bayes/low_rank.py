"""[X y]'M^-1[X y] and log|M| of crossed random effects and random slopes, by the rank of what they add.

With V = L L' and K_s = Z_s Z_s', A = L^-1 [Z_1 Z_2 ...] and S the standard deviations of its columns,

    M^-1 = L^-T (I - A S (I + S A'A S)^-1 S A') L^-1,     log|M| = log|V| + log|I + S A'A S|,

so that a value of the variances costs the cube of the number of levels in a block instead of that of its effects. The
difference loses as many digits as the variances exceed those of V, times the effects at a level; where more than half
are lost, log|M| is nan, and the caller takes another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from catharsis.bayes.sums_of_squares import orthonormal
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.structures import term_covariance
from catharsis.numerics import FloatArray, IntArray

CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)
RANK = 1e-12  # share of the largest eigenvalue below which one is rounding
WORTH = 0.6  # levels per effect up to which this is the faster way
LOST = 1e-8  # share of a sum of squares that is left of it when half of the digits have gone


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """The blocks of one size.

    Attributes
    ----------
    component : (m,) array
        Which variance each column of A has.
    AtA, AtC, CtC : (b, m, m), (b, m, q), (b, q, q) arrays
        Products of A and of the white columns C.
    log_det : float
        log|V|, all blocks together.
    """

    component: IntArray
    AtA: FloatArray
    AtC: FloatArray
    CtC: FloatArray
    log_det: float


def parts_of(stack: Stack) -> FloatArray:
    """(s, b, n, n): what each variance multiplies."""
    found = [*stack.K]
    for pattern in stack.patterns:
        found += [term_covariance(pattern, unit) for unit in np.eye(pattern.structure.parameters)]
    return np.array(found)


@dataclass(frozen=True, eq=False)
class LowRank:
    """A model of dense blocks, its columns made orthonormal.

    Attributes
    ----------
    blocks : Blocks
        The model.
    """

    blocks: Blocks

    @cached_property
    def turned(self) -> tuple[FloatArray, FloatArray]:
        """T (p, p) and b0 (p,): the columns are X T^-1, and y - X b0."""
        return orthonormal(self.blocks)

    @cached_property
    def factors(self) -> list[Factor]:
        """What does not depend on the variances."""
        T, b0 = self.turned
        columns = np.column_stack([np.linalg.solve(T.T, self.blocks.X.T).T, self.blocks.y - self.blocks.X @ b0])
        found = []
        for stack in self.blocks.stacks:
            half = np.linalg.cholesky(stack.V)
            C = np.linalg.solve(half, columns[stack.rows])
            roots, component = [], []
            for s, part in enumerate(parts_of(stack)):
                values, vectors = np.linalg.eigh(part)
                values[values <= RANK * np.maximum(values[:, -1:], 1e-300)] = 0.0
                rank = int((values > 0).sum(axis=1).max(initial=0))
                at = values.shape[1] - rank
                roots.append(vectors[:, :, at:] * np.sqrt(values[:, None, at:]))
                component += [s] * rank
            A = np.linalg.solve(half, np.concatenate(roots, axis=2))
            At = np.swapaxes(A, 1, 2)
            log_det = 2 * float(np.log(np.diagonal(half, axis1=1, axis2=2)).sum())
            found.append(Factor(np.array(component), At @ A, At @ C, np.swapaxes(C, 1, 2) @ C, log_det))
        return found

    @property
    def worthwhile(self) -> bool:
        """Whether blocks hold so many effects for their levels that this is the faster way."""
        cost = [
            (len(stack.rows) * len(factor.component) ** 3, len(stack.rows) * stack.rows.shape[1] ** 3)
            for stack, factor in zip(self.blocks.stacks, self.factors, strict=True)
        ]
        return bool(sum(ours for ours, _ in cost) <= WORTH**3 * sum(dense for _, dense in cost))

    def __call__(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(g, p + 1, p + 1) products of the columns under M^-1 and (g,) log|M| at variances (g, s)."""
        q = self.blocks.p + 1
        products, log_det = np.zeros((len(theta), q, q)), np.zeros(len(theta))
        for factor in self.factors:
            b, m = factor.AtA.shape[:2]
            size = max(1, CHUNK // (b * m * max(m, q)))
            for i in range(0, len(theta), size):
                s = np.sqrt(theta[i : i + size, factor.component])
                inner = np.eye(m) + s[:, None, :, None] * factor.AtA * s[:, None, None, :]
                half = np.linalg.cholesky(inner)
                R = np.linalg.solve(half, s[:, None, :, None] * factor.AtC)
                products[i : i + size] += (factor.CtC - np.swapaxes(R, 2, 3) @ R).sum(axis=1)
                log_det[i : i + size] += factor.log_det + 2 * np.log(np.diagonal(half, axis1=2, axis2=3)).sum((1, 2))
        before = np.sum([np.einsum("bqq->q", factor.CtC) for factor in self.factors], axis=0)
        lost = np.einsum("gqq->gq", products) < LOST * before
        log_det[lost.any(axis=1)] = np.nan
        return products, log_det
