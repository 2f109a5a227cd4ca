"""Trim and fill: how many studies one side of the funnel lacks, and what the average would be with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.funnel_data import read_funnel
from catharsis.assess.funnel_regression import egger
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import whole_number
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS, weighted
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrimAndFill:
    """Missing studies and the model refitted with their mirror images.

    Attributes
    ----------
    k0 : int
        Estimated number of missing studies.
    se_k0 : float
        Its standard error, at the estimate before rounding; nan where the published variance is negative.
    p_k0 : float
        p of "none is missing on this side", for estimator R0; nan otherwise.
    side : str
        The side on which studies are missing, "left" or "right".
    estimator : str
        L0, R0 or Q0.
    filled_yi, filled_vi : (k0,) arrays
        Imputed effects and their variances.
    mirrored : (k0,) array of int
        Rows of the studies that they mirror.
    fit : Fit
        The model of observed and imputed effects together.
    observed : Fit
        The model of the observed effects.
    notes : tuple of str
        What every reader must be told.
    """

    k0: int
    se_k0: float
    p_k0: float
    side: Literal["left", "right"]
    estimator: str
    filled_yi: FloatArray
    filled_vi: FloatArray
    mirrored: IntArray
    fit: Fit = field(repr=False)
    observed: Fit = field(repr=False)
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """The average effect before and after filling."""
        import pandas as pd

        frame = pd.concat([self.observed.summary(), self.fit.summary()], ignore_index=True)
        frame.index = pd.Index(["observed", "filled"])
        frame["k"] = [self.observed.nobs, self.fit.nobs]
        frame["tau2"] = [self.observed.tau2, self.fit.tau2]
        return frame


def trim_and_fill(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    side: Literal["left", "right"] | None = None,
    estimator: Literal["L0", "R0", "Q0"] = "L0",
    method: str | None = None,
    test: str | None = None,
    limits: tuple[float, float] | None = None,
    ties: Literal["variance", "rows"] = "variance",
    max_steps: int = 100,
    level: float | None = None,
) -> TrimAndFill:
    """Trim and fill: a sensitivity analysis for studies missing from one side of the funnel.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators, or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    side : str, optional
        Where studies are missing; by default opposite to the slope of Egger's test (standard errors, same model).
    estimator : str
        L0 (default), R0 or Q0; R0 comes with a test.
    method, test : str, optional
        Estimator of tau^2 and test, while trimming and afterwards; by default those of the model, or REML and z.
    limits : (low, high), optional
        Bounds of the scale that imputed effects must respect.
    ties : str
        Which of several equal effects is trimmed first: that of the largest variance, so that the order of rows does
        not matter, or the last row, as other software has it.
    max_steps : int
        Steps after which the search gives up.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    TrimAndFill

    Raises
    ------
    ModelError
        Moderators or dependent effects, fewer than three effects, no convergence, or Q0 undefined.

    References
    ----------
    [@duval2000a; @duval2000b]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> found = trim_and_fill(yi, vi, method="EE")
    >>> found.side, found.k0, round(found.fit.predict().estimate, 3)
    ('left', 2, 0.262)
    """
    data = read_funnel(yi, vi, method=method, test=test, level=level, alone="trim and fill")
    if estimator not in ("L0", "R0", "Q0"):
        raise ModelError(f'there is no estimator "{estimator}": {did_you_mean(estimator, ["L0", "R0", "Q0"])}')
    if side not in (None, "left", "right"):
        raise ModelError(f'side is "{side}"; studies are missing on the "left" or the "right"')
    if ties not in ("variance", "rows"):
        raise ModelError(f'ties is "{ties}": {did_you_mean(ties, ["variance", "rows"])}')
    limits = None if limits is None else _bounds(limits)
    max_steps = whole_number(max_steps, "max_steps", "the search needs at least one step")
    if data.k < 3:
        raise ModelError(f"trim and fill needs at least three effects; here k = {data.k}")
    observed = fit(yi=data.yi, vi=data.vi, method=data.method, test=data.test, level=data.level)
    if side is None:
        try:
            slope = egger(data.yi, data.vi, method=data.method, test=data.test).statistic
        except ModelError as problem:
            raise ModelError(f"Egger's test cannot tell the side ({problem}): give side=") from None
        side = "right" if slope < 0 else "left"
    sign = -1.0 if side == "right" else 1.0
    y, v = sign * data.yi, data.vi
    order = np.lexsort((v, y)) if ties == "variance" else np.argsort(y, kind="stable")
    raw, k0, centre = _settle(y[order], v[order], data.method, estimator, max_steps)
    trimmed = order[len(y) - k0 :]
    filled = sign * (2 * centre - y[trimmed])
    notes: list[str] = []
    if limits is not None:
        inside = np.clip(filled, *limits)
        if np.any(inside != filled):
            notes.append(f"{int(np.sum(inside != filled))} imputed effects were moved to the limits {limits}")
        filled = inside
    border = len(y) - k0
    if k0 > 0 and y[order[border]] == y[order[border - 1]] and v[order[border]] != v[order[border - 1]]:
        first = "the less precise" if ties == "variance" else "the later rows"
        notes.append(f"equal effects lie on the border of the trimmed set: {first} were trimmed")
    if border == 1:
        notes.append("trimming left a single effect, which alone is the centre of the filled funnel")
    se = _se_k0(len(y), raw, estimator)
    if np.isnan(se):
        notes.append("the published variance of k0 is negative here, so k0 has no standard error")
    refit = observed
    if k0:
        refit = fit(
            yi=np.concatenate([data.yi, filled]), vi=np.concatenate([data.vi, v[trimmed]]), method=data.method,
            test=data.test, level=data.level,
        )  # fmt: skip
    return TrimAndFill(
        k0=k0, se_k0=se, p_k0=0.5 ** (k0 + 1) if estimator == "R0" else float("nan"), side=side, estimator=estimator,
        filled_yi=filled, filled_vi=v[trimmed], mirrored=trimmed, fit=refit, observed=observed, notes=tuple(notes),
    )  # fmt: skip


def _bounds(limits: tuple[float, float]) -> tuple[float, float]:
    """Bounds of the scale, checked; infinite ones bound nothing."""
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        raise ModelError(f"limits are {shown(limits)}; give two numbers, the lower and the upper") from None
    if not low < high:
        raise ModelError(f"limits are {limits}; the lower must be below the upper")
    return low, high


def _settle(y: FloatArray, v: FloatArray, method: str, estimator: str, max_steps: int) -> tuple[float, int, float]:
    """Trim, estimate the centre, count again, until the count stands; effects in ascending order.

    The estimate before and after rounding, and the centre.
    """
    k, k0 = len(y), 0
    for _ in range(max_steps):
        kept = slice(0, k - k0)
        if k - k0 < 1:
            raise ModelError(f"trimming left none of {k} effects; the funnel has no centre to be symmetric about")
        centre = _centre(y[kept], v[kept], method)
        raw = _missing(y - centre, estimator)
        found = max(0, round(raw))
        if found == k0:
            return raw, k0, centre
        k0 = found
    raise ModelError(f"trim and fill did not settle within {max_steps} steps; try another estimator")


def _centre(y: FloatArray, v: FloatArray, method: str) -> float:
    if len(y) == 1:
        return float(y[0])
    X = np.ones((len(y), 1))
    return float(weighted(y, 1 / (v + ESTIMATORS[method](y, v, X)), X).beta[0])


def _missing(centred: FloatArray, estimator: str) -> float:
    """Number of missing studies from the signed ranks of effects in ascending order, not rounded, maybe negative."""
    k = len(centred)
    ranks = np.empty(k)
    ranks[np.argsort(np.abs(centred), kind="stable")] = np.arange(1, k + 1)
    positive = centred > 0
    total = float(ranks[positive].sum())
    if estimator == "R0":
        return k - float(ranks[~positive].max(initial=0.0)) - 1
    if estimator == "L0":
        return (4 * total - k * (k + 1)) / (2 * k - 1)
    inside = 2 * k**2 - 4 * total + 0.25
    if inside < 0:
        raise ModelError("the estimator Q0 is undefined here (root of a negative number); use L0 or R0")
    return k - 0.5 - float(np.sqrt(inside))


def _se_k0(k: int, k0: float, estimator: str) -> float:
    """Standard error of k0 [@duval2000b], at its value before rounding; nan where that variance is negative."""
    if estimator == "R0":
        return float(np.sqrt(2 * max(k0, 0.0) + 2))
    variance = (
        k * (k + 1) * (2 * k + 1) + 10 * k0**3 + 27 * k0**2 + 17 * k0 - 18 * k * k0**2 - 18 * k * k0 + 6 * k**2 * k0
    ) / 24
    if variance < 0:
        return float("nan")
    if estimator == "L0":
        return 4 * float(np.sqrt(variance)) / (2 * k - 1)
    inside = (k - 0.5) ** 2 - k0 * (2 * k - k0 - 1)
    return 2 * float(np.sqrt(variance)) / float(np.sqrt(inside)) if inside > 0 else float("nan")
