"""Do 95 % intervals cover 95 %? Simulated from raw group data, for the intervals that a report prints.

Each replication is a literature of k studies. Study i has a true difference theta_i ~ N(mu, tau^2) in standard
deviations; two groups of n1 and n2 people are drawn from normal distributions with standard deviation 1, and Hedges' g
and its variance come out of `effect_size` as they would from any table. Then the same literature is read three ways:

- Bayes: the exact engine under the default priors, all replications at once on one fixed grid of tau (a test holds the
  grid to `fit_bayes` within 1e-6);
- KH: REML with Knapp-Hartung intervals;
- modified KH: the same, never narrower than without the factor.

`known` replaces the raw data by y_i ~ N(theta_i, v_i) with v_i known: it shows what part of a deviation is the
method's and what part is that of g, whose variance is estimated from g itself.

    python benchmarks/coverage.py            every cell (4 minutes); writes tests/calibration/coverage.json and the
                                             tables of docs/calibration.md
    python benchmarks/coverage.py --short    a hundredth of the replications, printed only
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.polynomial import legendre
from scipy.special import ndtr, ndtri

from catharsis.bayes.priors import Priors
from catharsis.effects.measures import effect_size
from catharsis.models.batch import Fits, Problems, fit_problems
from catharsis.numerics import FloatArray, critical_value

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "calibration" / "coverage.json"
PAGE = ROOT / "docs" / "calibration.md"

SEED = 20240
REPLICATIONS = 20_000  # Monte Carlo error of a coverage of 95 %: 0.15 points
STUDIES = (2, 3, 5, 10, 30)
TAUS = (0.0, 0.1, 0.3, 1.0)
MU = 0.3  # standard deviations; a small to medium effect
PEOPLE = (15, 100)  # per group, even on the logarithm and apart for each group: median 39, N of a study about 90
LEVEL = 0.95

PANELS = np.array([0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0])  # of tau; half-normal(0.5) leaves e^-50 beyond
NODES = 16  # per panel
NUMBERS = 4_000_000  # that one chunk may hold (32 MB)
STEPS = 60  # of Newton's method inside a bracket


@dataclass(frozen=True, slots=True)
class Literatures:
    """m simulated literatures of k studies.

    Attributes
    ----------
    mu, new : (m,) arrays
        True average, and the true effect of a study not yet done.
    y, v : (m, k) arrays
        Effects and sampling variances as the reader computes them.
    """

    mu: FloatArray
    new: FloatArray
    y: FloatArray
    v: FloatArray


def simulate(rng: np.random.Generator, k: int, mu: FloatArray, tau: FloatArray, known: bool = False) -> Literatures:
    """Literatures with averages `mu` and standard deviations `tau`, (m,) each."""
    m = len(mu)
    theta = mu[:, None] + tau[:, None] * rng.standard_normal((m, k))
    low, high = np.log(PEOPLE[0]), np.log(PEOPLE[1] + 1)
    n = np.floor(np.exp(rng.uniform(low, high, (2, m, k)))).astype(np.int64)
    if known:
        v = 1 / n[0] + 1 / n[1]
        y = theta + np.sqrt(v) * rng.standard_normal((m, k))
    else:
        y, v = hedges_g(rng, theta.ravel(), n[0].ravel(), n[1].ravel())
        y, v = y.reshape(m, k), v.reshape(m, k)
    return Literatures(mu, mu + tau * rng.standard_normal(m), y, v)


def hedges_g(
    rng: np.random.Generator, theta: FloatArray, n1: np.ndarray, n2: np.ndarray
) -> tuple[FloatArray, FloatArray]:
    """Hedges' g and its variance of studies whose people are drawn one by one."""
    (m1, sd1), (m2, sd2) = group(rng, theta, n1), group(rng, np.zeros_like(theta), n2)
    found = effect_size("SMD", data=pd.DataFrame({"m1": m1, "sd1": sd1, "n1": n1, "m2": m2, "sd2": sd2, "n2": n2}))
    return found["yi"].to_numpy(), found["vi"].to_numpy()


def group(rng: np.random.Generator, centre: FloatArray, n: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of n people from N(centre, 1), for each group."""
    people = rng.standard_normal(int(n.sum()))
    first = np.concatenate([[0], np.cumsum(n)[:-1]])
    mean = np.add.reduceat(people, first) / n
    squares = np.add.reduceat((people - np.repeat(mean, n)) ** 2, first)
    return centre + mean, np.sqrt(squares / (n - 1))


# -- the three readings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Intervals:
    """(m,) lower and upper ends; nan where the method gives none."""

    low: FloatArray
    high: FloatArray

    def cover(self, truth: FloatArray) -> np.ndarray:
        """(m,) whether the truth lies inside."""
        return (self.low <= truth) & (truth <= self.high)


def knapp_hartung(found: Literatures, modified: bool) -> dict[str, Intervals]:
    """REML intervals of mu and of a new study: t with k - 1 df for both, as `fit(...).predict()` gives them."""
    m, k = found.y.shape
    fits = fit_problems(
        Problems(found.y, found.v, np.ones((k, 1)), np.ones((m, k), dtype=bool)),
        "REML",
        "adhoc" if modified else "knha",
    )
    plain = fits.cov[:, 0, 0] / fits.scale
    names = {"mu": symmetric(fits, fits.cov[:, 0, 0], k - 1)}
    names["new"] = symmetric(fits, fits.cov[:, 0, 0] + fits.tau2, k - 1)
    if not modified:
        names["new, HTS"] = symmetric(fits, plain + fits.tau2, k - 2)
    return names


def symmetric(fits: Fits, variance: FloatArray, df: int) -> Intervals:
    """Estimate and t quantile; no degree of freedom, no interval."""
    reach = np.sqrt(variance) * (float(critical_value(LEVEL, df)) if df > 0 else np.nan)
    return Intervals(fits.beta[:, 0] - reach, fits.beta[:, 0] + reach)


@dataclass(frozen=True, slots=True)
class Mixtures:
    """m posteriors of mu as Gaussian mixtures over one grid of tau.

    Attributes
    ----------
    tau : (g,) array
        Nodes.
    weight, mean, variance : (m, g) arrays
        Probability of each node, and mu given tau.
    """

    tau: FloatArray
    weight: FloatArray
    mean: FloatArray
    variance: FloatArray

    def central(self, new: bool, level: float = LEVEL) -> Intervals:
        """Central intervals of mu, or of the effect of a new study."""
        sd = np.sqrt(self.variance + (self.tau**2 if new else 0.0))
        rest = (1 - level) / 2
        return Intervals(quantiles(self.weight, self.mean, sd, rest), quantiles(self.weight, self.mean, sd, 1 - rest))


def quantiles(weight: FloatArray, mean: FloatArray, sd: FloatArray, probability: float) -> FloatArray:
    """(m,) quantiles of m mixtures (m, g), by Newton steps that stay inside a shrinking bracket."""
    each = mean + ndtri(probability) * sd
    low, high = each.min(axis=1), each.max(axis=1)
    x = (weight * each).sum(axis=1)
    for _ in range(STEPS):
        z = (x[:, None] - mean) / sd
        excess = (weight * ndtr(z)).sum(axis=1) - probability
        slope = (weight * np.exp(-0.5 * z * z) / sd).sum(axis=1) / math.sqrt(2 * math.pi)
        low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
        step = x - excess / slope
        x, before = np.where((step > low) & (step < high), step, (low + high) / 2), x
        if np.all(np.abs(x - before) < 1e-12):
            break
    return x


def rule() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the Gauss-Legendre rule in tau."""
    x, w = legendre.leggauss(NODES)
    half = np.diff(PANELS)[:, None] / 2
    return (PANELS[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


def posteriors(found: Literatures, priors: Priors) -> Mixtures:
    """Posteriors of mu under a normal prior on mu and any proper prior on tau."""
    tau, width = rule()
    prior_mean, prior_sd = priors.mu.parameters
    log_prior = np.log(width) + priors.tau.log_density(tau)
    m, g = len(found.y), len(tau)
    log_mass, mean, variance = np.empty((m, g)), np.empty((m, g)), np.empty((m, g))
    for rows in pieces(m, found.y.shape[1] * g):
        y, v = found.y[rows, :, None], found.v[rows, :, None]
        w = 1 / (v + tau**2)
        precision = w.sum(axis=1) + prior_sd**-2
        centre = ((w * y).sum(axis=1) + prior_mean * prior_sd**-2) / precision
        rss = (w * (y - centre[:, None]) ** 2).sum(axis=1) + (centre - prior_mean) ** 2 * prior_sd**-2
        log_mass[rows] = log_prior + 0.5 * (np.log(w).sum(axis=1) - np.log(precision) - rss)
        mean[rows], variance[rows] = centre, 1 / precision
    weight = np.exp(log_mass - log_mass.max(axis=1, keepdims=True))
    return Mixtures(tau, weight / weight.sum(axis=1, keepdims=True), mean, variance)


def pieces(m: int, width: int) -> Iterator[slice]:
    """Rows in chunks that hold about `NUMBERS` numbers."""
    size = max(1, NUMBERS // width)
    return (slice(start, start + size) for start in range(0, m, size))


# -- the table ----------------------------------------------------------------------------------------------


def read(found: Literatures) -> dict[str, dict[str, float]]:
    """Coverage (percent) and median width of each interval."""
    tally: dict[str, dict[str, float]] = {}
    posterior = posteriors(found, Priors())
    named = {
        "Bayes": {"mu": posterior.central(new=False), "new": posterior.central(new=True)},
        "KH": knapp_hartung(found, modified=False),
        "modified KH": knapp_hartung(found, modified=True),
    }
    for method, intervals in named.items():
        for quantity, ends in intervals.items():
            if np.isnan(ends.low).all():
                continue
            covered = float(100 * ends.cover(found.mu if quantity == "mu" else found.new).mean())
            tally[f"{method}: {quantity}"] = {
                "coverage": round(covered, 3), "width": round(float(np.median(ends.high - ends.low)), 4),
            }  # fmt: skip
    return tally


def cell(k: int, tau: float | None, known: bool, replications: int, seed: int = SEED) -> dict[str, Any]:
    """One cell; tau None draws mu and tau from the default priors."""
    kind = 0 if tau is None else 1 + round(1000 * tau)
    parts = []
    for piece, rows in enumerate(pieces(replications, 2 * k * PEOPLE[1])):
        rng = np.random.default_rng([seed, k, kind, int(known), piece])
        m = len(range(*rows.indices(replications)))
        if tau is None:
            priors = Priors()
            mean, sd = priors.mu.parameters
            mu, taus = rng.normal(mean, sd, m), np.abs(rng.normal(0, priors.tau.parameters[0], m))
        else:
            mu, taus = np.full(m, MU), np.full(m, tau)
        parts.append(simulate(rng, k, mu, taus, known))
    found = Literatures(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("mu", "new", "y", "v")))
    return {"k": k, "tau": tau, "known": known, "replications": replications, "intervals": read(found)}


def every_cell(replications: int) -> Iterator[dict[str, Any]]:
    """Fixed tau from raw data and with known variances; then averaged over the prior, both ways."""
    for known in (False, True):
        for k in STUDIES:
            for tau in (*TAUS, None):
                yield cell(k, tau, known, replications)


# -- the page -----------------------------------------------------------------------------------------------

COLUMNS = {
    "mu": ("Bayes", "KH", "modified KH"),
    "new": ("Bayes", "KH", "modified KH", "HTS"),
}


def monte_carlo_error(percent: float, replications: int) -> float:
    """Standard error of a simulated coverage, percent."""
    return float(np.sqrt(percent * (100 - percent) / replications))


def table(record: dict[str, Any], quantity: str, known: bool) -> str:
    """Markdown table of coverage, Monte Carlo error and median width."""
    columns = COLUMNS[quantity]
    lines = ["| k | tau | " + " | ".join(columns) + " |", "|---:|---:|" + "---:|" * len(columns)]
    for one in record["cells"]:
        if one["known"] != known:
            continue
        tau = "prior" if one["tau"] is None else f"{one['tau']:g}"
        shown = [entry(one, f"{method}: {quantity}" if method != "HTS" else "KH: new, HTS") for method in columns]
        lines.append(f"| {one['k']} | {tau} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def entry(one: dict[str, Any], name: str) -> str:
    """One cell of the table."""
    found = one["intervals"].get(name)
    if found is None:
        return "none"
    error = monte_carlo_error(found["coverage"], one["replications"])
    return f"{found['coverage']:.1f} ± {error:.2f} ({found['width']:.2f})"


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """What stands between the markers of the page."""
    return {
        f"{quantity} {'known' if known else 'raw'}": table(record, quantity, known)
        for quantity in COLUMNS
        for known in (False, True)
    }


def filled(page: str, parts: dict[str, str]) -> str:
    """The page with each part between its markers."""
    for name, text in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = page.split(start)
        page = head + start + text + "\n" + end + rest.split(end, 1)[1]
    return page


def main(short: bool) -> None:
    """Simulate every cell and, unless short, write the record and the page."""
    started = time.monotonic()
    cells = []
    for one in every_cell(REPLICATIONS // 100 if short else REPLICATIONS):
        cells.append(one)
        shown = ", ".join(f"{name} {found['coverage']:.1f}" for name, found in one["intervals"].items())
        print(f"k={one['k']} tau={one['tau']} known={one['known']}: {shown}", flush=True)
    print(f"{time.monotonic() - started:.0f} s")
    if not short:
        record = {
            "what": "coverage (percent) and median width of 95 % intervals", "program": "benchmarks/coverage.py",
            "seed": SEED, "mu": MU, "people": list(PEOPLE), "level": LEVEL,
            "priors": {"mu": str(Priors().mu), "tau": str(Priors().tau)}, "cells": cells,
        }  # fmt: skip
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), blocks(record)), encoding="utf-8")


if __name__ == "__main__":
    main("--short" in sys.argv[1:])
