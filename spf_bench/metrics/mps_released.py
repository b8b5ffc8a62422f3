"""The released MPS in this benchmark's network: its size, and the names of its file.

Source: the overall checkpoint of Zhang et al., CVPR 2024 (arXiv:2405.14705), as a plain state dict.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from spf_bench.errors import UserError
from spf_bench.metrics.checkpoint import CHECK, fit, read_state
from spf_bench.metrics.mps_model import MPSConfig, MPSModel

CLIP_H: dict[str, Any] = {
    "projection_dim": 1024,
    "text_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
        "projection_dim": 1024,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    },
    "vision_config": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
        "hidden_act": "gelu",
        "projection_dim": 1024,
    },
}
"""Sizes of laion/CLIP-ViT-H-14-laion2B-s32B-b79K."""


def load_released(path: Path, config: MPSConfig | None = None) -> MPSModel:
    """Load the released state dict, in float32 and evaluation mode; ``config`` is the released size.

    Raises:
        UserError: A name is missing or unknown, or a layer norm has a bias this network does not have.
    """
    model = MPSModel(config or MPSConfig(CLIP_H))
    fit(model, published_names(read_state(path), path), path)
    return model.eval()


def published_names(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename the released state dict's tensors as this network's, dropping what holds no weights.

    Their residual wrappers add ``.fn.`` to the names; their layer norms keep a bias that is zero and never trained.

    Raises:
        UserError: Such a bias is not zero: the file is of another network.
    """
    biases = {name for name in state if name.startswith("cross_model.") and name.endswith(".norm.bias")}
    if any(state[name].any() for name in biases):
        raise UserError(f"{path.name} is of another network", "its cross-modal layer norms have biases", CHECK)
    counters = ("position_ids", "inv_freq")
    kept = {name: value for name, value in state.items() if name not in biases and not name.endswith(counters)}
    return {name.replace(".fn.", "."): value for name, value in kept.items()}
