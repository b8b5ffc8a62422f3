"""The two stages from folder to folder: load, encode, train, save. Running one again resumes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from spf_train.checkpoint import RunFolder
from spf_train.clip import FrozenClip
from spf_train.config import StageConfig, TrainConfig
from spf_train.data import Prepared, Sample
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.errors import ConfigError
from spf_train.identity import samples_digest, weights_digest
from spf_train.loop import OnStep, fit
from spf_train.prediction import Diffusion
from spf_train.prepare import prepare
from spf_train.settings import to_dict
from spf_train.stages import NaiveStage


def train_stage1(
    pipe_dir: Path,
    samples: Sequence[Sample],
    config: TrainConfig,
    out: Path,
    progress: OnStep | None = None,
    device: str | None = None,
) -> Path:
    """Naive fine-tuning of a pipeline's UNet; returns `out`, with the trained UNet in out/unet.

    pipe_dir: a saved StableDiffusionPipeline.
    config: `stage1` and `seed` are used.
    out: the run's folder: a finished one is returned at once, an unfinished one resumed.
    progress: called after every step as progress(step, total, terms).
    device: as torch names it; None takes CUDA where there is one.
    Raises ConfigError for settings, samples or folders that cannot be trained with.
    """
    how = _wanted(config.stage1, "stage1")
    parts = {"stage": _settings(how), "seed": config.seed, "original": weights_digest(unet_folder(pipe_dir))}
    run = RunFolder(out, parts | {"samples": samples_digest(samples)})
    if not run.finished:
        stage, prepared = load_stage1(pipe_dir, samples, how, device)
        fit(stage, prepared, how, run, config.seed, progress)
    return run.path


def train_stage2(
    pipe_dir: Path,
    clip_dir: Path,
    start_unet: Path | None,
    samples: Sequence[Sample],
    config: TrainConfig,
    out: Path,
    progress: OnStep | None = None,
    device: str | None = None,
) -> Path:
    """Dual-path contrastive learning; returns `out`, with the trained UNet in out/unet.

    clip_dir: a saved CLIPModel with tokenizer and image processor config.
    start_unet: where the response path starts, a folder of stage 1 or of a UNet; None is the original.
    config: `stage2`, `spf` and `seed` are used.
    The other arguments, the resuming and the errors are those of `train_stage1`.
    """
    how = _wanted(config.stage2, "stage2")
    parts = {"stage": _settings(how), "seed": config.seed, "original": weights_digest(unet_folder(pipe_dir))}
    parts |= {"spf": to_dict(config.spf), "start": weights_digest(unet_folder(start_unet or pipe_dir))}
    run = RunFolder(out, parts | {"clip": weights_digest(clip_dir), "samples": samples_digest(samples)})
    if not run.finished:
        stage, prepared = load_stage2(pipe_dir, clip_dir, start_unet, samples, config, device)
        fit(stage, prepared, how, run, config.seed, progress)
    return run.path


def load_stage1(
    pipe_dir: Path, samples: Sequence[Sample], how: StageConfig, device: str | None = None
) -> tuple[NaiveStage, Prepared]:
    """The stage-1 step of a pipeline, and its samples encoded: what `fit` needs."""
    pipe = load_pipeline(pipe_dir, device)
    diffusion = Diffusion.from_scheduler(pipe.scheduler)
    stage = NaiveStage(_to_train(pipe.unet, how), diffusion, how.trainable, how.min_snr_gamma)
    return stage, prepare(samples, pipe)


def load_stage2(
    pipe_dir: Path,
    clip_dir: Path,
    start_unet: Path | None,
    samples: Sequence[Sample],
    config: TrainConfig,
    device: str | None = None,
) -> tuple[DualPathStage, Prepared]:
    """The stage-2 step of a pipeline, and its samples encoded: what `fit` needs."""
    how = _wanted(config.stage2, "stage2")
    pipe = load_pipeline(pipe_dir, device)
    clip = FrozenClip.from_pretrained(clip_dir).to(pipe.device)
    prepared = prepare(samples, pipe, clip)
    stage = DualPathStage(
        response=_to_train(load_unet(start_unet or pipe_dir, pipe.device), how),
        reference=pipe.unet,
        enhancement=ResponseEnhancement(pipe.vae, clip, config.spf),
        diffusion=Diffusion.from_scheduler(pipe.scheduler),
        config=config.spf,
        which=how.trainable,
        min_snr_gamma=how.min_snr_gamma,
        mean_cosine=prepared.mean_cosine,
    )
    return stage, prepared


def load_pipeline(pipe_dir: Path, device: str | None = None) -> Any:
    """A saved StableDiffusionPipeline in fp32 on the device, every part frozen.

    Raises ConfigError if the folder holds none.
    """
    if not (Path(pipe_dir) / "model_index.json").is_file():
        why = "it has no model_index.json"
        raise ConfigError(f"{pipe_dir} is no pipeline", why, "pass the folder of a saved StableDiffusionPipeline")
    pipe = StableDiffusionPipeline.from_pretrained(pipe_dir, safety_checker=None)
    pipe.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    for part in (pipe.vae, pipe.text_encoder, pipe.unet):
        part.float().eval().requires_grad_(False)
    for part in (pipe.vae, pipe.unet):
        part.to(memory_format=torch.channels_last)  # convolutions run faster so, on CPU and GPU alike
    return pipe


def unet_folder(folder: Path) -> Path:
    """The UNet's own folder, given it, a pipeline's or a stage's. Raises ConfigError if there is none."""
    for candidate in (Path(folder) / "unet", Path(folder)):
        if (candidate / "config.json").is_file():
            return candidate
    raise ConfigError(f"{folder} holds no UNet", "neither it nor its unet/ has a config.json", "check the path")


def load_unet(folder: Path, device: torch.device) -> Any:
    """A UNet2DConditionModel in fp32 on the device, from any folder `unet_folder` knows."""
    unet: Any = UNet2DConditionModel.from_pretrained(unet_folder(folder))
    return unet.float().to(device).to(memory_format=torch.channels_last)


def _to_train(unet: Any, how: StageConfig) -> Any:
    if how.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    return unet


def _wanted(stage: StageConfig | None, name: str) -> StageConfig:
    if stage is None:
        raise ConfigError(f"cannot train {name}", f"TrainConfig.{name} is None", f"give TrainConfig.{name}")
    return stage


def _settings(how: StageConfig) -> dict[str, Any]:
    """What of a stage's settings changes its result."""
    without = ("checkpoint_every", "gradient_checkpointing")
    return {name: value for name, value in to_dict(how).items() if name not in without}
