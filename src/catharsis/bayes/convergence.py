"""Whether draws can be believed: every coordinate that was sampled is judged, and nan counts as a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from catharsis.bayes.nuts_sampling import Drawn, quietly
from catharsis.bayes.posterior import Diagnostics


def diagnose(drawn: Drawn, levels: Mapping[str, int] | None = None) -> Diagnostics:
    """Convergence of all that was sampled.

    Parameters
    ----------
    drawn : Drawn
        Coordinates of the sampler, (chains, draws, ...) arrays.
    levels : dict, optional
        How many of a variable's coordinates belong to the model; the rest of a padded program have their prior alone.

    References
    ----------
    [@vehtari2021]
    """
    import arviz as az

    columns = []
    for name, values in drawn.values.items():
        flat = values.reshape(*values.shape[:2], -1)[..., : (levels or {}).get(name)]
        if name == "signed_tau":  # both signs are one tau
            flat = np.abs(flat)
        columns += list(np.moveaxis(flat, 2, 0))
    with quietly():
        rhat = np.max([float(az.rhat(x)) for x in columns])  # nan when any is, as for a single chain
        bulk = np.min([float(az.ess(x, method="bulk")) for x in columns])
        tail = np.min([float(az.ess(x, method="tail")) for x in columns])
        ebfmi = float(np.min(az.bfmi(drawn.stats["energy"]))) if "energy" in drawn.stats else math.nan
    chains, draws = columns[0].shape
    divergences = int(np.sum(drawn.stats["diverging"]))
    return Diagnostics(
        float(rhat), float(bulk), float(tail), divergences, ebfmi, drawn.sampler, draws=draws, chains=chains
    )
