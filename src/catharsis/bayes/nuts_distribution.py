"""How the true effects of studies are distributed: normal, t, or normal with outliers.

All three are mixtures of normals of different scales, N(0, lambda tau^2). Outliers have two values of lambda; a t
distribution has a continuum, which the integrated form of the model covers with a rule of 73 nodes in log lambda
(relative error below 1e-6), and the sampled form writes as it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean

DISTRIBUTIONS = ("normal", "t", "outliers")
LEAST_DF = 2.0  # of estimated degrees of freedom: below, the effects of studies would have no variance
DF_PRIOR = (2.0, 0.1)  # gamma(shape, rate) (Juarez and Steel 2010, J. Business & Economic Statistics), above LEAST_DF
DF_UNIT = 20.0  # degrees of freedom, about that prior's mean
SHARE_PRIOR = (1.0, 9.0)  # beta: a tenth of studies are outliers, and hardly ever half of them
INFLATION_MEAN = 4.0  # of an exponential: how many times tau the sd of outliers lies above tau
NODES = np.arange(-30.0, 6.25, 0.5)  # of the rule for a t distribution, in standard deviations of log 1/lambda


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the effects of studies are distributed around their mean.

    Attributes
    ----------
    name : str
        "normal", "t" or "outliers".
    df : float
        Degrees of freedom of a t; nan where estimated.
    """

    name: str = "normal"
    df: float = math.nan

    @property
    def code(self) -> str:
        """The name that a compiled program knows."""
        return "known t" if self.name == "t" and not math.isnan(self.df) else self.name

    @property
    def moments(self) -> int:
        """Moments that exist, 0 to 2; estimated degrees of freedom lie above 2."""
        return 2 if self.code != "known t" else int(self.df > 1) + int(self.df > 2)

    @property
    def notes(self) -> tuple[str, ...]:
        """What every reader must be told."""
        if self.name == "t":
            return ("tau is the scale of a t distribution: study effects vary by tau times the root of df / (df - 2)",)
        if self.name == "outliers":
            return ("tau is the standard deviation of studies that are not outliers; a new study may be one",)
        return ()

    def __str__(self) -> str:
        return f"t({self.df:g})" if self.code == "known t" else self.name


def parse_distribution(text: str) -> Distribution:
    """Read "normal", "t", "t(4)" or "outliers".

    Raises
    ------
    ModelError
        For anything else, and for fewer than 1 degree of freedom.

    Examples
    --------
    >>> parse_distribution("t(4)")
    Distribution(name='t', df=4.0)
    """
    found = re.fullmatch(r"\s*(normal|outliers|t)\s*(?:\(\s*([0-9.e+]+)\s*\))?\s*", str(text))
    if found is None or (found[2] is not None and found[1] != "t"):
        raise ModelError(
            f'there is no distribution "{text}" of study effects: {did_you_mean(str(text), DISTRIBUTIONS)}; t(4) is a '
            "t with known degrees of freedom"
        )
    if found[2] is None:
        return Distribution(found[1])
    try:
        df = float(found[2])
    except ValueError:
        raise ModelError(f'"{text}": the degrees of freedom of a t are a number') from None
    if not 1 <= df < math.inf:
        raise ModelError(f'"{text}": a t distribution of study effects has 1 degree of freedom or more')
    return Distribution("t", df)


def t_rule(df: Any, xp: Any = np) -> tuple[Any, Any]:
    """Log weights and scales lambda of the normals that a t distribution is a mixture of.

    log 1/lambda, of a chi-square over its degrees of freedom, has a density that decays at both ends and is analytic in
    a strip, where equal steps converge like exp(-pi^2 / step).

    Parameters
    ----------
    df : float, (g, 1) array, or symbol
        Degrees of freedom, 1 or more.
    xp : module
        numpy or pytensor.tensor.

    Examples
    --------
    >>> log_weight, scale = t_rule(4.0)
    >>> y, normal = 3.0, np.exp(-0.5 * 3.0**2 / scale) / np.sqrt(2 * np.pi * scale)
    >>> bool(abs(np.exp(log_weight) @ normal / (3 / 8 * (1 + y**2 / 4) ** -2.5) - 1) < 1e-6)
    True
    """
    x = NODES * xp.sqrt(2 / xp.maximum(df, 2.0))
    height = df / 2 * (x - xp.exp(x))
    top = height.max(axis=-1, keepdims=True)
    return height - top - xp.log(xp.exp(height - top).sum(axis=-1, keepdims=True)), xp.exp(-x)
