"""Unrestricted weighted least squares, and the average of the adequately powered studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from catharsis.assess.dispersion import Regression, weighted_regression
from catharsis.assess.funnel_data import read_funnel
from catharsis.models.result import Fit
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

POWERED = 2.8  # standard errors: the effect that a two-sided 5% test finds with 80% power, 1.96 + 0.84


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoweredAverage:
    """Weighted average of the adequately powered studies (WAAP), with UWLS as its fallback.

    Attributes
    ----------
    uwls : Regression
        Unrestricted weighted average of all studies.
    waap : Regression or None
        The same over the powered studies; None with fewer than two.
    powered : (k,) array of bool
        Studies whose standard error is at most |UWLS| / 2.8.
    notes : tuple of str
        What every reader must be told.
    """

    uwls: Regression
    waap: Regression | None
    powered: NDArray[np.bool_] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def n_powered(self) -> int:
        """Number of adequately powered studies."""
        return int(self.powered.sum())

    @property
    def regression(self) -> Regression:
        """WAAP where it exists, UWLS otherwise: the hybrid WAAP-WLS."""
        return self.uwls if self.waap is None else self.waap

    @property
    def estimate(self) -> float:
        """The hybrid estimate."""
        return float(self.regression.beta[0])

    @property
    def interval(self) -> tuple[float, float]:
        """Its confidence interval."""
        low, high = self.regression.interval()
        return float(low[0]), float(high[0])

    def summary(self) -> pd.DataFrame:
        """UWLS, and WAAP where it exists."""
        import pandas as pd

        parts = {"UWLS": self.uwls, "WAAP": self.waap}
        frame = pd.concat([part.summary() for part in parts.values() if part is not None], ignore_index=True)
        frame.index = pd.Index([name for name, part in parts.items() if part is not None])
        frame["k"] = [part.k for part in parts.values() if part is not None]
        return frame


def uwls(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    level: float | None = None,
) -> Regression:
    """Unrestricted weighted least squares: the equal-effects average with an estimated dispersion.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators (only its data are used), or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    Regression

    Raises
    ------
    ModelError
        Moderators, dependent effects or fewer than two effects.

    References
    ----------
    [@stanley2017; @ioannidis2017]

    Examples
    --------
    >>> found = uwls([0.1, 0.4, 0.9, 0.3], [0.02, 0.03, 0.05, 0.04])
    >>> found.summary().round(3).loc["intercept", ["estimate", "low", "high"]].tolist()
    [0.342, -0.153, 0.836]
    """
    data = read_funnel(yi, vi, level=level, alone="UWLS")
    return weighted_regression(data.yi, data.vi, np.ones((data.k, 1)), ("intercept",), data.level)


def waap(
    yi: Fit | Sequence[float] | FloatArray | pd.Series,
    vi: Sequence[float] | FloatArray | pd.Series | None = None,
    level: float | None = None,
) -> PoweredAverage:
    """Weighted average of the adequately powered studies.

    A study is adequately powered when its standard error is at most |UWLS| / 2.8.

    Parameters
    ----------
    yi : Fit or (k,) array
        A univariate model without moderators (only its data are used), or effects.
    vi : (k,) array, optional
        Sampling variances, with arrays.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    PoweredAverage

    Raises
    ------
    ModelError
        Moderators, dependent effects or fewer than two effects.

    References
    ----------
    [@ioannidis2017; @stanley2017]

    Examples
    --------
    >>> found = waap([0.5, 0.6, 0.9, 0.3], [0.02, 0.03, 0.09, 0.04])
    >>> found.n_powered, round(found.estimate, 3)
    (2, 0.54)
    """
    data = read_funnel(yi, vi, level=level, alone="WAAP")
    X = np.ones((data.k, 1))
    everything = weighted_regression(data.yi, data.vi, X, ("intercept",), data.level)
    powered = np.sqrt(data.vi) <= abs(everything.beta[0]) / POWERED
    chosen = None
    notes = everything.notes
    if powered.sum() >= 2:
        chosen = weighted_regression(data.yi[powered], data.vi[powered], X[powered], ("intercept",), data.level)
        notes = tuple(dict.fromkeys((*notes, *chosen.notes)))
    else:
        notes += (f"{int(powered.sum())} of {data.k} studies are adequately powered, so WAAP is replaced by UWLS",)
    return PoweredAverage(uwls=everything, waap=chosen, powered=powered, notes=notes)
