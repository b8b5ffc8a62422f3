"""What a stage is made of: the pipeline's parts where they belong, in the precision they need, and encoded samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from spf_train import variants
from spf_train.adapter import has_adapter
from spf_train.base_model import Source, load_pipeline, load_unet
from spf_train.clip import FrozenClip
from spf_train.config import LogConfig, SPFConfig, StageConfig, TrainConfig
from spf_train.contrast import ContrastTarget
from spf_train.data import Prepared
from spf_train.dual_path import DualPathStage
from spf_train.enhancement import ResponseEnhancement
from spf_train.errors import ConfigError
from spf_train.prediction import Diffusion
from spf_train.prepare import prepare
from spf_train.processes import Processes
from spf_train.sample import Sample
from spf_train.stages import NaiveStage
from spf_train.store import Progress
from spf_train.trainer import AUTOCAST
from spf_train.validation import Validation, choose_prompts


@dataclass(frozen=True)
class Inputs:
    """The model and the samples that a stage trains with.

    base: the original pipeline: a folder, a Hub id or a .safetensors file.
    device: as torch names it; None takes CUDA where there is one.
    cache: folder that keeps encodings; None keeps them in memory.
    max_skipped: share of samples in [0, 1] that may be unusable.
    encoding: called as encoding(what, done, total) while samples are encoded.
    prediction_type: of the pipeline, where it does not know it itself.
    """

    base: Source
    samples: Sequence[Sample]
    device: str | None = None
    cache: Path | None = None
    max_skipped: float = 0.01
    encoding: Progress | None = None
    prediction_type: str | None = None
    processes: Processes = field(default_factory=Processes)

    def pipeline(self, how: StageConfig) -> Any:
        """The pipeline on this process's device; all that stays frozen in the precision of `how`."""
        pipe = load_pipeline(self.base, self.processes.place(self.device), prediction_type=self.prediction_type)
        if (half := AUTOCAST[how.mixed_precision]) is not None:
            pipe.vae.to(half)
            pipe.text_encoder.to(half)
        return pipe

    def encoded(self, pipe: Any, unet: Any, clip: FrozenClip | None = None) -> Prepared:
        """The samples as the stage that trains `unet` needs them."""
        return prepare(
            self.samples,
            pipe,
            clip,
            cache=self.cache,
            rank=self.processes.rank,
            world=self.processes.world if self.cache is not None else 1,
            barrier=self.processes.barrier,
            target_states=has_adapter(unet),
            max_skipped=self.max_skipped,
            progress=self.encoding if self.processes.main else None,
        )

    def validation(self, pipe: Any, log: LogConfig) -> Validation | None:
        """The sampler of grids, if `log` wants any; the main process's."""
        if log.validate_every is None or not self.processes.main:
            return None
        return Validation(pipe, choose_prompts(log, self.samples), log)


@dataclass(frozen=True)
class Assembly:
    """A stage, its samples, and the sampler of grids where one is wanted."""

    stage: NaiveStage
    prepared: Prepared
    validation: Validation | None


def assemble_stage1(inputs: Inputs, config: TrainConfig) -> Assembly:
    """Naive fine-tuning; VAE and text encoder are freed once the samples are encoded."""
    how = wanted(config.stage1, "stage1")
    pipe = inputs.pipeline(how)
    weights = _trainable(pipe.unet, how, pipe, config.seed)
    diffusion = Diffusion.from_scheduler(pipe.scheduler)
    stage = NaiveStage(weights, diffusion, None, how.min_snr_gamma)
    return Assembly(stage, inputs.encoded(pipe, pipe.unet), inputs.validation(pipe, config.log))


def assemble_stage2(inputs: Inputs, clip_source: Source, start: Path | None, config: TrainConfig) -> Assembly:
    """Dual-path contrastive learning from the UNet in `start`, or the original.

    What the samples were encoded with is freed: the text encoder, the VAE's encoder, CLIP's text tower; and with
    w_enh = 0 all of VAE and CLIP.

    clip_source: a saved CLIPModel with tokenizer and image processor config, or its Hub id.
    """
    how = wanted(config.stage2, "stage2")
    pipe = inputs.pipeline(how)
    diffusion = Diffusion.from_scheduler(pipe.scheduler)
    _refuse_unreachable(config.spf, diffusion.timesteps)
    clip = FrozenClip.from_pretrained(clip_source).to(pipe.device)
    response = copy.deepcopy(pipe.unet) if start is None else load_unet(start, pipe.device)
    contrast = None
    if config.spf.diff_target == "contrast":
        first = pipe.unet if start is None else copy.deepcopy(response)
        contrast = ContrastTarget(first, config.spf.contrast_scale)
    response = _trainable(response, how, pipe, config.seed)
    prepared = inputs.encoded(pipe, response, clip)
    validation = inputs.validation(pipe, config.log)
    free_encoders(pipe.vae, clip)
    if (half := AUTOCAST[how.mixed_precision]) is not None:
        pipe.unet.to(half)
        clip.to(half)
        if contrast is not None:
            contrast.first.to(half)
    if how.gradient_checkpointing:
        pipe.vae.enable_gradient_checkpointing()  # the decoder, through which L_enh's gradient passes
    enhances = config.spf.w_enh > 0
    stage = DualPathStage(
        response=response,
        reference=pipe.unet,
        enhancement=ResponseEnhancement(pipe.vae if enhances else None, clip if enhances else None, config.spf),
        diffusion=diffusion,
        config=config.spf,
        which=None,
        min_snr_gamma=how.min_snr_gamma,
        mean_cosine=prepared.mean_cosine,
        contrast=contrast,
    )
    return Assembly(stage, prepared, validation)


def wanted(stage: StageConfig | None, name: str) -> StageConfig:
    """The settings of a stage that is to be trained. Raises ConfigError if there are none."""
    if stage is None:
        raise ConfigError(f"cannot train {name}", f"TrainConfig.{name} is None", f"give TrainConfig.{name}")
    return stage


def _refuse_unreachable(spf: SPFConfig, timesteps: int) -> None:
    """Raises ConfigError if alignment begins after the last of the scheduler's timesteps."""
    if spf.align_t_min >= timesteps:
        why = f"spf.align_t_min = {spf.align_t_min}, and the timesteps end at {timesteps - 1}"
        raise ConfigError("alignment would never act", why, "lower it; spf.w_text=0 and spf.w_fine=0 train without")


def free_encoders(vae: Any, clip: FrozenClip) -> None:
    """Drops the parts of both that encode the samples; what decodes latents and embeds images stays."""
    vae.encoder = vae.quant_conv = None
    clip.model.text_model = clip.model.text_projection = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _trainable(unet: Any, how: StageConfig, pipe: Any, seed: int) -> Any:
    """The UNet with what its variant adds, ready to train."""
    context = pipe.tokenizer.model_max_length
    variants.apply(unet, how.trainable, how.lora_rank, how.lora_alpha, context, seed)
    if how.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    if pipe.device.type == "cuda":
        torch.cuda.empty_cache()
    return unet
