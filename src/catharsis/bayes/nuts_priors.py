"""Priors on standard deviations in PyTensor: the families of `prior_families`, on coordinates made for sampling.

On the log scale every family has light tails on both sides, so that one coordinate serves all of them. But there tau
near 0 is a long way out, which a sampler visits seldom and stays in for long. Where a density is regular at 0,
tau = unit |sinh x| makes 0 an ordinary point: the likelihood, a function of tau^2, goes through it smoothly, and far
out x is a logarithm again. Densities leave out constants; a test holds them against `Prior.log_density`. Parameters are
data of the compiled model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from catharsis.bayes.prior_families import harmonic_mean, typical_error
from catharsis.bayes.priors import Prior
from catharsis.numerics import FloatArray

NUMBERS = 3  # that a family has at most
REGULAR = ("half-normal", "half-cauchy", "half-t", "half-logistic", "exponential", "lomax", "dumouchel", "uniform")
SIGNED = "signed "  # before a family's name: the coordinate that goes through 0
OF_EACH_ERROR = ("conventional", "jeffreys", "overall-jeffreys", "berger-deely")  # need all standard errors, not one


def log_density(family: str, tau: Any, number: Any, sei: Any) -> Any:
    """Log density of tau (a PyTensor scalar) up to a constant; `number` (3,) and `sei` (k,) are symbols too."""
    import pytensor.tensor as pt

    a, b, c = number[0], number[1], number[2]
    log = pt.log(tau)

    def each() -> Any:
        return sei**2 + tau**2

    densities: dict[str, Callable[[], Any]] = {
        "half-normal": lambda: -0.5 * (tau / a) ** 2,
        "half-cauchy": lambda: -pt.log1p((tau / a) ** 2),
        "half-t": lambda: -(a + 1) / 2 * pt.log1p((tau / b) ** 2 / a),
        "half-logistic": lambda: -tau / a - 2 * pt.log1p(pt.exp(-tau / a)),
        "rayleigh": lambda: log - 0.5 * (tau / a) ** 2,
        "exponential": lambda: -tau / a,
        "lomax": lambda: -(a + 1) * pt.log1p(tau / b),
        "log-normal": lambda: -0.5 * ((log - a) / b) ** 2 - log,
        "log-t": lambda: -(a + 1) / 2 * pt.log1p(((log - b) / c) ** 2 / a) - log,
        "inverse-chi": lambda: -(a + 1) * log - 0.5 * (b / tau) ** 2,
        "inverse-gamma": lambda: -(a + 1) * log - b / tau,
        "uniform": lambda: pt.zeros(()),
        "sqrt": lambda: -0.5 * log,
        "dumouchel": lambda: -2 * pt.log1p(tau / a),
        "shrinkage": lambda: log - 2 * pt.log1p((tau / a) ** 2),
        "i2": lambda: log - 2 * pt.log1p((tau / a) ** 2),
        "conventional": lambda: log - 1.5 * pt.log(each()).mean(),
        "jeffreys": lambda: log + 0.5 * pt.log((each() ** -2.0).sum()),
        "overall-jeffreys": lambda: log + 0.5 * pt.log((each() ** -2.0).sum()) + 0.5 * pt.log((1 / each()).sum()),
        "berger-deely": lambda: log - pt.log(each()).mean(),
    }
    return densities[family]()


def family_of(prior: Prior) -> str:
    """The name under which a prior is compiled: a bounded uniform one has a coordinate of its own."""
    return "interval" if prior.family == "uniform" and prior.parameters else prior.family


def signed(family: str) -> str:
    """The family with the coordinate that goes through 0, where its density is regular there."""
    return SIGNED + family if family in REGULAR else family


def numbers(prior: Prior) -> FloatArray:
    """(3,) parameters of a prior, or the one standard error that it is made from."""
    sei = np.array(prior.sei)
    if prior.family in ("dumouchel", "shrinkage"):
        given: tuple[float, ...] = (harmonic_mean(sei),)
    elif prior.family == "i2":
        given = (typical_error(sei),)
    else:
        given = prior.parameters
    return np.array([*given, *[0.0] * NUMBERS])[:NUMBERS]


def unit(prior: Prior, sei: FloatArray) -> float:
    """A size of tau to start from."""
    return float(np.nan_to_num(prior.scale, nan=harmonic_mean(sei)))
