"""Does an answer agree with R? Field by field, to the case's own relative tolerance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from catharsis.errors import CatharsisError
from golden_adapters.case import Case, Family, NotSupported

# The relative error of p is about statistic^2 ~ 2 |log p| times that of the statistic (Q = 800 has p = 1e-112).
P_FIELDS = frozenset(
    {
        "pval", "QMp", "QEp", "QSp", "QEp_Wld", "QEp_LRT", "MHp", "BDp", "TAp", "LRTp", "p_satt", "p_naive_t", "p_val",
        "p_saddle", "pval0", "pval_pb", "pval_het", "pval_alpha",
    }
)  # fmt: skip


TINY_P = 1e-300  # below this doubles lose digits, and p = 0 is as good

PROOF = re.compile(r"\(tests/[\w/]+\.py\)")  # the test that shows a disagreement to be R's

OUTCOMES = ("passed", "failed", "not supported", "known disagreement", "left out")


@dataclass
class Verdict:
    """The outcome of one case; `how` says in which way a case passed when not directly."""

    outcome: Literal["passed", "failed", "not supported", "known disagreement", "left out"]
    reasons: list[str] = field(default_factory=list)
    worst: float = 0.0
    worst_field: str = ""
    unanswered: list[str] = field(default_factory=list)
    how: str = ""


def judge(case: Case, family: Family | None) -> Verdict:
    """Answer a case and compare; an exception of catharsis is a failure unless R failed as well."""
    if family is None:
        return Verdict("not supported", ["no adapter for this family"])
    try:
        answer = family.answer(case)
    except NotSupported as reason:
        return Verdict("not supported", [str(reason)])
    except CatharsisError as problem:
        verdict, answer = Verdict("failed", [f"{type(problem).__name__}: {problem}"]), None
    except Exception as crash:  # one family's crash must not hide the other cases
        return Verdict("failed", [f"crash, {type(crash).__name__}: {crash}"])
    if case.status == "error":  # R failed; ours may answer or refuse, but not crash
        return Verdict("left out", [f"R: {case.entry.get('message')}"])
    if answer is not None:
        verdict = _fields(case, family, answer)
    if verdict.outcome == "passed":
        return verdict
    again = family.theirs(case) if answer is not None else None
    if again is not None:
        second = _fields(case, family, again[0])
        if second.outcome == "passed":
            second.how = again[1]
            return second
    known = family.known(case, verdict.reasons)
    if known:
        verdict.outcome, verdict.how = ("passed" if PROOF.search(known) else "known disagreement"), known
    return verdict


def _fields(case: Case, family: Family, answer: Mapping[str, Any]) -> Verdict:
    verdict = Verdict("passed")
    for name, expected in case.results.items():
        if name in family.about_r:
            continue
        if name in family.waiting:
            verdict.unanswered.append(name)
        elif name not in answer:
            verdict.reasons.append(f"{name}: no answer")
        else:
            _compare(name, expected, answer[name], family.scale(case, name), case.rtol, verdict)
    verdict.outcome = "failed" if verdict.reasons else "passed"
    return verdict


def _compare(name: str, expected: Any, found: Any, scale: Any, rtol: float, verdict: Verdict) -> None:
    if found is ...:
        verdict.unanswered.append(name)
    elif isinstance(expected, Mapping):
        for key, value in expected.items():
            if key not in found:
                verdict.reasons.append(f"{name}.{key}: no answer")
            else:
                inner = scale.get(key, 0.0) if isinstance(scale, Mapping) else scale
                _compare(f"{name}.{key}", value, found[key], inner, rtol, verdict)
    elif isinstance(expected, list):
        values = list(found) if np.ndim(found) else [found]
        if len(values) != len(expected):
            verdict.reasons.append(f"{name}: {len(values)} values, R has {len(expected)}")
            return
        scales = list(scale) if np.ndim(scale) else [scale] * len(values)
        for i, (value, ours) in enumerate(zip(expected, values, strict=True)):
            _compare(f"{name}[{i}]", value, ours, scales[i], rtol, verdict)
    elif expected is None:
        if found is not None and (isinstance(found, str) or np.isfinite(np.asarray(found, dtype=float)).any()):
            verdict.reasons.append(f"{name}: {found}, R has none")
    elif isinstance(expected, str):
        if found != expected:
            verdict.reasons.append(f"{name}: {found!r}, R has {expected!r}")
    elif found is None or not np.isfinite(found):
        verdict.reasons.append(f"{name}: {found}, R has {expected}")
    else:
        _number(name, float(expected), float(found), float(scale), rtol, verdict)


def _number(name: str, expected: float, found: float, scale: float, rtol: float, verdict: Verdict) -> None:
    gap = abs(found - expected)
    allowed, steep = rtol * (abs(expected) + scale), 1.0
    if name.split(".")[-1].split("[")[0] in P_FIELDS and expected > 0:
        steep = 1 + 2 * abs(np.log(expected))
        allowed, scale = max(rtol * expected * steep, TINY_P), TINY_P
    if abs(expected) > scale:
        relative = gap / abs(expected) / steep
        if relative > verdict.worst:
            verdict.worst, verdict.worst_field = relative, name
    if gap > allowed:
        verdict.reasons.append(f"{name}: {found!r}, R has {expected!r} (gap {gap:.1e}, allowed {allowed:.1e})")
