"""Reading .bib files: what text becomes, and what each problem says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catharsis.errors import InputErrors
from catharsis.references import Name, Reference, methods_library, read_bib, read_references
from catharsis.references.bibtex import MAX_BYTES
from catharsis.references.latex import decode

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that messages show the short path that a user would type."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_one(text: str) -> Reference:
    Path("a.bib").write_text(text, encoding="utf-8", newline="")
    references, problems = read_bib("a.bib")
    assert problems == []
    return references[0]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"Gra{\v{c}}anin and {\v C}ech, {\v{S}}imi{\'c}", "Gračanin and Čech, Šimić"),
        (r"W{\k{a}}growska, Wr{\'o}bel, Zup\v{c}i\'{c}", "Wągrowska, Wróbel, Zupčić"),
        (r"M{\"u}ller, G\"{o}del, na{\"\i}ve, na\"{\i}ve", "Müller, Gödel, naïve, naïve"),
        (r"{\ss}, \O re, {\AE}, \l{}ódź, \aa", "ß, Øre, Æ, łódź, å"),
        (r"\c{c}a \~n \=a \.z \H{o} \u{g} \r{u} \d{s}", "ça ñ ā ż ő ğ ů ṣ"),
        (r"cry\_cross 95\% A \& B \#1 \$5 \{x\}", "cry_cross 95% A & B #1 $5 {x}"),
        ("95% of A & B, a_b, x^2, #1, $5 and $6", "95% of A & B, a_b, x^2, #1, $5 and $6"),
        ("``warm touch'' support -- and --- more", "“warm touch” support – and — more"),
        ("Mothers' fears", "Mothers' fears"),
        (r"the $\beta$ and $p$-value of $\tau^2$", "the β and p-value of τ^2"),
        (r"\emph{Homo} \textit{sapiens}", "Homo sapiens"),
        (r"\unknowncommand{x}", r"\unknowncommandx"),
        ("Two\n   lines~here ", "Two lines here"),
        ("{Deep {nested {braces}}}", "Deep nested braces"),
    ],
)
def test_decode(latex: str, text: str) -> None:
    assert decode(latex).text == text


def test_protected_stretches() -> None:
    assert decode(r"The {REML} of {\'E}mile in {D{\"u}sseldorf}").protected == ((4, 8), (21, 31))
    assert decode("{" * 50_000 + "deep" + "}" * 50_000).text == "deep"


@pytest.mark.parametrize(
    ("latex", "name"),
    [
        ("van der Velden, Yvonne", Name("Velden", "Yvonne", "van der")),
        ("Claire A. de March", Name("March", "Claire A.", "de")),
        ("von Dawans, Bernadette", Name("Dawans", "Bernadette", "von")),
        ("van IJzendoorn, Marinus H.", Name("IJzendoorn", "Marinus H.", "van")),
        ("Van den Noortgate, W.", Name("Noortgate", "W.", "Van den")),
        ("Williams, Jr., R. M.", Name("Williams", "R. M.", suffix="Jr.")),
        ("Davey Smith, G.", Name("Davey Smith", "G.")),
        ("{{World Health Organization}}", Name(literal="World Health Organization")),
        ("{Barnes {\\&} Noble and Sons}", Name(literal="Barnes & Noble and Sons")),
        (r"{\'E}mile Zola", Name("Zola", "Émile")),
        (r"{\v{S}}antek, Maja", Name("Šantek", "Maja")),
        ("Plato", Name("Plato")),
    ],
)
def test_names(here: Path, latex: str, name: Name) -> None:
    assert read_one(f"@misc{{k, author = {{{latex}}}}}").authors == (name,)


def test_others_are_not_a_name(here: Path) -> None:
    reference = read_one("@misc{k, author = {Lee, A. and others}, editor = {Orr, B. and Poe, C.}}")
    assert (reference.authors, reference.etal) == ((Name("Lee", "A."),), True)
    assert (len(reference.editors), reference.etal_editors) == (2, False)


def test_macros_months_quotes_numbers_and_concatenation(here: Path) -> None:
    fields = read_one(
        '@string(jmr = "Journal of " # {Mood Research})\n'
        '@ARTICLE{k, Journal = JMR # ", Series A", month = jun, year = 2019, pages = {1--9},\n'
        ' note = "a {"}quoted{"} word", title = {At @ {Home}}, doi = {10.1/a\\_b}, url = {\\url{http://x.y/a--b~c}},}'
    ).fields
    assert fields == {
        "journal": "Journal of Mood Research, Series A",
        "month": "June",
        "year": "2019",
        "pages": "1–9",
        "note": 'a "quoted" word',
        "title": "At @ Home",
        "doi": "10.1/a_b",
        "url": "http://x.y/a--b~c",
    }


def test_crossref_inherits_but_does_not_overwrite(here: Path) -> None:
    chapter = read_one(
        "@incollection{child, title = {Part}, crossref = {Parent}, year = 1999}\n"
        "@book{parent, title = {Whole}, editor = {Orr, B.}, publisher = {Press}, year = 2000, doi = {10.1/x}}"
    )
    assert chapter.editors == (Name("Orr", "B."),)
    assert {key: chapter.fields.get(key) for key in ("title", "booktitle", "publisher", "year", "doi")} == {
        "title": "Part",
        "booktitle": "Whole",
        "publisher": "Press",
        "year": "1999",
        "doi": None,
    }


def test_crossref_reaches_other_files_and_survives_a_circle(here: Path) -> None:
    Path("a.bib").write_text("@incollection{a, title={A}, crossref={b}}", encoding="utf-8")
    Path("b.bib").write_text("@book{b, title={B}, publisher={P}, crossref={a}}", encoding="utf-8")
    assert read_references(here)["a"].fields["publisher"] == "P"


def test_byte_order_mark_and_line_ends(here: Path) -> None:
    Path("a.bib").write_bytes(b"\xef\xbb\xbf% head\r\n@misc{a,\r\n title={A}\r\n}\r\n\r\n@misc{b, title={B}}\r\n")
    references, problems = read_bib("a.bib")
    assert not problems
    assert [str(reference.at) for reference in references] == ["a.bib:2", "a.bib:6"]


PROBLEMS = [
    (
        "@misc{a, title={A}}\n@misc{b,\n  title = {B\n}\n@misc{c, title={C}}",
        "a.bib:2: the entry @misc{b cannot be read\n"
        "  why: unexpected block start: `@misc`. Was still looking for field-value closing `,` or `}`\n"
        "  fix: close every brace and quote, and end each field with a comma",
    ),
    (
        "@misc{b, title = {B",
        "a.bib:1: the entry @misc{b, title = {B cannot be read\n"
        "  why: unexpectedly reached end of file\n"
        "  fix: close every brace and quote, and end each field with a comma",
    ),
    (
        "@misc{a\n  title = {A}\n}",
        "a.bib:1: the entry @misc{a cannot be read\n"
        "  why: expected comma after entry key, but found =\n"
        "  fix: close every brace and quote, and end each field with a comma",
    ),
    (
        "@misc{a,\n  title = {A}\n  year = {2000}\n}",
        "a.bib:2: the field title of a goes on after its end: 'year = {2000}' (a comma is missing?)\n"
        "  why: its text would be wrong or lost\n"
        "  fix: write name = {value},",
    ),
    (
        "@misc{a, title = {A}},\n  year = {2000}\n}",
        "a.bib:2: the field year stands outside of any entry\n"
        "  why: an entry before it ended early, so that the field would be lost\n"
        "  fix: remove the extra closing brace above it, or put % before a comment",
    ),
    (
        "\n@misc a, title = {A}",
        "a.bib:2: @misc is not followed by an opening brace\n"
        "  why: without it the entry would be lost\n"
        "  fix: write @misc{key, ...}, or put % before a comment",
    ),
    (
        "@misc{a, title={A}}\n\n@misc{a, title={B}}",
        'a.bib:3: the key "a" is already used at a.bib:1\n'
        "  why: which of the two papers a study means cannot be known\n"
        "  fix: delete one entry if they are the same paper, or rename one key",
    ),
    (
        "@misc{a, doi={10.1/X}}\n@misc{b, doi={https://doi.org/10.1/x}}",
        "a.bib:2: b has the DOI 10.1/x, and so has a (a.bib:1)\n"
        "  why: one paper under two keys can enter an analysis twice\n"
        "  fix: correct the DOI, or say that they are one: catharsis duplicates --link b=a",
    ),
    (
        "@incollection{a,\n title={A},\n crossref={bok}}\n@book{book, title={B}}",
        'a.bib:3: a refers to "bok", which no entry has as its key\n'
        "  why: what it should inherit (book title, editors, publisher) would be missing\n"
        '  fix: did you mean "book" (a.bib:4)?',
    ),
    (
        "@article{, title={A}}",
        "a.bib:1: an @article entry without a key\n"
        "  why: studies and reports cite an entry by its key\n"
        "  fix: write @article{key, ...} with a key of your choice",
    ),
    (
        "@article{two words, title={A}}",
        'a.bib:1: the key "two words" holds a space\n'
        "  why: a key is one word; often the comma after it is missing\n"
        "  fix: put a comma after the key, or remove the space",
    ),
    (
        "@misc{a,\n  title = {A},\n  year = 2000,\n  Title = {B}\n}",
        "a.bib:4: a has the field title twice (first at line 2)\n"
        "  why: which of the two is meant cannot be known\n"
        "  fix: keep one of them",
    ),
    (
        "@string{jmr = {J}}\n@misc{a, journal = jrm}",
        "a.bib:2: the field journal of a uses the unknown macro jrm\n"
        "  why: a value without braces or quotes must be a number or an @string macro\n"
        '  fix: did you mean "jmr"?',
    ),
    (
        "@string{j = {J}}\n@string{J = {K}}",
        "a.bib:2: the macro j is defined twice\n"
        "  why: which of the two texts is meant cannot be known\n"
        "  fix: keep one definition, or rename one",
    ),
    (
        "@misc{a,\n author = {Lee, A., B., C.}}",
        "a.bib:2: the author of a cannot be read: "
        "cannot split the following name `Lee, A., B., C.` into parts: Too many commas\n"
        "  why: a citation needs the family name of each person\n"
        "  fix: write Family, Given and join people with the word and; put an organisation in {...}",
    ),
    (
        "@misc{a, year = }",
        "a.bib:1: the field year of a has no value\n"
        "  why: its text would be wrong or lost\n"
        "  fix: write name = {value},",
    ),
]


@pytest.mark.parametrize(("text", "message"), PROBLEMS)
def test_problem(here: Path, text: str, message: str) -> None:
    Path("a.bib").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(InputErrors) as caught:
        read_references("a.bib")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"@misc{a,\n title={caf\xe9}}", "a.bib:2: the byte 0xe9 is not UTF-8"),
        (b"@misc{a,\r\n\r\n title={\x00}}", "a.bib:3: the character U+0000 is not text"),
        (b"\xff\xfe@\x00m\x00", "a.bib:1: the file is UTF-16, not UTF-8"),
        (b"%" * (MAX_BYTES + 1), "a.bib: the file has 20 MB, more than 20 MB"),
    ],
)
def test_unreadable_bytes(here: Path, data: bytes, message: str) -> None:
    Path("a.bib").write_bytes(data)
    references, problems = read_bib("a.bib")
    assert references == []
    assert str(problems[0]).splitlines()[:2] == [message, "  why: the references of the studies come from it"]


def test_macros_of_macros_cannot_fill_the_memory(here: Path) -> None:
    doubling = "".join(f"@string{{m{i + 1} = m{i} # m{i}}}\n" for i in range(40))
    Path("a.bib").write_text("@string{m0 = {x}}\n" + doubling, encoding="utf-8")
    first, *_ = read_bib("a.bib")[1]
    assert str(first).splitlines()[0] == "a.bib:25: the macro m24 expands @string macros beyond 20 MB"


def test_unreadable_paths(here: Path) -> None:
    Path("folder.bib").mkdir()
    Path("refs").mkdir()
    Path("refs/dangling.bib").symlink_to("nowhere")
    for path, what in (
        ("absent.bib", "absent.bib: the file cannot be read: No such file or directory"),
        ("refs", "refs/dangling.bib: the file cannot be read: No such file or directory"),
        ("folder.bib", "folder.bib: the folder holds no .bib file"),
    ):
        with pytest.raises(InputErrors) as caught:
            read_references(path)
        assert str(caught.value).splitlines()[0] == what
    assert read_bib("folder.bib")[1][0].what == f"the file cannot be read: {os.strerror(21)}"


def test_all_problems_of_all_files_come_at_once(here: Path) -> None:
    Path("refs").mkdir()
    Path("refs/b.bib").write_text("@misc{a, title={A}, doi={10.1/x}}\n@misc{c, title = {", encoding="utf-8")
    Path("refs/a.bib").write_text("@misc{a, title={A}}\n@misc{b, doi={10.1/X}}", encoding="utf-8")
    with pytest.raises(InputErrors) as caught:
        read_references("refs")
    assert [str(problem).splitlines()[0] for problem in caught.value.problems] == [
        'refs/b.bib:1: the key "a" is already used at refs/a.bib:1',
        "refs/b.bib:2: the entry @misc{c, title = { cannot be read",
    ]


def test_our_own_bibliography() -> None:
    library = read_references(REPOSITORY / "references")
    merged = library.merged(methods_library())
    assert len(library) == len(merged) >= 9 + 63 + 173  # people add to it
    assert all(reference.at.line > 0 for reference in library.values())
    assert not [text for reference in library.values() for text in reference.fields.values() if "{" in text]
