"""Keeps the attention of a UNet's mid and up cross-attention layers, with gradients, while it is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

PARTS = ("mid", "up")
Groups = dict[str, list[Tensor]]


def resolutions(config: Mapping[str, Any]) -> set[int]:
    """Sides, in latent pixels, of the attention that is grounded in a UNet of this configuration."""
    side, levels = int(config["sample_size"]), len(config["block_out_channels"])
    ups = [levels - 1 - i for i, kind in enumerate(config["up_block_types"]) if "CrossAttn" in kind]
    return {side >> level for level in (levels - 1, *ups)}


class AttentionRecorder:
    """Gives the layers that are grounded a processor that computes attention in the open; all others keep theirs.

    Storing every layer's attention, self-attention included, would take half a gigabyte a layer at 64 x 64.
    """

    def __init__(self, unet: nn.Module) -> None:
        self.groups: Groups = {}
        self._recording = False
        for name, module in unet.named_modules():
            part = name.split("_")[0]
            if name.endswith("attn2") and part in PARTS:
                module.set_processor(_Open(self, part))  # type: ignore[operator]

    @contextmanager
    def recording(self) -> Iterator[Groups]:
        """Context of one forward pass; the groups it fills are {"mid_8": [maps [B, H, r, r, L], ...], ...}.

        A pass outside of it records nothing: checkpointing runs the forward pass again in the backward one.
        """
        self.groups, self._recording = {}, True
        try:
            yield self.groups
        finally:
            self.groups, self._recording = {}, False

    def keep(self, part: str, attention: Tensor) -> None:
        """Files one layer's attention [B, H, HW, L] under its part and side."""
        if self._recording:
            side = math.isqrt(attention.shape[2])
            if side * side != attention.shape[2]:
                raise ValueError(f"grounding needs square latents; {attention.shape[2]} places are no square")
            self.groups.setdefault(f"{part}_{side}", []).append(attention.unflatten(2, (side, side)))


class _Open:
    """Attention processor that computes softmax(Q Kᵀ / √d) by itself, shows it, and applies it."""

    def __init__(self, recorder: AttentionRecorder, part: str) -> None:
        self.recorder, self.part = recorder, part

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *_args: Any,
        **_ignored: Any,
    ) -> Tensor:
        """Image features [B, HW, C] of text states [B, L, D]."""
        query, key, value = (
            project(states).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for project, states in (
                (attn.to_q, hidden_states),
                (attn.to_k, encoder_hidden_states),
                (attn.to_v, encoder_hidden_states),
            )
        )
        scores = (query @ key.transpose(-1, -2)).float() * attn.scale
        if attention_mask is not None:
            length, batch = encoder_hidden_states.shape[1], len(hidden_states)
            scores = scores + attn.prepare_attention_mask(attention_mask, length, batch).view(
                batch, attn.heads, -1, length
            )
        attention = scores.softmax(dim=-1)
        self.recorder.keep(self.part, attention)
        out = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        dropped: Tensor = attn.to_out[1](attn.to_out[0](out))
        return dropped
