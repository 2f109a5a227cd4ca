"""Which rows enter a synthesis: a small, safe expression over the table's columns.

`partition == 'country' and evidence == 'direct'`, `phase in ['after', 'resolution']`,
`missing(partition)`. The expression is parsed, never evaluated as Python.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from catharsis.errors import At, InputError, InputErrors, did_you_mean, shown
from catharsis.studies.table import Row, is_missing

COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
MAX_DEPTH = 30  # brackets and not within each other
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def compile_rows(expression: str, columns: Sequence[str], at: At) -> Callable[[Row], bool]:
    """Turn a row expression into a test of one row.

    Parameters
    ----------
    expression : str
        Comparisons of columns with values, joined by and / or / not; `missing(column)`.
    columns : sequence of str
        The columns that exist.
    at : At
        Where the expression stands.

    Returns
    -------
    callable
        Row to bool. A comparison with an absent cell is false, except `!=` and `not in`.

    Raises
    ------
    InputErrors
        When it does not parse, names an unknown column, or does anything else.

    Examples
    --------
    >>> test = compile_rows("kind == 'estimate' and not missing(n)", ["kind", "n"], At("a.yaml", 3))
    >>> test(Row({"kind": "estimate", "n": 12}, {}, At("t.yaml", 1)))
    True
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on its own syntax ('\\d', 1in x) do not concern a row
            tree = ast.parse(" ".join(expression.split("\n")).strip(), mode="eval").body
        test = _Compiler(columns, at, expression).node(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refuse(
            at, expression, "it is not an expression", "compare a column with a value: kind == 'estimate'"
        ) from None
    return lambda row: bool(test(row))


def _refuse(at: At, expression: str, why: str, fix: str) -> InputErrors:
    return InputErrors([InputError(at, f"the row expression {shown(expression)} cannot be used", why, fix, "rows")])


class _Compiler:
    """Walks the expression; anything that is not listed here is refused."""

    def __init__(self, columns: Sequence[str], at: At, expression: str) -> None:
        self.columns, self.at, self.expression = frozenset(columns), at, expression
        self.depth = 0

    def node(self, node: ast.expr) -> Callable[[Row], Any]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refuse(self.at, self.expression, "it is nested too deeply", "simplify it")
        test = self.test(node)
        self.depth -= 1
        return test

    def test(self, node: ast.expr) -> Callable[[Row], Any]:
        if isinstance(node, ast.BoolOp):
            parts = [self.node(value) for value in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda row: every(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.node(node.operand)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "missing"
            and len(node.args) == 1
            and not node.keywords
        ):
            column = self.column(node.args[0])
            return lambda row: is_missing(row.get(column))
        raise _refuse(
            self.at, self.expression, "only comparisons, and, or, not and missing() are understood", "simplify it"
        )

    def comparison(self, node: ast.Compare) -> Callable[[Row], bool]:
        operands = [node.left, *node.comparators]
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn) and not isinstance(right, ast.List | ast.Tuple | ast.Set | ast.Name):
                raise _refuse(
                    self.at, self.expression, '"in" looks in a list, and this is not one', "write in ['one', 'two']"
                )
        values = [self.value(operand) for operand in operands]
        steps = [(type(op), COMPARISONS[type(op)]) for op in node.ops if type(op) in COMPARISONS]
        if len(steps) != len(node.ops):
            raise _refuse(self.at, self.expression, "an operator is not understood", "use == != < <= > >= in, not in")

        def test(row: Row) -> bool:
            found = [value(row) for value in values]
            return all(_compare(kind, step, found[i], found[i + 1]) for i, (kind, step) in enumerate(steps))

        return test

    def value(self, node: ast.expr) -> Callable[[Row], Any]:
        if isinstance(node, ast.Name):
            column = self.column(node)
            return lambda row: row.get(column)
        try:
            constant = ast.literal_eval(node)
            if not all(isinstance(part, str | int | float) for part in _parts(constant)):
                raise ValueError(constant)
        except (ValueError, TypeError):
            raise _refuse(
                self.at, self.expression, "a value is neither a column nor plain", "write 'text' or a number"
            ) from None
        return lambda row: constant

    def column(self, node: ast.expr) -> str:
        name = node.id if isinstance(node, ast.Name) else "?"
        if name not in self.columns:
            raise _refuse(
                self.at,
                self.expression,
                f'there is no column "{name}"',
                did_you_mean(name, sorted(self.columns)),
            )
        return name


def _parts(constant: Any) -> Sequence[Any]:
    return list(constant) if isinstance(constant, list | tuple | set) else [constant]


def _compare(kind: type, step: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if kind in ORDERED and (is_missing(left) or is_missing(right)):
        return False
    try:
        return step(left, right)
    except TypeError:  # text against a number, or looking into an absent cell
        return kind is ast.NotIn
