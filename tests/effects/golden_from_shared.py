"""Writes golden.json beside it: run as `python golden_from_shared.py DIR`, DIR with the golden files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Every escalc case of the file made for this purpose, and some others.
FILE = "synthetic_a.json"
ALSO = ((FILE, "conv.wald"), ("dat.hine1989.json", "main.2x2.escalc.OR"))


def main(folder: Path) -> None:
    """Collect the cases with the versions that made them."""
    found = []
    cases = json.loads((folder / FILE).read_text())["cases"]
    wanted = [(FILE, case["id"]) for case in cases if case["family"] == "escalc" and case["status"] != "error"]
    for name, key in (*wanted, *ALSO):
        file = json.loads((folder / name).read_text())
        case = next(case for case in file["cases"] if case["id"] == key)
        inputs = file["inputs"][case["input"]]
        found.append(
            {
                "source": f"metafor {file['head']['packages']['metafor']}, {name}, {key}",
                "args": case["args"],
                "rtol": case["rtol"],
                "data": inputs.get("data", inputs),
                "results": case["results"],
            }
        )
    Path(__file__).with_name("golden.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
