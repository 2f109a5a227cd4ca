"""Priors: how they are read, what is refused in which words, and that they are the densities they are named after."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from catharsis.bayes.priors import LOCATION, SCALE, Prior, Priors, parse_prior
from catharsis.errors import ModelError

NAMED = [
    ("normal(0.2, 1.5)", stats.norm(0.2, 1.5)),
    ("normal(-1, 1e-4)", stats.norm(-1, 1e-4)),
    ("half-normal(0.5)", stats.halfnorm(scale=0.5)),
    ("half-cauchy(0.3)", stats.halfcauchy(scale=0.3)),
    ("exponential(2)", stats.expon(scale=2)),
    ("uniform(0, 3)", stats.uniform(0, 3)),
    ("uniform(0.5, 3)", stats.uniform(0.5, 2.5)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("normal(0, 1)", Prior("normal", (0.0, 1.0))),
        ("  normal ( -0.5 ,1e2 ) ", Prior("normal", (-0.5, 100.0))),
        ("flat", Prior("flat")),
        ("flat()", Prior("flat")),
        ("half-normal(0.5)", Prior("half-normal", (0.5,))),
        ("half-cauchy(.5)", Prior("half-cauchy", (0.5,))),
        ("exponential(2)", Prior("exponential", (2.0,))),
        ("uniform(0, 10)", Prior("uniform", (0.0, 10.0))),
        ("fixed(0)", Prior("fixed", (0.0,))),
        ("fixed(0.3)", Prior("fixed", (0.3,))),
    ],
)
def test_priors_are_read_and_printed(text, expected):
    found = parse_prior(text)
    assert found == expected
    assert parse_prior(str(found)) == found


def test_what_is_printed_is_what_is_computed_with():
    assert str(Prior("normal", (0, 0.123456789))) == "normal(0, 0.123456789)"
    assert str(Prior("half-normal", (0.1 + 0.2,))) == "half-normal(0.3)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half-norml(1)", '"half-norml(1)" is not a prior that fits here: did you mean "half-normal"?'),
        (
            "0.5",
            '"0.5" is not a prior that fits here: use one of: normal, flat, half-normal, half-cauchy, exponential, '
            "uniform, fixed",
        ),
        ("normal(0, one)", '"normal(0, one)": the parameters of a prior are numbers'),
        ("normal(0)", '"normal(0)": normal takes 2 numbers'),
        ("half-normal", '"half-normal": half-normal takes 1 number'),
        ("flat(1)", '"flat(1)": flat takes no numbers'),
        ("normal(0, 0)", '"normal(0, 0)": the spread of a prior is positive'),
        ("half-cauchy(-1)", '"half-cauchy(-1)": the spread of a prior is positive'),
        ("normal(nan, 1)", '"normal(nan, 1)": the parameters of a prior are finite'),
        ("half-normal(inf)", '"half-normal(inf)": the parameters of a prior are finite'),
        ("uniform(1, 1)", '"uniform(1, 1)": a standard deviation lies between 0 or more and a larger number'),
        ("uniform(-1, 1)", '"uniform(-1, 1)": a standard deviation lies between 0 or more and a larger number'),
        ("fixed(-0.1)", '"fixed(-0.1)": a standard deviation is not negative'),
    ],
)
def test_what_is_not_a_prior(text, message):
    with pytest.raises(ModelError) as error:
        parse_prior(text)
    assert str(error.value) == message


def test_priors_made_in_code_are_held_to_the_same():
    with pytest.raises(ModelError, match='"half-normal\\(-1\\)": the spread of a prior is positive'):
        Prior("half-normal", (-1,))
    with pytest.raises(ModelError, match='"gamma" is not a prior: use one of'):
        Prior("gamma", (1, 2))
    with pytest.raises(ModelError) as error:
        Priors(tau=Prior("normal", (0, 1)))
    assert str(error.value) == (
        "normal(0, 1) is not a prior for tau: use one of half-normal, half-cauchy, exponential, uniform, fixed"
    )
    with pytest.raises(ModelError, match="half-normal\\(1\\) is not a prior for mu: use one of normal, flat"):
        Priors(mu=Prior("half-normal", (1,)))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, ("normal(0, 1)", "normal(0, 1)", "half-normal(0.5)")),
        ({"mu": "normal(1, 3)"}, ("normal(1, 3)", "normal(0, 3)", "half-normal(0.5)")),
        ({"mu": "flat"}, ("flat", "flat", "half-normal(0.5)")),
        ({"mu": "flat", "b": "normal(0, 2)"}, ("flat", "normal(0, 2)", "half-normal(0.5)")),
        ({"tau": "half-cauchy(1)"}, ("normal(0, 1)", "normal(0, 1)", "half-cauchy(1)")),
    ],
)
def test_the_priors_of_a_model(texts, expected):
    found = Priors.parse(texts)
    assert (str(found.mu), str(found.b), str(found.tau)) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"mu": "half-normal(1)"}, '"half-normal(1)" is not a prior that fits here: did you mean "normal"?'),
        ({"tau": "flat"}, '"flat" is not a prior that fits here: use one of: ' + ", ".join(SCALE)),
        ({"taus": "half-normal(1)"}, 'there is no prior on "taus": did you mean "tau"?'),
    ],
)
def test_a_prior_in_the_wrong_place(texts, message):
    with pytest.raises(ModelError) as error:
        Priors.parse(texts)
    assert str(error.value) == message


def test_the_intercept_has_its_own_prior():
    priors = Priors.parse({"mu": "normal(1, 2)", "b": "flat"})
    mean, precision = priors.location(["x1", "intercept"])
    assert mean.tolist() == [0, 1]
    assert precision.tolist() == [0, 0.25]


@pytest.mark.parametrize(("text", "known"), NAMED)
def test_densities_are_those_of_scipy(text, known):
    prior = parse_prior(text)
    x = np.concatenate([[-2.0, 0.0, 0.7, 1.0, 2.9, 3.1, 50], known.ppf([0.01, 0.3, 0.99])])
    np.testing.assert_allclose(prior.log_density(x), known.logpdf(x), rtol=1e-12, atol=1e-12)
    assert prior.log_density(np.float64(0.7)).shape == ()
    scale = prior.parameters[-1]
    centre = prior.parameters[0] if prior.family == "normal" else 0.0
    inner = np.array([-20, -1, 0, 1, 20]) * scale + centre
    ends = [-np.inf, *sorted({*inner, *(known.support() if np.isfinite(known.support()[1]) else ())}), np.inf]
    parts = [
        integrate.quad(lambda v: float(np.exp(prior.log_density(np.array(v)))), a, b, epsabs=1e-12)[0]
        for a, b in pairwise(ends)
    ]
    assert sum(parts) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("text", "known"), [case for case in NAMED if not case[0].startswith("normal")])
def test_reach_is_the_95_percent_point(text, known):
    assert parse_prior(text).reach == pytest.approx(known.ppf(0.95), rel=1e-9)


def test_reach_of_the_others():
    assert parse_prior("normal(-1, 2)").reach == pytest.approx(1 + 2 * stats.norm.ppf(0.975))
    assert parse_prior("flat").reach == np.inf
    assert parse_prior("fixed(0.4)").reach == 0.4
    assert set(LOCATION).isdisjoint(SCALE)
