"""Default priors by effect measure, in words.

One rule for all scales. The unit-information standard deviation u is the standard error that a study of one person
would have: a prior normal(0, u) carries the information of one person. The default on the average effect is
normal(0, u / 2), four people's worth, and the default on tau is half-normal(u / 4). On the standardised scale, where u
is 2, these are normal(0, 1) and half-normal(0.5). Where a scale has no u of its own, the data give one
[@roever2021]: the root of the average size times the harmonic mean of the sampling variances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import vector
from catharsis.numerics import FloatArray


@dataclass(frozen=True, slots=True)
class Scale:
    """A class of effect measures.

    Attributes
    ----------
    name : str
        In words.
    measures : tuple of str
        Codes of `effect_size`.
    unit : float
        Unit-information standard deviation; nan where only data know it.
    why : str
        Where that number comes from.
    """

    name: str
    measures: tuple[str, ...]
    unit: float
    why: str


SCALES = (
    Scale(
        "standardised mean differences",
        ("SMD", "SMDH", "SMD1", "SMD1H", "SMCC", "SMCR", "SMCRH", "SMCRP", "SMCRPH", "OR2DN", "OR2DL"),
        2.0, "a difference between two halves of n people has variance 4 / n in standard deviations",
    ),
    Scale(
        "correlations and Fisher's z",
        ("COR", "UCOR", "ZCOR", "PCOR", "ZPCOR", "SPCOR", "PHI", "RTET", "RBIS", "RPB", "YUQ", "YUY"),
        1.0, "Fisher's z of n people has variance 1 / (n - 3)",
    ),
    Scale(
        "log odds ratios", ("OR", "PETO", "D2ORN", "D2ORL", "MPOR"),
        4.0, "a log odds ratio of two halves of n people, half of them with the event, has variance 16 / n",
    ),
    Scale(
        "log ratios", ("RR", "ROM", "ROMC", "CVR", "CVRC", "VR", "VRC", "IRR", "IRSD", "MPRR"),
        2.0, "a factor of e^2, about 7, is as far from none as 2 standard deviations; the data's own u is better",
    ),
    Scale(
        "arcsine differences", ("AS",), 1.0, "the arcsine of two halves of n people has variance 1 / n",
    ),
    Scale("raw differences", ("MD", "RD", "IRD", "MC", "MPRD"), math.nan, "raw units have no size of their own"),
)  # fmt: skip
CODES = {code: scale for scale in SCALES for code in scale.measures}


@dataclass(frozen=True, slots=True)
class DefaultPriors:
    """Priors and why they are what they are.

    Attributes
    ----------
    priors : Priors
        For `fit_bayes`.
    words : tuple of str
        One sentence for each prior, and where u comes from.
    unit : float
        The unit-information standard deviation u.
    """

    priors: Priors
    words: tuple[str, ...]
    unit: float


def default_priors(
    measure: str,
    *,
    vi: Sequence[float] | FloatArray | None = None,
    n: Sequence[float] | FloatArray | None = None,
) -> DefaultPriors:
    """Weakly informative priors for a measure.

    Parameters
    ----------
    measure : str
        Code of the effect measure: SMD, ZCOR, OR, RR, MD, ... (see `effect_size`), or any other text with `vi` and `n`.
    vi, n : (k,) arrays, optional
        Sampling variances and people in each study, in one order: together they give the data's own u, which raw
        scales need.

    Returns
    -------
    DefaultPriors
        `priors` for `fit_bayes`, `words` for the reader, `unit`.

    Raises
    ------
    ModelError
        For a measure that needs vi and n and lacks them, or values that are not positive.

    References
    ----------
    [@roever2021]

    Examples
    --------
    >>> found = default_priors("OR")
    >>> str(found.priors.mu), str(found.priors.tau)
    ('normal(0, 2)', 'half-normal(1)')
    >>> print(found.words[0])
    normal(0, 2) on the average: 95% of the prior lies between -3.92 and 3.92 (log odds ratios)
    >>> found = default_priors("MD", vi=[1.0, 4.0], n=[90, 30])
    >>> round(found.unit, 2), round(found.priors.tau.scale, 2)
    (9.8, 2.45)
    """
    code = str(measure)
    scale = CODES.get(code)
    if (vi is None) != (n is None):
        raise ModelError("the unit information of the data needs vi and n together")
    if scale is None and vi is None:
        cure = f"{did_you_mean(code, list(CODES))}; or give vi= and n="
        raise ModelError(f'there are no default priors for "{code}": {cure}')
    u, source = (scale.unit, scale.why) if scale else (math.nan, "")
    if vi is not None and n is not None:
        u = unit_information(vi, n)
        source = "from the data: the root of the average study size times the harmonic mean of the sampling variances"
    if math.isnan(u):
        raise ModelError(f"{code} has no size of its own: give vi= and n= for the data's unit of information")
    sd, half = u / 2, u / 4
    priors = Priors(Prior("normal", (0.0, sd)), Prior("normal", (0.0, sd)), Prior("half-normal", (half,)))
    name = scale.name if scale else code
    wide = 1.959964 * sd
    words = (
        f"normal(0, {sd:.3g}) on the average: 95% of the prior lies between {-wide:.3g} and {wide:.3g} ({name})",
        f"normal(0, {sd:.3g}) on every other coefficient: the same width, for a difference of 1 in its moderator",
        f"half-normal({half:.3g}) on tau: half of the prior lies below {priors.tau.quantile(0.5):.3g}, 95% below "
        f"{priors.tau.quantile(0.95):.3g}; two new studies then differ by up to {2.772 * half:.3g} in 95 of 100 pairs "
        f"at tau = {half:.3g}",
        f"the unit-information standard deviation is {u:.3g} ({source}); the average gets a half and tau a quarter "
        "of it",
    )
    return DefaultPriors(priors, words, u)


def unit_information(vi: Sequence[float] | FloatArray, n: Sequence[float] | FloatArray) -> float:
    """Unit-information standard deviation of the data: root of mean n times the harmonic mean of vi.

    Raises
    ------
    ModelError
        When lengths differ or values are not positive.

    References
    ----------
    [@roever2021]

    Examples
    --------
    >>> unit_information([0.04, 0.01], [100, 400])
    2.0
    """
    v, size = vector(vi, "vi"), vector(n, "n")
    if len(v) != len(size) or len(v) == 0:
        raise ModelError(f"there are {len(v)} variances and {len(size)} study sizes: give one of each per study")
    for name, values in (("vi", v), ("n", size)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise ModelError(f"{name} must be positive and finite to give a unit of information")
    low = float(v.min())
    return math.sqrt(float(size.mean()) * low / float(np.mean(low / v)))
