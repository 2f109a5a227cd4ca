"""Somebody's table becomes ours: digits kept, nothing guessed, every refusal with its row."""

from __future__ import annotations

import csv
import io
import json
import lzma
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.errors import InputErrors
from catharsis.references import Library, Name, Reference
from catharsis.studies.authorship import matching, surnames
from catharsis.studies.dictionary import Dictionary
from catharsis.studies.edit import TableText
from catharsis.studies.imported import METAFOR, Choices, import_sheet
from catharsis.studies.spreadsheets import number_problem, read_sheet
from catharsis.studies.table import table_of
from catharsis.studies.yaml_source import parse_yaml


def work(key: str, year: str, *families: str, etal: bool = False) -> Reference:
    people = tuple(Name(family, "A. B.") for family in families)
    return Reference(key, "article", {"title": f"Title of {key}", "year": year}, people, etal=etal)


LIBRARY = Library([
    work("doe2030recall", "2030", "Doe"),
    work("doe2031first", "2031", "Doe", "Roe"),
    work("doe2031second", "2031", "Doe", "Poe", "Roe"),
    work("doe2032a", "2032", "Doe"),
    work("doe2032b", "2032", "Doe"),
    Reference("jzendoorn2033", "article", {"title": "T", "year": "2033"}, (Name("IJzendoorn", "M.", "van"),)),
    work("gracanin2030", "2030", "Gračanin", "Roe"),
    work("review2029", "2029", "Review"),
])  # fmt: skip
DICTIONARY = Dictionary.model_validate({
    "outcomes": {"mood": {"label": "Mood"}, "pain": {"label": "Pain"}},
    "moderators": {
        "age": {"label": "Age", "unit": "years"},
        "room": {"label": "Room", "levels": {"lab": "laboratory", "home": "home"}},
    },
})  # fmt: skip
MOOD = Choices(outcome="mood")


def sheet(tmp_path: Path, text: str, name: str = "theirs.csv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8", newline="")
    return read_sheet(file)


def imported(tmp_path: Path, text: str, choices: Choices = MOOD, table=None):
    return import_sheet(sheet(tmp_path, text), DICTIONARY, LIBRARY, choices, table)


def written(studies) -> str:
    table = TableText("schema: catharsis/studies@1\nstudies: []\n", "studies.yaml")
    return table.with_entries(("studies",), [(study, None) for study in studies]).text


def problems(tmp_path: Path, text: str, choices: Choices = MOOD) -> str:
    with pytest.raises(InputErrors) as caught:
        imported(tmp_path, text, choices)
    return str(caught.value).replace(tmp_path.as_posix() + "/", "")


# -- what comes in --------------------------------------------------------------------------------------------


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    text = "author,year,m1i,sd1i,n1i,m2i,sd2i,n2i,age\nDoe,2030,4.10,0.50,20,3.00,.70,19,21.0\n"
    found = imported(tmp_path, text)
    yaml = written(found.studies)
    assert "numbers: {n1: 20, n2: 19, m1: 4.10, sd1: 0.50, m2: 3.00, sd2: .70}" in yaml
    assert "age: 21.0" in yaml
    row = next(iter(table_of(parse_yaml(yaml, "studies.yaml"), DICTIONARY, LIBRARY)))
    assert (row.printed["m1"], row.printed["sd2"], row.get("cite"), row.get("outcome")) == (
        ("4.10", ".70", "doe2030recall", "mood")
    )
    assert row.get("source_where") == "theirs.csv, row 2"


FORMS = [
    ("ai,bi,ci,di\n4,119,11,128", {"counts": {"events1": "4", "n1": "123", "events2": "11", "n2": "139"}}),
    ("ai,n1i,ci,n2i\n4,123,11,139", {"counts": {"events1": "4", "n1": "123", "events2": "11", "n2": "139"}}),
    ("xi,ni\n4,20", {"counts": {"events1": "4", "n1": "20"}}),
    ("xi,mi\n4,16", {"counts": {"events1": "4", "n1": "20"}}),
    ("ri,ni\n.30,40", {"numbers": {"n": "40", "r": ".30"}}),
    ("yi,vi\n-0.75,0.126", {"numbers": {"yi": "-0.75", "vi": "0.126"}}),
    ("yi,sei,ni\n-0.75,0.36,30", {"numbers": {"n": "30", "yi": "-0.75", "sei": "0.36"}}),
    ("d,d_low,d_high\n0.5,0.10,0.90", {"numbers": {"d": "0.5", "d_ci": ["0.10", "0.90"]}}),
    ("mean_change,sd_change,n\n0.61,1.00,97", {"numbers": {"n": "97", "mean_change": "0.61", "sd_change": "1.00"}}),
    # what escalc adds to its data says nothing that the raw numbers do not say
    ("ri,ni,yi,vi\n.30,40,0.3095,0.0270", {"numbers": {"n": "40", "r": ".30"}}),
]


@pytest.mark.parametrize(("columns", "blocks"), FORMS)
def test_forms_of_tables(tmp_path: Path, columns: str, blocks: dict) -> None:
    head, row = columns.split("\n")
    found = imported(tmp_path, f"cite,{head}\ndoe2030recall,{row}\n")
    effect = found.studies[0]["samples"][0]["effects"][0]
    assert {name: effect[name] for name in ("numbers", "counts") if name in effect} == blocks


def test_rows_of_one_work_are_one_study(tmp_path: Path) -> None:
    text = (
        "author,year,sample,outcome,room,yi,vi\n"
        "Doe,2030,Norway 1,mood,lab,0.1,0.02\nDoe,2030,Norway 1,pain,lab,0.2,0.02\n"
        "Gracanin & Roe,2030,,mood,home,0.4,0.02\nDoe (2030),2030,Spain,mood,home,0.3,0.02\n"
    )
    found = imported(tmp_path, text, Choices())
    doe, gracanin = found.studies
    assert [sample["id"] for sample in doe["samples"]] == ["doe2030-norway-1", "doe2030-spain"]
    assert [len(sample["effects"]) for sample in doe["samples"]] == [2, 1]
    assert "room" not in doe  # it varies, so it stands where it varies
    assert (gracanin["cite"], gracanin["room"]) == ("gracanin2030", "home")
    table = table_of(parse_yaml(written(found.studies), "s.yaml"), DICTIONARY, LIBRARY)
    assert len(table) == 4
    assert {row.id for row in table} == set(found.places)


def test_the_same_rows_do_not_come_in_twice(tmp_path: Path) -> None:
    text = "author,year,yi,vi\nDoe,2030,0.10,0.02\nvan IJzendoorn,2033,0.2,0.02\n"
    once = imported(tmp_path, text)
    table = table_of(parse_yaml(written(once.studies), "s.yaml"), DICTIONARY, LIBRARY)
    again = imported(tmp_path, text + "Doe,2030,0.11,0.02\n", table=table)
    assert [at.line for at in again.there] == [2, 3]
    assert len(again.places) == 1
    assert not set(again.places) & {row.id for row in table}


def test_one_source_for_all(tmp_path: Path) -> None:
    text = "author,year,yi,vi\nAronson,1948,0.1,0.2\nHart & Sutherland,1977,0.1,0.3\n"
    found = imported(tmp_path, text, Choices(outcome="mood", cite="review2029", cells={"room": "lab"}))
    assert [
        (study["cite"], study["label"], study["report"], study["year"], study["room"]) for study in found.studies
    ] == [
        ("review2029", "Aronson 1948", "aronson1948", "1948", "lab"),
        ("review2029", "Hart & Sutherland 1977", "hartsutherland1977", "1977", "lab"),
    ]


def test_labels_that_fold_to_one_word_stay_two_reports(tmp_path: Path) -> None:
    """Rows of "Trial 1" and "Trial 2", or of two Rosenthals of one year, are no one report."""
    text = "label,author,year,yi,vi\nTrial 1,,,0.1,0.2\nTrial 2,,,0.1,0.2\n"
    text += "A,Rosenthal,1960,0.1,0.2\nB,Rosenthal,1960,0.1,0.2\nA,Rosenthal,1960,0.3,0.2\n"
    choices = Choices(outcome="mood", cite="review2029")
    found = imported(tmp_path, text, choices)
    assert [study["report"] for study in found.studies] == ["trial-1", "trial-2", "rosenthal1960", "rosenthal1960-2"]
    assert len(found.studies[2]["samples"]) == 2
    table = table_of(parse_yaml(written(found.studies), "s.yaml"), DICTIONARY, LIBRARY)
    again = imported(tmp_path, text + "B,Rosenthal,1960,0.4,0.2\n", choices, table)
    assert len(again.there) == 5
    assert [study["report"] for study in again.studies] == ["rosenthal1960-2"]


def test_what_is_left_is_told(tmp_path: Path) -> None:
    """A name that means something else in another table is not taken without a word."""
    text = "author,year,minutes,yi,vi\nDoe,2030,5,NA,NA\n"
    found = imported(tmp_path, text)
    assert found.left == ("minutes",)
    assert [at.line for at in found.bare] == [2]
    assert "minutes" not in str(found.studies)
    mapped = imported(tmp_path, text, Choices(outcome="mood", columns={"minutes": "minutes"}))
    assert mapped.studies[0]["minutes"] == "5"


@pytest.mark.parametrize(
    ("author", "year", "keys"),
    [
        ("Doe", "2030", ["doe2030recall"]),
        ("Doe, J.", "2030", ["doe2030recall"]),
        ("Doe & Roe", "2031", ["doe2031first"]),
        ("Doe and Roe", "2031", ["doe2031first"]),
        ("Doe et al.", "2031", ["doe2031first", "doe2031second"]),
        ("Doe, Poe & Roe", "2031", ["doe2031second"]),
        ("Doe", "2032", ["doe2032a", "doe2032b"]),
        ("Doe", "2032b", ["doe2032b"]),
        ("IJzendoorn", "2033", ["jzendoorn2033"]),
        ("van IJzendoorn", "2033", ["jzendoorn2033"]),
        ("Gracanin et al", "2030", ["gracanin2030"]),
        ("Roe", "2031", []),
        ("", "2030", []),
    ],
)
def test_matching(author: str, year: str, keys: list[str]) -> None:
    assert [reference.key for reference in matching(LIBRARY, author, year)] == keys


def test_surnames_of_odd_cells() -> None:
    for cell in ("", " ", ",", "&", "et al.", "and", "; ;"):
        assert isinstance(surnames(cell), list)


GOLDEN = Path(__file__).parents[1] / "golden" / "data"


@pytest.mark.parametrize("name", ["dat.bcg", "dat.hine1989", "dat.hackshaw1998", "dat.mcdaniel1994", "dat.lau1992"])
def test_data_frames_of_metafor_come_in_digit_for_digit(tmp_path: Path, name: str) -> None:
    """Public data sets under metafor's names; all 249 frames of the collection were tried so when this was written."""
    inputs = json.loads(lzma.decompress((GOLDEN / f"{name}.json.xz").read_bytes()))["inputs"]
    tried = 0
    for frame in inputs.values():
        columns = {key: cells for key, cells in frame.get("data", {}).items() if key in METAFOR}
        if not columns:
            continue
        k = len(next(iter(columns.values())))
        file = tmp_path / "frame.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["label", *columns])
            for i in range(k):
                cells = [json.dumps(column[i]) if column[i] is not None else "NA" for column in columns.values()]
                rows.writerow([f"Study {i + 1}", *cells])
        found = import_sheet(read_sheet(file), DICTIONARY, LIBRARY, Choices(outcome="mood", cite="review2029"))
        table = table_of(parse_yaml(written(found.studies), "s.yaml"), DICTIONARY, LIBRARY)
        assert len(table) == k
        for i, row in enumerate(table):
            kept = {key: METAFOR[key] for key in columns if row.has(METAFOR[key])}
            assert kept
            for key, cell in kept.items():
                assert row.printed[cell] == json.dumps(columns[key][i])
        tried += 1
    assert tried > 0


# -- what is refused ------------------------------------------------------------------------------------------

REFUSED = [
    ("yi,vi\n0.1,0.2", "theirs.csv:1: no column says whose numbers these are"),
    ("author,year\nDoe,2030", "theirs.csv:1: no column holds a number that the table knows"),
    ("author,year,yi,vi\nPoe,2030,0.1,0.2", "theirs.csv:2: no reference is by Poe 2030"),
    ("author,year,yi,vi\nDoe,2032,0.1,0.2", "theirs.csv:2: 2 works are by Doe 2032"),
    ("cite,yi,vi\ndoe2030recal,0.1,0.2", 'theirs.csv:2: no reference has the key "doe2030recal"'),
    ("cite,yi,vi\ndoe2030recall,\"0,5\",0.2", 'yi is "0,5": it has a decimal comma'),
    ("cite,ni,ri\ndoe2030recall,\"1,234\",0.2", 'ni is "1,234": its comma may end the thousands or the units'),
    ("cite,yi,vi\ndoe2030recall,−0.5,0.2", "its minus is a dash"),
    ("cite,pi,ni\ndoe2030recall,<.001,30", "it is a bound, not a number"),
    ("cite,xi,ni\ndoe2030recall,20%,30", "it is a percentage"),
    ("cite,yi,vi\ndoe2030recall,0.1,0.2\n\ndoe2030recall,0.2,0.2", "theirs.csv:3: the row is blank"),
    ("cite,yi,vi\ndoe2030recall,0.1,0.2,0.3", "theirs.csv:2: the row has 4 cells, the heading 3"),
    ("cite,yi,yi\ndoe2030recall,0.1,0.2", 'theirs.csv:1: two columns are called "yi"'),
    ("cite,,yi\ndoe2030recall,x,0.2", "theirs.csv:1: column 2 has no name"),
    ("Table 1,,\ncite,yi,vi\ndoe2030recall,0.1,0.2", 'theirs.csv:1: the first row holds only "Table 1"'),
    ("cite,yi,vi", "theirs.csv:1: the table has names and no rows"),
    ("", "theirs.csv: the table is empty"),
    ('cite,yi,vi\ndoe2030recall,"0.1,0.2', "theirs.csv:2: this is not CSV"),
    ("cite,outcome,yi,vi\ndoe2030recall,moood,0.1,0.2", 'no outcome is called "moood"'),
    ("cite,room,yi,vi\ndoe2030recall,garden,0.1,0.2", '"garden" is not a level of room'),
    ("cite,ai,bi,n1i,ci,di\ndoe2030recall,4,6,11,3,7", "n1 is 11, but 4 with and 6 without the event make 10"),
    ("cite,m1,m1i,sd1,n1\ndoe2030recall,1,2,1,9", '"m1" and "m1i" are both taken for m1'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    if "no outcome" in message:
        assert message in problems(tmp_path, text, Choices())
    else:
        assert message in problems(tmp_path, text)


def test_candidates_are_listed(tmp_path: Path) -> None:
    said = problems(tmp_path, "author,year,yi,vi\nDoe,2032,0.1,0.2\nDoe,1999,0.1,0.2\n")
    assert "doe2032a (Title of doe2032a); doe2032b (Title of doe2032b)" in said
    assert "by that name: doe2030recall (Doe, 2030)" in said


def test_choices_that_cannot_be(tmp_path: Path) -> None:
    text = "author,year,yi,vi\nDoe,2030,0.1,0.2\n"
    assert "nothing says which outcome" in problems(tmp_path, text, Choices())
    assert 'did you mean "mood"' in problems(tmp_path, text, Choices(outcome="moood"))
    turned = Choices("mood", columns={"yi": "m1"})
    assert "write m1=yi" in problems(tmp_path, "m1,author,year\n1,Doe,2030\n", turned)
    assert "which the table does not have" in problems(tmp_path, text, Choices("mood", columns={"x": "m1"}))
    assert "which is no cell of a table" in problems(tmp_path, text, Choices("mood", columns={"yi": "m9"}))
    assert 'no reference has the key "x"' in problems(tmp_path, text, Choices("mood", cite="x"))
    assert "no cell that all the rows could share" in problems(tmp_path, text, Choices("mood", cells={"yi": "1"}))


# -- separators and Excel ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sign", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.csv"), ("\t", "a.tsv")])
def test_separators(tmp_path: Path, sign: str, name: str) -> None:
    text = f'\ufeffauthor{sign}yi\r\n"Doe, J. & Roe; Poe"{sign}0.10\r\n\r\n'
    assert sheet(tmp_path, text, name).rows[0].cells == {"author": "Doe, J. & Roe; Poe", "yi": "0.10"}


def test_row_names_of_r_are_no_column(tmp_path: Path) -> None:
    found = sheet(tmp_path, '"","cite","yi"\n"1","doe2030recall",0.5\n')
    assert found.columns == ("cite", "yi")


def workbook(tmp_path: Path, rows: list[list], change=None) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change is not None:
        change(book)
    file = tmp_path / "theirs.xlsx"
    book.save(file)
    return file


ROWS = [["cite", "m1", "sd1", "n1"], ["doe2030recall", 4.1, 0.5, 20], ["doe2030recall", 0.123456, 1e-07, 3]]


def test_excel_keeps_what_it_shows(tmp_path: Path) -> None:
    def two_decimals(book) -> None:
        for row in (2, 3):
            book.active.cell(row, 2).number_format = "0.00"

    found = read_sheet(workbook(tmp_path, ROWS, two_decimals))
    assert found.rows[0].cells == {"cite": "doe2030recall", "m1": "4.10", "sd1": "0.5", "n1": "20"}
    assert found.rows[1].cells["m1"] == "0.123456"  # more than the sheet shows, so all of it
    assert float(found.rows[1].cells["sd1"]) == 1e-07


def set_cell(place: str, value):
    return lambda book: book.active.__setitem__(place, value)


EXCEL = [
    (set_cell("B2", "=C2*2"), "theirs.xlsx:2: m1: the cell B2 holds the formula"),
    (set_cell("B3", "#DIV/0!"), "theirs.xlsx:3: m1: the cell B3 shows the error #DIV/0!"),
    (lambda book: book.active.merge_cells("B1:C1"), "theirs.xlsx:1: the cells B1:C1 are merged"),
    (lambda book: book.active.merge_cells("A2:A3"), "theirs.xlsx:2: the cells A2:A3 are merged"),
    (lambda book: book.active.insert_rows(3), "theirs.xlsx:3: the row is blank"),
    (lambda book: book.create_sheet("Two").append(["x", "y"]), "2 of its sheets hold something"),
]


@pytest.mark.parametrize(("change", "message"), EXCEL)
def test_excel_refusals(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        read_sheet(workbook(tmp_path, ROWS, change))
    assert message in str(caught.value).replace(tmp_path.as_posix() + "/", "")


def test_excel_sheets_and_empty_ends(tmp_path: Path) -> None:
    def change(book) -> None:
        book.create_sheet("Notes").append(["made in May"])
        book.active.cell(40, 2).number_format = "0.00"  # a formatted cell that holds nothing

    file = workbook(tmp_path, ROWS, change)
    assert len(read_sheet(file, "Sheet").rows) == 2
    with pytest.raises(InputErrors, match='no sheet "Sheet9"'):
        read_sheet(file, "Sheet9")


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 250_000_000)
    for name, data in (("a.xlsx", b"PK\x03\x04nothing"), ("b.xlsx", b""), ("c.xls", b"x"), ("d.csv", b"\xff\xfe\x00a")):
        (tmp_path / name).write_bytes(data)
    for name in ("bomb.xlsx", "a.xlsx", "b.xlsx", "c.xls", "d.csv", "absent.xlsx", "absent.csv"):
        with pytest.raises(InputErrors):
            read_sheet(tmp_path / name)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=5), min_size=1, max_size=5))
def test_any_table_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["cite", "yi", "vi"], *rows])
    file.write_text(out.getvalue(), encoding="utf-8", errors="replace", newline="")
    try:
        found = import_sheet(read_sheet(file), DICTIONARY, LIBRARY, MOOD)
    except InputErrors:  # anything else is a bug
        return
    assert all(study["cite"] in LIBRARY for study in found.studies)


@given(st.text("0123456789.,-+eE −%<>  '", max_size=12))
def test_a_number_is_read_as_itself_or_refused(text: str) -> None:
    if number_problem(text) is None:
        assert float(text) == float(text)


@pytest.mark.parametrize("form", ["0%", "0.0%", "[Red]0.00%"])
def test_excel_percentages_are_refused_though_the_sheet_stores_a_share(tmp_path: Path, form: str) -> None:
    def percent(book) -> None:
        book.active.cell(2, 2).number_format = form

    file = workbook(tmp_path, [["cite", "m1"], ["doe2030recall", 0.441]], percent)
    assert read_sheet(file).rows[0].cells["m1"] == "44.1%"
    assert number_problem("44.1%") is not None


def test_excel_text_beside_a_number_is_no_percentage(tmp_path: Path) -> None:
    def worded(book) -> None:
        book.active.cell(2, 2).number_format = '0.00" % of baseline"'

    file = workbook(tmp_path, [["cite", "m1"], ["doe2030recall", 44.1]], worded)
    assert read_sheet(file).rows[0].cells["m1"] == "44.1"


# -- nothing that a row holds is lost without a word ------------------------------------------------------------


def test_people_beside_counts_are_kept(tmp_path: Path) -> None:
    for counts in (
        "better,same,worse,n\ndoe2030recall,58,24,15,97",
        "share_better,share_worse,n\ndoe2030recall,.6,.4,97",
    ):
        [study] = imported(tmp_path, f"cite,{counts}\n").studies
        assert study["samples"][0]["effects"][0]["n"] == "97"


def test_the_same_rows_with_people_beside_counts_come_in_once(tmp_path: Path) -> None:
    text = "cite,better,same,worse,n\ndoe2030recall,58,24,15,97\n"
    table = table_of(parse_yaml(written(imported(tmp_path, text).studies), "studies.yaml"), DICTIONARY, LIBRARY)
    assert len(imported(tmp_path, text, MOOD, table).there) == 1


def test_each_label_and_year_of_one_reference_is_kept(tmp_path: Path) -> None:
    text = "cite,label,year,r,n\ndoe2030recall,Study A,2029,.1,40\ndoe2030recall,Study B,2030,.2,50\n"
    found = [(study["label"], study["year"]) for study in imported(tmp_path, text).studies]
    assert found == [("Study A", "2029"), ("Study B", "2030")]


def test_a_computed_effect_is_kept_where_a_row_has_nothing_else(tmp_path: Path) -> None:
    text = "cite,m1i,sd1i,n1i,m2i,sd2i,n2i,yi,vi\ndoe2030recall,4,1,30,3,1,31,.9,.07\ndoe2030recall,,,,,,,.3,.05\n"
    found = imported(tmp_path, text)
    first, second = (sample["effects"][0]["numbers"] for sample in found.studies[0]["samples"])
    assert "yi" not in first
    assert second == {"yi": ".3", "vi": ".05"}
    assert not found.bare


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cite,d,d_low,n1,n2\ndoe2030recall,.5,.2,40,41\n", "theirs.csv:2: d_low stands without the other limit"),
        ("cite,ai,bi,ci,di\ndoe2030recall,,12,4,9\n", "theirs.csv:2: 12 without the event stand in group 1"),
    ],
)
def test_half_a_result_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in problems(tmp_path, text)


def test_the_noise_of_a_stored_sum_is_no_precision(tmp_path):
    """Excel stores 0.1 + 0.2 as 0.30000000000000004 and shows 0.3; the checks take digits for precision."""
    found = read_sheet(workbook(tmp_path, [["author", "yi"], ["Doe", 0.1 + 0.2], ["Roe", 12.25]]))
    assert [row.cells["yi"] for row in found.rows] == ["0.3", "12.25"]
