"""Partial evidence in the exact engine: known answers, symmetry, limits, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import catharsis as ca
from catharsis.errors import ModelError

ROWS = pd.DataFrame(
    [
        {"label": "a", "kind": "bounds", "design": "one-sample", "n": 28, "sign": 1, "verdict": "sig"},
        {"label": "b", "kind": "direction", "design": "two-sample", "n1": 20, "n2": 30, "sign": -1},
        {"label": "c", "kind": "bounds", "design": "correlation", "n": 60, "sign": 0, "verdict": "ns", "alpha": 0.01},
    ]
)
YI, VI = [0.3, -0.1, 0.5], [0.04, 0.05, 0.08]


def fit(rows=ROWS, yi=YI, vi=VI, **priors):
    chosen = ca.Priors.parse({"mu": "normal(0, 1)", "tau": "half-normal(0.5)"} | priors)
    return ca.fit_bayes(yi=yi, vi=vi if yi is not None else "vi", partial=ca.partial_evidence(rows), priors=chosen)


def test_without_partial_rows_it_is_the_exact_engine():
    none = ca.partial_evidence(ROWS.iloc[:0])
    both = [ca.fit_bayes(yi=YI, vi=VI), ca.fit_bayes(yi=YI, vi=VI, partial=none)]
    for name in ("mean", "sd", "median", "low", "high"):
        for part in ("mu", "tau", "new"):
            one, two = (getattr(getattr(post, part), name) for post in both)
            assert two == pytest.approx(one, abs=2e-6)
    assert both[1].log_marginal == pytest.approx(both[0].log_marginal, abs=1e-9)
    assert both[1].bayes_factor("mu = 0") == pytest.approx(both[0].bayes_factor("mu = 0"), rel=1e-7)
    assert both[1].bayes_factor("tau = 0") == pytest.approx(both[0].bayes_factor("tau = 0"), rel=1e-7)
    for one, two in zip(both[0].studies.values(), both[1].studies.values(), strict=True):
        assert (two.mean, two.sd) == pytest.approx((one.mean, one.sd), abs=2e-6)


def test_dense_sum():
    """Product trapezoids over (mu, tau), theta by a fine sum: for a posterior with all three kinds of row."""
    post = fit()
    mu, tau = np.linspace(-4, 4, 161), np.linspace(0.01, 3.0, 150)
    theta = np.arange(-6, 6, 0.01)
    critical = stats.t.isf(0.025, 27)
    r = stats.t.isf(0.005, 58)
    z = np.arctanh(r / np.sqrt(58 + r**2))
    chances = [
        stats.nct.sf(critical, 27, np.clip(theta, -4, 4) * np.sqrt(28)),
        stats.norm.cdf(-theta * np.sqrt(12)),
        stats.norm.cdf((z - theta) * np.sqrt(57)) - stats.norm.cdf((-z - theta) * np.sqrt(57)),
    ]
    height = stats.norm.logpdf(mu)[:, None] + stats.halfnorm.logpdf(tau, scale=0.5)
    for y, v in zip(YI, VI, strict=True):
        height = height + stats.norm.logpdf(y, mu[:, None], np.sqrt(v + tau**2))
    for j, spread in enumerate(tau):
        if spread < 0.03:  # a sum with step 0.01 needs some spread: theta is mu here
            parts = [np.interp(mu, theta, chance) for chance in chances]
        else:
            kernel = stats.norm.pdf(theta, mu[:, None], spread) * 0.01
            parts = [kernel @ chance for chance in chances]
        height[:, j] += np.log(np.maximum(parts, 1e-300)).sum(axis=0)
    mass = np.exp(height)
    total = mass.sum()
    assert post.mu.mean == pytest.approx((mass.sum(axis=1) @ mu) / total, abs=2e-4)
    assert post.tau.mean == pytest.approx((mass.sum(axis=0) @ tau) / total, abs=1e-2)  # the first half step of tau
    assert post.log_marginal == pytest.approx(np.log(total * 0.05 * 0.02), abs=2e-2)


def test_a_sign_flip_mirrors():
    flipped = ROWS.assign(sign=-ROWS["sign"])
    one, two = fit(), fit(flipped, [-y for y in YI])
    assert two.mu.mean == pytest.approx(-one.mu.mean, abs=1e-8)
    assert two.mu.low == pytest.approx(-one.mu.high, abs=1e-6)
    assert two.tau.median == pytest.approx(one.tau.median, abs=1e-6)


def test_order_does_not_matter():
    one, two = fit(), fit(ROWS.iloc[::-1], YI[::-1], VI[::-1])
    assert two.mu.mean == pytest.approx(one.mu.mean, abs=1e-9)
    assert two.studies["a"].mean == pytest.approx(one.studies["a"].mean, abs=1e-7)


def test_partial_rows_alone():
    post = fit(yi=None)
    assert list(post.studies) == ["a", "b", "c"]
    assert post.error < 1e-6
    assert post.studies["a"].mean > post.mu.mean > post.studies["b"].mean


def test_a_row_that_says_nothing_changes_nothing():
    wide = ROWS.iloc[[2]].assign(n=4, alpha=1e-9)
    assert fit(wide).mu.mean == pytest.approx(ca.fit_bayes(yi=YI, vi=VI).mu.mean, abs=1e-6)


def test_two_rows_of_one_sample_share_their_effect():
    twice = pd.concat([ROWS.iloc[[0]], ROWS.iloc[[0]]]).assign(label=["a", "again"])
    shared = fit(twice.assign(sample="s"))
    apart = fit(twice)
    once = fit(ROWS.iloc[[0]])
    assert once.mu.mean < shared.mu.mean < apart.mu.mean


def test_heavy_prior_on_mu():
    huge, normal = fit(mu="t(100000, 0, 1)"), fit()
    assert huge.mu.mean == pytest.approx(normal.mu.mean, abs=1e-4)
    heavy = fit(yi=None, mu="cauchy(0, 0.5)", tau="half-cauchy(0.3)")
    assert heavy.error < 1e-6
    assert heavy.mu.cdf(heavy.mu.median) == pytest.approx(0.5, abs=1e-8)


def test_the_region_of_a_study_is_where_its_effect_is_likely():
    post = fit(yi=None, tau="fixed(1)")
    assert post.tau.sd == 0
    assert post.studies["a"].positive > 0.95


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mu": "flat"}, "the prior on mu is flat, which is improper"),
        ({"tau": "uniform"}, "the prior on tau is uniform, which is improper"),
    ],
)
def test_improper_priors_are_refused(change, why):
    with pytest.raises(ModelError, match=why):
        fit(**change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "estimate"}, "row 1 (x): kind is 'estimate'"),
        ({"kind": None}, "row 1 (x): kind is missing"),
        ({"design": "anova"}, "row 1 (x): design is 'anova'"),
        ({"sign": 2}, "row 1 (x): sign is 2; it is 1, 0 or -1"),
        ({"sign": "up"}, "row 1 (x): sign is 'up', not a number"),
        ({"n": 1}, "row 1 (x): n is 1; this design needs a whole number of 2 or more"),
        ({"n": 10.5}, "row 1 (x): n is 10.5"),
        ({"n": None}, "row 1 (x): n is missing"),
        ({"verdict": "maybe"}, "row 1 (x): verdict is 'maybe'"),
        ({"verdict": None}, "row 1 (x): verdict is missing"),
        ({"alpha": 0}, "row 1 (x): alpha is 0"),
        ({"alpha": 0.7}, "row 1 (x): alpha is 0.7"),
        ({"sided": 3}, "row 1 (x): sided is 3"),
        ({"sided": 1, "sign": 0}, "a significant one-sided test has a direction"),
        ({"df": 0}, "row 1 (x): df is 0"),
        ({"n": float("inf")}, "row 1 (x): n is inf"),
        ({"kind": "direction"}, "a direction has no verdict"),
        ({"kind": "direction", "verdict": None, "sign": 0}, "a zero without a verdict is not n.s."),
    ],
)
def test_bad_rows(change, why):
    row = {"label": "x", "kind": "bounds", "design": "one-sample", "n": 20, "sign": 1, "verdict": "sig"} | change
    with pytest.raises(ModelError) as problem:
        ca.partial_evidence(pd.DataFrame([row]))
    assert why in str(problem.value)


def test_moderators_go_to_the_sampler():
    frame = pd.DataFrame({"yi": YI, "vi": VI, "x": [1.0, 2.0, 3.0]})
    with pytest.raises(ModelError, match='engine="nuts"'):
        ca.fit_bayes("yi ~ x", frame, partial=ca.partial_evidence(ROWS))


def test_no_evidence_at_all():
    with pytest.raises(ModelError, match="there are no effects to combine"):
        ca.fit_bayes(partial=ca.partial_evidence(ROWS.iloc[:0]))


def test_contributions():
    found = ca.partial_contributions(YI, VI, ca.partial_evidence(ROWS))
    assert list(found.index) == ["a", "b", "c"]
    whole, without = fit(), fit(ROWS.iloc[1:])
    assert found.loc["a", "expected"] == pytest.approx(np.exp(whole.log_marginal - without.log_marginal), rel=1e-9)
    assert found.loc["a", "shift"] == pytest.approx((whole.mu.mean - without.mu.mean) / whole.mu.sd, abs=1e-9)
    assert found.loc["a", "shift"] > 0 > found.loc["b", "shift"]


def test_one_sided_and_two_sided_regions():
    theta = np.array([0.0])

    def chance(**cells):
        row = {"kind": "bounds", "design": "one-sample", "n": 12, "verdict": "sig", "sign": 1} | cells
        return float(np.exp(ca.partial_evidence(pd.DataFrame([row])).log_probability(theta)[0, 0]))

    assert chance() == pytest.approx(0.025)
    assert chance(sided=1) == pytest.approx(0.05)
    assert chance(sign=0) == pytest.approx(0.05)
    assert chance(verdict="ns", sign=0) == pytest.approx(0.95)
    assert chance(verdict="ns") == pytest.approx(0.475)
    assert chance(verdict="ns", sign=0, sided=1) == pytest.approx(0.95)
    assert chance(alpha=0.2) == pytest.approx(0.1)
