"""The PyMC model against the log-likelihood written out: every structure, prior family and distribution.

No sampler runs here. Differences of the log density between points are what a sampler sees; constants are not.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from catharsis.bayes import nuts_priors
from catharsis.bayes.nuts_block_likelihood import BlockLikelihood, evaluate
from catharsis.bayes.nuts_distribution import Distribution, parse_distribution, t_rule
from catharsis.bayes.nuts_effects import correlations, parameters_of
from catharsis.bayes.nuts_model import make_model
from catharsis.bayes.nuts_parts import parts_of
from catharsis.bayes.nuts_program import pymc_model
from catharsis.bayes.nuts_sampling import Drawn, pymc
from catharsis.bayes.prior_families import FAMILIES, LOCATION
from catharsis.bayes.priors import Prior, Priors, parse_prior
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import make_blocks, sampling_covariance
from catharsis.likelihood.random_effects import random_effects
from catharsis.likelihood.structures import term_covariance

RNG = np.random.default_rng(11)
K = 11
DATA = pd.DataFrame(
    {
        "study": [1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5],
        "outcome": list("abcabcababc"),
        "country": [1, 2, 1, 2, 1, 2, 1, 2, 2, 1, 2],
        "dose": RNG.normal(size=K),
        "vi": RNG.uniform(0.02, 0.08, K),
        "yi": RNG.normal(0.3, 0.4, K),
    }
)
DATA["effect"] = np.arange(K)
X = np.column_stack([np.ones(K), DATA["dose"]])
TERMS = ("intercept", "dose")
V = sampling_covariance(DATA["vi"], DATA["study"], 0.6)
UNEVEN = [(rows, block * np.where(np.eye(len(rows)) > 0, 1.0, 1 - 0.1 * len(rows))) for rows, block in V]
PRIORS = Priors(
    Prior("normal", (0.0, 1.0)), Prior("cauchy", (0.1, 0.5)), Prior("half-t", (4.0, 0.5)),
    taus={"effect": Prior("uniform", (0.05, 2.0)), "country": Prior("fixed", (0.2,))},
)  # fmt: skip

MODELS = {
    "effects": ("effect", None, None),
    "study": ("study", None, None),
    "study/effect": ("study/effect", None, None),
    "study/effect with V": ("study/effect", None, V),
    "study with uneven V": ("study", None, UNEVEN),
    "crossed": ("study + country", None, None),
    "DIAG by country": ("country | effect", "DIAG", None),
    "ID": ("outcome | study", "ID", None),
    "CS": ("outcome | study", "CS", None),
    "HCS": ("outcome | study", "HCS", V),
    "UN": ("outcome | study", "UN", None),
    "UN with V": ("outcome | study", "UN", V),
    "HAR": ("outcome | study", "HAR", None),
    "AR": ("outcome | study", "AR", None),
    "slopes": (["dose | study"], "GEN", None),
    "separate slopes": (["dose | study"], "GDIAG", None),
    "UN and a country": (["country", "outcome | study"], "UN", None),
}


def model_of(name, effects=None, priors=PRIORS, distribution="normal"):
    random, struct, covariance = MODELS[name]
    found = random_effects(random, struct, DATA, K, {}, None)
    blocks = make_blocks(DATA["yi"], X, DATA["vi"], found.factors, covariance, found.terms)
    sei = np.sqrt(DATA["vi"].to_numpy())
    return make_model(blocks, TERMS, priors.completed(sei), sei, parse_distribution(distribution), effects)


def compiled(model):
    """The log density of a point of the PyMC model, and where its free variables are."""
    pymc()
    built = pymc_model(model)
    function = built.compile_logp(mode="FAST_COMPILE")
    shapes = {variable.name: variable.type.shape for variable in built.free_RVs}
    return function, shapes


def a_point(shapes, rng):
    return {name: rng.normal(0, 0.7, shape) for name, shape in shapes.items()}


def natural(model, point):
    return parameters_of(model, Drawn({name: np.array(value)[None, None] for name, value in point.items()}, {}, ""))


def covariance_of(model, parameters):
    """V + Z G Z' (k, k) at one draw, by the code of the frequentist models."""
    theta = []
    at, pairs = 0, correlations(model, parameters)[0].tolist()
    for kind in model.shape.kinds:
        theta += (parameters.taus[0, at : at + kind.sds] ** 2).tolist()
        at += kind.sds
        theta += [pairs.pop(0) for _ in range(kind.correlations)]
    M = np.zeros((K, K))
    theta = np.array(theta)
    for stack in model.blocks.stacks:
        for b, rows in enumerate(stack.rows):
            M[np.ix_(rows, rows)] += stack.V[b] + np.einsum("s,sij->ij", theta[: len(stack.K)], stack.K[:, b])
        for pattern in stack.patterns:
            for rows, block in zip(stack.rows, term_covariance(pattern, pattern.part(theta)), strict=True):
                M[np.ix_(rows, rows)] += block
    return M


def log_prior(model, point, priors):
    """Of the natural parameters, with the Jacobian of correlations by differences."""
    parameters = natural(model, point)
    total = sum(float(priors.of(term).log_density(parameters.b[0, i])) for i, term in enumerate(TERMS))
    for i, prior in enumerate(model.priors):
        if prior.family == "fixed":
            continue
        tau = parameters.taus[0, i]
        low, high = prior.parameters if prior.family == "uniform" else (0.0, np.inf)
        slope = tau if high == np.inf else (tau - low) * (high - tau) / (high - low)
        if i in model.shape.signed:
            slope = np.hypot(tau, model.data["tau_unit"][i])
        total += float(prior.log_density(tau)) + np.log(slope)
    if model.shape.correlations:
        x = point["correlation"]
        step = 1e-5
        moved = [
            [
                correlations(model, natural(model, {**point, "correlation": x + sign * step * unit}))[0]
                for sign in (1, -1)
            ]
            for unit in np.eye(len(x))
        ]
        jacobian = np.array([(up - down) / (2 * step) for up, down in moved])
        total += np.linalg.slogdet(jacobian)[1]  # flat over correlation matrices
    return total


def written_out(model, point, priors=PRIORS):
    parameters = natural(model, point)
    mean = X @ parameters.b[0]
    return stats.multivariate_normal.logpdf(DATA["yi"], mean, covariance_of(model, parameters)) + log_prior(
        model, point, priors
    )


@pytest.mark.parametrize("name", MODELS)
def test_effects_integrated_out(name):
    model = model_of(name)
    assert model.shape.form == (
        "diagonal" if name in ("effects", "study", "study/effect", "DIAG by country", "ID") else "dense"
    )
    function, shapes = compiled(model)
    points = [a_point(shapes, np.random.default_rng(seed)) for seed in range(3)]
    found = np.array([float(function(point)) for point in points])
    expected = np.array([written_out(model, point) for point in points])
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_effects_sampled(name):
    """Given z there is only the sampling error, and z is standard normal."""
    model = model_of(name, "sampled")
    function, shapes = compiled(model)
    assert shapes["z"][0] in (8, 16, 32)
    ours, theirs = [], []
    for seed in range(3):
        point = a_point(shapes, np.random.default_rng(seed))
        ours.append(float(function(point)))
        parameters = natural(model, point)
        theta, start = X @ parameters.b[0], 0
        for part, place, L in zip(model.parts, model.shape.places, parameters.factors, strict=True):
            for level in range(part.levels):
                u = parameters.taus[0, place] * (L[0] @ point["z"][start : start + part.kind.q])
                rows = part.outer == level
                theta[rows] += part.design[rows] @ (u if len(u) == part.kind.q else np.repeat(u, part.kind.q))
                start += part.kind.q
        errors = np.zeros((K, K))
        for stack in model.blocks.stacks:
            for rows, block in zip(stack.rows, stack.V, strict=True):
                errors[np.ix_(rows, rows)] = block
        theirs.append(
            stats.multivariate_normal.logpdf(DATA["yi"], theta, errors)
            + stats.norm.logpdf(point["z"]).sum()
            + log_prior(model, point, PRIORS)
        )
    np.testing.assert_allclose(np.array(ours) - ours[0], np.array(theirs) - theirs[0], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("distribution", ["t", "t(1)", "t(3.5)", "t(60)", "outliers"])
@pytest.mark.parametrize("name", ["effects", "study/effect"])
def test_study_effects_that_are_not_normal(name, distribution):
    """One integral over the effect of each study, by adaptive quadrature."""
    priors = Priors(tau=Prior("half-normal", (0.5,)))
    model = model_of(name, None, priors, distribution)
    assert (model.shape.form, model.shape.group) == ("diagonal", 0)
    function, shapes = compiled(model)
    ours, theirs = [], []
    for seed in range(2):
        point = a_point(shapes, np.random.default_rng(seed))
        ours.append(float(function(point)))
        parameters = natural(model, point)
        tau = parameters.taus[0, 0]
        spread = np.sqrt(DATA["vi"] + (parameters.taus[0, 1] ** 2 if name == "study/effect" else 0.0))
        total = log_prior(model, point, priors)
        if distribution == "outliers":
            share, ratio = parameters.share[0], parameters.inflation[0]
            total += stats.beta.logpdf(share, 1, 9) + np.log(share * (1 - share))
            total += stats.expon.logpdf(ratio - 1, scale=4) + np.log(ratio - 1)

            def density(u, tau=tau, share=share, ratio=ratio):
                return (1 - share) * stats.norm.pdf(u, 0, tau) + share * stats.norm.pdf(u, 0, ratio * tau)
        else:
            df = parameters.df[0]
            if distribution == "t":
                total += stats.gamma.logpdf(df, 2, scale=10) + np.log(df - 2)

            def density(u, tau=tau, df=df):
                return stats.t.pdf(u, df, 0, tau)

        residual = DATA["yi"] - X @ parameters.b[0]
        for level in range(model.parts[0].levels):
            rows = model.parts[0].outer == level

            r, sd = residual[rows].to_numpy(), spread[rows].to_numpy()

            def joint(u, r=r, sd=sd):
                return density(u) * np.prod(stats.norm.pdf(r - u, 0, sd))

            ends = np.concatenate([residual[rows], [0.0]])
            low, high = ends.min() - 12 * max(tau, 0.3), ends.max() + 12 * max(tau, 0.3)
            inside = integrate.quad(joint, low, high, points=np.unique(ends), limit=500, epsabs=0, epsrel=1e-10)[0]
            total += np.log(inside)
        theirs.append(total)
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], abs=2e-5)


def test_a_t_distribution_is_a_mixture_of_normals():
    for df in (1.0, 2.0, 5.0, 30.0, 300.0):
        log_weight, scale = t_rule(df)
        assert np.exp(log_weight).sum() == pytest.approx(1, abs=1e-12)
        for y in (0.0, 0.7, 3.0, 12.0):
            mixed = np.exp(log_weight) @ stats.norm.pdf(y, 0, np.sqrt(scale))
            assert mixed == pytest.approx(stats.t.pdf(y, df), rel=1e-4 if df == 1 else 1e-6)


TEXTS = {
    "half-normal": "half-normal(0.5)", "half-cauchy": "half-cauchy(0.5)", "half-t": "half-t(3, 0.5)",
    "half-logistic": "half-logistic(0.4)", "rayleigh": "rayleigh(0.4)", "exponential": "exponential(0.3)",
    "lomax": "lomax(2, 0.3)", "log-normal": "log-normal(-1, 0.8)", "log-t": "log-t(5, -1, 0.8)",
    "inverse-chi": "inverse-chi(3, 0.4)", "inverse-gamma": "inverse-gamma(2, 0.3)", "uniform": "uniform",
}  # fmt: skip


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in (*LOCATION, "fixed")])
def test_every_prior_on_tau(family):
    import pytensor
    import pytensor.tensor as pt

    sei = np.array([0.1, 0.2, 0.35, 0.5])
    prior = parse_prior(TEXTS.get(family, family)).completed(sei)
    tau = pt.dscalar()
    symbol = nuts_priors.log_density(nuts_priors.family_of(prior), tau, pt.as_tensor(nuts_priors.numbers(prior)), sei)
    function = pytensor.function([tau], symbol + 0 * tau, mode="FAST_COMPILE")
    at = np.array([1e-3, 0.05, 0.3, 1.0, 4.0, 60.0])
    ours, theirs = np.array([float(function(x)) for x in at]), prior.log_density(at)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-9, atol=1e-9)


def test_the_gradient_of_dependent_effects():
    rng = np.random.default_rng(5)
    sizes = np.array([3, 1, 2])
    M, r = np.zeros((3, 3, 3)), rng.normal(size=(3, 3))
    for b, n in enumerate(sizes):
        root = rng.normal(size=(n, n))
        M[b, :n, :n] = root @ root.T + np.eye(n)
    value, pull, slope = evaluate(M, r, sizes)
    for b, n in enumerate(sizes):
        expected = stats.multivariate_normal.logpdf(r[b, :n], np.zeros(n), M[b, :n, :n]) + n / 2 * np.log(2 * np.pi)
        assert value[b] == pytest.approx(expected, rel=1e-12)
    step = 1e-6
    for b, i, j in ((0, 0, 0), (0, 2, 1), (1, 0, 0), (2, 1, 0)):
        up, down = M.copy(), M.copy()
        for moved, sign in ((up, 1), (down, -1)):
            moved[b, i, j] += sign * step / 2
            moved[b, j, i] += sign * step / 2
        change = (evaluate(up, r, sizes)[0] - evaluate(down, r, sizes)[0]).sum() / (2 * step)
        assert slope[b, i, j] == pytest.approx(change, rel=1e-6)
        moved = r.copy()
        moved[b, i] += step
        assert -pull[b, i] == pytest.approx((evaluate(M, moved, sizes)[0] - value).sum() / step, rel=1e-4, abs=1e-5)
    assert not slope[1, 1:].any()


def test_an_indefinite_covariance_is_a_divergence_not_an_exception():
    import pytensor
    import pytensor.tensor as pt

    M, r = pt.dtensor3(), pt.dmatrix()
    value = BlockLikelihood()(M, r, np.array([2]))[0].sum()
    function = pytensor.function([M, r], [value, *pytensor.grad(value, [M, r])], mode="FAST_COMPILE")
    found = function(np.array([[[1.0, 2.0], [2.0, 1.0]]]), np.ones((1, 2)))
    assert all(np.isnan(part).all() for part in found)


def test_programs_depend_on_structure_and_not_on_data():
    """Another k, other levels, labels, priors of the same family: the same key."""
    key = model_of("study/effect").shape.key
    fewer = DATA.iloc[:7]
    found = random_effects("study/effect", None, fewer, 7, {}, None)
    blocks = make_blocks(fewer["yi"], X[:7], fewer["vi"], found.factors)
    priors = Priors(tau=Prior("half-t", (3.0, 9.0)), taus={"effect": Prior("uniform", (0.0, 1.0))})
    assert make_model(blocks, ("intercept", "year"), priors, np.sqrt(fewer["vi"].to_numpy())).shape.key == key
    assert hash(key) == hash(model_of("study/effect").shape.key)
    assert model_of("study/effect", priors=Priors()).shape.key != key
    three_levels, by_group = (model_of(name, priors=Priors()).shape.key for name in ("study/effect", "DIAG by country"))
    assert three_levels[:3] == by_group[:3]
    assert model_of("UN").shape.key == model_of("UN with V").shape.key


def test_levels_keep_the_order_in_which_they_appear():
    found = random_effects("study/effect", None, DATA.iloc[::-1], K, {}, None)
    blocks = make_blocks(DATA["yi"][::-1], X, DATA["vi"][::-1], found.factors)
    assert parts_of(blocks)[0].outer.tolist() == [0, 0, 1, 2, 2, 2, 3, 3, 4, 4, 4]
    assert model_of("crossed").parts[1].outer.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("student", 'there is no distribution "student" of study effects: use one of: normal, t, outliers'),
        ("normal(2)", 'there is no distribution "normal(2)" of study effects: did you mean "normal"?'),
        ("t(0.5)", '"t(0.5)": a t distribution of study effects has 1 degree of freedom or more'),
        ("t(inf)", 'there is no distribution "t(inf)"'),
        ("t(1.2.3)", '"t(1.2.3)": the degrees of freedom of a t are a number'),
    ],
)
def test_distributions_that_do_not_exist(text, message):
    with pytest.raises(ModelError) as error:
        parse_distribution(text)
    assert str(error.value).startswith(message)


def test_distributions_by_name():
    assert str(parse_distribution(" t( 4 ) ")) == "t(4)"
    assert [Distribution("t", df).moments for df in (1.0, 1.5, 2.0, 3.0)] == [0, 1, 1, 2]
    assert parse_distribution("t").moments == 2


def test_forms_that_do_not_exist():
    with pytest.raises(ModelError, match=r'distribution="t" effects are integrated out only where studies share'):
        model_of("crossed", "integrated", distribution="t")
    assert model_of("crossed", distribution="t").shape.form == "sampled"
    with pytest.raises(ModelError, match="is that of a random intercept, and this model has none before"):
        model_of("UN", distribution="outliers")
    data = DATA.assign(minutes=RNG.uniform(0, 9, K))
    found = random_effects(["minutes | study"], "CAR", data, K, {}, None)
    blocks = make_blocks(DATA["yi"], X, DATA["vi"], found.factors, None, found.terms)
    with pytest.raises(ModelError, match=r"does not sample the structure CAR of minutes \| study; use one of ID, DIAG"):
        make_model(blocks, TERMS, Priors(), np.ones(K))
