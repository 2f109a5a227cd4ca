"""Is a file always whole, and does one writer wait for the other?"""

import multiprocessing
import os
from pathlib import Path

import pytest

from catharsis.errors import InputErrors
from catharsis.files import locked, write_atomically


def test_links_and_permissions_are_kept(tmp_path):
    real = tmp_path / "real.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    write_atomically(link, "new\r\n")
    assert real.read_bytes() == b"new\r\n"
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(InputErrors, match="cannot be written"):
        write_atomically(tmp_path / "none" / "a.yaml", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputErrors, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.yaml"]


def _count(path: str) -> None:
    for _ in range(25):
        with locked(path):
            write_atomically(path, str(int(Path(path).read_text()) + 1))


def test_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "n"
    path.write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(str(path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert path.read_text() == "75"


def test_impatience_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    with locked(path), pytest.raises(InputErrors, match="another process"), locked(path, patience=0.05):
        pass
