"""Tests of asymmetry for 2x2 tables, where the standard error of a log odds ratio depends on the odds ratio itself.

Each is a weighted regression with a multiplicative dispersion and a t test with k - 2 degrees of freedom; they
differ in response, predictor and weights, chosen so that predictor and response are independent without bias:

    Harbord    score Z / V on 1 / sqrt(V), weights V (hypergeometric variance)
    Peters     log odds ratio on 1 / n, weights events x non-events / n
    Macaskill  log odds ratio on n, inverse-variance weights
    Deeks      log odds ratio on 1 / sqrt(ESS), weights ESS = 4 n1 n2 / n
    arcsine    difference of arcsine roots on its standard error, inverse-variance weights

(Harbord, Egger and Sterne 2006, Statistics in Medicine; Peters and others 2006, JAMA; Macaskill, Walter and Irwig
2001, Statistics in Medicine; Deeks, Macaskill and Irwig 2005, Journal of Clinical Epidemiology; Ruecker, Schwarzer and
Carpenter 2008, Statistics in Medicine).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.dispersion import weighted_regression
from catharsis.assess.funnel_regression import EggerTest
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import interval_level
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

TESTS = ("Harbord", "Peters", "Macaskill", "Deeks", "arcsine")


def asymmetry_of_counts(
    ai: Sequence[float] | FloatArray | pd.Series,
    n1i: Sequence[float] | FloatArray | pd.Series,
    ci: Sequence[float] | FloatArray | pd.Series,
    n2i: Sequence[float] | FloatArray | pd.Series,
    test: Literal["Harbord", "Peters", "Macaskill", "Deeks", "arcsine"] = "Peters",
    level: float = 0.95,
) -> EggerTest:
    """Test 2x2 tables for small-study effects.

    Parameters
    ----------
    ai, ci : (k,) arrays
        Events in the two groups.
    n1i, n2i : (k,) arrays
        Sizes of the groups.
    test : str
        Harbord, Peters, Macaskill, Deeks or arcsine.
    level : float
        Probability of the intervals.

    Returns
    -------
    EggerTest
        The predictor is its last coefficient.

    Raises
    ------
    ModelError
        Impossible counts, an unknown test, or fewer than three informative tables.

    References
    ----------
    [@egger1997; @sterne2011]

    Examples
    --------
    >>> found = asymmetry_of_counts([4, 6, 3, 62], [123, 306, 231, 13598], [11, 29, 11, 248], [139, 303, 220, 12867])
    >>> round(found.statistic, 3), found.df
    (0.721, 2.0)
    """
    if test not in TESTS:
        raise ModelError(f'there is no test "{test}": {did_you_mean(str(test), TESTS)}')
    level = interval_level(level)
    a, n1, c, n2 = (_counts(values, name) for values, name in ((ai, "ai"), (n1i, "n1i"), (ci, "ci"), (n2i, "n2i")))
    if len({len(a), len(n1), len(c), len(n2)}) > 1:
        raise ModelError("ai, n1i, ci and n2i need one value for each study")
    bad = (a > n1) | (c > n2) | (n1 <= 0) | (n2 <= 0)
    if bad.any():
        raise ModelError(f"study {int(np.argmax(bad)) + 1} has more events than people, or an empty group")
    notes: list[str] = []
    empty = (a + c == 0) | (a + c == n1 + n2)
    if empty.any() and test != "arcsine":
        notes.append(
            f"{int(empty.sum())} studies without events, or with nothing but events, say nothing and were left out"
        )
        a, n1, c, n2 = (values[~empty] for values in (a, n1, c, n2))
    k = len(a)
    if k < 3:
        raise ModelError(f"a test of asymmetry needs at least three informative tables; here k = {k}")
    response, weights, predictor, name = _regression(a, n1, c, n2, test, notes)
    found = weighted_regression(
        response, 1 / weights, np.column_stack([np.ones(k), predictor]), ("intercept", name), level
    )
    return EggerTest(
        regression=found, predictor=name, model="lm", method="", test="t", tau2=float("nan"), k=k, m=0, level=level,
        notes=(*notes, *found.notes),
    )  # fmt: skip


def _counts(values: Sequence[float] | FloatArray | pd.Series, name: str) -> FloatArray:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    bad = ~(np.isfinite(found) & (found >= 0)) if found.ndim == 1 else np.ones(1, dtype=bool)
    if bad.any():
        where = f"; study {int(np.argmax(bad)) + 1} has {found[bad][0]:g}" if found.ndim == 1 else ""
        raise ModelError(f"{name} must hold one count for each study, none negative or missing{where}")
    return found


def _regression(
    a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray, test: str, notes: list[str]
) -> tuple[FloatArray, FloatArray, FloatArray, str]:
    """Response, weights, predictor and its name."""
    n, events = n1 + n2, a + c
    if test == "Harbord":
        V = n1 * n2 * events * (n - events) / (n**2 * (n - 1))
        return (a - events * n1 / n) / V, V, 1 / np.sqrt(V), "1/sqrt(V)"
    if test == "arcsine":
        vi = 1 / (4 * n1) + 1 / (4 * n2)
        return np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2)), 1 / vi, np.sqrt(vi), "sei"
    b, d = n1 - a, n2 - c
    zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    if zero.any():
        notes.append(f"0.5 was added to every cell of {int(zero.sum())} tables with an empty cell")
        a, b, c, d = (values + 0.5 * zero for values in (a, b, c, d))
    log_odds = np.log(a) - np.log(b) - np.log(c) + np.log(d)
    if test == "Peters":
        return log_odds, events * (n - events) / n, 1 / n, "ninv"
    if test == "Deeks":
        effective = 4 * n1 * n2 / n
        return log_odds, effective, 1 / np.sqrt(effective), "1/sqrt(ESS)"
    return log_odds, 1 / (1 / a + 1 / b + 1 / c + 1 / d), n, "ni"
