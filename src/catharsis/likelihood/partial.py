"""What a study says that reports a sign or a verdict and no number: the probability that it lands where it did.

The test statistic of a study with true effect theta is T = (theta m + Z) / S, Z standard normal and S the root of a
chi-square over its degrees of freedom: noncentral t. Given S = s, "T lies between low and high" says that
theta + Z / m lies between low s / m and high s / m. So a partial row is a mixture, over a quadrature rule in s, of
interval-censored observations with variance 1 / m^2, and integrating theta over N(mu, tau^2) only adds tau^2 to that
variance: no second integral. A normal design has the single node s = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.numerics import FloatArray, log_normal_probability

if TYPE_CHECKING:
    import pandas as pd

DESIGNS = ("one-sample", "two-sample", "correlation", "proportion", "two-proportions", "normal")
COLUMNS = (
    "kind", "design", "n", "n1", "n2", "df", "rate", "sei", "sign", "verdict", "alpha", "sided", "label", "sample",
)  # fmt: skip
KINDS = ("bounds", "direction")
VERDICTS = ("sig", "ns")
NODES = 24  # of each panel of a rule in log s
FAR = 1e-22  # probability of s left out on either side
WIDTH = 3.0  # of a panel at most, in log s
SPREADS = 7.0  # of a panel at most, in standard deviations of log s
TURN = 12.0  # standard errors that a critical value times s may move by within a panel
PEAKED = 30.0  # degrees of freedom from which a short Gauss rule does for common probabilities
COMMON, RARE = 1e-3, 1e-12  # probabilities from which on a Gauss rule, and a rule made for s alone, have ten digits
HALVINGS = 24, 14  # of the bracket of the highest point, and of where the integrand has faded
RARE_NODES = 40  # on either side of the highest point
NEAR = 1e-17  # weight of a node that does not count
FADED = 42.0  # log units below the highest point at which an integrand is nothing
CHUNK = 4_000_000  # numbers that one batch may hold (32 MB)


@lru_cache(maxsize=512)
def chi_rule(df: float, critical: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Nodes s and log weights of the root of chi-square over its degrees of freedom; s = 1 when they are infinite.

    Parameters
    ----------
    df : float
        Degrees of freedom.
    critical : float
        Largest |critical value|, which says how sharp an edge in s the rule must resolve.

    Returns
    -------
    (q,) arrays

    Examples
    --------
    >>> s, log_weight = chi_rule(7.0)
    >>> bool(abs(np.exp(log_weight) @ s**2 - 1) < 1e-12)
    True
    """
    if math.isinf(df):
        return np.ones(1), np.zeros(1)
    low, high = special.gammaincinv(df / 2, FAR), special.gammainccinv(df / 2, FAR)
    if low <= 0:  # few degrees of freedom: P(chi2 < x) is near (x / 2)^(df / 2) / Gamma(df / 2 + 1)
        low = math.exp((math.log(FAR) + special.gammaln(df / 2 + 1)) * 2 / df)
    first, last = 0.5 * np.log(2 * np.array([low, high]) / df)
    widest = min(WIDTH, SPREADS / math.sqrt(2 * df))
    edges = [float(last)]
    while edges[-1] > first:  # panels get narrower where the edge is sharp in log s
        edges.append(max(edges[-1] - min(widest, TURN / max(critical * math.exp(edges[-1]), 1.0)), float(first)))
    z, weight = np.polynomial.legendre.leggauss(NODES)
    right, left = np.array(edges[:-1])[:, None], np.array(edges[1:])[:, None]
    u = ((left + right) / 2 + (right - left) / 2 * z).ravel()
    log_weight = np.log(((right - left) / 2 * weight).ravel()) + _log_chi(df, u)
    return np.exp(u), log_weight - special.logsumexp(log_weight)


def _log_chi(df: float, u: FloatArray) -> FloatArray:
    """Log density of u = log s: 2 (df/2)^(df/2) / Gamma(df/2) s^df exp(-df s^2 / 2)."""
    constant = math.log(2) + df / 2 * math.log(df / 2) - float(special.gammaln(df / 2))
    return np.asarray(constant + df * u - df / 2 * np.exp(2 * u))


@lru_cache(maxsize=512)
def swift_rule(df: float, critical: float) -> tuple[FloatArray, FloatArray]:
    """`chi_rule` with as few nodes as ten digits of a probability above `COMMON` need; weights, not their logs."""
    s, log_weight = chi_rule(df, critical)
    ratio = critical / math.sqrt(2 * df)  # how far the edge moves within one standard deviation of log s
    if df < PEAKED or math.isinf(df) or ratio > 0.6:
        keep = log_weight > math.log(NEAR)
        return s[keep], np.exp(log_weight[keep])
    u, gauss_weight = _gauss(np.log(s), np.exp(log_weight), 12 if ratio < 0.3 else 20)
    return np.exp(u), gauss_weight


def _gauss(u: FloatArray, weight: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """The n-node Gauss rule of a discrete measure (Golub and Welsch 1969, Mathematics of Computation)."""
    basis = np.sqrt(weight / weight.sum())[None]
    diagonal, beside = [], []
    for j in range(n):
        image = u * basis[-1]
        diagonal.append(float(image @ basis[-1]))
        for _ in range(2):  # orthogonal to rounding only when done twice
            image = image - basis.T @ (basis @ image)
        if j < n - 1:
            beside.append(float(np.linalg.norm(image)))
            basis = np.vstack([basis, image / beside[-1]])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return nodes, vectors[0] ** 2


@dataclass(frozen=True, slots=True)
class Row:
    """One partial row.

    Attributes
    ----------
    label, sample : str
        Its name, and the people it comes from; rows of one sample share their true effect.
    precision : float
        m: the standard error of theta is 1 / m when s = 1.
    df : float
        Degrees of freedom of T; inf for a normal statistic.
    regions : tuple of (low, high)
        Where T lies; disjoint.
    says : str
        The region in words.
    """

    label: str
    sample: str
    precision: float
    df: float
    regions: tuple[tuple[float, float], ...]
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class PartialEvidence:
    """Rows without numbers; made by `partial_evidence`.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the table.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"kind": ["bounds"], "design": ["two-sample"], "n1": [8], "n2": [8], "sign": [1],
    ...                       "verdict": ["sig"]})
    >>> float(np.exp(partial_evidence(frame).log_probability(np.array([0.0]))[0, 0]).round(12))
    0.025
    """

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(row.label for row in self.rows)

    def part(self, keep: Sequence[bool]) -> PartialEvidence:
        """The rows that `keep` marks."""
        return PartialEvidence(tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept))

    def log_probability(self, theta: FloatArray) -> FloatArray:
        """The log of P(region | theta) of each row at each true effect (g,), (r, g)."""
        return self.log_marginal(theta, np.zeros_like(theta))

    def log_marginal(self, mu: FloatArray, tau2: FloatArray) -> FloatArray:
        """The log of P(region) with theta ~ N(mu, tau2), mu and tau2 (g,), each row on its own, (r, g)."""
        mu, tau2 = np.broadcast_arrays(np.asarray(mu, dtype=float), np.asarray(tau2, dtype=float))
        found = [log_region(row, mu.ravel(), tau2.ravel()).reshape(mu.shape) for row in self.rows]
        return np.stack(found) if found else np.empty((0, *mu.shape))


def log_region(row: Row, mu: FloatArray, tau2: FloatArray) -> FloatArray:
    """The log of P(T in a region) with theta ~ N(mu, tau2), (g,) each.

    References
    ----------
    [@yuan2002]
    """
    edge = max((abs(end) for region in row.regions for end in region if not math.isinf(end)), default=0.0)
    df = row.df if edge > 0 else math.inf  # a sign does not depend on the estimate of the SD
    spread = np.sqrt(1 / row.precision**2 + tau2)
    centre, shrink = mu / spread, 1 / (row.precision * spread)
    if math.isinf(df):
        return _by_sum(row.regions, np.ones(1), np.zeros(1), centre, shrink)
    s, weight = swift_rule(df, edge)
    probability = np.empty(len(mu))
    for part in _batches(len(mu), len(s)):
        at = shrink[part, None] * s
        probability[part] = sum(_between(region, at, centre[part, None]) @ weight for region in row.regions)
    found = np.log(np.clip(probability, RARE / 2, 1.0))
    less = np.flatnonzero(probability < COMMON)
    if len(less):
        found[less] = _by_sum(row.regions, *chi_rule(df, edge), centre[less], shrink[less])
        rare = less[found[less] < math.log(RARE)]
        if len(rare):
            each = [_rare(region, df, centre[rare], shrink[rare]) for region in row.regions]
            found[rare] = special.logsumexp(each, axis=0)
    return found


def _batches(n: int, nodes: int) -> list[slice]:
    size = max(1, CHUNK // nodes)
    return [slice(i, i + size) for i in range(0, n, size)]


def _between(region: tuple[float, float], at: FloatArray, centre: FloatArray) -> FloatArray:
    """P(low at < Z + centre < high at), (g, q)."""
    low, high = region
    if math.isinf(high):
        return np.asarray(special.ndtr(centre - low * at))
    above = special.ndtr(high * at - centre)
    return np.asarray(above if math.isinf(low) else above - special.ndtr(low * at - centre))


def _log_between(region: tuple[float, float], at: FloatArray, centre: FloatArray) -> FloatArray:
    """The log of `_between`, however small."""
    low, high = region
    if math.isinf(high):
        return np.asarray(special.log_ndtr(centre - low * at))
    if math.isinf(low):
        return np.asarray(special.log_ndtr(high * at - centre))
    return log_normal_probability(low * at - centre, high * at - centre)


def _by_sum(
    regions: Sequence[tuple[float, float]],
    s: FloatArray,
    log_weight: FloatArray,
    centre: FloatArray,
    shrink: FloatArray,
) -> FloatArray:
    """Log P, by a rule in s."""
    parts = []
    for part in _batches(len(centre), len(s)):
        at = shrink[part, None] * s
        each = [_log_between(region, at, centre[part, None]) + log_weight for region in regions]
        parts.append(special.logsumexp(np.concatenate(each, axis=1), axis=1))
    return np.concatenate(parts) if parts else np.empty(0)


def _rare(region: tuple[float, float], df: float, centre: FloatArray, shrink: FloatArray) -> FloatArray:
    """Log P of a tiny probability, which an unusual s makes: a rule around the s that contributes most.

    The integrand is log-concave in s, so it has one highest point, and falls on both sides of it; see Witkovsky (2013,
    Acta Universitatis Palackianae Olomucensis, Mathematica) on extreme tails of the noncentral t.
    """
    centre, shrink = centre[:, None], shrink[:, None]

    def height(u: FloatArray) -> FloatArray:
        return _log_chi(df, u) + _log_between(region, shrink * np.exp(u), centre)

    step = 1e-5
    ends = [abs(end) for end in region if not math.isinf(end)]
    farthest = (np.abs(centre) + 1) / (shrink * min(end for end in ends if end > 0))
    low = np.full_like(centre, math.log(FAR) / df) - np.log1p(farthest * max(ends) ** 2)
    high = np.log(2 + farthest)
    for _ in range(HALVINGS[0]):
        middle = (low + high) / 2
        rising = height(middle + step) > height(middle - step)
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    top = (low + high) / 2
    level = height(top) - FADED
    panels = []
    for side in (-1.0, 1.0):
        near, far = np.full_like(top, math.log(1e-4)), np.full_like(top, math.log(2 * FADED / min(df, 1.0) + 60.0))
        for _ in range(HALVINGS[1]):
            middle = (near + far) / 2
            above = height(top + side * np.exp(middle)) > level
            near, far = np.where(above, middle, near), np.where(above, far, middle)
        panels.append(side * np.exp(far))
    z, weight = np.polynomial.legendre.leggauss(RARE_NODES)
    each = [height(top + reach * (1 + z) / 2) + np.log(np.abs(reach) / 2 * weight) for reach in panels]
    return np.asarray(special.logsumexp(np.concatenate(each, axis=1), axis=1))


# -- from a table ---------------------------------------------------------------------------------------------------


def partial_evidence(frame: pd.DataFrame) -> PartialEvidence:
    """Studies that report a direction or a verdict, from a table with one row for each.

    Parameters
    ----------
    frame : DataFrame
        `kind`: "direction" (a sign) or "bounds" (a verdict, with or without a sign).
        `design`: "one-sample" (also a paired or before-after comparison: theta is the mean change over its SD),
        "two-sample" (theta is the standardised mean difference), "correlation" (theta is Fisher's z), "proportion" and
        "two-proportions" (theta is the log odds against those of a reference `rate`, or the log odds ratio; normal,
        with the standard error that holds at the `rate`), "normal" (`sei` is the standard error of theta on any scale).
        An F test with 1 and df degrees of freedom is the t test of its design.
        `n`, or `n1` and `n2` for two samples: people analysed. `df`: degrees of freedom of the test where they are not
        n - 1, n1 + n2 - 2, or n - 2 for a correlation (a partial correlation has fewer). `rate`: the reference share,
        or the share of events in both groups together; 0.5 for one proportion when nothing is given. `sign`: 1, -1,
        or 0. `verdict`: "sig" or "ns" at `alpha` (.05 by default), `sided` 2 (the default) or 1 (in the direction +1,
        or that of `sign` of a significant result). `label`, `sample`: names; rows of one sample share their true
        effect.

    Returns
    -------
    PartialEvidence
        A direction is a half line; "sig" lies beyond the critical value on the side of its sign, on both sides when
        the sign is 0; "ns" between both critical values, and with a sign between 0 and the critical value there.

    Raises
    ------
    ModelError
        Names the row, what is wrong with it, and the cure. A sign of 0 without a verdict is not "n.s.".

    References
    ----------
    [@hedges1980; @bushman2009; @yuan2002]

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"kind": ["direction"], "design": ["one-sample"], "n": [28], "sign": [1]})
    >>> float(np.exp(partial_evidence(frame).log_probability(np.array([0.0]))[0, 0]).round(12))
    0.5
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ModelError(f"partial evidence is a data frame with one row for each study; this is {shown(frame)}")
    for name in frame.columns:
        close = [known for known in COLUMNS if known not in frame.columns and _nearly(str(name), known)]
        if name not in COLUMNS and close:
            raise ModelError(f'partial evidence has no column "{name}": did you mean "{close[0]}"?')
    missing = [name for name in ("kind", "design") if name not in frame.columns]
    if missing:
        raise ModelError(f"partial evidence needs the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    records = frame.to_dict("records")
    return PartialEvidence(tuple(_row(record, i) for i, record in enumerate(records)))


def _row(record: dict[Any, Any], i: int) -> Row:
    label = _text(record.get("label")) or f"partial {i + 1}"
    name = f"row {i + 1} ({label})" if _text(record.get("label")) else f"row {i + 1}"
    kind = _choice(record, "kind", KINDS, name)
    design = _choice(record, "design", DESIGNS, name)
    sign = _number(record, "sign", name)
    if sign not in (None, -1.0, 0.0, 1.0):
        raise ModelError(f"{name}: sign is {sign:g}; it is 1, 0 or -1")
    precision, df = _size(record, design, name)
    if kind == "direction":
        if _text(record.get("verdict")):
            raise ModelError(f"{name}: a direction has no verdict; with one its kind is bounds")
        if not sign:
            raise ModelError(f"{name}: a direction needs a sign of 1 or -1; a zero without a verdict is not n.s.")
        regions, says = _direction(sign)
    else:
        verdict = _choice(record, "verdict", VERDICTS, name)
        critical, sided = _critical(record, design, df, name)
        if design == "correlation":
            critical = math.atanh(critical / math.sqrt(df + critical**2)) * precision  # critical r as a standardised z
        regions, says = _bounds(verdict, sign or 0.0, critical, sided, name)
    if design == "correlation":
        df = math.inf
    return Row(label, _text(record.get("sample")) or f"#{i}", precision, df, regions, says)


def _direction(sign: float) -> tuple[tuple[tuple[float, float], ...], str]:
    return (((0.0, math.inf),), "above 0") if sign > 0 else (((-math.inf, 0.0),), "below 0")


def _bounds(
    verdict: str, sign: float, critical: float, sided: int, name: str
) -> tuple[tuple[tuple[float, float], ...], str]:
    """Where the statistic of a verdict lies."""
    up, down = ((critical, math.inf),), ((-math.inf, -critical),)
    if verdict == "sig":
        if sided == 1 and not sign:
            raise ModelError(f"{name}: a significant one-sided test has a direction; give sign 1 or -1")
        if not sign:
            return down + up, "beyond either critical value"
        return (up, "beyond the upper critical value") if sign > 0 else (down, "beyond the lower critical value")
    if sign > 0:
        return ((0.0, critical),), "between 0 and the upper critical value"
    if sided == 1:  # towards +1; nothing on the other side is significant
        return (((-math.inf, 0.0),), "below 0") if sign < 0 else (((-math.inf, critical),), "below the critical value")
    if sign < 0:
        return ((-critical, 0.0),), "between 0 and the lower critical value"
    return ((-critical, critical),), "between both critical values"


def _size(record: dict[Any, Any], design: str, name: str) -> tuple[float, float]:
    """Precision m and degrees of freedom."""
    given = _number(record, "df", name)
    if given is not None and not given >= 1:
        raise ModelError(f"{name}: df is {given:g}; a test has at least 1 degree of freedom")
    if design == "normal":
        sei = _number(record, "sei", name)
        if sei is None or not sei > 0:
            raise ModelError(f"{name}: a normal design needs its standard error sei, a positive number")
        return 1 / sei, math.inf if given is None else given
    if design in ("two-sample", "two-proportions"):
        n1, n2 = (_people(record, column, 1, name) for column in ("n1", "n2"))
        m = math.sqrt(n1 * n2 / (n1 + n2))
        if design == "two-proportions":
            return m * _binomial_sd(record, None, name), math.inf
        if n1 + n2 < 3:
            raise ModelError(f"{name}: {n1:g} and {n2:g} people leave no degree of freedom")
        return m, n1 + n2 - 2 if given is None else given
    least = {"correlation": 4, "one-sample": 2, "proportion": 1}[design]
    n = _people(record, "n", least, name)
    if design == "correlation":
        df = n - 2 if given is None else given
        if not 1 < df <= n - 2:
            raise ModelError(
                f"{name}: df is {df:g}; a correlation of {n:g} people has more than 1 and at most {n - 2:g}"
            )
        return math.sqrt(df - 1), df
    if design == "proportion":
        return math.sqrt(n) * _binomial_sd(record, 0.5, name), math.inf
    return math.sqrt(n), n - 1 if given is None else given


def _binomial_sd(record: dict[Any, Any], otherwise: float | None, name: str) -> float:
    """Standard deviation of one event at the reference rate."""
    rate = _number(record, "rate", name)
    rate = otherwise if rate is None else rate
    if rate is None:
        raise ModelError(f"{name}: rate is missing; what share of all people had the event?")
    if not 0 < rate < 1:
        raise ModelError(f"{name}: rate is {rate:g}; it lies between 0 and 1")
    return math.sqrt(rate * (1 - rate))


def _people(record: dict[Any, Any], column: str, least: int, name: str) -> float:
    n = _number(record, column, name)
    if n is None:
        raise ModelError(f"{name}: {column} is missing; how many people were analysed?")
    if n != round(n) or n < least:
        raise ModelError(f"{name}: {column} is {n:g}; this design needs a whole number of {least} or more")
    return n


def _critical(record: dict[Any, Any], design: str, df: float, name: str) -> tuple[float, int]:
    """Critical value of T, and the number of sides."""
    alpha = _number(record, "alpha", name)
    alpha = 0.05 if alpha is None else alpha
    if not 0 < alpha < 0.5:
        raise ModelError(f"{name}: alpha is {alpha:g}; it lies between 0 and 0.5")
    sided = _number(record, "sided", name)
    sided = 2.0 if sided is None else sided
    if sided not in (1.0, 2.0):
        raise ModelError(f"{name}: sided is {sided:g}; a test has 1 or 2 sides")
    tail = alpha / sided
    return float(-special.ndtri(tail) if math.isinf(df) else -special.stdtrit(df, tail)), int(sided)


def _nearly(name: str, known: str) -> bool:
    """Whether a name looks like a slip of the pen."""
    return len(known) > 2 and bool(get_close_matches(name.lower(), [known], n=1, cutoff=0.75))


def _choice(record: dict[Any, Any], column: str, allowed: Sequence[str], name: str) -> str:
    text = _text(record.get(column))
    if text not in allowed:
        found = f"is {text!r}" if text else "is missing"
        raise ModelError(f"{name}: {column} {found}: {did_you_mean(text, allowed)}")
    return text


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _number(record: dict[Any, Any], column: str, name: str) -> float | None:
    value = record.get(column)
    if value is None or value != value or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ModelError(f"{name}: {column} is {value!r}, not a number") from None
    if not math.isfinite(number):
        raise ModelError(f"{name}: {column} is {number}; it must be finite")
    return number
