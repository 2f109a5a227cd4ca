"""Several writers of one analysis at the same moment: nothing is lost, and no reader sees a part."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import together

from catharsis.errors import InputErrors
from catharsis.files import locked, write_atomically


def test_six_writers_at_once_lose_nothing():
    """In a process of its own: a fork of the test runner would carry its threads along."""
    arguments = [sys.executable, together.__file__, "--rounds", "1", "--writers", "2"]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "1 rounds of 6 writers at once, 0 wrong"


COUNT = """import sys
from catharsis.files import locked, write_atomically
from pathlib import Path
path = Path(sys.argv[1])
for _ in range(40):
    with locked(path):
        write_atomically(path, str(int(path.read_text()) + 1))
"""


def test_counting_under_the_lock(tmp_path):
    """Four processes and two threads count to 240 together, while a reader sees only whole numbers."""
    path = tmp_path / "count.txt"
    path.write_text("0")
    source = str(Path(sys.modules[InputErrors.__module__].__file__).parents[1])
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNT, str(path)], env={"PYTHONPATH": source}) for _ in range(4)
    ]

    def count():
        for _ in range(40):
            with locked(path):
                write_atomically(path, str(int(path.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    seen = [0]
    while any(process.poll() is None for process in processes):
        seen.append(int(path.read_text()))
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * 4
    assert path.read_text() == "240"
    assert seen == sorted(seen)


def test_a_lock_that_is_held_too_long_is_told(tmp_path):
    path = tmp_path / "studies.yaml"
    program = "import sys, time; from catharsis.files import locked\n"
    program += "with locked(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)\n"
    source = str(Path(sys.modules[InputErrors.__module__].__file__).parents[1])
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], env={"PYTHONPATH": source}, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputErrors, match="another process has been changing the file"), locked(path, patience=0.1):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(path, patience=5):  # the lock of a dead process is free
        pass
