"""The two grounding losses of TokenCompose (Sec. 3.2 of arXiv:2312.03626), one value per sample.

Shapes: B samples, H heads, r the attention's resolution, L text positions, n nouns. A group is the maps of all
cross-attention layers of one resolution in one part of the UNet; losses of groups are summed.
A noun of no tokens stands for none: samples with fewer nouns than others are filled up with those.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def token_loss(maps: Sequence[Tensor], tokens: Tensor, masks: Tensor) -> Tensor:
    """How much of each noun token's attention lies outside the noun's region [B]; in [0, maps].

    The share inside is a mean over heads, squared per token; then a mean over a noun's tokens, a sum over maps,
    and a mean over nouns. A region of no cells costs 1 a map and teaches nothing.

    maps: a group's attention [B, H, r, r, L] each, softmax over L.
    tokens: which positions belong to which noun, bool [B, n, L].
    masks: where each noun is, 0 or 1 [B, n, r, r].
    """
    with _in_fp32(maps):
        return torch.stack([_outside(attention, tokens, masks) for attention in maps]).sum(dim=0)


def pixel_loss(maps: Sequence[Tensor], tokens: Tensor, masks: Tensor) -> Tensor:
    """How far a noun's attention differs from its region, cell by cell [B]; in [0, 100].

    Binary cross-entropy of the raw attention, averaged over heads and maps and summed over a noun's tokens; a mean
    over cells and nouns. Logarithms end at -100, as torch's own do.

    The arguments are those of `token_loss`.
    """
    with _in_fp32(maps):
        mean = torch.stack([attention.float().mean(dim=1) for attention in maps]).mean(dim=0)
        # A sum of softmax probabilities may round to just above 1.
        noun = torch.einsum("bxyl,bnl->bnxy", mean, tokens.to(mean)).clamp(0, 1)
        cells = F.binary_cross_entropy(noun, masks.to(noun), reduction="none")
        return _over_nouns(cells.mean(dim=(2, 3)), tokens)


def _in_fp32(maps: Sequence[Tensor]) -> torch.autocast:
    """Where autocast is on, it would add up attention in half precision, and refuse its cross-entropy."""
    return torch.autocast(maps[0].device.type, enabled=False)


def _outside(attention: Tensor, tokens: Tensor, masks: Tensor) -> Tensor:
    """One map's token loss [B]."""
    cells = attention.float().flatten(2, 3)
    inside = torch.einsum("bhxl,bnx->bnhl", cells, masks.flatten(2).to(cells))
    total = cells.sum(dim=2)[:, None]
    # Only a noun's own tokens are divided: what no noun asks for may well have no attention at all.
    used = (tokens[:, :, None] & (total > 0)).expand_as(inside)
    share = torch.where(used, inside, 0) / torch.where(used, total, 1)
    missed = (1 - share.mean(dim=2)).square() * tokens
    return _over_nouns(missed.sum(dim=2) / tokens.sum(dim=2).clamp(min=1), tokens)


def _over_nouns(values: Tensor, tokens: Tensor) -> Tensor:
    """Mean over a sample's nouns [B] of values [B, n]; 0 for a sample without any."""
    real = tokens.any(dim=2)
    return (values * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
