"""Weighted least squares, with the traces that the heterogeneity estimators need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.numerics import FloatArray


@dataclass(frozen=True, slots=True)
class Weighted:
    """Weighted least squares with weights w.

    Attributes
    ----------
    beta : (p,) array
    cov : (p, p) array
        (X'WX)^-1.
    basis : (k, p) array
        Orthonormal basis of W^1/2 X; with `half` = W^1/2 the projection matrix is
        P = W^1/2 (I - basis basis') W^1/2 = W - WX (X'WX)^-1 X'W.
    rss : float
        Sum of w r^2 = y'Py: Cochran's Q at these weights.
    trace, trace2 : float
        tr(P) and tr(PP).
    log_det_cov : float
        log|(X'WX)^-1|.
    """

    beta: FloatArray
    cov: FloatArray
    basis: FloatArray
    residual: FloatArray
    rss: float
    trace: float
    trace2: float
    log_det_cov: float


def weighted(yi: FloatArray, wi: FloatArray, X: FloatArray) -> Weighted:
    """Weighted least squares of yi (k,) on X (k, p) with weights wi (k,), all in O(k p^2)."""
    half = np.sqrt(wi)
    # QR, not normal equations: a raw year among the moderators would cost half of the digits
    Q, R = np.linalg.qr(half[:, None] * X)
    beta = np.linalg.solve(R, Q.T @ (half * yi))
    inverse = np.linalg.inv(R)
    residual = yi - X @ beta
    free = 1 - np.einsum("ij,ij->i", Q, Q)
    return Weighted(
        beta, inverse @ inverse.T, Q, residual, float(wi @ residual**2), float(wi @ free), squared_trace(wi, Q),
        -2 * float(np.log(np.abs(np.diag(R))).sum()),
    )  # fmt: skip


def squared_trace(d: FloatArray, Q: FloatArray) -> float:
    """tr(SS) of S = D^1/2 (I - QQ') D^1/2 for a diagonal d (k,) and orthonormal columns Q (k, p)."""
    free = 1 - np.einsum("ij,ij->i", Q, Q)
    return float(d**2 @ (2 * free - 1) + np.sum((Q.T @ (d[:, None] * Q)) ** 2))
