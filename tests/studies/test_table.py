"""Reading a table: inheritance, kinds, signs, and one clear message for each slip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catharsis.errors import MANY, At, InputErrors
from catharsis.references.library import Library, Reference
from catharsis.studies import dictionary as dictionary_module
from catharsis.studies import table as table_module
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.schema import Effect, Sample, Study, StudyFile
from catharsis.studies.table import Row, StudyTable, read_dictionary, read_studies

ANALYSIS = """\
outcomes:
  mood: {label: Mood, higher_is: better, unit: points, range: [-3, 3], measured: one item}
  gloom: {label: Gloom, higher_is: worse}
moderators:
  response: {label: Response, levels: {alone: alone, supported: was supported, 007: agent}}
  age: {label: Age, unit: years}
  region: {label: Region}
  design: {label: Design, levels: {diary: diary, film: film}}
"""
HEAD = """\
schema: catharsis/studies@1
studies:
  - cite: lee2019
    label: Lee 2019
    samples:
      - id: s1
        effects:
"""
EFFECT = "          - id: e1\n            outcome: mood\n"
Read = Callable[..., StudyTable]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, analysis: str = ANALYSIS, library: Library | None = None) -> StudyTable:
        (tmp_path / "analysis.yaml").write_text(analysis, encoding="utf-8")
        (tmp_path / "studies.yaml").write_text(text, encoding="utf-8")
        return read_studies(tmp_path / "studies.yaml", library=library)

    return read


@pytest.fixture
def row(read: Read) -> Callable[..., Row]:
    def row(*lines: str, head: str = HEAD) -> Row:
        return read(head + EFFECT + "".join(f"            {line}\n" for line in lines)).rows[0]

    return row


@pytest.fixture
def problems(read: Read) -> Callable[..., list[str]]:
    def problems(text: str, **more: Any) -> list[str]:
        with pytest.raises(InputErrors) as caught:
            read(text, **more)
        return [
            f"{p.at.file.rsplit('/', 1)[1]}:{p.at.line}: {p.what} | {p.why} | {p.fix}" for p in caught.value.problems
        ]

    return problems


# ------------------------------------------------------------------------------------ inheritance
NESTED = """\
schema: catharsis/studies@1
studies:
  - cite: lee2019
    label: 2019
    year: "2019"
    country: no
    n: 50
    region: north
    age: 30
    source: {kind: article, checked: yes}
    samples:
      - id: 1.10
        n: 40
        enrolled: 60
        age: 31
        source: {where: p. 3}
        effects:
          - {id: a, outcome: mood, response: alone, age: 32, numbers: {mean_change: 0.50, sd_change: 1, n: 39}}
          - {id: b, outcome: mood, response: 007, source: {checked: no, confidence: low}, note: "a: b"}
"""


def test_the_innermost_value_counts(read: Read) -> None:
    a, b = read(NESTED).rows
    assert (a.get("n"), b.get("n")) == (39, 40)
    assert (a.get("age"), b.get("age")) == (32, 31)
    assert (a.get("region"), a.get("country"), a.get("year"), a.get("study")) == ("north", "no", 2019, "2019")
    assert a.get("sample") == "1.10"  # text keeps its digits
    assert (a.get("source_kind"), a.get("source_where"), a.get("source_checked")) == ("article", "p. 3", True)
    assert (b.get("source_where"), b.get("source_checked"), b.get("source_confidence")) == ("p. 3", False, "low")
    assert (a.get("response"), b.get("response")) == ("alone", "007")
    assert a.get("measured") == "one item"
    assert (a.get("report"), a.get("overlap_group"), a.get("contrast"), a.get("family")) == (
        "lee2019",
        "lee2019",
        "mood",
        "mood",
    )
    assert (a.place("n").line, b.place("n").line, b.place("region").line) == (18, 13, 8)


def test_missing_cells(read: Read) -> None:
    a, b = read(NESTED).rows
    assert a.has("n", "age")
    assert not a.has("n", "t")
    assert a.get("t") is None
    assert a.get("t", 3) == 3
    assert b.place("mean_change") == b.at
    frame = read(NESTED).frame()
    assert frame.loc["a", "mean_change"] == 0.5
    assert frame["t"].isna().all()
    assert frame["age"].dtype.kind == "f"
    assert list(frame.columns) == [*table_module.COLUMNS, "response", "age", "region"]


# ------------------------------------------------------------------------------------------ kinds
@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((), "none"),
        (("reported: {sign: better}",), "direction"),
        (("reported: {verdict: n.s.}",), "none"),
        (("reported: {sign: better, verdict: p < .05}",), "direction"),
        (("reported: {sign: better, verdict: p < .05, n: 20}",), "bounds"),
        (("n1: 10", "n2: 10", "reported: {verdict: p > .05}"), "bounds"),
        (("counts: {better: 3, same: 1, worse: 1}",), "counts"),
        (("numbers: {t: 2.0, n: 20}", "counts: {better: 3, same: 1, worse: 1}"), "estimate"),
        (("numbers: {t: 2.0, n: 20}", "reported: {sign: better}", "kind: direction"), "direction"),
        (("reported: {sign: better}", "kind: none"), "none"),
    ],
)
def test_kinds(lines: tuple[str, ...], kind: str, row: Callable[..., Row]) -> None:
    assert row(*lines).get("kind") == kind


@pytest.mark.parametrize(
    ("sign", "mood", "gloom"),
    [
        ("better", 1, 1), ("worse", -1, -1), ("no different", 0, 0), ("none", 0, 0), ("higher", 1, -1),
        ("lower", -1, 1),
        ("1", 1, -1), ("+1", 1, -1), ("-1", -1, 1), ("0", 0, 0), ("'+'", 1, -1), ("'-'", -1, 1),
    ],
)  # fmt: skip
def test_words_never_flip_and_scores_do(sign: str, mood: int, gloom: int, read: Read) -> None:
    text = HEAD + f"          - {{id: a, outcome: mood, reported: {{sign: {sign}}}}}\n"
    assert read(text).rows[0].get("sign") == mood
    assert read(text.replace("outcome: mood", "outcome: gloom")).rows[0].get("sign") == gloom


def test_an_outcome_may_have_words_of_its_own(read: Read) -> None:
    analysis = ANALYSIS.replace("{label: Mood, ", "{label: Mood, words: {positive: lower, negative: higher}, ").replace(
        "higher_is: better", "higher_is: higher"
    )
    text = HEAD + "          - {id: a, outcome: mood, reported: {sign: higher}}\n"
    assert read(text, analysis).rows[0].get("sign") == -1  # the word, not the score
    assert read(text, analysis).dictionary.orientation("mood") == -1


@pytest.mark.parametrize(
    ("verdict", "significant", "alpha"),
    [("p < .05", True, 0.05), ("p<0.001", True, 0.001), ("p ≤ .01", True, 0.01), ("p > .10", False, 0.10),
    ("n.s.", False, 0.05),
     ("NS", False, 0.05), ("n.s., alpha: .01", False, 0.01)],
)  # fmt: skip
def test_verdicts(verdict: str, significant: bool, alpha: float, row: Callable[..., Row]) -> None:
    found = row(f"reported: {{sign: better, verdict: {verdict}, n: 20}}")
    assert (found.get("significant"), found.get("alpha"), found.get("sided")) == (significant, alpha, 2)


def test_one_sided_without_a_verdict_is_kept_for_an_exact_p(row: Callable[..., Row]) -> None:
    assert row("reported: {sign: better, sided: 1}", "numbers: {p: 0.03, n: 20}").get("sided") == 1


def test_the_interval_of_d(row: Callable[..., Row]) -> None:
    found = row("numbers: {d: 0.5, d_ci: [0.1, 0.9]}")
    assert (found.get("d_low"), found.get("d_high"), found.has("d_ci")) == (0.1, 0.9, False)
    assert found.place("d_high").line == 10


# --------------------------------------------------------------------------------------- messages
def inside(*lines: str) -> str:
    return HEAD + EFFECT + "".join(f"            {line}\n" for line in lines)


MESSAGES = [
    (
        inside("partitoin: x"),
        'studies.yaml:10: "partitoin" is not a key of effect e1 | a misspelt key would be lost '
        'without a word | did you mean "partition"?',
    ),
    (
        inside("respnse: alone"),
        'studies.yaml:10: "respnse" is not a key of effect e1 | a misspelt key would be lost '
        'without a word | did you mean "response"?',
    ),
    (
        inside('n: "12"'),
        'studies.yaml:10: n: "12" is not a number | it stands under effect e1 | write the digits '
        "only, with a decimal point",
    ),
    (
        inside("n: true"),
        "studies.yaml:10: n: true is not a number | it stands under effect e1 | write the digits "
        "only, with a decimal point",
    ),
    (
        inside("n: 12.5"),
        "studies.yaml:10: n: found 12.5 | a whole number belongs here (effect e1) | people and "
        "events are counted; a mean belongs under numbers:",
    ),
    (
        inside("n: -3"),
        "studies.yaml:10: n: found -3 | input should be greater than or equal to 0 (effect e1) | "
        "correct the value, or delete the line if the paper does not report it",
    ),
    (
        inside("n: [1, 2]"),
        "studies.yaml:10: n: a list is not a number | it stands under effect e1 | write the "
        "digits only, with a decimal point",
    ),
    (
        inside("n: 12", "numbers: {t: 2, n: 13}"),
        "studies.yaml:11: n is 13 here and 12 on line 10 (effect e1) | only one of the two could "
        "be used | keep the one that belongs to these numbers",
    ),
    (
        inside("country: [a]"),
        "studies.yaml:10: country: found a list | a text belongs here (effect e1) | write the "
        "text, between quotes if it begins with a special character",
    ),
    (
        inside("country: true"),
        "studies.yaml:10: country: found true | a text belongs here (effect e1) | write the "
        "text, between quotes if it begins with a special character",
    ),
    (
        inside("country: '  '"),
        "studies.yaml:10: country: the text is empty | it stands under effect e1 | write it, or delete the line",
    ),
    (
        inside("numbers: 5"),
        "studies.yaml:10: numbers: found 5 | a block of keys belongs here (effect e1) | write "
        '"key: value" lines, indented by two spaces',
    ),
    (
        inside("numbers: {d: 1, d_ci: [1]}"),
        'studies.yaml:10: d_ci: a list is not a pair of numbers | it stands under "numbers" of '
        "effect e1 | write [lower, upper]",
    ),
    (
        inside("numbers: {d: 1, d_ci: [a, 2]}"),
        'studies.yaml:10: this entry: "a" is not a number | it stands under "d_ci" of "numbers" '
        "of effect e1 | write the digits only, with a decimal point",
    ),
    (
        inside("source: {checked: maybe}"),
        'studies.yaml:10: checked: found "maybe" | yes or no belongs here ("source" of effect e1) | write yes or no',
    ),
    (
        inside("evidence: dierct"),
        'studies.yaml:10: evidence: found "dierct" | only agreed words are allowed (effect e1) | '
        'did you mean "direct"?',
    ),
    (
        inside("reported: {verdict: p = .03}"),
        'studies.yaml:10: verdict: "p = .03" is not a verdict | it stands under "reported" of '
        "effect e1 | write p < .05, p > .05 or n.s.; an exact p belongs under numbers: {p: ...}",
    ),
    (
        inside("reported: {sign: beter}"),
        'studies.yaml:10: "beter" is not a direction of mood | directions are counted, so each '
        'needs one agreed word | did you mean "better"?',
    ),
    (
        inside("response: aloen"),
        'studies.yaml:10: "aloen" is not a level of response | the levels are declared in '
        'analysis.yaml, so that a misspelling cannot become a new group | did you mean "alone"?',
    ),
    (
        inside("response: {a: b}"),
        "studies.yaml:10: response is a block | a moderator is one word or number | write one value",
    ),
    (
        inside("design: flim"),
        'studies.yaml:10: "flim" is not a level of design | the levels are declared in '
        'analysis.yaml, so that a misspelling cannot become a new group | did you mean "film"?',
    ),
    (
        inside("age: old"),
        'studies.yaml:10: age is "old" | it is a number (years) | write the digits, or leave it out',
    ),
    (
        inside("moderators: {response: alone}"),
        'studies.yaml:10: "moderators" is not a key of the table | moderators are declared in '
        "analysis.yaml and stand beside the other cells | write each moderator on a line of its "
        "own, without this one",
    ),
    (
        inside("kind: bounds"),
        "studies.yaml:10: effect e1 is called bounds, but its cells carry only none | no kind of "
        "evidence is turned into another | fill reported: with sign, verdict and n, or delete "
        "the line kind:",
    ),
    (
        inside("waive: {rule: x}"),
        'studies.yaml:10: waive: found a block | a list belongs here (effect e1) | begin each entry with "- "',
    ),
    (
        inside("waive: [{rule: x, reason: y, by: z}]"),
        'studies.yaml:10: entry 1 of "waive" of effect e1 has no "date" | every entry of this '
        'kind needs one | add a line "date: ..."',
    ),
    (
        inside().replace("outcome: mood", "note: x"),
        "studies.yaml:8: effect e1 has no outcome | without one nobody knows what the numbers "
        "measure | add a line outcome: and use one of: mood, gloom",
    ),
    (
        inside().replace("outcome: mood", "outcome: mod"),
        'studies.yaml:9: no outcome is called "mod" | outcomes are declared once, in '
        'analysis.yaml, with their unit and direction | did you mean "mood"?',
    ),
    (
        inside().replace("id: e1", "note: x"),
        'studies.yaml:8: effect 1 of sample s1 has no "id" | every entry of this kind needs one | add a line "id: ..."',
    ),
    (
        inside().replace("    label: Lee 2019\n", ""),
        'studies.yaml:3: study lee2019 has no "label" | every entry of this kind needs one | add a line "label: ..."',
    ),
    (
        inside().replace("    label:", "    year: in press\n    label:"),
        'studies.yaml:4: year: "in press" is not a year | it stands under study Lee 2019 | write '
        "four digits, or delete the line",
    ),
    (
        HEAD,
        'studies.yaml:7: effects: found nothing | a list belongs here (sample s1) | begin each entry with "- "',
    ),
    (
        "",
        "studies.yaml:1: the file: found nothing | a block of keys belongs here (the file) | "
        'write "key: value" lines, indented by two spaces',
    ),
    (
        "- a\n- b\n",
        "studies.yaml:1: the file: found a list | a block of keys belongs here (the file) | "
        'write "key: value" lines, indented by two spaces',
    ),
    (
        "just text",
        "studies.yaml:1: the file holds no keys and values | a block of keys belongs here (the file) | "
        'write "key: value" lines, indented by two spaces',
    ),
    (
        "schema: catharsis/studies@1\nstudies: {a: b}\n",
        'studies.yaml:2: studies: found a block | a list belongs here (the file) | begin each entry with "- "',
    ),
    (
        "schema: catharsis/studies@2\nstudies: []\n",
        "studies.yaml:1: the file is catharsis/studies@2, newer than this catharsis, which reads catharsis/studies@1 | "
        "what it may hold is not known here, and would be lost | "
        "install a newer catharsis: pip install --upgrade catharsis",
    ),
    (
        "studies: []\n",
        'studies.yaml:1: the file has no "schema" | every entry of this kind needs one | add a line "schema: ..."',
    ),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_messages(text: str, message: str, problems: Callable[..., list[str]]) -> None:
    assert problems(text) == [message]


def test_a_decimal_comma(problems: Callable[..., list[str]]) -> None:
    assert problems(inside("numbers: {sd_change: 1,27}")) == [
        'studies.yaml:10: "27" is not a key of "numbers" of effect e1 | a misspelt key would be lost without a word | '
        "write numbers with a decimal point: 1.27, not 1,27"
    ]
    assert problems(inside("numbers: {sd_change: '1,27'}")) == [
        'studies.yaml:10: sd_change: "1,27" is not a number | it stands under "numbers" of effect e1 | '
        "write the digits only, with a decimal point"
    ]


def test_ids_stand_once(problems: Callable[..., list[str]], tmp_path: Path) -> None:
    (message,) = problems(inside() + EFFECT)
    assert message == (
        f'studies.yaml:10: the effect id "e1" stands twice (first at {tmp_path.as_posix()}/studies.yaml:8) | '
        "results and claims refer to effects by their id | give this effect an id of its own"
    )


def test_all_problems_are_told_in_file_order(problems: Callable[..., list[str]]) -> None:
    text = inside("n: x", "response: y", "age: z", "partitoin: a", "reported: {sign: better}")
    assert [message.split(":")[1] for message in problems(text)] == ["10", "11", "12", "13"]


def test_a_wrong_moderator_does_not_hide_a_wrong_outcome(problems: Callable[..., list[str]]) -> None:
    assert len(problems(inside("response: y").replace("outcome: mood", "outcome: mod"))) == 2


def test_the_same_people_are_in_one_overlap_group(problems: Callable[..., list[str]], read: Read) -> None:
    other = inside().split("studies:\n")[1].replace("lee2019", "kim2020").replace("e1", "e2")
    (message,) = problems(inside() + other)
    assert message.startswith("studies.yaml:13: sample s1 is in the overlap group kim2020 here, in lee2019 at ")
    both = (inside() + other).replace("      - id: s1", "      - id: s1\n        overlap_group: shared")
    assert len(read(both)) == 2


def test_unknown_citations_are_told_once_a_study(problems: Callable[..., list[str]], read: Read) -> None:
    text = inside() + EFFECT.replace("e1", "e2")
    library = Library([Reference("lee2018", "article", at=At("references/a.bib", 7))])
    assert problems(text, library=library) == [
        'studies.yaml:3: no reference has the key "lee2019" | every row must name the paper it came from | '
        'did you mean "lee2018" (references/a.bib:7)?'
    ]
    assert len(read(text, library=Library([Reference("lee2019", "article")]))) == 2


def test_many_problems_end(problems: Callable[..., list[str]]) -> None:
    unknown = problems(inside(*(f"key{i}: 1" for i in range(5000))))
    assert len(unknown) == MANY + 1
    assert "4900 more problems are not shown" in unknown[0]
    rows = "".join(f"          - {{id: e{i}, outcome: mod{i}}}\n" for i in range(3000))
    assert MANY <= len(problems(HEAD + rows)) < MANY + 5
    rows = "".join(f"          - {{id: e{i}, outcome: mood, response: r{i}, age: x}}\n" for i in range(3000))
    assert MANY <= len(problems(HEAD + rows)) < MANY + 5


@pytest.mark.parametrize(
    "text", ["schema: catharsis/studies@1\nstudies:\n", "schema: catharsis/studies@1\nstudies: []\n"]
)
def test_an_empty_table_is_a_table(text: str, read: Read) -> None:
    table = read(text)
    assert (len(table), list(table)) == (0, [])
    assert table.frame().empty


def test_windows_lines_and_aliases(read: Read) -> None:
    text = inside("source: &s {where: p. 3}") + EFFECT.replace("e1", "e2") + "            source: *s\n"
    table = read(text.replace("\n", "\r\n"))
    assert [row.get("source_where") for row in table] == ["p. 3", "p. 3"]
    assert [row.place("source_where").line for row in table] == [10, 10]


def test_five_thousand_rows_are_read_in_seconds(read: Read) -> None:
    rows = "".join(f"          - {{id: e{i}, outcome: mood, numbers: {{yi: 0.{i}, vi: 0.02}}}}\n" for i in range(5000))
    assert len(read(HEAD + rows)) == 5000


# ------------------------------------------------------------------------------------- dictionary
@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (
            "",
            "analysis.yaml:1: the file: found nothing | a block of keys belongs here (the file) | "
            'write "key: value" lines, indented by two spaces',
        ),
        (
            "- a",
            "analysis.yaml:1: the file: found a list | a block of keys belongs here (the file) | "
            'write "key: value" lines, indented by two spaces',
        ),
        (
            "title: x",
            'analysis.yaml:1: the file has no "outcomes" | every entry of this kind needs one | add '
            'a line "outcomes: ..."',
        ),
        (
            "outcomes: [a]",
            "analysis.yaml:1: outcomes: found a list | a block of keys belongs here (the file) | "
            'write "key: value" lines, indented by two spaces',
        ),
        (
            'families: [1]\noutcomes:\n  a: {label: A}',
            "analysis.yaml:1: families: found a list | a block of keys belongs here (the file) | "
            'write "key: value" lines, indented by two spaces',
        ),
        (
            'outcomes:\n  a:\n    label: A\n    family: moood\nfamilies:\n  mood: {label: M, question: Q}\n',
            'analysis.yaml:4: family: outcome "a" names the family "moood", which is not declared | '
            'it stands under "a" of "outcomes" | add it under families:, or did you mean "mood"?',
        ),
        (
            'outcomes:\n  a: {label: A, higher_is: up}',
            'analysis.yaml:2: higher_is: outcome "a" says higher_is: "up", which is not a word of '
            'its family | it stands under "a" of "outcomes" | use better or worse',
        ),
        (
            'outcomes:\n  a: {label: A, range: [3, -3]}',
            'analysis.yaml:2: a: the range does not ascend | it stands under "outcomes" | write '
            "[lowest possible score, highest possible score]",
        ),
        (
            'outcomes:\n  a: {label: A, range: 3}',
            'analysis.yaml:2: range: 3 is not a pair of numbers | it stands under "a" of "outcomes" '
            "| write [lower, upper]",
        ),
        (
            'outcomes:\n  a: {label: A, rnage: 3}',
            'analysis.yaml:2: "rnage" is not a key of "a" of "outcomes" | a misspelt key would be '
            'lost without a word | did you mean "range"?',
        ),
        (
            'outcomes: {}\nmoderators:\n  my age: {label: A}',
            'analysis.yaml:3: my age: "my age" cannot be used as a name | it stands under '
            '"moderators" | use letters, digits and underscores, and begin with a letter',
        ),
        (
            'outcomes: {}\nmoderators:\n  samples: {label: A}',
            'analysis.yaml:3: samples: "samples" already means something in the table | it stands '
            'under "moderators" | choose another name, for example samples_level',
        ),
        (
            'outcomes:\n  a: {label: A, words: {positive: same, negative: same}}',
            'analysis.yaml:2: words: two directions have the same word | it stands under "a" of '
            '"outcomes" | use three different words',
        ),
    ],
)  # fmt: skip
def test_dictionary_messages(analysis: str, message: str, problems: Callable[..., list[str]]) -> None:
    assert problems(inside(), analysis=analysis) == [message]


def test_reserved_names_are_those_of_the_table() -> None:
    """A moderator may share its name with a cell that the table reads as it stands, and with no other."""
    free = {
        "country",
        "population",
        "design",
        "test",
        "evidence",
        "overlap_group",
        "partition",
        "outcome",
        "measured",
        "minutes",
        "year",
    }
    taken = {name for model in (StudyFile, Study, Sample, Effect) for name in model.model_fields} - {"schema_"}
    taken |= {column for column in table_module.COLUMNS if not column.startswith("source_")}
    assert taken - free <= dictionary_module.RESERVED
    assert not free & dictionary_module.RESERVED


def test_labels_of_the_dictionary_may_be_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("outcomes:\n  a: {label: 2019}\nmoderators:\n  m: {label: M, levels: {1: 01}}\n")
    found = read_dictionary(tmp_path / "a.yaml")
    assert found.outcomes["a"].label == "2019"
    assert found.moderators["m"].levels == {"1": "01"}
    assert found.family_of("a").question == "a"


def test_a_dictionary_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(inside())
    given = Dictionary.model_validate({"outcomes": {"mood": {"label": "Mood"}}})
    assert read_studies(tmp_path / "t.yaml", given).rows[0].get("measured") == "Mood"


# ------------------------------------------------------------------------------------------ light
HEAVY = ("pandas", "matplotlib", "scipy", "statsmodels", "numpy", "arviz", "pymc")


@pytest.mark.parametrize("module", ["catharsis.studies.table", "catharsis.studies.selection", "catharsis.checks.run"])
def test_checking_a_file_loads_nothing_heavy(module: str) -> None:
    folder = Path(__file__).parents[2] / "analyses" / "crying"
    tails = ("scipy", "numpy") if module == "catharsis.checks.run" else ()  # a p is recomputed from its t
    heavy = tuple(name for name in HEAVY if name not in tails)
    code = (
        f"import sys, {module}\n"
        "from catharsis.studies.table import read_studies\n"
        f"table = read_studies({str(folder / 'studies.yaml')!r})\n"
        "if 'catharsis.checks.run' in sys.modules:\n"
        "    from catharsis.checks.run import check_rows\n"
        "    assert not check_rows(table).errors\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_misspelt_key_does_not_hide_other_slips(tmp_path):
    """The rest of the file is read with the key as it was meant, and nothing is said twice."""
    slips = """\
schema: catharsis/studies@1
studies:
  - cite: a
    label: A
    samples:
      - id: a-1
        cuontry: Norway
        effects:
          - {id: a-1-x, outcom: mood, numbers: {n: 10, mean_change: 1.0, sd_change: 1.0}}
          - {id: a-1-y, outcome: mod, numbers: {n: 10, mean_change: 1.0, sd_change: 1.0}}
"""
    path = tmp_path / "studies.yaml"
    path.write_text(slips)
    (tmp_path / "analysis.yaml").write_text("outcomes: {mood: {label: Mood}}\n")
    with pytest.raises(InputErrors) as found:
        read_studies(path)
    assert [(problem.at.line, problem.rule) for problem in found.value.problems] == [
        (7, "unknown-key"), (9, "unknown-key"), (10, "unknown-outcome"),
    ]  # fmt: skip
