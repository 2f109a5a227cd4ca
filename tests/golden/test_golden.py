"""Do we give the numbers that R gives? Every case of every golden file, by family."""

from collections import Counter
from dataclasses import replace
from unittest.mock import ANY

import numpy as np
from golden_adapters import FAMILIES, OUTCOMES, Verdict, judge

# R's own values are trusted to the case's rtol; these are the worst errors among the shipped cases that pass, an order
# of magnitude inside it, so that a loss of digits shows before it becomes a failure. Cause: rounding; for rma.mv.sigma
# R's optimiser stops early (rtol 1e-3).
WORST = {
    "rma.uni": 1e-9,
    "rma.uni.mods": 1e-9,
    "confint.tau2": 1e-9,
    "blup": 1e-9,
    "robust.uni": 1e-9,
    "robust.mv": 1e-7,
    "rma.mv.sigma": 1e-6,
}


def test_family(golden_cases, golden_report, everything_counts):
    golden_family = golden_cases[0].family
    verdicts = [(case, judge(case, FAMILIES.get(golden_family))) for case in golden_cases]
    row = golden_report[golden_family] = summary(verdicts)
    assert not row["failures"], f"{row['failed']} of {row['cases']} cases differ: {first(row['failures'])}"
    if everything_counts:
        assert not row["not_supported"], (
            f"{row['not_supported']} of {row['cases']} cases are not supported: {row['waiting']}"
        )
    elif golden_family in WORST:
        assert row["worst_relative_error"] <= WORST[golden_family], row["worst_case"]


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
    """The runner itself: every number of a case, moved by 30 tolerances, must be reported."""
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
        moved = number + 30 * case.rtol * unit
        results = {**case.results, name: [moved, *value[1:]] if isinstance(value, list) else moved}
        verdict = judge(replace(case, entry={**case.entry, "results": results}), family)
        assert any(reason.startswith(name) for reason in verdict.reasons), name
