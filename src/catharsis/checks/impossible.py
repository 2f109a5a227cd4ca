"""Cells that cannot be right whatever the study: errors."""

from __future__ import annotations

from collections.abc import Iterator

from catharsis.errors import InputError
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import Row

SPREADS = ("sd_change", "se_change", "sd1", "se1", "sd2", "se2", "d_se", "vi", "sei")
MEANS = (("m1", "sd1", "n1"), ("m2", "sd2", "n2"))


def impossible(row: Row, dictionary: Dictionary) -> Iterator[InputError]:
    """Every cell of a row that cannot stand."""
    yield from _spreads(row)
    yield from _sizes(row)
    yield from _statistics(row)
    yield from _interval(row)
    yield from _range(row, dictionary)
    yield from _events(row)
    yield from _incomplete(row)


def _error(row: Row, column: str, what: str, why: str, fix: str, rule: str) -> InputError:
    return InputError(row.place(column), f"{what} ({row.id})", why, fix, rule)


def _spreads(row: Row) -> Iterator[InputError]:
    for column in SPREADS:
        if row.has(column) and not row.get(column) > 0:
            yield _error(
                row, column, f"{column} is {row.get(column)}", "a standard deviation or error is positive",
                "enter the value from the paper, or delete the cell", "spread-not-positive",
            )  # fmt: skip


def _sizes(row: Row) -> Iterator[InputError]:
    for column in ("n", "n1", "n2"):
        if row.has(column) and row.get(column) < 2 and row.get("kind") in ("estimate", "bounds"):
            yield _error(
                row, column, f"{column} is {row.get(column)}", "a standard deviation needs at least 2 people per group",
                "enter the group size from the paper, or give this row an exclude: reason", "n-too-small",
            )  # fmt: skip
    if row.has("n", "n1", "n2") and row.get("n1") + row.get("n2") > row.get("n"):
        yield _error(
            row, "n", f"n is {row.get('n')}, but n1 + n2 is {row.get('n1') + row.get('n2')}",
            "the groups cannot hold more people than the sample", "correct n, n1 or n2", "n-below-groups",
        )  # fmt: skip
    if row.has("n", "enrolled") and row.get("n") > row.get("enrolled"):
        yield _error(
            row, "n", f"n is {row.get('n')}, but {row.get('enrolled')} were enrolled", "nobody can be analysed who was not enrolled",
            "correct n or enrolled", "n-above-enrolled",
        )  # fmt: skip


def _statistics(row: Row) -> Iterator[InputError]:
    if row.has("r") and not -1 < row.get("r") < 1:
        yield _error(row, "r", f"r is {row.get('r')}", "a correlation lies between -1 and 1", "correct r", "r-out-of-range")
    if row.has("p") and not 0 <= row.get("p") <= 1:
        yield _error(row, "p", f"p is {row.get('p')}", "a probability lies between 0 and 1", "correct p", "p-out-of-range")
    if row.has("F") and row.get("F") < 0:
        yield _error(row, "F", f"F is {row.get('F')}", "F is a ratio of squares", "correct F", "F-negative")
    if row.has("df1") and row.get("df1") != 1 and row.get("kind") == "estimate":
        yield _error(
            row, "df1", f"F has {row.get('df1'):g} numerator degrees of freedom",
            "an F over more than two groups has no direction and is no effect size of two groups",
            "enter the means and SDs, or call the row kind: direction", "F-of-many-groups",
        )  # fmt: skip
    for share in ("share_better", "share_same", "share_worse"):
        if row.has(share) and not 0 <= row.get(share) <= 1:
            yield _error(row, share, f"{share} is {row.get(share)}", "a share lies between 0 and 1", "write 0.30 for 30 percent", "share")


def _interval(row: Row) -> Iterator[InputError]:
    if not row.has("d_low", "d_high"):
        return
    low, high = row.get("d_low"), row.get("d_high")
    if low > high:
        yield _error(row, "d_low", f"the interval runs from {low} to {high}", "its limits are swapped", "swap them", "interval-swapped")
    elif row.has("d") and not low <= row.get("d") <= high:
        yield _error(
            row, "d", f"d is {row.get('d')}, outside its interval [{low}, {high}]", "an interval contains its estimate",
            "correct d or d_ci", "interval-without-estimate",
        )  # fmt: skip


def _range(row: Row, dictionary: Dictionary) -> Iterator[InputError]:
    outcome = dictionary.outcomes[row.get("outcome")]
    if outcome.range is None:
        return
    low, high = outcome.range
    for mean in ("mean_change", "m1", "m2"):
        if row.has(mean) and not low <= row.get(mean) <= high:
            yield _error(
                row, mean, f"{mean} is {row.get(mean)}, outside the scale {low:g} to {high:g}",
                f"{row.get('outcome')} cannot reach it", "correct the mean, or the range: in analysis.yaml", "mean-outside-scale",
            )  # fmt: skip
    for mean, sd, n in (("mean_change", "sd_change", "n"), *MEANS):
        if row.has(mean, sd, n) and low <= row.get(mean) <= high and row.get(n) >= 2:
            top = largest_sd(row.get(mean), low, high, row.get(n))
            if row.get(sd) > top * (1 + 1e-3):
                yield _error(
                    row, sd, f"{sd} is {row.get(sd)}, but with a mean of {row.get(mean)} it cannot exceed {top:.3g}",
                    f"all scores lie between {low:g} and {high:g}", "correct the SD, or the range: in analysis.yaml", "sd-too-large",
                )  # fmt: skip


def largest_sd(mean: float, low: float, high: float, n: float) -> float:
    """The largest SD that n scores on a scale can have with a given mean (all at the two ends).

    Examples
    --------
    >>> round(largest_sd(0.0, -3, 3, 100), 3)
    3.015
    """
    return float(((mean - low) * (high - mean) * n / (n - 1)) ** 0.5)


def _events(row: Row) -> Iterator[InputError]:
    for events, n in (("events1", "n1"), ("events2", "n2")):
        if row.has(events, n) and row.get(events) > row.get(n):
            yield _error(
                row, events, f"{events} is {row.get(events)}, but {n} is {row.get(n)}", "events cannot outnumber people",
                "correct the counts", "events-above-n",
            )  # fmt: skip
    if row.has("better", "same", "worse", "n"):
        total = row.get("better") + row.get("same") + row.get("worse")
        if total > row.get("n"):
            yield _error(
                row, "better", f"better + same + worse is {total}, but n is {row.get('n')}", "each person counts once",
                "correct the counts", "counts-above-n",
            )  # fmt: skip


COMPLETE: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
    (("mean_change",), (("sd_change",), ("se_change",), ("t",))),
    (("m1", "m2"), (("sd1", "sd2"), ("se1", "se2"), ("t",), ("F",), ("p",))),
    (("d",), (("d_se",), ("d_low", "d_high"), ("n1", "n2"), ("n",))),
    (("yi",), (("vi",), ("sei",))),
    (("events1",), (("n1",),)),
    (("r",), (("n",),)),
)


def _incomplete(row: Row) -> Iterator[InputError]:
    """A number whose partner is missing, so that it could not enter anything."""
    if row.get("kind") not in ("estimate", "counts") or row.has("exclude"):
        return
    for given, partners in COMPLETE:
        if row.has(*given) and not any(row.has(*partner) for partner in partners):
            need = " or ".join(" and ".join(partner) for partner in partners)
            yield _error(
                row, given[0], f"{' and '.join(given)} without {need}", "no sampling variance follows, so the row could not be weighted",
                f"add {need} from the paper; if it is not reported, keep the direction under reported: instead", "missing-spread",
            )  # fmt: skip
    if (row.has("mean_change") and not row.has("n")) or (row.has("m1", "m2") and not row.has("n1", "n2")):
        yield _error(
            row, "mean_change", "a mean without the number of people", "its precision is unknown",
            "add n (one group) or n1 and n2 (two groups)", "missing-n",
        )  # fmt: skip
