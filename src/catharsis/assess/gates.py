"""The one place that decides which statements a report may make, and says why others are withheld.

k counts independent samples, m counts reports. The limits follow Cochrane's handbook, the small-sample
literature on Knapp-Hartung and CR2, and PRISMA 2020 [@inthout2014; @roever2015; @tipton2015a; @sterne2011;
@page2021].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIN_FULL = 10  # samples for funnel tests, and per moderator coefficient
MIN_POOL = 2
MIN_FREQUENTIST = 5  # below, the Bayesian interval is the headline
MIN_SATTERTHWAITE = 4  # degrees of freedom below which CR2 p values mislead

Standing = Literal["none", "single", "few", "some", "full"]
Verdict = Literal["positive", "negative", "unclear"]


@dataclass(frozen=True, slots=True)
class Withheld:
    """A statement that is not made, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What may be said of one synthesis.

    Attributes
    ----------
    k, m : int
        Independent samples and reports.
    standing : str
        "none" (k = 0), "single" (1), "few" (2 to 4), "some" (5 to 9), "full" (10 and more).
    pool : bool
        A pooled estimate may be given.
    headline : str
        "frequentist" or "bayes": whose interval leads.
    heterogeneity : bool
        tau^2 and I^2 may be interpreted.
    coefficients : int
        Moderator coefficients that the samples carry.
    funnel : str
        "none", "drawn" or "tested".
    new : str
        What a prediction is for: "study" or "site".
    bayes : bool
        Bayesian statements may be made.
    withheld : tuple of Withheld
        What is not said, and why.
    """

    k: int
    m: int
    standing: Standing
    pool: bool
    headline: Literal["frequentist", "bayes"]
    heterogeneity: bool
    coefficients: int
    funnel: Literal["none", "drawn", "tested"]
    new: Literal["study", "site"]
    bayes: bool
    withheld: tuple[Withheld, ...]

    @property
    def one_study(self) -> bool:
        """All samples come from one report."""
        return self.m == 1 and self.k > 1


def standing(k: int) -> Standing:
    """The class of a synthesis by its number of independent samples.

    Examples
    --------
    >>> [standing(k) for k in (0, 1, 2, 4, 5, 9, 10)]
    ['none', 'single', 'few', 'few', 'some', 'some', 'full']
    """
    if k == 0:
        return "none"
    if k < MIN_POOL:
        return "single"
    return "few" if k < MIN_FREQUENTIST else "some" if k < MIN_FULL else "full"


def allowed_coefficients(k: int) -> int:
    """One moderator coefficient per ten samples; one pre-named coefficient for five to nine."""
    return 1 if MIN_FREQUENTIST <= k < MIN_FULL else k // MIN_FULL


def gate(k: int, m: int, coefficients: int = 0, sampler_problems: tuple[str, ...] = ()) -> Gate:
    """Decide what may be said.

    Parameters
    ----------
    k, m : int
        Independent samples and reports.
    coefficients : int
        Moderator coefficients of the model.
    sampler_problems : tuple of str
        What is wrong with the Bayesian fit; anything here withholds Bayesian statements.

    Returns
    -------
    Gate

    Examples
    --------
    >>> found = gate(5, 1)
    >>> found.pool, found.new, found.funnel
    (True, 'site', 'none')
    """
    stand = standing(k)
    one_study = m == 1 and k > 1
    withheld = []
    if stand == "none":
        withheld.append(Withheld("a pooled estimate", "no row carries numbers for it"))
    if stand == "single":
        withheld.append(Withheld("pooling and heterogeneity", "there is one sample (k = 1)"))
    if stand == "few":
        withheld.append(Withheld("a statement about heterogeneity", f"{k} samples cannot tell it from chance"))
    funnel: Literal["none", "drawn", "tested"] = "none"
    if one_study:
        withheld.append(
            Withheld("funnel plots and tests of reporting bias", "all samples come from one report (m = 1)")
        )
    elif stand == "full":
        funnel = "tested"
    elif stand == "some":
        funnel = "drawn"
        withheld.append(Withheld("tests of funnel asymmetry", f"they need at least {MIN_FULL} samples; here k = {k}"))
    elif stand == "few":
        withheld.append(Withheld("a funnel plot", f"it needs at least {MIN_FREQUENTIST} samples; here k = {k}"))
    if coefficients > allowed_coefficients(k):
        need = (
            f"1 coefficient needs {MIN_FREQUENTIST} samples"
            if coefficients == 1
            else f"{coefficients} coefficients need {MIN_FULL * coefficients} samples by the rule of ten"
        )
        withheld.append(Withheld("a confirmatory reading of the moderators", f"{need}; here k = {k}"))
    withheld += [Withheld("Bayesian statements", problem) for problem in sampler_problems]
    bayes = k >= MIN_POOL and not sampler_problems
    return Gate(
        k=k, m=m, standing=stand, pool=k >= MIN_POOL, headline="bayes" if stand == "few" and bayes else "frequentist",
        heterogeneity=k >= MIN_FREQUENTIST, coefficients=allowed_coefficients(k), funnel=funnel,
        new="site" if one_study else "study", bayes=bayes, withheld=tuple(withheld),
    )  # fmt: skip


def verdict(low: float, high: float, no_effect: float = 0.0) -> Verdict:
    """What an interval says of "no effect".

    Examples
    --------
    >>> verdict(0.1, 0.5), verdict(-0.1, 0.5), verdict(-0.5, -0.1)
    ('positive', 'unclear', 'negative')
    """
    return "positive" if low > no_effect else "negative" if high < no_effect else "unclear"


def show_p(df: float) -> bool:
    """Whether a cluster-robust p, its stars and the word "significant" may be shown.

    Examples
    --------
    >>> show_p(3.2), show_p(12.0)
    (False, True)
    """
    return df >= MIN_SATTERTHWAITE


Direction = Literal["none", "one way", "both ways", "undecided"]


def direction_state(positive: int, negative: int, none: int) -> Direction:
    """What counted directions look like before any test.

    Examples
    --------
    >>> direction_state(3, 2, 1), direction_state(3, 0, 0), direction_state(0, 0, 2), direction_state(0, 0, 0)
    ('both ways', 'one way', 'undecided', 'none')
    """
    if positive + negative + none == 0:
        return "none"
    if positive and negative:
        return "both ways"
    return "one way" if positive or negative else "undecided"
