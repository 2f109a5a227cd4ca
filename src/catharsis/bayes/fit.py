"""`fit_bayes`: one entry for both engines, taking the arguments of `models.fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.bayes.fitted import Fitted
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Priors
from catharsis.bayes.study_effects import distinct
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.blocks import Blocks, make_blocks, sampling_variances
from catharsis.likelihood.data import ModelData, check_data, read_data, sampling_blocks
from catharsis.likelihood.design import Design, design_matrix, intercept_only, refuse_collinear
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
    X_partial: Any = None,
    priors: Priors | None = None,
    engine: Literal["exact", "nuts"] = "exact",
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    draws: int = 4000,
    chains: int = 4,
    seed: int = 1,
    distribution: str = "normal",
    effects: Literal["integrated", "sampled"] | None = None,
) -> Posterior:
    """Fit a Bayesian meta-analytic model.

    Parameters
    ----------
    formula, data, yi, vi, X, V, random, struct, reference, levels
        As for `catharsis.fit`.
    partial : PartialEvidence, optional
        Studies that report a sign or a verdict instead of numbers, on the scale of `yi`; see
        `catharsis.partial_evidence`. With them, estimates may be missing altogether.
    X_partial : DataFrame or (r, p) array, optional
        Moderators of the partial rows, for engine="nuts": the columns that the formula names, or rows like those of X.
    priors : Priors, optional
        By default normal(0, 1) on coefficients and half-normal(0.5) on tau: made for standardised scales.
    engine : str
        "exact" (quadrature) or "nuts" (PyMC).
    level : float
        Probability of the central intervals.
    draws, chains, seed : int
        For NUTS.
    distribution : str
        Of the true effects of studies, the levels of the first random term: "normal"; "t" with estimated degrees of
        freedom or "t(4)" with known ones; "outliers", a mixture of two normals, after which `outliers` of the posterior
        says which studies come from the wider one. Others than "normal" need engine="nuts".
    effects : str, optional
        For NUTS: true effects "integrated" out of the likelihood (by default, wherever possible) or "sampled"
        (non-centred), the same posterior by another route.

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
    if engine == "exact" and distribution != "normal":
        raise ModelError(
            f'distribution="{distribution}" needs a sampler: quadrature knows normal effects only; use engine="nuts"'
        )
    if engine == "exact" and effects is not None:
        raise ModelError("effects= chooses how NUTS treats true effects; the exact engine integrates them out always")
    if partial is not None and (distribution != "normal" or effects is not None):
        raise ModelError("with partial evidence study effects are normal: leave out distribution= and effects=")
    if priors is not None and not isinstance(priors, Priors):
        raise ModelError(
            f"priors= takes Priors, not {shown(priors)}; texts become Priors by "
            'Priors.parse({"mu": "normal(0, 1)", "tau": "half-normal(0.5)"})'
        )
    if X_partial is not None and (partial is None or engine == "exact"):
        raise ModelError('X_partial holds the moderators of partial rows; it needs partial= and engine="nuts"')
    if partial is not None and engine == "nuts":
        if V is not None or random is not None or struct is not None:
            raise ModelError(
                "with partial evidence every study has one effect and independent sampling errors: leave out V=, "
                "random= and struct="
            )
        some, more = _with_moderators(formula, data, yi, vi, X, len(partial), X_partial, reference, levels)
        if some is not None:
            check_data(replace(some, design=intercept_only(len(some.yi))), level)
        return _partial_sampled(some, partial, more, priors or Priors(), level, draws, chains, seed)
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

        return nuts.posterior(
            blocks, given.design.terms, labels, chosen, level, draws=draws, chains=chains, seed=seed,
            distribution=distribution, effects=effects, members=[member.get(label, label) for label in labels],
        )  # fmt: skip

    groups, names = ({}, {}) if found is None else (found.groups, found.levels)
    labels = distinct(given.labels)
    member: dict[str, str] = {}  # effect to its study, the level of the first random term
    if found is not None:
        first = found.factors[0][0] if found.factors else next(iter(found.groups))
        member = {label: names[first][code] for label, code in zip(labels, groups[first].tolist(), strict=True)}
    model = Fitted(blocks=blocks, labels=labels, groups=groups, levels=names, fit=fitted)
    return replace(fitted(blocks, labels), model=model)


def _with_partial(given: ModelData | None, partial: PartialEvidence, priors: Priors, level: float) -> Posterior:
    """Estimates, if there are any, and partial rows."""
    from catharsis.bayes import partial as all_evidence

    none = np.empty(0)
    if given is None:
        interval_level(level)
        return all_evidence.posterior(none, none, partial, (), priors, level)
    return all_evidence.posterior(given.yi, given.vi, partial, distinct(given.labels), priors, level)


def _with_moderators(
    formula: str | None, data: Any, yi: Any, vi: Any, X: Any, r: int, X_partial: Any, reference: Any, levels: Any
) -> tuple[ModelData | None, Design]:
    """Estimates, if there are any, and the design of the partial rows, which share factors and terms with them."""
    rows = getattr(X_partial, "shape", None)
    if rows is not None and rows[0] != r:
        raise ModelError(f"X_partial has {rows[0]} rows for {r} partial rows")
    if formula is not None:
        given = read_data(formula, data, yi, vi, X, reference, levels)
        if given.design.terms == ("intercept",):
            return given, intercept_only(r)
        if X_partial is None or not hasattr(X_partial, "columns"):
            raise ModelError(
                "the partial rows need the moderators that the formula names: give X_partial, a data frame"
            )
        import pandas as pd

        both = design_matrix(formula, pd.concat([data, X_partial], ignore_index=True), reference, levels)
        k = len(given.yi)
        return replace(given, design=replace(both, X=both.X[:k])), replace(both, X=both.X[k:])
    some = None if yi is None else read_data(None, None, yi, vi, X, reference, levels)
    p = 1 if some is None else some.design.X.shape[1]
    if X_partial is None:
        if p > 1:
            raise ModelError(f"the partial rows need moderators too: give X_partial, {r} rows like those of X")
        return some, intercept_only(r)
    try:
        matrix = np.asarray(X_partial, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("X_partial holds something that is not a number") from None
    if matrix.ndim != 2 or len(matrix) != r or not np.isfinite(matrix).all() or matrix.shape[1] == 0:
        raise ModelError(f"X_partial has shape {matrix.shape}; it needs {r} rows of finite numbers")
    if some is not None:
        if matrix.shape[1] != p:
            raise ModelError(f"X_partial has {matrix.shape[1]} columns and X has {p}")
        both_rows = np.concatenate([some.design.X, matrix])
        refuse_collinear(both_rows, some.design.terms)
        return some, Design(matrix, some.design.terms, {}, {})
    terms = ("intercept" if np.all(matrix[:, 0] == 1) else "x1", *(f"x{i + 1}" for i in range(1, matrix.shape[1])))
    return None, Design(matrix, terms, {}, {})


def _partial_sampled(
    given: ModelData | None, partial: PartialEvidence, more: Design, priors: Priors, level: float, draws: int,
    chains: int, seed: int,
) -> Posterior:  # fmt: skip
    from catharsis.bayes import sampled_partial

    interval_level(level)
    none, run = np.empty(0), {"draws": draws, "chains": chains, "seed": seed}
    if given is None:
        X = np.empty((0, more.X.shape[1]))
        return sampled_partial.posterior(none, none, X, (), partial, more.X, more.terms, priors, level, **run)
    return sampled_partial.posterior(
        given.yi, given.vi, given.design.X, distinct(given.labels), partial, more.X, more.terms, priors, level, **run
    )
