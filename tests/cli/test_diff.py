"""`catharsis diff`, `catharsis update`, `catharsis run --verify`: as a user runs them in a git checkout."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from workshop import catharsis, made, state, study

from catharsis.errors import InputErrors
from catharsis.plan.revisions import versions


def git(root, *arguments):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *name, *arguments], cwd=root, env=environment, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def edit(folder, old, new):
    table = folder / "studies.yaml"
    text = table.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    table.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A repository with two commits of an analysis, and an edit that is not committed; (root, folder)."""
    root = tmp_path_factory.mktemp("living")
    folder = made(root / "analyses" / "naps", 6)
    (root / ".gitignore").write_text("reports/*/*\n!reports/*/results.json\n.*.lock\n", encoding="utf-8")
    git(root, "init", "-q")
    done = catharsis("update", "analyses/naps", "--no-sampling", cwd=root)
    assert done.returncode == 0, done.stderr
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    edit(folder, "mean_change: 0.7", "mean_change: 2.7")
    git(root, "commit", "-qam", "second")
    edit(folder, "id: e3", "id: nap3-alert")
    return root, folder


# -- diff -----------------------------------------------------------------------------------------------


def test_a_revision_against_the_folder(checkout):
    root, _ = checkout
    before = state(root)
    done = catharsis("diff", "HEAD~1", "analyses/naps", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "HEAD~1 -> analyses/naps"
    assert any(line.strip().startswith("mean_change: 0.7 -> 2.7  (analyses/naps/studies.yaml:") for line in lines)
    assert "~ e3 -> nap3-alert (renamed)" in lines
    assert any(line.strip().startswith("estimate:") for line in lines)
    assert not any("went out" in line for line in lines)
    assert state(root) == before, "nothing is written"


def test_two_revisions(checkout):
    root, folder = checkout
    for arguments in (("HEAD~1", "HEAD", "--in", "analyses/naps"), ("HEAD~1:analyses/naps", "HEAD:analyses/naps"),
                      ("HEAD~1:analyses/naps/studies.yaml", "HEAD:analyses/naps")):  # fmt: skip
        done = catharsis("diff", *arguments, "--cells-only", "--format", "json", cwd=root)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["table"]["changed"] == {"e1": {"cells": {"mean_change": {"before": "0.7", "after": "2.7"}}}}
        assert found["results"] is None
    assert folder.is_dir()


def test_the_same_twice(checkout):
    done = catharsis("diff", "HEAD", "HEAD", "--in", "analyses/naps", cwd=checkout[0])
    assert "no cell changed; 6 effects unchanged" in done.stdout
    assert "no synthesis moved" in done.stdout


def test_a_path_that_is_not_there_is_the_one_that_is_named(checkout):
    done = catharsis("diff", "HEAD", "analyses/nap", cwd=checkout[0])
    assert done.returncode == 1
    assert done.stderr.startswith('analyses/nap: "analyses/nap" cannot be compared')


def test_a_table_alone_and_results_alone(checkout, tmp_path):
    root, folder = checkout
    other = tmp_path / "mine.yaml"
    other.write_text((folder / "studies.yaml").read_text(encoding="utf-8").replace("1.2", "1.3"), encoding="utf-8")
    done = catharsis("diff", "analyses/naps", other, "--format", "json", cwd=root)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["table"]["changed"]["e0"]["cells"]["mean_change"] == {"before": "1.2", "after": "1.3"}
    assert found["results"]["syntheses"]["nap"]["state"] == "moved"
    done = catharsis("diff", "reports/naps/results.json", "analyses/naps", "--format", "json", cwd=root)
    found = json.loads(done.stdout)
    assert found["table"] is None
    assert "estimate" in found["results"]["syntheses"]["nap"]["moved"]
    done = catharsis("diff", "HEAD:reports/naps/results.json", "reports/naps/results.json", cwd=root)
    assert "no synthesis moved" in done.stdout


def test_a_page_in_a_file(checkout, tmp_path):
    out = tmp_path / "page.html"
    done = catharsis("diff", "HEAD~1", "analyses/naps", "--format", "html", "-o", out, cwd=checkout[0])
    assert (done.returncode, done.stdout.strip()) == (0, str(out))
    assert "<h1>Do naps help?</h1>" in out.read_text(encoding="utf-8")


def test_a_version_with_errors_is_said_and_its_cells_are_compared(checkout, tmp_path):
    root, folder = checkout
    broken = tmp_path / "broken.yaml"
    text = (folder / "studies.yaml").read_text(encoding="utf-8").replace("sd_change: 2.0", "sd_change: -2.0")
    broken.write_text(text, encoding="utf-8")
    done = catharsis("diff", broken, "analyses/naps", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "sd_change: -2.0 -> 2.0" in done.stdout
    assert "note: " in done.stdout
    assert "has 1 error, so that nothing was computed from it" in done.stdout
    assert "estimate:" not in done.stdout


def test_a_revision_whose_plan_is_of_another_age(checkout, tmp_path):
    """Nobody can mend the past: its results are missing, and that is said; its cells are compared."""
    copy = tmp_path / "copy"
    git(checkout[0], "clone", "-q", str(checkout[0]), str(copy))
    plan = copy / "analyses" / "naps" / "analysis.yaml"
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("role: headline", "importance: high", 1), encoding="utf-8")
    git(copy, "commit", "-qam", "as it was written once")
    plan.write_text(text, encoding="utf-8")
    edit(copy / "analyses" / "naps", "1.2", "1.3")
    done = catharsis("diff", "HEAD", "analyses/naps", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "mean_change: 1.2 -> 1.3" in done.stdout
    assert (
        "note: HEAD has 1 error, so that nothing was computed from it; it is at HEAD:analyses/naps/analysis.yaml:"
        in done.stdout
    )


MISTAKES = {
    "no such revision": (("nope", "analyses/naps"), "nope"),
    "a revision without an analysis": (("HEAD", "HEAD"), "write REVISION:analyses/NAME"),
    "an analysis that the revision lacks": (("HEAD:analyses/doze", "analyses/naps"), "does not hold it"),
    "an option for git": (("--output=x", "analyses/naps"), "cannot be compared"),
    "nothing": (("", "analyses/naps"), "cannot be compared"),
    "a path out of the repository": (("HEAD:../../etc", "analyses/naps"), "not inside a git repository"),
    "other JSON": (("refs.json", "analyses/naps"), "not a results.json"),
    "not JSON": (("broken.json", "analyses/naps"), "not JSON"),
    "half a record": (("half.json", "analyses/naps"), "has no families:"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_in_four_parts(checkout, name, monkeypatch):
    root, _ = checkout
    monkeypatch.chdir(root)
    (root / "refs.json").write_text("[]", encoding="utf-8")
    (root / "broken.json").write_text("{", encoding="utf-8")
    (root / "half.json").write_text('{"schema": "catharsis/results@1"}', encoding="utf-8")
    arguments, says = MISTAKES[name]
    with pytest.raises(InputErrors) as found, versions(*arguments):
        pass
    (problem,) = found.value.problems
    assert says in str(problem)
    assert all((problem.what, problem.why, problem.fix))


def test_a_mistake_on_the_command_line(checkout):
    done = catharsis("diff", "--", "--output=x", "analyses/naps", cwd=checkout[0])
    assert done.returncode == 1
    assert done.stderr.startswith('--output=x: "--output=x" cannot be compared')
    assert catharsis("diff", "HEAD", cwd=checkout[0]).returncode == 2


def test_problems_of_a_revision_name_it(checkout, tmp_path):
    root, _ = checkout
    copy = tmp_path / "copy"
    git(root, "clone", "-q", str(root), str(copy))
    edit(copy / "analyses" / "naps", "outcome: alert", "outcome: asleep")
    git(copy, "commit", "-qam", "a slip")
    done = catharsis("diff", "HEAD", "HEAD~1", "--in", "analyses/naps", cwd=copy)
    assert done.returncode == 1
    assert done.stderr.startswith("HEAD:analyses/naps/studies.yaml:")
    assert "/tmp" not in done.stderr


# -- verify ---------------------------------------------------------------------------------------------


def test_verify(checkout, tmp_path):
    """Holds after the run that wrote it; says inputs and numbers when they moved; writes nothing."""
    root, _ = checkout
    copy = tmp_path / "copy"
    git(root, "clone", "-q", str(root), str(copy))
    git(copy, "checkout", "-q", "HEAD~1")
    done = catharsis("run", "analyses/naps", "--verify", cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("reports/naps/results.json holds")
    git(copy, "checkout", "-q", "-")
    before = state(copy)
    done = catharsis("run", "analyses/naps", "--verify", cwd=copy)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[0] == "inputs changed: studies.yaml"
    assert any(line.startswith("number changed: syntheses > nap > headline > estimate: ") for line in lines)
    assert "does not hold" in lines[-1]
    assert state(copy) == before
    (copy / "reports" / "naps" / "results.json").unlink()
    done = catharsis("run", "analyses/naps", "--verify", cwd=copy)
    assert done.returncode == 1
    assert "there is no such file" in done.stderr


# -- update ---------------------------------------------------------------------------------------------


def test_update(checkout, tmp_path):
    """Compares with what was committed, counts the look once, offers the correction, writes the page."""
    root, _ = checkout
    copy = tmp_path / "copy"
    git(root, "clone", "-q", str(root), str(copy))
    done = catharsis("update", "analyses/naps", "--no-sampling", cwd=copy)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "mean_change: 0.7 -> 2.7" in text
    assert "nap: 2 looks; 95 % interval" in text
    looks = json.loads((copy / "analyses" / "naps" / "looks.json").read_text(encoding="utf-8"))["looks"]
    assert len(looks) == 2
    page = (copy / "reports" / "naps" / "update.html").read_text(encoding="utf-8")
    assert "Alertness after a nap" in page
    assert "over all looks" in page
    again = catharsis("update", "analyses/naps", "--no-sampling", cwd=copy)
    assert "nap: 2 looks" in again.stdout
    edit(copy / "analyses" / "naps", "sd_change: 2.2", "sd_change: -2.2")
    kept = state(copy)
    wrong = catharsis("update", "analyses/naps", "--no-sampling", cwd=copy)
    assert wrong.returncode == 1
    assert {name: held for name, held in state(copy).items() if "lock" not in name} == {
        name: held for name, held in kept.items() if "lock" not in name
    }


def test_update_without_git(tmp_path):
    made(tmp_path / "naps", 5, studies=[study(i) for i in range(5)])
    done = catharsis("update", "naps", "--no-sampling", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no results yet -> the working tree" in done.stdout
    assert "nap: 1 look; " in done.stdout
    edit(tmp_path / "naps", "1.2", "1.4")
    done = catharsis("update", "naps", "--no-sampling", cwd=tmp_path)
    assert "reports/naps/results.json as it was -> the working tree" in done.stdout
    assert "nap: 2 looks; " in done.stdout
    assert "estimate:" in done.stdout
