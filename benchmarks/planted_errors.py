"""Plant one known error at a time into copies of real tables and count how many `catharsis check` finds.

Run by `make planted`; writes benchmarks/planted_errors.json and docs/planted_errors.md. `--short` prints a tenth of it.

Real tables: the analyses of this repository as they stand, and the public data sets of tests/golden/data (metadat):
means, SDs and group sizes; two-by-two tables; correlations; shares; effect sizes with variances and n. A data set that
holds no test statistic is also taken with the t, df and p, the d and its interval, or the p, that a paper with these
numbers would print; scipy computes them, not catharsis, and they are rounded as papers round (t, d: 2 decimals, p: 3).

What counts: an error is found when the copy has a finding of error or warning grade on the planted row that the clean
table does not have. A type of error is measured over the rows whose other cells fix the changed one (`TYPES` says which
cells that takes, before anything is run). What lies outside is counted as undetectable, with the reason.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import os
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats

from catharsis.checks.run import check_rows
from catharsis.errors import InputError, InputErrors
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.table import read_dictionary, read_studies

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "data"
SEED = 20261123
PER_TYPE = 60  # planted copies of each type
MOST_ROWS = 40  # of a data set: each copy is checked as a whole
WHOLE = {"n", "n1", "n2", "events1", "events2", "better", "same", "worse"}
COUNTS = ("better", "same", "worse", "events1", "n1", "events2", "n2")
Cells = dict[str, str]


@dataclass
class Effect:
    """One row: its id, label and year, and its cells as printed."""

    id: str
    label: str
    cells: Cells
    year: int | None = None
    extra: str = ""  # lines of the file that are not numbers


@dataclass
class Table:
    """A table of one outcome, or a file of this repository."""

    name: str
    effects: list[Effect]
    outcome: dict[str, object] = field(default_factory=lambda: {"label": "Outcome"})
    text: str | None = None  # the file itself, when it is one of ours
    folder: Path | None = None

    def dictionary(self) -> Dictionary:
        """What analysis.yaml would declare."""
        if self.folder is not None:
            return read_dictionary(self.folder / "analysis.yaml")
        return Dictionary.model_validate({"outcomes": {"outcome": self.outcome}})

    def yaml(self, effects: list[Effect] | None = None) -> str:
        """The table as a person would write it."""
        lines = ["schema: catharsis/studies@1", "studies:"]
        for effect in self.effects if effects is None else effects:
            numbers = {k: v for k, v in effect.cells.items() if not k.startswith("events") and k != "sign"}
            counts = {k: v for k, v in effect.cells.items() if k.startswith("events")}
            if counts:
                counts |= {k: numbers.pop(k) for k in ("n1", "n2") if k in numbers}
            lines += [
                f"  - cite: {effect.id.split('.')[0]}",
                f"    label: {json.dumps(effect.label)}",
                "    outcome: outcome",
            ]
            lines += [f"    year: {effect.year}"] if effect.year else []
            lines += ["    samples:", f"      - id: {effect.id}", "        effects:", f"          - id: {effect.id}"]
            for key, block in (("counts", counts), ("numbers", numbers)):
                if block:
                    lines.append(f"            {key}: {{{', '.join(f'{k}: {v}' for k, v in _with_interval(block))}}}")
            if "sign" in effect.cells:
                lines.append(f"            reported: {{sign: {effect.cells['sign']}}}")
        return "\n".join(lines) + "\n"


def _with_interval(block: Cells) -> Iterator[tuple[str, str]]:
    for key, value in block.items():
        if key == "d_low":
            yield "d_ci", f"[{value}, {block['d_high']}]"
        elif key != "d_high":
            yield key, value


# -- real tables --------------------------------------------------------------------------------------


def digits(value: float, most: int = 7) -> str:
    """A number of a data set with the digits that it was published with, as far as a float keeps them."""
    text = f"{value:.{most}g}"
    return f"{float(text):f}".rstrip("0").rstrip(".") if "e" in text else text


def data_sets() -> Iterator[tuple[str, dict[str, dict[str, list[object]]]]]:
    """Name and inputs of every public data set in the golden collection."""
    for path in sorted(GOLDEN.glob("dat.*.json.xz")):
        if ".bayes." not in path.name:
            with lzma.open(path) as file:
                yield path.name[4:-8], json.load(file)["inputs"]


def columns(entry: dict[str, object]) -> dict[str, list[object]]:
    """The columns of an input, wherever they stand."""
    inner = entry.get("data", entry)
    return {k: v for k, v in inner.items() if isinstance(v, list)} if isinstance(inner, dict) else {}


def records(data: dict[str, list[object]], wanted: tuple[str, ...]) -> list[tuple[int, dict[str, float]]]:
    """Rows in which every wanted column has a number."""
    found = []
    for i in range(min(len(data[name]) for name in wanted)):
        values = {name: data[name][i] for name in wanted}
        if all(isinstance(value, int | float) and math.isfinite(value) for value in values.values()):
            found.append((i, values))
    return found[:MOST_ROWS]


UNITS = {"normand1999": "days", "senn2013": "percent HbA1c"}  # one instrument in all studies of the data set


def tables() -> list[Table]:
    """Every real table, with and without what a paper would print beside."""
    found = []
    for name in ("crying", "bcg"):
        folder = ROOT / "analyses" / name
        found.append(Table(name, [], text=(folder / "studies.yaml").read_text(encoding="utf-8"), folder=folder))
    for name, inputs in data_sets():
        found += _means(name, inputs) + _two_by_two(name, inputs) + _correlations(name, inputs)
        found += _shares(name, inputs) + _given(name, inputs)
    return [table for table in found if table.text or len(table.effects) >= 4]


def _table(name: str, rows: list[tuple[int, Cells]], unit: str | None = None) -> Table:
    outcome: dict[str, object] = {"label": "Outcome"} | ({"unit": unit} if unit else {})
    return Table(name, [Effect(f"trial{i + 1}.{i + 1}", f"Trial {i + 1}", cells) for i, cells in rows], outcome)


def _means(name: str, inputs: dict[str, dict[str, list[object]]]) -> list[Table]:
    data = columns(inputs.get("main.c2", {}))
    if not data:
        return []
    wanted = ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")
    plain, tested, sized, given = [], [], [], []
    measures = {key: columns(inputs[key]) for key in ("MD", "SMD", "main", "flat") if key in inputs}
    measure = next((m for m in measures.values() if len(m["yi"]) == len(data["m1i"])), None)
    for i, row in records(data, wanted):
        cells = {k[:-1]: digits(v) for k, v in row.items()}
        cells |= {k: str(int(row[f"{k}i"])) for k in ("n1", "n2")}
        plain.append((i, cells))
        test = stats.ttest_ind_from_stats(*(row[k] for k in wanted))
        df = int(row["n1i"] + row["n2i"] - 2)
        extra = {"t": f"{test.statistic:.2f}", "df": str(df)}
        extra |= {"p": f"{test.pvalue:.3f}"} if test.pvalue >= 0.001 else {}
        tested.append((i, cells | extra))
        pooled = math.sqrt(((row["n1i"] - 1) * row["sd1i"] ** 2 + (row["n2i"] - 1) * row["sd2i"] ** 2) / df)
        d = (row["m1i"] - row["m2i"]) / pooled
        se = math.sqrt(1 / row["n1i"] + 1 / row["n2i"] + d**2 / (2 * (df + 2)))
        bounds = {"d": f"{d:.2f}", "d_low": f"{d - 1.96 * se:.2f}", "d_high": f"{d + 1.96 * se:.2f}"}
        sized.append((i, cells | bounds))
        if measure is not None:
            given.append((i, cells | {"yi": f"{measure['yi'][i]:.4f}", "vi": digits(measure["vi"][i], 4)}))
    unit = UNITS.get(name)
    rows = ((plain, "means"), (tested, "means, t, df, p"), (sized, "means, d and interval"), (given, "means, yi, vi"))
    return [_table(f"{name}: {what}", some, unit) for some, what in rows if some]


def _two_by_two(name: str, inputs: dict[str, dict[str, list[object]]]) -> list[Table]:
    data = columns(inputs.get("main.2x2", {}))
    if not data:
        return []
    plain, tested, given = [], [], []
    key = next((k for k in ("main.OR", "main.RR", "main.RD", "main.diag", "flat") if k in inputs), None)
    measure = columns(inputs[key]) if key else {}
    for i, row in records(data, ("ai", "bi", "ci", "di")):
        a, b, c, d = (int(row[k]) for k in ("ai", "bi", "ci", "di"))
        cells = {"events1": str(a), "n1": str(a + b), "events2": str(c), "n2": str(c + d)}
        plain.append((i, cells))
        if min(a + b, c + d, a + c, b + d) > 0:
            p = stats.chi2_contingency([[a, b], [c, d]], correction=False).pvalue
            tested.append((i, cells | ({"p": f"{p:.3f}"} if p >= 0.001 else {})))
        if measure and len(measure["yi"]) == len(data["ai"]) and isinstance(measure["yi"][i], float):
            given.append((i, cells | {"yi": f"{measure['yi'][i]:.4f}", "vi": digits(measure["vi"][i], 4)}))
    rows = ((plain, "counts"), (tested, "counts and p"), (given, "counts, yi, vi"))
    return [_table(f"{name}: {what}", some) for some, what in rows if some]


def _correlations(name: str, inputs: dict[str, dict[str, list[object]]]) -> list[Table]:
    data = columns(inputs.get("main.cor", {}))
    if not data:
        return []
    plain, tested, given = [], [], []
    for i, row in records(data, ("ri", "ni")):
        r, n = row["ri"], int(row["ni"])
        if n <= 4 or abs(r) >= 1:
            continue
        cells = {"r": digits(r), "n": str(n)}
        plain.append((i, cells))
        p = 2 * stats.t.sf(abs(r) * math.sqrt((n - 2) / (1 - r**2)), n - 2)
        tested.append((i, cells | ({"p": f"{p:.3f}"} if p >= 0.001 else {})))
        given.append((i, cells | {"yi": f"{math.atanh(r):.4f}", "vi": digits(1 / (n - 3), 4)}))
    rows = ((plain, "r"), (tested, "r and p"), (given, "r, yi, vi"))
    return [_table(f"{name}: {what}", some) for some, what in rows]


def _shares(name: str, inputs: dict[str, dict[str, list[object]]]) -> list[Table]:
    data = columns(inputs.get("main.prop", {}))
    measure = next((columns(inputs[k]) for k in ("PLO", "PR") if k in inputs), None)
    if not data or measure is None or len(measure["yi"]) != len(data["xi"]):
        return []
    rows = []
    for i, row in records(data, ("xi", "ni")):
        if isinstance(measure["yi"][i], float):
            cells = {"events1": str(int(row["xi"])), "n1": str(int(row["ni"]))}
            rows.append((i, cells | {"yi": f"{measure['yi'][i]:.5g}", "vi": digits(measure["vi"][i], 4)}))
    return [_table(f"{name}: events, yi, vi", rows)] if rows else []


def _given(name: str, inputs: dict[str, dict[str, list[object]]]) -> list[Table]:
    for key in ("main", "main.diag", "flat"):
        data = columns(inputs.get(key, {}))
        if "yi" in data and "vi" in data:
            wanted = ("yi", "vi", "ni") if "ni" in data else ("yi", "vi")
            rows = []
            for i, row in records(data, wanted):
                cells = {"n": str(int(row["ni"]))} if "ni" in data else {}
                rows.append((i, cells | {"yi": digits(row["yi"], 4), "vi": digits(row["vi"], 4)}))
            return [_table(f"{name}: {', '.join(wanted)}", rows)]
    return []


def ours(table: Table) -> list[Effect]:
    """The effects of one of our own files, with their cells as printed."""
    assert table.folder is not None
    found = read_studies(table.folder / "studies.yaml", table.dictionary())
    rows = []
    for row in found:
        cells = {k: row.printed[k] for k in (*NUMBERS, *COUNTS) if row.has(k) and k in row.printed}
        if row.get("kind") in ("estimate", "counts") and cells:
            rows.append(Effect(row.id, str(row.get("study")), cells))
    return rows


NUMBERS = (
    "n", "n1", "n2", "mean_change", "sd_change", "se_change", "m1", "sd1", "se1", "m2", "sd2", "se2", "t", "df", "F",
    "p", "r", "d", "d_se", "d_low", "d_high", "yi", "vi", "sei",
)  # fmt: skip


# -- errors -------------------------------------------------------------------------------------------


def moved_point(text: str, by: int) -> str:
    """A number with its decimal point moved, as a slip of the pen does it."""
    value = float(text)
    places = len(text.partition(".")[2]) - by
    return f"{value * 10.0**by:.{max(places, 0)}f}"


def other_sign(text: str) -> str:
    """A number with the other sign."""
    return text[1:] if text.startswith("-") else f"-{text}"


def like(value: float, text: str) -> str:
    """A value with as many significant digits as another number was printed with, at least 2."""
    count = max(len(re.sub(r"[^0-9]", "", text).lstrip("0")), 2)
    return digits(value, count)


def mistyped(text: str, dice: random.Random) -> str:
    """One of the first two digits replaced by another."""
    places = [i for i, c in enumerate(text) if c.isdigit() and text[: i + 1].strip("-0.")][:2]
    at = dice.choice(places)
    others = [c for c in "0123456789" if c != text[at] and not (at == places[0] and c == "0")]
    return text[:at] + dice.choice(others) + text[at + 1 :]


Change = Callable[[Cells, random.Random], Cells | None]


def _se_for_sd(cells: Cells, dice: random.Random) -> Cells:
    return {f"sd{i}": like(float(cells[f"sd{i}"]) / math.sqrt(int(cells[f"n{i}"])), cells[f"sd{i}"]) for i in (1, 2)}


def _se_for_one(cells: Cells, dice: random.Random) -> Cells:
    i = dice.choice((1, 2))
    return {f"sd{i}": like(float(cells[f"sd{i}"]) / math.sqrt(int(cells[f"n{i}"])), cells[f"sd{i}"])}


def _se_for_change(cells: Cells, dice: random.Random) -> Cells:
    return {"sd_change": like(float(cells["sd_change"]) / math.sqrt(int(cells["n"])), cells["sd_change"])}


def _flip(cells: Cells, dice: random.Random) -> Cells | None:
    signed = [k for k in ("t", "d", "yi", "r", "mean_change") if k in cells and float(cells[k]) != 0]
    if not signed:
        return None
    column = dice.choice(signed)
    if column == "d" and "d_low" in cells:  # a person who mixes up the direction turns the interval as well
        return {"d": other_sign(cells["d"]), "d_low": other_sign(cells["d_high"]), "d_high": other_sign(cells["d_low"])}
    return {column: other_sign(cells[column])}


def _flip_change(cells: Cells, dice: random.Random) -> Cells | None:
    return {"mean_change": other_sign(cells["mean_change"])} if float(cells["mean_change"]) else None


def _swap(cells: Cells, dice: random.Random) -> Cells | None:
    if "m1" in cells:
        pairs = [("m1", "m2"), ("sd1", "sd2"), ("n1", "n2")][: dice.choice((1, 2, 3))]
    elif "events2" in cells:
        pairs = [("events1", "events2"), ("n1", "n2")][: dice.choice((1, 2))]
    else:
        return None
    return {a: cells[b] for pair in pairs for a, b in (pair, pair[::-1]) if b in cells}


def _shift(*names: str) -> Change:
    def change(cells: Cells, dice: random.Random) -> Cells | None:
        usable = [k for k in names if k in cells and float(cells[k]) != 0]
        if not usable:
            return None
        column = dice.choice(usable)
        return {column: moved_point(cells[column], dice.choice((1, -1)) if "." in cells[column] else 1)}

    return change


def _digit(*names: str) -> Change:
    def change(cells: Cells, dice: random.Random) -> Cells | None:
        usable = [k for k in names if k in cells and re.search(r"[1-9]", cells[k])]
        if not usable:
            return None
        column = dice.choice(usable)
        return {column: mistyped(cells[column], dice)}

    return change


def _wrong_n(cells: Cells, dice: random.Random) -> Cells | None:
    column = dice.choice([k for k in ("n1", "n2") if k in cells] or ["n"])
    if column not in cells:
        return None
    n = int(cells[column])
    least = int(cells.get(f"events{column[1:]}", 0)) if column != "n" else 0
    slips = [
        n * 10,
        n // 10,
        n + 10,
        n * 2,
        round(n * 1.3),
        round(n * 0.7),
        int(str(n)[::-1]),
    ]  # a digit, a group, others
    usable = [x for x in slips if x > max(4, least) and abs(x - n) >= max(2, 0.1 * n)]
    return {column: str(dice.choice(usable))} if usable else None


def _se_for_variance(cells: Cells, dice: random.Random) -> Cells:
    return {"vi": like(math.sqrt(float(cells["vi"])), cells["vi"])}


def _others_for_events(cells: Cells, dice: random.Random) -> Cells:
    i = dice.choice([i for i in (1, 2) if f"events{i}" in cells])
    return {f"events{i}": str(int(cells[f"n{i}"]) - int(cells[f"events{i}"]))}


def _ratio_for_log(cells: Cells, dice: random.Random) -> Cells:
    return {"yi": like(math.exp(float(cells["yi"])), cells["yi"])}


def _one_limit(cells: Cells, dice: random.Random) -> Cells | None:
    column = dice.choice(("d_low", "d_high"))
    return {column: other_sign(cells[column])} if float(cells[column]) else None


def _other_p(cells: Cells, dice: random.Random) -> Cells:
    return {"p": f"{dice.uniform(0.001, 0.999):.3f}"}


def _copy(cells: Cells, dice: random.Random) -> Cells:
    return dict(cells)


@dataclass(frozen=True)
class Type:
    """A kind of error: what it does to a row, and which cells it takes to see it.

    `needs` are the cells that are changed; `seen_by` sets of cells of which one must stand beside them.
    """

    name: str
    change: Change
    needs: tuple[tuple[str, ...], ...]
    seen_by: tuple[tuple[str, ...], ...]
    else_why: str
    peers: bool = False  # rows of tables whose other rows are its only witness


MEANS = ("m1", "sd1", "n1", "m2", "sd2", "n2")
TESTED: tuple[tuple[str, ...], ...] = (("t",), ("d",), ("yi", "vi"), ("p",))
SIGNED: tuple[tuple[str, ...], ...] = (("t",), ("d",), ("yi",))
ALONE = "nothing in the row says how far apart the means are in units of their error"
FEW = "fewer than three different numbers, in which two samples may agree by chance"
NO_SIGN = "no second number of the row has a direction"
SIZES = ("t", "d", "yi", "vi")
YI: tuple[tuple[str, ...], ...] = (("yi", "vi"),)
BESIDE = (("t", "m1"), ("d", "m1"), ("yi", "m1"), ("yi", "events1"), ("yi", "r"))
FOUND_N = (("n1", "m1"), ("n1", "events1"), ("n", "r"))
NO_N, NO_VI = "n stands for itself", "vi stands for itself"
TYPES: tuple[Type, ...] = (
    Type("SE for SD, both groups", _se_for_sd, (MEANS,), TESTED, ALONE),
    Type("SE for SD, one group", _se_for_one, (MEANS,), TESTED, ALONE),
    Type("SE for SD, one instrument", _se_for_sd, (MEANS,), ((),), ALONE, peers=True),
    Type("SE for SD of a change", _se_for_change, (("mean_change", "sd_change", "n"),), ((),), ALONE, peers=True),
    Type("flipped sign of a change", _flip_change, (("mean_change", "better"),), ((),), NO_SIGN),
    Type("flipped sign", _flip, BESIDE, ((),), NO_SIGN),
    Type("swapped groups", _swap, (MEANS, ("events1", "events2")), SIGNED, NO_SIGN),
    Type("decimal shift in a mean or SD", _shift("m1", "sd1", "m2", "sd2"), (MEANS,), TESTED, ALONE),
    Type("decimal shift in t, d, yi or vi", _shift(*SIZES), (MEANS, ("events1",), ("r",)), TESTED[:3], ALONE),
    Type("decimal shift in r", _shift("r"), (("r", "n"),), (("p",), ("yi",)), "r and n alone fit any r"),
    Type("wrong digit in a mean or SD", _digit("m1", "sd1", "m2", "sd2"), (MEANS,), TESTED, ALONE),
    Type("wrong digit in t, d, yi or vi", _digit(*SIZES), (MEANS, ("events1",), ("r",)), TESTED[:3], ALONE),
    Type("wrong n, with df", _wrong_n, (("n1", "df"), ("n", "df")), ((),), NO_N),
    Type("wrong n, with yi and vi", _wrong_n, FOUND_N, YI, NO_N),
    Type("wrong p", _other_p, (("p", "t"), ("p", "r"), ("p", "events2")), ((),), "p stands for itself"),
    Type("standard error for variance", _se_for_variance, (MEANS, ("events1",), ("r",)), YI, NO_VI),
    Type("standard error for variance, by peers", _se_for_variance, (("yi", "vi", "n"),), ((),), NO_VI, peers=True),
    Type("events and others mixed up", _others_for_events, (("events1",),), (("yi",), ("p",)), "counts fit any counts"),
    Type("ratio for its logarithm", _ratio_for_log, (("events1", "events2"),), (("yi",),), "yi stands for itself"),
    Type("limit of an interval with the other sign", _one_limit, (("d", "d_low"),), ((),), "no interval"),
    Type("duplicated sample", _copy, (MEANS, ("events2",), ("r",), ("mean_change",), ("events1",)), ((),), FEW),
)  # fmt: skip


def carries(kind: Type, effect: Effect) -> str:
    """Whether a row can show an error: "yes", "no" (it cannot be made there), or why it cannot be seen."""
    cells = effect.cells
    if not any(all(name in cells for name in names) for names in kind.needs):
        return "no"
    if kind.change is _copy:
        raw = {float(v) for k, v in cells.items() if k in (*MEANS, *COUNTS, "r", "n", "mean_change", "sd_change")} - {
            0.0
        }
        return "yes" if len(raw) >= 3 else kind.else_why
    return "yes" if any(all(name in cells for name in names) for names in kind.seen_by) else kind.else_why


# -- what nobody could see --

DRAWS = 4000
DEVIATIONS = 3.5  # the usual limit of a robust z
HIDDEN = "the changed row could have been printed as well: its digits leave room for it, or another usual test gives it"
UNCLEAR = "the other rows differ among themselves as much as the error changes this one"


def half_unit(text: str) -> float:
    """Half a unit of the last printed digit."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def drawn(cells: Cells, name: str, rng: np.random.Generator) -> np.ndarray:
    """Values that would be printed so."""
    if name in WHOLE:
        return np.full(DRAWS, float(cells[name]))
    half = half_unit(cells[name])
    return rng.uniform(float(cells[name]) - half, float(cells[name]) + half, DRAWS)


def prints(cells: Cells, name: str, values: np.ndarray) -> np.ndarray:
    """Which values would be printed as the cell."""
    if name not in cells:
        return np.full(np.shape(values), True)
    return np.abs(values - float(cells[name])) <= half_unit(cells[name]) * (1 + 1e-9)


Measures = dict[str, tuple[np.ndarray, np.ndarray]]


def could_be_honest(cells: Cells, clean: Cells) -> bool:
    """Whether all printed numbers follow from one set of true ones, by the formulas that the clean row follows."""
    rng = np.random.default_rng(SEED)
    fit = np.full(DRAWS, True)
    try:
        with np.errstate(all="ignore"):
            if "m1" in cells:
                fit &= _honest_means(cells, clean, rng)
            elif "events2" in cells:
                fit &= _honest_table(cells, clean)
            elif "r" in cells:
                r, n = drawn(cells, "r", rng), float(cells["n"])
                t = r * np.sqrt((n - 2) / (1 - r**2))
                fit &= prints(cells, "p", 2 * stats.t.sf(np.abs(t), n - 2))
                fit &= prints(cells, "yi", np.arctanh(r)) & prints(cells, "vi", np.full(DRAWS, 1 / (n - 3)))
            elif "events1" in cells:
                a, n = float(cells["events1"]), float(cells["n1"])
                measures = lambda c: _shares_of(float(c["events1"]), float(c["n1"]))  # noqa: E731
                fit &= _same_measure(cells, clean, _shares_of(a, n), measures(clean))
            else:
                return False
    except (ValueError, ZeroDivisionError):
        return False
    return bool(np.any(fit))


def _honest_means(cells: Cells, clean: Cells, rng: np.random.Generator) -> np.ndarray:
    if min(int(cells["n1"]), int(cells["n2"])) < 2:
        return np.full(DRAWS, False)
    m1, s1, m2, s2 = (drawn(cells, name, rng) for name in ("m1", "sd1", "m2", "sd2"))
    n1, n2 = float(cells["n1"]), float(cells["n2"])
    df = n1 + n2 - 2
    d = (m1 - m2) / np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
    t = d / math.sqrt(1 / n1 + 1 / n2)
    fit = prints(cells, "t", t) & prints(cells, "p", 2 * stats.t.sf(np.abs(t), df))
    if "df" in cells:
        fit &= float(cells["df"]) == df
    if "d" in cells:
        se = np.sqrt(1 / n1 + 1 / n2 + d**2 / (2 * (df + 2)))
        fit &= prints(cells, "d", d) & prints(cells, "d_low", d - 1.96 * se) & prints(cells, "d_high", d + 1.96 * se)
    if "yi" in cells:
        exact = {k: np.full(1, float(clean[k])) for k in ("m1", "sd1", "m2", "sd2")}
        before = _differences(
            exact["m1"], exact["sd1"], float(clean["n1"]), exact["m2"], exact["sd2"], float(clean["n2"])
        )
        fit &= _same_measure(cells, clean, _differences(m1, s1, n1, m2, s2, n2), before)
    return fit


def _differences(m1: np.ndarray, s1: np.ndarray, n1: float, m2: np.ndarray, s2: np.ndarray, n2: float) -> Measures:
    df = n1 + n2 - 2
    d = (m1 - m2) / np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
    j = math.exp(math.lgamma(df / 2) - 0.5 * math.log(df / 2) - math.lgamma((df - 1) / 2))
    c1, c2 = s1**2 / (n1 * m1**2), s2**2 / (n2 * m2**2)
    return {
        "MD": (m1 - m2, s1**2 / n1 + s2**2 / n2),
        "SMD": (j * d, 1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * (n1 + n2))),
        "ROM": (np.log(m1 / m2) + (c1 - c2) / 2, c1 + c2),
        "ROM, plain": (np.log(m1 / m2), c1 + c2),
    }


def _same_measure(cells: Cells, clean: Cells, after: Measures, before: Measures) -> np.ndarray:
    """Whether the changed row prints as the measure that the clean row is nearest to."""
    if "yi" not in cells:
        return np.full(DRAWS, True)
    yi, vi = float(clean["yi"]), float(clean["vi"])
    off = {
        name: float(np.nanmin(np.abs(y - yi))) + abs(float(np.nanmin(v)) - vi)
        for name, (y, v) in before.items()
        if np.isfinite(y).any()
    }
    y, v = after[min(off, key=off.__getitem__)]
    return prints(cells, "yi", y) & prints(cells, "vi", v)


def _honest_table(cells: Cells, clean: Cells) -> np.ndarray:
    a, n1, c, n2 = (int(cells[name]) for name in ("events1", "n1", "events2", "n2"))
    fit = np.full(DRAWS, True)
    if "p" in cells:
        table = [[a, n1 - a], [c, n2 - c]]
        ps = [stats.chi2_contingency(table, correction=x).pvalue for x in (False, True)] + [
            stats.fisher_exact(table)[1]
        ]
        half = half_unit(cells["p"])
        fit &= min(ps) - half <= float(cells["p"]) <= max(ps) + half
    if "yi" in cells:
        fit &= _same_measure(cells, clean, _ratios(cells), _ratios(clean))
    return fit


def _ratios(cells: Cells) -> Measures:
    a, n1, c, n2 = (np.full(1, float(cells[name])) for name in ("events1", "n1", "events2", "n2"))
    found = {}
    for add in (0.0, 0.5):
        a_, b_, c_, d_ = a + add, n1 - a + add, c + add, n2 - c + add
        found[f"OR {add}"] = (np.log(a_ * d_ / (b_ * c_)), 1 / a_ + 1 / b_ + 1 / c_ + 1 / d_)
        p1, p2 = a_ / (a_ + b_), c_ / (c_ + d_)
        found[f"RR {add}"] = (np.log(p1 / p2), 1 / a_ - 1 / (a_ + b_) + 1 / c_ - 1 / (c_ + d_))
        found[f"RD {add}"] = (p1 - p2, p1 * (1 - p1) / (a_ + b_) + p2 * (1 - p2) / (c_ + d_))
    return found


def _shares_of(x: float, n: float) -> Measures:
    found = {}
    for add in (0.0, 0.5):
        a, b = np.full(1, x + add), np.full(1, n - x + add)
        found[f"PLO {add}"] = (np.log(a / b), 1 / a + 1 / b)
        p = a / (a + b)
        found[f"PR {add}"] = (p, p * (1 - p) / (a + b))
    return found


def peers_agree(kind: Type, table: Table, effect: Effect, change: Cells) -> bool:
    """Whether the other rows of the table agree so well among themselves that the change must show."""
    column = next(iter(change))
    factor = abs(math.log(float(change[column]) / float(effect.cells[column])))
    values = []
    for other in table.effects:
        if other is not effect and column in other.cells and float(other.cells[column]) > 0:
            value = math.log(float(other.cells[column]))
            values.append(value + math.log(float(other.cells["n"])) if column == "vi" else value)
    if len(values) < 4:
        return False
    middle = float(np.median(values))
    width = 1.4826 * float(np.median(np.abs(np.array(values) - middle)))
    people = float(effect.cells.get("n1" if column == "sd1" else "n", 2))
    own = 0.0 if column == "vi" else 1 / math.sqrt(2 * (people - 1))  # an SD of few people is itself uncertain
    return factor > DEVIATIONS * math.hypot(width, own)


# -- planting and checking ----------------------------------------------------------------------------


def findings(text: str, dictionary: Dictionary, folder: Path) -> list[InputError]:
    """Everything of error or warning grade that the checks say about a table."""
    path = folder / "studies.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        table = read_studies(path, dictionary)
    except InputErrors as problems:
        return list(problems.problems)
    found = check_rows(table)
    return [*found.errors, *found.warnings]


def lines_of(text: str) -> dict[str, range]:
    """The lines of each effect: from its id to the next list entry of a study, sample or effect."""
    starts = [(i, m[1]) for i, line in enumerate(text.split("\n"), 1) if (m := re.match(r"\s{10}- id: (\S+)", line))]
    ends = [start for start, _ in starts[1:]] + [10**9]
    return {id: range(start, end) for (start, id), end in zip(starts, ends, strict=True)}


def on(row: str, problem: InputError, lines: dict[str, range]) -> bool:
    """Whether a finding stands on a row or names it."""
    return (
        problem.at.line in lines[row] or re.search(rf"(?<![\w.-]){re.escape(row)}(?![\w.-])", problem.what) is not None
    )


def key(problem: InputError) -> tuple[str, str]:
    """A finding without its place, which moves when rows are added."""
    return problem.rule, problem.what


def planted_text(table: Table, effect: Effect, change: Cells, duplicated: bool) -> str:
    """The table with one error in it."""
    if table.text is not None:
        return _spliced(table.text, effect, change, duplicated)
    if duplicated:
        copy = Effect(f"later.{effect.id.replace('.', '-')}", f"{effect.label} again", dict(effect.cells), effect.year)
        return table.yaml([*table.effects, copy])
    changed = Effect(effect.id, effect.label, effect.cells | change, effect.year)
    return table.yaml([changed if one is effect else one for one in table.effects])


def _spliced(text: str, effect: Effect, change: Cells, duplicated: bool) -> str:
    """One of our own files with cells of one effect replaced in place, or its numbers repeated as another study."""
    where = lines_of(text)[effect.id]
    lines = text.split("\n")
    if duplicated:
        outcome = next(m[1] for line in lines[where.start - 1 : where.stop - 1] + lines[:where.start][::-1]
                       if (m := re.match(r"\s*outcome: (\S+)", line)))  # fmt: skip
        block = {k: v for k, v in effect.cells.items() if k not in ("better", "same", "worse")}
        copy = Table("", [Effect("later.copy", "A later study", block)]).yaml().split("\n", 2)[2]
        copy = copy.replace("outcome: outcome", f"outcome: {outcome}")
        return text.rstrip("\n") + "\n" + copy
    for column, value in change.items():
        for i in range(where.start - 1, min(where.stop - 1, len(lines))):
            pattern = rf"((?:^|[{{\s,]){column}: ){re.escape(effect.cells[column])}(?=[,}}\s]|$)"
            lines[i], count = re.subn(pattern, rf"\g<1>{value}", lines[i])
            if count:
                break
        else:
            raise LookupError(f"{column} of {effect.id} is not written on its own lines")
    return "\n".join(lines)


@dataclass
class Outcome:
    """What came of one planted copy."""

    kind: str
    table: str
    row: str
    change: Cells
    rules: tuple[str, ...]


def plant(
    kind: Type, all_tables: list[Table], copies: int, folder: Path, clean: dict[str, Counter]
) -> tuple[list[Outcome], Counter]:
    """Plant one type of error in `copies` rows, taken from the tables in turn."""
    dice = random.Random(f"{SEED} {kind.name}")
    unseen: Counter = Counter()
    by_table: dict[str, list[tuple[Table, Effect]]] = defaultdict(list)
    for table in all_tables:
        if kind.peers and kind.needs == (MEANS,) and not table.name.endswith(": means"):
            continue
        for effect in table.effects:
            verdict = carries(kind, effect)
            if verdict == "yes":
                by_table[table.name].append((table, effect))
            elif verdict != "no":
                unseen[verdict] += 1
    queues = [dice.sample(rows, len(rows)) for rows in by_table.values()]
    dice.shuffle(queues)
    order = [queue[i] for i in range(max(map(len, queues), default=0)) for queue in queues if i < len(queue)]
    done = []
    for table, effect in order:
        if len(done) == copies:
            break
        change = kind.change(effect.cells, dice)
        if change is None or (kind.change is not _copy and all(effect.cells[k] == v for k, v in change.items())):
            continue
        after = effect.cells | change
        if kind.peers and not peers_agree(kind, table, effect, change):
            unseen[UNCLEAR] += 1
            continue
        if not kind.peers and kind.change is not _copy and could_be_honest(after, effect.cells):
            unseen[HIDDEN] += 1
            continue
        try:
            text = planted_text(table, effect, change, kind.change is _copy)
        except LookupError:
            continue
        lines = lines_of(text)
        new = Counter()
        rules = set()
        for problem in findings(text, table.dictionary(), folder):
            new[key(problem)] += 1
            rows = [effect.id] + [row for row in lines if row.startswith("later.")]
            if new[key(problem)] > clean[table.name][key(problem)] and any(on(row, problem, lines) for row in rows):
                rules.add(problem.rule)
        shown = {k: f"{effect.cells[k]} -> {v}" for k, v in change.items()} if kind.change is not _copy else {}
        done.append(Outcome(kind.name, table.name, effect.id, shown, tuple(sorted(rules))))
    return done, unseen


COMPUTED = (": means, t, df, p", ": means, d and interval", ": counts and p", ": r and p", ": r, yi, vi")


def published(all_tables: list[Table]) -> list[str]:
    """One table for each data set: all that it holds, nothing that was computed for this benchmark."""
    best: dict[str, Table] = {}
    for table in all_tables:
        name = table.name.split(":")[0]
        if not table.name.endswith(COMPUTED) and (name not in best or _cells(table) > _cells(best[name])):
            best[name] = table
    return [table.name for table in best.values()]


def _cells(table: Table) -> int:
    return len(table.effects[0].cells) if table.effects else 0


def run(copies: int, only: str | None = None, sets: tuple[str, ...] | None = None) -> dict[str, object]:
    """The whole benchmark, or the types whose name holds `only`, or some data sets."""
    all_tables = [table for table in tables() if sets is None or table.name.split(":")[0] in sets]
    clean: dict[str, Counter] = {}
    flagged: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table in all_tables:
            if table.text is not None:
                table.effects = ours(table)
            found = findings(table.text or table.yaml(), table.dictionary(), folder)
            clean[table.name] = Counter(key(problem) for problem in found)
            if found:
                flagged[table.name] = sorted({f"{problem.rule}: {problem.what}" for problem in found})
        types = {}
        for kind in TYPES:
            if only and only not in kind.name:
                continue
            outcomes, unseen = plant(kind, all_tables, copies, folder, clean)
            missed = [o for o in outcomes if not o.rules]
            types[kind.name] = {
                "planted": len(outcomes),
                "found": len(outcomes) - len(missed),
                "tables": len({o.table for o in outcomes}),
                "by": dict(Counter(rule for o in outcomes for rule in o.rules).most_common(4)),
                "rows_without_redundancy": dict(unseen),
                "missed": [f"{o.table}, {o.row}: {o.change}" for o in missed],
            }
    return {
        "seed": SEED,
        "planted": sum(t["planted"] for t in types.values()),
        "clean_tables": len(all_tables),
        "clean_rows": sum(len(table.effects) for table in all_tables),
        "clean_data_sets": len({table.name.split(":")[0] for table in all_tables}),
        "clean_data_sets_flagged": sorted({name.split(":")[0] for name in flagged}),
        "published": published(all_tables),
        "clean_flagged": flagged,
        "types": types,
    }


PAGE = """# Planted errors: what `catharsis check` finds

Written by `make planted` (`benchmarks/planted_errors.py`, about two minutes). The numbers in full, with every error
that was missed, stand in `benchmarks/planted_errors.json`.

One known error at a time is planted into a copy of a real table, and the copy is checked as a whole. The tables are the
analyses of this repository and {sets} public data sets (means and SDs, two-by-two tables, correlations, shares, effect
sizes with n). A data set without test statistics is also taken with the t, df and p, the d and interval, or the p
that a paper with these numbers would print (computed by scipy, rounded as papers round).

Found means: a finding of error or warning grade on the planted row that the clean table does not have. Counted are rows
whose other cells fix the changed one, unless the changed row could have been printed as well; scipy and random draws
decide that, not the checks. {planted} copies in all:

| error | planted | in tables | found | share | the rules that speak most |
|---|---:|---:|---:|---:|---|
{rows}

## Clean tables

{flagged} of the {sets_all} tables as they are published ({share}) have a finding of error or warning grade that no
waiver covers; with what was computed beside them, {variants_flagged} of {variants}. Nobody planted these: they are what
the rules take for unusual or discordant in published numbers; a person would look at them and correct or waive them.

{clean}

## What cannot be seen

Rows that would hold an error and nothing that tells, counted while rows are drawn; they are no part of the shares.

| error | why nobody could see it | rows |
|---|---|---:|
{unseen}
"""


def page(found: dict[str, object]) -> str:
    """The result as a page of the documentation."""
    rows = [
        f"| {name} | {r['planted']} | {r['tables']} | {r['found']} "
        f"| {r['found'] / r['planted']:.0%} | {', '.join(list(r['by'])[:3])} |"
        for name, r in found["types"].items()
    ]
    unseen = [
        f"| {name} | {why} | {n} |"
        for name, r in found["types"].items()
        for why, n in r["rows_without_redundancy"].items()
    ]
    published = {name: lines for name, lines in found["clean_flagged"].items() if name in found["published"]}
    clean = [
        f"- {name.split(':')[0]}: " + "; ".join(sorted({line.split(":")[0] for line in lines}))
        for name, lines in published.items()
    ]
    return PAGE.format(
        sets=found["clean_data_sets"] - 2, planted=found["planted"], rows="\n".join(rows), flagged=len(published),
        sets_all=len(found["published"]), share=f"{len(published) / len(found['published']):.1%}",
        variants=found["clean_tables"], variants_flagged=len(found["clean_flagged"]), clean="\n".join(clean),
        unseen="\n".join(unseen),
    )  # fmt: skip


def main() -> None:
    """Print the result per type and, in full, keep it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a tenth of the copies, printed only")
    parser.add_argument("--only", help="types whose name holds this, printed only")
    parser.add_argument("--missed", action="store_true", help="print what was missed")
    options = parser.parse_args()
    found = run(PER_TYPE // 10 if options.short else PER_TYPE, options.only)
    for name, result in found["types"].items():
        share = result["found"] / result["planted"] if result["planted"] else float("nan")
        print(
            f"{share:6.1%}  {result['found']:3d}/{result['planted']:<3d} {result['tables']:3d} tables  {name}  "
            f"{result['by']}"
        )
        for line in result["missed"] if options.missed else ():
            print("          missed:", line)
    print(
        f"{found['planted']} planted copies; clean tables flagged: {len(found['clean_flagged'])} of "
        f"{found['clean_tables']}"
        f", of {len(found['clean_data_sets_flagged'])} of {found['clean_data_sets']} data sets"
    )
    for name, lines in found["clean_flagged"].items():
        print(f"  {name} ({len(lines)})")
        for line in lines[: 12 if options.missed else 3]:
            print("     ", line[:170])
    if not options.short and not options.only:
        (ROOT / "benchmarks" / "planted_errors.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (ROOT / "docs" / "planted_errors.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
