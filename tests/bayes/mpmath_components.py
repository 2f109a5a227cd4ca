"""Writes data/mpmath_components.json: posteriors of several spreads and of t priors, in 25 digits, no code shared.

Run from the repository's root: python tests/bayes/mpmath_components.py (minutes). Two standard deviations: the density
of y, with the mean integrated by completing the square, is an elimination of the dense covariance matrix; the sum is a
Gauss-Legendre product rule. A t prior: likelihood times prior over (mean, tau) itself, without a scale mixture.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import mpmath as mp

mp.mp.dps = 25
HERE = Path(__file__).parent
HALF = mp.mpf(1) / 2
LAWS = {
    "half-normal(0.5)": lambda t: 2 * mp.npdf(t, 0, HALF),
    "half-normal(0.3)": lambda t: 2 * mp.npdf(t, 0, mp.mpf("0.3")),
    "half-cauchy(0.4)": lambda t: 2 / (mp.pi * mp.mpf("0.4") * (1 + (t / mp.mpf("0.4")) ** 2)),
    "exponential(0.3)": lambda t: mp.exp(-t / mp.mpf("0.3")) / mp.mpf("0.3"),
    "half-t(4, 0.5)": lambda t: mp.mpf(3) / 4 / HALF * (1 + (t / HALF) ** 2 / 4) ** (-mp.mpf(5) / 2),
}


def student(df, centre, scale):
    df, centre, scale = mp.mpf(df), mp.mpf(centre), mp.mpf(scale)
    constant = mp.gamma((df + 1) / 2) / (mp.gamma(df / 2) * mp.sqrt(df * mp.pi) * scale)
    return lambda x: constant * (1 + ((x - centre) / scale) ** 2 / df) ** (-(df + 1) / 2)


def legendre(n):
    """Nodes and weights by Newton's method."""
    found = []
    for i in range(n):
        x = mp.cos(mp.pi * (i + mp.mpf(3) / 4) / (n + HALF))
        for _ in range(60):
            p0, p1 = mp.mpf(1), x
            for j in range(2, n + 1):
                p0, p1 = p1, ((2 * j - 1) * x * p1 - (j - 1) * p0) / j
            slope = n * (x * p1 - p0) / (x * x - 1)
            step = p1 / slope
            x -= step
            if abs(step) < mp.mpf(10) ** -24:
                break
        found.append((x, 2 / ((1 - x * x) * slope**2)))
    return found


RULE = legendre(16)


def panels(edges):
    """(point, weight) of a composite rule; an infinite last edge is reached in 1 / t."""
    found = []
    for a, b in pairwise(edges):
        a = mp.mpf(a)
        if b == mp.inf:
            for x, w in RULE:
                u = (1 + x) / 2 / a
                found.append((1 / u, w / 2 / a / u**2))
            continue
        half = (mp.mpf(b) - a) / 2
        found += [(a + half * (1 + x), half * w) for x, w in RULE]
    return found


def given(y, M, p0, m0):
    """Density of y and mean and variance of mu, with precision p0 (0: flat) and mean m0 a priori."""
    n = len(y)
    A = [[*M[i], mp.mpf(1), y[i]] for i in range(n)]
    det = mp.mpf(1)
    for i in range(n):
        det *= A[i][i]
        for r in range(i + 1, n):
            f = A[r][i] / A[i][i]
            if f:
                A[r] = [a - f * b for a, b in zip(A[r], A[i], strict=True)]
    one = [A[i][n] for i in range(n)]
    two = [A[i][n + 1] for i in range(n)]
    s11 = sum(one[i] ** 2 / A[i][i] for i in range(n))
    s12 = sum(one[i] * two[i] / A[i][i] for i in range(n))
    s22 = sum(two[i] ** 2 / A[i][i] for i in range(n))
    precision = s11 + p0
    mean = (s12 + p0 * m0) / precision
    square = s22 + p0 * m0**2 - precision * mean**2
    height = mp.exp(-square / 2) / mp.sqrt(det * precision) * (mp.sqrt(p0) if p0 else 1)
    return height * (2 * mp.pi) ** (-mp.mpf(n - (not p0)) / 2), mean, 1 / precision


def two(case, edges):
    y, v = ([mp.mpf(str(x)) for x in case[name]] for name in ("yi", "vi"))
    n, m0 = len(y), mp.mpf(0)
    p0 = mp.mpf(0) if case["mu"] == "flat" else mp.mpf(1)
    first, second = case["codes"]  # which effects share a level of each component; None where it is absent
    laws = [LAWS[text] for text in case["tau"]]

    def at(t1, t2):
        M = [
            [
                (v[i] if i == j else mp.mpf(0))
                + (t1**2 if first[i] is not None and first[i] == first[j] else 0)
                + (t2**2 if second[i] is not None and second[i] == second[j] else 0)
                for j in range(n)
            ]
            for i in range(n)
        ]
        height, mean, variance = given(y, M, p0, m0)
        return height * laws[0](t1) * laws[1](t2), mean, variance

    sums = dict.fromkeys(("mass", "mu", "mu2", "positive", "tau1", "tau2", "new"), mp.mpf(0))
    line = panels(edges)
    for t1, w1 in line:
        for t2, w2 in line:
            f, mean, variance = at(t1, t2)
            f *= w1 * w2
            sums["mass"] += f
            sums["mu"] += f * mean
            sums["mu2"] += f * (mean**2 + variance)
            sums["positive"] += f * mp.ncdf(mean / mp.sqrt(variance))
            sums["tau1"] += f * t1
            sums["tau2"] += f * t2
            sums["new"] += f * mp.ncdf(mean / mp.sqrt(variance + t1**2 + t2**2))
    mass = sums.pop("mass")
    found = {name: value / mass for name, value in sums.items()} | {"log_marginal": mp.log(mass)}
    cut = mp.mpf("0.3")
    inside = panels([0, 0.1, 0.3])
    found["tau1 below 0.3"] = sum(w1 * w2 * at(t1, t2)[0] for t1, w1 in inside for t2, w2 in line) / mass
    angles = panels([0, mp.pi / 4, mp.pi / 2])
    found["total below 0.3"] = (
        sum(w * u * r * at(r * mp.cos(a), r * mp.sin(a))[0] for r, w in inside for a, u in angles) / mass
    )
    found["total density at 0.3"] = sum(u * cut * at(cut * mp.cos(a), cut * mp.sin(a))[0] for a, u in angles) / mass
    return found


def heavy(case, edges):
    y, v = ([mp.mpf(str(x)) for x in case[name]] for name in ("yi", "vi"))
    prior, law = student(*case["student"]), LAWS[case["tau"][0]]
    sums = dict.fromkeys(("mass", "mu", "mu2", "positive", "tau1"), mp.mpf(0))
    line = panels(edges)
    far = [(-x, w) for x, w in panels([mp.mpf(str(e)) for e in (0.0, *case["mu_edges"])] + [mp.inf])]
    everywhere = panels([mp.mpf(str(e)) for e in (0.0, *case["mu_edges"])] + [mp.inf]) + far
    for t, w in line:
        for mu, u in everywhere:
            f = w * u * law(t) * prior(mu)
            for a, b in zip(y, v, strict=True):
                f *= mp.exp(-((a - mu) ** 2) / (b + t**2) / 2) / mp.sqrt(2 * mp.pi * (b + t**2))
            sums["mass"] += f
            sums["mu"] += f * mu
            sums["mu2"] += f * mu**2
            sums["positive"] += f if mu > 0 else 0
            sums["tau1"] += f * t
    mass = sums.pop("mass")
    return {name: value / mass for name, value in sums.items()} | {"log_marginal": mp.log(mass)}


STUDIES = [0, 0, 1, 1, 2]
OWN = list(range(5))
THREE = {"yi": [0.1, 0.35, 0.8, 0.62, -0.2], "vi": [0.02, 0.03, 0.05, 0.04, 0.1]}
FAR = {"yi": [1.5, 1.9, -0.6, -0.4, 0.2], "vi": [0.01, 0.02, 0.015, 0.03, 0.02]}
ALIKE = {"yi": [0.2, 0.21, 0.19, 0.2, 0.22], "vi": [0.09, 0.06, 0.16, 0.25, 0.12]}
GROUPS = [[0, 1, 2, None, None], [None, None, None, 3, 4]]
LIGHT, LONG = [0, 0.08, 0.25, 0.6, 1.2, 2.4, 4.8], [0, 0.08, 0.25, 0.6, 1.5, 5, 20, mp.inf]
CASES = [
    {"name": "three levels", **THREE, "codes": [STUDIES, OWN], "mu": "normal(0, 1)",
     "tau": ["half-normal(0.5)", "half-normal(0.3)"]},
    {"name": "three levels, far apart", **FAR, "codes": [STUDIES, OWN], "mu": "normal(0, 1)",
     "tau": ["half-cauchy(0.4)", "half-normal(0.3)"]},
    {"name": "three levels, alike", **ALIKE, "codes": [STUDIES, OWN], "mu": "flat",
     "tau": ["half-normal(0.5)", "exponential(0.3)"]},
    {"name": "groups", **THREE, "codes": GROUPS, "mu": "normal(0, 1)", "tau": ["half-normal(0.5)", "half-cauchy(0.4)"]},
    {"name": "groups, far apart", **FAR, "codes": GROUPS, "mu": "flat", "tau": ["half-t(4, 0.5)", "half-normal(0.5)"]},
    {"name": "Cauchy", **THREE, "student": [1, 0, 0.7], "prior": "cauchy(0, 0.7)", "tau": ["half-normal(0.5)"],
     "mu_edges": [0.15, 0.3, 0.5, 0.8, 1.2, 2, 4]},
    {"name": "Cauchy against the data", **FAR, "student": [1, 3, 0.1], "prior": "cauchy(3, 0.1)",
     "tau": ["half-cauchy(0.4)"], "mu_edges": [0.15, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5, 2.9, 3.1, 3.5, 5, 9]},
    {"name": "t with 3 df", **ALIKE, "student": [3, 0.5, 0.2], "prior": "t(3, 0.5, 0.2)", "tau": ["half-t(4, 0.5)"],
     "mu_edges": [0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 4]},
    {"name": "t with 2.5 df, two studies", "yi": [0.1, 0.9], "vi": [0.04, 0.09], "student": [2.5, 0, 1],
     "prior": "t(2.5, 0, 1)", "tau": ["half-normal(0.5)"], "mu_edges": [0.15, 0.3, 0.5, 0.8, 1.2, 2, 4]},
]  # fmt: skip


def main():
    found = []
    for case in CASES:
        light = all(text.startswith(("half-normal", "exponential")) for text in case["tau"])
        edges = [*LIGHT, 12] if "exponential(0.3)" in case["tau"] else LIGHT if light else LONG
        values = heavy(case, edges) if "student" in case else two(case, edges)
        found.append({**case, "expected": {name: mp.nstr(value, 15) for name, value in values.items()}})
        sys.stdout.write(f"{case['name']}\n")
        sys.stdout.flush()
        source = "mpmath " + mp.__version__ + ", tests/bayes/mpmath_components.py"
        (HERE / "data" / "mpmath_components.json").write_text(json.dumps({"source": source, "cases": found}, indent=1))


if __name__ == "__main__":
    main()
