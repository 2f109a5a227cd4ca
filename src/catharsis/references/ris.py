r"""RIS, the exchange format of reference managers and databases (tags of two signs, a record ends with ER).

rispy knows the tags; records are cut here, because a problem must name its line and a continued line belongs
to the value above it. What RIS cannot hold is in `NOT_IN_RIS`; `tests/references/test_formats.py` proves that
all the rest returns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from catharsis.errors import MANY, At, InputError
from catharsis.references.bibliographies import Bibliography, clean, surname_first, surname_last, untitled
from catharsis.references.library import Name, Reference, normalised_doi

# Fields of a .bib entry that no RIS tag holds; `protected` braces and the difference between kinds that share a
# RIS type (a master's and a doctoral thesis) are lost as well.
NOT_IN_RIS = frozenset({
    "howpublished", "eprint", "archiveprefix", "primaryclass", "eprinttype", "subtitle", "crossref", "file", "pmid",
})  # fmt: skip

_TYPES = {
    "article": "JOUR", "book": "BOOK", "collection": "EDBOOK", "incollection": "CHAP", "inbook": "CHAP",
    "inproceedings": "CPAPER", "conference": "CPAPER", "proceedings": "CONF", "phdthesis": "THES",
    "mastersthesis": "THES", "thesis": "THES", "techreport": "RPRT", "report": "RPRT", "misc": "GEN",
    "online": "ELEC", "dataset": "DATA", "software": "COMP", "unpublished": "UNPB", "manual": "GEN",
    "booklet": "PAMP",
}  # fmt: skip
_KINDS = {
    "JOUR": "article", "EJOUR": "article", "MGZN": "article", "NEWS": "article", "INPR": "article", "JFULL": "article",
    "ABST": "article", "BOOK": "book", "EBOOK": "book", "EDBOOK": "collection", "CHAP": "incollection",
    "ECHAP": "incollection", "ENCYC": "incollection", "DICT": "incollection", "CPAPER": "inproceedings",
    "CONF": "proceedings", "THES": "phdthesis", "RPRT": "techreport", "GOVDOC": "techreport", "ELEC": "online",
    "BLOG": "online", "ICOMM": "online", "DATA": "dataset", "DBASE": "dataset", "AGGR": "dataset", "COMP": "software",
    "UNPB": "unpublished", "MANSCPT": "unpublished", "PAMP": "booklet",
}  # fmt: skip
_PARTS = frozenset({"incollection", "inbook", "inproceedings", "conference"})  # of a book; T2 is the book's title
_PUBLISHERS = {
    "techreport": "institution", "report": "institution", "phdthesis": "school", "mastersthesis": "school",
    "thesis": "school",
}  # fmt: skip
_PLAIN = {  # field of a .bib entry <-> rispy's name of the tag
    "series": "tertiary_title", "volume": "volume", "number": "number", "edition": "edition",
    "address": "place_published", "doi": "doi", "abstract": "abstract", "language": "language",
    "chapter": "section", "type": "type_of_work", "eid": "custom7", "note": "notes", "url": "urls",
    "keywords": "keywords", "shorttitle": "short_title",
}  # fmt: skip
_ALIKE = {  # the same field under another name of ours
    "issue": "number", "location": "address", "journaltitle": "journal", "organization": "publisher",
    "institution": "publisher", "school": "publisher", "isbn": "issn",
}  # fmt: skip
_JOURNALS = ("secondary_title", "alternate_title3", "journal_name", "alternate_title2", "alternate_title1")
_READ = frozenset({
    "TY", "AU", "A1", "A2", "ED", "TI", "T1", "T2", "T3", "JF", "JO", "JA", "J1", "J2", "BT", "PY", "Y1", "DA", "VL",
    "IS", "SP", "EP", "ET", "PB", "CY", "DO", "UR", "SN", "AB", "N1", "N2", "KW", "M3", "SE", "C7", "ID", "LA", "ST",
})  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TAG = re.compile(r"([A-Z][A-Z0-9])  -(?: |$)(.*)")
_ALMOST = re.compile(r"\s*([A-Z][A-Z0-9])\s{0,3}-\s")
_ETAL = frozenset({"et al", "et al.", "others", "et al.,", "et al,", "others,"})


@dataclass(slots=True)
class _Record:
    line: int
    tags: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False


def parse_ris(text: str, name: str) -> Bibliography:
    r"""References of a RIS file.

    Parameters
    ----------
    text : str
        The file's text.
    name : str
        The file name that messages show.

    Returns
    -------
    Bibliography
        Keys are those of the tag ID, or "" when there is none.

    Examples
    --------
    >>> found = parse_ris("TY  - JOUR\nAU  - Orr, Ann\nTI  - Tears\nPY  - 1999\nER  - \n", "a.ris")
    >>> found.references[0].label
    'Orr, 1999'
    """
    problems: list[InputError] = []
    references, left, notes = [], Counter[str](), []
    for record in _records(text, name, problems):
        tags = _tags(record)
        at = At(name, record.line)
        left.update({tag for tag, _ in record.tags if tag not in _READ})
        reference = _reference(tags, at)
        if not reference.title:
            problems.append(untitled(at, "the record"))
            continue
        references.append(reference)
        notes += [
            f'{at}: "{who.literal}" has no comma and is read as an organisation'
            for who in (*reference.authors, *reference.editors)
            if who.literal and any(value.strip() == who.literal for _, value in record.tags)
        ]
    return Bibliography(name, "RIS", tuple(references), tuple(problems), tuple(sorted(left.items())), tuple(notes))


def _records(text: str, name: str, problems: list[InputError]) -> Iterator[_Record]:
    """Records with their first line; a line that fits none is a problem."""
    record: _Record | None = None
    for line, row in enumerate(text.split("\n"), 1):
        found = _TAG.match(row.lstrip("\ufeff"))
        if found and found[1] == "TY":
            if record is not None:
                problems.append(_unended(At(name, record.line)))
                yield record
            record = _Record(line, [("TY", found[2].strip())])
        elif found and found[1] == "ER":
            if record is not None:
                yield record
            record = None
        elif record is None:
            if found or _ALMOST.match(row):
                problems.append(_outside(At(name, line), row))
        elif found:
            record.tags.append((found[1], found[2].strip()))
        elif row.strip() and (slip := _ALMOST.match(row)) and not row.startswith("      "):
            problems.append(_crooked(At(name, line), slip[1]))
        elif row.strip():
            tag, value = record.tags[-1]
            record.tags[-1] = (tag, f"{value} {row.strip()}")
        if len(problems) >= MANY:
            return
    if record is not None:
        problems.append(_unended(At(name, record.line)))
        yield record


def _unended(at: At) -> InputError:
    return InputError(
        at,
        "the record has no end",
        "without a line ER two records would be read as one, or a cut file as a whole one",
        'end the record with a line "ER  - ", or export it again',
        rule="ris-syntax",
    )


def _outside(at: At, row: str) -> InputError:
    return InputError(
        at,
        f'"{clean(row)[:40]}" stands outside of any record',
        "a record begins with a line TY, so that this line would be lost",
        'begin the record with a line such as "TY  - JOUR"',
        rule="ris-syntax",
    )


def _crooked(at: At, tag: str) -> InputError:
    return InputError(
        at,
        f"the tag {tag} is not followed by two spaces, a hyphen and a space",
        "it would be read as a part of the line above",
        f'write "{tag}  - " before the value',
        rule="ris-syntax",
    )


def _tags(record: _Record) -> dict[str, Any]:
    """The record under rispy's names; every tag may repeat."""
    import rispy
    from rispy.config import TAG_KEY_MAPPING

    mapping = {**TAG_KEY_MAPPING, "ED": "editors", "BT": "book_title"}
    lines = [f"{tag}  - {value}" for tag, value in record.tags]
    found: list[dict[str, Any]] = rispy.loads(
        "\n".join([*lines, "ER  - "]), mapping=mapping, list_tags=list(mapping), delimiter_tags_mapping={}
    )
    return found[0] if found else {}


def _all(tags: dict[str, Any], *names: str) -> list[str]:
    """The values of the tags, in order, without empty ones."""
    values = [value for name in names for value in tags.get(name, ())]
    return [text for text in map(clean, values) if text]


def _one(tags: dict[str, Any], *names: str) -> str:
    return next(iter(_all(tags, *names)), "")


def _reference(tags: dict[str, Any], at: At) -> Reference:
    kind = _KINDS.get(str(tags.get("type_of_reference", "")).strip().upper(), "misc")
    fields = {"title": _one(tags, "title", "primary_title")}
    if kind in _PARTS:
        fields["booktitle"] = _one(tags, "secondary_title", "book_title", *_JOURNALS[1:])
    elif kind == "article":
        fields["journal"] = _one(tags, *_JOURNALS)
    elif kind in {"book", "collection", "proceedings"} and not fields["title"]:
        fields["title"] = _one(tags, "book_title", "secondary_title")
    elif title := _one(tags, *_JOURNALS):
        fields["journal"] = title
    fields |= _dated(tags)
    fields["pages"] = _pages(_one(tags, "start_page"), _one(tags, "end_page"))
    fields[_PUBLISHERS.get(kind, "publisher")] = _one(tags, "publisher")
    for name, tag in _PLAIN.items():
        values = _all(tags, tag)
        fields[name] = {"keywords": ", ", "note": " "}.get(name, "\n").join(values).split("\n")[0]
    fields["abstract"] = fields["abstract"] or _one(tags, "notes_abstract")
    numbers = _one(tags, "issn")
    fields["isbn" if kind in {"book", "collection", *_PARTS} else "issn"] = numbers
    fields["doi"] = normalised_spelling(fields["doi"])
    authors, etal = _people(_all(tags, "authors", "first_authors"))
    editors, etal_editors = _people(_all(tags, "secondary_authors", "editors"))
    return Reference(
        key=_one(tags, "id"),
        kind=kind,
        fields={name: text for name, text in fields.items() if text},
        authors=authors,
        editors=editors,
        at=at,
        etal=etal,
        etal_editors=etal_editors,
    )


def normalised_spelling(doi: str) -> str:
    """A DOI without a resolver's address, its letters as printed.

    Examples
    --------
    >>> normalised_spelling("https://doi.org/10.1037/ABC")
    '10.1037/ABC'
    """
    bare = normalised_doi(doi)
    return doi.strip()[len(doi.strip()) - len(bare) :] if bare else ""


def _people(texts: list[str]) -> tuple[tuple[Name, ...], bool]:
    names = [text for text in texts if text.lower() not in _ETAL]
    return tuple(map(surname_first, names)), len(names) < len(texts)


def _dated(tags: dict[str, Any]) -> dict[str, str]:
    """Year, and the month when the date has one (2019/05/01/ or 2019-05-01)."""
    year, date = _one(tags, "year", "publication_year"), _one(tags, "date")
    parts = re.match(r"(\d{4})(?:[/-](\d{1,2})?)?", date or year)
    said = re.match(r"\d{4}(?=$|[/-])", year)
    fields = {"year": said[0] if said else year or (parts[1] if parts else "")}
    if parts and parts[2] and 1 <= int(parts[2]) <= 12 and parts[1] == fields["year"]:
        fields["month"] = _MONTHS[int(parts[2]) - 1]
    return fields


def _pages(start: str, end: str) -> str:
    """First and last page with an en dash; as printed when a database put both into one tag."""
    if start and end and end != start:
        return f"{start}–{end}"
    return re.sub(r"(?<=\w)\s*(?:--|-)\s*(?=\w)", "–", start or end, count=1)


def to_ris(references: Iterable[Reference]) -> str:
    """A .ris file that holds the references.

    Parameters
    ----------
    references : iterable of Reference
        Any entries; `NOT_IN_RIS` says what the format has no tag for.

    Returns
    -------
    str
        Records with one tag a line; "" for none.

    Examples
    --------
    >>> paper = Reference("orr1999", "article", {"title": "Tears", "year": "1999", "pages": "1–9"},
    ...                   (Name("Orr", "Ann"),), etal=True)
    >>> print(to_ris([paper]))
    TY  - JOUR
    ID  - orr1999
    AU  - Orr, Ann
    AU  - et al.
    TI  - Tears
    PY  - 1999
    SP  - 1
    EP  - 9
    ER  -
    <BLANKLINE>
    """
    import rispy

    class Writer(rispy.RisWriter):  # type: ignore[misc]
        """Records without rispy's running numbers, which are no RIS."""

        def set_header(self, count: int) -> str:
            return ""

    text: str = rispy.dumps([_record(reference) for reference in references], implementation=Writer)
    return text


def _record(reference: Reference) -> dict[str, Any]:
    """The reference under rispy's names, in the order of the tags."""
    fields = {_ALIKE.get(name, name): clean(text) for name, text in reference.fields.items()}
    start, dash, end = fields.get("pages", "").partition("–")
    whole = not dash or "–" in end or not re.fullmatch(r"\s*\w+\s*", start) or not re.fullmatch(r"\s*\w+\s*", end)
    year = fields.get("year") or (str(reference.year) if reference.year is not None else "")
    record: dict[str, Any] = {
        "type_of_reference": _TYPES.get(reference.kind, "GEN"),
        "id": clean(reference.key),
        "authors": _written(reference.authors, reference.etal),
        "secondary_authors": _written(reference.editors, reference.etal_editors),
        "title": fields.get("title", ""),
        "secondary_title": fields.get("booktitle" if reference.kind in _PARTS else "journal", ""),
        "tertiary_title": fields.get("series", ""),
        "year": year,
        "date": _date(year, fields.get("month", "")),
        "volume": fields.get("volume", ""),
        "number": fields.get("number", ""),
        "start_page": fields.get("pages", "") if whole else start.strip(),
        "end_page": "" if whole else end.strip(),
        "publisher": fields.get("publisher", ""),
        "issn": fields.get("issn", ""),
        "doi": fields.get("doi", ""),
    }
    for name, tag in _PLAIN.items():
        text = fields.get(name, "")
        several = {"keywords": [word for word in re.split(r"\s*[,;]\s*", text) if word], "note": [text], "url": [text]}
        record.setdefault(tag, several.get(name, text) if text else "")
    return {name: value for name, value in record.items() if value}


def _written(names: Iterable[Name], etal: bool) -> list[str]:
    return [*(clean(surname_last(name)) for name in names), *(["et al."] if etal else [])]


def _date(year: str, month: str) -> str:
    number = next((i for i, name in enumerate(_MONTHS, 1) if name[:3].lower() == month[:3].lower()), 0)
    number = int(month) if month.isdecimal() and len(month) < 3 else number
    return f"{year}/{number:02d}//" if re.fullmatch(r"\d{4}", year) and 1 <= number <= 12 else ""
