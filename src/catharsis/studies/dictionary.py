"""The dictionary of an analysis: what its outcomes and moderators mean.

It stands in analysis.yaml and is read before the table, because it says which keys the table may use
and which way is up: signs are flipped once, here, and never by hand.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A mapping that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _is_name(text: str) -> str:
    if not text.isidentifier() or text.startswith("_"):
        raise PydanticCustomError(
            "name",
            '"{text}" cannot be used as a name',
            {"text": text, "fix": "use letters, digits and underscores, and begin with a letter"},
        )
    return text


Identifier = Annotated[str, AfterValidator(_is_name)]


class Words(Strict):
    """How the directions of an outcome are called in the table and in the report."""

    positive: str = "better"
    negative: str = "worse"
    none: str = "no different"


class Family(Strict):
    """A group of outcomes that one question asks about; the report has one card for each.

    `gap`, `mixed`, `one_way` and `undecided` are the headlines for the cases in which no estimate
    exists; the gate picks one. `settings` names the moderators by which directions are tabulated.
    """

    label: str
    question: str
    words: Words = Words()
    gap: str | None = None
    mixed: str | None = None
    one_way: str | None = None
    undecided: str | None = None
    would_help: str | None = None
    main: bool = True


class Outcome(Strict):
    """One measured quantity and one contrast.

    `higher_is` is one of the family's two words (default the positive one); `means` says in words what
    a positive number or sign says; `measured` is what rows that say nothing else measured; only rows with one `contrast` can be combined.
    """

    label: str
    family: str | None = None
    contrast: str | None = None
    means: str | None = None
    measured: str | None = None
    unit: str | None = None
    range: tuple[float, float] | None = None
    higher_is: str | None = None

    @model_validator(mode="after")
    def _range_ascends(self) -> Outcome:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise PydanticCustomError(
                "range",
                "the range does not ascend",
                {"fix": "write [lowest possible score, highest possible score]"},
            )
        return self


class Moderator(Strict):
    """A property of a study, sample or effect that the table may name.

    With `levels` (level: label) it is a factor, with `unit` a number, with neither free text.
    """

    label: str
    unit: str | None = None
    levels: dict[str, str] | None = None

    @property
    def kind(self) -> Literal["factor", "number", "text"]:
        """What its cells hold."""
        return "factor" if self.levels else "number" if self.unit is not None else "text"


class Dictionary(Strict):
    """Families, outcomes and moderators of one analysis."""

    families: dict[str, Family] = Field(default_factory=dict)
    outcomes: dict[str, Outcome]
    moderators: dict[Identifier, Moderator] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _family_of_its_own(cls, data: Any) -> Any:
        """An outcome without a family is a family of its own, so that a short table needs no families."""
        if not isinstance(data, dict) or not isinstance(data.get("outcomes"), dict):
            return data
        families = dict(data.get("families") or {})
        outcomes = {}
        for key, outcome in data["outcomes"].items():
            if isinstance(outcome, dict) and not outcome.get("family"):
                families.setdefault(
                    key, {"label": outcome.get("label", key), "question": str(outcome.get("label", key))}
                )
                outcome = {**outcome, "family": key}
            outcomes[key] = outcome
        return {**data, "families": families, "outcomes": outcomes}

    @model_validator(mode="after")
    def _families_exist(self) -> Dictionary:
        for key, outcome in self.outcomes.items():
            if outcome.family not in self.families:
                raise PydanticCustomError(
                    "family",
                    'outcome "{key}" names the family "{family}", which is not declared',
                    {
                        "key": key,
                        "family": outcome.family,
                        "fix": "add it under families, or use " + ", ".join(self.families),
                    },
                )
            words = self.families[str(outcome.family)].words
            if outcome.higher_is not in (None, words.positive, words.negative):
                raise PydanticCustomError(
                    "higher_is",
                    'outcome "{key}" says higher_is: {word}, which is not a word of its family',
                    {
                        "key": key,
                        "word": outcome.higher_is,
                        "fix": f"use {words.positive} or {words.negative}",
                    },
                )
        return self

    def family_of(self, outcome: str) -> Family:
        """The family of an outcome."""
        return self.families[str(self.outcomes[outcome].family)]

    def orientation(self, outcome: str) -> int:
        """+1 when a higher score is the family's positive word, -1 when it is the negative one."""
        words = self.family_of(outcome).words
        return -1 if self.outcomes[outcome].higher_is == words.negative else 1
