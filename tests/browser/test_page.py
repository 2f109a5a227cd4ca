"""Does the page open offline in a real browser, on a desk and on a phone, without a word on the console?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape
from importlib.util import find_spec

import pytest
from workshop import parsed, words

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; .ci/run installs it"),
]
PHONE, DESK = (390, 2400), (1280, 1600)  # px


@pytest.fixture(scope="module")
def chromium(tmp_path_factory, crying):
    """Run the browser without a network on a page in a folder of its own."""
    root = tmp_path_factory.mktemp("browser")
    (root / "index.html").write_text(crying.page, encoding="utf-8")

    def run(*options, page="index.html", size=DESK):
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={root / 'profile'}",
            f"--window-size={size[0]},{size[1]}", *options, (root / page).as_uri(),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)

    run.root = root
    return run


@pytest.fixture(scope="module")
def desk(chromium):
    """The page as the browser holds it, and what it wrote to its log."""
    done = chromium("--dump-dom", "--enable-logging=stderr", "--v=0")
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_the_browser_holds_the_cards(desk, crying):
    tree = parsed(desk.stdout)
    cards = tree.find_class("card")
    assert [words(card.find("h2")) for card in cards] == [
        item.sentence for item in crying.results.families if item.family.main
    ]
    assert words(tree.get_element_by_id("card-mood")) == crying.card("mood")
    assert len(list(tree.iter("svg"))) == len(list(crying.tree.iter("svg")))
    assert tree.findtext(".//title").startswith("Does crying help?")


def test_the_console_is_silent(desk):
    """No script error, and nothing that the page's own policy had to refuse."""
    assert [line for line in desk.stderr.splitlines() if "CONSOLE" in line] == []


def test_the_parser_moved_nothing(desk, crying):
    """What the browser made of the page has the elements that were written, in order."""

    def tags(tree):
        return [e.tag for e in tree.iter() if isinstance(e.tag, str)]

    assert tags(parsed(desk.stdout)) == tags(crying.tree)


MEASURE = """<script>
const out = e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".figure, .scroll, table");
const wide = [...document.querySelectorAll("body *")].filter(out).map(e => e.outerHTML.slice(0, 80));
const small = [...document.querySelectorAll("main p, main li, main td")].filter(
  e => e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 11).length;
const cards = [...document.querySelectorAll(".card")].map(e => Math.round(e.getBoundingClientRect().top));
const scroll = document.documentElement.scrollWidth;
parent.document.title = JSON.stringify({inner: innerWidth, scroll, wide, small, cards});
</script></body>"""


def framed(page, size):
    """The page in a frame as wide as a phone: the browser's own window is never narrower than 500 px."""
    style = f"border:0;width:{size[0]}px;height:{size[1]}px"
    return f'<!doctype html><body style="margin:0"><iframe style="{style}" srcdoc="{escape(page)}"></iframe></body>'


def measured(chromium, page, size):
    """The page with a ruler in it; its policy is lifted for that."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", MEASURE)
    (chromium.root / "ruler.html").write_text(framed(text, size), encoding="utf-8")
    done = chromium("--dump-dom", page="ruler.html")
    return json.loads(parsed(done.stdout).findtext(".//title"))


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_window(chromium, crying, size):
    found = measured(chromium, crying.page, size)
    assert found["inner"] == size[0]
    assert found["wide"] == []
    assert found["scroll"] <= found["inner"]
    assert found["small"] == 0


def test_the_first_card_is_on_the_first_screen(chromium, crying):
    assert measured(chromium, crying.page, (1280, 800))["cards"][0] < 400
    assert measured(chromium, crying.page, PHONE)["cards"][0] < 844  # the height of a phone, px


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_picture_is_not_blank(chromium, crying, size):
    picture = chromium.root / f"{size[0]}.png"
    (chromium.root / "framed.html").write_text(framed(crying.page, size), encoding="utf-8")
    done = chromium(f"--screenshot={picture}", page="framed.html", size=(max(size[0], 500), size[1]))
    assert picture.exists(), done.stderr[-2000:]
    assert picture.stat().st_size > 20_000
    if find_spec("PIL") is None:
        return
    from PIL import Image

    with Image.open(picture) as image:
        assert image.height == size[1]
        beyond = image.convert("L").crop((size[0], 0, max(image.width, size[0] + 1), size[1]))
        assert beyond.getextrema() in ((255, 255), (0, 0)), "nothing is drawn beyond the window"
        colours = image.convert("L").crop((0, 0, *size)).histogram()
    assert sum(colours[:128]) > 2000, "there is dark ink"
    assert sum(colours[240:]) > 0.5 * sum(colours), "on light paper"


def test_it_prints(chromium):
    sheet = chromium.root / "page.pdf"
    chromium("--no-pdf-header-footer", f"--print-to-pdf={sheet}")
    assert sheet.read_bytes()[:5] == b"%PDF-"
    assert sheet.stat().st_size > 50_000
