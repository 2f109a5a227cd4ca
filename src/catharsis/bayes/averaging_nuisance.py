"""The parameters of publication bias, integrated out at given mu and tau.

Each is first made unbounded (shares of a weight function as log ratios to the last, a coefficient as its logarithm),
where its log density is close to a parabola at the top and falls at least exponentially on both sides. Its summit is
found by Newton steps, and the integral by the trapezoid rule in z, the parameter being summit + spread sinh(z): the
integrand then falls doubly exponentially and the rule converges exponentially. Rows are cells: pairs of mu and tau.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import special

from catharsis.bayes.priors import Prior
from catharsis.likelihood.publication_bias import StepSelection, weights_of
from catharsis.numerics import FloatArray

NODES = {1: 33, 2: 21, 3: 15, 4: 11}  # of the trapezoid rule in each direction, by their number
REACH = 3.7  # z of the last node: 20 spreads away
NEWTON = 30  # steps at most; 8 are usual
STRIDE = 2.0  # longest step of Newton's method, log units
FLAT = 0.05  # least curvature, so that a step and a spread remain finite
SETTLED = 1e-3  # a step this short ends the search: a summit need not be exact to centre a rule
CHUNK = 1_500_000  # numbers that one batch may hold (12 MB)
FLOOR = 1e-37  # least probability to be seen, over a typical one: FACTORS of them do not underflow
FACTORS = 8  # probabilities multiplied before a logarithm is taken
DIFFERENCE = 1e-3  # step of numerical derivatives of a log prior in the log of its argument


@dataclass(frozen=True, slots=True)
class Inner:
    """An integral over the parameters of publication bias, cell by cell.

    Attributes
    ----------
    log_value : (c,) array
        Log of the likelihood with these parameters integrated out, relative to the likelihood without bias.
    mean : (c, q) array
        Posterior means of the q quantities that the report names (weights, or the coefficient).
    coarse : (c, d) array
        `log_value` with every second node left out, in each of the d directions.
    """

    log_value: FloatArray
    mean: FloatArray
    coarse: FloatArray


class Nuisance(Protocol):
    """What the quadrature asks of a publication-bias model."""

    def summit(self, mu: FloatArray, tau: FloatArray, start: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Approximate log integrals (c,), by Laplace's method, and the summits (c, d)."""
        ...

    def integral(self, mu: FloatArray, tau: FloatArray, start: FloatArray) -> Inner:
        """Integrals by quadrature around the summits that `start` leads to."""
        ...


@dataclass(frozen=True)
class Nothing:
    """No publication bias."""

    def summit(self, mu: FloatArray, tau: FloatArray, start: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Nothing to integrate."""
        return np.zeros(len(mu)), np.empty((len(mu), 0))

    def integral(self, mu: FloatArray, tau: FloatArray, start: FloatArray) -> Inner:
        """Nothing to integrate."""
        return Inner(np.zeros(len(mu)), np.empty((len(mu), 0)), np.empty((len(mu), 0)))


def product_rule(d: int) -> tuple[FloatArray, FloatArray]:
    """Nodes (n^d, d) in spreads around a summit, and the logs of their weights."""
    n = NODES[d]
    z = np.linspace(-REACH, REACH, n)
    log_weight = np.log(np.cosh(z)) + math.log(2 * REACH / (n - 1))
    nodes = np.stack(np.meshgrid(*[np.sinh(z)] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return nodes, sum(np.meshgrid(*[log_weight] * d, indexing="ij"), start=np.zeros(())).ravel()


def halved_logs(height: FloatArray, d: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log sums over the nodes (c, n^d) of a product rule, those without every second node (c, d), and probabilities."""
    top = height.max(axis=1, keepdims=True)
    mass = np.exp(height - top)
    total = mass.sum(axis=1)
    n = NODES[d]
    grid = mass.reshape(-1, *(n,) * d)
    odd = (n // 2) % 2  # keep the summit itself
    half = [2 * np.take(grid, range(odd, n, 2), axis=1 + axis).reshape(len(mass), -1).sum(axis=1) for axis in range(d)]
    log_total = top[:, 0] + np.log(total)
    with np.errstate(divide="ignore"):
        coarse = np.stack([top[:, 0] + np.log(part) for part in half], axis=1)
    return log_total, coarse, mass / total[:, None]


@dataclass(frozen=True)
class StepWeights:
    """Step weights whose falls and last weight are Dirichlet.

    With log ratios eta of the shares, every term of the log density is a times log(c . share) with c >= 0: a = alpha
    for the prior, the counts for the weights at the observed effects, -1 for the probabilities to be seen. The gradient
    of such a term is p - share with p_m = c_m share_m / (c . share), and its curvature is as simple.

    Attributes
    ----------
    selection : StepSelection
        Effects and steps.
    alpha : (J + 1,) array
        Dirichlet parameters.
    """

    selection: StepSelection
    alpha: FloatArray

    @property
    def d(self) -> int:
        """Free weights."""
        return len(self.alpha) - 1

    @cached_property
    def _below(self) -> FloatArray:
        """(J, J + 1) which shares add up to the weight of each interval beyond the first."""
        return np.triu(np.ones((self.d + 1, self.d + 1)))[1:]

    def _variance(self, tau: FloatArray) -> FloatArray:
        return self.selection.sei**2 + tau[:, None] ** 2

    def _chances(self, mu: FloatArray, tau: FloatArray) -> FloatArray:
        """(c, k, J + 1) coefficients of the shares in the probability to be seen."""
        found = self.selection.below(mu, self._variance(tau))
        return np.concatenate([found, np.ones((*found.shape[:2], 1))], axis=2)

    def _log_height(self, chances: FloatArray, eta: FloatArray) -> FloatArray:
        """Log density of eta (c, J), the likelihood of selection included."""
        shares = _softmax(eta)
        with np.errstate(divide="ignore"):
            prior = (self.alpha * np.log(shares)).sum(axis=1)
            counts = self.selection.counts
            seen = np.where(counts > 0, counts * np.log(weights_of(shares)), 0.0)[:, 1:].sum(axis=1)
            missed = np.log(np.einsum("ckm,cm->ck", chances, shares)).sum(axis=1)
        return np.asarray(prior + seen - missed)

    def _slopes(self, chances: FloatArray, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient (c, J) and curvature, minus the Hessian, (c, J, J)."""
        shares, counts = _softmax(eta), self.selection.counts[1:].astype(float)
        total = float(self.alpha.sum() + counts.sum() - chances.shape[1])
        seen = self._below * shares[:, None, :]  # (c, J, J + 1)
        seen /= np.maximum(seen.sum(axis=2, keepdims=True), np.finfo(float).tiny)
        missed = chances * shares[:, None, :]
        missed /= np.maximum(missed.sum(axis=2, keepdims=True), np.finfo(float).tiny)
        linear = np.einsum("j,cjm->cm", counts, seen) - missed.sum(axis=1)
        gradient = self.alpha + linear - total * shares
        square = np.einsum("j,cjm,cjn->cmn", counts, seen, seen) - np.swapaxes(missed, 1, 2) @ missed
        hessian = -square + total * shares[:, :, None] * shares[:, None, :]
        diagonal = np.arange(self.d + 1)
        hessian[:, diagonal, diagonal] += linear - total * shares
        return gradient[:, :-1], -hessian[:, :-1, :-1]

    def _climb(self, chances: FloatArray, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Summit, log height there and curvature, by damped Newton steps that only go up."""
        eta = eta.copy()
        height = self._log_height(chances, eta)
        active = np.arange(len(eta))
        for _ in range(NEWTON):
            gradient, curvature = self._slopes(chances[active], eta[active])
            step = _uphill(gradient, curvature)
            gain = np.full(len(active), -np.inf)
            scale = np.ones(len(active))
            for _ in range(12):
                worse = gain < 0
                if not worse.any():
                    break
                rows = active[worse]
                new = self._log_height(chances[rows], eta[rows] + scale[worse, None] * step[worse])
                gain[worse] = np.nan_to_num(new - height[rows], nan=-np.inf)
                scale[worse] = np.where(gain[worse] < 0, scale[worse] / 2, scale[worse])
            up = gain >= 0
            eta[active[up]] += scale[up, None] * step[up]
            height[active[up]] += gain[up]
            moved = np.abs(scale[:, None] * step).max(axis=1)
            active = active[up & (moved > SETTLED)]
            if len(active) == 0:
                break
        return eta, height, _positive(self._slopes(chances, eta)[1])

    def _constant(self) -> float:
        return float(special.gammaln(self.alpha.sum()) - special.gammaln(self.alpha).sum())

    def summit(self, mu: FloatArray, tau: FloatArray, start: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Laplace's approximation."""
        k, values, tops = len(self.selection.yi), [], []
        size = max(1, CHUNK // (4 * k * (self.d + 1)))
        for i in range(0, len(mu), size):
            part = slice(i, i + size)
            eta = np.zeros((len(mu[part]), self.d)) if start is None else start[part]
            eta, height, curvature = self._climb(self._chances(mu[part], tau[part]), eta)
            values.append(height + self.d / 2 * math.log(2 * math.pi) - 0.5 * np.linalg.slogdet(curvature)[1])
            tops.append(eta)
        return np.concatenate(values) + self._constant(), np.concatenate(tops)

    def integral(self, mu: FloatArray, tau: FloatArray, start: FloatArray) -> Inner:
        """Product rule around the summit of each cell."""
        nodes, log_weight = product_rule(self.d)
        k = len(self.selection.yi)
        size = max(1, CHUNK // (len(nodes) * (min(k, FACTORS) + 2 * self.d + 2)))
        parts = [
            self._integral(mu[i : i + size], tau[i : i + size], start[i : i + size], nodes, log_weight)
            for i in range(0, len(mu), size)
        ]
        return _joined(parts)

    def _integral(
        self, mu: FloatArray, tau: FloatArray, start: FloatArray, nodes: FloatArray, log_weight: FloatArray
    ) -> Inner:
        chances = self._chances(mu, tau)
        eta, _, curvature = self._climb(chances, start)
        typical = np.einsum("ckm,cm->ck", chances, _softmax(eta))  # in its units, products neither over- nor underflow
        chances = chances / typical[:, :, None]
        half = np.linalg.cholesky(curvature)  # curvature = half half', spread = inverse of half'
        spread = np.linalg.inv(np.swapaxes(half, 1, 2))
        at = np.concatenate([eta[:, :, None] + spread @ nodes.T, np.zeros((len(mu), 1, len(nodes)))], axis=1)
        at -= at.max(axis=1, keepdims=True)
        odds = np.exp(at)  # (c, J + 1, n): shares up to their sum
        total = odds.sum(axis=1)
        counts = self.selection.counts
        height = log_weight + np.einsum("m,cmn->cn", self.alpha, at)
        height -= (float(self.alpha.sum() + counts[1:].sum()) - chances.shape[1]) * np.log(total)
        tails = odds[:, ::-1].cumsum(axis=1)[:, ::-1]  # weights, up to the same sum
        for j in np.flatnonzero(counts[1:]) + 1:
            height += counts[j] * np.log(np.maximum(tails[:, j], np.finfo(float).tiny))
        for i in range(0, chances.shape[1], FACTORS):
            seen = np.maximum(chances[:, i : i + FACTORS] @ odds, FLOOR)
            height -= np.log(seen.prod(axis=1))
        log_det = np.log(np.abs(np.diagonal(spread, axis1=1, axis2=2))).sum(axis=1)
        value, coarse, mass = halved_logs(height, self.d)
        mean = np.einsum("cn,cmn->cm", mass / total, tails)
        shift = self._constant() + log_det - np.log(typical).sum(axis=1)
        return Inner(value + shift, mean, coarse + shift[:, None])


def _softmax(eta: FloatArray) -> FloatArray:
    """Shares (c, J + 1) from log ratios to the last."""
    full = np.concatenate([eta, np.zeros((len(eta), 1))], axis=1)
    odds = np.exp(full - full.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _positive(curvature: FloatArray) -> FloatArray:
    """Curvature matrices with eigenvalues of `FLAT` or more."""
    values, vectors = np.linalg.eigh(curvature)
    if values.min() >= FLAT:
        return curvature
    return np.asarray((vectors * np.maximum(values, FLAT)[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def _uphill(gradient: FloatArray, curvature: FloatArray) -> FloatArray:
    """Newton steps along the eigenvectors, uphill where the density is not yet concave, no longer than `STRIDE`."""
    values, vectors = np.linalg.eigh(curvature)
    along = np.einsum("cij,ci->cj", vectors, gradient) / np.maximum(np.abs(values), FLAT)
    step = np.einsum("cij,cj->ci", vectors, along)
    return np.asarray(step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / STRIDE))


def _joined(parts: list[Inner]) -> Inner:
    return Inner(
        np.concatenate([part.log_value for part in parts]),
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.coarse for part in parts]),
    )


@dataclass(frozen=True)
class Slope:
    """PET and PEESE: effects grow by a positive coefficient times the regressor.

    Attributes
    ----------
    yi, vi, regressor : (k,) arrays
        Effects, sampling variances, and what bias is proportional to.
    prior : Prior
        On the coefficient.
    """

    yi: FloatArray
    vi: FloatArray
    regressor: FloatArray
    prior: Prior

    def _parabola(self, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Linear and quadratic coefficient of the log-likelihood in the slope: B b - A b^2 / 2, (c,) each."""
        values, where = np.unique(tau, return_inverse=True)
        weight = 1 / (self.vi + values[:, None] ** 2)
        centre = float(np.mean(self.yi))
        A = weight @ self.regressor**2
        B = weight @ (self.regressor * (self.yi - centre))
        C = weight @ self.regressor
        return B[where] - (mu - centre) * C[where], A[where]

    def _log_prior(self, t: FloatArray) -> FloatArray:
        """Log prior density of the log of the slope."""
        return np.asarray(self.prior.log_density(np.exp(t)) + t)

    def _climb(self, B: FloatArray, A: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Summit in the log of the slope, and the curvature there."""
        e = DIFFERENCE
        for _ in range(NEWTON):
            low, here, high = self._log_prior(t - e), self._log_prior(t), self._log_prior(t + e)
            b = np.exp(t)
            gradient = (high - low) / (2 * e) + B * b - A * b**2
            curvature = -(high - 2 * here + low) / e**2 - B * b + 2 * A * b**2
            step = np.clip(gradient / np.maximum(np.abs(curvature), FLAT), -STRIDE, STRIDE)
            if float(np.abs(step).max(initial=0.0)) < SETTLED:
                break
            t = t + step
        return t, np.maximum(curvature, FLAT)

    def _start(self, B: FloatArray, A: FloatArray) -> FloatArray:
        """The likelihood's own best slope, or the prior's size where that is not positive."""
        scale = self.prior.scale if math.isfinite(self.prior.scale) else self.prior.reach / 2
        return np.log(np.where(A * scale * 1e-3 < B, np.minimum(B / A, 1e3 * scale), scale / 2))

    def summit(self, mu: FloatArray, tau: FloatArray, start: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Laplace's approximation."""
        B, A = self._parabola(mu, tau)
        t, curvature = self._climb(B, A, self._start(B, A) if start is None else start[:, 0])
        b = np.exp(t)
        return self._log_prior(t) + B * b - A * b**2 / 2 + 0.5 * np.log(2 * np.pi / curvature), t[:, None]

    def integral(self, mu: FloatArray, tau: FloatArray, start: FloatArray) -> Inner:
        """Trapezoid rule around the summit of each cell."""
        nodes, log_weight = product_rule(1)
        size = max(1, CHUNK // (4 * len(nodes)))
        parts = []
        for i in range(0, len(mu), size):
            B, A = self._parabola(mu[i : i + size], tau[i : i + size])
            t, curvature = self._climb(B, A, start[i : i + size, 0])
            spread = curvature[:, None] ** -0.5
            at = t[:, None] + spread * nodes[:, 0]
            b = np.exp(np.minimum(at, 300.0))  # e^300: far beyond where the prior has anything left
            height = self._log_prior(at) + B[:, None] * b - A[:, None] * b**2 / 2 + np.log(spread) + log_weight
            value, coarse, mass = halved_logs(height, 1)
            parts.append(Inner(value, (mass * b).sum(axis=1, keepdims=True), coarse))
        return _joined(parts)
