"""Who a spread is held against, and whether it stands out among them.

The nearest peers speak: other samples on the same instrument; when there are fewer than three, the other arms and time
points of the same people; then what the spread is of the mean on other instruments. Peers that do not agree among
themselves accuse nobody.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from catharsis.checks.impossible import GROUPS
from catharsis.studies.table import Row, StudyTable

ARMS = (("mean_change", "sd_change", "se_change", "n"), *GROUPS)
MIN_PEERS = 3  # other samples that must agree before they speak
TOO_FAR = 2.5  # a spread stands out when it lies at least this factor from its peers ...
TOO_FAR_FROM_FEW = 3.0  # ... or this one, when there are fewer than MIN_PEERS
DEVIATIONS = 3.5  # ... and this many standard deviations of their logarithms (a common limit for outliers by median)
NEAR = 2.0  # read the other way it comes within this factor of its peers
FLOOR = 0.15  # log units: spreads of like samples differ at least by so much (about 15 percent)
ENOUGH = 50  # spreads of the same people that settle what is usual for them
MANY = 200  # values of one instrument from which on one group more or less does not count


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of one arm as a standard deviation, and the cell it comes from."""

    row: Row
    mean: str
    column: str
    size: int
    sd: float

    @property
    def printed_as_sd(self) -> bool:
        """Whether the table calls it an SD; otherwise a standard error."""
        return self.column.startswith("sd")

    @property
    def otherwise(self) -> float:
        """The SD, had the printed value been the other of the two."""
        return self.sd * math.sqrt(self.size) if self.printed_as_sd else self.sd / math.sqrt(self.size)

    @property
    def error(self) -> float:
        """The standard error of the logarithm of an SD."""
        return 1 / math.sqrt(2 * (self.size - 1))


@dataclass(frozen=True, slots=True)
class Peers:
    """What a spread is held against, and how wide the peers lie themselves.

    Attributes
    ----------
    typical : float
        The middle of the peers.
    width : float
        Standard deviation of their logarithms, robustly.
    words : str
        Who they are.
    few : bool
        Whether they are fewer than `MIN_PEERS`.
    """

    typical: float
    width: float
    words: str
    few: bool = False

    def away(self, value: float, error: float) -> bool:
        """Whether a value stands out."""
        distance = abs(math.log(value / self.typical))
        limit = math.log(TOO_FAR_FROM_FEW if self.few else TOO_FAR)
        return distance >= limit and distance >= DEVIATIONS * math.hypot(self.width, error)

    def near(self, value: float, factor: float = NEAR) -> bool:
        """Whether a value would pass among them."""
        return abs(math.log(value / self.typical)) <= math.log(factor)


def spreads_of(row: Row) -> Iterator[Spread]:
    """The spreads of a row that can be held against others."""
    for mean, sd, se, n in ARMS:
        if not row.has(n) or row.get(n) < 2:
            continue
        size = int(row.get(n))
        if row.has(sd) and row.get(sd) > 0:
            yield Spread(row, mean, sd, size, float(row.get(sd)))
        elif row.has(se) and row.get(se) > 0:
            yield Spread(row, mean, se, size, float(row.get(se)) * math.sqrt(size))


def is_change(spread: Spread) -> bool:
    """Spreads of changes and of scores are not of one kind."""
    return spread.mean == "mean_change"


def instrument(spread: Spread) -> tuple[object, ...]:
    """What was measured, as far as the row tells; an outcome with a unit or a scale is one instrument."""
    return spread.row.get("outcome"), spread.row.get("measured"), is_change(spread)


class Company:
    """The spreads of a table, grouped so that the peers of each are at hand."""

    def __init__(self, table: StudyTable) -> None:
        self.table = table
        self.all = [spread for row in table if not row.has("exclude") for spread in spreads_of(row)]
        self.same: dict[tuple[object, ...], Logs] = defaultdict(Logs)
        self.shares: dict[tuple[object, ...], Logs] = defaultdict(Logs)
        self.own: dict[tuple[object, ...], list[Spread]] = defaultdict(list)
        for spread in self.all:
            group = spread.row.get("overlap_group")
            self.same[instrument(spread)].add(group, spread.sd)
            self.same[self._outcome(spread)].add(group, spread.sd)
            self.own[(group, *instrument(spread))].append(spread)
            if (share := share_of(spread)) is not None:
                self.shares[spread.row.get("outcome"), is_change(spread)].add(group, share)

    def _outcome(self, spread: Spread) -> tuple[object, ...]:
        return spread.row.get("outcome"), is_change(spread)

    def peers(self, spread: Spread) -> list[tuple[Peers, float, float]]:
        """Those it can be held against, best first, each with its value and the other reading on their scale."""
        outcome = self.table.dictionary.outcomes.get(str(spread.row.get("outcome")))
        one = outcome is not None and (outcome.unit is not None or outcome.range is not None)
        keys = [instrument(spread), *([self._outcome(spread)] if one else [])]
        for key in keys:
            found = self.same[key].without(spread.row.get("overlap_group"), spread.sd) if key in self.same else None
            if found is not None:
                typical, width, number = found
                return [(Peers(typical, width, f"{number} others on this instrument"), spread.sd, spread.otherwise)]
        if (near := self._own(spread)) is not None:
            return [(near, spread.sd, spread.otherwise)]
        return self._shares(spread)

    def _shares(self, spread: Spread) -> list[tuple[Peers, float, float]]:
        """The same as a share of the mean, for instruments that differ or whose SDs grow with the mean."""
        found = self._share_peers(spread)
        if found is None:
            return []
        typical, width, number = found
        times = share_of(spread) or 1.0
        words = f"{number} others with this outcome (as a share of the mean)"
        return [(Peers(typical, width, words), times, times * spread.otherwise / spread.sd)]

    def other_scale(self, spread: Spread) -> bool:
        """Whether the mean is as far from its peers as the spread: then the sample was measured in other units."""
        outcome = self.table.dictionary.outcomes.get(str(spread.row.get("outcome")))
        if outcome is not None and (outcome.unit is not None or outcome.range is not None):
            return False
        found, share = self._share_peers(spread), share_of(spread)
        if found is None or share is None:
            return False
        peers = Peers(found[0], found[1], "")
        return peers.near(share, max(NEAR, math.exp(peers.width)))

    def _own(self, spread: Spread) -> Peers | None:
        """Other arms, samples and time points of the same people."""
        own = self.own[(spread.row.get("overlap_group"), *instrument(spread))][: ENOUGH + 1]
        others = [other for other in own if (other.row.id, other.column) != (spread.row.id, spread.column)]
        if not others:
            return None
        logs = [math.log(other.sd) for other in others]
        width = math.hypot(width_of(logs), median(other.error for other in others))
        if len(others) == 1 and others[0].row is spread.row:
            word = "the other arm"
        elif any(other.row.get("sample") != spread.row.get("sample") for other in others):
            word = f"{len(others)} other{'s' * (len(others) != 1)} on this instrument"
        else:
            word = f"{len(others)} other spread{'s' * (len(others) != 1)} of this sample"
        return Peers(math.exp(median(logs)), width, word, few=len(others) < MIN_PEERS)

    def _share_peers(self, spread: Spread) -> tuple[float, float, int] | None:
        if share_of(spread) is None:
            return None
        key = spread.row.get("outcome"), is_change(spread)
        return self.shares[key].without(spread.row.get("overlap_group"), share_of(spread) or 1.0)


def mean_size(spread: Spread) -> float:
    """How far the mean of a spread lies from 0."""
    return abs(float(spread.row.get(spread.mean, 0)))


def share_of(spread: Spread) -> float | None:
    """The spread as a share of the mean, where scores have one sign."""
    if is_change(spread) or not spread.row.has(spread.mean) or not mean_size(spread):
        return None
    return spread.sd / mean_size(spread)


class Logs:
    """Logarithms of positive values by the group of people they come from."""

    def __init__(self) -> None:
        self.groups: dict[object, list[float]] = defaultdict(list)
        self.known: dict[object, tuple[float, float, int]] = {}
        self.all: list[float] = []
        self.width = 0.0

    def add(self, group: object, value: float) -> None:
        """Take in one positive value."""
        self.groups[group].append(math.log(value))

    def without(self, group: object, value: float) -> tuple[float, float, int] | None:
        """Middle, width and number of the values of all other groups; None when they are too few to speak.

        In a large table, leaving out one value moves the middle as little as leaving out its group.
        """
        if len(self.groups) - (group in self.groups) < MIN_PEERS:
            return None
        if not self.all:
            self.all = sorted(log for logs in self.groups.values() for log in logs)
            self.width = width_of(self.all)
        own = len(self.groups.get(group, ()))
        if len(self.all) > MANY and own < len(self.all) // 4:
            return math.exp(median_without(self.all, math.log(value))), self.width, len(self.all) - own
        if group not in self.known:
            logs = [log for name, some in self.groups.items() if name != group for log in some]
            self.known[group] = math.exp(median(logs)), width_of(logs), len(logs)
        return self.known[group]


def width_of(logs: Sequence[float]) -> float:
    """Standard deviation of logarithms by the median of their distances, at least `FLOOR`."""
    middle = median(logs)
    return max(FLOOR, 1.4826 * median(abs(log - middle) for log in logs))  # 1.4826: the normal distribution's


def median_without(values: Sequence[float], value: float) -> float:
    """The median of ascending values, leaving out one that equals `value`.

    Examples
    --------
    >>> median_without([0.1, 1.0, 1.2, 1.4], 0.1)
    1.2
    """
    gap, middle = bisect_left(values, value), (len(values) - 1) // 2

    def other(position: int) -> float:
        return values[position if position < gap else position + 1]

    return other(middle) if len(values) % 2 == 0 else (other(middle - 1) + other(middle)) / 2
