"""docs/partial.md: are its tables the record's, does the record hold what the page says, does the program run?"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "partial_evidence.py"
_SPEC = importlib.util.spec_from_file_location("partial_evidence_program", PROGRAM)
assert _SPEC is not None
assert _SPEC.loader is not None
program = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = program  # dataclasses look their module up
_SPEC.loader.exec_module(program)

RECORD = json.loads(program.RECORD.read_text(encoding="utf-8"))
CELLS = {(cell["habit"], cell["mu"], cell["tau"]): cell["methods"] for cell in RECORD["cells"]}
RANDOM = [key for key in CELLS if key[0] == "at random"]


def test_every_cell_and_method_is_there():
    assert tuple(CELLS) == program.CELLS
    assert all(cell["replications"] >= 1000 for cell in RECORD["cells"])
    assert all(set(methods) == set(program.ORDER) for methods in CELLS.values())
    assert RECORD["grid_difference"] < 1e-3


def test_the_tables_are_the_records():
    page = program.PAGE.read_text(encoding="utf-8")
    assert program.filled(page, RECORD) == page


@pytest.mark.parametrize("key", RANDOM)
def test_as_reported_is_nearly_unbiased_keeps_its_word_and_is_worth_having(key):
    ours, thrown_away = CELLS[key]["partial, as reported"], CELLS[key]["numbers only"]
    assert abs(ours["bias"]) < 0.02
    assert ours["coverage"] > 94.5
    assert ours["width"] < 0.8 * thrown_away["width"]
    assert ours["rmse"] < 0.85 * thrown_away["rmse"]


@pytest.mark.parametrize("method", ["point values", "MetaNSUE"])
def test_imputing_pulls_towards_0(method):
    for key in RANDOM:
        assert key[1] == 0 or CELLS[key][method]["bias"] < -0.05


def test_one_common_effect_is_too_sure():
    assert CELLS["at random", 0.6, 0.4]["Bushman and Wang"]["coverage"] < 80


def test_verdicts_printed_only_when_significant_move_the_first_reading_most():
    methods = CELLS["verdict if significant", 0.3, 0.2]
    assert methods["partial, as reported"]["bias"] > 0.08
    assert abs(methods["partial, half lines"]["bias"]) < 0.04
    assert methods["partial, half lines"]["coverage"] > 95


def test_the_program_gives_the_record():
    """Fifty replications of one cell, within four of their standard errors."""
    habit, mu, tau = program.CELLS[2]
    found = program.cell(habit, mu, tau, 50, 2)["methods"]
    for name, one in found.items():
        recorded = CELLS[habit, mu, tau][name]
        assert abs(one["bias"] - recorded["bias"]) < 4 * np.hypot(one["bias_error"], recorded["bias_error"])
        assert one["width"] == pytest.approx(recorded["width"], rel=0.15)


def test_the_grid_is_the_engine():
    assert program.check(np.random.default_rng(1)) < 1e-3
