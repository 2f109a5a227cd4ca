"""Stage 1: from .bib files to references that studies, methods and reports cite by key.

`read_references` reads a .bib file or a folder of them and reports every problem with its file and line;
`methods_library` reads the methods that catharsis implements; `format_apa` prints a reference list in APA 7
style and `in_text_labels` the citations that go with it.

Nothing here completes, corrects or guesses a bibliographic field. bibtexparser and citeproc-py load on the
first use, not with this package.
"""

from catharsis.references.bibtex import methods_library, read_bib, read_references
from catharsis.references.citation import cite_key, csl_item, format_apa, in_text_labels, year_suffixes
from catharsis.references.library import Library, Name, Reference

__all__ = [
    "Library",
    "Name",
    "Reference",
    "cite_key",
    "csl_item",
    "format_apa",
    "in_text_labels",
    "methods_library",
    "read_bib",
    "read_references",
    "year_suffixes",
]
