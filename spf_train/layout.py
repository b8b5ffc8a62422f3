"""Stable Diffusion 1.x's own layout of weights: one .safetensors file, as checkpoints of this family are shared.

Which block of one layout is which of the other follows from the networks' configs; names inside a block are a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from spf_train.checkpoint import write_atomically
from spf_train.variants import plain

UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_RESNET = {"conv_shortcut": "nin_shortcut"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
Block = tuple[str, str, dict[str, str]]  # a block's name in diffusers, its name here, and what its parts are called


def is_sd1(pipe: Any) -> bool:
    """Whether a StableDiffusionPipeline is built as Stable Diffusion 1.x, at whatever size.

    2.x has linear layers around its attention and OpenCLIP's text encoder, 1024 wide, whose weights have other names
    and shapes in a single file; programs tell the two apart by these widths.
    """
    return not pipe.unet.config.use_linear_projection and pipe.text_encoder.config.hidden_size != 1024


def to_single_file(pipe: Any) -> dict[str, Tensor]:
    """The weights of a StableDiffusionPipeline by their names in a single file; LoRA merged, no adapter."""
    unet = plain(pipe.unet)
    text = {name.removeprefix("text_model."): weight for name, weight in pipe.text_encoder.state_dict().items()}
    text.pop("embeddings.position_ids", None)
    parts = {
        "model.diffusion_model.": renamed(unet.state_dict(), list(unet_blocks(unet.config))),
        "first_stage_model.": _as_convolutions(renamed(pipe.vae.state_dict(), list(vae_blocks(pipe.vae.config)))),
        "cond_stage_model.transformer.text_model.": text,
    }
    return {prefix + name: weight for prefix, part in parts.items() for name, weight in part.items()}


def write_single_file(pipe: Any, path: Path, title: str = "") -> None:
    """Writes a pipeline as one .safetensors file, with what it predicts in its metadata."""
    scheduler = pipe.scheduler.config
    predicts = {"v_prediction": "v"}.get(scheduler.prediction_type, scheduler.prediction_type)
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.title": title or path.stem,
        "modelspec.prediction_type": predicts,
    }
    weights = {name: weight.detach().cpu().contiguous() for name, weight in to_single_file(pipe).items()}
    # Programs that read no metadata go by these names.
    flags = {"v_pred": predicts == "v", "ztsnr": bool(scheduler.get("rescale_betas_zero_snr"))}
    weights |= {name: torch.empty(0) for name, given in flags.items() if given}
    write_atomically(path, lambda new: save_file(weights, new, metadata))


def unet_blocks(config: Any) -> Iterator[Block]:
    """The blocks of a UNet2DConditionModel."""
    layers, last = config.layers_per_block, len(config.block_out_channels) - 1
    yield "conv_in", "input_blocks.0.0", {}
    yield "time_embedding", "time_embed", {"linear_1": "0", "linear_2": "2"}
    for level in range(last + 1):
        for layer in range(layers):
            place = f"input_blocks.{1 + level * (layers + 1) + layer}"
            yield f"down_blocks.{level}.resnets.{layer}", f"{place}.0", UNET_RESNET
            yield f"down_blocks.{level}.attentions.{layer}", f"{place}.1", {}
        place = f"input_blocks.{(level + 1) * (layers + 1)}"
        yield f"down_blocks.{level}.downsamplers.0.conv", f"{place}.0.op", {}
    yield "mid_block.resnets.0", "middle_block.0", UNET_RESNET
    yield "mid_block.attentions.0", "middle_block.1", {}
    yield "mid_block.resnets.1", "middle_block.2", UNET_RESNET
    for level, kind in enumerate(config.up_block_types):
        for layer in range(layers + 1):
            place = f"output_blocks.{level * (layers + 1) + layer}"
            yield f"up_blocks.{level}.resnets.{layer}", f"{place}.0", UNET_RESNET
            yield f"up_blocks.{level}.attentions.{layer}", f"{place}.1", {}
        after = 2 if "CrossAttn" in kind else 1  # an upsampler closes its level's last block
        place = f"output_blocks.{level * (layers + 1) + layers}"
        yield f"up_blocks.{level}.upsamplers.0.conv", f"{place}.{after}.conv", {}
    yield "conv_norm_out", "out.0", {}
    yield "conv_out", "out.2", {}


def vae_blocks(config: Any) -> Iterator[Block]:
    """The blocks of an AutoencoderKL; its decoder counts levels from the finest one."""
    layers, last = config.layers_per_block, len(config.block_out_channels) - 1
    for side, blocks, count, sampler in (("encoder", "down", layers, "down"), ("decoder", "up", layers + 1, "up")):
        for level in range(last + 1):
            here = f"{side}.{blocks}_blocks.{level}"
            there = f"{side}.{blocks}.{level if side == 'encoder' else last - level}"
            for layer in range(count):
                yield f"{here}.resnets.{layer}", f"{there}.block.{layer}", VAE_RESNET
            yield f"{here}.{sampler}samplers.0", f"{there}.{sampler}sample", {}
        for number in range(2):
            yield f"{side}.mid_block.resnets.{number}", f"{side}.mid.block_{number + 1}", VAE_RESNET
        yield f"{side}.mid_block.attentions.0", f"{side}.mid.attn_1", VAE_ATTENTION
        yield f"{side}.conv_norm_out", f"{side}.norm_out", {}
        for name in ("conv_in", "conv_out"):
            yield f"{side}.{name}", f"{side}.{name}", {}
    for name in ("quant_conv", "post_quant_conv"):
        yield name, name, {}


def renamed(weights: Mapping[str, Tensor], blocks: list[Block]) -> dict[str, Tensor]:
    """Weights by their new names. Raises ValueError for one that no block has: the network is not of this family."""
    table = {old: (new, parts) for old, new, parts in blocks}
    return {_rename(name, table): weight for name, weight in weights.items()}


def _rename(name: str, table: dict[str, tuple[str, dict[str, str]]]) -> str:
    ends = [match.start() for match in re.finditer(r"\.", name)]
    block = next((name[:end] for end in ends if name[:end] in table), None)
    if block is None:
        raise ValueError(f"{name} has no place in Stable Diffusion 1.x's layout")
    new, parts = table[block]
    rest = name[len(block) + 1 :]
    for old, part in parts.items():
        if rest.startswith(f"{old}."):
            return f"{new}.{part}{rest[len(old) :]}"
    return f"{new}.{rest}"


def _as_convolutions(vae: dict[str, Tensor]) -> dict[str, Tensor]:
    """The projections of the VAE's attention are 1x1 convolutions in this layout."""
    square = re.compile(r"\.mid\.attn_1\.(q|k|v|proj_out)\.weight$")
    return {name: weight[..., None, None] if square.search(name) else weight for name, weight in vae.items()}
