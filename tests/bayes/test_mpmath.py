"""Every prior family against mpmath: densities and integrals written anew in 20 digits, no code shared."""

import json
from functools import cache
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import SCALE, Priors

DIGITS = 20
AGREE = 1e-9  # relative to the posterior sd, or to the probability itself
FILE = json.loads((Path(__file__).parent / "data" / "bayesmeta.json").read_text())
DATA = {case["id"].split(".")[0]: (case["yi"], case["sei"]) for case in FILE["cases"] if case["family"] == "bayesmeta"}
MADE = {
    "far apart": ([-3.0, 0.1, 4.0, 9.5], [0.1, 0.3, 0.2, 0.4]),
    "alike": ([0.2, 0.21, 0.19, 0.2, 0.22], [0.3, 0.25, 0.4, 0.5, 0.35]),
    "one large study": ([0.1, 0.8, 0.5], [0.01, 0.3, 0.4]),
}
SETS = {**DATA, **MADE}
HALF = mp.mpf(1) / 2
LOG_T = mp.mpf(8) / (3 * mp.sqrt(5) * mp.pi) / mp.mpf("0.8")  # of a t density with 5 degrees of freedom


def harmonic(s):
    return mp.sqrt(len(s) / sum(1 / x**2 for x in s))


def typical(s):
    w = [1 / x**2 for x in s]
    return mp.sqrt((len(s) - 1) * sum(w) / (sum(w) ** 2 - sum(x**2 for x in w)))


def uniform_ratio(t, s):
    return 2 * t * s**2 / (s**2 + t**2) ** 2


# densities of tau as published; jeffreys, overall-jeffreys, berger-deely, sqrt and uniform integrate to nothing
PRIORS = {
    "half-normal(0.5)": lambda t, s: 2 * mp.npdf(t, 0, HALF),
    "half-cauchy(0.5)": lambda t, s: 2 / (mp.pi * HALF * (1 + (t / HALF) ** 2)),
    "half-t(4, 0.5)": lambda t, s: mp.mpf(3) / 4 / HALF * (1 + (t / HALF) ** 2 / 4) ** (-mp.mpf(5) / 2),
    "half-logistic(0.5)": lambda t, s: mp.sech(t) ** 2,
    "rayleigh(0.5)": lambda t, s: 4 * t * mp.exp(-2 * t**2),
    "exponential(0.5)": lambda t, s: 2 * mp.exp(-2 * t),
    "lomax(2, 0.5)": lambda t, s: 4 * (1 + 2 * t) ** -3,
    "log-normal(-1, 0.8)": lambda t, s: mp.npdf(mp.log(t), -1, mp.mpf("0.8")) / t if t > 0 else 0,
    "log-t(5, -1, 0.8)": lambda t, s: (
        LOG_T * (1 + ((mp.log(t) + 1) / mp.mpf("0.8")) ** 2 / 5) ** -3 / t if t > 0 else 0
    ),
    "inverse-chi(2, 0.5)": lambda t, s: t**-3 / 4 * mp.exp(-1 / t**2 / 8) if t > 0 else 0,
    "inverse-gamma(1, 0.15)": lambda t, s: mp.mpf("0.15") / t**2 * mp.exp(-mp.mpf("0.15") / t) if t > 0 else 0,
    "uniform(0, 12)": lambda t, s: mp.mpf(1) / 12 if t <= 12 else 0,
    "uniform": lambda t, s: 1,
    "sqrt": lambda t, s: t**-HALF if t > 0 else 0,
    "dumouchel": lambda t, s: harmonic(s) / (harmonic(s) + t) ** 2,
    "shrinkage": lambda t, s: uniform_ratio(t, harmonic(s)),
    "i2": lambda t, s: uniform_ratio(t, typical(s)),
    "conventional": lambda t, s: mp.fprod(t / (x**2 + t**2) ** mp.mpf(1.5) for x in s) ** (mp.mpf(1) / len(s)),
    "jeffreys": lambda t, s: mp.sqrt(sum((t / (x**2 + t**2)) ** 2 for x in s)),
    "overall-jeffreys": lambda t, s: mp.sqrt(
        sum((t / (x**2 + t**2)) ** 2 for x in s) * sum(1 / (x**2 + t**2) for x in s)
    ),
    "berger-deely": lambda t, s: mp.fprod(t / (x**2 + t**2) for x in s) ** (mp.mpf(1) / len(s)),
}
NAMES = list(SETS)
CASES = [(text, NAMES[i % len(NAMES)], ("flat", "normal(0.1, 2)")[i % 2]) for i, text in enumerate(PRIORS)]
ENDS = [0, 0.02, 0.1, 0.3, 1, 3, 12, mp.inf]


def test_every_family_has_its_witness():
    assert {text.split("(")[0] for text in PRIORS} == set(SCALE) - {"fixed"}
    assert len({name for _, name, _ in CASES}) >= 10


class Exact:
    """Integrals over tau of the joint density, mu integrated by completing the square."""

    def __init__(self, yi, sei, mu, prior):
        self.y, self.s, self.prior = [mp.mpf(v) for v in yi], [mp.mpf(v) for v in sei], prior
        self.m0, self.p0 = (mp.mpf(0), mp.mpf(0)) if mu == "flat" else (mp.mpf(0.1), 1 / mp.mpf(2) ** 2)
        self.given = cache(self.given)

    def given(self, t):
        """Joint density of y and tau, and mean and sd of mu there."""
        w = [1 / (s**2 + t**2) for s in self.s]
        precision = sum(w) + self.p0
        mean = (sum(a * b for a, b in zip(w, self.y, strict=True)) + self.p0 * self.m0) / precision
        square = sum(a * (b - mean) ** 2 for a, b in zip(w, self.y, strict=True)) + self.p0 * (mean - self.m0) ** 2
        height = mp.sqrt(mp.fprod(w) / precision) * (mp.sqrt(self.p0) if self.p0 else 1)
        constant = (2 * mp.pi) ** (-mp.mpf(len(w) - (not self.p0)) / 2)
        return constant * height * mp.exp(-square / 2) * self.prior(t, self.s), mean, 1 / mp.sqrt(precision)

    def integral(self, what, ends=ENDS):
        return mp.quad(lambda t: what(t, *self.given(t)), ends)


@pytest.mark.parametrize(("text", "name", "mu"), CASES, ids=[case[0] for case in CASES])
def test_against_mpmath(text, name, mu):
    yi, sei = (values[:6] for values in SETS[name])
    post = fit_bayes(yi=yi, vi=np.square(sei), priors=Priors.parse({"mu": mu, "tau": text}))
    assert post.error < 1e-8
    with mp.workdps(DIGITS):
        known = Exact(yi, sei, mu, PRIORS[text])
        mass = known.integral(lambda t, f, m, s: f)
        mean = known.integral(lambda t, f, m, s: t * f) / mass
        centre = known.integral(lambda t, f, m, s: m * f) / mass
        above = known.integral(lambda t, f, m, s: f * mp.ncdf(m / s)) / mass
        at = post.tau.median
        below = known.integral(lambda t, f, m, s: f, [0, at / 8, at / 2, at]) / mass
        high = post.new.high
        tail = known.integral(lambda t, f, m, s: f * mp.ncdf((m - high) / mp.hypot(s, t))) / mass
        density = known.given(mp.mpf(at))[0] / mass
        if text == "conventional":
            mass /= mp.quad(lambda t: PRIORS[text](t, known.s), ENDS)
    assert post.tau.mean == pytest.approx(float(mean), rel=AGREE)
    assert post.mu.mean == pytest.approx(float(centre), abs=AGREE * post.mu.sd)
    assert post.mu.positive == pytest.approx(float(above), rel=AGREE)
    assert float(below) == pytest.approx(0.5, rel=AGREE)
    assert float(tail) == pytest.approx(0.025, rel=AGREE)
    assert float(post.tau.density(at)) == pytest.approx(float(density), rel=AGREE)
    assert np.isfinite(post.log_evidence) == (post.priors.tau.proper and mu != "flat")
    if post.priors.tau.proper or text in ("uniform", "sqrt"):  # the others are defined up to a constant
        assert post.log_marginal == pytest.approx(float(mp.log(mass)), abs=AGREE)


def test_the_grid_of_bayesmeta_is_the_less_exact():
    """P(mu > 0) of dat.bcg, half-normal(0.5), normal(0, 2): bayesmeta 3.4 says 4.1368e-4 (delta = .005)."""
    yi, sei = DATA["bcg"]
    post = fit_bayes(yi=yi, vi=np.square(sei), priors=Priors.parse({"mu": "normal(0, 2)", "tau": "half-normal(0.5)"}))
    with mp.workdps(DIGITS):
        known = Exact(yi, sei, "normal", PRIORS["half-normal(0.5)"])
        known.m0 = mp.mpf(0)
        mass = known.integral(lambda t, f, m, s: f)
        above = float(known.integral(lambda t, f, m, s: f * mp.ncdf(m / s)) / mass)
    assert post.mu.positive == pytest.approx(above, rel=AGREE)
    assert above == pytest.approx(4.05269288e-4, rel=1e-8)
    assert abs(above / 4.1368112146977776e-4 - 1) > 0.02
