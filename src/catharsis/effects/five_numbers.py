"""Means and standard deviations from medians, quartiles and ranges.

The formulas are for normal scores, or for scores whose log is normal; a test of skewness (Shi and others 2023,
Statistical Methods in Medical Research) says when the numbers themselves speak against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from catharsis.effects.mean_differences import Flags, Result
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("min", "q1", "median", "q3", "max")
METHODS = ("luo/wan/shi", "wan2014", "hozo2005", "bland2015")
FEWEST = 5  # people: below, extremes and quartiles are nearly the data, and the formulas do not hold
NOTE = "five_note"


@dataclass(frozen=True, slots=True)
class FiveNumbers:
    """Five numbers of k studies; nan where not reported."""

    low: FloatArray
    q1: FloatArray
    median: FloatArray
    q3: FloatArray
    high: FloatArray
    n: FloatArray

    @property
    def has_range(self) -> Flags:
        """Studies with both extremes."""
        return np.isfinite(self.low) & np.isfinite(self.high)

    @property
    def has_quartiles(self) -> Flags:
        """Studies with both quartiles."""
        return np.isfinite(self.q1) & np.isfinite(self.q3)

    def logged(self) -> FiveNumbers:
        """The same of the scores' logs."""
        low, q1, median, q3, high = (np.log(x) for x in (self.low, self.q1, self.median, self.q3, self.high))
        return FiveNumbers(low, q1, median, q3, high, self.n)

    def extreme(self) -> FloatArray:
        """Expected standardised largest of n normal scores (Blom)."""
        return np.asarray(special.ndtri((self.n - 0.375) / (self.n + 0.25)))

    def quartile(self) -> FloatArray:
        """Expected standardised upper quartile of n normal scores."""
        return np.asarray(special.ndtri((0.75 * self.n - 0.125) / (self.n + 0.25)))


def optimal_mean(five: FiveNumbers) -> FloatArray:
    """Mean by the weights of least mean squared error [@luo2018], equations 7, 11 and 15.

    Examples
    --------
    >>> five = FiveNumbers(*(np.array([x]) for x in (np.nan, 5.0, 8.0, 12.0, np.nan, 50.0)))
    >>> optimal_mean(five).round(4).tolist()
    [8.3539]
    """
    n = five.n
    mid_range, mid_quartile = (five.low + five.high) / 2, (five.q1 + five.q3) / 2
    w1 = 4 / (4 + n**0.75)
    by_range = w1 * mid_range + (1 - w1) * five.median
    w2 = 0.7 + 0.39 / n
    by_quartiles = w2 * mid_quartile + (1 - w2) * five.median
    w3, w4 = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    by_all = w3 * mid_range + w4 * mid_quartile + (1 - w3 - w4) * five.median
    return _by_case(five, by_range, by_quartiles, by_all)


def optimal_sd(five: FiveNumbers) -> FloatArray:
    """Standard deviation from range, quartiles or both [@wan2014; @shi2020]; the median is not needed.

    Examples
    --------
    >>> five = FiveNumbers(*(np.array([x]) for x in (np.nan, 5.0, 8.0, 12.0, np.nan, 50.0)))
    >>> optimal_sd(five).round(4).tolist()
    [5.3431]
    """
    spread, quartile_range, n = five.high - five.low, five.q3 - five.q1, five.n
    of_extremes, of_quartiles = five.extreme(), five.quartile()
    both = spread / ((2 + 0.14 * n**0.6) * of_extremes) + quartile_range / ((2 + 2 / (0.07 * n**0.6)) * of_quartiles)
    return _by_case(five, spread / (2 * of_extremes), quartile_range / (2 * of_quartiles), both)


def _by_case(five: FiveNumbers, by_range: FloatArray, by_quartiles: FloatArray, by_all: FloatArray) -> FloatArray:
    everything = five.has_range & five.has_quartiles
    return np.where(everything, by_all, np.where(five.has_range, by_range, by_quartiles))


def wan_moments(five: FiveNumbers) -> Result:
    """Mean and standard deviation by equations 3, 9, 10, 13, 14 and 16 of Wan and others [@wan2014]."""
    low, q1, m, q3, high = five.low, five.q1, five.median, five.q3, five.high
    mean = _by_case(five, (low + 2 * m + high) / 4, (q1 + m + q3) / 3, (low + 2 * q1 + 2 * m + 2 * q3 + high) / 8)
    by_range = (high - low) / (2 * five.extreme())
    by_quartiles = (q3 - q1) / (2 * five.quartile())
    return mean, _by_case(five, by_range, by_quartiles, (by_range + by_quartiles) / 2)


def hozo_moments(five: FiveNumbers) -> Result:
    """Mean and standard deviation from median and range by the rules of Hozo and others (2005) for n."""
    low, m, high, n = five.low, five.median, five.high, five.n
    mean = np.where(n > 25, m, (low + 2 * m + high) / 4)
    small = np.sqrt(((low - 2 * m + high) ** 2 / 4 + (high - low) ** 2) / 12)
    sd = np.where(n <= 15, small, np.where(n <= 70, (high - low) / 4, (high - low) / 6))
    return np.where(five.has_range, mean, np.nan), np.where(five.has_range, sd, np.nan)


def bland_moments(five: FiveNumbers) -> Result:
    """Mean and standard deviation from all five numbers by Bland (2015)."""
    low, q1, m, q3, high = five.low, five.q1, five.median, five.q3, five.high
    total = low + 2 * q1 + 2 * m + 2 * q3 + high
    squares = (low**2 + 2 * q1**2 + 2 * m**2 + 2 * q3**2 + high**2) / 16
    products = (low * q1 + q1 * m + m * q3 + q3 * high) / 8
    centred = np.maximum(squares + products - total**2 / 64, 0)
    return total / 8, np.sqrt(centred)


def skewness(five: FiveNumbers) -> tuple[FloatArray, FloatArray]:
    """Statistic and 5% critical value of the test that normal scores gave these numbers (Shi and others 2023).

    Examples
    --------
    >>> five = FiveNumbers(*(np.array([x]) for x in (2.0, np.nan, 8.0, np.nan, 20.0, 30.0)))
    >>> [round(float(x[0]), 4) for x in skewness(five)]
    [0.3333, 0.3541]
    """
    n = five.n
    by_range = np.abs(five.low + five.high - 2 * five.median) / (five.high - five.low)
    by_quartiles = np.abs(five.q1 + five.q3 - 2 * five.median) / (five.q3 - five.q1)
    both = np.fmax(2.65 * np.log(0.6 * n) / np.sqrt(n) * by_range, by_quartiles)
    critical = (
        1.01 / np.log(n + 9) + 2.43 / (n + 1),
        2.66 / np.sqrt(n) - 5.92 / n**2,
        2.97 / np.sqrt(n) - 39.1 / n**3,
    )
    return _by_case(five, by_range, by_quartiles, both), _by_case(five, *critical)


def lognormal_moments(five: FiveNumbers, back: bool = True) -> Result:
    """Mean and standard deviation of scores whose log is normal (Shi and others 2020, Statistics and Its Interface).

    The numbers' logs give the mean and the bias-corrected variance of the logs; `back` returns to the scores' own scale
    with the corrections that make mean and variance nearly unbiased there.
    """
    logs, n = five.logged(), five.n
    mu = optimal_mean(logs)
    too_large = _by_case(five, 1 + 0.28 / np.log(n) ** 2, 1 + 1.58 / n, 1 + 0.28 / np.log(n) ** 2)
    variance = optimal_sd(logs) ** 2 / too_large
    if not back:
        return mu, np.sqrt(variance)
    first = _by_case(five, np.asarray(0.565), np.asarray(0.57), np.asarray(0.405))
    second = _by_case(five, np.asarray(0.37), np.asarray(0.75), np.asarray(0.315))

    mean = np.exp(mu + variance / 2) / (1 + first * variance / n + second * variance**2 / n)
    squared = np.exp(2 * mu + 2 * variance) / (1 + 4 * first * variance / n + 16 * second * variance**2 / n)
    of_mean = np.exp(2 * mu + variance) / (1 + 4 * first * variance / n + 4 * second * variance**2 / n)
    return mean, np.sqrt(np.maximum(squared - of_mean, 0))


def from_five_numbers(
    *,
    data: pd.DataFrame | None = None,
    method: str = "luo/wan/shi",
    dist: Literal["norm", "lnorm"] | Sequence[str] = "norm",
    back: bool = True,
    test: bool = True,
    **cells: str | Sequence[float],
) -> pd.DataFrame:
    """Estimate means and standard deviations from medians, quartiles and ranges.

    Means estimated so are less precise than reported ones, which the sampling variance of an effect computed from them
    does not know: look at them apart in a sensitivity analysis.

    Parameters
    ----------
    data : pandas.DataFrame, optional
        Where column names are looked up; the result is this frame with `mean` and `sd` added.
    method : {"luo/wan/shi", "wan2014", "hozo2005", "bland2015"}
        The first combines the estimators of least error; the others are older. "default" is the first.
    dist : {"norm", "lnorm"} or one per row
        Distribution of the scores; "lnorm" needs numbers above 0 and the first method.
    back : bool
        For "lnorm": mean and SD of the scores, not of their logs.
    test : bool
        Leave a row empty when its numbers are too skewed for the distribution at the 5% level.
    **cells
        min, q1, median, q3, max and n: arrays, or column names of `data` (by default the argument's own name).

    Returns
    -------
    pandas.DataFrame
        With `mean` and `sd`, nan where the numbers do not lead there, and `five_note`, which says why, when a row has
        something to tell. `sd` needs no median.

    Raises
    ------
    ModelError
        Numbers that are not in order, an unknown method or distribution, no sample sizes.

    References
    ----------
    [@luo2018; @wan2014; @shi2020]

    Examples
    --------
    >>> from_five_numbers(q1=[5], median=[8], q3=[12], n=[50]).round(3)
        mean     sd
    0  8.354  5.343
    """
    import pandas as pd

    method = METHODS[0] if method == "default" else method
    if method not in METHODS:
        raise ModelError(f'method is "{method}": {did_you_mean(method, list(METHODS))}')
    numbers = _numbers(cells, data)
    k = len(numbers.n)
    kinds = _distributions(dist, method, k)
    _check_order(numbers)
    log = np.array([kind == "lnorm" for kind in kinds], dtype=bool)
    everything = np.column_stack([numbers.low, numbers.q1, numbers.median, numbers.q3, numbers.high])
    not_positive = log & np.any(everything <= 0, axis=1)
    with np.errstate(all="ignore"):
        mean, sd = _estimated(numbers, method)
        found, critical = skewness(numbers)
        if log.any():
            in_logs, logs_critical = skewness(numbers.logged())
            log_mean, log_sd = lognormal_moments(numbers, back)
            mean, sd = np.where(log, log_mean, mean), np.where(log, log_sd, sd)
            found, critical = np.where(log, in_logs, found), np.where(log, logs_critical, critical)
    reasons = (
        (not_positive, "a log-normal score is above 0, and one of the numbers is not"),
        (~(numbers.n >= FEWEST), f"fewer than {FEWEST} people, or their number is not given"),
        (test & (found > critical), "left empty: the numbers are skewed (test of Shi and others at 5%)"),
        (np.isnan(sd), "neither both extremes nor both quartiles are given, or the method does not use them"),
    )
    notes = [""] * k
    for rows, why in reasons:
        mean, sd = np.where(rows, np.nan, mean), np.where(rows, np.nan, sd)
        for i in np.flatnonzero(rows):
            notes[i] = notes[i] or why
    for i in np.flatnonzero(np.isnan(mean)):
        notes[i] = notes[i] or "no mean: the median is not given"
    result: dict[str, Any] = {"mean": mean, "sd": sd} | ({NOTE: notes} if any(notes) else {})
    return pd.DataFrame(result) if data is None else data.assign(**result)


def _estimated(numbers: FiveNumbers, method: str) -> Result:
    match method:
        case "wan2014":
            return wan_moments(numbers)
        case "hozo2005":
            return hozo_moments(numbers)
        case "bland2015":
            return bland_moments(numbers)
    return optimal_mean(numbers), optimal_sd(numbers)


def _distributions(dist: str | Sequence[str], method: str, k: int) -> list[str]:
    kinds = [dist] * k if isinstance(dist, str) else [str(kind) for kind in dist]
    if len(kinds) != k:
        raise ModelError(f"dist has {len(kinds)} values for {k} rows: give one, or one per row")
    for kind in kinds:
        if kind not in ("norm", "lnorm"):
            raise ModelError(f'dist is "{kind}": {did_you_mean(kind, ["norm", "lnorm"])}')
    if "lnorm" in kinds and method != METHODS[0]:
        raise ModelError(f'method "{method}" is for normal scores: for dist="lnorm" use "{METHODS[0]}"')
    return kinds


def _numbers(cells: dict[str, Any], data: pd.DataFrame | None) -> FiveNumbers:
    unknown = sorted(set(cells) - {*NAMES, "n"})
    if unknown:
        raise ModelError(f"from_five_numbers does not take {', '.join(unknown)}; it takes {', '.join(NAMES)} and n")
    columns = () if data is None else tuple(str(column) for column in data.columns)
    arrays: dict[str, FloatArray] = {}
    for name in (*NAMES, "n"):
        value = cells.get(name, name if name in columns else None)
        if isinstance(value, str):
            if data is None or value not in data.columns:
                raise ModelError(f'{name} is to come from column "{value}": {did_you_mean(value, list(columns))}')
            value = data[value]
        if value is not None:
            try:
                arrays[name] = np.atleast_1d(np.asarray(value, dtype=float))
            except (TypeError, ValueError):
                raise ModelError(f"{name} holds something that is not a number") from None
    if "n" not in arrays:
        raise ModelError("n is missing: what quartiles and extremes say depends on the number of people")
    k = len(arrays["n"])
    if any(len(array) != k for array in arrays.values()):
        raise ModelError("the arguments have unequal lengths")
    low, q1, median, q3, high = (arrays.get(name, np.full(k, np.nan)) for name in NAMES)
    return FiveNumbers(low, q1, median, q3, high, arrays["n"])


def _check_order(numbers: FiveNumbers) -> None:
    """Smallest, quartiles and largest must stand in order where they are given."""
    columns = np.column_stack([numbers.low, numbers.q1, numbers.median, numbers.q3, numbers.high])
    if np.isinf(columns).any():
        raise ModelError(f"row {int(np.flatnonzero(np.isinf(columns).any(axis=1))[0])} holds an infinite number")
    for i, row in enumerate(columns):
        given = np.flatnonzero(np.isfinite(row))
        falls = np.flatnonzero(np.diff(row[given]) < 0)
        if len(falls):
            left, right = NAMES[given[falls[0]]], NAMES[given[falls[0] + 1]]
            raise ModelError(
                f"row {i}: {left} is {row[given[falls[0]]]:g} and {right} is {row[given[falls[0] + 1]]:g}; "
                "min, q1, median, q3 and max do not fall"
            )
