"""The families of priors: densities, tails and quantiles, one row of a table each.

Nothing here knows a model: `priors` gives these names parameters and places. Lower and upper tails are separate
functions, so that neither is 1 minus the other. Some families are made from the standard errors of the studies, which
then take the place of their parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, root

LOG_2PI = math.log(2 * math.pi)
STEP = 0.2  # of the trapezoid rule in log tau: its error is exp(-pi^2 / STEP), because the poles lie pi/2 off the axis
FADED = 40.0  # e-folds beyond the smallest and largest standard error: e^-40 is 4e-18
CHUNK = 4_000_000  # numbers that one batch of a density made from k standard errors may hold
SPREAD = "the spread of a prior is positive"
SHAPES = "shape, degrees of freedom and scale of a prior are positive"


def _positive(*values: float) -> bool:
    return all(value > 0 for value in values)


def _last_positive(*values: float) -> bool:
    return values[-1] > 0


def _df_and_scale(df: float, _: float, scale: float) -> bool:
    return df > 0 and scale > 0


@dataclass(frozen=True, slots=True)
class Family:
    """A family of priors.

    Attributes
    ----------
    parameters : tuple of str
        Their names, in the order of the text; () for none.
    log_density, below, above : callable
        Log density, P(X < x) and P(X > x), of x and the parameters; of x and the standard errors when `of_data`.
        An improper family has no tails.
    quantile : callable
        Of a probability and the parameters (or standard errors).
    sound : callable
        Whether parameters make a distribution, and `why` not.
    tail : callable
        a when the density falls as tau^-a; inf when it falls faster than any power.
    bounded : bool
        Whether nothing that matters lies beyond 64 times the scale: light tails, and a bounded support.
    origin : float
        c when the density near 0 is like tau^c; -1 is like 1 / (tau |log tau|^(1 + df)), which a log-t prior is.
    proper, of_data : bool
        Whether it integrates to 1, and whether it is made from the studies' standard errors.
    """

    parameters: tuple[str, ...]
    log_density: Callable[..., Any]
    below: Callable[..., Any] | None = None
    above: Callable[..., Any] | None = None
    quantile: Callable[..., Any] | None = None
    sound: Callable[..., bool] = _positive
    why: str = SPREAD
    tail: Callable[..., float] = lambda *_: math.inf
    bounded: bool = False
    origin: float = 0.0
    proper: bool = True
    of_data: bool = False


# -- densities: x, then the parameters --------------------------------------------------------------


def _normal(x: FloatArray, mean: float, sd: float) -> FloatArray:
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(sd) - 0.5 * LOG_2PI


def _t(x: FloatArray, df: float, mean: float, scale: float) -> FloatArray:
    constant = float(special.gammaln((df + 1) / 2) - special.gammaln(df / 2)) - 0.5 * math.log(df * math.pi)
    return np.asarray(constant - math.log(scale) - (df + 1) / 2 * np.log1p(((x - mean) / scale) ** 2 / df))


def _half_normal(x: FloatArray, scale: float) -> FloatArray:
    return math.log(2 / scale) - 0.5 * (x / scale) ** 2 - 0.5 * LOG_2PI


def _half_t(x: FloatArray, df: float, scale: float) -> FloatArray:
    return math.log(2) + _t(x, df, 0.0, scale)


def _half_logistic(x: FloatArray, scale: float) -> FloatArray:
    return np.asarray(math.log(2 / scale) - x / scale - 2 * np.log1p(np.exp(-x / scale)))


def _rayleigh(x: FloatArray, scale: float) -> FloatArray:
    return np.asarray(np.log(x / scale) - math.log(scale) - 0.5 * (x / scale) ** 2)


def _lomax(x: FloatArray, shape: float, scale: float) -> FloatArray:
    return np.asarray(math.log(shape / scale) - (shape + 1) * np.log1p(x / scale))


def _log_normal(x: FloatArray, mean: float, sd: float) -> FloatArray:
    at = np.where(x > 0, x, 1.0)
    return np.where(x > 0, _normal(np.log(at), mean, sd) - np.log(at), -np.inf)


def _log_t(x: FloatArray, df: float, mean: float, scale: float) -> FloatArray:
    at = np.where(x > 0, x, 1.0)
    return np.where(x > 0, _t(np.log(at), df, mean, scale) - np.log(at), np.inf)


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


# -- tails and quantiles: x or a probability, then the parameters ------------------------------------


def _logs(x: FloatArray, mean: float, spread: float) -> FloatArray:
    return np.asarray((np.log(x) - mean) / spread)


def _cauchy_quantile(p: FloatArray, mean: float, scale: float) -> FloatArray:
    """From the middle and from the tails: each form is precise where the other cancels."""
    middle = np.tan(math.pi * (np.clip(p, 0.25, 0.75) - 0.5))
    outer = -1 / np.tan(math.pi * np.where((p > 0) & (p < 1), p, 0.25))
    ends = np.where(p <= 0, -np.inf, np.where(p >= 1, np.inf, outer))
    return np.asarray(mean + scale * np.where(np.abs(p - 0.5) < 0.25, middle, ends))


def _half_t_quantile(p: FloatArray, df: float, scale: float) -> FloatArray:
    """From the lower half by the beta distribution of x^2 / (df + x^2), from the upper half by the t tail."""
    y = special.betaincinv(0.5, df / 2, np.minimum(p, 0.5))
    return np.asarray(np.where(p > 0.5, -scale * special.stdtrit(df, (1 - p) / 2), scale * np.sqrt(df * y / (1 - y))))


def _half_t_below(x: FloatArray, df: float, scale: float) -> Any:
    z2 = (x / scale) ** 2
    return special.betainc(0.5, df / 2, np.where(np.isinf(z2), 1.0, z2 / (df + np.where(np.isinf(z2), 1.0, z2))))


def _dumouchel_below(x: FloatArray, sei: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + harmonic_mean(sei) / x))


def _dumouchel_above(x: FloatArray, sei: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + x / harmonic_mean(sei)))


def _uniform_ratio_family(spread: Callable[[FloatArray], float]) -> Family:
    """The tau with which s^2 / (s^2 + tau^2) is uniform."""
    return Family(
        (),
        lambda x, sei: _uniform_ratio(x, spread(sei)),
        lambda x, sei: 1 / (1 + (spread(sei) / x) ** 2),
        lambda x, sei: 1 / (1 + (x / spread(sei)) ** 2),
        lambda p, sei: spread(sei) * np.sqrt(p / (1 - p)),
        tail=lambda: 3.0,
        origin=1.0,
        of_data=True,
    )


def _conventional_mass(x: FloatArray, sei: FloatArray, above: bool) -> FloatArray:
    """P(X > x) or P(X < x), by Gauss-Legendre panels in log tau, a unit wide."""
    nodes, weights = legendre.leggauss(20)

    def mass(at: float) -> float:
        if not 0 < at < math.inf:
            return float(above == (at <= 0))
        u = math.log(at)
        start = u if above else min(u, math.log(float(sei.min()))) - FADED
        stop = max(u, math.log(float(sei.max()))) + FADED if above else u
        edges = np.linspace(start, stop, 1 + math.ceil(stop - start))
        half = np.diff(edges)[:, None] / 2
        v = edges[:-1, None] + half * (1 + nodes)
        return float((np.exp(_conventional(np.exp(v), sei) + v) * half * weights).sum())

    return np.array([mass(float(at)) for at in np.ravel(x)]).reshape(np.shape(x))


def _conventional_quantile(p: FloatArray, sei: FloatArray) -> FloatArray:
    low, high = math.log(float(sei.min())) - FADED, math.log(float(sei.max())) + FADED

    def at(p: float) -> float:
        if not 0 < p < 1:
            return math.inf if p == 1 else 0.0
        above = p > 0.5
        goal = 1 - p if above else p
        return math.exp(root(lambda u: float(_conventional_mass(np.array(math.exp(u)), sei, above)) - goal, low, high))

    return np.array([at(float(each)) for each in np.ravel(p)]).reshape(np.shape(p))


FAMILIES: dict[str, Family] = {
    "normal": Family(
        ("mean", "sd"), _normal,
        lambda x, mean, sd: special.ndtr((x - mean) / sd),
        lambda x, mean, sd: special.ndtr((mean - x) / sd),
        lambda p, mean, sd: mean + sd * special.ndtri(p),
        _last_positive,
    ),
    "t": Family(
        ("df", "mean", "scale"), _t,
        lambda x, df, mean, scale: special.stdtr(df, (x - mean) / scale),
        lambda x, df, mean, scale: special.stdtr(df, (mean - x) / scale),
        lambda p, df, mean, scale: mean + scale * special.stdtrit(df, p),
        _df_and_scale, SHAPES, tail=lambda df, mean, scale: df + 1,
    ),
    "cauchy": Family(
        ("mean", "scale"),
        lambda x, mean, scale: -math.log(math.pi * scale) - np.log1p(((x - mean) / scale) ** 2),
        lambda x, mean, scale: np.arctan2(1, (mean - x) / scale) / math.pi,
        lambda x, mean, scale: np.arctan2(1, (x - mean) / scale) / math.pi,
        _cauchy_quantile,
        _last_positive, tail=lambda mean, scale: 2.0,
    ),
    "flat": Family((), lambda x: np.zeros_like(x), proper=False),
    "half-normal": Family(
        ("scale",), _half_normal,
        lambda x, scale: special.erf(x / (scale * math.sqrt(2))),
        lambda x, scale: special.erfc(x / (scale * math.sqrt(2))),
        lambda p, scale: scale * math.sqrt(2) * special.erfinv(p),
        bounded=True,
    ),
    "half-cauchy": Family(
        ("scale",),
        lambda x, scale: math.log(2 / (math.pi * scale)) - np.log1p((x / scale) ** 2),
        lambda x, scale: 2 / math.pi * np.arctan(x / scale),
        lambda x, scale: 2 / math.pi * np.arctan2(1, x / scale),
        lambda p, scale: scale * np.tan(math.pi / 2 * p),
        tail=lambda scale: 2.0,
    ),
    "half-t": Family(
        ("df", "scale"), _half_t, _half_t_below,
        lambda x, df, scale: 2 * special.stdtr(df, -x / scale),
        _half_t_quantile, why=SHAPES, tail=lambda df, scale: df + 1,
    ),
    "half-logistic": Family(
        ("scale",), _half_logistic,
        lambda x, scale: np.tanh(x / (2 * scale)),
        lambda x, scale: 2 * special.expit(-x / scale),
        lambda p, scale: 2 * scale * np.arctanh(p),
        bounded=True,
    ),
    "rayleigh": Family(
        ("scale",), _rayleigh,
        lambda x, scale: -np.expm1(-0.5 * (x / scale) ** 2),
        lambda x, scale: np.exp(-0.5 * (x / scale) ** 2),
        lambda p, scale: scale * np.sqrt(-2 * np.log1p(-p)),
        bounded=True, origin=1.0,
    ),
    "exponential": Family(
        ("mean",), lambda x, mean: -x / mean - math.log(mean),
        lambda x, mean: -np.expm1(-x / mean),
        lambda x, mean: np.exp(-x / mean),
        lambda p, mean: -mean * np.log1p(-p),
        bounded=True,
    ),
    "lomax": Family(
        ("shape", "scale"), _lomax,
        lambda x, shape, scale: -np.expm1(-shape * np.log1p(x / scale)),
        lambda x, shape, scale: np.exp(-shape * np.log1p(x / scale)),
        lambda p, shape, scale: scale * np.expm1(-np.log1p(-p) / shape),
        why=SHAPES, tail=lambda shape, scale: shape + 1,
    ),
    "log-normal": Family(
        ("mean", "sd"), _log_normal,
        lambda x, mean, sd: special.ndtr(_logs(x, mean, sd)),
        lambda x, mean, sd: special.ndtr(-_logs(x, mean, sd)),
        lambda p, mean, sd: np.exp(mean + sd * special.ndtri(p)),
        _last_positive,
    ),
    "log-t": Family(
        ("df", "mean", "scale"), _log_t,
        lambda x, df, mean, scale: special.stdtr(df, _logs(x, mean, scale)),
        lambda x, df, mean, scale: special.stdtr(df, -_logs(x, mean, scale)),
        lambda p, df, mean, scale: np.exp(mean + scale * special.stdtrit(df, p)),
        _df_and_scale, SHAPES, tail=lambda df, mean, scale: 1.0, origin=-1.0,
    ),
    "inverse-chi": Family(
        ("df", "scale"), _inverse_chi,
        lambda x, df, scale: special.gammaincc(df / 2, 0.5 * (scale / x) ** 2),
        lambda x, df, scale: special.gammainc(df / 2, 0.5 * (scale / x) ** 2),
        lambda p, df, scale: scale / np.sqrt(2 * special.gammainccinv(df / 2, p)),
        why=SHAPES, tail=lambda df, scale: df + 1,
    ),
    "inverse-gamma": Family(
        ("shape", "scale"), _inverse_gamma,
        lambda x, shape, scale: special.gammaincc(shape, scale / x),
        lambda x, shape, scale: special.gammainc(shape, scale / x),
        lambda p, shape, scale: scale / special.gammainccinv(shape, p),
        why=SHAPES, tail=lambda shape, scale: shape + 1,
    ),
    "uniform": Family(
        ("low", "high"), _uniform,
        lambda x, low, high: np.clip((x - low) / (high - low), 0, 1),
        lambda x, low, high: np.clip((high - x) / (high - low), 0, 1),
        lambda p, low, high: low + p * (high - low),
        lambda low, high: 0 <= low < high,
        "a standard deviation lies between 0 or more and a larger number", bounded=True,
    ),
    "sqrt": Family((), lambda x: -0.5 * np.log(x), tail=lambda: 0.5, origin=-0.5, proper=False),
    "fixed": Family(
        ("value",), lambda x, value: np.zeros_like(x),
        lambda x, value: 1.0 * (x > value),
        lambda x, value: 1.0 * (x < value),
        lambda p, value: np.full_like(p, value),
        lambda value: value >= 0,
        "a standard deviation is not negative", bounded=True,
    ),
    "dumouchel": Family(
        (), _dumouchel, _dumouchel_below, _dumouchel_above, lambda p, sei: harmonic_mean(sei) * p / (1 - p),
        tail=lambda: 2.0, of_data=True,
    ),
    "shrinkage": _uniform_ratio_family(harmonic_mean),
    "i2": _uniform_ratio_family(typical_error),
    "conventional": Family(
        (), _conventional,
        lambda x, sei: _conventional_mass(x, sei, above=False),
        lambda x, sei: _conventional_mass(x, sei, above=True),
        _conventional_quantile, tail=lambda: 2.0, origin=1.0, of_data=True,
    ),
    "jeffreys": Family((), _jeffreys, tail=lambda: 1.0, origin=1.0, proper=False, of_data=True),
    "overall-jeffreys": Family((), _overall_jeffreys, tail=lambda: 2.0, origin=1.0, proper=False, of_data=True),
    "berger-deely": Family((), _berger_deely, tail=lambda: 1.0, origin=1.0, proper=False, of_data=True),
}  # fmt: skip
LOCATION = ("normal", "t", "cauchy", "flat")
SCALE = tuple(name for name in FAMILIES if name not in LOCATION)
AWAY_FROM_ZERO = ("inverse-gamma", "inverse-chi")
