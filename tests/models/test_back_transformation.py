"""Fits on the reader's scale."""

import numpy as np
import pandas as pd
import pytest

from catharsis.effects.measures import effect_size
from catharsis.errors import ModelError
from catharsis.models.fit import fit

FRAME = pd.DataFrame(
    {"yi": [-0.9, -0.4, -0.1, -0.5, 0.2, -0.3], "vi": [0.02, 0.03, 0.05, 0.02, 0.04, 0.06], "g": list("aabbcc")}
)


def test_ratios_are_factors_with_their_intervals():
    model = fit("yi ~ g", FRAME, test="z")
    frame = model.backtransform("OR")
    assert frame["estimate"].to_numpy() == pytest.approx(np.exp(model.beta))
    assert frame["low"].to_numpy() == pytest.approx(np.exp(model.conf_int()["low"].to_numpy()))
    assert np.isnan(frame.loc["g[b]", "pi_low"])
    assert frame.loc["intercept", "pi_low"] == pytest.approx(np.exp(model.predict().pi_low))


def test_a_slope_has_no_share():
    model = fit("yi ~ g", FRAME, test="z")
    frame = model.backtransform("PLO")
    assert frame.loc["intercept", "estimate"] == pytest.approx(1 / (1 + np.exp(-model.beta[0])))
    assert frame.loc["g[b]"].isna().all()
    settings = model.backtransform("PLO", x=[[1, 0, 0], [1, 1, 0]])
    assert settings.loc[1, "estimate"] == pytest.approx(1 / (1 + np.exp(-model.beta[0] - model.beta[1])))
    means = fit("yi ~ g - 1", FRAME, test="z").backtransform("PLO")
    assert means["estimate"].notna().all()


def test_a_named_transformation_takes_the_models_tau2():
    model = fit("yi ~ 1", FRAME, test="z")
    frame = model.backtransform(transformation="ilogit.int")
    half = model.backtransform(transformation="ilogit")
    assert model.tau2 > 0
    # the mean of the shares lies nearer to one half than their median
    assert abs(frame.loc["intercept", "estimate"] - 0.5) < abs(half.loc["intercept", "estimate"] - 0.5)


def test_raw_scales_stay():
    model = fit("yi ~ 1", FRAME, test="z")
    assert model.backtransform("MD").loc["intercept", "estimate"] == model.beta[0]


def test_mistakes():
    model = fit("yi ~ 1", FRAME, test="z")
    with pytest.raises(ModelError, match="say which measure"):
        model.backtransform()
    with pytest.raises(ModelError, match='no measure "RRR"'):
        model.backtransform("RRR")
    with pytest.raises(ModelError, match="needs n"):
        model.backtransform("PFT")


def test_the_measure_is_remembered():
    counts = pd.DataFrame({"ai": [4, 6, 3], "n1i": [120, 300, 230], "ci": [11, 29, 11], "n2i": [140, 303, 220]})
    model = fit("yi ~ 1", effect_size("RR", data=counts), test="z")
    assert model.measure == "RR"
    assert model.backtransform().loc["intercept", "estimate"] == pytest.approx(np.exp(model.beta[0]))
