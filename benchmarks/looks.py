"""Do intervals hold when a review is looked at again and again? Literatures that grow, tested with every study added.

Each replication is a literature in which nothing is to be found: effects y_i ~ N(0, v_i + tau^2), with sampling
variances between those of a difference of two groups of 15 and of 100 people, even on the logarithm. The first look has
`first` studies, and every further look `more`; REML with Knapp-Hartung intervals reads each, as in a report. Counted
are reviews of which *some* look so far excludes the truth: by the plain 95 % interval, by the interval over all looks
of `plan.looks`, and by two rivals, anytime-valid normal mixtures (tuned to the first look's information, and to five
times of it) carried over to the t scale by their p values. `corrects` lets old rows be corrected now and then, so that
looks are no longer sums of independent increments, which the theory of the rivals needs.

    python benchmarks/looks.py            every cell (2 minutes); writes tests/calibration/looks.json and the tables of
                                          docs/living.md
    python benchmarks/looks.py --short    a twentieth of the replications, printed only
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from catharsis.models.batch import Problems, fit_problems
from catharsis.numerics import FloatArray, two_sided_p
from catharsis.plan.looks import spent

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "calibration" / "looks.json"
PAGE = ROOT / "docs" / "living.md"

SEED = 20260
REPLICATIONS = 10_000  # Monte Carlo error of an error rate of 5 %: 0.22 points
LOOKS = 20
SHOWN = (1, 2, 5, 10, 20)
ALPHA = 0.05
VARIANCES = (2 / 100, 2 / 15)  # of a standardised difference near zero: two groups of 100, of 15
MIXTURES = (1.0, 5.0)  # prior information of the mixture, in those of the first look
CELLS = (  # tau, studies at the first look, studies added at each further one, share of looks that correct an old row
    (0.0, 3, 1, 0.0), (0.0, 5, 1, 0.0), (0.0, 10, 3, 0.0),
    (0.3, 3, 1, 0.0), (0.3, 5, 1, 0.0), (0.3, 10, 3, 0.0), (0.3, 5, 1, 0.5),
)  # fmt: skip


def simulate(
    tau: float, first: int, more: int, corrects: float, m: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The p values, standard errors and degrees of freedom of m reviews at each look, (LOOKS, m) each."""
    k = first + more * (LOOKS - 1)
    v = np.exp(rng.uniform(*np.log(VARIANCES), (m, k)))
    y = rng.normal(0.0, np.sqrt(v + tau**2))
    found = []
    for look in range(LOOKS):
        now = first + more * look
        if look and corrects:  # a row of an earlier look turns out to have been misread
            who = np.flatnonzero(rng.random(m) < corrects)
            row = rng.integers(0, now - more, len(who))
            y[who, row] = rng.normal(0.0, np.sqrt(v[who, row] + tau**2))
        mask = np.zeros((m, k), dtype=bool)
        mask[:, :now] = True
        fits = fit_problems(Problems(y, v, np.ones((k, 1)), mask), "REML", "knha")
        found.append((two_sided_p(fits.statistic[:, 0], fits.df), fits.se[:, 0], fits.df))
    p, se, df = (np.array(part) for part in zip(*found, strict=True))
    return p, se, df


def levels(se: FloatArray, p: FloatArray) -> dict[str, FloatArray]:
    """The error that each way allows each look, (LOOKS, m)."""
    looks = np.arange(1, LOOKS + 1)[:, None]
    found = {"plain": np.full(p.shape, ALPHA), "over all looks": spent(ALPHA, looks) * np.ones(p.shape)}
    for times in MIXTURES:
        gained = times * (se[0] / se) ** 2
        bound = np.sqrt((1 + 1 / gained) * (2 * np.log(1 / ALPHA) + np.log1p(gained)))
        found[f"mixture {times:g}"] = 2 * ndtr(-bound)
    return found


def cell(tau: float, first: int, more: int, corrects: float, m: int, rng: np.random.Generator) -> dict[str, Any]:
    """Error so far and width at the shown looks, for each way."""
    p, se, df = simulate(tau, first, more, corrects, m, rng)
    ways = {}
    for name, allowed in levels(se, p).items():
        wrong = np.maximum.accumulate(p < allowed, axis=0).mean(axis=1)
        width = np.median(stdtrit(df, allowed / 2) / stdtrit(df, ALPHA / 2), axis=1)
        ways[name] = {
            "error": {str(look): round(float(wrong[look - 1]), 4) for look in SHOWN},
            "width": {str(look): round(float(width[look - 1]), 3) for look in SHOWN},
        }
    return {"tau": tau, "first": first, "more": more, "corrects": corrects, "ways": ways}


def run(m: int) -> dict[str, Any]:
    """Every cell."""
    rng = np.random.default_rng(SEED)
    cells = [cell(*one, m, rng) for one in CELLS]
    return {"seed": SEED, "replications": m, "looks": LOOKS, "alpha": ALPHA, "cells": cells}


def table(record: dict[str, Any], what: str) -> str:
    """Errors (percent) or widths as a Markdown table."""
    lines = [
        "| tau | studies | way | " + " | ".join(f"look {look}" for look in SHOWN) + " |",
        "|---|---|---|" + "---|" * len(SHOWN),
    ]
    for one in record["cells"]:
        studies = f"{one['first']} + {one['more']} a look" + (", rows corrected" if one["corrects"] else "")
        for name, way in one["ways"].items():
            if what == "width" and name == "plain":
                continue
            values = [way[what][str(look)] for look in SHOWN]
            told = [f"{100 * value:.1f}" if what == "error" else f"{value:.2f}" for value in values]
            lines.append(f"| {one['tau']:g} | {studies} | {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def put_tables(record: dict[str, Any]) -> None:
    """Renew the tables of the docs between their marks."""
    text = PAGE.read_text(encoding="utf-8")
    for what in ("error", "width"):
        start, end = f"<!-- {what}: made by benchmarks/looks.py -->", f"<!-- end of {what} -->"
        head, rest = text.split(start, 1)
        text = f"{head}{start}\n\n{table(record, what)}\n\n{end}{rest.split(end, 1)[1]}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Simulate, print, and keep unless asked for the short form."""
    short = "--short" in sys.argv
    record = run(REPLICATIONS // 20 if short else REPLICATIONS)
    for what in ("error", "width"):
        print(f"{what}\n{table(record, what)}")
    if not short:
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        put_tables(record)


if __name__ == "__main__":
    main()
