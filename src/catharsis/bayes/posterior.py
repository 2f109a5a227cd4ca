"""What a Bayesian fit answers, whichever engine computed it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"


@dataclass(frozen=True, slots=True)
class Marginal:
    """The posterior of one quantity.

    Attributes
    ----------
    mean, sd, median, low, high : float
        Moments and the central interval.
    positive : float
        P(quantity > 0).
    mcse : float
        Monte Carlo standard error of the mean; 0 for the exact engine.
    mcse_sd : float
        Monte Carlo standard error of the standard deviation.
    """

    mean: float
    sd: float
    median: float
    low: float
    high: float
    positive: float
    mcse: float = 0.0
    mcse_sd: float = 0.0

    def centre(self, back: str) -> float:
        """The mean on a plain scale; the median, which survives back-transformation, elsewhere."""
        return self.mean if back == "none" else self.median


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Whether a sampler can be believed; `ok` gates what is said.

    Attributes
    ----------
    rhat : float
        Largest split R-hat over all parameters.
    ess_bulk, ess_tail : float
        Smallest effective sample sizes.
    divergences : int
        Divergent transitions after warm-up.
    ebfmi : float
        Smallest energy fraction of missing information.
    sampler : str
        What drew: "nutpie" or "PyMC".
    """

    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    ebfmi: float
    sampler: str

    @property
    def problems(self) -> tuple[str, ...]:
        """Each threshold that is missed [@vehtari2021]."""
        found = []
        if not self.rhat < 1.01:
            found.append(f"R-hat is {self.rhat:.3f} (must be below 1.01)")
        ess = float(np.min([self.ess_bulk, self.ess_tail]))  # nan when either is, unlike min()
        if not ess >= 400:
            found.append(f"the effective sample size is {ess:.0f} (must be at least 400)")
        if self.divergences:
            found.append(f"{self.divergences} transition{'s' * (self.divergences != 1)} diverged (must be none)")
        if not self.ebfmi >= 0.3:
            found.append(f"E-BFMI is {self.ebfmi:.2f} (must be at least 0.3)")
        return tuple(found)

    @property
    def ok(self) -> bool:
        """No threshold is missed."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """A Bayesian fit.

    Attributes
    ----------
    engine : str
        "exact" or "nuts".
    terms : tuple of str
        Coefficients.
    coefficients : dict
        Term to Marginal.
    tau : Marginal
        Between-study standard deviation.
    new : Marginal
        True effect in a new study at the reference setting.
    studies : dict
        Effect label to its shrunken true effect; empty where it is not offered.
    linear : callable
        A row x (p,) to the Marginal of x'b.
    priors : Priors
        What went in.
    log_evidence : float
        Log marginal likelihood; nan when a prior is flat or the engine does not give it.
    error : float
        Relative quadrature error of the exact engine (mass, mean and second moment of tau); nan for NUTS.
    chance : callable
        Name, "<" or ">", and a value to a probability; `probability` reads it from words.
    notes : tuple of str
        What every reader must be told.
    """

    engine: Literal["exact", "nuts"]
    terms: tuple[str, ...]
    coefficients: Mapping[str, Marginal]
    tau: Marginal
    new: Marginal
    studies: Mapping[str, Marginal]
    linear: Callable[[Sequence[float]], Marginal] = field(repr=False)
    priors: Priors
    level: float
    log_evidence: float
    error: float
    chance: Callable[[str, str, float], float] = field(repr=False)
    diagnostics: Diagnostics | None = None
    inference_data: Any = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def mu(self) -> Marginal:
        """The first coefficient: the average effect (at the reference levels)."""
        return self.coefficients[self.terms[0]]

    def summary(self) -> pd.DataFrame:
        """Mean, sd, median, interval and P(> 0) of coefficients, tau and a new study's effect."""
        import pandas as pd

        rows = {**self.coefficients, "tau": self.tau, "new study": self.new}
        names = ("mean", "sd", "median", "low", "high", "positive", "mcse")
        return pd.DataFrame({name: [getattr(row, name) for row in rows.values()] for name in names}, index=list(rows))

    def probability(self, statement: str, term: str | None = None) -> float:
        """Posterior probability of "> x" or "< x" for a coefficient, "tau" or "new study".

        Examples
        --------
        >>> from catharsis.bayes.fit import fit_bayes
        >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
        >>> 0.9 < post.probability("> 0") < 1
        True
        """
        found = re.fullmatch(rf"\s*([<>])\s*({NUMBER})\s*", statement)
        if found is None:
            raise ModelError(f'"{statement}" is not a statement; write "> 0" or "< 0.2"')
        name = self.terms[0] if term is None else term
        if name not in (*self.terms, "tau", "new study"):
            raise ModelError(f'there is no "{name}": {did_you_mean(name, [*self.terms, "tau", "new study"])}')
        return self.chance(name, found[1], float(found[2]))

    def predictive(self) -> Marginal:
        """The true effect in a new study."""
        return self.new

    def to_inferencedata(self) -> Any:
        """ArviZ InferenceData (sampled posteriors).

        Raises
        ------
        ModelError
            For the exact engine, which draws nothing.
        """
        if self.inference_data is None:
            raise ModelError('the exact engine draws no samples; use engine="nuts" for InferenceData')
        return self.inference_data


def of_draws(draws: FloatArray, level: float) -> Marginal:
    """Marginal of draws (chains, n), with Monte Carlo errors from the effective sample size."""
    import arviz as az

    low, median, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    sd = float(draws.std(ddof=1))
    square = (draws - draws.mean()) ** 2
    ess, ess_square = (float(az.ess(x, method="mean")) if sd > 0 else float(draws.size) for x in (draws, square))
    mcse_sd = float(square.std() / np.sqrt(ess_square)) / (2 * sd) if sd > 0 else 0.0  # delta method
    mean, positive = float(draws.mean()), float((draws > 0).mean())
    return Marginal(mean, sd, float(median), float(low), float(high), positive, sd / np.sqrt(ess), mcse_sd)
