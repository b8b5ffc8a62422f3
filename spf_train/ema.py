"""The exponential moving average of trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """Follows `weights`; the decay rises with the steps as (1 + step) / (10 + step), up to `decay`."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.weights = dict(weights)
        self.decay = decay
        self.average = {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the weights after step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, average in self.average.items():
            average.lerp_(self.weights[name], 1 - decay)

    @torch.no_grad()
    def load(self, average: Mapping[str, Tensor]) -> None:
        """Takes over a saved average."""
        for name, value in average.items():
            self.average[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the average in place of the weights; the weights come back on exit."""
        kept = {name: weight.detach().clone() for name, weight in self.weights.items()}
        _fill(self.weights, self.average)
        try:
            yield
        finally:
            _fill(self.weights, kept)


@torch.no_grad()
def _fill(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        weights[name].copy_(value)
