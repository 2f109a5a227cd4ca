"""`catharsis duplicates`: works under two keys, linked, told apart, or listed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from catharsis.cli.output import tell
from catharsis.errors import At, InputError, InputErrors, did_you_mean, shown


def duplicates(
    folder: Path, link: str | None, undo: str | None, distinct: str | None, by: str | None, why: str | None
) -> int:
    """Link two keys of one work, undo a link, tell two works apart, or list what looks alike.

    Returns
    -------
    int
        0 done.

    Raises
    ------
    InputErrors
        Unknown keys, or files that cannot be read; nothing is written then.
    """
    from catharsis.plan.spec import bibliography_of
    from catharsis.references.links import Link, add_links, links_path, tell_apart, undo_link

    bibliography = bibliography_of(folder)
    path = links_path(bibliography)
    if undo is not None:
        undo_link(path, undo)
        tell(f"{path.as_posix()}: {undo} stands for itself again")
    if link is not None:
        first, second = _two_keys(link, "--link", bibliography)
        add_links(path, [Link(first, second, why or "", by or "", date.today().isoformat())])
        tell(f"{path.as_posix()}: {first} now finds {second}; undo it with --undo {first}")
    if distinct is not None:
        first, second = _two_keys(distinct, "--distinct", bibliography)
        tell_apart(path, first, second)
        tell(f"{path.as_posix()}: {first} and {second} are two works")
    if link is undo is distinct is None:
        _list_alike(bibliography, path, folder)
    return 0


def _entries(bibliography: Path) -> list[str]:
    """Keys of all entries, also those of a bibliography with a duplicate that the link shall settle."""
    from catharsis.references.bibtex import read_bib

    files = sorted(bibliography.glob("*.bib")) if bibliography.is_dir() else [bibliography]
    return [reference.key for file in files for reference in read_bib(file)[0]]


def _two_keys(text: str, option: str, bibliography: Path) -> tuple[str, str]:
    first, _, second = (part.strip() for part in text.partition("="))
    known = _entries(bibliography)
    if not first or not second or first == second:
        what = f"{option} is {shown(text)}, which does not name two keys"
        at, fix = At("catharsis duplicates"), f"write {option} one2020=other2020"
        raise InputErrors([InputError(at, what, "two keys are linked or told apart", fix, "usage")])
    unknown = [key for key in ((second,) if option == "--link" else (first, second)) if key not in known]
    if unknown:
        what = f"no reference has the key {shown(unknown[0])}"
        at, why = At(bibliography.as_posix()), "a link leads to an entry of the bibliography"
        raise InputErrors([InputError(at, what, why, did_you_mean(unknown[0], known), "link-target")])
    return first, second


def _list_alike(bibliography: Path, path: Path, folder: Path) -> None:
    from catharsis.references.bibtex import read_references
    from catharsis.references.duplicates import find_duplicates
    from catharsis.references.links import read_links

    library, links = read_references(bibliography), read_links(path)
    for link in links.links:
        said = ", ".join(part for part in (link.why, link.by, link.date) if part)
        tell(f"linked: {link.key} finds {library.canonical(link.key)} ({said or 'no reason given'}; {link.at})")
    found = find_duplicates(library, links.distinct)
    for one in found:
        tell(f"{'the same' if one.sure else 'alike'}: {one.second.key} ({one.second.at}) and {one.first.key} "
             f"({one.first.at}): {one.why}")  # fmt: skip
    if found:
        tell(f"the same work: catharsis duplicates {folder.as_posix()} --link KEY=KEY; two works: --distinct KEY=KEY")
    works, linked, pairs = len(library), len(links.links), len(found)
    tell(
        f"{bibliography.as_posix()}: {works} work{'s' * (works != 1)}, {linked} link{'s' * (linked != 1)}, "
        f"{pairs} pair{'s' * (pairs != 1)} to look at"
    )
