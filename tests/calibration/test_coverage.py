"""The coverage table: is it complete, does it hold what is promised, and does the program still give it?"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Priors
from catharsis.models.fit import fit

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks" / "coverage.py"
_SPEC = importlib.util.spec_from_file_location("coverage_program", PROGRAM)
assert _SPEC is not None
assert _SPEC.loader is not None
coverage = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = coverage  # dataclasses look their module up
_SPEC.loader.exec_module(coverage)

RECORD = json.loads(coverage.RECORD.read_text(encoding="utf-8"))
CELLS = {(cell["known"], cell["k"], cell["tau"]): cell for cell in RECORD["cells"]}
GRID = 1e-6  # between the fixed grid of the simulation and the exact engine; worst seen 1e-12
PLAIN = (94.0, 96.0)  # plain Knapp-Hartung, percent; seen 94.3 to 95.3
MODIFIED = 94.0  # modified Knapp-Hartung and more; least seen 94.9
ERRORS = 4.0  # Monte Carlo errors between a promise and a simulation; worst seen 1.9


def of(cell, name):
    return cell["intervals"][name]["coverage"]


def test_the_table_is_complete():
    assert set(CELLS) == {
        (known, k, tau) for known in (False, True) for k in (2, 3, 5, 10, 30) for tau in (0, 0.1, 0.3, 1, None)
    }
    assert all(cell["replications"] >= 10_000 for cell in CELLS.values())
    named = {f"{method}: {quantity}" for method in ("Bayes", "KH", "modified KH") for quantity in ("mu", "new")}
    for (_, k, _), cell in CELLS.items():
        assert set(cell["intervals"]) == named | ({"KH: new, HTS"} if k > 2 else set())


def test_it_was_made_with_todays_settings():
    assert RECORD["priors"] == {"mu": str(Priors().mu), "tau": str(Priors().tau)}
    assert (RECORD["seed"], RECORD["mu"]) == (coverage.SEED, coverage.MU)
    assert (RECORD["people"], RECORD["level"]) == (list(coverage.PEOPLE), coverage.LEVEL)


@pytest.mark.parametrize("place", CELLS)
def test_knapp_hartung_keeps_its_promise(place):
    low, high = PLAIN
    assert low <= of(CELLS[place], "KH: mu") <= high
    assert of(CELLS[place], "modified KH: mu") >= MODIFIED
    assert of(CELLS[place], "modified KH: mu") >= of(CELLS[place], "KH: mu")


@pytest.mark.parametrize("k", coverage.STUDIES)
@pytest.mark.parametrize("quantity", ["mu", "new"])
def test_bayes_averaged_over_its_prior_covers_what_it_says(k, quantity):
    """Exactly so where the model of the data is exact; Hedges' g may cost a point."""
    cell = CELLS[True, k, None]
    assert abs(of(cell, f"Bayes: {quantity}") - 95) < ERRORS * coverage.monte_carlo_error(95, cell["replications"])
    assert abs(of(CELLS[False, k, None], f"Bayes: {quantity}") - 95) < 1


def test_the_page_shows_the_record():
    page = coverage.PAGE.read_text(encoding="utf-8")
    assert coverage.filled(page, coverage.blocks(RECORD)) == page


@pytest.mark.parametrize("place", [(False, 3, 0.3), (False, 10, 1.0), (True, 5, None)])
def test_the_program_still_gives_these_numbers(place):
    """A small run with another seed."""
    known, k, tau = place
    again, before = coverage.cell(k, tau, known, 600, seed=7), CELLS[place]
    assert set(again["intervals"]) == set(before["intervals"])
    for name, found in before["intervals"].items():
        error = coverage.monte_carlo_error(min(found["coverage"], 99.5), 600)
        assert abs(of(again, name) - found["coverage"]) < ERRORS * error, name
        assert again["intervals"][name]["width"] == pytest.approx(found["width"], rel=0.15), name


@pytest.mark.parametrize(("k", "tau"), [(2, 0.0), (2, 1.0), (5, 0.1), (30, 0.3)])
def test_the_simulated_readings_are_those_of_the_package(k, tau):
    found = coverage.simulate(np.random.default_rng(3), k, np.full(4, 0.3), np.full(4, tau))
    mixtures = coverage.posteriors(found, Priors())
    mu, new = mixtures.central(new=False), mixtures.central(new=True)
    read = {modified: coverage.knapp_hartung(found, modified) for modified in (False, True)}
    for i in range(4):
        post = fit_bayes(yi=found.y[i], vi=found.v[i])
        np.testing.assert_allclose([mu.low[i], mu.high[i]], post.mu.central(), atol=GRID, rtol=0)
        np.testing.assert_allclose([new.low[i], new.high[i]], post.new.central(), atol=GRID, rtol=0)
        for modified, test in ((False, "knha"), (True, "adhoc")):
            model = fit(yi=found.y[i], vi=found.v[i], method="REML", test=test)
            seen = model.predict()
            ends = read[modified]
            np.testing.assert_allclose([ends["mu"].low[i], ends["mu"].high[i]], [seen.low, seen.high], rtol=1e-6)
            np.testing.assert_allclose(
                [ends["new"].low[i], ends["new"].high[i]], [seen.pi_low, seen.pi_high], rtol=1e-6
            )
            if k > 2 and not modified:
                hts = model.prediction_interval("HTS")
                ends = ends["new, HTS"]
                np.testing.assert_allclose([ends.low[i], ends.high[i]], [hts.pi_low, hts.pi_high], rtol=1e-6)


def test_people_are_drawn_one_by_one():
    """Means and standard deviations of groups against the distributions they must have."""
    n = np.full(20_000, 8)
    mean, sd = coverage.group(np.random.default_rng(5), np.full(20_000, 0.4), n)
    assert mean.mean() == pytest.approx(0.4, abs=4 * 8**-0.5 / 20_000**0.5)
    assert (mean - 0.4).var() == pytest.approx(1 / 8, rel=0.05)
    assert (sd**2).mean() == pytest.approx(1, abs=4 * (2 / 7 / 20_000) ** 0.5)
    assert (7 * sd**2).var() == pytest.approx(14, rel=0.1)
