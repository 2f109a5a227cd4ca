"""The maximum is a maximum, also where Fisher scoring alone wanders."""

import numpy as np
import pandas as pd
import pytest

from catharsis.likelihood.marginal import log_likelihood, moments, slope
from catharsis.models.fit import fit

HARD = pd.DataFrame(
    {
        "yi": [0.0, 0.0, -1.5, 1.5, 0.0, 0.0, 2.0],
        "vi": [2.0, 1.0, 0.8896627418970775, 0.005, 0.005, 0.8896627418970775, 2.0],
        "study": [0, 1, 1, 2, 2, 3, 4],
        "effect": range(7),
        "x": np.cos(np.arange(7)),
    }
)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("formula", ["yi ~ 1", "yi ~ x"])
def test_maximum_on_a_hard_likelihood(formula, method):
    """No point of a grid is higher, and every component has a zero score or sits at zero with a falling likelihood."""
    model = fit(formula, HARD, random="study/effect", method=method)
    reml = method == "REML"
    grid = [0, *np.geomspace(1e-6, 50, 40)]
    height = max(
        log_likelihood(model.blocks, moments(model.blocks, theta), reml)
        for theta in (np.array([a, b]) for a in grid for b in grid)
    )
    assert model.llf >= height - 1e-10
    score = slope(model.blocks, model.theta, moments(model.blocks, model.theta), reml).score
    assert np.all(np.where(model.theta > 0, np.abs(score), np.maximum(score, 0)) < 1e-5)
