"""The analysis' own words for levels, outcomes and studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from catharsis.plan.results import Results, SynthesisResult
from catharsis.references.bibtex import methods_library
from catharsis.references.citation import format_apa, in_text_labels
from catharsis.references.library import Library
from catharsis.studies.table import Row


def level_labels(results: Results) -> dict[str, str]:
    """Maps "moderator", "moderator=level" and "outcome=key" to their labels."""
    found = {
        f"{name}={level}": label
        for name, moderator in results.plan.dictionary.moderators.items()
        for level, label in (moderator.levels or {}).items()
    }
    found |= {name: moderator.label for name, moderator in results.plan.dictionary.moderators.items()}
    return found | {
        f"outcome={key}": outcome.means or outcome.label for key, outcome in results.plan.dictionary.outcomes.items()
    }


def row_labels(result: SynthesisResult) -> list[str]:
    """A label per effect: the column the synthesis names, made unique where it repeats."""
    rows = result.effects.rows
    column = result.spec.label
    first = [str(row.get(column) or row.get("study")) for row in rows]
    if column != "study" and len({row.get("report") for row in rows}) > 1:
        first = [f"{row.get('study')}, {label}" for row, label in zip(rows, first, strict=True)]
    return _unique(first, rows)


def _unique(labels: Sequence[str], rows: Sequence[Row]) -> list[str]:
    repeated = {label for label, count in Counter(labels).items() if count > 1}
    return [
        label
        if label not in repeated
        else f"{label}, {row.get('social_response') or row.get('sample')}"
        if len({r.get("sample") for r, other in zip(rows, labels, strict=True) if other == label}) > 1
        else f"{label} ({row.id})"
        for label, row in zip(labels, rows, strict=True)
    ]


class Citations:
    """The works that the report cites, collected while it is written.

    Attributes
    ----------
    library : Library
        The analysis' bibliography over the packaged methods.
    used : set of str
        Keys cited so far.
    """

    def __init__(self, library: Library, included: frozenset[str]) -> None:
        self.library = library.merged(methods_library())
        self.included = included
        self.used: set[str] = set(included)
        self._labels = in_text_labels(self.library.values())

    def label(self, key: str) -> str:
        """In-text label of a key, which is thereby cited."""
        if key not in self.library:
            return key
        key = self.library.canonical(key)
        self.used.add(key)
        return self._labels[key]

    def labels(self, keys: Sequence[str]) -> str:
        """Several labels as they stand in parentheses."""
        return "; ".join(sorted({self.label(key) for key in keys}))

    def apa(self) -> list[tuple[str, str]]:
        """(key, safe HTML) of every cited work in APA order, included studies starred."""
        cited = [self.library[key] for key in self.used if key in self.library]
        return list(format_apa(cited, starred=self.included, markup="html").items())
