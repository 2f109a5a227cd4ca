"""Every cell of the evidence pack is in the flagship table as printed, and nothing else is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from catharsis.studies.table import Row, StudyTable, read_studies
from catharsis.studies.yaml_source import YamlSource, read_yaml

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "analyses" / "crying" / "studies.yaml"
PACK = ROOT / "tests" / "evidence" / "effects.csv"

WORDS = {  # column of the pack -> column of the table, text for text
    "effect_id": "effect", "cite": "cite", "study": "study", "sample": "sample", "overlap_group": "overlap_group",
    "partition": "partition", "country": "country", "population": "population", "design": "design", "test": "test",
    "outcome_family": "family", "outcome": "measured", "branch": "branch", "phase": "phase",
    "social_response": "social_response", "comparator": "comparator", "directness": "evidence", "evidence_kind": "kind",
    "source_kind": "source_kind", "source_locator": "source_where", "source_url": "source_url",
    "study_doi": "report_doi", "confidence": "source_confidence", "note": "note",
}  # fmt: skip
DIGITS = {  # digit for digit
    "year": "year", "n": "n", "n1": "n1", "n2": "n2", "minutes_from_crying": "minutes",
    **{name: name for name in ("mean_change", "sd_change", "m1", "sd1", "m2", "sd2", "t", "df", "F", "df1", "df2")},
    "r": "r", "d": "d", "d_se": "d_se", "d_ci_low": "d_low", "d_ci_high": "d_high",
    "n_better": "better", "n_same": "same", "n_worse": "worse", "share_better": "share_better",
    "share_same": "share_same", "share_worse": "share_worse", "n_yes1": "events1", "n_yes2": "events2",
    "n_episodes": "episodes",
}  # fmt: skip
OTHER = {"positive_means", "p", "p_relation", "sign", "significance", "checked"}  # each has a test of its own
DERIVED = {"report", "outcome", "contrast", "significant", "alpha", "sided", "sign", "p", "source_checked"}


@pytest.fixture(scope="module")
def pack() -> dict[str, dict[str, str]]:
    with PACK.open(encoding="utf-8", newline="") as file:
        return {line["effect_id"]: line for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def source() -> YamlSource:
    return read_yaml(TABLE)


@pytest.fixture(scope="module")
def table() -> StudyTable:
    return read_studies(TABLE)


@pytest.fixture(scope="module")
def digits(source: YamlSource) -> dict[str, dict[str, str]]:
    """Effect id to column to the digits in the file, innermost level first."""
    found = {}
    for i, study in enumerate(source.data["studies"]):
        for j, sample in enumerate(study["samples"]):
            for k, effect in enumerate(sample["effects"]):
                levels: list[tuple[Any, ...]] = [("studies", i), ("studies", i, "samples", j)]
                here = (*levels[-1], "effects", k)
                levels += [here, (*here, "counts"), (*here, "numbers"), (*here, "reported")]
                own: dict[str, str] = {}
                for level in levels:
                    size = len(level) + 1
                    own |= {
                        str(path[-1]): text
                        for path, text in source.printed.items()
                        if path[:-1] == level and len(path) == size
                    }
                for place, name in enumerate(("d_low", "d_high")):
                    if (*here, "numbers", "d_ci", place) in source.printed:
                        own[name] = source.printed[*here, "numbers", "d_ci", place]
                found[effect["id"]] = own
    return found


def test_the_pack_and_the_table_hold_the_same_213_rows_once(pack: dict[str, dict[str, str]], table: StudyTable) -> None:
    assert len(pack) == 213
    assert sorted(row.id for row in table) == sorted(pack)


def test_every_column_of_the_pack_is_compared(pack: dict[str, dict[str, str]]) -> None:
    assert {*WORDS, *DIGITS, *OTHER} == set(next(iter(pack.values())))


@pytest.mark.parametrize("column", WORDS)
def test_words_stand_as_printed(column: str, pack: dict[str, dict[str, str]], table: StudyTable) -> None:
    found = {row.id: row.get(WORDS[column], "") for row in table}
    wanted = {key: line[column] for key, line in pack.items()}
    assert {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]} == {}


@pytest.mark.parametrize("column", DIGITS)
def test_numbers_keep_their_digits(
    column: str, pack: dict[str, dict[str, str]], table: StudyTable, digits: dict[str, dict[str, str]]
) -> None:
    found = {row.id: digits[row.id].get(DIGITS[column], "") if row.has(DIGITS[column]) else "" for row in table}
    wanted = {key: line[column] for key, line in pack.items()}
    assert {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]} == {}
    for row in table:  # and the cell is the number that the digits say
        assert not row.has(DIGITS[column]) or row.get(DIGITS[column]) == float(found[row.id])


def test_what_a_positive_number_means(pack: dict[str, dict[str, str]], table: StudyTable) -> None:
    means = {row.id: table.dictionary.outcomes[row.get("outcome")].means for row in table}
    assert {
        key: (means[key], line["positive_means"]) for key, line in pack.items() if means[key] != line["positive_means"]
    } == {}


def test_exact_p_and_verdicts(
    pack: dict[str, dict[str, str]], table: StudyTable, digits: dict[str, dict[str, str]]
) -> None:
    rows = {row.id: row for row in table}
    for key, line in pack.items():
        row = rows[key]
        if line["p_relation"] == "=":
            assert digits[key]["p"] == line["p"]
        else:
            assert not row.has("p")
        if line["p_relation"] == "<":
            assert row.get("significant") is True
            assert row.get("alpha") == float(line["p"])
        assert row.get("significant") == {"sig05": True, "ns": False, "not-stated": None}[line["significance"]], key


def test_signs(pack: dict[str, dict[str, str]], table: StudyTable) -> None:
    for row in table:
        assert str(row.get("sign", "")) == pack[row.id]["sign"], row.id


def test_checked(pack: dict[str, dict[str, str]], table: StudyTable) -> None:
    for row in table:
        assert row.get("source_checked") is {"yes": True, "no": False}[pack[row.id]["checked"]], row.id


def test_nothing_is_in_the_table_that_is_not_in_the_pack(table: StudyTable) -> None:
    allowed = {*WORDS.values(), *DIGITS.values(), *DERIVED}
    assert {row.id: sorted(set(row.cells) - allowed) for row in table if set(row.cells) - allowed} == {}


def test_an_outcome_never_changes_what_its_rows_mean(table: StudyTable) -> None:
    """No outcome of the flagship is turned: its signs were written as the pack writes them."""
    assert {table.dictionary.orientation(row.get("outcome")) for row in table} == {1}


def test_reports_differ_from_cites_only_where_one_review_was_read(table: StudyTable) -> None:
    def other(row: Row) -> bool:
        return bool(row.get("report") != row.get("cite"))

    assert {row.get("cite") for row in table if other(row)} == {"bakermanskranenburg2013sniffing"}
    assert len({row.get("report") for row in table if other(row)}) == len(
        {row.get("sample") for row in table if other(row)}
    )
