"""Cells that are possible but look like a slip: they stop a run unless a person waives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from catharsis.errors import InputError
from catharsis.studies.table import Row

SPREADS = (("sd_change", "n"), ("sd1", "n1"), ("sd2", "n2"))
MIN_PEERS = 3
TOO_SMALL = 3.0  # the SD lies at least this factor below its peers ...
NEAR = 2.0  # ... and times sqrt(n) it comes within this factor of them


def standard_error_for_sd(rows: Sequence[Row]) -> Iterator[tuple[Row, InputError]]:
    """SDs that fit their peers on the same instrument better as standard errors [@gotzsche2007]."""
    for row in rows:
        for sd, n in SPREADS:
            if not row.has(sd, n) or not row.get(sd) > 0:
                continue
            peers = [
                other.get(column)
                for other in rows
                for column, _ in SPREADS
                if other.get("outcome") == row.get("outcome") and other.has(column) and not (other is row and column == sd)
            ]
            if len(peers) < MIN_PEERS:
                continue
            typical, value = float(np.median(peers)), float(row.get(sd))
            as_se = value * float(row.get(n)) ** 0.5
            if typical / value >= TOO_SMALL and max(as_se / typical, typical / as_se) <= NEAR:
                yield row, InputError(
                    row.place(sd),
                    f"{sd} is {value:g}, while {len(peers)} others on this instrument have about {typical:.3g} ({row.id})",
                    f"it is {typical / value:.1f} times too small, and times the root of {n} it would be {as_se:.3g}: "
                    "it looks like a standard error",
                    f"write {sd.replace('sd', 'se')}: {value:g} if the paper prints a standard error; if it is an SD, waive "
                    "with waive: [{rule: se-for-sd, reason: ..., by: ..., date: ...}]",
                    "se-for-sd",
                )
