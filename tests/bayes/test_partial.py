"""Partial evidence in the exact engine: known answers, symmetry, limits, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import catharsis as ca
from catharsis.bayes.partial import log_shared
from catharsis.errors import ModelError
from catharsis.likelihood.partial import log_region

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


# -- rows of one sample, heavy tails, tau near 0 ---------------------------------------------------------------------


def test_a_shared_effect_by_brute_force():
    """Rows of one sample against a fine sum over (mu, tau) with theta summed as well."""
    rows = ROWS.iloc[[0, 1]].assign(sample="s")
    post = fit(rows, yi=[0.3], vi=[0.04], tau="half-normal(0.3)")
    mu = np.linspace(-4, 4, 201)
    tau_edges = np.linspace(0, 1.8, 61)
    tau = (tau_edges[1:] + tau_edges[:-1]) / 2
    z = np.linspace(-8, 8, 161)
    weight = stats.norm.pdf(z) * 0.1
    line = np.linspace(-20, 20, 8001)
    both = np.exp(ca.partial_evidence(rows).log_probability(line).sum(axis=0))
    inside = np.interp(mu[:, None, None] + tau[:, None] * z, line, both) @ weight
    mass = inside * np.exp(
        stats.norm.logpdf(mu)[:, None]
        + stats.halfnorm.logpdf(tau, scale=0.3)
        + stats.norm.logpdf(0.3, mu[:, None], np.sqrt(0.04 + tau**2))
    )
    assert post.mu.mean == pytest.approx(mass.sum(axis=1) @ mu / mass.sum(), abs=3e-4)  # midpoint rule in tau
    assert post.tau.mean == pytest.approx(mass.sum(axis=0) @ tau / mass.sum(), abs=3e-4)
    assert post.log_marginal == pytest.approx(np.log(mass.sum() * 0.04 * 0.03), abs=1e-4)


def test_a_shared_effect_from_narrow_to_wide():
    """The sum around mu and the panels over theta give one curve in tau, and a lone row is the closed form."""
    rows = ca.partial_evidence(ROWS).rows[:2]
    tau = np.geomspace(1e-4, 50, 41)
    for mu in (-1.5, 0.0, 0.4):
        for one in rows:
            shared = log_shared((one,), np.full(41, mu), tau)
            np.testing.assert_allclose(shared, log_region(one, np.full(41, mu), tau**2), atol=2e-9)


def test_moments_that_do_not_exist_are_not_numbers():
    direction = ROWS.iloc[[1]]
    post = fit(direction, yi=None, tau="half-cauchy(0.3)")
    assert np.isfinite([post.mu.mean, post.mu.sd]).all()
    assert np.isnan([post.tau.mean, post.tau.sd, post.new.mean]).all()
    assert np.isfinite([post.tau.median, post.new.low, post.new.high]).all()
    assert "half-cauchy(0.3) on tau leaves the posterior mean and variance of tau" in post.notes[0]
    post = fit(direction, yi=None, mu="cauchy(0, 0.5)")
    assert np.isnan(post.mu.mean)
    assert post.tau.mean == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=1e-9)  # one sign says nothing about tau
    bounded = fit(ROWS.iloc[[2]], yi=None, mu="cauchy(0, 0.5)")
    assert np.isfinite([bounded.mu.mean, bounded.mu.sd]).all()


def test_one_sign_halves_a_symmetric_prior():
    for priors in ({}, {"mu": "t(3, 0, 1)"}, {"mu": "cauchy(0, 0.5)", "tau": "half-cauchy(0.3)"}):
        assert fit(ROWS.iloc[[1]], yi=None, **priors).log_marginal == pytest.approx(np.log(0.5), abs=1e-9)


def test_no_heterogeneity():
    post = fit(tau="fixed(0)")
    near = fit(tau="fixed(0.0001)")
    assert post.mu.mean == pytest.approx(near.mu.mean, abs=1e-6)
    assert (post.new.mean, post.new.sd) == (post.mu.mean, post.mu.sd)
    assert post.studies["a"].high == pytest.approx(post.mu.high, rel=1e-9)
    assert fit().bayes_factor("tau = 0") == pytest.approx(np.exp(post.log_marginal - fit().log_marginal), rel=1e-7)


def test_repeated_labels_do_not_collapse():
    twice = ROWS.assign(label="same")
    assert list(fit(twice).studies) == ["1", "2", "3", "same", "same (2)", "same (3)"]


def test_posteriors_of_true_effects_agree_with_the_sums():
    """The average of theta over all that is known: E[theta] of a row from its density and from a fine sum."""
    post = fit(tau="fixed(0.4)")
    one = ca.partial_evidence(ROWS).rows[0]
    mu = np.linspace(-3, 3, 601)
    without = ca.partial_evidence(ROWS.iloc[1:])
    rest = stats.norm.logpdf(mu) + without.log_marginal(mu, np.full(601, 0.16)).sum(axis=0)
    for y, v in zip(YI, VI, strict=True):
        rest = rest + stats.norm.logpdf(y, mu, np.sqrt(v + 0.16))
    theta = np.linspace(-3, 4, 1401)
    density = np.exp(log_region(one, theta, np.zeros(1401))) * (np.exp(rest) @ stats.norm.pdf(theta, mu[:, None], 0.4))
    found = post.studies["a"]
    assert found.mean == pytest.approx(density @ theta / density.sum(), abs=1e-6)
    assert found.cdf(0.2) == pytest.approx(density[theta < 0.2 - 1e-9].sum() / density.sum(), abs=2e-3)


@pytest.mark.parametrize("seed", range(6))
def test_random_cases_by_brute_force(seed):
    """scipy's noncentral t, dense sums over mu, tau and theta: nothing shared with the engine but the model."""
    rng = np.random.default_rng(seed)
    records, chances = [], []
    theta = np.linspace(-5, 5, 1001)
    for _ in range(4):
        n, sign, alpha = int(rng.integers(3, 60)), int(rng.choice([-1, 1])), float(rng.choice([0.1, 0.05, 0.01]))
        verdict = [None, "sig", "ns"][rng.integers(3)]
        records.append(
            {"kind": "bounds" if verdict else "direction", "design": "one-sample", "n": n, "sign": sign,
             "verdict": verdict, "alpha": alpha if verdict else None}
        )  # fmt: skip
        c = stats.t.isf(alpha / 2, n - 1)
        law = stats.nct(n - 1, np.clip(sign * theta * np.sqrt(n), -30, 30))
        up, beyond = stats.norm.cdf(sign * theta * np.sqrt(n)), np.nan_to_num(law.sf(c))
        chances.append({None: up, "sig": beyond, "ns": np.maximum(up - beyond, 0.0)}[verdict])
    y, v = rng.normal(0.2, 0.4, 2), rng.uniform(0.02, 0.1, 2)
    post = fit(pd.DataFrame(records), list(y), list(v), tau="half-normal(0.4)")
    mu = np.linspace(-3, 3, 121)
    edges = np.linspace(0, 2.4, 121)
    tau = (edges[1:] + edges[:-1]) / 2
    z = np.linspace(-7, 7, 141)
    at = np.clip((mu[:, None, None] + tau[:, None] * z), -5, 5)
    mass = np.exp(stats.norm.logpdf(mu)[:, None] + stats.halfnorm.logpdf(tau, scale=0.4))
    for chance in chances:
        mass *= np.interp(at, theta, chance) @ (stats.norm.pdf(z) * 0.1)
    for one, variance in zip(y, v, strict=True):
        mass *= stats.norm.pdf(one, mu[:, None], np.sqrt(variance + tau**2))
    assert post.mu.mean == pytest.approx(mass.sum(axis=1) @ mu / mass.sum(), abs=3e-4)
    assert post.tau.mean == pytest.approx(mass.sum(axis=0) @ tau / mass.sum(), abs=3e-4)
    assert post.log_marginal == pytest.approx(np.log(mass.sum() * 0.05 * 0.02), abs=3e-3)
