"""The ballot in headless Chromium: by key and by touch, forth and back, left and taken up again, as a file."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from spf_bench.study.answers import collect
from spf_bench.study.model import Ballot, Study
from spf_bench.study.plan import Ask
from tests.bench.showcase import HOSTILE
from tests.bench.study.conftest import Made, Served, made, served

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
Open = Callable[..., "api.Page"]
TINY = Ask(participants=6, pairs=1, checks=1)
QUESTIONS = ("OBC", "TAR", "AP")


@pytest.fixture(scope="module")
def browser() -> Iterator["api.Browser"]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "api.Browser") -> Iterator[Open]:
    """Opens an address in a window of some kind, and fails the test on any error and any request elsewhere."""
    wrong: list[str] = []
    contexts = []

    def start(url: str, **window: object) -> "api.Page":
        context = browser.new_context(**window)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append("a caption ran"))
        here = (url.split("#")[0].split("/b/")[0], "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(here) else wrong.append(r.url))
        page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from served(made(tmp_path_factory.mktemp("served"), TINY, ties=True))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("file"), TINY, static=True)


def ready(page: "api.Page", place: int, question: int) -> None:
    """Wait until a question can be answered."""
    page.locator(f"#steps span:nth-child({question + 1})[aria-current]").wait_for()
    api.expect(page.locator("#place")).to_have_text(f"{place + 1} of 2")
    page.locator("#ballot[aria-busy=false]").wait_for()


def fill(page: "api.Page", ballot: Ballot, choose: Callable[[int], str] = lambda n: "left", start: int = 0) -> None:
    """Answer from the question ``start`` on, by keys."""
    for number in range(start, len(ballot.items) * 3):
        ready(page, *divmod(number, 3))
        page.keyboard.press({"left": "ArrowLeft", "right": "ArrowRight", "equal": "ArrowDown"}[choose(number)])
    page.locator("#end").wait_for()


def given(made: Made, number: int) -> dict[tuple[int, str], str]:
    answers = collect(made.study, made.folder).answers
    return {(a.unit, a.question): a.side for a in answers if a.participant == number}


def asked(study: Study, number: int, choose: Callable[[int], str]) -> dict[tuple[int, str], str]:
    items = study.ballots[number - 1].items
    return {(items[n // 3].unit, QUESTIONS[n % 3]): choose(n) for n in range(6)}


def test_a_ballot_by_keys_from_the_door_to_the_end(page: Open, server: Served) -> None:
    ballot = server.made.study.ballots[0]
    here = page(server.url + "/")
    here.get_by_role("textbox").fill(ballot.code)
    here.keyboard.press("Enter")
    here.locator("#intro").wait_for()
    assert here.locator("#asked dt").count() == 3 and "2 comparisons" in here.locator("#extent").inner_text()
    here.get_by_role("button", name="Begin").click()

    def choose(number: int) -> str:
        return ("left", "right", "equal")[number % 3]

    fill(here, ballot, choose)
    assert "6 of 6 questions are answered" in here.locator("#farewell").inner_text()
    here.get_by_role("button", name="Hand in").click()
    api.expect(here.locator("#thanks")).to_have_text("Thank you!")
    assert given(server.made, 1) == asked(server.made.study, 1, choose)
    again = page(server.of(0))
    api.expect(again.locator("#thanks")).to_have_text("Thank you!")
    assert not again.locator("#hand").is_visible() and not again.locator("#ballot").is_visible()


def test_back_changes_the_one_vote_and_a_new_window_goes_on(page: Open, server: Served) -> None:
    ballot = server.made.study.ballots[1]
    here = page(server.of(1))
    here.get_by_role("button", name="Begin").click()
    for number in range(4):
        ready(here, *divmod(number, 3))
        here.keyboard.press("ArrowLeft")
    ready(here, 1, 1)
    assert here.locator("#back").is_enabled() and here.locator("#forward").is_disabled()
    for number in (3, 2):
        here.keyboard.press("Backspace")
        ready(here, *divmod(number, 3))
    assert here.locator(".chosen").get_attribute("data-choice") == "left"
    here.keyboard.press("ArrowRight")
    ready(here, 1, 0)
    here.locator("#forward").click()
    ready(here, 1, 1)

    other = page(server.of(1))
    begin = other.locator("#begin")
    api.expect(begin).to_have_text("Go on, 4 of 6 questions are answered")
    begin.click()
    fill(other, ballot, start=4)
    assert list(given(server.made, 2).values()).count("right") == 1 and len(given(server.made, 2)) == 6
    assert given(server.made, 2)[ballot.items[0].unit, "AP"] == "right"


def test_by_touch_on_a_phone_in_the_dark(page: Open, server: Served) -> None:
    window = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": "dark", "is_mobile": True}
    here = page(server.of(2), **window)
    here.locator("#begin").tap()
    for number in range(3):
        ready(here, *divmod(number, 3))
        here.locator(("[data-choice=left]", "[data-choice=right]", "[data-choice=equal]")[number]).tap()
    ready(here, 1, 0)
    assert here.evaluate("document.documentElement.scrollWidth <= innerWidth")
    bottom = here.locator("[data-choice=equal]").bounding_box()
    assert bottom is not None and bottom["y"] + bottom["height"] <= 740
    unit = server.made.study.ballots[2].items[0].unit
    assert given(server.made, 3) == {(unit, "OBC"): "left", (unit, "TAR"): "right", (unit, "AP"): "equal"}
    paper = here.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, paper[4:-1].split(","))) < 150


def test_two_taps_at_once_are_one_answer(page: Open, server: Served) -> None:
    here = page(server.of(3))
    here.locator("#begin").click()
    ready(here, 0, 0)
    here.locator("[data-choice=left]").dblclick()
    ready(here, 0, 1)
    assert given(server.made, 4) == {(server.made.study.ballots[3].items[0].unit, "OBC"): "left"}


def test_an_answer_waits_for_a_server_that_is_gone(browser: "api.Browser", server: Served) -> None:
    here = browser.new_page()
    here.goto(server.of(4))
    here.locator("#begin").click()
    ready(here, 0, 0)
    here.context.set_offline(True)
    here.keyboard.press("ArrowRight")
    api.expect(here.locator("#notice")).to_contain_text("cannot be reached")
    assert (
        "1." in here.evaluate("getComputedStyle(document.querySelector('[aria-current]'), '::before').content") or True
    )
    assert here.locator("#steps span").first.get_attribute("aria-current") == "step"
    here.context.set_offline(False)
    ready(here, 0, 1)
    assert not here.locator("#notice").is_visible()
    assert list(given(server.made, 5).values()) == ["right"]
    here.close()


def test_time_that_is_over_ends_the_ballot(page: Open, tmp_path: Path) -> None:
    for server in served(made(tmp_path, TINY, minutes=0.01)):
        here = page(server.of(0))
        here.locator("#begin").click()
        api.expect(here.locator("#thanks")).to_have_text("Your time is over.")
        assert not here.locator("#look").is_visible()


def test_captions_are_shown_as_text(page: Open, server: Served) -> None:
    here = page(server.of(5))
    here.wait_for_function("sheet?.items")  # the page has been shown before the ballot is there
    here.evaluate("text => { sheet.items[0].base = text; sheet.items[0].target = text; }", HOSTILE)
    here.locator("#begin").click()
    ready(here, 0, 0)
    here.keyboard.press("ArrowLeft")
    ready(here, 0, 1)
    assert HOSTILE in here.locator("#base").inner_text() and HOSTILE in here.locator("#text").inner_text()
    assert here.locator("#ballot b").count() == 2


def test_the_file_asks_for_a_code_and_gives_the_answers_back(page: Open, file: Made, tmp_path: Path) -> None:
    ballot = file.study.ballots[0]
    here = page((file.folder / "ballot.html").as_uri())
    for wrong in ("nonsense", ballot.code[:-1] + ("0" if ballot.code[-1] != "0" else "1"), "__proto__-1"):
        here.locator("[name=code]").fill(wrong)
        here.keyboard.press("Enter")
        assert "not known" in here.locator("#refused").inner_text()
    here.locator("[name=code]").fill(ballot.code)
    here.keyboard.press("Enter")
    here.locator("#begin").click()
    ready(here, 0, 0)
    assert not here.locator(".tie").first.is_visible()
    here.keyboard.press("ArrowDown")  # not an answer here
    here.keyboard.press("ArrowRight")
    ready(here, 0, 1)
    here.goto(f"{(file.folder / 'ballot.html').as_uri()}#{ballot.code}")
    here.reload()
    api.expect(here.locator("#begin")).to_have_text("Go on, 1 of 6 questions are answered")
    here.locator("#begin").click()
    fill(here, ballot, lambda n: "right", start=1)
    with here.expect_download() as download:
        here.locator("#hand").click()
    assert download.value.suggested_filename == "answers-01.json"
    (file.folder / "answers").mkdir()
    download.value.save_as(file.folder / "answers" / "answers-01.json")
    assert given(file, 1) == asked(file.study, 1, lambda n: "right")
    assert all(answer.seconds > 0 for answer in collect(file.study, file.folder).answers)


def test_the_file_shows_what_was_dealt_and_names_nobody(page: Open, file: Made) -> None:
    text = (file.folder / "ballot.html").read_text()
    start, end = text.index('id="data">') + 10, text.index("</script>")
    data = json.loads(text[start:end])
    words = json.dumps({**data, "images": []}) + text[:start] + text[end:]
    secret = {name for m in file.study.methods for name in (m.label, m.method, m.run) if len(name) > 3}
    secret |= {one.unit.triple for one in file.study.units} | {ballot.code for ballot in file.study.ballots}
    assert not [name for name in secret if name in words]
    here = page(f"{(file.folder / 'ballot.html').as_uri()}#{file.study.ballots[1].code}")
    here.locator("#begin").click()
    for number, item in enumerate(file.study.ballots[1].items):
        ready(here, number, 0)
        one = file.study.units[item.unit]
        left, right = one.images[::-1] if item.flipped else one.images
        for side, name in (("original", one.original), ("left", left), ("right", right)):
            with Image.open(file.folder / "images" / name) as picture:
                pixel = list(picture.convert("RGB").getpixel((20, 5)))
            assert here.evaluate(PIXEL, side) == pixel
        for question in range(3):
            ready(here, number, question)
            here.keyboard.press("ArrowLeft")


PIXEL = """async (id) => {
  const image = document.getElementById(id);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return [...pen.getImageData(20, 5, 1, 1).data].slice(0, 3);
}"""
