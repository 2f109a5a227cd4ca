"""The exact engine: b integrated analytically, the standard deviation tau by quadrature.

Given tau, b is Gaussian (flat or normal prior), so every posterior here is a mixture of Gaussians over
the nodes of a Gauss-Legendre rule in tau. The rule is refined until the evidence stops moving.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import LOG_2PI
from catharsis.numerics import FloatArray, root

NODES = 20  # per panel; exact for polynomials of degree 39
DROP = 40.0  # panels end where the log density lies this far below its maximum (e^-40 is 4e-18)
TOLERANCE = 1e-10  # relative change of the evidence when the panels are halved


@dataclass(frozen=True, slots=True)
class Conditional:
    """The Gaussian posterior of b at each tau, and the log marginal likelihood there.

    Attributes
    ----------
    mean : (g, p) array
    cov : (g, p, p) array
    log_likelihood : (g,) array
        log p(y | tau), b integrated out; constants included where the prior on b is proper.
    """

    mean: FloatArray
    cov: FloatArray
    log_likelihood: FloatArray


def conditional(blocks: Blocks, terms: Sequence[str], priors: Priors, tau: FloatArray) -> Conditional:
    """Posterior of b given tau, in closed form.

    Parameters
    ----------
    blocks : Blocks
        The model, with one random factor.
    terms : sequence of str
        (p,) names of the coefficients, which choose their priors.
    priors : Priors
        Normal or flat on b.
    tau : (g,) array
        Standard deviations.

    Returns
    -------
    Conditional

    References
    ----------
    [@roever2020]
    """
    prior_mean, precision = priors.location(terms)
    p, g = blocks.p, len(tau)
    XtWX, XtWy = np.zeros((g, p, p)), np.zeros((g, p))
    fixed = np.zeros(g)  # log|M| + y'Wy
    for stack in blocks.stacks:
        M = stack.V + (tau**2)[:, None, None, None] * stack.K[0]
        root_ = np.linalg.cholesky(M)
        joint = np.concatenate([blocks.X[stack.rows], blocks.y[stack.rows][:, :, None]], axis=2)
        half = np.linalg.solve(root_, np.broadcast_to(joint, (g, *joint.shape)))
        cross = np.einsum("gbni,gbnj->gij", half, half)
        XtWX += cross[:, :p, :p]
        XtWy += cross[:, :p, p]
        fixed += cross[:, p, p] + 2 * np.log(np.diagonal(root_, axis1=2, axis2=3)).sum(axis=(1, 2))
    A = XtWX + np.diag(precision)
    right = XtWy + precision * prior_mean
    cov = np.linalg.inv(A)
    mean = np.einsum("gij,gj->gi", cov, right)
    proper = precision > 0
    constant = blocks.k * LOG_2PI - float(np.log(precision[proper]).sum()) - int((~proper).sum()) * LOG_2PI
    quadratic = float(precision @ prior_mean**2) - np.einsum("gi,gi->g", right, mean)
    return Conditional(mean, cov, -0.5 * (fixed + quadratic + np.linalg.slogdet(A)[1] + constant))


@dataclass(frozen=True, slots=True)
class Mixture:
    """The joint posterior: nodes in tau with weights, b Gaussian at each.

    Attributes
    ----------
    tau, weight : (g,) arrays
        Nodes and their probabilities.
    mean, cov : (g, p), (g, p, p) arrays
        Conditional posterior of b.
    edges : (q + 1,) array
        Panels of the rule; `NODES` nodes each.
    """

    tau: FloatArray
    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    edges: FloatArray
    log_evidence: float
    error: float


def integrate(blocks: Blocks, terms: Sequence[str], priors: Priors) -> Mixture:
    """Quadrature over tau, refined until the evidence is stable to `TOLERANCE`.

    Raises
    ------
    ModelError
        For more than one random factor, or when the rule does not settle.
    """
    if len(blocks.factors) != 1:
        raise ModelError("the exact engine integrates one variance component so far; use engine='nuts'")

    def height(tau: FloatArray) -> tuple[FloatArray, Conditional]:
        found = conditional(blocks, terms, priors, tau)
        return found.log_likelihood + priors.tau.log_density(tau), found

    if priors.tau.family == "fixed":
        tau = np.array([priors.tau.parameters[0]])
        log_density, found = height(tau)
        return Mixture(tau, np.ones(1), found.mean, found.cov, np.array([tau[0], tau[0]]), float(log_density[0]), 0.0)
    edges = _panels(height, blocks, priors)
    previous = math.nan
    for _ in range(8):
        tau, log_step = _rule(edges)
        log_density, found = height(tau)
        evidence = float(logsumexp(log_density + log_step))
        if abs(evidence - previous) < TOLERANCE:
            weight = np.exp(log_density + log_step - evidence)
            return Mixture(
                tau, weight / weight.sum(), found.mean, found.cov, edges, evidence, abs(evidence - previous)
            )
        previous = evidence
        edges = np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))
    raise ModelError("the quadrature over tau did not settle; the prior on tau may be far from the data")


def _rule(edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = (edges[1:] - edges[:-1]) / 2
    tau = (edges[:-1] + half)[:, None] + half[:, None] * x
    return tau.ravel(), np.log(half[:, None] * w).ravel()


def _panels(height: object, blocks: Blocks, priors: Priors) -> FloatArray:
    """Panels that cover the posterior of tau: equal in tau up to where its density has vanished."""
    bounded = priors.tau.family == "uniform"
    low = priors.tau.parameters[0] if bounded else 0.0
    top = (
        priors.tau.parameters[1]
        if bounded
        else 10 * float(np.ptp(blocks.y) + np.sqrt(_variances(blocks).max()))
    )
    for _ in range(60):
        grid = low + (top - low) * np.concatenate([[1e-12], np.geomspace(1e-6, 1, 160)])
        log_density, _ = height(grid)  # type: ignore[operator]
        alive = np.flatnonzero(log_density > log_density.max() - DROP)
        last = int(alive[-1])
        if last < len(grid) - 1 or bounded:
            break
        top *= 4
    end = float(grid[min(last + 1, len(grid) - 1)])
    inner = grid[alive[log_density[alive] > log_density.max() - 6]]
    body = float(inner[-1]) if len(inner) else end
    return np.unique(np.concatenate([np.linspace(low, body, 9), np.linspace(body, end, 9)]))


def _variances(blocks: Blocks) -> FloatArray:
    return np.concatenate([np.diagonal(stack.V, axis1=1, axis2=2).ravel() for stack in blocks.stacks])


def gaussian_mixture(weight: FloatArray, mean: FloatArray, variance: FloatArray, level: float) -> Marginal:
    """Marginal of a mixture of Gaussians; weight, mean, variance are (g,)."""
    centre = float(weight @ mean)
    sd = float(np.sqrt(weight @ (variance + (mean - centre) ** 2)))
    spread = np.sqrt(variance)

    def cdf(x: float) -> float:
        return float(weight @ ndtr((x - mean) / spread))

    def quantile(probability: float) -> float:
        reach = 1.0
        while cdf(centre - reach * 4 * sd) > probability or cdf(centre + reach * 4 * sd) < probability:
            reach *= 2
        return root(lambda x: cdf(x) - probability, centre - reach * 4 * sd, centre + reach * 4 * sd)

    low, median, high = (quantile(q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Marginal(centre, sd, median, low, high, float(weight @ ndtr(mean / spread)))


def tau_marginal(mixture: Mixture, level: float) -> Marginal:
    """Marginal of tau; quantiles from the polynomial that the rule integrates in each panel."""
    mean = float(mixture.weight @ mixture.tau)
    if len(mixture.tau) == 1:
        return Marginal(mean, 0.0, mean, mean, mean, float(mean > 0))
    sd = float(np.sqrt(max(mixture.weight @ mixture.tau**2 - mean**2, 0.0)))
    low, median, high = (tau_quantile(mixture, q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Marginal(mean, sd, median, low, high, 1.0)


def tau_cdf(mixture: Mixture, x: float) -> float:
    """P(tau < x)."""
    if len(mixture.tau) == 1:
        return float(mixture.tau[0] < x)
    panel = int(np.clip(np.searchsorted(mixture.edges, x) - 1, 0, len(mixture.edges) - 2))
    mass = mixture.weight.reshape(-1, NODES)
    return float(mass[:panel].sum()) + _within(mixture, panel, x)


def _within(mixture: Mixture, panel: int, x: float) -> float:
    """Mass between the left edge of a panel and x."""
    from numpy.polynomial import legendre

    nodes, weights = legendre.leggauss(NODES)
    left, right = mixture.edges[panel], mixture.edges[panel + 1]
    density = mixture.weight.reshape(-1, NODES)[panel] / weights
    series = legendre.legint(legendre.legfit(nodes, density, NODES - 1), lbnd=-1)
    return float(legendre.legval(np.clip(2 * (x - left) / (right - left) - 1, -1, 1), series))


def tau_quantile(mixture: Mixture, probability: float) -> float:
    """The tau below which the posterior puts `probability`."""
    return root(
        lambda x: tau_cdf(mixture, x) - probability, float(mixture.edges[0]), float(mixture.edges[-1])
    )


def posterior(
    blocks: Blocks, terms: tuple[str, ...], labels: Sequence[str], priors: Priors, level: float
) -> Posterior:
    """Fit by the exact engine.

    Parameters
    ----------
    blocks : Blocks
        The model, with one random factor.
    terms, labels : sequences of str
        Names of coefficients and effects.
    priors : Priors
        Priors.
    level : float
        Probability of the intervals.

    Returns
    -------
    Posterior
    """
    mixture = integrate(blocks, terms, priors)
    w, mean, cov, tau2 = mixture.weight, mixture.mean, mixture.cov, mixture.tau**2

    def linear(x: Sequence[float], extra: FloatArray | float = 0.0) -> Marginal:
        row = np.asarray(x, dtype=float)
        return gaussian_mixture(w, mean @ row, np.einsum("i,gij,j->g", row, cov, row) + extra, level)

    unit = np.eye(len(terms))

    def chance(name: str, side: str, value: float) -> float:
        if name == "tau":
            below = tau_cdf(mixture, value) if value > 0 else 0.0
        else:
            i = 0 if name == "new study" else terms.index(name)
            variance = cov[:, i, i] + (tau2 if name == "new study" else 0.0)
            below = float(w @ ndtr((value - mean[:, i]) / np.sqrt(variance)))
        return below if side == "<" else 1 - below

    flat = priors.mu.family == "flat" or (len(terms) > 1 and priors.b.family == "flat")
    return Posterior(
        engine="exact", terms=terms, coefficients={term: linear(unit[i]) for i, term in enumerate(terms)},
        tau=tau_marginal(mixture, level), new=linear(unit[0], tau2), studies=_studies(blocks, labels, mixture, level),
        linear=linear, priors=priors, level=level, log_evidence=math.nan if flat else mixture.log_evidence,
        error=mixture.error, chance=chance,
    )  # fmt: skip


def _studies(blocks: Blocks, labels: Sequence[str], mixture: Mixture, level: float) -> dict[str, Marginal]:
    """Shrunken effects of the univariate model: theta_i | tau is Gaussian too."""
    if any(stack.rows.shape[1] > 1 for stack in blocks.stacks):
        return {}
    v = np.empty(blocks.k)
    for stack in blocks.stacks:
        v[stack.rows[:, 0]] = stack.V[:, 0, 0]
    found = {}
    for i, label in enumerate(labels):
        keep = mixture.tau**2 / (mixture.tau**2 + v[i])
        centre = mixture.mean @ blocks.X[i]
        lever = np.einsum("i,gij,j->g", blocks.X[i], mixture.cov, blocks.X[i])
        variance = keep * v[i] + (1 - keep) ** 2 * lever
        found[label] = gaussian_mixture(
            mixture.weight, keep * blocks.y[i] + (1 - keep) * centre, variance, level
        )
    return found
