"""The training benchmark compares two implementations of the same loss, and its clock adds up."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import gpu_train
from benchmarks.plain_stage import PlainStage
from benchmarks.training_parts import Clock, Networks
from spf_train.base_model import load_pipeline
from spf_train.clip import FrozenClip
from spf_train.config import SPFConfig
from spf_train.dual_path import DualPathStage
from spf_train.prediction import Diffusion
from tests.train.conftest import MakeStage, draw


@pytest.mark.parametrize("norm", ["mse", "l2"])
def test_the_plain_implementation_has_the_same_losses_and_gradients(make_stage: MakeStage, norm: Any) -> None:
    stage, prepared = make_stage(norm=norm)
    plain = PlainStage(stage.unet, stage.reference, stage.enhancement, stage.diffusion, SPFConfig(norm=norm))
    batch, found = draw(prepared), []
    for which in (stage, plain):
        loss, terms = which.loss(batch)
        loss.backward()
        gradients = [weight.grad for weight in which.trainable().values() if weight.grad is not None]
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        found.append({**terms, "loss": loss, "gradients": whole})
        which.unet.zero_grad(set_to_none=True)
    for name in found[0]:
        torch.testing.assert_close(found[1][name], found[0][name], atol=1e-5, rtol=1e-4)


def test_the_benchmark_measures_every_stage(
    pipe_dir: Any, clip_dir: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tiny(device: str) -> Networks:
        pipe = load_pipeline(pipe_dir, device)
        diffusion = Diffusion.from_scheduler(pipe.scheduler)
        return Networks(pipe.unet, pipe.vae, FrozenClip.from_pretrained(clip_dir), diffusion, device)

    monkeypatch.setattr(Networks, "world", tiny)
    monkeypatch.setattr(gpu_train, "WARM_UP", 0)
    rows = gpu_train.run("cpu", ["fp32"], size=2, pixels=None, steps=1)
    assert [row["stage"] for row in rows] == list(gpu_train.STAGES)
    for row in rows:
        assert row["seconds"] > 0 and row["saved_mib"] > 0 and sum(row["shares"].values()) == pytest.approx(1)
    assert {"reference pass", "L_enh: decoder and CLIP", "control map"} < rows[1]["shares"].keys()
    printed = capsys.readouterr().out
    assert "as fast as plain" in printed and "28 GB" not in printed
    assert "3.26 s 28 GB" in gpu_train.line({**rows[1], "peak_mib": 1.0}, rows)


def test_inner_time_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ticks = Clock("cpu"), iter([0.0, 1.0, 4.0, 6.0])
    monkeypatch.setattr(clock, "now", lambda: next(ticks))
    with clock.measure("outer"), clock.measure("inner"):
        pass
    assert clock.seconds == {"inner": 3.0, "outer": 3.0}


def test_only_the_dual_path_is_taken_apart(make_stage: MakeStage) -> None:
    stage, prepared = make_stage()
    clock = Clock("cpu")
    gpu_train.watch(stage, clock)
    stage.loss(draw(prepared))
    assert isinstance(stage, DualPathStage) and "response pass" in clock.seconds
