"""Row expressions: what they select, and what they refuse."""

from __future__ import annotations

import time
from typing import Any

import pytest

from catharsis.errors import At, InputErrors
from catharsis.studies.selection import compile_rows
from catharsis.studies.table import Row

COLUMNS = ("kind", "n", "partition", "note", "checked")
AT = At("analysis.yaml", 3)


def row(**cells: Any) -> Row:
    return Row(cells, {}, At("studies.yaml", 1))


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("kind == 'estimate'", True), ("kind != 'estimate'", False), ("n > 11", True), ("n >= 12 and n <= 12", True),
        ("11 < n < 12", False), ("n == 12.0", True), ("n == -12", False), ("kind in ['counts', 'estimate']", True),
        ("kind not in ('counts', 'none')", True), ("not missing(n)", True), ("missing(partition)", True),
        ("partition == 'x'", False), ("partition != 'x'", True), ("partition in ['x']", False),
        ("partition not in ['x']", True),
        ("partition < 'x'", False), ("'shame' in note", True), ("'pride' in note", False), ("'x' in partition", False),
        ("'x' not in partition", True), ("n > 'a'", False), ("kind == 'none' or n == 12 and checked == True", True),
        ("(kind == 'none' or n == 12)\n  and not (n == 12)", False), ("  kind\n== 'estimate' ", True),
        (r"note != '\d'", True),
    ],
)  # fmt: skip
def test_what_is_selected(expression: str, selected: bool) -> None:
    test = compile_rows(expression, COLUMNS, AT)
    assert test(row(kind="estimate", n=12, note="trait shame", checked=True)) is selected


@pytest.mark.parametrize(
    ("expression", "why", "fix"),
    [
        ("kind = 'estimate'", "it is not an expression", "compare a column with a value: kind == 'estimate'"),
        ("", "it is not an expression", "compare a column with a value: kind == 'estimate'"),
        ("kind == 'a", "it is not an expression", "compare a column with a value: kind == 'estimate'"),
        ("knid == 'estimate'", 'there is no column "knid"', 'did you mean "kind"?'),
        ("missing(kidn)", 'there is no column "kidn"', 'did you mean "kind"?'),
        ("missing('kind')", 'there is no column "?"', "use one of: checked, kind, n, note, partition"),
        ("kind", "only comparisons, and, or, not and missing() are understood", "simplify it"),
        ("missing(kind, a=1)", "only comparisons, and, or, not and missing() are understood", "simplify it"),
        ("__import__('os').system('x')", "only comparisons, and, or, not and missing() are understood", "simplify it"),
        ("n + 1 == 2", "a value is neither a column nor plain", "write 'text' or a number"),
        ("n == 9**9**9**9", "a value is neither a column nor plain", "write 'text' or a number"),
        ("n == None", "a value is neither a column nor plain", "write 'text' or a number"),
        ("n == kind.__class__", "a value is neither a column nor plain", "write 'text' or a number"),
        ("n == f'{kind}'", "a value is neither a column nor plain", "write 'text' or a number"),
        ("n in [[1]]", "a value is neither a column nor plain", "write 'text' or a number"),
        ("kind in 'estimate'", '"in" looks in a list, and this is not one', "write in ['one', 'two']"),
        ("kind is 'estimate'", "an operator is not understood", "use == != < <= > >= in, not in"),
        ("not " * 40 + "kind == 'a'", "it is nested too deeply", "simplify it"),
    ],
)
def test_what_is_refused(expression: str, why: str, fix: str) -> None:
    with pytest.raises(InputErrors) as caught:
        compile_rows(expression, COLUMNS, AT)
    (problem,) = caught.value.problems
    assert (problem.at, problem.why, problem.fix, problem.rule) == (AT, why, fix, "rows")
    assert problem.what.startswith("the row expression ")
    assert problem.what.endswith(" cannot be used")


@pytest.mark.parametrize(
    "expression",
    ["(" * 100_000, "not " * 100_000, "-" * 100_000 + "1", "n == " + "9" * 100_000, "n == " + "[" * 5000 + "]" * 5000,
     "n == 1 or " * 20_000, "n == 1 or " * 20_000 + "n == 2", "n == " + "-" * 3000 + "1", "\0", "\ud800",
     "n == '\ud800'", "a" * 100_000],
    ids=range(12),
)  # fmt: skip
def test_monsters_cost_little(expression: str) -> None:
    start = time.process_time()
    said = ""
    try:
        compile_rows(expression, COLUMNS, AT)(row(n=3))
    except InputErrors as found:
        said = str(found)
    assert len(said) < 600
    assert time.process_time() - start < 2
