"""The page: results become a tree of plain values, and one template lays it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from markupsafe import Markup

from catharsis import __version__
from catharsis.plan.inputs import inputs_hash
from catharsis.plan.results import ClaimResult, DirectionsResult, FamilyResult, Results, SynthesisResult
from catharsis.plan.spec import Statement
from catharsis.report import drawings, prose
from catharsis.report.labels import Citations, level_labels, row_labels
from catharsis.report.methods import methods
from catharsis.report.names import slug, unique_names
from catharsis.report.numbers import count, listing, number, p_value
from catharsis.studies.table import Row

FACTOR_KEY = "larger for more people; bars are model means"
SLOPE_KEY = "larger for more weight; the line is the model with its interval"
STANDINGS = {
    "gap": "no direct evidence",
    "directions": "directions only, cannot be pooled",
    "numbers": "direct numbers, not yet combined",
    "unusable": "measured, nothing usable",
}
ROLE_WORDS = {
    "headline": "headline",
    "moderator": "moderator",
    "secondary": "",
    "analogue": "analogue",
    "context": "variant",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What every part of the page needs: results, the analysis' words, citations, anchors."""

    results: Results
    labels: dict[str, str]
    cites: Citations
    anchors: dict[str, str]


def page(results: Results) -> str:
    """The report as one HTML page that needs nothing else.

    Parameters
    ----------
    results : Results
        What an analysis found.

    Returns
    -------
    str
    """
    from jinja2 import Environment, StrictUndefined

    templates = resources.files("catharsis.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((templates / "page.html").read_text(encoding="utf-8"))
    style = Markup((templates / "style.css").read_text(encoding="utf-8"))
    return template.render(style=style, **content(results))


def content(results: Results) -> dict[str, Any]:
    """Everything the template shows, already in words."""
    labels = level_labels(results)
    rows = unique_names([row.id for row in results.table])
    cites = Citations(results.plan.library, included(results))
    at = Context(results, labels, cites, anchor_names(results))
    file = results.plan.file
    status, why = prose.status(results)
    body = {
        "title": file.title,
        "lede": file.lede,
        "strip": _strip(results, status, why),
        "problems": list(results.problems),
        "cards": [_card(at, item) for item in results.families if item.family.main],
        "moderator": _moderator_section(at),
        "would_help": prose.what_would_help(results),
        "syntheses": [_synthesis(at, item) for item in results.syntheses],
        "directions": [_directions(at, item) for item in results.directions],
        "map": drawings.evidence_map(results).svg(),
        "claims": _claims(results, cites),
        "claims_source": results.plan.claims.source if results.plan.claims else "",
        "effects": [_effect(at, row, rows[row.id]) for row in results.table],
        "statements": _statements(results, (*file.origin, *file.data), cites),
        "methods": [cited(p.text, cites.labels(p.keys)) for p in methods(results)],
        "human": _human(results),
        "limits": _statements(results, file.human.limits, cites),
        "warnings": [str(problem) for problem in results.warnings],
        "waived": _waived(results),
        "version": __version__,
        "hash": inputs_hash(results.plan),
        "name": results.plan.name,
    }
    return {**body, "references": [(key, Markup(text)) for key, text in cites.apa()]}  # format_apa escapes


def _waived(results: Results) -> list[str]:
    """Every waiver that was needed, with what it lets stand."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for one in results.waived:
        said = one.waiver
        found.setdefault((said.rule, said.reason, said.by, said.date), []).append(one.problem.what)
    return [f"{rule}: {'; '.join(what)}. {reason} ({by}, {date})" for (rule, reason, by, date), what in found.items()]


SECTIONS = (
    "moderator", "syntheses", "directions", "map", "claims", "effects", "methods", "limits", "references",
)  # fmt: skip


def anchor_names(results: Results) -> dict[str, str]:
    """An anchor for each synthesis and each count, apart from those of the page's own parts."""
    own = [*SECTIONS, *(f"card-{item.key}" for item in results.families)]
    keys = [item.spec.id for item in results.syntheses] + [item.spec.id for item in results.directions]
    return unique_names(keys, [*own, *(f"effect-{slug(row.id)}" for row in results.table)])


def included(results: Results) -> frozenset[str]:
    """Works with at least one row of usable evidence: they are cited and starred."""
    return frozenset(
        str(row.get("cite")) for row in results.table if row.get("kind") != "none" and not row.has("exclude")
    )


def _statements(results: Results, statements: Sequence[Statement], cites: Citations) -> list[str]:
    """The sentences of people that still stand, with what they cite."""
    standing = [statement for statement in statements if statement.say in results.standing_statements]
    return [cited(statement.say, cites.labels(statement.cites)) for statement in standing]


def cited(text: str, labels: str) -> str:
    """A paragraph with its citations before the closing stop.

    Examples
    --------
    >>> cited("We pooled.", "Doe, 2030")
    'We pooled (Doe, 2030).'
    """
    return f"{text.rstrip().removesuffix('.')} ({labels})." if labels else text


def _strip(results: Results, status: str, why: str) -> list[tuple[str, str, str]]:
    """(before, strong, after) of each item of the status strip."""
    works = len({row.get("cite") for row in results.table})
    checks = "passed" if not results.warnings else f"passed, {count(len(results.warnings), 'warning')}"
    strip = [
        ("", f"{works:,}", f" {'work' if works == 1 else 'works'}, {count(len(results.table), 'effect')}"),
        ("checks ", checks, ""),
        ("status ", status, f": {why}"),
    ]
    date = results.plan.file.evidence_to
    return [("evidence to ", _date(date), ""), *strip] if date else strip


def _date(text: str) -> str:
    from datetime import date

    try:
        found = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{found.day} {found:%b %Y}"


def _card(at: Context, item: FamilyResult) -> dict[str, Any]:
    results, labels = at.results, at.labels
    paragraphs: list[tuple[str, str]] = []
    standing = STANDINGS.get(item.state, "")
    if item.state == "estimate" and item.headline is not None:
        paragraphs += [
            (prose.headline_sentence(results, item.headline), "num"),
            (prose.basis_sentence(item.headline), "why"),
        ]
        one = item.headline.gate.one_study or item.headline.gate.k == 1
        standing = (
            f"rests on one {item.headline.spec.sites.report}"
            if one
            else f"rests on {count(item.headline.gate.m, 'report')}"
        )
    elif item.state != "directions":
        paragraphs.append((prose.gap_sentence(results, item), ""))
    words = drawings.words_of(results, item.key)
    for found in item.directions:
        if found.spec.role != "headline" or not found.cells:
            continue
        groups = f"{count(len(found.rows), 'reported direction')} from {count(found.groups, 'independent group')}"
        if item.state == "directions":
            paragraphs += [(f"{groups}; no size was readable.", ""), (prose.sign_test_sentence(found), "why")]
        else:
            told = prose.directions_sentence(found, (words.positive, words.none, words.negative), labels)
            paragraphs.append((f"Beside it, {groups}: {told[:1].lower()}{told[1:]}", "why"))
    paragraphs += [(prose.analogue_sentence(found), "why") for found in item.analogues[:1]]
    certainty = results.plan.file.human.certainty.get(item.key)
    return {
        "label": item.family.label,
        "question": item.family.question,
        "sentence": item.sentence,
        "figure": drawings.card(results, item, labels).svg(),
        "paragraphs": paragraphs,
        "standing": standing,
        "certainty": certainty or "certainty (GRADE): not yet rated by a person",
        "key": item.key,
    }


def _moderator_section(at: Context) -> dict[str, Any] | None:
    """The first moderator synthesis with one factor, for the first screen."""
    results, labels, anchors = at.results, at.labels, at.anchors
    for result in results.syntheses:
        if result.spec.role == "moderator" and (result.factor or result.slope):
            figure = drawings.moderator(results, result, labels)
            also = [
                (anchors[other.spec.id], other.spec.title, prose.also_sentence(results, other, labels))
                for other in results.syntheses
                if other.spec.role == "moderator" and other is not result and len(other.effects)
            ]
            return {
                "title": result.spec.title,
                "sentence": prose.moderator_sentence(result, labels) or prose.also_sentence(results, result, labels),
                "also": also,
                "key": FACTOR_KEY if result.factor else SLOPE_KEY,
                "watched": prose.watched_sentences(results, result, labels),
                "basis": prose.basis_sentence(result),
                "figure": figure.svg() if figure else "",
                "id": anchors[result.spec.id],
            }
    return None


def _synthesis(at: Context, result: SynthesisResult) -> dict[str, Any]:
    results, labels, cites, anchors = at.results, at.labels, at.cites, at.anchors
    figure = drawings.moderator(results, result, labels)
    expected = drawings.before_after(result)
    published = {item.published.cite: cites.label(item.published.cite) for item in result.comparisons}
    gate = result.gate
    left_out = result.all_evidence.partial.left_out if result.all_evidence else {}
    return {
        "id": anchors[result.spec.id],
        "title": result.spec.title,
        "kicker": _kicker(result),
        "basis": prose.basis_sentence(result) if len(result.effects) else "",
        "note": result.spec.note,
        "forest": drawings.forest(results, result).svg() if len(result.effects) else "",
        "moderator": figure.svg() if figure else "",
        "level": f"{100 * result.level:g}%",
        "before_after": expected.svg() if expected else "",
        "frequentist": prose.frequentist_sentences(result, labels),
        "robust": prose.robust_sentences(result, labels),
        "bayes": prose.bayes_sentences(result, labels),
        "leads": {"frequentist": "frequentist", "bayes": "Bayesian"}[gate.headline] if gate.pool else "",
        "schools": _schools(result),
        "all_evidence": prose.all_evidence_sentences(result, labels),
        "partial": _partial_rows(result, cites),
        "partial_left_out": [f"{key}: {why}" for key, why in left_out.items()],
        "published": prose.published_sentence(result, published),
        "withheld": prose.withheld_sentences(gate.withheld),
        "left_out": [f"{key}: {why}" for key, why in result.effects.left_out.items()],
        "notes": [note.replace("tau^2", "τ²") for note in result.notes],
        "rows": _synthesis_rows(result, cites),
        "behind": "The effect behind it"
        if len(result.effects) == 1
        else f"The {len(result.effects)} effects behind it",
        "prior_why": (result.spec.priors.why if result.spec.priors else None),
    }


def _kicker(result: SynthesisResult) -> str:
    """Role and standing, e.g. "headline · one report, 5 countries"."""
    gate = result.gate
    many = (
        f"one {result.spec.sites.report}, {prose.site_phrase(result)}"
        if gate.one_study
        else f"k = {gate.k}, m = {gate.m}"
    )
    return " · ".join(part for part in (ROLE_WORDS[result.spec.role], many) if part)


def _schools(result: SynthesisResult) -> list[dict[str, str]]:
    """The average by every fit, side by side."""
    if result.fit is None or result.fit.blocks.p > 1:
        return []
    measure = result.effects.measure
    rows = []
    for model in (result.fit, *(model for _, model in result.others)):
        low, high = model.interval()
        rows.append(
            {
                "school": f"{model.method}, {prose.TESTS[model.test]}",
                "estimate": prose.value(measure, float(model.beta[0])),
                "interval": prose.limits(measure, float(low[0]), float(high[0])),
                "tau": number(model.tau),
            }
        )
    for name, post in (
        ("Bayes, quadrature", result.exact),
        ("Bayes, flat prior on the average", result.flat),
        ("Bayes, NUTS", result.nuts),
    ):
        if post is not None and result.gate.bayes:
            mu = post.mu
            rows.append(
                {
                    "school": name,
                    "estimate": prose.value(measure, mu.centre(measure.back)),
                    "interval": prose.limits(measure, mu.low, mu.high),
                    "tau": number(post.tau.median),
                }
            )
    return rows


def _partial_rows(result: SynthesisResult, cites: Citations) -> list[dict[str, str]]:
    """What each row without numbers says, and what it did to the mean."""
    found = result.all_evidence
    return [
        {
            "label": one.row.id,
            "cite": cites.label(str(one.row.get("cite"))),
            "key": str(one.row.get("cite")),
            "says": one.says,
            "expected": number(one.expected),
            "without": number(one.mean_without),
            "shift": number(one.shift, sign=True),
            "shift_sign": number(one.shift_sign, sign=True),
        }
        for one in (found.contributions if found else ())
    ]


def _synthesis_rows(result: SynthesisResult, cites: Citations) -> list[dict[str, str]]:
    studies = result.posterior.studies if result.posterior and result.gate.bayes else {}
    measure = result.effects.measure
    return [
        {
            "label": label,
            "cite": cites.label(str(row.get("cite"))),
            "key": str(row.get("cite")),
            "yi": number(size.yi, 3),
            "se": number(size.vi**0.5, 3),
            "route": size.route.name,
            "formula": size.route.formula,
            "shrunken": prose.value(measure, studies[row.id].mean) if row.id in studies else "",
        }
        for row, label, size in zip(result.effects.rows, row_labels(result), result.effects.sizes, strict=True)
    ]


def _directions(at: Context, found: DirectionsResult) -> dict[str, Any]:
    results, labels, cites = at.results, at.labels, at.cites
    words = drawings.words_for(results, found)
    return {
        "id": at.anchors[found.spec.id],
        "title": found.spec.title,
        "note": found.spec.note,
        "basis": f"{count(len(found.rows), 'row')} with a sign, {count(found.groups, 'independent group')} of people.",
        "test": prose.sign_test_sentence(found) if found.cells else "No row carries a sign.",
        "figure": drawings.directions(results, found, labels).svg() if found.cells else "",
        "words": (words.positive, words.none, words.negative),
        "without": listing(list(found.unsigned)),
        "cells": [
            {
                "label": label,
                "positive": cell.test.positive,
                "none": cell.test.none,
                "negative": cell.test.negative,
                "mixed": cell.test.mixed,
                "p": p_value(cell.test.p) if cell.test.decided else "no decided vote",
                "holm": p_value(cell.holm) if cell.test.decided else "",
                "works": "; ".join(sorted({cites.label(str(row.get("cite"))) for row in cell.rows})),
            }
            for label, cell in zip(prose.cell_labels(found, labels), found.cells, strict=True)
        ],
    }


def _claims(results: Results, cites: Citations) -> list[dict[str, Any]]:
    """Claims in order; neighbours with one wording stand in one line."""
    lines: list[dict[str, Any]] = []
    for item in results.claims:
        line = _claim(item, cites)
        if lines and lines[-1]["claim"] == line["claim"] and lines[-1]["verdict"] == line["verdict"]:
            lines[-1]["ids"].append(item.claim.id)
        else:
            lines.append({**line, "ids": [item.claim.id]})
    for line in lines:
        ids = line.pop("ids")
        line["id"] = str(ids[0]) if len(ids) == 1 else f"{ids[0]}–{ids[-1]}"
    return lines


def _claim(item: ClaimResult, cites: Citations) -> dict[str, Any]:
    resolved = {"sure": "", "likely": " (likely)", "unknown": " (link unknown)"}
    keys = [cite for cite in item.claim.cites if cite.key]
    return {
        "claim": item.claim.claim,
        "cites": "; ".join(cites.label(str(cite.key)) + resolved[cite.resolved] for cite in keys) or "source unknown",
        "verdict": item.verdict,
        "gap": item.claim.testable and not item.direct,
        "note": item.claim.note,
        "rows": f"{count(len(item.speaking), 'row')}, {len(item.context)} as context"
        if item.context
        else count(len(item.speaking), "row"),
        "unknown": listing(list(item.unknown)),
    }


def _effect(at: Context, row: Row, anchor: str) -> dict[str, Any]:
    results, labels, cites = at.results, at.labels, at.cites
    sizes = results.sizes[row.id]
    size = next((sizes[scale] for scale in ("correlation", "raw", "standardised", "RD", "PLO") if scale in sizes), None)
    words = drawings.words_of(results, str(row.get("family")))
    signs = {1: words.positive, 0: words.none, -1: words.negative}
    verdict = {True: f", p < {row.get('alpha', 0.05):g}", False: ", n.s."}.get(row.get("significant"), "")
    told = signs[int(row.get("sign"))] + verdict if row.has("sign") else ""
    moderators = [
        labels.get(f"{name}={row.get(name)}", f"{row.get(name)}")
        if m.kind != "number"
        else f"{row.get(name):g} {m.unit}"
        for name, m in results.plan.dictionary.moderators.items()
        if row.has(name) and name not in ("design", "test") and str(row.get(name)) != "none"
    ]
    n = row.get("n") or (f"{row.get('n1')} + {row.get('n2')}" if row.has("n1", "n2") else "")
    return {
        "id": row.id,
        "anchor": f"effect-{anchor}",
        "study": row.get("study"),
        "key": row.get("cite"),
        "cite": cites.label(str(row.get("cite"))),
        "family": results.plan.dictionary.families[str(row.get("family"))].label,
        "measured": row.get("measured"),
        "context": ", ".join(moderators),
        "evidence": "direct" if row.get("evidence", "direct") == "direct" else "analogue",
        "kind": row.get("kind"),
        "n": n,
        "size": f"{number(size.yi, 3)} (SE {number(size.vi**0.5, 3)})" if size else told,
        "route": size.route.name if size else "",
        "source": ", ".join(str(row.get(f"source_{c}")) for c in ("kind", "where") if row.has(f"source_{c}")),
        "checked": {True: "yes", False: "no"}.get(row.get("source_checked"), ""),
        "confidence": row.get("source_confidence", ""),
        "note": row.get("note", ""),
        "excluded": row.get("exclude", ""),
        "at": str(row.at),
    }


def _human(results: Results) -> list[tuple[str, str]]:
    """What people must write; absent is said to be absent."""
    human = results.plan.file.human
    names = ("registration", "eligibility", "search", "selection", "risk_of_bias", "funding", "availability", "authors")
    return [(name.replace("_", " ").capitalize(), getattr(human, name) or "not provided") for name in names]
