"""Averages over models: each marginal likelihood against others' ways to it, and what the mixtures answer."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import catharsis as ca
from catharsis.bayes.averaging import Fitted, _disagreements, model_average
from catharsis.bayes.averaging_models import BiasModel, all_models, read_bias_models, read_odds
from catharsis.bayes.bridge import Bridge
from catharsis.bayes.priors import Prior, Priors

ROOT = Path(__file__).parents[2]
YI = np.array([0.62, 0.41, 0.38, 0.12, -0.05, 0.35])
VI = np.array([0.05, 0.03, 0.02, 0.01, 0.04, 0.08])
BEM_D = np.array([0.25, 0.20, 0.26, 0.23, 0.22, 0.15, 0.09, 0.19, 0.42])
BEM_SE = np.array([10155048, 8246211, 10323629, 10182427, 10120277, 8210765, 7085372, 10089846, 14752627]) / 1e8
EXACT = 3e-5  # log units between our quadrature and the exact engine; 1.4e-5 seen, from the panels in tau when k = 1
BRUTE = 5e-5  # log units from brute force; 2e-5 seen, with two free weights
AGREE = 0.05  # log units between quadrature and bridge sampling, as promised; 0.035 seen, standard error 0.01


def golden(name, key="yi"):
    with lzma.open(ROOT / "tests" / "golden" / "data" / f"{name}.json.xz") as file:
        data = json.load(file)["inputs"]
    for one in data.values():
        if key in one.get("data", ()):
            return one["data"]
    raise KeyError(name)


def bcg():
    data = golden("dat.bcg", "ai")
    n = {name: np.array(data[name], dtype=float) for name in ("ai", "bi", "ci", "di")}
    es = ca.effect_size("RR", ai=n["ai"], bi=n["bi"], ci=n["ci"], di=n["di"])
    return es["yi"].to_numpy(), es["vi"].to_numpy()


def writing():
    data = golden("dat.bangertdrowns2004")
    return np.array(data["yi"], dtype=float), np.array(data["vi"], dtype=float)


def oxytocin():
    table = ca.read_studies(ROOT / "analyses" / "crying" / "studies.yaml").frame()
    rows = table[(table["outcome"] == "oxytocin-given") & table["d_se"].notna()]
    return rows["d"].to_numpy(dtype=float), rows["d_se"].to_numpy(dtype=float) ** 2


def one_model(effect, heterogeneity, bias=None, **kw):
    """The average over a single model, and that model."""
    only = {"effect": np.inf if effect else 0, "heterogeneity": np.inf if heterogeneity else 0}
    only["bias"] = np.inf if bias else 0
    found = model_average(models=[bias] if bias else [], odds=only, bridge=False, **kw)
    assert len(found.fitted) == 1
    return found, found.fitted[0].found


# -- marginal likelihoods, from elsewhere ---------------------------------------------------------------------------

PRIORS = {
    "default": Priors(),
    "inverse-gamma": Priors(tau=Prior("inverse-gamma", (1, 0.15))),
    "half-cauchy": Priors(mu=Prior("normal", (0.3, 0.4)), tau=Prior("half-cauchy", (0.3,))),
    "uniform": Priors(tau=Prior("uniform", (0, 2))),
}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("data", [(YI, VI), (BEM_D, BEM_SE**2), (YI[:1], VI[:1])], ids=["six", "bem", "one"])
def test_models_without_bias_have_the_exact_engines_marginal_likelihood(prior, data):
    yi, vi = data
    priors = PRIORS[prior]
    post = ca.fit_bayes(yi=yi, vi=vi, priors=priors)
    found = model_average(yi=yi, vi=vi, models="bma", priors=priors, bridge=False)
    log = found.models["log_marginal"]
    assert log["mu, tau, none"] == pytest.approx(post.log_marginal, abs=EXACT)
    both = [post.log_marginal + np.log(post.bayes_factor(text)) for text in ("mu = 0", "tau = 0")]
    assert [log["mu = 0, tau, none"], log["mu, tau = 0, none"]] == pytest.approx(both, abs=EXACT)
    assert log["mu = 0, tau = 0, none"] == pytest.approx(stats.norm.logpdf(yi, 0, np.sqrt(vi)).sum(), abs=1e-12)
    assert found.models["error"].max() < 1e-4


@pytest.mark.parametrize("prior", PRIORS)
def test_one_model_has_the_exact_engines_posterior(prior):
    post = ca.fit_bayes(yi=YI, vi=VI, priors=PRIORS[prior])
    found, _ = one_model(True, True, yi=YI, vi=VI, priors=PRIORS[prior])
    for ours, theirs in ((found.mu, post.mu), (found.tau, post.tau), (found.new, post.new)):
        assert [ours.mean, ours.sd, ours.median, ours.low, ours.high] == pytest.approx(
            [theirs.mean, theirs.sd, theirs.median, theirs.low, theirs.high], rel=2e-3, abs=5e-5
        )
        assert ours.positive == pytest.approx(theirs.positive, abs=1e-4)
    x = np.array([-0.2, 0.1, 0.3, 0.6])
    assert found.mu.density(x) == pytest.approx(post.mu.density(x), rel=5e-3, abs=1e-4)
    assert found.tau.density(x[1:]) == pytest.approx(post.tau.density(x[1:]), rel=2e-3, abs=1e-4)
    assert found.tau.mode == pytest.approx(post.tau.mode, abs=2e-3)


def seen(y, v, mu, tau, steps, weights, sides):
    """Density of effects that were seen, written out; mu, tau and weights may be arrays of one shape."""
    found = 1.0
    edges = [0.0, *steps, 1.0]
    for one, var in zip(y, v, strict=True):
        se, sd = np.sqrt(var), np.sqrt(var + np.asarray(tau) ** 2)
        p = stats.norm.sf(one / se) if sides == 1 else 2 * stats.norm.sf(abs(one) / se)
        chance = 0.0
        for low, high, w in zip(edges, edges[1:], weights, strict=False):
            if sides == 1:
                ends = [(stats.norm.isf(high), stats.norm.isf(low))]
            else:
                a, b = stats.norm.isf(high / 2), stats.norm.isf(low / 2)
                ends = [(a, b), (-b, -a)]
            for a, b in ends:
                chance = chance + w * (stats.norm.cdf((b * se - mu) / sd) - stats.norm.cdf((a * se - mu) / sd))
        weight = weights[int((p > np.array(steps)).sum())]
        found = found * stats.norm.pdf(one, mu, sd) * weight / chance
    return found


def unit_rule(n):
    """Gauss-Legendre on (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2


@pytest.mark.parametrize(("steps", "sides"), [((0.05,), 2), ((0.025,), 1)])
def test_one_free_weight_against_brute_force(steps, sides):
    y, v = YI[:4], VI[:4]
    mu, h = np.linspace(-6, 6, 1501, retstep=True)
    w, mass = unit_rule(60)
    M, W = np.meshgrid(mu, w, indexing="ij")
    height = seen(y, v, M, 0.0, steps, (1.0, W), sides) * stats.norm.pdf(M) * mass * h
    kind = "one-sided" if sides == 1 else "two-sided"
    _, found = one_model(True, False, f"{kind}({steps[0]})", yi=y, vi=v)
    assert found.log_evidence == pytest.approx(np.log(height.sum()), abs=BRUTE)
    assert found.bias == pytest.approx([1, (W * height).sum() / height.sum()], abs=1e-4)


def test_two_free_weights_against_brute_force():
    """Weights 1 > w1 > w2 with density 2 on the triangle: a flat Dirichlet on the falls."""
    y, v, steps = YI[:5], VI[:5], (0.025, 0.5)
    u, mass = unit_rule(60)
    w1, part = np.meshgrid(u, u, indexing="ij")
    height = 2 * w1 * seen(y, v, 0.0, 0.0, steps, (1.0, w1, part * w1), 1) * mass[:, None] * mass
    _, found = one_model(False, False, "one-sided(0.025, 0.5)", yi=y, vi=v)
    assert found.log_evidence == pytest.approx(np.log(height.sum()), abs=BRUTE)
    assert found.bias == pytest.approx([1, *((w * height).sum() / height.sum() for w in (w1, part * w1))], abs=1e-4)


def test_three_free_weights_and_a_prior_of_ones_own_against_gauss_legendre():
    y, v, steps, alpha = YI[:4], VI[:4], (0.025, 0.05, 0.5), (2.0, 1.0, 1.5, 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(48)
    # stick breaking: each break is beta distributed
    breaks, masses = [], []
    for j in range(3):
        u = (nodes + 1) / 2
        breaks.append(u)
        masses.append(weights / 2 * stats.beta.pdf(u, alpha[j], sum(alpha[j + 1 :])))
    a, b, c = (x.ravel() for x in np.meshgrid(*breaks, indexing="ij"))
    mass = np.prod([x.ravel() for x in np.meshgrid(*masses, indexing="ij")], axis=0)
    w = np.stack([np.ones_like(a), 1 - a, (1 - a) * (1 - b), (1 - a) * (1 - b) * (1 - c)])
    p = stats.norm.sf(y / np.sqrt(v))
    z = stats.norm.isf([0.0, *steps, 1.0])
    pieces = np.diff(stats.norm.cdf(-z))  # at mu = 0 and tau = 0 the same for every study
    observed = np.prod(w[(p[:, None] > np.array(steps)).sum(axis=1)], axis=0) / (pieces @ w) ** len(y)
    truth = np.log(mass @ observed) + stats.norm.logpdf(y, 0, np.sqrt(v)).sum()
    bias = BiasModel("one-sided", steps, alpha)
    _, found = one_model(False, False, bias, yi=y, vi=v)
    assert found.log_evidence == pytest.approx(truth, abs=5e-3)  # 1e-3 seen: 15 nodes in each of three directions
    assert abs(found.log_evidence - truth) < 5 * found.error


def test_heterogeneity_and_a_weight_against_brute_force():
    y, v, steps = YI[:3], VI[:3], (0.05,)
    mu, h = np.linspace(-7, 7, 521, retstep=True)
    tau, of_tau = unit_rule(40)
    tau, of_tau = 3 * tau, 3 * of_tau
    u, of_u = unit_rule(32)
    w, of_w = u**4, 4 * u**3 * of_u  # where next to nothing is seen below the step, a small weight counts
    M, T, W = np.meshgrid(mu, tau, w, indexing="ij")
    mass = h * of_tau[:, None] * of_w * stats.norm.pdf(M) * stats.halfnorm.pdf(T, scale=0.5)
    mass = mass * seen(y, v, M, T, steps, (1.0, W), 1)
    found, quadrature = one_model(True, True, "one-sided(0.05)", yi=y, vi=v)
    assert quadrature.log_evidence == pytest.approx(np.log(mass.sum()), abs=BRUTE)
    p = mass / mass.sum()
    assert [found.mu.mean, found.tau.mean] == pytest.approx([(p * M).sum(), (p * T).sum()], abs=2e-4)
    assert found.mu.sd == pytest.approx(np.sqrt((p * M**2).sum() - (p * M).sum() ** 2), rel=1e-3)
    assert found.mu.cdf(0.2) == pytest.approx(p[mu < 0.2].sum() + p[np.isclose(mu, 0.2)].sum() / 2, abs=0.01)


@pytest.mark.parametrize(("kind", "scale"), [("pet", 1.0), ("peese", 5.0)])
def test_a_slope_against_brute_force(kind, scale):
    x = np.sqrt(VI) if kind == "pet" else VI
    mu, h = np.linspace(-6, 4, 1001, retstep=True)
    log_b, g = np.linspace(-20, 6, 801, retstep=True)
    M, B = np.meshgrid(mu, np.exp(log_b), indexing="ij")
    height = stats.norm.pdf(M) * stats.halfcauchy.pdf(B, 0, scale) * B * h * g
    for one, var, regressor in zip(YI, VI, x, strict=True):
        height = height * stats.norm.pdf(one, M + B * regressor, np.sqrt(var))
    _, found = one_model(True, False, kind, yi=YI, vi=VI)
    assert found.log_evidence == pytest.approx(np.log(height.sum()), abs=BRUTE)
    assert found.bias[0] == pytest.approx((B * height).sum() / height.sum(), rel=1e-4)


def test_bem_2011_as_printed_by_robma():
    """Log marginal likelihoods printed in RoBMA's vignette "Fitting custom meta-analytic ensembles" (version 2.1).

    They are of Fisher's z: z = asinh(d / 2), and 1 / sqrt(n - 3) with n from the standard error of d; priors on d are
    halved. The prior on mu is cut at 0 there, which one probability from before and one from after the data mends.
    RoBMA's step of a weight function lies where d would be significant, ours where z is: that moves its two models by
    0.03 of the 0.07 log units between us; the rest is not explained (their numbers are from bridge sampling).
    """
    n = (4 + BEM_D**2 / 2) / BEM_SE**2
    found = model_average(
        yi=np.arcsinh(BEM_D / 2), vi=1 / (n - 3), models=["one-sided(0.05)", "one-sided(0.05, 0.1)", "pet", "peese"],
        priors=Priors(mu=Prior("normal", (0.075, 0.05)), tau=Prior("inverse-gamma", (1, 0.075))), unit=0.5,
        bridge=False,
    )  # fmt: skip
    log = found.models["log_marginal"]
    printed = {"mu = 0, tau = 0, none": -3.28, "mu = 0, tau = 0, pet": 15.75, "mu = 0, tau = 0, peese": 15.65}
    for name, value in printed.items():
        assert log[name] == pytest.approx(value, abs=0.01)  # 0.005 seen
    for name, value in {
        "mu = 0, tau = 0, one-sided(0.05)": 13.70,
        "mu = 0, tau = 0, one-sided(0.05, 0.1)": 12.58,
    }.items():
        assert log[name] == pytest.approx(value, abs=0.08)  # 0.067 seen
    for tau, value in ((False, 14.91), (True, 12.85)):
        one, quadrature = one_model(True, tau, yi=np.arcsinh(BEM_D / 2), vi=1 / (n - 3), priors=found.priors)
        cut = np.log(one.mu.positive) - stats.norm.logcdf(1.5)
        assert quadrature.log_evidence + cut == pytest.approx(value, abs=0.01)
    bias = {str(one.model): one.found.bias for one in found.fitted}
    # printed averages over posterior probabilities, 0.820 / 0.391 and, on the scale of d, 7.284 / 0.353
    assert bias["mu = 0, tau = 0, pet"][0] == pytest.approx(2.097, abs=0.01)
    assert bias["mu = 0, tau = 0, peese"][0] / 2 == pytest.approx(20.63, rel=0.01)


# -- all 36 models, two ways ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def averages():
    return {"bem": model_average(yi=BEM_D, vi=BEM_SE**2, models="psma")}


@pytest.mark.sampling
@pytest.mark.parametrize("data", ["bcg", "oxytocin", "writing", "bem"])
def test_both_marginal_likelihoods_of_all_36_models_agree(averages, data):
    if data not in averages:
        yi, vi = {"bcg": bcg, "oxytocin": oxytocin, "writing": writing}[data]()
        averages[data] = model_average(yi=yi, vi=vi, alternative="less" if data == "bcg" else "greater")
    found = averages[data]
    assert len(found.models) == 36
    assert found.models["difference"].abs().max() < AGREE
    assert found.models["error"].max() < 0.003
    assert found.reportable, found.notes
    assert np.isfinite(found.models.drop(columns="bias").astype(float).to_numpy()).all()


def test_the_ensemble_is_that_of_robma(averages):
    """As in the help of RoBMA's check_setup: prior weights 1/12 for each weight function, 1/4 for PET and PEESE."""
    table = averages["bem"].models
    prior = table.groupby("bias")["prior"].sum()
    assert prior["none"] == pytest.approx(0.5)
    assert prior[["pet", "peese"]].tolist() == pytest.approx([1 / 8, 1 / 8])
    weights = [name for name in prior.index if "sided" in name]
    assert prior[weights].tolist() == pytest.approx([1 / 24] * 6)
    assert sorted(weights) == [
        "one-sided(0.025, 0.05)", "one-sided(0.025, 0.05, 0.5)", "one-sided(0.05)", "one-sided(0.05, 0.5)",
        "two-sided(0.05)", "two-sided(0.05, 0.1)",
    ]  # fmt: skip
    assert table["prior"].sum() == pytest.approx(1)
    assert str(averages["bem"].priors.tau) == "inverse-gamma(1, 0.15)"
    assert any("no mass near 0" in note for note in averages["bem"].notes)
    assert (
        str(model_average(yi=YI, vi=VI, models="default", odds={"bias": 0}, bridge=False).priors.tau)
        == "half-normal(0.5)"
    )


def test_inclusion_bayes_factors_are_posterior_over_prior_odds(averages):
    found = averages["bem"]
    table = found.inclusion
    odds = table["posterior"] / (1 - table["posterior"]) / (table["prior"] / (1 - table["prior"]))
    assert table["bayes_factor"].to_numpy() == pytest.approx(odds.to_numpy(), rel=1e-9)
    assert table.loc[["effect", "heterogeneity", "bias", "pet"], "models"].tolist() == [18, 18, 32, 4]
    assert table.loc["bias", "posterior"] == pytest.approx(1 - found.models.query("bias == 'none'")["posterior"].sum())
    assert found.bayes_factor("bias") == table.loc["bias", "bayes_factor"]
    assert {"weights by p-value", "PET-PEESE"} <= set(table.index)


# -- what the mixtures answer ---------------------------------------------------------------------------------------


def test_a_quantity_that_models_fix_at_0_has_a_point_mass_there(averages):
    found = averages["bem"]
    without = found.models.query("not effect")["posterior"].sum()
    assert found.probability("= 0") == pytest.approx(without, abs=1e-9)
    assert found.mu.cdf(1e-12) - found.mu.cdf(0.0) == pytest.approx(without, abs=1e-9)
    assert found.mu.median == 0.0
    assert found.mu.mode == 0.0
    parts = [found.probability(text) for text in ("< 0", "= 0", "> 0")]
    assert sum(parts) == pytest.approx(1, abs=1e-9)
    assert found.probability("in (-0.1, 0.1)") == pytest.approx(found.mu.cdf(0.1) - found.mu.cdf(-0.1), abs=1e-9)
    assert found.probability("in (0, 0.1)") == pytest.approx(found.mu.cdf(0.1) - without - found.mu.cdf(0.0), abs=1e-9)
    x = np.linspace(-2.5, 2.5, 20_001)
    assert np.trapezoid(found.mu.density(x), x) == pytest.approx(1 - without, abs=1e-4)
    t = np.linspace(0, 3, 20_001)
    inside = found.models.query("heterogeneity")["posterior"].sum()
    assert np.trapezoid(found.tau.density(t), t) == pytest.approx(inside, rel=2e-3)


def test_the_average_is_the_mixture_of_its_parts(averages):
    found = averages["bem"]
    effect = found.models.query("effect")["posterior"].sum()
    assert found.mu.mean == pytest.approx(effect * found.mu_given.mean, rel=1e-9)
    assert found.mu.sf(0.1) == pytest.approx(effect * found.mu_given.sf(0.1), rel=1e-9)
    tau = found.models.query("heterogeneity")["posterior"].sum()
    assert found.tau.mean == pytest.approx(tau * found.tau_given.mean, rel=1e-9)
    assert found.new.mean == pytest.approx(found.mu.mean, abs=1e-6)
    assert found.new.sd > found.mu.sd
    assert found.predictive() is found.new
    for marginal in (found.mu, found.mu_given, found.tau, found.tau_given, found.new):
        for p in (0.01, 0.2, 0.5, 0.999):
            x = marginal.quantile(p)
            if x != 0:
                assert marginal.cdf(x) == pytest.approx(p, abs=1e-8)
    for marginal in (found.mu, found.tau, found.tau_given):
        low, high = marginal.shortest(0.9)
        assert high - low <= np.subtract(*marginal.central(0.9)[::-1]) + 1e-9
    assert found.summary().loc["mu", "zero"] == pytest.approx(1 - effect)
    assert found.summary().index.tolist()[:2] == ["mu", "mu, given an effect"]


def test_weights_and_slopes(averages):
    found = averages["bem"]
    weights = found.weights
    assert weights.index.tolist() == [
        "(0, 0.025)", "(0.025, 0.05)", "(0.05, 0.5)", "(0.5, 0.95)", "(0.95, 0.975)", "(0.975, 1)",
    ]  # fmt: skip
    assert weights["averaged"].iloc[0] == pytest.approx(1)
    assert ((weights["averaged"] > weights["given"]) | (weights["given"] == 1)).iloc[1:].all()
    share = found.models.loc[found.models["bias"] == "pet", "posterior"].sum()
    assert found.slopes.loc["pet", "averaged"] == pytest.approx(share * found.slopes.loc["pet", "given"])
    plain = model_average(yi=YI, vi=VI, models="bma", bridge=False)
    assert plain.weights.empty
    assert plain.slopes.empty
    assert "bias" not in plain.inclusion.index


def test_a_heavy_tail_has_no_variance_and_says_so():
    priors = Priors(tau=Prior("half-cauchy", (0.5,)))
    found = model_average(yi=[0.3], vi=[0.1], models="bma", priors=priors, bridge=False)
    assert np.isinf(found.tau.sd)
    assert np.isfinite(found.tau.median)
    assert any("do not exist" in note for note in found.notes)


# -- invariance -----------------------------------------------------------------------------------------------------

FEW = ["two-sided(0.05)", "one-sided(0.05)", "pet"]


def test_rows_in_another_order_and_the_same_seed_give_the_same_answer():
    first = model_average(yi=YI, vi=VI, models=FEW)
    again = model_average(yi=YI[::-1], vi=VI[::-1], models=FEW)
    assert first.models.equals(again.models)
    other = model_average(yi=YI, vi=VI, models=FEW, seed=2)
    assert not (other.models["bridge"] == first.models["bridge"]).all()
    assert (other.models["log_marginal"] == first.models["log_marginal"]).all()


def test_turned_signs_and_the_other_alternative_turn_the_answer():
    priors = Priors(mu=Prior("normal", (0.2, 0.5)))
    turned = Priors(mu=Prior("normal", (-0.2, 0.5)))
    up = model_average(yi=YI, vi=VI, models=FEW, priors=priors, bridge=False)
    down = model_average(yi=-YI, vi=VI, models=FEW, priors=turned, alternative="less", bridge=False)
    assert down.models["log_marginal"].to_numpy() == pytest.approx(up.models["log_marginal"].to_numpy(), abs=1e-10)
    assert [down.mu.mean, down.mu.low, down.mu.high] == pytest.approx([-up.mu.mean, -up.mu.high, -up.mu.low])
    assert down.mu.sf(0) == pytest.approx(up.mu.cdf(0))
    wrong = model_average(yi=-YI, vi=VI, models=FEW, priors=turned, alternative="greater", bridge=False)
    assert wrong.bayes_factor("bias") < 0.7 * up.bayes_factor("bias")


@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_another_unit_of_the_effects(c):
    one = model_average(yi=YI, vi=VI, models=[*FEW, "peese"], bridge=False)
    other = model_average(yi=c * YI, vi=c**2 * VI, models=[*FEW, "peese"], unit=c, bridge=False)
    assert other.models["posterior"].to_numpy() == pytest.approx(one.models["posterior"].to_numpy(), rel=1e-7)
    shift = other.models["log_marginal"] - one.models["log_marginal"]
    assert shift.to_numpy() == pytest.approx(-len(YI) * np.log(c), abs=1e-8)
    assert [other.mu.mean, other.tau.high] == pytest.approx([c * one.mu.mean, c * one.tau.high], rel=1e-6)


# -- models, odds, units --------------------------------------------------------------------------------------------


def test_models_and_odds_of_ones_own():
    bias = read_bias_models({"one-sided(0.025)": 3, "peese half-normal(2)": 1, "none": 9})
    assert list(bias.values()) == [0.75, 0.25]
    models = all_models(bias, read_odds({"bias": 0.25, "effect": np.inf, "heterogeneity": 0}))
    assert [str(model) for model in models] == [
        "mu, tau = 0, none", "mu, tau = 0, one-sided(0.025)", "mu, tau = 0, peese half-normal(2)",
    ]  # fmt: skip
    assert [model.probability for model in models] == pytest.approx([0.8, 0.15, 0.05])
    found = model_average(yi=YI, vi=VI, models=["pet half-normal(0.001)"], bridge=False)
    table = found.models["log_marginal"]  # a slope that is as good as 0
    assert table["mu, tau, pet half-normal(0.001)"] == pytest.approx(table["mu, tau, none"], abs=2e-3)


def test_the_unit_of_the_effects():
    def scale(**kw):
        return model_average(yi=YI, vi=VI, models="bma", bridge=False, **kw).priors.mu.parameters[1]

    assert scale() == 1
    assert scale(measure="ZCOR") == 0.5
    assert scale(measure="OR") == 2
    assert scale(unit=3) == 3
    n = np.array([80, 130, 200, 400, 100, 50])
    assert scale(ni=n) == pytest.approx(np.sqrt(n.sum() / (1 / VI).sum()) / 2)
    assert scale(ni=n, measure="MD") == scale(ni=n)
    es = ca.effect_size("MD", m1=[5, 6], sd1=[1, 1], n1=[20, 30], m2=[4, 5], sd2=[1, 1], n2=[20, 30])
    with pytest.raises(ca.ModelError, match=r'measure "MD" have no standard unit.*ni='):
        model_average("yi ~ 1", es)
    es["n"] = [40, 60]
    assert model_average("yi ~ 1", es, ni="n", models="bma", bridge=False).mu.mean > 0


def test_few_effects_are_said_to_be_few():
    assert any(
        "6 effects can hardly tell" in note for note in model_average(yi=YI, vi=VI, models=FEW, bridge=False).notes
    )
    unchecked = model_average(yi=YI, vi=VI, models="bma", bridge=False)
    assert not unchecked.reportable
    assert any("bridge=False" in note for note in unchecked.notes)
    assert model_average(yi=YI, vi=VI, models="bma").reportable


def test_a_disagreement_is_said_and_not_reported():
    found = model_average(yi=YI, vi=VI, models="bma")
    one = found.fitted[-1]
    for off, said in ((0.049, False), (0.051, True), (-3.0, True), (float("nan"), True)):
        wrong = Fitted(one.model, one.found, Bridge(one.found.log_evidence + off, 0.01, 9, 0.5), one.probability)
        assert bool(_disagreements([wrong])) is said
    tiny = Fitted(one.model, one.found, Bridge(one.found.log_evidence + 1, 0.01, 9, 0.5), 1e-9)
    assert not _disagreements([tiny])  # it could not matter


# -- bad input ------------------------------------------------------------------------------------------------------

BAD = {
    "set": ({"models": "psmaa"}, r'no set of models "psmaa": did you mean "psma"'),
    "kind": ({"models": ["three-sided(0.05)"]}, r'no publication-bias model "three-sided"'),
    "not a list": ({"models": 3}, r"models is 3; give the name of a set"),
    "steps missing": ({"models": ["one-sided"]}, r'"one-sided" needs the p-values'),
    "steps falling": ({"models": ["one-sided(0.5, 0.05)"]}, r"steps 0.5, 0.05 are p-values between 0 and 1, rising"),
    "steps beyond 1": ({"models": ["two-sided(5)"]}, r"p-values between 0 and 1"),
    "steps text": ({"models": ["two-sided(five)"]}, r"steps of a weight function are numbers"),
    "many steps": ({"models": ["one-sided(0.01, 0.02, 0.03, 0.04, 0.05)"]}, r"5 steps are too many"),
    "steps of pet": ({"models": ["pet(0.05)"]}, r'"pet" has no steps'),
    "slope prior": ({"models": ["pet normal(0, 1)"]}, r"not a prior that fits here"),
    "improper slope": ({"models": ["pet uniform"]}, r"must\s+be proper"),
    "twice": ({"models": ["pet", "pet"]}, r"pet is listed twice"),
    "weight": ({"models": {"pet": -1}}, r"weight of pet is -1"),
    "alpha": ({"models": [("pet",)]}, r"not a publication-bias model"),
    "odds name": ({"odds": {"efect": 1}}, r'no prior odds for "efect": did you mean "effect"'),
    "odds value": ({"odds": {"effect": -1}}, r"prior odds of effect are -1"),
    "odds text": ({"odds": {"effect": "even"}}, r'prior odds of effect is "even"'),
    "alternative": ({"alternative": "two.sided"}, r'no alternative "two.sided"'),
    "flat mu": ({"priors": Priors(mu=Prior("flat"))}, r"prior on mu is flat, which is improper.*normal\(0, 1\)"),
    "improper tau": ({"priors": Priors(tau=Prior("uniform"))}, r"prior on tau is uniform, which is improper"),
    "fixed tau": ({"priors": Priors(tau=Prior("fixed", (0.1,)))}, r"fixes tau, so there is nothing to average"),
    "level": ({"level": 95}, r"level is 95"),
    "seed": ({"seed": -1}, r"seed is -1"),
    "unit": ({"unit": 0}, r"unit is 0"),
    "measure": ({"measure": "MD"}, r"no standard unit"),
    "ni": ({"ni": [1, 2]}, r"6 variances and 2 study sizes"),
    "ni column": ({"ni": "n"}, r'no column "n"'),
    "stray argument": ({"random": "study"}, r"random: only averages over moderators take this"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_meant_is_refused_in_words(case):
    more, words = BAD[case]
    arguments = {"yi": YI, "vi": VI, "models": FEW, "bridge": False} | more
    with pytest.raises(ca.ModelError, match=words):
        model_average(**arguments)


def test_questions_that_have_no_answer():
    found = model_average(yi=YI, vi=VI, models="bma", bridge=False)
    with pytest.raises(ca.ModelError, match=r'no evidence for or against "bias"'):
        found.bayes_factor("bias")
    with pytest.raises(ca.ModelError, match=r"is not a statement"):
        found.probability("= 1")
    with pytest.raises(ca.ModelError, match=r'there is no "sigma"'):
        found.probability("> 0", "sigma")
    nothing, _ = one_model(False, False, yi=YI, vi=VI)
    assert [nothing.mu.mean, nothing.mu.high, nothing.mu.positive] == [0, 0, 0]
    assert nothing.mu_given is None
    with pytest.raises(ca.ModelError, match=r"no density"):
        nothing.mu.density([0.0])
    with pytest.raises(ca.ModelError, match=r"no moderators here"):
        model_average("yi ~ x", __import__("pandas").DataFrame({"yi": YI, "vi": VI, "x": VI}))
