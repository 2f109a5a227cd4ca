"""Variance inflation: how much the moderators' overlap costs in precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit


def inflation(cov: FloatArray, groups: Sequence[Sequence[int]] | None = None) -> FloatArray:
    """Generalised variance inflation factors of groups of coefficients.

    Parameters
    ----------
    cov : (q, q) array
        Covariance of the coefficients, the intercept's left out.
    groups : sequence of sequences of int, optional
        Positions that belong together (the dummies of a factor); one coefficient each by default.

    Returns
    -------
    (len(groups),) array
        det(R_11) det(R_22) / det(R) of the coefficients' correlation R; for one coefficient the usual factor, 1 when
        it shares nothing with the others.

    Raises
    ------
    ModelError
        If fewer than two coefficients, or a position is unknown.

    Notes
    -----
    Fox and Monette (1992), Journal of the American Statistical Association.

    Examples
    --------
    >>> inflation(np.array([[1.0, 0.6], [0.6, 1.0]])).round(4).tolist()
    [1.5625, 1.5625]
    """
    q = len(cov)
    if q < 2:
        raise ModelError("variance inflation compares moderators with each other; this model has fewer than two")
    sd = np.sqrt(np.diag(cov))
    R = cov / np.outer(sd, sd)
    whole = np.linalg.slogdet(R)[1]
    found = []
    for group in groups if groups is not None else [[i] for i in range(q)]:
        inside = np.asarray(group, dtype=np.int64)
        if len(inside) == 0 or inside.min() < 0 or inside.max() >= q:
            raise ModelError(f"positions {list(group)} are not among the {q} coefficients")
        outside = np.setdiff1d(np.arange(q), inside)
        logs = [np.linalg.slogdet(R[np.ix_(part, part)])[1] for part in (inside, outside)]
        found.append(np.exp(sum(logs) - whole))
    return np.array(found)


def moderator_inflation(model: Fit) -> pd.DataFrame:
    """Variance inflation of each moderator, a factor's dummies taken together (generalised factor).

    Returns
    -------
    pandas.DataFrame
        Index: moderators; columns coefficients (their number), vif, and sif = vif^(1 / (2 coefficients)), the
        factor by which a confidence interval is wider than without the overlap.

    Raises
    ------
    ModelError
        With fewer than two moderator coefficients.
    """
    import pandas as pd

    keep = [i for i, term in enumerate(model.design.terms) if term != "intercept"]
    place = {position: i for i, position in enumerate(keep)}
    groups = {name: [place[i] for i in columns] for name, columns in model.design.columns.items()}
    single = [i for i in place.values() if not any(i in group for group in groups.values())]
    groups.update({model.design.terms[keep[i]]: [i] for i in single})
    values = inflation(model.cov[np.ix_(keep, keep)], list(groups.values()))
    sizes = [len(group) for group in groups.values()]
    return pd.DataFrame(
        {"coefficients": sizes, "vif": values, "sif": values ** (0.5 / np.array(sizes))}, index=list(groups)
    )
