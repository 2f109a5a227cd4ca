"""Priors: how they are read, what is refused in which words, and that they are the densities they are named after."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from catharsis.bayes.priors import LOCATION, SCALE, Prior, Priors, parse_prior
from catharsis.errors import ModelError


class HalfT:
    """The absolute value of a t variable."""

    def __init__(self, df, scale):
        self.t = stats.t(df, scale=scale)

    def logpdf(self, x):
        return np.where(x < 0, -np.inf, np.log(2) + self.t.logpdf(x))

    def ppf(self, p):
        return self.t.ppf((1 + np.asarray(p)) / 2)

    def support(self):
        return 0, np.inf


class InverseChi:
    """Scale over a chi variable: its square is inverse gamma."""

    def __init__(self, df, scale):
        self.square = stats.invgamma(df / 2, scale=scale**2 / 2)

    def logpdf(self, x):
        at = np.where(x > 0, x, 1.0)
        return np.where(x > 0, self.square.logpdf(at**2) + np.log(2 * at), -np.inf)

    def ppf(self, p):
        return np.sqrt(self.square.ppf(p))

    def support(self):
        return 0, np.inf


NAMED = [
    ("normal(0.2, 1.5)", stats.norm(0.2, 1.5)),
    ("normal(-1, 1e-4)", stats.norm(-1, 1e-4)),
    ("half-normal(0.5)", stats.halfnorm(scale=0.5)),
    ("half-cauchy(0.3)", stats.halfcauchy(scale=0.3)),
    ("exponential(2)", stats.expon(scale=2)),
    ("uniform(0, 3)", stats.uniform(0, 3)),
    ("uniform(0.5, 3)", stats.uniform(0.5, 2.5)),
    ("half-t(4, 0.5)", HalfT(4, 0.5)),
    ("half-t(1, 0.3)", stats.halfcauchy(scale=0.3)),
    ("half-logistic(0.7)", stats.halflogistic(scale=0.7)),
    ("rayleigh(0.4)", stats.rayleigh(scale=0.4)),
    ("lomax(3, 0.5)", stats.lomax(3, scale=0.5)),
    ("log-normal(-1.2, 0.6)", stats.lognorm(0.6, scale=np.exp(-1.2))),
    ("inverse-gamma(2, 0.5)", stats.invgamma(2, scale=0.5)),
    ("inverse-chi(3, 0.5)", InverseChi(3, 0.5)),
]
SEI = np.array([0.1, 0.2, 0.25, 0.6, 0.4])
PROPER_OF_DATA = ("dumouchel", "shrinkage", "i2", "conventional")
IMPROPER = ("uniform", "sqrt", "jeffreys", "overall-jeffreys", "berger-deely")


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
        ("half-t(4, 0.5)", Prior("half-t", (4.0, 0.5))),
        ("uniform", Prior("uniform")),
        ("i2", Prior("i2")),
        ("overall-jeffreys", Prior("overall-jeffreys")),
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
            '"0.5" is not a prior that fits here: use one of: normal, flat, half-normal, half-cauchy, half-t, '
            "half-logistic, rayleigh, exponential, lomax, log-normal, inverse-chi, inverse-gamma, uniform, sqrt, "
            "fixed, dumouchel, shrinkage, i2, conventional, jeffreys, overall-jeffreys, berger-deely",
        ),
        ("normal(0, one)", '"normal(0, one)": the parameters of a prior are numbers'),
        ("normal(0)", '"normal(0)": normal takes 2 numbers'),
        ("half-normal", '"half-normal": half-normal takes 1 number'),
        ("flat(1)", '"flat(1)": flat takes no numbers'),
        ("normal(0, 0)", '"normal(0, 0)": the spread of a prior is positive'),
        ("half-cauchy(-1)", '"half-cauchy(-1)": the spread of a prior is positive'),
        ("normal(nan, 1)", '"normal(nan, 1)": the parameters of a prior are finite'),
        ("half-normal(inf)", '"half-normal(inf)": the parameters of a prior are finite'),
        ("half-t(0, 1)", '"half-t(0, 1)": shape, degrees of freedom and scale of a prior are positive'),
        ("half-t(4)", '"half-t(4)": half-t takes 2 numbers'),
        ("lomax(-1, 1)", '"lomax(-1, 1)": shape, degrees of freedom and scale of a prior are positive'),
        ("log-normal(0, 0)", '"log-normal(0, 0)": the spread of a prior is positive'),
        ("jeffreys(1)", '"jeffreys(1)": jeffreys takes no numbers'),
        ("uniform(1)", '"uniform(1)": uniform takes 2 numbers'),
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
    assert str(error.value) == ("normal(0, 1) is not a prior for tau: use one of " + ", ".join(SCALE))
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
    assert [parse_prior(text).reach for text in IMPROPER] == [np.inf] * len(IMPROPER)


@pytest.mark.parametrize("name", PROPER_OF_DATA)
def test_priors_made_from_the_data_integrate_to_one(name):
    prior = parse_prior(name).completed(SEI)

    def mass(end):
        points = [0, 0.05, 0.2, 0.5, 2, 10, 100, np.inf]
        ends = [x for x in points if x < end] + [end]
        return sum(
            integrate.quad(lambda x: float(np.exp(prior.log_density(np.array(x)))), *p)[0] for p in pairwise(ends)
        )

    assert mass(np.inf) == pytest.approx(1, abs=1e-7)
    assert mass(prior.reach) == pytest.approx(0.95, abs=1e-3 if name == "conventional" else 1e-7)  # interpolated
    again = parse_prior(name).completed(1e6 * SEI)
    x = np.array([0.01, 0.3, 4.0])
    np.testing.assert_allclose(again.log_density(1e6 * x), prior.log_density(x) - np.log(1e6), rtol=1e-12)


def test_equal_standard_errors_give_the_textbook_densities():
    """With one s: conventional is s tau / (s^2 + tau^2)^(3/2), DuMouchel and shrinkage have their median at s."""
    s, x = 0.3, np.array([0.05, 0.3, 2.0])
    equal = np.full(4, s)
    np.testing.assert_allclose(
        np.exp(parse_prior("conventional").completed(equal).log_density(x)), s * x / (s**2 + x**2) ** 1.5, rtol=1e-12
    )
    for name in ("dumouchel", "shrinkage", "i2"):
        prior = parse_prior(name).completed(equal)
        below = integrate.quad(lambda t: float(np.exp(prior.log_density(np.array(t)))), 0, s)[0]  # noqa: B023
        assert below == pytest.approx(0.5, abs=1e-9)


def test_a_prior_made_from_the_data_needs_them():
    with pytest.raises(ModelError) as error:
        parse_prior("dumouchel").log_density(np.array(0.3))
    assert str(error.value) == ("the prior dumouchel is made from the standard errors of the studies: fit it to data")
    with pytest.raises(ModelError, match=r"a prior that is uniform on I\^2 needs at least 2 studies"):
        parse_prior("i2").completed(SEI[:1]).log_density(np.array(0.3))
