"""The regions of nouns at the resolutions of attention, and the way there from a mask's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Mask = NDArray[np.float32]


def shrink(masks: Tensor, resolution: int, antialias: bool = False) -> Tensor:
    """Which cells a mask touches, bool [n, r, r], of masks [n, H, W] in [0, 1].

    Bilinear, then everything above 0. Without antialiasing, as the original was trained, a cell sees the four pixels
    at its centre; with it, all pixels within one cell of that centre, which makes small regions much larger.
    """
    size = (resolution, resolution)
    resized = F.interpolate(masks[None].float(), size, mode="bilinear", align_corners=False, antialias=antialias)
    return resized[0] > 0


def read_mask(path: Path, size: int) -> Mask:
    """A mask file as [size, size] in [0, 1]: its first channel, cropped as images are, scaled to a maximum of 1."""
    with Image.open(path) as image:
        colours = image.convert("RGB") if image.mode == "P" else image
        mask = crop_mask(np.asarray(colours.getchannel(0), dtype=np.float32), size)
    return mask / mask.max() if mask.max() > 0 else mask


def crop_mask(mask: Mask, size: int) -> Mask:
    """A mask [H, W] as [size, size]: shortest edge resized, centre cropped."""
    if mask.shape == (size, size):
        return mask
    image = Image.fromarray(mask)
    scale = size / min(image.size)
    width, height = (max(size, round(edge * scale)) for edge in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def pack(regions: Tensor) -> NDArray[np.uint8]:
    """Regions [..., r, r], bool, as bits [..., ceil(r * r / 8)]: a training set's regions fit on disk."""
    return np.packbits(regions.flatten(-2).numpy(), axis=-1)


def unpack(bits: NDArray[np.uint8], resolution: int) -> Tensor:
    """The inverse of `pack`."""
    flat = np.unpackbits(bits, axis=-1, count=resolution * resolution)
    return torch.from_numpy(flat).bool().unflatten(-1, (resolution, resolution))
