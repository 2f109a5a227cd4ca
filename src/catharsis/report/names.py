"""Names for anchors and files: harmless characters, and never two things under one name."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 80


def slug(text: str) -> str:
    """A text as a name: letters, digits, hyphens and underscores.

    Examples
    --------
    >>> slug("mood by response/1")
    'mood-by-response-1'
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:LONGEST] or "unnamed"


def unique_names(keys: Iterable[str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """A name for each key; names that are taken get a number.

    Parameters
    ----------
    keys : iterable of str
        What is to be named, in order.
    reserved : iterable of str
        Names that are taken from the start.

    Returns
    -------
    dict
        Key to name.

    Examples
    --------
    >>> unique_names(["mood", "map", "a b", "a/b"], ["map"])
    {'mood': 'mood', 'map': 'map-2', 'a b': 'a-b', 'a/b': 'a-b-2'}
    """
    taken = {name.casefold() for name in reserved}
    found: dict[str, str] = {}
    for key in keys:
        base, number = slug(key), 1
        name = base
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        found[key] = name
    return found
