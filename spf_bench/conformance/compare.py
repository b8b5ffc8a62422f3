"""Compares images that should be the same, and tells plain data from other."""

import json
from typing import Any

from torch import Tensor

from spf_bench.conformance.check import Broken

ROUNDING = 2
"""Levels of 255 that a pixel may differ by between batches: kernels for other sizes add up in another order."""
ROUNDED = 0.01
"""Share of values that may differ so."""


def plain(told: Any, where: str) -> None:
    """Raise Broken where ``told`` cannot be written as JSON."""
    try:
        json.dumps(told, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Broken(f"{where} is not plain JSON: {error}", "numbers, strings, lists and dicts alone") from error


def alike(images: Tensor, others: Tensor, how: str, fix: str) -> str:
    """Say that images are equal but for rounding, or raise Broken."""
    if images.shape != others.shape:
        raise Broken(f"sampled {how}, {list(others.shape)} instead of {list(images.shape)}", fix)
    apart = (images.int() - others.int()).abs()
    if apart.max() > ROUNDING or (apart > 0).float().mean() > ROUNDED:
        raise Broken(f"sampled {how}, {difference(images, others)}", fix)
    return f"equal but for rounding: {difference(images, others)}" if apart.any() else "bit for bit"


def difference(images: Tensor, others: Tensor) -> str:
    """Return in words how far two batches of images [B, H, W, 3] uint8 are apart."""
    apart = (images.int() - others.int()).abs()
    share = (apart > 0).float().mean().item()
    changed = int((apart > 0).flatten(1).any(1).sum())
    most = int(apart.max())
    return f"{changed} of {len(images)} images differ, {share:.2%} of their values, by {most} of 255 at most"
