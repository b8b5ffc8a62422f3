"""The training step of AdaLoRA: noise prediction and orthogonality, ranks allotted after every update."""

from __future__ import annotations

import warnings
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from baselines.adalora.allocation import Allocation, orthogonality
from baselines.adalora.settings import AdaLoRASettings
from baselines.adapted_stage import AdaptedStage, check_targets, seeded
from spf_train.data import Batch
from spf_train.errors import ConfigError
from spf_train.prediction import Diffusion
from spf_train.stages import Terms


class AdaLoRAStage(AdaptedStage):
    """L_diff + γ R; its additions are B diag(E) A of peft's AdaLoRA (arXiv:2303.10512).

    unet: the UNet that is added to; all its own weights are frozen.
    total: optimiser steps of the training, which the schedule of ranks is made for.
    seed: of the first A and B; E starts at 0, so that the UNet starts unchanged.
    """

    def __init__(
        self,
        unet: Any,
        diffusion: Diffusion,
        own: AdaLoRASettings,
        total: int,
        seed: int,
        min_snr_gamma: float | None = None,
    ) -> None:
        self.peft = add(unet, own, total, seed)
        self.allocation = Allocation(self.peft.base_model)
        self.own = own
        super().__init__(unet, diffusion, None, min_snr_gamma)

    def loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        """The total; its terms "diff", and "orth", unweighted: at first it is larger than the other."""
        diff, terms = super().loss(batch)
        orth = orthogonality(self.unet)
        return diff + self.own.orth * orth, {**terms, "orth": orth}

    def after_step(self, step: int) -> None:
        """Allots ranks; peft counts steps from 0."""
        self.allocation.update(step - 1)

    def state(self) -> dict[str, Any]:
        """What the allocator remembers."""
        return self.allocation.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.allocation.load_state(state)

    def facts(self) -> dict[str, Any]:
        """The final rank of every layer, and their mean."""
        ranks = self.allocation.ranks()
        return {**super().facts(), "mean_rank": round(fmean(ranks.values()), 4), "ranks": ranks}

    def save(self, folder: Path) -> None:
        """Writes what AdaptedStage does, of the ranks that are kept."""
        with self.allocation.pruned():
            super().save(folder)

    def save_added(self, folder: Path) -> None:
        """Writes the kept ranks as peft does, and which they are."""
        pattern = self.allocation.config.rank_pattern
        try:
            with warnings.catch_warnings():  # a layer of rank 0 looks to peft like a shard that was not gathered
                warnings.filterwarnings("ignore", "Adapter .* invalid shape")
                self.peft.save_pretrained(folder)
        finally:
            self.allocation.config.rank_pattern = pattern  # peft renames its layers while it saves them


def add(unet: Any, own: AdaLoRASettings, total: int, seed: int) -> Any:
    """Adds AdaLoRA's weights to a UNet and returns peft's model around it.

    Not by the UNet's own add_adapter: that one makes no allocator, and ranks would never change.
    Raises ConfigError if `total` leaves no step to allot ranks in, or a target is no layer of the UNet's.
    """
    from peft import AdaLoraConfig, get_peft_model

    if total < 2:
        raise ConfigError(
            f"cannot allot ranks in {total} steps", "the last allocation needs one after it", "train more"
        )
    check_targets(unet, own.targets)
    config = AdaLoraConfig(
        init_r=own.init_r,
        target_r=own.target_r,
        lora_alpha=own.init_r if own.alpha is None else own.alpha,  # type: ignore[arg-type]
        beta1=own.beta1,
        beta2=own.beta2,
        orth_reg_weight=own.orth,
        target_modules=list(own.targets),
        **own.schedule(total),
    )
    with seeded(seed):
        return get_peft_model(unet.requires_grad_(False), config)
