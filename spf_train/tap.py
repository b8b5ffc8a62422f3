"""Records queries and keys of a UNet's cross-attention layers while it runs; its output stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from torch import Tensor, nn

Record = dict[str, Tensor]


@dataclass(frozen=True)
class LayerQK:
    """What one cross-attention layer computed in the last forward pass.

    query: Q [B, heads, HW, d], from the image features.
    key: K [B, heads, L, d], from the text embedding.
    """

    query: Tensor
    key: Tensor

    def take(self, rows: Tensor) -> LayerQK:
        """The record of some samples [B']."""
        return LayerQK(self.query[rows], self.key[rows])

    def keys(self, positions: Tensor) -> LayerQK:
        """The record with the keys of some text positions only."""
        return LayerQK(self.query, self.key[:, :, positions])


def cross_attention(unet: nn.Module) -> Iterator[tuple[str, Any]]:
    """The `attn2` layers of a UNet by name, in the order of its modules."""
    return ((name, module) for name, module in unet.named_modules() if name.endswith("attn2"))


class CrossAttentionTap:
    """Context manager around forward passes of `unet`; `layers` then holds Q and K of every `attn2` layer.

    The projections to_q and to_k are watched by hooks, so attention runs on whatever processor it has
    (also with LoRA on the projections), the output is the same bit for bit, and Q and K carry gradients
    where the pass does. Each forward pass replaces the record of the one before.
    """

    def __init__(self, unet: nn.Module) -> None:
        self.unet = unet
        self.attention: dict[str, Any] = dict(cross_attention(unet))
        if not self.attention:
            raise ValueError("this UNet has no cross-attention (attn2) layer to record")
        self._queries: Record = {}
        self._keys: Record = {}
        self._hooks: list[Any] = []

    @property
    def layers(self) -> list[LayerQK]:
        """One record per layer, in the order of the UNet's modules. Raises RuntimeError before any pass."""
        missing = self.attention.keys() - (self._queries.keys() & self._keys.keys())
        if missing:
            raise RuntimeError(f"no Q and K recorded for {sorted(missing)}: was the UNet run, unfused?")
        return [LayerQK(self._queries[name], self._keys[name]) for name in self.attention]

    def __enter__(self) -> CrossAttentionTap:
        for name, attention in self.attention.items():
            self._watch(attention.to_q, self._queries, name, attention.heads)
            self._watch(attention.to_k, self._keys, name, attention.heads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _watch(self, projection: nn.Module, record: Record, name: str, heads: int) -> None:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            record[name] = output.view(*output.shape[:2], heads, -1).transpose(1, 2)

        self._hooks.append(projection.register_forward_hook(keep))
