"""A Stable Diffusion pipeline as the harness sees it: noise for a triple, encode, render.

The harness owns noise, sampler, steps and guidance, so no method can be compared under other conditions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.backends import cudnn

from spf_bench.errors import UserError, explained, unknown
from spf_bench.models.base_model import load_pipeline
from spf_bench.models.checkpoint import refuse_foreign
from spf_bench.suite import Sampling
from spf_bench.triple import Triple

# Only deterministic samplers: one that drew noise of its own would tie an image to its batch mates.
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "dpmsolver++2m": lambda config: DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="dpmsolver++", solver_order=2
    ),
    "ddim": DDIMScheduler.from_config,
}


class Backbone:
    """The original model with a method's weights in it, or none.

    Args:
        pipe: A pipeline in Stable Diffusion 1.x layout.
        sampling: How images are sampled.
        device: Where the networks run.

    Raises:
        UserError: The sampling names a scheduler that does not exist.
    """

    def __init__(self, pipe: StableDiffusionPipeline, sampling: Sampling, device: str = "cpu") -> None:
        if sampling.scheduler not in SCHEDULERS:
            raise unknown("scheduler", sampling.scheduler, SCHEDULERS, "see spf_bench/models/backbone.py")
        self.sampling, self.device, self.dtype = sampling, device, getattr(torch, sampling.dtype)
        self.pipe = pipe
        for part in (pipe.unet, pipe.vae, pipe.text_encoder):
            self._ready(part)
        self.original_unet: UNet2DConditionModel = pipe.unet
        self._texts: dict[str, Tensor] = {}

    @classmethod
    def from_folder(cls, folder: Path, sampling: Sampling, device: str = "cpu") -> "Backbone":
        """Load the base model saved in ``folder`` or a single file; ``sampling.dtype`` decides its floating type.

        Raises:
            UserError: It is no Stable Diffusion 1.x, or incomplete.
        """
        return cls(load_pipeline(folder), sampling, device)

    @property
    def image_size(self) -> int:
        """Width and height of its images in pixels."""
        return self.original_unet.config.sample_size * 2 ** (len(self.pipe.vae.config.block_out_channels) - 1)

    @property
    def unet(self) -> UNet2DConditionModel:
        """The UNet that denoises, the original or the one put in its place by ``use_unet``."""
        return self.pipe.unet

    def use_unet(self, folder: Path) -> None:
        """Denoise with the UNet saved in ``folder`` until ``restore`` is called.

        Raises:
            UserError: The folder holds no UNet, or one of another base model.
        """
        refuse_foreign(folder, self.original_unet.config)
        with explained(f"cannot load the UNet {folder}", "copy it again, or train it again"):
            unet = UNet2DConditionModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        self.pipe.unet = self._ready(unet)

    def restore(self) -> None:
        """Put the original UNet back."""
        self.pipe.unet = self.original_unet

    def _ready(self, network: Any) -> Any:
        """Freeze a network where it runs; convolutions on tensor cores want their channels last."""
        network.eval().requires_grad_(False)
        torch.nn.Module.to(network, self.device, self.dtype)  # diffusers' own warns of layers that are not there
        return network.to(memory_format=torch.channels_last)

    def noise_for(self, triple: Triple) -> Tensor:
        """Return the triple's initial noise [C, h, w], drawn on the CPU: the same on any device, in any batch."""
        config = self.original_unet.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(triple.seed))

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return the text embeddings [B, L, D] of ``prompts``; every text is encoded once, by itself.

        Raises:
            UserError: A prompt is longer than the text encoder reads: its end, the target, would be lost.
        """
        for prompt in prompts:
            if prompt not in self._texts:
                self._texts[prompt] = self._encode_one(prompt)
        return torch.cat([self._texts[prompt] for prompt in prompts])

    def _encode_one(self, prompt: str) -> Tensor:
        tokenizer, encoder = self.pipe.tokenizer, self.pipe.text_encoder
        room = tokenizer.model_max_length
        length = len(tokenizer(prompt).input_ids)
        if length > room:
            raise UserError(f"{prompt!r} has {length} tokens", f"the text encoder reads {room}", "shorten it")
        tokens = tokenizer(prompt, padding="max_length", max_length=room, return_tensors="pt").to(self.device)
        mask = tokens.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
        return encoder(tokens.input_ids, attention_mask=mask)[0].to(self.dtype)

    @torch.inference_mode()
    def render(self, embeds: Tensor, noise: Tensor, negative: Tensor | None = None) -> Tensor:
        """Sample images.

        Args:
            embeds: Text embeddings [B, L, D].
            noise: Initial noise [B, C, h, w].
            negative: Embeddings [B, L, D] of the unconditional branch; the negative prompt's where left out.

        Returns:
            RGB images [B, H, W, 3] uint8 on the CPU, rounded to the nearest value.
        """
        scheduler = SCHEDULERS[self.sampling.scheduler](self.pipe.scheduler.config)
        scheduler.set_timesteps(self.sampling.steps, device=self.device)
        if negative is None:
            negative = self.encode([self.sampling.negative_prompt]).expand_as(embeds)
        latents = noise.to(self.device, self.dtype) * scheduler.init_noise_sigma
        with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):  # float32 shall mean float32
            for t in scheduler.timesteps:
                model_input = scheduler.scale_model_input(latents, t)
                latents = scheduler.step(self._guided(model_input, t, embeds, negative), t, latents).prev_sample
            images = self.pipe.vae.decode(latents / self.pipe.vae.config.scaling_factor).sample
        return _to_uint8(images)

    def _guided(self, latents: Tensor, t: Tensor, embeds: Tensor, negative: Tensor) -> Tensor:
        """Return the guided prediction [B, C, h, w] (Eq. 6 of arXiv:2207.12598, diffusers' scale)."""
        scale = self.sampling.guidance
        if scale <= 1:
            return self.unet(latents, t, encoder_hidden_states=embeds).sample
        both = torch.cat([negative, embeds])
        away, towards = self.unet(torch.cat([latents] * 2), t, encoder_hidden_states=both).sample.chunk(2)
        return away + scale * (towards - away)


def _to_uint8(images: Tensor) -> Tensor:
    """Turn images [B, 3, H, W] in [-1, 1] into [B, H, W, 3] uint8 on the CPU, rounding as diffusers does."""
    pixels = ((images.float() / 2 + 0.5).clamp(0, 1) * 255).round()
    return pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8)
