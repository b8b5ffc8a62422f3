"""An adapter on cross-attention: keys and values of its own for the target text (Table 4 of arXiv:2504.00396v1).

A UNet with it reads text states of twice the context: the complete text, then the target text encoded alone.
States of zeros stand for "no target text": its projections have no bias, so nothing is added then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spf_train.errors import ConfigError, explained
from spf_train.tap import cross_attention
from spf_train.text import complete_text


class TargetBranch(nn.Module):
    """Attention processor of one `attn2` layer: its own attention, plus one over the target text.

    It starts as nothing: keys are projected as the layer's, values to 0.

    attention: the diffusers Attention layer that it will serve.
    context: L, the text positions that the layer was trained with.
    """

    def __init__(self, attention: Any, context: int) -> None:
        super().__init__()
        self.context = context
        self.to_k_tar = nn.Linear(attention.to_k.in_features, attention.to_k.out_features, bias=False)
        self.to_v_tar = nn.Linear(attention.to_v.in_features, attention.to_v.out_features, bias=False)
        self.to_k_tar.weight.data.copy_(_weight(attention.to_k))
        nn.init.zeros_(self.to_v_tar.weight)
        self.to(_weight(attention.to_k))

    def forward(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *_args: Any,
        **_ignored: Any,
    ) -> Tensor:
        """Image features [B, HW, C] of text states [B, 2L, D]; [B, L, D] are read as a text without target.

        Raises ValueError for any other number of text positions.
        """
        text, target = encoder_hidden_states.split_with_sizes(self._lengths(encoder_hidden_states), dim=1)
        query = _heads(attn, attn.to_q(hidden_states))
        mask = _mask(attn, attention_mask, text)
        out = F.scaled_dot_product_attention(query, _heads(attn, attn.to_k(text)), _heads(attn, attn.to_v(text)), mask)
        if target.shape[1]:
            key, value = _heads(attn, self.to_k_tar(target)), _heads(attn, self.to_v_tar(target))
            out = out + F.scaled_dot_product_attention(query, key, value)
        out = attn.to_out[0](out.transpose(1, 2).flatten(2).to(query.dtype))
        dropped: Tensor = attn.to_out[1](out)
        return dropped

    def _lengths(self, states: Tensor) -> list[int]:
        found = states.shape[1]
        if found not in (self.context, 2 * self.context):
            raise ValueError(f"{found} text positions: this adapter reads {self.context}, or twice as many")
        return [self.context, found - self.context]


def attach(unet: nn.Module, context: int) -> None:
    """Gives every `attn2` layer of a UNet a TargetBranch; one that has them keeps them."""
    if not has_adapter(unet):
        for _name, attention in cross_attention(unet):
            attention.set_processor(TargetBranch(attention, context))


def has_adapter(unet: nn.Module) -> bool:
    """Whether a UNet reads the target text through an adapter."""
    return any(isinstance(module, TargetBranch) for module in unet.modules())


def with_target(text: Tensor, target: Tensor | None = None) -> Tensor:
    """Text states [B, 2L, D] for a UNet with an adapter, of states [B, L, D] of text and target.

    target: None for the unconditional branch, or for a text without target.
    """
    return torch.cat([text, torch.zeros_like(text) if target is None else target.to(text)], dim=1)


@torch.no_grad()
def embed_for(pipe: Any, bases: Sequence[str], targets: Sequence[str]) -> Tensor:
    """Prompt embeddings [B, 2L, D] of base and target texts, for sampling a pipeline whose UNet has an adapter.

    An empty target stands for the base text alone. The negative prompt's are `with_target(states)`.
    """

    def encode(texts: Sequence[str]) -> Tensor:
        states: Tensor = pipe.encode_prompt(list(texts), pipe.device, 1, False)[0]
        return states

    completes = [complete_text(*pair) if pair[1] else pair[0] for pair in zip(bases, targets, strict=True)]
    given = torch.tensor([bool(target) for target in targets], device=pipe.device)
    return with_target(encode(completes), encode(targets) * given[:, None, None])


def save_adapter(unet: nn.Module, path: Path) -> None:
    """Writes the adapter of a UNet, and nothing else of it, as .safetensors."""
    branches = {name: module for name, module in unet.named_modules() if isinstance(module, TargetBranch)}
    context = next(iter(branches.values())).context
    weights = {
        f"{name}.{key}": weight.detach().cpu().contiguous()
        for name, branch in branches.items()
        for key, weight in branch.state_dict().items()
    }
    save_file(weights, path, {"format": "pt", "context": str(context)})


def load_adapter(unet: nn.Module, path: Path) -> None:
    """Gives a UNet the adapter saved in a file, in the UNet's device and dtype.

    Raises ConfigError if the file is no adapter, or one of another UNet.
    """
    what, fix = f"cannot load the adapter {path}", "pass the adapter.safetensors of a run of this model"
    with explained(what, fix), safe_open(path, framework="pt") as file:
        context = int((file.metadata() or {}).get("context", 0))
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    if context:
        attach(unet, context)
    expected = {name: value.shape for name, value in unet.state_dict().items() if ".processor.to_" in name}
    if not context or expected != {name: value.shape for name, value in weights.items()}:
        why = "its layers are not this UNet's" if context else "it lacks the context in its metadata"
        raise ConfigError(what, why, fix)
    unet.load_state_dict(weights, strict=False)


def _weight(projection: Any) -> Tensor:
    """The weight of a projection, with or without low-rank additions around it."""
    weight: Tensor = getattr(projection, "base_layer", projection).weight.data
    return weight


def _heads(attn: Any, states: Tensor) -> Tensor:
    """States [B, N, C] as [B, heads, N, C / heads]."""
    return states.unflatten(2, (attn.heads, -1)).transpose(1, 2)


def _mask(attn: Any, mask: Tensor | None, text: Tensor) -> Tensor | None:
    """A mask over the text's positions as attention wants it."""
    if mask is None:
        return None
    prepared = attn.prepare_attention_mask(mask[..., : text.shape[1]], text.shape[1], text.shape[0])
    return prepared.view(text.shape[0], attn.heads, -1, prepared.shape[-1])
