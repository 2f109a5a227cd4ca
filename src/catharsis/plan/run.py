"""Run an analysis: read, check, select, fit, judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.assess import gates
from catharsis.assess.partial_contributions import partial_contributions
from catharsis.assess.without_pooling import holm, sign_test, votes
from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.partial import posterior as fit_partial
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import Priors, parse_prior
from catharsis.effects.partial import PartialRows, Reading
from catharsis.effects.prepare import Effects, EffectSize, effect_size_of
from catharsis.effects.routes import ROUTES, Scale
from catharsis.errors import ModelError
from catharsis.likelihood.partial import partial_evidence
from catharsis.models.result import Fit
from catharsis.plan.checking import check, columns, select, select_partial, statements
from catharsis.plan.claims import judge_claims
from catharsis.plan.frequentist import (
    factor_levels,
    formula_of,
    frequentist_fits,
    model_frame,
    random_factors,
    reference_levels,
    samples_repeat,
)
from catharsis.plan.inputs import input_hash
from catharsis.plan.results import (
    Agreement,
    AllEvidence,
    CaveatFound,
    Comparison,
    Contribution,
    DirectionCell,
    DirectionsResult,
    Expectation,
    FamilyResult,
    Results,
    State,
    SynthesisResult,
)
from catharsis.plan.spec import Directions, Plan, Published, Synthesis, read_plan
from catharsis.studies.dictionary import Family
from catharsis.studies.selection import compile_rows
from catharsis.studies.table import Row, StudyTable

if TYPE_CHECKING:
    from catharsis.assess.power_scaled import PowerScaling
    from catharsis.assess.prior_comparison import PriorSensitivity
    from catharsis.models.robust import Robust

Progress = Callable[[str], None]
READINGS: tuple[Reading, Reading] = ("reported", "sign")
Posteriors = tuple[Posterior | None, Posterior | None, Posterior | None, tuple[Agreement, ...]]
NO_POSTERIOR: Posteriors = (None, None, None, ())


def run(folder: str | Path, *, sample: bool | None = None, progress: Progress = lambda _: None) -> Results:
    """Run the analysis in a folder.

    Parameters
    ----------
    folder : str or Path
        Holds analysis.yaml and studies.yaml.
    sample : bool, optional
        Run the NUTS sampler; by default as analysis.yaml says.
    progress : callable, optional
        Told the name of each step.

    Returns
    -------
    Results

    Raises
    ------
    InputErrors
        When the inputs have errors; nothing is computed then.
    """
    plan = read_plan(folder)
    return run_plan(plan, sample=plan.file.bayes.sample if sample is None else sample, progress=progress)


def run_plan(plan: Plan, *, sample: bool, progress: Progress = lambda _: None) -> Results:
    """`run` for a plan that has been read."""
    progress("checking")
    checked = check(plan)
    table = checked.table
    syntheses = []
    for i, spec in enumerate(plan.file.syntheses):
        progress(spec.id)
        syntheses.append(synthesise(plan, table, spec, i, sample))
    directions = tuple(count_directions(plan, table, spec, i) for i, spec in enumerate(plan.file.directions))
    claims, _ = judge_claims(plan, table)
    return Results(
        plan=plan,
        table=table,
        syntheses=tuple(syntheses),
        directions=directions,
        claims=claims,
        families=tuple(_family(plan, table, key, syntheses, directions) for key in plan.dictionary.families),
        sizes={row.id: _sizes(row, plan) for row in table},
        warnings=checked.warnings,
        waived=checked.waived,
        standing_statements=_standing(plan, table),
        input_hash=input_hash(plan, sample),
    )


# -- one synthesis ----------------------------------------------------------------------------------


def synthesise(plan: Plan, table: StudyTable, spec: Synthesis, position: int, sample: bool) -> SynthesisResult:
    """Fit one synthesis by both schools and decide what may be said."""
    fits = frequentist_fits(plan, table, spec, position)
    effects, model, why, others, moderated = fits.effects, fits.fit, fits.why, fits.others, fits.moderated
    rows = select(plan, table, spec, ("syntheses", position))
    notes = [*effects.notes, *([CONTAINMENT] if samples_repeat(spec, effects) and effects.samples > 1 else [])]
    robust = _robust(spec, effects, model, notes) if model else None
    exact, nuts, flat, agreement = _bayesian(plan, spec, effects, sample, notes) if model else NO_POSTERIOR
    leads = spec.role == "headline" or (model is not None and effects.samples < gates.MIN_FREQUENTIST)
    power, other_priors = _under_other_priors(plan, spec, effects, exact, notes) if exact and leads else (None, None)
    everything = _all_evidence(plan, select_partial(plan, table, spec, position, rows), spec, effects, notes)
    notes += model.notes if model else ()
    coefficients = model.blocks.p - 1 if model else int(moderated)
    gate = gates.gate(effects.samples, effects.reports, coefficients, _sampler_problems(nuts, agreement))
    if why:
        gate = replace(gate, withheld=(*gate.withheld, gates.Withheld("any average of this synthesis", why)))
    single = effects.sizes[0] if len(effects) == 1 else None
    result = SynthesisResult(
        spec=spec,
        family=str(rows[0].get("family")) if rows else "",
        effects=effects,
        gate=gate,
        fit=model,
        single=single,
        others=others,
        by_rho=fits.by_rho,
        robust=robust,
        exact=exact,
        nuts=nuts,
        flat=flat,
        agreement=agreement,
        verdict=None,
        caveats=_caveats(plan, effects.rows),
        comparisons=(),
        notes=tuple(notes),
        level=plan.file.level,
        all_evidence=everything,
        power=power,
        other_priors=other_priors,
        expectations=_expectations(exact, plan.file.level) if exact and leads else (),
    )
    return _judged(result)


def _judged(result: SynthesisResult) -> SynthesisResult:
    estimate, low, high = result.headline()
    if np.isnan(estimate):
        return result
    no_effect = result.effects.measure.no_effect
    verdict = None if np.isnan(no_effect) else gates.verdict(low, high, no_effect)
    published = tuple(_compare(result, item) for item in result.spec.published)
    return replace(result, verdict=verdict, comparisons=published)


def _compare(result: SynthesisResult, published: Published) -> Comparison:
    """A published number beside the fit by the same method, or the headline fit."""
    fits = [model for model in (result.fit, *(model for _, model in result.others)) if model is not None]
    chosen = next((model for model in fits if model.method == published.method), result.fit)
    if chosen is None:
        return Comparison(published, *result.headline(), "one effect")
    low, high = chosen.interval()
    return Comparison(
        published, float(chosen.beta[0]), float(low[0]), float(high[0]), f"{chosen.method}, {chosen.test}"
    )


CONTAINMENT = (
    "samples give several effects: three-level model, t with as many degrees of freedom as there are samples "
    "(minus coefficients), and CR2 by sample beside it"
)


def _robust(spec: Synthesis, effects: Effects, model: Fit, notes: list[str]) -> Robust | None:
    cluster = spec.cluster or (random_factors(spec, effects) or "").split("/")[0]
    if not cluster:
        cluster = "report" if effects.reports < effects.samples and effects.reports > 1 else ""
    if not cluster:
        return None
    try:
        return model.robust([row.get(cluster) for row in effects.rows], "CR2")
    except ModelError as problem:
        notes.append(f"cluster-robust standard errors by {cluster} are not available: {problem}")
        return None


def _priors(plan: Plan, spec: Synthesis) -> Priors:
    texts = (spec.priors or plan.file.priors).model_dump(exclude_none=True)
    texts.pop("why", None)
    return Priors.parse(texts)


def _bayesian(plan: Plan, spec: Synthesis, effects: Effects, sample: bool, notes: list[str]) -> Posteriors:
    """Both engines where they can run, and the exact one with a flat prior on b to show what the prior does."""
    priors = _priors(plan, spec)
    random, bayes = random_factors(spec, effects), plan.file.bayes
    fit_one = partial(
        fit_bayes,
        formula_of(spec),
        model_frame(plan, effects),
        random=random,
        level=plan.file.level,
        reference=reference_levels(spec),
        levels=factor_levels(plan),
    )
    exact = _or_note(lambda: fit_one(priors=priors), "no posterior by quadrature", notes)
    nuts = None
    if sample:
        options: Any = {"draws": bayes.draws, "chains": bayes.chains, "seed": bayes.seed}
        nuts = _or_note(lambda: fit_one(priors=priors, engine="nuts", **options), "no sampled posterior", notes)
    if exact is None:
        return None, nuts, None, ()
    loose = replace(priors, mu=parse_prior("flat"), b=parse_prior("flat"), terms={})
    flat = _or_note(lambda: fit_one(priors=loose), "no posterior with a flat prior on the average", notes)
    return exact, nuts, flat, _agreement(exact, nuts) if nuts else ()


def _under_other_priors(
    plan: Plan, spec: Synthesis, effects: Effects, exact: Posterior, notes: list[str]
) -> tuple[PowerScaling | None, PriorSensitivity | None]:
    """How the posterior answers to its prior: by power-scaling, and under the priors on tau that the plan names."""
    from catharsis.assess.power_scaled import power_scaling
    from catharsis.assess.prior_comparison import prior_sensitivity

    own = exact.priors
    texts = plan.file.sensitivity.tau_priors
    try:
        power = power_scaling(exact)
        if not texts:
            return power, None
        named = {str(own.tau): own} | {text: replace(own, tau=parse_prior(text), taus={}) for text in texts}
        other = prior_sensitivity(
            formula_of(spec),
            model_frame(plan, effects),
            priors=named,
            level=plan.file.level,
            random=random_factors(spec, effects),
            reference=reference_levels(spec),
            levels=factor_levels(plan),
        )
    except ModelError as problem:
        notes.append(f"no answer under other priors: {problem}")
        return None, None
    return power, other


def _expectations(exact: Posterior, level: float) -> tuple[Expectation, ...]:
    """The average, tau and a new study before and after the data; none for moderators and for improper priors."""
    from catharsis.bayes.before_data import prior_predictive

    if len(exact.terms) > 1 or len(exact.taus) > 1:
        return ()
    tail = (1 - level) / 2
    wanted = (tail, 0.25, 0.5, 0.75, 1 - tail)
    before = prior_predictive(exact.priors, probabilities=wanted)
    if before.isna().to_numpy().any():
        return ()
    pairs = (("average", "intercept", exact.mu), ("tau", "tau", exact.tau), ("new study", "new study", exact.new))
    return tuple(
        Expectation(name, tuple(before.loc[row].tolist()), tuple(after.quantile(p) for p in wanted))
        for name, row, after in pairs
    )


def _or_note(fit_it: Callable[[], Posterior], what: str, notes: list[str]) -> Posterior | None:
    """A posterior; a note with the reason when the model has none."""
    try:
        return fit_it()
    except ModelError as problem:
        notes.append(f"{what}: {problem}")
        return None


def _all_evidence(
    plan: Plan, found: PartialRows | None, spec: Synthesis, effects: Effects, notes: list[str]
) -> AllEvidence | None:
    """The estimates together with rows that report a sign or a verdict."""
    import pandas as pd

    if found is None:
        return None
    if not len(found):
        notes.append("no partial row can enter: " + "; ".join(f"{key}: {why}" for key, why in found.left_out.items()))
        return None
    priors = _priors(plan, spec)
    yi, vi = (np.array([getattr(size, name) for size in effects.sizes]) for name in ("yi", "vi"))
    labels = tuple(row.id for row in effects.rows)
    try:
        readings = [partial_evidence(pd.DataFrame(found.records(reading))) for reading in READINGS]
        reported, signs = (fit_partial(yi, vi, rows, labels, priors, plan.file.level) for rows in readings)
        added, by_sign = (partial_contributions(yi, vi, rows, priors) for rows in readings)
    except ModelError as problem:
        notes.append(f"no synthesis of all evidence: {problem}")
        return None
    each = tuple(
        Contribution(row, str(one["says"]), float(one["expected"]), float(one["mean"]), float(one["shift"]), float(two))
        for row, (_, one), two in zip(found.rows, added.iterrows(), by_sign["shift"], strict=True)
    )
    return AllEvidence(partial=found, reported=reported, signs=signs, contributions=each)


def _agreement(exact: Posterior, nuts: Posterior) -> tuple[Agreement, ...]:
    pairs = [*((term, exact.coefficients[term], nuts.coefficients[term]) for term in exact.terms)]
    pairs += [("tau", exact.tau, nuts.tau), ("new study", exact.new, nuts.new)]
    means = [Agreement(f"mean of {name}", e.mean, n.mean, n.mcse) for name, e, n in pairs]
    return (*means, *(Agreement(f"sd of {name}", e.sd, n.sd, n.mcse_sd) for name, e, n in pairs))


MAX_DISTANCE = 4.0  # Monte Carlo standard errors between the engines; beyond, one of them is wrong


def _sampler_problems(nuts: Posterior | None, agreement: Sequence[Agreement]) -> tuple[str, ...]:
    if nuts is None or nuts.diagnostics is None:
        return ()
    far = [item for item in agreement if item.distance > MAX_DISTANCE]
    return (
        *nuts.diagnostics.problems,
        *(
            f"the engines differ by {item.distance:.1f} Monte Carlo standard errors in the {item.quantity}"
            for item in far
        ),
    )


def _caveats(plan: Plan, rows: Sequence[Row]) -> tuple[CaveatFound, ...]:
    found = []
    for i, caveat in enumerate(plan.file.caveats):
        test = compile_rows(caveat.when, columns(plan), plan.source.at(("caveats", i, "when")))
        count = sum(test(row) for row in rows)
        if count:
            found.append(CaveatFound(caveat, count, len(rows)))
    return tuple(found)


# -- directions, families ---------------------------------------------------------------------------


def count_directions(plan: Plan, table: StudyTable, spec: Directions, position: int) -> DirectionsResult:
    """Count signs in each cell of `by`, one vote per overlap group."""
    selected = [row for row in select(plan, table, spec, ("directions", position)) if not row.has("exclude")]
    signed = [row for row in selected if row.has("sign")]
    cells: dict[tuple[str, ...], list[Row]] = {}
    for key in sorted({_key(row, spec.by) for row in signed}, key=lambda key: _order(plan, spec.by, key)):
        cells[key] = [row for row in signed if _key(row, spec.by) == key]
    tests = []
    for rows in cells.values():
        cast = list(votes([row.get(spec.vote) for row in rows], [int(row.get("sign")) for row in rows]).values())
        positive, negative, none, mixed = (cast.count(kind) for kind in ("positive", "negative", "none", "mixed"))
        tests.append(sign_test(positive, negative, none, mixed, plan.file.level))
    adjusted = holm([test.p for test in tests]) if tests else []
    return DirectionsResult(
        spec,
        str(selected[0].get("family")) if selected else "",
        tuple(
            DirectionCell(key, tuple(cells[key]), test, p) for key, test, p in zip(cells, tests, adjusted, strict=True)
        ),
        len({row.get(spec.vote) for row in signed}),
        tuple(row.id for row in selected if not row.has("sign")),
    )


def _key(row: Row, by: Sequence[str]) -> tuple[str, ...]:
    return tuple("not stated" if row.get(column) is None else str(row.get(column)) for column in by)


def _order(plan: Plan, by: Sequence[str], key: tuple[str, ...]) -> tuple[tuple[int, float, str], ...]:
    """Levels in dictionary order, numbers by size, missing last."""
    found = []
    for column, value in zip(by, key, strict=True):
        moderator = plan.dictionary.moderators.get(column)
        levels = list(moderator.levels or {}) if moderator else []
        rank = levels.index(value) if value in levels else len(levels) + (value == "not stated")
        try:
            found.append((rank, float(value), value))
        except ValueError:
            found.append((rank, 0.0, value))
    return tuple(found)


def _family(
    plan: Plan,
    table: StudyTable,
    key: str,
    syntheses: Sequence[SynthesisResult],
    directions: Sequence[DirectionsResult],
) -> FamilyResult:
    family = plan.dictionary.families[key]
    rows = [row for row in table if row.get("family") == key]
    direct = [row for row in rows if row.get("evidence", "direct") == "direct"]
    own = [result for result in syntheses if result.family == key]
    headline = next(
        (result for result in own if result.spec.role == "headline" and (result.fit or result.single)), None
    )
    counted = tuple(result for result in directions if result.family == key and result.spec.role != "analogue")
    signs = [int(row.get("sign")) for result in counted for row in result.rows if result.spec.role == "headline"]
    state, sentence = _state(family, direct, headline, signs)
    kinds = Counter((str(row.get("evidence", "direct")), str(row.get("kind"))) for row in rows)
    return FamilyResult(
        key, family, state, sentence, headline, counted, tuple(r for r in own if r.spec.role == "analogue"), dict(kinds)
    )


def _state(
    family: Family, direct: Sequence[Row], headline: SynthesisResult | None, signs: Sequence[int]
) -> tuple[State, str]:
    """How far the direct evidence of a family reaches, and the verdict in words."""
    if headline is not None:
        return "estimate", _estimate_sentence(headline)
    usable = [row for row in direct if not row.has("exclude")]
    if any(row.has("sign") for row in usable):
        looks = gates.direction_state(signs.count(1), signs.count(-1), signs.count(0))
        words = {
            "both ways": family.mixed or "Signs in both directions, no sizes.",
            "one way": family.one_way or "Signs in one direction, no sizes.",
            "undecided": family.undecided or "No direction reported.",
            "none": family.undecided or "Directions only, no sizes.",
        }
        return "directions", words[looks]
    if any(row.get("kind") in ("estimate", "counts") for row in usable):
        return "numbers", "Direct numbers, not yet combined."
    return (
        ("unusable", "Measured, but nothing usable is reported.")
        if direct
        else ("gap", family.gap or "No direct study.")
    )


def _estimate_sentence(result: SynthesisResult) -> str:
    says = result.spec.says
    words = {
        "positive": says.positive or f"{result.spec.title}: above no effect.",
        "negative": says.negative or f"{result.spec.title}: below no effect.",
        "unclear": says.unclear or f"{result.spec.title}: the direction is not settled.",
    }
    return words[result.verdict] if result.verdict else result.spec.title


def _standing(plan: Plan, table: StudyTable) -> frozenset[str]:
    """The sentences whose condition a row meets, or that have none."""
    found = set()
    for path, statement in statements(plan):
        test = compile_rows(statement.when or "effect == effect", columns(plan), plan.source.at((*path, "when")))
        if statement.when is None or any(test(row) for row in table):
            found.add(statement.say)
    return frozenset(found)


def _sizes(row: Row, plan: Plan) -> dict[str, EffectSize]:
    """A row on every scale that its numbers reach."""
    scales: list[Scale] = list(ROUTES)  # type: ignore[arg-type]
    if row.has("yi"):
        return {}
    found = {scale: effect_size_of(row, scale, plan.dictionary) for scale in scales}
    return {scale: size for scale, size in found.items() if size is not None}
