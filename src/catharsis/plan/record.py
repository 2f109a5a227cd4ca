"""Results as plain data: results.json, stable-keyed so that two runs can be diffed.

Everything stands in the order of the plan and of the table; there is no time, no path of this machine, and no line
number that a study inserted above would move. Other processors, libraries and numbers of threads add in another order,
and the last digits differ: at most by 1e-13 of a number, or of its standard error where it lies near zero, between the
oldest and the newest instruction sets of OpenBLAS and numpy. The digits that are kept here are the same everywhere.
"""

from __future__ import annotations

import math
from typing import Any

from catharsis import __version__
from catharsis.assess.power_scaled import PowerScaling
from catharsis.assess.prior_comparison import PriorSensitivity
from catharsis.bayes.posterior import Marginal, Posterior
from catharsis.bayes.priors import Priors
from catharsis.effects.prepare import EffectSize
from catharsis.errors import InputError
from catharsis.models.result import Fit
from catharsis.models.wald import Wald
from catharsis.plan.inputs import code_hash, file_hashes, inputs_hash
from catharsis.plan.results import ClaimResult, DirectionsResult, FamilyResult, Results, SynthesisResult

SCHEMA = "catharsis/results@1"
DIGITS = 10  # significant digits kept of computed numbers; a thousand times coarser than what machines differ by
MIN_ERROR = 1e-12  # quadrature errors below are rounding, and differ between machines
SAMPLED_DIGITS = 6  # significant digits kept of sampled numbers; far below their Monte Carlo error


def record(results: Results) -> dict[str, Any]:
    """Everything in `results` as JSON-ready data; missing numbers are null.

    Returns
    -------
    dict
        Keys: schema, catharsis, analysis, inputs, code, sampled, reportable, problems, families, syntheses,
        directions, claims, effects, warnings, waived.
    """
    files = file_hashes(results.plan)
    return {
        "schema": SCHEMA,
        "catharsis": __version__,
        "analysis": results.plan.name,
        "title": results.plan.file.title,
        "evidence_to": results.plan.file.evidence_to,
        "inputs": {"sha256": inputs_hash(results.plan), "files": files, "effects": len(results.table)},
        "code": {"sha256": code_hash()},
        "sampled": any(item.nuts is not None for item in results.syntheses),
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
                "sizes": {scale: _size(size) for scale, size in results.sizes[row.id].items()},
            }
            for row in results.table
        },
        "warnings": [_line(results, problem) for problem in results.warnings],
        "waived": [
            {"effect": one.row.id, **one.waiver.model_dump(), "finding": one.problem.what} for one in results.waived
        ],
    }


def number(value: float | None, spread: float | None = 0.0) -> float | None:
    """A float for JSON with the digits that every machine agrees on; null when there is none.

    Parameters
    ----------
    value : float or None
        The number.
    spread : float or None
        Its standard error or the like: a number near zero is no more exact than that.

    Returns
    -------
    float or None

    Examples
    --------
    >>> number(1 / 3), number(1.23456789012e-7, spread=0.5), number(float("nan"))
    (0.3333333333, 1.235e-07, None)
    """
    if value is None or not math.isfinite(value):
        return None
    size = max(abs(value), abs(spread) if spread is not None and math.isfinite(spread) else 0.0)
    return round(float(value), DIGITS - 1 - math.floor(math.log10(size))) + 0.0 if size > 0 else 0.0  # no -0.0


def _line(results: Results, problem: InputError) -> str:
    """A warning in one line, without the folder that it was read from."""
    return f"{problem.rule}: {problem.what}".replace(f"{results.plan.folder.as_posix()}/", "")


def _bound(error: float) -> float | None:
    """A quadrature error to one digit, and no smaller than rounding."""
    return float(f"{max(error, MIN_ERROR):.0e}") if math.isfinite(error) else None


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
    spread = _headline_spread(item)
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
            "estimate": number(estimate, spread),
            "low": number(low, spread),
            "high": number(high, spread),
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
        **({"by_rho": {f"{rho:g}": _fit(model) for rho, model in item.by_rho}} if item.by_rho else {}),
        "robust": _robust(item),
        "bayes": _bayes(item),
        **({"all_evidence": _all_evidence(item)} if item.all_evidence else {}),
        "published": [
            {
                "cite": found.published.cite,
                "estimate": found.published.estimate,
                "interval": list(found.published.interval) if found.published.interval else None,
                "method": found.method,
                "ours": [number(x, found.high - found.low) for x in (found.estimate, found.low, found.high)],
                "gap": number(found.gap, found.high - found.low),
            }
            for found in item.comparisons
        ],
        "notes": list(item.notes),
    }


def _headline_spread(item: SynthesisResult) -> float:
    """Standard error or deviation of the headline, by which it is rounded wherever it stands."""
    if item.fit is None:
        return math.sqrt(item.single.vi) if item.single else math.nan
    if item.gate.headline == "bayes" and item.posterior is not None:
        return item.posterior.mu.sd
    return float(item.fit.se[0])


def _fit(model: Fit) -> dict[str, Any]:
    low, high = model.interval()
    se = model.se
    rest = float(max(se)) ** 2  # a variance component that is nothing beside the sampling variances is 0
    found: dict[str, Any] = {
        "method": model.method,
        "test": model.test,
        "df": number(model.df),
        "coefficients": {
            term: {
                "estimate": number(model.beta[i], se[i]),
                "se": number(se[i]),
                "low": number(low[i], se[i]),
                "high": number(high[i], se[i]),
                "p": number(float(model.pvalues.iloc[i])),
            }
            for i, term in enumerate(model.design.terms)
        },
        "tau2": number(model.tau2, rest),
        "sigma2": {name: number(value, rest) for name, value in model.sigma2.items()},
        "I2": number(model.I2, 1.0),
        "H2": number(model.H2, 1.0),
        "Q": _wald(model.QE),
        "QM": _wald(model.QM),
        "llf": number(model.llf),
        "knapp_hartung": number(model.scale),
    }
    if model.blocks.factors == ("effect",) and model.df_resid > 0:
        found["tau2_interval"] = [number(limit, rest) for limit in model.confint_heterogeneity()]
    if model.blocks.p == 1:
        new = model.predict(pi_df=prediction_df(model))
        wide = new.pi_high - new.pi_low
        found["prediction"] = {
            "low": number(new.pi_low, wide), "high": number(new.pi_high, wide), "df": prediction_df(model)
        }  # fmt: skip
    for factor in model.design.factors:
        found.setdefault("level_means", {})[factor] = _table(model.level_means(factor))
        found.setdefault("contrasts", {})[factor] = _table(model.contrasts(factor))
    return found


def prediction_df(model: Fit) -> int:
    """Degrees of freedom of the report's prediction interval: clusters (or effects) - p - 1 [@higgins2009]."""
    groups = len(set(model.codes[model.blocks.factors[0]].tolist())) if model.codes else model.nobs
    return groups - model.blocks.p - 1


def _table(frame: Any) -> dict[str, Any]:
    """Rows of estimates; all but p values are no more exact than their standard error."""
    return {
        str(index): {
            str(name): number(float(value), 0.0 if name == "p" else float(row.get("se", 0.0)))
            for name, value in row.items()
        }
        for index, row in frame.iterrows()
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
                "low": number(low[i], item.robust.se[i]),
                "high": number(high[i], item.robust.se[i]),
                "p_hidden": bool(item.robust.hide_p[i]),
            }
            for i, term in enumerate(item.robust.terms)
        },
        "htz": _wald(item.robust.wald(chosen)),
    }


def _marginal(found: Marginal, sampled: bool, level: float = 0.95) -> dict[str, Any]:
    """A posterior's summary; of a sampled one fewer digits, and the Monte Carlo error of every number."""
    if not sampled:
        data = {name: number(getattr(found, name), found.sd) for name in ("mean", "median", "low", "high")}
        order = ("mean", "sd", "median", "low", "high", "positive")
        return {name: data[name] if name in data else number(getattr(found, name)) for name in order}
    names = ("mean", "sd", "median", "low", "high", "positive")
    data = {name: _sampled(getattr(found, name)) for name in names}
    tail = (1 - level) / 2
    errors = {
        "sd": found.mcse_sd,
        **{name: found.mcse_quantile(p) for name, p in (("median", 0.5), ("low", tail), ("high", 1 - tail))},
        "positive": _share_error(found),
    }
    return {**data, "mcse": _sampled(found.mcse), "mcse_of": {name: _sampled(error) for name, error in errors.items()}}


def _sampled(value: float) -> float | None:
    return float(f"{value:.{SAMPLED_DIGITS}g}") if math.isfinite(value) else None


def _share_error(found: Marginal) -> float:
    """Monte Carlo error of P(quantity > 0); a share of none or all of n draws is uncertain by about 1/n."""
    values = getattr(found.law, "values", None)
    if values is None:
        return math.nan
    import arviz as az

    above = (values > 0).astype(float)
    share = float(above.mean())
    if not 0 < share < 1:
        return 1.0 / float(above.size)
    return max(math.sqrt(share * (1 - share) / float(az.ess(above, method="mean"))), 1.0 / float(above.size))


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
        "coefficients": {term: _marginal(value, sampled, found.level) for term, value in found.coefficients.items()},
        "tau": _marginal(found.tau, sampled, found.level),
        **(
            {"taus": {name: _marginal(value, sampled, found.level) for name, value in found.taus.items()}}
            if found.taus
            else {}
        ),
        "new": _marginal(found.new, sampled, found.level),
        "studies": {label: _marginal(value, sampled, found.level) for label, value in found.studies.items()},
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
        data["quadrature_error"] = _bound(found.error)
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
                "shift": number(one.shift, 1.0),  # in posterior standard deviations
                "shift_by_sign": number(one.shift_sign, 1.0),
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
            "total": number((item.posterior.coefficients[term].mean - float(item.fit.beta[i])) / se, 1.0),
            "prior_on_b": number(
                (item.posterior.coefficients[term].mean - item.flat.coefficients[term].mean) / se
                if item.flat
                else None,
                1.0,
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
