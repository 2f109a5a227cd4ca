"""Simulation-based calibration: what is on record is uniform, is today's engine's, and would notice a wrong one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("simulate", HERE / "simulate.py")
assert _SPEC is not None
assert _SPEC.loader is not None
simulate = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = simulate  # dataclasses look their module up
_SPEC.loader.exec_module(simulate)
bands = simulate.bands

LEAST = {"exact": 2000, "partial": 1000, "nuts": 200}  # ranks of each histogram
SAME = 2e-6  # between recorded transforms, six digits, and today's
OTHER_SEED = 77
SHORT = {"two-level": 200, "partial": 12, "three levels": 6, "a tau for each group": 12, "t on mu": 20,
         "Cauchy on a moderator": 12, "signs and verdicts": 12}  # fmt: skip
RECORDS = {found["engine"]: found for found in simulate.recorded()}
ON_RECORD = [
    (engine, model["name"])
    for engine, found in RECORDS.items()
    for model in found["models"]
    if ":" not in model["name"]
]
FAULTY = [model["name"] for model in RECORDS["exact"]["models"] if model["name"].startswith("faulty")]
QUADRATURE = [place for place in ON_RECORD if place[0] != "nuts"]


def model_of(engine, name):
    return next(model for model in simulate.ENGINES[engine][0] if model.name == name)


def record_of(engine, name):
    return next(model for model in RECORDS[engine]["models"] if model["name"] == name)


# -- the record -----------------------------------------------------------------------------------------------------


def test_every_model_is_on_record():
    for engine, (models, _) in simulate.ENGINES.items():
        named = [name for where, name in ON_RECORD if where == engine]
        assert named == [model.name for model in models]
    assert len(FAULTY) == len(simulate.WRONG)


@pytest.mark.parametrize(("engine", "name"), ON_RECORD)
def test_ranks_on_record_are_uniform(engine, name):
    found, least = record_of(engine, name), simulate.threshold(RECORDS[engine])
    assert found["says"] == model_of(engine, name).says
    for quantity, p in simulate.verdicts(found["counts"]).items():
        counts = [int(x) for x in found["counts"][quantity].split()]
        assert len(counts) == simulate.BINS
        assert sum(counts) == found["replications"] >= LEAST[engine]
        assert p >= least, quantity


@pytest.mark.parametrize("engine", RECORDS)
def test_few_histograms_come_near_their_band(engine):
    """Of right histograms one in ten has p below .1; p values that crowd there would say what no single one says."""
    p = [p for name in ON_RECORD if name[0] == engine for p in simulate.verdicts(record_of(*name)["counts"]).values()]
    assert np.mean(np.array(p) < 0.1) <= 0.1 + 4 * (0.09 / len(p)) ** 0.5


@pytest.mark.parametrize("name", FAULTY)
def test_a_wrong_engine_is_noticed(name):
    p = simulate.verdicts(record_of("exact", name)["counts"])
    assert min(p.values()) < simulate.threshold(RECORDS["exact"])


def test_an_engine_that_ignores_the_data_is_noticed_by_what_depends_on_the_data_only():
    """Modrak et al. 2023: the prior has uniform ranks, which is why parameters alone are not asked."""
    p = simulate.verdicts(record_of("exact", "faulty: the prior alone")["counts"])
    least = simulate.threshold(RECORDS["exact"])
    outside = {quantity for quantity, value in p.items() if value < least}
    assert outside == {"mu, turned by the data", "tau, turned by Q"}


def test_the_page_shows_the_record():
    page = (HERE.parents[1] / "docs" / "calibration.md").read_text(encoding="utf-8")
    assert simulate.table(simulate.recorded()) in page
    assert simulate.faults(RECORDS["exact"]) in page


# -- today's engine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "name"), QUADRATURE)
def test_the_record_is_that_of_todays_engine(engine, name):
    """The first replications give the numbers on record."""
    model, first = model_of(engine, name), record_of(engine, name)["first"]
    n = 3 if name in SHORT and name != "two-level" else simulate.FIRST
    again = simulate.values(model, simulate.ENGINES[engine][1], n)
    assert list(again) == list(first)
    for quantity in again:
        np.testing.assert_allclose(again[quantity], first[quantity][:n], atol=SAME, rtol=0)


@pytest.mark.parametrize(("engine", "name"), QUADRATURE)
def test_other_worlds_are_uniform_too(engine, name):
    model = model_of(engine, name)
    found = simulate.values(model, simulate.ENGINES[engine][1], SHORT.get(name, 60), OTHER_SEED)
    for quantity, p in simulate.verdicts(simulate.counted(found)).items():
        assert p >= simulate.threshold(RECORDS[engine]), quantity


@pytest.mark.slow
@pytest.mark.sampling
def test_the_sampler_is_uniform_in_other_worlds_too():
    """Twenty data sets through one compiled program: too few for fine errors, enough for a gross one."""
    found = simulate.values(model_of("nuts", "two-level"), simulate.ranks, 20, OTHER_SEED)
    assert ((found > 0) & (found < 1)).all(axis=None)
    for quantity, p in simulate.verdicts(simulate.counted(found)).items():
        assert p >= simulate.threshold(RECORDS["nuts"]), quantity


@pytest.mark.parametrize("fault", simulate.WRONG)
def test_transforms_of_wrong_engines_differ(fault):
    model = simulate.EXACT[0]
    right = simulate.values(model, simulate.exactly, 5)
    wrong = simulate.values(model, simulate.WRONG[fault], 5)
    assert list(right) == list(wrong)
    assert (np.abs(right - wrong) > 1e-3).to_numpy().mean() > 0.5


# -- the band -------------------------------------------------------------------------------------------------------


def test_the_bands_probability_is_what_simulation_finds():
    rng = np.random.default_rng(1)
    for n, bins in ((50, 20), (200, 100)):
        low, high = bands.band(n, bins, 0.05)
        paths = np.cumsum(rng.multinomial(n, np.full(bins, 1 / bins), 20_000), axis=1)[:, :-1]
        outside = float(1 - np.all((paths >= low) & (paths <= high), axis=1).mean())
        assert outside == pytest.approx(0.05, abs=0.012)  # counts are discrete: the band is as wide as it must be
        assert outside <= 0.05 + 4 * 0.0016


def test_the_p_of_uniform_ranks_is_uniform():
    rng = np.random.default_rng(2)
    p = np.array([bands.uniformity(rng.multinomial(100, np.full(20, 0.05))) for _ in range(400)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (p <= level).mean() == pytest.approx(level, abs=4 * (level * (1 - level) / 400) ** 0.5)


def test_the_p_and_the_band_say_the_same():
    rng = np.random.default_rng(3)
    low, high = bands.band(60, 10, 0.2)
    for _ in range(200):
        counts = rng.multinomial(60, np.full(10, 0.1))
        path = np.cumsum(counts)[:-1]
        inside = bool(np.all((path >= low) & (path <= high)))
        assert inside == (bands.uniformity(counts) >= 0.2)


def test_pointwise_limits_are_binomial():
    """One inner point: the simultaneous band is the binomial interval."""
    from scipy.stats import binom

    assert bands.staying(20, 2, 0.05) == pytest.approx(binom.cdf(14, 20, 0.5) - binom.cdf(5, 20, 0.5), rel=1e-12)
    assert bands.uniformity([20, 0]) == pytest.approx(2 * 0.5**20, rel=1e-6)
    assert bands.uniformity([10, 10]) == pytest.approx(1, abs=1e-12)


def test_counting_keeps_both_ends():
    assert bands.counts_of([0.0, 0.05, 0.1, 0.999, 1.0], 10).tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
