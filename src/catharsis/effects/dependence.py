"""Effects of the same people: their sampling covariance, and several effects of one study combined into one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from catharsis.errors import ModelError, did_you_mean
from catharsis.numerics import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

STRUCTURES = ("ID", "CS", "CAR", "CS+CAR", "CS*CAR")
Struct = Literal["ID", "CS", "CAR", "CS+CAR", "CS*CAR"]
FEWEST = 5  # people below whom the covariance of correlations is not computed, as metafor does
Blocks = list[tuple[IntArray, FloatArray]]


# --------------------------------------------------------------------------- several effects of a study as one
def sampling_correlation(
    struct: str,
    n: int,
    rho: float = 0.0,
    phi: float = 0.0,
    time: FloatArray | None = None,
    obs: Sequence[Hashable] | None = None,
) -> FloatArray:
    """Correlation of the sampling errors of n effects of one cluster.

    Parameters
    ----------
    struct : {"ID", "CS", "CAR", "CS+CAR", "CS*CAR"}
        Independent; one correlation rho; phi^|time difference|; rho + (1 - rho) phi^|difference|; or, for effects of
        several kinds at several times, phi^|difference| times rho when the kinds differ.
    n : int
        Effects.
    rho, phi : float
        Correlation, and correlation of two effects one unit of time apart.
    time : (n,) array, optional
        When each effect was measured.
    obs : (n,) sequence, optional
        Kind of each effect, for "CS*CAR".

    Returns
    -------
    (n, n) array

    Examples
    --------
    >>> sampling_correlation("CAR", 2, phi=0.5, time=np.array([0.0, 2.0])).tolist()
    [[1.0, 0.25], [0.25, 1.0]]
    """
    if struct == "ID":
        return np.eye(n)
    found = np.full((n, n), rho) if struct == "CS" else _decay(time, phi)
    if struct == "CS+CAR":
        found = rho + (1 - rho) * found
    elif struct == "CS*CAR":
        kinds = list(obs or ())
        found = found * np.array([[1.0 if one == other else rho for other in kinds] for one in kinds])
    np.fill_diagonal(found, 1.0)
    return found


def _decay(time: FloatArray | None, phi: float) -> FloatArray:
    at = np.asarray(time, dtype=float)
    return np.asarray(phi ** np.abs(at[:, None] - at[None, :]))


def combined(yi: FloatArray, vi: FloatArray, correlation: FloatArray, weighted: bool = True) -> tuple[float, float]:
    """One effect from several with correlated errors, by generalised least squares or their plain average.

    Parameters
    ----------
    yi, vi : (n,) arrays
        Effects and variances.
    correlation : (n, n) array
        Correlation of their errors.
    weighted : bool
        Inverse-covariance weights; else the average, with the variance that it has.

    Returns
    -------
    yi, vi : float

    Raises
    ------
    numpy.linalg.LinAlgError
        When the weights are asked for and the correlation is not positive definite.

    References
    ----------
    [@vandennoortgate2013]

    Examples
    --------
    >>> effect, variance = combined(np.array([0.0, 1.0]), np.array([0.1, 0.1]), np.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> round(effect, 6), round(variance, 6)
    (0.5, 0.075)
    """
    sei = np.sqrt(vi)
    if not weighted:
        return float(np.mean(yi)), float(sei @ correlation @ sei) / len(yi) ** 2
    root = np.linalg.cholesky(correlation)
    scale = float(np.min(sei))
    one = np.linalg.solve(root, scale / sei)  # in units of the smallest standard error, whatever the data's scale
    effect = np.linalg.solve(root, scale * np.asarray(yi) / sei)
    information = float(one @ one)
    return float(one @ effect) / information, scale**2 / information


def aggregate(
    data: pd.DataFrame,
    *,
    cluster: str,
    yi: str = "yi",
    vi: str = "vi",
    struct: Struct = "CS",
    rho: float | Mapping[Hashable, float] | Sequence[float] | None = None,
    phi: float | Mapping[Hashable, float] | Sequence[float] | None = None,
    time: str | None = None,
    obs: str | None = None,
    V: FloatArray | Blocks | None = None,
    weighted: bool = True,
    skip_missing: bool = True,
) -> pd.DataFrame:
    """Combine the effects of each study (or other cluster) into one.

    A multilevel model keeps the effects apart and is usually better; this gives one line per study, for a picture or a
    model that needs independent effects.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per effect.
    cluster : str
        Column that tells which study a row belongs to.
    yi, vi : str
        Columns of effects and sampling variances.
    struct : {"CS", "ID", "CAR", "CS+CAR", "CS*CAR"}
        Correlation of the sampling errors within a cluster, see `sampling_correlation`.
    rho, phi : float, mapping or sequence
        Correlations that `struct` needs: one, one per cluster by name, or one per cluster in order of appearance.
    time, obs : str, optional
        Columns of times and kinds.
    V : (k, k) array or list of (rows, block), optional
        Sampling covariance, instead of `struct`.
    weighted : bool
        Weights by the inverse covariance; else plain averages.
    skip_missing : bool
        Leave out effects that are missing; else their cluster's effect is missing.

    Returns
    -------
    pandas.DataFrame
        One row per cluster, in order of appearance: the columns of `data` (numbers averaged, the most frequent value
        of others) and `n_effects`, the effects combined.

    Raises
    ------
    ModelError
        A column or correlation that is missing or cannot be, or a covariance that is not positive definite.

    References
    ----------
    [@viechtbauer2010a]

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"study": ["a", "a", "b"], "yi": [0.0, 1.0, 2.0], "vi": [0.1, 0.1, 0.2]})
    >>> aggregate(data, cluster="study", rho=0.5)
      study   yi     vi  n_effects
    0     a  0.5  0.075          2
    1     b  2.0  0.200          1
    """
    import pandas as pd

    y, v = _floats(data, yi), _floats(data, vi)
    labels, codes = _clusters(data, cluster)
    if np.any(v < 0):
        raise ModelError(f"{vi} is negative in row {data.index[int(np.flatnonzero(v < 0)[0])]}: a variance is above 0")
    covariance = None if V is None else _rows_of(V, len(data))
    correlation_of = _correlations(data, labels, struct, rho, phi, time, obs) if covariance is None else None
    members = _members(codes, len(labels))
    lines = []
    for j, label in enumerate(labels):
        rows = members[j]
        there = rows[np.isfinite(y[rows]) & np.isfinite(v[rows])] if skip_missing else rows
        if not len(there):
            lines.append((np.nan, np.nan, 0))
            continue
        R, variances = (
            correlation_of(j, there) if correlation_of else np.eye(0),
            v[there],
        )
        if covariance is not None:
            block = covariance(there)
            variances = np.diag(block).copy()
            R = block / np.sqrt(np.outer(variances, variances))
        lines.append((*_combined_or_why(y[there], variances, R, weighted, cluster, label), len(there)))
    kept = _one_row_each(data.drop(columns=[yi, vi]), codes, len(labels))
    kept[cluster] = labels
    found = pd.DataFrame(lines, columns=[yi, vi, "n_effects"]).assign(**kept)
    return found[[*(column for column in data.columns), "n_effects"]]


def _combined_or_why(
    yi: FloatArray, vi: FloatArray, R: FloatArray, weighted: bool, cluster: str, label: object
) -> tuple[float, float]:
    if not (np.isfinite(yi).all() and np.isfinite(vi).all()):
        with np.errstate(all="ignore"):
            return np.nan, combined(np.zeros(len(vi)), vi, R, weighted)[1] if np.isfinite(vi).all() else np.nan
    if weighted and np.any(vi == 0):
        raise ModelError(f"a variance is 0 in {cluster} {label}: weights need variances above 0")
    try:
        return combined(yi, vi, R, weighted)
    except np.linalg.LinAlgError:
        raise ModelError(
            f"the sampling covariance of {cluster} {label} is not positive definite: "
            f"{len(yi)} effects cannot all have these correlations; choose others"
        ) from None


def _correlations(
    data: pd.DataFrame, labels: Sequence[Hashable], struct: str, rho: Any, phi: Any, time: str | None, obs: str | None
) -> Callable[[int, IntArray], FloatArray]:
    """The correlation matrix of some rows of a cluster."""
    if struct not in STRUCTURES:
        raise ModelError(f'struct is "{struct}": {did_you_mean(str(struct), list(STRUCTURES))}')
    rhos = _per_cluster("rho", rho, labels, -1.0) if "CS" in struct else np.zeros(len(labels))
    phis = _per_cluster("phi", phi, labels, 0.0) if "CAR" in struct else np.zeros(len(labels))
    if "CAR" in struct and time is None:
        raise ModelError(f'struct "{struct}" needs time: the column that tells when each effect was measured')
    if struct == "CS*CAR" and obs is None:
        raise ModelError('struct "CS*CAR" needs obs: the column that tells which effects are of one kind')
    times = _floats(data, time) if time is not None and "CAR" in struct else None
    if times is not None and not np.isfinite(times).all():
        raise ModelError(f"{time} is missing in row {data.index[int(np.flatnonzero(~np.isfinite(times))[0])]}")
    kinds = _labels(data, obs) if obs is not None else None

    def of(j: int, rows: IntArray) -> FloatArray:
        return sampling_correlation(
            struct, len(rows), rhos[j], phis[j], None if times is None else times[rows],
            None if kinds is None else [kinds[i] for i in rows],
        )  # fmt: skip

    return of


def _per_cluster(name: str, value: Any, labels: Sequence[Hashable], lowest: float) -> FloatArray:
    if value is None:
        raise ModelError(f"{name} is missing: give the correlation of effects of one cluster, or a plausible one")
    if isinstance(value, Mapping):
        missing = [label for label in labels if label not in value]
        if missing:
            raise ModelError(f"{name} has no value for {missing[0]}")
        value = [value[label] for label in labels]
    numbers = np.asarray(value, dtype=float)
    if numbers.ndim and len(numbers) != len(labels):
        raise ModelError(f"{name} has {len(numbers)} values for {len(labels)} clusters: give one, or one per cluster")
    found = np.broadcast_to(numbers, (len(labels),))
    wrong = ~((found >= lowest) & (found <= 1))
    if wrong.any():
        raise ModelError(f"{name} is {found[wrong][0]:g}: it lies between {lowest:g} and 1")
    return found


def _rows_of(V: Any, k: int) -> Callable[[IntArray], FloatArray]:
    """The covariance of some rows, out of a matrix or of blocks, each checked."""
    if isinstance(V, Sequence) and not isinstance(V, str):
        try:
            parts = [(list(rows), _covariance(block)) for rows, block in V]  # each block made once
        except (TypeError, ValueError):
            raise ModelError("V as a list needs pairs of rows and their covariance block") from None
        place: dict[int, tuple[int, int]] = {}
        for b, (rows, _) in enumerate(parts):
            place |= {int(row): (b, i) for i, row in enumerate(rows)}
        if len(place) != k:
            raise ModelError(f"V covers {len(place)} of {k} rows")

        def of(rows: IntArray) -> FloatArray:
            at = [place[int(row)] for row in rows]
            return np.array([[parts[b][1][i, j] if b == c else 0.0 for c, j in at] for b, i in at])

        return of
    matrix = _covariance(V.toarray() if hasattr(V, "toarray") else V)
    if len(matrix) != k:
        raise ModelError(f"V has {len(matrix)} rows, and data has {k}")
    return lambda rows: matrix[np.ix_(rows, rows)]


def _covariance(V: Any) -> FloatArray:
    """A covariance matrix of numbers, square and symmetric, with variances above zero."""
    try:
        matrix = np.asarray(V, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("V holds something that is not a number, or rows of different lengths") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ModelError(f"V has shape {matrix.shape}; a covariance has as many rows as columns")
    bad = ~(np.diag(matrix) > 0)
    if bad.any():
        i = int(np.argmax(bad))
        raise ModelError(f"V has {matrix[i, i]:g} on its diagonal in row {i + 1}: a variance is above 0")
    if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
        raise ModelError("V is not symmetric: the covariance of two effects stands in two places")
    return matrix


def _one_row_each(data: pd.DataFrame, codes: IntArray, m: int) -> dict[str, Any]:
    """Other columns by cluster: numbers (and shares of yes) averaged, the most frequent value of others."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    kept: dict[str, Any] = {}
    for name in data.columns:
        column = data[name]
        groups = column.groupby(codes, sort=True)
        if is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
            kept[str(name)] = groups.mean().reindex(range(m)).to_numpy(dtype=float)
        else:
            modes = groups.agg(lambda values: next(iter(values.mode()), None))
            kept[str(name)] = modes.reindex(range(m)).to_numpy()
    return kept


def _members(codes: IntArray, m: int) -> list[IntArray]:
    order = np.argsort(codes, kind="stable")
    return [
        np.asarray(rows, dtype=np.int64) for rows in np.split(order, np.cumsum(np.bincount(codes, minlength=m))[:-1])
    ]


def _clusters(data: pd.DataFrame, column: str) -> tuple[list[Hashable], IntArray]:
    """Labels in order of appearance, and each row's position among them."""
    values = _labels(data, column)
    places: dict[Hashable, int] = {}
    codes = np.array([places.setdefault(value, len(places)) for value in values], dtype=np.int64)
    return list(places), codes


def _labels(data: pd.DataFrame, column: str) -> list[Hashable]:
    _known(data, column)
    if data[column].isna().any():
        row = data.index[int(np.flatnonzero(data[column].isna())[0])]
        raise ModelError(f"{column} is missing in row {row}: every effect belongs somewhere")
    return list(data[column])


def _known(data: pd.DataFrame, column: str) -> None:
    if column not in data.columns:
        raise ModelError(f'there is no column "{column}": {did_you_mean(column, [str(c) for c in data.columns])}')


def _floats(data: pd.DataFrame, column: str) -> FloatArray:
    _known(data, column)
    try:
        return np.asarray(data[column], dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f'column "{column}" holds something that is not a number') from None


# ------------------------------------------------------------------------------ correlations of the same people
def correlation_block(R: FloatArray, pairs: Sequence[tuple[int, int]], n: float) -> FloatArray:
    """Large-sample covariance of correlations from one sample, with n - 1.

    Parameters
    ----------
    R : (p, p) array
        Correlations of the variables, ones on the diagonal; nan where unknown.
    pairs : sequence of (int, int)
        The m correlations, as positions in R.
    n : float
        People.

    Returns
    -------
    (m, m) array
        nan where a correlation that it takes is unknown.

    Notes
    -----
    Olkin and Siotani (1976); Steiger (1980, Psychological Bulletin). For correlations without a common variable four
    others are needed, for those with one the third.

    Examples
    --------
    >>> R = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.2], [0.3, 0.2, 1.0]])
    >>> correlation_block(R, [(0, 1), (0, 2)], 101).round(6).tolist()
    [[0.005625, 0.000855], [0.000855, 0.008281]]
    """
    s, t = (np.array([pair[side] for pair in pairs], dtype=np.int64)[:, None] for side in (0, 1))
    u, v = s.T, t.T
    first, second = R[s, t], R[u, v]
    su, sv, tu, tv = R[s, u], R[s, v], R[t, u], R[t, v]
    squares = 0.5 * first * second * (su**2 + sv**2 + tu**2 + tv**2)
    products = su * tv + sv * tu
    chains = first * su * sv + first * tu * tv + second * su * tu + second * sv * tv
    return np.asarray((squares + products - chains) / (n - 1))


def correlation_covariance(
    data: pd.DataFrame,
    *,
    r: str = "ri",
    n: str = "ni",
    var1: str = "var1",
    var2: str = "var2",
    study: str | None = None,
    to_z: bool = False,
    common_n: Literal["min", "harmonic", "mean"] = "min",
) -> tuple[pd.DataFrame, Blocks]:
    """Correlations of the same people as effects, with their sampling covariance.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per correlation.
    r, n : str
        Columns of correlations and people.
    var1, var2 : str
        Columns that name the two variables of each correlation.
    study : str, optional
        Column that tells samples apart; one sample without it.
    to_z : bool
        Fisher's z of the correlations, with variances 1 / (n - 3).
    common_n : {"min", "harmonic", "mean"}
        Which number of people stands for a study whose correlations rest on different ones; "min" is the careful one.

    Returns
    -------
    frame : pandas.DataFrame
        `data` with `pair`, `yi`, the variance `vi` and the common number of people.
    V : list of (rows, block)
        Covariance of each study's effects, as `fit` takes it; nan where a correlation that it takes is not known, or a
        study has fewer than 5 people.

    Raises
    ------
    ModelError
        A column that is missing, a correlation beyond 1, a pair given twice, a variable with itself.

    References
    ----------
    [@olkin1958; @fisher1921]

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"var1": ["a", "a", "b"], "var2": ["b", "c", "c"], "ri": [0.5, 0.3, 0.2], "ni": 101})
    >>> frame, V = correlation_covariance(data)
    >>> frame["vi"].round(6).tolist(), float(V[0][1][0, 1].round(6))
    ([0.005625, 0.008281, 0.009216], 0.000855)
    """
    ri, ni = _floats(data, r), _floats(data, n)
    if np.any(np.abs(ri) > 1):
        row = data.index[int(np.flatnonzero(np.abs(ri) > 1)[0])]
        raise ModelError(f"{r} is {ri[np.abs(ri) > 1][0]:g} in row {row}: a correlation lies between -1 and 1")
    if common_n not in ("min", "harmonic", "mean"):
        raise ModelError(f'common_n is "{common_n}": {did_you_mean(str(common_n), ["min", "harmonic", "mean"])}')
    first, second = _labels(data, var1), _labels(data, var2)
    labels, codes = ([""], np.zeros(len(data), dtype=np.int64)) if study is None else _clusters(data, study)
    size, vi, blocks = np.full(len(data), np.nan), np.full(len(data), np.nan), []
    for label, rows in zip(labels, _members(codes, len(labels)), strict=True):
        people = _common_size(ni[rows], common_n)
        R, pairs = _matrix([first[i] for i in rows], [second[i] for i in rows], ri[rows], str(label))
        if people >= FEWEST:
            block = correlation_block(R, pairs, people)
            if to_z:
                stretch = 1 - ri[rows] ** 2
                with np.errstate(all="ignore"):
                    block = block * (people - 1) / (people - 3) / np.outer(stretch, stretch)
        else:
            block = np.full((len(rows), len(rows)), np.nan)
        size[rows], vi[rows] = people, np.diag(block)
        blocks.append((rows, block))
    with np.errstate(divide="ignore"):
        yi = np.arctanh(ri) if to_z else ri
    pair = [f"{one}.{other}" for one, other in zip(first, second, strict=True)]
    return data.assign(pair=pair, yi=yi, vi=vi, **{n: size}), blocks


def _common_size(n: FloatArray, rule: str) -> float:
    known = n[np.isfinite(n)]
    if not len(known):
        return float("nan")
    match rule:
        case "harmonic":
            return float(1 / np.mean(1 / known))
        case "mean":
            return float(np.mean(known))
    return float(np.min(known))


def _matrix(
    first: Sequence[Hashable], second: Sequence[Hashable], r: FloatArray, label: str
) -> tuple[FloatArray, list[tuple[int, int]]]:
    """The correlation matrix of one study's variables, and where each row stands in it."""
    places: dict[Hashable, int] = {}
    pairs = []
    where = f" of study {label}" if label else ""
    for one, other in zip(first, second, strict=True):
        if one == other:
            raise ModelError(f"{one}{where} is correlated with itself: var1 and var2 name two variables")
        pairs.append((places.setdefault(one, len(places)), places.setdefault(other, len(places))))
    R = np.full((len(places), len(places)), np.nan)
    np.fill_diagonal(R, 1.0)
    seen: set[frozenset[int]] = set()
    for (i, j), value in zip(pairs, r, strict=True):
        if frozenset((i, j)) in seen:
            names = list(places)
            raise ModelError(f"{names[i]} and {names[j]}{where} are given twice: one correlation per pair")
        seen.add(frozenset((i, j)))
        R[i, j] = R[j, i] = value
    return R, pairs
