"""What a bibliography knows: people, references, and the library that finds them by key.

Everything here is plain unicode text; LaTeX was left behind in `bibtex`. A field that the .bib file does
not have is absent here too: nothing is completed or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

from catharsis.errors import At

_DOI_PREFIX = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*|doi\.org/)", re.IGNORECASE)
_SHORT_TITLE_WORDS = 4  # APA asks for "the first few words" of a title that stands for an author
_WHOLE_TITLE_WORDS = 5  # a main title up to this length is not worth cutting
_TRAILING_WORDS = frozenset({
    "a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "of", "on", "or", "than", "that",
    "the", "to", "when", "with",
})  # fmt: skip
# APA lists an edited book under its editors; anything else without an author goes under its title.
_EDITED_KINDS = frozenset({"book", "collection", "proceedings"})


@dataclass(frozen=True, slots=True)
class Name:
    """A person (family, given, particle, suffix) or an organisation (literal).

    Examples
    --------
    >>> Name("IJzendoorn", "Marinus H.", particle="van").surname
    'van IJzendoorn'
    >>> Name(literal="World Health Organization").surname
    'World Health Organization'
    """

    family: str = ""
    given: str = ""
    particle: str = ""
    suffix: str = ""
    literal: str = ""

    @property
    def surname(self) -> str:
        """The name as a citation in the text shows it."""
        return self.literal or " ".join(part for part in (self.particle, self.family) if part)


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of a bibliography, decoded to plain unicode text.

    Attributes
    ----------
    key : str
        The citation key, as written.
    kind : str
        The entry type in lower case: article, book, incollection, misc, ...
    fields : mapping of str to str
        Every other field by its lower-case name; names of people are in `authors` and `editors`.
    authors, editors : tuple of Name
        In the order of the paper.
    at : At
        File and line where the entry starts.
    etal : bool
        Whether the list of authors ended with "and others".
    etal_editors : bool
        The same for the editors.
    protected : mapping of str to spans
        Per field the (start, end) stretches whose letter case braces protected.

    Examples
    --------
    >>> paper = Reference(
    ...     "becht2002mood",
    ...     "article",
    ...     {"title": "Crying and mood change", "year": "2002", "doi": "https://doi.org/10.1080/ABC"},
    ...     (Name("Becht", "M. C."), Name("Vingerhoets", "A. J. J. M.")),
    ... )
    >>> paper.label, paper.narrative, paper.doi
    ('Becht & Vingerhoets, 2002', 'Becht and Vingerhoets (2002)', '10.1080/abc')
    """

    key: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)
    authors: tuple[Name, ...] = ()
    editors: tuple[Name, ...] = ()
    at: At = field(default=At(""))
    etal: bool = False
    etal_editors: bool = False
    protected: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "protected", MappingProxyType(dict(self.protected)))

    def __hash__(self) -> int:
        return hash((self.key, self.at))

    @property
    def year(self) -> int | None:
        """Year of publication, or None when the entry has none that is a number."""
        match = re.match(r"\s*(\d{4})(?!\d)", self.fields.get("year") or self.fields.get("date") or "")
        return int(match[1]) if match else None

    @property
    def title(self) -> str:
        """Title as given, "" when absent."""
        return self.fields.get("title", "")

    @property
    def doi(self) -> str | None:
        """The DOI in lower case and without a resolver's address, or None."""
        return normalised_doi(self.fields.get("doi", "")) or None

    @property
    def creators(self) -> tuple[Name, ...]:
        """Who stands in the author position: the authors, or the editors of a book without authors."""
        return self.editors if self._listed_under_editors else self.authors

    @property
    def creators_etal(self) -> bool:
        """Whether the list in the author position ended with "and others"."""
        return self.etal_editors if self._listed_under_editors else self.etal

    @property
    def date_text(self) -> str:
        """What a citation prints as the date: the year, the words given for it, or "n.d."."""
        return str(self.year) if self.year is not None else self.fields.get("year", "n.d.")

    @property
    def label(self) -> str:
        """The citation in parentheses, in APA style, without the parentheses."""
        return self.in_text()

    @property
    def narrative(self) -> str:
        """The citation as part of a sentence, in APA style."""
        return self.in_text(narrative=True)

    @property
    def _listed_under_editors(self) -> bool:
        return not self.authors and bool(self.editors) and self.kind in _EDITED_KINDS

    def in_text(self, *, narrative: bool = False, names: int = 1, suffix: str = "") -> str:
        """Citation in the text, in APA style.

        Parameters
        ----------
        narrative : bool
            "Becht and Vingerhoets (2002)" instead of "Becht & Vingerhoets, 2002".
        names : int
            How many names stand before "et al."; more than 1 tells apart two lists that begin alike.
        suffix : str
            The letter that tells apart works of the same people and year.

        Returns
        -------
        str
            Plain text.

        Examples
        --------
        >>> Reference("a", "misc", {"title": "Massage increases oxytocin and reduces hormones"}).in_text()
        '“Massage increases oxytocin,” n.d.'
        >>> team = tuple(Name(family) for family in ("Friede", "Röver", "Wandel"))
        >>> Reference("b", "misc", {"year": "2017"}, team).in_text(suffix="a", narrative=True)
        'Friede et al. (2017a)'
        """
        dash = "-" if suffix and self.year is None else ""
        date = f"{self.date_text}{dash}{suffix}"
        if not self.creators:
            short = self.short_title
            if not short:
                return f"{self.key} ({date})" if narrative else f"{self.key}, {date}"
            comma = "" if short.endswith(("?", "!", ".")) else ","
            return f"“{short}” ({date})" if narrative else f"“{short}{comma}” {date}"
        who = self._who("and" if narrative else "&", names)
        return f"{who} ({date})" if narrative else f"{who}, {date}"

    @property
    def short_title(self) -> str:
        """The first few words of the title, which stand for a missing author."""
        main = re.split(r"(?<=[?!])\s|[:;,]\s|\s[–—]\s", self.title, maxsplit=1)[0]
        words = main.split()
        if len(words) <= _WHOLE_TITLE_WORDS:
            return " ".join(words)
        words = words[:_SHORT_TITLE_WORDS]
        while len(words) > 1 and words[-1].lower() in _TRAILING_WORDS:
            words.pop()
        return " ".join(words)

    def _who(self, conjunction: str, names: int) -> str:
        surnames = [name.surname for name in self.creators]
        if self.creators_etal or len(surnames) > max(2, names + (names > 1)):  # et al. hides two or more
            shown = surnames[:names]
            return f"{', '.join(shown)}{',' if len(shown) > 1 else ''} et al."
        if len(surnames) <= 2:
            return f" {conjunction} ".join(surnames)
        return f"{', '.join(surnames[:-1])}, {conjunction} {surnames[-1]}"


class Library(Mapping[str, Reference]):
    """References by citation key, in the order of the files.

    A key that `duplicates` linked to another finds the other's reference, and is not listed.

    Examples
    --------
    >>> library = Library([Reference("smith2020", "article", at=At("references/sleep.bib", 112))])
    >>> library.suggest("smtih2020")
    'did you mean "smith2020" (references/sleep.bib:112)?'
    """

    def __init__(self, references: Iterable[Reference] = (), links: Mapping[str, str] | None = None) -> None:
        every = {reference.key: reference for reference in references}
        self.links: Mapping[str, str] = MappingProxyType(dict(links or {}))
        self.linked: Mapping[str, Reference] = MappingProxyType({k: r for k, r in every.items() if k in self.links})
        self._references = {key: reference for key, reference in every.items() if key not in self.links}

    def __getitem__(self, key: str) -> Reference:
        return self._references[self.canonical(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)

    def __repr__(self) -> str:
        return f"Library({len(self)} references)"

    def canonical(self, key: str) -> str:
        """The key under which the work of `key` stands: itself, or what `duplicates` linked it to.

        Examples
        --------
        >>> Library([Reference("smith2020", "article")], {"smith2020b": "smith2020"}).canonical("smith2020b")
        'smith2020'
        """
        return self.links.get(key, key)

    def merged(self, fallback: Mapping[str, Reference]) -> Library:
        """Own references and those of `fallback`; where both have a key, the own reference stays.

        Examples
        --------
        >>> own, methods = Reference("egger1997", "article"), Reference("egger1997", "misc")
        >>> Library([own]).merged(Library([methods]))["egger1997"].kind
        'article'
        """
        theirs = fallback.links if isinstance(fallback, Library) else {}
        links = {**{key: target for key, target in theirs.items() if key not in self._references}, **self.links}
        return Library({**dict(fallback), **self._references, **self.linked}.values(), links)

    def suggest(self, key: str) -> str:
        """How to mend an unknown key: the closest known one with its place, or what to add.

        Examples
        --------
        >>> Library().suggest("smith2020")
        'add an entry with the key "smith2020" to the bibliography'
        """
        close = get_close_matches(key, self._references, n=1, cutoff=0.6)
        if close:
            return f'did you mean "{close[0]}" ({self[close[0]].at})?'
        return f'add an entry with the key "{key}" to the bibliography'


def normalised_doi(text: str) -> str:
    """DOI in lower case and without a resolver's address, "" when there is none.

    Examples
    --------
    >>> normalised_doi("https://doi.org/10.1037/0021-843X.111.2.302")
    '10.1037/0021-843x.111.2.302'
    """
    return _DOI_PREFIX.sub("", text.strip()).lower()
