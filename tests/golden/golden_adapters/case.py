"""A golden case: what went into R, what came out, and where to look things up."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ESTIMATORS_LATER = "models: heterogeneity estimators HS, HSk, SJ, EB, PMM, GENQ, GENQM"
PROFILE = "models: profile likelihood interval of tau^2"
CONTAINMENT = "models: containment degrees of freedom"
STRUCTURES = "models: structures and scale models"
SADDLEPOINT = "models: saddlepoint p"
WALD_OTHERS = "models: Wald tests other than HTZ"
RANDOM_EFFECTS = "models: standard errors of random effects"
OTHER_V = "effects: V from a rule not known here"
PARTS_WITHIN = (
    ESTIMATORS_LATER, PROFILE, CONTAINMENT, STRUCTURES, SADDLEPOINT, WALD_OTHERS, RANDOM_EFFECTS, OTHER_V,
)  # fmt: skip


class NotSupported(Exception):
    """This case waits for a part of the project; the text says which."""


SILENT = frozenset({"note", "order_note", "digits", "verbose", "progbar"})


@dataclass(frozen=True)
class Case:
    """One entry of `cases`, with the file around it."""

    dataset: str
    entry: Mapping[str, Any]
    document: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return f"{self.dataset}:{self.entry['id']}"

    @property
    def family(self) -> str:
        return str(self.entry["family"])

    @cached_property
    def args(self) -> Mapping[str, Any]:
        """The options, without those that change no number."""
        return {name: value for name, value in self.entry["args"].items() if name not in SILENT}

    @property
    def status(self) -> str:
        return str(self.entry["status"])

    @property
    def results(self) -> Mapping[str, Any]:
        return self.entry.get("results") or {}

    @property
    def rtol(self) -> float:
        return float(self.entry["rtol"])

    @cached_property
    def inputs(self) -> Mapping[str, Any]:
        return self.document["inputs"][self.entry["input"]]

    @cached_property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.inputs["data"])

    @property
    def yi(self) -> np.ndarray:
        return np.array(self.inputs["data"]["yi"], dtype=float)

    @property
    def vi(self) -> np.ndarray:
        return np.array(self.inputs["data"]["vi"], dtype=float)

    @property
    def X(self) -> np.ndarray | None:
        X = self.inputs.get("X")
        return None if X is None else np.array(X, dtype=float)

    def other(self, id: str) -> Case | None:
        """Another case of the same file."""
        for entry in self.document["cases"]:
            if entry["id"] == id:
                return Case(self.dataset, entry, self.document)
        return None


@dataclass(frozen=True)
class Family:
    """How one family is answered.

    `answer` returns our values by golden field; `...` inside a list leaves an element unanswered. It raises
    NotSupported for an option that waits. `about_r` are fields that describe R's run, not the result; `waiting` are
    fields that a later part will answer. `scale` gives the size below which a field counts as zero.

    After a disagreement `theirs` may answer again at R's own variance parameters, with a sentence that says why ours
    are at least as good (DESIGN section 8: a higher likelihood); when that agrees, the case has passed. `known` may
    name a known disagreement, always listed: it counts as passed when its reason names, in brackets, the test that
    proves it, and is neither passed nor failed without.
    """

    answer: Callable[[Case], Mapping[str, Any]]
    about_r: frozenset[str] = frozenset()
    waiting: Mapping[str, str] = field(default_factory=dict)
    scale: Callable[[Case, str], Any] = lambda case, name: 0.0
    theirs: Callable[[Case], tuple[Mapping[str, Any], str] | None] = lambda case: None
    known: Callable[[Case, list[str]], str | None] = lambda case, reasons: None


def read_cases(directory: Path) -> Iterator[Case]:
    """Every case of every golden file (.json or .json.xz) in a directory."""
    for path in sorted(directory.iterdir()):
        if path.name == "INDEX.json" or not path.name.endswith((".json", ".json.xz")):
            continue
        text = lzma.decompress(path.read_bytes()).decode() if path.suffix == ".xz" else path.read_text()
        document = json.loads(text)
        if document.get("head", {}).get("schema") != "golden/1":
            continue
        dataset = path.name.removesuffix(".xz").removesuffix(".json")
        for entry in document["cases"]:
            yield Case(dataset, entry, document)
