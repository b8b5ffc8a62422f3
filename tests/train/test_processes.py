"""Several processes train as one does: same losses, one writer, one decision; and what one kills, all resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from spf_train import ConfigError, NonFiniteLossError, Sample, StageConfig
from spf_train.checkpoint import RunFolder
from spf_train.config import LogConfig, TrainConfig
from spf_train.data import Batch
from spf_train.loop import fit
from spf_train.prediction import Diffusion
from spf_train.processes import Processes, apart
from spf_train.runs import load_stage1
from spf_train.stages import Stage, Terms
from spf_train.train import train
from spf_train.trainer import Trainer
from tests.train.together import together

HOW = StageConfig(
    steps=6, batch=5, micro_batch=2, lr=1e-3, warmup=2, caption_dropout=0.2, ema_decay=0.9, checkpoint_every=2
)


def train_one(pipe_dir: Path, samples: list[Sample], folder: Path, kill_at: int | None = None) -> None:
    """A run of stage 1 by whatever processes there are; the main one may be killed after a step."""
    processes = Processes.current()
    stage, prepared = load_stage1(pipe_dir, samples, TrainConfig(HOW), "cpu")

    def on_step(step: int, total: int, terms: dict[str, float]) -> None:
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    fit(stage, prepared, HOW, RunFolder(folder, {}, processes), 0, on_step)


def losses(folder: Path) -> list[list[float]]:
    rows = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [[row[name] for name in ("step", "loss", "grad_norm")] for row in rows]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def two(pipe_dir: Path, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    assert together(train_one, pipe_dir, samples, folder) == [0, 0]
    return folder


def test_two_processes_train_as_one(pipe_dir: Path, samples: list[Sample], tmp_path: Path, two: Path) -> None:
    train_one(pipe_dir, samples, tmp_path)
    for shared, alone in zip(losses(two), losses(tmp_path), strict=True):
        assert shared == pytest.approx(alone, rel=1e-4)
    shared_weights, alone_weights = weights(two), weights(tmp_path)
    # Adam's first steps are the sign of the gradient: where that is almost 0, rounding decides.
    apart = torch.cat([(shared_weights[name] - alone_weights[name]).abs().flatten() for name in alone_weights])
    assert apart.mean() < 1e-5 and apart.max() < 6e-3


def test_a_killed_run_of_two_resumes_bit_for_bit(
    pipe_dir: Path, samples: list[Sample], tmp_path: Path, two: Path
) -> None:
    first, _second = together(train_one, pipe_dir, samples, tmp_path, 3)
    assert first == -signal.SIGKILL and not (tmp_path / "finished.json").exists()
    assert together(train_one, pipe_dir, samples, tmp_path) == [0, 0]
    assert losses(tmp_path) == losses(two)
    resumed, straight = weights(tmp_path), weights(two)
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


class Breaking(Stage):
    """A stage whose loss is no number in the last process, at the third step."""

    def __init__(self, rank: int) -> None:
        self.weight = nn.Parameter(torch.ones(()))
        self.unused = nn.Parameter(torch.ones(()))
        self.diffusion = Diffusion(torch.linspace(0.9, 0.1, 1000), "epsilon")
        self.rank, self.steps = rank, 0

    def trainable(self) -> dict[str, nn.Parameter]:
        return {"weight": self.weight, "unused": self.unused}

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        self.steps += 1
        broken = self.steps == 3 and self.rank == 1
        return self.weight**2 * (float("nan") if broken else 1.0), {}

    def save(self, folder: Path) -> None:
        raise AssertionError("a broken run has no result")


def break_one(pipe_dir: Path, samples: list[Sample], folder: Path) -> None:
    processes = Processes.current()
    _, prepared = load_stage1(pipe_dir, samples, TrainConfig(HOW), "cpu")
    stage = Breaking(processes.rank)
    with pytest.raises(NonFiniteLossError, match="step 3: loss is nan"):
        fit(stage, prepared, replace(HOW, micro_batch=None), RunFolder(folder, {}, processes), 0)
    assert stage.unused.grad is None and stage.unused.item() == 1  # no gradient, so no weight decay either
    with pytest.raises(ConfigError, match="cannot be split over 2"):
        Trainer(stage, prepared, replace(HOW, batch=1), 0, processes)


def test_what_breaks_one_process_stops_all(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    assert together(break_one, pipe_dir, samples, tmp_path) == [0, 0]
    checkpoint = RunFolder(tmp_path, {}).load_checkpoint()
    assert checkpoint is not None and checkpoint["step"] == 2


def leave_early(pipe_dir: Path, samples: list[Sample], folder: Path) -> None:
    processes = Processes.current()
    stage, prepared = load_stage1(pipe_dir, samples, TrainConfig(HOW), "cpu")
    out = RunFolder(folder, {}, processes)
    assert not fit(stage, prepared, HOW, out, 0, stop=lambda step: step == 3 and processes.rank == 1)


def test_all_leave_after_the_same_step(pipe_dir: Path, samples: list[Sample], tmp_path: Path) -> None:
    assert together(leave_early, pipe_dir, samples, tmp_path) == [0, 0]
    checkpoint = RunFolder(tmp_path, {}).load_checkpoint()
    assert checkpoint is not None and checkpoint["step"] == 3


def train_both(pipe_dir: Path, clip_dir: Path, data: Path, out: Path) -> None:
    how = StageConfig(steps=2, batch=3, lr=1e-3)
    log = LogConfig(tensorboard=True, validate_every=2, validation_steps=1)
    train(TrainConfig(how, replace(how, trainable="cross_attention"), log=log), pipe_dir, clip_dir, data, out)


def test_both_stages_share_cache_and_folder(
    pipe_dir: Path, clip_dir: Path, samples: list[Sample], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number, sample in enumerate(samples[:5]):
        Image.fromarray(np.asarray(sample.image)).save(data / f"{number}.png")
        row = {"file_name": f"{number}.png", "base": sample.base, "target": sample.target}
        with (data / "metadata.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    two, one = tmp_path / "two", tmp_path / "one"
    assert together(train_both, pipe_dir, clip_dir, data, two) == [0, 0]
    train_both(pipe_dir, clip_dir, data, one)
    for stage in ("stage1", "stage2"):
        for shared, alone in zip(losses(two / stage), losses(one / stage), strict=True):
            assert shared == pytest.approx(alone, rel=1e-3)
        assert len(list((two / stage / "tensorboard").iterdir())) == 1
    assert (two / "pipeline" / "README.md").is_file() and (two / "pipeline.safetensors").is_file()


def left_behind(folder: Path) -> None:
    processes = Processes.current()
    if processes.rank == 1:
        os._exit(7)
    start = time.monotonic()
    with pytest.raises(ConfigError, match="another process has ended"):
        processes.sum(torch.ones(2))
    with pytest.raises(ConfigError, match="another process has ended"):
        processes.barrier()
    with apart():
        assert Processes.current() == Processes()
    (folder / "seconds").write_text(str(time.monotonic() - start))


def test_who_is_left_behind_is_told_at_once(tmp_path: Path) -> None:
    assert together(left_behind, tmp_path) == [0, 7]
    assert float((tmp_path / "seconds").read_text()) < 20


def test_shares_cover_a_batch_once() -> None:
    for world in (1, 2, 3, 8):
        shares = [range(9)[Processes(rank, world).share(9)] for rank in range(world)]
        assert [sample for share in shares for sample in share] == list(range(9))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_each_process_has_its_own_gpu() -> None:
    third = Processes(2, 4, "cuda:2")
    assert [third.place(asked) for asked in (None, "cuda", "cpu")] == ["cuda:2", "cuda:2", "cpu"]
    assert Processes().place(None) is None and Processes().place("cuda:1") == "cuda:1"


def test_accelerate_launch_connects_the_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\nfrom pathlib import Path\nfrom spf_train.processes import Processes\n"
        "own = Processes.current()\n"
        "total = own.sum(torch.tensor(float(own.rank + 1)))\n"
        "Path(__file__).with_name(f'{own.rank}').write_text(f'{own.world} {total.item()} {own.main}')\n"
    )
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    ports: list[Any] = ["--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    subprocess.run([*launch, *ports, str(script)], env=environment, check=True, capture_output=True, timeout=120)
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["2 3.0 True", "2 3.0 False"]
