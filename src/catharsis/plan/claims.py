"""Each claim of the source against the rows that bear on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catharsis.effects.prepare import effect_size_of
from catharsis.effects.routes import Scale
from catharsis.errors import InputError, did_you_mean
from catharsis.numerics import critical_value
from catharsis.plan.results import ClaimResult
from catharsis.plan.spec import Claim, Plan
from catharsis.studies.selection import compile_rows
from catharsis.studies.table import COLUMNS, Row, StudyTable

SCALES: tuple[Scale, ...] = ("correlation", "raw", "standardised", "RD")


def judge_claims(plan: Plan, table: StudyTable) -> tuple[tuple[ClaimResult, ...], tuple[InputError, ...]]:
    """Tally every claim; effect ids that the table does not hold come back as warnings."""
    if plan.claims is None or plan.claims_source is None:
        return (), ()
    rows = {row.id: row for row in table}
    found, warnings = [], []
    for i, claim in enumerate(plan.claims.claims):
        unknown = tuple(key for key in claim.effect_ids if key not in rows)
        warnings += [
            InputError(
                plan.claims_source.at(("claims", i, "effect_ids", claim.effect_ids.index(key))),
                f'claim {claim.id} names the effect "{key}", which is not in the table',
                "the claim is judged without it",
                did_you_mean(key, list(rows)) if rows else "the table is empty",
                "unknown-effect",
            )
            for key in unknown
        ]
        found.append(_judge(plan, claim, i, [rows[key] for key in claim.effect_ids if key in rows], unknown))
    return tuple(found), tuple(warnings)


def _judge(plan: Plan, claim: Claim, position: int, rows: Sequence[Row], unknown: tuple[str, ...]) -> ClaimResult:
    speaking = list(rows)
    if claim.speaks is not None and plan.claims_source is not None:
        at = plan.claims_source.at(("claims", position, "speaks"))
        test = compile_rows(claim.speaks, [*COLUMNS, *plan.dictionary.moderators], at)
        speaking = [row for row in rows if test(row)]
    turn = -1 if claim.predicted_direction == "-" else 1
    groups: dict[str, dict[str, list[int]]] = {"direct": {}, "indirect": {}}
    for row in speaking:
        if row.get("kind") != "none":
            side = groups[str(row.get("evidence", "direct"))]
            side.setdefault(str(row.get("overlap_group")), []).append(_sign(row, plan, turn))
    direct, indirect = ({group: _stance(signs) for group, signs in side.items()} for side in groups.values())
    context = tuple(row for row in rows if row not in speaking)
    return ClaimResult(claim, tuple(speaking), context, direct, indirect, unknown, _sentence(claim, direct, indirect))


def _sign(row: Row, plan: Plan, turn: int) -> int:
    """+1 for, -1 against, 0 neither; an estimate counts when its interval leaves out "no effect"."""
    if row.has("sign"):
        return turn * int(row.get("sign"))
    for scale in SCALES:
        size = effect_size_of(row, scale, plan.dictionary)
        if size is not None:
            clear = abs(size.yi) > float(critical_value(plan.file.level)) * size.vi**0.5
            return turn * int(np.sign(size.yi)) if clear else 0
    return 0


def _stance(signs: Sequence[int]) -> str:
    """What one group of people says over all its rows: for or against when at least half of them say so."""
    ups, downs = signs.count(1), signs.count(-1)
    if ups and downs:
        return "mixed"
    if 2 * max(ups, downs) < len(signs) or not signs:
        return "neither"
    return "for" if ups else "against"


def tally(stances: dict[str, str]) -> str:
    """Words such as "2 for, 1 against, 3 neither" for groups of people."""
    counts = [(word, list(stances.values()).count(word)) for word in ("for", "against", "mixed", "neither")]
    return ", ".join(f"{count} {word}" for word, count in counts if count)


def _sentence(claim: Claim, direct: dict[str, str], indirect: dict[str, str]) -> str:
    if not claim.testable:
        return "Not a testable statement."
    if not direct and not indirect:
        return "No study bears on it: a gap."
    if not direct:
        return f"No direct evidence. Analogues only, in independent groups of people: {tally(indirect)}."
    text = f"Direct evidence, in independent groups of people: {tally(direct)}."
    return f"{text} Analogues: {tally(indirect)}." if indirect else text
