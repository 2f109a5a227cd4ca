"""Damaged files: what was found before, and a few new ones each day; `make torture` fires many thousands."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from mutations import EDITS, HOWS, mutated, random_edits
from targets import CORPUS, SECONDS, TARGETS, Hang, fire, prepared, within

FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file())
FEW = settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One prepared analysis per target."""
    return {name: prepared(tmp_path_factory.mktemp(name), target) for name, target in TARGETS.items()}


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_stays_mended(folders, path):
    target = TARGETS[path.parent.name]
    assert fire(target, folders[target.name], path.read_bytes()) in ("read", "refused")


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_sound(folders, name):
    """At least one of them is read without a complaint: mutants of nonsense would only test the first refusal."""
    assert any(fire(TARGETS[name], folders[name], seed) == "read" for seed in TARGETS[name].seeds())


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(folders, name):
    target = TARGETS[name]
    seeds = target.seeds()

    @FEW
    @given(EDITS)
    def damage(edits):
        seed = seeds[edits[0][1] % len(seeds)]
        fire(target, folders[name], mutated(seed, edits, target.tokens, seeds[0]))

    damage()


# -- the instruments themselves ------------------------------------------------------------------------


def test_a_hang_is_seen_even_in_a_regular_expression():
    import re

    start = time.process_time()
    with pytest.raises(Hang), within(0.2):
        re.fullmatch("(a|aa)+b", "a" * 60)
    assert time.process_time() - start < SECONDS


def test_a_hang_is_seen_even_when_everything_is_caught():
    def stubborn():
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    with pytest.raises(Hang), within(0.1):
        stubborn()


def test_a_traceback_is_a_find_and_so_is_a_warning(folders):
    def broken(_):
        raise KeyError("x")

    def loud(_):
        warnings.warn("x", stacklevel=1)

    for read, found in ((broken, KeyError), (loud, UserWarning)):
        with pytest.raises(found):
            fire(dataclasses.replace(TARGETS["yaml"], read=read), folders["yaml"], b"")


def test_every_way_to_damage_a_file_changes_some_file():
    source, data = random.Random(1), TARGETS["yaml"].seeds()[0]
    changed = {how for how in HOWS for _ in range(5) if mutated(data, [(how, *_three(source))], ("x",), b"yy") != data}
    assert changed == set(HOWS)
    assert len({mutated(data, random_edits(source), ("x",), b"yy") for _ in range(50)}) > 40


def _three(source):
    return tuple(source.randrange(2**31) for _ in range(3))


def test_the_long_run_says_what_it_did():
    """The command behind `make torture`, with few inputs."""
    program = Path(__file__).parent / "fuzz.py"
    arguments = [sys.executable, program, "--inputs", "30", "--target", "yaml", "--target", "bib"]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "30 inputs, 0 kinds of finds"
