"""Which columns a formula names, and that it asks for nothing but arithmetic.

Formulaic evaluates the parts of a formula as Python. A plan may come from someone else, so a part may hold columns,
numbers, arithmetic and the functions listed here, and nothing besides.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from catharsis.errors import FormulaError, did_you_mean

if TYPE_CHECKING:
    from formulaic import Formula

FUNCTIONS = (
    "C", "I", "bs", "cc", "center", "cr", "cs", "exp", "exp10", "exp2", "log", "log10", "log2", "poly", "scale",
    "standardize",
)  # fmt: skip
OF_NUMPY = ("abs", "exp", "log", "log10", "log1p", "log2", "sqrt", "square")  # as np.sqrt(x)
CODINGS = ("Treatment", "Sum", "Helmert", "Diff", "Poly", "treatment", "sum", "helmert", "diff", "poly")  # contr.sum
PLAIN = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant, ast.Name, ast.Load, ast.Tuple,
    ast.List, ast.keyword, ast.Compare, ast.cmpop,
)  # fmt: skip


def named_columns(formula: Formula, text: str) -> list[str]:
    """The columns that a formula needs, in alphabetical order.

    Parameters
    ----------
    formula : formulaic.Formula
        Parsed right-hand side.
    text : str
        As it was written, for messages.

    Raises
    ------
    FormulaError
        A part that is neither a column nor arithmetic with the functions that formulas may use.

    Examples
    --------
    >>> from formulaic import Formula
    >>> named_columns(Formula("poly(x, 2) + g:x + np.log(z)"), "...")
    ['g', 'x', 'z']
    """
    found: set[str] = set()
    for term in formula:
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                found.add(factor.expr)
            elif factor.eval_method.value == "python":
                found |= _names(factor.expr, text)
    return sorted(found)


def _names(expression: str, text: str) -> set[str]:
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        raise FormulaError(f'the formula "{text}" cannot be read: "{expression}" is no expression') from None
    calls: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            calls |= {id(part) for part in ast.walk(node.func)}
            _known_function(ast.unparse(node.func), text)
        elif isinstance(node, ast.Attribute) and id(node) not in calls and ast.unparse(node.value) == "contr":
            calls |= {id(part) for part in ast.walk(node)}
            _known_function(ast.unparse(node), text)
        elif not isinstance(node, PLAIN) and id(node) not in calls:
            part = ast.unparse(node) if isinstance(node, ast.expr) else expression
            raise FormulaError(
                f'the formula "{text}" holds "{part}": it may name columns, numbers, arithmetic and functions such as '
                "log(), poly() and center()"
            )
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in calls}


def _known_function(name: str, text: str) -> None:
    home, _, own = name.rpartition(".")
    known = {"": FUNCTIONS, "np": OF_NUMPY, "contr": CODINGS}
    if own not in known.get(home, ()):
        every = [*FUNCTIONS, *(f"np.{one}" for one in OF_NUMPY), *(f"contr.{one}" for one in CODINGS)]
        raise FormulaError(f'the formula "{text}" uses the function {name}(): {did_you_mean(name, every)}')
