"""Any one work may leave the table, and its inputs still pass."""

from __future__ import annotations

import dataclasses

import pytest
from workshop import FLAGSHIP, cite_of, entries

from catharsis.plan.checking import check
from catharsis.plan.spec import read_plan

HEAD, PIECES = entries((FLAGSHIP / "studies.yaml").read_text(encoding="utf-8"))
WORKS = list(dict.fromkeys(map(cite_of, PIECES)))
CHOSEN = [*WORKS[::4], "bakermanskranenburg2013sniffing"]  # a quarter, and the work of the nineteen trials


def test_the_pieces_are_the_table():
    assert len(PIECES) >= 80  # people add to it
    assert len(WORKS) >= 59
    assert (HEAD + "".join(PIECES)) == (FLAGSHIP / "studies.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plan():
    return read_plan(FLAGSHIP)


@pytest.mark.parametrize("key", CHOSEN)
def test_any_work_may_go(plan, crying, tmp_path, key):
    """The inputs still pass without any one work; only claims that named its effects are told so."""
    kept = [piece for piece in PIECES if cite_of(piece) != key]
    (tmp_path / "studies.yaml").write_text(HEAD + "".join(kept), encoding="utf-8")
    found = check(dataclasses.replace(plan, folder=tmp_path))
    gone = {row.id for row in crying.results.table} - {row.id for row in found.table}
    assert gone
    assert {problem.rule for problem in found.warnings} <= {"unknown-effect"}
    assert all(problem.what.split('"')[1] in gone for problem in found.warnings)
