"""Does the prior or the likelihood decide? Each is raised to a power a little off 1, and the posterior watched.

The parameters are the coefficients b and the standard deviations tau; the data are the effects, whose likelihood given
b and tau is Gaussian with variance M = V + tau^2 K. Raised to alpha it is Gaussian with variance M / alpha, times
|M|^((1 - alpha) / 2): forgetting that factor, which depends on tau, would say that scaling the data changes tau less
than it does. A normal prior raised to alpha is normal, a t prior is a t prior with other degrees of freedom, and a
prior on tau reweights the nodes of tau. So for an exact posterior nothing is approximated: every node of tau gets a new
weight and a new Gaussian. Draws get importance weights, smoothed by Pareto tails.

Study effects are integrated out, not conditioned on: scaling p(y | study effects) would leave the average almost as it
was whenever tau is large, and would call any such likelihood weak.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from catharsis.bayes.fitted import Nodes
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.marginal import moments
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

ALPHAS = (0.8, 1.25)  # one log step down, one up
THRESHOLD = 0.05  # sensitivity above which a component is said to matter [@kallioinen2024]
RANGE = 1 / 4000  # probability left out at each end of the x axis, as a sample of 4000 draws would leave it
POINTS = 600  # of the x axis
FAINT = 1e-12  # probability below which a node says nothing
UNRELIABLE = 0.7  # Pareto k-hat above which importance weights are not to be believed
MOST_DRAWS = 4000  # that are reweighted; more change nothing in the third digit


@dataclass(frozen=True, slots=True)
class PowerScaling:
    """Sensitivity to prior and likelihood.

    Attributes
    ----------
    frame : DataFrame
        Rows: coefficients and standard deviations. Columns: "prior", "likelihood", "prior on b", "prior on tau"
        (sensitivities: change of the cumulative Jensen-Shannon distance per doubling of the power) and "verdict".
    verdict : str
        One sentence over all rows.
    notes : tuple of str
        What every reader must be told.
    """

    frame: pd.DataFrame
    verdict: str
    notes: tuple[str, ...] = ()


def power_scaling(
    post: Posterior, *, alphas: tuple[float, float] = ALPHAS, threshold: float = THRESHOLD
) -> PowerScaling:
    """Sensitivity of each marginal posterior to its prior and to the likelihood.

    Parameters
    ----------
    post : Posterior
        A fit by `fit_bayes` to effects with known sampling variances.
    alphas : two floats
        Powers, one below 1 and one above.
    threshold : float
        Sensitivity above which a component matters.

    Returns
    -------
    PowerScaling
        Verdicts: "fine" (the likelihood decides), "prior-dominated" (strong prior or weak likelihood: the prior
        matters, the data hardly), "prior-data conflict" (both matter), "neither" (the posterior answers to neither).

    Raises
    ------
    ModelError
        For a posterior that was not fitted to effects alone, or powers on one side of 1.

    References
    ----------
    [@kallioinen2024; @vehtari2017]

    Examples
    --------
    >>> from catharsis.bayes.fit import fit_bayes
    >>> from catharsis.bayes.priors import Priors
    >>> priors = Priors.parse({"mu": "normal(0, 0.1)"})
    >>> post = fit_bayes(yi=[0.7, 0.8, 0.9, 0.6], vi=[0.02, 0.03, 0.02, 0.02], priors=priors)
    >>> found = power_scaling(post)
    >>> found.frame.loc["intercept", "verdict"]
    'prior-data conflict'
    """
    import pandas as pd

    low, high = _powers(alphas)
    if not (isinstance(threshold, int | float) and 0 < threshold < math.inf):
        raise ModelError("the threshold of a sensitivity is a positive number")
    if post.model is None or post.nodes is None:
        raise ModelError(
            "power-scaling needs a posterior that fit_bayes made from effects and their variances; this one has none"
        )
    blocks, notes = post.model.blocks, []
    if post.nodes.theta.shape[1] != len(blocks.factors):
        raise ModelError("power-scaling takes random intercepts; this model has correlated random effects")
    drawn = not np.any(post.nodes.cov)
    scaler: _Exact | _Drawn = (_Drawn if drawn else _Exact)(post, blocks, post.nodes)
    base = scaler.marginals(1.0, 1.0, 1.0)
    change = {
        name: [scaler.marginals(*(alpha if part else 1.0 for part in parts)) for alpha in (low, high)]
        for name, parts in (
            ("prior", (False, True, True)),
            ("likelihood", (True, False, False)),
            ("prior on b", (False, True, False)),
            ("prior on tau", (False, False, True)),
        )
    }
    names = [*post.terms, *(["tau"] if len(blocks.factors) == 1 else [f"tau of {name}" for name in blocks.factors])]
    steps = -math.log2(low), math.log2(high)
    table = {
        column: [sum(distance(base[i], each[i]) for each in pair) / sum(steps) for i in range(len(names))]
        for column, pair in change.items()
    }
    frame = pd.DataFrame(table, index=names)
    frame["verdict"] = [_verdict(p, x, threshold) for p, x in zip(frame["prior"], frame["likelihood"], strict=True)]
    if isinstance(scaler, _Drawn) and scaler.worst > UNRELIABLE:
        notes.append(
            f"the importance weights of the draws are unreliable (Pareto k-hat {scaler.worst:.2f}, more than "
            f"{UNRELIABLE}): use powers nearer to 1, or engine='exact'"
        )
    flat = [term for term in post.terms if not post.priors.of(term).proper]
    if flat:
        notes.append(f"the prior on {', '.join(flat)} is flat: raised to any power it stays what it is")
    return PowerScaling(frame, _sentence(frame, threshold), tuple(notes))


def _powers(alphas: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(alpha) for alpha in alphas)
    except (TypeError, ValueError):
        raise ModelError("alphas are two numbers, such as (0.8, 1.25)") from None
    if not 0 < low < 1 < high < math.inf:
        raise ModelError(f"alphas are one power below 1 and one above, not {low:g} and {high:g}")
    return low, high


def _verdict(prior: float, likelihood: float, threshold: float) -> str:
    if prior >= threshold:
        return "prior-data conflict" if likelihood >= threshold else "prior-dominated"
    return "fine" if likelihood >= threshold else "neither"


def _sentence(frame: pd.DataFrame, threshold: float) -> str:
    """The rows by verdict, in words."""
    said = {
        "prior-dominated": "strong prior or weak likelihood: the prior decides more than the data",
        "prior-data conflict": "prior and data both pull: look whether they disagree",
    }
    found = [
        f"{', '.join(frame.index[frame['verdict'] == verdict])}: {verdict} ({words})"
        for verdict, words in said.items()
        if (frame["verdict"] == verdict).any()
    ]
    return "; ".join(found) or f"fine: no posterior moves with its prior (every sensitivity is below {threshold:g})"


# -- distance ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Mixture:
    """A marginal: Gaussians, or points where sd is 0."""

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray
    smooth: bool  # whether points stand for a density between them (quadrature nodes), or for themselves (draws)

    def tails(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """P(< x) and P(> x)."""
        if np.any(self.sd):
            z = (x[:, None] - self.mean) / self.sd
            return special.ndtr(z) @ self.weight, special.ndtr(-z) @ self.weight
        order = np.argsort(self.mean, kind="stable")
        at, w = self.mean[order], self.weight[order]
        up, down = np.cumsum(w), np.cumsum(w[::-1])[::-1]
        if not self.smooth:
            i = np.searchsorted(at, x, side="right")
            return np.concatenate([[0.0], up])[i], np.concatenate([down, [0.0]])[i]
        return np.interp(x, at, up - w / 2), np.interp(x, at, down - w / 2)

    def ends(self) -> tuple[float, float]:
        """Where the x axis begins and stops."""
        if not np.any(self.sd):
            order = np.argsort(self.mean, kind="stable")
            below = np.cumsum(self.weight[order])
            i = np.searchsorted(below, [RANGE, 1 - RANGE])
            return tuple(self.mean[order][np.minimum(i, len(below) - 1)].tolist())
        from catharsis.bayes.marginals import GaussianMixture

        law = GaussianMixture(self.weight, self.mean, self.sd)
        return law.quantile(RANGE), law.quantile(1 - RANGE)


def distance(base: _Mixture, other: _Mixture) -> float:
    """Cumulative Jensen-Shannon distance, between 0 and 1, on the x axis of `base`; the same when x changes sign.

    References
    ----------
    [@kallioinen2024]
    """
    low, high = base.ends()
    if not high > low:
        return 0.0
    x = np.linspace(low, high, POINTS)
    return max(_cumulative(P, Q) for P, Q in zip(base.tails(x), other.tails(x), strict=True))


def _cumulative(P: FloatArray, Q: FloatArray) -> float:
    """Root of CJS(P || Q) + CJS(Q || P) over its bound; the linear terms of the two cancel."""
    middle = (P + Q) / 2
    total = special.rel_entr(P, middle).sum() + special.rel_entr(Q, middle).sum()
    bound = float((P + Q).sum()) * math.log(2)
    return math.sqrt(max(float(total), 0.0) / bound) if bound > 0 else 0.0


# -- an exact posterior -----------------------------------------------------------------------------


def powered(prior: Prior, alpha: float) -> Prior:
    """A location prior raised to a power: normal stays normal, t stays t.

    Raises
    ------
    ModelError
        When the power leaves a t prior without a finite integral.

    Examples
    --------
    >>> str(powered(Prior("normal", (0.2, 1.0)), 0.25))
    'normal(0.2, 2)'
    >>> str(powered(Prior("cauchy", (0.0, 1.0)), 2.0))
    't(3, 0, 0.57735026919)'
    """
    if not prior.proper:
        return prior
    if math.isinf(prior.df):
        return Prior("normal", (prior.centre, prior.scale / math.sqrt(alpha)))
    df = alpha * (prior.df + 1) - 1
    if not df > 0:
        raise ModelError(f"the prior {prior} to the power {alpha:g} is improper: use a power nearer to 1")
    return Prior("t", (df, prior.centre, prior.scale * math.sqrt(prior.df / df)))


class _Exact:
    """Reweighted nodes of tau, and b given tau afresh."""

    def __init__(self, post: Posterior, blocks: Blocks, nodes: Nodes) -> None:
        self.terms, self.factors = post.terms, blocks.factors
        self.priors = post.priors
        self.k = blocks.k
        theta, place = np.unique(nodes.theta, axis=0, return_inverse=True)
        weight = np.bincount(np.ravel(place), nodes.weight, len(theta))
        keep = weight > FAINT
        self.theta, self.weight = theta[keep], weight[keep] / weight[keep].sum()
        found = [moments(blocks, each) for each in self.theta]
        self.log_det = np.array([each.log_det for each in found])
        self.triangle = np.array([each.triangle for each in found])
        self.start = self._given_tau(1.0, 1.0)[0]

    def _given_tau(self, likelihood: float, on_b: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Log marginal likelihood at each tau (G,), and components of b: weights, means (C, p), variances (C, p)."""
        p, G = len(self.terms), len(self.theta)
        priors = Priors(terms={f"b{i}": powered(self.priors.of(term), on_b) for i, term in enumerate(self.terms)})
        names = [f"b{i}" for i in range(p)]
        mean, precision = priors.location(names)
        shrink, log_mix = _mixing(priors.heavy(names), p)
        R = math.sqrt(likelihood) * self.triangle
        pieces, heights = [], []
        for each, log_weight in zip(shrink, log_mix, strict=True):
            own = precision * each
            stack = np.zeros((G, 2 * p + 1, p + 1))
            stack[:, : p + 1] = R
            stack[:, p + 1 :] = np.sqrt(own)[:, None] * np.column_stack([np.eye(p), mean])
            T = np.asarray(np.linalg.qr(stack, mode="r"))
            inverse = np.linalg.inv(T[:, :p, :p])
            log_information = 2 * np.log(np.abs(np.diagonal(T, axis1=1, axis2=2)[:, :p])).sum(axis=1)
            log_prior = float(np.log(own[own > 0]).sum())
            height = -0.5 * (likelihood * self.log_det + log_information - log_prior + T[:, p, p] ** 2)
            heights.append(height + log_weight)
            pieces.append((np.einsum("gij,gj->gi", inverse, T[:, :p, p]), np.einsum("gij,gij->gi", inverse, inverse)))
        tall = np.stack(heights)  # (L, G)
        total = special.logsumexp(tall, axis=0)
        share = np.exp(tall - total)
        return (
            total,
            share,
            np.stack([piece[0] for piece in pieces]),
            np.stack([piece[1] for piece in pieces]),
        )

    def marginals(self, likelihood: float, on_b: float, on_tau: float) -> list[_Mixture]:
        """Marginals of b and of tau when the parts are raised to these powers."""
        total, share, mean, variance = self._given_tau(likelihood, on_b)
        log_weight = np.log(self.weight) + total - self.start + _log_prior_of_tau(self, on_tau)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        both = (share * weight).ravel()
        keep = both > FAINT
        found = [
            _Mixture(both[keep] / both[keep].sum(), mean[..., i].ravel()[keep], np.sqrt(variance[..., i].ravel()[keep]),
                     smooth=True)
            for i in range(len(self.terms))
        ]  # fmt: skip
        return found + [_points(self.theta[:, s], weight) for s in range(len(self.factors))]


def _points(theta: FloatArray, weight: FloatArray) -> _Mixture:
    """Standard deviations at nodes, each value once."""
    at, place = np.unique(np.sqrt(theta), return_inverse=True)
    return _Mixture(
        np.asarray(np.bincount(np.ravel(place), weight, len(at)), dtype=float), at, np.zeros(len(at)), smooth=True
    )


def _log_prior_of_tau(scaler: _Exact | _Drawn, power: float) -> FloatArray:
    """(power - 1) times the log prior of the standard deviations at each node."""
    found = np.zeros(len(scaler.theta))
    if power == 1:
        return found
    for s, factor in enumerate(scaler.factors):
        prior = scaler.priors.tau_of(factor)
        if prior.family != "fixed":
            found += (power - 1) * prior.log_density(np.sqrt(scaler.theta[:, s]))
    return found


def _mixing(heavy: Sequence[tuple[int, float]], p: int) -> tuple[FloatArray, FloatArray]:
    """What divides prior precisions (L, p) at nodes of the mixing variances of t priors, and log probabilities (L,).

    A trapezoid rule in the logarithm of the variance: its poles lie pi off the axis, so that a step of h errs by
    exp(-2 pi^2 / h).
    """
    if len(heavy) > 2:
        raise ModelError("power-scaling takes up to 2 coefficients with a t or Cauchy prior; make the others normal")
    step = 0.5 if len(heavy) < 2 else 1.0
    axes = []
    for _, df in heavy:
        u = np.arange(-math.log(80 / df) - step, 80 / (df + 1) + step, step)
        log_density = df / 2 * (math.log(df / 2) - u - np.exp(-u)) - float(special.gammaln(df / 2)) + math.log(step)
        axes.append(list(zip(np.exp(-u).tolist(), log_density.tolist(), strict=True)))
    shrink, weight = [], []
    for combination in itertools.product(*axes):
        row = np.ones(p)
        for (i, _), (factor, _) in zip(heavy, combination, strict=True):
            row[i] = factor
        shrink.append(row)
        weight.append(sum(log_weight for _, log_weight in combination))
    return np.array(shrink).reshape(-1, p), np.array(weight, dtype=float)


# -- draws --------------------------------------------------------------------------------------------


class _Drawn:
    """Draws with importance weights, smoothed by a generalised Pareto tail."""

    def __init__(self, post: Posterior, blocks: Blocks, nodes: Nodes) -> None:
        every = max(1, math.ceil(len(nodes.weight) / MOST_DRAWS))
        nodes = Nodes(nodes.weight[::every], nodes.theta[::every], nodes.mean[::every], nodes.cov[::every])
        self.terms, self.factors, self.priors = post.terms, blocks.factors, post.priors
        self.theta, self.b, self.worst = nodes.theta, nodes.mean, -math.inf
        self.log_likelihood = np.empty(len(self.b))
        for i, (theta, b) in enumerate(zip(self.theta, self.b, strict=True)):
            found = moments(blocks, theta)
            rest = found.triangle @ np.append(-b, 1.0)
            self.log_likelihood[i] = -0.5 * (found.log_det + rest @ rest)
        self.log_prior_b = np.zeros(len(self.b))
        for j, term in enumerate(self.terms):
            self.log_prior_b += self.priors.of(term).log_density(self.b[:, j])

    def marginals(self, likelihood: float, on_b: float, on_tau: float) -> list[_Mixture]:
        """Marginals of b and tau under new weights."""
        log_weight = (likelihood - 1) * self.log_likelihood + (on_b - 1) * self.log_prior_b
        log_weight = log_weight + _log_prior_of_tau(self, on_tau)
        weight = np.full(len(log_weight), 1 / len(log_weight))
        if np.ptp(log_weight) > 0:
            import arviz as az

            smoothed, k_hat = az.psislw(log_weight)
            self.worst = max(self.worst, float(k_hat))
            weight = np.exp(np.asarray(smoothed))
            weight /= weight.sum()
        columns = [*self.b.T, *np.sqrt(self.theta).T]
        return [_Mixture(weight, column, np.zeros(len(column)), smooth=False) for column in columns]
