r"""From references back to a .bib file, in ASCII where LaTeX has a name for the letter.

The reverse of `latex` and `people`: what is written here is read there as the very same text. A name, a title
or an address is never shortened or mended; braces protect again what they protected before.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from catharsis.references.latex import accent_commands, decode
from catharsis.references.library import Name, Reference
from catharsis.references.people import read_people

VERBATIM = frozenset({"doi", "url", "eprint", "file", "isbn", "issn"})  # as `bibtex` reads them
TITLES = frozenset({"title", "booktitle", "journal", "journaltitle", "series", "subtitle"})
_FIRST = (
    "author", "editor", "title", "subtitle", "booktitle", "journal", "journaltitle", "series", "year", "date", "month",
    "volume", "number", "issue", "pages", "eid", "chapter", "edition", "publisher", "institution", "school",
    "organization", "address", "location", "howpublished", "type", "isbn", "issn", "doi", "url", "eprint",
    "archiveprefix", "eprinttype", "pmid",
)  # fmt: skip
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\^{}",
    "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_",
    "–": "--", "—": "---", "“": "``", "”": "''",
}  # fmt: skip
_LETTERS = {
    "ø": r"{\o}", "Ø": r"{\O}", "ł": r"{\l}", "Ł": r"{\L}", "ß": r"{\ss}", "æ": r"{\ae}", "Æ": r"{\AE}",
    "œ": r"{\oe}", "Œ": r"{\OE}",
}  # fmt: skip
# Signs that would be read together as a quote or a dash when they meet.
_MEETING = re.compile(r"(?<=['`-])(?=['`-])")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")


def to_bibtex(references: Iterable[Reference]) -> str:
    r"""A .bib file that holds the references.

    Parameters
    ----------
    references : iterable of Reference
        Any entries; their keys are kept.

    Returns
    -------
    str
        One entry after another, a blank line between; "" for none.

    Examples
    --------
    >>> paper = Reference(
    ...     "gracanin2014soothing", "article",
    ...     {"year": "2014", "title": "Is REML 95% fair?", "pages": "1–9"},
    ...     (Name("Gračanin", "Asmir"), Name(literal="World Health Organization")), etal=True,
    ...     protected={"title": ((3, 7),)},
    ... )
    >>> print(to_bibtex([paper]))
    @article{gracanin2014soothing,
      author = {Gra{\v{c}}anin, Asmir and {World Health Organization} and others},
      title  = {Is {REML} 95\% fair?},
      year   = {2014},
      pages  = {1--9}
    }
    <BLANKLINE>
    """
    return "\n".join(_entry(reference) for reference in references)


def encode(text: str, protected: Iterable[tuple[int, int]] = ()) -> str:
    r"""LaTeX that `latex.decode` reads as this text.

    Parameters
    ----------
    text : str
        Plain unicode text.
    protected : iterable of (start, end)
        Stretches whose letter case braces shall protect.

    Returns
    -------
    str
        ASCII where LaTeX has a command for a letter, UTF-8 elsewhere.

    Examples
    --------
    >>> print(encode("Santé & REML", [(8, 12)]))
    Sant{\'e} \& {REML}
    """
    pieces, end = [], 0
    for start, stop in sorted(protected):
        if start < end or stop > len(text):  # spans that overlap say nothing that braces could
            continue
        pieces += [_encoded(text[end:start]), "{", _encoded(text[start:stop]), "}"]
        end = stop
    return "".join([*pieces, _encoded(text[end:])])


def encode_verbatim(text: str) -> str:
    r"""A value that `latex.verbatim` reads as this address or identifier.

    Examples
    --------
    >>> print(encode_verbatim("https://example.org/a_b?c={d}"))
    https://example.org/a_b?c=\{d\}
    """
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    latex = re.sub(r"(?<=\\)[_&%#$~^]|[{}]", lambda sign: "\\" + sign[0], text)
    return latex + " " if latex.endswith("\\") else latex  # a backslash would hide the closing brace


def name_latex(name: Name) -> str:
    r"""A name as BibTeX reads it: von Last, Jr, First; an organisation in braces.

    Examples
    --------
    >>> name_latex(Name("IJzendoorn", "Marinus H.", particle="van"))
    'van IJzendoorn, Marinus H.'
    """
    if name.literal:
        return _braced(name.literal)
    surname = " ".join(part for part in (_part(name.particle), _part(name.family)) if part)
    plain = ", ".join(part for part in (surname, _part(name.suffix), _part(name.given)) if part)
    if _reads_as(plain, name):
        return plain
    # a family name in small letters would pass for a particle, a word "and" for the end of the name
    braced = [_braced(name.particle) if " and " in name.particle else _part(name.particle), _braced(name.family)]
    parts = [" ".join(part for part in braced if part), _braced(name.suffix), _braced(name.given)]
    guarded = ", ".join(part for part in parts if part)
    return guarded if _reads_as(guarded, name) else _braced(_in_order(name))


def _reads_as(latex: str, name: Name) -> bool:
    try:
        people = read_people(latex)
    except ValueError:
        return False
    return people.names == (name,) and not people.etal


def _in_order(name: Name) -> str:
    return " ".join(part for part in (name.given, name.particle, name.family, name.suffix) if part)


def _part(text: str) -> str:
    """A part of a name; BibTeX counts braces in names without regard to backslashes, so they go by name."""
    return encode(text).replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")


def _braced(text: str) -> str:
    latex = _part(text)  # a group that begins with a backslash would be a letter with an accent
    return "{" + ("{}" if latex.startswith("\\") else "") + latex + "}" if text else ""


def people_latex(names: Iterable[Name], etal: bool = False) -> str:
    """The names joined by "and", with "and others" when the list was cut."""
    return " and ".join([*map(name_latex, names), *(["others"] if etal else [])])


def _entry(reference: Reference) -> str:
    values = _values(reference)
    width = max(map(len, values), default=0)
    fields = [f"  {name:<{width}} = {{{latex}}}" for name, latex in values.items()]
    return f"@{reference.kind}{{{reference.key},\n" + ",\n".join(fields) + "\n}\n"


def _values(reference: Reference) -> dict[str, str]:
    """LaTeX of every field, in the order in which people read them."""
    values: dict[str, str] = {}
    for role, people, etal in (
        ("author", reference.authors, reference.etal),
        ("editor", reference.editors, reference.etal_editors),
    ):
        if people:
            values[role] = people_latex(people, etal)
    for name in (*_FIRST, *reference.fields):
        if name in reference.fields and name not in values and name != "crossref":  # what it adds is there already
            values[name] = _field(name, reference.fields[name], reference.protected)
    return {name: values[name] for name in (*_FIRST, *values) if name in values}


def _field(name: str, text: str, protected: Mapping[str, tuple[tuple[int, int], ...]]) -> str:
    if name in VERBATIM:
        return encode_verbatim(text)
    return encode(text, protected.get(name, ()) if name in TITLES else ())


def _encoded(text: str) -> str:
    text = re.sub("[ \t\n\r\f\v]+", " ", _UNPRINTABLE.sub(" ", text))
    return "".join(map(_sign, re.sub(_MEETING, "\ufdd0", text)))


def _sign(sign: str) -> str:
    if sign == "\ufdd0":
        return "{}"
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    if sign.isascii():
        return sign
    latex = _LETTERS.get(sign) or _accented(sign)
    return latex if latex and decode(latex).text == sign else sign


def _accented(sign: str) -> str:
    r"""A letter with one accent as {\'e} or {\v{c}}; "" when LaTeX has no such pair."""
    parts = unicodedata.normalize("NFD", sign)
    if len(parts) != 2 or not parts[0].isascii():
        return ""
    command = accent_commands().get(parts[1], "")
    if not command:
        return ""
    letter = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0]) if command != "c" else parts[0]
    return f"{{\\{command}{{{letter}}}}}" if command.isalpha() or letter != parts[0] else f"{{\\{command}{letter}}}"
