"""Posteriors by brute force, written without the formulas of the package.

Given tau everything is a joint Gaussian of (b, theta, y), conditioned on y with dense matrices; tau is integrated by
the trapezoid rule in log tau, which converges exponentially for integrands that vanish at both ends.
"""

from dataclasses import dataclass

import numpy as np
from scipy import integrate, optimize, stats

POINTS = 4001


@dataclass
class Witness:
    """Data, a log prior density of tau, and a normal prior on b (an infinite sd is flat)."""

    yi: np.ndarray
    vi: np.ndarray
    X: np.ndarray
    level: np.ndarray
    prior_mean: np.ndarray
    prior_sd: np.ndarray
    log_prior: object
    low: float = 1e-13
    high: float = 1e7

    def __post_init__(self):
        t = np.linspace(np.log(self.low), np.log(self.high), POINTS)
        self.tau = np.exp(t)
        found = [self.given(tau) for tau in self.tau]
        log = np.array([value[0] for value in found]) + self.log_prior(self.tau)
        self.peak = log.max()
        weight = np.exp(log - self.peak) * self.tau * (t[1] - t[0])
        weight[[0, -1]] /= 2
        self.total = weight.sum()
        self.evidence = np.log(self.total) + self.peak
        self.weight = weight / self.total
        self.b, self.cov, self.theta, self.theta_var = (np.array([value[i] for value in found]) for i in range(1, 5))

    def given(self, tau):
        """Log p(y | tau), moments of b, and means and variances of the effects X b + u."""
        Z = (self.level[:, None] == self.level[None, :]).astype(float)
        M = np.diag(self.vi) + tau**2 * Z
        W = np.linalg.inv(M)
        X = self.X
        if np.all(np.isinf(self.prior_sd)):
            information = X.T @ W @ X
            cov = np.linalg.inv(information)
            b = cov @ X.T @ W @ self.yi
            residual = self.yi - X @ b
            log = -0.5 * (np.linalg.slogdet(M)[1] + residual @ W @ residual + np.linalg.slogdet(information)[1])
            gain = tau**2 * Z @ W
            theta = X @ b + gain @ residual
            lever = (np.eye(len(self.yi)) - gain) @ X
            return log, b, cov, theta, np.diag(tau**2 * Z - gain @ Z * tau**2 + lever @ cov @ lever.T)
        S = np.diag(self.prior_sd**2)
        prior = X @ self.prior_mean
        full = M + X @ S @ X.T
        gain = S @ X.T @ np.linalg.inv(full)
        C = tau**2 * Z + X @ S @ X.T
        shrink = C @ np.linalg.inv(full)
        residual = self.yi - prior
        return (
            stats.multivariate_normal(prior, full).logpdf(self.yi),
            self.prior_mean + gain @ residual,
            S - gain @ X @ S,
            prior + shrink @ residual,
            np.diag(C - shrink @ C),
        )

    def mixture(self, mean, variance):
        """Mean, sd, P(> 0) and cdf of a mixture over tau."""
        centre = self.weight @ mean
        sd = np.sqrt(self.weight @ variance + self.weight @ (mean - centre) ** 2)
        return centre, sd, self.weight @ stats.norm.sf(0, mean, np.sqrt(variance)), mean, np.sqrt(variance)

    def quantile(self, mixture, p):
        centre, sd, _, mean, spread = mixture
        return optimize.brentq(
            lambda x: self.weight @ stats.norm.cdf(x, mean, spread) - p, centre - 60 * sd, centre + 60 * sd, xtol=1e-14
        )

    def tau_cdf(self, x, points=()):
        """P(tau < x) by adaptive Gauss-Kronrod, no grid shared with anyone."""

        def density(tau):
            return float(np.exp(self.given(tau)[0] + self.log_prior(np.array(tau)) - self.peak))

        value, _ = integrate.quad(density, 0, x, epsabs=1e-13, epsrel=1e-12, limit=400, points=points or None)
        return value / self.total


def product_grid(yi, vi, mu_prior, log_prior, mu_range, tau_range, points=300):
    """Evidence, means and sds of mu and tau from the raw joint density on a Gauss-Legendre product grid."""
    x, w = np.polynomial.legendre.leggauss(points)
    mu = np.mean(mu_range) + np.ptp(mu_range) / 2 * x
    tau = np.mean(tau_range) + np.ptp(tau_range) / 2 * x
    joint = stats.norm.logpdf(mu, *mu_prior)[:, None] + log_prior(tau)[None, :]
    for y, v in zip(yi, vi, strict=True):
        joint = joint + stats.norm.logpdf(y, mu[:, None], np.sqrt(v + tau**2)[None, :])
    mass = np.exp(joint) * np.outer(w, w) * np.ptp(mu_range) * np.ptp(tau_range) / 4
    total = mass.sum()
    found = [np.log(total)]
    for values, axis in ((mu, 1), (tau, 0)):
        p = mass.sum(axis=axis) / total
        mean = p @ values
        found += [mean, np.sqrt(p @ (values - mean) ** 2)]
    return found
