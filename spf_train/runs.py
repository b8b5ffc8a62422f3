"""The two stages, each from samples to a folder. Running one again resumes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spf_train.assembly import Assembly, Inputs, assemble_stage1, assemble_stage2, wanted
from spf_train.base_model import Source, adapter_beside, base_digest, surroundings_digest, unet_folder
from spf_train.checkpoint import RunFolder
from spf_train.clip import resolve_clip
from spf_train.config import StageConfig, TrainConfig
from spf_train.data import Prepared
from spf_train.dual_path import DualPathStage
from spf_train.identity import samples_digest, weights_digest
from spf_train.loop import OnCheckpoint, OnStep, fit
from spf_train.observers import Grids, Observers
from spf_train.processes import Processes
from spf_train.sample import Sample
from spf_train.settings import to_dict
from spf_train.stages import NaiveStage
from spf_train.store import Progress
from spf_train.trackers import open_trackers


def train_stage1(
    pipe_dir: Source,
    samples: Sequence[Sample],
    config: TrainConfig,
    out: Path,
    progress: OnStep | None = None,
    device: str | None = None,
    *,
    cache: Path | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    encoding: Progress | None = None,
    max_skipped: float = 0.01,
    prediction_type: str | None = None,
) -> Path:
    """Naive fine-tuning of a pipeline's UNet; returns `out`, with the trained UNet in out/unet.

    pipe_dir: a saved StableDiffusionPipeline, or any other base model that `load_pipeline` knows.
    config: `stage1`, `log` and `seed` are used.
    out: the run's folder: a finished one is returned at once, an unfinished one resumed.
    progress: called after every step as progress(step, total, terms).
    on_checkpoint: see `fit`.
    device, cache, encoding, max_skipped, prediction_type: see `Inputs`.
    Raises ConfigError for settings, samples or folders that cannot be trained with.
    """
    how = wanted(config.stage1, "stage1")
    own = Processes.current()
    inputs = Inputs(pipe_dir, samples, device, cache, max_skipped, encoding, prediction_type, own)
    run = _run(inputs, out, {"stage": _settings(how), "seed": config.seed})
    if not run.finished:
        _fit(assemble_stage1(inputs, config), how, run, config, progress, on_checkpoint)
    return run.path


def train_stage2(
    pipe_dir: Source,
    clip_dir: Source,
    start_unet: Path | None,
    samples: Sequence[Sample],
    config: TrainConfig,
    out: Path,
    progress: OnStep | None = None,
    device: str | None = None,
    *,
    cache: Path | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    encoding: Progress | None = None,
    max_skipped: float = 0.01,
    prediction_type: str | None = None,
) -> Path:
    """Dual-path contrastive learning; returns `out`, with the trained UNet in out/unet.

    clip_dir: a saved CLIPModel with tokenizer and image processor config, or its Hub id.
    start_unet: where the response path starts, a folder of stage 1 or of a UNet; None is the original.
    config: `stage2`, `spf`, `log` and `seed` are used.
    The other arguments, the resuming and the errors are those of `train_stage1`.
    """
    how = wanted(config.stage2, "stage2")
    own = Processes.current()
    inputs = Inputs(pipe_dir, samples, device, cache, max_skipped, encoding, prediction_type, own)
    parts = {"stage": _settings(how), "seed": config.seed, "spf": to_dict(config.spf), **_start(pipe_dir, start_unet)}
    run = _run(inputs, out, parts | {"clip": weights_digest(resolve_clip(clip_dir))})
    if not run.finished:
        _fit(assemble_stage2(inputs, clip_dir, start_unet, config), how, run, config, progress, on_checkpoint)
    return run.path


def load_stage1(
    pipe_dir: Source, samples: Sequence[Sample], config: TrainConfig, device: str | None = None
) -> tuple[NaiveStage, Prepared]:
    """The stage-1 step of a pipeline, and its samples encoded: what `fit` needs."""
    assembly = assemble_stage1(Inputs(pipe_dir, samples, device), config)
    return assembly.stage, assembly.prepared


def load_stage2(
    pipe_dir: Source,
    clip_dir: Source,
    start_unet: Path | None,
    samples: Sequence[Sample],
    config: TrainConfig,
    device: str | None = None,
) -> tuple[DualPathStage, Prepared]:
    """The stage-2 step of a pipeline, and its samples encoded: what `fit` needs."""
    assembly = assemble_stage2(Inputs(pipe_dir, samples, device), clip_dir, start_unet, config)
    assert isinstance(assembly.stage, DualPathStage)
    return assembly.stage, assembly.prepared


def _run(inputs: Inputs, out: Path, parts: dict[str, Any]) -> RunFolder:
    """The folder of a run that depends on its inputs and `parts`."""
    own = inputs.processes
    shared = own.world if inputs.cache is not None else 1
    parts |= {"original": base_digest(inputs.base)}
    if (surroundings := surroundings_digest(inputs.base)) is not None:
        parts |= {"encoders_and_scheduler": surroundings}
    if inputs.prediction_type is not None:
        parts |= {"prediction_type": inputs.prediction_type}
    parts |= {"samples": samples_digest(inputs.samples, inputs.cache, own.rank, shared, own.barrier)}
    return RunFolder(out, parts, own)


def _start(original: Source, start: Path | None) -> dict[str, str]:
    """Digests of the UNet that stage 2 starts from, and of the adapter that belongs to it where there is one."""
    if start is None:
        return {"start": base_digest(original)}
    digests = {"start": weights_digest(unet_folder(start))}
    if (adapter := adapter_beside(start)) is not None:  # unet/ is the original's, whatever the adapter has learned
        digests["start_adapter"] = weights_digest(adapter)
    return digests


def _fit(
    assembly: Assembly,
    how: StageConfig,
    run: RunFolder,
    config: TrainConfig,
    progress: OnStep | None,
    on_checkpoint: OnCheckpoint | None,
) -> None:
    """Trains a stage, under the eyes of the trackers and grids that the settings ask for."""
    grids = None
    if assembly.validation is not None:
        grids = Grids(assembly.validation, assembly.stage.unet, run.path / "validation")
    observers = Observers(open_trackers(config.log, run), grids)
    stage, prepared = assembly.stage, assembly.prepared
    fit(stage, prepared, how, run, config.seed, progress, on_checkpoint=on_checkpoint, observers=observers)


def _settings(how: StageConfig) -> dict[str, Any]:
    """What of a stage's settings changes its result."""
    without = {"checkpoint_every", "gradient_checkpointing"}
    without |= set() if how.trainable == "lora" else {"lora_rank", "lora_alpha"}
    return {name: value for name, value in to_dict(how).items() if name not in without}
