"""Whatever stands in a table, a dictionary or a row expression: a result or InputErrors, never a traceback."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catharsis.checks.run import check_rows
from catharsis.effects.prepare import effect_size_of, prepare
from catharsis.effects.routes import ROUTES, Scale
from catharsis.errors import At, InputError, InputErrors
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.selection import compile_rows
from catharsis.studies.table import COLUMNS, Row, read_dictionary, read_studies
from catharsis.studies.yaml_source import parse_yaml

FOLDER = Path(__file__).parents[2] / "analyses" / "crying"
# The first sample of the flagship and the dictionary: small, so that many mutants can be read in a second.
WHOLE = (FOLDER / "studies.yaml").read_text(encoding="utf-8")
TABLE = WHOLE[: WHOLE.index("      - id: sharman2019-au\n")]
ANALYSIS = (FOLDER / "analysis.yaml").read_text(encoding="utf-8").split("\ncaveats:")[0]
DICTIONARY = read_dictionary(FOLDER / "analysis.yaml")
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["\t", "  ", "\n", "\r", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!x ", "? ", "<<: ", "#", "'", '"',
        "|", ">", "%", "---\n",
         "\0", "\ufeff", "\u2028", "\x85", "~", ".nan", "-.inf", "1e999", "9" * 400, "0x" + "f" * 300, "-1", "0",
         "true", "1:2", "{}", "[]",
         "null", '"\\0"', '"\\ud800"', "moderators: {a: 1}\n", "studies:", "samples:", "effects:", "numbers: {}",
         "schema: x\n"]
    ),
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["insert", "delete", "replace", "cut line", "twice"]), PIECES),
    min_size=1,
    max_size=4,
)


def mutated(text: str, edits: list[tuple[float, str, str]]) -> str:
    for where, how, piece in edits:
        place = round(where * len(text))
        if how == "insert":
            text = text[:place] + piece + text[place:]
        elif how == "delete":
            text = text[:place] + text[place + 1 + len(piece) :]
        elif how == "replace":
            end = text.find("\n", place)
            colon = text.find(": ", place, end)
            text = (
                text[: colon + 2] + piece + text[end:]
                if colon >= 0
                else text[:place] + piece + text[place + len(piece) :]
            )
        else:
            start, end = text.rfind("\n", 0, place) + 1, text.find("\n", place) + 1
            text = text[:start] + text[end:] if how == "cut line" else text[:end] + text[start:end] + text[end:]
    return text


def use(folder: Path) -> None:
    """Read, check, and compute all that can be computed; what is refused is said in full."""
    problems: tuple[InputError, ...] = ()
    try:
        table = read_studies(folder / "studies.yaml", read_dictionary(folder / "analysis.yaml"))
        if check_rows(table).errors:
            return
        for scale in ROUTES:
            prepare(list(table)[:1], scale, table.dictionary)  # type: ignore[arg-type]
        prepare(table.rows, "auto", table.dictionary)
    except InputErrors as found:
        problems = found.problems
    for problem in problems:
        assert all((problem.at.file, problem.what, problem.why, problem.fix))
        str(problem).encode()  # can be printed


@FEW
@given(EDITS)
@example([(0.5, "insert", "moderators: {a: 1}\n")])
@example([(0.3, "replace", "9" * 400)])
def test_any_mutant_of_the_table_is_read_or_refused(tmp_path: Path, edits: list[tuple[float, str, str]]) -> None:
    (tmp_path / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
    (tmp_path / "studies.yaml").write_text(mutated(TABLE, edits), encoding="utf-8", errors="surrogatepass")
    use(tmp_path)


@FEW
@given(EDITS)
def test_any_mutant_of_the_dictionary_is_read_or_refused(tmp_path: Path, edits: list[tuple[float, str, str]]) -> None:
    (tmp_path / "analysis.yaml").write_text(mutated(ANALYSIS, edits), encoding="utf-8", errors="surrogatepass")
    (tmp_path / "studies.yaml").write_text(TABLE, encoding="utf-8")
    use(tmp_path)


@settings(FEW, max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "analysis.yaml").write_bytes(raw)
    (tmp_path / "studies.yaml").write_bytes(raw)
    use(tmp_path)
    (tmp_path / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
    use(tmp_path)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "id",
        "outcome",
        "kind",
        "numbers",
        "counts",
        "reported",
        "source",
        "waive",
        "n",
        "minutes",
        "phase",
        "design",
        "moderators",
        "note",
    ]
)


@settings(FEW, max_examples=80)
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from(["study", "sample", "effect"]))
def test_any_value_under_any_key_is_read_or_refused(tmp_path: Path, cells: dict[str, object], level: str) -> None:
    import json  # JSON is YAML

    effect = {"id": "e", "outcome": "mood-recalled", **(cells if level == "effect" else {})}
    sample = {"id": "s", "effects": [effect], **(cells if level == "sample" else {})}
    study = {"cite": "c", "label": "l", "samples": [sample], **(cells if level == "study" else {})}
    (tmp_path / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
    text = json.dumps({"schema": "catharsis/studies@1", "studies": [study]}, ensure_ascii=False)
    (tmp_path / "studies.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    use(tmp_path)


@FEW
@given(VALUES)
def test_json_comes_back(value: object) -> None:
    """Every JSON value is the same value as YAML, unless it holds what may not stand in a table."""
    import json

    try:
        found = parse_yaml(json.dumps({"a": value}), "a.yaml").data
    except InputErrors:
        return
    assert found == {"a": value}


ROW = Row({"kind": "estimate", "n": 12, "note": "text", "source_checked": True}, {}, At("t.yaml", 1))
WORDS = st.sampled_from(
    ["kind", "n", "note", "partition", "missing(n)", "'estimate'", "12", "-1.5", "==", "!=", "<", "in", "not in",
    "and", "or", "not", "(", ")",
     "[", "]", ",", "None", "lambda:", "x", "is", "**", ":=", "await", "f'{n}'", "b'x'", "{1}", "{1: 2}", "...", "\n",
     "#", "\\", "if", "else"]
)  # fmt: skip


@settings(FEW, max_examples=200)
@given(st.lists(WORDS, max_size=9).map(" ".join) | st.text(max_size=20))
@example("n == 1 if n else 2")
@example("\ud800")
def test_a_row_expression_is_a_test_or_refused(expression: str) -> None:
    try:
        test = compile_rows(expression, COLUMNS, At("analysis.yaml", 1))
    except InputErrors as found:
        str(found)
        return
    assert isinstance(test(ROW), bool)
    assert isinstance(test(Row({}, {}, At("t.yaml", 1))), bool)


# ------------------------------------------------------------------------------- effect sizes
PAIR = Dictionary.model_validate(
    {
        "outcomes": {
            key: {"label": key, "unit": "points", "higher_is": word}
            for key, word in (("up", "better"), ("down", "worse"))
        }
    }
)
MEANS = st.floats(-50, 50)
SPREADS = st.floats(0.1, 20)
PEOPLE = st.integers(3, 500)


def size(scale: Scale, outcome: str = "up", /, **cells: float) -> tuple[float, float]:
    found = effect_size_of(Row({"kind": "estimate", "outcome": outcome, **cells}, {}, At("t.yaml", 1)), scale, PAIR)
    assert found is not None
    assert found.vi > 0
    return found.yi, found.vi


@FEW
@given(MEANS, SPREADS, PEOPLE, MEANS, SPREADS, PEOPLE, st.floats(0.01, 100))
def test_scaling_points(m1: float, sd1: float, n1: int, m2: float, sd2: float, n2: int, c: float) -> None:
    """Other units change raw effects in proportion and standardised ones not at all."""
    plain = {"m1": m1, "sd1": sd1, "n1": n1, "m2": m2, "sd2": sd2, "n2": n2}
    scaled = plain | {"m1": c * m1, "sd1": c * sd1, "m2": c * m2, "sd2": c * sd2}
    close: dict[str, Any] = {"rel": 1e-9, "abs": 1e-9}
    (yi, vi), (zi, wi) = size("raw", **plain), size("raw", **scaled)
    assert zi == pytest.approx(c * yi, **close)
    assert wi == pytest.approx(c**2 * vi, **close)
    assert size("standardised", **scaled) == pytest.approx(size("standardised", **plain), **close)


@FEW
@given(MEANS, SPREADS, PEOPLE, MEANS, SPREADS, PEOPLE)
def test_swapping_groups_and_turning_the_outcome_flip_the_sign(
    m1: float, sd1: float, n1: int, m2: float, sd2: float, n2: int
) -> None:
    one = {"m1": m1, "sd1": sd1, "n1": n1, "m2": m2, "sd2": sd2, "n2": n2}
    other = {"m1": m2, "sd1": sd2, "n1": n2, "m2": m1, "sd2": sd1, "n2": n1}
    scales: tuple[Scale, ...] = ("raw", "standardised")
    for scale in scales:
        yi, vi = size(scale, **one)
        assert size(scale, **other) == pytest.approx((-yi, vi), rel=1e-9)
        assert size(scale, "down", **one) == (-yi, vi)


@FEW
@given(MEANS, SPREADS, PEOPLE, st.floats(-0.99, 0.99), st.integers(4, 500))
def test_changes_and_correlations(mean: float, sd: float, n: int, r: float, k: int) -> None:
    cells = {"mean_change": mean, "sd_change": sd, "n": n}
    (yi, vi), (gi, wi) = size("raw", **cells), size("standardised", **cells)
    assert vi == pytest.approx(sd**2 / n)
    assert (yi > 0) == (gi > 0)
    assert wi > 0
    assert abs(gi) <= abs(mean / sd)  # the small-sample factor shrinks
    assert size("standardised", t=mean / sd * math.sqrt(n), n=n) == pytest.approx((gi, wi), rel=1e-9)
    assert size("correlation", r=-r, n=k)[0] == pytest.approx(-size("correlation", r=r, n=k)[0])


@FEW
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_counts_of_two_groups(a: int, c: int, n1: int, n2: int) -> None:
    cells = {"events1": min(a, n1), "n1": n1, "events2": min(c, n2), "n2": n2}
    swapped = {"events1": cells["events2"], "n1": n2, "events2": cells["events1"], "n2": n1}
    scales: tuple[Scale, ...] = ("RR", "OR", "RD")
    for scale in scales:
        yi, vi = size(scale, **cells)
        assert size(scale, **swapped) == pytest.approx((-yi, vi), rel=1e-9, abs=1e-12)
    events = {"events1": cells["events1"], "n1": n1}
    others = {"events1": n1 - cells["events1"], "n1": n1}
    assert size("PLO", **events)[0] == pytest.approx(-size("PLO", **others)[0])
