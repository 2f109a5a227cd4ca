"""How far two readers agree: Cohen's kappa for words, the intraclass correlation ICC(A,1) for numbers.

Neither exists for every pair of readings: where all answers are one answer, chance agrees as well as any reader, and
where no number differs from another there is nothing to be reliable about. Both are nan then, and `note` says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.numerics import FloatArray, critical_value

Weights = Literal["none", "linear", "quadratic"]
WEIGHTS: tuple[Weights, ...] = ("none", "linear", "quadratic")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient of agreement with its interval.

    Attributes
    ----------
    name : str
        "kappa", "weighted kappa" or "ICC(A,1)".
    estimate, se, low, high : float
        nan where undefined; an ICC has no standard error.
    n : int
        Things that both readers judged.
    note : str
        Why something is nan; "" otherwise.
    """

    name: str
    estimate: float
    se: float
    low: float
    high: float
    n: int
    note: str = ""


def agreement_weights(categories: int, weights: Weights) -> FloatArray:
    """How much a pair of answers counts as agreement: 1 on the diagonal, less with the distance.

    Parameters
    ----------
    categories : int
        Number of ordered categories.
    weights : str
        "none", "linear" (1 - |i - j| / (c - 1)) or "quadratic" (1 - (i - j)^2 / (c - 1)^2).

    Returns
    -------
    (c, c) array

    Examples
    --------
    >>> agreement_weights(3, "linear").tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    if weights not in WEIGHTS:
        raise ModelError(f'weights is "{weights}"; use none, linear or quadratic')
    if weights == "none" or categories < 2:
        return np.eye(categories)
    i, j = np.indices((categories, categories))
    distance = np.abs(i - j) / (categories - 1)
    return np.asarray(1 - distance if weights == "linear" else 1 - distance**2, dtype=float)


def kappa_of_table(table: FloatArray, weights: FloatArray | None = None, level: float = 0.95) -> Agreement:
    """Cohen's kappa of a square table of counts, plain or weighted, with its large-sample interval.

    The variance is the one that does not assume kappa = 0. The interval is kept within [-1, 1].

    Parameters
    ----------
    table : (c, c) array
        How often the first reader (rows) and the second (columns) gave each pair of answers.
    weights : (c, c) array, optional
        Agreement of each pair of answers, at most 1 and 1 on the diagonal; by default the identity.
    level : float
        Probability of the interval.

    Returns
    -------
    Agreement

    Raises
    ------
    ModelError
        For a table that is not square or holds no counts.

    References
    ----------
    Cohen 1960 (Educational and Psychological Measurement), Cohen 1968 (Psychological Bulletin); the standard error is
    that of Fleiss, Cohen and Everitt 1969 (Psychological Bulletin).

    Examples
    --------
    >>> found = kappa_of_table([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.492, 0.392, 0.591)
    """
    counts = _numbers(table, "the table")
    _check_level(level)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ModelError(f"kappa needs a square table of counts; this one has the shape {counts.shape}")
    n = float(counts.sum())
    if not np.isfinite(counts).all() or (counts < 0).any() or n <= 0:
        raise ModelError("kappa needs counts: finite, not negative, not all zero")
    W = np.eye(len(counts)) if weights is None else _numbers(weights, "the weights")
    if W.shape != counts.shape:
        raise ModelError(f"the weights have the shape {W.shape}, the table {counts.shape}")
    name = "kappa" if weights is None or np.array_equal(W, np.eye(len(W))) else "weighted kappa"
    P = counts / n
    first, second = P.sum(axis=1), P.sum(axis=0)
    observed, chance = float((W * P).sum()), float(first @ W @ second)
    if 1 - chance < 1e-12:  # one answer throughout
        return _undefined(name, round(n), "both readers gave one answer throughout, so chance agrees as well")
    kappa = (observed - chance) / (1 - chance)
    average = (W @ second)[:, None] + (first @ W)[None, :]
    spread = float((P * (W - average * (1 - kappa)) ** 2).sum()) - (kappa - chance * (1 - kappa)) ** 2
    se = math.sqrt(max(spread, 0.0) / n) / (1 - chance)
    if observed == 1:  # the formula gives 0, which is not a standard error but the end of the approximation
        note = "no disagreement: the large-sample interval has no width"
        return Agreement(name, kappa, math.nan, math.nan, math.nan, round(n), note)
    if se < 1e-9:  # a reader with one answer: the approximation has nothing to go by
        note = "the table is too small or too uneven for the large-sample interval"
        return Agreement(name, kappa, math.nan, math.nan, math.nan, round(n), note)
    reach = float(critical_value(level)) * se
    return Agreement(name, kappa, se, max(kappa - reach, -1.0), min(kappa + reach, 1.0), round(n))


def cohen_kappa(
    first: Sequence[object],
    second: Sequence[object],
    *,
    order: Sequence[object] | None = None,
    weights: Weights | None = None,
    level: float = 0.95,
) -> Agreement:
    """Agreement of two readers on words, beyond chance.

    Parameters
    ----------
    first, second : sequence
        The readers' answers to the same questions.
    order : sequence, optional
        The categories from lowest to highest, when they have an order.
    weights : str, optional
        "none", "linear" or "quadratic"; by default linear when there is an order, else none.
    level : float
        Probability of the interval.

    Returns
    -------
    Agreement

    Raises
    ------
    ModelError
        When the answers differ in number, there are none, or one is not a category of `order`.

    References
    ----------
    Cohen 1960 (Educational and Psychological Measurement), Cohen 1968 and Fleiss, Cohen and Everitt 1969
    (Psychological Bulletin).

    Examples
    --------
    >>> found = cohen_kappa(["low", "low", "high", "high"], ["low", "high", "high", "high"])
    >>> found.estimate, found.n
    (0.5, 4)
    """
    if isinstance(first, str) or isinstance(second, str):
        raise ModelError("give the answers of each reader as a list")
    if len(first) != len(second) or not len(first):
        raise ModelError(f"the readers gave {len(first)} and {len(second)} answers; kappa compares them one by one")
    seen = dict.fromkeys([*first, *second])
    categories = list(order) if order is not None else list(seen)
    unknown = [answer for answer in seen if answer not in categories]
    if unknown:
        raise ModelError(f'the answer "{unknown[0]}" is not in the order of categories')
    kind = weights or ("linear" if order is not None else "none")
    if kind != "none" and order is None:
        raise ModelError("weights need the order of the categories: give order=")
    place = {category: i for i, category in enumerate(categories)}
    table = np.zeros((len(categories), len(categories)))
    for one, other in zip(first, second, strict=True):
        table[place[one], place[other]] += 1
    return kappa_of_table(table, None if kind == "none" else agreement_weights(len(categories), kind), level)


def intraclass_correlation(ratings: Sequence[Sequence[float]] | FloatArray, level: float = 0.95) -> Agreement:
    """ICC(A,1), absolute agreement of single readings in a two-way model, with its interval from the F distribution.

    Also called ICC(2,1). A reader who is always one unit higher lowers it; it is the share of the variance of a single
    reading that is variance between the things that were read.

    Parameters
    ----------
    ratings : (n, r) array
        One row for each thing, one column for each reader.
    level : float
        Probability of the interval; the degrees of freedom of its denominator are Satterthwaite's.

    Returns
    -------
    Agreement

    Raises
    ------
    ModelError
        For fewer than two readers, and for readings that are missing or not finite.

    References
    ----------
    Shrout and Fleiss 1979 (Psychological Bulletin); McGraw and Wong 1996 (Psychological Methods).

    Examples
    --------
    >>> judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> found = intraclass_correlation(judges)
    >>> round(found.estimate, 2), round(found.low, 3), round(found.high, 2)
    (0.29, 0.019, 0.76)
    """
    x = _numbers(ratings, "the readings")
    _check_level(level)
    if x.ndim != 2 or x.shape[1] < 2:
        raise ModelError("an intraclass correlation needs a row for each thing and a column for each of two readers")
    if not np.isfinite(x).all():
        raise ModelError("an intraclass correlation needs every reading; leave out what one reader did not find")
    n, r = x.shape
    if n < 2:
        return _undefined("ICC(A,1)", n, "one pair of numbers says nothing about reliability")
    rows, columns, error = _mean_squares(x)
    total = rows + (r - 1) * error + r / n * (columns - error)
    if float(np.ptp(x)) == 0 or total <= 0:
        return _undefined("ICC(A,1)", n, "all numbers are the same, so nothing tells the things apart")
    icc = (rows - error) / total
    if columns == error == 0:
        note = "no disagreement: the interval has no width"
        return Agreement("ICC(A,1)", icc, math.nan, math.nan, math.nan, n, note)
    low, high = _f_interval(icc, (rows, columns, error), (n, r), level)
    return Agreement("ICC(A,1)", icc, math.nan, low, high, n)


def _mean_squares(x: FloatArray) -> tuple[float, float, float]:
    """Mean squares of rows, columns and what is left of a table with one reading in each cell."""
    n, r = x.shape
    x = x - x.mean()  # so that a large common level costs no digits
    by_row, by_column = x.mean(axis=1), x.mean(axis=0)
    rest = x - by_row[:, None] - by_column[None, :]
    small = (8 * float(np.finfo(float).eps) * float(np.abs(x).max(initial=0.0))) ** 2
    rest_ms, column_ms = float((rest**2).sum()) / ((n - 1) * (r - 1)), n * float((by_column**2).sum()) / (r - 1)
    return (
        r * float((by_row**2).sum()) / (n - 1),
        column_ms if column_ms > small else 0.0,  # rounding errors of readers who agree
        rest_ms if rest_ms > small else 0.0,
    )


def _f_interval(
    icc: float, squares: tuple[float, float, float], size: tuple[int, int], level: float
) -> tuple[float, float]:
    from scipy.special import fdtri

    (rows, columns, error), (n, r), upper = squares, size, 1 - (1 - level) / 2
    a, b = r * icc / n, (1 - icc) + r * icc * (n - 1) / n  # times (1 - icc), which cancels
    wide, narrow = a * columns, b * error
    below = wide**2 / (r - 1) + narrow**2 / ((n - 1) * (r - 1))
    df = (wide + narrow) ** 2 / below if below > 0 else 1.0
    lower_f, upper_f = float(fdtri(n - 1, df, upper)), float(fdtri(df, n - 1, upper))
    between = r * columns + (r * n - r - n) * error
    low = n * (rows - lower_f * error) / (lower_f * between + n * rows)
    high = n * (upper_f * rows - error) / (between + n * upper_f * rows)
    return low, high


def _numbers(given: object, what: str) -> FloatArray:
    """An array of floats, or a sentence about why it is none."""
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{what} must be numbers in rows of equal length") from None


def _check_level(level: float) -> None:
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ModelError(f"level is {shown(level)}; it is a probability such as 0.95")


def _undefined(name: str, n: int, note: str) -> Agreement:
    return Agreement(name, math.nan, math.nan, math.nan, math.nan, n, note)
