"""What studies.yaml may hold: studies > samples > effects.

A property is written at the level where it varies: what stands on a study holds for its samples and
effects unless they say otherwise. Numbers stand exactly as printed; their kind is their name (`sd`,
`se`, `d_ci`). Reading the schema from YAML, with lines, is `table`'s task.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from catharsis.errors import shown
from catharsis.studies.dictionary import Interval, Number, Strict, Text, number

SCHEMA = "catharsis/studies@1"

Kind = Literal["estimate", "counts", "bounds", "direction", "none"]
KINDS: tuple[Kind, ...] = ("estimate", "counts", "bounds", "direction", "none")


Count = Annotated[int, BeforeValidator(number), Field(ge=0)]


def _plain_value(value: Any) -> Any:
    """What a cell may hold: text, a number, yes or no, or a short list of these."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(part, dict | list) for part in value)):
        raise PydanticCustomError("value", "{value} is not a cell", {"value": shown(value), "fix": "write one value"})
    return value


class Resolution(Strict):
    """A cell on which two readers differed, and what a third look kept.

    `readings` holds what each reader wrote (a reader who wrote nothing is not named); without `kept` the cell was
    left out.
    """

    cell: Text
    readings: dict[Text, Annotated[Any, BeforeValidator(_plain_value)]]
    kept: Annotated[Any, BeforeValidator(_plain_value)] = None
    by: Text
    date: Text


class Source(Strict):
    """Where in the literature the numbers stand, and who read them.

    `imputed` says in words what the paper does not print and somebody filled in ("r = 0.5, assumed"); `resolved`
    lists the cells on which two readers differed, as `catharsis reconcile` writes them.
    """

    where: Text | None = None
    kind: Text | None = None
    url: Text | None = None
    read_by: Text | None = None
    checked: bool | None = None
    checked_by: Text | None = None
    confidence: Literal["high", "medium", "low"] | None = None
    imputed: Text | None = None
    resolved: tuple[Resolution, ...] = ()


class Waiver(Strict):
    """A finding that a person looked at and lets stand.

    On a sample, a study or the file as a whole it covers every effect below.
    """

    rule: Text
    reason: Text
    by: Text
    date: Text


class Numbers(Strict):
    """Printed numbers from which an effect and its variance follow (kind `estimate`).

    One group: `n, mean_change, sd_change|se_change`. Two groups: `n1, m1, sd1|se1, n2, m2, sd2|se2`.
    Tests: `t`, `F` with `df1` = 1, exact `p` with the row's sign. Others: `r`; `d` with `d_se` or
    `d_ci`; `yi` with `vi` or `sei` for an effect that is already on the scale of its synthesis.
    """

    n: Count | None = None
    n1: Count | None = None
    n2: Count | None = None
    mean_change: Number | None = None
    sd_change: Number | None = None
    se_change: Number | None = None
    m1: Number | None = None
    sd1: Number | None = None
    se1: Number | None = None
    m2: Number | None = None
    sd2: Number | None = None
    se2: Number | None = None
    t: Number | None = None
    df: Number | None = None
    F: Number | None = None
    df1: Number | None = None
    df2: Number | None = None
    p: Number | None = None
    r: Number | None = None
    d: Number | None = None
    d_se: Number | None = None
    d_ci: Interval | None = None
    yi: Number | None = None
    vi: Number | None = None
    sei: Number | None = None


class Counts(Strict):
    """People or episodes counted (kind `counts`).

    `better, same, worse`: by direction of change. `events1, n1, events2, n2`: events in two groups;
    `events1, n1` alone: in one. `share_*` of `episodes`: printed shares.
    """

    better: Count | None = None
    same: Count | None = None
    worse: Count | None = None
    events1: Count | None = None
    n1: Count | None = None
    events2: Count | None = None
    n2: Count | None = None
    share_better: Number | None = None
    share_same: Number | None = None
    share_worse: Number | None = None
    episodes: Count | None = None


_VERDICT = re.compile(r"^\s*p\s*(<|<=|≤|>|>=|≥)\s*(0?\.\d+)\s*$", re.IGNORECASE)


class Reported(Strict):
    """What a paper says when it prints no usable number (kinds `bounds` and `direction`).

    `sign` is a word of the outcome or its family (better, worse, no different ...); `verdict` is
    "p < .05", "p > .05" or "n.s."; `alpha` and `sided` say which critical value it was held against.
    """

    sign: Text | None = None
    verdict: Text | None = None
    alpha: Number | None = None
    sided: Literal[1, 2] = 2
    n: Count | None = None
    n1: Count | None = None
    n2: Count | None = None
    t: Number | None = None
    df: Number | None = None
    F: Number | None = None
    df1: Number | None = None
    df2: Number | None = None
    p: Number | None = None

    @field_validator("verdict")
    @classmethod
    def _known_verdict(cls, verdict: str | None) -> str | None:
        if verdict is not None and verdict.strip().lower() not in ("n.s.", "ns") and not _VERDICT.match(verdict):
            raise PydanticCustomError(
                "verdict",
                "{verdict} is not a verdict",
                {
                    "verdict": shown(verdict),
                    "fix": "write p < .05, p > .05 or n.s.; an exact p belongs under numbers: {p: ...}",
                },
            )
        return verdict

    @property
    def significant(self) -> bool | None:
        """True for "p < a", False for "p > a" and "n.s.", None without a verdict."""
        if self.verdict is None:
            return None
        found = _VERDICT.match(self.verdict)
        return found is not None and found[1] in ("<", "<=", "≤")

    @property
    def level(self) -> float | None:
        """The alpha of the verdict; .05 when "n.s." names none."""
        if self.verdict is None:
            return None
        found = _VERDICT.match(self.verdict)
        return float(found[2]) if found else self.alpha if self.alpha is not None else 0.05


class Shared(Strict):
    """Properties that may stand on a study, a sample or an effect; the innermost counts.

    `minutes` is the time of measurement since the event that the analysis is about. `moderators` is
    filled from the keys that analysis.yaml declares and is never typed.
    """

    country: Text | None = None
    population: Text | None = None
    design: Text | None = None
    test: Text | None = None
    evidence: Literal["direct", "indirect"] | None = None
    overlap_group: Text | None = None
    partition: Text | None = None
    outcome: Text | None = None
    measured: Text | None = None
    n: Count | None = None
    n1: Count | None = None
    n2: Count | None = None
    minutes: Number | None = None
    source: Source | None = None
    note: Text | None = None
    waive: tuple[Waiver, ...] = ()
    moderators: dict[str, Any] = Field(default_factory=dict)


class Effect(Shared):
    """One result of one sample."""

    id: Text
    kind: Kind | None = None
    numbers: Numbers | None = None
    counts: Counts | None = None
    reported: Reported | None = None
    exclude: Text | None = None


class Sample(Shared):
    """People; the same `id` always means the same people."""

    id: Text
    enrolled: Count | None = None
    effects: tuple[Effect, ...]


def _year(value: Any) -> Any:
    """A year in digits, quoted or not; what is not yet printed has none."""
    year = int(value) if isinstance(value, str) and re.fullmatch(r"\d{4}", value.strip()) else value
    if isinstance(year, bool) or not isinstance(year, int) or not 1000 <= year <= 2999:
        raise PydanticCustomError(
            "year", "{value} is not a year", {"value": shown(value), "fix": "write four digits, or delete the line"}
        )
    return year


class Study(Shared):
    """A report and the samples in it.

    `cite` is the work in which the numbers were read. When that is a secondary source, `report` names
    the study they come from, so that nineteen trials read in one review count as nineteen reports.
    """

    cite: Text
    label: Text
    report: Text | None = None
    report_doi: Text | None = None
    year: Annotated[int, BeforeValidator(_year)] | None = None
    samples: tuple[Sample, ...]


class StudyFile(Strict):
    """studies.yaml as a whole."""

    schema_: Literal["catharsis/studies@1"] = Field(alias="schema")
    waive: tuple[Waiver, ...] = ()
    studies: tuple[Study, ...]

    @model_validator(mode="before")
    @classmethod
    def _an_empty_list_is_fine(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("studies", 0) is None:
            return {**data, "studies": []}
        return data
