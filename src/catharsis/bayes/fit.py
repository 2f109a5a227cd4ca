"""`fit_bayes`: one entry for both engines, taking the arguments of `models.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.bayes.fitted import Fitted
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.blocks import Blocks, make_blocks, sampling_variances
from catharsis.likelihood.data import ModelData, check_data, read_data, sampling_blocks
from catharsis.likelihood.random_effects import random_effects
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.likelihood.partial import PartialEvidence

ENGINES = ("exact", "nuts")


def fit_bayes(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    V: Any = None,
    random: str | Sequence[str] | None = None,
    struct: str | Sequence[str] | None = None,
    partial: PartialEvidence | None = None,
    priors: Priors | None = None,
    engine: Literal["exact", "nuts"] = "exact",
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
) -> Posterior:
    """Fit a Bayesian meta-analytic model.

    Parameters
    ----------
    formula, data, yi, vi, X, V, random, struct, reference, levels
        As for `catharsis.fit`.
    partial : PartialEvidence, optional
        Studies that report a sign or a verdict instead of numbers, on the scale of `yi`; see
        `catharsis.partial_evidence`. With them, estimates may be missing altogether.
    priors : Priors, optional
        By default normal(0, 1) on coefficients and half-normal(0.5) on tau: made for standardised scales.
    engine : str
        "exact" (quadrature) or "nuts" (PyMC).
    level : float
        Probability of the central intervals.
    draws, chains, seed : int
        For NUTS.

    Returns
    -------
    Posterior

    Raises
    ------
    ModelError
        When the data cannot carry the model, the posterior is improper, or the engine cannot fit it.

    References
    ----------
    [@roever2020; @hoffman2014]

    Examples
    --------
    >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
    >>> round(post.mu.mean, 3), round(post.tau.median, 3)
    (0.403, 0.366)
    """
    if engine not in ENGINES:
        raise ModelError(f'there is no engine "{engine}": {did_you_mean(engine, ENGINES)}')
    if partial is not None and formula is None and yi is None:
        return _with_partial(None, partial, priors or Priors(), level)
    given = read_data(formula, data, yi, vi, X, reference, levels)
    k = len(given.yi)
    tied = None if V is None else sampling_blocks(V, k, given.labels)
    variances = given.vi if tied is None else sampling_variances(tied, given.vi)
    check_data(given, level)
    if partial is not None and engine == "exact":
        if V is not None or random is not None or given.design.terms != ("intercept",):
            raise ModelError(
                "with partial evidence the exact engine takes one average and one tau: leave out moderators, V= and "
                'random=, or use engine="nuts"'
            )
        return _with_partial(given, partial, priors or Priors(), level)
    found = None if random is None else random_effects(random, struct, data, k, {}, None)
    if found is None and struct is not None:
        raise ModelError("struct= belongs to models with random=; this one has none")
    blocks = make_blocks(
        given.yi, given.design.X, variances,
        [("effect", np.arange(k, dtype=np.int64))] if found is None else found.factors,
        tied, () if found is None else found.terms,
    )  # fmt: skip
    chosen = priors or Priors()
    chosen.check(given.design.terms, blocks.factors, None if data is None else data.attrs.get("measure"))

    def fitted(blocks: Blocks, labels: tuple[str, ...], engine: str = engine) -> Posterior:
        """Kept with the posterior, so that criticism can fit the same model to fewer effects."""
        if engine == "exact":
            from catharsis.bayes import exact, exact_components

            one = len(blocks.factors) == 1 and not blocks.structures and not chosen.heavy(given.design.terms)
            way = exact.posterior if one else exact_components.posterior
            return way(blocks, given.design.terms, labels, chosen, level)
        from catharsis.bayes import nuts

        return nuts.posterior(blocks, given.design.terms, labels, chosen, level, draws=draws, chains=chains, seed=seed)

    groups, names = ({}, {}) if found is None else (found.groups, found.levels)
    labels = distinct(given.labels)
    model = Fitted(blocks=blocks, labels=labels, groups=groups, levels=names, fit=fitted)
    return replace(fitted(blocks, labels), model=model)


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels told apart: the second "Lee" becomes "Lee (2)".

    Examples
    --------
    >>> distinct(["Lee", "Kim", "Lee"])
    ('Lee', 'Kim', 'Lee (2)')
    """
    found: list[str] = []
    taken, met = set(labels), set()
    counts: dict[str, int] = {}
    for label in labels:
        name = label
        while name in met or (name != label and name in taken):
            counts[label] = counts.get(label, 1) + 1
            name = f"{label} ({counts[label]})"
        found.append(name)
        met.add(name)
    return tuple(found)


def _with_partial(given: ModelData | None, partial: PartialEvidence, priors: Priors, level: float) -> Posterior:
    """Estimates, if there are any, and partial rows."""
    from catharsis.bayes import partial as all_evidence

    none = np.empty(0)
    if given is None:
        interval_level(level)
        return all_evidence.posterior(none, none, partial, (), priors, level)
    return all_evidence.posterior(given.yi, given.vi, partial, distinct(given.labels), priors, level)
