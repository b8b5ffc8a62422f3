"""What trains in a UNet, an axis of Table 4 of arXiv:2504.00396v1: everything, cross-attention, LoRA, an adapter.

A run's folder holds unet/, which any diffusers pipeline loads, and beside it lora/ or adapter.safetensors where the
variant is one: unet/ has LoRA merged into it, and no adapter (diffusers knows none); `load` adds that again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn

from spf_train import adapter
from spf_train.config import Trainable

PROJECTIONS = ("attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0")
ADAPTER_FILE = "adapter.safetensors"
LORA_FILE = "pytorch_lora_weights.safetensors"  # the name diffusers looks for


def apply(
    unet: Any, which: Trainable | None, rank: int = 16, alpha: float | None = None, context: int = 77, seed: int = 0
) -> dict[str, nn.Parameter]:
    """Adds to `unet` what a variant needs, freezes all else, and returns the weights that train, by name.

    which: None keeps the choice made before, where a baseline has added weights of its own.
    rank, alpha: of "lora"; alpha None is the rank. seed: of its first weights; the UNet starts unchanged.
    context: L, the text encoder's positions; of "adapter".
    """
    if which == "lora":
        add_lora(unet, rank, rank if alpha is None else alpha, seed)
    if which == "adapter":
        adapter.attach(unet, context)
    if which is not None:
        for name, weight in unet.named_parameters():
            weight.requires_grad_(trains(name, which))
    return {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}


def trains(name: str, which: Trainable) -> bool:
    """Whether a variant trains the UNet's weight of that name."""
    if which == "cross_attention":
        return any(f"{projection}." in name for projection in PROJECTIONS)
    return which == "all" or {"lora": ".lora_", "adapter": ".processor."}[which] in name


def add_lora(unet: Any, rank: int, alpha: float, seed: int = 0) -> None:
    """Adds low-rank matrices to the four projections of each `attn2` layer (arXiv:2106.09685), by peft."""
    from peft import LoraConfig

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(PROJECTIONS))  # type: ignore[arg-type]
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        unet.add_adapter(config)


def text_states(unet: nn.Module, text: Tensor, target: Tensor, given: Tensor) -> Tensor:
    """The text states that a UNet reads: [B, L, D], or with an adapter [B, 2L, D].

    text, target: states [B, L, D] of the complete text, and of the target text alone where an adapter wants them.
    given: which samples have a target text, bool [B].
    """
    if not adapter.has_adapter(unet):
        return text
    return adapter.with_target(text, target * given[:, None, None])


def save(unet: Any, folder: Path) -> None:
    """Writes folder/unet, with LoRA folder/lora in diffusers' format, with an adapter folder/adapter.safetensors."""
    if has_lora(unet):
        save_lora(unet, folder / "lora")
    if adapter.has_adapter(unet):
        adapter.save_adapter(unet, folder / ADAPTER_FILE)
    plain(unet).save_pretrained(folder / "unet")


def load(unet: Any, folder: Path) -> bool:
    """Adds the adapter of a run's folder to the UNet loaded from its unet/.

    Returns whether there is one: its text states are `adapter.with_target(complete, target)`.
    """
    path = Path(folder) / ADAPTER_FILE
    if path.is_file():
        adapter.load_adapter(unet, path)
    return path.is_file()


def has_lora(unet: nn.Module) -> bool:
    """Whether a UNet has LoRA layers."""
    return any(".lora_" in name for name, _ in unet.named_parameters())


def save_lora(unet: Any, folder: Path) -> None:
    """Writes the LoRA weights so that `pipe.load_lora_weights(folder)` reads them on the UNet they started from."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    described = unet.peft_config["default"].to_dict()
    StableDiffusionPipeline.save_lora_weights(folder, layers, unet_lora_adapter_metadata=described)


def plain(unet: Any) -> Any:
    """The UNet as diffusers knows it: LoRA merged, no adapter; `unet` itself where it has neither."""
    if not has_lora(unet) and not adapter.has_adapter(unet):
        return unet
    with torch.device("meta"):
        merged: Any = UNet2DConditionModel.from_config(unet.config)
    merged.load_state_dict(plain_state(unet), assign=True)
    return merged


@torch.no_grad()
def plain_state(unet: nn.Module) -> dict[str, Tensor]:
    """The weights of `plain`, sharing memory with those that have no LoRA."""
    state = {
        name.replace(".base_layer.", "."): weight
        for name, weight in unet.state_dict().items()
        if ".lora_" not in name and ".processor." not in name
    }
    layers: list[tuple[str, Any]] = [(n, m) for n, m in unet.named_modules() if hasattr(m, "get_delta_weight")]
    for name, layer in layers:
        for active in layer.active_adapters:
            state[f"{name}.weight"] = state[f"{name}.weight"] + layer.get_delta_weight(active)
    return state
