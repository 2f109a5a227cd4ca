"""True effects of the studies by name, each summarised when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from catharsis.bayes.posterior import Marginal
from catharsis.errors import did_you_mean


class StudyEffects(Mapping[str, Marginal]):
    """Labels to the posteriors of true effects; an engine says what `_marginal` of a place is.

    Parameters
    ----------
    labels : (k,) sequence of str
        All different.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._place = {label: i for i, label in enumerate(labels)}
        self._found: dict[str, Marginal] = {}

    def _marginal(self, i: int) -> Marginal:
        """The posterior of one true effect."""
        raise NotImplementedError

    def __getitem__(self, label: str) -> Marginal:
        """The true effect behind one effect size.

        Raises
        ------
        KeyError
            For an unknown label, with the nearest one.
        """
        if label not in self._found:
            if label not in self._place:
                raise KeyError(f'there is no effect "{label}": {did_you_mean(str(label), list(self._place))}')
            self._found[label] = self._marginal(self._place[label])
        return self._found[label]

    def __iter__(self) -> Iterator[str]:
        """Labels in the order of the data."""
        return iter(self._place)

    def __len__(self) -> int:
        """Number of effects."""
        return len(self._place)


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels told apart: the second "Lee" becomes "Lee (2)".

    Examples
    --------
    >>> distinct(["Lee", "Kim", "Lee"])
    ('Lee', 'Kim', 'Lee (2)')
    """
    found: list[str] = []
    taken, met = set(labels), set()
    counts: dict[str, int] = {}
    for label in labels:
        name = label
        while name in met or (name != label and name in taken):
            counts[label] = counts.get(label, 1) + 1
            name = f"{label} ({counts[label]})"
        found.append(name)
        met.add(name)
    return tuple(found)
