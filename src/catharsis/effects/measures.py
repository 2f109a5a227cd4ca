"""Effect sizes for a data frame, by metafor's codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.effects.correlations import correlation, fisher_z
from catharsis.effects.mean_differences import (
    mean_change,
    mean_difference,
    pooled_sd,
    standardised_mean_change,
    standardised_mean_difference,
)
from catharsis.effects.proportions import log_odds_ratio, log_risk_ratio, logit_proportion, risk_difference
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

Result = tuple[FloatArray, FloatArray]


def _smd(m1: Any, sd1: Any, n1: Any, m2: Any, sd2: Any, n2: Any, correct: bool) -> Result:
    return standardised_mean_difference((m1 - m2) / pooled_sd(sd1, n1, sd2, n2), n1, n2, correct)


def _smcc(mean: Any, sd: Any, n: Any, correct: bool) -> Result:
    return standardised_mean_change(mean / sd, n, correct)


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    code : str
        metafor's code.
    label : str
        In words, for axes and text.
    needs : tuple of str
        Arguments of `effect_size`.
    compute : callable
        Arrays to (yi, vi).
    corrects : bool
        Whether it takes the small-sample correction.
    back : str
        How a reader's scale is reached: "none", "exp", "tanh", "expit".
    back_label : str
        The reader's scale in words.
    no_effect : float
        Value of "no effect" on the analysis scale; nan when there is none.
    """

    code: str
    label: str
    needs: tuple[str, ...]
    compute: Callable[..., Result]
    corrects: bool = False
    back: str = "none"
    back_label: str = ""
    no_effect: float = 0.0

    def to_reader(self, value: FloatArray | float) -> FloatArray:
        """A number of the analysis scale on the reader's scale (risk ratio, correlation, share).

        Examples
        --------
        >>> float(MEASURES["RR"].to_reader(0.0))
        1.0
        """
        return np.asarray(_BACK[self.back](np.asarray(value, dtype=float)))


def _expit(x: FloatArray) -> FloatArray:
    from scipy.special import expit

    return np.asarray(expit(x))


_BACK: dict[str, Callable[[FloatArray], FloatArray]] = {
    "none": lambda x: x,
    "exp": np.exp,
    "tanh": np.tanh,
    "expit": _expit,
}

_TWO_BY_TWO = ("ai", "bi", "ci", "di")
_TWO_GROUPS = ("m1", "sd1", "n1", "m2", "sd2", "n2")
_ONE_GROUP = ("mean_change", "sd_change", "n")

MEASURES: dict[str, Measure] = {
    measure.code: measure
    for measure in (
        Measure("MD", "mean difference", _TWO_GROUPS, mean_difference),
        Measure("SMD", "standardised mean difference (Hedges' g)", _TWO_GROUPS, _smd, corrects=True),
        Measure("MC", "mean change", _ONE_GROUP, mean_change),
        Measure("SMCC", "standardised mean change", _ONE_GROUP, _smcc, corrects=True),
        Measure("COR", "correlation", ("r", "n"), correlation),
        Measure("ZCOR", "Fisher's z", ("r", "n"), fisher_z, back="tanh", back_label="correlation"),
        Measure("RR", "log risk ratio", _TWO_BY_TWO, log_risk_ratio, back="exp", back_label="risk ratio"),
        Measure("OR", "log odds ratio", _TWO_BY_TWO, log_odds_ratio, back="exp", back_label="odds ratio"),
        Measure("RD", "risk difference", _TWO_BY_TWO, risk_difference),
        Measure(
            "PLO",
            "logit of the share",
            ("xi", "ni"),
            logit_proportion,
            back="expit",
            back_label="share",
            no_effect=np.nan,
        ),
    )
}


def measure(code: str) -> Measure:
    """Look a measure up by its code.

    Raises
    ------
    ModelError
        When there is none; offers the nearest.
    """
    if code not in MEASURES:
        raise ModelError(f'there is no measure "{code}": {did_you_mean(code, list(MEASURES))}')
    return MEASURES[code]


def effect_size(
    code: str, *, data: pd.DataFrame | None = None, correct: bool = True, **cells: str | Sequence[float]
) -> pd.DataFrame:
    """Compute effect sizes and sampling variances.

    Parameters
    ----------
    code : str
        A key of `MEASURES`.
    data : pandas.DataFrame, optional
        Where column names are looked up; the result is this frame with `yi` and `vi` added.
    correct : bool
        Apply the small-sample correction where the measure has one.
    **cells
        The measure's arguments: arrays, or column names of `data` (by default the argument's own name).

    Returns
    -------
    pandas.DataFrame
        With columns `yi` and `vi`.

    Raises
    ------
    ModelError
        Unknown measure, missing argument or column.

    References
    ----------
    [@viechtbauer2010a]

    Examples
    --------
    >>> effect_size("MC", mean_change=[0.5], sd_change=[2.0], n=[100])
        yi    vi
    0  0.5  0.04
    """
    import pandas as pd

    chosen = measure(code)
    unknown = set(cells) - set(chosen.needs)
    if unknown:
        raise ModelError(f"{code} does not take {', '.join(sorted(unknown))}; it needs {', '.join(chosen.needs)}")
    arrays = [_cell(name, cells.get(name, name), data) for name in chosen.needs]
    if len({len(array) for array in arrays}) != 1:
        raise ModelError("the arguments have unequal lengths")
    with np.errstate(divide="ignore", invalid="ignore"):
        yi, vi = chosen.compute(*arrays, correct) if chosen.corrects else chosen.compute(*arrays)
    found = pd.DataFrame({"yi": yi, "vi": vi})
    return found if data is None else data.assign(yi=found["yi"].to_numpy(), vi=found["vi"].to_numpy())


def _cell(name: str, value: Any, data: pd.DataFrame | None) -> FloatArray:
    if isinstance(value, str):
        if data is None or value not in data.columns:
            known = [] if data is None else [str(column) for column in data.columns]
            raise ModelError(f'{name} is to come from column "{value}": {did_you_mean(value, known)}')
        value = data[value]
    return np.atleast_1d(np.asarray(value, dtype=float))
