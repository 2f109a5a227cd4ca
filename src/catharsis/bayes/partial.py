"""Estimates and partial rows in one hierarchical model, exactly: quadrature over (mu, tau).

An estimate contributes N(y; mu, v + tau^2), a partial row the probability of its region with its own effect integrated
out (`likelihood.partial`). Rows of one sample share their effect, which then takes a sum of its own. mu is no longer
Gaussian given tau, so both are integrated by boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from catharsis.bayes.exact import Coordinate, existing
from catharsis.bayes.marginals import GaussianMixture, Law, PointMass
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.quadrature import Boxes, integrate, rule
from catharsis.bayes.study_effects import StudyEffects, distinct
from catharsis.bayes.transformed import AxisLaw, Line, marginal_of
from catharsis.errors import ModelError
from catharsis.likelihood.partial import PartialEvidence, Row, chi_rule, log_region
from catharsis.numerics import FloatArray, IntArray

LOG_2PI = math.log(2 * math.pi)
REACH = 64.0  # a light-tailed prior on tau ends at this many scales of prior and data
AROUND = 10.0  # standard deviations of a normal prior that are looked at: 1e-23 lies beyond
SCOUT = 7  # points in each direction by which a first box is judged
FADED = 60.0  # log units below the highest point at which a first box is left out
NARROW = 1.0  # tau, in the smallest standard error of rows that share an effect, below which a sum is taken around mu
WIDE = 3.0  # width of a panel over a shared effect, at most, in units of tau
LEAST = 1e-300  # probability, of the largest, that stands for anything smaller
SPAN, EVEN = 8.8, 0.25  # of that sum: how far, and its step, in units of tau
KNOTS = 0.04  # of the spline of a shared probability, in the smallest standard error: 1e-11
PANEL_NODES = 16  # of a panel over a shared effect
RESOLVED = 1e-11  # last coefficients of a panel that is fine enough, of the largest probability
CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)
BARELY = 0.05  # an integral of tau^-(1 + this) converges on paper only
FINER = 0.55  # spacing of nodes in mu, in units of tau, at which a mixture of N(mu, tau^2) is smooth
LOST = 30.0  # log units below the largest weight at which a component of a mixture is left out
FINE = (24, 48, 96, 192)  # nodes into which a panel is refined


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known: estimates and partial rows.

    Attributes
    ----------
    yi, vi : (k,) arrays
        Estimates and sampling variances.
    partial : PartialEvidence
        The rest.
    """

    yi: FloatArray
    vi: FloatArray
    partial: PartialEvidence

    def __len__(self) -> int:
        return len(self.yi) + len(self.partial)

    @cached_property
    def samples(self) -> list[tuple[Row, ...]]:
        """Partial rows by the people they come from."""
        found: dict[str, list[Row]] = {}
        for row in self.partial.rows:
            found.setdefault(row.sample, []).append(row)
        return [tuple(rows) for rows in found.values()]

    @property
    def open_ends(self) -> list[tuple[bool, bool]]:
        """Whether very negative and very positive effects fit what each sample says."""
        return [
            (
                all(any(math.isinf(low) for low, _ in row.regions) for row in rows),
                all(any(math.isinf(high) for _, high in row.regions) for row in rows),
            )
            for rows in self.samples
        ]

    @property
    def bounded(self) -> int:
        """Studies whose effect is bounded on both sides: estimates, and regions without an open end."""
        return len(self.yi) + sum(not any(ends) for ends in self.open_ends)

    @property
    def sei(self) -> FloatArray:
        """Standard errors: of the estimates, and 1 / m of the partial rows."""
        return np.concatenate([np.sqrt(self.vi), [1 / row.precision for row in self.partial.rows]])

    def log_likelihood(self, mu: FloatArray, tau: FloatArray) -> FloatArray:
        """The log of p(evidence | mu, tau), (g,)."""
        total = np.zeros(len(mu))
        for y, v in zip(self.yi, self.vi, strict=True):
            spread = v + tau**2
            total += -0.5 * ((y - mu) ** 2 / spread + np.log(spread) + LOG_2PI)
        for rows in self.samples:
            total += log_region(rows[0], mu, tau**2) if len(rows) == 1 else log_shared(rows, mu, tau)
        return total


def log_shared(rows: tuple[Row, ...], mu: FloatArray, tau: FloatArray) -> FloatArray:
    """The log of P(all regions) of rows that share theta ~ N(mu, tau^2), (g,) each.

    P(all regions | theta) is a function of one number, kept as a spline (`Product`). A narrow N(mu, tau^2) is summed
    evenly around mu; a wide one over panels of theta that resolve both, with the normal tails beyond them.
    """
    product = product_of(rows)
    found = np.empty(len(mu))
    narrow = tau < NARROW * product.unit
    z = np.arange(-SPAN, SPAN + EVEN / 2, EVEN)
    weight = np.exp(-0.5 * z**2 - 0.5 * LOG_2PI) * EVEN
    at = np.flatnonzero(narrow)
    for part in _batches(at, len(z)):
        each = product.log(mu[part, None] + tau[part, None] * z)
        top = each.max(axis=1)
        found[part] = top + np.log(np.exp(each - top[:, None]) @ weight)
    at = np.flatnonzero(~narrow)
    size = np.floor(np.log2(tau[at] / (NARROW * product.unit)))
    for power in np.unique(size):
        theta, log_mass = product.panels(WIDE * NARROW * product.unit * 2.0**power)
        top = float(log_mass.max())
        mass = np.exp(log_mass - top)
        reach = product.reach
        low, high = np.exp(product.log(np.array([-reach, reach])) - top)
        for part in _batches(at[size == power], len(theta)):
            m, t = mu[part], tau[part]
            inside = np.exp(-0.5 * ((theta - m[:, None]) / t[:, None]) ** 2) @ mass / (t * math.sqrt(2 * math.pi))
            total = inside + low * special.ndtr((-reach - m) / t) + high * special.ndtr((m - reach) / t)
            found[part] = top + np.log(np.maximum(total, LEAST))
    return found


def _batches(at: IntArray, nodes: int) -> list[IntArray]:
    size = max(1, CHUNK // nodes)
    return [at[i : i + size] for i in range(0, len(at), size)]


@lru_cache(maxsize=64)
def product_of(rows: tuple[Row, ...]) -> Product:
    """The `Product` of these rows."""
    return Product(rows)


class Product:
    """The probability of several regions, given the one true effect that their rows share.

    Attributes
    ----------
    unit : float
        The smallest standard error.
    reach : float
        Beyond it either side has settled: certain, or less likely than e^-80.
    """

    def __init__(self, rows: tuple[Row, ...]) -> None:
        from scipy.interpolate import make_interp_spline

        self.unit = min(1 / row.precision for row in rows)
        self.reach = max(_settled(row) for row in rows)
        theta = np.linspace(-self.reach, self.reach, 2 * math.ceil(self.reach / (KNOTS * self.unit)) + 1)
        none = np.zeros_like(theta)
        self._spline = make_interp_spline(theta, np.sum([log_region(row, theta, none) for row in rows], axis=0), k=5)

    def log(self, theta: FloatArray) -> FloatArray:
        """Log probability at theta."""
        return np.asarray(self._spline(np.clip(theta, -self.reach, self.reach)))

    def panels(self, widest: float) -> tuple[FloatArray, FloatArray]:
        """Nodes in theta and logs of weight times probability, on panels at most so wide that resolve it."""
        z, w, to_series = rule(PANEL_NODES)
        edges = np.linspace(-self.reach, self.reach, 1 + 2 * math.ceil(self.reach / widest))
        left, right = edges[:-1], edges[1:]
        done: list[tuple[FloatArray, FloatArray]] = []
        top = -math.inf
        while len(left):
            theta = (left + right)[:, None] / 2 + (right - left)[:, None] / 2 * z
            height = self.log(theta)
            top = max(top, float(height.max()))
            last = np.abs(np.exp(height - top) @ to_series[-2:].T).max(axis=1)
            good = (last < RESOLVED) | (right - left < KNOTS * self.unit)
            mass = height + np.log((right - left)[:, None] / 2 * w)
            done.append((theta[good].ravel(), mass[good].ravel()))
            middle = (left + right)[~good] / 2
            left, right = np.append(left[~good], middle), np.append(middle, right[~good])
        return np.concatenate([part[0] for part in done]), np.concatenate([part[1] for part in done])


def _settled(row: Row) -> float:
    """The |theta| beyond which a row's probability no longer matters."""
    edge = max((abs(end) for region in row.regions for end in region if not math.isinf(end)), default=0.0)
    s, _ = chi_rule(row.df, edge) if edge > 0 else (np.ones(1), None)
    return float(edge * s.max() + 14.0) / row.precision


# -- the rule over (mu, tau) ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Grid:
    """The joint posterior on boxes.

    Attributes
    ----------
    boxes : Boxes
        In the coordinates of the two lines; of mu alone when tau is fixed.
    mu : Line
        How the first coordinate becomes mu.
    tau : Coordinate or float
        How the second becomes tau; its value when fixed.
    """

    boxes: Boxes
    mu: Line
    tau: Coordinate | float

    @cached_property
    def points(self) -> tuple[FloatArray, FloatArray]:
        """Values of mu and tau at the nodes, (g,) each."""
        s = self.boxes.points
        tau = np.full(len(s), self.tau) if isinstance(self.tau, float) else self.tau.tau(s[:, 1])[0]
        return self.mu.forward(s[:, 0])[0], tau

    @cached_property
    def smooth(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weights, mu and tau on nodes so fine in mu that N(mu, tau^2) overlap; a tau near 0 is a trifle wider."""
        boxes = self.boxes
        n = boxes.log_mass.shape[1]
        _, w, to_series = rule(n)
        mass = boxes.weights.reshape(len(boxes.low), n, -1)  # box, mu, tau
        tau = np.broadcast_to(self.points[1].reshape(mass.shape)[:, :1], (len(mass), 1, mass.shape[2]))[:, 0]
        low, high = (np.broadcast_to(edge[:, :1], tau.shape) for edge in (boxes.low, boxes.high))
        lines = [np.swapaxes(mass, 1, 2).reshape(-1, n), low.ravel(), high.ravel(), tau.ravel()]  # one per box and tau
        width = self.mu.forward(lines[2])[0] - self.mu.forward(lines[1])[0]
        sizes = (n, *FINE)
        lines[3] = np.maximum(lines[3], width / (FINER * FINE[-1]))  # a narrower tau would show as a comb
        wanted = width / (FINER * lines[3])
        choice = np.minimum(
            np.searchsorted(sizes, wanted * (1 - 1e-12)), len(FINE)
        )  # the coarsest rule that is fine enough
        parts = []
        for i in np.unique(choice):
            size = sizes[i]
            at, low_at, high_at, tau_at = (line[choice == i] for line in lines)
            z, fine_w, _ = rule(size)
            if size == n:
                fine = at
            else:
                fine = np.maximum(at / w @ to_series.T @ legendre.legvander(z, n - 1).T, 0.0) * fine_w
                whole = fine.sum(axis=1)
                fine *= np.divide(at.sum(axis=1), whole, out=np.zeros_like(whole), where=whole > 0)[:, None]
            mu = self.mu.forward(low_at[:, None] + (high_at - low_at)[:, None] / 2 * (1 + z))[0]
            parts.append(np.stack([fine.ravel(), mu.ravel(), np.repeat(tau_at, size)]))
        weight, mu, tau_nodes = np.concatenate(parts, axis=1)
        keep = weight > 1e-18
        return weight[keep] / weight[keep].sum(), mu[keep], tau_nodes[keep]

    @property
    def of_new(self) -> GaussianMixture:
        """The true effect in a new study."""
        weight, mu, tau = self.smooth
        return GaussianMixture(weight, mu, np.maximum(tau, np.finfo(float).tiny))


def solve(evidence: Evidence, priors: Priors, mu: float | None = None, tau: float | None = None) -> Grid:
    """Integrate over mu and tau, or over the one that is not given."""
    prior_mu, prior_tau = priors.mu, priors.tau
    if tau is None and prior_tau.family == "fixed":
        tau = float(prior_tau.parameters[0])
    line, mu_edges = _line(evidence, prior_mu, mu)
    where, tau_edges = _tau_axis(evidence, prior_tau) if tau is None else (Coordinate(), np.empty(0))

    def log_density(s: FloatArray) -> FloatArray:
        m, log_jacobian = line.forward(s[:, 0]) if mu is None else (np.full(len(s), mu), np.zeros(len(s)))
        total = log_jacobian + (prior_mu.log_density(m) if mu is None else 0.0)
        if tau is None:
            t, log_slope = where.tau(s[:, -1])
            total = total + log_slope + prior_tau.log_density(t)
        else:
            t = np.full(len(s), tau)
        alive = np.isfinite(total)
        found = np.full(len(s), -np.inf)
        found[alive] = total[alive] + evidence.log_likelihood(m[alive], t[alive])
        return found

    edges = ([mu_edges] if mu is None else []) + ([tau_edges] if tau is None else [])
    boxes = integrate(log_density, edges, scout=SCOUT, faded=FADED)
    return Grid(boxes, line, where if tau is None else tau)


def _line(evidence: Evidence, prior: Prior, given: float | None) -> tuple[Line, FloatArray]:
    """The coordinate of mu and its first panels: doubling away from where the estimates put it."""
    location, scale = prior.parameters[-2:]
    wi = np.concatenate([1 / evidence.vi, [scale**-2.0]])
    centre = float(wi @ np.append(evidence.yi, location) / wi.sum())
    smallest = float(min(1 / math.sqrt(float((evidence.sei**-2.0).sum()) + scale**-2.0), scale))
    reach = max(
        AROUND * scale + abs(location - centre),
        *(np.abs(evidence.yi - centre) + AROUND * np.sqrt(evidence.vi)),
        0.0,
    )
    steps = smallest * 2.0 ** np.arange(1, 2 + math.ceil(math.log2(reach / smallest)))
    edges = np.concatenate([-steps[::-1], [0.0], steps])
    if prior.family == "normal":
        return Line(centre), edges
    stretched = Line(centre, float(steps[-1]))
    return stretched, np.concatenate([[-2 * steps[-1]], edges, [2 * steps[-1]]])


def _tau_axis(evidence: Evidence, prior: Prior) -> tuple[Coordinate, FloatArray]:
    """The coordinate of tau and its first panels, as for the exact engine."""
    sei = evidence.sei
    spread = float(np.ptp(evidence.yi)) if len(evidence.yi) else 0.0
    if prior.family == "uniform":
        low, high = prior.parameters
        smallest = min(float(sei.min()), high)
        inner = smallest / 2 * 2.0 ** np.arange(max(2, math.ceil(math.log2(2 * high / smallest))))
        return Coordinate(), np.concatenate([[low], inner[(inner > low) & (inner < high)], [high]])
    scale = float(np.nan_to_num(prior.scale, nan=float(sei.min())))
    smallest, largest = min(float(sei.min()), scale), max(float(sei.max()), spread, scale)
    top = (REACH if prior.bounded else 2) * largest
    edges = np.append(0.0, smallest / 2 * 2.0 ** np.arange(1 + math.ceil(math.log2(2 * top / smallest))))
    if prior.bounded:
        return Coordinate(), edges
    left = evidence.bounded + prior.tail - 1  # the power of 1 / tau by which what lies beyond falls
    if left <= BARELY:
        raise ModelError(
            f"the tail of {prior} on tau is too heavy for rows that only say a direction: give it a lighter prior, "
            "such as half-normal(0.5), or an estimate"
        )
    exists = left - max(moment for moment in (0, 1, 2) if left - moment > BARELY or moment == 0)
    bend = float(edges[1]) if prior.origin < 0 else 0.0
    where = Coordinate(bend, float(edges[-1]), max(1.0, 1 / exists), prior.origin <= -1)
    return where, np.append(edges, 2 * edges[-1])


def moments(evidence: Evidence, priors: Priors) -> tuple[int, int]:
    """How many moments of mu and of tau exist, 0 to 2.

    Far out, where mu and tau are of size R, an effect that its study bounds on both sides contributes 1 / R and one
    that is known by a direction a constant; far out in mu alone the former kill everything, the latter nothing when
    they all point there.
    """
    heavy, tail, n = priors.mu.tail, priors.tau.tail, evidence.bounded
    onwards = n == 0 and any(all(side) for side in zip(*evidence.open_ends, strict=True))
    of_tau = n + tail - 1
    of_mu = min(n + heavy + tail - 2, heavy - 1 if onwards else math.inf)
    if math.isinf(tail) and not onwards:
        of_mu = math.inf
    of_tau = min(of_tau, math.inf if priors.tau.family == "fixed" else of_tau)
    return tuple(sum(left > moment for moment in (1, 2)) for left in (of_mu, of_tau))  # type: ignore[return-value]


def moment_notes(of_mu: int, of_tau: int, priors: Priors) -> tuple[str, ...]:
    """What a reader must be told when moments do not exist."""
    return tuple(
        f"so little bounds the effects that the tail of {prior} on {name} leaves the posterior "
        f"{'variance' if exist == 1 else 'mean and variance'} of {name} and of a new study's effect without a value; "
        "the medians and intervals have one"
        for name, prior, exist in (("mu", priors.mu, of_mu), ("tau", priors.tau, of_tau))
        if exist < 2
    )


# -- what is answered -------------------------------------------------------------------------------------------------


def posterior(
    yi: FloatArray, vi: FloatArray, partial: PartialEvidence, labels: Sequence[str], priors: Priors, level: float
) -> Posterior:
    """Fit estimates and partial rows together.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Estimates; k may be 0.
    partial : PartialEvidence
        Partial rows, on the scale of `yi`.
    labels : sequence of str
        Names of the estimates.
    priors : Priors
        Proper ones.
    level : float
        Probability of the intervals.

    Returns
    -------
    Posterior

    Raises
    ------
    ModelError
        For improper priors, or when the quadrature does not settle.
    """
    evidence = Evidence(yi, vi, partial)
    if len(evidence) == 0:
        raise ModelError("there are no effects to combine")
    priors = priors.completed(evidence.sei)
    for name, prior in (("mu", priors.mu), ("tau", priors.tau)):
        if not prior.proper:
            raise ModelError(
                f"the prior on {name} is {prior}, which is improper: partial evidence bounds an effect on one side "
                "only, so proper priors are needed, such as normal(0, 1) on mu and half-normal(0.5) on tau"
            )
    grid = solve(evidence, priors)
    boxes = grid.boxes
    mu_law = AxisLaw(boxes.axis(0), grid.mu.forward, grid.mu.inverse, -math.inf)
    weight, (mu, tau) = boxes.weights, grid.points
    tau_law: Law = (
        PointMass(grid.tau) if isinstance(grid.tau, float) else AxisLaw(boxes.axis(1), grid.tau.tau, grid.tau.s, 0.0)
    )
    of_mu, of_tau = moments(evidence, priors)
    of_new = min(of_mu, of_tau)
    found_mu = existing(marginal_of(mu_law, weight, mu, np.zeros_like(mu), level), of_mu)
    found_tau = existing(marginal_of(tau_law, weight, tau, np.zeros_like(tau), level), of_tau)
    fresh_law = mu_law if grid.tau == 0.0 else grid.of_new
    fresh = existing(marginal_of(fresh_law, weight, mu, tau**2, level), of_new)
    laws: dict[str, Law] = {"intercept": mu_law, "tau": tau_law, "new study": fresh_law}

    def chance(name: str, side: str, value: float) -> float:
        law = laws[name]
        return min(law.below(value) if side == "<" else law.above(value), 1.0)

    def restricted(name: str, value: float) -> float:
        one = solve(evidence, priors, **{"tau" if name == "tau" else "mu": value})
        return one.boxes.total

    def linear(x: Sequence[float], new: bool = False) -> Marginal:
        row = np.asarray(x, dtype=float)
        if row.shape != (1,):
            raise ModelError(f"{row.size} numbers for 1 coefficient (intercept)")
        if row[0] != 1:
            raise ModelError("with partial evidence the one coefficient is the average; ask for it with [1]")
        return fresh if new else found_mu

    return Posterior(
        engine="exact", terms=("intercept",), coefficients={"intercept": found_mu}, tau=found_tau, new=fresh,
        studies=Effects((*labels, *partial.labels), evidence, grid, level, of_new), linear=linear, priors=priors,
        level=level,
        log_evidence=boxes.total, error=boxes.error, chance=chance, log_marginal=boxes.total, restricted=restricted,
        observed=(yi, vi, *(np.array([row.precision, row.df, *np.ravel(row.regions)]) for row in partial.rows)),
        notes=(*priors.notes, *moment_notes(of_mu, of_tau, priors)),
    )  # fmt: skip


class Effects(StudyEffects):
    """True effects of the studies, computed when first asked for."""

    def __init__(self, labels: Sequence[str], evidence: Evidence, grid: Grid, level: float, moments: int) -> None:
        super().__init__(distinct(labels))
        self._evidence, self._grid, self._level, self._moments = evidence, grid, level, moments

    def _marginal(self, i: int) -> Marginal:
        if self._grid.tau == 0.0:
            boxes, line = self._grid.boxes, self._grid.mu
            law = AxisLaw(boxes.axis(0), line.forward, line.inverse, -math.inf)
            mu = self._grid.points[0]
            return existing(marginal_of(law, boxes.weights, mu, np.zeros_like(mu), self._level), self._moments)
        weight, mu, tau = self._grid.smooth
        k = len(self._evidence.yi)
        if i < k:
            y, v = self._evidence.yi[i], self._evidence.vi[i]
            keep, pull = tau**2 / (tau**2 + v), v / (tau**2 + v)
            mean, variance = keep * y + pull * mu, keep * v
            sd = np.maximum(np.sqrt(variance), np.finfo(float).tiny)
            return marginal_of(GaussianMixture(weight, mean, sd), weight, mean, variance, self._level)
        sample = self._evidence.partial.rows[i - k].sample
        rows = tuple(row for row in self._evidence.partial.rows if row.sample == sample)
        low, high = (all(any(math.isinf(region[end]) for region in row.regions) for row in rows) for end in (0, 1))
        return existing(self._tilted(rows, weight, mu, tau), self._moments if low or high else 2)

    def _tilted(self, rows: tuple[Row, ...], weight: FloatArray, mu: FloatArray, tau: FloatArray) -> Marginal:
        """Theta of a partial row: N(mu, tau^2) times P(region | theta), over P(region | mu, tau)."""
        log_p = log_region(rows[0], mu, tau**2) if len(rows) == 1 else log_shared(rows, mu, tau)
        with np.errstate(divide="ignore"):
            log_w = np.log(weight) - log_p
        keep = log_w > log_w.max() - LOST
        sd = tau[keep]
        height_of = np.exp(log_w[keep] - log_w.max()) / sd
        centre_of = mu[keep]
        # most of the mass lies where the average and the spread put it; heavy tails are followed to infinity
        centre, spread = _middle(weight, mu, tau)
        smallest = min(min(1 / row.precision for row in rows), spread) / 2
        steps = smallest * 2.0 ** np.arange(1, 3 + math.ceil(math.log2(max(12 * spread / smallest, 2.0))))
        line = Line(centre, float(steps[-1]))
        edges = np.concatenate([[-2 * steps[-1]], -steps[::-1], [0.0], steps, [2 * steps[-1]]])

        def height(s: FloatArray) -> FloatArray:
            theta, slope = line.forward(s[:, 0])
            none = np.zeros_like(theta)
            each = [log_region(row, theta, none) for row in rows]
            before = [
                np.exp(-0.5 * ((theta[part, None] - centre_of) / sd) ** 2) @ height_of
                for part in _batches(np.arange(len(theta)), len(sd))
            ]
            return np.asarray(slope + np.log(np.maximum(np.concatenate(before), LEAST)) + np.sum(each, axis=0))

        boxes = integrate(height, [edges])
        law = AxisLaw(boxes.axis(0), line.forward, line.inverse, -math.inf)
        nodes = line.forward(boxes.points[:, 0])[0]
        return marginal_of(law, boxes.weights, nodes, np.zeros_like(nodes), self._level)


def _middle(weight: FloatArray, mu: FloatArray, tau: FloatArray) -> tuple[float, float]:
    """Median of mu, and a spread of true effects that heavy tails do not blow up."""
    order = np.argsort(mu)
    low, centre, high = np.interp([0.05, 0.5, 0.95], np.cumsum(weight[order]), mu[order])
    order = np.argsort(tau)
    return float(centre), float((high - low) / 2 + np.interp(0.95, np.cumsum(weight[order]), tau[order]))
