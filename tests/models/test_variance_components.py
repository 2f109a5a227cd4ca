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


TWO_HILLS = pd.DataFrame(
    {
        "yi": [0.0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 2],
        "vi": [1.0] * 8 + [0.0156, 1, 1],
        "study": range(11),
        "effect": range(11),
    }
)


@pytest.mark.parametrize("random", ["study", "study/effect"])
def test_the_higher_of_two_hills_is_found(random):
    """One precise study makes a hill at zero and one at .085, .04 higher, which a climb may miss."""
    expected = fit("yi ~ 1", TWO_HILLS, vi="vi", method="ML")
    assert "lower peaks at 0" in " ".join(expected.notes)
    found = fit("yi ~ 1", TWO_HILLS, vi="vi", random=random, method="ML")
    assert found.llf == pytest.approx(expected.llf, abs=1e-9)
    assert found.theta.sum() == pytest.approx(expected.tau2, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_no_point_of_a_grid_is_higher_when_precision_varies_a_thousandfold(seed, method):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"yi": rng.normal(0, 1, 9), "vi": 10 ** rng.uniform(-3, 0.5, 9), "study": np.arange(9) // 2, "effect": range(9)}
    )
    model = fit("yi ~ 1", frame, vi="vi", random="study/effect", method=method)
    grid = [0, *np.geomspace(1e-4, 20, 30)]
    height = max(
        log_likelihood(model.blocks, moments(model.blocks, np.array([a, b])), method == "REML")
        for a in grid
        for b in grid
    )
    assert model.llf >= height - 1e-10
