"""Location-scale models: derivatives against 50 digits, the maximum against a search, units, boundaries, mistakes."""

import json
import lzma
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.models.fit import fit
from catharsis.models.location_scale import _Problem, fit_location_scale

BCG = Path(__file__).parents[1] / "golden" / "data" / "dat.bcg.json.xz"


def simulated(seed=4, k=60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=k)
    vi = rng.uniform(0.02, 0.1, k)
    yi = 0.3 + 0.2 * x + rng.normal(size=k) * np.sqrt(vi + np.exp(-3 + 0.8 * x))
    return yi, vi, np.column_stack([np.ones(k), x])


def bcg():
    document = json.loads(lzma.decompress(BCG.read_bytes()))
    case = next(c for c in document["cases"] if c["id"] == "main.RR.ls.1.REML.z")
    inputs = document["inputs"][case["input"]]
    return [np.array(inputs["data"][name]) for name in ("yi", "vi")] + [np.array(inputs["Z"], dtype=float)]


def exact_likelihood(yi, vi, X, Z, reml):
    """The log-likelihood of alpha with 50 digits, from the definition with a dense covariance."""
    mpmath.mp.dps = 50
    y, x = mpmath.matrix(yi.tolist()), mpmath.matrix(X.tolist())

    def value(*alpha):
        w = [1 / (mpmath.mpf(v) + mpmath.exp(mpmath.fdot(alpha, z))) for v, z in zip(vi, Z.tolist(), strict=True)]
        W = mpmath.diag(w)
        XtWX = x.T * W * x
        b = mpmath.lu_solve(XtWX, x.T * W * y)
        r = y - x * b
        found = sum(mpmath.log(one) for one in w) - (r.T * W * r)[0]
        if reml:
            found += mpmath.log(mpmath.det(x.T * x)) - mpmath.log(mpmath.det(XtWX))
        n = len(yi) - (X.shape[1] if reml else 0)
        return (found - n * mpmath.log(2 * mpmath.pi)) / 2

    return value


@pytest.mark.parametrize("reml", [True, False])
def test_second_derivatives_against_fifty_digits(reml):
    """dat.bcg, where R's numerical standard errors of alpha are off by 3.4e-4."""
    yi, vi, Z = bcg()
    X = np.ones((len(yi), 1))
    model = fit_location_scale(yi=yi, vi=vi, scale=Z, method="REML" if reml else "ML")
    value = exact_likelihood(yi, vi, X, Z, reml)
    at = [mpmath.mpf(a) for a in model.alpha]
    second = [(2, 0), (1, 1), (0, 2)]
    d = [float(mpmath.diff(value, at, order)) for order in second]
    hessian = np.array([[d[0], d[1]], [d[1], d[2]]])
    np.testing.assert_allclose(model.alpha_cov, np.linalg.inv(-hessian), rtol=1e-8)
    assert model.llf == pytest.approx(float(value(*at)), rel=1e-12)
    gradient = [float(mpmath.diff(value, at, order)) for order in [(1, 0), (0, 1)]]
    assert np.abs(gradient).max() < 1e-8


@pytest.mark.parametrize(("reml", "log"), [(True, True), (False, True), (True, False), (False, False)])
def test_gradient_and_hessian_against_differences(reml, log):
    yi, vi, X = simulated()
    problem = _Problem(yi, vi, X, X, reml, log)
    a = problem.rotation[1] @ (np.array([-2.0, 0.4]) if log else np.array([0.1, 0.02]))
    here, step = problem.slope(a), 1e-5
    moves = step * np.eye(2)
    gradient = [(problem.height(a + m) - problem.height(a - m)) / (2 * step) for m in moves]
    hessian = [(problem.slope(a + m).gradient - problem.slope(a - m).gradient) / (2 * step) for m in moves]
    np.testing.assert_allclose(here.gradient, gradient, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(here.hessian, hessian, rtol=1e-6, atol=1e-7)


def test_a_constant_scale_is_the_ordinary_model():
    yi, vi, X = simulated()
    for method in ("ML", "REML"):
        plain = fit(yi=yi, vi=vi, X=X, method=method, test="z")
        for link, back in (("log", np.exp), ("identity", np.asarray)):
            model = fit_location_scale(yi=yi, vi=vi, X=X, scale=np.ones((len(yi), 1)), method=method, link=link)
            np.testing.assert_allclose(back(model.alpha), [plain.tau2], rtol=1e-7)
            np.testing.assert_allclose(model.cov, plain.cov, rtol=1e-7)
            assert model.llf == pytest.approx(plain.llf, rel=1e-10)


@pytest.mark.parametrize("c", [1e-8, 1e-3, 1e8])
@pytest.mark.parametrize("link", ["log", "identity"])
def test_units_do_not_matter(c, link):
    yi, vi, X = simulated()
    one = fit_location_scale(yi=yi, vi=vi, X=X, scale=X, link=link)
    other = fit_location_scale(yi=c * yi, vi=c**2 * vi, X=X, scale=X, link=link)
    np.testing.assert_allclose(other.beta, c * one.beta, rtol=1e-6)
    np.testing.assert_allclose(other.tau2, c**2 * one.tau2, rtol=1e-6)
    if link == "log":
        np.testing.assert_allclose(other.alpha, one.alpha + np.array([2 * np.log(c), 0]), rtol=1e-6, atol=1e-6)
    wide = X * [1, 1e6]
    np.testing.assert_allclose(fit_location_scale(yi=yi, vi=vi, X=X, scale=wide, link=link).tau2, one.tau2, rtol=1e-6)


def test_identity_link_recovers_its_variances_or_says_boundary():
    rng = np.random.default_rng(8)
    z = np.repeat([0.0, 1.0], 400)
    vi = np.full(800, 0.05)
    yi = rng.normal(0, np.sqrt(vi + 0.1 + 0.3 * z))
    Z = np.column_stack([np.ones(800), z])
    model = fit_location_scale(yi=yi, vi=vi, scale=Z, link="identity")
    error = np.abs(model.alpha - [0.1, 0.3]) / np.sqrt(np.diag(model.alpha_cov))
    assert (error < 4).all()
    assert not model.notes
    quiet = np.where(z == 0, 0.0, yi)  # no spread at all in the first group
    assert "boundary" in fit_location_scale(yi=quiet, vi=vi, scale=Z, link="identity").notes[0]


def test_a_group_without_heterogeneity_is_a_boundary_with_a_note():
    rng = np.random.default_rng(3)
    z = np.repeat([0.0, 1.0], 15)
    vi = np.full(30, 0.04)
    yi = np.where(z == 0, rng.normal(0, 0.6, 30), np.linspace(-0.1, 0.1, 30))
    model = fit_location_scale(yi=yi, vi=vi, scale=np.column_stack([np.ones(30), z]))
    assert model.notes == (
        "15 of 30 effects show no heterogeneity: their log tau^2 runs to minus infinity, and the scale coefficients "
        "that drive it there have no finite estimate (nan)",
    )
    assert np.isnan(model.alpha[1])
    assert np.isfinite(model.alpha[0])
    assert model.tau2[-1] < 1e-6
    assert np.isnan(model.QS.p)
    apart = fit(yi=yi[:15], vi=vi[:15], method="ML", test="z")
    ml = fit_location_scale(yi=yi, vi=vi, X=np.column_stack([z == 0, z == 1]).astype(float),
                            scale=np.column_stack([np.ones(30), z]), method="ML")  # fmt: skip
    assert np.exp(ml.alpha[0]) == pytest.approx(apart.tau2, rel=1e-6)


def test_formulas_and_summary():
    yi, vi, X = simulated()
    frame = pd.DataFrame({"yi": yi, "vi": vi, "x": X[:, 1]})
    named = fit_location_scale("yi ~ x", frame, scale="~ x", test="knha")
    plain = fit_location_scale(yi=yi, vi=vi, X=X, scale=X, test="knha")
    np.testing.assert_allclose(named.alpha, plain.alpha, rtol=1e-9)
    table = named.summary()
    assert table.loc[("heterogeneity", "x"), "estimate"] == named.scale_params["x"]
    assert table.loc[("average", "x"), "p"] == named.pvalues["x"]
    assert table.loc[("average", "x"), "low"] == named.conf_int().loc["x", "low"]
    assert named.aic == pytest.approx(-2 * named.llf + 8)


MISTAKES = [
    ({"link": "logit"}, "there is no link"),
    ({"method": "DL"}, "fitted by ML or REML, not DL"),
    ({"test": "kr"}, 'there is no test "kr"'),
    ({"scale": np.ones((3, 2))}, "X has shape"),
    ({"scale": "~ x"}, "needs data"),
    ({"vi": -np.ones(60)}, "must be positive"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes(change, message):
    yi, vi, X = simulated()
    with pytest.raises(ModelError, match=message):
        fit_location_scale(**({"yi": yi, "vi": vi, "X": X, "scale": X} | change))
    with pytest.raises(ModelError, match="cannot carry"):
        fit_location_scale(yi=yi[:3], vi=vi[:3], X=X[:3], scale=X[:3], method="ML")


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_identity_link_at_its_boundary_is_the_fit_of_each_group(method):
    """A factor that moderates both parts splits the likelihood: each group's own tau^2, zero in the quiet one."""
    rng = np.random.default_rng(5)
    group = np.repeat([0, 1, 2], 12)
    vi = rng.uniform(0.02, 0.2, 36)
    yi = np.where(group == 1, 0.1 * np.sqrt(vi), np.sqrt(vi + 0.3 * group + 0.1)) * rng.normal(size=36)
    X = np.column_stack([np.ones(36), group == 1, group == 2]).astype(float)
    model = fit_location_scale(yi=yi, vi=vi, X=X, scale=X, link="identity", method=method)
    own = [fit(yi=yi[group == g], vi=vi[group == g], method=method, test="z") for g in range(3)]
    assert own[1].tau2 == 0
    np.testing.assert_allclose(model.tau2[[0, 12, 24]], [one.tau2 for one in own], rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(model.beta[0], own[0].beta[0], rtol=1e-8)
    if method == "ML":
        assert model.llf == pytest.approx(sum(one.llf for one in own), abs=1e-10)
    assert "boundary" in model.notes[0]
    assert np.isnan(model.scale_bse).all()


def test_identity_link_reaches_the_boundary_that_a_search_finds():
    """Scattered effects whose best line of tau^2 in x is zero at one end: no line on a grid fits better."""
    yi = [-0.83, -1.06, -1.28, -0.04, 0.22, -2.41, -1.28, -1.19, -0.70, -2.21, -2.04, -0.85]
    vi = [1.55, 0.17, 0.65, 2.04, 0.24, 1.15, 1.42, 2.76, 0.29, 1.23, 0.61, 0.38]
    x = np.array([0.0, 2, 2, 3, 4, 5, 5, 5, 6, 6, 6, 7])
    Z = np.column_stack([np.ones(12), x])
    model = fit_location_scale(yi=yi, vi=vi, X=Z, scale=Z, link="identity", method="ML")
    problem = _Problem(np.array(yi), np.array(vi), Z, Z, False, False)
    best = -np.inf  # all lines that are not negative at either end of x
    for at_low in np.linspace(0, 1, 201):
        for at_high in np.linspace(0, 1, 201):
            tau2 = at_low + (at_high - at_low) * x / 7
            best = max(best, problem._height(tau2)[0])
    assert model.llf >= best - 1e-12
    assert (model.tau2 >= 0).all()
