"""Estimates and partial rows in one hierarchical model, exactly: quadrature over (mu, tau).

An estimate contributes N(y; mu, v + tau^2), a partial row the probability of its region with its own effect integrated
out (`likelihood.partial`). Rows of one sample share their effect, which then takes a sum of its own. mu is no longer
Gaussian given tau, so both are integrated by boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import hermite_e, legendre
from scipy import special

from catharsis.bayes.exact import Coordinate
from catharsis.bayes.marginals import GaussianMixture, Law, PointMass
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.quadrature import Boxes, integrate, rule
from catharsis.bayes.transformed import AxisLaw, Line, marginal_of
from catharsis.errors import ModelError
from catharsis.likelihood.partial import PartialEvidence, Row, log_region
from catharsis.numerics import FloatArray

LOG_2PI = math.log(2 * math.pi)
REACH = 64.0  # a light-tailed prior on tau ends at this many scales of prior and data
AROUND = 10.0  # standard deviations of a normal prior that are looked at: 1e-23 lies beyond
SCOUT = 7  # points in each direction by which a first box is judged
FADED = 60.0  # log units below the highest point at which a first box is left out
SAMPLE_NODES = 24  # Gauss-Hermite nodes of a shared effect while tau is small against its rows' standard errors
SMOOTH = 0.25  # "small": tau below this share of the smallest standard error
STEP = 0.1  # of the sum over a shared effect, in the smallest standard error of its rows
FINER = 0.7  # spacing of nodes in mu, in units of tau, at which a mixture of N(mu, tau^2) is smooth
MOST_FINER = 200  # nodes into which a panel is refined at most


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


def log_shared(rows: Sequence[Row], mu: FloatArray, tau: FloatArray) -> FloatArray:
    """The log of P(all regions) of rows that share theta ~ N(mu, tau^2), (g,) each.

    Where tau is small against the rows' standard errors by Gauss-Hermite, elsewhere by an even sum over theta, which is
    accurate to exp(-2 pi^2 (tau / step)^2).
    """

    def at(theta: FloatArray) -> FloatArray:
        flat = theta.ravel()
        each = [log_region(row, flat, np.zeros_like(flat)) for row in rows]
        return np.asarray(np.sum(each, axis=0).reshape(theta.shape))

    unit = min(1 / row.precision for row in rows)
    found = np.empty(len(mu))
    small = tau < SMOOTH * unit
    if small.any():
        z, w = hermite_e.hermegauss(SAMPLE_NODES)
        log_w = np.log(w) - 0.5 * LOG_2PI
        found[small] = special.logsumexp(at(mu[small, None] + tau[small, None] * z) + log_w, axis=1)
    # one even grid serves all wide tau of a magnitude
    for level in np.unique(np.floor(np.log2(np.maximum(tau[~small], SMOOTH * unit) / unit))) if (~small).any() else ():
        chosen = np.flatnonzero(~small & (np.floor(np.log2(np.maximum(tau, SMOOTH * unit) / unit)) == level))
        h = STEP * unit
        span = 9 * float(tau[chosen].max())
        first, last = float(mu[chosen].min()) - span, float(mu[chosen].max()) + span
        # beyond 40 standard errors a region is certain or impossible; steps may grow with tau there, but not here
        theta = np.arange(first, last + h, h)
        height = at(theta)
        for i in range(0, len(chosen), size := max(1, 4_000_000 // len(theta))):
            part = chosen[i : i + size]
            density = -0.5 * ((theta - mu[part, None]) / tau[part, None]) ** 2
            density -= (np.log(tau[part]) + 0.5 * LOG_2PI)[:, None]
            found[part] = special.logsumexp(density + height, axis=1) + math.log(h)
    return found


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
        """Weights, mu and tau on nodes so fine in mu that N(mu, tau^2) overlap."""
        boxes = self.boxes
        n = boxes.log_mass.shape[1]
        _, w, to_series = rule(n)
        mass = np.exp(boxes.log_mass)
        mass /= mass.sum()
        mass = mass.reshape(len(mass), n, -1)  # box, mu, tau
        tau = self.points[1].reshape(len(mass), n, -1)[:, 0]
        parts = []
        for box in range(len(mass)):
            low, high = boxes.low[box, 0], boxes.high[box, 0]
            ends = self.mu.forward(np.array([low, high]))[0]
            for j in range(mass.shape[2]):
                wanted = (ends[1] - ends[0]) / max(FINER * tau[box, j], (ends[1] - ends[0]) / MOST_FINER)
                m = int(np.clip(math.ceil(wanted), n, MOST_FINER))
                if m == n:
                    z, fine = rule(n)[0], mass[box, :, j]
                else:
                    z, fine_w = legendre.leggauss(m)
                    fine = np.maximum(legendre.legval(z, to_series @ (mass[box, :, j] / w)), 0.0) * fine_w
                    whole = fine.sum()
                    fine = fine * (mass[box, :, j].sum() / whole) if whole > 0 else fine
                mu = self.mu.forward(low + (high - low) / 2 * (1 + z))[0]
                parts.append(np.stack([fine, mu, np.full(len(mu), tau[box, j])]))
        weight, mu, tau_nodes = np.concatenate(parts, axis=1)
        keep = weight > 0
        return weight[keep] / weight[keep].sum(), mu[keep], tau_nodes[keep]


def solve(evidence: Evidence, priors: Priors, mu: float | None = None, tau: float | None = None) -> Grid:
    """Integrate over mu and tau, or over the one that is not given."""
    prior_mu, prior_tau = priors.mu, priors.tau
    if tau is None and prior_tau.family == "fixed":
        tau = float(prior_tau.parameters[0])
    line, mu_edges = _line(evidence, prior_mu, mu)
    where, tau_edges = _tau_axis(evidence, prior_tau)

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
    return Coordinate(0.0, float(edges[-1])), np.append(edges, 2 * edges[-1])


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
    found_mu = marginal_of(mu_law, weight, mu, np.zeros_like(mu), level)
    found_tau = marginal_of(tau_law, weight, tau, np.zeros_like(tau), level)

    def new_law() -> GaussianMixture:
        w, m, t = grid.smooth
        return GaussianMixture(w, m, np.maximum(t, np.finfo(float).tiny))

    fresh = marginal_of(new_law(), weight, mu, tau**2, level)
    laws = {"intercept": mu_law, "tau": tau_law, "new study": fresh.law}

    def chance(name: str, side: str, value: float) -> float:
        law = laws[name]
        assert law is not None
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
        studies=Effects((*labels, *partial.labels), evidence, grid, level), linear=linear, priors=priors, level=level,
        log_evidence=boxes.total, error=boxes.error, chance=chance, log_marginal=boxes.total, restricted=restricted,
        observed=(yi, vi, *(np.array([row.precision, row.df, *np.ravel(row.regions)]) for row in partial.rows)),
        notes=priors.notes,
    )  # fmt: skip


class Effects(Mapping[str, Marginal]):
    """True effects of the studies, computed when first asked for."""

    def __init__(self, labels: Sequence[str], evidence: Evidence, grid: Grid, level: float) -> None:
        self._labels, self._evidence, self._grid, self._level = tuple(labels), evidence, grid, level
        self._found: dict[str, Marginal] = {}

    def __getitem__(self, label: str) -> Marginal:
        """The effect of one study or partial row."""
        if label not in self._found:
            self._found[label] = self._marginal(self._labels.index(label)) if label in self._labels else _missing(label)
        return self._found[label]

    def __iter__(self) -> Iterator[str]:
        """Labels: estimates, then partial rows."""
        return iter(self._labels)

    def __len__(self) -> int:
        """Number of studies."""
        return len(self._labels)

    def _marginal(self, i: int) -> Marginal:
        weight, mu, tau = self._grid.smooth
        k = len(self._evidence.yi)
        if i < k:
            y, v = self._evidence.yi[i], self._evidence.vi[i]
            keep, pull = tau**2 / (tau**2 + v), v / (tau**2 + v)
            mean, variance = keep * y + pull * mu, keep * v
            sd = np.maximum(np.sqrt(variance), np.finfo(float).tiny)
            return marginal_of(GaussianMixture(weight, mean, sd), weight, mean, variance, self._level)
        row = self._evidence.partial.rows[i - k]
        rows = next(rows for rows in self._evidence.samples if row in rows)
        return self._tilted(rows, weight, mu, tau)

    def _tilted(self, rows: Sequence[Row], weight: FloatArray, mu: FloatArray, tau: FloatArray) -> Marginal:
        """True effect of a partial row: N(mu, tau^2) times P(region | theta), over P(region | mu, tau)."""
        log_p = log_region(rows[0], mu, tau**2) if len(rows) == 1 else log_shared(rows, mu, tau)
        keep = weight > 1e-14 * weight.max()
        prior = GaussianMixture(weight[keep] * np.exp(-(log_p[keep] - log_p[keep].min())), mu[keep], tau[keep])
        reach = 9 * float(np.sqrt((weight @ tau**2) + weight @ (mu - weight @ mu) ** 2))
        centre = float(weight @ mu)
        smallest = min(1 / row.precision for row in rows) / 2
        steps = smallest * 2.0 ** np.arange(1, 3 + math.ceil(math.log2(max(reach / smallest, 2.0))))

        def height(s: FloatArray) -> FloatArray:
            theta = s[:, 0] + centre
            return prior.log_density(theta) + sum(log_region(row, theta, np.zeros_like(theta)) for row in rows)

        boxes = integrate(height, [np.concatenate([-steps[::-1], [0.0], steps])])
        line = Line(centre)
        nodes = boxes.points[:, 0] + centre
        law = AxisLaw(boxes.axis(0), line.forward, line.inverse, -math.inf)
        return marginal_of(law, boxes.weights, nodes, np.zeros_like(nodes), self._level)


def _missing(label: str) -> Marginal:
    raise KeyError(label)


Solver = Callable[..., Grid]
