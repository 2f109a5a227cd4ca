"""Profile-likelihood intervals of variances and correlations.

A value belongs to the interval when the log-likelihood, maximised over everything else, lies within
chi2(level, 1) / 2 of the maximum. A limit that the likelihood never reaches is the bound of the parameter
(0 for a variance, the largest correlation that leaves a covariance matrix), or infinity; both are said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks
from catharsis.models.variance_components import Components, maximise, typical_unit
from catharsis.numerics import FloatArray, chi2_quantile

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 60  # doublings of a variance (its root: 30) before its upper limit is called infinite
ANOTHER = 1e-6  # log-likelihood units by which another hill is higher than the one followed
PRECISE = 1e-10  # relative precision of a limit on the scale of its search


def profile_intervals(
    blocks: Blocks,
    theta: FloatArray,
    held: FloatArray,
    reml: bool,
    level: float,
    names: Sequence[str],
    which: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Profile-likelihood intervals of the parameters of the random effects.

    Parameters
    ----------
    blocks : Blocks
        The model.
    theta : (s,) array
        Its estimates.
    held : (s,) array
        Values at which parameters were held; nan where estimated.
    reml : bool
        Restricted likelihood, or the full one.
    level : float
        Probability of the intervals.
    names : sequence of str
        Names of the parameters.
    which : sequence of str, optional
        Those wanted; by default all that were estimated.

    Returns
    -------
    pandas.DataFrame
        Index: names; columns estimate, low, high, and note ("" or why a limit is a bound).

    Raises
    ------
    ModelError
        When a name is unknown or its parameter was held.

    References
    ----------
    [@hardy1996]
    """
    import pandas as pd

    wanted = [names[int(j)] for j in np.flatnonzero(np.isnan(held))] if which is None else list(which)
    rows = []
    for name in wanted:
        if name not in names:
            raise ModelError(f'"{name}" is not a parameter of this model: {did_you_mean(name, list(names))}')
        j = list(names).index(name)
        if not np.isnan(held[j]):
            raise ModelError(f"{name} was held at {held[j]:g}, so it has no interval")
        rows.append((float(theta[j]), *profile_interval(blocks, theta, held, reml, level, j)))
    return pd.DataFrame(rows, index=wanted, columns=["estimate", "low", "high", "note"])


def profile_interval(
    blocks: Blocks, theta: FloatArray, held: FloatArray, reml: bool, level: float, j: int
) -> tuple[float, float, str]:
    """Lower limit, upper limit and note of parameter `j`."""
    low, high, variance = _range(blocks, j)
    unit = typical_unit(blocks)
    top = maximise(blocks, reml, held, theta).llf
    drop = chi2_quantile(level, 1) / 2
    visited = [(float(theta[j]), theta)]

    def summit(given: FloatArray, start: FloatArray | None) -> Components | None:
        try:
            return maximise(blocks, reml, given, start)
        except ModelError:  # no covariance matrix has this value
            return None

    def excess(value: float, anew: bool = False) -> float:
        """By how much the profile lies below the level of the limits; negative inside the interval.

        The search for the other parameters starts from the nearest value visited on the way from the estimate, or from
        several places (`anew`). What was found farther out may be the top of another hill.
        """
        centre = visited[0][0]
        if value == centre:
            return -drop
        way = [seen for seen in visited if abs(seen[0] - centre) <= abs(value - centre)]
        given, start = held.copy(), min(way, key=lambda seen: abs(seen[0] - value))[1].copy()
        given[j] = start[j] = value
        ends = [end for begin in ((start, None) if anew else (start,)) if (end := summit(given, begin)) is not None]
        if not ends:
            return float("inf")
        end = max(ends, key=lambda found: found.llf)
        visited.append((value, end.theta))
        return top - end.llf - drop

    at, notes = float(theta[j]), []
    lower, why = _limit(excess, at, low, variance, unit)
    notes += [f"lower limit {why}"] if why else []
    upper, why = _limit(excess, at, high, variance, unit)
    notes += [f"upper limit {why}"] if why else []
    return lower, upper, "; ".join(notes)


def _range(blocks: Blocks, j: int) -> tuple[float, float, bool]:
    """Where a parameter may lie, and whether it is a variance (or a range: also positive without bound)."""
    first = blocks.intercepts
    for structure in blocks.structures:
        if first <= j < first + structure.parameters and j >= first + structure.variances:
            low, high = structure.bounds()
            return low, high, not np.isfinite(high)
        first += structure.parameters
    return 0.0, float("inf"), True


def _limit(excess: Callable[..., float], at: float, bound: float, variance: bool, unit: float) -> tuple[float, str]:
    """The value between the estimate and a bound at which the profile crosses, on the scale of its root if positive."""

    def ahead(value: float) -> float:
        return value**2 if variance else value

    inside = float(np.sqrt(at)) if variance else at
    if bound == at:
        return bound, "at the bound of the parameter"
    outside = None
    if np.isfinite(bound):
        if excess(bound, anew=True) <= 0:
            return bound, "at the bound of the parameter"
        outside = float(np.sqrt(bound)) if variance else bound
    step = inside if inside > 0 else float(np.sqrt(unit))
    crossing = _crossing(lambda value: excess(ahead(value)), inside, outside, step)
    if crossing is not None and excess(ahead(crossing), anew=True) < -ANOTHER:
        # another hill is higher than the one followed: go on, looking everywhere
        crossing = _crossing(lambda value: excess(ahead(value), anew=True), crossing, outside, step)
    if crossing is None:
        return bound, "not reached: the likelihood hardly falls"
    return ahead(crossing), ""


def _crossing(excess: Callable[[float], float], inside: float, outside: float | None, step: float) -> float | None:
    """Where the excess turns positive beyond a place inside; None when it never does."""
    from scipy.optimize import brentq

    if outside is None:
        outside = inside + step
        for _ in range(WIDEST):
            if excess(outside) > 0:
                break
            inside, outside = outside, 2 * outside
        else:
            return None

    def finite(value: float) -> float:
        return min(excess(value), 1e3)  # a step beyond the covariance matrices is far outside

    low, high = sorted((inside, outside))
    return float(brentq(finite, low, high, xtol=1e-300, rtol=PRECISE))
