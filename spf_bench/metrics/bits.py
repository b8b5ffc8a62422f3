"""Masks as bits: eight pixels a byte, so that a hundred masks of an image fit where images lie."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def pack(masks: Tensor) -> Tensor:
    """Write masks [..., H, W] bool as bytes [..., H, W/8], with empty columns up to a multiple of 8."""
    bits = pad(masks.byte(), (0, -masks.shape[-1] % 8)).unflatten(-1, (-1, 8))
    return (bits << _shifts(bits)).sum(-1, dtype=torch.uint8)


def unpack(packed: Tensor) -> Tensor:
    """Read bytes [..., H, W/8] as masks [..., H, W], the empty columns included: they belong to no mask."""
    return ((packed.unsqueeze(-1) >> _shifts(packed)) & 1).bool().flatten(-2)


def _shifts(like: Tensor) -> Tensor:
    return torch.arange(8, dtype=torch.uint8, device=like.device)
