"""The exact engine: b integrated analytically, the standard deviation tau by adaptive quadrature.

One generalised eigendecomposition per block turns V + tau^2 K into a diagonal, so that a value of tau costs one
triangular factorisation. Given tau, b is Gaussian (flat or normal prior), and every posterior here is a mixture of
Gaussians over the nodes of a Gauss-Legendre rule in tau. Panels grow geometrically from the smallest standard error
(the posterior is piecewise smooth on the scale of log tau) and each is halved until mass, mean and second moment of
tau agree before and after. A prior that does not end is followed to infinity in 1/tau, where a power tail is a
polynomial; one that starts like the root of 1/tau is followed to 0 in the root of tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from scipy.special import ndtr

from catharsis.bayes.conditional import Conditional, regress
from catharsis.bayes.fitted import Nodes, observed
from catharsis.bayes.marginals import GaussianMixture, PointMass, mixture_quantiles, shortest_interval, summit
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.simulation import Simulated, draw_boxes, draw_coefficients, draw_effects
from catharsis.bayes.study_effects import StudyEffects
from catharsis.bayes.true_effects import TrueEffects
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.numerics import FloatArray, root

NODES = 20  # per panel; exact for polynomials of degree 39
TOLERANCE = 1e-11  # of the whole, by which a panel may change when it is halved
HALVINGS = 40  # a panel this often halved is 1e-12 of its first width
BARELY = 0.05  # an integral of tau^-(1 + this) converges on paper only: half of it lies beyond 10^6 times the data
REACH = 64.0  # a light-tailed prior ends at this many scales of prior and data (e^-64 is 2e-28)
NEGLIGIBLE = 1e-18  # probability below which a panel is dropped
CHUNK = 4_000_000  # numbers that one batch of factorisations may hold (32 MB)
EPS = float(np.finfo(float).eps)
TINY = 1e-300  # the smallest tau that is told from 0
SCAN = 48  # lower tails tried for the shortest interval of tau, whose density may rise twice: at 0 and further up
WITHIN = 16  # points that a first panel gets when a maximum over tau is sought

X_NODES, X_WEIGHTS = legendre.leggauss(NODES)


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

    @property
    def sei(self) -> FloatArray:
        """Standard errors of the levels: those of the effects in a univariate model."""
        return np.asarray(self.d[self.d > 0] ** -0.5)

    def given(self, column: int, value: float) -> Rotated:
        """The model in which one coefficient is known."""
        y = self.joint[:, -1] - value * self.joint[:, column]
        return replace(self, joint=np.column_stack([np.delete(self.joint[:, :-1], column, axis=1), y]))


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
        np.concatenate([part.log_peak for part in parts]),
    )


def _conditional(model: Rotated, terms: Sequence[str], priors: Priors, tau: FloatArray) -> Conditional:
    ratio = tau[:, None] ** 2 * model.d
    white = model.joint / np.sqrt(1 + ratio)[:, :, None]
    return regress(white, model.log_det + np.log1p(ratio).sum(axis=1), *priors.location(terms))


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The coordinate s of the quadrature, which is tau in between.

    Attributes
    ----------
    bend : float
        Below, tau = s^2 / bend, which makes a density like tau^(-1/2) flat; 0 when there is no need.
    turn : float
        Beyond, tau = turn / r^stretch with r = 2 - s / turn, so that 2 turn is infinity; inf when nothing lies there.
    stretch : float
        1, or more for a tail so heavy that only a power of 1/tau makes it flat.
    deep : bool
        Below the bend, tau = bend exp(1 - bend / s) instead: a log-t prior keeps mass at every order of magnitude.
    """

    bend: float = 0.0
    turn: float = math.inf
    stretch: float = 1.0
    deep: bool = False

    def tau(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tau and log d tau / d s."""
        log_jacobian = np.zeros_like(s)
        tau = s
        if self.bend > 0:
            low = s < self.bend
            at = np.where(low, s, self.bend)
            if self.deep:
                depth = 1 - self.bend / at
                tau = np.where(low, np.maximum(self.bend * np.exp(depth), TINY), s)
                log_jacobian = np.where(low, depth + 2 * np.log(self.bend / at), 0.0)
            else:
                tau = np.where(low, s**2 / self.bend, s)
                log_jacobian = np.where(low, np.log(2 * at / self.bend), 0.0)
        if math.isfinite(self.turn):
            beyond = s > self.turn
            r = np.where(beyond, np.maximum(2 - s / self.turn, EPS), 1.0)
            tau = np.where(beyond, self.turn * r**-self.stretch, tau)
            slope = math.log(self.stretch) - (self.stretch + 1) * np.log(r)
            log_jacobian = np.where(beyond, slope, log_jacobian)
        return tau, log_jacobian

    def s(self, tau: float) -> float:
        """Where tau lies."""
        if tau < self.bend:
            if self.deep:
                return self.bend / (1 + math.log(self.bend / tau)) if tau > 0 else 0.0
            return math.sqrt(tau * self.bend)
        return tau if tau <= self.turn else self.turn * (2 - (self.turn / tau) ** (1 / self.stretch))


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
        Panels of the rule, `NODES` nodes each, in the coordinate s; empty when tau is fixed.
    coordinate : Coordinate
        How s becomes tau.
    log_evidence, error : float
        Log marginal likelihood, and the relative error of mass, mean and second moment of tau.
    tail : Tail
        How many moments tau has.
    log_joint : callable
        log p(y | tau) p(tau) at each tau.
    """

    tau: FloatArray
    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    left: FloatArray
    right: FloatArray
    coordinate: Coordinate
    log_evidence: float
    error: float
    tail: Tail
    log_joint: Callable[[FloatArray], FloatArray] = field(repr=False)

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
    return integrate_rotated(model, terms, priors.completed(model.sei))


def integrate_rotated(model: Rotated, terms: Sequence[str], priors: Priors) -> Mixture:
    """`integrate` for a model that is diagonal and priors that are complete."""
    tail = tail_of(model, terms, priors)

    def log_joint(tau: FloatArray) -> FloatArray:
        flat = np.ravel(tau)
        found = conditional(model, terms, priors, flat).log_likelihood + priors.tau.log_density(flat)
        return np.asarray(found.reshape(np.shape(tau)))

    if priors.tau.family == "fixed":
        tau = np.array(priors.tau.parameters)
        found = conditional(model, terms, priors, tau)
        none, evidence = np.empty(0), float(found.log_likelihood[0])
        where = Coordinate()
        return Mixture(tau, np.ones(1), found.mean, found.cov, none, none, where, evidence, 0.0, tail, log_joint)
    edges = _edges(model, terms, priors)
    where = Coordinate(
        float(edges[1]) if priors.tau.origin < 0 else 0.0,
        math.inf if priors.tau.bounded else float(edges[-1]),
        max(1.0, 1 / tail.beyond),
        priors.tau.origin <= -1,
    )
    if not priors.tau.bounded:
        edges = np.append(edges, 2 * where.turn)

    def log_mass(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nodes (q, NODES) in tau, and the log of weight times density there."""
        half = (right - left)[:, None] / 2
        tau, log_jacobian = where.tau(left[:, None] + half * (1 + X_NODES))
        return tau, log_joint(tau) + log_jacobian + np.log(half * X_WEIGHTS)

    left, right, error, peak = _refine(log_mass, edges, tail.moments, len(model.d))
    tau, height = log_mass(left, right)
    mass = np.exp(height - peak)
    total = float(mass.sum())
    keep = mass.sum(axis=1) > NEGLIGIBLE * total
    nodes = tau[keep].ravel()
    found = conditional(model, terms, priors, nodes)
    weight = mass[keep].ravel()
    weight /= weight.sum()
    evidence = peak + math.log(total)
    return Mixture(
        nodes, weight, found.mean, found.cov, left[keep], right[keep], where, evidence, error, tail, log_joint
    )


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
            if not np.all(total > 0):
                break  # heights so far apart that rounding hides where the mass is
            left, right = (np.concatenate([part[side] for part in done]) for side in (0, 1))
            order = np.argsort(left)
            return left[order], right[order], float(np.max(change / total)) + noise, peak
        left, right, tau, height = ends[0][~both], ends[1][~both], finer[~both], finer_height[~both]
    raise ModelError("the quadrature over tau did not settle; the prior on tau may be far from the data")


def _edges(model: Rotated, terms: Sequence[str], priors: Priors) -> FloatArray:
    """First panels: 0, then doubling from half the smallest scale in the problem to where nothing is left."""
    X, y, sei = model.joint[:, :-1], model.joint[:, -1], model.sei
    alive = model.d > 0
    centres = [np.linalg.lstsq(X, y, rcond=None)[0] if len(terms) else np.empty(0), priors.location(terms)[0]]
    residual = max(float(np.abs((y - X @ centre)[alive] * sei).max()) for centre in centres)
    if priors.tau.family == "uniform" and priors.tau.proper:
        low, high = priors.tau.parameters
        smallest = min(float(sei.min()), high)
        edges = smallest / 2 * 2.0 ** np.arange(max(2, math.ceil(math.log2(2 * high / smallest))))
        return np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
    scale = float(np.nan_to_num(priors.tau.scale, nan=float(sei.min())))
    smallest, largest = min(float(sei.min()), scale), max(float(sei.max()), residual, scale)
    top = (REACH if priors.tau.bounded else 2) * largest
    return np.append(0.0, smallest / 2 * 2.0 ** np.arange(1 + math.ceil(math.log2(2 * top / smallest))))


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
    beyond : float
        The power of 1/tau by which the integrand of the highest of these moments, and no fewer, converges.
    """

    moments: int
    loose: FloatArray
    beyond: float

    def touches(self, row: FloatArray) -> bool:
        """Whether row'b lies partly in a loose direction."""
        return bool(np.any(np.abs(self.loose.T @ row) > 1e-10 * np.abs(self.loose.T) @ np.abs(row)))


def tail_of(model: Rotated, terms: Sequence[str], priors: Priors) -> Tail:
    """Count moments: the likelihood falls as tau^-(n - q), n levels and q loose directions, the prior as tau^-a.

    Raises
    ------
    ModelError
        When the posterior is improper.
    """
    _, precision = priors.location(terms)
    X, p = model.joint[:, :-1], len(terms)
    if p == 0:
        return _tail(int((model.d > 0).sum()), np.empty((0, 0)), priors)
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
    return _tail(int((model.d > 0).sum()), loose, priors)


def _tail(levels: int, loose: FloatArray, priors: Priors) -> Tail:
    power = levels - loose.shape[1] + priors.tau.tail  # the posterior of tau falls as tau^-power
    if not power > 1 + BARELY:
        free = loose.shape[1]
        raise ModelError(
            f"the posterior is improper{', or as good as that' if power > 1 else ''}: with the prior {priors.tau} on "
            f"tau, {levels} stud{'ies' if levels != 1 else 'y'} and {free} coefficient{'s' * (free != 1)} with a flat "
            "prior leave large values of tau without bound; use a proper prior on tau, such as half-normal(0.5), or "
            "more studies"
        )
    moments = sum(power > 1 + j + BARELY for j in (1, 2))
    return Tail(moments, loose, power - 1 - moments)


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
    at = np.stack([mixture_quantiles(weight, mean, spread, q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2)])
    rows = np.stack([centre, sd, at[1], at[0], at[2], positive], axis=1).tolist()
    return [
        Marginal(average, deviation, median, low, high, above, law=GaussianMixture(weight, mean[i], spread[i]))
        for i, (average, deviation, median, low, high, above) in enumerate(rows)
    ]


def tau_marginal(mixture: Mixture, level: float) -> Marginal:
    """Marginal of tau; quantiles from the polynomial that the rule integrates in each panel."""
    mean = float(mixture.weight @ mixture.tau)
    if len(mixture.left) == 0:
        return Marginal(mean, 0.0, mean, mean, mean, float(mean > 0), law=PointMass(mean))
    sd = float(np.sqrt(mixture.weight @ (mixture.tau - mean) ** 2))
    low, median, high = (tau_quantile(mixture, q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    return existing(Marginal(mean, sd, median, low, high, 1.0, law=TauLaw(mixture)), mixture.moments)


@dataclass(frozen=True, slots=True, eq=False)
class TauLaw:
    """The posterior of tau: its density is computed afresh, its mass is the quadrature's."""

    mixture: Mixture

    def log_density(self, x: FloatArray) -> FloatArray:
        """Log density at x."""
        x = np.asarray(x, dtype=float)
        inside = self.mixture.log_joint(np.maximum(x, 0.0)) - self.mixture.log_evidence
        return np.where(x < 0, -np.inf, inside)

    def density(self, x: FloatArray) -> FloatArray:
        """Density at x."""
        return np.asarray(np.exp(self.log_density(x)))

    def below(self, x: float) -> float:
        """P(tau < x)."""
        return tau_below(self.mixture, x)[0]

    def above(self, x: float) -> float:
        """P(tau > x)."""
        return tau_below(self.mixture, x)[1]

    def quantile(self, probability: float) -> float:
        """The value that tau stays below with this probability."""
        return tau_quantile(self.mixture, probability)

    def mode(self) -> float:
        """Where the density is highest; 0 when it only falls."""
        return summit(self.log_density, np.append(0.0, self.mixture.tau))

    def shortest(self, level: float) -> tuple[float, float]:
        """The shortest interval of this probability."""
        return shortest_interval(self, level, 0.0, SCAN)


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
    s = mixture.coordinate.s(x)
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
    return float(mixture.coordinate.tau(np.array(s))[0])


def draw_tau(mixture: Mixture, n: int, rng: np.random.Generator) -> FloatArray:
    """(n,) independent draws of tau."""
    if len(mixture.left) == 0:
        return np.full(n, mixture.tau[0])
    mass = mixture.weight.reshape(-1, NODES)
    s = draw_boxes(mixture.left[:, None], mixture.right[:, None], mass, n, rng)[:, 0]
    return mixture.coordinate.tau(s)[0]


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
    model = rotate(blocks)
    priors = replace(priors, tau=priors.tau_of(blocks.factors[0])).completed(model.sei)
    mixture = integrate_rotated(model, terms, priors)
    w, mean, cov, tau2 = mixture.weight, mixture.mean, mixture.cov, mixture.tau**2
    unit = np.eye(len(terms))
    spread = ("tau", f"tau[{blocks.factors[0]}]")

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
        if name in spread:
            below, above = tau_below(mixture, value)
            return below if side == "<" else above
        new = name == "new study"
        centre, variance = components(unit[0 if new else terms.index(name)], new)
        z = (value - centre) / np.sqrt(variance)
        return min(float(w @ ndtr(z if side == "<" else -z)), 1.0)

    def restricted(name: str, value: float) -> float:
        if name in spread:
            return float(conditional(model, terms, priors, np.array([value])).log_likelihood[0])
        i = terms.index(name)
        rest = (*terms[:i], *terms[i + 1 :])
        return integrate_rotated(model.given(i, value), rest, priors).log_evidence

    def simulate(n: int, rng: np.random.Generator) -> Simulated:
        tau = draw_tau(mixture, n, rng)
        given = conditional(model, terms, priors, tau)
        b = draw_coefficients(given.mean, given.cov, rng)
        theta = draw_effects(blocks, b, tau[:, None] ** 2, rng)
        return Simulated(terms, blocks.factors, tuple(labels), b, tau[:, None], tau, theta, blocks)

    proper = priors.tau.proper and bool(np.all(priors.location(terms)[1] > 0))
    nodes = Nodes(w, tau2[:, None], mean, cov)

    def summarise(weight: FloatArray, centre: FloatArray, variance: FloatArray) -> list[Marginal]:
        return marginals(weight, centre, variance, level)

    v = _own_variances(blocks)
    found_tau = tau_marginal(mixture, level)
    return Posterior(
        engine="exact",
        terms=terms,
        coefficients={term: linear(unit[i]) for i, term in enumerate(terms)},
        tau=found_tau,
        new=linear(unit[0], new=True),
        taus={blocks.factors[0]: found_tau},
        studies=TrueEffects(labels, blocks, nodes, summarise)
        if v is None
        else Studies(labels, blocks, v, mixture, level),
        linear=linear,
        priors=priors,
        level=level,
        log_evidence=mixture.log_evidence if proper else math.nan,
        error=mixture.error,
        chance=chance,
        I2=math.nan if v is None else _relative(found_tau.median, blocks.X, v),
        log_marginal=mixture.log_evidence,
        restricted=restricted,
        maximise=lambda: maxima(model, terms, priors, mixture),
        nodes=nodes,
        simulate=simulate,
        observed=observed(blocks),
        notes=(*priors.notes, *moment_notes(mixture.tail, priors)),
    )


def _relative(tau: float, X: FloatArray, v: FloatArray) -> float:
    """I^2, percent, at one tau: the typical variance is (k - p) / tr(W - W X (X'WX)^-1 X'W); nan when k = p."""
    k, p = X.shape
    if k == p:
        return math.nan
    low = float(v.min())
    w = low / v
    Q, R = np.linalg.qr(X * np.sqrt(w)[:, None])
    lever = np.einsum("ki,ki->k", Q, Q)
    if np.abs(np.diagonal(R)).min() <= EPS * np.abs(R).max() * k:
        return math.nan  # repeating moderators, told apart by their priors only
    typical = low * (k - p) / float(w @ np.maximum(1 - lever, 0.0))
    return float(100 * tau**2 / (tau**2 + typical))


def maxima(model: Rotated, terms: Sequence[str], priors: Priors, mixture: Mixture) -> dict[str, list[float]]:
    """Where likelihood and posterior are highest; see `Posterior.maxima`."""
    p = len(terms)
    edges = _edges(model, terms, priors)
    inner = edges[:-1, None] + np.diff(edges)[:, None] * np.arange(1, WITHIN + 1) / WITHIN
    points = np.append(edges[0], inner.ravel())

    def highest(height: Callable[[FloatArray], FloatArray]) -> float:
        return float(priors.tau.parameters[0]) if priors.tau.family == "fixed" else summit(height, points)

    flat = Priors(Prior("flat"), Prior("flat"), priors.tau)
    found: dict[str, list[float]] = {}
    unique = p == 0 or np.linalg.matrix_rank(model.joint[:, :-1] / np.linalg.norm(model.joint[:, :-1], axis=0)) == p
    if unique:
        tau = highest(lambda t: conditional(model, terms, flat, t).log_peak)
        found["ML joint"] = [tau, *conditional(model, terms, flat, np.array([tau])).mean[0].tolist()]
    else:
        found["ML joint"] = [math.nan] * (1 + p)
    tau = highest(lambda t: conditional(model, terms, priors, t).log_likelihood)
    found["ML marginal"] = [tau, *(_without_prior(mixture, i, priors.of(term)) for i, term in enumerate(terms))]
    tau = highest(lambda t: conditional(model, terms, priors, t).log_peak + priors.tau.log_density(t))
    found["MAP joint"] = [tau, *conditional(model, terms, priors, np.array([tau])).mean[0].tolist()]
    tau = tau_marginal(mixture, 0.5).mode
    found["MAP marginal"] = [tau, *(_coefficient(mixture, i).mode() for i in range(p))]
    return found


def _coefficient(mixture: Mixture, i: int) -> GaussianMixture:
    return GaussianMixture(mixture.weight, mixture.mean[:, i], np.sqrt(mixture.cov[:, i, i]))


def _without_prior(mixture: Mixture, i: int, prior: Prior) -> float:
    """Where the marginal likelihood of a coefficient is highest: its posterior over its prior, a mixture again."""
    law = _coefficient(mixture, i)
    if not prior.proper:
        return law.mode()
    m0, s0 = prior.parameters
    precision = law.sd**-2 - s0**-2
    informed = (precision > EPS * s0**-2) & (law.weight > 0)
    if not informed.any():
        return math.nan
    variance = 1 / precision[informed]
    mean = (law.mean[informed] / law.sd[informed] ** 2 - m0 / s0**2) * variance
    log_weight = np.log(law.weight[informed]) + 0.5 * ((mean - m0) ** 2 / (variance + s0**2) + np.log(variance + s0**2))
    weight = np.exp(log_weight - log_weight.max())
    return GaussianMixture(weight / weight.sum(), mean, np.sqrt(variance)).mode()


def moment_notes(tail: Tail, priors: Priors) -> tuple[str, ...]:
    """What a reader must be told when moments do not exist."""
    if tail.moments >= 2:
        return ()
    lost = "variance" if tail.moments == 1 else "mean and variance"
    return (
        f"so few studies leave the tail of {priors.tau} on tau so heavy that the posterior {lost} of tau and of a new "
        "study's effect do not exist; the medians and intervals do",
    )


def _own_variances(blocks: Blocks) -> FloatArray | None:
    """(k,) sampling variances of the univariate model; None when effects share a level or an error."""
    if any(stack.rows.shape[1] > 1 for stack in blocks.stacks):
        return None
    v = np.empty(blocks.k)
    for stack in blocks.stacks:
        v[stack.rows[:, 0]] = stack.V[:, 0, 0]
    return v


class Studies(StudyEffects):
    """Shrunken effects of the univariate model, computed when first asked for: theta_i | tau is Gaussian too."""

    def __init__(
        self, labels: Sequence[str], blocks: Blocks, variances: FloatArray, mixture: Mixture, level: float
    ) -> None:
        super().__init__(labels)
        self._blocks, self._v, self._mixture, self._level = blocks, variances, mixture, level

    @cached_property
    def _all(self) -> list[Marginal]:
        size = max(1, CHUNK // len(self._mixture.tau))
        parts = [self._marginals(slice(i, i + size)) for i in range(0, len(self._v), size)]
        return [one for part in parts for one in part]

    def _marginal(self, i: int) -> Marginal:
        return self._all[i]

    def _marginals(self, rows: slice) -> list[Marginal]:
        mixture, v = self._mixture, self._v[rows, None]
        y, X = self._blocks.y[rows, None], self._blocks.X[rows]
        tau2 = mixture.tau**2
        keep, pull = tau2 / (tau2 + v), v / (tau2 + v)
        lever = np.einsum("ki,gij,kj->kg", X, mixture.cov, X, optimize=True)
        centre = keep * y + pull * (X @ mixture.mean.T)
        return marginals(mixture.weight, centre, keep * v + pull**2 * lever, self._level)
