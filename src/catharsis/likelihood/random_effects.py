"""`random=` and `struct=` become random factors and structured terms, with their levels' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catharsis.errors import ModelError, did_you_mean, shown
from catharsis.likelihood.blocks import Term
from catharsis.likelihood.data import random_factors
from catharsis.likelihood.design import codes, design_matrix
from catharsis.likelihood.structures import KINDS, SLOPES, SPATIAL, UNSTRUCTURED, Kind, Structure, check_given, pairs
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS = (("tau2", "rho"), ("gamma2", "phi"))
BY_PLACE = SPATIAL | {"CAR"}


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """The random part of a model.

    Attributes
    ----------
    factors : list of (name, codes)
        Random intercepts.
    terms : tuple of Term
        `inner | outer` terms.
    given : (s,) array
        Parameters held at a value, nan where estimated, in the order of theta.
    levels : dict
        Name of each factor, or of each term's outer factor, to the names of its levels in the order of the codes.
    groups : dict
        The same names to codes (k,).
    notes : tuple of str
        Parameters that the data cannot carry and that were held at zero.
    related : dict
        Random factor to the known correlation (m, m) of its levels, in the order of the codes.
    """

    factors: list[tuple[str, IntArray]]
    terms: tuple[Term, ...]
    given: FloatArray
    levels: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, IntArray]
    notes: tuple[str, ...]
    related: Mapping[str, FloatArray]


def random_effects(
    random: str | Sequence[str],
    struct: str | Sequence[str] | None,
    data: pd.DataFrame | None,
    k: int,
    given: Mapping[str, Any],
    related: Mapping[str, pd.DataFrame] | None = None,
) -> RandomEffects:
    """Read the random part of a model.

    Parameters
    ----------
    random : str or list of str
        "study", "study/effect", "a + b" for random intercepts; "inner | outer" for structured random effects;
        a list, or "+", for several. In a list the left side of "|" may hold several columns: "lat + long | region"
        (spatial kinds) or "dose + year | study" (random slopes, kind GEN).
    struct : str or list of str
        Kind of each `inner | outer` term; CS by default.
    data : pandas.DataFrame
        The columns.
    k : int
        Number of effects.
    given : dict
        sigma2, tau2, rho, gamma2, phi: values at which parameters are held; None or nan is estimated.
    related : dict of pandas.DataFrame, optional
        Random factor to the known correlation of its levels (a phylogeny, say), labelled by level.

    Returns
    -------
    RandomEffects

    Raises
    ------
    ModelError
        Unknown or incomplete columns, unknown kinds, more than two structured terms, values out of bounds.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"trial": [1, 1, 2, 2], "outcome": ["b", "a", "b", "a"]})
    >>> found = random_effects("outcome | trial", "UN", data, 4, {})
    >>> found.terms[0].structure.names
    ('tau2[a]', 'tau2[b]', 'rho[a,b]')
    """
    listed = isinstance(random, Sequence) and all(isinstance(part, str) for part in random)
    if not listed:
        raise ModelError(f'random= takes text such as "study/effect", or a list of texts, not {shown(random)}')
    written = random.split("+") if isinstance(random, str) else list(random)
    parts = [part.strip().removeprefix("~").strip() for part in written]
    plain = [part.split("|")[-1].strip() for part in parts if "|" not in part or part.split("|")[0].strip() == "1"]
    factors = random_factors(" + ".join(plain) if plain else None, data, k)
    notes: list[str] = []
    written_terms = [part for part in parts if "|" in part and part.split("|")[0].strip() != "1"]
    kinds = _kinds(struct, written_terms)
    terms = []
    held = [_sigma2(given.get("sigma2"), [name for name, _ in factors])]
    levels = {name: _factor_levels(name, plain, data, code) for name, code in factors}
    groups = dict(factors)
    for written_term, kind, symbols in zip(written_terms, kinds, SYMBOLS, strict=False):
        term, labels = _term(written_term, kind, symbols, data)
        values = check_given(term.structure, given)
        terms.append(term)
        held.append(_unidentified(term, values, notes))
        outer = written_term.split("|")[1].strip()
        levels.setdefault(outer, labels)
        groups.setdefault(outer, term.outer)
    for symbol, needed in zip(("tau2", "rho", "gamma2", "phi"), (1, 1, 2, 2), strict=True):
        if given.get(symbol) is not None and len(terms) < needed:
            raise ModelError(
                f"{symbol} is given, but random= has no {'second ' * (needed - 1)}inner | outer term for it"
            )
    return RandomEffects(
        factors, tuple(terms), np.concatenate(held), levels, groups, tuple(notes),
        {name: _related(name, matrix, levels) for name, matrix in (related or {}).items()},
    )  # fmt: skip


def _kinds(struct: str | Sequence[str] | None, terms: Sequence[str]) -> list[Kind]:
    if len(terms) > len(SYMBOLS):
        raise ModelError(f"random= has {len(terms)} inner | outer terms; at most {len(SYMBOLS)} can be fitted together")
    if struct is not None and not terms:
        raise ModelError(
            'struct= belongs to "inner | outer" terms, and random= has none: write random="outcome | study"'
        )
    asked = ["CS"] * len(terms) if struct is None else [struct] if isinstance(struct, str) else list(struct)
    asked = asked * len(terms) if len(asked) == 1 else asked
    if len(asked) != len(terms):
        raise ModelError(f"struct= names {len(asked)} kinds for {len(terms)} inner | outer terms")
    for kind in asked:
        if kind not in KINDS:
            raise ModelError(f'there is no structure "{kind}": {did_you_mean(kind, list(KINDS))}')
    return asked  # type: ignore[return-value]


def _related(name: str, matrix: Any, levels: Mapping[str, Sequence[str]]) -> FloatArray:
    """The correlation of a factor's levels, in the order of its codes, from a labelled covariance or correlation."""
    if name not in levels:
        raise ModelError(f'R= names "{name}", which is not a random factor: {did_you_mean(name, list(levels))}')
    if not hasattr(matrix, "loc"):
        raise ModelError(
            f"R of {name} is not a data frame; its rows and columns must be labelled by the levels of {name}"
        )
    known = [str(label) for label in matrix.index]
    if known != [str(label) for label in matrix.columns]:
        raise ModelError(f"R of {name} has other columns than rows")
    absent = [label for label in levels[name] if label not in known]
    if absent:
        raise ModelError(f"R of {name} has no row for {', '.join(absent[:5])}")
    values = np.asarray(matrix, dtype=float)
    position = {label: n for n, label in enumerate(known)}
    chosen = [position[label] for label in levels[name]]
    values = values[np.ix_(chosen, chosen)]
    if not np.isfinite(values).all() or np.any(np.diag(values) <= 0):
        raise ModelError(f"R of {name} holds a value that is not finite, or a diagonal that is not positive")
    if not np.allclose(values, values.T, rtol=1e-8, atol=1e-8 * float(np.diag(values).max())):
        raise ModelError(f"R of {name} is not symmetric")
    root = np.sqrt(np.diag(values))
    found = values / np.outer(root, root)
    if np.linalg.eigvalsh(found)[0] < -1e-8:
        raise ModelError(f"R of {name} is not positive definite, so it is no correlation matrix")
    return np.asarray(found)


def _sigma2(values: Any, names: Sequence[str]) -> FloatArray:
    if values is None:
        return np.full(len(names), np.nan)
    found = np.array([np.nan if v is None else v for v in np.ravel(np.array(values, dtype=object))]).astype(float)
    if len(found) != len(names):
        raise ModelError(
            f"sigma2 has {len(found)} values for {len(names)} random factors ({', '.join(names) or 'none'})"
        )
    if np.any(found < 0):
        raise ModelError(f"sigma2 is held at {found[found < 0][0]:g}; a variance is not negative")
    return found


def _factor_levels(name: str, plain: Sequence[str], data: Any, code: IntArray) -> tuple[str, ...]:
    """Names of a random factor's levels, nested ones with those around them, as in 3/1."""
    part = next(
        part for written in plain for part in written.split("+") if name in [word.strip() for word in part.split("/")]
    )
    around = [word.strip() for word in part.split("/")]
    around = around[: around.index(name) + 1]
    first = np.full(int(code.max()) + 1, -1)
    first[code[::-1]] = np.arange(len(code))[::-1]
    columns = [data[column].iloc[first].tolist() for column in around]
    return tuple("/".join(map(str, words)) for words in zip(*columns, strict=True))


def _column(name: str, data: Any, term: str) -> Any:
    if data is None or name not in data.columns:
        known = [] if data is None else [str(column) for column in data.columns]
        raise ModelError(f'"{name}" in random="{term}" is not a column of the data: {did_you_mean(name, known)}')
    missing = data.index[data[name].isna()]
    if len(missing):
        rows = ", ".join(str(row) for row in missing[:5])
        raise ModelError(f"{name} in random={term!r} is missing in {len(missing)} rows ({rows})")
    return data[name]


def _numbers(name: str, data: Any, term: str, why: str) -> FloatArray:
    column = _column(name, data, term)
    try:
        found = np.asarray(column, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} in random={term!r} is not a number; {why}") from None
    if not np.isfinite(found).all():
        raise ModelError(f"{name} in random={term!r} holds a value that is not finite")
    return found


def _ordered(column: Any) -> list[Any]:
    """Levels in order: categories as declared, numbers by size, text by alphabet."""
    if hasattr(column, "cat"):
        present = set(column)
        return [level for level in column.cat.categories if level in present]
    found = list(dict.fromkeys(column))
    return sorted(found) if column.dtype.kind in "iufb" else sorted(found, key=str)


def _term(written: str, kind: Kind, symbols: tuple[str, str], data: Any) -> tuple[Term, tuple[str, ...]]:
    """A structured term, and the names of its outer levels."""
    sides = [side.strip() for side in written.split("|")]
    if len(sides) != 2 or not all(sides):
        raise ModelError(f'random="{written}" cannot be read: write "inner | outer"')
    left, right = sides
    group = _column(right, data, written)
    outer = codes(list(group))
    names = [word.strip() for word in left.split("+")]
    if kind in SLOPES:
        return _slopes(left, right, kind, symbols, data, outer, written), tuple(map(str, dict.fromkeys(group)))
    place, reach = None, 1.0
    if kind in BY_PLACE:
        why = "its kind goes by distance"
        place = np.column_stack([_numbers(name, data, written, why) for name in names])
        places, inner = np.unique(place, axis=0, return_inverse=True)
        inner = inner.ravel()
        levels: tuple[str, ...] = tuple(", ".join(f"{x:g}" for x in row) for row in places.tolist())
        reach = _typical_distance(place)
    else:
        if len(names) > 1:
            raise ModelError(f'random="{written}" names {len(names)} inner columns; {kind} takes one')
        column = _column(names[0], data, written)
        order = _ordered(column)
        position = {level: n for n, level in enumerate(order)}
        inner = np.array([position[level] for level in column], dtype=np.int64)
        levels = tuple(map(str, order))
    structure = Structure(f"{left} | {right}", kind, levels, symbols, np.ones(len(levels)), reach)
    return Term(structure, outer, inner, place), tuple(map(str, dict.fromkeys(group)))


def _slopes(
    left: str, right: str, kind: Kind, symbols: tuple[str, str], data: Any, outer: IntArray, written: str
) -> Term:
    design = design_matrix("~ " + left, data)
    size = np.sqrt(np.mean(design.X**2, axis=0))
    structure = Structure(f"{left} | {right}", kind, design.terms, symbols, size, 1.0)
    return Term(structure, outer, np.zeros(len(outer), dtype=np.int64), None, design.X)


def _typical_distance(place: FloatArray) -> float:
    """A scale for ranges: the spread of the places, at least 1e-300 so that a single place has one."""
    return float(np.sqrt(2 * np.sum(np.var(place, axis=0)))) or 1.0


def _unidentified(term: Term, given: FloatArray, notes: list[str]) -> FloatArray:
    """Hold at zero the correlations between levels that never share an outer level, as R does; say so."""
    structure = term.structure
    if structure.correlations == 0 or structure.kind in SLOPES:
        return given
    v, given = structure.variances, given.copy()
    cells = sorted(set(zip(term.outer.tolist(), term.inner.tolist(), strict=True)))
    together: dict[int, list[int]] = {}
    for outer, inner in cells:
        together.setdefault(outer, []).append(inner)
    symbol = structure.symbols[1]
    if structure.kind not in UNSTRUCTURED:
        if np.isnan(given[v]) and all(len(inner) == 1 for inner in together.values()):
            given[v] = 0.0
            notes.append(
                f"{symbol} of {structure.name} is held at 0: no level of the outer factor holds two inner levels"
            )
        return given
    met = {(b, a) for inner in together.values() for n, a in enumerate(inner) for b in inner[n + 1 :]}
    lonely = [n for n, pair in enumerate(pairs(len(structure.levels))) if pair not in met and np.isnan(given[v + n])]
    for n in lonely:
        given[v + n] = 0.0
    if lonely:
        names = ", ".join(structure.names[v + n] for n in lonely)
        notes.append(f"{names} of {structure.name} held at 0: these levels never occur together")
    return given
