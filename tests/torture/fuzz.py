"""Fire many thousand damaged files at every reader: `make torture`, or `python tests/torture/fuzz.py --inputs 20000`.

Each find is written to corpus/<target>/, which the everyday tests replay; mend the reader, keep the file.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutated, random_edits
from targets import CORPUS, TARGETS, Hang, Target, fire, prepared


def fuzz(target: Target, inputs: int, seed: int) -> tuple[Counter[str], list[str], float]:
    """Fire; how each ended, the finds, and the slowest time."""
    source = random.Random(f"{target.name}-{seed}")
    seeds, ends, finds, slowest = target.seeds(), Counter[str](), dict[str, str](), 0.0
    with tempfile.TemporaryDirectory() as root:
        folder = prepared(Path(root), target)
        for i in range(inputs):
            data = mutated(source.choice(seeds), random_edits(source), target.tokens, source.choice(seeds))
            start = time.process_time()
            try:
                ends[fire(target, folder, data)] += 1
            except (Exception, Hang) as problem:
                ends["find"] += 1
                where = traceback.extract_tb(problem.__traceback__)[-1]
                ours = [f for f in traceback.extract_tb(problem.__traceback__) if "/catharsis/" in f.filename]
                name = f"{type(problem).__name__} at {Path(where.filename).name}:{where.lineno}"
                name += f" from {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
                if name not in finds:
                    finds[name] = f"{name}: {str(problem)[:200]} (input {i}, {_kept(target, data)})"
                    print("  find:", finds[name], flush=True)
            slowest = max(slowest, time.process_time() - start)
    return ends, list(finds.values()), slowest


def _kept(target: Target, data: bytes) -> str:
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:12]}{Path(target.file).suffix}"
    path.write_bytes(data)
    return path.name


def main() -> int:
    """Exit code 1 when anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=24_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, action="append")
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    weight = sum(TARGETS[name].weight for name in names)
    total, found = Counter[str](), []
    for name in names:
        start = time.perf_counter()
        ends, finds, slowest = fuzz(
            TARGETS[name], math.ceil(chosen.inputs * TARGETS[name].weight / weight), chosen.seed
        )
        total += ends
        found += finds
        print(
            f"{name}: {ends.total()} inputs, {ends['read']} read, {ends['refused']} refused, {ends['find']} finds of "
            f"{len(finds)} kinds, slowest {slowest:.2f} s, {time.perf_counter() - start:.0f} s in all", flush=True
        )  # fmt: skip
    print(f"{total.total()} inputs, {len(found)} kinds of finds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
