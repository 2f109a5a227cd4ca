r"""PubMed's own format (.nbib, also called MEDLINE): a tag of four places, a hyphen, a value.

nbib reads the tags; records are cut here, because a problem must name its line, and because nbib stops at the
first odd date and passes over organisations as authors, editors, book titles and publishers. A title's final
stop is PubMed's, not the paper's; page ranges stay as abridged as they are printed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from catharsis.errors import MANY, At, InputError
from catharsis.references.bibliographies import Bibliography, clean, split_particle, surname_first, untitled
from catharsis.references.library import Name, Reference

_TAG = re.compile(r"([A-Z][A-Z0-9 ]{3})- ?(.*)")
_MORE = re.compile(r"      (.*)")
_READ = frozenset({
    "PMID", "TI", "BTI", "FAU", "AU", "FED", "ED", "CN", "JT", "TA", "VI", "IP", "PG", "DP", "AID", "LID", "AB", "OT",
    "LA", "PB", "PL", "ISBN", "IS", "PT", "CTI", "PMC",
})  # fmt: skip
# Housekeeping of the database: nothing that a reference could lose.
_HOUSEKEEPING = frozenset({
    "OWN", "STAT", "DCOM", "LR", "DEP", "JID", "SB", "EDAT", "MHDA", "CRDT", "PHST", "PST", "SO", "DA", "AUID", "CI",
    "OTO", "PMCR", "IRAD", "RF",
})  # fmt: skip
_FOR_NBIB = frozenset({"PMID", "TI", "JT", "TA", "VI", "IP", "PG", "DP", "FAU", "AB", "OT", "LA", "PL"})
_MONTHS = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "May": "May", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip


@dataclass(slots=True)
class _Record:
    line: int
    tags: list[tuple[str, str]] = field(default_factory=list)

    def all(self, *names: str) -> list[str]:
        return [text for tag, value in self.tags if tag in names and (text := clean(value))]

    def one(self, *names: str) -> str:
        return next((text for name in names for text in self.all(name)), "")


def parse_nbib(text: str, name: str) -> Bibliography:
    r"""References of a file that PubMed exports.

    Parameters
    ----------
    text : str
        The file's text.
    name : str
        The file name that messages show.

    Returns
    -------
    Bibliography
        Keys are empty: PubMed gives none.

    Examples
    --------
    >>> found = parse_nbib("PMID- 1\nDP  - 1999 May\nTI  - Tears.\nFAU - Orr, Ann\n", "a.nbib")
    >>> found.references[0].label
    'Orr, 1999'
    """
    problems: list[InputError] = []
    references, left, notes = [], Counter[str](), []
    for record in _records(text, name, problems):
        at = At(name, record.line)
        left.update({tag for tag, _ in record.tags if tag not in _READ | _HOUSEKEEPING})
        reference = _reference(record, at)
        if not reference.title:
            problems.append(untitled(at, f"the record of PMID {record.one('PMID')}"))
            continue
        references.append(reference)
        if record.one("TI").startswith("["):
            notes.append(f"{at}: the title is PubMed's translation; its brackets were kept")
    return Bibliography(name, "PubMed", tuple(references), tuple(problems), tuple(sorted(left.items())), tuple(notes))


def _records(text: str, name: str, problems: list[InputError]) -> Iterator[_Record]:
    """Records from one PMID (or the first tag after a blank line) to the next."""
    record: _Record | None = None
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            if record is not None:
                yield record
            record = None
        elif found := _TAG.match(row):
            tag = found[1].strip()
            if record is not None and tag == "PMID" and record.all("PMID"):
                yield record
                record = None
            record = record or _Record(line)
            record.tags.append((tag, found[2]))
        elif (more := _MORE.match(row)) and record is not None:
            tag, value = record.tags[-1]
            record.tags[-1] = (tag, f"{value} {more[1].strip()}")
        else:
            problems.append(_malformed(At(name, line), row))
            if len(problems) >= MANY:
                return
    if record is not None:
        yield record


def _malformed(at: At, row: str) -> InputError:
    return InputError(
        at,
        f'"{clean(row)[:40]}" is no line of PubMed\'s format',
        "a line begins with a tag of four places and a hyphen, or continues the line above after six spaces",
        "export the file again with the format PubMed, or mend the line",
        rule="nbib-syntax",
    )


def _by_nbib(record: _Record) -> dict[str, Any]:
    """What nbib makes of the tags that it reads without stopping at them."""
    import nbib

    lines = [f"{tag:<4}- {clean(value)}" for tag, value in record.tags if tag in _FOR_NBIB and clean(value)]
    lines = [line for line in lines if not line.startswith("PMID") or re.fullmatch(r"[0-9]{1,12}", line[6:])]
    dois = (clean(value) for tag, value in record.tags if tag in {"AID", "LID"})
    lines += [f"AID - {doi}" for doi in dois if re.fullmatch(r"\S+ \[doi\]", doi)][:1]
    found: list[dict[str, Any]] = nbib.read("\n".join([*lines, "", ""]))
    return found[0] if found else {}


def _reference(record: _Record, at: At) -> Reference:
    known = _by_nbib(record)
    book = record.one("BTI")
    title = _without_stop(str(known.get("title", "")))
    kind = ("incollection" if title else "book") if book else "article"
    fields = {
        "title": title or _without_stop(book),
        "booktitle": _without_stop(book) if kind == "incollection" else "",
        "journal": "" if book else str(known.get("journal") or known.get("journal_abbreviated") or ""),
        **_dated(str(known.get("publication_date", ""))),
        "volume": str(known.get("journal_volume", "")),
        "number": str(known.get("journal_issue", "")),
        "pages": re.sub(r"(?<=\w)-(?=\w)", "–", str(known.get("pages", "")), count=1),
        "publisher": record.one("PB") if book else "",
        "address": str(known.get("place_of_publication", "")) if book else "",
        "series": record.one("CTI") if book else "",
        "isbn": record.one("ISBN").split(" ")[0],
        "issn": record.one("IS").split(" ")[0],
        "doi": str(known.get("doi", "")),
        "pmid": str(known.get("pubmed_id", "")),
        "language": "" if known.get("language") in (None, "eng") else str(known.get("language")),
        "keywords": ", ".join(map(str, known.get("keywords", ()))),
        "abstract": str(known.get("abstract", "")),
    }
    editors = tuple(map(surname_first, record.all("FED"))) or tuple(map(_abbreviated, record.all("ED")))
    return Reference(
        key="",
        kind=kind,
        fields={name: clean(text) for name, text in fields.items() if clean(text)},
        authors=_authors(record),
        editors=editors,
        at=at,
    )


def _authors(record: _Record) -> tuple[Name, ...]:
    """People and organisations in the order of the paper; abbreviated names only where no full ones stand."""
    full = any(tag == "FAU" for tag, _ in record.tags)
    names = []
    for tag, value in record.tags:
        text = clean(value)
        if tag == "CN" and text:
            names.append(Name(literal=text.rstrip(".")))
        elif tag == "FAU" and text:
            names.append(surname_first(text))
        elif tag == "AU" and text and not full:
            names.append(_abbreviated(text))
    return tuple(names)


def _abbreviated(text: str) -> Name:
    """A name as "van IJzendoorn MH"."""
    words = clean(text).split()
    given = words.pop() if len(words) > 1 and words[-1].isupper() else ""
    particle, family = split_particle(" ".join(words))
    return Name(family, " ".join(f"{letter}." for letter in given), particle)


def _without_stop(title: str) -> str:
    """A title without the stop that PubMed ends every title with."""
    title = clean(title)
    return title[:-1] if title.endswith(".") and not title.endswith("..") else title


def _dated(date: str) -> dict[str, str]:
    """Year and month of "2019 May 3"; a season or a range of months has no month of its own."""
    found = re.match(r"(\d{4})(?: ([A-Z][a-z]{2})(?![\w-]))?", date)
    if not found:
        return {"year": date}
    return {"year": found[1], "month": _MONTHS.get(found[2] or "", "")}
