"""Rows and dictionaries at hand, without a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catharsis.errors import At
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row

MakeRow = Callable[..., Row]


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return Dictionary.model_validate(
        {
            "outcomes": {
                "mood": {"label": "Mood", "unit": "points", "range": [-3, 3], "contrast": "change"},
                "joy": {"label": "Joy", "unit": "points", "contrast": "change"},
                "gloom": {"label": "Gloom", "unit": "points", "higher_is": "worse", "contrast": "change"},
                "plain": {"label": "Plain"},
            }
        }
    )


@pytest.fixture(scope="session")
def make_row() -> MakeRow:
    def make(id: str = "a", kind: str = "estimate", outcome: str = "mood", **cells: Any) -> Row:
        base = {"effect": id, "sample": id, "report": id, "overlap_group": id, "kind": kind, "outcome": outcome}
        contrast = {"plain": "plain"}.get(outcome, "change")
        return Row({**base, "contrast": contrast, **cells}, {}, At("studies.yaml", 1))

    return make
