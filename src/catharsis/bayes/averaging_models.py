"""Which models are averaged: effect or none, heterogeneity or none, kinds of publication bias, and their odds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from catharsis.bayes.prior_families import SCALE
from catharsis.bayes.priors import Prior, Priors, parse_prior
from catharsis.bayes.weakly_informative import CODES, unit_information
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import finite_number
from catharsis.numerics import FloatArray

NONE, PET, PEESE = "none", "pet", "peese"
SIDED = {"one-sided": 1, "two-sided": 2}
KINDS = (NONE, PET, PEESE, *SIDED)
PSMA = {  # [@bartos2023], and the help of RoBMA 3.3 check_setup: half to weight functions, half to PET-PEESE
    "two-sided(0.05)": 1 / 12, "two-sided(0.05, 0.1)": 1 / 12, "one-sided(0.05)": 1 / 12,
    "one-sided(0.025, 0.05)": 1 / 12, "one-sided(0.05, 0.5)": 1 / 12, "one-sided(0.025, 0.05, 0.5)": 1 / 12,
    "pet": 1 / 4, "peese": 1 / 4,
}  # fmt: skip
SETS: dict[str, dict[str, float]] = {
    "default": PSMA,
    "psma": PSMA,
    "two-sided": {"two-sided(0.05)": 1 / 2, "two-sided(0.05, 0.1)": 1 / 2},  # [@maier2023]
    "pet-peese": {"pet": 1 / 2, "peese": 1 / 2},
    "bma": {},  # [@gronau2017]
}
MOST_STEPS = 4  # beyond that a product rule over the weights has too many points
UNIT_OF_D = 2.0  # unit-information standard deviation of a standardised mean difference: 2 / sqrt(n1 + n2) is its se


@dataclass(frozen=True, slots=True)
class BiasModel:
    """One kind of publication bias.

    Attributes
    ----------
    kind : str
        "none", "one-sided" or "two-sided" (weights by p-value), "pet" or "peese" (effects that grow with their standard
        error or its square).
    steps : tuple of float
        p-values at which the weight falls, rising.
    alpha : tuple of float
        Dirichlet parameters of the falls at each step and of the weight that is left: one more than steps; 1 each when
        empty.
    prior : Prior, optional
        On the coefficient of PET or PEESE, which is positive; half-Cauchy(1) and half-Cauchy(5 / unit) by default.

    Examples
    --------
    >>> BiasModel.parse("one-sided(0.025, 0.5)")
    BiasModel(kind='one-sided', steps=(0.025, 0.5), alpha=(1.0, 1.0, 1.0), prior=None)
    """

    kind: str
    steps: tuple[float, ...] = ()
    alpha: tuple[float, ...] = ()
    prior: Prior | None = None

    def __post_init__(self) -> None:
        """Refuse what is no weight function and no regression."""
        if self.kind not in KINDS:
            raise ModelError(f'there is no publication-bias model "{self.kind}": {did_you_mean(self.kind, KINDS)}')
        steps = tuple(finite_number(step, "a step") for step in self.steps)
        if self.kind in SIDED:
            self._check_steps(steps)
            alpha = tuple(finite_number(a, "alpha") for a in self.alpha) or (1.0,) * (len(steps) + 1)
            if len(alpha) != len(steps) + 1 or min(alpha) <= 0:
                raise ModelError(f"{len(steps)} steps need {len(steps) + 1} positive Dirichlet parameters alpha")
            object.__setattr__(self, "alpha", alpha)
        elif steps or self.alpha:
            raise ModelError(f'the model "{self.kind}" has no steps; they belong to "one-sided" and "two-sided"')
        if self.prior is not None:
            if self.kind not in (PET, PEESE):
                raise ModelError(f'the model "{self.kind}" has no coefficient; a prior belongs to "pet" and "peese"')
            if self.prior.family not in SCALE or self.prior.family == "fixed" or not self.prior.proper:
                raise ModelError(
                    f"{self.prior} is no prior for the coefficient of {self.kind}: it is positive and its prior must "
                    "be proper, such as half-cauchy(1)"
                )
        object.__setattr__(self, "steps", steps)

    def _check_steps(self, steps: tuple[float, ...]) -> None:
        if not steps:
            raise ModelError(f'"{self.kind}" needs the p-values at which the weight falls, such as {self.kind}(0.05)')
        if len(steps) > MOST_STEPS:
            raise ModelError(f"{len(steps)} steps are too many to integrate over: use {MOST_STEPS} or fewer")
        if min(steps) <= 0 or max(steps) >= 1 or any(a >= b for a, b in pairwise(steps)):
            raise ModelError(f"the steps {', '.join(f'{s:g}' for s in steps)} are p-values between 0 and 1, rising")

    @classmethod
    def parse(cls, text: str) -> BiasModel:
        """From a text such as "none", "pet", "peese half-normal(2)" or "one-sided(0.025, 0.05)".

        Raises
        ------
        ModelError
            For a text that is not a model.
        """
        found = re.fullmatch(r"\s*([a-z][a-z-]*)\s*(?:\(([^()]*)\))?\s*([a-z].*)?", str(text))
        if found is None:
            raise ModelError(f'"{text}" is not a publication-bias model: {did_you_mean(str(text), KINDS)}')
        try:
            steps = tuple(float(part) for part in (found[2] or "").split(",") if part.strip())
        except ValueError:
            raise ModelError(f'"{text}": the steps of a weight function are numbers') from None
        return cls(found[1], steps, prior=None if found[3] is None else parse_prior(found[3], SCALE))

    def __str__(self) -> str:
        if self.kind in SIDED:
            return f"{self.kind}({', '.join(f'{step:g}' for step in self.steps)})"
        return self.kind if self.prior is None else f"{self.kind} {self.prior}"

    @property
    def sides(self) -> int:
        """1 or 2; 0 for a model without weights."""
        return SIDED.get(self.kind, 0)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the average.

    Attributes
    ----------
    effect, heterogeneity : bool
        Whether mu and tau are free; 0 otherwise.
    bias : BiasModel
        Kind of publication bias.
    probability : float
        Prior probability.
    """

    effect: bool
    heterogeneity: bool
    bias: BiasModel
    probability: float

    def __str__(self) -> str:
        mu, tau = "mu" if self.effect else "mu = 0", "tau" if self.heterogeneity else "tau = 0"
        return f"{mu}, {tau}, {self.bias}"


def read_bias_models(models: Any) -> dict[BiasModel, float]:
    """Publication-bias models and their shares of the prior probability of bias.

    Parameters
    ----------
    models : str, sequence or mapping
        The name of a set, or models (texts or `BiasModel`) of equal weight, or a mapping of models to weights. "none"
        is understood, and ignored where it is listed.

    Raises
    ------
    ModelError
        For what is not a model or not a weight.
    """
    if isinstance(models, str):
        if models not in SETS:
            raise ModelError(f'there is no set of models "{models}": {did_you_mean(models, list(SETS))}')
        models = SETS[models]
    if isinstance(models, BiasModel):
        models = [models]
    if isinstance(models, Mapping):
        pairs = list(models.items())
    elif isinstance(models, Sequence):
        pairs = [(given, 1.0) for given in models]
    else:
        raise ModelError(f"models is {shown(models)}; give the name of a set, a list, or a mapping to weights")
    found: dict[BiasModel, float] = {}
    for given, weight in pairs:
        bias = given if isinstance(given, BiasModel) else BiasModel.parse(given)
        if bias.kind == NONE:
            continue
        if bias in found:
            raise ModelError(f"the model {bias} is listed twice")
        size = finite_number(weight, f"the weight of {bias}")
        if size <= 0:
            raise ModelError(f"the weight of {bias} is {size:g}; leave the model out, or give it a positive weight")
        found[bias] = size
    total = sum(found.values())
    return {bias: weight / total for bias, weight in found.items()}


def read_odds(odds: Mapping[str, float] | None) -> dict[str, float]:
    """Prior probabilities of effect, heterogeneity and bias from prior odds; 1/2 each by default.

    Raises
    ------
    ModelError
        For another component, or odds that are not positive. (inf and 0 leave models out.)

    Examples
    --------
    >>> read_odds({"bias": 3})
    {'effect': 0.5, 'heterogeneity': 0.5, 'bias': 0.75}
    """
    found = {"effect": 0.5, "heterogeneity": 0.5, "bias": 0.5}
    for name, value in (odds or {}).items():
        if name not in found:
            raise ModelError(f'there are no prior odds for "{name}": {did_you_mean(str(name), list(found))}')
        ratio = np.inf if value in (np.inf, "inf") else finite_number(value, f"the prior odds of {name}")
        if ratio < 0:
            raise ModelError(f"the prior odds of {name} are {ratio:g}; odds are not negative")
        found[name] = 1.0 if np.isinf(ratio) else ratio / (1 + ratio)
    return found


def all_models(bias: Mapping[BiasModel, float], probability: Mapping[str, float]) -> list[Model]:
    """Every combination of effect, heterogeneity and bias that has a prior probability; the odds are independent."""
    chance = probability["bias"] if bias else 0.0
    kinds = {BiasModel(NONE): 1 - chance, **{one: chance * share for one, share in bias.items()}}
    found = []
    for effect, heterogeneity, (kind, share) in product((False, True), (False, True), kinds.items()):
        p = share
        for free, name in ((effect, "effect"), (heterogeneity, "heterogeneity")):
            p *= probability[name] if free else 1 - probability[name]
        if p > 0:
            found.append(Model(effect, heterogeneity, kind, p))
    return found


def unit_of(unit: Any, measure: str | None, ni: FloatArray | None, vi: FloatArray) -> tuple[float, str]:
    """What one standard deviation is in units of the effects, and how that is known.

    Parameters
    ----------
    unit : float, optional
        As given.
    measure : str, optional
        Code of the measure, as in `catharsis.effect_size`.
    ni : (k,) array, optional
        Sample sizes.
    vi : (k,) array
        Sampling variances.

    Returns
    -------
    float
        A standardised mean difference of 1 in units of the effects.
    str
        In words.

    Raises
    ------
    ModelError
        For a measure whose unit is arbitrary, without sample sizes.

    References
    ----------
    [@roever2021]

    Examples
    --------
    >>> unit_of(None, "ZCOR", None, np.ones(2))
    (0.5, 'one standard deviation is 0.5 units of ZCOR (unit information)')
    """
    if unit is not None:
        size = finite_number(unit, "unit")
        if size <= 0:
            raise ModelError(f"unit is {size:g}; one standard deviation is a positive number of units")
        return size, f"one standard deviation is {size:g} units of the effects, as given"
    if ni is not None:
        size = unit_information(vi, ni) / UNIT_OF_D
        return size, f"one standard deviation is {size:.4g} units of the effects (unit information, from sample sizes)"
    if measure is None:
        return 1.0, "effects are taken for standardised mean differences (give measure=, ni= or unit= for others)"
    size = CODES[measure].unit / UNIT_OF_D if measure in CODES else float("nan")
    if np.isnan(size):
        raise ModelError(
            f"effects of measure {shown(measure)} have no standard unit, so priors made for standardised differences "
            "do not fit them: give the sample sizes, ni= (unit-information scaling), or unit=, one standard deviation "
            "in units of the effects"
        )
    return size, f"one standard deviation is {size:.4g} units of {measure} (unit information)"


def priors_for(models: Any, unit: float) -> Priors:
    """Priors on mu and tau in units of the effects: as published for "psma" and "two-sided", the house's else."""
    mu = Prior("normal", (0.0, unit))
    if isinstance(models, str) and models in ("psma", "two-sided"):
        return Priors(mu, mu, Prior("inverse-gamma", (1.0, 0.15 * unit)))
    return Priors(mu, mu, Prior("half-normal", (0.5 * unit,)))


def slope_prior(bias: BiasModel, unit: float) -> Prior:
    """The prior on the coefficient of PET (a pure number) or PEESE (one over the unit of the effects)."""
    if bias.prior is not None:
        return bias.prior
    return Prior("half-cauchy", (1.0,)) if bias.kind == PET else Prior("half-cauchy", (5.0 / unit,))
