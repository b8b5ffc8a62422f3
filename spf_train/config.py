"""Every setting of the two training stages, and their presets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from spf_train import settings

Trainable = Literal["all", "cross_attention", "lora", "adapter"]
LrSchedule = Literal["constant", "cosine", "linear"]
MixedPrecision = Literal["no", "fp16", "bf16"]


@dataclass(frozen=True)
class StageConfig:
    """How one stage is optimised. Exactly one of `steps` and `epochs` is given.

    steps: optimiser steps.
    epochs: passes over the samples, in place of `steps`.
    batch: samples per optimiser step, over all processes.
    micro_batch: samples per forward pass of one process; the gradient of a batch is accumulated over its parts.
    lr: learning rate after warm-up.
    lr_schedule: what follows the warm-up: the same rate, or a fall to 0 along half a cosine or a line.
    warmup: steps over which the learning rate rises linearly, from lr / warmup; as many as the stage has, or more,
        are warned of.
    betas, weight_decay: of AdamW.
    grad_clip: largest L2 norm of the whole gradient; None does not clip.
    caption_dropout: probability in [0, 1] that a sample is trained with the empty caption.
    mixed_precision: autocast type; trained weights and optimiser state stay in fp32. fp16 needs CUDA.
    ema_decay: decay of the exponential moving average that is saved in place of the last weights.
    min_snr_gamma: clips the weight of easy timesteps in L_diff (arXiv:2303.09556); None weighs all alike.
    trainable: every UNet weight; only to_q, to_k, to_v and to_out of the `attn2` layers; low-rank additions to
        those; or an adapter, a branch of keys and values of its own for the target text (Table 4).
    lora_rank, lora_alpha: of "lora"; alpha None is the rank.
    checkpoint_every: steps between checkpoints.
    gradient_checkpointing: recomputes activations in the backward pass: less memory, more time, same result.
    """

    steps: int | None = None
    epochs: float | None = None
    batch: int = 8
    micro_batch: int | None = None
    lr: float = 1e-5
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    grad_clip: float | None = 1.0
    caption_dropout: float = 0.0
    mixed_precision: MixedPrecision = "no"
    ema_decay: float | None = None
    min_snr_gamma: float | None = None
    trainable: Trainable = "all"
    lora_rank: int = 16
    lora_alpha: float | None = None
    lr_schedule: LrSchedule = "constant"
    checkpoint_every: int = 500
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        if (self.steps is None) == (self.epochs is None):
            yield "steps", "exactly one of steps and epochs is given"
        positive = ("steps", "epochs", "batch", "micro_batch", "lr", "checkpoint_every", "lora_rank", "lora_alpha")
        yield from _above_zero(self, *positive, "grad_clip", "min_snr_gamma")
        yield from _not_negative(self, "warmup", "weight_decay")
        if not all(0 <= beta < 1 for beta in self.betas):
            yield "betas", "each of the two lies in [0, 1)"
        if not 0 <= self.caption_dropout <= 1:
            yield "caption_dropout", "a probability lies in [0, 1]"
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            yield "ema_decay", "a decay lies between 0 and 1"

    def total_steps(self, samples: int) -> int:
        """Optimiser steps for a set of `samples` samples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return math.ceil(self.epochs * samples / self.batch)


@dataclass(frozen=True)
class SPFConfig:
    """What stage 2 optimises. Each default that the paper does not state is argued in docs/decisions.md.

    norm: "mse" is the mean square of each layer's difference; "l2" its unsquared L2 norm, as printed.
    text_positions: positions that L_text compares: the base tokens, or those and the padding both share.
    text_mask: where (1 - M̂) enters L_text: on the values Q ("query"), or on the attention maps ("map").
    use_sfcm: False is vanilla alignment: the control map is 0 everywhere.
    rescale: divides the control map by its per-sample maximum.
    phrase_map: "minmax" scales each phrase's map to [0, 1]; "mass" keeps its share of the attention mass.
    gamma_center: moves the training set's mean phrase-target similarity to this value; None leaves it.
    w_diff, w_text, w_fine, w_enh: weights of the four losses in Eq. 12.
    response_loss: "difference" is Eq. 10; "clip" is the direct CLIP supervision of Eq. 11.
    enhance_decode: "full" decodes the predicted latent; "clip-size" first resizes it to CLIP's input size.
    align_t_min, align_t_max: the timesteps (both included) at which alignment acts; None is the last one.
    enhance_t_max: the last timestep at which response enhancement acts; None is the last one.
    soft_map: what M compares (Eq. 5): "paths", the reference path with the response path; or "text" (ours), the
        response path with itself, without and with the target text, in which stage 1's pollution cancels out.
    soft_scale: how M is scaled: "minmax", or "quantile" (ours), which releases regions instead of points.
    layer_map: how M̂ is brought to coarser layers: "area", or "max" (ours), which keeps small regions released.
    diff_area: where L_diff acts on aligned samples: "all" of the picture, or what M̂ has "released" (ours), which
        needs `use_sfcm`.
    diff_target: what L_diff compares the response path with: the noise of the "image", or the "contrast" (ours): the
        reference path, plus what the target text changes in stage 1's prediction; see ContrastTarget.
    contrast_scale: how much of that change is taught.
    align_uncond: our extension: samples whose caption was dropped are aligned with the reference's
        unconditional branch, everywhere (M̂ = 0); without it they only enter L_diff.
    """

    norm: Literal["mse", "l2"] = "mse"
    text_positions: Literal["base", "base+pad"] = "base"
    text_mask: Literal["query", "map"] = "query"
    use_sfcm: bool = True
    rescale: bool = True
    phrase_map: Literal["minmax", "mass"] = "minmax"
    gamma_center: float | None = None
    w_diff: float = 1.0
    w_text: float = 0.2
    w_fine: float = 0.1
    w_enh: float = 0.6
    response_loss: Literal["difference", "clip"] = "difference"
    enhance_decode: Literal["full", "clip-size"] = "full"
    align_t_min: int = 0
    align_t_max: int | None = None
    enhance_t_max: int | None = None
    soft_map: Literal["paths", "text"] = "paths"
    soft_scale: Literal["minmax", "quantile"] = "minmax"
    layer_map: Literal["area", "max"] = "area"
    diff_area: Literal["all", "released"] = "all"
    diff_target: Literal["image", "contrast"] = "image"
    contrast_scale: float = 1.0
    align_uncond: bool = False

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        weights = ("w_diff", "w_text", "w_fine", "w_enh")
        yield from _not_negative(self, *weights, "align_t_min", "align_t_max", "enhance_t_max")
        yield from _above_zero(self, "contrast_scale")
        if not any(getattr(self, name) for name in weights):
            yield "w_diff", "at least one loss weight is above 0"
        if self.align_t_max is not None and self.align_t_max < self.align_t_min:
            yield "align_t_max", f"it lies below align_t_min = {self.align_t_min}"
        if self.diff_area == "released" and not self.use_sfcm:
            yield "diff_area", "without SFCM (use_sfcm = false) nothing is released, and L_diff would be off"


@dataclass(frozen=True)
class LogConfig:
    """What a run tells about itself; nothing here changes its result.

    tensorboard: writes event files beside log.jsonl.
    wandb: project on Weights & Biases, where it is installed; None does not log there.
    validate_every: steps between two grids of samples from fixed seeds, step 0 included; None makes none.
    validation_prompts: (base, target) texts of the grid; empty takes the first four of the data.
    validation_steps, validation_guidance: of the grid's sampler.
    """

    tensorboard: bool = True
    wandb: str | None = None
    validate_every: int | None = None
    validation_prompts: tuple[tuple[str, str], ...] = ()
    validation_steps: int = 25
    validation_guidance: float = 7.5

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        yield from _above_zero(self, "validate_every", "validation_steps")
        yield from _not_negative(self, "validation_guidance")


@dataclass(frozen=True)
class TrainConfig:
    """Both stages (None: not trained), the settings of SPF and of the log, and the seed of data order and noise."""

    stage1: StageConfig | None = None
    stage2: StageConfig | None = None
    spf: SPFConfig = field(default_factory=SPFConfig)
    log: LogConfig = field(default_factory=LogConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        settings.check(self)

    def rules(self) -> Iterator[tuple[str, str]]:
        """What `settings.check` asks: (field, why) of every value out of range."""
        if self.spf.align_uncond and self.stage2 is not None and not self.stage2.caption_dropout:
            yield "spf.align_uncond", "it would do nothing: caption_dropout of stage 2 is 0"
        if not 0 <= self.seed < 2**63:
            yield "seed", "it must be from 0 to 2^63 - 1"

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, ready for JSON."""
        return settings.to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Inverse of `to_dict`; what is missing keeps its default.

        Raises ConfigErrors with every unknown name, wrong type and value out of range.
        """
        return settings.from_dict(cls, values)

    def changed(self, values: dict[str, Any]) -> TrainConfig:
        """These settings with some of them replaced: nested dicts, as `to_dict` makes them.

        Where a stage is given steps it loses its epochs, and the reverse. Raises ConfigErrors as `from_dict` does.
        """
        return TrainConfig.from_dict(_merged(self.to_dict(), values))

    @classmethod
    def preset(cls, name: str) -> TrainConfig:
        """A named configuration of PRESETS. Raises ConfigError with the nearest name if there is none."""
        if name not in PRESETS:
            raise settings.unknown("preset", name, PRESETS)
        return PRESETS[name]


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for one, other in (("steps", "epochs"), ("epochs", "steps")):  # two ways to say how long: the new one holds
        if new.get(one) is not None and other not in new:
            merged.pop(other, None)
    for name, value in new.items():
        group = merged.get(name) or {}
        merged[name] = _merged(group, value) if isinstance(value, dict) and isinstance(group, dict) else value
    return merged


def _above_zero(config: Any, *names: str) -> Iterator[tuple[str, str]]:
    values = {name: getattr(config, name) for name in names}
    return ((name, "it must be above 0") for name, value in values.items() if value is not None and value <= 0)


def _not_negative(config: Any, *names: str) -> Iterator[tuple[str, str]]:
    return ((name, "it must not be negative") for name in names if (getattr(config, name) or 0) < 0)


# Appendix A of arXiv:2504.00396v2: 8 samples, then 2, on each of 8 GPUs; here parts of one GPU's batch.
_PAPER_1 = StageConfig(epochs=2, batch=64, micro_batch=8, lr=1e-5)
_PAPER_2 = StageConfig(epochs=5, batch=16, micro_batch=2, lr=5e-5, trainable="cross_attention")
# The embedded world: minutes on two CPU cores.
_WORLD_1 = StageConfig(steps=350, batch=24, lr=4e-4, warmup=20, checkpoint_every=50)
_WORLD_2 = StageConfig(
    steps=250,
    batch=16,
    lr=3e-4,
    lr_schedule="cosine",
    warmup=20,
    caption_dropout=0.15,
    trainable="all",
    checkpoint_every=50,
)
# Chosen on world-val, never on the test set; docs/decisions.md has what else was tried.
_WORLD_SPF = SPFConfig(
    phrase_map="mass",
    gamma_center=0.95,
    w_text=0.05,
    w_fine=0.02,
    w_enh=0.1,
    soft_map="text",
    soft_scale="quantile",
    layer_map="max",
    diff_target="contrast",
    contrast_scale=2.0,
)
_SILENT = LogConfig(tensorboard=False)

PRESETS: dict[str, TrainConfig] = {
    "paper": TrainConfig(_PAPER_1, _PAPER_2),
    # The paper's V100s ran in fp16 too (Table 2): the same updates in half precision.
    "paper-fp16": TrainConfig(replace(_PAPER_1, mixed_precision="fp16"), replace(_PAPER_2, mixed_precision="fp16")),
    # GPUs of 40 GB and more that know bf16: the same updates from larger forward passes.
    "a100": TrainConfig(
        replace(_PAPER_1, mixed_precision="bf16", micro_batch=16),
        replace(_PAPER_2, mixed_precision="bf16", micro_batch=8),
    ),
    "world": TrainConfig(_WORLD_1, _WORLD_2, _WORLD_SPF, _SILENT),
    "world-quick": TrainConfig(replace(_WORLD_1, steps=50), replace(_WORLD_2, steps=50), _WORLD_SPF, _SILENT),
    # A few updates, to see that a training runs, stops and is read again; it learns nothing.
    "world-trial": TrainConfig(
        replace(_WORLD_1, steps=4, batch=4, warmup=0),
        replace(_WORLD_2, steps=4, batch=4, warmup=0),
        _WORLD_SPF,
        _SILENT,
    ),
}
