"""Coefficients, their tests and intervals under statsmodels' names, for every kind of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from catharsis.likelihood.arguments import interval_level
from catharsis.numerics import FloatArray, critical_value, two_sided_p

if TYPE_CHECKING:
    import pandas as pd


class Coefficients:
    """What follows from coefficients, their covariance and their degrees of freedom.

    A fit that inherits from this has `beta` (p,), `cov` (p, p), `terms` (p,), `level`, and `df`, one number or one for
    each coefficient (inf means normal).
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def beta(self) -> FloatArray: ...  # noqa: D102  (a field of every fit)
        @property
        def cov(self) -> FloatArray: ...  # noqa: D102
        @property
        def terms(self) -> tuple[str, ...]: ...  # noqa: D102
        @property
        def level(self) -> float: ...  # noqa: D102
        @property
        def df(self) -> FloatArray | float: ...  # noqa: D102

    @property
    def dfs(self) -> FloatArray:
        """(p,) degrees of freedom of each coefficient."""
        return np.array(np.broadcast_to(np.asarray(self.df, dtype=float), self.beta.shape))

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
        reach = critical_value(self.probability_of(level), self.dfs) * self.se
        return self.beta - reach, self.beta + reach

    def probability_of(self, level: float | None) -> float:
        """The level asked for, checked; by default that of the fit."""
        return self.level if level is None else interval_level(level)

    @property
    def p(self) -> FloatArray:
        """(p,) two-sided p of each coefficient."""
        return two_sided_p(self.statistic, self.dfs)

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
        """Estimate over standard error by term."""
        return self._series(self.statistic, "statistic")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p by term."""
        return self._series(self.p, "p")

    def conf_int(self, level: float | None = None) -> pd.DataFrame:
        """Confidence intervals of the coefficients, columns `low` and `high`."""
        import pandas as pd

        low, high = self.interval(level)
        return pd.DataFrame({"low": low, "high": high}, index=list(self.terms))

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the coefficients."""
        import pandas as pd

        return pd.DataFrame(self.cov, index=list(self.terms), columns=list(self.terms))

    def summary(self) -> pd.DataFrame:
        """Coefficients, standard errors, tests and intervals in one frame."""
        import pandas as pd

        low, high = self.interval()
        return pd.DataFrame(
            {"estimate": self.beta, "se": self.se, "statistic": self.statistic, "df": self.dfs,
             "p": self.p, "low": low, "high": high},
            index=list(self.terms),
        )  # fmt: skip

    def _series(self, values: FloatArray, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(np.asarray(values), index=list(self.terms), name=name)
