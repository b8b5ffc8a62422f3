"""The page in headless Chromium: it sorts, filters, zooms, prints, works by keyboard, and logs no error."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spf_bench.report import write
from spf_bench.table.model import collect
from tests.bench.showcase import HOSTILE, put_log, put_maps, show

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
Open = Callable[..., "api.Page"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("show")
    runs, frozen = show(root)
    put_log(runs)
    put_maps(runs)
    return write(collect(runs), root / "report.html", str(frozen.folder)).path


@pytest.fixture(scope="module")
def browser() -> Iterator["api.Browser"]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "api.Browser", report: Path) -> Iterator[Open]:
    """Opens the page in a window of some kind, and fails the test on any error or request."""
    wrong: list[str] = []
    contexts = []

    def start(**window: object) -> "api.Page":
        context = browser.new_context(**window)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append("a caption ran"))
        asked = ("file:", "data:")
        page.on("request", lambda r: None if r.url.startswith(asked) else wrong.append(r.url))
        page.goto(report.as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert wrong == []


def order(page: "api.Page") -> list[str]:
    rows = page.locator("#leaderboard table.board tbody tr th")
    return [text.removesuffix(" over-aligned").removesuffix(" reference") for text in rows.all_inner_texts()]


def test_columns_sort(page: Open) -> None:
    here = page()
    made = order(here)
    lpips = here.locator("#leaderboard th", has_text="LPIPS").first
    lpips.locator("button").click()
    assert order(here) == ["Original portrait", "Frozen", "Prompt only", "SPF", "Naive fine-tuning"]
    assert lpips.get_attribute("aria-sort") == "ascending"  # the least LPIPS is the best
    lpips.locator("button").press("Enter")
    assert order(here)[0] == "Naive fine-tuning" and lpips.get_attribute("aria-sort") == "descending"
    lpips.locator("button").press("Space")
    assert order(here) == made and lpips.get_attribute("aria-sort") is None
    here.locator("#leaderboard th", has_text="CLIP-T").first.locator("button").click()
    assert order(here)[0] == "Naive fine-tuning"


def test_captions_are_shown_as_text(page: Open) -> None:
    here = page()
    assert HOSTILE in here.locator("#cases h3").first.inner_text()
    assert here.locator("#cases h3 img, #cases h3 b, #opposed h3 img").count() == 0


def test_portraits_are_filtered_and_turned(page: Open) -> None:
    here = page()
    assert here.locator("#cases .case").count() == 12 and here.locator("#found").inner_text() == "14 triples"
    here.get_by_role("button", name="Next").click()
    assert here.locator("#cases .case").count() == 2 and here.locator("#place").inner_text() == "2 of 2"
    here.keyboard.press("/")
    here.keyboard.type("number 3 BLUEPRINT")
    assert here.locator("#cases .case").count() == 0
    here.locator("#filter [name=text]").fill("sunglasses")
    assert here.locator("#found").inner_text() == "3 triples"
    here.locator("#filter [name=category]").select_option(label="accessories")
    assert here.locator("#found").inner_text() == "1 triple"
    assert "show-06" in here.locator("#cases .about").inner_text()
    shown = here.locator("#cases img").evaluate_all("all => all.every((image) => image.complete && image.naturalWidth)")
    assert shown and here.locator("#cases img").count() == 5


def test_zoom_by_keyboard(page: Open) -> None:
    here = page()
    first = here.locator("#cases .strip button").nth(1)
    first.focus()
    here.keyboard.press("Enter")
    names = here.locator("#zoom figcaption")
    assert names.all_inner_texts() == ["Original portrait", "Frozen"]
    here.keyboard.press("ArrowRight")
    right = names.nth(1).inner_text()
    assert right not in ("Frozen", "Original portrait")
    before = here.locator("#zoom-text").inner_text()
    here.keyboard.press("ArrowDown")
    assert here.locator("#zoom-text").inner_text() != before
    here.keyboard.press("f")
    assert names.nth(1).inner_text() == "Original portrait"
    here.keyboard.press("f")
    assert names.nth(1).inner_text() == right
    assert here.locator("#zoom-scores tr").count() == 3
    here.keyboard.press("Escape")
    assert not here.locator("#zoom").is_visible()
    assert first.evaluate("button => button === document.activeElement")


def test_disagreements_and_panels_follow_their_menus(page: Open) -> None:
    here = page()
    opposed = here.locator("#opposed .case")
    assert "show-00" in opposed.first.locator(".about").inner_text()
    assert "rho -" in opposed.first.locator(".about").inner_text()
    plot = here.locator("#tradeoff figure:visible")
    assert plot.get_attribute("data-key") == "clip_t|lpips"
    here.locator("[data-panels=plots]").select_option("clip_t|clip_i")
    assert plot.get_attribute("data-key") == "clip_t|clip_i" and plot.count() == 1
    assert here.locator("#maps img").first.is_visible()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_scheme(page: Open, width: int, scheme: str) -> None:
    here = page(color_scheme=scheme, viewport={"width": width, "height": 800})
    assert here.evaluate("document.documentElement.scrollWidth <= innerWidth")
    colours = here.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    ink, paper = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert (ink > paper) == (scheme == "dark") and abs(ink - paper) > 450
    here.locator("#theme").click()
    here.locator("#theme").click()
    assert here.evaluate("document.documentElement.style.colorScheme") == "dark"


def test_printed_all_is_there_and_no_controls(page: Open) -> None:
    here = page(color_scheme="dark")
    here.emulate_media(media="print")
    assert here.locator("#categories .board:visible").count() == 2
    assert not here.locator("#filter").is_visible() and not here.locator("header.top").is_visible()
    assert here.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert here.locator(".run dl").first.is_visible()
    assert here.pdf(prefer_css_page_size=True).startswith(b"%PDF")
