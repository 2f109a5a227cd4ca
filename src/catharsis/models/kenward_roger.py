"""Kenward-Roger: covariance and degrees of freedom of the coefficients that allow for the estimation of tau^2.

Kenward and Roger's expansion for y ~ N(X b, V + tau^2 I) fitted by REML. The covariance has one parameter and is
linear in it, so the second derivatives of their formula vanish; the variance of tau^2 is the inverse of the expected
information, 2 / tr(PP). For one combination of coefficients their degrees of freedom take Satterthwaite's form and
the scale factor is 1.

Two versions of the degrees of freedom are in use, equal to first order. Kenward and Roger put the asymptotic
covariance (X'WX)^-1 into the moments of the statistic; Partlett and Riley, for the average effect of a meta-analysis,
the adjusted one, which is larger, hence fewer degrees of freedom. Meta-analysts compare with the latter, so it is used
here, for combinations of coefficients as well. With equal sampling variances both give k - p, which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.errors import ModelError
from catharsis.models.wald import Wald
from catharsis.models.weighted_least_squares import weighted
from catharsis.numerics import FloatArray, f_upper


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """The adjustment of one fit.

    Attributes
    ----------
    cov : (p, p) array
        Adjusted covariance of the coefficients.
    slope : (p, p) array
        cov X'W^2X cov: the derivative of the covariance in tau^2, at its adjusted value.
    variance : float
        Of the estimate of tau^2.
    """

    cov: FloatArray
    slope: FloatArray
    variance: float

    def df(self, row: FloatArray) -> float:
        """Degrees of freedom of one combination `row` (p,) of the coefficients; inf when it does not feel tau^2."""
        own = float(row @ self.cov @ row)
        moved = float(row @ self.slope @ row)
        return 2 * own**2 / (self.variance * moved**2) if moved != 0 else float("inf")

    def wald(self, estimate: FloatArray, chosen: FloatArray) -> Wald:
        """Joint F test that the combinations `chosen` (q, p) of the coefficients, `estimate` (q,), are zero."""
        q = len(chosen)
        cov = chosen @ self.cov @ chosen.T
        ratio = np.linalg.solve(cov, chosen @ self.slope @ chosen.T)
        a1, a2 = self.variance * np.trace(ratio) ** 2, self.variance * np.trace(ratio @ ratio)
        statistic = float(estimate @ np.linalg.solve(cov, estimate)) / q
        if q == 1:
            df = self.df(chosen[0])
            return Wald(statistic, 1, df, f_upper(statistic, 1, df))
        b = (a1 + 6 * a2) / (2 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
        expected = 1 / (1 - a2 / q)
        variance = 2 / q * (1 + c[0] * b) / ((1 - c[1] * b) ** 2 * (1 - c[2] * b))
        if not (expected > 0 and variance > 0):
            return Wald(float("nan"), q, float("nan"), float("nan"))
        ratio_of_moments = variance / (2 * expected**2)
        df = float(4 + (q + 2) / (q * ratio_of_moments - 1))
        if not df > 2:
            return Wald(float("nan"), q, df, float("nan"))
        statistic *= df / (expected * (df - 2))
        return Wald(float(statistic), q, df, f_upper(float(statistic), q, df))


def kenward_roger(vi: FloatArray, X: FloatArray, tau2: float) -> KenwardRoger:
    """The Kenward-Roger adjustment at a REML estimate of tau^2.

    Parameters
    ----------
    vi : (k,) array
        Sampling variances.
    X : (k, p) array
        Moderators, intercept included.
    tau2 : float
        The REML estimate, squared units.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    ModelError
        If k <= p.

    References
    ----------
    [@kenward1997; @partlett2017]

    Examples
    --------
    >>> found = kenward_roger(np.array([0.02, 0.03, 0.05]), np.ones((3, 1)), 0.1225)
    >>> round(float(found.cov[0, 0]), 4), round(found.df(np.ones(1)), 3)
    (0.0522, 1.924)
    """
    k, p = X.shape
    if k <= p:
        raise ModelError(f"Kenward-Roger needs more effects than coefficients; here k = {k} and p = {p}")
    wi = 1 / (vi + tau2)
    Q, R = np.linalg.qr(np.sqrt(wi)[:, None] * X)
    variance = 2 / weighted(np.zeros(k), wi, X).trace2
    inverse = np.linalg.inv(R)
    first = Q.T @ (wi[:, None] * Q)  # minus the derivative of X'WX, where Phi is the identity
    second = Q.T @ (wi[:, None] ** 2 * Q)
    larger = np.eye(p) + 2 * variance * (second - first @ first)
    cov, slope = (inverse @ inner @ inverse.T for inner in (larger, larger @ first @ larger))
    return KenwardRoger(cov, slope, float(variance))
