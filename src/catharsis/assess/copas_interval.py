"""Henmi and Copas (2010): an equal-effects estimate with an interval that allows for heterogeneity.

Publication bias acts on small studies, to which random-effects weights give more say. The estimate therefore keeps
the weights 1/v, and only its interval pays for heterogeneity. With R = sqrt(W) (estimate - theta), W = sum w, and
Cochran's Q, the pivot U = R / sqrt(1 + tau2_DL W2), W2 = sum w^2 / W, has tails

    P(U > u) = integral over r > u of P(Q <= q(r, u) | R = r) dN(r; 0, 1 + tau^2 W2),

where q(r, u) is the Q at which U would equal u. Given R = r, Q is a quadratic form in normal variables; following
the paper its distribution is taken to be the gamma distribution with the same mean and variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc

from catharsis.assess.funnel_data import read_funnel
from catharsis.errors import ModelError
from catharsis.models.heterogeneity import tau2_dl
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, root

if TYPE_CHECKING:
    import pandas as pd

PANELS = np.array([0.0, 0.02, 0.08, 0.25, 0.5, 1.0])  # edges, as shares of the way to the far tail
NODES = 100  # of each Gauss-Legendre panel; the integrand is smooth between u and the far tail
TAIL = 12.0  # standard deviations of R beyond which the normal density is nothing (1e-32)


@dataclass(frozen=True, slots=True, kw_only=True)
class HenmiCopas:
    """An estimate with equal-effects weights and its interval.

    Attributes
    ----------
    estimate, se, low, high : float
        The average and its confidence interval, which is estimate -+ critical * se.
    critical : float
        The quantile of the pivot.
    tau2 : float
        DerSimonian-Laird estimate.
    level : float
        Probability of the interval.
    k : int
        Number of effects.
    notes : tuple of str
        What every reader must be told.
    """

    estimate: float
    se: float
    low: float
    high: float
    critical: float
    tau2: float
    level: float
    k: int
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        names = ("estimate", "se", "low", "high", "tau2", "k")
        return pd.DataFrame([{name: getattr(self, name) for name in names}], index=["Henmi-Copas"])


def henmi_copas(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    level: float | None = None,
) -> HenmiCopas:
    """An average that is robust to publication bias, with an interval that allows for heterogeneity.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators (only its data are used), or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    HenmiCopas

    Raises
    ------
    ModelError
        Moderators, dependent effects, or fewer than two effects.

    References
    ----------
    [@henmi2010]

    Examples
    --------
    >>> found = henmi_copas([0.1, 0.4, 0.9, 0.3], [0.02, 0.03, 0.05, 0.04])
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.342, -0.095, 0.778)
    """
    data = read_funnel(yi, vi, level=level, alone="the method of Henmi and Copas")
    if data.k < 2:
        raise ModelError("the method of Henmi and Copas needs at least two effects; here k = 1")
    y, v = data.yi, data.vi
    tau2 = tau2_dl(y, v, np.ones((data.k, 1)))
    wi = 1 / v
    total = float(wi.sum())
    estimate = float(wi @ y) / total
    se = float(np.sqrt((1 + tau2 * float(wi @ wi) / total) / total))
    critical = pivot_quantile(wi, tau2, (1 - data.level) / 2)
    reach = critical * se
    return HenmiCopas(
        estimate=estimate, se=se, low=estimate - reach, high=estimate + reach, critical=critical, tau2=tau2,
        level=data.level, k=data.k,
    )  # fmt: skip


def pivot_quantile(wi: FloatArray, tau2: float, tail: float) -> float:
    """The value that the pivot U exceeds with probability `tail` (below one half)."""
    low, high = 1e-3, 2.0
    while pivot_tail(wi, tau2, high) > tail:
        low, high = high, 2 * high
    while pivot_tail(wi, tau2, low) < tail:
        low /= 16
    return root(lambda u: pivot_tail(wi, tau2, u) - tail, low, high)


def pivot_tail(wi: FloatArray, tau2: float, u: float) -> float:
    """P(U > u), the probability of a larger pivot.

    Parameters
    ----------
    wi : (k,) array
        Weights 1/v.
    tau2 : float
        Between-study variance.
    u : float
        A positive value of the pivot.

    References
    ----------
    [@henmi2010]
    """
    k, total = len(wi), float(wi.sum())
    share = wi / total
    rest = without_each(share)  # 1 - share, to its last digit where one study outweighs the others
    W2, room = float(share @ wi), float(share @ without_each(wi))
    f = 1 + tau2 * wi  # (v + tau^2) / v
    spread = float(share @ f)  # Var(R) = 1 + tau^2 W2
    sigma = np.sqrt(spread)
    # Q = (y - theta)' A (y - theta) with A = diag(w) - w w' / W. Given R = r, y - theta has mean r c / spread and
    # covariance D - c c' / spread with D = diag(v + tau^2), c = f / sqrt(W): all below are sums over studies.
    off = f * rest - without_each(share * f)  # f - spread
    cAc = float(share @ off**2)
    cADAc = float(share @ (f * off**2))
    trace = float(f @ rest)  # tr(AD)
    trace2 = float(f**2 @ rest**2) + float((share * f) @ without_each(share * f))  # tr(ADAD)
    mean0 = trace - cAc / spread
    variance0 = 2 * (trace2 - 2 * cADAc / spread + (cAc / spread) ** 2)
    # the integrand rises from r = u on the scale of u and falls with the normal density: panels of growing width
    far = u + TAIL * sigma
    edges = u + (far - u) * PANELS
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    r = (middle[:, None] + half[:, None] * nodes).ravel()
    dr = (half[:, None] * weights).ravel()
    mean = mean0 + r**2 * cAc / spread**2
    variance = np.maximum(variance0 + 4 * r**2 / spread**2 * (cADAc - cAc**2 / spread), np.finfo(float).tiny)
    bound = (k - 1) + ((r / u) ** 2 - 1) * room / W2
    below = gammainc(mean**2 / variance, bound * mean / variance)
    density = np.exp(-0.5 * (r / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return float(dr @ (below * density))


def without_each(values: FloatArray) -> FloatArray:
    """(k,) sums of all values but one, without subtracting it.

    Examples
    --------
    >>> without_each(np.array([1e20, 1.0, 2.0])).tolist()
    [3.0, 1e+20, 1e+20]
    """
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    after = np.concatenate([np.cumsum(values[::-1])[::-1][1:], [0.0]])
    return np.asarray(before + after)
