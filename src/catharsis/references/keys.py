"""Citation keys as the house gives them: family name, year, and a word of the title where the others have one.

A bibliography shows its own style: where most keys are name and year alone, so are the new ones (with a letter
when two would be the same); elsewhere the first word of the title follows that tells something.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from catharsis.references.library import Reference

# Words that begin many titles and tell nothing (articles, prepositions, and what every paper is).
_TELLS_NOTHING = frozenset({
    "a", "about", "across", "after", "among", "an", "analyses", "analysis", "analytic", "and", "are", "as", "at",
    "before", "between", "by", "can", "do", "does", "during", "effect", "effects", "evidence", "examining",
    "exploring", "for", "from", "how", "impact", "in", "influence", "influences", "into", "introduction",
    "investigating", "is", "its", "meta", "more", "multivariate", "new", "not", "of", "on", "or", "our", "over",
    "relation", "relations", "relationship", "relationships", "review", "role", "roles", "should", "some",
    "studies", "study", "systematic", "that", "the", "their", "to", "toward", "towards", "under", "upon", "use",
    "using", "via", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "within",
    "without",
})  # fmt: skip
_SHARED, _SHARE = 3, 0.05  # a word of three titles, and of a twentieth of them, is the topic and not the paper
_WITH_WORD = re.compile(r"[a-z]+\d{4}[a-z]{2,}\d*")
_PLAIN = re.compile(r"[a-z]+\d{4}[a-z]?")
_BASE = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ß": "ss"}
)


def folded(text: str) -> str:
    """Text in small letters without accents, for comparisons and keys.

    Examples
    --------
    >>> folded("Gračanin, Ø.")
    'gracanin, o.'
    """
    parts = unicodedata.normalize("NFKD", text.casefold().translate(_BASE))
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


@dataclass(frozen=True, slots=True)
class Manner:
    """How the keys of a bibliography look.

    Attributes
    ----------
    plain : bool
        Name and year alone; else a word of the title follows.
    shared : frozenset of str
        Words that many of its titles have: its topic, which tells no paper from another.
    """

    plain: bool = False
    shared: frozenset[str] = frozenset()


def manner_of(references: Iterable[Reference]) -> Manner:
    """The manner of a bibliography: most of its keys decide.

    Examples
    --------
    >>> manner_of([Reference("egger1997", "article")]).plain
    True
    """
    known = list(references)
    plain = sum(bool(_PLAIN.fullmatch(one.key)) for one in known)
    with_word = sum(bool(_WITH_WORD.fullmatch(one.key)) for one in known)
    times = Counter(word for one in known for word in set(_words(one.title)))
    often = max(_SHARED, len(known) * _SHARE)
    return Manner(plain > with_word, frozenset(word for word, count in times.items() if count >= often))


def new_key(reference: Reference, taken: Collection[str], manner: Manner | None = None) -> str:
    """A citation key for a new reference.

    Parameters
    ----------
    reference : Reference
        What shall be cited.
    taken : collection of str
        Keys that are in use, in small letters (`str.casefold`).
    manner : Manner, optional
        Of the bibliography that the new one joins; by default a word of the title follows name and year.

    Returns
    -------
    str
        Letters and digits only.

    Examples
    --------
    >>> from catharsis.references.library import Name
    >>> paper = Reference("", "article", {"title": "The neurobiology of human crying", "year": "2019"},
    ...                   (Name("Gračanin", "A."),))
    >>> new_key(paper, set()), new_key(paper, {"gracanin2019"}, Manner(plain=True))
    ('gracanin2019neurobiology', 'gracanin2019b')
    """
    return next(key for key in _candidates(reference, manner or Manner()) if key not in taken)


def in_style(key: str) -> bool:
    """Whether a key already has one of the forms that `new_key` gives."""
    return bool(_WITH_WORD.fullmatch(key) or _PLAIN.fullmatch(key))


def _candidates(reference: Reference, manner: Manner) -> Iterator[str]:
    creators = reference.creators
    who = letters(creators[0].surname) if creators else ""
    words = [word for word in _words(reference.title) if word not in _TELLS_NOTHING] or _words(reference.title)
    words.sort(key=lambda word: word in manner.shared)  # stable: the order of the title stays
    who = who or "".join(words[:1]) or "anonymous"
    year = str(reference.year) if reference.year is not None else "nd"
    if manner.plain or not words:
        yield f"{who}{year}"
        yield from (f"{who}{year}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    else:
        yield from (f"{who}{year}{word}" for word in words)
    stem = f"{who}{year}{words[0] if words else ''}"
    yield from (f"{stem}{number}" for number in count(2))


def letters(text: str) -> str:
    """The plain letters of a name, together."""
    return re.sub(r"[^a-z]", "", folded(text))


def _words(title: str) -> list[str]:
    """The words of a title, letters only; what an apostrophe joins stays together."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", folded(title))
    return [word for word in (re.sub(r"[^a-z]", "", word) for word in words) if len(word) > 1]
