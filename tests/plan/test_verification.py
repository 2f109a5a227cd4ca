"""Committed results against a fresh run: inputs, deterministic numbers, sampled numbers, code."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from workshop import ROOT, made, outcome

from catharsis.bayes.posterior import of_draws
from catharsis.plan.inputs import code_hash, file_hashes, input_hash, inputs_hash
from catharsis.plan.record import DIGITS, number
from catharsis.plan.record import _marginal as posterior_marginal
from catharsis.plan.spec import read_plan
from catharsis.plan.verification import SIGMAS, verify


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("naps") / "analyses" / "naps", 8)


@pytest.fixture(scope="module")
def record(folder):
    return outcome(folder).record


def changed(record, *path, value):
    """A copy of a record with another value at a place."""
    other = copy.deepcopy(record)
    part = other
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value(part[path[-1]]) if callable(value) else value
    return other


ESTIMATE = ("syntheses", "nap", "frequentist", "coefficients", "intercept", "estimate")


def test_a_fresh_run_holds(folder, record):
    found = verify(record, outcome(folder).record)
    assert found.holds
    assert not found.code
    assert (found.inputs, found.differences, found.sampled, found.unchecked) == ((), (), 0, 0)
    assert found.exact > 200
    assert found.words > 50


def test_a_number_in_its_last_digit_does_not(record):
    """Two units of the tenth digit are a change; one is a tie that another machine rounds the other way."""
    unit = 10.0 ** (math.floor(math.log10(record["syntheses"]["nap"]["headline"]["estimate"])) - DIGITS + 1)
    assert verify(record, changed(record, *ESTIMATE, value=lambda x: x + unit)).holds
    found = verify(record, changed(record, *ESTIMATE, value=lambda x: x + 2 * unit))
    assert not found.holds
    (one,) = found.differences
    assert (one.kind, one.place) == ("exact", " > ".join(ESTIMATE))


def test_a_word_does_not(record):
    found = verify(record, changed(record, "syntheses", "nap", "verdict", value="unclear"))
    assert [(one.kind, one.committed, one.fresh) for one in found.differences] == [("words", "positive", "unclear")]


def test_a_number_that_became_nothing_or_text_does_not(record):
    for value in (None, "0.5", True):
        assert [one.kind for one in verify(record, changed(record, *ESTIMATE, value=value)).differences] == ["words"]


def test_a_row_that_is_gone_is_one_difference(record):
    other = copy.deepcopy(record)
    del other["syntheses"]["nap"]["rows"]["e3"]
    (one,) = verify(record, other).differences
    assert (one.place, one.committed, one.fresh) == ("syntheses > nap > rows > e3", "there", None)
    (one,) = verify(other, record).differences
    assert (one.committed, one.fresh) == (None, "there")


def test_other_code_alone_is_no_failure(record):
    found = verify(record, changed(record, "code", "sha256", value="0" * 64))
    assert found.code
    assert found.holds


def test_other_inputs_are_named(record, folder, tmp_path):
    other = made(tmp_path / "analyses" / "naps", 8)
    table = other / "studies.yaml"
    table.write_text(table.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    found = verify(record, outcome(other).record)
    assert found.inputs == ("studies.yaml",)
    assert found.differences == ()
    assert not found.holds, "the hash of the inputs is exact"
    (other / "refs" / "more.bib").write_text("", encoding="utf-8")
    assert verify(record, outcome(other).record).inputs == ("studies.yaml", "refs/more.bib")


# -- sampled numbers ------------------------------------------------------------------------------------


def sampled(mean, mcse):
    """A record with one sampled and one exact number."""
    marginal = {"mean": mean, "sd": 0.2, "mcse": mcse, "mcse_of": {"sd": 0.001}}
    bayes = {"exact": {"tau": {"mean": 0.3}}, "nuts": {"tau": marginal, "diagnostics": {"rhat": 1.0}}}
    return {"sampled": True, "inputs": {"files": {}}, "syntheses": {"nap": {"bayes": bayes}}}


def test_sampled_numbers_may_move_by_their_error():
    near, far = (0.3 + times * SIGMAS * math.hypot(0.01, 0.01) for times in (0.99, 1.01))
    assert verify(sampled(0.3, 0.01), sampled(near, 0.01)).holds
    found = verify(sampled(0.3, 0.01), sampled(far, 0.01))
    (one,) = found.differences
    assert (one.kind, one.place) == ("sampled", "syntheses > nap > bayes > nuts > tau > mean")
    assert one.distance == pytest.approx(1.01 * SIGMAS)
    assert (found.exact, found.sampled) == (1, 2)


def test_without_the_sampler_they_are_counted_as_unchecked():
    fresh = sampled(0.3, 0.01)
    fresh["sampled"] = False
    fresh["syntheses"]["nap"]["bayes"]["nuts"] = None
    found = verify(sampled(0.3, 0.01), fresh)
    assert found.holds
    assert (found.exact, found.sampled, found.unchecked) == (1, 0, 3)


def test_a_sampled_number_without_an_error_is_not_called_checked():
    old = sampled(0.3, 0.01)
    del old["syntheses"]["nap"]["bayes"]["nuts"]["tau"]["mcse_of"]
    found = verify(old, copy.deepcopy(old))
    assert (found.sampled, found.unchecked) == (1, 1)


def test_every_sampled_number_is_recorded_with_its_error():
    """Fifty pairs of chains of a correlated process: hardly any number is 4 errors of the difference apart."""
    rng = np.random.default_rng(3)

    def draws():
        noise = rng.normal(size=(4, 500))
        for i in range(1, 500):
            noise[:, i] += 0.6 * noise[:, i - 1]
        return of_draws(0.5 + noise, 0.95)

    outside = counted = 0
    for _ in range(50):
        records = [{"bayes": {"nuts": {"tau": posterior_marginal(draws(), True, 0.95)}}} for _ in range(2)]
        found = verify(*records)
        assert (found.sampled, found.unchecked) == (6, 0)
        counted += found.sampled
        outside += len(found.differences)
    assert counted == 300
    assert outside <= 2
    never = posterior_marginal(of_draws(5 + rng.normal(size=(4, 500)), 0.95), True, 0.95)
    assert (never["positive"], never["mcse_of"]["positive"]) == (1.0, 1 / 2000)


# -- hashes ---------------------------------------------------------------------------------------------


def test_inputs_and_code_are_hashed_apart(folder, tmp_path):
    plan = read_plan(folder)
    assert list(file_hashes(plan)) == ["analysis.yaml", "studies.yaml", "refs/all.bib"]
    assert len({inputs_hash(plan), code_hash(), input_hash(plan, True), input_hash(plan, False)}) == 4
    again = made(tmp_path / "elsewhere", 8)
    assert inputs_hash(read_plan(again)) == inputs_hash(plan), "the place of the folder does not count"
    table = again / "studies.yaml"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    assert inputs_hash(read_plan(again)) == inputs_hash(plan), "line ends do not count"
    table.write_bytes(table.read_bytes().replace(b"mean_change: 1.2", b"mean_change: 1.3"))
    assert inputs_hash(read_plan(again)) != inputs_hash(plan)


def test_recorded_digits():
    assert number(2 / 3) == 0.6666666667
    assert number(1e-14, spread=0.1) == 0.0
    assert str(number(-1e-20, spread=1.0)) == "0.0"
    assert number(123456.7890123) == 123456.789
    assert (number(math.inf), number(math.nan), number(None)) == (None, None, None)
    assert number(1.7e-300) == 1.7e-300


# -- the committed results ------------------------------------------------------------------------------


def test_a_record_holds_no_time_no_path_and_no_line(record, folder):
    text = json.dumps(record)
    assert str(folder) not in text
    assert "studies.yaml:" not in text


OLD_MACHINE = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott",
               "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"}  # fmt: skip


def test_another_machine_gives_the_same_digits(folder, record):
    """Other BLAS kernels, numpy loops without AVX, two threads: every recorded number is the same."""
    code = "import json, sys; import catharsis as ca; from catharsis.plan.record import record; "
    code += "print(json.dumps(record(ca.run(sys.argv[1], sample=False))))"
    environment = {**os.environ, **OLD_MACHINE, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert verify(record, json.loads(done.stdout)).holds


@pytest.mark.parametrize("name", ["bcg", "crying"])
def test_the_committed_results_hold(name, request):
    """What `catharsis run --verify --no-sampling` asks; the server runs it with the sampler, too."""
    committed = json.loads((ROOT / "reports" / name / "results.json").read_text(encoding="utf-8"))
    fresh = request.getfixturevalue("crying").record if name == "crying" else outcome(ROOT / "analyses" / name).record
    found = verify(committed, fresh)
    assert found.inputs == (), f"renew reports/{name}/results.json: make update ANALYSIS={name}"
    assert found.differences == (), f"renew reports/{name}/results.json: make update ANALYSIS={name}"
    assert found.exact > 700
