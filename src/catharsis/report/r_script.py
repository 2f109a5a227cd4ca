"""A standalone R script that repeats the frequentist results with metafor, on data that stand in the script.

What metafor cannot repeat (posteriors, evidence without numbers, counted signs, cluster-robust intervals) is named in
the script with the reason, never left out in silence.
"""

from __future__ import annotations

import numpy as np

from catharsis.assess import gates
from catharsis.likelihood.design import codes
from catharsis.models.result import Fit
from catharsis.plan.frequentist import SynthesisFits, frequentist_fits, random_factors, samples_repeat
from catharsis.plan.spec import Plan, Synthesis
from catharsis.report.numbers import count
from catharsis.report.r_literals import r_comment, r_names, r_number, r_string, r_vector
from catharsis.studies.table import StudyTable

# One variance, several variances, and those variances themselves. The largest gaps with metafor 3.8, among 7,000
# numbers of made data sets, were 1e-9, 2e-5 and 4e-5.
TOLERANCES = {"one": 1e-6, "several": 1e-4, "variances": 1e-3}
ITERATED = ("ML", "REML", "EB", "PM", "PMM", "SJ")

HEAD = """\
if (!requireNamespace("metafor", quietly = TRUE)) {
  stop("this script needs the package metafor: install.packages(\\"metafor\\")")
}
suppressPackageStartupMessages(library(metafor))

# Two numbers are called equal when they differ by less than a share of their scale: of the standard error for
# estimates, limits and standard errors, of Q itself, of the variance plus the typical sampling variance for variances.
# Models with one variance are solved to many digits; with several the likelihood is flat and optimisers stop early.
tolerance <- c(@TOLERANCES@)
compared <- data.frame()

compare <- function(synthesis, what, catharsis, metafor, scale, allowed) {
  if (length(catharsis) != length(metafor)) {
    stop(synthesis, ", ", what[1], ": catharsis has ", length(catharsis), " numbers, metafor ", length(metafor))
  }
  metafor <- as.vector(metafor)
  gap <- ifelse(catharsis == metafor, 0, abs(catharsis - metafor) / scale)
  rows <- data.frame(
    synthesis = synthesis, what = what, catharsis = catharsis, metafor = metafor, gap = gap, allowed = allowed
  )
  compared <<- rbind(compared, rows)
}

# The numbers of catharsis beside those of a fit by metafor. limits = FALSE where the tests differ by design; together
# numbers the variances of which only the sum is known, because their factors group the effects in the same way.
compare_fit <- function(synthesis, fit, terms, estimate, se, lower, upper, Q, variances, typical, limits = TRUE,
                        together = NULL) {
  scale <- ifelse(se > 0, se, 1)
  several <- inherits(fit, "rma.mv")
  allowed <- unname(tolerance[if (several) "several" else "one"])
  compare(synthesis, paste(terms, "estimate"), estimate, fit$beta, scale, allowed)
  if (limits) {
    compare(synthesis, paste(terms, "standard error"), se, fit$se, scale, allowed)
    compare(synthesis, paste(terms, "lower limit"), lower, fit$ci.lb, scale, allowed)
    compare(synthesis, paste(terms, "upper limit"), upper, fit$ci.ub, scale, allowed)
  }
  if (!is.na(Q)) compare(synthesis, "Q", Q, fit$QE, max(Q, 1), allowed)
  theirs <- if (several) fit$sigma2 else fit$tau2
  if (!is.null(together)) theirs <- tapply(theirs, together, sum)
  allowed <- unname(tolerance[if (several) "variances" else "one"])
  what <- paste("variance of", names(variances))
  compare(synthesis, what, unname(variances), theirs, unname(variances) + typical, allowed)
}

# metafor iterates from its own start; when that ends nowhere, or below a likelihood that is known to be reached, it
# tries again with other settings and at last from the estimate of catharsis.
settle <- function(fit, controls, loglik = NA) {
  best <- NULL
  for (control in controls) {
    found <- tryCatch(suppressWarnings(fit(control)), error = function(problem) problem)
    if (!inherits(found, "rma")) {
      said <- conditionMessage(found)
      next
    }
    reached <- if (is.na(loglik)) NA else as.numeric(logLik(found))
    if (is.na(reached) || reached > loglik - 1e-8 * (1 + abs(loglik))) {
      return(found)
    }
    if (is.null(best) || reached > as.numeric(logLik(best))) best <- found
  }
  if (is.null(best)) stop("metafor could not fit this model: ", said)
  best
}
uni_controls <- function(start, typical) {
  scale <- start + typical
  strict <- list(threshold = 1e-9 * scale, maxiter = 10000, tol = 1e-10 * scale, tau2.max = max(100, 100 * start))
  list(strict, c(strict, stepadj = 0.5), c(strict, tau2.init = start))
}
mv_controls <- function(start) {
  strict <- list(rel.tol = 1e-12, iter.max = 10000, eval.max = 10000)
  simplex <- list(optimizer = "optim", optmethod = "Nelder-Mead", maxit = 20000, reltol = 1e-14)
  ours <- list(sigma2.init = start)
  list(strict, list(), simplex, c(ours, strict), c(ours, simplex))
}
""".replace("@TOLERANCES@", ", ".join(f"{name} = {value:g}" for name, value in TOLERANCES.items()))

TAIL = """\
options(width = 200)
print(compared, digits = 7, row.names = FALSE)
far <- compared[is.na(compared$gap) | compared$gap > compared$allowed, ]
if (nrow(far) > 0) {
  which <- paste(far$synthesis, far$what, sep = ": ")
  stop(
    nrow(far), " of ", nrow(compared), " numbers differ from those of catharsis by more than the tolerance: ",
    paste(head(which, 5), collapse = "; ")
  )
}
worst <- format(max(0, compared$gap), digits = 2)
cat("All", nrow(compared), "numbers agree; the largest gap is", worst, "of the scale.\\n")
"""


def r_script(plan: Plan, table: StudyTable) -> str:
    """The script.

    Parameters
    ----------
    plan, table : Plan, StudyTable
        A checked analysis.

    Returns
    -------
    str
        ASCII; it stops with a message when a number differs from ours by more than its tolerance.

    Raises
    ------
    InputErrors
        When rows of a synthesis cannot be combined.

    References
    ----------
    [@viechtbauer2010a]
    """
    parts = [_title(plan), HEAD]
    for i, spec in enumerate(plan.file.syntheses):
        parts.append(_synthesis(plan, frequentist_fits(plan, table, spec, i), i + 1))
    if plan.file.directions:
        parts.append(_directions(plan))
    return "\n".join([*parts, "# " + "-" * 100, TAIL])


def _title(plan: Plan) -> str:
    text = (
        "Repeats the frequentist results of this analysis with the R package metafor. The data stand below; nothing is "
        "read or downloaded. Run it with Rscript: it prints every number of catharsis beside metafor's and stops with "
        "a message when one differs. Effects are those that entered, turned so that positive is the positive word."
    )
    return "\n".join([r_comment(plan.file.title), "#", r_comment(text, rest="# "), ""])


def _directions(plan: Plan) -> str:
    titles = "; ".join(spec.title for spec in plan.file.directions)
    return r_comment(f"Not repeated here: counts of directions ({titles}). They are sign tests of what papers say "
                     "without numbers, not a model that metafor fits.") + "\n"  # fmt: skip


# -- one synthesis ------------------------------------------------------------------------------------


def _synthesis(plan: Plan, fits: SynthesisFits, number: int) -> str:
    """Comments, data, fits and comparisons of one synthesis."""
    spec, effects = fits.spec, fits.effects
    lines = ["# " + "-" * 100, r_comment(f"{spec.id}: {spec.title}"), *_remarks(plan, fits)]
    if not len(effects):
        return "\n".join([*lines, ""])
    if fits.fit is None and (len(effects) > 1 or fits.why):
        return "\n".join([*lines, ""])
    names = r_names(_columns(fits))
    lines += ["", _data(fits, names, number)]
    if fits.fit is None:
        lines.append(_single(plan, fits, number))
    for model, name in _models(fits):
        lines.append(_fitted(plan, spec, fits, model, name, names, number))
    return "\n".join([*lines, ""])


def _models(fits: SynthesisFits) -> list[tuple[Fit, str]]:
    """Every fit with the name that the comparison prints, the headline first."""
    if fits.fit is None:
        return []
    found = [(fits.fit, fits.spec.id)]
    return found + [(model, f"{fits.spec.id} ({other.method}, {other.test})") for other, model in fits.others]


def _remarks(plan: Plan, fits: SynthesisFits) -> list[str]:
    """What this synthesis leaves out, and what metafor cannot repeat."""
    spec, effects = fits.spec, fits.effects
    gate = gates.gate(effects.samples, effects.reports, fits.fit.blocks.p - 1 if fits.fit else int(fits.moderated))
    said = []
    if effects.left_out:
        reasons = sorted(set(effects.left_out.values()))
        said.append(f"{len(effects.left_out)} selected rows carry no number for it: {'; '.join(reasons)}.")
    if not len(effects):
        said.append("Not repeated: no row carries numbers for it.")
    elif fits.fit is None and (len(effects) > 1 or fits.why):
        why = fits.why or "; ".join(withheld.why for withheld in gate.withheld) or "the rows carry no fit"
        said.append(f"Not repeated: catharsis fits no model here ({why}).")
    elif fits.fit is None:
        said.append("One effect: nothing is pooled, only its interval is repeated.")
    if fits.fit is not None and gate.headline == "bayes":
        said.append(
            f"Not repeated: with {count(effects.samples, 'sample')} the report leads with a posterior, which metafor "
            "does not compute. The frequentist fit beside it is repeated."
        )
    if fits.fit is not None and spec.partial is not None:
        said.append(
            "Not repeated: the synthesis of all evidence. Rows that report only a sign or a verdict enter through "
            "the probability of what they report, which metafor has no model for."
        )
    if fits.fit is not None and fits.fit.test == "kr":
        said.append("Not repeated: the Kenward-Roger interval, which metafor does not have; estimate and tau^2 are.")
    if fits.fit is not None and (random_factors(spec, effects) or spec.cluster):
        said.append("Not repeated: cluster-robust (CR2) intervals, which need a further package (clubSandwich).")
    return [r_comment(text) for text in said]


def _columns(fits: SynthesisFits) -> list[str]:
    """Columns that the models name beside yi and vi."""
    random = (random_factors(fits.spec, fits.effects) or "").split("/")
    moderators = list(fits.fit.design.columns) if fits.fit and _plain_formula(fits.spec, fits.fit) else []
    wanted = [*moderators, *(column.strip() for column in random)]
    return list(dict.fromkeys(column for column in wanted if column and column != "effect"))


def _plain_formula(spec: Synthesis, model: Fit) -> bool:
    """Whether R builds the same columns from the formula: names joined by +, nothing else."""
    parts = _formula_parts(spec)
    return bool(parts) and len(set(parts)) == len(parts) and all(part in model.design.columns for part in parts)


def _formula_parts(spec: Synthesis) -> list[str]:
    right = (spec.moderators or "").split("~", 1)[-1]
    return [part.strip() for part in right.split("+") if part.strip() not in ("", "1")]


def _data(fits: SynthesisFits, names: dict[str, str], number: int) -> str:
    """The effects as a data frame, and the model matrix where a formula means something else in R."""
    rows, sizes, model = fits.effects.rows, fits.effects.sizes, fits.fit
    columns: list[tuple[str, str]] = [
        ("effect", r_vector([row.id for row in rows])),
        ("label", r_vector([str(row.get(fits.spec.label) or row.get("study")) for row in rows])),
        ("yi", r_vector([size.yi for size in sizes])),
        ("vi", r_vector([size.vi for size in sizes])),
    ]
    factors = model.design.factors if model else {}
    for column, name in names.items():
        values = [row.get(column) for row in rows]
        if model is not None and column in model.design.columns and column in factors:
            order = r_vector(list(factors[column]))
            text = f"factor({r_vector([str(value) for value in values])}, levels = {order})"
        elif model is not None and column in model.design.columns:
            text = r_vector([float(value) for value in values])
        else:
            text = r_vector([None if value is None else str(value) for value in values])
        columns.append((name, text))
    renamed = [f"{name} is {column}" for column, name in names.items() if name != column]
    lines = [r_comment("Renamed for R: " + "; ".join(renamed))] if renamed else []
    lines += [f"data_{number} <- data.frame(", ",\n".join(f"  {name} = {text}" for name, text in columns), ")"]
    if model is not None and not np.all(model.blocks.X == 1) and not _plain_formula(fits.spec, model):
        lines += [
            r_comment(f"The columns of the formula {fits.spec.moderators} as catharsis builds them"),
            f"X_{number} <- cbind(",
            ",\n".join(
                f"  {r_string(term)} = {r_vector(model.design.X[:, j].tolist())}"
                for j, term in enumerate(model.design.terms)
            ),
            ")",
        ]
    return "\n".join(lines)


def _single(plan: Plan, fits: SynthesisFits, number: int) -> str:
    """One effect and its normal interval."""
    from catharsis.numerics import critical_value

    size, level = fits.effects.sizes[0], plan.file.level
    se = size.vi**0.5
    reach = float(critical_value(level)) * se
    call = f'rma.uni(yi, vi, data = data_{number}, method = "EE", level = {r_number(100 * level)})'
    who, found = r_string(fits.spec.id), f"fit_{number}"
    limits = r_vector([size.yi - reach, size.yi + reach])
    what = r_vector(["lower limit", "upper limit"])
    theirs = f"c({found}$ci.lb, {found}$ci.ub)"
    return f"{found} <- {call}\ncompare({who}, {what}, {limits}, {theirs}, {r_number(se)}, tolerance[[1]])"


def _fitted(
    plan: Plan, spec: Synthesis, fits: SynthesisFits, model: Fit, name: str, names: dict[str, str], number: int
) -> str:
    """One call of metafor and the numbers to hold against it."""
    random = random_factors(spec, fits.effects)
    call = _call(plan, fits, model, names, number, random)
    likely = model.method in ("ML", "REML") and np.isfinite(model.llf)
    return "\n".join([
        f"fit_{number} <- settle(",
        f"  function(control) {call},",
        f"  {_controls(model, random)}" + (f", loglik = {r_number(model.llf)}" if likely else ""),
        ")",
        _comparison(model, name, f"fit_{number}", random),
    ])  # fmt: skip


def _call(plan: Plan, fits: SynthesisFits, model: Fit, names: dict[str, str], number: int, random: str | None) -> str:
    """The call of metafor that asks for the same model."""
    options = ["yi", "vi"]
    if _plain_formula(fits.spec, model):
        options.append("mods = ~ " + " + ".join(names[column] for column in _formula_parts(fits.spec)))
    elif not np.all(model.blocks.X == 1):
        options += [f"mods = X_{number}", "intercept = FALSE"]
    if random:
        inner = "/".join("effect" if part.strip() == "effect" else names[part.strip()] for part in random.split("/"))
        options.append(f"random = ~ 1 | {inner}")
    no_freedom = not random and model.blocks.k == model.blocks.p  # tau^2 is set to 0 then
    options += [
        f"data = data_{number}",
        f"method = {r_string('EE' if no_freedom else model.method)}",
        f"test = {r_string('z' if model.test == 'kr' else model.test)}",
    ]
    if random and model.test == "t":
        options.append('dfs = "contain"' if samples_repeat(fits.spec, fits.effects) else 'dfs = "residual"')
    options += [f"level = {r_number(100 * plan.file.level)}", "control = control"]
    return f"{'rma.mv' if random else 'rma.uni'}({', '.join(options)})"


def _controls(model: Fit, random: str | None) -> str:
    """Settings to try in turn; estimators in closed form need none."""
    if random:
        floor = 1e-6 * model.typical_variance  # metafor starts from positive variances
        return f"mv_controls({r_vector([max(float(value), floor) for value in model.theta.tolist()])})"
    return (
        f"uni_controls({r_number(model.tau2)}, {r_number(model.typical_variance)})"
        if model.method in ITERATED
        else "list(list())"
    )


def _same_grouping(model: Fit) -> list[int]:
    """A number for each random factor; factors that group the effects in the same way share one."""
    partitions = [tuple(codes(model.codes[name].tolist()).tolist()) for name in model.blocks.factors]
    return [partitions.index(partition) + 1 for partition in partitions]


def _comparison(model: Fit, name: str, found: str, random: str | None) -> str:
    """Estimates, standard errors, limits, Q and variances."""
    low, high = model.interval()
    terms = ["average" if term == "intercept" and len(model.design.terms) == 1 else term for term in model.design.terms]
    groups = _same_grouping(model) if random else [1]
    factors = list(model.blocks.factors) if random else ["effects"]
    values = model.theta.tolist() if random else [model.tau2]
    variances = {
        " and ".join(name for name, group in zip(factors, groups, strict=True) if group == wanted): sum(
            value for value, group in zip(values, groups, strict=True) if group == wanted
        )
        for wanted in dict.fromkeys(groups)
    }
    q = model.QE.statistic if model.df_resid > 0 else float("nan")
    given = {
        "terms": r_vector(terms, 4),
        "estimate": r_vector(model.beta.tolist(), 4),
        "se": r_vector(np.asarray(model.se).tolist(), 4),
        "lower": r_vector(low.tolist(), 4),
        "upper": r_vector(high.tolist(), 4),
        "Q": r_number(q) if np.isfinite(q) else "NA",
        "variances": "c(" + ", ".join(f"{r_string(key)} = {r_number(value)}" for key, value in variances.items()) + ")",
        "typical": r_number(model.typical_variance),
    }
    if model.test == "kr":
        given["limits"] = "FALSE"
    if len(variances) < len(groups):
        given["together"] = r_vector(groups)
    lines = ",\n".join(f"  {key} = {value}" for key, value in given.items())
    return f"compare_fit({r_string(name)}, {found},\n{lines}\n)"
