"""Is the flagship's page true to the rows, and is it sound HTML that needs nothing else?"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from workshop import words

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


# -- what is said -----------------------------------------------------------------------------------


def prose_of(tree):
    """The text of the page without the article's own words: the claims, the table of effects and the references."""
    text = []
    for element in tree.find("body").iter():
        if element.tag in ("p", "h1", "h2", "h3", "h4", "li", "svg", "div"):
            if any(parent.get("id") in ("claims", "effects", "references") for parent in element.iterancestors()):
                continue
            text.append(words(element))
    return " ".join(dict.fromkeys(text))


def test_one_survey_is_called_one_survey(crying):
    card = crying.card("mood")
    assert "One survey (Sharman 2019), 5 countries, 891 people" in card
    assert "rests on one survey" in card
    text = prose_of(crying.tree)
    assert "one survey, 5 countries" in text
    assert "one survey, 20 cells in 5 countries" in text
    assert not re.search(r"\b(five|5) (studies|surveys|reports)\b", text)
    assert "a new country" in card
    assert "a new study" not in card


def test_recall_and_the_missing_comparison_stand_on_the_first_screen(crying):
    html = crying.page
    card = html[html.index('id="card-mood"') : html.index("</article>")]
    assert "recalled" in card
    assert "no comparison with dry-eyed episodes" in card
    assert html.index('id="card-mood"') < html.index("<section")
    assert "exploratory" in words(crying.tree.find_class("strip")[0])


FALSE = [
    r"(cry|tear|weep|sob)\w*[^.]{0,60}\b(raise|increase|release|boost|elevate|trigger|produce)\w*[^.]{0,40}oxytocin",
    r"oxytocin[^.]{0,60}\b(rise|rises|rose|increase[sd]?|is released|goes up|higher)\b[^.]{0,40}(cry|tear|weep)",
    r"(cry|tear|weep|sob)\w*[^.]{0,60}\b(calm|sooth|slow|lower|relax)\w*[^.]{0,40}(heart|body|pulse|nervous)",
    r"(heart|body|pulse|nervous system)[^.]{0,40}\b(calms|calmed|is calmer|slows|slowed)\b",
    r"crying (helps|works|heals|is good|makes people feel better|improves mood)\b",
]


@pytest.mark.parametrize("pattern", FALSE)
def test_nothing_false_is_said(crying, pattern):
    questions = {item.family.question for item in crying.results.families}
    text = prose_of(crying.tree)
    for question in questions:
        text = text.replace(question, "")
    found = re.search(pattern, text, re.IGNORECASE)
    assert found is None, found.group(0)


def test_the_verdicts(crying):
    verdicts = {key: item["sentence"] for key, item in crying.record["families"].items()}
    assert "remember" in verdicts["mood"]
    assert verdicts["oxytocin"] == "No study found has measured it."
    assert "no sizes" in verdicts["autonomic"]
    for key in ("mood", "oxytocin", "autonomic"):
        assert words(crying.tree.get_element_by_id(f"card-{key}").find("h2")) == verdicts[key]


def test_analogues_are_labelled_wherever_they_stand(crying):
    for result in crying.results.syntheses:
        if result.spec.role == "analogue":
            assert words(crying.tree.get_element_by_id(result.spec.id).find("h3")).startswith("Analogue")
            assert "an analogue, nobody cried" in crying.words(result.spec.id)
    assert "Analogue: oxytocin given as a drug" in crying.card("oxytocin")


def test_few_degrees_of_freedom_hide_p_and_significance(crying):
    """CR2 with Satterthwaite df below 4: no p, no stars, no "significant"."""
    assert "significant" not in prose_of(crying.tree).lower()
    section = crying.words("mood-by-response")
    robust = section[section.index("Cluster-robust") : section.index("Bayesian")]
    assert "df" in robust
    assert not re.search(r"\bp [=<]|\*", robust)
    coefficients = crying.record["syntheses"]["mood-by-response"]["robust"]["coefficients"]
    assert all(item["df"] < 4 and item["p_hidden"] for term, item in coefficients.items() if term != "intercept")


def minus(value, sign=False):
    text = f"{abs(value):.2f}"
    return ("−" if value < 0 else "+" if sign else "") + text


def test_the_numbers_of_the_headline_card_are_those_of_results_json(crying):
    found = crying.record["syntheses"]["mood"]
    head, new = found["headline"], found["frequentist"]["prediction"]
    sentence = (
        f"{minus(head['estimate'], sign=True)} points on a scale from −3 to +3 (95% interval {minus(head['low'])} to "
        f"{minus(head['high'])}; a new country {minus(new['low'])} to {minus(new['high'])})."
    )
    assert sentence in crying.card("mood")
    votes = crying.record["directions"]["mood-laboratory"]
    rows = sum(len(cell["rows"]) for cell in votes["cells"])
    assert f"{rows} reported directions from {votes['groups']} independent groups" in crying.card("mood")
    accounted = [sentence, f"{found['k']} countries, {found['people']} people", f"{rows} reported", "Sharman 2019"]
    text = " ".join(words(p) for p in crying.tree.get_element_by_id("card-mood").iter("p"))
    allowed = {number for piece in accounted for number in numbers(piece)} | {str(votes["groups"])}
    allowed |= {str(cell[side]) for cell in votes["cells"] for side in ("positive", "none", "negative", "mixed")}
    allowed |= {f"{float(cell['key'][1]):g}" for cell in votes["cells"] if cell["key"][1] != "not stated"}
    assert set(numbers(text)) <= allowed


def numbers(text):
    return re.findall(r"\d+(?:[.,]\d+)*", text)


def test_the_other_cards_count_what_results_json_counts(crying):
    families = crying.record["families"]
    assert f"None of the {sum(families['oxytocin']['rows'].values())} rows on oxytocin" in crying.card("oxytocin")
    analogue = crying.record["syntheses"]["oxytocin-given"]["headline"]
    size = f"g {minus(analogue['estimate'])}, {minus(analogue['low'])} to {minus(analogue['high'])}, 19 samples"
    assert size in crying.card("oxytocin")
    signs = crying.record["directions"]["autonomic-signs"]
    rows = sum(len(cell["rows"]) for cell in signs["cells"])
    assert f"{rows} reported directions from {signs['groups']} independent groups" in crying.card("autonomic")
    strip = words(crying.tree.find_class("strip")[0])
    works = len({item["cite"] for item in crying.record["effects"].values()})
    assert f"{works} works, {len(crying.record['effects'])} effects" in strip


def test_moderators_on_the_first_screen_are_those_of_results_json(crying):
    text = crying.words("moderator")
    contrasts = crying.record["syntheses"]["mood-by-response"]["frequentist"]["contrasts"]["social_response"]
    assert len(contrasts) == 3
    for row in contrasts.values():
        assert f"{minus(row['estimate'], sign=True)} ({minus(row['low'])} to {minus(row['high'])})" in text
    assert "p = .181" in text
    shame = crying.record["syntheses"]["shame"]["frequentist"]["coefficients"]["intercept"]
    assert round(shame["estimate"], 4) == -0.1337
    assert "−0.13 (−0.21 to −0.05)" in text


def test_every_synthesis_prints_what_results_json_holds(crying):
    """The interval of each headline stands in its own section."""
    for key, found in crying.record["syntheses"].items():
        measure, head = crying.results.synthesis(key).effects.measure, found["headline"]
        if head["estimate"] is None or measure.back == "expit":
            continue
        low, high = (float(measure.to_reader(head[side])) for side in ("low", "high"))
        text = crying.words(key)
        assert f"[{minus(low)}, {minus(high)}]" in text or f"{minus(low)} to {minus(high)}" in text, key


def test_bayes_minus_reml_is_printed_with_what_the_prior_does(crying):
    for key, found in crying.record["syntheses"].items():
        if found["bayes"] and found["bayes"]["minus_reml"]:
            shift = next(iter(found["bayes"]["minus_reml"].values()))
            printed = minus(shift["total"], sign=True)
            printed = "0.00" if printed.endswith("0.00") else printed
            method = found["frequentist"]["method"]
            assert f"Bayes minus {method} is {printed} {method} standard errors" in crying.words(key), key
            assert "the prior on the average accounts for" in crying.words(key)


# -- references -------------------------------------------------------------------------------------


def test_every_included_study_is_in_the_references_with_an_asterisk(crying):
    effects = crying.record["effects"].values()
    included = {effect["cite"] for effect in effects if effect["kind"] != "none"}
    for key in included:
        assert crying.words(f"ref-{key}").startswith("*"), key
    starred = {p.get("id") for p in crying.tree.get_element_by_id("references").iter("p") if words(p).startswith("*")}
    assert starred == {f"ref-{key}" for key in included}


def test_every_row_names_its_source(crying):
    for effect, row in crying.record["effects"].items():
        line = crying.tree.get_element_by_id(f"effect-{effect}")
        assert [a.get("href") for a in line.iter("a")] == [f"#ref-{row['cite']}"]


def test_the_seed_article_s_nine_references_are_listed(crying):
    keys = [key for statement in crying.results.plan.file.origin for key in statement.cites]
    assert len(set(keys)) == 9
    for key in keys:
        assert crying.words(f"ref-{key}")


def test_references_stand_in_apa_order_without_empty_fields(crying):
    section = crying.tree.get_element_by_id("references")
    texts = [words(p) for p in section.iter("p") if p.get("id")]
    first = [re.sub(r"^\W+", "", text).casefold().split(",")[0].split(" (")[0] for text in texts]
    assert [name[:1] for name in first] == sorted(name[:1] for name in first)
    assert not any(re.search(r"\(\s*\)|,\s*,|\.\.(?!\.)(?<!\.\.\.)|\bNone\b|\bnan\b", text) for text in texts)


def test_a_gap_is_shown_as_a_gap(crying):
    gaps = [key for key, claim in crying.record["claims"].items() if not claim["direct"]]
    assert len(crying.record["claims"]) == 18
    assert gaps
    assert "direct evidence: no study" in crying.card("oxytocin")
    for key in gaps:
        verdict = crying.record["claims"][key]["verdict"]
        assert verdict.startswith(("No direct evidence.", "No study bears on it", "Not a testable statement."))


# -- the file ---------------------------------------------------------------------------------------


class Balance(HTMLParser):
    """Every tag that opens closes, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.problems, self.ids, self.headings = [], [], [], []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.problems.append(f"<{tag}> repeats an attribute at {self.getpos()}")
        self.ids += [value for name, value in attrs if name == "id"]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if tag not in VOID:
            self.problems.append(f"<{tag}/> at {self.getpos()}")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")
        else:
            self.open.pop()


def balanced(page):
    parser = Balance()
    parser.feed(page)
    parser.close()
    return parser


def test_the_page_is_well_formed(crying):
    found = balanced(crying.page)
    assert found.problems == []
    assert found.open == []


def test_lxml_has_nothing_to_recover(crying):
    import lxml.etree

    parser = lxml.etree.HTMLParser()
    lxml.etree.fromstring(crying.page, parser)
    # libxml2 knows the tags of HTML 4 only
    errors = [entry for entry in parser.error_log if entry.type_name != "HTML_UNKNOWN_TAG"]
    assert [f"{entry.line}: {entry.message}" for entry in errors] == []


def test_ids_are_unique_and_links_arrive(crying):
    found = balanced(crying.page)
    assert [key for key, times in Counter(found.ids).items() if times > 1] == []
    targets = {href[1:] for href in re.findall(r'href="(#[^"]*)"', crying.page)}
    assert targets
    assert targets <= set(found.ids)


def test_headings_do_not_skip_levels(crying):
    levels = balanced(crying.page).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_drawings_can_be_read_aloud(crying):
    drawings = list(crying.tree.iter("svg"))
    assert len(drawings) > 15
    for drawing in drawings:
        assert drawing.get("role") == "img"
        assert drawing.get("aria-label", "").strip()
    assert all(th.get("scope") in ("col", "row") for th in crying.tree.iter("th"))
    assert crying.tree.get("lang") == "en"


OUTSIDE = [r"\ssrc\s*=", r"url\(", r"@import", r"<script", r"<link", r"<iframe", r"\son\w+\s*=", r"<form"]


@pytest.mark.parametrize("pattern", OUTSIDE)
def test_the_page_needs_nothing_else(crying, pattern):
    assert re.findall(pattern, crying.page, re.IGNORECASE) == []


def test_the_policy_forbids_what_the_page_does_not_need(crying):
    policy = next(meta.get("content") for meta in crying.tree.iter("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert crying.page.index("Content-Security-Policy") < crying.page.index("<style>")


def test_links_leave_the_page_only_for_works(crying):
    for a in crying.tree.iter("a"):
        if not a.get("href").startswith("#"):
            assert a.get("href").startswith(("https://", "http://"))
            assert any(parent.get("id") == "references" for parent in a.iterancestors())


def test_no_number_is_broken(crying):
    text = words(crying.tree.find("body"))
    assert not re.search(r"\b(nan|NaN|inf|None(?! of the)|undefined)\b", text)
    assert not re.search(r"(?<![\w.])-\d", words(crying.tree.get_element_by_id("card-mood"))), "a hyphen for a minus"


def test_the_svg_files_stand_alone(crying):
    import lxml.etree

    files = {name: text for name, text in crying.files.items() if name.endswith(".svg")}
    assert len(files) > 15
    for name, text in files.items():
        root = lxml.etree.fromstring(text.encode())
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "<style>" in text
        assert not re.search(r"url\(|@import|href", text), name


def test_the_tables_hold_what_results_json_holds(crying):
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(crying.files["tables/effects.csv"])))
    assert [row["effect"] for row in rows] == list(crying.record["effects"])
    for row in rows:
        sizes = crying.record["effects"][row["effect"]]["sizes"]
        for scale in ("raw", "standardised", "correlation"):
            given = row[f"{scale}_yi"]
            assert (given == "") == (scale not in sizes)
            if given:
                assert float(given) == pytest.approx(sizes[scale]["yi"], rel=1e-9)  # results.json keeps ten digits
    estimates = list(csv.DictReader(io.StringIO(crying.files["tables/estimates.csv"])))
    first = next(row for row in estimates if row["synthesis"] == "mood")
    head = crying.record["syntheses"]["mood"]["headline"]
    for name in ("estimate", "low", "high"):
        assert float(first[name]) == pytest.approx(head[name], rel=1e-9)


def test_all_evidence_shows_both_readings_and_what_was_left_out(crying):
    section = crying.words("mood-standardised")
    found = crying.record["syntheses"]["mood-standardised"]["all_evidence"]
    for reading in ("reported", "signs"):
        mu = found[reading]["coefficients"]["intercept"]
        assert f"{minus(mu['mean'])} [{minus(mu['low'])}, {minus(mu['high'])}]" in section
    for key, row in found["rows"].items():
        assert key in section
        assert minus(row["shift"], sign=True) in section
    for key, why in found["left_out"].items():
        assert f"{key}: {why}" in section
    assert "of one survey, so τ here mixes" in section
    assert found["signs"]["coefficients"]["intercept"]["mean"] > found["reported"]["coefficients"]["intercept"]["mean"]
