"""A few kills each day; `make torture` makes 200."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kill
import pytest

from catharsis.files import locked, write_atomically
from catharsis.report import exchange

PROGRAM = Path(kill.__file__)


@pytest.mark.slow
def test_kills_leave_the_old_or_the_new():
    """In a process of its own: a fork of the test runner would carry its threads along."""
    chosen = ["--kills", "10"]
    for name in ("report", "add with its reference", "import a table"):
        chosen += ["--command", name]
    done = subprocess.run([sys.executable, PROGRAM, *chosen], capture_output=True, encoding="utf-8",
                          check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "10 kills, 0 wrong"


def test_every_command_that_writes_is_killed():
    """A new command that writes belongs in the list; those that only read are named here."""
    from catharsis.cli.main import app

    names = {info.name or info.callback.__name__ for info in app.registered_commands}
    reading = {"check", "cite", "diff"}  # diff --out writes one file like export --out
    assert names - reading - {command.arguments[0] for command in kill.COMMANDS.values()} == set()


# -- the instruments ------------------------------------------------------------------------------------


def test_a_mixture_is_seen():
    old, new = {"a": b"1", "reports/x": b"1", "reports/y": b"1"}, {"a": b"2", "reports/x": b"2", "reports/y": b"2"}
    assert kill.wrongs(old, old, new) == kill.wrongs(new, old, new) == []
    assert kill.wrongs({**old, "a": b"3"}, old, new) == ["a"]
    assert kill.wrongs({**old, "b": b""}, old, new) == ["b"]
    assert kill.wrongs({**old, "reports/x": b"2"}, old, new) == ["reports/ is a mixture of old and new"]


# -- a folder that is replaced -------------------------------------------------------------------------


def put(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def ours(name):
    return not name.startswith("notes")


@pytest.mark.parametrize("can_swap", [True, False])
def test_a_folder_is_replaced_and_what_is_not_ours_stays(tmp_path, monkeypatch, can_swap):
    if not can_swap:
        monkeypatch.setattr(exchange, "_swapped", lambda *_: False)
    out = tmp_path / "out"
    put(out, page_html="old", tables__a_csv="old", manifest_json="old", notes_txt="by hand", notes__b_txt="by hand")
    with exchange.beside(out) as fresh:
        put(fresh, page_html="new", figures__c_svg="new", manifest_json="new")
        exchange.exchange(fresh, out, "manifest.json", ours)
    assert names(out) == ["figures/c.svg", "manifest.json", "notes.txt", "notes/b.txt", "page.html"]
    assert (out / "page.html").read_text() == "new"
    assert (out / "notes.txt").read_text() == "by hand"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_where_folders_cannot_change_places_the_manifest_comes_last(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "_swapped", lambda *_: False)
    written = []
    real = write_atomically
    monkeypatch.setattr(exchange, "write_atomically", lambda path, data: written.append(path.name) or real(path, data))
    out = tmp_path / "out"
    put(out, a_txt="old", manifest_json="old")
    with exchange.beside(out) as fresh:
        put(fresh, manifest_json="new", z_txt="new")
        exchange.exchange(fresh, out, "manifest.json", ours)
    assert written == ["z.txt", "manifest.json"]
    assert names(out) == ["manifest.json", "z.txt"]


def test_leavings_of_the_dead_are_cleared_and_those_of_the_living_are_not(tmp_path):
    out = tmp_path / "out"
    put(tmp_path / ".out.dead.part", a="x")
    put(tmp_path / ".outer.dead.part", a="x")
    with exchange.beside(out) as fresh:
        assert not (tmp_path / ".out.dead.part").exists()
        code = "import sys; from pathlib import Path; from catharsis.report.exchange import clear_leavings\n"
        code += "clear_leavings(Path(sys.argv[1]))"
        source = str(Path(exchange.__file__).parents[2])
        done = subprocess.run([sys.executable, "-c", code, str(out)], env={"PYTHONPATH": source}, check=True)
        assert done.returncode == 0
        assert fresh.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".outer.dead.part"]


def test_a_link_stays_a_link(tmp_path):
    from workshop import made

    import catharsis as ca

    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    results = ca.run(made(tmp_path / "naps", 2), sample=False)
    results.render(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "index.html").exists()


def test_a_writer_clears_what_a_killed_one_left(tmp_path):
    path = tmp_path / "studies.yaml"
    (tmp_path / ".studies.yaml.x1y2.part").write_text("half")
    (tmp_path / ".other.yaml.x1y2.part").write_text("half")
    with locked(path):
        write_atomically(path, "whole\n")
    left = {found.name for found in tmp_path.iterdir()} - {".studies.yaml.lock"}
    assert left == {"studies.yaml", ".other.yaml.x1y2.part"}
