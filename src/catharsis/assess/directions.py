"""Effect direction plots: which way each study points in each domain.

For literatures that cannot be pooled. A study with several effects in a domain is given one direction when at least
70% of them agree, and is mixed otherwise; effects without a direction are counted and take no part.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from catharsis.assess.without_pooling import SignTest, sign_test
from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.arguments import finite_number, interval_level

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12  # a share of exactly `agree` counts as agreement
AGREE = 0.70  # share of a study's effects in a domain that must agree (Boon and Thomson 2021)

Direction = Literal["positive", "negative", "none", "mixed"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectDirections:
    """Directions by study and domain, and a sign test for each domain.

    Attributes
    ----------
    cells : pandas.DataFrame
        One row for each study and domain: direction (positive, negative, mixed, none), positive, negative and none
        (numbers of effects), and size (the study's sample size, nan when not given).
    tests : dict
        Sign test of each domain, one vote per study; mixed and none take no part.
    notes : tuple of str
        What every reader must be told.
    """

    cells: pd.DataFrame
    tests: dict[Hashable, SignTest]
    notes: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Directions with studies as rows and domains as columns; empty where a study says nothing."""
        wide = self.cells.pivot(index="study", columns="domain", values="direction")
        return wide.reindex(
            index=self.cells["study"].drop_duplicates(), columns=self.cells["domain"].drop_duplicates()
        ).fillna("")

    def summary(self) -> pd.DataFrame:
        """Votes, share of positive ones with its exact interval, and p, by domain."""
        import pandas as pd

        names = ("positive", "negative", "none", "mixed", "share", "low", "high", "p")
        rows = [{name: getattr(test, name) for name in names} for test in self.tests.values()]
        return pd.DataFrame(rows, index=list(self.tests))


def effect_directions(
    data: pd.DataFrame,
    *,
    study: str = "study",
    domain: str = "domain",
    sign: str = "sign",
    size: str | None = None,
    agree: float = AGREE,
    level: float = 0.95,
) -> EffectDirections:
    """Directions of effect by study and domain, with a sign test for each domain.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per effect.
    study, domain, sign : str
        Columns: the study, the outcome domain, and the direction (any number; its sign counts, 0 is no direction).
    size : str, optional
        Column of sample sizes; a study's largest is shown.
    agree : float
        Share of a study's directed effects in a domain that must agree, above one half.
    level : float
        Probability of the intervals for the share of positive studies.

    Returns
    -------
    EffectDirections

    Raises
    ------
    ModelError
        Missing columns, missing signs, or `agree` outside (0.5, 1].

    References
    ----------
    [@boon2021; @campbell2020]

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"study": ["a", "a", "b", "c"], "domain": ["mood"] * 4, "sign": [1, -1, 1, 1]})
    >>> found = effect_directions(data)
    >>> found.table()["mood"].to_dict(), found.tests["mood"].p
    ({'a': 'mixed', 'b': 'positive', 'c': 'positive'}, 0.5)
    """
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        raise ModelError(f"data is {shown(data)}; effect directions need a data frame with one row for each effect")
    level = interval_level(level)
    for column in (study, domain, sign, *([size] if size else [])):
        if column not in data.columns:
            known = [str(name) for name in data.columns]
            raise ModelError(f'the data have no column "{column}": {did_you_mean(column, known)}')
    if not 0.5 < finite_number(agree, "agree") <= 1:
        raise ModelError(f"agree is {agree}; a direction needs more than half of the effects, and at most all")
    if len(data) == 0:
        raise ModelError("there are no effects whose direction could be shown")
    try:
        values = data[sign].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise ModelError(f"the column {sign} holds something that is not a number") from None
    if np.isnan(values).any():
        row = data.index[int(np.argmax(np.isnan(values)))]
        raise ModelError(f"the sign of row {row} is missing; enter 0 when the paper reports no direction")
    for column in (study, domain):
        absent = data[column].isna().to_numpy()
        if absent.any():
            row = data.index[int(np.argmax(absent))]
            raise ModelError(f"the {column} of row {row} is missing; every direction belongs to a study and a domain")
    try:
        sizes = data[size].to_numpy(dtype=float, na_value=np.nan) if size else np.full(len(data), np.nan)
    except (TypeError, ValueError):
        raise ModelError(f"the column {size} holds something that is not a number") from None
    if np.any(sizes <= 0):
        row = data.index[int(np.argmax(sizes <= 0))]
        raise ModelError(f"the {size} of row {row} is {sizes[sizes <= 0][0]:g}; a sample size is positive")
    frame = pd.DataFrame(
        {"study": data[study].to_numpy(), "domain": data[domain].to_numpy(), "sign": np.sign(values), "size": sizes}
    )
    rows = []
    for (who, where), part in frame.groupby(["study", "domain"], sort=False):
        counts = [int((part["sign"] == value).sum()) for value in (1, -1, 0)]
        rows.append((who, where, _direction(counts[0], counts[1], agree), *counts, part["size"].max()))
    cells = pd.DataFrame(rows, columns=["study", "domain", "direction", "positive", "negative", "none", "size"])
    tests = {}
    for where, part in cells.groupby("domain", sort=False):
        tests[where] = _test(part["direction"].tolist(), level)
    return EffectDirections(cells=cells, tests=tests)


def _test(directions: list[str], level: float) -> SignTest:
    """Sign test of one domain, one vote per study."""
    count = {name: directions.count(name) for name in ("positive", "negative", "none", "mixed")}
    return sign_test(**count, level=level)


def _direction(positive: int, negative: int, agree: float) -> Direction:
    decided = positive + negative
    if decided == 0:
        return "none"
    if max(positive, negative) >= agree * decided * (1 - ROUNDING):
        return "positive" if positive > negative else "negative"
    return "mixed"
