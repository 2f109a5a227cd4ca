"""People counted: counts, shares, group sizes, and the test of a two-by-two table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from catharsis.checks.granularity import plain_digits, possible_sums, rounded_from
from catharsis.checks.printed_tests import finding
from catharsis.checks.recomputation import CUT_OFF, Candidate, cell, fits, rows_of, said, told, ways, widened
from catharsis.checks.rounding import Range
from catharsis.checks.rules import Finding
from catharsis.studies.table import Row, StudyTable

MOST_STEPS = 120  # people times points up to which all combinations of answers are gone through
ANSWERS = (("better", "share_better"), ("same", "share_same"), ("worse", "share_worse"))

LONGEST = 20_000  # tables with the same margins that Fisher's test goes through


def n_against_groups(table: StudyTable) -> Iterator[Finding]:
    """An effect's n that is not the sum of its two groups, or of its counts."""
    for row in rows_of(table):
        if not row.has("n") or not _own(row, "n"):
            continue
        n = row.get("n")
        if row.has("n1", "n2") and row.get("n1") + row.get("n2") < n and not row.get("n1") == row.get("n2") == n:
            yield finding(
                row, "n", f"n is {n}, but n1 + n2 is {row.get('n1') + row.get('n2')}",
                "the effect counts the people of its two groups", "correct n, n1 or n2; people in a third group do not "
                "belong to the n of this effect", "n-against-groups",
            )  # fmt: skip
        if row.has("better", "same", "worse"):
            total = row.get("better") + row.get("same") + row.get("worse")
            if total < n:
                yield finding(
                    row, "n", f"n is {n}, but better + same + worse is {total}",
                    "each person answers once", "correct n or the counts; n counts those who answered",
                    "n-against-counts",
                )  # fmt: skip


def _own(row: Row, column: str) -> bool:
    """Whether a cell stands in the effect itself; what is inherited may count more people than one effect."""
    return row.place(column).line >= row.at.line


def shares_against_counts(table: StudyTable) -> Iterator[Finding]:
    """Shares that the counts do not give, or that do not add to 1."""
    for row in rows_of(table):
        base = row.get("n") or row.get("episodes")
        if row.has("better", "same", "worse"):
            base = base or row.get("better") + row.get("same") + row.get("worse")
        for count, share in ANSWERS:
            if row.has(count, share) and base:
                value = row.get(count) / base
                bases = [Candidate("count / n", Range(value, value))]
                if not fits(cell(row, share, CUT_OFF), bases):
                    yield finding(
                        row, share, f"{told(row, share)}, but {row.get(count)} of {base} is {value:.4g}",
                        "a share is its count over the number of people", f"check {share}, {count} and n",
                        "share-against-counts",
                    )  # fmt: skip
        shares = [share for _, share in ANSWERS if row.has(share)]
        if len(shares) == len(ANSWERS):
            parts = [cell(row, share, CUT_OFF) for share in shares]
            total = Range(sum(part.low for part in parts), sum(part.high for part in parts))
            if not widened(total).meets(Range(1.0, 1.0)):
                yield finding(
                    row, shares[0], f"the shares add to {sum(row.get(share) for share in shares):g}",
                    "everybody is better, the same or worse", "correct the shares, or leave out what is not printed",
                    "shares-against-1",
                )  # fmt: skip


def change_against_counts(table: StudyTable) -> Iterator[Finding]:
    """A mean change, or its SD, that the people better, same and worse cannot have, on a scale of whole numbers.

    Everybody who is better changed by at least 1 and at most to the end of the scale.
    """
    for row in rows_of(table):
        outcome = table.dictionary.outcomes[str(row.get("outcome"))]
        if outcome.items != 1 or outcome.range is None:
            continue
        if not row.has("mean_change", "better", "same", "worse"):
            continue
        low, high = outcome.range
        turn = table.dictionary.orientation(str(row.get("outcome")))
        up, down = (row.get("better"), row.get("worse")) if turn > 0 else (row.get("worse"), row.get("better"))
        total = up + down + row.get("same")
        if total == 0 or low > -1 or high < 1:
            continue
        people = f"{up} up and {down} down of {total}"
        allowed = Range((up + low * down) / total, (high * up - down) / total)
        if not fits(cell(row, "mean_change"), [Candidate("", allowed)]):
            yield _change(row, "mean_change", f"{people} give {said(allowed, 5)} (the ends of the scale)")
        elif row.has("sd_change") and not _answers_exist(row, (up, down, total), (-math.ceil(low), math.floor(high))):
            yield _change(row, "sd_change", f"no answers of {people} give it with the mean {row.get('mean_change'):g}")


def _change(row: Row, column: str, but: str) -> Finding:
    return finding(
        row, column, f"{told(row, column)}, but {but}",
        "who is better changed by at least 1 point and no further than the scale goes, and so who is worse",
        "check the mean, its sign, the SD and the counts", "change-against-counts",
    )  # fmt: skip


def _answers_exist(row: Row, people: tuple[int, int, int], ends: tuple[int, int]) -> bool:
    """Whether some answers have these counts, this mean and this SD; True where there are too many to go through."""
    (up, down, total), (most_down, most_up) = people, ends
    mean, sd = (plain_digits(row, column) for column in ("mean_change", "sd_change"))
    if mean is None or sd is None or row.get("n", total) != total or total < 2:
        return True
    if max(up * most_up, down * most_down) > MOST_STEPS:
        return True
    sums = possible_sums(mean, total)
    low, high = rounded_from(sd)
    below: dict[int, list[int]] = {}
    for fall, squares in reached(down, most_down):
        below.setdefault(fall, []).append(squares)
    for rise, squares in reached(up, most_up):
        for whole in sums:
            core = Fraction(whole * whole, total)
            least, most = max(low, Fraction(0)) ** 2 * (total - 1) + core, high**2 * (total - 1) + core
            if any(least <= squares + other <= most for other in below.get(rise - whole, ())):
                return True
    return not len(sums)  # GRIM has told a mean without sums


def reached(people: int, most: int) -> set[tuple[int, int]]:
    """Sum and sum of squares of so many whole numbers from 1 to `most`, in all combinations.

    Examples
    --------
    >>> sorted(reached(2, 2))
    [(2, 2), (3, 5), (4, 8)]
    """
    found = {(0, 0)}
    for _ in range(people):
        found = {(total + x, squares + x * x) for total, squares in found for x in range(1, most + 1)}
    return found


def p_against_counts(table: StudyTable) -> Iterator[Finding]:
    """The p of a two-by-two table that no usual test of it gives."""
    for row in rows_of(table):
        if not row.has("p", "events1", "n1", "events2", "n2"):
            continue
        if row.has("t") or row.has("F") or row.has("m1") or row.has("r"):
            continue
        expected = table_tests(row.get("events1"), row.get("n1"), row.get("events2"), row.get("n2"))
        if not expected:
            continue
        half = [Candidate(f"{item.way}, one-sided", item.range.scaled(0.5)) for item in expected]
        if not fits(cell(row, "p", CUT_OFF), expected + half):
            nearest = sorted(expected, key=lambda item: abs(item.range.low - row.get("p")))
            yield finding(
                row, "p", f"{told(row, 'p')}, but the counts give {ways(nearest)}, and no usual test of them that p",
                "the p of a two-by-two table follows from its counts", "check p and the counts against the paper",
                "p-against-counts",
            )  # fmt: skip


def table_tests(a: int, n1: int, c: int, n2: int) -> list[Candidate]:
    """Two-sided p of a two-by-two table by the tests that papers use, the commonest first.

    Chi-square, with Yates' correction, with N - 1 (Campbell 2007, Statistics in Medicine); Wald's tests of the log odds
    ratio, the log risk ratio and the risk difference; the likelihood ratio; Fisher's exact test, also as twice its
    one-sided p and with mid-p.

    Examples
    --------
    >>> [f"{item.way} {item.range.low:.3f}" for item in table_tests(8, 10, 3, 10)[:4]]
    ['chi-square 0.025', 'Yates 0.072', 'N - 1 0.028', 'likelihood ratio 0.021']
    """
    from scipy import special

    b, d = n1 - a, n2 - c
    events, others, people = a + c, b + d, n1 + n2
    if min(b, d) < 0 or 0 in (events, others, n1, n2):
        return []
    cross = abs(a * d - b * c)
    scale = people / (events * others * n1 * n2)
    found = [("chi-square", math.sqrt(cross**2 * scale)), ("Yates", math.sqrt(max(cross - people / 2, 0) ** 2 * scale))]
    found.append(("N - 1", math.sqrt(cross**2 * scale * (people - 1) / people)))
    margins = ((a, n1 * events), (b, n1 * others), (c, n2 * events), (d, n2 * others))
    found.append(("likelihood ratio", math.sqrt(2 * abs(sum(x * math.log(x * people / y) for x, y in margins if x)))))
    if 0 not in (a, b, c, d):
        found.append(("log odds ratio", abs(math.log(a * d / (b * c))) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)))
    spread = a * b / n1**3 + c * d / n2**3
    if spread > 0:
        found.append(("risk difference", abs(a / n1 - c / n2) / math.sqrt(spread)))
    if a and c:
        found.append(("log risk ratio", abs(math.log(a / n1 / (c / n2))) / math.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n2)))
    tests = [Candidate(way, Range(p, p)) for way, z in found for p in (2 * float(special.ndtr(-z)),)]
    if min(events, n1) - max(0, events - n2) > LONGEST:
        return tests  # in tables so large the exact test agrees with the others, and would take minutes
    exact, doubled, middle = fisher(a, n1, c, n2)
    named = (("Fisher", exact), ("Fisher, twice one-sided", doubled), ("mid-p", middle))
    return [*tests, *(Candidate(way, Range(p, p)) for way, p in named)]


def fisher(a: int, n1: int, c: int, n2: int) -> tuple[float, float, float]:
    """Fisher's exact p: of all tables with these margins that are no likelier; twice the one-sided; and with mid-p."""
    events, people = a + c, n1 + n2
    low, high = max(0, events - n2), min(events, n1)
    whole = _log_choose(people, events)
    logs = [_log_choose(n1, k) + _log_choose(n2, events - k) - whole for k in range(low, high + 1)]
    limit, own = logs[a - low] + 1e-9, math.exp(logs[a - low])
    exact = sum(math.exp(value) for value in logs if value <= limit)
    tail = min(sum(map(math.exp, logs[: a - low + 1])), sum(map(math.exp, logs[a - low :])))
    return min(1.0, exact), min(1.0, 2 * tail), min(1.0, 2 * tail - own)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
