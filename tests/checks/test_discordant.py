"""Each rule of discordance with a table that must trigger it and one that must not; recomputations against scipy."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from catharsis.checks.counted import fisher, reached, table_tests
from catharsis.checks.discordant import RULES
from catharsis.checks.granularity import RULES as GRANULARITY
from catharsis.checks.recomputation import (
    TwoGroups,
    corrections,
    d_variances,
    over,
    p_of_t,
    student_t,
    t_of_groups,
    welch_df,
    welch_dfs,
    welch_t,
)
from catharsis.checks.rounding import Range, printed_range
from catharsis.checks.run import check_rows
from catharsis.errors import At
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row, StudyTable, read_studies

ROOT = Path(__file__).parents[2]
DICTIONARY = Dictionary.model_validate({
    "outcomes": {
        "pain": {"label": "Pain", "higher_is": "worse"},
        "joy": {"label": "Joy", "unit": "points"},
        "item": {"label": "One item", "range": [-3, 3], "items": 1},
    },
    "moderators": {"phase": {"label": "Phase", "levels": {"baseline": "before", "after": "after"}}},
})  # fmt: skip


def table(folder: Path, *blocks: str) -> StudyTable:
    """One study for each block of lines of an effect."""
    lines = ["schema: catharsis/studies@1", "studies:"]
    for i, block in enumerate(blocks, 1):
        lines += [f"  - cite: study{i}", f"    label: Study {i}", "    samples:", f"      - id: sample{i}",
                  "        effects:", f"          - id: row{i}"]  # fmt: skip
        outcome = "" if "outcome:" in block else "outcome: joy\n"
        lines += [f"            {line}" for line in (outcome + block).strip().split("\n")]
    path = folder / "studies.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_studies(path, DICTIONARY)


def said(folder: Path, *blocks: str, rule: str) -> list[str]:
    """What one rule says of a table, from the rules as `catharsis check` runs them."""
    found = check_rows(table(folder, *blocks))
    assert {problem.rule for problem in found.errors} <= {rule}
    return [problem.what for problem in found.warnings if problem.rule == rule]


# A trial as papers print it: t of equal variances 2.372, p .0224, d 0.70, g 0.69; Welch the same, df 42.9.
TRIAL = "numbers: {{m1: 5.2, sd1: 1.9, n1: 23, m2: 3.9, sd2: 1.8, n2: 23{more}}}"


def trial(more: str) -> str:
    return TRIAL.format(more=", " + more)


# rule, rows that must trigger it on the last of them, rows that must not
CASES: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("t-against-means", (trial("t: 11.4, df: 44"),), (trial("t: 2.38, df: 44"),)),
    ("t-against-means", (trial("F: 2.38, df1: 1, df2: 44"),), (trial("F: 5.65, df1: 1, df2: 44"),)),
    ("t-against-means", ("numbers: {n: 20, mean_change: 0.50, sd_change: 1.00, t: 22.36}",),
     ("numbers: {n: 20, mean_change: 0.50, sd_change: 1.00, t: 2.24}",)),
    ("t-against-means", ("numbers: {m1: 5.2, se1: 1.9, n1: 23, m2: 3.9, se2: 1.8, n2: 23, t: 2.38}",),
     ("numbers: {m1: 5.2, se1: 0.396, n1: 23, m2: 3.9, se2: 0.375, n2: 23, t: 2.38}",)),
    ("t-against-means", (),  # Welch, and a paired test whose t needs the correlation
     ("numbers: {m1: 5.2, sd1: 3.0, n1: 12, m2: 3.9, sd2: 1.0, n2: 50, t: 1.48}",
      "test: one-sample\nnumbers: {m1: 5.2, sd1: 1.9, n1: 23, m2: 3.9, sd2: 1.8, n2: 23, t: 4.10, df: 22}")),
    ("p-against-test", ("numbers: {t: 2.10, df: 28, n1: 15, n2: 15, p: 0.45}",),
     ("numbers: {t: 2.10, df: 28, n1: 15, n2: 15, p: 0.045}",)),
    ("p-against-test", ("numbers: {t: 2.10, n: 30, p: 0.060}",),
     ("numbers: {t: 2.10, n: 30, p: 0.022}",)),  # one-sided
    ("p-against-test", ("numbers: {r: 0.40, n: 50, p: 0.40}",), ("numbers: {r: 0.40, n: 50, p: 0.004}",)),
    ("p-against-test", (trial("p: 0.22"),), (trial("p: 0.022"),)),
    ("p-against-test", ("reported: {sign: better, F: 4.18, df1: 1, df2: 40, n: 42, p: 0.47}",),
     ("reported: {sign: better, F: 4.18, df1: 1, df2: 40, n: 42, p: 0.047}",)),
    ("p-against-test", (), ("numbers: {t: 8.1, n1: 40, n2: 40, p: 0.000}",)),
    ("df-against-n", (trial("t: 2.38, df: 40"),), (trial("t: 2.38, df: 43.9"),)),
    ("df-against-n", ("numbers: {r: 0.61, n: 57, t: 5.71, df: 56}",), ("numbers: {r: 0.61, n: 57, t: 5.71, df: 55}",)),
    ("df-against-n", ("numbers: {t: 2.0, df: 19, n: 30}",), ("numbers: {t: 2.0, df: 29, n: 30}",)),
    ("r-against-test", ("numbers: {r: 0.40, n: 50, t: 5.02}",), ("numbers: {r: 0.40, n: 50, t: 3.02}",)),
    ("r-against-test", ("numbers: {r: 0.68, n: 10, t: 2.36, df: 8}",),  # whole df of a correlation are exact
     ("numbers: {r: 0.68, n: 10, t: 2.62, df: 8}", "numbers: {r: 0.46, n: 16, t: 1.94, df: 14}")),
    ("p-against-test", ("numbers: {m1: 47.4, sd1: 5.0, n1: 2, m2: 33.0, sd2: 5.4, n2: 2, t: 2.77, df: 2, p: 0.139}",),
     ("numbers: {m1: 47.4, sd1: 5.0, n1: 2, m2: 33.0, sd2: 5.4, n2: 2, t: 2.77, df: 2, p: 0.109}",
      "numbers: {t: 2.50, df: 12, n1: 10, n2: 13, p: 0.029}")),  # Welch's 11.6, rounded
    ("t-against-F", ("numbers: {t: 2.00, F: 2.00, n1: 20, n2: 20}",), ("numbers: {t: 2.00, F: 4.00, n1: 20, n2: 20}",)),
    ("se-against-sd", ("numbers: {n: 25, mean_change: 1.0, sd_change: 2.0, se_change: 0.20}",),
     ("numbers: {n: 25, mean_change: 1.0, sd_change: 2.0, se_change: 0.40}",)),
    ("d-against-numbers", (trial("d: 1.70"),), (trial("d: 0.70"), trial("d: 0.69"), trial("d: 0.72"))),
    ("d-against-numbers", ("numbers: {t: 2.00, n1: 20, n2: 20, d: 0.23}",),
     ("numbers: {t: 2.00, n1: 20, n2: 20, d: 0.63}",)),
    ("d-error", ("numbers: {d: 0.50, d_se: 0.06, n1: 30, n2: 30}",),
     ("numbers: {d: 0.50, d_se: 0.26, n1: 30, n2: 30}",)),
    ("d-error", ("numbers: {d: 0.50, d_ci: [0.38, 0.62], n1: 30, n2: 30}",),
     ("numbers: {d: 0.50, d_ci: [-0.01, 1.01], n1: 30, n2: 30}",)),
    ("d-error", ("numbers: {d: -1.10, d_ci: [-1.75, -0.45], n1: 2, n2: 20}",),  # a digit of n1 = 22 lost
     ("numbers: {d: -1.10, d_ci: [-1.75, -0.45], n1: 22, n2: 20}",)),
    ("d-error", ("numbers: {d: 0.50, d_ci: [0.01, 1.91]}",), ("numbers: {d: 0.50, d_ci: [0.01, 0.99]}",)),
    ("d-error", ("numbers: {d: 0.50, d_se: 0.25, d_ci: [0.09, 0.91]}",),
     ("numbers: {d: 0.50, d_se: 0.25, d_ci: [0.01, 0.99]}",)),
    ("yi-against-numbers", (trial("yi: 0.51, vi: 0.09"),),
     (trial("yi: 1.30, vi: 0.298"), trial("yi: 0.6905, vi: 0.0921"))),
    ("yi-against-numbers", ("counts: {events1: 4, n1: 123, events2: 11, n2: 139}\nnumbers: {yi: 0.41, vi: 0.33}",),
     ("counts: {events1: 4, n1: 123, events2: 11, n2: 139}\nnumbers: {yi: -0.889, vi: 0.326}",)),
    ("yi-against-numbers", ("numbers: {r: 0.40, n: 50, yi: 4.24, vi: 0.0213}",),
     ("numbers: {r: 0.40, n: 50, yi: 0.424, vi: 0.0213}",)),
    ("vi-against-numbers", (trial("yi: 1.30, vi: 0.546"),), (trial("yi: 1.30, sei: 0.546"),)),
    ("vi-against-numbers", ("numbers: {yi: 0.4, vi: 0.2, sei: 0.2, n: 30}",),
     ("numbers: {yi: 0.4, vi: 0.04, sei: 0.2, n: 30}",)),
    ("sign-contradiction", (trial("t: -2.38, df: 44"),), (trial("t: 2.38, df: 44"),)),
    ("sign-contradiction",  # 19 less 18 may be 0.02, and never less than 0
     ("numbers: {m1: 19, sd1: 7, n1: 57, m2: 18, sd2: 4, n2: 52, t: -0.90, df: 107}",),
     ("numbers: {m1: 19, sd1: 7, n1: 57, m2: 18, sd2: 4, n2: 52, t: 0.90, df: 107}",
      "numbers: {m1: 18, sd1: 7, n1: 57, m2: 18, sd2: 4, n2: 52, t: -0.60, df: 107}")),
    ("sign-contradiction", ("numbers: {m1: 3.1, n1: 30, m2: 4.0, n2: 30, t: 2.2}",),
     ("numbers: {m1: 3.1, n1: 30, m2: 4.0, n2: 30, t: -2.2}",)),
    ("sign-contradiction", (trial("d: -0.70"),), (trial("d: 0.70"),)),
    ("sign-contradiction",
     ("n: 200\nnumbers: {mean_change: -0.60, sd_change: 1.20}\ncounts: {better: 130, same: 30, worse: 40}",),
     ("n: 200\nnumbers: {mean_change: 0.60, sd_change: 1.20}\ncounts: {better: 130, same: 30, worse: 40}",)),
    ("sign-against-numbers", ("outcome: pain\n" + trial("t: 2.38") + "\nreported: {sign: better}",),
     ("outcome: pain\n" + trial("t: 2.38") + "\nreported: {sign: worse}",)),
    ("verdict-against-p", ("reported: {sign: better, verdict: p < .05, p: 0.19, n: 30}",),
     ("reported: {sign: better, verdict: p < .05, p: 0.019, n: 30}",)),
    ("verdict-against-p", ("reported: {sign: better, verdict: n.s., t: 3.1, n: 30}",),
     ("reported: {sign: better, verdict: n.s., t: 1.1, n: 30}",)),
    ("baseline-imbalance", ("phase: baseline\nnumbers: {m1: 20.1, sd1: 4.0, n1: 60, m2: 16.9, sd2: 4.2, n2: 60}",),
     ("phase: baseline\nnumbers: {m1: 20.1, sd1: 4.0, n1: 60, m2: 19.5, sd2: 4.2, n2: 60}",
      "phase: after\nnumbers: {m1: 20.1, sd1: 4.0, n1: 60, m2: 16.9, sd2: 4.2, n2: 60}")),
    ("baseline-imbalance", ("minutes: -10\nnumbers: {m1: 20.1, sd1: 4.0, n1: 60, m2: 16.9, sd2: 4.2, n2: 60}",), ()),
    ("n-against-groups", ("n: 64\n" + trial("t: 2.38"),), ("n: 46\n" + trial("t: 2.38"),)),
    ("n-against-counts", ("n: 40\ncounts: {better: 20, same: 5, worse: 9}",),
     ("n: 34\ncounts: {better: 20, same: 5, worse: 9}",)),
    ("share-against-counts", ("n: 34\ncounts: {better: 20, same: 5, worse: 9, share_better: 0.50}",),
     ("n: 34\ncounts: {better: 20, same: 5, worse: 9, share_better: 0.59}",)),
    ("shares-against-1", ("n: 1000\ncounts: {share_better: 0.20, share_same: 0.10, share_worse: 0.30}",),
     ("n: 1000\ncounts: {share_better: 0.33, share_same: 0.33, share_worse: 0.33}",)),
    ("change-against-counts",
     ("outcome: item\nn: 10\nnumbers: {mean_change: -1.5, sd_change: 1.6}\ncounts: {better: 6, same: 2, worse: 2}",),
     ("outcome: item\nn: 10\nnumbers: {mean_change: 0.6, sd_change: 1.35}\ncounts: {better: 6, same: 2, worse: 2}",)),
    ("change-against-counts",  # the mean may be, the SD may not: six better by 1, two worse by 1 give .84
     ("outcome: item\nn: 10\nnumbers: {mean_change: 0.4, sd_change: 0.70}\ncounts: {better: 6, same: 2, worse: 2}",),
     ("outcome: item\nn: 10\nnumbers: {mean_change: 0.4, sd_change: 0.84}\ncounts: {better: 6, same: 2, worse: 2}",)),
    ("p-against-counts", ("counts: {events1: 1, n1: 98, events2: 4, n2: 139}\nreported: {p: 0.561}",),  # between tests
     ("counts: {events1: 1, n1: 98, events2: 4, n2: 139}\nreported: {p: 0.651}",)),
    ("p-against-counts", ("counts: {events1: 8, n1: 10, events2: 3, n2: 10}\nreported: {p: 0.35}",),
     ("counts: {events1: 8, n1: 10, events2: 3, n2: 10}\nreported: {p: 0.025}",
      "counts: {events1: 8, n1: 10, events2: 3, n2: 10}\nreported: {p: 0.070}")),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{rule}-{i}" for i, (rule, _, _) in enumerate(CASES)])
def test_a_rule_speaks_of_what_cannot_be_and_of_nothing_else(case, tmp_path):
    rule, wrong, right = CASES[case]
    for block in wrong:
        what = said(tmp_path, block, rule=rule)
        assert len(what) == 1, block
        assert what[0].endswith("(row1)")
    for block in right:
        assert said(tmp_path, block, rule=rule) == [], block


def test_every_rule_has_a_case():
    assert {rule.name for rule in RULES} == {rule for rule, wrong, _ in CASES if wrong} | {"vi-against-peers"}
    assert all(rule.severity == "warning" for rule in RULES)


PEERS = [(0.21, 0.040, 100), (0.35, 0.081, 50), (0.10, 0.020, 200), (0.44, 0.103, 40), (0.02, 0.051, 80),
         (0.28, 0.033, 120), (0.61, 0.072, 60)]  # fmt: skip


def peers(*more: tuple[float, float, int]) -> list[str]:
    return [f"numbers: {{yi: {y}, vi: {v}, n: {n}}}" for y, v, n in (*PEERS, *more)]


def test_a_standard_error_in_the_place_of_a_variance_is_seen_by_its_peers(tmp_path):
    assert said(tmp_path, *peers((0.30, 0.22, 90)), rule="vi-against-peers") == [
        "vi is 0.22, as a variance 4.87 times too large by 7 others with their n (row8)"
    ]
    assert said(tmp_path, *peers((0.30, 0.047, 90)), rule="vi-against-peers") == []


def test_a_finding_says_both_numbers_with_what_their_digits_allow(tmp_path):
    (problem,) = check_rows(table(tmp_path, trial("t: 11.42, df: 44"))).warnings
    assert problem.what == (
        "t is 11.42 (11.415 to 11.425 by its digits), but the means and SDs give 2.141 to 2.6366 (equal variances) "
        "or 2.141 to 2.6366 (Welch) (row1)"
    )
    assert problem.at.line == 10


def test_standard_errors_called_sds_are_named(tmp_path):
    errors = "numbers: {m1: 5.2, sd1: 0.396, n1: 23, m2: 3.9, sd2: 0.375, n2: 23, t: 2.38, df: 44}"
    problem = next(one for one in check_rows(table(tmp_path, errors)).warnings if one.rule == "t-against-means")
    assert problem.why == "they agree if sd1 and sd2 are standard errors: is it printed so in the paper?"


def test_a_wrong_p_on_the_other_side_of_alpha_says_so(tmp_path):
    (problem,) = check_rows(table(tmp_path, "numbers: {t: 1.20, df: 28, n1: 15, n2: 15, p: 0.024}")).warnings
    assert "below 0.05 and the other does not" in problem.why


def test_one_measure_for_an_outcome_makes_the_odd_row_stand_out(tmp_path):
    """A yi that fits as Glass's delta where all others are Hedges' g."""
    rows = []
    dice = random.Random(4)
    for _ in range(6):
        m, s1, s2 = dice.uniform(4, 6), dice.uniform(1.5, 2.5), dice.uniform(1.5, 2.5)
        d = (m - 4) / math.sqrt((s1**2 + s2**2) / 2)
        g = d * corrections(58).low
        v = 2 / 30 + g**2 / 120
        rows.append(
            f"numbers: {{m1: {m:.3f}, sd1: {s1:.3f}, n1: 30, m2: 4.000, sd2: {s2:.3f}, n2: 30, "
            f"yi: {g:.3f}, vi: {v:.4f}}}"
        )
    odd = "numbers: {m1: 5.000, sd1: 1.000, n1: 30, m2: 4.000, sd2: 2.000, n2: 30, yi: 1.000, vi: 0.0820}"
    assert said(tmp_path, *rows, rule="yi-against-numbers") == []
    assert said(tmp_path, odd, rule="yi-against-numbers") == []
    assert said(tmp_path, *rows, odd, rule="yi-against-numbers")[0].endswith("(row7)")


# -- recomputation against scipy ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_t_and_df_are_scipys(seed):
    dice = random.Random(seed)
    m1, m2, a, b = dice.gauss(0, 2), dice.gauss(0, 2), dice.uniform(0.5, 3), dice.uniform(0.5, 3)
    n1, n2 = dice.randint(2, 60), dice.randint(2, 60)
    equal = stats.ttest_ind_from_stats(m1, a, n1, m2, b, n2)
    welch = stats.ttest_ind_from_stats(m1, a, n1, m2, b, n2, equal_var=False)
    assert student_t(m1, m2, a, b, n1, n2) == pytest.approx(equal.statistic)
    assert welch_t(m1, m2, a, b, n1, n2) == pytest.approx(welch.statistic)
    df = welch_df(a, b, n1, n2)
    assert 2 * stats.t.sf(abs(welch.statistic), df) == pytest.approx(welch.pvalue)
    p = p_of_t(Range(equal.statistic, equal.statistic), Range(n1 + n2 - 2, n1 + n2 - 2))
    assert p is not None
    assert p.low == pytest.approx(equal.pvalue)


@pytest.mark.parametrize("seed", range(30))
def test_ranges_hold_every_value_behind_the_digits(seed):
    """Numbers are drawn, printed and recomputed: what was true is always inside, and the ends are reached."""
    dice = random.Random(seed)
    n1, n2 = dice.randint(3, 40), dice.randint(3, 40)
    true = [dice.gauss(5, 2), dice.gauss(5, 2), dice.uniform(0.5, 3), dice.uniform(0.5, 3)]
    box = [printed_range(float(f"{x:.1f}"), f"{x:.1f}") for x in true]
    groups = TwoGroups(box[0], box[2], n1, box[1], box[3], n2)
    student, welch = t_of_groups(groups)
    assert student.range.low <= student_t(*true, n1, n2) <= student.range.high
    assert welch.range.low <= welch_t(*true, n1, n2) <= welch.range.high
    dfs = welch_dfs(groups)
    inside = [[dice.uniform(item.low, item.high) for item in box] for _ in range(300)]
    assert all(dfs.low - 1e-9 <= welch_df(x[2], x[3], n1, n2) <= dfs.high + 1e-9 for x in inside)
    assert all(student.range.low - 1e-9 <= student_t(*x, n1, n2) <= student.range.high + 1e-9 for x in inside)


def test_fisher_is_scipys():
    for a, n1, c, n2 in ((8, 10, 3, 10), (0, 12, 5, 14), (30, 40, 28, 45), (1, 200, 9, 190)):
        counts = [[a, n1 - a], [c, n2 - c]]
        sides = [stats.fisher_exact(counts, side)[1] for side in ("less", "greater")]
        own = sum(sides) - 1  # the chance of this very table, in both sides
        expected = (stats.fisher_exact(counts)[1], min(1, 2 * min(sides)), min(1, 2 * min(sides) - own))
        assert fisher(a, n1, c, n2) == pytest.approx(expected)
        chi, yates = (stats.chi2_contingency([[a, n1 - a], [c, n2 - c]], correction=x).pvalue for x in (False, True))
        found = {item.way: item.range.low for item in table_tests(a, n1, c, n2)}
        assert found["chi-square"] == pytest.approx(chi)
        assert found["Yates"] == pytest.approx(yates)
        likelihood = stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood").pvalue
        assert found["likelihood ratio"] == pytest.approx(likelihood)


def test_variances_of_d_hold_the_published_ones():
    for n1, n2, d in ((20, 20, 0.5), (8, 31, -1.2), (100, 90, 0.0)):
        found, total, j = d_variances(Range(d, d), n1, n2), n1 + n2, corrections(n1 + n2 - 2).low
        base = 1 / n1 + 1 / n2
        for variance in (
            base + d**2 / (2 * total), base + d**2 / (2 * (total - 2)), base + d**2 / (2 * (total - 3.94)),
            j**2 * (base + d**2 / (2 * total)), base + (j * d) ** 2 / (2 * total), base,
        ):  # fmt: skip
            assert found.low <= variance <= found.high


def test_sums_of_answers_are_those_of_every_combination():
    assert reached(3, 3) == {
        (a + b + c, a * a + b * b + c * c) for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3)
    }


def test_a_formula_without_a_value_gives_none():
    assert over(lambda x: 1 / x, Range(0.0, 1.0)) is None
    assert over(math.sqrt, Range(-1.0, 1.0)) is None


# -- any numbers at all ---------------------------------------------------------------------------------

ODD = ("0", "-0.0", "1", "-0.5", "1e308", "-1e308", "1e-300", "0e400", "0e-400", "5.", "+.5", "1e5", "0.000", "100",
       "12345678901234567890", "0.1234567890123456789", "-3")  # fmt: skip
FLOATS = (
    "mean_change", "sd_change", "se_change", "m1", "sd1", "se1", "m2", "sd2", "se2", "t", "df", "F", "df1", "df2", "p",
    "r", "d", "d_se", "d_low", "d_high", "yi", "vi", "sei", "share_better", "share_same", "share_worse", "minutes",
    "alpha",
)  # fmt: skip
COUNTED = ("n", "n1", "n2", "better", "same", "worse", "events1", "events2", "episodes")


def any_row(dice: random.Random, i: int) -> Row:
    cells: dict[str, Any] = {
        "effect": f"row{i}", "kind": dice.choice(("estimate", "counts", "bounds")), "overlap_group": f"group{i}",
        "outcome": dice.choice(("pain", "joy", "item")),
    }  # fmt: skip
    printed = {}
    for name in FLOATS:
        if dice.random() < 0.35:
            text = dice.choice(ODD) if dice.random() < 0.4 else f"{dice.gauss(0, 3):.{dice.randint(0, 4)}f}"
            cells[name], printed[name] = float(text), text
    for name in COUNTED:
        if dice.random() < 0.4:
            cells[name] = dice.choice((0, 1, 2, 3, 5, 10, 57, 1000, 10**15))
    some = {
        "test": ("one-sample", "two-sample", "correlation", "paired"),
        "sign": (-1, 0, 1),
        "significant": (True, False),
    }
    cells |= {name: dice.choice(values) for name, values in some.items() if dice.random() < 0.3}
    return Row(cells, {}, At("studies.yaml", i + 1), (), printed)


@pytest.mark.parametrize("seed", range(6))
def test_no_row_ends_in_a_traceback_or_in_a_number_that_is_none(seed):
    dice = random.Random(seed)
    for _ in range(60):
        rows = StudyTable("studies.yaml", tuple(any_row(dice, i) for i in range(dice.randint(1, 8))), DICTIONARY)
        for rule in (*RULES, *GRANULARITY):
            for finding in rule.find(rows) if rule.find else ():
                assert finding.problem.rule in {one.name for one in (*RULES, *GRANULARITY)}
                assert not re.search(r"\b(nan|inf)\b", str(finding.problem))


# -- real tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crying", "bcg"])
def test_real_tables_are_in_accord_or_say_why_not(name):
    folder = ROOT / "analyses" / name
    found = check_rows(read_studies(folder / "studies.yaml"))
    names = {rule.name for rule in RULES}
    assert [problem.what for problem in (*found.errors, *found.warnings) if problem.rule in names] == []


def test_the_command_names_the_rule_and_the_line(tmp_path):
    """From files to the JSON that other programs read."""
    table(tmp_path, trial("t: 11.42, df: 44"))
    (tmp_path / "analysis.yaml").write_text(
        "schema: catharsis/analysis@1\ntitle: Joy\nbibliography: .\noutcomes: {joy: {label: Joy, unit: points}}\n"
        "syntheses: [{id: joy, title: Joy, outcome: joy}]\n"
    )
    (tmp_path / "joy.bib").write_text(
        "@article{study1,\n author={Lee, A.},\n title={Joy},\n journal={J},\n year={2019}\n}\n"
    )
    command = [sys.executable, "-m", "catharsis.cli", "check", str(tmp_path), "--format", "json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False,
                          env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin"})  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert "t-against-means" in json.dumps(told)
    assert "11.42" in json.dumps(told)
