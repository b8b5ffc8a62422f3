"""How the encoders compute: in single precision unless asked otherwise, and never more images at once than fit."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from spf_bench.metrics.features import Image, Outputs


def precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return a context that computes in ``dtype``; weights and what must not be rounded stay in float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def exact() -> AbstractContextManager[None]:
    """Return a context without TF32 in convolutions, which would move scores by more than batches may."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def to_pixels(images: Image, device: torch.device) -> Tensor:
    """Turn RGB images [B, H, W, 3] uint8 into pixels [B, 3, H, W] float32 in [0, 255] on ``device``."""
    return torch.tensor(images, device=device).permute(0, 3, 1, 2).float()


def in_chunks(encode: Callable[[Image], Outputs], images: Image, size: int) -> Outputs:
    """Encode at most ``size`` of the images [B, H, W, 3] at a time; outputs as if all had gone at once."""
    parts = [encode(images[start : start + size]) for start in range(0, len(images), size)]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]} if len(parts) > 1 else parts[0]
