"""Leave-one-out cross-validation of Bayesian fits: how well each study is predicted from the others.

The density of a study's effects given all other studies, its study effect integrated out: conditional on it, one
effect per study says nothing about prediction. The exact engine gives these densities in closed form, a sampled
posterior by Pareto smoothed importance sampling, with the model fitted again where that fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from catharsis.assess.deletion import Deleted, deletion_notes, deletions, grouping, model_of
from catharsis.bayes.marginals import GaussianMixture
from catharsis.bayes.posterior import Posterior
from catharsis.errors import ModelError
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

MANY = 100  # predictions from which on the standard error of a difference is near normal
SMALL = 4.0  # a difference in elpd below this cannot be told from none (Sivula, Magnusson, Matamoros, Vehtari 2020)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loo:
    """Leave-one-out cross-validation of one model.

    Attributes
    ----------
    elpd : float
        Sum of the log densities of what was left out, given the rest: larger is better. nan when a group has none.
    se : float
        Its standard error over groups.
    p_loo : float
        Effective number of parameters: how much better the same data are described than predicted.
    pointwise : DataFrame
        One row per group left out: elpd, p_loo, k (Pareto k of the reweighted draws; nan for the exact engine), and
        source: "exact" (closed form), "psis" (reweighted draws), "refit" (fitted without it), "none".
    effects : DataFrame
        One row per effect: y, and mean, sd, low, high of its prediction from the other groups; pit, the probability
        that the prediction lies below y: near 0 or 1 for a study that the others do not expect.
    refitted : int
        Groups without which the model was fitted again.
    level : float
        Probability of the prediction intervals.
    notes : tuple of str
        What every reader must be told.
    """

    elpd: float
    se: float
    p_loo: float
    pointwise: pd.DataFrame = field(repr=False)
    effects: pd.DataFrame = field(repr=False)
    refitted: int
    level: float
    notes: tuple[str, ...] = ()


def loo(post: Posterior, by: str | Sequence[object] | None = None) -> Loo:
    """Leave-one-out cross-validation.

    Parameters
    ----------
    post : Posterior
        From `fit_bayes`.
    by : str or (k,) sequence, optional
        What is left out at a time: a random factor of the model ("study"), or one label for each effect. By default
        each effect on its own, predicted from all others, those of its own study among them.

    Returns
    -------
    Loo

    Raises
    ------
    ModelError
        When there is a single group, `by` does not fit, or the model's study effects are not normal.

    References
    ----------
    [@vehtari2017]

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> found = loo(fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]))
    >>> round(found.elpd, 3), round(found.se, 3)
    (-2.826, 1.087)
    >>> found.effects["pit"].round(2).tolist()
    [0.15, 0.5, 0.93]
    """
    import pandas as pd

    model = model_of(post, "loo")
    groups = grouping(model, by)
    found: list[Deleted | None] = [None] * len(groups.names)
    told = np.full((model.blocks.k, 5), np.nan)
    for number, one in deletions(post, groups, "loo"):
        told[one.rows] = _predicted(one, model.blocks.y[one.rows], post.level)
        found[number] = _light(one)
    each = [one for one in found if one is not None]
    elpd, lpd = np.array([one.elpd for one in each]), np.array([one.lpd for one in each])
    m = len(each)
    pointwise = pd.DataFrame(
        {"elpd": elpd, "p_loo": lpd - elpd, "k": [one.k for one in each], "source": [one.source for one in each]},
        index=pd.Index(groups.names, name=groups.kind),
    )
    effects = pd.DataFrame(
        np.column_stack([model.blocks.y, told]),
        columns=["y", "mean", "sd", "low", "high", "pit"],
        index=pd.Index(model.labels, name="effect"),
    )
    return Loo(
        elpd=float(elpd.sum()), se=_sum_error(elpd), p_loo=float((lpd - elpd).sum()), pointwise=pointwise,
        effects=effects, refitted=sum(one.source == "refit" for one in each), level=post.level,
        notes=(*deletion_notes(each, groups, "predictive density"), *_caution(m)),
    )  # fmt: skip


def _sum_error(values: FloatArray) -> float:
    return math.sqrt(len(values) * float(np.var(values, ddof=1)))


def _caution(m: int) -> tuple[str, ...]:
    if m >= MANY:
        return ()
    return (f"{m} groups are few for a standard error of elpd: it is likely too small",)


def _light(one: Deleted) -> Deleted:
    """Without the arrays, which nobody asks for any more."""
    from dataclasses import replace

    nothing = np.empty(0)
    return replace(one, nodes=None, e=nothing, X=nothing, S=nothing)  # type: ignore[arg-type]


def _predicted(one: Deleted, y: FloatArray, level: float) -> FloatArray:
    """(n, 5): mean, sd, interval, and P(prediction < y) of each effect that was left out."""
    told = np.full((len(y), 5), np.nan)
    if one.source == "none":
        return told
    weight, error = one.nodes.weight, one.error
    sd = np.sqrt(np.diagonal(one.spread, axis1=1, axis2=2))
    for i in range(len(y)):
        centre = y[i] - error[:, i]
        mean = float(weight @ centre)
        law = GaussianMixture(weight, centre, sd[:, i])
        rest = (1 - level) / 2
        told[i] = (
            mean, math.sqrt(float(weight @ (sd[:, i] ** 2 + (centre - mean) ** 2))), law.quantile(rest),
            law.quantile(1 - rest), min(float(ndtr(error[:, i] / sd[:, i]) @ weight), 1.0),
        )  # fmt: skip
    return told


def compare_loo(posts: Mapping[str, Posterior], by: str | Sequence[object] | None = None) -> pd.DataFrame:
    """Models of the same effects by what they predict when it is left out.

    Parameters
    ----------
    posts : mapping
        Name to posterior, two or more.
    by : str or (k,) sequence, optional
        As for `loo`.

    Returns
    -------
    DataFrame
        One row per model, the best first: elpd, se, p_loo, difference (to the best, 0 or below), difference_se (of
        paired differences), refitted. `attrs["notes"]`: what every reader must be told, above all that a difference
        below 4, or a standard error from fewer than 100 groups, says little.

    Raises
    ------
    ModelError
        When the models rest on different effects.

    References
    ----------
    [@vehtari2017]

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> from catharsis.bayes.priors import Priors
    >>> data = {"yi": [0.1, 0.4, 0.9, 1.4], "vi": [0.02, 0.03, 0.05, 0.02]}
    >>> common = fit_bayes(**data, priors=Priors.parse({"tau": "fixed(0)"}))
    >>> frame = compare_loo({"common": common, "random": fit_bayes(**data)})
    >>> frame.index.tolist(), frame["difference"].round(1).tolist()
    (['random', 'common'], [0.0, -25.9])
    """
    import pandas as pd

    if not isinstance(posts, Mapping) or len(posts) < 2:
        raise ModelError('compare_loo takes two posteriors or more by name: {"with": post, "without": other}')
    models = {name: model_of(post, "compare_loo") for name, post in posts.items()}
    first = next(iter(models))
    data = sorted(zip(models[first].labels, models[first].blocks.y.tolist(), strict=True))
    for name, model in models.items():
        if sorted(zip(model.labels, model.blocks.y.tolist(), strict=True)) != data:
            raise ModelError(f'"{name}" and "{first}" rest on different effects; their elpds cannot be compared')
        if by is None and model.labels != models[first].labels:
            raise ModelError(f'"{name}" and "{first}" hold the effects in different orders; fit them to the same data')
    found = {name: loo(post, by) for name, post in posts.items()}
    order = sorted(found, key=lambda name: (math.isnan(found[name].elpd), -found[name].elpd))
    best = found[order[0]].pointwise["elpd"]
    rows = {}
    for name in order:
        it = found[name]
        pairs = it.pointwise["elpd"].to_numpy() - best.to_numpy()
        spread = 0.0 if name == order[0] else _sum_error(pairs)
        rows[name] = (it.elpd, it.se, it.p_loo, float(pairs.sum()), spread, it.refitted)
    columns = ["elpd", "se", "p_loo", "difference", "difference_se", "refitted"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    notes = [f"{name}: {note}" for name in order for note in found[name].notes if note not in _caution(len(best))]
    unclear = [name for name in order[1:] if abs(rows[name][3]) < SMALL]
    if unclear:
        notes.append(f"a difference in elpd below {SMALL:g} is small: no telling {order[0]} from {', '.join(unclear)}")
    if len(best) < MANY:
        notes.append(
            f"the standard errors rest on {len(best)} groups; below {MANY} they are too small and the difference is "
            "far from normal (Sivula, Magnusson, Matamoros and Vehtari 2020)"
        )
    frame.attrs["notes"] = tuple(notes)
    return frame
