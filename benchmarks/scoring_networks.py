"""Networks of the real kinds with random weights, small enough for a CPU, and images for them to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import CLIPConfig, CLIPModel

from spf_bench.metrics.clip_encoder import Preprocess
from spf_bench.metrics.inception_model import Inception
from spf_bench.metrics.mps import MPSModel
from spf_bench.scoring.one_pass import Pair
from spf_bench.triple import Category, Triple
from spf_train.single_file import load_tokenizer

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TARGETS = ("with a beard", "wearing sunglasses", "pencil sketch style", "with pink hair", "wearing a hat")


@dataclass(frozen=True)
class Size:
    """How large the networks are, in shares of the real ones that keep the order of their costs."""

    clip_patch: int = 32
    """Of CLIP; the smaller, the slower."""
    judge_patch: int = 16
    """Of the CLIPs under HPSv2 and MPS."""
    width: int = 768
    """Of all CLIPs."""
    depth: int = 12
    """Of all CLIPs."""
    side: int = 224
    """Pixels that a CLIP sees."""
    sam_side: int = 512
    """Pixels that Segment Anything sees."""
    sam_width: int = 384
    """Of its image encoder."""
    sam_depth: int = 8
    """Of its image encoder."""


TINY = Size(16, 16, 32, 2, 32, 64, 32, 2)


def inception(path: Path) -> Path:
    """Write FID's network as its published file has it, with random weights that keep a signal alive."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(network.state_dict() | classifier, path)
    return path


def clip(size: Size, patch: int, seed: int) -> CLIPModel:
    """A CLIP in evaluation mode."""
    torch.manual_seed(seed)
    shape = {
        "hidden_size": size.width, "intermediate_size": 4 * size.width, "num_hidden_layers": size.depth,
        "num_attention_heads": max(2, size.width // 64),
    }  # fmt: skip
    marks = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407, "vocab_size": 49408}
    vision = {**shape, "patch_size": patch, "image_size": size.side, "initializer_factor": 2.0}
    text = {**shape, **marks, "initializer_factor": 2.0}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=max(32, size.width // 2))
    return CLIPModel(config).eval()


def mps(size: Size, seed: int) -> MPSModel:
    """MPS over a CLIP of its own."""
    return MPSModel.create(clip(size, size.judge_patch, seed), layers=2, heads=4, dim_head=32).eval()


@cache
def tokenizer() -> Any:
    """CLIP's own, read once."""
    return load_tokenizer()


def preprocess(size: Size) -> Preprocess:
    """CLIP's preparation of images."""
    return Preprocess(size.side, MEAN, STD)


def sam(size: Size) -> Any:
    """A Segment Anything whose masks are sharp and whose opinion of them is high, so that some are kept."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(4)
    grid, out = size.sam_side // 16, min(256, size.sam_width)
    encoder = ImageEncoderViT(
        img_size=size.sam_side, patch_size=16, embed_dim=size.sam_width, depth=size.sam_depth,
        num_heads=max(2, size.sam_width // 64), out_chans=out, qkv_bias=True, use_rel_pos=True,
        window_size=min(14, grid), global_attn_indexes=(size.sam_depth - 1,),
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=out, image_embedding_size=(grid, grid), input_image_size=(size.sam_side,) * 2, mask_in_chans=16
    )
    transformer = TwoWayTransformer(depth=2, embedding_dim=out, mlp_dim=8 * out, num_heads=max(2, out // 32))
    decoder = MaskDecoder(
        transformer_dim=out, transformer=transformer, num_multimask_outputs=3, iou_head_depth=3, iou_head_hidden_dim=out
    )
    model = Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]).eval()
    with torch.no_grad():
        decoder.iou_prediction_head.layers[-1].bias += 1.15
        for head in decoder.output_hypernetworks_mlps:
            head.layers[-1].weight *= 3000
            head.layers[-1].bias *= 3000
    return model


def write_pairs(folder: Path, n: int, pixels: int, method: int) -> list[Pair]:
    """Originals and one method's images: soft noise, with the red spot that the stand-in of a face detector finds."""
    kinds, made = list(Category), []
    for number in range(n):
        base, target = f"a woman number {number}, red hair, smiling", TARGETS[number % len(TARGETS)]
        triple = Triple(f"pair-{number:05}", base, target, kinds[number % 5], number, tuple(base.split(", ")))
        original, other = _noise(pixels, number), _noise(pixels, 1 + method * n + n + number)
        custom = (0.7 * original + 0.3 * other).astype(np.uint8)
        paths = [folder / side / f"{triple.id}.png" for side in ("originals", f"method{method}")]
        for path, picture in zip(paths, (original, custom), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_spotted(picture)).save(path)
        made.append(Pair(triple, *paths))
    return made


def _noise(pixels: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 90, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((pixels, pixels), Image.Resampling.BICUBIC))


def _spotted(picture: np.ndarray) -> np.ndarray:
    side = math.ceil(len(picture) / 16)
    top, left = 7 * side, 5 * side
    spotted = picture.copy()
    spotted[top : top + side, left : left + side] = (255, 0, 0)
    return spotted


def folders(pairs: Sequence[Pair]) -> tuple[str, str]:
    """Where the originals and the method's images lie."""
    return str(pairs[0].original.parent), str(pairs[0].custom.parent)
