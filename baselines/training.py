"""Runs the trainer's stages for the benchmark: samples across, progress back, results into the cache."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from spf_bench.errors import Problem, UserError
from spf_bench.method import TrainJob
from spf_bench.suite import Preset
from spf_train.config import StageConfig, TrainConfig
from spf_train.errors import ConfigError, ConfigErrors
from spf_train.overrides import resolve
from spf_train.settings import to_dict

Train = Callable[..., Path]
NOT_OF_THE_METHOD = ("seed", "log")
PRECISIONS = {"no": "fp32", "fp16": "fp16", "bf16": "bf16"}
"""What a record calls the trainer's settings of mixed precision."""


def config_of(preset: Preset, changes: Sequence[str] = (), seed: int = 0) -> TrainConfig:
    """Return the trainer's settings of a benchmark preset, with some of them changed by ``a.b=value`` words.

    Raises:
        UserError: Naming every word that names no setting, or gives it a value it cannot have.
    """
    if any(change.split("=")[0].strip() == "seed" for change in changes):
        raise UserError("the seed is no setting of a method", "the harness gives it to all alike", "use --seed")
    with for_users():
        return resolve(preset.trainer, None, changes).changed({"seed": seed})


def settings_of(preset: Preset, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the settings that decide what is learned, as plain JSON types."""
    config = config_of(preset, changes).to_dict()
    return {name: group for name, group in config.items() if name not in NOT_OF_THE_METHOD}


def naive_stage(job: TrainJob, config: TrainConfig) -> Path:
    """Return the folder of stage 1, naive fine-tuning; methods that start from it share it."""
    from baselines.samples import encodings
    from spf_train.train import train_stage1

    def build(folder: Path) -> dict[str, Any]:
        return fit_for_record(job, config.stage1, "stage 1", lambda samples, on_step: train_stage1(
            job.pipeline, samples, config, folder, on_step, job.device,
            cache=encodings(job, samples), max_skipped=0,
        ))  # fmt: skip

    return job.artifacts.get("stage1", {"stage1": to_dict(config.stage1), "seed": job.seed}, build)


def dual_path_stage(job: TrainJob, config: TrainConfig, start: Path | None) -> Path:
    """Return the folder of stage 2, dual-path contrastive learning from the UNet in ``start``, or the original."""
    from baselines.samples import encodings
    from spf_train.train import train_stage2

    key = {"stage2": to_dict(config.stage2), "spf": to_dict(config.spf), "seed": job.seed}
    key["start"] = None if start is None else start.name

    def build(folder: Path) -> dict[str, Any]:
        return fit_for_record(job, config.stage2, "stage 2", lambda samples, on_step: train_stage2(
            job.pipeline, job.clip, start, samples, config, folder, on_step, job.device,
            cache=encodings(job, samples), max_skipped=0,
        ))  # fmt: skip

    return job.artifacts.get("stage2", key, build)


@contextmanager
def for_users() -> Iterator[None]:
    """Say the trainer's complaints the way the benchmark says its own."""
    try:
        yield
    except ConfigErrors as error:
        raise UserError(error.what, problems=[Problem(*problem) for problem in error.problems]) from error
    except ConfigError as error:
        raise UserError(error.what, error.why, error.fix) from error


def fit_for_record(job: TrainJob, stage: StageConfig | None, title: str, train: Train) -> dict[str, Any]:
    """Train one stage and return what a record says of it."""
    from baselines.samples import samples_of
    from spf_train.processes import apart

    assert stage is not None  # a method asks for the stages it has
    samples = samples_of(job)
    steps = stage.total_steps(len(samples))
    task = job.progress.task(title, steps)
    with for_users(), apart():  # of processes that a run was launched with, the main one alone trains
        folder = train(samples, lambda step, total, terms: task.update(step, f"loss {terms['loss']:.3f}"))
    return {
        "steps": steps,
        "samples_seen": steps * stage.batch,
        "trainable_parameters": trained_parameters(folder, stage),
        "checkpoint_bytes": sum(file.stat().st_size for file in weight_files(folder, stage)),
        "precision": PRECISIONS[stage.mixed_precision],
        **_passes(folder),
    }


def _passes(folder: Path) -> dict[str, int]:
    """Return the most forward passes that a step took, where the device's memory did not hold the planned parts."""
    log = folder / "log.jsonl"
    rows = map(json.loads, log.read_text().splitlines()) if log.is_file() else ()
    forced = [int(row["passes"]) for row in rows if "passes" in row]
    return {"passes": max(forced)} if forced else {}


def weight_files(folder: Path, stage: StageConfig) -> list[Path]:
    """Return what must be kept of a trained stage: the weights it added, or else the whole UNet."""
    from spf_train import variants

    added = {"lora": folder / "lora" / variants.LORA_FILE, "adapter": folder / variants.ADAPTER_FILE}
    return [added[stage.trainable]] if stage.trainable in added else sorted((folder / "unet").glob("*.safetensors"))


def trained_parameters(folder: Path, stage: StageConfig) -> int:
    """Count the parameters that ``stage`` trained, from the shapes of the saved weights alone."""
    from safetensors import safe_open

    from spf_train import variants

    added = stage.trainable in ("lora", "adapter")
    total = 0
    for file in weight_files(folder, stage):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (safe_open is no mapping)
                if added or variants.trains(name, stage.trainable):
                    total += prod(weights.get_slice(name).get_shape())
    return total
