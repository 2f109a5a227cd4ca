"""The distributions of counts: binomial, Poisson, noncentral hypergeometric.

All three have the form f(y | eta) = exp(y eta - K(eta) + c(y)), eta the canonical parameter (logit, log rate, log odds
ratio), so that one likelihood serves them: it asks for K and its derivatives, which are the cumulants of the count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from catharsis.numerics import FloatArray, IntArray

LARGEST_EFFECT = 200.0  # log odds ratio beyond which every table is at its edge
REACH = (12.0, 40.0)  # standard deviations, and events more, beyond which a term is below 1e-30 of the largest


class Family(Protocol):
    """A distribution of the counts of k studies."""

    def cumulants(self, eta: FloatArray, order: int) -> list[FloatArray]:
        """K and its first `order` (2 to 4) derivatives; eta is (k,) or (k, q)."""
        ...

    def log_base(self, y: FloatArray) -> FloatArray:
        """(k,) the part c(y) that is free of eta."""
        ...

    def subset(self, rows: IntArray) -> Family:
        """The same for some of the studies."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Binomial:
    """Events among n people; eta is the logit of the risk.

    Attributes
    ----------
    n : (k,) array
        People.
    """

    n: FloatArray

    def cumulants(self, eta: FloatArray, order: int) -> list[FloatArray]:
        """K = n log(1 + exp(eta)) and its derivatives."""
        n = self.n if eta.ndim == 1 else self.n[:, None]
        p, q = special.expit(eta), special.expit(-eta)
        spread = n * p * q
        found = [n * np.logaddexp(0.0, eta), n * p, spread, spread * (q - p), spread * (1 - 6 * p * q)]
        return found[: order + 1]

    def log_base(self, y: FloatArray) -> FloatArray:
        """Log binomial coefficient."""
        return np.asarray(log_choose(self.n, y))

    def subset(self, rows: IntArray) -> Binomial:
        """The same for some of the studies."""
        return Binomial(self.n[rows])


@dataclass(frozen=True, slots=True)
class Poisson:
    """Events over time; eta is the log of the expected number."""

    def cumulants(self, eta: FloatArray, order: int) -> list[FloatArray]:
        """K = exp(eta), as are its derivatives."""
        with np.errstate(over="ignore"):
            return [np.exp(eta)] * (order + 1)

    def log_base(self, y: FloatArray) -> FloatArray:
        """-log y!."""
        return np.asarray(-special.gammaln(y + 1))

    def subset(self, rows: IntArray) -> Poisson:
        """The same for some of the studies."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Hypergeometric:
    """Events of group 1 given the margins of a 2 x 2 table; eta is the log odds ratio.

    The terms of all tables with these margins are kept as one flat array, study after study; a sum visits those near
    its largest term only.

    Attributes
    ----------
    n1, n2, m : (k,) arrays
        Margins: people in either group, events in both.
    y : (s,) array
        Possible events of group 1, all studies one after another.
    log_ways : (s,) array
        log C(n1, y) + log C(n2, m - y) - log C(n1 + n2, m).
    start : (k,) array
        Where each study begins.
    """

    n1: FloatArray
    n2: FloatArray
    m: FloatArray
    y: FloatArray
    log_ways: FloatArray
    start: IntArray

    def cumulants(self, eta: FloatArray, order: int) -> list[FloatArray]:
        """K = log sum_y ways(y) exp(y eta), and the cumulants of y."""
        if eta.ndim == 2:
            columns = [self.cumulants(eta[:, q], order) for q in range(eta.shape[1])]
            return [np.stack(parts, axis=1) for parts in zip(*columns, strict=True)]
        where, study, start = self._near(eta)
        y = self.y[where]
        terms = self.log_ways[where] + y * eta[study]
        top = np.maximum.reduceat(terms, start)
        share = np.exp(terms - top[study])
        total = np.add.reduceat(share, start)
        share /= total[study]
        mean = np.add.reduceat(share * y, start)
        away = y - mean[study]
        found = [top + np.log(total), mean]
        moment = share * away
        for _ in range(order - 1):
            moment = moment * away
            found.append(np.add.reduceat(moment, start))
        if order == 4:
            found[4] = found[4] - 3 * found[2] ** 2
        return found

    def _near(self, eta: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
        """Positions of the terms that matter, their studies, and where each study begins among them."""
        size = np.diff(np.append(self.start, len(self.y)))
        if size.max() <= 2 * REACH[1]:
            return np.arange(len(self.y)), np.repeat(np.arange(len(size)), size), self.start
        centre = expected_events(self.n1, self.n2, self.m, eta)
        with np.errstate(divide="ignore"):
            sd = (1 / centre + 1 / (self.n1 - centre) + 1 / (self.m - centre) + 1 / (self.n2 - self.m + centre)) ** -0.5
        reach = np.where(np.isfinite(sd), REACH[0] * sd, 0.0) + REACH[1]
        place = centre - self.y[self.start]
        first = np.clip(np.floor(place - reach), 0, size - 1).astype(np.int64)
        last = np.clip(np.ceil(place + reach), 0, size - 1).astype(np.int64)
        count = last - first + 1
        start = np.cumsum(count) - count
        study = np.repeat(np.arange(len(size)), count)
        return (self.start + first - start)[study] + np.arange(int(count.sum())), study, start

    def log_base(self, y: FloatArray) -> FloatArray:
        """Log probability of y without an effect."""
        return np.asarray(self.log_ways[self.start + np.round(y - self.y[self.start]).astype(np.int64)])

    def subset(self, rows: IntArray) -> Hypergeometric:
        """The same for some of the studies."""
        size = np.diff(np.append(self.start, len(self.y)))[rows]
        begin = np.cumsum(size) - size
        study = np.repeat(np.arange(len(rows)), size)
        terms = self.start[rows][study] + np.arange(int(size.sum())) - begin[study]
        return Hypergeometric(self.n1[rows], self.n2[rows], self.m[rows], self.y[terms], self.log_ways[terms], begin)


def hypergeometric(n1: FloatArray, n2: FloatArray, m: FloatArray) -> Hypergeometric:
    """The noncentral hypergeometric distribution of tables with n1 and n2 people and m events.

    Parameters
    ----------
    n1, n2, m : (k,) arrays
        Whole numbers.

    Examples
    --------
    >>> family = hypergeometric(np.array([3.0]), np.array([3.0]), np.array([2.0]))
    >>> [float(value[0].round(4)) for value in family.cumulants(np.zeros(1), 2)[1:]]
    [1.0, 0.4]
    """
    low, high = np.maximum(0, m - n2), np.minimum(n1, m)
    size = np.round(high - low).astype(np.int64) + 1
    start = np.cumsum(size) - size
    study = np.repeat(np.arange(len(size)), size)
    y = low[study] + np.arange(int(size.sum())) - start[study]
    ways = log_choose(n1[study], y) + log_choose(n2[study], m[study] - y) - log_choose(n1 + n2, m)[study]
    return Hypergeometric(n1, n2, m, y, ways, start)


def log_choose(n: FloatArray, y: FloatArray) -> FloatArray:
    """Log binomial coefficient, also between whole numbers."""
    return np.asarray(special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1))


def expected_events(n1: FloatArray, n2: FloatArray, m: FloatArray, log_odds_ratio: FloatArray | float) -> FloatArray:
    """Events in group 1 at which a table with these margins has the given odds ratio.

    The root of A (n2 - m + A) = r (n1 - A) (m - A) that lies within the margins, by the form of the quadratic formula
    that does not cancel.

    Examples
    --------
    >>> expected_events(np.array([10.0]), np.array([10.0]), np.array([8.0]), 0.0).tolist()
    [4.0]
    """
    r = np.exp(np.clip(log_odds_ratio, -LARGEST_EFFECT, LARGEST_EFFECT))
    b = n2 - m + r * (n1 + m)
    root = np.sqrt(np.maximum(b**2 + 4 * (1 - r) * r * n1 * m, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(b > 0, 2 * r * n1 * m / (b + root), (root - b) / (2 * np.where(r == 1, 1.0, 1 - r)))
    return np.asarray(np.clip(found, np.maximum(0, m - n2), np.minimum(n1, m)))
