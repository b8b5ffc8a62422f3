"""Both stages where all networks are on a GPU: no tensor is left behind on the CPU, and fp16 with its scaler trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from spf_train import Sample, SPFConfig, StageConfig, TrainConfig, train_stage1, train_stage2
from spf_train.config import Trainable
from tests.pretend_cuda import pretended_gpu


def test_the_pretended_gpu_tells_devices_apart() -> None:
    with pretended_gpu():
        here, there, layer = torch.ones(3), torch.ones(3, device="cuda"), nn.Linear(3, 3).to("cuda")
        assert here.device.type == "cpu" and (there + 1).device.type == layer.weight.device.type == "cuda"
        layer(there).sum().backward()
        assert layer.weight.grad is not None and layer.weight.grad.is_cuda
        assert torch.equal(there.cpu(), here) and there[here > 0].is_cuda and (there * torch.tensor(2.0)).is_cuda
        for mixed in (
            lambda: here + there,
            lambda: layer(here),
            lambda: torch.cat([here, there]),
            lambda: here[there > 0],
        ):
            with pytest.raises(RuntimeError, match="on one device"):
                mixed()
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(3, generator=torch.Generator("cuda"))
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "pretended"


HOW = StageConfig(
    steps=2, batch=2, micro_batch=1, lr=1e-3, warmup=1, caption_dropout=0.3, ema_decay=0.9, checkpoint_every=1
)  # fmt: skip


def steps(folder: Path) -> list[int]:
    return [json.loads(row)["step"] for row in (folder / "log.jsonl").read_text().splitlines()]


def test_stage_1_trains(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    config = TrainConfig(replace(HOW, mixed_precision="fp16", min_snr_gamma=5.0))
    with pretended_gpu():
        assert steps(train_stage1(pipe_dir, samples, config, tmp_path)) == [1, 2]


@pytest.mark.parametrize(
    ("which", "precision", "goal"),
    [
        ("all", "fp16", "contrast"), ("lora", "fp16", "image"), ("adapter", "bf16", "contrast"),
        ("cross_attention", "no", "image"),
    ],
)  # fmt: skip
def test_stage_2_trains_stops_and_goes_on(
    pipe_dir: Path,
    clip_dir: Path,
    start_unet: Path,
    samples: list[Sample],
    tmp_path: Path,
    which: Trainable,
    precision: Literal["no", "fp16", "bf16"],
    goal: Literal["image", "contrast"],
) -> None:
    how = replace(HOW, mixed_precision=precision, trainable=which)
    config = TrainConfig(stage2=how, spf=SPFConfig(diff_target=goal, align_uncond=True))

    def stop(step: int, _total: int, _terms: object) -> None:
        if step == 1:
            raise KeyboardInterrupt

    with pretended_gpu():
        with pytest.raises(KeyboardInterrupt):
            train_stage2(pipe_dir, clip_dir, start_unet, samples, config, tmp_path, stop)
        out = train_stage2(pipe_dir, clip_dir, start_unet, samples, config, tmp_path)
    assert steps(out) == [1, 2]
