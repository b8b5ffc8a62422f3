"""Stage 2 as one would first write it: what `spf_train`'s own is measured against.

An attention processor computes every attention map whole and keeps those of cross-attention, in both paths (as
prompt-to-prompt editing does, arXiv:2208.01626); the control map and L_text are made of these maps; the predicted
latent is decoded at full size. Its losses are those of `DualPathStage`, up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spf_train import control_map as sfcm
from spf_train import losses
from spf_train.data import Batch
from spf_train.dual_path import DualPathStage
from spf_train.stages import Terms
from spf_train.text import phrase_tokens


@dataclass
class KeptLayer:
    """What the processor keeps of a cross-attention layer: query, key, and the maps [B, heads, HW, L]."""

    query: Tensor
    key: Tensor
    maps: Tensor


class KeepingProcessor:
    """Attention with its map written out; cross-attention layers are appended to `kept`."""

    def __init__(self, kept: list[KeptLayer]) -> None:
        self.kept = kept

    def __call__(self, attn: Any, states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any) -> Tensor:
        """Attended image features [B, HW, C]."""
        source = states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            projection(of).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for projection, of in ((attn.to_q, states), (attn.to_k, source), (attn.to_v, source))
        )
        maps = attention(query, key)
        if encoder_hidden_states is not None:
            self.kept.append(KeptLayer(query, key, maps))
        attended: Tensor = attn.to_out[0]((maps.to(value) @ value).transpose(1, 2).flatten(2))
        return attended


class PlainStage(DualPathStage):
    """The dual-path step on kept maps; every sample is aligned, captions are not dropped."""

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """The total of Eq. 12 and its terms, as `DualPathStage.loss` gives them."""
        x_t = self.diffusion.add_noise(batch.x0, batch.eps, batch.t)
        with torch.no_grad():
            output_ref, ref = run(self.reference, x_t, batch.t, batch.base)
        output, res = run(self.unet, x_t, batch.t, batch.complete)
        with torch.no_grad():
            eps_ref = self.diffusion.epsilon(output_ref, x_t, batch.t)
            released = self.map_of(batch, sfcm.soft_map(eps_ref, self.diffusion.epsilon(output, x_t, batch.t)), res)
        layers = [self.layer(a, b, batch.base_positions, released) for a, b in zip(ref, res, strict=True)]
        text, fine = (torch.stack(column).sum(dim=0).mean() for column in zip(*layers, strict=True))
        enhanced = self.enhancement.loss(batch, self.diffusion.x0(output, x_t, batch.t))
        terms = {"diff": self.diffusion_loss(output, batch).mean(), "text": text, "fine": fine, "enh": enhanced}
        total = torch.stack([weight * terms[name] for name, weight in self.weights.items()]).sum()
        return total, {**terms, "coverage": released.mean()}

    def map_of(self, batch: Batch, soft: Tensor, res: list[KeptLayer]) -> Tensor:
        """M̂ [B, 1, h, w] from whole maps: those of all layers at the latent's size, then of each phrase."""
        size = (soft.shape[2], soft.shape[3])
        whole = torch.stack([upsampled(layer.maps.float().mean(dim=1), size) for layer in res]).mean(dim=0)
        tokens = phrase_tokens(batch.spans, batch.base.shape[1]).float()
        weights = tokens / tokens.sum(dim=2, keepdim=True).clamp(min=1)
        phrases = sfcm.minmax(torch.einsum("bpl,blhw->bphw", weights, whole))
        return sfcm.control_map(soft, phrases, sfcm.relevance(batch.cosine, self.gamma_shift), self.config.rescale)

    def layer(self, ref: KeptLayer, res: KeptLayer, own: Tensor, released: Tensor) -> tuple[Tensor, Tensor]:
        """One layer's L_text and L_fine of each sample [B]."""
        local, norm = sfcm.at_layer(released, ref.query.shape[2]), self.config.norm
        kept = (1 - local)[:, None, :, None]
        F_ref, F_res = (attention(each.key, each.query) @ (each.query * kept).to(each.query) for each in (ref, res))
        fine = losses.fine_grained_loss(ref.query, res.query, local, norm)
        return losses.text_consistent_loss(F_ref, F_res, own, norm), fine


def attention(query: Tensor, key: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d), whole."""
    return (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)


def run(unet: Any, x_t: Tensor, t: Tensor, text: Tensor) -> tuple[Tensor, list[KeptLayer]]:
    """A UNet's output [B, C, h, w] and its cross-attention layers, in the order in which they ran."""
    kept: list[KeptLayer] = []
    before = unet.attn_processors
    unet.set_attn_processor(KeepingProcessor(kept))
    output: Tensor = unet(x_t, t, text).sample
    unet.set_attn_processor(before)
    return output, kept


def upsampled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [B, HW, L] as [B, L, h, w]."""
    height, width = sfcm.layer_size(maps.shape[1], size)
    square = maps.transpose(1, 2).unflatten(2, (height, width))
    return F.interpolate(square, size=size, mode="bilinear", align_corners=False)
