"""Priors with names: what the report prints is what both engines compute with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class Prior:
    """One prior distribution.

    Attributes
    ----------
    family : str
        "normal", "flat", "half-normal", "half-cauchy", "exponential", "uniform" or "fixed".
    parameters : tuple of float
        As in its text: normal(mean, sd), half-normal(scale), half-cauchy(scale),
        exponential(mean), uniform(low, high), fixed(value).
    """

    family: str
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is not a distribution."""
        if self.family not in _COUNT:
            raise ModelError(f'"{self.family}" is not a prior: {did_you_mean(self.family, list(_COUNT))}')
        count = _COUNT[self.family]
        if len(self.parameters) != count:
            raise ModelError(f'"{self}": {self.family} takes {count or "no"} number{"s" * (count != 1)}')
        if not all(math.isfinite(value) for value in self.parameters):
            raise ModelError(f'"{self}": the parameters of a prior are finite')
        if self.family in _UNSOUND and not _UNSOUND[self.family][0](*self.parameters):
            raise ModelError(f'"{self}": {_UNSOUND[self.family][1]}')
        object.__setattr__(self, "parameters", tuple(float(value) for value in self.parameters))

    def __str__(self) -> str:
        text = ", ".join(f"{value:.12g}" for value in self.parameters)
        return f"{self.family}({text})" if text else self.family

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x, -inf outside the support; 0 for a flat and a fixed one, which have none."""
        x = np.asarray(x, dtype=float)
        inside = np.asarray(_DENSITY[self.family](x, *self.parameters), dtype=float)
        return np.where(x < 0, -np.inf, inside) if self.family in SCALE else inside

    @property
    def reach(self) -> float:
        """A typical size, for the words of the report: the prior's own 95% point."""
        return float(_REACH[self.family](*self.parameters))


def _half_cauchy(x: FloatArray, scale: float) -> FloatArray:
    return math.log(2 / (math.pi * scale)) - np.log1p((x / scale) ** 2)


_DENSITY: dict[str, Callable[..., Any]] = {
    "flat": lambda x: np.zeros_like(x),
    "normal": lambda x, mean, sd: -0.5 * ((x - mean) / sd) ** 2 - math.log(sd) - 0.5 * LOG_2PI,
    "half-normal": lambda x, scale: math.log(2 / scale) - 0.5 * (x / scale) ** 2 - 0.5 * LOG_2PI,
    "half-cauchy": _half_cauchy,
    "exponential": lambda x, mean: -x / mean - math.log(mean),
    "fixed": lambda x, value: np.zeros_like(x),
    "uniform": lambda x, low, high: np.where((x >= low) & (x <= high), -math.log(high - low), -np.inf),
}
_REACH: dict[str, Callable[..., float]] = {
    "flat": lambda: math.inf,
    "normal": lambda mean, sd: abs(mean) + 1.959963984540054 * sd,
    "half-normal": lambda scale: 1.959963984540054 * scale,
    "half-cauchy": lambda scale: scale * math.tan(math.pi * 0.95 / 2),
    "exponential": lambda mean: mean * math.log(20),
    "fixed": lambda value: value,
    "uniform": lambda low, high: low + 0.95 * (high - low),
}
# when the parameters are sound, and what to say when they are not
_POSITIVE = (lambda *values: values[-1] > 0, "the spread of a prior is positive")
_UNSOUND: dict[str, tuple[Callable[..., bool], str]] = {
    **dict.fromkeys(("normal", "half-normal", "half-cauchy", "exponential"), _POSITIVE),
    "uniform": (lambda low, high: 0 <= low < high, "a standard deviation lies between 0 or more and a larger number"),
    "fixed": (lambda value: value >= 0, "a standard deviation is not negative"),
}
_COUNT = {"flat": 0, "normal": 2, "half-normal": 1, "half-cauchy": 1, "exponential": 1, "uniform": 2, "fixed": 1}
LOCATION = ("normal", "flat")
SCALE = ("half-normal", "half-cauchy", "exponential", "uniform", "fixed")


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
    found = re.fullmatch(r"\s*([a-z-]+)\s*(?:\(([^()]*)\))?\s*", str(text))
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

    def location(self, terms: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Prior means and precisions of the coefficients, (p,) each; precision 0 is flat."""
        chosen = [self.mu if term == "intercept" else self.b for term in terms]
        mean = np.array([prior.parameters[0] if prior.parameters else 0.0 for prior in chosen])
        return mean, np.array([prior.parameters[1] ** -2 if prior.parameters else 0.0 for prior in chosen])
