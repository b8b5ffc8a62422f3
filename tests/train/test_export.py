"""From samples to a pipeline others load: both stages, the folder, the single file, the card."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors import safe_open

from spf_train import ConfigError, Sample, StageConfig, TrainConfig
from spf_train.adapter import has_adapter
from spf_train.base_model import load_pipeline, load_unet
from spf_train.config import LogConfig
from spf_train.dataset import open_dataset
from spf_train.layout import is_sd1, to_single_file, unet_blocks, vae_blocks, write_single_file
from spf_train.model_card import Facts, StageFacts, model_card, stage_facts
from spf_train.single_file import load_single_file
from spf_train.train import train
from tests.tiny import tiny_pipeline, tiny_unet

LOG = LogConfig(tensorboard=False, validation_steps=1)
STAGE_1 = StageConfig(steps=3, batch=4, lr=1e-3, checkpoint_every=2)
STAGE_2 = StageConfig(steps=2, batch=2, lr=1e-3, trainable="cross_attention")
CONFIG = TrainConfig(STAGE_1, STAGE_2, log=LOG)


def states_equal(one: Any, two: Any) -> bool:
    a, b = one.state_dict(), two.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stage_of(folder: Path, rows: list[dict[str, float]]) -> StageFacts:
    """The facts of a stage with such a log."""
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "run.json").write_text("{}")
    return stage_facts("stage1", folder)


@pytest.fixture(scope="module")
def data(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples as a folder with metadata.jsonl."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number, sample in enumerate(samples):
        Image.fromarray(np.asarray(sample.image)).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "base": sample.base, "target": sample.target})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def trained(pipe_dir: Path, clip_dir: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole training, interrupted once."""
    out = tmp_path_factory.mktemp("trained")
    seen: list[tuple[str, int]] = []
    snapshots: list[tuple[str, int]] = []

    def progress(what: str, done: int, total: int, terms: dict[str, float]) -> None:
        if (what, done) == ("stage1", 3):
            raise OSError
        seen.append((what, done))

    def on_checkpoint(stage: str, step: int, folder: Path) -> None:
        assert (folder / "unet" / "config.json").is_file()
        snapshots.append((stage, step))

    with pytest.raises(OSError):
        train(CONFIG, pipe_dir, clip_dir, data, out, progress=progress, on_checkpoint=on_checkpoint)
    again: list[str] = []
    result = train(
        CONFIG,
        pipe_dir,
        clip_dir,
        str(data),
        out,
        progress=lambda what, *_: again.append(what),
        on_checkpoint=on_checkpoint,
    )
    assert result == out / "pipeline"
    assert ("stage1", 2) in seen and seen[0][0] not in ("stage1", "stage2")  # encoding is shown, too
    assert again.count("stage2") == 2 and "stage1" not in again
    assert [snapshot for snapshot in snapshots if snapshot[0] == "stage2"] == [("stage2", 0), ("stage2", 2)]
    assert snapshots[:3] == [("stage1", 0), ("stage1", 2), ("stage1", 3)] and not list(out.glob("*/snapshot"))
    return out


def test_the_folder_is_a_pipeline(trained: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(trained / "pipeline", safety_checker=None)
    assert states_equal(pipe.unet, UNet2DConditionModel.from_pretrained(trained / "stage2" / "unet"))


def test_the_single_file_is_the_same_pipeline(trained: Path) -> None:
    one, two = (
        load_single_file(trained / "pipeline.safetensors", trained / "pipeline"),
        load_pipeline(trained / "pipeline", "cpu"),
    )
    assert states_equal(one.unet, two.unet) and states_equal(one.vae, two.vae)
    assert states_equal(one.text_encoder, two.text_encoder)


def test_the_card_tells_what_was_trained(trained: Path, data: Path) -> None:
    card = (trained / "pipeline" / "README.md").read_text()
    front, settings = card.split("---")[1], card.split("```yaml")[1].split("```")[0]
    assert yaml.safe_load(front)["library_name"] == "diffusers"
    assert TrainConfig.from_dict(yaml.safe_load(settings)) == replace(CONFIG, log=LogConfig())
    digest = json.loads((trained / "stage2" / "run.json").read_text())["samples"]
    assert digest in card and "12 samples" in card
    for text in ("| enh |", "| coverage |", "stage1: 3 steps", "stage2: 2 steps", "samples.png", "with a beard"):
        assert text in card
    with Image.open(trained / "pipeline" / "samples.png") as grid:
        assert grid.size == (3 * 64 + 2 * 4, 4 * 64 + 3 * 4)


def test_a_finished_training_is_left_alone(pipe_dir: Path, clip_dir: Path, data: Path, trained: Path) -> None:
    card = trained / "pipeline" / "README.md"
    before = card.stat().st_mtime_ns
    train(CONFIG, pipe_dir, clip_dir, data, trained)
    assert card.stat().st_mtime_ns == before
    card.parent.joinpath("training.json").unlink()  # as if the export had not come to its end
    train(CONFIG, pipe_dir, clip_dir, data, trained)
    assert card.stat().st_mtime_ns > before


@pytest.mark.parametrize("halved", [range(2, 21), range(1, 2)])
def test_steps_that_had_to_be_halved_are_told_of(tmp_path: Path, halved: range) -> None:
    """All but the first, or the first alone."""
    rows = [{"step": step, "loss": 1.0, "seconds": 1.0} for step in range(1, 21)]
    rows = [row | ({"passes": 4.0} if row["step"] in halved else {}) for row in rows]
    card = model_card(Facts("base", CONFIG, [stage_of(tmp_path, rows)], 12), [], adapted=False, lora=False)
    assert "| loss | 1 | 1 |" in card and "passes" not in card


@pytest.mark.parametrize("skipped", [{"skipped": 1.0}, {"grad_norm": float("nan")}])
def test_steps_that_fp16_skipped_are_no_part_of_the_means(tmp_path: Path, skipped: dict[str, float]) -> None:
    """As they are logged, and as they were once."""
    rows = [{"step": step, "loss": 1.0, "grad_norm": 2.0, "seconds": 1.0} for step in range(1, 31)]
    rows[0] = {"step": 1, "loss": 1.0, "seconds": 1.0} | skipped
    stage = stage_of(tmp_path, rows)
    assert stage.first == stage.last == {"loss": 1.0, "grad_norm": 2.0}
    stage = stage_of(tmp_path, rows[:1] + rows[-9:])  # the first tenth is that step alone
    facts = Facts("base", CONFIG, [stage], 12)
    assert "| loss | 1 | 1 |" in model_card(facts, [], adapted=False, lora=False)
    assert json.loads(json.dumps(facts.to_dict(), allow_nan=False)) == facts.to_dict()


@pytest.mark.parametrize("kind", [lambda part: part, list], ids=["a part of a data set", "samples"])
def test_what_images_in_files_encode_to_is_kept(
    pipe_dir: Path, data: Path, tmp_path: Path, kind: Callable[[Any], Any]
) -> None:
    samples = kind(open_dataset(data)[:4])
    train(TrainConfig(replace(STAGE_1, steps=1), None, log=LOG), pipe_dir, None, samples, tmp_path)
    assert list((tmp_path / "cache").glob("latents-*"))


@pytest.mark.parametrize("which", ["lora", "adapter"])
def test_variants_leave_their_own_weights(
    pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path, which: Any
) -> None:
    config = TrainConfig(None, replace(STAGE_2, trainable=which, lora_rank=2), log=LOG)
    (tmp_path / "pipeline.safetensors").write_bytes(b"of a run that was deleted")
    result = train(config, pipe_dir, clip_dir, samples[:4], tmp_path)
    assert not (tmp_path / "cache").exists() and (tmp_path / "pipeline.safetensors").is_file() == (which == "lora")
    unet, saved = load_unet(result, torch.device("cpu")), load_unet(tmp_path / "stage2", torch.device("cpu"))
    assert states_equal(unet, saved) and has_adapter(unet) == (which == "adapter")
    card = (result / "README.md").read_text()
    assert ("adapter.embed_for" in card) == (which == "adapter")
    if which == "lora":
        pipe = StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)
        pipe.load_lora_weights(result / "lora")
        assert "lora/" in card


def test_stable_diffusion_2_has_no_single_file(
    pipe_dir: Path, samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Linear layers around the attention are its mark at this size."""
    base = shutil.copytree(pipe_dir, tmp_path / "base")
    unet = UNet2DConditionModel.from_config(tiny_unet().config, use_linear_projection=True)
    unet.save_pretrained(base / "unet")
    out = tmp_path / "out"
    out.mkdir()
    (out / "pipeline.safetensors").write_bytes(b"of a run that was deleted")
    with caplog.at_level(logging.WARNING):
        result = train(TrainConfig(replace(STAGE_1, steps=1), None, log=LOG), base, None, samples[:4], out)
    assert (result / "model_index.json").is_file() and not (out / "pipeline.safetensors").exists()
    assert "pipeline.safetensors is written" in caplog.text and "no single file" in (result / "README.md").read_text()


@pytest.mark.parametrize(("width", "expected"), [(768, True), (1024, False)])
def test_the_family_is_told_by_the_text_encoder(pipe_dir: Path, width: int, expected: bool) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    pipe.text_encoder.config.hidden_size = width
    assert is_sd1(pipe) == expected


def test_what_is_missing_is_said_before_anything_is_loaded(
    pipe_dir: Path, samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="stage 2 needs one"):
        train(CONFIG, pipe_dir, None, samples, tmp_path / "out")
    with pytest.raises(ConfigError, match="nothing to train"):
        train(TrainConfig(), pipe_dir, None, samples, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("predicts", "word"), [("v_prediction", "v"), ("sample", "sample")])
def test_what_is_predicted_is_written_into_the_file(tmp_path: Path, predicts: str, word: str) -> None:
    pipe = load_pipeline(tiny_pipeline(tmp_path / "pipe", prediction_type=predicts), "cpu")
    write_single_file(pipe, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata()["modelspec.prediction_type"] == word
        assert ("v_pred" in file.keys()) == (word == "v")  # noqa: SIM118
    loaded = load_single_file(tmp_path / "model.safetensors", tiny_pipeline(tmp_path / "layout"))
    assert loaded.scheduler.config.prediction_type == predicts


def test_names_are_those_of_stable_diffusion(pipe_dir: Path) -> None:
    pipe = load_pipeline(pipe_dir, "cpu")
    names = to_single_file(pipe).keys()
    for name in (
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.input_blocks.2.0.op.weight",
        "model.diffusion_model.middle_block.2.in_layers.0.weight",
        "model.diffusion_model.output_blocks.1.2.conv.weight",
        "model.diffusion_model.out.2.bias",
        "first_stage_model.decoder.up.2.upsample.conv.weight",
        "first_stage_model.encoder.mid.attn_1.proj_out.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    ):
        assert name in names
    assert len(list(unet_blocks(pipe.unet.config))) > len(pipe.unet.config.block_out_channels)
    assert len(list(vae_blocks(pipe.vae.config))) > len(pipe.vae.config.block_out_channels)
