"""What holds for any data: order, sign, unit, and the meeting points of different models."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.models.fit import fit
from catharsis.models.heterogeneity import ESTIMATORS, tau2_pm

FEW, SOME = settings(max_examples=20, deadline=None), settings(max_examples=40, deadline=None)
METHODS = st.sampled_from(sorted(ESTIMATORS))
EVERY_METHOD = st.sampled_from([*sorted(ESTIMATORS), "GENQ", "GENQM"])

effects = st.floats(-3, 3).map(lambda x: round(x, 3))
variances = st.floats(0.005, 2).map(lambda x: round(x, 4))


@st.composite
def meta_analyses(draw, smallest=3, largest=12):
    k = draw(st.integers(smallest, largest))
    yi = np.array(draw(st.lists(effects, min_size=k, max_size=k)))
    vi = np.array(draw(st.lists(variances, min_size=k, max_size=k)))
    return yi, vi


@st.composite
def multilevel(draw):
    yi, vi = draw(meta_analyses(6, 14))
    study = np.sort(draw(st.lists(st.integers(0, 3), min_size=len(yi), max_size=len(yi))))
    study[0], study[-1] = 0, 4  # at least two studies
    return pd.DataFrame({"yi": yi, "vi": vi, "study": study, "effect": range(len(yi)), "x": np.cos(np.arange(len(yi)))})


def close(found, expected, rel, scale=0.0):
    assert found == pytest.approx(expected, rel=rel, abs=rel * scale, nan_ok=True)


@SOME
@given(meta_analyses(), EVERY_METHOD, st.randoms(use_true_random=False))
def test_order_does_not_matter(data, method, random):
    yi, vi = data
    order = np.array(random.sample(range(len(yi)), len(yi)))
    own = 1 + np.arange(len(yi)) % 3
    first = fit(yi=yi, vi=vi, method=method, test="z", weights=own)
    second = fit(yi=yi[order], vi=vi[order], method=method, test="z", weights=own[order])
    close(second.tau2, first.tau2, 1e-9, np.median(vi))
    close(second.beta, first.beta, 1e-9, first.se[0])
    close(second.llf, first.llf, 1e-9, 1)


@FEW
@given(multilevel(), st.randoms(use_true_random=False))
def test_order_does_not_matter_with_random_factors(frame, random):
    order = random.sample(range(len(frame)), len(frame))
    first = fit("yi ~ x", frame, random="study/effect")
    second = fit("yi ~ x", frame.iloc[order], random="study/effect")
    close(second.llf, first.llf, 1e-8, 1)
    close(second.beta, first.beta, 1e-4, first.se.max())
    close(second.robust(frame["study"].iloc[order]).se, first.robust(frame["study"]).se, 1e-4, first.se.max())


@SOME
@given(meta_analyses(), METHODS)
def test_flipping_signs_flips(data, method):
    yi, vi = data
    first, second = fit(yi=yi, vi=vi, method=method, test="z"), fit(yi=-yi, vi=vi, method=method, test="z")
    close(second.beta, -first.beta, 1e-12, first.se[0])
    close(second.tau2, first.tau2, 1e-12, np.median(vi))
    assert second.predict().pi_high == pytest.approx(-first.predict().pi_low, nan_ok=True, abs=1e-9)


@SOME
@given(meta_analyses(), METHODS, st.floats(-8, 8))
def test_the_unit_does_not_matter(data, method, power):
    (yi, vi), c = data, 10.0**power
    first = fit(yi=yi, vi=vi, method=method, test="adhoc")
    second = fit(yi=c * yi, vi=c * c * vi, method=method, test="adhoc")
    unit = np.median(vi)
    close(second.tau2 / c**2, first.tau2, 1e-9, unit)
    close(second.beta / c, first.beta, 1e-9, first.se[0])
    close(second.se / c, first.se, 1e-9)
    close(second.I2, first.I2, 1e-9, 100)
    close(np.array(list(second.confint_heterogeneity())) / c**2, list(first.confint_heterogeneity()), 1e-9, unit)


@SOME
@given(meta_analyses(5), EVERY_METHOD, st.floats(-8, 8))
def test_the_unit_does_not_matter_with_moderators_and_weights(data, method, power):
    (yi, vi), c = data, 10.0**power
    x = np.column_stack([np.ones(len(yi)), np.sin(np.arange(len(yi)))])
    options = {"X": x, "method": method, "test": "t", "weights": 1 + np.arange(len(yi)) % 3}
    first, second = (fit(yi=y, vi=v, **options) for y, v in ((yi, vi), (c * yi, c * c * vi)))
    unit = np.median(vi)
    close(second.tau2 / c**2, first.tau2, 1e-9, unit)
    close(second.tau2_se / c**2, first.tau2_se, 1e-9, unit)
    close(second.beta / c, first.beta, 1e-9, first.se.max())
    close(second.se / c, first.se, 1e-9)
    close(second.statistic, first.statistic, 1e-9, 1)
    close(second.pvalues.to_numpy(), first.pvalues.to_numpy(), 1e-8, 1)
    close([second.QE.statistic, second.QM.statistic], [first.QE.statistic, first.QM.statistic], 1e-9, 1)
    close([second.I2, second.R2], [first.I2, first.R2], 1e-9, 100)
    assert len(second.notes) == len(first.notes)
    for type in {"GENQ": ("GENQ", "QP"), "GENQM": ("GENQ",), "REML": ("PL",), "ML": ("PL",), "DL": ("GENQ",)}.get(
        method, ()
    ):
        ours, theirs = (model.confint_heterogeneity(type=type) for model in (first, second))
        close(np.array(list(theirs)) / c**2, list(ours), 1e-8, unit)


@FEW
@given(meta_analyses(4), st.floats(-8, 8))
def test_the_unit_does_not_matter_to_kenward_roger(data, power):
    (yi, vi), c = data, 10.0**power
    first, second = fit(yi=yi, vi=vi, test="kr"), fit(yi=c * yi, vi=c * c * vi, test="kr")
    close(second.se / c, first.se, 1e-8)
    close(second.dfs, first.dfs, 1e-8)
    new, other = (model.prediction_interval("KR") for model in (first, second))
    close([other.pi_low / c, other.pi_high / c], [new.pi_low, new.pi_high], 1e-8, first.se[0])


@SOME
@given(meta_analyses(3), EVERY_METHOD, st.sampled_from(["z", "t", "knha", "adhoc"]), st.floats(0.5, 0.99))
def test_the_outputs_agree(data, method, test, level):
    """Interval, prediction and table are one number; an interval without a note contains its estimate."""
    yi, vi = data
    model = fit(yi=yi, vi=vi, method=method, test=test, level=level, weights=1 / (vi + vi.mean()))
    new = model.predict()
    close([new.low, new.high], model.conf_int().iloc[0].to_numpy(), 1e-12, model.se[0])
    close(model.summary()["p"].to_numpy(), model.pvalues.to_numpy(), 1e-12)
    if method not in ("EE", "FE"):
        assert new.pi_low <= new.low <= new.high <= new.pi_high
        found = model.confint_heterogeneity()
        contained = found.tau2.low * (1 - 1e-9) <= model.tau2 <= found.tau2.high * (1 + 1e-9)
        assert contained or found.notes
        close(found.I2.estimate, model.I2, 1e-12, 100)
        close(found.H2.estimate, model.H2, 1e-12)
        assert found.frame().loc["tau"].to_numpy() == pytest.approx(np.sqrt(found.frame().loc["tau2"]))


@SOME
@given(meta_analyses(3), st.sampled_from(["ML", "REML"]), st.floats(0.5, 0.99))
def test_profile_likelihood_contains_the_estimate(data, method, level):
    model = fit(yi=data[0], vi=data[1], method=method, test="z")
    low, high = model.confint_heterogeneity(level, "PL")
    assert low <= model.tau2 <= high


@FEW
@given(multilevel(), st.floats(-8, 8))
def test_the_unit_does_not_matter_with_random_factors(frame, power):
    c = 10.0**power
    scaled = frame.assign(yi=c * frame["yi"], vi=c * c * frame["vi"])
    first, second = (fit("yi ~ x", f, random="study/effect") for f in (frame, scaled))
    unit = frame["vi"].median()
    close(second.theta / c**2, first.theta, 1e-6, unit)
    close(second.beta / c, first.beta, 1e-6, first.se.max())
    close(second.se / c, first.se, 1e-6)
    ours, theirs = first.robust(frame["study"]), second.robust(frame["study"])
    close(theirs.se / c, ours.se, 1e-5)
    close(theirs.df, ours.df, 1e-5)


@FEW
@given(meta_analyses(), st.sampled_from(["ML", "REML"]))
def test_one_effect_per_study_is_the_univariate_model(data, method):
    yi, vi = data
    frame = pd.DataFrame({"yi": yi, "vi": vi, "study": range(len(yi))})
    flat, nested = fit("yi ~ 1", frame, method=method, test="z"), fit("yi ~ 1", frame, method=method, random="study")
    close(nested.llf, flat.llf, 1e-9, 1)
    close(nested.tau2, flat.tau2, 1e-5, np.median(vi))
    close(nested.beta, flat.beta, 1e-5, flat.se[0])


@SOME
@given(meta_analyses(), st.floats(0.01, 1))
def test_cr2_of_single_effects_with_equal_variances_is_knapp_hartung(data, v):
    yi = data[0] + 0.01 * np.arange(len(data[0]))
    model = fit(yi=yi, vi=np.full(len(yi), v), test="knha")
    found = model.robust(range(len(yi)))
    close(found.se, model.se, 1e-9)
    close(found.df, [len(yi) - 1], 1e-9)
    close(found.interval(), np.array(model.interval()), 1e-8, model.se[0])


@SOME
@given(
    meta_analyses(2), st.sampled_from(["DL", "HE", "PM", "ML", "REML"]), st.sampled_from(["z", "t", "knha", "adhoc"])
)
def test_prediction_interval_contains_confidence_interval(data, method, test):
    found = fit(yi=data[0], vi=data[1], method=method, test=test).predict()
    assert found.pi_low <= found.low <= found.estimate <= found.high <= found.pi_high


@SOME
@given(meta_analyses(2), st.floats(0.8, 0.99))
def test_q_profile_contains_paule_mandel_unless_empty(data, level):
    yi, vi = data
    low, high = fit(yi=yi, vi=vi).confint_heterogeneity(level)
    assert 0 <= low <= high
    tau2 = tau2_pm(yi, vi, np.ones((len(yi), 1)))
    assert low <= tau2 * (1 + 1e-9)
    assert tau2 <= high * (1 + 1e-9)


@SOME
@given(meta_analyses(4), METHODS)
def test_variances_are_positive(data, method):
    x = np.column_stack([np.ones(len(data[0])), 1950 + np.arange(len(data[0]))])
    model = fit(yi=data[0], vi=data[1], X=x, method=method, test="z")
    assert model.tau2 >= 0
    assert np.linalg.eigvalsh(model.cov).min() > 0
    cov = model.robust(range(len(data[0])), "CR2").cov
    scale = np.sqrt(np.diag(model.cov))
    assert np.isnan(cov).any() or np.linalg.eigvalsh(cov / np.outer(scale, scale)).min() > -1e-9
