"""What a posterior rests on: the model that was fitted, and the Gaussians that the posterior is a mixture of.

Criticism asks a fit what it would have been without a study. It needs the model as blocks, a way to fit it again, and
the joint posterior of the coefficients and the variances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from catharsis.likelihood.blocks import Blocks
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    from catharsis.bayes.posterior import Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """The joint posterior of coefficients and variances: a mixture of Gaussians in b, one for each value of theta.

    Attributes
    ----------
    weight : (g,) array
        Probabilities; 1 / g for draws.
    theta : (g, s) array
        Variances, in the order of `Blocks.factors`.
    mean : (g, p) array
        Mean of b given theta; the draws of b themselves.
    cov : (g, p, p) array
        Its covariance; 0 for draws.
    """

    weight: FloatArray
    theta: FloatArray
    mean: FloatArray
    cov: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The model behind a posterior.

    Attributes
    ----------
    blocks : Blocks
        Effects, moderators, and their covariance.
    labels : (k,) tuple of str
        Names of the effects.
    groups : mapping
        Random factor to the codes (k,) of its levels.
    levels : mapping
        Random factor to the names of its levels, in the order of the codes.
    fit : callable
        `fit(blocks, labels)`: the same model, priors and engine with other effects; `fit(blocks, labels, "exact")`
        by another engine.
    """

    blocks: Blocks
    labels: tuple[str, ...]
    groups: Mapping[str, IntArray]
    levels: Mapping[str, tuple[str, ...]]
    fit: Callable[..., Posterior] = field(repr=False)
