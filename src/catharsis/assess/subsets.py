"""GOSH, the graphical display of study heterogeneity: the model fitted to every subset of the effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catharsis.assess.funnel_data import fitted_model
from catharsis.errors import ModelError
from catharsis.likelihood.arguments import whole_number
from catharsis.models.batch import CHUNK, BoolArray, Fits, fit_problems, joined
from catharsis.models.deletion import held, heterogeneity_shares, problems_of
from catharsis.models.result import Fit
from catharsis.numerics import IntArray

if TYPE_CHECKING:
    import pandas as pd

MANY = 2**15  # subsets that are fitted without being asked for a number: some seconds at most


@dataclass(frozen=True, slots=True, eq=False)
class Gosh:
    """The fits to subsets of the effects.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per subset: k, QE, I2 (percent), H2, tau2, and estimate (with moderators estimate[term]).
    included : pandas.DataFrame
        Which effects each subset holds: one row per subset, one bool column per effect.
    exact : bool
        Whether these are all subsets.
    notes : tuple of str
        What every reader must be told.
    """

    frame: pd.DataFrame
    included: pd.DataFrame
    exact: bool
    notes: tuple[str, ...]


def gosh(fit: Fit, subsets: int | None = None, rng: np.random.Generator | None = None) -> Gosh:
    """Fit the model to all subsets of the effects, or to random ones.

    Several humps among the estimates, or a cloud in which estimate and heterogeneity move together, point to
    outliers or distinct groups of studies.

    Parameters
    ----------
    fit : Fit
        A univariate fit; its method is kept and tau^2 estimated in each subset. Equal-effects fits give the display
        as published.
    subsets : int, optional
        How many. By default, and when the number reaches 2^k - 1, all of them; above k = 15 the default is 32768
        random ones.
    rng : numpy.random.Generator, optional
        Draws the random subsets, in which each effect takes part with probability 1/2; repeats are possible.

    Returns
    -------
    Gosh

    Raises
    ------
    ModelError
        When the effects are dependent, `subsets` is not positive, or random subsets are asked for without `rng`.

    References
    ----------
    [@olkin2012]

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> found = gosh(fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="EE", test="z"))
    >>> found.frame["estimate"].round(3).tolist()
    [0.1, 0.4, 0.22, 0.9, 0.329, 0.588, 0.352]
    """
    import pandas as pd

    fit = fitted_model(fit, "a GOSH display")
    k, p = fit.nobs, fit.blocks.p
    possible = 2**k - 1
    if subsets is not None:
        subsets = whole_number(subsets, "subsets", "at least one subset must be fitted")
    wanted = min(MANY if subsets is None else subsets, possible)
    exact = wanted == possible
    if not exact and not isinstance(rng, np.random.Generator):
        raise ModelError(
            f"{k} effects have 2^{k} - 1 subsets, of which {wanted} would be drawn at random; "
            "give rng=numpy.random.default_rng(seed), or subsets= to have more of them"
        )
    size = max(CHUNK // k, 1)
    masks, parts = [], []
    for start in range(0, wanted, size):
        count = min(size, wanted - start)
        mask = members(np.arange(start + 1, start + 1 + count), k) if exact else _drawn(count, k, rng)
        found = fit_problems(problems_of(fit, mask, "GOSH displays"), fit.method, "z", held(fit))
        keep = found.identified
        masks.append(mask[keep])
        parts.append(Fits(*(getattr(found, name)[keep] for name in Fits.__slots__)))
    fits = joined(parts)
    I2, H2 = heterogeneity_shares(fits, p, fit.method)
    names = ["estimate"] if p == 1 else [f"estimate[{term}]" for term in fit.design.terms]
    frame = pd.DataFrame({"k": fits.k, "QE": fits.QE, "I2": I2, "H2": H2, "tau2": fits.tau2})
    frame[names] = fits.beta
    lost = wanted - len(frame)
    notes = (f"{lost} of {wanted} subsets do not determine every coefficient and are left out",) if lost else ()
    return Gosh(frame, pd.DataFrame(np.concatenate(masks), columns=list(fit.labels)), exact, notes)


def members(numbers: IntArray, k: int) -> BoolArray:
    """Binary digits of each number, least first, as (m, k) booleans: number n names one subset of k effects.

    Examples
    --------
    >>> members(np.array([1, 6]), 3).astype(int).tolist()
    [[1, 0, 0], [0, 1, 1]]
    """
    return np.asarray((numbers[:, None] >> np.arange(k)) & 1, dtype=bool)


def _drawn(count: int, k: int, rng: np.random.Generator | None) -> BoolArray:
    """`count` random subsets, none of them empty."""
    assert rng is not None
    mask = rng.random((count, k)) < 0.5
    while (empty := ~mask.any(axis=1)).any():
        mask[empty] = rng.random((int(empty.sum()), k)) < 0.5
    return np.asarray(mask)
