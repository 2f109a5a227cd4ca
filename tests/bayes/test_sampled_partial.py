"""Partial evidence by NUTS: tables against the probabilities, posteriors against the exact engine and a grid."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import catharsis as ca
from catharsis.bayes.nuts_sampling import compilations
from catharsis.bayes.priors import Priors
from catharsis.bayes.sampled import parameters
from catharsis.bayes.sampled_partial import Model, log_table, table_of
from catharsis.errors import ModelError
from catharsis.likelihood.partial import PartialEvidence, Row, log_region

DISTANCE = 4.0  # Monte Carlo standard errors; worst seen 1.8 over 23 comparisons
TABLE_ERROR = 1e-9  # of a probability, anywhere; worst seen 6.8e-11 over 42 tables
INF = math.inf
GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "partial" / "cases_a.json"
PARTIAL = pd.DataFrame({
    "kind": ["direction", "bounds", "bounds", "bounds", "direction"], "design": ["one-sample"] * 5,
    "n": [20, 30, 25, 12, 40], "sign": [1, 0, 1, -1, -1], "verdict": [None, "ns", "sig", "ns", None],
})  # fmt: skip
YI, VI = [0.1, 0.4, 0.9, 0.3, -0.2], [0.02, 0.03, 0.05, 0.04, 0.06]
sampling = pytest.mark.sampling


def kinds(df):
    c = 1.959964 if math.isinf(df) else float(-special.stdtrit(df, 0.025))
    return (
        ((0.0, INF),), ((-INF, 0.0),), ((c, INF),), ((-INF, -c),), ((-c, c),), ((0.0, c),), ((-INF, -c), (c, INF)),
    )  # fmt: skip


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 14.0, 60.0, INF])
def test_tables_hold_the_probability_everywhere(df):
    rng = np.random.default_rng(4)
    for regions in kinds(df):
        row = Row("a", "a", 3.0, df, regions, "")
        table = table_of(row)
        d = np.concatenate([rng.uniform(1.2 * table.start, 1.2 * table.end, 2000), [table.start, table.end, 0.0]])
        exact = log_region(row, d / 3.0, np.zeros_like(d))
        assert np.abs(np.exp(table(d)) - np.exp(exact)).max() < TABLE_ERROR
        inside = (d > table.start) & (d < table.end) & (exact > -40)
        np.testing.assert_allclose(table(d[inside]), exact[inside], atol=1e-4)
        far = np.array([-1e4, 1e4])  # lines beyond: no probability comes back
        assert (table(far) < 1e-9).all()
        assert table_of(Row("b", "b", 5.0, df, regions, "")) is table


def model_of(X_partial=None, terms=("intercept",)):
    evidence = ca.partial_evidence(PARTIAL)
    more = np.ones((5, 1)) if X_partial is None else X_partial
    y, v = np.array(YI), np.array(VI)
    X = np.ones((5, 1)) if X_partial is None else X_partial
    m = np.array([row.precision for row in evidence.rows])
    own = parameters(
        np.concatenate([y, 0 * m]),
        np.concatenate([v, m**-2.0]),
        np.concatenate([X, more]),
        terms,
        ("effect",),
        Priors(),
    )
    return Model(y, v, X, evidence, more, np.arange(5), own)


@sampling
def test_symbols_say_what_tables_say_and_so_do_their_slopes():
    import pytensor
    import pytensor.tensor as pt

    model = model_of()
    data = model.data()
    held = {name: pt.as_tensor(value) for name, value in data.items()}
    d = pt.vector("d")
    value = log_table(pt, held, d)
    function = pytensor.function([d], [value, pytensor.grad(value.sum(), d)], mode="FAST_COMPILE")
    for at in (-60.0, -5.3, -0.4, 0.0, 1.7, 6.0, 80.0):
        point = np.full(5, at)
        found, slope = function(point)
        tables = [table_of(row) for row in model.partial.rows]
        np.testing.assert_allclose(found, [float(table(np.array(at))) for table in tables], rtol=1e-12, atol=1e-14)
        steps = [float(table(np.array(at + 1e-5)) - table(np.array(at - 1e-5))) / 2e-5 for table in tables]
        np.testing.assert_allclose(slope, steps, rtol=1e-5, atol=1e-6)


@sampling
def test_the_density_is_that_of_estimates_and_rows():
    X = np.column_stack([np.ones(5), np.linspace(-1, 1, 5)])
    model = model_of(X, ("intercept", "x"))
    log_p = model.build().compile_logp(mode="FAST_COMPILE")
    apart = []
    for seed, tau in ((1, 0.3), (2, 0.8)):
        rng = np.random.default_rng(seed)
        b, z = rng.normal(0, 0.4, 2), rng.normal(0, 1, model.size)
        theta = X @ b + tau * z[:5]
        total = stats.norm.logpdf(YI, X @ b, np.sqrt(np.array(VI) + tau**2)).sum() + stats.norm.logpdf(z).sum()
        total += sum(float(log_region(row, theta[[i]], np.zeros(1))[0]) for i, row in enumerate(model.partial.rows))
        total += stats.norm.logpdf(b).sum() + stats.norm.logpdf(tau, 0, 0.5) + np.log(tau)
        data = model.parameters.data
        point = {"b_unit": np.linalg.solve(data["b_half"], b - data["b_centre"]), "z": z}
        point["log_tau"] = np.log(np.array([tau]) / data["tau_unit"])
        apart.append(float(log_p(point)) - total)
    assert apart[0] == pytest.approx(apart[1], abs=1e-6)


def close(post, mu, mu_sd, tau, tau_sd):
    assert post.diagnostics.ok, post.diagnostics.problems
    assert abs(post.mu.mean - mu) < DISTANCE * post.mu.mcse
    assert abs(post.mu.sd - mu_sd) < DISTANCE * post.mu.mcse_sd
    assert abs(post.tau.mean - tau) < DISTANCE * post.tau.mcse
    assert abs(post.tau.sd - tau_sd) < DISTANCE * post.tau.mcse_sd


@pytest.fixture(scope="module")
def mixed():
    return ca.fit_bayes(yi=YI, vi=VI, partial=ca.partial_evidence(PARTIAL), engine="nuts", draws=3000, chains=2, seed=3)


@pytest.mark.slow
@sampling
def test_both_engines_agree_with_estimates_without_them_and_with_shared_samples(mixed):
    before = compilations()
    shared = ca.partial_evidence(PARTIAL.assign(sample=["a", "a", "b", "c", "c"]))
    arguments = {"engine": "nuts", "draws": 3000, "chains": 2}
    pairs = [
        (mixed, ca.fit_bayes(yi=YI, vi=VI, partial=ca.partial_evidence(PARTIAL))),
        (ca.fit_bayes(partial=shared, **arguments), ca.fit_bayes(partial=shared)),
    ]
    assert compilations() == before  # neither the number of estimates nor that of rows matters
    for post, exact in pairs:
        close(post, exact.mu.mean, exact.mu.sd, exact.tau.mean, exact.tau.sd)
        assert post.probability("> 0") == pytest.approx(exact.probability("> 0"), abs=0.04)
        assert post.new.sd == pytest.approx(exact.new.sd, rel=0.06)
    row = pairs[0][1].studies["partial 3"]
    assert mixed.studies["partial 3"].mean == pytest.approx(row.mean, abs=5 * mixed.studies["partial 3"].mcse)
    assert list(mixed.studies) == ["1", "2", "3", "4", "5", *(f"partial {i}" for i in range(1, 6))]


@pytest.mark.slow
@sampling
@pytest.mark.skipif(not GOLDEN.exists(), reason="the shared golden cases are not on this machine")
def test_golden_cases(mixed):
    before = compilations()
    cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
    for case in cases[1:4]:
        given = [row for row in case["rows"] if row["kind"] == "estimate"]
        rows = pd.DataFrame([row for row in case["rows"] if row["kind"] != "estimate"])
        mu, tau = case["priors"]["mu"], case["priors"]["tau"]
        priors = Priors.parse({"mu": f"normal({mu['mean']}, {mu['sd']})", "tau": f"half-normal({tau['scale']})"})
        effects = {"yi": [row["y"] for row in given], "vi": [row["v"] for row in given]} if given else {}
        post = ca.fit_bayes(
            **effects, partial=ca.partial_evidence(rows), priors=priors, engine="nuts", draws=3000, chains=2
        )
        found = case["results"]
        close(post, found["mu"]["mean"], found["mu"]["sd"], found["tau"]["mean"], found["tau"]["sd"])
    assert compilations() == before


@pytest.mark.slow
@sampling
def test_moderators_agree_with_a_grid():
    """Two groups and one tau: given tau the groups are independent, so that a grid needs one dimension for each."""
    group = np.array([0, 1, 0, 1, 1])
    frame = pd.DataFrame({"yi": YI, "vi": VI, "g": np.array(list("ab"))[group]})
    evidence = ca.partial_evidence(PARTIAL)
    rows = np.array([1, 0, 0, 1, 1])
    X, more = np.eye(2)[group], np.eye(2)[rows]
    post = ca.fit_bayes(yi=YI, vi=VI, X=X, partial=evidence, X_partial=more, engine="nuts", draws=3000, chains=2)
    assert post.diagnostics.ok, post.diagnostics.problems
    mu, tau = np.linspace(-4, 4, 401), (np.arange(120) + 0.5) / 40
    at, spread = (part.ravel() for part in np.meshgrid(mu, tau, indexing="ij"))
    each = []
    for g in (0, 1):
        log = stats.norm.logpdf(at)
        for y, v in zip(np.array(YI)[group == g], np.array(VI)[group == g], strict=True):
            log = log + stats.norm.logpdf(y, at, np.sqrt(v + spread**2))
        log = log + evidence.part(rows == g).log_marginal(at, spread**2).sum(axis=0)
        each.append(np.exp(log - log.max()).reshape(len(mu), len(tau)))
    whole = [part.sum(axis=0) for part in each]
    weight = stats.norm.pdf(tau, 0, 0.5) * whole[0] * whole[1]
    weight /= weight.sum()
    for g, term in enumerate(post.terms):
        expected = float((weight / whole[g]) @ (mu @ each[g]))
        assert abs(post.coefficients[term].mean - expected) < DISTANCE * post.coefficients[term].mcse
    assert abs(post.tau.mean - weight @ tau) < DISTANCE * post.tau.mcse
    named = ca.fit_bayes(
        "yi ~ g", frame, partial=evidence, X_partial=pd.DataFrame({"g": np.array(list("ab"))[rows]}), engine="nuts",
        draws=500, chains=2,
    )  # fmt: skip
    assert named.terms == ("intercept", "g[b]")
    idata = named.to_inferencedata()
    assert idata.constant_data["X_partial"].values[:, 1].tolist() == rows.tolist()
    assert {"prior", "prior_predictive", "posterior_predictive", "log_likelihood"} <= set(idata.groups())
    assert idata.log_likelihood["partial"].shape == (2, 500, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"priors": Priors.parse({"mu": "flat"})}, "the prior on intercept is flat, which is improper"),
        ({"priors": Priors.parse({"tau": "uniform"})}, "uniform, which is improper"),
        ({"V": np.diag(VI)}, "leave out V=, random= and struct="),
        ({"X": np.eye(5)[:, :2]}, "give X_partial, 5 rows like those of X"),
        ({"X_partial": np.ones((4, 1))}, "X_partial has 4 rows for 5 partial rows"),
        ({"X_partial": np.ones((5, 2))}, "X_partial has 2 columns and X has 1"),
        ({"X_partial": [["a"]] * 5}, "X_partial holds something that is not a number"),
        ({"X_partial": np.full((5, 1), np.nan)}, "it needs 5 rows of finite numbers"),
        ({"X_partial": np.ones((5, 1)), "engine": "exact"}, 'it needs partial= and engine="nuts"'),
        ({"X_partial": np.ones((5, 1)), "partial": None}, 'it needs partial= and engine="nuts"'),
        ({"partial": PartialEvidence(())}, "there are no partial rows"),
        ({"vi": [0.1] * 4}, "there are 5 effects but 4 variances"),
        ({"draws": 2}, "4 chains of 2 draws tell nothing"),
    ],
)
def test_what_cannot_be_fitted(arguments, message):
    given = {"yi": YI, "vi": VI, "partial": ca.partial_evidence(PARTIAL), "engine": "nuts"} | arguments
    with pytest.raises(ModelError, match=message):
        ca.fit_bayes(**given)


def test_one_sample_has_one_setting():
    frame = pd.DataFrame({"yi": YI, "vi": VI, "x": [0.0, 1, 2, 3, 4]})
    evidence = ca.partial_evidence(PARTIAL.assign(sample=["a", "a", "b", "c", "d"]))
    with pytest.raises(ModelError, match="partial 2 differs in its moderators from another row of the sample a"):
        ca.fit_bayes("yi ~ x", frame, partial=evidence, X_partial=pd.DataFrame({"x": [0.0, 1, 2, 3, 4]}), engine="nuts")
    with pytest.raises(ModelError, match="give X_partial, a data frame"):
        ca.fit_bayes("yi ~ x", frame, partial=evidence, engine="nuts")
