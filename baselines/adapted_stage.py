"""The training step of methods that add weights of their own to a frozen UNet."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from baselines.merge import merged
from spf_bench.files.store import write_json
from spf_train.errors import ConfigErrors, Problem
from spf_train.order import derive
from spf_train.stages import NaiveStage

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The projections of self- and cross-attention: what diffusers' LoRA example adds to."""


class AdaptedStage(NaiveStage):
    """Noise prediction as in stage 1; saves the UNet with the added weights computed into it, and facts about them.

    The subclass, or its caller, has frozen the UNet and added weights before; those train.
    """

    def facts(self) -> dict[str, Any]:
        """What a record tells of the trained weights, as plain JSON types."""
        return {"trainable_parameters": sum(weight.numel() for weight in self.trainable().values())}

    def save_added(self, folder: Path) -> None:
        """Writes the added weights alone into a new folder, in the format of the library that made them."""

    def save(self, folder: Path) -> None:
        """Writes folder/unet, which any pipeline loads, folder/added and folder/facts.json."""
        (folder / "added").mkdir(parents=True)
        self.save_added(folder / "added")
        size = sum(path.stat().st_size for path in (folder / "added").iterdir())
        merged(self.unet).save_pretrained(folder / "unet")
        write_json(folder / "facts.json", {**self.facts(), "checkpoint_bytes": size})


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Context in which new weights are drawn by the run's seed, whatever was drawn before."""
    with torch.random.fork_rng([]):
        torch.manual_seed(derive(seed, "added weights", 0))
        yield


def check_targets(unet: nn.Module, targets: Sequence[str]) -> None:
    """Raises ConfigErrors naming every target that no linear layer of the UNet's is called, with the nearest name."""
    names = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear)]
    endings = {".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1] for parts in (n.split(".") for n in names)}
    problems = [
        Problem(target, "no linear layer of this UNet is called so", _near(target, endings))
        for target in targets
        if not any(name == target or name.endswith(f".{target}") for name in names)
    ]
    if problems:
        raise ConfigErrors("target modules match nothing", problems)


def _near(target: str, endings: set[str]) -> str:
    near = difflib.get_close_matches(target, sorted(endings), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(endings))}"
