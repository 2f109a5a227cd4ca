"""Computed sentences. Each number comes from the results; the gate decides which sentences appear."""

from __future__ import annotations

import math
from collections.abc import Sequence

from catharsis.assess.gates import Withheld, show_p
from catharsis.bayes.posterior import Posterior
from catharsis.effects.measures import Measure
from catharsis.models.result import Fit
from catharsis.models.wald import Wald
from catharsis.plan.record import minus_reml, prediction_df
from catharsis.plan.results import DirectionsResult, FamilyResult, Results, SynthesisResult
from catharsis.report.numbers import bracket, capital, count, interval, listing, number, p_value

SYMBOLS = {
    "MC": "M",
    "MD": "MD",
    "SMD": "g",
    "SMCC": "g",
    "ZCOR": "r",
    "COR": "r",
    "RR": "RR",
    "OR": "OR",
    "RD": "RD",
    "PLO": "share",
}
TESTS = {
    "z": "normal intervals",
    "t": "t intervals",
    "knha": "Knapp-Hartung intervals",
    "adhoc": "modified Knapp-Hartung intervals, never narrower than the normal ones",
    "kr": "Kenward-Roger intervals",
}
METHODS = {
    "REML": "restricted maximum likelihood",
    "ML": "maximum likelihood",
    "DL": "DerSimonian-Laird",
    "HE": "Hedges",
    "HS": "Hunter-Schmidt",
    "HSk": "Hunter-Schmidt with a small-sample correction",
    "SJ": "Sidik-Jonkman",
    "PM": "Paule-Mandel",
    "PMM": "median-unbiased Paule-Mandel",
    "EB": "empirical Bayes",
    "EE": "equal effects",
    "FE": "equal effects",
}


# -- one value on the reader's scale ----------------------------------------------------------------


def value(measure: Measure, x: float, sign: bool = False) -> str:
    """An analysis-scale number as the reader sees it."""
    if measure.back == "expit":
        return f"{100 * float(measure.to_reader(x)):.0f}%"
    return number(float(measure.to_reader(x)), sign=sign and measure.back == "none")


def difference(measure: Measure, x: float) -> str:
    """A difference on the analysis scale as the reader sees it: a factor where the scale is a log.

    Examples
    --------
    >>> from catharsis.effects.measures import MEASURES
    >>> difference(MEASURES["RR"], -0.693147), difference(MEASURES["MC"], 0.127)
    ('×0.50', '+0.13')
    """
    return f"×{number(math.exp(x))}" if measure.back in ("exp", "expit") else number(x, sign=True)


def differences(measure: Measure, low: float, high: float) -> str:
    """An interval of differences, in words."""
    if measure.back in ("exp", "expit"):
        low, high = math.exp(low), math.exp(high)
    return interval(low, high)


def difference_unit(result: SynthesisResult) -> str:
    """What a difference is counted in: points, or a factor on a ratio."""
    back = result.effects.measure.back
    if back in ("exp", "expit"):
        return f"as a factor on the {'odds' if back == 'expit' else result.effects.measure.back_label}"
    return f"in {unit_phrase(result)}"


def limits(measure: Measure, low: float, high: float) -> str:
    """An interval as the reader sees it, in words."""
    return f"{value(measure, low)} to {value(measure, high)}"


def unit_phrase(result: SynthesisResult) -> str:
    """The unit in words, with the scale when the instrument has one."""
    effects = result.effects
    if effects.scale == "raw" and effects.rows:
        return effects.unit
    return {
        "standardised": "standard deviations",
        "correlation": "Fisher's z",
        "PLO": "share",
        "RR": "risk ratio",
        "OR": "odds ratio",
        "RD": "risk difference",
    }.get(effects.scale, "")


def scale_phrase(results: Results, result: SynthesisResult) -> str:
    """Gives "points on a scale from −3 to +3" for an instrument with a range."""
    if result.effects.scale == "raw" and result.effects.rows:
        outcome = results.plan.dictionary.outcomes[str(result.effects.rows[0].get("outcome"))]
        if outcome.range:
            low, high = outcome.range
            return f"{result.effects.unit} on a scale from {number(low, 0)} to {number(high, 0, sign=True)}"
    return unit_phrase(result)


def sites(result: SynthesisResult, n: int | None = None) -> str:
    """Gives "5 countries", in the synthesis' own words."""
    n = result.gate.k if n is None else n
    return count(n, result.spec.sites.one, result.spec.sites.many)


# -- the top of the page ----------------------------------------------------------------------------


def status(results: Results) -> tuple[str, str]:
    """How far the whole analysis carries: a word and its reason."""
    if not results.reportable:
        return "not reportable", "a fit failed its diagnostics"
    heads = [item.headline for item in results.families if item.headline is not None]
    if not heads:
        return "no estimates", "no direct study gives numbers"
    if len(heads) == 1 and heads[0].gate.m == 1:
        return "exploratory", f"one {heads[0].spec.sites.report} ({_study(heads[0])}) carries the only direct estimates"
    if any(head.gate.k < 5 for head in heads):
        return "exploratory", "an outcome rests on fewer than five samples"
    return "complete", "every outcome rests on five samples or more"


def _study(result: SynthesisResult) -> str:
    return str(result.effects.rows[0].get("study"))


def site_phrase(result: SynthesisResult) -> str:
    """Gives "20 cells in 5 countries" where a random factor groups the sites, "5 countries" elsewhere."""
    text = sites(result)
    model, groups = result.fit, result.spec.sites.groups
    if model is None or not model.codes or groups is None:
        return text
    many = len(set(model.codes[model.blocks.factors[0]].tolist()))
    return f"{text} in {count(many, *groups)}"


def headline_sentence(results: Results, result: SynthesisResult) -> str:
    """Estimate, interval and, where it may be said, the prediction."""
    estimate, low, high = result.headline()
    measure = result.effects.measure
    kind = "95% interval" if results.plan.file.level == 0.95 else f"{100 * results.plan.file.level:g}% interval"
    if measure.back == "none" and result.effects.scale != "RD":
        text = f"{value(measure, estimate, sign=True)} {scale_phrase(results, result)}"
    else:
        text = f"{capital(measure.back_label or measure.label)} {value(measure, estimate)}"
    text += f" ({kind} {limits(measure, low, high)}"
    if result.fit is not None and result.gate.heterogeneity and result.fit.blocks.p == 1:
        new = result.fit.predict(pi_df=prediction_df(result.fit))
        if math.isfinite(new.pi_low):
            text += f"; a new {new_word(result)} {limits(measure, new.pi_low, new.pi_high)}"
    return text + ")."


def new_word(result: SynthesisResult) -> str:
    """What a prediction is for: a new site within one report, or a new study."""
    if result.gate.new == "study":
        return "study"
    grouped = result.fit is not None and bool(result.fit.codes) and result.spec.sites.groups is not None
    return result.spec.sites.groups[0] if grouped and result.spec.sites.groups else result.spec.sites.one


def basis_sentence(result: SynthesisResult) -> str:
    """What the estimate rests on: reports, sites, people and caveats."""
    gate, effects = result.gate, result.effects
    people = f", {count(effects.people, 'person', 'people')}" if effects.people else ""
    works = len({row.get("cite") for row in effects.rows})
    if works < gate.m:
        people += f", read in {count(works, 'work')}"
    if gate.one_study:
        text = f"One {result.spec.sites.report} ({_study(result)}), {site_phrase(result)}{people}"
    elif gate.k == 1:
        text = f"One sample ({_study(result)}){people}"
    else:
        text = f"{count(gate.m, 'report')}, {count(gate.k, 'sample')}{people}"
    says = [
        found.caveat.say if found.count == found.of else f"{found.caveat.say} ({found.count} of {found.of})"
        for found in result.caveats
    ]
    return f"{text}: {'; '.join(says)}." if says else f"{text}."


def directions_sentence(found: DirectionsResult, words: tuple[str, str, str], labels: dict[str, str]) -> str:
    """Votes per setting in one sentence, reporting zeros."""
    parts = []
    for label, cell in zip(cell_labels(found, labels), found.cells, strict=True):
        test = cell.test
        tally = [(test.negative, words[2]), (test.none, words[1]), (test.positive, words[0]), (test.mixed, "both ways")]
        parts.append(f"{label}: {listing([f'{n} {word}' for n, word in tally if n])}")
    return f"{found.spec.title}. {capital('; '.join(parts))}." if parts else ""


def cell_labels(found: DirectionsResult, labels: dict[str, str]) -> list[str]:
    """Each setting in the analysis' own words.

    A cell that is not stated is named only where other settings differ from this one by it.
    """
    told = []
    for cell in found.cells:
        parts = []
        for i, (column, level) in enumerate(zip(found.spec.by, cell.key, strict=True)):
            rest = cell.key[:i] + cell.key[i + 1 :]
            twins = [other for other in found.cells if other.key[:i] + other.key[i + 1 :] == rest]
            if level != "not stated":
                minutes = column == "minutes"
                parts.append(f"{float(level):g} min" if minutes else labels.get(f"{column}={level}", level))
            elif len(twins) > 1 or len(cell.key) == 1:
                parts.append("time not stated" if column == "minutes" else "not stated")
        told.append(", ".join(parts))
    return told


def sign_test_sentence(found: DirectionsResult) -> str:
    """What the sign tests can say and could not say."""
    tested = [cell.test for cell in found.cells if cell.test.decided]
    if not tested:
        return "No setting has a decided vote, so there is nothing to test."
    smallest = min(test.p for test in tested)
    able = sum(test.smallest_p < 0.05 for test in tested)
    settings = count(len(tested), "setting")
    text = f"Sign tests in {settings}: smallest {p_value(smallest)}"
    if able < len(tested):
        few = "none of them holds" if able == 0 else f"only {able} of them {'holds' if able == 1 else 'hold'}"
        text += f"; {few} the six decided votes without which no result could fall below .05"
    return text + "."


def gap_sentence(results: Results, item: FamilyResult) -> str:
    """How many rows there are, and that none is direct; or that the direct ones give nothing to combine."""
    total = sum(item.kinds.values())
    direct = sum(n for (side, _), n in item.kinds.items() if side == "direct")
    if direct:
        kinds = listing([f"{n} {kind}" for (side, kind), n in sorted(item.kinds.items()) if side == "direct"])
        name = item.family.label.lower()
        return f"{count(direct, 'direct row')} of {total} on {name} ({kinds}); none enters a synthesis."
    if not total:
        return f"No row of the table is about {item.family.label.lower()}."
    return f"None of the {count(total, 'row')} on {item.family.label.lower()} comes from {results.plan.file.direct}."


def analogue_sentence(result: SynthesisResult) -> str:
    """An analogue's result, labelled as one."""
    estimate, low, high = result.headline()
    measure = result.effects.measure
    size = f"{SYMBOLS[measure.code]} {value(measure, estimate)}, {limits(measure, low, high)}"
    many = sites(result) if result.spec.sites.many != "samples" else count(result.gate.k, "sample")
    return f"{result.spec.title}: {size}, {many}."


def also_sentence(results: Results, result: SynthesisResult, labels: dict[str, str]) -> str:
    """One line on a moderator synthesis: its average, or its coefficients."""
    estimate, low, high = result.headline()
    measure = result.effects.measure
    says = "; ".join(found.caveat.say for found in result.caveats if found.count == found.of)
    size = f"{SYMBOLS[measure.code]} {value(measure, estimate, sign=True)} ({limits(measure, low, high)})"
    if result.fit is not None and result.fit.blocks.p > 1:
        size = _coefficients(results, result, result.fit, labels)
    return f"{size}{f' – {says}' if says else ''}."


def _coefficients(results: Results, result: SynthesisResult, model: Fit, labels: dict[str, str]) -> str:
    """Every coefficient but the intercept as the reader sees it."""
    measure = result.effects.measure
    lows, highs = model.interval()
    moderator = results.plan.dictionary.moderators.get(result.slope or "")
    per = f" per {moderator.unit.removesuffix('s')}" if moderator is not None and moderator.unit else ""
    parts = [
        f"{term_label(model.design.terms[i], labels).lower()} {difference(measure, float(model.beta[i]))}{per} "
        f"({differences(measure, float(lows[i]), float(highs[i]))})"
        for i in range(1, model.blocks.p)
    ]
    return f"{capital(listing(parts))}, {difference_unit(result)}"


def watched_sentences(results: Results, result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """Levels of the moderator that the question names: how many direct and analogue rows have them."""
    factor = result.factor
    found = []
    for level in result.spec.watch if factor else ():
        rows = [row for row in results.table if str(row.get(str(factor))) == level and row.get("kind") != "none"]
        direct = sum(row.get("evidence", "direct") == "direct" for row in rows)
        told = f"{count(direct, 'direct row')}" if direct else "no direct row"
        rest = count(len(rows) - direct, "analogue row") if len(rows) > direct else "no analogue row"
        found.append(f"{capital(labels.get(f'{factor}={level}', level))}: {told}, {rest}.")
    return found


def what_would_help(results: Results) -> list[str]:
    """What would change the answers: from gaps, states and caveats, and counted rows without sizes."""
    found = []
    for item in results.families:
        if item.family.main and item.family.would_help:
            found.append(item.family.would_help)
    for result in results.syntheses:
        if result.spec.role == "headline":
            found += [caveat.caveat.would_help for caveat in result.caveats if caveat.caveat.would_help]
    rows = [
        row
        for row in results.table
        if row.get("evidence", "direct") == "direct" and row.get("kind") in ("bounds", "direction")
    ]
    if rows:
        works = len({row.get("cite") for row in rows})
        found.append(
            f"Means and SDs (or test statistics) for the {count(len(rows), 'direct row')} in {count(works, 'work')} "
            "that report a direction or a verdict without a size."
        )
    return list(dict.fromkeys(found))


# -- one synthesis ----------------------------------------------------------------------------------


def coefficient(model: Fit, i: int, measure: Measure, symbol: str) -> str:
    """Gives "b = 0.13, 95% CI [−0.05, 0.31], z = 1.39, p = .164" for one coefficient."""
    low, high = (float(side[i]) for side in model.interval())
    shown = [float(measure.to_reader(x)) for x in (float(model.beta[i]), low, high)]
    statistic = float(model.beta[i] / model.se[i]) if model.se[i] > 0 else math.inf
    name = f"t({model.df:g})" if math.isfinite(model.df) else "z"
    level = f"{100 * model.level:g}%"
    text = f"{symbol} = {number(shown[0])}, {level} CI {bracket(shown[1], shown[2])}"
    if not math.isfinite(measure.no_effect):
        return text
    return f"{text}, {name} = {number(statistic)}, {p_value(float(model.pvalues.iloc[i]))}"


def wald(test: Wald, name: str) -> str:
    """Gives "QM(3) = 4.87, p = .181" or "F(3, 16) = ..."."""
    if math.isfinite(test.df2):
        return f"F({test.df1:g}, {test.df2:.3g}) = {number(test.statistic)}, {p_value(test.p)}"
    return f"{name}({test.df1:g}) = {number(test.statistic)}, {p_value(test.p)}"


def frequentist_sentences(result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """The headline fit as a journal prints it."""
    model, measure = result.fit, result.effects.measure
    if model is None:
        if result.single is None:
            return [_unfitted(result)]
        estimate, low, high = result.headline()
        shown = [float(measure.to_reader(x)) for x in (estimate, low, high)]
        return [
            f"One sample, not pooled: {SYMBOLS[measure.code]} = {number(shown[0])}, "
            f"{100 * result.level:g}% CI {bracket(shown[1], shown[2])} ({result.single.route.name})."
        ]
    gate = result.gate
    rest = (
        f"{site_phrase(result)}, one {result.spec.sites.report} (m = 1)"
        if gate.one_study
        else f"{sites(result)}, {count(gate.m, 'report')}"
    )
    random = f", random {listing(list(model.blocks.factors))}" if model.blocks.factors != ("effect",) else ""
    found = [f"k = {gate.k}: {rest}{random}. {capital(METHODS[model.method])}, {TESTS[model.test]}."]
    if model.blocks.p == 1:
        found.append(f"Average {coefficient(model, 0, measure, SYMBOLS[measure.code])}.")
    else:
        factor = result.factor
        base = model.design.factors[factor][0] if factor else ""
        base = labels.get(f"{factor}={base}", base) or "all moderators at zero"
        found.append(f"{capital(base)}: {coefficient(model, 0, measure, SYMBOLS[measure.code])}.")
        found += [
            f"{term_label(model.design.terms[i], labels)}: {coefficient(model, i, _plain(measure), 'b')}."
            for i in range(1, model.blocks.p)
        ]
        if model.blocks.p > 2:
            found.append(f"Moderators together: {wald(model.QM, 'QM')}.")
        if measure.back != "none":
            found.append("Coefficients b are on the analysis scale (a log or z), intervals likewise.")
    found.append(heterogeneity_sentence(result))
    found.append(_by_rho_sentence(result))
    return [sentence for sentence in found if sentence]


def _by_rho_sentence(result: SynthesisResult) -> str:
    """The first coefficient under other correlations of effects of one sample; "" when the plan names none."""
    measure = result.effects.measure
    said = []
    for rho, model in result.by_rho:
        low, high = model.interval()
        shown = [float(measure.to_reader(float(x))) for x in (model.beta[0], low[0], high[0])]
        said.append(f"{number(rho)}: {number(shown[0])} {bracket(shown[1], shown[2])}")
    if not said:
        return ""
    return f"With the sampling errors of effects of one sample correlated by {'; '.join(said)}."


def _unfitted(result: SynthesisResult) -> str:
    """Why there is no average."""
    effects = result.effects
    if not len(effects):
        return "No row carries numbers for this synthesis."
    if effects.samples == 1:
        return f"One sample with {count(len(effects), 'effect')}: not pooled, since all come from the same people."
    return f"{count(effects.samples, 'sample')}; nothing was fitted, for the reason given below."


def term_label(term: str, labels: dict[str, str]) -> str:
    """A coefficient in the analysis' own words: the level's label, or the moderator's name.

    Examples
    --------
    >>> term_label("setting[alone]", {"setting=alone": "cried alone"}), term_label("year", {})
    ('Cried alone', 'Year')
    """
    factor, _, level = term.partition("[")
    if not level:
        return capital(labels.get(term, term.replace("_", " ")))
    return capital(labels.get(f"{factor}={level[:-1]}", level[:-1]))


def _plain(measure: Measure) -> Measure:
    from dataclasses import replace

    return replace(measure, back="none", no_effect=0.0)


def heterogeneity_sentence(result: SynthesisResult) -> str:
    """tau, I2, Q and the prediction interval, when k allows."""
    model = result.fit
    if model is None or not result.gate.heterogeneity or model.method in ("EE", "FE"):
        return ""
    text = f"Heterogeneity: τ = {number(model.tau)}"
    if model.blocks.factors == ("effect",):
        low, high = model.confint_heterogeneity()
        empty = high == 0
        told = (
            "interval is empty: less spread than chance makes"
            if empty
            else f"CI {bracket(math.sqrt(low), math.sqrt(high))}"
        )
        text += f" (Q-profile {100 * model.level:g}% {told})"
    text += f", I² = {model.I2:.0f}%, {wald(model.QE, 'Q')}"
    if model.blocks.p == 1:
        df = prediction_df(model)
        new = model.predict(pi_df=df)
        if math.isfinite(new.pi_low):
            measure = result.effects.measure
            shown = [float(measure.to_reader(x)) for x in (new.pi_low, new.pi_high)]
            text += f"; a new {new_word(result)} is predicted in {bracket(shown[0], shown[1])} (t with {df} df)"
    return text + "."


def bayes_sentences(result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """The posterior, what the prior does to it, and whether both engines agree."""
    exact = result.posterior
    if exact is None or not result.gate.bayes:
        return []
    measure = result.effects.measure
    mu = exact.mu
    name = "mean" if measure.back == "none" else "median"
    shown = [float(measure.to_reader(x)) for x in (mu.centre(measure.back), mu.low, mu.high)]
    new = [float(measure.to_reader(x)) for x in (exact.new.low, exact.new.high)]
    level = f"{100 * exact.level:g}%"
    where = f"Posterior {name}" if len(exact.terms) == 1 else f"At the reference level, posterior {name}"
    found = [
        f"{where} {number(shown[0])}, {level} interval {bracket(shown[1], shown[2])}"
        + (f", P(> 0) {_probability(mu.positive)}" if math.isfinite(measure.no_effect) else "")
        + f"; τ {number(exact.tau.median)} {bracket(exact.tau.low, exact.tau.high)}"
        + f"; a new {new_word(result)} {bracket(new[0], new[1])}."
    ]
    found += [
        f"{term_label(term, labels)}: {number(post.mean)} {bracket(post.low, post.high)}, P(> 0) "
        f"{_probability(post.positive)}."
        for term, post in list(exact.coefficients.items())[1:]
    ]
    found.append(prior_sentence(result))
    if result.power is not None:
        found.append(f"Power-scaling of prior and likelihood: {result.power.verdict}.")
    if result.other_priors is not None:
        found.append(other_priors_sentence(result))
    if result.nuts is not None and result.nuts.diagnostics is not None and result.agreement:
        d = result.nuts.diagnostics
        far = max(item.distance for item in result.agreement)
        found.append(
            f"These numbers come from quadrature; NUTS ({d.sampler}: R-hat {d.rhat:.3f}, smallest effective sample "
            "size "
            f"{min(d.ess_bulk, d.ess_tail):,.0f}, {count(d.divergences, 'divergence')}) agrees with them within "
            f"{far:.1f} Monte Carlo standard errors."
        )
    elif result.nuts is not None and result.nuts.diagnostics is not None:
        d = result.nuts.diagnostics
        ess = min(d.ess_bulk, d.ess_tail)
        found.append(
            f"These numbers are sampled (NUTS, {d.sampler}: R-hat {d.rhat:.3f}, smallest effective sample size "
            f"{ess:,.0f}, {count(d.divergences, 'divergence')}); quadrature does not reach this model."
        )
    else:
        found.append("These numbers come from quadrature; the sampler was not run.")
    return found


def other_priors_sentence(result: SynthesisResult) -> str:
    """The average under the other priors on tau."""
    assert result.other_priors is not None
    measure = result.effects.measure
    parts = []
    for name, post in list(result.other_priors.posteriors.items())[1:]:
        shown = [float(measure.to_reader(x)) for x in (post.mu.centre(measure.back), post.mu.low, post.mu.high)]
        parts.append(f"{name} {number(shown[0])} {bracket(shown[1], shown[2])}")
    return f"With other priors on τ: {'; '.join(parts)}; {result.other_priors.verdict}."


def all_evidence_sentences(result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """The average with the rows that report only a sign or a verdict, under both readings."""
    found = result.all_evidence
    if found is None:
        return []
    level = f"{100 * result.level:g}%"
    measure = result.effects.measure

    def says(post: Posterior) -> str:
        shown = [float(measure.to_reader(x)) for x in (post.mu.centre(measure.back), post.mu.low, post.mu.high)]
        return f"{number(shown[0])} {bracket(shown[1], shown[2])}, P(> 0) {_probability(post.mu.positive)}"

    only = (
        f"The {count(len(result.effects), 'estimate')} alone: {says(result.exact)}. "
        if result.exact is not None and result.gate.bayes
        else ""
    )
    rows = count(len(found.partial), "row")
    sentences = [
        f"{only}With {rows} that {'report' if len(found.partial) != 1 else 'reports'} only a sign or a verdict "
        f"({level} intervals): {says(found.reported)} when a verdict counts as what it says; {says(found.signs)} when "
        "those past the critical value count by their sign alone, as if printed because they passed it. "
        f"τ {number(found.reported.tau.median)} {bracket(found.reported.tau.low, found.reported.tau.high)}."
    ]
    designs, others = (
        sorted({labels.get(f"design={row.get('design')}", str(row.get("design"))) for row in rows})
        for rows in (result.effects.rows, found.partial.rows)
    )
    if designs and designs != others:
        sentences.append(
            f"The designs differ: the estimates are {listing(designs)}, the rows without numbers {listing(others)}."
        )
    if result.gate.one_study:
        sentences.append(
            f"The estimates are {site_phrase(result)} of one {result.spec.sites.report}, so τ here mixes differences "
            f"between {result.spec.sites.many} with differences between studies."
        )
    gap = abs(found.reported.mu.mean - found.signs.mu.mean) / found.reported.mu.sd
    if gap >= 0.5:
        sentences.append(
            f"The two readings lie {number(gap)} posterior standard deviations apart: how these results came to be "
            "printed matters."
        )
    return sentences


def _probability(p: float) -> str:
    return "> .999" if p > 0.9995 else "< .001" if p < 0.0005 else f"= {p:.3f}".replace("0.", ".", 1)


def prior_sentence(result: SynthesisResult) -> str:
    """Bayes minus REML in REML standard errors, and the prior's part in it."""
    shift = minus_reml(result)
    if shift is None or result.posterior is None or result.fit is None:
        return ""
    first = shift[result.posterior.terms[0]]
    total, part = first["total"] or 0.0, first["prior_on_b"] or 0.0
    priors = result.posterior.priors
    names = f"{priors.mu} on the average and {priors.tau} on τ"
    if result.exact is None:
        method = result.fit.method
        return f"Priors: {names}. Bayes minus {method} is {number(total, sign=True)} {method} standard errors."
    pull = "pulls it towards its own centre" if abs(part) >= 0.1 else "hardly moves it"
    return (
        f"Priors: {names}. Bayes minus {result.fit.method} is {number(total, sign=True)} {result.fit.method} "
        "standard errors; "
        f"the prior on the average accounts for {number(part, sign=True)} of it ({pull}), the rest comes from "
        "averaging over τ "
        f"(posterior median {number(result.exact.tau.median)}) instead of fixing it at {number(result.fit.tau)}."
    )


def robust_sentences(result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """CR2 beside the model, with p hidden where Satterthwaite's df are too few."""
    robust = result.robust
    if robust is None:
        return []
    found = []
    low, high = robust.interval()
    shown = [term for term in robust.terms if term != "intercept" or len(robust.terms) == 1]
    hidden = [term for term, df in zip(robust.terms, robust.df, strict=True) if term in shown and not show_p(float(df))]
    for i, term in enumerate(robust.terms):
        if term not in shown:
            continue
        p = "" if term in hidden else f", {p_value(float(robust.p[i]))}"
        found.append(
            f"{term_label(term, labels)}: CR2 interval {bracket(float(low[i]), float(high[i]))} with "
            f"{number(float(robust.df[i]), 1)} df{p}."
        )
    chosen = [i for i, term in enumerate(robust.terms) if term != "intercept"] or [0]
    joint = robust.wald(chosen)
    if not math.isfinite(joint.df2) or joint.df2 < 4:
        told = f"{joint.df2:.1f}" if math.isfinite(joint.df2) else "no"
        found.append(
            f"HTZ test of all of them: F = {number(joint.statistic)} with {told} denominator df, too few for a p value."
        )
    else:
        found.append(f"HTZ test of all of them: {wald(joint, 'F')}.")
    if hidden:
        found.append(
            f"With {robust.m} clusters, Satterthwaite's df fall below 4 for "
            f"{listing([term_label(t, labels) for t in hidden])}: "
            "no p value is shown there."
        )
    return found


def moderator_sentence(result: SynthesisResult, labels: dict[str, str]) -> str:
    """Contrasts with the reference level in one sentence for the first screen."""
    model, factor = result.fit, result.factor
    if model is None or factor is None:
        return ""
    table = model.contrasts(factor)
    measure = result.effects.measure
    parts = [
        f"{labels.get(f'{factor}={level}', str(level))} {difference(measure, row['estimate'])} "
        f"({differences(measure, row['low'], row['high'])})"
        for level, row in table.iterrows()
    ]
    reference = labels.get(f"{factor}={model.design.factors[factor][0]}", model.design.factors[factor][0])
    clear = [(row["low"] > 0) or (row["high"] < 0) for _, row in table.iterrows()]
    verdict = (
        f"{'All' if len(clear) > 2 else 'Both' if len(clear) == 2 else 'The'} "
        f"{'interval includes' if len(clear) == 1 else 'intervals include'} no difference"
        if not any(clear)
        else f"{sum(clear)} of {count(len(clear), 'interval')} {'leaves' if sum(clear) == 1 else 'leave'} it out"
    )
    joint = p_value(model.QM.p).replace(" ", "\u00a0")
    return f"Against “{reference}”, {difference_unit(result)}: {listing(parts)}. {verdict}; taken together, {joint}."


def withheld_sentences(withheld: Sequence[Withheld]) -> list[str]:
    """What is not said, and why."""
    return [f"{capital(item.what)}: {item.why}." for item in withheld]


def published_sentence(result: SynthesisResult, labels: dict[str, str]) -> list[str]:
    """A published number beside ours, with the gap."""
    found = []
    for item in result.comparisons:
        theirs = number(item.published.estimate)
        if item.published.interval:
            theirs += f" {bracket(*item.published.interval)}"
            ours = f"{number(item.estimate, 4)} {bracket(item.low, item.high, 4)}"
        else:
            ours = number(item.estimate, 3)
        work = labels.get(item.published.cite, item.published.cite)
        text = f"Published ({work}): {theirs}. Here ({item.method}): {ours}; largest gap {number(item.gap, 3)}."
        found.append(f"{text} {item.published.note or ''}".strip())
    return found
