"""What holds for any posterior: order, sign, unit, relabelling, and the meeting points with least squares."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Prior, Priors, parse_prior

SOME = settings(max_examples=25, deadline=None)
NAMES = ("mean", "sd", "median", "low", "high")

effects = st.floats(-3, 3).map(lambda x: round(x, 3))
variances = st.floats(1e-4, 2).map(lambda x: round(x, 5))
tau_priors = st.sampled_from(
    ["half-normal(0.5)", "half-cauchy(0.3)", "exponential(0.5)", "uniform(0, 4)", "half-normal(0.01)"]
)
mu_priors = st.sampled_from(["normal(0, 1)", "normal(2, 0.3)", "flat"])


@st.composite
def problems(draw, smallest=3):
    k = draw(st.integers(smallest, 9))
    yi = np.array(draw(st.lists(effects, min_size=k, max_size=k)))
    vi = np.array(draw(st.lists(variances, min_size=k, max_size=k)))
    return yi, vi, Priors.parse({"mu": draw(mu_priors), "tau": draw(tau_priors)})


def close(found, expected, rel=1e-8, factor=1.0):
    for name in NAMES:
        assert getattr(found, name) == pytest.approx(factor * getattr(expected, name), rel=rel, abs=rel * abs(factor))


@SOME
@given(problems(), st.randoms(use_true_random=False))
def test_order_does_not_matter(problem, random):
    yi, vi, priors = problem
    order = random.sample(range(len(yi)), len(yi))
    one, two = fit_bayes(yi=yi, vi=vi, priors=priors), fit_bayes(yi=yi[order], vi=vi[order], priors=priors)
    for name in ("mu", "tau", "new"):
        close(getattr(two, name), getattr(one, name))
    assert two.log_evidence == pytest.approx(one.log_evidence, abs=1e-9, nan_ok=True)
    for position, i in enumerate(order):
        close(two.studies[str(position + 1)], one.studies[str(i + 1)])


@SOME
@given(problems(), st.floats(-6, 6))
def test_units_do_not_matter(problem, exponent):
    yi, vi, priors = problem
    c = 10**exponent
    unit = Priors(*(Prior(p.family, tuple(c * v for v in p.parameters)) for p in (priors.mu, priors.b, priors.tau)))
    one, two = fit_bayes(yi=yi, vi=vi, priors=priors), fit_bayes(yi=c * yi, vi=c**2 * vi, priors=unit)
    for name in ("mu", "tau", "new"):
        close(getattr(two, name), getattr(one, name), factor=c)
    assert two.error < 1e-8


@SOME
@given(problems())
def test_a_mirror_flips_the_answer(problem):
    yi, vi, priors = problem
    mirrored = (
        priors.mu
        if priors.mu.family == "flat"
        else Prior("normal", (-priors.mu.parameters[0], priors.mu.parameters[1]))
    )
    one, two = (
        fit_bayes(yi=yi, vi=vi, priors=priors),
        fit_bayes(yi=-yi, vi=vi, priors=Priors(mirrored, priors.b, priors.tau)),
    )
    close(two.tau, one.tau)
    for name in ("mu", "new"):
        a, b = getattr(one, name), getattr(two, name)
        assert [b.mean, b.sd, b.median, b.low, b.high] == pytest.approx(
            [-a.mean, a.sd, -a.median, -a.high, -a.low], abs=1e-8
        )
        assert b.positive == pytest.approx(1 - a.positive, abs=1e-10)


@SOME
@given(problems())
def test_every_marginal_is_a_distribution(problem):
    yi, vi, priors = problem
    post = fit_bayes(yi=yi, vi=vi, priors=priors)
    for found in (post.mu, post.new, post.tau, *post.studies.values()):
        assert found.low < found.median < found.high
        assert found.sd > 0
        assert 0 <= found.positive <= 1
    assert post.new.sd > post.mu.sd
    assert post.error < 1e-8
    for name in ("tau", "new study", "intercept"):
        assert post.probability("< 0.3", name) + post.probability("> 0.3", name) == pytest.approx(1, abs=1e-12)
    found = {"intercept": post.mu, "tau": post.tau, "new study": post.new}
    for name, marginal in found.items():
        assert post.probability(f"< {marginal.low!r}", name) == pytest.approx(0.025, abs=1e-9)
        assert post.probability(f"> {marginal.high!r}", name) == pytest.approx(0.025, abs=1e-9)


@SOME
@given(problems(), st.floats(0, 2))
def test_a_fixed_tau_is_least_squares(problem, tau):
    yi, vi, _ = problem
    post = fit_bayes(yi=yi, vi=vi, priors=Priors(Prior("flat"), Prior("flat"), Prior("fixed", (tau,))))
    wi = 1 / (vi + tau**2)
    assert post.mu.mean == pytest.approx(wi @ yi / wi.sum(), rel=1e-10, abs=1e-12)
    assert post.mu.sd == pytest.approx(wi.sum() ** -0.5, rel=1e-10)


@SOME
@given(problems(4))
def test_one_effect_per_cluster_is_the_univariate_model(problem):
    yi, vi, priors = problem
    frame = pd.DataFrame({"yi": yi, "vi": vi, "g": [f"s{i}" for i in range(len(yi))]})
    one, two = fit_bayes(yi=yi, vi=vi, priors=priors), fit_bayes("yi ~ 1", frame, random="g", priors=priors)
    for name in ("mu", "tau", "new"):
        close(getattr(two, name), getattr(one, name), 1e-10)


@SOME
@given(problems(4))
def test_coding_of_a_moderator_does_not_matter(problem):
    """Cell means and treatment contrasts span the same space; under flat priors they are one model."""
    yi, vi, _ = problem
    flat = Priors(parse_prior("flat"), parse_prior("flat"), Prior("half-normal", (0.5,)))
    group = np.arange(len(yi)) % 2
    contrasts = fit_bayes(yi=yi, vi=vi, X=np.column_stack([np.ones(len(yi)), group]), priors=flat)
    means = fit_bayes(yi=yi, vi=vi, X=np.column_stack([1 - group, group]), priors=flat)
    close(contrasts.tau, means.tau, 1e-9)
    close(contrasts.linear([1, 1]), means.linear([0, 1]), 1e-8)
    close(contrasts.linear([0, 1]), means.linear([-1, 1]), 1e-8)
