"""Kill the command at any moment and look at what is left: `python tests/torture/kill.py --kills 200`.

A server that has loaded everything forks a child for each kill, so that a kill costs the work and not the imports.
Half of the kills come by the clock, drawn over the duration of the command; the other half come at the n-th time
that the command touches the disk (an audit hook counts opens for writing, renames, deletions, locks), so that every
gap between two steps of writing is hit.

After each kill: every file is the old or the new one; a report is the old or the new one as a whole; the same command
run again works and ends where the first would have ended; nothing is left beside.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "plan")]

DISK = (
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "tempfile.mkstemp",
    "tempfile.mkdtemp", "shutil.rmtree", "shutil.copyfile", "fcntl.flock", "fcntl.lockf", "ctypes.dlsym",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

Tree = dict[str, bytes]


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes
    ----------
    arguments : tuple of str
        As on the command line, in a folder with the analysis "naps".
    before : callable
        Makes the folder as it is when the command begins.
    again : tuple of int
        Exit codes that the same command may have when it had already finished.
    stdin : bytes
        What comes in.
    locks : bool
        Whether it holds a lock and so may clear at once what the dead left; without, only an hour later.
    """

    arguments: tuple[str, ...]
    before: Callable[[Path], None]
    again: tuple[int, ...] = (0,)
    stdin: bytes = b""
    locks: bool = True


# -- the commands --------------------------------------------------------------------------------------

NEW_STUDY = """\
cite: nap4
label: Nap 4
year: 2004
evidence: direct
samples:
  - id: s4
    place: home
    n: 44
    effects:
      - id: e4
        outcome: alert
        numbers: {mean_change: 1.4, sd_change: 2.4}
        source: {where: table 1, kind: primary-fulltext, checked: yes}
"""
NEW_REFERENCE = b"@article{nap9, author = {Napper, Z.}, title = {Naps again}, journal = {Sleep}, year = {2009}}\n"
NEW_RIS = "TY  - JOUR\nAU  - Napper, Zoe\nTI  - Naps once more\nPY  - 2019\nJO  - Sleep\nER  - \n"
NEW_ROWS = """\
cite,label,place,effect,n,mean_change,sd_change
nap3,Nap 3,home,e3a,50,1.25,2.10
nap5,Nap 5,work,e5a,61,0.90,2.00
"""
READER = """\
schema: catharsis/studies@1
studies:
  - cite: nap0
    label: Nap 0
    year: 2000
    evidence: direct
    outcome: alert
    place: home
    source: {where: table 1, kind: primary-fulltext, checked: yes}
    samples:
      - id: s0
        n: 40
        effects:
          - id: e0
            numbers: {mean_change: %s, sd_change: 2.0}
"""


def _naps(root: Path) -> None:
    """An analysis of three studies, with a comment and a bibliography that knows more."""
    from workshop import bib, made

    made(root / "naps", 3, bibs="".join(bib(i) for i in range(6)))
    table = root / "naps" / "studies.yaml"
    table.write_text("# kept by hand\n" + table.read_text(encoding="utf-8"), encoding="utf-8")


def _reported(root: Path) -> None:
    """The same, reported, and changed since; a note lies in the folder of the report."""
    _naps(root)
    assert _quietly(root, ("report", "naps", "--no-sampling")) == 0
    (root / "reports" / "naps" / "notes.txt").write_text("by hand\n", encoding="utf-8")
    table = root / "naps" / "studies.yaml"
    changed = table.read_text(encoding="utf-8").replace("mean_change: 0.7", "mean_change: 0.8")
    table.write_text(changed, encoding="utf-8")


def _committed(root: Path) -> None:
    """The same in a repository that holds the older report."""
    _naps(root)
    assert _quietly(root, ("report", "naps", "--no-sampling")) == 0
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *step], check=True, capture_output=True)
    table = root / "naps" / "studies.yaml"
    changed = table.read_text(encoding="utf-8").replace("mean_change: 0.7", "mean_change: 0.8")
    table.write_text(changed, encoding="utf-8")


def _crooked(root: Path) -> None:
    """The analysis, laid out by somebody in a hurry."""
    _naps(root)
    table = root / "naps" / "studies.yaml"
    crooked = (
        table.read_text(encoding="utf-8").replace("numbers: {mean", "numbers:   { mean").replace("n: 41", "n:   41")
    )
    table.write_text(crooked, encoding="utf-8")


def _with(**files: str) -> Callable[[Path], None]:
    """The analysis, and files beside it that the command reads ("study_yaml" is study.yaml)."""

    def before(root: Path) -> None:
        _naps(root)
        for name, text in files.items():
            (root / name.replace("_", ".")).write_text(text, encoding="utf-8")

    return before


COMMANDS = {
    "report, the first": Command(("report", "naps", "--no-sampling"), _naps),
    "report": Command(("report", "naps", "--no-sampling"), _reported),
    "run": Command(("run", "naps", "--no-sampling"), _reported),
    "run --force": Command(("run", "naps", "--no-sampling", "--force"), _reported),
    "add": Command(("add", "naps", "--from", "study.yaml"), _with(study_yaml=NEW_STUDY), again=(1,)),
    "add with its reference": Command(
        ("add", "naps", "--from", "study.yaml", "--bibtex"),
        _with(study_yaml=NEW_STUDY.replace("nap4", "nap9")), again=(1,), stdin=NEW_REFERENCE,
    ),
    "import references": Command(("import", "naps", "new.ris"), _with(new_ris=NEW_RIS)),
    "import a table": Command(
        ("import", "naps", "rows.csv", "--outcome", "alert", "--set", "evidence=direct"), _with(rows_csv=NEW_ROWS)
    ),
    "reconcile": Command(
        ("reconcile", "a.yaml", "b.yaml", "--into", "naps/studies.yaml", "--by", "C", "--take", "b"),
        _with(a_yaml=READER % "1.2", b_yaml=READER % "1.4"), again=(0, 1),
    ),
    "duplicates --link": Command(
        ("duplicates", "naps", "--link", "nap5=nap4", "--by", "A", "--why", "one work"), _naps, again=(0, 1)
    ),
    "format": Command(("format", "naps/studies.yaml"), _crooked),
    "update": Command(("update", "naps", "--no-sampling"), _committed),
    "schema": Command(("schema", "naps"), _naps),
    "export": Command(("export", "naps", "--format", "csv", "--out", "table.csv"), _naps, locks=False),
}  # fmt: skip


# -- one child -----------------------------------------------------------------------------------------


def _quietly(root: Path, arguments: tuple[str, ...], stdin: bytes = b"") -> int:
    """Run the command in this process; its exit code."""
    from catharsis.cli.main import main

    old, sys.argv = os.getcwd(), ["catharsis", *arguments]
    os.chdir(root)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        os.chdir(old)
    return 0


def _child(root: Path, command: Command, die_at: int | None, told: int | None = None) -> int:
    """Fork: run the command, count what it does to the disk, die at the given count; the child's process id."""
    child = os.fork()
    if child:
        return child
    count = 0

    def hook(event: str, details: tuple[object, ...]) -> None:
        nonlocal count
        if event in DISK or (event == "open" and isinstance(details[2], int) and details[2] & WRITING):
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    code = 70
    try:
        code = _quietly(root, command.arguments, command.stdin)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        if told is not None:
            os.write(told, str(count).encode())
        os._exit(code)


def finished(root: Path, command: Command) -> tuple[int, int, float]:
    """Exit code, how often the disk was touched, and seconds of a run that nobody kills."""
    ear, mouth = os.pipe()
    start = time.perf_counter()
    child = _child(root, command, None, mouth)
    os.close(mouth)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = os.read(ear, 20)
    os.close(ear)
    return code, int(said or 0), time.perf_counter() - start


def killed(root: Path, command: Command, delay: float | None, die_at: int | None) -> bool:
    """Run and kill; whether the kill came before the end."""
    child = _child(root, command, die_at)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


# -- what is left --------------------------------------------------------------------------------------


def tree(root: Path) -> Tree:
    """Every file that means something: locks and unfinished temporary files are no content."""
    return {
        name: path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _stray(name := path.relative_to(root).as_posix())
    }


def _stray(name: str) -> bool:
    return any(part.startswith(".") and part.endswith((".part", ".lock")) for part in name.split("/"))


def strays(root: Path) -> list[str]:
    """Temporary files and folders that are left over."""
    return [path.relative_to(root).as_posix() for path in root.rglob(".*.part")]


def put(root: Path, state: Tree) -> None:
    """Make the folder be as it was."""
    shutil.rmtree(root)
    for name, data in state.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def wrongs(now: Tree, old: Tree, new: Tree) -> list[str]:
    """Files that are neither old nor new, and reports that are a mixture."""
    found = [name for name in {*now, *old, *new} if now.get(name) not in (old.get(name), new.get(name))]
    reports = [{name: data for name, data in state.items() if _of_report(name)} for state in (now, old, new)]
    if reports[0] not in reports[1:]:
        found.append("reports/ is a mixture of old and new")
    return sorted(found)


def _of_report(name: str) -> bool:
    """Whether a file belongs to the report as a whole; the update page is written after it, from what git holds."""
    return name.startswith("reports/") and not name.endswith("update.html")


def torture(name: str, kills: int, source: random.Random) -> tuple[Counter[str], list[str]]:
    """Kill one command many times; how each ended, and what went wrong."""
    command, ends, wrong = COMMANDS[name], Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "home"
        root.mkdir()
        command.before(root)
        old = tree(root)
        code, touches, seconds = finished(root, command)
        new = tree(root)
        if code != 0 or new == old or strays(root):
            return ends, [f"without a kill: exit code {code}, changed {new != old}, strays {strays(root)}"]
        for i in range(kills):
            put(root, old)
            by_clock = i % 2 == 0
            delay, die_at = (
                (source.uniform(0, 1.05 * seconds), None) if by_clock else (None, source.randint(1, touches))
            )
            in_time = killed(root, command, delay, die_at)
            now = tree(root)
            end = "old" if now == old else "new" if now == new else "between"
            ends[end if in_time else "finished"] += 1
            found = wrongs(now, old, new)
            code, *_ = finished(root, command)
            if end == "new" and code in command.again:
                code = 0
            if code != 0 or tree(root) != new or (command.locks and strays(root)):
                found.append(f"the next run: exit code {code}, arrives {tree(root) == new}, strays {strays(root)}")
            when = (
                f"{delay:.3f} s of {seconds:.3f}" if by_clock and delay is not None else f"touch {die_at} of {touches}"
            )
            wrong += [f"{name}, killed at {when}: {what}" for what in found]
    return ends, wrong


def load(commands: Iterable[Command]) -> None:
    """Everything that the commands import, so that children need not: each kind runs once, here."""
    with tempfile.TemporaryDirectory() as folder:
        for command in {command.arguments[0]: command for command in commands}.values():
            root = Path(tempfile.mkdtemp(dir=folder))
            command.before(root)
            _quietly(root, command.arguments, command.stdin)


def main() -> int:
    """Exit code 1 when a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", choices=COMMANDS, action="append")
    chosen = parser.parse_args()
    names, source, found, total = chosen.command or list(COMMANDS), random.Random(chosen.seed), [], Counter[str]()
    load(COMMANDS[name] for name in names)
    for position, name in enumerate(names):
        share = chosen.kills // len(names) + (position < chosen.kills % len(names))
        start = time.perf_counter()
        ends, wrong = torture(name, share, source)
        total += ends
        found += wrong
        print(
            f"{name}: {share} kills, {dict(ends)}, {len(wrong)} wrong, {time.perf_counter() - start:.0f} s", flush=True
        )
        for line in wrong:
            print(" ", line)
    print(f"{total.total()} kills, {len(found)} wrong")
    return 1 if found or total.total() < chosen.kills else 0


if __name__ == "__main__":
    sys.exit(main())
