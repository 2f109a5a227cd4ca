"""Which rows without numbers enter, and as what."""

import pytest

from catharsis.effects.partial import partial_rows
from catharsis.errors import At, InputErrors
from catharsis.studies.table import Row

BOUNDS = {
    "kind": "bounds", "test": "one-sample", "n": 28, "sign": -1, "significant": True, "alpha": 0.05, "sided": 2,
    "contrast": "after", "phase": "soon", "overlap_group": "g1",
}  # fmt: skip


def row(name="lee", **cells):
    kept = {key: value for key, value in (BOUNDS | cells).items() if value is not None}
    return Row({"effect": name, **kept}, {}, At("studies.yaml", 7))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({}, ""),
        ({"kind": "estimate"}, "it reports numbers"),
        ({"kind": "none"}, "it reports nothing usable"),
        ({"exclude": "retracted"}, "excluded: retracted"),
        ({"kind": "direction", "sign": 0}, "no difference without a verdict is not n.s.; it enters sign tests only"),
        ({"kind": "bounds", "sign": 0, "significant": False}, ""),
        ({"test": "unstated"},
         "its test is not stated, and only one-sample and two-sample tests fix a standardised effect"),
        ({"test": "regression"},
         "its test is of the kind regression, and only one-sample and two-sample tests fix a standardised effect"),
        ({"test": "two-sample"}, "the sizes of its two groups are not stated"),
        ({"n": None}, "the number of people is not stated"),
    ],
)  # fmt: skip
def test_what_enters(cells, why):
    found = partial_rows([row(**cells)], "standardised")
    assert found.left_out == ({"lee": why} if why else {})
    assert len(found) == (not why)


def test_a_correlation_enters_on_its_own_scale():
    assert len(partial_rows([row(test="correlation")], "correlation")) == 1
    assert len(partial_rows([row(test="correlation")], "standardised")) == 0
    assert len(partial_rows([row()], "raw")) == 0


def test_readings():
    found = partial_rows(
        [row("sig"), row("ns", significant=False, sign=0, overlap_group="g2"),
         row("sign", kind="direction", sign=1, significant=None, alpha=None, sided=None, overlap_group="g3")],
        "standardised",
    )  # fmt: skip
    reported, signs = found.records("reported"), found.records("sign")
    assert [record["kind"] for record in reported] == ["bounds", "bounds", "direction"]
    assert [record["kind"] for record in signs] == ["direction", "bounds", "direction"]
    assert reported[0] == {
        "label": "sig", "sample": "g1", "design": "one-sample", "sign": -1, "n": 28, "kind": "bounds",
        "verdict": "sig", "alpha": 0.05, "sided": 2,
    }  # fmt: skip
    assert "verdict" not in signs[0]
    assert "alpha" not in signs[0]


@pytest.mark.parametrize("column", ["contrast", "phase"])
def test_one_contrast_and_one_phase(column):
    rows = [row("lee"), row("kim", overlap_group="g2", **{column: "another"})]
    with pytest.raises(InputErrors, match=f"kim has the {column} another, while lee"):
        partial_rows(rows, "standardised")
