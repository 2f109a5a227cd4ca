"""`fit`: one entry for every Gaussian frequentist model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import make_blocks, sampling_variances
from catharsis.likelihood.data import check_data, read_data, sampling_blocks
from catharsis.likelihood.random_effects import random_effects
from catharsis.models.knapp_hartung import TESTS, Test
from catharsis.models.multilevel import fit_multilevel
from catharsis.models.result import Fit
from catharsis.models.univariate import fit_univariate
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def fit(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    V: Any = None,
    random: str | Sequence[str] | None = None,
    struct: str | Sequence[str] | None = None,
    R: Mapping[str, pd.DataFrame] | None = None,
    sigma2: float | Sequence[float | None] | None = None,
    tau2: float | Sequence[float | None] | None = None,
    rho: float | Sequence[float | None] | None = None,
    gamma2: float | Sequence[float | None] | None = None,
    phi: float | Sequence[float | None] | None = None,
    weights: str | Sequence[float] | FloatArray | None = None,
    method: str = "REML",
    test: str | None = None,
    df: Literal["residual", "contain"] = "residual",
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> Fit:
    """Fit a meta-analytic model.

    Parameters
    ----------
    formula : str, optional
        "yi ~ moderators"; the left side names the effect column. Without it `yi`, `vi`, `X` are arrays.
    data : pandas.DataFrame, optional
        One row per effect.
    yi : (k,) array, optional
        Effects, when there is no formula.
    vi : str or (k,) array
        Sampling variances, or their column.
    X : (k, p) array, optional
        Moderators, intercept included.
    V : list of (rows, block), (k, k) array or scipy.sparse matrix, optional
        Sampling covariance, from `sampling_covariance` or in full; its diagonal replaces `vi`.
    random : str or list of str, optional
        Random intercepts: "study", nested "study/effect", crossed "study + species"; structured random effects:
        "outcome | trial" (effects of one trial covary through their outcomes); a list, or "+", for several. In a
        list the left side of "|" may hold several columns: "lat + long | region", "dose + year | study". None is
        one random effect per effect size, or nothing but V when `V` is given.
    struct : str or list of str, optional
        How the inner levels of "inner | outer" terms (at most two) covary. Factors: CS (one variance, one correlation;
        the default), HCS (a variance for each level), UN (unstructured), ID and DIAG (no correlation), AR and HAR
        (levels in equal steps). Numbers: CAR (times), SPEXP, SPGAU, SPLIN, SPRAT, SPSPH (places). Covariates: GEN
        and GDIAG (random slopes, with an intercept unless "- 1" says otherwise).
    R : dict of pandas.DataFrame, optional
        Random factor to the known correlation of its levels (a phylogeny), labelled by level.
    sigma2, tau2, rho, gamma2, phi : float or list, optional
        Values at which variances and correlations of random effects are held; None or nan is estimated. sigma2
        for the random intercepts in order, tau2 and rho for the first, gamma2 and phi for the second "inner | outer"
        term, in the order of `components()`.
        Without `random`, tau2 is the one between-study variance.
    weights : str or (k,) array, optional
        Weights of the effects (univariate models), or their column, instead of the inverse variances: of the
        coefficients, whose covariance then allows for them, and of the GENQ and GENQM estimates of tau^2. Equal
        weights give the unweighted model.
    method : str
        EE, DL, HE, HS, HSk, SJ, PM, EB, PMM, ML, REML, GENQ or GENQM (with `weights`); ML or REML when `random` is
        given; with V alone nothing is left to estimate and EE is meant.
    test : str, optional
        z, t, knha, adhoc (modified Knapp-Hartung) or kr (Kenward-Roger, with REML); by default knha for univariate
        models and z otherwise.
    df : str
        For test="t" with random factors: "residual" (k - p) or "contain" (for each coefficient, levels of the
        grouping factor within which its column does not vary minus p, or k - p when there is no such factor).
    level : float
        Probability of the intervals.
    reference, levels : dict, optional
        Reference level and order of the levels of factors.

    Returns
    -------
    Fit

    Raises
    ------
    ModelError
        When the data cannot carry the model; names the rows and the cure.

    References
    ----------
    [@viechtbauer2010a; @raudenbush2009; @vandennoortgate2013]

    Examples
    --------
    >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
    >>> model.params.round(4).to_dict(), round(model.tau2, 4)
    ({'intercept': 0.441}, 0.1225)
    """
    given = read_data(formula, data, yi, vi, X, reference, levels)
    effects, variances, design, labels = given.yi, given.vi, given.design, given.labels
    tied = None if V is None else sampling_blocks(V, len(effects), labels)
    if tied is not None:
        variances = sampling_variances(tied, variances)
    check_data(given, level)
    measure = None if data is None else data.attrs.get("measure")
    notes: list[str] = []
    held = {"sigma2": sigma2, "tau2": tau2, "rho": rho, "gamma2": gamma2, "phi": phi}
    if random is None and tied is None:
        others = [value for name, value in held.items() if name != "tau2"]
        if struct is not None or R is not None or any(value is not None for value in others):
            raise ModelError("struct=, R= and held variances belong to models with random=; this one has none")
        model = fit_univariate(
            effects, variances, design, labels, method, _test(test or "knha"), level, notes,
            _weights(weights, data, labels), _one_number(tau2),
        )  # fmt: skip
        return replace(model, measure=measure)
    if weights is not None:
        raise ModelError("weights= belongs to univariate models; with random= or V= leave it out")
    if test in ("knha", "adhoc", "kr"):
        raise ModelError(
            f"{test} belongs to univariate models; with random factors use test='z' and robust(cluster, 'CR2')"
        )
    if random is None:
        if struct is not None or R is not None or any(value is not None for value in held.values()):
            raise ModelError("struct=, R= and held variances belong to models with random=; this one has V alone")
        method = "EE"
    elif method not in ("REML", "ML"):
        raise ModelError(f"{method} belongs to univariate models; with random factors use REML or ML")
    found = None if random is None else random_effects(random, struct, data, len(effects), held, R)
    blocks = make_blocks(
        effects, design.X, variances, [] if found is None else found.factors, tied,
        () if found is None else found.terms, {} if found is None else found.related,
    )  # fmt: skip
    test = _test(test or "z")
    multilevel = fit_multilevel(blocks, variances, design, labels, method, test, level, notes, found, df)
    return replace(multilevel, measure=measure)


def _weights(weights: Any, data: pd.DataFrame | None, labels: Sequence[str]) -> FloatArray | None:
    """Weights of the effects, checked: finite, not negative, not all zero."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if data is None or weights not in data.columns:
            known = [] if data is None else [str(column) for column in data.columns]
            raise ModelError(f'the data have no column "{weights}" for the weights: {did_you_mean(weights, known)}')
        weights = data[weights]
    try:
        found = np.array(weights, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("weights holds something that is not a number") from None
    if found.shape != (len(labels),):
        raise ModelError(f"weights has shape {found.shape}; it needs one number for each of the {len(labels)} effects")
    bad = ~np.isfinite(found) | (found < 0)
    if bad.any():
        where = ", ".join(labels[i] for i in np.flatnonzero(bad)[:5])
        raise ModelError(f"the weight of {where} is {found[bad][0]}; it must be finite and not negative")
    if not (found > 0).any():
        raise ModelError("all weights are zero: give at least one effect for each coefficient a weight")
    return found


def _one_number(tau2: Any) -> float | None:
    """The tau^2 at which a univariate model is held."""
    if tau2 is None:
        return None
    try:
        found = np.asarray(tau2, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"tau2 is {tau2!r}; a univariate model needs one number, its between-study variance") from None
    if found.size != 1:
        raise ModelError(f"tau2 holds {found.size} values; a univariate model has one between-study variance")
    return float(found.reshape(()))


def _test(test: str) -> Test:
    if test not in TESTS:
        raise ModelError(f'there is no test "{test}": {did_you_mean(test, list(TESTS))}')
    return test  # type: ignore[return-value]
