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

    def __str__(self) -> str:
        return (
            f"{self.family}({', '.join(f'{value:g}' for value in self.parameters)})"
            if self.parameters
            else self.family
        )

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x; 0 for a flat prior."""
        return np.asarray(_DENSITY[self.family](np.asarray(x, dtype=float), *self.parameters))

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
    if len(values) != _COUNT[family]:
        raise ModelError(f'"{text}": {family} takes {_COUNT[family]} number{"s" * (_COUNT[family] != 1)}')
    sound = {
        "uniform": lambda: 0 <= values[0] < values[1],
        "fixed": lambda: values[0] >= 0,
        "flat": lambda: True,
    }.get(family, lambda: values[-1] > 0)
    if not all(math.isfinite(value) for value in values) or not sound():
        raise ModelError(f'"{text}": the spread of a prior is positive, and a standard deviation is not negative')
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

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Priors:
        """From texts such as {"mu": "normal(0, 1)", "tau": "half-normal(0.5)"}; b defaults to mu's spread at 0."""
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
