"""CSL-JSON, the format of citation processors, Zotero and Crossref.

`citation.csl_item` makes what the APA style wants to see; here a reference is written so that it can be read
back. What the format has no variable for is in `NOT_IN_CSL`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from catharsis.errors import MANY, At, InputError, shown
from catharsis.references.bibliographies import Bibliography, clean, split_particle, untitled
from catharsis.references.library import Name, Reference
from catharsis.references.ris import normalised_spelling

# Fields of a .bib entry that have no CSL variable of their own; several names of one thing become one of them.
NOT_IN_CSL = frozenset({"howpublished", "subtitle", "crossref", "file", "primaryclass"})

_TYPES = {
    "article": "article-journal", "book": "book", "collection": "book", "incollection": "chapter", "inbook": "chapter",
    "inproceedings": "paper-conference", "conference": "paper-conference", "proceedings": "book",
    "phdthesis": "thesis", "mastersthesis": "thesis", "thesis": "thesis", "techreport": "report", "report": "report",
    "misc": "document", "online": "webpage", "dataset": "dataset", "software": "software",
    "unpublished": "manuscript", "manual": "book", "booklet": "pamphlet",
}  # fmt: skip
_KINDS = {
    "article-journal": "article", "article-magazine": "article", "article-newspaper": "article", "review": "article",
    "review-book": "article", "book": "book", "chapter": "incollection", "entry": "incollection",
    "entry-dictionary": "incollection", "entry-encyclopedia": "incollection", "paper-conference": "inproceedings",
    "thesis": "phdthesis", "report": "techreport", "webpage": "online", "post": "online", "post-weblog": "online",
    "dataset": "dataset", "software": "software", "manuscript": "unpublished", "pamphlet": "booklet",
    # Crossref's own words for the same things
    "journal-article": "article", "book-chapter": "incollection", "proceedings-article": "inproceedings",
    "monograph": "book", "edited-book": "collection", "dissertation": "phdthesis", "posted-content": "misc",
}  # fmt: skip
_PARTS = frozenset({"incollection", "inbook", "inproceedings", "conference"})
_PUBLISHERS = {
    "techreport": "institution", "report": "institution", "phdthesis": "school", "mastersthesis": "school",
    "thesis": "school",
}  # fmt: skip
_PLAIN = {  # field of a .bib entry <-> CSL variable
    "title": "title", "series": "collection-title", "volume": "volume", "edition": "edition",
    "chapter": "chapter-number", "address": "publisher-place", "abstract": "abstract", "keywords": "keyword",
    "note": "note", "language": "language", "type": "genre", "isbn": "ISBN", "issn": "ISSN", "pmid": "PMID",
    "url": "URL", "doi": "DOI", "archiveprefix": "archive", "eprint": "archive_location",
    "shorttitle": "title-short",
}  # fmt: skip
_ALIKE = {
    "issue": "number", "location": "address", "journaltitle": "journal", "organization": "publisher",
    "institution": "publisher", "school": "publisher", "eprinttype": "archiveprefix",
}  # fmt: skip
_READ = frozenset({
    "id", "type", "author", "editor", "issued", "container-title", "page", "issue", "number", "publisher",
    "citation-key", *_PLAIN.values(),
})  # fmt: skip
_MARKUP = re.compile(r"<(i|b|sup|sub|sc|span)(?:\s[^<>]*)?>(.*?)</\1>", re.DOTALL)  # in pairs: a lone <i> is text
_NOCASE = re.compile(r"<span class=\"nocase\">(.*?)</span>", re.DOTALL)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def parse_csl_json(text: str, name: str) -> Bibliography:
    """References of a CSL-JSON file, one item or a list of them.

    Parameters
    ----------
    text : str
        The file's text.
    name : str
        The file name that messages show.

    Returns
    -------
    Bibliography
        Keys are the ids of the items.

    Examples
    --------
    >>> found = parse_csl_json('[{"id": "orr", "title": "Tears", "author": [{"family": "Orr"}]}]', "a.json")
    >>> found.references[0].label
    'Orr, n.d.'
    """
    problems: list[InputError] = []
    references, left = [], Counter[str]()
    for item, at in _items(text, name, problems):
        wrong = _unreadable_parts(item, at) if isinstance(item, dict) else [_no_item(at, item)]
        if wrong:
            problems += wrong
        elif not _text(item, "title"):
            problems.append(untitled(at, f"the item {shown(item.get('id'))}"))
        else:
            references.append(_reference(item, at))
            left.update(set(map(clean, item)) - _READ)
        if len(problems) >= MANY:
            break
    return Bibliography(name, "CSL-JSON", tuple(references), tuple(problems), tuple(sorted(left.items())))


def _items(text: str, name: str, problems: list[InputError]) -> Iterator[tuple[Any, At]]:
    """The items of the file with their first lines; a file that is no list of items is a problem."""
    decoder, blank = json.JSONDecoder(), re.compile(r"[\s,]*")
    start = blank.match(text, 0).end()  # type: ignore[union-attr]
    try:
        whole = decoder.decode(text)
        if isinstance(whole, dict):
            nested = next((whole[key] for key in ("items", "message") if isinstance(whole.get(key), list | dict)), None)
            found = whole if nested is None else nested
            yield from ((item, At(name, 1)) for item in (found if isinstance(found, list) else [found]))
            return
        if not isinstance(whole, list):
            problems.append(_no_item(At(name, 1), whole))
            return
        position = blank.match(text, start + 1).end()  # type: ignore[union-attr]
        for _ in whole:
            line = text.count("\n", 0, position) + 1
            item, position = decoder.raw_decode(text, position)
            position = blank.match(text, position).end()  # type: ignore[union-attr]
            yield item, At(name, line)
    except json.JSONDecodeError as error:
        problems.append(_no_json(At(name, error.lineno), error.msg))
    except (RecursionError, ValueError) as error:  # brackets in brackets; a number of thousands of digits
        problems.append(_no_json(At(name), clean(str(error))[:80]))


def _no_json(at: At, said: str) -> InputError:
    said = said[:1].lower() + said[1:]
    return InputError(
        at,
        f"this is not JSON: {said}",
        "the references stand in it",
        "export the file again as CSL-JSON, or mend the line",
        rule="csl-syntax",
    )


def _no_item(at: At, item: Any) -> InputError:
    return InputError(
        at,
        f"{shown(item)} is not a reference",
        "CSL-JSON is a list of items, each with a type and a title",
        'write [{"id": ..., "type": ..., "title": ...}], or export the file again',
        rule="csl-syntax",
    )


def _unreadable_parts(item: dict[str, Any], at: At) -> list[InputError]:
    """Variables of a kind that nothing can be made of."""
    wrong = [
        name
        for name in (*_PLAIN.values(), "container-title", "page", "issue", "number", "publisher", "type", "id")
        if not isinstance(item.get(name), str | int | float | list | None) or isinstance(item.get(name), bool)
    ]
    for role in ("author", "editor"):
        people = item.get(role)
        if people is not None and not (isinstance(people, list) and all(isinstance(who, dict) for who in people)):
            wrong.append(role)
    if not isinstance(item.get("issued"), dict | None):
        wrong.append("issued")
    return [
        InputError(
            at,
            f"{name} of the item {shown(item.get('id'))} is {shown(item[name])}",
            "CSL-JSON has a text there (people and dates are blocks of their own)",
            "export the file again, or mend the item",
            rule="csl-syntax",
        )
        for name in wrong
    ]


def _text(item: dict[str, Any], name: str) -> str:
    """A variable as text; Crossref wraps titles in lists, and numbers may be bare."""
    value = item.get(name)
    if isinstance(value, list):
        value = next((entry for entry in value if isinstance(entry, str | int | float)), "")
    return "" if value is None else clean(str(value))


def _bare(text: str) -> str:
    """Text without the markup that CSL knows, four levels of it."""
    for _ in range(4):
        text = _MARKUP.sub(r"\2", text)
    return text


def _marked(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Text without CSL's markup, and the stretches that it protected from a change of case."""
    pieces: list[str] = []
    spans, end, length = [], 0, 0
    for found in _NOCASE.finditer(text):
        before, inside = _bare(text[end : found.start()]), _bare(found[1])
        length += len(before)
        spans.append((length, length + len(inside)))
        length += len(inside)
        pieces += [before, inside]
        end = found.end()
    return "".join([*pieces, _bare(text[end:])]), tuple(span for span in spans if span[0] < span[1])


def _reference(item: dict[str, Any], at: At) -> Reference:
    kind = _KINDS.get(_text(item, "type"), "misc")
    texts = {name: _text(item, variable) for name, variable in _PLAIN.items()}
    texts["booktitle" if kind in _PARTS else "journal"] = _text(item, "container-title")
    texts[_PUBLISHERS.get(kind, "publisher")] = _text(item, "publisher")
    texts["pages"] = re.sub(r"(?<=\w)\s*-+\s*(?=\w)", "–", _text(item, "page"), count=1)
    number = _text(item, "number")
    preprint = number.lower().startswith("arxiv:")
    texts["number"] = _text(item, "issue") or (number if kind in {"techreport", "misc"} and not preprint else "")
    if preprint:
        texts |= {"eprint": number[6:], "archiveprefix": texts["archiveprefix"] or "arXiv"}
        texts["publisher"] = "" if texts.get("publisher", "").lower() == "arxiv" else texts.get("publisher", "")
    elif kind == "article":
        texts["eid"] = number
    texts["doi"] = normalised_spelling(texts["doi"])
    texts |= _dated(item.get("issued") or {})
    fields, protected = {}, {}
    for name, text in texts.items():
        plain, spans = _marked(text)
        if plain:
            fields[name] = plain
            if spans:
                protected[name] = spans
    authors, etal = _people(item.get("author") or [])
    editors, etal_editors = _people(item.get("editor") or [])
    key = _text(item, "citation-key") or _text(item, "id")
    return Reference(key, kind, fields, authors, editors, at, etal, etal_editors, protected)


def _people(people: list[dict[str, Any]]) -> tuple[tuple[Name, ...], bool]:
    names = [name for name in map(_name, people) if name.surname]
    cut = [name for name in names if name.literal.lower() in {"et al.", "et al", "others"}]
    return tuple(name for name in names if name not in cut), bool(cut)


def _name(parts: dict[str, Any]) -> Name:
    literal = _text(parts, "literal") or ("" if _text(parts, "family") else _text(parts, "name"))
    if literal:
        return Name(literal=literal)
    family, given = _text(parts, "family"), _text(parts, "given")
    particle = _text(parts, "non-dropping-particle") or _text(parts, "dropping-particle")
    if not particle:
        particle, family = split_particle(family)
    return Name(family, given, particle, _text(parts, "suffix"))


def _dated(issued: dict[str, Any]) -> dict[str, str]:
    parts = issued.get("date-parts")
    first = parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], list) else []
    numbers = [int(str(part)) for part in first if str(part).isdecimal() and len(str(part)) < 5]
    if numbers:
        month = numbers[1] if len(numbers) > 1 else 0
        return {"year": str(numbers[0]), "month": _MONTHS[month - 1] if 1 <= month <= 12 else ""}
    said = _text(issued, "raw") or _text(issued, "literal")
    year = re.match(r"\d{4}(?!\d)", said)
    return {"year": year[0] if year else said}


def to_csl_json(references: Iterable[Reference]) -> str:
    """A CSL-JSON file that holds the references.

    Parameters
    ----------
    references : iterable of Reference
        Any entries; `NOT_IN_CSL` says what the format has no variable for.

    Returns
    -------
    str
        A list of items, indented by two spaces.

    Examples
    --------
    >>> print(to_csl_json([Reference("orr1999", "book", {"title": "Tears", "year": "1999"}, (Name("Orr", "Ann"),))]))
    [
      {
        "id": "orr1999",
        "type": "book",
        "title": "Tears",
        "author": [
          {
            "family": "Orr",
            "given": "Ann"
          }
        ],
        "issued": {
          "date-parts": [
            [
              1999
            ]
          ]
        }
      }
    ]
    <BLANKLINE>
    """
    return json.dumps([_item(reference) for reference in references], indent=2, ensure_ascii=False) + "\n"


def _item(reference: Reference) -> dict[str, Any]:
    fields = {_ALIKE.get(name, name): _spanned(reference, name) for name in reference.fields}
    item: dict[str, Any] = {"id": reference.key, "type": _TYPES.get(reference.kind, "document")}
    item |= {variable: fields[name] for name, variable in _PLAIN.items() if name in fields}
    container = fields.get("booktitle" if reference.kind in _PARTS else "journal")
    number = {"issue": fields.get("number"), "number": fields.get("eid")}
    if item["type"] in {"report", "document"}:
        number = {"issue": None, "number": fields.get("number") or fields.get("eid")}
    item |= {
        name: text
        for name, text in {
            "container-title": container,
            **number,
            "page": fields.get("pages", "").replace("–", "-"),
            "publisher": fields.get("publisher"),
        }.items()
        if text
    }
    if "eprint" in fields and fields.get("archiveprefix", "").lower() == "arxiv" and not container:
        item |= {"type": "article", "number": f"arXiv:{fields['eprint']}"}
        item.setdefault("publisher", "arXiv")
    for role, people, etal in (
        ("author", reference.authors, reference.etal),
        ("editor", reference.editors, reference.etal_editors),
    ):
        if people or etal:
            item[role] = [_csl_name(name) for name in people] + ([{"literal": "et al."}] if etal else [])
    if issued := _issued(reference):
        item["issued"] = issued
    return item


def _spanned(reference: Reference, name: str) -> str:
    """The text of a field with protected stretches in <span class="nocase">."""
    text, pieces, end = reference.fields[name], [], 0
    for start, stop in sorted(reference.protected.get(name, ())):
        pieces += [text[end:start], '<span class="nocase">', text[start:stop], "</span>"]
        end = stop
    return clean("".join([*pieces, text[end:]]))


def _csl_name(name: Name) -> dict[str, str]:
    if name.literal:
        return {"literal": name.literal}
    parts = {
        "family": name.family, "given": name.given, "non-dropping-particle": name.particle, "suffix": name.suffix,
    }  # fmt: skip
    return {part: text for part, text in parts.items() if text}


def _issued(reference: Reference) -> dict[str, Any]:
    if reference.year is None:
        return {"literal": reference.fields["year"]} if "year" in reference.fields else {}
    month = reference.fields.get("month", "").strip()
    number = next((i for i, name in enumerate(_MONTHS, 1) if month and name[:3].lower() == month[:3].lower()), 0)
    number = int(month) if month.isdecimal() and len(month) < 3 else number
    return {"date-parts": [[reference.year, number] if 1 <= number <= 12 else [reference.year]]}
