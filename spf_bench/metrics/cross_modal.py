"""Cross-modal layers of MPS: image tokens read the visible text tokens, then each other.

Source: Zhang et al., "Learning Multi-dimensional Human Preference for Text-to-Image Generation", CVPR 2024
(arXiv:2405.14705), released code and state dict. Parameter names follow that state dict up to its ``.fn.``
level.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROTARY_BASE = 10_000.0


class SwiGLU(nn.Module):
    """Gated unit ``silu(gate) * value`` over two halves [..., 2d] -> [..., d]; source: arXiv:2002.05202."""

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return F.silu(gate) * value


class CrossAttention(nn.Module):
    """Multi-query attention of image over text tokens beside a feed-forward, without the residual.

    Heads share one key and one value per text token; only the queries are normalised.
    """

    def __init__(self, dim: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim, bias=False)
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)
        self.ff = nn.Sequential(
            nn.Linear(dim, 2 * ff_mult * dim, bias=False), SwiGLU(), nn.Linear(ff_mult * dim, dim, bias=False)
        )

    def forward(self, x: Tensor, context: Tensor, visible: Tensor) -> Tensor:
        """Attend from x [B, N, D] to the context tokens [B, L, D] where ``visible`` [B, L] is true."""
        x = self.norm(x)
        key, value = self.to_kv(context).chunk(2, dim=-1)
        out = multi_query_attention(self.to_q(x), key, value, self.heads, visible[:, None, None, :])
        return self.to_out(out) + self.ff(x)


class ParallelBlock(nn.Module):
    """Rotary multi-query self-attention beside a feed-forward, from one projection, without the residual."""

    def __init__(self, dim: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        self.heads = heads
        self.widths = (heads * dim_head, dim_head, dim_head, 2 * ff_mult * dim)
        self.norm = nn.LayerNorm(dim, bias=False)
        self.fused_attn_ff_proj = nn.Linear(dim, sum(self.widths), bias=False)
        self.attn_out = nn.Linear(heads * dim_head, dim, bias=False)
        self.ff_out = nn.Sequential(SwiGLU(), nn.Linear(ff_mult * dim, dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x [B, N, D] -> [B, N, D]."""
        query, key, value, hidden = self.fused_attn_ff_proj(self.norm(x)).split(self.widths, dim=-1)
        angles = rotary_angles(x.shape[1], key.shape[-1], x.device)
        query = rotate(query.unflatten(-1, (self.heads, -1)), angles[:, None]).flatten(-2)
        out = multi_query_attention(query, rotate(key, angles), value, self.heads)
        return self.attn_out(out) + self.ff_out(hidden)


class CrossModel(nn.Module):
    """Residual cross-attention and self-attention in turn; token 0 becomes the image as the text sees it."""

    def __init__(self, dim: int, layers: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        sizes = (dim, heads, dim_head, ff_mult)
        self.layers = nn.ModuleList(
            nn.ModuleList((CrossAttention(*sizes), ParallelBlock(*sizes))) for _ in range(layers)
        )

    def forward(self, image: Tensor, text: Tensor, visible: Tensor) -> Tensor:
        """Image tokens [B, N, D], text tokens [B, L, D], visible [B, L] bool -> image tokens [B, N, D]."""
        for layer in self.layers:
            cross, block = layer.children()
            image = image + cross(image, text, visible)
            image = image + block(image)
        return image


def multi_query_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attend from query [B, N, heads*d] to one shared key and value [B, L, d]; mask fits [B, heads, N, L]."""
    split = query.unflatten(-1, (heads, -1)).transpose(1, 2)
    shared_key, shared_value = (t[:, None].expand(-1, heads, -1, -1) for t in (key, value))
    out = F.scaled_dot_product_attention(split, shared_key, shared_value, attn_mask=mask)
    return out.transpose(1, 2).flatten(-2)


def rotary_angles(length: int, dim: int, device: torch.device) -> Tensor:
    """Rotation angles [length, dim] of positions 0..length-1; source: arXiv:2104.09864, base 10000."""
    frequency = ROTARY_BASE ** -(torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency
    return torch.cat((angles, angles), dim=-1)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (i, i + d/2) of x [..., d] by ``angles``."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return x * angles.cos().to(x.dtype) + turned * angles.sin().to(x.dtype)
