"""Which way an effect goes: numbers against the stated direction and the verdict, and against each other.

Numbers of a row go the way of the printed scale; the dictionary turns them once, by `higher_is`. A word under
`reported: {sign: ...}` and counts of better and worse go the family's way already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from catharsis.checks.printed_tests import expected_p, finding, one_sided
from catharsis.checks.recomputation import (
    CHANGE,
    CUT_OFF,
    TwoGroups,
    cell,
    d_of_groups,
    over,
    p_of_t,
    rows_of,
    said,
    sign_of,
    sizes,
    student_t,
    t_of_change,
    told,
    two_groups,
)
from catharsis.checks.rounding import Range
from catharsis.checks.rules import Finding
from catharsis.studies.table import Row, StudyTable

SIGNED = ("t", "d", "r", "yi")
BASELINE = frozenset({"baseline", "pre", "pretest", "pre-test", "pre-treatment", "pretreatment", "before"})
IMBALANCE = 0.25  # SDs: above this the What Works Clearinghouse asks for more than adjustment
BEYOND_CHANCE = 2.576  # z at p = .01
CHANCE = 0.01  # an imbalance that chance gives more often is not told


def difference(row: Row) -> Range | None:
    """The printed difference of a row: m1 - m2, or the mean change."""
    if row.has("m1", "m2"):
        return over(lambda a, b: a - b, cell(row, "m1"), cell(row, "m2"))
    return cell(row, CHANGE[0]) if row.has(CHANGE[0]) else None


def signs(row: Row) -> list[tuple[str, int, str]]:
    """The sign of every signed number of a row, in raw direction: its cell, its sign, and how to call it."""
    found = []
    gap = difference(row)
    if gap is not None and sign_of(gap):
        column = "m1" if row.has("m1", "m2") else CHANGE[0]
        found.append((column, sign_of(gap), "m1 - m2" if column == "m1" else column))
    for column in SIGNED:
        if row.has(column) and sign_of(cell(row, column)):
            found.append((column, sign_of(cell(row, column)), column))
    return found


def sign_contradiction(table: StudyTable) -> Iterator[Finding]:
    """Numbers of one row that go in two directions.

    Where t or an effect size can be recomputed, the rules that do so tell it; this one covers numbers whose sign alone
    is known. A ratio of two negative means turns the other way, so yi counts only beside t, d and r.
    """
    for row in rows_of(table):
        yield from _counts_the_other_way(row, table)
        found = signs(row)
        if not found or {sign for _, sign, _ in found} != {1, -1}:
            continue
        means = [item for item in found if item[0] in ("m1", CHANGE[0])]
        others = [item for item in found if item[0] in ("t", "d", "r")]
        pool = means + others if others else []
        if others and row.has("yi"):
            pool += [item for item in found if item[0] == "yi"]
        if {sign for _, sign, _ in pool} != {1, -1}:
            continue
        first = pool[0]
        odd = next(item for item in pool if item[1] != first[1])
        if _recomputed(row, first[0], odd[0]):
            continue
        yield finding(
            row, odd[0], f"{odd[2]} is {_word(odd[1])} while {first[2]} is {_word(first[1])}",
            "the numbers of a row go in one direction, first group less second",
            "turn the sign of one of them, or swap the two groups", "sign-contradiction",
        )  # fmt: skip


def _counts_the_other_way(row: Row, table: StudyTable) -> Iterator[Finding]:
    """More people better than worse beside a mean change for the worse, or the other way round, both beyond chance."""
    if not row.has("better", "worse", "mean_change"):
        return
    up, down = row.get("better"), row.get("worse")
    if up + down == 0:
        return
    turn = table.dictionary.orientation(str(row.get("outcome")))
    mean = turn * row.get("mean_change")
    most = (up - down) / math.sqrt(up + down)  # the sign test's z
    t = t_of_change(row)
    far = min((abs(end) for item in t for end in (item.range.low, item.range.high)), default=0.0)
    if mean * most < 0 and abs(most) > BEYOND_CHANCE and far > BEYOND_CHANCE:
        yield finding(
            row, "mean_change", f"{told(row, 'mean_change')}, though {up} people are better and {down} worse",
            "the mean and most people go in two directions, each beyond chance",
            "check the sign of the mean change, the counts, and higher_is: of the outcome", "sign-contradiction",
        )  # fmt: skip


def _recomputed(row: Row, first: str, odd: str) -> bool:
    """Whether another rule recomputes one of the two from the other, and has told it."""
    if first in ("m1", CHANGE[0]) and odd in ("t", "d", "yi"):
        groups = two_groups(row)
        return groups is not None or (
            first == CHANGE[0] and row.has("n") and (row.has("sd_change") or row.has("se_change"))
        )
    return first == "t" and odd == "d" and (row.has("n1", "n2") or row.has("n"))


def _word(sign: int) -> str:
    return "positive" if sign > 0 else "negative"


def sign_against_numbers(table: StudyTable) -> Iterator[Finding]:
    """A stated direction that the row's numbers contradict.

    A t under `reported:` goes the way of its paper, which is not known here.
    """
    for row in rows_of(table):
        if not row.get("sign") or row.get("kind") not in ("estimate", "counts"):
            continue
        turn = table.dictionary.orientation(str(row.get("outcome")))
        words = table.dictionary.words_of(str(row.get("outcome")))
        stated = row.get("sign")
        found = [(name, turn * sign) for _, sign, name in signs(row)]
        if row.has("better", "worse") and row.get("better") != row.get("worse"):
            found.append(("better - worse", 1 if row.get("better") > row.get("worse") else -1))
        if found and all(sign == -stated for _, sign in found):
            name = words.positive if stated > 0 else words.negative
            other = words.negative if stated > 0 else words.positive
            yield finding(
                row, "sign", f'the stated direction is "{name}", but {found[0][0]} says "{other}"',
                "which way is up is said once, by higher_is: of the outcome in analysis.yaml",
                "check the sign of the numbers, the order of the groups, the word under sign: and higher_is:",
                "sign-against-numbers",
            )  # fmt: skip


def verdict_against_p(table: StudyTable) -> Iterator[Finding]:
    """A verdict, significant or not, that the row's p or test does not bear out."""
    for row in rows_of(table):
        stated = row.get("significant")
        alpha = row.get("alpha", 0.05)
        ps = _ps(row)
        if not ps:
            continue
        source, ranges = ps
        low, high = min(item.low for item in ranges), max(item.high for item in ranges)
        if stated is True and low > alpha:
            said_verdict = f"p < {alpha:g}"
        elif stated is False and high < alpha:
            said_verdict = f"p > {alpha:g} or n.s."
        else:
            continue
        yield finding(
            row, "significant", f"the verdict is {said_verdict}, but {source} {said(Range(low, high))}",
            "the verdict follows from p", "check the verdict, its level and the numbers against the paper",
            "verdict-against-p",
        )  # fmt: skip


def _ps(row: Row) -> tuple[str, list[Range]] | None:
    """The p of a row: printed, or from its test, also one-sided where that could be meant."""
    if row.has("p"):
        p = cell(row, "p", CUT_OFF)
        return "p is", [Range(max(p.low, 0.0), p.high)]
    source, candidates = expected_p(row)
    if not candidates:
        return None
    verdict = row.get("significant")
    shown = candidates + one_sided(candidates) if verdict else candidates
    return f"{source} gives p", [item.range for item in shown]


# -- baseline -----------------------------------------------------------------------------------------


def is_baseline(row: Row, table: StudyTable) -> bool:
    """Whether a row compares two groups before anything was done: minutes below 0, or a cell that says baseline."""
    if row.has("minutes") and row.get("minutes") < 0:
        return True
    names = ("partition", "design", *table.dictionary.moderators)
    return any(str(row.get(name, "")).strip().lower() in BASELINE for name in names)


def baseline_imbalance(table: StudyTable) -> Iterator[Finding]:
    """Two groups that differ before the event by more than chance gives."""
    for row in rows_of(table):
        if not row.has("m1", "m2") or not is_baseline(row, table):
            continue
        groups = two_groups(row)
        if groups is None or groups.n1 + groups.n2 < 5:
            continue
        d, p = d_of_groups(groups)[0].range, _chance(groups)
        if sizes(d).low >= IMBALANCE and p is not None and p.high < CHANCE:
            yield finding(
                row, "m1", f"the groups differ by {said(d)} SD at baseline, which chance gives with p {said(p)}; "
                f"{told(row, 'm1')}, {told(row, 'm2')}",
                "a difference that was there before cannot be an effect of what came after",
                "check both means and the SDs (a standard error?), use change scores or adjusted means, or waive with "
                "what the authors did about it", "baseline-imbalance",
            )  # fmt: skip


def _chance(groups: TwoGroups) -> Range | None:
    n1, n2 = groups.n1, groups.n2
    t = over(lambda m1, m2, a, b: student_t(m1, m2, a, b, n1, n2), *groups.box())
    return p_of_t(t, Range(n1 + n2 - 2, n1 + n2 - 2)) if t is not None else None
