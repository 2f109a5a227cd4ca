"""Where R's numbers are not the answer: each test shows why, in arithmetic that does not round."""

import json
import lzma
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from catharsis.errors import ModelError
from catharsis.models.correlated_effects import fit_robust
from catharsis.models.fit import fit

DATA = Path(__file__).parent / "data"


def inputs(dataset, key):
    document = json.loads(lzma.decompress((DATA / f"{dataset}.json.xz").read_bytes()))
    return document["inputs"][key]


def test_a_level_of_one_cluster_has_no_robust_variance():
    """dat.assink2016, covert delinquency: all 9 effects stand in one study, so its scores cancel exactly.

    The normal equations of the level's own mean say sum w e = 0 over its effects, and the robust variance is the
    square of that sum: zero in exact arithmetic. R prints 3e-8, 5e-8 or NaN; catharsis says nan with a note.
    """
    found = inputs("dat.assink2016", "flat.deltype")
    X = np.array(found["X"])
    rows = np.flatnonzero((X[:, 1] == 0) & (X[:, 2] == 0))
    cluster = np.array(found["data"]["cluster"])
    assert len(set(cluster[rows])) == 1
    y = [Fraction(found["data"]["yi"][i]) for i in rows]
    w = [1 / (Fraction(found["data"]["vi"][i]) + Fraction(1, 10)) for i in rows]
    mean = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
    assert sum(a * (b - mean) for a, b in zip(w, y, strict=True)) == 0
    model = fit(yi=found["data"]["yi"], vi=found["data"]["vi"], X=X, test="z")
    for kind in ("CR0", "CR1", "CR1p", "CR1S"):
        robust = model.robust(cluster, kind)
        assert np.isnan(robust.se[0])
        assert np.isfinite(robust.se[1:]).all()
        assert "no cluster that informs it has a residual left" in robust.notes[-1]


def test_i_minus_h_of_a_cluster_that_owns_a_level_is_singular():
    """Same data: H of that study has eigenvalue 1 exactly (Hx = x for the level's indicator): CR3 has no inverse."""
    found = inputs("dat.assink2016", "flat.deltype")
    X = np.array(found["X"], dtype=int)
    cluster = np.array(found["data"]["cluster"])
    w = [1 / (Fraction(v) + Fraction(1, 10)) for v in found["data"]["vi"]]
    # the coding with one indicator per level has a diagonal X'WX: H of the level is 1 w' / sum(w)
    level = np.flatnonzero((X[:, 1] == 0) & (X[:, 2] == 0))
    total = sum(w[i] for i in level)
    assert all(sum(w[j] / total for j in level) == 1 for _ in level)
    model = fit(yi=found["data"]["yi"], vi=found["data"]["vi"], X=X.astype(float), test="z")
    with pytest.raises(ModelError, match="CR3 cannot leave out"):
        model.robust(cluster, "CR3")


def test_the_same_with_equal_weights_within_studies():
    """robumeta on the same data: R writes 4.9e-8 for one rho and NaN for another; the exact variance is zero."""
    found = inputs("dat.assink2016", "main.robu.mods")
    study = found["data"][found["study"]]
    for rho in (0.5, 0.8):
        answer = fit_robust(
            yi=found["data"]["yi"], vi=found["data"]["vi"], X=np.array(found["X"]), cluster=study, rho=rho
        )
        assert np.isnan(answer.robust.se[0])
        assert np.isnan(answer.robust.df[0])
        assert np.isfinite(answer.robust.se[1:]).all()
