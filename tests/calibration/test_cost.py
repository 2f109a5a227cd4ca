"""What the engines cost, by counting and by comparison on one machine; seconds alone would be the machine's."""

from __future__ import annotations

import time

import numpy as np
import pytest

from catharsis.bayes import exact
from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Priors
from catharsis.models.fit import fit

NODES = 3000  # values of tau looked at for one exact fit; seen 1,400 to 1,600, whatever k
TIMES = 12.0  # the cost of a REML fit of the same ten effects (0.8 ms where the exact fit takes 2.5); seen 3


def effects(k, seed=0):
    rng = np.random.default_rng(seed)
    return {"yi": rng.normal(0, 0.5, k), "vi": rng.uniform(0.02, 0.1, k)}


def quickest(work, runs=15):
    """Least of several times, which other processes disturb least."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_ten_studies_cost_a_few_reml_fits():
    ten = effects(10)
    fit_bayes(**ten)
    fit(**ten, method="REML")
    assert quickest(lambda: fit_bayes(**ten)) < TIMES * quickest(lambda: fit(**ten, method="REML"))


@pytest.mark.parametrize("k", [2, 10, 30, 1000])
def test_the_number_of_nodes_does_not_grow_with_the_studies(monkeypatch, k):
    counted, conditional = [], exact.conditional

    def counting(model, terms, priors, tau):
        counted.append(len(tau))
        return conditional(model, terms, priors, tau)

    monkeypatch.setattr(exact, "conditional", counting)
    fit_bayes(**effects(k))
    assert 0 < sum(counted) < NODES


@pytest.mark.sampling
def test_a_cached_structure_gets_new_data_without_compiling(monkeypatch):
    nutpie = pytest.importorskip("nutpie")
    import numba
    from numba.core import event

    options = {"engine": "nuts", "draws": 200, "chains": 2}
    before = fit_bayes(**effects(7), **options, seed=1)

    def never(*_, **__):
        raise AssertionError("compiled again")

    monkeypatch.setattr(nutpie, "compile_pymc_model", never)
    priors = Priors.parse({"mu": "normal(1, 3)", "tau": "half-normal(0.2)"})
    with event.install_recorder("numba:compile") as recorder:
        after = fit_bayes(**effects(7, seed=1), **options, priors=priors, seed=2)
    assert not recorder.buffer
    with event.install_recorder("numba:compile") as recorder:  # which does hear a compilation
        numba.njit(lambda x: x + 1)(1)
    assert recorder.buffer
    assert after.mu.mean != before.mu.mean
