"""Location-scale models: moderators of the average effect and moderators of its heterogeneity.

y_i ~ N(x_i b, v_i + tau_i^2) with log tau_i^2 = z_i a (or tau_i^2 = z_i a). With P = W - WX (X'WX)^-1 X'W the
derivatives of the (restricted) log-likelihood in tau_i^2 are

    g_i  = ((P y)_i^2 - P_ii) / 2                  (W_ii for P_ii under ML)
    H_ij = P_ij^2 / 2 - (P y)_i P_ij (P y)_j       (diag(w^2) for P_ij^2 under ML)

and P_ij^2 expands into sums over pairs of coefficients, so that the cost is linear in k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import interval_level
from catharsis.likelihood.data import check_data, read_data
from catharsis.likelihood.design import Design, design_matrix
from catharsis.models.coefficients import Coefficients
from catharsis.models.heterogeneity import ESTIMATORS, weighted
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

Link = Literal["log", "identity"]
LINKS: tuple[Link, ...] = ("log", "identity")

LOG_2PI = float(np.log(2 * np.pi))
MAX_STEPS = 300
SETTLED = 1e-11  # log-likelihood units that a full Newton step may still promise at the end
FLAT = 1e-7  # the same, after which a halted search counts as failed
INSIDE = 1e-6  # tau^2, in typical sampling variances, above which an identity-link estimate is off its boundary
LEVEL = 1e-6  # curvature per squared unit of (root mean square) log tau^2 below which a direction has no maximum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationScale(Coefficients):
    """A fitted location-scale model.

    Attributes
    ----------
    beta, cov : (p,), (p, p) arrays
        Coefficients of the average effect and their covariance.
    alpha, alpha_cov : (q,), (q, q) arrays
        Coefficients of log tau^2 (link "log") or tau^2 (link "identity") and their covariance, from the observed
        information.
    tau2 : (k,) array
        Heterogeneity variance at each effect's scale moderators.
    df, alpha_df : float
        Degrees of freedom of the tests of beta and of alpha; inf means normal.
    llf : float
        The maximised log-likelihood, restricted under REML.
    design, scale_design : Design
        The two model matrices.
    notes : tuple of str
        What every reader must be told.
    """

    beta: FloatArray
    cov: FloatArray
    alpha: FloatArray
    alpha_cov: FloatArray
    tau2: FloatArray
    df: float
    alpha_df: float
    llf: float
    method: str
    test: str
    link: Link
    level: float
    design: Design
    scale_design: Design
    yi: FloatArray
    vi: FloatArray
    notes: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """(p,) names of the average effect's coefficients."""
        return self.design.terms

    @property
    def scale_params(self) -> pd.Series:
        """Coefficients of the heterogeneity."""
        return _named(self.alpha, self.scale_design)

    @property
    def scale_bse(self) -> pd.Series:
        """Standard errors of the heterogeneity's coefficients."""
        return _named(np.sqrt(np.diag(self.alpha_cov)), self.scale_design)

    @property
    def scale_pvalues(self) -> pd.Series:
        """Two-sided p of each coefficient of the heterogeneity."""
        return _named(two_sided_p((self.scale_params / self.scale_bse).to_numpy(), self.alpha_df), self.scale_design)

    def scale_conf_int(self, level: float | None = None) -> pd.DataFrame:
        """Confidence intervals of the heterogeneity's coefficients, columns low and high."""
        return _limits(self.alpha, self.alpha_cov, self.alpha_df, self.probability_of(level), self.scale_design)

    @property
    def nobs(self) -> int:
        """Number of effects."""
        return len(self.yi)

    @property
    def aic(self) -> float:
        """Akaike's criterion, restricted under REML."""
        return -2 * self.llf + 2 * (len(self.beta) + len(self.alpha))

    @property
    def bic(self) -> float:
        """Schwarz's criterion, restricted under REML."""
        n = self.nobs - (len(self.beta) if self.method == "REML" else 0)
        return -2 * self.llf + float(np.log(n)) * (len(self.beta) + len(self.alpha))

    @property
    def QM(self) -> Wald:
        """Joint test of the average effect's moderators; of the intercept when it stands alone."""
        return _omnibus(self.beta, self.cov, self.df, self.design)

    @property
    def QS(self) -> Wald:
        """Joint test of the heterogeneity's moderators; of the intercept when it stands alone."""
        return _omnibus(self.alpha, self.alpha_cov, self.alpha_df, self.scale_design)

    def summary(self) -> pd.DataFrame:
        """Both sets of coefficients in one frame, indexed by part and term."""
        import pandas as pd

        limits, scale_limits = self.conf_int(), self.scale_conf_int()
        parts = {
            "average": (self.params, self.bse, self.pvalues, limits, self.df),
            "heterogeneity": (self.scale_params, self.scale_bse, self.scale_pvalues, scale_limits, self.alpha_df),
        }
        frames = {
            name: pd.DataFrame({"estimate": b, "se": se, "statistic": b / se, "df": df, "p": p}).join(interval)
            for name, (b, se, p, interval, df) in parts.items()
        }
        return pd.concat(frames, names=["part", "term"])


def _named(values: FloatArray, design: Design) -> pd.Series:
    import pandas as pd

    return pd.Series(np.asarray(values), index=list(design.terms))


def _limits(b: FloatArray, cov: FloatArray, df: float, level: float, design: Design) -> pd.DataFrame:
    import pandas as pd

    reach = critical_value(level, df) * np.sqrt(np.diag(cov))
    return pd.DataFrame({"low": b - reach, "high": b + reach}, index=list(design.terms))


def _omnibus(b: FloatArray, cov: FloatArray, df: float, design: Design) -> Wald:
    """Joint test of all coefficients but the intercept; nan when one of them has no finite estimate."""
    chosen = [i for i, term in enumerate(design.terms) if term != "intercept"] or [0]
    if not np.isfinite(b[chosen]).all():
        return Wald(float("nan"), len(chosen), df, float("nan"))
    return wald_test(b[chosen], cov[np.ix_(chosen, chosen)], df)


def fit_location_scale(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    scale: str | FloatArray,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    link: str = "log",
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> LocationScale:
    """Fit a location-scale model by (restricted) maximum likelihood.

    Parameters
    ----------
    formula, data, yi, vi, X, level, reference, levels
        As for `catharsis.fit`.
    scale : str or (k, q) array
        Moderators of the heterogeneity: "~ moderators", or a matrix with its intercept.
    link : str
        "log" (always a valid variance) or "identity" (additive, kept at or above zero).
    method : str
        ML or REML.
    test : str
        z, t (k - p and k - q degrees of freedom), knha or adhoc.

    Returns
    -------
    LocationScale

    Raises
    ------
    ModelError
        Unknown options, too few effects, or a likelihood without a maximum (a group of effects without any
        heterogeneity, under the log link).

    References
    ----------
    [@viechtbauer2010a; @raudenbush2009]

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> z = np.repeat([0.0, 1.0], 30)
    >>> yi = rng.normal(0.3, np.sqrt(0.05 + 0.1 * np.exp(z)))
    >>> model = fit_location_scale(yi=yi, vi=np.full(60, 0.05), scale=np.column_stack([np.ones(60), z]))
    >>> model.scale_params.round(2).to_dict()
    {'intercept': -2.9, 'x2': 1.34}
    """
    level = interval_level(level)
    given = read_data(formula, data, yi, vi, X, reference, levels)
    check_data(given, level)
    if isinstance(scale, str):
        if data is None:
            raise ModelError("a formula for the heterogeneity needs data; without them give scale as a matrix")
        outer = design_matrix(scale, data, reference, levels)
    else:
        outer = read_data(None, None, given.yi, given.vi, scale, None, None).design
    _check_options(len(given.yi), given.design.X.shape[1], outer.X.shape[1], link, method, test)
    return _estimate(
        given.yi, given.vi, given.design, outer, "log" if link == "log" else "identity", method, test, level
    )


def _check_options(k: int, p: int, q: int, link: str, method: str, test: str) -> None:
    if link not in LINKS:
        raise ModelError(f'there is no link "{link}": {did_you_mean(link, list(LINKS))}')
    if method not in ("ML", "REML"):
        raise ModelError(f"a model of the heterogeneity is fitted by ML or REML, not {method}")
    if test not in ("z", "t", "knha", "adhoc"):
        raise ModelError(f'there is no test "{test}" for a location-scale model: use z, t, knha or adhoc')
    if k <= p + (q if method == "ML" else 0) or k <= q:
        raise ModelError(f"{k} effects cannot carry {p} coefficients of the average and {q} of the heterogeneity")


def _estimate(
    yi: FloatArray, vi: FloatArray, design: Design, scale: Design, link: Link, method: str, test: str, level: float
) -> LocationScale:
    k, p, q = len(yi), design.X.shape[1], scale.X.shape[1]
    unit = float(np.median(vi))
    own = np.linalg.qr(design.X)[0]  # only the space of the moderators matters, and this basis has no ill units
    problem = _Problem(yi / np.sqrt(unit), vi / unit, own, scale.X, method == "REML", link == "log")
    end, notes = _maximum(problem)
    here = problem.slope(end)
    alpha, alpha_cov = _unscaled(problem, end, here.hessian, unit)
    tau2 = np.maximum(here.tau2, 0.0) * unit  # rounding on the boundary of the identity link
    found = weighted(yi, 1 / (vi + tau2), design.X)
    factor = found.rss / (k - p) if test in ("knha", "adhoc") else 1.0
    factor = max(factor, 1.0) if test == "adhoc" else factor
    finite = test != "z"
    return LocationScale(
        beta=found.beta, cov=factor * found.cov, alpha=alpha, alpha_cov=alpha_cov, tau2=tau2,
        df=float(k - p) if finite else float("inf"), alpha_df=float(k - q) if finite else float("inf"),
        llf=here.height - 0.5 * (k - (p if method == "REML" else 0)) * float(np.log(unit)),
        method=method, test=test, link=link, level=level, design=design, scale_design=scale, yi=yi, vi=vi,
        notes=tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slope:
    height: float
    tau2: FloatArray
    gradient: FloatArray
    hessian: FloatArray


@dataclass(frozen=True, slots=True)
class _Problem:
    """The likelihood in units of the typical standard error, in orthonormal scale moderators."""

    y: FloatArray
    v: FloatArray
    X: FloatArray
    Z: FloatArray
    reml: bool
    log: bool

    @property
    def rotation(self) -> tuple[FloatArray, FloatArray]:
        """Z = Q R with Q scaled to unit mean square, so that no step depends on the moderators' units."""
        Q, R = np.linalg.qr(self.Z)
        root = np.sqrt(len(self.Z))
        return Q * root, R / root

    def variances(self, a: FloatArray) -> FloatArray:
        linear = self.rotation[0] @ a
        return np.exp(linear) if self.log else linear

    def height(self, a: FloatArray) -> float:
        return self._height(self.variances(a))[0]

    def _height(self, tau2: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, Py, and U = W^(1/2)-free leverage factor: P = W - UU'."""
        w = 1 / (self.v + tau2)
        root = np.sqrt(w)
        Q, R = np.linalg.qr(root[:, None] * self.X)
        residual = root * self.y - Q @ (Q.T @ (root * self.y))
        k, p = self.X.shape
        value = 0.5 * (float(np.log(w).sum()) - float(residual @ residual) - k * LOG_2PI)
        if self.reml:
            own = np.linalg.qr(self.X, mode="r")
            value += 0.5 * p * LOG_2PI + float(np.log(np.abs(np.diag(own))).sum() - np.log(np.abs(np.diag(R))).sum())
        return value, root * residual, root[:, None] * Q

    def slope(self, a: FloatArray) -> _Slope:
        T = self.rotation[0]
        tau2 = self.variances(a)
        height, Py, U = self._height(tau2)
        w = 1 / (self.v + tau2)
        lever = np.einsum("ij,ij->i", U, U)
        g = 0.5 * (Py**2 - (w - lever if self.reml else w))
        D = T * tau2[:, None] if self.log else T
        gradient = D.T @ g
        if self.reml:
            pairs = np.einsum("iq,ia,ib->qab", D, U, U)
            squares = (D.T * (w**2 - 2 * w * lever)) @ D + np.einsum("qab,rab->qr", pairs, pairs)
        else:
            squares = (D.T * w**2) @ D
        DP = D * Py[:, None]
        inner = DP.T @ (w[:, None] * DP) - (DP.T @ U) @ (U.T @ DP)
        hessian = 0.5 * squares - inner
        if self.log:
            hessian = hessian + (T.T * (g * tau2)) @ T
        return _Slope(height, tau2, gradient, hessian)


def _starts(problem: _Problem) -> list[FloatArray]:
    """Equal heterogeneity as the univariate estimators see it, and a regression of the squared residuals."""
    T, _ = problem.rotation
    y, v, X = problem.y, problem.v, problem.X
    level = max(ESTIMATORS["REML" if problem.reml else "ML"](y, v, X), 0.05)
    residual = weighted(y, 1 / (v + level), X).residual
    guess = np.maximum(residual**2 - v, 0.1 * level)
    link = np.log if problem.log else np.asarray
    flats = [np.full(len(y), link(value)) for value in (level, 10 * level, 0.2 * level)]
    return [np.linalg.lstsq(T, np.asarray(target), rcond=None)[0] for target in (*flats, link(guess))]


def _maximum(problem: _Problem) -> tuple[FloatArray, list[str]]:
    if not problem.log:
        return _constrained(problem)
    ends = [_climb(problem, start) for start in _starts(problem)]
    best = max(ends, key=problem.height)
    here = problem.slope(best)
    if np.linalg.eigvalsh(-here.hessian)[0] < LEVEL:
        gone = int(np.sum(here.tau2 < LEVEL))
        return best, [
            f"{gone} of {len(here.tau2)} effects show no heterogeneity: their log tau^2 runs to minus infinity, and "
            "the scale coefficients that drive it there have no finite estimate (nan)"
        ]
    if _promise(here) > FLAT:
        raise ModelError("the scale model did not settle: its likelihood is nearly flat; use fewer scale moderators")
    return best, []


def _promise(here: _Slope) -> float:
    """The gain that a Newton step promises; infinite where the surface is not concave."""
    try:
        root = np.linalg.cholesky(-here.hessian)
    except np.linalg.LinAlgError:
        return float("inf")
    half = np.linalg.solve(root, here.gradient)
    return float(half @ half) / 2


def _climb(problem: _Problem, a: FloatArray) -> FloatArray:
    """Newton's method with the damping of Levenberg, upwards only."""
    damping = 0.0
    here = problem.slope(a)
    for _ in range(MAX_STEPS):
        if _promise(here) < SETTLED or not np.isfinite(here.height):
            return _polished(problem, a, here)
        values, vectors = np.linalg.eigh(-here.hessian)
        plain = np.maximum(np.abs(values), 1e-8 * np.abs(values).max())
        if plain.max() == 0 or damping > 1e12 * plain.max():
            return a
        curved = plain + damping
        step = vectors @ ((vectors.T @ here.gradient) / curved)
        step *= 3.0 / max(3.0, float(np.linalg.norm(step)))  # never more than e^3 in one go, on the log scale
        trial = problem.height(a + step)
        if trial > here.height:
            a, damping = a + step, damping / 4
            here = problem.slope(a)
        else:
            damping = max(4 * damping, 1e-3 * float(plain.max()))
    return a


def _polished(problem: _Problem, a: FloatArray, here: _Slope) -> FloatArray:
    """Newton steps while the gradient shrinks, which is accurate where differences of the likelihood are not."""
    size = float(np.abs(here.gradient).max())
    for _ in range(10):
        trial = a - np.linalg.solve(here.hessian, here.gradient)
        there = problem.slope(trial)
        next_size = float(np.abs(there.gradient).max())
        if not next_size < size:
            break
        a, here, size = trial, there, next_size
    return a


def _constrained(problem: _Problem) -> tuple[FloatArray, list[str]]:
    """The identity link: maximise with tau_i^2 >= 0 at every effect."""
    rows = np.unique(problem.rotation[0], axis=0)
    starts = [start for start in _starts(problem) if (rows @ start > 0).all()]
    ends = [_walk(problem, rows, start) for start in (*starts, np.zeros(rows.shape[1]))]  # zero is always allowed
    a = max(ends, key=problem.height)
    if float((rows @ a).min()) > INSIDE:
        return a, []
    return a, [
        "tau^2 is estimated at its boundary, zero, for some values of the scale moderators; the scale coefficients "
        "then have no standard errors (nan)"
    ]


def _walk(problem: _Problem, rows: FloatArray, a: FloatArray) -> FloatArray:
    """Newton's method inside rows @ a >= 0: each step maximises the damped quadratic model under the constraints."""
    here, damping = problem.slope(a), 0.0
    for _ in range(MAX_STEPS):
        values, vectors = np.linalg.eigh(-here.hessian)
        plain = np.maximum(np.abs(values), 1e-8 * np.abs(values).max())
        if not 0 < plain.max() < np.inf or damping > 1e12 * plain.max():
            break
        curved = (vectors * (plain + damping)) @ vectors.T
        step = _constrained_step(here.gradient, curved, rows, np.maximum(rows @ a, 0.0))
        if float(here.gradient @ step - 0.5 * step @ curved @ step) < SETTLED and damping < plain.max():
            break
        trial = problem.height(a + step)
        if trial > here.height:
            a, damping = a + step, damping / 4
            here = problem.slope(a)
        else:
            damping = max(4 * damping, 1e-3 * float(plain.max()))
    return _polished_on_face(problem, rows, a)


def _constrained_step(gradient: FloatArray, curved: FloatArray, rows: FloatArray, room: FloatArray) -> FloatArray:
    """The step d that maximises gradient @ d - d @ curved @ d / 2 under rows @ d >= -room.

    With curved = L L' and u = L' d - L^-1 gradient that is the shortest u under linear inequalities, hence a
    non-negative least-squares problem (Lawson and Hanson 1974, Solving least squares problems, chapter 23).
    """
    from scipy.optimize import nnls

    L = np.linalg.cholesky(curved)
    free = np.linalg.solve(L, gradient)
    G = np.linalg.solve(L, rows.T)
    short = -room - G.T @ free  # what u must reach
    if (short <= 0).all():
        return np.linalg.solve(L.T, free)
    size = np.maximum(np.linalg.norm(G, axis=0), np.finfo(float).tiny)  # constraints in units of u
    E = np.vstack([G / size, short / size])
    goal = np.zeros(len(E))
    goal[-1] = 1.0
    residual = E @ nnls(E, goal)[0] - goal
    return np.linalg.solve(L.T, free - residual[:-1] / residual[-1])


def _polished_on_face(problem: _Problem, rows: FloatArray, a: FloatArray) -> FloatArray:
    """Newton steps along the constraints that bind, while the gradient shrinks."""
    binding = rows[rows @ a <= INSIDE]
    q = len(a)
    if len(binding):
        _, sizes, axes = np.linalg.svd(binding)
        along = axes[int(np.sum(sizes > 1e-10 * sizes[0])) :].T
        a = along @ (along.T @ a)  # exactly onto the face
        if not (rows @ a >= -INSIDE).all():  # pragma: no cover - a face meets the others only at corners
            return a
    else:
        along = np.eye(q)
    here, size = problem.slope(a), np.inf
    for _ in range(10 if along.shape[1] else 0):
        inner = along.T @ here.hessian @ along
        next_size = float(np.abs(along.T @ here.gradient).max())
        if not next_size < size or np.linalg.eigvalsh(-inner)[0] <= 0:
            break
        size = next_size
        trial = a - along @ np.linalg.solve(inner, along.T @ here.gradient)
        there = problem.slope(trial)
        if not float(np.abs(along.T @ there.gradient).max()) < size or (rows @ trial < -1e-12).any():
            break
        a, here = trial, there
    return a


def _unscaled(problem: _Problem, a: FloatArray, hessian: FloatArray, unit: float) -> tuple[FloatArray, FloatArray]:
    """Coefficients of the caller's moderators and effects, and their covariance, from those of the rotated problem.

    A direction in which the likelihood is level carries no information: the coefficients with a part in it are nan.
    """
    back = np.linalg.inv(problem.rotation[1])
    values, vectors = np.linalg.eigh(-hessian)
    if not problem.log and (float(problem.variances(a).min()) <= INSIDE or values[0] <= 0):
        return back @ a * unit, np.full_like(hessian, np.nan)
    level = values < LEVEL if problem.log else np.zeros(len(values), dtype=bool)
    spread = back @ (vectors[:, ~level] / np.sqrt(values[~level]))
    alpha, cov = back @ a, spread @ spread.T
    if problem.log:
        alpha = alpha + np.linalg.lstsq(problem.Z, np.full(len(problem.Z), np.log(unit)), rcond=None)[0]
        part = np.abs(back @ vectors[:, level]) * np.linalg.norm(problem.Z, axis=0)[:, None]
        lost = np.any(part > 1e-3 * part.max(initial=0.0), axis=1)
        alpha[lost], cov[lost], cov[:, lost] = np.nan, np.nan, np.nan
        return alpha, cov
    return alpha * unit, cov * unit**2
