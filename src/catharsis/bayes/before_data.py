"""What the priors expect before any data: averages, spread, the effect of a new study, and the effects at hand.

Everything here is exact up to quadrature. Given tau (and the mixing variable of a t prior) an effect is Gaussian, so
that its prior is a mixture of Gaussians over nodes; the nodes are normal quantiles carried over by the prior's own
quantile function, where every prior on tau is smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from catharsis.bayes.marginals import GaussianMixture
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.arguments import vector
from catharsis.numerics import FloatArray, root

if TYPE_CHECKING:
    import pandas as pd

REACH = 8.0  # normal quantiles beyond which a prior is cut: 1.2e-15 of its mass
PANELS, NODES = 8, 16  # Gauss-Legendre panels on the normal quantiles, and nodes in each
HUGE = 1e150  # a standard deviation whose square is still a number
PROBABILITIES = (0.025, 0.25, 0.5, 0.75, 0.975)


def prior_predictive(
    priors: Priors | None = None,
    *,
    x: Sequence[float] | FloatArray | None = None,
    terms: Sequence[str] = ("intercept",),
    factors: Sequence[str] = ("effect",),
    vi: Sequence[float] | FloatArray | None = None,
    probabilities: Sequence[float] = PROBABILITIES,
) -> pd.DataFrame:
    """Quantiles of what the priors expect before data.

    Parameters
    ----------
    priors : Priors, optional
        By default those of `fit_bayes`.
    x : (p,) array, optional
        The setting for which effects are foretold; by default the reference setting, where only the first term counts.
    terms : sequence of str
        (p,) names of the coefficients, which choose their priors.
    factors : sequence of str
        Names of the variance components, which choose theirs.
    vi : (k,) array, optional
        Sampling variances of the effects at hand: each gets a row, "effect 1" and so on. Priors made from standard
        errors need them.
    probabilities : sequence of float
        Which quantiles, the columns.

    Returns
    -------
    DataFrame
        Rows: each coefficient, each tau, "new study" (its true effect), and each effect as it would be observed. An
        improper prior has nan here, and `attrs["notes"]` says why.

    Raises
    ------
    ModelError
        For probabilities outside (0, 1), a wrong number of x, variances that are not positive.

    References
    ----------
    [@roever2021]

    Examples
    --------
    >>> prior_predictive().round(2).loc["new study"].tolist()
    [-2.2, -0.74, 0.0, 0.74, 2.2]
    """
    import pandas as pd

    given = priors or Priors()
    wanted = _probabilities(probabilities)
    terms, factors = tuple(terms), tuple(factors)
    row = _setting(x, len(terms))
    v = None if vi is None else vector(vi, "vi")
    if v is not None and (len(v) == 0 or not (np.isfinite(v) & (v > 0)).all()):
        raise ModelError("the variances vi must be positive and finite")
    given.check(terms, factors)
    chosen = given if v is None else given.completed(np.sqrt(v))
    locations = [chosen.of(term) for term in terms]
    scales = [chosen.tau_of(factor) for factor in factors]
    named = [*zip(terms, locations, strict=True)]
    named += [("tau" if len(factors) == 1 else f"tau of {name}", s) for name, s in zip(factors, scales, strict=True)]
    rows: dict[str, FloatArray] = {}
    notes = []
    for name, prior in named:
        rows[name] = prior.quantiles(wanted) if prior.proper else np.full(len(wanted), math.nan)
        if not prior.proper:
            notes.append(f"the prior {prior} on {name} is improper: it expects nothing in particular")
    used = [prior for prior, weight in zip(locations, row, strict=True) if weight != 0]
    proper = all(prior.proper for prior in (*used, *scales))
    mixture = _effect(locations, row, scales) if proper else None
    rows["new study"] = _quantiles(mixture, 0.0, wanted)
    for i, variance in enumerate(() if v is None else v):
        rows[f"effect {i + 1}"] = _quantiles(mixture, float(variance), wanted)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=wanted.tolist())
    frame.attrs["notes"] = tuple(dict.fromkeys(notes))
    return frame


def _probabilities(probabilities: Sequence[float]) -> FloatArray:
    wanted = vector(probabilities, "probabilities")
    if len(wanted) == 0 or not ((wanted > 0) & (wanted < 1)).all():
        raise ModelError("probabilities lie between 0 and 1")
    return wanted


def _setting(x: Any, p: int) -> FloatArray:
    row = np.eye(1, p)[0] if x is None else vector(x, "x")
    if len(row) != p or p == 0:
        raise ModelError(f"x has {len(row)} numbers for {p} coefficients")
    if not np.isfinite(row).all():
        raise ModelError("x holds a number that is not finite")
    return row


def nodes_of(prior: Prior) -> tuple[FloatArray, FloatArray]:
    """Nodes and probabilities (g,) of a proper prior: a Gauss-Legendre rule on normal quantiles."""
    if prior.family == "fixed":
        return np.array(prior.parameters), np.ones(1)
    z, w = legendre.leggauss(NODES)
    edges = np.linspace(-REACH, REACH, PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    at = (edges[:-1, None] + half * (1 + z)).ravel()
    weight = (half * w).ravel() * np.exp(-0.5 * at**2)
    return prior.quantiles(special.ndtr(at)), weight / weight.sum()


def _mixing(df: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and probabilities of the variance that makes a normal a t: inverse gamma (df / 2, df / 2)."""
    z, w = legendre.leggauss(NODES)
    edges = np.linspace(-REACH, REACH, PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    at = (edges[:-1, None] + half * (1 + z)).ravel()
    weight = (half * w).ravel() * np.exp(-0.5 * at**2)
    return df / 2 / special.gammainccinv(df / 2, special.ndtr(at)), weight / weight.sum()


def _effect(locations: Sequence[Prior], row: FloatArray, scales: Sequence[Prior]) -> GaussianMixture:
    """The true effect at a setting: variances of all its parts added, node by node."""
    mean, variance, weight = 0.0, np.zeros(1), np.ones(1)

    def add(part: FloatArray, probability: FloatArray) -> None:
        nonlocal variance, weight
        variance, weight = np.add.outer(variance, part).ravel(), np.outer(weight, probability).ravel()
        if len(weight) > 1_000_000:
            raise ModelError("too many parts at once: ask for a setting with fewer t priors or variance components")

    for prior, times in zip(locations, row, strict=True):
        if times == 0:
            continue
        mean += times * prior.centre
        size = (times * prior.scale) ** 2
        if math.isfinite(prior.df):
            at, probability = _mixing(prior.df)
            add(size * at, probability)
        else:
            variance = variance + size
    for prior in scales:
        at, probability = nodes_of(prior)
        add(np.minimum(at, HUGE) ** 2, probability)
    keep = weight > 1e-18  # beyond, infinities of a heavy tail
    return GaussianMixture(weight[keep], np.full(int(keep.sum()), mean), np.sqrt(variance[keep]))


def _quantiles(mixture: GaussianMixture | None, more: float, wanted: FloatArray) -> FloatArray:
    if mixture is None:
        return np.full(len(wanted), math.nan)
    wide = GaussianMixture(mixture.weight, np.zeros(len(mixture.mean)), np.sqrt(mixture.sd**2 + more))
    unit = float(wide.sd.min())
    end = math.asinh(2 * REACH * float(wide.sd.max()) / unit)

    def below(p: float) -> float:
        """Solved in arsinh, because a log-t prior spreads over hundreds of orders of magnitude; p up to a half."""
        return unit * math.sinh(root(lambda u: wide.below(unit * math.sinh(u)) - p, -end, 0.0)) if p < 0.5 else 0.0

    return np.array([float(mixture.mean[0]) + (below(p) if p < 0.5 else -below(1 - p)) for p in wanted.tolist()])
