"""`Fit`: a fitted model under statsmodels' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import group_labels, interval_level
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.design import Design, codes
from catharsis.likelihood.marginal import log_likelihood, moments
from catharsis.models import heterogeneity
from catharsis.models.heterogeneity_intervals import HeterogeneityInterval, IntervalType, heterogeneity_interval
from catharsis.models.kenward_roger import KenwardRoger, kenward_roger
from catharsis.models.knapp_hartung import Test, knapp_hartung_scale
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray, IntArray, chi2_upper, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.comparison import Comparison
    from catharsis.models.robust import Correction, Robust


@dataclass(frozen=True, slots=True)
class Prediction:
    """The average effect at one setting of the moderators, and where a new study would fall.

    Attributes
    ----------
    estimate, se, low, high : float
        The average and its confidence interval.
    pi_low, pi_high : float
        Prediction interval for the true effect of a new study; nan when heterogeneity is not modelled.
    """

    estimate: float
    se: float
    low: float
    high: float
    pi_low: float
    pi_high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted meta-analytic model.

    Attributes
    ----------
    beta, cov : (p,), (p, p) arrays
        Coefficients and covariance (after the Knapp-Hartung factor when the test has one).
    df : float
        Degrees of freedom of the t tests; inf means normal.
    tau2 : float
        Between-study variance; with several random factors their sum.
    sigma2 : dict
        Variance of each random factor.
    scale : float
        Knapp-Hartung factor, 1 for the other tests.
    blocks : Blocks
        The data and structure.
    weights : (k,) array, optional
        The user's own weights of the effects (univariate models).
    held : bool
        Whether tau^2 was given rather than estimated (univariate models).
    adjusted : KenwardRoger, optional
        Covariance and degrees of freedom by Kenward-Roger, when that is the test.
    measure : str, optional
        metafor's code of the effects, when the data came from `effect_size`.
    """

    beta: FloatArray
    cov: FloatArray
    df: float
    tau2: float
    sigma2: Mapping[str, float]
    scale: float
    method: str
    test: Test
    level: float
    design: Design
    blocks: Blocks
    vi: FloatArray
    labels: tuple[str, ...]
    llf: float
    typical_variance: float
    notes: tuple[str, ...] = ()
    codes: Mapping[str, IntArray] = field(default_factory=dict, repr=False)
    weights: FloatArray | None = field(default=None, repr=False)
    held: bool = False
    adjusted: KenwardRoger | None = field(default=None, repr=False)
    measure: str | None = None

    # -- statsmodels' names ---------------------------------------------------------------------
    @property
    def params(self) -> pd.Series:
        """Coefficients by term."""
        return self._series(self.beta, "estimate")

    @property
    def bse(self) -> pd.Series:
        """Standard errors by term."""
        return self._series(self.se, "se")

    @property
    def tvalues(self) -> pd.Series:
        """Estimate over standard error."""
        return self._series(self.statistic, "statistic")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p of each coefficient."""
        return self._series(two_sided_p(self.statistic, self.dfs), "p")

    def conf_int(self, level: float | None = None) -> pd.DataFrame:
        """Confidence intervals of the coefficients, columns `low` and `high`."""
        import pandas as pd

        low, high = self.interval(level)
        return pd.DataFrame({"low": low, "high": high}, index=list(self.design.terms))

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the coefficients."""
        import pandas as pd

        return pd.DataFrame(self.cov, index=list(self.design.terms), columns=list(self.design.terms))

    @property
    def nobs(self) -> int:
        """Number of effects."""
        return self.blocks.k

    @property
    def df_resid(self) -> int:
        """K - p."""
        return self.blocks.k - self.blocks.p

    @property
    def dfs(self) -> FloatArray:
        """(p,) degrees of freedom of each coefficient; they differ under containment and Kenward-Roger only."""
        if self.adjusted is not None:
            return np.array([self.adjusted.df(row) for row in np.eye(len(self.beta))])
        return np.full(len(self.beta), self.df)

    def _df_at(self, row: FloatArray) -> float:
        """Degrees of freedom of a combination of coefficients: its own, or the fewest of those involved."""
        if self.adjusted is not None:
            return self.adjusted.df(row)
        return float(np.min(self.dfs[row != 0], initial=np.inf))

    # -- the same as arrays ---------------------------------------------------------------------
    @property
    def se(self) -> FloatArray:
        """(p,) standard errors."""
        return np.asarray(np.sqrt(np.diag(self.cov)))

    @property
    def statistic(self) -> FloatArray:
        """(p,) estimate over standard error; infinite when identical effects leave no error at all."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.beta / self.se)

    def interval(self, level: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Lower and upper limits, (p,) each."""
        reach = critical_value(self._probability(level), self.dfs) * self.se
        return self.beta - reach, self.beta + reach

    # -- information criteria ---------------------------------------------------------------------
    @property
    def parameters(self) -> int:
        """Number of estimated parameters: coefficients and variance components."""
        known = self.held or self.method in ("EE", "FE")
        return self.blocks.p + (0 if known else len(self.blocks.factors))

    def log_likelihood(self, reml: bool) -> float:
        """The restricted or the full log-likelihood at the estimates, whichever method found them."""
        found = moments(self.blocks, self.theta)
        value = log_likelihood(self.blocks, found, reml)
        if self.weights is not None:  # the coefficients are not at the maximum
            gap = self.beta - found.beta()
            value -= 0.5 * float(gap @ found.XtWX @ gap)
        return value

    def information_criteria(self, reml: bool) -> tuple[float, float, float]:
        """AIC, BIC and small-sample AICc; REML values compare only models with the same moderators.

        The number of observations is k for the full and k - p for the restricted likelihood.
        """
        count, n = self.parameters, self.nobs - (self.blocks.p if reml else 0)
        deviance = -2 * self.log_likelihood(reml)
        enough = max(n, count + 2)
        bic = deviance + count * float(np.log(n)) if n > 0 else float("nan")
        return deviance + 2 * count, bic, deviance + 2 * count * enough / (enough - count - 1)

    @property
    def aic(self) -> float:
        """Akaike's criterion, restricted unless the method is ML."""
        return self.information_criteria(self.method != "ML")[0]

    @property
    def bic(self) -> float:
        """Schwarz's criterion, restricted unless the method is ML."""
        return self.information_criteria(self.method != "ML")[1]

    @property
    def aicc(self) -> float:
        """Akaike's criterion for small samples, restricted unless the method is ML."""
        return self.information_criteria(self.method != "ML")[2]

    # -- heterogeneity --------------------------------------------------------------------------
    @property
    def tau(self) -> float:
        """Between-study standard deviation."""
        return float(np.sqrt(self.tau2))

    @property
    def I2(self) -> float:
        """Share of the total variance that is not sampling error, in percent [@higgins2002]."""
        if self.method in ("EE", "FE"):
            return 100 * max(1 - 1 / self.H2, 0.0) if self.H2 > 0 else 0.0
        return 100 * self.tau2 / (self.tau2 + self.typical_variance) if self.tau2 > 0 else 0.0

    @property
    def H2(self) -> float:
        """Total over sampling variance; Q / (k - p) when tau^2 is not part of the model."""
        if self.method in ("EE", "FE"):
            return self.QE.statistic / self.df_resid if self.df_resid else 1.0
        return self.tau2 / self.typical_variance + 1 if self.tau2 > 0 else 1.0

    @property
    def R2(self) -> float:
        """Share of tau^2 (EE: of the weighted variance, adjusted) that the moderators account for, in percent.

        nan without moderators and with several random factors; 0 when there is nothing to explain
        [@raudenbush2009].
        """
        if self.blocks.factors != ("effect",) or np.all(self.blocks.X == 1):
            return float("nan")
        yi, ones = self.blocks.y, np.ones((self.nobs, 1))
        if self.method in ("EE", "FE"):
            wi = 1 / self.vi if self.weights is None else self.weights
            before = heterogeneity.weighted(yi, wi, ones).rss / max(self.nobs - 1, 1)
            rss = heterogeneity.weighted(yi, wi, self.blocks.X).rss
            after = rss / self.df_resid if self.df_resid else float("nan")
        else:
            before = heterogeneity.estimate_tau2(yi, self.vi, ones, self.method, self.weights)
            after = self.tau2
        return 100 * max(1 - after / before, 0.0) if before > 0 else 0.0

    @property
    def tau2_se(self) -> float:
        """Standard error of tau^2 (univariate models); nan when tau^2 is not part of the model.

        A poor basis for an interval (tau^2 is skewed and bounded): use `confint_heterogeneity`.
        """
        if self.blocks.factors != ("effect",):
            return float("nan")
        return heterogeneity.tau2_se(self.blocks.y, self.vi, self.blocks.X, self.tau2, self.method, self.weights)

    @property
    def QE(self) -> Wald:
        """Cochran's test of (residual) heterogeneity, weights 1 / v [@cochran1954]."""
        try:
            rss = moments(self.blocks, np.zeros(len(self.blocks.factors))).rss()
        except ModelError:  # a singular V carries a random-effects model, but has no inverse of its own
            rss = float("nan")
        return Wald(rss, self.df_resid, float("inf"), chi2_upper(rss, self.df_resid))

    @property
    def QM(self) -> Wald:
        """Joint test of all coefficients but the intercept; of the intercept when it stands alone."""
        chosen = [i for i, term in enumerate(self.design.terms) if term != "intercept"] or [0]
        return self.wald(chosen)

    def wald(self, positions: Sequence[int]) -> Wald:
        """Joint test that the coefficients at `positions` are all zero; nan when their covariance is zero."""
        chosen = np.asarray(positions)
        if self.scale == 0:
            return Wald(float("nan"), len(chosen), self.df, float("nan"))
        if self.adjusted is not None:
            return self.adjusted.wald(self.beta[chosen], np.eye(len(self.beta))[chosen])
        return wald_test(self.beta[chosen], self.cov[np.ix_(chosen, chosen)], float(self.dfs[chosen].min()))

    def combinations(self, L: Sequence[Sequence[float]] | FloatArray, rhs: float | FloatArray = 0.0) -> pd.DataFrame:
        """Linear combinations of the coefficients, each tested against `rhs`.

        Parameters
        ----------
        L : (c, p) array
            One combination per row.
        rhs : float or (c,) array
            Their values under the hypothesis.

        Returns
        -------
        pandas.DataFrame
            Columns estimate, se, statistic, df, p, low, high.

        Raises
        ------
        ModelError
            When L does not have one column per coefficient.
        """
        import pandas as pd

        rows = self._combined(L)
        estimate = rows @ self.beta
        se = np.sqrt(np.einsum("ij,jk,ik->i", rows, self.cov, rows))
        df = np.array([self._df_at(row) for row in rows])
        reach = critical_value(self.level, df) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = (estimate - _numbers(rhs, "rhs")) / se
        return pd.DataFrame(
            {"estimate": estimate, "se": se, "statistic": statistic, "df": df,
             "p": two_sided_p(statistic, df), "low": estimate - reach, "high": estimate + reach}
        )  # fmt: skip

    def wald_test(self, L: Sequence[Sequence[float]] | FloatArray, rhs: float | FloatArray = 0.0) -> Wald:
        """Joint test that the linear combinations `L` (c, p) of the coefficients equal `rhs`; nan like `wald`.

        Raises
        ------
        ModelError
            When L does not have one column per coefficient, or its rows repeat each other.
        """
        rows, rhs = self._combined(L), _numbers(rhs, "rhs")
        if np.linalg.matrix_rank(rows) < len(rows):
            raise ModelError("the combinations repeat each other: remove a row that follows from the others")
        if self.scale == 0:
            return Wald(float("nan"), len(rows), self.df, float("nan"))
        if self.adjusted is not None:
            return self.adjusted.wald(rows @ self.beta - rhs, rows)
        return wald_test(rows @ self.beta - rhs, rows @ self.cov @ rows.T, min(map(self._df_at, rows)))

    def _combined(self, L: Sequence[Sequence[float]] | FloatArray) -> FloatArray:
        rows = np.atleast_2d(_numbers(L, "L"))
        if rows.ndim != 2 or rows.shape[1] != self.blocks.p:
            raise ModelError(
                f"L has shape {rows.shape}; it needs one column for each of the {self.blocks.p} coefficients: "
                + ", ".join(self.design.terms)
            )
        return rows

    def vif(self) -> pd.DataFrame:
        """Variance inflation of each moderator, a factor's dummies taken together (generalised factor).

        Returns
        -------
        pandas.DataFrame
            Index: moderators; columns coefficients (their number), vif, and sif = vif^(1 / (2 coefficients)), the
            factor by which a confidence interval is wider than without the overlap.

        Raises
        ------
        ModelError
            With fewer than two moderator coefficients.
        """
        import pandas as pd

        from catharsis.models.collinearity import inflation

        keep = [i for i, term in enumerate(self.design.terms) if term != "intercept"]
        place = {position: i for i, position in enumerate(keep)}
        groups = {name: [place[i] for i in columns] for name, columns in self.design.columns.items()}
        single = [i for i in place.values() if not any(i in group for group in groups.values())]
        groups.update({self.design.terms[keep[i]]: [i] for i in single})
        values = inflation(self.cov[np.ix_(keep, keep)], list(groups.values()))
        sizes = [len(group) for group in groups.values()]
        return pd.DataFrame(
            {"coefficients": sizes, "vif": values, "sif": values ** (0.5 / np.array(sizes))}, index=list(groups)
        )

    def backtransform(
        self, measure: str | None = None, transformation: str | None = None, x: FloatArray | None = None, **given: Any
    ) -> pd.DataFrame:
        """Averages and intervals as risk ratios, shares, ...; see `models.back_transformation.readers_scale`."""
        from catharsis.models.back_transformation import readers_scale

        return readers_scale(self, measure, transformation, x, **given)

    def compare(self, other: Fit) -> Comparison:
        """Likelihood-ratio test against a smaller or larger model; see `models.comparison.likelihood_ratio`."""
        from catharsis.models.comparison import likelihood_ratio

        if not isinstance(other, Fit):
            raise ModelError(f"compare() needs another fitted model, not {shown(other)}")
        if self.weights is not None or other.weights is not None:
            raise ModelError(
                "with weights of the user's own the coefficients do not maximise the likelihood: fit without weights="
            )
        return likelihood_ratio(self, other)

    def confint_heterogeneity(
        self, level: float | None = None, type: IntervalType | None = None
    ) -> HeterogeneityInterval:
        """Interval of tau^2, tau, I^2 and H^2 (univariate models); iterating gives the limits of tau^2.

        Parameters
        ----------
        level : float, optional
            Probability of the interval.
        type : str, optional
            "QP" (Q-profile), "GENQ" (generalised Q, for moment estimators) or "PL" (profile likelihood, for ML and
            REML); by default GENQ after GENQ and GENQM, QP otherwise.

        Returns
        -------
        HeterogeneityInterval
            With notes when it is empty or does not contain the estimate.

        Raises
        ------
        ModelError
            For models with random factors, without degrees of freedom, or with tau^2 given by the user.

        References
        ----------
        [@viechtbauer2007; @jackson2013; @hardy1996]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> found = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]).confint_heterogeneity(type="PL")
        >>> found.frame().loc["tau2"].round(4).tolist()
        [0.1225, 0.001, 2.7562]
        """
        if self.blocks.factors != ("effect",):
            raise ModelError("the Q-profile interval belongs to univariate models")
        if self.held:
            raise ModelError("tau^2 was given, not estimated: fit without tau2= to see what the data say about it")
        return heterogeneity_interval(
            self.blocks.y, self.vi, self.blocks.X, self.tau2, self.method, self.typical_variance,
            self._probability(level), type, self.weights,
        )  # fmt: skip

    def profile(self, tau2: Sequence[float] | FloatArray | None = None) -> pd.DataFrame:
        """The (restricted) log-likelihood along tau^2, coefficients at their best (univariate models).

        Parameters
        ----------
        tau2 : sequence of float, optional
            Values, squared units; by default 0 and 40 steps that reach beyond the estimate and the Q-profile interval.

        Returns
        -------
        pandas.DataFrame
            Columns tau2 and llf; the full likelihood for ML, the restricted one for every other method.

        Raises
        ------
        ModelError
            For models with random factors, and for values that are not variances.

        References
        ----------
        [@hardy1996]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05]).profile([0.0, 0.1225, 1.0])["llf"].round(3).tolist()
        [-3.029, -1.001, -2.028]
        """
        import pandas as pd

        if self.blocks.factors != ("effect",):
            raise ModelError("profile() along tau^2 belongs to univariate models")
        if tau2 is None:
            _, high = heterogeneity_interval(
                self.blocks.y, self.vi, self.blocks.X, self.tau2, "PM", self.typical_variance, self.level
            )
            values = np.linspace(0, 1.2 * max(high, 2 * self.tau2, float(np.median(self.vi))), 41)
        else:
            values = np.atleast_1d(np.asarray(tau2, dtype=float))
        if values.ndim != 1 or not (np.isfinite(values).all() and (values >= 0).all()):
            raise ModelError("profile() needs values of tau^2: finite numbers that are not negative")
        reml = self.method != "ML"
        heights = [log_likelihood(self.blocks, moments(self.blocks, np.array([t])), reml) for t in values]
        return pd.DataFrame({"tau2": values, "llf": heights})

    # -- predictions ----------------------------------------------------------------------------
    def predict(
        self, x: Sequence[float] | FloatArray | None = None, level: float | None = None, pi_df: float | None = None
    ) -> Prediction:
        """Average effect and prediction interval at one row of the model matrix.

        Parameters
        ----------
        x : (p,) sequence, optional
            A row of X; the intercept alone by default.
        level : float, optional
            Probability of both intervals.
        pi_df : float, optional
            Degrees of freedom of the prediction interval; by default those of the test. The report
            uses k - p - 1 [@higgins2009; @riley2011].

        Returns
        -------
        Prediction

        Raises
        ------
        ModelError
            When x does not have one value per coefficient.
        """
        row = self._row(x)
        level = self._probability(level)
        estimate, se = float(row @ self.beta), float(np.sqrt(row @ self.cov @ row))
        own_df = self._df_at(row)
        reach = float(critical_value(level, own_df)) * se
        df = own_df if pi_df is None else pi_df
        spread = self._spread(se, df, level)
        return Prediction(estimate, se, estimate - reach, estimate + reach, estimate - spread, estimate + spread)

    def prediction_interval(
        self,
        kind: Literal["HTS", "HK", "KR"],
        x: Sequence[float] | FloatArray | None = None,
        level: float | None = None,
    ) -> Prediction:
        """A prediction interval with a standard error and degrees of freedom of its own, whatever the test.

        Parameters
        ----------
        kind : str
            HTS: plain standard error, t with k - p - 1 degrees of freedom [@higgins2009]. HK: Knapp-Hartung standard
            error, k - p. KR: Kenward-Roger standard error and degrees of freedom [@partlett2017].
        x : (p,) sequence, optional
            A row of X; the intercept alone by default.
        level : float, optional
            Probability of the intervals.

        Returns
        -------
        Prediction
            As from `predict`, but for the limits of the prediction interval.

        Raises
        ------
        ModelError
            For models with random factors, and for KR without REML.

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> model = fit(yi=[0.1, 0.4, 0.9, 0.3], vi=[0.02, 0.03, 0.05, 0.02])
        >>> found = model.prediction_interval("HTS")
        >>> round(found.pi_low, 3), round(found.pi_high, 3)
        (-0.905, 1.69)
        """
        row, level = self._row(x), self._probability(level)
        found = self.predict(row, level)
        error, df = self._new_study(row, kind)
        spread = self._spread(error, df, level)
        return replace(found, pi_low=found.estimate - spread, pi_high=found.estimate + spread)

    def prediction_df(self, kind: Literal["HTS", "HK", "KR"], x: Sequence[float] | FloatArray | None = None) -> float:
        """Degrees of freedom of `prediction_interval`; none are left, and it is nan, unless they are positive."""
        return self._new_study(self._row(x), kind)[1]

    def _row(self, x: Sequence[float] | FloatArray | None) -> FloatArray:
        """A row of the model matrix, checked."""
        row = np.eye(self.blocks.p)[0] if x is None else np.asarray(x, dtype=float)
        if row.shape != (self.blocks.p,) or not np.isfinite(row).all():
            raise ModelError(
                f"x has shape {row.shape}; it needs one finite number for each of the {self.blocks.p} coefficients: "
                + ", ".join(self.design.terms)
            )
        return row

    def _probability(self, level: float | None) -> float:
        """The level asked for, checked; by default that of the fit."""
        return self.level if level is None else interval_level(level)

    def _spread(self, error: float, df: float, level: float) -> float:
        """Half the width of a prediction interval; nan when heterogeneity is not modelled, or no df are left."""
        if self.method in ("EE", "FE") or not df > 0:
            return float("nan")
        return float(critical_value(level, df)) * float(np.sqrt(self.tau2 + error**2))

    def _new_study(self, row: FloatArray, kind: str) -> tuple[float, float]:
        """Standard error of the average and degrees of freedom of a prediction interval by name."""
        if kind not in ("HTS", "HK", "KR"):
            raise ModelError(f'there is no prediction interval "{kind}": {did_you_mean(kind, ["HTS", "HK", "KR"])}')
        if self.blocks.factors != ("effect",):
            raise ModelError(f"the prediction interval {kind} belongs to univariate models")
        y, X = self.blocks.y, self.blocks.X
        if kind == "KR":
            if self.method != "REML" or self.held or self.weights is not None:
                raise ModelError("the prediction interval KR rests on REML without weights; use HTS or HK")
            found = kenward_roger(self.vi, X, self.tau2)
            return float(np.sqrt(row @ found.cov @ row)), found.df(row)
        if self.weights is None:
            plain = moments(self.blocks, self.theta).cov()
        else:
            plain = self.cov / self.scale if self.scale > 0 else np.full_like(self.cov, np.nan)
        se = float(np.sqrt(row @ plain @ row))
        if kind == "HTS":
            return se, float(self.df_resid - 1)
        return se * float(np.sqrt(knapp_hartung_scale(y, self.vi, X, self.tau2, False))), float(self.df_resid)

    def level_means(self, factor: str) -> pd.DataFrame:
        """Model-based mean at each level of a factor, other moderators at their mean.

        Returns
        -------
        pandas.DataFrame
            Index: levels; columns estimate, se, low, high.
        """
        import pandas as pd

        rows = [self.predict(self._row_at(factor, level)) for level in self._levels(factor)]
        return pd.DataFrame(
            {name: [getattr(row, name) for row in rows] for name in ("estimate", "se", "low", "high")},
            index=list(self._levels(factor)),
        )

    def contrasts(self, factor: str) -> pd.DataFrame:
        """Each level of a factor against its reference level.

        Returns
        -------
        pandas.DataFrame
            Index: levels but the reference; columns estimate, se, low, high, p.
        """
        import pandas as pd

        first, *others = self._levels(factor)
        rows = np.array([self._row_at(factor, level) - self._row_at(factor, first) for level in others])
        estimate = rows @ self.beta
        se = np.sqrt(np.einsum("ij,jk,ik->i", rows, self.cov, rows))
        df = np.array([self._df_at(row) for row in rows])
        reach = critical_value(self.level, df) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            p = two_sided_p(estimate / se, df)
        return pd.DataFrame(
            {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach, "p": p}, index=others
        )

    def blup(self) -> tuple[FloatArray, FloatArray]:
        """Shrunken true effects of the studies and their standard errors, (k,) each [@raudenbush2009]."""
        keep, lever = self._shrinkage("shrunken effects are")
        centre = self.blocks.X @ self.beta
        return keep * self.blocks.y + (1 - keep) * centre, np.sqrt(keep * self.vi + (1 - keep) ** 2 * lever)

    def ranef(self, level: float | None = None) -> Any:
        """How far each study's true effect lies from its average: the random effects (univariate models).

        The standard errors are those of the difference between the predicted and the true random effect; tau^2 counts
        as known.

        Parameters
        ----------
        level : float, optional
            Probability of the intervals.

        Returns
        -------
        pandas.DataFrame
            Indexed by effect; columns estimate, se, low, high.

        Raises
        ------
        ModelError
            With weights of the user's own.

        References
        ----------
        [@raudenbush2009]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="DL", test="z")
        >>> model.ranef()["estimate"].round(3).to_dict()
        {'1': -0.288, '2': -0.031, '3': 0.319}
        """
        import pandas as pd

        keep, lever = self._shrinkage("random effects are")
        estimate = keep * (self.blocks.y - self.blocks.X @ self.beta)
        se = np.sqrt(keep * self.vi + keep**2 * lever)
        reach = critical_value(self._probability(level), self.df) * se
        return pd.DataFrame(
            {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach}, index=list(self.labels)
        )

    def _shrinkage(self, what: str) -> tuple[FloatArray, FloatArray]:
        """tau^2 / (tau^2 + v) and the variance of the fitted average, (k,) each."""
        if self.blocks.factors != ("effect",):
            raise ModelError(f"{what} offered for univariate models")
        if self.weights is not None:
            raise ModelError(f"{what} offered for inverse-variance weights: fit without weights=")
        lever = np.einsum("ij,jk,ik->i", self.blocks.X, self.cov, self.blocks.X)
        return self.tau2 / (self.tau2 + self.vi), lever

    def robust(self, cluster: Sequence[object], type: Correction = "CR2") -> Robust:
        """Cluster-robust standard errors with Satterthwaite degrees of freedom; see `models.robust`."""
        from catharsis.models.robust import robust

        if self.weights is not None:
            raise ModelError("robust() is offered for inverse-variance weights: fit without weights=")
        labels = group_labels(cluster, self.nobs, rows=self.labels)
        return robust(self.blocks, self.theta, self.design.terms, codes(labels), type, self.level)

    # -- what each effect does --------------------------------------------------------------------
    def residuals(self, type: str = "standardized") -> pd.DataFrame:
        """Residuals of a univariate model.

        Parameters
        ----------
        type : str
            "response": y - X b alone. "pearson": over sqrt(v + tau^2). "standardized" (internally): over the standard
            error of y - X b. "studentized" (externally): against the fit without the effect, tau^2 estimated anew;
            with Knapp-Hartung its factor multiplies the whole variance.
            "conditional": y minus the shrunken effect of `blup`, over its standard error.

        Returns
        -------
        pandas.DataFrame
            Indexed by effect; columns residual, se, z ("response": fitted, residual).

        Raises
        ------
        ModelError
            For an unknown type, and for dependent effects.

        References
        ----------
        [@viechtbauer2010b]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="EE", test="z")
        >>> model.residuals("studentized")["z"].round(3).tolist()
        [-2.477, 0.339, 2.731]
        """
        from catharsis.models.deletion import residuals

        return residuals(self, type)

    def influence(self) -> pd.DataFrame:
        """Case diagnostics of a univariate model: the fit without each effect in turn, tau^2 estimated anew.

        Returns
        -------
        pandas.DataFrame
            Indexed by effect: `rstudent`; `dffits` (change of the fitted value in standard errors); `cook_d` (squared
            Mahalanobis distance between the coefficients); `cov_r` (ratio of the determinants of their covariance);
            `tau2_deleted`, `QE_deleted`; `hat`; `weight` (percent); `dfbetas[term]` (change of a coefficient in
            standard errors); `influential`. An effect is called influential when |dffits| > 3 sqrt(p / (k - p)), when
            chi-square with p degrees of freedom is below `cook_d` with probability over 1/2, when hat > 3 p / k, or
            when any |dfbetas| > 1: conventions, not tests. Rows are nan where the model cannot be fitted without the
            effect; `attrs["notes"]` names them.

        Raises
        ------
        ModelError
            For dependent effects.

        References
        ----------
        [@viechtbauer2010b]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> model = fit(yi=[0.1, 0.2, 0.3, 2.0], vi=[0.02, 0.03, 0.05, 0.04])
        >>> model.influence()["influential"].tolist()
        [False, False, False, True]
        """
        from catharsis.models.deletion import influence

        return influence(self)

    def leave_one_out(self, by: str | Sequence[object] | None = None) -> pd.DataFrame:
        """The model without each effect, or without each group of effects, variances estimated anew.

        Parameters
        ----------
        by : str or (k,) sequence, optional
            Labels of the groups that leave together (study, laboratory), or the name of a random factor, whose levels
            are numbered 1..m in order of first appearance. By default each effect leaves alone.

        Returns
        -------
        pandas.DataFrame
            Indexed by what was left out (with moderators: and by term); columns estimate, se, statistic, df, p, low,
            high, QE, QE_p, tau2, I2 (percent), H2; models with random effects add a column for each of their
            parameters. nan where the rest does not determine the model; `attrs["notes"]` says which.

        Raises
        ------
        ModelError
            For an unknown factor, labels of another length or missing, or a single group.

        References
        ----------
        [@viechtbauer2010b]

        Examples
        --------
        >>> from catharsis.models.fit import fit
        >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], method="DL", test="z")
        >>> model.leave_one_out()["estimate"].round(4).to_dict()
        {'1': 0.63, '2': 0.4812, '3': 0.2333}
        """
        from catharsis.models.deletion import leave_one_out

        return leave_one_out(self, by)

    @property
    def theta(self) -> FloatArray:
        """(s,) variance components in the order of `blocks.factors`."""
        return np.array([self.sigma2[name] for name in self.blocks.factors])

    def summary(self) -> pd.DataFrame:
        """Coefficients, standard errors, tests and intervals in one frame."""
        import pandas as pd

        low, high = self.interval()
        return pd.DataFrame(
            {"estimate": self.beta, "se": self.se, "statistic": self.statistic, "df": self.dfs,
             "p": two_sided_p(self.statistic, self.dfs), "low": low, "high": high},
            index=list(self.design.terms),
        )  # fmt: skip

    def _series(self, values: FloatArray, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(np.asarray(values), index=list(self.design.terms), name=name)

    def _levels(self, factor: str) -> tuple[str, ...]:
        if factor not in self.design.factors:
            raise ModelError(
                f'"{factor}" is not a factor of this model: {did_you_mean(factor, list(self.design.factors))}'
            )
        if any(":" in term and f"{factor}[" in term for term in self.design.terms):
            raise ModelError(
                f"{factor} interacts with another moderator: its levels have no single mean; use predict(x)"
            )
        return self.design.factors[factor]

    def _row_at(self, factor: str, level: str) -> FloatArray:
        row: FloatArray = self.blocks.X.mean(axis=0)
        for position in self.design.columns[factor]:
            row[position] = float(self.design.terms[position] == f"{factor}[{level}]")
        return row


def _numbers(values: Any, name: str) -> FloatArray:
    """Finite numbers from what a caller gave."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} holds something that is not a number") from None
    if not np.isfinite(found).all():
        raise ModelError(f"{name} holds a value that is not finite")
    return found


def with_level(model: Fit, level: float) -> Fit:
    """The same fit with intervals of another probability."""
    return replace(model, level=level)
