"""The frequentist fits of a synthesis: what the plan asks of `fit`, and the same rows by the other methods it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catharsis.assess import gates
from catharsis.effects.prepare import Effects, prepare
from catharsis.errors import FormulaError, InputError, InputErrors, ModelError
from catharsis.likelihood.blocks import sampling_covariance
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from catharsis.plan.checking import select
from catharsis.plan.spec import Alternative, Plan, Synthesis
from catharsis.studies.table import StudyTable

if TYPE_CHECKING:
    import pandas as pd

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SynthesisFits:
    """The frequentist side of one synthesis.

    Attributes
    ----------
    spec : Synthesis
        The question.
    effects : Effects
        What went in.
    fit : Fit or None
        The fit that the plan asks for; None when the rows carry none.
    why : str
        Why there is none, when the model said so.
    others : tuple of (Alternative, Fit)
        The same rows by the other methods that the plan names.
    moderated : bool
        Whether moderators are asked for of rows that can be pooled.
    by_rho : tuple of (float, Fit)
        The same rows with the sampling errors of one sample correlated, by each correlation that the plan names.
    """

    spec: Synthesis
    effects: Effects
    fit: Fit | None
    why: str
    others: tuple[tuple[Alternative, Fit], ...]
    moderated: bool
    by_rho: tuple[tuple[float, Fit], ...] = ()


def frequentist_fits(plan: Plan, table: StudyTable, spec: Synthesis, position: int) -> SynthesisFits:
    """Select, compute and fit one synthesis, without any posterior.

    Parameters
    ----------
    plan, table : Plan, StudyTable
        The analysis.
    spec : Synthesis
        The question.
    position : int
        Where it stands under `syntheses:`.

    Returns
    -------
    SynthesisFits

    Raises
    ------
    InputErrors
        When rows cannot be combined, or the formula cannot be read.
    """
    path: Path_ = ("syntheses", position)
    effects = prepare(select(plan, table, spec, path), spec.scale, plan.dictionary, spec.correct)
    moderated = effects.samples >= gates.MIN_POOL and has_moderators(spec)
    allowed = effects.samples >= gates.MIN_POOL
    allowed = allowed and (not moderated or gates.allowed_coefficients(effects.samples) > 0)
    model, why = fit_frequentist(plan, spec, effects, path) if allowed else (None, "")
    others = fit_alternatives(plan, spec, effects, path) if model else ()
    by_rho = _fits_by_rho(plan, spec, effects, path) if model else ()
    return SynthesisFits(spec, effects, model, why, others, moderated, by_rho)


def has_moderators(spec: Synthesis) -> bool:
    """Whether the formula asks for more than the average."""
    return spec.moderators is not None and spec.moderators.split("~", 1)[-1].strip() not in ("", "1")


def formula_of(spec: Synthesis) -> str:
    """The formula of a synthesis with its left side."""
    return f"yi ~ {spec.moderators.split('~', 1)[-1].strip()}" if spec.moderators else "yi ~ 1"


def reference_levels(spec: Synthesis) -> dict[str, str]:
    """Factor to the level that the others are compared with."""
    if isinstance(spec.reference, str):
        return {(spec.moderators or "").split("~", 1)[-1].strip(): spec.reference}
    return dict(spec.reference or {})


def factor_levels(plan: Plan) -> dict[str, list[str]]:
    """Factor to its levels in the order of the dictionary."""
    return {name: list(moderator.levels) for name, moderator in plan.dictionary.moderators.items() if moderator.levels}


def samples_repeat(spec: Synthesis, effects: Effects) -> bool:
    """Whether samples give several effects and the plan leaves the random factors to us."""
    return spec.random is None and effects.samples < len(effects)


def random_factors(spec: Synthesis, effects: Effects) -> str | None:
    """The random factors: as asked, or three levels when a sample gives several effects."""
    return "sample/effect" if samples_repeat(spec, effects) else spec.random


def _formula_error(plan: Plan, path: Path_, problem: FormulaError) -> InputErrors:
    return InputErrors(
        [
            InputError(
                plan.source.at((*path, "moderators")),
                f"this synthesis cannot be formed: {problem}",
                "a formula joins columns of the table: ~ latitude, ~ setting + year",
                "correct moderators: of the synthesis",
                "formula",
            )
        ]
    )


def model_frame(plan: Plan, effects: Effects) -> pd.DataFrame:
    """The effects with a column for every moderator of the plan, filled or not."""
    frame = effects.frame()
    frame = frame.assign(**{name: None for name in plan.dictionary.moderators if name not in frame.columns})
    frame.attrs["measure"] = effects.measure.code  # an empirical prior belongs to one
    return frame


def fit_frequentist(
    plan: Plan, spec: Synthesis, effects: Effects, path: Path_, rho: float | None = None
) -> tuple[Fit | None, str]:
    """The fit, or why these rows carry none; a formula that cannot be read is an error of the plan.

    With `rho`, the sampling errors of effects of one sample are correlated by it.
    """
    repeats = samples_repeat(spec, effects)
    try:
        found = fit(
            formula_of(spec),
            model_frame(plan, effects),
            V=None if rho is None else _covariance(effects, rho),
            random=random_factors(spec, effects),
            method=spec.method,
            test="t" if repeats and spec.test != "z" else spec.test,
            df="contain" if repeats else "residual",
            level=plan.file.level,
            reference=reference_levels(spec),
            levels=factor_levels(plan),
        )
    except FormulaError as problem:
        raise _formula_error(plan, path, problem) from None
    except ModelError as problem:
        return None, str(problem)
    return found, ""


def _covariance(effects: Effects, rho: float) -> Any:
    return sampling_covariance([size.vi for size in effects.sizes], [row.get("sample") for row in effects.rows], rho)


def _fits_by_rho(plan: Plan, spec: Synthesis, effects: Effects, path: Path_) -> tuple[tuple[float, Fit], ...]:
    """What other correlations of effects of one sample would say, where samples give several."""
    if not samples_repeat(spec, effects):
        return ()
    fits = ((rho, fit_frequentist(plan, spec, effects, path, rho)[0]) for rho in plan.file.sensitivity.rho)
    return tuple((rho, model) for rho, model in fits if model is not None)


def fit_alternatives(plan: Plan, spec: Synthesis, effects: Effects, path: Path_) -> tuple[tuple[Alternative, Fit], ...]:
    """The same rows by the other methods that the plan names, as far as they can be fitted."""
    found = []
    for other in spec.also:
        model, _ = fit_frequentist(
            plan, spec.model_copy(update={"method": other.method, "test": other.test}), effects, path
        )
        if model is not None:
            found.append((other, model))
    return tuple(found)
