"""Posteriors on plain grids, written without the formulas of the package."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass
class Grid:
    """(mu, tau) under normal(0, 1) and half-normal(0.5), on a Gauss-Legendre product grid; effects independent."""

    yi: np.ndarray
    vi: np.ndarray
    points: int = 240

    def __post_init__(self):
        x, w = np.polynomial.legendre.leggauss(self.points)
        mu, wm = 5 * x, 5 * w
        tau, wt = 1.75 * (1 + x), 1.75 * w
        self.mu, self.tau = (part.ravel() for part in np.meshgrid(mu, tau, indexing="ij"))
        self.area = np.outer(wm, wt).ravel()
        self.prior = stats.norm.logpdf(self.mu) + stats.halfnorm.logpdf(self.tau, scale=0.5)
        self.spread = np.sqrt(np.asarray(self.vi)[:, None] + self.tau**2)
        self.each = stats.norm.logpdf(np.asarray(self.yi)[:, None], self.mu, self.spread)

    def weight(self, keep):
        """Probabilities of the grid given the effects that are kept."""
        mass = np.exp(self.prior + self.each[keep].sum(axis=0)) * self.area
        return mass / mass.sum()


@dataclass
class Dense:
    """Three-level model, moderators and V, by conditioning one big Gaussian (b, u, y) at each point of a tau grid."""

    yi: np.ndarray
    V: np.ndarray
    X: np.ndarray
    study: np.ndarray
    points: int = 48

    def __post_init__(self):
        x, w = np.polynomial.legendre.leggauss(self.points)
        tau, wt = 1.75 * (1 + x), 1.75 * w
        prior = wt * stats.halfnorm.pdf(tau, scale=0.5)
        self.taus = np.array([(a, b) for a in tau for b in tau])
        self.prior = np.outer(prior, prior).ravel()
        k = len(self.yi)
        self.Z = [(self.study[:, None] == np.unique(self.study)).astype(float), np.eye(k)]

    def covariance(self, rows):
        X = self.X[rows]
        parts = [Z[rows] @ Z[rows].T for Z in self.Z]
        M = self.V[np.ix_(rows, rows)] + X @ X.T
        return M + np.einsum("gs,sij->gij", self.taus**2, np.array(parts))

    def log_evidence(self, rows):
        M = self.covariance(rows)
        y = self.yi[rows]
        z = np.linalg.solve(M, np.broadcast_to(y, (len(M), len(y)))[..., None])[..., 0]
        log = -0.5 * (np.linalg.slogdet(M)[1] + z @ y + len(y) * np.log(2 * np.pi))
        return log, float(np.log(self.prior @ np.exp(log - log.max())) + log.max())

    def posterior(self):
        """Probabilities of the grid, and means and covariances of the effects of both levels."""
        rows = np.arange(len(self.yi))
        log, _ = self.log_evidence(rows)
        weight = self.prior * np.exp(log - log.max())
        M = self.covariance(rows)
        found = []
        for s, Z in enumerate(self.Z):
            C = self.taus[:, s, None, None] ** 2 * Z.T
            gain = C @ np.linalg.inv(M)
            u = gain @ self.yi
            cov = self.taus[:, s, None, None] ** 2 * np.eye(Z.shape[1]) - gain @ np.swapaxes(C, 1, 2)
            found.append((u, cov))
        return weight / weight.sum(), found
