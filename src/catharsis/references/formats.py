"""One door for all formats of bibliographies: .bib, .ris, .nbib and CSL-JSON in; .bib, .ris and CSL-JSON out.

The ending of a file names its format; a .txt file, as databases like to call their exports, is told by its
first lines.
"""

from __future__ import annotations

import re
from pathlib import Path

from catharsis.errors import At, InputError
from catharsis.references.bibliographies import Bibliography, read_text
from catharsis.references.bibtex import parse_bib
from catharsis.references.bibtex_writing import to_bibtex
from catharsis.references.csl_json import parse_csl_json, to_csl_json
from catharsis.references.pubmed import parse_nbib
from catharsis.references.ris import parse_ris, to_ris

__all__ = ["SUFFIXES", "read_bibliography", "to_bibtex", "to_csl_json", "to_ris"]

SUFFIXES = (".bib", ".ris", ".nbib", ".json", ".txt")


def _parse_bib(text: str, name: str) -> Bibliography:
    references, problems = parse_bib(text, name)
    return Bibliography(name, "BibTeX", tuple(references), tuple(problems))


_PARSERS = {".bib": _parse_bib, ".ris": parse_ris, ".nbib": parse_nbib, ".json": parse_csl_json}


def read_bibliography(path: str | Path) -> Bibliography:
    r"""References of a file in any format that catharsis reads.

    Parameters
    ----------
    path : str or Path
        A .bib, .ris, .nbib, .json (CSL) or .txt file.

    Returns
    -------
    Bibliography
        Also its problems; nothing is raised.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "export.txt")
    ...     _ = file.write_text("TY  - JOUR\nTI  - Tears\nER  - \n")
    ...     read_bibliography(file).format
    'RIS'
    """
    path = Path(path)
    text, name = read_text(path), path.as_posix()
    if isinstance(text, InputError):
        return Bibliography(name, "", (), (text,))
    suffix = path.suffix.lower()
    parse = _PARSERS.get(suffix) or _PARSERS.get(_told_by(text))
    if parse is None:
        return Bibliography(name, "", (), (_unknown(At(name)),))
    found = parse(text, name)
    if not found.references and not found.problems:
        return Bibliography(name, found.format, (), (_empty(At(name), found.format),))
    return found


def _told_by(text: str) -> str:
    """The format of a text by how it begins."""
    start = text.lstrip("\ufeff \t\n")[:2000]
    if re.match(r"[\[{]", start):
        return ".json"
    if re.search(r"^TY  - ", start, re.MULTILINE):
        return ".ris"
    if re.match(r"(PMID|OWN |DP  |TI  )- ", start):
        return ".nbib"
    return ".bib" if re.search(r"^\s*@\w+\s*\{", start, re.MULTILINE) else ""


def _unknown(at: At) -> InputError:
    return InputError(
        at,
        "the format of the file is not known",
        "references are read from BibTeX, RIS, PubMed (.nbib) and CSL-JSON",
        "export it in one of these, with the ending .bib, .ris, .nbib or .json",
        rule="bibliography-format",
    )


def _empty(at: At, form: str) -> InputError:
    return InputError(
        at,
        f"the file holds no reference in {form}",
        "there is nothing to import",
        "check that it is the file you exported, and that its ending tells its format",
        rule="bibliography-format",
    )
