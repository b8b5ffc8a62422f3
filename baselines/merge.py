"""A trained UNet as diffusers knows it: whatever a method added to its weights is computed into them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.utils import parametrize


@torch.no_grad()
def merged(unet: Any) -> Any:
    """Return the plain UNet, its untouched weights shared with `unet`, which stays as it is.

    unet: a UNet2DConditionModel with peft's layers in it, or with parametrised weights.
    """
    weights = {name.replace(".base_layer.", "."): weight for name, weight in unet.state_dict().items()}
    weights |= {f"{name}.weight": weight for name, weight in _computed(unet)}
    with torch.device("meta"):
        plain: Any = UNet2DConditionModel.from_config(unet.config)
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()}, assign=True)
    return plain


def _computed(unet: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights that are made of several tensors, by the name of their layer; one layer in memory at a time."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in unet.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = deepcopy(module)
            layer.merge()
            yield name, layer.get_base_layer().weight
        elif parametrize.is_parametrized(module, "weight"):
            yield name, module.weight.detach()  # type: ignore[operator, union-attr]
