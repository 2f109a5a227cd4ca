"""The same work under two keys, found by DOI, then by title, year and authors.

What is found is only told; `links` keeps what a person, or a shared DOI, decided.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from catharsis.references.keys import folded
from catharsis.references.library import Library, Reference

# Likeness of titles from 0 to 100 (rapidfuzz; letter by letter, or words sorted). Of 1,723 altered copies of this
# repository's references all reach 95, and no two different works do; one pair by one author in one year reaches
# 91 (volume and pages tell it apart). See tests/references/test_duplicates.py.
SURE, PERHAPS = 95.0, 88.0
SAME_NAME = 85.0  # "Hendricks" and "Hendriks" are 94 alike, "Hedges" and "Hodges" 83
YEARS_APART = 1  # printed one year, online the year before
_TELLING = 4  # words: "Editorial" and "Letter to the editor" come again
_SUBTITLE = re.compile(r"(?<=[?!])\s|[:;]\s|\s[–—-]\s|(?<=\w{4})\.\s")  # not behind "vs."
_ROMAN = frozenset({"i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"})


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two references that may be one work.

    Attributes
    ----------
    first, second : Reference
        In the order in which they were met.
    sure : bool
        Whether it is one work beyond doubt; else a person must look.
    why : str
        What they share.
    """

    first: Reference
    second: Reference
    sure: bool
    why: str


def likeness(first: Reference, second: Reference) -> Likeness | None:
    """Whether two references are one work.

    Parameters
    ----------
    first, second : Reference
        Of one bibliography or of two.

    Returns
    -------
    Likeness or None
        None when they are different works.

    Examples
    --------
    >>> from catharsis.references.library import Name
    >>> fields = {"title": "Is crying beneficial?", "year": "2008"}
    >>> ours = Reference("a", "article", fields, (Name("Rottenberg", "Jonathan"),))
    >>> theirs = Reference("b", "article", {**fields, "title": "Is Crying Beneficial"}, (Name("Rottenberg", "J."),))
    >>> found = likeness(ours, theirs)
    >>> found.sure, found.why
    (True, 'same title, first author and year')
    """
    if first.doi and first.doi == second.doi:
        return Likeness(first, second, True, f"same DOI {first.doi}")
    alike = _titles(first.title, second.title)
    if alike < PERHAPS:
        return None
    author, year = _authors(first, second), _years(first, second)
    if author is False or year is False:
        return None
    known = (author or _nobody(first, second)) and (year or first.year is second.year is None)
    two_dois = bool(first.doi and second.doi)
    words = ("same title" if alike >= SURE else f"title {alike:.0f} % alike") + _shared(author, first, second)
    if two_dois:
        if alike < SURE or not known:
            return None
        return Likeness(first, second, False, words + ", but two DOIs: a preprint and its paper, or two versions?")
    elsewhere = _elsewhere(first, second)
    if alike < SURE and elsewhere:
        return None
    if alike >= SURE and known:
        return Likeness(first, second, not elsewhere, words + (", but other volume or pages" if elsewhere else ""))
    return Likeness(first, second, False, words) if known or alike >= SURE else None


def _shared(author: bool | None, first: Reference, second: Reference) -> str:
    year = "year" if first.year is not None and first.year == second.year else ""
    near = "years one apart" if not year and first.year and second.year else ""
    parts = [part for part in ("first author" if author else "", year or near) if part]
    return f", {' and '.join(parts)}" if parts else ""


@lru_cache(maxsize=50_000)  # a title is compared with many
def _plain(title: str) -> str:
    return " ".join(re.findall(r"\w+", folded(title)))


def _titles(first: str, second: str) -> float:
    """Likeness of two titles; a title without its subtitle is the same title."""
    from rapidfuzz.fuzz import ratio

    one, two = _plain(first), _plain(second)
    alike = _alike(one, two)
    if alike < SURE:
        for title, whole, other in ((first, one, two), (second, two, one)):
            head = _head(title)
            if head != whole and len(head.split()) > 2 and _numbers(head) == _numbers(other):
                alike = max(alike, SURE if ratio(head, other) >= SURE else 0.0)
    return alike


@lru_cache(maxsize=50_000)
def _head(title: str) -> str:
    """The title without its subtitle."""
    return _plain(_SUBTITLE.split(title, maxsplit=1)[0])


def _alike(one: str, two: str) -> float:
    """Likeness of two plain titles letter by letter and word by word; two parts of a series are told apart."""
    from rapidfuzz.fuzz import ratio, token_sort_ratio

    if not one or not two or _numbers(one) != _numbers(two):
        return 0.0
    straight: float = ratio(one, two, score_cutoff=PERHAPS)
    sorted_: float = token_sort_ratio(one, two, score_cutoff=PERHAPS)
    return max(straight, sorted_)


@lru_cache(maxsize=50_000)
def _numbers(title: str) -> frozenset[str]:
    return frozenset(word for word in title.split() if word.isdecimal() or word in _ROMAN - {"i"})


def _authors(first: Reference, second: Reference) -> bool | None:
    """Whether the first authors have one name; None when one of the works has no author."""
    from rapidfuzz.fuzz import ratio

    if not first.creators or not second.creators:
        return None
    one, two = (_plain(who.creators[0].surname) for who in (first, second))
    if one == two or ratio(one, two) >= SAME_NAME:
        return True
    return bool(set(one.split()[-1:]) & set(two.split()[-1:]))  # with and without "van", a double name or half of it


def _nobody(first: Reference, second: Reference) -> bool:
    """Whether both lack authors, under a title that no other work is likely to have."""
    return not first.creators and not second.creators and len(_plain(first.title).split()) >= _TELLING


def _years(first: Reference, second: Reference) -> bool | None:
    if first.year is None or second.year is None:
        return None
    return abs(first.year - second.year) <= YEARS_APART


def _elsewhere(first: Reference, second: Reference) -> bool:
    """Whether volume or first page say that these are two papers of one title."""
    for name in ("volume", "pages"):
        one, two = (re.match(r"\w+", who.fields.get(name, "")) for who in (first, second))
        if one and two and one[0] != two[0]:
            return True
    return False


class Index:
    """References by DOI and year, so that a new one is compared with few."""

    def __init__(self, references: Iterable[Reference] = ()) -> None:
        self._dois: dict[str, Reference] = {}
        self._years: dict[int | None, list[Reference]] = defaultdict(list)
        for reference in references:
            self.add(reference)

    def add(self, reference: Reference) -> None:
        """Take in one more."""
        if reference.doi:
            self._dois.setdefault(reference.doi, reference)
        self._years[reference.year].append(reference)

    def like(self, reference: Reference) -> list[Likeness]:
        """Works that may be this one, the surest first."""
        if reference.doi in self._dois:
            same = likeness(self._dois[str(reference.doi)], reference)
            return [same] if same else []
        year = reference.year
        near = [year + step for step in range(-YEARS_APART, YEARS_APART + 1)] if year is not None else [*self._years]
        pool = (other for when in dict.fromkeys([*near, None]) for other in self._years.get(when, ()))
        found = [one for one in (likeness(other, reference) for other in pool) if one is not None]
        return sorted(found, key=lambda one: not one.sure)


def find_duplicates(library: Library, distinct: Iterable[frozenset[str]] = ()) -> list[Likeness]:
    """Pairs of a bibliography that may be one work, without those that a person told apart.

    Examples
    --------
    >>> find_duplicates(Library([Reference("a", "misc", {"title": "Tears", "doi": "10.1/x"})]))
    []
    """
    apart, index, found = set(distinct), Index(), []
    for reference in library.values():
        found += [one for one in index.like(reference) if frozenset({one.first.key, reference.key}) not in apart]
        index.add(reference)
    return sorted(found, key=lambda one: not one.sure)
