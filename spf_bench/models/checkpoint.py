"""Is this folder a UNet that the original model can be replaced by?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spf_bench.errors import Problem, UserError, explained
from spf_bench.files.store import read_json

CONFIG = "config.json"
SHAPE = (
    "in_channels",
    "out_channels",
    "sample_size",
    "block_out_channels",
    "layers_per_block",
    "down_block_types",
    "up_block_types",
    "cross_attention_dim",
    "attention_head_dim",
)
"""What every fine-tuned copy of a UNet shares with it, as diffusers' config names it."""


def refuse_foreign(folder: Path, original: Mapping[str, Any]) -> None:
    """Refuse a folder without a UNet, and a UNet that is not the original one's with other weights.

    Args:
        folder: What ``UNet2DConditionModel.from_pretrained`` shall read.
        original: The config of the original model's UNet.

    Raises:
        UserError: Naming everything in which the two differ.
    """
    if not (folder / CONFIG).is_file():
        why = f"it has no {CONFIG}: a checkpoint of another method, or one that was never finished"
        raise UserError(f"{folder} holds no UNet", why, "give the checkpoint of this method, or train it again")
    with explained(f"{folder / CONFIG} cannot be read", "copy it again, or train it again"):
        found = dict(read_json(folder / CONFIG))
    different = [name for name in SHAPE if _plain(found.get(name)) != _plain(original.get(name))]
    if different:
        problems = [Problem(name, f"{found.get(name)}, not {original.get(name)}", "") for name in different]
        fix = "use the suite or --base that it was trained on"
        raise UserError(f"{folder} was trained from another base model", "their UNets differ", fix, problems)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
