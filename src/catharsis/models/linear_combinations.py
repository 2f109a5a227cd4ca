"""Linear combinations of the coefficients, one by one and together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.result import Fit


def combinations(model: Fit, L: Sequence[Sequence[float]] | FloatArray, rhs: float | FloatArray = 0.0) -> pd.DataFrame:
    """Linear combinations of the coefficients, each tested against `rhs`.

    Parameters
    ----------
    L : (c, p) array
        One combination per row.
    rhs : float or (c,) array
        Their values under the hypothesis.

    Returns
    -------
    pandas.DataFrame
        Columns estimate, se, statistic, df, p, low, high.

    Raises
    ------
    ModelError
        When L does not have one column per coefficient.
    """
    import pandas as pd

    rows = _combined(model, L)
    estimate = rows @ model.beta
    se = np.sqrt(np.einsum("ij,jk,ik->i", rows, model.cov, rows))
    df = np.array([model.df_at(row) for row in rows])
    reach = critical_value(model.level, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (estimate - _numbers(rhs, "rhs")) / se
    return pd.DataFrame(
        {"estimate": estimate, "se": se, "statistic": statistic, "df": df,
         "p": two_sided_p(statistic, df), "low": estimate - reach, "high": estimate + reach}
    )  # fmt: skip


def joint_test(model: Fit, L: Sequence[Sequence[float]] | FloatArray, rhs: float | FloatArray = 0.0) -> Wald:
    """Joint test that the linear combinations `L` (c, p) of the coefficients equal `rhs`; nan like `wald`.

    Raises
    ------
    ModelError
        When L does not have one column per coefficient, or its rows repeat each other.
    """
    rows, rhs = _combined(model, L), _numbers(rhs, "rhs")
    if np.linalg.matrix_rank(rows) < len(rows):
        raise ModelError("the combinations repeat each other: remove a row that follows from the others")
    if model.scale == 0:
        return Wald(float("nan"), len(rows), model.df, float("nan"))
    if model.adjusted is not None:
        return model.adjusted.wald(rows @ model.beta - rhs, rows)
    return wald_test(rows @ model.beta - rhs, rows @ model.cov @ rows.T, min(map(model.df_at, rows)))


def _combined(model: Fit, L: Sequence[Sequence[float]] | FloatArray) -> FloatArray:
    rows = np.atleast_2d(_numbers(L, "L"))
    if rows.ndim != 2 or rows.shape[1] != model.blocks.p:
        raise ModelError(
            f"L has shape {rows.shape}; it needs one column for each of the {model.blocks.p} coefficients: "
            + ", ".join(model.design.terms)
        )
    return rows


def _numbers(values: Any, name: str) -> FloatArray:
    """Finite numbers from what a caller gave."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if not np.isfinite(found).all():
        raise ModelError(f"{name} holds a value that is not finite")
    return found
