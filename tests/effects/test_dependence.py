"""Several effects of a study as one, and the covariance of correlations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import catharsis as ca
from catharsis.effects.dependence import combined, correlation_block, sampling_correlation
from catharsis.errors import ModelError

DATA = pd.DataFrame({
    "yi": [1.0, 2, 4, 3, 5, 6], "vi": [0.1, 0.2, 0.3, 0.4, 0.2, 0.3], "g": ["b", "b", "b", "a", "a", "c"],
    "t": [1, 3, 4, 1, 2, 1], "o": [1, 2, 1, 1, 2, 1], "x": [1, 2, np.nan, 4, 5, 6],
    "kind": ["u", "v", "v", "u", None, "w"], "paid": [True, True, False, True, True, False],
})  # fmt: skip

# metafor 3.8-1, aggregate(): yi and vi of b, a, c printed to ten digits
METAFOR: list[tuple[dict[str, Any], list[float], list[float]]] = [
    ({"struct": "CAR", "phi": 0.6, "time": "t"}, [1.5062004261, 4.7674928554, 6], [0.0851034505, 0.1964781710, 0.3]),
    ({"struct": "CS+CAR", "phi": 0.6, "rho": 0.3, "time": "t"}, [1.2057915675, 5.0378477435, 6],
     [0.0965686121, 0.1999309893, 0.3]),
    ({"struct": "CS*CAR", "phi": 0.6, "rho": 0.3, "time": "t", "obs": "o"}, [1.6205820637, 4.4014640402, 6],
     [0.0694644005, 0.1553826421, 0.3]),
    ({"rho": [0.3, 0.5, 0.6]}, [1.5325359222, 4.6306019375, 6], [0.0818886968, 0.1891805812, 0.3]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "yi", "vi"), METAFOR)
def test_aggregates_equal_metafor(options: dict[str, Any], yi: list[float], vi: list[float]) -> None:
    found = ca.aggregate(DATA, cluster="g", **options)
    assert found["g"].tolist() == ["b", "a", "c"]
    assert_allclose(found["yi"], yi, rtol=1e-9)
    assert_allclose(found["vi"], vi, rtol=1e-8)


def test_other_columns_come_along() -> None:
    found = ca.aggregate(DATA, cluster="g", rho=0.5)
    assert list(found.columns) == [*DATA.columns, "n_effects"]
    assert_allclose(found["x"], [1.5, 4.5, 6])
    assert_allclose(found["paid"], [2 / 3, 1, 0])
    assert found["kind"].tolist() == ["v", "u", "w"]
    assert found["n_effects"].tolist() == [3, 2, 1]


def test_missing_effects() -> None:
    data = DATA.assign(yi=DATA["yi"].where(DATA.index != 0))
    found = ca.aggregate(data, cluster="g", rho=0.4)
    assert_allclose(found["yi"], [2.6710967961, 4.5351516645, 6], rtol=1e-9)  # metafor 3.8-1
    assert_allclose(found["vi"], [0.1657672148, 0.1798109593, 0.3], rtol=1e-8)
    kept = ca.aggregate(data, cluster="g", rho=0.4, skip_missing=False)
    assert_allclose(kept["yi"], [np.nan, 4.5351516645, 6], rtol=1e-9)
    assert_allclose(kept["vi"], [0.0890719891, 0.1798109593, 0.3], rtol=1e-8)
    none = ca.aggregate(data[data["g"] != "a"].assign(yi=np.nan), cluster="g", rho=0.4)
    assert none["yi"].isna().all()
    assert (none["n_effects"] == 0).all()


def test_the_closed_form_of_one_correlation() -> None:
    """Equal variances: the average, with v (1 + (k - 1) rho) / k; unweighted the same."""
    k, v, rho = 5, 0.2, 0.6
    y = np.arange(k, dtype=float)
    R = sampling_correlation("CS", k, rho)
    for weighted in (True, False):
        assert_allclose(combined(y, np.full(k, v), R, weighted), (2.0, v * (1 + (k - 1) * rho) / k), rtol=1e-12)


def test_a_covariance_may_be_given() -> None:
    by_rho = ca.aggregate(DATA, cluster="g", rho=0.5)
    V = np.zeros((6, 6))
    for rows in ([0, 1, 2], [3, 4], [5]):
        sei = np.sqrt(DATA["vi"].to_numpy()[rows])
        V[np.ix_(rows, rows)] = np.outer(sei, sei) * sampling_correlation("CS", len(rows), 0.5)
    blocks = [(np.array(rows), V[np.ix_(rows, rows)]) for rows in ([0, 1, 2], [3, 4], [5])]
    for given in (V, blocks, ca.sampling_covariance(DATA["vi"], cluster=DATA["g"], rho=0.5)):
        found = ca.aggregate(DATA, cluster="g", V=given)
        assert_allclose(found[["yi", "vi"]], by_rho[["yi", "vi"]], rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_and_order_and_sign_are_free(unit: float) -> None:
    before = ca.aggregate(DATA, cluster="g", rho=0.7)
    scaled = DATA.assign(yi=-unit * DATA["yi"], vi=unit**2 * DATA["vi"])
    after = ca.aggregate(scaled[::-1], cluster="g", rho={"a": 0.7, "b": 0.7, "c": 0.7}).set_index("g").loc[before["g"]]
    assert_allclose(after["yi"], -unit * before["yi"], rtol=1e-9)
    assert_allclose(after["vi"], unit**2 * before["vi"], rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cluster": "study"}, 'there is no column "study": use one of: yi, vi, g, t, o, x, kind, paid'),
        ({"cluster": "g"}, "rho is missing: give the correlation of effects of one cluster, or a plausible one"),
        ({"cluster": "g", "rho": 1.5}, "rho is 1.5: it lies between -1 and 1"),
        ({"cluster": "g", "rho": [0.1, 0.2]}, "rho has 2 values for 3 clusters: give one, or one per cluster"),
        ({"cluster": "g", "rho": {"a": 0.1}}, "rho has no value for b"),
        ({"cluster": "g", "rho": 1.0},
         "the sampling covariance of g b is not positive definite: 3 effects cannot all have these correlations; "
         "choose others"),
        ({"cluster": "g", "struct": "AR", "rho": 0.1}, 'struct is "AR": did you mean "CAR"?'),
        ({"cluster": "g", "struct": "CAR", "phi": 0.1},
         'struct "CAR" needs time: the column that tells when each effect was measured'),
        ({"cluster": "g", "struct": "CS*CAR", "phi": 0.1, "rho": 0.1, "time": "t"},
         'struct "CS*CAR" needs obs: the column that tells which effects are of one kind'),
        ({"cluster": "g", "struct": "CAR", "phi": -0.1, "time": "t"}, "phi is -0.1: it lies between 0 and 1"),
        ({"cluster": "g", "struct": "CAR", "phi": 0.1, "time": "x"}, "x is missing in row 2"),
        ({"cluster": "kind", "rho": 0.1}, "kind is missing in row 4: every effect belongs somewhere"),
        ({"cluster": "g", "rho": 0.1, "vi": "kind"}, 'column "kind" holds something that is not a number'),
        ({"cluster": "g", "V": np.eye(3)}, "V has 3 rows, and data has 6"),
        ({"cluster": "g", "V": [(np.array([0]), np.eye(1))]}, "V covers 1 of 6 rows"),
    ],
)  # fmt: skip
def test_wrong_use(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        ca.aggregate(DATA, **options)
    assert str(caught.value) == message


def test_variances_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="vi is negative in row 0: a variance is above 0"):
        ca.aggregate(DATA.assign(vi=-1.0), cluster="g", rho=0.1)
    with pytest.raises(ModelError, match="a variance is 0 in g b: weights need variances above 0"):
        ca.aggregate(DATA.assign(vi=0.0), cluster="g", rho=0.1)


# ----------------------------------------------------------------------------------------- correlations of one sample
CRAFT = pd.DataFrame({  # dat.craft2003, studies 1 and 6
    "study": ["1"] * 6 + ["6"] * 6, "var1": ["acog", "asom", "conf", "acog", "acog", "asom"] * 2,
    "var2": ["perf", "perf", "perf", "asom", "conf", "conf"] * 2,
    "ri": [-0.55, -0.48, 0.66, 0.47, -0.38, -0.46, 0.44, 0.46, np.nan, 0.67, np.nan, np.nan],
    "ni": [142] * 6 + [16] * 6,
})  # fmt: skip


def test_correlations_equal_metafor() -> None:
    """rcalc of metafor 3.8-1; missing correlations take with them what needs them."""
    found, V = ca.correlation_covariance(CRAFT, study="study")
    first = [0.003450398936170, 0.00132651489362, -0.000554579787234, -0.001396784751773, 0.00250189539007,
             0.000932237234043]  # fmt: skip
    assert_allclose(V[0][1][0], first, rtol=1e-9)
    assert found["pair"].tolist()[:2] == ["acog.perf", "asom.perf"]
    assert_allclose(found["vi"][:6], np.diag(V[0][1]))
    second = V[1][1]
    assert_allclose(second[0, [0, 1, 3]], [0.04335206400000, 0.02558339466667, 0.00952962266667], rtol=1e-10)
    assert np.isnan(second[2]).all()
    assert np.isnan(second[0, [2, 4, 5]]).all()
    z, of_z = ca.correlation_covariance(CRAFT, study="study", to_z=True)
    assert_allclose(z["yi"][0], np.arctanh(-0.55))
    assert_allclose(of_z[0][1][0, :3], [0.00719424460432, 0.00250672776781, -0.00142901613416], rtol=1e-9)
    assert_allclose(z["vi"][:6], 1 / 139)


@pytest.mark.parametrize(
    ("rule", "first"), [("min", 0.0178312003448), ("harmonic", 0.0151482430845), ("mean", 0.0150613051456)]
)
def test_the_common_number_of_people(rule: Any, first: float) -> None:
    """dat.craft2003, study 3, with numbers of people that differ; metafor 3.8-1."""
    data = CRAFT[:6].assign(ri=[0.53, -0.12, 0.03, 0.52, -0.48, -0.4], ni=[37, 30, 35, 36, 37, 37])
    assert_allclose(ca.correlation_covariance(data, common_n=rule)[1][0][1][0, 0], first, rtol=1e-9)


def test_the_covariance_is_that_of_repeated_samples() -> None:
    """Four variables: pairs with a common variable, and without one."""
    random = np.random.default_rng(1)
    R = np.array([[1, 0.5, 0.3, 0.2], [0.5, 1, 0.4, 0.1], [0.3, 0.4, 1, 0.6], [0.2, 0.1, 0.6, 1]])
    n, runs = 100, 4_000
    x = random.normal(size=(runs, n, 4)) @ np.linalg.cholesky(R).T
    x = x - x.mean(axis=1, keepdims=True)
    S = np.einsum("rni,rnj->rij", x, x)
    r = S / np.sqrt(np.einsum("rii,rjj->rij", S, S))
    pairs = [(0, 1), (0, 2), (2, 3)]
    simulated = np.cov(np.array([r[:, i, j] for i, j in pairs]))
    expected = correlation_block(R, pairs, n)
    sd = np.sqrt(np.diag(expected))
    assert_allclose(simulated / np.outer(sd, sd), expected / np.outer(sd, sd), atol=0.08)


def test_covariances_of_correlations_are_positive_definite() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        x = random.normal(size=(12, 4))
        R = np.corrcoef(x.T)
        pairs = [(i, j) for i in range(4) for j in range(i)]
        assert np.linalg.eigvalsh(correlation_block(R, pairs, 12)).min() > -1e-12


def test_few_people_have_no_covariance() -> None:
    found, V = ca.correlation_covariance(CRAFT[:6].assign(ni=4))
    assert np.isnan(V[0][1]).all()
    assert found["vi"].isna().all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"ri": 1.5}, {}, "ri is 1.5 in row 0: a correlation lies between -1 and 1"),
        ({"var2": "acog"}, {}, "acog is correlated with itself: var1 and var2 name two variables"),
        ({"var1": "asom"}, {}, "asom and perf are given twice: one correlation per pair"),
        ({}, {"r": "study1"}, 'there is no column "study1": did you mean "study"?'),
        ({}, {"common_n": "max"}, 'common_n is "max": use one of: min, harmonic, mean'),
    ],
)  # fmt: skip
def test_wrong_correlations(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    data = CRAFT[:3].copy()
    for name, value in change.items():
        data[name] = [value, *data[name][1:]]
    with pytest.raises(ModelError) as caught:
        ca.correlation_covariance(data, **options)
    assert str(caught.value) == message


BAD_V = [
    ([[0.1, 0.05], [0.02, 0.1]], "V is not symmetric"),
    ([[0.0, 0.0], [0.0, 0.1]], "V has 0 on its diagonal in row 1"),
    ([0.1, 0.2], "V as a list needs pairs"),
    (np.array([0.1, 0.2]), "V has shape \\(2,\\)"),
    (np.array([["a", "b"], ["c", "d"]]), "not a number"),
    ("V", "not a number"),
]


@pytest.mark.parametrize(("V", "message"), BAD_V)
def test_a_bad_covariance_is_refused(V, message) -> None:
    two = pd.DataFrame({"study": ["a", "a"], "yi": [0.1, 0.2], "vi": [0.1, 0.1]})
    matrix = np.array(V) if isinstance(V, list) and isinstance(V[0], list) else V
    with pytest.raises(ModelError, match=message):
        ca.aggregate(two, cluster="study", V=matrix)
