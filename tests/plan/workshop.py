"""What the tests of plan, report, cli and browser share: one run of the flagship, copies of it, tiny analyses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import catharsis as ca
from catharsis.plan.record import record
from catharsis.plan.results import Results
from catharsis.report.page import page
from catharsis.report.write import texts

ROOT = Path(__file__).parents[2]
PACK = ROOT / "tests" / "evidence"
FLAGSHIP = ROOT / "analyses" / "crying"


class Outcome:
    """An analysis run without the sampler; the record and the files are made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.results: Results = ca.run(folder, sample=False)

    @cached_property
    def record(self) -> Any:
        """results.json as data."""
        return json.loads(json.dumps(record(self.results), allow_nan=False))

    @cached_property
    def page(self) -> str:
        """index.html."""
        return page(self.results)

    @cached_property
    def files(self) -> dict[str, str]:
        """Every file of the report as text."""
        return texts(self.results)

    @cached_property
    def tree(self) -> Any:
        """The page as an lxml tree."""
        return parsed(self.page)

    def words(self, key: str) -> str:
        """The text of the element with an id."""
        return words(self.tree.get_element_by_id(key))

    def card(self, family: str) -> str:
        """The text of a card on the first screen."""
        return self.words(f"card-{family}")


@cache
def flagship() -> Outcome:
    """The flagship, run once per process."""
    return outcome(FLAGSHIP)


def outcome(folder: Path) -> Outcome:
    """Run an analysis."""
    return Outcome(folder)


# -- copies of the flagship -------------------------------------------------------------------------


def copy_of(name: str, root: Path) -> Path:
    """The folder of a copied analysis, with the bibliography where its analysis.yaml looks for it."""
    shutil.copytree(ROOT / "references", root / "references")
    shutil.copytree(ROOT / "analyses" / name, root / "analyses" / name)
    return root / "analyses" / name


def entries(text: str) -> tuple[str, list[str]]:
    """studies.yaml cut into its head and one piece of text per study."""
    head, *rest = re.split(r"(?m)^(?=  - cite:)", text)
    return head, rest


def without(folder: Path, *keys: str) -> None:
    """Delete every study whose `cite:` is one of `keys`, and nothing else."""
    path = folder / "studies.yaml"
    head, pieces = entries(path.read_text(encoding="utf-8"))
    kept = [piece for piece in pieces if cite_of(piece) not in keys]
    assert len(kept) < len(pieces), keys
    path.write_text(head + "".join(kept), encoding="utf-8")


def cite_of(piece: str) -> str:
    """The citation key of one piece of studies.yaml."""
    return piece.split("cite:", 1)[1].split()[0]


def add(folder: Path, piece: str, bib: str = "") -> None:
    """Append a study to studies.yaml, and its paper to the bibliography."""
    with (folder / "studies.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + piece)
    if bib:
        (folder.parents[1] / "references" / "new.bib").write_text(bib, encoding="utf-8")


DOE = """@article{doe2030recall,
  author = {Doe, Jane},
  title = {Crying recalled in Norway},
  journal = {Journal of Tears},
  year = {2030},
}
"""


def readme_study() -> str:
    """The worked example of README.md, indented as in a table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## Add a study", 1)[1].split("```yaml", 1)[1].split("```", 1)[0]
    return textwrap.indent(textwrap.dedent(block).strip("\n"), "  ") + "\n"


# -- tiny made analyses -----------------------------------------------------------------------------

ANALYSIS = """\
schema: catharsis/analysis@1
title: Do naps help?
bibliography: refs
families:
  alertness:
    label: Alertness
    question: Do naps raise alertness?
    words: {positive: higher, negative: lower, none: no different}
    gap: Nobody has tried.
outcomes:
  alert:
    family: alertness
    label: alertness after a nap
    contrast: after-nap-vs-before
    means: more alert after the nap
    unit: points
    range: [-10, 10]
moderators:
  place: {label: Place, levels: {home: at home, work: at work}}
  length: {label: Length, unit: minutes}
caveats:
  - {when: place == 'work', say: at work only}
syntheses:
  - id: nap
    title: Alertness after a nap
    role: headline
    outcome: alert
    scale: auto
    says: {positive: Naps help., negative: Naps harm., unclear: Naps are not settled.}
directions:
  - {id: signs, title: Signs, role: headline, rows: kind == 'direction', by: [place]}
"""

MEANS = (1.2, 0.7, 1.6, 0.9, 1.4, 1.1, 0.8, 1.3, 1.0, 1.5, 0.6, 1.7)


def study(i: int, numbers: str | None = None, n: int | None = None, **changes: str) -> str:
    """One study of the made table; `changes` replace or add lines of the study."""
    mean = MEANS[i % len(MEANS)]
    lines = {
        "cite": f"nap{i}", "label": f"Nap {i}", "year": str(2000 + i), "evidence": "direct", "outcome": "alert",
        "place": "home", "source": "{where: table 1, kind: primary-fulltext, checked: yes}", **changes,
    }  # fmt: skip
    head = "\n".join(f"    {name}: {value}" for name, value in lines.items())
    given = numbers or f"numbers: {{mean_change: {mean}, sd_change: 2.{i % 10}}}"
    return (
        f"  - {head.strip()}\n    samples:\n      - id: s{i}\n        n: {n or 40 + i}\n        effects:\n"
        f"          - id: e{i}\n            {given}\n"
    )


def bib(i: int, title: str = "", author: str = "", **fields: str) -> str:
    """One entry of the made bibliography."""
    more = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return (
        f"@article{{nap{i},\n  author = {{{author or f'Napper, N{chr(65 + i)}.'}}},\n"
        f"  title = {{{title or f'Nap number {i}'}}},\n  journal = {{Sleep Letters}},\n  year = {{{2000 + i}}},\n"
        f"{more}}}\n\n"
    )


def made(
    folder: Path, k: int, *, analysis: str = ANALYSIS, studies: list[str] | None = None, bibs: str | None = None
) -> Path:
    """A folder with an analysis of k made studies."""
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "analysis.yaml").write_text(analysis, encoding="utf-8")
    pieces = [study(i) for i in range(k)] if studies is None else studies
    text = "schema: catharsis/studies@1\nstudies:" + ("\n" + "\n".join(pieces) if pieces else " []\n")
    (folder / "studies.yaml").write_text(text, encoding="utf-8")
    found = "".join(bib(i) for i in range(max(k, len(pieces), 1))) if bibs is None else bibs
    (folder / "refs" / "all.bib").write_text(found, encoding="utf-8")
    return folder


# -- reading a page ---------------------------------------------------------------------------------


def parsed(page: str) -> Any:
    """The page as an lxml tree."""
    import lxml.html

    return lxml.html.document_fromstring(page)


def words(element: Any) -> str:
    """The text of an element, with single spaces."""
    return " ".join(" ".join(element.itertext()).split())


# -- the command ------------------------------------------------------------------------------------


def catharsis(*arguments: object, cwd: Path, source: Path = ROOT / "src") -> subprocess.CompletedProcess[str]:
    """The real command, as a user runs it."""
    environment = {**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "catharsis", *map(str, arguments)], cwd=cwd, env=environment, capture_output=True,
        encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip


def state(root: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and modification times of every file."""
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}
