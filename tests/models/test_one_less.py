"""Deletions at linear cost are the deletions one by one."""

import numpy as np
import pytest

from catharsis.models import deletion
from catharsis.models.batch import TOGETHER, Problems, fit_problems
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS
from catharsis.models.one_less import fits_without_one, interpolated

K = 150


def data(kind, p):
    rng = np.random.default_rng(8)
    v = 10 ** rng.uniform(-5, 0, K) if kind == "wide" else rng.uniform(0.01, 0.2, K)
    spread = 0.0 if kind == "homogeneous" else 0.05
    y = rng.normal(5.0, np.sqrt(0.8 * v + spread))
    if kind == "outlier":
        y[3] = 60
    X = np.column_stack([np.ones(K), *(rng.normal(1950, 20, K) for _ in range(p - 1))])
    return y, v, X


KINDS = ["usual", "homogeneous", "wide", "outlier"]
CASES = [(method, KINDS[i % 4], 1 + 2 * (i % 2)) for i, method in enumerate(sorted(set(TOGETHER) & set(ESTIMATORS)))]


@pytest.mark.parametrize(
    ("method", "kind", "p"), [*CASES, *(("REML", kind, 3) for kind in KINDS), *(("PM", kind, 1) for kind in KINDS)]
)
def test_they_are_the_same_fits(method, kind, p):
    y, v, X = data(kind, p)
    model = fit(yi=y, vi=v, X=X, method=method, test="knha")
    found, sure, every = fits_without_one(y, v, X, model.tau2, model.method, "knha")
    assert sure.mean() > 0.9
    whole = fit_problems(Problems(y[None], v[None], X, ~np.eye(K, dtype=bool)), model.method, "knha")
    np.testing.assert_allclose((found.beta - whole.beta)[sure] / whole.se[sure], 0, atol=1e-9)
    np.testing.assert_allclose(found.tau2[sure], whole.tau2[sure], rtol=1e-8, atol=1e-9 * v.min())
    for name in ("k", "cov", "df", "scale", "QE", "typical"):
        np.testing.assert_allclose(getattr(found, name)[sure], getattr(whole, name)[sure], rtol=1e-8, err_msg=name)
    w = 1 / (v + found.tau2[0])
    np.testing.assert_allclose(every[0], np.linalg.inv(X.T @ (w[:, None] * X)), rtol=1e-6)


def test_what_cannot_be_relied_on_is_fitted_by_itself():
    """An effect that alone has a level, in front of 149 usual ones."""
    y, v, X = data("usual", 2)
    X[:, 1] = np.arange(K) == 0
    model = fit(yi=y, vi=v, X=X)
    sure = fits_without_one(y, v, X, model.tau2, "REML", "knha")[1]
    assert sure.tolist() == [False] + [True] * (K - 1)
    frame = model.influence()
    assert frame["rstudent"].isna().tolist() == [True] + [False] * (K - 1)
    assert frame.attrs["notes"][0].startswith("without 1 the remaining")


def test_sums_that_cannot_be_interpolated_are_not_used(monkeypatch):
    y, v, X = data("usual", 1)
    tiny = np.where(np.arange(K) == 7, 1e-200, v)
    assert interpolated(tiny, X / np.sqrt(np.sum(1 / v)), y - 5, 10.0) is None
    v[7] = 1e-9
    here = fit(yi=y, vi=v, method="DL").leave_one_out()
    monkeypatch.setattr(deletion, "fits_without_one", lambda *data: None)
    there = fit(yi=y, vi=v, method="DL").leave_one_out()
    np.testing.assert_allclose(here["estimate"], there["estimate"])


def test_few_effects_and_other_estimators_take_the_other_way():
    y, v, X = data("usual", 1)
    assert fits_without_one(y[:20], v[:20], X[:20], 0.05, "REML", "z") is None
    assert fits_without_one(y, v, X, 0.05, "another", "z") is None
    assert fits_without_one(X[:, 0], v, X, 0.0, "DL", "z") is None
