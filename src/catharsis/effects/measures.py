"""Effect sizes for a data frame, by metafor's codes.

A measure is a formula of a few statistics (Cohen's d and two group sizes, say) and the ways that lead there from what
papers print (means and SDs, d itself, t, an exact p). `effect_size` takes for every row the first way whose cells the
row has, deals with zero cells, computes, and says in a note why a row has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.effects import association as assoc
from catharsis.effects import correlations as cor
from catharsis.effects import matched_pairs as pairs
from catharsis.effects import mean_differences as means
from catharsis.effects import proportions as prop
from catharsis.effects import rates, reliability
from catharsis.effects import repeated_measures as repeated
from catharsis.effects import transformations as transf
from catharsis.effects import variability as vary
from catharsis.effects.cells import NO_SHARE, OF_ALPHA, Test, arrays_of, check_values, statistics_of
from catharsis.effects.mean_differences import Flags, Result
from catharsis.effects.ways import (
    CHANGE_D_WAYS,
    CHANGE_WAYS,
    D_WAYS,
    GROUPS,
    MARGINS_WAYS,
    OCCASIONS,
    PARTIAL_WAYS,
    R2_WAYS,
    R_WAYS,
    SEMIPARTIAL_WAYS,
    SHARE_WAYS,
    TABLE,
    TABLE_WAYS,
    Arrays,
    Way,
    as_given,
    over_average,
    standardised,
)
from catharsis.effects.zero_cells import TO, ZERO_CELL, filled, uninformative
from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

NOTE = "yi_note"  # column that says why a row has no effect, or what was done to its cells


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    code : str
        metafor's code.
    label : str
        In words, for axes and text.
    ways : tuple of Way
        Sets of arguments of `effect_size`, the most direct first.
    formula : callable
        The statistics that the ways lead to, to (yi, vi).
    corrects : bool
        Whether it takes the small-sample correction.
    vtypes : tuple of str
        Kinds of sampling variance, the default first; empty when there is one.
    cells : int
        How many of the formula's first arguments are counts whose zeros may be filled; 0 for none.
    add : float
        What is added to zero cells by default.
    two_groups : bool
        Whether a table with no event in either group is recognised by `drop00`.
    rules : mapping
        What its arguments cannot be, beside what is so for every measure.
    ignores : tuple of str
        Arguments that belong to its family and may be given, though the formula does not need them.
    back : str
        How a reader's scale is reached: "none", or a name of `transformations.TRANSFORMS` ("tanh" and "expit" for
        "ztor" and "ilogit").
    back_label : str
        The reader's scale in words.
    no_effect : float
        Value of "no effect" on the analysis scale; nan when there is none.
    """

    code: str
    label: str
    ways: tuple[Way, ...]
    formula: Callable[..., Result]
    corrects: bool = False
    vtypes: tuple[str, ...] = ()
    cells: int = 0
    add: float = ZERO_CELL
    two_groups: bool = False
    rules: Mapping[str, tuple[Test, str]] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    back: str = "none"
    back_label: str = ""
    no_effect: float = 0.0

    @property
    def needs(self) -> tuple[str, ...]:
        """Arguments of the most direct way."""
        return self.ways[0].needs

    def to_reader(self, value: FloatArray | float) -> FloatArray:
        """A number of the analysis scale on the reader's scale (risk ratio, correlation, share).

        Examples
        --------
        >>> float(MEASURES["RR"].to_reader(0.0))
        1.0
        """
        value = np.asarray(value, dtype=float)
        name = {"tanh": "ztor", "expit": "ilogit"}.get(self.back, self.back)
        return value if name == "none" else transf.transform(value, name)


# ----------------------------------------------------------------------------------------------- the measures
def _two_by_two(code: str, label: str, formula: Callable[..., Result], **more: Any) -> Measure:
    return Measure(code, label, TABLE_WAYS, formula, cells=4, two_groups=True, **more)


def _share(code: str, label: str, formula: Callable[..., Result], back: str, add: float = ZERO_CELL) -> Measure:
    return Measure(
        code, label, SHARE_WAYS, formula, cells=2, add=add, back=back, no_effect=np.nan,
        back_label="" if back == "none" else "share",
    )  # fmt: skip


def _rate(code: str, label: str, formula: Callable[..., Result], back: str = "none", add: float = ZERO_CELL) -> Measure:
    return Measure(
        code, label, (as_given("xi", "ti"),), formula, cells=1, add=add, back=back, no_effect=np.nan,
        back_label="" if back == "none" else "rate",
    )  # fmt: skip


def _rates(code: str, label: str, formula: Callable[..., Result], **more: Any) -> Measure:
    return Measure(code, label, (as_given("x1", "x2", "t1", "t2"),), formula, cells=2, two_groups=True, **more)


def _paired(code: str, label: str, formula: Callable[..., Result], **more: Any) -> Measure:
    return Measure(code, label, (as_given(*TABLE),), formula, cells=4, **more)


def _z_of(formula: Callable[..., Result]) -> Callable[..., Result]:
    return lambda *arrays, **options: cor.fisher_z_of(formula(*arrays, **options))


def _with(formula: Callable[..., Result], factor: float) -> Callable[..., Result]:
    return lambda *arrays: formula(*arrays, factor)


_NORMAL, _LOGISTIC = transf.LOG_ODDS_PER_SD_NORMAL, transf.LOG_ODDS_PER_SD_LOGISTIC
_AS_R: dict[str, Any] = {"back": "tanh", "back_label": "correlation"}
_AS_ODDS: dict[str, Any] = {"back": "exp", "back_label": "odds ratio"}
_ONE = ("m", "sd", "n")
_ALPHA_WAYS = (as_given("ai", "mi", "ni"),)

MEASURES: dict[str, Measure] = {
    measure.code: measure
    for measure in (
        # two groups, a quantity
        Measure("MD", "mean difference", (as_given(*GROUPS),), means.mean_difference, vtypes=("LS", "HO")),
        Measure("SMD", "standardised mean difference (Hedges' g)", D_WAYS, means.standardised_mean_difference,
                corrects=True, vtypes=("LS", "LS2", "UB", "AV")),
        Measure("SMDH", "standardised mean difference, unequal variances",
                (standardised(lambda sd1, n1, sd2, n2: means.average_sd(sd1, sd2), ("sd1", "n1", "sd2", "n2")),),
                means.heteroscedastic_mean_difference, corrects=True, vtypes=("LS", "LS2")),
        Measure("SMD1", "mean difference over the second group's SD",
                (Way(("m1", "n1", "m2", "sd2", "n2"), lambda m1, n1, m2, sd2, n2: ((m1 - m2) / sd2, n1, n2)),),
                means.glass_difference, corrects=True, vtypes=("LS", "LS2", "UB", "AV"), ignores=("sd1",)),
        Measure("SMD1H", "mean difference over the second group's SD, unequal variances",
                (standardised(lambda sd1, n1, sd2, n2: sd2, ("sd1", "n1", "sd2", "n2")),),
                means.heteroscedastic_glass_difference, corrects=True),
        Measure("ROM", "log ratio of means", (as_given(*GROUPS),), vary.log_ratio_of_means, corrects=True,
                vtypes=("LS", "HO", "AV", "AVHO"), back="exp", back_label="ratio of means"),
        Measure("CVR", "log ratio of coefficients of variation", (as_given(*GROUPS),), vary.log_cv_ratio,
                corrects=True, back="exp", back_label="ratio of coefficients of variation"),
        Measure("VR", "log ratio of standard deviations", (as_given("sd1", "n1", "sd2", "n2"),),
                vary.log_variability_ratio, corrects=True, ignores=("m1", "m2"), back="exp",
                back_label="ratio of standard deviations"),
        Measure("CLESN", "probability of superiority, normal scores", (as_given(*GROUPS),),
                means.probability_of_superiority, no_effect=0.5),
        Measure("CLES", "probability of superiority, from ranks", (as_given("ai", "n1", "n2"),),
                means.superiority_from_ranks, vtypes=("LS", "H0", "MAX"), rules={"ai": NO_SHARE}, no_effect=0.5),
        Measure("D2ORN", "log odds ratio behind a mean difference, normal scores", D_WAYS,
                _with(means.log_odds_ratio_from_d, _NORMAL), **_AS_ODDS),
        Measure("D2ORL", "log odds ratio behind a mean difference, logistic scores", D_WAYS,
                _with(means.log_odds_ratio_from_d, _LOGISTIC), **_AS_ODDS),
        # one group before and after, or pairs
        Measure("MC", "mean change", CHANGE_WAYS, means.mean_change),
        Measure("SMCC", "standardised mean change", CHANGE_D_WAYS, means.standardised_mean_change, corrects=True),
        Measure("SMCR", "mean change over the first SD",
                (Way(("m1", "sd1", "m2", "r", "n"), lambda m1, sd1, m2, r, n: ((m1 - m2) / sd1, r, n)),),
                repeated.change_by_first_sd, corrects=True, ignores=("sd2",)),
        Measure("SMCRH", "mean change over the first SD, unequal variances",
                (Way(OCCASIONS, lambda m1, sd1, m2, sd2, r, n: ((m1 - m2) / sd1, sd1, sd2, r, n)),),
                repeated.heteroscedastic_change_by_first_sd, corrects=True),
        Measure("SMCRP", "mean change over the average SD", (over_average(("r", "n")),),
                repeated.change_by_average_sd, corrects=True),
        Measure("SMCRPH", "mean change over the average SD, unequal variances",
                (over_average(("sd1", "sd2", "r", "n")),), repeated.heteroscedastic_change_by_average_sd,
                corrects=True),
        Measure("ROMC", "log ratio of means of two occasions", (as_given(*OCCASIONS),),
                vary.paired_log_ratio_of_means, corrects=True, back="exp", back_label="ratio of means"),
        Measure("CVRC", "log ratio of coefficients of variation of two occasions", (as_given(*OCCASIONS),),
                vary.paired_log_cv_ratio, corrects=True, back="exp", back_label="ratio of coefficients of variation"),
        Measure("VRC", "log ratio of standard deviations of two occasions", (as_given("sd1", "sd2", "r", "n"),),
                vary.paired_log_variability_ratio, ignores=("m1", "m2"), back="exp",
                back_label="ratio of standard deviations"),
        # one group, a quantity
        Measure("MN", "mean", (as_given(*_ONE),), means.mean_change, no_effect=np.nan),
        Measure("SMN", "standardised mean", (Way(_ONE, lambda m, sd, n: (m / sd, n)),),
                means.standardised_mean_change, corrects=True),
        Measure("MNLN", "log mean", (as_given(*_ONE),), vary.log_mean, back="exp", back_label="mean",
                no_effect=np.nan),
        Measure("CVLN", "log coefficient of variation", (as_given(*_ONE),), vary.log_cv, corrects=True, back="exp",
                back_label="coefficient of variation", no_effect=np.nan),
        Measure("SDLN", "log standard deviation", (as_given("sd", "n"),), vary.log_sd, corrects=True, ignores=("m",),
                back="exp", back_label="standard deviation", no_effect=np.nan),
        # two quantities
        Measure("COR", "correlation", R_WAYS, cor.correlation, vtypes=("LS", "AV")),
        Measure("UCOR", "correlation, unbiased", R_WAYS, cor.unbiased_correlation, vtypes=("LS", "UB", "AV")),
        Measure("ZCOR", "Fisher's z", R_WAYS, cor.fisher_z, **_AS_R),
        Measure("PCOR", "partial correlation", PARTIAL_WAYS, cor.partial_correlation),
        Measure("ZPCOR", "Fisher's z of a partial correlation", PARTIAL_WAYS, cor.partial_fisher_z, **_AS_R),
        Measure("SPCOR", "semi-partial correlation", SEMIPARTIAL_WAYS, cor.semipartial_correlation),
        Measure("ZSPCOR", "Fisher's z of a semi-partial correlation", SEMIPARTIAL_WAYS,
                _z_of(cor.semipartial_correlation), **_AS_R),
        Measure("R2", "share of variance explained", R2_WAYS, cor.explained_share,
                vtypes=("LS", "LS2", "AV", "AV2"), rules={"p": NO_SHARE}),
        Measure("ZR2", "Fisher's z of a multiple correlation", R2_WAYS,
                lambda r2, n, m: cor.explained_share_z(r2, n), rules={"p": NO_SHARE},
                back="ztor2", back_label="share of variance"),
        # a quantity and a group
        Measure("RPB", "point-biserial correlation", D_WAYS, cor.point_biserial, vtypes=("ST", "CS")),
        Measure("ZPB", "Fisher's z of a point-biserial correlation", D_WAYS, _z_of(cor.point_biserial),
                vtypes=("ST", "CS"), **_AS_R),
        Measure("RBIS", "biserial correlation", D_WAYS, cor.biserial),
        Measure("ZBIS", "Fisher's z of a biserial correlation", D_WAYS, _z_of(cor.biserial), **_AS_R),
        # two groups, yes or no
        _two_by_two("RR", "log risk ratio", prop.log_risk_ratio, back="exp", back_label="risk ratio"),
        _two_by_two("OR", "log odds ratio", prop.log_odds_ratio, **_AS_ODDS),
        _two_by_two("RD", "risk difference", prop.risk_difference),
        _two_by_two("AS", "difference of arcsine risks", prop.arcsine_difference, add=0.0),
        _two_by_two("PETO", "log odds ratio (Peto)", prop.peto_log_odds_ratio, **_AS_ODDS),
        _two_by_two("PBIT", "difference of probit risks", prop.probit_difference),
        _two_by_two("OR2DN", "standardised difference behind an odds ratio, normal scores",
                    _with(prop.difference_from_odds, _NORMAL)),
        _two_by_two("OR2DL", "standardised difference behind an odds ratio, logistic scores",
                    _with(prop.difference_from_odds, _LOGISTIC)),
        _two_by_two("PHI", "phi coefficient", assoc.phi_coefficient, add=0.0, vtypes=("CS", "ST")),
        _two_by_two("ZPHI", "Fisher's z of phi", _z_of(assoc.phi_coefficient), add=0.0, vtypes=("CS", "ST"), **_AS_R),
        _two_by_two("YUQ", "Yule's Q", assoc.yule_q),
        _two_by_two("YUY", "Yule's Y", assoc.yule_y),
        _two_by_two("RTET", "tetrachoric correlation", assoc.tetrachoric, add=0.0),
        _two_by_two("ZTET", "Fisher's z of a tetrachoric correlation", _z_of(assoc.tetrachoric), add=0.0, **_AS_R),
        # pairs, yes or no
        _paired("MPRR", "log risk ratio of pairs", pairs.marginal_log_risk_ratio, back="exp", back_label="risk ratio"),
        _paired("MPOR", "log odds ratio of pairs", pairs.marginal_log_odds_ratio, **_AS_ODDS),
        _paired("MPRD", "risk difference of pairs", pairs.marginal_risk_difference),
        _paired("MPORC", "log odds ratio within pairs", pairs.conditional_log_odds_ratio, **_AS_ODDS),
        _paired("MPPETO", "log odds ratio within pairs (Peto)", pairs.conditional_peto_log_odds_ratio, **_AS_ODDS),
        Measure("MPORM", "log odds ratio of pairs, from margins", MARGINS_WAYS,
                pairs.marginal_log_odds_ratio_from_margins, cells=4, two_groups=True, **_AS_ODDS),
        # one group, yes or no
        _share("PR", "share", prop.proportion, "none"),
        _share("PLN", "log share", prop.log_proportion, "exp"),
        _share("PLO", "logit of the share", prop.logit_proportion, "expit"),
        _share("PRZ", "probit of the share", prop.probit_proportion, "iprobit"),
        _share("PAS", "arcsine of the share", prop.arcsine_proportion, "iarcsin", add=0.0),
        _share("PFT", "double arcsine of the share", prop.double_arcsine_proportion, "none", add=0.0),
        # events over person-time
        _rates("IRR", "log rate ratio", rates.log_rate_ratio, back="exp", back_label="rate ratio"),
        _rates("IRD", "rate difference", rates.rate_difference),
        _rates("IRSD", "difference of root rates", rates.root_rate_difference, add=0.0),
        _rate("IR", "rate", rates.rate),
        _rate("IRLN", "log rate", rates.log_rate, "exp"),
        _rate("IRS", "root of the rate", rates.root_rate, "isqrt", add=0.0),
        _rate("IRFT", "Freeman-Tukey transformed rate", rates.double_root_rate, add=0.0),
        # others
        Measure("ARAW", "coefficient alpha", _ALPHA_WAYS, reliability.raw_alpha, rules=OF_ALPHA, no_effect=np.nan),
        Measure("AHW", "transformed coefficient alpha (Hakstian and Whalen)", _ALPHA_WAYS,
                reliability.hakstian_whalen_alpha, rules=OF_ALPHA, back="iahw", back_label="coefficient alpha",
                no_effect=np.nan),
        Measure("ABT", "transformed coefficient alpha (Bonett)", _ALPHA_WAYS,
                reliability.bonett_alpha, rules=OF_ALPHA, back="iabt", back_label="coefficient alpha",
                no_effect=np.nan),
        Measure("REH", "log relative excess heterozygosity", (as_given("ai", "bi", "ci"),),
                assoc.log_relative_excess_heterozygosity, back="exp",
                back_label="relative excess heterozygosity"),
    )
}  # fmt: skip

# Other names of the same measure; the odds ratio's default distribution is the logistic one.
ALIASES = {"AUC": "CLES", "AUCN": "CLESN", "OR2D": "OR2DL", "D2OR": "D2ORL"}


def measure(code: str) -> Measure:
    """Look a measure up by its code.

    Raises
    ------
    ModelError
        When there is none; offers the nearest.
    """
    code = ALIASES.get(code, code)
    if code not in MEASURES:
        raise ModelError(f'there is no measure "{code}": {did_you_mean(code, list(MEASURES))}')
    return MEASURES[code]


# ----------------------------------------------------------------------------------------- the frame at the edge
def effect_size(
    code: str,
    *,
    data: pd.DataFrame | None = None,
    correct: bool = True,
    vtype: str | Sequence[str] | None = None,
    add: float | None = None,
    to: Literal["only0", "all", "if0all", "none"] = "only0",
    drop00: bool = False,
    **cells: str | Sequence[float],
) -> pd.DataFrame:
    """Compute effect sizes and sampling variances.

    Parameters
    ----------
    code : str
        A key of `MEASURES`.
    data : pandas.DataFrame, optional
        Where column names are looked up; the result is this frame with `yi` and `vi` added.
    correct : bool
        Apply the small-sample correction where the measure has one.
    vtype : str or sequence of str, optional
        Kind of sampling variance, where the measure has several; one for all rows or one per row.
    add : float, optional
        What is added to the cells of a table with a zero: 1/2, except for measures that need nothing (AS, PHI, RTET,
        PAS, PFT, IRSD, IRS, IRFT).
    to : {"only0", "all", "if0all", "none"}
        Where it is added: to tables with a zero, to all, to all when one has a zero, to none.
    drop00 : bool
        Leave out tables of two groups in which nobody, or everybody, had the event.
    **cells
        The measure's arguments: arrays, or column names of `data` (by default the argument's own name). A final i is
        free: m1 and m1i are the same.

    Returns
    -------
    pandas.DataFrame
        With columns `yi` and `vi`; nan where an effect or its variance is not defined. When a row has something to
        tell (no effect and why, a constant added to its cells), a column `yi_note` says so.

    Raises
    ------
    ModelError
        Unknown measure or option, missing argument or column, or a value that cannot be: a negative standard deviation
        or count, a correlation beyond 1; names the row.

    References
    ----------
    [@viechtbauer2010a]

    Examples
    --------
    >>> effect_size("MC", mean_change=[0.5], sd_change=[2.0], n=[100])
        yi    vi
    0  0.5  0.04
    >>> effect_size("PLO", xi=[0], ni=[10])
             yi        vi                               yi_note
    0 -3.044522  2.095238  0.5 was added to the cells: one is 0
    """
    import pandas as pd

    chosen = measure(code)
    given = arrays_of(code, chosen.ways, chosen.ignores, cells, data)
    check_values(given, chosen.rules, chosen.cells > 0, data)
    statistics, lacking = statistics_of(chosen.ways, given)
    notes = [""] * len(statistics[0])
    _note(notes, lacking, "a number is missing")
    if chosen.cells:
        statistics = _counts(chosen, statistics, add, to, drop00, notes)
    elif add is not None or to != "only0" or drop00:
        raise ModelError(f"{chosen.code} is not computed from counts: it takes none of add, to and drop00")
    yi, vi = _computed(chosen, statistics, correct, vtype)
    undefined = np.isnan(yi) | np.isnan(vi)
    _note(notes, undefined & ~np.isnan(yi), f"the variance of {chosen.code} is not defined for these numbers")
    _note(notes, undefined, f"{chosen.code} is not defined for these numbers")
    found = {"yi": yi, "vi": vi} | ({NOTE: notes} if any(notes) else {})
    kept = pd.DataFrame() if data is None else data.drop(columns=[NOTE], errors="ignore")
    frame = kept.assign(**found)
    frame.attrs["measure"] = chosen.code  # `Fit.backtransform` asks
    return frame


def _note(notes: list[str], rows: Flags, text: str) -> None:
    """Write a note on rows that have none yet."""
    for i in np.flatnonzero(rows):
        notes[i] = notes[i] or text


def _counts(chosen: Measure, statistics: Arrays, add: float | None, to: str, drop00: bool, notes: list[str]) -> Arrays:
    """The counts with zeros dealt with."""
    if to not in TO:
        raise ModelError(f'to is "{to}": {did_you_mean(str(to), list(TO))}')
    amount = chosen.add if add is None else float(add)
    if not (np.isfinite(amount) and amount >= 0):
        raise ModelError(f"add is {add}: what is added to counts is 0 or above")
    if drop00 and chosen.two_groups:
        first = statistics[: chosen.cells]
        empty = uninformative(*first) if chosen.cells == 4 else np.all([count == 0 for count in first], axis=0)
        _note(notes, empty, "left out: no group differs in having events (drop00)")
        statistics = (*(np.where(empty, np.nan, cell) for cell in first), *statistics[chosen.cells :])
    statistics, touched = filled(statistics, amount, to, chosen.cells)
    why = "one is 0" if to == "only0" else f'to="{to}"'
    _note(notes, touched, f"{amount:g} was added to the cells: {why}")
    return statistics


def _computed(
    chosen: Measure, statistics: Arrays, correct: bool, vtype: str | Sequence[str] | None
) -> tuple[FloatArray, FloatArray]:
    """Effects and variances, both nan where one is infinite; a row's variance is of its own kind."""
    options: dict[str, Any] = {"correct": correct} if chosen.corrects else {}
    kinds = _kinds(chosen, vtype, len(statistics[0]))
    with np.errstate(all="ignore"):
        results = {
            kind: chosen.formula(*statistics, **options, **({"vtype": kind} if chosen.vtypes else {}))
            for kind in dict.fromkeys(kinds)
        }
    k = len(statistics[0])
    columns = []
    for part in (0, 1):
        column = np.full(k, np.nan)
        for kind, result in results.items():
            mine = np.array([one == kind for one in kinds])
            column[mine] = np.broadcast_to(np.asarray(result[part], dtype=float), (k,))[mine]
        columns.append(column)
    beyond = np.isinf(columns[0]) | np.isinf(columns[1])  # an infinite effect has no variance, and no use without one
    return np.where(beyond, np.nan, columns[0]), np.where(beyond, np.nan, columns[1])


def _kinds(chosen: Measure, vtype: str | Sequence[str] | None, k: int) -> list[str]:
    """The kind of variance of each row; "LS" asks for the usual one, whatever the measure calls it."""
    default = chosen.vtypes[0] if chosen.vtypes else "LS"
    kinds = [vtype or default] * k if vtype is None or isinstance(vtype, str) else [str(kind) for kind in vtype]
    if len(kinds) != k:
        raise ModelError(f"vtype has {len(kinds)} values for {k} rows: give one, or one per row")
    kinds = [default if kind == "LS" else kind for kind in kinds]
    for kind in kinds:
        if kind != default and kind not in chosen.vtypes:
            known = ", ".join(chosen.vtypes) or "one kind of variance only"
            raise ModelError(f'vtype "{kind}" is not known for {chosen.code}: it has {known}')
    return kinds
