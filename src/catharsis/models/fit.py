"""`fit`: one entry for every Gaussian frequentist model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import make_blocks
from catharsis.likelihood.data import check_data, random_factors, read_data, sampling_blocks
from catharsis.models.knapp_hartung import TESTS, Test
from catharsis.models.multilevel import fit_multilevel
from catharsis.models.result import Fit
from catharsis.models.univariate import fit_univariate
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


def fit(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    V: Sequence[tuple[IntArray, FloatArray]] | FloatArray | None = None,
    random: str | None = None,
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
    V : list of (rows, block) or (k, k) array, optional
        Sampling covariance, from `sampling_covariance` or in full; its diagonal replaces `vi`.
    random : str, optional
        Random intercepts: "study", nested "study/effect", crossed "study + species"; None is one per
        effect, or nothing but V when `V` is given.
    method : str
        EE, DL, HE, PM, ML or REML; ML or REML when `random` is given; with V alone nothing is left to
        estimate and EE is meant.
    test : str, optional
        z, t, knha or adhoc (modified Knapp-Hartung); by default knha for univariate models and z
        otherwise.
    df : str
        For test="t" with random factors: "residual" (k - p) or "contain" (levels of the outermost factor minus
        p: exact for coefficients between its levels, cautious for those within).
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
    tied = None if V is None else sampling_blocks(V, len(effects))
    for rows, block in tied or ():
        variances[rows] = np.diag(block)
    check_data(given, level)
    notes: list[str] = []
    if random is None and tied is None:
        return fit_univariate(effects, variances, design, labels, method, _test(test or "knha"), level, notes)
    if test in ("knha", "adhoc"):
        raise ModelError(
            f"{test} belongs to univariate models; with random factors use test='z' and robust(cluster, 'CR2')"
        )
    if random is None:
        method = "EE"
    elif method not in ("REML", "ML"):
        raise ModelError(f"{method} belongs to univariate models; with random factors use REML or ML")
    factors = random_factors(random, data, len(effects))
    blocks = make_blocks(effects, design.X, variances, factors, tied)
    return fit_multilevel(
        blocks, variances, design, labels, method, _test(test or "z"), level, notes, dict(factors), df
    )


def _test(test: str) -> Test:
    if test not in TESTS:
        raise ModelError(f'there is no test "{test}": {did_you_mean(test, list(TESTS))}')
    return test  # type: ignore[return-value]
