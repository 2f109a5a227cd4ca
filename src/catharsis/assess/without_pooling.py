"""Synthesis without meta-analysis: directions are counted, one vote per group of people, zeros reported."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtr, betaincinv

from catharsis.likelihood.arguments import interval_level, whole_number


@dataclass(frozen=True, slots=True)
class SignTest:
    """Exact sign test.

    Attributes
    ----------
    positive, negative, none, mixed : int
        Votes; those for "no difference" and those of groups that say both take no part in the test.
    p : float
        Two-sided exact p; nan without a decided vote.
    share, low, high : float
        Share of positive among decided votes and its exact interval.
    """

    positive: int
    negative: int
    none: int
    mixed: int
    p: float
    share: float
    low: float
    high: float

    @property
    def decided(self) -> int:
        """Votes that take part."""
        return self.positive + self.negative

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many decided votes could give: 2^(1 - n)."""
        return min(1.0, 2.0 ** (1 - self.decided)) if self.decided else float("nan")


def sign_test(positive: int, negative: int, none: int = 0, mixed: int = 0, level: float = 0.95) -> SignTest:
    """Exact binomial test of equally many positive and negative votes.

    Parameters
    ----------
    positive, negative, none, mixed : int
        Votes; the last two are reported and take no part.
    level : float
        Probability of the (Clopper-Pearson) interval for the share of positive votes.

    Returns
    -------
    SignTest

    Raises
    ------
    ModelError
        Votes that are no whole numbers from 0 up, or a level outside (0, 1).

    References
    ----------
    [@bushman2009]

    Examples
    --------
    >>> found = sign_test(7, 7, 2)
    >>> found.p, round(found.low, 3), round(found.high, 3)
    (1.0, 0.23, 0.77)
    """
    level = interval_level(level)
    positive, negative, none, mixed = (
        whole_number(given, name, "votes are counted in whole numbers, from 0 up", fewest=0)
        for given, name in ((positive, "positive"), (negative, "negative"), (none, "none"), (mixed, "mixed"))
    )
    n = positive + negative
    if n == 0:
        return SignTest(positive, negative, none, mixed, float("nan"), float("nan"), float("nan"), float("nan"))
    p = min(1.0, 2 * float(bdtr(min(positive, negative), n, 0.5)))
    tail = (1 - level) / 2
    low = float(betaincinv(positive, n - positive + 1, tail)) if positive else 0.0
    high = float(betaincinv(positive + 1, n - positive, 1 - tail)) if negative else 1.0
    return SignTest(positive, negative, none, mixed, p, positive / n, low, high)


Vote = Literal["positive", "negative", "none", "mixed"]


def votes(groups: Iterable[Hashable], signs: Iterable[int]) -> dict[Hashable, Vote]:
    """One vote per group: the majority of its decided signs, "mixed" when they balance, "none" when all are 0.

    Examples
    --------
    >>> votes(["a", "a", "b", "c"], [1, -1, -1, 0])
    {'a': 'mixed', 'b': 'negative', 'c': 'none'}
    """
    held: dict[Hashable, list[int]] = {}
    for group, sign in zip(groups, signs, strict=True):
        held.setdefault(group, []).append(sign)
    return {group: _vote(found) for group, found in held.items()}


def _vote(signs: Sequence[int]) -> Vote:
    total = sum(signs)
    if total:
        return "positive" if total > 0 else "negative"
    return "mixed" if any(signs) else "none"


def holm(p: Sequence[float]) -> list[float]:
    """Holm-adjusted p values; nan stays nan."""
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p, dtype=float)
    found = np.full(len(values), np.nan)
    given = ~np.isnan(values)
    if given.any():
        found[given] = multipletests(values[given], method="holm")[1]
    return [float(value) for value in found]
