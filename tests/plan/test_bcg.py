"""A second analysis, with nothing of crying in it, gives the numbers that R gives."""

from __future__ import annotations

import json
import lzma

import numpy as np
import pytest
from workshop import ROOT, Outcome

import catharsis as ca

GOLDEN = ROOT / "tests" / "golden" / "data" / "dat.bcg.json.xz"  # metafor 5.0-1; see SOURCE.md beside it


@pytest.fixture(scope="module")
def bcg():
    return Outcome(ROOT / "analyses" / "bcg")


@pytest.fixture(scope="module")
def golden():
    with lzma.open(GOLDEN) as file:
        return {case["id"]: case for case in json.load(file)["cases"]}


# golden case -> synthesis, method and test
CASES = {
    "main.RR.rma.REML.z": ("risk-ratio", "REML", "z"),
    "main.RR.rma.REML.knha": ("risk-ratio", "REML", "knha"),
    "main.RR.rma.DL.z": ("risk-ratio", "DL", "z"),
    "main.RR.ablat.rma.REML.knha": ("latitude", "REML", "knha"),
    "main.RR.alloc.rma.REML.knha": ("allocation", "REML", "knha"),
}


OTHER_REFERENCE = {"main.RR.alloc.rma.REML.knha"}  # R takes the first level of the alphabet, we the one that is named


def model(bcg, synthesis, method, test):
    result = bcg.results.synthesis(synthesis)
    fits = [result.fit, *(fit for _, fit in result.others)]
    return next(fit for fit in fits if (fit.method, fit.test) == (method, test))


@pytest.mark.parametrize("name", CASES)
def test_the_fit_is_that_of_metafor(bcg, golden, name):
    case, fit = golden[name], model(bcg, *CASES[name])
    expected = case["results"]
    low, high = fit.interval()
    ours = {
        "tau2": fit.tau2, "I2": fit.I2, "H2": fit.H2, "QE": fit.QE.statistic, "QEp": fit.QE.p, "QM": fit.QM.statistic,
        "QMp": fit.QM.p, "k": fit.nobs, "p": fit.blocks.p,
    }  # fmt: skip
    if name not in OTHER_REFERENCE:
        ours |= {"beta": fit.beta, "se": fit.se, "ci_lb": low, "ci_ub": high, "pval": fit.pvalues.to_numpy()}
    compared = [field for field in ours if expected.get(field) is not None]
    assert {"QM", "QMp"} <= set(compared)
    assert name in OTHER_REFERENCE or {"beta", "se", "ci_lb", "ci_ub", "pval"} <= set(compared)
    for field in compared:
        np.testing.assert_allclose(ours[field], expected[field], rtol=case["rtol"], err_msg=field)


def test_the_main_fit_holds_everything(golden):
    """These fields are in the golden case, so the comparison above covers them."""
    held = golden["main.RR.rma.REML.z"]["results"]
    assert all(held[name] is not None for name in ("beta", "se", "tau2", "I2", "QE", "ci_lb", "ci_ub"))


def test_results_json_says_the_same(bcg, golden):
    expected = golden["main.RR.rma.REML.z"]
    found = bcg.record["syntheses"]["risk-ratio"]
    numbers = found["frequentist"]
    estimate = numbers["coefficients"]["intercept"]["estimate"]
    assert estimate == pytest.approx(expected["results"]["beta"][0], rel=expected["rtol"])
    assert numbers["tau2"] == pytest.approx(expected["results"]["tau2"], rel=expected["rtol"])
    riley = expected["results"]["predict_riley"]  # t with k - 2 degrees of freedom, as in Higgins 2009
    assert numbers["prediction"]["df"] == riley["pi_ddf"][0]
    assert [numbers["prediction"]["low"], numbers["prediction"]["high"]] == pytest.approx(
        [riley["pi_lb"][0], riley["pi_ub"][0]], rel=expected["rtol"]
    )
    limits = golden["main.RR.confint.REML"]
    assert numbers["tau2_interval"] == pytest.approx(limits["results"]["tau2"][1:], rel=limits["rtol"])
    assert found["k"] == found["m"] == 13


def test_ratios_are_read_back_on_their_own_scale(bcg):
    estimate, low, high = (np.exp(x) for x in bcg.results.synthesis("risk-ratio").headline())
    card = bcg.card("tuberculosis")
    assert f"{estimate:.2f}" == "0.49"
    assert "0.49" in card
    assert f"{low:.2f} to {high:.2f}" in card
    assert "Vaccinated people got less tuberculosis." in card
    assert "−0.71" not in card


def test_nothing_of_crying_is_said(bcg):
    for word in ("cry", "tears", "oxytocin", "dry-eyed", "mood"):
        assert word not in bcg.page.lower().replace("cryptography", ""), word


def test_the_python_interface_gives_it_too(golden):
    """README: the same from Python."""
    case = golden["main.RR.rma.REML.z"]
    result = ca.run(ROOT / "analyses" / "bcg", sample=False).synthesis("risk-ratio")
    again = ca.fit(yi=[size.yi for size in result.effects.sizes], vi=[size.vi for size in result.effects.sizes])
    assert float(again.params.iloc[0]) == pytest.approx(case["results"]["beta"][0], rel=case["rtol"])
