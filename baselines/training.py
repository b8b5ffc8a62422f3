"""Runs the trainer's stages for the benchmark: samples across, progress back, results into the cache."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spf_bench.errors import UserError
from spf_bench.method import TrainJob
from spf_bench.suite import Preset
from spf_train.config import StageConfig, TrainConfig
from spf_train.errors import ConfigError
from spf_train.settings import to_dict

Train = Callable[..., Path]


def config_of(preset: Preset, seed: int = 0) -> TrainConfig:
    """Return the trainer's settings that go with a benchmark preset."""
    return TrainConfig.from_dict({**TrainConfig.preset(preset.trainer).to_dict(), "seed": seed})


def naive_stage(job: TrainJob) -> Path:
    """Return the folder of stage 1, naive fine-tuning; methods that start from it share it."""
    from spf_train.train import train_stage1

    config = config_of(job.preset, job.seed)

    def build(folder: Path) -> dict[str, Any]:
        return _fit(job, config.stage1, "stage 1", lambda samples, on_step: train_stage1(
            job.pipeline, samples, config, folder, on_step, job.device
        ))  # fmt: skip

    return job.artifacts.get("stage1", {"stage1": to_dict(config.stage1), "seed": job.seed}, build)


def dual_path_stage(job: TrainJob, start: Path) -> Path:
    """Return the folder of stage 2, dual-path contrastive learning from the UNet in ``start``."""
    from spf_train.train import train_stage2

    config = config_of(job.preset, job.seed)
    key = {"stage2": to_dict(config.stage2), "spf": to_dict(config.spf), "seed": job.seed, "start": start.name}

    def build(folder: Path) -> dict[str, Any]:
        return _fit(job, config.stage2, "stage 2", lambda samples, on_step: train_stage2(
            job.pipeline, job.clip, start, samples, config, folder, on_step, job.device
        ))  # fmt: skip

    return job.artifacts.get("stage2", key, build)


def _fit(job: TrainJob, stage: StageConfig | None, title: str, train: Train) -> dict[str, Any]:
    """Train one stage and return what a record says of it."""
    from spf_train.data import Sample

    assert stage is not None  # every preset of the benchmark has both stages
    samples = [Sample(sample.image, sample.base, sample.target) for sample in job.samples]
    steps = stage.total_steps(len(samples))
    task = job.progress.task(title, steps)
    with _for_users():
        folder = train(samples, lambda step, total, terms: task.update(step, f"loss {terms['loss']:.3f}"))
    trained = _trainable(folder / "unet", stage)
    return {"steps": steps, "samples_seen": steps * stage.batch, "trainable_parameters": trained}


def _trainable(unet: Path, stage: StageConfig) -> int:
    """Count the parameters that ``stage`` trains, from the shapes of the saved weights alone."""
    from math import prod

    from safetensors import safe_open

    total = 0
    for file in unet.glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (safe_open is no mapping)
                if stage.trainable == "all" or ".attn2." in name:
                    total += prod(weights.get_slice(name).get_shape())
    return total


@contextmanager
def _for_users() -> Iterator[None]:
    """Say the trainer's complaints the way the benchmark says its own."""
    try:
        yield
    except ConfigError as error:
        raise UserError(error.what, error.why, error.fix) from error
