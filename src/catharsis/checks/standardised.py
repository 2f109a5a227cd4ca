"""The standardised effect of a row in plain arithmetic, for checks that load nothing."""

from __future__ import annotations

import math
from typing import NamedTuple

from catharsis.studies.table import Row


class Standardised(NamedTuple):
    """A standardised effect, its sampling variance, and the degrees of freedom of its SD."""

    d: float
    variance: float
    freedom: int

    @property
    def g(self) -> float:
        """With Hedges' small-sample factor [@hedges1981]."""
        return self.d * (1 - 3 / (4 * self.freedom - 1))


def effect_of(row: Row, as_errors: bool = False) -> Standardised | None:
    """The standardised effect of a row, from means, t or d; None when the row has none.

    With `as_errors` its SDs are read as standard errors.
    """
    spread = sd_of(row, "sd_change", "se_change", "n", as_errors)
    if row.has("mean_change") and spread is not None:
        d, n = float(row.get("mean_change")) / spread, int(row.get("n"))
        return Standardised(d, 1 / n + d * d / (2 * n), n - 1)
    if row.has("n1", "n2") and min(row.get("n1"), row.get("n2")) > 1:
        n1, n2 = int(row.get("n1")), int(row.get("n2"))
        found = _difference(row, as_errors)
        if found is None:
            return None
        return Standardised(found, 1 / n1 + 1 / n2 + found * found / (2 * (n1 + n2)), n1 + n2 - 2)
    if row.has("d") and not as_errors:  # as printed: whether it is corrected already is not known
        error = row.get("d_se", (row.get("d_high", 0.0) - row.get("d_low", 0.0)) / (2 * 1.96))
        return Standardised(float(row.get("d")), float(error) ** 2, MANY) if 0 < error < 1e60 else None
    return None


MANY = 10_000  # degrees of freedom: no correction to speak of


def _difference(row: Row, as_errors: bool) -> float | None:
    n1, n2 = row.get("n1"), row.get("n2")
    sd1, sd2 = sd_of(row, "sd1", "se1", "n1", as_errors), sd_of(row, "sd2", "se2", "n2", as_errors)
    if row.has("m1", "m2") and sd1 is not None and sd2 is not None:
        pooled = math.sqrt(((n1 - 1) * sd1 * sd1 + (n2 - 1) * sd2 * sd2) / (n1 + n2 - 2))
        return float((row.get("m1") - row.get("m2")) / pooled)
    if as_errors:
        return None
    if row.has("t"):
        return float(row.get("t") * math.sqrt(1 / n1 + 1 / n2))
    return float(row.get("d")) if row.has("d") else None


def sd_of(row: Row, sd: str, se: str, n: str, as_error: bool) -> float | None:
    """The SD of an arm, as printed or from its standard error; with `as_error` the printed SD is read as one."""
    if not row.has(n) or row.get(n) < 2:
        return None
    if row.has(sd) and row.get(sd) > 0:
        return float(row.get(sd) * (math.sqrt(row.get(n)) if as_error else 1))
    return float(row.get(se) * math.sqrt(row.get(n))) if row.has(se) and row.get(se) > 0 else None
