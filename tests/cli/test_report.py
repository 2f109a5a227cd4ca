"""`catharsis report`: files, lines on the terminal, exit codes, and a second run that has nothing to do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from workshop import ROOT, catharsis, copy_of, made, state, study

from catharsis.errors import CatharsisError


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The flagship, copied and reported once: (root, the finished process, seconds)."""
    root = tmp_path_factory.mktemp("living")
    copy_of("crying", root)
    start = time.perf_counter()
    done = catharsis("report", "analyses/crying", "--no-sampling", cwd=root)
    return root, done, time.perf_counter() - start


def test_the_first_run(first):
    root, done, _ = first
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [
        "Mood: k = 5, +0.65 [0.38 to 0.92]. People remember feeling better.",
        "Oxytocin: k = 0, no estimate. No study found has measured it.",
        "Body: k = 0, no estimate. Signs in both directions, no sizes.",
        "reports/crying/index.html",
    ]
    out = root / "reports" / "crying"
    assert (out / "index.html").stat().st_size > 100_000
    assert {path.name for path in out.iterdir()} == {"index.html", "results.json", "manifest.json", "tables", "figures"}
    assert [path.name for path in (root / "reports").iterdir()] == ["crying"], "nothing is left beside it"


def test_the_manifest_names_every_file_with_its_hash(first):
    out = first[0] / "reports" / "crying"
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == found
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert manifest["reportable"] is True
    assert manifest["problems"] == []


def test_a_second_run_has_nothing_to_do(first):
    """It says so, prints the same lines, touches nothing, and takes a fraction of the time."""
    root, done, seconds = first
    before = state(root)
    start = time.perf_counter()
    again = catharsis("report", "analyses/crying", "--no-sampling", cwd=root)
    took = time.perf_counter() - start
    assert again.returncode == 0
    assert again.stdout == "reports/crying: nothing changed since the last run\n" + done.stdout
    assert again.stderr == ""
    assert state(root) == before
    assert took < 0.67 * seconds, (took, seconds)  # worst seen 0.4; reading the bibliography is most of it


def test_results_are_the_same_when_computed_again(first):
    """Everything but what names the run is reproduced to the byte."""
    root, *_ = first
    done = catharsis("run", "analyses/crying", "--no-sampling", "--force", "--out", "again", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "again/results.json"
    for name in ("results.json", "index.html", "tables/estimates.csv", "figures/mood-forest.svg"):
        assert (root / "again" / name).read_bytes() == (root / "reports" / "crying" / name).read_bytes(), name


# -- what makes a run necessary: a tiny analysis, in this process -------------------------------------


@pytest.fixture
def naps(tmp_path, monkeypatch):
    """A made analysis of three studies, reported once in this process."""
    from catharsis.cli.report import make

    made(tmp_path / "naps", 3)
    monkeypatch.chdir(tmp_path)

    def report(**options):
        usual = {"sample": False, "force": False, "show": "index.html"}
        return make(tmp_path / "naps", tmp_path / "out", **{**usual, **options})

    assert report() == 0
    return tmp_path, report


def runs(capsys):
    """Whether the last report was computed."""
    return "nothing changed" not in capsys.readouterr().out


def test_one_number_makes_it_run_again(naps, capsys):
    folder, report = naps
    capsys.readouterr()
    assert report() == 0
    assert not runs(capsys)
    old = state(folder / "out")
    path = folder / "naps" / "studies.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("mean_change: 0.7", "mean_change: 0.8"), encoding="utf-8")
    assert report() == 0
    assert runs(capsys)
    assert state(folder / "out")["results.json"] != old["results.json"]


CHANGES = {
    "a deleted table": lambda root: (root / "out" / "tables" / "nap.csv").unlink(),
    "a deleted page": lambda root: (root / "out" / "index.html").unlink(),
    "an edited page": lambda root: (root / "out" / "index.html").write_text("x"),
    "a broken manifest": lambda root: (root / "out" / "manifest.json").write_text("{"),
    "a manifest that is a list": lambda root: (root / "out" / "manifest.json").write_text("[]"),
    "a deleted folder": lambda root: shutil.rmtree(root / "out"),
    "a word of the plan": lambda root: edit(root / "naps" / "analysis.yaml", "Naps help.", "Naps do help."),
    "an author": lambda root: edit(root / "naps" / "refs" / "all.bib", "Napper, NA.", "Nopper, NA."),
    "a comment": lambda root: edit(root / "naps" / "studies.yaml", "studies:", "# a comment\nstudies:"),
    "another bibliography": lambda root: (root / "naps" / "refs" / "b.bib").write_text("@misc{x, title = {X}}\n"),
    "a renamed bibliography": lambda root: (root / "naps/refs/all.bib").rename(root / "naps/refs/z.bib"),
}


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("name", CHANGES)
def test_what_else_makes_it_run_again(naps, capsys, name):
    folder, report = naps
    CHANGES[name](folder)
    capsys.readouterr()
    assert report() == 0
    assert runs(capsys)
    assert (folder / "out" / "tables" / "nap.csv").exists()
    assert report() == 0
    assert not runs(capsys)


def test_force_and_sampling_make_it_run_again(naps, capsys):
    _, report = naps
    capsys.readouterr()
    assert report(force=True) == 0
    assert runs(capsys)


def test_touching_a_file_without_changing_it_is_no_change(naps, capsys):
    folder, report = naps
    capsys.readouterr()
    os.utime(folder / "naps" / "studies.yaml")
    assert report() == 0
    assert not runs(capsys)


def test_what_stood_in_the_folder_is_replaced_as_a_whole(naps):
    folder, report = naps
    edit(folder / "naps" / "analysis.yaml", "id: nap\n", "id: siesta\n")
    assert report() == 0
    names = {path.name for path in (folder / "out").rglob("*")}
    assert "siesta.csv" in names
    assert "nap.csv" not in names
    assert sorted(path.name for path in folder.iterdir()) == ["naps", "out"]


def test_a_failure_while_writing_leaves_the_old_report(naps, monkeypatch):
    folder, report = naps
    before = state(folder / "out")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("catharsis.report.write._put", full)
    edit(folder / "naps" / "studies.yaml", "mean_change: 0.7", "mean_change: 0.8")
    with pytest.raises(CatharsisError, match="No space left"):
        report()
    assert state(folder / "out") == before
    assert sorted(path.name for path in folder.iterdir()) == ["naps", "out"]


# -- finished, but not reportable -------------------------------------------------------------------


@pytest.fixture
def bad_sampler(monkeypatch):
    """A sampler that returns the exact posterior with diagnostics of our choice."""
    from catharsis.bayes.fit import fit_bayes
    from catharsis.bayes.posterior import Diagnostics
    from catharsis.plan import run

    class Draws:
        """What the report asks of InferenceData."""

        def groups(self):
            return ["posterior"]

        def to_netcdf(self, path, groups):
            open(path, "wb").close()

    def choose(**changes):
        good = {"rhat": 1.001, "ess_bulk": 4e3, "ess_tail": 4e3, "divergences": 0, "ebfmi": 1.0, "sampler": "made"}
        diagnostics = Diagnostics(**{**good, **changes})

        def fit(*arguments, engine="exact", draws=0, chains=0, seed=0, **options):
            found = fit_bayes(*arguments, **options)
            if engine == "exact":
                return found
            return dataclasses.replace(found, engine="nuts", diagnostics=diagnostics, inference_data=Draws())

        monkeypatch.setattr(run, "fit_bayes", fit)

    return choose


PROBLEMS = {
    "R-hat is 1.050": {"rhat": 1.05},
    "R-hat is nan": {"rhat": float("nan")},
    "the effective sample size is 120": {"ess_tail": 120.0},
    "3 transitions diverged": {"divergences": 3},
    "E-BFMI is 0.10": {"ebfmi": 0.1},
}


@pytest.mark.parametrize("words", PROBLEMS)
def test_a_sampler_problem_is_exit_code_3(naps, bad_sampler, capsys, words):
    """Written, marked, and nothing Bayesian is said; the second run remembers it."""
    folder, report = naps
    bad_sampler(**PROBLEMS[words])
    for _ in range(2):
        capsys.readouterr()
        assert report(sample=True) == 3
        assert f"not reportable: nap: {words}" in capsys.readouterr().out
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "These results are not reportable." in page
    assert words in page
    assert "No Bayesian statement is made." in page
    assert "Posterior mean" not in page
    assert "Bayes, quadrature" not in page
    data = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    assert data["reportable"] is False
    assert data["syntheses"]["nap"]["headline"]["school"] == "frequentist"


def test_a_good_sampler_is_exit_code_0(naps, bad_sampler):
    folder, report = naps
    bad_sampler()
    assert report(sample=True) == 0
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "agrees with them within" in page
    assert (folder / "out" / "posteriors" / "nap.nc").exists()


def test_engines_that_disagree_are_not_reportable(naps, monkeypatch, capsys):
    from catharsis.bayes.fit import fit_bayes
    from catharsis.bayes.posterior import Diagnostics
    from catharsis.plan import run

    _, report = naps

    def fit(*arguments, engine="exact", draws=0, chains=0, seed=0, **options):
        found = fit_bayes(*arguments, **options)
        if engine == "exact":
            return found
        off = dataclasses.replace(found.tau, mean=found.tau.mean + 5 * 0.01, mcse=0.01)
        fine = Diagnostics(1.0, 4e3, 4e3, 0, 1.0, "made")
        return dataclasses.replace(found, engine="nuts", tau=off, diagnostics=fine)

    monkeypatch.setattr(run, "fit_bayes", fit)
    monkeypatch.setattr("catharsis.report.write._posteriors", lambda *_: None)
    assert report(sample=True) == 3
    assert "the engines differ by 5.0 Monte Carlo standard errors in the mean of tau" in capsys.readouterr().out


def test_an_analysis_may_ask_for_no_sampling(tmp_path, monkeypatch):
    from catharsis.cli.report import make
    from catharsis.plan import run

    folder = made(tmp_path / "naps", 0, studies=[study(i) for i in range(2)])
    path = folder / "analysis.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "bayes: {sample: false}\n", encoding="utf-8")
    engines = []
    real = run.fit_bayes
    monkeypatch.setattr(run, "fit_bayes", lambda *a, **o: engines.append(o.get("engine", "exact")) or real(*a, **o))
    assert make(folder, tmp_path / "out", sample=True, force=False, show="index.html") == 0
    assert set(engines) == {"exact"}


def test_the_default_folder_is_reports_name(tmp_path):
    made(tmp_path / "somewhere" / "naps", 2)
    done = catharsis("report", "somewhere/naps/", "--no-sampling", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "reports/naps/index.html"
    assert (tmp_path / "reports" / "naps" / "index.html").exists()


def test_the_second_analysis_uses_the_same_commands(tmp_path):
    copy_of("bcg", tmp_path)
    done = catharsis("report", "analyses/bcg", "--no-sampling", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("Tuberculosis: k = 13, 0.49 [0.34 to 0.70]")
    assert (ROOT / "analyses" / "bcg").is_dir()


# -- nobody's files are lost -------------------------------------------------------------------------

PRECIOUS = {
    "the analysis itself": "naps",
    "the folder above the analysis": ".",
    "a folder with other files": "holiday",
    "a file": "letter.txt",
}


@pytest.mark.parametrize("name", PRECIOUS)
def test_only_an_older_report_is_replaced(tmp_path, monkeypatch, name):
    """A target that is no report of ours is refused in words, and nothing is touched."""
    from catharsis.cli.report import make

    root = tmp_path / "home"
    made(root / "naps", 2)
    (root / "holiday").mkdir()
    for path in ("holiday/photo.jpg", "letter.txt"):
        (root / path).write_text("precious", encoding="utf-8")
    monkeypatch.chdir(root)
    before = state(tmp_path)
    with pytest.raises((CatharsisError, SystemExit)):
        make(Path("naps"), Path(PRECIOUS[name]), sample=False, force=False, show="index.html")
    assert state(tmp_path) == before


def test_the_command_refuses_too(tmp_path):
    made(tmp_path / "naps", 2)
    before = state(tmp_path)
    done = catharsis("report", "naps", "--no-sampling", "--out", "naps", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "naps" in done.stderr
    assert "Traceback" not in done.stderr
    assert state(tmp_path) == before


def test_an_empty_folder_may_be_the_target(tmp_path):
    from catharsis.cli.report import make

    made(tmp_path / "naps", 2)
    (tmp_path / "out").mkdir()
    assert make(tmp_path / "naps", tmp_path / "out", sample=False, force=False, show="index.html") == 0
    assert (tmp_path / "out" / "index.html").exists()
