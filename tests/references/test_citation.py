# ruff: noqa: E501 -- a reference is compared with the manual as one piece of text
"""Reference lists: exact APA 7 strings of real entries, and what CSL gets to see.

Each string of `APA` was compared by eye with the Publication Manual, 7th edition (chapters 9 and 10).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from catharsis.errors import At, InputError
from catharsis.references import (
    Library,
    Name,
    Reference,
    cite_key,
    csl_item,
    format_apa,
    in_text_labels,
    read_bib,
    read_references,
    year_suffixes,
)
from catharsis.references.citation import mended

REPOSITORY = Path(__file__).parents[2]
APA = {
    # journal article, two authors, a particle, an article number
    "bakermanskranenburg2013sniffing": "Bakermans-Kranenburg, M. J., & van IJzendoorn, M. H. (2013). Sniffing around "
    "oxytocin: Review and meta-analyses of trials in healthy and clinical groups with implications for "
    "pharmacotherapy. <i>Translational Psychiatry</i>, <i>3</i>(5), Article e258. "
    '<a href="https://doi.org/10.1038/tp.2013.34">https://doi.org/10.1038/tp.2013.34</a>',
    # no issue; a title that ends with a question mark
    "gracanin2014soothing": "Gračanin, A., Bylsma, L. M., & Vingerhoets, A. J. J. M. (2014). Is crying a self-soothing "
    "behavior? <i>Frontiers in Psychology</i>, <i>5</i>, 502. "
    '<a href="https://doi.org/10.3389/fpsyg.2014.00502">https://doi.org/10.3389/fpsyg.2014.00502</a>',
    # chapter without pages, three editors
    "snowdon2007hormones": "Snowdon, C. T., & Ziegler, T. E. (2007). Reproductive hormones. In J. Cacioppo, L. G. "
    "Tassinary, & G. G. Berntson (Eds.), <i>Handbook of Psychophysiology</i>. Cambridge University Press.",
    # chapter with pages and edition
    "bushman2009": "Bushman, B. J., & Wang, M. C. (2009). Vote-counting procedures in meta-analysis. In H. Cooper, L. V. "
    "Hedges, & J. C. Valentine (Eds.), <i>The handbook of research synthesis and meta-analysis</i> (2nd ed., pp. "
    "207–220). Russell Sage Foundation.",
    # book (APA 7 drops the place)
    "vingerhoets2013weep": "Vingerhoets, A. (2013). <i>Why only humans weep: Unravelling the mysteries of tears</i>. "
    "Oxford University Press.",
    # book with edition
    "hunter2015": "Hunter, J. E., & Schmidt, F. L. (2015). <i>Methods of meta-analysis: Correcting error and bias in "
    "research findings</i> (3rd ed.). Sage.",
    # a suffix
    "stouffer1949": "Stouffer, S. A., Suchman, E. A., DeVinney, L. C., Star, S. A., & Williams, R. M., Jr. (1949). "
    "<i>The American soldier, Vol. 1: Adjustment during army life</i>. Princeton University Press.",
    # data with an address
    "sharman2019data": "Sharman, L. S. (2019). <i>cry_cross-country: Data, codebook and R script, commit 004f54b</i>. "
    '<a href="https://github.com/lsshar/cry_cross-country">https://github.com/lsshar/cry_cross-country</a>',
    # no author, no date
    "labott1996weeping": "Weeping propensity and the effects of laboratory expression or inhibition. (n.d.). "
    "<i>Motivation and Emotion</i>. "
    '<a href="https://doi.org/10.1007/bf02251890">https://doi.org/10.1007/bf02251890</a>',
    # no author, no journal
    "laan2012attachment": "<i>Individual differences in adult crying: The role of attachment styles</i>. (n.d.). "
    '<a href="https://www.thefreelibrary.com/Individual+differences+in+adult+crying%3A+the+role+of+attachment+styles-'
    'a0287750494">https://www.thefreelibrary.com/Individual+differences+in+adult+crying%3A+the+role+of+attachment+'
    "styles-a0287750494</a>",
    # no author, an ampersand in the journal
    "valstad2017central": "The correlation between central and peripheral oxytocin concentrations: A systematic review "
    "and meta-analysis. (2017). <i>Neuroscience & Biobehavioral Reviews</i>, <i>78</i>, 117–124. "
    '<a href="https://doi.org/10.1016/j.neubiorev.2017.04.017">https://doi.org/10.1016/j.neubiorev.2017.04.017</a>',
    # and others: no name is invented
    "agron2023signal": "Agron, S., de March, C. A., Weissgross, R., Mishor, E., Gorodisky, L., et al. (2023). A chemical "
    "signal in human female tears lowers aggression in males. <i>PLoS Biology</i>.",
    # 26 authors: 19, an ellipsis, the last
    "page2021": "Page, M. J., McKenzie, J. E., Bossuyt, P. M., Boutron, I., Hoffmann, T. C., Mulrow, C. D., Shamseer, L., "
    "Tetzlaff, J. M., Akl, E. A., Brennan, S. E., Chou, R., Glanville, J., Grimshaw, J. M., Hróbjartsson, A., Lalu, M. "
    "M., Li, T., Loder, E. W., Mayo-Wilson, E., McDonald, S., … Moher, D. (2021). The PRISMA 2020 statement: An updated "
    "guideline for reporting systematic reviews. <i>BMJ</i>, <i>372</i>, Article n71. "
    '<a href="https://doi.org/10.1136/bmj.n71">https://doi.org/10.1136/bmj.n71</a>',
    # preprint
    "talts2018": "Talts, S., Betancourt, M., Simpson, D., Vehtari, A., & Gelman, A. (2018). <i>Validating Bayesian "
    "inference algorithms with simulation-based calibration</i> (arXiv:1804.06788). arXiv.",
    # a letter after the year, hyphenated initials elsewhere in the list
    "hartung2001b": "Hartung, J., & Knapp, G. (2001b). A refined method for the meta-analysis of controlled clinical "
    "trials with binary outcome. <i>Statistics in Medicine</i>, <i>20</i>(24), 3875–3889. "
    '<a href="https://doi.org/10.1002/sim.1009">https://doi.org/10.1002/sim.1009</a>',
    # a supplement as issue
    "arita2013tear": "Arita, H., & Suzuki, I. (2013). Emotional tear triggered by activation of medial prefrontal cortex "
    "may act as stress reduction. <i>Hifu no kagaku (Skin Research)</i>, <i>12</i>(Suppl. 20), 28–30.",
    # quotes; initials with hyphens
    "byun2020therapy": "Byun, H.-S., Hwang, H., & Kim, G.-D. (2020). Crying therapy intervention for breast cancer "
    "survivors: Development and effects. <i>International Journal of Environmental Research and Public Health</i>, "
    '<i>17</i>(13), 4911. <a href="https://doi.org/10.3390/ijerph17134911">https://doi.org/10.3390/ijerph17134911</a>',
    # signs in a DOI
    "hedges1999": "Hedges, L. V., Gurevitch, J., & Curtis, P. S. (1999). The meta-analysis of response ratios in "
    "experimental ecology. <i>Ecology</i>, <i>80</i>(4), 1150–1156. "
    '<a href="https://doi.org/10.1890/0012-9658(1999)080%5B1150:tmaorr%5D2.0.co;2">'
    "https://doi.org/10.1890/0012-9658(1999)080[1150:tmaorr]2.0.co;2</a>",
}


@pytest.fixture(scope="module")
def library() -> Library:
    return read_references(REPOSITORY / "references")


@pytest.fixture(scope="module")
def html(library: Library) -> dict[str, str]:
    return format_apa(library.values(), markup="html")


@pytest.mark.parametrize("key", APA)
def test_real_entry(html: dict[str, str], key: str) -> None:
    assert html[key] == re.sub(r"&(?!amp;)", "&amp;", APA[key])


def test_no_slip_anywhere(html: dict[str, str], library: Library) -> None:
    slips = re.compile(r"\.\.|,,|  | [.,;)]|\( |\?\.|!\.|&amp;amp;|None|\(\)|[\ufdd0-\ufdef]|Retrieved|\bed(s)?\.\),")
    assert {key: text for key, text in html.items() if slips.search(re.sub(r'href="[^"]*"', "", text))} == {}
    assert all(html[key].count("<i>") == html[key].count("</i>") for key in html)
    assert all(text.endswith((".", "</a>", "?")) for text in html.values())
    assert set(html) == set(library)


def test_every_field_of_every_entry_is_printed_once(library: Library) -> None:
    for key, text in format_apa(library.values()).items():
        fields = library[key].fields
        assert text.count(fields["title"]) == 1, key
        for name in ("journal", "booktitle", "publisher", "volume", "url"):
            assert fields.get(name, "") in text, (key, name)


def test_text_is_html_without_tags(library: Library, html: dict[str, str]) -> None:
    class Plain(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += data

    for key, plain in format_apa(library.values()).items():
        parser = Plain()
        parser.feed(html[key])
        assert parser.text == plain


def test_order_of_the_list() -> None:
    def paper(key: str, year: str, title: str, *names: Name) -> Reference:
        return Reference(key, "article", {"title": title, **({"year": year} if year else {})}, names)

    lee, li = Name("Lee", "A."), Name("Li", "B.")
    expected = [
        paper("title", "1990", "The accord"),
        paper("de", "2000", "T", Name("Graaf", "X.", particle="de")),
        paper("lee-undated", "", "Z", lee),
        paper("lee-early", "1999", "Z", lee),
        paper("lee-a", "2000", "An apple", lee),
        paper("lee-b", "2000", "Banana", lee),
        paper("lee-press", "in press", "A", lee),
        paper("lee-li", "1980", "A", lee, li),
        paper("lee-b.", "1970", "A", Name("Lee", "B.")),
        paper("leeds", "1970", "A", Name("Leeds", "A.")),
        paper("o", "1970", "A", Name("Østby", "A.")),
        paper("pa", "1970", "A", Name("Pa", "A.")),
    ]
    assert list(format_apa(reversed(expected))) == [reference.key for reference in expected]


def test_year_letters_and_labels_agree() -> None:
    lee = (Name("Lee", "A."),)
    undated = [Reference(key, "misc", {"title": key}, lee) for key in ("B", "A")]
    assert year_suffixes(undated) == {"A": "a", "B": "b"}
    assert in_text_labels(undated) == {"B": "Lee, n.d.-b", "A": "Lee, n.d.-a"}
    assert format_apa(undated)["B"] == "Lee, A. (n.d.-b). B."


def test_labels_of_the_real_library_are_unique(library: Library) -> None:
    for narrative in (False, True):
        labels = in_text_labels(library.values(), narrative=narrative)
        assert len(set(labels.values())) == len(library)


def test_starred(library: Library) -> None:
    formatted = format_apa([library["vingerhoets2013weep"], library["hunter2015"]], starred={"hunter2015"})
    assert [text[:3] for text in formatted.values()] == ["*Hu", "Vin"]


KINDS = [
    (
        "@phdthesis{k, author={Smith, Jane}, title={Why cry?}, school={University of X}, year=2001}",
        "Smith, J. (2001). <i>Why cry?</i> [Doctoral dissertation]. University of X.",
    ),
    (
        "@techreport{k, author={{World Health Organization}}, title={Tears}, institution={WHO}, number={12}, "
        "year={in press}}",
        "World Health Organization. (in press). <i>Tears</i> (No. 12). WHO.",
    ),
    (
        "@book{k, editor={Doe, Jo and Roe, Al}, title={Edited book}, year=2010, publisher={Press}, edition={Second}}",
        "Doe, J., &amp; Roe, A. (Eds.). (2010). <i>Edited book</i> (2nd ed.). Press.",
    ),
    (
        "@proceedings{k, editor={Doe, Jo}, title={Proceedings}, year=2010, publisher={Press}}",
        "Doe, J. (Ed.). (2010). <i>Proceedings</i>. Press.",
    ),
    (
        "@misc{k, author={Lee, A. and others}, title={A page!}, month=jun, year=2020, howpublished={\\url{https://x.y/a_b}}}",
        'Lee, A., et al. (2020, June). <i>A page!</i> <a href="https://x.y/a_b">https://x.y/a_b</a>',
    ),
    (
        '@article{k, author={hooks, bell}, title={Who? "Me" <b> & co.}, journal={J. Foo.}, volume={II}, number={3--4}, '
        "pages={S12}}",
        "hooks, b. (n.d.). Who? &quot;Me&quot; &lt;b&gt; &amp; co. <i>J. Foo.</i>, <i>II</i>(3–4), S12.",
    ),
    ("@misc{k, url={javascript:alert(1)}, title={T}}", "<i>T</i>. (n.d.). javascript:alert(1)"),
]


@pytest.mark.parametrize(("bib", "expected"), KINDS)
def test_other_kinds(tmp_path: Path, bib: str, expected: str) -> None:
    file = tmp_path / "a.bib"
    file.write_text(bib, encoding="utf-8")
    references, problems = read_bib(file)
    assert not problems
    assert format_apa(references, markup="html") == {"k": expected}


def test_many_authors_and_others() -> None:
    names = tuple(Name(f"N{chr(ord('a') + i)}") for i in range(22))
    text = format_apa([Reference("k", "misc", {"title": "T"}, names, etal=True)])["k"]
    assert text == f"{', '.join(name.family for name in names[:19])}, et al. (n.d.). T."


def test_csl_item() -> None:
    reference = Reference(
        "k",
        "incollection",
        {
            "title": "REML here",
            "booktitle": "Book",
            "year": "1999",
            "month": "Mar.",
            "pages": "1–2",
            "edition": "2nd",
        },
        (Name("Beethoven", "Ludwig", "van", "Sr."), Name(literal="WHO")),
        protected={"title": ((0, 4),)},
        etal=True,
    )
    assert csl_item(reference) == {
        "id": "k",
        "type": "chapter",
        "title": '<span class="nocase">REML</span> here',
        "container-title": "Book",
        "page": "1-2",
        "edition": "2",
        "author": [
            {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van", "suffix": "Sr."},
            {"literal": "WHO"},
            {"literal": "et al."},
        ],
        "issued": {"date-parts": [[1999, 3]]},
    }


def test_cite_key(library: Library) -> None:
    lines = cite_key(library, "becht2002mood").splitlines()
    assert lines[1:3] == [
        "  in brackets: (Becht & Vingerhoets, 2002)",
        "  in a sentence: Becht and Vingerhoets (2002)",
    ]
    known = Library([Reference("smith2020", "misc", at=At("a.bib", 3))])
    with pytest.raises(InputError) as caught:
        cite_key(known, "smtih2020")
    assert str(caught.value) == (
        'catharsis cite: no reference has the key "smtih2020"\n'
        "  why: only what the bibliography holds can be cited\n"
        '  fix: did you mean "smith2020" (a.bib:3)?'
    )


@pytest.mark.parametrize(
    ("laid_out", "expected"),
    [
        ("Orr, A.. (1999).", "Orr, A. (1999)."),
        ("Why?. Next", "Why? Next"),
        ("A  B ,  C .", "A B, C."),
        ("In B. Orr (ed.), X", "In B. Orr (Ed.), X"),
        ("Book (B. Orr, ed.).", "Book (B. Orr, Ed.)."),
        ("Orr, B. (ed.). (1999). Book (B. Orr, ed.; 2nd ed.).", "Orr, B. (Ed.). (1999). Book (2nd ed.)."),
        ("Title. (1999). Title. Rest.", "Title. (1999). Rest."),
        ("X. Retrieved https://x.y", "X. https://x.y"),
    ],
)
def test_mended(laid_out: str, expected: str) -> None:
    assert mended(laid_out, lambda match: "") == expected
