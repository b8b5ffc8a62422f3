"""Out of memory in training: twice the accumulation, the same batch; and encodings made in halves."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from spf_train.checkpoint import RunFolder
from spf_train.config import StageConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.encoders import LatentEncoder
from spf_train.errors import ConfigError
from spf_train.loop import fit
from spf_train.memory import Fitting
from spf_train.prediction import Diffusion
from spf_train.prepare import prepare
from spf_train.shards import Columns
from spf_train.stages import NaiveStage, Terms
from spf_train.train import load_pipeline
from spf_train.trainer import Trainer
from tests.tiny import tiny_unet

HOW = StageConfig(steps=3, batch=4, lr=1e-3, caption_dropout=0.2, checkpoint_every=1)
TOLD = "CUDA out of memory. Tried to allocate 2.00 GiB."


class Small(NaiveStage):
    """A stage on a device that holds the activations of `most` samples, and dies in the backward pass of more."""

    def __init__(self, most: int) -> None:
        schedule = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), dim=0)
        super().__init__(tiny_unet(), Diffusion(schedule, "epsilon"))
        self.most = most

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        loss, terms = super().loss(batch)
        if len(batch) > self.most:
            loss.register_hook(_fail)
        return loss, terms


def _fail(_gradient: Tensor) -> None:
    raise torch.OutOfMemoryError(TOLD)


@pytest.fixture(scope="module")
def prepared(pipe_dir: Path, samples: list[Sample]) -> Prepared:
    return prepare(samples, load_pipeline(pipe_dir, "cpu"))


def trained(
    folder: Path, prepared: Prepared, most: int, how: StageConfig = HOW
) -> tuple[dict[str, Tensor], list[dict]]:
    assert fit(Small(most), prepared, how, RunFolder(folder, {}), 0)
    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    return weights, [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def test_more_accumulation_is_the_same_training(
    tmp_path: Path, prepared: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    large, rows = trained(tmp_path / "large", prepared, 4)
    with caplog.at_level(logging.WARNING):
        small, halved = trained(tmp_path / "small", prepared, 1)
    assert [row["passes"] for row in halved] == [4, 4, 4] and not any("passes" in row for row in rows)
    assert ["step 1: 4 samples" in caplog.messages[0], "step 1: 2 samples" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2  # what did not fit is not tried again
    for one, other in zip(rows, halved, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    # Halved by force or by the settings: bit for bit the same.
    asked, plain = trained(tmp_path / "asked", prepared, 1, replace(HOW, micro_batch=1))
    assert all(torch.equal(asked[name], small[name]) for name in large) and not any("passes" in row for row in plain)


def test_a_resumed_run_goes_on_in_the_same_parts(prepared: Prepared) -> None:
    first, second = (Trainer(Small(most), prepared, HOW, 0) for most in (2, 4))
    first.take_step()
    second.load_state(first.state())
    assert second.take_step()["passes"] == 2


def test_one_sample_that_does_not_fit_names_the_settings(prepared: Prepared) -> None:
    with pytest.raises(ConfigError, match="step 1: not even one sample at a time") as error:
        Trainer(Small(0), prepared, HOW, 0).take_step()
    assert error.value.why == TOLD and "gradient_checkpointing=true" in error.value.fix


def test_an_update_that_does_not_fit_names_the_settings(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(Small(4), prepared, HOW, 0)
    monkeypatch.setattr(trainer.optimizer, "step", lambda: _fail(torch.zeros(())))
    with pytest.raises(ConfigError, match=r"the update itself(.|\n)*trainable=lora"):
        trainer.take_step()


def test_other_errors_pass(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Small, "loss", lambda self, batch: torch.zeros(2) + torch.zeros(3))
    with pytest.raises(RuntimeError, match="size of tensor"):
        Trainer(Small(4), prepared, HOW, 0).take_step()


def test_encodings_are_made_in_halves(
    pipe_dir: Path, samples: list[Sample], prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, sizes = LatentEncoder.compute, list[int]()

    def small(self: LatentEncoder, items: Sequence) -> Columns:
        sizes.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError(TOLD)
        return compute(self, items)

    monkeypatch.setattr(LatentEncoder, "compute", small)
    made = prepare(samples, load_pipeline(pipe_dir, "cpu"))
    assert sizes[0] > 2 and set(sizes[sizes.index(2) :]) <= {1, 2}
    index = torch.arange(len(samples))
    assert torch.allclose(made.latent_mean[index], prepared.latent_mean[index], atol=1e-5)
    with pytest.raises(ConfigError, match="latents: not even one"):
        Fitting("latents")([1], lambda items: (_ for _ in ()).throw(torch.OutOfMemoryError(TOLD)))
