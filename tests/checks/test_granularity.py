"""GRIM and GRIMMER against full enumeration, and as rules over a table."""

from __future__ import annotations

import statistics
from itertools import combinations_with_replacement, product
from pathlib import Path

import pytest

from catharsis.checks.granularity import RULES, least_squares, possible_sd, possible_sums, reachable
from catharsis.studies.table import StudyTable, read_dictionary, read_studies

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize("n", range(1, 8))
def test_reachable_sums_of_squares_are_those_of_every_set_of_whole_numbers(n):
    """Shifting all answers by one changes the sum by n, so sums 0 to n - 1 stand for all."""
    far = 6 if n < 6 else 4
    seen = {(sum(x), sum(v * v for v in x)) for x in combinations_with_replacement(range(-far, far + 1), n)}
    for total, squares in product(range(n), range((far - 1) ** 2 + 1)):
        assert reachable(total, squares, n) == ((total, squares) in seen), (total, squares)


@pytest.mark.parametrize("n", [2, 3, 5, 9, 14])
def test_grim_lets_pass_exactly_the_means_that_some_answers_have(n):
    """Every mean with two decimals between 1 and 5, against the means of all possible sums; 5 rounds up or down."""
    printed = set()
    for total in range(n, 5 * n + 1):
        hundredths = 100 * total / n
        below = int(hundredths + 1e-9)
        near = {below} if hundredths - below < 0.5 - 1e-9 else {below + 1}
        near = {below, below + 1} if abs(hundredths - below - 0.5) < 1e-9 else near
        printed |= {f"{value / 100:.2f}" for value in near}
    for value in range(100, 501):
        text = f"{value / 100:.2f}"
        assert bool(len(possible_sums(text, n))) == (text in printed), text


@pytest.mark.parametrize(("n", "items"), [(3, 1), (4, 1), (5, 1), (7, 1), (4, 2), (5, 2)])
def test_grimmer_lets_pass_exactly_the_sds_that_some_answers_have(n, items):
    """All answers on a wide scale are enumerated; means and SDs are printed with two decimals."""
    top = 8 if n < 7 else 6
    printed: dict[str, set[str]] = {}
    for answers in combinations_with_replacement(range(top + 1), n):
        scores = [answer / items for answer in answers]
        printed.setdefault(f"{statistics.fmean(scores):.2f}", set()).add(f"{statistics.stdev(scores):.2f}")
    mean = f"{top / 2 / items:.2f}"  # in the middle of the scale the ends matter least
    totals = possible_sums(mean, n, items)
    widest = top / 2 / items
    for hundredths in range(int(100 * widest) + 1):
        sd = f"{hundredths / 100:.2f}"
        if sd in printed[mean]:
            assert possible_sd(sd, totals, n, items), sd
    inside = 100 * widest / 2  # SDs that need no answer beyond the scale
    passed = {f"{h / 100:.2f}" for h in range(int(inside)) if possible_sd(f"{h / 100:.2f}", totals, n, items)}
    assert passed - printed[mean] <= rounded_otherwise(printed[mean])


def rounded_otherwise(printed: set[str]) -> set[str]:
    """Neighbours that differ by the rounding of a 5 only."""
    return {f"{float(text) + step / 100:.2f}" for text in printed for step in (-1, 1)}


def test_least_squares_is_the_least():
    for n, total in product(range(1, 5), range(-4, 9)):
        squares = [sum(v * v for v in x) for x in product(range(-5, 10), repeat=n) if sum(x) == total]
        assert least_squares(total, n) == min(squares)


def test_the_published_example():
    """Brown and Heathers: 28 people, one item, cannot have a mean of 5.19 (145/28 is 5.18, 146/28 is 5.21)."""
    assert not len(possible_sums("5.19", 28))
    assert len(possible_sums("5.18", 28))
    assert len(possible_sums("5.21", 28))


def test_huge_numbers_neither_hang_nor_accuse():
    assert possible_sd("123456.78", possible_sums("5.00", 4), 4)
    assert possible_sd("99999999999.5", possible_sums("5.0", 3), 3)
    assert len(possible_sums("5.19", 10**12))


ANALYSIS = """schema: catharsis/analysis@1
title: Sleep
outcomes:
  answer: {{label: One answer, items: {items}}}
  open: {{label: Open}}
"""
STUDY = """schema: catharsis/studies@1
studies:
  - cite: lee2019
    label: Lee 2019
    outcome: {outcome}
    samples:
      - id: lee2019
        effects:
          - id: lee2019-sleep
            {block}
"""


def found(folder: Path, rule: str, block: str, outcome: str = "answer", items: int = 1) -> list[str]:
    (folder / "analysis.yaml").write_text(ANALYSIS.format(items=items))
    (folder / "studies.yaml").write_text(STUDY.format(block=block, outcome=outcome))
    table = read_studies(folder / "studies.yaml", read_dictionary(folder / "analysis.yaml"))
    return list(findings(table, rule))


def findings(table: StudyTable, rule: str) -> list[str]:
    finder = BY_NAME[rule].find
    assert finder is not None
    return [finding.problem.what for finding in finder(table)]


MEANS = "numbers: {{m1: {m1}, sd1: {sd1}, n1: {n1}, m2: 3.00, sd2: 1.10, n2: 20}}"


def test_grim_names_the_mean_and_the_people(tmp_path):
    said = found(tmp_path, "grim", MEANS.format(m1="3.19", sd1="1.2", n1=28))
    assert said == ["m1 is 3.19, but 28 people with whole-number answers cannot have that mean (lee2019-sleep)"]
    assert found(tmp_path, "grim", MEANS.format(m1="3.18", sd1="1.2", n1=28)) == []
    assert found(tmp_path, "grim", MEANS.format(m1="3.19", sd1="1.2", n1=28), outcome="open") == []
    assert found(tmp_path, "grim", MEANS.format(m1="3.19", sd1="1.2", n1=28), items=10) == []
    assert found(tmp_path, "grim", "numbers: {n: 12, mean_change: 0.45, sd_change: 1.2}")
    assert not found(tmp_path, "grim", "numbers: {n: 12, mean_change: 0.42, sd_change: 1.2}")
    assert not found(tmp_path, "grim", "numbers: {n: 12, mean_change: 4.5e-1, sd_change: 1.2}")  # not as papers print


def test_grimmer_names_the_sd(tmp_path):
    assert found(tmp_path, "grimmer", "numbers: {n: 12, mean_change: 3.50, sd_change: 1.50}") == [
        "sd_change is 1.50, but 12 people with whole-number answers and a mean of 3.50 cannot have it (lee2019-sleep)"
    ]
    assert not found(tmp_path, "grimmer", "numbers: {n: 12, mean_change: 3.50, sd_change: 1.45}")
    assert not found(tmp_path, "grimmer", "numbers: {n: 12, mean_change: 3.45, sd_change: 1.50}")  # GRIM has told it


def test_grim_of_shares(tmp_path):
    assert found(tmp_path, "grim-share", "n: 40\n            counts: {share_better: 0.34}", outcome="open") == [
        "share_better is 0.34, which is no whole number of 40 (lee2019-sleep)"
    ]
    assert not found(tmp_path, "grim-share", "n: 40\n            counts: {share_better: 0.35}", outcome="open")


def test_rules_pass_a_real_table_of_whole_numbers():
    """Every mean and SD of the flagship was computed from one 7-point item: GRIM and GRIMMER must not speak."""
    folder = Path(__file__).parents[2] / "analyses" / "crying"
    table = read_studies(folder / "studies.yaml", read_dictionary(folder / "analysis.yaml"))
    assert any(outcome.items for outcome in table.dictionary.outcomes.values())
    for name in BY_NAME:
        assert findings(table, name) == []
