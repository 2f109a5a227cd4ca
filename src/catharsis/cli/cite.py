"""`catharsis cite`."""

from __future__ import annotations

from pathlib import Path

from catharsis.cli.output import tell


def cite_one(key: str, bibliography: Path) -> int:
    """Print one reference; unknown keys and broken bibliographies are input errors."""
    from catharsis.errors import InputError, InputErrors
    from catharsis.references.bibtex import methods_library, read_references
    from catharsis.references.citation import cite_key

    library = read_references(bibliography).merged(methods_library())
    try:
        tell(cite_key(library, key))
    except InputError as problem:
        raise InputErrors([problem]) from None
    return 0
