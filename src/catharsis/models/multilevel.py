"""Multilevel and multivariate models: random factors, structured random effects, known sampling covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.design import Design
from catharsis.likelihood.marginal import log_likelihood, moments, typical_variance
from catharsis.likelihood.random_effects import RandomEffects
from catharsis.likelihood.structures import SLOPES, SPATIAL, UNSTRUCTURED, Structure, level_covariance
from catharsis.models.knapp_hartung import Test
from catharsis.models.prediction import Prediction
from catharsis.models.result import Fit
from catharsis.models.variance_components import Components, maximise
from catharsis.numerics import FloatArray, IntArray, critical_value

if TYPE_CHECKING:
    import pandas as pd

SINGULAR = 1e-6  # eigenvalue of a correlation matrix, over its largest, that counts as zero


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultilevelFit(Fit):
    """A fitted multilevel or multivariate model.

    Attributes
    ----------
    parameters_at : (s,) array
        All parameters of the random effects, in the order of `blocks.factors`.
    held_at : (s,) array
        The values at which parameters were held; nan where estimated.
    level_names : dict
        Names of the levels of each grouping factor.
    coefficient_df : (p,) array
        Degrees of freedom of each coefficient; inf means normal.
    """

    tau2: Any  # a number, or a series by inner level when the first structured term has several variances
    parameters_at: FloatArray
    held_at: FloatArray
    level_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    coefficient_df: FloatArray

    @property
    def theta(self) -> FloatArray:
        """(s,) parameters of the random effects in the order of `blocks.factors`."""
        return self.parameters_at

    @property
    def dfs(self) -> FloatArray:
        """(p,) degrees of freedom of each coefficient."""
        return self.coefficient_df

    @property
    def parameters(self) -> int:
        """Number of estimated parameters: coefficients, variances and correlations."""
        return self.blocks.p + int(np.isnan(self.held_at).sum())

    def _part(self, number: int, correlations: bool) -> Any:
        """Variances or correlations of a structured term: a number when it has one, else a series."""
        if number >= len(self.blocks.structures):
            return None
        import pandas as pd

        structure, theta = self.blocks.structures[number], self._own(number)
        v = structure.variances
        if correlations and structure.correlations == 0:
            return 0.0
        values, names = (theta[v:], structure.names[v:]) if correlations else (theta[:v], structure.names[:v])
        if "[" not in names[0]:
            return float(values[0])
        return pd.Series(values, index=[name[name.index("[") + 1 : -1] for name in names], name=structure.name)

    def _own(self, number: int) -> FloatArray:
        first = self.blocks.intercepts + sum(s.parameters for s in self.blocks.structures[:number])
        return self.theta[first : first + self.blocks.structures[number].parameters]

    @property
    def rho(self) -> Any:
        """Correlations of the first `inner | outer` term; a series by pair of levels when there are several."""
        return self._part(0, correlations=True)

    @property
    def gamma2(self) -> Any:
        """Variances of the second `inner | outer` term."""
        return self._part(1, correlations=False)

    @property
    def phi(self) -> Any:
        """Correlations of the second `inner | outer` term."""
        return self._part(1, correlations=True)

    def random_covariance(self, term: int = 0) -> pd.DataFrame:
        """G of an `inner | outer` term over its inner levels.

        Raises
        ------
        ModelError
            When there is no such term, or its kind goes by distance.
        """
        import pandas as pd

        if term >= len(self.blocks.structures):
            raise ModelError(f"this model has {len(self.blocks.structures)} inner | outer terms")
        structure = self.blocks.structures[term]
        if structure.kind in SPATIAL or structure.kind == "CAR":
            raise ModelError(f"{structure.kind} goes by distance: it has no matrix between levels")
        G = level_covariance(structure, self._own(term))
        return pd.DataFrame(G, index=list(structure.levels), columns=list(structure.levels))

    def components(self) -> pd.DataFrame:
        """Every variance and correlation of the random effects.

        Returns
        -------
        pandas.DataFrame
            Index: names as in `confint_components`; columns estimate, sd (of variances), levels (how many the
            grouping factor has) and held.
        """
        import pandas as pd

        variance = _is_variance(self.blocks)
        counts = [len(self.level_names.get(name, ())) for name in self.blocks.factors[: self.blocks.intercepts]]
        for structure in self.blocks.structures:
            outer = structure.name.split("|")[1].strip()
            counts += [len(self.level_names.get(outer, ()))] * structure.parameters
        with np.errstate(invalid="ignore"):
            sd = np.where(variance, np.sqrt(np.maximum(self.theta, 0)), np.nan)
        return pd.DataFrame(
            {"estimate": self.theta, "sd": sd, "levels": counts, "held": ~np.isnan(self.held_at)},
            index=component_names(self.blocks),
        )

    def confint_components(self, which: Sequence[str] | None = None, level: float | None = None) -> pd.DataFrame:
        """Profile-likelihood intervals of variances and correlations; see `models.profile_intervals`."""
        from catharsis.models.profile_intervals import profile_intervals

        return profile_intervals(
            self.blocks, self.theta, self.held_at, self.method == "REML", self.probability_of(level),
            component_names(self.blocks),
            which,
        )  # fmt: skip

    def ranef(self, level: float | None = None) -> dict[str, pd.DataFrame]:
        """Best linear unbiased predictions of the random effects, with standard errors and intervals.

        Under test="t" the intervals have the residual degrees of freedom, with df="contain" those of the grouping
        factor (its levels minus p).

        Returns
        -------
        dict
            Term (a random factor's name, or "inner | outer") to a frame: index levels, columns estimate, se, low,
            high.
        """
        from catharsis.models.random_effects import predicted_effects

        contained = self.test == "t" and bool(np.any(self.dfs != self.df_resid))
        df = {
            name: float("inf")
            if self.test != "t"
            else float(len(labels) - self.blocks.p if contained else self.df_resid)
            for name, labels in self.level_names.items()
        }
        return predicted_effects(self.blocks, self.theta, self.codes, self.level_names, self.probability_of(level), df)

    # -- what each effect does --------------------------------------------------------------------
    def residuals(self, type: str = "standardized") -> pd.DataFrame:
        """Residuals y - X b.

        Parameters
        ----------
        type : str
            "response": alone. "pearson": over the root of their marginal variance. "standardized" (internally): over
            their standard error.

        Returns
        -------
        pandas.DataFrame
            Indexed by effect; columns residual, se, z ("response": fitted, residual).

        Raises
        ------
        ModelError
            For another type.
        """
        from catharsis.models.dependent_residuals import dependent_residuals

        return dependent_residuals(self, type)

    def weights_of_effects(self) -> pd.DataFrame:
        """Leverage and weights of each effect.

        Returns
        -------
        pandas.DataFrame
            Indexed by effect: `hat` (sums to p), `weight` (diagonal of W = M^-1, percent), `share` (row sums of W,
            percent: what each effect contributes to the average; nan with moderators).
        """
        import pandas as pd

        from catharsis.models.dependent_residuals import leverage

        found = leverage(self.blocks, self.theta)
        alone = self.blocks.p == 1 and bool(np.all(self.blocks.X[0, 0] == self.blocks.X))
        share = found.row if alone else np.full(self.nobs, np.nan)
        return pd.DataFrame({"hat": found.hat, "weight": found.diagonal, "share": share}, index=list(self.labels))

    def cooks_distance(self, by: str | Sequence[object] | None = None) -> pd.Series:
        """How far the coefficients move without each effect, or each cluster `by`, all parameters estimated anew.

        Parameters
        ----------
        by : str or (k,) sequence, optional
            As for `leave_one_out`.

        Returns
        -------
        pandas.Series
            (b - b_(j))' cov(b)^-1 (b - b_(j)); nan where the rest does not determine the model.
        """
        from catharsis.models.dependent_residuals import cooks_distances

        return cooks_distances(self, by)

    # -- heterogeneity --------------------------------------------------------------------------
    @property
    def tau(self) -> Any:
        """Root of `tau2`."""
        return np.sqrt(self.tau2)

    @property
    def I2(self) -> float:
        """Share of the total variance that is not sampling error, in percent; nan when it differs by inner level.

        References
        ----------
        [@higgins2002]
        """
        if self.method in ("EE", "FE"):
            return 100 * max(1 - 1 / self.H2, 0.0) if self.H2 > 0 else 0.0
        total = self.between()
        return 100 * total / (total + self.typical_variance)

    @property
    def H2(self) -> float:
        """Total over sampling variance; Q / (k - p) when there is nothing but V."""
        if self.method in ("EE", "FE"):
            return self.QE.statistic / self.df_resid if self.df_resid else 1.0
        return self.between() / self.typical_variance + 1

    def at(self, theta: FloatArray) -> MultilevelFit:
        """The same model with other parameters of the random effects, (s,)."""
        found = moments(self.blocks, theta)
        plain = self.blocks.intercepts
        moved = replace(
            self, beta=found.beta(), cov=found.cov(), parameters_at=theta,
            llf=log_likelihood(self.blocks, found, self.method == "REML"),
            sigma2=dict(zip(self.blocks.factors, theta[:plain].tolist(), strict=False)),
            tau2=float(theta[:plain].sum()),
        )  # fmt: skip
        return replace(moved, tau2=moved._part(0, correlations=False)) if self.blocks.structures else moved

    @property
    def I2_by_level(self) -> pd.Series:
        """Share of the total variance at each level, in percent.

        Random factors and structures with one variance share one total: all variances and the typical sampling
        variance. Structures with a variance for each inner level get a share for each, with the typical sampling
        variance of that level's effects.

        References
        ----------
        [@higgins2002]
        """
        import pandas as pd

        plain = float(self.theta[: self.blocks.intercepts].sum())
        found: dict[str, float] = {}
        single = [n for n, s in enumerate(self.blocks.structures) if s.variances == 1 and s.kind not in SLOPES]
        several = [n for n, s in enumerate(self.blocks.structures) if s.variances > 1 and s.kind not in SLOPES]
        total = plain + sum(float(self._own(n)[0]) for n in single)
        for name, value in zip(self.blocks.factors, self.theta[: self.blocks.intercepts], strict=False):
            found[name] = 100 * float(value) / (total + self.typical_variance) if not several else float("nan")
        for n in single:
            name = self.blocks.structures[n].name
            found[name] = (
                100 * float(self._own(n)[0]) / (total + self.typical_variance) if not several else float("nan")
            )
        for n in several if len(self.blocks.structures) == 1 else []:
            structure = self.blocks.structures[n]
            typical = _typical_by_level(self.blocks, n)
            for label, variance, v in zip(structure.levels, self._own(n), typical, strict=False):
                found[label] = 100 * float(variance) / (total + float(variance) + float(v))
        return pd.Series(found, dtype=float, name="I2")

    # -- predictions ----------------------------------------------------------------------------
    def between(self, inner: object = None, inner2: object = None) -> float:
        """Variance of the true effects around the average, at one inner level of each structured term.

        nan for random slopes, or when a term with several variances needs a level that was not named.

        Raises
        ------
        ModelError
            When the level is not one of the term's.
        """
        total = float(self.theta[: self.blocks.intercepts].sum())
        for number, level in enumerate((inner, inner2)[: len(self.blocks.structures)]):
            structure, own = self.blocks.structures[number], self._own(number)
            if structure.kind in SLOPES:
                return float("nan")
            if structure.variances == 1:
                total += float(own[0])
            elif level is None:
                return float("nan")
            elif str(level) not in structure.levels:
                raise ModelError(
                    f'"{level}" is not a level of {structure.name}: {did_you_mean(str(level), list(structure.levels))}'
                )
            else:
                total += float(own[structure.levels.index(str(level))])
        return total

    def predict(
        self, x: Sequence[float] | FloatArray | None = None, level: float | None = None, pi_df: float | None = None,
        inner: object = None, inner2: object = None,
    ) -> Prediction:  # fmt: skip
        """Average effect and prediction interval at one row of the model matrix.

        Parameters
        ----------
        x : (p,) sequence, optional
            A row of X; the first column alone by default.
        level : float, optional
            Probability of both intervals.
        pi_df : float, optional
            Degrees of freedom of the prediction interval; by default the smallest of the coefficients involved.
        inner, inner2 : optional
            Inner level of the first and second structured term, when its variances differ.

        Returns
        -------
        Prediction
        """
        row = np.eye(self.blocks.p)[0] if x is None else np.asarray(x, dtype=float)
        level, df = self.probability_of(level), self.df_at(row)
        estimate, se = float(row @ self.beta), float(np.sqrt(row @ self.cov @ row))
        reach = float(critical_value(level, df)) * se
        spread = float("nan")
        if self.method not in ("EE", "FE"):
            wide = df if pi_df is None else pi_df
            if wide > 0:
                spread = float(critical_value(level, wide)) * float(np.sqrt(self.between(inner, inner2) + se**2))
        return Prediction(estimate, se, estimate - reach, estimate + reach, estimate - spread, estimate + spread)


def component_names(blocks: Blocks) -> list[str]:
    """Names of all parameters: sigma2[factor] first, then those of the structures."""
    plain = [f"sigma2[{name}]" for name in blocks.factors[: blocks.intercepts]]
    return plain + list(blocks.factors[blocks.intercepts :])


def _is_variance(blocks: Blocks) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = [np.ones(blocks.intercepts, dtype=bool)]
    found += [np.arange(structure.parameters) < structure.variances for structure in blocks.structures]
    return np.concatenate(found)


def _typical_by_level(blocks: Blocks, number: int) -> FloatArray:
    """Typical sampling variance of the effects of each inner level: (n - sum of leverages) / sum of diag(P)."""
    structure = blocks.structures[number]
    q = len(structure.levels)
    count, lever, trace = np.zeros(q), np.zeros(q), np.zeros(q)
    try:
        X = blocks.X @ moments(blocks, np.zeros(len(blocks.factors))).inverse_root
    except ModelError:
        return np.full(q, np.nan)
    for stack in blocks.stacks:
        W = np.linalg.inv(stack.V)
        WX = W @ X[stack.rows]
        inner = stack.patterns[number].inner.ravel()
        P = np.diagonal(W, axis1=1, axis2=2) - np.sum(WX**2, axis=2)
        count += np.bincount(inner, minlength=q)
        lever += np.bincount(inner, np.sum(X[stack.rows] * WX, axis=2).ravel(), minlength=q)
        trace += np.bincount(inner, P.ravel(), minlength=q)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((count - lever) / trace)


def containment_df(X: FloatArray, groups: Sequence[IntArray]) -> FloatArray:
    """Degrees of freedom of each coefficient by containment.

    A coefficient whose column of X is constant within the levels of a random effect varies between these levels only:
    it has (levels - p) degrees of freedom, the fewest of the random effects that contain it; k - p when none does.

    Parameters
    ----------
    X : (k, p) array
        Moderators.
    groups : sequence of (k,) arrays
        Codes of each grouping factor.

    Returns
    -------
    (p,) array

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0, 0, 1, 1], [0, 1, 0, 1]])
    >>> containment_df(X, [np.array([0, 0, 1, 1])]).tolist()
    [-1.0, -1.0, 1.0]
    """
    k, p = X.shape
    found = np.full(p, float(k - p))
    for code in groups:
        first = np.full(int(code.max()) + 1, -1)
        first[code[::-1]] = np.arange(k)[::-1]
        contained = np.all(X[first[code]] == X, axis=0)
        found[contained] = np.minimum(found[contained], len(first) - p)
    return found


def fit_multilevel(
    blocks: Blocks, vi: FloatArray, design: Design, labels: tuple[str, ...], method: str, test: Test, level: float,
    notes: list[str], random: RandomEffects | None, dfs: str,
) -> MultilevelFit:  # fmt: skip
    """A model with random effects or a known sampling covariance; arguments as for `fit`."""
    groups = {} if random is None else random.groups
    df = _degrees_of_freedom(blocks, list(groups.values()), groups, test, dfs)
    held = np.full(len(blocks.factors), np.nan) if random is None else random.given
    components = maximise(blocks, reml=method == "REML", given=held)
    notes += [] if random is None else list(random.notes)
    notes += component_notes(blocks, components)
    theta = components.theta
    found = MultilevelFit(
        beta=components.found.beta(), cov=components.found.cov(), df=float(df.min()), coefficient_df=df,
        tau2=float(theta[: blocks.intercepts].sum()),
        sigma2=dict(zip(blocks.factors, theta[: blocks.intercepts].tolist(), strict=False)),
        scale=1.0, method=method, test=test, level=level, design=design, blocks=blocks, vi=vi, labels=labels,
        llf=components.llf, typical_variance=typical_variance(blocks), notes=tuple(notes), codes=dict(groups),
        parameters_at=theta, held_at=held, level_names={} if random is None else random.levels,
    )  # fmt: skip
    return found.at(theta) if blocks.structures else found


def _degrees_of_freedom(
    blocks: Blocks, groups: Sequence[IntArray], names: Mapping[str, IntArray], test: Test, dfs: str
) -> FloatArray:
    if test != "t":
        return np.full(blocks.p, np.inf)
    df = containment_df(blocks.X, groups) if dfs == "contain" else np.full(blocks.p, float(blocks.k - blocks.p))
    if df.min() < 1:
        fewest = min((int(code.max()) + 1 for code in groups), default=blocks.k) if dfs == "contain" else blocks.k
        raise ModelError(
            f"{fewest} groups leave no degrees of freedom for {blocks.p} coefficients; use test='z' or fewer moderators"
        )
    return df


def component_notes(blocks: Blocks, components: Components) -> list[str]:
    """What a reader must be told about estimates at a boundary or on a flat likelihood."""
    found, names = [], component_names(blocks)
    variance = _is_variance(blocks)
    for j, edge in enumerate(components.at_boundary):
        if edge and j < blocks.intercepts:
            found.append(f"the variance of {blocks.factors[j]} is estimated at its boundary, zero")
        elif edge and variance[j]:
            found.append(f"{names[j]} is estimated at its boundary, zero")
        elif edge:
            found.append(f"{names[j]} is estimated at its boundary, {components.theta[j]:.3g}")
    singular = _singular(blocks, components.theta)
    for structure, rank in singular.values():
        q = len(structure.levels)
        found.append(
            f"the covariance of {structure.name} is estimated at its boundary: a matrix of rank {rank}, {q} levels"
        )
    for j in components.flat:
        if not components.at_boundary[j] and not any(first <= j < last for first, last in singular):
            found.append(f"the data say nothing about {names[j]}: the likelihood is flat in it")
    return found


def _singular(blocks: Blocks, theta: FloatArray) -> dict[tuple[int, int], tuple[Structure, int]]:
    """Unstructured matrices that are estimated singular, with more than two levels, and their rank."""
    found, first = {}, blocks.intercepts
    for structure in blocks.structures:
        last = first + structure.parameters
        if structure.kind in UNSTRUCTURED and len(structure.levels) > 2 and np.all(theta[first:last] != 0):
            own = theta[first:last].copy()
            own[: structure.variances] = 1.0  # the correlation matrix
            values = np.linalg.eigvalsh(level_covariance(structure, own))
            rank = int(np.sum(values > SINGULAR * values[-1]))
            if rank < len(values):
                found[first, last] = (structure, rank)
        first = last
    return found
