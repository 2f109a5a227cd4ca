"""Which models of counts there are, and their moderators: what both schools ask of the arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.design import Design, design_matrix, intercept_only, refuse_collinear

MODELS: Mapping[str, tuple[str, ...]] = {
    "OR": ("UM.FS", "UM.RS", "CM.EL", "CM.AL"), "IRR": ("UM.FS", "UM.RS", "CM.EL"), "PLO": (), "IRLN": (),
}  # fmt: skip
CODINGS = (0.5, 1.0, 0.0)


def check_count_model(measure: str, model: str, coding: float, cor: bool) -> None:
    """Refuse a model of counts that does not exist; see `fit_counts` for the arguments.

    Raises
    ------
    ModelError
        For an unknown measure, model or coding, or a correlation that the model does not have.
    """
    if measure not in MODELS:
        raise ModelError(f'there is no model of counts for "{measure}": {did_you_mean(measure, [*MODELS])}')
    if MODELS[measure] and model not in MODELS[measure]:
        raise ModelError(f'{measure} has no model "{model}": {did_you_mean(model, MODELS[measure])}')
    if coding not in CODINGS:
        raise ModelError(f"coding is {coding}: use 1/2, 1 or 0")
    if cor and model != "UM.RS":
        raise ModelError("cor=True correlates random levels with random effects; it needs model='UM.RS'")


def count_design(formula: str | None, X: Any, data: Any, kept: Any, reference: Any, levels: Any) -> Design:
    """The moderators of the studies that are left.

    Parameters
    ----------
    formula : str or None
        Moderators, looked up in `data`.
    X : (k, p) array or None
        Moderators, intercept included, instead.
    data : DataFrame or None
    kept : (m,) array
        Positions of the studies that are left.
    reference, levels : dict or None
        Of factors.

    Raises
    ------
    ModelError
        Names the row or the argument.
    """
    if formula is not None and X is not None:
        raise ModelError("give moderators as a formula or as X, not both")
    if formula is not None:
        if data is None:
            raise ModelError("a formula needs data")
        return design_matrix(formula, data.iloc[kept], reference, levels)
    if X is None:
        return intercept_only(len(kept))
    try:
        matrix = np.array(X, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("X holds something that is not a number") from None
    if matrix.ndim != 2 or len(matrix) <= kept.max() or matrix.shape[1] == 0:
        raise ModelError(f"X has shape {matrix.shape}; it needs one row for each study")
    matrix = matrix[kept]
    if not np.isfinite(matrix).all():
        bad = int(kept[np.argmin(np.isfinite(matrix).all(axis=1))])
        raise ModelError(f"X holds a value that is not finite in row {bad + 1}")
    first = "intercept" if np.all(matrix[:, 0] == 1) else "x1"
    terms = (first, *(f"x{i + 1}" for i in range(1, matrix.shape[1])))
    refuse_collinear(matrix, terms)
    return Design(matrix, terms, {}, {})
