"""One odds ratio common to all studies by Peto's one-step method, good for rare events in balanced trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.counts import adjusted, hypergeometric_score, read_counts
from catharsis.models.count_estimates import (
    EqualEffects,
    heterogeneity_around,
    pair,
    shown_effects,
)
from catharsis.models.wald import Wald
from catharsis.numerics import chi2_upper

if TYPE_CHECKING:
    import pandas as pd


def peto(
    *,
    ai: Any = None,
    bi: Any = None,
    ci: Any = None,
    di: Any = None,
    n1i: Any = None,
    n2i: Any = None,
    data: pd.DataFrame | None = None,
    add: float | tuple[float, float] = 0.5,
    to: str | tuple[str, str] = "only0",
    drop00: bool | tuple[bool, bool] = True,
    level: float = 0.95,
) -> EqualEffects:
    """Pool 2 x 2 tables by Peto's one-step estimate of the log odds ratio.

    Parameters
    ----------
    ai, bi, ci, di, n1i, n2i : (k,) arrays or column names
        Events and non-events in group 1 (ai, bi) and 2 (ci, di); group sizes may stand for the non-events.
    data : pandas.DataFrame, optional
        Where column names are looked up; its index names the studies.
    add, to, drop00 : value or pair of values
        As for `mantel_haenszel`.
    level : float
        Probability of the interval.

    Returns
    -------
    EqualEffects
        QE is the spread of the one-step estimates of the studies around the common one.

    Raises
    ------
    ModelError
        When counts are missing or impossible, or when no study has both events and non-events.

    Notes
    -----
    Sum of (observed - expected) events of group 1 over the sum of their hypergeometric variances. Biased when the
    groups are of very different sizes or the effect is large.

    References
    ----------
    [@yusuf1985]

    Examples
    --------
    >>> found = peto(ai=[4, 6, 3], n1i=[123, 306, 231], ci=[11, 29, 11], n2i=[139, 303, 220])
    >>> found.params.round(4).to_dict(), found.bse.round(4).to_dict()
    ({'intercept': -1.2373}, {'intercept': 0.2566})
    """
    interval_level(level)
    columns = {"ai": ai, "bi": bi, "ci": ci, "di": di, "n1i": n1i, "n2i": n2i}
    counts, _, notes = read_counts("PETO", columns, data)
    (add1, add2), (to1, to2) = pair(add, 0.0, "add"), pair(to, "none", "to")
    drop1, drop2 = pair(drop00, False, "drop00")
    yi, vi, told = shown_effects("PETO", counts, add1, to1, drop1)
    tables, used = adjusted(counts, add2, to2, drop2)
    tables = tables.rows(used)
    score, variance = hypergeometric_score(tables)
    information = float(variance.sum())
    if information == 0:
        raise ModelError("no study has both events and non-events, so there is no odds ratio to pool")
    if not used.all():
        told = (*told, f"{int((~used).sum())} of {counts.k} studies left out of the pooled estimate")
    estimate = float(score.sum()) / information
    here = variance > 0
    q = max(float(np.sum(score[here] ** 2 / variance[here])) - estimate**2 * information, 0.0)
    around, llf = heterogeneity_around(yi, vi, estimate)
    return EqualEffects(
        measure="PETO", beta=np.array([estimate]), cov=np.array([[1 / information]]), df=float("inf"),
        terms=("intercept",), nobs=tables.k, yi=yi, vi=vi, llf=llf, level=level, labels=counts.labels,
        notes=notes + told,
        QE=Wald(q, around.df1, float("inf"), chi2_upper(q, around.df1) if around.df1 else 1.0),
    )  # fmt: skip
