"""On every model that both engines can fit, quadrature and sampler agree within 4 Monte Carlo standard errors.

Two programs that share no numerics but the data, the model and the priors: if either were biased, means, standard
deviations or quantiles would drift apart as draws accumulate. Seeds were chosen once; nothing here is tuned. Every day
the cases of `EVERY_DAY` run; `make calibrate` runs all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Priors
from catharsis.effects.measures import effect_size

DISTANCE = 4.0  # Monte Carlo standard errors; worst seen 2.9 over 585 comparisons of all cases
ENOUGH = 4000.0  # effective draws of every quantity that is compared, bulk and tails
CHAINS, DRAWS = 4, 8000
SEED = 404
QUANTILES = (0.025, 0.5, 0.975)

sampling = pytest.mark.sampling


def bcg() -> pd.DataFrame:
    """Log risk ratios of the 13 trials of BCG against tuberculosis (dat.bcg of R's metadat), and their latitude."""
    ai = [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27]
    bi = [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886]
    ci = [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29]
    di = [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]
    found = effect_size("RR", data=pd.DataFrame({"ai": ai, "bi": bi, "ci": ci, "di": di}))
    return found.assign(ablat=[44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33])


def literature(seed: int, k: int, tau: float, per_study: int = 1) -> pd.DataFrame:
    """k effects around 0.3, standard errors of 0.1 to 0.4, two moderators, a group, `per_study` effects each."""
    rng = np.random.default_rng(seed)
    study = np.arange(k) // per_study
    v = rng.uniform(0.1, 0.4, k) ** 2
    x, g = rng.standard_normal(k).round(2), np.arange(k) % 2
    y = 0.3 + 0.2 * x + tau * (rng.standard_normal(k)[study] + (per_study > 1) * rng.standard_normal(k))
    y = y + np.sqrt(v) * rng.standard_normal(k)
    return pd.DataFrame(
        {
            "yi": y.round(3),
            "vi": v.round(4),
            "x": x,
            "g": np.array(["a", "b"])[g],
            "study": study,
            "effect": np.arange(k),
        }
    )


def correlated(frame: pd.DataFrame, rho: float) -> np.ndarray:
    """Sampling covariance: rho within a study."""
    s, study = np.sqrt(frame["vi"].to_numpy()), frame["study"].to_numpy()
    same = study[:, None] == study[None, :]
    return np.where(same, rho * np.outer(s, s), 0.0) + (1 - rho) * np.diag(s**2)


@dataclass(frozen=True, slots=True)
class Case:
    """Data, model and priors."""

    data: pd.DataFrame
    formula: str = "yi ~ 1"
    priors: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """For `fit_bayes`."""
        return {"formula": self.formula, "data": self.data, "priors": Priors.parse(self.priors), **self.options}


EIGHT, PAIRS = literature(3, 8, 0.2), literature(9, 12, 0.25, per_study=2)
CASES = {
    "two studies": Case(pd.DataFrame({"yi": [0.1, 0.9], "vi": [0.02, 0.03]})),
    "two studies that are alike": Case(pd.DataFrame({"yi": [0.31, 0.30], "vi": [0.05, 0.01]})),
    "two studies, wide prior": Case(
        pd.DataFrame({"yi": [-0.6, 1.4], "vi": [0.04, 0.02]}), priors={"mu": "normal(0, 2)", "tau": "half-normal(2)"}
    ),
    "tau near 0": Case(literature(1, 9, 0.0)),
    "tau large": Case(literature(2, 6, 1.5), priors={"mu": "normal(0, 2)", "tau": "half-normal(2)"}),
    "eight studies": Case(EIGHT, priors={"mu": "normal(0, 1)", "tau": "half-normal(0.3)"}),
    "bcg": Case(bcg(), priors={"mu": "normal(0, 1)", "tau": "half-normal(0.5)"}),
    "thirty studies": Case(literature(30, 30, 0.3)),
    "half-Cauchy": Case(literature(11, 4, 0.4), priors={"mu": "normal(0, 1)", "tau": "half-cauchy(0.3)"}),
    "half-t": Case(EIGHT, priors={"mu": "normal(0, 1)", "tau": "half-t(4, 0.3)"}),
    "exponential, flat mu": Case(EIGHT, priors={"mu": "flat", "tau": "exponential(0.3)"}),
    "uniform, flat mu": Case(EIGHT, priors={"mu": "flat", "tau": "uniform(0, 2)"}),
    "one moderator": Case(
        bcg(), "yi ~ ablat", {"mu": "normal(0, 2)", "b": "normal(0, 0.1)", "tau": "half-normal(0.5)"}
    ),
    "two moderators": Case(literature(5, 14, 0.2), "yi ~ x + g"),
    "shared studies": Case(PAIRS, options={"random": "study"}),
    "shared studies with V": Case(PAIRS, options={"random": "study", "V": correlated(PAIRS, 0.5)}),
    "three levels": Case(PAIRS, options={"random": "study/effect"}),
    "three levels with V": Case(PAIRS, "yi ~ x", options={"random": "study/effect", "V": correlated(PAIRS, 0.6)}),
    "a tau for each group": Case(
        literature(6, 12, 0.3), "yi ~ g", options={"random": "~ g | effect", "struct": "DIAG"}
    ),
    "t on mu": Case(literature(12, 5, 0.3), priors={"mu": "t(4, 0, 0.2)", "tau": "half-normal(0.3)"}),
    "Cauchy on a moderator": Case(
        EIGHT, "yi ~ x", {"mu": "normal(0, 1)", "b": "cauchy(0, 0.1)", "tau": "half-normal(0.3)"}
    ),
}


EVERY_DAY = (  # 13 models, 12 data sets, six programs to compile
    "two studies", "two studies that are alike", "two studies, wide prior", "tau near 0", "tau large", "eight studies",
    "bcg", "thirty studies", "half-Cauchy", "one moderator", "three levels with V", "a tau for each group", "t on mu",
)  # fmt: skip
WIDE = bool(os.environ.get("CALIBRATE"))  # set by `make calibrate`: all cases, many with programs of their own
SLOW = () if WIDE else ("three levels with V", "a tau for each group")


def compared(sampled, exact) -> dict[str, tuple[Any, Any]]:
    """Quantities that both give."""
    pairs = {term: (sampled.coefficients[term], exact.coefficients[term]) for term in exact.terms}
    pairs |= {"tau": (sampled.tau, exact.tau), "new study": (sampled.new, exact.new)}
    if len(exact.taus) > 1:
        pairs |= {f"tau of {name}": (sampled.taus[name], exact.taus[name]) for name in exact.taus}
    labels = list(exact.studies)
    assert set(labels) <= set(sampled.studies) or not labels
    return pairs | {f"study {name}": (sampled.studies[name], exact.studies[name]) for name in labels[:1] + labels[-1:]}


def distances(sampled, exact) -> tuple[dict[str, float], float]:
    """Differences in Monte Carlo standard errors, and the smallest effective sample size."""
    import arviz as az

    far, least = {}, np.inf
    for name, (ours, theirs) in compared(sampled, exact).items():
        draws = np.asarray(ours.law.values)
        assert draws.shape == (CHAINS, DRAWS), name
        least = min(least, *(float(az.ess(draws, method=method)) for method in ("bulk", "tail")))
        if np.isfinite(theirs.mean):
            far[f"{name}: mean"] = abs(ours.mean - theirs.mean) / ours.mcse
        if np.isfinite(theirs.sd):
            far[f"{name}: sd"] = abs(ours.sd - theirs.sd) / ours.mcse_sd
        for q in QUANTILES:
            error = float(az.mcse(draws, method="quantile", prob=q))
            far[f"{name}: {q}"] = abs(float(np.quantile(draws, q)) - theirs.quantile(q)) / error
    return far, least


@sampling
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in (CASES if WIDE else EVERY_DAY)],
)
def test_both_engines_agree(name):
    arguments = CASES[name].arguments()
    exact = fit_bayes(**arguments)
    sampled = fit_bayes(**arguments, engine="nuts", draws=DRAWS, chains=CHAINS, seed=SEED)
    assert sampled.diagnostics.ok, sampled.diagnostics.problems
    far, least = distances(sampled, exact)
    assert least >= ENOUGH
    worst = max(far, key=far.__getitem__)
    assert far[worst] < DISTANCE, {name: round(value, 2) for name, value in far.items() if value > 3}
