"""Cluster-robust inference against dense textbook matrices, a simulation, and exact words."""

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.models.fit import fit
from catharsis.models.robust_wald import wishart_df


def data(m=7, seed=1):
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(m), rng.integers(1, 5, m))
    k = len(study)
    return pd.DataFrame(
        {
            "yi": rng.normal(0.3, 0.5, k),
            "vi": rng.uniform(0.02, 0.2, k),
            "study": study,
            "effect": np.arange(k),
            "x": rng.normal(2000, 5, k),
            "z": rng.normal(0, 1, k),
        }
    )


def dense(model, cluster, kind):
    """Bell-McCaffrey by its definition, with k x k matrices: covariance, and P_ij of every pair of clusters."""
    X, y, k = model.blocks.X, model.blocks.y, model.nobs
    M = np.zeros((k, k))
    for stack in model.blocks.stacks:
        for rows, V, K in zip(stack.rows, stack.V, np.moveaxis(stack.K, 1, 0), strict=True):
            M[np.ix_(rows, rows)] = V + np.tensordot(model.theta, K, 1)
    W = np.linalg.inv(M)
    B = np.linalg.inv(X.T @ W @ X)
    I_H = np.eye(k) - X @ B @ X.T @ W
    e = I_H @ y
    T = []
    for label in np.unique(cluster):
        at = np.flatnonzero(cluster == label)
        Phi, Xj = M[np.ix_(at, at)], X[at]
        A = np.eye(len(at))
        if kind == "CR2":
            D = np.linalg.cholesky(Phi).T
            values, vectors = np.linalg.eigh(D @ (Phi - Xj @ B @ Xj.T) @ D.T)
            power = np.where(values > 1e-11 * values.max(), np.abs(values), np.inf) ** -0.5
            A = D.T @ (vectors * power) @ vectors.T @ D
        if kind == "CR3":
            A = np.linalg.inv(np.eye(len(at)) - Xj @ B @ Xj.T @ W[np.ix_(at, at)])
        Tj = np.zeros((k, X.shape[1]))
        Tj[at] = A.T @ W[np.ix_(at, at)] @ Xj @ B
        T.append(Tj)
    cov = sum(np.outer(Tj.T @ e, Tj.T @ e) for Tj in T)
    P = [[Ti.T @ I_H @ M @ I_H.T @ Tj for Tj in T] for Ti in T]
    return cov, P


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize(
    ("formula", "random", "rho"),
    [
        ("yi ~ 1", None, None),
        ("yi ~ x", None, None),
        ("yi ~ x + z", "study/effect", None),
        ("yi ~ z", "study/effect", 0.6),
        ("yi ~ z", "study", 0.6),
        ("yi ~ z", None, 0.6),
    ],
)
def test_against_the_definition(formula, random, rho, kind):
    frame = data()
    V = None if rho is None else sampling_covariance(frame["vi"], frame["study"], rho)
    model = fit(formula, frame, V=V, random=random, test="z")
    found = model.robust(frame["study"], kind)
    cov, P = dense(model, frame["study"].to_numpy(), kind)
    size = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert found.cov / size == pytest.approx(cov / size, rel=1e-6, abs=1e-9)
    for t in range(len(found.beta)):
        p = np.array([[block[t, t] for block in row] for row in P])
        assert found.df[t] == pytest.approx(np.trace(p) ** 2 / (p**2).sum(), rel=1e-6)


def test_hotelling_df_against_its_definition():
    frame = data(12, seed=3)
    model = fit("yi ~ x + z", frame, random="study/effect")
    found = model.robust(frame["study"])
    _, P = dense(model, frame["study"].to_numpy(), "CR2")
    pick = np.ix_([1, 2], [1, 2])
    Omega = sum(P[j][j][pick] for j in range(12))
    values, vectors = np.linalg.eigh(Omega)
    G = (vectors / np.sqrt(values)) @ vectors.T
    total = sum(np.trace(Q) ** 2 + np.trace(Q @ Q) for row in P for Q in [G @ block[pick] @ G for block in row])
    assert wishart_df(found.within, found.shared, np.array([1, 2])) == pytest.approx(6 / total, rel=1e-6)
    joint = found.wald([1, 2])
    b, inner = found.beta[1:], found.cov[1:, 1:]
    eta = 6 / total
    assert joint.df2 == pytest.approx(eta - 1, rel=1e-6)
    assert joint.statistic == pytest.approx((eta - 1) / (2 * eta) * b @ np.linalg.solve(inner, b), rel=1e-6)


def test_one_coefficient_hotelling_is_satterthwaite():
    frame = data()
    found = fit("yi ~ z", frame, random="study").robust(frame["study"])
    joint = found.wald([1])
    assert joint.df2 == pytest.approx(found.df[1])
    assert joint.statistic == pytest.approx(found.statistic[1] ** 2)
    assert joint.p == pytest.approx(found.p[1])


def test_constant_factors():
    frame = data()
    model = fit("yi ~ z", frame, random="study")
    m, k, p = 7, len(frame), 2
    plain = model.robust(frame["study"], "CR0")
    for kind, factor in (("CR1", m / (m - 1)), ("CR1p", m / (m - p)), ("CR1S", m * (k - 1) / ((m - 1) * (k - p)))):
        found = model.robust(frame["study"], kind)
        assert found.cov == pytest.approx(factor * plain.cov)
        assert found.df == pytest.approx(plain.df)


def test_cr2_is_unbiased_under_its_working_model():
    """Simulation with the model's own covariance: the mean CR2 variance is the true one; 4 Monte Carlo errors."""
    rng, frame = np.random.default_rng(7), data(6, seed=5)
    vi, X = frame["vi"].to_numpy(), np.column_stack([np.ones(len(frame)), frame["z"]])
    found = []
    for _ in range(800):
        model = fit(yi=rng.normal(0, np.sqrt(vi)), vi=vi, X=X, method="EE", test="z")
        found.append(np.diag(model.robust(frame["study"]).cov))
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(means - np.diag(model.cov)) < 4 * errors)


def test_small_df_hide_p():
    frame = data(4)
    found = fit("yi ~ 1", frame, random="study").robust(frame["study"])
    assert found.df[0] < 4
    assert found.hide_p == (True,)
    big = data(40, seed=2)
    assert fit("yi ~ 1", big, random="study").robust(big["study"]).hide_p == (False,)


def test_clusters_may_hold_several_blocks():
    frame = data(8)
    frame["lab"] = frame["study"] // 2
    found = fit("yi ~ 1", frame, random="study/effect").robust(frame["lab"])
    assert found.m == 4


def test_names_of_clusters_do_not_matter():
    frame = data()
    model = fit("yi ~ z", frame, random="study")
    by_number, by_name = model.robust(frame["study"]), model.robust([f"s{10 - s}" for s in frame["study"]])
    assert by_number.se == pytest.approx(by_name.se)
    assert by_number.df == pytest.approx(by_name.df)


def test_summary_and_interval():
    frame = data()
    found = fit("yi ~ z", frame, random="study").robust(frame["study"])
    table = found.summary()
    assert list(table.columns) == ["estimate", "se", "statistic", "df", "p", "low", "high"]
    low, high = found.interval(0.5)
    assert np.all((low > table["low"]) & (high < table["high"]))


BAD = [
    (lambda f: f["study"] * 0, "CR2", "robust standard errors need at least two clusters; here all effects are in one"),
    (
        lambda f: f["study"],
        "CR4",
        'there is no cluster-robust correction "CR4": use one of CR0, CR1, CR1p, CR1S, CR2, CR3',
    ),
    (
        lambda f: [None, float("nan"), *f["study"][2:]],
        "CR2",
        "cluster is missing for 2 of {k} effects (0, 1): give each effect a label",
    ),
    (lambda f: f["study"][1:], "CR2", "cluster has {short} labels for {k} effects"),
    (
        lambda f: f["effect"],
        "CR2",
        "effects {a} and {b} lie in different clusters, but share a random effect or a sampling covariance: "
        "cluster by the outermost random factor, or by something that contains it",
    ),
]


@pytest.mark.parametrize(("cluster", "kind", "words"), BAD)
def test_bad_clusters_are_refused_in_words(cluster, kind, words):
    frame = data()
    model = fit("yi ~ z", frame, random="study/effect")
    with pytest.raises(ModelError) as caught:
        model.robust(cluster(frame), kind)
    rows = next(stack.rows[0] for stack in model.blocks.stacks if stack.rows.shape[1] > 1)
    k = len(frame)
    assert str(caught.value) == words.format(short=k - 1, k=k, a=rows[0] + 1, b=rows[1] + 1)


def test_too_many_coefficients_for_the_clusters():
    frame = data(3)
    frame["w"] = np.cos(frame["effect"] * 7.0)
    found = fit("yi ~ x + z + w", frame, method="EE", test="z").robust(frame["study"])
    with pytest.raises(ModelError, match=r"^3 clusters cannot carry a joint test of 3 coefficients$"):
        found.wald([1, 2, 3])
    with pytest.raises(ModelError, match=r"^CR1p needs more clusters than coefficients; here m = 3 and p = 4$"):
        fit("yi ~ x + z + w", frame, method="EE", test="z").robust(frame["study"], "CR1p")


def test_a_coefficient_that_one_cluster_determines():
    frame = data()
    frame["group"] = np.where(frame["study"] == 3, "a", "b")
    model = fit("yi ~ group - 1", frame, random="study")
    plain = model.robust(frame["study"], "CR0")
    words = "group[a]: no cluster that informs it has a residual left, so no robust standard error exists"
    assert plain.notes == (words,)
    assert np.isnan(plain.se[0])
    assert np.isnan(plain.df[0])
    assert plain.hide_p[0]
    assert np.isfinite(plain.se[1])
    with pytest.raises(ModelError) as caught:
        plain.wald([0, 1])
    assert str(caught.value) == f"no joint test: {words}"
    with pytest.raises(
        ModelError, match=r"^CR3 cannot leave out a cluster that alone determines a coefficient; use CR2$"
    ):
        model.robust(frame["study"], "CR3")
    reduced = model.robust(frame["study"], "CR2")
    assert reduced.notes == (
        "CR2: some clusters determine a coefficient by themselves and carry no information on its error",
    )
    assert np.isfinite(reduced.se).all()


@pytest.mark.parametrize(("kind", "factor"), [("CR0", 1.0), ("CR1p", 8 / 6)])
def test_clusters_that_cut_through_crossed_effects(kind, factor):
    """(X'WX)^-1 sum_j (WX)_j' e_j e_j' (WX)_j (X'WX)^-1 with the whole W, as metafor's robust() has it."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"study": np.arange(40) % 8, "lab": np.arange(40) // 7, "z": rng.normal(size=40), "vi": 0.02})
    frame["yi"] = rng.normal(0, 0.5, 6)[frame.lab] + rng.normal(0, 0.3, 8)[frame.study] + rng.normal(0, 0.1, 40)
    model = fit("yi ~ z", frame, random="study + lab")
    shared = [np.equal.outer(frame[name].to_numpy(), frame[name].to_numpy()) for name in ("study", "lab")]
    W = np.linalg.inv(
        np.diag(frame.vi) + sum(model.sigma2[n] * K for n, K in zip(("study", "lab"), shared, strict=True))
    )
    X = np.column_stack([np.ones(40), frame.z])
    inner = np.linalg.inv(X.T @ W @ X)
    pulls = (W @ X) * (frame.yi.to_numpy() - X @ model.beta)[:, None]
    summed = np.array([pulls[frame.study == j].sum(axis=0) for j in range(8)])
    assert model.robust(frame["study"], kind).cov == pytest.approx(factor * inner @ summed.T @ summed @ inner, rel=1e-9)
