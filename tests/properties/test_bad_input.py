"""Whatever stands where effects should: a ModelError that names it, or an answer whose gaps are explained.

Every public function is in the table of `engine` or in ELSEWHERE; a new one without a place fails the first test.
Only a CatharsisError may be raised, no warning (pytest turns them into errors), and no nan or infinity without a note.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from engine import SUBJECTS, dependent_groups, healthy, notes_of, scale_columns

import catharsis as ca
from catharsis.models.comparison import likelihood_ratio
from catharsis.models.correlated_effects import fit_robust

YI = [0.9, 0.6, 0.5, 0.3, 0.2, 0.25, 0.4]
VI = [0.20, 0.12, 0.08, 0.03, 0.02, 0.01, 0.05]
K = len(YI)
NAN, INF = float("nan"), float("inf")

ELSEWHERE = {  # public names that this table does not walk over
    **dict.fromkeys(("CatharsisError", "InputError", "InputErrors", "ModelError"), "an error"),
    "__version__": "a text",
    "Priors": "priors; tests/bayes/test_priors.py",
    "default_priors": "takes a measure; tests/bayes/test_priors_defaults.py",
    "moderator_inclusion": "takes a formula; tests/bayes/test_averaging_moderators.py",
    "power_scaling": "takes a posterior; tests/assess/test_power_scaling.py",
    "prior_predictive": "takes priors, no data; tests/bayes/test_priors_before_data.py",
    "prior_sensitivity": "fits by fit_bayes; tests/assess/test_prior_sensitivity.py",
    "compare_loo": "takes posteriors by name; tests/assess/test_cross_validation.py",
    "partial_evidence": "takes a table of rows; tests/bayes/test_partial.py",
    "partial_contributions": "takes partial evidence; tests/bayes/test_partial.py",
    "run": "takes an analysis.yaml; tests/plan",
    **dict.fromkeys(("cohen_kappa", "intraclass_correlation"), "take readings; tests/checks/test_agreement.py"),
    "read_references": "reads files; tests/references",
    "read_studies": "reads files; tests/properties/test_table.py",
    "effect_size": "takes summaries of groups; tests/effects",
    "from_five_numbers": "takes summaries of groups; tests/effects",
    "from_wald": "takes reported tests; tests/effects",
    "transform": "takes one number at a time; tests/effects",
    "correlation_covariance": "takes correlation matrices; tests/effects",
    "fit_counts": "takes counts; tests/models/test_counts_glmm.py",
    "fit_bayes_counts": "takes counts; tests/bayes/test_sampled_counts.py",
    "fit_bayes_selection": "sampled; tests/bayes/test_sampled_selection.py",
    "mantel_haenszel": "takes counts; tests/models/test_counts_pooled.py",
    "peto": "takes counts; tests/models/test_counts_pooled.py",
    "selection_model": "its own table; tests/assess/test_selection_models.py",
    "p_uniform": "its own table; tests/assess",
    "p_uniform_star": "its own table; tests/assess",
    **dict.fromkeys(
        ("albatross_data", "asymmetry_of_counts", "combine_pvalues", "effect_directions", "sign_test"),
        "no effects: OTHER_EVIDENCE below",
    ),
}


def test_every_public_function_has_a_place():
    here = {name.split()[0] for name in SUBJECTS}
    missing = sorted(set(ca.__all__) - here - set(ELSEWHERE))
    assert not missing, f"no bad input is tried on {missing}: add them to engine.SUBJECTS, or say why not in ELSEWHERE"
    assert set(ELSEWHERE) <= set(ca.__all__)


def put(values: list[Any], value: Any) -> list[Any]:
    """The values with another one in the third row."""
    return [*values[:2], value, *values[3:]]


# -- what must be refused -------------------------------------------------------------------------------------------

ROW_OF_V, ROW_OF_Y = r"the variance of 3 is .* positive and finite", r"the effect of 3 is .* finite number"
REFUSED = {  # name: effects, variances, and what the message says
    "variance zero": (YI, put(VI, 0.0), ROW_OF_V),
    "variance negative": (YI, put(VI, -0.1), ROW_OF_V),
    "variance nan": (YI, put(VI, NAN), ROW_OF_V),
    "variance inf": (YI, put(VI, INF), ROW_OF_V),
    "variance missing": (YI, put(VI, None), ROW_OF_V),
    "variance text": (YI, put(VI, "n.s."), r"vi.* not a number"),
    "effect nan": (put(YI, NAN), VI, ROW_OF_Y),
    "effect inf": (put(YI, -INF), VI, ROW_OF_Y),
    "effect missing": (put(YI, None), VI, ROW_OF_Y),
    "effect text": (put(YI, "higher"), VI, r"yi.* not a number"),
    "none": ([], [], r"no effects"),
    "fewer variances": (YI, VI[:-1], r"7 effects but 6 variances"),
    "fewer effects": (YI[:-1], VI, r"6 effects but 7 variances"),
    "two dimensions": (np.ones((3, 2)), np.ones((3, 2)), r"yi has 2 dimensions"),
}
OWN_WORDS = {  # (subject, case): what it says or does instead
    ("fit formula", "fewer variances"): r"variance of 7 is nan",
    ("fit formula", "fewer effects"): r"effect of 7 is nan",
    ("fit formula", "variance text"): r"vi.* not a number",
    ("fit V", "variance zero"): r"variance of 3 is 0",
    ("fit V", "variance nan"): r"V holds a value that is not finite, for effect 3",
    ("fit V", "variance inf"): r"(V holds a value that is not finite, for effect|variance of) 3",
    ("fit V", "variance missing"): r"V (cannot be read|holds)|vi holds|variance of 3",
    ("fit V", "variance text"): r"V cannot be read|vi holds",
    ("fit V", "fewer variances"): r"V has shape \(6,\).* 7 effects",
    ("fit V", "fewer effects"): r"V has shape \(7,\).* 6 effects",
    ("aggregate", "variance zero"): r"variance is 0 in study study 1",
    ("aggregate", "variance negative"): r"vi is negative in row 3",
}
FRAMES = ("fit formula", "aggregate")  # a frame has rows of one length and no dimensions
PASSES_OVER = {  # aggregate leaves out what is missing, as documented, and says in n_effects how many are left
    "variance nan", "variance inf", "variance missing", "effect nan", "effect inf", "effect missing", "none",
    "fewer variances", "fewer effects",
}  # fmt: skip
ONLY_VARIANCES = {name for name in REFUSED if name.startswith(("effect", "fewer", "two"))}
AWAITED: dict[tuple[str, str], str] = {}  # subjects and cases that are not yet as they should be


def refusals(subject):
    """Cases that a subject must refuse, and the words it must use."""
    for case, (yi, vi, words) in REFUSED.items():
        if subject in FRAMES and case == "two dimensions":
            continue
        if subject == "aggregate" and case in PASSES_OVER:
            continue
        if subject == "sampling_covariance" and case in ONLY_VARIANCES:
            continue
        yield case, yi, vi, OWN_WORDS.get((subject, case), words)


def refused(call, words):
    """None when a call is refused in these words; else what it did."""
    try:
        call()
    except ca.ModelError as refusal:
        return None if re.search(words, str(refusal)) else f"said: {refusal}"
    except Exception as error:  # also a warning: pytest turns them into errors
        return f"{type(error).__name__}: {error}"
    return "was accepted"


def check_refusals(cases, awaited=()):
    """Every call of (name, call, words) is refused in its words, but for those awaited, which are not yet."""
    found = {name: refused(call, words) for name, call, words in cases}
    wrong = {name: what for name, what in found.items() if what is not None and name not in awaited}
    assert not wrong, wrong
    mended = [name for name in awaited if name in found and found[name] is None]
    assert not mended, f"refused now: take {mended} from the list of what is awaited"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_no_effect_or_variance_is_refused(subject):
    call = SUBJECTS[subject].call
    check_refusals(
        [(case, lambda yi=yi, vi=vi: call(yi, vi), words) for case, yi, vi, words in refusals(subject)],
        [case for name, case in AWAITED if name == subject],
    )


# -- what must be answered, or refused in words ---------------------------------------------------------------------

ODD = {
    "one study": (YI[:1], VI[:1]),
    "two identical studies": ([0.3, 0.3], [0.1, 0.1]),
    "two studies": ([0.3, 0.5], [0.1, 0.2]),
    "three studies": ([0.3, 0.5, 0.1], [0.1, 0.2, 0.15]),
    "identical studies": ([0.3] * 6, [0.1] * 6),
    "no effect at all": ([0.0] * 7, VI),
    "on a line with the standard error": ([0.1 + 2 * v**0.5 for v in VI], VI),
    "variances 1e-12 to 1e12": (YI, [1e-12, 1e12, 1e-6, 1e6, 1.0, 1e-3, 1e3]),
    "two exact studies": (YI, [1e-12, 1e-12, *[1e12] * 5]),
    "one exact study": (YI, [1e-12, *VI[1:]]),
    "one vague study": (YI, [1e12, *VI[1:]]),
    "effects of 1e10": ([1e10, -1e10, 1e9, 3e9, 2.0, 3.0, 4.0], VI),
    "whole numbers": ([1, 2, 3, 2, 1, 2, 3], [1, 2, 1, 3, 2, 1, 2]),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_odd_data_are_answered_or_refused_in_words(subject):
    it = SUBJECTS[subject]
    for case, (yi, vi) in ODD.items():
        try:
            result = it.call(yi, vi)
        except ca.ModelError as refusal:
            if len(yi) >= it.fewest and case in ("two studies", "three studies"):
                pytest.fail(f"{case}: {refusal}")
            continue
        gaps = healthy(it.numbers(result))
        assert not gaps or notes_of(result), f"{case}: {gaps} without a note"


# -- moderators -----------------------------------------------------------------------------------------------------

ONE, X = np.ones(K), np.arange(K) * 1.0
MODERATORS = {  # name: matrix, and what the message says; None where the model can be fitted
    "constant": (np.column_stack([ONE, 3 * ONE]), r"x2 is 3 in every row"),
    "collinear": (np.column_stack([ONE, X, 2 * X]), r"x3 repeats what intercept, x2"),
    "zero": (np.column_stack([ONE, 0 * X]), r"x2 is zero in every row"),
    "missing": (np.column_stack([ONE, put(list(X), NAN)]), r"not finite in row 3"),
    "None": (np.array([[1.0, x] for x in put(list(X), None)], dtype=object), r"not finite in row 3"),
    "infinite": (np.column_stack([ONE, put(list(X), INF)]), r"not finite in row 3"),
    "more coefficients than effects": (np.vander(np.append(X, 9.0))[:K], r"7 effects cannot carry 8 coefficients"),
    "one row short": (np.column_stack([ONE, X])[:-1], r"one row for each of the 7 effects"),
    "one dimension": (X, r"X has shape \(7,\)"),
    "text": (np.array([[1, "a"]] * K, dtype=object), r"X .*not a number"),
    "no column": (np.ones((K, 0)), r"X has (no columns|shape)"),
    "as many coefficients as effects": (np.vander(X), None),
    "a year": (np.column_stack([ONE, 2000 + X]), None),
    "far from zero": (np.column_stack([ONE, 1e9 + X]), None),
}
AWAITED_X = ()


@pytest.mark.parametrize("subject", [name for name, it in SUBJECTS.items() if it.moderators])
def test_moderators(subject):
    it = SUBJECTS[subject]
    check_refusals(
        [(case, lambda X=X: it.call(YI, VI, X), words) for case, (X, words) in MODERATORS.items() if words], AWAITED_X
    )
    for case, (matrix, words) in MODERATORS.items():
        if words is None:
            try:
                result = it.call(YI, VI, matrix)
            except ca.ModelError:
                continue
            assert not healthy(it.numbers(result)) or notes_of(result), case


FRAME = pd.DataFrame(
    {"yi": YI, "vi": VI, "x": X, "study": dependent_groups(K), "set": list("aabbabb")}, index=range(1, K + 1)
)
BY_FORMULA = {
    "fit": ca.fit,
    "fit_bayes": ca.fit_bayes,
    "fit_location_scale": lambda formula, data: ca.fit_location_scale(formula, data, scale="~ x"),
    "fit_robust": lambda formula, data: fit_robust(formula, data, cluster="study"),
}
FORMULAE = {
    "missing cell": (
        "yi ~ set",
        FRAME.assign(set=put(list(FRAME["set"]), None)),
        r"set is missing in 1 of 7 rows \(3\)",
    ),
    "missing number": ("yi ~ x", FRAME.assign(x=put(list(X), NAN)), r"x is missing in 1 of 7 rows \(3\)"),
    "pandas NA": (
        "yi ~ x",
        FRAME.assign(x=pd.array(put(list(X), None), dtype="Float64")),
        r"x is missing in 1 of 7 rows",
    ),
    "one level": ("yi ~ set", FRAME.assign(set="a"), r"set has one level only"),
    "constant": ("yi ~ x", FRAME.assign(x=2.0), r"x is 2 in every row"),
    "repeated": ("yi ~ x + z", FRAME.assign(z=3 * X), r"column z repeats"),
    "no such moderator": ("yi ~ st", FRAME, r'names "st"'),
    "no such effect": ("effect ~ 1", FRAME, r'no column "effect"'),
    "no formula": ("yi ~ (", FRAME, r"cannot be read"),
    "no rows": ("yi ~ 1", FRAME[:0], r"no effects"),
    "a word in the effects": ("yi ~ 1", FRAME.assign(yi=put(YI, "x")), r"yi .*not a number"),
    "NA in the variances": ("yi ~ 1", FRAME.assign(vi=pd.array(put(VI, None), dtype="Float64")), r"vi|variance of 3"),
}


@pytest.mark.parametrize("case", FORMULAE)
@pytest.mark.parametrize("function", BY_FORMULA)
def test_formulae(function, case):
    formula, data, words = FORMULAE[case]
    with pytest.raises(ca.ModelError, match=words):
        BY_FORMULA[function](formula, data)


# -- covariances, groups --------------------------------------------------------------------------------------------

D = np.diag(VI)


def beside(value: float) -> Any:
    """V with a value between the first two effects."""
    found = D.copy()
    found[0, 1] = found[1, 0] = value
    return found


COVARIANCES = {
    "not symmetric": (D + np.triu(np.full((K, K), 1e-3), 1), r"not symmetric: .* between effects 1 and 2"),
    "a correlation above 1": (beside(1.0), r"correlation between 1 and 2 is"),
    "indefinite": (D + 0.9 * np.sqrt(np.outer(VI, VI)) * np.where(np.arange(K) % 2, 1, -1) * (1 - np.eye(K)),
                   r"not (symmetric|positive semi-definite)"),
    "nan": (beside(NAN), r"not finite, between effects 1 and 2"),
    "nan variance": (np.diag(put(VI, NAN)), r"not finite, for effect 3"),
    "zero": (np.zeros((K, K)), r"variance of 1, 2|not positive definite"),
    "negative": (-D, r"variance of 1, 2|not positive definite"),
    "another shape": (np.eye(3), r"V has shape \(3, 3\)"),
    "text": ("V", r"V cannot be read"),
    "None": (np.full((K, K), None), r"V cannot be read|not finite"),
    "blocks of another size": ([([0, 1], np.eye(3))], r"shape \(3, 3\) for 2 effects"),
    "a row twice": ([([0, 0], np.eye(2))], r"effect 1 twice"),
    "a row too many": ([([0, 9], np.eye(2))], r"names row 10"),
}  # fmt: skip


@pytest.mark.parametrize("case", COVARIANCES)
def test_covariances(case):
    V, words = COVARIANCES[case]
    with pytest.raises(ca.ModelError, match=words):
        ca.fit(yi=YI, vi=VI, V=V)


GROUPED = {
    "egger": lambda groups: ca.egger(YI, VI, cluster=groups),
    "egger lm": lambda groups: ca.egger(YI, VI, model="lm", cluster=groups),
    "pet_peese": lambda groups: ca.pet_peese(YI, VI, cluster=groups),
    "fit_robust": lambda groups: fit_robust(yi=YI, vi=VI, cluster=groups),
    "fit.robust": lambda groups: ca.fit(yi=YI, vi=VI).robust(groups),
    "fit.leave_one_out": lambda groups: ca.fit(yi=YI, vi=VI).leave_one_out(by=groups),
    "cumulative": lambda groups: ca.cumulative(ca.fit(yi=YI, vi=VI), order=groups, collapse=True),
}
LABELS = list("aabbccd")
GROUPS = {
    "one short": (LABELS[:-1], r"has 6 (labels|values) for 7 effects"),
    "None": (put(LABELS, None), r"missing for 1 of 7 effects"),
    "nan": (put(LABELS, NAN), r"missing for 1 of 7 effects"),
    "NaT": (put(LABELS, pd.NaT), r"missing for 1 of 7 effects"),
    "NA": (put(LABELS, pd.NA), r"missing for 1 of 7 effects"),
    "lists": ([[label] for label in LABELS], r"of effect 1 is a list|several kinds"),
    "a number": (3, r"(is 3;|give one)"),
    "a word": ("aabbccd", r'"aabbccd"'),
}
AWAITED_GROUPS = {}


@pytest.mark.parametrize("function", GROUPED)
def test_groups(function):
    call = GROUPED[function]
    check_refusals(
        [(case, lambda groups=groups: call(groups), words) for case, (groups, words) in GROUPS.items()],
        AWAITED_GROUPS.get(function, ()),
    )


@pytest.mark.parametrize("function", GROUPED)
def test_one_group_alone_is_no_cluster(function):
    if function == "cumulative":
        assert len(GROUPED[function]([1] * K)) == 1
        return
    with pytest.raises(ca.ModelError, match=r"two|1 clusters cannot"):
        GROUPED[function](["a"] * K)


# -- options --------------------------------------------------------------------------------------------------------

MODEL = ca.fit(yi=YI, vi=VI, test="z")
PAIR = ca.fit(yi=YI, vi=VI, X=np.column_stack([ONE, X]), test="z")
TABLES = ([4, 6, 3, 62], [123, 306, 231, 13598], [11, 29, 11, 248], [139, 303, 220, 12867])
DIRECTIONS = pd.DataFrame({"study": ["a", "b", "c"], "domain": "mood", "sign": [1, -1, 1], "n": [10, 20, 30]})
LEVELS = {
    "egger": lambda level: ca.egger(YI, VI, level=level),
    "egger of a model": lambda level: ca.egger(MODEL, level=level),
    "trim_and_fill": lambda level: ca.trim_and_fill(YI, VI, level=level),
    "henmi_copas": lambda level: ca.henmi_copas(YI, VI, level=level),
    "henmi_copas of a model": lambda level: ca.henmi_copas(MODEL, level=level),
    "pet_peese": lambda level: ca.pet_peese(YI, VI, level=level),
    "uwls of a model": lambda level: ca.uwls(MODEL, level=level),
    "uwls().interval": lambda level: ca.uwls(YI, VI).interval(level),
    "waap": lambda level: ca.waap(YI, VI, level=level),
    "limit_meta": lambda level: ca.limit_meta(YI, VI, level=level),
    "fit_location_scale": lambda level: ca.fit_location_scale(yi=YI, vi=VI, scale=scale_columns(YI), level=level),
    "fit_location_scale().conf_int": lambda level: ca.fit_location_scale(
        yi=YI, vi=VI, scale=scale_columns(YI)).conf_int(level),
    "fit_robust": lambda level: fit_robust(yi=YI, vi=VI, cluster=LABELS, level=level),
    "fit_robust().conf_int": lambda level: fit_robust(yi=YI, vi=VI, cluster=LABELS).conf_int(level),
    "asymmetry_of_counts": lambda level: ca.asymmetry_of_counts(*TABLES, level=level),
    "effect_directions": lambda level: ca.effect_directions(DIRECTIONS, level=level),
    "sign_test": lambda level: ca.sign_test(3, 4, level=level),
}  # fmt: skip


@pytest.mark.parametrize("function", LEVELS)
def test_levels(function):
    words = r"level is .*; an interval's probability lies between 0 and 1"
    check_refusals(
        [(str(level), lambda level=level: LEVELS[function](level), words)
         for level in (0, 1, 1.5, -1, 95, NAN, INF, "95%", [0.95], True)]
    )  # fmt: skip


RNG = np.random.default_rng(1)
OPTIONS = [
    (lambda: ca.failsafe_n(YI, VI, alpha=None), "alpha is nothing"),
    (lambda: ca.failsafe_n(YI, VI, kind="Orwin", target="half"), 'target is "half"'),
    (lambda: ca.failsafe_n(YI, VI, kind=3), 'no fail-safe N "3"'),
    (lambda: ca.excess_significance(YI, VI, alpha="5%"), 'alpha is "5%"'),
    (lambda: ca.excess_significance(YI, VI, theta=NAN), "theta is nan"),
    (lambda: ca.excess_significance(YI, VI, tau2=-1), "tau2 = -1.* not (be )?negative|tau2 not negative"),
    (lambda: ca.excess_significance(YI, VI, null="zero"), "null is"),
    (lambda: ca.pet_peese(YI, VI, alpha=10), "alpha is 10; .* for 10% give 0.1"),
    (lambda: ca.pet_peese(YI, VI, n1i=[10] * K), "both groups"),
    (lambda: ca.egger(YI, VI, n1i=[10] * 6, n2i=[10] * 6), "n1i has shape"),
    (lambda: ca.egger(YI, VI, predictor="ni", ni=put([10] * K, 0)), "ni of 3 is 0"),
    (lambda: ca.egger(YI, VI, model=None), 'no model "None"'),
    (lambda: ca.trim_and_fill(YI, VI, limits=3), "limits are 3"),
    (lambda: ca.trim_and_fill(YI, VI, max_steps="many"), "max_steps is"),
    (lambda: ca.trim_and_fill(YI, VI, estimator=None), "no estimator"),
    (lambda: ca.limit_meta(YI, VI, adjust=None), "no adjustment"),
    (lambda: ca.permutation_test(MODEL, iterations=10.5, rng=RNG), "iterations is 10.5"),
    (lambda: ca.permutation_test(MODEL, exact=False, iterations=10, rng=1), "give rng="),
    (lambda: ca.permutation_test(MODEL, joint="intercept"), "joint is"),
    (lambda: ca.permutation_test(MODEL, joint=[]), "joint names no term"),
    (lambda: ca.gosh(MODEL, "all"), "subsets is"),
    (lambda: ca.gosh(MODEL, 10, rng=1), "give rng="),
    (lambda: ca.baujat(YI), "needs a fitted model, not list: call catharsis.fit first"),
    (lambda: ca.radial(None), "needs a fitted model"),
    (lambda: ca.cumulative(pd.DataFrame({"yi": YI})), "needs a fitted model, not DataFrame"),
    (lambda: ca.cumulative(MODEL, order="year"), 'order is "year"'),
    (lambda: ca.gosh(YI), "needs a fitted model"),
    (lambda: ca.permutation_test(YI), "needs a fitted model"),
    (lambda: ca.egger(YI), "sampling variances"),
    (lambda: ca.egger(MODEL, VI), "either a fitted model or arrays"),
    (lambda: likelihood_ratio(MODEL, None), "two fitted models"),
    (lambda: MODEL.compare(MODEL), "same|1 parameters|2 parameters"),
    (lambda: MODEL.residuals(None), "no residuals of type"),
    (lambda: PAIR.combinations([[1.0]]), "one column for each of the 2 coefficients"),
    (lambda: PAIR.wald_test([[1, 0], [2, 0]]), "repeat each other"),
    (lambda: PAIR.backtransform("RR", x="setting"), "x holds something that is not a number"),
    (lambda: MODEL.backtransform("RRR"), 'no measure "RRR"'),
    (lambda: MODEL.vif(), "fewer than two"),
    (lambda: fit_robust(yi=YI, vi=VI, cluster=LABELS, rho="0.8"), "rho is"),
    (lambda: fit_robust(yi=YI, vi=VI, cluster=LABELS, dependence=None), "no kind of dependence"),
    (lambda: fit_robust(yi=[0.1, 0.3], vi=[1e-12, 1e12], cluster=["a", "a"]), "1 clusters cannot carry"),
]


@pytest.mark.parametrize(("call", "words"), OPTIONS, ids=[words for _, words in OPTIONS])
def test_options(call, words):
    with pytest.raises(ca.ModelError, match=words):
        call()


# -- evidence that is no effect -------------------------------------------------------------------------------------


def tables(place: int, value: Any) -> list[list[Any]]:
    return [put(column, value) if i == place else column for i, column in enumerate(TABLES)]


OTHER_EVIDENCE = [
    (lambda: ca.combine_pvalues([0.1, 0.0]), "p of 2 is 0"),
    (lambda: ca.combine_pvalues([0.1, 1.1]), "p of 2 is 1.1"),
    (lambda: ca.combine_pvalues([0.1, None]), "p of 2 is nan"),
    (lambda: ca.combine_pvalues([0.1, "<.05"]), "p holds something that is not a number"),
    (lambda: ca.combine_pvalues([]), "no p values"),
    (lambda: ca.combine_pvalues([0.1, 0.2], weights=[1, -1]), "positive numbers"),
    (lambda: ca.combine_pvalues([0.1, 0.2], signs=[1, 0]), "sign of p value 2"),
    (lambda: ca.combine_pvalues([0.1, 0.2], signs=[1]), "2 p values but 1 signs"),
    (lambda: ca.combine_pvalues([0.1, 0.2], "wilkinson", r=3), "r is 3"),
    (lambda: ca.combine_pvalues([0.1, 0.2], "wilkinson", r="2"), "r is"),
    (lambda: ca.combine_pvalues([0.1, 0.2], "binomial", alpha=None), "alpha is"),
    (lambda: ca.albatross_data([10, 3], [0.1, 0.2], [1, 1]), "study 2 has 3"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.0], [1, 1]), "study 2 has 0"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.2], [1, None]), "study 2 has nan"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.2], [1, 1], labels=["a"]), "labels has 1 labels for 2 effects"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.2], [1, 1], effects=[]), "effects needs at least one"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.2], [1, 1], effects=["large"]), "effects holds something"),
    (lambda: ca.albatross_data([10, 20], [0.1, 0.2], [1, 1], ratio=None), "ratio is"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(study=["a", None, "c"])), "study of row 1 is missing"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(domain=["m", "m", NAN])), "domain of row 2 is missing"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(sign=[1, NAN, 1])), "sign of row 1 is missing"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(sign=["+", "-", "+"])), "sign holds something"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(n=["ten", 1, 2]), size="n"), "n holds something"),
    (lambda: ca.effect_directions(DIRECTIONS.assign(n=[10, -1, 2]), size="n"), "n of row 1 is -1"),
    (lambda: ca.effect_directions(DIRECTIONS[:0]), "no effects"),
    (lambda: ca.effect_directions([1, -1]), "data frame"),
    (lambda: ca.effect_directions(DIRECTIONS, agree="most"), "agree is"),
    (lambda: ca.sign_test(-1, 3), "positive is -1"),
    (lambda: ca.sign_test(2.5, 3), "positive is 2.5"),
    (lambda: ca.sign_test(NAN, 3), "positive is nan"),
    (lambda: ca.sign_test(2, None), "negative is nothing"),
    *((lambda value=value: ca.asymmetry_of_counts(*tables(0, value)), "ai") for value in (-1, NAN, None, INF, "x")),
    *((lambda value=value: ca.asymmetry_of_counts(*tables(1, value)), "n1i|study 3") for value in (-1, 0, 2, None)),
    (lambda: ca.asymmetry_of_counts(TABLES[0][:3], *TABLES[1:]), "one value for each study"),
    (lambda: ca.asymmetry_of_counts([0] * 4, TABLES[1], [0] * 4, TABLES[3]), "three informative tables"),
    (lambda: ca.asymmetry_of_counts([4] * 4, [10] * 4, [3] * 4, [10] * 4), "in every row"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words"), OTHER_EVIDENCE, ids=[f"{i} {pair[1]}" for i, pair in enumerate(OTHER_EVIDENCE)]
)
def test_other_evidence(call, words):
    with pytest.raises(ca.ModelError, match=words):
        call()


def test_groups_without_any_event_leave_a_note():
    found = ca.asymmetry_of_counts([0] * 4, TABLES[1], [0] * 4, TABLES[3], "arcsine")
    assert np.isnan(found.statistic)
    assert any("exactly on the fitted line" in note for note in found.notes)
