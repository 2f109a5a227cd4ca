"""The posterior of one model of the average in unbounded parameters, which bridge sampling walks over.

It is written from the likelihood as a paper prints it and shares no step with the quadrature, which it checks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from catharsis.bayes.bridge import Bridge, bridge_sampling
from catharsis.bayes.priors import Prior
from catharsis.likelihood.publication_bias import CHUNK, StepSelection, normal_log_likelihood
from catharsis.numerics import FloatArray

START = 0.25  # of the reach of a prior without a scale


@dataclass(frozen=True)
class Kernel:
    """Log of prior times likelihood at (mu, log tau, bias parameters), those that the model has.

    With a slope, the first parameter is the expected effect at a typical regressor and not mu: where studies are about
    equally large, the data know that sum much better than its parts.

    Attributes
    ----------
    yi, vi : (k,) arrays
        Effects and variances, turned to the side that selection favours.
    mu, tau : Prior or None
        Priors; None for a parameter that is 0.
    selection : StepSelection or None
        Step weights, with the Dirichlet parameters `alpha` (J + 1,); the parameters are log ratios to the last share.
    regressor : (k,) array or None
        What bias is proportional to, with `slope` the prior on the coefficient; the parameter is its logarithm.
    """

    yi: FloatArray
    vi: FloatArray
    mu: Prior | None
    tau: Prior | None
    selection: StepSelection | None = None
    alpha: FloatArray | None = None
    regressor: FloatArray | None = None
    slope: Prior | None = None

    @property
    def d(self) -> int:
        """Number of parameters."""
        weights = 0 if self.selection is None else len(self.selection.steps)
        return (self.mu is not None) + (self.tau is not None) + weights + (self.slope is not None)

    @property
    def _typical(self) -> float:
        """Weighted mean of the regressor."""
        return 0.0 if self.regressor is None else float(np.average(self.regressor, weights=self.vi.min() / self.vi))

    def __call__(self, x: FloatArray) -> FloatArray:
        """At points (n, d); the result (n,)."""
        size = max(1, CHUNK // (len(self.yi) * (1 + self.d)))
        return np.concatenate([self._at(x[i : i + size]) for i in range(0, len(x), size)])

    def _at(self, x: FloatArray) -> FloatArray:
        found, at = np.zeros(len(x)), 0
        mu, tau = np.zeros(len(x)), np.zeros(len(x))
        # a far proposal may overflow, which makes its density 0
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            if self.mu is not None:
                mu, at = x[:, 0], 1
                if self.regressor is not None:
                    mu = mu - np.exp(x[:, -1]) * self._typical
                found += self.mu.log_density(mu)
            if self.tau is not None:
                tau = np.exp(x[:, at])
                found += self.tau.log_density(tau) + x[:, at]
                at += 1
            mean, variance = mu[:, None], self.vi + tau[:, None] ** 2
            if self.slope is not None and self.regressor is not None:
                b = np.exp(x[:, at])
                found += self.slope.log_density(b) + x[:, at]
                mean = mean + b[:, None] * self.regressor
            found += normal_log_likelihood(self.yi, mean, variance)
            if self.selection is not None and self.alpha is not None:
                eta = np.concatenate([x[:, at:], np.zeros((len(x), 1))], axis=1)
                log_shares = eta - special.logsumexp(eta, axis=1, keepdims=True)
                found += special.gammaln(self.alpha.sum()) - special.gammaln(self.alpha).sum()
                found += log_shares @ self.alpha  # the Jacobian of log ratios is the product of the shares
                found += self.selection.log_seen(mu, variance, np.exp(log_shares))
        return np.where(np.isnan(found), -np.inf, found)

    def log_evidence(self, rng: np.random.Generator) -> Bridge:
        """The log marginal likelihood by bridge sampling; in closed form when there is nothing to integrate."""
        if self.d == 0:
            return Bridge(float(self(np.empty((1, 0)))[0]), 0.0, 0, 1.0)
        start, spread = [], []
        if self.mu is not None:
            start.append(float(np.average(self.yi, weights=self.vi.min() / self.vi)))
            spread.append(math.sqrt(float(self.vi.mean())))
        if self.tau is not None:
            start.append(math.log(_size(self.tau)))
        if self.slope is not None and self.regressor is not None:
            known = float((self.regressor**2 / self.vi).sum()) ** -0.5  # how well the data know the slope
            start.append(math.log(min(_size(self.slope), known)))
        start += [0.0] * (self.d - len(start))
        spread += [1.0] * (self.d - len(spread))
        return bridge_sampling(self, np.array(start), np.array(spread), rng)


def _size(prior: Prior) -> float:
    """Where sampling of a positive parameter begins."""
    return prior.scale if math.isfinite(prior.scale) else START * prior.reach
