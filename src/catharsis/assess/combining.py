"""Combined p values, for evidence whose effects cannot be averaged.

All methods take one-sided p values that point in the same direction; they differ in what they are sensitive to.
Fisher, Tippett and Wilkinson ask whether at least one study has an effect, Pearson whether all have, and Stouffer,
Edgington, logit and the weighted ones give every study a say. None says how large the effect is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import bdtrc, betainc, chdtrc, chdtri, gammainc, gammaincinv, ndtr, ndtri, stdtr

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import probability, whole_number
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

METHODS = (
    "fisher", "pearson", "stouffer", "edgington", "tippett", "wilkinson", "binomial", "logit", "inverse-chi2",
)  # fmt: skip
WEIGHTED = frozenset({"stouffer", "inverse-chi2"})
DROWNED = frozenset({"stouffer", "logit", "pearson"})  # by a single p of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedP:
    """A combined p value.

    Attributes
    ----------
    statistic : float
        chi-square (fisher, pearson, inverse-chi2), z (stouffer), t (logit), the sum (edgington), the r-th smallest p
        (tippett, wilkinson) or the number of p values up to `alpha` (binomial).
    pvalue : float
        One-sided combined p.
    method : str
        How.
    k : int
        Number of p values.
    df : float
        Degrees of freedom of the statistic; nan where it has none.
    notes : tuple of str
        What every reader must be told.
    """

    statistic: float
    pvalue: float
    method: str
    k: int
    df: float = float("nan")
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        names = ("statistic", "df", "pvalue", "k")
        return pd.DataFrame([{name: getattr(self, name) for name in names}], index=[self.method])


def combine_pvalues(
    p: Sequence[float] | FloatArray | pd.Series,
    method: Literal[
        "fisher", "pearson", "stouffer", "edgington", "tippett", "wilkinson", "binomial", "logit", "inverse-chi2"
    ] = "stouffer",
    *,
    weights: Sequence[float] | FloatArray | pd.Series | None = None,
    signs: Sequence[float] | FloatArray | pd.Series | None = None,
    r: int = 1,
    alpha: float = 0.05,
) -> CombinedP:
    """Combine independent p values.

    Parameters
    ----------
    p : (k,) array
        One-sided p values in one direction; or two-sided ones together with `signs`. 0 < p <= 1.
    method : str
        See the module; "fisher", "stouffer", "edgington" and so on.
    weights : (k,) array, optional
        Positive weights for stouffer (roots of sample sizes, say), degrees of freedom for inverse-chi2.
    signs : (k,) array, optional
        Directions of the effects. With them `p` is two-sided, and p / 2 or 1 - p / 2 is combined.
    r : int
        For wilkinson: which smallest p is judged.
    alpha : float
        For binomial: which p values are counted.

    Returns
    -------
    CombinedP

    Raises
    ------
    ModelError
        p outside (0, 1], bad weights, a sign of zero, or an unknown method.

    References
    ----------
    [@fisher1932; @stouffer1949; @edgington1972a; @becker1994]

    Examples
    --------
    >>> round(combine_pvalues([0.04, 0.2, 0.01], "fisher").pvalue, 5)
    0.00439
    >>> round(combine_pvalues([0.08, 0.4], signs=[1, -1]).pvalue, 4)
    0.2602
    """
    values = _vector(p, "p")
    k = len(values)
    if k == 0:
        raise ModelError("there are no p values to combine")
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        where = ", ".join(str(i + 1) for i in np.flatnonzero(bad)[:5])
        raise ModelError(
            f"p of {where} is {values[bad][0]}; it must lie in (0, 1]: for a p printed as 0 enter its upper bound"
        )
    if method not in METHODS:
        raise ModelError(f'there is no method "{method}": {did_you_mean(str(method), METHODS)}')
    r, alpha = whole_number(r, "r", f"it counts p values, of which there are {k}"), probability(alpha, "alpha")
    values, beyond = (values, 1 - values) if signs is None else _one_sided(values, _vector(signs, "signs"))
    wi = np.ones(k)
    if weights is not None:
        if method not in WEIGHTED:
            raise ModelError(f"{method} has no weights; stouffer and inverse-chi2 have")
        wi = _vector(weights, "weights")
        if len(wi) != k or not (np.isfinite(wi) & (wi > 0)).all():
            raise ModelError(f"weights must be {k} positive numbers, one for each p")
    notes = ("a p of 1 outweighs all others here",) if method in DROWNED and np.any(beyond == 0) else ()
    statistic, combined, df = _combined(values, beyond, method, wi, r, alpha)
    return CombinedP(statistic=statistic, pvalue=combined, method=method, k=k, df=df, notes=notes)


def _vector(values: Sequence[float] | FloatArray | pd.Series, name: str) -> FloatArray:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if found.ndim != 1:
        raise ModelError(f"{name} has {found.ndim} dimensions; it needs one value for each study")
    return found


def _one_sided(p: FloatArray, signs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One-sided p and what they lack to 1, which for small two-sided p is not the difference."""
    if len(signs) != len(p):
        raise ModelError(f"there are {len(p)} p values but {len(signs)} signs")
    undecided = ~(np.abs(signs) > 0)
    if undecided.any():
        raise ModelError(
            f"the sign of p value {int(np.argmax(undecided)) + 1} is not known; leave it out, or give a one-sided p"
        )
    return np.where(signs > 0, p / 2, 1 - p / 2), np.where(signs > 0, 1 - p / 2, p / 2)


def _combined(
    p: FloatArray, beyond: FloatArray, method: str, wi: FloatArray, r: int, alpha: float
) -> tuple[float, float, float]:
    """Statistic, p, degrees of freedom; `beyond` is 1 - p without the rounding."""
    k, nan = len(p), float("nan")
    with np.errstate(divide="ignore"):
        log_p, log_beyond = (
            np.where(one < 0.5, np.log(one), np.log1p(-other)) for one, other in ((p, beyond), (beyond, p))
        )
    if method == "fisher":
        statistic = -2 * float(log_p.sum())
        return statistic, float(chdtrc(2 * k, statistic)), 2.0 * k
    if method == "pearson":
        statistic = -2 * float(log_beyond.sum())
        return statistic, float(gammainc(k, statistic / 2)), 2.0 * k
    if method == "inverse-chi2":
        total = float(wi.sum())
        statistic = float(np.where(p < 0.5, chdtri(wi, p), 2 * gammaincinv(wi / 2, beyond)).sum())
        return statistic, float(chdtrc(total, statistic)), total
    if method == "stouffer":
        wi = wi / wi.max()
        z = np.where(p < 0.5, -ndtri(p), ndtri(beyond))
        statistic = float(wi @ z) / float(np.sqrt(wi @ wi))
        return statistic, float(ndtr(-statistic)), nan
    if method == "logit":
        logits = float((log_p - log_beyond).sum())
        df = 5.0 * k + 4
        statistic = -logits * float(np.sqrt(3 * df / (k * np.pi**2 * (5 * k + 2))))
        return statistic, float(stdtr(df, -statistic)), df
    if method == "edgington":
        return float(p.sum()), uniform_sum(float(p.sum()), k), nan
    if method == "binomial":
        count = int((p <= alpha).sum())
        return float(count), float(bdtrc(count - 1, k, alpha)) if count else 1.0, nan
    rank = 1 if method == "tippett" else r
    if rank > k:
        raise ModelError(f"r is {rank}; it counts p values, of which there are {k}")
    statistic = float(np.sort(p)[rank - 1])
    return statistic, float(betainc(rank, k - rank + 1, statistic)), nan


def uniform_sum(total: float, k: int) -> float:
    """P(U_1 + ... + U_k <= total) for independent uniform U, the null distribution of Edgington's sum.

    The textbook formula alternates in sign and loses all digits beyond k = 20. This is the recursion of cardinal
    B-splines, whose terms are all positive: M_n(x) = (x M_(n-1)(x) + (n - x) M_(n-1)(x - 1)) / (n - 1) is the density
    of n uniforms, and the distribution is the sum of M_(k+1)(total - j) over j = 0, 1, ...

    Parameters
    ----------
    total : float
        The sum, 0 to k.
    k : int
        Number of terms.

    References
    ----------
    [@edgington1972a]

    Examples
    --------
    >>> uniform_sum(0.5, 1), uniform_sum(1.0, 2), round(uniform_sum(0.25, 3) * 6, 6)
    (0.5, 0.5, 0.015625)
    """
    if total >= k:
        return 1.0
    x = total - np.arange(int(np.floor(total)) + 1)  # the points at which a spline of any order is needed
    density = ((x >= 0) & (x < 1)).astype(float)
    for n in range(2, k + 2):
        left = np.append(density[1:], 0.0)  # M_(n-1) at x - 1
        density = (x * density + np.maximum(n - x, 0.0) * left) / (n - 1)
    return min(1.0, float(density.sum()))
