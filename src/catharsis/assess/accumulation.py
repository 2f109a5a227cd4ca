"""Cumulative meta-analysis: what was known after each study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.funnel_data import fitted_model
from catharsis.errors import ModelError, shown
from catharsis.likelihood.arguments import is_missing
from catharsis.models.batch import CHUNK, fit_problems, joined
from catharsis.models.deletion import certainty_notes, held, problems_of, summaries
from catharsis.models.result import Fit
from catharsis.numerics import IntArray

if TYPE_CHECKING:
    import pandas as pd


def cumulative(fit: Fit, order: Sequence[object] | None = None, collapse: bool = False) -> pd.DataFrame:
    """Fit a model to the first effect, the first two, and so on.

    Parameters
    ----------
    fit : Fit
        A univariate fit; its method and test are kept, tau^2 is estimated at each step.
    order : (k,) sequence, optional
        What the effects are sorted by, such as the year of publication; ties keep their order in the data. By
        default the order of the data.
    collapse : bool
        Add all effects with the same value of `order` at once.

    Returns
    -------
    pandas.DataFrame
        One row per step (with moderators, per step and term), indexed by the label of the effect last added, or by
        the value of `order` when collapsed. Columns: estimate, se, statistic, df, p, low, high, QE, QE_p, tau2, I2,
        H2. Rows are nan until the effects determine every coefficient; `attrs["notes"]` says so.

    Raises
    ------
    ModelError
        When the effects are dependent, or `order` has another length, a missing value, or values that cannot be
        compared.

    References
    ----------
    [@lau1995]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="DL", test="z")
    >>> cumulative(model, order=[2003, 2001, 2002])["estimate"].round(3).to_dict()
    {'2': 0.4, '3': 0.63, '1': 0.439}
    """
    fit = fitted_model(fit, "a cumulative meta-analysis")
    k = fit.nobs
    ranks, names, index_name = _steps(fit, order, collapse)
    m = len(names)
    size = max(CHUNK // k, 1)
    parts = [
        fit_problems(
            problems_of(fit, ranks <= np.arange(start, min(start + size, m))[:, None], "cumulative fits"),
            fit.method, fit.test, held(fit),
        )
        for start in range(0, m, size)
    ]  # fmt: skip
    found = joined(parts)
    frame = summaries(found, fit, names, index_name)
    waiting = int(np.sum(~found.identified))
    frame.attrs["notes"] = (
        (f"the first {waiting} steps do not determine every coefficient, so no fit is given",) if waiting else ()
    ) + certainty_notes([f"up to {names[i]}" for i in np.flatnonzero(found.identified & (found.scale == 0))])
    return frame


def _steps(fit: Fit, order: Sequence[object] | None, collapse: bool) -> tuple[IntArray, list[object], str]:
    """At which step each effect enters (k,), and the names of the steps."""
    k = fit.nobs
    if order is None:
        if collapse:
            raise ModelError("collapse adds the effects with the same value of order together; give order")
        return np.arange(k, dtype=np.int64), list(fit.labels), "effect"
    if isinstance(order, str) or not isinstance(order, Iterable):
        raise ModelError(f"order is {shown(order)}; give one value for each of the {k} effects, such as its year")
    values = list(order)
    if len(values) != k:
        raise ModelError(f"order has {len(values)} values for {k} effects")
    absent = [label for value, label in zip(values, fit.labels, strict=True) if is_missing(value)]
    if absent:
        raise ModelError(f"order is missing for {len(absent)} of {k} effects ({', '.join(absent[:5])})")
    try:
        place = {value: step for step, value in enumerate(sorted(dict.fromkeys(values)))}  # type: ignore[type-var]
    except (TypeError, ValueError):
        raise ModelError("order holds values of several kinds that cannot be compared; use numbers or dates") from None
    step = np.array([place[value] for value in values], dtype=np.int64)
    if collapse:
        return step, list(place), "order"
    sequence = np.argsort(step, kind="stable")
    ranks = np.empty(k, dtype=np.int64)
    ranks[sequence] = np.arange(k)
    return ranks, [fit.labels[i] for i in sequence], "effect"
