"""``doctor --metrics``: stored pairs give stored numbers, and of what drifts the metric and its part are named."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from spf_bench.doctor.findings import State
from spf_bench.doctor.numbers import check, pairs, remake, stored
from spf_bench.doctor.numbers.check import numbers_findings
from spf_bench.doctor.numbers.prints import apart, entering, fingerprint, mixed
from spf_bench.doctor.numbers.stored import Stored
from spf_bench.doctor.numbers.subjects import PAPER, WORLD, subjects
from spf_bench.errors import UserError
from spf_bench.metrics import clip_encoder, pixel
from spf_bench.metrics.clip_i import ClipI

KNOWN = Stored.load()
OLDER = replace(KNOWN, packages={**KNOWN.packages, "pillow": "1.0", "torch": "0.4"})


def one(key: str, suite: str = "paper", known: Stored = KNOWN):
    (found,) = numbers_findings(suite, [key], known)
    return found


def test_the_shipped_weights_give_the_stored_numbers() -> None:
    found = {finding.subject: finding for finding in numbers_findings("world")}
    assert tuple(found) == WORLD
    assert {f.state for f in found.values()} == {State.ok}, [f.detail for f in found.values()]
    assert "torch-fidelity" in found["fid"].detail and "8 pairs" in found["lpips"].detail


@pytest.mark.parametrize("key", ["lpips", "ssim", "clip_t", "structure", "mps", "image_reward"])
def test_the_published_code_in_miniature_gives_the_stored_numbers(key: str) -> None:
    assert one(key).state is State.ok, one(key).detail


def test_every_metric_has_numbers_with_their_source_and_version() -> None:
    assert set(KNOWN.metrics) == {*(f"world/{key}" for key in WORLD), *(f"paper/{row[0]}" for row in PAPER)}
    assert {network for known in KNOWN.metrics.values() for network in known.networks} == set(KNOWN.networks)
    for name, known in KNOWN.metrics.items():
        assert set(known.sources) == set(known.values), name
        size = next(s.size for s in subjects(name.split("/")[0]) if s.key == name.split("/")[1])
        n = len(pairs.load(size).triples)
        assert {len(column) for column in known.values.values()} <= {1, n}, name
    sources = {source for known in KNOWN.metrics.values() for source in known.sources.values()}
    for package in ("torch-fidelity", "lpips", "clean-fid", "open_clip_torch", "insightface", "segment-anything"):
        assert any(source.startswith(f"{package} ") or f"and {package} " in source for source in sources), package


def coarse(self: clip_encoder.Preprocess, image: np.ndarray) -> np.ndarray:
    return np.asarray(PILImage.fromarray(image).resize((self.size, self.size), PILImage.Resampling.BILINEAR))


def test_another_resize_is_named_with_the_package_that_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_encoder.Preprocess, "_fit", coarse)
    found = one("clip_i", known=OLDER)
    assert "drifted in the resize: pixels before clip_224 are off by" in found.detail
    assert "pillow 1.0 was stored" in found.detail and found.fix == "pip install pillow==1.0 torch==0.4"


def test_another_backbone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.models.clip.modeling_clip.CLIPMLP.forward", lambda self, x: torch.zeros_like(x))
    found = one("clip_i", known=OLDER)
    assert found.state is State.blocks and "drifted in the backbone: image of clip_224 is off by" in found.detail
    assert "clip_i of pair 0 is" in found.detail and "(transformers 5" in found.detail
    assert found.fix == "pip install torch==0.4"


def test_other_tokens_are_named() -> None:
    networks = dict(KNOWN.networks)
    seen = networks["paper/clip_224"]
    networks["paper/clip_224"] = replace(seen, tokens=[*seen.tokens[:-1], 7])
    assert (
        "drifted in the tokens: texts have other ids in clip_224"
        in one("clip_t", known=replace(KNOWN, networks=networks)).detail
    )


def test_another_distance_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel, "SIGMA", 2.5)
    found = one("ssim", known=replace(KNOWN, packages=check.versions()))
    assert found.state is State.blocks and "drifted in the distance" in found.detail
    assert "stored 0.95533 (torchmetrics" in found.detail and "no package has changed" in found.detail


def test_other_weights_are_named_before_all_else() -> None:
    networks = KNOWN.networks | {"world/judge_clip": replace(KNOWN.networks["world/judge_clip"], weights="0" * 64)}
    found = one("clip_i", "world", replace(KNOWN, networks=networks))
    assert found.state is State.note and "drifted in the weights: judge_clip has sha256" in found.detail
    assert "values still lie within" in found.detail


def test_what_was_not_measured_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KNOWN.metrics["paper/psnr"].values["psnr"][0] is None  # equal images have no finite ratio
    whole = ClipI.score
    monkeypatch.setattr(ClipI, "score", lambda self, b: {k: v * torch.nan for k, v in whole(self, b).items()})
    assert "clip_i of pair 0 is not measured, stored 0.96242" in one("clip_i").detail
    monkeypatch.setattr(ClipI, "score", lambda self, b: {k: v * 0 for k, v in whole(self, b).items()})
    assert "clip_i of pair 0 is 0, stored 0.96242" in one("clip_i").detail


def test_a_package_that_is_missing_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    found = [*numbers_findings("paper", ["hps", "ssim"])]
    assert [f.state for f in found] == [State.note if f.subject == "hps" else State.ok for f in found]
    hps = next(f for f in found if f.subject == "hps")
    assert "cannot be measured here" in hps.detail and "pip install '.[paper]'" in hps.fix


def test_prints_see_changes_and_count_what_is_no_number() -> None:
    tensor = torch.linspace(-1, 1, 999).reshape(3, 333)
    same, other = fingerprint(tensor), fingerprint(tensor * 1.01)
    assert apart(same, fingerprint(tensor.flatten())) == 0 and apart(other, same) > 5e-3
    holes = torch.where(torch.arange(999).reshape(3, 333) == 4, torch.nan, tensor)
    assert fingerprint(holes)[0] == 1 and math.isinf(apart(fingerprint(holes), same))
    assert [hex(int(x)) for x in mixed(0, 2)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]  # SplitMix64's own


def test_what_enters_a_network_is_seen_once_for_every_image() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1))
    with entering() as seen:
        for _ in range(2):
            network(torch.zeros(1, 3, 4, 4))
    assert [tuple(image.shape) for image in seen] == [(1, 3, 4, 4)] * 2


def test_the_pairs_are_drawn_as_stored(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {size: pairs.load(size) for size in (pairs.SMALL, pairs.LARGE)}
    texts = json.loads(pairs.TEXTS.read_text())
    monkeypatch.setattr(pairs, "HERE", tmp_path)
    monkeypatch.setattr(pairs, "TEXTS", tmp_path / "pairs.json")
    pairs.make()
    assert json.loads(pairs.TEXTS.read_text()) == texts
    for size, known in before.items():
        again = pairs.load(size)
        assert again.triples == known.triples
        gap = np.abs(np.stack(again.customs).astype(int) - np.stack(known.customs))
        assert gap.mean() < 0.5  # levels: a renderer may round edges otherwise
    assert np.array_equal(before[64].originals[0], before[64].customs[0])


@pytest.mark.parametrize("key", ["lpips", "structure", "clip_open"])
def test_the_authors_code_still_gives_what_is_stored(key: str) -> None:
    for module in ("insightface", "lpips", "torch_fidelity", "timm", "open_clip", "torchvision"):
        pytest.importorskip(module, reason="the crosscheck extra is not installed", exc_type=Exception)
    subject = next(s for s in subjects("paper") if s.key == key)
    for told in remake.authors_of(subject):
        known = KNOWN.metrics[f"paper/{key}"].values[told.column]
        assert not remake.differing(subject, {told.column: known}, [told])


def test_numbers_that_differ_from_the_authors_are_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = remake.Theirs("ssim", [0.5] * 8, "somebody 1.0")
    monkeypatch.setattr(remake, "authors_of", lambda subject: [theirs])
    with pytest.raises(UserError, match="nothing was stored") as caught:
        remake.remake(["ssim"], ["paper"])
    assert "paper/ssim" in caught.value.problems[0].subject and "somebody 1.0" in caught.value.problems[0].why


def test_the_command(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "subjects", lambda suite: [s for s in subjects(suite) if s.key == "ssim"])
    done = cli("doctor", "--metrics", "--suite", "paper")
    assert done.exit_code == 0 and "torchmetrics" in done.output
    monkeypatch.setattr(pixel, "SIGMA", 2.5)
    done = cli("doctor", "--metrics", "--suite", "paper")
    assert done.exit_code == 1 and "blocks" in done.output and "drifted in the distance" in done.output
    done = cli("doctor", "--metrics", "--suite", "papier")
    assert done.exit_code == 2 and "no suite is called 'papier'" in done.output
    assert KNOWN.command == stored.COMMAND
