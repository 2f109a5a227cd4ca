"""Writes golden.json beside it: run as `python golden_from_shared.py DIR`, DIR with the golden files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

CASES = (
    ("synthetic_a.json", "c2.escalc.MD"), ("synthetic_a.json", "c2.escalc.SMD"), ("synthetic_a.json", "tti.escalc.SMD"),
    ("synthetic_a.json", "pti.escalc.SMD"), ("synthetic_a.json", "dti.escalc.SMD"),
    ("synthetic_a.json", "prepost.escalc.MC"),
    ("synthetic_a.json", "prepost.escalc.SMCC"), ("synthetic_a.json", "prepost.escalc.SMCC.correct-FALSE"),
    ("synthetic_a.json", "cor.escalc.COR"), ("synthetic_a.json", "cor.escalc.ZCOR"),
    ("synthetic_a.json", "prop.escalc.PLO"),
    ("synthetic_a.json", "t22.escalc.RR"), ("dat.hine1989.json", "main.2x2.escalc.OR"),
    ("synthetic_a.json", "t22.escalc.RD"), ("synthetic_a.json", "conv.wald"),
)  # fmt: skip


def main(folder: Path) -> None:
    """Collect the cases with the versions that made them."""
    found = []
    for name, key in CASES:
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
    Path(__file__).with_name("golden.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
