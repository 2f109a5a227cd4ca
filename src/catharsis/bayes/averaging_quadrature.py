"""Marginal likelihood and posterior of one model of the average, by quadrature over mu, tau and the bias parameters.

tau lies on panels, each with Fejer's second rule (which holds a coarser rule and no end points); mu on an even grid
that all tau share, where the trapezoid rule converges exponentially; the parameters of publication bias are integrated
at each pair (see `averaging_nuisance`). Laplace's approximation of the inner integral, cheap and smooth, finds where in
mu and tau the mass is and adapts the panels; only cells that matter are then integrated in full. The error is estimated
in every direction from the same rule with every second node left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from catharsis.bayes.averaging_nuisance import Nuisance
from catharsis.bayes.priors import Prior
from catharsis.errors import ModelError
from catharsis.likelihood.publication_bias import LOG_2PI
from catharsis.numerics import FloatArray, IntArray

NODES = 15  # of a panel in tau; the coarser rule has 7
TOLERANCE = 1e-3  # of the whole, by which the coarser rule may differ: the finer is then exact to about its square
ROUNDS = 30  # of halving panels
NEGLIGIBLE = 1e-9  # share of the whole below which a panel is dropped
DEEP = 18.0  # log units below the highest cell at which a cell is left out: 2e-8
SCAN = 41  # values of mu at which each tau is scanned
FAR = 14.0  # prior standard deviations of mu that are scanned (a normal prior is 1e-43 there)
STEP = 0.7  # of the grid in mu, in conditional standard deviations of the narrowest row
MOST = 4001  # points of the grid in mu
RATIO = 4.0  # by which panels grow to begin with
REACH = 64.0  # a light-tailed prior on tau ends at this many scales of prior and data
TAIL = 2.0**40  # a power tail is followed to this many


@dataclass(frozen=True, slots=True)
class Normal:
    """The part of the likelihood that knows no bias, y_i ~ N(mu, v_i + tau^2), by tau.

    Attributes
    ----------
    weight, mean, constant : (r,) arrays
        Sum of weights, weighted mean, and log-likelihood at that mean.
    """

    weight: FloatArray
    mean: FloatArray
    constant: FloatArray

    @classmethod
    def at(cls, yi: FloatArray, vi: FloatArray, tau: FloatArray) -> Normal:
        """From effects (k,), variances (k,) and tau (r,)."""
        variance = vi + tau[:, None] ** 2
        low = variance.min(axis=1, keepdims=True)
        share = low / variance
        weight = share.sum(axis=1) / low[:, 0]
        mean = yi[0] + share @ (yi - yi[0]) / share.sum(axis=1)  # from one of them: no digits lost far from 0
        square = ((yi - mean[:, None]) ** 2 / variance).sum(axis=1)
        return cls(weight, mean, -0.5 * (np.log(variance).sum(axis=1) + square + len(yi) * LOG_2PI))

    def log_likelihood(self, mu: FloatArray, rows: IntArray) -> FloatArray:
        """At mu (c,) in rows (c,)."""
        return np.asarray(self.constant[rows] - 0.5 * self.weight[rows] * (mu - self.mean[rows]) ** 2)


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels in tau and their rule; one point of weight 1 when tau is known.

    Attributes
    ----------
    left, right : (q,) arrays
        Panels; empty when tau is known.
    tau, weight : (q * NODES,) arrays
        Nodes and weights, panel by panel.
    """

    left: FloatArray
    right: FloatArray
    tau: FloatArray
    weight: FloatArray

    @classmethod
    def known(cls, tau: float) -> Panels:
        """One value."""
        return cls(np.empty(0), np.empty(0), np.array([tau]), np.ones(1))

    @classmethod
    def between(cls, left: FloatArray, right: FloatArray) -> Panels:
        """Fejer's rule in each panel."""
        half = (right - left)[:, None] / 2
        return cls(left, right, (left[:, None] + half * (1 + FINE[0])).ravel(), (half * FINE[1]).ravel())

    @property
    def fixed(self) -> bool:
        """Whether tau is known."""
        return len(self.left) == 0


def fejer(n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Fejer's second rule on [-1, 1] with n nodes, rising; exact for polynomials below degree n.

    Examples
    --------
    >>> nodes, weights = fejer(3)
    >>> weights.sum().round(12), (weights @ nodes**2).round(12)
    (np.float64(2.0), np.float64(0.666666666667))
    """
    angle = np.arange(n, 0, -1) * np.pi / (n + 1)
    odd = np.arange(1, n + 1, 2)
    weight = 4 * np.sin(angle) / (n + 1) * (np.sin(angle[:, None] * odd) / odd).sum(axis=1)
    return np.cos(angle), weight


FINE, COARSE = fejer(NODES), fejer(NODES // 2)


@dataclass(frozen=True, slots=True)
class Quadrature:
    """The posterior of one model on cells (mu, tau).

    Attributes
    ----------
    log_evidence, error : float
        Log marginal likelihood, and the estimate of its error.
    mu : (n,) array
        Grid; a single value when mu is known.
    step : float
        Between its points; 0 when mu is known.
    panels : Panels
        Rule in tau.
    mass : (n, r) array
        Posterior probabilities of the cells.
    bias : (q,) array
        Posterior means of the quantities of the bias model.
    cells : int
        Cells integrated in full.
    """

    log_evidence: float
    error: float
    mu: FloatArray
    step: float
    panels: Panels
    mass: FloatArray
    bias: FloatArray
    cells: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One model with its data and priors.

    Attributes
    ----------
    yi, vi : (k,) arrays
        Effects and variances, turned to the side that selection favours.
    mu, tau : Prior or None
        Priors; None for a parameter that is 0.
    nuisance : Nuisance
        The bias model.
    """

    yi: FloatArray
    vi: FloatArray
    mu: Prior | None
    tau: Prior | None
    nuisance: Nuisance

    def log_prior_mu(self, mu: FloatArray) -> FloatArray:
        """Log prior density; 0 when mu is known."""
        return np.zeros(len(mu)) if self.mu is None else self.mu.log_density(mu)

    def log_prior_tau(self, tau: FloatArray) -> FloatArray:
        """Log prior density; 0 when tau is known."""
        return np.zeros(len(tau)) if self.tau is None else self.tau.log_density(tau)


def integrate(problem: Problem) -> Quadrature:
    """Marginal likelihood and posterior of one model.

    Raises
    ------
    ModelError
        When the rule does not settle.
    """
    panels, scan = _located(problem)
    normal = Normal.at(problem.yi, problem.vi, panels.tau)
    mu, step = _grid(problem, panels, scan, normal)
    n, r = len(mu), len(panels.tau)
    # what the scan says of every cell, so that only those that matter are computed
    expected = np.stack([np.interp(mu, scan.mu[j], scan.height[j], -np.inf, -np.inf) for j in range(r)], axis=1)
    at, rows = np.nonzero(expected >= expected.max() - DEEP)
    nearest = np.abs(scan.mu[rows] - mu[at, None]).argmin(axis=1)
    inner = problem.nuisance.integral(mu[at], panels.tau[rows], scan.summit[rows, nearest])
    outer = (
        normal.log_likelihood(mu[at], rows)
        + problem.log_prior_mu(mu[at])
        + problem.log_prior_tau(panels.tau)[rows]
        + np.log(panels.weight)[rows]
        + (math.log(step) if step > 0 else 0.0)
    )
    log_mass = outer + inner.log_value
    top = float(log_mass.max())
    mass = np.zeros((n, r))
    mass[at, rows] = np.exp(log_mass - top)
    total = float(mass.sum())
    p = mass[at, rows] / total
    errors = [float(abs(p @ np.expm1(inner.coarse[:, j] - inner.log_value))) for j in range(inner.coarse.shape[1])]
    if step > 0:
        errors.append(abs(2 * float(mass[::2].sum()) / total - 1))
    if not panels.fixed:
        errors.append(abs(_coarser(mass.sum(axis=0) / panels.weight, panels) / total - 1))
    return Quadrature(
        log_evidence=top + math.log(total),
        error=float(np.square(errors).sum()),  # exponential convergence: twice the nodes square the error
        mu=mu, step=step, panels=panels, mass=mass / total, bias=p @ inner.mean, cells=len(at),
    )  # fmt: skip


def _coarser(density: FloatArray, panels: Panels) -> float:
    """The integral over tau with every second node of each panel left out."""
    half = (panels.right - panels.left) / 2
    return float((density.reshape(-1, NODES)[:, 1::2] @ COARSE[1]) @ half)


@dataclass(frozen=True, slots=True)
class Scan:
    """The Laplace approximation at SCAN values of mu for each tau.

    Attributes
    ----------
    mu, height : (r, m) arrays
        Values, and the log of prior times likelihood there.
    summit : (r, m, d) array
        Summits of the bias parameters.
    log_row : (r,) array
        Log of the integral over mu.
    """

    mu: FloatArray
    height: FloatArray
    summit: FloatArray
    log_row: FloatArray

    def taken(self, rows: IntArray) -> Scan:
        """Some rows."""
        return Scan(self.mu[rows], self.height[rows], self.summit[rows], self.log_row[rows])

    @staticmethod
    def joined(first: Scan, second: Scan) -> Scan:
        """Rows of both."""
        return Scan(*(np.concatenate([getattr(s, name) for s in (first, second)]) for name in Scan.__slots__))


def _scan(problem: Problem, tau: FloatArray) -> Scan:
    normal = Normal.at(problem.yi, problem.vi, tau)
    prior = problem.log_prior_tau(tau)
    if problem.mu is None:
        mu = np.zeros((len(tau), 1))
        log_step = np.zeros((len(tau), 1))
    else:
        centre, spread = _conditional(problem.mu, normal)
        home, wide = problem.mu.centre, problem.mu.scale
        reach = np.maximum(abs(home) + FAR * wide, np.abs(problem.yi).max()) + np.abs(centre) + FAR * spread
        z = np.linspace(-1, 1, SCAN) * np.arcsinh(reach / spread)[:, None]
        mu = centre[:, None] + spread[:, None] * np.sinh(z)
        log_step = np.log(spread[:, None] * np.cosh(z) * (z[:, 1] - z[:, 0])[:, None])
    m = mu.shape[1]
    rows = np.repeat(np.arange(len(tau)), m)
    flat = mu.ravel()
    value, summit = problem.nuisance.summit(flat, tau[rows])
    height = normal.log_likelihood(flat, rows) + problem.log_prior_mu(flat) + prior[rows] + value
    height = height.reshape(mu.shape)
    return Scan(mu, height, summit.reshape(*mu.shape, -1), np.asarray(special.logsumexp(height + log_step, axis=1)))


def _conditional(prior: Prior, normal: Normal) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of mu given tau without bias; a heavy-tailed prior counts with its scale."""
    home, wide = prior.centre, prior.scale
    precision = normal.weight + wide**-2
    return (normal.weight * normal.mean + home * wide**-2) / precision, precision**-0.5


def _located(problem: Problem) -> tuple[Panels, Scan]:
    """Panels in tau that hold the mass and settle it by Laplace's approximation, and the scan of their nodes."""
    if problem.tau is None or problem.tau.family == "fixed":
        panels = Panels.known(0.0 if problem.tau is None else problem.tau.parameters[0])
        return panels, _scan(problem, panels.tau)
    edges = _edges(problem)
    left, right = edges[:-1], edges[1:]
    scan = _scan(problem, Panels.between(left, right).tau)
    for _ in range(ROUNDS):
        panels = Panels.between(left, right)
        height = scan.log_row.reshape(-1, NODES)
        top = float(height.max())
        density = np.exp(height - top)
        half = (right - left) / 2
        fine = half * (density @ FINE[1])
        gap = np.abs(half * (density[:, 1::2] @ COARSE[1]) - fine)
        total = float(fine.sum())
        keep = np.maximum(fine, gap) > NEGLIGIBLE * total
        split = keep & (gap > TOLERANCE * total)
        if not split.any():
            left, right, rows = left[keep], right[keep], np.flatnonzero(np.repeat(keep, NODES))
            return Panels.between(left, right), scan.taken(rows)
        middle = (left[split] + right[split]) / 2
        ends = np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])
        new = _scan(problem, Panels.between(*ends).tau)
        stay = keep & ~split
        scan = Scan.joined(scan.taken(np.flatnonzero(np.repeat(stay, NODES))), new)
        left, right = np.concatenate([left[stay], ends[0]]), np.concatenate([right[stay], ends[1]])
        order = np.argsort(left)
        left, right = left[order], right[order]
        scan = scan.taken((order[:, None] * NODES + np.arange(NODES)).ravel())
    raise ModelError(
        f"the quadrature over tau did not settle to {TOLERANCE:g} after {ROUNDS} halvings: is the prior {problem.tau} "
        "on the scale of the effects?"
    )


def _edges(problem: Problem) -> FloatArray:
    """Panels that grow from below the smallest to beyond the largest size that matters."""
    prior = problem.tau
    assert prior is not None
    sei = np.sqrt(problem.vi)
    spread = float(np.abs(problem.yi).max())
    scale = prior.scale if math.isfinite(prior.scale) else float(np.median(sei))
    smallest, largest = min(float(sei.min()), scale), max(float(sei.max()), scale, spread)
    if prior.family == "uniform":
        low, high = prior.parameters
        edges = min(smallest, high) * RATIO ** np.arange(1 + math.ceil(math.log(high / min(smallest, high), RATIO)))
        return np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
    top = (REACH if prior.bounded else TAIL) * largest
    return np.append(0.0, smallest * RATIO ** np.arange(1 + math.ceil(math.log(top / smallest, RATIO))))


def _grid(problem: Problem, panels: Panels, scan: Scan, normal: Normal) -> tuple[FloatArray, float]:
    """An even grid in mu over all that the scan found, fine enough for the narrowest row."""
    if problem.mu is None:
        return np.zeros(1), 0.0
    log_cell = scan.height + np.log(panels.weight)[:, None]
    inside = log_cell >= log_cell.max() - DEEP
    rows = inside.any(axis=1)
    first, last = inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    row = np.arange(len(first))
    low = float(scan.mu[row, np.maximum(first - 1, 0)][rows].min())
    high = float(scan.mu[row, np.minimum(last + 1, inside.shape[1] - 1)][rows].max())
    _, spread = _conditional(problem.mu, normal)
    count = math.ceil((high - low) / (STEP * float(spread[rows].min()))) + 1
    if count > MOST:
        raise ModelError(
            f"the prior {problem.mu} on mu is {count / MOST:.0f} times too wide for these effects to be integrated "
            "over: is it on their scale?"
        )
    mu = np.linspace(low, high, count)
    return mu, float(mu[1] - mu[0])
