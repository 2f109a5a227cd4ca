"""Permutation tests: p values that rest on the assignment of signs or moderators, not on normal theory.

Without moderators the signs of the effects are flipped (their distribution is symmetric about 0 when the average
effect is 0); with moderators the rows of the model matrix are exchanged between the effects. Exchanging effects and
variances between fixed rows is the same thing, and that is how it is done here: X stays shared, and the statistics
come from `models.batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.funnel_data import fitted_model
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import whole_number
from catharsis.models.batch import CHUNK, Fits, Problems, fit_problems
from catharsis.models.deletion import held, problems_of
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

FEW = 2**15  # permutations that are all visited when nothing is said
MOST = 10**7  # permutations that an exact test may ask for: minutes to hours
TIE = float(np.sqrt(np.finfo(float).eps))  # statistics this close (relative, from 1) are equal but for rounding
REACH = 40  # doublings of a standard error in the search for a limit
FINE = 2.0**-20  # of a standard error: how precisely a limit is located


@dataclass(frozen=True, slots=True, eq=False)
class PermutationTest:
    """A permutation test of every coefficient.

    Attributes
    ----------
    pvalues : pandas.Series
        Two-sided p of each coefficient: the share of permutations whose |statistic| is at least the observed one.
    QM_p : float
        The same for the joint test, of all coefficients but the intercept (of the intercept when it is alone) unless
        told otherwise.
    low, high : pandas.Series
        Limits of the intervals of values that the test does not reject; nan when not asked for or not found.
    permutations : int
        How many were visited.
    exact : bool
        Whether these were all.
    notes : tuple of str
        What every reader must be told.
    """

    pvalues: pd.Series
    QM_p: float
    low: pd.Series
    high: pd.Series
    permutations: int
    exact: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which permutations are visited: `draws` (n, k) orders or signs, or all `total` by number."""

    signs: bool
    counts: IntArray  # how often each distinct row of X occurs, in the order of the rows
    total: int
    draws: IntArray | None

    def __len__(self) -> int:
        return self.total if self.draws is None else len(self.draws)

    def chunks(self, k: int) -> Iterator[IntArray]:
        """(m, k) signs 1 and -1, or orders in which the effects meet the sorted rows of X."""
        size = max(CHUNK // k, 1)
        for start in range(0, len(self), size):
            if self.draws is not None:
                yield self.draws[start : start + size]
                continue
            numbers = np.arange(start, min(start + size, self.total), dtype=np.int64)
            if self.signs:
                yield 1 - 2 * ((numbers[:, None] >> np.arange(k)) & 1)
            else:
                yield np.argsort(arrangements(numbers, self.counts), axis=1, kind="stable")


def permutation_test(
    fit: Fit,
    exact: bool | None = None,
    iterations: int = 1000,
    rng: np.random.Generator | None = None,
    interval: bool = False,
    joint: Sequence[str] | None = None,
) -> PermutationTest:
    """Test the coefficients of a univariate model by permutation; method and test of the fit are kept.

    Parameters
    ----------
    fit : Fit
        A univariate fit.
    exact : bool, optional
        Visit all permutations: 2^k flips of sign without moderators, k! over repeats of the rows of X with them. By
        default when there are at most 32768 of them, or no more than `iterations`.
    iterations : int
        Number of random permutations otherwise; the first is the data as they are, so that p is never 0.
    rng : numpy.random.Generator, optional
        Draws the random permutations.
    interval : bool
        Also look for the interval of values that the test does not reject, at the fit's level. Takes some sixty times
        as long per coefficient.
    joint : sequence of str, optional
        Terms that the joint test takes together; by default all but the intercept.

    Returns
    -------
    PermutationTest

    Raises
    ------
    ModelError
        When the effects are dependent, a term of `joint` is not in the model, no effect is left over to vary, an
        exact test would take more than ten million fits, or random permutations are needed without `rng`.

    References
    ----------
    [@follmann1999; @higgins2004]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> found = permutation_test(fit(yi=[0.1, 0.4, 0.9, 0.3, 0.5], vi=[0.02, 0.03, 0.05, 0.04, 0.02], method="DL"))
    >>> found.pvalues.to_dict(), found.permutations
    ({'intercept': 0.0625}, 32)
    """
    import pandas as pd

    fit = fitted_model(fit, "a permutation test")
    k = fit.nobs
    data = problems_of(fit, np.ones((1, k), dtype=bool), "permutation tests")
    if fit.df_resid < 1:
        raise ModelError(f"a permutation test needs more effects than coefficients; here k = {k} and p = {data.p}")
    plan, arranged = _plan(data, exact, iterations, rng)
    chosen = _positions(fit, joint)
    shares, lost = _shares(arranged, plan, fit, chosen)
    notes = []
    if lost:
        notes.append(f"{lost} of {len(plan)} permutations had no fit and are not counted")
    smallest = (2.0 if plan.signs else 1.0) / len(plan)
    if smallest > 1 - fit.level:
        notes.append(f"with {len(plan)} permutations p cannot be below {smallest:.3g}, whatever the effects")
    low, high = np.full(data.p, np.nan), np.full(data.p, np.nan)
    if interval:
        for j in range(data.p):
            low[j], high[j] = (_limit(arranged, plan, fit, chosen, j, sign) for sign in (-1, 1))
        if np.isnan([low, high]).any():
            notes.append("some limits were not found: the test rejects no value on that side")
    terms = list(fit.design.terms)
    return PermutationTest(
        pd.Series(shares[:-1], index=terms, name="p"), float(shares[-1]), pd.Series(low, index=terms, name="low"),
        pd.Series(high, index=terms, name="high"), len(plan), plan.draws is None, tuple(notes),
    )  # fmt: skip


def _positions(fit: Fit, joint: Sequence[str] | None) -> list[int]:
    terms = list(fit.design.terms)
    if joint is None:
        return [i for i, term in enumerate(terms) if term != "intercept"] or [0]
    if isinstance(joint, str) or not isinstance(joint, Iterable):
        raise ModelError(f"joint is {shown(joint)}; give a list of terms: {', '.join(terms)}")
    joint = list(joint)
    if not joint:
        raise ModelError(f"joint names no term; give at least one of: {', '.join(terms)}")
    for term in joint:
        if term not in terms:
            raise ModelError(f'"{term}" is not a term of this model: {did_you_mean(term, terms)}')
    return [terms.index(term) for term in joint]


def _plan(
    data: Problems, exact: bool | None, iterations: int, rng: np.random.Generator | None
) -> tuple[_Plan, Problems]:
    """What to visit, and the data with the rows of X sorted so that equal ones are neighbours."""
    k = data.mask.shape[1]
    iterations = whole_number(iterations, "iterations", "at least one permutation must be visited")
    signs = data.p == 1 and bool(np.ptp(data.X) == 0)
    counts = np.array([k], dtype=np.int64)
    if not signs:
        _, place, counts = np.unique(data.X, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(place.ravel(), kind="stable")
        own = None if data.a is None else data.a[:, order]
        data = Problems(data.y[:, order], data.v[:, order], data.X[order], data.mask, own)
    total = 2**k if signs else factorial(k) // prod(factorial(int(n)) for n in counts)
    everything = total <= iterations or (total <= FEW if exact is None else exact)
    if everything and total > MOST:
        raise ModelError(
            f"an exact test would take {total:.3g} fits; use exact=False with iterations= and rng=, "
            "which approximates it as closely as wanted"
        )
    if everything:
        return _Plan(signs, counts, total, None), data
    if not isinstance(rng, np.random.Generator):
        raise ModelError(
            f"{iterations} of {total:.3g} permutations would be drawn at random; "
            "give rng=numpy.random.default_rng(seed), or exact=True"
        )
    if signs:
        draws = rng.integers(0, 2, size=(iterations, k)) * 2 - 1
        draws[0] = 1
    else:
        draws = rng.permuted(np.tile(np.arange(k), (iterations, 1)), axis=1)
        draws[0] = np.arange(k)
    return _Plan(signs, counts, total, draws), data


def arrangements(numbers: IntArray, counts: IntArray) -> IntArray:
    """The arrangements of a multiset by number: (m, k) with value g `counts[g]` times in each row.

    Number 0 is the sorted one; the arrangements follow each other as in a dictionary.

    Examples
    --------
    >>> arrangements(np.arange(3), np.array([2, 1])).tolist()
    [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    k = int(counts.sum())
    rest = np.array(numbers, dtype=np.int64)
    left = np.tile(counts.astype(np.int64), (len(rest), 1))
    ways = np.full(len(rest), factorial(k) // prod(factorial(int(n)) for n in counts), dtype=np.int64)
    found = np.empty((len(rest), k), dtype=np.int64)
    each = np.arange(len(rest))
    for place in range(k):
        share = ways[:, None] * left // (k - place)  # how many arrangements go on with each value
        bound = np.cumsum(share, axis=1)
        value = (rest[:, None] >= bound).sum(axis=1)
        found[:, place] = value
        ways = share[each, value]
        rest = rest - (bound[each, value] - ways)
        left[each, value] -= 1
    return found


def _statistics(problems: Problems, fit: Fit, joint: list[int]) -> FloatArray:
    """|statistic| of each coefficient and the joint one, (m, p + 1); nan where there is no fit."""
    found = fit_problems(problems, fit.method, fit.test, held(fit))
    single = np.abs(found.statistic)
    single[found.identified[:, None] & np.isnan(single)] = 0.0  # 0 / 0: no effect and no error
    return np.column_stack([single, _joint(found, joint)])


def _joint(found: Fits, chosen: list[int]) -> FloatArray:
    """Wald statistic of some coefficients, (m,)."""
    beta, cov = found.beta[:, chosen], found.cov[:, chosen][:, :, chosen]
    value = np.full(len(beta), np.nan)
    certain = found.identified & (found.scale == 0)
    value[certain] = np.where(np.any(beta[certain] != 0, axis=1), np.inf, 0.0)
    usual = found.identified & (found.scale > 0)
    solved = np.linalg.solve(cov[usual], beta[usual][:, :, None])[:, :, 0]
    value[usual] = np.einsum("mq,mq->m", beta[usual], solved)
    return value


def _permuted(data: Problems, drawn: IntArray, signs: bool) -> Problems:
    mask = np.ones(drawn.shape, dtype=bool)
    if signs:
        return Problems(drawn * data.y, data.v, data.X, mask, data.a)
    own = None if data.a is None else data.a[0][drawn]
    return Problems(data.y[0][drawn], data.v[0][drawn], data.X, mask, own)


def _shares(data: Problems, plan: _Plan, fit: Fit, joint: list[int]) -> tuple[FloatArray, int]:
    """Share of permutations at least as extreme as the data, (p + 1,), and how many had no fit."""
    observed = _statistics(data, fit, joint)[0]
    finite = np.isfinite(observed)  # inf: a fit without any residual scatter
    bound = observed.copy()
    bound[finite] -= TIE * np.maximum(observed[finite], 1.0)
    extreme, lost = np.zeros(len(observed)), 0
    for drawn in plan.chunks(data.mask.shape[1]):
        values = _statistics(_permuted(data, drawn, plan.signs), fit, joint)
        extreme += (values >= bound).sum(axis=0)
        lost += int(np.isnan(values[:, -1]).sum())
    return extreme / (len(plan) - lost), lost


def _limit(data: Problems, plan: _Plan, fit: Fit, joint: list[int], j: int, sign: int) -> float:
    """The nearest value on one side of the estimate that the test rejects; nan when there is none in reach."""
    column = data.X[:, j]
    estimate, se = float(fit.beta[j]), float(fit.se[j])
    if se == 0:
        return estimate

    def rejects(away: float) -> bool:
        shifted = Problems(data.y - (estimate + sign * away) * column, data.v, data.X, data.mask, data.a)
        return bool(_shares(shifted, plan, fit, joint)[0][j] < 1 - fit.level)

    inside, outside = 0.0, se
    for _ in range(REACH):
        if rejects(outside):
            break
        inside, outside = outside, 2 * outside
        if outside > 2**20 * se:
            return float("nan")
    while outside - inside > FINE * se:
        middle = (inside + outside) / 2
        if rejects(middle):
            outside = middle
        else:
            inside = middle
    return estimate + sign * inside
