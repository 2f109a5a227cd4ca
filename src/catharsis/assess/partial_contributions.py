"""What each partial row adds: the answer without it, and how far the others foresaw it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from catharsis.bayes.partial import posterior
from catharsis.bayes.priors import Priors
from catharsis.likelihood.partial import PartialEvidence
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def partial_contributions(
    yi: Sequence[float] | FloatArray,
    vi: Sequence[float] | FloatArray,
    partial: PartialEvidence,
    priors: Priors | None = None,
) -> pd.DataFrame:
    """The average with all evidence and without each partial row.

    Parameters
    ----------
    yi, vi : (k,) arrays
        Estimates and their sampling variances; k may be 0.
    partial : PartialEvidence
        Partial rows.
    priors : Priors, optional
        As for `fit_bayes`.

    Returns
    -------
    DataFrame
        Indexed by row: `says` (the region in words), `expected` (the probability, from everything else, that the study
        would report just that), `mean`, `sd` and `positive` (P(mu > 0)) without the row, and `shift`: how far the mean
        moves when the row enters, in posterior standard deviations. With nothing else left the prior answers.

    Raises
    ------
    ModelError
        As `fit_bayes`.

    Examples
    --------
    >>> import pandas as pd
    >>> from catharsis.likelihood.partial import partial_evidence
    >>> rows = pd.DataFrame({"label": ["Lee"], "kind": ["bounds"], "design": ["one-sample"], "n": [28], "sign": [-1],
    ...                      "verdict": ["sig"]})
    >>> found = partial_contributions([0.4, 0.5], [0.02, 0.03], partial_evidence(rows))
    >>> found.round(3).loc["Lee", ["expected", "shift"]].tolist()
    [0.04, -0.988]
    """
    import pandas as pd

    yi, vi = np.asarray(yi, dtype=float), np.asarray(vi, dtype=float)
    chosen = priors or Priors()
    labels = [str(i + 1) for i in range(len(yi))]
    whole = posterior(yi, vi, partial, labels, chosen, 0.95)
    found = []
    for i, row in enumerate(partial.rows):
        rest = partial.part([j != i for j in range(len(partial))])
        base = {"row": row.label, "says": row.says}
        if len(rest) + len(yi) == 0:
            evidence = 0.0
            mean, sd, positive = chosen.mu.centre, np.nan, np.nan
        else:
            without = posterior(yi, vi, rest, labels, chosen, 0.95)
            evidence, mean, sd, positive = without.log_marginal, without.mu.mean, without.mu.sd, without.mu.positive
        found.append(
            {**base, "expected": float(np.exp(whole.log_marginal - evidence)), "mean": mean, "sd": sd,
             "positive": positive, "shift": (whole.mu.mean - mean) / whole.mu.sd}
        )  # fmt: skip
    columns = ["row", "says", "expected", "mean", "sd", "positive", "shift"]
    return pd.DataFrame(found, columns=columns).set_index("row")
