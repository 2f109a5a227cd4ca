"""From results to figures: which numbers each drawing gets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from catharsis.assess.without_pooling import Vote, votes
from catharsis.effects.prepare import people_in
from catharsis.models.result import Fit
from catharsis.numerics import critical_value
from catharsis.plan.record import prediction_df
from catharsis.plan.results import DirectionCell, DirectionsResult, Expectation, FamilyResult, Results, SynthesisResult
from catharsis.report.figures.before_after import Pair, Panel, draw_before_after
from catharsis.report.figures.bubble import Bubble, draw_bubbles
from catharsis.report.figures.directions import Votes, draw_directions
from catharsis.report.figures.evidence_map import draw_evidence_map
from catharsis.report.figures.forest import Forest, Line, draw_forest
from catharsis.report.figures.moderator import Level, draw_moderator
from catharsis.report.figures.svg import Axis, Sheet, marks
from catharsis.report.labels import row_labels
from catharsis.report.numbers import count, number
from catharsis.report.prose import cell_labels, difference, differences, new_word, unit_phrase, value
from catharsis.studies.dictionary import Words
from catharsis.studies.table import Row


def words_of(results: Results, family: str) -> Words:
    """The words of a family."""
    return results.plan.dictionary.families[family].words if family else Words()


def ends(results: Results, result: SynthesisResult) -> tuple[str, str]:
    """The words at the two ends of an axis; none on a scale without a point of no effect."""
    if not result.effects.rows or not math.isfinite(result.effects.measure.no_effect):
        return "", ""
    words = results.plan.dictionary.words_of(str(result.effects.rows[0].get("outcome")))
    return words.negative, words.positive


STATED = Words(positive="as it says", negative="the opposite", none="no different")


def words_for(results: Results, found: DirectionsResult) -> Words:
    """How directions are called: by the family's words, or against the statement of each outcome."""
    return STATED if "outcome" in found.spec.by else words_of(results, found.family)


def forest(results: Results, result: SynthesisResult) -> Sheet:
    """The forest plot of a synthesis."""
    lines = tuple(_lines(result))
    left, right = ends(results, result)
    summaries: list[tuple[Line, str]] = []
    prediction = None
    if result.fit is not None and result.fit.blocks.p == 1:
        low, high = result.fit.interval()
        summaries.append(
            (Line(f"Average ({result.fit.method})", float(result.fit.beta[0]), float(low[0]), float(high[0])), "pool")
        )
        new = result.fit.predict(pi_df=prediction_df(result.fit))
        if result.gate.heterogeneity and math.isfinite(new.pi_low):
            prediction = (new.pi_low, new.pi_high)
        if result.posterior is not None and result.gate.bayes:
            mu = result.posterior.mu
            summaries.append(
                (
                    Line(
                        "Average (Bayes)",
                        mu.centre(result.effects.measure.back),
                        mu.low,
                        mu.high,
                    ),
                    "pool bayes",
                )
            )
    return draw_forest(
        Forest(
            result.spec.title,
            lines,
            tuple(summaries),
            prediction,
            f"a new {new_word(result)}",
            result.effects.measure,
            result.effects.measure.back_label or unit_phrase(result),
            left,
            right,
        )
    )


def _lines(result: SynthesisResult) -> list[Line]:
    tau2 = result.fit.tau2 if result.fit else 0.0
    weights = [1 / (size.vi + tau2) for size in result.effects.sizes]
    total = max(weights, default=1.0)
    found = []
    for row, label, size, weight in zip(
        result.effects.rows, row_labels(result), result.effects.sizes, weights, strict=True
    ):
        reach = float(critical_value(result.level)) * size.vi**0.5
        n = people_in(row)
        found.append(Line(label, size.yi, size.yi - reach, size.yi + reach, weight / total, f"n {n:,}" if n else ""))
    return found


def moderator(results: Results, result: SynthesisResult, labels: dict[str, str]) -> Sheet | None:
    """The moderator plot of a synthesis with one factor, or the bubble plot of one with a slope."""
    model, factor = result.fit, result.factor
    if model is not None and result.slope is not None:
        return _bubbles(results, result, model, result.slope)
    if model is None or factor is None:
        return None
    means, contrasts = model.level_means(factor), model.contrasts(factor)
    levels = []
    for level in model.design.factors[factor]:
        chosen = [i for i, row in enumerate(result.effects.rows) if str(row.get(factor)) == level]
        people = [float(people_in(result.effects.rows[i]) or 1) for i in chosen]
        effects = tuple(
            (
                result.effects.sizes[i].yi,
                n,
                f"{row_labels(result)[i]}: {value(result.effects.measure, result.effects.sizes[i].yi)} (n = {n:g})",
            )
            for i, n in zip(chosen, people, strict=True)
        )
        mean = means.loc[level]
        if level in contrasts.index:
            row = contrasts.loc[level]
            text = difference(result.effects.measure, float(row["estimate"]))
            note = differences(result.effects.measure, float(row["low"]), float(row["high"]))
        else:
            text, note = "reference", ""
        levels.append(
            Level(
                labels.get(f"{factor}={level}", level),
                f"n = {sum(people):,.0f}",
                effects,
                float(mean["estimate"]),
                float(mean["low"]),
                float(mean["high"]),
                text,
                note,
            )
        )
    left, right = ends(results, result)
    return draw_moderator(
        result.spec.title,
        tuple(levels),
        result.effects.measure,
        f"against {levels[0].label}",
        (left, right, unit_phrase(result)),
    )


def before_after(result: SynthesisResult) -> Sheet | None:
    """Prior and posterior of the average, tau and a new study; None where the prior expects nothing in particular."""
    if not result.expectations or not result.gate.bayes:
        return None
    measure = result.effects.measure
    named = {"average": "average", "tau": "τ, the spread", "new study": f"a new {new_word(result)}"}

    def tip(when: str, one: Expectation) -> str:
        at = one.before if when == "before" else one.after
        low, middle, high = (number(v) if one.quantity == "tau" else value(measure, v) for v in (at[0], at[2], at[-1]))
        return f"{named[one.quantity]} {when} the data: {middle}, {100 * result.level:g}% {low} to {high}"

    pairs = {
        one.quantity: Pair(named[one.quantity], one.before, one.after, (tip("before", one), tip("after", one)))
        for one in result.expectations
    }
    spread = Panel([pairs.pop("tau")], "none", float, 0.0)
    effects = Panel([*pairs.values()], measure.back, lambda v: float(measure.to_reader(v)), measure.no_effect)
    return draw_before_after(f"{result.spec.title}: before and after the data", [effects, spread])


def _bubbles(results: Results, result: SynthesisResult, model: Fit, name: str) -> Sheet:
    rows = [float(row.get(name)) for row in result.effects.rows]
    line = []
    for x in np.linspace(min(rows), max(rows), 25):
        at = model.predict([1.0, float(x)])
        line.append((float(x), at.estimate, at.low, at.high))
    bubbles = tuple(
        Bubble(x, effect.estimate, effect.weight, f"{effect.label}: {value(result.effects.measure, effect.estimate)}")
        for x, effect in zip(rows, _lines(result), strict=True)
    )
    moderator = results.plan.dictionary.moderators[name]
    unit = f", {moderator.unit}" if moderator.unit else ""
    return draw_bubbles(
        result.spec.title,
        bubbles,
        tuple(line),
        result.effects.measure,
        (f"{moderator.label}{unit}", unit_phrase(result)),
    )


def directions(results: Results, found: DirectionsResult, labels: dict[str, str]) -> Sheet:
    """The effect-direction plot of a count."""
    words = words_for(results, found)
    rows = tuple(
        Votes(label, _marks(cell, found.spec.vote), count(len(cell.rows), "row"))
        for label, cell in zip(cell_labels(found, labels), found.cells, strict=True)
    )
    return draw_directions(found.spec.title, rows, (words.positive, words.none, words.negative))


def _marks(cell: DirectionCell, vote: str) -> tuple[tuple[Vote, str], ...]:
    return _votes_of(cell.rows, vote)


def _votes_of(rows: Sequence[Row], vote: str) -> tuple[tuple[Vote, str], ...]:
    cast = votes([str(row.get(vote)) for row in rows], [int(row.get("sign")) for row in rows])
    return tuple(
        (sign, f"{group}: " + ", ".join(row.id for row in rows if str(row.get(vote)) == group))
        for group, sign in cast.items()
    )


def evidence_map(results: Results) -> Sheet:
    """Families by directness against kinds of evidence."""
    rows = [
        (f"{item.key}|{side}", f"{item.family.label}, {'direct' if side == 'direct' else 'analogue'}")
        for item in results.families
        for side in ("direct", "indirect")
    ]
    columns = [
        ("estimate", "estimates"),
        ("counts", "counts"),
        ("bounds", "verdicts"),
        ("direction", "directions"),
        ("none", "nothing usable"),
    ]
    counts = {(f"{item.key}|{side}", kind): n for item in results.families for (side, kind), n in item.kinds.items()}
    if not any(key.endswith("|indirect") for key, _ in counts):
        rows = [(key, label.removesuffix(", direct")) for key, label in rows if key.endswith("|direct")]
    return draw_evidence_map(rows, columns, counts)


# -- the small figures of the cards -----------------------------------------------------------------

CARD_WIDTH, CARD_HEIGHT = 330.0, 132.0
STATES = {"gap": "no study", "numbers": "not combined yet", "unusable": "nothing usable"}


def card(results: Results, item: FamilyResult, labels: dict[str, str]) -> Sheet:
    """The figure of a card: dots and a diamond, a gap with a ghost, or votes."""
    if item.state == "estimate" and item.headline is not None:
        return _estimate_card(results, item.headline)
    if item.state == "directions":
        shown = [found for found in item.directions if found.spec.role == "headline" and found.cells]
        return _directions_card(results, shown[0], labels) if shown else _signs_card(results, item)
    return _gap_card(results, item)


def _signs_card(results: Results, item: FamilyResult) -> Sheet:
    """All direct signs of a family in one row, where no count was asked for."""
    rows = [
        row for row in results.table if row.get("family") == item.key and row.has("sign") and not row.has("exclude")
    ]
    direct = [row for row in rows if row.get("evidence", "direct") == "direct"]
    words = words_of(results, item.key)
    drawn = (Votes(item.family.label.lower(), _votes_of(direct, "overlap_group")),)
    return draw_directions(item.family.label, drawn, (words.positive, words.none, words.negative), CARD_WIDTH)


def _axis(sheet: Sheet, values: Sequence[float], result: SynthesisResult, bottom: float) -> Axis:
    measure = result.effects.measure
    given = [v for v in values if math.isfinite(v)] + ([measure.no_effect] if math.isfinite(measure.no_effect) else [])
    pad = 0.12 * (max(given) - min(given) or 1.0)
    axis = Axis(min(given) - pad, max(given) + pad, 14, CARD_WIDTH - 14)
    points = marks(axis.low, axis.high, measure.back, lambda v: float(measure.to_reader(v)))
    axis.draw(sheet, 8, bottom, points[:: max(1, len(points) // 4)], measure.no_effect)
    return axis


def _estimate_card(results: Results, result: SynthesisResult) -> Sheet:
    estimate, low, high = result.headline()
    lines = sorted(_lines(result), key=lambda line: -line.weight)[:12]
    new = (
        result.fit.predict(pi_df=prediction_df(result.fit))
        if result.fit is not None and result.fit.blocks.p == 1
        else None
    )
    pi = (
        (new.pi_low, new.pi_high)
        if new is not None and result.gate.heterogeneity and math.isfinite(new.pi_low)
        else None
    )
    measure = result.effects.measure
    sheet = Sheet(
        CARD_WIDTH,
        CARD_HEIGHT,
        f"{result.spec.title}: {value(measure, estimate)}, {value(measure, low)} to {value(measure, high)}",
    )
    axis = _axis(sheet, [v for line in lines for v in (line.low, line.high)] + [low, high, *(pi or ())], result, 88)
    step = min(9.0, 56 / max(len(lines), 1))
    for i, line in enumerate(lines):
        y = 16 + step * i
        sheet.line(axis.x(line.low), y, axis.x(line.high), y, "ci")
        sheet.circle(
            axis.x(line.estimate),
            y,
            2 + 2 * float(np.sqrt(line.weight)),
            "dot",
            f"{line.label}: {value(measure, line.estimate)}, {line.note}",
        )
    if result.fit is not None:
        if pi:
            sheet.line(axis.x(pi[0]), 76, axis.x(pi[1]), 76, "pi")
        sheet.diamond(axis.x(low), axis.x(estimate), axis.x(high), 76, "pool")
    left, right = ends(results, result)
    sheet.text(14, 121, f"◀ {left}" if left else "", "axis")
    sheet.text(CARD_WIDTH - 14, 121, f"{right} ▶" if right else "", "axis", "end")
    if pi and len(left) + len(right) < 24:
        sheet.text(CARD_WIDTH / 2, 121, f"line: a new {new_word(result)}", "axis", "middle")
    return sheet


def _gap_card(results: Results, item: FamilyResult) -> Sheet:
    analogue = next((result for result in item.analogues if result.fit is not None), None)
    sheet = Sheet(CARD_WIDTH, CARD_HEIGHT, f"{item.family.label}: {item.sentence}")
    sheet.rect(14, 12, CARD_WIDTH - 28, 36, "void")
    sheet.text(CARD_WIDTH / 2, 35, f"direct evidence: {STATES[item.state]}", "voidt", "middle")
    if analogue is not None:
        estimate, low, high = analogue.headline()
        axis = _axis(sheet, [low, high], analogue, 88)
        sheet.diamond(axis.x(low), axis.x(estimate), axis.x(high), 74, "pool ghost")
        sheet.text(14, 121, "dashed: an analogue, see below", "axis")
    return sheet


def _directions_card(results: Results, found: DirectionsResult, labels: dict[str, str]) -> Sheet:
    """Rows of the first `by` column, votes of each of its settings side by side."""
    words = words_for(results, found)
    by = found.spec.by[0]
    rows: dict[str, list[tuple[Vote, str]]] = {}
    for cell in found.cells:
        rows.setdefault(labels.get(f"{by}={cell.key[0]}", cell.key[0]), []).extend(_marks(cell, found.spec.vote))
    drawn = tuple(Votes(label, tuple(cast)) for label, cast in list(rows.items())[:5])
    sheet = draw_directions(found.spec.title, drawn, (words.positive, words.none, words.negative), CARD_WIDTH)
    return sheet
