"""`Fit`: a fitted model under statsmodels' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.likelihood.arguments import group_labels
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.design import Design, codes
from catharsis.likelihood.marginal import log_likelihood, moments
from catharsis.models import heterogeneity
from catharsis.models.coefficients import Coefficients
from catharsis.models.heterogeneity_intervals import HeterogeneityInterval, IntervalType, heterogeneity_interval
from catharsis.models.kenward_roger import KenwardRoger
from catharsis.models.knapp_hartung import Test
from catharsis.models.prediction import Prediction
from catharsis.models.wald import Wald, wald_test
from catharsis.numerics import FloatArray, IntArray, chi2_upper, critical_value

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.comparison import Comparison
    from catharsis.models.robust import Correction, Robust


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fit(Coefficients):
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

    def __repr__(self) -> str:
        from catharsis.models.printed import printed

        return printed(self)

    # -- statsmodels' names ---------------------------------------------------------------------
    @property
    def nobs(self) -> int:
        """Number of effects."""
        return self.blocks.k

    @property
    def df_resid(self) -> int:
        """K - p."""
        return self.blocks.k - self.blocks.p

    @property
    def terms(self) -> tuple[str, ...]:
        """(p,) names of the coefficients."""
        return self.design.terms

    @property
    def dfs(self) -> FloatArray:
        """(p,) degrees of freedom of each coefficient; they differ under containment and Kenward-Roger only."""
        if self.adjusted is not None:
            return np.array([self.adjusted.df(row) for row in np.eye(len(self.beta))])
        return np.full(len(self.beta), self.df)

    def df_at(self, row: FloatArray) -> float:
        """Degrees of freedom of a combination of coefficients: its own, or the fewest of those involved."""
        if self.adjusted is not None:
            return self.adjusted.df(row)
        return float(np.min(self.dfs[row != 0], initial=np.inf))

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
        """Linear combinations of the coefficients; see `models.linear_combinations.combinations`."""
        from catharsis.models.linear_combinations import combinations

        return combinations(self, L, rhs)

    def wald_test(self, L: Sequence[Sequence[float]] | FloatArray, rhs: float | FloatArray = 0.0) -> Wald:
        """Joint test of linear combinations; see `models.linear_combinations.joint_test`."""
        from catharsis.models.linear_combinations import joint_test

        return joint_test(self, L, rhs)

    def vif(self) -> pd.DataFrame:
        """Variance inflation of each moderator; see `models.collinearity.moderator_inflation`."""
        from catharsis.models.collinearity import moderator_inflation

        return moderator_inflation(self)

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
            self.probability_of(level), type, self.weights,
        )  # fmt: skip

    def profile(self, tau2: Sequence[float] | FloatArray | None = None) -> pd.DataFrame:
        """The log-likelihood along tau^2; see `models.likelihood_profile.likelihood_profile`."""
        from catharsis.models.likelihood_profile import likelihood_profile

        return likelihood_profile(self, tau2)

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
        row = self.setting(x)
        level = self.probability_of(level)
        estimate, se = float(row @ self.beta), float(np.sqrt(row @ self.cov @ row))
        own_df = self.df_at(row)
        reach = float(critical_value(level, own_df)) * se
        df = own_df if pi_df is None else pi_df
        spread = self.prediction_reach(se, df, level)
        return Prediction(estimate, se, estimate - reach, estimate + reach, estimate - spread, estimate + spread)

    def prediction_interval(
        self,
        kind: Literal["HTS", "HK", "KR"],
        x: Sequence[float] | FloatArray | None = None,
        level: float | None = None,
    ) -> Prediction:
        """A prediction interval by name; see `models.prediction.new_study_interval`."""
        from catharsis.models.prediction import new_study_interval

        return new_study_interval(self, kind, x, level)

    def prediction_df(self, kind: Literal["HTS", "HK", "KR"], x: Sequence[float] | FloatArray | None = None) -> float:
        """Its degrees of freedom; see `models.prediction.new_study_df`."""
        from catharsis.models.prediction import new_study_df

        return new_study_df(self, kind, x)

    def setting(self, x: Sequence[float] | FloatArray | None) -> FloatArray:
        """A row of the model matrix, checked."""
        try:
            row = np.eye(self.blocks.p)[0] if x is None else np.asarray(x, dtype=float)
        except (TypeError, ValueError):
            raise ModelError("x holds something that is not a number") from None
        if row.shape != (self.blocks.p,) or not np.isfinite(row).all():
            raise ModelError(
                f"x has shape {row.shape}; it needs one finite number for each of the {self.blocks.p} coefficients: "
                + ", ".join(self.design.terms)
            )
        return row

    def prediction_reach(self, error: float, df: float, level: float) -> float:
        """Half the width of a prediction interval; nan when heterogeneity is not modelled, or no df are left."""
        if self.method in ("EE", "FE") or not df > 0:
            return float("nan")
        return float(critical_value(level, df)) * float(np.sqrt(self.tau2 + error**2))

    def level_means(self, factor: str) -> pd.DataFrame:
        """Model-based mean at each level of a factor; see `models.factor_levels.level_means`."""
        from catharsis.models.factor_levels import level_means

        return level_means(self, factor)

    def contrasts(self, factor: str) -> pd.DataFrame:
        """Each level against the reference level; see `models.factor_levels.level_contrasts`."""
        from catharsis.models.factor_levels import level_contrasts

        return level_contrasts(self, factor)

    def blup(self) -> tuple[FloatArray, FloatArray]:
        """Shrunken true effects and standard errors, (k,) each; see `models.shrinkage.shrunken_effects`."""
        from catharsis.models.shrinkage import shrunken_effects

        return shrunken_effects(self)

    def ranef(self, level: float | None = None) -> Any:
        """Random effects of the studies; see `models.shrinkage.random_effects_of`."""
        from catharsis.models.shrinkage import random_effects_of

        return random_effects_of(self, level)

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
