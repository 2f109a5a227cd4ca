"""What do studies without numbers add? Partial evidence against six other ways to treat them, simulated.

Each replication is a literature of ten two-group studies. Study i has a true standardised difference theta_i ~ N(mu,
tau^2); its t statistic is noncentral t. Four studies print their numbers; the other six print a sign and perhaps a
verdict, by one of three habits:

- at random: three of them print sign and verdict, three the sign only, whatever they found;
- verdict if significant: all print the sign; "p < .05" is added when it is so, and silence otherwise;
- nothing unless significant: they print sign and "p < .05", or cannot be found at all.

The same literatures are read as follows. Those of the first group share priors, normal(0, 1) on mu and half-normal(0.5)
on tau, and one fixed grid of (mu, tau), which `check` holds to `fit_bayes`:

- all numbers known: what nobody has, the yardstick;
- numbers only: the six studies are thrown away;
- point values: "n.s." enters as 0, "p < .05" as the critical value; signs are thrown away;
- partial, as reported: "p < .05" lies beyond the critical value, "n.s." within, a sign is a half line;
- partial, half lines: "p < .05" counts by its sign alone, "n.s." as reported;
- partial, signs only: every verdict counts by its sign alone.

MetaNSUE [@radua2015; @albajeseizagirre2019] imputes results that are known to be not significant: maximum likelihood
for mu and tau, imputations from the truncated normal within the critical values, REML for each, Rubin's rules. It has
no place for "p < .05" without a number or for a sign. Bushman and Wang [@bushman1996; @bushman2009] combine, for one
common effect, the weighted mean of the numbers with maximum likelihood estimates from the votes, a positive significant
result where there are verdicts and a positive sign elsewhere; the votes are left out where all or none are positive,
because the estimate is then infinite. Both are written here from their papers, not from their authors' code.

    nice -n 19 python benchmarks/partial_evidence.py            every cell; writes benchmarks/partial_evidence.json and
                                                                the tables of docs/partial.md
    python benchmarks/partial_evidence.py --short               a hundredth of the replications, printed only
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from catharsis.bayes.priors import Priors
from catharsis.likelihood.partial import Row, log_region
from catharsis.models.batch import Problems, fit_problems
from catharsis.numerics import FloatArray

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "partial_evidence.json"
PAGE = ROOT / "docs" / "partial.md"

SEED = 41
REPLICATIONS = 10_000  # Monte Carlo error of a coverage of 95 %: 0.22 points
PEOPLE = (10, 15, 20, 30, 50)  # per group; two studies of each size
NUMBERS = 4  # studies that print theirs
ALPHA = 0.05
IMPUTATIONS = 20
CELLS = (
    ("at random", 0.0, 0.2), ("at random", 0.3, 0.0), ("at random", 0.3, 0.2), ("at random", 0.6, 0.4),
    ("verdict if significant", 0.0, 0.2), ("verdict if significant", 0.3, 0.2),
    ("nothing unless significant", 0.0, 0.2), ("nothing unless significant", 0.3, 0.2),
)  # fmt: skip

MU = np.linspace(-3.0, 3.0, 401)
NODES = 10
PANELS = np.array([0.0, 0.1, 0.3, 0.7, 1.5, 3.5])
TAU, TAU_WEIGHT = (
    part.ravel()
    for part in (
        PANELS[:-1, None] + np.diff(PANELS)[:, None] * (1 + legendre.leggauss(NODES)[0]) / 2,
        np.diff(PANELS)[:, None] * legendre.leggauss(NODES)[1] / 2,
    )
)
PRIORS = Priors()
LOG_PRIOR = PRIORS.mu.log_density(MU)[:, None] + (PRIORS.tau.log_density(TAU) + np.log(TAU_WEIGHT))


@dataclass(frozen=True)
class Literature:
    """Ten studies: people per group, t statistics, and what each prints ("numbers", "verdict", "sign" or "")."""

    n: FloatArray
    t: FloatArray
    prints: tuple[str, ...]

    @property
    def m(self) -> FloatArray:
        """Root of n1 n2 / (n1 + n2)."""
        return np.sqrt(self.n / 2)

    @property
    def critical(self) -> FloatArray:
        """Two-sided critical values of t."""
        return -special.stdtrit(2 * self.n - 2, ALPHA / 2)

    @property
    def significant(self) -> np.ndarray:
        """Which results are."""
        return np.abs(self.t) > self.critical

    def where(self, *prints: str) -> np.ndarray:
        """Which studies print this."""
        return np.array([one in prints for one in self.prints])

    def effects(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Hedges' g and its variance, from t."""
        df = 2 * self.n - 2
        g = (1 - 3 / (4 * df - 1)) * t / self.m
        return g, 2 / self.n + g**2 / (4 * self.n)


def literature(rng: np.random.Generator, habit: str, mu: float, tau: float) -> Literature:
    """One of them."""
    n = rng.permutation(np.repeat(PEOPLE, 2)).astype(float)
    theta = rng.normal(mu, tau, len(n))
    df = 2 * n - 2
    t = (theta * np.sqrt(n / 2) + rng.normal(size=len(n))) / np.sqrt(rng.chisquare(df) / df)
    found = Literature(n, t, ())
    prints = ["numbers"] * NUMBERS
    for i in range(NUMBERS, len(n)):
        if habit == "at random":
            prints.append("verdict" if i % 2 else "sign")
        elif habit == "verdict if significant":
            prints.append("verdict" if found.significant[i] else "sign")
        else:
            prints.append("verdict" if found.significant[i] else "")
    return Literature(n, t, tuple(prints))


# -- Bayes, on one grid ------------------------------------------------------------------------------


@cache
def table(n: float, region: tuple[float, float]) -> FloatArray:
    """Log P(region) of a study with n people per group on the grid, whatever its name."""
    row = Row("study", "study", math.sqrt(n / 2), 2 * n - 2, (region,), "")
    mu, tau = np.meshgrid(MU, TAU, indexing="ij")
    return log_region(row, mu.ravel(), tau.ravel() ** 2).reshape(mu.shape)


def gaussian(y: FloatArray, v: FloatArray) -> FloatArray:
    """Log likelihood of numbers on the grid."""
    w = 1 / (v[:, None] + TAU**2)
    a, b, c = w.sum(axis=0), (w * y[:, None]).sum(axis=0), (w * y[:, None] ** 2).sum(axis=0)
    return -0.5 * (MU[:, None] ** 2 * a - 2 * MU[:, None] * b + c - np.log(w).sum(axis=0))


def summarise(log_likelihood: FloatArray) -> tuple[float, float, float]:
    """Posterior mean and central 95 % interval of mu."""
    height = log_likelihood + LOG_PRIOR
    mass = np.exp(height - height.max()).sum(axis=1)
    mass /= mass.sum()
    below = np.concatenate([[0.0], np.cumsum(mass)])
    edges = np.append(MU, MU[-1] + MU[1] - MU[0]) - (MU[1] - MU[0]) / 2
    low, high = np.interp([0.025, 0.975], below, edges)
    return float(mass @ MU), float(low), float(high)


def regions(found: Literature, reading: str) -> FloatArray:
    """Log probability of all that is printed without numbers."""
    total = np.zeros((len(MU), len(TAU)))
    for n, t, c, significant, prints in zip(
        found.n, found.t, found.critical, found.significant, found.prints, strict=True
    ):
        if prints not in ("verdict", "sign"):
            continue
        low, high = 0.0, math.inf
        if prints == "verdict" and not significant and reading != "signs only":
            high = float(c)
        elif prints == "verdict" and significant and reading == "as reported":
            low = float(c)
        one = table(float(n), (low, high))
        total += one if t > 0 else one[::-1]  # the grid is even around 0
    return total


def bayesian(found: Literature) -> dict[str, tuple[float, float, float]]:
    """The readings that share priors."""
    g, v = found.effects(found.t)
    numbers, verdicts = found.where("numbers"), found.where("verdict")
    known = gaussian(g[numbers], v[numbers])
    at = np.where(found.significant, np.sign(found.t) * found.critical, 0.0)
    points, their_v = found.effects(at)
    return {
        "all numbers known": summarise(gaussian(g, v)),
        "numbers only": summarise(known),
        "point values": summarise(known + gaussian(points[verdicts], their_v[verdicts])),
        "partial, as reported": summarise(known + regions(found, "as reported")),
        "partial, half lines": summarise(known + regions(found, "half lines")),
        "partial, signs only": summarise(known + regions(found, "signs only")),
    }


def check(rng: np.random.Generator) -> float:
    """Largest difference of the grid's means and bounds from `fit_bayes` over a few literatures."""
    import pandas as pd

    from catharsis.bayes.fit import fit_bayes
    from catharsis.likelihood.partial import partial_evidence

    worst = 0.0
    for habit, mu, tau in CELLS[:6]:
        found = literature(rng, habit, mu, tau)
        g, v = found.effects(found.t)
        rows = [
            {"design": "two-sample", "n1": n, "n2": n, "sign": np.sign(t), "kind": "direction"}
            | ({"kind": "bounds", "verdict": "sig" if s else "ns"} if prints == "verdict" else {})
            for n, t, s, prints in zip(found.n, found.t, found.significant, found.prints, strict=True)
            if prints in ("verdict", "sign")
        ]
        numbers = found.where("numbers")
        exact = fit_bayes(yi=g[numbers], vi=v[numbers], partial=partial_evidence(pd.DataFrame(rows))).mu
        ours = bayesian(found)["partial, as reported"]
        worst = max(worst, *np.abs(np.subtract(ours, (exact.mean, exact.low, exact.high))))
    return worst


# -- the others --------------------------------------------------------------------------------------


def bushman_wang(found: Literature) -> tuple[float, float, float]:
    """Numbers and votes combined for one common effect."""
    g, v = found.effects(found.t)
    numbers, verdicts, signs = found.where("numbers"), found.where("verdict"), found.where("sign")
    information = [float((1 / v[numbers]).sum())]
    estimates = [float((g[numbers] / v[numbers]).sum() / information[0])]
    votes = (
        (verdicts, (found.t > 0) & found.significant, found.critical),
        (signs, found.t > 0, np.zeros_like(found.t)),
    )
    for chosen, positive, critical in votes:
        x, m, c = positive[chosen], found.m[chosen], critical[chosen]
        if not (x.any() and not x.all()):
            continue
        delta = _most_likely(x, m, c)
        p = special.ndtr(m * delta - c)
        height = np.exp(-0.5 * (m * delta - c) ** 2) / math.sqrt(2 * math.pi)
        estimates.append(delta)
        information.append(float((m**2 * height**2 / (p * (1 - p))).sum()))
    w = np.array(information)
    centre, half = float(w @ estimates / w.sum()), 1.959963984540054 / math.sqrt(w.sum())
    return centre, centre - half, centre + half


def _most_likely(x: np.ndarray, m: FloatArray, c: FloatArray) -> float:
    """Find the delta that makes these votes most likely; the probit log-likelihood is concave."""
    low, high = -10.0, 10.0
    for _ in range(60):
        delta = (low + high) / 2
        z = m * delta - c
        log_height = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        slope = np.where(x, np.exp(log_height - special.log_ndtr(z)), -np.exp(log_height - special.log_ndtr(-z)))
        low, high = (delta, high) if float(m @ slope) > 0 else (low, delta)
    return (low + high) / 2


def meta_nsue(found: Literature, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Effects (imputations, k), variances and mask of the imputed data sets, to be fitted all at once."""
    g, v = found.effects(found.t)
    hidden = found.where("verdict") & ~found.significant
    used = found.where("numbers") | hidden
    bound, flat_v = found.effects(found.critical)[0], 2 / found.n
    variance = np.where(hidden, flat_v, v)
    likelihood = gaussian(g[found.where("numbers")], v[found.where("numbers")])
    for i in np.flatnonzero(hidden):
        spread = np.sqrt(flat_v[i] + TAU**2)
        inside = special.ndtr((bound[i] - MU[:, None]) / spread) - special.ndtr((-bound[i] - MU[:, None]) / spread)
        likelihood = likelihood + np.log(np.maximum(inside, 1e-300))
    i, j = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
    spread = np.sqrt(variance + TAU[j] ** 2)
    low, high = special.ndtr((-bound - MU[i]) / spread), special.ndtr((bound - MU[i]) / spread)
    drawn = MU[i] + spread * special.ndtri(low + (high - low) * rng.uniform(size=(IMPUTATIONS, len(g))))
    y = np.where(hidden, drawn, g)
    return y, np.broadcast_to(variance, y.shape), np.broadcast_to(used, y.shape)


def rubin(y: FloatArray, v: FloatArray, mask: np.ndarray) -> FloatArray:
    """Pooled mean and interval (literatures, 3) of imputed data sets (literatures, imputations, k)."""
    m, imputations, k = y.shape
    fits = fit_problems(Problems(y.reshape(-1, k), v.reshape(-1, k), np.ones((k, 1)), mask.reshape(-1, k)), "REML", "z")
    each, within = fits.beta.reshape(m, imputations), fits.cov.reshape(m, imputations)
    total = within.mean(axis=1) + (1 + 1 / imputations) * each.var(axis=1, ddof=1)
    centre, half = each.mean(axis=1), 1.959963984540054 * np.sqrt(total)
    return np.column_stack([centre, centre - half, centre + half])


# -- cells ------------------------------------------------------------------------------------------


def cell(habit: str, mu: float, tau: float, replications: int, seed: int) -> dict[str, Any]:
    """Bias, coverage and width of every method."""
    rng = np.random.default_rng([SEED, seed])
    found: dict[str, list[tuple[float, float, float]]] = {}
    imputed = []
    for _ in range(replications):
        one = literature(rng, habit, mu, tau)
        for name, answer in bayesian(one).items():
            found.setdefault(name, []).append(answer)
        imputed.append(meta_nsue(one, rng))
        found.setdefault("Bushman and Wang", []).append(bushman_wang(one))
    y, v, mask = (np.stack(parts) for parts in zip(*imputed, strict=True))
    found["MetaNSUE"] = [tuple(row) for row in rubin(y, v, mask)]
    methods = {name: judged(np.array(answers), mu) for name, answers in found.items()}
    return {"habit": habit, "mu": mu, "tau": tau, "replications": replications, "methods": methods}


def judged(answers: FloatArray, mu: float) -> dict[str, float]:
    """Bias, coverage (percent) and mean width with Monte Carlo errors."""
    n = len(answers)
    centre, low, high = answers.T
    covered = float(np.mean((low <= mu) & (mu <= high)))
    return {
        "bias": float(centre.mean() - mu), "bias_error": float(centre.std(ddof=1) / math.sqrt(n)),
        "rmse": float(np.sqrt(np.mean((centre - mu) ** 2))),
        "coverage": 100 * covered, "coverage_error": 100 * math.sqrt(max(covered * (1 - covered), 0.25 / n) / n),
        "width": float((high - low).mean()), "width_error": float((high - low).std(ddof=1) / math.sqrt(n)),
    }  # fmt: skip


ORDER = (
    "all numbers known", "numbers only", "point values", "MetaNSUE", "Bushman and Wang", "partial, as reported",
    "partial, half lines", "partial, signs only",
)  # fmt: skip


def table_of(record: Mapping[str, Any], habit: str) -> str:
    """Markdown: a block of rows for each mu and tau of a habit."""
    lines = ["| mu | tau | method | bias | coverage, % | width | RMSE |", "|---:|---:|---|---:|---:|---:|---:|"]
    for one in record["cells"]:
        if one["habit"] != habit:
            continue
        for name in ORDER:
            f = one["methods"][name]
            lines.append(
                f"| {one['mu']:g} | {one['tau']:g} | {name} | {f['bias']:+.3f} ± {f['bias_error']:.3f} | "
                f"{f['coverage']:.1f} ± {f['coverage_error']:.1f} | {f['width']:.2f} | {f['rmse']:.3f} |"
            )
    return "\n".join(lines)


def filled(page: str, record: Mapping[str, Any]) -> str:
    """The page with each table between its markers."""
    for habit in dict.fromkeys(one["habit"] for one in record["cells"]):
        start, end = f"<!-- {habit} -->\n", f"<!-- end of {habit} -->"
        head, rest = page.split(start)
        page = head + start + table_of(record, habit) + "\n" + end + rest.split(end, 1)[1]
    return page


def main(short: bool) -> None:
    """Simulate every cell and, unless short, write the record and the page."""
    started = time.monotonic()
    gap = check(np.random.default_rng(SEED))
    print(f"grid against fit_bayes: {gap:.1e}", flush=True)
    cells = []
    for i, (habit, mu, tau) in enumerate(CELLS):
        cells.append(cell(habit, mu, tau, REPLICATIONS // 100 if short else REPLICATIONS, i))
        print(habit, mu, tau, f"{time.monotonic() - started:.0f} s", flush=True)
        for name in ORDER:
            f = cells[-1]["methods"][name]
            print(f"  {name:22s} bias {f['bias']:+.3f} coverage {f['coverage']:.1f} width {f['width']:.2f}", flush=True)
    if not short:
        record = {
            "what": "bias of mu, coverage (percent) and width of 95 % intervals",
            "program": "benchmarks/partial_evidence.py",
            "seed": SEED, "people": list(PEOPLE), "numbers": NUMBERS, "alpha": ALPHA, "imputations": IMPUTATIONS,
            "priors": {"mu": str(PRIORS.mu), "tau": str(PRIORS.tau)}, "grid_difference": gap, "cells": cells,
        }  # fmt: skip
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")


if __name__ == "__main__":
    main("--short" in sys.argv[1:])
