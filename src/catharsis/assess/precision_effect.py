"""PET, PEESE and their conditional combination: the effect expected of an infinitely precise study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.dispersion import Regression, weighted_regression
from catharsis.assess.funnel_data import read_funnel
from catharsis.assess.funnel_regression import as_regression, predictor_values
from catharsis.errors import ModelError
from catharsis.likelihood.arguments import group_labels, probability
from catharsis.models.fit import fit
from catharsis.models.result import Fit
from catharsis.models.robust import FEW_DF
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PetPeese:
    """Both regressions, and the one that the conditional rule chooses.

    Attributes
    ----------
    pet, peese : Regression
        Effects on standard errors, and on variances; the intercept is the adjusted effect.
    chosen : str
        "PEESE" when the intercept of PET differs from zero at `alpha` (two-sided), else "PET".
    alpha : float
        Level of that decision.
    m : int
        Clusters, when the standard errors are cluster-robust (0 otherwise).
    notes : tuple of str
        What every reader must be told.
    """

    pet: Regression
    peese: Regression
    chosen: Literal["PET", "PEESE"]
    alpha: float
    m: int
    notes: tuple[str, ...] = ()

    @property
    def regression(self) -> Regression:
        """The regression that was chosen."""
        return self.peese if self.chosen == "PEESE" else self.pet

    @property
    def estimate(self) -> float:
        """The adjusted effect of the conditional procedure."""
        return float(self.regression.beta[0])

    @property
    def interval(self) -> tuple[float, float]:
        """Its confidence interval, which takes the choice as given."""
        low, high = self.regression.interval()
        return float(low[0]), float(high[0])

    def summary(self) -> pd.DataFrame:
        """The intercepts of PET and PEESE, and which is chosen."""
        import pandas as pd

        frame = pd.concat([self.pet.summary().iloc[:1], self.peese.summary().iloc[:1]], ignore_index=True)
        frame.index = pd.Index(["PET", "PEESE"])
        frame["chosen"] = [self.chosen == name for name in frame.index]
        return frame


def pet_peese(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    *,
    n1i: Sequence[float] | FloatArray | pd.Series | None = None,
    n2i: Sequence[float] | FloatArray | pd.Series | None = None,
    cluster: Sequence[object] | None = None,
    alpha: float = 0.10,
    level: float | None = None,
) -> PetPeese:
    """Precision-effect test and estimate, by weighted least squares with weights 1/v.

    Parameters
    ----------
    yi : Fit or (k,) array
        A model without moderators (only its data are used), or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    n1i, n2i : (k,) arrays, optional
        Group sizes. When given, sqrt(1/n1 + 1/n2) and its square replace the standard error and the variance as
        predictors, as standardised mean differences need; the weights stay 1/v.
    cluster : (k,) sequence, optional
        Which effects depend on each other: CR2 standard errors with Satterthwaite degrees of freedom.
    alpha : float
        PEESE is chosen when the two-sided p of PET's intercept is below it; 0.10 is one-sided 5%.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    PetPeese

    Raises
    ------
    ModelError
        Moderators, fewer than three effects, or equal variances.

    References
    ----------
    [@stanley2014; @stanley2017]

    Examples
    --------
    >>> yi, vi = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25], [0.20, 0.12, 0.08, 0.03, 0.02, 0.01]
    >>> found = pet_peese(yi, vi)
    >>> found.chosen, round(found.estimate, 3), [round(x, 3) for x in found.interval]
    ('PET', 0.049, [-0.108, 0.207])
    """
    data = read_funnel(yi, vi, level=level)
    if data.X.shape[1] != 1:
        raise ModelError("PET and PEESE are for models without moderators; fit the model without them")
    if data.multilevel and cluster is None:
        raise ModelError("the effects are dependent: give cluster= for cluster-robust PET-PEESE")
    if (n1i is None) != (n2i is None):
        raise ModelError("give the sizes of both groups, n1i and n2i, or neither")
    alpha = probability(alpha, "alpha")
    if data.k < 3:
        raise ModelError(f"PET and PEESE need at least three effects; here k = {data.k}")
    column = predictor_values("sei" if n1i is None else "groups", data.vi, None, n1i, n2i)
    names = ("sei", "vi") if n1i is None else ("groups", "groups^2")
    notes: list[str] = []
    cluster = None if cluster is None else group_labels(cluster, data.k)
    m = 0
    found = []
    for values, name in ((column, names[0]), (column**2, names[1])):
        X, terms = np.column_stack([np.ones(data.k), values]), ("intercept", name)
        if cluster is None:
            found.append(weighted_regression(data.yi, data.vi, X, terms, data.level))
            notes.extend(f"{name}: {note}" for note in found[-1].notes)
            continue
        sandwich = fit(yi=data.yi, vi=data.vi, X=X, method="EE", test="z", level=data.level).robust(cluster)
        m = sandwich.m
        if not sandwich.df[0] >= FEW_DF:
            notes.append(f"{m} clusters leave {sandwich.df[0]:.1f} degrees of freedom for the adjusted effect ({name})")
        found.append(replace(as_regression(sandwich, data.k, data.level), terms=terms))
    pet, peese = found
    return PetPeese(
        pet=pet, peese=peese, chosen="PEESE" if pet.p[0] < alpha else "PET", alpha=alpha, m=m, notes=tuple(notes)
    )
