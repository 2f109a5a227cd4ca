"""Posterior predictive p against closed cases, grids and replicates."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import catharsis as ca
from catharsis.bayes.fitted import Nodes

YI = np.array([0.9, 0.6, 0.5, 0.3, 0.2, -0.25, 0.4])
VI = np.array([0.20, 0.12, 0.08, 0.03, 0.02, 0.04, 0.05])
K = len(YI)
POST = ca.fit_bayes(yi=YI, vi=VI)


def cochran(yi):
    w = 1 / VI
    return w @ (yi - w @ yi / w.sum()) ** 2


def test_without_heterogeneity_Q_is_chi_square():
    post = ca.fit_bayes(yi=YI, vi=VI, priors=ca.Priors.parse({"mu": "flat", "tau": "fixed(0)"}))
    found = ca.predictive_check(post)
    assert found.observed == pytest.approx(cochran(YI))
    assert found.mcse == 0
    assert found.p == pytest.approx(stats.chi2.sf(cochran(YI), K - 1), rel=1e-10)


def three_level():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"study": np.repeat(list("abcdef"), 2), "effect": range(12)})
    frame["vi"], frame["x"] = rng.uniform(0.02, 0.2, 12), rng.normal(0, 1, 12)
    frame["yi"] = 0.3 + 0.4 * np.repeat(rng.normal(0, 1, 6), 2) + rng.normal(0, 0.3, 12)
    return frame, ca.sampling_covariance(frame["vi"], frame["study"], 0.4)


@pytest.mark.parametrize("random", [None, "study"])
def test_computed_Q_against_replicates(random):
    frame, V = three_level()
    post = ca.fit_bayes("yi ~ x", frame, V=V if random else None, random=random)
    found = ca.predictive_check(post, draws=20_000)
    counted = (found.replicates >= found.observed).mean()
    assert found.mcse == 0
    assert found.p == pytest.approx(counted, abs=4 * np.sqrt(found.p * (1 - found.p) / 20_000))
    assert found.observed == pytest.approx(ca.fit("yi ~ x", frame, V=V if random else None, random=random).QE.statistic
                                           if random else ca.fit("yi ~ x", frame).QE.statistic)  # fmt: skip


def test_replicates_against_a_dense_simulation():
    """The spread of replicates of a model with two components and V, drawn with k x k matrices."""
    frame, V = three_level()
    post = ca.fit_bayes("yi ~ x", frame, V=V, random="study/effect")
    found = ca.predictive_check(post, np.ptp, draws=8000)
    rng = np.random.default_rng(0)
    full = np.zeros((12, 12))
    for rows, block in V:
        full[np.ix_(rows, rows)] = block
    same = np.equal.outer(frame["study"].to_numpy(), frame["study"].to_numpy())
    X = np.column_stack([np.ones(12), frame["x"]])
    nodes, ranges = post.nodes, []
    for i in rng.choice(len(nodes.weight), 4000, p=nodes.weight):
        b = rng.multivariate_normal(nodes.mean[i], nodes.cov[i], method="cholesky")
        M = full + nodes.theta[i, 0] * same + nodes.theta[i, 1] * np.eye(12)
        ranges.append(np.ptp(X @ b + np.linalg.cholesky(M) @ rng.standard_normal(12)))
    assert stats.ks_2samp(ranges, found.replicates).pvalue > 0.001
    p = np.mean(np.array(ranges) >= found.observed)
    assert found.p == pytest.approx(p, abs=4 * np.hypot(found.mcse, np.sqrt(p * (1 - p) / 4000)))


def test_the_largest_and_the_smallest_against_integration():
    tau = 0.3
    post = ca.fit_bayes(yi=YI, vi=VI, priors=ca.Priors.parse({"tau": f"fixed({tau})"}))
    mean, sd = post.mu.mean, post.mu.sd
    spread = np.sqrt(VI + tau**2)
    largest = integrate.quad(
        lambda b: stats.norm.pdf(b, mean, sd) * (1 - np.prod(stats.norm.cdf(YI.max(), b, spread))),
        mean - 10 * sd, mean + 10 * sd, epsabs=1e-13,
    )[0]  # fmt: skip
    assert ca.predictive_check(post, "max").p == pytest.approx(largest, abs=1e-10)
    turned = ca.fit_bayes(yi=-YI, vi=VI, priors=ca.Priors.parse({"tau": f"fixed({tau})"}))
    assert ca.predictive_check(turned, "min").p == pytest.approx(largest, abs=1e-10)


@pytest.mark.parametrize("statistic", ["max", "min"])
def test_extremes_with_moderators_are_counted(statistic):
    X = np.column_stack([np.ones(K), np.linspace(-1, 1, K)])
    found = ca.predictive_check(ca.fit_bayes(yi=YI, vi=VI, X=X), statistic, draws=20_000)
    sign = 1 if statistic == "max" else -1
    counted = (sign * found.replicates >= sign * found.observed).mean()
    assert 0 < found.mcse < np.sqrt(counted * (1 - counted) / 20_000)  # conditional probabilities vary less than counts
    assert found.p == pytest.approx(counted, abs=4 * np.sqrt(counted * (1 - counted) / 20_000))


def test_draws_and_nodes_agree():
    rng = np.random.default_rng(4)
    n = 20_000
    chosen = rng.choice(len(POST.nodes.weight), n, p=POST.nodes.weight)
    b = POST.nodes.mean[chosen, 0] + np.sqrt(POST.nodes.cov[chosen, 0, 0]) * rng.standard_normal(n)
    nodes = Nodes(np.full(n, 1 / n), POST.nodes.theta[chosen], b[:, None], np.zeros((n, 1, 1)))
    sampled = replace(POST, engine="nuts", nodes=nodes)
    for statistic in ("Q", "max", "min"):
        found, exact = ca.predictive_check(sampled, statistic), ca.predictive_check(POST, statistic)
        assert found.mcse > 0
        assert found.p == pytest.approx(exact.p, abs=4 * found.mcse)


def test_a_function_is_asked_and_the_seed_decides():
    here, again, other = (ca.predictive_check(POST, np.median, draws=500, seed=s) for s in (1, 1, 2))
    assert here.statistic == "median"
    assert here.observed == np.median(YI)
    assert 0 < here.mcse < 0.05
    assert here.p == again.p
    assert np.any(here.replicates != other.replicates)
    assert here.low < here.median < here.high


def test_an_outlier_and_the_unit():
    far = np.append(YI, 6.0)
    assert ca.predictive_check(ca.fit_bayes(yi=far, vi=np.append(VI, 0.02)), "max").p < 0.15 < POST.mu.positive
    priors = ca.Priors.parse({"mu": "normal(0, 1000)", "tau": "half-normal(500)"})
    scaled = ca.fit_bayes(yi=1000 * YI, vi=1e6 * VI, priors=priors)
    for statistic in ("Q", "max", "min"):
        plain = ca.predictive_check(POST, statistic)
        assert ca.predictive_check(scaled, statistic).p == pytest.approx(plain.p, rel=1e-9)
        turned = ca.fit_bayes(yi=YI[::-1], vi=VI[::-1])
        assert ca.predictive_check(turned, statistic).p == pytest.approx(plain.p, rel=1e-9)


BAD = {
    "a fit": (lambda: ca.predictive_check(ca.fit(yi=YI, vi=VI)), "takes a posterior from fit_bayes"),
    "unknown": (lambda: ca.predictive_check(POST, "largest"), "there is no statistic"),
    "a number": (lambda: ca.predictive_check(POST, 3), "there is no statistic 3"),
    "no number": (lambda: ca.predictive_check(POST, lambda y: "high"), "must give one number"),
    "two numbers": (lambda: ca.predictive_check(POST, lambda y: y), "must give one number"),
    "nan": (lambda: ca.predictive_check(POST, lambda y: float("nan")), "must be a finite number"),
    "no draws": (lambda: ca.predictive_check(POST, draws=0), "draws is 0"),
    "half a draw": (lambda: ca.predictive_check(POST, draws=2.5), "draws is 2.5"),
    "seed": (lambda: ca.predictive_check(POST, seed=-1), "seed is -1"),
    "no Q": (lambda: ca.predictive_check(ca.fit_bayes(yi=[0.1], vi=[0.1])), "leave no Q"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, words = BAD[case]
    with pytest.raises(ca.ModelError, match=words):
        call()
