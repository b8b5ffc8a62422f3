"""The demo without its page: who is shown, what is drawn, what is refused."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.overlay import sfcm
from spf_bench.cli.demo import _private
from spf_bench.demo.cast import Cast
from spf_bench.demo.hook import GROUP, discover
from spf_bench.demo.maps import as_html
from spf_bench.demo.studio import Studio, triple_of
from spf_bench.errors import UserError
from spf_bench.models.backbone import Backbone
from spf_bench.overlays import Grid, Strip
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from tests.bench.conftest import BASE
from tests.conformance.conftest import Package, package  # noqa: F401

TARGET = "wearing sunglasses"


def test_portraits_are_those_of_a_run(studio: Studio, backbone: Backbone) -> None:
    drawn = studio.draw(BASE, f" {TARGET} ", 7, ["Prompt only"])
    assert [portrait.label for portrait in drawn.portraits] == ["Original portrait", "Prompt only"]
    noise = backbone.noise_for(triple_of(BASE, TARGET, 7))[None]
    for portrait, text in zip(drawn.portraits, (BASE, f"{BASE}, {TARGET}"), strict=True):
        assert np.array_equal(portrait.pixels, backbone.render(backbone.encode([text]), noise)[0].numpy())


def test_without_a_target_the_untouched_model_draws_the_original(studio: Studio) -> None:
    first, second = studio.draw(BASE, "", 7, ["Prompt only"], maps=True).portraits
    assert np.array_equal(first.pixels, second.pixels)


def test_all_that_cannot_be_drawn_is_named_at_once(studio: Studio) -> None:
    with pytest.raises(UserError) as caught:
        studio.draw(" ", "a\x00b", 2**31, [])
    assert [problem.subject for problem in caught.value.problems] == ["base text", "target text", "seed"]
    with pytest.raises(UserError, match="tokens"):
        studio.draw("a man, " * 50, TARGET, 1, [])
    with pytest.raises(UserError, match="nobody here"):
        studio.draw(BASE, TARGET, 1, ["<b>"])


def test_finished_runs_are_shown_with_their_weights(
    cast: Cast, planned: Callable[..., Run], backbone: Backbone
) -> None:
    run = planned("naive", limit=2)
    execute(run, Silent())
    execute(planned("original", limit=2), Silent())
    shown = Studio(backbone, cast.recorded(pytest.fail), {})
    assert list(shown.actors) == ["Prompt only", "Naive fine-tuning"]
    original, plain, naive = shown.draw(BASE, TARGET, 3, list(shown.actors)).portraits
    assert not np.array_equal(plain.pixels, naive.pixels)
    assert np.array_equal(shown.draw(BASE, TARGET, 3, []).portraits[0].pixels, original.pixels)  # and is left as it was

    shutil.rmtree(run.cache / "checkpoints")
    said: list[str] = []
    assert [actor.label for actor in cast.recorded(said.append)] == ["Prompt only"]
    assert "Naive fine-tuning" in said[0] and "no longer" in said[0]


def test_weights_of_any_folder(cast: Cast, backbone: Backbone, pipe_dir: Path, tmp_path: Path) -> None:
    changed = tmp_path / "mine" / "stage1" / "unet"
    shutil.copytree(pipe_dir / "unet", changed)
    net = type(backbone.unet).from_pretrained(changed)
    with torch.no_grad():
        net.conv_out.weight.mul_(2)
    net.save_pretrained(changed)
    words = [str(tmp_path / "mine"), str(changed), f"naive={tmp_path / 'mine'}", str(pipe_dir)]
    shown = Studio(backbone, [cast.given(word) for word in words], {})
    assert list(shown.actors)[:3] == ["mine", "unet", "Naive fine-tuning (mine)"]
    original, mine, unet, naive, whole = (p.pixels for p in shown.draw(BASE, "", 3, list(shown.actors)).portraits)
    assert np.array_equal(mine, unet) and np.array_equal(mine, naive) and not np.array_equal(mine, original)
    assert np.array_equal(whole, original)


def test_weights_that_do_not_fit_are_named_before_anything_is_shown(
    cast: Cast, backbone: Backbone, clip_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no such folder"):
        cast.given("spf=nowhere")
    with pytest.raises(UserError, match="no checkpoint of naive"):
        cast.given(f"naive={tmp_path}")
    with pytest.raises(UserError) as caught:
        Studio(backbone, [cast.given(str(clip_dir)), cast.given(str(tmp_path))], {})
    assert len(caught.value.problems) == 2
    assert backbone.unet is backbone.original_unet


def test_a_method_is_trained_where_it_is_not_yet(cast: Cast, backbone: Backbone) -> None:
    (actor,) = cast.asked(["spf", "original", "spf"], ["stage1.steps=1", "stage2.steps=1"], Silent())
    assert actor.label == "SPF" and (actor.checkpoint / "unet").is_dir()
    shown = Studio(backbone, [actor, actor], {"sfcm": sfcm, "none": lambda sight: None})
    assert list(shown.actors) == ["SPF", "SPF [2]"]
    drawn = shown.draw(BASE, TARGET, 3, ["SPF"], maps=True)
    ((label, grid),) = drawn.maps
    assert label == "SPF" and grid.title == f"{BASE}, {TARGET}"
    assert [strip.label for strip in grid.strips][:2] == ["portraits of the same noise", "soft map M"]
    for portrait, cell in zip(drawn.portraits, grid.strips[0].cells, strict=True):
        assert np.array_equal(portrait.pixels, cell)  # looking on changes nothing
    assert backbone.unet is backbone.original_unet


def test_texts_among_maps_are_texts() -> None:
    cells = [np.zeros((4, 4, 3), np.uint8)]
    html = as_html([("<i>", Grid("demo", "sfcm", "<script>", [Strip("<b>", cells, ("<u>",))]))])
    assert html.count("&lt;") == 4 and 'src="data:image/png;base64,' in html
    assert not any(tag in html for tag in ("<i>", "<script>", "<b>", "<u>"))


def test_a_broken_overlay_stops_nobody(package: Package) -> None:  # noqa: F811
    package("looks", "def see(sight): return None", {GROUP: {"seen": "looks:see", "torn": "looks:absent"}})
    found = discover()
    assert found.found["seen"] is not None and "absent" in found.broken["torn"]


def test_without_gradio_the_command_says_how_to_get_it(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = cli("demo", "--suite", "mini")
    assert done.exit_code == 2 and "pip install '.[demo]'" in done.stderr


@pytest.mark.parametrize(
    ("host", "private"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_who_can_reach_the_page(host: str, private: bool) -> None:
    assert _private(host) is private
