"""Do we give the numbers that R gives? Every case of every golden file, by family."""

from collections import Counter
from dataclasses import replace
from unittest.mock import ANY

import numpy as np
from golden_adapters import FAMILIES, OUTCOMES, Verdict, judge

# R's own values are trusted to the case's rtol (1e-6 mostly, 1e-3 for GLMMs); these are the worst errors among the
# everyday cases that pass field by field, rounded up to a power of ten, so that a loss of digits shows before it
# becomes a failure. Cause, where it is not rounding: an optimiser, quadrature or root search of R that stops early.
WORST = {
    "aggregate": 1e-12, "anova.lrt": 1e-10, "anova.wald": 1e-8, "baujat": 1e-10, "bayesmeta": 1e-12, "blup": 1e-8,
    "bmr": 1e-1, "confint.mv": 1e-3, "confint.tau2": 1e-8, "conv": 1e-12, "cumul": 1e-10, "diagnostics": 1e-8,
    "diagnostics.mv": 1e-3, "escalc": 1e-10, "fsn": 1e-5, "hc": 1e-3, "influence": 1e-7, "leave1out": 1e-10,
    "limitmeta": 1e-12, "location_scale": 1e-4, "metabias": 1e-5, "metagen": 1e-12, "permutest": 1e-12,
    "pet_peese": 1e-12, "profile.tau2": 1e-11, "puni_star": 1e-3, "puniform": 1e-4, "ranef.mv": 1e-3,
    "ranktest": 1e-12, "rcalc": 1e-12, "regtest": 1e-7, "rma.glmm": 1e-5, "rma.mh": 1e-12, "rma.mv.sigma": 1e-6,
    "rma.mv.struct": 1e-3, "rma.peto": 1e-12, "rma.uni": 1e-10, "rma.uni.edge": 1e-10, "rma.uni.mods": 1e-8,
    "robumeta": 1e-12, "robust.mv": 1e-4, "robust.uni": 1e-12, "selmodel": 1e-2, "tes": 1e-4, "transf": 1e-12,
    "trimfill": 1e-6, "vif": 1e-11, "weightr": 1e-4,
}  # fmt: skip
ENOUGH = 0.98  # share of a family's cases that must pass (issue 3)


def test_family(golden_cases, golden_report, everyday):
    golden_family = golden_cases[0].family
    verdicts = [(case, judge(case, FAMILIES.get(golden_family))) for case in golden_cases]
    row = golden_report[golden_family] = summary(verdicts)
    missing = f"{row['passed']} of {row['cases']} pass; not supported: {row['waiting']}; {first(row['failures'])}"
    assert row["passed"] >= (1.0 if everyday else ENOUGH) * row["cases"], missing
    if everyday:
        assert row["worst_relative_error"] <= WORST[golden_family], row["worst_case"]


def test_every_family_has_a_worst_error():
    assert set(WORST) == set(FAMILIES)


def summary(verdicts):
    """One row of the report: counts, the worst relative error among passed cases, and everything that is not passed."""
    count = Counter(verdict.outcome for _, verdict in verdicts)
    passed = [
        (verdict.worst, f"{case.id} {verdict.worst_field}")
        for case, verdict in verdicts
        if verdict.outcome == "passed" and not verdict.how
    ]
    worst, where = max(passed, default=(0.0, ""))
    return {
        "cases": len(verdicts) - count["left out"],
        **{outcome.replace(" ", "_"): count[outcome] for outcome in OUTCOMES},
        "worst_relative_error": worst,
        "worst_case": where,
        "waiting": dict(Counter(verdict.reasons[0] for _, verdict in verdicts if verdict.outcome == "not supported")),
        "failures": {case.id: verdict.reasons for case, verdict in verdicts if verdict.outcome == "failed"},
        "known": {case.id: verdict.how for case, verdict in verdicts if verdict.outcome == "known disagreement"},
        "passed_because": {
            case.id: verdict.how for case, verdict in verdicts if verdict.outcome == "passed" and verdict.how
        },
        "unanswered_fields": dict(Counter(name for _, verdict in verdicts for name in verdict.unanswered)),
    }


def first(failures, many=3):
    """The first few failures, one line each."""
    return "\n".join(f"{case}: {reasons[0]}" for case, reasons in list(failures.items())[:many])


def test_a_wrong_number_is_seen(shipped_cases):
    """The runner itself: every number of a case, moved up or down by 30 tolerances, must be reported.

    One direction is enough: a statistic whose refit R made badly is accepted on one side.
    """
    family = FAMILIES.get(shipped_cases[0].family)
    passing = (case for case in shipped_cases if family and judge(case, family) == Verdict("passed", [], ANY, ANY, ANY))
    case = next(passing, None)
    if family is None or case is None:  # a family that waits, or whose shipped cases all wait
        return
    for name, value in case.results.items():
        number = value[0] if isinstance(value, list) and value else value
        if name in family.about_r or name in family.waiting or not isinstance(number, float) or abs(number) < 1e-3:
            continue
        unit = abs(number) + np.ravel(family.scale(case, name))[0]
        assert any(is_seen(case, name, sign * 30 * case.rtol * unit) for sign in (1, -1)), name


def is_seen(case, name, shift):
    """Whether a case fails on a field whose first number is shifted."""
    value = case.results[name]
    results = {**case.results, name: [value[0] + shift, *value[1:]] if isinstance(value, list) else value + shift}
    verdict = judge(replace(case, entry={**case.entry, "results": results}), FAMILIES[case.family])
    return any(reason.startswith(name) for reason in verdict.reasons)
