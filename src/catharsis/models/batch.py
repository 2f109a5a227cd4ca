"""Many univariate models at once: m problems of at most k effects, as (m, k) arrays with a mask.

Deletions, subsets, permutations and simulated data all ask for thousands of small fits whose time would go into
Python, not into arithmetic. Here one problem is one row: its effects where the mask is true, weight zero elsewhere.
Sums over effects are matrix products, the iterations for tau^2 run over all problems together and let go of those
that have converged, and rows are taken in chunks, so that memory stays O(k) whatever m is.

The sums X'WX are accumulated in a basis that is orthonormal under the average weights, which keeps the digits that
plain normal equations lose. Problems that are badly conditioned all the same (a deletion that all but removes a
moderator) leave the batch and are fitted one by one, as `fit` would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.heterogeneity import NO_HETEROGENEITY, estimate_tau2, weighted
from catharsis.models.knapp_hartung import ROUNDING, Test
from catharsis.models.univariate import weighted_estimate
from catharsis.numerics import FloatArray, IntArray, chi2_quantile

BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

CHUNK = 2**17  # numbers per (rows, k) array: about 1 MB, so that a chunk stays in the cache
MAX_STEPS = 60
CONVERGED = 1e-13  # relative step of tau^2, as for a single fit
STALLED = 1e-8  # quadratic convergence has reached rounding when steps this small stop shrinking
NEWTON = 0.05  # relative step below which expected information gives way to observed information
PER_UNIT = 4  # grid points per unit of log(tau^2 + min v) in the search for the highest peak
RIVAL = 2.0  # a second peak less than this much of the deviance lower is compared at its exact place
ILL = 1e-6  # ratio of the extreme eigenvalues of X'WX, orthonormal basis, that leaves ten digits


@dataclass(frozen=True, slots=True)
class Problems:
    """m problems y_i ~ N(x_i b, v_i + tau^2), each on some of k effects.

    Attributes
    ----------
    y, v : (m, k) or (1, k) arrays
        Effects and sampling variances; finite, and positive, also outside the mask.
    X : (k, p) or (m, k, p) array
        Moderators, shared or one matrix per problem.
    mask : (m, k) array of bool
        Which effects take part.
    a : (m, k) or (1, k) array, optional
        Weights of the user's own, in place of 1 / (v + tau^2).
    """

    y: FloatArray
    v: FloatArray
    X: FloatArray
    mask: BoolArray
    a: FloatArray | None = None

    @property
    def k(self) -> IntArray:
        """(m,) number of effects of each problem."""
        return np.asarray(self.mask.sum(axis=1))

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return int(self.X.shape[-1])

    def rows(self, chosen: slice | IntArray | BoolArray) -> Problems:
        """Some of the problems."""
        own = [None if part is None else part if len(part) == 1 else part[chosen] for part in (self.y, self.v, self.a)]
        X = self.X if self.X.ndim == 2 else self.X[chosen]
        assert own[0] is not None
        assert own[1] is not None
        return Problems(own[0], own[1], X, self.mask[chosen], own[2])

    def one(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
        """Effects, variances, moderators and weights of one problem, without the others' rows."""
        kept = self.mask[row]
        y, v = (part[0 if len(part) == 1 else row][kept] for part in (self.y, self.v))
        a = None if self.a is None else self.a[0 if len(self.a) == 1 else row][kept]
        return y, v, (self.X if self.X.ndim == 2 else self.X[row])[kept], a


@dataclass(frozen=True, slots=True)
class Fits:
    """The fits of m problems; nan throughout where a problem does not identify its coefficients.

    Attributes
    ----------
    k : (m,) array
        Number of effects.
    beta, cov : (m, p), (m, p, p) arrays
        Coefficients and their covariance, the Knapp-Hartung factor included.
    df : (m,) array
        Degrees of freedom of the t tests; inf means normal.
    tau2, scale : (m,) arrays
        Between-study variance and Knapp-Hartung factor.
    QE : (m,) array
        Cochran's Q, weights 1 / v.
    typical : (m,) array
        Typical sampling variance; nan when k = p.
    """

    k: IntArray
    beta: FloatArray
    cov: FloatArray
    df: FloatArray
    tau2: FloatArray
    scale: FloatArray
    QE: FloatArray
    typical: FloatArray

    @property
    def identified(self) -> BoolArray:
        """(m,) whether the data of a problem determine its coefficients."""
        return np.asarray(~np.isnan(self.tau2))

    @property
    def se(self) -> FloatArray:
        """(m, p) standard errors."""
        return np.asarray(np.sqrt(np.diagonal(self.cov, axis1=1, axis2=2)))

    @property
    def statistic(self) -> FloatArray:
        """(m, p) estimate over standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.beta / self.se)


# -- weighted least squares ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted least squares of many problems.

    Attributes
    ----------
    beta : (m, p) array
        Coefficients of X.
    inverse : (m, p, p) array
        (Q'WQ)^-1 in the basis Q, X = Q R.
    basis, back : arrays
        Q as X is shaped, and R^-1 (p, p) or (m, p, p).
    residual : (m, k) array
        y - X beta, also outside the mask.
    rss, quadratic : (m,) arrays
        Sums of w r^2 and of w^2 r^2 = y'PPy.
    """

    beta: FloatArray
    inverse: FloatArray
    basis: FloatArray
    back: FloatArray
    residual: FloatArray
    rss: FloatArray
    quadratic: FloatArray

    def cov(self) -> FloatArray:
        """(m, p, p) inverse of X'WX."""
        return np.asarray(self.back @ self.inverse @ np.swapaxes(self.back, -1, -2))

    def log_information(self) -> FloatArray:
        """(m,) log|X'WX|."""
        return np.asarray(-np.linalg.slogdet(self.inverse)[1] - 2 * np.linalg.slogdet(self.back)[1])


def gram(w: FloatArray, Q: FloatArray) -> FloatArray:
    """Q'WQ for each row of weights, (m, p, p)."""
    if Q.ndim == 2:
        k, p = Q.shape
        return np.asarray((w @ (Q[:, :, None] * Q[:, None, :]).reshape(k, p * p)).reshape(-1, p, p))
    return np.asarray(np.swapaxes(Q, 1, 2) @ (w[:, :, None] * Q))


def project(u: FloatArray, Q: FloatArray) -> FloatArray:
    """Q'u for each row, (m, p)."""
    return np.asarray(u @ Q if Q.ndim == 2 else np.einsum("mk,mkp->mp", u, Q))


def fitted(b: FloatArray, Q: FloatArray) -> FloatArray:
    """Q b for each row, (m, k)."""
    return np.asarray(b @ Q.T if Q.ndim == 2 else np.einsum("mkp,mp->mk", Q, b))


def _triangle(tall: FloatArray) -> FloatArray:
    """R of the QR factorisation, (..., p, p)."""
    return np.asarray(np.linalg.qr(tall, mode="r"), dtype=np.float64)


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])


def least_squares(problems: Problems, w: FloatArray) -> Sums:
    """Weighted least squares with weights `w` (m, k), zero outside the mask."""
    X = problems.X
    half = np.sqrt(w.mean(axis=0) if X.ndim == 2 else w)
    back = np.asarray(np.linalg.inv(_triangle(half[..., None] * X)), dtype=np.float64)
    Q = X @ back
    inverse = np.asarray(np.linalg.inv(gram(w, Q)), dtype=np.float64)
    b = _times(inverse, project(w * problems.y, Q))
    residual = problems.y - fitted(b, Q)
    u = w * residual
    return Sums(
        np.asarray((back @ b[:, :, None])[:, :, 0]), inverse, Q, back, residual, np.einsum("mk,mk->m", u, residual),
        np.einsum("mk,mk->m", u, u),
    )  # fmt: skip


def _trace(w: FloatArray, at: Sums) -> FloatArray:
    """(m,) tr(P)."""
    return np.asarray(w.sum(axis=1) - np.einsum("mij,mji->m", at.inverse, gram(w * w, at.basis)))


def _weights(problems: Problems, tau2: FloatArray | float) -> FloatArray:
    """1 / (v + tau^2) inside the mask, 0 outside, (m, k)."""
    total = problems.v + (tau2[:, None] if isinstance(tau2, np.ndarray) else tau2)
    return np.asarray(np.where(problems.mask, 1 / total, 0.0))


# -- tau^2 --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Traces:
    """What the estimators of tau^2 need of many problems at one tau^2 each, (m,) arrays.

    `rss` y'Py and `quadratic` y'PPy always; from depth 2 `trace` tr(P), `total` tr(W) and `height`, the two halves of
    -2 log-likelihood but constants: rss - log|W|, and log|X'WX|; from depth 3 `trace2` tr(PP), `total2` tr(WW) and
    `cubic` y'PPPy.
    """

    rss: FloatArray
    quadratic: FloatArray
    trace: FloatArray | None = None
    total: FloatArray | None = None
    height: tuple[FloatArray, FloatArray] | None = None
    trace2: FloatArray | None = None
    total2: FloatArray | None = None
    cubic: FloatArray | None = None


class Source(Protocol):
    """Many problems of which only sums are asked."""

    @property
    def k(self) -> IntArray:
        """(m,) number of effects of each problem."""

    @property
    def p(self) -> int:
        """Number of coefficients."""

    @property
    def smallest(self) -> FloatArray:
        """(m,) smallest sampling variance of each problem."""

    @property
    def largest(self) -> float:
        """Largest sampling variance of all."""

    def hedges(self) -> FloatArray:
        """(m,) the Hedges estimate of each problem, not truncated."""

    def at(self, tau2: FloatArray, rows: IntArray, depth: int) -> Traces:
        """Sums of the problems `rows` at their `tau2`."""

    def deviances(self, grid: FloatArray, reml: bool) -> FloatArray:
        """-2 log-likelihood of each problem but for constants at each tau^2 of a grid, (m, n)."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Sums over the effects of each problem."""

    problems: Problems

    @property
    def k(self) -> IntArray:
        """(m,) number of effects of each problem."""
        return self.problems.k

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return self.problems.p

    @property
    def smallest(self) -> FloatArray:
        """(m,) smallest sampling variance of each problem."""
        return np.asarray(np.where(self.problems.mask, self.problems.v, np.inf).min(axis=1))

    @property
    def largest(self) -> float:
        """Largest sampling variance of all."""
        return float(self.problems.v.max())

    def hedges(self) -> FloatArray:
        """(m,) the Hedges estimate of each problem, not truncated."""
        problems = self.problems
        w = problems.mask.astype(float)
        at = least_squares(problems, w)
        spent = np.einsum("mij,mji->m", at.inverse, gram(w * problems.v, at.basis))
        room = (w * problems.v).sum(axis=1) - spent
        return np.asarray((at.rss - room) / (problems.k - problems.p))

    def at(self, tau2: FloatArray, rows: IntArray, depth: int) -> Traces:
        """Sums of the problems `rows` at their `tau2`."""
        active = self.problems.rows(rows)
        w = _weights(active, tau2)
        at = least_squares(active, w)
        if depth == 1:
            return Traces(at.rss, at.quadratic)
        square, total = w * w, w.sum(axis=1)
        inner = at.inverse @ gram(square, at.basis)
        trace = total - np.einsum("mii->m", inner)
        logs = np.log(w, out=np.zeros_like(w), where=active.mask).sum(axis=1)
        height = (at.rss - logs, at.log_information())
        if depth == 2:
            return Traces(at.rss, at.quadratic, trace, total, height)
        third = np.einsum("mij,mji->m", at.inverse, gram(square * w, at.basis))
        total2 = square.sum(axis=1)
        u = w * at.residual
        wu = w * u
        lost = project(wu, at.basis)
        cubic = np.einsum("mk,mk->m", wu, u) - np.einsum("mi,mij,mj->m", lost, at.inverse, lost)
        trace2 = total2 - 2 * third + np.einsum("mij,mji->m", inner, inner)
        return Traces(at.rss, at.quadratic, trace, total, height, trace2, total2, cubic)

    def deviances(self, grid: FloatArray, reml: bool) -> FloatArray:
        """-2 log-likelihood of each problem but for constants at each tau^2 of a grid, (m, n)."""
        problems = self.problems
        X = problems.X
        if len(problems.v) > 1 or X.ndim == 3:
            return deviances_one_by_one(self, grid, reml)
        # with one v for all problems each sum is a product of the mask with what all share
        Q = X @ np.linalg.inv(_triangle(X / np.sqrt(problems.v.T)))
        middle = np.asarray(Q.T @ np.mean(problems.y / problems.v, axis=0))
        y = np.where(problems.mask, problems.y - Q @ middle, 0.0)
        inside = problems.mask.astype(float)
        pairs = (Q[:, :, None] * Q[:, None, :]).reshape(len(Q), -1)
        found = np.empty((len(inside), len(grid)))
        for j, tau2 in enumerate(grid):
            w = 1 / (problems.v[0] + tau2)
            A = (inside @ (w[:, None] * pairs)).reshape(-1, problems.p, problems.p)
            b = y @ (w[:, None] * Q)
            rss = (y * y) @ w - np.einsum("mi,mi->m", b, np.linalg.solve(A, b[:, :, None])[:, :, 0])
            found[:, j] = rss - inside @ np.log(w) + (np.linalg.slogdet(A)[1] if reml else 0.0)
        return found


def deviances_one_by_one(source: Source, grid: FloatArray, reml: bool) -> FloatArray:
    """`Source.deviances` by `Source.at`."""
    m = len(source.k)
    return np.column_stack([_deviance(source, np.full(m, tau2), np.arange(m), reml) for tau2 in grid])


def _zero(source: Source) -> FloatArray:
    return np.zeros(len(source.k))


def _dl(source: Source) -> FloatArray:
    m = len(source.k)
    at = source.at(np.zeros(m), np.arange(m), 2)
    assert at.trace is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.maximum((at.rss - (source.k - source.p)) / at.trace, 0.0)
    return np.where(at.trace > 0, found, np.nan)  # one weight may drown all others in rounding errors


def _he(source: Source) -> FloatArray:
    return np.asarray(np.maximum(source.hedges(), 0.0))


def _at_q(source: Source, target: FloatArray) -> FloatArray:
    """Where the generalised Q equals `target` (m,), by Newton's method: Q is convex and falls with tau^2."""

    def step(tau2: FloatArray, rows: IntArray) -> FloatArray:
        at = source.at(tau2, rows, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            move = (at.rss - target[rows]) / at.quadratic
        return np.where(at.quadratic > 0, move, -tau2)

    return _iterate(source, _he(source), step)


def _pm(source: Source) -> FloatArray:
    return _at_q(source, (source.k - source.p).astype(float))


def _pmm(source: Source) -> FloatArray:
    quantiles = {n: chi2_quantile(0.5, float(n)) for n in set((source.k - source.p).tolist())}
    return _at_q(source, np.array([quantiles[n] for n in (source.k - source.p).tolist()]))


def _iterate(source: Source, start: FloatArray, step: Callable[[FloatArray, IntArray], FloatArray]) -> FloatArray:
    """Repeat tau^2 + step, kept at 0 or above, until a problem converges; nan where one does not."""
    tau2 = np.array(start)
    floor = source.smallest
    rows = np.arange(len(tau2))
    before = np.full(len(tau2), np.inf)
    for _ in range(MAX_STEPS):
        old = tau2[rows]
        new = np.maximum(old + step(old, rows), 0.0)
        lost = ~np.isfinite(new)
        if lost.any():  # rounding has eaten a trace; nan for the caller
            tau2[rows[lost]] = np.nan
            rows, old, new = rows[~lost], old[~lost], new[~lost]
        size = np.abs(new - old) / np.maximum(new, floor[rows])
        tau2[rows] = new
        moving = ~((size <= CONVERGED) | ((size <= STALLED) & (size > before[rows] / 2)))
        before[rows] = size
        rows = rows[moving]
        if len(rows) == 0:
            return tau2
    tau2[rows] = np.nan
    return tau2


def _deviance(source: Source, tau2: FloatArray, rows: IntArray, reml: bool) -> FloatArray:
    """-2 log-likelihood but for constants."""
    height = source.at(tau2, rows, 2).height
    assert height is not None
    return height[0] + height[1] if reml else height[0]


def _maximum(source: Source, reml: bool) -> FloatArray:
    """The highest point of a grid, Fisher scoring from there, finished by Newton's method.

    nan for a problem that does not converge near that point, or whose grid has another peak nearly as high: the caller
    looks at those one by one.
    """
    grid = tau2_grid(source)
    deviance = source.deviances(grid, reml)
    best = deviance.argmin(axis=1)
    floor = source.smallest

    def step(tau2: FloatArray, rows: IntArray) -> FloatArray:
        at = source.at(tau2, rows, 3)
        trace, trace2 = (at.trace, at.trace2) if reml else (at.total, at.total2)
        assert trace is not None
        assert trace2 is not None
        assert at.cubic is not None
        score = (at.quadratic - trace) / 2
        observed = at.cubic - trace2 / 2
        scoring = np.divide(score, trace2 / 2, out=np.full_like(score, np.nan), where=trace2 > 0)
        size = np.abs(scoring) / np.maximum(tau2, floor[rows])
        near = (size < NEWTON) & (observed > trace2 / 8)
        return np.asarray(np.where(near, score / np.where(near, observed, 1.0), scoring))

    tau2 = _iterate(source, grid[best], step)
    last = len(grid) - 1
    with np.errstate(invalid="ignore"):
        astray = (tau2 < grid[np.maximum(best - 1, 0)]) | (tau2 > grid[np.minimum(best + 1, last)])
    tau2[astray | (best == last) | _has_rival(deviance, best)] = np.nan
    return tau2


def tau2_grid(source: Source) -> FloatArray:
    """Values of tau^2, 0 first, even in log(tau^2 + min v), beyond which every likelihood falls.

    The bound is that of `likelihood_estimators.likelihood_grid`, with s2 <= the Hedges estimate + max v.
    """
    lowest, largest = float(source.smallest.min()), source.largest
    s2 = float(source.hedges().max(initial=0.0)) + largest
    top = 2 * (s2 + np.sqrt(s2 * largest)) + lowest
    count = int(np.ceil(PER_UNIT * np.log1p(top / lowest))) + 2
    grid = lowest * np.expm1(np.linspace(0, np.log1p(top / lowest), count))
    grid[0] = 0.0
    return np.asarray(grid)


def _has_rival(deviance: FloatArray, best: IntArray) -> BoolArray:
    """(m,) whether a grid has a second local minimum nearly as low as the best."""
    edge = np.full((len(deviance), 1), np.inf)
    left, right = np.hstack([edge, deviance[:, :-1]]), np.hstack([deviance[:, 1:], edge])
    low = (deviance < left) & (deviance < right)
    np.put_along_axis(low, best[:, None], False, axis=1)
    return np.asarray((low & (deviance < deviance.min(axis=1, keepdims=True) + RIVAL)).any(axis=1))


TOGETHER: dict[str, Callable[[Source], FloatArray]] = {
    "EE": _zero,
    "FE": _zero,
    "DL": _dl,
    "HE": _he,
    "PM": _pm,
    "PMM": _pmm,
    "EB": _pm,  # the same estimating equation [@morris1983; @viechtbauer2021]
    "ML": lambda source: _maximum(source, reml=False),
    "REML": lambda source: _maximum(source, reml=True),
}


def tau2_of_many(problems: Problems, method: str) -> FloatArray:
    """Between-study variance of each problem.

    Parameters
    ----------
    problems : Problems
        Well conditioned, each with more effects than coefficients.
    method : str
        As in `heterogeneity.estimate_tau2`; methods without a formula for many problems are run one by one.

    Returns
    -------
    (m,) array
        Squared units of y; nan where the estimator has no answer.

    Examples
    --------
    >>> y, v = np.array([[0.1, 0.4, 0.9]]), np.array([[0.02, 0.03, 0.05]])
    >>> many = Problems(y, v, np.ones((3, 1)), np.array([[True, True, True], [True, True, False]]))
    >>> tau2_of_many(many, "REML").round(4).tolist()
    [0.1225, 0.02]
    """
    m = len(problems.mask)
    together = TOGETHER.get(method)
    tau2 = np.full(m, np.nan) if together is None else together(Direct(problems))
    for row in np.flatnonzero(np.isnan(tau2)):
        y, v, X, a = problems.one(int(row))
        try:
            tau2[row] = estimate_tau2(y, v, X, method, a)
        except ModelError:
            continue  # stays nan: the caller counts and reports the problems without an answer
    return tau2


# -- whole fits ---------------------------------------------------------------------------------------------


def fit_problems(problems: Problems, method: str, test: Test, held: float | None = None) -> Fits:
    """Fit every problem, in chunks of bounded memory.

    Parameters
    ----------
    problems : Problems
        The data.
    method : str
        As in `heterogeneity.estimate_tau2`. A problem with as many effects as coefficients has tau^2 = 0 and normal
        tests, as in `fit`.
    test : str
        z, t, knha or adhoc.
    held : float, optional
        Value at which tau^2 is held in all problems.

    Returns
    -------
    Fits
        nan where the rows of a problem do not determine its coefficients.

    Raises
    ------
    ModelError
        For another test.

    References
    ----------
    [@viechtbauer2010a; @viechtbauer2010b]

    Examples
    --------
    >>> y, v = np.array([[0.1, 0.4, 0.9]]), np.array([[0.02, 0.03, 0.05]])
    >>> fit_problems(Problems(y, v, np.ones((3, 1)), ~np.eye(3, dtype=bool)), "DL", "z").beta.round(4).ravel().tolist()
    [0.63, 0.4812, 0.2333]
    """
    if test not in ("z", "t", "knha", "adhoc"):
        raise ModelError(
            f"repeated fits have test='z', 't', 'knha' or 'adhoc'; fit with one of them instead of '{test}'"
        )
    return joined([_fit_chunk(part, method, test, held) for part in chunks(problems)])


def chunks(problems: Problems) -> Iterator[Problems]:
    """The problems, so many rows at a time that an (m, k) array stays small; one empty part when there are none."""
    m, k = problems.mask.shape
    size = max(CHUNK // max(k * (1 if problems.X.ndim == 2 else problems.p), 1), 1)
    for start in range(0, max(m, 1), size):
        yield problems.rows(slice(start, start + size))


def joined(parts: list[Fits]) -> Fits:
    """The fits of several chunks as one."""
    names = Fits.__slots__
    return Fits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _fit_chunk(problems: Problems, method: str, test: Test, held: float | None) -> Fits:
    k, p = problems.k, problems.p
    m = len(k)
    found = Fits(
        k, np.full((m, p), np.nan), np.full((m, p, p), np.nan), np.full(m, np.nan), np.full(m, np.nan),
        np.full(m, np.nan), np.full(m, np.nan), np.full(m, np.nan),
    )  # fmt: skip
    well = _well_conditioned(problems)
    for saturated in (False, True):
        rows = np.flatnonzero(well & ((k == p) if saturated else (k > p)))
        if len(rows):
            _store(found, rows, _fit_well(problems.rows(rows), method, test, held, saturated))
    for row in np.flatnonzero(~well & (k >= p)):
        _fit_one(found, problems, int(row), method, test, held)
    return found


def _store(found: Fits, rows: IntArray, part: Fits) -> None:
    for name in Fits.__slots__:
        getattr(found, name)[rows] = getattr(part, name)


def _well_conditioned(problems: Problems) -> BoolArray:
    """(m,) whether sums of squares keep enough digits, at equal weights and at weights 1 / v."""
    enough = problems.k >= problems.p
    well = np.array(enough)
    if problems.p == 1 and problems.X.ndim == 2 and np.ptp(problems.X) == 0 and problems.a is None:
        return well
    size = np.linalg.norm(problems.X, axis=-2, keepdims=True)
    if np.any(size == 0):
        return np.zeros(len(well), dtype=bool)
    X = problems.X / size
    weights = [problems.mask.astype(float), _weights(problems, 0.0)]
    if problems.a is not None:
        weights.append(np.where(problems.mask, problems.a, 0.0))
    for w in weights:
        if X.ndim == 2:
            well[well] = _shared_is_well(X, w[well])
        else:
            well &= _steep(_triangle(np.sqrt(w)[:, :, None] * X))
    return well


def _steep(R: FloatArray) -> BoolArray:
    """Whether a triangle (..., p, p) is far from singular."""
    diagonal = np.abs(np.diagonal(R, axis1=-2, axis2=-1))
    return np.asarray(diagonal.min(axis=-1) > ILL * diagonal.max(axis=-1))


def _shared_is_well(X: FloatArray, w: FloatArray) -> BoolArray:
    """For each row of weights, whether it keeps all directions of the shared X."""
    if len(w) == 0:
        return np.zeros(0, dtype=bool)
    R = _triangle(np.sqrt(w.mean(axis=0))[:, None] * X)
    if not _steep(R):
        return np.zeros(len(w), dtype=bool)
    values = np.asarray(np.linalg.eigvalsh(gram(w, X @ np.linalg.inv(R))))
    return np.asarray(values[:, 0] > ILL * values[:, -1])


def _fit_well(problems: Problems, method: str, test: Test, held: float | None, saturated: bool) -> Fits:
    k, p = problems.k, problems.p
    plain = _weights(problems, 0.0)
    at = least_squares(problems, plain)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = np.where(k > p, (k - p) / _trace(plain, at), np.nan)
    QE = np.where(k > p, at.rss, 0.0)
    if held is not None:
        tau2 = np.full(len(k), 0.0 if method in NO_HETEROGENEITY else held)
    else:
        tau2 = np.zeros(len(k)) if saturated else tau2_of_many(problems, method)
    w = _weights(problems, np.nan_to_num(tau2))
    at = least_squares(problems, w)
    beta, cov = at.beta, at.cov()
    rss, total = at.rss, np.einsum("mk,mk->m", w, np.broadcast_to(problems.y, w.shape) ** 2)
    if problems.a is not None:
        beta, cov = _own_weights(problems, problems.a, w)
    scale = np.ones(len(k))
    if test in ("knha", "adhoc") and not saturated:
        scale = np.where(rss > ROUNDING**2 * total, rss / (k - p), 0.0)
        scale = np.maximum(scale, 1.0) if test == "adhoc" else scale
    df = np.full(len(k), np.inf) if test == "z" or saturated else (k - p).astype(float)
    found = Fits(k, beta, scale[:, None, None] * cov, df, tau2, scale, QE, typical)
    for name in Fits.__slots__[1:]:
        getattr(found, name)[np.isnan(tau2)] = np.nan
    return found


def covariances(problems: Problems, tau2: FloatArray) -> FloatArray:
    """Covariance of the coefficients at given values of tau^2 (m,), without a Knapp-Hartung factor, (m, p, p)."""
    w = _weights(problems, tau2)
    if problems.a is not None:
        return _own_weights(problems, problems.a, w)[1]
    return least_squares(problems, w).cov()


def _own_weights(problems: Problems, a: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients and their covariance under the user's weights; the Knapp-Hartung factor stays that of `w`."""
    own = np.where(problems.mask, a, 0.0)
    at = least_squares(problems, own)
    inverse_w = np.divide(1.0, w, out=np.zeros_like(w), where=problems.mask)
    inner = at.inverse @ gram(own * own * inverse_w, at.basis) @ at.inverse
    return at.beta, np.asarray(at.back @ inner @ np.swapaxes(at.back, -1, -2))


def _fit_one(found: Fits, problems: Problems, row: int, method: str, test: Test, held: float | None) -> None:
    """A badly conditioned problem: by QR alone, or left at nan when its moderators are collinear."""
    y, v, X, a = problems.one(row)
    k, p = X.shape
    size = np.linalg.norm(X, axis=0)
    if np.any(size == 0) or np.linalg.matrix_rank(X / size) < p or (a is not None and not np.any(a > 0)):
        return
    if k == p:
        test = "z"
    try:
        tau2 = held if held is not None else 0.0 if k == p else estimate_tau2(y, v, X, method, a)
        own = None if a is None else weighted_estimate(y, v, X, tau2, a)
    except ModelError:
        return
    plain, at = weighted(y, 1 / v, X), weighted(y, 1 / (v + tau2), X)
    beta, cov, rss = at.beta, at.cov, at.rss
    if own is not None:
        beta, cov = own
    scale = 1.0
    if test in ("knha", "adhoc"):
        scale = rss / (k - p) if rss > ROUNDING**2 * float(np.sum(y**2 / (v + tau2))) else 0.0
        scale = max(scale, 1.0) if test == "adhoc" else scale
    found.beta[row], found.cov[row], found.tau2[row], found.scale[row] = beta, scale * cov, tau2, scale
    found.df[row] = np.inf if test == "z" else k - p
    found.QE[row] = plain.rss if k > p else 0.0
    found.typical[row] = (k - p) / plain.trace if k > p else np.nan
