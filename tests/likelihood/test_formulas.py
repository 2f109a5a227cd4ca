"""What a formula may say: columns, arithmetic, known functions."""

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import FormulaError, ModelError
from catharsis.likelihood.design import design_matrix

FRAME = pd.DataFrame({"x": [1.0, 2, 3, 4, 5, 7], "z": [1.0, 4, 2, 8, 5, 7], "g": list("aabbcc")})


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("~ poly(x, 2)", 3), ("~ center(x) + scale(z)", 3), ("~ log(x)", 2), ("~ np.sqrt(x)", 2), ("~ I(x**2) + x", 3),
        ("~ {x + z} + x", 3), ("~ x * z", 4), ("~ C(g) - 1", 3), ("~ bs(x, df=3)", 4), ("~ g:x", 4),
        ("~ C(g, contr.sum)", 3),
    ],
)  # fmt: skip
def test_what_may_be_said(formula, columns):
    assert design_matrix(formula, FRAME).X.shape == (6, columns)


def test_polynomials_span_the_powers():
    one, other = design_matrix("~ poly(x, 2)", FRAME).X, np.vander(FRAME.x, 3)
    assert np.linalg.matrix_rank(np.column_stack([one, other])) == 3


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ poly(y, 2)", 'names "y"'),
        ("~ {__import__('os').getcwd()}", "uses the function"),
        ("~ x.sum()", "uses the function x.sum()"),
        ("~ {x.values}", 'holds "x.values"'),
        ("~ {[x for x in (1, 2)]}", "it may name columns"),
        ("~ open('a')", "uses the function open"),
        ("~ lag(x)", "uses the function lag"),
        ("~ exec('x')", "uses the function exec"),
        ("~ x +", "cannot be read"),
        ("~ log(g)", "cannot be computed"),
    ],
)
def test_what_may_not(formula, words):
    with pytest.raises((FormulaError, ModelError), match=words.replace("(", "\\(").replace(")", "\\)")):
        design_matrix(formula, FRAME)
