"""How the random effects of an `inner | outer` term covary: G(theta), and its slopes along smooth coordinates.

Effects of different outer levels are independent. Effects of one outer level covary through their inner levels
(outcomes, times, places) or through the covariates that a random slope belongs to. Each structure has natural
parameters, variances first and correlations after them, which are what a reader sees and what R reports, and
coordinates along which the likelihood is climbed: standard deviations in place of variances, angles in place of
bounded correlations. An unstructured matrix has the spherical form of Pinheiro and Bates (1996, Statistics and
Computing 6, 289-296), in which every point of the space is a covariance matrix. A boundary (a variance of zero, a
correlation of one) is an ordinary point of that space: it is reached, not approached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catharsis.errors import ModelError
from catharsis.numerics import FloatArray, IntArray

Kind = Literal[
    "CS", "HCS", "UN", "DIAG", "ID", "AR", "HAR", "CAR", "SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH", "GEN", "GDIAG"
]
KINDS: tuple[Kind, ...] = (
    "CS", "HCS", "UN", "DIAG", "ID", "AR", "HAR", "CAR", "SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH", "GEN", "GDIAG",
)  # fmt: skip
SPATIAL = frozenset({"SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH"})
SLOPES = frozenset({"GEN", "GDIAG"})
UNCORRELATED = frozenset({"ID", "DIAG", "GDIAG"})
UNSTRUCTURED = frozenset({"UN", "GEN"})
ONE_VARIANCE = frozenset({"CS", "ID", "AR", "CAR"}) | SPATIAL


@dataclass(frozen=True, slots=True)
class Structure:
    """The covariance of one `inner | outer` term.

    Attributes
    ----------
    name : str
        The term as written, "outcome | trial".
    kind : str
        One of `KINDS`.
    levels : tuple of str
        (q,) inner levels, or the covariates of random slopes.
    symbols : tuple of str
        What variances and correlations are called: tau2 and rho, or gamma2 and phi.
    size : (q,) array
        Typical size of each covariate (root mean square); ones for factors.
    reach : float
        Typical distance, for spatial kinds.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...]
    symbols: tuple[str, str]
    size: FloatArray
    reach: float

    @property
    def variances(self) -> int:
        """Number of variances."""
        return 1 if self.kind in ONE_VARIANCE else len(self.levels)

    @property
    def correlations(self) -> int:
        """Number of correlations (or, for spatial kinds, ranges)."""
        if self.kind in UNCORRELATED:
            return 0
        return len(pairs(len(self.levels))) if self.kind in UNSTRUCTURED else 1

    @property
    def parameters(self) -> int:
        """Number of natural parameters."""
        return self.variances + self.correlations

    @property
    def names(self) -> tuple[str, ...]:
        """(m,) names of the natural parameters."""
        variance, correlation = self.symbols
        first = (variance,) if self.variances == 1 and self.kind in ONE_VARIANCE else tuple(
            f"{variance}[{level}]" for level in self.levels
        )  # fmt: skip
        if self.kind in UNSTRUCTURED:
            return first + tuple(
                f"{correlation}[{self.levels[j]},{self.levels[i]}]" for i, j in pairs(len(self.levels))
            )
        return first + (correlation,) * self.correlations

    def bounds(self) -> tuple[float, float]:
        """Between which values a correlation lies: those that leave G positive semi-definite."""
        if self.kind in ("CS", "HCS"):
            return (-1.0 / (len(self.levels) - 1) if len(self.levels) > 1 else 0.0), 1.0
        return {"AR": (-1.0, 1.0), "HAR": (-1.0, 1.0), "CAR": (0.0, 1.0)}.get(
            self.kind, (0.0, np.inf) if self.kind in SPATIAL else (-1.0, 1.0)
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Where a structure acts within the blocks of one size.

    Attributes
    ----------
    structure : Structure
        The term.
    first : int
        Position of its first parameter in theta.
    together : (b, n, n) array
        One where two effects share an outer level.
    inner : (b, n) array
        Inner level of each effect.
    distance : (b, n, n) array or None
        Times or places apart, or numbers of levels apart.
    slopes : (b, n, q) array or None
        Covariates of random slopes.
    """

    structure: Structure
    first: int
    together: FloatArray
    inner: IntArray
    distance: FloatArray | None
    slopes: FloatArray | None

    def part(self, theta: FloatArray) -> FloatArray:
        """The structure's own parameters."""
        return theta[self.first : self.first + self.structure.parameters]


def _rows(angles: FloatArray, q: int) -> list[FloatArray]:
    """Angles of each row of L but the first, from the column by column order of `pairs`."""
    place = np.zeros((q, q), dtype=np.int64)
    for n, pair in enumerate(pairs(q)):
        place[pair] = n
    return [angles[place[i, :i]] for i in range(1, q)]


def pairs(q: int) -> list[tuple[int, int]]:
    """Pairs of levels (row, column) of the lower triangle, column by column, as R orders correlations.

    Examples
    --------
    >>> pairs(3)
    [(1, 0), (2, 0), (2, 1)]
    """
    return [(i, j) for j in range(q) for i in range(j + 1, q)]


def level_covariance(structure: Structure, theta: FloatArray) -> FloatArray:
    """G over the inner levels (or covariates), (q, q), for kinds that have a finite number of levels."""
    q = len(structure.levels)
    sd = np.sqrt(np.broadcast_to(theta[: structure.variances], (q,)))
    R = np.eye(q)
    if structure.kind in UNSTRUCTURED:
        for value, (i, j) in zip(theta[structure.variances :], pairs(q), strict=True):
            R[i, j] = R[j, i] = value
    elif structure.correlations:
        apart = np.abs(np.subtract.outer(np.arange(q), np.arange(q))).astype(float)
        R = _decay(structure.kind, apart, float(theta[-1]))[0]
    return np.asarray(R * np.outer(sd, sd))


def term_covariance(pattern: Pattern, theta: FloatArray) -> FloatArray:
    """Z G Z' of a term in each block, (b, n, n), at its natural parameters `theta` (m,)."""
    structure = pattern.structure
    if not np.any(theta[: structure.variances]):
        return np.zeros_like(pattern.together)
    if structure.kind in UNSTRUCTURED:
        return _lifted(pattern, level_covariance(structure, theta))
    if structure.kind == "GDIAG":
        return _lifted(pattern, np.diag(theta))
    sd = _sd(pattern, np.sqrt(theta[: structure.variances]))
    return np.asarray(_shape(pattern, theta)[0] * sd[:, :, None] * sd[:, None, :])


def _lifted(pattern: Pattern, G: FloatArray) -> FloatArray:
    """A (q, q) matrix between levels or covariates, as one between effects."""
    if pattern.slopes is None:
        found = G[pattern.inner[:, :, None], pattern.inner[:, None, :]]
    else:
        found = pattern.slopes @ G @ np.swapaxes(pattern.slopes, 1, 2)
    return np.asarray(found * pattern.together)


def _sd(pattern: Pattern, root: FloatArray) -> FloatArray:
    """(b, n) standard deviation of each effect."""
    return np.asarray(root[pattern.inner] if pattern.structure.kind not in ONE_VARIANCE else
                      np.broadcast_to(root[0], pattern.inner.shape))  # fmt: skip


def _shape(pattern: Pattern, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlations (b, n, n) of a term without a matrix of its own, and their slope in the one correlation."""
    kind = pattern.structure.kind
    if kind in UNCORRELATED:
        same = (pattern.inner[:, :, None] == pattern.inner[:, None, :]) * pattern.together
        return same, np.zeros_like(same)
    apart = pattern.distance
    if apart is None:
        apart = np.abs(pattern.inner[:, :, None] - pattern.inner[:, None, :]).astype(float)
    value, slope = _decay(kind, apart, float(theta[-1]))
    return value * pattern.together, slope * pattern.together


def _decay(kind: Kind, apart: FloatArray, rho: float) -> tuple[FloatArray, FloatArray]:
    """Correlation at a distance, and its slope in rho; spatial kinds as in Pinheiro and Bates (2000)."""
    far = apart > 0
    match kind:
        case "CS" | "HCS":
            return np.where(far, rho, 1.0), far.astype(float)
        case "AR" | "HAR" | "CAR":
            power: FloatArray = np.power(rho, np.where(far, apart, 1.0))
            slope: FloatArray = np.where(apart == 1, 1.0, 0.0)
            if rho:
                slope = np.where(far, apart * np.power(rho, np.where(far, apart - 1, 1.0)), 0.0)
            return np.asarray(np.where(far, power, 1.0)), slope
    if rho <= 0:
        return (~far).astype(float), np.zeros_like(apart)
    ratio = apart / rho
    near = ratio < 1
    match kind:
        case "SPEXP":
            value, steep = np.exp(-ratio), ratio * np.exp(-ratio)
        case "SPGAU":
            value, steep = np.exp(-(ratio**2)), 2 * ratio**2 * np.exp(-(ratio**2))
        case "SPLIN":
            value, steep = near * (1 - ratio), near * ratio
        case "SPRAT":
            value, steep = 1 / (1 + ratio**2), 2 * ratio**2 / (1 + ratio**2) ** 2
        case _:
            value, steep = near * (1 - 1.5 * ratio + 0.5 * ratio**3), near * 1.5 * (ratio - ratio**3)
    return value, steep / rho


# -- coordinates ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The space in which a structure's likelihood is climbed.

    Attributes
    ----------
    structure : Structure
        The term.
    given : (m,) array
        Natural parameters held at a value, nan where free.
    order : tuple of int
        Unstructured: the order in which levels enter the factor L of the correlation matrix R = L L'.
    direct : bool
        Unstructured: each correlation has its own angle, and a matrix that is not positive definite is refused.
    """

    structure: Structure
    given: FloatArray
    order: tuple[int, ...]
    direct: bool

    def natural(self, at: FloatArray) -> FloatArray:
        """Natural parameters (m,) of a point."""
        structure, v = self.structure, self.structure.variances
        theta = np.empty(structure.parameters)
        sd = at[:v] / structure.size[:v]
        theta[:v] = sd**2
        if structure.kind in UNSTRUCTURED:
            R = self.correlation(at[v:])
            if R is None:
                raise ModelError("the correlations do not form a correlation matrix")
            sign = np.where(sd < 0, -1.0, 1.0)
            theta[v:] = [np.clip(sign[i] * sign[j] * R[i, j], -1, 1) for i, j in pairs(len(structure.levels))]
        elif structure.correlations:
            theta[v] = self._bounded(float(at[v]))[0]
        return np.where(np.isnan(self.given), theta, self.given)

    def point(self, theta: FloatArray) -> FloatArray:
        """A point with natural parameters `theta`; held values take the place of those given."""
        structure, v = self.structure, self.structure.variances
        theta = np.where(np.isnan(self.given), theta, self.given)
        at = np.empty(structure.parameters)
        at[:v] = np.sqrt(theta[:v]) * structure.size[:v]
        if structure.kind in UNSTRUCTURED:
            at[v:] = self._angles(theta[v:])
            still = ~free_coordinates(self)[v:]
            if still.any() and not self.direct:  # held correlations are exact, whatever the others had to give way
                order, q = self.order, len(structure.levels)
                held = dict(zip(pairs(q), self.given[v:], strict=True))
                for n, (i, j) in enumerate(pairs(q)):
                    if still[n]:
                        a, b = order[i], order[j]
                        at[v + n] = np.arccos(np.clip(held[max(a, b), min(a, b)], -1, 1))
        elif structure.correlations:
            low, high = structure.bounds()
            inside = np.clip((theta[v] - low) / (high - low), 0, 1) if np.isfinite(high) and high > low else 0.0
            at[v] = (
                2 * np.arcsin(np.sqrt(inside))
                if np.isfinite(high)
                else max(float(np.log(np.maximum(theta[v] / structure.reach, 1e-20))), -50.0)
            )
        return at

    def lower(self) -> FloatArray:
        """Bounds of the coordinates: standard deviations are not negative, unless a change of sign is an angle's."""
        low = np.full(self.structure.parameters, -np.inf)
        if self.structure.kind not in UNSTRUCTURED or self.direct or not np.isnan(self.given).all():
            low[: self.structure.variances] = 0.0
        return low

    def level_slopes(self, at: FloatArray) -> FloatArray | None:
        """Slopes of an unstructured G along each coordinate, (m, q, q), for `slopes` of every pattern."""
        return self._matrix_slopes(at) if self.structure.kind in UNSTRUCTURED else None

    def slopes(self, pattern: Pattern, at: FloatArray, dG: FloatArray | None = None) -> FloatArray:
        """Slopes of Z G Z' along each coordinate, (m, b, n, n); `dG` saves the `level_slopes` anew."""
        structure, v = self.structure, self.structure.variances
        size = structure.size
        if structure.kind in UNSTRUCTURED:
            dG = self._matrix_slopes(at) if dG is None else dG
            if pattern.slopes is None:
                return dG[:, pattern.inner[:, :, None], pattern.inner[:, None, :]] * pattern.together
            return np.array([_lifted(pattern, slope) for slope in dG])
        if structure.kind == "GDIAG":
            unit = np.eye(len(structure.levels))
            return np.array(
                [_lifted(pattern, np.outer(e, e) * 2 * s / c**2) for e, s, c in zip(unit, at, size, strict=True)]
            )
        theta = self.natural(at)
        shape, slope = _shape(pattern, theta)
        sd = _sd(pattern, at[:v])
        product = sd[:, :, None] * sd[:, None, :]
        found = []
        for level in range(v):
            one = np.ones_like(sd) if structure.kind in ONE_VARIANCE else (pattern.inner == level).astype(float)
            found.append(shape * (one[:, :, None] * sd[:, None, :] + sd[:, :, None] * one[:, None, :]))
        if structure.correlations:
            found.append(slope * product * self._bounded(float(at[v]))[1])
        return np.array(found)

    def _bounded(self, angle: float) -> tuple[float, float]:
        """A single correlation and its slope: low + (high - low) sin^2(angle / 2), or the exponential of a range."""
        low, high = self.structure.bounds()
        if not np.isfinite(high):
            value = self.structure.reach * float(np.exp(np.clip(angle, -50, 50)))
            return value, value
        return low + (high - low) * float(np.sin(angle / 2) ** 2), (high - low) * float(np.sin(angle)) / 2

    # an unstructured correlation matrix, R = L L' with rows of L on the unit sphere

    def correlation(self, angles: FloatArray) -> FloatArray | None:
        """(q, q) correlation matrix; None when `direct` angles do not make one."""
        q = len(self.structure.levels)
        if self.direct:
            R = np.eye(q)
            for angle, (i, j) in zip(angles, pairs(q), strict=True):
                R[i, j] = R[j, i] = np.cos(angle)
            return R if np.linalg.eigvalsh(R)[0] > 0 else None
        L = self._factor(angles)
        back = np.argsort(self.order)
        return np.asarray((L @ L.T)[np.ix_(back, back)])

    def _factor(self, angles: FloatArray) -> FloatArray:
        """L in the order of `order`: rows of the unit sphere in spherical coordinates."""
        q = len(self.structure.levels)
        L = np.zeros((q, q))
        L[0, 0] = 1.0
        for i, row in enumerate(_rows(angles, q), start=1):
            L[i, : i + 1] = np.append(np.cos(row), 1.0) * np.append(1.0, np.cumprod(np.sin(row)))
        return L

    def _factor_slopes(self, angles: FloatArray) -> FloatArray:
        """(angles, q, q): slopes of L."""
        q = len(self.structure.levels)
        at = {pair: n for n, pair in enumerate(pairs(q))}
        found = np.zeros((len(angles), q, q))
        for i, row in enumerate(_rows(angles, q), start=1):
            cos, sin = np.append(np.cos(row), 1.0), np.sin(row)
            before = np.append(1.0, np.cumprod(sin))
            for m in range(i):
                found[at[i, m], i, m] = -sin[m] * before[m]
                after = np.append(1.0, np.cumprod(sin[m + 1 :]))
                found[at[i, m], i, m + 1 : i + 1] = cos[m] * before[m] * after * cos[m + 1 :]
        return found

    def _matrix_slopes(self, at: FloatArray) -> FloatArray:
        """Slopes of G (m, q, q) along each coordinate of an unstructured matrix."""
        v, q = self.structure.variances, len(self.structure.levels)
        sd = at[:v] / self.structure.size
        R = self.correlation(at[v:])
        if R is None:
            raise ModelError("the correlations do not form a correlation matrix")
        unit = np.diag(1 / self.structure.size)
        by_sd = R * (unit[:, :, None] * sd + sd[:, None] * unit[:, None, :])
        if self.direct:
            dR = np.zeros((len(at) - v, q, q))
            for n, (angle, (i, j)) in enumerate(zip(at[v:], pairs(q), strict=True)):
                dR[n, i, j] = dR[n, j, i] = -np.sin(angle)
        else:
            half = self._factor_slopes(at[v:]) @ self._factor(at[v:]).T
            back = np.argsort(self.order)
            dR = (half + np.swapaxes(half, 1, 2))[:, back][:, :, back]
        return np.concatenate([by_sd, dR * np.outer(sd, sd)])

    def _angles(self, rho: FloatArray) -> FloatArray:
        """Angles of a correlation matrix."""
        q = len(self.structure.levels)
        if self.direct:
            return np.asarray(np.arccos(np.clip(rho, -1, 1)))
        R = np.eye(q)
        for value, (i, j) in zip(rho, pairs(q), strict=True):
            R[i, j] = R[j, i] = value
        R = R[np.ix_(self.order, self.order)]
        values, vectors = np.linalg.eigh(R)
        if values[0] < 1e-10:  # a factor of a singular matrix, by way of its nearest regular neighbour
            R = (vectors * np.maximum(values, 1e-10)) @ vectors.T
            R /= np.sqrt(np.outer(np.diag(R), np.diag(R)))
        L = np.linalg.cholesky(R)
        found = []
        for i, j in pairs(q):
            found.append(np.arctan2(np.sqrt(np.sum(L[i, j + 1 : i + 1] ** 2)), L[i, j]))
        return np.array(found)


def coordinates(structure: Structure, given: FloatArray) -> Coordinates:
    """The coordinates of a structure when some natural parameters are held at a value.

    In an unstructured matrix the correlations with one level are free of each other: that level goes first. Other
    patterns of held correlations get one angle for each pair, and steps to a matrix that is not positive definite
    are refused.

    Raises
    ------
    ModelError
        When held correlations cannot belong to a correlation matrix.
    """
    q = len(structure.levels)
    plain = Coordinates(structure, given, tuple(range(q)), False)
    if structure.kind not in UNSTRUCTURED:
        return plain
    held = [pair for pair, value in zip(pairs(q), given[structure.variances :], strict=True) if not np.isnan(value)]
    if not held:
        return plain
    for centre in range(q):
        if all(centre in pair for pair in held):
            order = (centre, *(level for level in range(q) if level != centre))
            # angles are numbered in the order of the factor; the pairs with the centre are its first column
            return Coordinates(structure, given, order, False)
    whole = Coordinates(structure, given, tuple(range(q)), True)
    rho = np.where(np.isnan(given[structure.variances :]), 0.0, given[structure.variances :])
    if whole.correlation(np.arccos(np.clip(rho, -1, 1))) is None:
        raise ModelError(
            f"the correlations given for {structure.name} cannot hold together: their matrix is not positive definite; "
            "leave one of them free"
        )
    return whole


def free_coordinates(space: Coordinates) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(m,) which coordinates may move: those whose natural parameter is not held."""
    structure, v = space.structure, space.structure.variances
    free = np.isnan(space.given)
    if structure.kind not in UNSTRUCTURED or space.direct or free[v:].all():
        return free
    # held correlations are angles of the first column, in the order of the factor
    held = {pair for pair, open_ in zip(pairs(len(structure.levels)), free[v:], strict=True) if not open_}
    moved = []
    for i, j in pairs(len(structure.levels)):
        a, b = space.order[i], space.order[j]
        moved.append((max(a, b), min(a, b)) not in held)
    return np.concatenate([free[:v], np.array(moved, dtype=bool)])


def check_given(structure: Structure, given: Mapping[str, Sequence[float] | float | None]) -> FloatArray:
    """The held parameters of a structure from tau2= and rho= (or gamma2= and phi=), nan where estimated.

    Raises
    ------
    ModelError
        Wrong length, negative variance, correlation out of bounds.
    """
    found = np.full(structure.parameters, np.nan)
    low, high = structure.bounds()
    for symbol, where, least, most in (
        (structure.symbols[0], slice(0, structure.variances), 0.0, np.inf),
        (structure.symbols[1], slice(structure.variances, structure.parameters), low, high),
    ):
        values = given.get(symbol)
        if values is None:
            continue
        numbers = np.array([np.nan if value is None else value for value in np.ravel(np.array(values, dtype=object))])
        numbers = numbers.astype(float)
        count = found[where].size
        if numbers.size == 1 and count > 1:
            numbers = np.repeat(numbers, count)
        if numbers.size != count:
            raise ModelError(
                f"{symbol} has {numbers.size} values; {structure.kind} of {structure.name} has {count} "
                f"({', '.join(structure.names[where]) or 'none'})"
            )
        bad = (numbers < least) | (numbers > most)
        if bad.any():
            raise ModelError(
                f"{symbol} is held at {numbers[bad][0]:g}; for {structure.kind} of {structure.name} it lies between "
                f"{least:g} and {most:g}"
            )
        found[where] = numbers
    return found
