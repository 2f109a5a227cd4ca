"""What every result from counts answers, under statsmodels' names: coefficients, tests, intervals, criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.counts import Counts, adjusted, cochran_q, observed_effects
from catharsis.models.coefficients import Coefficients
from catharsis.models.wald import Wald
from catharsis.numerics import FloatArray, chi2_upper

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountEstimates(Coefficients):
    """Coefficients and how certain they are.

    Attributes
    ----------
    measure : str
        OR, RR, RD, IRR, IRD, PLO or IRLN.
    beta, cov : (p,), (p, p) arrays
        Coefficients on the analysis scale (logarithms of ratios, odds and rates) and their covariance.
    df : float
        Degrees of freedom of the t tests; inf means normal.
    terms : tuple of str
        (p,) names of the coefficients.
    nobs : int
        Number of studies.
    yi, vi : (k,) arrays
        Effect that each study shows by itself and its variance; nan where zero cells leave it undefined.
    llf : float
        Log-likelihood.
    level : float
        Probability of the intervals.
    labels : tuple of str
        (k,) names of the studies.
    notes : tuple of str
        What every reader must be told.
    """

    measure: str
    beta: FloatArray
    cov: FloatArray
    df: float
    terms: tuple[str, ...]
    nobs: int
    yi: FloatArray
    vi: FloatArray
    llf: float
    level: float
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EqualEffects(CountEstimates):
    """One effect common to all studies, estimated from the counts without weighting by inverse variances.

    Attributes
    ----------
    QE : Wald
        Cochran's test of heterogeneity around the estimate.
    """

    QE: Wald

    @property
    def I2(self) -> float:
        """Share of the variation between studies that is not sampling error, in percent: (Q - df) / Q, at least 0."""
        return (
            max(100 * (1 - self.QE.df1 / self.QE.statistic), 0.0) if self.QE.df1 > 0 and self.QE.statistic > 0 else 0.0
        )

    @property
    def H2(self) -> float:
        """Q over its degrees of freedom; 1 when one study is all there is."""
        return self.QE.statistic / self.QE.df1 if self.QE.df1 > 0 else 1.0

    @property
    def aic(self) -> float:
        """Akaike's criterion of the normal likelihood of the observed effects."""
        return -2 * self.llf + 2

    @property
    def bic(self) -> float:
        """Schwarz's criterion of the normal likelihood of the observed effects."""
        return -2 * self.llf + float(np.log(max(np.isfinite(self.yi).sum(), 1)))


def pair(value: Any, second: Any, name: str) -> tuple[Any, Any]:
    """An option for the observed effects and one for the pooled estimate; a single value is for the former."""
    if isinstance(value, str | bool | int | float):
        return value, second
    try:
        first, last = value
    except (TypeError, ValueError):
        raise ModelError(
            f"{name} takes one value, or two: for the effects of the studies and for pooling them"
        ) from None
    return first, last


def shown_effects(
    measure: str, counts: Counts, add: Any, to: Any, drop00: Any
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Effect of each study after its adjustment, nan for studies left out, with a note for either."""
    changed, used = adjusted(counts, add, to, drop00)
    yi, vi = observed_effects(measure, changed)
    yi, vi = np.where(used, yi, np.nan), np.where(used, vi, np.nan)
    notes = []
    touched = int((changed.events != counts.events).any(axis=1).sum())
    if touched:
        notes.append(f"{add:g} added to each cell of {touched} of {counts.k} studies for the effects they show")
    lost = int((~np.isfinite(yi)).sum())
    if lost:
        notes.append(f"{lost} of {counts.k} studies show no effect by themselves (no event, or nothing but events)")
    return yi, vi, tuple(notes)


def heterogeneity_around(yi: FloatArray, vi: FloatArray, centre: float) -> tuple[Wald, float]:
    """Cochran's Q of the observed effects around an estimate, and their normal log-likelihood there."""
    here = np.isfinite(yi)
    df = max(int(here.sum()) - 1, 0)
    if (vi[here] == 0).any():  # risk differences of 0 or 1 without anything added
        return Wald(float("nan"), df, float("inf"), float("nan")), float("nan")
    q = cochran_q(yi, vi, centre)
    llf = -(float(here.sum()) * np.log(2 * np.pi) + float(np.log(vi[here]).sum()) + q) / 2
    return Wald(q, df, float("inf"), chi2_upper(q, df) if df else 1.0), float(llf) if here.any() else float("nan")
