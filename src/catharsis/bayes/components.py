"""The Gaussian model at many values of several standard deviations at once.

For each value of theta (variances) the effects are whitened: nested random intercepts by the closed form of
`likelihood.nested`, one rank-one step per group, for all theta together; anything else block by block with Cholesky
factors. What is left is least squares with normal priors, whose spread may itself be one of the unknowns (a t prior is
a normal one with an unknown scale).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from catharsis.bayes.conditional import Conditional, regress
from catharsis.bayes.low_rank import LowRank
from catharsis.bayes.sums_of_squares import SumsOfSquares, tree
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.nested import Nested
from catharsis.likelihood.structures import UNCORRELATED, term_covariance
from catharsis.numerics import FloatArray

LOG_2PI = math.log(2 * math.pi)
CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)
DIGITS = 1e-4  # share of a column that the others leave, below which normal equations lose 8 of 16 digits
CANCELLED = 1e-6  # share of a sum of squares that is left of it, below which 6 digits have gone


def regress_products(
    sums: SumsOfSquares | LowRank,
    products: FloatArray,
    log_det: FloatArray,
    prior_mean: FloatArray,
    precision: FloatArray,
) -> tuple[Conditional, FloatArray]:
    """Posterior of b from products of orthonormal columns.

    Parameters
    ----------
    sums : SumsOfSquares
        How the columns were made.
    products : (g, p + 1, p + 1) array
        The columns' products under M^-1.
    log_det : (g,) array
        log|M|.
    prior_mean : (p,) array
        Prior means.
    precision : (g, p) array
        Prior precisions; 0 for a flat prior.

    Returns
    -------
    Conditional
    (g,) array
        Where too few digits are left.
    """
    T, b0 = sums.turned
    k, p, g = sums.blocks.k, len(T), len(products)
    back = np.linalg.inv(T)
    pull = precision * (prior_mean - b0)
    information = products[:, :p, :p] + np.einsum("ji,gj,jl->gil", back, precision, back)
    right = products[:, :p, p] + pull @ back
    length = np.sqrt(np.diagonal(information, axis1=1, axis2=2))
    poor = np.zeros(g, dtype=bool)
    try:
        half = np.linalg.cholesky(information / (length[:, :, None] * length[:, None, :]))
        poor = np.diagonal(half, axis1=1, axis2=2).min(axis=1, initial=1.0) < DIGITS
    except np.linalg.LinAlgError:
        half, poor = np.broadcast_to(np.eye(p), (g, p, p)), np.ones(g, dtype=bool)
    inverse = np.linalg.inv(half) / length[:, None, :]
    solved = np.einsum("gij,gj->gi", inverse, right)
    whole = products[:, p, p] + pull @ (prior_mean - b0)
    rest = whole - (solved**2).sum(axis=1)
    poor = poor | (rest < CANCELLED * whole)
    out = inverse @ back.T  # (g, p, p): its square is the covariance of b
    proper = precision[0] > 0 if g else np.zeros(p, dtype=bool)
    total = log_det - np.log(precision[:, proper]).sum(axis=1) + rest
    diagonal = np.log(np.diagonal(half, axis1=1, axis2=2)).sum(axis=1) + np.log(length).sum(axis=1)
    log_information = 2 * (diagonal + float(np.log(np.abs(np.diagonal(T))).sum()))
    found = Conditional(
        b0 + np.einsum("gij,gi->gj", out, solved),
        np.swapaxes(out, 1, 2) @ out,
        -0.5 * (total + log_information + (k - int((~proper).sum())) * LOG_2PI),
        -0.5 * (total + (k + int(proper.sum())) * LOG_2PI),
    )
    return found, poor


@dataclass(frozen=True, slots=True)
class Components:
    """A Gaussian model whose covariance is V plus variances times known matrices.

    Attributes
    ----------
    blocks : Blocks
        The model.
    factors : tuple of str
        (s,) names of the variances, those of `blocks.factors`.
    """

    blocks: Blocks
    sums: SumsOfSquares | LowRank | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Refuse correlated random effects."""
        odd = [structure for structure in self.blocks.structures if structure.kind not in UNCORRELATED]
        if odd:
            raise ModelError(
                f"the exact engine integrates standard deviations, not correlations: struct {odd[0].kind} has some; "
                'use struct="DIAG" or engine="nuts"'
            )
        levels = tree(self.blocks)
        if levels is not None:
            object.__setattr__(self, "sums", SumsOfSquares(self.blocks, levels))
        elif not isinstance(self.blocks.ties, Nested):
            low_rank = self._low_rank()
            object.__setattr__(self, "sums", low_rank if low_rank.worthwhile else None)

    def _low_rank(self) -> LowRank:
        found = LowRank(self.blocks)
        try:
            _ = found.factors
        except np.linalg.LinAlgError:
            raise ModelError("V is not positive definite: two effects repeat each other, or a variance is 0") from None
        return found

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the variances."""
        return self.blocks.factors

    def white(self, theta: FloatArray) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Batches of theta (g, s): their place, [X y] whitened (b, k, p + 1), and log|M| (b,)."""
        joint = np.column_stack([self.blocks.X, self.blocks.y])
        many = joint.size * (3 if isinstance(self.blocks.ties, Nested) else 1)
        size = max(1, CHUNK // max(many, self._dense()))
        for i in range(0, len(theta), size):
            at = slice(i, min(i + size, len(theta)))
            if isinstance(self.blocks.ties, Nested):
                yield at, *white_nested(self.blocks.ties, joint, theta[at])
            else:
                yield at, *self._white_dense(joint, theta[at])

    def _dense(self) -> int:
        """Numbers in the blocks of one theta."""
        if isinstance(self.blocks.ties, Nested):
            return 0
        return sum(stack.V.size for stack in self.blocks.ties)

    def _white_dense(self, joint: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows, log_det = [], np.zeros(len(theta))
        for stack in self.blocks.stacks:
            parts = [*stack.K]
            for pattern in stack.patterns:
                count = pattern.structure.parameters
                parts += [term_covariance(pattern, unit) for unit in np.eye(count)]
            M = stack.V + np.einsum("gs,sbij->gbij", theta, np.array(parts))
            try:
                half = np.linalg.cholesky(M)
            except np.linalg.LinAlgError:
                raise ModelError(
                    "V is not positive definite: two effects repeat each other, or a variance is 0"
                ) from None
            log_det += 2 * np.log(np.diagonal(half, axis1=2, axis2=3)).sum(axis=(1, 2))
            solved = np.linalg.solve(half, joint[stack.rows])
            rows.append(solved.reshape(len(theta), -1, joint.shape[1]))
        return np.concatenate(rows, axis=1), log_det


def white_nested(nested: Nested, joint: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[X y] (k, q) whitened for each theta (g, s), (g, k, q), and log|M| (g,).

    See `likelihood.nested` for the steps; here all theta take each of them together.
    """
    noise = nested.noise[nested.order] + theta[:, list(nested.single)].sum(axis=1)[:, None]
    columns = [nested.sorted(joint)]
    for level in nested.levels:
        u = np.ones(len(nested.order)) if level.factor >= 0 else nested.shared.root[nested.order]  # type: ignore[union-attr]
        columns.append(u[None])
    at = np.concatenate(columns) / np.sqrt(noise)[:, None]  # (g, q + levels, k)
    log_det = np.log(noise).sum(axis=1)
    q = joint.shape[1]
    for number, level in enumerate(nested.levels):
        w = at[:, q + number].copy()
        if level.factor >= 0:
            c = theta[:, level.factor][:, None]
        else:
            c = nested.shared.sign[nested.order][level.starts][None]  # type: ignore[union-attr]
        grown = 1 + c * level.sums(w**2)
        if not np.all(grown > 0):
            raise ModelError("V is not positive definite: check the correlation of the sampling errors")
        r = np.sqrt(grown)
        log_det += np.log(grown).sum(axis=1)
        at -= level.spread((c / (r * (1 + r)))[:, None] * level.sums(at * w[:, None])) * w[:, None]
    return np.swapaxes(at[:, :q], 1, 2), log_det


def conditional(model: Components, theta: FloatArray, prior_mean: FloatArray, precision: FloatArray) -> Conditional:
    """Posterior of b at each theta (g, s); `precision` (p,) or (g, p)."""
    precision = np.broadcast_to(precision, (len(theta), model.blocks.p))
    if model.sums is None:
        return _by_rows(model, theta, prior_mean, precision)
    products, log_det = model.sums(theta)
    lost = np.isnan(log_det)
    products[lost] = np.eye(products.shape[1])
    found, poor = regress_products(model.sums, products, log_det, prior_mean, precision)
    poor = poor | lost
    if poor.any():
        again = _by_rows(model, theta[poor], prior_mean, precision[poor])
        for part in fields(Conditional):
            getattr(found, part.name)[poor] = getattr(again, part.name)
    return found


def _by_rows(model: Components, theta: FloatArray, prior_mean: FloatArray, precision: FloatArray) -> Conditional:
    """The same from all white rows, by QR, which keeps the digits that normal equations square away."""
    parts = [regress(rows, log_det, prior_mean, precision[at]) for at, rows, log_det in model.white(theta)]
    return Conditional(*(np.concatenate([getattr(part, name) for part in parts]) for name in Conditional.__slots__))


def combined_rank(model: Components, chosen: Sequence[int]) -> int:
    """Rank of the summed covariance of some components: how many effects their spread alone can tell apart."""
    blocks = model.blocks
    total = 0
    for stack in blocks.stacks:
        parts = [*stack.K]
        for pattern in stack.patterns:
            parts += [term_covariance(pattern, unit) for unit in np.eye(pattern.structure.parameters)]
        summed = np.sum([parts[i] for i in chosen], axis=0)
        total += int(np.linalg.matrix_rank(summed).sum())
    return total
