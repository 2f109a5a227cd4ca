"""How much a Bayesian fit pools: each effect's shrinkage, its weight in the coefficients, the pooling of each level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.deletion import model_of
from catharsis.assess.down_dating import linear_parts, refuse_without_nodes
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Posterior
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.marginal import covariance
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 2_000_000  # numbers in one batch of node by block arrays (16 MB)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooling:
    """What is pooled with what.

    Attributes
    ----------
    effects : DataFrame
        One row per effect. shrinkage: posterior mean of v / (v + tau^2), the share of the way from the effect to its
        prediction that its estimate is drawn (with dependent effects, the diagonal of V M^-1). weight[term]: share of
        the effect in the posterior mean of the coefficient, which is sum of weight times y, plus the prior's part.
    factors : DataFrame
        One row per random factor: pooling, the factor of Gelman and Pardoe, 1 - Var(E u) / E Var(u) over the levels'
        effects u: 0 is none, above 1/2 there is more pooling than not, 1 is complete; and levels, their number.
    prior : Series
        The weight of the prior on each coefficient in its own posterior mean; with one coefficient the rest to 1.
    notes : tuple of str
        What every reader must be told.
    """

    effects: pd.DataFrame = field(repr=False)
    factors: pd.DataFrame
    prior: pd.Series
    notes: tuple[str, ...] = ()


def pooling_factors(post: Posterior) -> Pooling:
    """Shrinkage, weights, and pooling factors, averaged over the posterior of the variances.

    Parameters
    ----------
    post : Posterior
        From `fit_bayes`, with normal study effects.

    Returns
    -------
    Pooling

    Raises
    ------
    ModelError
        When the model's study effects are not normal.

    References
    ----------
    Gelman and Pardoe (2006, Technometrics 48, 241-251) for the pooling factor; [@roever2020] for the weights.

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> found = pooling_factors(fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]))
    >>> found.effects.round(3).loc["3"].tolist(), round(float(found.prior["intercept"]), 3)
    ([0.334, 0.27], 0.071)
    >>> round(float(found.factors.loc["effect", "pooling"]), 3)
    0.278
    """
    import pandas as pd

    model = model_of(post, "pooling_factors")
    nodes = refuse_without_nodes(post.nodes, "pooling_factors")
    blocks, notes = model.blocks, []
    heavy = getattr(post.priors, "heavy", None)
    weighable = post.engine == "exact" or heavy is None or not heavy(post.terms)
    precision = post.priors.location(post.terms)[1]
    cov = nodes.cov if post.engine == "exact" else _covariances(blocks, nodes, precision)
    shrinkage, weight = np.empty(blocks.k), np.empty((blocks.k, blocks.p))
    own = np.zeros((blocks.p, blocks.p))
    named = _pooled(blocks)
    levels = [_Level(len(nodes.weight), blocks.p) for _ in named]
    for stack, M in _batches(blocks, nodes.theta):
        W = _inverse(M)
        rows = stack.rows
        V_W = np.einsum("bij,gbji->gbi", stack.V, W)
        shrinkage[rows] = np.einsum("g,gbi->bi", nodes.weight, V_W)
        WX = W @ blocks.X[rows]
        # each node's C X'W, averaged
        share = np.einsum("g,gpq,gbiq->bip", nodes.weight, cov, WX, optimize=True)
        weight[rows] = share
        own += np.einsum("bip,biq->pq", share, blocks.X[rows])
        r = blocks.y[rows] - np.einsum("bip,gp->gbi", blocks.X[rows], nodes.mean)
        Wr = np.einsum("gbij,gbj->gbi", W, r)
        for j, level in enumerate(levels):
            level.add(stack.K[j], nodes, nodes.theta[:, j], W, WX, Wr)
    if not weighable:
        weight[:], own[:] = np.nan, np.nan
        notes.append(
            "draws under a t or Cauchy prior on a coefficient have no weights in its mean; the exact engine's have"
        )
    pooling = [level.pooling(nodes) for level in levels]
    if not np.isfinite([post.tau.mean, post.tau.sd]).all():
        pooling = [math.nan] * len(pooling)
        notes.append("pooling factors need the posterior variance of tau, which does not exist")
    few = [name for name, level in zip(named, levels, strict=True) if level.count < 2]
    if few:
        notes.append(f"no pooling factor for {', '.join(few)}: it has a single level")
    if len(named) < len(blocks.factors):
        notes.append("pooling factors are given for random intercepts and uncorrelated levels only")
    if any(level.none(nodes) for level in levels):
        notes.append("with tau fixed at 0 nothing varies: pooling is complete")
    index = pd.Index(model.labels, name="effect")
    effects = pd.DataFrame({"shrinkage": shrinkage}, index=index)
    for i, term in enumerate(post.terms):
        effects[f"weight[{term}]"] = weight[:, i]
    factors = pd.DataFrame(
        {"pooling": pooling, "levels": [level.count for level in levels]},
        index=pd.Index(named, name="factor"),
    )
    prior = pd.Series(1 - np.diagonal(own), index=pd.Index(post.terms, name="term"), name="weight")
    prior[precision == 0] = 0.0 if weighable else math.nan
    return Pooling(effects=effects, factors=factors, prior=prior, notes=tuple(notes))


def _pooled(blocks: Blocks) -> tuple[str, ...]:
    """Variances whose levels have one effect each: random intercepts, and structures without correlation or slope."""
    if all(structure.kind in ("DIAG", "ID") for structure in blocks.structures):
        return blocks.factors
    return blocks.factors[: blocks.intercepts]


class _Level:
    """Sums over the levels of one random factor, node by node."""

    def __init__(self, g: int, p: int) -> None:
        self.count = 0
        self.squares, self.total, self.total_var = np.zeros(g), np.zeros(g), np.zeros(g)
        self.lever = np.zeros((g, p))
        self.means: list[FloatArray] = []

    def add(
        self, K: FloatArray, nodes: Nodes, theta: FloatArray, W: FloatArray, WX: FloatArray, Wr: FloatArray
    ) -> None:
        """Blocks of one size: K (b, n, n), theta (g,), W (g, b, n, n), WX (g, b, n, p), Wr (g, b, n)."""
        there = np.diagonal(K, axis1=1, axis2=2) > 0
        first = there & (K.argmax(axis=2) == np.arange(K.shape[1]))  # one effect stands for each level
        scaled = theta[:, None, None, None] * K
        u = np.einsum("gbij,gbj->gbi", scaled, Wr) * first
        cov = (scaled - scaled @ W @ scaled) * first[:, :, None] * first[:, None, :]
        lever = scaled @ WX * first[:, :, None]
        self.count += int(first.sum())
        spread = np.einsum("gbip,gpq,gbiq->g", lever, nodes.cov, lever, optimize=True)
        self.squares += (u**2).sum(axis=(1, 2)) + np.trace(cov, axis1=2, axis2=3).sum(axis=1) + spread
        self.total += u.sum(axis=(1, 2))
        self.total_var += cov.sum(axis=(1, 2, 3))
        self.lever += lever.sum(axis=(1, 2))
        self.means.append(np.einsum("g,gbi->bi", nodes.weight, u)[first])

    def none(self, nodes: Nodes) -> bool:
        """Whether the factor has no variance at all."""
        return not float(nodes.weight @ self.squares) > 0

    def pooling(self, nodes: Nodes) -> float:
        """1 - Var(E u) / E Var(u)."""
        if self.count < 2:
            return math.nan
        whole = self.total**2 + self.total_var + np.einsum("gp,gpq,gq->g", self.lever, nodes.cov, self.lever)
        varied = float(nodes.weight @ (self.squares - whole / self.count)) / (self.count - 1)
        return 1 - float(np.var(np.concatenate(self.means), ddof=1)) / varied if varied > 0 else 1.0


def _batches(blocks: Blocks, theta: FloatArray) -> Iterator[tuple[Stack, FloatArray]]:
    """Blocks of one size, as many as memory allows, with M (g, b, n, n) at each node."""
    for stack in blocks.stacks:
        n, whole = stack.rows.shape[1], linear_parts(stack, theta.shape[1])
        size = max(1, CHUNK // (len(theta) * n * max(n, blocks.p)))
        for start in range(0, len(stack.rows), size):
            part = slice(start, start + size)
            few = Stack(stack.rows[part], stack.V[part], stack.K[:, part])
            if whole is None:
                yield few, np.array([covariance(stack, values)[part] for values in theta])
            else:
                yield replace(few, K=whole[:, part]), few.V + np.einsum("gs,sbij->gbij", theta, whole[:, part])


def _inverse(M: FloatArray) -> FloatArray:
    return 1 / M if M.shape[-1] == 1 else np.asarray(np.linalg.inv(M))


def _covariances(blocks: Blocks, nodes: Nodes, precision: FloatArray) -> FloatArray:
    """(g, p, p) covariance of the coefficients given the variances of each draw."""
    information = np.broadcast_to(np.diag(precision), nodes.cov.shape).copy()
    for stack, M in _batches(blocks, nodes.theta):
        X = blocks.X[stack.rows]
        information += np.einsum("bip,gbij,bjq->gpq", X, _inverse(M), X, optimize=True)
    return np.asarray(np.linalg.inv(information))
