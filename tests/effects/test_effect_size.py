"""What `effect_size` does at its edges: columns, options, zero cells, notes and messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from catharsis.effects.measures import MEASURES, effect_size
from catharsis.errors import ModelError

TABLE: dict[str, Any] = {"ai": [0, 5, 3], "bi": [10, 5, 7], "ci": [0, 2, 6], "di": [10, 8, 4]}
GROUPS: dict[str, Any] = {"m1": [5.0], "sd1": [2.0], "n1": [20], "m2": [4.0], "sd2": [2.0], "n2": [20]}


def test_the_frame_is_kept_and_columns_are_found_by_name() -> None:
    data = pd.DataFrame({"r": [0.1, 0.2], "people": [20, 30], "who": ["a", "b"]}, index=["x", "y"])
    found = effect_size("ZCOR", data=data, n="people")
    assert list(found.columns) == ["r", "people", "who", "yi", "vi"]
    assert list(found.index) == ["x", "y"]
    assert_allclose(found["vi"], [1 / 17, 1 / 27])


def test_metafors_spelling_is_the_same() -> None:
    plain = effect_size("SMD", **GROUPS)
    theirs = effect_size("SMD", **{f"{name}i": values for name, values in GROUPS.items()})
    in_frame = effect_size("SMD", data=pd.DataFrame({f"{name}i": values for name, values in GROUPS.items()}))
    assert plain.equals(theirs)
    assert in_frame["yi"].equals(plain["yi"])


def test_each_row_goes_the_first_way_that_it_can() -> None:
    nothing = np.nan
    found = effect_size(
        "SMD", m1=[1, nothing, nothing, nothing], sd1=[1, nothing, nothing, nothing],
        m2=[0.5, nothing, nothing, nothing],
        sd2=[1, nothing, nothing, nothing], d=[9, 0.5, nothing, nothing], t=[9, 9, 0.5 * np.sqrt(5), nothing],
        n1=[10] * 4, n2=[10] * 4,
    )  # fmt: skip
    assert_allclose(found["yi"][:3], found["yi"][0])
    assert found["yi_note"].tolist() == ["", "", "", "a number is missing"]


def test_columns_that_were_not_named_do_not_fill_in() -> None:
    """A column p beside missing means is not the t test's p for this outcome, with the effect's sign."""
    data = pd.DataFrame({**GROUPS, "p": [0.01]}).assign(m1=np.nan)
    assert effect_size("SMD", data=data)["yi"].isna().all()
    assert effect_size("SMD", data=data, p="p")["yi"].notna().all()
    only = pd.DataFrame({"d": [0.5], "n1": [9], "n2": [9]})
    assert effect_size("SMD", data=only)["yi"].notna().all()


def test_f_and_its_sign() -> None:
    found = effect_size("SMD", F=[4, 4], sign=[-1, 1], n1=[20, 20], n2=[20, 20])
    assert_allclose(found["yi"], effect_size("SMD", t=[-2, 2], n1=[20, 20], n2=[20, 20])["yi"])
    assert_allclose(effect_size("ZCOR", F=[4], sign=[-1], n=[20])["yi"], effect_size("ZCOR", t=[-2], n=[20])["yi"])
    assert_allclose(effect_size("SMCC", F=[4], sign=[-1], n=[20])["yi"], effect_size("SMCC", t=[-2], n=[20])["yi"])


# ----------------------------------------------------------------------------------------------------- zero cells
def test_zero_cells() -> None:
    found = effect_size("OR", ai=[0, 1], bi=[10, 9], ci=[5, 2], di=[5, 8])
    assert_allclose(found["yi"], [np.log(0.5 * 5.5 / (10.5 * 5.5)), np.log(8 / 18)])
    assert found["yi_note"].tolist() == ["0.5 was added to the cells: one is 0", ""]
    assert np.isfinite(effect_size("RR", ai=[0], bi=[10], ci=[0], di=[10])[["yi", "vi"]].to_numpy()).all()
    assert effect_size("RD", ai=[0], bi=[10], ci=[0], di=[10])["vi"][0] > 0
    assert_allclose(effect_size("PLO", xi=[0, 7], ni=[7, 7])["yi"], [-np.log(15), np.log(15)])


def test_where_the_constant_goes() -> None:
    touched = {
        to: [bool(note) for note in effect_size("OR", **TABLE, to=to).get("yi_note", [""] * 3)]
        for to in ("only0", "all", "if0all")
    }
    assert touched == {"only0": [True, False, False], "all": [True] * 3, "if0all": [True] * 3}
    none = effect_size("OR", **TABLE, to="none")
    assert none["yi"].isna().tolist() == [True, False, False]
    assert none["yi_note"][0] == "OR is not defined for these numbers"
    no_zero = {name: values[1:] for name, values in TABLE.items()}
    assert "yi_note" not in effect_size("OR", **no_zero, to="if0all")
    assert_allclose(effect_size("OR", **no_zero, to="if0all")["yi"], effect_size("OR", **no_zero)["yi"])


def test_tables_without_information_are_left_out_on_request() -> None:
    found = effect_size("OR", **TABLE, drop00=True)
    assert found["yi"].isna().tolist() == [True, False, False]
    assert found["yi_note"][0] == "left out: no group differs in having events (drop00)"
    rates = effect_size("IRR", x1=[0, 1], x2=[0, 0], t1=[5, 5], t2=[5, 5], drop00=True)
    assert rates["yi"].isna().tolist() == [True, False]
    # a table left out is no reason to fill the others
    left = {name: [values[0], values[1]] for name, values in TABLE.items()}
    assert_allclose(effect_size("OR", **left, drop00=True, to="if0all")["yi"][1], np.log(8 / 2))


def test_measures_that_need_nothing_get_nothing() -> None:
    for code in ("AS", "PHI", "RTET"):
        assert MEASURES[code].add == 0
    assert_allclose(effect_size("AS", ai=[0], bi=[9], ci=[0], di=[9])["yi"], 0)
    assert_allclose(effect_size("IRS", xi=[0], ti=[9])["yi"], 0)


# ----------------------------------------------------------------------------------------- undefined, and why not
@pytest.mark.parametrize(
    ("code", "cells", "note"),
    [
        ("SMD", {**GROUPS, "n1": [1], "n2": [1]}, "SMD is not defined for these numbers"),
        ("SMD", {**GROUPS, "sd1": [0.0], "sd2": [0.0]}, "SMD is not defined for these numbers"),
        ("SMD", {**GROUPS, "m1": [np.nan]}, "a number is missing"),
        ("SMD1", {**GROUPS, "n2": [2]}, "SMD1 is not defined for these numbers"),
        ("ROM", {**GROUPS, "m1": [-1.0]}, "ROM is not defined for these numbers"),
        ("CVR", {**GROUPS, "m1": [-1.0], "m2": [-1.0]}, "CVR is not defined for these numbers"),
        ("MNLN", {"m": [-1.0], "sd": [1.0], "n": [9]}, "MNLN is not defined for these numbers"),
        ("ZCOR", {"r": [1.0], "n": [9]}, "ZCOR is not defined for these numbers"),
        ("ZCOR", {"r": [0.5], "n": [3]}, "the variance of ZCOR is not defined for these numbers"),
        ("COR", {"r": [0.5], "n": [3]}, "the variance of COR is not defined for these numbers"),
        ("UCOR", {"r": [0.5], "n": [4]}, "UCOR is not defined for these numbers"),
        ("ZBIS", {"d": [9.0], "n1": [9], "n2": [9]}, "ZBIS is not defined for these numbers"),
        ("PHI", {"ai": [0], "bi": [9], "ci": [0], "di": [9]}, "PHI is not defined for these numbers"),
        ("PETO", {"ai": [0], "bi": [9], "ci": [0], "di": [9], "add": 0}, "PETO is not defined for these numbers"),
        ("SPCOR", {"t": [9.0], "n": [20], "m": [2], "r2": [0.05]},
         "the variance of SPCOR is not defined for these numbers"),
        ("MPORM", {"ai": [30], "bi": [10], "ci": [5], "di": [35], "r": [0.9]},
         "the variance of MPORM is not defined for these numbers"),
    ],
)  # fmt: skip
def test_what_is_not_defined_is_missing_with_a_reason(code: str, cells: dict[str, Any], note: str) -> None:
    found = effect_size(code, **cells)
    assert found["vi"].isna().all()
    assert found["yi"].isna().all() or note.startswith("the variance")
    assert found["yi_note"].tolist() == [note]


def test_equal_means_have_an_effect_of_zero() -> None:
    for code in ("MD", "SMD", "SMDH", "SMD1", "SMD1H", "RPB", "RBIS", "ZPB", "ZBIS", "D2ORN", "D2ORL"):
        found = effect_size(code, **{name: GROUPS[name] for name in GROUPS} | {"m2": [5.0]})
        assert found["yi"][0] == 0
        assert found["vi"][0] > 0


def test_notes_do_not_pile_up_on_a_frame() -> None:
    data = pd.DataFrame({"xi": [0], "ni": [9]})
    once = effect_size("PLO", data=data)
    again = effect_size("PAS", data=once)
    assert "yi_note" in once
    assert "yi_note" not in again


# --------------------------------------------------------------------------------------------------------- messages
@pytest.mark.parametrize(
    ("code", "cells", "message"),
    [
        ("ZCORR", {}, 'there is no measure "ZCORR": did you mean "ZCOR"?'),
        ("ZCOR", {"r": [0.1], "k": [3]},
         "ZCOR does not take k; it needs r, n, or t, n, or p, n, or F, sign, n"),
        ("ZCOR", {"r": [0.1]}, 'n is to come from column "n": there is nothing to choose from'),
        ("ZCOR", {"r": [0.1, 0.2], "n": [10]}, "the arguments have unequal lengths"),
        ("ZCOR", {"r": [0.1], "ri": [0.1], "n": [10]}, "ri is given twice: r and ri are the same"),
        ("ZCOR", {"r": ["high"], "n": [10]}, 'r holds "high", which is not a number: leave missing cells empty (nan)'),
        ("ZCOR", {"r": [0.1, -1.2], "n": [10, 10]}, "r is -1.2 in row 1: it lies between -1 and 1"),
        ("ZCOR", {"r": [0.1], "n": [0]}, "n is 0 in row 0: it is above 0"),
        ("ZCOR", {"r": [np.inf], "n": [9]}, "r is inf in row 0: it is finite"),
        ("ZCOR", {"p": [0.0], "n": [9]}, "p is 0 in row 0: it is to be exact, between 0 and 1, with the effect's sign"),
        ("ZCOR", {"p": [-1.0], "n": [9]},
         "p is -1 in row 0: it is to be exact, between 0 and 1, with the effect's sign"),
        ("ZCOR", {"F": [-4.0], "sign": [1], "n": [9]}, "F is -4 in row 0: it cannot be negative"),
        ("ZCOR", {"F": [4.0], "sign": [0], "n": [9]}, "sign is 0 in row 0: it is -1 or 1"),
        ("SMD", {**GROUPS, "sd1": [-2.0]}, "sd1 is -2 in row 0: it cannot be negative"),
        ("OR", {"ai": [-1], "bi": [1], "ci": [1], "di": [1]}, "ai is -1 in row 0: it cannot be negative"),
        ("OR", {"ai": [11], "n1": [10], "ci": [1], "n2": [10]}, "ai is 11 in row 0: it is at most n1"),
        ("PLO", {"xi": [11], "ni": [10]}, "xi is 11 in row 0: it is at most ni"),
        ("ABT", {"ai": [1.2], "mi": [5], "ni": [50]}, "ai is 1.2 in row 0: it is at most 1"),
        ("ABT", {"ai": [0.9], "mi": [1], "ni": [50]}, "mi is 1 in row 0: it needs 2 items or more"),
        ("R2", {"r2": [1.2], "n": [50], "m": [2]}, "r2 is 1.2 in row 0: it lies between 0 and 1"),
        ("SMD", {**GROUPS, "vtype": "ST"}, 'vtype "ST" is not known for SMD: it has LS, LS2, UB, AV'),
        ("COR", {"r": [0.1], "n": [9], "vtype": "UB"}, 'vtype "UB" is not known for COR: it has LS, AV'),
        ("MC", {"mean_change": [1], "sd_change": [1], "n": [9], "vtype": "UB"},
         'vtype "UB" is not known for MC: it has one kind of variance only'),
        ("SMD", {**GROUPS, "vtype": ["LS", "UB"]}, "vtype has 2 values for 1 rows: give one, or one per row"),
        ("SMD", {**GROUPS, "add": 0.5}, "SMD is not computed from counts: it takes none of add, to and drop00"),
        ("OR", {**TABLE, "to": "some"}, 'to is "some": use one of: only0, all, if0all, none'),
        ("OR", {**TABLE, "add": -1}, "add is -1: what is added to counts is 0 or above"),
    ],
)  # fmt: skip
def test_wrong_use(code: str, cells: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        effect_size(code, **cells)
    assert str(caught.value) == message


def test_rows_are_named_by_the_frames_index() -> None:
    data = pd.DataFrame({"r": [0.1, 2, 3], "n": [9, 9, 9]}, index=["lee", "kim", "cho"])
    with pytest.raises(ModelError, match="r is 2 in row kim, cho: it lies between -1 and 1"):
        effect_size("COR", data=data)
