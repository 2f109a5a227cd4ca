"""Statistics recomputed from other printed numbers, as the range that the printed digits allow.

Every formula here is monotone in each of its numbers while the others stand still. Over a box of ranges it is therefore
largest and smallest at a corner, so that `over` needs no more than the corners. Where a paper may have used one of
several formulas (equal variances or Welch, d or Hedges' g, N or N - 2 in a variance) all are computed, and only what
fits none of them is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from catharsis.checks.rounding import Range, decimals, printed_range
from catharsis.studies.table import Row, StudyTable

TINY = 1e-60  # in place of an SD that its digits allow to be 0
NUMERICAL = 1e-6  # relative: what a table computed in single precision or with 6 digits may lose
VARIANCE = 0.02  # relative: the published variances of d, J and CI differ by less than this beyond those tried
CUT_OFF = 1.0  # units of the last digit: a recomputed number may have been printed by cutting off


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to a number: how it is called in a sentence, and what it gives."""

    way: str
    range: Range


def cell(row: Row, column: str, slack: float = 0.5) -> Range:
    """The values that a cell may stand for; whole numbers of people stand for themselves.

    A row that was not read from a file has no digits; Python's shortest ones are taken.
    """
    value = row.get(column)
    if isinstance(value, int) and column in PEOPLE:
        return Range(value, value)
    return printed_range(float(value), row.printed.get(column) or repr(value), slack)


LARGEST = 1e60  # beyond it, or nearer to 0 than its inverse, no paper prints a number, and squares of squares overflow


def ordinary(row: Row) -> bool:
    """Whether a row takes part: it is not excluded and its numbers are of a size that papers print.

    What is beyond is not held against anything; that the cells are impossible is said by other rules.
    """
    if row.has("exclude"):
        return False
    numbers = (value for value in row.cells.values() if isinstance(value, int | float) and not isinstance(value, bool))
    exponents = all(abs(decimals(text)) <= MOST_PLACES for text in row.printed.values())
    return exponents and all(value == 0 or 1 / LARGEST < abs(value) < LARGEST for value in numbers)


def rows_of(table: StudyTable) -> Iterator[Row]:
    """The rows that take part."""
    return (row for row in table if ordinary(row))


MOST_PLACES = 60
PEOPLE = frozenset({"n", "n1", "n2", "better", "same", "worse", "events1", "events2", "episodes"})


def over(formula: Callable[..., float], *ranges: Range) -> Range | None:
    """What a formula that is monotone in each number gives over a box; None where it is not defined.

    Examples
    --------
    >>> over(lambda a, b: a / b, Range(1.0, 2.0), Range(4.0, 8.0))
    Range(low=0.125, high=0.5)
    """
    values = []
    for corner in product(*((item.low, item.high) for item in ranges)):
        try:
            value = formula(*corner)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        if isinstance(value, complex) or math.isnan(value):
            return None
        values.append(value)
    return Range(min(values), max(values))


def sizes(values: Range) -> Range:
    """The range of the absolute value.

    Examples
    --------
    >>> sizes(Range(-2.0, 1.0)), sizes(Range(-2.0, -1.0))
    (Range(low=0.0, high=2.0), Range(low=1.0, high=2.0))
    """
    low, high = sorted((abs(values.low), abs(values.high)))
    return Range(0.0 if values.low <= 0 <= values.high else low, high)


def widened(values: Range, share: float = NUMERICAL) -> Range:
    """A range with a relative allowance on both sides."""
    return Range(values.low - share * abs(values.low), values.high + share * abs(values.high))


def sign_of(values: Range) -> int:
    """+1 or -1 when the whole range lies on one side of 0, else 0."""
    return 1 if values.low > 0 else -1 if values.high < 0 else 0


def fits(target: Range, candidates: Sequence[Candidate]) -> bool:
    """Whether a printed number may be one of the candidates."""
    return any(widened(target).meets(widened(candidate.range)) for candidate in candidates)


# -- cells of a group ---------------------------------------------------------------------------------

Group = tuple[str, str, str, str]
CHANGE: Group = ("mean_change", "sd_change", "se_change", "n")
FIRST: Group = ("m1", "sd1", "se1", "n1")
SECOND: Group = ("m2", "sd2", "se2", "n2")


def sd_of(row: Row, group: Group) -> Range | None:
    """The SD of a group: printed, or its standard error times the root of n."""
    _, sd, se, n = group
    if row.has(sd):
        found = cell(row, sd)
    elif row.has(se, n) and row.get(n) > 0:
        found = cell(row, se).scaled(math.sqrt(row.get(n)))
    else:
        return None
    return Range(max(found.low, TINY), found.high) if found.high > 0 else None


@dataclass(frozen=True, slots=True)
class TwoGroups:
    """Means, SDs and sizes of two groups."""

    m1: Range
    sd1: Range
    n1: float
    m2: Range
    sd2: Range
    n2: float

    def box(self) -> tuple[Range, ...]:
        """The four numbers that rounding blurs."""
        return (self.m1, self.m2, self.sd1, self.sd2)


def two_groups(row: Row) -> TwoGroups | None:
    """The two groups of a row, or None when a number is missing."""
    if not row.has("m1", "m2", "n1", "n2") or min(row.get("n1"), row.get("n2")) < 2:
        return None
    sd1, sd2 = sd_of(row, FIRST), sd_of(row, SECOND)
    if sd1 is None or sd2 is None:
        return None
    return TwoGroups(cell(row, "m1"), sd1, row.get("n1"), cell(row, "m2"), sd2, row.get("n2"))


# -- test statistics ----------------------------------------------------------------------------------


def student_t(m1: float, m2: float, sd1: float, sd2: float, n1: float, n2: float) -> float:
    """The t of two independent groups with equal variances.

    Examples
    --------
    >>> round(student_t(5, 4, 2, 2, 20, 20), 4)
    1.5811
    """
    return (m1 - m2) / (pooled(sd1, sd2, n1, n2) * math.sqrt(1 / n1 + 1 / n2))


def pooled(sd1: float, sd2: float, n1: float, n2: float) -> float:
    """The pooled SD of two groups."""
    return math.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


def welch_t(m1: float, m2: float, sd1: float, sd2: float, n1: float, n2: float) -> float:
    """The t of two independent groups whose variances may differ (Welch 1947, Biometrika).

    Examples
    --------
    >>> round(welch_t(5, 4, 2, 1, 20, 40), 4)
    2.1082
    """
    return (m1 - m2) / math.sqrt(sd1**2 / n1 + sd2**2 / n2)


def welch_df(sd1: float, sd2: float, n1: float, n2: float) -> float:
    """Welch's degrees of freedom (Welch 1947, Biometrika).

    Examples
    --------
    >>> welch_df(2, 2, 20, 20)
    38.0
    """
    a, b = sd1**2 / n1, sd2**2 / n2
    return (a + b) ** 2 / (a**2 / (n1 - 1) + b**2 / (n2 - 1))


def welch_dfs(groups: TwoGroups) -> Range:
    """Welch's df over the printed SDs; its one peak, N - 2 at sd1^2/n1/(n1-1) = sd2^2/n2/(n2-1), is looked for."""
    n1, n2 = groups.n1, groups.n2
    found = over(lambda a, b: welch_df(a, b, n1, n2), groups.sd1, groups.sd2)
    if found is None:
        return Range(min(n1, n2) - 1, n1 + n2 - 2)
    peak = math.sqrt(n2 * (n2 - 1) / (n1 * (n1 - 1)))  # sd2 / sd1 at the peak
    straddles = groups.sd2.low / groups.sd1.high <= peak <= groups.sd2.high / groups.sd1.low
    return Range(found.low, n1 + n2 - 2) if straddles else found


def t_of_groups(groups: TwoGroups) -> list[Candidate]:
    """The t with equal variances and Welch's t."""
    n1, n2 = groups.n1, groups.n2
    ways = (("equal variances", student_t), ("Welch", welch_t))
    found = [(way, over(lambda *box, f=formula: f(*box, n1, n2), *groups.box())) for way, formula in ways]
    return [Candidate(way, values) for way, values in found if values is not None]


def t_of_change(row: Row) -> list[Candidate]:
    """The t of one group's mean change, mean / (SD / root n)."""
    sd = sd_of(row, CHANGE)
    if sd is None or not row.has("mean_change", "n") or row.get("n") < 2:
        return []
    root = math.sqrt(row.get("n"))
    found = over(lambda mean, spread: mean / spread * root, cell(row, "mean_change"), sd)
    return [Candidate("one group", found)] if found is not None else []


def t_of_r(r: Range, df: Range) -> Range | None:
    """The t of a correlation, r root(df / (1 - r^2))."""
    r = Range(max(r.low, -1 + 1e-12), min(r.high, 1 - 1e-12))
    return over(lambda value, people: value * math.sqrt(people / (1 - value**2)), r, df)


def p_of_t(t: Range, df: Range) -> Range | None:
    """Two-sided p over the possible t and df; df may be infinite.

    Examples
    --------
    >>> p = p_of_t(Range(2.0, 2.1), Range(18, 18))
    >>> round(p.low, 4), round(p.high, 4)
    (0.0501, 0.0608)
    """
    return over(_two_sided, sizes(t), df)


def _two_sided(t: float, df: float) -> float:
    from scipy import special

    return 2 * float(special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t))


def p_of_f(f: Range, df1: float, df2: Range) -> Range | None:
    """Upper tail of F over the possible F and df2."""
    from scipy import special

    return over(lambda value, df: float(special.fdtrc(df1, df, max(value, 0.0))), f, df2)


# -- standardised differences -------------------------------------------------------------------------


def correction(df: float) -> float:
    """Hedges' J(df), exact.

    References
    ----------
    [@hedges1981]

    Examples
    --------
    >>> round(correction(18), 5)
    0.95765
    """
    if df <= 1:
        raise ValueError("J needs 2 degrees of freedom")
    return math.exp(math.lgamma(df / 2) - 0.5 * math.log(df / 2) - math.lgamma((df - 1) / 2))


def corrections(df: float) -> Range:
    """J as the exact formula and the usual approximation 1 - 3 / (4 df - 1) give it."""
    values = sorted((correction(df), 1 - 3 / (4 * df - 1)))
    return Range(values[0], values[1])


def with_g(way: str, d: Range | None, df: float) -> list[Candidate]:
    """d, and g after the small-sample correction."""
    if d is None:
        return []
    found = [Candidate(way, d)]
    if df > 1:
        g = over(lambda value, j: value * j, d, corrections(df))
        found += [Candidate(f"{way}, corrected", g)] if g is not None else []
    return found


def d_of_groups(groups: TwoGroups) -> list[Candidate]:
    """The d by the pooled SD, either group's SD, or the average SD; each with and without correction."""
    n1, n2 = groups.n1, groups.n2
    total = n1 + n2 - 2
    standardisers: tuple[tuple[str, Callable[[float, float], float], float], ...] = (
        ("pooled SD", lambda a, b: pooled(a, b, n1, n2), total),
        ("SD of group 2", lambda a, b: b, n2 - 1),
        ("SD of group 1", lambda a, b: a, n1 - 1),
        ("average SD", lambda a, b: math.sqrt((a**2 + b**2) / 2), total),
    )
    found: list[Candidate] = []
    for way, spread, df in standardisers:
        d = over(lambda m1, m2, a, b, s=spread: (m1 - m2) / s(a, b), *groups.box())
        found += with_g(way, d, df)
    return found


def d_variances(d: Range, n1: float, n2: float, people: float | None = None) -> Range:
    """The variance of a standardised difference of two groups, over the formulas in use.

    1/n1 + 1/n2 + d^2 / (2 m) with m = N, N - 2, N - 3.94 or, when one group's SD was the standardiser, the `people` of
    that group less one, or without the last term; and J^2 times each.

    References
    ----------
    [@hedges1981; @hedges1985]
    """
    total = n1 + n2
    base, size = 1 / n1 + 1 / n2, sizes(d)
    factor = correction(total - 2) if total > 3 else 1.0
    fewest = max(total - 3.94 if people is None else people - 1, 1)
    low = factor**2 * (base + size.low**2 / (2 * total))
    return widened(Range(min(low, base), base + size.high**2 / (2 * fewest)), VARIANCE)


def one_group_variances(d: Range, n: float) -> Range:
    """The variance of a standardised mean change, 1/n + d^2 / (2 m) with m = n or n - 1, and J^2 times that."""
    size = sizes(d)
    factor = correction(n - 1) if n > 2 else 1.0
    return widened(Range(factor**2 / n, 1 / n + size.high**2 / (2 * max(n - 1, 1))), VARIANCE)


# -- words --------------------------------------------------------------------------------------------


def said(values: Range, digits: int = 4) -> str:
    """A range in words, never with so few digits that both ends read the same by chance.

    Examples
    --------
    >>> said(Range(0.495, 0.505)), said(Range(2.0, 2.0))
    ('0.495 to 0.505', '2')
    """
    low, high = f"{values.low:.{digits}g}", f"{values.high:.{digits}g}"
    return low if low == high else f"{low} to {high}"


def as_printed(row: Row, column: str) -> str:
    """The digits of a cell as they stand in the file."""
    return row.printed.get(column) or f"{row.get(column):g}"


def told(row: Row, column: str) -> str:
    """A cell with what its digits allow: "t is 1.83 (1.825 to 1.835)"."""
    values: Any = cell(row, column)
    width = "" if values.low == values.high else f" ({said(values, 6)} by its digits)"
    return f"{column} is {as_printed(row, column)}{width}"


def ways(candidates: Sequence[Candidate], most: int = 2) -> str:
    """What the candidates give, the first ones in words."""
    return " or ".join(f"{said(item.range, 5)} ({item.way})" for item in candidates[:most])
