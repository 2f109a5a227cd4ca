"""Ways from what papers print to the statistics of an effect size: means and SDs, d itself, t, F, an exact p.

Of several ways the first is the most direct one. F and p have no direction: F comes with `sign`, and p carries the
effect's sign itself, as metafor wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from catharsis.effects import conversions as conv
from catharsis.effects import matched_pairs as pairs
from catharsis.effects import mean_differences as means
from catharsis.effects import repeated_measures as repeated
from catharsis.numerics import FloatArray

Arrays = tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """One set of printed numbers, and how it becomes the statistics of a measure.

    Attributes
    ----------
    needs : tuple of str
        Arguments of `effect_size`.
    derive : callable
        Their arrays to the arrays of the measure's formula.
    """

    needs: tuple[str, ...]
    derive: Callable[..., Arrays]


def as_given(*names: str) -> Way:
    """The statistics themselves."""
    return Way(names, lambda *arrays: arrays)


def standardised(standardiser: Callable[..., FloatArray], also: tuple[str, ...] = ()) -> Way:
    """Cohen's d of two groups over a standardiser, with the standard deviations when the variance needs them."""

    def derive(
        m1: FloatArray, sd1: FloatArray, n1: FloatArray, m2: FloatArray, sd2: FloatArray, n2: FloatArray
    ) -> Arrays:
        d = (m1 - m2) / standardiser(sd1, n1, sd2, n2)
        given = {"sd1": sd1, "n1": n1, "sd2": sd2, "n2": n2}
        return (d, *(given[name] for name in also or ("n1", "n2")))

    return Way(GROUPS, derive)


def _t_of_p(p: FloatArray, df: FloatArray) -> FloatArray:
    """The t behind a two-sided p that carries the effect's sign, as metafor wants it."""
    return conv.t_from_p(np.abs(p), df, np.sign(p))


GROUPS = ("m1", "sd1", "n1", "m2", "sd2", "n2")
TABLE = ("ai", "bi", "ci", "di")
OCCASIONS = ("m1", "sd1", "m2", "sd2", "r", "n")

D_WAYS = (
    standardised(means.pooled_sd),
    as_given("d", "n1", "n2"),
    Way(("t", "n1", "n2"), lambda t, n1, n2: (conv.d_from_t(t, n1, n2), n1, n2)),
    Way(("p", "n1", "n2"), lambda p, n1, n2: (conv.d_from_t(_t_of_p(p, n1 + n2 - 2), n1, n2), n1, n2)),
    Way(("F", "sign", "n1", "n2"), lambda F, sign, n1, n2: (conv.d_from_t(conv.t_from_f(F, sign), n1, n2), n1, n2)),
)
TABLE_WAYS = (
    as_given(*TABLE),
    Way(("ai", "n1", "ci", "n2"), lambda a, n1, c, n2: (a, n1 - a, c, n2 - c)),
)
R_WAYS = (
    as_given("r", "n"),
    Way(("t", "n"), lambda t, n: (conv.r_from_t(t, n - 2), n)),
    Way(("p", "n"), lambda p, n: (conv.r_from_t(_t_of_p(p, n - 2), n - 2), n)),
    Way(("F", "sign", "n"), lambda F, sign, n: (conv.r_from_t(conv.t_from_f(F, sign), n - 2), n)),
)
PARTIAL_WAYS = (
    Way(("t", "n", "m"), lambda t, n, m: (conv.r_from_t(t, n - m - 1), n, m)),
    Way(("p", "n", "m"), lambda p, n, m: (conv.r_from_t(_t_of_p(p, n - m - 1), n - m - 1), n, m)),
    as_given("r", "n", "m"),
)
SEMIPARTIAL_WAYS = (
    Way(("t", "n", "m", "r2"), lambda t, n, m, r2: (conv.semipartial_from_t(t, n - m - 1, r2), n, r2)),
    Way(("p", "n", "m", "r2"),
        lambda p, n, m, r2: (conv.semipartial_from_t(_t_of_p(p, n - m - 1), n - m - 1, r2), n, r2)),
    as_given("r", "n", "r2"),
)  # fmt: skip
R2_WAYS = (
    as_given("r2", "n", "m"),
    Way(("F", "n", "m"), lambda F, n, m: (conv.r2_from_f(F, m, n - m - 1), n, m)),
    Way(("p", "n", "m"), lambda p, n, m: (conv.r2_from_f(conv.f_from_p(p, m, n - m - 1), m, n - m - 1), n, m)),
)
SHARE_WAYS = (
    Way(("xi", "ni"), lambda x, n: (x, n - x)),
    as_given("xi", "mi"),
)


def _change(m1: FloatArray, sd1: FloatArray, m2: FloatArray, sd2: FloatArray, r: FloatArray, n: FloatArray) -> Arrays:
    return m1 - m2, repeated.change_sd(sd1, sd2, r), n


def _change_d(*cells: FloatArray) -> Arrays:
    mean, sd, n = _change(*cells)
    return mean / sd, n


CHANGE_WAYS = (as_given("mean_change", "sd_change", "n"), Way(OCCASIONS, _change))
CHANGE_D_WAYS = (
    Way(("mean_change", "sd_change", "n"), lambda mean, sd, n: (mean / sd, n)),
    Way(OCCASIONS, _change_d),
    as_given("d", "n"),
    Way(("t", "n"), lambda t, n: (conv.d_from_paired_t(t, n), n)),
    Way(("p", "n"), lambda p, n: (conv.d_from_paired_t(_t_of_p(p, n - 1), n), n)),
    Way(("F", "sign", "n"), lambda F, sign, n: (conv.d_from_paired_t(conv.t_from_f(F, sign), n), n)),
)


def over_average(also: Sequence[str]) -> Way:
    """Change over the root of the average variance, with what the variance needs."""

    def derive(
        m1: FloatArray, sd1: FloatArray, m2: FloatArray, sd2: FloatArray, r: FloatArray, n: FloatArray
    ) -> Arrays:
        given = {"sd1": sd1, "sd2": sd2, "r": r, "n": n}
        return ((m1 - m2) / means.average_sd(sd1, sd2), *(given[name] for name in also))

    return Way(OCCASIONS, derive)


MARGINS_WAYS = (
    as_given(*TABLE, "r"),
    Way((*TABLE, "p"), lambda a, b, c, d, p: (a, b, c, d, pairs.paired_phi(p, a, b, c, d))),
)
