"""Bibliographies of other programs: what comes in, what goes out, and what a format cannot hold."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.errors import At
from catharsis.references import Library, Name, Reference, methods_library, read_references
from catharsis.references.bibtex import parse_bib
from catharsis.references.csl_json import NOT_IN_CSL, parse_csl_json
from catharsis.references.duplicates import likeness
from catharsis.references.formats import read_bibliography, to_bibtex, to_csl_json, to_ris
from catharsis.references.pubmed import parse_nbib
from catharsis.references.ris import NOT_IN_RIS, parse_ris

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=40).map(
    lambda text: " ".join(text.split()) or "x"
)


@pytest.fixture(scope="module")
def ours() -> Library:
    return read_references(ROOT / "references")


def placeless(reference: Reference) -> Reference:
    return dataclasses.replace(reference, at=At(""))


# -- round trips of every real reference --------------------------------------------------------------------


def test_bib_to_bib_is_the_same(ours: Library) -> None:
    text = to_bibtex(ours.values())
    back, problems = parse_bib(text, "a.bib")
    assert problems == []
    assert [placeless(one) for one in back] == [placeless(one) for one in ours.values()]
    assert text.isascii()  # as the house writes its .bib files


def losses(ours: Library, back: tuple[Reference, ...]) -> Counter[str]:
    lost: Counter[str] = Counter()
    for one, other in zip(ours.values(), back, strict=True):
        assert (one.key, one.authors, one.etal, one.editors, one.etal_editors) == (
            (other.key, other.authors, other.etal, other.editors, other.etal_editors)
        )
        lost["kind"] += one.kind != other.kind
        lost["braces"] += dict(one.protected) != dict(other.protected)
        for name in {*one.fields, *other.fields}:
            lost[name] += one.fields.get(name) != other.fields.get(name)
    return +lost


def test_bib_to_ris_to_bib_keeps_what_ris_can_hold(ours: Library) -> None:
    read = parse_ris(to_ris(ours.values()), "a.ris")
    back, problems = parse_bib(to_bibtex(read.references), "a.bib")
    assert (read.problems, read.left, read.notes, problems) == ((), (), (), [])
    lost = losses(ours, tuple(back))
    assert set(lost) <= {*NOT_IN_RIS, "braces"}
    assert {"eprint", "archiveprefix", "howpublished", "braces"} == set(lost)  # what the files have of it


def test_bib_to_csl_to_bib_keeps_what_csl_can_hold(ours: Library) -> None:
    read = parse_csl_json(to_csl_json(ours.values()), "a.json")
    back, problems = parse_bib(to_bibtex(read.references), "a.bib")
    assert (read.problems, read.left, problems) == ((), (), [])
    assert set(losses(ours, tuple(back))) == {"howpublished"} <= NOT_IN_CSL


def test_what_a_format_cannot_hold_is_no_wider_than_said() -> None:
    """Every other field that an entry may have comes back, under the name that we read it by."""
    fields = {
        "title": "Tears", "journal": "Journal of Tears", "year": "2030", "month": "May", "volume": "3", "number": "2",
        "pages": "1–9", "eid": "e12", "edition": "2", "address": "Oslo", "doi": "10.1/X", "url": "https://a.org/b_c;d",
        "issn": "1234-5678", "note": "a note", "abstract": "An abstract.", "keywords": "tears, crying",
        "language": "Norwegian", "series": "Series of Tears", "chapter": "7", "publisher": "Tear Press",
        "type": "Letter",
    }  # fmt: skip
    paper = Reference("doe2030", "article", fields, (Name("Doe", "Jane"),))
    for read in (parse_ris(to_ris([paper]), "a.ris"), parse_csl_json(to_csl_json([paper]), "a.json")):
        assert dict(read.references[0].fields) == fields


def test_nothing_is_nothing() -> None:
    assert (to_bibtex([]), to_ris([]), json.loads(to_csl_json([]))) == ("", "", [])


# -- any text -------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_any_text_survives_bibtex(title: str, family: str, url: str) -> None:
    people = (Name(family, "Ann-Mae B."), Name(literal=title))
    paper = Reference("k2030", "article", {"title": title, "journal": family, "url": url}, people)
    back, problems = parse_bib(to_bibtex([paper]), "a.bib")
    assert problems == []
    assert back[0].title == title
    assert back[0].fields["journal"] == family
    assert back[0].fields["url"] == url
    assert len(back[0].authors) == 2
    assert back[0].authors[0].surname in (family, f"Ann-Mae B. {family}")
    assert back[0].authors[1].literal == title


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT)
def test_any_text_survives_ris_and_csl(title: str, organisation: str) -> None:
    paper = Reference("k2030", "misc", {"title": title, "publisher": organisation}, (Name(literal="A B"),))
    ris = parse_ris(to_ris([paper]), "a.ris")
    assert (ris.references[0].title, ris.references[0].fields["publisher"]) == (title, organisation)
    csl = parse_csl_json(to_csl_json([paper]), "a.json")
    assert (csl.references[0].title, csl.references[0].fields["publisher"]) == (title, organisation)


def test_a_title_cannot_end_its_record() -> None:
    wicked = "Tears\nER  - \nTY  - BOOK\nTI  - Other} , author = {Nobody} @article{x,"
    paper = Reference("k2030", "article", {"title": wicked})
    assert len(parse_ris(to_ris([paper]), "a.ris").references) == 1
    back, problems = parse_bib(to_bibtex([paper]), "a.bib")
    assert ([one.title for one in back], problems) == ([" ".join(wicked.split())], [])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["bib", "ris", "nbib", "json", "txt"]))
def test_any_bytes_give_references_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes, end: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"any.{end}"
    file.write_bytes(data)
    read = read_bibliography(file)
    assert bool(read.references) or bool(read.problems)
    assert all(problem.why and problem.fix for problem in read.problems)


MUTATED = ["endnote.ris", "zotero.ris", "pubmed.nbib", "zotero.json"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(MUTATED), st.integers(0, 1500), st.sampled_from(["", "{", "]", "\n\n", "ER  - ", "\t", '"', "9"])
)
def test_mutated_exports_raise_nothing(name: str, place: int, piece: str) -> None:
    text = (DATA / name).read_text(encoding="utf-8")
    text = text[:place] + piece + text[place + 7 :]
    for parse in (parse_ris, parse_nbib, parse_csl_json):
        parse(text, name)


# -- exports of other programs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "form", "keys"),
    [
        ("endnote.ris", "RIS", ["gross1994crying", "snowdon2007hormones", "vanroeyen2020crocodile"]),
        ("zotero.ris", "RIS", ["gracanin2015alleviate", "vingerhoets2013weep"]),
        ("pubmed.nbib", "PubMed", ["sharman2019gender", "rottenberg2002threshold"]),
        ("zotero.json", "CSL-JSON", ["bylsma2019neurobiology", "bakermanskranenburg2013sniffing"]),
    ],
)
def test_exports_are_the_works_that_we_have(ours: Library, file: str, form: str, keys: list[str]) -> None:
    read = read_bibliography(DATA / file)
    assert (read.format, read.problems) == (form, ())
    assert len(read.references) == len(keys)
    for reference, key in zip(read.references, keys, strict=True):
        found = likeness(ours[key], reference)
        assert found is not None, key
        assert found.sure, key
        own = ours[key].fields
        assert {name: text for name, text in reference.fields.items() if name in own} == (
            {name: text for name, text in own.items() if name in reference.fields}
        )


def test_what_an_export_says_beside() -> None:
    read = read_bibliography(DATA / "endnote.ris")
    assert read.left == (("C1", 1), ("M1", 1))
    gross, chapter, wrapped = read.references
    assert gross.fields["pages"] == "460–468"
    assert gross.doi == "10.1111/j.1469-8986.1994.tb01049.x"
    assert [name.surname for name in chapter.editors] == ["Cacioppo", "Tassinary", "Berntson"]
    assert wrapped.title.endswith("tears for a crier's image")
    assert wrapped.authors[0] == Name("Roeyen", "Inge", "van")


def test_pubmed_names_and_dates() -> None:
    text = """PMID- 1
DP  - 2030 Nov-Dec
TI  - Tears.
JT  - Journal of tears
PG  - 460-8
AID - S0000-0000(30)00001-1 [pii]
AID - 10.1/x [doi]
FAU - Doe, Jane Q Jr
CN  - Tears Study Group
FAU - de la Roe, Richard

DP  - 2031 May 3
TI  - [Tranen.]
AU  - van Doe JQ
RIN - something
"""
    read = parse_nbib(text, "a.nbib")
    first, second = read.references
    assert first.authors == (
        Name("Doe", "Jane Q", suffix="Jr"), Name(literal="Tears Study Group"), Name("Roe", "Richard", "de la"),
    )  # fmt: skip
    assert dict(first.fields) == {
        "title": "Tears", "journal": "Journal of tears", "year": "2030", "pages": "460–8", "doi": "10.1/x", "pmid": "1",
    }  # fmt: skip
    assert second.authors == (Name("Doe", "J. Q.", "van"),)
    assert second.fields["month"] == "May"
    assert read.left == (("RIN", 1),)
    assert "translation" in read.notes[0]


PROBLEMS = [
    ("a.ris", "TY  - JOUR\nTI  - Tears\n", "a.ris:1: the record has no end"),
    ("a.ris", "TY  - JOUR\nER  - \n", "a.ris:1: the record has no title"),
    ("a.ris", "TI  - Tears\nER  - \n", 'a.ris:1: "TI - Tears" stands outside of any record'),
    ("a.ris", "TY  - JOUR\nTI - Tears\nER  - \n", "a.ris:2: the tag TI is not followed by two spaces"),
    ("a.nbib", "TI  - Tears.\nwhat is this\n", 'a.nbib:2: "what is this" is no line of PubMed'),
    ("a.nbib", "PMID- 1\nFAU - Doe, J\n", "a.nbib:1: the record of PMID 1 has no title"),
    ("a.json", '[{"type": "book"}]', "a.json:1: the item nothing has no title"),
    ("a.json", '[\n{"title": "Tears", "author": "Doe"}]', "a.json:2: author of the item nothing is"),
    ("a.json", '[{"title": {"a": 1}}]', "a.json:1: title of the item nothing is a block"),
    ("a.json", "[1]", "a.json:1: 1 is not a reference"),
    ("a.json", '[{"title": "Tears",]', "a.json:1: this is not JSON"),
    ("a.json", "[" * 100_000, "a.json: this is not JSON"),
    ("a.txt", "Dear colleague,", "a.txt: the format of the file is not known"),
    ("a.ris", "", "a.ris: the file holds no reference in RIS"),
]


@pytest.mark.parametrize(("name", "text", "message"), PROBLEMS)
def test_problems_have_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text, encoding="utf-8")
    read = read_bibliography(name)
    assert str(read.problems[0]).startswith(message), str(read.problems[0])


def test_methods_keep_their_form() -> None:
    assert "@article{egger1997,\n  author  = {" in to_bibtex([methods_library()["egger1997"]])
