"""Which moderators matter: all subsets of a formula's terms, each with its exact marginal likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from catharsis.bayes.averaging_laws import MixedLaw, mixed
from catharsis.bayes.averaging_models import priors_for, unit_of
from catharsis.bayes.marginals import Law
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Priors
from catharsis.errors import FormulaError, ModelError, did_you_mean
from catharsis.likelihood.arguments import finite_number, vector
from catharsis.likelihood.data import read_data
from catharsis.likelihood.design import design_matrix
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

MOST = 12  # moderators: 4096 subsets
WHOLE = 1 - 1e-9  # posterior probability of the models whose posteriors are mixed; the rest is left out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModeratorInclusion:
    """An average over the subsets of moderators.

    Attributes
    ----------
    coefficients : mapping of str to Marginal
        Averaged coefficients, exactly 0 in the models without them. The intercept is the effect where all moderators of
        a model are 0 or at their reference level, so it means another thing in another model.
    given : mapping of str to Marginal
        The same within the models that have them.
    tau : Marginal
        Averaged between-study standard deviation.
    inclusion : DataFrame
        One row per moderator: models (how many have it), prior, posterior (probabilities), bayes_factor and
        log_bayes_factor.
    models : DataFrame
        One row per subset: moderators, prior, posterior, log_marginal, error (of the quadrature, relative).
    priors : Priors
        Of the full model.
    level : float
        Probability of the intervals.
    notes : tuple of str
        What every reader must be told.
    """

    coefficients: Mapping[str, Marginal] = field(repr=False)
    given: Mapping[str, Marginal] = field(repr=False)
    tau: Marginal
    inclusion: pd.DataFrame
    models: pd.DataFrame = field(repr=False)
    priors: Priors
    level: float
    notes: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """Mean, sd, median, interval, P(> 0) and P(= 0) of the averaged coefficients and tau."""
        import pandas as pd

        rows = {**self.coefficients, "tau": self.tau}
        names = ("mean", "sd", "median", "low", "high", "positive")
        table = pd.DataFrame({name: [getattr(row, name) for row in rows.values()] for name in names}, index=list(rows))
        table["zero"] = [row.law.zero if isinstance(row.law, MixedLaw) else 0.0 for row in rows.values()]
        return table

    def bayes_factor(self, moderator: str) -> float:
        """The inclusion Bayes factor of a moderator.

        Raises
        ------
        ModelError
            For another name.
        """
        if moderator not in self.inclusion.index:
            raise ModelError(
                f'"{moderator}" is no moderator: {did_you_mean(str(moderator), list(self.inclusion.index))}'
            )
        return float(self.inclusion.loc[moderator, "bayes_factor"])


def moderator_inclusion(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    vi: str | Sequence[float] | FloatArray = "vi",
    yi: Any = None,
    priors: Priors | None = None,
    odds: float | Mapping[str, float] = 1.0,
    measure: str | None = None,
    ni: str | Sequence[float] | FloatArray | None = None,
    unit: float | None = None,
    level: float = 0.95,
    **model: Any,
) -> ModeratorInclusion:
    """Average a meta-regression over all subsets of its moderators.

    Parameters
    ----------
    formula : str
        With all moderators, such as "yi ~ dose + setting". A factor enters or leaves as a whole; an interaction enters
        only beside the moderators it is made of.
    data : DataFrame
        One row per effect.
    vi : str or (k,) array
        Sampling variances.
    yi
        Not used: the formula names the effects.
    priors : Priors, optional
        Proper on every coefficient but the intercept. By default normal(0, unit) on coefficients, for a difference of 1
        in a moderator, and half-normal(unit / 2) on tau: put moderators in a unit that matters.
    odds : float or mapping
        Prior odds that a moderator is in the model, of all or by moderator; 1 by default.
    measure, ni, unit
        The unit of the default priors, as for `model_average`.
    level : float
        Probability of the intervals.
    model
        What else `fit_bayes` takes: random, struct, V, reference, levels.

    Returns
    -------
    ModeratorInclusion

    Raises
    ------
    ModelError
        More than 12 moderators, an improper prior on a coefficient, or whatever `fit_bayes` refuses.

    References
    ----------
    [@gronau2021; @bartos2023]

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"yi": [0.1, 0.2, 0.3, 0.8, 0.9, 0.7], "vi": [0.02] * 6, "dose": [0, 0, 0, 1, 1, 1]})
    >>> found = moderator_inclusion("yi ~ dose", trials)
    >>> found.bayes_factor("dose") > 3
    True
    """
    from catharsis.bayes.fit import fit_bayes

    if formula is None or data is None:
        raise ModelError('moderators are averaged over by name: give a formula such as "yi ~ dose" and data')
    if yi is not None:
        raise ModelError("the formula names the effects; leave out yi")
    for name in model:
        if name not in ("random", "struct", "V", "reference", "levels"):
            raise ModelError(
                f'moderator_inclusion has no argument "{name}"; it hands random, struct, V, reference and levels on'
            )
    left, moderators = _moderators(formula, data)
    given = read_data(formula, data, None, vi, None, model.get("reference"), model.get("levels"))
    code = measure if measure is not None else data.attrs.get("measure")
    notes: list[str] = []
    if priors is None:
        sizes = None
        if ni is not None:
            if isinstance(ni, str) and ni not in data.columns:
                raise ModelError(f'the data have no column "{ni}": {did_you_mean(ni, [str(c) for c in data.columns])}')
            sizes = vector(data[ni] if isinstance(ni, str) else ni, "ni")
        size, words = unit_of(unit, code, sizes, given.vi)
        priors = priors_for("default", size)
        notes.append(
            f"priors {priors.mu} on the intercept, {priors.b} on every other coefficient (a difference of 1 in its "
            f"moderator) and {priors.tau} on tau: {words}"
        )
    for term in given.design.terms:
        if term != "intercept" and not priors.of(term).proper:
            raise ModelError(
                f"the prior on {term} is {priors.of(term)}, which is improper: a Bayes factor for it would be "
                "arbitrary; give it a proper prior such as normal(0, 1)"
            )
    chances = _chances(odds, moderators)
    subsets = [chosen for chosen in product((False, True), repeat=len(moderators)) if _sound(chosen, moderators)]
    log_prior = np.array([_log_prior(chosen, chances) for chosen in subsets])
    log_prior -= special.logsumexp(log_prior)
    fits: list[Posterior] = []
    for chosen in subsets:
        right = " + ".join(["1", *(name for name, use in zip(moderators, chosen, strict=True) if use)])
        fits.append(fit_bayes(f"{left} ~ {right}", data, vi=vi, priors=priors, level=level, **model))
    log_joint = log_prior + np.array([fit.log_marginal for fit in fits])
    if not np.isfinite(log_joint).all():
        raise ModelError("a marginal likelihood is not finite, so the subsets of moderators cannot be compared")
    posterior = np.exp(log_joint - special.logsumexp(log_joint))
    posterior /= posterior.sum()
    notes += dict.fromkeys(note for fit in fits for note in fit.notes)
    coefficients, conditional = {}, {}
    for term in given.design.terms:
        parts = [(float(p), fit.coefficients.get(term)) for p, fit in zip(posterior, fits, strict=True)]
        coefficients[term] = _averaged(parts, level)
        conditional[term] = _averaged([(p, part) for p, part in parts if part is not None], level)
    return ModeratorInclusion(
        coefficients=coefficients, given=conditional,
        tau=_averaged([(float(p), fit.tau) for p, fit in zip(posterior, fits, strict=True)], level),
        inclusion=_inclusion(moderators, subsets, log_prior, log_joint, posterior),
        models=_models(moderators, subsets, log_prior, posterior, fits),
        priors=priors, level=level, notes=tuple(notes),
    )  # fmt: skip


def _moderators(formula: str, data: pd.DataFrame) -> tuple[str, list[str]]:
    """The effects' column and the terms of the right-hand side."""
    design_matrix(formula, data)  # says what is wrong with a formula before its parts are used
    from formulaic import Formula

    left = formula.split("~", 1)[0].strip() or "yi" if "~" in formula else "yi"
    terms = [str(term) for term in Formula(formula.split("~", 1)[-1].strip() or "1")]
    if "1" not in terms:
        raise FormulaError(f'the formula "{formula}" has no intercept, so a model without moderators would be empty')
    terms.remove("1")
    if not terms:
        raise FormulaError(f'the formula "{formula}" names no moderators to average over')
    if len(terms) > MOST:
        raise ModelError(f"{len(terms)} moderators make {2 ** len(terms)} models: choose {MOST} or fewer")
    return left, terms


def _sound(chosen: Sequence[bool], moderators: Sequence[str]) -> bool:
    """Whether every interaction stands beside the terms that it is made of."""
    taken = {name for name, use in zip(moderators, chosen, strict=True) if use}
    for name in taken:
        factors = set(name.split(":"))
        for other in moderators:
            if other not in taken and set(other.split(":")) < factors:
                return False
    return True


def _chances(odds: float | Mapping[str, float], moderators: Sequence[str]) -> list[float]:
    """Prior probabilities of the moderators, before interactions are constrained."""
    if isinstance(odds, Mapping):
        for name in odds:
            if name not in moderators:
                raise ModelError(f'there are no prior odds for "{name}": {did_you_mean(str(name), list(moderators))}')
        every = [odds.get(name, 1.0) for name in moderators]
    else:
        every = [odds] * len(moderators)
    found = []
    for name, value in zip(moderators, every, strict=True):
        ratio = finite_number(value, f"the prior odds of {name}")
        if ratio <= 0:
            raise ModelError(f"the prior odds of {name} are {ratio:g}; give positive odds, or leave the moderator out")
        found.append(ratio / (1 + ratio))
    return found


def _log_prior(chosen: Sequence[bool], chances: Sequence[float]) -> float:
    return math.fsum(math.log(p if use else 1 - p) for use, p in zip(chosen, chances, strict=True))


def _inclusion(
    moderators: Sequence[str], subsets: Sequence[Sequence[bool]], log_prior: FloatArray, log_joint: FloatArray,
    posterior: FloatArray,
) -> pd.DataFrame:  # fmt: skip
    import pandas as pd

    rows = {}
    for j, name in enumerate(moderators):
        has = np.array([chosen[j] for chosen in subsets])
        after, before = (
            float(special.logsumexp(log[has]) - special.logsumexp(log[~has])) for log in (log_joint, log_prior)
        )
        rows[name] = {
            "models": int(has.sum()), "prior": float(np.exp(log_prior[has]).sum()),
            "posterior": float(posterior[has].sum()), "bayes_factor": math.exp(min(after - before, 700.0)),
            "log_bayes_factor": after - before,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _models(
    moderators: Sequence[str], subsets: Sequence[Sequence[bool]], log_prior: FloatArray, posterior: FloatArray,
    fits: Sequence[Posterior],
) -> pd.DataFrame:  # fmt: skip
    import pandas as pd

    names = [" + ".join(n for n, use in zip(moderators, chosen, strict=True) if use) or "none" for chosen in subsets]
    return pd.DataFrame(
        {
            "prior": np.exp(log_prior), "posterior": posterior, "log_marginal": [fit.log_marginal for fit in fits],
            "error": [fit.error for fit in fits],
        },
        index=pd.Index(names, name="moderators"),
    )  # fmt: skip


def _averaged(parts: Sequence[tuple[float, Marginal | None]], level: float) -> Marginal:
    """The mixture of marginals with their probabilities; None stands for exactly 0."""
    total = math.fsum(p for p, _ in parts)
    shares = [(p / total if total > 0 else 1 / len(parts), part) for p, part in parts]
    zero = math.fsum(p for p, part in shares if part is None)
    own = sorted(((p, part) for p, part in shares if part is not None), key=lambda pair: -pair[0])
    mean = math.fsum(p * part.mean for p, part in own)
    square = math.fsum(p * (part.sd**2 + part.mean**2) for p, part in own)
    kept: list[tuple[float, Law]] = []
    mass = 0.0
    for p, part in own:
        if mass > WHOLE * (1 - zero) and kept:
            break
        if part.law is None:
            raise ModelError("a marginal that holds its summary only cannot be averaged")
        kept.append((p, part.law))
        mass += p
    scale = (1 - zero) / mass if mass > 0 else 0.0
    law = mixed([p * scale for p, _ in kept], [part for _, part in kept], zero)
    low, median, high = (law.quantile(q) for q in ((1 - level) / 2, 0.5, (1 + level) / 2))
    sd = math.sqrt(max(square - mean**2, 0.0)) if math.isfinite(square) else square
    return Marginal(mean, sd, median, low, high, law.above(0.0), law=law)
