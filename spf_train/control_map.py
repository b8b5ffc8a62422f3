"""The Semantic-Aware Fine Control Map (SFCM): where the target text may change the image (Eq. 5-7).

Shapes: B samples, P phrases (padded with zero weight), L text positions, h x w the latent's resolution.
Sources: arXiv:2504.00396v1. Nothing here is differentiated: call it under torch.no_grad().
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from spf_train.tap import LayerQK

PhraseMap = Literal["minmax", "mass"]
SoftScale = Literal["minmax", "quantile"]
LayerMap = Literal["area", "max"]
# Below this a map is flat, and dividing by its range would only enlarge rounding errors.
FLAT = 1e-8


def soft_map(eps_ref: Tensor, eps_res: Tensor, scale: SoftScale = "minmax") -> Tensor:
    """M [B, 1, h, w] in [0, 1]: |ε_ref - ε_res|, mean over channels, scaled per sample (Eq. 5).

    scale: "minmax" gives 1 to the largest difference alone; "quantile" (ours) takes the mean of each 3 x 3
        neighbourhood and puts the median at 0 and the 90th percentile at 1, so that a region is released, not a point.
    """
    difference = (eps_ref.float() - eps_res.float()).abs().mean(dim=1, keepdim=True)
    if scale == "minmax":
        return minmax(difference)
    calm = F.avg_pool2d(F.pad(difference, (1, 1, 1, 1), mode="replicate"), 3, 1)
    low, high = (calm.flatten(1).quantile(q, dim=1).view(-1, 1, 1, 1) for q in (0.5, 0.9))
    return ((calm - low) / (high - low).clamp(min=FLAT)).clamp(0, 1)


def phrase_maps(layers: Sequence[LayerQK], tokens: Tensor, size: tuple[int, int], kind: PhraseMap) -> Tensor:
    """A [B, P, h, w] in [0, 1]: where the response path looks for each phrase (Eq. 6).

    Mean over layers and heads of the cross-attention probabilities. "minmax": over all tokens, mean over the
    phrase's tokens, scaled to [0, 1] per phrase. "mass": the start token, which takes most of the attention,
    is left out of the softmax, and the phrase's tokens are summed: each phrase's share of the attention.

    layers: recorded Q and K of the response path.
    tokens: which positions belong to which phrase, bool [B, P, L].
    size: (h, w).
    """
    weights = tokens.float().transpose(1, 2)
    first = 1 if kind == "mass" else 0
    if kind == "minmax":
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    total = torch.zeros(*tokens.shape[:2], *size, device=tokens.device)
    for layer in layers:
        total += _layer_maps(layer, weights, first, size)
    mean = total / len(layers)
    return minmax(mean) if kind == "minmax" else mean


def _layer_maps(layer: LayerQK, weights: Tensor, first: int, size: tuple[int, int]) -> Tensor:
    """One layer's maps [B, P, h, w]; the probabilities meet the phrases inside attention, never whole."""
    value = weights[:, None, first:].to(layer.query.dtype).expand(-1, layer.key.shape[1], -1, -1)
    shares = F.scaled_dot_product_attention(layer.query, layer.key[:, :, first:], value)
    maps = shares.float().mean(dim=1).transpose(1, 2)
    maps = maps.reshape(*maps.shape[:2], *layer_size(maps.shape[2], size))
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def relevance(cosine: Tensor, shift: float = 0.0) -> Tensor:
    """gamma [B, P] in [0, 1]: phrase-target cosine in CLIP's text space plus `shift`, clamped (Eq. 7)."""
    return (cosine + shift).clamp(0, 1)


def control_map(soft: Tensor, phrases: Tensor, gamma: Tensor, rescale: bool) -> Tensor:
    """M̂ [B, 1, h, w] in [0, 1]: clamp(M - Σ_i A_i (1 - gamma_i), 0, 1) (Eq. 7).

    soft: M [B, 1, h, w].
    phrases: A [B, P, h, w], all 0 where a sample has fewer phrases.
    gamma: gamma [B, P].
    rescale: divides each sample by its maximum, so that the heart of the region is fully released.
    """
    irrelevant = (phrases * (1 - gamma)[:, :, None, None]).sum(dim=1, keepdim=True)
    refined = (soft - irrelevant).clamp(0, 1)
    return refined / refined.amax(dim=(2, 3), keepdim=True).clamp(min=FLAT) if rescale else refined


def at_layer(released: Tensor, positions: int, how: LayerMap = "area") -> Tensor:
    """M̂ [B, 1, h, w] brought to a layer's HW positions [B, HW].

    how: "area" is the mean over what a position covers; "max" (ours) frees a position that covers any freed place.
    """
    size = layer_size(positions, (released.shape[2], released.shape[3]))
    if how == "max":
        return F.adaptive_max_pool2d(released, size).flatten(1)
    return F.interpolate(released, size=size, mode="area").flatten(1)


def layer_size(positions: int, size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) of a layer with that many positions: the latent's, halved (rounded up) k times."""
    height, width = size
    while height * width > positions:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != positions:
        raise ValueError(f"{positions} positions are no halving of a {size[0]}x{size[1]} latent")
    return height, width


def minmax(maps: Tensor) -> Tensor:
    """Scales each map [B, P, h, w] to [0, 1]; a flat one becomes 0."""
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp(min=FLAT)
