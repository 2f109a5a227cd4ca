"""`fit`: one entry for every frequentist model, and `Fit`, its result under statsmodels' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks, make_blocks
from catharsis.likelihood.data import check_data, random_factors, read_data, sampling_blocks
from catharsis.likelihood.design import Design, codes
from catharsis.likelihood.marginal import log_likelihood, moments, typical_variance
from catharsis.models import heterogeneity
from catharsis.models.knapp_hartung import TESTS, knapp_hartung_scale
from catharsis.models.variance_components import maximise
from catharsis.numerics import FloatArray, IntArray, chi2_upper, critical_value, f_upper, two_sided_p

if TYPE_CHECKING:
    import pandas as pd

    from catharsis.models.robust import Correction, Robust

Test = Literal["z", "t", "knha", "adhoc"]


@dataclass(frozen=True, slots=True)
class Wald:
    """A joint test of several coefficients."""

    statistic: float
    df1: float
    df2: float
    p: float


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
        return self._series(two_sided_p(self.statistic, self.df), "p")

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
        reach = critical_value(level or self.level, self.df) * self.se
        return self.beta - reach, self.beta + reach

    # -- information criteria ---------------------------------------------------------------------
    def log_likelihood(self, reml: bool) -> float:
        """The restricted or the full log-likelihood at the estimates, whichever method found them."""
        return log_likelihood(self.blocks, moments(self.blocks, self.theta), reml)

    def information_criteria(self, reml: bool) -> tuple[float, float, float]:
        """AIC, BIC and small-sample AICc; REML values compare only models with the same moderators.

        The number of observations is k for the full and k - p for the restricted likelihood.
        """
        variances = 0 if self.method in ("EE", "FE") else len(self.blocks.factors)
        count, n = self.blocks.p + variances, self.nobs - (self.blocks.p if reml else 0)
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
        return 100 * self.tau2 / (self.tau2 + self.typical_variance)

    @property
    def H2(self) -> float:
        """Total over sampling variance; Q / (k - p) when tau^2 is not part of the model."""
        if self.method in ("EE", "FE"):
            return self.QE.statistic / self.df_resid if self.df_resid else 1.0
        return self.tau2 / self.typical_variance + 1

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
            before = heterogeneity.weighted(yi, 1 / self.vi, ones).rss / max(self.nobs - 1, 1)
            after = self.QE.statistic / self.df_resid if self.df_resid else float("nan")
        else:
            before, after = heterogeneity.ESTIMATORS[self.method](yi, self.vi, ones), self.tau2
        return 100 * max(1 - after / before, 0.0) if before > 0 else 0.0

    @property
    def tau2_se(self) -> float:
        """Standard error of tau^2 (univariate models); nan when tau^2 is not part of the model.

        A poor basis for an interval (tau^2 is skewed and bounded): use `confint_heterogeneity`.
        """
        if self.blocks.factors != ("effect",):
            return float("nan")
        return heterogeneity.tau2_se(self.blocks.y, self.vi, self.blocks.X, self.tau2, self.method)

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
        b = self.beta[chosen]
        q = float(b @ np.linalg.solve(self.cov[np.ix_(chosen, chosen)], b))
        if np.isinf(self.df):
            return Wald(q, len(chosen), float("inf"), chi2_upper(q, len(chosen)))
        return Wald(q / len(chosen), len(chosen), self.df, f_upper(q / len(chosen), len(chosen), self.df))

    def confint_heterogeneity(self, level: float | None = None) -> tuple[float, float]:
        """Q-profile interval of tau^2 (univariate models).

        Raises
        ------
        ModelError
            For models with random factors, or without degrees of freedom.
        """
        if self.blocks.factors != ("effect",):
            raise ModelError("the Q-profile interval belongs to univariate models")
        return heterogeneity.tau2_interval(self.blocks.y, self.vi, self.blocks.X, level or self.level)

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
        """
        row = np.eye(self.blocks.p)[0] if x is None else np.asarray(x, dtype=float)
        level = level or self.level
        estimate, se = float(row @ self.beta), float(np.sqrt(row @ self.cov @ row))
        reach = float(critical_value(level, self.df)) * se
        spread = np.nan
        if self.method not in ("EE", "FE"):
            df = self.df if pi_df is None else pi_df
            spread = float(critical_value(level, df)) * float(np.sqrt(self.tau2 + se**2)) if df > 0 else np.nan
        return Prediction(estimate, se, estimate - reach, estimate + reach, estimate - spread, estimate + spread)

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
        reach = critical_value(self.level, self.df) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            p = two_sided_p(estimate / se, self.df)
        return pd.DataFrame(
            {"estimate": estimate, "se": se, "low": estimate - reach, "high": estimate + reach, "p": p}, index=others
        )

    def blup(self) -> tuple[FloatArray, FloatArray]:
        """Shrunken true effects of the studies and their standard errors, (k,) each [@raudenbush2009]."""
        if self.blocks.factors != ("effect",):
            raise ModelError("shrunken effects are offered for univariate models")
        keep = self.tau2 / (self.tau2 + self.vi)
        centre = self.blocks.X @ self.beta
        lever = np.einsum("ij,jk,ik->i", self.blocks.X, self.cov, self.blocks.X)
        return keep * self.blocks.y + (1 - keep) * centre, np.sqrt(keep * self.vi + (1 - keep) ** 2 * lever)

    def robust(self, cluster: Sequence[object], type: Correction = "CR2") -> Robust:
        """Cluster-robust standard errors with Satterthwaite degrees of freedom; see `models.robust`."""
        from catharsis.models.robust import robust

        if len(cluster) != self.nobs:
            raise ModelError(f"cluster has {len(cluster)} labels for {self.nobs} effects")
        absent = sum(label is None or label != label for label in cluster)  # nan is the one value unequal to itself
        if absent:
            raise ModelError(f"cluster is missing for {absent} of {self.nobs} effects")
        return robust(self.blocks, self.theta, self.design.terms, codes(cluster), type, self.level)

    @property
    def theta(self) -> FloatArray:
        """(s,) variance components in the order of `blocks.factors`."""
        return np.array([self.sigma2[name] for name in self.blocks.factors])

    def summary(self) -> pd.DataFrame:
        """Coefficients, standard errors, tests and intervals in one frame."""
        import pandas as pd

        low, high = self.interval()
        return pd.DataFrame(
            {"estimate": self.beta, "se": self.se, "statistic": self.statistic, "df": self.df,
             "p": two_sided_p(self.statistic, self.df), "low": low, "high": high},
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


def fit(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    yi: Sequence[float] | FloatArray | None = None,
    vi: str | Sequence[float] | FloatArray = "vi",
    X: FloatArray | None = None,
    V: Sequence[tuple[IntArray, FloatArray]] | FloatArray | None = None,
    random: str | None = None,
    method: str = "REML",
    test: str | None = None,
    df: Literal["residual", "contain"] = "residual",
    level: float = 0.95,
    reference: Mapping[str, str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> Fit:
    """Fit a meta-analytic model.

    Parameters
    ----------
    formula : str, optional
        "yi ~ moderators"; the left side names the effect column. Without it `yi`, `vi`, `X` are arrays.
    data : pandas.DataFrame, optional
        One row per effect.
    yi : (k,) array, optional
        Effects, when there is no formula.
    vi : str or (k,) array
        Sampling variances, or their column.
    X : (k, p) array, optional
        Moderators, intercept included.
    V : list of (rows, block) or (k, k) array, optional
        Sampling covariance, from `sampling_covariance` or in full; its diagonal replaces `vi`.
    random : str, optional
        Random intercepts: "study", nested "study/effect", crossed "study + species"; None is one per
        effect, or nothing but V when `V` is given.
    method : str
        EE, DL, HE, PM, ML or REML; ML or REML when `random` is given; with V alone nothing is left to
        estimate and EE is meant.
    test : str, optional
        z, t, knha or adhoc (modified Knapp-Hartung); by default knha for univariate models and z
        otherwise.
    df : str
        For test="t" with random factors: "residual" (k - p) or "contain" (levels of the outermost factor minus
        p: exact for coefficients between its levels, cautious for those within).
    level : float
        Probability of the intervals.
    reference, levels : dict, optional
        Reference level and order of the levels of factors.

    Returns
    -------
    Fit

    Raises
    ------
    ModelError
        When the data cannot carry the model; names the rows and the cure.

    References
    ----------
    [@viechtbauer2010a; @raudenbush2009; @vandennoortgate2013]

    Examples
    --------
    >>> model = fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05])
    >>> model.params.round(4).to_dict(), round(model.tau2, 4)
    ({'intercept': 0.441}, 0.1225)
    """
    given = read_data(formula, data, yi, vi, X, reference, levels)
    effects, variances, design, labels = given.yi, given.vi, given.design, given.labels
    tied = None if V is None else sampling_blocks(V, len(effects))
    for rows, block in tied or ():
        variances[rows] = np.diag(block)
    check_data(given, level)
    notes: list[str] = []
    if random is None and tied is None:
        return _univariate(effects, variances, design, labels, method, _test(test or "knha"), level, notes)
    if test in ("knha", "adhoc"):
        raise ModelError(
            f"{test} belongs to univariate models; with random factors use test='z' and robust(cluster, 'CR2')"
        )
    if random is None:
        method = "EE"
    elif method not in ("REML", "ML"):
        raise ModelError(f"{method} belongs to univariate models; with random factors use REML or ML")
    factors = random_factors(random, data, len(effects))
    blocks = make_blocks(effects, design.X, variances, factors, tied)
    return _multilevel(blocks, variances, design, labels, method, _test(test or "z"), level, notes, dict(factors), df)


def _test(test: str) -> Test:
    if test not in TESTS:
        raise ModelError(f'there is no test "{test}": {did_you_mean(test, list(TESTS))}')
    return test  # type: ignore[return-value]


def _univariate(
    yi: FloatArray,
    vi: FloatArray,
    design: Design,
    labels: tuple[str, ...],
    method: str,
    test: Test,
    level: float,
    notes: list[str],
) -> Fit:
    if method not in heterogeneity.ESTIMATORS:
        raise ModelError(f'there is no method "{method}": {did_you_mean(method, list(heterogeneity.ESTIMATORS))}')
    X = design.X
    k, p = X.shape
    if k == p and method not in ("EE", "FE"):
        notes.append(f"k = {k}: heterogeneity cannot be estimated, so the equal-effects model is used")
        method = "EE"
    if k == p and test != "z":
        test = "z"
    tau2 = heterogeneity.ESTIMATORS[method](yi, vi, X)
    scale = knapp_hartung_scale(yi, vi, X, tau2, test == "adhoc") if test in ("knha", "adhoc") else 1.0
    if test == "knha" and scale < 1:
        notes.append(
            "the Knapp-Hartung factor is below 1, so this interval is narrower than the normal one; adhoc prevents that"
        )
    if scale == 0:
        notes.append("all effects are identical: the Knapp-Hartung standard error is zero")
    if tau2 == 0 and method not in ("EE", "FE"):
        notes.append("tau^2 is estimated at its boundary, zero")
    blocks = make_blocks(yi, X, vi, [("effect", np.arange(k, dtype=np.int64))])
    found = moments(blocks, np.array([tau2]))
    return Fit(
        beta=found.beta(), cov=scale * found.cov(), df=float(k - p) if test != "z" else float("inf"), tau2=tau2,
        sigma2={"effect": tau2}, scale=scale, method=method, test=test, level=level, design=design, blocks=blocks,
        vi=vi, labels=labels, llf=log_likelihood(blocks, found, method != "ML") if k > p else float("nan"),
        typical_variance=typical_variance(blocks), notes=tuple(notes),
    )  # fmt: skip


def _multilevel(
    blocks: Blocks, vi: FloatArray, design: Design, labels: tuple[str, ...], method: str, test: Test, level: float,
    notes: list[str], code: dict[str, IntArray], dfs: str,
) -> Fit:  # fmt: skip
    k, p = blocks.k, blocks.p
    groups = int(next(iter(code.values())).max()) + 1 if code else k
    df = float(groups - p if dfs == "contain" else k - p)
    if test == "t" and df < 1:
        raise ModelError(
            f"{groups} groups leave no degrees of freedom for {p} coefficients; use test='z' or fewer moderators"
        )
    components = maximise(blocks, reml=method == "REML")
    for name, zero in zip(blocks.factors, components.at_boundary, strict=True):
        if zero:
            notes.append(f"the variance of {name} is estimated at its boundary, zero")
    return Fit(
        beta=components.found.beta(), cov=components.found.cov(), df=df if test == "t" else float("inf"),
        tau2=float(components.theta.sum()), sigma2=dict(zip(blocks.factors, components.theta.tolist(), strict=True)),
        scale=1.0, method=method, test=test, level=level, design=design, blocks=blocks, vi=vi, labels=labels,
        llf=components.llf, typical_variance=typical_variance(blocks), notes=tuple(notes), codes=code,
    )  # fmt: skip


def with_level(model: Fit, level: float) -> Fit:
    """The same fit with intervals of another probability."""
    return replace(model, level=level)
