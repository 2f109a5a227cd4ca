"""Write files so that a reader sees the old or the new one whatever happens, and one writer at a time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catharsis.errors import At, InputError, InputErrors

PATIENCE = 30.0  # seconds to wait for another writer
HOUR = 3600.0  # seconds; what a writer without the lock has not finished by then, it never will


def write_atomically(path: str | Path, content: str | bytes) -> None:
    r"""Replace a file in one step: a temporary file beside it, flushed to the disk, then renamed.

    A link is followed and the permissions are kept. Text is written as UTF-8 with its line ends as they are.

    Parameters
    ----------
    path : str or Path
        The file; its folder exists.
    content : str or bytes
        What it shall hold.

    Raises
    ------
    InputErrors
        When the folder cannot be written to; the old file is untouched then.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "a.yaml", "n: 12\n")
    >>> (folder / "a.yaml").read_text(), [p.name for p in folder.iterdir()]
    ('n: 12\n', ['a.yaml'])
    """
    target = Path(path).resolve()
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        _clear(target, older=HOUR)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)
    except OSError as problem:
        raise refused(path, problem) from None


def _umask() -> int:
    """The process' mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows: the rename is durable without
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refused(path: str | Path, problem: OSError) -> InputErrors:
    """What is said when the system does not let us write."""
    return InputErrors(
        [
            InputError(
                At(Path(path).as_posix()),
                f"the file cannot be written ({problem.strerror or problem})",
                "the change could not be kept, and the old file is untouched",
                "check that the folder exists, may be written to, and that the disk has room",
                "unwritable-file",
            )
        ]
    )


@contextmanager
def locked(path: str | Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a file against other writers from before it is read until after it is written.

    The lock is the operating system's, so that a process that dies lets go of it.

    Parameters
    ----------
    path : str or Path
        The file to be changed; the lock lies beside it as ".NAME.lock".
    patience : float
        Seconds to wait for another writer.

    Raises
    ------
    InputErrors
        When another process holds it for longer, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    target = Path(path).resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise InputErrors(
            [
                InputError(
                    At(Path(path).as_posix()),
                    f"another process has been changing the file for {patience:g} seconds",
                    "two writers at once would lose one of the changes",
                    "wait for it to end, then try again",
                    "locked-file",
                )
            ]
        ) from None
    except OSError as problem:
        raise refused(path, problem) from None
    try:
        _clear(target)
        yield
    finally:
        lock.release()


def _clear(target: Path, older: float = 0.0) -> None:
    """Delete what killed writers of this file left: who holds its lock is the only writer, and none takes hours."""
    for path in target.parent.iterdir():
        if path.name.startswith(f".{target.name}.") and path.name.endswith(".part") and path.is_file():
            with suppress(FileNotFoundError):  # another writer was quicker
                if time.time() - path.stat().st_mtime >= older:
                    path.unlink()
