"""Reading .bib files: every entry, or every reason why one cannot be read.

bibtexparser splits a file into blocks; values, names and text are decoded here, because a problem must keep
its line and a title its every character. Three kinds of loss that a .bib parser usually passes over in
silence are reported: a missing comma that glues two fields together, an extra brace that ends an entry early,
and an entry that lacks its opening brace.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from catharsis.errors import At, InputError, InputErrors, did_you_mean
from catharsis.references.latex import decode, verbatim
from catharsis.references.library import Library, Reference
from catharsis.references.people import People, read_people

MAX_BYTES = 20 * 1024 * 1024  # a .bib file beyond 20 MB is a mistake: the largest public ones hold about 10 MB
_MONTHS = {
    "jan": "January", "feb": "February", "mar": "March", "apr": "April", "may": "May", "jun": "June",
    "jul": "July", "aug": "August", "sep": "September", "oct": "October", "nov": "November",
    "dec": "December",
}  # fmt: skip
_VERBATIM = frozenset({"doi", "url", "eprint", "file", "isbn", "issn"})
_PEOPLE = frozenset({"author", "editor"})
_TITLES = frozenset({"title", "booktitle", "journal", "journaltitle", "series", "subtitle"})
# What belongs to the parent alone; its title becomes the child's booktitle.
_NOT_INHERITED = frozenset({
    "author", "title", "subtitle", "doi", "url", "pages", "crossref", "key", "label", "note", "annote",
    "abstract", "keywords", "file", "eprint",
})  # fmt: skip
# C0 controls other than tab, line feed and form feed, and the noncharacters that unicode bars from text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]")
_SURROUNDINGS = {
    "field": re.compile(r"""^[ \t]*,?[ \t]*(\w+)[ \t]*=[ \t]*[{"\w]""", re.MULTILINE),
    "entry": re.compile(r"^[ \t]*@[ \t]*(\w+)\b", re.MULTILINE),
}


@dataclass(slots=True)
class _Value:
    """The LaTeX of a field, macros resolved."""

    latex: str
    line: int


@dataclass(slots=True)
class _Entry:
    """One entry before decoding: what crossref inherits is LaTeX."""

    key: str
    kind: str
    at: At
    values: dict[str, _Value] = field(default_factory=dict)


def read_references(path: str | Path) -> Library:
    r"""References of a .bib file, or of all the .bib files of a folder.

    Parameters
    ----------
    path : str or Path
        File or folder; messages show it as given.

    Returns
    -------
    Library
        In the order of the files (by name) and of the entries in them.

    Raises
    ------
    InputErrors
        With every problem of every file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "sleep.bib").write_text("@article{lee2019, author = {Lee, Ann}, year = 2019}")
    ...     read_references(folder)["lee2019"].label
    'Lee, 2019'
    """
    from catharsis.references.links import linked_problems, links_path, read_links

    problems: list[InputError] = []
    entries: list[_Entry] = []
    path = Path(path)
    for file in _bib_files(path, problems):
        found, wrong = _read_file(file)
        entries += found
        problems += wrong
    links, resolved = None, {}
    try:
        links = read_links(links_path(path))
        resolved = links.resolved()
    except InputErrors as unread:
        problems += unread.problems
    references = _references(entries, problems, resolved)
    keys = {reference.key for reference in references}
    if links is not None and os.path.isdir(path):
        problems += linked_problems(links, keys)
    if problems:
        raise InputErrors(problems)
    return Library(references, {key: target for key, target in resolved.items() if target in keys})


def read_bib(path: str | Path) -> tuple[list[Reference], list[InputError]]:
    """References of one .bib file, and what is wrong with it.

    Parameters
    ----------
    path : str or Path
        The file; messages show it as given.

    Returns
    -------
    list of Reference
        Every entry that could be read, in file order.
    list of InputError
        Every problem, in line order.

    Examples
    --------
    >>> references, problems = read_bib("references/absent.bib")
    >>> print(problems[0])
    references/absent.bib: the file cannot be read: No such file or directory
      why: the references of the studies come from it
      fix: check the path and the permissions
    """
    entries, problems = _read_file(Path(path))
    references = _references(entries, problems)
    return references, sorted(problems, key=lambda problem: problem.at)


def methods_library() -> Library:
    """The methods that catharsis implements, from the methods.bib that ships with it.

    Returns
    -------
    Library
        To be merged under the user's own: `own.merged(methods_library())`.

    Examples
    --------
    >>> methods_library()["dersimonian1986"].label
    'DerSimonian & Laird, 1986'
    """
    name = "methods.bib"
    entries, problems = _entries(files("catharsis.references").joinpath(name).read_bytes(), name)
    references = _references(entries, problems)
    if problems:
        raise InputErrors(problems)
    return Library(references)


def _bib_files(path: Path, problems: list[InputError]) -> list[Path]:
    if not os.path.isdir(path):  # unlike Path.is_dir, no error when a name is too long: the reader says so
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".bib")
    if not found:
        problems.append(
            InputError(
                At(path.as_posix()),
                "the folder holds no .bib file",
                "every study must name the paper it came from",
                "add a .bib file, or give the path of one",
                rule="bib-file",
            )
        )
    return found


def _read_file(path: Path) -> tuple[list[_Entry], list[InputError]]:
    data = file_bytes(path)
    return ([], [data]) if isinstance(data, InputError) else _entries(data, path.as_posix())


def file_bytes(path: Path) -> bytes | InputError:
    """The bytes of a bibliography file of any format, or why there are none."""
    name = path.as_posix()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # a device or a pipe may have no end
            return _unreadable(At(name), "this is not a file", "check the path")
        if status.st_size > MAX_BYTES:
            return _too_large(name, status.st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        said = getattr(error, "strerror", None) or str(error)
        return _unreadable(At(name), f"the file cannot be read: {said}", "check the path and the permissions")


def parse_bib(text: str, name: str) -> tuple[list[Reference], list[InputError]]:
    """`read_bib` for text at hand; `name` is the file name that messages show.

    Examples
    --------
    >>> parse_bib("@misc{orr1999, title = {Tears}}", "a.bib")[0][0].title
    'Tears'
    """
    entries, problems = _entries(text.encode("utf-8", "surrogatepass"), name)
    references = _references(entries, problems)
    return references, sorted(problems, key=lambda problem: problem.at)


def _too_large(name: str, size: int) -> InputError:
    return _unreadable(
        At(name),
        f"the file has {size / 1024**2:.0f} MB, more than {MAX_BYTES // 1024**2} MB",
        "keep only the references that the analyses cite",
    )


def _unreadable(at: At, what: str, fix: str) -> InputError:
    return InputError(at, what, "the references of the studies come from it", fix, rule="bib-file")


def plain_text(data: bytes, name: str) -> str | InputError:
    """The text of a file with one kind of line end, or why there is none."""
    if len(data) > MAX_BYTES:
        return _too_large(name, len(data))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _unreadable(At(name, 1), "the file is UTF-16, not UTF-8", "save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line, byte = before.count(b"\n") + 1, data[error.start]
        return _unreadable(
            At(name, line), f"the byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8 in your editor"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        what = f"the character U+{ord(control[0]):04X} is not text"
        return _unreadable(At(name, line), what, "delete it, or restore the file from its source")
    return text


def _entries(data: bytes, name: str) -> tuple[list[_Entry], list[InputError]]:
    """Entries of a file whose bytes are at hand, and what is wrong with it."""
    text = plain_text(data, name)
    if isinstance(text, InputError):
        return [], [text]
    try:
        blocks = _blocks(text)
    except Exception as error:  # bibtexparser re-raises whatever goes wrong inside its splitter
        what = f"the file cannot be split into entries ({type(error).__name__}: {error})"
        return [], [_unreadable(At(name), what, "check that the braces of every entry balance")]
    return _Reader(name).read(blocks)


def _blocks(text: str) -> list[Any]:
    from bibtexparser.entrypoint import parse_string

    with _quiet("bibtexparser"):
        blocks: list[Any] = parse_string(text, parse_stack=[]).blocks
    return blocks


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """No log lines: each of them comes back as an InputError with its place."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


class _Reader:
    """Turns the blocks of one file into entries, collecting problems on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[InputError] = []
        self.entries: list[_Entry] = []
        self.macros: dict[str, str] = dict(_MONTHS)
        self.expanded = 0  # characters that macros have added so far

    def read(self, blocks: Iterable[Any]) -> tuple[list[_Entry], list[InputError]]:
        from bibtexparser import model

        for block in blocks:
            match block:
                case model.DuplicateBlockKeyBlock() | model.DuplicateFieldKeyBlock():
                    inner = block.ignore_error_block
                    if isinstance(inner, model.DuplicateFieldKeyBlock):
                        inner = inner.ignore_error_block
                    self.define(inner) if isinstance(inner, model.String) else self.add(inner)
                case model.ParsingFailedBlock():
                    self.failed(block)
                case model.Entry():
                    self.add(block)
                case model.String():
                    self.define(block)
                case model.ImplicitComment():
                    self.outside(block)
        return self.entries, self.problems

    def at(self, block: Any) -> At:
        return At(self.name, (block.start_line or 0) + 1)  # bibtexparser counts lines from 0

    def report(self, at: At, what: str, why: str, fix: str, rule: str = "bib-syntax") -> None:
        self.problems.append(InputError(at, what, why, fix, rule=rule))

    def failed(self, block: Any) -> None:
        head = " ".join((block.raw or "").split("\n", 1)[0].split())[:60].rstrip(" ,")
        self.report(
            self.at(block),
            f"the entry {head} cannot be read" if head else "an entry cannot be read",
            _in_our_words(getattr(block.error, "abort_reason", str(block.error))),
            "close every brace and quote, and end each field with a comma",
        )

    def outside(self, block: Any) -> None:
        """What lies between entries is a comment, unless it looks like something that was lost."""
        for kind, pattern in _SURROUNDINGS.items():
            if found := pattern.search(block.comment):  # the first one; what follows is lost with it
                line = self.at(block).line + block.comment.count("\n", 0, found.start(1))
                at = At(self.name, line)
                if kind == "field":
                    self.report(
                        at,
                        f"the field {found[1]} stands outside of any entry",
                        "an entry before it ended early, so that the field would be lost",
                        "remove the extra closing brace above it, or put % before a comment",
                    )
                else:
                    self.report(
                        at,
                        f"@{found[1]} is not followed by an opening brace",
                        "without it the entry would be lost",
                        f"write @{found[1]}{{key, ...}}, or put % before a comment",
                    )

    def define(self, block: Any) -> None:
        at, macro = self.at(block), block.key.strip().lower()
        if macro in self.macros and macro not in _MONTHS:
            self.report(
                at,
                f"the macro {macro} is defined twice",
                "which of the two texts is meant cannot be known",
                "keep one definition, or rename one",
                rule="bib-macro",
            )
        latex = self.latex(block.value, at, f"the macro {macro}")
        if latex is not None:
            self.macros[macro] = latex

    def add(self, block: Any) -> None:
        entry = _Entry(block.key.strip(), block.entry_type.strip().lower(), self.at(block))
        if not entry.kind:
            self.report(entry.at, "an entry without a type", "it decides how to cite", "write @article or @misc")
            return
        if not self.key_is_sound(entry):
            return
        for part in block.fields:
            self.add_field(entry, part)
        self.entries.append(entry)

    def key_is_sound(self, entry: _Entry) -> bool:
        if not entry.key:
            self.report(
                entry.at,
                f"an @{entry.kind} entry without a key",
                "studies and reports cite an entry by its key",
                f"write @{entry.kind}{{key, ...}} with a key of your choice",
                rule="bib-key",
            )
        elif re.search(r"\s", entry.key):
            self.report(
                entry.at,
                f'the key "{" ".join(entry.key.split())}" holds a space',
                "a key is one word; often the comma after it is missing",
                "put a comma after the key, or remove the space",
                rule="bib-key",
            )
        else:
            return True
        return False

    def add_field(self, entry: _Entry, part: Any) -> None:
        name, at = part.key.strip().lower(), At(self.name, part.start_line + 1)
        if not re.fullmatch(r"[^\s\"#%'(),={}]+", name):
            self.report(
                at,
                f'"{" ".join(name.split())[:60]}" is not the name of a field in {entry.key}',
                "a name is one word before an equals sign",
                "write name = {value}, with a comma after the value",
            )
            return
        if name in entry.values:
            first = entry.values[name].line
            self.report(
                at,
                f"{entry.key} has the field {name} twice (first at line {first})",
                "which of the two is meant cannot be known",
                "keep one of them",
                rule="bib-duplicate-field",
            )
            return
        latex = self.latex(part.value, at, f"the field {name} of {entry.key}")
        if latex is not None:
            entry.values[name] = _Value(latex, at.line)

    def latex(self, value: str, at: At, owner: str) -> str | None:
        """The text of a value: parts in braces, in quotes, numbers and macros, joined by #."""
        pieces: list[str] = []
        try:
            for kind, piece in _value_parts(value):
                if kind == "macro" and piece.lower() not in self.macros:
                    self.report(
                        at,
                        f"{owner} uses the unknown macro {piece}",
                        "a value without braces or quotes must be a number or an @string macro",
                        _macro_fix(piece, self.macros),
                        rule="bib-macro",
                    )
                    return None
                pieces.append(self.expansion(piece) if kind == "macro" else piece)
        except ValueError as error:
            self.report(at, f"{owner} {error}", "its text would be wrong or lost", "write name = {value},")
            return None
        return "".join(pieces)

    def expansion(self, macro: str) -> str:
        """The text of a macro, unless macros of macros grow without bound."""
        text = self.macros[macro.lower()]
        self.expanded += len(text)
        if self.expanded > MAX_BYTES:
            raise ValueError(f"expands @string macros beyond {MAX_BYTES // 1024**2} MB")
        return text


def _in_our_words(reason: str) -> str:
    """Bibtexparser's reason as the end of a list of causes: one line, no final stop."""
    reason = " ".join(reason.split()).rstrip(" .")
    return reason[:1].lower() + reason[1:]


def _macro_fix(macro: str, known: Mapping[str, str]) -> str:
    mine = [name for name in known if name not in _MONTHS]
    hint = did_you_mean(macro, [*mine, *_MONTHS])
    return hint if hint.startswith("did you mean") else f"write {{{macro}}}, or define @string{{{macro} = ...}}"


def _value_parts(value: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of every part of a value; ValueError when the value is not made of parts."""
    position, length = 0, len(value)
    while True:
        rest = re.compile(r"\s*").match(value, position)
        position = rest.end() if rest else position
        if position >= length:
            raise ValueError("has no value" if not value.strip() else "ends with #")
        if value[position] in '{"':
            end = _closing(value, position)
            yield "text", value[position + 1 : end]
            position = end + 1
        else:
            word = re.compile(r"[^\s\"#%'(),={}]+").match(value, position)
            if word is None:
                raise ValueError(f"cannot hold {value[position]!r} outside of braces")
            yield ("text" if word[0].isdigit() else "macro"), word[0]
            position = word.end()
        after = re.compile(r"\s*(#|$|.)", re.DOTALL).match(value, position)
        if after is None or not after[1]:
            return
        if after[1] != "#":
            raise ValueError(
                f"goes on after its end: {' '.join(value[position:].split())[:40]!r} (a comma is missing?)"
            )
        position = after.end()


def _closing(value: str, start: int) -> int:
    """Where the brace or quote at `start` closes, by the rules of bibtexparser's splitter."""
    depth, quoted = 0, value[start] == '"'
    for match in re.compile(r'(?<!\\)[{}"]').finditer(value, start + quoted):
        sign = match[0]
        depth += (sign == "{") - (sign == "}")
        if (sign == '"' and quoted and depth == 0) or (sign == "}" and not quoted and depth == 0):
            return match.start()
    raise ValueError("has a brace or quote that does not close")


def _references(
    entries: list[_Entry], problems: list[InputError], links: Mapping[str, str] | None = None
) -> list[Reference]:
    """Decoded references, first of each key; problems that need more than one entry to see are added."""
    first: dict[str, _Entry] = {}
    for entry in entries:
        if entry.key in first:
            problems.append(_duplicate_key(entry, first[entry.key]))
        else:
            first[entry.key] = entry
    parents = {entry.key.casefold(): entry for entry in reversed(first.values())}
    references = [_reference(entry, _inherited(entry, parents, problems), problems) for entry in first.values()]
    problems += _duplicate_dois(reference for reference in references if reference.key not in (links or {}))
    return references


def _duplicate_key(entry: _Entry, first: _Entry) -> InputError:
    return InputError(
        entry.at,
        f'the key "{entry.key}" is already used at {first.at}',
        "which of the two papers a study means cannot be known",
        "delete one entry if they are the same paper, or rename one key",
        rule="bib-duplicate-key",
    )


def _duplicate_dois(references: Iterable[Reference]) -> Iterator[InputError]:
    first: dict[str, Reference] = {}
    for reference in references:
        doi = reference.doi
        if doi is None:
            continue
        other = first.setdefault(doi, reference)
        if other is not reference:
            yield InputError(
                reference.at,
                f"{reference.key} has the DOI {doi}, and so has {other.key} ({other.at})",
                "one paper under two keys can enter an analysis twice",
                f"correct the DOI, or say that they are one: catharsis duplicates --link {reference.key}={other.key}",
                rule="bib-duplicate-doi",
            )


def _inherited(entry: _Entry, parents: Mapping[str, _Entry], problems: list[InputError]) -> dict[str, _Value]:
    """Own fields, and what crossref adds to them (through any number of steps, each parent once)."""
    values, child, seen = dict(entry.values), entry, {entry.key.casefold()}
    while "crossref" in child.values:
        target = child.values["crossref"]
        parent = parents.get(target.latex.strip().casefold())
        if parent is None:
            if child is entry:
                problems.append(_unknown_crossref(entry, target, parents))
            break
        if parent.key.casefold() in seen:
            break
        seen.add(parent.key.casefold())
        for name, value in parent.values.items():
            if name not in _NOT_INHERITED:
                values.setdefault(name, value)
        if entry.kind in {"incollection", "inproceedings", "inbook", "conference"} and "title" in parent.values:
            values.setdefault("booktitle", parent.values["title"])
        child = parent
    return values


def _unknown_crossref(entry: _Entry, target: _Value, parents: Mapping[str, _Entry]) -> InputError:
    library = Library(Reference(parent.key, parent.kind, at=parent.at) for parent in parents.values())
    return InputError(
        At(entry.at.file, target.line),
        f'{entry.key} refers to "{target.latex.strip()}", which no entry has as its key',
        "what it should inherit (book title, editors, publisher) would be missing",
        library.suggest(target.latex.strip()),
        rule="bib-crossref",
    )


def _reference(entry: _Entry, values: Mapping[str, _Value], problems: list[InputError]) -> Reference:
    fields: dict[str, str] = {}
    protected: dict[str, tuple[tuple[int, int], ...]] = {}
    for name, value in values.items():
        if name in _PEOPLE:
            continue
        text = verbatim(value.latex) if name in _VERBATIM else ""
        if name not in _VERBATIM:
            decoded = decode(value.latex)
            text = decoded.text
            if decoded.protected and name in _TITLES:
                protected[name] = decoded.protected
        if text:
            fields[name] = text
    authors = _people(entry, values, "author", problems)
    editors = _people(entry, values, "editor", problems)
    return Reference(
        key=entry.key,
        kind=entry.kind,
        fields=fields,
        authors=authors.names,
        editors=editors.names,
        at=entry.at,
        etal=authors.etal,
        etal_editors=editors.etal,
        protected=protected,
    )


def _people(entry: _Entry, values: Mapping[str, _Value], name: str, problems: list[InputError]) -> People:
    value = values.get(name)
    if value is None:
        return People()
    try:
        return read_people(value.latex)
    except ValueError as error:  # bibtexparser's InvalidNameError is one
        if name in entry.values:  # an inherited field is reported where it stands
            problems.append(
                InputError(
                    At(entry.at.file, value.line),
                    f"the {name} of {entry.key} cannot be read: {_in_our_words(str(error))}",
                    "a citation needs the family name of each person",
                    "write Family, Given and join people with the word and; put an organisation in {...}",
                    rule="bib-name",
                )
            )
        return People()
