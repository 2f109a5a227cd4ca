"""Cluster-robust covariance of the coefficients with small-sample corrections.

Everything is computed in whitened coordinates. With the working covariance Phi_j = L_j L_j' of cluster j
and X'WX = R'R, write U_j = L_j^-1 X_j R^-1, so that U'U = I and H_j = U_j U_j' is the hat matrix, and
e_j = L_j^-1 (y_j - X_j b). An estimator of the CR family is then

    cov = sum_j s_j s_j',   s_j = F_j' e_j,   F_j = K_j U_j R^-T,

and only K_j differs: I for CR0 and its multiples, (I - H_j)^-1 for CR3, and for CR2 the adjustment
A_j = D_j' (D_j (Phi_j - X_j (X'WX)^-1 X_j') D_j')^{+1/2} D_j with D_j = L_j' becomes
K_j = G_j (G_j (I - H_j) G_j)^{+1/2}, G_j = L_j' L_j. Under the working model the moments of cov, and hence
all degrees of freedom, follow from F_j'F_j and U_j'F_j of each cluster; no k x k matrix exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import covariance, moments, weigh
from catharsis.likelihood.nested import Nested
from catharsis.models.coefficients import Coefficients
from catharsis.models.robust_wald import SINGULAR, robust_wald, wishart_df
from catharsis.models.wald import Wald
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    pass

Correction = Literal["CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"]
CORRECTIONS: tuple[Correction, ...] = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")

CHUNK = 4_000_000  # numbers in the working covariances of clusters that are worked on together: 32 MB
FEW_DF = 4.0  # below this Satterthwaite df the t reference is unreliable and p is not shown [@tipton2015a]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Robust(Coefficients):
    """Coefficients with a cluster-robust covariance.

    Attributes
    ----------
    beta, cov : (p,), (p, p) arrays
        Coefficients and their robust covariance.
    df : (p,) array
        Satterthwaite degrees of freedom of each coefficient.
    terms : tuple of str
        (p,) names.
    m : int
        Number of clusters.
    level : float
        Probability of the intervals.
    type : str
        CR0, CR1, CR1p, CR1S, CR2 or CR3.
    notes : tuple of str
        What every reader must be told.
    within, shared : (m, p, p) arrays
        F_j'F_j and U_j'F_j of each cluster (module docstring), from which degrees of freedom follow.
    """

    beta: FloatArray
    cov: FloatArray
    df: FloatArray
    terms: tuple[str, ...]
    m: int
    level: float
    type: Correction
    notes: tuple[str, ...] = ()
    within: FloatArray = field(repr=False)
    shared: FloatArray = field(repr=False)

    @property
    def statistic(self) -> FloatArray:
        """(p,) estimate over standard error; nan where the standard error is zero."""
        se = self.se
        return np.divide(self.beta, se, out=np.full_like(se, np.nan), where=se > 0)

    @property
    def hide_p(self) -> tuple[bool, ...]:
        """(p,) whether df < 4: too few to trust a p value, so reports leave it out."""
        return tuple(bool(not df >= FEW_DF) for df in self.df)

    @property
    def p_saddlepoint(self) -> FloatArray:
        """(p,) two-sided p by the saddlepoint approximation, better than Satterthwaite's when clusters are few.

        Satterthwaite's beyond 2,000 clusters, where the two agree.
        """
        from catharsis.models.saddlepoint import MANY, form_weights, saddlepoint_p

        if self.m > MANY:
            return self.p
        return np.array(
            [saddlepoint_p(t, form_weights(self.within[:, i, i], self.shared[:, :, i]))
             for i, t in enumerate(self.statistic)]
        )  # fmt: skip

    def wald(self, positions: Sequence[int], test: str = "HTZ") -> Wald:
        """Joint test that the coefficients at `positions` are zero; see `models.robust_wald`."""
        return robust_wald(self, positions, test)

    def with_df(self, df: float) -> Robust:
        """The same covariance with other degrees of freedom for every coefficient."""
        return replace(self, df=np.full(len(self.beta), float(df)))


def robust(
    blocks: Blocks,
    theta: FloatArray,
    terms: Sequence[str],
    cluster_codes: IntArray,
    type: Correction = "CR2",
    level: float = 0.95,
) -> Robust:
    """Cluster-robust inference for the coefficients, the fitted model as working model.

    Parameters
    ----------
    blocks : Blocks
        The model.
    theta : (s,) array
        Its variance components, squared analysis units.
    terms : sequence of str
        (p,) names of the coefficients.
    cluster_codes : (k,) array of int
        Cluster of each effect, 0..m-1.
    type : str
        CR2 is the bias-reduced estimator, exact when the working model holds. CR0 has no correction;
        CR1, CR1p and CR1S multiply it by m / (m - 1), m / (m - p) and m (k - 1) / ((m - 1) (k - p));
        CR3 approximates the jackknife.
    level : float
        Probability of the intervals.

    Returns
    -------
    Robust

    Raises
    ------
    ModelError
        Fewer than two clusters, an unknown `type`, too few clusters for it, or a cluster border that
        cuts through effects which the model ties together.

    References
    ----------
    [@bell2002; @tipton2015a; @pustejovsky2018; @pustejovsky2022]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> model = fit(yi=[0.1, 0.3, 0.2, 0.7, 0.5, 0.9], vi=[0.04] * 6, method="EE")
    >>> answer = model.robust(["a", "a", "b", "b", "c", "c"])
    >>> answer.summary().round(3).loc["intercept", ["se", "df", "p"]].tolist()
    [0.144, 2.0, 0.089]
    """
    m, k, p = int(cluster_codes.max()) + 1, blocks.k, blocks.p
    factor = _factor(type, m, k, p)
    found = moments(blocks, theta)
    beta, inverse = found.beta(), found.inverse_root
    U_of, e_of = blocks.X @ inverse, blocks.y - blocks.X @ beta
    if (pair := _cut(blocks, cluster_codes)) is not None:
        return _across(blocks, theta, terms, cluster_codes, type, level, pair)
    within, shared, scores = np.empty((m, p, p)), np.empty((m, p, p)), np.empty((m, p))
    notes: list[str] = []
    plain = isinstance(blocks.ties, Nested) and type not in ("CR2", "CR3")
    if plain:
        shared, scores = _sums(weigh(blocks, theta, U_of).product, U_of, e_of, cluster_codes)
        shared = np.sqrt(factor) * shared @ inverse.T
        scores = np.sqrt(factor) * scores @ inverse.T
        within = np.sqrt(factor) * inverse @ shared
    for clusters, rows, Phi in () if plain else _clusters(blocks, theta, cluster_codes):
        L = np.asarray(np.linalg.cholesky(Phi), dtype=np.float64)
        U = np.asarray(np.linalg.solve(L, U_of[rows]), dtype=np.float64)
        e = np.linalg.solve(L, e_of[rows][:, :, None])
        F, deficient = _adjusted(type, L, U)
        if deficient and not notes:
            notes.append(
                f"{type}: some clusters determine a coefficient by themselves and carry no information on its error"
            )
        F = np.sqrt(factor) * F @ inverse.T
        within[clusters] = _transposed(F) @ F
        shared[clusters] = _transposed(U) @ F
        scores[clusters] = (_transposed(F) @ e)[:, :, 0]
    df = np.array([wishart_df(within, shared, np.array([i])) for i in range(p)])
    cov = scores.T @ scores
    lost = np.diag(cov) <= SINGULAR**2 * np.diag(found.cov())
    if lost.any():
        named = ", ".join(term for term, gone in zip(terms, lost, strict=True) if gone)
        notes.append(f"{named}: no cluster that informs it has a residual left, so no robust standard error exists")
        cov[lost], cov[:, lost], df[lost] = np.nan, np.nan, np.nan
    return Robust(
        beta=beta, cov=cov, df=df, terms=tuple(terms), m=m, level=level, type=type, notes=tuple(notes),
        within=within, shared=shared,
    )  # fmt: skip


def _factor(type: str, m: int, k: int, p: int) -> float:
    """The constant by which a correction multiplies CR0."""
    if type not in CORRECTIONS:
        raise ModelError(f'there is no cluster-robust correction "{type}": use one of {", ".join(CORRECTIONS)}')
    if m < 2:
        raise ModelError("robust standard errors need at least two clusters; here all effects are in one")
    if type == "CR1p" and m <= p:
        raise ModelError(f"CR1p needs more clusters than coefficients; here m = {m} and p = {p}")
    if type == "CR1S" and k <= p:
        raise ModelError(f"CR1S needs more effects than coefficients; here k = {k} and p = {p}")
    factors = {
        "CR1": lambda: m / (m - 1),
        "CR1p": lambda: m / (m - p),
        "CR1S": lambda: m * (k - 1) / ((m - 1) * (k - p)),
    }
    return float(factors.get(type, lambda: 1.0)())


def _adjusted(type: str, L: FloatArray, U: FloatArray) -> tuple[FloatArray, bool]:
    """K_j U_j for a stack of clusters of one size, and whether a pseudo-inverse had to leave something out."""
    if type not in ("CR2", "CR3"):
        return U, False
    left = np.eye(L.shape[1]) - U @ _transposed(U)
    if type == "CR3":
        if np.linalg.eigvalsh(left)[:, 0].min() < SINGULAR:
            raise ModelError("CR3 cannot leave out a cluster that alone determines a coefficient; use CR2")
        return np.asarray(np.linalg.solve(left, U), dtype=np.float64), False
    G = _transposed(L) @ L
    values, vectors = np.linalg.eigh(G @ left @ G)
    keep = values > SINGULAR * np.linalg.eigvalsh(G)[:, -1:] ** 2
    power = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
    return G @ (vectors * power[:, None, :]) @ (_transposed(vectors) @ U), not keep.all()


def _cut(blocks: Blocks, code: IntArray) -> tuple[int, int] | None:
    """Two effects of different clusters that the model ties together, if there are any."""
    for rows in blocks.rows:
        apart = code[rows] != code[rows[:, :1]]
        if apart.any():
            block = int(np.argmax(apart.any(axis=1)))
            return int(rows[block, 0]), int(rows[block, int(np.argmax(apart[block]))])
    return None


def _across(
    blocks: Blocks, theta: FloatArray, terms: Sequence[str], code: IntArray, type: Correction, level: float,
    pair: tuple[int, int],
) -> Robust:  # fmt: skip
    """CR0 and its multiples when clusters cut through tied effects: scores from the whole W, m - p for all df."""
    m, p = int(code.max()) + 1, blocks.p
    tied = (
        f"effects {pair[0] + 1} and {pair[1] + 1} lie in different clusters, but share a random effect or a "
        "sampling covariance"
    )
    if type in ("CR2", "CR3"):
        raise ModelError(f"{tied}: cluster by the outermost random factor, or by something that contains it")
    if m <= p:
        raise ModelError(f"{m} clusters cannot carry {p} coefficients")
    found = moments(blocks, theta)
    X, e = blocks.X @ found.inverse_root, blocks.y - blocks.X @ found.beta()
    scores = np.zeros((m, p))
    np.add.at(scores, code, weigh(blocks, theta, X).product * e[:, None])  # X'W e by cluster of e
    scores = np.sqrt(_factor(type, m, blocks.k, p)) * scores @ found.inverse_root.T
    nothing = np.full((m, p, p), np.nan)
    return Robust(
        beta=found.beta(), cov=scores.T @ scores, df=np.full(p, float(m - p)), terms=tuple(terms), m=m, level=level,
        type=type, within=nothing, shared=nothing,
        notes=(f"{tied}: {type} takes clusters for independent all the same, with m - p degrees of freedom",),
    )  # fmt: skip


def _sums(WX: FloatArray, X: FloatArray, residual: FloatArray, code: IntArray) -> tuple[FloatArray, FloatArray]:
    """X_j'W_j X_j and X_j'W_j e_j of each cluster, (m, p, p) and (m, p), without any (n, n) matrix."""
    p = X.shape[1]
    columns = [[np.bincount(code, weights=WX[:, i] * X[:, j]) for j in range(p)] for i in range(p)]
    scores = [np.bincount(code, weights=WX[:, i] * residual) for i in range(p)]
    return np.moveaxis(np.array(columns, dtype=float), 2, 0), np.array(scores, dtype=float).T


def _clusters(blocks: Blocks, theta: FloatArray, code: IntArray) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Of each cluster size n some clusters (b,), their effects (b, n) and working covariances (b, n, n)."""
    size = np.bincount(code)
    order = np.argsort(code, kind="stable")
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    place = np.empty(blocks.k, dtype=np.int64)  # of an effect within its cluster
    place[order] = np.arange(blocks.k) - np.repeat(start, size)
    for n in np.unique(size):
        clusters = np.flatnonzero(size == n)
        effects = order[start[clusters][:, None] + np.arange(n)]
        if isinstance(blocks.ties, Nested):
            step = max(CHUNK // int(n) ** 2, 1)
            for first in range(0, len(clusters), step):
                some = effects[first : first + step]
                yield clusters[first : first + step], some, blocks.ties.covariance(some, theta)
            continue
        at = np.full(len(size), -1)
        at[clusters] = np.arange(len(clusters))
        Phi = np.zeros((len(clusters), n, n))
        for stack in blocks.ties:
            home = at[code[stack.rows[:, 0]]]
            here = home >= 0
            if here.any():
                inside = place[stack.rows[here]]
                Phi[home[here][:, None, None], inside[:, :, None], inside[:, None, :]] = covariance(stack, theta)[here]
        yield clusters, effects, Phi


def _transposed(stack: FloatArray) -> FloatArray:
    return np.swapaxes(stack, -1, -2)
