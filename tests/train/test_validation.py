"""Grids from fixed seeds, and trackers: they see everything and change nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from spf_train import ConfigError, Sample, StageConfig, TrainConfig, train_stage1
from spf_train.assembly import free_encoders
from spf_train.base_model import load_pipeline
from spf_train.checkpoint import RunFolder
from spf_train.clip import FrozenClip
from spf_train.config import LogConfig
from spf_train.trackers import TensorBoard, WeightsAndBiases, open_trackers
from spf_train.validation import Validation, choose_prompts

LOG = LogConfig(tensorboard=True, validate_every=2, validation_steps=2)
STAGE_1 = StageConfig(steps=3, batch=2, lr=1e-2, ema_decay=0.5)
CONFIG = TrainConfig(STAGE_1, log=LOG)
SILENT = replace(CONFIG, log=LogConfig(tensorboard=False))


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


@pytest.fixture(scope="module")
def watched(pipe_dir: Path, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after step 2 and resumed, with grids and TensorBoard."""
    folder, config = (
        tmp_path_factory.mktemp("watched"),
        replace(CONFIG, stage1=replace(CONFIG.stage1, checkpoint_every=2)),
    )

    def die(step: int, total: int, terms: dict[str, float]) -> None:
        if step == 2:
            raise OSError

    with pytest.raises(OSError):
        train_stage1(pipe_dir, samples, config, folder, die)
    return train_stage1(pipe_dir, samples, config, folder)


def test_grids_begin_before_the_first_step(watched: Path) -> None:
    found = sorted((watched / "validation").iterdir())
    assert [path.name for path in found] == ["step-000000.png", "step-000002.png", "step-000003.png"]
    before, middle, _last = map(pixels, found)
    assert before.shape == (4 * 64 + 3 * 4, 2 * 64 + 4, 3)  # four prompts, base and complete text
    assert (before != middle).any()


def test_watching_changes_nothing(watched: Path, pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    alone = train_stage1(pipe_dir, samples, SILENT, tmp_path)
    name = "unet/diffusion_pytorch_model.safetensors"
    seen, unseen = load_file(watched / name), load_file(alone / name)
    assert all(torch.equal(seen[key], unseen[key]) for key in unseen)
    assert not (alone / "validation").exists() and not (alone / "tensorboard").exists()


def test_tensorboard_has_every_term_once(watched: Path) -> None:
    found = events(watched / "tensorboard")
    rows = [json.loads(row) for row in (watched / "log.jsonl").read_text().splitlines()]
    assert set(found.Tags()["scalars"]) == set(rows[0]) - {"step"}
    losses = found.Scalars("loss")
    assert [event.step for event in losses] == [1, 2, 3]
    assert [event.value for event in losses] == pytest.approx([row["loss"] for row in rows])
    assert found.Images("samples")[-1].step == 3


@pytest.mark.parametrize("step", [0, 2])
def test_tensorboard_has_no_step_twice(tmp_path: Path, step: int) -> None:
    """Killed before the first checkpoint, or after one."""
    for start, last in ((0, step + 2), (step, step + 3)):
        tracker = TensorBoard(tmp_path)
        tracker.begin(start)
        for current in range(start + 1, last + 1):
            tracker.scalars(current, {"loss": 1.0})
        tracker.close()
    assert [event.step for event in events(tmp_path).Scalars("loss")] == list(range(1, step + 4))


def test_the_same_model_draws_the_same_grid(pipe_dir: Path, clip_dir: Path, tmp_path: Path) -> None:
    """Also when what encoded the samples is freed, as stage 2 does."""
    pipe = load_pipeline(pipe_dir, "cpu")
    validation = Validation(pipe, [("a man", "with a beard"), ("a man", "smiling")], LOG)
    before = torch.random.get_rng_state()
    one = validation.draw(pipe.unet.train(), tmp_path / "one", 0)
    free_encoders(pipe.vae, FrozenClip.from_pretrained(clip_dir))
    two = validation.draw(pipe.unet.train(), tmp_path / "two", 0)
    assert (pixels(one) == pixels(two)).all() and pipe.unet.training
    assert torch.equal(torch.random.get_rng_state(), before)
    texts = validation.portraits(pipe.unet, validation.base)
    assert (np.asarray(texts[0]) != np.asarray(texts[1])).any()  # the same text from another noise


def test_prompts_are_the_first_distinct_ones(samples: list[Sample]) -> None:
    doubled = [samples[0], *samples]
    assert choose_prompts(LOG, doubled) == [(sample.base, sample.target) for sample in samples[:4]]
    named = (("a man", "smiling"),)
    assert choose_prompts(replace(LOG, validation_prompts=named), doubled) == list(named)


class FakeRun:
    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    def log(self, values: dict[str, Any], step: int) -> None:
        self.calls.append((step, values))

    def finish(self) -> None:
        self.calls.append("finished")


@pytest.fixture()
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the module `wandb` is called with."""
    calls: list[Any] = []

    def init(**settings: Any) -> FakeRun:
        calls.append(settings)
        return FakeRun(calls)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Image=lambda path: f"image {path}"))
    yield calls


def test_weights_and_biases_resumes_its_run(tmp_path: Path, wandb: list[Any]) -> None:
    out = RunFolder(tmp_path / "out" / "stage1", {"seed": 3})
    for step in (0, 5):
        tracker = WeightsAndBiases("faces", out)
        tracker.begin(step)
        tracker.scalars(step + 1, {"loss": 1.0})
        tracker.image(step + 1, "samples", tmp_path / "a.png")
        tracker.close()
    first, loss, image, end, second, *_ = wandb
    assert first == second and first["project"] == "faces" and first["name"] == "out/stage1"
    assert first["resume"] == "allow" and first["config"] == {"seed": 3}
    assert loss == (1, {"loss": 1.0}) and image == (1, {"samples": f"image {tmp_path / 'a.png'}"}) and end == "finished"


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    out = RunFolder(tmp_path, {})
    with pytest.raises(ConfigError, match="pip install wandb"):
        open_trackers(LogConfig(wandb="faces"), out)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="tensorboard to false"):
        TensorBoard(tmp_path)
