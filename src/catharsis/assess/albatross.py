"""Albatross plot: p values against sample sizes, with contours of the effects that would give them.

Studies that report no more than n, a p value and a direction can still be placed beside lines of equal effect size.
With z the normal deviate of the two-sided p, an effect has the contour

    mean difference, standardised (smd):  n = z^2 (1 + ratio)^2 / (ratio d^2), ratio = n1 / n2
    correlation:                          n = 3 + (z / atanh r)^2

which are the large-sample standard errors near the null, as the plot is for orientation and not for inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtri

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import finite_number, group_labels
from catharsis.numerics import FloatArray, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

EFFECTS = {"smd": (0.1, 0.25, 0.5, 1.0), "correlation": (0.05, 0.1, 0.3, 0.5)}  # default contours
POINTS = 60  # of each contour


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Albatross:
    """What an albatross plot draws.

    Attributes
    ----------
    points : pandas.DataFrame
        One row per study: n, p, z (signed), x (signed -log10 p: right of 0 for positive effects) and implied, the
        effect that a study of this size needs for this p.
    contours : pandas.DataFrame
        Rows (effect, side, p, x, n) of the contour lines.
    measure : str
        smd or correlation.
    notes : tuple of str
        What every reader must be told.
    """

    points: pd.DataFrame
    contours: pd.DataFrame
    measure: str
    notes: tuple[str, ...] = ()


def albatross_data(
    n: Sequence[float] | FloatArray | pd.Series,
    p: Sequence[float] | FloatArray | pd.Series,
    signs: Sequence[float] | FloatArray | pd.Series,
    *,
    measure: Literal["smd", "correlation"] = "smd",
    effects: Sequence[float] | None = None,
    ratio: float = 1.0,
    labels: Sequence[str] | None = None,
) -> Albatross:
    """Points and contours of an albatross plot.

    Parameters
    ----------
    n : (k,) array
        Total sample sizes.
    p : (k,) array
        Two-sided p values, 0 < p <= 1.
    signs : (k,) array
        Directions; only the sign counts, and 0 is drawn in the middle.
    measure : str
        Which effects the contours mean: smd (two groups) or correlation.
    effects : sequence of float, optional
        Positive effects to draw contours for.
    ratio : float
        Ratio of the group sizes, for smd.
    labels : sequence of str, optional
        Names of the studies.

    Returns
    -------
    Albatross

    Raises
    ------
    ModelError
        Sample sizes below 4, p outside (0, 1], effects that are not positive, or lengths that differ.

    References
    ----------
    [@harrison2017]

    Examples
    --------
    >>> found = albatross_data([100], [0.05], [1])
    >>> found.points.round(3).loc[0, ["x", "implied"]].tolist()
    [1.301, 0.392]
    """
    import pandas as pd

    if measure not in EFFECTS:
        raise ModelError(f'there is no measure "{measure}": {did_you_mean(str(measure), list(EFFECTS))}')
    try:
        size, two_sided, direction = (np.asarray(values, dtype=float) for values in (n, p, signs))
    except (TypeError, ValueError):
        raise ModelError("n, p and signs must be numbers") from None
    if not size.ndim == 1 == two_sided.ndim == direction.ndim or not len(size) == len(two_sided) == len(direction):
        raise ModelError("n, p and signs need one value for each study")
    if len(size) == 0:
        raise ModelError("there are no studies to draw")
    for values, good, need in (
        (size, np.isfinite(size) & (size > 3), "n of a study must be a number above 3"),
        (two_sided, (two_sided > 0) & (two_sided <= 1), "p must lie in (0, 1]"),
        (direction, ~np.isnan(direction), "a sign must be a number; enter 0 when it is not known"),
    ):
        if not good.all():
            row = int(np.argmin(good))
            raise ModelError(f"{need}; study {row + 1} has {values[row]}")
    try:
        wanted = np.array(EFFECTS[measure] if effects is None else effects, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("effects holds something that is not a number") from None
    if wanted.ndim != 1 or len(wanted) == 0:
        raise ModelError("effects needs at least one effect, in a list: one contour is drawn for each")
    if not (np.isfinite(wanted) & (wanted > 0)).all() or (measure == "correlation" and np.any(wanted >= 1)):
        raise ModelError(f"effects are {wanted.tolist()}; they must be positive, and correlations below 1")
    if finite_number(ratio, "ratio") <= 0:
        raise ModelError(f"ratio is {ratio}; the ratio of the group sizes is positive")
    index = None if labels is None else group_labels(labels, len(size), "labels")
    z = np.sign(direction) * -ndtri(two_sided / 2)
    points = pd.DataFrame(
        {"n": size, "p": two_sided, "z": z, "x": np.sign(direction) * -np.log10(two_sided),
         "implied": _implied(z, size, measure, ratio)},
        index=index,
    )  # fmt: skip
    undirected = int((direction == 0).sum())
    notes = (f"{undirected} studies without a direction are drawn at 0",) if undirected else ()
    return Albatross(points=points, contours=_contours(size, wanted, measure, ratio), measure=measure, notes=notes)


def _implied(z: FloatArray, n: FloatArray, measure: str, ratio: float) -> FloatArray:
    """The effect at which a study of size n has the deviate z."""
    if measure == "smd":
        return np.asarray(z * np.sqrt((1 + ratio) ** 2 / (ratio * n)))
    return np.asarray(np.tanh(z / np.sqrt(n - 3)))


def _contours(n: FloatArray, effects: FloatArray, measure: str, ratio: float) -> pd.DataFrame:
    """Lines of equal effect over the range of sample sizes shown."""
    import pandas as pd

    grid = np.geomspace(n.min() / 1.5 if n.min() / 1.5 > 4 else 4.0, max(n.max() * 1.5, 8.0), POINTS)
    parts = []
    for effect in effects:
        z = (
            effect * np.sqrt(ratio * grid / (1 + ratio) ** 2)
            if measure == "smd"
            else np.arctanh(effect) * np.sqrt(grid - 3)
        )
        p = two_sided_p(z)
        seen = p > 0
        for side in (-1, 1):
            parts.append(
                pd.DataFrame(
                    {"effect": effect, "side": side, "p": p[seen], "x": -side * np.log10(p[seen]), "n": grid[seen]}
                )
            )
    return pd.concat(parts, ignore_index=True)
