"""True effects given the data: mixtures of Gaussians over the nodes of the spreads, made when they are asked for.

With e the sampling errors, theta = y - e and, given spreads and b, e has mean V W (y - X b) and covariance V - V W V.
Nested levels need no matrices: from the coarsest group around an effect down to the finest, a group is expected at the
mean of the group around it, moved by c q / (1 + c q) towards its own (`sums_of_squares`), and the effect is drawn
towards its group by the share v / D of sampling variance. Anything else is solved in the effect's block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Marginal
from catharsis.bayes.study_effects import StudyEffects
from catharsis.bayes.sums_of_squares import Tree, tree
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.structures import term_covariance
from catharsis.numerics import FloatArray, IntArray

CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)


class TrueEffects(StudyEffects):
    """Labels to the posteriors of the true effects.

    Parameters
    ----------
    labels : sequence of str
        (k,) all different.
    blocks : Blocks
        The model.
    nodes : Nodes
        The joint posterior.
    summarise : callable
        Weights (g,), means (n, g) and variances (n, g) of n mixtures to n marginals.
    """

    def __init__(
        self,
        labels: Sequence[str],
        blocks: Blocks,
        nodes: Nodes,
        summarise: Callable[[FloatArray, FloatArray, FloatArray], list[Marginal]],
    ) -> None:
        super().__init__(labels)
        self._blocks, self._nodes, self._summarise = blocks, nodes, summarise

    def _marginal(self, i: int) -> Marginal:
        mean, variance = self._law(i)
        return self._summarise(self._nodes.weight, mean[None], variance[None])[0]

    @cached_property
    def _tree(self) -> Tree | None:
        found = tree(self._blocks)
        return None if found is None or found.root is not None else found

    @cached_property
    def _position(self) -> IntArray:
        """Where each effect stands in the order of the tree."""
        assert self._tree is not None
        found = np.empty(self._blocks.k, dtype=np.int64)
        found[self._tree.order] = np.arange(self._blocks.k)
        return found

    @cached_property
    def _stacks(self) -> tuple[Stack, ...]:
        return self._blocks.stacks

    @cached_property
    def _home(self) -> dict[int, tuple[int, int, int]]:
        """Stack, block and place in the block of each effect."""
        return {
            int(i): (number, b, at)
            for number, stack in enumerate(self._stacks)
            for b, rows in enumerate(stack.rows)
            for at, i in enumerate(rows)
        }

    def _law(self, i: int) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (g,) of an effect at each node."""
        fixed, lever, variance = self._in_tree(i) if self._tree is not None else self._in_block(i)
        nodes = self._nodes
        mean = fixed + np.einsum("gp,gp->g", lever, nodes.mean)
        return mean, np.maximum(variance, 0.0) + np.einsum("gp,gpq,gq->g", lever, nodes.cov, lever)

    def _in_tree(self, i: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The effect as fixed + lever b, and its variance around that, at each node."""
        assert self._tree is not None
        blocks, found, theta = self._blocks, self._tree, self._nodes.theta
        path = _path(found, int(self._position[i]))
        first, last = path[-1][2] if path else (int(self._position[i]),) * 2
        last = last if path else last + 1
        rows = found.order[first:last]
        columns = np.column_stack([blocks.X, blocks.y])[rows].T
        size = max(1, CHUNK // (len(rows) * (len(columns) + 3)))
        parts = [
            _shrunken(found, path, columns, slice(first, last), int(self._position[i]) - first, theta[j : j + size])
            for j in range(0, len(theta), size)
        ]
        own, pull, variance = (np.concatenate([part[n] for part in parts]) for n in range(3))
        # own (g, p + 1): the columns of the group's mean; pull (g,): share of sampling variance in the effect's own
        lever = pull[:, None] * (blocks.X[i] - own[:, :-1])
        return (1 - pull) * blocks.y[i] + pull * own[:, -1], lever, variance

    def _in_block(self, i: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        number, b, at = self._home[i]
        stack, blocks, theta = self._stacks[number], self._blocks, self._nodes.theta
        K = [part[b] for part in stack.K]
        for pattern in stack.patterns:
            K += [term_covariance(pattern, unit)[b] for unit in np.eye(pattern.structure.parameters)]
        V, rows, parts = stack.V[b], stack.rows[b], np.array(K)
        size = max(1, CHUNK // V.size)
        gains, variances = [], []
        for j in range(0, len(theta), size):
            M = V + np.einsum("gs,sij->gij", theta[j : j + size], parts)
            gain = np.linalg.solve(M, np.broadcast_to(V[:, at, None], (*M.shape[:2], 1)))[:, :, 0]  # W V e_i
            gains.append(gain)
            variances.append(V[at, at] - gain @ V[:, at])
        gain = np.concatenate(gains)
        return blocks.y[i] - gain @ blocks.y[rows], gain @ blocks.X[rows], np.concatenate(variances)


Step = tuple[int, int, tuple[int, int]]  # tier, group, and its first effect and the one after its last


def _path(found: Tree, position: int) -> list[Step]:
    """The groups around an effect, the finest first."""
    path: list[Step] = []
    starts = np.arange(len(found.order))
    for number, tier in enumerate(found.tiers):
        edges = starts[tier.starts]
        group = int(np.searchsorted(edges, position, side="right") - 1)
        end = int(edges[group + 1]) if group + 1 < len(edges) else len(found.order)
        path.append((number, group, (int(edges[group]), end)))
        starts = edges
    return path


def _shrunken(
    found: Tree, path: Sequence[Step], columns: FloatArray, at: slice, place: int, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Expected columns of the finest group around an effect (g, q), v / D (g,), and the variance (g,)."""
    noise = found.noise[at]
    own = sum((theta[:, part[at]] for part in found.single), np.zeros((len(theta), 1)))
    weight, mean = 1 / (noise + own), np.broadcast_to(columns, (len(theta), *columns.shape))
    pull = noise[place] * weight[:, place]
    spread = pull * np.broadcast_to(own, weight.shape)[:, place]
    along = []
    starts = np.arange(at.start, at.stop)
    for number, group, _ in path:
        tier = found.tiers[number]
        assert tier.component is not None
        edges = _edges_within(found, number, at)
        inside = np.searchsorted(starts, edges)
        first = int(np.searchsorted(_edges(found, number), at.start))
        q = np.add.reduceat(weight, inside, axis=-1)
        mean = np.add.reduceat(weight[:, None] * mean, inside, axis=-1) / q[:, None]
        c = theta[:, tier.component[first : first + len(edges)]]
        along.append((q[:, group - first], c[:, group - first], mean[:, :, group - first]))
        weight, starts = q / (1 + c * q), edges
    around, variance = np.zeros((len(theta), len(columns))), np.zeros(len(theta))
    for q, c, z in reversed(along):
        left = 1 / (1 + c * q)
        around = around + (c * q * left)[:, None] * (z - around)
        variance = c * left + left**2 * variance
    return around, pull, spread + pull**2 * variance


def _edges(found: Tree, number: int) -> IntArray:
    """First effects of the groups of a tier."""
    starts = np.arange(len(found.order))
    for tier in found.tiers[: number + 1]:
        starts = starts[tier.starts]
    return starts


def _edges_within(found: Tree, number: int, at: slice) -> IntArray:
    starts = _edges(found, number)
    return np.asarray(starts[(starts >= at.start) & (starts < at.stop)])
