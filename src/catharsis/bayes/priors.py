"""Priors with names: what the report prints is what both engines compute with.

A family is one row of a table: its parameters, its density, when they are sound, how its tails behave. Some priors on
tau are made from the standard errors of the studies (DuMouchel, uniform shrinkage, Jeffreys, ...); `completed` hands
them over, and from then on such a prior is like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import special

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

LOG_2PI = math.log(2 * math.pi)
STEP = 0.2  # of the trapezoid rule in log tau: its error is exp(-pi^2 / STEP), because the poles lie pi/2 off the axis
FADED = 40.0  # e-folds beyond the smallest and largest standard error: e^-40 is 4e-18
CHUNK = 4_000_000  # numbers that one batch of a density made from k standard errors may hold


def _positive(*values: float) -> bool:
    return all(value > 0 for value in values)


def _last_positive(*values: float) -> bool:
    return values[-1] > 0


SPREAD = "the spread of a prior is positive"
SHAPES = "shape, degrees of freedom and scale of a prior are positive"


@dataclass(frozen=True, slots=True)
class Family:
    """A family of priors.

    Attributes
    ----------
    parameters : tuple of str
        Their names, in the order of the text; () for none.
    log_density : callable
        Of x and the parameters; of x and the standard errors when `of_data`.
    reach : callable
        The 95% point.
    sound : callable
        Whether parameters make a distribution, and `why` not.
    tail : callable
        a when the density falls as tau^-a; inf when it falls faster than any power.
    bounded : bool
        Whether nothing that matters lies beyond 64 times the scale: light tails, and a bounded support.
    origin : float
        c when the density near 0 is like tau^c.
    proper, of_data : bool
        Whether it integrates to 1, and whether it is made from the studies' standard errors.
    """

    parameters: tuple[str, ...]
    log_density: Callable[..., Any]
    reach: Callable[..., float]
    sound: Callable[..., bool] = _positive
    why: str = SPREAD
    tail: Callable[..., float] = lambda *_: math.inf
    bounded: bool = False
    origin: float = 0.0
    proper: bool = True
    of_data: bool = False


@dataclass(frozen=True, slots=True)
class Prior:
    """One prior distribution.

    Attributes
    ----------
    family : str
        A location family (for coefficients): "normal", "flat".
        A scale family (for tau): "half-normal", "half-cauchy", "half-t", "half-logistic", "rayleigh", "exponential",
        "lomax", "log-normal", "inverse-chi", "inverse-gamma", "uniform", "sqrt", "fixed"; made from the studies'
        standard errors: "dumouchel", "shrinkage", "i2", "conventional", "jeffreys", "overall-jeffreys",
        "berger-deely".
    parameters : tuple of float
        As in its text: normal(mean, sd), half-normal(scale), half-cauchy(scale), half-t(df, scale),
        half-logistic(scale), rayleigh(scale), exponential(mean), lomax(shape, scale), log-normal(mean, sd) of the
        logarithm of tau, inverse-chi(df, scale), inverse-gamma(shape, scale), uniform(low, high), fixed(value).
        "uniform" without numbers and "sqrt" (flat in the root of tau) are improper; so are "jeffreys",
        "overall-jeffreys" and "berger-deely".
    sei : tuple of float
        The studies' standard errors, once `completed`.

    References
    ----------
    [@roever2020; @roever2021; @gelman2006]
    """

    family: str
    parameters: tuple[float, ...] = ()
    sei: tuple[float, ...] = field(default=(), repr=False)

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
        text = ", ".join(f"{value:.12g}" for value in self.parameters)
        return f"{self.family}({text})" if text else self.family

    def completed(self, sei: FloatArray) -> Prior:
        """The prior with the standard errors that it is made from; itself when it needs none."""
        return replace(self, sei=tuple(sei.tolist())) if FAMILIES[self.family].of_data else self

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x, -inf outside the support; 0 for a flat and a fixed one, which have none.

        An improper prior has a density up to a constant.

        Raises
        ------
        ModelError
            For a prior that waits for the studies' standard errors.
        """
        x = np.asarray(x, dtype=float)
        family = FAMILIES[self.family]
        arguments = self.parameters
        if family.of_data:
            if not self.sei:
                raise ModelError(f"the prior {self} is made from the standard errors of the studies: fit it to data")
            arguments = (np.array(self.sei),)  # type: ignore[assignment]
        positive = self.family in SCALE
        with np.errstate(divide="ignore", over="ignore"):  # log 0 at the edge of a support is -inf, as it should be
            inside = np.asarray(family.log_density(np.where(x < 0, 0.0, x) if positive else x, *arguments), dtype=float)
        return np.where(x < 0, -np.inf, inside) if positive else inside

    @property
    def reach(self) -> float:
        """A typical size, for the words of the report: the prior's own 95% point; inf for an improper prior."""
        family = FAMILIES[self.family]
        if family.of_data:
            return float(family.reach(np.array(self.sei))) if self.sei and family.proper else math.inf
        return float(family.reach(*self.parameters)) if self.proper else math.inf

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
        """The power c by which its density starts, tau^c."""
        return FAMILIES[self.family].origin

    @property
    def scale(self) -> float:
        """The size at which a scale family's density bends; nan when only the data know one."""
        if FAMILIES[self.family].of_data or not self.parameters:
            return math.nan
        return math.exp(self.parameters[0]) if self.family == "log-normal" else self.parameters[-1]


# -- densities: x, then the parameters --------------------------------------------------------------


def _normal(x: FloatArray, mean: float, sd: float) -> FloatArray:
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(sd) - 0.5 * LOG_2PI


def _half_normal(x: FloatArray, scale: float) -> FloatArray:
    return math.log(2 / scale) - 0.5 * (x / scale) ** 2 - 0.5 * LOG_2PI


def _half_t(x: FloatArray, df: float, scale: float) -> FloatArray:
    constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * math.log(df * math.pi)
    return math.log(2 / scale) + float(constant) - (df + 1) / 2 * np.log1p((x / scale) ** 2 / df)


def _half_logistic(x: FloatArray, scale: float) -> FloatArray:
    return np.asarray(math.log(2 / scale) - x / scale - 2 * np.log1p(np.exp(-x / scale)))


def _rayleigh(x: FloatArray, scale: float) -> FloatArray:
    return np.asarray(np.log(x / scale) - math.log(scale) - 0.5 * (x / scale) ** 2)


def _lomax(x: FloatArray, shape: float, scale: float) -> FloatArray:
    return np.asarray(math.log(shape / scale) - (shape + 1) * np.log1p(x / scale))


def _log_normal(x: FloatArray, mean: float, sd: float) -> FloatArray:
    at = np.where(x > 0, x, 1.0)
    return np.where(x > 0, _normal(np.log(at), mean, sd) - np.log(at), -np.inf)


def _inverse_chi(x: FloatArray, df: float, scale: float) -> FloatArray:
    """Of scale over a chi variable with df degrees of freedom."""
    at = np.where(x > 0, x, 1.0) / scale
    constant = (1 - df / 2) * math.log(2) - math.log(scale) - float(special.gammaln(df / 2))
    return np.where(x > 0, constant - (df + 1) * np.log(at) - 0.5 / at**2, -np.inf)


def _inverse_gamma(x: FloatArray, shape: float, scale: float) -> FloatArray:
    at = np.where(x > 0, x, 1.0) / scale
    constant = -math.log(scale) - float(special.gammaln(shape))
    return np.where(x > 0, constant - (shape + 1) * np.log(at) - 1 / at, -np.inf)


def _uniform(x: FloatArray, low: float = 0.0, high: float = math.inf) -> FloatArray:
    height = 0.0 if math.isinf(high) else -math.log(high - low)
    return np.where((x >= low) & (x <= high), height, -np.inf)


# -- densities made from the standard errors (Roever 2020, section 2.3 and the help of bayesmeta) ----


def harmonic_mean(sei: FloatArray) -> float:
    """Root of the harmonic mean of the sampling variances, by which DuMouchel and shrinkage priors are scaled."""
    return float(np.mean(sei**-2.0) ** -0.5)


def typical_error(sei: FloatArray) -> float:
    """Root of the typical sampling variance s^2 in I^2 = tau^2 / (tau^2 + s^2) [@higgins2002]; nan for one study."""
    if len(sei) < 2:
        return math.nan
    wi = (sei.min() / sei) ** 2
    # (sum w)^2 - sum w^2, without cancellation when one study outweighs the rest
    return float(sei.min() * math.sqrt((len(wi) - 1) * wi.sum() / (wi * (wi.sum() - wi)).sum()))


def _dumouchel(x: FloatArray, sei: FloatArray) -> FloatArray:
    s0 = harmonic_mean(sei)
    return np.asarray(-math.log(s0) - 2 * np.log1p(x / s0))


def _uniform_ratio(x: FloatArray, s: float) -> FloatArray:
    """Log density of tau when s^2 / (s^2 + tau^2) is uniform."""
    if math.isnan(s):
        raise ModelError("a prior that is uniform on I^2 needs at least 2 studies")
    return np.asarray(np.log(2 * x / s) - math.log(s) - 2 * np.log1p((x / s) ** 2))


def _each(x: FloatArray, sei: FloatArray, term: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray:
    """Sum of term(x, s) over the standard errors s, a batch of x at a time."""
    flat, size = x.ravel(), max(1, CHUNK // len(sei))
    parts = [term(flat[i : i + size, None], sei).sum(axis=1) for i in range(0, len(flat), size)]
    return np.concatenate(parts).reshape(x.shape) if parts else x


def _jeffreys(x: FloatArray, sei: FloatArray) -> FloatArray:
    """Half the log of the Fisher information on tau, mu known: sum (tau / (s^2 + tau^2))^2."""
    unit = sei.min()
    return np.asarray(0.5 * np.log(_each(x / unit, sei / unit, lambda t, s: (t / (s**2 + t**2)) ** 2)))


def _overall_jeffreys(x: FloatArray, sei: FloatArray) -> FloatArray:
    """Half the log determinant of the information on mu and tau together."""
    unit = sei.min()
    information = _each(x / unit, sei / unit, lambda t, s: 1 / (s**2 + t**2))
    return np.asarray(_jeffreys(x, sei) + 0.5 * np.log(information))


def _berger_deely(x: FloatArray, sei: FloatArray) -> FloatArray:
    """Geometric mean over studies of tau / (s^2 + tau^2)."""
    unit = sei.min()
    mean = _each(x / unit, sei / unit, lambda t, s: np.log(s**2 + t**2)) / len(sei)
    return np.asarray(np.log(x / unit) - mean)


def _conventional(x: FloatArray, sei: FloatArray) -> FloatArray:
    """Geometric mean over studies of tau / (s^2 + tau^2)^(3/2), made to integrate to 1."""

    def shape(t: FloatArray) -> FloatArray:
        return np.asarray(np.log(t) - 1.5 * _each(t, sei / unit, lambda t, s: np.log(s**2 + t**2)) / len(sei))

    unit = float(sei.min())
    u = np.arange(
        -FADED, math.log(float(sei.max()) / unit) + FADED, STEP
    )  # log tau; tau times density vanishes at both
    height = shape(np.exp(u)) + u
    return np.asarray(shape(x / unit) - float(special.logsumexp(height)) - math.log(STEP) - math.log(unit))


def _conventional_reach(sei: FloatArray) -> float:
    unit = float(sei.min())
    u = np.arange(-FADED, math.log(float(sei.max()) / unit) + FADED, STEP)
    mass = np.cumsum(np.exp(_conventional(unit * np.exp(u), sei) + u) * STEP * unit)
    return unit * math.exp(float(np.interp(0.95, mass, u + STEP / 2)))


def _never(*_: Any) -> float:
    return math.inf


FAMILIES: dict[str, Family] = {
    "normal": Family(("mean", "sd"), _normal, lambda mean, sd: abs(mean) + 1.959963984540054 * sd, _last_positive),
    "flat": Family((), lambda x: np.zeros_like(x), _never, proper=False),
    "half-normal": Family(("scale",), _half_normal, lambda scale: 1.959963984540054 * scale, bounded=True),
    "half-cauchy": Family(
        ("scale",),
        lambda x, scale: math.log(2 / (math.pi * scale)) - np.log1p((x / scale) ** 2),
        lambda scale: scale * math.tan(math.pi * 0.95 / 2),
        tail=lambda scale: 2.0,
    ),
    "half-t": Family(
        ("df", "scale"), _half_t, lambda df, scale: scale * float(special.stdtrit(df, 0.975)),
        why=SHAPES, tail=lambda df, scale: df + 1,
    ),
    "half-logistic": Family(("scale",), _half_logistic, lambda scale: scale * math.log(39), bounded=True),
    "rayleigh": Family(
        ("scale",), _rayleigh, lambda scale: scale * math.sqrt(2 * math.log(20)), bounded=True, origin=1.0
    ),
    "exponential": Family(
        ("mean",), lambda x, mean: -x / mean - math.log(mean), lambda mean: mean * math.log(20), bounded=True
    ),
    "lomax": Family(
        ("shape", "scale"), _lomax, lambda shape, scale: scale * math.expm1(math.log(20) / shape),
        why=SHAPES, tail=lambda shape, scale: shape + 1,
    ),
    "log-normal": Family(
        ("mean", "sd"), _log_normal, lambda mean, sd: math.exp(mean + 1.6448536269514722 * sd), _last_positive
    ),
    "inverse-chi": Family(
        ("df", "scale"), _inverse_chi, lambda df, scale: scale / math.sqrt(2 * special.gammaincinv(df / 2, 0.05)),
        why=SHAPES, tail=lambda df, scale: df + 1,
    ),
    "inverse-gamma": Family(
        ("shape", "scale"), _inverse_gamma, lambda shape, scale: scale / float(special.gammaincinv(shape, 0.05)),
        why=SHAPES, tail=lambda shape, scale: shape + 1,
    ),
    "uniform": Family(
        ("low", "high"), _uniform, lambda low, high: low + 0.95 * (high - low), lambda low, high: 0 <= low < high,
        "a standard deviation lies between 0 or more and a larger number", bounded=True,
    ),
    "sqrt": Family((), lambda x: -0.5 * np.log(x), _never, tail=lambda: 0.5, origin=-0.5, proper=False),
    "fixed": Family(
        ("value",), lambda x, value: np.zeros_like(x), lambda value: value, lambda value: value >= 0,
        "a standard deviation is not negative", bounded=True,
    ),
    "dumouchel": Family((), _dumouchel, lambda sei: 19 * harmonic_mean(sei), tail=lambda: 2.0, of_data=True),
    "shrinkage": Family(
        (), lambda x, sei: _uniform_ratio(x, harmonic_mean(sei)), lambda sei: harmonic_mean(sei) * math.sqrt(19),
        tail=lambda: 3.0, origin=1.0, of_data=True,
    ),
    "i2": Family(
        (), lambda x, sei: _uniform_ratio(x, typical_error(sei)), lambda sei: typical_error(sei) * math.sqrt(19),
        tail=lambda: 3.0, origin=1.0, of_data=True,
    ),
    "conventional": Family((), _conventional, _conventional_reach, tail=lambda: 2.0, origin=1.0, of_data=True),
    "jeffreys": Family((), _jeffreys, _never, tail=lambda: 1.0, origin=1.0, proper=False, of_data=True),
    "overall-jeffreys": Family((), _overall_jeffreys, _never, tail=lambda: 2.0, origin=1.0, proper=False, of_data=True),
    "berger-deely": Family((), _berger_deely, _never, tail=lambda: 1.0, origin=1.0, proper=False, of_data=True),
}  # fmt: skip
LOCATION = ("normal", "flat")
SCALE = tuple(name for name in FAMILIES if name not in LOCATION)
AWAY_FROM_ZERO = ("inverse-gamma", "inverse-chi")


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
    """
    found = re.fullmatch(r"\s*([a-z][a-z0-9-]*)\s*(?:\(([^()]*)\))?\s*", str(text))
    family = found[1] if found else str(text)
    if found is None or family not in allowed:
        raise ModelError(f'"{text}" is not a prior that fits here: {did_you_mean(family, list(allowed))}')
    try:
        values = tuple(float(part) for part in (found[2] or "").split(",") if part.strip())
    except ValueError:
        raise ModelError(f'"{text}": the parameters of a prior are numbers') from None
    return Prior(family, values)


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors of one model.

    Attributes
    ----------
    mu : Prior
        On the intercept: normal or flat.
    b : Prior
        On every other coefficient: normal or flat.
    tau : Prior
        On the between-study standard deviation.

    Examples
    --------
    >>> priors = Priors.parse({"mu": "normal(0, 2)", "tau": "half-t(4, 0.5)"})
    >>> priors.tau.proper, priors.tau.tail
    (True, 5.0)
    """

    mu: Prior = field(default_factory=lambda: Prior("normal", (0.0, 1.0)))
    b: Prior = field(default_factory=lambda: Prior("normal", (0.0, 1.0)))
    tau: Prior = field(default_factory=lambda: Prior("half-normal", (0.5,)))

    def __post_init__(self) -> None:
        """Refuse a prior in the wrong place, such as a normal one on tau."""
        for name, allowed in (("mu", LOCATION), ("b", LOCATION), ("tau", SCALE)):
            prior: Prior = getattr(self, name)
            if prior.family not in allowed:
                raise ModelError(f"{prior} is not a prior for {name}: use one of {', '.join(allowed)}")

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Priors:
        """From texts such as {"mu": "normal(0, 1)", "tau": "half-normal(0.5)"}; b defaults to mu's spread at 0.

        Raises
        ------
        ModelError
            For a text that is not a prior, or a key other than mu, b and tau.
        """
        for name in texts:
            if name not in ("mu", "b", "tau"):
                raise ModelError(f'there is no prior on "{name}": {did_you_mean(name, ["mu", "b", "tau"])}')
        mu = parse_prior(texts.get("mu", "normal(0, 1)"), LOCATION)
        default_b = "flat" if mu.family == "flat" else f"normal(0, {mu.parameters[1]})"
        return cls(
            mu,
            parse_prior(texts.get("b", default_b), LOCATION),
            parse_prior(texts.get("tau", "half-normal(0.5)"), SCALE),
        )

    def completed(self, sei: FloatArray) -> Priors:
        """With the studies' standard errors where the prior on tau is made from them."""
        return replace(self, tau=self.tau.completed(sei))

    def of(self, term: str) -> Prior:
        """The prior of a coefficient."""
        return self.mu if term == "intercept" else self.b

    def location(self, terms: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Prior means and precisions of the coefficients, (p,) each; precision 0 is flat."""
        chosen = [self.of(term) for term in terms]
        mean = np.array([prior.parameters[0] if prior.parameters else 0.0 for prior in chosen])
        return mean, np.array([prior.parameters[1] ** -2 if prior.parameters else 0.0 for prior in chosen])

    @property
    def notes(self) -> tuple[str, ...]:
        """What every reader must be told about the priors."""
        if self.tau.family in AWAY_FROM_ZERO:
            return (
                f"{self.tau} on tau has no mass near 0 and decides the answer when studies are few: compare it with a "
                "half-normal or half-Cauchy prior",
            )
        return ()
