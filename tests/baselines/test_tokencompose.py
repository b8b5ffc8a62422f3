"""TokenCompose on a UNet: attention with gradients, grounding, counts, and where masks come from."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.tokencompose.attention import AttentionRecorder, resolutions
from baselines.tokencompose.grounding import Grounding, ground
from baselines.tokencompose.losses import pixel_loss, token_loss
from baselines.tokencompose.method import TokenCompose
from baselines.tokencompose.providers import FaceParser, MaskFolder, spoken
from baselines.tokencompose.regions import Mask, shrink
from baselines.tokencompose.stage import GroundedStage
from baselines.tokencompose.world import WorldMasks
from spf_bench.errors import UserError
from spf_bench.suite import TrainSample, WorldSuite, get_suite
from spf_bench.triple import Category
from spf_bench.world.portrait import mask
from spf_train.config import StageConfig, TrainConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.stages import NaiveStage
from spf_train.tap import CrossAttentionTap
from spf_train.train import load_stage1
from tests.tiny import tiny_tokenizer, tiny_unet

BASE = "a man with dark skin, short red hair"


def sample(id: str, target: str = "wearing sunglasses", base: str = BASE) -> TrainSample:
    return TrainSample(id, np.zeros((64, 64, 3), np.uint8), base, target, Category.accessories)


class Halves:
    """Hair is in the upper half, a man everywhere; skin is not shown, sunglasses are cut off."""

    facts: dict[str, Any] = {}  # noqa: RUF012

    def __call__(self, sample: TrainSample, size: int) -> dict[str, Mask | None]:
        upper = np.zeros((size, size), np.float32)
        upper[: size // 2] = 1
        found: dict[str, Mask | None] = {"hair": upper, "man": np.ones_like(upper), "skin": None}
        return {} if sample.id == "none" else found | {"sunglasses": np.zeros_like(upper), "horse": upper}


def grounded(*ids: str) -> tuple[Grounding, dict[str, Any]]:
    return ground([sample(id) for id in ids], Halves(), tiny_tokenizer(), 64, {8, 16})


@pytest.fixture(scope="module")
def made(pipe_dir: Path) -> tuple[GroundedStage, Prepared]:
    samples = [Sample(np.full((64, 64, 3), 60 * i, np.uint8), BASE, "wearing sunglasses") for i in range(3)]
    naive, prepared = load_stage1(pipe_dir, samples, TrainConfig(stage1=StageConfig(steps=1)))
    return GroundedStage(naive.unet, naive.diffusion, grounded("a", "none", "b")[0], 1e-3, 5e-5), prepared


def draw(prepared: Prepared, dropout: float = 0.0) -> Batch:
    return prepared.batch(torch.arange(3), torch.Generator().manual_seed(0), 1000, dropout)


def test_recorded_attention_is_the_taps_and_the_output_is_the_same() -> None:
    x, text = torch.randn(2, 4, 16, 16), torch.randn(2, 40, 32)
    plain = tiny_unet().eval()
    with torch.no_grad(), CrossAttentionTap(plain) as tap:
        expected = plain(x, 10, text).sample
    unet = tiny_unet().eval()
    recorder = AttentionRecorder(unet)
    with torch.no_grad(), recorder.recording() as groups:
        found = unet(x, 10, text).sample
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert {name: len(maps) for name, maps in groups.items()} == {"mid_8": 1, "up_8": 2, "up_16": 2}
    assert {int(name.split("_")[1]) for name in groups} == resolutions(unet.config)
    names = [name for name in tap.attention if name.startswith(("up", "mid"))]
    layer = dict(zip(tap.attention, tap.layers, strict=True))[names[-1] if "mid" in names[0] else names[0]]
    by_hand = (layer.query @ layer.key.transpose(-1, -2) / layer.query.shape[-1] ** 0.5).softmax(dim=-1)
    assert any(
        by_hand.shape == m.flatten(2, 3).shape and torch.allclose(by_hand, m.flatten(2, 3), atol=1e-5)
        for maps in groups.values()
        for m in maps
    )
    with torch.no_grad():
        unet(x, 10, text)
    assert not recorder.groups


def test_sd15_has_the_originals_groups() -> None:
    config = json.loads((Path(__file__).parents[2] / "spf_train/configs/sd15/unet/config.json").read_text())
    assert resolutions(config) == {8, 16, 32, 64}


def test_the_loss_is_its_terms_summed_over_groups(made: tuple[GroundedStage, Prepared]) -> None:
    stage, prepared = made
    batch = draw(prepared)
    loss, terms = stage.loss(batch)
    torch.testing.assert_close(loss, terms["diff"] + 1e-3 * terms["token"] + 5e-5 * terms["pixel"])
    naive, _ = NaiveStage(stage.unet, stage.diffusion, None).loss(batch)
    torch.testing.assert_close(terms["diff"], naive)
    x_t = stage.diffusion.add_noise(batch.x0, batch.eps, batch.t)
    with stage.recorder.recording() as groups:
        stage.predict(batch, x_t)
    tokens, regions = stage.grounding.at(batch.index)
    token = sum(token_loss(maps, tokens, regions[int(name.split("_")[1])]) for name, maps in groups.items())
    pixel = sum(pixel_loss(maps, tokens, regions[int(name.split("_")[1])]) for name, maps in groups.items())
    assert isinstance(token, torch.Tensor) and isinstance(pixel, torch.Tensor)
    torch.testing.assert_close(terms["token"], token.mean())
    torch.testing.assert_close(terms["pixel"], pixel.mean())
    assert token[1] == pixel[1] == 0 and token[0] > 0


def test_parts_of_a_batch_average_to_the_whole(made: tuple[GroundedStage, Prepared]) -> None:
    stage, prepared = made
    batch = draw(prepared)
    parts = [stage.loss(part)[0] * len(part) / 3 for part in batch.split(2)]
    torch.testing.assert_close(torch.stack(parts).sum(), stage.loss(batch)[0])


def test_dropped_captions_are_not_grounded(made: tuple[GroundedStage, Prepared]) -> None:
    stage, prepared = made
    loss, terms = stage.loss(draw(prepared, dropout=1.0))
    assert terms["token"] == terms["pixel"] == 0 and loss == terms["diff"]


def test_checkpointing_gives_the_same_gradients(made: tuple[GroundedStage, Prepared]) -> None:
    stage, prepared = made
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            stage.unet.enable_gradient_checkpointing()
        weighted = GroundedStage(stage.unet, stage.diffusion, stage.grounding, 1.0, 1.0)
        stage.unet.zero_grad()
        weighted.loss(draw(prepared))[0].backward()
        found.append({name: w.grad.clone() for name, w in stage.unet.named_parameters() if w.grad is not None})
    stage.unet.disable_gradient_checkpointing()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient)


def test_maps_without_gradients_are_refused(made: tuple[GroundedStage, Prepared]) -> None:
    stage, prepared = made
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        stage.grounding_losses(draw(prepared), {"mid_8": [torch.full((3, 2, 8, 8, 40), 1 / 40)]})


def test_what_could_not_be_grounded_is_counted(tmp_path: Path) -> None:
    found, facts = grounded("a", "none", "b")
    assert facts["grounded"] == 4 and facts["no_mask"] == 2 and facts["empty"] == 2 and facts["no_tokens"] == 2
    assert facts["samples_without"] == 1 and facts["empty_at"] == {"8": 0.0, "16": 0.0}
    tokens, regions = found.at(torch.tensor([2, 1]))
    assert tokens.shape == (2, 2, 40) and tokens[1].sum() == 0
    ids = tiny_tokenizer()(f"{BASE}, wearing sunglasses")["input_ids"]
    spelt = tiny_tokenizer().decode([ids[i] for i in tokens[0, 0].nonzero().flatten()])
    assert spelt.strip() == "hair"
    assert regions[8][0, 0, :4].all() and not regions[8][0, 0, 4:].any() and regions[16][0, 1].all()
    found.save(tmp_path)
    again, more = Grounding.load(tmp_path).at(torch.tensor([2, 1]))
    assert torch.equal(again, tokens) and all(torch.equal(more[side], regions[side]) for side in regions)


def test_no_more_than_one_samples_masks_are_held() -> None:
    class Watched(Halves):
        alive: list[weakref.ref[Mask]] = []  # noqa: RUF012

        def __call__(self, sample: TrainSample, size: int) -> dict[str, Mask | None]:
            assert sum(one() is not None for one in self.alive) <= 3
            found = super().__call__(sample, size)
            self.alive += [weakref.ref(mask) for mask in found.values() if mask is not None][:3]
            return found

    ground([sample(str(i)) for i in range(4)], Watched(), tiny_tokenizer(), 64, {8, 16})
    assert len(Watched.alive) == 12
    nothing, facts = ground([], Watched(), tiny_tokenizer(), 64, {8})
    assert facts["grounded"] == 0 and nothing.bits[8].shape == (0, 1, 8)


def test_masks_that_vanish_at_a_resolution_are_told() -> None:
    class Dot(Halves):
        def __call__(self, sample: TrainSample, size: int) -> dict[str, Mask | None]:
            dot = np.zeros((size, size), np.float32)
            dot[3, 3] = 1  # at the centre of no cell of 8 pixels, but of one of 4 or 2
            return {"hair": dot}

    _, facts = ground([sample("a")], Dot(), tiny_tokenizer(), 64, {8, 32})
    assert facts["empty_at"] == {"8": 0.0, "32": 0.0}
    _, coarse = ground([sample("a")], Dot(), tiny_tokenizer(), 64, {2})
    assert coarse["empty_at"] == {"2": 1.0}
    _, smooth = ground([sample("a")], Dot(), tiny_tokenizer(), 64, {2}, antialias=True)
    assert smooth["empty_at"] == {"2": 0.0}


def test_nouns_are_whole_words_and_the_longest_that_fit() -> None:
    nouns = ["man", "hat", "winter hat", "glasses", "sunglasses", "t-shirt", "shirt"]
    caption = "a woman in a T-shirt, wearing a red winter hat, wearing sunglasses"
    assert spoken(caption, nouns) == ["t-shirt", "winter hat", "sunglasses"]


def test_the_world_knows_where_its_nouns_are() -> None:
    provider, portraits = WorldMasks(3, 4), WorldSuite().trainset(3, 4)
    for training in portraits:
        found, portrait = provider(training, 64), provider.portraits[training.id]
        assert {"skin", portrait.subject} <= found.keys() and all(one is not None for one in found.values())
        skin, person = found["skin"], found[portrait.subject]
        assert skin is not None and person is not None
        assert np.array_equal(skin > 0, mask(portrait, "skin"))
        assert np.array_equal(person > 0, ~mask(portrait, "background"))
    assert "smiling" not in provider(portraits[0], 64)
    words = WorldMasks(3, 4, face_words=True)
    smiling = next(one for one in portraits if "smiling" in one.base)
    face = words(smiling, 64)["smiling"]
    assert face is not None and 0.1 < face.mean() < 0.6


def test_every_target_of_the_world_has_a_noun() -> None:
    from baselines.tokencompose.world import GOVERNED
    from spf_bench.world.targets import TARGETS

    assert all(spoken(target.phrase, GOVERNED) for target in TARGETS.values())


def test_a_single_file_is_refused_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, method = get_suite("world"), TokenCompose()
    method.preflight(suite, suite.preset("default"))
    file = tmp_path / "model.safetensors"
    file.touch()
    monkeypatch.setattr(type(suite), "pipeline", file)
    with pytest.raises(UserError, match=r"cannot start from .*model\.safetensors"):
        method.preflight(suite, suite.preset("default"))


def test_a_folder_of_masks_is_read_by_its_index(tmp_path: Path) -> None:
    half = np.zeros((64, 64), np.uint8)
    half[:32] = 200
    Image.fromarray(half).save(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"id": "a", "attn_list": [["hair", "a.png"], ["hat", None]]}))
    provider = MaskFolder(tmp_path)
    found = provider(sample("a"), 64)
    hair = found["hair"]
    assert hair is not None and np.array_equal(hair, (half > 0).astype(np.float32)) and found["hat"] is None
    assert provider(sample("b"), 64) == {} and provider.facts["provider"] == "folder"


@pytest.mark.parametrize("own", [None, ["nothing", "hair", "skin"]])
def test_label_maps_of_any_face_parser(tmp_path: Path, own: list[str] | None) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:20], labels[20:] = (1, 2) if own else (13, 1)
    Image.fromarray(labels).save(tmp_path / "a.png")
    if own:
        (tmp_path / "labels.json").write_text(json.dumps(own))
    found = FaceParser(tmp_path)(sample("a"), 64)
    hair, glasses, skin = found["hair"], found["sunglasses"], found["skin"]
    assert hair is not None and glasses is not None and skin is not None
    assert hair[:20].all() and not hair[20:].any() and skin[20:].all() and not glasses.any()
    assert set(FaceParser(tmp_path)(sample("b"), 64).values()) == {None}
    assert FaceParser(tmp_path, face_words=True)(sample("a", "smiling"), 64)["smiling"] is not None


def test_half_masks_shrink_to_half_the_cells() -> None:
    half = torch.zeros(1, 64, 64)
    half[:, :32] = 1
    assert shrink(half, 16).float().mean() == 0.5
