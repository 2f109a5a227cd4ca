"""GOSH: every subset, one by one."""

import numpy as np
import pytest

import catharsis as ca

Y = np.array([0.8, 0.1, 0.55, -0.1, 0.4, 0.62])
V = np.array([0.05, 0.02, 0.09, 0.04, 0.03, 0.06])
X = np.column_stack([np.ones(6), [0, 0, 1, 1, 0, 1]])


@pytest.mark.parametrize("method", ["EE", "DL", "REML", "PM"])
@pytest.mark.parametrize("p", [1, 2])
def test_every_subset(method, p):
    found = ca.gosh(ca.fit(yi=Y, vi=V, X=X[:, :p], method=method, test="z"))
    assert found.exact
    for row, kept in zip(found.frame.to_numpy(), found.included.to_numpy(), strict=True):
        model = ca.fit(yi=Y[kept], vi=V[kept], X=X[kept, :p], method=method, test="z")
        QE = model.QE.statistic if kept.sum() > p else 0.0
        I2, H2 = (model.I2, model.H2) if kept.sum() > p else (0.0, 1.0)
        np.testing.assert_allclose(row, [kept.sum(), QE, I2, H2, model.tau2, *model.beta], rtol=1e-7, atol=1e-9)
    lost = 0 if p == 1 else 2 * (2**3 - 1)  # subsets from one level only
    assert len(found.frame) == 63 - lost
    assert found.notes == (
        (f"{lost} of 63 subsets do not determine every coefficient and are left out",) if lost else ()
    )


def test_random_subsets_have_the_distribution_of_all():
    rng = np.random.default_rng(3)
    model = ca.fit(yi=Y, vi=V, method="EE", test="z")
    y = rng.normal(0.3, 0.3, 18)
    drawn = ca.gosh(ca.fit(yi=y, vi=np.full(18, 0.1), method="EE", test="z"), subsets=5000, rng=rng)
    assert not drawn.exact
    assert drawn.included.shape == (5000, 18)
    assert drawn.included.mean(axis=None) == pytest.approx(0.5, abs=0.01)
    assert drawn.frame["estimate"].mean() == pytest.approx(y.mean(), abs=0.01)
    assert ca.gosh(model, subsets=10**9).exact


def test_two_groups_show_as_two_humps():
    y = np.r_[np.full(5, 0.0), np.full(1, 3.0)]
    found = ca.gosh(ca.fit(yi=y, vi=[0.1, 0.1, 0.1, 0.1, 0.1, 0.01], method="EE", test="z"))
    without = ~found.included.iloc[:, 5]
    assert found.frame.loc[without, "I2"].max() == 0
    assert found.frame.loc[~without & (found.frame["k"] > 1), "I2"].min() > 90
