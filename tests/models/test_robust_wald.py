"""Joint robust tests and saddlepoint tails against simulation and known distributions."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from catharsis.errors import ModelError
from catharsis.models.fit import fit
from catharsis.models.robust_wald import TESTS, normal_deviate
from catharsis.models.saddlepoint import form_weights, saddlepoint_p

M, N = 9, 3


def fitted(yi, z, **more):
    cluster = np.repeat(np.arange(M), N)
    X = np.column_stack([np.ones(M * N), z])
    return fit(yi=yi, vi=np.full(M * N, 1.0), X=X, method="EE", test="z", **more).robust(cluster)


def moderators(seed=2):
    rng = np.random.default_rng(seed)
    return np.column_stack([np.repeat(rng.normal(size=M), N), rng.normal(size=M * N)])


def test_level_of_the_joint_tests():
    """1,000 data sets without effects: HTZ holds 5 %, chi-square does not (Tipton and Pustejovsky 2015)."""
    rng, z = np.random.default_rng(7), moderators()
    rejected = dict.fromkeys(TESTS, 0)
    runs = 1000
    for _ in range(runs):
        found = fitted(rng.normal(size=M * N), z)
        for test in TESTS:
            p = found.wald([1, 2], test).p
            rejected[test] += bool(p < 0.05)
    error = np.sqrt(0.05 * 0.95 / runs)
    assert rejected["HTZ"] / runs < 0.05 + 3 * error
    assert rejected["HTA"] <= rejected["HTZ"] + 3 * error * runs
    assert rejected["chi-sq"] / runs > 0.1
    assert rejected["chi-sq"] > rejected["Naive-F"] > rejected["HTZ"]


def test_every_test_of_one_coefficient_is_satterthwaite():
    found = fitted(np.random.default_rng(1).normal(size=M * N), moderators())
    for test in ("HTA", "HTB", "HTZ", "EDF"):
        joint = found.wald([1], test)
        if test == "EDF" and found.df[1] < 4.1:
            continue
        assert joint.p == pytest.approx(found.p[1], rel=1e-10)
    assert found.wald([1], "EDT").p == pytest.approx(found.p[1], rel=0.01)  # Hill's expansion, few df


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_do_not_matter(scale):
    """Of the effects, and of the moderators (HTB depends on the latter: its coordinates are not free)."""
    y, z = np.random.default_rng(1).normal(size=M * N), moderators()
    X = np.column_stack([np.ones(M * N), z])
    cluster = np.repeat(np.arange(M), N)
    one = fit(yi=y, vi=np.full(M * N, 1.0), X=X, method="EE", test="z").robust(cluster)
    other = fit(yi=scale * y, vi=np.full(M * N, scale**2), X=X, method="EE", test="z").robust(cluster)
    wide = fit(yi=y, vi=np.full(M * N, 1.0), X=X * [1, scale, 1], method="EE", test="z").robust(cluster)
    for test in TESTS:
        assert other.wald([1, 2], test).p == pytest.approx(one.wald([1, 2], test).p, rel=1e-9)
    for test in ("HTZ", "HTA", "chi-sq", "Naive-F"):
        assert wide.wald([1, 2], test).p == pytest.approx(one.wald([1, 2], test).p, rel=1e-6)
    assert other.p_saddlepoint == pytest.approx(one.p_saddlepoint, rel=1e-9)


def test_unknown_tests_are_refused():
    found = fitted(np.random.default_rng(1).normal(size=M * N), moderators())
    with pytest.raises(ModelError, match='no robust joint test "HTC"'):
        found.wald([1, 2], "HTC")


@pytest.mark.parametrize("df", [5, 12, 40])
@pytest.mark.parametrize("t", [0.3, 1.5, 3.0, 6.0])
def test_saddlepoint_of_equal_weights_is_t(df, t):
    # the formula itself is off by up to a tenth in the far tail
    assert saddlepoint_p(t, np.full(df, 1 / df)) == pytest.approx(2 * stats.t.sf(t, df), rel=0.1 if t > 3 else 0.06)


def test_saddlepoint_of_unequal_weights_against_simulation():
    rng = np.random.default_rng(3)
    weights = np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    n = 400_000
    t2 = rng.normal(size=n) ** 2 / (rng.chisquare(1, size=(n, 6)) @ weights)
    for t in (0.5, 1.0, 2.0, 4.0):
        p = np.mean(t2 > t**2)
        assert saddlepoint_p(t, weights) == pytest.approx(p, rel=0.15, abs=4 * np.sqrt(p * (1 - p) / n))


def test_saddlepoint_is_smooth_through_the_mean():
    weights = np.full(8, 1 / 8)
    near = [saddlepoint_p(t, weights) for t in 1 + np.array([-1e-3, -1e-7, 0, 1e-7, 1e-3])]
    assert all(a > b for a, b in pairwise(near))
    assert near[2] == pytest.approx((near[0] + near[4]) / 2, rel=1e-5)
    assert saddlepoint_p(0.0, weights) == 1
    assert np.isnan(saddlepoint_p(2.0, np.empty(0)))


def test_weights_are_the_eigenvalues_and_sum_to_one():
    rng = np.random.default_rng(5)
    Z = rng.normal(size=(6, 2)) * 0.1
    weights = form_weights(np.full(6, 1.0), Z)
    assert weights.sum() == pytest.approx(1)
    assert len(form_weights(np.zeros(3), np.zeros((3, 1)))) == 0


def test_normal_deviate_keeps_p():
    t, df = np.array([0.5, 2.0, 5.0]), np.array([8.0, 15.0, 30.0])
    assert 2 * stats.norm.sf(normal_deviate(t, df)) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-4)
