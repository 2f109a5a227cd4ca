"""Several standard deviations and t priors against dense sums that share nothing with the engine."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import sampling_covariance

K = 12
STUDY = np.repeat(np.arange(4), 3)
GROUP = np.array(["a"] * 7 + ["b"] * 5)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(160)
AGREES = 2e-8  # worst seen 7e-11; the sums are cut at 4 prior scales of tau, beyond which lies 1e-16 of the half-normal


def data(seed=1, spread=0.3, own=0.2):
    rng = np.random.default_rng(seed)
    yi = 0.2 + rng.normal(0, spread, 4)[STUDY] + rng.normal(0, own, K) + rng.normal(0, 0.2, K)
    return pd.DataFrame(
        {"yi": yi, "vi": rng.uniform(0.02, 0.08, K), "study": STUDY, "effect": np.arange(K), "g": GROUP,
         "lab": STUDY // 2, "x": rng.normal(size=K)}
    )  # fmt: skip


def line(top):
    return top * (1 + NODES) / 2, top * WEIGHTS / 2


def two_taus(frame, X, V, K1, K2, top=4.0, scale=0.5, b_sd=1.0):
    """Evidence and moments by a product rule over two standard deviations, b integrated into the covariance."""
    t, w = line(top)
    y = frame["yi"].to_numpy()
    prior = b_sd**2 * X @ X.T
    total = dict.fromkeys(("mass", "mu", "mu2", "tau1", "tau2", "both", "low"), 0.0)
    for t1, w1 in zip(t, w, strict=True):
        M = V + prior + t1**2 * K1 + (t**2)[:, None, None] * K2
        solved = np.linalg.solve(M, np.broadcast_to(y[:, None], (len(t), K, 1)))[:, :, 0]
        height = -0.5 * (np.linalg.slogdet(M)[1] + solved @ y + K * np.log(2 * np.pi))
        height += stats.halfnorm.logpdf(t1, scale=scale) + stats.halfnorm.logpdf(t, scale=scale)
        mass = np.exp(height) * w1 * w
        mean = b_sd**2 * solved @ X[:, 0]
        Z = np.linalg.solve(M, np.broadcast_to(X[:, [0]], (len(t), K, 1)))[:, :, 0] @ X[:, 0]
        total["mass"] += mass.sum()
        total["mu"] += mass @ mean
        total["mu2"] += mass @ (mean**2 + b_sd**2 - b_sd**4 * Z)
        total["tau1"] += mass.sum() * t1
        total["tau2"] += mass @ t
        total["both"] += mass @ np.sqrt(t1**2 + t**2)
        total["low"] += mass[t < 0.25].sum()
    mass = total.pop("mass")
    return np.log(mass), {name: value / mass for name, value in total.items()}


def one(frame):
    return np.ones((len(frame), 1))


def together(code):
    return (code[:, None] == code).astype(float)


def agree(post, evidence, sums, names):
    assert post.log_marginal == pytest.approx(evidence, abs=AGREES)
    assert post.mu.mean == pytest.approx(sums["mu"], abs=AGREES)
    assert post.mu.sd**2 == pytest.approx(sums["mu2"] - sums["mu"] ** 2, abs=AGREES)
    assert post.taus[names[0]].mean == pytest.approx(sums["tau1"], abs=AGREES)
    assert post.taus[names[1]].mean == pytest.approx(sums["tau2"], abs=AGREES)
    assert post.error < 1e-6


@pytest.mark.parametrize(("seed", "spread", "own"), [(1, 0.3, 0.2), (2, 0.0, 0.3), (3, 1.0, 0.0)])
def test_three_levels(seed, spread, own):
    frame = data(seed, spread, own)
    post = fit_bayes("yi ~ 1", frame, random="study/effect")
    evidence, sums = two_taus(frame, one(frame), np.diag(frame["vi"]), together(STUDY), np.eye(K))
    agree(post, evidence, sums, list(post.taus))
    assert post.tau.mean == pytest.approx(sums["both"], abs=AGREES)


def test_sampling_covariance():
    frame = data(4)
    V = sampling_covariance(frame["vi"], frame["study"], 0.4)
    dense = np.diag(frame["vi"].to_numpy())
    for rows, block in V:
        dense[np.ix_(rows, rows)] = block
    post = fit_bayes("yi ~ 1", frame, V=V, random="study/effect")
    evidence, sums = two_taus(frame, one(frame), dense, together(STUDY), np.eye(K))
    agree(post, evidence, sums, list(post.taus))
    same = fit_bayes("yi ~ 1", frame, V=dense, random="study/effect")
    assert same.log_marginal == pytest.approx(post.log_marginal, abs=1e-9)


def test_crossed_factors():
    frame = data(5).assign(item=np.arange(K) % 3)
    post = fit_bayes("yi ~ 1", frame, random="study + item")
    evidence, sums = two_taus(
        frame, one(frame), np.diag(frame["vi"]), together(STUDY), together(frame["item"].to_numpy())
    )
    agree(post, evidence, sums, ["study", "item"])


def test_groups_with_their_own_spread():
    frame = data(6)
    post = fit_bayes("yi ~ x", frame, random="g | effect", struct="DIAG")
    X = np.column_stack([np.ones(K), frame["x"]])
    masks = [np.diag((level == GROUP).astype(float)) for level in "ab"]
    evidence, sums = two_taus(frame, X, np.diag(frame["vi"]), *masks)
    agree(post, evidence, sums, list(post.taus))
    assert len(post.taus) == 2
    assert post.tau.mean == post.taus[next(iter(post.taus))].mean  # a new study is of the first group
    second = list(post.taus)[1]
    assert post.predictive(component=second).sd != pytest.approx(post.new.sd)


@pytest.mark.parametrize(
    ("prior", "law"),
    [
        ("cauchy(0, 0.5)", stats.cauchy(0, 0.5)),
        ("cauchy(3, 0.1)", stats.cauchy(3, 0.1)),  # the prior far from the data
        ("t(3, 0, 0.4)", stats.t(3, 0, 0.4)),
        ("t(30, 0.2, 1)", stats.t(30, 0.2, 1)),
        ("t(100000, 0, 1)", stats.t(1e5, 0, 1)),
    ],
)
def test_t_priors(prior, law):
    """Against a sum over mu itself: no scale mixture."""
    frame = data(7).head(6)
    yi, vi = frame["yi"].to_numpy(), frame["vi"].to_numpy()
    post = fit_bayes(yi=yi, vi=vi, priors=Priors.parse({"mu": prior, "tau": "half-normal(0.3)"}))
    t, w = line(2.6)
    z, u = np.polynomial.legendre.leggauss(600)
    mu, wm = 8 * z, 8 * u
    height = stats.norm.logpdf(yi[:, None, None], mu[:, None], np.sqrt(vi[:, None, None] + t**2)).sum(axis=0)
    height += law.logpdf(mu)[:, None] + stats.halfnorm.logpdf(t, scale=0.3)
    mass = np.exp(height) * wm[:, None] * w
    mean = (mass.sum(axis=1) @ mu) / mass.sum()
    assert post.log_marginal == pytest.approx(np.log(mass.sum()), abs=1e-7)
    assert post.mu.mean == pytest.approx(mean, abs=1e-7)
    assert post.mu.sd**2 == pytest.approx((mass.sum(axis=1) @ (mu - mean) ** 2) / mass.sum(), abs=1e-7)
    assert post.tau.mean == pytest.approx((mass.sum(axis=0) @ t) / mass.sum(), abs=1e-7)


def test_three_components_meet_two():
    """With the third standard deviation held at 0 the evidence of the two is met."""
    frame = data(8)
    priors = Priors.parse({"taus": {"lab": "fixed(0)"}})
    held = fit_bayes("yi ~ 1", frame, random="lab/study/effect", priors=priors)
    two = fit_bayes("yi ~ 1", frame, random="study/effect")
    assert held.log_marginal == pytest.approx(two.log_marginal, abs=1e-9)
    free = fit_bayes("yi ~ 1", frame, random="lab/study/effect")
    factor = free.bayes_factor("tau[lab] = 0")
    assert factor == pytest.approx(np.exp(two.log_marginal - free.log_marginal), rel=1e-6)


def test_laws_are_consistent():
    post = fit_bayes("yi ~ 1", data(9), random="study/effect")
    study = post.taus["study"]
    for law in (study, post.tau):
        assert law.cdf(law.quantile(0.3)) == pytest.approx(0.3, abs=1e-9)
        assert law.cdf(0.3) + law.sf(0.3) == pytest.approx(1, abs=1e-12)
        low, high = law.shortest(0.9)
        assert law.cdf(high) - law.cdf(low) == pytest.approx(0.9, abs=1e-6)
        assert high - low <= np.diff(law.central(0.9))[0] + 1e-9
    x = np.linspace(1e-6, 4, 4001)
    assert np.trapezoid(study.density(x), x) == pytest.approx(1, abs=1e-4)
    assert post.probability("in (0.1, 0.3)", "tau[study]") == pytest.approx(study.cdf(0.3) - study.cdf(0.1))


def test_the_total_by_simulation():
    """The root of the summed variances: mass below a point against resampled nodes with their boxes' spread."""
    frame = data(10)
    post = fit_bayes("yi ~ 1", frame, random="study/effect")
    t, w = line(4.0)
    V, y = np.diag(frame["vi"]) + 1.0, frame["yi"].to_numpy()
    below = mass = 0.0
    at = post.tau.median
    fine, fine_w = (at * (1 + NODES) / 2, at * WEIGHTS / 2)
    for limit in (True, False):  # up to the median in t1, with t2 up to the circle; then everything
        for t1, w1 in zip(*((fine, fine_w) if limit else (t, w)), strict=True):
            top = np.sqrt(at**2 - t1**2) if limit else 4.0
            t2, w2 = top * (1 + NODES) / 2, top * WEIGHTS / 2
            M = V + t1**2 * together(STUDY) + (t2**2)[:, None, None] * np.eye(K)
            solved = np.linalg.solve(M, np.broadcast_to(y[:, None], (len(t2), K, 1)))[:, :, 0]
            height = -0.5 * (np.linalg.slogdet(M)[1] + solved @ y) - 2 * (t1**2 + t2**2)
            part = float((np.exp(height) * w2).sum() * w1)
            below, mass = (below + part, mass) if limit else (below, mass + part)
    assert below / mass == pytest.approx(0.5, abs=2e-6)


def test_order_and_labels_do_not_matter():
    frame = data(11)
    post = fit_bayes("yi ~ x", frame, random="study/effect")
    turned = frame.sample(frac=1, random_state=3)
    other = fit_bayes("yi ~ x", turned, random="study/effect")
    assert other.log_marginal == pytest.approx(post.log_marginal, abs=1e-9)
    assert other.mu.low == pytest.approx(post.mu.low, abs=1e-9)


def test_study_effects_by_brute_force():
    frame = data(12)
    post = fit_bayes("yi ~ 1", frame, random="study/effect")
    t, w = (lambda z, u: (2 * (1 + z), 2 * u))(*np.polynomial.legendre.leggauss(60))
    V, y = np.diag(frame["vi"].to_numpy()), frame["yi"].to_numpy()
    mass = first = second = 0.0
    for t1, w1 in zip(t, w, strict=True):
        for t2, w2 in zip(t, w, strict=True):
            G = t1**2 * together(STUDY) + t2**2 * np.eye(K) + 1.0  # of the true effects, mu in it
            M = G + V
            gain = np.linalg.solve(M, G)
            m = np.exp(-0.5 * (np.linalg.slogdet(M)[1] + y @ np.linalg.solve(M, y)) - 2 * (t1**2 + t2**2)) * w1 * w2
            mean, variance = (y @ gain)[2], (G - G @ gain)[2, 2]
            mass, first, second = mass + m, first + m * mean, second + m * (mean**2 + variance)
    found = post.studies[list(post.studies)[2]]
    assert found.mean == pytest.approx(first / mass, abs=1e-6)
    assert found.sd**2 == pytest.approx(second / mass - (first / mass) ** 2, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"random": "study | effect", "struct": "UN"}, 'engine="nuts"'),
        ({"random": "study/effect", "priors": {"mu": "cauchy(0, 1)", "b": "t(3, 0, 1)", "tau": "half-normal(1)"},
          "formula": "yi ~ x + g"}, "more than the exact engine integrates"),
        ({"random": "study/effect", "priors": {"mu": "flat", "taus": {"study": "uniform"}}, "rows": 4},
         "the posterior is improper"),
        ({"random": "study/effect", "priors": {"taus": {"country": "half-normal(1)"}}}, "country"),
    ],
)  # fmt: skip
def test_refusals(change, why):
    frame = data(13).head(change.pop("rows", K))
    formula = change.pop("formula", "yi ~ 1")
    if "priors" in change:
        change["priors"] = Priors.parse(change["priors"])
    with pytest.raises(ModelError, match=why.replace("(", r"\(")):
        fit_bayes(formula, frame, **change)


def test_an_improper_component_cannot_be_tested():
    frame = data(14)
    post = fit_bayes("yi ~ 1", frame, random="study/effect", priors=Priors.parse({"taus": {"effect": "uniform"}}))
    name = next(name for name in post.taus if "effect" in name)
    with pytest.raises(ModelError, match="improper"):
        post.bayes_factor(f"tau[{name}] = 0")
    assert post.bayes_factor("tau[study] = 0") > 0


def test_effects_with_one_label_stay_apart():
    frame = data(15).head(3).assign(label=["Lee", "Kim", "Lee"])
    post = fit_bayes("yi ~ 1", frame.set_index("label"))
    assert len(post.studies) == 3


def test_fixed_priors_of_one_component():
    frame = data(16)
    priors = Priors(taus={"study": Prior("fixed", (0.3,))})
    post = fit_bayes("yi ~ 1", frame, random="study/effect", priors=priors)
    assert post.taus["study"].sd == 0
    assert post.tau.quantile(1e-6) >= 0.3
