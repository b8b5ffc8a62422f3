"""Both stages from folder to folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch
from diffusers import UNet2DConditionModel

from spf_train import ConfigError, Sample, SPFConfig, StageConfig, TrainConfig, train_stage1, train_stage2, variants
from spf_train.base_model import load_pipeline, load_unet
from spf_train.loop import OnStep
from spf_train.train import train
from tests.tiny import tiny_pipeline

STAGE_1 = StageConfig(steps=5, batch=4, lr=1e-3)
STAGE_2 = StageConfig(steps=5, batch=2, lr=1e-3, trainable="cross_attention")
CONFIG = TrainConfig(STAGE_1, STAGE_2, SPFConfig(phrase_map="mass"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return UNet2DConditionModel.from_pretrained(folder / "unet").state_dict()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def stage1(pipe_dir: Path, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_stage1(pipe_dir, samples, CONFIG, tmp_path_factory.mktemp("stage1"))


def test_stage_1_changes_every_weight(pipe_dir: Path, stage1: Path) -> None:
    original, trained = weights(pipe_dir), weights(stage1)
    same = [name for name in original if torch.equal(original[name], trained[name])]
    assert same == []
    assert all(weight.dtype == torch.float32 for weight in trained.values())


def test_stage_2_changes_cross_attention_only(
    pipe_dir: Path, clip_dir: Path, stage1: Path, samples: list[Sample], tmp_path: Path
) -> None:
    steps: list[int] = []
    out = train_stage2(
        pipe_dir, clip_dir, stage1, samples, CONFIG, tmp_path, lambda step, total, terms: steps.append(step)
    )
    start, trained = weights(stage1), weights(out)
    changed = {name for name in start if not torch.equal(start[name], trained[name])}
    assert changed == {name for name in start if ".attn2." in name}
    assert steps == [1, 2, 3, 4, 5]
    rows = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    names = {"step", "loss", "diff", "text", "fine", "enh", "coverage", "grad_norm", "lr", "seconds"}
    assert all(row.keys() == names for row in rows)


def test_stage_2_resumes_bit_for_bit(
    pipe_dir: Path, clip_dir: Path, stage1: Path, samples: list[Sample], tmp_path: Path
) -> None:
    how = replace(STAGE_2, steps=4, checkpoint_every=1, caption_dropout=0.3, warmup=3)
    config = TrainConfig(stage2=how, spf=SPFConfig(phrase_map="mass", align_uncond=True))

    def die(step: int, total: int, terms: dict[str, float]) -> None:
        if step == 2:
            raise OSError

    def run(name: str, progress: OnStep | None = None) -> Path:
        return train_stage2(pipe_dir, clip_dir, stage1, samples, config, tmp_path / name, progress)

    with pytest.raises(OSError):
        run("resumed", die)
    assert (tmp_path / "resumed" / "maps.png").is_file()
    resumed, straight = weights(run("resumed")), weights(run("straight"))
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_gradient_checkpointing_changes_nothing_but_memory(
    pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path
) -> None:
    def run(folder: Path, recompute: bool) -> Path:
        config = TrainConfig(stage2=replace(STAGE_2, steps=2, gradient_checkpointing=recompute))
        return train_stage2(pipe_dir, clip_dir, None, samples, config, folder)

    kept, recomputed = weights(run(tmp_path / "kept", False)), weights(run(tmp_path / "recomputed", True))
    assert all(torch.equal(kept[name], recomputed[name]) for name in kept)


def test_a_finished_folder_returns_at_once(pipe_dir: Path, stage1: Path, samples: list[Sample]) -> None:
    def never(step: int, total: int, terms: dict[str, float]) -> None:
        raise AssertionError("it trained again")

    more = replace(STAGE_1, checkpoint_every=1)  # which does not change the result
    assert train_stage1(pipe_dir, samples, TrainConfig(more), stage1, never) == stage1
    with pytest.raises(ConfigError, match="another samples"):
        train_stage1(pipe_dir, samples[1:], CONFIG, stage1, never)
    with pytest.raises(ConfigError, match="another stage"):
        train_stage1(pipe_dir, samples, TrainConfig(replace(STAGE_1, lr=1.0)), stage1, never)


def test_another_scheduler_is_another_run(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    base = shutil.copytree(pipe_dir, tmp_path / "base")
    config = TrainConfig(replace(STAGE_1, steps=1))
    train_stage1(base, samples[:4], config, tmp_path / "out")
    path = base / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "v_prediction"}))
    with pytest.raises(ConfigError, match="another encoders_and_scheduler"):
        train_stage1(base, samples[:4], config, tmp_path / "out")


def test_another_adapter_is_another_start(
    pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path
) -> None:
    """Its unet/ is the original's whatever it has learned."""
    unet = load_unet(pipe_dir, torch.device("cpu"))
    context = load_pipeline(pipe_dir, "cpu").tokenizer.model_max_length
    learned = variants.apply(unet, "adapter", context=context)
    config = TrainConfig(stage2=replace(STAGE_2, steps=1))

    def run(start: Path) -> Path:
        return train_stage2(pipe_dir, clip_dir, start, samples[:4], config, tmp_path / "out")

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    variants.save(unet, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    with torch.no_grad():
        for weight in learned.values():
            weight.add_(1.0)
    variants.save(unet, tmp_path / "other")
    assert run(tmp_path / "one") == run(tmp_path / "moved" / "unet")
    for start in (tmp_path / "other", pipe_dir):
        with pytest.raises(ConfigError, match="start_adapter"):
            run(start)


def test_v_prediction_and_zero_snr_train(clip_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    pipe_dir = tiny_pipeline(tmp_path / "pipe", prediction_type="v_prediction")
    path = pipe_dir / "scheduler" / "scheduler_config.json"
    settings = json.loads(path.read_text()) | {"rescale_betas_zero_snr": True}
    path.write_text(json.dumps(settings))
    config = TrainConfig(stage2=replace(STAGE_2, steps=2, ema_decay=0.5, mixed_precision="bf16"))
    assert (train_stage2(pipe_dir, clip_dir, None, samples, config, tmp_path / "out") / "unet").is_dir()


def test_wrong_folders_are_named(pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        train_stage1(tmp_path / "nowhere", samples, CONFIG, tmp_path / "out")
    with pytest.raises(ConfigError, match="no UNet"):
        train_stage2(pipe_dir, clip_dir, tmp_path, samples, CONFIG, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"TrainConfig\.stage1 is None"):
        train_stage1(pipe_dir, samples, TrainConfig(), tmp_path / "out")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("openai/clip-vit-large-patch14", "cannot get"),
        ("unet", "how CLIP wants its images"),
        ("text", "clip_text_model"),
    ],
)
def test_the_clip_of_stage_2_is_looked_for_before_stage_1(
    source: str,
    complaint: str,
    pipe_dir: Path,
    samples: list[Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_network)
    folders = {"unet": pipe_dir / "unet", "text": pipe_dir / "text_encoder"}
    with pytest.raises(ConfigError, match=complaint):
        train(CONFIG, pipe_dir, folders.get(source, source), samples, tmp_path / "out")
    assert not (tmp_path / "out" / "stage1").exists()
