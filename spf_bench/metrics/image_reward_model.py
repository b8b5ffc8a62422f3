"""The ImageReward network: BLIP reads the text while looking at the image, and a linear stack gives one number.

Source: Xu et al., "ImageReward", arXiv:2304.05977, released code and state dict; BLIP: Li et al.,
arXiv:2201.12086. Parameter names are the state dict's. The full size is a ViT-L/16 at 224 px and a BERT-base with
cross-attention in every layer.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from transformers import BlipTextConfig
from transformers.models.blip.modeling_blip_text import BlipTextModel

from spf_bench.metrics.checkpoint import fit, read_state
from spf_bench.metrics.vit import Shape, ViT

MEAN, STD = 0.16717362830052426, 1.0333394966054072  # of raw scores on the authors' validation set


@dataclass(frozen=True)
class Sizes:
    """Sizes of an ImageReward network."""

    image: int = 224
    patch: int = 16
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    text_dim: int = 768
    text_depth: int = 12
    text_heads: int = 12
    vocabulary: int = 30524  # BERT's and BLIP's two marks, which no text here holds


class Head(nn.Module):
    """The released stack: linear layers with nothing between them once dropout is off."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        widths = (dim, 1024, 128, 64, 16, 1)
        linear = [nn.Linear(a, b) for a, b in pairwise(widths)]
        # Dropouts stood between the first four; their places keep the numbers in the state dict.
        self.layers = nn.Sequential(*(part for one in linear[:3] for part in (one, nn.Identity())), *linear[3:])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ImageRewardModel(nn.Module):
    """Reward of an image for a text: about -2.3 to 2, mean 0 over the authors' validation set."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        sizes = sizes or Sizes()
        text = BlipTextConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.text_dim,
            encoder_hidden_size=sizes.dim,
            intermediate_size=4 * sizes.text_dim,
            num_hidden_layers=sizes.text_depth,
            num_attention_heads=sizes.text_heads,
            max_position_embeddings=512,
            hidden_act="gelu",
            layer_norm_eps=1e-12,
        )
        towers = {
            "visual_encoder": ViT(Shape(sizes.patch, sizes.dim, sizes.depth, sizes.heads, sizes.image // sizes.patch)),
            "text_encoder": BlipTextModel(text, add_pooling_layer=False),
        }
        self.blip, self.mlp = nn.ModuleDict(towers), Head(sizes.text_dim)

    @classmethod
    def from_weights(cls, path: Path, sizes: Sizes | None = None) -> Self:
        """Load the released state dict, in float32 and evaluation mode; raises UserError where a key does not fit."""
        model = cls(sizes)
        fit(model, needed(read_state(path)), path)
        return model.eval()

    def computing_in(self, device: str, dtype: torch.dtype) -> Self:
        """Move it to ``device`` and BLIP into ``dtype``; the head, whose output is the reward, stays in float32."""
        self.to(device)
        self.blip.to(dtype)
        return self

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, H, W], normalised as CLIP's -> tokens [B, N, D]."""
        return self.blip["visual_encoder"](pixels)

    def match(self, image: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Score image tokens [B, N, D] for token ids [B, L] where ``mask`` [B, L] is 1; rewards [B]."""
        read = self.blip["text_encoder"](
            input_ids=ids,
            attention_mask=mask,
            encoder_hidden_states=image,
            encoder_attention_mask=torch.ones(image.shape[:2], dtype=torch.long, device=image.device),
            is_decoder=False,
        )
        return (self.mlp(read.last_hidden_state[:, 0].float()).squeeze(-1) - MEAN) / STD


def needed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what the file holds for BLIP's own training: projections, queues, momentum copies, position counters."""
    kept = ("blip.visual_encoder.", "blip.text_encoder.", "mlp.")
    return {k: v for k, v in state.items() if k.startswith(kept) and not k.endswith("position_ids")}
