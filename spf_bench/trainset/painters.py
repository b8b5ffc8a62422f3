"""Checkpoints that paint candidates: Stable Diffusion 1.x and SDXL, as folders in diffusers' layout or single files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import StableDiffusionXLPipeline
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.backends import cudnn
from transformers import CLIPTokenizer

from spf_bench.errors import explained, unknown
from spf_bench.models.backbone import SCHEDULERS, Backbone
from spf_bench.models.base_model import INDEX, load_pipeline
from spf_bench.suite import Sampling
from spf_bench.triple import Triple

XL = "StableDiffusionXLPipeline"
XL_LAYOUT = Path(__file__).parent.parent / "configs" / "sdxl"
XL_MARK = "conditioner.embedders.1."
"""How the names of SDXL's second text encoder begin in a single file."""


class Painter(Protocol):
    """A checkpoint that paints complete texts."""

    def paint(self, triples: Sequence[Triple]) -> Tensor:
        """Return RGB images [B, H, W, 3] uint8 on the CPU; each follows from its triple and the batch's size alone."""


def load_painter(path: Path, sampling: Sampling, device: str, layout: Path = XL_LAYOUT) -> Painter:
    """Load a checkpoint of either family.

    Args:
        path: Folder, or ``.safetensors`` file.
        sampling: How images are sampled.
        device: Where the networks run.
        layout: Folder of the configs that a single SDXL file goes with, and its tokenizers where they are not CLIP's.

    Raises:
        UserError: It is of neither family, or broken.
    """
    if family(path) != XL:
        return StablePainter(load_pipeline(path), sampling, device)
    with explained(f"cannot load the checkpoint {path}", "fetch or save it again"):
        return XLPainter(_load_file(path, layout) if path.is_file() else _load_folder(path), sampling, device)


def family(path: Path) -> str:
    """Return diffusers' name of a checkpoint's pipeline; what is neither is left to the loader's own refusal."""
    try:
        if path.is_dir():
            return str(json.loads((path / INDEX).read_text(encoding="utf-8")).get("_class_name"))
        with safe_open(path, framework="pt") as file:
            return XL if any(name.startswith(XL_MARK) for name in file.keys()) else ""  # noqa: SIM118
    except (OSError, ValueError, AttributeError, SafetensorError):
        return ""


class StablePainter(Backbone):
    """A Stable Diffusion 1.x that forgets texts: hundreds of thousands of embeddings would fill the memory."""

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return the text embeddings [B, L, D] of ``prompts``."""
        return torch.cat([self._encode_one(prompt) for prompt in prompts])

    def paint(self, triples: Sequence[Triple]) -> Tensor:
        """Return images of the complete texts."""
        noise = torch.stack([self.noise_for(triple) for triple in triples])
        return self.render(self.encode([triple.prompt for triple in triples]), noise)


class XLPainter:
    """An SDXL: two text encoders, and a UNet that is told the image's size.

    Args:
        pipe: A StableDiffusionXLPipeline.
        sampling: How images are sampled.
        device: Where the networks run.

    Raises:
        UserError: The sampling names a scheduler that does not exist.
    """

    def __init__(self, pipe: Any, sampling: Sampling, device: str = "cpu") -> None:
        if sampling.scheduler not in SCHEDULERS:
            raise unknown("scheduler", sampling.scheduler, SCHEDULERS, "see spf_bench/models/backbone.py")
        self.pipe, self.sampling = pipe.to(device, getattr(torch, sampling.dtype)), sampling
        self.pipe.set_progress_bar_config(disable=True)
        self.pipe.scheduler = SCHEDULERS[sampling.scheduler](pipe.scheduler.config)

    @torch.inference_mode()
    def paint(self, triples: Sequence[Triple]) -> Tensor:
        """Return images of the complete texts."""
        with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            images = self.pipe(
                prompt=[triple.prompt for triple in triples],
                negative_prompt=[self.sampling.negative_prompt] * len(triples),
                latents=torch.stack([self._noise(triple) for triple in triples]).to(self.pipe.unet.dtype),
                num_inference_steps=self.sampling.steps,
                guidance_scale=self.sampling.guidance,
                output_type="pt",
            ).images
        return (images.permute(0, 2, 3, 1) * 255).round().to("cpu", torch.uint8)

    def _noise(self, triple: Triple) -> Tensor:
        """Return the triple's initial noise [C, h, w], drawn on the CPU as for every other model."""
        config = self.pipe.unet.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(triple.seed))


def _load_folder(path: Path) -> Any:
    weights = [file.name for file in (path / "unet").glob("*.safetensors")]
    variant = "fp16" if weights and all(".fp16." in name for name in weights) else None
    return StableDiffusionXLPipeline.from_pretrained(
        path, local_files_only=True, variant=variant, use_safetensors=True, add_watermarker=False
    )


def _load_file(path: Path, layout: Path) -> Any:
    tokenizers = _tokenizers(layout)
    return StableDiffusionXLPipeline.from_single_file(
        str(path),
        config=str(layout),
        local_files_only=True,
        tokenizer=tokenizers[0],
        tokenizer_2=tokenizers[1],
        add_watermarker=False,
    )


def _tokenizers(layout: Path) -> list[Any]:
    """Return the layout's tokenizers, or CLIP's; OpenCLIP, the second text encoder, pads with token 0."""
    from spf_bench.weights import path as checkpoint

    if (layout / "tokenizer").is_dir():
        return [CLIPTokenizer.from_pretrained(layout / name) for name in ("tokenizer", "tokenizer_2")]
    clip = checkpoint("clip")
    return [CLIPTokenizer.from_pretrained(clip), CLIPTokenizer.from_pretrained(clip, pad_token="!")]
