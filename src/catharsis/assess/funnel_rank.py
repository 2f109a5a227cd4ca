"""Rank correlation test of funnel plot asymmetry (Begg and Mazumdar)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.dispersion import EXACT
from catharsis.assess.funnel_data import read_funnel, without_rounding
from catharsis.errors import ModelError
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

EXACT_UP_TO = 500  # effects; beyond this the exact distribution takes seconds and equals the normal one to 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest:
    """Kendall's rank correlation of standardised effects and their variances.

    Attributes
    ----------
    tau : float
        Kendall's tau-b.
    pvalue : float
        Two-sided p.
    score, score_se : float
        Concordant minus discordant pairs, and its standard error without association, ties allowed for.
    exact : bool
        Whether p is exact (no ties) or from the normal approximation.
    k : int
        Number of effects.
    notes : tuple of str
        What every reader must be told.
    """

    tau: float
    pvalue: float
    score: float
    score_se: float
    exact: bool
    k: int
    notes: tuple[str, ...] = ()

    @property
    def statistic(self) -> float:
        """The score over its standard error."""
        return self.score / self.score_se

    @property
    def normal_pvalue(self) -> float:
        """Two-sided p of the normal approximation."""
        return float(two_sided_p(self.statistic))

    def corrected(self) -> tuple[float, float]:
        """Statistic and two-sided p of the normal approximation with continuity correction."""
        reduced = np.sign(self.score) * max(abs(self.score) - 1, 0.0) / self.score_se
        return float(reduced), float(two_sided_p(reduced))

    def summary(self) -> pd.DataFrame:
        """One row: tau, statistic, p, exact."""
        import pandas as pd

        row = {"tau": self.tau, "statistic": self.statistic, "p": self.pvalue, "exact": self.exact, "k": self.k}
        return pd.DataFrame([row], index=["rank test"])


def rank_test(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    exact: bool | None = None,
) -> RankTest:
    """Test whether effects are correlated with their variances, by ranks.

    Parameters
    ----------
    yi : Fit or (k,) array
        A fitted model, of which only effects and variances are used, or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    exact : bool, optional
        Exact p; by default whenever nothing is tied, up to 500 effects.

    Returns
    -------
    RankTest

    Raises
    ------
    ModelError
        Fewer than three effects, constant effects or variances, or an exact p asked for with ties.

    References
    ----------
    [@begg1994]

    Examples
    --------
    >>> found = rank_test([0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01])
    >>> round(found.tau, 3), round(found.pvalue, 4)
    (0.867, 0.0167)
    """
    from scipy.stats import kendalltau

    data = read_funnel(yi, vi)
    k = data.k
    if k < 3:
        raise ModelError(f"a rank correlation needs at least three effects; here k = {k}")
    y, v = data.yi, data.vi
    wi = 1 / v
    common = float(np.sum(np.sort(wi * y)) / np.sum(np.sort(wi)))  # sorted: the sum does not depend on the row order
    remaining = v - 1 / float(np.sum(np.sort(wi)))
    gap = y - common
    gap[np.abs(gap) <= k * EXACT * np.max(np.abs(y))] = 0.0  # rounding errors have no ranks
    standardised = gap / np.sqrt(remaining)
    for values, name in ((standardised, "effects"), (without_rounding(v), "variances")):
        if np.all(values == values[0]):
            raise ModelError(f"all {name} are equal, so there is nothing to rank")
    ties_y, ties_v = _ties(standardised), _ties(v)
    tied = bool(len(ties_y) or len(ties_v))
    if exact and tied:
        raise ModelError("no exact p exists with tied effects or variances; leave `exact` out")
    exact = (k <= EXACT_UP_TO and not tied) if exact is None else exact
    found = kendalltau(standardised, v, method="exact" if exact else "asymptotic", variant="b")
    pairs = k * (k - 1) / 2
    half = [float(np.sum(t * (t - 1) / 2)) for t in (ties_y, ties_v)]
    score = float(np.round(found.statistic * np.sqrt((pairs - half[0]) * (pairs - half[1]))))
    note = ("ties among effects or variances: p is from the normal approximation",) if tied else ()
    return RankTest(
        tau=float(found.statistic), pvalue=float(found.pvalue), score=score, score_se=_score_se(k, ties_y, ties_v),
        exact=bool(exact), k=k, notes=note,
    )  # fmt: skip


def _ties(values: FloatArray) -> FloatArray:
    """Sizes of the groups of tied values."""
    counts = np.unique(values, return_counts=True)[1]
    return counts[counts > 1].astype(float)


def _score_se(k: int, ties_y: FloatArray, ties_v: FloatArray) -> float:
    """Standard error of Kendall's score under independence, with ties (Kendall 1970, Rank correlation methods)."""
    plain = k * (k - 1) * (2 * k + 5)
    tied = sum(float(np.sum(t * (t - 1) * (2 * t + 5))) for t in (ties_y, ties_v))
    second = float(np.sum(ties_y * (ties_y - 1))) * float(np.sum(ties_v * (ties_v - 1))) / (2 * k * (k - 1))
    third = float(np.sum(ties_y * (ties_y - 1) * (ties_y - 2))) * float(np.sum(ties_v * (ties_v - 1) * (ties_v - 2)))
    return float(np.sqrt((plain - tied) / 18 + second + third / (9 * k * (k - 1) * (k - 2))))
