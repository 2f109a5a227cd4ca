"""Variance inflation: how much the moderators' overlap costs in precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray


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
