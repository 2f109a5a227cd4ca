"""Any text of the inputs reaches page, drawings and tables unharmed and harmless."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter

import lxml.etree
import pytest
from workshop import ANALYSIS, Outcome, bib, made, study, words

EVIL = """<script>alert(1)</script><img src=x onerror=alert(2)> "q" 's' & &lt; {{ 7*7 }} </svg></style>"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Five studies whose every text is an attack, and one direction whose note would be a formula."""
    evil = json.dumps(EVIL)
    texts = {"country": evil, "population": evil, "note": evil, "measured": evil}
    pieces = [study(i, label=json.dumps(f"{EVIL}{i}"), **texts) for i in range(5)]
    pieces[0] = pieces[0].replace("where: table 1", f"where: {evil}")
    pieces[1] = pieces[1].rstrip() + f"\n            partition: {evil}\n"
    formulas = {"label": "'=cmd|/c calc'", "note": "'@SUM(1)'", "measured": "'+1'", "country": "'-1'"}
    pieces.append(study(5, "reported: {sign: higher}", **formulas))
    analysis = (
        ANALYSIS.replace("title: Do naps help?", f"title: {evil}\nlede: {evil}\ndirect: {evil}")
        .replace("label: Alertness\n", f"label: {evil}\n")
        .replace("gap: Nobody has tried.", f"gap: {evil}\n    would_help: {evil}")
        .replace("{home: at home, work: at work}", f"{{home: {evil}, work: at work}}")
        .replace("title: Alertness after a nap", f"title: {evil}\n    note: {evil}\n    label: country")
        .replace("positive: Naps help.", f"positive: {evil}")
        .replace("title: Signs", f"title: {evil}")
        .replace("when: place == 'work', say: at work only", f"when: place == 'home', say: {evil}")
    )
    analysis += f"human:\n  registration: {evil}\n  certainty: {{alertness: {evil}}}\n"
    bibs = "".join(
        bib(i, r"<script>alert(1)</script> \& 's'", "<b>Evil</b>, O'Neil", url="javascript:alert(1)", note="<i>x</i>")
        for i in range(6)
    )
    return Outcome(made(tmp_path_factory.mktemp("hostile") / "naps", 0, analysis=analysis, studies=pieces, bibs=bibs))


def test_no_tag_comes_from_a_text(hostile):
    assert "<script" not in hostile.page
    assert "<img" not in hostile.page
    assert "<b>Evil" not in hostile.page
    assert not [e.tag for e in hostile.tree.iter() if e.tag in ("script", "img")]
    assert not [name for e in hostile.tree.iter() for name in e.attrib if name.startswith("on")]


def test_the_text_arrives_as_it_was(hostile):
    text = " ".join(EVIL.split())
    assert words(hostile.tree.find_class("card")[0].find("h2")) == text
    assert text in words(hostile.tree.find("body").find("main").find("h1"))
    assert hostile.tree.findtext(".//title").startswith(EVIL)
    cells = [words(td) for td in hostile.tree.get_element_by_id("effects").iter("td")]
    assert cells.count(f"{text}0") == 1
    assert "49" not in text
    assert "{{ 7*7 }}" in hostile.page


def test_styles_and_drawings_are_not_broken_out_of(hostile):
    assert hostile.page.count("</style>") == 1
    assert hostile.page.count("<svg") == hostile.page.count("</svg>") == len(list(hostile.tree.iter("svg")))
    assert all(drawing.get("aria-label") for drawing in hostile.tree.iter("svg"))


def test_drawings_are_xml_with_the_text_inside(hostile):
    drawings = {name: text for name, text in hostile.files.items() if name.endswith(".svg")}
    assert drawings
    for name, text in drawings.items():
        root = lxml.etree.fromstring(text.encode())
        assert {lxml.etree.QName(e).localname for e in root.iter()} <= {
            "svg", "style", "title", "text", "line", "circle", "rect", "path",
        }, name  # fmt: skip
        assert "<script" not in text


def test_links_never_run_anything(hostile):
    for a in hostile.tree.iter("a"):
        assert re.match(r"#|https?://", a.get("href")), a.get("href")


def test_ids_are_unique_and_links_arrive(hostile):
    ids = [e.get("id") for e in hostile.tree.iter() if e.get("id")]
    assert max(Counter(ids).values()) == 1
    assert {a.get("href")[1:] for a in hostile.tree.iter("a") if a.get("href").startswith("#")} <= set(ids)


def test_no_cell_of_a_table_is_a_formula(hostile):
    tables = {name: text for name, text in hostile.files.items() if name.endswith(".csv")}
    for name, text in tables.items():
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1, name
        for cell in (cell for row in rows for cell in row):
            assert not re.match(r"[=+@\t\r]", cell), (name, cell)
            assert not cell.startswith("-") or re.fullmatch(r"-[\d.e+-]+", cell), (name, cell)
    effects = tables["tables/effects.csv"]
    for dangerous in ("'=cmd|/c calc", "'@SUM(1)", "'+1", "'-1"):
        assert dangerous in effects


def test_results_json_holds_the_text_as_it_was(hostile):
    data = json.loads(hostile.files["results.json"])
    assert data["title"] == EVIL
    assert data["families"]["alertness"]["sentence"] == EVIL


# -- ids that are legal in the inputs and awkward in a page ----------------------------------------------


@pytest.mark.parametrize("key", ["effects", "methods", "map", "references", "card-alertness"])
def test_a_synthesis_may_have_any_name(tmp_path, key):
    found = Outcome(made(tmp_path / "naps", 5, analysis=ANALYSIS.replace("id: nap", f"id: {key}")))
    ids = re.findall(r'\bid="([^"]*)"', found.page)
    assert [name for name, times in Counter(ids).items() if times > 1] == []


@pytest.mark.parametrize("key", ["effects", "claims", "estimates"])
def test_no_table_overwrites_another(tmp_path, key):
    found = Outcome(made(tmp_path / "naps", 3, analysis=ANALYSIS.replace("id: nap", f"id: {key}")))
    headers = {"effects": "effect,study,cite", "claims": "id,claim,verdict", "estimates": "synthesis,fit,term"}
    for name, header in headers.items():
        assert found.files[f"tables/{name}.csv"].startswith(header)


def test_two_syntheses_never_share_a_file(tmp_path):
    second = '  - {id: "nap/1", title: Second, outcome: alert, scale: standardised}\n'
    analysis = ANALYSIS.replace("id: nap", 'id: "nap 1"').replace("directions:\n", second + "directions:\n")
    found = Outcome(made(tmp_path / "naps", 3, analysis=analysis))
    assert len([name for name in found.files if name.endswith("-forest.svg")]) == 2


def test_an_id_with_a_blank_is_still_a_valid_id(tmp_path):
    pieces = [study(i).replace(f"id: e{i}", f'id: "effect {i}"') for i in range(3)]
    found = Outcome(made(tmp_path / "naps", 0, studies=pieces))
    assert not [key for key in re.findall(r'\bid="([^"]*)"', found.page) if re.search(r"\s", key)]
