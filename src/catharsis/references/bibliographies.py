"""What a reader of any bibliography format hands on: references, problems, and what it left behind.

A record of a database is not yet an entry of ours: its key is whatever the database called it, and tags that
no .bib field holds are left. Both are said, never passed over in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from catharsis.errors import At, InputError
from catharsis.references.bibtex import file_bytes, plain_text
from catharsis.references.library import Name, Reference

_SUFFIXES = frozenset({"jr", "jr.", "sr", "sr.", "ii", "iii", "iv", "2nd", "3rd", "4th"})
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Bibliography:
    """References read from one file.

    Attributes
    ----------
    file : str
        The file as the user named it.
    format : str
        How people call the format.
    references : tuple of Reference
        Every record that could be read, in file order.
    problems : tuple of InputError
        Every record that could not, and why.
    left : mapping of str to int
        What no field of a .bib file holds, by tag, with the number of records that have it.
    notes : tuple of str
        Readings that a person should look at.
    """

    file: str
    format: str
    references: tuple[Reference, ...]
    problems: tuple[InputError, ...] = ()
    left: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


def read_text(path: Path) -> str | InputError:
    """The text of a bibliography file, or why there is none."""
    data = file_bytes(path)
    return data if isinstance(data, InputError) else plain_text(data, path.as_posix())


def clean(text: str) -> str:
    r"""Text of a database on one line, without characters that cannot be printed.

    Examples
    --------
    >>> clean("Crying\r\n and\x00 mood ")
    'Crying and mood'
    """
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def surname_first(text: str) -> Name:
    """A name as databases write it: family name first, then a comma.

    Parameters
    ----------
    text : str
        "van IJzendoorn, Marinus H.", "Williams, R. M., Jr."; an organisation ends with a comma or has none.

    Returns
    -------
    Name

    Examples
    --------
    >>> surname_first("van IJzendoorn, Marinus H.")
    Name(family='IJzendoorn', given='Marinus H.', particle='van', suffix='', literal='')
    >>> surname_first("Williams, R M Jr").suffix
    'Jr'
    >>> surname_first("World Health Organization,").literal
    'World Health Organization'
    """
    text = clean(text)
    if text.endswith(","):
        return Name(literal=text.rstrip(" ,"))
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1:
        return Name(literal=text) if " " in text else Name(family=text)
    if len(parts) > 2 and parts[-1].lower() not in _SUFFIXES and parts[1].lower() not in _SUFFIXES:
        return Name(literal=text)
    family, rest = parts[0], [part for part in parts[1:] if part]
    suffix = next((part for part in rest if part.lower() in _SUFFIXES), "")
    given = " ".join(part for part in rest if part != suffix)
    words = given.split()
    if not suffix and len(words) > 1 and words[-1].lower() in _SUFFIXES:
        given, suffix = " ".join(words[:-1]), words[-1]
    particle, family = split_particle(family)
    return Name(family, given, particle, suffix)


def split_particle(family: str) -> tuple[str, str]:
    """The words up to the last one in small letters, and the rest: BibTeX's rule for "von".

    Examples
    --------
    >>> split_particle("Van den Berg"), split_particle("de"), split_particle("Van Dyke")
    (('Van den', 'Berg'), ('', 'de'), ('', 'Van Dyke'))
    """
    words = family.split()
    small = max((i for i, word in enumerate(words[:-1], 1) if word[:1].islower()), default=0)
    return " ".join(words[:small]), " ".join(words[small:])


def surname_last(name: Name) -> str:
    """The reverse of `surname_first`: an organisation ends with a comma, as EndNote writes it.

    Examples
    --------
    >>> surname_last(Name("IJzendoorn", "Marinus H.", particle="van"))
    'van IJzendoorn, Marinus H.'
    >>> surname_last(Name(literal="World Health Organization"))
    'World Health Organization,'
    """
    if name.literal:
        return name.literal + ","
    return ", ".join(part for part in (name.surname, name.given, name.suffix) if part)


def untitled(at: At, record: str) -> InputError:
    """A record without a title."""
    return InputError(
        at,
        f"{record} has no title",
        "a reference without a title can be neither cited nor found again",
        "complete it where it was exported, or delete the record",
        rule="bibliography-title",
    )
