"""golden-partial/1: posteriors over (mu, tau) from estimates, directions and bounds."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.polynomial import hermite_e

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.partial import Evidence, solve
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import CatharsisError
from catharsis.likelihood.partial import PartialEvidence, log_region, partial_evidence
from golden_adapters.case import NotSupported

TOLERANCE = 1e-5
FAR = 15.0  # effects beyond which a region of 3 people and more is certain or impossible
REFERENCE_NODES = 80  # Gauss-Hermite nodes over theta of the reference; tests/golden/test_partial.py shows it
PRIORS = {
    "normal": ("normal", ("mean", "sd")), "halfnormal": ("half-normal", ("scale",)),
    "halfcauchy": ("half-cauchy", ("scale",)), "halft": ("half-t", ("df", "scale")),
    "exponential": ("exponential", ("mean",)), "uniform": ("uniform", ("low", "high")),
    "lognormal": ("log-normal", ("mean", "sd")), "t": ("t", ("df", "mean", "scale")),
    "cauchy": ("cauchy", ("mean", "scale")),
}  # fmt: skip
ROW_FIELDS = {"kind", "design", "n", "n1", "n2", "df", "sign", "alpha", "sided", "verdict", "y", "v"}


def read_cases(directory: Path) -> list[dict[str, Any]]:
    """All cases of all files of a directory."""
    found = []
    for path in sorted(directory.glob("*.json")):
        held = json.loads(path.read_text())
        assert held["schema"] == "golden-partial/1", f"{path.name} is of another schema: {held['schema']}"
        found += held["cases"]
    return found


def prior(spec: dict[str, Any]) -> Prior:
    """A prior as the cases write it."""
    name = str(spec["dist"]).replace("-", "").replace("_", "")
    if name not in PRIORS:
        raise NotSupported(f"the prior {spec['dist']}")
    family, parameters = PRIORS[name]
    if set(spec) - {"dist"} != set(parameters):
        raise NotSupported(f"the parameters of {spec}")
    return Prior(family, tuple(float(spec[key]) for key in parameters))


def model(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, PartialEvidence, Priors]:
    """Estimates, partial rows and priors of a case."""
    strange = {key for row in case["rows"] for key in row} - ROW_FIELDS
    if strange:
        raise NotSupported(f"the field {', '.join(sorted(strange))} of a row")
    given = [row for row in case["rows"] if row["kind"] == "estimate"]
    rest = [row for row in case["rows"] if row["kind"] != "estimate"]
    mu, tau = (prior(case["priors"][name]) for name in ("mu", "tau"))
    frame = pd.DataFrame(rest) if rest else pd.DataFrame(columns=["kind", "design"])
    y, v = (np.array([row[key] for row in given], dtype=float) for key in ("y", "v"))
    return y, v, partial_evidence(frame), Priors(mu, Prior("flat"), tau)


def answer(case: dict[str, Any]) -> dict[str, float]:
    """What the public interface says."""
    y, v, partial, priors = model(case)
    post: Posterior = fit_bayes(yi=y if len(y) else None, vi=v if len(y) else "vi", partial=partial, priors=priors)
    return {
        "log_marginal": post.log_marginal, "mu.mean": post.mu.mean, "mu.sd": post.mu.sd, "tau.mean": post.tau.mean,
        "tau.sd": post.tau.sd, "p_mu_gt_0": post.mu.positive,
    }  # fmt: skip


class ReferenceRule(Evidence):
    """The same evidence with each row's effect integrated by the reference's Gauss-Hermite rule."""

    nodes = REFERENCE_NODES

    @cached_property
    def table(self) -> list[Any]:
        """log P(region | theta) of each row, as a spline."""
        from scipy.interpolate import CubicSpline

        theta = np.linspace(-FAR, FAR, 12_001)
        flat = np.zeros_like(theta)
        return [CubicSpline(theta, np.exp(log_region(row, theta, flat))) for row in self.partial.rows]

    def log_likelihood(self, mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """With finite sums in the place of integrals."""
        total = Evidence(self.yi, self.vi, PartialEvidence(())).log_likelihood(mu, tau)
        z, w = hermite_e.hermegauss(self.nodes)
        theta = np.clip(mu[:, None] + tau[:, None] * z, -FAR, FAR)  # nothing changes beyond
        for spline in self.table:
            total = total + np.log(np.maximum(spline(theta) @ (w / w.sum()), 1e-300))
        return total


def reference_rule(case: dict[str, Any], nodes: int = REFERENCE_NODES) -> dict[str, float]:
    """What our quadrature says when theta is integrated by so many Gauss-Hermite nodes."""
    y, v, partial, priors = model(case)
    evidence = type("Rule", (ReferenceRule,), {"nodes": nodes})(y, v, partial)
    grid = solve(evidence, priors)
    weight, (mu, tau) = grid.boxes.weights, grid.points
    centre, spread = weight @ mu, weight @ tau
    return {
        "log_marginal": grid.boxes.total, "mu.mean": centre, "mu.sd": float(np.sqrt(weight @ (mu - centre) ** 2)),
        "tau.mean": spread, "tau.sd": float(np.sqrt(weight @ (tau - spread) ** 2)),
        "p_mu_gt_0": grid.boxes.axis(0).above(grid.mu.inverse(0.0)),
    }  # fmt: skip


def theirs(case: dict[str, Any]) -> dict[str, float]:
    """The case's results under our names; every number in them must be one that we answer."""
    found: dict[str, float] = {}
    for key, value in case["results"].items():
        if isinstance(value, dict):
            found.update({f"{key}.{name}": float(number) for name, number in value.items()})
        else:
            found[key] = float(value)
    return found


def differences(ours: dict[str, float], wanted: dict[str, float]) -> dict[str, float]:
    """Absolute differences beyond the tolerance; inf for a number that we do not answer."""
    gaps = {key: abs(ours.get(key, np.inf) - value) for key, value in wanted.items()}
    return {key: gap for key, gap in gaps.items() if not gap <= TOLERANCE}


def judge(case: dict[str, Any]) -> tuple[str, str, float]:
    """ "passed", "reason" (passed by the reference's own rule), "failed" or "not supported"; why; largest gap."""
    wanted = theirs(case)
    try:
        ours = answer(case)
    except NotSupported as why:
        return "not supported", str(why), np.inf
    except CatharsisError as problem:
        return "failed", str(problem), np.inf
    far = differences(ours, wanted)
    worst = max(abs(ours.get(key, np.inf) - value) for key, value in wanted.items())
    if not far:
        return "passed", "", worst
    if not differences(reference_rule(case), wanted):
        return (
            "reason",
            f"{', '.join(far)}: the reference's {REFERENCE_NODES} Gauss-Hermite nodes over theta are too few here; "
            "with them we give its numbers, with more they come to ours (tests/golden/test_partial.py)",
            worst,
        )
    return "failed", ", ".join(f"{key} differs by {gap:.2g}" for key, gap in far.items()), worst
