"""What publication bias does to effects: steps in p that decide what is seen, and effects that grow with their error.

Under step weights, a result with p-value p is seen with relative probability w(p), constant between steps and falling
from 1 at the most significant end. Such a w is a sum of thresholds: with probability share_j only results below step j
are seen, with the last share everything is. So w(p) = share_J + sum_j share_j [p <= step_j], and the probability that
a study is seen at all is the same sum over its probabilities to come out below each step: terms that are all positive,
which lose no digits. Shares that are Dirichlet make weights that are cumulative Dirichlet [@maier2023].

Throughout, effects point in the direction that one-sided selection favours; the caller turns the signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from catharsis.numerics import FloatArray, IntArray

LOG_2PI = float(np.log(2 * np.pi))
CHUNK = 2_000_000  # numbers that one batch may hold (16 MB)


@dataclass(frozen=True)
class StepSelection:
    """Step weights on given effects.

    Attributes
    ----------
    yi, sei : (k,) arrays
        Effects and standard errors, analysis scale.
    steps : (J,) array
        p-values at which the weight falls, rising, between 0 and 1.
    sides : int
        1: p = 1 - Phi(y / se); 2: p = 2 (1 - Phi(|y| / se)).

    References
    ----------
    [@hedges1992; @vevea1995; @maier2023]

    Examples
    --------
    >>> steps = StepSelection(np.array([0.5, 0.1]), np.array([0.2, 0.1]), np.array([0.025, 0.5]), 1)
    >>> steps.counts.tolist(), steps.cuts.round(3).tolist()
    ([1, 1, 0], [[0.392, 0.0], [0.196, 0.0]])
    """

    yi: FloatArray
    sei: FloatArray
    steps: FloatArray
    sides: int

    @cached_property
    def cuts(self) -> FloatArray:
        """(k, J) effects that lie exactly on the steps; those beyond (on either side, if two-sided) are below in p."""
        return np.asarray(self.sei[:, None] * (0.0 - special.ndtri(self.steps / self.sides)))

    @cached_property
    def interval(self) -> IntArray:
        """(k,) which interval each p-value falls into, 0 the most significant; a p on a step lies below it."""
        size = np.abs(self.yi) if self.sides == 2 else self.yi
        return np.asarray((size[:, None] < self.cuts).sum(axis=1))

    @cached_property
    def counts(self) -> IntArray:
        """(J + 1,) effects in each interval."""
        return np.bincount(self.interval, minlength=len(self.steps) + 1)

    def below(self, mu: FloatArray, variance: FloatArray) -> FloatArray:
        """Probability that a study's p-value comes out below each step.

        Parameters
        ----------
        mu : array
            (n,) or (n, 1): averages of the true effects.
        variance : (n, k) array
            Variances of the effects before selection, v_i + tau^2.

        Returns
        -------
        (n, k, J) array
        """
        sd = np.sqrt(variance)[:, :, None]
        centre = np.reshape(mu, (-1, 1, 1))
        found = special.ndtr((centre - self.cuts) / sd)
        if self.sides == 2:
            found += special.ndtr((-centre - self.cuts) / sd)
        return np.asarray(found)

    def log_seen(self, mu: FloatArray, variance: FloatArray, shares: FloatArray) -> FloatArray:
        """Log of the weights at the observed effects over the probabilities to be seen, summed over studies.

        Parameters
        ----------
        mu : (n,) array
            Averages of the true effects.
        variance : (n, k) array
            v_i + tau^2.
        shares : (n, J + 1) array
            Shares of the thresholds, the last the share of "everything is seen"; they sum to 1.

        Returns
        -------
        (n,) array
            What selection adds to the log-likelihood.
        """
        weights = weights_of(shares)
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # weight 0: fatal where effects were seen, nothing elsewhere
            observed = np.where(self.counts > 0, self.counts * np.log(weights), 0.0).sum(axis=1)
            seen = np.einsum("nkj,nj->nk", self.below(mu, variance), shares[:, :-1]) + shares[:, -1:]
            return np.asarray(observed - np.log(seen).sum(axis=1))


def weights_of(shares: FloatArray) -> FloatArray:
    """Weights of the intervals between steps, the most significant (weight 1) first, from shares (..., J + 1).

    Examples
    --------
    >>> weights_of(np.array([0.5, 0.3, 0.2])).round(6).tolist()
    [1.0, 0.5, 0.2]
    """
    return np.asarray(np.cumsum(shares[..., ::-1], axis=-1)[..., ::-1])


def small_study_regressor(kind: str, vi: FloatArray) -> FloatArray:
    """What bias is proportional to: the standard error in "pet", the sampling variance in "peese".

    References
    ----------
    [@stanley2014]
    """
    return np.sqrt(vi) if kind == "pet" else vi


def normal_log_likelihood(yi: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Sum over studies of log N(y_i; mean_i, variance_i); mean and variance (n, k), the result (n,)."""
    return np.asarray(-0.5 * (((yi - mean) ** 2 / variance) + np.log(variance) + LOG_2PI).sum(axis=-1))
