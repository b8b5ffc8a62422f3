"""The loop resumes bit for bit, is interrupted without loss, and stops at a loss that is no number."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spf_train.checkpoint import RunFolder, write_atomically
from spf_train.config import StageConfig
from spf_train.data import Batch, Prepared, Sample
from spf_train.ema import MovingAverage
from spf_train.errors import ConfigError, NonFiniteLossError
from spf_train.loop import fit, interruptible
from spf_train.prediction import Diffusion
from spf_train.prepare import prepare
from spf_train.schedule import learning_rate
from spf_train.stages import NaiveStage, Stage, Terms
from spf_train.train import load_pipeline
from spf_train.trainer import Trainer
from tests.tiny import tiny_unet

HOW = StageConfig(steps=6, batch=3, lr=1e-3, warmup=3, caption_dropout=0.2, ema_decay=0.9, checkpoint_every=2)


class Killed(Exception):
    """Stands for a process that died."""


@pytest.fixture(scope="module")
def prepared(pipe_dir: Path, samples: list[Sample]) -> Prepared:
    return prepare(samples, load_pipeline(pipe_dir, "cpu"))


def new_stage() -> NaiveStage:
    return NaiveStage(tiny_unet().to(memory_format=torch.channels_last), Diffusion(schedule(), "epsilon"))


def schedule() -> Tensor:
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), dim=0)


def run(folder: Path, prepared: Prepared, how: StageConfig = HOW, seed: int = 0, **hooks: Any) -> dict[str, Tensor]:
    """Trains to the end and returns the saved weights."""
    out = RunFolder(folder, {"seed": seed})
    assert fit(new_stage(), prepared, how, out, seed, **hooks)
    return load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")


def raising_at(step: int, error: type[BaseException]) -> Callable[..., None]:
    def on_step(current: int, total: int, terms: dict[str, float]) -> None:
        if current == step:
            raise error

    return on_step


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> dict[str, Tensor]:
    """The weights of a run that nothing interrupted."""
    return run(tmp_path_factory.mktemp("straight"), prepared)


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt])
def test_a_resumed_run_is_the_straight_run(
    tmp_path: Path, prepared: Prepared, straight: dict[str, Tensor], error: type[BaseException]
) -> None:
    with pytest.raises(error):
        run(tmp_path, prepared, on_step=raising_at(3, error))
    checkpoint = RunFolder(tmp_path, {"seed": 0}).load_checkpoint()
    # A killed process falls back to its last checkpoint; an interrupted one saves the step it was at.
    assert checkpoint is not None and checkpoint["step"] == (2 if error is Killed else 3)
    assert_equal(run(tmp_path, prepared), straight)
    rows = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_ends_the_step_and_saves_it(tmp_path: Path, prepared: Prepared, straight: dict[str, Tensor]) -> None:
    before = signal.getsignal(signal.SIGINT)

    def press(step: int, total: int, terms: dict[str, float]) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, prepared, on_step=press)
    assert signal.getsignal(signal.SIGINT) is before
    checkpoint = RunFolder(tmp_path, {"seed": 0}).load_checkpoint()
    assert checkpoint is not None and checkpoint["step"] == 4
    assert_equal(run(tmp_path, prepared), straight)


def test_stop_leaves_a_resumable_run(tmp_path: Path, prepared: Prepared, straight: dict[str, Tensor]) -> None:
    out = RunFolder(tmp_path, {"seed": 0})
    assert not fit(new_stage(), prepared, HOW, out, seed=0, stop=lambda step: step == 3)
    assert not out.finished and not (tmp_path / "unet").exists()
    assert_equal(run(tmp_path, prepared), straight)


def test_the_seed_decides(tmp_path: Path, prepared: Prepared, straight: dict[str, Tensor]) -> None:
    assert_equal(run(tmp_path / "same", prepared), straight)
    other = run(tmp_path / "other", prepared, seed=1)
    assert not torch.equal(other["conv_in.weight"], straight["conv_in.weight"])


def test_the_callers_random_state_is_left_alone(tmp_path: Path, prepared: Prepared) -> None:
    stage = new_stage()
    before = torch.random.get_rng_state()
    fit(stage, prepared, replace(HOW, steps=1), RunFolder(tmp_path, {}), seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, prepared: Prepared) -> None:
    run(tmp_path, prepared, how=replace(HOW, steps=1))
    assert not (tmp_path / "checkpoint.pt").exists()
    assert fit(new_stage(), prepared, HOW, RunFolder(tmp_path, {"seed": 0}), 0, raising_at(1, Killed))


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path, {"seed": 0, "stage": 1})
    with pytest.raises(ConfigError, match="another seed"):
        RunFolder(tmp_path, {"seed": 1, "stage": 1})


def test_micro_batches_add_up_to_the_batch(prepared: Prepared) -> None:
    whole, parts = (Trainer(new_stage(), prepared, replace(HOW, micro_batch=m), seed=0) for m in (None, 2))
    one, two = whole.take_step(), parts.take_step()
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-5)
    assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-4)


def test_the_learning_rate_warms_up_linearly(prepared: Prepared) -> None:
    trainer = Trainer(new_stage(), prepared, HOW, seed=0)
    rates = [trainer.take_step()["lr"] for _ in range(4)]
    assert rates == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3, 1e-3])
    assert trainer.optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize(("steps", "told"), [(3, True), (4, False)])
def test_a_warm_up_as_long_as_the_training_is_told_of(
    prepared: Prepared, caplog: pytest.LogCaptureFixture, steps: int, told: bool
) -> None:
    Trainer(new_stage(), prepared, replace(HOW, steps=steps), seed=0)
    assert ("warmup = 3: in 3 steps the learning rate only rises" in caplog.text) == told


@pytest.mark.parametrize(("schedule", "shares"), [("linear", [1, 2 / 3, 1 / 3]), ("cosine", [1, 0.75, 0.25])])
def test_the_learning_rate_falls_after_the_warm_up(schedule: Any, shares: list[float]) -> None:
    how = replace(HOW, steps=5, warmup=2, lr_schedule=schedule)
    rates = [learning_rate(how, step, 5) / how.lr for step in range(6)]
    assert rates == pytest.approx([0.5, 1, *shares, 0])


def test_the_gradient_is_clipped(prepared: Prepared) -> None:
    seen: list[float] = []

    class Watched(NaiveStage):
        def after_step(self, step: int) -> None:
            grads = [w.grad.flatten() for w in self.trainable().values() if w.grad is not None]
            seen.append(torch.cat(grads).norm().item())

    stage = Watched(tiny_unet(), Diffusion(schedule(), "epsilon"))
    terms = Trainer(stage, prepared, replace(HOW, grad_clip=0.01), seed=0).take_step()
    assert terms["grad_norm"] > 0.1 and seen == [pytest.approx(0.01, rel=1e-3)]


class Breaking(Stage):
    """One weight whose loss, or gradient, stops being a number at the third step."""

    def __init__(self, gradient_only: bool) -> None:
        self.weight = nn.Parameter(torch.zeros(()))
        self.diffusion = Diffusion(schedule(), "epsilon")
        self.steps, self.gradient_only = 0, gradient_only

    def trainable(self) -> dict[str, nn.Parameter]:
        return {"weight": self.weight}

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        self.steps += 1
        loss = (self.weight - 1) ** 2
        if self.steps == 3:  # the square root of 0 is a number, its slope is not
            loss = (self.weight - self.weight).sqrt() if self.gradient_only else loss * float("nan")
        return loss, {}

    def save(self, folder: Path) -> None:
        raise AssertionError("a broken run has no result")


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, prepared: Prepared, gradient_only: bool) -> None:
    out = RunFolder(tmp_path, {})
    with pytest.raises(NonFiniteLossError, match=r"step 3: (loss|grad_norm) is (nan|inf)"):
        fit(Breaking(gradient_only), prepared, HOW, out, seed=0)
    checkpoint = out.load_checkpoint()
    assert checkpoint is not None and checkpoint["step"] == 2 and checkpoint["weights"]["weight"].isfinite()


def test_bf16_trains_fp32_weights(prepared: Prepared) -> None:
    exact = Trainer(new_stage(), prepared, HOW, seed=0).take_step()
    trainer = Trainer(new_stage(), prepared, replace(HOW, mixed_precision="bf16"), seed=0)
    rounded = trainer.take_step()
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.02) and rounded["loss"] != exact["loss"]
    assert all(weight.dtype == torch.float32 for weight in trainer.weights.values())


class Overflowing(Breaking):
    """A finite loss whose gradient is infinite from the second step on, as in fp16."""

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        self.steps += 1
        return self.weight * 1.0 if self.steps == 1 else (self.weight - self.weight.detach()).sqrt(), {}


def test_an_overflow_is_skipped_but_not_for_ever(prepared: Prepared) -> None:
    stage = Overflowing(gradient_only=True)
    trainer = Trainer(stage, prepared, HOW, seed=0)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    assert trainer.take_step()["grad_norm"] == 1
    kept = stage.weight.item()
    for _ in range(2):
        terms = trainer.take_step()
        assert terms["skipped"] == 1 and "grad_norm" not in terms
        json.dumps(terms, allow_nan=False)
    assert trainer.scaler.get_scale() == 1
    with pytest.raises(NonFiniteLossError, match="step 4: grad_norm is inf"):
        trainer.take_step()
    assert stage.weight.item() == kept != 0


def test_several_processes_hear_ctrl_c_twice() -> None:
    with interruptible(alone=False) as interrupted:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()


def test_fp16_needs_cuda(prepared: Prepared) -> None:
    with pytest.raises(ConfigError, match="fp16"):
        Trainer(new_stage(), prepared, replace(HOW, mixed_precision="fp16"), seed=0)


def test_the_moving_average_follows_and_gives_the_weights_back() -> None:
    weight = nn.Parameter(torch.zeros(2))
    average = MovingAverage({"w": weight}, decay=0.5)
    expected = 0.0
    for step in range(1, 4):
        weight.data.fill_(step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    with average.applied():
        assert weight.tolist() == pytest.approx([expected] * 2)
    assert weight.tolist() == [3, 3]


def test_a_failed_write_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda new: new.write_text("good"))

    def fail(new: Path) -> None:
        new.write_text("half")
        raise Killed

    with pytest.raises(Killed):
        write_atomically(path, fail)
    assert path.read_text() == "good"
