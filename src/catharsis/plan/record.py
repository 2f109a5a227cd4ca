"""Results as plain data: results.json, stable-keyed so that two runs can be diffed."""

from __future__ import annotations

import math
from typing import Any

from catharsis import __version__
from catharsis.assess.power_scaled import PowerScaling
from catharsis.assess.prior_comparison import PriorSensitivity
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Priors
from catharsis.effects.prepare import EffectSize
from catharsis.models.result import Fit
from catharsis.models.wald import Wald
from catharsis.plan.results import ClaimResult, DirectionsResult, FamilyResult, Results, SynthesisResult

SCHEMA = "catharsis/results@1"
SAMPLED_DIGITS = 6  # significant digits kept of sampled numbers; far below their Monte Carlo error


def record(results: Results) -> dict[str, Any]:
    """Everything in `results` as JSON-ready data; missing numbers are null.

    Returns
    -------
    dict
        Keys: schema, catharsis, analysis, inputs, reportable, problems, families, syntheses, directions,
        claims, effects, warnings, waived.
    """
    return {
        "schema": SCHEMA,
        "catharsis": __version__,
        "analysis": results.plan.name,
        "title": results.plan.file.title,
        "evidence_to": results.plan.file.evidence_to,
        "inputs": {"sha256": results.input_hash, "effects": len(results.table)},
        "reportable": results.reportable,
        "problems": list(results.problems),
        "families": {item.key: _family(item) for item in results.families},
        "syntheses": {item.spec.id: _synthesis(item) for item in results.syntheses},
        "directions": {item.spec.id: _directions(item) for item in results.directions},
        "claims": {str(item.claim.id): _claim(item) for item in results.claims},
        "effects": {
            row.id: {
                "cite": row.get("cite"),
                "kind": row.get("kind"),
                "evidence": row.get("evidence", "direct"),
                "sign": row.get("sign"),
                "at": str(row.at),
                "sizes": {scale: _size(size) for scale, size in results.sizes[row.id].items()},
            }
            for row in results.table
        },
        "warnings": [str(problem) for problem in results.warnings],
        "waived": [{"effect": row.id, **waiver.model_dump()} for row, waiver in results.waived],
    }


def number(value: float | None) -> float | None:
    """A float for JSON; null when there is none."""
    return None if value is None or math.isnan(value) or math.isinf(value) else float(value)


def _size(size: EffectSize) -> dict[str, Any]:
    return {
        "yi": number(size.yi),
        "vi": number(size.vi),
        "measure": size.measure,
        "route": size.route.name,
        "formula": size.route.formula,
    }


def _family(item: FamilyResult) -> dict[str, Any]:
    return {
        "state": item.state,
        "sentence": item.sentence,
        "headline": item.headline.spec.id if item.headline else None,
        "rows": {f"{evidence} {kind}": count for (evidence, kind), count in sorted(item.kinds.items())},
    }


def _synthesis(item: SynthesisResult) -> dict[str, Any]:
    estimate, low, high = item.headline()
    return {
        "title": item.spec.title,
        "role": item.spec.role,
        "measure": item.effects.measure.code,
        "scale": item.effects.scale,
        "unit": item.effects.unit,
        "k": item.gate.k,
        "m": item.gate.m,
        "effects": len(item.effects),
        "people": item.effects.people,
        "headline": {
            "school": item.gate.headline,
            "estimate": number(estimate),
            "low": number(low),
            "high": number(high),
        },
        "verdict": item.verdict,
        "standing": item.gate.standing,
        "withheld": [{"what": held.what, "why": held.why} for held in item.gate.withheld],
        "caveats": [{"say": found.caveat.say, "rows": found.count, "of": found.of} for found in item.caveats],
        "rows": {row.id: _size(size) for row, size in zip(item.effects.rows, item.effects.sizes, strict=True)},
        "left_out": dict(item.effects.left_out),
        "routes": item.effects.routes(),
        "frequentist": _fit(item.fit) if item.fit else None,
        "alternatives": [_fit(model) for _, model in item.others],
        "robust": _robust(item),
        "bayes": _bayes(item),
        **({"all_evidence": _all_evidence(item)} if item.all_evidence else {}),
        "published": [
            {
                "cite": found.published.cite,
                "estimate": found.published.estimate,
                "interval": list(found.published.interval) if found.published.interval else None,
                "method": found.method,
                "ours": [number(found.estimate), number(found.low), number(found.high)],
                "gap": number(found.gap),
            }
            for found in item.comparisons
        ],
        "notes": list(item.notes),
    }


def _fit(model: Fit) -> dict[str, Any]:
    low, high = model.interval()
    se = model.se
    found: dict[str, Any] = {
        "method": model.method,
        "test": model.test,
        "df": number(model.df),
        "coefficients": {
            term: {
                "estimate": number(model.beta[i]),
                "se": number(se[i]),
                "low": number(low[i]),
                "high": number(high[i]),
                "p": number(float(model.pvalues.iloc[i])),
            }
            for i, term in enumerate(model.design.terms)
        },
        "tau2": number(model.tau2),
        "sigma2": {name: number(value) for name, value in model.sigma2.items()},
        "I2": number(model.I2),
        "H2": number(model.H2),
        "Q": _wald(model.QE),
        "QM": _wald(model.QM),
        "llf": number(model.llf),
        "knapp_hartung": number(model.scale),
    }
    if model.blocks.factors == ("effect",) and model.df_resid > 0:
        found["tau2_interval"] = [number(limit) for limit in model.confint_heterogeneity()]
    if model.blocks.p == 1:
        new = model.predict(pi_df=prediction_df(model))
        found["prediction"] = {"low": number(new.pi_low), "high": number(new.pi_high), "df": prediction_df(model)}
    for factor in model.design.factors:
        found.setdefault("level_means", {})[factor] = _table(model.level_means(factor))
        found.setdefault("contrasts", {})[factor] = _table(model.contrasts(factor))
    return found


def prediction_df(model: Fit) -> int:
    """Degrees of freedom of the report's prediction interval: clusters (or effects) - p - 1 [@higgins2009]."""
    groups = len(set(model.codes[model.blocks.factors[0]].tolist())) if model.codes else model.nobs
    return groups - model.blocks.p - 1


def _table(frame: Any) -> dict[str, Any]:
    return {
        str(index): {str(name): number(float(value)) for name, value in row.items()} for index, row in frame.iterrows()
    }


def _wald(test: Wald) -> dict[str, Any]:
    return {"statistic": number(test.statistic), "df1": number(test.df1), "df2": number(test.df2), "p": number(test.p)}


def _robust(item: SynthesisResult) -> dict[str, Any] | None:
    if item.robust is None:
        return None
    low, high = item.robust.interval()
    chosen = [i for i, term in enumerate(item.robust.terms) if term != "intercept"] or [0]
    return {
        "type": item.robust.type,
        "clusters": item.robust.m,
        "coefficients": {
            term: {
                "se": number(item.robust.se[i]),
                "df": number(item.robust.df[i]),
                "low": number(low[i]),
                "high": number(high[i]),
                "p_hidden": bool(item.robust.hide_p[i]),
            }
            for i, term in enumerate(item.robust.terms)
        },
        "htz": _wald(item.robust.wald(chosen)),
    }


def _marginal(found: Marginal, sampled: bool) -> dict[str, Any]:
    def digits(value: float) -> float | None:
        return number(float(f"{value:.{SAMPLED_DIGITS}g}")) if sampled else number(value)

    names = ("mean", "sd", "median", "low", "high", "positive")
    data = {name: digits(getattr(found, name)) for name in names}
    return {**data, "mcse": digits(found.mcse)} if sampled else data


def _priors(priors: Priors) -> dict[str, Any]:
    """Priors as texts, with those of single terms and factors where there are any."""
    own = {"terms": priors.terms, "taus": priors.taus}
    return {
        "mu": str(priors.mu), "b": str(priors.b), "tau": str(priors.tau),
        **{name: {key: str(prior) for key, prior in held.items()} for name, held in own.items() if held},
    }  # fmt: skip


def posterior(found: Posterior) -> dict[str, Any]:
    """One posterior as data."""
    sampled = found.engine == "nuts"
    data: dict[str, Any] = {
        "coefficients": {term: _marginal(value, sampled) for term, value in found.coefficients.items()},
        "tau": _marginal(found.tau, sampled),
        **({"taus": {name: _marginal(value, sampled) for name, value in found.taus.items()}} if found.taus else {}),
        "new": _marginal(found.new, sampled),
        "studies": {label: _marginal(value, sampled) for label, value in found.studies.items()},
        "priors": _priors(found.priors),
    }
    if found.diagnostics:
        d = found.diagnostics
        data["diagnostics"] = {
            "sampler": d.sampler,
            "rhat": number(round(d.rhat, 4)),
            "ess_bulk": number(round(d.ess_bulk)),
            "ess_tail": number(round(d.ess_tail)),
            "divergences": d.divergences,
            "ebfmi": number(round(d.ebfmi, 3)),
            "ok": d.ok,
            "problems": list(d.problems),
        }
    else:
        data["log_evidence"] = number(found.log_evidence)
        data["quadrature_error"] = number(found.error)
    return data


def _all_evidence(item: SynthesisResult) -> dict[str, Any] | None:
    found = item.all_evidence
    if found is None:
        return None
    return {
        "reported": posterior(found.reported),
        "signs": posterior(found.signs),
        "rows": {
            one.row.id: {
                "says": one.says,
                "expected": number(one.expected),
                "mean_without": number(one.mean_without),
                "shift": number(one.shift),
                "shift_by_sign": number(one.shift_sign),
            }
            for one in found.contributions
        },
        "left_out": dict(found.partial.left_out),
    }


def _bayes(item: SynthesisResult) -> dict[str, Any] | None:
    if item.posterior is None:
        return None
    return {
        "exact": posterior(item.exact) if item.exact else None,
        "flat": posterior(item.flat) if item.flat else None,
        "nuts": posterior(item.nuts) if item.nuts else None,
        "minus_reml": minus_reml(item),
        **({"power_scaling": _power(item.power)} if item.power else {}),
        **({"other_priors": _others(item.other_priors)} if item.other_priors else {}),
        **({"before_and_after": _expectations(item)} if item.expectations else {}),
        "engines": [
            {
                "quantity": found.quantity,
                "exact": number(found.exact),
                "nuts": number(found.nuts),
                "distance_in_mcse": number(round(found.distance, 3)),
            }
            for found in item.agreement
        ],
    }


def _expectations(item: SynthesisResult) -> dict[str, Any]:
    """Limits, quartiles and median of each quantity before and after the data."""
    return {
        one.quantity: {"prior": [number(v) for v in one.before], "posterior": [number(v) for v in one.after]}
        for one in item.expectations
    }


def _power(found: PowerScaling) -> dict[str, Any]:
    """Cumulative Jensen-Shannon sensitivities of each quantity to prior and likelihood, and the verdict."""
    rows = found.frame[["prior", "likelihood"]].to_dict("index")
    return {
        "verdict": found.verdict,
        "sensitivity": {str(name): {key: number(round(v, 6)) for key, v in row.items()} for name, row in rows.items()},
    }


def _others(found: PriorSensitivity) -> dict[str, Any]:
    """The average under each prior on tau."""
    return {
        "verdict": found.verdict,
        "by_prior": {name: _marginal(post.mu, False) for name, post in found.posteriors.items()},
    }


def minus_reml(item: SynthesisResult) -> dict[str, dict[str, float | None]] | None:
    """Posterior mean minus REML estimate in REML standard errors, and the part that the prior on b makes."""
    if item.fit is None or item.posterior is None:
        return None
    found: dict[str, dict[str, float | None]] = {}
    for i, term in enumerate(item.fit.design.terms):
        se = float(item.fit.se[i]) or float("nan")
        found[term] = {
            "total": number((item.posterior.coefficients[term].mean - float(item.fit.beta[i])) / se),
            "prior_on_b": number(
                (item.posterior.coefficients[term].mean - item.flat.coefficients[term].mean) / se if item.flat else None
            ),
        }
    return found


def _directions(item: DirectionsResult) -> dict[str, Any]:
    return {
        "title": item.spec.title,
        "by": list(item.spec.by),
        "groups": item.groups,
        "without_sign": list(item.unsigned),
        "cells": [
            {
                "key": list(cell.key),
                "positive": cell.test.positive,
                "none": cell.test.none,
                "negative": cell.test.negative,
                "mixed": cell.test.mixed,
                "p": number(cell.test.p),
                "p_holm": number(cell.holm),
                "share": number(cell.test.share),
                "low": number(cell.test.low),
                "high": number(cell.test.high),
                "rows": [row.id for row in cell.rows],
            }
            for cell in item.cells
        ],
    }


def _claim(item: ClaimResult) -> dict[str, Any]:
    return {
        "verdict": item.verdict,
        "direct": dict(item.direct),
        "indirect": dict(item.indirect),
        "speaking": [row.id for row in item.speaking],
        "context": [row.id for row in item.context],
        "unknown": list(item.unknown),
    }
