"""The vision transformer of DINO and DINOv2, with the parameter names of their published files.

Sources: Dosovitskiy et al., arXiv:2010.11929; Caron et al., arXiv:2104.14294; Oquab et al., arXiv:2304.07193.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OFFSET = 0.1  # of the authors' code: position maps are stretched by (new + .1) / old


@dataclass(frozen=True)
class Shape:
    """What tells one vision transformer from another."""

    patch: int
    """Side of a patch in pixels."""
    width: int
    """Channels of a token."""
    depth: int
    """Blocks."""
    heads: int
    """Attention heads."""
    grid: int
    """Patches per side of the images it was trained on; its position map has this size."""
    scaled: bool = False
    """Whether each branch is scaled by a learned factor per channel, as in DINOv2."""


class ViT(nn.Module):
    """Pixels [B, 3, H, W], normalised, sides multiples of the patch -> a class token and a token per patch."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + shape.grid**2, shape.width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, shape.width, shape.patch, shape.patch)})
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the normalised tokens [B, 1 + patches, width]; the class token is the first."""
        x = self._tokens(pixels)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def last_keys(self, pixels: Tensor) -> Tensor:
        """Return the keys of the last block's attention [B, 1 + patches, width], heads side by side."""
        x = self._tokens(pixels)
        *before, last = self.blocks
        for block in before:
            x = block(x)
        return cast(Block, last).keys(x)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the position map [1, 1 + height * width, channels] for a grid of patches."""
        grid = self.shape.grid
        if (height, width) == (grid, grid):
            return self.pos_embed
        own, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        plane = patches.reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
        factor = ((height + OFFSET) / grid, (width + OFFSET) / grid)
        plane = F.interpolate(plane, scale_factor=factor, mode="bicubic", align_corners=False)
        return torch.cat([own, plane.flatten(2).transpose(1, 2)], 1)

    def _tokens(self, pixels: Tensor) -> Tensor:
        planes = self.patch_embed["proj"](pixels)
        patches = planes.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1)
        return x + self.positions(*planes.shape[2:])


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on normalised tokens and added to them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (Scale(width) if shape.scaled else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> [B, T, width]."""
        x = x + self.ls1(self._attend(self.norm1(x)))
        return x + self.ls2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))

    def keys(self, x: Tensor) -> Tensor:
        """Return the keys [B, T, width] that the block's attention compares tokens [B, T, width] with."""
        return self.attn["qkv"](self.norm1(x)).chunk(3, dim=-1)[1]

    def _attend(self, x: Tensor) -> Tensor:
        split = self.attn["qkv"](x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*split.unbind(0))
        return self.attn["proj"](seen.transpose(1, 2).flatten(2))


class Scale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        return x * self.gamma
