"""What each study does to a Bayesian fit: the posterior without it, and how far it is from the one with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from catharsis.assess.deletion import Again, Deleted, deletion_notes, deletions, grouping, model_of, without
from catharsis.assess.down_dating import LOG_2PI, log_mean, log_normal
from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("mean", "sd", "low", "median", "high", "positive")


def leave_one_out_bayes(post: Posterior, by: str | Sequence[object] | None = None) -> pd.DataFrame:
    """The posterior without each effect or each group of effects.

    The model is fitted again with the same priors. A sampled posterior is fitted again by the exact engine where that
    covers the model; elsewhere its draws are reweighted (`loo` says when they can be).

    Parameters
    ----------
    post : Posterior
        From `fit_bayes`.
    by : str or (k,) sequence, optional
        What is left out at a time: a random factor of the model ("study"), or one label for each effect. By default
        each effect.

    Returns
    -------
    DataFrame
        One row per group (with several coefficients per group and term): mean, sd, low, median, high and positive,
        P(> 0), of the coefficient; tau, tau_low and tau_high, the median and interval of tau; source. Rows are nan
        where the other effects do not carry the model; `attrs["notes"]` says why.

    Raises
    ------
    ModelError
        When there is a single group, or `by` does not fit.

    References
    ----------
    [@roever2020; @vehtari2017]

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
    >>> leave_one_out_bayes(post)[["mean", "positive", "tau"]].round(3).loc["3"].tolist()
    [0.221, 0.851, 0.244]
    """
    import pandas as pd

    model = model_of(post, "leave_one_out_bayes")
    groups = grouping(model, by)
    rows: dict[int, list[tuple[float | str, ...]]] = {}
    gaps: dict[str, list[str]] = {}
    notes: tuple[str, ...] = ()
    if Again(post, model).covered:
        for number, members in enumerate(groups.members):
            try:
                found = without(post, members)
            except ModelError as refusal:
                gaps.setdefault(str(refusal), []).append(str(groups.names[number]))
                rows[number] = [(math.nan,) * (len(COLUMNS) + 3) + ("none",)] * len(post.terms)
                continue
            rows[number] = [
                (*_numbers(found.coefficients[term]), found.tau.median, found.tau.low, found.tau.high, "refit")
                for term in post.terms
            ]
    else:
        deleted = dict(deletions(post, groups, "leave_one_out_bayes"))
        rows = {number: _reweighted(one, post.level, model.blocks.intercepts) for number, one in deleted.items()}
        notes = deletion_notes([deleted[i] for i in range(len(groups.names))], groups, "posterior")
    names = [(*COLUMNS, "tau", "tau_low", "tau_high", "source")]
    index = pd.Index(groups.names, name=groups.kind)
    if len(post.terms) > 1:
        index = pd.MultiIndex.from_product([groups.names, post.terms], names=[groups.kind, "term"])
    frame = pd.DataFrame(
        [row for number in range(len(groups.names)) for row in rows[number]], columns=list(names[0]), index=index
    )
    frame.attrs["notes"] = (
        *notes, *(f"no posterior without {', '.join(names[:5])}: {why}" for why, names in gaps.items()),
    )  # fmt: skip
    return frame


def _numbers(found: Marginal) -> tuple[float, ...]:
    return tuple(getattr(found, name) for name in COLUMNS)


def _reweighted(one: Deleted, level: float, intercepts: int) -> list[tuple[float | str, ...]]:
    """The rows of one group from draws and their weights."""
    weight = one.nodes.weight
    tau = np.sqrt(one.nodes.theta[:, :intercepts].sum(axis=1))
    ends = ((1 - level) / 2, 0.5, (1 + level) / 2)
    tau_low, tau_median, tau_high = _quantiles(tau, weight, ends)
    found: list[tuple[float | str, ...]] = []
    for draws in one.nodes.mean.T:
        mean = float(weight @ draws)
        low, median, high = _quantiles(draws, weight, ends)
        sd, positive = math.sqrt(float(weight @ (draws - mean) ** 2)), float(weight @ (draws > 0))
        found.append((mean, sd, low, median, high, positive, tau_median, tau_low, tau_high, one.source))
    return found


def _quantiles(values: FloatArray, weight: FloatArray, at: Sequence[float]) -> list[float]:
    order = np.argsort(values)
    reached = np.cumsum(weight[order]) - weight[order] / 2
    return [float(x) for x in np.interp(at, reached, values[order])]


def influence_bayes(post: Posterior, by: str | Sequence[object] | None = None) -> pd.DataFrame:
    """How much each effect, or each group of effects, moves the posterior.

    Parameters
    ----------
    post : Posterior
        From `fit_bayes`.
    by : str or (k,) sequence, optional
        As for `leave_one_out_bayes`.

    Returns
    -------
    DataFrame
        One row per group. shift[term] and shift[tau] (shift[tau, factor] or shift[tau[level]] for several):
        posterior mean with minus without the group, in posterior standard deviations with it. kl: Kullback-Leibler
        divergence of the joint posterior of coefficients and variances from the one without the group, in nats.
        hellinger: their Hellinger distance, 0 to 1. log_cpo: log of the conditional predictive ordinate, the density
        of the group given the others. source: "exact" (closed form), "psis" (reweighted draws), "refit" (fitted
        without it), "none".

    Raises
    ------
    ModelError
        When there is a single group, `by` does not fit, or the model's study effects are not normal.

    References
    ----------
    Geisser (1993, Predictive Inference) for the ordinates; [@vehtari2017] for reweighted draws.

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
    >>> influence_bayes(post)[["shift[intercept]", "kl", "hellinger"]].round(3).loc["3"].tolist()
    [0.681, 0.486, 0.374]
    """
    import pandas as pd

    model = model_of(post, "influence_bayes")
    groups = grouping(model, by)
    names = _spreads(model.blocks)
    assert post.nodes is None or len(post.nodes.weight)
    rows: dict[int, tuple[float | str, ...]] = {}
    found: dict[int, Deleted] = {}
    centre, spread = np.empty(0), np.empty(0)
    for number, one in deletions(post, groups, "influence_bayes"):
        if not len(centre):
            assert post.nodes is not None
            centre, spread = _moments(post.nodes.weight, _columns(post.nodes, len(names)), _within(post.nodes))
            centre[~_existing(post, len(names))] = np.nan
        shift = (centre - one.nodes.weight @ _columns(one.nodes, len(names))) / np.where(spread > 0, spread, np.nan)
        if not one.tau:
            shift[len(post.terms) :] = np.nan
        rows[number] = (*shift.tolist(), one.expected - one.elpd, _hellinger(one), one.elpd, one.source)
        found[number] = one
    columns = [f"shift[{name}]" for name in (*post.terms, *names)] + ["kl", "hellinger", "log_cpo", "source"]
    order = range(len(groups.names))
    frame = pd.DataFrame([rows[i] for i in order], columns=columns, index=pd.Index(groups.names, name=groups.kind))
    frame.attrs["notes"] = deletion_notes([found[i] for i in order], groups, "influence") + _still(frame, spread)
    return frame


def _spreads(blocks: Blocks) -> list[str]:
    """Names of the standard deviations, the first of theta; without those of structures that have correlations."""
    if len(blocks.factors) == 1:
        return ["tau"]
    found = [f"tau, {name}" for name in blocks.factors[: blocks.intercepts]]
    if any(structure.correlations for structure in blocks.structures):
        return found
    return found + [
        name.replace("2", "", 1) for name in blocks.factors[blocks.intercepts :]
    ]  # tau2[a] is tau[a] squared


def _columns(nodes: Nodes, spreads: int) -> FloatArray:
    """(g, p + s) coefficients and standard deviations."""
    return np.column_stack([nodes.mean, np.sqrt(nodes.theta[:, :spreads])])


def _within(nodes: Nodes) -> FloatArray:
    """(g, p) variances of the coefficients at each node."""
    return np.asarray(np.diagonal(nodes.cov, axis1=1, axis2=2))


def _moments(weight: FloatArray, values: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = weight @ values
    square = weight @ (values - centre) ** 2
    square[: variance.shape[1]] += weight @ variance
    return centre, np.sqrt(square)


def _existing(post: Posterior, factors: int) -> NDArray[np.bool_]:
    """(p + s,) whether mean and standard deviation exist."""
    sound = [bool(np.isfinite([post.coefficients[t].mean, post.coefficients[t].sd]).all()) for t in post.terms]
    return np.array(sound + [bool(np.isfinite([post.tau.mean, post.tau.sd]).all())] * factors)


def _hellinger(one: Deleted) -> float:
    """Distance of the joint posteriors: 1 - H^2 is the mean, without the group, of the root of the density ratio."""
    if one.source == "none":
        return math.nan
    n = one.e.shape[1]
    log_det = np.linalg.slogdet(one.S)[1]
    halved = log_normal(one.error, one.spread + one.S) + n / 4 * LOG_2PI + n / 2 * math.log(2) + log_det / 4
    overlap = float(np.exp(log_mean(one.nodes.weight, halved) - one.elpd / 2))
    return math.sqrt(min(max(1 - overlap, 0.0), 1.0))


def _still(frame: pd.DataFrame, spread: FloatArray) -> tuple[str, ...]:
    """Why shifts are missing that no gap explains."""
    answered = frame["source"] != "none"
    lost = [
        name
        for name, sd in zip(frame.columns, spread, strict=False)
        if frame.loc[answered, name].isna().any() or not sd > 0
    ]
    if not lost:
        return ()
    return (f"{', '.join(lost)}: not there where a posterior mean or variance does not exist, or tau is fixed",)
