"""What a Bayesian fit answers, whichever engine computed it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.bayes.fitted import Fitted, Nodes
from catharsis.bayes.marginals import Draws, Law
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.bayes.simulation import Simulated

SAME = 1e-12  # relative difference of two covariances that is rounding
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
    law : Law
        The whole distribution, which the methods ask.

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> mu = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]).mu
    >>> round(mu.mode, 3), [round(x, 3) for x in mu.shortest(0.9)]
    (0.392, [-0.021, 0.841])
    """

    mean: float
    sd: float
    median: float
    low: float
    high: float
    positive: float
    mcse: float = 0.0
    mcse_sd: float = 0.0
    law: Law | None = field(default=None, repr=False, compare=False)

    def _law(self) -> Law:
        if self.law is None:
            raise ModelError("this marginal holds its summary only, not its distribution")
        return self.law

    @property
    def mode(self) -> float:
        """Where the density is highest."""
        return self._law().mode()

    def density(self, x: FloatArray | Sequence[float] | float) -> FloatArray:
        """Posterior density at each x, per unit of the quantity."""
        return self._law().density(np.asarray(x, dtype=float))

    def cdf(self, x: float) -> float:
        """P(quantity < x)."""
        return self._law().below(float(x))

    def sf(self, x: float) -> float:
        """P(quantity > x), precise when tiny."""
        return self._law().above(float(x))

    def quantile(self, probability: float) -> float:
        """The value that the quantity stays below with this probability."""
        return self._law().quantile(_inside(probability, "a quantile's probability"))

    def central(self, level: float = 0.95) -> tuple[float, float]:
        """The interval that leaves the same probability on both sides."""
        rest = (1 - _inside(level, "an interval's probability")) / 2
        return self.quantile(rest), self.quantile(1 - rest)

    def mcse_quantile(self, probability: float) -> float:
        """Monte Carlo standard error of a quantile; 0 for the exact engine."""
        probability = _inside(probability, "a quantile's probability")
        return self.law.mcse_quantile(probability) if isinstance(self.law, Draws) else 0.0

    def shortest(self, level: float = 0.95) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return self._law().shortest(_inside(level, "an interval's probability"))

    def centre(self, back: str) -> float:
        """The mean on a plain scale; the median, which survives back-transformation, elsewhere."""
        return self.mean if back == "none" else self.median


def _inside(probability: float, name: str) -> float:
    if not 0 < probability < 1:
        raise ModelError(f"{name} lies between 0 and 1; this one is {probability}")
    return float(probability)


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
    draws, chains : int
        Draws of each chain after warm-up, and chains; 0 when not told.
    """

    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    ebfmi: float
    sampler: str
    draws: int = 0
    chains: int = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """Each threshold that is missed [@vehtari2021]."""
        found = []
        if self.chains == 1:
            found.append("one chain cannot show that it agrees with others: R-hat needs 2 or more (4 are usual)")
        elif not self.rhat < 1.01:
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
    studies : mapping
        Effect label to its shrunken true effect; empty where it is not offered.
    linear : callable
        A row x (p,) to the Marginal of x'b; with `new=True`, of the true effect of a new study there.
    priors : Priors
        What went in.
    log_evidence : float
        Log marginal likelihood; nan when a prior is flat or the engine does not give it.
    error : float
        Relative quadrature error of the exact engine (mass, mean and second moment of tau); nan for NUTS.
    chance : callable
        Name, "<" or ">", and a value to a probability; `probability` reads it from words.
    I2 : float
        Posterior median of I^2, percent: tau^2 against the typical sampling variance, at the median of tau
        [@higgins2002]; nan where it is not offered.
    log_marginal : float
        Log marginal likelihood; where a prior is improper only up to its arbitrary constant, which cancels between
        models that share it.
    restricted : callable
        A name and a value to the log marginal likelihood of the model in which that coefficient (or tau) is known.
    maximise : callable
        Where likelihood and posterior are highest; `maxima` asks it.
    observed : arrays
        What the model was fitted to, so that Bayes factors compare like with like.
    taus : mapping
        Factor to the standard deviation of its levels, for models with several; `tau` is then the root of the summed
        variances, by which a new effect in a new study varies.
    simulate : callable
        A number and a generator to independent draws (exact engine); `draw` asks it.
    nodes : Nodes
        The joint posterior of coefficients and variances; None where the engine has no such form.
    outliers : mapping
        Study to the posterior probability that it is an outlier, under distribution="outliers".
    model : Fitted
        What was fitted, and how to fit it again; None for a posterior that was not made by `fit_bayes`.
    notes : tuple of str
        What every reader must be told.
    """

    engine: Literal["exact", "nuts"]
    terms: tuple[str, ...]
    coefficients: Mapping[str, Marginal]
    tau: Marginal
    new: Marginal
    studies: Mapping[str, Marginal]
    linear: Callable[..., Marginal] = field(repr=False)
    priors: Priors
    level: float
    log_evidence: float
    error: float
    chance: Callable[[str, str, float], float] = field(repr=False)
    diagnostics: Diagnostics | None = None
    inference_data: Any = field(default=None, repr=False)
    I2: float = math.nan
    log_marginal: float = math.nan
    restricted: Callable[[str, float], float] | None = field(default=None, repr=False)
    maximise: Callable[[], Mapping[str, Sequence[float]]] | None = field(default=None, repr=False)
    observed: tuple[FloatArray, ...] = field(default=(), repr=False)
    taus: Mapping[str, Marginal] = field(default_factory=dict)
    simulate: Callable[[int, np.random.Generator], Simulated] | None = field(default=None, repr=False)
    nodes: Nodes | None = field(default=None, repr=False)
    outliers: Mapping[str, float] = field(default_factory=dict)
    model: Fitted | None = field(default=None, repr=False)
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
        """Posterior probability of a statement about one quantity.

        Parameters
        ----------
        statement : str
            "> 0", "< 0.2", or "in (-0.1, 0.1)": inside a region of practical equivalence.
        term : str, optional
            A coefficient (the first by default), "tau", "new study", or "tau[study]" for one standard deviation of
            several.

        Returns
        -------
        float

        Raises
        ------
        ModelError
            For a statement or a quantity that is not understood.

        Examples
        --------
        >>> from catharsis.bayes.fit import fit_bayes
        >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
        >>> 0.9 < post.probability("> 0") < 1, round(post.probability("in (-0.1, 0.1)"), 3)
        (True, 0.069)
        """
        name = self.terms[0] if term is None else term
        if name not in self._quantities:
            raise ModelError(f'there is no "{name}": {did_you_mean(name, self._quantities)}')
        one = re.fullmatch(rf"\s*([<>])\s*({NUMBER})\s*", statement)
        if one is not None:
            return self.chance(name, one[1], float(one[2]))
        inside = re.fullmatch(rf"\s*in\s*[(\[]\s*({NUMBER})\s*,\s*({NUMBER})\s*[)\]]\s*", statement)
        if inside is None:
            raise ModelError(f'"{statement}" is not a statement; write "> 0", "< 0.2" or "in (-0.1, 0.1)"')
        low, high = float(inside[1]), float(inside[2])
        if not low < high:
            raise ModelError(f'"{statement}": the first number is the smaller one')
        below = self.chance(name, "<", high) - self.chance(name, "<", low)
        above = self.chance(name, ">", low) - self.chance(name, ">", high)
        return max(min(below, above), 0.0)  # the one that subtracts smaller numbers keeps more digits, and both agree

    @property
    def _quantities(self) -> list[str]:
        """What can be asked about."""
        return [*self.terms, "tau", "new study", *(f"tau[{factor}]" for factor in self.taus)]

    def predictive(self, x: Sequence[float] | None = None, component: str | None = None) -> Marginal:
        """The true effect in a new study: at the reference setting, or with moderators x (p,), intercept included.

        `component` names the one standard deviation by which it varies, where groups of studies have their own.
        """
        if component is not None:
            row = np.eye(len(self.terms))[0] if x is None else x
            return self.linear(row, new=True, component=component)
        return self.new if x is None else self.linear(x, new=True)

    def maxima(self) -> pd.DataFrame:
        """Where likelihood and posterior are highest.

        Returns
        -------
        DataFrame
            Rows "ML joint" (tau and b together), "ML marginal" (each with the others integrated out over their
            priors, its own left out), "MAP joint" and "MAP marginal" (the same with its own prior); columns tau and
            the coefficients. nan where there is no maximum.

        Raises
        ------
        ModelError
            For a sampled posterior.

        Examples
        --------
        >>> from catharsis.bayes.fit import fit_bayes
        >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
        >>> post.maxima().round(3).loc["MAP joint"].tolist()
        [0.236, 0.41]
        """
        import pandas as pd

        if self.maximise is None:
            if self.engine == "exact":
                raise ModelError(
                    "maxima are offered for one standard deviation and normal or flat priors on coefficients"
                )
            raise ModelError('draws have no highest point; use engine="exact"')
        return pd.DataFrame.from_dict(self.maximise(), orient="index", columns=["tau", *self.terms])

    def bayes_factor(self, statement: str | None = None, *, against: Posterior | None = None) -> float:
        """Marginal likelihoods compared.

        Parameters
        ----------
        statement : str, optional
            "mu = 0", "tau = 0", "<term> = 0.3": how much better the data are predicted when this is known to hold than
            by the model as fitted. Below 1 speaks against the statement. "mu" is the first coefficient.
        against : Posterior, optional
            Another exact fit to the same effects: how much better this model predicts them than that one.

        Returns
        -------
        float

        Raises
        ------
        ModelError
            When a tested parameter has an improper prior (the factor would be arbitrary), when the models rest on
            different effects or improper priors, or for a sampled posterior.

        References
        ----------
        [@gronau2017; @roever2020]

        Examples
        --------
        >>> from catharsis.bayes.fit import fit_bayes
        >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
        >>> round(post.bayes_factor("mu = 0"), 3)
        0.82
        """
        if (statement is None) == (against is None):
            raise ModelError('a Bayes factor compares a statement ("mu = 0") or another posterior (against=): give one')
        if self.restricted is None:
            raise ModelError('a sampled posterior has no marginal likelihood; use engine="exact"')
        if against is not None:
            return float(np.exp(self.log_marginal - self._comparable(against).log_marginal))
        name, value = self._equation(str(statement))
        tau = self._tau_prior(name)
        prior = self.priors.of(name) if tau is None else tau
        if not prior.proper:
            instead = "normal(0, 1)" if tau is None else "half-normal(0.5)"
            raise ModelError(
                f"the prior on {name} is {prior}, which is improper: a Bayes factor for it would be arbitrary; "
                f"give it a proper prior such as {instead}"
            )
        return float(np.exp(self.restricted(name, value) - self.log_marginal))

    def _tau_prior(self, name: str) -> Prior | None:
        """The prior of a standard deviation; of "tau" the first improper one that it is made of; None for others."""
        if name.startswith("tau[") and name[4:-1] in self.taus:
            return self.priors.tau_of(name[4:-1])
        if name != "tau":
            return None
        own = [self.priors.tau_of(factor) for factor in self.taus] or [self.priors.tau]
        return next((prior for prior in own if not prior.proper), own[0])

    def _equation(self, statement: str) -> tuple[str, float]:
        found = re.fullmatch(rf"\s*(.+?)\s*=\s*({NUMBER})\s*", statement)
        if found is None:
            raise ModelError(f'"{statement}" is not an equation; write "mu = 0" or "tau = 0"')
        name, value = found[1], float(found[2])
        if name == "mu" and "mu" not in self.terms:
            name = self.terms[0]
        known = [known for known in self._quantities if known != "new study"]
        if name not in known:
            raise ModelError(f'there is no "{name}": {did_you_mean(name, [*known, "mu"])}')
        own = self._tau_prior(name)
        if name == "tau" and len(self.taus) > 1 and value != 0:
            several = ", ".join(f'"tau[{factor}] = {value:g}"' for factor in self.taus)
            raise ModelError(
                f'"{statement}" leaves open how the variances share it: test one of {several}, or "tau = 0"'
            )
        if own is not None and (value < 0 or own.family == "fixed"):
            why = "a standard deviation is not negative" if value < 0 else f"{name} is {own} already"
            raise ModelError(f'"{statement}" cannot be tested: {why}')
        return name, value

    def _improper(self) -> dict[str, str]:
        """Parameters with an improper prior, and which."""
        own = {term: self.priors.of(term) for term in self.terms}
        own |= {f"tau[{name}]": self.priors.tau_of(name) for name in self.taus} or {"tau": self.priors.tau}
        return {name: prior.family for name, prior in own.items() if not prior.proper}

    def _comparable(self, other: Posterior) -> Posterior:
        if other.restricted is None:
            raise ModelError('a sampled posterior has no marginal likelihood; use engine="exact"')
        pairs = list(zip(self.observed, other.observed, strict=False))
        same = len(self.observed) == len(other.observed) and all(
            np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=SAME, atol=0.0) for a, b in pairs
        )
        if not same:
            raise ModelError("a Bayes factor compares models of the same effects; these rest on different ones")
        ours, theirs = self._improper(), other._improper()
        if ours != theirs:
            odd = ", ".join(sorted(name for name, _ in set(ours.items()) ^ set(theirs.items())))
            raise ModelError(
                f"the models do not share an improper prior on {odd}: a Bayes factor between them would be arbitrary; "
                "give proper priors to what they differ in"
            )
        return other

    def draw(self, n: int = 4000, seed: int = 1) -> Simulated:
        """Independent draws from an exact posterior, coefficients, spreads and true effects together.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Where the generator starts.

        Returns
        -------
        Simulated
            Arrays `b` (n, p), `taus` (n, s), `tau` (n,) and `theta` (n, k).

        Raises
        ------
        ModelError
            For a sampled posterior, whose draws are in `inference_data`, or a number that is not positive.

        Examples
        --------
        >>> from catharsis.bayes.fit import fit_bayes
        >>> post = fit_bayes(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
        >>> found = post.draw(5000)
        >>> found.theta.shape, bool(abs(found.b[:, 0].mean() - post.mu.mean) < 4 * post.mu.sd / 5000**0.5)
        ((5000, 3), True)
        """
        if self.simulate is None:
            cure = "the draws of a sampled posterior are in its inference_data"
            raise ModelError(cure if self.inference_data is not None else "this posterior offers no draws")
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ModelError(f"draw takes a positive number of draws, not {shown(n)}")
        return self.simulate(int(n), np.random.default_rng(seed))

    def to_inferencedata(self, n: int = 4000, seed: int = 1) -> Any:
        """ArviZ InferenceData: what the sampler drew, or n independent draws from an exact posterior.

        Raises
        ------
        ModelError
            When there are no draws to give.
        """
        if self.inference_data is not None:
            return self.inference_data
        from catharsis.bayes.simulation import inference_data

        return inference_data(self.draw(n, seed), self.priors, self.level, seed)


def of_draws(draws: FloatArray, level: float) -> Marginal:
    """Marginal of draws (chains, n), with Monte Carlo errors from the effective sample size."""
    import arviz as az

    low, median, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    sd = float(draws.std(ddof=1))
    square = (draws - draws.mean()) ** 2
    ess, ess_square = (float(az.ess(x, method="mean")) if sd > 0 else float(draws.size) for x in (draws, square))
    mcse_sd = float(square.std() / np.sqrt(ess_square)) / (2 * sd) if sd > 0 else 0.0  # delta method
    mean, positive = float(draws.mean()), float((draws > 0).mean())
    return Marginal(
        mean, sd, float(median), float(low), float(high), positive, sd / np.sqrt(ess), mcse_sd, Draws(draws)
    )
