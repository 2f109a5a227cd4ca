"""The exact engine: b integrated analytically, the standard deviation tau by adaptive quadrature.

One generalised eigendecomposition per block turns V + tau^2 K into a diagonal, so that a value of tau costs one
triangular factorisation. Given tau, b is Gaussian (flat or normal prior), and every posterior here is a mixture of
Gaussians over the nodes of a Gauss-Legendre rule in tau. Panels grow geometrically from the smallest standard error
(the posterior is piecewise smooth on the scale of log tau) and each is halved until mass, mean and second moment of
tau agree before and after. A prior with a power tail is followed to infinity in 1/tau, where it is a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre
from scipy.special import ndtr, ndtri

from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import LOG_2PI
from catharsis.numerics import FloatArray, root

NODES = 20  # per panel; exact for polynomials of degree 39
TOLERANCE = 1e-11  # of the whole, by which a panel may change when it is halved
HALVINGS = 40  # a panel this often halved is 1e-12 of its first width
REACH = 64.0  # a light-tailed prior ends at this many scales of prior and data (e^-64 is 2e-28)
NEGLIGIBLE = 1e-18  # probability below which a panel is dropped
CHUNK = 4_000_000  # numbers that one batch of factorisations may hold (32 MB)
HEAVY = ("half-cauchy",)  # priors with a power tail, tau^-2
EPS = float(np.finfo(float).eps)
ROOT_STEPS = 200  # bisection alone needs 60

X_NODES, X_WEIGHTS = legendre.leggauss(NODES)


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


@dataclass(frozen=True, slots=True)
class Rotated:
    """The model in coordinates where V = I and K is diagonal: k independent rows with variance 1 + tau^2 d.

    Attributes
    ----------
    joint : (k, p + 1) array
        [X y] rotated.
    d : (k,) array
        Eigenvalues of K against V; exactly 0 where K has no rank. 1/sqrt(d) is a standard error.
    log_det : float
        log|V|.
    """

    joint: FloatArray
    d: FloatArray
    log_det: float


def rotate(blocks: Blocks) -> Rotated:
    """Diagonalise V + tau^2 K for every tau at once.

    Raises
    ------
    ModelError
        For more than one random factor, or a V that is not positive definite.
    """
    if len(blocks.factors) != 1:
        has = ", ".join(blocks.factors) or "none"
        raise ModelError(f"the exact engine integrates one random factor so far; this model has {has}")
    joint = np.column_stack([blocks.X, blocks.y])
    rows, values, log_det = [], [], 0.0
    for stack in blocks.stacks:
        try:
            half = np.linalg.cholesky(stack.V)
        except np.linalg.LinAlgError:
            raise ModelError("V is not positive definite: two effects repeat each other, or a variance is 0") from None
        log_det += 2 * float(np.log(np.diagonal(half, axis1=1, axis2=2)).sum())
        inner = np.linalg.solve(half, np.swapaxes(np.linalg.solve(half, stack.K[0]), 1, 2))
        d, Q = np.linalg.eigh(inner)
        rank = np.rint((1 / stack.K[0].sum(axis=2)).sum(axis=1))  # levels in each block
        d[np.arange(d.shape[1]) < d.shape[1] - rank[:, None]] = 0.0  # not 1e-17, which a large tau would bring to life
        rows.append((np.swapaxes(Q, 1, 2) @ np.linalg.solve(half, joint[stack.rows])).reshape(-1, joint.shape[1]))
        values.append(d.ravel())
    return Rotated(np.concatenate(rows), np.concatenate(values), log_det)


def conditional(model: Rotated, terms: Sequence[str], priors: Priors, tau: FloatArray) -> Conditional:
    """Posterior of b given tau, in closed form.

    Parameters
    ----------
    model : Rotated
        The model, diagonal.
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
    size = max(1, CHUNK // model.joint.size)
    parts = [_conditional(model, terms, priors, tau[i : i + size]) for i in range(0, len(tau), size)]
    return Conditional(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.cov for part in parts]),
        np.concatenate([part.log_likelihood for part in parts]),
    )


def _conditional(model: Rotated, terms: Sequence[str], priors: Priors, tau: FloatArray) -> Conditional:
    prior_mean, precision = priors.location(terms)
    k, p, g = len(model.d), len(terms), len(tau)
    ratio = tau[:, None] ** 2 * model.d
    # a normal prior is p more observations; QR keeps the digits that normal equations square away
    observed = np.empty((g, k + p, p + 1))
    observed[:, :k] = model.joint / np.sqrt(1 + ratio)[:, :, None]
    observed[:, k:] = np.sqrt(precision)[:, None] * np.column_stack([np.eye(p), prior_mean])
    R = np.asarray(np.linalg.qr(observed, mode="r"))
    inverse = np.linalg.inv(R[:, :p, :p])
    proper = precision > 0
    log_det = model.log_det + np.log1p(ratio).sum(axis=1) - float(np.log(precision[proper]).sum())
    log_information = 2 * np.log(np.abs(np.diagonal(R, axis1=1, axis2=2)[:, :p])).sum(axis=1)
    constant = (k - int((~proper).sum())) * LOG_2PI
    return Conditional(
        np.einsum("gij,gj->gi", inverse, R[:, :p, p]),
        np.einsum("gij,glj->gil", inverse, inverse),
        -0.5 * (log_det + log_information + R[:, p, p] ** 2 + constant),
    )


@dataclass(frozen=True, slots=True)
class Mixture:
    """The joint posterior: nodes in tau with weights, b Gaussian at each.

    Attributes
    ----------
    tau, weight : (g,) arrays
        Nodes and their probabilities.
    mean, cov : (g, p), (g, p, p) arrays
        Conditional posterior of b.
    left, right : (q,) arrays
        Panels of the rule, `NODES` nodes each, in the coordinate of `turn`; empty when tau is fixed.
    turn : float
        Up to here the coordinate s is tau; beyond, tau = turn^2 / (2 turn - s), so that 2 turn is infinity.
    log_evidence, error : float
        Log marginal likelihood, and the relative error of mass, mean and second moment of tau.
    tail : Tail
        How many moments tau has.
    """

    tau: FloatArray
    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    left: FloatArray
    right: FloatArray
    turn: float
    log_evidence: float
    error: float
    tail: Tail

    @property
    def moments(self) -> int:
        """Moments of tau that exist, 0 to 2."""
        return self.tail.moments


def integrate(blocks: Blocks, terms: Sequence[str], priors: Priors) -> Mixture:
    """Quadrature over tau; each panel is halved until it is stable to `TOLERANCE` of the whole.

    Raises
    ------
    ModelError
        For more than one random factor, an improper posterior, or when the rule does not settle.
    """
    model = rotate(blocks)
    tail = tail_of(model, terms, priors)
    if priors.tau.family == "fixed":
        tau = np.array(priors.tau.parameters)
        found = conditional(model, terms, priors, tau)
        none, evidence = np.empty(0), float(found.log_likelihood[0])
        return Mixture(tau, np.ones(1), found.mean, found.cov, none, none, math.inf, evidence, 0.0, tail)
    heavy = priors.tau.family in HEAVY
    edges = _edges(model, terms, priors)
    turn = float(edges[-1]) if heavy else math.inf
    if heavy:
        edges = np.append(edges, 2 * turn)

    def log_mass(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nodes (q, NODES) in tau, and the log of weight times density there."""
        half = (right - left)[:, None] / 2
        tau, log_jacobian = _tau_of(left[:, None] + half * (1 + X_NODES), turn)
        flat = tau.ravel()
        density = conditional(model, terms, priors, flat).log_likelihood + priors.tau.log_density(flat)
        return tau, density.reshape(tau.shape) + log_jacobian + np.log(half * X_WEIGHTS)

    left, right, error, peak = _refine(log_mass, edges, tail.moments, blocks.k)
    tau, height = log_mass(left, right)
    mass = np.exp(height - peak)
    total = float(mass.sum())
    keep = mass.sum(axis=1) > NEGLIGIBLE * total
    nodes = tau[keep].ravel()
    found = conditional(model, terms, priors, nodes)
    weight = mass[keep].ravel()
    weight /= weight.sum()
    evidence = peak + math.log(total)
    return Mixture(nodes, weight, found.mean, found.cov, left[keep], right[keep], turn, evidence, error, tail)


def _refine(
    log_mass: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    edges: FloatArray,
    moments: int,
    k: int,
) -> tuple[FloatArray, FloatArray, float, float]:
    """Halve panels until halving changes nothing; the settled panels, the summed changes, and the highest log mass."""
    powers = np.arange(moments + 1)

    def sums(tau: FloatArray, height: FloatArray, peak: float) -> FloatArray:
        """(q, moments + 1) integrals of tau^j over each panel."""
        return np.asarray(np.einsum("qn,qnj->qj", np.exp(height - peak), tau[:, :, None] ** powers))

    left, right = edges[:-1], edges[1:]
    tau, height = log_mass(left, right)
    peak = float(height.max())
    done: list[tuple[FloatArray, FloatArray]] = []  # left and right ends
    settled = np.zeros(moments + 1)  # relative to exp(peak)
    change = np.zeros(moments + 1)
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        ends = np.stack([left, middle]).T.ravel(), np.stack([middle, right]).T.ravel()
        finer, finer_height = log_mass(*ends)
        above = max(peak, float(finer_height.max()))
        settled, change, peak = settled * math.exp(peak - above), change * math.exp(peak - above), above
        coarse = sums(tau, height, peak)
        fine = sums(finer, finer_height, peak).reshape(-1, 2, moments + 1).sum(axis=1)
        total = settled + fine.sum(axis=0)
        noise = 8 * EPS * (k + abs(peak))  # rounding of a log density of k terms
        good = np.all(np.abs(fine - coarse) <= (TOLERANCE + noise) * total, axis=1)
        settled = settled + fine[good].sum(axis=0)
        change = change + np.abs(fine - coarse)[good].sum(axis=0)
        both = np.repeat(good, 2)
        done.append((ends[0][both], ends[1][both]))
        if good.all():
            left, right = (np.concatenate([part[side] for part in done]) for side in (0, 1))
            order = np.argsort(left)
            return left[order], right[order], float(np.max(change / total)) + noise, peak
        left, right, tau, height = ends[0][~both], ends[1][~both], finer[~both], finer_height[~both]
    raise ModelError("the quadrature over tau did not settle; the prior on tau may be far from the data")


def _tau_of(s: FloatArray, turn: float) -> tuple[FloatArray, FloatArray]:
    """Tau and log d tau / d s at coordinate s."""
    if math.isinf(turn):
        return s, np.zeros_like(s)
    beyond = s > turn
    stretch = np.where(beyond, turn / np.where(beyond, 2 * turn - s, turn), 1.0)
    return np.where(beyond, turn * stretch, s), 2 * np.log(stretch)


def _edges(model: Rotated, terms: Sequence[str], priors: Priors) -> FloatArray:
    """First panels: 0, then doubling from half the smallest scale in the problem to where nothing is left."""
    X, y = model.joint[:, :-1], model.joint[:, -1]
    alive = model.d > 0
    sei = model.d[alive] ** -0.5
    centres = [np.linalg.lstsq(X, y, rcond=None)[0], priors.location(terms)[0]]
    residual = max(float(np.abs((y - X @ centre)[alive] * sei).max()) for centre in centres)
    scale = _scale(priors.tau)
    smallest, largest = min(float(sei.min()), scale), max(float(sei.max()), residual, scale)
    if priors.tau.family == "uniform":
        low, high = priors.tau.parameters
        edges = smallest / 2 * 2.0 ** np.arange(max(2, math.ceil(math.log2(2 * high / smallest))))
        return np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
    top = (2 if priors.tau.family == "half-cauchy" else REACH) * largest
    return np.append(0.0, smallest / 2 * 2.0 ** np.arange(1 + math.ceil(math.log2(2 * top / smallest))))


def _scale(prior: Prior) -> float:
    return prior.parameters[1] if prior.family == "uniform" else prior.parameters[0]


@dataclass(frozen=True, slots=True)
class Tail:
    """Which posterior moments exist.

    Attributes
    ----------
    moments : int
        Moments of tau, 0 to 2: fewer than 2 under a power tail that few studies cannot tame.
    loose : (p, n) array
        Directions of b that only the spread between levels informs: their variance grows with tau^2, so they share
        tau's want of moments.
    """

    moments: int
    loose: FloatArray

    def touches(self, row: FloatArray) -> bool:
        """Whether row'b lies partly in a loose direction."""
        return bool(np.any(np.abs(self.loose.T @ row) > 1e-10 * np.abs(self.loose.T) @ np.abs(row)))


def tail_of(model: Rotated, terms: Sequence[str], priors: Priors) -> Tail:
    """Count moments: the likelihood falls as tau^-(n - q), n levels and q loose directions, a half-Cauchy as tau^-2.

    Raises
    ------
    ModelError
        When the posterior is improper.
    """
    _, precision = priors.location(terms)
    X, p = model.joint[:, :-1], len(terms)
    rows = np.concatenate([X, np.diag(np.sqrt(precision))])
    norm = np.linalg.norm(rows, axis=0)
    scale = np.where(norm > 0, norm, 1.0)
    if np.linalg.matrix_rank(rows / scale) < p:
        raise ModelError(
            "the posterior is improper: the moderators repeat each other and their priors are flat, so the data cannot "
            "tell their coefficients apart; drop a moderator or give them normal priors"
        )
    firm = np.concatenate([X[model.d == 0], np.diag(np.sqrt(precision))]) / scale
    _, singular, Vt = np.linalg.svd(firm)
    loose = Vt[int((singular > 1e-10).sum()) :].T / scale[:, None]
    levels = int((model.d > 0).sum())
    return Tail(min(2, levels - loose.shape[1]) if priors.tau.family in HEAVY else 2, loose)


def marginals(weight: FloatArray, mean: FloatArray, variance: FloatArray, level: float) -> list[Marginal]:
    """Marginals of n mixtures of Gaussians.

    Parameters
    ----------
    weight : (g,) array
        Probabilities of the components.
    mean, variance : (n, g) arrays
        Components of each mixture.
    level : float
        Probability of the central interval.

    Returns
    -------
    list of Marginal
    """
    centre = mean @ weight
    sd = np.sqrt((variance + (mean - centre[:, None]) ** 2) @ weight)
    spread = np.sqrt(variance)
    positive = np.minimum(ndtr(mean / spread) @ weight, 1.0)  # the weights sum to 1 up to rounding
    at = np.stack([_quantiles(weight, mean, spread, q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2)])
    return [
        Marginal(*(float(value) for value in row))
        for row in zip(centre, sd, at[1], at[0], at[2], positive, strict=True)
    ]


def _quantiles(weight: FloatArray, mean: FloatArray, spread: FloatArray, probability: float) -> FloatArray:
    """(n,) quantiles of mixtures of Gaussians by Newton steps inside a shrinking bracket."""
    inside = weight > 0
    each = mean[:, inside] + ndtri(probability) * spread[:, inside]  # the mixture's lies between its components'
    low, high = each.min(axis=1), each.max(axis=1)
    x = each @ weight[inside]
    for _ in range(ROOT_STEPS):
        z = (x[:, None] - mean) / spread
        excess = ndtr(z) @ weight - probability
        low, high = np.where(excess < 0, x, low), np.where(excess >= 0, x, high)
        density = (np.exp(-0.5 * z**2) / spread) @ weight / math.sqrt(2 * math.pi)
        step = np.divide(excess, density, out=np.full_like(x, np.inf), where=density > 0)
        following = np.where((x - step > low) & (x - step < high), x - step, (low + high) / 2)
        if np.all(np.abs(following - x) <= 4 * EPS * np.maximum(np.abs(x), spread.min(axis=1))):
            break
        x = following
    return np.asarray(following)


def tau_marginal(mixture: Mixture, level: float) -> Marginal:
    """Marginal of tau; quantiles from the polynomial that the rule integrates in each panel."""
    mean = float(mixture.weight @ mixture.tau)
    if len(mixture.left) == 0:
        return Marginal(mean, 0.0, mean, mean, mean, float(mean > 0))
    sd = float(np.sqrt(mixture.weight @ (mixture.tau - mean) ** 2))
    low, median, high = (tau_quantile(mixture, q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return existing(Marginal(mean, sd, median, low, high, 1.0), mixture.moments)


def existing(found: Marginal, moments: int) -> Marginal:
    """The marginal with its mean and sd as far as they exist: an integral without end is not what the nodes give.

    Parameters
    ----------
    found : Marginal
        From nodes or draws.
    moments : int
        How many moments exist; below 2 the sd is infinite, below 1 mean and sd are nan.

    Returns
    -------
    Marginal
    """
    if moments >= 2:
        return found
    mean, sd = (found.mean, math.inf) if moments == 1 else (math.nan, math.nan)
    wide = math.inf if found.mcse else 0.0
    return replace(found, mean=mean, sd=sd, mcse=wide, mcse_sd=wide)


def tau_below(mixture: Mixture, x: float) -> tuple[float, float]:
    """P(tau < x) and P(tau > x)."""
    if len(mixture.left) == 0:
        return float(mixture.tau[0] < x), float(mixture.tau[0] > x)
    if x <= 0:
        return 0.0, 1.0
    s = x if x <= mixture.turn else mixture.turn * (2 - mixture.turn / x)
    mass = mixture.weight.reshape(-1, NODES)
    panel = int(np.searchsorted(mixture.right, s))
    if panel == len(mass):
        return 1.0, 0.0
    left, right = mixture.left[panel], mixture.right[panel]
    here = float(mass[panel].sum())
    part = min(max(_within(mass[panel], max(2 * (s - left) / (right - left) - 1, -1.0)), 0.0), here)
    return float(mass[:panel].sum()) + part, float(mass[panel + 1 :].sum()) + here - part


def _within(mass: FloatArray, z: float) -> float:
    """Mass of a panel [-1, 1] below z."""
    return float(legendre.legval(z, _series(mass)))


def _series(mass: FloatArray) -> FloatArray:
    """Legendre series of the integral from -1 of the polynomial through a panel's densities."""
    degrees = np.arange(NODES)
    density = (legendre.legvander(X_NODES, NODES - 1) * mass[:, None]).sum(axis=0) * (2 * degrees + 1) / 2
    return np.asarray(legendre.legint(density, lbnd=-1))


def tau_quantile(mixture: Mixture, probability: float) -> float:
    """The tau below which the posterior puts `probability`."""
    mass = mixture.weight.reshape(-1, NODES)
    before = np.concatenate([[0.0], np.cumsum(mass.sum(axis=1))])
    panel = int(np.clip(np.searchsorted(before, probability) - 1, 0, len(mass) - 1))
    series, rest = _series(mass[panel]), probability - float(before[panel])
    left, right = float(mixture.left[panel]), float(mixture.right[panel])
    if not rest < float(legendre.legval(1.0, series)):  # rounding at an edge
        s = right
    else:
        s = left + (right - left) * (1 + root(lambda z: float(legendre.legval(z, series)) - rest, -1.0, 1.0)) / 2
    return float(_tau_of(np.array(s), mixture.turn)[0])


def posterior(blocks: Blocks, terms: tuple[str, ...], labels: Sequence[str], priors: Priors, level: float) -> Posterior:
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
    unit = np.eye(len(terms))

    def components(row: FloatArray, new: bool = False) -> tuple[FloatArray, FloatArray]:
        return mean @ row, np.einsum("i,gij,j->g", row, cov, row) + (tau2 if new else 0.0)

    def linear(x: Sequence[float], new: bool = False) -> Marginal:
        row = np.asarray(x, dtype=float)
        if row.shape != (len(terms),):
            raise ModelError(f"{row.size} numbers for {len(terms)} coefficients ({', '.join(terms)})")
        centre, variance = components(row, new)
        found = marginals(w, centre[None], variance[None], level)[0]
        return existing(found, mixture.moments if new or mixture.tail.touches(row) else 2)

    def chance(name: str, side: str, value: float) -> float:
        if name == "tau":
            below, above = tau_below(mixture, value)
            return below if side == "<" else above
        new = name == "new study"
        centre, variance = components(unit[0 if new else terms.index(name)], new)
        z = (value - centre) / np.sqrt(variance)
        return min(float(w @ ndtr(z if side == "<" else -z)), 1.0)

    flat = bool(np.any(priors.location(terms)[1] == 0))
    return Posterior(
        engine="exact",
        terms=terms,
        coefficients={term: linear(unit[i]) for i, term in enumerate(terms)},
        tau=tau_marginal(mixture, level),
        new=linear(unit[0], new=True),
        studies=_studies(blocks, labels, mixture, level),
        linear=linear,
        priors=priors,
        level=level,
        log_evidence=math.nan if flat else mixture.log_evidence,
        error=mixture.error,
        chance=chance,
        notes=moment_notes(mixture.tail, priors),
    )


def moment_notes(tail: Tail, priors: Priors) -> tuple[str, ...]:
    """What a reader must be told when moments do not exist."""
    if tail.moments >= 2:
        return ()
    lost = "variance" if tail.moments == 1 else "mean and variance"
    return (
        f"so few studies leave the tail of {priors.tau} on tau so heavy that the posterior {lost} of tau and of a new "
        "study's effect do not exist; the medians and intervals do",
    )


def _studies(blocks: Blocks, labels: Sequence[str], mixture: Mixture, level: float) -> dict[str, Marginal]:
    """Shrunken effects of the univariate model: theta_i | tau is Gaussian too."""
    if any(stack.rows.shape[1] > 1 for stack in blocks.stacks):
        return {}
    v = np.empty((blocks.k, 1))
    for stack in blocks.stacks:
        v[stack.rows[:, 0], 0] = stack.V[:, 0, 0]
    tau2 = mixture.tau**2
    keep, pull = tau2 / (tau2 + v), v / (tau2 + v)
    lever = np.einsum("ki,gij,kj->kg", blocks.X, mixture.cov, blocks.X, optimize=True)
    centre = keep * blocks.y[:, None] + pull * (blocks.X @ mixture.mean.T)
    found = marginals(mixture.weight, centre, keep * v + pull**2 * lever, level)
    return dict(zip(labels, found, strict=True))
