"""GRIM and GRIMMER: what means and SDs of whole-number answers can be.

When every answer is a whole number and `items` of them are averaged, n people give a mean that is a whole number over
n * items, and a sum of squares that is a whole number too, even or odd as the sum of the answers is (x and x^2 are both
even or both odd). A printed mean or SD that no such numbers lead to cannot be right: n, the mean, the SD or the scale
is another than the row says.

The reasoning is that of the GRIM test (Brown & Heathers) and of GRIMMER (Anaya 2016, PeerJ Preprints; made analytic by
Allard 2018). The arithmetic stands here in whole numbers and is compared with full enumeration in the tests. For fewer
than five people not every sum of squares of the right parity can be reached, so those are enumerated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

from catharsis.checks.recomputation import CHANGE, FIRST, SECOND, Group, rows_of
from catharsis.checks.rounding import decimals
from catharsis.checks.rules import Finding, Rule
from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

GROUPS: tuple[Group, ...] = (CHANGE, FIRST, SECOND)
ALL_REACHED = 5  # people from which every sum of squares of the right parity above the least one can be reached
MOST_REACH = 60  # size of an answer up to which fewer people are enumerated
MOST_DIGITS = 20  # of a printed number
MOST_SUMS = 1000  # sums that one printed mean may stand for before GRIMMER has nothing to say


def rounded_from(text: str) -> tuple[Fraction, Fraction]:
    """The exact ends of what is printed so, both taken in because papers round 5 up or down.

    Examples
    --------
    >>> rounded_from("0.5")
    (Fraction(9, 20), Fraction(11, 20))
    """
    half = Fraction(10) ** -decimals(text) / 2
    return Fraction(text) - half, Fraction(text) + half


def possible_sums(mean: str, n: int, items: int = 1) -> range:
    """Sums of n * items whole numbers whose average may be printed as `mean`; empty when GRIM says there is none.

    Parameters
    ----------
    mean : str
        The mean as printed.
    n : int
        People.
    items : int
        Whole-number answers that each person's score averages.

    References
    ----------
    [@brown2017]

    Examples
    --------
    >>> list(possible_sums("3.48", 25)), list(possible_sums("3.47", 25))
    ([87], [])
    """
    low, high = rounded_from(mean)
    return range(math.ceil(low * n * items), math.floor(high * n * items) + 1)


def least_squares(total: int, n: int) -> int:
    """The smallest sum of squares of n whole numbers with a given sum: all as equal as can be.

    Examples
    --------
    >>> least_squares(7, 3)
    17
    """
    each, rest = divmod(total, n)
    return (n - rest) * each**2 + rest * (each + 1) ** 2


def reachable(total: int, squares: int, n: int) -> bool:
    """Whether n whole numbers can have this sum and this sum of squares.

    Examples
    --------
    >>> reachable(3, 5, 2), reachable(3, 7, 2)
    (True, False)
    """
    if (squares - total) % 2 or squares < least_squares(total, n):
        return False
    if n >= ALL_REACHED:
        return True
    if n == 1:
        return squares == total**2
    reach = math.isqrt(squares)
    return any(reachable(total - x, squares - x * x, n - 1) for x in range(-reach, reach + 1))


def possible_sd(sd: str, totals: range, n: int, items: int = 1) -> bool:
    """Whether n scores, averages of `items` whole numbers with one of these totals, may have the SD printed as `sd`.

    Examples
    --------
    >>> possible_sd("1.50", possible_sums("3.50", 12), 12), possible_sd("1.45", possible_sums("3.50", 12), 12)
    (False, True)
    """
    low, high = rounded_from(sd)
    low = max(low, Fraction(0))
    for total in totals:
        core = Fraction(total * total, n)
        least = max(math.ceil((low * items) ** 2 * (n - 1) + core), least_squares(total, n))
        most = math.floor((high * items) ** 2 * (n - 1) + core)
        if most > least and (n >= ALL_REACHED or math.isqrt(most) > MOST_REACH):
            return True  # two neighbours: one of them has the right parity
        if any(reachable(total, squares, n) for squares in range(least, most + 1)):
            return True
    return False


# -- the rules ----------------------------------------------------------------------------------------


def plain_digits(row: Row, column: str) -> str | None:
    """The digits of a cell when they are a plain number; "1e-9" is no mean that a paper prints."""
    text = (row.printed.get(column) or repr(row.get(column))).strip()
    plain = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", text)
    return text if plain and len(text) <= MOST_DIGITS else None


def _whole(table: StudyTable) -> Iterator[tuple[Row, Group, int]]:
    """Every group with a mean of whole-number answers."""
    for row in rows_of(table):
        items = table.dictionary.outcomes[str(row.get("outcome"))].items
        if items is None:
            continue
        for group in GROUPS:
            if row.has(group[0], group[3]) and row.get(group[3]) >= 2:
                yield row, group, items


def _of(items: int) -> str:
    return "whole-number answers" if items == 1 else f"averages of {items} whole-number answers"


def grim(table: StudyTable) -> Iterator[Finding]:
    """Means that no whole-number answers of n people can have."""
    for row, (mean, _, _, people), items in _whole(table):
        text, n = plain_digits(row, mean), int(row.get(people))
        if text is None or len(possible_sums(text, n, items)):
            continue
        below = math.floor(Fraction(text) * n * items)
        near = " and ".join(f"{k / (n * items):.{max(decimals(text), 0) + 2}f}" for k in (below, below + 1))
        yield _finding(
            row, mean, f"{mean} is {text}, but {n} people with {_of(items)} cannot have that mean ({row.id})",
            f"the nearest means they can have are {near}, which are printed otherwise",
            f"correct {mean} or {people} (people with missing answers?), or items: of the outcome in analysis.yaml",
            "grim",
        )  # fmt: skip


def grimmer(table: StudyTable) -> Iterator[Finding]:
    """SDs that no whole-number answers of n people with that mean can have."""
    for row, (mean, sd, _, people), items in _whole(table):
        texts = plain_digits(row, mean), plain_digits(row, sd) if row.has(sd) else None
        if texts[0] is None or texts[1] is None:
            continue
        n = int(row.get(people))
        totals = possible_sums(texts[0], n, items)
        if not 0 < len(totals) <= MOST_SUMS or possible_sd(texts[1], totals, n, items):
            continue
        yield _finding(
            row, sd,
            f"{sd} is {texts[1]}, but {n} people with {_of(items)} and a mean of {texts[0]} cannot have it ({row.id})",
            "no whole-number sum of squares, even or odd as the sum of the answers is, leads to an SD printed so",
            f"correct {sd}, {mean} or {people}; an SD divided by n instead of n - 1, or a standard error, shows so too",
            "grimmer",
        )  # fmt: skip


SHARES = ("share_better", "share_same", "share_worse")


def grim_share(table: StudyTable) -> Iterator[Finding]:
    """Shares that no whole number of people or episodes can be."""
    for row in rows_of(table):
        base = "episodes" if row.has("episodes") else "n"
        if not row.has(base) or row.get(base) < 1:
            continue
        for share in SHARES:
            text = plain_digits(row, share) if row.has(share) else None
            if text is None or len(possible_sums(text, int(row.get(base)))):
                continue
            near = math.floor(Fraction(text) * row.get(base)) / row.get(base)
            after = near + 1 / row.get(base)
            yield _finding(
                row, share, f"{share} is {text}, which is no whole number of {row.get(base)} ({row.id})",
                f"the nearest shares are {near:.4f} and {after:.4f}, which are printed otherwise",
                f"correct {share}, or the number that it is a share of", "grim-share",
            )  # fmt: skip


def _finding(row: Row, column: str, what: str, why: str, fix: str, rule: str) -> Finding:
    return Finding((row,), InputError(row.place(column), what, why, fix, rule))


RULES: tuple[Rule, ...] = (
    Rule(
        "grim", "discordant", "A mean that whole-number answers of n people cannot have.",
        "The sum of whole numbers is whole, so a mean of n people can only be a whole number over n (times the items "
        "that a score averages). Applies to outcomes with items: in analysis.yaml.",
        "Look for a mistyped mean or n, for people with missing answers, or for a score that is no average of whole "
        "numbers.", ("brown2017",), grim,
    ),
    Rule(
        "grimmer", "discordant", "An SD that whole-number answers of n people with that mean cannot have.",
        "The squares of whole numbers add to a whole number that is even or odd as their sum is; few SDs remain for "
        "small n. Applies to outcomes with items: in analysis.yaml.",
        "Look for a mistyped SD, mean or n, or for a standard error called an SD.", ("brown2017",), grimmer,
    ),
    Rule(
        "grim-share", "discordant", "A share that no whole number of the n people or episodes can be.",
        "A share of n people is a whole number over n.",
        "Look for a mistyped share, or for another n behind it.", ("brown2017",), grim_share,
    ),
)  # fmt: skip
