"""Fuzzing guided by coverage: `python tests/torture/guided.py --target bib --seconds 60` (needs the extra `fuzz`).

libFuzzer, through atheris, keeps every input that reaches a new line of ours and damages it further, so that it finds
its way where random damage does not. Each target runs in a process of its own with a time limit; what breaks is
written to corpus/<target>/ and replayed by the everyday tests.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

GUIDED = ("yaml", "table", "plan", "bib", "ris", "nbib", "csl-json", "csv", "edit", "looks", "links")
MEGABYTES = 3000  # memory that one target may use


def child(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["catharsis.studies", "catharsis.references", "catharsis.checks"]):
        import catharsis.cli.import_
        import catharsis.plan.checking
        import catharsis.references.citation
        import catharsis.references.formats
        import catharsis.studies.edit
        import catharsis.studies.imported  # noqa: F401
    from targets import TARGETS, fire, prepared

    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as root:
        folder = prepared(Path(root), target)
        fire(target, folder, target.seeds()[0])  # what is loaded late is loaded now: it would count as slow
        atheris.Setup([sys.argv[0], *arguments], lambda data: fire(target, folder, data) and None)
        atheris.Fuzz()


def main() -> int:
    """Exit code 1 when anything was found, 2 when atheris is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=GUIDED, action="append")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    chosen = parser.parse_args()
    from importlib.util import find_spec

    if find_spec("atheris") is None:
        print("atheris is not installed: pip install catharsis[fuzz]")
        return 2
    from targets import CORPUS, TARGETS

    found = 0
    for name in chosen.target or GUIDED:
        with tempfile.TemporaryDirectory() as folder:
            seeds, kept = Path(folder) / "seeds", CORPUS / name
            seeds.mkdir()
            kept.mkdir(parents=True, exist_ok=True)
            for i, seed in enumerate(TARGETS[name].seeds()):
                (seeds / f"{i:03}").write_bytes(seed)
            words = Path(folder) / "words"
            words.write_text("".join(f'"{_quoted(word)}"\n' for word in TARGETS[name].tokens if 0 < len(word) <= 60))
            arguments = [
                f"-max_total_time={chosen.seconds}", f"-rss_limit_mb={MEGABYTES}", "-timeout=20", "-max_len=20000",
                f"-dict={words}", f"-artifact_prefix={kept}/", "-print_final_stats=1", str(seeds), str(kept),
            ]  # fmt: skip
            command = [sys.executable, __file__, "--child", name, *arguments]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace",
                                  timeout=chosen.seconds + 120, check=False)  # fmt: skip
        said = done.stdout + done.stderr
        runs = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
        print(f"{name}: {runs} inputs, {'nothing found' if done.returncode == 0 else 'FOUND'}", flush=True)
        if done.returncode != 0:
            found += 1
            print(said[-3000:])
        if not any(kept.iterdir()):
            kept.rmdir()
    return 1 if found else 0


def _quoted(word: str) -> str:
    """A word as libFuzzer's dictionaries write it."""
    return "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
