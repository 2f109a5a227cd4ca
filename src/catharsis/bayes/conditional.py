"""The Gaussian posterior of the coefficients given every spread: least squares on white rows, priors as more rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.likelihood.marginal import LOG_2PI
from catharsis.numerics import FloatArray


@dataclass(frozen=True, slots=True)
class Conditional:
    """The Gaussian posterior of b at each theta, and the log marginal likelihood there.

    Attributes
    ----------
    mean : (g, p) array
    cov : (g, p, p) array
    log_likelihood : (g,) array
        log p(y | theta), b integrated out; constants included where the prior on b is proper.
    log_peak : (g,) array
        log p(y, b | theta) at its highest b, which is `mean`.
    """

    mean: FloatArray
    cov: FloatArray
    log_likelihood: FloatArray
    log_peak: FloatArray


def regress(rows: FloatArray, log_det: FloatArray, prior_mean: FloatArray, precision: FloatArray) -> Conditional:
    """Posterior of b from white rows and independent normal priors.

    Parameters
    ----------
    rows : (g, k, p + 1) array
        [X y] whitened.
    log_det : (g,) array
        Log determinant of the covariance of y.
    prior_mean : (p,) array
        Prior means.
    precision : (p,) or (g, p) array
        Prior precisions; 0 for a flat prior.

    References
    ----------
    [@roever2020]
    """
    g, k, p = rows.shape[0], rows.shape[1], rows.shape[2] - 1
    precision = np.broadcast_to(precision, (g, p))
    root = np.sqrt(precision)
    # a normal prior is p more observations; QR keeps the digits that normal equations square away
    observed = np.empty((g, k + p, p + 1))
    observed[:, :k] = rows
    observed[:, k:, :p] = root[:, :, None] * np.eye(p)
    observed[:, k:, p] = root * prior_mean
    R = np.asarray(np.linalg.qr(observed, mode="r"))
    inverse = np.linalg.inv(R[:, :p, :p])
    proper = precision[0] > 0
    total = log_det - np.log(precision[:, proper]).sum(axis=1)
    information = 2 * np.log(np.abs(np.diagonal(R, axis1=1, axis2=2)[:, :p])).sum(axis=1)
    constant = (k - int((~proper).sum())) * LOG_2PI
    return Conditional(
        np.einsum("gij,gj->gi", inverse, R[:, :p, p]),
        np.einsum("gij,glj->gil", inverse, inverse),
        -0.5 * (total + information + R[:, p, p] ** 2 + constant),
        -0.5 * (total + R[:, p, p] ** 2 + (k + int(proper.sum())) * LOG_2PI),
    )
