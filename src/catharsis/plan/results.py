"""What an analysis found, as values; `record` turns them into results.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from catharsis.assess.gates import Gate, Verdict
from catharsis.assess.without_pooling import SignTest
from catharsis.bayes.posterior import Posterior
from catharsis.checks.run import Waived
from catharsis.effects.partial import PartialRows
from catharsis.effects.prepare import Effects, EffectSize
from catharsis.errors import InputError
from catharsis.models.result import Fit
from catharsis.plan.spec import Alternative, Caveat, Claim, Directions, Plan, Published, Synthesis
from catharsis.studies.dictionary import Family
from catharsis.studies.table import Row, StudyTable

if TYPE_CHECKING:
    from pathlib import Path

    from catharsis.assess.power_scaled import PowerScaling
    from catharsis.assess.prior_comparison import PriorSensitivity
    from catharsis.models.robust import Robust


@dataclass(frozen=True, slots=True)
class CaveatFound:
    """A caveat that `count` of `of` rows meet."""

    caveat: Caveat
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the two Bayesian engines compare on one quantity, in Monte Carlo standard errors of the sampler."""

    quantity: str
    exact: float
    nuts: float
    mcse: float

    @property
    def distance(self) -> float:
        """|difference| in Monte Carlo standard errors."""
        return abs(self.exact - self.nuts) / self.mcse if self.mcse > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published number beside ours."""

    published: Published
    estimate: float
    low: float
    high: float
    method: str

    @property
    def gap(self) -> float:
        """The largest absolute difference of the estimate and limits."""
        gaps = [abs(self.estimate - self.published.estimate)]
        if self.published.interval:
            gaps += [abs(self.low - self.published.interval[0]), abs(self.high - self.published.interval[1])]
        return max(gaps)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllEvidence:
    """A synthesis with the rows that report only a sign or a verdict.

    Attributes
    ----------
    partial : PartialRows
        What entered, and what did not and why.
    reported : Posterior
        Every row as it was reported: a verdict lies beyond or between the critical values.
    signs : Posterior
        Significant results by their sign alone, in case they were printed because they were significant.
    contributions : tuple of Contribution
        What each row added, under both readings.
    """

    partial: PartialRows
    reported: Posterior
    signs: Posterior
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """One partial row: what it says, how likely the rest found that, and how far it moves the mean.

    Attributes
    ----------
    row : Row
        The row.
    says : str
        Its region in words.
    expected : float
        Probability of that region, from everything else.
    mean_without : float
        Posterior mean without it.
    shift, shift_sign : float
        Movement of the mean when it enters, in posterior standard deviations: as reported, and by its sign alone.
    """

    row: Row
    says: str
    expected: float
    mean_without: float
    shift: float
    shift_sign: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """One quantity before and after the data, analysis scale.

    Attributes
    ----------
    quantity : str
        "average", "tau" or "new study".
    before, after : tuple of float
        The lower limit, quartile, median, quartile and upper limit: of the prior, and of the posterior.
    """

    quantity: str
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisResult:
    """One synthesis.

    Attributes
    ----------
    spec : Synthesis
        The question.
    family : str
        Key of the family its rows belong to ("" without rows).
    effects : Effects
        What went in.
    gate : Gate
        What may be said.
    fit : Fit or None
        The headline frequentist fit (k >= 2).
    single : EffectSize or None
        The one effect when k = 1.
    robust : Robust or None
        CR2 of a moderator model.
    exact, nuts, flat : Posterior or None
        Exact and sampled posteriors; the exact one with a flat prior on b.
    all_evidence : AllEvidence or None
        With the rows that report only a sign or a verdict.
    power : PowerScaling or None
        What prior and likelihood do to the posterior, where the headline or few studies rest on it.
    other_priors : PriorSensitivity or None
        The average under the other priors on tau that the plan names.
    by_rho : tuple of (float, Fit)
        The fit with sampling errors of one sample correlated, by each correlation that the plan names.
    expectations : tuple of Expectation
        What proper priors expect before the data, and what the posterior says.
    """

    spec: Synthesis
    family: str
    effects: Effects
    gate: Gate
    fit: Fit | None
    single: EffectSize | None
    others: tuple[tuple[Alternative, Fit], ...]
    robust: Robust | None
    exact: Posterior | None
    nuts: Posterior | None
    flat: Posterior | None
    agreement: tuple[Agreement, ...]
    verdict: Verdict | None
    caveats: tuple[CaveatFound, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    level: float
    all_evidence: AllEvidence | None = None
    power: PowerScaling | None = None
    other_priors: PriorSensitivity | None = None
    expectations: tuple[Expectation, ...] = ()
    by_rho: tuple[tuple[float, Fit], ...] = ()

    @property
    def posterior(self) -> Posterior | None:
        """The posterior that leads: the exact one where it exists, else the sampled one."""
        return self.exact or self.nuts

    @property
    def factor(self) -> str | None:
        """The one factor that moderates, if there is exactly one."""
        factors = list(self.fit.design.factors) if self.fit else []
        return factors[0] if len(factors) == 1 else None

    @property
    def slope(self) -> str | None:
        """The one numeric moderator, if it is the only one."""
        names = list(self.fit.design.columns) if self.fit else []
        return (
            names[0]
            if len(names) == 1 and self.fit and self.fit.blocks.p == 2 and not self.fit.design.factors
            else None
        )

    def headline(self) -> tuple[float, float, float]:
        """Estimate and interval on the analysis scale, from the school that leads; nan without one."""
        if self.fit is None:
            if self.single is None:
                return float("nan"), float("nan"), float("nan")
            from catharsis.numerics import critical_value

            reach = float(critical_value(self.level)) * self.single.vi**0.5
            return self.single.yi, self.single.yi - reach, self.single.yi + reach
        if self.gate.headline == "bayes" and self.posterior is not None:
            mu = self.posterior.mu
            return mu.centre(self.effects.measure.back), mu.low, mu.high
        low, high = self.fit.interval()
        return float(self.fit.beta[0]), float(low[0]), float(high[0])


@dataclass(frozen=True, slots=True)
class DirectionCell:
    """Votes at one setting."""

    key: tuple[str, ...]
    rows: tuple[Row, ...]
    test: SignTest
    holm: float


@dataclass(frozen=True, slots=True)
class DirectionsResult:
    """Directions counted without pooling.

    Attributes
    ----------
    spec : Directions
        The question.
    family : str
        Key of the family ("" without rows).
    cells : tuple of DirectionCell
        In order of first appearance.
    groups : int
        Independent groups of people.
    """

    spec: Directions
    family: str
    cells: tuple[DirectionCell, ...]
    groups: int
    unsigned: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows that were counted."""
        return tuple(row for cell in self.cells for row in cell.rows)


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """One claim with the evidence for and against.

    Attributes
    ----------
    claim : Claim
        The statement.
    speaking : tuple of Row
        Rows whose contrast tests it.
    context : tuple of Row
        Rows that only surround it.
    direct, indirect : tuple of dict
        Overlap group to "for", "against", "mixed" or "neither".
    unknown : tuple of str
        Effect ids that are not in the table.
    verdict : str
        One sentence.
    """

    claim: Claim
    speaking: tuple[Row, ...]
    context: tuple[Row, ...]
    direct: Mapping[str, str]
    indirect: Mapping[str, str]
    unknown: tuple[str, ...]
    verdict: str


State = Literal["estimate", "directions", "numbers", "unusable", "gap"]


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """The answer to one family's question.

    Attributes
    ----------
    key : str
        Family key.
    family : Family
        Its words.
    state : str
        "estimate" (a headline synthesis), "directions" (signs only), "numbers" (direct numbers that no
        synthesis takes in), "unusable" (measured, nothing usable) or "gap" (no direct row).
    sentence : str
        The verdict in a few plain words.
    headline : SynthesisResult or None
        Where the estimate comes from.
    directions : tuple of DirectionsResult
        Counts of the family's direct rows.
    analogues : tuple of SynthesisResult
        Indirect syntheses, labelled as such.
    kinds : dict
        (directness, kind) to number of rows.
    """

    key: str
    family: Family
    state: State
    sentence: str
    headline: SynthesisResult | None
    directions: tuple[DirectionsResult, ...]
    analogues: tuple[SynthesisResult, ...]
    kinds: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything the report shows.

    Attributes
    ----------
    plan, table : Plan, StudyTable
        The inputs.
    input_hash : str
        sha256 over inputs and package.
    warnings : tuple of InputError
        Findings that do not stop the run.
    waived : tuple of Waived
        Findings that a person lets stand.
    standing_statements : frozenset of str
        Sentences of people whose condition some row still meets.
    """

    plan: Plan
    table: StudyTable
    syntheses: tuple[SynthesisResult, ...]
    directions: tuple[DirectionsResult, ...]
    claims: tuple[ClaimResult, ...]
    families: tuple[FamilyResult, ...]
    sizes: Mapping[str, Mapping[str, EffectSize]]
    warnings: tuple[InputError, ...]
    waived: tuple[Waived, ...]
    standing_statements: frozenset[str]
    input_hash: str

    @property
    def reportable(self) -> bool:
        """Whether every fit that was asked for can be shown."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the results from being reportable."""
        return tuple(
            f"{result.spec.id}: {withheld.why}"
            for result in self.syntheses
            for withheld in result.gate.withheld
            if withheld.what == "Bayesian statements"
        )

    def synthesis(self, key: str) -> SynthesisResult:
        """A synthesis by its id."""
        return next(result for result in self.syntheses if result.spec.id == key)

    def render(self, folder: str | Path) -> Path:
        """Write the report into a folder and return its page.

        A convenience for notebooks, and the one arrow that points up the house: it is resolved by name
        when called, so that running an analysis does not load the report.
        """
        from importlib import import_module
        from pathlib import Path

        import_module("catharsis.report.write").write(self, folder)
        return Path(folder) / "index.html"
