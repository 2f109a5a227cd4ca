"""Multilevel models: random factors, known sampling covariance."""

from __future__ import annotations

from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.design import Design
from catharsis.likelihood.marginal import typical_variance
from catharsis.models.knapp_hartung import Test
from catharsis.models.result import Fit
from catharsis.models.variance_components import maximise
from catharsis.numerics import FloatArray, IntArray


def fit_multilevel(
    blocks: Blocks, vi: FloatArray, design: Design, labels: tuple[str, ...], method: str, test: Test, level: float,
    notes: list[str], code: dict[str, IntArray], dfs: str,
) -> Fit:  # fmt: skip
    """A model with random factors or a known sampling covariance; arguments as for `fit`."""
    k, p = blocks.k, blocks.p
    groups = int(next(iter(code.values())).max()) + 1 if code else k
    df = float(groups - p if dfs == "contain" else k - p)
    if test == "t" and df < 1:
        raise ModelError(
            f"{groups} groups leave no degrees of freedom for {p} coefficients; use test='z' or fewer moderators"
        )
    components = maximise(blocks, reml=method == "REML")
    for name, zero in zip(blocks.factors, components.at_boundary, strict=True):
        if zero:
            notes.append(f"the variance of {name} is estimated at its boundary, zero")
    return Fit(
        beta=components.found.beta(), cov=components.found.cov(), df=df if test == "t" else float("inf"),
        tau2=float(components.theta.sum()), sigma2=dict(zip(blocks.factors, components.theta.tolist(), strict=True)),
        scale=1.0, method=method, test=test, level=level, design=design, blocks=blocks, vi=vi, labels=labels,
        llf=components.llf, typical_variance=typical_variance(blocks), notes=tuple(notes), codes=code,
    )  # fmt: skip
