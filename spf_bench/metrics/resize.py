"""Ways to change an image's size. They are not interchangeable: on a sharp image of 512 px the first two
differ by some four levels in the mean, and FID with one is not FID with another.
"""

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor
from torch.nn.functional import interpolate

from spf_bench.metrics.features import Image


def tf1_bilinear(pixels: Tensor, size: int) -> Tensor:
    """Resize pixels [B, C, H, W] to [B, C, size, size] as TensorFlow 1 did, and with it the first FID.

    Bilinear without antialiasing; output pixel i reads from i * H / size, half a pixel off centre.
    """
    for axis in (2, 3):
        length = pixels.shape[axis]
        place = torch.arange(size, device=pixels.device, dtype=pixels.dtype) * (length / size)
        low = place.long()
        share = (place - low).unsqueeze(-1) if axis == 2 else place - low
        near, far = (pixels.index_select(axis, i) for i in (low, (low + 1).clamp(max=length - 1)))
        pixels = near + (far - near) * share
    return pixels


def clean_bicubic(images: Image, size: int) -> Tensor:
    """Resize RGB images [B, H, W, 3] uint8 to pixels [B, 3, size, size] as clean-fid does, in [0, 255].

    Pillow's antialiased bicubic on each channel in floating point, then clipped (Eq. 1 ff. of
    arXiv:2104.11222).
    """
    planes = [[_plane(image[..., channel], size) for channel in range(3)] for image in images]
    return torch.from_numpy(np.asarray(planes)).clamp(0, 255)


def pil_bicubic(images: Image, size: int) -> Image:
    """Resize RGB images [B, H, W, 3] uint8 to [B, size, size, 3] uint8 with Pillow's bicubic."""
    bicubic = PILImage.Resampling.BICUBIC
    return np.stack([np.asarray(PILImage.fromarray(image).resize((size, size), bicubic)) for image in images])


def short_side_bilinear(pixels: Tensor, size: int) -> Tensor:
    """Resize pixels [B, C, H, W] with antialiasing so that the shorter side has ``size``; no crop."""
    height, width = pixels.shape[2:]
    short = min(height, width)
    target = (size * height // short, size * width // short)
    if target == (height, width):
        return pixels
    return interpolate(pixels, target, mode="bilinear", align_corners=False, antialias=True)


def _plane(channel: Image, size: int) -> np.ndarray:
    plane = PILImage.fromarray(channel.astype(np.float32))
    return np.asarray(plane.resize((size, size), PILImage.Resampling.BICUBIC))
