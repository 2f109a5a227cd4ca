"""Marginal likelihoods by bridge sampling: the second opinion on a quadrature, which shares none of its rules.

Parameters are unbounded. A multivariate t is adapted to the posterior by rounds of importance sampling; an independence
Metropolis sampler with that proposal, many chains side by side, draws from the posterior; a second t, fitted to one
half of the draws, is bridged to the other half by Meng and Wong's (1996, Statistica Sinica) iterative estimator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray

DF = 5.0  # of the proposals: tails heavier than those of any posterior here
SHARE, WIDER = 0.3, 2.5  # share of the wider component of a proposal, and how much wider it is
ROUNDS = 12  # of adaptation at most
PILOT = 600  # draws in each
GOOD = 0.35  # effective share of the draws at which adaptation ends
TEMPERED = 0.1  # share of a pilot that must count, or the weights are flattened until it does
NARROW = 1e-12  # least standard deviation, relative to the mean: a scale matrix stays one when all draws are the same
CHAINS = 64
DRAWS = 4096  # at first, doubled until the error is as wanted
MOST = 65_536
WANTED = 0.01  # standard error on the log scale
SETTLED = 1e-10  # of the iterative estimator, relative
ITERATIONS = 1000

LogKernel = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class StudentT:
    """A mixture of two multivariate t distributions with `DF` degrees of freedom and one centre, one `WIDER`.

    The second reaches where a posterior that is no ellipse has its corners: a draw there must not weigh much more than
    others.

    Attributes
    ----------
    centre : (d,) array
    half : (d, d) array
        Lower triangular root of the scale matrix of the first.
    """

    centre: FloatArray
    half: FloatArray

    @classmethod
    def with_moments(cls, mean: FloatArray, cov: FloatArray) -> StudentT:
        """Whose first component has this mean and covariance."""
        size = np.maximum(np.sqrt(np.diag(cov)), NARROW * np.maximum(np.abs(mean), 1e-300))
        correlation = cov / np.outer(size, size) + 1e-9 * np.eye(len(mean))
        return cls(mean, math.sqrt((DF - 2) / DF) * size[:, None] * np.linalg.cholesky(correlation))

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """(n, d) draws."""
        d = len(self.centre)
        z = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(DF, (n, 1)) / DF)
        z *= np.where(rng.random((n, 1)) < SHARE, WIDER, 1.0)
        return np.asarray(self.centre + z @ self.half.T)

    def log_density(self, x: FloatArray) -> FloatArray:
        """(n,) at x (n, d)."""
        d = len(self.centre)
        square = (np.linalg.solve(self.half, (x - self.centre).T) ** 2).sum(axis=0) / DF
        constant = special.gammaln((DF + d) / 2) - special.gammaln(DF / 2) - d / 2 * math.log(DF * math.pi)
        log_det = float(np.log(np.diag(self.half)).sum())
        narrow = math.log(1 - SHARE) - (DF + d) / 2 * np.log1p(square)
        wide = math.log(SHARE) - d * math.log(WIDER) - (DF + d) / 2 * np.log1p(square / WIDER**2)
        return np.asarray(constant - log_det + np.logaddexp(narrow, wide))


@dataclass(frozen=True, slots=True)
class Bridge:
    """A marginal likelihood by bridge sampling.

    Attributes
    ----------
    log_evidence : float
    error : float
        Its standard error, on the log scale.
    draws : int
        Posterior draws that were used.
    acceptance : float
        Share of proposals that the sampler accepted.
    """

    log_evidence: float
    error: float
    draws: int
    acceptance: float


def bridge_sampling(
    log_kernel: LogKernel, start: FloatArray, spread: FloatArray, rng: np.random.Generator, wanted: float = WANTED
) -> Bridge:
    """Log of the integral of exp(log_kernel) over all of R^d.

    Parameters
    ----------
    log_kernel : callable
        Log of prior times likelihood (and of the Jacobian), at points (n, d), (n,); -inf where there is nothing.
    start, spread : (d,) arrays
        A rough centre of the posterior, and how far it may be wrong.
    rng : numpy.random.Generator
        Randomness.
    wanted : float
        Standard error at which sampling ends.

    Returns
    -------
    Bridge

    Raises
    ------
    ModelError
        When no draw has a positive density.

    References
    ----------
    [@gronau2017]

    Examples
    --------
    >>> found = bridge_sampling(lambda x: -x[:, 0] ** 2 / 2, np.ones(1), np.ones(1), np.random.default_rng(1))
    >>> bool(abs(found.log_evidence - 0.5 * np.log(2 * np.pi)) < 0.03)
    True
    """
    proposal = _adapted(log_kernel, start, spread, rng)
    draws = DRAWS
    while True:
        posterior, heights, acceptance = _sampled(log_kernel, proposal, draws, rng)
        found = _bridged(log_kernel, posterior, heights, acceptance, rng)
        if not wanted < found.error < math.inf or draws >= MOST:
            return found
        draws = min(MOST, max(2 * draws, math.ceil(draws * min((found.error / wanted) ** 2, 8.0))))


def _adapted(log_kernel: LogKernel, start: FloatArray, spread: FloatArray, rng: np.random.Generator) -> StudentT:
    """A t that resembles the posterior, by importance sampling round after round."""
    proposal = StudentT(start, np.diag(spread))
    for _ in range(ROUNDS):
        x = proposal.draw(PILOT, rng)
        log_ratio = log_kernel(x) - proposal.log_density(x)
        top = float(log_ratio.max())
        if not np.isfinite(top):
            raise ModelError("bridge sampling found no point where prior and likelihood are positive")
        weight = np.exp(log_ratio - top)
        share = float(weight.sum() ** 2 / (weight**2).sum()) / PILOT
        if share < TEMPERED:
            weight = _flattened(log_ratio - top)
        weight /= weight.sum()
        mean = weight @ x
        # a round of one lucky draw narrows the next by a factor of a thousand at most
        least = (np.diag(proposal.half) / 1000) ** 2
        proposal = StudentT.with_moments(mean, (weight[:, None] * (x - mean)).T @ (x - mean) + np.diag(least))
        if share >= GOOD:
            break
    return proposal


def _flattened(log_ratio: FloatArray) -> FloatArray:
    """Importance weights to the largest power at which `TEMPERED` of them count."""
    low, high = 0.0, 1.0
    for _ in range(40):
        power = (low + high) / 2
        weight = np.exp(power * log_ratio)
        enough = weight.sum() ** 2 >= TEMPERED * len(weight) * (weight**2).sum()
        low, high = (power, high) if enough else (low, power)
    return np.asarray(np.exp(low * log_ratio))


def _sampled(
    log_kernel: LogKernel, proposal: StudentT, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, float]:
    """Posterior draws (steps, CHAINS, d) by independence Metropolis, their log kernels, and the acceptance rate."""
    steps = math.ceil(draws / CHAINS)
    x = proposal.draw((steps + 1) * CHAINS, rng)
    height = log_kernel(x)
    ratio = height - proposal.log_density(x)
    # the chains begin at draws picked by their weights, close to the posterior already
    weight = np.exp(ratio - ratio.max())
    current = rng.choice(len(x), size=CHAINS, p=weight / weight.sum())
    log_u = np.log(rng.random((steps, CHAINS)))
    visited = np.empty((steps, CHAINS), dtype=np.int64)
    accepted = 0
    for step in range(steps):
        offered = np.arange((step + 1) * CHAINS, (step + 2) * CHAINS)
        move = log_u[step] < ratio[offered] - ratio[current]
        current = np.where(move, offered, current)
        visited[step] = current
        accepted += int(move.sum())
    return x[visited], height[visited], accepted / (steps * CHAINS)


def _bridged(
    log_kernel: LogKernel, posterior: FloatArray, heights: FloatArray, acceptance: float, rng: np.random.Generator
) -> Bridge:
    half = len(posterior) // 2
    d = posterior.shape[2]
    first, second = posterior[:half].reshape(-1, d), posterior[half:].reshape(-1, d)
    other = StudentT.with_moments(first.mean(axis=0), np.cov(first.T).reshape(d, d))
    fresh = other.draw(len(second), rng)
    l1 = heights[half:].ravel() - other.log_density(second)
    l2 = log_kernel(fresh) - other.log_density(fresh)
    shift = float(np.median(l1))
    r1, r2 = (np.exp(np.clip(log - shift, -700.0, 700.0)) for log in (l1, l2))
    effective = len(second) * max(acceptance / (2 - acceptance), 1e-3)  # of independence Metropolis, roughly
    s1, s2 = effective / (effective + len(fresh)), len(fresh) / (effective + len(fresh))
    r = 1.0
    with np.errstate(all="ignore"):  # a sampler that never left one point divides by 0, and says so below
        for _ in range(ITERATIONS):
            f1, f2 = 1 / (s1 * r1 + s2 * r), r2 / (s1 * r2 + s2 * r)
            new = float(np.mean(f2) / np.mean(f1))
            done = abs(new - r) <= SETTLED * new
            r = new
            if done:
                break
        # relative mean squared errors of both means; of the draws from the means of the chains, which know its memory
        chains = f1.reshape(-1, CHAINS).mean(axis=0)
        error = f2.var() / f2.mean() ** 2 / len(f2) + chains.var(ddof=1) / f1.mean() ** 2 / CHAINS
    if not (math.isfinite(error) and 0 < r < math.inf):  # the sampler never left one point
        return Bridge(math.nan, math.inf, len(second), acceptance)
    return Bridge(shift + math.log(r), math.sqrt(error), len(second), acceptance)
