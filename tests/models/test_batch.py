"""Many fits at once are the same fits, one by one."""

import numpy as np
import pytest

from catharsis.models.batch import Problems, fit_problems
from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS

K = 12


def data(seed, k=K, p=1, spread=0.3):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(k), *(rng.normal(1950, 20, k) for _ in range(p - 1))])
    v = rng.uniform(0.01, 0.2, k)
    return rng.normal(0.3, np.sqrt(v + spread**2)), v, X


def same(many, row, model):
    np.testing.assert_allclose(many.beta[row], model.beta, rtol=1e-8, atol=1e-9 * np.max(model.se))
    np.testing.assert_allclose(many.cov[row], model.cov, rtol=1e-7)
    np.testing.assert_allclose(many.tau2[row], model.tau2, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(many.scale[row], model.scale, rtol=1e-8)
    assert many.df[row] == model.df
    if model.df_resid:
        np.testing.assert_allclose(many.QE[row], model.QE.statistic, rtol=1e-8)
        np.testing.assert_allclose(many.typical[row], model.typical_variance, rtol=1e-8)


CASES = [(method, ("z", "adhoc", "knha", "t")[i % 4], 1 + i % 3) for i, method in enumerate(sorted(ESTIMATORS))]


@pytest.mark.parametrize(("method", "test", "p"), [*CASES, ("REML", "knha", 1), ("REML", "z", 3), ("PM", "knha", 3)])
def test_subsets_are_single_fits(method, test, p):
    y, v, X = data(p, p=p)
    mask = np.random.default_rng(7).random((15, K)) < 0.6
    mask[:3] = [np.arange(K) < n for n in (p, p + 1, p + 2)]
    mask = mask[mask.sum(axis=1) >= p]
    many = fit_problems(Problems(y[None], v[None], X, mask), method, test)
    for row, kept in enumerate(mask):
        if kept.sum() == p or p == 1 or np.linalg.matrix_rank(X[kept] / np.linalg.norm(X[kept], axis=0)) == p:
            same(many, row, fit(yi=y[kept], vi=v[kept], X=X[kept], method=method, test=test))


@pytest.mark.parametrize("method", ["REML", "ML", "PM", "DL"])
def test_each_problem_may_have_its_own_data(method):
    drawn = [data(seed, p=2, spread=0.1 * (seed % 4)) for seed in range(40)]
    y, v, X = (np.array(part) for part in zip(*drawn, strict=True))
    many = fit_problems(Problems(y, v, X, np.ones((40, K), dtype=bool)), method, "knha")
    for row in range(40):
        same(many, row, fit(yi=y[row], vi=v[row], X=X[row], method=method))


@pytest.mark.parametrize("method", ["REML", "ML", "PM", "DL", "HE"])
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_do_not_matter(method, unit):
    y, v, X = data(3, p=2)
    mask = ~np.eye(K, dtype=bool)
    here = fit_problems(Problems(y[None], v[None], X, mask), method, "knha")
    there = fit_problems(Problems(unit * y[None], unit**2 * v[None], X, mask), method, "knha")
    np.testing.assert_allclose(there.beta, unit * here.beta, rtol=1e-9, atol=1e-9 * unit * here.se.min())
    np.testing.assert_allclose(there.tau2, unit**2 * here.tau2, rtol=1e-9)
    np.testing.assert_allclose(there.cov, unit**2 * here.cov, rtol=1e-8)


def test_a_subset_that_lacks_a_level_has_no_fit():
    X = np.column_stack([np.ones(5), [0, 0, 0, 0, 1]])
    y, v = np.array([0.1, 0.3, 0.2, 0.4, 0.9]), np.full(5, 0.02)
    many = fit_problems(Problems(y[None], v[None], X, ~np.eye(5, dtype=bool)), "REML", "z")
    assert many.identified.tolist() == [True, True, True, True, False]
    assert np.isnan(many.beta[4]).all()
    assert np.isnan(many.QE[4])


def test_a_subset_that_all_but_lacks_a_direction_is_fitted_by_itself():
    x = np.array([0.0, 1e-5, 2e-5, -1e-5, 1.0, 3e-5])
    X = np.column_stack([np.ones(6), x])
    y, v = np.array([0.1, 0.3, 0.2, 0.4, 0.9, 0.0]), np.linspace(0.01, 0.06, 6)
    many = fit_problems(Problems(y[None], v[None], X, ~np.eye(6, dtype=bool)), "DL", "z")
    kept = np.arange(6) != 4
    same(many, 4, fit(yi=y[kept], vi=v[kept], X=X[kept], method="DL", test="z"))


def test_own_weights_are_those_of_metafor():
    """metafor 3.8: leave1out(rma(yi, vi, weights=c(1,2,3,1,2,1,5), test="knha"))."""
    y, v = np.array([0.1, 0.3, 0.5, 0.2, 0.9, 0.4, 0.35]), np.array([0.02, 0.03, 0.05, 0.04, 0.06, 0.03, 0.02])
    a = np.array([1.0, 2, 3, 1, 2, 1, 5])
    many = fit_problems(Problems(y[None], v[None], np.ones((7, 1)), ~np.eye(7, dtype=bool), a[None]), "REML", "knha")
    np.testing.assert_allclose(many.beta[1:6, 0], [0.4423076923, 0.4041666667, 0.4392857143, 0.35, 0.425], rtol=1e-9)
    theirs = [0.1237103626, 0.1141684870, 0.1141396838, 0.0690655767, 0.1187758541, 0.1260466596]
    np.testing.assert_allclose(many.se[1:, 0], theirs, rtol=1e-5)  # R stops its iterations at 1e-5


@pytest.mark.parametrize("reml", ["REML", "ML"])
def test_of_two_peaks_the_higher_one_is_found(reml):
    """Precise effects that agree and vague ones that do not: the likelihood of tau^2 may have two maxima."""
    from catharsis.models.likelihood_estimators import likelihood_peaks

    rng = np.random.default_rng(1)
    v = np.r_[np.full(4, 1e-4), np.full(4, 1.0)]
    y = np.column_stack([rng.normal(0, 0.012, (300, 4)), rng.normal(0, 1, (300, 4)) * rng.uniform(1, 4, (300, 1))])
    many = fit_problems(Problems(y, v[None], np.ones((8, 1)), np.ones((300, 8), dtype=bool)), reml, "z")
    two = 0
    for row in range(300):
        peaks = likelihood_peaks(y[row], v, np.ones((8, 1)), reml == "REML")
        two += len(peaks) > 1
        assert many.tau2[row] == pytest.approx(peaks[0].tau2, rel=1e-7, abs=1e-12)
    assert two > 10


def test_weights_that_are_needed_reach_the_estimator():
    y, v, X = data(4)
    a = 1 / (v + v.mean())
    model = fit(yi=y, vi=v, method="GENQ", weights=a, test="z")
    many = fit_problems(Problems(y[None], v[None], X, np.ones((1, K), dtype=bool), a[None]), "GENQ", "z")
    np.testing.assert_allclose([many.tau2[0], many.beta[0, 0], many.se[0, 0]], [model.tau2, model.beta[0], model.se[0]])


def test_weights_of_zero_may_leave_nothing():
    y, v, X = data(4, k=3)
    a = np.array([1.0, 0.0, 0.0])
    many = fit_problems(Problems(y[None], v[None], X, ~np.eye(3, dtype=bool), a[None]), "DL", "z")
    assert many.identified.tolist() == [False, True, True]
    assert many.beta[1, 0] == pytest.approx(y[0])


def test_a_test_that_is_not_repeated_is_refused():
    from catharsis.errors import ModelError

    y, v, X = data(4)
    with pytest.raises(ModelError) as problem:
        fit_problems(Problems(y[None], v[None], X, np.ones((1, K), dtype=bool)), "REML", "kr")
    assert (
        str(problem.value)
        == "repeated fits have test='z', 't', 'knha' or 'adhoc'; fit with one of them instead of 'kr'"
    )


def test_no_problems_give_no_fits():
    many = fit_problems(Problems(np.ones((1, 3)), np.ones((1, 3)), np.ones((3, 1)), np.ones((0, 3), bool)), "DL", "z")
    assert many.beta.shape == (0, 1)
