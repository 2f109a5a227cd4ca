"""analysis.yaml: what an analysis asks, and the words that only people can write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from catharsis.errors import InputError, InputErrors
from catharsis.references.bibtex import read_references
from catharsis.references.library import Library
from catharsis.references.links import links_path
from catharsis.studies.dictionary import Dictionary, Family, Moderator, Number, Outcome, Strict, Text
from catharsis.studies.migrations import ANALYSIS, CLAIMS, refuse_other_versions
from catharsis.studies.validation import validate
from catharsis.studies.yaml_source import YamlSource, read_yaml

Role = Literal["headline", "moderator", "secondary", "analogue", "context"]


# estimators of tau^2 that need no weights, as `models.heterogeneity` has them; a check loads no numpy
METHODS = ("EE", "FE", "DL", "HE", "HS", "HSk", "SJ", "PM", "PMM", "EB", "ML", "REML")


def _method(text: str) -> str:
    if text not in METHODS:
        raise PydanticCustomError(
            "method", '"{text}" is not a method', {"text": text, "fix": "use " + ", ".join(METHODS)}
        )
    return text


Method = Annotated[Text, AfterValidator(_method)]
TestName = Literal["z", "t", "knha", "adhoc", "kr"]


class Says(Strict):
    """Headlines for each way a synthesis can come out; the gate picks one."""

    positive: Text | None = None
    negative: Text | None = None
    unclear: Text | None = None


class Published(Strict):
    """A published result that the same rows should come near; `method` names the fit to compare it with."""

    cite: Text
    estimate: float
    interval: tuple[float, float] | None = None
    tolerance: float | None = None
    method: Method | None = None
    note: Text | None = None


class Alternative(Strict):
    """The same rows by another method, shown beside the headline."""

    method: Method = "REML"
    test: TestName = "knha"


class Sites(Strict):
    """How the samples of one report are called (country, countries), the report, and what groups them."""

    one: Text = "sample"
    many: Text = "samples"
    report: Text = "report"
    groups: tuple[Text, Text] | None = None


class PriorTexts(Strict):
    """Priors as text: normal(0, 1), half-normal(0.5), flat; `terms` and `taus` by name of coefficient and factor."""

    mu: Text = "normal(0, 1)"
    b: Text | None = None
    tau: Text = "half-normal(0.5)"
    terms: dict[str, Text] | None = None
    taus: dict[str, Text] | None = None
    why: Text | None = None


class Synthesis(Strict):
    """One question put to one set of rows.

    `rows` selects; `scale` is auto, raw, standardised, correlation or a count measure (RR, OR, RD, PLO);
    `moderators` is a formula; `random` a column, or nested columns "study/effect", by default chosen
    from whether samples repeat; `cluster` is the column for CR2; `watch` names levels of the moderator
    whose evidence is reported even where there is none; `partial` selects rows that report only a sign or a
    verdict, for a second, separate synthesis of all evidence.
    """

    id: Text
    title: Text
    rows: Text | None = None
    outcome: Text | None = None
    role: Role = "secondary"
    scale: Literal["auto", "raw", "standardised", "correlation", "RR", "OR", "RD", "PLO"] = "auto"
    correct: bool = True
    moderators: Text | None = None
    reference: Text | dict[str, Text] | None = None
    random: Text | None = None
    cluster: Text | None = None
    method: Method = "REML"
    test: TestName | None = None
    also: tuple[Alternative, ...] = ()
    label: Text = "study"
    sites: Sites = Sites()
    says: Says = Says()
    priors: PriorTexts | None = None
    published: tuple[Published, ...] = ()
    watch: tuple[Text, ...] = ()
    partial: Text | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _selects_something(self) -> Synthesis:
        if self.partial is not None and (self.moderators is not None or self.random is not None):
            raise PydanticCustomError(
                "partial",
                "{id} has partial: beside moderators or random factors",
                {"id": self.id, "fix": "give the all-evidence synthesis an entry of its own, without moderators:"},
            )
        if self.partial is not None and self.scale not in ("standardised", "correlation"):
            raise PydanticCustomError(
                "partial",
                "{id} has partial: on the scale {scale}",
                {"id": self.id, "scale": self.scale, "fix": "set scale: standardised or scale: correlation"},
            )
        if self.rows is None and self.outcome is None:
            raise PydanticCustomError(
                "rows", "{id} selects no rows", {"id": self.id, "fix": "add rows: with an expression, or outcome:"}
            )
        return self


class Directions(Strict):
    """Signs counted without pooling: one vote per overlap group in each cell of `by`."""

    id: Text
    title: Text
    rows: Text
    by: tuple[Text, ...] = Field(min_length=1)
    role: Role = "secondary"
    vote: Text = "overlap_group"
    note: Text | None = None


class Caveat(Strict):
    """A limit that follows from the rows: said when rows of a synthesis meet `when`."""

    when: Text
    say: Text
    would_help: Text | None = None


class Bayes(Strict):
    """How the sampler runs; the exact engine always runs where it can."""

    sample: bool = True
    draws: int = Field(default=4000, ge=100)
    chains: int = Field(default=4, ge=2)
    seed: int = 1


class Statement(Strict):
    """A sentence that a person wrote; with `when` it stands only while a row of the table meets it."""

    say: Text
    when: Text | None = None
    cites: tuple[Text, ...] = ()


class Human(Strict):
    """What only people can write; absent is shown as "not provided"."""

    registration: Text | None = None
    eligibility: Text | None = None
    search: Text | None = None
    selection: Text | None = None
    risk_of_bias: Text | None = None
    certainty: dict[str, Text] = Field(default_factory=dict)
    limits: tuple[Statement, ...] = ()
    funding: Text | None = None
    availability: Text | None = None
    authors: Text | None = None


class Sensitivity(Strict):
    """Other choices that the headline is fitted under: priors on tau, and correlations of effects of one sample."""

    tau_priors: tuple[Text, ...] = ()
    rho: tuple[Annotated[Number, Field(gt=-1, lt=1)], ...] = ()


def _as_text(value: Any) -> Any:
    return None if value is None else str(value)


class AnalysisFile(Strict):
    """analysis.yaml as a whole."""

    schema_: Literal["catharsis/analysis@1"] = Field(alias="schema")
    title: Text
    lede: Text | None = None
    direct: Text = "people who were studied directly"
    evidence_to: Annotated[str | None, BeforeValidator(_as_text)] = None
    bibliography: Text = "references"
    table: Text = "studies.yaml"
    claims: Text | None = None
    origin: tuple[Statement, ...] = ()
    data: tuple[Statement, ...] = ()
    families: dict[str, Family] = Field(default_factory=dict)
    outcomes: dict[str, Outcome]
    moderators: dict[str, Moderator] = Field(default_factory=dict)
    syntheses: tuple[Synthesis, ...] = ()
    directions: tuple[Directions, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    priors: PriorTexts = PriorTexts()
    bayes: Bayes = Bayes()
    sensitivity: Sensitivity = Sensitivity()
    level: float = Field(default=0.95, gt=0.5, lt=1)
    human: Human = Human()


class ClaimCite(Strict):
    """Who the claim's source cites, and how sure the link is."""

    key: Text | None = None
    resolved: Literal["sure", "likely", "unknown"] = "unknown"


class Claim(Strict):
    """One statement of the source, and the effects that bear on it.

    `speaks` narrows `effect_ids` to the rows whose contrast tests the statement; the others are context.
    """

    id: int
    claim: Text
    cites: tuple[ClaimCite, ...] = ()
    outcome_family: Text
    predicted_direction: Literal["+", "-"] = "+"
    testable: bool = True
    evidence_gap: bool = False
    note: Text | None = None
    effect_ids: tuple[Text, ...] = ()
    speaks: Text | None = None


class ClaimsFile(Strict):
    """claims.yaml as a whole."""

    schema_: Literal["catharsis/claims@1"] = Field(alias="schema")
    source: Text
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """An analysis as it stands on disk.

    Attributes
    ----------
    folder : Path
        Where analysis.yaml lies.
    name : str
        The folder's name.
    file : AnalysisFile
        What it says.
    source : YamlSource
        Its lines.
    dictionary : Dictionary
        Outcomes and moderators.
    library : Library
        The bibliography.
    claims : ClaimsFile or None
        The claims, when there are any.
    claims_source : YamlSource or None
        Their lines.
    """

    folder: Path
    name: str
    file: AnalysisFile
    source: YamlSource
    dictionary: Dictionary
    library: Library
    claims: ClaimsFile | None
    claims_source: YamlSource | None

    @property
    def table_path(self) -> Path:
        """Where studies.yaml lies."""
        return self.folder / self.file.table

    def inputs(self) -> list[Path]:
        """Every file that the results depend on."""
        bibliography = self.folder / self.file.bibliography
        found = sorted(bibliography.glob("*.bib")) if bibliography.is_dir() else [bibliography]
        found += [links] if (links := links_path(bibliography)).exists() else []
        own = [self.folder / "analysis.yaml", self.table_path]
        return [*own, *([Path(self.claims_source.file)] if self.claims_source else []), *found]


def read_plan(folder: str | Path) -> Plan:
    """Read analysis.yaml, the bibliography and the claims.

    Raises
    ------
    InputErrors
        All problems of these files.
    """
    folder = Path(folder)
    source = read_yaml(folder / "analysis.yaml")
    refuse_other_versions(source, ANALYSIS)
    file = validate(AnalysisFile, source)
    problems: list[InputError] = []
    dictionary, library, claims, claims_source = None, None, None, None
    try:
        wanted = {
            key: source.data[key] for key in ("families", "outcomes", "moderators") if source.data.get(key) is not None
        }
        dictionary = validate(Dictionary, source, wanted)
    except InputErrors as found:
        problems += found.problems
    try:
        library = read_references(_bibliography(folder, file, source))
    except InputErrors as found:
        problems += found.problems
    try:
        claims_path = folder / (file.claims or "claims.yaml")
        if file.claims or claims_path.exists():
            claims_source = read_yaml(claims_path)
            refuse_other_versions(claims_source, CLAIMS)
            claims = validate(ClaimsFile, claims_source)
    except InputErrors as found:
        problems += found.problems
    problems += _repeated(file, source)
    if problems or dictionary is None or library is None:
        raise InputErrors(problems)
    return Plan(folder, folder.resolve().name, file, source, dictionary, library, claims, claims_source)


def bibliography_of(folder: str | Path) -> Path:
    """Where the bibliography of an analysis stands, whatever state the rest of it is in.

    Raises
    ------
    InputErrors
        When analysis.yaml cannot be read, or names a place that is not there.
    """
    source = read_yaml(Path(folder) / "analysis.yaml")
    return _bibliography(Path(folder), validate(AnalysisFile, source), source)


def _bibliography(folder: Path, file: AnalysisFile, source: YamlSource) -> Path:
    path = folder / file.bibliography
    if not os.path.exists(path):  # unlike Path.exists, no error when a name cannot be one
        raise InputErrors(
            [
                InputError(
                    source.at(("bibliography",)),
                    f"there is no bibliography at {path.as_posix()}",
                    "every row must name a paper that the bibliography holds",
                    "copy the .bib files there, or point bibliography: to their folder (relative to analysis.yaml)",
                    "bibliography",
                )
            ]
        )
    here, found = Path.cwd(), path.resolve()
    return found.relative_to(here) if not path.is_absolute() and found.is_relative_to(here) else path


def _repeated(file: AnalysisFile, source: YamlSource) -> list[InputError]:
    seen: set[str] = set()
    problems = []
    for kind, ids in (("syntheses", [s.id for s in file.syntheses]), ("directions", [d.id for d in file.directions])):
        for i, key in enumerate(ids):
            if key in seen:
                problems.append(
                    InputError(
                        source.at((kind, i, "id")),
                        f'the id "{key}" stands twice',
                        "results and figures are named by it",
                        "give each synthesis an id of its own",
                        "duplicate-id",
                    )
                )
            seen.add(key)
    return problems
