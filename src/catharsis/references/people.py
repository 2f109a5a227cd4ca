r"""From the author field of a .bib file to names.

BibTeX's own rules decide (First von Last; von Last, First; von Last, Jr, First); a name in braces is an
organisation and stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from catharsis.references.latex import decode
from catharsis.references.library import Name

_AND_OTHERS = frozenset({"others", "et al", "et al.", "{et al.}"})


@dataclass(frozen=True, slots=True)
class People:
    """The names of a field, and whether it ended with "and others"."""

    names: tuple[Name, ...] = ()
    etal: bool = False


def read_people(latex: str) -> People:
    r"""Names of an author or editor field.

    Parameters
    ----------
    latex : str
        The field without its own braces.

    Returns
    -------
    People
        In the order of the field.

    Raises
    ------
    ValueError
        When a name has more than two commas or ends with one; the message says which.

    Examples
    --------
    >>> read_people(r"de March, Claire A. and {World Health Organization} and others")
    People(names=(Name(family='March', given='Claire A.', particle='de', suffix='', literal=''),
        Name(family='', given='', particle='', suffix='', literal='World Health Organization')), etal=True)
    """
    from bibtexparser.middlewares.names import split_multiple_persons_names

    parts = [part for part in (name.strip() for name in split_multiple_persons_names(latex)) if part]
    etal = bool(parts) and parts[-1].lower() in _AND_OTHERS
    return People(tuple(read_name(part) for part in (parts[:-1] if etal else parts)), etal)


def read_name(latex: str) -> Name:
    r"""One name.

    Raises
    ------
    ValueError
        When the name cannot be split into parts.

    Examples
    --------
    >>> read_name("Williams, Jr., R. M.")
    Name(family='Williams', given='R. M.', particle='', suffix='Jr.', literal='')
    >>> read_name("Marinus H. van IJzendoorn").surname
    'van IJzendoorn'
    """
    from bibtexparser.middlewares.names import parse_single_name_into_parts

    if _is_braced(latex):
        return Name(literal=decode(latex[1:-1]).text)
    parts = parse_single_name_into_parts(latex, strict=True)
    name = Name(
        family=_joined(parts.last),
        given=_joined(parts.first),
        particle=_joined(parts.von),
        suffix=_joined(parts.jr),
    )
    if not name.surname:
        raise ValueError(f"the name `{latex}` has no family name")
    return name


def _joined(words: list[str]) -> str:
    text: str = decode(" ".join(words)).text
    return text


def _is_braced(latex: str) -> bool:
    """Whether one pair of braces holds the whole name (and does not begin with an accent)."""
    if not (latex.startswith("{") and latex.endswith("}")) or latex.startswith("{\\"):
        return False
    depth = 0
    for position, sign in enumerate(latex):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return position == len(latex) - 1
    return False
