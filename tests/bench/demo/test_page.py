"""The demo's page in headless Chromium: it draws, refuses, and asks nobody but its own server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from spf_bench.demo.studio import Studio
from spf_bench.errors import UserError
from spf_bench.overlays import Grid, Strip
from tests.bench.conftest import BASE, make_triples

pytest.importorskip("gradio", reason="gradio is not installed")
api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from spf_bench.demo.page import build, serve  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SLOW = 60_000  # milliseconds: a laden machine


@pytest.fixture
def served(studio: Studio) -> Iterator[str]:
    """The address of a page whose portraits have maps."""
    grid = Grid("demo", "sfcm", "a <b> title", [Strip("soft map", [np.zeros((8, 8, 3), np.uint8)], ("t = 1",))])
    studio.looks = {"any": lambda sight: grid}
    page = build(studio, "miniature", make_triples(3))
    yield serve(page, "127.0.0.1", None, block=False)
    page.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page(served: str) -> None:
    wrong: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        here = browser.new_page(viewport={"width": 390, "height": 900})
        here.set_default_timeout(SLOW)
        here.on("pageerror", lambda error: wrong.append(str(error)))
        here.on("request", lambda r: None if r.url.startswith((served, "data:", "blob:")) else wrong.append(r.url))
        here.goto(served)
        assert here.get_by_label("Base text").input_value() == BASE
        here.get_by_label("Target text").fill("with a <i>beard</i>")
        here.get_by_label("Show where they look").check()
        here.get_by_role("button", name="Draw").click()
        here.locator(".maps img").wait_for()
        assert here.locator("#portraits .thumbnail-item img, #portraits .grid-wrap img").count() == 2
        assert "Original portrait" in here.locator("#portraits").inner_text()
        assert here.locator(".maps caption").inner_text() == "a <b> title"
        assert here.evaluate("document.documentElement.scrollWidth <= innerWidth")

        here.get_by_label("Base text").fill("<b>wide</b>, " * 30)
        here.get_by_role("button", name="Draw").click()
        here.get_by_text("shorten it").wait_for()
        assert "<b>wide</b>" in here.locator(".toast-body").inner_text()

        here.get_by_role("button", name="Another test case").click()
        here.wait_for_function(f"[...document.querySelectorAll('textarea')].some((box) => box.value === {BASE!r})")
        browser.close()
    assert wrong == []


def test_a_taken_address_is_told(served: str, studio: Studio) -> None:
    page = build(studio, "miniature", make_triples(1))
    with pytest.raises(UserError, match="cannot listen"):
        serve(page, "127.0.0.1", int(served.rstrip("/").rpartition(":")[2]), block=False)
