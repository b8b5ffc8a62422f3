"""Randomness without state: every draw follows from the seed, what it is for, and the step or epoch."""

from __future__ import annotations

import functools
import hashlib

import torch
from torch import Tensor


def derive(seed: int, purpose: str, number: int) -> int:
    """A seed in [0, 2^63) for one purpose at one step or epoch."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def sample_order(seed: int, step: int, batch: int, samples: int) -> Tensor:
    """The samples [batch] of a step: each epoch is a fresh permutation, and a batch may span two."""
    places = range(step * batch, (step + 1) * batch)
    return torch.stack([_epoch(seed, place // samples, samples)[place % samples] for place in places])


@functools.lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)
