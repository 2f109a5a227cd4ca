"""Each rule with a row that breaks it and one that does not; waivers used and idle."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from catharsis.checks.impossible import RULES, impossible, largest_sd
from catharsis.checks.peers import median_without
from catharsis.checks.run import check_rows
from catharsis.errors import At, InputError, InputErrors
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.schema import Waiver
from catharsis.studies.table import Row, StudyTable, read_studies

FLAGSHIP = Path(__file__).parents[2] / "analyses" / "crying"
DICTIONARY = Dictionary.model_validate(
    {"outcomes": {"mood": {"label": "Mood", "unit": "points", "range": [-3, 3]}, "open": {"label": "Open"}}}
)


def row(
    id: str = "a", kind: str = "estimate", outcome: str = "mood", waived: tuple[Waiver, ...] = (), **cells: Any
) -> Row:
    places = {name: At("studies.yaml", 10 + i) for i, name in enumerate(cells)}
    return Row({"effect": id, "kind": kind, "outcome": outcome, **cells}, places, At("studies.yaml", 1), waived)


GOOD: list[dict[str, Any]] = [
    {"mean_change": 0.5, "sd_change": 1.0, "n": 20, "enrolled": 20},
    {"mean_change": 0.5, "se_change": 0.2, "n": 20},
    {"mean_change": 3.0, "t": 2.0, "n": 20},
    {"m1": 1, "sd1": 1, "n1": 9, "m2": 0, "se2": 0.3, "n2": 9, "n": 18},
    {"m1": 1, "n1": 9, "m2": 0, "n2": 9, "p": 0.04, "sign": 1},
    {"t": 2.0, "df": 18, "n1": 10, "n2": 10},
    {"F": 4.0, "df1": 1, "df2": 18, "n": 20, "sign": 1},
    {"p": 0.04, "n": 20, "sign": -1},
    {"r": -0.99, "n": 4},
    {"n": 20, "mean_change": 1, "sd_change": 2, "m1": 5, "sd1": 2, "m2": 4, "sd2": 2, "outcome": "open"},
    {"t": 2.0, "df": 19, "n": 20},
    {"t": 2.0, "df": 27, "n1": 10, "n2": 10, "n": 30},  # the error of a trial of three arms
    {"d": 0.4, "d_se": 0.1},
    {"d": 0.4, "d_low": 0.4, "d_high": 0.5},
    {"d": 0.4, "n1": 9, "n2": 9},
    {"yi": 0.1, "vi": 0.1, "n": 1},
    {"kind": "counts", "better": 5, "same": 0, "worse": 4, "n": 9},
    {"kind": "counts", "events1": 9, "n1": 9, "events2": 0, "n2": 9},
    {"kind": "counts", "events1": 0, "n1": 1},
    {"kind": "counts", "share_better": 0.335, "share_same": 0.335, "share_worse": 0.335},
    {"kind": "direction", "sign": 1, "n": 1},
    {"kind": "direction", "sign": 1, "F": 4.0, "df1": 2, "df2": 50},
    {"kind": "bounds", "sign": 1, "n": 2, "alpha": 0.05},
    {"kind": "none"},
    {"mean_change": 0.5, "n": 1, "exclude": "no spread reported"},
    {"outcome": "open", "mean_change": 1e6, "sd_change": 1e6, "n": 9},
]
BAD: list[tuple[str, str, dict[str, Any]]] = [  # rule, what, cells
    ("spread-not-positive", "sd_change is 0", {"mean_change": 0.5, "sd_change": 0, "n": 20}),
    ("spread-not-positive", "d_se is -0.1", {"d": 0.5, "d_se": -0.1}),
    ("beyond-print", "t is 1e+200", {"t": 1e200, "n": 20}),
    ("beyond-print", "d_se is 1e-99", {"d": 0.5, "d_se": 1e-99}),
    ("n-too-small", "n is 1", {"mean_change": 0.5, "sd_change": 1.0, "n": 1}),
    ("n-too-small", "n2 is 0", {"d": 0.5, "d_se": 0.1, "n2": 0}),
    ("n-too-small", "n is 1", {"kind": "bounds", "sign": 1, "n": 1}),
    ("n-below-groups", "n is 17, but n1 + n2 is 18", {"t": 1.0, "n": 17, "n1": 9, "n2": 9}),
    ("n-above-enrolled", "n is 21, but 20 were enrolled",
     {"mean_change": 0.5, "sd_change": 1.0, "n": 21, "enrolled": 20}),
    ("r-out-of-range", "r is 1", {"r": 1.0, "n": 9}),
    ("df-above-n", "df is 20, but n is 20", {"t": 1.0, "df": 20.0, "n": 20}),
    ("df-above-n", "df2 is 19, but n1 + n2 is 20", {"F": 4.0, "df1": 1, "df2": 19, "n1": 9, "n2": 11, "sign": 1}),
    ("p-out-of-range", "p is 4.2", {"p": 4.2, "n": 9, "sign": 1}),
    ("alpha-out-of-range", "alpha is 5", {"kind": "bounds", "sign": 1, "n": 9, "alpha": 5.0}),
    ("F-negative", "F is -1", {"F": -1.0, "n": 9, "sign": 1}),
    ("df-not-positive", "df is 0", {"t": 1.0, "df": 0.0, "n": 9}),
    ("F-of-many-groups", "F has 2 numerator degrees of freedom", {"F": 4.0, "df1": 2, "n": 9, "sign": 1}),
    ("interval-swapped", "the interval runs from 0.9 to 0.1", {"d": 0.5, "d_low": 0.9, "d_high": 0.1}),
    ("interval-empty", "both limits of the interval are 0.5", {"d": 0.5, "d_low": 0.5, "d_high": 0.5}),
    ("interval-without-estimate", "d is 0.5, outside its interval [0.6, 0.7]", {"d": 0.5, "d_low": 0.6, "d_high": 0.7}),
    ("mean-outside-scale", "mean_change is 3.1, outside the scale -3 to 3",
     {"mean_change": 3.1, "sd_change": 1, "n": 9}),
    ("sd-too-large", "sd_change is 3.3, but with a mean of 0 it cannot exceed 3.18",
     {"mean_change": 0.0, "sd_change": 3.3, "n": 9}),
    ("se-too-large", "se_change is 1.27, an SD of 3.81, but it cannot exceed 3.18",
     {"mean_change": 0.0, "se_change": 1.27, "n": 9}),
    ("events-above-n", "events1 is 10, but n1 is 9", {"kind": "counts", "events1": 10, "n1": 9}),
    ("counts-above-n", "better + same + worse is 10, but n is 9",
     {"kind": "counts", "better": 5, "same": 1, "worse": 4, "n": 9}),
    ("share", "share_better is 30", {"kind": "counts", "share_better": 30.0}),
    ("shares-above-1", "the shares add to 1.2", {"kind": "counts", "share_better": 0.6, "share_worse": 0.6}),
    ("missing-n", "mean_change without n", {"mean_change": 0.5, "sd_change": 1.0}),
    ("missing-n", "m1 and m2 without n1 and n2 or mean_change and n", {"m1": 1, "sd1": 1, "m2": 1, "sd2": 1, "n": 20}),
    ("missing-n", "events1 without n1", {"kind": "counts", "events1": 5}),
    ("missing-n", "r without n", {"r": 0.5}),
    ("missing-n", "t without n, or n1 and n2", {"t": 2.0}),
    ("missing-spread", "mean_change without sd_change or se_change or t or F and sign or p and sign",
     {"mean_change": 0.5, "n": 9}),
    ("missing-spread", "d without d_se or d_low and d_high or n1 and n2", {"d": 0.5, "n": 9}),
    ("missing-spread", "yi without vi or sei", {"yi": 0.5}),
    ("missing-mean", "sd_change without mean_change", {"sd_change": 1.0, "n": 9, "t": 2.0}),
    ("missing-mean", "m1 without m2", {"m1": 1, "n1": 9, "n2": 9}),
    ("missing-mean", "m2 without m1", {"m2": 1, "n1": 9, "n2": 9}),
    ("missing-counts", "events2 without events1", {"kind": "counts", "events2": 5, "n2": 9}),
    ("missing-sign", "p without a sign", {"p": 0.04, "n": 9}),
    ("missing-sign", "F without a sign", {"F": 4.0, "n": 9}),
    ("no-effect", "numbers: holds no effect", {"n": 9}),
    ("no-effect", "counts: holds no counts", {"kind": "counts", "n1": 9}),
]  # fmt: skip


@pytest.mark.parametrize("cells", GOOD)
def test_possible_rows_pass(cells: dict[str, Any]) -> None:
    assert [str(problem) for problem in impossible(row(**cells), DICTIONARY)] == []


@pytest.mark.parametrize(("rule", "what", "cells"), BAD)
def test_impossible_rows_are_told_once(rule: str, what: str, cells: dict[str, Any]) -> None:
    found = list(impossible(row(**cells), DICTIONARY))
    assert [(problem.rule, problem.what) for problem in found] == [(rule, f"{what} (a)")]
    assert found[0].at.line >= 10 or rule == "no-effect"
    assert found[0].why
    assert found[0].fix


def test_every_impossible_rule_has_a_row() -> None:
    assert {rule for rule, _, _ in BAD} == {rule.name for rule in RULES}


def test_one_message_in_full() -> None:
    (problem,) = impossible(row(mean_change=0.5, sd_change=1.0, n=1), DICTIONARY)
    assert str(problem) == (
        "studies.yaml:12: n is 1 (a)\n"
        "  why: a standard deviation needs at least 2 people per group\n"
        "  fix: enter the group size from the paper, or give this row an exclude: reason"
    )


def test_the_largest_sd_is_that_of_scores_at_both_ends() -> None:
    scores = [-3] * 4 + [3] * 6
    assert largest_sd(statistics.mean(scores), -3, 3, 10) == pytest.approx(statistics.stdev(scores))


# --------------------------------------------------------------------------------- unusual cells
def peer(id: str, **cells: Any) -> Row:
    """A row of a sample of its own."""
    return row(id, **{"sample": id, "overlap_group": id, "measured": "mood", **cells})


PEERS = [peer(f"p{i}", mean_change=0.5, sd_change=sd, n=100) for i, sd in enumerate((1.1, 1.2, 1.3, 1.4))]


def found_in(*rows: Row) -> tuple[InputError, ...]:
    """The warnings about these rows."""
    return check_rows(StudyTable("studies.yaml", rows, DICTIONARY)).warnings


def test_a_standard_error_typed_as_sd() -> None:
    (problem,) = found_in(*PEERS, peer("slip", mean_change=0.5, sd_change=0.12, n=100))
    assert str(problem) == (
        "studies.yaml:14: sd_change is 0.12, while 4 others on this instrument have about 1.25 (slip)\n"
        "  why: it is 10.4 times too small, and times the root of n it would be 1.2: it looks like a standard error\n"
        "  fix: write se_change: 0.12 if the paper prints a standard error; if it is right, waive with "
        "waive: [{rule: se-for-sd, reason: ..., by: ..., date: ...}]"
    )
    assert problem.rule == "se-for-sd"


@pytest.mark.parametrize(
    "cells",
    [
        {"sd_change": 0.6, "n": 100},  # not small enough to stand out
        {"sd_change": 0.32, "n": 9, "outcome": "open"},  # no peers on that instrument
        {"se_change": 0.12, "n": 100},
    ],
)
def test_sds_that_are_merely_small(cells: dict[str, Any]) -> None:
    assert found_in(*PEERS, peer("b", mean_change=0.5, **cells)) == ()


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0, 5.0, 9.0], [1.0, 2.0, 3.0, 4.0], [7.0, 7.0]])
def test_median_without(values: list[float]) -> None:
    for i, value in enumerate(values):
        assert median_without(values, value) == statistics.median(values[:i] + values[i + 1 :])


def waiver(rule: str) -> Waiver:
    return Waiver(rule=rule, reason="a homogeneous sample", by="A. Reader", date="2026-11-23")


def test_waivers() -> None:
    slip = row("slip", sample="s", overlap_group="s", measured="mood", mean_change=0.5, sd_change=0.12, n=100,
               waived=(waiver("se-for-sd"),))  # fmt: skip
    found = check_rows(StudyTable("studies.yaml", (*PEERS, slip), DICTIONARY))
    assert (found.errors, found.warnings) == ((), ())
    assert [(one.row, one.waiver, one.problem.rule) for one in found.waived] == [(slip, slip.waived[0], "se-for-sd")]


def test_idle_waivers_are_warnings() -> None:
    rules = ("se-for-sd", "se-for-ds", "mean-outside-scale")
    idle = row("idle", sample="s", overlap_group="s", measured="mood", mean_change=0.5, sd_change=1.2, n=100,
               waived=tuple(map(waiver, rules)))  # fmt: skip
    found = check_rows(StudyTable("studies.yaml", (*PEERS, idle), DICTIONARY))
    assert (found.errors, found.waived) == ((), ())
    assert [(problem.what, problem.why, problem.fix) for problem in found.warnings] == [
        ('the waiver of "se-for-sd" waives nothing', "no finding of that rule is left below it", "delete the waiver"),
        ('the waiver of "se-for-ds" waives nothing', "no rule is called so", 'did you mean "se-for-sd"?'),
        ('the waiver of "mean-outside-scale" waives nothing', "what cannot be right cannot be waived",
         "correct the cell, and delete the waiver"),
    ]  # fmt: skip


def test_what_is_impossible_cannot_be_waived() -> None:
    bad = row("bad", mean_change=4.0, sd_change=1.0, n=9, waived=(waiver("mean-outside-scale"),))
    found = check_rows(StudyTable("studies.yaml", (bad,), DICTIONARY))
    assert [problem.rule for problem in found.errors] == ["mean-outside-scale"]
    idle = [problem for problem in found.warnings if problem.rule == "idle-waiver"]
    assert [problem.why for problem in idle] == ["what cannot be right cannot be waived"]


LEVELS = """\
schema: catharsis/studies@1
FILE
studies:
  - cite: a
    label: A
    outcome: mood
    STUDY
    samples:
      - id: a
        n: 100
        SAMPLE
        effects:
          - {id: a-1, minutes: 1, numbers: {mean_change: 0.5, sd_change: 0.12} EFFECT}
          - {id: a-2, minutes: 2, numbers: {mean_change: 0.5, sd_change: 0.13} EFFECT}
PEERS"""


@pytest.mark.parametrize("level", ["FILE", "STUDY", "SAMPLE", "EFFECT"])
def test_a_waiver_covers_the_rows_below(level: str, tmp_path: Path) -> None:
    said = "waive: [{rule: se-for-sd, reason: twins, by: A. Reader, date: 2026-11-23}]"
    text = LEVELS.replace(level, f", {said}" if level == "EFFECT" else said)
    for other in ("FILE", "STUDY", "SAMPLE", "EFFECT"):
        text = text.replace(other, "")
    peers = "".join(
        f"  - {{cite: {k}, label: {k}, outcome: mood, samples: [{{id: {k}, effects: [{{id: {k}, numbers: "
        f"{{n: 90, mean_change: 0.4, sd_change: {sd}}}}}]}}]}}\n"
        for k, sd in zip("bcde", (1.1, 1.21, 1.32, 1.45), strict=True)
    )
    file = tmp_path / "studies.yaml"
    file.write_text(text.replace("PEERS", peers))
    found = check_rows(read_studies(file, DICTIONARY))
    assert (found.errors, found.warnings) == ((), ())
    assert [one.row.id for one in found.waived] == ["a-1", "a-2"]
    file.write_text(file.read_text().replace("rule: se-for-sd", "rule: sd-ratio"))
    found = check_rows(read_studies(file, DICTIONARY))
    idle = [problem for problem in found.warnings if problem.rule == "idle-waiver"]
    assert len(idle) == (2 if level == "EFFECT" else 1)  # told once where it stands, however many rows lie below
    assert all("waive:" in file.read_text().splitlines()[problem.at.line - 1] for problem in idle)


# -------------------------------------------------------------- slips planted in the flagship table
@pytest.mark.parametrize("name", ["bcg", "crying"])
def test_every_warning_of_our_tables_is_mended_or_waived(name: str) -> None:
    found = check_rows(read_studies(FLAGSHIP.parent / name / "studies.yaml"))
    assert (found.errors, [str(problem) for problem in found.warnings]) == ((), [])
    assert all(len(one.waiver.reason) > 20 for one in found.waived)


SLIPS = {
    "a mistyped key": (
        "mean_change: 0.5920, sd_change: 1.1329", "mean_change: 0.5920, sd_chnage: 1.1329",
        '"sd_chnage" is not a key of "numbers" of effect sharman2019-au', "a misspelt key would be lost without a word",
        'did you mean "sd_change"?',
    ),
    "a missing SD": (
        "mean_change: 0.5920, sd_change: 1.1329", "mean_change: 0.5920",
        "mean_change without sd_change or se_change or t or F and sign or p and sign (sharman2019-au)",
        "no sampling variance follows, so the row could not be weighted",
        "add one of them from the paper; if it is not reported, keep the direction under reported: instead",
    ),
    "an SE typed as SD": (
        "mean_change: 0.5920, sd_change: 1.1329", "mean_change: 0.5920, sd_change: 0.0859",
        "sd_change is 0.0859, while 37 others on this instrument have about 1.27 (sharman2019-au)",
        "it is 14.8 times too small, and times the root of n it would be 1.13: it looks like a standard error",
        "write se_change: 0.0859 if the paper prints a standard error; if it is right, waive with "
        "waive: [{rule: se-for-sd, reason: ..., by: ..., date: ...}]",
    ),
    "an SD above what the range allows": (
        "mean_change: 0.5920, sd_change: 1.1329", "mean_change: 0.5920, sd_change: 11.329",
        "sd_change is 11.329, but with a mean of 0.592 it cannot exceed 2.95 (sharman2019-au)",
        "all scores lie between -3 and 3", "correct the SD, or the range: in analysis.yaml",
    ),
    "a bad indent": (
        "            numbers: {mean_change: 0.5920", "           numbers: {mean_change: 0.5920",
        "this is not YAML: the line fits no block above it",
        "a key that stands too far left or right belongs to another block, so the rest cannot be placed",
        "align this line, or the one above, with its neighbours (two spaces a level)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_flagship_gives_one_clear_message(slip: str, tmp_path: Path) -> None:
    old, new, what, why, fix = SLIPS[slip]
    text = (FLAGSHIP / "studies.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    line = text[: text.index(old)].count("\n") + 1
    (tmp_path / "analysis.yaml").write_bytes((FLAGSHIP / "analysis.yaml").read_bytes())
    (tmp_path / "studies.yaml").write_text(text.replace(old, new), encoding="utf-8")
    try:
        found = check_rows(read_studies(tmp_path / "studies.yaml"))
        problems = list(found.errors) or [problem for problem in found.warnings if problem.rule == "se-for-sd"]
    except InputErrors as caught:
        problems = list(caught.problems)
    assert [(found.at, found.what, found.why, found.fix) for found in problems] == [
        (At((tmp_path / "studies.yaml").as_posix(), line), what, why, fix)
    ]
