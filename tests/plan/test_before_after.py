"""What a change of the inputs did to the results, from two records."""

from __future__ import annotations

import copy
import json
import math

import pytest
from workshop import ANALYSIS, ROOT, bib, made, outcome, study

from catharsis.plan.before_after import before_after
from catharsis.report.update import Update, data, move_lines, page, pair
from catharsis.studies.changes import table_changes


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Six naps; then the second is mended, the sixth withdrawn, and two are new."""
    root = tmp_path_factory.mktemp("naps")
    before = outcome(made(root / "before", 6))
    pieces = [study(i) for i in (0, 1, 2, 3, 4, 7, 8)]
    pieces[1] = study(1, "numbers: {mean_change: 2.7, sd_change: 2.1}")
    bibs = "".join(bib(i) for i in range(9))
    after = outcome(made(root / "after", 0, studies=pieces, bibs=bibs))
    return before, after


def test_nothing_moved(runs):
    found = before_after(runs[0].record, copy.deepcopy(runs[0].record))
    assert not found
    assert {move.state for move in found.syntheses} == {"same"}
    assert move_lines(found) == ["no synthesis moved"]


def test_rows_in_another_order_move_nothing(runs):
    record = runs[0].record
    turned = copy.deepcopy(record)
    for part in turned["syntheses"].values():
        part["rows"] = dict(reversed(part["rows"].items()))
    assert not before_after(record, turned)


def test_every_quantity_moves_as_the_records_say(runs):
    before, after = (run.record["syntheses"]["nap"] for run in runs)
    (move,) = before_after(runs[0].record, runs[1].record).syntheses
    assert move.state == "moved"
    assert move.joined == ("e7", "e8")
    assert move.left == ("e5",)
    quantity = move.quantities
    for name in ("estimate", "low", "high"):
        assert (quantity[name].before, quantity[name].after) == (before["headline"][name], after["headline"][name])
    assert quantity["tau"].after == pytest.approx(math.sqrt(after["frequentist"]["tau2"]))
    assert quantity["new low"].after == after["frequentist"]["prediction"]["low"]
    assert (quantity["k"].before, quantity["k"].after) == (6, 7)
    half = (before["headline"]["high"] - before["headline"]["low"]) / 2
    assert move.shift == pytest.approx(abs(after["headline"]["estimate"] - before["headline"]["estimate"]) / half)


def test_rounding_is_no_movement(runs):
    other = copy.deepcopy(runs[0].record)
    other["syntheses"]["nap"]["headline"]["estimate"] *= 1 + 1e-11
    assert not before_after(runs[0].record, other)


def test_new_and_gone(runs):
    other = copy.deepcopy(runs[0].record)
    other["syntheses"] = {"doze": other["syntheses"]["nap"]}
    found = {move.id: move for move in before_after(runs[0].record, other).syntheses}
    assert (found["doze"].state, found["nap"].state) == ("new", "gone")
    assert math.isnan(found["doze"].shift)
    assert found["nap"].left == tuple(f"e{i}" for i in range(6))


def test_a_verdict_and_an_answer_that_turn(runs):
    other = copy.deepcopy(runs[0].record)
    other["syntheses"]["nap"]["verdict"] = "unclear"
    other["families"]["alertness"]["sentence"] = "Naps are not settled."
    found = before_after(runs[0].record, other)
    (move,) = found.syntheses
    assert [name for name, one in move.quantities.items() if one.moved] == ["verdict"]
    lines = "\n".join(move_lines(found))
    assert "verdict:" in lines
    assert "above no effect -> not settled" in lines
    assert 'answer to alertness: "Naps help." -> "Naps are not settled."' in lines


def test_a_renamed_effect_neither_came_nor_went(runs):
    other = copy.deepcopy(runs[0].record)
    rows = other["syntheses"]["nap"]["rows"]
    other["syntheses"]["nap"]["rows"] = {("x" if key == "e0" else key): value for key, value in rows.items()}
    assert before_after(runs[0].record, other).syntheses[0].joined == ("x",)
    assert not before_after(runs[0].record, other, {"e0": "x"})


def test_few_samples_and_the_posterior_leads(tmp_path):
    """With three samples the Bayesian interval is the headline, and its spread and prediction go with it."""
    runs = [outcome(made(tmp_path / str(k), k)).record for k in (3, 6)]
    quantity = before_after(*runs).syntheses[0].quantities
    assert (quantity["school"].before, quantity["school"].after) == ("bayes", "frequentist")
    assert quantity["tau"].before == runs[0]["syntheses"]["nap"]["bayes"]["exact"]["tau"]["median"]


def test_moderators_are_compared_by_coefficient(tmp_path):
    analysis = ANALYSIS.replace("    scale: auto\n", '    scale: auto\n    moderators: "~ length"\n')
    pieces = [study(i, length=str(10 * i)) for i in range(12)]
    runs = [outcome(made(tmp_path / name, 12, analysis=analysis, studies=pieces[n:])) for n, name in enumerate("ab")]
    (move,) = before_after(*(run.record for run in runs)).syntheses
    assert move.quantities["estimate"].before is None
    fit = runs[0].record["syntheses"]["nap"]["frequentist"]["coefficients"]["length"]
    assert move.quantities["coefficient length"].before == fit["estimate"]
    assert any(
        line.strip().startswith("length, interval:") for line in move_lines(before_after(*(r.record for r in runs)))
    )


def test_directions_are_compared_vote_by_vote(tmp_path):
    signs = [study(i, "reported: {sign: higher}") for i in range(4)]
    other = [*signs[:3], study(3, "reported: {sign: lower}")]
    runs = [outcome(made(tmp_path / name, 4, studies=p)).record for name, p in (("a", signs), ("b", other))]
    (move,) = before_after(*runs).directions
    assert {name: (one.before, one.after) for name, one in move.quantities.items() if one.moved} == {
        "home: positive": (4, 3), "home: negative": (0, 1)
    }  # fmt: skip


def test_results_of_an_older_package_can_be_compared():
    """A record that lacks what is newer is read as far as it goes."""
    new = json.loads((ROOT / "reports" / "bcg" / "results.json").read_text(encoding="utf-8"))
    old = {"syntheses": {"risk-ratio": {"title": "x", "headline": {"estimate": -0.7}}}}
    found = before_after(old, new)
    assert found.syntheses[0].state == "moved"
    assert move_lines(found)


# -- in words -------------------------------------------------------------------------------------------


def test_numbers_are_shown_apart():
    assert pair([0.650001], [0.650002]) == (["0.650001"], ["0.650002"])
    assert pair([0.65], [0.65]) == (["0.65"], ["0.65"])


def test_ratios_are_shown_as_ratios():
    record = json.loads((ROOT / "reports" / "bcg" / "results.json").read_text(encoding="utf-8"))
    other = copy.deepcopy(record)
    other["syntheses"]["risk-ratio"]["headline"]["estimate"] = math.log(0.6)
    assert any("0.49 -> 0.60" in line for line in move_lines(before_after(record, other)))


def test_each_version_is_told_on_its_own_scale():
    """A log risk ratio of -0.71 is 0.49; a risk difference of -0.07 stays one, though the older version was a ratio."""

    def version(measure, estimate):
        headline = {"estimate": estimate, "low": estimate - 0.01, "high": estimate + 0.01, "school": "frequentist"}
        item = {"title": "A", "measure": measure, "headline": headline, "k": 5, "rows": {}}
        return {"syntheses": {"a": item}}

    text = "\n".join(move_lines(before_after(version("RR", -0.7133), version("RD", -0.07))))
    assert "0.49 -> −0.07" in text
    assert "of its margin" not in text


def test_the_page_and_the_data_say_the_same(runs):
    moves = before_after(runs[0].record, runs[1].record)
    changes = table_changes(runs[0].results.table, runs[1].results.table)
    update = Update("Do <naps> help?", "old", "new", changes, moves)
    told = data(update)
    json.dumps(told, allow_nan=False)
    assert told["results"]["syntheses"]["nap"]["moved"]["k"] == {"before": 6, "after": 7}
    assert list(told["table"]["added"]) == ["e7", "e8"]
    text = page(update)
    assert "Do &lt;naps&gt; help?" in text
    assert "Alertness after a nap" in text
    for word in ("e7", "e5", "mean_change", "2.7"):
        assert word in text
    assert "<script" not in text
