"""Averages at the levels of a factor, and their differences from the reference level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit


def level_means(model: Fit, factor: str) -> pd.DataFrame:
    """Model-based mean at each level of a factor, other moderators at their mean.

    Returns
    -------
    pandas.DataFrame
        Index: levels; columns estimate, se, low, high.
    """
    import pandas as pd

    rows = [model.predict(_row_at(model, factor, level)) for level in _levels(model, factor)]
    return pd.DataFrame(
        {name: [getattr(row, name) for row in rows] for name in ("estimate", "se", "low", "high")},
        index=list(_levels(model, factor)),
    )


def level_contrasts(model: Fit, factor: str) -> pd.DataFrame:
    """Each level of a factor against its reference level.

    Returns
    -------
    pandas.DataFrame
        Index: levels but the reference; columns estimate, se, low, high, p.
    """
    import pandas as pd

    first, *others = _levels(model, factor)
    rows = np.array([_row_at(model, factor, level) - _row_at(model, factor, first) for level in others])
    estimate = rows @ model.beta
    se = np.sqrt(np.einsum("ij,jk,ik->i", rows, model.cov, rows))
    df = np.array([model.df_at(row) for row in rows])
    reach = critical_value(model.level, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = two_sided_p(estimate / se, df)
    return pd.DataFrame(
        {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach, "p": p}, index=others
    )


def _levels(model: Fit, factor: str) -> tuple[str, ...]:
    if factor not in model.design.factors:
        raise ModelError(
            f'"{factor}" is not a factor of this model: {did_you_mean(factor, list(model.design.factors))}'
        )
    if any(":" in term and f"{factor}[" in term for term in model.design.terms):
        raise ModelError(f"{factor} interacts with another moderator: its levels have no single mean; use predict(x)")
    return model.design.factors[factor]


def _row_at(model: Fit, factor: str, level: str) -> FloatArray:
    row: FloatArray = model.blocks.X.mean(axis=0)
    for position in model.design.columns[factor]:
        row[position] = float(model.design.terms[position] == f"{factor}[{level}]")
    return row
