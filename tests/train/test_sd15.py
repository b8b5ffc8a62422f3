"""Stable Diffusion 1.5's real architecture: its cross-attention layers, its checkpoints' names, one full-width step."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.training_parts import Networks
from spf_train import variants
from spf_train.clip import FrozenClip
from spf_train.config import SPFConfig, Trainable
from spf_train.dual_path import DualPathStage
from spf_train.layout import to_single_file
from spf_train.prediction import Diffusion
from spf_train.single_file import SD15
from spf_train.tap import CrossAttentionTap, cross_attention

# Layers of each channel width: 64x64, 32x32, 16x16 latents; one more at 8x8 in the middle.
DOWN = [(f"down_blocks.{level}.attentions.{i}", 320 * 2**level) for level in range(3) for i in range(2)]
UP = [(f"up_blocks.{level}.attentions.{i}", 2560 // 2**level) for level in (1, 2, 3) for i in range(3)]
LAYERS = dict([*DOWN, *UP, ("mid_block.attentions.0", 1280)])


@pytest.fixture(scope="module")
def meta_unet() -> Any:
    """SD 1.5's UNet without memory for its weights."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SD15 / "unet"))


def test_the_16_cross_attention_layers(meta_unet: Any) -> None:
    found = dict(cross_attention(meta_unet))
    assert sum(weight.numel() for weight in meta_unet.parameters()) == 859_520_964
    assert found.keys() == {f"{place}.transformer_blocks.0.attn2" for place in LAYERS}
    for place, width in LAYERS.items():
        layer = found[f"{place}.transformer_blocks.0.attn2"]
        shapes = [tuple(part.weight.shape) for part in (layer.to_q, layer.to_k, layer.to_v, layer.to_out[0])]
        assert shapes == [(width, width), (width, 768), (width, 768), (width, width)]
        assert layer.heads == 8


def test_what_the_tap_records_at_512_px(meta_unet: Any) -> None:
    x, text = torch.empty(2, 4, 64, 64, device="meta"), torch.empty(2, 77, 768, device="meta")
    with CrossAttentionTap(meta_unet) as tap:
        meta_unet(x, torch.zeros(2, device="meta"), text)
    recorded = dict(zip(tap.attention, tap.layers, strict=True))
    for place, width in LAYERS.items():
        side = 8 if place.startswith("mid") else 64 * 320 // width
        layer = recorded[f"{place}.transformer_blocks.0.attn2"]
        assert layer.query.shape == (2, 8, side**2, width // 8)
        assert layer.key.shape == (2, 8, 77, width // 8)


@pytest.mark.parametrize(
    ("which", "millions"), [("all", 859.52), ("cross_attention", 43.96), ("lora", 1.59), ("adapter", 19.17)]
)
def test_how_much_each_variant_trains(which: Trainable, millions: float) -> None:
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SD15 / "unet"))
        weights = variants.apply(unet, which, rank=16)
    assert sum(weight.numel() for weight in weights.values()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_the_original_checkpoints_names(meta_unet: Any) -> None:
    """Every weight of the three networks, under the name that Stable Diffusion's own files have for it."""
    with torch.device("meta"):
        vae: Any = AutoencoderKL.from_config(AutoencoderKL.load_config(SD15 / "vae"))
        text = CLIPTextModel(CLIPTextConfig.from_pretrained(SD15 / "text_encoder"))
    names = to_single_file(SimpleNamespace(unet=meta_unet, vae=vae, text_encoder=text))
    # Spot checks against the keys of v1-5-pruned.safetensors.
    for name, shape in {
        "model.diffusion_model.input_blocks.3.0.op.weight": (320, 320, 3, 3),
        "model.diffusion_model.input_blocks.4.0.skip_connection.weight": (640, 320, 1, 1),
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight": (1280, 768),
        "model.diffusion_model.output_blocks.2.1.conv.weight": (1280, 1280, 3, 3),
        "model.diffusion_model.output_blocks.8.2.conv.weight": (640, 640, 3, 3),
        "model.diffusion_model.output_blocks.11.1.proj_out.weight": (320, 320, 1, 1),
        "model.diffusion_model.time_embed.2.weight": (1280, 1280),
        "model.diffusion_model.out.2.weight": (4, 320, 3, 3),
        "first_stage_model.decoder.up.3.upsample.conv.weight": (512, 512, 3, 3),
        "first_stage_model.decoder.up.0.block.0.nin_shortcut.weight": (128, 256, 1, 1),
        "first_stage_model.encoder.down.2.downsample.conv.weight": (512, 512, 3, 3),
        "first_stage_model.decoder.mid.attn_1.proj_out.weight": (512, 512, 1, 1),
        "cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc2.weight": (768, 3072),
    }.items():
        assert tuple(names[name].shape) == shape, name
    converted = [
        (convert_ldm_unet_checkpoint(dict(names), meta_unet.config), meta_unet),
        (convert_ldm_vae_checkpoint(dict(names), vae.config), vae),
    ]
    for weights, network in converted:
        assert shapes_of(weights) == shapes_of(network.state_dict())
    assert shapes_of(convert_ldm_clip_checkpoint(dict(names))) == shapes_of(text.state_dict())


def shapes_of(weights: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """By name; transformers' root of a text model has come and gone between its versions."""
    return {name.removeprefix("text_model."): tuple(weight.shape) for name, weight in weights.items()}


def test_a_full_width_step_of_stage_2(meta_unet: Any, clip_dir: Path) -> None:
    """3.4 GB of random weights, 8x8 latents; the reference shares what stage 2 does not train."""
    response = filled(UNet2DConditionModel.load_config(SD15 / "unet"), UNet2DConditionModel)
    with torch.device("meta"):
        reference: Any = UNet2DConditionModel.from_config(response.config)
    reference.load_state_dict(
        {name: weight.clone() if ".attn2." in name else weight for name, weight in response.state_dict().items()},
        assign=True,
    )
    vae = filled(AutoencoderKL.load_config(SD15 / "vae"), AutoencoderKL)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    networks = object.__new__(Networks)
    networks.unet, networks.reference, networks.vae = response, reference, vae
    networks.clip, networks.device = FrozenClip.from_pretrained(clip_dir), "cpu"
    networks.diffusion = Diffusion((1 - betas).cumprod(0), "epsilon")
    batch = networks.batch(1, pixels=64)
    stage = networks.stage(DualPathStage, SPFConfig())
    loss, terms = stage.loss(batch)
    loss.backward()
    weights = stage.trainable()
    assert len(weights) == 16 * 5 and loss.isfinite()
    assert all(term.isfinite() for term in terms.values()) and terms["text"] > 0 and terms["enh"] > 0
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in weights.values())


def filled(config: Any, kind: Any) -> Any:
    """A network of SD 1.5 with small random weights, made faster than its own initialisation."""
    with torch.device("meta"):
        network = kind.from_config(config)
    network.to_empty(device="cpu")
    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0))
    for module in network.modules():
        for weight in module.parameters(recurse=False):
            flat, scale = weight.data.flatten(), math.sqrt(max(1, weight[0].numel()))
            for start in range(0, len(flat), len(noise)):
                part = flat[start : start + len(noise)]
                part.copy_(noise[: len(part)] / scale)
        if isinstance(module, nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()
    return network
