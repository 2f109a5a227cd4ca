"""Would the model produce data like these? Posterior predictive checks of replicated studies.

A replicate is a whole new set of studies of the same designs: coefficients and variances from the posterior, study
effects drawn anew, sampling errors drawn anew. Where the distribution of a statistic has a closed form at each node of
the exact engine (Q: a quadratic form in normals; the largest of independent effects), the p value is computed, and
otherwise counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_ndtr, roots_hermitenorm

from catharsis.assess.deletion import model_of
from catharsis.assess.down_dating import covariances, linear_parts, refuse_without_nodes
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Posterior
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import whole_number
from catharsis.likelihood.blocks import Blocks
from catharsis.models.quadratic_forms import quadratic_form_tails
from catharsis.numerics import FloatArray, IntArray

STATISTICS = ("Q", "max", "min")
MOST_NODES = 600  # a quadratic form takes a millisecond at least
Q_POINTS = 60  # about what its inversion asks of each effect
MOST_TERMS = 20_000_000  # node by effect terms of a closed form, about a second; beyond, replicates are cheaper
NEGLIGIBLE = 1e-13  # weight of all nodes together that are passed over
POINTS = 60  # of the Gauss-Hermite rule for the average effect, whose density is as wide as an effect's at most
CHUNK = 2_000_000  # numbers in one batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictiveCheck:
    """One statistic, observed and replicated.

    Attributes
    ----------
    statistic : str
        "Q", "max", "min", or the name of a function.
    observed : float
        Its value in the data.
    p : float
        Posterior predictive probability of a value as large (for "min": as small) or more so. Near 0, the model
        does not expect it; p values of this kind shy away from 0 and 1, because the data shaped the posterior.
    mcse : float
        Monte Carlo standard error of p; 0 where it was computed.
    low, median, high : float
        Quantiles of the replicated statistic at the level of the fit, by simulation.
    replicates : (draws,) array
        The replicated statistic.
    notes : tuple of str
        What every reader must be told.
    """

    statistic: str
    observed: float
    p: float
    mcse: float
    low: float
    median: float
    high: float
    replicates: FloatArray = field(repr=False)
    notes: tuple[str, ...] = ()


def predictive_check(
    post: Posterior,
    statistic: str | Callable[[FloatArray], float] = "Q",
    *,
    draws: int = 4000,
    seed: int = 1,
) -> PredictiveCheck:
    """Posterior predictive check.

    Parameters
    ----------
    post : Posterior
        From `fit_bayes`, with normal study effects.
    statistic : str or callable
        "Q": Cochran's Q about the moderators, weights from V: is there more or less heterogeneity than the model
        and its priors expect? "max", "min": the largest, the smallest effect: is there an outlier? Or a function of
        the effects (k,) that gives a number.
    draws : int
        Replicates.
    seed : int
        Of their generator.

    Returns
    -------
    PredictiveCheck

    Raises
    ------
    ModelError
        For an unknown statistic, one that is not a finite number, or study effects that are not normal.

    References
    ----------
    Gelman, Meng and Stern (1996, Statistica Sinica 6, 733-807).

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> found = predictive_check(fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]), "max")
    >>> found.observed, round(found.p, 4), found.mcse
    (0.9, 0.339, 0.0)
    """
    model = model_of(post, "predictive_check")
    nodes = refuse_without_nodes(post.nodes, "predictive_check")
    blocks = model.blocks
    value, name = _statistic(statistic, blocks)
    draws = whole_number(draws, "draws", "at least one replicate must be drawn")
    rng = np.random.default_rng(whole_number(seed, "seed", "it is a whole number, 0 or more", 0))
    chosen, b = _parameters(nodes, draws, rng, post.engine == "nuts")
    size = max(1, CHUNK // blocks.k)
    steps = [slice(start, start + size) for start in range(0, draws, size)]
    replicates = np.concatenate(
        [_checked(value(_replicated(blocks, nodes, chosen[step], b[step], rng)), name) for step in steps]
    )
    observed = float(_checked(value(blocks.y[None]), name)[0])
    more = replicates <= observed if name == "min" else replicates >= observed
    p, mcse = _known(post, blocks, nodes, name, observed)
    if math.isnan(p):
        each = more.astype(float)
        if name in ("max", "min") and _independent(blocks):
            tails = [_beyond(blocks, nodes.theta[chosen[step]], b[step], observed, name) for step in steps]
            each = np.concatenate(tails)
        p = float(each.mean())
        mcse = _counting_error(each, post, len(nodes.weight))
    rest = (1 - post.level) / 2
    low, median, high = (float(x) for x in np.quantile(replicates, [rest, 0.5, 1 - rest]))
    return PredictiveCheck(
        statistic=name, observed=observed, p=p, mcse=mcse, low=low, median=median, high=high, replicates=replicates
    )


# -- statistics -----------------------------------------------------------------------------------------------------


def _statistic(statistic: Any, blocks: Blocks) -> tuple[Callable[[FloatArray], FloatArray], str]:
    """A function of replicates (d, k) giving (d,), and its name."""
    if callable(statistic):
        return lambda y: _asked(statistic, y), getattr(statistic, "__name__", "statistic")
    if statistic == "max":
        return lambda y: y.max(axis=1), "max"
    if statistic == "min":
        return lambda y: y.min(axis=1), "min"
    if statistic != "Q":
        raise ModelError(
            f"there is no statistic {shown(statistic)}: {did_you_mean(str(statistic), STATISTICS)}; or give a function"
        )
    if blocks.k == blocks.p:
        raise ModelError(f"{blocks.k} effects and as many coefficients leave no Q")
    white, H = _whitened(blocks)

    def Q(y: FloatArray) -> FloatArray:
        z = white(y)
        z = z - (z @ H) @ H.T
        return np.asarray((z**2).sum(axis=1))

    return Q, "Q"


def _asked(statistic: Callable[[FloatArray], float], y: FloatArray) -> FloatArray:
    found = [statistic(row.copy()) for row in y]
    try:
        return np.array([float(value) for value in found])
    except (TypeError, ValueError):
        raise ModelError(f"the statistic gave {shown(found[0])}; it must give one number") from None


def _checked(values: FloatArray, name: str) -> FloatArray:
    if not np.isfinite(values).all():
        raise ModelError(f"the statistic {name} is {values[~np.isfinite(values)][0]}; it must be a finite number")
    return values


def _whitened(blocks: Blocks) -> tuple[Callable[[FloatArray], FloatArray], FloatArray]:
    """A function that takes y (d, k) to L^-1 y with V = L L', and an orthonormal basis (k, p) of L^-1 X."""
    halves = [(stack.rows, np.linalg.cholesky(stack.V)) for stack in blocks.stacks]

    def white(y: FloatArray) -> FloatArray:
        found = np.empty_like(y)
        for rows, half in halves:
            if rows.shape[1] == 1:
                found[:, rows[:, 0]] = y[:, rows[:, 0]] / half[:, 0, 0]
            else:
                solved = np.linalg.solve(half, np.moveaxis(y[:, rows], 0, 2))
                found[:, rows] = np.moveaxis(solved, 2, 0)
        return found

    return white, np.linalg.qr(white(blocks.X.T).T)[0]


# -- p values in closed form ----------------------------------------------------------------------------------------


def _independent(blocks: Blocks) -> bool:
    return blocks.independent and not blocks.structures


def _known(post: Posterior, blocks: Blocks, nodes: Nodes, name: str, observed: float) -> tuple[float, float]:
    """The p value and 0 where the nodes give it; nan elsewhere."""
    if post.engine != "exact":
        return math.nan, math.nan
    order = np.argsort(nodes.weight)
    kept = np.sort(order[np.cumsum(nodes.weight[order]) > NEGLIGIBLE])
    few = Nodes(nodes.weight[kept], nodes.theta[kept], nodes.mean[kept], nodes.cov[kept])
    if name == "Q" and len(kept) <= MOST_NODES and len(kept) * Q_POINTS * blocks.k <= MOST_TERMS:
        return min(_above_Q(blocks, few, observed), 1.0), 0.0
    closed = _independent(blocks) and blocks.p == 1 and len(kept) * POINTS * blocks.k <= MOST_TERMS
    if name in ("max", "min") and closed:
        z, weight = roots_hermitenorm(POINTS)
        weight = weight / weight.sum()
        total = 0.0
        size = max(1, CHUNK // (POINTS * blocks.k))
        for start in range(0, len(kept), size):
            step = slice(start, start + size)
            b = few.mean[step] + np.sqrt(few.cov[step, 0]) * z
            theta = np.repeat(few.theta[step], POINTS, axis=0)
            tail = _beyond(blocks, theta, b.reshape(-1, 1), observed, name).reshape(b.shape)
            total += float(few.weight[step] @ (tail @ weight))
        return min(total, 1.0), 0.0
    return math.nan, math.nan


def _above_Q(blocks: Blocks, nodes: Nodes, q: float) -> float:
    """P(Q of a replicate > q): given theta, Q is a quadratic form in normals whose mean X b it does not see."""
    H = _whitened(blocks)[1]
    if _independent(blocks):
        ratio = nodes.theta.sum(axis=1)[:, None] / blocks.variances
        tails = [quadratic_form_tails(q, 1 + row, H).upper for row in ratio]
        return float(nodes.weight @ np.array(tails))
    # in the coordinates of V, M is turned into a diagonal block by block; H turns with it
    spectra, turned = np.empty((len(nodes.weight), blocks.k)), np.empty((len(nodes.weight), *H.shape))
    for stack in blocks.stacks:
        half, K = np.linalg.cholesky(stack.V), linear_parts(stack, nodes.theta.shape[1])
        for b, rows in enumerate(stack.rows):
            M = covariances(stack, K, b, nodes.theta)
            inner = np.linalg.solve(half[b], np.swapaxes(np.linalg.solve(half[b], M), 1, 2))
            d, turn = np.linalg.eigh((inner + np.swapaxes(inner, 1, 2)) / 2)
            spectra[:, rows] = d
            turned[:, rows] = np.swapaxes(turn, 1, 2) @ H[rows]
    tails = [quadratic_form_tails(q, d, basis).upper for d, basis in zip(spectra, turned, strict=True)]
    return float(nodes.weight @ np.array(tails))


def _beyond(blocks: Blocks, theta: FloatArray, b: FloatArray, observed: float, name: str) -> FloatArray:
    """P(largest effect >= observed), or smallest <= observed, given theta (d, s) and b (d, p)."""
    sd = np.sqrt(blocks.variances + theta.sum(axis=1)[:, None])
    side = -1.0 if name == "min" else 1.0
    return np.asarray(-np.expm1(log_ndtr(side * (observed - b @ blocks.X.T) / sd).sum(axis=1)))


# -- replicates -----------------------------------------------------------------------------------------------------


def _parameters(nodes: Nodes, draws: int, rng: np.random.Generator, sampled: bool) -> tuple[IntArray, FloatArray]:
    """Nodes (draws,), and coefficients (draws, p) there."""
    g, p = nodes.mean.shape
    weight = nodes.weight / nodes.weight.sum()
    if sampled:  # spread evenly over the chains
        chosen = np.arange(draws, dtype=np.int64) * g // draws
        return chosen, nodes.mean[chosen]
    chosen = rng.choice(g, draws, p=weight)
    used, back = np.unique(chosen, return_inverse=True)
    values, vectors = np.linalg.eigh(nodes.cov[used])
    half = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return chosen, nodes.mean[chosen] + np.einsum("dij,dj->di", half[back], rng.standard_normal((draws, p)))


def _replicated(blocks: Blocks, nodes: Nodes, chosen: IntArray, b: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(draws, k) effects of new studies."""
    y = b @ blocks.X.T
    z = rng.standard_normal(y.shape)
    if _independent(blocks):
        return np.asarray(y + np.sqrt(blocks.variances + nodes.theta[chosen].sum(axis=1)[:, None]) * z)
    used, back = np.unique(chosen, return_inverse=True)
    for stack in blocks.stacks:
        K = linear_parts(stack, nodes.theta.shape[1])
        for block, rows in enumerate(stack.rows):
            half = np.linalg.cholesky(covariances(stack, K, block, nodes.theta[used]))
            y[:, rows] += np.einsum("dij,dj->di", half[back], z[:, rows])
    return np.asarray(y)


def _counting_error(each: FloatArray, post: Posterior, nodes: int) -> float:
    """Monte Carlo standard error of a mean of 0s and 1s (or probabilities), draws of a chain counted as fewer."""
    n = float(len(each))
    if post.diagnostics is not None and np.isfinite(post.diagnostics.ess_bulk):
        n = max(1.0, min(n, post.diagnostics.ess_bulk, nodes))
    centre = float(each.mean())
    variance = float(each.var())
    if variance == 0.0:  # none or all: the rule of succession keeps an error
        centre = (float(each.sum()) + 1) / (len(each) + 2)
        variance = centre * (1 - centre)
    return math.sqrt(variance / n)
