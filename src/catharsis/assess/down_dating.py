"""What a posterior would be without some effects, by taking them out of the Gaussians that it is a mixture of.

Given the variances theta, effects y_i that leave are, given the rest of the data and the coefficients b, normal:
e ~ N(X b, S) for their part e, X that the others do not determine (the effects themselves where nothing ties them to
others). With m and C the mean and covariance of b given all data, H = X C X' and A = S - H,

    log p(y_i | rest, theta) = -(2 log|S| - log|A| + r' A^-1 r + n log 2 pi) / 2,     r = e - X m,
    mean and covariance of b without them:  m - C X' A^-1 r,   C + C X' A^-1 X C,
    prediction of e from the others:        N(e - S A^-1 r, S A^-1 S).

The posterior of theta without them is the one with them over p(y_i | rest, theta). Draws are the case C = 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from catharsis.bayes.fitted import Nodes
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.marginal import covariance
from catharsis.numerics import FloatArray, IntArray, symmetric

LOG_2PI = math.log(2 * math.pi)
CHUNK = 2_000_000  # numbers in one batch of node by effect arrays (16 MB)
LOST = 1e-6  # share of S that is left in A when taking out loses half of the digits


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The effects of c groups of n, freed from the rest: e ~ N(X b, S) at each node.

    Attributes
    ----------
    e : (c, g, n) array
    X : (c, g, n, p) array
    S : (c, g, n, n) array
    """

    e: FloatArray
    X: FloatArray
    S: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """c groups of n effects taken out, one at a time.

    Attributes
    ----------
    parts : Parts
    log_density : (c, g) array
        log p(y_i | rest, theta).
    mean, cov : (c, g, p), (c, g, p, p) arrays
        b without them.
    error : (c, g, n) array
        e minus its prediction from the others.
    spread : (c, g, n, n) array
        Covariance of that prediction.
    left : (c,) array
        Smallest share of S left in A: near 0 the group alone determined a coefficient.
    """

    parts: Parts
    log_density: FloatArray
    mean: FloatArray
    cov: FloatArray
    error: FloatArray
    spread: FloatArray
    left: FloatArray


def groups_of(group: IntArray) -> list[IntArray]:
    """The rows of each group 0..m-1."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def batches(blocks: Blocks, nodes: Nodes, members: Sequence[IntArray]) -> Iterator[tuple[IntArray, Parts]]:
    """Groups of one size together, as many as memory allows, with their parts.

    Parameters
    ----------
    blocks : Blocks
        The model.
    nodes : Nodes
        Its posterior.
    members : sequence of (n,) arrays
        Rows of each group.

    Yields
    ------
    numbers of the groups, and their parts
    """
    g, p = nodes.mean.shape
    sizes = np.array([len(rows) for rows in members])
    free = _alone(blocks)
    for n in np.unique(sizes):
        chosen = np.flatnonzero(sizes == n)
        per_group = g * int(n) * (p + int(n) + 2) if n > 1 or not free else g * (p + 3) * max(1, p)
        size = max(1, CHUNK // per_group)
        for start in range(0, len(chosen), size):
            numbers = chosen[start : start + size]
            rows = np.array([members[i] for i in numbers])
            yield numbers, _independent(blocks, nodes, rows) if free else _freed(blocks, nodes, rows)


def _alone(blocks: Blocks) -> bool:
    """Whether each effect is a block of its own, with variance v + the sum of theta."""
    return blocks.independent and not blocks.structures


def _independent(blocks: Blocks, nodes: Nodes, rows: IntArray) -> Parts:
    c, n = rows.shape
    g, p = nodes.mean.shape
    own = blocks.variances[rows][:, None, :] + nodes.theta.sum(axis=1)[None, :, None]
    S = np.zeros((c, g, n, n))
    S[..., np.arange(n), np.arange(n)] = own
    return Parts(
        np.broadcast_to(blocks.y[rows][:, None], (c, g, n)), np.broadcast_to(blocks.X[rows][:, None], (c, g, n, p)), S
    )


def _freed(blocks: Blocks, nodes: Nodes, rows: IntArray) -> Parts:
    """The same where blocks tie effects together: S is the inverse of their part of the inverse covariance."""
    c, n = rows.shape
    g, p = nodes.mean.shape
    e, X, S = np.zeros((c, g, n)), np.zeros((c, g, n, p)), np.zeros((c, g, n, n))
    where = np.full(blocks.k, -1)
    joint = np.column_stack([blocks.X, blocks.y])
    for stack in blocks.stacks:
        K = linear_parts(stack, nodes.theta.shape[1])
        for j, group in enumerate(rows):
            where[group] = np.arange(n)
            inside = where[stack.rows]
            for b in np.flatnonzero((inside >= 0).any(axis=1)):
                at = np.flatnonzero(inside[b] >= 0)
                place = inside[b][at]
                size = max(1, CHUNK // stack.rows.shape[1] ** 2)
                for start in range(0, g, size):
                    step = slice(start, start + size)
                    W = np.linalg.inv(covariances(stack, K, int(b), nodes.theta[step]))
                    own = symmetric(np.linalg.inv(W[:, at[:, None], at]))
                    told = own @ (W[:, at] @ joint[stack.rows[b]])
                    S[j, step, place[:, None], place] = own.transpose(1, 2, 0)
                    X[j, step, place] = told[..., :-1].transpose(1, 0, 2)
                    e[j, step, place] = told[..., -1].T
            where[group] = -1
    return Parts(e, X, S)


def linear_parts(stack: Stack, s: int) -> FloatArray | None:
    """What each of s variances is multiplied with in M, (s, b, n, n); None when some parameters are no variances."""
    if not stack.patterns:
        return stack.K
    if any(pattern.structure.correlations for pattern in stack.patterns):
        return None
    bare = replace(stack, V=np.zeros_like(stack.V))
    return np.array([covariance(bare, one) for one in np.eye(s)])


def covariances(stack: Stack, K: FloatArray | None, b: int, theta: FloatArray) -> FloatArray:
    """M of one block at each node, (g, n, n); K from `linear_parts`."""
    if K is None:
        return np.array([covariance(stack, values)[b] for values in theta])
    return np.asarray(stack.V[b] + np.einsum("gs,sij->gij", theta, K[:, b]))


def take_out(parts: Parts, nodes: Nodes) -> Taken:
    """The formulas at the head of this file, for every group and node."""
    e, X, S = parts.e, parts.X, parts.S
    n = e.shape[-1]
    r = e - np.einsum("cgnp,gp->cgn", X, nodes.mean)
    XC = np.einsum("cgnp,gpq->cgnq", X, nodes.cov)
    A = S - XC @ np.swapaxes(X, -1, -2)
    if n == 1:
        s, a = S[..., 0, 0], A[..., 0, 0]
        share = a / s
        a = np.where(share > 0, a, np.nan)
        scaled = r / a[..., None]
        log_density = -0.5 * (2 * np.log(s) - np.log(a) + (r[..., 0] * scaled[..., 0]) + LOG_2PI)
        spread = (s**2 / a)[..., None, None]
        gain = XC / a[..., None, None]
    else:
        half = np.linalg.cholesky(S)
        whitened = np.linalg.solve(half, np.swapaxes(np.linalg.solve(half, A), -1, -2))
        values = np.linalg.eigvalsh(symmetric(whitened))
        share = values[..., 0]
        broken = ~(share > 0)
        A = np.where(broken[..., None, None], S, A)
        scaled = np.linalg.solve(A, r[..., None])[..., 0]
        gain = np.linalg.solve(A, XC)
        spread = symmetric(S @ np.linalg.solve(A, S))
        log_S = 2 * np.log(np.diagonal(half, axis1=-2, axis2=-1)).sum(axis=-1)
        log_ratio = np.log(np.where(broken[..., None], np.nan, values)).sum(axis=-1)
        log_density = -0.5 * (log_S - log_ratio + np.einsum("cgn,cgn->cg", r, scaled) + n * LOG_2PI)
    mean = nodes.mean - np.einsum("cgnp,cgn->cgp", XC, scaled)
    cov = nodes.cov + np.swapaxes(XC, -1, -2) @ gain
    error = np.einsum("cgij,cgj->cgi", S, scaled)
    left = share.min(axis=1)
    return Taken(parts, np.asarray(log_density), mean, np.asarray(cov), error, spread, left)


def log_normal(error: FloatArray, spread: FloatArray) -> FloatArray:
    """Log density of N(0, spread) at errors, (...): (..., n) and (..., n, n)."""
    n = error.shape[-1]
    if n == 1:
        s = spread[..., 0, 0]
        return np.asarray(-0.5 * (np.log(s) + error[..., 0] ** 2 / s + LOG_2PI))
    half = np.linalg.cholesky(spread)
    z = np.linalg.solve(half, error[..., None])[..., 0]
    return np.asarray(
        -0.5 * (z**2).sum(axis=-1) - np.log(np.diagonal(half, axis1=-2, axis2=-1)).sum(axis=-1) - 0.5 * n * LOG_2PI
    )


def log_mean(weight: FloatArray, log_value: FloatArray) -> FloatArray:
    """Log of the weighted mean of exp(log_value) over the last axis."""
    top = log_value.max(axis=-1, keepdims=True)
    total = np.exp(log_value - top) @ weight if weight.ndim == 1 else (np.exp(log_value - top) * weight).sum(axis=-1)
    return np.asarray(np.log(total) + top[..., 0])


def refuse_without_nodes(nodes: Nodes | None, what: str) -> Nodes:
    """The nodes, or words."""
    if nodes is None:
        raise ModelError(f"{what} needs a model whose study effects are normal; this posterior was fitted to another")
    return nodes
