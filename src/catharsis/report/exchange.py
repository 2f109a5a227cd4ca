"""A whole folder replaced in one step: made beside the old one, flushed, then the two change places.

Whatever kills the process, a reader finds the old folder or the new one. Linux and macOS can let two folders change
places (renameat2 with RENAME_EXCHANGE, renamex_np with RENAME_SWAP). Where the system or the disk cannot, the files
are replaced one by one and the manifest last, so that a broken exchange is seen by the hashes and made good by the
next run. What a dead process left beside the folder is cleared by the next writer; it knows the dead from the living
by a lock that the system lets go of.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from catharsis.files import write_atomically

if sys.platform == "win32":  # nothing to lock a folder with: nothing is cleared then
    fcntl = None
else:
    import fcntl

Ours = Callable[[str], bool]  # whether a file, by its path inside the folder, may be replaced or deleted

HERE = -100  # AT_FDCWD of <fcntl.h>: paths are relative to the working directory
SWAP = 2  # RENAME_EXCHANGE of <linux/fs.h>, RENAME_SWAP of <sys/stdio.h> on macOS


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """An empty folder next to `folder`, gone at the end; leavings of processes that died are cleared first.

    Parameters
    ----------
    folder : Path
        The folder to be replaced; it need not exist, the one above it does.

    Yields
    ------
    Path
        ".NAME.xxxxxxxx.part".

    Examples
    --------
    >>> home = Path(tempfile.mkdtemp())
    >>> with beside(home / "out") as fresh:
    ...     _ = (fresh / "a.txt").write_text("new")
    ...     exchange(fresh, home / "out", "a.txt", lambda name: True)
    >>> [path.relative_to(home).as_posix() for path in sorted(home.rglob("*"))]
    ['out', 'out/a.txt']
    """
    with _alone(folder.parent):
        _clear(folder)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        alive = _hold(fresh, wait=False)
    try:
        fresh.chmod(0o755)  # mkdtemp makes folders that only their owner may open
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        _let_go(alive)


def clear_leavings(folder: Path) -> None:
    """Delete what processes that were killed left beside a folder; those that live are let be."""
    folder = folder.resolve()
    if folder.parent.is_dir():
        with _alone(folder.parent):
            _clear(folder)


def _clear(folder: Path) -> None:
    for path in folder.parent.iterdir():
        if path.name.startswith(f".{folder.name}.") and path.name.endswith(".part") and _dead(path):
            shutil.rmtree(path, ignore_errors=True)


def exchange(fresh: Path, folder: Path, last: str, ours: Ours) -> None:
    """Put the new folder where the old one stands; files of the old one that are not ours come along.

    Parameters
    ----------
    fresh : Path
        The new folder.
    folder : Path
        Where it shall stand.
    last : str
        The file that vouches for the others, written last where files are replaced one by one.
    ours : callable
        Whether a file of the old folder may go.
    """
    with _alone(folder.parent):
        old = {} if not folder.is_dir() else {p.relative_to(folder).as_posix(): p for p in _files(folder)}
        for name, path in old.items():
            if not ours(name) and not (fresh / name).exists() and not path.name.endswith((".part", ".lock")):
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, fresh / name, follow_symlinks=False)
        _flush(fresh)
        if not folder.exists():
            fresh.rename(folder)
        elif not _swapped(fresh, folder):
            _one_by_one(fresh, folder, last, [path for name, path in old.items() if ours(name)])
        _flush_one(folder.parent)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _swapped(fresh: Path, folder: Path) -> bool:
    """Let two folders change places in one step; False where that cannot be done."""
    one, other = os.fsencode(fresh), os.fsencode(folder)
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        return rename is not None and rename(HERE, one, HERE, other, SWAP) == 0
    if sys.platform == "darwin":
        return bool(ctypes.CDLL(None, use_errno=True).renamex_np(one, other, SWAP) == 0)
    return False


def _one_by_one(fresh: Path, folder: Path, last: str, old: list[Path]) -> None:
    """Each file in one step, the one that vouches for the others last; what the new folder lacks goes before it."""
    new = {path.relative_to(fresh).as_posix(): path for path in _files(fresh)}
    for name in sorted(new, key=lambda name: name == last):
        if name == last:
            for path in old:
                if path.relative_to(folder).as_posix() not in new:
                    path.unlink(missing_ok=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, new[name].read_bytes())
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


# -- flushing and locking ------------------------------------------------------------------------------


def _flush(folder: Path) -> None:
    """Everything in a folder to the disk, so that no rename is durable before what it names."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            _flush_one(path)
    _flush_one(folder)


def _flush_one(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time in a folder, for the moments in which it clears, makes and exchanges."""
    handle = _hold(folder, wait=True)
    try:
        yield
    finally:
        _let_go(handle)


def _hold(folder: Path, wait: bool) -> int | None:
    """Lock a folder itself, so that no lock file is left; None where the system cannot, or another process holds it."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held by another process, or a disk without locks
        os.close(handle)
        return None
    return handle


def _let_go(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _dead(path: Path) -> bool:
    """Whether nobody makes this folder any more."""
    if not path.is_dir() or path.is_symlink():
        return False
    handle = _hold(path, wait=False)
    _let_go(handle)
    return handle is not None
