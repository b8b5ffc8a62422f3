"""The losses of SPF-Portrait, one function per equation of arXiv:2504.00396v1, one value per sample.

Shapes: B samples, H heads, n text positions, HW image positions, d channels per head. `released` is the
control map M̂ in [0, 1] at the layer's resolution: 1 frees a location from alignment, 0 (or None) aligns it.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Norm = Literal["mse", "l2"]


def diffusion_loss(output: Tensor, target: Tensor, share: Tensor | None = None) -> Tensor:
    """L_diff [B]: mean squared error of the prediction [B, C, h, w] (Eq. 1), each place weighted by `share`.

    share: [B, 1, h, w], of mean 1 where the loss is to keep its size; None weighs all places alike.
    """
    squares = (output.float() - target.float()).square()
    return (squares if share is None else squares * share).flatten(1).mean(dim=1)


def text_features(key: Tensor, query: Tensor, released: Tensor | None = None) -> Tensor:
    """F = softmax(K_base Qᵀ / √d) ((1 - M̂) ⊙ Q) [B, H, n, d] (Eq. 3, masked inside as Eq. 8 needs).

    It is Attention(K, Q, Q): where each base token looks, and what it finds there.

    key: K_base [B, H, n, d].
    query: Q [B, H, HW, d].
    released: M̂ [B, HW].
    """
    value = query if released is None else query * _kept(released).to(query.dtype)
    features: Tensor = F.scaled_dot_product_attention(key, query, value)
    return features


def text_maps(key: Tensor, query: Tensor, released: Tensor | None = None) -> Tensor:
    """softmax(K_base Qᵀ / √d) ⊙ (1 - M̂) [B, H, n, HW]: the maps themselves, as Fig. 3 draws them.

    key: K_base [B, H, n, d].
    query: Q [B, H, HW, d].
    released: M̂ [B, HW].
    """
    scores = key @ query.transpose(-1, -2) / key.shape[-1] ** 0.5
    maps: Tensor = scores.float().softmax(dim=-1)
    return maps if released is None else maps * (1 - released)[:, None, None]


def text_consistent_loss(ref: Tensor, res: Tensor, positions: Tensor, norm: Norm) -> Tensor:
    """One layer's term of L_text [B]: ‖F_ref - F_res‖ (Eq. 3, 8).

    ref, res: F of the two paths [B, H, n, d], or their maps [B, H, n, HW].
    positions: which of the n positions count for each sample, bool [B, n].
    """
    counted = positions[:, None, :, None]
    difference = (ref.float() - res.float()) * counted
    return _norm(difference, norm, counted.expand_as(difference))


def fine_grained_loss(ref: Tensor, res: Tensor, released: Tensor | None, norm: Norm) -> Tensor:
    """One layer's term of L_fine [B]: ‖(Q_ref - Q_res) ⊙ (1 - M̂)‖ (Eq. 4, 8).

    ref, res: Q of the two paths [B, H, HW, d].
    released: M̂ [B, HW].
    """
    difference = ref.float() - res.float()
    if released is not None:
        difference = difference * _kept(released)
    return _norm(difference, norm)


def difference_loss(predicted: Tensor, real: Tensor, text: Tensor) -> Tensor:
    """L_enh [B] in [0, 2]: 1 - cos(E_I(x̂0) - E_T(y_tar), E_I(x0) - E_T(y_tar)) (Eq. 9, 10).

    predicted, real: unit-norm image embeddings E_I(x̂0), E_I(x0) [B, E].
    text: unit-norm embedding of the target text E_T(y_tar) [B, E].
    """
    return 1 - F.cosine_similarity(predicted - text, real - text, dim=-1)


def clip_loss(predicted: Tensor, text: Tensor) -> Tensor:
    """L_clip [B] in [0, 2]: 1 - cos(E_I(x̂0), E_T(y_tar)), the direct supervision of Fig. 5 (Eq. 11)."""
    return 1 - F.cosine_similarity(predicted, text, dim=-1)


def _kept(released: Tensor) -> Tensor:
    """1 - M̂ as [B, 1, HW, 1]."""
    return (1 - released)[:, None, :, None]


def _norm(difference: Tensor, norm: Norm, counted: Tensor | None = None) -> Tensor:
    """Mean square over what is counted, or unsquared L2 norm, of each sample's difference [B]."""
    if norm == "l2":
        length: Tensor = torch.linalg.vector_norm(difference.flatten(1), dim=1)
        return length
    squares = difference.square().flatten(1).sum(dim=1)
    if counted is None:
        return squares / difference[0].numel()
    return squares / counted.flatten(1).sum(dim=1).clamp(min=1)
