"""A few numbers that stand for a tensor: equal tensors have equal ones, and any change of many values shows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PROJECTIONS = 6
MASK = np.uint64(0xFFFFFFFFFFFFFFFF)

Print = list[float]
"""How many values are NaN, the root mean square of the others, and their sums under random signs, over root n."""


def mixed(seed: int, n: int) -> np.ndarray:
    """Return n integers [n] uint64 that look random: SplitMix64, the same on every machine and with every library."""
    with np.errstate(over="ignore"):
        x = (np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, n: int) -> np.ndarray:
    """Return n numbers [n] float64 in [-1, 1), the same everywhere."""
    return mixed(seed, n).astype(np.float64) / 2.0**63 - 1


def fingerprint(tensor: Tensor) -> Print:
    """Return what stands for a tensor of any shape."""
    values = tensor.detach().double().cpu().numpy().ravel()
    known = np.isfinite(values)
    bits, n = mixed(1, len(values)), max(int(known.sum()), 1)
    finite = np.where(known, values, 0.0)  # left out of every sum; their number is told apart
    sums = (finite * (1.0 - 2.0 * ((bits >> np.uint64(k)) & np.uint64(1)).astype(float)) for k in range(PROJECTIONS))
    whole = [np.sqrt(np.square(finite).sum() / n), *(one.sum() / np.sqrt(n) for one in sums)]
    return [float(len(values) - known.sum()), *(float(f"{value:.8g}") for value in whole)]


def apart(now: Sequence[float], known: Sequence[float]) -> float:
    """Return how far two prints lie apart, as a share of the tensor's root mean square; infinite where NaN differ."""
    if len(now) != len(known) or now[0] != known[0]:
        return float("inf")
    scale = max(known[1], 1e-12)
    return max(abs(a - b) for a, b in zip(now[1:], known[1:], strict=True)) / scale


@contextmanager
def entering() -> Iterator[list[Tensor]]:
    """Collect what networks are given to look at: images [B, 3, H, W] as they enter the first module that sees any."""
    seen: list[Tensor] = []
    first: list[nn.Module] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        image = given[0] if given else None
        if not torch.is_tensor(image) or image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            return
        if not first:
            first.append(module)
        if module is first[0]:
            seen.append(image.detach().float().cpu())

    handle = nn.modules.module.register_module_forward_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()
