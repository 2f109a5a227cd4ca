"""What holds for any text and any bytes: no text is lost on the way to the page, no bytes cause a traceback."""

from __future__ import annotations

import random
import re
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.errors import InputErrors
from catharsis.references import format_apa, read_bib, read_references
from catharsis.references.latex import decode

REPOSITORY = Path(__file__).parents[2]
MUTATIONS = 400
TEXT = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=("Cc", "Cs"),
        exclude_characters="".join(map(chr, [*range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF])),
    ),
    min_size=1,
    max_size=40,
).map(lambda text: " ".join(text.split(" ")).strip() or "x")
ESCAPES = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "$": r"\$"}


def as_latex(text: str) -> str:
    """The text as a careful author writes it in a .bib file."""
    escaped = "".join(ESCAPES.get(sign, sign) for sign in text)
    return re.sub(r"(?<=['`-])(?=['`-])", "{}", escaped)  # '' and -- would be a quote and a dash


def plain(text: str) -> str:
    return re.sub(" +", " ", text).strip(" ")


@given(TEXT)
def test_decoding_undoes_escaping(text: str) -> None:
    assert decode(as_latex(text)).text == plain(text)


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT, st.sampled_from(["article", "book", "misc", "incollection"]))
def test_any_title_and_author_reach_the_page(title: str, author: str, kind: str) -> None:
    t, a = as_latex(title), as_latex(author)
    bib = f"@{kind}{{k, title = {{{t}}}, author = {{{{{a}}}}}, journal = {{{t}}}}}"
    with TemporaryDirectory() as folder:
        file = Path(folder, "a.bib")
        file.write_text(bib, encoding="utf-8", newline="")
        references, problems = read_bib(file)
    assert problems == []
    html = format_apa(references, markup="html")["k"]
    assert not re.search(r"<(?!/?i>|a href=\"https?://[^\"<>]*\">|/a>)", html)
    assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x27;)", html)
    words = unescape(re.sub(r"</?[ai][^>]*>", "", html))
    assert plain(title) in words
    assert plain(author) in words


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with a few bytes, signs or lines changed, as a slip of the hand or of a disk would."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0:
                out[place : place + chance.randint(1, 30)] = b""
            case 1:
                out[place:place] = chance.choice(
                    [b"{", b"}", b'"', b"@", b",", b"=", b"#", b"\\", b"@x{", b"\n@", b"%"]
                )
            case 2:
                out[place:place] = bytes([chance.randrange(256)])
            case 3:
                out[place:place] = out[place : place + 50][::-1]
            case _:
                out = out[:place] if place > 20 else out
    return bytes(out)


def test_mutated_files_raise_only_input_errors() -> None:
    sources = [(REPOSITORY / "references" / name).read_bytes() for name in ("seed.bib", "methods.bib")]
    chance = random.Random(20020101)
    read, refused = 0, []
    with TemporaryDirectory() as folder:
        file = Path(folder, "a.bib")
        for _ in range(MUTATIONS):
            source = chance.choice(sources)
            start = chance.randrange(max(1, len(source) - 4000))
            file.write_bytes(mutated(source[start : start + 4000], chance))
            try:
                library = read_references(file)
            except InputErrors as error:
                refused.extend(error.problems)
            else:
                read += 1
                format_apa(list(library.values())[:1], markup="html")
    assert all(problem.what and problem.why and problem.fix for problem in refused)
    assert len(refused) > read > 0


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text('@{}",=#\\ab1 \n%()', max_size=120).map(lambda text: text.encode()))
def test_any_bytes_raise_only_input_errors(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "a.bib")
        file.write_bytes(data)
        references, _ = read_bib(file)
        for markup in ("text", "html"):
            format_apa(references, markup=markup)
