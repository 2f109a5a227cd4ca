"""Rows become one set of effects: one scale, one contrast, nobody twice."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from catharsis.effects.prepare import effect_size_of, prepare, shared_scale
from catharsis.errors import InputErrors
from catharsis.numerics import critical_value
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row, StudyTable, read_studies

ROOT = Path(__file__).parents[2]
CHANGE = {"mean_change": 0.5, "sd_change": 2.0, "n": 100}
GROUPS = {"m1": 5, "sd1": 2, "n1": 20, "m2": 4, "sd2": 2, "n2": 20}


@pytest.fixture(scope="module")
def flagship() -> StudyTable:
    return read_studies(ROOT / "analyses" / "crying" / "studies.yaml")


@pytest.fixture(scope="module")
def benchmarks() -> dict[str, dict[str, str]]:
    with (ROOT / "tests" / "evidence" / "benchmarks.csv").open(encoding="utf-8", newline="") as file:
        return {line["benchmark_id"]: line for line in csv.DictReader(file)}


def row_of(table: StudyTable, id: str) -> Row:
    return next(row for row in table if row.id == id)


# -------------------------------------------------------------- results that single rows must give
def test_sharman_whole_sample(flagship: StudyTable, benchmarks: dict[str, dict[str, str]]) -> None:
    line = benchmarks["sharman2019-whole"]
    size = effect_size_of(row_of(flagship, "sharman2019-all"), "raw", flagship.dictionary)
    assert size is not None
    assert size.yi == pytest.approx(float(line["estimate"]), abs=float(line["tolerance"]))
    assert size.yi / math.sqrt(size.vi) == pytest.approx(14.94, abs=0.005)
    plain = effect_size_of(row_of(flagship, "sharman2019-all"), "standardised", flagship.dictionary, correct=False)
    assert plain is not None
    assert plain.yi == pytest.approx(0.5005, abs=0.00005)
    row = row_of(flagship, "sharman2019-all")
    assert [row.get(name) for name in ("better", "same", "worse")] == [557, 173, 161]


def test_sharman_helped_any(flagship: StudyTable, benchmarks: dict[str, dict[str, str]]) -> None:
    line = benchmarks["sharman2019-helped-any"]
    row = row_of(flagship, "sharman2019-helped-any")
    size = effect_size_of(row, "standardised", flagship.dictionary, correct=False)
    assert size is not None
    t = size.yi / math.sqrt(1 / row.get("n1") + 1 / row.get("n2"))
    assert t == pytest.approx(float(line["estimate"]), abs=float(line["tolerance"]))
    corrected = effect_size_of(row, "standardised", flagship.dictionary)
    assert corrected is not None
    assert corrected.yi == pytest.approx(0.351, abs=0.001)


def test_sharman_supported_vs_unsupported(flagship: StudyTable, benchmarks: dict[str, dict[str, str]]) -> None:
    line = benchmarks["sharman2019-supported-vs-unsupported"]
    size = effect_size_of(row_of(flagship, "sharman2019-supported-vs-unsupported"), "standardised", flagship.dictionary)
    assert size is not None
    half = float(critical_value(0.95)) * math.sqrt(size.vi)
    for value, column in ((size.yi, "estimate"), (size.yi - half, "ci_low"), (size.yi + half, "ci_high")):
        assert value == pytest.approx(float(line[column]), abs=float(line["tolerance"]))


def test_zickfeld(flagship: StudyTable, benchmarks: dict[str, dict[str, str]]) -> None:
    line = benchmarks["zickfeld2021-support"]
    size = effect_size_of(row_of(flagship, "zickfeld2021-support"), "standardised", flagship.dictionary)
    assert size is not None
    half = float(critical_value(0.95)) * math.sqrt(size.vi)
    assert size.yi == float(line["estimate"])
    assert size.yi - half == pytest.approx(float(line["ci_low"]), abs=1e-12)
    assert size.yi + half == pytest.approx(float(line["ci_high"]), abs=1e-12)
    effects = prepare([row_of(flagship, "zickfeld2021-support")], "standardised", flagship.dictionary)
    assert effects.people == int(line["n"])


def test_the_nineteen_trials(flagship: StudyTable) -> None:
    rows = [row for row in flagship if row.get("overlap_group") == "bk2013"]
    effects = prepare(rows, "auto", flagship.dictionary)
    assert (effects.scale, effects.measure.code, effects.samples, effects.reports, effects.people) == (
        "standardised", "SMD", 19, 19, 306,
    )  # fmt: skip
    assert effects.routes() == {"d and SE": 19}


# --------------------------------------------------------------------------------------- prepare
def test_rows_enter_in_order_and_the_rest_say_why(make_row: Any, dictionary: Dictionary) -> None:
    rows = [
        make_row("a", **CHANGE),
        make_row("b", exclude="retracted", **CHANGE),
        make_row("c", kind="bounds", n=28, sign=-1, significant=True),
        make_row("d", kind="none"),
        make_row("e", kind="direction", sign=1),
        make_row("f", r=0.4, n=30),
        make_row("g", **{**CHANGE, "mean_change": 1.0}),
    ]
    effects = prepare(rows, "raw", dictionary)
    assert [row.id for row in effects.rows] == ["a", "g"]
    assert [size.yi for size in effects.sizes] == [0.5, 1.0]
    assert effects.left_out == {
        "b": "excluded: retracted",
        "c": "reports only bounds",
        "d": "reports nothing usable",
        "e": "reports only direction",
        "f": "its numbers do not lead to the raw scale",
    }
    assert (effects.unit, effects.measure.code, len(effects), effects.notes) == ("points", "MC", 2, ())
    assert effects.routes() == {"mean change and SD": 2}
    frame = effects.frame()
    assert list(frame.columns[:3]) == ["yi", "vi", "route"]
    assert frame["yi"].to_dict() == {"a": 0.5, "g": 1.0}


def test_nothing_to_prepare(dictionary: Dictionary) -> None:
    effects = prepare([], "auto", dictionary)
    assert (len(effects), effects.scale, effects.people, effects.samples, effects.routes()) == (
        0,
        "standardised",
        0,
        0,
        {},
    )
    assert list(effects.frame().columns) == ["yi", "vi", "route"]


def problems(rows: list[Row], scale: Any, dictionary: Dictionary) -> list[tuple[str, str]]:
    with pytest.raises(InputErrors) as caught:
        prepare(rows, scale, dictionary)
    return [(found.rule, found.what) for found in caught.value.problems]


def test_the_same_people_never_enter_twice(make_row: Any, dictionary: Dictionary) -> None:
    shared = {"overlap_group": "survey"}
    rows = [
        make_row("a", partition="country", **shared, **CHANGE),
        make_row("b", partition="country", **shared, **CHANGE),
        make_row("c", partition="sex", **shared, **CHANGE),
        make_row("d", partition="sex", **shared, **CHANGE),
        make_row("e", **shared, **CHANGE),
        make_row("f", **CHANGE),
    ]
    assert problems(rows, "raw", dictionary) == [
        ("people-twice", "c and a (studies.yaml:1) hold the same people (survey) cut in two ways"),
        ("people-twice", "e and a (studies.yaml:1) hold the same people (survey) cut in two ways"),
    ]
    assert len(prepare([rows[0], rows[1], rows[5]], "raw", dictionary)) == 3


def test_rows_that_do_not_enter_cannot_count_people_twice(make_row: Any, dictionary: Dictionary) -> None:
    rows = [
        make_row("a", partition="x", overlap_group="s", **CHANGE),
        make_row("b", partition="y", overlap_group="s", kind="direction", sign=1),
        make_row("c", partition="z", overlap_group="s", exclude="a duplicate", **CHANGE),
    ]
    assert len(prepare(rows, "raw", dictionary)) == 1


def test_contrasts_and_measures_are_not_mixed(make_row: Any, dictionary: Dictionary) -> None:
    rows = [make_row("a", **CHANGE), make_row("b", outcome="plain", **CHANGE)]
    assert problems(rows, "standardised", dictionary) == [
        ("mixed-contrast", "b has the contrast plain, while a (studies.yaml:1) has change")
    ]
    rows = [make_row("a", **CHANGE), make_row("b", **GROUPS), make_row("c", **GROUPS)]
    assert problems(rows, "standardised", dictionary) == [
        ("mixed-measure", "b has the measure SMD, while a (studies.yaml:1) has SMCC")
    ]


def test_a_given_yi_takes_the_measure_of_the_others(make_row: Any, dictionary: Dictionary) -> None:
    rows = [make_row("a", yi=0.2, vi=0.01, n=50), make_row("b", **CHANGE)]
    assert prepare(rows, "raw", dictionary).measure.code == "MC"
    assert prepare(rows[:1], "raw", dictionary).measure.code == "MD"


def test_auto_scale(make_row: Any, dictionary: Dictionary) -> None:
    change, joy = make_row("a", **CHANGE), make_row("b", outcome="joy", **CHANGE)
    plain, only_t = make_row("c", outcome="plain", **CHANGE), make_row("d", t=2.0, n=30)
    counts = make_row("e", kind="counts", better=5, same=3, worse=1)
    assert shared_scale([change], dictionary) == "raw"
    assert shared_scale([change, joy], dictionary) == "standardised"  # two instruments
    assert shared_scale([plain], dictionary) == "standardised"  # no unit
    assert shared_scale([change, only_t], dictionary) == "standardised"  # one row has no points
    assert shared_scale([change, counts], dictionary) == "raw"  # counts lead to neither
    assert shared_scale([], dictionary) == "standardised"


def test_people_are_counted_once_a_sample(make_row: Any, dictionary: Dictionary) -> None:
    def people(*rows: Row, scale: Any = "standardised") -> int | None:
        return prepare(rows, scale, dictionary).people

    assert (
        people(
            make_row("a", sample="s", overlap_group="s", **CHANGE),
            make_row("b", sample="s", overlap_group="s", **CHANGE),
        )
        == 100
    )
    assert people(make_row("a", **GROUPS)) == 40
    assert people(make_row("a", d=0.4, d_se=0.1), make_row("b", d=0.4, d_se=0.1, n=20)) is None
    assert people(make_row("b", d=0.4, d_se=0.1, n=20), make_row("a", d=0.4, d_se=0.1)) is None
    assert people(make_row("a", kind="counts", better=5, same=3, worse=1), scale="PLO") == 9
    assert people(make_row("a", kind="counts", events1=5, n1=12), scale="PLO") == 12
    assert people(make_row("a", kind="counts", events1=5, n1=12, events2=1, n2=10), scale="RR") == 22


@pytest.mark.parametrize(
    ("scale", "cells", "zero"),
    [
        ("RR", {"events1": 0, "n1": 9, "events2": 3, "n2": 9}, True),
        ("OR", {"events1": 3, "n1": 9, "events2": 9, "n2": 9}, True),
        ("RD", {"events1": 3, "n1": 9, "events2": 1, "n2": 9}, False),
        ("PLO", {"events1": 9, "n1": 9}, True),
        ("PLO", {"better": 0, "same": 2, "worse": 7}, True),
        ("PLO", {"better": 9, "same": 0, "worse": 0}, True),
        ("PLO", {"better": 5, "same": 0, "worse": 4}, False),
        ("PLO", {"yi": 0.1, "vi": 0.2, "events1": 9, "n1": 9}, False),
    ],
)
def test_what_was_added_to_a_zero_cell_is_told(
    scale: Any, cells: dict[str, Any], zero: bool, make_row: Any, dictionary: Dictionary
) -> None:
    effects = prepare([make_row("a", kind="counts", **cells)], scale, dictionary)
    assert effects.notes == (("1/2 was added to the cells of a (a cell is zero)",) if zero else ())
    assert effects.sizes[0].vi > 0
