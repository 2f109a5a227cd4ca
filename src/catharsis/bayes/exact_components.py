"""The exact engine with several unknown spreads: standard deviations of random effects, scales of t priors.

Given all of them b is Gaussian, so the posterior of b, of study effects and of a new study is a mixture over the nodes
of a rule in up to three dimensions (`quadrature`). A t prior on a coefficient is a normal one whose standard deviation
is its scale times r, r the root of an inverse-gamma variable: one more dimension, with an inverse-chi prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import ndtr

from catharsis.bayes.components import Components, combined_rank, conditional
from catharsis.bayes.conditional import Conditional
from catharsis.bayes.exact import Coordinate, existing, marginals
from catharsis.bayes.fitted import Nodes, observed
from catharsis.bayes.marginals import Law, PointMass
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.bayes.quadrature import Boxes, integrate
from catharsis.bayes.simulation import Simulated, draw_boxes, draw_coefficients, draw_effects
from catharsis.bayes.transformed import AxisLaw, TotalLaw, marginal_of
from catharsis.bayes.true_effects import TrueEffects
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.structures import term_covariance
from catharsis.numerics import FloatArray

MOST = 3  # dimensions; a fourth takes minutes
NEAR_INFINITY = 1e-100  # of 1/r, whose square is a number still
BARELY = 0.05  # an integral of tau^-(1 + this) converges on paper only
REACH = 64.0  # a light-tailed prior ends at this many scales of prior and data (e^-64 is 2e-28)
ROUNDING = 1e-10  # singular values of scaled columns below this are rounding
FADED = 45.0  # log units below the highest point at which a first box is left out
SCOUT = {1: 9, 2: 7, 3: 4}  # points in each direction by which a first box is judged
GROWTH = {1: 2.0, 2: 2.0, 3: 4.0}  # of the first panels
UNIT_EDGES = np.array([0.0, 1.0, 3.0])  # of 1/r, which is of order 1


@dataclass(frozen=True, slots=True)
class Reciprocal:
    """The coordinate 1/r of the spread r of a t prior: no tail is left, and near 0 a density is like s^df."""

    def tau(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The spread r and log|d r / d s|."""
        s = np.maximum(s, NEAR_INFINITY)
        return 1 / s, -2 * np.log(s)

    def s(self, tau: float) -> float:
        """Where r lies."""
        return 1 / tau


@dataclass(frozen=True, slots=True)
class Unknown:
    """One dimension of the quadrature.

    Attributes
    ----------
    prior : Prior
        Of the standard deviation or of r.
    where : Coordinate
        How the coordinate becomes it.
    edges : (q,) array
        First panels.
    """

    prior: Prior
    where: Coordinate | Reciprocal
    edges: FloatArray


@dataclass(frozen=True, slots=True)
class Setup:
    """A model ready to be integrated.

    Attributes
    ----------
    model : Components
        Effects and their covariance.
    terms : tuple of str
        Coefficients.
    priors : Priors
        Completed.
    fixed : dict
        Standard deviations that are known, by factor.
    """

    model: Components
    terms: tuple[str, ...]
    priors: Priors
    fixed: Mapping[str, float]

    @property
    def free(self) -> list[str]:
        """Factors whose standard deviation is unknown."""
        return [factor for factor in self.model.factors if factor not in self.fixed]

    @property
    def heavy(self) -> tuple[tuple[int, float], ...]:
        """Coefficients with a t prior: index and degrees of freedom."""
        return self.priors.heavy(self.terms)

    def unknowns(self) -> list[Unknown]:
        """The dimensions: standard deviations, then scales of t priors."""
        d = len(self.free) + len(self.heavy)
        if d > MOST:
            raise ModelError(
                f"{d} standard deviations and t priors are more than the exact engine integrates ({MOST}): use "
                'normal priors on some coefficients, or engine="nuts"'
            )
        found = [self._spread(self.priors.tau_of(factor), GROWTH[d]) for factor in self.free]
        for _, df in self.heavy:
            end = 1 + math.sqrt(2 * REACH / df)  # the density of 1/r falls as exp(-df / (2 r^2))
            steps = np.sqrt(0.5 / df) * 4.0 ** np.arange(9)  # many degrees of freedom keep r near 1
            near = np.concatenate([1 - steps, 1 + steps])
            edges = np.concatenate([UNIT_EDGES[end > UNIT_EDGES], near[(near > 0.5) & (near < min(end, 2.0))], [end]])
            found.append(Unknown(Prior("inverse-chi", (df, math.sqrt(df))), Reciprocal(), np.unique(edges)))
        return found

    def _spread(self, prior: Prior, growth: float) -> Unknown:
        blocks = self.model.blocks
        sei = np.sqrt(blocks.variances)
        centre = np.linalg.lstsq(blocks.X, blocks.y, rcond=None)[0] if blocks.p else np.empty(0)
        residual = float(np.abs(blocks.y - blocks.X @ centre).max())
        low = float(sei.min()) / math.sqrt(max(1.0, blocks.k / 10))  # levels of many effects are known better
        if prior.family == "uniform" and prior.proper:
            start, end = prior.parameters
            smallest = min(low, end)
            inner = smallest * growth ** np.arange(max(2, math.ceil(math.log(2 * end / smallest, growth))))
            return Unknown(
                prior, Coordinate(), np.concatenate([[start], inner[(inner > start) & (inner < end)], [end]])
            )
        scale = float(np.nan_to_num(prior.scale, nan=low))
        smallest, largest = min(low, scale), max(float(sei.max()), residual, scale)
        top = (REACH if prior.bounded else 2) * largest
        count = 1 + math.ceil(math.log(2 * top / smallest, growth))
        edges = np.append(0.0, smallest / 2 * growth ** np.arange(1, count + 1))
        bend = float(edges[1]) if prior.origin < 0 else 0.0
        if prior.bounded:
            return Unknown(prior, Coordinate(bend, deep=prior.origin <= -1), edges)
        turn = float(edges[-1])
        where = Coordinate(bend, turn, self._stretch(prior), prior.origin <= -1)
        return Unknown(prior, where, np.append(edges, 2 * turn))

    def _stretch(self, prior: Prior) -> float:
        """How far the end of a power tail must be pulled in for its integrand to be smooth."""
        return 1.0 if prior.tail >= 2 else 2.0

    def at(self, spreads: FloatArray) -> tuple[Conditional, FloatArray]:
        """The Gaussian posterior at spreads (g, d), and the variances (g, s) there."""
        g = len(spreads)
        variances = np.empty((g, len(self.model.factors)))
        free = self.free
        for j, factor in enumerate(self.model.factors):
            variances[:, j] = spreads[:, free.index(factor)] ** 2 if factor in free else self.fixed[factor] ** 2
        mean, precision = self.priors.location(self.terms)
        spread_precision = np.tile(precision, (g, 1))
        for j, (i, _) in enumerate(self.heavy):
            spread_precision[:, i] /= spreads[:, len(free) + j] ** 2
        return conditional(self.model, variances, mean, spread_precision), variances


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The joint posterior: nodes with weights, b Gaussian at each.

    Attributes
    ----------
    boxes : Boxes or None
        The rule; None when every spread is known.
    unknowns : list of Unknown
        Its dimensions.
    weight : (g,) array
        Probabilities.
    variances : (g, s) array
        Of all factors.
    found : Conditional
        b at each node.
    log_evidence, error : float
        Log marginal likelihood and the rule's relative error.
    """

    boxes: Boxes | None
    unknowns: list[Unknown]
    weight: FloatArray
    variances: FloatArray
    found: Conditional
    log_evidence: float
    error: float


def solve(setup: Setup) -> Solved:
    """Integrate over every unknown spread."""
    unknowns = setup.unknowns()
    if not unknowns:
        found, variances = setup.at(np.empty((1, 0)))
        return Solved(None, [], np.ones(1), variances, found, float(found.log_likelihood[0]), 0.0)

    def spreads(s: FloatArray) -> tuple[FloatArray, FloatArray]:
        pairs = [unknown.where.tau(s[:, j]) for j, unknown in enumerate(unknowns)]
        return np.stack([value for value, _ in pairs], axis=1), np.sum([slope for _, slope in pairs], axis=0)

    def log_density(s: FloatArray) -> FloatArray:
        values, total = spreads(s)
        for j, unknown in enumerate(unknowns):
            total = total + unknown.prior.log_density(values[:, j])
        alive = np.isfinite(total) & np.all((values > 0) | (np.arange(values.shape[1]) < len(setup.free)), axis=1)
        height = np.full(len(s), -np.inf)
        if alive.any():
            height[alive] = total[alive] + setup.at(values[alive])[0].log_likelihood
        return height

    d = len(unknowns)
    boxes = integrate(log_density, [unknown.edges for unknown in unknowns], scout=SCOUT[d], faded=FADED)
    weight, values = boxes.weights, spreads(boxes.points)[0]
    keep = weight > 1e-15 * weight.max()
    found, variances = setup.at(values[keep])
    weight = weight[keep] / weight[keep].sum()
    return Solved(boxes, unknowns, weight, variances, found, boxes.total, boxes.error)


def check(setup: Setup) -> dict[str, int]:
    """Moments of each standard deviation that exist, 0 to 2.

    The likelihood falls as tau^-(n - q) when the standard deviations of a set of factors grow together: n effects they
    tell apart, q directions of b that nothing else informs; the priors fall as tau^-a each.

    Raises
    ------
    ModelError
        When coefficients cannot be told apart, or the posterior is improper.
    """
    blocks, terms = setup.model.blocks, setup.terms
    _, precision = setup.priors.location(terms)
    rows = np.concatenate([blocks.X, np.diag(np.sqrt(precision))])
    norm = np.linalg.norm(rows, axis=0)
    if len(terms) and np.linalg.matrix_rank(rows / np.where(norm > 0, norm, 1.0)) < len(terms):
        raise ModelError(
            "the posterior is improper: the moderators repeat each other and their priors are flat, so the data cannot "
            "tell their coefficients apart; drop a moderator or give them normal priors"
        )
    factors = list(setup.model.factors)
    tails = {factor: setup.priors.tau_of(factor).tail for factor in setup.free}
    open_ended = [factor for factor in setup.free if math.isfinite(tails[factor])]
    moments = dict.fromkeys(setup.free, 2)
    for size in range(1, len(open_ended) + 1):
        for chosen in combinations(open_ended, size):
            places = [factors.index(factor) for factor in chosen]
            rank = combined_rank(setup.model, places)
            loose = _loose(setup, places)
            power = sum(tails[factor] for factor in chosen) + rank - loose - size
            if not power > BARELY:
                raise ModelError(
                    f"the posterior is improper: with the prior {setup.priors.tau_of(chosen[0])} on the standard "
                    f"deviation of {' and '.join(chosen)}, {rank} level{'s' * (rank != 1)} and {loose} coefficient"
                    f"{'s' * (loose != 1)} with a flat prior leave large values without bound; use a proper prior, "
                    "such as half-normal(0.5), or more studies"
                )
            for factor in chosen:
                moments[factor] = min(moments[factor], sum(power > j + BARELY for j in (1, 2)))
    return moments


def _loose(setup: Setup, places: Sequence[int]) -> int:
    """Directions of b that only these factors' levels inform."""
    blocks = setup.model.blocks
    _, precision = setup.priors.location(setup.terms)
    firm = [np.diag(np.sqrt(precision))]
    for stack in blocks.stacks:
        parts = [*stack.K]
        for pattern in stack.patterns:
            parts += [term_covariance(pattern, unit) for unit in np.eye(pattern.structure.parameters)]
        values, vectors = np.linalg.eigh(np.sum([parts[i] for i in places], axis=0))
        null = values < 1e-9 * np.maximum(values.max(axis=1, keepdims=True), 1e-300)
        for b, rows in enumerate(stack.rows):
            if null[b].any():
                firm.append(vectors[b][:, null[b]].T @ blocks.X[rows])
    matrix = np.concatenate(firm)
    norm = np.linalg.norm(np.concatenate([blocks.X, np.diag(np.sqrt(precision))]), axis=0)
    singular = np.linalg.svd(matrix / np.where(norm > 0, norm, 1.0), compute_uv=False)
    return len(setup.terms) - int((singular > ROUNDING).sum())


def posterior(blocks: Blocks, terms: tuple[str, ...], labels: Sequence[str], priors: Priors, level: float) -> Posterior:
    """Fit a model with several unknown spreads; arguments as for `exact.posterior`."""
    model = Components(blocks)
    priors = priors.completed(np.sqrt(blocks.variances))
    fixed = {
        factor: float(priors.tau_of(factor).parameters[0])
        for factor in blocks.factors
        if priors.tau_of(factor).family == "fixed"
    }
    setup = Setup(model, terms, priors, fixed)
    moments = check(setup)
    solved = solve(setup)
    w, mean, cov = solved.weight, solved.found.mean, solved.found.cov
    unit = np.eye(len(terms))
    groups = {name: j for j, name in enumerate(blocks.factors)}
    sums = _summed(blocks)
    laws: dict[str, Law] = {}
    taus: dict[str, Marginal] = {}
    for factor, j in groups.items():
        law = _law(solved, setup, factor)
        tau = np.sqrt(solved.variances[:, j])
        taus[factor] = existing(marginal_of(law, w, tau, np.zeros_like(tau), level), moments.get(factor, 2))
        laws[f"tau[{factor}]"] = law
    least = min([moments.get(blocks.factors[j], 2) for j in sums], default=2)
    between = solved.variances[:, sums].sum(axis=1)
    if len(sums) == 1:
        total, laws["tau"] = taus[blocks.factors[sums[0]]], laws[f"tau[{blocks.factors[sums[0]]}]"]
    else:
        laws["tau"] = _total(solved, setup, sums)
        root = np.sqrt(between)
        total = existing(marginal_of(laws["tau"], w, root, np.zeros_like(root), level), least)

    def components(row: FloatArray, new: bool, component: str | None) -> tuple[FloatArray, FloatArray]:
        variance = np.einsum("i,gij,j->g", row, cov, row)
        if new:
            if component is not None and component not in groups:
                raise ModelError(f'there is no component "{component}"; there are {", ".join(groups)}')
            variance = variance + (between if component is None else solved.variances[:, groups[component]])
        return mean @ row, variance

    def linear(x: Sequence[float], new: bool = False, component: str | None = None) -> Marginal:
        row = np.asarray(x, dtype=float)
        if row.shape != (len(terms),):
            raise ModelError(f"{row.size} numbers for {len(terms)} coefficients ({', '.join(terms)})")
        centre, variance = components(row, new, component)
        return existing(marginals(w, centre[None], variance[None], level)[0], least if new else 2)

    def chance(name: str, side: str, value: float) -> float:
        if name in laws:
            law = laws[name]
            return min(law.below(value) if side == "<" else law.above(value), 1.0)
        new = name == "new study"
        centre, variance = components(unit[0 if new else terms.index(name)], new, None)
        z = (value - centre) / np.sqrt(variance)
        return min(float(w @ ndtr(z if side == "<" else -z)), 1.0)

    def restricted(name: str, value: float) -> float:
        if name == "tau":
            return solve(replace(setup, fixed=dict.fromkeys(blocks.factors, value))).log_evidence
        if name.startswith("tau["):
            return solve(replace(setup, fixed={**fixed, name[4:-1]: value})).log_evidence
        i = terms.index(name)
        rest = replace(blocks, y=blocks.y - value * blocks.X[:, i], X=np.delete(blocks.X, i, axis=1))
        without = (*terms[:i], *terms[i + 1 :])
        return solve(replace(setup, model=Components(rest), terms=without)).log_evidence

    def simulate(n: int, rng: np.random.Generator) -> Simulated:
        given, variances = setup.at(draw_spreads(solved, n, rng))
        b = draw_coefficients(given.mean, given.cov, rng)
        theta = draw_effects(blocks, b, variances, rng)
        tau = np.sqrt(variances[:, sums].sum(axis=1))
        return Simulated(terms, blocks.factors, tuple(labels), b, np.sqrt(variances), tau, theta, blocks)

    nodes = Nodes(w, solved.variances, mean, cov)

    def summarise(weight: FloatArray, centre: FloatArray, variance: FloatArray) -> list[Marginal]:
        return marginals(weight, centre, variance, level)

    proper = all(priors.tau_of(factor).proper for factor in blocks.factors)
    proper = proper and bool(np.all(priors.location(terms)[1] > 0))
    return Posterior(
        engine="exact", terms=terms, coefficients={term: linear(unit[i]) for i, term in enumerate(terms)},
        tau=total, taus=taus, new=linear(unit[0], new=True), studies=TrueEffects(labels, blocks, nodes, summarise),
        linear=linear, priors=priors, level=level, log_evidence=solved.log_evidence if proper else math.nan,
        error=solved.error, chance=chance, log_marginal=solved.log_evidence, restricted=restricted,
        nodes=nodes, simulate=simulate,
        observed=observed(blocks),
        notes=(*priors.notes, *_moment_notes(moments, priors)),
    )  # fmt: skip


def draw_spreads(solved: Solved, n: int, rng: np.random.Generator) -> FloatArray:
    """(n, d) independent draws of the unknown spreads."""
    if solved.boxes is None:
        return np.empty((n, 0))
    s = draw_boxes(solved.boxes.low, solved.boxes.high, np.exp(solved.boxes.log_mass), n, rng)
    return np.stack([unknown.where.tau(s[:, j])[0] for j, unknown in enumerate(solved.unknowns)], axis=1)


def _moment_notes(moments: Mapping[str, int], priors: Priors) -> tuple[str, ...]:
    lost = [factor for factor, count in moments.items() if count < 2]
    if not lost:
        return ()
    return (
        f"so few studies leave the tail of {priors.tau_of(lost[0])} on the standard deviation of {' and '.join(lost)} "
        "so heavy that posterior moments do not exist; the medians and intervals do",
    )


def _summed(blocks: Blocks) -> list[int]:
    """Variances by whose sum a new effect in a new study varies: all intercepts; of a structure, its first level."""
    found = list(range(blocks.intercepts))
    first = blocks.intercepts
    for structure in blocks.structures:
        found.append(first)
        first += structure.parameters
    return found


def _law(solved: Solved, setup: Setup, factor: str) -> Law:
    if factor in setup.fixed or solved.boxes is None:
        return PointMass(setup.fixed[factor])
    j = setup.free.index(factor)
    where = solved.unknowns[j].where
    return AxisLaw(solved.boxes.axis(j), where.tau, where.s, 0.0)


def _total(solved: Solved, setup: Setup, sums: Sequence[int]) -> Law:
    """The root of the sum of several variances."""
    names = [setup.model.factors[j] for j in sums]
    known = sum(setup.fixed[name] ** 2 for name in names if name in setup.fixed)
    axes = [setup.free.index(name) for name in names if name in setup.free]
    if solved.boxes is None or not axes:
        return PointMass(math.sqrt(known))
    wheres = [solved.unknowns[j].where for j in axes]
    if len(axes) == 1:
        return AxisLaw(
            solved.boxes.axis(axes[0]),
            lambda s: with_known(*wheres[0].tau(s), known),
            lambda x: wheres[0].s(math.sqrt(max(x**2 - known, 0.0))),
            math.sqrt(known),
        )
    return TotalLaw(solved.boxes, tuple(axes), tuple(where.tau for where in wheres), tuple(where.s for where in wheres),
                    known)  # fmt: skip


def with_known(tau: FloatArray, log_slope: FloatArray, known: float) -> tuple[FloatArray, FloatArray]:
    """The root of tau^2 and a known variance, and its log slope from that of tau."""
    total = np.sqrt(tau**2 + known)
    with np.errstate(divide="ignore"):
        return total, log_slope + np.log(tau / total)
