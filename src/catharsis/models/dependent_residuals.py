"""Residuals, leverages and weights of dependent effects, block by block; Cook's distances of effects and clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import moments, weigh
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.multilevel import MultilevelFit

TYPES = ("response", "pearson", "standardized")


@dataclass(frozen=True, slots=True)
class Leverage:
    """What the weights W = M^-1 make of each effect, (k,) each.

    Attributes
    ----------
    residual : (k,) array
        Y - X b.
    variance : (k,) array
        Of the residual: diagonal of (I - H) M (I - H)' = M - X (X'WX)^-1 X'.
    marginal : (k,) array
        Diagonal of M.
    hat : (k,) array
        Diagonal of H = X (X'WX)^-1 X'W; it sums to p.
    diagonal : (k,) array
        Diagonal of W, in percent of its sum.
    row : (k,) array
        Row sums of W, in percent of their sum: each effect's share in the average of a model without moderators.
    """

    residual: FloatArray
    variance: FloatArray
    marginal: FloatArray
    hat: FloatArray
    diagonal: FloatArray
    row: FloatArray


def leverage(blocks: Blocks, theta: FloatArray) -> Leverage:
    """Residuals, leverages and weights at parameters `theta` (s,).

    References
    ----------
    [@viechtbauer2010b]
    """
    at = moments(blocks, theta)
    X = blocks.X @ at.inverse_root
    found = weigh(blocks, theta, np.column_stack([X, np.ones(blocks.k)]))
    row = found.product[:, -1]
    return Leverage(
        blocks.y - blocks.X @ at.beta(), found.variance - np.sum(X**2, axis=1), found.variance,
        np.sum(X * found.product[:, :-1], axis=1), 100 * found.diagonal / found.diagonal.sum(), 100 * row / row.sum(),
    )  # fmt: skip


def dependent_residuals(fit: MultilevelFit, type: str) -> pd.DataFrame:
    """Residuals of a model with dependent effects; see `MultilevelFit.residuals`."""
    import pandas as pd

    if type not in TYPES:
        raise ModelError(
            f'residuals of type "{type}" are not offered for dependent effects: {did_you_mean(type, list(TYPES))}'
        )
    found = leverage(fit.blocks, fit.theta)
    index = list(fit.labels)
    if type == "response":
        return pd.DataFrame({"fitted": fit.blocks.y - found.residual, "residual": found.residual}, index=index)
    rounding = 256 * float(np.finfo(float).eps) * found.marginal  # a leverage of 1 leaves no residual at all
    variance = found.marginal if type == "pearson" else np.where(found.variance > rounding, found.variance, np.nan)
    se = np.sqrt(variance)
    return pd.DataFrame({"residual": found.residual, "se": se, "z": found.residual / se}, index=index)


def cooks_distances(fit: MultilevelFit, by: str | Sequence[object] | None = None) -> pd.Series:
    """Squared distance that the coefficients move when an effect or a cluster is left out.

    (b - b_(j))' cov(b)^-1 (b - b_(j)), everything estimated anew; see `MultilevelFit.cooks_distance`.

    References
    ----------
    [@viechtbauer2010b]
    """
    import pandas as pd

    frame = fit.leave_one_out(by)
    p = fit.blocks.p
    moved = fit.beta - frame["estimate"].to_numpy().reshape(-1, p)
    weighted = np.linalg.solve(fit.cov, moved.T).T
    index = frame.index[::p].get_level_values(0) if p > 1 else frame.index
    return pd.Series(np.sum(moved * weighted, axis=1), index=index, name="cooks_distance")
