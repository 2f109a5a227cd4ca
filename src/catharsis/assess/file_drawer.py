"""Fail-safe N: how many studies that average a null result would overturn the conclusion.

It is not an estimate of how many studies are missing. Four definitions are in use: of Rosenthal (Stouffer's
combined p), Orwin (the average), Rosenberg (the equal-effects test), and the general one for random-effects models
(Viechtbauer 2024, a talk at the Society for Research Synthesis Methodology): N studies with the harmonic mean of the
sampling variances, mean zero and the heterogeneity of the observed ones join them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from catharsis.assess.funnel_data import read_funnel
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import finite_number, probability
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS, weighted
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("Rosenthal", "Orwin", "Rosenberg", "General")
MOST = 10**7  # studies; beyond this the search stops, for no literature has such a file drawer
ROUNDING = 1e-10  # share of N that is a rounding error: an N that solves its equation exactly is not rounded up


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsafeN:
    """Number of null studies that would overturn a conclusion.

    Attributes
    ----------
    n : float
        The smallest whole number of null studies; 0 when the conclusion does not hold now, inf when the search
        stopped at ten million.
    kind : str
        Rosenthal, Orwin, Rosenberg or General.
    k : int
        Number of observed studies.
    alpha, target : float
        What "overturned" means: a p above alpha, or an average at most `target`; the other is nan.
    pvalue : float
        p of the observed studies (one-sided for Rosenthal); nan for Orwin.
    estimate, tau2 : float
        Average and heterogeneity of the observed studies; nan where the kind has none.
    estimate_with, tau2_with, pvalue_with : float
        The same with the null studies added; General only.
    notes : tuple of str
        What every reader must be told.
    """

    n: float
    kind: str
    k: int
    alpha: float
    target: float
    pvalue: float
    estimate: float
    tau2: float
    estimate_with: float = float("nan")
    tau2_with: float = float("nan")
    pvalue_with: float = float("nan")
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        names = ("n", "k", "alpha", "target", "pvalue", "estimate", "tau2", "estimate_with", "tau2_with", "pvalue_with")
        return pd.DataFrame([{name: getattr(self, name) for name in names}], index=[self.kind])


def failsafe_n(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    kind: Literal["Rosenthal", "Orwin", "Rosenberg", "General"] | None = None,
    alpha: float = 0.05,
    target: float | None = None,
    method: str | None = None,
    exact: bool = False,
) -> FailsafeN:
    """How many null studies would have to lie in file drawers to overturn a conclusion.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators, or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays; Orwin's kind averages without weights when they are missing.
    kind : str, optional
        General by default for a model, Rosenthal for arrays.
    alpha : float
        Level that the p value must exceed; one-sided for Rosenthal.
    target : float, optional
        Average that counts as irrelevant, for Orwin (default: half the observed average) and General. Its sign is
        set to that of the observed average.
    method : str, optional
        Estimator of tau^2 for General; by default that of the model, or REML.
    exact : bool
        General only. False: the heterogeneity of both groups together follows from their means and variances.
        True: the model is refitted with N null studies whose sample variance gives the observed tau^2.

    Returns
    -------
    FailsafeN

    Raises
    ------
    ModelError
        Unknown kind, alpha outside (0, 1), or a target of zero, which no number of studies reaches.

    References
    ----------
    [@rosenthal1979; @orwin1983; @rosenberg2005]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> failsafe_n(yi, vi).n, failsafe_n(yi, vi, kind="Orwin", target=0.1).n, failsafe_n(yi, vi, kind="General").n
    (41.0, 12.0, 9.0)
    """
    if kind is None:
        kind = "General" if isinstance(yi, Fit) else "Rosenthal"
    if kind not in KINDS:
        raise ModelError(f'there is no fail-safe N "{kind}": {did_you_mean(kind, KINDS)}')
    alpha = probability(alpha, "alpha")
    if target is not None and finite_number(target, "target") == 0:
        raise ModelError(f"the target is {target}; null studies bring an average near zero but never to it")
    if target is not None and kind not in ("Orwin", "General"):
        raise ModelError(f"a target average belongs to Orwin and General; {kind} works towards alpha")
    if kind == "Orwin" and vi is None and not isinstance(yi, Fit):
        y = read_funnel(yi, np.ones(np.size(yi))).yi
        return _orwin(y, np.ones(len(y)), target)
    data = read_funnel(yi, vi, method=method, alone="a fail-safe N")
    if kind == "Orwin":
        return _orwin(data.yi, 1 / data.vi, target)
    if kind == "Rosenthal":
        return _rosenthal(data.yi, data.vi, alpha)
    if kind == "Rosenberg":
        return _rosenberg(data.yi, data.vi, alpha)
    return _general(data.yi, data.vi, data.method, alpha, target, exact)


def _whole(n: float) -> float:
    """The smallest whole number that is not below n, rounding errors apart, and never negative."""
    nearest = float(np.round(n))
    return max(0.0, nearest if abs(n - nearest) <= ROUNDING * max(1.0, abs(n)) else float(np.ceil(n)))


def _rosenthal(yi: FloatArray, vi: FloatArray, alpha: float) -> FailsafeN:
    """Stouffer's z of k + N studies, N of them with z = 0, falls to the one-sided critical value."""
    k = len(yi)
    total = abs(float(np.sum(yi / np.sqrt(vi))))
    p = float(ndtr(-total / np.sqrt(k)))
    n = _whole((total / float(ndtri(alpha))) ** 2 - k) if p < alpha else 0.0
    return FailsafeN(
        n=n, kind="Rosenthal", k=k, alpha=alpha, target=float("nan"), pvalue=p, estimate=float("nan"),
        tau2=float("nan"), notes=() if n else (f"the combined p is already above {alpha:g}",),
    )  # fmt: skip


def _orwin(yi: FloatArray, wi: FloatArray, target: float | None) -> FailsafeN:
    """N null studies of average weight bring the average down to the target."""
    k = len(yi)
    average = float(wi @ yi / wi.sum())
    notes: tuple[str, ...] = ()
    if target is None:
        target, notes = average / 2, ("no target was given: half the observed average always gives N = k",)
    target = abs(target) * float(np.sign(average))
    n = _whole(k * (average / target - 1)) if target and abs(average) > abs(target) else 0.0
    if n == 0:
        notes = (*notes, "the average is already at or below the target")
    return FailsafeN(
        n=n, kind="Orwin", k=k, alpha=float("nan"), target=target, pvalue=float("nan"), estimate=average,
        tau2=float("nan"), notes=notes,
    )  # fmt: skip


def _rosenberg(yi: FloatArray, vi: FloatArray, alpha: float) -> FailsafeN:
    """The equal-effects z, sum(w y) / sqrt(sum(w) + N w_mean), falls to the two-sided critical value."""
    k, wi = len(yi), 1 / vi
    total, weight = float(wi @ yi), float(wi.sum())
    p = float(two_sided_p(total / np.sqrt(weight)))
    n = _whole(((total / float(ndtri(alpha / 2))) ** 2 - weight) * k / weight) if p < alpha else 0.0
    return FailsafeN(
        n=n, kind="Rosenberg", k=k, alpha=alpha, target=float("nan"), pvalue=p, estimate=total / weight,
        tau2=float("nan"), notes=() if n else (f"p is already above {alpha:g}",),
    )  # fmt: skip


def _general(yi: FloatArray, vi: FloatArray, method: str, alpha: float, target: float | None, exact: bool) -> FailsafeN:
    """The smallest n at which the random-effects conclusion no longer holds."""
    k = len(yi)
    now = fit(yi=yi, vi=vi, method=method, test="z")
    estimate, p = float(now.beta[0]), float(two_sided_p(now.statistic[0]))
    goal = float("nan") if target is None else abs(target) * float(np.sign(estimate))

    def with_null(n: int) -> tuple[float, float, float]:
        return with_null_studies(yi, vi, n, method=now.method, tau2=now.tau2, exact=exact)

    def holds(n: int) -> bool:
        """Whether the conclusion survives n null studies."""
        average, _, p_with = with_null(n)
        return p_with < alpha if target is None else abs(average) > abs(goal)

    n = _first_failing(holds)
    notes = () if n else ("the conclusion does not hold for the observed studies",)
    if n is None:
        notes = (f"more than {MOST:,} null studies would be needed",)
    average, tau2, p_with = (float("nan"),) * 3 if n is None else with_null(n)
    return FailsafeN(
        n=float("inf") if n is None else float(n), kind="General", k=k, alpha=alpha if target is None else float("nan"),
        target=goal, pvalue=p, estimate=estimate, tau2=now.tau2, estimate_with=average, tau2_with=tau2,
        pvalue_with=p_with, notes=notes,
    )  # fmt: skip


def _first_failing(holds: Callable[[int], bool]) -> int | None:
    """The smallest n >= 0 at which a conclusion no longer holds, by doubling and halving; None beyond MOST."""
    if not holds(0):
        return 0
    high = 1
    while holds(high):
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


def with_null_studies(
    yi: FloatArray, vi: FloatArray, n: int, *, method: str, tau2: float, exact: bool = False
) -> tuple[float, float, float]:
    """Average, tau^2 and two-sided p when n null studies join the observed ones.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Observed effects and sampling variances.
    n : int
        Number of null studies.
    method : str
        Estimator of tau^2.
    tau2 : float
        Heterogeneity of the observed studies.
    exact : bool
        Refit the model, instead of pooling the two groups of true effects.

    Returns
    -------
    (float, float, float)
    """
    k = len(yi)
    wi = 1 / (vi + tau2)
    estimate = float(wi @ yi / wi.sum())
    if n == 0:
        return estimate, tau2, float(two_sided_p(float(wi @ yi) / np.sqrt(wi.sum())))
    null_vi = k / float(np.sum(1 / vi))
    if exact:
        return _refitted(yi, vi, n, method, tau2, null_vi)
    if method not in ("EE", "FE"):  # the variance of two groups of true effects together, means 0 and the estimate
        tau2 = ((k + n - 2) * tau2 + k * n / (k + n) * estimate**2) / (k + n - 1)
    wi = 1 / (vi + tau2)
    weight = float(wi.sum()) + n / (null_vi + tau2)
    total = float(wi @ yi)
    return total / weight, tau2, float(two_sided_p(total / np.sqrt(weight)))


def _refitted(
    yi: FloatArray, vi: FloatArray, n: int, method: str, tau2: float, null_vi: float
) -> tuple[float, float, float]:
    """`with_null_studies` by a refit.

    Studies of equal variance enter every estimator through their mean and sum of squares only; these are 0 and
    (n - 1) (tau^2 + v), so that the null studies alone would be estimated to have the observed tau^2.
    """
    null = np.zeros(n)
    if n > 1:
        pairs = n // 2
        reach = np.sqrt((n - 1) * (tau2 + null_vi) / (2 * pairs))
        null[:pairs], null[pairs : 2 * pairs] = reach, -reach
    y, v = np.concatenate([yi, null]), np.concatenate([vi, np.full(n, null_vi)])
    X = np.ones((len(y), 1))
    spread = ESTIMATORS[method](y, v, X)
    found = weighted(y, 1 / (v + spread), X)
    average = float(found.beta[0])
    return average, spread, float(two_sided_p(average / np.sqrt(found.cov[0, 0])))
