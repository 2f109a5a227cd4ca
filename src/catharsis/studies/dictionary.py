"""The dictionary of an analysis: what its outcomes and moderators mean.

It stands in analysis.yaml and is read before the table, because it says which keys the table may use
and which way is up: signs are flipped once, here, and never by hand.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from catharsis.errors import did_you_mean, shown

# What the table already calls its blocks and printed numbers; a moderator by such a name would hide them.
RESERVED = frozenset({
    "schema", "studies", "samples", "effects", "moderators", "source", "numbers", "counts", "reported",
    "waive", "exclude", "id", "label", "cite", "report", "report_doi", "effect", "study", "sample", "family",
    "contrast", "kind", "mean_change", "sd_change", "se_change", "m1", "sd1", "se1", "m2", "sd2", "se2", "t",
    "df", "F", "df1", "df2", "p", "r", "d", "d_se", "d_ci", "d_low", "d_high", "yi", "vi", "sei", "better",
    "same", "worse", "events1", "events2", "share_better", "share_same", "share_worse", "episodes", "sign",
    "verdict", "significant", "alpha", "sided", "n", "n1", "n2", "note", "enrolled", "missing",
})  # fmt: skip


class Strict(BaseModel):
    """A mapping that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def number(value: Any) -> Any:
    """Refuse text where a number belongs; pydantic alone would read "12 " or true as one."""
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise PydanticCustomError(
            "number",
            "{value} is not a number",
            {"value": shown(value), "fix": "write the digits only, with a decimal point"},
        )
    return value


def text(value: Any) -> Any:
    """Labels may be typed as bare numbers (a year, 2013) and keep their digits; blank is not a label."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(getattr(value, "text", value))
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("empty", "the text is empty", {"fix": "write it, or delete the line"})
    return value


def two_numbers(value: Any) -> Any:
    """Refuse anything but [low, high]."""
    if not isinstance(value, list | tuple | None) or (value is not None and len(value) != 2):
        raise PydanticCustomError(
            "interval", "{value} is not a pair of numbers", {"value": shown(value), "fix": "write [lower, upper]"}
        )
    return value


Number = Annotated[float, BeforeValidator(number)]
Text = Annotated[str, BeforeValidator(text)]
Interval = Annotated[tuple[Number, Number], BeforeValidator(two_numbers)]


def _is_name(name: str) -> str:
    if not name.isidentifier() or name.startswith("_") or iskeyword(name):
        raise PydanticCustomError(
            "name",
            "{name} cannot be used as a name",
            {"name": shown(name), "fix": "use letters, digits and underscores, and begin with a letter"},
        )
    if name in RESERVED:
        raise PydanticCustomError(
            "name",
            "{name} already means something in the table",
            {"name": shown(name), "fix": "choose another name, for example " + name + "_level"},
        )
    return name


Identifier = Annotated[str, AfterValidator(_is_name)]


class Words(Strict):
    """How the directions of an outcome are called in the table and in the report."""

    positive: Text = "better"
    negative: Text = "worse"
    none: Text = "no different"

    @model_validator(mode="after")
    def _differ(self) -> Words:
        if len({self.positive, self.negative, self.none}) < 3:
            raise PydanticCustomError(
                "words", "two directions have the same word", {"fix": "use three different words"}
            )
        return self


class Family(Strict):
    """A group of outcomes that one question asks about; the report has one card for each.

    `gap`, `mixed`, `one_way` and `undecided` are the headlines for the cases in which no estimate
    exists; the gate picks one.
    """

    label: Text
    question: Text
    words: Words = Words()
    gap: Text | None = None
    mixed: Text | None = None
    one_way: Text | None = None
    undecided: Text | None = None
    would_help: Text | None = None
    main: bool = True


class Outcome(Strict):
    """One measured quantity and one contrast.

    `words` are its own directions where the family's do not fit; `higher_is` is one of the two (default
    the positive one); `means` says in words what a positive number or sign says; `measured` is what rows
    that say nothing else measured; only rows with one `contrast` can be combined. `items` is how many whole-number
    answers a score averages (1 for one answer and for a sum); means and SDs are then held against what n people can
    have.
    """

    label: Text
    family: Text | None = None
    contrast: Text | None = None
    means: Text | None = None
    measured: Text | None = None
    unit: Text | None = None
    range: Interval | None = None
    items: Annotated[int, BeforeValidator(number), Field(ge=1, le=1000)] | None = None
    higher_is: Text | None = None
    words: Words | None = None

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

    label: Text
    unit: Text | None = None
    levels: dict[str, Text] | None = None

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
        families = data.get("families") or {}
        if not isinstance(families, dict):
            return data
        families = dict(families)
        outcomes = {}
        for key, outcome in data["outcomes"].items():
            if isinstance(outcome, dict) and not outcome.get("family"):
                label = outcome.get("label")
                label = label if isinstance(label, str) else key
                families.setdefault(key, {"label": label, "question": label})
                outcome = {**outcome, "family": key}
            outcomes[key] = outcome
        return {**data, "families": families, "outcomes": outcomes}

    @model_validator(mode="after")
    def _families_exist(self) -> Dictionary:
        for key, outcome in self.outcomes.items():
            if outcome.family not in self.families:
                raise PydanticCustomError(
                    "family",
                    "outcome {key} names the family {family}, which is not declared",
                    {
                        "key": shown(key),
                        "family": shown(outcome.family),
                        "fix": "add it under families:, or " + did_you_mean(str(outcome.family), list(self.families)),
                        "at": ("outcomes", key, "family"),
                    },
                )
            words = outcome.words or self.families[str(outcome.family)].words
            if outcome.higher_is not in (None, words.positive, words.negative):
                raise PydanticCustomError(
                    "higher_is",
                    "outcome {key} says higher_is: {word}, which is not a word of its family",
                    {
                        "key": shown(key),
                        "word": shown(outcome.higher_is),
                        "fix": f"use {words.positive} or {words.negative}",
                        "at": ("outcomes", key, "higher_is"),
                    },
                )
        return self

    def family_of(self, outcome: str) -> Family:
        """The family of an outcome."""
        return self.families[str(self.outcomes[outcome].family)]

    def words_of(self, outcome: str) -> Words:
        """How the directions of an outcome are called: its own words, or its family's."""
        return self.outcomes[outcome].words or self.family_of(outcome).words

    def orientation(self, outcome: str) -> int:
        """+1 when a higher score is the family's positive word, -1 when it is the negative one."""
        words = self.words_of(outcome)
        return -1 if self.outcomes[outcome].higher_is == words.negative else 1
