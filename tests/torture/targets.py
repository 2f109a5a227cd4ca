"""What the fuzzers feed: each target puts one damaged file among sound ones and reads them as a command would.

A target passes when it ends in a result or in a `CatharsisError` whose every part can be printed, within
`SECONDS` of processor time. Anything else (a traceback, a warning of Python, a hang) is a find.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mutations import BIB_TOKENS, TEXT_TOKENS, YAML_TOKENS

from catharsis.errors import CatharsisError, InputErrors

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 2.0  # processor time that any input may cost, however long it is


class Hang(BaseException):
    """An input that costs more than `SECONDS`; no reader may swallow it."""


@dataclass(frozen=True)
class Target:
    """One reader under fire.

    Attributes
    ----------
    name : str
        Also the folder of its corpus.
    file : str
        The damaged file, inside the analysis.
    seeds : callable
        The real files that mutants are made of.
    read : callable
        Reads the analysis in a folder.
    tokens : tuple of str
        Nasty words for this kind of file.
    weight : int
        How often it is fired at, compared with the others.
    """

    name: str
    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], None]
    tokens: tuple[str, ...] = YAML_TOKENS
    weight: int = 6  # whole analyses cost ten times as much


# -- seeds: real files, whole and in pieces -----------------------------------------------------------


def _bytes(*names: str) -> list[bytes]:
    return [(ROOT / name).read_bytes() for name in names]


def _studies(name: str, most: int) -> list[bytes]:
    """A real table in small tables of one study each, the shortest first."""
    text = (ROOT / "analyses" / name / "studies.yaml").read_text(encoding="utf-8")
    head, *rest = re.split(r"(?m)^(?=  - cite:)", text)
    return [(head + piece).encode() for piece in sorted(rest, key=len)[:most]]


@cache
def tables() -> list[bytes]:
    """Tables of the flagship, study by study, and the other analysis as a whole."""
    return [*_studies("crying", 12), *_bytes("analyses/bcg/studies.yaml")]


@cache
def analyses() -> list[bytes]:
    """Plans: the small one, and pieces of the large one that are plans of their own."""
    small = 4 * _bytes("analyses/bcg/analysis.yaml")
    whole = (ROOT / "analyses/crying/analysis.yaml").read_text(encoding="utf-8")
    pieces = re.split(r"(?m)^(?=[a-z]+:)", whole)
    kept = [piece[:2500] for piece in pieces]
    return [*small, whole.encode(), *("".join(kept[:i]).encode() for i in (6, len(kept)))]


@cache
def claims() -> list[bytes]:
    """The flagship's claims, cut short."""
    whole = _bytes("analyses/crying/claims.yaml")[0]
    return [whole, whole[:1500], whole[:4000]]


@cache
def bibliographies() -> list[bytes]:
    """Entries of the real bibliographies, a few at a time."""
    found = _bytes("references/bcg.bib", "references/seed.bib")
    for name in ("references/studies.bib", "references/methods.bib", "tests/evidence/references.bib"):
        entries = re.split(r"(?m)^(?=@)", (ROOT / name).read_text(encoding="utf-8"))
        found += ["".join(entries[i : i + 3]).encode() for i in range(0, len(entries), 12)]
    return found


def _exported(writer: str) -> list[bytes]:
    """The real bibliography as other programs would hold it, in pieces."""
    from importlib import import_module

    from catharsis.references.bibtex import read_references

    module, name = writer.split(":")
    write = getattr(import_module(f"catharsis.references.{module}"), name)
    references = [*read_references(ROOT / "references/studies.bib").values()]
    return [write(references[i : i + 3]).encode() for i in range(0, len(references), 9)]


@cache
def ris() -> list[bytes]:
    """RIS as Zotero and EndNote export it."""
    return _exported("ris:to_ris")


@cache
def csl_json() -> list[bytes]:
    """CSL-JSON."""
    return _exported("csl_json:to_csl_json")


@cache
def nbib() -> list[bytes]:
    """Two records as PubMed lays them out."""
    record = (
        "PMID- {0}\nOWN - NLM\nSTAT- MEDLINE\nDP  - 19{0} May\nTI  - Tears and\n      naps.\nPG  - 1-{0}\n"
        "LID - 10.1000/{0} [doi]\nFAU - Orr, Ann\nAU  - Orr A\n"
        "LA  - eng\nPT  - Journal Article\nJT  - Sleep\nVI  - {0}\n\n"
    )
    return [record.format(81).encode(), (record.format(82) + record.format(93)).encode()]


METAFOR = "author,year,ai,bi,ci,di,trial\nAronson,1948,4,119,11,128,a\nFerguson,1949,6,300,29,274,b\n"


@cache
def csv_tables() -> list[bytes]:
    """Tables as R, Excel in English and Excel in German save them."""
    german = METAFOR.replace(",", ";").replace("119", "1.119")
    return [METAFOR.encode(), german.encode("utf-8-sig"), METAFOR.replace(",", "\t").encode("utf-16")]


@cache
def workbooks() -> list[bytes]:
    """The same as a workbook, and one with a formula, a merged header and a blank row."""
    from openpyxl import Workbook

    found = []
    for odd in (False, True):
        book = Workbook()
        sheet = book.active
        for line in METAFOR.splitlines():
            sheet.append([int(cell) if cell.isdigit() else cell for cell in line.split(",")])
        if odd:
            sheet["C3"] = "=1+1"
            sheet.merge_cells("A1:B1")
            sheet.append([])
            sheet.append(["x", 1999])
        kept = io.BytesIO()
        book.save(kept)
        found.append(kept.getvalue())
    return found


@cache
def new_studies() -> list[bytes]:
    """One study of the small table, named anew, as a file for `add --from`."""
    text = (ROOT / "analyses/bcg/studies.yaml").read_text(encoding="utf-8")
    piece = re.split(r"(?m)^(?=  - cite:)", text)[1]
    piece = piece.replace("trial-1", "trial-99").replace("aronson1948", "aronson1999")
    return [
        re.sub(r"(?m)^(  - |    )", "", piece).encode(),
        b"schema: catharsis/studies@1\nstudies:\n" + piece.encode(),
    ]


@cache
def records() -> list[bytes]:
    """Committed results of the small analysis."""
    return _bytes("reports/bcg/results.json")


@cache
def looks() -> list[bytes]:
    """A record of looks."""
    answer = '{"estimate": -0.71, "se": 0.18, "df": 12.0, "k": 13}'
    look = f'{{"date": "2026-01-01", "inputs": "a", "answers": {{"x": {answer}}}}}'
    return [f'{{"schema": "catharsis/looks@1", "looks": [{look}]}}'.encode()]


@cache
def links() -> list[bytes]:
    """A file of links between keys."""
    from catharsis.references.links import SCHEMA

    head = f"schema: {SCHEMA}\n"
    link = "links:\n  - {key: a2000, same_as: b2000, by: A, date: 2026-01-01, why: one work}\n"
    return [(head + link + "distinct:\n  - [c2001, d2001]\n").encode(), (head + "links: []\n").encode()]


# -- readers -----------------------------------------------------------------------------------------


def _read_yaml(folder: Path) -> None:
    from catharsis.studies.yaml_source import read_yaml

    read_yaml(folder / "studies.yaml")


def _read_studies(folder: Path) -> None:
    """Read, check, and compute every size that can be computed."""
    from catharsis.checks.run import check_rows
    from catharsis.effects.prepare import prepare
    from catharsis.effects.routes import ROUTES
    from catharsis.studies.table import read_studies

    table = read_studies(folder / "studies.yaml", _dictionary())
    if not check_rows(table).errors:
        for scale in ROUTES:
            prepare(table.rows[:3], scale, table.dictionary)
        prepare(table.rows, "auto", table.dictionary)


@cache
def _dictionary():  # type: ignore[no-untyped-def]
    from catharsis.studies.table import read_dictionary

    return read_dictionary(ROOT / "analyses/crying/analysis.yaml")


def _check(folder: Path) -> None:
    from catharsis.plan.checking import check
    from catharsis.plan.spec import read_plan

    check(read_plan(folder))


def _read_references(folder: Path) -> None:
    """Read, and lay out every reference as the report does."""
    from catharsis.references.bibtex import read_references
    from catharsis.references.citation import csl_item, format_apa, in_text_labels

    library = read_references(folder / "references.bib")
    in_text_labels(library.values())
    for reference in list(library.values())[:3]:
        csl_item(reference)
        format_apa([reference])


def _read_bibliography(name: str) -> Callable[[Path], None]:
    """`catharsis import`: what it writes can be read, and every other format can be made of it."""

    def read(folder: Path) -> None:
        from catharsis.cli.import_ import Wishes, import_files
        from catharsis.references.bibtex import read_references
        from catharsis.references.csl_json import to_csl_json
        from catharsis.references.ris import to_ris

        bibliography = folder.parents[1] / "references"
        for leaving in (*bibliography.glob("fuzz.bib"), *bibliography.glob("duplicates.yaml")):
            leaving.unlink()
        file = folder / name
        with redirect_stdout(io.StringIO()):
            import_files(folder, [file], Wishes(into="fuzz.bib", keep_keys=file.stat().st_size % 2 == 0))
        try:
            library = read_references(bibliography)
        except CatharsisError as problem:
            raise AssertionError(f"what was written cannot be read: {problem}") from problem
        new = [reference for reference in library.values() if reference.at.file.endswith("fuzz.bib")]
        to_ris(new)
        to_csl_json(new)

    return read


def _import(name: str) -> Callable[[Path], None]:
    """`catharsis import --dry-run`."""

    def read(folder: Path) -> None:
        from catharsis.cli.import_ import Wishes, import_files

        with redirect_stdout(io.StringIO()):
            import_files(
                folder, [folder / name], Wishes(outcome="tuberculosis", cite="colditz1994efficacy", dry_run=True)
            )

    return read


def _add(folder: Path) -> None:
    """`catharsis add --from FILE --dry-run`."""
    from catharsis.cli.add import add

    with redirect_stdout(io.StringIO()):
        add(folder, folder / "study.yaml", False, dry_run=True, results=False)


def _edit(folder: Path) -> None:
    """Set, add and delete in whatever can be read; an edit proves itself or is refused."""
    from catharsis.studies.edit import TableText, read_exactly

    found = read_exactly(folder / "studies.yaml")
    table = found if isinstance(found, TableText) else TableText(found.text, "studies.yaml")
    paths = [path for path in table.source.lines if path]
    for path in paths[:: max(1, len(paths) // 4)]:
        for change in (
            lambda path=path: table.with_cell(path, "a: b"),
            lambda path=path: table.with_cell((*path[:-1], "note"), 0.5),
            lambda path=path: table.without(path),
            lambda path=path: table.with_entry(path, {"cite": "x", "n": 12}),
        ):
            with suppress(CatharsisError):
                change()


def _record(folder: Path) -> None:
    """A results.json that was damaged, against the sound one: `diff` and `run --verify`."""
    from catharsis.plan.before_after import before_after
    from catharsis.plan.revisions import parse_record, read_record
    from catharsis.plan.verification import verify

    record = read_record(folder / "results.json")
    sound = parse_record(records()[0].decode(), "results.json")
    for pair in ((record, sound), (sound, record)):
        verify(*pair)
        before_after(*pair)


def _looks(folder: Path) -> None:
    from catharsis.plan.looks import read_looks

    read_looks(folder / "looks.json")


def _links(folder: Path) -> None:
    from catharsis.references.links import read_links

    read_links(folder / "duplicates.yaml").resolved()


TARGETS = {
    target.name: target
    for target in (
        Target("yaml", "studies.yaml", tables, _read_yaml),
        Target("table", "studies.yaml", tables, _read_studies),
        Target("plan", "analysis.yaml", analyses, _check),
        Target("check", "studies.yaml", tables, _check, weight=1),
        Target("claims", "claims.yaml", claims, _check, weight=1),
        Target("bib", "references.bib", bibliographies, _read_references, BIB_TOKENS),
        Target("bib-import", "new.bib", bibliographies, _read_bibliography("new.bib"), BIB_TOKENS, 3),
        Target("ris", "new.ris", ris, _read_bibliography("new.ris"), TEXT_TOKENS, 3),
        Target("nbib", "new.nbib", nbib, _read_bibliography("new.nbib"), TEXT_TOKENS, 3),
        Target("csl-json", "new.json", csl_json, _read_bibliography("new.json"), TEXT_TOKENS, 3),
        Target("csv", "rows.csv", csv_tables, _import("rows.csv"), TEXT_TOKENS, 2),
        Target("xlsx", "rows.xlsx", workbooks, _import("rows.xlsx"), TEXT_TOKENS, 1),
        Target("add", "study.yaml", new_studies, _add, weight=2),
        Target("edit", "studies.yaml", tables, _edit, weight=2),
        Target("results", "results.json", records, _record, TEXT_TOKENS, 1),
        Target("looks", "looks.json", looks, _looks, TEXT_TOKENS, 1),
        Target("links", "duplicates.yaml", links, _links, weight=1),
    )
}


# -- firing ------------------------------------------------------------------------------------------


def prepared(root: Path, target: Target) -> Path:
    """The folder of an analysis in which the target's file can be put again and again, among sound files."""
    name = "crying" if target.name in ("check", "claims") else "bcg"
    folder = root / "analyses" / name
    shutil.copytree(ROOT / "analyses" / name, folder)
    (root / "references").mkdir()
    for file in ("seed.bib", "studies.bib", "bcg.bib"):
        shutil.copy(ROOT / "references" / file, root / "references" / file)
    if target.name == "claims":  # the whole table would cost most of the time and see none of the damage
        (folder / "studies.yaml").write_bytes(tables()[0])
    return folder


def fire(target: Target, folder: Path, data: bytes) -> str:
    """Put the file, read it, and say how it ended: "read" or "refused"; anything else raises."""
    path = folder / target.file
    path.write_bytes(data)
    try:
        with within(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")
            target.read(folder)
    except CatharsisError as problem:
        printable(problem)
        return "refused"
    return "read"


def printable(problem: CatharsisError) -> None:
    """Every message can be printed, has its four parts, and is no novel."""
    str(problem).encode()
    for found in problem.problems if isinstance(problem, InputErrors) else ():
        parts = (found.at.file, found.what, found.why, found.fix, found.rule)
        assert all(parts), parts
        assert not any("\n" in part or "\x1b" in part or "\0" in part for part in parts), parts
        assert len(str(found)) < 3000, str(found)[:300]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `Hang` where the code stands after so much processor time; a clock would count the neighbours too."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds} s")

    old = signal.signal(signal.SIGPROF, stop)
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
    if (took := time.process_time() - start) > seconds:
        raise Hang(f"{took:.1f} s")
