"""From the statistics that papers print to the numbers that effect sizes need; the sign is kept.

F and p have no direction: who converts them says it. A test of several degrees of freedom at once (F with df1 > 1) and
a p of 0 or 1 lead nowhere and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

HALFWAY = 0.05  # of an interval's width: how far its estimate may be from the middle before a note says so


def t_from_f(F: FloatArray, sign: FloatArray, df1: float = 1) -> FloatArray:
    """The t behind an F with one numerator degree of freedom: sign * sqrt(F) [@hedges1985].

    Raises
    ------
    ModelError
        If df1 is not 1: such an F compares more than two means and has no direction.

    Examples
    --------
    >>> float(t_from_f(np.array(4.0), np.array(-1)))
    -2.0
    """
    if df1 != 1:
        raise ModelError(
            f"F has {df1:g} numerator degrees of freedom: only F(1, df) is the square of a t; "
            "enter the means and standard deviations, or a contrast of two groups"
        )
    return sign * np.sqrt(F)


def t_from_p(p: FloatArray, df: FloatArray, sign: FloatArray, sided: int = 2) -> FloatArray:
    """The t behind an exact p with the sign of the effect.

    Raises
    ------
    ModelError
        If a p is 0 or 1 or outside: it is not exact.

    Examples
    --------
    >>> float(t_from_p(np.array(0.05), np.array(18.0), np.array(-1)).round(4))
    -2.1009
    """
    p = np.asarray(p, dtype=float)
    wrong = (p <= 0) | (p >= 1)
    if np.any(wrong):
        raise ModelError(
            f"p is {np.ravel(p)[np.ravel(wrong)][0]:g}: a test statistic follows only from an exact p between 0 and 1"
        )
    return np.asarray(-sign * special.stdtrit(df, p / sided))


def f_from_p(p: FloatArray, df1: FloatArray, df2: FloatArray) -> FloatArray:
    """The F with a given upper tail probability.

    Examples
    --------
    >>> float(f_from_p(np.array(0.05), np.array(2.0), np.array(20.0)).round(4))
    3.4928
    """
    share = special.betaincinv(np.asarray(df2) / 2, np.asarray(df1) / 2, p)
    return np.asarray(df2 * (1 - share) / (df1 * share))


def d_from_t(t: FloatArray, n1: FloatArray, n2: FloatArray) -> FloatArray:
    """Cohen's d of two independent groups: t sqrt(1/n1 + 1/n2) [@hedges1985].

    Examples
    --------
    >>> float(d_from_t(np.array(2.0), np.array(20), np.array(20)).round(4))
    0.6325
    """
    return t * np.sqrt(1 / n1 + 1 / n2)


def t_from_d(d: FloatArray, n1: FloatArray, n2: FloatArray) -> FloatArray:
    """The t of two independent groups behind Cohen's d [@hedges1985].

    Examples
    --------
    >>> float(t_from_d(np.array(0.5), np.array(8), np.array(8)))
    1.0
    """
    return d / np.sqrt(1 / n1 + 1 / n2)


def d_from_paired_t(t: FloatArray, n: FloatArray) -> FloatArray:
    """Standardised mean change of one group: t / sqrt(n) [@morris2002]."""
    return t / np.sqrt(n)


def r_from_t(t: FloatArray, df: FloatArray) -> FloatArray:
    """The correlation behind its t with df = n - 2: t / sqrt(t^2 + df) [@fisher1921].

    Examples
    --------
    >>> float(r_from_t(np.array(2.0), np.array(30.0)).round(4))
    0.343
    """
    return t / np.sqrt(t**2 + df)


def t_from_r(r: FloatArray, df: FloatArray) -> FloatArray:
    """The t of a correlation with df = n - 2 [@fisher1921].

    Examples
    --------
    >>> float(t_from_r(np.array(0.6), np.array(16.0)))
    3.0
    """
    return r * np.sqrt(df / (1 - r**2))


def semipartial_from_t(t: FloatArray, df: FloatArray, r2: FloatArray) -> FloatArray:
    """Semi-partial correlation of a predictor from its t, the residual df and R^2 (Aloe and Becker 2012).

    Examples
    --------
    >>> float(semipartial_from_t(np.array(2.0), np.array(36.0), np.array(0.19)).round(4))
    0.3
    """
    return t * np.sqrt((1 - r2) / df)


def r2_from_f(F: FloatArray, df1: FloatArray, df2: FloatArray) -> FloatArray:
    """R^2 of a regression from the F test of all its df1 predictors.

    Examples
    --------
    >>> float(r2_from_f(np.array(5.0), np.array(2.0), np.array(30.0)))
    0.25
    """
    return df1 * F / (df1 * F + df2)


def se_from_interval(low: FloatArray, high: FloatArray, level: float | FloatArray = 0.95) -> FloatArray:
    """Standard error behind a symmetric normal interval.

    Examples
    --------
    >>> float(se_from_interval(np.array(0.43), np.array(0.55)).round(4))
    0.0306
    """
    return np.asarray((high - low) / (2 * special.ndtri((1 + np.asarray(level)) / 2)))


def se_from_p(estimate: FloatArray, p: FloatArray) -> FloatArray:
    """Standard error behind an estimate and the exact two-sided p of its normal test.

    Examples
    --------
    >>> float(se_from_p(np.array(0.5), np.array(0.05)).round(4))
    0.2551
    """
    return np.asarray(np.abs(estimate) / -special.ndtri(np.asarray(p) / 2))


def from_wald(
    *,
    data: pd.DataFrame | None = None,
    estimate: str | Sequence[float] | None = None,
    low: str | Sequence[float] | None = None,
    high: str | Sequence[float] | None = None,
    z: str | Sequence[float] | None = None,
    p: str | Sequence[float] | None = None,
    level: float | Sequence[float] = 0.95,
    scale: Callable[[FloatArray], FloatArray] | None = None,
) -> pd.DataFrame:
    """Effects and variances from printed estimates, Wald intervals, z statistics or exact p-values.

    Parameters
    ----------
    data : pandas.DataFrame, optional
        Where column names are looked up; the result is this frame with `yi` and `vi` added.
    estimate, low, high : column name or array, optional
        Estimates and ends of their intervals, as printed.
    z, p : column name or array, optional
        Wald statistics, and two-sided p-values of the Wald test; used where there is no interval.
    level : float or (k,) array
        Level of the intervals.
    scale : callable, optional
        Takes estimate and ends to the analysis scale, `numpy.log` for ratios.

    Returns
    -------
    pandas.DataFrame
        With `yi` and `vi`; nan where nothing leads there. A column `yi_note` is added when a row has something to
        tell: its estimate is not in the middle of its interval.

    Raises
    ------
    ModelError
        An interval upside down, a p of 0 or 1, a column that is not there, a level outside 0 and 1.

    Examples
    --------
    >>> from_wald(estimate=[0.64], low=[0.33], high=[1.22], scale=np.log).round(4)
           yi      vi
    0 -0.4463  0.1113
    """
    import pandas as pd

    asked = {"estimate": estimate, "low": low, "high": high, "z": z, "p": p}
    given = {name: _column(name, value, data) for name, value in asked.items() if value is not None}
    if not given:
        raise ModelError("nothing to convert: give estimates with intervals, z statistics or p-values")
    k = max(len(array) for array in given.values())
    if any(len(array) != k for array in given.values()):
        raise ModelError("the arguments have unequal lengths")
    est, lower, upper, stat, prob = (given.get(name, np.full(k, np.nan)) for name in asked)
    confidence = np.broadcast_to(np.asarray(level, dtype=float), (k,))
    if not np.all((confidence > 0) & (confidence < 1)):
        raise ModelError(f"level is {level}: it lies between 0 and 1, such as 0.95")
    _refuse_rows(lower > upper, "the interval's lower end is above its upper end")
    _refuse_rows((prob <= 0) | (prob >= 1), "p is not between 0 and 1: a standard error follows only from an exact p")
    with np.errstate(all="ignore"):
        if scale is not None:
            est, lower, upper = (np.asarray(scale(array), dtype=float) for array in (est, lower, upper))
        by_interval = se_from_interval(lower, upper, confidence)
        stat = np.where(np.isnan(stat), -special.ndtri(prob / 2), np.abs(stat))
        se = np.where(np.isnan(by_interval), np.abs(est) / stat, by_interval)
        off = np.abs(est - (lower + upper) / 2) > HALFWAY * (upper - lower)
    vi = np.where(np.isfinite(se), se**2, np.nan)
    found: dict[str, Any] = {"yi": np.where(np.isfinite(est), est, np.nan), "vi": vi}
    if off.any():
        note = "the estimate is not in the middle of its interval: is it a Wald interval of this scale?"
        found["yi_note"] = [note if row else "" for row in off]
    return pd.DataFrame(found) if data is None else data.assign(**found)


def _column(name: str, value: Any, data: pd.DataFrame | None) -> FloatArray:
    if isinstance(value, str):
        if data is None or value not in data.columns:
            known = [] if data is None else [str(column) for column in data.columns]
            raise ModelError(f'{name} is to come from column "{value}": {did_you_mean(value, known)}')
        value = data[value]
    try:
        return np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None


def _refuse_rows(bad: NDArray[np.bool_], text: str) -> None:
    if np.any(bad):
        raise ModelError(f"row {', '.join(str(row) for row in np.flatnonzero(bad)[:5])}: {text}")
