"""What L_diff may learn in place of the fine-tuning images: the difference that the target text makes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spf_train import variants
from spf_train.data import Batch


class ContrastTarget:
    """Goal of the response path: the reference path, plus what the target text changes in stage 1's model.

    ε_ref(x_t, y_base) + s (ε_1(x_t, y) - ε_1(x_t, y_base)), in whatever the UNets predict. An extension of ours. What
    stage 1 learned besides the target is in both of its predictions and cancels out, whereas the noise of a
    fine-tuning image, the goal of Eq. 1, teaches that image's framing and background anew at every step.

    first: stage 1's UNet; the original one where there was no stage 1.
    scale: s; above 1 the target shows more strongly, and what it brings along as well.
    """

    def __init__(self, first: Any, scale: float) -> None:
        self.first = first.eval().requires_grad_(False)
        self.scale = scale

    @torch.no_grad()
    def __call__(self, batch: Batch, x_t: Tensor, output_ref: Tensor) -> Tensor:
        """The goal [B, C, h, w]; for dropped captions, the reference's unconditional prediction.

        output_ref: the reference path's prediction for the base text [B, C, h, w].
        """
        goal = output_ref.float().clone()
        rows = (~batch.dropped).nonzero().flatten()  # without a caption both texts are empty: no difference
        if len(rows):
            kept, noisy = batch.map(lambda tensor: tensor[rows]), x_t[rows]
            told = variants.text_states(self.first, kept.complete, kept.target, ~kept.dropped)
            untold = variants.text_states(self.first, kept.base, kept.target, kept.dropped)
            both = self.first(torch.cat([noisy, noisy]), torch.cat([kept.t, kept.t]), torch.cat([told, untold])).sample
            complete, base = both.float().chunk(2)
            goal[rows] += self.scale * (complete - base)
        return goal
