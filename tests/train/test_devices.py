"""Both stages where all networks are on a GPU: no tensor is left behind on the CPU, and fp16 with its scaler trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

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


@pytest.mark.parametrize(
    ("which", "precision", "goal"),
    [
        ("all", "fp16", "contrast"), ("cross_attention", "fp16", "image"), ("lora", "fp16", "contrast"),
        ("adapter", "fp16", "image"), ("cross_attention", "bf16", "contrast"), ("all", "no", "image"),
    ],
)  # fmt: skip
def test_both_stages_train_stop_and_go_on(
    pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path, which: Trainable, precision: str, goal: str
) -> None:
    how = StageConfig(
        steps=3, batch=4, micro_batch=2, lr=1e-3, warmup=1, caption_dropout=0.3, ema_decay=0.9, checkpoint_every=1,
        mixed_precision=precision,  # type: ignore[arg-type]
    )  # fmt: skip
    spf = SPFConfig(diff_target=goal, align_uncond=True)  # type: ignore[arg-type]
    config = TrainConfig(how, replace(how, trainable=which), spf)

    def stop(step: int, _total: int, _terms: object) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pretended_gpu():
        start = train_stage1(pipe_dir, samples, config, tmp_path / "stage1")
        with pytest.raises(KeyboardInterrupt):
            train_stage2(pipe_dir, clip_dir, start, samples, config, tmp_path / "stage2", stop)
        out = train_stage2(pipe_dir, clip_dir, start, samples, config, tmp_path / "stage2")
    rows = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
