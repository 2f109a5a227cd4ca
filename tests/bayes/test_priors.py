"""Priors: how they are read, what is refused in which words, and that they are the densities they are named after."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from catharsis.bayes.fit import fit_bayes
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


class LogT:
    """The exponential of a t variable."""

    def __init__(self, df, mean, scale):
        self.log = stats.t(df, mean, scale)

    def logpdf(self, x):
        at = np.where(x > 0, x, 1.0)
        return np.where(x > 0, self.log.logpdf(np.log(at)) - np.log(at), np.where(x == 0, np.inf, -np.inf))

    def ppf(self, p):
        return np.exp(self.log.ppf(p))

    def support(self):
        return 0, np.inf


NAMED = [
    ("normal(0.2, 1.5)", stats.norm(0.2, 1.5)),
    ("normal(-1, 1e-4)", stats.norm(-1, 1e-4)),
    ("t(4, 0.3, 0.5)", stats.t(4, 0.3, 0.5)),
    ("cauchy(-0.2, 0.7)", stats.cauchy(-0.2, 0.7)),
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
    ("log-t(5, -1.2, 0.6)", LogT(5, -1.2, 0.6)),
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
            '"0.5" is not a prior that fits here: use one of: normal, t, cauchy, flat, half-normal, half-cauchy, '
            "half-t, half-logistic, rayleigh, exponential, lomax, log-normal, log-t, inverse-chi, inverse-gamma, "
            "uniform, sqrt, fixed, dumouchel, shrinkage, i2, conventional, jeffreys, overall-jeffreys, berger-deely "
            "and 2 more",
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
    with pytest.raises(ModelError, match="half-normal\\(1\\) is not a prior for mu: use one of normal, t, cauchy, fl"):
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
        (
            {"tau": "flat"},
            '"flat" is not a prior that fits here: use one of: ' + ", ".join([*SCALE, "turner", "rhodes"]),
        ),
        ({"tua": "half-normal(1)"}, 'there is no prior on "tua": did you mean "tau"?'),
        (
            {"taus": "half-normal(1)"},
            'taus is a mapping of names to priors, for example taus: {study: "half-normal(0.3)"}',
        ),
        (
            {"tau[study]": "half-normal(1)"},
            'there is no prior on "tau[study]": write for example taus: {study: "half-normal(0.3)"}',
        ),
        (
            {"b[dose]": "normal(0, 1)"},
            'there is no prior on "b[dose]": write for example terms: {dose: "normal(0, 0.2)"}',
        ),
        ({"tau": {"study": "half-normal(1)"}}, 'the prior on tau is one text such as "half-normal(0.5)", not a block'),
        (
            {"terms": {"dose": "half-normal(1)"}},
            '"half-normal(1)" is not a prior that fits here: did you mean "normal"?',
        ),
        (
            {"terms": {"intercept": "normal(0, 1)"}},
            "the prior on the intercept is mu: give it there, not under terms",
        ),
        ({"terms": {"dose": 3}}, '"3" is not a prior that fits here: use one of: normal, t, cauchy, flat'),
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
    if prior.family == "log-t":  # its density has a pole at 0; test_tails_and_quantiles integrates in the logarithm
        return
    scale, centre = prior.parameters[-1], prior.centre
    inner = np.array([-20, -1, 0, 1, 20]) * scale + centre
    ends = [-np.inf, *sorted({*inner, *(known.support() if np.isfinite(known.support()[1]) else ())}), np.inf]
    parts = [
        integrate.quad(lambda v: float(np.exp(prior.log_density(np.array(v)))), a, b, epsabs=1e-12)[0]
        for a, b in pairwise(ends)
    ]
    assert sum(parts) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("text", "known"), [case for case in NAMED if case[0].split("(")[0] not in LOCATION])
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
    assert mass(prior.reach) == pytest.approx(0.95, abs=1e-7)
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


HALVES = np.array([1e-9, 1e-3, 0.025, 0.3, 0.5, 0.7, 0.975, 0.999])


@pytest.mark.parametrize(("text", "known"), NAMED)
def test_tails_and_quantiles(text, known):
    """Quantiles are scipy's; below and above are the density integrated (in the logarithm for a scale family)."""
    prior = parse_prior(text)
    at = prior.quantiles(HALVES)
    np.testing.assert_allclose(at[1:], known.ppf(HALVES)[1:], rtol=1e-8)  # scipy's t is 0 at 0.5 + 5e-10
    np.testing.assert_allclose(prior.below(at), HALVES, rtol=1e-8)
    np.testing.assert_allclose(prior.above(at), 1 - HALVES, rtol=1e-9)
    assert prior.quantile(0.3) == pytest.approx(known.ppf(0.3), rel=1e-9)
    low, high = prior.quantile(0.2), prior.quantile(0.9)
    inside = integrate.quad(lambda x: float(np.exp(prior.log_density(np.array(x)))), low, high, epsabs=1e-13)[0]
    assert inside == pytest.approx(0.7, abs=1e-10)


@pytest.mark.parametrize("text", [*(text for text, _ in NAMED), *PROPER_OF_DATA])
def test_tails_reach_as_far_as_they_go(text):
    prior = parse_prior(text).completed(SEI)
    far = prior.quantile(1 - 1e-12)
    assert float(prior.above(far)) == pytest.approx(1e-12, rel=1e-3)  # not 1 minus below, which has 4 digits left here
    if prior.family in SCALE:
        assert float(prior.below(-1.0)) == 0
        assert float(prior.above(-1.0)) == 1
        assert float(prior.below(0.0)) == 0
    assert prior.below(np.array([[0.1, 0.2]])).shape == (1, 2)


@pytest.mark.parametrize("name", PROPER_OF_DATA)
def test_tails_of_priors_made_from_the_data(name):
    prior = parse_prior(name).completed(SEI)
    for p in (0.01, 0.5, 0.95):
        at = prior.quantile(p)
        mass = integrate.quad(lambda u: float(np.exp(prior.log_density(np.array(np.exp(u))) + u)), -40, np.log(at))[0]
        assert mass == pytest.approx(p, rel=1e-7)
        assert float(prior.below(at)) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("text", ["t(4, 0.3, 0.5)", "half-t(4, 0.5)", "log-t(5, -1.2, 0.6)", "lomax(3, 0.5)", "i2"])
def test_draws_follow_the_prior(text):
    prior = parse_prior(text).completed(SEI)
    draws = prior.draw(np.random.default_rng(4), 4000)
    assert stats.kstest(draws, lambda x: prior.below(x)).pvalue > 0.01
    np.testing.assert_array_equal(draws, prior.draw(np.random.default_rng(4), 4000))


@pytest.mark.parametrize("text", [*IMPROPER, "flat"])
def test_an_improper_prior_has_no_quantiles(text):
    prior = parse_prior(text).completed(SEI)
    with pytest.raises(ModelError, match="is improper, so it has no quantiles; a wide proper one"):
        prior.quantile(0.5)
    with pytest.raises(ModelError, match="is improper, so it has no probabilities"):
        prior.below(0.5)


def test_a_probability_is_one():
    with pytest.raises(ModelError, match="a quantile's probability lies between 0 and 1"):
        parse_prior("half-normal(1)").quantile(1.2)
    with pytest.raises(ModelError, match="a quantile's probability lies between 0 and 1"):
        parse_prior("half-normal(1)").quantile(float("nan"))


def test_priors_by_name():
    priors = Priors.parse(
        {
            "mu": "t(3, 1, 2)",
            "terms": {"dose": "cauchy(0, 0.1)", "year": "flat"},
            "taus": {"study": "half-cauchy(0.3)", "outcome": "dumouchel"},
        }
    )
    terms = ["intercept", "dose", "year", "other"]
    assert [str(priors.of(term)) for term in terms] == ["t(3, 1, 2)", "cauchy(0, 0.1)", "flat", "t(3, 0, 2)"]
    assert [str(priors.tau_of(name)) for name in ("study", "effect")] == ["half-cauchy(0.3)", "half-normal(0.5)"]
    mean, precision = priors.location(terms)
    assert mean.tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(precision, [0.25, 100, 0, 0.25])
    assert priors.heavy(terms) == ((0, 3.0), (1, 1.0), (3, 3.0))
    assert priors.completed(SEI).tau_of("outcome").reach < np.inf
    assert priors.tau_of("outcome").reach == np.inf
    assert hash(priors) == hash(Priors.parse({"mu": "t(3, 1, 2)"}))  # equal priors have equal hashes; == tells apart
    assert priors != Priors.parse({"mu": "t(3, 1, 2)"})
    assert str(priors).endswith("terms[year] flat, taus[study] half-cauchy(0.3), taus[outcome] dumouchel")


def test_a_model_without_an_intercept_has_no_mu():
    """The first term of 0 + x is not the average at the reference setting: it takes b."""
    priors = Priors.parse({"mu": "normal(1, 2)", "b": "normal(0, 0.1)"})
    assert str(priors.of("x1")) == "normal(0, 0.1)"
    assert str(priors.of("intercept")) == "normal(1, 2)"


def test_a_t_prior_is_its_mixture():
    """Which is what `heavy` promises the engines: normal given an inverse gamma variance."""
    prior = parse_prior("t(3, 0.2, 0.5)")
    mixing = stats.invgamma(1.5, scale=1.5)
    for x in (-1.0, 0.2, 4.0):
        mixed = integrate.quad(lambda m, x=x: stats.norm.pdf(x, 0.2, 0.5 * np.sqrt(m)) * mixing.pdf(m), 0, np.inf)[0]
        assert float(np.exp(prior.log_density(np.array(x)))) == pytest.approx(mixed, rel=1e-7)


def test_a_prior_for_what_the_model_lacks():
    priors = Priors.parse({"terms": {"dsoe": "normal(0, 1)"}, "taus": {"study": "half-normal(1)"}})
    with pytest.raises(ModelError) as error:
        priors.check(terms=["intercept", "dose"])
    assert str(error.value) == 'terms has a prior for "dsoe", which this model lacks: did you mean "dose"?'
    with pytest.raises(ModelError, match='taus has a prior for "study", which this model lacks: use one of: effect'):
        priors.check(factors=["effect"])
    priors.check(terms=["dsoe"], factors=["study", "effect"])
    with pytest.raises(ModelError, match="taus has a prior"):
        fit_bayes(yi=[0.1, 0.4], vi=[0.1, 0.1], priors=Priors(taus={"study": Prior("half-normal", (1,))}))


def test_what_priors_do_not_take():
    with pytest.raises(ModelError, match=r"mu takes a Prior; read a text with Priors.parse or parse_prior"):
        Priors(mu="normal(0, 1)")
    with pytest.raises(ModelError, match=r"taus\[study\] takes a Prior"):
        Priors(taus={"study": "half-normal(1)"})
    with pytest.raises(ModelError, match=r"normal\(0, 1\) is not a prior for taus\[study\]: use one of half-normal"):
        Priors(taus={"study": Prior("normal", (0, 1))})
    with pytest.raises(ModelError, match=r"terms is a mapping of names to priors, for example terms: \{dose"):
        Priors(terms=[Prior("normal", (0, 1))])


def test_a_prior_away_from_zero_is_said_wherever_it_stands():
    note = "has no mass near 0 and decides the answer when studies are few"
    assert Priors().notes == ()
    assert note in Priors.parse({"tau": "inverse-gamma(1, 0.15)"}).notes[0]
    (said,) = Priors.parse({"taus": {"study": "inverse-chi(2, 0.3)"}}).notes
    assert said.startswith("inverse-chi(2, 0.3) on tau of study")
    assert note in said


def test_scale_of_the_two_logarithmic_families():
    assert parse_prior("log-normal(-1, 0.5)").scale == pytest.approx(np.exp(-1))
    assert parse_prior("log-t(5, -1, 0.5)").scale == pytest.approx(np.exp(-1))
    assert parse_prior("log-t(5, -1, 0.5)").quantile(0.5) == pytest.approx(np.exp(-1))
