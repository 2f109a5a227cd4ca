"""A Bayesian fit without each study in turn: by down-dating, by reweighted draws, or fitted again.

The exact engine's nodes lose an effect in closed form. Two things can make that worthless, and then the model is fitted
again: the effects that leave alone determined a coefficient, or the posterior without them lies where the nodes are
too few (one study far from the rest). Draws are reweighted by Pareto smoothed importance sampling of the likelihood
with the study effects integrated out, and fitted again where its k says that this fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from catharsis.assess.down_dating import batches, groups_of, log_mean, log_normal, refuse_without_nodes, take_out
from catharsis.bayes.fitted import Fitted, Nodes
from catharsis.bayes.posterior import Posterior
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import group_labels
from catharsis.likelihood.design import codes
from catharsis.models.deletion import subset_blocks
from catharsis.numerics import FloatArray, IntArray

APART = 1e3  # posteriors whose mean ratio of densities is larger share too few nodes: 1e-11 of error becomes 1e-8
LOST = 1e-6  # share of its variance that an effect keeps when half of the digits are lost in taking it out
TINY = float(np.finfo(float).tiny)
FEW = 4  # levels beyond the flat coefficients from which on every moment of tau exists under any prior in the table


@dataclass(frozen=True, slots=True, eq=False)
class Deleted:
    """The posterior without one group of n effects, and what it says of them.

    Attributes
    ----------
    rows : (n,) array
        The effects.
    nodes : Nodes
        The posterior without them; weights 0 to 1.
    e, X, S : (g, n), (g, n, p), (g, n, n) arrays
        Their part that the other effects do not determine, at each of these nodes.
    elpd, lpd : float
        Log density of the effects given the others, and given all data.
    expected : float
        Posterior mean, given all data, of their log likelihood.
    k : float
        Pareto k of the weights, also of those that were not believed; nan when nothing was sampled.
    source : str
        "exact", "psis", "refit", or "none".
    why : str
        Why there is no answer.
    tau : bool
        Whether the standard deviations have means and variances without them.
    """

    rows: IntArray
    nodes: Nodes
    e: FloatArray
    X: FloatArray
    S: FloatArray
    elpd: float
    lpd: float
    expected: float
    k: float
    source: str
    why: str = ""
    tau: bool = True

    @property
    def error(self) -> FloatArray:
        """(g, n) effects minus their prediction from the others."""
        return np.asarray(self.e - np.einsum("gnp,gp->gn", self.X, self.nodes.mean))

    @property
    def spread(self) -> FloatArray:
        """(g, n, n) covariance of that prediction."""
        return np.asarray(self.S + self.X @ self.nodes.cov @ np.swapaxes(self.X, 1, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """What is left out at a time.

    Attributes
    ----------
    names : sequence
        Labels, in order of first appearance.
    code : (k,) array
        Group of each effect.
    kind : str
        What a group is called.
    """

    names: Sequence[object]
    code: IntArray
    kind: str

    @property
    def members(self) -> list[IntArray]:
        """Rows of each group."""
        return groups_of(self.code)


def model_of(post: Any, what: str) -> Fitted:
    """What a posterior was fitted to, or words."""
    if not isinstance(post, Posterior):
        raise ModelError(f"{what} takes a posterior from fit_bayes, not {shown(post)}")
    if post.model is None:
        raise ModelError(f"{what} needs the model behind the posterior, which this one does not carry; use fit_bayes")
    return post.model


def grouping(model: Fitted, by: str | Sequence[object] | None) -> Groups:
    """Effects one by one, the levels of a random factor, or labels.

    Raises
    ------
    ModelError
        For an unknown factor, labels that do not fit, or a single group.
    """
    k = model.blocks.k
    if by is None:
        found = Groups(list(model.labels), np.arange(k, dtype=np.int64), "effect")
    elif isinstance(by, str):
        if by not in model.groups:
            known = did_you_mean(by, list(model.groups)) if model.groups else "it has none"
            raise ModelError(f'"{by}" is not a random factor of this model: {known}; or give one label for each effect')
        names, code = model.levels[by], np.asarray(model.groups[by], dtype=np.int64)
        present = np.unique(code)
        found = Groups([names[i] for i in present], np.searchsorted(present, code), by)
    else:
        labels = group_labels(by, k, "by", model.labels)
        found = Groups(list(dict.fromkeys(labels)), codes(labels), str(getattr(by, "name", None) or "group"))
    if len(found.names) < 2:
        raise ModelError(f"leaving out the only {found.kind} leaves nothing to fit; there must be two at least")
    return found


def deletions(post: Posterior, groups: Groups, what: str) -> Iterator[tuple[int, Deleted]]:
    """The posterior without each group, in no particular order.

    Yields
    ------
    number of the group, and the posterior without it
    """
    model, nodes = model_of(post, what), refuse_without_nodes(post.nodes, what)
    nodes = replace(nodes, weight=nodes.weight / nodes.weight.sum())
    members = groups.members
    sampled, again = post.engine == "nuts", Again(post, model)
    efficiency = _efficiency(post) if sampled else 1.0
    for numbers, parts in batches(model.blocks, nodes, members):
        taken = take_out(parts, nodes)
        likelihood, lpd = _inside(nodes, parts.e, parts.X, parts.S)
        if sampled:
            log_weight, k = smoothed(-taken.log_density, efficiency)
        else:
            with np.errstate(divide="ignore"):
                log_weight, k = np.log(nodes.weight) - taken.log_density, np.full(len(numbers), np.nan)
        for j, number in enumerate(numbers):
            rows = members[number]
            expected = float(nodes.weight @ likelihood[j])
            weight = _probabilities(log_weight[j])
            fine = (
                bool(k[j] <= trusted(len(nodes.weight)))
                if sampled
                else bool(taken.left[j] > LOST) and _overlap(weight, nodes.weight) < APART and _ordinary(post, rows)
            )
            if not fine:
                yield int(number), again.fitted(rows, float(lpd[j]), expected, float(k[j]))
                continue
            if sampled:
                elpd = float(log_mean(weight, taken.log_density[j]))
            else:
                elpd = -float(log_mean(nodes.weight, -taken.log_density[j]))
            without = Nodes(weight, nodes.theta, taken.mean[j], taken.cov[j])
            yield int(number), Deleted(
                rows, without, parts.e[j], parts.X[j], parts.S[j], elpd, float(lpd[j]), expected, float(k[j]),
                "psis" if sampled else "exact",
            )  # fmt: skip


def smoothed(log_ratio: FloatArray, efficiency: float) -> tuple[FloatArray, FloatArray]:
    """Pareto smoothed log weights (c, S) and their k (c,) [@vehtari2017], the smoothing as in ArviZ."""
    import warnings

    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of k above 0.7, which is acted upon
        log_weight, k = az.psislw(np.ascontiguousarray(log_ratio), reff=efficiency)
    return np.asarray(log_weight), np.atleast_1d(np.asarray(k, dtype=float))


def trusted(draws: int) -> float:
    """The largest Pareto k at which importance sampling from so many draws can be believed.

    Vehtari, Simpson, Gelman, Yao and Gabry (2024, Journal of Machine Learning Research 25): min(1 - 1/log10 S, 0.7).

    Examples
    --------
    >>> trusted(100), round(trusted(16000), 3)
    (0.5, 0.7)
    """
    return min(1 - 1 / math.log10(draws), 0.7) if draws > 1 else -math.inf


def _efficiency(post: Posterior) -> float:
    """Effective over actual draws of the slowest quantity."""
    draws = len(refuse_without_nodes(post.nodes, "this").weight)
    bulk = post.diagnostics.ess_bulk if post.diagnostics else draws
    return float(np.clip(bulk / draws, 1 / draws, 1.0)) if np.isfinite(bulk) else 1.0


def _inside(nodes: Nodes, e: FloatArray, X: FloatArray, S: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean log likelihood over b at each node (c, g), and the log density of e given all data (c,)."""
    r = e - np.einsum("cgnp,gp->cgn", X, nodes.mean)
    H = X @ nodes.cov @ np.swapaxes(X, -1, -2)
    ratio = H / S if e.shape[-1] == 1 else np.linalg.solve(S, H)
    extra = np.trace(ratio, axis1=-2, axis2=-1)
    return log_normal(r, S) - 0.5 * extra, log_mean(nodes.weight, log_normal(r, S + H))


def _overlap(without: FloatArray, with_: FloatArray) -> float:
    """Mean ratio of the posterior without the group to the one with it, under the former; 1 when they are equal."""
    if not np.isfinite(without).all():
        return math.inf
    inside = without > 0
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.sum(without[inside] ** 2 / with_[inside]))


def _scale_priors(post: Posterior) -> list[Any]:
    return [post.priors.tau, *dict(getattr(post.priors, "taus", None) or {}).values()]


def _probabilities(log_weight: FloatArray) -> FloatArray:
    """Weights that sum to 1; nan when one of them is."""
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _ordinary(post: Posterior, rows: IntArray) -> bool:
    """Whether nothing can become improper, nor lose its moments, when the rows leave."""
    if all(prior.bounded for prior in _scale_priors(post)):
        return True
    assert post.model is not None
    if post.model.blocks.structures:
        return False  # each variance of a structure has levels of its own, which nobody counts here
    groups, k = post.model.groups, post.model.blocks.k
    keep = np.ones(k, dtype=bool)
    keep[rows] = False
    levels = min((len(np.unique(code[keep])) for code in groups.values()), default=int(keep.sum()))
    flat = int((post.priors.location(post.terms)[1] == 0).sum())
    return levels - flat >= FEW


def without(post: Posterior, rows: IntArray) -> Posterior:
    """The model fitted to the effects but for some rows; a sampled one by the exact engine where that can.

    Raises
    ------
    ModelError
        When the other effects do not carry it.
    """
    model = model_of(post, "leave-one-out")
    if post.priors.tau.sei:
        raise ModelError(
            f"the prior {post.priors.tau} is made from all studies, so that another one would hold without some"
        )
    keep = np.ones(model.blocks.k, dtype=bool)
    keep[rows] = False
    blocks = subset_blocks(model.blocks, keep)
    labels = tuple(label for label, kept in zip(model.labels, keep, strict=True) if kept)
    flat = blocks.X[:, post.priors.location(post.terms)[1] == 0]
    if np.linalg.matrix_rank(flat / np.maximum(np.linalg.norm(flat, axis=0), TINY)) < flat.shape[1]:
        raise ModelError("the other effects do not determine every coefficient; give the coefficients proper priors")
    try:
        return model.fit(blocks, labels, "exact")
    except ModelError:
        if post.engine == "exact":
            raise
    return model.fit(blocks, labels)


class Again:
    """Fits without some effects, and their predictive densities."""

    def __init__(self, post: Posterior, model: Fitted) -> None:
        self._post, self._model = post, model

    @cached_property
    def covered(self) -> bool:
        """Whether the exact engine fits this model."""
        return self._post.engine == "exact" or math.isfinite(self._whole)

    @cached_property
    def _whole(self) -> float:
        """Log marginal likelihood of all effects; nan where the exact engine has no say."""
        if self._post.engine == "exact":
            return self._post.log_marginal
        try:
            return self._model.fit(self._model.blocks, self._model.labels, "exact").log_marginal
        except ModelError:
            return math.nan

    def fitted(self, rows: IntArray, lpd: float, expected: float, k: float) -> Deleted:
        """The posterior from the other effects; its source is "none" where they do not carry the model."""
        n, p, s = len(rows), self._model.blocks.p, len(self._model.blocks.factors)
        none = Nodes(*(np.full(shape, np.nan) for shape in ((1,), (1, s), (1, p), (1, p, p))))
        e, X, S = (np.full(shape, np.nan) for shape in ((1, n), (1, n, p), (1, n, n)))
        gap = Deleted(rows, none, e, X, S, math.nan, lpd, expected, k, "none", tau=False)
        try:
            found = without(self._post, rows)
        except ModelError as refusal:
            return replace(gap, why=str(refusal))
        nodes = refuse_without_nodes(found.nodes, "leave-one-out")
        ((_, parts),) = batches(self._model.blocks, nodes, [rows])
        moments = bool(np.isfinite([found.tau.mean, found.tau.sd]).all())
        made = replace(gap, nodes=nodes, e=parts.e[0], X=parts.X[0], S=parts.S[0], source="refit", tau=moments)
        # nodes of a posterior end where it is negligible; the density of effects far off may not be negligible there
        elpd = self._whole - found.log_marginal
        return replace(
            made, elpd=elpd if np.isfinite(elpd) else float(log_mean(nodes.weight, log_normal(made.error, made.spread)))
        )


def deletion_notes(found: Sequence[Deleted], groups: Groups, what: str) -> tuple[str, ...]:
    """Groups that were fitted again because weights could not be believed, and groups without an answer.

    Parameters
    ----------
    found : sequence of Deleted
        In the order of the groups.
    groups : Groups
        Their names.
    what : str
        What is missing where there is no answer.

    Returns
    -------
    tuple of str
    """
    notes = []
    again = [i for i, one in enumerate(found) if one.source == "refit"]
    if any(not math.isnan(found[i].k) for i in again):
        notes.append(f"the model was fitted again without {_named(groups, again)}: Pareto k was too large to reweight")
    gaps = [i for i, one in enumerate(found) if one.source == "none"]
    for why in dict.fromkeys(found[i].why for i in gaps):
        inside = [i for i in gaps if found[i].why == why]
        notes.append(f"no {what} for {_named(groups, inside)}: {why}")
    return tuple(notes)


def _named(groups: Groups, numbers: Sequence[int]) -> str:
    names = ", ".join(str(groups.names[i]) for i in numbers[:5])
    return names if len(numbers) <= 5 else f"{names} and {len(numbers) - 5} more"
