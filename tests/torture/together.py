"""Many writers at once: `python tests/torture/together.py --rounds 20`.

Each round forks several commands that change one analysis at the same moment, while a reader reads the table again and
again. Afterwards everything that was added is there, once; and no reading ever saw a part.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kill import COMMANDS, NEW_RIS, Command, _child, _naps, load, strays

LOADED = ("add", "import references", "report, the first")


def _studies(root: Path, writers: int) -> dict[str, Command]:
    """Writers of one study each, by what must be in a file afterwards."""
    from workshop import study

    found = {}
    for i in range(writers):
        text = re.sub(r"(?m)^(  - |    )", "", study(20 + i, cite="nap4"))
        (root / f"study{i}.yaml").write_text(text, encoding="utf-8")
        found[f"id: e{20 + i}"] = Command(("add", "naps", "--from", f"study{i}.yaml"), _naps)
    return found


def _references(root: Path, writers: int) -> dict[str, Command]:
    """Writers of one reference each."""
    found = {}
    for i in range(writers):
        title = ("Dreams of sheep", "Light and sleep", "Noise at night", "Coffee before noon")[i]
        text = NEW_RIS.replace("Naps once more", title).replace("Napper", ("Abel", "Berg", "Cole", "Dahl")[i])
        (root / f"new{i}.ris").write_text(text, encoding="utf-8")
        found[title] = Command(("import", "naps", f"new{i}.ris"), _naps)
    return found


def one_round(root: Path, writers: int) -> list[str]:
    """Let them all run at once; what went wrong."""
    from catharsis.errors import CatharsisError
    from catharsis.studies.yaml_source import read_yaml

    _naps(root)
    table, wrong = root / "naps" / "studies.yaml", []
    wanted = {**_studies(root, writers), **_references(root, writers)}
    wanted["report"] = Command(("report", "naps", "--no-sampling", "--out", "out"), _naps)
    wanted["another report"] = Command(("run", "naps", "--no-sampling", "--out", "out"), _naps)
    alive = {_child(root, command, None): what for what, command in wanted.items()}
    reads, deadline = 0, time.monotonic() + 300
    while alive:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            code, what = os.waitstatus_to_exitcode(status), alive.pop(child)
            if code != 0 and not (code == 1 and "report" in what):  # a report may find that its inputs have moved
                wrong.append(f"{what}: exit code {code}")
        try:
            reads += read_yaml(table).data is not None
        except CatharsisError as problem:
            wrong.append(f"a reader saw a part: {problem}")
        if time.monotonic() > deadline:
            wrong.append(f"still running: {list(alive.values())}")
            break
    text = table.read_text(encoding="utf-8") + "".join(p.read_text(encoding="utf-8") for p in root.rglob("*.bib"))
    wrong += [f"{what}: {text.count(what)} times" for what in wanted if "report" not in what and text.count(what) != 1]
    if not text.startswith("# kept by hand\n"):
        wrong.append("the comment is lost")
    wrong += [f"left over: {name}" for name in strays(root)]
    return wrong if reads > 1 else [*wrong, "the reader never read"]


def main() -> int:
    """Exit code 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--writers", type=int, choices=(1, 2, 3, 4), default=4, help="of studies, and of references")
    chosen, found = parser.parse_args(), []
    load(COMMANDS[name] for name in LOADED)
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as root:
            found += one_round(Path(root), chosen.writers)
    for line in found:
        print(" ", line)
    print(f"{chosen.rounds} rounds of {2 * chosen.writers + 2} writers at once, {len(found)} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
