"""The Gaussian log-likelihood with the coefficients profiled out; REML, ML and the exact posterior share it.

With M = V + sum_s theta_s K_s and M = L L' everything follows from log|M| and the triangle R of the QR
factorisation of L^-1 [X y]. Normal equations would square the condition number and lose digits when a
moderator is far from its origin (a raw year); R does not, and it needs no centring to be undone. Nested random
intercepts are whitened in closed form (`nested`), everything else block by block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.nested import INDEFINITE, Nested, Whitener, whitener
from catharsis.likelihood.structures import term_covariance
from catharsis.numerics import FloatArray, symmetric

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class Moments:
    """The sufficient quantities at one theta.

    Attributes
    ----------
    log_det : float
        log|M|.
    triangle : (p + 1, p + 1) array
        Upper triangle R with R'R = [X y]' M^-1 [X y].
    half : Whitener or None
        M^-1/2 of nested random intercepts, and with it
    whitened : (p + 1, k) array or None
        M^-1/2 [X y], in their order.
    """

    log_det: float
    triangle: FloatArray
    half: Whitener | None = field(default=None, repr=False)
    whitened: FloatArray | None = field(default=None, repr=False)

    @property
    def root(self) -> FloatArray:
        """(p, p) upper triangle of X'WX, W = M^-1."""
        return self.triangle[:-1, :-1]

    @property
    def inverse_root(self) -> FloatArray:
        """(p, p) inverse of `root`; X times it has orthonormal columns under W."""
        return np.asarray(solve_triangular(self.root, np.eye(len(self.root))))

    @property
    def XtWX(self) -> FloatArray:
        """(p, p) information about the coefficients."""
        return np.asarray(self.root.T @ self.root)

    @property
    def XtWy(self) -> FloatArray:
        """(p,) X'Wy."""
        return np.asarray(self.root.T @ self.triangle[:-1, -1])

    @property
    def ytWy(self) -> float:
        """Y'Wy."""
        return float(self.triangle[:, -1] @ self.triangle[:, -1])

    @property
    def log_information(self) -> float:
        """log|X'WX|."""
        return 2 * float(np.log(np.abs(np.diag(self.root))).sum())

    def beta(self) -> FloatArray:
        """Generalised least squares coefficients, (p,)."""
        return np.asarray(solve_triangular(self.root, self.triangle[:-1, -1]))

    def cov(self) -> FloatArray:
        """Their covariance (X'WX)^-1, (p, p)."""
        return self.inverse_root @ self.inverse_root.T

    def rss(self) -> float:
        """Weighted residual sum of squares y'Py."""
        return float(self.triangle[-1, -1] ** 2)


def covariance(stack: Stack, theta: FloatArray) -> FloatArray:
    """M of each block in a stack, (b, n, n)."""
    M = stack.V + np.einsum("s,sbij->bij", theta[: len(stack.K)], stack.K)
    for pattern in stack.patterns:
        M = M + term_covariance(pattern, pattern.part(theta))
    return np.asarray(M, dtype=np.float64)


def moments(blocks: Blocks, theta: FloatArray) -> Moments:
    """Evaluate the model at variance components `theta` (s,): O(k) for nested random intercepts, else O(sum n_j^3).

    Raises
    ------
    ModelError
        When V + sum theta K is not positive definite.
    """
    joint = np.column_stack([blocks.X, blocks.y])
    if isinstance(blocks.ties, Nested):
        half = whitener(blocks.ties, theta)
        white = half.whiten(blocks.ties.sorted(joint))
        return Moments(half.log_det, triangle(white.T), half, white)
    log_det = 0.0
    whitened = []
    for stack in blocks.ties:
        root = _factor(covariance(stack, theta))
        log_det += 2 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum())
        whitened.append(np.linalg.solve(root, joint[stack.rows]).reshape(-1, joint.shape[1]))
    return Moments(log_det, triangle(np.concatenate(whitened)))


def triangle(tall: FloatArray) -> FloatArray:
    """R of the QR factorisation of a (k, q) array, (q, q) also when k < q."""
    R = np.linalg.qr(tall, mode="r")
    return np.concatenate([R, np.zeros((tall.shape[1] - len(R), tall.shape[1]))])


def _factor(M: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(M))
    except np.linalg.LinAlgError:
        raise ModelError(INDEFINITE) from None


def inverse(M: FloatArray) -> FloatArray:
    """W of each block in a stack, (b, n, n).

    Raises
    ------
    ModelError
        When a block is singular.
    """
    try:
        return np.asarray(np.linalg.inv(M), dtype=np.float64)
    except np.linalg.LinAlgError:  # a matrix on the edge passes Cholesky and fails here
        raise ModelError(INDEFINITE) from None


def log_likelihood(blocks: Blocks, found: Moments, reml: bool) -> float:
    """The (restricted) log-likelihood with b at its maximum, constants included.

    REML carries + log|X'X| / 2, so that it does not depend on how the moderators are scaled
    [@viechtbauer2010a].
    """
    k, p = blocks.k, blocks.p
    value = -0.5 * (found.log_det + found.rss())
    if not reml:
        return value - 0.5 * k * LOG_2PI
    information = found.log_information - 2 * float(np.log(np.abs(np.diag(triangle(blocks.X)))).sum())
    return float(value - 0.5 * information - 0.5 * (k - p) * LOG_2PI)


@dataclass(frozen=True, slots=True)
class Slope:
    """Score and expected information of the variance components, (s,) and (s, s)."""

    score: FloatArray
    information: FloatArray


def slope(
    blocks: Blocks, theta: FloatArray, found: Moments, reml: bool, along: Sequence[FloatArray] | None = None
) -> Slope:
    """First derivative and expected second derivative of the log-likelihood in theta.

    `along` holds, for each stack, the derivatives (s, b, n, n) of M along other coordinates than the variances.
    REML: score_s = (y'P K_s P y - tr(P K_s)) / 2, information_st = tr(P K_s P K_t) / 2; ML has W for P
    in the traces [@gilmour1995].
    """
    if isinstance(blocks.ties, Nested):
        return _nested_slope(blocks.ties, found, reml)
    along = [stack.K for stack in blocks.ties] if along is None else along
    s, p = len(along[0]), blocks.p
    if s == 0:
        return Slope(np.zeros(0), np.zeros((0, 0)))
    residual = blocks.y - blocks.X @ found.beta()
    X = blocks.X @ found.inverse_root  # now X'WX = I, whatever the units of the moderators
    quadratic, trace, second = np.zeros(s), np.zeros(s), np.zeros((s, s))
    between, squares = np.zeros((s, p, p)), np.zeros((s, s))
    for stack, K in zip(blocks.ties, along, strict=True):
        W = inverse(covariance(stack, theta))
        WX = W @ X[stack.rows]
        Wr = np.einsum("bij,bj->bi", W, residual[stack.rows])
        KW = K @ W
        quadratic += np.einsum("sbi,bi->s", (K @ Wr[:, :, None])[..., 0], Wr)
        trace += np.einsum("sbii->s", KW)
        second += KW.reshape(s, -1) @ np.swapaxes(KW, 2, 3).reshape(s, -1).T
        KWX = K @ WX
        between += np.einsum("bip,sbiq->spq", WX, KWX)
        squares += KWX.reshape(s, -1) @ (W @ KWX).reshape(s, -1).T
    if reml:
        trace -= np.einsum("spp->s", between)
        second += np.einsum("spq,tqp->st", between, between) - 2 * squares
    return Slope((quadratic - trace) / 2, symmetric(second) / 2)


def _nested_slope(nested: Nested, found: Moments, reml: bool) -> Slope:
    """The same in closed form."""
    s, half = len(nested.factors), found.half
    assert half is not None
    assert found.whitened is not None
    trace, second = half.traces()
    chosen = np.eye(len(found.triangle))
    chosen[:-1, :-1], chosen[-1, :-1] = found.inverse_root.T, -found.beta()
    weighed = half.unwhiten(chosen @ found.whitened)  # W [X r], X'WX = I
    sums = [half.sums(factor, weighed) for factor in range(s)]  # Z'W [X r]
    quadratic = np.array([np.sum(part[-1] ** 2) for part in sums])
    if reml:
        between = [part[:-1] @ part[:-1].T for part in sums]
        through = [half.whiten(half.spread(factor, part[:-1])) for factor, part in enumerate(sums)]
        trace -= np.array([np.trace(part) for part in between])
        for a in range(s):
            for b in range(s):
                second[a, b] += np.sum(between[a] * between[b].T) - 2 * np.vdot(through[a], through[b])
    return Slope((quadratic - trace) / 2, symmetric(second) / 2)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What W = M^-1 makes of the columns of Z.

    Attributes
    ----------
    product : (k, q) array
        W Z.
    diagonal : (k,) array
        Diagonal of W.
    variance : (k,) array
        Diagonal of M.
    """

    product: FloatArray
    diagonal: FloatArray
    variance: FloatArray


def weigh(blocks: Blocks, theta: FloatArray, Z: FloatArray) -> Weighed:
    """W Z for columns Z (k, q), with the diagonals of W and M.

    Raises
    ------
    ModelError
        When V + sum theta K is not positive definite.
    """
    if isinstance(blocks.ties, Nested):
        half, diagonal = whitener(blocks.ties, theta), np.empty(blocks.k)
        diagonal[blocks.ties.order] = half.own()
        return Weighed(half.weigh(Z), diagonal, blocks.variances + theta.sum())
    product, diagonal, variance = np.empty_like(Z), np.empty(blocks.k), np.empty(blocks.k)
    for stack in blocks.ties:
        M = covariance(stack, theta)
        _factor(M)
        W = inverse(M)
        product[stack.rows] = W @ Z[stack.rows]
        diagonal[stack.rows] = np.diagonal(W, axis1=1, axis2=2)
        variance[stack.rows] = np.diagonal(M, axis1=1, axis2=2)
    return Weighed(product, diagonal, variance)


def typical_variance(blocks: Blocks) -> float:
    """The "typical" sampling variance (k - p) / tr(P) of V alone, against which I^2 sets the others.

    nan when k = p, or when V is singular.

    References
    ----------
    [@higgins2002]
    """
    if blocks.k <= blocks.p:
        return float("nan")
    nothing = np.zeros(len(blocks.factors))
    try:
        found = weigh(blocks, nothing, blocks.X @ moments(blocks, nothing).inverse_root)
    except ModelError:
        return float("nan")
    return float((blocks.k - blocks.p) / (found.diagonal.sum() - np.sum(found.product**2)))
