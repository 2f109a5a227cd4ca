"""Whose numbers a row holds: from "Ferguson & Simes, 1949" to the one reference that fits, or to why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from catharsis.errors import At, InputError
from catharsis.references.keys import folded
from catharsis.references.library import Library, Reference


def surnames(author: str) -> list[str]:
    """The family names that an author cell gives, without "et al.".

    Examples
    --------
    >>> surnames("Ferguson & Simes"), surnames("Rosenthal et al."), surnames("van der Berg, J. and Orr, A.")
    (['Ferguson', 'Simes'], ['Rosenthal'], ['van der Berg', 'Orr'])
    """
    bare = re.sub(r"[\s,]*\b(et\s*al\.?|and others|and colleagues)\s*$", "", author.strip(), flags=re.IGNORECASE)
    parts = [part.strip() for part in re.split(r"\s*(?:;|&|\band\b)\s*", bare) if part.strip(" ,")]
    names = []
    for part in parts:
        words = [word.strip() for word in part.split(",") if word.strip()]
        initials = [word for word in words[1:] if re.fullmatch(r"(?:[A-Z]\.?[\s-]*){1,4}", word) or "." in word]
        names += words if not initials else [words[0]]
    return [re.sub(r"\s+(?:[A-Z]\.?-?)+$", "", name) or name for name in names]


def matching(library: Library, author: str, year: str) -> list[Reference]:
    """Works of these authors and this year.

    Parameters
    ----------
    library : Library
        Where to look.
    author : str
        As a table names them: "Sharman et al.", "Becht & Vingerhoets".
    year : str
        Four digits, perhaps with a letter.

    Returns
    -------
    list of Reference
        In the order of the library; a letter behind the year picks the key that ends with it.
    """
    names = [folded(name) for name in surnames(author)]
    if not names or not year:
        return []
    cut = bool(re.search(r"et\s*al|others|colleagues", author, re.IGNORECASE))
    found = []
    for reference in library.values():
        theirs = [folded(name.surname) for name in reference.creators]
        bare = [folded(name.family or name.literal) for name in reference.creators]
        if str(reference.year or reference.fields.get("year", "")) != year[:4] and reference.fields.get("year") != year:
            continue
        alike = len(theirs) >= len(names) and all(
            name in pair for name, pair in zip(names, zip(theirs, bare, strict=True), strict=False)
        )
        if alike and (not cut or len(theirs) > len(names) or reference.creators_etal):
            found.append(reference)
    if len(found) > 1 and len(names) > 1 and not cut:
        whole = [reference for reference in found if len(reference.creators) == len(names)]
        found = whole or found
    if len(found) > 1 and len(year) > 4:
        lettered = [reference for reference in found if re.search(rf"{year}(?![a-z])", reference.key)]
        found = lettered or found
    return found


def unmatched(at: At, author: str, year: str, matches: Sequence[Reference], library: Library) -> InputError:
    """Why a row has not its one reference, with those that it might be."""
    who = " ".join(part for part in (author, year) if part) or "no author and year"
    if matches:
        listed = "; ".join(f"{one.key} ({one.title[:60]})" for one in matches[:5])
        return InputError(
            at,
            f"{len(matches)} works are by {who}",
            "which of them the numbers come from cannot be known",
            f"add a column with the key, and --map COLUMN=cite: {listed}",
            "ambiguous-cite",
        )
    first = folded(surnames(author)[0]) if surnames(author) else ""
    near = [one for one in library.values() if first and first in {folded(name.surname) for name in one.creators}]
    listed = "; ".join(f"{one.key} ({one.label})" for one in near[:5])
    return InputError(
        at,
        f"no reference is by {who}",
        "every row must name the paper it came from",
        f"import its reference first, or give its key in a column cite; by that name: {listed}"
        if near
        else "import its reference first (catharsis import), or name the review that lists it: --cite KEY",
        "unknown-cite",
    )
