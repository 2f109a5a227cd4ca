"""Printed test statistics against each other, against means and SDs, and against the number of people.

The order is that of a results section: means and SDs give t or F, these with df give p [@nuijten2016]. A number is told
only when it fits none of the ways that papers use: equal variances and Welch, two-sided and one-sided, df printed and
df implied by n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from catharsis.checks.recomputation import (
    CUT_OFF,
    FIRST,
    SECOND,
    Candidate,
    TwoGroups,
    cell,
    fits,
    p_of_f,
    p_of_t,
    rows_of,
    sizes,
    t_of_change,
    t_of_groups,
    t_of_r,
    told,
    two_groups,
    ways,
    welch_dfs,
    widened,
)
from catharsis.checks.rounding import Range
from catharsis.checks.rules import Finding
from catharsis.errors import InputError
from catharsis.studies.table import Row, StudyTable

PAIRED = ("one-sample", "paired", "within", "pre-post", "repeated")
ALPHAS = (0.05,)  # levels at which a wrong p changes the decision


def finding(row: Row, column: str, what: str, why: str, fix: str, rule: str) -> Finding:
    """A finding about one cell of one row."""
    return Finding((row,), InputError(row.place(column), f"{what} ({row.id})", why, fix, rule))


def within_people(row: Row) -> bool:
    """Whether the two columns of means may be two measurements of the same people."""
    if row.get("test") in PAIRED:
        return True
    return row.has("n1", "n2", "df") and row.get("n1") == row.get("n2") and row.get("df") == row.get("n1") - 1


def one_degree(row: Row) -> bool:
    """Whether F, when there is one, compares two things."""
    return bool(row.get("df1", 1) == 1)


def df_column(row: Row) -> str | None:
    """The column of the degrees of freedom of a t or F(1, df)."""
    return next((column for column in ("df", "df2") if row.has(column)), None)


@dataclass(frozen=True, slots=True)
class Df:
    """Degrees of freedom that people imply, and how."""

    way: str
    range: Range


def implied_df(row: Row) -> list[Df]:
    """The df that the number of people allows for a test of the row."""
    found = []
    n1, n2, n = row.get("n1"), row.get("n2"), row.get("n")
    if row.has("n1", "n2"):
        if n1 + n2 > 2 and row.get("test") not in PAIRED:
            found.append(Df("n1 + n2 - 2", Range(n1 + n2 - 2, n1 + n2 - 2)))
            groups = two_groups(row)
            if groups is not None:
                found.append(Df("Welch", welch_dfs(groups)))
        if n1 == n2 and n1 > 1:
            found.append(Df("pairs - 1", Range(n1 - 1, n1 - 1)))
    elif row.has("n"):
        test = row.get("test")
        if n > 1 and test not in ("correlation", "two-sample") and not _of_correlation(row):
            found.append(Df("n - 1", Range(n - 1, n - 1)))
        if n > 2 and test not in PAIRED:
            found.append(Df("n - 2", Range(n - 2, n - 2)))
    if not found and row.has("n") and n > 2:
        found.append(Df("n - 2", Range(n - 2, n - 2)))
    return found


def _of_correlation(row: Row) -> bool:
    """Whether a test without a name is that of the r beside it."""
    return row.has("r") and not row.has("test") and not row.has("mean_change") and not row.has("m1")


def dfs(row: Row) -> list[Df]:
    """The df of the row's test: printed, else implied."""
    column = df_column(row)
    if column is not None:
        return [Df("df as printed", printed_df(row, column))] if row.get(column) > 0 else []
    return implied_df(row)


def printed_df(row: Row, column: str) -> Range:
    """The df behind printed digits: whole ones that count the people are exact, others may be Welch's, rounded."""
    value = float(row.get(column))
    counted = any(item.way != "Welch" and item.range.low == item.range.high == value for item in implied_df(row))
    return Range(value, value) if counted else cell(row, column)


# -- df against n -------------------------------------------------------------------------------------


def df_against_n(table: StudyTable) -> Iterator[Finding]:
    """Degrees of freedom that the number of people does not give."""
    for row in rows_of(table):
        column = df_column(row)
        if column is None or not one_degree(row) or not row.get(column) > 0:
            continue
        implied = implied_df(row)
        target = cell(row, column, CUT_OFF if "." in row.printed.get(column, "") else 0.0)
        if not implied or any(widened(target).meets(item.range) for item in implied):
            continue
        if _welch_without_sds(row, target):
            continue
        people = f"n1 {row.get('n1')} and n2 {row.get('n2')}" if row.has("n1", "n2") else f"n {row.get('n')}"
        allowed = " or ".join(f"{_whole(item.range)} ({item.way})" for item in implied)
        yield finding(
            row, column, f"{column} is {row.get(column):g}, but {people} give {allowed}",
            "degrees of freedom count the people in a test, so either somebody is missing or a number is mistyped",
            f"correct {column} or n; if people dropped out or covariates were in the model, enter the n of the test, "
            "or waive with a reason", "df-against-n",
        )  # fmt: skip


def _whole(values: Range) -> str:
    return f"{values.low:g}" if values.low == values.high else f"{values.low:.1f} to {values.high:.1f}"


def _welch_without_sds(row: Row, df: Range) -> bool:
    """Whether broken df may be Welch's, when no SDs say what his would be; also when they are printed whole."""
    if not row.has("n1", "n2") or two_groups(row) is not None:
        return False
    low, high = min(row.get("n1"), row.get("n2")) - 1, row.get("n1") + row.get("n2") - 2
    return df.low != df.high and low <= df.high and df.low <= high


# -- t and F against means ----------------------------------------------------------------------------


def expected_t(row: Row) -> list[Candidate]:
    """The t from means and SDs of two groups, or of one group's change."""
    groups = two_groups(row)
    if groups is not None and not within_people(row):
        return t_of_groups(groups)
    return t_of_change(row) if not row.has("n1", "n2") else []


def t_against_means(table: StudyTable) -> Iterator[Finding]:
    """The t and F that the means and SDs do not give."""
    for row in rows_of(table):
        expected = expected_t(row)
        if not expected:
            continue
        if row.has("t"):
            yield from _t_misfit(row, expected)
        elif row.has("F") and one_degree(row):
            squares = [Candidate(item.way, _squared(item.range)) for item in expected]
            if not fits(cell(row, "F", CUT_OFF), squares):
                yield finding(
                    row, "F", f"{told(row, 'F')}, but the means and SDs give {ways(squares)}",
                    _why(row), "check means, SDs, group sizes and F against the paper", "t-against-means",
                )  # fmt: skip


def _squared(values: Range) -> Range:
    size = sizes(values)
    return Range(size.low**2, size.high**2)


def _t_misfit(row: Row, expected: list[Candidate]) -> Iterator[Finding]:
    t = cell(row, "t", CUT_OFF)
    if fits(t, expected):
        return
    turned = [Candidate(item.way, Range(-item.range.high, -item.range.low)) for item in expected]
    if fits(t, turned):
        yield finding(
            row, "t", f"{told(row, 't')}, but the means give {ways(expected)}: the same size with the other sign",
            "the two groups changed places in one of them", "turn the sign of t, or swap the two groups",
            "sign-contradiction",
        )  # fmt: skip
        return
    yield finding(
        row, "t", f"{told(row, 't')}, but the means and SDs give {ways(expected)}", _why(row),
        "check means, SDs, group sizes and t against the paper; t of a model with covariates belongs in a row without "
        "the means", "t-against-means",
    )  # fmt: skip


def _why(row: Row) -> str:
    """A guess at what happened, when one change makes the numbers agree."""
    guess = standard_errors_fit(row)
    return guess or "both say how far apart the means are in units of their error, so one of the numbers is wrong"


def standard_errors_fit(row: Row) -> str:
    """Whether t or F fits once the SDs are read as standard errors, or the standard errors as SDs."""
    groups = two_groups(row)
    if groups is None:
        return ""
    column = "t" if row.has("t") else "F"
    target = sizes(cell(row, column, CUT_OFF))
    roots = (math.sqrt(groups.n1), math.sqrt(groups.n2))
    for printed, other, turn in (("sd", "standard error", 1), ("se", "standard deviation", -1)):
        if not (row.has(f"{printed}1") and row.has(f"{printed}2")):
            continue
        for which, factors in (
            ("sd1 and sd2 are", roots), ("sd1 is a", (roots[0], 1.0)), ("sd2 is a", (1.0, roots[1])),
        ):  # fmt: skip
            read = TwoGroups(
                groups.m1, groups.sd1.scaled(factors[0] ** turn), groups.n1,
                groups.m2, groups.sd2.scaled(factors[1] ** turn), groups.n2,
            )  # fmt: skip
            sized = [Candidate(item.way, sizes(item.range)) for item in t_of_groups(read)]
            sized = sized if column == "t" else [Candidate(item.way, _squared(item.range)) for item in sized]
            if fits(target, sized):
                plural = "s" if "and" in which else ""
                return f"they agree if {which.replace('sd', printed)} {other}{plural}: is it printed so in the paper?"
    return ""


def borne_out(row: Row) -> bool:
    """Whether a printed t or F is what the means and SDs give, and would not be with standard errors for the SDs.

    Then both were read right, however small the spreads are beside those of other samples.
    """
    column = next((name for name in ("t", "F") if row.has(name)), None)
    expected = expected_t(row) if column is not None and one_degree(row) else []
    if column is None or not expected:
        return False
    target = cell(row, column, CUT_OFF)
    if not fits(target, _as(column, expected)):
        return False
    if two_groups(row) is not None:
        return not standard_errors_fit(row)
    times = row.get("n") ** (-0.5 if row.has("sd_change") else 0.5)
    return not fits(target, _as(column, [Candidate(item.way, item.range.scaled(times)) for item in expected]))


def _as(column: str, expected: list[Candidate]) -> list[Candidate]:
    """What a t is under the name of t or of F(1, df)."""
    return expected if column == "t" else [Candidate(item.way, _squared(item.range)) for item in expected]


# -- p against its test -------------------------------------------------------------------------------


def expected_p(row: Row) -> tuple[str, list[Candidate]]:
    """The p from the row's own test, else from its means; with the words for what it came from."""
    found: list[Candidate] = []
    source = ""
    if row.has("t"):
        source, found = "t", _p_of_ts(cell(row, "t"), dfs(row))
    elif row.has("F"):
        source = "F"
        f = cell(row, "F")
        f = Range(max(f.low, 0.0), f.high)
        for item in dfs(row):
            p = p_of_f(f, row.get("df1", 1), item.range)
            found += [Candidate(f"{item.way}, two-sided", p)] if p is not None else []
    elif row.has("r", "n") and row.get("n") > 2 and abs(row.get("r")) < 1:
        source = "r and n"
        df = row.get("n") - 2
        t = t_of_r(cell(row, "r"), Range(df, df))
        found = _p_of_ts(t, [Df("df = n - 2", Range(df, df))]) if t is not None else []
    elif row.has("mean_change") or two_groups(row) is not None:
        source = "the means and SDs"
        for expected in expected_t(row):
            for df in dfs(row):
                if (expected.way == "Welch") == (df.way == "Welch") or df.way == "df as printed":
                    found += _p_of_ts(expected.range, [df], f"{expected.way}, ")
    return source, found


def _p_of_ts(t: Range, found: list[Df], before: str = "") -> list[Candidate]:
    values = [(item.way, p_of_t(t, item.range)) for item in found]
    return [Candidate(f"{before}{way}, two-sided", p) for way, p in values if p is not None]


def one_sided(candidates: list[Candidate], wrong_way: bool = False) -> list[Candidate]:
    """Half of every two-sided p; also the rest of it when the effect may go against the tested direction."""
    half = [Candidate(item.way.replace("two", "one"), item.range.scaled(0.5)) for item in candidates]
    rest = [Candidate(item.way, Range(1 - item.range.high, 1 - item.range.low)) for item in half]
    return half + rest if wrong_way else half


def p_against_test(table: StudyTable) -> Iterator[Finding]:
    """The p that its own test statistic, or the means and SDs, do not give."""
    for row in rows_of(table):
        if not row.has("p") or not 0 <= row.get("p") <= 1:
            continue
        source, two_sided = expected_p(row)
        if not two_sided:
            continue
        one = one_sided(two_sided, row.get("sided") == 1)
        p = cell(row, "p", CUT_OFF)
        p = Range(max(p.low, 0.0), min(p.high, 1.0))
        if fits(p, two_sided + one):
            continue
        shown = one if row.get("sided") == 1 else two_sided
        yield finding(
            row, "p", f"{told(row, 'p')}, but {source} give{'' if 'and' in source else 's'} {ways(shown)}",
            _decision(row, [item.range for item in shown]),
            f"check p, {source} and the degrees of freedom against the paper", "p-against-test",
        )  # fmt: skip


def _decision(row: Row, expected: list[Range]) -> str:
    p = row.get("p")
    for alpha in (row.get("alpha", ALPHAS[0]),):
        if all((p < alpha) != (item.high < alpha) and (p < alpha) != (item.low < alpha) for item in expected):
            return f"one of them lies below {alpha:g} and the other does not, so the verdict depends on it"
    return "a p follows from its test statistic and degrees of freedom, so one of the three is wrong"


# -- r ------------------------------------------------------------------------------------------------


def r_against_test(table: StudyTable) -> Iterator[Finding]:
    """A correlation and a t or F beside it that do not belong together."""
    for row in rows_of(table):
        statistic = next((name for name in ("t", "F") if row.has(name)), None)
        if not row.has("r") or statistic is None or not one_degree(row) or abs(row.get("r")) >= 1:
            continue
        found = []
        for item in dfs(row):
            t = t_of_r(cell(row, "r"), item.range) if item.range.low > 0 else None
            found += [Candidate(item.way, t if statistic == "t" else _squared(t))] if t is not None else []
        if found and not fits(cell(row, statistic, CUT_OFF), found):
            yield finding(
                row, statistic, f"{told(row, statistic)}, but r gives {ways(found)}",
                "a correlation and its test say the same thing in two ways",
                f"check r, n and {statistic} against the paper", "r-against-test",
            )  # fmt: skip


def t_against_f(table: StudyTable) -> Iterator[Finding]:
    """F(1, df) that is not the square of the t beside it."""
    for row in rows_of(table):
        if row.has("t", "F") and one_degree(row):
            square = [Candidate("t squared", _squared(cell(row, "t")))]
            if not fits(cell(row, "F", CUT_OFF), square):
                yield finding(
                    row, "F", f"{told(row, 'F')}, but t gives {ways(square)}",
                    "F with one numerator degree of freedom is the square of t", "check t and F against the paper",
                    "t-against-F",
                )  # fmt: skip


# -- SE against SD ------------------------------------------------------------------------------------


def se_against_sd(table: StudyTable) -> Iterator[Finding]:
    """A standard error that is not the SD over the root of n."""
    for row in rows_of(table):
        for _, sd, se, n in (("mean_change", "sd_change", "se_change", "n"), FIRST, SECOND):
            if not row.has(sd, se, n) or row.get(n) < 1:
                continue
            expected = [Candidate(f"{sd} over the root of {n}", cell(row, sd).scaled(row.get(n) ** -0.5))]
            if not fits(cell(row, se, CUT_OFF), expected):
                yield finding(
                    row, se, f"{told(row, se)}, but {sd} and {n} give {ways(expected)}",
                    "the standard error of a mean is SD over the root of n",
                    f"check {sd}, {se} and {n} against the paper", "se-against-sd",
                )  # fmt: skip
