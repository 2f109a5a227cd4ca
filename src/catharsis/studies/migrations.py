"""Versions of the files that people keep, and the steps that bring an old one up to date.

The first line of a file says which version it is: `schema: catharsis/studies@1`. A reader takes only the
version it knows. An older file is brought up to date by `catharsis format`, which edits the text in place
and so keeps the comments; a newer one is refused, because keys that this version does not know would be
lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from catharsis.errors import InputError, InputErrors
from catharsis.studies.edit import TableText
from catharsis.studies.yaml_source import YamlSource

STUDIES = "catharsis/studies"
ANALYSIS = "catharsis/analysis"
CLAIMS = "catharsis/claims"

_NAME = re.compile(r"(?P<kind>[a-z]+/[a-z]+)@(?P<version>[1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Step:
    """How a file of one version becomes one of the next.

    Attributes
    ----------
    version : int
        The version that it starts from; it ends at the next.
    says : str
        What changed, in the words that `catharsis format` prints.
    change : callable
        Edits the text; the line `schema:` is turned afterwards.
    """

    version: int
    says: str
    change: Callable[[TableText], TableText]


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one kind of file: the newest, and a step from each older one."""

    newest: int
    steps: Mapping[int, Step]


def history(*steps: Step) -> History:
    """The history that a row of steps makes; they start from 1 and leave none out."""
    for version, step in enumerate(steps, start=1):
        if step.version != version:
            raise ValueError(f"the step from version {version} is missing")
    return History(len(steps) + 1, MappingProxyType({step.version: step for step in steps}))


# A version that changes what a file may hold adds its step here, and its number to the model's `schema_`.
HISTORIES: Mapping[str, History] = MappingProxyType({STUDIES: history(), ANALYSIS: history(), CLAIMS: history()})


def migrate(
    text: TableText, kind: str, histories: Mapping[str, History] = HISTORIES
) -> tuple[TableText, tuple[str, ...]]:
    r"""Bring a file to the newest version.

    Parameters
    ----------
    text : TableText
        The file.
    kind : str
        "catharsis/studies", "catharsis/analysis" or "catharsis/claims".
    histories : mapping
        Versions and steps of each kind.

    Returns
    -------
    (TableText, tuple of str)
        The text with comments kept, and what was changed; nothing when it is up to date.

    Raises
    ------
    InputErrors
        When the file is newer than this version of catharsis, or does not say what it is.

    Examples
    --------
    >>> def without_mood(text):
    ...     return text.without(("mood",))
    >>> steps = history(Step(1, "mood: is gone", without_mood))
    >>> old = TableText("schema: catharsis/studies@1  # ours\nmood: low\nstudies: []\n", "studies.yaml")
    >>> print(migrate(old, STUDIES, {STUDIES: steps})[0].text)
    schema: catharsis/studies@2  # ours
    studies: []
    <BLANKLINE>
    """
    versions = histories[kind]
    version = _version(text.source, kind, versions)
    said: list[str] = []
    while version < versions.newest:
        step = versions.steps[version]
        version += 1
        text = step.change(text).with_cell(("schema",), f"{kind}@{version}")
        said.append(f"{kind}@{version}: {step.says}")
    return text, tuple(said)


def refuse_other_versions(source: YamlSource, kind: str, histories: Mapping[str, History] = HISTORIES) -> None:
    """Raise `InputErrors` when a file is older or newer than what this version reads.

    Parameters
    ----------
    source : YamlSource
        The file. Without a readable `schema:` nothing is raised: that is for the models to say.
    kind : str
        What it should be.
    histories : mapping
        Versions and steps of each kind.
    """
    versions = histories[kind]
    named = source.data.get("schema") if isinstance(source.data, dict) else None
    if named is None:
        return
    version = _version(source, kind, versions)
    if version < versions.newest:
        raise _refused(
            source,
            f"the file is {kind}@{version}, and this catharsis reads {kind}@{versions.newest}",
            "what older versions wrote is not guessed at",
            "run catharsis format on it: it brings the file up to date and keeps the comments",
        )


def _version(source: YamlSource, kind: str, versions: History) -> int:
    """The version that a file names."""
    named = source.data.get("schema") if isinstance(source.data, dict) else None
    found = _NAME.fullmatch(named) if isinstance(named, str) else None
    if found is None or found["kind"] != kind:
        raise _refused(
            source,
            f"schema: is {named!r}" if named is not None else "the file has no line schema:",
            "the line says what the file holds and which version of catharsis can read it",
            f"write schema: {kind}@{versions.newest}",
        )
    version = int(found["version"])
    if version > versions.newest:
        raise _refused(
            source,
            f"the file is {kind}@{version}, newer than this catharsis, which reads {kind}@{versions.newest}",
            "what it may hold is not known here, and would be lost",
            "install a newer catharsis: pip install --upgrade catharsis",
        )
    return version


def _refused(source: YamlSource, what: str, why: str, fix: str) -> InputErrors:
    return InputErrors([InputError(source.at(("schema",)), what, why, fix, "schema-version")])
