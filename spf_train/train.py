"""From samples to a trained pipeline: both stages, then the export. Running it again resumes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spf_train.base_model import Source, load_pipeline, load_unet, resolve, unet_folder
from spf_train.clip import find_clip
from spf_train.config import TrainConfig
from spf_train.dataset import open_dataset
from spf_train.errors import ConfigErrors, Problem
from spf_train.export import export
from spf_train.processes import Processes
from spf_train.runs import load_stage1, load_stage2, train_stage1, train_stage2
from spf_train.sample import Sample

TrainProgress = Callable[[str, int, int, dict[str, float]], None]
OnStageCheckpoint = Callable[[str, int, Path], None]

__all__ = [
    "load_pipeline",
    "load_stage1",
    "load_stage2",
    "load_unet",
    "train",
    "train_stage1",
    "train_stage2",
    "unet_folder",
]


def train(
    config: TrainConfig,
    base_model: Source,
    clip: Source | None,
    data: Path | str | Sequence[Sample],
    out: Path,
    *,
    cache: Path | None = None,
    progress: TrainProgress | None = None,
    on_checkpoint: OnStageCheckpoint | None = None,
    device: str | None = None,
    max_skipped: float = 0.01,
    prediction_type: str | None = None,
) -> Path:
    """Trains the stages that `config` has, one after the other, and exports the result; returns out/pipeline.

    base_model: the original pipeline: a folder, a Hub id or a .safetensors file in Stable Diffusion's layout.
    clip: the CLIP of stage 2: a folder or a Hub id, looked for before stage 1; None where there is no stage 2.
    data: samples, or where `open_dataset` finds them.
    out: gets stage1/ and stage2/ (see `train_stage1`), pipeline/ and pipeline.safetensors (see `export`).
    cache: folder that keeps encodings; None is out/cache for images in files, and memory for images in memory.
    progress: called as progress(what, done, total, terms): after every step, `what` being the stage and `terms` its
        losses, and while samples are encoded, `what` being their encodings and `terms` empty.
    on_checkpoint: called as on_checkpoint(stage, step, folder); see `fit`.
    device, max_skipped, prediction_type: see `Inputs`.
    Raises ConfigError for settings, samples or folders that cannot be trained with.
    """
    _check(config, clip)
    samples = open_dataset(data) if isinstance(data, str | Path) else data
    _find_models(config, base_model, clip)
    if cache is None and samples and not isinstance(samples[0].image, np.ndarray):
        cache = Path(out) / "cache"

    def encoding(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress(what, done, total, {})

    def hooks(stage: str) -> dict[str, Any]:
        return {
            "progress": None if progress is None else partial(progress, stage),
            "on_checkpoint": None if on_checkpoint is None else partial(on_checkpoint, stage),
        }

    common: dict[str, Any] = {"device": device, "cache": cache, "encoding": encoding}
    common |= {"max_skipped": max_skipped, "prediction_type": prediction_type}
    runs: dict[str, Path] = {}
    if config.stage1 is not None:
        folder = Path(out) / "stage1"
        runs["stage1"] = train_stage1(base_model, samples, config, folder, **common, **hooks("stage1"))
    if config.stage2 is not None and clip is not None:
        start, folder = runs.get("stage1"), Path(out) / "stage2"
        runs["stage2"] = train_stage2(base_model, clip, start, samples, config, folder, **common, **hooks("stage2"))
    processes = Processes.current()
    if processes.main:
        export(base_model, runs, config, samples, Path(out), processes.place(device), prediction_type)
    processes.barrier()
    return Path(out) / "pipeline"


def _check(config: TrainConfig, clip: Source | None) -> None:
    """Raises ConfigErrors if there is nothing to train, or stage 2 lacks its CLIP."""
    problems = []
    if config.stage1 is None and config.stage2 is None:
        problems.append(Problem("stage1, stage2", "both are null: there is nothing to train", "give one of them"))
    if config.stage2 is not None and clip is None:
        problems.append(Problem("clip", "stage 2 needs one", "pass a CLIPModel's folder or Hub id"))
    if problems:
        raise ConfigErrors("cannot train", problems)


def _find_models(config: TrainConfig, base_model: Source, clip: Source | None) -> None:
    """Raises ConfigError if a model cannot be had: stage 2 would say so of its CLIP only once stage 1 is trained."""
    resolve(base_model)
    if config.stage2 is not None and clip is not None:
        find_clip(clip)
