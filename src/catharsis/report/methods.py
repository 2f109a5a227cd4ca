"""The methods section, from what was done: only methods that were used are described and cited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from catharsis import __version__
from catharsis.effects.routes import ROUTES
from catharsis.plan.results import Results
from catharsis.report.numbers import count, listing
from catharsis.report.prose import METHODS

METHOD_SOURCES = {
    "REML": ("viechtbauer2005",),
    "ML": ("hardy1996",),
    "DL": ("dersimonian1986",),
    "HE": ("hedges1983",),
    "HS": ("hunter1990",),
    "HSk": ("hunter1990",),
    "SJ": ("sidik2005",),
    "PM": ("paule1982",),
    "PMM": ("paule1982", "viechtbauer2021"),
    "EB": ("morris1983",),
    "EE": (),
    "FE": (),
}
TEST_SOURCES = {
    "knha": ("knapp2003", "sidik2002"),
    "adhoc": ("roever2015", "knapp2003"),
    "kr": ("kenward1997", "partlett2017"),
    "z": (),
    "t": (),
}
TEST_WORDS = {
    "knha": "the Knapp-Hartung adjustment",
    "adhoc": "the Knapp-Hartung adjustment truncated at 1",
    "kr": "the Kenward-Roger approximation",
    "z": "normal quantiles",
    "t": "t quantiles",
}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph and the keys it cites at its end."""

    text: str
    keys: tuple[str, ...] = ()


def methods(results: Results) -> list[Paragraph]:
    """The methods section of an analysis.

    Parameters
    ----------
    results : Results
        What was run.

    Returns
    -------
    list of Paragraph
    """
    return [
        _evidence(results),
        _effect_sizes(results),
        *_frequentist(results),
        *_robust(results),
        *_bayes(results),
        *_directions(results),
        Paragraph(
            "What may be said is decided by rules on the number of independent samples (k) and reports (m): no "
            "pooling below "
            "two samples, no statement about heterogeneity below five, funnel plots from five and their tests from "
            "ten, one "
            "moderator coefficient per ten samples; what is withheld is listed with its reason.",
            ("inthout2014", "sterne2011", "page2021"),
        ),
        Paragraph(f"All computations were done with catharsis {__version__}, in Python."),
    ]


def _evidence(results: Results) -> Paragraph:
    kinds = Counter(str(row.get("kind")) for row in results.table)
    told = listing([f"{n} {name}" for name, n in kinds.most_common()])
    places = Counter(str(row.get("source_kind", "not stated")) for row in results.table)
    read = listing([f"{place} {n}" for place, n in places.most_common()])
    return Paragraph(
        f"The table holds {count(len(results.table), 'effect')} from "
        f"{count(len({r.get('cite') for r in results.table}), 'work')}. "
        f"By kind of evidence: {told}. No kind is turned into another: estimates and counts are pooled, directions "
        "are counted, "
        "and analogues are never pooled with direct evidence. Rows that hold the same people enter a synthesis once. "
        f"Rows by where they were read: {read}."
    )


def _effect_sizes(results: Results) -> Paragraph:
    routes: Counter[str] = Counter()
    keys: set[str] = set()
    known = {route.name: route for group in ROUTES.values() for route in group}
    for result in results.syntheses:
        routes.update(result.effects.routes())
        keys |= {known[name].source for name in result.effects.routes() if name != "yi and vi"}
    told = listing([f"{name} ({n})" for name, n in routes.most_common()])
    corrected = any(
        result.effects.measure.corrects and result.spec.correct for result in results.syntheses if len(result.effects)
    )
    text = (
        f"Effect sizes were computed from {told}; the numbers in parentheses count effects over all syntheses."
        if routes
        else ""
    )
    if corrected:
        text += " Standardised effects carry the exact small-sample correction."
        keys.add("hedges1981")
    return Paragraph(text or "No effect sizes were computed.", tuple(sorted(keys)))


def _frequentist(results: Results) -> list[Paragraph]:
    fits = [model for r in results.syntheses if r.fit for model in (r.fit, *(m for _, m in r.others))]
    if not fits:
        return []
    used = list(dict.fromkeys(model.method for model in fits))
    tests = list(dict.fromkeys(model.test for model in fits))
    keys = [key for method in used for key in METHOD_SOURCES[method]] + [
        key for test in tests for key in TEST_SOURCES[test]
    ]
    text = (
        f"Random-effects models were fitted by {listing([METHODS[m] for m in used])}, with intervals by "
        f"{listing([TEST_WORDS[t] for t in tests])}. Heterogeneity is given as τ with its Q-profile interval, I² "
        "and Cochran's Q; "
        "prediction intervals use t with k − p − 1 degrees of freedom."
    )
    keys += ["viechtbauer2007", "higgins2002", "cochran1954", "higgins2009", "riley2011"]
    found = [Paragraph(text, tuple(keys))]
    if any(model.blocks.factors != ("effect",) for model in fits):
        names = sorted({f for m in fits for f in m.blocks.factors if m.blocks.factors != ("effect",)})
        found.append(
            Paragraph(
                f"Where effects share {listing(names)}, the model has a random intercept for it.",
                ("konstantopoulos2011", "vandennoortgate2013"),
            )
        )
    return found


def _robust(results: Results) -> list[Paragraph]:
    if not any(result.robust for result in results.syntheses):
        return []
    return [
        Paragraph(
            "Beside the model-based intervals stand cluster-robust ones (CR2) with Satterthwaite degrees of "
            "freedom, and the "
            "HTZ test of several coefficients; where the degrees of freedom fall below 4, p values are not shown.",
            ("bell2002", "tipton2015a", "tipton2015b", "pustejovsky2018"),
        )
    ]


def _bayes(results: Results) -> list[Paragraph]:
    fitted = [result for result in results.syntheses if result.posterior]
    if not fitted:
        return []
    text, keys = "The same models were fitted in a Bayesian way", []
    if any(result.exact for result in fitted):
        keys.append("roever2020")
        text += (
            ": coefficients integrated analytically and τ by Gauss-Legendre quadrature, refined until the posterior "
            "was stable"
        )
    text += ". "
    priors = [result.posterior.priors for result in fitted if result.posterior]
    mu = list(dict.fromkeys(str(prior.mu) for prior in priors))
    tau = list(dict.fromkeys(str(prior.tau) for prior in priors))
    text += f"Priors: {listing(mu, 'or')} on the average, {listing(tau, 'or')} on τ, as each synthesis states."
    if any(prior.startswith("half") for prior in tau):
        keys += ["gelman2006", "roever2021"]
    why = results.plan.file.priors.why
    text += f" {why}" if why else ""
    found = [Paragraph(text, tuple(keys))]
    sampled = [r.nuts for r in results.syntheses if r.nuts and r.nuts.diagnostics]
    if sampled:
        diagnostics = sampled[0].diagnostics
        sampler = diagnostics.sampler if diagnostics else "PyMC"
        bayes = results.plan.file.bayes
        found.append(
            Paragraph(
                f"Each model was also sampled with NUTS (PyMC model, non-centred, {sampler}; {bayes.chains} chains of "
                f"{bayes.draws:,} draws, seed {bayes.seed}). R-hat below 1.01, effective sample sizes of at least 400, "
                "no divergence, and agreement with the quadrature within 4 Monte Carlo standard errors where both run "
                "are required before a Bayesian statement is made.",
                ("abrilpla2023", "hoffman2014", "kumar2019", "vehtari2021"),
            )
        )
    return found


def _directions(results: Results) -> list[Paragraph]:
    if not results.directions:
        return []
    return [
        Paragraph(
            "Directions without sizes were counted: one vote per group of people in each setting (opposite signs "
            "of one group "
            "cancel), zeros reported, exact sign tests of the decided votes with Holm's correction over the "
            "settings of one "
            "count.",
            ("bushman2009", "boon2021"),
        )
    ]
