"""Cells that cannot be right whatever the study: errors, which nobody can waive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catharsis.checks.rounding import Range, printed_range
from catharsis.checks.rules import Rule
from catharsis.errors import InputError, shown
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row

SPREADS = ("sd_change", "se_change", "sd1", "se1", "sd2", "se2", "d_se", "vi", "sei")
GROUPS = (("m1", "sd1", "se1", "n1"), ("m2", "sd2", "se2", "n2"))
SHARES = ("share_better", "share_same", "share_worse")
PRINTABLE = (1e-60, 1e60)  # absolute values of numbers other than 0; a p from a t of 16 is 1e-57
ROUNDING = 1e-3  # relative: numbers that were computed have no digits to go by


def impossible(row: Row, dictionary: Dictionary) -> Iterator[InputError]:
    """Every cell of a row that cannot stand."""
    yield from _beyond_print(row)
    yield from _spreads(row)
    yield from _sizes(row)
    yield from _statistics(row)
    yield from _freedom(row)
    yield from _interval(row)
    yield from _range(row, dictionary)
    yield from _events(row)
    yield from _shares(row)
    if row.get("kind") in ("estimate", "counts") and not row.has("exclude"):
        yield from _incomplete(row)


def _error(row: Row, column: str, what: str, why: str, fix: str, rule: str) -> InputError:
    return InputError(row.place(column), f"{what} ({row.id})", why, fix, rule)


def _outside(row: Row, column: str, inside: bool, why: str, rule: str) -> Iterator[InputError]:
    """A cell that breaks the bounds of its kind."""
    if row.has(column) and not inside:
        yield _error(row, column, f"{column} is {row.get(column):g}", why, f"correct {column}", rule)


def _beyond_print(row: Row) -> Iterator[InputError]:
    """Numbers that no paper prints: nothing can be computed from them, and their squares leave the machine's reach."""
    for column, value in row.cells.items():
        if isinstance(value, int | float) and value and not PRINTABLE[0] <= abs(value) <= PRINTABLE[1]:
            yield _error(
                row, column, f"{column} is {shown(value)}", "no quantity that people measure is so large or so small",
                "correct the exponent or the digits", "beyond-print",
            )  # fmt: skip


def _spreads(row: Row) -> Iterator[InputError]:
    for column in SPREADS:
        if row.has(column) and not row.get(column) > 0:
            yield _error(
                row, column, f"{column} is {row.get(column):g}", "a standard deviation or error is positive",
                "enter the value from the paper, or delete the cell", "spread-not-positive",
            )  # fmt: skip


def _sizes(row: Row) -> Iterator[InputError]:
    sized = row.get("kind") == "bounds" or (row.get("kind") == "estimate" and not row.has("yi"))
    sized = sized and not row.has("exclude")
    for column in ("n", "n1", "n2") if sized else ():
        if row.has(column) and row.get(column) < 2:
            yield _error(
                row, column, f"{column} is {row.get(column)}", "a standard deviation needs at least 2 people per group",
                "enter the group size from the paper, or give this row an exclude: reason", "n-too-small",
            )  # fmt: skip
    paired = row.has("mean_change") and row.get("n1") == row.get("n2") == row.get("n")  # the same people twice
    if row.has("n", "n1", "n2") and row.get("n1") + row.get("n2") > row.get("n") and not paired:
        yield _error(
            row, "n", f"n is {row.get('n')}, but n1 + n2 is {row.get('n1') + row.get('n2')}",
            "the groups cannot hold more people than the sample", "correct n, n1 or n2", "n-below-groups",
        )  # fmt: skip
    if row.has("n", "enrolled") and row.get("n") > row.get("enrolled"):
        yield _error(
            row, "n", f"n is {row.get('n')}, but {row.get('enrolled')} were enrolled",
            "nobody can be analysed who was not enrolled", "correct n or enrolled", "n-above-enrolled",
        )  # fmt: skip


def _statistics(row: Row) -> Iterator[InputError]:
    yield from _outside(row, "r", -1 < row.get("r", 0) < 1, "a correlation lies between -1 and 1", "r-out-of-range")
    yield from _outside(row, "p", 0 <= row.get("p", 0) <= 1, "a probability lies between 0 and 1", "p-out-of-range")
    yield from _outside(row, "alpha", 0 < row.get("alpha", 1) < 1, "a level lies between 0 and 1", "alpha-out-of-range")
    yield from _outside(row, "F", row.get("F", 0) >= 0, "F is a ratio of squares", "F-negative")
    for column in ("df", "df1", "df2"):
        yield from _outside(row, column, row.get(column, 1) > 0, "degrees of freedom are positive", "df-not-positive")
    if row.get("df1", 1) > 1 and row.get("kind") == "estimate":
        yield _error(
            row, "df1", f"F has {row.get('df1'):g} numerator degrees of freedom",
            "an F over more than two groups has no direction and is no effect size of two groups",
            "enter the means and SDs, or keep the direction under reported: instead", "F-of-many-groups",
        )  # fmt: skip


def _freedom(row: Row) -> Iterator[InputError]:
    """Degrees of freedom that the people of the row cannot give, whatever the test."""
    people = row.get("n", 0) - 1, row.get("n1", 0) + row.get("n2", 0) - 2 if row.has("n1", "n2") else 0
    if max(people) < 1:
        return
    named = "n" if people[0] >= people[1] else "n1 + n2"
    size = row.get("n") if named == "n" else row.get("n1") + row.get("n2")
    for column in ("df", "df2"):
        if row.has(column) and _printed(row, column).low > max(people):
            yield _error(
                row, column, f"{column} is {row.get(column):g}, but {named} is {size}",
                f"{size} people leave at most {max(people)} degrees of freedom",
                f"correct {column} or {named}; if the test is from a model of more people, add their number as n:",
                "df-above-n",
            )  # fmt: skip


def _printed(row: Row, column: str) -> Range:
    return printed_range(row.get(column), row.printed.get(column))


def _interval(row: Row) -> Iterator[InputError]:
    if not row.has("d_low", "d_high"):
        return
    low, high = row.get("d_low"), row.get("d_high")
    if low > high:
        yield _error(
            row,
            "d_low",
            f"the interval runs from {low:g} to {high:g}",
            "its limits are swapped",
            "swap them",
            "interval-swapped",
        )
    elif low == high:
        yield _error(
            row, "d_low", f"both limits of the interval are {low:g}", "a sampling error is never 0",
            "enter the limits with more digits, or delete d_ci", "interval-empty",
        )  # fmt: skip
    elif row.has("d") and not _printed(row, "d").meets(Range(_printed(row, "d_low").low, _printed(row, "d_high").high)):
        yield _error(
            row, "d", f"d is {row.get('d'):g}, outside its interval [{low:g}, {high:g}]",
            "an interval contains its estimate", "correct d or d_ci", "interval-without-estimate",
        )  # fmt: skip


def _range(row: Row, dictionary: Dictionary) -> Iterator[InputError]:
    outcome = dictionary.outcomes[row.get("outcome")]
    if outcome.range is None:
        return
    low, high = outcome.range
    for mean, sd, se, n in (("mean_change", "sd_change", "se_change", "n"), *GROUPS):
        if not row.has(mean):
            continue
        if not _printed(row, mean).meets(Range(low, high)):
            yield _error(
                row, mean, f"{mean} is {row.get(mean):g}, outside the scale {low:g} to {high:g}",
                f"{row.get('outcome')} cannot reach it", "correct the mean, or the range: in analysis.yaml",
                "mean-outside-scale",
            )  # fmt: skip
        elif row.has(n) and row.get(n) >= 2:
            middle = min(max((low + high) / 2, _printed(row, mean).low), _printed(row, mean).high)
            top = largest_sd(min(max(middle, low), high), low, high, row.get(n))  # of the means that print so
            as_sd = row.get(se, 0) * row.get(n) ** 0.5
            scores = f"all scores lie between {low:g} and {high:g}"
            if row.has(sd) and _printed(row, sd).low > top * (1 + ROUNDING):
                yield _error(
                    row, sd,
                    f"{sd} is {row.get(sd):g}, but with a mean of {row.get(mean):g} it cannot exceed {top:.3g}",
                    scores, "correct the SD, or the range: in analysis.yaml", "sd-too-large",
                )  # fmt: skip
            if row.has(se) and _printed(row, se).low * row.get(n) ** 0.5 > top * (1 + ROUNDING):
                yield _error(
                    row, se,
                    f"{se} is {row.get(se):g}, an SD of {as_sd:.3g}, but it cannot exceed {top:.3g}",
                    scores, f"write {sd}: {row.get(se):g} if the paper prints an SD, or correct the value",
                    "se-too-large",
                )  # fmt: skip


def largest_sd(mean: float, low: float, high: float, n: float) -> float:
    """The largest SD that n scores on a scale can have with a given mean (all at the two ends).

    Examples
    --------
    >>> round(largest_sd(0.0, -3, 3, 100), 3)
    3.015
    """
    return float(((mean - low) * (high - mean) * (n / (n - 1))) ** 0.5)


def _events(row: Row) -> Iterator[InputError]:
    for events, n in (("events1", "n1"), ("events2", "n2")):
        if row.has(events, n) and row.get(events) > row.get(n):
            yield _error(
                row, events, f"{events} is {row.get(events)}, but {n} is {row.get(n)}",
                "events cannot outnumber people", "correct the counts", "events-above-n",
            )  # fmt: skip
    if row.has("better", "same", "worse", "n"):
        total = row.get("better") + row.get("same") + row.get("worse")
        if total > row.get("n"):
            yield _error(
                row, "better", f"better + same + worse is {total}, but n is {row.get('n')}", "each person counts once",
                "correct the counts", "counts-above-n",
            )  # fmt: skip


def _shares(row: Row) -> Iterator[InputError]:
    for share in SHARES:
        if row.has(share) and not 0 <= row.get(share) <= 1:
            yield _error(
                row,
                share,
                f"{share} is {row.get(share):g}",
                "a share lies between 0 and 1",
                "write 0.30 for 30 percent",
                "share",
            )
    total = sum(row.get(share, 0) for share in SHARES)
    if total > 1.02 and all(row.get(share, 0) <= 1 for share in SHARES):  # three shares rounded to two digits: 1.015
        column = next(share for share in SHARES if row.has(share))
        yield _error(
            row,
            column,
            f"the shares add to {total:g}",
            "each person counts once",
            "correct the shares",
            "shares-above-1",
        )


Needs = tuple[tuple[str, ...], ...]
COMPLETE: tuple[tuple[tuple[str, ...], Needs, str], ...] = (
    (("mean_change",), (("n",),), "missing-n"),
    (("mean_change",), (("sd_change",), ("se_change",), ("t",), ("F", "sign"), ("p", "sign")), "missing-spread"),
    (("sd_change",), (("mean_change",),), "missing-mean"),
    (("se_change",), (("mean_change",),), "missing-mean"),
    (("m1",), (("m2",),), "missing-mean"),
    (("m2",), (("m1",),), "missing-mean"),
    (("m1", "m2"), (("n1", "n2"), ("mean_change", "n")), "missing-n"),  # before and after, of the same people
    (
        ("m1", "m2"),
        (("sd1", "sd2"), ("se1", "se2"), ("sd1", "se2"), ("se1", "sd2"), ("t",), ("F", "sign"), ("p", "sign")),
        "missing-spread",
    ),
    (("d",), (("d_se",), ("d_low", "d_high"), ("n1", "n2")), "missing-spread"),
    (("yi",), (("vi",), ("sei",)), "missing-spread"),
    (("events1",), (("n1",),), "missing-n"),
    (("events2",), (("n2",),), "missing-n"),
    (("events2",), (("events1",),), "missing-counts"),
    (("r",), (("n",),), "missing-n"),
)
EFFECTS = ("mean_change", "m1", "m2", "t", "F", "p", "r", "d", "yi")
COUNTED = ("better", "same", "worse", "events1", "events2", *SHARES)
WITHOUT = {
    "missing-n": ("its precision is unknown", "add the number of people from the paper"),
    "missing-mean": ("half a result says nothing", "add it from the paper"),
    "missing-spread": (
        "no sampling variance follows, so the row could not be weighted",
        "add one of them from the paper",
    ),
    "missing-counts": ("half a table says nothing", "add it from the paper"),
}


def _incomplete(row: Row) -> Iterator[InputError]:
    """A number whose partner is missing, so that it could not enter anything."""
    for given, partners, rule in COMPLETE:
        if row.has(*given) and not _has_any(row, partners):
            need = " or ".join(" and ".join(partner) for partner in partners)
            why, fix = WITHOUT[rule]
            yield _error(
                row, given[0], f"{' and '.join(given)} without {need}", why,
                f"{fix}; if it is not reported, keep the direction under reported: instead", rule,
            )  # fmt: skip
    if row.get("kind") == "estimate":
        yield from _only_a_test(row)
        if not any(row.has(column) for column in EFFECTS):
            yield _error(
                row, "effect", "numbers: holds no effect", "a size of a sample is not yet a result",
                "add the mean, the test statistic or the effect size, or delete numbers:", "no-effect",
            )  # fmt: skip
    elif not any(row.has(column) for column in COUNTED):
        yield _error(
            row, "effect", "counts: holds no counts", "a size of a sample is not yet a result",
            "add better, same and worse, or the events, or delete counts:", "no-effect",
        )  # fmt: skip


def _has_any(row: Row, partners: Sequence[Sequence[str]]) -> bool:
    return any(row.has(*partner) for partner in partners)


def _only_a_test(row: Row) -> Iterator[InputError]:
    """A test statistic that stands alone needs people and, when it has no sign of its own, a direction."""
    if any(row.has(column) for column in ("mean_change", "m1", "m2", "r", "d", "yi", "events1", "better")):
        return
    tests = [column for column in ("t", "F", "p") if row.has(column)]
    if not tests:
        return
    if not row.has("n") and not row.has("n1", "n2"):
        yield _error(
            row, tests[0], f"{tests[0]} without n, or n1 and n2", "its precision is unknown",
            "add the number of people from the paper", "missing-n",
        )  # fmt: skip
    if "t" not in tests and not row.has("sign"):
        yield _error(
            row, tests[0], f"{tests[0]} without a sign", f"{tests[0]} does not say which side is higher",
            "add reported: {sign: ...} with a word of the outcome's family", "missing-sign",
        )  # fmt: skip


# What each rule is about, for `catharsis check --explain`. They are met in one sweep over the rows, not one by one.
_SAID: dict[str, tuple[str, str, str]] = {
    "beyond-print": (
        "a number beyond 1e60, or nearer to 0 than 1e-60",
        "no quantity that people measure is so large or so small",
        "correct the exponent or the digits",
    ),
    "spread-not-positive": (
        "a standard deviation, standard error or variance that is 0 or less",
        "a standard deviation or error is positive",
        "enter the value from the paper, or delete the cell",
    ),
    "n-too-small": (
        "fewer than two people in a group whose spread is used",
        "a standard deviation needs at least 2 people per group",
        "enter the group size from the paper, or give the row an exclude: reason",
    ),
    "n-below-groups": ("groups that hold more people than n", "n counts all of them", "correct n, n1 or n2"),
    "n-above-enrolled": (
        "more people analysed than enrolled",
        "nobody can be analysed who was not enrolled",
        "correct n or enrolled",
    ),
    "df-above-n": (
        "more degrees of freedom than the people of the row can give",
        "one group leaves n - 1, two groups leave n1 + n2 - 2, and covariates leave fewer",
        "correct the degrees of freedom or n; if the test is from a model of more people, add their number as n:",
    ),
    "r-out-of-range": (
        "a correlation of 1 or beyond",
        "a correlation lies between -1 and 1, and its variance is 0 at the ends",
        "correct r",
    ),
    "p-out-of-range": ("a p value below 0 or above 1", "a probability lies between 0 and 1", "correct p"),
    "alpha-out-of-range": ("an alpha that is no probability", "a level lies between 0 and 1", "correct alpha"),
    "F-negative": ("an F below 0", "F is a ratio of squares", "correct F"),
    "df-not-positive": ("degrees of freedom of 0 or less", "degrees of freedom are positive", "correct them"),
    "F-of-many-groups": (
        "an F with more than one numerator degree of freedom",
        "it compares more than two groups, so it has no direction and is no effect size of two groups",
        "enter the means and SDs, or keep the direction under reported: instead",
    ),
    "interval-swapped": ("an interval whose lower limit is above its upper one", "its limits are swapped", "swap them"),
    "interval-empty": (
        "an interval whose limits are equal",
        "a sampling error is never 0",
        "enter the limits with more digits, or delete d_ci",
    ),
    "interval-without-estimate": (
        "an estimate outside its own interval, beyond rounding",
        "an interval contains its estimate",
        "correct the estimate or the interval",
    ),
    "mean-outside-scale": (
        "a mean that the scale of its outcome cannot reach",
        "no average of scores lies outside them",
        "correct the mean, or the range: in analysis.yaml",
    ),
    "sd-too-large": (
        "an SD above the largest that scores on the scale can have with that mean",
        "scores spread most when all of them lie at the two ends",
        "correct the SD, or the range: in analysis.yaml",
    ),
    "se-too-large": (
        "a standard error that means an SD above the largest that the scale allows",
        "an SD typed as a standard error grows by the root of n",
        "write it as an SD if the paper prints an SD, or correct the value",
    ),
    "events-above-n": ("more events than people", "each person counts once", "correct the counts"),
    "counts-above-n": ("more people better, same and worse than n", "each person counts once", "correct the counts"),
    "share": ("a share below 0 or above 1", "a share lies between 0 and 1", "write 0.30 for 30 percent"),
    "shares-above-1": ("shares that add to more than 1", "each person counts once", "correct the shares"),
    "missing-n": ("a number without the people behind it", *WITHOUT["missing-n"]),
    "missing-mean": ("a spread without its mean, or one mean of two", *WITHOUT["missing-mean"]),
    "missing-spread": ("an effect without anything that gives its precision", *WITHOUT["missing-spread"]),
    "missing-counts": ("one group of a two-by-two table", *WITHOUT["missing-counts"]),
    "missing-sign": (
        "an F or p that stands alone, without a direction",
        "neither says which side is higher",
        "add reported: {sign: ...} with a word of the outcome's family",
    ),
    "no-effect": (
        "numbers: or counts: without an effect in it",
        "a size of a sample is not yet a result",
        "add the result, or delete the block",
    ),
}
RULES: tuple[Rule, ...] = tuple(Rule(name, "impossible", *words) for name, words in _SAID.items())
