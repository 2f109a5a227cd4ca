"""From one scale of effects to another: the reader's scale, and one effect size in the terms of another.

Pure functions of arrays, listed in `TRANSFORMS` under metafor's names without "transf."; `transform` looks them up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray, root

LOG_ODDS_PER_SD_NORMAL = 1.65  # log odds per standard deviation, normal scores (Cox and Snell 1989)
LOG_ODDS_PER_SD_LOGISTIC = math.pi / math.sqrt(3)  # the same for logistic scores [@hasselblad1995; @chinn2000]
NODES = 200  # points of the Gauss-Legendre rule for a mean over a normal distribution, over its whole width
REACH = 10.0  # standard deviations of a normal distribution beyond which nothing is left in 64 bits


def _only(function: Callable[[FloatArray], Any]) -> Callable[[FloatArray], FloatArray]:
    return lambda x: np.asarray(function(x), dtype=float)


def arcsine(p: FloatArray) -> FloatArray:
    """Angle whose squared sine is the share p."""
    return np.arcsin(np.sqrt(p))


def from_arcsine(x: FloatArray) -> FloatArray:
    """Share whose arcsine square root is x; 0 below and 1 above the range of the arcsine."""
    return np.sin(np.clip(x, 0, np.pi / 2)) ** 2


def double_arcsine(p: FloatArray, n: FloatArray) -> FloatArray:
    """Freeman-Tukey double arcsine of a share p of n people [@freeman1950]."""
    x = p * n
    return (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))) / 2


def from_double_arcsine(x: FloatArray, n: FloatArray) -> FloatArray:
    """Share whose double arcsine with n people is x, by Miller's inversion [@miller1978].

    The double arcsine of n people does not reach 0 or pi/2: beyond what 0 and n events give, the share is 0 or 1.
    """
    x, n = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(n, dtype=float))
    low, high = double_arcsine(np.zeros_like(n), n), double_arcsine(np.ones_like(n), n)
    inside = np.clip(x, low, high)
    sine, cosine = np.sin(2 * inside), np.cos(2 * inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        tilt = sine + (sine - 1 / sine) / n
        share = (1 - np.sign(cosine) * np.sqrt(np.maximum(1 - tilt**2, 0))) / 2
    share = np.where(x <= low, 0.0, np.where(x >= high, 1.0, share))
    return np.where(np.isnan(x), np.nan, share)


def from_double_arcsine_harmonic(x: FloatArray, n: ArrayLike) -> FloatArray:
    """`from_double_arcsine` at the harmonic mean of the studies' sizes [@miller1978]."""
    sizes = np.asarray(n, dtype=float)
    return from_double_arcsine(x, np.asarray(1 / np.mean(1 / sizes)))


def square(x: FloatArray) -> FloatArray:
    """Square of a root; 0 where the root is negative."""
    return np.where(x > 0, x**2, np.where(np.isnan(x), np.nan, 0.0))


def double_root(rate: FloatArray, t: FloatArray) -> FloatArray:
    """Freeman-Tukey transformed rate over person-time t [@freeman1950]."""
    return (np.sqrt(rate) + np.sqrt(rate + 1 / t)) / 2


def from_double_root(x: FloatArray, t: FloatArray) -> FloatArray:
    """Rate whose Freeman-Tukey transform over person-time t is x; 0 below what no event gives."""
    x, t = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(t, dtype=float))
    low = np.sqrt(1 / t) / 2
    safe = np.maximum(x, low)
    return np.where(np.isnan(x), np.nan, (safe - 1 / (4 * t * safe)) ** 2)


def hakstian_whalen(alpha: FloatArray) -> FloatArray:
    """1 - (1 - alpha)^(1/3) of a coefficient alpha (Hakstian and Whalen 1976)."""
    return 1 - np.cbrt(1 - alpha)


def from_hakstian_whalen(x: FloatArray) -> FloatArray:
    """Coefficient alpha behind `hakstian_whalen`; between 0 and 1."""
    return 1 - (1 - np.clip(x, 0, 1)) ** 3


def bonett(alpha: FloatArray) -> FloatArray:
    """-log(1 - alpha) of a coefficient alpha [@bonett2002]."""
    return -np.log1p(-alpha)


def from_bonett(x: FloatArray) -> FloatArray:
    """Coefficient alpha behind `bonett`; 0 where x is negative."""
    return np.where(x < 0, 0.0, -np.expm1(-x))


def z_of_r2(r2: FloatArray) -> FloatArray:
    """Fisher's z of the root of a share of variance (Olkin and Finn 1995)."""
    return np.arctanh(np.sqrt(r2))


def r2_of_z(z: FloatArray) -> FloatArray:
    """Share of variance behind `z_of_r2`."""
    return np.tanh(z) ** 2


def _mean_over_normal(
    function: Callable[[FloatArray], FloatArray], centre: float, tau2: float, low: float, high: float
) -> float:
    """Mean of a function over N(centre, tau2) between two limits."""
    if math.isnan(centre):
        return math.nan
    if tau2 == 0:
        return float(function(np.asarray(centre)))
    tau = math.sqrt(tau2)
    left, right = max(low, centre - REACH * tau), min(high, centre + REACH * tau)
    nodes, weights = special.roots_legendre(NODES)
    at = left + (right - left) * (nodes + 1) / 2
    density = np.exp(-((at - centre) ** 2) / (2 * tau2)) / (tau * math.sqrt(2 * math.pi))
    return float((right - left) / 2 * np.sum(weights * density * function(at)))


def _averaged(function: Callable[[FloatArray], FloatArray]) -> Callable[..., FloatArray]:
    def mean(x: FloatArray, tau2: float, lower: float = -math.inf, upper: float = math.inf) -> FloatArray:
        flat = [_mean_over_normal(function, float(v), tau2, lower, upper) for v in np.ravel(x)]
        return np.array(flat).reshape(np.shape(x))

    return mean


def _exp_mode(x: FloatArray, tau2: float) -> FloatArray:
    """Mode of a lognormal variable whose log is N(x, tau2)."""
    return np.exp(x - tau2)


def _mode(steepness: float, back: Callable[[FloatArray], Any]) -> Callable[..., FloatArray]:
    """Mode of an s-shaped function of z ~ N(x, tau2): tanh (steepness 2) or expit (1).

    The log density of back(z) has the slope (x - z) / tau2 + c tanh(c z / 2). On the side of x it has one root between
    x and x + c tau2 sign(x), and that side holds the higher mode; at x = 0 there is one mode only while c^2 tau2 < 2.
    """

    def of(x: float, tau2: float) -> float:
        if math.isnan(x) or tau2 == 0:
            return x
        if x == 0:
            return 0.0 if steepness**2 * tau2 <= 2 else math.nan
        side = abs(x)
        top = root(
            lambda z: (side - z) / tau2 + steepness * math.tanh(steepness * z / 2), side, side + steepness * tau2 + 1
        )
        return math.copysign(top, x)

    def mode(x: FloatArray, tau2: float) -> FloatArray:
        found = np.array([of(float(value), tau2) for value in np.ravel(x)])
        return np.asarray(back(found.reshape(np.shape(x))), dtype=float)

    return mode


def cohen_u1(d: FloatArray) -> FloatArray:
    """Share of two equal normal distributions, d apart, that does not overlap (Cohen's U1)."""
    half = special.ndtr(np.abs(d) / 2)
    return np.asarray((2 * half - 1) / half)


def overlap(d: FloatArray) -> FloatArray:
    """Overlapping coefficient of two equal normal distributions d apart (Inman and Bradley 1989)."""
    return np.asarray(2 * special.ndtr(-np.abs(d) / 2))


def superiority(d: FloatArray) -> FloatArray:
    """P(someone of group 1 above someone of group 2) for equal normal distributions d apart (McGraw and Wong 1992)."""
    return np.asarray(special.ndtr(d / math.sqrt(2)))


def cliff_delta(d: FloatArray) -> FloatArray:
    """P(above) - P(below) for equal normal distributions d apart: Cliff's delta."""
    return np.asarray(special.erf(d / 2))


def difference_in_points(d: FloatArray, sd: ArrayLike) -> FloatArray:
    """Mean difference in points of an instrument with this standard deviation."""
    return np.asarray(d * np.asarray(sd, dtype=float))


def _spread(n1: ArrayLike | None, n2: ArrayLike | None) -> FloatArray:
    """The h of d = r sqrt(h / (1 - r^2)): 4 for groups of one unknown size [@jacobs2017]."""
    if n1 is None or n2 is None:
        return np.asarray(4.0)
    a, b = np.asarray(n1, dtype=float), np.asarray(n2, dtype=float)
    return np.asarray((a + b - 2) / a + (a + b - 2) / b)


def _stretch(share: ArrayLike) -> FloatArray:
    """Biserial over point-biserial correlation when this share falls into the first group [@jacobs2017]."""
    p = np.asarray(share, dtype=float)
    cut = special.ndtri(p)
    return np.asarray(np.sqrt(p * (1 - p)) * np.sqrt(2 * np.pi) * np.exp(cut**2 / 2))


def _share(n1: ArrayLike | None, n2: ArrayLike | None) -> FloatArray:
    if n1 is None or n2 is None:
        return np.asarray(0.5)
    first, second = np.asarray(n1, dtype=float), np.asarray(n2, dtype=float)
    return np.asarray(first / (first + second))


def point_biserial_of_d(d: FloatArray, n1: ArrayLike | None = None, n2: ArrayLike | None = None) -> FloatArray:
    """Point-biserial correlation behind Cohen's d: d / sqrt(d^2 + h), h = 4 for groups of one unknown size."""
    return np.asarray(d / np.sqrt(d**2 + _spread(n1, n2)))


def d_of_point_biserial(r: FloatArray, n1: ArrayLike | None = None, n2: ArrayLike | None = None) -> FloatArray:
    """Cohen's d behind a point-biserial correlation."""
    return np.asarray(np.sqrt(_spread(n1, n2)) * r / np.sqrt(1 - r**2))


def biserial_of_d(d: FloatArray, n1: ArrayLike | None = None, n2: ArrayLike | None = None) -> FloatArray:
    """Biserial correlation behind Cohen's d."""
    return np.asarray(point_biserial_of_d(d, n1, n2) * _stretch(_share(n1, n2)))


def d_of_correlation(r: FloatArray, n1: ArrayLike | None = None, n2: ArrayLike | None = None) -> FloatArray:
    """Cohen's d of the groups that cutting one of two normal variables, correlated by r, would make."""
    return d_of_point_biserial(r / _stretch(_share(n1, n2)), n1, n2)


def biserial_of_point_biserial(r: FloatArray, share: ArrayLike = 0.5) -> FloatArray:
    """Biserial correlation behind a point-biserial one when `share` of the people fall into the first group."""
    return np.asarray(r * _stretch(share))


def point_biserial_of_correlation(r: FloatArray, share: ArrayLike = 0.5) -> FloatArray:
    """Point-biserial correlation that cutting one of two normal variables leaves of their correlation."""
    return np.asarray(r / _stretch(share))


def _risk(log_odds_ratio: FloatArray, control_risk: ArrayLike) -> FloatArray:
    return np.asarray(special.expit(special.logit(np.asarray(control_risk, dtype=float)) + log_odds_ratio))


def risk_difference_of_log_odds(x: FloatArray, control_risk: ArrayLike) -> FloatArray:
    """Risk difference that a log odds ratio means at a control group's risk."""
    return np.asarray(_risk(x, control_risk) - np.asarray(control_risk, dtype=float))


def risk_ratio_of_log_odds(x: FloatArray, control_risk: ArrayLike) -> FloatArray:
    """Risk ratio (not its log) that a log odds ratio means at a control group's risk."""
    return np.asarray(_risk(x, control_risk) / np.asarray(control_risk, dtype=float))


def tetrachoric_pearson(x: FloatArray) -> FloatArray:
    """Tetrachoric correlation near a log odds ratio, by Pearson's (1900) cosine."""
    return np.cos(np.pi / (1 + np.exp(x / 2)))


def tetrachoric_digby(x: FloatArray) -> FloatArray:
    """Tetrachoric correlation near a log odds ratio, by Digby (1983): (OR^(3/4) - 1) / (OR^(3/4) + 1)."""
    return np.tanh(0.375 * x)


def _times(factor: float) -> Callable[[FloatArray], FloatArray]:
    return lambda x: factor * x


TRANSFORMS: dict[str, tuple[Callable[..., FloatArray], tuple[str, ...], tuple[str, ...]]] = {
    # metafor's name: function, arguments it needs, arguments it may have
    "exp": (_only(np.exp), (), ()),
    "log": (_only(np.log), (), ()),
    "rtoz": (_only(np.arctanh), (), ()),
    "ztor": (_only(np.tanh), (), ()),
    "logit": (_only(special.logit), (), ()),
    "ilogit": (_only(special.expit), (), ()),
    "probit": (_only(special.ndtri), (), ()),
    "iprobit": (_only(special.ndtr), (), ()),
    "arcsin": (arcsine, (), ()),
    "iarcsin": (from_arcsine, (), ()),
    "pft": (double_arcsine, ("n",), ()),
    "ipft": (from_double_arcsine, ("n",), ()),
    "ipft.hm": (from_double_arcsine_harmonic, ("n",), ()),
    "isqrt": (square, (), ()),
    "irft": (double_root, ("t",), ()),
    "iirft": (from_double_root, ("t",), ()),
    "ahw": (hakstian_whalen, (), ()),
    "iahw": (from_hakstian_whalen, (), ()),
    "abt": (bonett, (), ()),
    "iabt": (from_bonett, (), ()),
    "r2toz": (z_of_r2, (), ()),
    "ztor2": (r2_of_z, (), ()),
    "ztor.int": (_averaged(np.tanh), ("tau2",), ("lower", "upper")),
    "exp.int": (_averaged(np.exp), ("tau2",), ("lower", "upper")),
    "ilogit.int": (_averaged(special.expit), ("tau2",), ("lower", "upper")),
    "iprobit.int": (_averaged(special.ndtr), ("tau2",), ("lower", "upper")),
    "ztor.mode": (_mode(2.0, np.tanh), ("tau2",), ()),
    "exp.mode": (_exp_mode, ("tau2",), ()),
    "ilogit.mode": (_mode(1.0, special.expit), ("tau2",), ()),
    "dtou1": (cohen_u1, (), ()),
    "dtou2": (_only(lambda d: special.ndtr(d / 2)), (), ()),
    "dtou3": (_only(special.ndtr), (), ()),
    "dtoovl": (overlap, (), ()),
    "dtocles": (superiority, (), ()),
    "dtocliffd": (cliff_delta, (), ()),
    "dtobesd": (_only(lambda d: 0.5 + point_biserial_of_d(d) / 2), (), ()),
    "dtomd": (difference_in_points, ("sd",), ()),
    "dtorpb": (point_biserial_of_d, (), ("n1", "n2")),
    "dtorbis": (biserial_of_d, (), ("n1", "n2")),
    "rpbtorbis": (biserial_of_point_biserial, (), ("share",)),
    "rtorpb": (point_biserial_of_correlation, (), ("share",)),
    "rtod": (d_of_correlation, (), ("n1", "n2")),
    "rpbtod": (d_of_point_biserial, (), ("n1", "n2")),
    "lnortord": (risk_difference_of_log_odds, ("control_risk",), ()),
    "lnortorr": (risk_ratio_of_log_odds, ("control_risk",), ()),
    "lnortod.norm": (_times(1 / LOG_ODDS_PER_SD_NORMAL), (), ()),
    "lnortod.logis": (_times(1 / LOG_ODDS_PER_SD_LOGISTIC), (), ()),
    "dtolnor.norm": (_times(LOG_ODDS_PER_SD_NORMAL), (), ()),
    "dtolnor.logis": (_times(LOG_ODDS_PER_SD_LOGISTIC), (), ()),
    "lnortortet.pearson": (tetrachoric_pearson, (), ()),
    "lnortortet.digby": (tetrachoric_digby, (), ()),
}


def transform(x: ArrayLike, name: str, **arguments: Any) -> FloatArray:
    """Values of one scale on another, by metafor's names without "transf.".

    Parameters
    ----------
    x : array_like
        Values; an interval's ends as well as its middle.
    name : str
        "exp", "ztor" (Fisher's z to r), "ilogit", "iarcsin", "ipft" (with n), "iirft" (with t), "iabt",
        "dtou3", "dtocles", "lnortord" (with control_risk), ...: a key of `TRANSFORMS`.
    **arguments
        n, t, n1, n2, share, control_risk, sd; for ".int" (the mean of the back-transformed true effects, rather than
        their median) and ".mode" the between-study variance tau2.

    Returns
    -------
    (k,) array
        nan where the value has no place on the new scale.

    Raises
    ------
    ModelError
        Unknown name; an argument that is missing or not taken.

    References
    ----------
    [@viechtbauer2010a; @miller1978; @jacobs2017]

    Examples
    --------
    >>> transform([0.0, 0.5493], "ztor").round(4).tolist()
    [0.0, 0.5]
    >>> transform([0.5], "lnortord", control_risk=0.3).round(4).tolist()
    [0.114]
    """
    if name not in TRANSFORMS:
        raise ModelError(f'there is no transformation "{name}": {did_you_mean(name, list(TRANSFORMS))}')
    function, needs, may = TRANSFORMS[name]
    _check_arguments(name, arguments, needs, may)
    values = np.asarray(x, dtype=float)
    with np.errstate(all="ignore"):
        return np.asarray(function(values, **arguments), dtype=float)


def _check_arguments(name: str, given: dict[str, Any], needs: Sequence[str], may: Sequence[str]) -> None:
    missing = [argument for argument in needs if argument not in given]
    if missing:
        raise ModelError(f'the transformation "{name}" needs {", ".join(missing)}')
    unknown = sorted(set(given) - {*needs, *may})
    if unknown:
        takes = ", ".join((*needs, *may)) or "no argument"
        raise ModelError(f'the transformation "{name}" does not take {", ".join(unknown)}; it takes {takes}')
    if "tau2" in given and not (math.isfinite(given["tau2"]) and given["tau2"] >= 0):
        raise ModelError(f"tau2 is {given['tau2']}: a variance is 0 or above")
