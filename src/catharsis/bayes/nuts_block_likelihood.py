"""The Gaussian log-likelihood of dependent effects, block by block, as one PyTensor operation with its own gradient.

PyTensor has no batched Cholesky factor in its numba backend: it falls back to Python objects, which is slow and unsafe
in the sampler's threads. The loops below are what a library would run for blocks of a few effects, raise nothing (a
covariance that is not positive definite gives nan, which the sampler takes as a divergence), and return the gradient
with the value. Imported only when a sampler compiles a model, because PyTensor takes seconds to load.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from pytensor.tensor import as_tensor, dmatrix, dtensor3, dvector

from catharsis.numerics import FloatArray, IntArray


def evaluate(M: FloatArray, r: FloatArray, size: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log density of normal vectors without its constant, and its gradient.

    Parameters
    ----------
    M : (b, n, n) array
        Covariances; a block uses its first `size` rows and columns.
    r : (b, n) array
        Residuals.
    size : (b,) array
        Effects in each block.

    Returns
    -------
    value : (b,) array
        -log|M|/2 - r'M^-1 r/2.
    pull : (b, n) array
        M^-1 r, minus the gradient in r.
    slope : (b, n, n) array
        Gradient in M: (M^-1 r r'M^-1 - M^-1) / 2.
    """
    blocks, n = r.shape
    value, pull, slope = np.zeros(blocks), np.zeros((blocks, n)), np.zeros((blocks, n, n))
    L, W, white = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    for b in range(blocks):
        q = size[b]
        for j in range(q):
            rest = M[b, j, j]
            for m in range(j):
                rest -= L[j, m] ** 2
            L[j, j] = math.sqrt(rest) if rest > 0 else np.nan
            value[b] -= np.log(L[j, j])
            for i in range(j + 1, q):
                rest = M[b, i, j]
                for m in range(j):
                    rest -= L[i, m] * L[j, m]
                L[i, j] = rest / L[j, j]
        for j in range(q):  # W is the inverse of L
            W[j, j] = 1 / L[j, j]
            for i in range(j + 1, q):
                rest = 0.0
                for m in range(j, i):
                    rest -= L[i, m] * W[m, j]
                W[i, j] = rest / L[i, i]
        for i in range(q):
            white[i] = 0.0
            for j in range(i + 1):
                white[i] += W[i, j] * r[b, j]
            value[b] -= 0.5 * white[i] ** 2
        for j in range(q):
            for i in range(j, q):
                pull[b, j] += W[i, j] * white[i]
        for i in range(q):
            for j in range(i + 1):
                inverse = 0.0
                for m in range(i, q):
                    inverse += W[m, i] * W[m, j]
                slope[b, i, j] = slope[b, j, i] = 0.5 * (pull[b, i] * pull[b, j] - inverse)
    return value, pull, slope


class BlockLikelihood(Op):
    """`evaluate` as an operation; the gradient of its first output is made of the other two."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply[Any]:
        """Of symbols M, r and size."""
        return Apply(self, [as_tensor(value) for value in inputs], [dvector(), dmatrix(), dtensor3()])

    def perform(self, node: Apply[Any], inputs: Any, output_storage: Any) -> None:
        """Of numbers."""
        with np.errstate(invalid="ignore"):
            for cell, found in zip(output_storage, evaluate(*inputs), strict=True):
                cell[0] = found

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """The sizes of blocks are not differentiated."""
        return [[True] * 3, [True] * 3, [False] * 3]

    def infer_shape(self, fgraph: Any, node: Apply[Any], shapes: Any) -> list[Any]:
        """As the inputs."""
        return [shapes[1][:1], shapes[1], shapes[0]]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Any]:
        """Of the values alone: nothing here differentiates twice."""
        up = output_grads[0]
        return [up[:, None, None] * outputs[2], -up[:, None] * outputs[1], DisconnectedType()()]


@register_funcify_default_op_cache_key(BlockLikelihood)  # type: ignore[no-untyped-call, untyped-decorator]
def _compiled(op: BlockLikelihood, node: Apply[Any], **_: Any) -> Any:
    return numba_basic.numba_njit(evaluate)


def block_log_likelihood(M: Any, r: Any, size: Any) -> Any:
    """(b,) log densities of symbols."""
    found: Any = BlockLikelihood()(M, r, size)
    return found[0]
