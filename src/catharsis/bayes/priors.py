"""Priors with names: what the report prints is what both engines compute with.

A prior is a family (`prior_families`) with its parameters. Some priors on tau are made from the standard errors of the
studies (DuMouchel, uniform shrinkage, Jeffreys, ...); `completed` hands them over, and from then on such a prior is
like any other. An empirical prior (`turner`, `rhodes`) is a log-normal or a log-t one that remembers where it came
from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from catharsis.bayes.empirical_priors import EMPIRICAL, empirical
from catharsis.bayes.prior_families import AWAY_FROM_ZERO, FAMILIES, LOCATION, SCALE
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

SHIFTED = {"normal": 0, "t": 1, "cauchy": 0}  # where the mean stands among a location family's parameters


@dataclass(frozen=True, slots=True)
class Prior:
    """One prior distribution.

    Attributes
    ----------
    family : str
        A location family (for coefficients): "normal", "t", "cauchy", "flat".
        A scale family (for tau): "half-normal", "half-cauchy", "half-t", "half-logistic", "rayleigh", "exponential",
        "lomax", "log-normal", "log-t", "inverse-chi", "inverse-gamma", "uniform", "sqrt", "fixed"; made from the
        studies' standard errors: "dumouchel", "shrinkage", "i2", "conventional", "jeffreys", "overall-jeffreys",
        "berger-deely".
    parameters : tuple of float
        As in its text: normal(mean, sd), t(df, mean, scale), cauchy(mean, scale), half-normal(scale),
        half-cauchy(scale), half-t(df, scale), half-logistic(scale), rayleigh(scale), exponential(mean),
        lomax(shape, scale), log-normal(mean, sd) and log-t(df, mean, scale) of the logarithm of tau (not of tau^2),
        inverse-chi(df, scale), inverse-gamma(shape, scale), uniform(low, high), fixed(value). "uniform" without
        numbers and "sqrt" (flat in the root of tau) are improper; so are "jeffreys", "overall-jeffreys" and
        "berger-deely".
    sei : tuple of float
        The studies' standard errors, once `completed`.
    source : str
        For an empirical prior the text that named it, such as "turner(pain, pharmacological vs placebo)"; it is what
        the prior prints as.

    References
    ----------
    [@roever2020; @roever2021; @gelman2006]

    Examples
    --------
    >>> prior = Prior("half-normal", (0.5,))
    >>> round(prior.quantile(0.95), 3), round(float(prior.above(1.0)), 4)
    (0.98, 0.0455)
    """

    family: str
    parameters: tuple[float, ...] = ()
    sei: tuple[float, ...] = field(default=(), repr=False)
    source: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what is not a distribution."""
        if self.family not in FAMILIES:
            raise ModelError(f'"{self.family}" is not a prior: {did_you_mean(self.family, list(FAMILIES))}')
        family = FAMILIES[self.family]
        count = len(family.parameters)
        improper = self.family == "uniform" and not self.parameters
        if len(self.parameters) != count and not improper:
            raise ModelError(f'"{self}": {self.family} takes {count or "no"} number{"s" * (count != 1)}')
        if not all(math.isfinite(value) for value in self.parameters):
            raise ModelError(f'"{self}": the parameters of a prior are finite')
        if self.parameters and not family.sound(*self.parameters):
            raise ModelError(f'"{self}": {family.why}')
        object.__setattr__(self, "parameters", tuple(float(value) for value in self.parameters))

    def __str__(self) -> str:
        return self.source or self.plain

    @property
    def plain(self) -> str:
        """Family and numbers, also of an empirical prior."""
        text = ", ".join(f"{value:.12g}" for value in self.parameters)
        return f"{self.family}({text})" if text else self.family

    def completed(self, sei: FloatArray) -> Prior:
        """The prior with the standard errors that it is made from; itself when it needs none."""
        return replace(self, sei=tuple(sei.tolist())) if FAMILIES[self.family].of_data else self

    def _arguments(self) -> tuple[object, ...]:
        if not FAMILIES[self.family].of_data:
            return self.parameters
        if not self.sei:
            raise ModelError(f"the prior {self} is made from the standard errors of the studies: fit it to data")
        return (np.array(self.sei),)

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x, -inf outside the support; 0 for a flat and a fixed one, which have none.

        An improper prior has a density up to a constant.

        Raises
        ------
        ModelError
            For a prior that waits for the studies' standard errors.
        """
        x = np.asarray(x, dtype=float)
        family, arguments = FAMILIES[self.family], self._arguments()
        positive = self.family in SCALE
        with np.errstate(divide="ignore", over="ignore"):  # log 0 at the edge of a support is -inf, as it should be
            inside = np.asarray(family.log_density(np.where(x < 0, 0.0, x) if positive else x, *arguments), dtype=float)
        return np.where(x < 0, -np.inf, inside) if positive else inside

    def below(self, x: FloatArray | float) -> FloatArray:
        """P(parameter < x).

        Raises
        ------
        ModelError
            For an improper prior, or one that waits for the studies' standard errors.
        """
        return self._mass(x, above=False)

    def above(self, x: FloatArray | float) -> FloatArray:
        """P(parameter > x), a tail of its own."""
        return self._mass(x, above=True)

    def _mass(self, x: FloatArray | float, above: bool) -> FloatArray:
        family = FAMILIES[self.family]
        tail = family.above if above else family.below
        if tail is None or not self.proper:
            raise ModelError(self._endless("probabilities"))
        x = np.asarray(x, dtype=float)
        with np.errstate(divide="ignore", over="ignore"):  # log 0 and 1/0 lead to the right end of the tail
            if self.family in LOCATION:
                return np.asarray(tail(x, *self._arguments()), dtype=float)
            return np.where(x < 0, float(above), tail(np.maximum(x, 0.0), *self._arguments()))

    def _endless(self, what: str) -> str:
        instead = "normal(0, 10)" if self.family in LOCATION else "half-cauchy(1)"
        return f"the prior {self} is improper, so it has no {what}; a wide proper one such as {instead} has"

    def quantiles(self, probability: FloatArray) -> FloatArray:
        """The values that the parameter stays below with these probabilities, 0 to 1."""
        family, p = FAMILIES[self.family], np.asarray(probability, dtype=float)
        if family.quantile is None or not self.proper:
            raise ModelError(self._endless("quantiles"))
        if not ((p >= 0) & (p <= 1)).all():
            raise ModelError("a quantile's probability lies between 0 and 1")
        with np.errstate(divide="ignore", over="ignore"):  # 0 and 1 are the ends of the support
            return np.asarray(family.quantile(p, *self._arguments()), dtype=float)

    def quantile(self, probability: float) -> float:
        """The value that the parameter stays below with this probability."""
        return float(self.quantiles(np.asarray(probability)))

    def draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        """(n,) draws, by the quantiles of uniform numbers strictly between 0 and 1."""
        fine = 2.0**-53
        return self.quantiles(np.clip(rng.random(n), fine, 1 - fine))

    @property
    def reach(self) -> float:
        """A typical size, for the words of the report: the prior's own 95% point; inf for an improper prior.

        For a location family it is the distance from 0 to the far end of the central 95% interval.
        """
        if not self.proper or (FAMILIES[self.family].of_data and not self.sei):
            return math.inf
        if self.family in LOCATION:
            return abs(self.centre) + self.quantile(0.975) - self.centre
        return self.quantile(0.95)

    @property
    def proper(self) -> bool:
        """Whether it integrates to 1."""
        return FAMILIES[self.family].proper and not (self.family == "uniform" and not self.parameters)

    @property
    def tail(self) -> float:
        """The power a by which its density falls, tau^-a; inf when it falls faster."""
        return 0.0 if self.family == "uniform" and not self.parameters else FAMILIES[self.family].tail(*self.parameters)

    @property
    def bounded(self) -> bool:
        """Whether nothing that matters lies beyond 64 times its scale."""
        return FAMILIES[self.family].bounded and self.proper

    @property
    def origin(self) -> float:
        """The power c by which its density starts, tau^c; -1 stands for 1 / (tau |log tau|^(1 + df))."""
        return FAMILIES[self.family].origin

    @property
    def centre(self) -> float:
        """The mean (median) of a location family; 0 for a flat one."""
        return self.parameters[SHIFTED[self.family]] if self.family in SHIFTED else 0.0

    @property
    def scale(self) -> float:
        """The size at which a family's density bends; nan when only the data know one."""
        if FAMILIES[self.family].of_data or not self.parameters:
            return math.nan
        if self.family == "log-normal":
            return math.exp(self.parameters[0])
        return math.exp(self.parameters[1]) if self.family == "log-t" else self.parameters[-1]

    @property
    def df(self) -> float:
        """Degrees of freedom of a location family: of a t as written, 1 of a Cauchy, inf of a normal or flat one."""
        return {"t": self.parameters[0] if self.parameters else math.inf, "cauchy": 1.0}.get(self.family, math.inf)

    @property
    def measures(self) -> tuple[str, ...]:
        """Effect measures that an empirical prior was estimated for; () fits any."""
        return EMPIRICAL[self.source.partition("(")[0]].measures if self.source else ()

    def at_zero(self) -> Prior:
        """The same location family and spread, centred at 0."""
        if self.family not in SHIFTED:
            return self
        i = SHIFTED[self.family]
        return replace(self, parameters=(*self.parameters[:i], 0.0, *self.parameters[i + 1 :]))


def parse_prior(text: str, allowed: Sequence[str] = (*LOCATION, *SCALE)) -> Prior:
    """Read a prior as it is written in analysis.yaml.

    Raises
    ------
    ModelError
        When the family or its parameters are not understood.

    Examples
    --------
    >>> parse_prior("half-normal(0.5)")
    Prior(family='half-normal', parameters=(0.5,))
    >>> parse_prior("turner(pain, pharmacological vs placebo)").plain
    'log-normal(-0.915, 0.76)'
    """
    found = re.fullmatch(r"\s*([a-z][a-z0-9-]*)\s*(?:\(([^()]*)\))?\s*", str(text))
    family = found[1] if found else str(text)
    known = [*allowed, *(EMPIRICAL if "log-normal" in allowed else ())]
    if found is None or family not in known:
        raise ModelError(f'"{text}" is not a prior that fits here: {did_you_mean(family, known)}')
    if family in EMPIRICAL:
        law, parameters, source = empirical(family, found[2] or "")
        return Prior(law, parameters, source=source)
    try:
        values = tuple(float(part) for part in (found[2] or "").split(",") if part.strip())
    except ValueError:
        raise ModelError(f'"{text}": the parameters of a prior are numbers') from None
    return Prior(family, values)


PLACES = ("mu", "b", "tau", "terms", "taus")


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors of one model.

    Attributes
    ----------
    mu : Prior
        On the intercept, the average effect at the reference setting: normal, t, cauchy or flat.
    b : Prior
        On every other coefficient. A model without an intercept (0 + ...) has no mu: all its terms take b.
    tau : Prior
        On every standard deviation between studies (or effects).
    terms : mapping of str to Prior
        Coefficients with a prior of their own, by their name in the model; not the intercept, whose prior is mu.
    taus : mapping of str to Prior
        Variance components with a prior of their own, by the name of their factor.

    Examples
    --------
    >>> priors = Priors.parse({"mu": "normal(0, 2)", "tau": "half-t(4, 0.5)", "terms": {"dose": "cauchy(0, 0.1)"}})
    >>> priors.tau.proper, priors.tau.tail, str(priors.of("dose")), str(priors.of("year"))
    (True, 5.0, 'cauchy(0, 0.1)', 'normal(0, 2)')
    """

    mu: Prior = field(default_factory=lambda: Prior("normal", (0.0, 1.0)))
    b: Prior = field(default_factory=lambda: Prior("normal", (0.0, 1.0)))
    tau: Prior = field(default_factory=lambda: Prior("half-normal", (0.5,)))
    terms: Mapping[str, Prior] = field(default_factory=dict, hash=False)
    taus: Mapping[str, Prior] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse a prior in the wrong place, such as a normal one on tau."""
        for name, allowed in (("terms", LOCATION), ("taus", SCALE)):
            own = getattr(self, name)
            if not isinstance(own, Mapping):
                raise ModelError(f"{name} is a mapping of names to priors, {NESTED[name]}")
            for key, prior in own.items():
                _fits(f"{name}[{key}]", prior, allowed)
            object.__setattr__(self, name, dict(own))
        for name, allowed in (("mu", LOCATION), ("b", LOCATION), ("tau", SCALE)):
            _fits(name, getattr(self, name), allowed)
        if "intercept" in self.terms:
            raise ModelError("the prior on the intercept is mu: give it there, not under terms")

    @classmethod
    def parse(cls, texts: Mapping[str, str | Mapping[str, str]]) -> Priors:
        """From texts as in analysis.yaml; b defaults to mu's family and spread at 0.

        Parameters
        ----------
        texts : mapping
            "mu", "b" and "tau" to a text such as "normal(0, 1)"; "terms" and "taus" to a mapping of names to texts,
            {"dose": "normal(0, 0.2)"} and {"study": "half-normal(0.3)"}.

        Raises
        ------
        ModelError
            For a text that is not a prior, or another key.
        """
        for name in texts:
            if name not in PLACES:
                inner = re.fullmatch(r"(b|terms?|taus?)\s*\[(.*)\]", str(name))
                place = "taus" if inner and inner[1].startswith("tau") else "terms"
                cure = f"write {NESTED[place]}" if inner else did_you_mean(name, list(PLACES))
                raise ModelError(f'there is no prior on "{name}": {cure}')

        def one(name: str, default: str, allowed: Sequence[str]) -> Prior:
            text = texts.get(name, default)
            if not isinstance(text, str):
                raise ModelError(f'the prior on {name} is one text such as "{default}", not a block')
            return parse_prior(text, allowed)

        def several(name: str, allowed: Sequence[str]) -> dict[str, Prior]:
            block = texts.get(name, {})
            if not isinstance(block, Mapping):
                raise ModelError(f"{name} is a mapping of names to priors, {NESTED[name]}")
            return {str(key): parse_prior(text, allowed) for key, text in block.items()}

        mu = one("mu", "normal(0, 1)", LOCATION)
        b = one("b", "flat", LOCATION) if "b" in texts else mu.at_zero()
        tau = one("tau", "half-normal(0.5)", SCALE)
        return cls(mu, b, tau, several("terms", LOCATION), several("taus", SCALE))

    def __str__(self) -> str:
        named = {"mu": self.mu, "b": self.b, "tau": self.tau}
        named |= {f"terms[{key}]": prior for key, prior in self.terms.items()}
        named |= {f"taus[{key}]": prior for key, prior in self.taus.items()}
        return ", ".join(f"{name} {prior}" for name, prior in named.items())

    def completed(self, sei: FloatArray) -> Priors:
        """With the studies' standard errors where a prior on a standard deviation is made from them."""
        taus = {name: prior.completed(sei) for name, prior in self.taus.items()}
        return replace(self, tau=self.tau.completed(sei), taus=taus)

    def of(self, term: str) -> Prior:
        """The prior of a coefficient."""
        return self.mu if term == "intercept" else self.terms.get(term, self.b)

    def tau_of(self, factor: str) -> Prior:
        """The prior of a variance component's standard deviation."""
        return self.taus.get(factor, self.tau)

    def location(self, terms: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Prior centres and precisions of the coefficients, (p,) each; precision 0 is flat.

        A t or Cauchy prior counts with the precision of its scale, scale^-2: what it has given its mixing variable
        is 1 (`heavy`).
        """
        chosen = [self.of(term) for term in terms]
        mean = np.array([prior.centre for prior in chosen])
        return mean, np.array([prior.scale**-2 if prior.parameters else 0.0 for prior in chosen])

    def heavy(self, terms: Sequence[str]) -> tuple[tuple[int, float], ...]:
        """Which coefficients have a t prior: (index, df) each, df 1 for a Cauchy.

        Such a prior is normal(centre, scale sqrt(m)) with m inverse-gamma(df/2, df/2).
        """
        found = [(i, self.of(term).df) for i, term in enumerate(terms)]
        return tuple((i, df) for i, df in found if math.isfinite(df))

    def check(
        self,
        terms: Sequence[str] | None = None,
        factors: Sequence[str] | None = None,
        measure: str | None = None,
    ) -> None:
        """Refuse priors that do not belong to this model.

        Parameters
        ----------
        terms, factors : sequences of str, optional
            The model's coefficients and variance components: a prior for another one is a slip of the pen.
        measure : str, optional
            The effect measure: an empirical prior belongs to the scale that it was estimated on.

        Raises
        ------
        ModelError
            When one does not fit.

        Examples
        --------
        >>> Priors(taus={"study": Prior("half-normal", (0.3,))}).check(factors=["studio"])
        Traceback (most recent call last):
        ...
        catharsis.errors.ModelError: taus has a prior for "study", which this model lacks: did you mean "studio"?
        """
        for name, own, known in (("terms", self.terms, terms), ("taus", self.taus, factors)):
            strange = [key for key in own if known is not None and key not in known]
            if strange:
                cure = did_you_mean(strange[0], list(known or ()))
                raise ModelError(f'{name} has a prior for "{strange[0]}", which this model lacks: {cure}')
        for prior in (self.tau, *self.taus.values()):
            if measure is not None and prior.measures and measure not in prior.measures:
                raise ModelError(
                    f"{prior} was estimated from {EMPIRICAL[prior.source.partition('(')[0]].scale}, and these effects "
                    f"are {measure}: its tau means something else; use {', '.join(prior.measures)}, or a prior such as "
                    "half-normal(0.5)"
                )

    @property
    def notes(self) -> tuple[str, ...]:
        """What every reader must be told about the priors."""
        named = [("tau", self.tau), *((f"tau of {factor}", prior) for factor, prior in self.taus.items())]
        return tuple(
            f"{prior} on {name} has no mass near 0 and decides the answer when studies are few: compare it with a "
            "half-normal or half-Cauchy prior"
            for name, prior in named
            if prior.family in AWAY_FROM_ZERO
        )


NESTED = {
    "terms": 'for example terms: {dose: "normal(0, 0.2)"}',
    "taus": 'for example taus: {study: "half-normal(0.3)"}',
}


def _fits(name: str, prior: object, allowed: Sequence[str]) -> None:
    if not isinstance(prior, Prior):
        raise ModelError(f"{name} takes a Prior; read a text with Priors.parse or parse_prior")
    if prior.family not in allowed:
        raise ModelError(f"{prior} is not a prior for {name}: use one of {', '.join(allowed)}")
