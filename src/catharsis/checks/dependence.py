"""People who count more than once: two reports of one sample, a control group used twice, effects without a rho.

Whether equal numbers are a coincidence is judged by the table itself: a value that many rows share, or that is printed
with few digits, is likely to be met again; four equal SDs with three digits are not.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import combinations
from operator import mul
from typing import NamedTuple

from catharsis.checks.rounding import decimals
from catharsis.checks.rules import Finding, Rule
from catharsis.errors import InputError
from catharsis.references.library import Name, Reference
from catharsis.studies.table import Row, StudyTable

SIZES = ("n", "n1", "n2")
RESULTS = (
    "mean_change", "sd_change", "se_change", "m1", "sd1", "se1", "m2", "sd2", "se2", "t", "F", "r", "d", "d_se",
    "d_low", "d_high", "yi", "vi", "sei", "better", "same", "worse", "events1", "events2",
)  # fmt: skip
ARMS = (("m1", "sd1", "se1", "events1", "n1"), ("m2", "sd2", "se2", "events2", "n2"))
COINCIDENCE = 0.05  # expected number of such coincidences in the whole table
CONTEXT = ("study", "year", "country", "population", "measured", "minutes")  # and the moderators
FOLLOWS = ("vi", "sei", "d_se", "se_change", "se1", "se2", "d_low", "d_high")  # from n, nearly
DERIVED = ("t", "F", "r", "d", "d_se", "d_low", "d_high", "yi", "vi", "sei")  # where means or counts stand beside them
FEW = 2.5  # times
COMPUTED = ("t", "F", "d", "d_se", "d_low", "d_high", "yi", "vi", "sei")  # from means, counts or r beside them
RARE_SIZE = 0.02  # no size of a group counts as rarer than this: people like round ones; nor does a year or a country
RARE_LARGE = 0.005  # ... but one beyond 50 that is not round: in public tables 0.002 of pairs of studies share one
RARE_RESULT = 0.001  # ... and no result, however many digits it has
CROWD = 30  # rows that share one value: from then on it says nothing about any two of them
YEARS = 3  # between two reports of the same people that are told apart by nothing else
SAME_N = 10  # people: smaller samples have equal n too often


class Twins(NamedTuple):
    """Two rows, the cells in which they agree, and how often that happens by chance in such a table."""

    first: Row
    second: Row
    cells: tuple[str, ...]
    coincidences: float
    to_the_digit: bool = True


class _Values:
    """How common each value of a table is, column by column."""

    def __init__(self, rows: Sequence[Row], moderators: Iterable[str] = ()) -> None:
        self.rows = rows
        self.columns: dict[tuple[object, str], list[float]] = defaultdict(list)
        self.holders: dict[tuple[object, str, float], list[Row]] = defaultdict(list)
        for row in rows:
            for column in (*SIZES, *RESULTS):
                if row.has(column):
                    self.columns[row.get("outcome"), column].append(float(row.get(column)))
                    self.holders[row.get("outcome"), column, float(row.get(column))].append(row)
        for values in self.columns.values():
            values.sort()
        self.context = (*CONTEXT, *(name for name in moderators if name not in CONTEXT))
        self.words = Counter((name, _word(row, name)) for row in rows for name in self.context if row.has(name))

    def chance(self, row: Row, column: str, blur: float = 0.0) -> float:
        """The chance that another row holds the same value, or one that rounding by `blur` makes the same."""
        values, value = self.columns[row.get("outcome"), column], float(row.get(column))
        others = len(values) - 2
        ties = bisect_right(values, value + blur) - bisect_left(values, value - blur) - 2
        unit = 10.0 ** -_places(row, column)
        low, high = (len(values) // 4, -1 - len(values) // 4) if len(values) > 4 else (0, -1)
        spread = values[high] - values[low]  # of the middle half: a far value does not make the others rarer
        fine = unit / spread if spread > 0 else 1.0
        if 0 < values[low] < values[high] < value:  # counts and sizes thin out upwards, about as logarithms do
            fine = min(fine, unit / (value * math.log(values[high] / values[low])))
        rare = RARE_SIZE if column in SIZES or column in FOLLOWS else RARE_RESULT
        if column in SIZES and value > 50 and value % 10:
            rare = RARE_LARGE
        return min(1.0, max(rare, fine, ties / others if others > 0 and ties > 0 else 0.0))

    def coincidences(self, row: Row, cells: Sequence[str], pairs: int, other: Row | None = None) -> float:
        """How many pairs would agree in these cells by chance; equal values within a row count once.

        A cell that `other` prints with fewer digits agrees more easily, and is taken from there.
        """
        raw = [column for column in cells if column not in DERIVED]
        cells = raw if set(raw) - set(SIZES) else cells  # what follows from equal numbers is equal, too
        cells = tuple(cells)
        raw = [column for column in cells if column not in COMPUTED]
        told = raw if any(column not in SIZES for column in raw) else cells  # a yi beside its counts says nothing new
        distinct: dict[float, tuple[Row, str, float]] = {}
        for column in told:
            coarse = _coarser(row, other or row, column)
            if coarse.get(column) != 0:
                blur = abs(float(row.get(column)) - float((other or row).get(column)))
                distinct[float(coarse.get(column))] = coarse, column, blur
        times = pairs * (1.0 if len(distinct) > 2 else FEW)  # two are easily alike: 9 of 20 twice, r = .2 of 100 twice
        return reduce(mul, (self.chance(*cell) for cell in distinct.values()), times)

    def company(self, first: Row, second: Row) -> float:
        """The chance that two rows agree in what is said about them as they do; 1 when they agree in nothing."""
        chance = 1.0
        for column in self.context:
            if first.has(column) and second.has(column):
                word = _word(first, column)
                if word == _word(second, column):
                    others = max(1, len(self.rows) - 2)
                    chance *= min(1.0, max(RARE_SIZE, (self.words[column, word] - 2) / others))
        return chance

    def pairs(self) -> Iterator[tuple[Row, Row]]:
        """Pairs of rows of one outcome that agree in some result that few rows share, or in the number of people."""
        seen: set[tuple[str, str]] = set()
        sizes: dict[tuple[object, ...], list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.has("n1", "n2") or row.has("n"):
                groups = (row.get("n1"), row.get("n2")) if row.has("n1", "n2") else (row.get("n"),)
                sizes[(row.get("outcome"), *groups)].append(row)  # their results may be printed with other digits
        results = (rows for (_, column, _), rows in self.holders.items() if column not in SIZES)
        for rows in (*results, *sizes.values()):
            if not 2 <= len(rows) <= CROWD:
                continue
            for first, second in combinations(rows, 2):
                key = first.id, second.id
                if key not in seen:
                    seen.add(key)
                    yield first, second


def _places(row: Row, column: str) -> int:
    return decimals(row.printed.get(column) or repr(row.get(column)))


def _coarser(first: Row, second: Row, column: str) -> Row:
    """Which of two rows prints a cell with fewer digits."""
    return second if _places(second, column) < _places(first, column) else first


def _agree(first: Row, second: Row, column: str) -> bool:
    """Whether two cells may be one value: they are equal, or one is the other with fewer digits."""
    one, two = float(first.get(column)), float(second.get(column))
    if one == two or column in SIZES or _places(first, column) == _places(second, column):
        return one == two
    coarse, fine = sorted((_places(first, column), _places(second, column)))
    return abs(one - two) <= 0.5 * (10.0**-coarse + 10.0**-fine)


def _word(row: Row, column: str) -> object:
    """What a cell says about the people; of a label its first word, which names the author."""
    value = row.get(column)
    return str(value).split()[0].strip(",;.").casefold() if column == "study" and str(value).split() else value


def _usable(table: StudyTable) -> list[Row]:
    return [row for row in table if not row.has("exclude") and row.get("kind") in ("estimate", "counts", "bounds")]


def same_people(table: StudyTable) -> Iterator[Finding]:
    """Two reports, or two entries of one, that seem to hold the same people."""
    found: set[frozenset[object]] = set()
    for twins in _equal_results(_Values(_usable(table), table.dictionary.moderators)):
        first, second = twins.first, twins.second
        key = frozenset((first.get("sample"), second.get("sample")))
        if key not in found:
            found.add(key)
            how = f"agree in {_list(twins.cells)}" + ("" if twins.to_the_digit else ", as far as their digits go")
            yield _twice(first, second, how, "equal numbers are no coincidence")
    for first, second, names in _kin(table):
        key = frozenset((first.get("sample"), second.get("sample")))
        if key not in found:
            found.add(key)
            words = f"share {names}, have {_people(first)} people each, and lie within {YEARS} years"
            yield _twice(first, second, words, "one sample is often published twice")


def _equal_results(values: _Values) -> Iterator[Twins]:
    """Pairs of rows whose results agree in every cell that both fill, or would if both printed as few digits."""
    kinds: dict[object, set[object]] = defaultdict(set)
    for row in values.rows:
        kinds[row.get("outcome")].add(row.id)
    for first, second in values.pairs():
        apart = first.get("overlap_group") != second.get("overlap_group")
        if not apart and (first.get("partition") != second.get("partition") or _moved_on(first, second)):
            continue
        shared = [column for column in (*SIZES, *RESULTS) if first.has(column) and second.has(column)]
        if not all(_agree(first, second, column) for column in shared) or len(set(map(first.get, shared))) < 2:
            continue
        if not any(first.get(column) == second.get(column) for column in shared if column in RESULTS) and not apart:
            continue  # the same people, measured twice with other digits
        size = len(kinds[first.get("outcome")])
        cells = shared if apart else [column for column in shared if column not in SIZES]  # one sample has one n
        expected = values.coincidences(first, cells, size * (size - 1) // 2, second) * values.company(first, second)
        same = all(first.get(column) == second.get(column) for column in shared)
        if expected <= COINCIDENCE or (not apart and same and len(shared) >= 3):
            yield Twins(*_in_order(first, second), tuple(shared), expected, same)


def _moved_on(first: Row, second: Row) -> bool:
    """Whether two rows of one group say themselves that they measured other things, at other times or in others."""
    return any(first.get(name) != second.get(name) for name in ("measured", "minutes"))


def _in_order(first: Row, second: Row) -> tuple[Row, Row]:
    return (first, second) if first.at <= second.at else (second, first)


def _twice(first: Row, second: Row, how: str, why: str) -> Finding:
    return Finding(
        (second, first),
        InputError(
            second.at,
            f"{second.id} and {first.id} ({first.at}) {how}",
            f"{why}: the same people would count twice",
            "exclude: one of them, or give both one overlap_group: and each a partition:; if they are different "
            "people, waive with waive: [{rule: same-people, reason: ..., by: ..., date: ...}]",
            "same-people",
        ),
    )


def _list(cells: Sequence[str]) -> str:
    return " and ".join((", ".join(cells[:-1]), cells[-1])) if len(cells) > 1 else cells[0]


# ----------------------------------------------------------------------------------- by authors, year, country and n
def _kin(table: StudyTable) -> Iterator[tuple[Row, Row, str]]:
    """Pairs of samples of two reports that share authors, time, country and number of people."""
    firsts: dict[object, Row] = {}
    for row in table:
        if not row.has("exclude") and row.get("kind") != "none" and _people(row) >= SAME_N:
            firsts.setdefault(row.get("sample"), row)
    by_size: dict[int, list[Row]] = defaultdict(list)
    for row in firsts.values():
        by_size[_people(row)].append(row)
    samples: dict[object, set[object]] = defaultdict(set)
    for row in table:
        samples[row.get("cite")].add(row.get("sample"))
    for rows in by_size.values():
        for first, second in combinations(rows[:CROWD], 2):
            if first.get("report") == second.get("report") or first.get("cite") == second.get("cite"):
                continue  # one paper tells its own samples apart
            if first.get("overlap_group") == second.get("overlap_group") or not _near(first, second, table):
                continue
            names = _shared_authors(_reference(first, table), _reference(second, table))
            if names:
                yield (*_in_order(first, second), names)


def _people(row: Row) -> int:
    return int(row.get("n1") + row.get("n2")) if row.has("n1", "n2") else int(row.get("n", 0))


def _reference(row: Row, table: StudyTable) -> Reference | None:
    """The paper of a row; a report that was read in a secondary source has its own authors, which nobody entered."""
    if table.library is None or row.get("report") != row.get("cite"):
        return None
    key = str(row.get("cite"))
    return table.library.get(key)


def _near(first: Row, second: Row, table: StudyTable) -> bool:
    """Whether year, country, population and numbers allow that two samples are one."""
    for column in ("country", "population"):
        if first.has(column) and second.has(column) and first.get(column) != second.get(column):
            return False
    years = [_year(row, table) for row in (first, second)]
    if None in years or abs((years[0] or 0) - (years[1] or 0)) > YEARS:
        return False
    same = first.get("outcome") == second.get("outcome")
    shared = [column for column in RESULTS if column not in FOLLOWS and first.has(column) and second.has(column)]
    differ = [column for column in shared if not _agree(first, second, column)]
    return not (same and shared and len(differ) * 2 >= len(shared))


def _year(row: Row, table: StudyTable) -> int | None:
    found = _reference(row, table)
    year = row.get("year") if row.has("year") else found.year if found else None
    return int(year) if year is not None else None


def _shared_authors(first: Reference | None, second: Reference | None) -> str:
    """The names that two papers share, when they are at least half of those of the shorter list."""
    if first is None or second is None or not first.authors or not second.authors:
        return ""
    others = {_person(name) for name in second.authors}
    shared = [name for name in first.authors if _person(name) in others]
    if len(shared) * 2 < min(len(first.authors), len(second.authors)) or not shared:
        return ""
    words = ("the author " if len(shared) == 1 else "the authors ") + ", ".join(name.surname for name in shared[:3])
    return words + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")


def _person(name: Name) -> tuple[str, str]:
    return name.surname.casefold(), name.given[:1].casefold()


# ------------------------------------------------------------------------------------------------ one control, two rows
def shared_controls(table: StudyTable) -> Iterator[Finding]:
    """One arm, nearly always a control, that stands in two effects of one outcome."""
    values = _Values(_usable(table))
    holders: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in values.rows:
        for arm in ARMS:
            key = _arm(row, arm)
            if key is not None:
                holders[row.get("outcome"), row.get("minutes"), key].append(row)
    told: set[str] = set()
    for (_, _, numbers), rows in holders.items():
        for first, second in combinations(rows[:CROWD], 2):
            if second.id not in told and _one_arm(first, second, values):
                told.add(second.id)
                yield _control(*_in_order(first, second), numbers)


def _arm(row: Row, arm: Sequence[str]) -> tuple[tuple[str, float], ...] | None:
    """The numbers of one arm, when they are enough to recognise it."""
    cells = tuple((name.rstrip("12"), float(row.get(name))) for name in arm if row.has(name))
    names = {name for name, _ in cells}
    known = {"m", "n"} <= names and ("sd" in names or "se" in names)
    return cells if known or ({"events", "n"} <= names and row.get(arm[3]) > 0) else None


def _one_arm(first: Row, second: Row, values: _Values) -> bool:
    """Whether an equal arm of two rows is one group of people that both would count."""
    if all(_arm(first, arm) == _arm(second, arm) for arm in ARMS):
        return False  # twins, which another rule tells
    if first.get("overlap_group") == second.get("overlap_group"):
        return bool(first.get("partition") == second.get("partition"))  # two cuts are never pooled
    equal = next(arm for arm in ARMS for other in ARMS if _arm(first, arm) and _arm(first, arm) == _arm(second, other))
    size = len(values.rows)
    cells = [name for name in equal if first.has(name)]
    return values.coincidences(first, cells, 2 * size * (size - 1)) <= COINCIDENCE


def _control(first: Row, second: Row, key: object) -> Finding:
    told = ", ".join(f"{name} {value:g}" for name, value in key) if isinstance(key, tuple) else ""
    return Finding(
        (second, first),
        InputError(
            second.at,
            f"{second.id} and {first.id} ({first.at}) have one arm in common ({told})",
            "its people would count twice, and the two effects are correlated",
            "split the arm between them, pool the other arms, or keep one; if the synthesis allows for it, "
            "waive with waive: [{rule: shared-control, reason: ..., by: ..., date: ...}]",
            "shared-control",
        ),
    )


# ------------------------------------------------------------------------------------------- several effects, no rho
def several_effects(name: str, rows: Sequence[Row], table: StudyTable) -> Iterator[Finding]:
    """Samples that give a synthesis several effects of the same people, told once for each synthesis.

    Parameters
    ----------
    name : str
        The synthesis.
    rows : sequence of Row
        The rows that enter it.
    table : StudyTable
        The whole table: a sample whose parts add to no more than all its people is cut into different people.
    """
    whole: dict[object, int] = defaultdict(int)
    for row in table:
        whole[row.get("sample")] = max(whole[row.get("sample")], _people(row), int(row.get("enrolled", 0)))
    by_sample: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        by_sample[row.get("sample")].append(row)
    several = [
        some
        for sample, some in by_sample.items()
        if len(some) > 1 and (not all(map(_people, some)) or sum(map(_people, some)) > whole[sample])
    ]
    if several:
        first = several[0][1]
        effects = sum(map(len, several))
        yield Finding(
            tuple(row for some in several for row in some),
            InputError(
                first.at,
                f"{name} holds {effects} effects of {len(several)} sample{'s' * (len(several) != 1)}, such as "
                f"{several[0][0].id} and {first.id}, and no rho",
                "effects of the same people are correlated: without a correlation their sampling errors count as "
                "independent and the interval may be too narrow",
                "narrow rows: to one effect a sample, name a cluster: for robust errors, or state sensitivity: "
                "{rho: [...]}; if they are different people, waive with "
                "waive: [{rule: several-effects, reason: ..., by: ..., date: ...}]",
                "several-effects",
            ),
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "same-people", "dependence",
        "two samples with equal numbers (or rounded ones), or of two reports by the same authors, years, country and n",
        "one sample published twice counts twice, and the interval is too narrow",
        "exclude: one of them, or give both one overlap_group: and each a partition:, so that they are never pooled",
        (), same_people,
    ),
    Rule(
        "shared-control", "dependence",
        "an arm with the same mean, SD and n (or events and n) in two effects of one outcome",
        "its people count twice, and the two effects are correlated",
        "split the arm between them, pool the other arms, or keep one",
        ("gleser2009",), shared_controls,
    ),
    Rule(
        "several-effects", "dependence",
        "a synthesis with several effects of one sample, for which the plan names neither a cluster nor a rho",
        "effects of the same people are correlated, and their sampling errors are not independent",
        "narrow rows: to one effect a sample, name a cluster:, or state sensitivity: {rho: [...]}",
        ("gleser2009",),
    ),
)  # fmt: skip
