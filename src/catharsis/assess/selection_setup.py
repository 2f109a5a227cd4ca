"""From the options of a selection model to its weight function, the box its parameters live in, and where to start.

The data are put in units of the typical standard error, in the direction that selection favours, with orthonormal
moderators: the search then sees the same numbers whatever the unit of the effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import special

from catharsis.assess.selection_functions import SHAPES, SmoothWeights, StepWeights
from catharsis.assess.selection_likelihood import BoolArray, Coordinates, SelectionData
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

Alternative = Literal["greater", "less", "two.sided"]
TYPES = ("stepfun", "beta", "halfnorm", "negexp", "logistic", "power", "negexppow", "trunc", "truncest")
ALTERNATIVES = ("greater", "less", "two.sided")
PRECISIONS = ("sei", "vi", "ninv", "sqrtninv")
PIECEWISE = ("stepfun", "trunc", "truncest")
WITH_PRECISION = ("halfnorm", "negexp", "logistic", "power", "negexppow")
TINY_P = 1e-5  # p is kept this far from 0 and 1 where w would be infinite or 0 there [@citkowicz2017]
LOWEST = {"beta": (1e-5, 1e-5), "negexppow": (0.0, 1e-3)}  # lower bounds where a delta of 0 has no meaning
FEW = 4  # effects in an interval below which its weight rests on next to nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller asked for; the fields are the arguments of `selection_model`."""

    type: str
    steps: FloatArray
    alternative: Alternative
    delta: FloatArray | None
    prec: str | None
    ni: FloatArray | None
    decreasing: bool
    scale_prec: bool
    p_min: float
    delta_min: FloatArray | None
    delta_max: FloatArray
    subset: BoolArray | None

    @property
    def sign(self) -> float:
        """-1 when selection favours negative effects."""
        return -1.0 if self.alternative == "less" else 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A selection model ready to be maximised.

    Attributes
    ----------
    data : SelectionData
        Scaled effects; the weights know the data.
    unit : float
        Effects were divided by it.
    rotation : (p, p) array
        beta = unit sign rotation beta_scaled.
    fixed : (J,) array
        Values of the deltas that are not estimated, nan for the others.
    reference : bool
        Whether the reported deltas begin with the reference, whose delta is 1.
    names : tuple of str
        Of the reported deltas.
    null : float
        Value of delta that means no selection.
    counts : tuple of int
        Effects by level, for piecewise weights.
    notes : tuple of str
    """

    data: SelectionData
    options: Options
    unit: float
    rotation: FloatArray
    fixed: FloatArray
    reference: bool
    names: tuple[str, ...]
    null: float
    counts: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def sign(self) -> float:
        """-1 when the effects were turned."""
        return self.options.sign


def read_options(
    k: int, type: str, steps: Sequence[float] | float | None, alternative: str, delta: Sequence[float | None] | None,
    prec: str | None, ni: Sequence[float] | None, decreasing: bool, scale_prec: bool, p_min: float | None,
    delta_min: Sequence[float] | float | None, delta_max: Sequence[float] | float | None,
    subset: Sequence[bool] | None,
) -> Options:  # fmt: skip
    """Check the options against each other; arguments as for `selection_model`.

    Raises
    ------
    ModelError
        Whatever cannot be meant.
    """
    if type not in TYPES:
        raise ModelError(f'there is no selection model "{type}": {did_you_mean(type, TYPES)}')
    if alternative not in ALTERNATIVES:
        raise ModelError(f'there is no alternative "{alternative}": {did_you_mean(alternative, ALTERNATIVES)}')
    if type in ("trunc", "truncest") and alternative == "two.sided":
        raise ModelError("truncation has one side: choose the alternative greater or less")
    cuts = _steps(type, steps)
    if decreasing and (type != "stepfun" or delta is not None):
        raise ModelError("decreasing weights are for step functions whose weights are all estimated")
    if prec is not None and type not in WITH_PRECISION:
        raise ModelError(f"prec has no place in the {type} model; it belongs to " + ", ".join(WITH_PRECISION))
    if prec is not None and prec not in PRECISIONS:
        raise ModelError(f'there is no precision "{prec}": {did_you_mean(prec, PRECISIONS)}')
    sizes = None if ni is None else np.asarray(ni, dtype=float)
    if prec in ("ninv", "sqrtninv") and sizes is None:
        raise ModelError(f"prec {prec} needs the sample sizes: give ni, one number per effect")
    if sizes is not None and (sizes.shape != (k,) or not np.isfinite(sizes).all() or (sizes <= 0).any()):
        raise ModelError(f"ni must hold one positive number for each of the {k} effects")
    if p_min is not None and not 0 <= p_min < 0.5:
        raise ModelError(f"p_min is {p_min}; p is kept within [p_min, 1 - p_min], so it lies between 0 and 0.5")
    chosen = None if subset is None else np.asarray(subset, dtype=bool)
    if chosen is not None and (chosen.shape != (k,) or not chosen.any()):
        raise ModelError(
            f"subset must say for each of the {k} effects whether selection applies to it, and to one or more"
        )
    many = _count(type, cuts)
    highest = (
        np.full(many, (1.0 if decreasing else 100.0)) if delta_max is None else _bounds(delta_max, many, "delta_max")
    )
    lowest = None if delta_min is None else _bounds(delta_min, many, "delta_min")
    values = None if delta is None else _fixed(type, delta, many)
    return Options(
        type=type, steps=cuts, alternative=alternative, delta=values, prec=prec, ni=sizes,  # type: ignore[arg-type]
        decreasing=decreasing, scale_prec=scale_prec, delta_min=lowest, delta_max=highest, subset=chosen,
        p_min=p_min if p_min is not None else TINY_P if type in ("beta", "power") else 0.0,
    )  # fmt: skip


def _steps(type: str, steps: Sequence[float] | float | None) -> FloatArray:
    """The cut points in rising order, 1 left out."""
    if steps is None:
        return np.array({"stepfun": [0.025], "trunc": [0.0]}.get(type, []), dtype=float)
    cuts = np.unique(np.atleast_1d(np.asarray(steps, dtype=float)))
    if not np.isfinite(cuts).all():
        raise ModelError("steps holds a value that is not finite")
    if type == "trunc":
        if len(cuts) != 1:
            raise ModelError(f"truncation has one cut point, an effect size; steps has {len(cuts)}")
        return cuts
    if type in ("beta", "truncest") and len(cuts):
        raise ModelError(f"the {type} model has no steps")
    if (cuts <= 0).any() or (cuts > 1).any():
        raise ModelError(f"steps are p-values between 0 and 1; found {cuts[(cuts <= 0) | (cuts > 1)][0]:g}")
    cuts = cuts[cuts < 1]
    if type == "stepfun" and len(cuts) == 0:
        raise ModelError("a step function needs a step between 0 and 1, such as 0.025")
    if type != "stepfun" and len(cuts) > 1:
        raise ModelError(f"the {type} model takes one step, below which every p is seen; steps has {len(cuts)}")
    return cuts


def _count(type: str, cuts: FloatArray) -> int:
    """How many deltas are free to be estimated."""
    return len(cuts) if type == "stepfun" else 2 if type in ("beta", "negexppow", "truncest") else 1


def _bounds(given: Sequence[float] | float, many: int, name: str) -> FloatArray:
    found = np.asarray(given, dtype=float)
    found = np.full(many, float(found)) if found.ndim == 0 else found
    if len(found) == many + 1:  # the reference is listed too
        found = found[1:]
    if found.shape != (many,) or np.isnan(found).any():
        raise ModelError(f"{name} must be one number, or one for each of the {many} weights")
    return found


def _fixed(type: str, delta: Sequence[float | None], many: int) -> FloatArray:
    """Fixed deltas without the reference; nan where estimated."""
    found = np.array([np.nan if value is None else float(value) for value in np.atleast_1d(np.asarray(delta, object))])
    if type == "stepfun":
        if len(found) != many + 1:
            raise ModelError(
                f"delta has {len(found)} values; {many} steps make {many + 1} intervals, and each needs one"
            )
        if not (found[0] == 1 or np.isnan(found[0])):
            raise ModelError(
                f"the first delta is {found[0]:g}; weights are relative to the first interval, whose delta is 1"
            )
        found = found[1:]
    if len(found) != many:
        raise ModelError(f"delta has {len(found)} values; the {type} model has {many}")
    values = found[:1] if type == "truncest" else found
    lowest = np.array(LOWEST.get(type, np.zeros(len(values))))
    wrong = (values < 0) | ((values == 0) & (lowest > 0)) | np.isinf(values)
    if wrong.any():
        raise ModelError(
            f"delta is {values[wrong][0]:g}; it must be finite and {'above' if lowest[wrong][0] else 'at least'} 0"
        )
    return found


def p_values(z: FloatArray, two_sided: bool) -> FloatArray:
    """P-values of test statistics that point in the direction of selection."""
    return np.asarray(2 * special.ndtr(-np.abs(z)) if two_sided else special.ndtr(-z))


def set_up(yi: FloatArray, vi: FloatArray, X: FloatArray, options: Options) -> Setup:
    """Scale the data and build the weight function."""
    unit = float(np.sqrt(np.median(vi)))
    y, v = options.sign * yi / unit, vi / unit**2
    Q, R = np.linalg.qr(X)
    root = float(np.sqrt(len(y)))
    rotation = root * np.linalg.inv(R)
    selected = np.ones(len(y), dtype=bool) if options.subset is None else options.subset
    notes: list[str] = []
    names: tuple[str, ...]
    counts: tuple[int, ...] = ()
    many = _count(options.type, options.steps)
    fixed = np.full(many, np.nan) if options.delta is None else options.delta.copy()
    weights: StepWeights | SmoothWeights
    if options.type in PIECEWISE:
        cut = options.sign * options.steps / unit if options.type == "trunc" else np.zeros(1)
        if options.type == "stepfun":
            weights = step_weights(y[selected], v[selected], options.steps, options.alternative == "two.sided")
            edges = np.concatenate([[0.0], options.steps, [1.0]])
            names = tuple(f"{low:g} < p <= {high:g}" for low, high in pairwise(edges))
        else:
            weights = truncation_weights(y[selected], float(cut[0]))
            names = ("delta1", "cut point")[:many]
        if options.type != "truncest":
            counts = tuple(np.bincount(weights.seen, minlength=weights.levels + 1).tolist())
            notes += _sparse(counts, options, names)
    else:
        weights = smooth_weights(y[selected], v[selected], options, selected)
        names = tuple(f"delta{j + 1}" for j in range(many))
        if len(options.steps) and len(set((p_values(weights.z, weights.two_sided) <= weights.threshold).tolist())) < 2:
            notes.append(f"all p-values lie on one side of {weights.threshold:g}: the step says nothing")
    return Setup(
        SelectionData(y, v, root * Q, weights, selected), options, unit, rotation, fixed, options.type == "stepfun",
        names, 1.0 if options.type in (*PIECEWISE, "beta") else 0.0, counts, tuple(notes),
    )  # fmt: skip


def _sparse(counts: tuple[int, ...], options: Options, names: tuple[str, ...]) -> list[str]:
    """What to say about intervals with few effects or none."""
    labels = names if options.type == "stepfun" else ("the far side of the cut", "the near side of the cut")
    found = []
    for j, (count, label) in enumerate(zip(counts, labels, strict=True)):
        if options.delta is not None and (j == 0 or not np.isnan(options.delta[j - 1])):
            continue
        if count == 0:
            drift = "the other weights drift to their upper bound" if j == 0 else "its weight drifts to zero"
            found.append(f"no effect has {label}, so {drift}; join intervals until each holds several effects")
        elif count < FEW:
            found.append(f"only {count} effect{'s' * (count > 1)} with {label}: the weights rest on very little")
    return found


def step_weights(y: FloatArray, v: FloatArray, steps: FloatArray, two_sided: bool) -> StepWeights:
    """Weights constant in intervals of p [@hedges1992; @vevea1995]."""
    s = np.sqrt(v)
    p = p_values(y / s, two_sided)
    seen = np.searchsorted(steps, p, side="left")  # an interval holds its upper end
    m = len(steps)
    if two_sided:
        z = -special.ndtri(steps / 2)  # falling
        return StepWeights(
            s[:, None] * np.concatenate([-z, z[::-1]]), np.concatenate([np.arange(m + 1), np.arange(m)[::-1]]), seen, m
        )
    return StepWeights(s[:, None] * -special.ndtri(steps[::-1]), np.arange(m, -1, -1), seen, m)


def truncation_weights(y: FloatArray, cut: float, inclusive: bool = True) -> StepWeights:
    """Weight delta at or below a cut point of the effect, 1 above it."""
    below = y <= cut if inclusive else y < cut
    return StepWeights(np.full((len(y), 1), cut), np.array([1, 0]), below.astype(np.int64), 1)


def smooth_weights(y: FloatArray, v: FloatArray, options: Options, selected: BoolArray) -> SmoothWeights:
    """Weights that are a smooth function of p [@preston2004; @citkowicz2017]."""
    sigma = np.sqrt(v)
    prec = np.ones_like(y)
    if options.prec is not None:
        n = options.ni[selected] if options.ni is not None else np.ones_like(y)
        prec = {"sei": sigma, "vi": v, "ninv": 1 / n, "sqrtninv": 1 / np.sqrt(n)}[options.prec]
        if options.scale_prec:
            prec = prec / prec.max()
    threshold = float(options.steps[0]) if len(options.steps) else 0.0
    return SmoothWeights(
        SHAPES[options.type], y / sigma, sigma, prec, options.alternative == "two.sided", threshold, options.p_min
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Coordinates of the search, their box and the starts."""

    coordinates: Coordinates
    low: FloatArray
    high: FloatArray
    starts: tuple[FloatArray, ...]


def search(setup: Setup, beta: FloatArray, tau2: float, random: bool, fixed: FloatArray | None = None) -> Search:
    """How to look for the maximum, from the estimates without selection.

    Step weights are searched as logarithms, in which the likelihood is concave given (beta, tau^2); decreasing ones
    as sums of falls, each at least 0; others as they are. The weight of an empty interval is at its lower bound: it
    appears in the normaliser only. `fixed` replaces the fixed deltas of the setup.
    """
    options = setup.options
    p, values = len(beta), setup.fixed if fixed is None else fixed
    J = len(values)
    lowest = lowest_deltas(options)
    logs = options.type in PIECEWISE
    constant = np.zeros(p + 1 + J)
    logarithmic = np.zeros(p + 1 + J, dtype=bool)
    columns: list[FloatArray] = []
    low, high = [-np.inf] * p, [np.inf] * p

    def column(rows: Sequence[int], slope: float = 1.0) -> None:
        unit = np.zeros(p + 1 + J)
        unit[list(rows)] = slope
        columns.append(unit)

    for i in range(p):
        column([i])
    if random:
        column([p])
        low.append(0.0)
        high.append(np.inf)
    free = [j for j in range(J) if np.isnan(values[j])]
    constant[p + 1 :] = np.nan_to_num(values)
    if logs:
        empty = [j for j in free if setup.counts[j + 1] == 0]
        if options.decreasing:  # only the empty ones at the end are free to fall to the bound
            empty = [j for j in empty if sum(setup.counts[j + 1 :]) == 0]
        constant[[p + 1 + j for j in empty]] = lowest[empty]
        free = [j for j in free if j not in empty]
    for position, j in enumerate(free):
        logarithmic[p + 1 + j] = logs
        if options.decreasing:
            column([p + 1 + i for i in free[position:]], -1.0)
            low.append(0.0)
            high.append(np.inf)
        else:
            column([p + 1 + j])
            low.append(float(np.log(max(lowest[j], 1e-300))) if logs else float(lowest[j]))
            high.append(float(np.log(options.delta_max[j])) if logs else float(options.delta_max[j]))
    slope = np.stack(columns, axis=1)
    found = Coordinates(slope, constant, logarithmic)
    low_, high_ = np.array(low), np.array(high)
    places = _delta_starts(options, len(free))
    spread = float(np.var(setup.data.yi)) if random else 0.0
    seeds = [(beta, tau2), (beta / 2, tau2 + spread / 4), (beta, tau2 / 10), (np.zeros(p), tau2 + spread)]
    starts: list[FloatArray] = []
    for a, (b, t) in enumerate(seeds):
        for c, d in enumerate(places):
            if a < 2 or c < 2:
                starts.append(np.concatenate([b, [t] if random else [], d]))
    return Search(found, low_, high_, tuple(np.clip(start, low_, high_) for start in starts))


def _delta_starts(options: Options, free: int) -> list[FloatArray]:
    """Places to start from, in the coordinates of the search: no selection, some, much."""
    if free == 0:
        return [np.zeros(0)]
    if options.decreasing:
        return [np.full(free, 0.2), np.full(free, 1.0), np.full(free, 0.01)]
    if options.type in PIECEWISE:
        fall = np.arange(1.0, free + 1)
        return [np.zeros(free), np.asarray(-0.7 * fall), np.asarray(0.5 * fall)]
    if options.type == "beta":
        places = ([1.0, 1.0], [0.8, 0.6], [1.5, 1.5], [0.5, 1.0])
        return [np.array(place)[:free] if np.isnan(_first(options)) else np.array(place)[-free:] for place in places]
    if options.type == "negexppow":
        pairs = ([1.0, 1.0], [0.1, 1.0], [4.0, 0.5], [10.0, 4.0], [20.0, 0.1], [50.0, 50.0])
        return [np.array(place)[:free] if np.isnan(_first(options)) else np.array(place)[-free:] for place in pairs]
    return [np.array([place]) for place in (1.0, 0.1, 5.0, 20.0)]


def lowest_deltas(options: Options) -> FloatArray:
    """Lower bounds of the deltas."""
    if options.delta_min is not None:
        return options.delta_min
    return np.array(LOWEST.get(options.type, np.zeros(len(options.delta_max))), dtype=float)


def _first(options: Options) -> float:
    """The fixed value of the first delta, nan when it is estimated."""
    return float("nan") if options.delta is None else float(options.delta[0])


def with_cut(setup: Setup, cut: float, inclusive: bool) -> Setup:
    """The truncation model with the cut point (scaled) fixed; an effect at the cut is below it when `inclusive`."""
    rows = setup.data.selected
    weights = truncation_weights(setup.data.yi[rows], cut, inclusive)
    counts = tuple(np.bincount(weights.seen, minlength=2).tolist())
    return replace(
        setup, data=replace(setup.data, weights=weights), options=replace(
            setup.options, type="trunc", delta_max=setup.options.delta_max[:1],
            delta_min=None if setup.options.delta_min is None else setup.options.delta_min[:1]),
        fixed=setup.fixed[:1], names=setup.names[:1], counts=counts,
    )  # fmt: skip
