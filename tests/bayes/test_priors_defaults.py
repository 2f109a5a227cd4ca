"""Default priors: their size by measure, from the data where a scale has none, and what is said about them."""

import numpy as np
import pytest

import catharsis as ca
from catharsis.errors import ModelError


@pytest.mark.parametrize(
    ("measure", "mu", "tau"),
    [
        ("SMD", "normal(0, 1)", "half-normal(0.5)"),
        ("ZCOR", "normal(0, 0.5)", "half-normal(0.25)"),
        ("OR", "normal(0, 2)", "half-normal(1)"),
        ("RR", "normal(0, 1)", "half-normal(0.5)"),
    ],
)
def test_by_measure(measure, mu, tau):
    found = ca.default_priors(measure)
    assert (str(found.priors.mu), str(found.priors.b), str(found.priors.tau)) == (mu, mu, tau)
    assert len(found.words) == 4


@pytest.mark.parametrize(("measure", "expected"), [("SMD", 2.0), ("ZCOR", 1.0), ("OR", 4.0)])
def test_the_unit_is_the_standard_error_of_one_person(measure, expected):
    """The variances of our own `effect_size` at no effect and two halves: u^2 is n v for large n."""
    n = 100_000
    half = n // 2
    found = {
        "SMD": lambda: ca.effect_size("SMD", m1=[0], sd1=[1], n1=[half], m2=[0], sd2=[1], n2=[half]),
        "ZCOR": lambda: ca.effect_size("ZCOR", r=[0], n=[n]),
        "OR": lambda: ca.effect_size("OR", ai=[half // 2], n1i=[half], ci=[half // 2], n2i=[half]),
    }[measure]()
    assert np.sqrt(n * float(found["vi"].iloc[0])) == pytest.approx(expected, rel=1e-3)
    assert ca.default_priors(measure).unit == expected


def test_raw_units_take_the_unit_of_the_data():
    """Means of n people with sd 12 have variance 144 / n: u is 12 whatever the sizes."""
    n = np.array([20, 45, 130])
    found = ca.default_priors("MD", vi=144 / n, n=n)
    assert found.unit == pytest.approx(12)
    assert found.priors.tau.scale == pytest.approx(3)
    again = ca.default_priors("MD", vi=144e6 / n, n=n)
    assert again.priors.mu.scale == pytest.approx(1000 * found.priors.mu.scale, rel=1e-14)
    assert ca.default_priors("a scale of ours", vi=144 / n, n=n).unit == pytest.approx(12)


def test_what_is_said():
    words = ca.default_priors("SMD").words
    assert words[0] == (
        "normal(0, 1) on the average: 95% of the prior lies between -1.96 and 1.96 (standardised mean differences)"
    )
    assert words[2].startswith("half-normal(0.5) on tau: half of the prior lies below 0.337, 95% below 0.98")
    assert "the unit-information standard deviation is 2" in words[3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ca.default_priors("MD"), "MD has no size of its own: give vi= and n="),
        (lambda: ca.default_priors("SMDD"), 'no default priors for "SMDD": did you mean "SMD'),
        (lambda: ca.default_priors("SMD", vi=[1.0]), "needs vi and n together"),
        (lambda: ca.default_priors("MD", vi=[1.0, 2.0], n=[5]), "there are 2 variances and 1 study sizes"),
        (lambda: ca.default_priors("MD", vi=[1.0, 0.0], n=[5, 5]), "vi must be positive and finite"),
        (lambda: ca.default_priors("MD", vi=[1.0, 1.0], n=[5, np.nan]), "n must be positive and finite"),
        (lambda: ca.default_priors("MD", vi=[], n=[]), "there are 0 variances"),
    ],
)
def test_what_cannot_be_answered(call, message):
    with pytest.raises(ModelError, match=message):
        call()
