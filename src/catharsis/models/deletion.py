"""What a fit owes to each of its effects: residuals, and every fit again without one effect or one study.

The deletions are the problems of one batch (`models.batch`), tau^2 estimated anew in each. A deletion that takes
away the only rows that inform a coefficient has no answer: nan, and a note in `frame.attrs["notes"]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtr

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import group_labels
from catharsis.likelihood.blocks import Blocks, Stack
from catharsis.likelihood.design import codes
from catharsis.likelihood.marginal import typical_variance
from catharsis.likelihood.nested import Nested
from catharsis.models.batch import CHUNK, BoolArray, Fits, Problems, covariances, fit_problems, joined
from catharsis.models.knapp_hartung import ROUNDING
from catharsis.models.one_less import fits_without_one
from catharsis.numerics import FloatArray, IntArray, chi2_upper, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.multilevel import MultilevelFit
    from catharsis.models.result import Fit

ONE = 256 * float(np.finfo(float).eps)  # a leverage this close to 1 is 1 but for rounding
RESIDUALS = ("response", "pearson", "standardized", "studentized", "conditional")


def is_univariate(fit: Fit) -> bool:
    """Whether the effects of a fit are independent, with one variance of the true effects or none."""
    return fit.blocks.factors == ("effect",) and fit.blocks.independent


def problems_of(fit: Fit, mask: BoolArray, what: str) -> Problems:
    """The data of a univariate fit under a mask (m, k).

    Raises
    ------
    ModelError
        When the effects are dependent; `what` names the method in the plural.
    """
    if not is_univariate(fit):
        raise ModelError(
            f"{what} are offered for univariate models, whose effects are independent; "
            "for this model use leave_one_out(by=...)"
        )
    own = None if fit.weights is None else fit.weights[None, :]
    return Problems(fit.blocks.y[None, :], fit.vi[None, :], fit.blocks.X, mask, own)


def held(fit: Fit) -> float | None:
    """The value at which the fit holds tau^2; None when it is estimated."""
    return fit.tau2 if fit.held else None


def deletions(fit: Fit, what: str) -> Fits:
    """The fits without each effect in turn, in memory O(k) and, but for odd effects, time O(k)."""
    return _deletions(fit, what)[0]


def _deletions(fit: Fit, what: str) -> tuple[Fits, FloatArray]:
    """The fits without each effect, and the covariance of the coefficients from all effects at their tau^2.

    Where as many effects remain as there are coefficients, no tau^2 can be estimated beside moderators: such fits are
    nan, rather than those of homogeneous effects.
    """
    found, cov = _every_deletion(fit, what)
    if fit.nobs - 1 == fit.blocks.p > 1 and fit.method not in ("EE", "FE") and held(fit) is None:
        for name in ("beta", "cov", "tau2", "scale", "QE", "typical"):
            getattr(found, name)[:] = np.nan
        cov[:] = np.nan
    return found, cov


def _every_deletion(fit: Fit, what: str) -> tuple[Fits, FloatArray]:
    k = fit.nobs
    every = problems_of(fit, np.ones((1, k), dtype=bool), what)
    fast = None if every.a is not None else fits_without_one(
        fit.blocks.y, fit.vi, fit.blocks.X, fit.tau2, fit.method, fit.test, fit.held
    )  # fmt: skip
    rows = np.arange(k) if fast is None else np.flatnonzero(~fast[1])
    step = max(CHUNK // k, 1)
    parts, covs = [], []
    for start in range(0, len(rows), step):
        some = rows[start : start + step, None]
        part = fit_problems(problems_of(fit, some != np.arange(k), what), fit.method, fit.test, held(fit))
        whole = problems_of(fit, np.ones((len(some), k), dtype=bool), what)
        cov = covariances(whole, np.nan_to_num(part.tau2))
        cov[~part.identified] = np.nan
        parts.append(part)
        covs.append(cov)
    if fast is None:
        return joined(parts), np.concatenate(covs)
    found, _, cov = fast
    if parts:
        slow = joined(parts)
        for name in Fits.__slots__:
            getattr(found, name)[rows] = getattr(slow, name)
        cov[rows] = np.concatenate(covs)
    return found, cov


# -- residuals ----------------------------------------------------------------------------------------------


def _lever(X: FloatArray, cov: FloatArray) -> FloatArray:
    """x_i cov x_i' for each row, cov shared (p, p) or one per row (k, p, p)."""
    return np.asarray(np.einsum("ki,kij,kj->k", X, np.broadcast_to(cov, (len(X), *cov.shape[-2:])), X))


def hat_values(fit: Fit) -> FloatArray:
    """Diagonal of the hat matrix X (X'WX)^-1 X'W, (k,); it sums to p [@viechtbauer2010b]."""
    data = problems_of(fit, np.ones((1, fit.nobs), dtype=bool), "hat values")
    w = 1 / (fit.vi + fit.tau2) if data.a is None else data.a[0]
    Q = np.linalg.qr(np.sqrt(w)[:, None] * fit.blocks.X)[0]
    return np.asarray(np.einsum("ij,ij->i", Q, Q))


def weight_shares(fit: Fit) -> FloatArray:
    """Weight of each effect in percent of all, (k,)."""
    data = problems_of(fit, np.ones((1, fit.nobs), dtype=bool), "weights")
    w = 1 / (fit.vi + fit.tau2) if data.a is None else data.a[0]
    return np.asarray(100 * w / w.sum())


def residuals(fit: Fit, type: str = "standardized") -> pd.DataFrame:
    """Residuals of a univariate fit; see `Fit.residuals`."""
    import pandas as pd

    if type not in RESIDUALS:
        raise ModelError(f'there are no residuals of type "{type}": {did_you_mean(type, RESIDUALS)}')
    y, X = fit.blocks.y, fit.blocks.X
    plain = y - X @ fit.beta
    if type == "response":
        return pd.DataFrame({"fitted": X @ fit.beta, "residual": plain}, index=_index(fit))
    if not is_univariate(fit):
        problems_of(fit, np.ones((1, fit.nobs), dtype=bool), f"{type} residuals")
    total = fit.vi + fit.tau2
    if type == "studentized":
        found = deletions(fit, "studentized residuals")
        plain, se = _deleted_residuals(fit, found)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _framed(fit, {"residual": plain, "se": se, "z": plain / se}, found.identified)
    if type == "pearson":
        se, certain = np.sqrt(total), np.zeros(fit.nobs, dtype=bool)
    else:
        se = standard_errors(fit)
        certain = se == 0
        plain = np.where(certain, 0.0, plain)
        if type == "conditional":
            keep = fit.vi / total  # y - BLUP = (1 - tau^2 / (tau^2 + v)) (y - X b)
            plain, se = keep * plain, keep * se
    z = np.divide(plain, se, out=np.zeros_like(plain), where=~certain)
    frame = pd.DataFrame({"residual": plain, "se": se, "z": z}, index=_index(fit))
    frame.attrs["notes"] = tuple(
        f"{fit.labels[i]} alone determines its fitted value, so its residual is 0 whatever its effect"
        for i in np.flatnonzero(certain)
    )
    return frame


def _deleted_residuals(fit: Fit, found: Fits) -> tuple[FloatArray, FloatArray]:
    """The residual y - x b without the effect, and its standard error, (k,) each.

    The Knapp-Hartung factor of the deletion multiplies v + tau^2 as well: it estimates by how much all variances are
    misjudged.
    """
    X = fit.blocks.X
    expected = np.einsum("kp,kp->k", X, found.beta)
    plain = _without_noise(fit.blocks.y - expected, expected)
    return plain, np.asarray(np.sqrt(found.scale * (fit.vi + found.tau2) + _lever(X, found.cov)))


def _without_noise(difference: FloatArray, size: FloatArray) -> FloatArray:
    """Exact zeros where a difference of numbers of some size is a rounding error."""
    return np.where(np.abs(difference) <= ROUNDING * np.abs(size), 0.0, difference)


def standard_errors(fit: Fit) -> FloatArray:
    """Standard errors of the residuals y - X b: roots of the diagonal of (I - H) M (I - H)', (k,).

    Exactly 0 for an effect of leverage 1, which alone determines its fitted value.
    """
    hat = hat_values(fit)
    share = 1 - hat
    if fit.weights is not None:
        every = problems_of(fit, np.ones((1, fit.nobs), dtype=bool), "residuals")
        unscaled = covariances(every, np.array([fit.tau2]))[0]
        share = share - hat + _lever(fit.blocks.X, unscaled) / (fit.vi + fit.tau2)
    share[1 - hat < ONE] = 0.0
    return np.asarray(np.sqrt((fit.vi + fit.tau2) * np.maximum(share, 0.0)))


# -- influence ----------------------------------------------------------------------------------------------


def influence(fit: Fit) -> pd.DataFrame:
    """Case diagnostics of a univariate fit; see `Fit.influence`."""
    import pandas as pd

    k, p = fit.nobs, fit.blocks.p
    X = fit.blocks.X
    found, every = _deletions(fit, "influence diagnostics")
    hat = hat_values(fit)
    shift = _without_noise(fit.beta - found.beta, fit.beta)
    moved = _without_noise(np.einsum("kp,kp->k", X, shift), X @ fit.beta)
    away, away_se = _deleted_residuals(fit, found)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.linalg.cholesky(fit.cov) if fit.scale > 0 else np.full((p, p), np.nan)
        cook = np.sum(np.linalg.solve(root, shift.T) ** 2, axis=0)
        ratio = np.exp(np.linalg.slogdet(found.cov)[1] - np.linalg.slogdet(fit.cov)[1])
        spread = np.sqrt(found.scale[:, None] * np.diagonal(every, axis1=1, axis2=2))
        dfbetas = shift / spread
        # with weights 1 / (v + tau^2) Viechtbauer and Cheung take the variance of the fitted value from the hat value
        # of the full fit; with weights of the user's own it is the variance itself
        variance = hat * (fit.vi + found.tau2) if fit.weights is None else _lever(X, every)
        dffits = moved / np.sqrt(found.scale * variance)
        columns = {
            "rstudent": away / away_se, "dffits": dffits, "cook_d": cook, "cov_r": ratio,
            "tau2_deleted": found.tau2, "QE_deleted": found.QE, "hat": hat, "weight": weight_shares(fit),
            **{f"dfbetas[{term}]": dfbetas[:, j] for j, term in enumerate(fit.design.terms)},
        }  # fmt: skip
        flags = (hat > 3 * p / k) | (chdtr(p, cook) > 0.5) | np.any(np.abs(dfbetas) > 1, axis=1)
        if k > p:
            flags |= np.abs(dffits) > 3 * np.sqrt(p / (k - p))
    frame = _framed(fit, columns, found.identified)
    frame["influential"] = pd.Series(flags, index=frame.index, dtype="boolean").mask(~found.identified & ~flags)
    return frame


def _index(fit: Fit) -> pd.Index:
    import pandas as pd

    return pd.Index(fit.labels, name="effect")


def _framed(fit: Fit, columns: dict[str, FloatArray], identified: BoolArray) -> pd.DataFrame:
    """A frame by effect whose notes name the deletions without an answer."""
    import pandas as pd

    frame = pd.DataFrame(columns, index=_index(fit))
    frame.attrs["notes"] = deletion_notes([fit.labels[i] for i in np.flatnonzero(~identified)]) + certainty_notes(
        [fit.labels[i] for i in np.flatnonzero(identified & ~np.isfinite(frame.to_numpy()).all(axis=1))]
    )
    return frame


def certainty_notes(certain: Sequence[object]) -> tuple[str, ...]:
    """What to tell about fits whose Knapp-Hartung standard error is zero; nothing when there are none."""
    if not certain:
        return ()
    return (
        f"{_some(certain)}: the effects fitted are identical, so the Knapp-Hartung standard error is zero and what is "
        "measured in it is infinite or nan",
    )


def deletion_notes(missing: Sequence[object]) -> tuple[str, ...]:
    """What to tell about deletions after which the model cannot be fitted; nothing when there are none."""
    if not missing:
        return ()
    return (
        f"without {_some(missing)} the remaining effects do not determine every coefficient (only it has a level of a "
        "moderator, or too few effects remain), so no fit is given",
    )


def _some(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# -- leave one out ------------------------------------------------------------------------------------------

COLUMNS = ("estimate", "se", "statistic", "df", "p", "low", "high", "QE", "QE_p", "tau2", "I2", "H2")


def leave_one_out(fit: Fit, by: str | Sequence[object] | None = None) -> pd.DataFrame:
    """The fit without each effect or each group of effects in turn; see `Fit.leave_one_out`."""
    names, group, index_name = _groups(fit, by)
    m = len(names)
    if m < 2:
        raise ModelError(f"leaving out the only {index_name} leaves nothing to fit; there must be two at least")
    from catharsis.models.multilevel import MultilevelFit

    if isinstance(fit, MultilevelFit):
        frame, missing = _multilevel_deletions(fit, group, names, index_name)
        certain: list[str] = []
    elif by is None:
        found = deletions(fit, "deletions")
    else:
        step = max(CHUNK // fit.nobs, 1)
        parts = [
            fit_problems(
                problems_of(fit, np.arange(start, min(start + step, m))[:, None] != group, ""),
                fit.method,
                fit.test,
                held(fit),
            )
            for start in range(0, m, step)
        ]
        found = joined(parts)
    if not isinstance(fit, MultilevelFit):
        frame = summaries(found, fit, names, index_name)
        missing = [names[i] for i in np.flatnonzero(~found.identified)]
        certain = [f"without {names[i]}" for i in np.flatnonzero(found.identified & (found.scale == 0))]
    frame.attrs["notes"] = deletion_notes(missing) + certainty_notes(certain)
    return frame


def _groups(fit: Fit, by: str | Sequence[object] | None) -> tuple[list[object], IntArray, str]:
    """Names of the groups, group of each effect, and what a group is called."""
    if by is None:
        return list(fit.labels), np.arange(fit.nobs, dtype=np.int64), "effect"
    if isinstance(by, str):
        if by not in fit.codes:
            raise ModelError(
                f'"{by}" is not a random factor of this model: {did_you_mean(by, list(fit.codes))}; '
                "or give one label for each effect"
            )
        group = np.asarray(fit.codes[by], dtype=np.int64)
        return list(range(1, int(group.max()) + 2)), group, by
    labels = group_labels(by, fit.nobs, "by", fit.labels)
    return list(dict.fromkeys(labels)), codes(labels), str(getattr(by, "name", None) or "group")


def summaries(found: Fits, fit: Fit, names: Sequence[object], index_name: str) -> pd.DataFrame:
    """One row per fit, or with several coefficients one row per fit and term.

    Columns: estimate, se, statistic, df, p, low, high, QE, QE_p, tau2, I2 (percent), H2.
    """
    import pandas as pd

    p = fit.blocks.p
    I2, H2 = heterogeneity_shares(found, p, fit.method)
    df = found.df[:, None]
    reach = critical_value(fit.level, np.where(np.isnan(df), 1.0, df)) * found.se
    room = (found.k - p).astype(float)
    QE_p = np.array([chi2_upper(q, n) if n > 0 else 1.0 for q, n in zip(found.QE, room, strict=True)])
    QE_p[~found.identified] = np.nan
    statistic = found.statistic
    with np.errstate(invalid="ignore"):
        pvalue = two_sided_p(statistic, np.where(np.isnan(df), 1.0, df))
    columns = {
        "estimate": found.beta, "se": found.se, "statistic": statistic, "df": df, "p": pvalue,
        "low": found.beta - reach, "high": found.beta + reach, "QE": found.QE[:, None], "QE_p": QE_p[:, None],
        "tau2": found.tau2[:, None], "I2": I2[:, None], "H2": H2[:, None],
    }  # fmt: skip
    return pd.DataFrame(
        {name: np.broadcast_to(columns[name], (len(names), p)).ravel() for name in COLUMNS},
        index=_summary_index(fit, names, index_name),
    )


def _summary_index(fit: Fit, names: Sequence[object], index_name: str) -> pd.Index:
    import pandas as pd

    if fit.blocks.p == 1:
        return pd.Index(names, name=index_name)
    return pd.MultiIndex.from_product([names, fit.design.terms], names=[index_name, "term"])


def heterogeneity_shares(found: Fits, p: int, method: str) -> tuple[FloatArray, FloatArray]:
    """I^2 in percent and H^2 of each fit, as `Fit` defines them; 0 and 1 when nothing is left to vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if method in ("EE", "FE"):
            H2 = found.QE / (found.k - p)
            I2 = 100 * np.where(H2 > 0, np.maximum(1 - 1 / H2, 0.0), 0.0)
        else:
            H2 = found.tau2 / found.typical + 1
            I2 = 100 * found.tau2 / (found.tau2 + found.typical)
    alone = found.identified & (found.k == p)
    I2[alone], H2[alone] = 0.0, 1.0
    I2[~found.identified] = np.nan
    return I2, H2


# -- dependent effects ----------------------------------------------------------------------------------------


def subset_blocks(blocks: Blocks, keep: BoolArray) -> Blocks:
    """The same model on the effects that `keep` (k,) marks: smaller blocks, stacked anew by size."""
    if isinstance(blocks.ties, Nested):
        return replace(blocks, y=blocks.y[keep], X=blocks.X[keep], ties=blocks.ties.part(keep))
    position = np.cumsum(keep) - 1
    found: dict[int, list[Stack]] = {}
    for stack in blocks.ties:
        inside = keep[stack.rows]
        for kept in np.unique(inside, axis=0):
            at = np.flatnonzero(kept)
            if len(at):
                part = _part(stack, np.flatnonzero((inside == kept).all(axis=1)), at)
                found.setdefault(len(at), []).append(replace(part, rows=position[part.rows]))
    stacks = tuple(stack for size in sorted(found) for stack in found[size])
    return replace(blocks, y=blocks.y[keep], X=blocks.X[keep], ties=stacks)


def _part(stack: Stack, chosen: IntArray, at: IntArray) -> Stack:
    """Some blocks of a stack, and of these the effects at some places."""

    def square(values: FloatArray) -> FloatArray:
        return np.asarray(values[..., chosen, :, :][..., at, :][..., at])

    patterns = tuple(
        replace(
            pattern,
            together=square(pattern.together),
            inner=pattern.inner[chosen][:, at],
            distance=None if pattern.distance is None else square(pattern.distance),
            slopes=None if pattern.slopes is None else pattern.slopes[chosen][:, at],
        )
        for pattern in stack.patterns
    )
    return Stack(stack.rows[chosen][:, at], square(stack.V), square(stack.K), patterns)


def _multilevel_without(fit: MultilevelFit, keep: BoolArray) -> MultilevelFit | None:
    """A model with random effects fitted again to some of its effects; None when they do not determine it."""
    from catharsis.models.multilevel import containment_df
    from catharsis.models.variance_components import maximise

    X = fit.blocks.X[keep]
    k, p = X.shape
    size = np.linalg.norm(X, axis=0)
    if k <= p or np.any(size == 0) or np.linalg.matrix_rank(X / size) < p:
        return None
    groups = {name: codes(code[keep].tolist()) for name, code in fit.codes.items()}
    if any(code.max() == 0 for code in groups.values()):
        return None  # one level of a random factor says nothing about its variance
    df = np.full(p, np.inf)
    if fit.test == "t":
        contained = np.any(fit.coefficient_df != fit.df_resid)
        df = containment_df(X, list(groups.values())) if contained else np.full(p, float(k - p))
        if df.min() < 1:
            return None
    blocks = subset_blocks(fit.blocks, keep)
    try:
        theta = maximise(blocks, reml=fit.method == "REML", given=fit.held_at, start=fit.theta).theta
    except ModelError:
        return None
    design = replace(fit.design, X=X)
    labels = tuple(label for label, kept in zip(fit.labels, keep, strict=True) if kept)
    moved = replace(
        fit, design=design, blocks=blocks, vi=fit.vi[keep], labels=labels, typical_variance=typical_variance(blocks),
        coefficient_df=df, df=float(df.min()), codes=groups, notes=(),
    )  # fmt: skip
    return moved.at(theta)


def _multilevel_deletions(
    fit: MultilevelFit, group: IntArray, names: Sequence[object], index_name: str
) -> tuple[pd.DataFrame, list[object]]:
    """The frame of `leave_one_out`, every parameter of the random effects added to it, and what has no answer."""
    import pandas as pd

    from catharsis.models.multilevel import component_names

    p, components = fit.blocks.p, component_names(fit.blocks)
    parts, missing = [], []
    for j, name in enumerate(names):
        model = _multilevel_without(fit, group != j)
        if model is None:
            missing.append(name)
            parts.append(pd.DataFrame(np.nan, index=range(p), columns=list(dict.fromkeys([*COLUMNS, *components]))))
            continue
        low, high = (model.beta + sign * critical_value(fit.level, model.dfs) * model.se for sign in (-1, 1))
        tau2 = float(model.tau2) if np.ndim(model.tau2) == 0 else float("nan")
        values = (
            model.beta, model.se, model.statistic, model.dfs, two_sided_p(model.statistic, model.dfs), low, high,
            model.QE.statistic, model.QE.p, tau2, model.I2, model.H2, *model.theta,
        )  # fmt: skip
        parts.append(pd.DataFrame(dict(zip([*COLUMNS, *components], values, strict=True)), index=range(p)))
    frame = pd.concat(parts, ignore_index=True)
    frame.index = _summary_index(fit, names, index_name)
    return frame, missing
