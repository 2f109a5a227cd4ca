"""Each rule over a table as a person would write it: one that it must tell, and its neighbours that it must not."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from catharsis.checks import completeness, dependence, unusual
from catharsis.checks.dependence import several_effects
from catharsis.checks.run import Findings, check_rows
from catharsis.references.bibtex import read_references
from catharsis.studies.table import StudyTable, read_studies

OUTCOMES = """\
outcomes:
  sleep: {label: Sleep quality}
  pain: {label: Pain, unit: mm, range: [0, 100]}
  change: {label: Change of sleep quality, unit: points, range: [-9, 9]}
"""
BIB = """\
@article{tan2011, author = {Tan, Mei and Ruiz, Ana and Okafor, Ben}, title = {Naps}, journal = {Sleep}, year = {2011}}
@article{tan2012, author = {Tan, Mei and Ruiz, Ana}, title = {Naps again}, journal = {Sleep}, year = {2012}}
@article{berg2012, author = {Berg, Ida and Wolf, Tom}, title = {Beds}, journal = {Sleep}, year = {2012}}
"""
# six trials on one questionnaire: mean, SD and n of two arms, as their papers print them
TRIALS = [
    ("Adler 2003", "m1: 12.41, sd1: 4.12, n1: 31, m2: 10.20, sd2: 4.53, n2: 29"),
    ("Boon 2005", "m1: 11.87, sd1: 3.88, n1: 48, m2: 10.95, sd2: 4.01, n2: 50"),
    ("Cruz 2008", "m1: 13.02, sd1: 4.75, n1: 22, m2: 9.87, sd2: 5.02, n2: 25"),
    ("Diaz 2011", "m1: 12.10, sd1: 4.31, n1: 60, m2: 11.44, sd2: 4.27, n2: 61"),
    ("Eker 2014", "m1: 11.55, sd1: 5.10, n1: 35, m2: 10.08, sd2: 4.66, n2: 33"),
    ("Falk 2019", "m1: 12.77, sd1: 4.02, n1: 90, m2: 10.61, sd2: 4.39, n2: 88"),
]


class Kept:
    """Where the tables of one test are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "analysis.yaml").write_text("schema: catharsis/analysis@1\ntitle: Naps\n" + OUTCOMES)
        (folder / "all.bib").write_text(BIB)

    def table(self, *entries: str, library: bool = False) -> StudyTable:
        """The table of these studies, each a block of YAML."""
        body = "".join(textwrap.indent("- " + textwrap.indent(entry, "  ").lstrip(), "  ") for entry in entries)
        (self.folder / "studies.yaml").write_text("schema: catharsis/studies@1\nstudies:\n" + body)
        return read_studies(
            self.folder / "studies.yaml", library=read_references(self.folder / "all.bib") if library else None
        )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def study(label: str, numbers: str, outcome: str = "sleep", block: str = "numbers", **more: Any) -> str:
    """One report of one sample with one effect; `more` stands on the study, `effect_more` on the effect."""
    key = more.pop("cite", label.lower().replace(" ", ""))
    on_effect = more.pop("effect_more", "")
    lines = [f"cite: {key}", f"label: {label}", f"outcome: {outcome}"]
    lines += [f"{name}: {value}" for name, value in more.items()]
    sample = label.lower().replace(" ", "")
    lines += ["samples:", f"  - id: {sample}", "    effects:", f"      - id: {sample}-1"]
    lines += [f"        {line}" for line in (f"{block}: {{{numbers}}}", *on_effect.splitlines())]
    return "\n".join(lines) + "\n"


def trials(**instead: str) -> list[str]:
    """The six trials, some with other numbers."""
    return [study(label, instead.get(label.split()[0].lower(), numbers)) for label, numbers in TRIALS]


def told(found: Findings) -> list[tuple[str, str]]:
    """Rule and line of text of each warning."""
    return [(problem.rule, problem.what) for problem in found.warnings]


def rules(found: Findings) -> set[str]:
    return {problem.rule for problem in (*found.errors, *found.warnings)}


def test_clean_trials_are_clean(kept: Kept) -> None:
    found = check_rows(kept.table(*trials()))
    assert (found.errors, told(found), found.waived) == ((), [], ())


# ------------------------------------------------------------------------------------- an SE as an SD, a slipped point
MUST = {  # what stands instead of a trial: the rule that must tell it, the cell it names, and the words it says
    "both SDs are SEs": (
        {"cruz": "m1: 13.02, sd1: 1.01, n1: 22, m2: 9.87, sd2: 1.00, n2: 25"},
        "se-for-sd", "sd1 is 1.01, while 10 others on this instrument have about 4.29", "it is 4.2 times too small",
    ),
    "one SD is an SE": (
        {"boon": "m1: 11.87, sd1: 0.56, n1: 48, m2: 10.95, sd2: 4.01, n2: 50"},
        "se-for-sd", "sd1 is 0.56, while 10 others on this instrument have about 4.46", "times the root of n1",
    ),
    "an SE is an SD": (
        {"diaz": "m1: 12.10, se1: 4.31, n1: 60, m2: 11.44, se2: 4.27, n2: 61"},
        "sd-for-se", "se1 is 4.31, an SD of 33.4, while 10 others", "as an SD it would fit",
    ),
    "the point of an SD": (
        {"falk": "m1: 12.77, sd1: 40.2, n1: 90, m2: 10.61, sd2: 4.39, n2: 88"},
        "decimal-shift", "sd1 is 40.2, while 10 others on this instrument have about 4.42", "10 times too large",
    ),
    "the point of a mean": (
        {"eker": "m1: 115.5, sd1: 5.10, n1: 35, m2: 10.08, sd2: 4.66, n2: 33"},
        "decimal-shift", "m1 is 115.5, while 10 others on this instrument have about 11.7", "10 times too large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUST)
def test_a_slip_against_its_peers(kept: Kept, name: str) -> None:
    instead, rule, what, why = MUST[name]
    found = check_rows(kept.table(*trials(**instead)))
    problem = next(problem for problem in found.warnings if problem.rule == rule)
    assert what in problem.what
    assert why in problem.why
    assert rule in problem.fix
    assert not found.errors


MUST_NOT = {
    "another unit": {"cruz": "m1: 1.302, sd1: 0.475, n1: 22, m2: 0.987, sd2: 0.502, n2: 25"},
    "small but no SE": {"cruz": "m1: 13.02, sd1: 2.10, n1: 22, m2: 9.87, sd2: 2.31, n2: 25"},
    "SEs by their name": {"diaz": "m1: 12.10, se1: 0.556, n1: 60, m2: 11.44, se2: 0.547, n2: 61"},
    "twice the mean": {"eker": "m1: 24.31, sd1: 5.10, n1: 35, m2: 22.08, sd2: 4.66, n2: 33"},
    "excluded": {"cruz": "m1: 13.02, sd1: 1.01, n1: 22, m2: 9.87, sd2: 1.00, n2: 25}\nexclude: {why: SE"},
}


def test_the_test_of_the_paper_bears_small_sds_out(kept: Kept) -> None:
    small = "m1: 13.02, sd1: 1.01, n1: 22, m2: 12.37, sd2: 1.00, n2: 25"  # t of these numbers as they stand: 2.21
    for more, borne_out in (("", False), (", t: 2.21, df: 45", True), (", F: 4.89, df1: 1, df2: 45", True)):
        assert ("se-for-sd" not in rules(check_rows(kept.table(*trials(cruz=small + more))))) is borne_out, more
    assert "se-for-sd" in rules(check_rows(kept.table(*trials(cruz=small + ", t: 0.46, df: 45"))))
    nothing = small.replace("12.37", "13.02") + ", t: 0.00, df: 45"  # a t of 0 says nothing of the SDs
    assert "se-for-sd" in rules(check_rows(kept.table(*trials(cruz=nothing))))


def test_an_sd_as_far_as_its_other_reading_is_no_se(kept: Kept) -> None:
    between = "m1: 13.02, sd1: 1.50, n1: 40, m2: 9.87, sd2: 4.10, n2: 41"  # 3 times too small, or 2.1 times too large
    assert told(check_rows(kept.table(*trials(cruz=between)))) == []


def test_the_sizes_of_two_arms(kept: Kept) -> None:
    slip = "m1: 13.02, sd1: 4.75, n1: 220, m2: 9.87, sd2: 5.02, n2: 25"
    ((rule, what),) = told(check_rows(kept.table(*trials(cruz=slip))))
    assert (rule, "n1 is 220 and n2 25, while 5 others have arms of like sizes" in what) == ("decimal-shift", True)
    for other in (slip.replace("220", "60"), slip + ", t: 3.14, df: 243"):  # two to one; borne out by its df
        assert told(check_rows(kept.table(*trials(cruz=other)))) == []
    assert told(check_rows(kept.table(*trials(cruz=slip)[1:4]))) == []  # too few others to know how people were divided


@pytest.mark.parametrize("name", [name for name in MUST_NOT if name != "excluded"])
def test_what_is_merely_different(kept: Kept, name: str) -> None:
    found = check_rows(kept.table(*trials(**MUST_NOT[name])))
    assert told(found) == []


def test_excluded_rows_are_left_alone(kept: Kept) -> None:
    entries = trials(cruz=MUST["both SDs are SEs"][0]["cruz"])
    entries[2] = entries[2].rstrip("\n") + "\n        exclude: standard errors, not yet resolved\n"
    assert told(check_rows(kept.table(*entries))) == []


def test_the_other_arm_speaks_when_nobody_else_does(kept: Kept) -> None:
    one = study("Gold 2001", "m1: 12.4, sd1: 0.71, n1: 34, m2: 10.2, sd2: 4.53, n2: 36")
    ((rule, what),) = told(check_rows(kept.table(one)))
    assert rule == "se-for-sd"
    assert "sd1 is 0.71, while the other arm has about 4.53" in what
    calm = study("Gold 2001", "m1: 12.4, sd1: 2.71, n1: 34, m2: 10.2, sd2: 4.53, n2: 36")
    assert told(check_rows(kept.table(calm))) == []


def test_other_time_points_of_the_sample_speak(kept: Kept) -> None:
    effects = [(0, "mean_change: 1.1, sd_change: 2.9"), (30, "mean_change: 1.4, sd_change: 3.1"),
               (60, "mean_change: 1.9, sd_change: 0.45"), (90, "mean_change: 1.6, sd_change: 3.2")]  # fmt: skip
    body = "cite: gold2001\nlabel: Gold 2001\noutcome: sleep\nn: 41\nsamples:\n  - id: gold\n    effects:\n" + "".join(
        f"      - {{id: gold-{minutes}, minutes: {minutes}, numbers: {{{numbers}}}}}\n" for minutes, numbers in effects
    )
    ((rule, what),) = told(check_rows(kept.table(body)))
    assert (rule, "3 other spreads of this sample have about 3.1" in what) == ("se-for-sd", True)
    assert told(check_rows(kept.table(body.replace("0.45", "2.45")))) == []


def test_the_scale_speaks_when_nobody_else_does(kept: Kept) -> None:
    slip = study("Gold 2001", "n: 64, mean_change: 1.2, sd_change: 0.36", "change")
    ((rule, what),) = told(check_rows(kept.table(slip)))
    assert (rule, "scores lie between -9 and 9" in what) == ("se-for-sd", True)
    assert told(check_rows(kept.table(slip.replace("0.36", "2.88")))) == []


def test_effects_speak_when_every_trial_has_its_own_instrument(kept: Kept) -> None:
    own = [("Adler", 10, 50, 3), ("Boon", 100, 60, 8), ("Cruz", 1, 70, 5), ("Diaz", 1000, 45, 2), ("Eker", 30, 80, 4),
           ("Falk", 7, 55, 6)]  # fmt: skip

    def entries(slip: float) -> list[str]:
        rows = []
        for i, (name, unit, n, tenths) in enumerate(own):
            sd = unit * (1 / n**0.5 if i == 2 else 1) * (slip if i == 2 else 1)
            numbers = f"m1: {unit * tenths / 10:g}, sd1: {sd:.3g}, n1: {n}, m2: 0, sd2: {sd * 1.04:.3g}, n2: {n + 1}"
            rows.append(study(f"{name} 2001", numbers, measured=f"questionnaire {i}"))
        return rows

    assert "se-for-sd" in rules(check_rows(kept.table(*entries(1.0))))
    assert told(check_rows(kept.table(*entries(70**0.5)))) == []


# ------------------------------------------------------------------------------------------- large, unequal, too equal
def test_large_effects(kept: Kept) -> None:
    for numbers, large in (
        ("m1: 30.1, sd1: 4.4, n1: 20, m2: 12.2, sd2: 4.9, n2: 21", True),
        ("m1: 16.1, sd1: 4.4, n1: 20, m2: 12.2, sd2: 4.9, n2: 21", False),
        ("d: 3.4, d_se: 0.46, n1: 24, n2: 24", True),
        ("t: 13.2, n1: 31, n2: 30", True),
        ("t: 3.2, n1: 31, n2: 30", False),
        ("mean_change: -8.3, sd_change: 2.1, n: 18", True),
    ):
        found = check_rows(kept.table(study("Gold 2001", numbers)))
        assert ("large-effect" in rules(found)) is large, numbers


def test_the_ratio_of_sds(kept: Kept) -> None:
    slip = study("Gold 2001", "m1: 12.4, sd1: 1.13, n1: 34, m2: 11.2, sd2: 7.91, n2: 36", "pain")
    assert {"sd-ratio", "se-for-sd"} & rules(check_rows(kept.table(slip)))
    lone = study("Gold 2001", "m1: 12.4, sd1: 1.13, n1: 9, m2: 11.2, sd2: 6.2, n2: 10")
    assert rules(check_rows(kept.table(lone))) == {"sd-ratio"}
    chance = study("Gold 2001", "m1: 12.4, sd1: 1.13, n1: 3, m2: 11.2, sd2: 4.6, n2: 3")
    assert rules(check_rows(kept.table(chance))) == set()
    days = study("Gold 2001", "m1: 4.92, sd1: 6.05, n1: 35, m2: 20.0, sd2: 26.3, n2: 35")
    assert rules(check_rows(kept.table(days))) == set()  # SDs that grow with their means


def test_equal_sds(kept: Kept) -> None:
    fine = study("Gold 2001", "m1: 12.4, sd1: 4.53, n1: 60, m2: 10.2, sd2: 4.53, n2: 60")
    ((rule, what),) = told(check_rows(kept.table(fine)))
    assert (rule, "both arms have the SD 4.53" in what) == ("equal-sds", True)
    coarse = study("Gold 2001", "m1: 12.4, sd1: 5, n1: 20, m2: 10.2, sd2: 5, n2: 20")
    assert told(check_rows(kept.table(coarse))) == []  # one digit says nothing
    several = [study(f"Gold {year}", f"m1: 12.{year % 10}, sd1: 4.{year % 10}, n1: 20, m2: 10.2, sd2: "
                     f"4.{year % 10}, n2: 20") for year in range(2001, 2005)]  # fmt: skip
    assert [rule for rule, _ in told(check_rows(kept.table(*several)))] == ["equal-sds"] * 4


@pytest.mark.parametrize(
    ("sd_change", "said"),
    [("0.42", "before and after would correlate 1.00"), ("9.80", "no correlation lies there"), ("4.10", ""),
     ("8.31", "before and after would correlate -0.")],
)  # fmt: skip
def test_the_correlation_of_before_and_after(kept: Kept, sd_change: str, said: str) -> None:
    numbers = f"n: 55, mean_change: 1.20, sd_change: {sd_change}, m1: 12.40, sd1: 4.53, m2: 11.20, sd2: 4.61"
    found = check_rows(kept.table(study("Gold 2001", numbers)))
    problems = [problem for problem in found.warnings if problem.rule == "implausible-r"]
    assert bool(problems) is bool(said)
    assert all(said in problem.what + problem.why for problem in problems)


# ------------------------------------------------------------------------------------------------------ people twice
def test_equal_numbers_in_two_reports(kept: Kept) -> None:
    copy = study("Gold 2020", TRIALS[3][1])
    ((rule, what),) = told(check_rows(kept.table(*trials(), copy)))
    assert rule == "same-people"
    assert what.startswith("gold2020-1 and diaz2011-1 (")
    assert "m1, sd1, m2 and sd2" in what
    mended = study("Gold 2020", TRIALS[3][1], effect_more="exclude: the same people as Diaz 2011")
    assert told(check_rows(kept.table(*trials(), mended))) == []
    mended = study("Gold 2020", TRIALS[3][1], overlap_group="diaz2011", partition="follow-up")
    assert told(check_rows(kept.table(*trials(), mended))) == []


def test_rounded_numbers_in_two_reports(kept: Kept) -> None:
    copy = study("Gold 2020", "m1: 12.1, sd1: 4.3, n1: 60, m2: 11.4, sd2: 4.3, n2: 61")
    ((rule, what),) = [one for one in told(check_rows(kept.table(*trials(), copy))) if one[0] != "equal-sds"]
    assert rule == "same-people"
    assert what.endswith("agree in n1, n2, m1, sd1, m2 and sd2, as far as their digits go")
    for other in (
        "m1: 12.3, sd1: 4.4, n1: 60, m2: 11.4, sd2: 4.2, n2: 61",  # no rounding makes 12.10 of it
        "m1: 12.11, sd1: 4.30, n1: 60, m2: 11.43, sd2: 4.28, n2: 61",
    ):  # as many digits, and others
        assert told(check_rows(kept.table(*trials(), study("Gold 2020", other)))) == []
    one = [study(f"Gold {2001 + i}", f"r: {r}, n: 40") for i, r in enumerate(("0.21", "0.2", "0.38", "0.31", "0.17"))]
    assert told(check_rows(kept.table(*one))) == []  # one digit agrees by chance


def test_a_correlation_and_a_rare_n_in_two_reports(kept: Kept) -> None:
    def entries(n: int) -> list[str]:
        pairs = [("-0.21", 64), ("0.08", 113), ("0.59", n), ("0.31", 88), ("0.17", 39), ("0.42", 231), ("0.22", 71),
                 ("0.38", 52), ("0.26", 137), ("0.12", 95), ("0.29", 26), ("0.59", n)]  # fmt: skip
        return [study(f"Gold {2001 + i}", f"r: {r}, n: {size}") for i, (r, size) in enumerate(pairs)]

    assert [rule for rule, _ in told(check_rows(kept.table(*entries(142))))] == ["same-people"]
    assert told(check_rows(kept.table(*entries(40)))) == []  # people like round numbers


def test_two_measures_of_one_sample_share_its_n(kept: Kept) -> None:
    own = [("0.12", 64), ("0.33", 64), ("0.12", 64), ("-0.41", 64), ("0.27", 64)]
    effects = "".join(f"      - {{id: e{i}, numbers: {{r: {r}, n: {n}}}}}\n" for i, (r, n) in enumerate(own))
    body = "cite: gold2001\nlabel: Gold 2001\noutcome: sleep\nsamples:\n  - id: gold\n    effects:\n" + effects
    assert told(check_rows(kept.table(body))) == []


def test_large_counts_do_not_agree_by_chance(kept: Kept) -> None:
    arms = [(1, 20, 2, 21), (4, 48, 3, 50), (2, 92, 5, 93), (9, 130, 11, 122), (3, 56, 4, 53), (90, 1150, 118, 1150)]
    entries = [study(f"Gold {2000 + i}", f"events1: {a}, n1: {n1}, events2: {c}, n2: {n2}", block="counts")
               for i, (a, n1, c, n2) in enumerate([*arms, arms[-1]])]  # fmt: skip
    ((rule, what),) = told(check_rows(kept.table(*entries)))
    assert (rule, what.startswith("gold2006-1 and gold2005-1")) == ("same-people", True)


def test_small_counts_agree_by_chance(kept: Kept) -> None:
    arms = [(1, 20), (2, 25), (1, 20), (0, 30), (3, 22), (2, 20)]
    entries = [study(f"Gold {2000 + i}", f"events1: {e}, n1: {n}, events2: {e + 1}, n2: {n}", block="counts")
               for i, (e, n) in enumerate(arms)]  # fmt: skip
    assert told(check_rows(kept.table(*entries))) == []


def test_the_same_authors_and_n_in_two_years(kept: Kept) -> None:
    def reports(n: int = 84, **more: Any) -> list[str]:
        return [
            study("Tan 2011", "mean_change: 1.21, sd_change: 3.3, n: 84", cite="tan2011", country="Norway"),
            study("Tan 2012", f"r: 0.31, n: {n}", cite="tan2012", **{"country": "Norway", **more}),
            study("Berg 2012", "mean_change: 0.31, sd_change: 3.7, n: 84", cite="berg2012", country="Norway"),
        ]

    ((rule, what),) = told(check_rows(kept.table(*reports(), library=True)))
    assert rule == "same-people"
    assert "share the authors Tan, Ruiz, have 84 people each, and lie within 3 years" in what
    for other in ({"n": 85}, {"country": "Kenya"}, {"overlap_group": "tan2011"}):
        assert told(check_rows(kept.table(*reports(**other), library=True))) == []
    assert told(check_rows(kept.table(*reports()))) == []  # without a bibliography nobody knows the authors
    same = [study(f"Tan {year}", f"d: {d}, d_se: 0.29, n1: 25, n2: 25", cite=f"tan{year}")
            for year, d in ((2011, "0.34"), (2012, "0.74"))]  # fmt: skip
    assert told(check_rows(kept.table(*same, library=True))) == []  # d differs; d_se follows from n alone


ARMS = """\
cite: gold2001
label: Gold 2001
outcome: sleep
samples:
  - id: gold
    effects:
      - {id: gold-low, numbers: {m1: 12.41, sd1: 4.12, n1: 31, m2: 10.20, sd2: 4.53, n2: 29}}
      - {id: gold-high, numbers: {m1: 13.52, sd1: 4.37, n1: 30, m2: 10.20, sd2: 4.53, n2: 29}}
"""


def test_a_control_group_used_twice(kept: Kept) -> None:
    ((rule, what),) = told(check_rows(kept.table(ARMS)))
    assert rule == "shared-control"
    assert "gold-high and gold-low" in what
    assert "m 10.2, sd 4.53, n 29" in what
    own = ARMS.replace("m2: 10.20, sd2: 4.53, n2: 29}}\n", "m2: 10.36, sd2: 4.48, n2: 30}}\n", 1)
    assert told(check_rows(kept.table(own))) == []
    later = ARMS.replace("{id: gold-low,", "{id: gold-low, minutes: 10,")
    assert told(check_rows(kept.table(later))) == []
    cut = ARMS.replace("{id: gold-low,", "{id: gold-low, partition: low,")
    assert told(check_rows(kept.table(cut))) == []  # two cuts are never pooled


def test_several_effects_without_rho(kept: Kept) -> None:
    table = kept.table(ARMS)
    (finding,) = several_effects("the synthesis sleep", table.rows, table)
    assert finding.problem.rule == "several-effects"
    assert "2 effects of 1 sample, such as gold-low and gold-high" in finding.problem.what
    assert {row.id for row in finding.rows} == {"gold-low", "gold-high"}
    whole = kept.table(ARMS.replace("- id: gold\n", "- id: gold\n    enrolled: 130\n"))
    assert list(several_effects("the synthesis sleep", whole.rows, whole)) == []  # the parts can be different people
    assert list(several_effects("the synthesis sleep", table.rows[:1], table)) == []


# ------------------------------------------------------------------------------------------------------- completeness
def notes(found: Findings) -> list[str]:
    return [problem.rule for problem in found.notes]


def test_what_is_missing_is_noted(kept: Kept) -> None:
    bare = study("Gold 2001", TRIALS[0][1])
    assert notes(check_rows(kept.table(bare))) == ["no-page", "no-second-reader"]
    full = study("Gold 2001", TRIALS[0][1], source="{where: p. 12, read_by: A, checked: true, checked_by: B}")
    assert notes(check_rows(kept.table(full))) == []
    alone = study("Gold 2001", TRIALS[0][1], source="{where: Table 2, read_by: A, checked: true, checked_by: A}")
    assert notes(check_rows(kept.table(alone))) == ["no-second-reader"]
    vague = study("Gold 2001", TRIALS[0][1], source="{where: in the text, checked: true}")
    assert notes(check_rows(kept.table(vague))) == ["no-page"]
    only_sign = study("Gold 2001", "sign: higher", block="reported")
    assert notes(check_rows(kept.table(only_sign))) == []


def test_imputed_correlations_are_noted(kept: Kept) -> None:
    source = 'source: {where: p. 3, checked: true, imputed: "r = 0.5, assumed"}'
    said = study("Gold 2001", "mean_change: 1.2, sd_change: 4.1, n: 30", effect_more=source)
    assert notes(check_rows(kept.table(said))) == ["imputed-r"]

    def change(before: float, after: float, r: float) -> str:
        return (f"n: 44, mean_change: 1.2, sd_change: {(before**2 + after**2 - 2 * r * before * after) ** 0.5:.4f}, "
                f"m1: 9.1, sd1: {before:.4f}, m2: 7.9, sd2: {after:.4f}")  # fmt: skip

    pairs = [(4.1234, 4.4321), (3.8765, 3.6543), (5.1212, 4.9898), (4.4141, 4.7272)]
    source_of = {"source": "{where: p. 3, checked: true}"}
    assumed = [study(f"Gold {2001 + i}", change(*pair, 0.7), **source_of) for i, pair in enumerate(pairs)]
    assert notes(check_rows(kept.table(*assumed))) == ["imputed-r"] * 4
    measured = [study(f"Gold {2001 + i}", change(*pair, 0.7 + 0.031 * i), **source_of) for i, pair in enumerate(pairs)]
    assert notes(check_rows(kept.table(*measured))) == []


def test_every_rule_of_these_files_is_tested_here() -> None:
    own = {rule.name for module in (unusual, dependence, completeness) for rule in module.RULES}
    text = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in own if f'"{name}"' not in text} == set()
