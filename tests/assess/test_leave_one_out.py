"""Leave-one-out by effect and by group, and cumulative fits."""

import numpy as np
import pandas as pd
import pytest

import catharsis as ca
from catharsis.errors import ModelError
from catharsis.models.deletion import subset_blocks

Y = np.array([-0.89, -1.59, -1.35, -1.44, -0.22, -0.79, -1.62, 0.01, -0.47])
V = np.array([0.326, 0.195, 0.415, 0.020, 0.051, 0.007, 0.223, 0.004, 0.056])
STUDY = list("aabbbccdd")
FRAME = pd.DataFrame({"yi": Y, "vi": V, "study": STUDY, "x": [1.0, 2, 1, 3, 5, 2, 4, 4, 1]}, index=list("pqrstuvwx"))
COLUMNS = ["estimate", "se", "statistic", "df", "p", "low", "high", "QE", "QE_p", "tau2", "I2", "H2"]


def check(row, model, term=0):
    low, high = model.interval()
    expected = [
        model.beta[term], model.se[term], model.statistic[term], model.df, model.pvalues.iloc[term], low[term],
        high[term], model.QE.statistic, model.QE.p, model.tau2, model.I2, model.H2,
    ]  # fmt: skip
    np.testing.assert_allclose(row[COLUMNS].to_numpy(float), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("method", "test"), [("REML", "knha"), ("EE", "z"), ("DL", "adhoc"), ("ML", "t")])
def test_by_effect(method, test):
    frame = ca.fit("yi ~ 1", data=FRAME, method=method, test=test).leave_one_out()
    assert frame.index.tolist() == list("pqrstuvwx")
    for label in frame.index:
        check(frame.loc[label], ca.fit("yi ~ 1", data=FRAME.drop(label), method=method, test=test))
    assert frame.attrs["notes"] == ()


def test_by_group():
    frame = ca.fit("yi ~ 1", data=FRAME).leave_one_out(by=FRAME["study"])
    assert frame.index.tolist() == list("abcd")
    assert frame.index.name == "study"
    for study in "abcd":
        check(frame.loc[study], ca.fit("yi ~ 1", data=FRAME[FRAME["study"] != study]))


def test_with_moderators_there_is_a_row_for_each_term():
    frame = ca.fit("yi ~ x", data=FRAME).leave_one_out()
    assert frame.index.names == ["effect", "term"]
    for label in FRAME.index:
        model = ca.fit("yi ~ x", data=FRAME.drop(label))
        for j, term in enumerate(["intercept", "x"]):
            check(frame.loc[(label, term)], model, j)


@pytest.mark.parametrize("random", ["study", "study/effect"])
@pytest.mark.parametrize("dfs", ["residual", "contain"])
def test_dependent_effects_are_fitted_again(random, dfs):
    data = FRAME.assign(effect=range(9))
    V_blocks = ca.sampling_covariance(V, STUDY, 0.4)
    model = ca.fit("yi ~ 1", data=data, random=random, V=V_blocks, test="t", df=dfs)
    for by, drop in ((None, "r"), ("study", 2), (STUDY, "b")):
        frame = model.leave_one_out(by)
        kept = data.drop("r") if by is None else data[data["study"] != "b"]
        again = ca.sampling_covariance(kept["vi"], kept["study"], 0.4)
        without = ca.fit("yi ~ 1", data=kept, random=random, V=again, test="t", df=dfs)
        row = frame.loc[drop]
        np.testing.assert_allclose(
            row[["estimate", "se", "df", "low", "QE", "tau2", "I2"]].to_numpy(float),
            [without.beta[0], without.se[0], without.df, without.interval()[0][0], without.QE.statistic, without.tau2,
             without.I2],
            rtol=1e-6,
        )  # fmt: skip


def test_a_subset_keeps_the_structure():
    model = ca.fit("yi ~ 1", data=FRAME, random="study", V=ca.sampling_covariance(V, STUDY, 0.4))
    keep = np.array([True, False, True, True, True, False, False, True, True])
    part = subset_blocks(model.blocks, keep)
    assert sorted(row for stack in part.stacks for row in stack.rows.ravel().tolist()) == list(range(6))
    np.testing.assert_array_equal(part.y, Y[keep])
    direct = ca.fit(
        "yi ~ 1", data=FRAME[keep], random="study", V=ca.sampling_covariance(V[keep], np.array(STUDY)[keep], 0.4)
    )
    from catharsis.likelihood.marginal import moments

    theta = np.array([0.3])
    assert moments(part, theta).rss() == pytest.approx(moments(direct.blocks, theta).rss())


def test_a_deletion_that_removes_a_level_is_noted():
    data = FRAME.assign(where=["north"] * 5 + ["south"] * 4)
    frame = ca.fit("yi ~ where", data=data).leave_one_out(by=["one"] * 5 + ["two"] * 2 + ["three"] * 2)
    assert frame.loc["one"].isna().all(axis=None)
    assert frame.loc["two"].notna().all(axis=None)
    assert frame.attrs["notes"] == (
        "without one the remaining effects do not determine every coefficient (only it has a level of a moderator, or "
        "too few effects remain), so no fit is given",
    )
    data = data.assign(effect=range(9))
    multilevel = ca.fit("yi ~ where", data=data, random="study").leave_one_out(by=["one"] * 5 + ["two"] * 4)
    assert multilevel.isna().all(axis=None)


def test_cumulative_is_the_fit_to_the_first_effects():
    year = [2004, 2001, 2009, 2001, 2000, 2011, 2003, 2002, 2010]
    frame = ca.cumulative(ca.fit("yi ~ 1", data=FRAME), order=year)
    order = np.argsort(year, kind="stable")
    assert frame.index.tolist() == [FRAME.index[i] for i in order]
    for n in range(2, 10):
        check(frame.iloc[n - 1], ca.fit("yi ~ 1", data=FRAME.iloc[order[:n]]))
    first = frame.iloc[0]
    assert first[["estimate", "tau2", "QE", "I2", "H2"]].tolist() == [Y[4], 0, 0, 0, 1]
    assert first["se"] == pytest.approx(np.sqrt(V[4]))
    collapsed = ca.cumulative(ca.fit("yi ~ 1", data=FRAME), order=year, collapse=True)
    assert collapsed.index.tolist() == sorted(set(year))
    pd.testing.assert_series_equal(collapsed.loc[2001], frame.iloc[2], check_names=False)


def test_cumulative_waits_until_the_moderators_are_determined():
    frame = ca.cumulative(ca.fit("yi ~ x", data=FRAME), order=FRAME["x"])
    assert frame["estimate"].isna().to_numpy().reshape(9, 2).all(axis=1).tolist() == [True] * 3 + [False] * 6
    assert frame.attrs["notes"] == ("the first 3 steps do not determine every coefficient, so no fit is given",)


MODEL = ca.fit("yi ~ 1", data=FRAME)
WRONG = [
    (lambda: MODEL.leave_one_out("study"), '"study" is not a random factor of this model: there is nothing to choose '
     "from; or give one label for each effect"),
    (lambda: MODEL.leave_one_out(["a", "b"]), "by has 2 labels for 9 effects"),
    (lambda: MODEL.leave_one_out(["a"] * 8 + [None]), "by is missing for 1 of 9 effects (x): give each effect a label"),
    (lambda: MODEL.leave_one_out(["a"] * 9), "leaving out the only group leaves nothing to fit; there must be two at "
     "least"),
    (lambda: ca.cumulative(MODEL, order=[1, 2]), "order has 2 values for 9 effects"),
    (lambda: ca.cumulative(MODEL, order=[*range(8), float("nan")]), "order is missing for 1 of 9 effects (x)"),
    (lambda: ca.cumulative(MODEL, order=[*range(8), "x"]), "order holds values of several kinds that cannot be "
     "compared; use numbers or dates"),
    (lambda: ca.cumulative(MODEL, collapse=True), "collapse adds the effects with the same value of order together; "
     "give order"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_what_is_refused(call, words):
    with pytest.raises(ModelError) as problem:
        call()
    assert str(problem.value) == words
