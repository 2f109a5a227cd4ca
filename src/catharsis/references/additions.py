r"""New references into a bibliography: what is there already is told, the rest is appended to one .bib file.

The file keeps every byte that it has; what is added is read again, together with all that was there, before it
is written. A work that is there under another key is not added; its key, when it came from a .bib file and
tables may use it, becomes a link to the one that stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from catharsis.errors import At, InputError, InputErrors
from catharsis.files import locked, write_atomically
from catharsis.references.bibtex import file_bytes, methods_library, parse_bib, plain_text, read_bib
from catharsis.references.bibtex_writing import to_bibtex
from catharsis.references.duplicates import Index, Likeness, likeness
from catharsis.references.keys import in_style, manner_of, new_key
from catharsis.references.library import Reference
from catharsis.references.links import Link, add_links, all_links, links_path

NEW_FILE = "imported.bib"


@dataclass(frozen=True, slots=True)
class Addition:
    """What became of one reference.

    Attributes
    ----------
    reference : Reference
        As it stands in the bibliography now; under its own key when it was not added.
    given : Reference
        As it was read.
    same : Likeness or None
        The work that was there already, when it is the same beyond doubt; nothing was added then.
    perhaps : tuple of Likeness
        Works that a person should compare with it.
    """

    reference: Reference
    given: Reference
    same: Likeness | None = None
    perhaps: tuple[Likeness, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What an import did.

    Attributes
    ----------
    file : Path
        The .bib file.
    additions : tuple of Addition
        In the order of the import.
    links : tuple of Link
        Keys that now lead to a work that was there.
    """

    file: Path
    additions: tuple[Addition, ...]
    links: tuple[Link, ...] = field(default=())

    @property
    def new(self) -> list[Addition]:
        """Those that were added."""
        return [one for one in self.additions if one.same is None]


def add_references(
    bibliography: str | Path,
    incoming: Iterable[Reference],
    *,
    into: str | None = None,
    keep_keys: bool = False,
    link_keys: bool = False,
    write: bool = True,
    date: str = "",
) -> Added:
    """Add references to a bibliography.

    Parameters
    ----------
    bibliography : str or Path
        A folder of .bib files, or one .bib file.
    incoming : iterable of Reference
        What shall be added; keys may be "".
    into : str, optional
        Name of the .bib file in the folder; by default the only one there, or imported.bib.
    keep_keys : bool
        Keep keys that are free instead of giving keys of the house's form.
    link_keys : bool
        Whether the given keys may stand in somebody's table, so that a key of a work that is there already
        becomes a link to it, and one that was changed a link to the new one.
    write : bool
        False only says what would happen.
    date : str
        The day, for the links.

    Returns
    -------
    Added

    Raises
    ------
    InputErrors
        When the bibliography has errors, or cannot be written; nothing has changed then.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from catharsis.references.library import Name
    >>> paper = Reference("x1", "misc", {"title": "Tears", "year": "1999"}, (Name("Orr", "Ann"),))
    >>> with TemporaryDirectory() as folder:
    ...     first = add_references(folder, [paper])
    ...     again = add_references(folder, [paper])
    ...     print((Path(folder) / "imported.bib").read_text(), len(again.new), again.additions[0].same.why)
    @misc{orr1999tears,
      author = {Orr, Ann},
      title  = {Tears},
      year   = {1999}
    }
     0 same title, first author and year
    """
    bibliography = Path(bibliography)
    target = _target(bibliography, into)
    links_file = links_path(bibliography)
    with ExitStack() as stack:
        if write:
            stack.enter_context(locked(links_file))  # two imports into two files must see each other's works
            stack.enter_context(locked(target))
        old = _old_bytes(target)
        there = _there(bibliography, target, old)
        known_links = all_links(links_file)
        additions = _decided(incoming, there, known_links, keep_keys)
        links = _links(additions, there, known_links, date) if link_keys else []
        if write:
            new = [one.reference for one in additions if one.same is None]
            if new:
                write_atomically(target, _appended(target, old, new))
            if links:
                add_links(links_file, links, hold=False)
    return Added(target, tuple(additions), tuple(links))


def _target(bibliography: Path, into: str | None) -> Path:
    """The .bib file that takes the new entries."""
    folder = bibliography if bibliography.suffix.lower() != ".bib" else None
    if folder is None:
        if into is not None and into != bibliography.name:
            raise InputErrors([_wrong_file(bibliography, into, "the analysis has one .bib file as its bibliography")])
        return bibliography
    if into is None:
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".bib") if folder.is_dir() else []
        return found[0] if len(found) == 1 else folder / NEW_FILE
    if Path(into).name != into or not into.lower().endswith(".bib") or into.startswith("."):
        raise InputErrors(
            [_wrong_file(bibliography, into, "only a .bib file in the folder is part of the bibliography")]
        )
    return folder / into


def _wrong_file(bibliography: Path, into: str, why: str) -> InputError:
    return InputError(
        At(bibliography.as_posix()),
        f'references cannot be written into "{into}"',
        why,
        f"give the name of a .bib file, such as {NEW_FILE}",
        rule="bib-file",
    )


def _old_bytes(target: Path) -> bytes:
    if not target.exists():
        return b""
    data = file_bytes(target)
    if isinstance(data, InputError):
        raise InputErrors([data])
    return data


def _there(bibliography: Path, target: Path, old: bytes) -> list[Reference]:
    """Every entry of the bibliography; its syntax must be sound, or a duplicate could hide."""
    files = [bibliography]
    if bibliography.is_dir():
        files = sorted(file for file in bibliography.iterdir() if file.suffix.lower() == ".bib")
    references: list[Reference] = []
    problems: list[InputError] = []
    for file in files:
        if not file.exists():
            continue
        if file.resolve() == target.resolve():
            text = plain_text(old, file.as_posix())
            found, wrong = ([], [text]) if isinstance(text, InputError) else parse_bib(text, file.as_posix())
        else:
            found, wrong = read_bib(file)
        references += found
        problems += [problem for problem in wrong if problem.rule not in _ACROSS_FILES]
    if problems:
        raise InputErrors(problems)
    return references


# What one file cannot know by itself (a parent or a link in another one), or what a link has settled.
_ACROSS_FILES = frozenset({"bib-duplicate-doi", "bib-crossref"})


def _decided(
    incoming: Iterable[Reference], there: Sequence[Reference], links: dict[str, str], keep_keys: bool
) -> list[Addition]:
    index = Index(reference for reference in there if reference.key not in links)
    methods = methods_library()  # a key of theirs is free for the same work only: reports cite both
    used = {reference.key.casefold() for reference in there} | {key.casefold() for key in links}
    manner = manner_of(there)
    taken = used | {key.casefold() for key in methods}
    additions = []
    for given in incoming:
        alike = index.like(given)
        if alike and alike[0].sure:
            additions.append(Addition(given, given, alike[0]))
            continue
        alone = given.key.casefold() not in taken or (given.key in methods and _same(methods[given.key], given))
        free = _is_key(given.key) and given.key.casefold() not in used and alone
        key = given.key if free and (keep_keys or in_style(given.key)) else new_key(given, taken, manner)
        reference = replace(given, key=key)
        taken.add(key.casefold())
        used.add(key.casefold())
        index.add(reference)
        additions.append(Addition(reference, given, None, tuple(replace(one, second=reference) for one in alike)))
    return additions


def _same(method: Reference, given: Reference) -> bool:
    found = likeness(method, given)
    return found is not None and found.sure


def _is_key(key: str) -> bool:
    """Whether BibTeX can hold the key."""
    return bool(key) and not set(key) & set(" \t\n{}(),=\"#%'\\~") and key.isprintable()


def _links(additions: list[Addition], there: Sequence[Reference], known: dict[str, str], date: str) -> list[Link]:
    """Given keys that now lead elsewhere; one that means two works, here or in the import, leads nowhere."""
    used = (
        {reference.key for reference in there} | set(known) | {one.reference.key for one in additions if not one.same}
    )
    times = Counter(one.given.key for one in additions)
    links = []
    for one in additions:
        key, target = one.given.key, one.same.first.key if one.same else one.reference.key
        if key and key != target and key not in used and times[key] == 1:
            why = f"{one.same.why}, imported" if one.same else "its key before the import"
            links.append(Link(key, target, why, date=date))
    return links


def _appended(target: Path, old: bytes, new: list[Reference]) -> bytes:
    """The file's bytes with the new entries behind them, read again to prove that nothing else has changed."""
    end = "\r\n" if b"\r\n" in old else "\n"
    entries = to_bibtex(new).replace("\n", end).encode("utf-8")
    gap = b"" if not old.strip(b"\xef\xbb\xbf \t\r\n") else end.encode() * (1 if old.endswith(b"\n") else 2)
    data = old + gap + entries
    name = target.as_posix()
    before, after = (plain_text(part, name) for part in (old, data))
    if isinstance(before, InputError) or isinstance(after, InputError):
        raise InputErrors([part for part in (before, after) if isinstance(part, InputError)])
    was, _ = parse_bib(before, name)
    now, problems = parse_bib(after, name)
    problems = [problem for problem in problems if problem.rule not in _ACROSS_FILES]
    kept = len(now) == len(was) + len(new) and now[: len(was)] == was
    lost = [one for one, read in zip(new, now[len(was) :], strict=False) if not _reads_back(one, read)]
    if problems or not kept or lost:
        raise InputErrors(problems or [_cannot_hold(one) for one in lost or new])
    return data


def _reads_back(given: Reference, read: Reference) -> bool:
    def text(reference: Reference) -> dict[str, str]:
        return {name: " ".join(value.split()) for name, value in reference.fields.items() if name != "crossref"}

    return (
        (given.key, given.kind, text(given)) == (read.key, read.kind, text(read))
        and [name.surname for name in given.authors] == [name.surname for name in read.authors]
        and [name.surname for name in given.editors] == [name.surname for name in read.editors]
    )


def _cannot_hold(reference: Reference) -> InputError:
    return InputError(
        reference.at,
        f'"{reference.title[:60]}" cannot be written so that it is read back as it is',
        "a .bib file must give back what was put in",
        "look for odd characters in its title, names and fields, and correct the record",
        rule="bib-writing",
    )
